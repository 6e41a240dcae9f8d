"""The command: help, bad input, exit statuses, and how it behaves in a pipe, in a terminal and when it is interrupted."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import httpx
import pytest
from click.testing import CliRunner

from contract import explain, reference
from contract import spec as specs
from contract.cli import _style, cli, main
from contract.custody import Journal
from contract.reference import Running
from contract.rules import rules
from tests.kit import credentials, outcome, record, settings
from tests.proxy import Exchange, Lost, Proxy
from tests.subscriptions import FRAGMENT

COMMANDS = sorted(cli.commands)
ID = "3fa85f64-5717-4562-b3fc-2c963f66afa6"
ROOT = Path(__file__).parents[1]


@contextmanager
def environment(folder: Path, monkeypatch: pytest.MonkeyPatch, **options: Any) -> Iterator[tuple[Running, Proxy]]:
    """The reference server behind a proxy that counts, with its credentials set, seen from an empty folder."""
    monkeypatch.chdir(folder)
    with reference.running(**options) as server, Proxy(server.base_url) as proxy:
        monkeypatch.setenv("CONTRACT_USERNAME", server.username)
        monkeypatch.setenv("CONTRACT_PASSWORD", server.password)
        yield server, proxy


def command(capsys: pytest.CaptureFixture[str], *args: str) -> tuple[int, str, str]:
    """(exit status, output, errors)."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as end:
        main(list(args))
    found = capsys.readouterr()
    return int(end.value.code or 0), found.out, found.err


def process(*args: str, **more: Any) -> subprocess.Popen[str]:
    """The command in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "contract", *args], text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **more
    )


# --------------------------------------------------------------------------- help


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_an_example(name: str) -> None:
    """`--help` says what the command does, shows an example that begins as it is typed, and exits with 0."""
    found = CliRunner().invoke(cli, [name, "--help"])

    assert found.exit_code == 0
    assert found.output.startswith("Usage: ")
    assert f"contract {name}" in found.output.partition("Example")[2]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_is_explained(name: str) -> None:
    """No option stands in the help without words."""
    options = [p for p in cli.commands[name].params if isinstance(p, click.Option)]

    assert [option.name for option in options if not option.help] == []


def test_help_and_version_exit_well(capsys: pytest.CaptureFixture[str]) -> None:
    """The command alone, -h and --version."""
    assert command(capsys, "-h")[0] == 0
    assert command(capsys, "--version") == (0, "contract, version 0.1.0\n", "")
    assert "contract demo" in command(capsys, "--help")[1]


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["frobnicate"], "No such command 'frobnicate'"),
        (["run", "--frobnicate"], "No such option"),
        (["explain"], "Missing argument 'RULE'"),
        (["serve", "--port", "70000"], "70000"),
        (["run", "--seed", "x", "--base-url", "http://a.example/b", "--id", "x"], "a number is wanted"),
    ],
)
def test_usage_that_is_wrong_exits_with_two(args: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A word that is not known is named, on the error output alone."""
    status, out, errors = command(capsys, *args)

    assert (status, out) == (2, "")
    assert says in errors
    assert "Traceback" not in errors


def test_settings_in_the_wrong_place_are_told_the_right_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Credentials are no business of a file, and a table fits into no variable."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "contract.toml").write_text('password = "hunter2"')
    status, _, errors = command(capsys, "run")
    assert (status, "hunter2" in errors) == (2, False)
    assert "password does not belong in a file: set CONTRACT_PASSWORD" in errors
    (tmp_path / "contract.toml").write_text("")
    monkeypatch.setenv("CONTRACT_RESOURCES", "x")
    status, _, errors = command(capsys, "run")
    assert (status, "resources are a table, in contract.toml" in errors) == (2, True)


# ---------------------------------------------------------------------- bad input

REFS = """
openapi: 3.1.0
info: {title: t, version: "1"}
paths:
  /things/{id}:
    put:
      operationId: update_thing
      requestBody: {content: {application/json: {schema: {$ref: "REF"}}}}
      responses: {"200": {description: d, content: {application/json: {schema: {type: object}}}}}
components:
  schemas:
    Odd: {type: object, properties: {a: {type: string, unevaluatedThing: 1}}}
"""
CIRCLE = REFS.replace("REF", "#/components/schemas/A").replace(
    "Odd: {type: object, properties: {a: {type: string, unevaluatedThing: 1}}}",
    'A: {type: object, properties: {a: {$ref: "#/components/schemas/A"}}}',
)
PLAIN = REFS.replace("unevaluatedThing: 1", "maxLength: 9")
"""As it would be right, but for where the reference leads."""


