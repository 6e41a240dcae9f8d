"""Exploring with Hypothesis: what it finds, how it ends, and that it is repeatable."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from contract import reference
from contract.budget import EXPLORED
from contract.config import Settings
from contract.errors import Undecided
from contract.explore import explore
from contract.run import Runner
from contract.walk import TURN
from tests.kit import credentials, run, session_on, settings


def test_deep_spends_its_budget_and_stays_kept(tmp_path: Path) -> None:
    """A deep run explores until its budget is spent, which is no reason to doubt what it found. It reads what it has not
    read yet: a read that nothing comes before would be lost to the budget.
    """
    with reference.running() as server:
        chosen = settings(server, tmp_path, profile="deep", max_requests=640, max_seconds=30)
        result = run(chosen, credentials(server))
    labels = [e.case.label for e in result.exchanges]

    assert result.verdict == "kept", result.problem
    assert 500 < result.requests <= 640
    assert result.restored[server.ids[0]].verdict == "restored"
    assert labels.count("explored read") > 5
    assert ("explored read", "explored read") not in pairwise(labels)


def test_standard_explores_a_little_and_the_same_each_time(tmp_path: Path) -> None:
    """With an id for each resource a standard run has requests for the state machine too. With one seed the same bodies
    go out in the same order, those that it draws among them.
    """
    sent = []
    for _ in range(2):
        with reference.running() as server:
            chosen = settings(server, tmp_path, bystander_ids=(), foreign_ids=())
            result = run(chosen, credentials(server))
        sent.append([(e.case.label, e.content) for e in result.exchanges])
        assert result.requests <= 300
        assert result.verdict == "kept"
    explored = [label for label, _ in sent[0] if label.startswith("explored")]

    assert sent[0] == sent[1]
    assert 3 <= len(explored) <= EXPLORED
    assert "explored update" in explored


def test_no_record_explores_on_what_another_one_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, few: str
) -> None:
    """With two records each takes its own share of the budget, however far the other one is with its part of the plan."""
    limits: list[int] = []

    def search(hunt: Any, *rest: Any) -> None:
        limits.append(hunt.limit)
        raise Undecided("enough")

    monkeypatch.setattr("contract.explore._search", search)
    more: dict[str, Any] = {"spec": few, "resources": {}, "profile": "deep", "max_requests": 600}
    with reference.running() as server:
        run(settings(server, tmp_path, ids=server.ids[:2], **more), credentials(server))

    assert len(limits) == 2
    assert max(limits) <= 600 // 2


def test_deep_rests_before_an_update_of_each_kind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, few: str) -> None:
    """Only after a rest does an update show that it moves the time stamp; a run that has no time to spare does without."""
    slept: list[float] = []
    monkeypatch.setattr(Runner, "sleep", lambda self, seconds: slept.append(seconds))
    more: dict[str, Any] = {"spec": few, "resources": {}, "profile": "deep", "max_requests": 320}
    with reference.running() as server:
        run(settings(server, tmp_path, max_seconds=600, **more), credentials(server))
        rests = [seconds for seconds in slept if seconds > TURN - 0.5]
        run(settings(server, tmp_path, max_seconds=30, **more), credentials(server))

    assert len(rests) >= 4
    assert [seconds for seconds in slept if seconds > TURN - 0.5] == rests


def test_deep_keeps_examples_in_the_database(tmp_path: Path) -> None:
    """A failing sequence is kept, so that the next run begins with it."""
    chosen = Settings(profile="deep", database=str(tmp_path / "examples"), seed=1)
    first: list[int] = []
    for _ in range(2):
        with reference.running(defect="third-write-lost") as server:
            session = session_on(server, requests=200)
            session.read()
            explore(session, chosen, most=150)
            session.sender.close()
        first.append(min(failure.number for failure in session.ledger.failures))

    assert first[1] < first[0]
