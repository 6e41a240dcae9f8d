"""Brings a contract to schemathesis: a hooks module, as in ``hooks = "contract.schemathesis"``.

Importing it registers checks, string formats and examples, and does nothing else: settings and the
fragment are read when schemathesis first asks. What schemathesis sends on its own account is judged
only where the documents are certain, because most of it they are silent about; the contract's own
tour, which goes along as examples, must be accepted as well.

An update goes to the records in ``CONTRACT_IDS`` and to no other, whichever ids schemathesis has
come across. They are left as the last update made them.

Source: schemathesis 4, "Extending Schemathesis": checks, hooks, string formats.
"""

from __future__ import annotations

import json
import re
import threading
import unicodedata
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from string import ascii_uppercase
from typing import TYPE_CHECKING, Any, Final

import jsonschema_rs
import schemathesis
from hypothesis import strategies as st
from schemathesis.core.failures import Failure, FailureGroup, Severity

from contract import config, export, plan
from contract import spec as specs
from contract.answer import Judgement
from contract.check import Judge
from contract.document import escape
from contract.formats import CUSTOM, is_e164, is_region
from contract.ledger import Ledger
from contract.mask import mask_of, shown
from contract.model import MISSING, Case, Finding, Interaction, JSONObject, Response
from contract.send import decode, received
from contract.shape import same
from contract.spec import Field, Operation

if TYPE_CHECKING:
    from schemathesis.checks import CheckContext
    from schemathesis.core.transport import Response as Answer
    from schemathesis.hooks import HookContext

__all__ = ["CHECKS", "BrokenRule"]

CHECKS: Final[Mapping[str, tuple[str, ...]]] = {
    "contract_shape": ("shape", "enum", "e164", "format"),
    "contract_accept": ("accept",),
    "contract_handlers": ("handler",),
    "contract_echo": ("echo", "deprecated"),
    "contract_frame": ("frame", "time"),
    "contract_read_back": ("read_back",),
    "contract_rejection": ("rejection",),
}
"""The name of each check, and the promises that it holds an answer to."""

_THEIRS: Final = ("rejection.no_server_error", "rejection.error_body")
"""Rules that schemathesis has checks of its own for."""
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
_NOBODY: Final = "00000000-0000-4000-8000-00000000dead"
_URL: Final = re.compile(r"https://[a-z0-9-]+(?:\.[a-z0-9-]+)+(?:/[\w.~%/-]*)?(?:\?[\w.~%=&-]*)?", re.ASCII)
_LONG: Final = 100
"""Characters up to which every API that takes free text takes it."""
_LARGE: Final = 2**31
"""Numbers from here on, and more than three decimals, are more than some APIs keep."""


class BrokenRule(Failure):
    """An answer breaks a rule of the contract; the rule's id is its identity in baselines and reports."""

    kind_title = "Contract broken"
    __slots__ = ("rule",)

    def __init__(self, *, operation: str, rule: str, message: str, case_id: str | None = None) -> None:
        title = f"{self.kind_title}: {rule}"
        super().__init__(operation=operation, title=title, message=message, case_id=case_id, severity=Severity.HIGH)
        self.rule = rule

    @property
    def _unique_key(self) -> str:
        return self.rule


@dataclass(slots=True)
class _Record:
    """What is known of one record."""

    known: JSONObject | None = None
    """The record as the last answer showed it."""
    verified: bool = False
    """True where *known* was read, not only shown by an update's answer."""
    read: JSONObject | None = None
    """The record as it was last read."""
    refused: list[JSONObject] = field(default_factory=list)
    """The bodies of updates that were refused since the last read."""


@dataclass(frozen=True, slots=True)
class _Verdict:
    """What one answer says."""

    failures: Mapping[str, tuple[BrokenRule, ...]]
    """Promise -> the rules of it that are broken."""
    judged: frozenset[str]
    """The promises that the answer bears on."""


class _Local(threading.local):
    """What one thread keeps between a request, its answer and the checks of the answer."""

    sent: tuple[int, bool] | None = None
    """How many updates were begun by anyone when the request was sent; whether another one was under way."""
    answer: Any = None
    verdict: _Verdict | None = None


