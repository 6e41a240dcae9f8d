"""Recorded failures, sent again: what is still broken, what is fixed, and what nobody can tell."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from contract import cli, reference, replay, report, standalone
from contract.errors import ConfigError
from contract.mask import Mask
from tests.kit import CONTRACT, credentials, record, run, settings

KINDS = (
    "name-trimmed",
    "call-dialogflow-alone",
    "e911-status-unknown",
    "list-stale",
    "malformed-fails",
    "number-writable",
    "password-not-checked",
    "refused-name-stored",
    "repeat-appends",
    "unknown-id-400",
    "write-not-stored",
    "errors-flat",
)
"""Defects of different kinds, each of which a run finds and a fixed server no longer has."""


def recorded(server: reference.Running, folder: Path, **more: Any) -> dict[str, Any]:
    """The run.json of a run."""
    result = run(settings(server, folder, **more), credentials(server))
    mask = Mask(secrets=(server.password,), names=tuple(more.get("mask", ())))
    found: dict[str, Any] = json.loads(json.dumps(report.data(result, mask)))
    return found


def sent_again(
    found: dict[str, Any], server: reference.Running, folder: Path, label: str = "", **more: Any
) -> list[tuple[str, str]]:
    """(rule, verdict) for each failure of the run *found*."""
    chosen = replay.failures(found, CONTRACT, label)
    outcomes, _ = replay.replay(chosen, settings(server, folder, **more), credentials(server), contract=CONTRACT)
    return [(outcome.failure.rule, outcome.verdict) for outcome in outcomes]


@cache
def trimmed() -> dict[str, Any]:
    """The run.json of a run that found that names are trimmed; not to be changed."""
    import tempfile

    with reference.running(defect="name-trimmed") as server, tempfile.TemporaryDirectory() as folder:
        return recorded(server, Path(folder))


@pytest.mark.parametrize("defect", KINDS)
def test_what_is_broken_is_still_broken_and_fixed_where_it_was_mended(defect: str, tmp_path: Path) -> None:
    """A failure is seen again where it was, and called fixed on a server without the defect; the record is
    put back both times.
    """
    with reference.running(defect=defect) as server:
        found = recorded(server, tmp_path)
        before = record(server)
        broken = sent_again(found, server, tmp_path)
        if defect != "number-writable":
            assert record(server) == before
    with reference.running() as server:
        before = record(server)
        mended = sent_again(found, server, tmp_path)
        assert record(server) == before

    assert "still_broken" in {verdict for _, verdict in broken}, broken
    assert "fixed" not in {verdict for _, verdict in broken}, broken
    assert {verdict for _, verdict in mended} == {"fixed"}, mended
    assert not list((tmp_path / "journals").glob("*.json"))


def test_what_no_update_puts_back_cannot_be_told(tmp_path: Path) -> None:
    """A number that was changed for good can't change a second time: that is not called fixed."""
    with reference.running(defect="name-changes-number") as server:
        found = recorded(server, tmp_path)
        told = sent_again(found, server, tmp_path)

    assert told == [("update_phone_number.frame.number", "could_not_tell")]


@pytest.mark.parametrize(
    ("defect", "rule"),
    [("name-for-all", "update_phone_number.bystander"), ("another-shown-once", "retrieve_phone_number.shape.identity")],
)
def test_other_records_are_for_a_whole_run(defect: str, rule: str, tmp_path: Path) -> None:
    """What happened to a bystander, or was shown in its place, can't be sent again."""
    with reference.running(defect=defect) as server:
        found = recorded(server, tmp_path)
        told = sent_again(found, server, tmp_path)

    assert (rule, "could_not_tell") in told


def test_masked_values_cannot_be_sent_again(tmp_path: Path) -> None:
    """A report that masks what a failure needs says so, and nothing wrong is sent."""
    with reference.running(defect="name-trimmed") as server:
        found = recorded(server, tmp_path, mask=("name",))
        chosen = replay.failures(found, CONTRACT)
        outcomes, _ = replay.replay(chosen, settings(server, tmp_path), credentials(server), contract=CONTRACT)

    assert [(o.verdict, o.why) for o in outcomes] == [
        ("could_not_tell", "values that it needs are masked in the report")
    ]


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
        found = recorded(server, tmp_path)
        told = sent_again(found, server, tmp_path)

    assert set(told) == {("update_phone_number.read_back", "still_broken")}


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


def test_the_written_file_stands_alone(saved: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The file fails against the server with the defect and passes without it, puts the record back, and
    imports nothing of this package.
    """
    assert typed("replay", saved, "--pytest", "test_found.py") == 0
    assert capsys.readouterr().out == "test_found.py: 1 test\n"
    text = (tmp_path / "test_found.py").read_text(encoding="utf-8")
    imported = {name for node in ast.walk(ast.parse(text)) for name in _imports(node)}
    assert imported == {"base64", "json", "os", "re", "time", "datetime", "httpx", "pytest"}

    for defect, status in (("name-trimmed", 1), (None, 0)):
        with reference.running(defect=defect) as server:
            before = record(server)
            done = _pytest(tmp_path, server)
            assert done.returncode == status, done.stdout
            assert record(server) == before
        assert ("1 failed" if status else "1 passed") in done.stdout


def _imports(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [str(node.module)] if isinstance(node, ast.ImportFrom) else []


def _pytest(folder: Path, server: reference.Running, **more: str) -> subprocess.CompletedProcess[str]:
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")},
        "CONTRACT_BASE_URL": server.base_url,
        "CONTRACT_USERNAME": server.username,
        "CONTRACT_PASSWORD": server.password,
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        **more,
    }
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_found.py"]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_credentials_in_an_answer_fail_the_written_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The pair that HTTP Basic sends is as secret as the password in it."""
    monkeypatch.chdir(tmp_path)
    for defect, status in (("credentials-in-header", 1), (None, 0)):
        with reference.running(defect=defect) as server:
            if defect:
                (tmp_path / "run.json").write_text(json.dumps(recorded(server, tmp_path)), encoding="utf-8")
                assert typed("replay", "run.json", "--pytest", "test_found.py") == 0
            # The run ended before it held a record.
            done = _pytest(tmp_path, server, CONTRACT_IDS=server.ids[0])
            assert done.returncode == status, done.stdout


@pytest.mark.parametrize(
    "defect", ["malformed-fails", "errors-flat", "list-stale", "country-elsewhere", "clock-stands"]
)
def test_every_kind_of_rule_is_written_as_python(defect: str, tmp_path: Path) -> None:
    """What is written compiles, whatever the rule is about."""
    with reference.running(defect=defect) as server:
        # That a clock stands is seen where there is time to rest.
        found = recorded(server, tmp_path, max_seconds=600 if defect == "clock-stands" else 60)

    text, left = standalone.text(replay.failures(found, CONTRACT), CONTRACT, found)

    assert left == []
    compile(text, "test_found.py", "exec")
    assert "def test_01_" in text


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
    assert {name for node in ast.walk(tree) for name in _imports(node)} == {
        "base64", "json", "os", "re", "time", "datetime", "httpx", "pytest",
    }  # fmt: skip
