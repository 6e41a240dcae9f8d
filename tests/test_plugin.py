"""The pytest plugin, as a user meets it: the items, their outcomes, the lines, the options, the fixtures."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

# pytester forgets what a session imports, and half of a package must not be loaded twice.
from contract import client, har, html, items, plugin, reference, report  # noqa: F401
from contract.reference import Running
from tests import kit
from tests.kit import RULES
from tests.proxy import certificate
from tests.reports import MASK

UPDATE = "contract::update_phone_number"
SHOWN = f"{UPDATE}::handler::call_handler.video_room.shown"
FOLLOWS = f"{UPDATE}::echo::call_video_room_id"
SMOKE = "--contract-profile=smoke"
WORKERS = ("-p", "no:schemathesis", "-p", "no:respx", "-p", "no:anyio", "--assert=plain", "-n")
"""Before a count of workers: each of them would load these plugins."""
LOST = "video-room-lost"
"""A defect that breaks one rule, under which another one is told."""


@pytest.fixture(autouse=True)
def quick_sessions(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sessions that a test starts, and their workers, do without a plugin that they do not need, and without rewriting."""
    monkeypatch.setenv("PYTEST_ADDOPTS", "-p no:schemathesis --assert=plain")


class Site:
    """A running server, and a user's folder with the configuration for it."""

    def __init__(self, server: Running, pytester: pytest.Pytester) -> None:
        self.server = server
        self.pytester = pytester
        self.ids = [*server.ids[:1]]
        self.seen: list[tuple[str, int]] = []
        """(operation, status) of every answer."""
        self.during: Callable[[], object] = lambda: None
        """Called before every answer."""
        self.config = pytester.path / "contract.toml"
        rows = [f'base_url = "{server.base_url}"', f"ids = {json.dumps(self.ids)}", "[resources]"]
        self.config.write_text("\n".join([*rows, *(f'{n} = "{v}"' for n, v in server.resources.items())]))

    def run(self, *args: str) -> pytest.RunResult:
        """A session with the contract; warnings are shown, whatever they are where this test runs."""
        return self.pytester.runpytest("--contract", "-Wdefault", *args)

    def report(self) -> Any:
        """What run.json holds."""
        return json.loads((self.pytester.path / "reports" / "run.json").read_text())


Serve = Callable[..., Site]


