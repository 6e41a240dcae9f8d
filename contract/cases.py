"""Makes what a run sends beside the tour, one thing at a time: what must be refused, what the documents are silent
about, and what needs a moment of its own.

Each case says what it may be answered; when it is sent is the plan's business.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import count
from typing import Any, Final, cast

from contract.model import MISSING, Case, JSONObject, Pair
from contract.rules import rules as rules_of
from contract.spec import Contract, Operation
from contract.tour import Values

__all__ = ["Cases", "excluding"]

READ_ONLY: Final = 3
"""Bodies that read-only fields are divided among where all of them together are refused."""
SHOWN: Final = frozenset({"blank", "control", "idn"})
"""Kinds of values after which it is read what became of them, beside the last: these are rewritten most often."""
EMPTY: Final = frozenset({"blank", "space"})
"""Kinds of values with nothing in them."""
TAKEN: Final = (("space", "control", "long"), ("port", "punycode", "fragment", "idn"))
"""Kinds of text and kinds of address that most APIs take: one of each goes into one request, and by itself only where
that is refused."""


class Cases:
    """Makes the cases of one plan, the tour's apart."""

    def __init__(self, contract: Contract, values: Values, *, foreign: bool, thorough: bool) -> None:
        """*foreign* says that the id of someone else's record is known; without *thorough* a few cases have to do."""
        self.contract = contract
        self.update = contract.update
        self.generator = values.generator
        self.values, self.take, self.mark = values, values.take, values.mark
        self.foreign = foreign
        self.thorough = thorough
        self.shown = frozenset(contract.record)
        self.final: Mapping[str, Any] = {}
        """The values of the selectors at the end of the tour."""

    def case(self, label: str, **values: Any) -> Case:
        """A case of the update."""
        return Case(label=label, operation=self.update.id, **values)

    def read(self, what: str) -> Case:
        """A read that shows what became of *what*."""
        return Case(label=f"read after {what}", operation=self.contract.retrieve.id)

    def first(self) -> Iterator[Case]:
        """One field that nothing else depends on: only the first update of a run is sent long enough after
        the one before it to show that the time stamp moves, whatever is written. One that was found with
        something in it is preferred: it can be put back even where null empties nothing.
        """
        gen = self.generator
        plain = [n for n in gen.free if n in self.shown and n not in gen.request.aliases_of(gen.companions)]
        unless = ""
        # The text that shows what refusals leave behind is the last resort.
        plain.sort(key=lambda name: name != gen.marker)
        for name in reversed(plain if self.thorough else ()):
            body = gen.complete({name: gen.firm(name)[-1]})
            yield self.case(f"{name} first", body=body, unless=unless)
            unless = unless or f"{name} first"

    def access(self) -> Iterator[Case]:
        """Requests without the right to ask, and for what is not there."""
        if not self.thorough and self.update.guarded:
            for operation, kind in ((self.update, "wrong_password"), (self.contract.retrieve, "no_credentials")):
                body = self.mark({}, "access") if operation is self.update else MISSING
                yield replace(self.stranger(operation, kind), body=body)
            return
        reads, writes = self.contract.retrieve, self.update
        # Refused, and created all the same, it would be there afterwards; an id that may be somebody's is read first.
        sure = writes.key is not None and writes.key.schema.get("format") == "uuid"
        others = [
            *([] if sure else [(reads, "unknown", "")]),
            (writes, "unknown", ""),
            (reads, "unknown", "" if sure else " again"),
        ]
        if self.foreign:
            others += [(reads, "foreign", ""), (writes, "foreign", "")]
        made = list(self.strangers(writes))
        confined = dict(zip((case.label for case in made[:1:-1]), self.channels(), strict=False))
        for operation, kind, again in others if writes.key is not None else ():
            # Nothing is written to another record that can be read: it could not be put back.
            guarded = operation is writes and not (sure and kind == "unknown")
            made.append(
                Case(
                    label=f"{operation.label} {kind} id{again}",
                    operation=operation.id,
                    expect="reject",
                    rule=f"{operation.id}.access.{kind}_id",
                    target=cast(Any, kind),
                    unless=f"{reads.label} {kind} id" if guarded else "",
                )
            )
        for case in made:
            # Each with a text of its own, so that a trace tells which of them left it.
            tag = case.label.removeprefix(writes.label).strip()
            written = case.operation == writes.id
            body = (self.mark({}, tag) or self.generator.complete({}, self.take)) if written else MISSING
            body = confined.get(case.label, body)
            if written and case.target == "unknown":
                # An API may look up what a body names before it knows whether there is a record.
                gen = self.generator
                body |= {n: gen.firm(n)[0] for n in gen.free if gen.fields[n].resource and n not in body}
            yield replace(case, body=body)

    def channels(self) -> Iterator[JSONObject]:
        """For each selector what belongs to it and to no other: an API may have another place that asks who sends it."""
        gen = self.generator
        used = {n: {o for c in item.choices.values() for o in c.companions} for n, item in gen.selectors.items()}
        for selector, companions in used.items():
            mine = companions.difference(*(others for name, others in used.items() if name != selector))
            plain = (n for n in gen.free if n in mine & self.shown and not gen.fields[n].resource)
            if body := {name: gen.firm(name)[-1] for name in plain}:
                yield body

    def readers(self) -> Iterator[Case]:
        """Reads without the right to ask, which leave no trace: they come late, as an API may have let somebody in
        by then.
        """
        if self.thorough:
            for operation in (self.contract.retrieve, *([self.contract.listing[0]] if self.contract.listing else [])):
                yield from self.strangers(operation)

    def strangers(self, operation: Operation) -> Iterator[Case]:
        """Requests of one operation without credentials, or with some that are not right."""
        if not operation.guarded:
            return
        writes, reads = operation is self.update, operation is self.contract.retrieve
        # An API that looks at a part of the password alone most likely does so in every operation.
        kinds = ["no_credentials", f"{'longer' if writes else 'wrong' if reads else 'shorter'}_password"]
        kinds += ["wrong_user", "empty_password"] if self.basic(operation) else []
        kinds += ["recased_password"] if writes else []
        kinds += ["other_scheme"] if writes or reads else []
        yield from (self.stranger(operation, kind) for kind in kinds)

    def basic(self, operation: Operation) -> bool:
        """True where the credentials are a user and a password, and not a token."""
        return self.contract.schemes[operation.security[0]].get("scheme") == "basic"

    def stranger(self, operation: Operation, kind: str) -> Case:
        """A request with that kind of access, which is not right."""
        words = kind.replace("_", " ")
        return Case(
            label=f"{operation.label} {words if self.basic(operation) else words.replace('password', 'token')}",
            operation=operation.id,
            expect="reject",
            rule=f"{operation.id}.access.{_WRONG.sub('wrong_password', kind)}",
            credentials="none" if kind == "no_credentials" else cast(Pair, kind),
        )

    def omissions(self) -> Iterator[Case]:
        """A selector's value without one companion that it requires, while none is stored."""
        cases = list(self._omissions())
        rules = rules_of(self.contract)
        certain = [c for c in cases if rules[c.rule].basis == "documented"]
        yield from certain
        if self.thorough:
            yield from self.excluded(used=True)
        if less := [c for c in cases if c not in certain]:
            # These may well be accepted, and would hide what the others left behind.
            yield self.read("what must be refused")
            yield from less
        if self.thorough:
            yield from self.hidden()
            yield from self.bare()

    def hidden(self) -> Iterator[Case]:
        """What a selector's value requires and no answer shows, while nothing is stored that could stand for it: that
        it is accepted is all that tells that it was looked at.
        """
        gen = self.generator
        for name in gen.selectors:
            for value in gen.enums[name]:
                for other in gen.choice(name, value).requires:
                    shown = tuple(sorted(gen.request.aliases_of((other,)) & self.shown))
                    if other in self.shown or not shown:
                        continue
                    body = gen.complete({name: value})
                    yield self.case(f"{name} {value} with {other} alone", body=body, absent=shown)

    def bare(self) -> Iterator[Case]:
        """Each selector at the value with the most companions that it does not require, without any of them
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
                    if not self.thorough and (name in done or choice.requires[other].basis != "documented"):
                        continue
                    done.add(name)
                    body = {
                        name: value,
                        **{c: self.values.firm[c][0] if c in self.values.firm else self.take(c) for c in present},
                    }
                    absent = tuple(sorted((gen.request.aliases_of((other,)) & self.shown) | {other}))
                    company = self.company(name, value, turn=next(number))
                    if not gen.request.aliases_of(company) & {*absent, *body}:
                        body |= company
                    if choice.requires[other].basis == "documented" and self.thorough:
                        body |= self.idle(name, {*absent, *body})
                    yield self.case(
                        f"{name} {value} without {other}",
                        expect="reject",
                        rule=f"{self.update.id}.handler.{name}.{value}.requires.{other}",
                        body=self.mark(body, f"{value} without {other}"),
                        core=(name, *present),
                        absent=absent,
                        away_from=(name, value),
                        rested=self.thorough,
                    )

    def idle(self, name: str, taken: set[str]) -> dict[str, Any]:
        """What the other values of selector *name* require, but nothing that stands for a field of *taken*: an API may
        find there what it looks for.
        """
        gen = self.generator
        every = {o for choice in gen.request.fields[name].choices.values() for o in choice.requires}
        return {o: gen.firm(o)[0] for o in gen.fields if o in every and not gen.request.aliases_of((o,)) & taken}

    def company(self, name: str, value: Any, *, turn: int = 0) -> dict[str, Any]:
        """The other selectors at the same value, so that their companions are there where those of *name* lack, and an
        API that looks at one selector alone is seen; or at another, one after the other.
        """
        gen = self.generator
        body: dict[str, Any] = {}
        for other, values in gen.enums.items():
            if other != name and other in gen.selectors:
                body[other] = value if value in values else values[turn % len(values)]
        return gen.complete(body) if body else {}

    def refusals(self) -> Iterator[Case]:
        """What the documents exclude, one thing at a time."""
        prefix = f"{self.update.id}.rejection"
        gen = self.generator
        yield from self.excluded(used=False)
        yield from () if self.thorough else self.excluded(held=True)
        yield from self.unfilled()
        for name in gen.required if self.thorough else gen.required[:1]:
            body = self.mark({}, f"without {name}") or gen.complete({})
            rule = f"{prefix}.{name}.required"
            yield self.case(
                f"without {name}", expect="reject", rule=rule, body={n: v for n, v in body.items() if n != name}
            )
        text = f'{{"{gen.marker or "a"}": "must not appear malformed", '
        yield self.case("malformed JSON", expect="reject", rule=f"{prefix}.malformed_json", content=text.encode())
        if self.thorough:
            yield self.ignored("a JSON array", "not_an_object", [self.mark({}, "array")])

    def excluded(self, *, used: bool = False, held: bool = False) -> Iterator[Case]:
        """Undocumented values of fields: of every other one that a selector's value *used*, while it stands
        elsewhere, as an API may look at them there alone; or of the rest, but for what is no id; or that alone, to be
        sent where one is *held*.
        """
        gen = self.generator
        names = [name for name, item in gen.request.fields.items() if item.excludes and not item.read_only]
        if not self.thorough:
            names = [*gen.selectors, *(name for name in names if name not in gen.selectors)][:3]
        seen: set[Any] = set()
        users = {name: self.user(name) for name in names}
        elsewhere = [name for name, user in users.items() if user is not None][::2]
        for name in names:
            values, user = gen.refused(name), users[name]
            # Fields with the same values are looked after by the same code: one near miss will do for them.
            item = gen.request.fields[name]
            options = item.listed
            alike = bool(options) and name not in gen.selectors and options in seen
            seen.add(options)
            if alike or not self.thorough:
                values = tuple({facet: (facet, value) for facet, value in reversed(values)}.values())[::-1]
            for i, (facet, value) in enumerate(values):
                no_id = bool(item.resource) and facet == "format"
                if no_id != held or not (held or (name in elsewhere) == used):
                    continue
                label, rule = excluding(name, facet, value), f"{self.update.id}.rejection.{name}.{facet}"
                # Once with the other selectors moved as well: one of them must not be applied without the other.
                # So is a value that they use, at other values of them: an API may look at it where none is sent.
                company = {}
                if user is not None and i == 0 and used:
                    elsewise = {s: [v for v in gen.enums[s] if (s, v) != user] for s in gen.selectors}
                    company = gen.complete({s: choices[0] for s, choices in elsewise.items() if choices})
                elif i == 1 and not used:
                    company = self.company(name, value)
                body = self.mark({name: value} | company | {name: value}, label)
                away = user if used else None
                case = self.case(label, expect="reject", rule=rule, body=body, core=(name,), away_from=away)
                yield case
                if name == next(iter(gen.selectors), "") and i == 0 and self.thorough:
                    # An API may have kept that it was there before, and not that it was refused.
                    yield replace(case, label=f"{label} again")

    def unfilled(self) -> Iterator[Case]:
        """A selector's value with an empty companion, where the documents want it filled."""
        gen = self.generator
        for name in gen.selectors if self.thorough else ():
            for value in gen.enums[name]:
                for other in sorted(gen.choice(name, value).filled & {*gen.free}):
                    yield self.case(
                        f"{name} {value} with an empty {other}",
                        expect="reject",
                        rule=f"{self.update.id}.handler.{name}.{value}.requires.{other}",
                        body=self.mark(gen.complete({name: value, other: ""}), f"{value} with an empty {other}"),
                        core=(name, other),
                    )

    def user(self, name: str) -> tuple[str, Any] | None:
        """The selector and its value that use the companion *name*: an API may look at it there alone."""
        if not self.thorough:
            return None
        selectors = self.generator.selectors.items()
        return next(((s, v) for s, item in selectors for v, c in item.choices.items() if name in c.uses), None)

    def smoke(self) -> Iterator[Case]:
        """Each selector value once, all selectors in step."""
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
        """Requests about which the documents say nothing: either answer will do, if it is consistent."""
        yield from self.read_only()
        yield self.ignored("an empty body", "empty", {})
        yield self.ignored("no body", "empty", content=b"")
        stored = {name: value for name, value in self.final.items() if self.generator.choice(name, value).requires}
        together = f"{' and '.join(stored)} {STORED}"
        if stored:
            yield self.unsaid(together, stored)
        for name, value in stored.items() if len(stored) > 1 else ():
            yield self.unsaid(f"{name} {STORED}", {name: value}, unless=together)
        for name, value in self.moved().items():
            yield self.unsaid(f"{name} {value} {STORED}", {name: value})
        yield from self.emptied()
        yield from self.open_kinds()
        for name, item in self.generator.fields.items():
            for value in item.open_values[:1]:
                yield self.unsaid(f"{name} is {value!r}", {name: value})
        yield from self.nulls()
        yield from self.other_types()
        yield from self.other_letters()
        yield from self.ghosts()
        yield from self.empty_companions()
        yield from self.malformed_ids()
        yield self.unsaid("a wrong media type", self.mark({}, "media type"), media_type="text/plain")

    def ignored(self, label: str, kind: str, body: Any = MISSING, **values: Any) -> Case:
        """A body that may be taken or refused, but changes nothing either way."""
        rule = f"{self.update.id}.rejection.{kind}"
        return self.case(label, expect="unspecified", rule=rule, body=body, keep=True, **values)

    def unsaid(self, label: str, body: JSONObject, how: str = "exact", **values: Any) -> Case:
        """A body that may be taken or refused; what each of its fields may become is said by *how*, see `Case.open`."""
        values = {"open": dict.fromkeys(body, how)} | values
        rule = f"{self.update.id}.rejection.consistent"
        return self.case(label, expect="unspecified", rule=rule, body=body, **values)

    def read_only(self) -> Iterator[Case]:
        """Fields that only answers have."""
        shown, fields = self.contract.record, self.generator.request.fields
        secret = [n for n, f in shown.items() if f.read_only or n not in fields]
        values = {n: _other(shown[n].schema) for n in secret if n != self.contract.identity}
        if values:
            yield self.ignored("read-only fields", "read_only", values)
        # Where they are refused, one of them may have been reason enough.
        for i in range(min(READ_ONLY, len(values)) if len(values) > 1 else 0):
            some = dict(list(values.items())[i::READ_ONLY])
            yield self.ignored(f"read-only {', '.join(some)}", "read_only", some, unless="read-only fields")

    def open_kinds(self) -> Iterator[Case]:
        """What the documents leave open of each kind of value, beside an unknown key, and the null that they allow."""
        gen = self.generator
        # Beside what is known, and read afterwards: an API may undo the one because of the other.
        body = {"x_unknown_key": "must not appear"} | ({gen.marker: gen.firm(gen.marker)[0]} if gen.marker else {})
        unknown = self.ignored("an unknown key", "unknown_key", body)
        if nullable := [name for names in self.kinds(documented=True).values() for name in names]:
            yield self.case(f"null in {', '.join(nullable)}", body=gen.complete(dict.fromkeys(nullable)))
            yield self.read("null")
        values_of = self.open_values()
        together = _together(values_of)
        for kinds in together:
            label = f"{' and '.join(kinds)} values"
            how = {name: "blank" if kind in EMPTY else "exact" for kind in kinds for name in values_of[kind]}
            yield self.unsaid(label, {n: v for kind in kinds for n, v in values_of[kind].items()}, open=how)
            for kind in kinds if len(kinds) > 1 else ():
                some = {name: how[name] for name in values_of[kind]}
                yield self.unsaid(f"{kind} values", values_of[kind], open=some, unless=label)
            if kinds is together[-1]:
                yield unknown
            if not SHOWN.isdisjoint(kinds) or kinds is together[-1]:
                yield self.read(label)
        if not together:
            yield unknown

    def nulls(self) -> Iterator[Case]:
        """Null in each selector, in two enumerated fields, and in two fields of each other kind at once."""
        gen = self.generator
        for name in gen.selectors:
            if name in self.shown and not gen.fields[name].required:
                yield self.unsaid(f"null in {name}", {name: None}, "null")
        listed, others = dict[str, None](), dict[str, None]()
        for names in self.kinds().values():
            some = dict.fromkeys([n for n in names if n in gen.fields][:2])
            (listed if some.keys() & gen.enums.keys() else others).update(some)
        for kind, body in (("others", others), ("enumerated fields", listed)):
            if body:
                yield self.unsaid(f"null in {kind}", body, "null")

    def other_types(self) -> Iterator[Case]:
        """Values of another type than the documented one."""
        gen = self.generator
        if name := gen.marker:
            yield self.unsaid(f"a number in {name}", {name: 7}, "any")
            # What is looked up by its text may fail where it is none, whichever field it is.
            texts = [n for n in gen.free if gen.fields[n].types == ("string",) and not gen.fields[n].format]
            if lists := {n: ["a"] for n in texts if not gen.fields[n].resource}:
                yield self.unsaid(f"a list in {', '.join(lists)}", lists, "any")
            for url in self.kinds().get("uri", [])[:1]:
                yield self.unsaid(f"an object in {url}, {name}", {key: {"a": 7} for key in (url, name)}, "any")
                yield self.unsaid(f"no URL in {url}", {url: "not a url"}, "any")
        for name in list(gen.selectors)[:1]:
            yield self.unsaid(f"a number in {name}", {name: 7}, "any")
        # What is no text is read by other means: the first field of each other type.
        others = {next((k for k in gen.fields[n].types if k != "null"), "string"): n for n in reversed(gen.fields)}
        for kind, name in others.items():
            if kind != "string" and name in self.shown and not gen.fields[name].enum:
                yield self.unsaid(f"a text in {name}", {name: "must not appear"}, "any")
                if kind == "array":
                    yield self.unsaid(f"objects in {name}", {name: [{"a": 7}]}, "any")

    def other_letters(self) -> Iterator[Case]:
        """A documented value in the other letter case, once for each set of values."""
        seen: set[tuple[Any, ...]] = set()
        for name, options in self.generator.enums.items():
            if options and isinstance(options[0], str) and options not in seen:
                seen.add(options)
                lower = options[0].lower() if options[0] != options[0].lower() else options[0].upper()
                yield self.unsaid(f"another case in {name}", {name: lower}, "any")

    def ghosts(self) -> Iterator[Case]:
        """Well-formed ids of what most likely does not exist: the first alone, and then the others."""
        names = [name for name, item in self.generator.fields.items() if item.resource]
        for some in (names[:1], names[1:]):
            if some:
                space = uuid.NAMESPACE_URL
                body = {name: str(uuid.uuid5(space, f"https://example.com/nothing/{name}")) for name in some}
                yield self.unsaid(f"{', '.join(body)} of nothing", body)

    def malformed_ids(self) -> Iterator[Case]:
        """An id that is none."""
        if self.update.key is not None and self.update.key.schema.get("format") == "uuid":
            for operation in (self.contract.retrieve, self.update):
                yield Case(
                    label=f"{operation.label} malformed id",
                    operation=operation.id,
                    expect="unspecified",
                    rule=f"{self.update.id}.rejection.consistent",
                    body=self.mark({}, "malformed id") if operation is self.update else MISSING,
                    target="malformed",
                )

    def rested(self) -> Iterator[Case]:
        """Each selector by itself, after a rest: does each move the time stamp?"""
        gen = self.generator
        for name in gen.selectors:
            body = gen.complete({name: gen.enums[name][0]}, lambda field: gen.firm(field)[-1])
            yield self.case(f"{name} alone, after a rest", body=body, rested=True)

    def respelled(self) -> Iterator[Case]:
        """What identifies the record, in other letters: written to, it still means the same record."""
        key, name = self.update.key, self.contract.identity
        if key is not None and key.schema.get("format") == "uuid" and name:
            yield self.ignored(f"{name} in the other letter case", "read_only", {}, respells=name)

    def empty_companions(self) -> Iterator[Case]:
        """A value of a selector whose companion is there, but is empty."""
        gen = self.generator
        found = [
            (name, value, other)
            for name in gen.selectors
            for value in gen.enums[name]
            for other, fact in gen.choice(name, value).requires.items()
            if other in gen.free and other in self.shown and fact.basis == "documented"
        ]
        # An API may look at the companions of a value only where the selector moves to it.
        found.sort(key=lambda one: self.final.get(one[0]) == one[1])
        kinds: dict[str, tuple[str, Any, str]] = {}
        for name, value, other in found:
            kinds.setdefault(gen.fields[other].format, (name, value, other))
        # Where an empty one is refused for certain, see `unfilled`.
        blanks = [one for one in kinds.values() if one[2] not in gen.choice(*one[:2]).filled]
        others = [one for one in found if one not in blanks]
        nulls = (others or blanks)[:1]
        for chosen, empty, kind, words in ((blanks, "", "blank", "a blank"), (nulls, None, "null", "null in")):
            for name, value, other in chosen:
                whole = gen.complete({name: value}, self.take)
                how = {**dict.fromkeys(whole, "exact"), other: kind}
                yield self.unsaid(f"{name} {value} with {words} {other}", {**whole, other: empty}, open=how)

    def emptied(self) -> Iterator[Case]:
        """What a value of a selector wants filled, empty and by itself, while the selector stands there: an API may look at
        it only where the selector is sent.
        """
        gen = self.generator
        for name in gen.selectors:
            filled = [(v, other) for v in gen.enums[name] for other in sorted(gen.choice(name, v).filled & {*gen.free})]
            for value, other in filled[:1]:
                body, stored = gen.complete({name: value}, self.take), f"{name} {value} {STORED}"
                yield self.unsaid(f"{name} {value} once more", body, unless=stored)
                yield self.unsaid(f"an empty {other} by itself", {other: ""}, "blank")

    def moved(self) -> dict[str, Any]:
        """A selector and a value at which it does not stand, whose companion is stored since the tour, as far as an API
        keeps it.
        """
        gen = self.generator
        name = max(gen.selectors, key=lambda n: len(gen.enums[n]), default="")
        values = reversed(gen.enums[name]) if name else ()
        for value in sorted(values, key=lambda value: not gen.choice(name, value).filled):
            needs = gen.choice(name, value).requires
            if needs and value != self.final.get(name) and all(n in gen.free and n in self.shown for n in needs):
                return {name: value}
        return {}

    def open_values(self) -> dict[str, dict[str, Any]]:
        """One body for each kind of value that the documents leave open."""
        gen = self.generator
        found: dict[str, dict[str, Any]] = {}
        stands = [*self.final.items(), *self.moved().items()]
        active = {o for name, value in stands for o in gen.choice(name, value).requires}
        for name in gen.free:
            if name not in self.shown or gen.fields[name].write_only:
                continue
            siblings = sorted(n for n in gen.request.aliases_of((name,)) if n in self.shown)
            for i, (kind, value) in enumerate(gen.open(name)):
                if kind in EMPTY and not gen.fields[name].allows(value):
                    continue  # That is to be refused, and so would be all of them.
                if len(siblings) > 1 and siblings[i % len(siblings)] != name:
                    continue  # One name of a thing at a time.
                if kind in EMPTY and not gen.request.aliases_of((name,)).isdisjoint(active):
                    continue  # It would be reason enough to refuse all of them.
                slot = f"{kind} {i}" if kind == "long" else kind
                found.setdefault(slot, {})[name] = value
        return found

    def kinds(self, *, documented: bool = False) -> dict[str, list[str]]:
        """The fields by kind, for asking what null does to each kind, where the documents are silent or it is
        *documented*.
        """
        found: dict[str, list[str]] = {}
        others = self.generator.companions.union(self.generator.selectors)
        for name, item in self.generator.fields.items():
            if name in others or name not in self.shown or item.required or item.takes_null is not documented:
                continue
            plain = "free fields" if "string" in item.types else next(iter(item.types), "free fields")
            kind = "enumerated fields" if name in self.generator.enums else item.format or plain
            found.setdefault(kind, []).append(name)
        return found


