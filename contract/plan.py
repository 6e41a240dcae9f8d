"""
Decides what is sent: a list of blocks of cases, each with its reason and the answers it may get.

The tour is an Eulerian circuit over the values of the largest selector: each ordered change from
one value to another is one step, and everything else rides along - the other selectors, every
three-way combination of enumerated values, every boundary value of every free field, and in each
step some fields that are *not* sent, because what stays is a promise too.

Nothing here depends on the server, the clock or chance beyond the seed, so that two runs of one
plan send the same bodies in the same order.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import combinations, product
from typing import Any, Final, Literal

from contract.generate import Generator, draw
from contract.model import MISSING, Case
from contract.rules import rules as rules_of
from contract.spec import Contract

REPEATS: Final = 3
"""Steps of the tour that are sent twice, for idempotence."""
OVERHEAD: Final = 24
"""Requests of a run beside its plan: reads before and after, custody, restoring."""
INVESTIGATION: Final = 32
"""Requests that a run keeps for looking into failures."""

__all__ = ["PROFILES", "Block", "Plan", "Profile", "plan", "split"]


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
    "standard": Profile(name="standard", requests=300, tour=True, random=6),
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
    maker = _Planner(contract, PROFILES[profile], seed, resources or {}, tuple(foreign_ids))
    return maker.plan()


def split(whole: Plan, shares: int) -> list[list[Block]]:
    """
    *whole* shared out among *shares* records, evenly by the number of cases.

    A tour is cut into pieces; each piece but the first begins with the step before the cut, so that
    no change between two steps is lost.
    """
    if shares <= 1:
        return [list(whole.blocks)]
    pieces: list[Block] = []
    for block in whole.blocks:
        if block.name != "tour":
            pieces.append(block)
            continue
        size = -(-len(block.cases) // shares)
        for start in range(0, len(block.cases), size):
            cases = block.cases[max(0, start - 1) : start + size]
            if start:
                cases = (replace(cases[0], label=f"{cases[0].label} again"), *cases[1:])
            pieces.append(replace(block, cases=cases))
    parts: list[list[Block]] = [[] for _ in range(shares)]
    weight = [0] * shares
    for piece in sorted(pieces, key=lambda b: -len(b.cases)):
        least = weight.index(min(weight))
        parts[least].append(piece)
        weight[least] += len(piece.cases)
    order = {id(piece): i for i, piece in enumerate(pieces)}
    return [sorted(part, key=lambda piece: order[id(piece)]) for part in parts]


def circuit(nodes: int, start: int = 0) -> list[int]:
    """
    A closed walk over *nodes* nodes that takes each ordered pair of different ones once.

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
        self.random = random.Random(seed)
        self.foreign = foreign
        self.generator = Generator(self.update, resources)
        self.request = self.generator.request
        response = self.update.response
        self.shown = frozenset(response.fields) if response else frozenset()
        self.firm: dict[str, list[Any]] = {}
        for i, name in enumerate(self.generator.free):
            values = list(self.generator.firm(name))
            turn = (i * 7 + seed) % len(values)
            self.firm[name] = values[turn:] + values[:turn]
        self.used = dict.fromkeys(self.firm, 0)
        self.marks = 0

    def plan(self) -> Plan:
        """
        The whole plan.
        """
        tour = _Tour(self)
        walk = list(tour.cases() if self.profile.tour else self.smoke())
        blocks = [
            Block(name="access", cases=tuple(self.access()), proof=True),
            Block(name="omissions", cases=tuple(self.omissions()), proof=True),
            Block(name="refusals", cases=tuple(self.refusals()), proof=True),
            Block(name="tour", cases=()),
            Block(name="silence", cases=tuple(self.silence()), proof=True),
            Block(name="random", cases=tuple(self.drawn())),
        ]
        others = sum(not case.unless for block in blocks for case in block.cases)
        spare = self.profile.requests - INVESTIGATION - OVERHEAD - others - len(walk)
        blocks[3] = replace(blocks[3], cases=tuple(self.interleave(walk, min(spare, len(walk)))))
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

    def interleave(self, walk: list[Case], reads: int) -> Iterator[Case]:
        """
        *walk* with as many reads in it, evenly, and some of its steps sent twice.
        """
        count = len(walk)
        reads = max(reads, min(count, 3))
        often = {count * (2 * i + 1) // (2 * REPEATS) for i in range(REPEATS)} if self.profile.tour else set()
        read = self.worth_reading(walk, reads)
        for i, case in enumerate(walk):
            yield case
            if i in often:
                yield replace(case, label=f"{case.label} again", repeat=True)
            if i in read:
                yield Case(label=f"read after {case.label}", operation=self.contract.retrieve.id)

    def worth_reading(self, walk: list[Case], reads: int) -> set[int]:
        """
        The steps after which to read: evenly, and where possible at values of the selectors, and
        pairs of them, that no read has shown yet.
        """
        count = len(walk)
        chosen: set[int] = set()
        seen: set[Any] = set()
        state: dict[str, Any] = {}
        states = []
        for case in walk:
            state.update((n, v) for n, v in case.body.items() if n in self.generator.selectors)
            states.append(tuple(sorted(state.items(), key=repr)))
        due = 0
        for i in range(count):
            target = (i + 1) * reads // count
            news = states[i] not in seen
            if len(chosen) < target + 3 and len(chosen) < reads and (news or due >= 3):
                chosen.add(i)
                seen.add(states[i])
                due = 0
            elif len(chosen) < target:
                due += 1
        return chosen

    # ----------------------------------------------------------------- values

    def take(self, name: str) -> Any:
        """
        The next boundary value of a field, or a value of its enum.
        """
        if name in self.generator.enums:
            return self.generator.enums[name][0]
        values = self.firm[name]
        value = values[self.used[name] % len(values)]
        self.used[name] += 1
        return value

    def left(self, name: str) -> int:
        """
        How many boundary values of a field were not sent yet.
        """
        return max(0, len(self.firm[name]) - self.used[name])

    def mark(self, body: dict[str, Any], tag: str) -> dict[str, Any]:
        """
        *body* with harmless changes in it that would show if a refused body were applied in part.
        """
        gen = self.generator
        name = gen.marker
        if name is not None and name not in body:
            body[name] = f"must not appear {tag}"
        choices = [gen.selectors[n].choices.get(body[n]) for n in gen.selectors if n in body]
        taken = set(body) | {o for choice in choices if choice for o in choice.companions}
        companions = {o for item in gen.selectors.values() for c in item.choices.values() for o in c.requires}
        self.marks += 1
        free = [n for n in gen.enums if n not in gen.selectors and n not in taken]
        urls = [n for n in gen.free if gen.fields[n].format == "uri" and n not in taken and n not in companions]
        for names in (free, urls):
            if names:
                other = names[self.marks % len(names)]
                values = gen.enums.get(other) or gen.firm(other)
                body[other] = values[self.marks // 2 % len(values)]
        return body

    # ----------------------------------------------------------------- blocks

    def case(self, label: str, **values: Any) -> Case:
        """
        A case of the update.
        """
        return Case(label=label, operation=self.update.id, **values)

    def access(self) -> Iterator[Case]:
        """
        Requests without the right to ask, and for what is not there.
        """
        light = not self.profile.tour
        reads = [self.contract.retrieve, *([self.contract.listing[0]] if self.contract.listing and not light else [])]
        for operation in [self.update, *reads]:
            writes = operation is self.update
            body = self.mark({}, "access") if writes else MISSING
            if writes and not body:
                body = self.generator.complete({}, self.take)
            base = Case(label="", operation=operation.id, expect="reject", body=body)
            if operation.security:
                scheme = self.contract.schemes[operation.security[0]]
                kinds = ["no_credentials", "wrong_password"]
                if scheme.get("scheme") == "basic" and not light:
                    kinds.append("wrong_user")
                for kind in kinds:
                    yield replace(
                        base,
                        label=f"{operation.label} {kind.replace('_', ' ')}",
                        rule=f"{operation.id}.access.{kind}",
                        credentials=_WRONG[kind],
                    )
            if operation.key is not None:
                label = f"{operation.label} unknown id"
                yield replace(base, label=label, rule=f"{operation.id}.access.unknown_id", target="unknown")
                if self.foreign:
                    label = f"{operation.label} foreign id"
                    yield replace(base, label=label, rule=f"{operation.id}.access.foreign_id", target="foreign")

    def omissions(self) -> Iterator[Case]:
        """
        A selector's value without one companion that it requires, while none is stored.
        """
        cases = list(self._omissions())
        rules = rules_of(self.contract)
        certain = [c for c in cases if rules[c.rule].basis == "documented"]
        yield from certain
        if rest := [c for c in cases if c not in certain]:
            # These may well be accepted, and would hide what the others left behind.
            yield Case(label="read after what must be refused", operation=self.contract.retrieve.id)
            yield from rest

    def _omissions(self) -> Iterator[Case]:
        gen = self.generator
        for name in gen.selectors:
            for value, choice in gen.request.fields[name].choices.items():
                for other in choice.requires:
                    present = [c for c in choice.requires if c != other]
                    if any(c not in gen.fields for c in present):
                        continue
                    body = {name: value, **{c: self.firm[c][0] if c in self.firm else self.take(c) for c in present}}
                    absent = tuple(sorted((gen.request.aliases_of((other,)) & self.shown) | {other}))
                    yield self.case(
                        f"{name} {value} without {other}",
                        expect="reject",
                        rule=f"{self.update.id}.handler.{name}.{value}.requires.{other}",
                        body=self.mark(body, f"{value} without {other}"),
                        absent=absent,
                        away_from=(name, value),
                    )
            if not self.profile.tour:
                return

    def refusals(self) -> Iterator[Case]:
        """
        What the documents exclude, one thing at a time.
        """
        prefix = f"{self.update.id}.rejection"
        gen = self.generator
        for name in gen.enums:
            if not gen.request.fields[name].enum:
                continue
            values = gen.refused(name)
            if not self.profile.tour:
                values = values[:1]
            for value in values:
                body = self.mark({name: value}, f"{name} {value}")
                rule = f"{prefix}.{name}.enum"
                yield self.case(f"{name} is {value!r}", expect="reject", rule=rule, body=body)
        text = f'{{"{gen.marker or "a"}": "must not appear malformed", '
        yield self.case("malformed JSON", expect="reject", rule=f"{prefix}.malformed_json", content=text.encode())
        if self.profile.tour:
            items = [self.mark({}, "array")]
            yield self.case("a JSON array", expect="reject", rule=f"{prefix}.not_an_object", body=items)

    def smoke(self) -> Iterator[Case]:
        """
        Each selector value once.
        """
        gen = self.generator
        for name, item in gen.selectors.items():
            for value in gen.enums[name]:
                body = gen.complete({name: value}, self.take)
                for other in item.choices[value].uses:
                    if other in gen.enums:
                        body[other] = gen.enums[other][len(body) % len(gen.enums[other])]
                if gen.marker:
                    body[gen.marker] = self.take(gen.marker)
                yield self.case(f"smoke {name} {value}", body=body)
        if not gen.selectors:
            yield self.case("smoke", body={n: self.take(n) for n in gen.fields})

    def silence(self) -> Iterator[Case]:
        """
        Requests about which the documents say nothing: either answer will do, if it is consistent.
        """
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
            for name, value in foreign.items():
                label = f"read-only {name}"
                yield self.case(
                    label, expect="unspecified", rule=rule, body={name: value}, keep=True, unless="read-only fields"
                )
        body = {"x_unknown_key": "must not appear"}
        yield self.case("an unknown key", expect="unspecified", rule=f"{prefix}.unknown_key", body=body, keep=True)
        yield self.case("an empty body", expect="unspecified", rule=f"{prefix}.empty", body={}, keep=True)
        if not self.profile.tour:
            return
        rule = f"{prefix}.consistent"
        for kind, values in self.open_values().items():
            how = dict.fromkeys(values, "blank" if kind in {"blank", "space"} else "exact")
            yield self.case(f"{kind} values", expect="unspecified", rule=rule, body=values, open=how)
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
        seen: set[tuple[Any, ...]] = set()
        for name, options in gen.enums.items():
            if options and isinstance(options[0], str) and name not in gen.selectors and options not in seen:
                seen.add(options)
                lower = options[0].lower() if options[0] != options[0].lower() else options[0].upper()
                label = f"another case in {name}"
                yield self.case(label, expect="unspecified", rule=rule, body={name: lower}, open={name: "any"})
        for name in (n for n, f in gen.fields.items() if f.resource):
            ghost = str(uuid.uuid5(uuid.NAMESPACE_URL, f"https://example.com/nothing/{name}"))
            label = f"{name} of nothing"
            yield self.case(label, expect="unspecified", rule=rule, body={name: ghost}, open={name: "exact"})
            break
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

    def open_values(self) -> dict[str, dict[str, Any]]:
        """
        One body for each kind of value that the documents leave open.
        """
        found: dict[str, dict[str, Any]] = {}
        for name in self.generator.free:
            if name not in self.shown or self.generator.fields[name].write_only:
                continue
            siblings = sorted(n for n in self.generator.request.aliases_of((name,)) if n in self.shown)
            for i, (kind, value) in enumerate(self.generator.open(name)):
                if len(siblings) > 1 and siblings[i % len(siblings)] != name:
                    continue  # One name of a thing at a time.
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

    def drawn(self) -> Iterator[Case]:
        """
        The random part: bodies that Hypothesis draws from the seed.
        """
        if self.profile.random:
            for i, body in enumerate(draw(self.generator.bodies(), self.profile.random, self.seed)):
                if body:
                    yield self.case(f"random {i + 1}", body=body)


_WRONG: Final[Mapping[str, Literal["none", "wrong_password", "wrong_user"]]] = {
    "no_credentials": "none",
    "wrong_password": "wrong_password",
    "wrong_user": "wrong_user",
}


class _Tour:
    """
    The deterministic walk; see the module's first lines.
    """

    def __init__(self, planner: _Planner) -> None:
        self.planner = planner
        gen = self.gen = planner.generator
        self.enums = {name: values for name, values in gen.enums.items() if len(values) > 1}
        ranked = sorted(gen.selectors, key=lambda name: -len(gen.enums[name]))
        self.primary = ranked[0] if ranked else next(iter(self.enums), None)
        self.values: tuple[Any, ...] = gen.enums[self.primary] if self.primary else ()
        self.others = sorted(
            (name for name in self.enums if name != self.primary), key=lambda n: (-len(self.enums[n]), n)
        )
        self.triples = self.wanted()
        changes = len(self.values) * (len(self.values) - 1)
        widest = max((len(values) for values in self._by_fields().values()), default=0)
        groups = {gen.request.aliases_of((n,)) for n in gen.free}
        boundary = max((sum(len(planner.firm.get(n, ())) for n in group) for group in groups), default=0)
        self.bound = max(changes, widest, boundary)
        self.changes = changes
        self.updates = 0
        self.coverage: dict[str, tuple[int, int]] = {}
        self.state: dict[str, Any] = {}
        self.seen_changes: dict[str, set[tuple[Any, Any]]] = {name: set() for name in gen.selectors}
        self.seen_pairs: set[tuple[Any, Any]] = set()
        self.sent: dict[tuple[Any, str], int] = {}
        self.stored: set[str] = set()
        self.wins = 0
        self.total = 0
        self.held: dict[tuple[Any, str], int] = {}

    def wanted(self) -> set[frozenset[tuple[str, Any]]]:
        """
        Every combination of values of three enumerated fields (two, where there are only two).

        With very many enumerated fields only the combinations with a selector are wanted, so that
        the plan grows with the number of fields and not with its cube.
        """
        names = [*([self.primary] if self.primary else []), *self.others]
        size = min(3, len(names))
        groups = list(combinations(names, size)) if size else []
        if len(groups) > 400:
            groups = [g for g in groups if sum(n in self.gen.selectors for n in g) >= min(2, len(self.gen.selectors))]
        return {
            frozenset(zip(group, values, strict=True))
            for group in groups
            for values in product(*(self.enums.get(n, self.gen.enums[n]) for n in group))
        }

    def _by_fields(self) -> dict[frozenset[str], list[Any]]:
        found: dict[frozenset[str], list[Any]] = {}
        for triple in self.triples:
            found.setdefault(frozenset(name for name, _ in triple), []).append(triple)
        return found

    def cases(self) -> Iterator[Case]:
        """
        The steps, in order.
        """
        if self.primary is None:
            targets: list[Any] = [None] * self.bound
        else:
            order = list(range(len(self.values)))
            self.planner.random.shuffle(order)
            targets = [self.values[order[i]] for i in circuit(len(order))] if len(order) > 1 else list(self.values)
        wanted = len(self.triples)
        remaining = dict.fromkeys(sorted(self.triples, key=repr), True)
        start = targets[-1] if targets else None
        made: list[Case] = []
        if self.primary is not None:
            made.append(self.step("tour start", start, remaining, full=True))
        limit = max(self.bound, len(targets)) * 5 // 4 - REPEATS
        last = {target: i for i, target in enumerate(targets)}
        alone = iter(self.alone())
        for i, target in enumerate(targets):
            made.append(self.step(f"tour {len(made)}", target, remaining))
            if self.primary is None or last[target] != i:
                continue
            # The last visit: what is still wanted here is sent without the selector itself, because
            # a record must take such updates wherever it stands.
            count = len(made)
            mine = (self.primary, target)
            while len(made) + len(targets) - i < limit and (goal := next((g for g in remaining if mine in g), None)):
                made.append(self.step(f"tour {len(made)}", target, remaining, goal=dict(goal), partial=True))
            if len(made) == count and (body := next(alone, None)):
                made.append(self.planner.case(f"tour {len(made)}: {' '.join(body)} alone", body=body))
                self.state.update((n, v) for n, v in body.items() if n in self.enums)
        while remaining and len(made) < limit:
            wish = dict(next(iter(remaining)))
            target = wish.get(self.primary or "", self.state.get(self.primary or ""))
            made.append(self.step(f"tour {len(made)}", target, remaining, goal=wish))
        while len(made) < limit - 12 and any(self.planner.left(n) for n in self.gen.free):
            target = self.values[len(made) % len(self.values)] if self.values else None
            made.append(self.step(f"tour {len(made)}", target, remaining))
        for body in alone:
            if len(made) >= limit:
                break
            made.append(self.planner.case(f"tour {len(made)}: {' '.join(body)} alone", body=body))
        self.updates = len(made) + REPEATS
        self.coverage = {
            **{
                f"changes of {name}": (len(seen), len(self.gen.enums[name]) * (len(self.gen.enums[name]) - 1))
                for name, seen in self.seen_changes.items()
            },
            "combinations of three enumerated values": (wanted - len(remaining), wanted),
            "boundary values": (
                sum(len(self.planner.firm[n]) - self.planner.left(n) for n in self.gen.free),
                sum(len(self.planner.firm[n]) for n in self.gen.free),
            ),
        }
        ranked = [name for name in self.gen.selectors if name != self.primary]
        if self.primary in self.gen.selectors and ranked:
            pairs = len(self.values) * len(self.gen.enums[ranked[0]])
            self.coverage[f"pairs of {self.primary} and {ranked[0]}"] = (len(self.seen_pairs), pairs)
        yield from made

    def step(
        self,
        label: str,
        target: Any,
        remaining: dict[frozenset[tuple[str, Any]], bool],
        *,
        full: bool = False,
        goal: Mapping[str, Any] | None = None,
        partial: bool = False,
    ) -> Case:
        """
        One update that moves the largest selector to *target* and as much else as is useful.
        """
        before = dict(self.state)
        off = self.switched_off(before, target)
        body: dict[str, Any] = {}
        state = dict(before)
        if self.primary is not None:
            state[self.primary] = target
            if not partial:
                body[self.primary] = target
        for name in self.others:
            if goal and name in goal:
                value = goal[name]
            elif name in off and name in before:
                value = before[name]
            else:
                value = self.best(name, state, before, remaining)
            state[name] = value
            if value != before.get(name):
                body[name] = value
        for name in self.others:
            spare = self.held.get((target, name), 0)
            if not (name in body or name in off) and (full or spare > self.sent.get((target, name), 0)):
                body[name] = state[name]
            count = self.sent if name in body else self.held
            count[target, name] = count.get((target, name), 0) + 1
        for name in off:
            if name in self.others and name not in body:
                state.pop(name, None)
        self.tick(state, remaining)
        self.state = state
        for name, seen in self.seen_changes.items():
            if name in before and name in state and before[name] != state[name]:
                seen.add((before[name], state[name]))
        ranked = [name for name in self.gen.selectors if name != self.primary]
        if ranked:
            self.seen_pairs.add((state.get(self.primary or ""), state.get(ranked[0])))
        self.fill(body, off, full)
        return self.planner.case(label, body=body)

    def switched_off(self, before: Mapping[str, Any], target: Any) -> frozenset[str]:
        """
        Companions of the value that is left: a server may clear them, so they are not sent along.
        """
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
        """
        The value of *name* with which most wanted combinations are met; a change, where equal.
        """
        known = [(other, value) for other, value in state.items() if other != name and other in self.gen.enums]
        fixed = [pair for pair in known if pair[0] == self.primary or pair[0] in self.gen.selectors]
        scores = []
        for turn, value in enumerate(self.enums[name]):
            mine = (name, value)
            score = 0
            for a, b in combinations(known, 2):
                if frozenset((mine, a, b)) in remaining:
                    score += 4 if a in fixed and b in fixed else 2 if a in fixed or b in fixed else 1
            change = (before.get(name), value)
            if name in self.seen_changes and before.get(name) not in {None, value}:
                score += 3 * (change not in self.seen_changes[name])
            if name in self.gen.selectors:
                score += self.fresh(name, value, state, remaining)
            scores.append((score, value != before.get(name), -turn, value))
        return max(scores, key=lambda entry: entry[:3])[3]

    def fresh(self, name: str, value: Any, state: Mapping[str, Any], remaining: Mapping[Any, bool]) -> int:
        """
        How many wanted combinations are open for *value* beside the largest selector's.
        """
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
        """
        Strikes out the combinations that *state* meets.
        """
        pairs = [(name, value) for name, value in state.items() if name == self.primary or name in self.others]
        size = min(3, len(self.others) + (self.primary is not None))
        for group in combinations(pairs, size):
            remaining.pop(frozenset(group), None)

    def fill(self, body: dict[str, Any], off: frozenset[str], full: bool) -> None:
        """
        Adds the required companions and the boundary values that are due.
        """
        planner, gen = self.planner, self.gen
        gen.complete(body, planner.take)
        taken = gen.request.aliases_of(body)
        self.stored.update(body)
        used = {other for name in gen.selectors if name in body for other in gen.choice(name, body[name]).uses}
        for i, name in enumerate(gen.free):
            if name in taken or name in off:
                continue
            siblings = gen.request.aliases_of((name,))
            if len(siblings) > 1:
                most = max(siblings & set(gen.free), key=lambda n: (planner.left(n), n))
                if name != most or not planner.left(name):
                    continue
            elif gen.fields[name].resource:
                # There is one id only: once it is stored, sending it again shows nothing.
                if name not in self.stored or (self.total + i) % 6:
                    continue
            elif name in used:
                if self.total % 3 == 2:
                    continue
            elif not full:
                period = max(2, min(3, self.bound // len(planner.firm[name])))
                if (self.total + i) % period:
                    continue
            body[name] = planner.take(name)
            taken |= siblings
        for group in gen.request.aliases:
            free = [n for n in group.fields if n != group.wins and n in gen.fields and n not in off]
            if free and group.wins in body and group.wins not in off:
                self.wins += 1
                if self.wins % 3 == 1:
                    # The documents say nothing about the one that loses, so no boundary value is spent on it.
                    name = free[self.wins // 3 % len(free)]
                    body[name] = planner.firm[name][self.wins % len(planner.firm[name])]
        self.total += 1

    def alone(self) -> Iterator[dict[str, Any]]:
        """
        Bodies with one thing in them: what they leave out must stay.
        """
        gen = self.gen
        for name in gen.selectors:
            if name != self.primary:
                for value in gen.enums[name][:2]:
                    yield gen.complete({name: value}, self.planner.take)
        plain = [
            n for n in gen.fields if n not in gen.selectors and n not in gen.required and not gen.fields[n].resource
        ]
        shown = [n for n in plain if n in self.planner.shown]
        for name in sorted(shown, key=lambda n: (not gen.fields[n].deprecated, n != gen.marker, n in gen.enums)):
            values = gen.enums.get(name)
            yield gen.complete({name: values[-1] if values else self.planner.take(name)}, self.planner.take)


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
