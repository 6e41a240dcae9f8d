"""The command, as a person types it: what is printed, and the exit status."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from contract import cli, reference


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[reference.Running]:
    """The reference server, with its credentials in the environment, seen from an empty folder."""
    with reference.running() as running:
        monkeypatch.setenv("CONTRACT_USERNAME", running.username)
        monkeypatch.setenv("CONTRACT_PASSWORD", running.password)
        monkeypatch.chdir(tmp_path)
        yield running


def typed(*args: str) -> int:
    """The exit status of ``contract`` with *args*."""
    with pytest.raises(SystemExit) as ended:
        cli.main(list(args))
    assert isinstance(ended.value.code, int)
    return ended.value.code


def test_run_writes_its_reports(server: reference.Running, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A kept run ends with 0, says so, and leaves reports without a secret."""
    options = ["--base-url", server.base_url, "--id", server.ids[0], "--profile", "smoke", "--report-dir", "out"]
    more = ["--junit", "j.xml", "--sarif", "s.sarif", "--code-quality", "q.json"]

    assert typed("run", *options, *more) == 0

    told = capsys.readouterr().out
    assert "KEPT: " in told
    for name in ("out/run.json", "out/run.html", "out/run.md", "out/run.har", "j.xml", "s.sarif", "q.json"):
        assert server.password not in (tmp_path / name).read_text(encoding="utf-8"), name
    found = json.loads((tmp_path / "out" / "run.json").read_text(encoding="utf-8"))
    assert found["verdict"] == "kept"
    assert found["restored"][server.ids[0]]["verdict"] == "restored"


def test_quiet_prints_the_verdict_alone(server: reference.Running, capsys: pytest.CaptureFixture[str]) -> None:
    """With -q a kept run is one line."""
    assert typed("run", "--base-url", server.base_url, "--id", server.ids[0], "--profile", "smoke", "-q") == 0
    assert len(capsys.readouterr().out.splitlines()) == 1


def test_dry_run_needs_no_network(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What would be sent is shown without a server, credentials or an id."""
    monkeypatch.chdir(tmp_path)

    assert typed("run", "--dry-run", "--profile", "smoke") == 0

    told = capsys.readouterr().out
    assert "nothing was sent" in told
    assert "not exercised: call_handler video_room (needs an id in [resources])" in told


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (
            ["run", "--base-url", "http://127.0.0.1:9/api", "--id", "x", "--profile", "smoke"],
            "credentials are missing: set CONTRACT_USERNAME and CONTRACT_PASSWORD in the environment\n",
        ),
        (["run", "--profile", "deeep"], "Did you mean 'deep'"),
        (["rules", "--spec", "nowhere.yaml"], "cannot be read"),
        (["explain", "nosuch"], "no rule is called 'nosuch'. See: contract rules\n"),
        (["defects", "--only", "nosuch*"], "nothing is called 'nosuch*'"),
        (["restore"], "base_url is missing"),
        (["serve", "--port", "0", "--defect", "name-cu"], "name-cut"),
        (["compare", "nowhere.json", "nothing.json"], "nowhere.json"),
        (["replay", "nowhere.json"], "nowhere.json"),
        (["check", "nowhere.json"], "nowhere.json"),
        (["derive", "nowhere.txt"], "nowhere.txt"),
    ],
)
def test_bad_input_ends_with_two_and_a_plain_line(
    args: list[str], says: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What cannot be done is said in one or two lines, without a traceback."""
    monkeypatch.chdir(tmp_path)

    assert typed(*args) == 2

    told = capsys.readouterr().err
    assert says in told
    assert "Traceback" not in told
    assert len(told.splitlines()) <= 4


def test_wrong_credentials_and_ids_are_told_apart(
    server: reference.Running, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A refused login, an unknown id, an address without its path and a closed port each say what to look at."""
    unknown = "00000000-0000-4000-8000-000000000000"
    host = server.base_url.split("/api")[0]
    for url, id, says in (
        (server.base_url, unknown, "check that the id"),
        (host, server.ids[0], "base_url ends with"),
        ("http://127.0.0.1:9/api", "x", "check base_url"),
    ):
        assert typed("run", "--base-url", url, "--id", id, "--profile", "smoke") == 2
        assert says in capsys.readouterr().err
    monkeypatch.setenv("CONTRACT_PASSWORD", "not-the-password")
    assert typed("run", "--base-url", server.base_url, "--id", server.ids[0], "--profile", "smoke") == 2
    told = capsys.readouterr().err
    assert "credentials are refused" in told
    assert "not-the-password" not in told


def test_restore_has_nothing_to_do(server: reference.Running, capsys: pytest.CaptureFixture[str]) -> None:
    """Where no run was cut off there is nothing to put back."""
    assert typed("restore", "--base-url", server.base_url) == 0
    assert "nothing to put back" in capsys.readouterr().out


def test_defects_lists_names(capsys: pytest.CaptureFixture[str]) -> None:
    """``contract defects --list`` runs nothing."""
    assert typed("defects", "--list") == 0
    assert len(capsys.readouterr().out.splitlines()) == len(reference.DEFECTS) + len(reference.VARIANTS)


def test_reports_of_an_earlier_run_are_called_that(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a run cannot even begin, what lies in the folder is not about it."""
    monkeypatch.chdir(tmp_path)
    command = ("run", "--base-url", "http://127.0.0.1:9/api", "--id", "x", "--profile", "smoke")
    monkeypatch.setenv("CONTRACT_USERNAME", "project")
    monkeypatch.setenv("CONTRACT_PASSWORD", "PT-secret-token")
    for reports, lines in ((False, 1), (True, 2)):
        if reports:
            (tmp_path / "reports").mkdir()
            (tmp_path / "reports" / "run.json").write_text("{}", encoding="utf-8")
        assert typed(*command) == 2
        told = capsys.readouterr().err
        assert len(told.splitlines()) == lines
        assert ("reports still holds what an earlier run wrote" in told) is reports
    asked = ("--junit", "junit.xml", "--sarif", "new.sarif")
    (tmp_path / "junit.xml").write_text("<testsuites/>", encoding="utf-8")
    assert typed(*command, *asked) == 2
    assert "contract: junit.xml and reports still hold what an earlier run wrote" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("variable", "says"),
    [
        ("CONTRACT_BASE_ULR", "Did you mean 'CONTRACT_BASE_URL'?"),
        ("CONTRACT_PASSWRD", "Did you mean 'CONTRACT_PASSWORD'?"),
        ("CONTRACT_B_ID", "CONTRACT_B_ID is not known"),
        ("CONTRACT_B_IDS", ""),
        ("CONTRACT_NUMBER_OF_THE_LEASE", ""),
    ],
)
def test_a_slip_in_a_variable_is_refused(
    variable: str, says: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A variable that is almost one that is read is a slip; others that only begin like these are let be."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(variable, "x")

    assert typed("run") == 2

    assert (says or "base_url is missing") in capsys.readouterr().err
