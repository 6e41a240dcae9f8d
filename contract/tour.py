"""The tour: an Eulerian circuit over the values of the largest selector.

Each ordered change from one value to another is one step, and everything else rides along - the
other selectors, every three-way combination of enumerated values, every boundary value of every
free field, and in each step some fields that are *not* sent, because what stays is a promise too.
Between the changes the largest selector stays for some steps: only the other channels are written, or
what it requires, or all of that as it stands.

First it is laid out where each step leads, and repaired until every combination is met; then each step
is filled.
"""

from __future__ import annotations

import math
import random
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations, cycle, islice, pairwise, product
from operator import itemgetter
from typing import Any, Final, Literal

from contract.generate import Generator
from contract.model import Case
from contract.spec import Field

Pair = tuple[str, Any]
"""A field and its value."""
SHORT: Final = 49
"""Characters that are less than the shortest limit that is usual."""
MANY: Final = 400
"""When there are more combinations of three fields, only those with a selector are wanted."""

__all__ = ["REPEATS", "RESTS", "Tour", "Values", "circuit", "near"]

REPEATS: Final = 3
"""Steps of the tour that are sent twice, for idempotence."""
FROM, LATER = 3, 5
"""Each value of the largest selector gets a step more at one of its visits, the third to the seventh."""
GOALS: Final = 8
"""Combinations that are tried where several are still wanted."""
REPAIRS: Final = 1500
"""Exchanges of chosen values that are tried, so that combinations which are still wanted are met."""
SINGLES: Final = 4
"""Steps with one thing in them for which there is always room."""
STAYS, AT = 4, 2
"""What it is worth to have a field in a body while a selector stays, and where it stands, beside a change of it."""
NEAR: Final = {1: "case", 3: "more", 5: "less"}
"""Updates of values that stay, by their count, that send nearly what is stored: an API may take it for the same."""
WHOLE: Final = 2
"""Of the updates that send nearly what is stored, see `NEAR`, the one that sends nearly everything there is."""
MARKED: Final = 3
"""Enumerated fields that stand beside what must be refused: it may be applied in part."""
BEATEN: Final = 4
"""The time that a required companion is sent together with the name that takes precedence over it."""
SPARE: Final = 44
"""Steps that aliases leave for what their values meet on the way."""
STAYING: Final = 20
"""Combinations that it is worth to leave another selector out of a step, where it was in every one so far."""
STANDS: Final = 2
"""Times that another selector is not sent beside each value of the largest one, each time with another value."""
RESTS: Final = 3
"""Fields that are sent by themselves, and after a rest: does each move the time stamp?"""


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


def near(value: Any, how: str, item: Field) -> Any:
    """What is nearly *value*, and also right for the field *item*: the same but for the ``case`` of its letters, or
    with a little ``more`` or ``less`` at its end. *value* itself where there is no such thing.
    """
    schema = item.schema
    if item.resource or item.enum:
        return value
    if not isinstance(value, str) or not value or schema.get("format", "uri") != "uri":
        return value
    if schema.get("format") == "uri":
        # The host stays: no other one is sure to belong to nobody.
        host = "".join(re.findall("^[a-z]+://[^/?#]*", value))
        tail = value.removeprefix(host)
        more = f"{value}2" if tail else f"{host}/2"
        made = {"case": host + tail.swapcase(), "more": more, "less": f"{value}{'&' if '?' in tail else '?'}less"}[how]
    else:
        made = {"case": value.swapcase(), "more": f"{value}2", "less": value[:-1]}[how]
        made = made if made.strip() and made != value else f"{value}2"
    fits = schema.get("minLength", 0) <= len(made) <= schema.get("maxLength", max(SHORT, len(value) + len("?less")))
    return made if fits else value