@pytest.fixture
def serve(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    """Starts a server and sets up the folder for it; without *sockets* the runs of this process do without them."""
    with ExitStack() as stack:

        def start(
            defect: str | None = None,
            *,
            sockets: bool = False,
            change: Callable[[str, int, Any], Any] = lambda operation, status, body: body,
        ) -> Site:
            def note(operation: str, status: int, body: Any) -> Any:
                site.seen.append((operation, status))
                site.during()
                return change(operation, status, body)

            server = stack.enter_context(reference.running(defect=defect, mutate=note))
            monkeypatch.setenv("CONTRACT_USERNAME", server.username)
            monkeypatch.setenv("CONTRACT_PASSWORD", server.password)
            if not sockets:
                kit.SERVERS[server.base_url] = server
                monkeypatch.setattr(items, "run", kit.run)
            site = Site(server, pytester)
            return site

        yield start


# Idle


IDLE = """
import sys, pytest

before = set(sys.modules)
import contract.plugin

class Finish:
    def pytest_sessionfinish(self, session):
        print()
        print(*{name.partition(".")[0] for name in set(sys.modules) - before})
        print(*(name for name in sys.modules if name.startswith("contract.")))
        print(session.config.pluginmanager.hasplugin("contract-run"))

sys.exit(pytest.main(["-q", "-p", "contract.plugin"], plugins=[Finish()]))
"""


def test_an_idle_session_loads_nothing_heavy(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """A session of a user's own tests registers no run, and the plugin loads no other module of this package and no
    package beside pytest and the standard library.
    """
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makepyfile(test_mine="def test_mine(): pass")
    found = pytester.runpython_c(IDLE)
    found.assert_outcomes(passed=1)
    packages, modules, registered = (line.split() for line in found.outlines[1:4])
    assert set(packages) - set(sys.stdlib_module_names) == {"contract", "_pytest", "test_mine"}
    assert (modules, registered) == (["contract.plugin"], ["False"])


def test_an_idle_session_is_as_without_the_plugin(pytester: pytest.Pytester) -> None:
    """Without --contract there is no item, no header and no section, though a configuration is there."""
    pytester.makefile(".toml", contract='base_url = "http://127.0.0.1:9/api"\nprofile = "nonsense"')
    found = pytester.runpytest()
    assert found.ret == pytest.ExitCode.NO_TESTS_COLLECTED
    found.stdout.no_fnmatch_line("*contract:*")
    found.stdout.no_fnmatch_line("*= contract =*")


# Items and their outcomes


def test_an_empty_folder_passes_on_a_server_that_keeps_the_contract(serve: Serve) -> None:
    """Each rule is a case of its own in the JUnit report, named after it; what is only inferred passes with a warning at
    the line that states it; the reports are written.
    """
    site = serve()
    before = kit.record(site.server)
    found = site.run("-q", f"--contract-config={site.config}", "--junitxml=junit.xml")
    assert found.ret == 0
    outcomes = found.parseoutcomes()
    assert outcomes.keys() == {"passed", "skipped", "warnings"}
    assert outcomes["warnings"] == 2
    cases = list(ET.parse(site.pytester.path / "junit.xml").getroot().iter("testcase"))
    names = {(case.get("classname"), case.get("name")) for case in cases}
    assert len(names) == len(cases) == outcomes["passed"] + outcomes["skipped"] == RULES
    assert ("contract.update_phone_number.echo", "name") in names
    assert ("contract.update_phone_number.echo", "in_general") in names
    found.stdout.fnmatch_lines(
        [
            "*phone_numbers.openapi.yaml:*: ContractWarning: update_phone_number.* (inferred only): it is accepted, *",
            "*= contract =*",
            f"{site.ids[0]} was put back as it was, and read back",
            "tour: * updates, * x the least possible (*)",
            f"KEPT: {len(cases)} rules: * kept, 2 warned, * not exercised; * requests in *",
            "report: reports*run.json",
        ]
    )
    assert {path.name for path in (site.pytester.path / "reports").iterdir()} >= {"run.json", "run.html", "run.md"}
    assert kit.record(site.server) == before


def test_items_stand_beside_the_users_tests(serve: Serve) -> None:
    """With tests in the folder, or arguments that name them, the contract comes after these."""
    site = serve()
    site.pytester.makepyfile("def test_mine(): pass", test_other="def test_other(): pass")
    found = site.run("--co", "-q")
    assert found.outlines[0].startswith("test_items_stand")
    assert found.outlines[2] == f"{UPDATE}::shape::in_general"
    found = site.run("--co", "-q", "test_other.py")
    assert found.outlines[:2] == ["test_other.py::test_other", f"{UPDATE}::shape::in_general"]
    assert site.seen == []


def test_who_names_single_tests_does_not_wait_for_an_api(serve: Serve) -> None:
    """Node ids of one's own, and files where the contract comes with the ini file, are run alone."""
    site = serve()
    site.pytester.makepyfile(test_own="def test_it():\n    pass\n\n\ndef test_other():\n    pass\n")
    site.run("test_own.py::test_it", "-q").assert_outcomes(passed=1)
    site.pytester.makeini("[pytest]\ncontract = true\n")
    site.pytester.runpytest("test_own.py", "-q").assert_outcomes(passed=2)
    assert site.seen == []

    found = site.run("--co", "-q", "test_own.py")
    assert "contract::list_phone_numbers" in found.stdout.str()


def test_items_are_grouped_by_operation_and_promise(serve: Serve) -> None:
    """--co shows the tree, and sends nothing."""
    site = serve()
    found = site.run("--co", "-k", "list_phone_numbers and access")
    found.stdout.fnmatch_lines(
        [
            "<ContractNode contract>",
            "  <ContractNode list_phone_numbers>",
            "    <ContractNode access>",
            "      <RuleItem in_general>",
            "      <RuleItem no_credentials>",
        ],
        consecutive=True,
    )
    assert site.seen == []


def test_a_broken_rule_fails_with_the_lines_of_the_report(serve: Serve) -> None:
    """It fails with our lines and no frame of the plugin. -x ends there, the record being put back, and --lf selects
    that item alone.
    """
    site = serve(LOST)
    before = kit.record(site.server)
    found = site.run(SMOKE, "-x", "-k", "call_handler")
    assert found.ret == 1
    assert found.parseoutcomes()["failed"] == 1
    found.stdout.fnmatch_lines(
        [
            "*_ update_phone_number.handler.call_handler.video_room.shown _*",
            "broken  update_phone_number.handler.call_handler.video_room.shown",
            "        with call_handler 'video_room' the answer lacks call_video_room_id",
            "  rule      after a write of call_handler 'video_room' the answer shows it, with call_video_room_id not null",
            "  source    documented: Reference page *",
            "  case      smoke *, at /call_video_room_id",
            '  body      {"call_handler": "video_room", "call_video_room_id": "*"}',
            "  expected  a0ff96f1-4ee6-4bcf-862e-13b61b1c48ed",
            "  actual    null",
            f"  again     curl *{site.ids[0]}",
            "*= contract =*",
        ],
        consecutive=True,
    )
    found.stdout.fnmatch_lines(
        [
            "broken  update_phone_number.handler.call_handler.video_room.shown",
            f"{site.ids[0]} was put back as it was, and read back",
            "BROKEN: *",
            "*stopping after 1 failures*",
        ]
    )
    found.stdout.no_fnmatch_line("*plugin.py*")
    assert kit.record(site.server) == before
    assert site.run("--lf", "--co", "-q").outlines[:2] == [SHOWN, ""]


def test_a_failure_is_at_the_line_that_states_the_rule(serve: Serve) -> None:
    """--tb=line, the summary and JUnit name the fragment's line and what was found, and nothing of ours; what follows
    from a broken rule is skipped.
    """
    site = serve(LOST)
    found = site.run(SMOKE, "--tb=line", "-rsf", "--junitxml=junit.xml", "-vv", SHOWN, FOLLOWS)
    found.assert_outcomes(failed=1, skipped=1)
    message = "with call_handler 'video_room' the answer lacks call_video_room_id"
    told = "told under update_phone_number.handler.call_handler.video_room.shown"
    place = "*phone_numbers.openapi.yaml:*:"
    found.stdout.fnmatch_lines([f"{place} {message}", f"SKIPPED [[]1[]] {place} {told}", f"FAILED {SHOWN}*- {message}"])
    found.stdout.no_fnmatch_line("*plugin.py*")
    failure = ET.parse(site.pytester.path / "junit.xml").getroot().find(".//failure")
    assert failure is not None
    assert failure.get("message") == message
    assert str(failure.text).startswith("broken  update_phone_number.handler")


def test_one_fault_fails_few_items(serve: Serve) -> None:
    """However many rules a fault breaks, no more than eight items fail."""
    found = serve("nulls-left-out").run(SMOKE, "-q", "-k", "shape")
    assert 1 <= found.parseoutcomes()["failed"] <= 8
    assert found.parseoutcomes()["skipped"] > 8


def test_a_weak_rule_fails_where_its_basis_is_asked_for(serve: Serve) -> None:
    """What only warns otherwise fails with --contract-strict=inferred."""
    found = serve().run("-k", "relay_topic.requires.call_relay_topic_status_callback_url", "--contract-strict=inferred")
    found.assert_outcomes(failed=1, deselected=RULES - 1)


def test_a_warning_that_is_an_error_fails_in_its_own_words(serve: Serve) -> None:
    """With -W error the item fails with the line of the warning alone."""
    site = serve()
    found = site.run("-Werror::contract.plugin.ContractWarning", "-k", "relay_topic.requires.call_relay_topic_status")
    found.assert_outcomes(failed=1, deselected=RULES - 1)
    found.stdout.fnmatch_lines(
        ["*_ update_phone_number.handler*", "update_phone_number.handler.* (inferred only): it is accepted, *"],
        consecutive=True,
    )
    found.stdout.no_fnmatch_line("*plugin.py*")


def test_what_was_not_exercised_is_skipped_with_the_reason(serve: Serve) -> None:
    """A rule that needs something of the configuration says what."""
    found = serve().run("-rs", SMOKE, "-k", "bystander or foreign_id")
    found.assert_outcomes(skipped=3, deselected=RULES - 3)
    found.stdout.fnmatch_lines(
        [
            "SKIPPED [[]1[]] *phone_numbers.openapi.yaml:*: needs bystander_ids in the configuration",
            "SKIPPED [[]1[]] *phone_numbers.openapi.yaml:*: needs foreign_ids in the configuration",
        ],
        consecutive=True,
    )


def test_what_did_not_happen_again_could_not_be_told(serve: Serve) -> None:
    """An answer that is wrong once, and not when it is asked for again, fails as undecided."""
    wrong: list[str] = []

    def once(operation: str, status: int, body: Any) -> Any:
        if operation == "update_phone_number" and status == 200 and not wrong and body.get("name"):
            wrong.append(body["name"])
            return {**body, "name": 7}
        return body

    found = serve(change=once).run(SMOKE, "-k", "shape and update and name")
    assert wrong
    assert found.ret == 1
    found.stdout.fnmatch_lines(["could not tell: seen, and not again when it was repeated: name has the wrong type"])


def test_a_rule_told_under_one_that_was_not_selected_fails_with_its_lines(serve: Serve) -> None:
    """Nobody would hear of the failure otherwise."""
    site = serve(LOST)
    found = site.run(SMOKE, FOLLOWS)
    found.assert_outcomes(failed=1)
    found.stdout.fnmatch_lines(
        [
            "*_ update_phone_number.echo.call_video_room_id _*",
            "broken  update_phone_number.handler.call_handler.video_room.shown",
        ],
        consecutive=True,
    )
    found.stdout.fnmatch_lines([f"selected: 1 of {RULES} rules; others were judged in passing, if at all"])


# Selection


def test_nothing_selected_sends_nothing(serve: Serve) -> None:
    """-k, -m and --deselect that leave no item leave the server alone, and no report is written."""
    site = serve()
    for args in (("-k", "no_such_thing"), ("-m", "not contract"), ("--deselect", "contract")):
        assert site.run(*args).ret == pytest.ExitCode.NO_TESTS_COLLECTED
    assert site.seen == []
    assert not (site.pytester.path / "reports").exists()


def test_the_marker_selects_the_contract(serve: Serve) -> None:
    """-m contract leaves out the user's tests; the marker is registered, so strict markers allow it."""
    site = serve()
    site.pytester.makepyfile("def test_mine(): pass")
    found = site.run("-m", "contract", "--co", "-q", "--strict-markers")
    assert found.outlines[0] == f"{UPDATE}::shape::in_general"
    found.stdout.fnmatch_lines([f"{RULES}/{RULES + 1} tests collected (1 deselected)*"])


def test_deselected_rules_send_nothing_that_only_they_need(serve: Serve) -> None:
    """Only the requests for the selected promise are sent, beside those for custody."""
    site = serve()
    found = site.run("-k", "update_phone_number and access", "-q")
    assert found.ret == 0
    statuses = [status for operation, status in site.seen if operation == "update_phone_number"]
    assert sorted(set(statuses)) == [200, 401, 404]
    assert statuses.count(200) <= 3
    assert not any(operation == "list_phone_numbers" for operation, _ in site.seen)
    rules = {rule["id"]: rule for rule in site.report()["rules"]}
    assert rules["update_phone_number.access.no_credentials"]["verdict"] == "kept"
    assert rules["update_phone_number.handler.call_handler"]["reason"] == "it was not selected"


def test_one_rule_sends_its_own_cases(serve: Serve) -> None:
    """Of what must be refused only the cases of the rule are sent."""
    site = serve()
    found = site.run("-q", "-k", "rejection.call_request_method.enum")
    assert found.ret == 0
    assert found.parseoutcomes()["passed"] == 1
    assert 1 <= site.seen.count(("update_phone_number", 422)) <= 4
    assert len(site.seen) <= 16


def test_items_are_named_by_their_node_ids(serve: Serve) -> None:
    """A node id selects all below it, beside the files that are named."""
    site = serve()
    site.pytester.makepyfile(test_own="def test_mine(): pass")
    assert site.run("--co", "-q", f"{UPDATE}::echo").outlines[0] == f"{UPDATE}::echo::in_general"
    found = site.run("--co", "-q", "test_own.py", f"{UPDATE}::idempotence")
    assert found.outlines[:3] == ["test_own.py::test_mine", f"{UPDATE}::idempotence::in_general", ""]


def test_a_node_id_is_understood_where_pytest_shows_it(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """From a folder below, ids begin with the way to the root, and are understood like that."""
    site = serve()
    site.pytester.makeini("[pytest]")
    monkeypatch.chdir(site.pytester.mkdir("below"))
    found = site.run("--co", "-q", f"../{UPDATE}::idempotence")
    assert found.outlines[0] == f"{UPDATE}::idempotence::in_general"


def test_a_node_id_that_nothing_has_is_a_mistake(serve: Serve) -> None:
    """A misspelt id ends the session before anything is sent."""
    site = serve()
    found = site.run(f"{UPDATE}::ecko")
    assert found.ret == pytest.ExitCode.USAGE_ERROR
    found.stderr.fnmatch_lines([f"ERROR: not found: {UPDATE}::ecko (pytest --contract --co -q lists every one)"])
    assert site.seen == []


# What cannot be run


@pytest.mark.parametrize(
    ("password", "line"),
    [
        ("", "could not tell: credentials are missing: set CONTRACT_USERNAME *"),
        ("wrong", "could not tell: the credentials are refused (401 *"),
    ],
)
def test_what_is_set_up_wrongly_fails_one_item_with_one_line(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, password: str, line: str
) -> None:
    """The first item says why, in one line, and the others are skipped; nothing is written, and it is tried once only."""
    site = serve()
    monkeypatch.setenv("CONTRACT_PASSWORD", password)
    found = site.run(SMOKE, "-k", "idempotence or bystander")
    found.assert_outcomes(failed=1, skipped=1, deselected=RULES - 2)
    found.stdout.fnmatch_lines(["*_ update_phone_number.idempotence _*", line])
    found.stdout.no_fnmatch_line("*_ update_phone_number.bystander _*")
    assert len(site.seen) == bool(password)
    assert not (site.pytester.path / "reports").exists()


def test_what_is_missing_is_asked_for_by_its_option(serve: Serve) -> None:
    """Without an id the hint names the option of pytest."""
    site = serve()
    site.config.write_text(f'base_url = "{site.server.base_url}"')
    found = site.run("-k", "idempotence")
    assert found.ret == pytest.ExitCode.USAGE_ERROR
    found.stderr.fnmatch_lines(["ERROR: ids is missing: set it in contract.toml, with --contract-id, or in *"])
    assert site.seen == []


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (
            ["--contract-profile=smoky"],
            "ERROR: profile = 'smoky': one of smoke, standard, deep is wanted. Did you mean 'smoke'? "
            "(set by the option --contract-profile)",
        ),
        (["--contract-config=none.toml"], "ERROR: the configuration file none.toml does not exist"),
        (
            ["-o", "contract_strict=none"],
            "ERROR: strict = 'none': one of documented, observed, inferred is wanted. "
            "(set by the ini key contract_strict)",
        ),
    ],
)
def test_a_bad_setting_is_a_usage_error(serve: Serve, options: list[str], line: str) -> None:
    """A value that cannot be used ends the session at once, and says which layer set it."""
    site = serve()
    found = site.run(*options)
    assert found.ret == pytest.ExitCode.USAGE_ERROR
    assert found.errlines[0] == line
    assert site.seen == []


def test_a_fragment_that_cannot_be_used_is_an_error_of_collection(pytester: pytest.Pytester) -> None:
    """The error says what is wrong and where, without a traceback."""
    pytester.makefile(".yaml", mine="openapi: 3.1.0\nx-nonsense: 1\n")
    pytester.makefile(".toml", contract='spec = "mine.yaml"')
    found = pytester.runpytest("--contract")
    assert found.ret == pytest.ExitCode.INTERRUPTED
    found.stdout.fnmatch_lines(["*_ ERROR collecting contract _*", "*mine.yaml*"], consecutive=True)
    found.stdout.no_fnmatch_line("*plugin.py*")


def test_a_run_that_fails_by_itself_is_not_tried_again(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """One item shows how this tool failed, and the others say that there is no result."""
    site = serve()
    tries: list[str] = []

    def broken_run(*args: object, **options: object) -> None:
        tries.append("once")
        raise RuntimeError("no such luck")

    monkeypatch.setattr(items, "run", broken_run)
    found = site.run("-k", "idempotence or bystander")
    found.assert_outcomes(failed=2, deselected=RULES - 2)
    found.stdout.fnmatch_lines(["E * RuntimeError: no such luck", "could not tell: the run did not come to its end"])
    assert tries == ["once"]


def test_a_record_that_cannot_be_put_back_fails_the_session(serve: Serve) -> None:
    """Nothing is written where something could not be put back, and what was not looked at does not pass."""
    site = serve()
    found = site.run(SMOKE, f"--contract-id={site.server.ids[2]}", "-k", "echo and update")
    assert found.ret == 1
    found.stdout.fnmatch_lines(["could not tell: * could not be put back, so nothing was changed: *"])
    assert found.parseoutcomes()["failed"] == 1
    assert "passed" not in found.parseoutcomes()


def test_a_run_that_was_cut_short_fails_although_every_item_passed(serve: Serve) -> None:
    """A budget that ended the run is a failure of the session, because less was looked at than asked for."""
    site = serve()
    site.config.write_text(f"max_requests = 60\n{site.config.read_text()}")
    found = site.run(f"{UPDATE}::shape::name.type")
    found.assert_outcomes(passed=1)
    assert found.ret == pytest.ExitCode.TESTS_FAILED
    found.stdout.fnmatch_lines(["could not tell: the budget of 60 requests is spent", "UNDECIDED: *"])


# Ending early


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 2), (signal.SIGTERM, 128 + 15)])
def test_a_signal_ends_the_session_when_the_record_was_put_back(
    serve: Serve, number: int, status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ctrl-C and SIGTERM during the run: the run puts back what it wrote, says so, and then the session ends."""
    site = serve(sockets=True)
    before = kit.record(site.server)
    site.seen.clear()

    def interrupt() -> None:
        if len(site.seen) == 15:
            os.kill(os.getpid(), number)

    site.during = interrupt
    assert threading.current_thread() is threading.main_thread()
    found = site.pytester.inline_run("--contract", "-Wdefault", SMOKE, no_reraise_ctrlc=True)
    assert found.ret == status
    assert capsys.readouterr().out.count(f"{site.ids[0]} was put back as it was, and read back") == 1
    assert 15 < len(site.seen) < 25, len(site.seen)
    assert kit.record(site.server) == before
    assert site.report()["restored"][site.ids[0]]["verdict"] == "restored"


# Options


def header(found: pytest.RunResult) -> str:
    """The line that reproduces the run."""
    return next(line for line in found.outlines if line.startswith("contract: "))


def test_the_header_reproduces_the_run(serve: Serve) -> None:
    """Its options give the same header again, whatever the environment says."""
    site = serve()
    first = header(site.run("--co", "--contract-seed=7", SMOKE, f"--contract-id={site.ids[0]}"))
    assert first == (
        f"contract: --contract --contract-config={site.config} --contract-base-url={site.server.base_url} "
        f"--contract-profile=smoke --contract-strict=documented --contract-seed=7 --contract-id={site.ids[0]}"
    )
    assert header(site.run("--co", *first.split()[2:])) == first


@pytest.mark.parametrize(
    ("option", "environment", "ini", "file", "profile"),
    [
        ("", "", "", "", "standard"),
        ("", "", "", "smoke", "smoke"),
        ("", "", "deep", "smoke", "deep"),
        ("", "smoke", "deep", "deep", "smoke"),
        ("deep", "smoke", "smoke", "smoke", "deep"),
    ],
)
def test_precedence(
    pytester: pytest.Pytester,
    monkeypatch: pytest.MonkeyPatch,
    option: str,
    environment: str,
    ini: str,
    file: str,
    profile: str,
) -> None:
    """Command line over environment over ini file over contract.toml over the default."""
    if environment:
        monkeypatch.setenv("CONTRACT_PROFILE", environment)
    pytester.makeini("[pytest]\n" + (f"contract_profile = {ini}" if ini else ""))
    pytester.makefile(".toml", contract=f'profile = "{file}"' if file else "")
    config = pytester.parseconfig("--contract", *([f"--contract-profile={option}"] if option else []))
    assert plugin.settings_of(config).profile == profile


def test_every_setting_has_an_ini_key(pytester: pytest.Pytester) -> None:
    """`contract = true` turns the plugin on; native TOML types are taken, and paths start at the ini file."""
    pytester.makefile(".toml", mine="")
    pytester.makepyprojecttoml(
        """
        [tool.pytest]
        strict = true
        contract = true
        contract_config = "mine.toml"
        contract_base_url = "http://127.0.0.1:9/api"
        contract_id = ["a b", "c"]
        contract_profile = "smoke"
        contract_strict = "observed"
        contract_seed = 3
        contract_report_dir = "there"
        contract_against = "before.json"
        """
    )
    found = pytester.runpytest("--co", "-k", "regressions")
    found.stdout.fnmatch_lines(["*<RegressionsItem regressions>"])
    assert header(found) == (
        f"contract: --contract --contract-config={pytester.path / 'mine.toml'} "
        "--contract-base-url=http://127.0.0.1:9/api --contract-profile=smoke --contract-strict=observed "
        "--contract-seed=3 '--contract-id=a b' --contract-id=c"
    )


def test_the_report_goes_where_it_is_asked_to(serve: Serve) -> None:
    """--contract-report-dir names the folder, and a folder that cannot be made fails the session."""
    site = serve()
    found = site.run("-q", SMOKE, "--contract-report-dir=a/b", "-k", "idempotence")
    found.stdout.fnmatch_lines(["report: a*b*run.json"])
    assert (site.pytester.path / "a" / "b" / "run.json").is_file()
    (site.pytester.path / "file").touch()
    found = site.run("-q", SMOKE, "--contract-report-dir=file/b", "-k", "idempotence")
    assert found.ret == 1
    found.stdout.fnmatch_lines(["could not tell: the report *file*b* cannot be written: *"])


# pytest-xdist


def test_workers_share_the_records_and_find_the_same(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """With two workers and two records, which --contract-id names, each has one, and waits for the other; the verdicts and
    the report are those of one process; the folder where they met is gone.
    """
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    site = serve(LOST)
    site.ids += site.server.ids[1:2]
    options = ["-q", "-rA", SMOKE, "--contract-seed=5", "-k", "update_phone_number and (handler or echo)"]
    options += [f"--contract-id={id}" for id in site.ids]
    alone, one = site.run(*options), site.report()
    shared, both = site.run(*options, *WORKERS, "2"), site.report()
    found = [{line for line in run.outlines if line.startswith(("PASSED", "FAILED"))} for run in (alone, shared)]
    assert found[0] == found[1]
    assert len(found[0]) > 50
    assert shared.parseoutcomes()["failed"] == 1
    assert [both[name] for name in ("seed", "requests")] == [5, one["requests"]]
    # What a list shows of the other record is a matter of the moment.
    verdicts = [{r["id"]: r["verdict"] for r in run["rules"] if ".echo." in r["id"]} for run in (one, both)]
    assert verdicts[0] == verdicts[1]
    assert set(verdicts[0].values()) == {"kept", "not_exercised", "undecided"}
    assert list(one["restored"]) == list(both["restored"]) == site.ids
    assert list(tmp_path.glob("pytest-contract-*")) == []
    shared.stdout.fnmatch_lines(
        [
            "*_ update_phone_number.handler.call_handler.video_room.shown _*",
            "broken  update_phone_number.handler.call_handler.video_room.shown",
            "*= contract =*",
            "broken  update_phone_number.handler.call_handler.video_room.shown",
            *(f"{id} was put back as it was, and read back" for id in site.ids),
            "BROKEN: *",
            "report: *run.json",
        ]
    )


def test_workers_say_what_is_set_up_wrongly(serve: Serve) -> None:
    """Under pytest-xdist, too, an item has the one line, and no report is written."""
    site = serve()
    options = (SMOKE, "-k", "idempotence or bystander", "--contract-base-url=http://127.0.0.1:9/api")
    found = site.run(*options, *WORKERS, "1")
    found.assert_outcomes(failed=1, skipped=1)
    found.stdout.fnmatch_lines(["could not tell: http://127.0.0.1:9/api *no connection*"])
    assert not (site.pytester.path / "reports").exists()


# Known failures


def test_what_is_accepted_is_written_and_is_expected_to_fail(serve: Serve) -> None:
    """--contract-accept writes the file beside the configuration, once, and that session passes; in the next one the item
    is xfailed with the reason, and --runxfail fails it with its lines.
    """
    site = serve(LOST)
    rule = "update_phone_number.handler.call_handler.video_room.shown"
    file = site.pytester.path / "contract-known.toml"
    found = site.run(SMOKE, "--contract-accept", "-q", SHOWN)
    assert found.ret == 0
    found.stdout.fnmatch_lines([f"accepted 1 failure: {file}"])
    entry = file.read_text()
    assert entry.startswith(f'[[accept]]\nrule = "{rule}"\npointer = "/call_video_room_id"\nreason = "accepted on ')
    file.write_text(f'[[accept]]\nrule = "{rule}"\nreason = "ticket 4711"\nexpires = 2999-01-31\n')
    found = site.run(SMOKE, "--contract-accept", "-rx", SHOWN)
    assert found.ret == 0
    found.assert_outcomes(xfailed=1)
    found.stdout.fnmatch_lines(
        [f"accepted {rule}", "KEPT: *1 accepted*", f"XFAIL {SHOWN} - accepted until 2999-01-31: *4711"]
    )
    assert file.read_text().count("[[accept]]") == 1
    found = site.run(SMOKE, "--runxfail", SHOWN)
    found.assert_outcomes(failed=1)
    found.stdout.fnmatch_lines([f"broken  {rule}"])


def test_workers_accept_together(serve: Serve) -> None:
    """Under pytest-xdist the entries are written once, by the controller."""
    site = serve(LOST)
    assert site.run(SMOKE, "--contract-accept", "-q", SHOWN, *WORKERS, "1").ret == 0
    assert (site.pytester.path / "contract-known.toml").read_text().count("[[accept]]") == 1


def test_a_bad_file_of_known_failures_is_told(serve: Serve) -> None:
    """Every item says what is wrong with it, and on which line; nothing is sent."""
    site = serve()
    (site.pytester.path / "contract-known.toml").write_text('\n[[accept]]\nrule = "nonsense"\nreason = "a"\n')
    found = site.run("-k", "idempotence")
    found.stdout.fnmatch_lines(["could not tell: *contract-known.toml, line 3: no rule is called 'nonsense'.*"])
    assert site.seen == []


# Earlier runs


def test_what_changed_since_an_earlier_run_is_an_item(serve: Serve) -> None:
    """--contract-against adds one item, which passes where nothing changed and fails with what did, or where the runs
    cannot be compared; a file that is no run fails before anything is sent.
    """
    site = serve()
    before = site.pytester.path / "before.json"
    before.write_text("{}")
    options = (SMOKE, "--contract-against=before.json")
    found = site.run(*options, "-k", "regressions or idempotence")
    found.assert_outcomes(failed=1, skipped=1, deselected=RULES - 1)
    found.stdout.fnmatch_lines(["could not tell: before.json is not the run.json of a run"])
    assert site.seen == []

    chosen = kit.settings(site.server, site.pytester.path, bystander_ids=(), foreign_ids=(), profile="smoke")
    before.write_text(report.encoded(report.data(kit.run(chosen, kit.credentials(site.server)), MASK)))
    found = site.run(*options, "-k", "regressions or (update and shape and json)")
    found.assert_outcomes(passed=2, deselected=RULES - 1)
    found = site.run(*options, "contract::regressions", "--contract-seed=9")
    found.assert_outcomes(failed=1)
    found.stdout.fnmatch_lines(["could not tell: the two runs cannot be compared: another seed: 0 and 9"])

    found = serve("write-not-stored").run(*options, "contract::regressions")
    found.assert_outcomes(failed=1)
    found.stdout.fnmatch_lines(
        [
            "*_ contract.regressions _*",
            "newly broken  update_phone_number.read_back",
            "        a read shows another * than the answer to the update did",
            "REGRESSED: *",
        ]
    )


# Fixtures


TESTS = """
    import pytest

    @pytest.fixture
    def path(contract_config):
        return f"/phone_numbers/{contract_config.ids[0]}"
"""


def session_of(site: Site, code: str) -> pytest.RunResult:
    """A session of a user's own tests, without --contract."""
    site.pytester.makepyfile(TESTS + code)
    return site.pytester.runpytest("-p", "no:cacheprovider", "-rA")


def test_the_client_asks_with_credentials_and_lets_kept_answers_through(serve: Serve) -> None:
    """Reads, updates, lists and refusals that keep the contract are answers like any other."""
    found = session_of(
        serve(),
        """
    def test_read(contract_client, path):
        before = contract_client.get(path).raise_for_status().json()
        assert contract_client.put(path, json={"name": before["name"]}).json() == {
            **before, "updated_at": contract_client.get(path).json()["updated_at"]
        }
        assert contract_client.get("/phone_numbers").status_code == 200

    def test_refused(contract_client, path):
        assert contract_client.put(path, json={"call_handler": "nonsense"}).status_code == 422
        assert contract_client.put(
            path, content=b"{", headers={"content-type": "application/json"}
        ).status_code == 400
        assert contract_client.get("/phone_numbers/3fa85f64-5717-4562-b3fc-2c963f66afa6").status_code == 404

    def test_elsewhere(contract_client):
        assert contract_client.get("/no/such/thing").status_code == 404
""",
    )
    found.assert_outcomes(passed=3)


def test_the_client_fails_the_test_that_asked(serve: Serve) -> None:
    """An answer that breaks the contract fails the test with our lines, although it catches every exception."""
    site = serve("name-trimmed")
    found = session_of(
        site,
        """
    def test_mine(contract_client, path):
        try:
            contract_client.put(path, json={"name": "  blanks "})
        except Exception:
            pass
""",
    )
    found.assert_outcomes(failed=1)
    found.stdout.fnmatch_lines(
        [
            "*_ test_mine _*",
            "broken  update_phone_number.echo.name",
            "        name is not what was sent*",
            "  rule      name is answered as it was sent, to the letter",
            "  source    documented: *",
            f"  request   PUT {site.server.base_url}/phone_numbers/{site.ids[0]}, at /name",
            '  body      {"name": "  blanks "}',
            '  expected  "  blanks "',
            "  actual    blanks",
        ],
        consecutive=True,
    )
    found.stdout.no_fnmatch_line("*client.py*")


def test_the_client_tells_the_cause_of_many_findings(serve: Serve) -> None:
    """One fault that breaks many rules is told in a few lines."""
    found = session_of(
        serve("nulls-left-out"),
        """
    def test_mine(contract_client, path):
        contract_client.get(path)
""",
    )
    found.assert_outcomes(failed=1)
    found.stdout.fnmatch_lines(["*_ test_mine _*", "broken  retrieve_phone_number.shape*"], consecutive=True)


def test_the_client_judges_what_respx_answers(serve: Serve) -> None:
    """Under respx the answers are the test's own, and are judged like the API's."""
    site = serve()
    found = session_of(
        site,
        """
    import httpx
    import respx

    @respx.mock
    def test_good(contract_client, path):
        respx.put(url__regex=".*/phone_numbers/.*").mock(
            return_value=httpx.Response(
                422,
                json={"errors": [{"detail": None, "status": "422", "title": "Invalid Attribute", "code": "422"}]},
            )
        )
        assert contract_client.put(path, json={"name": "a"}).status_code == 422

    @respx.mock
    def test_bad(contract_client, path):
        respx.put(url__regex=".*/phone_numbers/.*").mock(return_value=httpx.Response(422, json={}))
        contract_client.put(path, json={"name": "a"})
        assert False, "never reached"

    @respx.mock
    def test_crash(contract_client, path):
        respx.get(url__regex=".*/phone_numbers/.*").mock(return_value=httpx.Response(500))
        contract_client.get(path)
""",
    )
    found.assert_outcomes(passed=1, failed=2)
    found.stdout.fnmatch_lines(
        [
            "*_ test_bad _*",
            "broken  update_phone_number.rejection.error_body",
            "*_ test_crash _*",
            "broken  retrieve_phone_number.rejection.no_server_error",
        ]
    )
    found.stdout.no_fnmatch_line("*never reached*")
    assert site.seen == []


def test_the_client_sends_with_a_transport_of_the_users_own(serve: Serve) -> None:
    """A fixture contract_transport may return an httpx.MockTransport; credentials go to the API alone."""
    found = session_of(
        serve(),
        """
    import httpx

    @pytest.fixture
    def contract_transport():
        def answer(request):
            return httpx.Response(503 if "phone" in str(request.url) else 200, json=dict(request.headers))
        return httpx.MockTransport(answer)

    def test_mine(contract_client, contract_config, path):
        assert "authorization" in contract_client.get(path).json()
        assert "authorization" not in contract_client.get("https://elsewhere.example.com/phone_numbers").json()
        other = contract_config.base_url.replace("/relay/", "/other/")
        assert "authorization" not in contract_client.get(other).json()
""",
    )
    found.assert_outcomes(passed=1)


def test_the_client_keeps_to_what_is_strict_and_known(serve: Serve) -> None:
    """A known failure does not fail the test."""
    site = serve("name-trimmed")
    (site.pytester.path / "contract-known.toml").write_text(
        '[[accept]]\nrule = "update_phone_number.echo.name"\nreason = "a"\n'
    )
    found = session_of(
        site,
        """
    def test_mine(contract_client, path):
        assert contract_client.put(path, json={"name": " a "}).status_code == 200
""",
    )
    found.assert_outcomes(passed=1)


def test_the_other_fixtures(serve: Serve) -> None:
    """contract_config holds the settings, contract_spec the fragment that they name."""
    site = serve()
    found = session_of(
        site,
        f"""
    def test_mine(contract_config, contract_spec, contract_client):
        assert contract_config.ids == ({site.ids[0]!r},)
        assert contract_spec.operation("update_phone_number").label.startswith("PUT ")
        assert contract_client.base_url == contract_config.base_url + "/"
""",
    )
    found.assert_outcomes(passed=1)


def test_the_client_shows_a_certificate_without_a_warning(pytester: pytest.Pytester) -> None:
    """A suite in which each warning is an error can use contract_client with a client certificate."""
    own = certificate(pytester.path / "own.pem")
    pytester.makefile(".toml", contract=f'base_url = "https://a.example.com"\nclient_cert = "{own.name}"')
    pytester.makepyfile("def test_mine(contract_client): pass")
    pytester.runpytest("-p", "no:cacheprovider", "-W", "error").assert_outcomes(passed=1)


@pytest.mark.parametrize(
    ("config", "line"),
    [
        ('profile = "none"', "profile = 'none': one of smoke, standard, deep is wanted. (set by *contract.toml)"),
        ('spec = "none.yaml"', "*none.yaml*"),
        ("", "base_url is missing: set it in contract.toml, with --contract-base-url, or in CONTRACT_BASE_URL"),
        ('base_url = "https://a.example.com"\nca_file = "none.pem"', "ca_file *none.pem cannot be used: *"),
        (
            'base_url = "https://a.example.com"',
            "credentials are missing: set CONTRACT_USERNAME and CONTRACT_PASSWORD in the environment",
        ),
    ],
)
def test_a_fixture_that_cannot_be_made_says_why(pytester: pytest.Pytester, config: str, line: str) -> None:
    """A test that asks for it has an error of one line."""
    pytester.makefile(".toml", contract=config)
    pytester.makepyfile("def test_mine(contract_client): pass")
    found = pytester.runpytest("-p", "no:cacheprovider")
    found.assert_outcomes(errors=1)
    found.stdout.fnmatch_lines(["*_ ERROR at setup of test_mine _*", line])
    found.stdout.no_fnmatch_line("*plugin.py*")
