"""
Judges interactions: pure functions from what was sent, known and answered to findings.

No I/O, no clock and no memory: whatever a rule needs is in the `Interaction`. The quick way through
is the common one: an answer that jsonschema-rs finds valid needs no closer look at its shape.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from functools import cached_property
from itertools import pairwise
from typing import Any, Final

import jsonschema_rs

from contract.document import escape
from contract.formats import canonical, instant
from contract.model import MISSING, Finding, Interaction, JSONObject, Response
from contract.rules import rules
from contract.shape import SLACK, Group, RecordShape, same
from contract.spec import Contract, Field, Operation

__all__ = ["Judge", "Judgement", "same"]

_TRACE: Final = re.compile(
    r"Traceback \(most recent call last\)"
    r'|File "[^"\n]+", line \d+, in '
    r"|\bat [\w.$<>]+\([\w$]+\.(?:java|kt|scala|cs|js|ts):\d+"
    r"|\.rb:\d+:in [`']"
    r"|#\d+ /[^\s:]+\.php\(\d+\)"
    r"|goroutine \d+ \[running\]"
    r"|\.(?:js|ts):\d+:\d+\)"
)
_ESCAPED: Final = re.compile(r'\\(["ntr])')
"""Quotation marks and blanks as they stand in JSON."""
_MARKS: Final = (b"\\", b"(", b"`", b"'")
"""A stack trace in JSON holds one of these (a line break is a backslash), and they are found at once."""
_SIGNS: Final = (
    b"Traceback",
    b", line ",
    b".java:",
    b".kt:",
    b".scala:",
    b".cs:",
    b".js:",
    b".ts:",
    b".rb:",
    b".php(",
    b"goroutine",
)
"""A stack trace holds one of these; to look for them is quick."""
_SECRET_KEY: Final = re.compile(r"(?i)(?:^|_)(?:password|passwd|secret|api_?key|auth_?token|api_?token|private_?key)$")
_LOGIN: Final = re.compile(rb"(?i)\b(?!https?:)[a-z][a-z0-9+.-]*:\\?/\\?/[^\s/:@\"]+:[^\s/@\"]+@")
"""The address of a database, or the like, with a password in it; those of webhooks may be anyone's own."""
PAGE: Final = 50
"""Records on a page from which on there may be more, whatever the answer says."""
TURNS: Final = 5
"""Times that two operations have to take turns before what may change at any time is called wrong in one of them."""
MOVES_AFTER: Final = 3.0
"""Seconds that must have gone by before a time stamp has to move; its resolution may be one second."""


class Judgement:
    """
    What one interaction says: findings, rules it gives evidence for, and the record it shows.
    """

    __slots__ = ("findings", "groups", "record", "single")

    def __init__(self) -> None:
        self.findings: list[Finding] = []
        self.single: list[str] = []
        self.groups: list[Group] = []
        self.record: JSONObject | None = None

    @property
    def evidence(self) -> list[str]:
        """
        The rules for which the interaction is evidence, once for each time.
        """
        return self.single + [rule for group in self.groups for rule in group.rules]


class _Names:
    """
    The rules of one operation that every answer is judged by.
    """

    def __init__(self, operation: str) -> None:
        self.status = f"{operation}.shape.status"
        self.media_type = f"{operation}.shape.media_type"
        self.json = f"{operation}.shape.json"
        self.body = f"{operation}.shape.body"
        self.identity = f"{operation}.shape.identity"
        self.no_server_error = f"{operation}.rejection.no_server_error"
        self.no_leak = f"{operation}.rejection.no_leak"