class _Bridge:
    """One contract, and what is known of the records that schemathesis sends requests about."""

    def __init__(self) -> None:
        self.settings = config.resolve()
        self.contract = specs.load(self.settings.spec or None)
        given = config.credentials()
        self.judge = Judge(self.contract, secrets=(given["password"], given["token"]))
        self.mask = mask_of(self.settings, given)
        self.operations = {operation.label: operation for operation in self.contract.operations.values()}
        self.records: dict[str, _Record] = {}
        self.tours: set[str] = set()
        """The ids of the cases that are steps of the tour."""
        self.begun = 0
        """How many updates were sent by anyone."""
        self.flying: set[int] = set()
        """The threads whose update has no answer yet."""
        self.lock = threading.Lock()
        self.local = _Local()

    def operation(self, theirs: Any) -> Operation | None:
        """The contract's operation for one of schemathesis."""
        return self.operations.get(theirs.label) if theirs is not None else None

    # ----------------------------------------------------------------- requests

    def tour(self, theirs: Any) -> Iterator[Any]:
        """The steps of the tour as cases of schemathesis."""
        key = self.contract.update.key
        path = {key.name: self.settings.ids[0]} if key is not None else {}
        reads = theirs.schema.find_operation_by_label(self.contract.retrieve.label)
        profile = "smoke" if self.settings.profile == "smoke" else "standard"
        made = plan.plan(self.contract, profile=profile, seed=self.settings.seed, resources=self.settings.resources)
        if reads is not None:
            # What the first step changes can be seen only where it is known what stood there.
            yield reads.Case(path_parameters=path)
        for block in made.blocks:
            for case in block.cases if block.name == "tour" else ():
                if case.operation == self.contract.update.id:
                    step = theirs.Case(
                        path_parameters=path, body=dict(case.body), media_type=self.contract.update.media_type
                    )
                    self.tours.add(step.id)
                    yield step
                elif reads is not None:
                    yield reads.Case(path_parameters=path)

    def reads(self, theirs: Any) -> Iterator[Any]:
        """A read of each record that may be updated."""
        key = self.contract.retrieve.key
        if key is None:
            return
        for id in self.settings.ids:
            yield theirs.Case(path_parameters={key.name: id})

    def prepare(self, case: Any) -> None:
        """Keeps a request away from records that it must not change, and notes that it is sent."""
        operation = self.operation(case.operation)
        if operation is None:
            return
        declared = case.method == operation.method
        writes = case.method not in _SAFE
        key = operation.key
        if writes and key is not None and self.settings.ids:
            id = case.path_parameters.get(key.name)
            other = id
            if not declared:
                # Whatever DELETE does here, it is done to nobody.
                other = _NOBODY
            elif str(id) not in self.settings.ids and _may_name(key.schema, id):
                other = self.settings.ids[zlib.crc32(str(id).encode()) % len(self.settings.ids)]
            if other != id:
                case.path_parameters = {**case.path_parameters, key.name: other}
        if operation is self.contract.update and declared and isinstance(case.body, dict):
            body = self.fitting(case.body, self.id(operation, case), tour=case.id in self.tours)
            if body != case.body:
                case.body = body
        me = threading.get_ident()
        with self.lock:
            # A thread has one request under way: an earlier one of its own came to nothing.
            self.flying.discard(me)
            self.begun += writes
            self.local.sent = (self.begun, bool(self.flying))
            if writes:
                self.flying.add(me)

    def fitting(self, body: JSONObject, id: str, *, tour: bool) -> JSONObject:
        """*body* as the record *id* can take it: with ids of things that exist, and in the tour without
        values that are only for records which can do it, unless this one is known to.
        """
        known = self.records.get(id, _Record()).known or {}
        found = {}
        for name, value in body.items():
            item = self.contract.request.fields.get(name)
            if item is not None and item.may_name and isinstance(value, str):
                value = self.settings.resources.get(name, value)
            if not (tour and item is not None and item.among and value not in (known.get(item.among) or ())):
                found[name] = value
        return found

    def id(self, operation: Operation, case: Any) -> str:
        """The id of the record that a case is about, or nothing."""
        value = case.path_parameters.get(operation.key.name) if operation.key is not None else None
        return "" if value is None else str(value)

    # ------------------------------------------------------------------ answers

    def lost(self, case: Any) -> None:
        """Notes that no answer came."""
        if self.operation(case.operation) is not None and case.method not in _SAFE:
            with self.lock:
                self.flying.discard(threading.get_ident())
                self.records.clear()

    def verdict(self, case: Any, answer: Any) -> _Verdict | None:
        """What *answer* says, judged once; nothing where the contract does not know the operation."""
        if self.local.answer is not answer:
            self.local.answer, self.local.verdict = answer, self.understand(case, answer)
        return self.local.verdict

    def understand(self, case: Any, answer: Answer) -> _Verdict | None:
        """Judges one answer, and remembers the record that it shows."""
        operation = self.operation(case.operation)
        if operation is None:
            return None
        with self.lock:
            sent, self.local.sent = self.local.sent, None
            self.flying.discard(threading.get_ident())
            if sent is not None and sent != (self.begun, False):
                # Two requests side by side: which of them was carried out first, nobody can tell.
                self.records.clear()
            if answer.status_code == 429:
                return None
            if (
                case.method != operation.method
                or answer.status_code == 503
                or answer.content_size != len(answer.content)
            ):
                # What was done, and what is there now, cannot be seen.
                if case.method not in _SAFE:
                    self.records.clear()
                return None
            return self.judged(operation, case, answer, _response(answer))

    def judged(self, operation: Operation, case: Any, answer: Answer, response: Response) -> _Verdict:
        """The verdict on *response*."""
        id = self.id(operation, case)
        record = self.records.setdefault(id, _Record()) if id else _Record()
        body = decode(_content(answer))[0] if operation is self.contract.update else MISSING
        before = record.known
        made = Case(
            label="schemathesis",
            operation=operation.id,
            expect="accept" if case.id in self.tours else "unspecified",
            body=body,
            open={} if case.id in self.tours or not isinstance(body, dict) else self.open(body, before),
        )
        interaction = Interaction(
            case=made,
            response=response,
            before=before,
            verified=record.verified,
            id=id if id in self.settings.ids else "",
        )
        result = self.judge.judge(interaction)
        result.findings = [self.unstored(record, finding) for finding in result.findings]
        self.listed(operation, response, result)
        if operation is self.contract.retrieve and before is not None and result.record is not None:
            result.findings += self.traces(record, before, result.record)
        if isinstance(body, dict) and response.ok:
            result.findings += self.excluded(body, before if record.verified else None)
        self.remember(operation, record, response, result, body)
        return self.told(case, interaction, result)

    def open(self, body: Mapping[str, Any], before: JSONObject | None) -> dict[str, str]:
        """The members of *body* for which the documents are silent, with the kind of value."""
        found = {}
        for name, value in body.items():
            item = self.contract.request.fields.get(name)
            if item is None:
                continue
            able = item.among and before is not None and value in (before.get(item.among) or ())
            kind = _kind(item, value) if able or not item.among else "any"
            # Whether a value was ignored can be told only where it is known what stood there before.
            if kind:
                found[name] = "any" if before is None else kind
        return found

    def excluded(self, body: JSONObject, before: JSONObject | None) -> Iterator[Finding]:
        """What the documents exclude in *body*, which was accepted.

        An enum's value in other letters is let pass, and what was never read says nothing about
        the companions that are stored.
        """
        request = self.contract.request
        prefix = self.contract.update.id
        broken: list[tuple[str, Any]] = []
        for name, value in body.items():
            item = request.fields.get(name)
            if item is not None and (facet := item.beyond(value)):
                broken.append((f"{prefix}.rejection.{name}.{facet}", value))
            if item is None or not item.enum or not isinstance(value, str):
                continue
            known = {str(v).lower() for v in (*item.enum, *item.open_values)}
            if value.strip() and value.strip().lower() not in known:
                broken.append((f"{prefix}.rejection.{name}.enum", value))
            choice = item.choices.get(value)
            if choice is None or before is None or before.get(name, value) == value:
                continue
            for other in choice.requires:
                names = request.aliases_of((other,))
                empty = all(before.get(n, MISSING) is None for n in names if n in self.judge.fields)
                if other in self.judge.fields and empty and not names & set(body):
                    broken.append((f"{prefix}.handler.{name}.{value}.requires.{other}", MISSING))
        for rule, value in broken:
            text = f"it is accepted, although {self.judge.rules[rule].text}"
            yield Finding(rule=rule, message=text, expected="a 4xx, and nothing changed", actual=value)

    def unstored(self, record: _Record, finding: Finding) -> Finding:
        """*finding*, or the one behind it: a field that is again as it was last read was never stored."""
        name = finding.name
        if not finding.follows or record.read is None or name not in record.read:
            return finding
        if not same(self.judge.fields.get(name), record.read[name], finding.actual):
            return finding
        message = f"{name} is again what it was before the update that set it: that update was answered, not stored"
        return replace(finding, rule=f"{self.contract.update.id}.read_back", message=message, follows=False)

    def listed(self, operation: Operation, response: Response, result: Judgement) -> None:
        """The records that are known, as a list shows them."""
        if self.contract.list_in(operation):
            for id, record in self.records.items():
                if record.known is not None:
                    other = self.judge.in_list(response, id, record.known)
                    result.findings += other.findings
                    result.evidence += other.evidence

    def traces(self, record: _Record, before: JSONObject, now: JSONObject) -> Iterator[Finding]:
        """What refused updates left behind in a record that was read before and after them."""
        if not record.verified:
            return
        for name, old, new in self.judge.differences(now, before):
            if any(same(self.judge.fields[name], body.get(name, MISSING), new) for body in record.refused):
                yield Finding(
                    rule=f"{self.contract.update.id}.rejection.no_trace",
                    message=f"{name} is now what an update would have made it that was refused",
                    pointer=f"/{escape(name)}",
                    expected=old,
                    actual=new,
                )

    def remember(self, operation: Operation, record: _Record, response: Response, result: Judgement, body: Any) -> None:
        """Notes what an answer says about the record."""
        accepted = response.ok
        if operation is self.contract.retrieve:
            if result.record is not None:
                record.known, record.verified, record.read = result.record, True, result.record
                record.refused.clear()
        elif operation is self.contract.update:
            if accepted or response.status >= 500:
                record.known, record.verified = result.record if accepted else None, False
            elif isinstance(body, dict):
                record.refused.append(body)

    def told(self, case: Any, interaction: Interaction, result: Judgement) -> _Verdict:
        """The findings that stand for themselves, as failures of schemathesis."""
        rules = self.judge.rules
        judged = {rules[name].promise for name in result.evidence if name.partition(".")[2] not in _THEIRS}
        if not result.findings:
            return _Verdict({}, frozenset(judged))
        ledger = Ledger(rules=rules, strict=self.settings.strict)
        ledger.add(interaction, result, 0)
        ledger.fold()
        failures: dict[str, tuple[BrokenRule, ...]] = {}
        for name, found in ledger.causes().items():
            rule = rules[name]
            if name.partition(".")[2] in _THEIRS or ledger.weak(name):
                continue
            message = self.message(found[0].finding, name)
            made = BrokenRule(operation=case.operation.label, rule=name, message=message, case_id=case.id)
            failures[rule.promise] = (*failures.get(rule.promise, ()), made)
        return _Verdict(failures, frozenset(judged | set(failures)))

    def message(self, finding: Finding, name: str) -> str:
        """A finding in words, with the rule that it breaks and where that is stated."""
        rule = self.judge.rules[name]
        place = finding.leaf
        lines = [self.mask.text(finding.message) + (f" (at {finding.pointer})" if finding.pointer else ""), ""]
        for label, value in (("expected", finding.expected), ("actual", finding.actual)):
            if value is not MISSING or label == "actual":
                text = shown(self.mask.value(value, place)) if value is not MISSING else "(absent)"
                lines.append(f"    {label + ':':<10}{text}")
        if finding.follows:
            lines += [
                "",
                "What stood there before was shown by an update and never read: it may never have been stored.",
            ]
        lines += ["", f"Rule {name}: {rule.text}", f"Source ({rule.basis}): {self.contract.source(rule.fact)}"]
        return "\n".join(lines)


