"""Looks into failures after the plan: is each seen again, and with how small a body?

A failure that does not repeat is undecided, not broken: networks lose things, and other people
write to staging too. What repeats is told with the smallest body that still shows it.
"""

from __future__ import annotations

import uuid
from bisect import bisect_left
from collections.abc import Container, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from itertools import pairwise
from math import gcd
from typing import Any, Final

from contract.budget import A_SEQUENCE, ASTRAY, IN_PARTS, ONCE_MORE, ONE_RULE
from contract.check import MOVES_AFTER
from contract.errors import SendError, Undecided
from contract.formats import instant
from contract.ledger import Failure, of_acceptance, of_answer
from contract.model import MISSING, Case, Finding, JSONObject, is_empty, of_time, under
from contract.reduce import Refusals, reduce, units
from contract.restore import among, beside, establish, shed
from contract.session import Session
from contract.shape import same
from contract.suspects import Suspects, held, leaked
from contract.witness import Witness, remade

__all__ = ["Look", "investigate"]

RULES: Final = 8
"""The most rules that are looked into."""
GROUPS: Final = 3
"""Times that server errors and accepted updates have to take turns before the errors are no accident."""
UNDONE: Final = 2
"""Times that a text which only this run knows has to come back."""
SERIES: Final = 6
"""Updates that are sent one after the other, each with a read after it, to see whether the API loses some of them."""
OF_ONE: Final = ("shape", "enum", "format", "e164", "access", "rejection.error_body")
"""Rules that are judged on one answer by itself."""
ALONE: Final = 6
"""Reads one after the other that show whether a field changes now and then while nothing is written."""
UNLIKELY: Final = 1000
"""One in so many is no accident."""
A_LIST: Final = 2
"""The updates before a list that are sent again before it is read once more."""
A_FEW: Final = 4
"""Requests for which a smaller body is looked for, where each of the tries takes seconds."""
SOME: Final = 3
"""Fields that are not shown as they were sent, and may not be put back by one update either."""
EARLY: Final = 12
"""A change for good that one of so many updates brought about is no accident."""


