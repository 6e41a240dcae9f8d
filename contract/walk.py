"""Walks through one block of the plan on one record, in the order in which it proves something.

A refusal proves nothing while the companion that it lacks is stored, and a trace is only seen where
it is known how the record stood before: both are seen to here, with as few requests as will do.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from contract.budget import ONE_RULE
from contract.check import MOVES_AFTER
from contract.model import Case, JSONObject, is_empty, of_time
from contract.plan import Block
from contract.restore import establish
from contract.session import Session

__all__ = ["Walk", "wake"]

TURN: Final = 1.1
"""Seconds after which a clock that counts seconds shows another one."""
TICK: Final = 0.1
"""Seconds after which a clock that counts parts of seconds does."""
FAILING: Final = 8
"""Updates answered 5xx from which on a tour does not read the record after each of them."""
CROWD: Final = 20
"""Refusals after which the record is read: of more, the one that left a trace is hard to find."""
TOGETHER: Final = 2
"""Omissions that are worth a read of their own."""
ENOUGH: Final = 60.0
"""Seconds that a run must still have for resting to be worth it."""
FINE: Final = 5
"""Updates that move a time stamp by no more than `TICK` where it is taken from a clock that fine; and those that must have
moved it for anything to be known of its clock."""
STILL: Final = 2
"""Updates that left it, and are worth a rest each."""
_PARTS: Final = re.compile(r"\.\d*[1-9]")
"""A time that shows parts of a second."""


class Walk:
    """Walks through one block on one record."""

    def __init__(self, session: Session, block: Block, enough: Callable[[], bool]) -> None:
        self.session = session
        self.generator = session.generator
        self.block = block
        self.ledger = session.ledger
        self.enough = enough
        """True where no further case has to be sent."""
        self.accepted: set[str] = set()
        self.cleared: set[str] = set()
        self.nulled: set[str] = set()
        """Fields that are blank where null was sent, as an API shows what is empty; a blank that came in another way may
        count as stored."""
        self.ignored: set[str] = set()
        """The formats of fields that null did not empty."""
        self.turned: Any = None
        """The last body in place of which another one was sent after it: sent again it would change something."""
        self.later: list[Case] = []
        self.waits = True
        """False while cases that need to be prepared come later: only these are worth a rest."""

    def walk(self) -> None:
        """Sends every case of the block."""
        cases = self.first() if self.block.name == "first" else self.block.cases
        self.waits = self.block.name == "tour" or all(self.proves(case) for case in cases)
        reads = 0
        for case in cases:
            if self.enough():
                return
            if (case.unless and case.unless in self.accepted) or (case.repeat and case.body == self.turned):
                continue
            if self.block.name != "tour" or self.session.failed < FAILING:
                self.session.settle()
            if case.operation == self.session.contract.retrieve.id and case.expect == "accept" and case.target == "own":
                reads += 1
                self.session.read(case.label, cross=reads % 2 == 0)
                self.omit()
                continue
            if self.block.name == "tour" and not case.repeat:
                self.omit(TOGETHER)
            self.certain(case)
            if not self.proves(case):
                self.later.append(case)
                continue
            self.send(case)
        self.waits = True
        if self.later:
            self.prepared()
        if self.block.proof:
            self.read(f"read after {self.block.name}")

    def first(self) -> list[Case]:
        """The one case whose fields hold something, or else the first."""
        known, cases = self.session.now, self.block.cases
        full = (c for c in cases if all(not is_empty(known.get(name)) for name in c.body))
        return [replace(case, unless="") for case in (next(full, cases[0]),)]

    def certain(self, case: Case) -> None:
        """Reads the record now where a later read could not tell which request left a trace: between an update and
        what is refused after it, and between that and the next update, whose new time stamp would hide a moved one.
        """
        session = self.session
        if not self.block.proof or self.block.name == "silence" or session.blind >= 4:
            return
        if case.expect == "accept":
            if session.refused:
                self.read("read after refusals")
        elif not session.verified or len(session.refused) >= CROWD:
            self.read("read before a refusal")

    def read(self, label: str) -> None:
        """Reads what refusals left behind, and puts it back where no update would be taken any more."""
        session = self.session
        refused = [case for case, _ in session.refused if case.credentials == "right"]
        before, nudged = session.now, session.nudged
        session.read(label)
        if session.nudged > nudged and refused and not session.renewed and session.sender.budget.left > ONE_RULE:
            # It may have followed the update before; not twice, one time right after the other.
            session.renewed, once = True, session.nudged
            for case in {c.label: c for c in (refused[0], refused[-1])}.values():
                session.perform(case)
            session.read(f"{label}, once more")
            session.nudged = session.nudged if session.nudged > once else 0
        self.undo(before)

    def different(self, case: Case, before: JSONObject) -> dict[str, Any]:
        """The body of what must be refused, with other values of what stands beside the reason: a trace of what the record
        holds already would not show.
        """
        gen, body = self.generator, dict(case.fields)
        for name in body.keys() & gen.fields.keys() - {*gen.selectors, *case.core}:
            few = gen.fields[name].enum or "boolean" in gen.fields[name].types
            if few and before.get(name) == body[name]:
                body[name] = next((v for v in gen.options(name) if v != body[name]), body[name])
        return body

    def send(self, case: Case) -> None:
        """Sends one case and notes whether it was accepted."""
        stamps, before = self.session.judge.stamps, self.session.now
        if case.keep and isinstance(case.body, Mapping):
            # What stands there already would not show that it was taken.
            fields = self.session.contract.record
            others = {n: [v for v in fields[n].enum if v != before.get(n)] for n in case.body if n in fields}
            case = replace(case, body={n: (others.get(n) or [v])[-1] for n, v in case.body.items()})
        elif case.expect == "reject" and isinstance(case.body, Mapping):
            case = replace(case, body=self.different(case, before))
        rests = case.rested and self.waits and bool(stamps) and self.session.sender.budget.time_left > ENOUGH
        if rests:
            parts = all(_PARTS.search(str(before.get(name))) for name in stamps)
            self.session.rest(TICK if parts else TURN)
        _, response = self.session.perform(case)
        if response.ok:
            self.accepted.add(case.label)
            # What is not known any more may not be the same record.
            opened = case.expect == "unspecified" and self.session.known is not None
            if opened or (case.expect == "reject" and not self.ledger.weak(case.rule)):
                self.undo(before)
            if rests and all(before.get(n) == self.session.now.get(n) for n in stamps):
                # Most clocks would have turned: only now is it worth waiting for as long as any may take.
                self.session.rest(MOVES_AFTER + 0.2)
                self.session.update(f"{case.label}, once more", self.other(case.body))
                self.turned = case.body

    def undo(self, before: JSONObject) -> None:
        """Puts selectors back to where they stood *before* what was refused, was to be, or was open, where that left them
        without what they require: from there every other update may be refused.
        """
        session, request = self.session, self.generator.request
        session.settle()
        known = session.now
        lacks, lacked = ({n for n in request.needed(r) if is_empty(r.get(n, True))} for r in (known, before))
        if not lacks or (request.active(known) == request.active(before) and lacks <= lacked):
            return
        names = [*request.selectors, *request.needed(before)]
        body = {n: before[n] for n in names if n in self.generator.fields and not is_empty(before.get(n))}
        # From where no selector stood, what lacks is filled.
        body = body or {n: self.generator.firm(n)[0] for n in sorted(lacks & {*self.generator.fields})}
        if body:
            session.attempt(body, "back to where it stood")

    def other(self, body: JSONObject) -> dict[str, Any]:
        """The fields of *body* with other values than they have."""
        gen, known = self.generator, self.session.now
        chosen = {n: next((v for v in gen.options(n) if v != known.get(n)), body[n]) for n in body}
        return gen.complete(chosen, lambda field: gen.firm(field)[-1])

    def proves(self, case: Case) -> bool:
        """True where the record stands so that the case proves something."""
        known = self.session.known
        if known is None:
            return not case.absent
        if case.away_from is not None and known.get(case.away_from[0]) == case.away_from[1]:
            return False
        empty = {n for n in case.absent if n in known and (known[n] is None or (known[n] == "" and n in self.nulled))}
        return all(n in empty or (n not in known and n in self.cleared) for n in case.absent)

    def prepared(self) -> None:
        """Sends the cases that need companions cleared or another selector value first."""
        for _ in range(2):
            if not self.later:
                return
            self.move_away()
            self.clear()
            rest = []
            for case in self.later:
                self.session.settle()
                self.certain(case)
                if self.proves(case):
                    self.send(case)
                else:
                    rest.append(case)
            self.later = rest
        for case in self.later:
            if case.rule:
                self.ledger.reasons[case.rule] = "its companion is stored, and could not be cleared"
        if self.block.proof:
            sure = [case for case in self.later if case.rule and not self.ledger.weak(case.rule)]
            self.session.waiting = [case for case in sure if case.expect == "reject"]

    def omit(self, least: int = 1) -> None:
        """Sends those of the waiting omissions that prove something now, where there are at least so many: an API that
        refuses to clear companions may do so itself when a selector leaves the value that uses them.
        """
        session = self.session
        ready = [case for case in session.waiting if self.proves(case)] if not self.enough() else []
        if ready and len(ready) >= min(least, len(session.waiting)):
            for case in ready:
                if self.proves(case):  # One that was accepted may have moved a selector.
                    session.waiting.remove(case)
                    self.send(case)
            self.read("read after omissions")

    def move_away(self) -> None:
        """Gives each selector a value that none of the waiting cases is about."""
        known = self.session.now
        active = self.generator.request.active(known)
        stored = {name for case in self.later for name in case.absent}
        for name in self.generator.selectors:
            about = [case.away_from[1] for case in self.later if case.away_from and case.away_from[0] == name]
            current = known.get(name)
            choices = self.generator.selectors[name].choices
            held = active[name].companions if name in active else ()
            if current not in about and stored.isdisjoint(held):
                continue
            options = [v for v in self.generator.enums[name] if v != current]
            ranked = sorted(
                options, key=lambda v: (v in about, bool(set(choices[v].requires) & stored), len(choices[v].requires))
            )
            if ranked:
                self.session.settle()
                # What it does not need is cleared again right after it.
                ids = self.session.ids(beside=(name,)) if self.block.name == "omissions" else {}
                self.session.alone |= ids.keys()
                body = ids | self.generator.complete({name: ranked[0]})
                self.session.update(f"{name} {ranked[0]} to clear the way", body)

    def clear(self) -> None:
        """Sends null, and then a blank, for the companions that are stored."""
        request = self.generator.request
        for empty, how in ((None, "null"), ("", "blank")):
            self.session.settle()
            known = self.session.now
            active = request.aliases_of(request.needed(known))
            stored = {n for case in self.later for n in case.absent if known.get(n) not in (None, empty)}
            stored |= {n for n in self.session.alone if known.get(n) not in (None, empty)}
            body = {n: empty for n in request.fields if n in stored and n not in active}
            # What is never shown may be stored all the same. That it was cleared is believed where
            # null is seen to clear what is shown, in the same request, and left nothing of the same kind as it was.
            hidden = {n for case in self.later for n in case.absent if n not in known} - self.cleared
            hidden = {n for n in hidden if request.fields[n].format not in self.ignored}
            marker = self.generator.marker
            if hidden and empty is None and marker is not None and marker not in self.generator.required:
                body |= dict.fromkeys(sorted(hidden), None)
                if is_empty(known.get(marker)):
                    self.session.update(f"{marker} to be cleared", {marker: self.generator.firm(marker)[0]})
                body[marker] = None
            if not body:
                return
            before = self.session.now
            result, response = self.session.ask(f"{how} to clear companions", body, dict.fromkeys(body, how))
            now = result.record or {}
            stood = [n for n in body if n in now and not is_empty(before.get(n))]
            if empty is None and any(now[n] == "" for n in stood):
                self.nulled |= {n for n in body if now.get(n) == ""}
            if empty is None and stood and response.ok:
                self.ignored |= {request.fields[n].format for n in stood if not is_empty(now[n])}
                self.cleared |= {n for n in hidden if request.fields[n].format not in self.ignored}


def wake(session: Session) -> None:
    """Sends updates once more that changed something and left the time stamp as it was, although the clock that others
    show it to be taken from had turned: each after as long a rest as any clock may take.
    """
    steps = sorted(session.steps)
    if len(steps) < FINE:
        return
    fine = steps[FINE - 1] <= TICK
    # What was taken although it need not be may be refused another time.
    odd = [
        (case, before)
        for case, before, age, lag in session.still
        if case.expect == "accept" and (age > steps[0] if fine else session.ahead >= lag + steps[0])
    ]
    for case, before in sorted(odd, key=lambda one: len(one[0].fields))[:STILL]:
        budget = session.sender.budget
        if budget.time_left > ENOUGH and budget.left > FINE:
            establish(session, before, case.body)
            session.rest(MOVES_AFTER + 0.2)
            result, _ = session.update(f"{case.label}, after a rest", session.generator.complete(dict(case.fields)))
            if any(of_time(found.rule, "moves") for found in result.findings):
                return