@pytest.mark.parametrize(
    ("files", "args", "says"),
    [
        ({}, [], ["base_url is missing", "--base-url"]),
        ({}, ["--base-url", "URL"], ["ids is missing", "--id"]),
        (
            {},
            ["--base-url", "ftp://x.example/a", "--id", "x"],
            ["an address such as https://", "the option --base-url"],
        ),
        ({}, ["--base-url", "http://x.example:99999/a", "--id", "x"], ["the option --base-url"]),
        (
            {},
            ["--base-url", "https://me:secret-pw@x.example/a", "--id", "x"],
            ["credentials do not belong in the address"],
        ),
        ({"contract.toml": 'report_dir = "a\\u0000b"'}, [], ["report_dir", "a text has no NUL", "contract.toml"]),
        ({"contract.toml": 'base_ulr = "x"'}, [], ["base_ulr", "Did you mean 'base_url'", "contract.toml"]),
        ({"contract.toml": "ids = []"}, [], ["the list is empty", "contract.toml"]),
        ({"contract.toml": "ids = ["}, [], ["is not TOML", "contract.toml"]),
        ({"contract.toml": 'ids = ["Ab", "aB"]'}, [], ["ids names ab twice", "contract.toml"]),
        ({"contract.toml": "max_requests = 0"}, [], ["at least 1", "contract.toml"]),
        ({"pyproject.toml": "[tool.contract]\nrate = 7"}, [], ["rate", "pyproject.toml"]),
        ({}, ["--config", "nowhere.toml"], ["nowhere.toml does not exist"]),
        ({"a.yaml": "just: yaml"}, ["--spec", "a.yaml"], ["a.yaml", "openapi"]),
        ({"a.yaml": "\tx: ["}, ["--spec", "a.yaml"], ["a.yaml", "line"]),
        ({"a.yaml": "!!python/object/apply:os.system [echo]"}, ["--spec", "a.yaml"], ["a.yaml"]),
        ({"a.yaml": PLAIN.replace("REF", "#/components/schemas/Nowhere")}, ["--spec", "a.yaml"], ["Nowhere"]),
        ({"a.yaml": CIRCLE}, ["--spec", "a.yaml"], ["contains itself", "line"]),
        ({"a.yaml": PLAIN.replace("REF", "../secret.yaml#/A")}, ["--spec", "a.yaml"], ["../secret.yaml"]),
        ({"a.yaml": REFS.replace("REF", "#/components/schemas/Odd")}, ["--spec", "a.yaml"], ["unevaluatedThing"]),
        ({}, ["--spec", "nowhere.yaml"], ["nowhere.yaml"]),
    ],
)
def test_bad_input_is_said_in_a_line_and_nothing_is_sent(
    files: dict[str, str],
    args: list[str],
    says: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """What, where and what now in one or two lines on the error output, exit 2, and not one request."""
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    with environment(tmp_path, monkeypatch) as (server, proxy):
        given = [proxy.base_url if arg == "URL" else arg for arg in args]
        if "--spec" in given:
            given += ["--base-url", proxy.base_url, "--id", server.ids[0]]
        status, out, errors = command(capsys, "run", *given)

    assert (status, out) == (2, "")
    assert 1 <= len(errors.splitlines()) <= 2
    assert errors.startswith("contract: ")
    assert [word for word in says if word not in errors] == [], errors
    assert "secret-pw" not in errors
    assert proxy.exchanges == 0


def test_an_error_in_a_librarys_words_holds_no_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What a library quotes of a broken answer is masked before it is printed."""
    with environment(tmp_path, monkeypatch) as (server, proxy):

        def harm(exchange: Exchange) -> None:
            exchange.send(f"HTTP/1.1 200 OK\r\n{server.password} : \x00x\r\n\r\n".encode())
            raise Lost

        proxy.harm = harm
        status, out, errors = command(capsys, "run", "--base-url", proxy.base_url, "--id", server.ids[0])

    assert (status, out) == (2, "")
    assert "***" in errors
    assert server.password not in errors


# ------------------------------------------------------------------ exit statuses


@pytest.mark.parametrize(
    ("options", "args", "status", "verdict"),
    [
        ({"defect": "update-created"}, [], 1, "BROKEN"),
        ({}, ["--max-requests", "20"], 2, "UNDECIDED"),
        ({"variant": "null-ignored"}, [], 2, "UNDECIDED"),
        ({"variant": "null-ignored"}, ["--allow-unrestorable"], 0, "KEPT"),
    ],
)
def test_the_exit_status_says_what_was_found(
    options: dict[str, str],
    args: list[str],
    status: int,
    verdict: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """0 kept, 1 broken, 2 could not tell; quietly, only the verdict and what is broken."""
    with environment(tmp_path, monkeypatch, **options) as (server, _):
        resources = "".join(f'{name} = "{value}"\n' for name, value in server.resources.items())
        (tmp_path / "contract.toml").write_text(f'base_url = "{server.base_url}"\n[resources]\n{resources}')
        found = command(capsys, "run", "--profile", "smoke", "--id", server.ids[0], "-q", *args)

    assert found[0] == status, found
    assert found[1].splitlines()[-1].startswith(f"{verdict}: ")
    assert found[2] == ""
    assert not any(line.startswith(("warned", "tour", "report")) for line in found[1].splitlines())
    assert json.loads((tmp_path / "reports" / "run.json").read_text())["verdict"] == verdict.lower()


@pytest.mark.parametrize("args", [("--report-dir", "file"), ("--junit", "file/x.xml"), ("--sarif", ".")])
def test_a_report_that_cannot_be_written_is_told_before_anything_is_sent(
    args: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nobody waits for a run of which the report is lost, and nothing is left where it was tried."""
    (tmp_path / "file").write_text("a file")
    with environment(tmp_path, monkeypatch) as (server, proxy):
        found = command(capsys, "run", "--base-url", proxy.base_url, "--id", server.ids[0], *args)

    assert (found[0], found[1], proxy.exchanges) == (2, "", 0)
    assert "cannot be written" in found[2]
    assert found[2].count("\n") == 1
    assert [path.name for path in tmp_path.rglob("*")] == ["file"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no full device")
def test_output_that_cannot_be_written_leaves_the_reports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reports are written all the same, and one line says what is wrong."""
    with environment(tmp_path, monkeypatch) as (server, _), Path("/dev/full").open("w") as full:
        args = ["run", "--base-url", server.base_url, "--id", server.ids[0], "--profile", "smoke"]
        done = subprocess.run(
            [sys.executable, "-m", "contract", *args], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )

    assert done.returncode == 0
    assert done.stderr == "contract: the output cannot be written: No space left on device\n"
    assert (tmp_path / "reports" / "run.json").is_file()


def test_hypothesis_keeps_its_tables_where_caches_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Not in the working directory, unless it was told another place."""
    name = "HYPOTHESIS_STORAGE_DIRECTORY"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv(name, "elsewhere")
    command(capsys, "--version")
    assert os.environ[name] == "elsewhere"

    monkeypatch.delenv(name)
    command(capsys, "--version")
    assert os.environ[name] == str(tmp_path / "pytest-contract" / "hypothesis")


def test_dry_run_shows_every_request_and_sends_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The cases with their bodies, what they cover, and that nothing was sent; no report and no journal."""
    with environment(tmp_path, monkeypatch) as (server, proxy):
        status, out, errors = command(capsys, "run", "--dry-run", "--base-url", proxy.base_url, "--id", server.ids[0])

    assert (status, errors, proxy.exchanges) == (0, "", 0)
    assert "nothing was sent" in out
    assert len([line for line in out.splitlines() if "[PUT]" in line]) > 100
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_colours_are_left_out_where_they_are_not_wanted(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As https://no-color.org asks, and for a terminal that has none."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert _style("BROKEN", "broken") != "BROKEN"
    monkeypatch.setenv(name, value)
    assert _style("BROKEN", "broken") == "BROKEN"


def test_a_quiet_dry_run_shows_what_it_reaches(capsys: pytest.CaptureFixture[str]) -> None:
    """No request is listed."""
    options = ["--base-url", "http://127.0.0.1:9", "--id", "x"]
    whole, brief = (command(capsys, "run", "--dry-run", *options, *more)[1] for more in ([], ["-q"]))

    assert whole.endswith(f"\n\n{brief}")
    assert "boundary values: " in brief
    assert "[PUT]" not in brief


@pytest.mark.parametrize("more", [[], ["--dry-run"]])
def test_a_rate_that_cannot_be_enough_is_told_at_once(
    more: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the time that the requests would take, and what sets the rate; nothing is sent."""
    with environment(tmp_path, monkeypatch) as (server, proxy):
        monkeypatch.setenv("CONTRACT_RATE", "100/h")
        found = command(capsys, "run", *more, "--base-url", proxy.base_url, "--id", server.ids[0])

    assert (found[0], proxy.exchanges) == (2, 0)
    assert re.search(r"2\d\d requests take 7,200 seconds at 100/h, and a run may take \d+; set a higher", found[2])
    assert "CONTRACT_RATE" in found[2]


def test_a_dry_run_reads_the_earlier_run(capsys: pytest.CaptureFixture[str]) -> None:
    """What the run itself would stumble over."""
    options = ["--base-url", "http://127.0.0.1:9", "--id", "x", "--against", "none.json"]
    status, out, errors = command(capsys, "run", "--dry-run", *options)

    assert (status, out) == (2, "")
    assert "none.json" in errors


# -------------------------------------------------------------- rules and explain


def test_rules_are_listed_with_basis_and_source(capsys: pytest.CaptureFixture[str]) -> None:
    """Several hundred, as lines or as JSON, each with its basis and source."""
    status, out, _ = command(capsys, "rules")
    rows = json.loads(command(capsys, "rules", "--json")[1])

    assert status == 0
    assert len(rows) > 300
    assert out.splitlines()[-1] == f"{len(rows)} rules"
    assert [line.split()[0] for line in out.splitlines()[:-1]] == [row["id"] for row in rows]
    assert all(row["basis"] in {"documented", "observed", "inferred"} and row["source"] for row in rows)


def test_a_rule_is_explained_and_a_wrong_name_is_mended(capsys: pytest.CaptureFixture[str]) -> None:
    """In words, with an example that keeps it and one that breaks it; a near miss is answered with the name."""
    status, out, _ = command(capsys, "explain", "update_phone_number.echo.name")
    wrong = command(capsys, "explain", "update_phone_number.echo.nam")

    assert status == 0
    assert "kept by" in out
    assert "broken by" in out
    assert wrong[0] == 2
    assert "Did you mean 'update_phone_number.echo.name'" in wrong[2]


def test_a_har_with_a_masked_number_is_judged_as_the_run_was(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its country is still one of its calling code."""
    with reference.running() as server:
        chosen = settings(server, tmp_path, mask=("/number",), profile="smoke")
        monkeypatch.setenv("CONTRACT_USERNAME", server.username)
        monkeypatch.setenv("CONTRACT_PASSWORD", server.password)
        assert outcome(chosen, credentials(server)).status == 0
        har = Path(chosen.report_dir) / "run.har"
        assert "+15558675309" not in har.read_text(encoding="utf-8")
        assert command(capsys, "check", str(har))[0] == 0


def test_no_example_keeps_a_rule_and_breaks_it() -> None:
    """Also where a field has one value only, as an id has that must exist."""
    contract = specs.load()
    for rule in rules(contract).values():
        lines = list(explain.lines(contract, rule))
        assert lines[-2].partition("kept by")[2].strip() != lines[-1].partition("broken by")[2].strip(), rule.id


def test_rules_are_those_of_the_configured_fragment(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the folder of a project its own rules are listed and explained; examples are of the right type and length."""
    (tmp_path / "contract.toml").write_text(f'spec = "{FRAGMENT}"\n', encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    _, listed, _ = command(capsys, "rules")
    _, counted, _ = command(capsys, "explain", "change_settings.shape.deliveries.type")
    _, short, _ = command(capsys, "explain", "change_settings.rejection.queue.minLength")
    _, lacking, _ = command(capsys, "explain", "change_settings.rejection.priority.required")

    assert "change_settings.echo.title" in listed
    assert 'kept by   {"deliveries": 0}' in counted
    assert 'broken by sent {"queue": "mm", "priority": 1}, answered 200' in short
    assert "kept by   sent {}, answered 422" in lacking


# ------------------------------------------------------------- pipes and processes


def test_serve_prints_one_line_and_ends_when_it_is_told_to(tmp_path: Path) -> None:
    """One line of JSON when it accepts requests, with all that a run needs, and nothing else; SIGTERM ends it well."""
    variables = os.environ | {"CONTRACT_USERNAME": "project", "CONTRACT_PASSWORD": "the-token"}
    server = process("serve", "--port", "0", cwd=tmp_path, env=variables)
    try:
        assert server.stdout is not None
        ready = json.loads(server.stdout.readline())
        answer = httpx.get(
            f"{ready['base_url']}/phone_numbers/{ready['ids'][0]}", auth=("project", "the-token"), trust_env=False
        )
    finally:
        server.send_signal(signal.SIGTERM)
        rest, errors = server.communicate(timeout=30)

    assert ready["ready"] is True
    assert (ready["username"], ready["password"]) == ("project", "the-token")
    assert set(ready) >= {"ready", "base_url", "username", "password", "ids", "resources"}
    assert answer.status_code == 200
    assert (rest, errors, server.returncode) == ("", "", 0)


def test_a_port_that_is_taken_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 2 and a line that names the port and a way out."""
    with reference.running() as server:
        port = server.base_url.split(":")[2].split("/")[0]
        status, out, errors = command(capsys, "serve", "--port", port)

    assert (status, out) == (2, "")
    assert errors == f"contract: port {port} is in use; choose another one, or 0 for a free one\n"


def test_a_reader_who_has_seen_enough_is_no_error(tmp_path: Path) -> None:
    """Output into a pipe that is closed early ends with 0, without a word."""
    done = process("rules", cwd=tmp_path)
    assert done.stdout is not None
    assert done.stderr is not None
    done.stdout.read(1)
    done.stdout.close()
    errors = done.stderr.read()
    done.stderr.close()

    assert (done.wait(30), errors) == (0, "")


def test_a_run_whose_reader_is_gone_still_writes_its_report_and_its_status(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The verdict is in the exit status and in the report, whoever reads the lines."""
    with environment(tmp_path, monkeypatch, defect="update-created") as (server, _):
        before = record(server)
        args = ["run", "--base-url", server.base_url, "--id", server.ids[0], "--profile", "smoke"]
        done = process(*args, cwd=tmp_path)
        assert done.stdout is not None
        assert done.stderr is not None
        done.stdout.close()
        errors = done.stderr.read()
        done.stderr.close()
        status = done.wait(60)
        assert record(server) == before

    assert (status, errors) == (1, "")
    assert json.loads((tmp_path / "reports" / "run.json").read_text())["verdict"] == "broken"


def test_the_command_starts_without_what_it_does_not_need() -> None:
    """`contract --help` loads neither the HTTP client nor Hypothesis nor pytest."""
    code = (
        "import sys\nfrom contract.cli import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "print(sorted({'httpx', 'hypothesis', 'pytest', 'schemathesis', 'starlette'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)

    assert done.stdout.splitlines()[-1] == "[]"


def test_a_failure_of_this_tool_is_no_failure_of_the_api(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Status 2, in one line that says where, without a traceback and without a secret."""
    with environment(tmp_path, monkeypatch) as (server, proxy):

        def fails(*args: Any, **options: Any) -> Any:
            raise KeyError(server.password)

        monkeypatch.setattr("contract.prepare.plan", fails)
        status, out, errors = command(capsys, "run", "--base-url", proxy.base_url, "--id", server.ids[0])

    assert (status, out, proxy.exchanges) == (2, "", 0)
    assert re.fullmatch(r"contract: this tool failed, .*: KeyError in prepare\.py, line \d+: .*\n", errors)
    assert server.password not in errors


def test_restore_says_where_runs_were_cut_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A journal of another address is named with the command that puts it back."""
    Journal.of(tmp_path, "http://127.0.0.1:9/api", "1").write("http://127.0.0.1:9/api", "1", {"id": "1"})
    with environment(tmp_path, monkeypatch) as (_, proxy):
        found = command(capsys, "restore", "--base-url", proxy.base_url, "--state-dir", str(tmp_path))

    assert found[0] == 0
    assert "contract restore --base-url http://127.0.0.1:9/api" in found[1]
