"""The tour: one deterministic walk on which everything rides along that is to be sent.

Where each step leads is laid out by `contract.layout`; here it is filled: with what the selectors require, with every
boundary value of every free field - and in each step some fields are *not* sent, because what stays is a promise too.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from contract.generate import Generator
from contract.layout import SINGLES, Layout, Slot, Wanted
from contract.model import Case
from contract.spec import Field

SHORT: Final = 49
"""Characters that are less than the shortest limit that is usual."""

__all__ = ["REPEATS", "RESTS", "Tour", "Values", "near"]

REPEATS: Final = 3
"""Steps of the tour that are sent twice, for idempotence."""
STAYS, AT = 4, 2
"""What it is worth to have a field in a body while a selector stays, and where it stands, beside a change of it."""
CLEARS: Final = 4
"""What it is worth not to have a field in a body at a change of a selector, which may clear too much; beside having it."""
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
STANDS: Final = 2
"""Times that another selector is not sent beside each value of the largest one, each time with another value."""
RESTS: Final = 3
"""Fields that are sent by themselves, and after a rest: does each move the time stamp?"""


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
        made = {"case": value.swapcase(), "more": f"{value} ", "less": value[:-1]}[how]
        made = made if made.strip() and made != value else f"{value}2"
    fits = schema.get("minLength", 0) <= len(made) <= schema.get("maxLength", max(SHORT, len(value) + len("?less")))
    return made if fits else value


class Values:
    """The boundary values of every field, and those of them that were not sent yet."""

    def __init__(self, generator: Generator, seed: int) -> None:
        self.generator = generator
        self.firm: dict[str, list[Any]] = {}
        for i, name in enumerate(self.generator.free):
            values = list(self.generator.firm(name))
            turn = (i * 7 + seed) % len(values)
            self.firm[name] = values[turn:] + values[:turn]
        self.due = {name: [*values] for name, values in self.firm.items()}
        self.turns = dict.fromkeys(self.firm, 0)
        self.marks = 0

    def take(self, name: str) -> Any:
        """The next boundary value of a field, or a value of its enum."""
        if name in self.generator.enums:
            return self.generator.enums[name][0]
        if due := self.due[name]:
            due.append(due.pop(0))
            return due[-1]
        self.turns[name] += 1
        return self.firm[name][(self.turns[name] - 1) % len(self.firm[name])]

    def left(self, name: str) -> int:
        """How many boundary values of a field were not sent yet."""
        return len(self.due[name])

    def judged(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """What *body* sends of which an answer shows what becomes of it: no alias beside the one that wins."""
        groups = [group for group in self.generator.request.aliases if group.wins in body]
        lost = {name for group in groups for name in group.fields if name != group.wins}
        return {name: value for name, value in body.items() if name not in lost}

    def sent(self, body: Mapping[str, Any]) -> None:
        """Takes note of an update that is sent for certain."""
        for name, value in self.judged(body).items():
            if value in self.due.get(name, ()):
                self.due[name].remove(value)

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
        # What stands for a companion that is left out would be it.
        taken = gen.request.aliases_of({*body, *(o for choice in choices if choice for o in choice.companions)})
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
    places: Mapping[Any, tuple[int, int]]
    """See `Tour.places`."""


class Tour:
    """The deterministic walk; see the first lines of this module."""

    def __init__(
        self, operation: str, generator: Generator, values: Values, shown: frozenset[str], chance: random.Random
    ) -> None:
        self.operation = operation
        self.gen = gen = generator
        self.boundary = values
        self.shown = shown
        self.layout = Layout(generator, chance)
        self.primary = self.layout.primary
        self.second = next((name for name in gen.selectors if name != self.primary), "")
        groups = {gen.request.aliases_of((n,)) for n in gen.free}
        boundary = max((sum(len(self.boundary.firm.get(n, ())) for n in group) for group in groups), default=0)
        self.bound = max(self.layout.bound, boundary)
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
        self.visits: Counter[str] = Counter()
        """How often each field came to be required."""
        self.staying = 0
        self.tail = 0
        """The step from which on one thing is sent at a time."""
        self.held: dict[tuple[Any, str], int] = {}
        self.stood: set[tuple[Any, str, Any]] = set()
        """A value of the largest selector, and of another one that stood there and was not sent."""
        self.tried: set[tuple[str, Any, bool]] = set()
        """A field, where the selectors stood, and whether it was sent there."""
        self.apart = set(self.layout.triples)
        """Combinations that did not stand in one body yet."""

    def cases(self, beside: int = 0) -> Iterator[Case]:
        """The steps, in order, with room for some updates *beside* them."""
        layout = self.layout
        targets = layout.targets() or [None] * self.bound
        limit = max(self.bound, len(targets)) * 5 // 4 - REPEATS - beside
        made: list[Case] = []
        alone = iter(self.alone())
        singles: set[int] = set()
        remaining = dict.fromkeys(sorted(layout.triples, key=lambda one: sorted(map(repr, one))), True)
        for slot in layout.slots(targets, limit, dict(remaining)):
            if slot.kind != "single":
                label = "tour start" if slot.kind == "start" else f"tour {len(made)}"
                made.append(self.step(label, slot, remaining))
            elif body := next(alone, None):
                singles.add(len(made))
                made.append(self.single(len(made), body))
        while remaining and len(made) < limit:
            wish = dict(next(iter(remaining)))
            slot = Slot(wish.get(self.primary or "", self.state.get(self.primary or "")))
            layout.choose(slot, self.state, remaining, [wish])
            made.append(self.step(f"tour {len(made)}", slot, remaining))
        while len(made) < limit - max(0, SINGLES - len(singles)) and any(self.boundary.left(n) for n in self.gen.free):
            slot = Slot(self.roomy(len(made)))
            layout.choose(slot, self.state, remaining)
            made.append(self.step(f"tour {len(made)}", slot, remaining))
        while len(made) < limit and (body := next(alone, None)):
            singles.add(len(made))
            made.append(self.single(len(made), body))
        self.tail = next(i for i in range(len(made), -1, -1) if i - 1 not in singles)
        self.updates = len(made) + REPEATS
        wanted = len(layout.triples)
        self.coverage = {
            **{
                f"changes of {name}": (len(seen), len(self.gen.enums[name]) * (len(self.gen.enums[name]) - 1))
                for name, seen in self.seen_changes.items()
            },
            "combinations of three enumerated values": (wanted - len(remaining), wanted),
            "boundary values": (0, 0),  # The plan counts them at its end.
        }
        if self.primary in self.gen.selectors and self.second:
            pairs = len(layout.values) * len(self.gen.enums[self.second])
            self.coverage[f"pairs of {self.primary} and {self.second}"] = (len(self.seen_pairs), pairs)
        yield from made

    def roomy(self, turn: int) -> Any:
        """A value of the largest selector, another one at each *turn*, that leaves room for what has most boundary values
        left, by all of its names.
        """
        values, groups = self.layout.values, {self.gen.request.aliases_of((n,)) for n in self.gen.free}
        most = max(groups, key=lambda group: (sum(map(self.boundary.left, group & {*self.gen.free})), sorted(group)))
        found = [values[(turn + i) % len(values)] for i in range(len(values))]

        def fits(value: Any) -> bool:
            return not self.layout.switched_off(self.state, value).union(self.layout.free(self.primary, value)) & most

        return next(filter(fits, found), next(iter(found), None))

    def step(self, label: str, slot: Slot, remaining: Wanted) -> Case:
        """One update that leads where *slot* does, with as much else in it as is useful."""
        before, target, led = dict(self.state), slot.target, slot.kind == "led"
        self.staying += led
        if led and self.staying in NEAR:
            self.near[label] = NEAR[self.staying]
        full = slot.kind == "start" or (led and self.staying == WHOLE)
        off = self.layout.switched_off(before, target)
        state = {n: v for n, v in before.items() if n in slot.still and n not in off}
        state |= {n: v for n, v in slot.state.items() if n not in off | slot.still}
        body: dict[str, Any] = {}
        if self.primary is not None and not slot.partial:
            body[self.primary] = target
        names = [name for name in self.layout.others if name in state and name not in slot.still]
        body |= {name: state[name] for name in names if state[name] != before.get(name)}
        left: frozenset[str] = frozenset()
        for name in names:
            spare = self.held.get((target, name), 0)
            # What another selector has, and what that requires, must stay where it is not sent.
            stands = (target, name, state[name]) not in self.stood and not full
            stands = stands and (spare < STANDS or name not in self.gen.selectors)
            if not (name in body or stands) and (
                full or spare > self.sent.get((target, name), 0) or (spare and self.news(name, state[name], body))
            ):
                body[name] = state[name]
            count = self.sent if name in body else self.held
            count[target, name] = count.get((target, name), 0) + 1
            if stands and name not in body:
                self.stood.add((target, name, state[name]))
                if not led and name in self.gen.selectors:
                    left |= self.gen.request.aliases_of(self.gen.choice(name, state[name]).requires)
        self.layout.tick(state, remaining)
        self.apart.difference_update(self.layout.met(body))
        self.state = state
        for name, seen in self.seen_changes.items():
            if name in before and name in state and before[name] != state[name]:
                seen.add((before[name], state[name]))
                self.visits.update([*self.gen.choice(name, state[name]).requires])
        if self.second:
            self.seen_pairs.add((state.get(self.primary or ""), state.get(self.second)))
        if slot.still:
            self.confined[label] = slot.kind
        kept = self.same[label] = self.kept(body, before) if slot.kind == "again" else self.unchanged(slot, body)
        off = off | slot.still | left
        step = _Step(body, off, full, led, self.near.get(label, ""), self.places(before, body))
        self.fill(step, kept)
        if not body and self.primary is not None:  # That an empty update is accepted, nobody promises.
            body[self.primary] = target
            self.fill(step, kept)
        return self.case(label, body=body, rested=slot.kind == "start")

    def case(self, label: str, **values: Any) -> Case:
        """A case of the update."""
        self.boundary.sent(values["body"])
        return Case(label=label, operation=self.operation, **values)

    def single(self, step: int, body: Mapping[str, Any]) -> Case:
        """A step with one thing in it."""
        rested = self.rests > 0
        self.rests -= rested
        return self.case(f"tour {step}: {' '.join(body)} alone", body=body, rested=rested)

    def news(self, name: str, value: Any, body: Mapping[str, Any]) -> bool:
        """True where *value* beside what *body* holds makes a combination that no body held yet."""
        return not self.apart.isdisjoint(g for g in self.layout.met({**body, name: value}) if (name, value) in g)

    def places(self, before: Mapping[str, Any], body: Mapping[str, Any]) -> dict[Any, tuple[int, int]]:
        """Where the selectors stand after a step, and how they came there: each with what it is worth to have a
        field in a body there, and what not to have it.
        """
        names = [name for name in self.layout.core if name in self.state]
        found: dict[Any, tuple[int, int]] = {tuple((name, self.state[name]) for name in names): (1, 1)}
        for name in names:
            old, new = before.get(name), self.state[name]
            found |= {(name, new): (AT, AT), (name, new, name in body): (AT, AT)}
            found[name, old, new, name in body] = (STAYS, STAYS) if old == new else (1, CLEARS)
        return found

    def due(self, name: str, places: Mapping[Any, tuple[int, int]]) -> int:
        """More than nothing where it is worth more to send a field in *places* than not to send it."""
        sent, kept = (
            sum(worth[not there] for place, worth in places.items() if (name, place, there) not in self.tried)
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
            # There is one id only: where it stands already, nobody sees whether it is stored when it is required. An API
            # may clear it when it is not required any more: it is sent then after every third time alone.
            return name in self.stored and (step.full or (self.visits[name] % 3 == 1 and (self.total + i) % 4 > 1))
        if name in used:
            # Now and then without it; not in step with an API that counts to three.
            return (self.total + self.total // 3) % 3 != 2
        left = self.boundary.left(name)
        if whole or (left and left >= self.bound - self.total):
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
                spent = not self.boundary.left(loser) and self.boundary.left(wins) > 0
                if self.beaten[loser] == BEATEN or spent:
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

    def kept(self, body: Mapping[str, Any], before: Mapping[str, Any]) -> list[str]:
        """What is stored of what the values of selectors in *body* require, where they were the same *before*."""
        same = [name for name in self.gen.selectors if name in body and before.get(name) == body[name]]
        needs = [other for name in same for other in self.gen.choice(name, body[name]).requires]
        return [name for name in needs if name in self.stored]

    def unchanged(self, slot: Slot, body: Mapping[str, Any]) -> list[str]:
        """What a value of the largest selector requires, where that is sent as it is stored: an API may save nothing where a
        companion does not change.
        """
        needs = self.layout.free(self.primary, slot.target) if slot.same and self.primary in body else ()
        return [name for name in needs if name in self.stored]

    def standing(self, body: Mapping[str, Any]) -> list[str]:
        """What the values of selectors require that stay where they are, in a *body* without the largest selector."""
        if self.primary is None or self.primary in body:
            return []
        left = [name for name in self.gen.selectors if name not in body and name in self.state]
        return [other for name in left for other in self.layout.free(name, self.state[name])]

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
        group = min((g for g in groups if g), key=len, default=[])
        other = next((n for n in shown if n in gen.enums and not any(gen.enums[n] == gen.enums[o] for o in group)), "")
        if other:
            yield gen.complete({other: self.fresh_value(other)}, self.boundary.take)
        if group:
            yield gen.complete({n: self.fresh_value(n) for n in group}, self.boundary.take)
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
