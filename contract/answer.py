"""What one answer says by itself: whether its status is the right one, and whether envelope, shape and content are as
documented, of a success and of a refusal.

The quick way through is the common one: an answer that jsonschema-rs finds valid needs no closer look at its shape.
What an answer says together with what was sent, and with what the record was before, is judged in `check`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping
from functools import lru_cache
from typing import Any, Final

import jsonschema_rs

from contract.document import escape
from contract.formats import anchor, canonical, escapes
from contract.model import MISSING, Finding, Interaction, JSONObject, Response, Rule, is_empty, under
from contract.shape import RecordShape, said, same, wording
from contract.spec import Contract, Operation

__all__ = ["Answers", "Judgement", "is_id"]

_TRACE: Final = re.compile(
    r"Traceback \(most recent call last\)"
    r'|File "[^"\n]+", line \d+, in '
    r"|\bat [\w.$<>]+\([\w$]+\.(?:java|kt|scala|cs|js|ts):\d+"
    r"|\.rb:\d+:in [`']"
    r"|#\d+ /[^\s:]+\.php\(\d+\)"
    r"|\bat [\w.`<>$+]+\([^()\n]*\) in \S+:line \d+"
    r"|goroutine \d+ \[running\]"
    r"|\.(?:js|ts):\d+:\d+\)"
)
_ESCAPED: Final = re.compile(r'\\(["ntr/]|u0022|u0027)')
"""Quotation marks, strokes and blanks as they stand in JSON."""
_MASKED: Final = re.compile(r"[*•]{3}|(?i:^x{4,})")
"""What is shown in the place of a secret."""
_SECRET_KEY: Final = re.compile(r"(?i)(?:^|_)(?:password|passwd|secret|api_?key|auth_?token|api_?token|private_?key)$")
TELLING: Final = 8
"""Different characters that a text must have to be known again wherever it stands."""
_LOGIN: Final = re.compile(rb"(?i)\b(?!https?:)[a-z][a-z0-9+.-]*:\\?/\\?/[^\s/:@\"]+:[^\s/@\"]+@")
"""The address of a database, or the like, with a password in it; those of webhooks may be anyone's own."""


def _secret(value: Any) -> bool:
    """True for what may be a secret: a text or a number, and none of which only a mask is shown."""
    return (
        isinstance(value, int | str) and not isinstance(value, bool) and bool(value) and not _MASKED.search(str(value))
    )


class Judgement:
    """What one interaction says: findings, rules it gives evidence for, and the record it shows."""

    __slots__ = ("evidence", "findings", "record")

    def __init__(self) -> None:
        self.findings: list[Finding] = []
        self.evidence: list[str] = []
        """The rules for which the interaction is evidence, once for each time."""
        self.record: JSONObject | None = None

    def broken(
        self,
        rule: str,
        message: str,
        at: str = "",
        *,
        expected: Any = MISSING,
        actual: Any = MISSING,
        follows: bool = False,
    ) -> None:
        """One more finding, at the pointer *at* in the answer."""
        self.findings.append(
            Finding(rule=rule, message=message, pointer=at, expected=expected, actual=actual, follows=follows)
        )

    def tell(
        self, kept: bool, rule: str, message: str, at: str = "", *, expected: Any = MISSING, actual: Any = MISSING
    ) -> None:
        """Evidence for *rule* where it is *kept*, else a finding; for what is cheap to put into words."""
        if kept:
            self.evidence.append(rule)
        else:
            self.broken(rule, message, at, expected=expected, actual=actual)