@cache
def _bridge() -> _Bridge:
    """The bridge of this process, made when it is first needed."""
    return _Bridge()


@cache
def _validator(schema: str) -> Any:
    return jsonschema_rs.Draft202012Validator(json.loads(schema), validate_formats=True, formats=CUSTOM)


def _well_formed(schema: Mapping[str, Any], value: Any) -> bool:
    """True where *value* is one that *schema* describes, its format included."""
    return bool(_validator(json.dumps(schema, sort_keys=True)).is_valid(value))


def _may_name(schema: Mapping[str, Any], value: Any) -> bool:
    """True where *value* in a path may name a record: a number is often written as text there."""
    text = str(value)
    forms = (value, text, int(text)) if text.isdecimal() else (value, text)
    return any(_well_formed(schema, form) for form in forms)


def _kind(item: Field, value: Any) -> str:
    """How certain it is what becomes of an accepted *value*: see `check.settled`; nothing where it is certain."""
    if value is None:
        return "null"
    if item.enum:
        known = any(type(v) is type(value) and v == value for v in item.enum)
        return "" if known and value not in item.open_values else "any"
    if not _well_formed(item.schema, value):
        return "any"
    if isinstance(value, bool):
        return ""
    if isinstance(value, (int, float)):
        return "" if abs(value) < _LARGE and round(value, 3) == value else "any"
    if isinstance(value, list) and item.item_enum:
        return "" if len(set(map(repr, value))) == len(value) else "any"
    if not isinstance(value, str):
        return "exact"
    if not value.strip():
        return "blank"
    plain = all(unicodedata.category(c)[0] in "LMNPS" or c == " " for c in value)
    if not plain or len(value) > _LONG or (item.format == "uri" and not _URL.fullmatch(value)):
        return "exact"
    return ""


