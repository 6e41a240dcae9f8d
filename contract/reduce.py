"""Finds out which part of a refused update it is that the API refuses."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from contract.budget import Budget
from contract.document import escape
from contract.errors import SendError, Undecided
from contract.generate import Generator
from contract.ledger import Failure
from contract.model import MISSING, Case, Finding, JSONObject
from contract.restore import establish
from contract.session import Session
from contract.shape import same

__all__ = ["Refusals", "reduce", "units"]


class Refusals:
    """Finds out what it is in documented bodies that the API refuses."""

    def __init__(self, session: Session, *, still: bool = False) -> None:
        self.session = session
        self.generator = session.generator
        self.update = session.contract.update.id
        self.rule = f"{self.update}.accept"
        self.fails = f"{self.update}.rejection.no_server_error"
        self.rules = {self.rule, self.fails}
        self.before: JSONObject | None = None
        self.moved = True
        self.still = still
        """True where the record stands as it was found, and is to stay so: only what was refused is sent again."""
        self.small: dict[str, Any] = {}
        """The smallest body that is refused."""
        self.answers: dict[str, Any] = {}
        """What each body was answered that was refused, by its text."""
        self.whole = False
        """True where the record has to stand as it stood in all of its fields, also in those that were null."""
        self.series = False
        """True where it is refused after the same update only."""

    def explain(self) -> None:
        """Reduces the documented bodies that are refused or fail, and moves each refusal of a documented body to the
        rule of what was refused in it.
        """
        for _ in range(3):
            mine = [f for f in self.session.failures() if f.finding.rule in self.rules and not f.cause]
            mine = [f for f in mine if f.confirmed is None and f.interaction.case.expect == "accept"]
            left = [f for f in mine if isinstance(f.body, Mapping)]
            try:
                if not left or not self._one(left):
                    return
            except (SendError, Undecided):
                return

    def _one(self, left: list[Failure]) -> bool:
        failure = min(left, key=lambda f: len(f.body))
        case = failure.interaction.case
        body = dict(failure.body)
        self.before, self.moved, self.whole = failure.interaction.before, True, False
        self.series = bool(case.repeat) and not self.still
        refused = self._refused(case, body)
        if not (refused or self.still or self.series) and failure.interaction.response.status < 500:
            self.whole = True  # It may be refused for what was not there then, and was not sent.
            refused = self._refused(case, body)
        if not refused:
            if not self.still and self._after_refusal(failure):
                failure.confirmed = True
                return len(left) > 1
            if len(left) < 3:
                failure.confirmed = False
                return len(left) > 1
            return False
        budget = self.session.sender.budget
        parts = [body] if self.still else units(self.generator, body)
        small = reduce(parts, lambda part: self._refused(case, part), budget, budget.spent + 12)
        # What is in every body may be the reason as well as what is left beside it.
        always = {name: value for name, value in small.items() if name in self.generator.required}
        if always and always != small and not self.still and self._refused(case, always):
            small = always
        finding = self._name(small, failure)
        for other in left:
            enums, held = self.generator.enums, other.body
            if all(n in held and (n not in enums or same(None, held[n], value)) for n, value in small.items()):
                other.confirmed = True
                other.body = small
                other.finding = replace(finding, actual=self.answers.get(repr(small), other.finding.actual))
        failure.confirmed = True
        return True

    def _refused(self, case: Case, body: dict[str, Any]) -> bool:
        times = 2 if self.session.sender.noise else 1
        for _ in range(times):
            if self.moved and not self.still:
                establish(self.session, self.before, dict.fromkeys(case.absent), whole=self.whole)
                self.moved = False
            self.session.settle()
            again = replace(case, body=body)
            found: list[Finding] = []
            for one in again.repeated() if self.series else [again]:
                found = self.session.trial([one])
                if any(f.rule in self.rules for f in found):
                    # What is refused before the last time is not refused because it is sent again.
                    self.series = self.series and one.repeat == case.repeat
                    break
            shown = next((f for f in found if f.rule in self.rules), None)
            if shown is None:
                self.moved = True
                return False
            self.answers[repr(body)] = shown.actual
        return True

    def _after_refusal(self, failure: Failure) -> bool:
        """True where it is refused right after the update that was refused before it, two times in a row."""
        session, case = self.session, failure.interaction.case
        earlier = session.refused_before(failure.number)
        for _ in range(2 * len(earlier)):
            establish(session, self.before, dict.fromkeys(case.absent))
            session.settle()
            self.moved = True
            if not any(f.rule in self.rules for f in session.trial([*earlier, case])):
                return False
        failure.cases = (*earlier, case)
        return bool(earlier)

    def _name(self, small: dict[str, Any], failure: Failure) -> Finding:
        """The finding under the rule that *small* stands for."""
        if failure.finding.rule == self.fails:
            return failure.finding
        if self.series:
            rule, often = f"{self.update}.idempotence", "once more" if failure.interaction.case.repeat == 1 else "again"
            message = f"a documented body is refused when it is sent {often}, right after it was accepted"
            return self._finding(rule, message, "", failure)
        selectors = [n for n in self.generator.selectors if n in small]
        others = [n for n in small if n not in self.generator.selectors]
        others = [n for n in others if n not in self.generator.required] or ([] if selectors else others)
        self.small = small
        if len(selectors) == 1:
            name = selectors[0]
            choice = self.generator.choice(name, small[name])
            if set(others) <= set(choice.requires):
                kind, tail = ("deprecated", "") if choice.deprecated else ("handler", ".accepted")
                rule = f"{self.update}.{kind}.{name}.{choice.value}{tail}"
                return self._finding(rule, f"{name} {choice.value!r} is refused", f"/{escape(name)}", failure)
        if not selectors and len(others) == 1:
            name = others[0]
            kind = "deprecated" if self.generator.request.fields[name].deprecated else "accept"
            message = f"a documented value of {name} is refused: {small[name]!r}"
            return self._finding(f"{self.update}.{kind}.{name}", message, f"/{escape(name)}", failure)
        what = " with ".join([*selectors, *others][:4])
        return self._finding(self.rule, f"a documented body is refused: {what}", "", failure)

    def _finding(self, rule: str, message: str, pointer: str, failure: Failure) -> Finding:
        found = failure.finding
        if absent := failure.interaction.case.absent:
            message += f", while no {', '.join(absent)} is stored"
        body = self.small
        if given := [name for name in body if body[name] == self.generator.resources.get(name, MISSING)]:
            message += f"; is {', '.join(f'[resources].{name}' for name in given)} right?"
        return Finding(rule=rule, message=message, pointer=pointer, expected=found.expected, actual=found.actual)


def units(generator: Generator, body: JSONObject) -> list[dict[str, Any]]:
    """What can be left out of a body and leave it a documented one: single fields, and selectors
    together with their companions.
    """
    made: list[dict[str, Any]] = []
    taken: set[str] = set(generator.required)
    for name in generator.selectors:
        if name in body:
            unit = generator.request.channel(body, name)
            taken |= set(unit)
            made.append(unit)
    made += [{name: value} for name, value in body.items() if name not in taken]
    needed = {n: body[n] for n in generator.required if n in body}
    return [{**needed, **unit} for unit in made] or [dict(body)]


def reduce(
    units: list[dict[str, Any]], fails: Callable[[dict[str, Any]], bool], budget: Budget, limit: int
) -> dict[str, Any]:
    """A smallest body out of *units* for which *fails* is true, before *limit* requests were sent.

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
    return {name: value for unit in units for name, value in unit.items()}
