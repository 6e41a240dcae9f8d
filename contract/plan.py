"""Decides what is sent: a list of blocks of cases, each with its reason and the answers it may get.

First what must be refused, then the tour, then what the documents are silent about, and last a few
bodies by chance.

Nothing here depends on the server, the clock or chance beyond the seed, so that two runs of one
plan send the same bodies in the same order.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, Final

from contract.budget import BESIDE_RANDOM, LISTS, MARGIN, OVERHEAD, PROOF, RESTING, SIGHTS
from contract.cases import Cases, excluding
from contract.generate import Generator, draw
from contract.model import MISSING, Case, JSONObject
from contract.rules import rules as rules_of
from contract.spec import Contract
from contract.tour import REPEATS, Tour, Values, near

GIVEN_UP: Final = 7
"""Reads of the tour that a run gives up for what it has to send beside its plan, about."""
TOLD: Final = 12
"""What a read is worth less where the answer to the next update shows the same values of the selectors."""
FEWEST: Final = 2
"""Fields of an update of one thing, at most."""
ALONE: Final = ("", "")
"""Stands for an update of one thing beside a read."""
UNUSUAL: Final = 12
"""What a list is worth more for each kind of unusual text that it shows and none before it; see `Block.parts`."""
BY_ITSELF: Final = 30
"""What a list is worth more right after an update of that text by itself."""
CLOSE: Final = 3
"""Reads in a row at the end of the tour, each after one update."""
DRAWN: Final = 10
"""Bodies that are drawn to choose those of the random part from."""
CHOICE: Final = 4
"""Bodies that are drawn for each one that is sent, where there is room for many."""
POOL: Final = 160
"""Bodies that are drawn at most, to choose from."""

__all__ = ["PROFILES", "Block", "Plan", "Profile", "needed", "plan", "split"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """How much a run does."""

    name: str
    requests: int
    """The most requests that the run may send on its own account."""
    thorough: bool
    random: int
    """Bodies that Hypothesis draws for the random part."""
    explore: bool = False
    """True where what is left of the budgets is spent on the state machine."""


PROFILES: Final[Mapping[str, Profile]] = {
    "smoke": Profile(name="smoke", requests=50, thorough=False, random=0),
    "standard": Profile(name="standard", requests=300, thorough=True, random=1),
    "deep": Profile(name="deep", requests=1_000_000, thorough=True, random=60, explore=True),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Cases that belong together; a block of kind ``tour`` is walked in order, the others one by one."""

    name: str
    cases: tuple[Case, ...]
    proof: bool = False
    """True where one read after the block proves that none of its cases left a trace."""

    @property
    def cost(self) -> int:
        """Requests that the block takes, about."""
        proof = PROOF * (self.proof + any(case.absent for case in self.cases))
        return sum(not case.unless for case in self.cases) + proof

    def parts(self, enums: Mapping[str, Collection[Any]], text: str = "") -> Iterator[tuple[Block, str]]:
        """The block in parts, each with the list that is due after it: that is right after a read, so that it is
        known what a list has to show; and where it shows most that no earlier one showed, of the fields *enums*,
        those with most values above all, and of what is unusual in the field *text*; and once after an update of that
        field by itself, which may not have reached what lists are made of. They come after an even number of changes and
        after an odd one.
        """
        state: dict[str, Any] = {}
        moments: dict[int, dict[Any, int]] = {}
        changes, last = 0, set[str]()
        for i, case in enumerate(self.cases, 1):
            if case.body is MISSING:
                shown = {(n, v): len(enums[n]) for n, v in state.items() if n in enums and isinstance(v, str)}
                moments[i] = shown | dict.fromkeys(_unusual(state.get(text)), UNUSUAL)
                moments[i] |= {ALONE: BY_ITSELF} if last == {text} else {}
                moments[i][("updates", changes % 2)] = BY_ITSELF
            elif case.expect == "accept":
                state |= case.fields
                changes, last = changes + (not case.repeat), {*case.fields}
        chosen: set[int] = set()
        seen: set[Any] = set()
        for _ in range(min(LISTS, len(moments))):
            worth = {i: sum(w for one, w in moments[i].items() if one not in seen) for i in moments.keys() - chosen}
            best = max(worth, key=lambda i: (worth[i], i))
            if not worth[best]:
                break  # Another one would show nothing new.
            chosen.add(best)
            seen |= moments[best].keys()
        start, ends = 0, sorted(chosen) or [len(self.cases)]
        for k, end in enumerate(ends, 1):
            yield replace(self, cases=self.cases[start:end]), "after" if end == ends[-1] else f"meanwhile {k}"
            start = end
        yield replace(self, cases=self.cases[start:]), ""

    def opening(self, *, unusual: bool) -> tuple[Block, str, Block]:
        """(the first part of the block, the list that is due after it, the rest): it ends where it is known how many of
        the cases that depend on others were sent, and, where a list is to show what is *unusual*, after the first read
        that shows longer texts than usual.
        """
        long = False
        for i, case in enumerate(self.cases[:-1], 1):
            long = long or case.label.startswith("long ")
            due = unusual and long and case.body is MISSING and case.expect == "accept"
            if due or (case.unless and not self.cases[i].unless):
                part = replace(self, cases=self.cases[:i], proof=False)
                return part, "with what is unusual" * due, replace(self, cases=self.cases[i:])
        return self, "", replace(self, cases=())

    def thinned(self, by: int, names: Collection[str] = (), others: Iterable[JSONObject] = ()) -> Block:
        """The block with *by* fewer cases in it: of what the documents are silent about evenly, and of reads those that
        show least what neither another one nor what is read before and after the block, *others*, shows: above all
        of the fields *names*.
        """
        cases = list(self.cases)
        less = [case for case in cases if case.open or (case.body is MISSING and case.expect == "accept")]
        gone = max(0, min(by, len(less) - 3))
        if gone and all(case.body is MISSING for case in less):
            shown = self._shown()
            seen = {(name, repr(value)) for other in others for name, value in other.items() if name in names}

            def worth(place: int) -> tuple[bool, int, int]:
                """Whether it is beside an update of one thing, and what it is the first to show: of *names*, of all."""
                fresh = shown[place] - seen
                return ALONE in fresh, sum(name in names for name, _ in fresh), len(fresh)

            # No value of *names* goes unread for it, unless much more lacks than reads could pay for.
            while shown and (len(shown) > gone or (gone == by and any(worth(place)[1] for place in shown))):
                best = max(shown, key=worth)
                seen |= shown.pop(best) - {ALONE}
            return replace(self, cases=tuple(case for i, case in enumerate(cases) if i not in shown))
        left = len(less) - gone
        kept = [less[len(less) * i // left] for i in range(left)]
        dropped = {id(case) for case in less} - {id(case) for case in kept}
        return replace(self, cases=tuple(case for case in cases if id(case) not in dropped))

    def _shown(self) -> dict[int, set[tuple[str, str]]]:
        """The place of each read -> the fields that it shows, each with its value; `ALONE` beside one thing's
        update.
        """
        state: dict[str, str] = {}
        shown: dict[int, set[tuple[str, str]]] = {}
        for i, case in enumerate(self.cases):
            if case.body is not MISSING:
                state |= {name: repr(value) for name, value in case.fields.items() if case.expect == "accept"}
                continue
            beside = [
                c.body for c in self.cases[max(0, i - 1) : i + 2] if c.body is not MISSING and c.expect == "accept"
            ]
            # What was kept from before an update of one thing shows between reads on both sides of it alone.
            shown[i] = {*state.items(), *([ALONE] if any(len(body) <= FEWEST for body in beside) else [])}
        return shown


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Everything that one run sends, apart from custody and from what looks into failures."""

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
    final: JSONObject = field(default_factory=dict)
    """What the selectors have after the tour and what is drawn by chance."""

    @property
    def cases(self) -> Iterator[Case]:
        """Every case in the order in which it is sent."""
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
    """The plan of one run."""
    return _planned(contract, profile, seed, tuple(sorted((resources or {}).items())), bool(tuple(foreign_ids)))


@lru_cache(maxsize=8)
def _planned(
    contract: Contract, profile: str, seed: int, resources: tuple[tuple[str, str], ...], foreign: bool
) -> Plan:
    return _Planner(contract, PROFILES[profile], seed, dict(resources), foreign).plan()


def needed(whole: Plan, contract: Contract, only: Collection[str]) -> Plan:
    """*whole* without what none of the rules *only* needs.

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
    """*whole* shared out among *shares* records, evenly by the requests that it takes.

    The tour fills up what the other blocks leave; each piece of it but the first begins with the updates
    before the cut that set the selectors, so that no change between two updates is lost.
    """
    if shares <= 1:
        return [list(whole.blocks)]
    parts: list[list[Block]] = [[] for _ in range(shares)]
    weight = [SIGHTS, *[0] * (shares - 1)]
    for block in sorted(whole.blocks, key=lambda b: -b.cost):
        if block.name != "tour":
            least = weight.index(min(weight))
            parts[least].append(block)
            weight[least] += block.cost + RESTING * any(case.rested for case in block.cases)
    order = {block.name: i for i, block in enumerate(whole.blocks)}
    selectors = [name.removeprefix("changes of ") for name in whole.coverage if name.startswith("changes of ")]
    for tour in (block for block in whole.blocks if block.name == "tour"):
        sizes = [0] * shares
        weight[0] += RESTING * tour.cases[0].rested
        weight[-1] += RESTING * sum(case.rested for case in tour.cases[1:])  # These are in the last piece.
        for _ in tour.cases:
            least = min(range(shares), key=lambda i: weight[i] + sizes[i])
            sizes[least] += 1
        rested = next((i for i, case in enumerate(tour.cases) if case.rested and i), len(tour.cases))
        ends = [min(sum(sizes[: i + 1]), rested) for i in range(shares - 1)] + [len(tour.cases)]
        for part, start, end in zip(parts, [0, *ends], ends, strict=False):
            size, cases = end - start, tour.cases[start:end]
            if size and start:
                cases = (*_resumed(tour.cases[:start], selectors), *cases)
            if size:
                part.append(replace(tour, cases=cases))
    return [sorted(part, key=lambda block: order[block.name]) for part in parts]


def _resumed(walked: tuple[Case, ...], selectors: Iterable[str]) -> Iterator[Case]:
    """The last of the updates that were *walked*, back to where each selector was set."""
    updates = [case for case in walked if case.body is not MISSING and not case.repeat]
    setting = (max((i for i, c in enumerate(updates) if name in c.body), default=0) for name in selectors)
    for case in updates[min(setting, default=len(updates) - 1) :]:
        yield replace(case, label=f"{case.label} again")


class _Planner:
    """Makes the blocks of one plan."""

    def __init__(
        self, contract: Contract, profile: Profile, seed: int, resources: Mapping[str, str], foreign: bool
    ) -> None:
        self.contract = contract
        self.update = contract.update
        self.profile = profile
        self.seed = seed
        self.generator = Generator(self.update, resources)
        self.values = Values(self.generator, seed)
        self.cases = Cases(contract, self.values, foreign=foreign, thorough=profile.thorough)
        self.held: tuple[Case, ...] = ()
        """What is refused on the tour."""

    def plan(self) -> Plan:
        """The whole plan."""
        tour, walk = self.toured()
        drawn = tuple(self.drawn())
        blocks = self.blocks(walk, drawn)
        spare = self.room(blocks, walk, self.profile) - len(walk) if self.profile.thorough else 0
        left: list[Case] = []
        if spare > 1 and not self.profile.explore:
            left = self.leftover(walk)[:spare]
            drawn = (*left, *self.drawn(spare - len(left)))
            blocks = self.blocks(walk, drawn)
        if self.profile.thorough:
            # Every profile lays the values out for the same reads, so that its cases are the same ones.
            reads = self.reads(blocks, walk, PROFILES["standard"])
            read = self.worth_reading(walk, tour, reads)
            self.show(walk, read, self.likely(walk, read), tour)
            if left:  # What reads are to show has come in the place of other values.
                rest, left = drawn[len(left) :], self.leftover(walk)[:spare]
                drawn = (*left, *rest[max(0, len(left) + len(rest) - len(drawn)) :])
            drawn = tuple(self.filled([*walk, *left], drawn))
            tour.coverage["boundary values"] = self.bounds([*walk, *(c for c in drawn if c.expect == "accept")])
            place = [block.name for block in blocks].index("random")
            cases = (*self.once_more(walk), *drawn)  # As its body is now.
            blocks[place] = replace(blocks[place], cases=(*cases, *self.standing([*walk, *cases])))
        place = [block.name for block in blocks].index("tour")
        made = tuple(self.interleave(walk, tour, self.reads(blocks, walk, self.profile)))
        blocks[place] = replace(blocks[place], cases=made)
        unreachable = tuple(
            f"{name} {value}"
            for name, item in self.generator.request.selectors.items()
            for value, choice in item.choices.items()
            if not self.generator.settable(choice)
        )
        return Plan(
            blocks=tuple(block for block in blocks if block.cases),
            profile=self.profile,
            updates=tour.updates + len(self.held),
            bound=tour.bound,
            coverage=tour.coverage,
            unreachable=unreachable,
            final=self.cases.final,
        )

    def blocks(self, walk: list[Case], drawn: tuple[Case, ...]) -> list[Block]:
        """The blocks in their order, the tour still empty."""
        cases, selectors = self.cases, self.generator.selectors
        stands = {n: v for c in (*walk, *drawn) if c.expect == "accept" for n, v in c.body.items() if n in selectors}
        cases.final = stands
        return [
            # What is refused comes while the time stamp is an old one: a refusal that moves it shows.
            Block(name="access", cases=tuple(cases.access()), proof=True),
            Block(name="refusals", cases=tuple(cases.refusals()), proof=True),
            Block(name="first", cases=tuple(cases.first())),
            Block(name="omissions", cases=tuple(cases.omissions()), proof=True),
            Block(name="tour", cases=()),
            Block(name="access to reads", cases=tuple(cases.readers())),
            # Where something is found in it, there is time to look into it: less is asked where the documents are silent.
            Block(name="random", cases=(*self.once_more(walk), *drawn)),
            Block(name="silence", cases=tuple(cases.silence() if self.profile.thorough else ()), proof=True),
            Block(name="clock", cases=tuple(cases.rested() if self.profile.explore else ())),
            Block(name="identity", cases=tuple(cases.respelled() if self.profile.thorough else ())),
        ]

    def toured(self) -> tuple[Tour, list[Case]]:
        """The tour and its steps."""
        tour = Tour(self.update.id, self.generator, self.values, self.cases.shown, random.Random(self.seed))
        self.held = tuple(self.cases.excluded(held=True)) if self.profile.thorough else ()
        return tour, list(tour.cases(len(self.held)) if self.profile.thorough else self.cases.smoke())

    def bounds(self, walk: list[Case]) -> tuple[int, int]:
        """How many boundary values of the free fields *walk* sends, and how many there are."""
        sent = self.sent(walk)
        every = {(name, repr(value)) for name, values in self.values.firm.items() for value in values}
        return len(sent & every), len(every)

    def sent(self, walk: list[Case]) -> set[tuple[str, str]]:
        """The fields that *walk* sends, each with the text of its value, where answers show what becomes of it."""
        return {(n, repr(value)) for case in walk for n, value in self.values.judged(case.body).items()}

    def unsent(self, walk: list[Case]) -> dict[str, list[Any]]:
        """The boundary values of each field that *walk* does not send, or not so that an answer shows them."""
        sent = self.sent(walk)
        return {n: [v for v in vs if (n, repr(v)) not in sent] for n, vs in self.values.firm.items()}

    def filled(self, walk: list[Case], drawn: Iterable[Case]) -> Iterator[Case]:
        """The cases *drawn*, with boundary values that *walk* does not send in the place of drawn ones."""
        left, filled = self.unsent(walk), dict[str, Any]()
        for case in drawn:
            if case.expect != "accept" or case in walk:
                yield case
                continue
            body = filled.get(repr(case.body))
            if body is None:
                judged = self.values.judged(case.body)
                body = case.body | {name: left[name].pop(0) for name in judged if left.get(name)}
                filled[repr(case.body)] = body
            yield replace(case, body=body)

    def leftover(self, walk: list[Case]) -> list[Case]:
        """The boundary values that *walk* is too short for, of as many fields at once as there are."""
        left, cases = self.unsent(walk), list[Case]()
        while any(left.values()):
            body: dict[str, Any] = {}
            for name, values in left.items():
                if values and not self.generator.request.aliases_of((name,)) & body.keys():
                    body[name] = values.pop(0)
            cases.append(self.cases.case(f"boundary values {len(cases) + 1}", body=self.generator.complete(body)))
        return cases

    def reads(self, blocks: list[Block], walk: list[Case], profile: Profile) -> int:
        """How many reads *profile* has room for beside *walk*, and beside its share of *blocks*."""
        return max(min(self.room(blocks, walk, profile), len(walk)), min(len(walk), 3))

    def room(self, blocks: list[Block], walk: list[Case], profile: Profile) -> int:
        """Requests that *walk* and its share of *blocks* leave of *profile*."""
        others = sum(
            not case.unless for block in blocks if block.name not in {"clock", "random"} for case in block.cases
        )
        sent = others + profile.random + BESIDE_RANDOM * profile.thorough + len(walk) + REPEATS * profile.thorough
        return profile.requests - MARGIN - OVERHEAD - sent - len(self.held)

    def interleave(self, walk: list[Case], tour: Tour, reads: int) -> Iterator[Case]:
        """*walk* with as many reads in it, evenly, some of its steps sent twice, and before the last reads what must be
        refused where something is stored.
        """
        often = self.repeated(walk)
        read = self.worth_reading(walk, tour, reads)
        places, refused = sorted(read) or [len(walk) - 1], dict[int, list[Case]]()
        for k, case in enumerate(self.held):
            refused.setdefault(places[-1 - k % len(places)], []).append(case)
        for i, case in enumerate(walk):
            yield case
            if self.profile.thorough and i in often:
                yield replace(case, label=f"{case.label} again", repeat=1, rested=False)
            yield from refused.get(i, ())
            if i in read:
                yield Case(label=f"read after {case.label}", operation=self.contract.retrieve.id)

    def repeated(self, walk: list[Case]) -> set[int]:
        """The steps of *walk* that are sent twice."""
        # Whatever is not sent must stay the second time as well; and a time stamp that just moved.
        single = sorted((not walk[i].rested, -i) for i, case in enumerate(walk) if len(case.body) == 1)
        often = {-i for _, i in single[:1]}
        count, parts = len(walk), REPEATS - len(often)
        for i in range(parts):
            often.add(self.most_varied(walk, count * i // parts, count * (i + 1) // parts, often))
        return often

    def most_varied(self, walk: list[Case], start: int, end: int, others: Collection[int]) -> int:
        """The step from *start* on and before *end* that sends the most different values of enumerated fields:
        only these show that an API mixes such fields up at the second time. Of several the one with the most that
        *others* do not send, values of selectors first.
        """
        selectors = self.generator.selectors

        def sent(step: int) -> tuple[set[tuple[str, str]], set[tuple[str, str]]]:
            pairs = {(n, repr(v)) for n, v in walk[step].body.items() if n in self.generator.enums}
            return {pair for pair in pairs if pair[0] in selectors}, {p for p in pairs if p[0] not in selectors}

        seen = set[tuple[str, str]]().union(*(part for i in others for part in sent(i)))
        named = {name for group in self.generator.request.aliases for name in group.fields}

        def differing(step: int) -> tuple[bool, int, int, int, int, int]:
            chosen, rest = sent(step)
            values = {value for _, value in rest}
            # After one that rested other values may have been sent.
            rested, body = walk[step].rested, walk[step].body
            # What has other names seldom stands as it is sent: here it does.
            new = (named & self.values.judged(body).keys()).difference(*(walk[i].body for i in others))
            return not rested, len(values), len(new), len(chosen - seen), len(rest - seen), len(body)

        return max(range(start, end), key=differing, default=start)

    def worth_reading(self, walk: list[Case], tour: Tour, reads: int) -> list[int]:
        """The steps after which to read: in each equal stretch of the walk the one that shows the most
        that no read has shown yet. A new value of a selector counts for more than a change of any but the
        largest of them that no answer has shown and than a step of another kind that writes some channels alone, that
        for more than a new pair of them, and that for more than a field that was sent since the last read; a field that
        was not sent in the step itself counts least, as the API may have cleared it.

        After each update of one thing it is read, and from the tail of *tour* on, where one thing is sent at
        a time, the reads are close together: an answer that was kept from before such an update is only seen
        between a read before it and one after it.
        """
        close: list[int] = []
        if 0 < tour.tail <= len(walk) - CLOSE + 1 and 2 * CLOSE < reads < len(walk):
            close = [*range(tour.tail - 1, tour.tail - 1 + CLOSE)]
            walk, reads = walk[: tour.tail - 1], min(reads - CLOSE, tour.tail - 1)
        single = [i for i, case in enumerate(walk) if len(case.body) == 1 and len(walk) > 2 * reads]
        single = single if len(single) < reads else []
        reads -= len(single)
        selectors = self.generator.selectors
        states: list[dict[str, Any]] = []
        changes: list[set[tuple[str, Any, Any]]] = []
        seen: set[Any] = {""}
        kinds = [tour.confined.get(case.label, "") for case in walk]
        for i, case in enumerate(walk):
            chosen = {n: v for n, v in case.body.items() if n in selectors}
            before = states[-1] if states else {}
            states.append({**before, **chosen})
            # Those of the largest selector are too many for reads.
            changes.append(
                {(n, before[n], v) for n, v in chosen.items() if v != before.get(n, v) and n != tour.primary}
            )
            if i + 1 < len(walk):
                seen |= {change for change in changes[-1] if change[0] not in walk[i + 1].body}
        steps: list[int] = []
        for i in range(reads):
            fresh: set[str] = set()
            worth: dict[int, int] = {}
            for step in range(steps[-1] + 1 if steps else 0, len(walk) * (i + 1) // reads):
                fresh.update(walk[step].body)
                state = states[step]
                values = sum((n, v) not in seen for n, v in state.items())
                pair = tuple(state.items()) not in seen
                told = step + 1 < len(walk) and states[step + 1] == state
                worth[step] = (
                    100 * values
                    + 30 * len(changes[step] - seen)
                    + 25 * (kinds[step] not in seen)
                    + 6 * pair
                    + 2 * len(walk[step].body)
                    + len(fresh)
                    - TOLD * told
                )
            best = max(range(len(walk) * i // reads, len(walk) * (i + 1) // reads), key=worth.__getitem__)
            steps.append(best)
            seen.update(states[best].items(), [tuple(states[best].items()), kinds[best]], changes[best])
        return [*sorted({*steps, *single}), *close]

    def likely(self, walk: list[Case], read: list[int]) -> set[int]:
        """Those of the steps *read* after which is still read where the run gives up some of its reads."""
        marks = {i: Case(label=str(i), operation=self.contract.retrieve.id) for i in read}
        cases = [one for i, case in enumerate(walk) for one in (case, *([marks[i]] if i in marks else []))]
        block = Block(name="tour", cases=tuple(cases)).thinned(GIVEN_UP, self.generator.selectors)
        return {i for i, mark in marks.items() if mark in block.cases}

    def show(self, walk: list[Case], read: list[int], likely: Collection[int], tour: Tour) -> None:
        """Exchange the values of a field between the steps of *walk* where a read after the steps *read*
        would show a value of the field for the second time, and others never, or one that tells less; those that
        tell most are shown after the *likely* ones. The steps
        that send what is stored, or nearly that, follow what is stored now; those that are sent twice get values
        with something escaped in them.
        """
        nearly, same, often = tour.near, tour.same, self.repeated(walk)
        judged = [self.values.judged(case.body) for case in walk]
        uses = self.used(walk)
        places: dict[str, tuple[list[int], set[int]]] = {}
        for name in self.values.firm:
            every = [i for i, case in enumerate(walk) if name in case.body]
            fixed = {i for i in every if walk[i].label in nearly or name in same.get(walk[i].label, ())}
            sent = [i for i in every if i not in fixed and name in judged[i]]
            values = [walk[i].body[name] for i in sent]
            last = {max((i for i in every if i <= step), default=-1) for step in read}
            stand = [k for k, i in enumerate(sent) if i in last]
            # The values that tell most come first; where the walk is too short for all, the others are left out.
            most = {repr(value): value for value in self.generator.firm(name)[: len(stand)]}
            shown = {repr(values[k]): k for k in stand}
            wanted = [value for value in most if value not in shown]
            for k in stand:
                if wanted and (repr(values[k]) not in most or shown[repr(values[k])] != k):
                    spare = (i for i, value in enumerate(values) if i not in stand and repr(value) == wanted[0])
                    if (other := next(spare, None)) is not None:
                        values[other] = values[k]
                    values[k] = most[wanted.pop(0)]
            # An API may encode once more what it has already. What reads show stays among what they show.
            for read_there in (False, True):
                here = [k for k in range(len(sent)) if (k in stand) == read_there]
                twice = [k for k in here if sent[k] in often and not _escaped(values[k])]
                others = [k for k in here if sent[k] not in often and _escaped(values[k])]
                for k, other in zip(twice, others, strict=False):
                    values[k], values[other] = values[other], values[k]
            tells = {repr(value): i for i, value in enumerate(self.generator.firm(name))}
            # What a field holds shows best where the value of a selector uses it.
            used = {max((i for i in every if i <= step), default=-1) for step in read if name in uses[step]}
            once = [k for k in stand if sent[k] not in often]
            best = sorted((values[k] for k in once), key=lambda value: tells.get(repr(value), len(tells)))
            first = {max((i for i in every if i <= step), default=-1) for step in likely}
            for k, value in zip(
                sorted(once, key=lambda k: (sent[k] not in used, sent[k] not in first)), best, strict=True
            ):
                values[k] = value
            # Where a value of a selector uses the field, each of its values is sent once before one is sent twice.
            home = [k for k, i in enumerate(sent) if name in uses[i]]
            for k in home:
                if sum(values[other] == values[k] for other in home) > 1:
                    alike = ((sent[j] in often, j in stand, j) for j in range(len(sent)) if j not in home)
                    new = [j for twice, read_there, j in alike if (twice, read_there) == (sent[k] in often, k in stand)]
                    new = [j for j in new if all(values[j] != values[other] for other in home)]
                    if new:
                        values[k], values[new[0]] = values[new[0]], values[k]
            if values and values[-1] in values[-2:-1]:
                # What is sent by itself at the end must change something.
                values[0], values[-1] = values[-1], values[0]
            for i, value in zip(sent, values, strict=True):
                walk[i] = replace(walk[i], body={**walk[i].body, name: value})
            places[name] = (sent, {sent[k] for k in stand})
        self.tell_apart(walk, places, often)
        stored: dict[str, Any] = {}
        for i, case in enumerate(walk):
            case = walk[i] = replace(case, body=case.body | {n: stored[n] for n in same.get(case.label, ())})
            if how := nearly.get(case.label):
                free = [n for n in case.body if n in stored and n in self.values.firm]
                made = {n: near(stored[n], how, self.generator.fields[n]) for n in free}
                fresh = {n: value for n, value in made.items() if value != stored[n]}
                case = walk[i] = replace(case, body={**case.body, **fresh})
            stored.update(case.body)

    def used(self, walk: list[Case]) -> list[frozenset[str]]:
        """For each step of *walk*, the companions of the values that selectors have then."""
        found, state = list[frozenset[str]](), dict[str, Any]()
        for case in walk:
            state |= {n: v for n, v in case.body.items() if n in self.generator.selectors}
            found.append(frozenset(n for c in self.generator.request.active(state).values() for n in c.companions))
        return found

    def tell_apart(
        self, walk: list[Case], places: Mapping[str, tuple[list[int], set[int]]], often: Collection[int]
    ) -> None:
        """Exchange values where a step sends one text in two fields: which of them an API took would not show. *places*
        holds for each field the steps that may be exchanged, and those that reads show, which stay among themselves.
        """
        for name, (sent, stand) in places.items():
            for i in sent:
                mine = walk[i].body[name]
                if all(other == name or value != mine for other, value in walk[i].body.items()):
                    continue
                for j in sent:
                    theirs = walk[j].body[name]
                    alike = (i in stand, i in often) == (j in stand, j in often)
                    if alike and theirs not in walk[i].body.values() and mine not in walk[j].body.values():
                        walk[i] = replace(walk[i], body={**walk[i].body, name: theirs})
                        walk[j] = replace(walk[j], body={**walk[j].body, name: mine})
                        break

    def once_more(self, walk: list[Case]) -> list[Case]:
        """The first body of *walk*, for long after it: an API may have kept that it was carried out before."""
        first = walk[:1] if self.profile.thorough else []
        return [replace(case, label=f"{case.label} once more", rested=False) for case in first]

    def standing(self, sent: list[Case]) -> Iterator[Case]:
        """What stands in the free fields after *sent*, once more and by itself: an API may take what does not change for
        a reason to change something else.
        """
        gen, stands = self.generator, dict[str, Any]()
        for case in sent:
            if case.expect == "accept" and case.body is not MISSING:
                stands = {n: v for n, v in stands.items() if n not in gen.clash(case.body)} | case.body
        body = {n: v for n, v in stands.items() if n in gen.free and n not in gen.enums}
        if self.profile.random and body:
            yield self.cases.case("what stands in the free fields", body=gen.complete(body))

    def drawn(self, spare: int = 0) -> Iterator[Case]:
        """The random part: bodies that Hypothesis draws from the seed, more of them where there are requests to
        *spare*.
        """
        if not self.profile.random:
            return
        number = self.profile.random + max(0, spare) // 2
        pool = max(number, DRAWN, min(CHOICE * number, POOL) if spare > 0 else 0)
        drawn = [body for body in draw(self.generator.bodies(), pool, self.seed) if body]
        if spare > 0:
            drawn = list(self.chosen(list({repr(body): body for body in drawn}.values()), number))
        pairs = [(body, other) for body in drawn if (other := self.exchanged(body))]
        if not drawn:
            return
        first = [self.cases.case(f"random {i + 1}", body=body) for i, body in enumerate(drawn[:number])]
        yield from first[:-1] if spare <= 0 else self.refusing(first[:-1])
        if pairs:
            body, other = max(pairs, key=lambda p: (sum(p[1][n] != v for n, v in p[0].items()), len(p[0])))
            # What is sent three times is to change all that it holds: one that is undone then shows.
            enums = {n: v for n, v in self.generator.enums.items() if n not in self.generator.selectors}
            swapped = {n: v for n, values in enums.items() if n in other for v in values if v != other[n]}
            yield self.cases.case(f"random {len(first)}", body=self.crowded(body) | swapped)
            last = self.cases.case(f"random {len(first)} with other companions", body=other)
            yield last
        else:
            yield (last := first[-1])
        # What is done once more each time may show the third time only.
        yield replace(last, label=f"{last.label} again", repeat=1)
        yield replace(last, label=f"{last.label} a third time", repeat=2)

    def chosen(self, pool: list[dict[str, Any]], number: int) -> Iterator[dict[str, Any]]:
        """*number* bodies of *pool*, each the one with the most values of enumerated fields beside another such field
        that is not sent and stands at something else than its default: what resets that shows only there.
        """
        enums = self.generator.enums
        usual = {
            n: values[0] if (d := self.generator.fields[n].default) is MISSING else d for n, values in enums.items()
        }
        seen: set[tuple[str, Any, str]] = set()
        stands: dict[str, Any] = {}
        for _ in range(min(number, len(pool))):
            moved = {n for n, value in stands.items() if value != usual[n]}
            new = [
                {
                    (n, body[n], other)
                    for n in enums
                    if n in body and stands.get(n) != body[n]
                    for other in moved - {*body}
                }
                - seen
                for body in pool
            ]
            best = max(range(len(pool)), key=lambda i: len(new[i]))
            seen |= new[best]
            body = pool.pop(best)
            stands |= {n: value for n, value in body.items() if n in enums}
            yield body

    def refusing(self, updates: Iterable[Case]) -> Iterator[Case]:
        """*updates*, and after each of them a value that is not documented, of one field after the other and
        at each value of each selector: an API may look at it at some of them only.
        """
        gen, seen = self.generator, Counter[tuple[str, Any, str]]()
        names = [name for name in gen.fields if gen.refused(name)]
        stands: dict[str, Any] = {}
        for update in updates:
            yield update
            stands |= {name: update.body[name] for name in gen.selectors if name in update.body}
            pairs = {name: [(s, value, name) for s, value in stands.items()] or [("", "", name)] for name in names}
            if not names:
                continue
            name = min(names, key=lambda name: sum(seen[pair] for pair in pairs[name]))
            values = gen.refused(name)
            facet, value = values[sum(n for (_, _, of), n in seen.items() if of == name) % len(values)]
            seen.update(pairs[name])
            label = excluding(name, facet, value)
            yield self.cases.case(
                f"{label} after {update.label}",
                expect="reject",
                rule=f"{self.update.id}.rejection.{name}.{facet}",
                body=self.cases.mark({name: value}, label),
                core=(name,),
            )

    def crowded(self, body: JSONObject) -> dict[str, Any]:
        """*body* with every name of what has several, each with a value of its own: the one that is documented to take
        precedence does, whichever the others are. The addresses are all the same one, as far as they may be.
        """
        gen, crowded = self.generator, dict(body)
        for group in gen.request.aliases:
            names = [name for name in group.fields if name in gen.free]
            if group.wins in names:
                some = {name: (i, gen.firm(name)) for i, name in enumerate(names, 1) if name not in body}
                crowded |= {name: values[i % len(values)] for name, (i, values) in some.items()}
        urls = [n for n in gen.free if gen.fields[n].format == "uri" and n not in gen.clash(crowded)]
        if urls:
            address = gen.firm(urls[0])[0]
            crowded |= {name: address for name in urls if gen.fields[name].allows(address)}
        return crowded

    def exchanged(self, body: JSONObject) -> dict[str, Any] | None:
        """*body* with another value in each companion that one of its selectors requires, if there are some: an API may
        take companions only when a selector moves. The marker and the enumerated fields are in it, as it is sent again.
        """
        gen = self.generator
        names = {o for n in gen.selectors if n in body for o in gen.choice(n, body[n]).requires}
        others = {
            n: next((v for v in gen.firm(n) if v != body[n]), body[n])
            for n in sorted(names & body.keys() & set(gen.free))
        }
        if all(body[n] == value for n, value in others.items()):
            return None
        plain = [n for n in (gen.marker, *gen.enums) if n is not None and n not in gen.selectors]
        values = [gen.options(n) for n in plain]
        return {
            **{n: some[i % len(some)] for i, (n, some) in enumerate(zip(plain, values, strict=True))},
            **body,
            **others,
        }


def _escaped(value: Any) -> bool:
    """True for a text with something escaped in it."""
    return isinstance(value, str) and re.search("%[0-9A-Fa-f]{2}", value) is not None


def _unusual(value: Any) -> set[str]:
    """What is unusual about a value: that it is ``long``, or holds characters of two or four bytes, markup or
    quotes.
    """
    if not isinstance(value, str):
        return set()
    most = max(map(ord, value), default=0)
    kinds = {"wide": most > 0x7F, "astral": most > 0xFFFF, "markup": "<" in value, "quotes": '"' in value}
    return {kind for kind, there in {**kinds, "long": len(value) > 40}.items() if there}
