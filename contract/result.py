"""What one run found: its verdict, the requests that it sent, and how it left the records."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from contract import known
from contract.config import Settings
from contract.known import DAYS, Accepted
from contract.ledger import Entry, Ledger, unsettled
from contract.model import Case, Response
from contract.plan import Plan
from contract.restore import Restored
from contract.spec import Contract

__all__ = ["Exchange", "Result"]

FEW: Final = 3
"""So many places of one rule are accepted one by one, and more of them all at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """One request that was sent, for the reports."""

    case: Case
    url: str
    content: bytes | None
    response: Response


@dataclass(slots=True, kw_only=True)
class Result:
    """What a run found."""

    contract: Contract
    settings: Settings
    plan: Plan
    ledger: Ledger
    started: datetime
    seconds: float = 0.0
    requests: int = 0
    problem: str = ""
    """Why the run could not tell, where it could not."""
    interrupted: int = 0
    """The signal that ended the run, where one did."""
    restored: dict[str, Restored] = field(default_factory=dict)
    expected_left: dict[str, dict[str, str]] = field(default_factory=dict)
    """Record -> the fields of it that cannot be put back, and why."""
    exchanges: list[Exchange] = field(default_factory=list)
    noise: int = 0
    foreign: dict[str, Mapping[str, tuple[Any, Any]]] = field(default_factory=dict)
    """Record -> field -> (before, now), where someone else wrote to it during the run."""
    only: frozenset[str] | None = None
    """The rules that were selected, where not all were."""
    _entries: list[Entry] | None = None

    @property
    def entries(self) -> list[Entry]:
        """Every rule with its verdict."""
        if self._entries is None:
            self._entries = self.ledger.entries()
        return self._entries

    def accept(self, path: Path) -> int:
        """Accepts what is broken, for `known.DAYS` days, and writes that to *path*; returns how many entries.

        Raises:
            ConfigError: the file cannot be written.
        """
        made = self.accepting()
        known.append(path, made)
        return len(made)

    def accepting(self) -> list[Accepted]:
        """Accepts what is broken, for `known.DAYS` days; returns the new entries."""
        ledger = self.ledger
        today = ledger.known.today
        last = today + timedelta(days=DAYS)
        made = []
        for entry in self.entries:
            if entry.verdict == "broken":
                rule = entry.rule
                places = dict.fromkeys(f.finding.pointer for f in ledger.failing(rule.id))
                if rule.id == rule.group or "" in places or len(places) > FEW:
                    places = {"": None}
                reason = f"accepted on {today}"
                made += [Accepted(rule=rule.id, pointer=place, reason=reason, expires=last) for place in places]
        ledger.known = replace(ledger.known, entries=(*ledger.known.entries, *made))
        self._entries = None
        return made

    def notes(self) -> Iterator[str]:
        """What is to be done about the known failures: which have expired, and which no longer fail."""
        ledger = self.ledger
        judged = {entry.rule.id for entry in self.entries if entry.verdict in {"kept", "broken", "warned"}}
        whole = self.plan.profile.thorough and not self.problem
        seen: set[int] = set()
        for failure in ledger.failures:
            if failure.confirmed is not False:
                rule = ledger.rules.get(failure.finding.rule)
                seen.update(id(entry) for entry in ledger.known.about(failure.finding, rule.group if rule else ""))
        for entry in ledger.known.entries:
            place = f"{entry.rule}{f' at {entry.pointer}' if entry.pointer else ''}"
            where = f" ({ledger.known.file}{f', line {entry.line}' if entry.line else ''})"
            if id(entry) in seen and ledger.known.expired(entry):
                yield f"accepted until {entry.expires}, and fails again: {place}{where}"
            elif id(entry) not in seen and whole and entry.rule in judged:
                yield f"no longer failing, remove it: {place}{where}"

    @property
    def touched(self) -> dict[str, dict[str, tuple[Any, Any]]]:
        """Other record -> field -> (before, now), where it changed with the updates of this run; nobody puts that back."""
        found: dict[str, dict[str, tuple[Any, Any]]] = {}
        for failure in self.ledger.failures:
            other, name = failure.interaction.other, failure.finding.name
            if failure.finding.rule == f"{self.contract.update.id}.bystander" and failure.confirmed and other and name:
                found.setdefault(other, {})[name] = failure.finding.expected, failure.finding.actual
        return found

    @property
    def verdict(self) -> str:
        """``kept``, ``broken`` or ``undecided``."""
        if any(e.verdict == "broken" for e in self.entries):
            return "broken"
        doubtful = any(not self.ledger.weak(entry.rule.id) for entry in unsettled(self.entries))
        if self.problem or doubtful or self.left_behind:
            return "undecided"
        return "kept"

    @property
    def left_behind(self) -> bool:
        """True where a record could not be put back as it was, and nobody allowed that."""
        return any(
            r.verdict == "not_restored" and (r.note or not self.settings.allow_unrestorable)
            for r in self.restored.values()
        )

    @property
    def status(self) -> int:
        """The exit status: 0 kept, 1 broken, 2 could not tell."""
        return {"kept": 0, "broken": 1, "undecided": 2}[self.verdict]
