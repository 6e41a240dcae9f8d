"""One record under test: sends cases to it, keeps what is known of it, and has every answer judged."""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from email.utils import parsedate_to_datetime
from typing import Any, Final

from contract.answer import Judgement
from contract.budget import USUAL
from contract.check import Judge
from contract.document import escape
from contract.errors import SendError, Undecided
from contract.formats import instant
from contract.generate import Generator
from contract.ledger import Failure, Ledger
from contract.model import MISSING, Case, Finding, Interaction, JSONObject, Response, is_empty, under
from contract.send import Sender
from contract.shape import same

__all__ = ["RECENT", "Session"]

RECENT: Final = 8
"""Updates to which an API that loses some of them may fall back."""
MANY: Final = 200_000
"""Values that are remembered for telling what someone else wrote."""


class Session:
    """Everything that one run does to one record; used by one thread."""

    def __init__(self, judge: Judge, sender: Sender, ledger: Ledger, id: str, generator: Generator) -> None:
        self.judge = judge
        self.sender = sender
        self.ledger = ledger
        self.id = id
        self.generator = generator
        self.contract = judge.contract
        plain = Generator(self.contract.update)
        self.needed = {n: plain.options(n)[0] for n in plain.required}
        """Every field that an update must have, with a plain value."""
        self.known: JSONObject | None = None
        """The record as it was last shown."""
        self.verified = False
        """True where *known* was read, not only shown by an update's answer."""
        self.refused: list[tuple[Case, int]] = []
        """Refused updates since the last read, with the number of the request."""
        self.updates: list[tuple[Case, int, JSONObject | None]] = []
        """Accepted updates, the newest last, each with the number of its request and the record before it."""
        self.refusals: list[tuple[Case, int]] = []
        """Refused updates, the newest last."""
        self.stood: tuple[JSONObject, ...] = ()
        """(what was known of the record before the last read but one, what that read showed)."""
        self._newest: tuple[JSONObject, ...] = ()
        self.seen: list[int] = []
        """The numbers of the reads that showed the record."""
        self.crossed: set[int] = set()
        """The numbers of the reads that were sent over another connection than the update before them."""
        self.written: set[str] = set()
        self.misread = 0
        """Reads that showed something else than the answer to the update before them."""
        self.failed = 0
        """Updates that were answered 5xx."""
        self.dead_end: JSONObject | None = None
        """What should have brought the record back to where it stood, and was refused."""
        self.clears: bool | None = None
        """True where null was seen to clear a field, False where it was seen not to."""
        self.alone: set[str] = set()
        """Ids that were sent while the selector that uses them was not."""
        self.sheds = False
        """True where companions are cleared when a selector leaves the value that uses them."""
        self.waiting: list[Case] = []
        """Omissions that prove nothing yet, as what they omit is stored and could not be cleared."""
        self.blind = 0
        """Reads in a row that did not show the record."""
        self.nudged = 0
        """Reads since the last update that showed a time stamp a little later than the read before, with nothing but
        refusals between them."""
        self.renewed = False
        """True where refusals were sent once more for that."""
        self.quiet = False
        """True while a failure is looked into: nothing is noted in the ledger."""
        self.still: list[tuple[Case, JSONObject, float, float]] = []
        """Accepted updates that changed something and moved no time stamp: each with the record before it, the seconds
        for which the stamp had stood, and those by which the clock of this run was before it when it was sent."""
        self.steps: list[float] = []
        """Seconds by which the others moved one."""
        self.ahead = -math.inf
        """Seconds by which the clock of the time stamps is before that of this run at least, as the others show."""
        self._stamp: tuple[str, float] | None = None
        self._moved = False
        self.last: Response | None = None
        """The newest answer to a read."""
        self.ours: set[int] = set()
        """Every value that this run found or sent, as the hash of its JSON."""
        self.odd: list[str] = []
        """What was sent that is no JSON."""
        self.foreign: dict[str, tuple[Any, Any]] = {}
        """Field -> (before, now), where someone else wrote to the record."""
        self.doubt: Callable[[Interaction, Mapping[str, tuple[Any, Any]]], None] | None = None
        """Called with an answer that shows a change which was not sent, and what changed."""

    @property
    def now(self) -> JSONObject:
        """The record as it was last shown; nothing where that is not known."""
        return self.known or {}

    # ------------------------------------------------------------------ sending

    def perform(self, case: Case) -> tuple[Judgement, Response]:
        """Sends *case*, has it judged, and notes what it says.

        Raises:
            SendError: no answer came back.
            Undecided: a budget is spent, or the API puts every request off.
        """
        body = self.fitting(case.body)
        if case.respells:
            # A UUID means the same with its letters in the other case.
            body = {**body, case.respells: str(self.now.get(case.respells, self.id)).swapcase()}
        if self._writes(case):
            body = self.completed(body, case)
        if body is not case.body:
            case = replace(case, body=body)
        self._own(body)
        if case.content is not None:
            self.odd.append(case.content.decode("utf-8", "replace"))
        own, reads = case.target == "own", case.operation == self.contract.retrieve.id
        verified = self.verified or not (reads or self._writes(case))
        interaction, result = self._judged(case, self.known if own else None, verified)
        self._take_in(interaction, result)
        if not self.quiet and case.expect == "unspecified":
            self._observe(case, interaction.response, interaction.before, result)
        return result, interaction.response

    def _judged(self, case: Case, before: JSONObject | None, verified: bool) -> tuple[Interaction, Judgement]:
        """Sends *case*, and has the answer judged."""
        response = self.sender.send(case, self.id)
        interaction = Interaction(
            case=case, response=response, before=before, verified=verified, id=self.id, age=self._age(response)
        )
        return interaction, self.judge.judge(interaction)

    def _take_in(self, interaction: Interaction, result: Judgement) -> None:
        """Notes what an interaction says of the record and, unless this is quiet, of the rules."""
        number = self.sender.budget.spent
        self._note(interaction.case, interaction.response, result, number, interaction.before)
        self._question(interaction, result)
        if self.quiet:
            return
        # Of what is unusually large only so much is kept as tells it from others.
        if len(interaction.response.content) > USUAL:
            interaction = replace(interaction, response=interaction.response.slim(), before=_slim(interaction.before))
            result.findings = [
                replace(f, expected=_short(f.expected), actual=_short(f.actual)) for f in result.findings
            ]
        self.ledger.add(interaction, result, number)

    def _own(self, value: Any) -> None:
        """Remembers the values in *value*; after very many of them no value can be called novel any more."""
        self.ours.update(map(hash, _values(value)))
        if len(self.ours) > MANY:
            self.doubt = None

    def _question(self, interaction: Interaction, result: Judgement) -> None:
        """Has it looked into where an answer shows a change that was not sent."""
        case, before, record = interaction.case, interaction.before, result.record
        request = self.contract.request
        if self.doubt is None or before is None or record is None or case.target != "own":
            return
        if case.operation not in {self.contract.update.id, self.contract.retrieve.id}:
            return
        sent = case.fields
        changed = {
            name: (before[name], record[name])
            for name in self.judge.plain
            if name in request.fields and name not in sent and name in record and name in before
            and record[name] != before[name] and not same(self.judge.fields[name], record[name], before[name])
        }  # fmt: skip
        if changed:
            free, cleared = self.judge.exempt(sent, record, before)
            changed = {
                n: pair for n, pair in changed.items() if n not in free and (n not in cleared or not is_empty(pair[1]))
            }
        for name, (_, now) in changed.items():
            if not self.quiet and self.bygone(name, now):
                self.ledger.bygone = name
        if changed:
            self.doubt(interaction, changed)

    def novel(self, name: str, value: Any) -> bool:
        """True for a value of a field that this run neither found nor sent, and that no API fills in by itself."""
        item = self.contract.request.fields.get(name)
        default = item.default if item is not None else None
        if value in (None, "", default) or hash(_text(value)) in self.ours:
            return False
        return not any(_text(value) in text for text in self.odd)

    def bygone(self, name: str, value: Any) -> bool:
        """True for a free value that this run sent so long ago that no API would fall back to it."""
        request = self.contract.request
        if name not in request.fields or request.fields[name].enum or is_empty(value):
            return False
        if self.novel(name, value) or len(self.updates) <= RECENT or value == (self.updates[0][2] or {}).get(name):
            return False
        fields = request.aliases_of((name,))
        late = self.updates[-RECENT:]
        shown = [(before or {}).get(f) for _, _, before in late for f in fields]
        cases = [case for case, _, _ in late] + [case for case, _ in self.refusals[-RECENT:]]
        sent = [case.body[f] for case in cases for f in fields if f in case.fields]
        if value in shown or value in sent or value in [record.get(name) for record in self.stood]:
            return False
        earlier = [case for case, _, _ in self.updates[:-RECENT]] + [case for case, _ in self.refusals[:-RECENT]]
        return any(case.fields.get(field) == value for case in earlier for field in fields)

    def fitting(self, body: Any) -> Any:
        """*body* without values that this record cannot take: some are only for records that can do it."""
        if not isinstance(body, Mapping) or self.known is None:
            return body
        unable = set()
        for name, value in body.items():
            item = self.contract.request.fields.get(name)
            if item is not None and item.among and value in item.enum:
                able = self.known.get(item.among)
                if isinstance(able, list) and value not in able:
                    unable.add(name)
        return {k: v for k, v in body.items() if k not in unable} if unable else body

    def completed(self, body: Any, case: Case) -> Any:
        """*body* with the required fields that it lacks, as they stand, so that it is not refused for their
        sake; without what *case* lacks on purpose.
        """
        if not isinstance(body, Mapping) or not body:
            return body
        known = self.now
        lacks = {*body, *case.absent, case.rule.removeprefix(f"{case.operation}.rejection.").removesuffix(".required")}
        missing = {n: known.get(n, v) for n, v in self.needed.items() if n not in lacks}
        return {**body, **missing} if missing else body

    def _writes(self, case: Case) -> bool:
        return case.operation == self.contract.update.id

    def _age(self, response: Response) -> float:
        """Seconds for which the time stamp of *known* has stood for certain, when *response* came."""
        if self.known is None or not self.judge.stamps:
            return 0.0
        value = self.known.get(self.judge.stamps[0])
        if not isinstance(value, str):
            return 0.0
        if self._stamp is None or self._stamp[0] != value:
            self._moved = self._stamp is not None
            self._stamp = (value, response.at + response.elapsed)
        local = response.at - self._stamp[1]
        if self._moved or local > 3 or "date" not in response.headers:
            return local
        # The stamp that was found is older than this run: the server's own clock says how old.
        try:
            shown = parsedate_to_datetime(response.headers["date"])
            stamp = instant(value)
            return max(local, (shown - stamp).total_seconds()) if stamp is not None else local
        except (ValueError, TypeError, OverflowError):
            return local

    def rest(self, seconds: float) -> None:
        """Waits until the time stamp of *known* has stood for *seconds*."""
        stood = self.sender.budget.clock() - self._stamp[1] if self._stamp is not None else 0.0
        self.sender.sleep(max(0.0, seconds - stood))

    def _note(self, case: Case, response: Response, result: Judgement, number: int, before: JSONObject | None) -> None:
        """What is known of the record after an answer."""
        if case.target != "own":
            if self._writes(case) and response.refused:
                self._refuse(case, number)  # It may have been applied here all the same.
            return
        if case.operation == self.contract.retrieve.id:
            if result.record is not None and case.credentials == "right":
                if self.known is None and not self.ours:
                    self._own(result.record)
                self.known, self.verified = result.record, True
                self.stood, self._newest = self._newest, (before or result.record, result.record)
                self._age(response)
                self.refused.clear()
                if not self.quiet:
                    self.seen.append(number)
            return
        if not self._writes(case):
            return
        self.written.update(case.fields)
        if response.ok:
            self.nudged = 0
            if result.record is not None:
                if not self.quiet:
                    self._count(case, before or {}, result.record, response)
                self.known, self.verified = result.record, False
                self._age(response)
                if not self.quiet:
                    self.updates.append((case, number, before if len(response.content) <= USUAL else _slim(before)))
                self._learn(case.fields, before or {}, result.record)
            else:
                self.known, self.verified = None, False
        elif response.status >= 500:
            self.known, self.verified = None, False
            self.failed += 1
        else:
            self._refuse(case, number)

    def _count(self, case: Case, before: JSONObject, record: JSONObject, response: Response) -> None:
        """Notes whether an update that changed something moved a time stamp."""
        pairs = [(instant(before.get(n)), instant(record.get(n))) for n in self.judge.stamps]
        moved = [((now - then).total_seconds(), now) for then, now in pairs if then is not None and now is not None]
        if not moved or not self.judge.applied(case.fields, before, record):
            return
        step, stamp = max(moved)
        came = response.at + response.elapsed
        if step > 0:
            self.steps.append(step)
            self.ahead = max(self.ahead, stamp.timestamp() - came)
        else:
            age = self._age(response) + response.elapsed
            self.still.append((case, before, age, stamp.timestamp() - response.at))

    def _refuse(self, case: Case, number: int) -> None:
        """Notes an update that was refused."""
        self.refused.append((case, number))
        if not self.quiet:
            self.refusals.append((case, number))

    def _learn(self, body: JSONObject, before: JSONObject, record: JSONObject) -> None:
        """Notes whether null clears a field here, and whether that of a selector which leaves the value that uses it."""
        request = self.contract.request
        for selector, choice in request.active(before).items():
            if record.get(selector) not in (before[selector], None):
                left = [n for n in choice.companions if n in record and n not in body and not is_empty(before.get(n))]
                self.sheds |= any(record[n] is None for n in left)
        for name, value in body.items():
            if value is None and not is_empty(before.get(name)) and name in record:
                self.clears = is_empty(record[name])

    def ids(self, beside: Iterable[str] = ()) -> dict[str, Any]:
        """The ids that do not stand in the record, and that it does not need now, but those that a selector in *beside*
        uses: sent, each shows whether it is stored. Where null does not clear them again, those that replace another.
        """
        generator, known = self.generator, self.now
        taken = {*generator.request.needed(known)}
        for selector in generator.selectors.keys() & {*beside}:
            taken.update(*(choice.companions for choice in generator.selectors[selector].choices.values()))
        fields = [n for n, item in generator.fields.items() if item.resource and n in known and n not in taken]
        ids = {name: generator.firm(name)[0] for name in fields}
        return {n: id for n, id in ids.items() if known[n] != id and (self.clears or not is_empty(known[n]))}

    def _observe(self, case: Case, response: Response, before: JSONObject | None, result: Judgement) -> None:
        """Notes the answer to a request about which the documents are silent."""
        accepted = response.ok
        outcome = "accepted" if accepted else "refused"
        fields: dict[str, str] = {}
        if accepted and result.record is not None:
            for name, value in case.fields.items():
                shown = result.record.get(name, MISSING)
                if same(None, value, shown):
                    fields[name] = "applied"
                elif before is not None and same(None, before.get(name, MISSING), shown):
                    fields[name] = "ignored"
                else:
                    fields[name] = "absent" if shown is MISSING else "changed"
        noted = {"case": case.label, "status": response.status, "outcome": outcome, "fields": fields}
        self.ledger.observations.append(noted)

    # ------------------------------------------------------------------ reading

    def read(self, label: str = "read", *, cross: bool = False) -> Judgement:
        """Reads the record and compares it with what is known of it; where it is to *cross*, over a new connection:
        each process of an API may keep a view of its own.
        """
        if cross:
            self.sender.reconnect()
        case = Case(label=label, operation=self.contract.retrieve.id)
        before, verified, refused = self.known, self.verified, list(self.refused)
        interaction, result = self._judged(case, before, verified)
        self.last = interaction.response
        if cross:
            self.crossed.add(self.sender.budget.spent)
        self.misread += any(under(found.rule, "read_back") for found in result.findings)
        self.blind = 0 if result.record is not None else self.blind + 1
        if before is not None and result.record is not None and refused:
            self._traces(result, before, refused, verified)
        self._take_in(interaction, result)
        return result

    def _traces(self, result: Judgement, before: JSONObject, refused: list[tuple[Case, int]], verified: bool) -> None:
        """What refused updates left behind, told by the case whose value appeared."""
        assert result.record is not None
        rule = f"{self.contract.update.id}.rejection.no_trace"
        kept: list[Finding] = []
        told_already = {f.pointer for f in result.findings if not under(f.rule, "read_back")}
        changes = list(self.judge.differences(result.record, before))
        if not changes and verified:
            # One that moves by less than clocks differ may do so once, some time after an update.
            changes = list(self.judge.differences(result.record, before, alike=True))
            self.nudged += bool(changes)
            changes = changes if self.nudged > 1 or self.quiet else []

        def explains(case: Case) -> list[str]:
            sent, fields = case.fields, self.judge.fields
            return [name for name, _, now in changes if name in sent and same(fields[name], sent[name], now)]

        # One of few values stands in many of them: first those that explain most.
        cases = sorted((c for c, _ in refused), key=lambda case: -len(explains(case)))
        for name, old, now in changes:
            guilty, at = [c for c in cases if name in explains(c)], f"/{escape(name)}"
            if not guilty and (at in told_already or not verified):
                continue
            who = guilty[0].label if guilty else ", ".join(c.label for c, _ in refused[:3])
            message = f"{name} changed, although the update was refused: {who}"
            told = guilty[0].rule if guilty and ".access." in guilty[0].rule else rule
            kept.append(Finding(rule=told, message=message, pointer=at, expected=old, actual=now))
        if not kept:
            result.evidence.append(rule)
        traced = {f.pointer for f in kept}
        kept += [f for f in result.findings if not (under(f.rule, "read_back") and f.pointer in traced)]
        result.findings = kept

    def settle(self) -> None:
        """Reads the record where it is not known."""
        if self.known is None and self.blind < 4:
            self.read("read to see where the record stands")

    def trial(self, cases: list[Case], *, read: bool = False, cross: bool = False) -> list[Finding]:
        """The findings of *cases*, sent one after another without a note in the ledger, and of a *read* after them."""
        found: list[Finding] = []
        with self.unnoted():
            for case in cases:
                found = self.perform(case)[0].findings
            if read:
                found = found + self.read("read to repeat", cross=cross).findings
        return found

    @contextmanager
    def unnoted(self, *, doubting: bool = True) -> Iterator[None]:
        """What happens meanwhile is not put into the ledger; without *doubting* it is not asked who did it either."""
        was = self.quiet, self.doubt
        self.quiet, self.doubt = True, self.doubt if doubting else None
        try:
            yield
        finally:
            self.quiet, self.doubt = was

    def update(self, label: str, body: JSONObject) -> tuple[Judgement, Response]:
        """Sends an update that has to be accepted; see `perform`."""
        return self.perform(Case(label=label, operation=self.contract.update.id, body=body))

    def ask(self, label: str, body: JSONObject, kinds: Mapping[str, str]) -> tuple[Judgement, Response]:
        """Sends an update of which the documents are silent, with the kinds of its values; see `perform`."""
        update = self.contract.update.id
        rule = f"{update}.rejection.consistent"
        return self.perform(Case(label=label, operation=update, expect="unspecified", rule=rule, body=body, open=kinds))

    def attempt(self, body: JSONObject, label: str) -> tuple[Response | None, JSONObject | None]:
        """Sends an update outside of the plan; (answer, record shown), or nothing where none came back."""
        case = Case(label=label, operation=self.contract.update.id, expect="unspecified", body=dict(body))
        try:
            with self.unnoted():
                result, response = self.perform(case)
        except (SendError, Undecided):
            if self.sender.budget.restoring:
                return None, None
            raise
        return response, result.record

    def between(self, start: int, end: int) -> list[tuple[Case, int]]:
        """The updates that were answered, with the numbers of their requests, from *start* on and before *end*."""
        answered = [(case, number) for case, number, _ in self.updates] + self.refusals
        return sorted((pair for pair in answered if start <= pair[1] < end), key=lambda pair: pair[1])

    def refused_before(self, number: int) -> list[Case]:
        """The update that was answered last before the request *number*, where it was refused."""
        refused = {id(case) for case, _ in self.refusals}
        return [case for case, _ in self.between(0, number)[-1:] if id(case) in refused]

    def failures(self) -> list[Failure]:
        """What was noted for this record."""
        return [f for f in self.ledger.failures if f.interaction.id == self.id]


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def _slim(record: JSONObject | None) -> JSONObject | None:
    """*record* without what is too large to be kept many times."""
    return record if record is None else {name: _short(value) for name, value in record.items()}


def _short(value: Any) -> Any:
    """*value*, or where it is large its beginning, its size and a checksum."""
    if isinstance(value, (str, list, dict)):
        text = value if isinstance(value, str) else _text(value)
        if len(text) > USUAL:
            return f"{text[:200]}… ({len(text)} characters, {zlib.crc32(text.encode('utf-8', 'surrogatepass')):08x})"
    return value


def _values(value: Any) -> Iterator[str]:
    """The values of all members in *value*, as JSON."""
    if isinstance(value, Mapping):
        for inner in value.values():
            yield _text(inner)
            if not isinstance(inner, str):  # An API may take it for its text.
                yield from {_text(_text(inner)), _text(str(inner))}
            yield from _values(inner)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield _text(inner)
            yield from _values(inner)