class Judge:
    """
    Judges the interactions of one contract.

    *secrets* are strings that no answer may hold.
    """

    def __init__(self, contract: Contract, secrets: Iterable[str] = ()) -> None:
        self.contract = contract
        self.rules = rules(contract)
        self.secrets = tuple(s for s in secrets if len(s) >= 8)
        self.hidden = tuple(secret.encode() for secret in self.secrets)
        self.update = contract.update
        self.request = self.update.request
        self._records: dict[str, RecordShape] = {}
        self._errors: dict[tuple[str, int], Any] = {}
        self.listing = contract.listing
        response = self.update.response
        self.fields: Mapping[str, Field] = response.fields if response else {}
        self.plain = [n for n, f in self.fields.items() if f.changes == ""]
        self.never = [n for n, f in self.fields.items() if f.changes == "never"]
        self.stamps = [n for n, f in self.fields.items() if f.changes == "on-write"]
        self.watched = [n for n, f in self.fields.items() if f.changes in {"", "never"}]
        self.framed = self.watched if self.update.unsent is not None else self.never
        request = self.request.fields if self.request is not None else {}
        self.echoed = {
            n: f"{self.update.id}.echo.{n}" for n, f in request.items() if n in self.fields and not f.write_only
        }
        self.advised = frozenset(n for n, f in request.items() if f.deprecated)
        self.aliased = frozenset(n for g in (self.request.aliases if self.request else ()) for n in g.fields)
        self.ordered = [
            (n, str(f.schema["x-not-before"])) for n, f in self.fields.items() if "x-not-before" in f.schema
        ]
        self._wholes: dict[tuple[str, ...], tuple[Group, Group]] = {}
        self._good: dict[tuple[str, str], bool] = {}
        self._names = {id: _Names(id) for id in contract.operations}

    @cached_property
    def key(self) -> str:
        """
        The field that names a record, where the path's parameter has the same name.
        """
        parameter = self.update.key
        return parameter.name if parameter is not None and parameter.name in self.fields else ""

    def record(self, operation: Operation) -> RecordShape | None:
        """
        What judges the record in the answers of *operation*.
        """
        if operation.id not in self._records:
            body = operation.response
            if self.listing is not None and operation is self.listing[0]:
                body = self.contract.retrieve.response
            if body is None:
                return None
            self._records[operation.id] = RecordShape(operation.id, body)
        return self._records[operation.id]

    # ----------------------------------------------------------- one answer

    def judge(self, interaction: Interaction) -> Judgement:
        """
        Everything that one interaction says.
        """
        result = Judgement()
        case, response = interaction.case, interaction.response
        operation = self.contract.operations[case.operation]
        self._always(operation, response, result)
        if response.status >= 500:
            return result
        if case.expect == "reject":
            self._refused(operation, interaction, result)
        elif 200 <= response.status < 300:
            self._success(operation, interaction, result)
        elif 400 <= response.status < 500:
            self._error_body(operation, response, result)
            if case.expect == "accept":
                name = f"{operation.id}.accept" if operation is self.update else f"{operation.id}.shape.status"
                what = "a documented request is refused" if case.body is not MISSING else "a documented read is refused"
                result.findings.append(
                    Finding(rule=name, message=what, expected=operation.success, actual=_brief(response))
                )
            elif case.keep:
                result.single.append(case.rule)
        else:
            message = f"the answer is a {response.status}, which is not documented"
            rule = f"{operation.id}.shape.status"
            result.findings.append(
                Finding(rule=rule, message=message, expected=operation.success, actual=response.status)
            )
        return result

    def _always(self, operation: Operation, response: Response, result: Judgement) -> None:
        """
        What holds for every answer.
        """
        names = self._names[operation.id]
        if response.status >= 500:
            message = f"the answer is a server error ({response.status})"
            result.findings.append(
                Finding(rule=names.no_server_error, message=message, expected="no 5xx", actual=_brief(response))
            )
        else:
            result.single.append(names.no_server_error)
        problem = self._leak(response)
        if problem:
            result.findings.append(
                Finding(rule=names.no_leak, message=problem, expected="no secrets", actual="(masked)")
            )
        else:
            result.single.append(names.no_leak)

    def _leak(self, response: Response) -> str:
        """
        What an answer holds that it must not, in words.
        """
        content = response.content
        for secret in self.hidden:
            if secret in content or any(secret.decode() in value for value in response.headers.values()):
                return "the answer holds a credential of this run"
        if response.body is MISSING or any(mark in content for mark in _MARKS):
            for sign in _SIGNS:
                if sign in content and _TRACE.search(_ESCAPED.sub(_unescaped, content.decode("utf-8", "replace"))):
                    return "the answer holds a stack trace"
        if response.status >= 400 and b"@" in content and _LOGIN.search(content):
            return "the answer holds an address with a password in it"
        if isinstance(response.body, dict) and not response.body.keys() <= self.fields.keys():
            for name in response.body.keys() - self.fields.keys():
                if response.body[name] and _SECRET_KEY.search(name):
                    return f"the answer holds a field {name!r}"
        return ""

    def _refused(self, operation: Operation, interaction: Interaction, result: Judgement) -> None:
        """
        A request that the documents exclude.
        """
        case, response = interaction.case, interaction.response
        status = response.status
        kind = case.rule.rpartition(".")[2]
        wanted: tuple[int, ...] = ()
        if case.credentials != "right":
            wanted = (401, 403)
        elif kind in {"unknown_id", "foreign_id"}:
            wanted = (404,)
        if status in wanted or (not wanted and 400 <= status < 500):
            result.single.append(case.rule)
            self._error_body(operation, response, result)
            return
        expected = " or ".join(map(str, wanted)) if wanted else "a 4xx, and nothing changed"
        message = "it is accepted" if 200 <= status < 300 else f"it gets a {status}"
        rule = self.rules.get(case.rule)
        text = f"{message}, although {rule.text}" if rule else message
        actual = _brief(response) if status >= 300 else f"{status}, accepted"
        result.findings.append(Finding(rule=case.rule, message=text, expected=expected, actual=actual))
        record = self.record(operation)
        if not (200 <= status < 300 and case.target == "own" and operation is self.update and record is not None):
            return
        if isinstance(response.body, dict) and not any(
            f.rule.endswith(".body") for f in record.findings(response.body, "")
        ):
            result.record = response.body
            body = case.body if isinstance(case.body, dict) else {}
            if interaction.before is not None:
                frame = self._whole(body)[1]
                result.findings += self._frame(frame, interaction, body, response.body, interaction.before, result)
            self._times(operation, interaction, result)

    def _error_body(self, operation: Operation, response: Response, result: Judgement) -> None:
        """
        The body of a refusal, where the documents say for certain what it is.
        """
        status = response.status
        schema = operation.errors.get(status)
        if schema is None or schema.get("x-basis", "documented") != "documented":
            return
        rule = f"{operation.id}.rejection.error_body"
        if (operation.id, status) not in self._errors:
            self._errors[operation.id, status] = jsonschema_rs.Draft202012Validator(dict(schema))
        kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        if response.body is MISSING:
            message = f"the body of the {status} is not JSON: {response.problem or 'it is empty'}"
            result.findings.append(Finding(rule=rule, message=message, expected="JSON", actual=_brief(response)))
        elif kind != operation.media_type:
            message = f"the media type of the {status} is not JSON"
            result.findings.append(
                Finding(rule=rule, message=message, expected=operation.media_type, actual=kind or "(none)")
            )
        elif not self._errors[operation.id, status].is_valid(response.body):
            from jsonschema import Draft202012Validator
            from jsonschema.exceptions import best_match

            error = best_match(Draft202012Validator(dict(schema)).iter_errors(response.body))
            where = "".join(f"/{escape(p)}" for p in error.absolute_path) if error else ""
            what = error.message if error else "it is not as documented"
            message = f"the body of the {status} is not as documented: {what}"[:300]
            result.findings.append(
                Finding(rule=rule, message=message, pointer=where, expected=_plain(schema), actual=response.body)
            )
        else:
            result.single.append(rule)

    def _success(self, operation: Operation, interaction: Interaction, result: Judgement) -> None:
        """
        A success: its envelope, its shape, and what it says about the record.
        """
        response = interaction.response
        names = self._names[operation.id]
        if response.status != operation.success:
            message = f"the success is a {response.status}"
            finding = Finding(rule=names.status, message=message, expected=operation.success, actual=response.status)
            result.findings.append(finding)
        else:
            result.single.append(names.status)
        self._media(operation, response, result)
        if response.body is MISSING:
            message = f"the body is not JSON: {response.problem or 'it is empty'}"
            result.findings.append(Finding(rule=names.json, message=message, expected="JSON", actual=_brief(response)))
            return
        if response.problem:
            result.findings.append(
                Finding(
                    rule=names.json,
                    message=response.problem,
                    expected="RFC 8259 in UTF-8",
                    actual=_brief(response),
                )
            )
        else:
            result.single.append(names.json)
        record = self.record(operation)
        if record is None:
            return
        if self.listing is not None and operation is self.listing[0]:
            self._list(operation, record, response, result)
            return
        if not isinstance(response.body, dict):
            result.findings.append(
                Finding(rule=names.body, message="the answer is no object", expected="an object", actual=response.body)
            )
            return
        found = record.findings(response.body, "")
        result.findings += found
        wrong = {f.rule for f in found}
        if names.body in wrong:
            return
        evidence = record.evidence(response.body)
        if wrong:
            result.single += [rule for rule in evidence.rules if rule not in wrong]
        else:
            result.groups.append(evidence)
        result.record = response.body
        if self.key and interaction.id and interaction.case.target == "own":
            shown = response.body.get(self.key)
            if (
                not _names(shown, interaction.id)
                and shown is not None
                and not wrong & {f"{operation.id}.format.{self.key}"}
            ):
                case = interaction.case
                message = f"{self.key} {'was written to' if case.respells else 'is not the one that was asked for'}"
                result.findings.append(
                    Finding(
                        rule=case.rule if case.respells else names.identity, message=message, pointer=f"/{self.key}",
                        expected=interaction.id, actual=shown,
                    )
                )  # fmt: skip
                # Nothing that another record shows says anything about this one.
                result.record = None
                return
            result.single.append(names.identity)
        if operation is self.update:
            self._written(interaction, result)
        else:
            self._read(operation, interaction, result)
        self._times(operation, interaction, result)

    def _media(self, operation: Operation, response: Response, result: Judgement) -> None:
        """
        Media type and charset.
        """
        rule = self._names[operation.id].media_type
        value = response.headers.get("content-type", "")
        if (operation.id, value) in self._good:
            result.single.append(rule)
            return
        kind, _, rest = value.partition(";")
        kind = kind.strip().lower()
        charset = re.search(r'charset\s*=\s*"?([^";\s]+)', rest, re.IGNORECASE)
        right = kind == operation.media_type
        if right and (charset is None or charset[1].lower() in {"utf-8", "utf8"}):
            if len(self._good) < 100:
                self._good[operation.id, value] = True
            result.single.append(rule)
            return
        message = "the answer's media type is not JSON" if not right else "the answer names a charset that is not UTF-8"
        result.findings.append(
            Finding(rule=rule, message=message, expected=operation.media_type, actual=value or "(none)")
        )

    def _list(self, operation: Operation, record: RecordShape, response: Response, result: Judgement) -> None:
        """
        A list of records.
        """
        assert self.listing is not None
        pointer = self.listing[1]
        items: Any = response.body
        for token in pointer.split("/")[1:]:
            items = items.get(token) if isinstance(items, dict) else None
        rule = f"{operation.id}.shape.body"
        if not isinstance(items, list):
            message = f"there is no list of records at {pointer}"
            result.findings.append(
                Finding(rule=rule, message=message, pointer=pointer, expected="a list", actual=_plainly(items))
            )
            return
        envelope = operation.response
        if envelope is not None:
            known = pointer.split("/")[1]
            for name, item in envelope.fields.items():
                if name == known:
                    continue
                value = response.body.get(name, MISSING)
                if value is MISSING and item.required:
                    message = f"{name} is missing from the list"
                    result.findings.append(
                        Finding(rule=rule, message=message, pointer=f"/{name}", expected="present", actual="absent")
                    )
                elif value is not MISSING:
                    found = list(record.field(item, value, f"/{name}"))
                    result.findings += [
                        Finding(rule=rule, message=f.message, pointer=f.pointer, expected=f.expected, actual=f.actual)
                        for f in found
                    ]
        for i, entry in enumerate(items[:100]):
            where = f"{pointer}/{i}"
            if not isinstance(entry, dict):
                result.findings.append(
                    Finding(
                        rule=rule,
                        message="an entry of the list is no object",
                        pointer=where,
                        expected="an object",
                        actual=entry,
                    )
                )
                continue
            found = record.findings(entry, where)
            result.findings += found
            wrong = {f.rule for f in found}
            result.single += [rule for rule in record.evidence(entry).rules if rule not in wrong]

    def entries(self, response: Response) -> int | None:
        """
        How many records a page of the list holds; nothing where it is no list.
        """
        items = self.items(response, None)
        return len(items) if items is not None and response.status == 200 else None

    def items(self, response: Response, default: Any = ()) -> Any:
        """
        The records on a page of the list, or *default* where it is no list.
        """
        items: Any = response.body
        for token in self.listing[1].split("/")[1:] if self.listing is not None else ():
            items = items.get(token) if isinstance(items, dict) else None
        return items if isinstance(items, list) else default

    def listed(self, response: Response, id: str) -> tuple[str, JSONObject] | None:
        """
        The record *id* in the answer of the list, with its pointer.
        """
        if self.listing is None or not self.key:
            return None
        for i, entry in enumerate(self.items(response)):
            if isinstance(entry, dict) and _names(entry.get(self.key), id):
                return f"{self.listing[1]}/{i}", entry
        return None

    def shown(self, response: Response, id: str) -> JSONObject | None:
        """
        The record *id* in an answer, whether it is that record or a list.
        """
        if (found := self.listed(response, id)) is not None:
            return found[1]
        body = response.body
        own = 200 <= response.status < 300 and isinstance(body, dict) and _names(body.get(self.key), id)
        return body if own else None

    # ------------------------------------------------------ after an update

    def _written(self, interaction: Interaction, result: Judgement) -> None:
        """
        An accepted update: echo, handlers, frame.
        """
        case, before, record = interaction.case, interaction.before, result.record
        assert record is not None
        body = case.body if isinstance(case.body, dict) else {}
        prefix = self.update.id
        known = self._certain(result)
        if case.keep:
            self._kept(interaction, result)
            return
        if case.repeat and before is not None:
            found = [f for f in self._repeated(body, record, before) if f.pointer not in known]
            result.findings += found
            known |= {f.pointer for f in found}
            if not found:
                result.single.append(f"{prefix}.idempotence")
        accept, frame = self._whole(body)
        if case.expect == "accept" and body:
            result.groups.append(accept)
        echoed = list(self._echo(case.open, body, record, before, result))
        if case.expect != "accept" and case.rule and not any(f.rule == case.rule for f in echoed):
            result.single.append(case.rule)
        found = [*echoed, *self._handlers(case.open, body, record, result)]
        if before is not None:
            found += self._frame(frame, interaction, body, record, before, result)
        result.findings += [f for f in found if f.pointer not in known]

    def _certain(self, result: Judgement) -> set[str]:
        """
        Where something is wrong for certain, so that nothing more has to be said of it.
        """
        if not result.findings:
            return set()
        return {f.pointer for f in result.findings if self.rules[f.rule].basis == "documented"}

    def _whole(self, body: JSONObject) -> tuple[Group, Group]:
        """
        (that it is accepted, that the rest stays): the groups that depend on nothing but which fields were sent.
        """
        key = tuple(body)
        groups = self._wholes.get(key)
        if groups is None:
            accept = [f"{self.update.id}.accept", *(f"{self.update.id}.accept.{n}" for n in body)]
            groups = Group(accept), Group(self._unsent(body))
            if len(self._wholes) < 5000:
                self._wholes[key] = groups
        return groups

    def _echo(
        self,
        loose: Mapping[str, str],
        body: JSONObject,
        record: JSONObject,
        before: JSONObject | None,
        result: Judgement,
    ) -> Iterator[Finding]:
        assert self.request is not None
        prefix = self.update.id
        silent: set[str] = set()
        for group in self.request.aliases if not self.aliased.isdisjoint(body) else ():
            sent = [name for name in group.fields if name in body]
            if len(sent) > 1:
                silent.update(sent)
                if group.wins in sent and group.wins in record and not any(name in loose for name in sent):
                    rule = f"{prefix}.echo.alias.{group.wins}"
                    if same(None, body[group.wins], record[group.wins]):
                        result.single.append(rule)
                    else:
                        others = ", ".join(name for name in sent if name != group.wins)
                        yield Finding(
                            rule=rule, message=f"{group.wins} does not take precedence over {others}",
                            pointer=f"/{escape(group.wins)}", expected=body[group.wins], actual=record[group.wins],
                        )  # fmt: skip
        for name, value in body.items():
            if name not in self.echoed or name in silent:
                continue
            rule = self.echoed[name]
            shown = record.get(name, MISSING)
            how = loose.get(name) if loose else None
            if how is None and value == shown and type(value) is type(shown):
                result.single.append(rule)
                if name in self.advised:
                    result.single.append(f"{prefix}.deprecated.{name}")
                continue
            item = self.request.fields[name]
            if how is not None:
                earlier = before.get(name, MISSING) if before is not None else MISSING
                if not settled(how, value, shown, earlier, item):
                    told = rule if how == "exact" else f"{prefix}.rejection.consistent"
                    message = f"{name} was accepted, but is neither what was sent nor what it was"
                    yield Finding(rule=told, message=message, pointer=f"/{escape(name)}", expected=value, actual=shown)
                continue
            if same(self.fields[name], value, shown):
                result.single.append(rule)
                continue
            message = f"{name} is not what was sent"
            if item.deprecated and (
                shown in (None, "") or shown is MISSING or (before is not None and shown == before.get(name))
            ):
                rule = f"{prefix}.deprecated.{name}"
                yield Finding(rule=rule, message=message, pointer=f"/{escape(name)}", expected=value, actual=shown)
            yield Finding(
                rule=f"{prefix}.echo.{name}", message=message, pointer=f"/{escape(name)}", expected=value, actual=shown
            )

    def _handlers(
        self, loose: Mapping[str, str], body: JSONObject, record: JSONObject, result: Judgement
    ) -> Iterator[Finding]:
        assert self.request is not None
        prefix = self.update.id
        for name, selector in self.request.selectors.items():
            choice = selector.choices.get(body[name]) if name in body and isinstance(body[name], str) else None
            if choice is None or name in loose:
                continue
            stem = f"{prefix}.handler.{name}.{choice.value}"
            result.single += (f"{stem}.accepted", f"{prefix}.handler.{name}")
            if choice.deprecated:
                result.single.append(f"{prefix}.deprecated.{name}.{choice.value}")
            if name in record and record[name] != choice.value:
                yield Finding(
                    rule=f"{stem}.shown", message=f"{name} was sent as {choice.value!r} and is answered as another value",
                    pointer=f"/{escape(name)}", expected=choice.value, actual=record[name],
                )  # fmt: skip
                continue
            gone = False
            for other in choice.requires:
                if other not in self.fields or other not in record or other not in body or other in loose:
                    continue
                siblings = self.request.aliases_of((other,))
                if len(siblings & set(body)) > 1 or record[other] not in (None, ""):
                    continue
                gone = True
                yield Finding(
                    rule=f"{stem}.shown", message=f"with {name} {choice.value!r} the answer lacks {other}",
                    pointer=f"/{escape(other)}", expected=body[other], actual=record[other],
                )  # fmt: skip
            if not gone:
                result.single.append(f"{stem}.shown")

    def exempt(self, body: JSONObject, record: JSONObject, before: JSONObject) -> tuple[frozenset[str], frozenset[str]]:
        """
        Fields that a write may change though they were not sent: (in any way, by clearing).
        """
        assert self.request is not None
        free = self.request.aliases_of(frozenset(body) & frozenset(self.request.fields))
        cleared: set[str] = set()
        for name, selector in self.request.selectors.items():
            old, new = before.get(name), record.get(name)
            if old != new and isinstance(old, str) and old in selector.choices and name in body:
                now = (
                    set(selector.choices[new].companions) if isinstance(new, str) and new in selector.choices else set()
                )
                cleared |= set(selector.choices[old].companions) - now
        return free, self.request.aliases_of(cleared)

    def _frame(
        self,
        group: Group,
        interaction: Interaction,
        body: JSONObject,
        record: JSONObject,
        before: JSONObject,
        result: Judgement,
    ) -> Iterator[Finding]:
        assert self.request is not None
        prefix = f"{self.update.id}.frame"
        try:
            changed = [n for n in self.framed if record[n] != before[n]]
        except KeyError:
            changed = [n for n in self.framed if record.get(n, MISSING) != before.get(n, MISSING)]
        if all(n in body for n in changed):
            result.groups.append(group)
            changed = [n for n in changed if self.fields[n].changes == "never"]
        else:
            result.single += [rule for rule in group.rules if rule.rpartition(".")[2] not in changed]
        if not changed:
            return
        free, cleared = self.exempt(body, record, before)
        for name in changed:
            item = self.fields[name]
            if name in body and item.changes != "never":
                continue
            if name in free or name not in record or name not in before:
                continue
            now, old = record[name], before[name]
            if same(item, now, old):
                result.single.append(f"{prefix}.{name}")
                continue
            default = self.request.fields[name].default if name in self.request.fields else MISSING
            if old is None and default is not MISSING and now == default:
                continue
            if name in cleared and (now in (None, "") or now == default):
                continue
            message = f"{name} changed, although it was not sent"
            if item.changes == "never":
                message = f"{name} changed, although it never changes"
            yield Finding(
                rule=f"{prefix}.{name}", message=message, pointer=f"/{escape(name)}",
                expected=old, actual=now, follows=not interaction.verified,
            )  # fmt: skip

    def _unsent(self, body: JSONObject) -> list[str]:
        """
        The rules of the frame for which an update with *body* is evidence.
        """
        assert self.request is not None
        prefix = f"{self.update.id}.frame"
        free = self.request.aliases_of(frozenset(body) & frozenset(self.request.fields))
        names = [n for n in self.framed if n not in free and (n not in body or self.fields[n].changes == "never")]
        return [f"{prefix}.{n}" for n in names] + ([prefix] if self.update.unsent is not None else [])

    def _repeated(self, body: JSONObject, record: JSONObject, before: JSONObject) -> Iterator[Finding]:
        """
        The same update a second time.

        What was sent for a companion of a value that is not chosen may have been cleared the first time,
        as that was when another one was chosen, and be stored now.
        """
        assert self.request is not None
        for name in self.watched:
            if name in record and name in before and not same(self.fields[name], before[name], record[name]):
                item = self.request.fields.get(name)
                sent = [body[other] for other in self.request.aliases_of((name,)) if other in body]
                clear = item is not None and before[name] in (None, "", item.default)
                if clear and name in self._idle(record) and any(same(item, record[name], value) for value in sent):
                    continue
                message = f"{name} changed when the same update was sent a second time"
                rule = f"{self.update.id}.idempotence"
                yield Finding(
                    rule=rule, message=message, pointer=f"/{escape(name)}", expected=before[name], actual=record[name]
                )

    def _idle(self, record: JSONObject) -> frozenset[str]:
        """
        The companions of values of selectors that are not chosen.
        """
        assert self.request is not None
        idle: set[str] = set()
        for name, selector in self.request.selectors.items():
            chosen = selector.choices.get(str(record.get(name)))
            every = {other for choice in selector.choices.values() for other in choice.companions}
            idle |= every - set(chosen.companions if chosen else ())
        return self.request.aliases_of(idle)

    def _kept(self, interaction: Interaction, result: Judgement) -> None:
        """
        An accepted request that must change nothing.
        """
        before, record, rule = interaction.before, result.record, interaction.case.rule
        if before is None or record is None:
            return
        body = interaction.case.body if isinstance(interaction.case.body, dict) else {}
        wrong = False
        for name, item in self.fields.items():
            if name not in record or name not in before:
                continue
            now = record[name]
            if item.changes in {"derived", "anytime", "on-write"}:
                bad = name in body and not same(item, before[name], now) and same(item, body[name], now)
            else:
                default = self.request.fields[name].default if self.request and name in self.request.fields else MISSING
                bad = not same(item, before[name], now) and not (before[name] is None and now == default)
            if bad:
                wrong = True
                message = f"{name} changed: {self.rules[rule].text}"
                result.findings.append(
                    Finding(
                        rule=rule, message=message, pointer=f"/{escape(name)}", expected=before[name], actual=now,
                        follows=not interaction.verified,
                    )
                )  # fmt: skip
        if not wrong:
            result.single.append(rule)

    def _times(self, operation: Operation, interaction: Interaction, result: Judgement) -> None:
        """
        Time stamps against each other and against what they were.
        """
        record, before = result.record, interaction.before
        if record is None:
            return
        prefix = f"{self.update.id}.time"
        for name, other in self.ordered:
            if other in record:
                mine, theirs = instant(record.get(name)), instant(record.get(other))
                if mine is not None and theirs is not None:
                    rule = f"{prefix}.{name}.not_before"
                    # Only where one shows fractions and the other does not, rounding may turn them round.
                    slack = SLACK if ("." in record[name]) != ("." in record[other]) else timedelta()
                    if mine < theirs - slack:
                        message = f"{name} is before {other}"
                        result.findings.append(
                            Finding(
                                rule=rule, message=message, pointer=f"/{name}",
                                expected=f"not before {record[other]}", actual=record[name],
                            )
                        )  # fmt: skip
                    else:
                        result.single.append(rule)
        if before is None:
            return
        for name in self.stamps:
            mine, earlier = instant(record.get(name)), instant(before.get(name))
            if mine is None or earlier is None:
                continue
            rule = f"{prefix}.{name}.forward"
            if operation is not self.update and any(".read_back" in f.rule for f in result.findings):
                continue  # An older view of the record: its stamp is older too.
            if mine < earlier - SLACK:
                result.findings.append(
                    Finding(
                        rule=rule, message=f"{name} went back", pointer=f"/{name}",
                        expected=f"not before {before[name]}", actual=record[name],
                    )
                )  # fmt: skip
            else:
                result.single.append(rule)
            if operation is not self.update or interaction.age < MOVES_AFTER:
                continue
            sent = interaction.case.body if isinstance(interaction.case.body, dict) else {}
            plain = [n for n in self.plain if n in sent and n in before and n in record]
            changed = [n for n in plain if record[n] == sent[n] and not same(self.fields[n], before[n], record[n])]
            rule = f"{prefix}.{name}.moves"
            if changed and mine <= earlier:
                message = f"{name} did not move, although {changed[0]} changed and more than two seconds went by"
                result.findings.append(
                    Finding(
                        rule=rule,
                        message=message,
                        pointer=f"/{name}",
                        expected=f"after {before[name]}",
                        actual=record[name],
                    )
                )
            elif changed:
                result.single.append(rule)

    # --------------------------------------------------------- after a read

    def _read(self, operation: Operation, interaction: Interaction, result: Judgement) -> None:
        """
        A read after an update: it shows what the update's answer showed.
        """
        before, record = interaction.before, result.record
        if before is None or record is None or interaction.verified:
            return
        known = self._certain(result)
        found = list(self.differences(record, before, known))
        prefix = f"{self.update.id}.read_back"
        for name, old, now in found:
            result.findings.append(
                Finding(
                    rule=f"{prefix}.{name}", message=f"a read shows another {name} than the answer to the update did",
                    pointer=f"/{escape(name)}", expected=old, actual=now,
                )
            )  # fmt: skip
        wrong = {name for name, _, _ in found} | self.restless
        result.single.append(prefix)
        result.single += [f"{prefix}.{n}" for n in self.fields if n in record and n in before and n not in wrong]

    def differences(
        self, record: JSONObject, before: JSONObject, skip: Iterable[str] = ()
    ) -> Iterator[tuple[str, Any, Any]]:
        """
        (field, earlier, now) for every field that two views of one record show differently; time stamps,
        which only follow what else differs, come last.
        """
        for name, item in sorted(self.fields.items(), key=lambda pair: pair[0] in self.stamps):
            if item.changes == "anytime" or f"/{escape(name)}" in skip or name not in record or name not in before:
                continue
            if record[name] != before[name] and not same(item, record[name], before[name]):
                yield name, before[name], record[name]

    def in_turns(self, views: Sequence[tuple[str, JSONObject]]) -> Judgement:
        """
        The fields that may change at any time, over all *views* (operation, record) in their order: where two
        operations disagree about one again and again, and each always with itself, it did not change.
        """
        result = Judgement()
        read, update = self.contract.retrieve.id, self.update.id
        pairs = [(update, f"{update}.read_back.{{}}")]
        pairs += [(self.listing[0].id, f"{self.listing[0].id}.read_back")] if self.listing else []
        for name in sorted(self.restless):
            for other, rule in pairs:
                shown = [
                    (id, json.dumps(record[name])) for id, record in views if id in {read, other} and name in record
                ]
                turns = sum(one[0] != following[0] for one, following in pairwise(shown))
                if turns < TURNS:
                    continue
                values = [{value for id, value in shown if id == operation} for operation in (other, read)]
                if values[0] == values[1] or max(map(len, values)) > 1:
                    result.single.append(rule.format(name))
                    continue
                expected, actual = (json.loads(*some) for some in values)
                message = f"{turns} times in turns, a read shows another {name} than the answer to the update does"
                if other != update:
                    message, expected, actual = f"the list always shows another {name} than a read", actual, expected
                found = Finding(
                    rule=rule.format(name),
                    message=message,
                    pointer=f"/{escape(name)}",
                    expected=expected,
                    actual=actual,
                )
                result.findings.append(found)
        return result

    @cached_property
    def restless(self) -> frozenset[str]:
        """
        The fields that may change at any time.
        """
        return frozenset(name for name, item in self.fields.items() if item.changes == "anytime")

    def in_list(self, response: Response, id: str, record: JSONObject, *, last: bool = False) -> Judgement:
        """
        The record as the list shows it, against *record* as the retrieve showed it; where the page is the
        *last* one, it has to be there.
        """
        result = Judgement()
        if self.listing is None or not self.key:
            return result
        found = self.listed(response, id)
        rule = f"{self.listing[0].id}.read_back"
        if found is None:
            result.findings += self.missing(response, id) if last else []
            return result
        where, entry = found
        for name, old, now in self.differences(entry, record):
            message = f"the list shows another {name} than the retrieve"
            pointer = f"{where}/{escape(name)}"
            result.findings.append(Finding(rule=rule, message=message, pointer=pointer, expected=old, actual=now))
        if not result.findings:
            result.single.append(rule)
        return result

    def missing(self, response: Response, id: str) -> list[Finding]:
        """
        What is wrong with the last page of the list where no page of it showed the record *id*, which is there.
        """
        count = self.entries(response)
        if self.listing is None or count is None or count >= PAGE:
            return []
        message = f"the list, read to its end, does not hold the record {id}"
        rule, where = f"{self.listing[0].id}.read_back", self.listing[1]
        return [Finding(rule=rule, message=message, pointer=where, expected=id, actual="absent")]

    def foreign(self, response: Response, id: str) -> list[Finding]:
        """
        What is wrong with a page of the list that shows *id*, a record of somebody else's.
        """
        found = self.listed(response, id)
        rule = f"{self.contract.retrieve.id}.access.foreign_id"
        if found is None or rule not in self.rules:
            return []
        return [Finding(rule=rule, message="the list shows a record of somebody else's", pointer=found[0], actual=id)]