def investigate(session: Session, least: int | None = None) -> None:
    """Settles which failures of *session* are seen again, and reduces their bodies. As long as none was, it keeps only
    *least* requests for the way back.
    """
    ledger, budget, noise = session.ledger, session.sender.budget, session.sender.noise
    if any(of_acceptance(f.finding.rule) or f.finding.rule.endswith(".no_server_error") for f in session.failures()):
        budget.reserve += min(IN_PARTS, budget.left // 2)
    elif len({f.finding.name for f in session.failures() if under(f.finding.rule, "echo")}) >= SOME:
        budget.reserve += ONCE_MORE
    Refusals(session).explain()
    ledger.fold()
    kept = budget.reserve
    mine = {rule: [f for f in failures if f.interaction.id == session.id] for rule, failures in ledger.causes().items()}
    looked: list[str] = []
    with suppress(SendError, Undecided):
        doubtful = [f for rule, found in mine.items() if not (of_answer(rule) or ledger.weak(rule)) for f in found]
        names = [n for f in doubtful for n in (f.finding.leaf, *f.interaction.case.absent)]
        Witness(session).watch(dict.fromkeys(names))

    # Where answers show what is not stored, or what was refused left a trace, much else follows from it. What was not
    # taken is known to depend on what stood there, which is dear to bring about; and what only warns has what the
    # others leave of the budget. A trace that was seen before any read misled comes of what was refused for certain.
    # That a stranger is let in, or an unknown id is written to, shows in one answer, and much follows from that too.
    misled = min((f.number for rule, found in mine.items() if under(rule, "read_back") for f in found), default=0)

    def urgent(rule: str) -> tuple[bool, ...]:
        let_in = under(rule, "access") and any(not f.finding.pointer for f in mine[rule])
        last = ledger.weak(rule), rule.endswith(".accept"), not let_in
        trace = under(rule, "rejection.no_trace")
        sure = trace and any(f.number < misled for f in mine[rule])
        return *last, not sure, not under(rule, "read_back"), not trace

    for rule, failures in sorted(mine.items(), key=lambda one: urgent(one[0])):
        if not failures or any(f.confirmed is not None for f in failures):
            continue
        if ledger.weak(rule) and session.sender.noise == 0:
            # It only warns: not worth a request.
            failures[0].confirmed = True
            continue
        if ledger.weak(rule) and budget.left < budget.granted + ONE_RULE:
            failures[0].untried = True  # What was granted for lost answers is not for warnings.
            continue
        looked.append(rule)
        # Once something is proved, the way back counts for more than what else is wrong.
        longer = ASTRAY if session.misread > 1 else 0
        budget.reserve = kept + longer if ledger.proved() else kept if least is None else min(kept, least)
        try:
            if len(looked) <= RULES:
                look = Look(session, rule, failures)
                look.settle()
                if failures[0].confirmed:
                    _with(look.found, failures[0], mine)
            else:
                failures[0].untried = True
        except SendError as error:
            session.sender.budget.stop(str(error))  # Nobody is there: the other failures need not be tried.
            failures[0].untried = failures[0].confirmed is None
        except Undecided:
            failures[0].untried = failures[0].confirmed is None
    budget.reserve = kept
    for rule in looked:
        _several(session, rule, mine[rule], noise)


def _several(session: Session, rule: str, failures: list[Failure], noise: int) -> None:
    """Settles what was not caught in the act, by how often it happened, and hands on what is settled."""
    ledger, first = session.ledger, failures[0]
    seen = failures + [f for f in ledger.under(rule) if f.finding.pointer == first.finding.pointer]
    # Whoever writes moves a time stamp on, and never back.
    ways = (_made, _stale, _ignored)
    made = {f.number for f in seen if any(way(session, f) for way in ways) or of_time(rule, "forward")}
    if first.confirmed is None or (first.confirmed is False and (len(seen) > 2 or len(made) > 1)):
        # It happened in several cases and nothing else was lost.
        numbers = {f.number for f in seen}
        # Each 502 was asked for once more, and noise are those. Where none got better, and other updates were
        # accepted in between, it was no accident.
        pairs = pairwise(sorted(numbers))
        between = sum(any(one < number < other for _, number, _ in session.updates) for one, other in pairs)
        steady = rule.endswith(".no_server_error") and between >= GROUPS and noise <= len(numbers)
        alone = session.sender.noise == 0 or steady
        sure = len(made) > 1 or _in_step(session, seen)
        alone = alone and ledger.own(rule, written=bool(session.foreign), sure=sure)
        # What a refused update did not hold did not come from it.
        traced = not under(rule, "rejection.no_trace") or any(held(session, f.finding) for f in failures)
        if len(numbers) > 1 and alone and traced and (of_answer(rule) or not _restless(session, first.finding)):
            for failure in failures:
                failure.confirmed = True
        elif first.confirmed is None:
            first.confirmed = False
    for failure in failures[1:]:
        failure.confirmed = first.confirmed if failure.confirmed is None else failure.confirmed
        failure.untried = first.untried


def _stale(session: Session, failure: Failure) -> bool:
    """True for a read that shows an older time stamp than the answer before it: nobody can have written that."""
    shown, before = failure.interaction.response.body, failure.interaction.before
    if failure.interaction.case.operation == session.contract.update.id or not isinstance(shown, Mapping):
        return False
    pairs = ((instant(shown.get(n)), instant((before or {}).get(n))) for n in session.judge.stamps)
    return any(now is not None and then is not None and now < then for now, then in pairs)


def _in_step(session: Session, failures: list[Failure]) -> bool:
    """True for *failures*, or any of their kind, that answers show after every so many updates, or accepted ones: nobody
    else keeps step.
    """
    update = session.contract.update.id
    kind = [f for f in session.failures() if under(f.finding.rule, "frame")]
    counts = [n for _, n, _ in session.updates], [n for _, n in session.between(0, session.sender.budget.spent)]
    for some in (failures, kind):
        shown = sorted({f.number for f in some if f.interaction.case.operation == update})
        for numbers in counts:
            gaps = [other - one for one, other in pairwise(bisect_left(numbers, number) for number in shown)]
            if gaps and gcd(*gaps) ** len(gaps) >= UNLIKELY:
                return True
    return False


def _restless(session: Session, finding: Finding) -> bool:
    """True for a field that others may change now and then, whatever is sent."""
    shown = session.judge.fields.get(finding.leaf)
    sent = finding.leaf in session.contract.request.fields
    return shown is not None and not sent and shown.changes not in {"never", "on-write"}


def _made(session: Session, failure: Failure) -> bool:
    """True for a text that nobody sent, and that only an API can have made of one that this run sent."""
    finding = failure.finding
    return session.novel(finding.name, finding.actual) and remade(finding.expected, finding.actual)


def _ignored(session: Session, failure: Failure) -> bool:
    """True for an answer to an update that shows what stood before in place of what was sent: who writes in between
    leaves something else.
    """
    finding, before = failure.finding, failure.interaction.before or {}
    item = session.judge.fields.get(finding.name)
    shown = under(finding.rule, "echo", "handler") and item is not None and finding.name in before
    return shown and same(item, before[finding.name], finding.actual)


def _with(found: list[Finding], failure: Failure, mine: Mapping[str, list[Failure]]) -> None:
    """Confirms what else was wrong with the answer to *failure*, and was *found* again with it."""
    rules = {finding.rule for finding in found}
    for other in (other for rule in rules & {*mine} for other in mine[rule]):
        if other.confirmed is None and other.interaction.case is failure.interaction.case:
            other.confirmed, other.body = True, failure.body


class Look:
    """Looks into the failures of one rule."""

    def __init__(self, session: Session, rule: str, failures: list[Failure]) -> None:
        self.session = session
        self.generator = session.generator
        self.rule = rule
        self.failures = failures
        self.suspects = Suspects(session, rule)
        self.update = session.contract.update.id
        sequence = under(rule, "frame", "read_back") and not failures[0].interaction.verified
        self.limit = session.sender.budget.spent + ONE_RULE + sequence * A_SEQUENCE
        garbled = under(rule, "shape.json", "shape.body", "rejection.error_body")
        noisy = session.sender.noise > 0 or garbled
        shared = under(rule, "read_back", "frame", "rejection.no_trace", "bystander")
        self.restless = _restless(session, failures[0].finding)
        times = 1 if of_time(rule, "moves") else 3 if noisy else 2 if shared else 1
        times = 2 if rule.endswith(".no_server_error") else times
        self.times = max(times, 3) if self.restless else times
        """How often it must be seen again, one time right after the other."""
        self.tried: set[int] = set()
        """The suspects that were tried, by their ids."""
        self.before = False
        """True where a read showed it before any of the suspects was sent again."""
        self.after_reads = False
        """True where all is sent right after a read."""
        self.still = False
        """True where one read after the other showed the same time stamp."""
        self.found: list[Finding] = []
        """What was wrong with the last of the cases that were sent again."""
        self.shown: dict[str, Finding] = {}
        """What was found again, by the text of the body that was sent for it."""

    def settle(self) -> None:
        """Sets ``confirmed`` and ``body`` of the first failures."""
        if self.lasting():
            return
        if self.rule == self.in_list:
            found = self.failures[0].finding
            held = (found.leaf, found.actual)
            refused = [c for c, _ in self.session.refusals if held in c.fields.items()]
            # Else it may have been what was updated right before it.
            latest = [(c, before) for c, n, before in self.session.updates if n < self.failures[0].number][-A_LIST:]
            again = self.list_again() or (bool(refused) and self.list_again(refused[-1:]))
            again = again or (bool(latest) and self.list_again([c for c, _ in latest], latest[0][1]))
            self.failures[0].confirmed = again
            return
        trace = self.rule == f"{self.update}.rejection.no_trace"
        if any(self.late(failure, sure=not trace) for failure in self.failures[:2]):
            return
        for failure in self.failures[:2]:
            if trace:
                # Every one was tried that may be it by itself; several may be alike, as in what they all hold.
                name, judge = failure.finding.name, self.session.judge
                noisy = name not in judge.fields or self.session.sender.noise > 0
                # What a stranger was let in for leaves traces, and is looked into next.
                let_in = [f for f in self.session.failures() if f.confirmed is None and under(f.finding.rule, "access")]
                if (name in judge.on_write or not (noisy or let_in)) and self.moved(failure):
                    return
                continue
            for cases, read, body in self.suspects.of(failure):
                if self.session.sender.budget.spent >= self.limit:
                    self.last()
                    return
                if self.again(failure, cases, read):
                    self.confirm(failure)
                    cases = self.shorter(failure, cases, read)
                    failure.body = self.session.completed(self.reduced(failure, cases, read, body), cases[-1])
                    # What is told of a body is what that body was answered.
                    if shown := self.shown.get(repr(failure.body)):
                        failure.finding = replace(failure.finding, expected=shown.expected, actual=shown.actual)
                    if not cases[-1].keep:
                        smaller = isinstance(failure.body, Mapping) and failure.body != cases[-1].body
                        last = replace(cases[-1], body=failure.body) if smaller else cases[-1]
                        failure.cases, failure.read = (*cases[:-1], last), read
                    return
        if not any(self.late(failure, sure=False) for failure in self.failures[:2]):
            self.last()

    def shorter(self, failure: Failure, cases: list[Case], read: bool) -> list[Case]:
        """The last of *cases* with which it is seen as well, where there is budget to look for fewer."""
        times, self.times = self.times, 1
        while len(cases) > 1 and self.session.sender.budget.spent < self.limit and self.again(failure, cases[1:], read):
            cases = cases[1:]
        self.times = times
        return cases

    def moved(self, failure: Failure) -> bool:
        """True where one of the updates that were refused since the read before leaves its trace again: the last, or
        one that is found by halves; it is tried twice, as someone else may write now and then.
        """
        session, budget = self.session, self.session.sender.budget
        start = max((n for n in session.seen if n < failure.number), default=0)
        since = [case for case, number in session.refusals if start < number < failure.number]
        last = since[-1:]
        if last and self.again(failure, last, True):
            since = last
        else:
            times, self.times = self.times, 1
            seen = False
            while len(since) > 1 and budget.spent < self.limit + 2 * ONE_RULE:
                half = since[len(since) // 2 :]
                seen = self.again(failure, half, True)
                since = half if seen else since[: len(since) // 2]
            self.times = times - seen  # What was sent by itself was seen once.
            sure = len(since) == 1 and self.again(failure, since, True)
            self.times = times
            if not sure:
                return False
        self.confirm(failure)
        failure.cases, failure.read, failure.body = tuple(since), True, since[0].body
        return True

    def last(self) -> None:
        """Settles what did not come again in any of these ways."""
        first, *more = self.failures[:2]
        other = [f for f in more if f.finding.pointer != first.finding.pointer]
        ways = [
            (self.elsewhere, [first, *more]),
            (self.afresh, [first]),
            (self.undone, [first]),
            (self.in_series, [first, *other]),
        ]
        for way, some in ways:
            for failure in some:
                failure.confirmed = way(failure)
                if failure.confirmed:
                    return

    def elsewhere(self, failure: Failure) -> bool:
        """True where an answer is wrong again from the whole of where the record stood, also in what was null."""
        case = failure.interaction.case
        # What is not documented may be taken beside something that is null alone.
        taken = case.expect == "reject" and case.rule == self.rule and not case.absent
        if case.operation != self.update or not (taken or (of_answer(self.rule) and case.expect == "accept")):
            return False
        failure.body = case.body
        return self.session.sender.budget.spent < self.limit and self.again(failure, [case], read=False, whole=True)

    def afresh(self, failure: Failure) -> bool:
        """True where it is seen right after a read again, as it was: what is written then may be lost alone."""
        case = failure.interaction.case
        if case.operation != self.update or not failure.interaction.verified or not under(self.rule, "frame", "echo"):
            return False
        self.after_reads, failure.body = True, case.body
        return self.session.sender.budget.spent < self.limit and self.again(failure, [case], read=False)

    def in_series(self, failure: Failure) -> bool:
        """True where it is seen more than once in several updates: an API may lose, keep back or change something with
        every second or third. What someone else may have written does not count.
        """
        session, name = self.session, failure.finding.name
        if name not in self.generator.fields and self.rule == f"{self.update}.read_back":
            name = self.generator.marker or ""  # Many fields were not as they were answered: any will do.
        if name not in self.generator.fields or session.sender.noise or session.foreign or session.ledger.bygone:
            return False
        if under(self.rule, "read_back"):
            return len(self.lost(name)) > 1
        if not under(self.rule, "frame", "idempotence"):
            return False
        if under(self.rule, "frame") and len(found := self.lost(name, UNDONE)) == UNDONE:
            # It was the answer before that showed what is not stored.
            case, finding = found[-1]
            for other in self.failures:
                other.finding = replace(other.finding, rule=finding.rule, message=finding.message)
            failure.finding, failure.cases, failure.read, failure.body = finding, (case,), True, case.body
            return True
        seen = self.changed(name, failure.finding.actual)
        if len(seen) > 1 and under(self.rule, "idempotence"):
            # It does not take the same update twice: any that does not send the field will do.
            failure.finding = replace(failure.finding, rule=seen[-1].rule, message=seen[-1].message)
        return len(seen) > 1

    def lost(self, name: str, most: int = SERIES) -> list[tuple[Case, Finding]]:
        """Those of some updates of one field, each followed by a read, that are not shown by that, with what it shows."""
        session = self.session
        rule = self.rule if under(self.rule, "read_back") else f"{self.update}.read_back.{name}"
        values = list(self.generator.options(name)[:SERIES])
        # An API may count what changes something alone.
        values.sort(key=lambda value: same(None, value, session.now.get(name)))
        lost = list[tuple[Case, Finding]]()
        for i in range(most):
            if session.sender.budget.left < 3 or len(lost) > 1 or len(values) < 2:
                break
            body = self.generator.complete({name: values[i % len(values)]})
            response, _ = session.attempt(body, "one of a series")
            found = [f for f in session.trial([], read=True) if f.rule.startswith(rule)]
            if response is not None and response.ok and not session.novel(name, session.now.get(name)):
                case = Case(label="one of a series", operation=self.update, body=body)
                lost += [(case, f) for f in found[:1]]
        return lost

    def changed(self, name: str, value: Any) -> list[Finding]:
        """What is found where updates of another field change this one to *value*."""
        session, marker = self.session, self.generator.marker
        if marker is None or marker == name:
            return []
        changed: list[Finding] = []
        for i in range(2 * SERIES):
            if session.sender.budget.left < 2 or len(changed) > 1 or (i == SERIES and not changed):
                break
            self.apart(name, value)
            case = Case(label="one of a series", operation=self.update, body={marker: self.text()})
            found = session.trial([replace(case, body=self.generator.complete(dict(case.body)))])
            changed += [f for f in found if under(f.rule, "frame") and f.name == name][:1]
        return changed

    def text(self) -> str:
        """A text for the marker that only this run knows."""
        most = self.generator.fields[self.generator.marker or ""].schema.get("maxLength")
        return f"only {uuid.uuid4()}"[:most]

    def undone(self, failure: Failure) -> bool:
        """True where updates of other fields bring back, more than once, a text that an update before had replaced,
        and that only this run knows: an API may begin each time with what it last read.
        """
        session, name = self.session, self.generator.marker
        if not under(self.rule, "frame") or name is None or session.sender.noise or is_empty(failure.finding.actual):
            return False
        sent = failure.interaction.case.body
        body = sent if isinstance(sent, Mapping) else {}
        others = {n: value for n, value in body.items() if n in self.generator.fields and n != name}
        texts, back = list[Any](), 0
        for _ in range(UNDONE if others and not session.foreign else 0):
            for read in (True, False):
                texts.append(self.text())
                session.attempt(self.generator.complete({name: texts[-1]}), "a text of this run")
                if read:
                    session.trial([], read=True)
            session.attempt(others, "and the others")
            back += session.now.get(name) in texts[:-1]
        return back == UNDONE

    def late(self, failure: Failure, *, sure: bool) -> bool:
        """True where it was not the update whose answer showed the change that made it, but something since the read
        before that was refused, or was to change nothing: each of these is sent again; where *sure*, only those that
        are most likely to have done it.
        """
        name, sent = failure.finding.name, failure.interaction.case.body
        if name not in self.session.judge.fields or name in self.session.judge.on_write:
            return False
        if isinstance(sent, Mapping) and name in sent:
            return False
        # What nobody else can have written need not be seen a second time.
        once = self.session.sender.noise == 0 and leaked(self.session, failure.finding)
        for place, case in self.suspects.refused(failure, name):
            if self.session.sender.budget.spent >= self.limit or (sure and place > 1) or id(case) in self.tried:
                continue
            if self.before:
                return False
            self.tried.add(id(case))
            if all(self.leaves(failure, name, case, closely=closely) for closely in (False, True)[: 2 - once]):
                self.blame(failure, case)
                failure.cases, failure.read, failure.body = (case,), True, case.body
                return True
        return False

    def leaves(self, failure: Failure, name: str, case: Case, *, closely: bool) -> bool:
        """True where *case* changes the field *name* from what it was to what it was seen to be; what it
        was before is read where *closely*.
        """
        session, found = self.session, failure.finding
        item = session.judge.fields[name]
        establish(session, {**(failure.interaction.before or {}), name: found.expected}, {name: None})
        self.apart(name, found.actual, found.expected)
        if case.absent:
            self.empty(case)
        if closely:
            session.trial([], read=True)
        if session.known is None or same(item, session.known.get(name), found.actual):
            self.before = closely and session.known is not None
            return False
        session.trial([case])
        if not (case.keep or self.refused(case)):
            return False  # It was refused only once, and what is accepted may change something.
        session.trial([], read=True)
        now = session.now
        return name in now and same(item, now[name], found.actual)

    def refused(self, case: Case) -> bool:
        """True where *case* was refused since the last read."""
        return any(refused.label == case.label for refused, _ in self.session.refused)

    def apart(self, name: str, value: Any, was: Any = MISSING) -> None:
        """Gives the field *name* another value than *value*, where it has that one: the one that it *was*, if it can.
        What already stands where it is seen or sent proves nothing.
        """
        session, item = self.session, self.session.judge.fields.get(name)
        if session.known is None or item is None or not same(item, session.known.get(name), value):
            return
        if was is None and session.clears and name in self.generator.fields:
            session.attempt({name: None}, "another value first")
            if not same(item, session.now.get(name), value):
                return
        was = None if was is MISSING else was
        body = {name: was}
        if name in self.generator.fields:
            body = Witness(session).own(name, was, other=value)
        session.attempt(body, "another value first")
        for way in (beside, among):
            if same(item, session.now.get(name), value):
                way(session, name, body)

    def differ(self, name: str, cases: list[Case], before: JSONObject | None) -> None:
        """Gives the field *name* another value than the one that will be sent, unless it had that one *before*: else
        one that is not stored is not seen.
        """
        sent = next((c.body[name] for c in cases if name in c.fields), MISSING)
        stood = (before or {}).get(name, MISSING)
        if name in self.generator.fields and sent is not MISSING and not same(None, stood, sent):
            self.apart(name, sent, stood)

    def blame(self, failure: Failure, case: Case) -> None:
        """Tells *failure* under the rule that *case* breaks by it, and what was seen with it as well."""
        name = failure.finding.name
        rule, message = self.rule, failure.finding.message
        if case.keep and case.label in {c.label for c, _, _ in self.session.updates}:
            rule = case.rule
            message = f"{name} changed: {self.session.judge.rules[rule].text}"
        elif any(case is refused for refused, _ in self.session.refusals):
            rule = case.rule if under(case.rule, "access") else f"{self.update}.rejection.no_trace"
            message = f"{name} changed, although the update was refused: {case.label}"
        failure.finding = replace(failure.finding, rule=rule, message=message)
        for other in self.failures:
            if other is not failure and rule != self.rule:
                other.cause = rule
        self.confirm(failure)

    def confirm(self, failure: Failure) -> None:
        """Notes that *failure* was seen again, and tells it before the others. With how small a body counts for less than
        the way back, where that is a long one.
        """
        budget = self.session.sender.budget
        if self.session.misread > 1:
            self.limit = min(self.limit, budget.spent + budget.left - ASTRAY)
        failure.confirmed = True
        self.failures.insert(0, self.failures.pop(self.failures.index(failure)))

    @property
    def in_list(self) -> str:
        """The rule that the list shows what the retrieve shows."""
        listing = self.session.contract.listing
        return f"{listing[0].id}.read_back" if listing else ""

    def lasting(self) -> bool:
        """Settles a change that cannot be made twice, but has stayed: to what no update can set, and
        of a time stamp.
        """
        if of_time(self.rule, "forward"):
            return self.older()
        request = self.session.contract.request
        stays = ("frame", "rejection", "idempotence", "read_back")
        if not self.rule.startswith(tuple(f"{self.update}.{promise}" for promise in stays)):
            return False
        self.session.settle()
        now = self.session.now
        for failure in self.failures:
            found = failure.finding
            name = found.name
            item = request.fields.get(name)
            shown = self.session.judge.fields.get(name)
            follows = {"derived", "on-write"}  # What anybody writes.
            fixed = shown is not None and shown.changes not in follows and (item is None or item.read_only)
            if fixed and shown is not None and shown.changes != "never":
                # Someone else may set it elsewhere: it was this API's doing where the first updates emptied it, or
                # filled it with a text of the record's own.
                early = sum(n < failure.number for _, n, _ in self.session.updates) < EARLY
                own = {v for n, v in (failure.interaction.before or {}).items() if n != name and isinstance(v, str)}
                fixed = early and now.get(name) in (None, "", *own)
            if name not in now or shown is None or same(shown, now[name], found.expected):
                continue
            sent = (c for c, _ in self.session.between(0, failure.number + 1) if name in c.fields)
            doer = next((c for c in sent if same(shown, c.body[name], now[name])), None)
            if (item is None or item.read_only) and doer is not None and not is_empty(now[name]):
                self.blame(failure, doer)
                return True
            if fixed:
                self.confirm(failure)
                return True
        return False

    def older(self) -> bool:
        """True where the time stamp still is before what it was in the beginning of the failure."""
        self.session.settle()
        for failure in self.failures:
            name = failure.finding.name
            earlier = instant((failure.interaction.before or {}).get(name))
            now = instant(self.session.now.get(name))
            if earlier is not None and now is not None and now < earlier:
                self.confirm(failure)
                return True
        return False

    def list_again(self, cases: Iterable[Case] = (), stood: JSONObject | None = None) -> bool:
        """True where the list still shows the record in another way than the retrieve does, or does it again after *cases*,
        from where the record *stood*.
        """
        session = self.session
        wanted = dict.fromkeys(f.finding.leaf for f in self.failures)
        case = self.failures[0].interaction.case
        names = [name for name in wanted if name in self.generator.fields]
        dated = not names and any(self.dated(name) for name in wanted)
        if dated and self.generator.marker:
            names = [self.generator.marker]  # What is written moves it.
        options = {name: self.generator.options(name)[:3] for name in names}
        settable = max(options, key=lambda name: len(options[name]), default="")
        before = stood or self.failures[0].interaction.before or {}
        seen, moved = 0, False
        for turn in range(2 * self.times):
            if not moved:
                if settable and not cases:
                    # It may show the record as it was before the last update.
                    self.apart(settable, before.get(settable))
                if dated:
                    session.sender.sleep(1.2)
                establish(session, before, wanted)
            there, moved = moved, False
            session.trial([*cases], read=True)
            if seen == self.times - 1:
                session.sender.sleep(1.2)  # Nobody promises that a list is never a moment behind.
            if self.listed(case, wanted):
                seen += 1
                if seen == self.times:
                    return not self.moves_alone()
            elif turn > self.times - 1 + seen or not settable or cases:
                return False
            elif not there:
                # The list may follow every second update that changes something, or those alone that change more than
                # this field: it is looked at after two more of these, and after the one back, which do not keep step.
                moved = True
                for value in [v for v in options[settable] if v != before.get(settable)][:2]:
                    session.attempt(self.generator.complete({settable: value}), "one update more")
        return False

    def listed(self, case: Case, wanted: Container[str]) -> bool:
        """True where the list shows one of the *wanted* fields in another way than the read before it did."""
        session = self.session
        with session.unnoted():
            _, response = session.perform(case)
        if session.known is None:
            return False
        absent = any(f.finding.actual == "absent" for f in self.failures)
        found = session.judge.in_list(response, session.id, session.known, last=absent).findings
        return any(f.leaf in wanted for f in found)

    def again(self, failure: Failure, cases: list[Case], read: bool, *, whole: bool = False) -> bool:
        """True where *cases* show the failure `times` times in a row, each time from where the record stood in what
        they send, or in the *whole* of it.
        """
        failure.state = self.stood(failure, cases)
        if self.rule.endswith(".no_server_error") and not whole and len(cases) == 1:
            # As it is, first: what makes an API fail is most often in the body alone.
            for case in cases * self.times:
                self.found = self.session.trial([case])
                if not any(self.alike(failure.finding, f) for f in self.found):
                    break
            else:
                self.note(failure.finding, cases)
                return True
        for turn in range(self.times):
            for _ in range(turn if self.restless else 0):
                self.session.trial([], read=True)  # What comes with every so many requests must not keep step.
            # The second time with all that was sent the first time: what is left out may change.
            self.set_up(failure, cases, whole=whole or turn > 0, always=whole)
            if any(not is_empty(self.session.now.get(n)) for one in cases for n in one.absent):
                return False  # With what is to be absent stored it is lawful.
            self.wait(failure)
            if self.after_read(cases):
                self.session.trial([], read=True)
            if under(self.rule, "rejection.no_trace") or (under(self.rule, "access") and failure.finding.pointer):
                self.session.trial([], read=True)
                stamp = self.session.now.get(failure.finding.name)
                if failure.finding.name in self.session.judge.stamps and not self.still:
                    self.session.trial([], read=True)
                    if self.session.now.get(failure.finding.name) != stamp:
                        return False  # It moves by itself.
                    self.still = True
            rest = cases
            if len(cases) > 1 and cases[0].expect == "reject":
                first, *rest = cases
                self.session.trial([first])
                if not self.refused(first):
                    return False  # What it leaves behind is lawful.
            found = self.found = self.session.trial(rest, read=read, cross=failure.number in self.session.crossed)
            if not any(self.alike(failure.finding, f) for f in found):
                return False
        if self.moves_alone():
            return False
        self.note(failure.finding, cases)
        return True

    def note(self, finding: Finding, cases: list[Case]) -> None:
        """Keeps what *cases* showed of *finding* the last time."""
        alike = (f for f in self.found if self.alike(finding, f))
        if (shown := next(alike, None)) is not None:
            self.shown[repr(cases[-1].body)] = shown

    def after_read(self, cases: list[Case]) -> bool:
        """True where the first of *cases* came right after a read: what it writes may be lost only then."""
        if self.after_reads:
            return True
        if all(failure.interaction.verified for failure in self.failures):
            return len(self.failures) > 1 and under(self.rule, "echo", "handler", "accept", "frame")
        label = next((case.label for case in cases), "")
        came = any(c.label == label and n - 1 in self.session.seen for c, n, _ in self.session.updates)
        return came and under(self.rule, "frame", "read_back") and not self.failures[0].interaction.verified

    def moves_alone(self) -> bool:
        """True where what others may change does so now and then while it is only read; with each read, it is the
        answers that differ.
        """
        name, seen = self.failures[0].finding.leaf, list[Any]()
        for _ in range(ALONE if self.restless and not of_answer(self.rule) else 0):
            self.session.trial([], read=True)
            seen.append(self.session.now.get(name))
        changed = [one != other for one, other in pairwise(seen)]
        return any(changed) and not all(changed)

    def stood(self, failure: Failure, cases: list[Case]) -> JSONObject | None:
        """The record as it stood before *cases* when they, or what followed them, showed the failure."""
        updates, before = self.session.updates, failure.interaction.before
        in_read = failure.interaction.case.operation != self.update
        # What was written first may have been lost then: it has to be something new again.
        label = next((c.label for c in cases if c.expect != "reject" and c.operation == self.update), "")
        if in_read or len(cases) > 1:
            earlier = (b for c, n, b in reversed(updates) if (c.label == label if label else n < failure.number))
            before = next(earlier, before)
        found = failure.finding
        if before is not None and under(self.rule, "idempotence") and found.name in self.generator.fields:
            # A series begins where it changes something: what takes it back later would not show.
            return {**before, found.name: found.actual}
        return before

    def set_up(self, failure: Failure, cases: list[Case], *, whole: bool, always: bool) -> None:
        """Brings the record back to where it stood before *cases*: in what they send, or in the *whole* of it. What is
        wrong with one answer is so wherever it stands, unless that is to be done *always*.
        """
        session, found, case = self.session, failure.finding, failure.interaction.case
        # What was accepted may depend on where the record stands.
        excluded = under(self.rule, "rejection") and self.rule.endswith((".enum", ".format"))
        if not any(one.operation == self.update for one in cases):
            if of_answer(self.rule):
                # What was shown wrongly may not be there any more.
                establish(session, failure.interaction.before, {found.leaf: None})
        elif always or excluded or not under(self.rule, *OF_ONE):
            # Before a read it does not matter what was null: what clears it may be what was wrong.
            sent = {name: None for one in (*cases, case) for name in one.fields} if case.fields else None
            if sent is not None and under(self.rule, "frame") and found.expected is None:
                sent[found.name] = None  # It may have been filled only because it was empty.
            establish(session, failure.state, sent, whole=whole)
            alone = len(cases) == 1 or cases[0].expect == "reject"
            if under(self.rule, "frame") and found.name in self.generator.fields and alone:
                self.apart(found.name, found.actual, found.expected)
        for one in cases:
            if one.absent:
                self.empty(one)
        if under(self.rule, "read_back", "echo", "deprecated"):
            self.differ(found.root, cases, failure.state)

    def wait(self, failure: Failure) -> None:
        """Lets as much time go by as it takes to see a time stamp move."""
        if of_time(self.rule, "moves"):
            self.session.sender.sleep(MOVES_AFTER + 0.2)
        elif self.dated(failure.finding.name):
            self.session.sender.sleep(1.2)  # Clocks of one second are usual.

    def dated(self, name: str) -> bool:
        """True for a time that no request sets, and that may have been taken from a clock."""
        item = self.session.judge.fields.get(name)
        return item is not None and item.format == "date-time" and name not in self.generator.fields

    def reduced(self, failure: Failure, cases: list[Case], read: bool, body: Any) -> Any:
        """A smaller *body* with which it is seen as well, where there is budget to look for one."""
        case = cases[-1]
        refused = case.expect == "reject" and case.rule == self.rule
        if not isinstance(body, Mapping) or len(body) < 3 - refused or len(cases) > 1:
            return body
        # What is wrong with one answer is so whether the documents say what becomes of the body or not.
        if not refused and case.expect != "accept" and not (case.expect == "unspecified" and of_answer(self.rule)):
            return body

        def fails(part: dict[str, Any]) -> bool:
            return self.again(failure, [replace(case, body=part)], read)

        budget = self.session.sender.budget
        times, self.times = self.times, 1
        core = {name: body[name] for name in case.core}
        rest = {name: value for name, value in body.items() if name not in core}
        try:
            if not rest or (core and fails(core)):
                return core or body
            parts = [{**core, **unit} for unit in units(self.generator, rest)]
            # Each try rests where a time stamp is to move.
            limit = budget.spent + A_FEW if of_time(self.rule, "moves") else self.limit
            return reduce(parts, fails, budget, min(limit, self.limit, budget.spent + budget.left))
        finally:
            self.times = times

    def empty(self, case: Case) -> None:
        """Clears what must not be stored for *case* to be refused."""
        session = self.session
        if case.away_from is not None and session.known is not None:
            name, value = case.away_from
            if session.known.get(name) == value:
                other = next((v for v in self.generator.enums[name] if v != value), None)
                if other is not None:
                    body = self.generator.complete({name: other})
                    session.attempt(body, "away from the value")
        # What no answer shows may be stored all the same.
        stored = [n for n in case.absent if n not in session.now or not is_empty(session.now[n])]
        if stored:
            session.attempt(dict.fromkeys(stored, None), "companions cleared")
            for _ in stored if session.sheds else ():
                if left := [n for n in stored if not is_empty(session.now.get(n))]:
                    shed(session, left)

    def alike(self, one: Finding, other: Finding) -> bool:
        """True where two findings are the same failure."""
        rules = {self.rule, one.rule}
        if of_time(self.rule, "forward") and other.pointer == one.pointer:
            then, now = instant(other.expected), instant(other.actual)
            if under(other.rule, "read_back") and then is not None and now is not None and now < then:
                return True  # It went back from what the answer to the update showed.
        known = self.session.judge.rules.get(other.rule)
        if known is not None and known.group in rules:
            rules.add(other.rule)
        return other.rule in rules and (one.pointer == other.pointer or self.rule != one.rule or not one.pointer)
