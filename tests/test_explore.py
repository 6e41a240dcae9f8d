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
from contract.result import Result
from contract.run import Runner, run
from contract.walk import TURN


def carried_out(server: reference.Running, tmp_path: Path, **more: Any) -> Result:
    """A run against *server*."""
    values: dict[str, Any] = {
        "base_url": server.base_url,
        "ids": server.ids[:1],
        "resources": dict(server.resources),
        "state_dir": str(tmp_path / "state"),
        **more,
    }
    return run(Settings(**values), {"username": server.username, "password": server.password, "token": ""})


def test_deep_spends_its_budget_and_stays_kept(tmp_path: Path) -> None:
    """A deep run explores until its budget is spent, which is no reason to doubt what it found."""
    with reference.running() as server:
        result = carried_out(server, tmp_path, profile="deep", max_requests=700, max_seconds=30)

    assert result.verdict == "kept", result.problem
    assert 500 < result.requests <= 700
    assert result.restored[server.ids[0]].verdict == "restored"


def test_standard_explores_a_little_and_the_same_each_time(tmp_path: Path) -> None:
    """With an id for each resource a standard run has requests for the state machine too, and draws the same ones again."""
    sent = []
    for _ in range(2):
        with reference.running() as server:
            result = carried_out(server, tmp_path)
        sent.append([(e.case.label, e.content) for e in result.exchanges if e.case.label.startswith("explored")])

    assert sent[0] == sent[1]
    assert 3 <= len(sent[0]) <= EXPLORED
    assert any(label == "explored update" for label, _ in sent[0])
    assert result.requests <= 300
    assert result.verdict == "kept"


def test_nothing_is_read_twice_in_a_row(tmp_path: Path) -> None:
    """The state machine reads what it has not read yet; a read that nothing comes before would be lost to the budget."""
    with reference.running() as server:
        result = carried_out(server, tmp_path, profile="deep", max_requests=600, max_seconds=30)
    labels = [e.case.label for e in result.exchanges]

    assert labels.count("explored read") > 5
    assert ("explored read", "explored read") not in pairwise(labels)


def test_no_record_explores_on_what_another_one_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With two records each takes its own share of the budget, however far the other one is with its part of the plan."""
    limits: list[int] = []

    def search(hunt: Any, *rest: Any) -> None:
        limits.append(hunt.limit)
        raise Undecided("enough")

    monkeypatch.setattr("contract.explore._search", search)
    with reference.running() as server:
        carried_out(server, tmp_path, ids=server.ids[:2], profile="deep", max_requests=900, max_seconds=30)

    assert len(limits) == 2
    assert max(limits) <= 900 // 2


def test_deep_rests_before_an_update_of_each_kind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only after a rest does an update show that it moves the time stamp; a run that has no time to spare does without."""
    slept: list[float] = []
    monkeypatch.setattr(Runner, "sleep", lambda self, seconds: slept.append(seconds))
    with reference.running() as server:
        carried_out(server, tmp_path, profile="deep", max_requests=320, max_seconds=600)
        rests = [seconds for seconds in slept if seconds > TURN - 0.5]
        carried_out(server, tmp_path, profile="deep", max_requests=320, max_seconds=30)

    assert len(rests) >= 4
    assert [seconds for seconds in slept if seconds > TURN - 0.5] == rests


def test_deep_keeps_examples_in_the_database(tmp_path: Path) -> None:
    """A failing sequence is kept, so that the next run begins with it."""
    with reference.running(defect="third-write-lost") as server:
        result = carried_out(
            server, tmp_path, profile="deep", max_requests=900, max_seconds=30, database=str(tmp_path / "examples")
        )

    assert result.verdict == "broken"


def test_two_standard_runs_send_the_same_bodies(tmp_path: Path) -> None:
    """With one seed the same bodies go out in the same order."""
    with reference.running() as server:
        one = carried_out(server, tmp_path, seed=3)
        two = carried_out(server, tmp_path, seed=3)
        other = carried_out(server, tmp_path, seed=4)

    assert [e.content for e in one.exchanges] == [e.content for e in two.exchanges]
    assert [e.content for e in one.exchanges] != [e.content for e in other.exchanges]
