"""Known failures: what is accepted does not fail a run, until its last day or until it is mended."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from click.testing import CliRunner

from contract import known, reference, report, rules, spec
from contract.cli import cli
from contract.config import Settings, resolve
from contract.errors import ConfigError
from contract.known import Accepted, Known
from contract.mask import Mask
from contract.model import Finding
from contract.result import Result
from tests import kit

RULES = rules.rules(spec.load())
SHOWN = "update_phone_number.handler.call_handler.video_room.shown"
TODAY = date(2026, 11, 24)
ENTRY = f'[[accept]]\nrule = "{SHOWN}"\nreason = "ticket 4711"\n'


@pytest.fixture
def defective(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Settings]:
    """The settings for a server on which one handler does not show its companion."""
    with reference.running(defect="video-room-lost") as server:
        monkeypatch.setenv("CONTRACT_USERNAME", server.username)
        monkeypatch.setenv("CONTRACT_PASSWORD", server.password)
        yield kit.settings(server, tmp_path, profile="smoke")


def carried_out(settings: Settings, text: str, folder: Path) -> Result:
    """A run with the known failures in *text*."""
    file = folder / "contract-known.toml"
    file.write_text(text, encoding="utf-8")
    from contract.config import credentials

    return kit.run(replace(settings, known_failures=str(file)), credentials())


def told(result: Result) -> list[str]:
    """The lines about a run that name a known failure."""
    lines = [line for line in report.lines(result, Mask()) if "it is accepted" not in line]
    return [line for line in lines if "accepted" in line or "known failure" in line]


# The file


def test_an_entry_is_read_whole(tmp_path: Path) -> None:
    """Rule, pointer, reason and last day stand in the entry, with the line on which it begins."""
    file = tmp_path / "known.toml"
    file.write_text(f"# why\n\n{ENTRY}pointer = '/call_video_room_id'\nexpires = 2027-01-31\n", encoding="utf-8")
    found = known.load(file, RULES, TODAY)
    assert found == Known(
        entries=(
            Accepted(
                rule=SHOWN,
                reason="ticket 4711",
                pointer="/call_video_room_id",
                expires=date(2027, 1, 31),
                line=3,
            ),
        ),
        file=str(file),
        today=TODAY,
    )


def test_without_a_file_nothing_is_accepted() -> None:
    """An empty path is no file, and accepts no finding."""
    found = known.load("", RULES, TODAY)
    assert found.entries == ()
    assert found.accepts(Finding(rule=SHOWN, message="")) is None


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("accept = 1\n", "line 1: [[accept]] tables are wanted"),
        ("\nrules = []\n", "line 2: the key 'rules' is not known."),
        ("[[accept]]\nrule = \n", "is not TOML: Invalid value (at line 2, column 8)"),
        (f'{ENTRY}\n[[accept]]\nreason = "b"\n', "line 5: the rule is missing"),
        (f'[[accept]]\nrule = "{SHOWN}"\n', "line 1: the reason is missing"),
        (f'[[accept]]\nrule = "{SHOWN}"\nreason = " "\n', "line 3: reason = ' ': a text is wanted"),
        (f'{ENTRY}pointer = "name"\n', "line 4: pointer = 'name': a JSON Pointer begins with '/'"),
        (f'{ENTRY}expires = "2027-01-31"\n', "line 4: expires = '2027-01-31': a date such as 2027-01-31"),
        (f"{ENTRY}expires = 2027-01-31T00:00:00Z\n", "line 4: expires = datetime.datetime("),
        (f"{ENTRY}untill = 2027-01-31\n", "line 4: the key 'untill' is not known."),
        (f"{ENTRY}expire = 2027-01-31\n", "line 4: the key 'expire' is not known. Did you mean 'expires'?"),
        (ENTRY.replace("shown", "shwon"), f"line 2: no rule is called '{SHOWN[:-5]}shwon'. Did you mean '{SHOWN}'?"),
    ],
)
def test_a_bad_file_is_refused_with_its_line(tmp_path: Path, text: str, problem: str) -> None:
    """What is wrong is said in words, with the file and the line to mend."""
    file = tmp_path / "known.toml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        known.load(file, RULES, TODAY)
    assert str(caught.value).startswith(str(file))
    assert problem in str(caught.value)


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    """A file that was named and is not there, or is no text, ends the run before anything is sent."""
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        known.load(tmp_path / "none.toml", RULES)
    (tmp_path / "bytes.toml").write_bytes(b"\xff")
    with pytest.raises(ConfigError, match="are not UTF-8"):
        known.load(tmp_path / "bytes.toml", RULES)


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    """New entries come after what stands in the file, comments and all, and quotes survive."""
    file = tmp_path / "known.toml"
    file.write_text(f"# mine\n{ENTRY}", encoding="utf-8")
    more = Accepted(rule=SHOWN, pointer='/"\x7f\\', reason='he said "no" — \t', expires=TODAY)
    known.append(file, [more])
    known.append(file, [])
    assert file.read_text(encoding="utf-8").startswith(f"# mine\n{ENTRY}\n[[accept]]\n")
    found = known.load(file, RULES, TODAY)
    assert [replace(entry, line=None) for entry in found.entries][1:] == [more]


def test_where_nothing_can_be_written_it_is_said(tmp_path: Path) -> None:
    """A folder that does not exist is refused with the file's name."""
    entry = Accepted(rule=SHOWN, reason="a")
    with pytest.raises(ConfigError, match=r"none.known\.toml cannot be written"):
        known.append(tmp_path / "none" / "known.toml", [entry])


