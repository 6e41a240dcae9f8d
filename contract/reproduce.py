"""
Looks into failures after the plan: is each seen again, and with how small a body?

A failure that does not repeat is undecided, not broken: networks lose things, and other people
write to staging too. What repeats is told with the smallest body that still shows it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any, Final

from contract.check import MOVES_AFTER, same
from contract.custody import writable
from contract.errors import SendError, Undecided
from contract.formats import instant
from contract.generate import Generator
from contract.ledger import Failure, of_answer
from contract.model import MISSING, Case, Finding, Interaction, JSONObject
from contract.send import Budget
from contract.session import Session

__all__ = ["Look", "Witness", "establish", "investigate"]

RULES: Final = 8
"""The most rules that are looked into."""
SHARE: Final = 14
"""The most requests that one rule may cost."""
REACH: Final = (1, 2, 4)
"""How many of the last updates are sent again: what the API did may depend on those before."""
EARLY: Final = 12
"""A change for good that one of so many updates brought about is no accident."""
LOOKS: Final = 3
"""How often one run asks whether it was the API that wrote a value which this run did not."""
GAPS: Final = (0.0, 0.03, 0.03, 0.03)
"""Seconds before each read of a record to which this run writes nothing meanwhile."""
WATCH: Final = (0.05, 0.09, 0.09, 0.09, 0.02)
"""The same, where it is known which value may be written by someone else."""


def investigate(session: Session, generator: Generator) -> None:
    """
    Settles which failures of *session* are seen again, and reduces their bodies.
    """
    ledger = session.ledger
    _Refusals(session, generator).explain()
    ledger.fold()
    mine = {rule: [f for f in failures if f.interaction.id == session.id] for rule, failures in ledger.causes().items()}
    looked = 0
    with suppress(SendError, Undecided):
        doubtful = [f for rule, found in mine.items() if not (of_answer(rule) or ledger.weak(rule)) for f in found]
        names = [n for f in doubtful for n in (f.finding.pointer.rpartition("/")[2], *f.interaction.case.absent)]
        Witness(session, generator).watch(dict.fromkeys(names))
    # What only warns has what the others leave of the budget.
    for rule, failures in sorted(mine.items(), key=lambda one: ledger.weak(one[0])):
        if not failures or any(f.confirmed is not None for f in failures):
            continue
        if ledger.weak(rule) and session.sender.noise == 0:
            # It only warns: not worth a request.
            failures[0].confirmed = True
            continue
        try:
            if looked < RULES:
                looked += 1
                Look(session, generator, rule, failures).settle()
        except SendError as error:
            session.sender.budget.stop(str(error))  # Nobody is there: the other failures need not be tried.
        except Undecided:
            pass
        if failures[0].confirmed is None or (failures[0].confirmed is False and len(failures) > 2):
            # It was not caught in the act, but it happened in several cases and nothing else was lost.
            alone = session.sender.noise == 0 and (of_answer(rule) or not (session.foreign or ledger.bygone))
            # What a refused update did not hold did not come from it.
            traced = ".no_trace" not in rule or any(_held(session, f.finding) for f in failures)
            if len({f.number for f in failures}) > 1 and alone and traced:
                for failure in failures:
                    failure.confirmed = True
            elif failures[0].confirmed is None:
                failures[0].confirmed = False
        for failure in failures[1:]:
            failure.confirmed = failures[0].confirmed if failure.confirmed is None else failure.confirmed


def _held(session: Session, finding: Finding) -> bool:
    """
    True where a refused update held the value that a field has.
    """
    name = finding.pointer.strip("/")
    bodies = [case.body for case, _ in session.refusals if isinstance(case.body, Mapping)]
    return any(name in body and same(None, body[name], finding.actual) for body in bodies)


class Witness:
    """
    Tells a change that the API made from one that someone else made.

    What the API does, it does again when it is asked the same; what does not come again, with a value
    that this run never had, was written by someone else. So was what keeps changing while this run
    writes nothing.
    """

    def __init__(self, session: Session, generator: Generator) -> None:
        self.session = session
        self.generator = generator
        self.looks = 0
        self.watches = 0
        self.trusted: set[str] = set()
        """Fields of which it is known that the API itself changes them."""

    def __call__(self, interaction: Interaction, changed: Mapping[str, tuple[Any, Any]]) -> None:
        """
        Looks into *changed*: field -> (before, now).

        Raises:
            Undecided: someone else writes to the record; every thread of the run is told to end.
        """
        session, budget = self.session, self.session.sender.budget
        if budget.restoring or budget.left < 12 or session.foreign:
            return
        strange = {n: pair for n, pair in changed.items() if session.novel(n, pair[1]) and n not in self.trusted}
        was, session.quiet, session.doubt = session.quiet, True, None
        try:
            if strange and self.looks < LOOKS:
                self.looks += 1
                found = self.not_again(interaction, strange)
                self.trusted |= set() if found else set(strange)
            elif not self.watches and not set(changed) <= self.trusted:
                self.watches += 1
                found = self.restless()
            else:
                return
        finally:
            session.quiet, session.doubt = was, self
        self.tell(found)

    def tell(self, found: Mapping[str, tuple[Any, Any]]) -> None:
        """
        Ends the run where something was *found* that someone else wrote.
        """
        if found:
            self.session.foreign.update(found)
            told = f"someone else writes to {self.session.id} at the same time, so nothing can be told: " + ", ".join(
                found
            )
            self.session.sender.budget.stop(told)
            raise Undecided(told)

    def not_again(
        self, interaction: Interaction, strange: Mapping[str, tuple[Any, Any]]
    ) -> Mapping[str, tuple[Any, Any]]:
        """
        What is there to stay and does not come again, although the same was sent again.
        """
        session, case = self.session, interaction.case
        session.read("read to see whether it stays")
        now = session.known or {}
        strange = {n: pair for n, pair in strange.items() if session.novel(n, now.get(n))}
        if not strange:
            return {}
        steps = [(c, before) for c, _, before in session.updates if c is not case]
        if case.operation == session.contract.update.id:
            steps.append((case, interaction.before))
        elif not steps:
            return self.restless()
        for reach in REACH:
            # Once may be someone else again.
            if all(self.comes(steps[-reach:], strange) for _ in range(2)):
                return {}
        return strange

    def comes(self, steps: list[tuple[Case, JSONObject | None]], strange: Mapping[str, tuple[Any, Any]]) -> bool:
        """
        True where *steps*, sent again from where the record stood, bring about values that are strange again.
        """
        session = self.session
        establish(session, self.generator, steps[0][1], strange)
        now = session.known or {}
        if any(session.novel(n, now.get(n)) for n in strange):
            # It cannot be put back as it was; any value of this run will do.
            for name, (was, _) in strange.items():
                session.attempt(self.own(name, was, other=now.get(name)), "a value of this run")
        session.trial([case for case, _ in steps], read=True)
        now = session.known or {}
        return any(session.novel(n, now.get(n)) for n in strange)

    def watch(self, names: Iterable[str]) -> None:
        """
        Gives *names* values of this run, and looks whether they keep them while nothing is sent.

        Raises:
            Undecided: they do not; every thread of the run is told to end.
        """
        session, budget = self.session, self.session.sender.budget
        names = [n for n in names if n in self.generator.fields and n in session.judge.plain][:4]
        if not names or budget.left < 12 + len(names) or budget.stopped:
            return
        was, session.quiet, doubt, session.doubt = session.quiet, True, session.doubt, None
        try:
            wrote: dict[str, Any] = {}
            for name in names:
                now = (session.known or {}).get(name)
                wrote |= self.own(name, now, other=now)
                session.attempt(self.own(name, now, other=now), "a value of this run")
            session.read("read to see whether it stays")
            first = session.known or {}
            moved: dict[str, tuple[Any, Any]] = {}
            for gap in WATCH:
                session.sender.sleep(gap)
                session.read("read to see whether it stays")
                now = session.known or first
                # What this run wrote may be shown late: that is the API's own doing.
                strange = [n for n in names if n in first and now.get(n) not in (first[n], wrote.get(n))]
                later = {n: (first[n], now.get(n)) for n in strange}
                if moved and later == moved:
                    break  # It has changed, and it stays so.
                moved = later
            else:
                moved = {}
        finally:
            session.quiet, session.doubt = was, doubt
        self.tell(moved)

    def own(self, name: str, was: Any, other: Any = MISSING) -> dict[str, Any]:
        """
        A body that sets one field.
        """
        if name not in self.generator.fields:
            return {name: was}
        firm = self.generator.firm
        value = next((v for v in firm(name) if v != other), was)
        return self.generator.complete({name: value}, lambda field: firm(field)[0])

    def restless(self) -> Mapping[str, tuple[Any, Any]]:
        """
        What changes again and again although nothing is sent.
        """
        session, seen = self.session, list[JSONObject]()
        names = [n for n in writable(session.contract) if n in session.judge.plain]
        for gap in GAPS:
            session.sender.sleep(gap)
            session.read("read to see whether it stays")
            now = {n: (session.known or {}).get(n) for n in names}
            if session.known is not None and now not in seen:
                seen.append(now)
        if len(seen) < 3:
            return {}
        return {n: (seen[0][n], seen[-1][n]) for n in names if seen[0][n] != seen[-1][n]}


def establish(session: Session, generator: Generator, before: JSONObject | None, sent: Any = None) -> None:
    """
    Brings the record near to where it stood *before*; fields of *sent* are cleared where they were null.
    """
    session.settle()
    now = session.known
    if before is None or now is None:
        return
    request = session.contract.update.request
    assert request is not None
    body: dict[str, Any] = {}
    for name in writable(session.contract):
        value = before.get(name)
        if name not in generator.fields or value is None or same(None, value, now.get(name)):
            continue
        item = request.fields[name]
        settable = not item.choices or (isinstance(value, str) and value in item.choices)
        if settable and not generator.clash((name,)) & set(body):
            body[name] = value
    for name in list(generator.selectors):
        if name in body:
            for other in request.fields[name].choices[body[name]].requires:
                if other not in body and before.get(other) is not None:
                    body[other] = before[other]
    if body:
        session.attempt(body, "back to where it stood")
    now = session.known or now
    nulls = [
        name
        for name in (sent if isinstance(sent, Mapping) else ())
        if name in request.fields
        and before.get(name, "") is None
        and now.get(name) is not None
        and not request.fields[name].write_only
    ]
    if nulls and session.clears is not False:
        session.attempt(dict.fromkeys(nulls, None), "back to null")


class Look:
    """
    Looks into the failures of one rule.
    """

    def __init__(self, session: Session, generator: Generator, rule: str, failures: list[Failure]) -> None:
        self.session = session
        self.generator = generator
        self.rule = rule
        self.failures = failures
        self.update = session.contract.update.id
        self.limit = session.sender.budget.spent + SHARE
        garbled = any(part in rule for part in (".shape.json", ".shape.body", ".error_body"))
        noisy = session.sender.noise > 0 or garbled
        shared = ".read_back" in rule or ".frame" in rule or ".no_trace" in rule or ".bystander" in rule
        self.times = 1 if rule.endswith(".moves") else 3 if noisy else 2 if shared else 1
        if rule.endswith(".no_server_error"):
            self.times = 2
        """How often it must be seen again, one time right after the other."""

    def settle(self) -> None:
        """
        Sets ``confirmed`` and ``body`` of the first failures.
        """
        if self.lasting():
            return
        if self.rule == self.in_list:
            self.failures[0].confirmed = self.list_again()
            return
        for failure in self.failures[:2]:
            for cases, read, body in self.candidates(failure):
                if self.session.sender.budget.spent >= self.limit:
                    return
                if self.again(failure, cases, read):
                    failure.confirmed = True
                    failure.body = self.session.completed(self.reduced(failure, cases, read, body))
                    if not cases[-1].keep:
                        smaller = isinstance(failure.body, Mapping) and failure.body != cases[-1].body
                        last = replace(cases[-1], body=failure.body) if smaller else cases[-1]
                        failure.cases, failure.read = (*cases[:-1], last), read
                    self.failures.insert(0, self.failures.pop(self.failures.index(failure)))
                    return
            failure.confirmed = False

    @property
    def in_list(self) -> str:
        """
        The rule that the list shows what the retrieve shows.
        """
        listing = self.session.contract.listing
        return f"{listing[0].id}.read_back" if listing else ""

    def lasting(self) -> bool:
        """
        Settles a change that cannot be made twice, but has stayed: to what no update can set, and
        of a time stamp.
        """
        if self.rule.endswith(".forward"):
            return self.older()
        request = self.session.contract.update.request
        assert request is not None
        stays = ("frame", "rejection.no_trace", "idempotence")
        if not self.rule.startswith(tuple(f"{self.update}.{promise}" for promise in stays)):
            return False
        self.session.settle()
        now = self.session.known or {}
        for failure in self.failures:
            found = failure.finding
            name = found.pointer.strip("/")
            item = request.fields.get(name)
            shown = self.session.judge.fields.get(name)
            fixed = shown is not None and shown.changes != "derived" and (item is None or item.read_only)
            if fixed and shown is not None and shown.changes != "never":
                # Someone else may set it elsewhere: it was this API's doing where the first updates did it.
                fixed = sum(n < failure.number for _, n, _ in self.session.updates) < EARLY
            if fixed and name in now and not same(self.session.judge.fields[name], now[name], found.expected):
                failure.confirmed = True
                self.failures.insert(0, self.failures.pop(self.failures.index(failure)))
                return True
        return False

    def older(self) -> bool:
        """
        True where the time stamp still is before what it was in the beginning of the failure.
        """
        self.session.settle()
        for failure in self.failures:
            name = failure.finding.pointer.strip("/")
            earlier = instant((failure.interaction.before or {}).get(name))
            now = instant((self.session.known or {}).get(name))
            if earlier is not None and now is not None and now < earlier:
                failure.confirmed = True
                self.failures.insert(0, self.failures.pop(self.failures.index(failure)))
                return True
        return False

    def list_again(self) -> bool:
        """
        True where the list still shows the record in another way than the retrieve does.
        """
        session = self.session
        wanted = {f.finding.pointer.rpartition("/")[2] for f in self.failures}
        case = self.failures[0].interaction.case
        for _ in range(self.times):
            establish(session, self.generator, self.failures[0].interaction.before)
            session.trial([], read=True)
            was, session.quiet = session.quiet, True
            _, response = session.perform(case)
            session.quiet = was
            if session.known is None:
                return False
            absent = any(f.finding.actual == "absent" for f in self.failures)
            found = session.judge.in_list(response, session.id, session.known, last=absent).findings
            if not wanted & {f.pointer.rpartition("/")[2] for f in found}:
                return False
        return True

    def again(self, failure: Failure, cases: list[Case], read: bool) -> bool:
        """
        True where *cases* show the failure `times` times in a row.
        """
        writes = any(case.operation == self.update for case in cases)
        before = failure.interaction.before
        if failure.interaction.case.operation != self.update:
            before = next((b for c, n, b in reversed(self.session.updates) if n < failure.number), before)
        failure.state = before
        plain = any(part in self.rule for part in (".shape", ".enum", ".format", ".e164", ".access", ".error_body"))
        for _ in range(self.times):
            if writes and not plain:
                establish(self.session, self.generator, before, failure.interaction.case.body)
            elif not writes and of_answer(self.rule) and failure.finding.pointer:
                # The value that was shown wrongly may not be there any more.
                establish(self.session, self.generator, failure.interaction.before)
            for case in cases:
                if case.absent:
                    self.empty(case)
            if self.rule.endswith(".moves"):
                self.session.sender.sleep(MOVES_AFTER + 0.2)
            elif failure.finding.pointer.strip("/") in self.session.judge.stamps:
                self.session.sender.sleep(1.2)  # Clocks of one second are usual.
            if ".no_trace" in self.rule or (".access" in self.rule and failure.finding.pointer):
                self.session.trial([], read=True)
            found = self.session.trial(cases, read=read)
            if not any(self.alike(failure.finding, f) for f in found):
                return False
        return True

    def reduced(self, failure: Failure, cases: list[Case], read: bool, body: Any) -> Any:
        """
        A smaller *body* with which it is seen as well, where there is budget to look for one.
        """
        case = cases[-1]
        if not isinstance(body, Mapping) or len(body) < 3 or len(cases) > 1 or case.expect != "accept":
            return body

        def fails(part: dict[str, Any]) -> bool:
            return self.again(failure, [replace(case, body=part)], read)

        budget = self.session.sender.budget
        times, self.times = self.times, 1
        try:
            return _reduce(_units(self.generator, body), fails, budget, min(self.limit, budget.spent + budget.left))
        finally:
            self.times = times

    def empty(self, case: Case) -> None:
        """
        Clears what must not be stored for *case* to be refused.
        """
        session = self.session
        if case.away_from is not None and session.known is not None:
            name, value = case.away_from
            if session.known.get(name) == value:
                other = next((v for v in self.generator.enums[name] if v != value), None)
                if other is not None:
                    body = self.generator.complete({name: other}, lambda field: self.generator.firm(field)[0])
                    session.attempt(body, "away from the value")
        stored = [n for n in case.absent if (session.known or {}).get(n) not in (None, "")]
        if stored:
            session.attempt(dict.fromkeys(stored, None), "companions cleared")

    def alike(self, one: Finding, other: Finding) -> bool:
        """
        True where two findings are the same failure.
        """
        rules = {self.rule, one.rule}
        known = self.session.judge.rules.get(other.rule)
        if known is not None and known.group in rules:
            rules.add(other.rule)
        return other.rule in rules and (one.pointer == other.pointer or self.rule not in {one.rule} or not one.pointer)

    def candidates(self, failure: Failure) -> Iterator[tuple[list[Case], bool, Any]]:
        """
        (cases, whether to read after them, the body that matters), the smallest first.
        """
        case = failure.interaction.case
        read = case.operation != self.update or ".no_trace" in self.rule or ".read_back" in self.rule
        if case.operation != self.update:
            if any(part in self.rule for part in (".read_back", ".no_trace", ".access")) and failure.finding.pointer:
                yield from self.writes(failure)
            else:
                yield [case], False, case.body
            return
        if case.keep and isinstance(case.body, Mapping):
            # The value stands there now: that it can be set is shown by setting it back.
            name = failure.finding.pointer.strip("/")
            if name in case.body:
                back = replace(case, body={name: failure.finding.expected})
                yield [back], False, {name: case.body[name]}
        if not isinstance(case.body, Mapping) or not case.body or case.expect != "accept":
            yield [case], read and ".access" not in self.rule, case.body
            return
        for body in self.smaller(case.body, failure.finding.pointer.strip("/").partition("/")[0]):
            small = replace(case, body=body)
            yield ([small, replace(small, repeat=True)] if case.repeat else [small]), read, body
        recent = [c for c in self.session.history if c.expect == "accept"]
        index = next((i for i, c in enumerate(recent) if c.label == case.label), None)
        if index:
            prefix = recent[max(0, index - 3) : index]
            failure.before = tuple(c.body for c in prefix)
            yield [*prefix, case], read, case.body

    def writes(self, failure: Failure) -> Iterator[tuple[list[Case], bool, Any]]:
        """
        For a failure seen in a read: the updates before it.
        """
        name = failure.finding.pointer.strip("/").partition("/")[0]
        if ".no_trace" in self.rule or ".access" in self.rule:
            earlier = [case for case, number in self.session.refusals if number < failure.number]
            guilty = [
                c
                for c in earlier
                if isinstance(c.body, Mapping) and c.body.get(name, MISSING) == failure.finding.actual
            ]
            if ".access" in self.rule:
                guilty = [c for c in guilty if c.rule == self.rule]
            # Where the value tells nothing, the odd ones are tried first: what could not even be read.
            odd = [c for c in earlier if not isinstance(c.body, Mapping)][-2:]
            for case in [*guilty[-2:], *odd, *earlier[-1:], *earlier[:1]]:
                yield [case], True, case.body
            return
        updates = [c for c, number, _ in self.session.updates if number < failure.number]
        for case in reversed(updates[-2:]):
            for body in self.smaller(case.body, name):
                yield [replace(case, body=body)], True, body

    def smaller(self, body: JSONObject, name: str) -> Iterator[dict[str, Any]]:
        """
        Parts of *body* that may show a failure at the field *name*, the smallest first.
        """
        request = self.session.contract.update.request
        assert request is not None
        tried: list[dict[str, Any]] = []

        def fresh(part: dict[str, Any]) -> Iterator[dict[str, Any]]:
            if part and part not in tried:
                tried.append(part)
                yield part

        siblings = request.aliases_of((name,)) if name in request.fields else frozenset()
        alone = {n: body[n] for n in body if n == name or n in siblings}
        if name in self.generator.selectors and name in body:
            alone = self._channel(body, name)
        if alone:
            yield from fresh(alone)
        for selector in self.generator.selectors:
            if selector in body:
                yield from fresh({**self._channel(body, selector), **alone})
        if not alone:
            plain = {n: v for n, v in body.items() if n not in self.generator.selectors}
            first = dict(list(plain.items())[:1])
            yield from fresh(first)
        yield from fresh(dict(body))

    def _channel(self, body: JSONObject, selector: str) -> dict[str, Any]:
        """
        A selector with the companions that it requires.
        """
        choice = self.generator.request.fields[selector].choices.get(body[selector])
        names = (selector, *(choice.requires if choice else ()))
        return {n: body[n] for n in names if n in body}


class _Refusals:
    """
    Finds out what it is in documented bodies that the API refuses.
    """

    def __init__(self, session: Session, generator: Generator) -> None:
        self.session = session
        self.generator = generator
        self.update = session.contract.update.id
        self.rule = f"{self.update}.accept"
        self.fails = f"{self.update}.rejection.no_server_error"
        self.rules = {self.rule, self.fails}
        self.before: JSONObject | None = None
        self.moved = True

    def explain(self) -> None:
        """
        Reduces the documented bodies that are refused or fail, and moves each refusal of a documented body to the rule of what was refused in it.
        """
        for _ in range(3):
            left = [
                f
                for f in self.session.failures()
                if f.finding.rule in self.rules
                and not f.cause
                and f.confirmed is None
                and isinstance(f.body, Mapping)
                and f.interaction.case.expect == "accept"
            ]
            if not left:
                return
            try:
                if not self._one(left):
                    return
            except (SendError, Undecided):
                return

    def _one(self, left: list[Failure]) -> bool:
        failure = min(left, key=lambda f: len(f.body))
        case = failure.interaction.case
        body = dict(failure.body)
        self.before, self.moved = failure.interaction.before, True
        if not self._refused(case, body):
            if len(left) < 3:
                failure.confirmed = False
                return len(left) > 1
            return False
        budget = self.session.sender.budget
        units = _units(self.generator, body)
        small = _reduce(units, lambda part: self._refused(case, part), budget, budget.spent + 12)
        rule, finding = self._name(small, failure)
        for other in left:
            if all(self._like(name, value, other.body) for name, value in small.items()):
                other.confirmed = True
                other.body = small
                other.finding = replace(finding, actual=other.finding.actual)
        failure.confirmed = True
        return bool(rule)

    def _like(self, name: str, value: Any, body: JSONObject) -> bool:
        if name not in body:
            return False
        return name not in self.generator.enums or same(None, body[name], value)

    def _refused(self, case: Case, body: dict[str, Any]) -> bool:
        times = 2 if self.session.sender.noise else 1
        for _ in range(times):
            if self.moved:
                establish(self.session, self.generator, self.before)
                self.moved = False
            self.session.settle()
            found = self.session.trial([replace(case, body=body)])
            if not any(f.rule in self.rules for f in found):
                self.moved = True
                return False
        return True

    def _name(self, small: dict[str, Any], failure: Failure) -> tuple[str, Finding]:
        """
        The rule that *small* stands for.
        """
        if failure.finding.rule == self.fails:
            return self.fails, failure.finding
        request = self.session.contract.update.request
        assert request is not None
        selectors = [n for n in self.generator.selectors if n in small]
        others = [n for n in small if n not in self.generator.selectors]
        if len(selectors) == 1:
            name = selectors[0]
            choice = self.generator.choice(name, small[name])
            if set(others) <= set(choice.requires):
                stem = f"{name}.{choice.value}"
                rule = (
                    f"{self.update}.deprecated.{stem}"
                    if choice.deprecated
                    else f"{self.update}.handler.{stem}.accepted"
                )
                return rule, self._finding(rule, f"{name} {choice.value!r} is refused", f"/{name}", failure)
        if not selectors and len(others) == 1:
            name = others[0]
            kind = "deprecated" if request.fields[name].deprecated else "accept"
            rule = f"{self.update}.{kind}.{name}"
            return rule, self._finding(
                rule, f"a documented value of {name} is refused: {small[name]!r}", f"/{name}", failure
            )
        what = " with ".join([*selectors, *others][:4])
        return self.rule, self._finding(self.rule, f"a documented body is refused: {what}", "", failure)

    def _finding(self, rule: str, message: str, pointer: str, failure: Failure) -> Finding:
        found = failure.finding
        return Finding(rule=rule, message=message, pointer=pointer, expected=found.expected, actual=found.actual)


def _units(generator: Generator, body: JSONObject) -> list[dict[str, Any]]:
    """
    What can be left out of a body and leave it a documented one: single fields, and selectors
    together with their companions.
    """
    units: list[dict[str, Any]] = []
    taken: set[str] = set(generator.required)
    for name in generator.selectors:
        if name in body:
            choice = generator.request.fields[name].choices.get(body[name])
            unit = {n: body[n] for n in (name, *(choice.requires if choice else ())) if n in body}
            taken |= set(unit)
            units.append(unit)
    units += [{name: value} for name, value in body.items() if name not in taken]
    needed = {n: body[n] for n in generator.required if n in body}
    return [{**needed, **unit} for unit in units] or [dict(body)]


def _reduce(
    units: list[dict[str, Any]], fails: Callable[[dict[str, Any]], bool], budget: Budget, limit: int
) -> dict[str, Any]:
    """
    A smallest body out of *units* for which *fails* is true, before *limit* requests were sent.

    Source:
        Zeller and Hildebrandt, Simplifying and Isolating Failure-Inducing Input, 2002.
    """

    def smaller(size: int) -> list[dict[str, Any]] | None:
        for start in range(0, len(units), size):
            rest = units[:start] + units[start + size :]
            half = units[start : start + size]
            for part in (half, rest) if size > 1 or len(units) == 2 else (rest,):
                if part and budget.spent < limit and fails(_merge(part)):
                    return part
        return None

    size = len(units)
    try:
        while size >= 1 and len(units) > 1 and budget.spent < limit:
            size = max(1, min(size, len(units)) // 2)
            part = smaller(size)
            if part is not None:
                units, size = part, len(part)
            elif size == 1:
                break
    except (SendError, Undecided):
        pass  # What was reduced so far is good enough to be told.
    return _merge(units)


def _merge(units: list[dict[str, Any]]) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for unit in units:
        merged.update(unit)
    return merged
