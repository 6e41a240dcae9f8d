"""Recorded failures, sent again: what is still broken, what is fixed, and what nobody can tell."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from fnmatch import fnmatch
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from contract import cli, reference, replay, report, standalone
from contract.errors import ConfigError
from contract.mask import Mask
from contract.result import Result
from tests.kit import CONTRACT, credentials, record, run, settings

TOGETHER = (
    "e911-status-unknown+malformed-fails+password-not-checked+refused-name-stored+errors-flat",
    "list-stale+country-elsewhere+repeat-appends+unknown-id-400",
    "write-not-stored",
    "call-dialogflow-alone+number-writable",
)
"""Defects of different kinds, which one server has together: a run finds each, and a fixed server has none."""


def data(result: Result, *masked: str) -> dict[str, Any]:
    """The run.json of a run, with fields that are masked in it."""
    found: dict[str, Any] = json.loads(json.dumps(report.data(result, Mask(names=masked))))
    return found


def recorded(server: reference.Running, folder: Path, **more: Any) -> dict[str, Any]:
    """The run.json of a run against *server*."""
    return data(run(settings(server, folder, **more), credentials(server)))


@cache
def trimming() -> Result:
    """A run that found that names are trimmed; not to be changed."""
    with reference.running(defect="name-trimmed") as server, tempfile.TemporaryDirectory() as folder:
        return run(settings(server, Path(folder)), credentials(server))


@cache
def trimmed() -> dict[str, Any]:
    """The run.json of that run; not to be changed."""
    return data(trimming())


def as_python(found: dict[str, Any]) -> str:
    """The tests that are written for the failures of a run, which compile."""
    text, left = standalone.text(replay.failures(found, CONTRACT), CONTRACT, found)
    assert left == []
    compile(text, "test_found.py", "exec")
    return text


def sent_again(found: dict[str, Any], server: reference.Running, folder: Path) -> dict[str, str]:
    """Rule -> verdict for each failure of the run *found*."""
    chosen = replay.failures(found, CONTRACT)
    outcomes, _ = replay.replay(chosen, settings(server, folder), credentials(server), contract=CONTRACT)
    return {outcome.failure.rule: outcome.verdict for outcome in outcomes}


@pytest.mark.parametrize("defects", TOGETHER)
def test_what_is_broken_is_still_broken_and_fixed_where_it_was_mended(defects: str, tmp_path: Path) -> None:
    """A failure is seen again where it was, and called fixed on a server without the defect; the record is
    put back both times. Whatever the rule is about, it can be written as Python.
    """
    with reference.running(defect=defects) as server:
        found = recorded(server, tmp_path)
        before = record(server)
        broken = sent_again(found, server, tmp_path)
        if "number-writable" not in defects:
            assert record(server) == before
    with reference.running() as server:
        before = record(server)
        mended = sent_again(found, server, tmp_path)
        assert record(server) == before

    for defect in defects.split("+"):
        rules = [rule for rule in broken for pattern in reference.DEFECTS[defect].breaks if fnmatch(rule, pattern)]
        assert rules, defect
        assert {broken[rule] for rule in rules} == {"still_broken"}, broken
    assert "fixed" not in broken.values(), broken
    assert set(mended.values()) == {"fixed"}, mended
    assert not list((tmp_path / "journals").glob("*.json"))
    assert as_python(found).count("def test_") == len(broken)


def test_what_nobody_can_tell(tmp_path: Path) -> None:
    """A number that was changed for good can't change a second time: that is not called fixed; and what happened to a
    bystander, or was shown in its place, is for a whole run.
    """
    with reference.running(defect="name-changes-number+name-for-all+another-shown-once") as server:
        told = sent_again(recorded(server, tmp_path), server, tmp_path)

    assert told == {
        "update_phone_number.frame.number": "could_not_tell",
        "update_phone_number.bystander": "could_not_tell",
        "retrieve_phone_number.shape.identity": "could_not_tell",
    }


def test_masked_values_cannot_be_sent_again(tmp_path: Path) -> None:
    """A report that masks what a failure needs says so, and nothing wrong is sent."""
    found = data(trimming(), "name")
    (one,) = replay.failures(found, CONTRACT)

    assert (one.recipe, one.problem) == (None, "values that it needs are masked in the report")
    with reference.running(defect="name-trimmed") as server:
        assert sent_again(found, server, tmp_path) == {"update_phone_number.echo.name": "could_not_tell"}


def test_a_damaged_record_of_a_failure_cannot_be_sent_again() -> None:
    """What is missing or no case is told, without a traceback."""
    damages: list[Callable[[dict[str, Any]], Any]] = [
        lambda request: request.pop("replay"),
        lambda request: request["replay"].update(cases=[]),
        lambda request: request["replay"].update(cases=[5]),
        lambda request: request["replay"]["cases"][0].update(operation="delete_everything"),
        lambda request: request["replay"]["cases"][0].update(target="https://example.com"),
        lambda request: request["replay"]["cases"][0].update(content=5),
    ]
    for damage in damages:
        found = json.loads(json.dumps(trimmed()))
        failure = next(rule for rule in found["rules"] if rule["verdict"] == "broken")["failures"][0]
        damage(failure["request"])

        (one,) = replay.failures(found, CONTRACT)

        assert one.recipe is None
        assert one.problem


def test_failures_are_chosen_by_their_case() -> None:
    """With a label all that this case showed is sent; an unknown one is refused with the nearest."""
    label = replay.failures(trimmed(), CONTRACT)[0].case
    assert {one.case for one in replay.failures(trimmed(), CONTRACT, label)} == {label}
    with pytest.raises(ConfigError, match=f"Did you mean '{label}'"):
        replay.failures(trimmed(), CONTRACT, f"{label}x")
    with pytest.raises(ConfigError, match="another fragment"):
        replay.failures({**trimmed(), "spec": {"title": "Lamps"}}, CONTRACT)


def test_a_failure_that_was_not_confirmed_takes_its_updates_from_the_run(tmp_path: Path) -> None:
    """What only a read showed is brought about by the updates before it."""
    with reference.running(defect="write-after-rejection-lost") as server:
        told = sent_again(recorded(server, tmp_path), server, tmp_path)

    assert told == {"update_phone_number.read_back": "still_broken"}


# ---------------------------------------------------------------------- command line


def typed(*args: str) -> int:
    """The exit status of ``contract`` with *args*."""
    with pytest.raises(SystemExit) as ended:
        cli.main(list(args))
    assert isinstance(ended.value.code, int)
    return ended.value.code


@pytest.fixture
def saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The trimming run as a file in an empty working directory."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run.json").write_text(json.dumps(trimmed()), encoding="utf-8")
    return "run.json"


@pytest.mark.parametrize(
    ("defect", "status", "word"), [("name-trimmed", 1, "STILL BROKEN"), (None, 0, "FIXED"), ("null-fails", 0, "FIXED")]
)
def test_the_command_says_which(
    defect: str | None,
    status: int,
    word: str,
    saved: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """One line for each failure, and the exit status: 0 fixed, 1 still broken."""
    with reference.running(defect=defect) as server:
        monkeypatch.setenv("CONTRACT_USERNAME", server.username)
        monkeypatch.setenv("CONTRACT_PASSWORD", server.password)
        options = ["--base-url", server.base_url, "--id", server.ids[0]]

        assert typed("replay", saved, *options, "--allow-unrestorable") == status

    told = capsys.readouterr().out.splitlines()
    assert told[0] == f"{word} update_phone_number.echo.name"
    assert told[1].startswith("        case: tour")
    assert f"1 {word.lower()}" in told[-2] or f"1 {word.lower()}" in " ".join(told)


def test_the_command_goes_where_the_run_went(
    saved: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where the configuration names another address, the option has to say which is meant; the answer names it."""
    with reference.running() as server:
        monkeypatch.setenv("CONTRACT_USERNAME", server.username)
        monkeypatch.setenv("CONTRACT_PASSWORD", server.password)
        monkeypatch.setenv("CONTRACT_BASE_URL", server.base_url)

        assert typed("replay", saved, "--id", server.ids[0]) == 2
        assert f"and base_url is {server.base_url}; say with --base-url which is meant" in capsys.readouterr().err
        assert typed("replay", saved, "--id", server.ids[0], "--base-url", server.base_url) == 0
        assert f"\nsent to {server.base_url}\n" in capsys.readouterr().out