def _together(values_of: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, ...]]:
    """The kinds of *values_of*, those that are sent in one request together; see `TAKEN`."""
    texts, addresses = ([k for k in values_of if k.split()[0] in some] for some in TAKEN)
    addresses.sort(key=TAKEN[1].index)
    texts = [k for k in texts if all(values_of[k].keys().isdisjoint(values_of[other]) for other in addresses)]
    beside = dict(zip(texts, addresses, strict=False))
    alone = {*beside.values()}
    return [(kind, beside[kind]) if kind in beside else (kind,) for kind in values_of if kind not in alone]


_WRONG: Final = re.compile("(empty|longer|shorter|recased)_password|other_scheme")
"""What may be sent instead of any other wrong password; the rule is the same."""


STORED: Final = "with what is stored"
"""How the labels of cases end in which a selector is sent without its companion."""
CLIP: Final = 80
"""Characters of a value in the label of a case."""


def excluding(name: str, facet: str, value: Any) -> str:
    """The label of a case in which *facet* excludes the *value* of a field."""
    if facet not in {"enum", "format", "items", "properties"}:
        return f"{name} beyond its {facet}"
    text = repr(value)
    return f"{name} is {text if len(text) <= CLIP else f'{text[:CLIP]}…'}"


def _other(schema: Mapping[str, Any]) -> Any:
    """A well-formed value that a record of this schema is most unlikely to hold."""
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
