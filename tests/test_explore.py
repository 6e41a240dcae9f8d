"""Exploring with Hypothesis: what it finds, how it ends, and that it is repeatable."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from contract import reference
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