class Values:
    """The boundary values of every field, each with how many of them were given out."""

    def __init__(self, generator: Generator, seed: int) -> None:
        self.generator = generator
        self.firm: dict[str, list[Any]] = {}
        for i, name in enumerate(self.generator.free):
            values = list(self.generator.firm(name))
            turn = (i * 7 + seed) % len(values)
            self.firm[name] = values[turn:] + values[:turn]
        self.used = dict.fromkeys(self.firm, 0)
        self.marks = 0

    def take(self, name: str) -> Any:
        """The next boundary value of a field, or a value of its enum."""
        if name in self.generator.enums:
            return self.generator.enums[name][0]
        values = self.firm[name]
        value = values[self.used[name] % len(values)]
        self.used[name] += 1
        return value

    def left(self, name: str) -> int:
        """How many boundary values of a field were not sent yet."""
        return max(0, len(self.firm[name]) - self.used[name])

    def mark(self, body: dict[str, Any], tag: str) -> dict[str, Any]:
        """*body*, which begins with what is refused, with harmless changes that show if it is applied in part."""
        gen, core = self.generator, next(iter(body), "")
        name = gen.marker
        if name is not None and name != core:
            schema, text = gen.fields[name].schema, f"must not appear {tag}"
            most = schema.get("maxLength", len(text))
            # Each is another one, however short it has to be.
            body[name] = (text if len(text) <= most else f"{self.marks} {tag}"[:most]).ljust(
                int(schema.get("minLength", 0)), "x"
            )
        choices = [gen.selectors[n].choices.get(body[n]) for n in gen.selectors if n in body]
        taken = set(body) | {o for choice in choices if choice for o in choice.companions}
        self.marks += 1
        free = [n for n in gen.enums if n not in gen.selectors and n not in taken]
        urls = [n for n in gen.free if gen.fields[n].format == "uri" and n not in taken and n not in gen.companions]
        # What belongs together begins alike: an API may look at the one only where the other is sent as well.
        if core and core not in gen.selectors:
            urls = [n for n in urls if not n.startswith(core.rpartition("_")[0] or core)] or urls
        for names, count in ((free, MARKED), (urls, 1)):
            for i in range(self.marks, self.marks + min(count, len(names))):
                other = names[i % len(names)]
                values = gen.options(other)
                body[other] = values[(self.marks // 2 + i - self.marks) % len(values)]
        return body


@dataclass(slots=True)
class _Step:
    """One update while it is being filled."""

    body: dict[str, Any]
    off: frozenset[str]
    """What must not be in it."""
    full: bool
    """With all that there is."""
    led: bool
    """Without the largest selector, but with what its value requires."""
    how: str
    """What is to be different from what is stored, see `near`; empty: all of it."""
    places: Mapping[Any, int]
    """See `Tour.places`."""


_Kind = Literal["start", "change", "alone", "led", "beside", "again", "more", "single"]


@dataclass(slots=True)
class _Slot:
    """A step before it is filled: where it leads to, and what kind of step it is."""

    target: Any
    """Where the largest selector stands after it."""
    kind: _Kind = "change"
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

    @property
    def partial(self) -> bool:
        """True where the largest selector is not in it."""
        return self.kind in {"led", "beside"}


class Tour:
    """The deterministic walk; see the first lines of this module."""

    def __init__(
        self,
        operation: str,
        generator: Generator,
        values: Values,
        shown: frozenset[str],
        chance: random.Random,
    ) -> None:
        self.operation = operation
        self.gen = gen = generator
        self.boundary = values
        self.shown = shown
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
        changes = len(self.values) * (len(self.values) - 1)
        widest = max((len(values) for values in self._by_fields().values()), default=0)
        groups = {gen.request.aliases_of((n,)) for n in gen.free}
        boundary = max((sum(len(self.boundary.firm.get(n, ())) for n in group) for group in groups), default=0)
        self.bound = max(changes, widest, boundary)
        self.updates = 0
        self.coverage: dict[str, tuple[int, int]] = {}
        self.state: dict[str, Any] = {}
        self.seen_changes: dict[str, set[tuple[Any, Any]]] = {name: set() for name in gen.selectors}
        self.seen_pairs: set[tuple[Any, Any]] = set()
        self.sent: dict[tuple[Any, str], int] = {}
        self.stored: dict[str, Any] = {}
        self.wins = 0
        self.beaten: dict[str, int] = {}
        """How often each required companion that gives way to another name for it was sent."""
        self.total = 0
        self.rests = RESTS
        self.near: dict[str, str] = {}
        """The steps that send nearly what is stored, by their labels, each with what is different."""
        self.same: dict[str, list[str]] = {}
        """The steps, by their labels, each with the fields that it sends as they are stored."""
        self.confined: dict[str, str] = {}
        """The steps that write some channels alone, by their labels, each with its kind."""
        self.staying = 0
        self.tail = 0
        """The step from which on one thing is sent at a time."""
        self.held: dict[tuple[Any, str], int] = {}
        self.stayed: set[tuple[Any, str]] = set()
        """A value of the largest selector, and another one that stays in a step to it."""
        self.stood: set[tuple[Any, str, Any]] = set()
        """A value of the largest selector, and of another one that stood there and was not sent."""
        self.tried: set[tuple[str, Any, bool]] = set()
        """A field, where the selectors stood, and whether it was sent there."""
        self.apart = set(self.triples)
        """Combinations that did not stand in one body yet."""
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

    def _by_fields(self) -> dict[frozenset[str], list[Any]]:
        found: dict[frozenset[str], list[Any]] = {}
        for triple in self.triples:
            found.setdefault(frozenset(name for name, _ in triple), []).append(triple)
        return found

    def cases(self) -> Iterator[Case]:
        """The steps, in order."""
        if self.primary is None:
            targets: list[Any] = [None] * self.bound
        else:
            order = list(range(len(self.values)))
            self.random.shuffle(order)
            targets = [self.values[order[i]] for i in circuit(len(order))] if len(order) > 1 else list(self.values)
        limit = max(self.bound, len(targets)) * 5 // 4 - REPEATS
        made: list[Case] = []
        alone = iter(self.alone())
        singles: set[int] = set()
        remaining = dict.fromkeys(sorted(self.triples, key=lambda one: sorted(map(repr, one))), True)
        for slot in self.slots(targets, limit, dict(remaining)):
            if slot.kind != "single":
                label = "tour start" if slot.kind == "start" else f"tour {len(made)}"
                made.append(self.step(label, slot, remaining))
            elif body := next(alone, None):
                singles.add(len(made))
                made.append(self.single(len(made), body))
        while remaining and len(made) < limit:
            wish = dict(next(iter(remaining)))
            slot = _Slot(wish.get(self.primary or "", self.state.get(self.primary or "")))
            self.choose(slot, self.state, remaining, [wish])
            made.append(self.step(f"tour {len(made)}", slot, remaining))
        while len(made) < limit - max(0, SINGLES - len(singles)) and any(self.boundary.left(n) for n in self.gen.free):
            slot = _Slot(self.values[len(made) % len(self.values)] if self.values else None)
            self.choose(slot, self.state, remaining)
            made.append(self.step(f"tour {len(made)}", slot, remaining))
        while len(made) < limit and (body := next(alone, None)):
            singles.add(len(made))
            made.append(self.single(len(made), body))
        self.tail = next(i for i in range(len(made), -1, -1) if i - 1 not in singles)
        self.updates = len(made) + REPEATS
        wanted = len(self.triples)
        self.coverage = {
            **{
                f"changes of {name}": (len(seen), len(self.gen.enums[name]) * (len(self.gen.enums[name]) - 1))
                for name, seen in self.seen_changes.items()
            },
            "combinations of three enumerated values": (wanted - len(remaining), wanted),
            "boundary values": (
                sum(len(self.boundary.firm[n]) - self.boundary.left(n) for n in self.gen.free),
                sum(len(self.boundary.firm[n]) for n in self.gen.free),
            ),
        }
        ranked = [name for name in self.gen.selectors if name != self.primary]
        if self.primary in self.gen.selectors and ranked:
            pairs = len(self.values) * len(self.gen.enums[ranked[0]])
            self.coverage[f"pairs of {self.primary} and {ranked[0]}"] = (len(self.seen_pairs), pairs)
        yield from made

    # ------------------------------------------------------------ where each step leads

    def slots(self, targets: list[Any], limit: int, remaining: dict[frozenset[Pair], bool]) -> list[_Slot]:
        """The steps to *targets*, and those between them where the largest selector stays; at most *limit*."""
        if self.primary is None:
            made = [_Slot(target) for target in targets]
        else:
            made = [_Slot(targets[-1], "start")]
            room = limit - len(targets) - 1 - self.reserved(limit)
            for i, target in enumerate(targets):
                made.append(_Slot(target))
                visit, visits = targets[: i + 1].count(target), targets.count(target)
                if room > 0 and visit == min(self.values.index(target) % LATER + FROM, visits - 1):
                    # A record must take such updates wherever it stands, and the answer shows what the change before
                    # has left. Where nothing that is required can be another one, the other channels are written.
                    room -= 1
                    made.append(_Slot(target, "led" if self.free(self.primary, target) else "beside"))
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
            seen.clear()
        return self.extended(made, limit, remaining)

    def reserved(self, limit: int) -> int:
        """How many of *limit* steps are kept for those with one thing in them."""
        return min(SINGLES, limit // 16)

    def choose(
        self,
        slot: _Slot,
        before: Mapping[str, Any],
        remaining: dict[frozenset[Pair], bool],
        goals: Sequence[Mapping[str, Any]] = ({},),
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

    def outside(self, slot: _Slot) -> frozenset[str]:
        """The fields that are not of the channels to which *slot* is confined."""
        if slot.kind not in {"alone", "beside"}:
            return frozenset()
        names = [name for name in self.channels if (name == self.primary) is (slot.kind == "alone")]
        return frozenset(self.gen.fields).difference(*(self.channels[name] for name in names))

    def repair(self, slots: Sequence[_Slot], remaining: dict[frozenset[Pair], bool]) -> None:
        """Exchanges values of *slots* until every combination stands in one of them, or as many as can be reached: one
        that is still wanted is put where fewest others are lost.
        """
        count = Counter(group for slot in slots for group in self.met(slot.state))
        names = [name for name in self.seen_changes if name != self.primary]

        def put(i: int, name: str, value: Any) -> Any:
            """Gives *name* another value in the *i*-th slot; the one that it had."""
            state = slots[i].state
            had = state[name]
            for group in self.met(state, name):
                count[group] -= 1
                if not count[group] and group in self.triples:
                    remaining[group] = True
            state[name] = value
            for group in self.met(state, name):
                count[group] += 1
                remaining.pop(group, None)
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
            i, left, turns = self.random.choice(fit), len(remaining), changes()
            wrong = [(place, n) for n, v in wish.items() if slots[i].state[n] != v for place in follow(i, n)]
            had = [(place, n, put(place, n, wish[n])) for place, n in wrong]
            if len(remaining) > left or changes() < turns:
                for place, n, value in reversed(had):
                    put(place, n, value)

    def extended(self, slots: list[_Slot], limit: int, remaining: dict[frozenset[Pair], bool]) -> list[_Slot]:
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
        more: dict[int, list[_Slot]] = {}

        def goals(target: Any) -> list[dict[str, Any]]:
            return [dict(g) for g in islice((g for g in remaining if (self.primary, target) in g), GOALS)]

        def add(target: Any, kind: _Kind) -> None:
            here = more.setdefault(last[target], [])
            before = here[-1] if here else slots[last[target]]
            here.append(slot := _Slot(target, kind))
            self.choose(slot, before.state, remaining, goals(target) or ({},))

        late = sorted(last, key=last.__getitem__)
        for target in late:
            while room > 0 and goals(target):
                add(target, "more")
                room -= 1
        # Where what is required has one value only, it is sent once more; elsewhere another one of it is, or none, by turns.
        late.sort(key=lambda target: bool(self.free(self.primary, target)))
        turns: Iterator[_Kind] = cycle(("more", "beside"))
        for target in late[:room]:
            add(target, next(turns) if self.free(self.primary, target) else "again")
        for i in sorted(last.values()):
            if singles and i not in more:
                more[i] = [_Slot(slots[i].target, "single")]
                singles -= 1
        found: list[_Slot] = []
        for i, slot in enumerate(slots):
            found += [slot, *more.get(i, ())]
        return [*found, *[_Slot(None, "single")] * singles]

    # ------------------------------------------------------------ what each step sends

    def step(self, label: str, slot: _Slot, remaining: dict[frozenset[Pair], bool]) -> Case:
        """One update that leads where *slot* does, with as much else in it as is useful."""
        before, target, led = dict(self.state), slot.target, slot.kind == "led"
        self.staying += led
        if led and self.staying in NEAR:
            self.near[label] = NEAR[self.staying]
        full = slot.kind == "start" or (led and self.staying == WHOLE)
        off = self.switched_off(before, target)
        state = {n: v for n, v in before.items() if n in slot.still and n not in off}
        state |= {n: v for n, v in slot.state.items() if n not in off | slot.still}
        body: dict[str, Any] = {}
        if self.primary is not None and not slot.partial:
            body[self.primary] = target
        names = [name for name in self.others if name in state and name not in slot.still]
        body |= {name: state[name] for name in names if state[name] != before.get(name)}
        left: frozenset[str] = frozenset()
        for name in names:
            spare = self.held.get((target, name), 0)
            # What another selector has, and what that requires, must stay where it is not sent.
            stands = name in self.gen.selectors and (target, name, state[name]) not in self.stood
            stands = stands and spare < STANDS and not full
            if not (name in body or stands) and (
                full or spare > self.sent.get((target, name), 0) or (spare and self.news(name, state[name], body))
            ):
                body[name] = state[name]
            count = self.sent if name in body else self.held
            count[target, name] = count.get((target, name), 0) + 1
            if stands and name not in body:
                self.stood.add((target, name, state[name]))
                if not led:
                    left |= self.gen.request.aliases_of(self.gen.choice(name, state[name]).requires)
        self.tick(state, remaining)
        self.apart.difference_update(self.met(body))
        self.state = state
        for name, seen in self.seen_changes.items():
            if name in before and name in state and before[name] != state[name]:
                seen.add((before[name], state[name]))
        ranked = [name for name in self.gen.selectors if name != self.primary]
        if ranked:
            self.seen_pairs.add((state.get(self.primary or ""), state.get(ranked[0])))
        if slot.still:
            self.confined[label] = slot.kind
        kept = self.same[label] = self.kept(body, before) if slot.kind == "again" else []
        off = off | slot.still | left
        self.fill(_Step(body, off, full, led, self.near.get(label, ""), self.places(before, body)), kept)
        return self.case(label, body=body, rested=slot.kind == "start")

    def chosen(
        self,
        state: dict[str, Any],
        before: Mapping[str, Any],
        remaining: Mapping[frozenset[Pair], bool],
        fixed: Collection[str],
    ) -> dict[str, Any]:
        """*state* with the values of all but the *fixed* fields with which most wanted combinations are met."""
        for name in self.others:
            if name not in fixed:
                state[name] = self.best(name, state, before, remaining)
        return state

    def leads(self) -> list[dict[str, Any]]:
        """Every value of the next largest field."""
        return [{name: value} for name in self.others[:1] for value in self.enums[name]] or [{}]

    def case(self, label: str, **values: Any) -> Case:
        """A case of the update."""
        return Case(label=label, operation=self.operation, **values)

    def single(self, step: int, body: Mapping[str, Any]) -> Case:
        """A step with one thing in it."""
        rested = not {*body} & {*self.gen.selectors} and self.rests > 0
        self.rests -= rested
        return self.case(f"tour {step}: {' '.join(body)} alone", body=body, rested=rested)

    def switched_off(self, before: Mapping[str, Any], target: Any) -> frozenset[str]:
        """Companions of the value that is left: a server may clear them, so they are not sent along."""
        name = self.primary
        if name not in self.gen.selectors or name not in before or before[name] == target:
            return frozenset()
        assert name is not None
        kept = set(self.gen.choice(name, target).companions)
        return self.gen.request.aliases_of(set(self.gen.choice(name, before[name]).companions) - kept) - kept

    def best(
        self,
        name: str,
        state: Mapping[str, Any],
        before: Mapping[str, Any],
        remaining: Mapping[frozenset[tuple[str, Any]], bool],
    ) -> Any:
        """The value of *name* with which most wanted combinations are met; a change, where equal."""
        known = [(other, value) for other, value in state.items() if other != name and other in self.gen.enums]
        fixed = [pair for pair in known if pair[0] == self.primary or pair[0] in self.gen.selectors]
        both = [(pair, sum(p in fixed for p in pair)) for pair in self.among(known, 2, self.need - (name in self.core))]
        scores = []
        for turn, value in enumerate(self.enums[name]):
            mine = (name, value)
            score = apart = 0
            for pair, count in both:
                group = frozenset((mine, *pair))
                score += (group in remaining) << count
                apart += (group in self.apart) << count
            change = (before.get(name), value)
            if name in self.seen_changes and before.get(name) not in {None, value}:
                score += 3 * (change not in self.seen_changes[name])
            if name in self.gen.selectors:
                score += self.fresh(name, value, state, remaining)
                # Once for each value of the largest selector it stays, and is not sent.
                score += STAYING * (
                    value == before.get(name) and (state.get(self.primary or ""), name) not in self.stayed
                )
            scores.append((score, apart, value != before.get(name), -turn, value))
        return max(scores, key=lambda entry: entry[:4])[4]

    def fresh(self, name: str, value: Any, state: Mapping[str, Any], remaining: Mapping[Any, bool]) -> int:
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

    def tick(self, state: Mapping[str, Any], remaining: dict[frozenset[tuple[str, Any]], bool]) -> None:
        """Strikes out the combinations that *state* meets."""
        for group in self.met(state):
            remaining.pop(group, None)

    def met(self, values: Mapping[str, Any], name: str = "") -> Iterator[frozenset[Pair]]:
        """The combinations of three that stand in *values*; those with the field *name*, where it is given."""
        pairs = [(n, v) for n, v in values.items() if n != name and (n == self.primary or n in self.others)]
        size = min(3, len(self.others) + (self.primary is not None))
        if not name:
            yield from map(frozenset, self.among(pairs, size, self.need))
            return
        mine = (name, values[name])
        yield from (frozenset((mine, *some)) for some in self.among(pairs, size - 1, self.need - (name in self.core)))

    def news(self, name: str, value: Any, body: Mapping[str, Any]) -> bool:
        """True where *value* beside what *body* holds makes a combination that no body held yet."""
        return not self.apart.isdisjoint(g for g in self.met({**body, name: value}) if (name, value) in g)

    def places(self, before: Mapping[str, Any], body: Mapping[str, Any]) -> dict[Any, int]:
        """Where the selectors stand after a step, and how they came there: each with what it is worth to have a
        field in a body there, and also not to have it.
        """
        names = [name for name in self.core if name in self.state]
        found: dict[Any, int] = {tuple((name, self.state[name]) for name in names): 1}
        for name in names:
            old, new = before.get(name), self.state[name]
            found |= {(name, new): AT, (name, new, name in body): AT}
            found[name, old, new, name in body] = STAYS if old == new else 1
        return found

    def due(self, name: str, places: Mapping[Any, int]) -> int:
        """More than nothing where it is worth more to send a field in *places* than not to send it."""
        sent, kept = (
            sum(worth for place, worth in places.items() if (name, place, there) not in self.tried)
            for there in (True, False)
        )
        return sent - (kept if name in self.stored else 0)

    def fill(self, step: _Step, kept: Collection[str]) -> None:
        """Adds the required companions and the boundary values that are due. The companions *kept* are sent as they
        are stored.
        """
        gen, body = self.gen, step.body
        body |= {name: self.stored[name] for name in kept}
        gen.complete(body, lambda name: self.take(name, step))
        standing = self.standing(body)
        if not step.led:  # One update of a value that stays is with what it requires, and the last one is without.
            step.off = step.off.union(standing)
        for name in standing:
            if name not in gen.request.aliases_of(body) | step.off:
                body[name] = self.take(name, step)
                if body[name] == self.stored.get(name):
                    body[name] = self.take(name, step)
        taken = gen.request.aliases_of(body)
        needed = {n for n in body if n in gen.free} if not step.how else set()
        self.stored.update(body)
        used = {other for name in gen.selectors if name in body for other in gen.choice(name, body[name]).uses}
        for i, name in enumerate(gen.free):
            if name not in taken and name not in step.off and self.rides(name, i, step, used):
                body[name] = self.take(name, step)
                taken |= gen.request.aliases_of((name,))
        self.outdo(step, needed)
        self.tried.update(
            (name, place, name in body)
            for name in gen.free
            if name in body
            or (name in self.stored and name not in step.off and not gen.request.aliases_of((name,)) & {*body})
            for place in step.places
        )
        self.stored.update(body)
        self.total += 1

    def take(self, name: str, step: _Step) -> Any:
        """The next boundary value of a field; or, where the step says how, what is nearly stored."""
        stored = self.stored.get(name)
        nearly = near(stored, step.how, self.gen.fields[name]) if step.how and name in self.boundary.firm else stored
        return self.boundary.take(name) if nearly == stored else nearly

    def rides(self, name: str, i: int, step: _Step, used: Collection[str]) -> bool:
        """True where the free field *name*, the *i*-th, is to be in a step whose selectors *used* some."""
        gen, whole = self.gen, step.full or bool(step.how)
        siblings = gen.request.aliases_of((name,)) & {*gen.free}
        if len(siblings) > 1:
            most = max(siblings, key=lambda n: (self.boundary.left(n), n))
            if name != most or not (self.boundary.left(name) or step.how):
                return False
            # A step without any of them, where there are steps enough for all of their values.
            left = SPARE + sum(self.boundary.left(n) for n in siblings)
            enough = not whole and left < self.bound * 5 // 4 - REPEATS - self.total
            return not enough or self.due(name, step.places) >= 0
        if gen.fields[name].resource:
            # There is one id only: once it is stored, sending it again shows nothing.
            return name in self.stored and (step.full or not (self.total + i) % 6)
        if name in used:
            # Now and then without it; not in step with an API that counts to three.
            return (self.total + self.total // 3) % 3 != 2
        if whole or self.boundary.left(name) >= self.bound - self.total:
            return True
        period = max(2, min(3, self.bound // len(self.boundary.firm[name])))
        due = self.due(name, step.places)
        return due > 0 or (due == 0 and not (self.total + i) % period)

    def outdo(self, step: _Step, needed: Collection[str]) -> None:
        """Adds aliases that lose beside the one that wins, or that one beside what is *needed*."""
        gen, body, every = self.gen, step.body, step.full and step.led
        for group in gen.request.aliases:
            wins = group.wins
            spare = wins in self.boundary.firm and wins not in body
            loser = next((n for n in group.fields if n != wins and n in needed), "")
            if loser and spare and wins not in step.off and not every:
                # What a selector's value requires loses as well, once for each value.
                self.beaten[loser] = self.beaten.get(loser, 0) + 1
                if self.beaten[loser] == BEATEN:
                    body[wins] = self.take(wins, step)
                continue
            free = [n for n in group.fields if n != wins and n in gen.fields and n not in step.off and n not in body]
            if every and spare:
                body[wins] = self.take(wins, step)
            if free and wins in body and wins not in step.off:
                self.wins += 1
                # The documents say nothing about the ones that lose, so no boundary value is spent on them.
                some = free if every else [free[self.wins // 3 % len(free)]] if self.wins % 3 == 1 else []
                body |= {n: self.boundary.firm[n][self.wins % len(self.boundary.firm[n])] for n in some}
                if every or self.wins % 6 == 1:
                    body[wins] = body.pop(wins)  # It wins wherever it stands.

    def spent(self, target: Any) -> bool:
        """True where no boundary value is left of what *target* requires, by any name."""
        needs = self.gen.choice(self.primary, target).requires if self.primary in self.gen.selectors else ()
        names = self.gen.request.aliases_of(needs) & {*self.boundary.firm}
        return bool(needs) and not any(self.boundary.left(name) for name in names)

    def kept(self, body: Mapping[str, Any], before: Mapping[str, Any]) -> list[str]:
        """What is stored of what the values of selectors in *body* require, where they were the same *before*."""
        same = [name for name in self.gen.selectors if name in body and before.get(name) == body[name]]
        needs = [other for name in same for other in self.gen.choice(name, body[name]).requires]
        return [name for name in needs if name in self.stored]

    def standing(self, body: Mapping[str, Any]) -> list[str]:
        """What the values of selectors require that stay where they are, in a *body* without the largest selector."""
        if self.primary is None or self.primary in body:
            return []
        left = [name for name in self.gen.selectors if name not in body and name in self.state]
        return [other for name in left for other in self.free(name, self.state[name])]

    def free(self, selector: str | None, value: Any) -> list[str]:
        """What a value of a selector requires, and can be sent with more than one value."""
        needs = self.gen.choice(selector, value).requires if selector in self.gen.selectors else ()
        return [name for name in needs if name in self.gen.free and not self.gen.fields[name].resource]

    def alone(self) -> Iterator[dict[str, Any]]:
        """Bodies with one thing in them: what they leave out must stay."""
        gen = self.gen
        for name in gen.selectors:
            if name != self.primary:
                yield gen.complete({name: gen.enums[name][0]}, self.boundary.take)
        plain = [
            n for n in gen.fields if n not in gen.selectors and n not in gen.required and not gen.fields[n].resource
        ]
        shown = [n for n in plain if n in self.shown]
        if gen.marker in shown:
            yield gen.complete({gen.marker: self.fresh_value(gen.marker)}, self.boundary.take)
        # Enumerated companions of one value by themselves: no selector, nothing free, and of one channel.
        groups = [
            [o for o in c.uses if o in gen.enums and o in shown]
            for s in gen.selectors.values()
            for c in s.choices.values()
        ]
        if group := min((g for g in groups if g), key=len, default=[]):
            yield gen.complete({n: self.fresh_value(n) for n in group}, self.boundary.take)
        other = next((n for n in shown if n in gen.enums and not any(gen.enums[n] == gen.enums[o] for o in group)), "")
        if other:
            yield gen.complete({other: self.fresh_value(other)}, self.boundary.take)
        for name in sorted(shown, key=lambda n: (n in gen.enums, not gen.fields[n].deprecated)):
            if name in (gen.marker, other) or name in group:
                continue
            yield gen.complete({name: self.fresh_value(name)}, self.boundary.take)

    def fresh_value(self, name: str) -> Any:
        """A value of a field that is not stored."""
        stored = self.state.get(name, self.stored.get(name))
        if name in self.gen.enums:
            return next((v for v in self.gen.enums[name] if v != stored), stored)
        value = self.boundary.take(name)
        return self.boundary.take(name) if value == stored else value