# What an entry accepts


@pytest.mark.parametrize(
    ("entry", "pointer", "group", "accepted"),
    [
        (Accepted(rule="a.echo.x", reason=""), "/x", "a.echo", True),
        (Accepted(rule="a.echo.x", reason="", pointer="/x"), "/x", "a.echo", True),
        (Accepted(rule="a.echo.x", reason="", pointer="/y"), "/x", "a.echo", False),
        (Accepted(rule="a.echo", reason=""), "/x", "a.echo", True),
        (Accepted(rule="a.echo.y", reason=""), "/x", "a.echo", False),
        (Accepted(rule="a.echo.x", reason="", expires=TODAY), "/x", "a.echo", True),
        (Accepted(rule="a.echo.x", reason="", expires=date(2026, 11, 23)), "/x", "a.echo", False),
    ],
)
def test_an_entry_accepts_its_rule_at_its_place(entry: Accepted, pointer: str, group: str, accepted: bool) -> None:
    """A rule, or those of its group, at one pointer or everywhere, up to and with the last day."""
    found = Known(entries=(entry,), today=TODAY)
    finding = Finding(rule="a.echo.x", message="", pointer=pointer)
    assert (found.accepts(finding, group) is entry) == accepted


def test_an_entry_that_holds_wins_over_one_that_has_expired() -> None:
    """Of two entries about one thing the one that still holds is taken."""
    old = Accepted(rule="a", reason="old", expires=date(2026, 1, 1))
    new = Accepted(rule="a", reason="new")
    assert Known(entries=(old, new), today=TODAY).accepts(Finding(rule="a", message="")) is new


# Runs


def test_an_accepted_failure_does_not_fail_the_run(defective: Settings, tmp_path: Path) -> None:
    """The rule warns with the reason, run.json says that it is accepted, and the verdict is kept."""
    result = carried_out(defective, ENTRY, tmp_path)
    assert (result.verdict, result.status) == ("kept", 0)
    entry = next(e for e in report.data(result, Mask())["rules"] if e["id"] == SHOWN)
    assert (entry["verdict"], entry["accepted"], entry["reason"]) == ("warned", True, "accepted: ticket 4711")
    assert entry["failures"][0]["pointer"] == "/call_video_room_id"
    assert told(result)[:2] == [f"accepted {SHOWN}", "        accepted: ticket 4711"]
    assert ", 1 accepted, " in told(result)[-1]


def test_an_entry_at_another_place_accepts_nothing(defective: Settings, tmp_path: Path) -> None:
    """The failure stands, and the entry is called one that no longer fails, by a run that looks at everything."""
    text = f'{ENTRY}pointer = "/name"\n'
    assert told(carried_out(defective, text, tmp_path)) == []
    result = carried_out(replace(defective, profile="standard"), text, tmp_path)
    assert result.status == 1
    place = f"({tmp_path / 'contract-known.toml'}, line 1)"
    assert told(result) == [f"known failure: no longer failing, remove it: {SHOWN} at /name {place}"]


def test_an_expired_entry_fails_again_and_is_told(defective: Settings, tmp_path: Path) -> None:
    """From the day after the last one the run fails, and says why, even where it is to be quiet."""
    result = carried_out(defective, f"{ENTRY}expires = 2020-01-31\n", tmp_path)
    assert result.status == 1
    line = (
        "known failure: accepted until 2020-01-31, and fails again: "
        f"{SHOWN} ({tmp_path / 'contract-known.toml'}, line 1)"
    )
    assert told(result) == [line]
    assert line in report.lines(result, Mask(), quiet=True)