class Answers:
    """Judges the answers of one contract, each by itself.

    *secrets* are strings that no answer may hold.
    """

    def __init__(self, contract: Contract, rules: Mapping[str, Rule], secrets: Iterable[str]) -> None:
        self.contract = contract
        self.rules = rules
        self.hidden = [(secret, anchor(secret).encode()) for secret in secrets]
        self.update = contract.update
        self.listing = contract.listing
        self.fields = contract.record
        self.key = contract.identity
        """The field that names a record, if there is one."""
        self.asked = {*contract.request.fields}
        self.left: dict[str, dict[str, list[Any]]] = {}
        """Record -> field -> what bodies about which the documents are silent may have left in it."""
        request = contract.request.fields.values()
        # What is write-only for no reason that is stated may be shown: a field nobody documented is no failure.
        secret = (item.name for item in request if item.write_only and item.format == "password")
        self.written = {name: list[Any]() for name in secret if name not in self.fields}
        """Secret that is only ever written -> what was sent for it."""
        self.malformed: set[str] = set()
        """Fields that were wrong although nothing of the kind was left."""
        self._records: dict[str, RecordShape] = {}
        self._errors: dict[tuple[str, int], Any] = {}

    def record(self, operation: Operation) -> RecordShape | None:
        """What judges the record in the answers of *operation*."""
        if operation.id not in self._records:
            body = operation.response
            if self.contract.list_in(operation):
                body = self.contract.retrieve.response
            if body is None:
                return None
            self._records[operation.id] = RecordShape(operation.id, body)
        return self._records[operation.id]

    def items(self, body: Any) -> Any:
        """What stands in *body* where the list of records should; None where nothing does."""
        assert self.listing is not None
        for token in self.listing[1].split("/")[1:]:
            body = body.get(token) if isinstance(body, dict) else None
        return body

    def judge(self, interaction: Interaction) -> Judgement:
        """What the answer says by itself; its record only where it is that of the request, and more can be said of
        it.
        """
        result = Judgement()
        case, response = interaction.case, interaction.response
        operation, status = self.contract.operations[case.operation], response.status
        sent = case.fields
        for name in self.written.keys() & sent.keys():
            others = [value for other, value in sent.items() if other != name]
            if sent[name] not in (*self.written[name], *others):
                self.written[name].append(sent[name])
        self._always(operation, response, result)
        if status >= 500:
            return result
        if case.expect == "reject":
            self._refused(operation, interaction, result)
        elif response.ok:
            self._success(operation, interaction, result)
        elif response.refused:
            self._error_body(operation, response, result)
            if case.expect == "accept":
                rule = f"{operation.id}.accept" if operation is self.update else f"{operation.id}.shape.status"
                what = "a documented request is refused" if case.body is not MISSING else "a documented read is refused"
                result.broken(rule, what, expected=operation.success, actual=_brief(response))
            elif case.keep:
                result.evidence.append(case.rule)
        else:
            message = f"the answer is a {status}, which is not documented"
            result.broken(f"{operation.id}.shape.status", message, expected=operation.success, actual=status)
        return result

    def _always(self, operation: Operation, response: Response, result: Judgement) -> None:
        """What holds for every answer."""
        rule = f"{operation.id}.rejection.no_server_error"
        if response.status >= 500:
            message = f"the answer is a server error ({response.status})"
            result.broken(rule, message, expected="no 5xx", actual=_brief(response))
        else:
            result.evidence.append(rule)
        problem = self._leak(response) or self._shown(response.body) or self._quoted(response)
        rule = f"{operation.id}.rejection.no_leak"
        result.tell(not problem, rule, problem, expected="no secrets", actual="(masked)")

    def tells(self, response: Response) -> bool:
        """True where an answer holds a credential of this run, however it is escaped."""
        for secret, part in self.hidden:
            held = part in response.content and escapes(secret).search(response.content.decode("utf-8", "replace"))
            if held or any(secret in value for value in response.headers.values()):
                return True
        return False

    def _leak(self, response: Response) -> str:
        """What an answer holds that it must not, in words."""
        content = response.content
        if self.tells(response):
            return "the answer holds a credential of this run"
        # A stack trace in JSON holds one of these (a line break is a backslash), and they are found at once.
        marked = b"\\" in content or b"(" in content or b"`" in content or b"'" in content
        if (marked or response.body is MISSING) and _TRACE.search(self._unasked(response)):
            return "the answer holds a stack trace"
        if response.status >= 400 and b"@" in content and _LOGIN.search(content):
            return "the answer holds an address with a password in it"
        if isinstance(response.body, dict) and not response.body.keys() <= self.fields.keys():
            # A refusal may be about a field of the request, and name it.
            for name in response.body.keys() - self.fields.keys() - (set() if response.ok else self.asked):
                if _secret(response.body[name]) and _SECRET_KEY.search(name):
                    return f"the answer holds a field {name!r}"
        return ""

    def _shown(self, body: Any) -> str:
        """Which field that is only ever written an answer shows as it was written, in words."""
        if not self.written or not isinstance(body, dict):
            return ""
        listed = self.items(body) if self.listing is not None else None
        for entry in (body, *(listed if isinstance(listed, list) else ())):
            for name, sent in self.written.items():
                if isinstance(entry, dict) and not is_empty(entry.get(name)) and entry[name] in sent:
                    return f"the answer holds {name}, which is only ever written"
        return ""

    def _quoted(self, response: Response) -> str:
        """Which field that is only ever written an answer quotes, in words: beside documented fields, or in a
        header.
        """
        told = [(n, v) for n, sent in self.written.items() for v in sent if isinstance(v, str) and len({*v}) >= TELLING]
        if not told:
            return ""
        texts = (self._unasked(response), *response.headers.values())
        for name, value in told:
            if any(anchor(value) in text and escapes(value).search(text) for text in texts):
                return f"the answer holds what was sent as {name}, which is only ever written"
        return ""

    def _unasked(self, response: Response) -> str:
        """The text of an answer; where it succeeds, without that of documented fields, in which people write what they
        like.
        """
        if response.status < 300 and response.body is not MISSING:
            return _ESCAPED.sub(_unescaped, json.dumps(_without(response.body, self.fields.keys())))
        return _ESCAPED.sub(_unescaped, response.content.decode("utf-8", "replace"))

    # ------------------------------------------------------------- refusals

    def _refused(self, operation: Operation, interaction: Interaction, result: Judgement) -> None:
        """A request that the documents exclude."""
        case, response = interaction.case, interaction.response
        status = response.status
        wanted: tuple[int, ...] = ()
        if case.credentials != "right":
            wanted = (401, 403)
        elif under(case.rule, "access.unknown_id", "access.foreign_id"):
            wanted = (404,)
        if status in wanted or (not wanted and response.refused):
            result.evidence.append(case.rule)
            self._error_body(operation, response, result)
            return
        if response.page and response.ok and case.credentials == "right":
            self._media(operation, response, result)  # A web page is no acceptance either.
            return
        expected = " or ".join(map(str, wanted)) if wanted else "a 4xx, and nothing changed"
        message = "it is accepted" if response.ok else f"it gets a {status}"
        rule = self.rules.get(case.rule)
        text = f"{message}, although {rule.text}" if rule else message
        actual = _brief(response) if status >= 300 else f"{status}, accepted"
        if not (response.ok and _taken_for_unsent(interaction)):
            result.broken(case.rule, text, expected=expected, actual=actual)
        record = self.record(operation)
        if not (response.ok and case.target == "own" and operation is self.update and record is not None):
            return
        body, id = response.body, interaction.id
        shown = body.get(self.key) if isinstance(body, dict) and self.key and id else None
        # An answer that shows another record says nothing about this one.
        if isinstance(body, dict) and (shown is None or is_id(shown, id)):
            malformed = any(f.rule.endswith(".body") for f in record.findings(body, ""))
            result.record = None if malformed else body

    def _error_body(self, operation: Operation, response: Response, result: Judgement) -> None:
        """The body of a refusal, where the documents say for certain what it is."""
        status = response.status
        schema = operation.errors.get(status)
        if schema is None or schema.get("x-basis", "documented") != "documented":
            return
        rule = f"{operation.id}.rejection.error_body"
        if (operation.id, status) not in self._errors:
            self._errors[operation.id, status] = jsonschema_rs.Draft202012Validator(dict(schema))
        kind = response.headers.get("content-type", "")
        if response.body is MISSING or response.problem:
            message = f"the body of the {status} is not JSON: {response.problem or 'it is empty'}"
            result.broken(rule, message, expected="JSON", actual=_brief(response))
        elif wrong := _media_problem(kind, media := operation.error_types.get(status, operation.media_type)):
            message = f"the body of the {status} is not as documented: {wrong}"
            result.broken(rule, message, expected=media, actual=kind or "(none)")
        elif not self._errors[operation.id, status].is_valid(response.body):
            from jsonschema.exceptions import best_match

            error = best_match(wording()(dict(schema)).iter_errors(response.body))
            where = "".join(f"/{escape(p)}" for p in error.absolute_path) if error else ""
            what = error.message if error else "it is not as documented"
            message = f"the body of the {status} is not as documented: {what}"[:300]
            result.broken(rule, message, where, expected=said(schema), actual=response.body)
        else:
            result.evidence.append(rule)

    # ------------------------------------------------------------ successes

    def _success(self, operation: Operation, interaction: Interaction, result: Judgement) -> None:
        """A success: its envelope, its shape, and whose record it is."""
        response = interaction.response
        shape, success, status = f"{operation.id}.shape", operation.success, response.status
        message = f"the success is a {status}"
        result.tell(status == success, f"{shape}.status", message, expected=success, actual=status)
        self._media(operation, response, result)
        if response.body is MISSING:
            message = f"the body is not JSON: {response.problem or 'it is empty'}"
            result.broken(f"{shape}.json", message, expected="JSON", actual=_brief(response))
            return
        if response.problem:
            result.broken(f"{shape}.json", response.problem, expected="RFC 8259 in UTF-8", actual=_brief(response))
        else:
            result.evidence.append(f"{shape}.json")
        record = self.record(operation)
        if record is None:
            return
        if self.contract.list_in(operation):
            self._list(operation, record, response.body, result)
            return
        if not isinstance(response.body, dict):
            result.broken(f"{shape}.body", "the answer is no object", expected="an object", actual=response.body)
            return
        case = interaction.case
        if case.open and isinstance(case.body, Mapping) and interaction.id and case.target == "own":
            left = self.left.setdefault(interaction.id, {})
            for name in {*case.open} & {*case.body}:  # What comes later may be ignored.
                left.setdefault(name, []).append(case.body[name])
        found = self._findings(operation, record, response.body, "", interaction.id)
        result.findings += found
        wrong = {f.rule for f in found}
        if f"{shape}.body" in wrong:
            return
        result.evidence += record.evidence(response.body, wrong)
        if self.key and interaction.id and interaction.case.target == "own":
            shown = response.body.get(self.key)
            if not (is_id(shown, interaction.id) or shown is None or f"{operation.id}.format.{self.key}" in wrong):
                message = f"{self.key} {'was written to' if case.respells else 'is not the one that was asked for'}"
                rule = case.rule if case.respells else f"{shape}.identity"
                result.broken(rule, message, f"/{escape(self.key)}", expected=interaction.id, actual=shown)
                # Nothing that another record shows says anything about this one.
                return
            result.evidence.append(f"{shape}.identity")
        result.record = response.body

    def _findings(
        self, operation: Operation, record: RecordShape, shown: JSONObject, base: str, id: str
    ) -> list[Finding]:
        """What is wrong with the shape of a record as it is *shown*. That an API took what it could have refused, a
        blank for an id say, and shows just that, is told of the request, and is no malformed answer.
        """
        found = record.findings(shown, base)
        if not found:
            return found
        left = self.left.get(id, {})
        own = {n for n, sent in left.items() if any(same(None, shown.get(n, MISSING), value) for value in sent)}
        own -= self.malformed
        # What an API derives of it holds it too.
        values = [value for name in own for value in left[name]]
        own |= {n for n, f in self.fields.items() if f.changes == "derived" and shown.get(n) in values}
        own = {f"{operation.id}.format.{name}" for name in own}
        told = [f for f in found if f.rule not in own]
        # What was wrong by itself stays so, although what is put back is sent by such a body too.
        self.malformed |= {f.leaf for f in told}
        return told

    def _media(self, operation: Operation, response: Response, result: Judgement) -> None:
        """Media type and charset."""
        rule, value = f"{operation.id}.shape.media_type", response.headers.get("content-type", "")
        wrong = _media_problem(value, operation.media_type)
        result.tell(not wrong, rule, wrong, expected=operation.media_type, actual=value or "(none)")

    def _list(self, operation: Operation, record: RecordShape, body: Any, result: Judgement) -> None:
        """A list of records."""
        assert self.listing is not None
        pointer, rule = self.listing[1], f"{operation.id}.shape.body"
        items = self.items(body)
        if not isinstance(items, list):
            message = f"there is no list of records at {pointer}"
            result.broken(rule, message, pointer, expected="a list", actual="absent" if items is None else items)
            return
        known = pointer.split("/")[1]
        for name, item in operation.response.fields.items() if operation.response is not None else ():
            if name == known:
                continue
            if name in body:
                for f in record.field(item, body[name], f"/{escape(name)}"):
                    result.broken(rule, f.message, f.pointer, expected=f.expected, actual=f.actual)
            elif item.required:
                message = f"{name} is missing from the list"
                result.broken(rule, message, f"/{escape(name)}", expected="present", actual="absent")
        for i, entry in enumerate(items[:100]):
            where = f"{pointer}/{i}"
            if not isinstance(entry, dict):
                message = "an entry of the list is no object"
                result.broken(rule, message, where, expected="an object", actual=entry)
                continue
            found = self._findings(operation, record, entry, where, str(entry.get(self.key)))
            result.findings += found
            wrong = {f.rule for f in found}
            result.evidence += record.evidence(entry, wrong)