def _content(answer: Answer) -> bytes:
    """The bytes of the request that *answer* answers."""
    content = getattr(answer.request, "body", None)
    return content.encode() if isinstance(content, str) else content if isinstance(content, bytes) else b""


def _response(answer: Answer) -> Response:
    """An answer as this tool sees it."""
    headers = {name: ", ".join(values) for name, values in answer.headers.items()}
    return received(answer.status_code, headers, answer.content)


# ---------------------------------------------------------------- what schemathesis calls


@schemathesis.hook
def before_load_schema(context: HookContext, raw_schema: dict[str, Any]) -> None:
    """Conditions are put in words with which schemathesis can generate bodies."""
    export.with_alternatives(_bridge().contract, raw_schema)


@schemathesis.hook
def before_add_examples(context: HookContext, examples: list[Any]) -> None:
    """The tour goes along as examples of the update, and a read of each record as one of the retrieve."""
    bridge = _bridge()
    operation = bridge.operation(context.operation)
    if not bridge.settings.ids or operation is None:
        return
    # The last example is sent first.
    if operation is bridge.contract.update:
        examples.extend(reversed(list(bridge.tour(context.operation))))
    elif operation is bridge.contract.retrieve:
        examples.extend(bridge.reads(context.operation))


@schemathesis.hook
def before_call(context: HookContext, case: Any, kwargs: dict[str, Any]) -> None:
    """A request is about to be sent."""
    _bridge().prepare(case)


