"""
Decides what is sent: a list of blocks of cases, each with its reason and the answers it may get.

First what must be refused, then the tour, then what the documents are silent about, and last a few
bodies by chance.

Nothing here depends on the server, the clock or chance beyond the seed, so that two runs of one
plan send the same bodies in the same order.
"""

from __future__ import annotations

import random
import re
import uuid
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import combinations_with_replacement, count, product
from typing import Any, Final, cast

from contract.generate import Generator, draw
from contract.model import MISSING, Case, Pair
from contract.rules import rules as rules_of
from contract.spec import Contract
from contract.tour import REPEATS, Tour, Values, near

OVERHEAD: Final = 35
"""Requests of a run beside its plan: reads before and after, custody, restoring."""
WAYS: Final = (0, 1, 2, 3, 4, None)
"""Ways to walk the tour that are tried; in the last one no value gets a step more before its last visit."""
FEW: Final = 40
"""Combinations that one way may leave out for another to be worth trying."""
AGAIN: Final = 1_000_003
"""What is added to the seed where none of these will do: the values are then walked in another order."""
FIRST: Final = 12
"""Requests of the record that also sees to the lists and to the state machine, beside its share of the cases."""
RESTING: Final = 20
"""Requests that another record may send while one rests, about."""
PROOF: Final = 3
"""Reads that prove a block of refusals, about; and updates that clear what has to be absent."""
READ_ONLY: Final = 3
"""Bodies that read-only fields are divided among where all of them together are refused."""
SHOWN: Final = frozenset({"blank", "control", "port", "idn"})
"""Kinds of values after which it is read what became of them, beside the last: these are rewritten most often."""
TOLD: Final = 12
"""What a read is worth less where the answer to the next update shows the same values of the selectors."""
CLOSE: Final = 3
"""Reads in a row at the end of the tour, each after one update."""
EMPTY: Final = frozenset({"blank", "space"})
"""Kinds of values with nothing in them."""
INVESTIGATION: Final = 16
"""Requests that a run needs for looking into failures: where there are any, it asks less of what the documents
are silent about, and does not ask for anything by chance."""
MARGIN: Final = 4
"""Requests that a run keeps free where nothing was found."""