def test_the_command_without_a_record_or_an_api(
    saved: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """No record is picked from the run: it has to be named; and an API that is gone is status 2."""
    monkeypatch.setenv("CONTRACT_USERNAME", "u")
    monkeypatch.setenv("CONTRACT_PASSWORD", "p")

    assert typed("replay", saved) == 2
    assert "ids is missing" in capsys.readouterr().err
    assert typed("replay", saved, "--id", "x", "--base-url", "http://127.0.0.1:9/api") == 2
    assert "contract: " in capsys.readouterr().err
    assert typed("replay", saved, "--case", "no such thing") == 2


def test_a_kept_run_has_nothing_to_send(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without a broken rule nothing is sent, and no tests are written."""
    monkeypatch.chdir(tmp_path)
    kept = {**trimmed(), "verdict": "kept", "rules": [{**rule, "verdict": "kept"} for rule in trimmed()["rules"]]}
    (tmp_path / "run.json").write_text(json.dumps(kept), encoding="utf-8")

    assert typed("replay", "run.json", "--id", "x") == 0
    assert "nothing to send again" in capsys.readouterr().out
    assert typed("replay", "run.json", "--pytest", "test_found.py") == 2
    (tmp_path / "run.json").write_text(json.dumps({**kept, "verdict": "undecided"}), encoding="utf-8")
    assert typed("replay", "run.json", "--id", "x") == 2
    assert not (tmp_path / "test_found.py").exists()


# ---------------------------------------------------------------------------- pytest


IMPORTED = {"base64", "json", "os", "re", "time", "datetime", "httpx", "pytest"}


def test_the_written_files_stand_alone(saved: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each file fails against the server with its defect and passes without it, puts the record back, and imports
    nothing of this package. The pair that HTTP Basic sends is as secret as the password in it.
    """
    assert typed("replay", saved, "--pytest", "test_name.py") == 0
    assert capsys.readouterr().out == "test_name.py: 1 test\n"
    with reference.running(defect="credentials-in-header") as server:
        (tmp_path / "run.json").write_text(json.dumps(recorded(server, tmp_path)), encoding="utf-8")
    assert typed("replay", saved, "--pytest", "test_leak.py") == 0
    for name in ("test_name.py", "test_leak.py"):
        tree = ast.parse((tmp_path / name).read_text(encoding="utf-8"))
        assert {name for node in ast.walk(tree) for name in _imports(node)} == IMPORTED

    for defect, wrong, right in (
        ("name-trimmed", "test_name.py", "test_leak.py"),
        ("credentials-in-header", "test_leak.py", "test_name.py"),
    ):
        with reference.running(defect=defect) as server:
            before = record(server)
            told = _pytest(tmp_path, server)
            assert record(server) == before
        assert f"FAILED {wrong}::test_01_" in told, told
        assert f"PASSED {right}::test_01_" in told, told


def _imports(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [str(node.module)] if isinstance(node, ast.ImportFrom) else []


def _pytest(folder: Path, server: reference.Running) -> str:
    """What pytest says of the files of *folder*, run against *server*."""
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")},
        "CONTRACT_BASE_URL": server.base_url,
        "CONTRACT_USERNAME": server.username,
        "CONTRACT_PASSWORD": server.password,
        "CONTRACT_IDS": server.ids[0],  # The run that found the leak ended before it held a record.
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    }
    command = [sys.executable, "-m", "pytest", "-rA", "-p", "no:cacheprovider", "test_name.py", "test_leak.py"]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False).stdout


def test_a_clock_that_stands_is_written_as_python(tmp_path: Path) -> None:
    """What is written waits for it to move. That it stands is seen where there is time to rest."""
    with reference.running(defect="clock-stands") as server:
        assert "time.sleep(" in as_python(recorded(server, tmp_path, max_seconds=600))


def test_nothing_that_was_answered_becomes_code() -> None:
    """Quotes, newlines and what an editor obeys stay inside of literals and comments."""
    found = json.loads(json.dumps(trimmed()))
    evil = "\"\"\"\n'''\nimport os\\\u202e\x1b[1m{name}"
    rule = next(rule for rule in found["rules"] if rule["verdict"] == "broken")
    for failure in rule["failures"]:
        failure.update(case=evil, message=evil, expected=evil, actual=evil)
        failure["request"]["replay"]["cases"][0]["body"] = {"name": evil, evil: [evil]}
        failure["request"]["replay"]["state"]["name"] = evil
    found.update(started=evil, base_url=evil)

    text, _ = standalone.text(replay.failures(found, CONTRACT), CONTRACT, found)

    tree = ast.parse(text)
    assert "\u202e" not in text
    assert "\x1b" not in text
    literals = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)]
    assert evil in literals
    assert {name for node in ast.walk(tree) for name in _imports(node)} == IMPORTED