def settled(how: str, sent: Any, shown: Any, earlier: Any, item: Field) -> bool:
    """
    True where an accepted value about which the documents are silent was applied or ignored.

    *how* is ``exact`` (to the letter), ``blank`` or ``null`` (an empty value may be stored as
    another empty one or as the default) or ``any`` (whatever has the documented shape).
    """
    if how == "any" or (type(sent) is type(shown) and sent == shown) or shown == earlier:
        return True
    empty = shown is None or shown == "" or (item.default is not MISSING and shown == item.default)
    return how in {"blank", "null"} and empty


def _unescaped(found: re.Match[str]) -> str:
    return '"' if found[1] == '"' else " "


def _names(shown: Any, id: str) -> bool:
    """
    True where *shown* is the id of a record that a path names *id*; ids may be integers, and a UUID
    that was given in capitals is written in small letters by most.
    """
    return shown in (id, canonical(id)) or (type(shown) is int and str(shown) == id)


def _brief(response: Response) -> str:
    """
    Status and the beginning of the body.
    """
    text = response.content[:300].decode("utf-8", "replace")
    return f"{response.status} {text}".strip()


def _plain(schema: Mapping[str, Any]) -> Any:
    """
    *schema* without annotations.
    """
    if isinstance(schema, Mapping):
        return {k: _plain(v) for k, v in schema.items() if not k.startswith("x-") and k != "description"}
    return [_plain(v) for v in schema] if isinstance(schema, list) else schema


def _plainly(value: Any) -> Any:
    return "absent" if value is None or value is MISSING else json.loads(json.dumps(value))
