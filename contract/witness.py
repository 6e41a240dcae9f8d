"""Tells what the API does from what someone else does to the same record at the same time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from contract.errors import Undecided
from contract.model import MISSING, Case, Interaction, JSONObject
from contract.restore import establish, writable
from contract.session import RECENT, Session

__all__ = ["Witness", "remade"]

REACH: Final = (1, 2, 4)
"""How many of the last updates are sent again: what the API did may depend on those before."""
REFUSED: Final = 6
"""How many refused updates are sent again."""
REMADE: Final = 4
"""Characters that two texts must have in common for one to be made of the other."""
LOOKS: Final = 3
"""How often one run asks whether it was the API that wrote a value which this run did not."""
GAPS: Final = (0.0, 0.03, 0.03, 0.03)
"""Seconds before each read of a record to which this run writes nothing meanwhile."""
WATCH: Final = (0.06, 0.1, 0.1, 0.1)
"""Seconds before each read of such a record, where it is known which value may be written by someone else."""


def remade(before: Any, now: Any) -> bool:
    """True for a text that holds another one, or is a part of it."""
    if not (isinstance(before, str) and isinstance(now, str)):
        return False
    short, long = sorted((before.casefold(), now.casefold()), key=len)
    return len(short) >= REMADE and short in long


class Witness:
    """Tells a change that the API made from one that someone else made.

    What the API does, it does again when it is asked the same; what does not come again, with a value
    that this run never had, was written by someone else. So was what keeps changing while this run
    writes nothing.
    """

    def __init__(self, session: Session) -> None:
        self.session = session
        self.generator = session.generator
        self.looks = 0
        self.watches = 0
        self.trusted: set[str] = set()
        """Fields of which it is known that the API itself changes them."""
        self.stepped = False
        """True where it was only seen that values change right after updates."""

    def __call__(self, interaction: Interaction, changed: Mapping[str, tuple[Any, Any]]) -> None:
        """Looks into *changed*: field -> (before, now).

        Raises:
            Undecided: someone else writes to the record; every thread of the run is told to end.
        """
        session, budget = self.session, self.session.sender.budget
        if budget.restoring or budget.left < 12 or session.foreign:
            return
        strange = {
            n: pair
            for n, pair in changed.items()
            if session.novel(n, pair[1]) and n not in self.trusted and not self.remade(n, *pair)
        }
        with session.unnoted(doubting=False):
            if strange and self.looks < LOOKS:
                self.looks += 1
                found = self.not_again(interaction, strange)
                self.trusted |= set() if found else set(strange)
            elif not self.watches and not set(changed) <= self.trusted:
                self.watches += 1
                found = self.restless()
            else:
                return
        self.tell(found)

    def remade(self, name: str, before: Any, now: Any) -> bool:
        """True where *now* is made of the text *before*, which only this run has written: nobody else would."""
        found = (self.session.updates[0][2] or {}).get(name) if self.session.updates else before
        return before != found and remade(before, now)

    def tell(self, found: Mapping[str, tuple[Any, Any]]) -> None:
        """Ends the run where something was *found* that someone else wrote."""
        if found:
            self.session.foreign.update(found)
            told = f"someone else writes to {self.session.id} at the same time, so nothing can be told: " + ", ".join(
                found
            )
            self.session.sender.budget.stop(told)
            raise Undecided(told)

    def not_again(
        self, interaction: Interaction, strange: Mapping[str, tuple[Any, Any]]
    ) -> Mapping[str, tuple[Any, Any]]:
        """What is there to stay and does not come again, although the same was sent again."""
        session, case = self.session, interaction.case
        self.stepped = False
        session.read("read to see whether it stays")
        now = session.now
        strange = {n: pair for n, pair in strange.items() if session.novel(n, now.get(n))}
        if not strange:
            return {}
        steps = [(c, before) for c, _, before in session.updates if c is not case]
        if case.operation == session.contract.update.id:
            steps.append((case, interaction.before))
        # A read that shows it is the newest of the reads.
        reads = session.seen[: -1 if case.operation == session.contract.retrieve.id else None]
        refused = [(c, interaction.before) for c, number in session.refusals if number > max(reads, default=0)]
        if not steps and not refused:
            return self.restless()
        for some in [*(steps[-reach:] for reach in REACH), refused[-REFUSED:]]:
            # Once may be someone else again.
            if some and all(self.comes(some, strange) for _ in range(2)):
                # Right after each update, and never without one.
                return self.restless() if self.stepped else {}
        return strange

    def comes(self, steps: list[tuple[Case, JSONObject | None]], strange: Mapping[str, tuple[Any, Any]]) -> bool:
        """True where *steps*, sent again from where the record stood, bring about values that are strange again, or
        are followed by other values than the last of them was answered with.
        """
        session = self.session
        establish(session, steps[0][1], strange)
        now = session.now
        if any(session.novel(n, now.get(n)) for n in strange):
            # It cannot be put back as it was; any value of this run will do.
            for name, (was, _) in strange.items():
                session.attempt(self.own(name, was, other=now.get(name)), "a value of this run")
        found = session.trial([case for case, _ in steps], read=True)
        now = session.now
        if any(session.novel(n, now.get(n)) for n in strange):
            return True
        rules = {f"{session.contract.update.id}.read_back.{name}" for name in strange}
        again = any(finding.rule in rules for finding in found)
        self.stepped |= again
        return again

    def watch(self, names: Iterable[str]) -> None:
        """Gives *names* values of this run, and looks whether they keep them while nothing is sent.

        Raises:
            Undecided: they do not; every thread of the run is told to end.
        """
        session, budget = self.session, self.session.sender.budget
        names = [n for n in names if n in self.generator.fields and n in session.judge.plain][:4]
        if not names or budget.left < 12 + len(names) or budget.stopped:
            return
        with session.unnoted(doubting=False):
            wrote: dict[str, Any] = {}
            for name in names:
                now = session.now.get(name)
                wrote |= self.own(name, now, other=now)
                session.attempt(self.own(name, now, other=now), "a value of this run")
            shown = session.now
            session.read("read to see whether it stays")
            first = session.now
            ours = [record or {} for _, _, record in session.updates[-RECENT:]] + [first, {**first, **wrote}]
            moved: dict[str, tuple[Any, Any]] = {}
            others: list[JSONObject] = []
            for gap in WATCH:
                session.sender.sleep(gap)
                session.read("read to see whether it stays")
                now = session.known or first
                if now not in others and not any(self.stands(now, record) for record in ours):
                    others.append(now)
                # What this run wrote, or was answered with, may be shown late: that is the API's own doing.
                strange = [n for n in names if n in first and now.get(n) not in (first[n], wrote.get(n), shown.get(n))]
                later = {n: (first[n], now.get(n)) for n in strange}
                if moved and later == moved:
                    break  # It has changed, and it stays so.
                moved = later
            else:
                # It is another one each time, as none of this run's updates left it.
                last = others[-1] if len(others) > 1 else first
                moved = {n: (first[n], last.get(n)) for n in self.settable if n in first and last.get(n) != first[n]}
        self.tell(moved)

    @property
    def settable(self) -> list[str]:
        """The fields that updates set, and that keep what was set."""
        session = self.session
        return [n for n in writable(session.contract) if n in session.judge.plain]

    def stands(self, now: JSONObject, record: JSONObject) -> bool:
        """True where *now* is *record* in all that updates set, or holds what nobody sent: that an API made."""
        names = [n for n in self.settable if now.get(n) != record.get(n)]
        return not names or any(self.session.novel(n, now.get(n)) for n in names)

    def own(self, name: str, was: Any, other: Any = MISSING) -> dict[str, Any]:
        """A body that sets one field."""
        if name not in self.generator.fields:
            return {name: was}
        return self.generator.complete({name: next((v for v in self.generator.firm(name) if v != other), was)})

    def restless(self) -> Mapping[str, tuple[Any, Any]]:
        """What changes again and again although nothing is sent."""
        session, seen = self.session, list[JSONObject]()
        for gap in GAPS:
            session.sender.sleep(gap)
            session.read("read to see whether it stays")
            now = {n: session.now.get(n) for n in self.settable}
            if session.known is not None and now not in seen:
                seen.append(now)
        if len(seen) < 3:
            return {}
        return {n: (seen[0][n], seen[-1][n]) for n in self.settable if seen[0][n] != seen[-1][n]}
