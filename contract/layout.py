"""Where each step of the tour leads: an Eulerian circuit over the values of the largest selector.

Each ordered change from one value to another is one step. Between the changes it stays for some steps: only the
other channels are written, or what its value requires, or all of that as it stands. The enumerated fields ride along:
their values are chosen one step after the other, and then exchanged until every combination of three is met.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations, cycle, islice, pairwise, product
from operator import itemgetter
from typing import Any, Final, Literal

from contract.generate import Generator

__all__ = ["SINGLES", "Layout", "Pair", "Slot", "Wanted", "circuit"]

Pair = tuple[str, Any]
"""A field and its value."""
Wanted = dict[frozenset[Pair], bool]
"""The combinations that are still to be met, in the order in which they are looked for."""
MANY: Final = 400
"""When there are more combinations of three fields, only those with a selector are wanted."""
FROM, LATER = 3, 5
"""Each value of the largest selector gets a step more at one of its visits, the third to the seventh."""
GOALS: Final = 8
"""Combinations that are tried where several are still wanted."""
REPAIRS: Final = 1500
"""Exchanges of chosen values that are tried, so that combinations which are still wanted are met."""
SINGLES: Final = 4
"""Steps with one thing in them for which there is always room."""
STAYING: Final = 20
"""Combinations that it is worth to leave another selector out of a step, where it was in every one so far."""


def circuit(nodes: int, start: int = 0) -> list[int]:
    """A closed walk over *nodes* nodes that takes each ordered pair of different ones once.

    Shape:
        ``nodes * (nodes - 1)`` targets; the walk begins and ends at *start*.

    Source:
        Hierholzer 1873; the complete digraph has in-degree = out-degree at every node.
    """
    unused = [[(n + k) % nodes for k in range(1, nodes)] for n in range(nodes)]
    stack, walk = [start], []
    while stack:
        if unused[stack[-1]]:
            stack.append(unused[stack[-1]].pop())
        else:
            walk.append(stack.pop())
    return walk[::-1][1:]


Kind = Literal["start", "change", "alone", "led", "beside", "again", "more", "single"]


@dataclass(slots=True)
class Slot:
    """A step before it is filled: where it leads to, and what kind of step it is."""

    target: Any
    """Where the largest selector stands after it."""
    kind: Kind = "change"
    """
    ``start``: with all that there is; ``change``: the largest selector changes; ``alone``: it changes, and nothing is sent
    but its channel. Where it stays: ``led`` is without it, but with what its value requires; ``beside`` is of the other
    channels only; ``again`` sends it and what it requires as they stand, ``more`` with other values of these; ``single``
    is one thing by itself.
    """
    state: dict[str, Any] = field(default_factory=dict)
    """The enumerated values that stand after it, as far as they are known."""
    still: frozenset[str] = frozenset()
    """What must not be in it."""
    stays: frozenset[str] = frozenset()
    """Enumerated fields that stand as they did before it."""
    same: bool = False
    """True where what is required is sent as it is stored; what follows it shows whether it was saved all the same."""

    @property
    def partial(self) -> bool:
        """True where the largest selector is not in it."""
        return self.kind in {"led", "beside"}


class Layout:
    """The steps of the tour, before they are filled."""

    def __init__(self, generator: Generator, chance: random.Random) -> None:
        self.gen = gen = generator
        self.random = chance
        self.enums = {name: values for name, values in gen.enums.items() if len(values) > 1}
        ranked = sorted(gen.selectors, key=lambda name: -len(gen.enums[name]))
        self.primary = ranked[0] if ranked else next(iter(self.enums), None)
        self.values: tuple[Any, ...] = gen.enums[self.primary] if self.primary else ()
        self.others = sorted(
            (name for name in self.enums if name != self.primary), key=lambda n: (-len(self.enums[n]), n)
        )
        names = [*([self.primary] if self.primary else []), *self.others]
        self.core = frozenset(n for n in names if n in gen.selectors) or frozenset(names[:1])
        """The fields without which no combination is wanted where there are very many."""
        self.need = min(2, len(self.core)) if math.comb(len(names), 3) > MANY else 0
        """How many of these are in each combination that is wanted."""
        self.triples = self.wanted()
        sizes = Counter(frozenset(name for name, _ in group) for group in self.triples).values()
        self.bound = max(len(self.values) * (len(self.values) - 1), *sizes, 0)
        """Steps without which not every change and not every combination can be met."""
        self.seen_changes: dict[str, set[tuple[Any, Any]]] = {name: set() for name in gen.selectors}
        self.stayed: set[tuple[Any, str]] = set()
        """A value of the largest selector, and another one that stays in a step to it."""
        self.channels = {
            name: gen.request.aliases_of({name}.union(*(c.companions for c in item.choices.values()))) & {*gen.fields}
            for name, item in gen.selectors.items()
        }
        """Selector -> the fields of its channel, itself among them."""

    def wanted(self) -> set[frozenset[tuple[str, Any]]]:
        """Every combination of values of three enumerated fields (two, where there are only two).

        With very many enumerated fields only the combinations with a selector are wanted, so that
        the plan grows with the number of fields and not with its cube.
        """
        names = [(name, None) for name in ([self.primary] if self.primary else []) + self.others]
        groups = [[name for name, _ in pairs] for pairs in self.among(names, min(3, len(names)), self.need)]
        return {
            frozenset(zip(group, values, strict=True))
            for group in groups
            if group
            for values in product(*(self.enums.get(n, self.gen.enums[n]) for n in group))
        }

    def among(self, pairs: Iterable[Pair], size: int, need: int) -> Iterator[tuple[Pair, ...]]:
        """Every choice of *size* out of *pairs* in which at least *need* are of `core`."""
        if need <= 0:
            yield from combinations(pairs, size)
            return
        parts: tuple[list[Pair], list[Pair]] = ([], [])
        for pair in pairs:
            parts[pair[0] not in self.core].append(pair)
        for count in range(need, size + 1):
            for some in combinations(parts[0], count):
                yield from (some + others for others in combinations(parts[1], size - count))

    def targets(self) -> list[Any]:
        """Where the largest selector is led to, step by step: each change of it once; nothing where there is none."""
        if len(self.values) < 2:
            return list(self.values)
        order = list(self.values)
        self.random.shuffle(order)
        return [order[i] for i in circuit(len(order))]

    def slots(self, targets: list[Any], limit: int, remaining: Wanted) -> list[Slot]:
        """The steps to *targets*, and those between them where the largest selector stays; at most *limit*."""
        if self.primary is None:
            made = [Slot(target) for target in targets]
        else:
            made = [Slot(targets[-1], "start")]
            room = limit - len(targets) - 1 - self.reserved(limit)
            for i, target in enumerate(targets):
                made.append(Slot(target))
                visit, visits = targets[: i + 1].count(target), targets.count(target)
                if room > 0 and visit == min(self.values.index(target) % LATER + FROM, visits - 1):
                    # A record must take such updates wherever it stands, and the answer shows what the change before
                    # has left. Where nothing that is required can be another one, the other channels are written.
                    room -= 1
                    made[-1].same = self.spacious(target)
                    made.append(Slot(target, "led" if self.free(self.primary, target) else "beside"))
        before: dict[str, Any] = {}
        left_alone: set[Pair] = set()
        for slot in made:
            stand = {(n, before[n]) for n in self.channels if n != self.primary and n in before}
            if slot.kind == "change" and not stand <= left_alone:
                slot.kind = "alone"
                left_alone |= stand
            self.choose(slot, before, remaining, self.leads() if slot.partial else ({},))
            before = slot.state
        self.repair(made, remaining)
        for seen in self.seen_changes.values():
            seen.clear()  # What was exchanged may be another change now.
        return self.extended(made, limit, remaining)

    def spacious(self, target: Any) -> bool:
        """True where what a value requires has room for one value to come twice: it shares the room with no other name."""
        needs = self.free(self.primary, target)
        return all(self.gen.request.aliases_of((name,)) == {name} for name in needs)

    def reserved(self, limit: int) -> int:
        """How many of *limit* steps are kept for those with one thing in them."""
        return min(SINGLES, limit // 16)

    def choose(
        self, slot: Slot, before: Mapping[str, Any], remaining: Wanted, goals: Sequence[Mapping[str, Any]] = ({},)
    ) -> None:
        """Chooses the enumerated values of *slot*: those with which, and with one of *goals*, most combinations are met
        that are still wanted.
        """
        off = self.switched_off(before, slot.target)
        slot.still = self.outside(slot)
        state = {name: value for name, value in before.items() if name not in off}
        if self.primary is not None:
            state[self.primary] = slot.target
        fixed = off | slot.still
        tried = [
            self.chosen({**state, **goal}, before, remaining, fixed.union(goal))
            for goal in goals
            if not fixed & {*goal}
        ]
        slot.state = max(
            tried or [self.chosen(state, before, remaining, fixed)],
            key=lambda one: sum(group in remaining for group in self.met(one)),
        )
        slot.stays = slot.still.union(n for n in self.gen.selectors if slot.state.get(n) == before.get(n))
        self.tick(slot.state, remaining)
        for name, seen in self.seen_changes.items():
            if name in before and name in slot.state and before[name] != slot.state[name]:
                seen.add((before[name], slot.state[name]))
            elif slot.state.get(name) == before.get(name):
                self.stayed.add((slot.target, name))

    def chosen(
        self, state: dict[str, Any], before: Mapping[str, Any], remaining: Wanted, fixed: Collection[str]
    ) -> dict[str, Any]:
        """*state* with the values of all but the *fixed* fields with which most wanted combinations are met."""
        for name in self.others:
            if name not in fixed:
                state[name] = self.best(name, state, before, remaining)
        return state

    def leads(self) -> list[dict[str, Any]]:
        """Every value of the next largest field."""
        return [{name: value} for name in self.others[:1] for value in self.enums[name]] or [{}]

    def best(self, name: str, state: Mapping[str, Any], before: Mapping[str, Any], remaining: Wanted) -> Any:
        """The value of *name* with which most wanted combinations are met; a change, where equal."""
        known = [(other, value) for other, value in state.items() if other != name and other in self.gen.enums]
        fixed = [pair for pair in known if pair[0] == self.primary or pair[0] in self.gen.selectors]
        both = [(pair, sum(p in fixed for p in pair)) for pair in self.among(known, 2, self.need - (name in self.core))]
        scores = []
        for turn, value in enumerate(self.enums[name]):
            mine = (name, value)
            score = sum((frozenset((mine, *pair)) in remaining) << count for pair, count in both)
            change = (before.get(name), value)
            if name in self.seen_changes and before.get(name) not in {None, value}:
                score += 3 * (change not in self.seen_changes[name])
            if name in self.gen.selectors:
                score += self.fresh(name, value, state, remaining)
                # Once for each value of the largest selector it stays, and is not sent.
                score += STAYING * (
                    value == before.get(name) and (state.get(self.primary or ""), name) not in self.stayed
                )
            scores.append((score, value != before.get(name), -turn, value))
        return max(scores, key=lambda entry: entry[:3])[3]

    def fresh(self, name: str, value: Any, state: Mapping[str, Any], remaining: Wanted) -> int:
        """How many wanted combinations are open for *value* beside the largest selector's."""
        if self.primary is None or self.primary not in state:
            return 0
        pair = ((self.primary, state[self.primary]), (name, value))
        return sum(
            frozenset((*pair, (other, option))) in remaining
            for other in self.others
            if other != name
            for option in self.enums[other]
        )

    def outside(self, slot: Slot) -> frozenset[str]:
        """The fields that are not of the channels to which *slot* is confined; where there is one channel only, what is
        beside it is of none. Where a value comes again, what it uses and does not require.
        """
        if slot.kind == "again":
            return frozenset(self.spared(slot.target))
        if slot.kind not in {"alone", "beside"}:
            return frozenset()
        if len(self.channels) < 2:
            return self.channels.get(self.primary or "", frozenset())
        names = [name for name in self.channels if (name == self.primary) is (slot.kind == "alone")]
        return frozenset(self.gen.fields).difference(*(self.channels[name] for name in names))

    def switched_off(self, before: Mapping[str, Any], target: Any) -> frozenset[str]:
        """Companions of the value that is left: a server may clear them, so they are not sent along."""
        name = self.primary
        if name not in self.gen.selectors or name not in before or before[name] == target:
            return frozenset()
        assert name is not None
        kept = set(self.gen.choice(name, target).companions)
        return self.gen.request.aliases_of(set(self.gen.choice(name, before[name]).companions) - kept) - kept

    def free(self, selector: str | None, value: Any) -> list[str]:
        """What a value of a selector requires, and can be sent with more than one value."""
        needs = self.gen.choice(selector, value).requires if selector in self.gen.selectors else ()
        return [name for name in needs if name in self.gen.free and not self.gen.fields[name].resource]

    def spared(self, target: Any) -> list[str]:
        """What a value of the largest selector uses and does not require."""
        if self.primary not in self.gen.selectors:
            return []
        choice = self.gen.choice(self.primary, target)
        return [name for name in choice.companions if name not in choice.requires]

    def repair(self, slots: Sequence[Slot], remaining: Wanted) -> None:
        """Exchanges values of *slots* until every combination stands in one of them, or as many as can be reached: one
        that is still wanted is put somewhere by chance, and stays there where no more are wanted for it than before.
        """
        count = Counter(group for slot in slots for group in self.met(slot.state))
        names = [name for name in self.seen_changes if name != self.primary]

        def put(i: int, name: str, value: Any) -> Any:
            """Gives *name* another value in the *i*-th slot; the one that it had."""
            state = slots[i].state
            had = state[name]
            for others in self.beside(state, name):
                gone, new = frozenset(((name, had), *others)), frozenset(((name, value), *others))
                count[gone] -= 1
                if not count[gone] and gone in self.triples:
                    remaining[gone] = True
                count[new] += 1
                remaining.pop(new, None)
            state[name] = value
            return had

        def follow(i: int, name: str) -> Iterator[int]:
            """The *i*-th slot and those after it in which *name* stays."""
            yield i
            while (i := i + 1) < len(slots) and name in slots[i].stays and name in slots[i].state:
                yield i

        def changes() -> int:
            return len({(n, a.state.get(n), b.state.get(n)) for a, b in pairwise(slots) for n in names})

        where: dict[Any, list[int]] = {}
        for i, slot in enumerate(slots):
            where.setdefault(slot.target, []).append(i)
        for _ in range(REPAIRS):
            if not remaining:
                return
            group = next(iter(remaining))
            remaining[group] = remaining.pop(group)  # The next time it is the turn of another one.
            wish = {name: value for name, value in sorted(group, key=itemgetter(0)) if name != self.primary}
            places = where.get(dict(group).get(self.primary or ""), range(len(slots)))
            fit = [
                i
                for i in places
                if all(n in (s := slots[i]).state and (s.state[n] == v or n not in s.stays) for n, v in wish.items())
            ]
            if not fit:
                continue
            i, left = self.random.choice(fit), len(remaining)
            wrong = [(place, n) for n, v in wish.items() if slots[i].state[n] != v for place in follow(i, n)]
            moved = any(n in names for _, n in wrong)
            turns = changes() if moved else 0
            had = [(place, n, put(place, n, wish[n])) for place, n in wrong]
            if len(remaining) > left or (moved and changes() < turns):
                for place, n, value in reversed(had):
                    put(place, n, value)

    def extended(self, slots: list[Slot], limit: int, remaining: Wanted) -> list[Slot]:
        """*slots* with what there is room for up to *limit*: at a late visit of each value of the largest selector one
        more step there, first where combinations are still wanted; and steps with one thing in them.
        """
        singles = max(0, min(self.reserved(limit), limit - len(slots)))
        room = max(0, limit - len(slots) - singles)
        last: dict[Any, int] = {}
        for i, slot in enumerate(slots):
            # What follows must not rest on what stood before it.
            if self.primary is not None and (i + 1 == len(slots) or not slots[i + 1].still):
                last[slot.target] = i
        more: dict[int, list[Slot]] = {}

        def goals(target: Any) -> list[dict[str, Any]]:
            return [dict(g) for g in islice((g for g in remaining if (self.primary, target) in g), GOALS)]

        def add(target: Any, kind: Kind) -> None:
            here = more.setdefault(last[target], [])
            before = here[-1] if here else slots[last[target]]
            here.append(slot := Slot(target, kind))
            self.choose(slot, before.state, remaining, goals(target) or ({},))

        late = sorted(last, key=last.__getitem__)
        for target in late:
            while room > 0 and goals(target):
                add(target, "more")
                room -= 1
        # What is required is sent once more where it has one value only, or where a value also uses what it does not
        # require, which must stay; elsewhere another one of it is sent, or none, by turns. What has other names, and
        # seldom stands as it is sent, is sent once more after that.
        late.sort(key=lambda target: (not self.spared(target), bool(self.free(self.primary, target))))
        turns: Iterator[Kind] = cycle(("more", "beside"))
        for target in late:
            once = bool(self.spared(target)) or not self.free(self.primary, target)
            kinds: list[Kind] = ["again"] if once else [next(turns)] if self.spacious(target) else ["more", "again"]
            for kind in kinds[:room]:
                add(target, kind)
                room -= 1
        found: list[Slot] = []
        for i, slot in enumerate(slots):
            found += [slot, *more.get(i, ())]
        return [*found, *[Slot(None, "single")] * singles]

    def tick(self, state: Mapping[str, Any], remaining: Wanted) -> None:
        """Strikes out the combinations that *state* meets."""
        for group in self.met(state):
            remaining.pop(group, None)

    def met(self, values: Mapping[str, Any]) -> Iterator[frozenset[Pair]]:
        """The combinations of three that stand in *values*."""
        return map(frozenset, self.beside(values))

    def beside(self, values: Mapping[str, Any], name: str = "") -> Iterator[tuple[Pair, ...]]:
        """The combinations of three that stand in *values*; what stands beside the field *name* in those with it, where
        it is given.
        """
        pairs = [(n, v) for n, v in values.items() if n != name and (n == self.primary or n in self.others)]
        size = min(3, len(self.others) + (self.primary is not None)) - bool(name)
        return self.among(pairs, size, self.need - (name in self.core))