@schemathesis.hook
def after_call(context: HookContext, case: Any, response: Answer) -> None:
    """An answer came; it is judged here, so that requests which other checks send count too."""
    _bridge().verdict(case, response)


@schemathesis.hook
def after_network_error(context: HookContext, case: Any, request: Any) -> None:
    """No answer came."""
    _bridge().lost(case)


def _check(promises: tuple[str, ...]) -> Callable[[CheckContext, Answer, Any], bool | None]:
    """A check of schemathesis that holds an answer to *promises*."""

    def check(ctx: CheckContext, response: Answer, case: Any) -> bool | None:
        verdict = _bridge().verdict(case, response)
        if verdict is None or not verdict.judged.intersection(promises):
            return True  # It did not apply.
        failures = [failure for promise in promises for failure in verdict.failures.get(promise, ())]
        if failures:
            raise FailureGroup(failures)
        return None

    return check


for _name, _promises in CHECKS.items():
    _made = _check(_promises)
    _made.__name__ = _made.__qualname__ = _name
    _made.__doc__ = f"Holds an answer to what the contract says about: {', '.join(_promises)}."
    schemathesis.check(_made)

schemathesis.openapi.format("e164", st.from_regex(r"\+[1-9][0-9]{6,14}", fullmatch=True).filter(is_e164))
schemathesis.openapi.format(
    "iso-3166-1-alpha-2", st.sampled_from([a + b for a in ascii_uppercase for b in ascii_uppercase if is_region(a + b)])
)
