"""One run shared out among processes: no two on one record, one result, and nobody waits for the dead."""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from contract import reference, shares
from contract.config import Settings
from contract.custody import Custody, state_directory
from contract.errors import ContractError, Undecided
from contract.model import MISSING
from contract.reference import Direct
from contract.result import Result
from contract.run import run
from contract.shares import collected, together
from tests import kit

CLOCK = "update_phone_number.time.updated_at.moves"
"""Kept or not exercised by how fast the run is."""


@contextmanager
def serving(ids: int = 2, **arguments: Any) -> Iterator[tuple[Settings, dict[str, str]]]:
    """The settings and credentials for a server of its own, with the first *ids* that can be put back; every run of the
    block asks it without a socket.
    """
    with reference.running(**arguments) as server, pytest.MonkeyPatch.context() as patch:
        kit.SERVERS[server.base_url] = server
        patch.setattr(shares, "run", partial(run, transport=Direct(server)))
        free = (*server.ids[:2], *server.ids[3:])
        settings = Settings(
            base_url=server.base_url,
            ids=free[:ids],
            resources=dict(server.resources),
            foreign_ids=server.foreign_ids[:1],
            max_seconds=60,  # Too little for a run to rest in.
        )
        yield settings, kit.credentials(server)


def side_by_side(settings: Settings, credentials: dict[str, str], folder: Path, count: int) -> list[Result]:
    """The results of *count* processes, as threads."""
    with ThreadPoolExecutor(count) as pool:
        futures = [pool.submit(together, settings, credentials, folder, workers=count) for _ in range(count)]
    return [future.result() for future in futures]


def verdicts(result: Result) -> dict[str, str]:
    """Rule -> verdict, but for the one that depends on the clock."""
    return {entry.rule.id: entry.verdict for entry in result.entries if entry.rule.id != CLOCK}


def broken(result: Result) -> list[str]:
    """The rules that are called broken."""
    return [entry.rule.id for entry in result.entries if entry.verdict == "broken"]


def promises(result: Result) -> set[str]:
    """The promises that are broken, beside that time stamps move: whether there is time for that to show, and
    which of many fields is looked into, depends on which part a request falls in.
    """
    return {rule.split(".")[1] for rule in broken(result)} - {"time"}


def test_the_result_is_that_of_one_process(tmp_path: Path) -> None:
    """Two processes find together what one finds alone, with as many requests, and both get all of it."""
    with serving() as (settings, credentials):
        alone = kit.run(settings, credentials)
        both = side_by_side(settings, credentials, tmp_path / "meet", 2)
    for result in both:
        assert verdicts(result) == verdicts(alone)
        assert result.requests == alone.requests == len(result.exchanges)
        assert result.restored.keys() == set(settings.ids)
        assert result.plan == alone.plan
    parts = [pickle.loads((tmp_path / "meet" / f"{i}.part").read_bytes())[0] for i in range(2)]
    for part, id in zip(parts, settings.ids, strict=True):
        assert list(part.restored) == [id]
        assert {i.id for i in part.ledger.interactions if i.case.target == "own"} == {id}


@pytest.mark.parametrize("defect", ["video-room-lost", "envelope"])
def test_failures_are_folded_across_the_parts(tmp_path: Path, defect: str) -> None:
    """One fault that shows in both parts is told once, under the rule that one process names as well."""
    with serving(defect=defect) as (settings, credentials):
        alone = kit.run(settings, credentials)
        result = side_by_side(settings, credentials, tmp_path, 2)[0]
    assert promises(result) == promises(alone) != set()


def test_many_fields_wrong_in_different_parts_are_one_general_failure(tmp_path: Path) -> None:
    """The general rule is told where no part alone would have told it, or told it of its own fields only."""

    def shout(operation: str, status: int, body: Any) -> Any:
        if operation != "update_phone_number" or status != 200 or not isinstance(body, dict):
            return body
        return {k: v + "!" if k.endswith("_url") and v else v for k, v in body.items()}

    with serving(mutate=shout) as (settings, credentials):
        alone = kit.run(settings, credentials)
        result = side_by_side(settings, credentials, tmp_path, 2)[0]
    assert promises(result) == promises(alone)
    assert "update_phone_number.echo" in broken(result)


def test_one_process_does_every_share_that_nobody_takes(tmp_path: Path) -> None:
    """A process that is alone works on one id after the other."""
    with serving(3, defect=None) as (settings, credentials):
        result = together(replace(settings, profile="smoke"), credentials, tmp_path, workers=4)
    assert result.verdict == "kept"
    assert result.restored.keys() == set(settings.ids)