def is_id(shown: Any, id: str) -> bool:
    """True where *shown* is the id of a record that a path names *id*; ids may be integers, and a UUID
    that was given in capitals is written in small letters by most.
    """
    return shown == id or shown == canonical(id) or (type(shown) is int and str(shown) == id)


def _taken_for_unsent(interaction: Interaction) -> bool:
    """True where what was sent empty is shown as it was stored: an API may take an empty field for one that was not
    sent, and so it is not empty.
    """
    before, shown = interaction.before or {}, interaction.response.body
    empty = [name for name, value in interaction.case.fields.items() if value == ""]
    kept = (not is_empty(before.get(n)) and same(None, shown.get(n), before[n]) for n in empty)
    return isinstance(shown, Mapping) and bool(empty) and all(kept)


@lru_cache(maxsize=64)
def _media_problem(value: str, media: str) -> str:
    """What is wrong with a Content-Type where *media* is documented; nothing if it is right."""
    kind, _, rest = value.partition(";")
    if kind.strip().lower() != media:
        return (
            "the answer's media type is not JSON" if media == "application/json" else f"its media type is not {media}"
        )
    charset = re.search(r'charset\s*=\s*"?([^";\s]+)', rest, re.IGNORECASE)
    known = charset is None or charset[1].lower() in {"utf-8", "utf8"}
    return "" if known else "the answer names a charset that is not UTF-8"


def _without(value: Any, names: Collection[str]) -> Any:
    """*value* without the text of the fields *names*, however deep they stand."""
    if isinstance(value, dict):
        return {n: _without(v, names) for n, v in value.items() if n not in names or not isinstance(v, str)}
    return [_without(item, names) for item in value] if isinstance(value, list) else value


def _unescaped(found: re.Match[str]) -> str:
    return {'"': '"', "u0022": '"', "u0027": "'", "/": "/"}.get(found[1], " ")


def _brief(response: Response) -> str:
    """Status and the beginning of the body."""
    text = response.content[:300].decode("utf-8", "replace")
    return f"{response.status} {text}".strip()
