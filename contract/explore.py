"""Explores with Hypothesis: a state machine of updates, repeats, refusals and reads, with the record
as its model.

What it finds is shrunk to the shortest sequence of the smallest bodies within the budget of
requests. A sequence that fails once and not again is undecided. `deep` spends what is left of its
budgets here; `standard` a small, seeded part.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Any, Final

import hypothesis
from hypothesis import strategies as st
from hypothesis.errors import Flaky, Unsatisfiable
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from contract.budget import EXPLORED, LOOKING_BACK
from contract.config import Settings
from contract.errors import SendError, Undecided
from contract.ledger import Failure
from contract.model import Case, Finding, Interaction, JSONObject
from contract.restore import establish
from contract.session import Session

__all__ = ["explore"]

ROUND: Final = 40
"""Examples after which Hypothesis starts anew, so that its memory of a long run stays small."""
STEPS: Final = 8
SHRINK: Final = 120
"""Requests that shrinking one failure may cost."""


class _Stop(BaseException):
    """Leaves Hypothesis at once; it catches every `Exception`."""

    def __init__(self, cause: Exception | None = None) -> None:
        super().__init__()
        self.cause = cause


class _Found(AssertionError):
    """A step broke a rule that was not known to be broken."""


@dataclass(slots=True)
class _Hunt:
    """What one search knows: which rules need no more evidence, and the shortest failure so far."""

    session: Session
    limit: int
    known: set[str]
    best: tuple[Finding, Interaction, tuple[Any, ...]] | None = None
    seen: int = 0
    """How often the failure was seen."""
    trail: list[Any] = field(default_factory=list)
    base: JSONObject | None = None

    def spent(self) -> bool:
        return self.session.sender.count >= self.limit

    def step(self, case: Case) -> None:
        """Sends one step; a new failure ends the example."""
        session = self.session
        if self.spent():
            raise _Stop
        try:
            if case.operation == session.contract.retrieve.id:
                before, verified = session.known, True
                result, response = session.read(case.label), session.last
            else:
                session.settle()
                before, verified = session.known, session.verified
                result, response = session.perform(case)
        except (SendError, Undecided) as error:
            raise _Stop(error) from error
        assert response is not None
        interaction = Interaction(case=case, response=response, before=before, verified=verified, id=session.id)
        new = [f for f in result.findings if f.rule not in self.known and not f.follows]
        if not new:
            if isinstance(case.body, Mapping):
                self.trail.append(case.body)
            return
        self.seen += 1
        if self.best is None or self._size(interaction) <= self._size(self.best[1], self.best[2]):
            self.best = (new[0], interaction, tuple(self.trail[-4:]))
        if self.seen == 1:
            self.limit = min(self.limit, self.session.sender.count + SHRINK)
        raise _Found(new[0].rule)

    def _size(self, interaction: Interaction, before: tuple[Any, ...] | None = None) -> int:
        trail = self.trail[-4:] if before is None else before
        return sum(len(str(body)) for body in trail) + len(str(interaction.case.body))


def _machine(hunt: _Hunt, small: bool) -> type[RuleBasedStateMachine]:
    """The state machine of one search; a *small* one leaves refusals to the rest of the plan."""
    session, generator = hunt.session, hunt.session.generator
    update = session.contract.update.id
    bodies = generator.bodies()
    refused = [(name, facet, value) for name in generator.fields for facet, value in generator.refused(name)]

    class Record(RuleBasedStateMachine):
        """The record under test; `Session.known` is its model."""

        last: dict[str, Any] | None = None
        unread = False
        """True where something was sent since the record was read."""

        @initialize()
        def start(self) -> None:
            hunt.trail = []
            if hunt.spent():
                raise _Stop
            try:
                establish(session, hunt.base)
            except (SendError, Undecided) as error:
                raise _Stop(error) from error
            self.last = None
            self.unread = False

        @rule(body=bodies)
        def update(self, body: dict[str, Any]) -> None:
            if body:
                self.unread = True
                hunt.step(Case(label="explored update", operation=update, body=body))
                self.last = body

        @precondition(lambda self: bool(self.last))
        @rule()
        def again(self) -> None:
            hunt.step(Case(label="explored update again", operation=update, body=self.last, repeat=1))

        @precondition(lambda self: self.unread)
        @rule()
        def read(self) -> None:
            self.unread = False
            hunt.step(Case(label="explored read", operation=session.contract.retrieve.id))

        if refused and not small:

            @rule(value=st.sampled_from(refused))
            def refuse(self, value: tuple[str, str, Any]) -> None:
                name, facet, sent = value
                self.unread = True
                case = Case(
                    label="explored refusal",
                    operation=update,
                    expect="reject",
                    rule=f"{update}.rejection.{name}.{facet}",
                    body={name: sent},
                )
                hunt.step(case)

    return Record


def explore(session: Session, settings: Settings, *, most: int, small: bool = False) -> None:
    """Searches until the budgets are spent, or *most* requests to this record, the others having to carry out their
    parts of the plan; or a little where *small*.

    Raises:
        SendError, Undecided: the API could not be reached any more, or a budget ended in a request.
    """
    budget = session.sender.budget
    known = {f.finding.rule for f in session.ledger.failures}
    session.settle()
    base = session.known
    for turn in count():
        # Failures that are known have to be looked into afterwards.
        left = (
            min(budget.left - LOOKING_BACK, EXPLORED) if small else min(budget.left, most - session.sender.count) - 60
        )
        if left <= 2 or budget.time_left <= (1 if small else 5):
            return
        hunt = _Hunt(session, session.sender.count + left, known, base=base)
        with session.unnoted():
            _search(hunt, settings, turn, small)
        if hunt.best is not None:
            known.add(hunt.best[0].rule)
            _note(hunt)
        if small:
            return


def _search(hunt: _Hunt, settings: Settings, turn: int, small: bool) -> None:
    phases = [hypothesis.Phase.generate, *([] if small else [hypothesis.Phase.reuse, hypothesis.Phase.shrink])]
    chosen = hypothesis.settings(
        database=None if small else _database(settings.database),
        max_examples=EXPLORED if small else ROUND,
        stateful_step_count=4 if small else STEPS,
        deadline=None,
        phases=phases,
        suppress_health_check=list(hypothesis.HealthCheck),
        report_multiple_bugs=False,
        print_blob=False,
        verbosity=hypothesis.Verbosity.quiet,
    )
    machine = hypothesis.seed(settings.seed + turn)(_machine(hunt, small))
    try:
        run_state_machine_as_test(machine, settings=chosen)
    except _Stop as stop:
        if stop.cause is not None and not isinstance(stop.cause, Undecided):
            raise stop.cause from stop
    except (_Found, Flaky, Unsatisfiable):
        return


def _database(place: str) -> Any:
    """Where Hypothesis keeps examples: a folder, a Redis server for a team, or nothing."""
    if not place:
        return None
    if place.startswith("redis://"):
        from hypothesis.extra.redis import RedisExampleDatabase
        from redis import Redis

        return RedisExampleDatabase(Redis.from_url(place))
    from hypothesis.database import DirectoryBasedExampleDatabase

    return DirectoryBasedExampleDatabase(Path(place))


def _note(hunt: _Hunt) -> None:
    """Puts the shortest failure into the ledger."""
    assert hunt.best is not None
    finding, interaction, before = hunt.best
    ledger = hunt.session.ledger
    earlier = tuple(Case(label="before", operation=interaction.case.operation, body=body) for body in before)
    failure = Failure(
        finding=finding,
        interaction=replace(interaction, verified=True),
        number=hunt.session.sender.budget.spent,
        body=interaction.case.body,
        cases=(*earlier, interaction.case) if earlier else (),
        state=interaction.before,
        confirmed=hunt.seen > 1 or None,
    )
    ledger.failures.append(failure)