__all__ = ["PROFILES", "Block", "Plan", "Profile", "needed", "plan", "split"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """
    How much a run does.
    """

    name: str
    requests: int
    """The most requests that the run may send on its own account."""
    tour: bool
    random: int
    """Bodies that Hypothesis draws for the random part."""
    explore: bool = False
    """True where what is left of the budgets is spent on the state machine."""


PROFILES: Final[Mapping[str, Profile]] = {
    "smoke": Profile(name="smoke", requests=40, tour=False, random=0),
    "standard": Profile(name="standard", requests=300, tour=True, random=2),
    "deep": Profile(name="deep", requests=1_000_000, tour=True, random=60, explore=True),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """
    Cases that belong together; a block of kind ``tour`` is walked in order, the others one by one.
    """

    name: str
    cases: tuple[Case, ...]
    proof: bool = False
    """True where one read after the block proves that none of its cases left a trace."""

    @property
    def cost(self) -> int:
        """
        Requests that the block takes, about.
        """
        proof = PROOF * (self.proof + any(case.absent for case in self.cases))
        return sum(not case.unless for case in self.cases) + proof

    def parts(self, names: Collection[str], text: str = "") -> Iterator[tuple[Block, str]]:
        """
        The block in parts, each with the list that is due after it: that is right after a read, so that it is
        known what a list has to show; and where as many as can be of the fields *names* hold another value
        the first time than the second time, and the field *text* unusual ones.
        """
        states: list[dict[str, Any]] = [{}]
        for case in self.cases:
            states.append({**states[-1], **(case.body if isinstance(case.body, Mapping) else {})})
        reads = [i + 1 for i, case in enumerate(self.cases) if case.body is MISSING] or [len(self.cases)]

        def unlike(pair: tuple[int, int]) -> tuple[int, int]:
            one, other = (states[i] for i in pair)
            shown = _unusual(one.get(text)) | _unusual(other.get(text))
            return sum(n in one and one[n] != other[n] for n in names if n in other) + 2 * len(shown), sum(pair)

        first, second = max(combinations_with_replacement(reads, 2), key=unlike)
        yield replace(self, cases=self.cases[:first]), "meanwhile"
        yield replace(self, cases=self.cases[first:second]), "after"
        yield replace(self, cases=self.cases[second:]), ""

    def thinned(self, by: int, names: Collection[str] = ()) -> Block:
        """
        The block with *by* fewer cases in it: of what the documents are silent about evenly, and of reads those
        that show least what no other one shows, above all of the fields *names*.
        """
        cases = list(self.cases)
        less = [case for case in cases if case.open or (case.body is MISSING and case.expect == "accept")]
        gone = max(0, min(by, len(less) - 3))
        if gone and all(case.body is MISSING for case in less):
            shown = self._shown()
            for _ in range(gone):
                counts = Counter(pair for pairs in shown.values() for pair in pairs)
                only = {i: [n for n, v in pairs if counts[n, v] == 1] for i, pairs in shown.items()}
                worth = {i: len(few) + 10 * sum(n in names for n in few) for i, few in only.items()}
                del shown[min(worth, key=lambda i: worth[i])]
            return replace(self, cases=tuple(c for i, c in enumerate(cases) if c.body is not MISSING or i in shown))
        left = len(less) - gone
        kept = [less[len(less) * i // left] for i in range(left)]
        dropped = {id(case) for case in less} - {id(case) for case in kept}
        return replace(self, cases=tuple(case for case in cases if id(case) not in dropped))

    def _shown(self) -> dict[int, list[tuple[str, str]]]:
        """
        The place of each read -> the fields that it shows, each with its value.
        """
        state: dict[str, str] = {}
        shown: dict[int, list[tuple[str, str]]] = {}
        before: Case | None = None
        for i, case in enumerate(self.cases):
            if case.body is MISSING:
                single = [("", case.label)] if before is not None and len(before.body) == 1 else []
                shown[i] = [*state.items(), *single]
            else:
                state |= {name: repr(value) for name, value in case.body.items()}
                before = case
        return shown


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """
    Everything that one run sends, apart from custody and from what looks into failures.
    """

    blocks: tuple[Block, ...]
    profile: Profile
    updates: int = 0
    """Updates in the tour."""
    bound: int = 0
    """The least number of updates in which the tour's changes and combinations can be walked."""
    coverage: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """What the tour covers: name -> (reached, wanted)."""
    unreachable: tuple[str, ...] = ()
    """Selector values that need an id which was not given."""

    @property
    def cases(self) -> Iterator[Case]:
        """
        Every case in the order in which it is sent.
        """
        for block in self.blocks:
            yield from block.cases


def plan(
    contract: Contract,
    *,
    profile: str = "standard",
    seed: int = 0,
    resources: Mapping[str, str] | None = None,
    foreign_ids: Iterable[str] = (),
) -> Plan:
    """
    The plan of one run.
    """
    return _planned(contract, profile, seed, tuple(sorted((resources or {}).items())), tuple(foreign_ids))


@lru_cache(maxsize=8)
def _planned(
    contract: Contract, profile: str, seed: int, resources: tuple[tuple[str, str], ...], foreign: tuple[str, ...]
) -> Plan:
    return _Planner(contract, PROFILES[profile], seed, dict(resources), foreign).plan()


def needed(whole: Plan, contract: Contract, only: Collection[str]) -> Plan:
    """
    *whole* without what none of the rules *only* needs.

    A request of its own is sent for what must be refused and for what the documents are silent about;
    every other rule is judged on the tour.
    """
    known = rules_of(contract)
    every = any(id.endswith((".rejection.no_server_error", ".rejection.no_leak")) for id in only)
    refused = every or any(id.endswith((".rejection.error_body", ".rejection.no_trace")) for id in only)
    walked = every or any(
        known[id].promise not in {"access", "rejection"} and ".requires." not in id for id in only if id in known
    )

    fields = {known[id].field for id in only if id in known} - {""}

    def wanted(case: Case) -> bool:
        if refused or case.rule in only or case.rule not in known:
            return refused or case.rule in only
        # What a field was refused for, and took all the same, is seen in it later.
        return known[case.rule].group in only or known[case.rule].field in fields

    blocks = []
    for block in whole.blocks:
        if block.name in {"first", "tour", "clock", "random"}:
            blocks += [block] if walked else []
            continue
        cases = [case for case in block.cases if wanted(case) or not case.rule]
        if any(case.rule for case in cases):
            blocks.append(replace(block, cases=tuple(cases)))
    if walked:
        return replace(whole, blocks=tuple(blocks))
    return replace(whole, blocks=tuple(blocks), updates=0, bound=0, coverage={}, unreachable=())


def split(whole: Plan, shares: int) -> list[list[Block]]:
    """
    *whole* shared out among *shares* records, evenly by the requests that it takes.

    The tour fills up what the other blocks leave; each piece of it but the first begins with the updates
    before the cut that set the selectors, so that no change between two updates is lost.
    """
    if shares <= 1:
        return [list(whole.blocks)]
    parts: list[list[Block]] = [[] for _ in range(shares)]
    weight = [FIRST, *[0] * (shares - 1)]
    for block in sorted(whole.blocks, key=lambda b: -b.cost):
        if block.name != "tour":
            least = weight.index(min(weight))
            parts[least].append(block)
            weight[least] += block.cost
    order = {block.name: i for i, block in enumerate(whole.blocks)}
    selectors = [name.removeprefix("changes of ") for name in whole.coverage if name.startswith("changes of ")]
    for tour in (block for block in whole.blocks if block.name == "tour"):
        sizes = [0] * shares
        weight[-1] += RESTING * sum(case.rested for case in tour.cases)  # These are in the last piece.
        for _ in tour.cases:
            least = min(range(shares), key=lambda i: weight[i] + sizes[i])
            sizes[least] += 1
        rested = next((i for i, case in enumerate(tour.cases) if case.rested), len(tour.cases))
        ends = [min(sum(sizes[: i + 1]), rested) for i in range(shares - 1)] + [len(tour.cases)]
        for part, start, end in zip(parts, [0, *ends], ends, strict=False):
            size, cases = end - start, tour.cases[start:end]
            if size and start:
                cases = (*_resumed(tour.cases[:start], selectors), *cases)
            if size:
                part.append(replace(tour, cases=cases))
    return [sorted(part, key=lambda block: order[block.name]) for part in parts]


def _resumed(walked: tuple[Case, ...], selectors: Iterable[str]) -> Iterator[Case]:
    """
    The last of the updates that were *walked*, back to where each selector was set.
    """
    updates = [case for case in walked if case.body is not MISSING and not case.repeat]
    setting = (max((i for i, c in enumerate(updates) if name in c.body), default=0) for name in selectors)
    for case in updates[min(setting, default=len(updates) - 1) :]:
        yield replace(case, label=f"{case.label} again")


class _Planner:
    """
    Makes the blocks of one plan.
    """

    def __init__(
        self, contract: Contract, profile: Profile, seed: int, resources: Mapping[str, str], foreign: tuple[str, ...]
    ) -> None:
        self.contract = contract
        self.update = contract.update
        self.profile = profile
        self.seed = seed
        self.foreign = foreign
        self.generator = Generator(self.update, resources)
        self.request = self.generator.request
        response = self.update.response
        self.shown = frozenset(response.fields) if response else frozenset()
        self.use(Values(self.generator, seed))
        self.final: dict[str, Any] = {}
        """The values of the selectors at the end of the tour."""

    def plan(self) -> Plan:
        """
        The whole plan.
        """
        tour, walk = self.toured()
        self.final = {n: v for case in walk for n, v in case.body.items() if n in self.generator.selectors}
        blocks = [
            # What is refused comes while the time stamp is an old one: a refusal that moves it shows.
            Block(name="access", cases=tuple(self.access()), proof=True),
            Block(name="refusals", cases=tuple(self.refusals()), proof=True),
            Block(name="first", cases=tuple(self.first())),
            Block(name="omissions", cases=tuple(self.omissions()), proof=True),
            Block(name="tour", cases=()),
            Block(name="silence", cases=tuple(self.silence()), proof=True),
            Block(name="clock", cases=tuple(self.rested())),
            Block(name="identity", cases=tuple(self.identity())),
            Block(name="random", cases=tuple(self.drawn(walk))),
        ]
        if self.profile.tour:
            # Every profile lays the values out for the same reads, so that its cases are the same ones.
            reads = self.reads(blocks, walk, PROFILES["standard"])
            self.show(walk, self.worth_reading(walk, tour.tail, reads), tour.near)
            tour.coverage["boundary values"] = self.bounds(walk)
            blocks[-1] = replace(blocks[-1], cases=tuple(self.drawn(walk)))  # As its body is now.
        place = [block.name for block in blocks].index("tour")
        made = tuple(self.interleave(walk, tour.tail, self.reads(blocks, walk, self.profile)))
        blocks[place] = replace(blocks[place], cases=made)
        unreachable = tuple(
            f"{name} {value}"
            for name, item in self.request.selectors.items()
            for value, choice in item.choices.items()
            if not self.generator.settable(choice)
        )
        return Plan(
            blocks=tuple(block for block in blocks if block.cases),
            profile=self.profile,
            updates=tour.updates,
            bound=tour.bound,
            coverage=tour.coverage,
            unreachable=unreachable,
        )

    def toured(self) -> tuple[Tour, list[Case]]:
        """
        The tour and its steps; of several ways the first in which every combination that is wanted stands.
        """
        found: tuple[Tour, list[Case]] | None = None
        for order, turn in list(product((self.seed, self.seed + AGAIN), WAYS))[: None if self.profile.tour else 1]:
            values = Values(self.generator, self.seed)
            tour = Tour(self.update.id, self.generator, values, self.shown, random.Random(order), turn)
            self.use(values)
            steps = list(tour.cases() if self.profile.tour else self.smoke())
            if found is None or tour.missing < found[0].missing:
                found = tour, steps
            if not tour.missing or tour.missing > FEW:
                break
        assert found is not None
        self.use(found[0].boundary)
        return found

    def bounds(self, walk: list[Case]) -> tuple[int, int]:
        """
        How many boundary values of the free fields *walk* sends, and how many there are.
        """
        sent = {(name, repr(value)) for case in walk for name, value in case.body.items()}
        every = {(name, repr(value)) for name, values in self.values.firm.items() for value in values}
        return len(sent & every), len(every)

    def use(self, values: Values) -> None:
        """
        Takes the boundary values from *values*.
        """
        self.values, self.take, self.mark = values, values.take, values.mark

    def reads(self, blocks: list[Block], walk: list[Case], profile: Profile) -> int:
        """
        How many reads *profile* has room for beside *walk*, and beside its share of *blocks*.
        """
        others = sum(
            not case.unless for block in blocks if block.name not in {"clock", "random"} for case in block.cases
        )
        sent = others + profile.random + profile.tour + len(walk) + REPEATS * profile.tour
        return max(min(profile.requests - MARGIN - OVERHEAD - sent, len(walk)), min(len(walk), 3))

    def interleave(self, walk: list[Case], tail: int, reads: int) -> Iterator[Case]:
        """
        *walk* with as many reads in it, evenly, and some of its steps sent twice.
        """
        count = len(walk)
        often = {self.varied(walk, count * i // REPEATS, count * (i + 1) // REPEATS) for i in range(REPEATS)}
        read = self.worth_reading(walk, tail, reads)
        for i, case in enumerate(walk):
            yield case
            if self.profile.tour and i in often:
                yield replace(case, label=f"{case.label} again", repeat=True, rested=False)
            if i in read:
                yield Case(label=f"read after {case.label}", operation=self.contract.retrieve.id)

    def varied(self, walk: list[Case], start: int, end: int) -> int:
        """
        The step from *start* on and before *end* that sends the most different values of enumerated fields:
        only these show that an API mixes such fields up at the second time.
        """
        enums = [name for name in self.generator.enums if name not in self.generator.selectors]

        def differing(step: int) -> tuple[bool, int, int]:
            body = walk[step].body
            # After one that rested other values may have been sent.
            return not walk[step].rested, len({repr(body[name]) for name in enums if name in body}), len(body)

        return max(range(start, end), key=differing, default=start)

    def worth_reading(self, walk: list[Case], tail: int, reads: int) -> list[int]:
        """
        The steps after which to read: in each equal stretch of the walk the one that shows the most
        that no read has shown yet. A new value of a selector counts for more than a new pair of
        them, and that for more than a field that was sent since the last read; a field that was not
        sent in the step itself counts least, as the API may have cleared it.

        After each update of one thing it is read, and from *tail* on, where one thing is sent at a time, the reads
        are close together: an answer that was kept from before such an update is only seen between a read
        before it and one after it.
        """
        close: list[int] = []
        if 0 < tail <= len(walk) - CLOSE + 1 and 3 * CLOSE < reads < len(walk):
            close = [*range(tail - 1, tail - 1 + CLOSE)]
            walk, reads = walk[: tail - 1], min(reads - CLOSE, tail - 1)
        single = [i for i, case in enumerate(walk) if len(case.body) == 1 and len(walk) > 2 * reads]
        single = single if len(single) < reads else []
        reads -= len(single)
        selectors = self.generator.selectors
        states: list[dict[str, Any]] = []
        for case in walk:
            chosen = {n: v for n, v in case.body.items() if n in selectors}
            states.append({**(states[-1] if states else {}), **chosen})
        steps: list[int] = []
        seen: set[Any] = set()
        for i in range(reads):
            fresh: set[str] = set()
            worth: dict[int, int] = {}
            for step in range(steps[-1] + 1 if steps else 0, len(walk) * (i + 1) // reads):
                fresh.update(walk[step].body)
                state = states[step]
                values = sum((n, v) not in seen for n, v in state.items())
                pair = tuple(state.items()) not in seen
                told = step + 1 < len(walk) and states[step + 1] == state
                worth[step] = 100 * values + 6 * pair + 2 * len(walk[step].body) + len(fresh) - TOLD * told
            best = max(range(len(walk) * i // reads, len(walk) * (i + 1) // reads), key=worth.__getitem__)
            steps.append(best)
            seen.update(states[best].items(), [tuple(states[best].items())])
        return [*sorted({*steps, *single}), *close]

    def show(self, walk: list[Case], read: list[int], nearly: Mapping[str, str]) -> None:
        """
        Exchange the values of a field between the steps of *walk* where a read after the steps *read*
        would show a value of the field for the second time, and others never, or one that tells less. The steps
        that *nearly* send what is stored follow what is stored now.
        """
        for name in self.values.firm:
            every = [i for i, case in enumerate(walk) if name in case.body]
            sent = [i for i in every if walk[i].label not in nearly]
            values = [walk[i].body[name] for i in sent]
            last = {max((i for i in every if i <= step), default=-1) for step in read}
            stand = [k for k, i in enumerate(sent) if i in last]
            # The values that tell most come first; where the walk is too short for all, the others are left out.
            most = {repr(value): value for value in self.generator.firm(name)[: len(stand)]}
            shown = {repr(values[k]): k for k in stand}
            wanted = [value for value in most if value not in shown]
            for k in stand:
                if wanted and (repr(values[k]) not in most or shown[repr(values[k])] != k):
                    others = (i for i, value in enumerate(values) if i not in stand and repr(value) == wanted[0])
                    if (other := next(others, None)) is not None:
                        values[other] = values[k]
                    values[k] = most[wanted.pop(0)]
            if values and values[-1] in values[-2:-1]:
                # What is sent by itself at the end must change something.
                values[0], values[-1] = values[-1], values[0]
            for i, value in zip(sent, values, strict=True):
                walk[i] = replace(walk[i], body={**walk[i].body, name: value})
        stored: dict[str, Any] = {}
        for i, case in enumerate(walk):
            if how := nearly.get(case.label):
                free = [n for n in case.body if n in stored and n in self.values.firm]
                made = {n: near(stored[n], how, self.generator.fields[n]) for n in free}
                fresh = {n: value for n, value in made.items() if value != stored[n]}
                case = walk[i] = replace(case, body={**case.body, **fresh})
            stored.update(case.body)

    # ----------------------------------------------------------------- blocks

    def case(self, label: str, **values: Any) -> Case:
        """
        A case of the update.
        """
        return Case(label=label, operation=self.update.id, **values)

    def first(self) -> Iterator[Case]:
        """
        One field that nothing else depends on: only the first update of a run is sent long enough after
        the one before it to show that the time stamp moves, whatever is written. One that was found with
        something in it is preferred: it can be put back even where null empties nothing.
        """
        gen = self.generator
        needed = {o for s in gen.selectors.values() for c in s.choices.values() for o in c.requires}
        plain = [n for n in gen.free if n in self.shown and n not in gen.request.aliases_of(needed) and n != gen.marker]
        unless = ""
        for name in reversed(plain if self.profile.tour else ()):
            body = gen.complete({name: gen.firm(name)[-1]})
            yield self.case(f"{name} first", body=body, unless=unless)
            unless = unless or f"{name} first"

    def access(self) -> Iterator[Case]:
        """
        Requests without the right to ask, and for what is not there.
        """
        light = not self.profile.tour
        if light and self.update.security:
            for operation, kind in ((self.update, "wrong_password"), (self.contract.retrieve, "no_credentials")):
                body = self.mark({}, "access") if operation is self.update else MISSING
                yield Case(
                    label=f"{operation.label} {kind.replace('_', ' ')}",
                    operation=operation.id,
                    expect="reject",
                    rule=f"{operation.id}.access.{kind}",
                    credentials=_pair(kind),
                    body=body,
                )
            return
        reads = [self.contract.retrieve, *([self.contract.listing[0]] if self.contract.listing and not light else [])]
        for operation in [*reads, self.update]:
            writes = operation is self.update
            base = Case(label="", operation=operation.id, expect="reject")
            made: list[Case] = []
            if operation.security:
                scheme = self.contract.schemes[operation.security[0]]
                # An API that looks at a part of the password alone most likely does so in every operation.
                wrong = "longer" if writes else "wrong" if operation is reads[0] else "shorter"
                kinds = ["no_credentials", f"{wrong}_password"]
                if scheme.get("scheme") == "basic":
                    kinds += ["wrong_user", *(["empty_password"] if writes else [])]
                kinds += ["recased_password", "other_scheme"] if writes else []
                for kind in kinds:
                    rule = f"{operation.id}.access.{_WRONG.sub('wrong_password', kind)}"
                    label = f"{operation.label} {kind.replace('_', ' ')}"
                    made.append(replace(base, label=label, rule=rule, credentials=_pair(kind)))
            if operation.key is not None:
                label = f"{operation.label} unknown id"
                made.append(replace(base, label=label, rule=f"{operation.id}.access.unknown_id", target="unknown"))
                if self.foreign:
                    label = f"{operation.label} foreign id"
                    # Nothing is written to a record of someone else's that can be read: it could not be put back.
                    unless = f"{self.contract.retrieve.label} foreign id" if writes else ""
                    rule = f"{operation.id}.access.foreign_id"
                    made.append(replace(base, label=label, rule=rule, target="foreign", unless=unless))
            for case in made:
                # Each with a text of its own, so that a trace tells which of them left it.
                tag = case.label.removeprefix(operation.label).strip()
                body = (self.mark({}, tag) or self.generator.complete({}, self.take)) if writes else MISSING
                yield replace(case, body=body)

    def omissions(self) -> Iterator[Case]:
        """
        A selector's value without one companion that it requires, while none is stored.
        """
        cases = list(self._omissions())
        rules = rules_of(self.contract)
        certain = [c for c in cases if rules[c.rule].basis == "documented"]
        yield from certain
        if self.profile.tour:
            yield from self.excluded(used=True)
        if rest := [c for c in cases if c not in certain]:
            # These may well be accepted, and would hide what the others left behind.
            yield Case(label="read after what must be refused", operation=self.contract.retrieve.id)
            yield from rest
        if self.profile.tour:
            yield from self.bare()

    def bare(self) -> Iterator[Case]:
        """
        Each selector at the value with the most companions that it does not require, without any of them
        while none is stored: whatever the tour stores, no update after it lacks them again.
        """
        gen = self.generator
        body: dict[str, Any] = {}
        absent: set[str] = set()
        for name in gen.selectors:
            free = {
                value: {o for o in gen.choice(name, value).uses if o in gen.free and o in self.shown}
                - gen.request.aliases_of(gen.choice(name, value).requires)
                for value in gen.enums[name]
            }
            most = max(free, key=lambda value: len(free[value]))
            if free[most] and not absent & gen.request.aliases_of(free[most]):
                body[name] = most
                absent |= free[most]
        if absent:
            gen.complete(body)
            values = [str(body[name]) for name in gen.selectors if name in body]
            yield self.case(
                f"{' and '.join(dict.fromkeys(values))} with nothing else", body=body, absent=tuple(sorted(absent))
            )

    def _omissions(self) -> Iterator[Case]:
        gen = self.generator
        done: set[str] = set()
        number = count()
        for name in gen.selectors:
            for value, choice in gen.request.fields[name].choices.items():
                for other in choice.requires:
                    present = [c for c in choice.requires if c != other]
                    if any(c not in gen.fields for c in present):
                        continue
                    if not self.profile.tour and (name in done or choice.requires[other].basis != "documented"):
                        continue
                    done.add(name)
                    body = {
                        name: value,
                        **{c: self.values.firm[c][0] if c in self.values.firm else self.take(c) for c in present},
                    }
                    absent = tuple(sorted((gen.request.aliases_of((other,)) & self.shown) | {other}))
                    company = self.company(name, value, always=next(number) % 2 == 1)
                    if not gen.request.aliases_of(company) & {*absent, *body}:
                        body |= company
                    yield self.case(
                        f"{name} {value} without {other}",
                        expect="reject",
                        rule=f"{self.update.id}.handler.{name}.{value}.requires.{other}",
                        body=self.mark(body, f"{value} without {other}"),
                        absent=absent,
                        away_from=(name, value),
                    )

    def company(self, name: str, value: Any, *, always: bool) -> dict[str, Any]:
        """
        The other selectors at the same value, so that their companions are there where those of *name*
        lack; or, where *always*, at any value.
        """
        gen = self.generator
        body: dict[str, Any] = {}
        for other in gen.selectors:
            if other != name and (value in gen.enums[other] or always):
                body[other] = value if value in gen.enums[other] else gen.enums[other][0]
        return gen.complete(body) if body else {}

    def refusals(self) -> Iterator[Case]:
        """
        What the documents exclude, one thing at a time.
        """
        prefix = f"{self.update.id}.rejection"
        gen = self.generator
        yield from self.excluded(used=False)
        text = f'{{"{gen.marker or "a"}": "must not appear malformed", '
        yield self.case("malformed JSON", expect="reject", rule=f"{prefix}.malformed_json", content=text.encode())
        if self.profile.tour:
            items = [self.mark({}, "array")]
            rule = f"{prefix}.not_an_object"
            yield self.case("a JSON array", expect="unspecified", rule=rule, body=items, keep=True)

    def excluded(self, *, used: bool) -> Iterator[Case]:
        """
        Undocumented values of enumerated fields: of every other one that a selector's value *used*, while it stands
        elsewhere, as an API may look at them there alone; or of the rest.
        """
        gen = self.generator
        names = [name for name in gen.enums if gen.request.fields[name].enum]
        if not self.profile.tour:
            names = [*gen.selectors, *(name for name in names if name not in gen.selectors)][:3]
        seen: set[Any] = set()
        users = {name: self.user(name) for name in names}
        elsewhere = [name for name, user in users.items() if user is not None][::2]
        for name in names:
            values = gen.refused(name)
            # Fields with the same values are looked after by the same code: one near miss will do for them.
            alike = name not in gen.selectors and gen.enums[name] in seen
            seen.add(gen.enums[name])
            if alike or not self.profile.tour:
                values = values[:1]
            for value in values if (name in elsewhere) == used else ():
                label, rule = f"{name} is {value!r}", f"{self.update.id}.rejection.{name}.enum"
                body = self.mark({name: value}, f"{name} {value}")
                yield self.case(label, expect="reject", rule=rule, body=body, away_from=users[name] if used else None)

    def user(self, name: str) -> tuple[str, Any] | None:
        """
        The selector and its value that use the companion *name*: an API may look at it there alone.
        """
        if not self.profile.tour:
            return None
        selectors = self.generator.selectors.items()
        return next(((s, v) for s, item in selectors for v, c in item.choices.items() if name in c.uses), None)

    def smoke(self) -> Iterator[Case]:
        """
        Each selector value once, all selectors in step.
        """
        gen = self.generator
        most = max((len(gen.enums[name]) for name in gen.selectors), default=1)
        for i in range(most):
            body: dict[str, Any] = {name: gen.enums[name][i % len(gen.enums[name])] for name in gen.selectors}
            gen.complete(body, self.take)
            for name, values in gen.enums.items():
                if name not in gen.selectors:
                    body.setdefault(name, values[i % len(values)])
            if gen.marker:
                body[gen.marker] = self.take(gen.marker)
            yield self.case(f"smoke {i + 1}", body=body or {n: self.take(n) for n in gen.fields})

    def silence(self) -> Iterator[Case]:
        """
        Requests about which the documents say nothing: either answer will do, if it is consistent.
        """
        if not self.profile.tour:
            return
        prefix = f"{self.update.id}.rejection"
        gen = self.generator
        response = self.update.response
        secret = (
            [n for n, f in response.fields.items() if f.read_only or n not in gen.request.fields] if response else []
        )
        key = self.update.key.name if self.update.key else ""
        foreign = {n: _other(response.fields[n].schema) for n in secret if n != key} if response else {}
        if foreign:
            rule = f"{prefix}.read_only"
            yield self.case("read-only fields", expect="unspecified", rule=rule, body=foreign, keep=True)
            # Where they are refused, one of them may have been reason enough.
            names = list(foreign)
            for some in [names[i::READ_ONLY] for i in range(min(READ_ONLY, len(names)))] if len(names) > 1 else []:
                yield self.case(
                    f"read-only {', '.join(some)}",
                    expect="unspecified",
                    rule=rule,
                    body={name: foreign[name] for name in some},
                    keep=True,
                    unless="read-only fields",
                )
        body = {"x_unknown_key": "must not appear"}
        yield self.case("an unknown key", expect="unspecified", rule=f"{prefix}.unknown_key", body=body, keep=True)
        yield self.case("an empty body", expect="unspecified", rule=f"{prefix}.empty", body={}, keep=True)
        content: dict[str, Any] = {"body": MISSING, "content": b""}
        yield self.case("no body", expect="unspecified", rule=f"{prefix}.empty", keep=True, **content)
        rule = f"{prefix}.consistent"
        for name, value in self.final.items():
            if gen.choice(name, value).requires:
                yield self.case(
                    f"{name} with what is stored",
                    expect="unspecified",
                    rule=rule,
                    body={name: value},
                    open={name: "exact"},
                )
        values_of = self.open_values()
        last = next(reversed(values_of), "")
        for kind, values in values_of.items():
            how = dict.fromkeys(values, "blank" if kind in EMPTY else "exact")
            yield self.case(f"{kind} values", expect="unspecified", rule=rule, body=values, open=how)
            if kind in SHOWN or kind == last:
                yield Case(label=f"read after {kind} values", operation=self.contract.retrieve.id)
        for name, item in gen.fields.items():
            for value in item.open_values:
                yield self.case(
                    f"{name} is {value!r}", expect="unspecified", rule=rule, body={name: value}, open={name: "exact"}
                )
        for name in gen.selectors:
            if name in self.shown and not gen.fields[name].required:
                yield self.case(
                    f"null in {name}", expect="unspecified", rule=rule, body={name: None}, open={name: "null"}
                )
        for kind, names in self.kinds().items():
            free = [n for n in names if n in gen.fields]
            if free:
                nulls = dict.fromkeys(free[:2], None)
                yield self.case(
                    f"null in {kind}", expect="unspecified", rule=rule, body=nulls, open=dict.fromkeys(nulls, "null")
                )
        if gen.marker:
            name = gen.marker
            yield self.case(f"a number in {name}", expect="unspecified", rule=rule, body={name: 7}, open={name: "any"})
            yield self.case(
                f"a list in {name}", expect="unspecified", rule=rule, body={name: ["a"]}, open={name: "any"}
            )
            for name in self.kinds().get("uri", [])[:1]:
                for what, value in (("an object", {"a": 7}), ("no URL", "not a url")):
                    yield self.case(
                        f"{what} in {name}", expect="unspecified", rule=rule, body={name: value}, open={name: "any"}
                    )
        for name in list(gen.selectors)[:1]:
            yield self.case(f"a number in {name}", expect="unspecified", rule=rule, body={name: 7}, open={name: "any"})
        seen: set[tuple[Any, ...]] = set()
        for name, options in gen.enums.items():
            if options and isinstance(options[0], str) and options not in seen:
                seen.add(options)
                lower = options[0].lower() if options[0] != options[0].lower() else options[0].upper()
                label = f"another case in {name}"
                yield self.case(label, expect="unspecified", rule=rule, body={name: lower}, open={name: "any"})
        ghosts = {
            name: str(uuid.uuid5(uuid.NAMESPACE_URL, f"https://example.com/nothing/{name}"))
            for name, item in gen.fields.items()
            if item.resource
        }
        first = dict(list(ghosts.items())[:1])
        for body in (first, {name: ghost for name, ghost in ghosts.items() if name not in first}):
            if body:
                label = f"{', '.join(body)} of nothing"
                yield self.case(label, expect="unspecified", rule=rule, body=body, open=dict.fromkeys(body, "exact"))
        yield from self.empty_companions()
        if self.update.key is not None and self.update.key.schema.get("format") == "uuid":
            for operation in (self.contract.retrieve, self.update):
                yield Case(
                    label=f"{operation.label} malformed id",
                    operation=operation.id,
                    expect="unspecified",
                    rule=rule,
                    body=self.mark({}, "malformed id") if operation is self.update else MISSING,
                    target="malformed",
                )
        body = self.mark({}, "media type")
        yield self.case(
            "a wrong media type",
            expect="unspecified",
            rule=rule,
            body=body,
            media_type="text/plain",
            open=dict.fromkeys(body, "exact"),
        )

    def rested(self) -> Iterator[Case]:
        """
        Each selector by itself, after a rest: does each move the time stamp?
        """
        gen = self.generator
        if self.profile.explore:
            for name in gen.selectors:
                body = gen.complete({name: gen.enums[name][0]}, lambda field: gen.firm(field)[-1])
                yield self.case(f"{name} alone, after a rest", body=body, rested=True)

    def identity(self) -> Iterator[Case]:
        """
        What identifies the record, in other letters: written to, it still means the same record.
        """
        key = self.update.key
        if self.profile.tour and key is not None and key.schema.get("format") == "uuid" and key.name in self.shown:
            yield self.case(
                f"{key.name} in the other letter case",
                expect="unspecified",
                rule=f"{self.update.id}.rejection.read_only",
                body={},
                keep=True,
                respells=key.name,
            )

    def empty_companions(self) -> Iterator[Case]:
        """
        A value of a selector whose companion is there, but is empty.
        """
        gen = self.generator
        rule = f"{self.update.id}.rejection.consistent"
        found = (
            (name, value, other)
            for name in gen.selectors
            for value in gen.enums[name]
            for other, fact in gen.choice(name, value).requires.items()
            if other in gen.free and other in self.shown and fact.basis == "documented"
        )
        kinds: dict[str, tuple[str, Any, str]] = {}
        for name, value, other in found:
            kinds.setdefault(gen.fields[other].format, (name, value, other))
        for i, (name, value, other) in enumerate(kinds.values()):
            whole = gen.complete({name: value}, self.take)
            for empty, kind, words in (("", "blank", "a blank"), *([] if i else [(None, "null", "null in")])):
                yield self.case(
                    f"{name} {value} with {words} {other}",
                    expect="unspecified",
                    rule=rule,
                    body={**whole, other: empty},
                    open={**dict.fromkeys(whole, "exact"), other: kind},
                )

    def open_values(self) -> dict[str, dict[str, Any]]:
        """
        One body for each kind of value that the documents leave open.
        """
        gen = self.generator
        found: dict[str, dict[str, Any]] = {}
        active = {o for name, value in self.final.items() for o in gen.choice(name, value).requires}
        for name in gen.free:
            if name not in self.shown or gen.fields[name].write_only:
                continue
            siblings = sorted(n for n in gen.request.aliases_of((name,)) if n in self.shown)
            for i, (kind, value) in enumerate(gen.open(name)):
                if len(siblings) > 1 and siblings[i % len(siblings)] != name:
                    continue  # One name of a thing at a time.
                if kind in EMPTY and not gen.request.aliases_of((name,)).isdisjoint(active):
                    continue  # It would be reason enough to refuse all of them.
                slot = f"{kind} {i}" if kind == "long" else kind
                found.setdefault(slot, {})[name] = value
        return {kind: body for kind, body in found.items() if body}

    def kinds(self) -> dict[str, list[str]]:
        """
        The fields by kind, for asking what null does to each kind.
        """
        taken = {o for s in self.generator.selectors.values() for c in s.choices.values() for o in c.requires}
        found: dict[str, list[str]] = {}
        for name, item in self.generator.fields.items():
            if name in taken or name not in self.shown or item.required or name in self.generator.selectors:
                continue
            kind = "enumerated fields" if name in self.generator.enums else item.format or "free fields"
            found.setdefault(kind, []).append(name)
        return found

    def drawn(self, walk: list[Case]) -> Iterator[Case]:
        """
        The first body of *walk*, long after it; and the random part: bodies that Hypothesis draws from the seed.
        """
        if self.profile.tour and walk:
            # An API may have kept that it was carried out before.
            yield replace(walk[0], label=f"{walk[0].label} once more")
        if self.profile.random:
            for i, body in enumerate(draw(self.generator.bodies(), self.profile.random, self.seed)):
                if body:
                    yield self.case(f"random {i + 1}", body=body)


_WRONG: Final = re.compile("(empty|longer|shorter|recased)_password|other_scheme")
"""What may be sent instead of any other wrong password; the rule is the same."""


def _unusual(value: Any) -> set[str]:
    """
    What is unusual about a value: that it is ``long``, holds characters that take more than three bytes, or markup.
    """
    if not isinstance(value, str):
        return set()
    kinds = {"long": len(value) > 40, "astral": any(ord(c) > 0xFFFF for c in value), "markup": "<" in value}
    return {kind for kind, there in kinds.items() if there}


def _pair(kind: str) -> Pair:
    """
    The credentials of a kind of access that is not right.
    """
    return "none" if kind == "no_credentials" else cast(Pair, kind)


def _other(schema: Mapping[str, Any]) -> Any:
    """
    A well-formed value that a record of this schema is most unlikely to hold.
    """
    kinds = schema.get("type", "string")
    kind = next((k for k in ([kinds] if isinstance(kinds, str) else kinds) if k != "null"), "string")
    if values := [v for v in schema.get("enum", ()) if v is not None]:
        return values[-1]
    made = {
        "uuid": "00000000-0000-4000-8000-00000000dead",
        "date-time": "2001-02-03T04:05:06Z",
        "date": "2001-02-03",
        "e164": "+15550109999",
        "iso-3166-1-alpha-2": "NZ",
    }
    if kind == "array":
        return [_other(schema.get("items", {}))]
    return {"integer": 424242, "number": 4.5, "boolean": True, "object": {}}.get(
        kind, made.get(str(schema.get("format", "")), "mustnotappear")
    )