def test_the_work_of_a_process_that_dies_is_taken_over(tmp_path: Path) -> None:
    """The system lets go of a dead process's lock; who waits for it then does its share."""
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys, filelock; filelock.FileLock(sys.argv[1]).acquire(); print('held', flush=True); input()",
            str(tmp_path / "0.lock"),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout is not None and holder.stdout.readline() == "held\n"
    seen: list[str] = []

    def kill(operation: str, status: int, body: Any) -> Any:
        if not seen:
            # It is alive until the other share has begun.
            seen.append(operation)
            holder.kill()
            holder.wait()
        return body

    with serving(mutate=kill) as (settings, credentials):
        result = together(replace(settings, profile="smoke"), credentials, tmp_path, workers=2)
    holder.communicate()
    assert seen
    assert result.verdict == "kept"
    assert result.restored.keys() == set(settings.ids)


class _Clock:
    """A clock that goes on by ten seconds whenever somebody waits."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        """The time, in seconds."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Goes on."""
        self.now += 10.0


def test_a_process_that_takes_too_long_is_not_waited_for_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After max_seconds, and a minute for putting back, the others say which record they wait for."""
    clock = _Clock()
    monkeypatch.setattr(shares, "time", clock)
    lock = FileLock(str(tmp_path / "0.lock"))
    with serving(1) as (settings, credentials), lock, pytest.raises(Undecided) as caught:
        together(replace(settings, max_seconds=100), credentials, tmp_path)
    assert str(caught.value) == f"another process did not finish its part of the run: {settings.ids[0]}"
    assert 160 < clock.now < 190


def test_where_nothing_can_be_done_the_reason_is_raised(tmp_path: Path) -> None:
    """An API that is not there is an error in every process, the second one sending nothing."""
    with serving() as (settings, credentials):
        pass
    for _ in range(2):
        with pytest.raises(ContractError, match="no connection"):
            together(settings, credentials, tmp_path)
    with pytest.raises(ContractError, match="no connection"):
        collected(settings, tmp_path)


def test_one_record_that_cannot_be_had_leaves_the_run_undecided(tmp_path: Path) -> None:
    """The other record is tested all the same, and it is said why the first one was not."""
    with serving() as (settings, credentials):
        held = Custody(state_directory(), settings.base_url, settings.ids[0])
        held.acquire()
        try:
            result = together(replace(settings, profile="smoke"), credentials, tmp_path)
        finally:
            held.release()
    assert result.verdict == "undecided"
    assert result.problem.startswith(f"another run is at work on {settings.ids[0]}")
    assert result.restored.keys() == {settings.ids[1]}


def test_what_others_did_can_be_collected(tmp_path: Path) -> None:
    """Nothing before anybody began; a part that is missing makes the run undecided; else the whole result."""
    with serving() as (whole, credentials):
        settings = replace(whole, profile="smoke")
        assert collected(settings, tmp_path) is None
        only = frozenset({"update_phone_number.shape.name.present"})
        result = together(settings, credentials, tmp_path, only=only)
        found = collected(settings, tmp_path)
    assert found is not None
    assert (found.only, found.requests, verdicts(found)) == (only, result.requests, verdicts(result))
    (tmp_path / "1.part").unlink()
    rest = collected(settings, tmp_path)
    assert rest is not None
    assert (rest.verdict, rest.problem) == ("undecided", "a part of the run was not finished")


def test_the_budget_is_that_of_the_whole_run(tmp_path: Path) -> None:
    """All processes together send no more than max_requests."""
    with serving() as (settings, credentials):
        result = side_by_side(replace(settings, max_requests=80), credentials, tmp_path, 2)[0]
    assert result.requests <= 80
    assert result.problem == "the budget of 80 requests is spent"
    assert all(done.verdict == "restored" for done in result.restored.values())


@pytest.mark.parametrize(
    ("rate", "by", "divided"),
    [
        ("", 4, ""),
        ("50/s", 1, "50/s"),
        ("50/s", 2, "25/s"),
        ("50/s", 3, "16/s"),
        ("1/s", 2, "30/m"),
        ("1/m", 4, "15/h"),
        ("1/h", 4, "1/h"),
    ],
)
def test_the_rate_is_divided(rate: str, by: int, divided: str) -> None:
    """What is allowed for all is divided by how many work at once; one request an hour cannot be."""
    divide: Callable[[str, int], str] = shares._divided
    assert divide(rate, by) == divided


def test_time_is_divided_where_ids_have_to_wait_their_turn() -> None:
    """Two processes with five ids take three turns, each of a third of the time."""
    settings = Settings(ids=("a", "b", "c", "d", "e"), max_seconds=600, rate="10/s")
    fair = shares._fair(settings, 2)
    assert (fair.max_seconds, fair.rate) == (200, "5/s")
    assert shares._fair(settings, 8) == replace(settings, rate="2/s")


def test_what_is_absent_stays_one_thing_between_processes() -> None:
    """The value of what is not there is itself after it was pickled."""
    assert pickle.loads(pickle.dumps([MISSING]))[0] is MISSING