def test_accepted_rules_are_not_folded_into_a_general_one(tmp_path: Path) -> None:
    """Where four rules of a group fail and are accepted one by one, the general rule does not fail instead."""
    from contract.config import credentials

    def drop(operation: str, status: int, body: object) -> object:
        names = {"cnam", "created_at", "capabilities", "number_type"}
        return {k: v for k, v in body.items() if k not in names} if isinstance(body, dict) else body

    with reference.running(mutate=drop) as server, pytest.MonkeyPatch.context() as patch:
        patch.setenv("CONTRACT_USERNAME", server.username)
        patch.setenv("CONTRACT_PASSWORD", server.password)
        settings = Settings(base_url=server.base_url, ids=server.ids[:1], profile="smoke")
        first = kit.run(settings, credentials())
        broken = [e.rule.id for e in first.entries if e.verdict == "broken"]
        names = ("created_at", "capabilities", "number_type")
        entries = "".join(
            f'[[accept]]\nrule = "{operation}.shape.{name}.present"\nreason = "a"\n'
            for operation in ("update_phone_number", "retrieve_phone_number")
            for name in names
        )
        second = carried_out(settings, entries, tmp_path)
        group = carried_out(settings, '[[accept]]\nrule = "update_phone_number.shape"\nreason = "a"\n', tmp_path)
    assert broken
    assert second.status == 0
    assert sum(e.accepted for e in second.entries) == 3
    assert group.status == 0


def test_the_command_writes_what_is_broken_and_then_passes(defective: Settings, tmp_path: Path) -> None:
    """--accept writes an entry for 90 days beside the configuration; the same run and the next one pass."""
    config = tmp_path / "contract.toml"
    rows = [f'base_url = "{defective.base_url}"', f"ids = {json.dumps(list(defective.ids))}"]
    rows += ['report_dir = "r"', 'profile = "smoke"']
    rows += ["[resources]", *(f'{name} = "{id}"' for name, id in defective.resources.items())]
    config.write_text("\n".join(rows), encoding="utf-8")
    arguments = ["run", "--config", str(config)]
    found = CliRunner().invoke(cli, [*arguments, "--accept"], standalone_mode=False)
    assert found.return_value == 0, found.output
    file = tmp_path / "contract-known.toml"
    assert f"accepted 1 failure: {file}\n" in found.output
    today = date.today()
    written = known.load(file, RULES, today)
    assert [(e.rule, e.pointer, e.reason) for e in written.entries] == [
        (SHOWN, "/call_video_room_id", f"accepted on {today}")
    ]
    assert written.entries[0].expires is not None
    assert (written.entries[0].expires - today).days == 90
    again = CliRunner().invoke(cli, arguments, standalone_mode=False)
    assert again.return_value == 0, again.output


def test_what_no_longer_fails_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a server that keeps the contract an entry is to be removed, and the run passes."""
    with reference.running() as server:
        monkeypatch.setenv("CONTRACT_USERNAME", server.username)
        monkeypatch.setenv("CONTRACT_PASSWORD", server.password)
        result = carried_out(kit.settings(server, tmp_path), ENTRY, tmp_path)
    assert result.status == 0
    place = f"({tmp_path / 'contract-known.toml'}, line 1)"
    assert told(result) == [f"known failure: no longer failing, remove it: {SHOWN} {place}"]


# Where the file is


def test_the_file_beside_the_configuration_is_found(tmp_path: Path) -> None:
    """contract-known.toml is read where it stands beside the configuration, and a setting names another."""
    (tmp_path / "contract.toml").write_text("", encoding="utf-8")
    config = tmp_path / "contract.toml"
    assert resolve(config=config, environ={}).known_failures == ""
    (tmp_path / "contract-known.toml").write_text("", encoding="utf-8")
    assert resolve(config=config, environ={}).known_failures == str(tmp_path / "contract-known.toml")
    config.write_text('known_failures = "other.toml"', encoding="utf-8")
    assert resolve(config=config, environ={}).known_failures == str(tmp_path / "other.toml")


def test_new_entries_go_to_the_configured_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The configured file, else one beside the configuration, else one in the working directory."""
    monkeypatch.chdir(tmp_path)
    settings = Settings(known_failures=str(tmp_path / "mine.toml"))
    assert known.place(settings) == (Settings(), tmp_path / "mine.toml")
    (tmp_path / "mine.toml").touch()
    assert known.place(settings) == (settings, tmp_path / "mine.toml")
    assert known.place(Settings(), tmp_path / "sub" / "contract.toml")[1] == tmp_path / "sub" / "contract-known.toml"
    assert known.place(Settings())[1] == tmp_path / "contract-known.toml"


def test_what_is_no_file_is_not_read() -> None:
    """A device has no end."""
    with pytest.raises(ConfigError, match="the known failures in /dev/zero cannot be read: it is no file"):
        known.load("/dev/zero", {})
