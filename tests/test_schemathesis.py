"""The bridge to schemathesis: runs of ``st``, and what the hooks do with single requests."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.core.failures import FailureGroup
from schemathesis.core.transport import Response

from contract import export, spec
from contract import schemathesis as bridge
from contract.formats import is_e164, is_region
from contract.generate import Generator
from contract.model import Fact
from contract.reference import Running, running

CONTRACT = spec.load()
UPDATE = CONTRACT.update
FOUND = {
    "write-not-stored": {"contract_read_back": "update_phone_number.read_back"},
    "video-room-lost": {"contract_handlers": "update_phone_number.handler.call_handler.video_room.shown"},
    "applications-swapped": {"contract_echo": "update_phone_number.echo.call_laml_application_id"},
}
"""A PUT that is not persisted, a dropped companion and a swapped pair: the check and the rule that tell it."""

ALWAYS = ("--no-color", "--generation-deterministic", "--baseline=found.json", "--baseline-update")
"""Every run is the same each time, and records its failures by their identities."""


def environment(server: Running) -> dict[str, str]:
    """What a user exports before ``st run``."""
    return {
        "CONTRACT_BASE_URL": server.base_url,
        "CONTRACT_USERNAME": server.username,
        "CONTRACT_PASSWORD": server.password,
        "CONTRACT_IDS": server.ids[0],
    }


def environ() -> dict[str, str]:
    """The environment of the tests without settings of this project or schemathesis."""
    ours = ("CONTRACT_", "SCHEMATHESIS_")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)}


def failures(folder: Path) -> dict[str, set[str]]:
    """Check -> identities of the failures that a run in *folder* recorded."""
    found: dict[str, set[str]] = {}
    recorded = folder / "found.json"
    for entry in json.loads(recorded.read_text())["entries"] if recorded.exists() else []:
        found.setdefault(entry["check"], set()).add(f"{entry['operation']} {entry['signature']}")
    return found


def exported(folder: Path, server: Running) -> Path:
    """*folder* with what ``contract export --output`` writes, and a contract.toml with the resources."""
    export.write(CONTRACT, folder, server.ids[:1])
    lines = (f"{name} = {json.dumps(value)}\n" for name, value in server.resources.items())
    (folder / "contract.toml").write_text("[resources]\n" + "".join(lines))
    return folder


def ours(found: Mapping[str, set[str]]) -> dict[str, set[str]]:
    """The failures of this project's checks."""
    return {name: rules for name, rules in found.items() if name.startswith("contract_")}


ST = """
import json, os, sys
from importlib.metadata import entry_points
[command] = entry_points(group="console_scripts", name="st")
st = command.load()
for number, (folder, variables, args) in enumerate(json.load(sys.stdin)):
    if number and (child := os.fork()):
        os.waitpid(child, 0)
        continue
    os.chdir(folder)
    os.environ.update(variables)
    os.dup2(os.open("out.txt", os.O_WRONLY | os.O_CREAT), 1)
    try:
        st(["run", "openapi.json", *args])
    except SystemExit as end:
        print("status", end.code, flush=True)
    if number:
        os._exit(0)
"""
"""``st`` with several lists of arguments: to start it takes longer than what it does. Each run but the first one, which has
no hooks, is a process of its own that knows nothing of the others.
"""


@dataclass(frozen=True)
class Ran:
    """What one ``st run`` left."""

    status: int
    found: dict[str, set[str]]
    out: str
    cases: int


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Ran]:
    """Name -> a run of ``st``: without this project, on the exported files as they are, with hooks of the environment."""
    plain = ("--phases=examples,coverage", "--continue-on-failure", "--checks=all")
    hooks = {"SCHEMATHESIS_HOOKS": "contract.schemathesis", "CONTRACT_PROFILE": "smoke"}
    smoke = {"CONTRACT_PROFILE": "smoke"}
    # Server, extra variables, arguments; the exported configuration goes with those that have neither address nor hooks.
    wanted: dict[str, tuple[dict[str, Any], dict[str, str] | None, tuple[str, ...]]] = {
        "plain": ({}, None, plain),
        "plain defect": ({"defect": "write-not-stored"}, None, plain),
        "hooks": ({"defect": "write-not-stored"}, hooks, ("--phases=examples",)),
        "exported": ({"defect": "+".join(FOUND)}, smoke, ("--phases=examples",)),
        "clean": ({}, {}, ("--phases=examples,fuzzing,stateful", "--max-examples=2")),
        "lawful": ({"variant": "aliases-mirrored"}, smoke, ("--phases=examples,coverage",)),
    }
    runs, folders = [], {name: tmp_path_factory.mktemp("st") for name in wanted}
    with ExitStack() as stack:
        for name, (served, variables, args) in wanted.items():
            server = stack.enter_context(running(**served))
            exported(folders[name], server)
            if variables is None or variables is hooks:
                (folders[name] / "schemathesis.toml").unlink()
                args = (f"--auth={server.username}:{server.password}", f"--url={server.base_url}", *args)
            given = {} if variables is None else environment(server) | variables
            runs.append((str(folders[name]), given, [*ALWAYS, *args]))
        done = subprocess.run(
            [sys.executable, "-c", ST],
            input=json.dumps(runs),
            env=environ(),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    found = {}
    for name, folder in folders.items():
        out = (folder / "out.txt").read_text("utf-8")
        [cases], [status] = re.findall(r"(\d+) generated", out), re.findall(r"^status (\d+)$", out, re.MULTILINE)
        found[name] = Ran(int(status), failures(folder), out, int(cases))
    return found


@pytest.mark.parametrize("defect", FOUND)
def test_st_run_with_our_hooks_catches(defect: str, ran: dict[str, Ran]) -> None:
    """On the exported files as they are, a run exits 1 and names the rule, in our words, with its source."""
    run = ran["exported"]
    assert run.status == 1
    for check, rule in FOUND[defect].items():
        assert f"PUT /phone_numbers/{{id}} {rule}" in run.found[check]
        assert f"Contract broken: {rule}" in run.out
        assert re.search(rf"Rule {re.escape(rule)}: .+\n\s+Source \(documented\): .+https://", run.out)


def test_the_hooks_may_come_from_the_environment(ran: dict[str, Ran]) -> None:
    """They need nothing else of this project's, and find the same."""
    run = ran["hooks"]
    assert run.status == 1
    assert ours(run.found) == run.found
    assert "update_phone_number.read_back" in " ".join(run.found["contract_read_back"])


def test_plain_st_run_misses_them(ran: dict[str, Ran]) -> None:
    """Without the hooks, every check of schemathesis says the same of a defect as of the clean server."""
    clean, broken = ran["plain"], ran["plain defect"]
    assert clean.cases == broken.cases > 100
    assert clean.found
    assert clean.found == broken.found
    assert ours(broken.found) == {}


@pytest.mark.parametrize(("name", "cases"), [("clean", 100), ("lawful", 300)])
def test_what_keeps_the_contract_is_no_false_alarm(name: str, cases: int, ran: dict[str, Ran]) -> None:
    """With the exported configuration, nothing at all is found on the clean server, nor where a server decides otherwise
    what the documents leave open; between them in every phase.
    """
    run = ran[name]
    assert (run.status, run.found) == (0, {}), run.out
    assert run.cases > cases


# ------------------------------------------------------------------------------------- generation


class EnoughError(Exception):
    """What was waited for has been generated."""


def generated(
    document: dict[str, Any], count: int, enough: Callable[[list[Any]], bool] = lambda bodies: False
) -> list[Any]:
    """Bodies of the update that schemathesis generates from *document*: *count* of them, or as many as are *enough*."""
    operation = schemathesis.openapi.from_dict(document)[UPDATE.path][UPDATE.method]
    found: list[Any] = []

    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        derandomize=True,
        phases=[Phase.generate],
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    @given(operation.as_strategy(generation_mode=GenerationMode.POSITIVE))
    def collect(case: Any) -> None:
        found.append(case.body)
        if enough(found):
            raise EnoughError

    with suppress(EnoughError):
        collect()
    return found


def test_schemathesis_itself_reaches_every_handler(link: bridge._Bridge) -> None:
    """With the conditions put in its words, schemathesis generates valid bodies with every selector value."""
    wanted = {(name, value) for name, one in Generator(UPDATE).request.selectors.items() for value in one.enum}

    def seen(bodies: list[Any]) -> set[tuple[str, Any]]:
        return {(name, body[name]) for body in bodies for name, _ in wanted if name in body}

    document = export.openapi(CONTRACT)
    # It leaves them out as often as not, which takes twice the time.
    document["components"]["schemas"]["PhoneNumberUpdate"]["required"] = sorted({name for name, _ in wanted})
    bodies = generated(document, 300, lambda bodies: seen(bodies) >= wanted)
    assert seen(bodies) == wanted


def test_formats_are_generated_as_they_are_judged(link: bridge._Bridge) -> None:
    """``e164`` and ``iso-3166-1-alpha-2`` are strategies whose values the contract's own judge takes."""
    document: dict[str, Any] = export.openapi(CONTRACT)
    schema = {"type": "object", "required": ["n", "c"], "additionalProperties": False}
    schema["properties"] = {
        "n": {"type": "string", "format": "e164"},
        "c": {"type": "string", "format": "iso-3166-1-alpha-2"},
    }
    document["components"]["schemas"]["PhoneNumberUpdate"] = schema
    bodies = generated(document, 20)
    assert all(is_e164(body["n"]) and is_region(body["c"]) for body in bodies)
    assert len({body["n"] for body in bodies}) > 10


# -------------------------------------------------------------------------------- single requests


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    """A clean reference server."""
    with running() as found:
        yield found


@pytest.fixture
def link(server: Running, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[bridge._Bridge]:
    """The bridge, as the hooks find it in the environment of a user."""
    for name, value in environment(server).items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    bridge._bridge.cache_clear()
    yield bridge._bridge()
    bridge._bridge.cache_clear()


class Requests:
    """Cases and answers made by hand, as schemathesis makes them."""

    def __init__(self, server: Running) -> None:
        self.server = server
        self.schema = schemathesis.openapi.from_dict(export.openapi(CONTRACT))

    def put(self, body: Any, id: str | None = None) -> Any:
        """An update."""
        key = self.server.ids[0] if id is None else id
        operation = self.schema[UPDATE.path]["PUT"]
        return operation.Case(path_parameters={"id": key}, body=body, media_type="application/json")

    def get(self, id: str | None = None) -> Any:
        """A read."""
        return self.schema[UPDATE.path]["GET"].Case(path_parameters={"id": id or self.server.ids[0]})

    def send(self, case: Any) -> Response:
        """The server's answer."""
        auth = requests.auth.HTTPBasicAuth(self.server.username, self.server.password)
        answer: Response = case.call(base_url=self.server.base_url, auth=auth)
        return answer


@pytest.fixture
def web(server: Running, link: bridge._Bridge) -> Requests:
    """Requests to the clean server, with the hooks registered."""
    return Requests(server)


def fake(case: Any, status: int, record: Mapping[str, Any] | None, content: bytes | None = None) -> Response:
    """An answer to *case* that no server gave."""
    request = requests.Request("PUT", "http://127.0.0.1/", json=case.body if isinstance(case.body, dict) else None)
    return Response(
        status_code=status,
        headers={"Content-Type": ["application/json"]},
        content=json.dumps(record).encode() if content is None else content,
        request=request.prepare(),
        elapsed=0.01,
        verify=False,
    )


def check(name: str) -> Any:
    """The check that is registered as *name*."""
    return schemathesis.checks.CHECKS.get_one(name)


def broken(case: Any, answer: Response) -> dict[str, set[str]]:
    """Check -> rules that it finds broken; None where it does not apply."""
    found: dict[str, set[str]] = {}
    for name in bridge.CHECKS:
        try:
            check(name)(None, answer, case)
        except FailureGroup as group:
            found[name] = {getattr(failure, "rule", "") for failure in group.exceptions}
    return found


def judged(link: bridge._Bridge, case: Any, answer: Response) -> dict[str, set[str]]:
    """As `broken`, for an answer that came back for a case that was sent."""
    link.prepare(case)
    return broken(case, answer)


def test_an_answer_is_judged_once_and_the_record_remembered(web: Requests, link: bridge._Bridge) -> None:
    """A read shows the record, an update changes it, and every check agrees with the clean server."""
    read = web.get()
    assert broken(read, web.send(read)) == {}
    assert link.records[web.server.ids[0]].verified
    update = web.put({"name": "Reception"})
    assert broken(update, web.send(update)) == {}
    known = link.records[web.server.ids[0]]
    assert known.known is not None
    assert known.known["name"] == "Reception"
    assert not known.verified


def test_checks_that_do_not_apply_say_so(web: Requests) -> None:
    """A check is truthy, so not counted, where an answer says nothing about its promises."""
    read = web.get()
    answer = web.send(read)
    applied = {name: not check(name)(None, answer, read) for name in bridge.CHECKS}
    assert applied == {
        name: name in {"contract_shape", "contract_frame", "contract_rejection"} for name in bridge.CHECKS
    }


def test_a_field_that_was_not_sent_must_stay(web: Requests, link: bridge._Bridge) -> None:
    """A change of what was not sent breaks the frame, where the record was known before."""
    read = web.get()
    record = json.loads(web.send(read).content)
    update = web.put({"name": "Desk"})
    changed = record | {"name": "Desk", "call_request_url": "https://example.com/other"}
    assert judged(link, update, fake(update, 200, changed)) == {
        "contract_frame": {"update_phone_number.frame.call_request_url"}
    }
    link.records.clear()
    assert judged(link, update, fake(update, 200, record | {"name": "Desk", "call_handler": None})) == {}


def test_many_fields_of_one_group_are_one_failure(web: Requests, link: bridge._Bridge) -> None:
    """More than three rules of one group broken by one answer are told as the general rule."""
    record = json.loads(web.send(web.get()).content)
    update = web.put({"name": "Desk"})
    names = ["call_request_url", "call_fallback_url", "message_request_url", "message_fallback_url"]
    changed = record | {"name": "Desk"} | dict.fromkeys(names, "https://example.com/x")
    assert judged(link, update, fake(update, 200, changed)) == {"contract_frame": {"update_phone_number.frame"}}


def test_a_read_must_show_what_the_update_showed(web: Requests, link: bridge._Bridge) -> None:
    """A later read, and a later list, that show something else than the update did are told."""
    record = json.loads(web.send(web.get()).content)
    update, read = web.put({"name": "Desk"}), web.get()
    assert judged(link, update, fake(update, 200, record | {"name": "Desk"})) == {}
    listing = web.schema["/phone_numbers"]["GET"].Case()
    page = {"links": {"self": "", "first": ""}, "data": [record]}
    assert judged(link, listing, fake(listing, 200, page)) == {"contract_read_back": {"list_phone_numbers.read_back"}}
    assert judged(link, read, fake(read, 200, record)) == {"contract_read_back": {"update_phone_number.read_back.name"}}


def test_what_falls_back_was_never_stored(web: Requests, link: bridge._Bridge) -> None:
    """A field that is again as it was read before an update set it tells that the update was not stored."""
    record = json.loads(web.send(web.get()).content)
    first, second = web.put({"name": "Desk"}), web.put({"call_request_method": "GET"})
    assert judged(link, first, fake(first, 200, record | {"name": "Desk"})) == {}
    assert judged(link, second, fake(second, 200, record | {"call_request_method": "GET"})) == {
        "contract_read_back": {"update_phone_number.read_back"}
    }


def test_a_refused_update_leaves_no_trace(web: Requests, link: bridge._Bridge) -> None:
    """A read that shows a value of an update that was refused is told; another change is somebody else's."""
    record = json.loads(web.send(web.get()).content)
    update, read = web.put({"name": "Trace", "call_handler": "bogus"}), web.get()
    assert judged(link, update, fake(update, 422, {"errors": []})) == {}
    assert judged(link, read, fake(read, 200, record | {"call_request_url": "https://example.com/x"})) == {}
    assert judged(link, update, fake(update, 422, {"errors": []})) == {}
    assert judged(link, read, fake(read, 200, record | {"name": "Trace"})) == {
        "contract_rejection": {"update_phone_number.rejection.no_trace"}
    }


@pytest.mark.parametrize(
    ("body", "shown", "told"),
    [
        ({"name": "Desk"}, "Disk", {"contract_echo": {"update_phone_number.echo.name"}}),
        ({"name": " "}, None, {}),
        ({"name": None}, "", {}),
        ({"name": 7}, "7", {}),
        ({"name": "two\nlines"}, "twolines", {"contract_echo": {"update_phone_number.echo.name"}}),
        ({"call_handler": "ai_agent"}, None, {}),
        ({"call_handler": "bogus"}, "laml_webhooks", {"contract_rejection": {"update_phone_number.rejection.call_handler.enum"}}),
        ({"call_handler": "LAML_Webhooks"}, "laml_webhooks", {}),
        ({"call_handler": ""}, "laml_webhooks", {}),
        ({"call_handler": 7}, "laml_webhooks", {}),
        ({"call_request_url": "http://example.com:80/"}, "before", {}),
        ({"call_request_url": "https://example.com/A"}, "https://example.com/a", {"contract_echo": {"update_phone_number.echo.call_request_url"}}),
        ({"call_receive_mode": "fax"}, "voice", {"contract_echo": {"update_phone_number.echo.call_receive_mode"}}),
        (["a list"], "before", {}),
    ],
)  # fmt: skip
def test_only_what_is_certain_is_judged(
    web: Requests, link: bridge._Bridge, body: Any, shown: Any, told: dict[str, set[str]]
) -> None:
    """Of what schemathesis sends, documented values must be echoed; about the others an answer is free."""
    record = json.loads(web.send(web.get()).content)
    update = web.put(body)
    now = record | ({name: shown for name in body if shown != "before"} if isinstance(body, dict) else {})
    assert judged(link, update, fake(update, 200, now)) == told


def test_what_is_longer_than_documented_may_not_be_accepted(
    web: Requests, link: bridge._Bridge, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A length counts where the documents state it, and only there."""
    record = json.loads(web.send(web.get()).content)
    update = web.put({"name": "x" * 256})
    assert judged(link, update, fake(update, 200, record | {"name": "x" * 256})) == {}
    text = spec.bundled().read_text("utf-8").replace("maxLength: {basis: inferred", "maxLength: {basis: documented")
    (tmp_path / "strict.yaml").write_text(text, encoding="utf-8")
    monkeypatch.setenv("CONTRACT_SPEC", str(tmp_path / "strict.yaml"))
    bridge._bridge.cache_clear()
    found = judged(bridge._bridge(), update, fake(update, 200, record | {"name": "x" * 256}))
    assert found["contract_rejection"] == {"update_phone_number.rejection.name.maxLength"}


def test_an_omission_counts_while_nothing_is_stored(web: Requests, link: bridge._Bridge) -> None:
    """A selector's value without its companion may not be accepted, where a read showed that there is none."""
    record = json.loads(web.send(web.get()).content)
    read, update = web.get(), web.put({"call_handler": "video_room"})
    rule = "update_phone_number.handler.call_handler.video_room.requires.call_video_room_id"
    told = {"contract_handlers": {rule}}
    for before, expected in (
        ({"call_video_room_id": None}, told),
        ({"call_video_room_id": "a0ff96f1-4ee6-4bcf-862e-13b61b1c48ed"}, {}),
        ({"call_video_room_id": None, "call_handler": "video_room"}, {}),
    ):
        link.records.clear()
        judged(link, read, fake(read, 200, record | before))
        after = record | before | {"call_handler": "video_room"}
        assert judged(link, update, fake(update, 200, after)) == expected
        # Seen only in an update's answer, the record proves nothing.
        assert judged(link, update, fake(update, 200, after)) == {}


def test_without_a_known_record_less_is_certain(web: Requests, link: bridge._Bridge) -> None:
    """Where nobody knows what stood there, a value that the documents do not promise may have been ignored."""
    record = json.loads(web.send(web.get()).content)
    link.records.clear()
    update = web.put({"name": "two\nlines"})
    assert judged(link, update, fake(update, 200, record)) == {}


def test_the_tour_must_be_accepted(web: Requests, link: bridge._Bridge) -> None:
    """A step of the tour that is refused breaks the promise to accept; schemathesis's own bodies do not."""
    examples: list[Any] = []
    operation = web.schema[UPDATE.path]["PUT"]
    bridge.before_add_examples(schemathesis.HookContext(operation=operation), examples)
    steps = [case for case in examples if case.method == "PUT"]
    assert {case.path_parameters["id"] for case in examples} == {web.server.ids[0]}
    assert len(steps) > 60
    assert any(case.method == "GET" for case in examples)
    assert examples[-1].method == "GET"
    assert "call_handler" in steps[-1].body
    refusal = {"errors": [{"detail": None, "status": "422", "title": "x", "code": "422"}]}
    step, other = steps[-1], web.put({"name": "Desk"})
    assert judged(link, step, fake(step, 422, refusal)) == {"contract_accept": {"update_phone_number.accept"}}
    assert judged(link, other, fake(other, 422, refusal)) == {}
    busy = fake(step, 429, {})
    assert judged(link, step, busy) == {}


def test_the_tour_is_short_in_profile_smoke(
    web: Requests, link: bridge._Bridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The profile of the configuration decides how long the tour is; without ids there is none."""
    operation = web.schema[UPDATE.path]["PUT"]
    sizes = []
    for change in (("CONTRACT_PROFILE", "smoke"), ("CONTRACT_PROFILE", "deep"), ("CONTRACT_IDS", None)):
        monkeypatch.delenv(change[0], raising=False)
        if change[1] is not None:
            monkeypatch.setenv(change[0], change[1])
        bridge._bridge.cache_clear()
        examples: list[Any] = []
        bridge.before_add_examples(schemathesis.HookContext(operation=operation), examples)
        sizes.append(len(examples))
    assert 5 < sizes[0] < 30 < sizes[1]
    assert sizes[2] == 0


def test_values_are_fitted_to_the_record(web: Requests, link: bridge._Bridge, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ids of things that exist are sent for invented ones; a step sends nothing that the record cannot do."""
    monkeypatch.setitem(link.settings.resources, "call_video_room_id", "known-room")
    update = web.put({"call_video_room_id": "invented", "call_sip_endpoint_id": "kept", "call_receive_mode": "fax"})
    link.prepare(update)
    assert update.body == {
        "call_video_room_id": "known-room",
        "call_sip_endpoint_id": "kept",
        "call_receive_mode": "fax",
    }
    link.tours.add(update.id)
    link.prepare(update)
    assert "call_receive_mode" not in update.body


@pytest.mark.parametrize(
    ("schema", "value", "named"),
    [
        ({"type": "integer"}, 7, True),
        ({"type": "integer"}, "7", True),
        ({"type": "integer"}, "seven", False),
        ({"type": "string"}, 7, True),
        ({"type": "string", "format": "uuid"}, "7", False),
    ],
)
def test_what_may_name_a_record(schema: dict[str, Any], value: Any, named: bool) -> None:
    """A number names a record as a number or as text; what has the wrong form names none."""
    assert bridge._may_name(schema, value) is named


@pytest.mark.parametrize(
    ("schema", "value", "kind"),
    [
        ({"type": "boolean"}, True, ""),
        ({"type": "integer"}, 7, ""),
        ({"type": "integer"}, 10**12, "any"),
        ({"type": "number"}, 0.25, ""),
        ({"type": "number"}, 0.123456789, "any"),
        ({"type": "array", "items": {"enum": ["a", "b"]}}, ["b", "a"], ""),
        ({"type": "array", "items": {"enum": ["a", "b"]}}, ["a", "a"], "any"),
        ({"type": "array", "items": {"type": "string"}}, ["x"], "exact"),
        ({"type": "string"}, "x" * 101, "exact"),
        ({"type": "string", "maxLength": 3}, "four", "any"),
        ({"type": "string", "format": "uri"}, "https://example.com/a?b=1", ""),
        ({"type": "string", "format": "uri"}, "https://example.com/a#b", "exact"),
    ],
)
def test_how_certain_a_value_is(schema: dict[str, Any], value: Any, kind: str) -> None:
    """Plain values must come back to the letter; what some APIs do not keep is judged less, or not at all."""
    item = spec.Field(name="x", schema=schema, fact=Fact("documented", ""))
    assert bridge._kind(item, value) == kind


def test_updates_go_to_the_configured_records_only(web: Requests, link: bridge._Bridge) -> None:
    """An update of a record that schemathesis came across is sent to ours; what names no record stays."""
    mine, other = web.server.ids[:2]
    for sent, expected in ((mine, mine), (other, mine), ("no-uuid", "no-uuid")):
        update = web.put({"name": "x"}, sent)
        link.prepare(update)
        assert update.path_parameters["id"] == expected
    read = web.get(other)
    link.prepare(read)
    assert read.path_parameters["id"] == other


def test_undeclared_methods_meet_nobody(web: Requests, link: bridge._Bridge) -> None:
    """A DELETE that the contract does not know is sent to an id that no record has, and forgets what was known."""
    web.send(web.get())
    case = web.put({}, web.server.ids[0])
    case.method = "DELETE"
    link.prepare(case)
    assert case.path_parameters["id"] not in web.server.ids
    assert broken(case, fake(case, 200, {})) == {}
    assert link.records == {}


def test_two_requests_side_by_side_prove_nothing(web: Requests, link: bridge._Bridge) -> None:
    """While an update of another thread is under way, nothing is said about before and after."""
    record = json.loads(web.send(web.get()).content)
    update, read = web.put({"name": "Desk"}), web.get()
    other = threading.Thread(target=link.prepare, args=(web.put({"name": "Other"}),))
    link.prepare(read)
    other.start()
    other.join()
    assert broken(read, fake(read, 200, record | {"name": "Other"})) == {}
    assert judged(link, update, fake(update, 200, record | {"name": "Desk", "cnam": "X"})) == {}


def test_no_answer_and_no_service_forget_the_record(web: Requests, link: bridge._Bridge) -> None:
    """After an update without a usable answer, what stands there is unknown."""
    record = json.loads(web.send(web.get()).content)
    update, read = web.put({"name": "Desk"}), web.get()
    for status in (503, 500):
        judged(link, read, fake(read, 200, record))
        assert judged(link, update, fake(update, status, None, b"busy")) == {}
        assert not link.records or link.records[web.server.ids[0]].known is None
    judged(link, read, fake(read, 200, record))
    link.prepare(update)
    bridge.after_network_error(schemathesis.HookContext(), update, None)
    assert link.records == {}


def test_another_api_is_none_of_its_business(link: bridge._Bridge) -> None:
    """Operations that the contract does not know are sent and judged by schemathesis alone."""
    other = {"openapi": "3.1.0", "info": {"title": "x", "version": "1"}, "paths": {"/x": {"get": {"responses": {}}}}}
    operation = schemathesis.openapi.from_dict(other)["/x"]["GET"]
    case = operation.Case()
    examples: list[Any] = []
    bridge.before_add_examples(schemathesis.HookContext(operation=operation), examples)
    assert examples == []
    assert judged(link, case, fake(case, 200, {})) == {}
    bridge.after_network_error(schemathesis.HookContext(operation=operation), case, None)


def test_a_failure_is_known_by_its_rule(web: Requests, link: bridge._Bridge, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two failures are one where operation and rule are, whatever they say; masked fields stay masked."""
    record = json.loads(web.send(web.get()).content)
    monkeypatch.setenv("CONTRACT_MASK", "/number")
    bridge._bridge.cache_clear()
    found: list[Any] = []
    for number in ("+15550100", "12"):
        read = web.get()
        with pytest.raises(FailureGroup) as group:
            check("contract_shape")(None, fake(read, 200, record | {"number": f"{number}x"}), read)
        found += group.value.exceptions
    one, two = found
    assert one == two
    assert one._unique_key == one.rule == "retrieve_phone_number.e164.number"
    assert "+15550100x" not in one.message
    assert one.message.startswith("number is not a well-formed e164 (at /number)\n\n    expected: ")
    assert f"Rule {one.rule}: number is an E.164 number" in one.message


def test_weaker_facts_are_failures_only_where_asked_for(
    web: Requests, link: bridge._Bridge, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A rule whose basis is weaker than ``strict`` is no failure of a run."""
    record = json.loads(web.send(web.get()).content) | {"country_code": "ZZ"}
    known = "ISO 3166-1 alpha-2 code.\n          x-basis: "
    text = spec.bundled().read_text(encoding="utf-8")
    assert f"{known}documented" in text
    (tmp_path / "weak.openapi.yaml").write_text(text.replace(f"{known}documented", f"{known}inferred"))
    monkeypatch.setenv("CONTRACT_SPEC", str(tmp_path / "weak.openapi.yaml"))
    for strict, told in (
        ("documented", {}),
        ("inferred", {"contract_shape": {"retrieve_phone_number.e164.country_code"}}),
    ):
        monkeypatch.setenv("CONTRACT_STRICT", strict)
        bridge._bridge.cache_clear()
        read = web.get()
        assert broken(read, fake(read, 200, record)) == told


def test_importing_the_module_twice_is_harmless() -> None:
    """The hooks module reads no setting and no fragment while it is imported."""
    code = "import os; os.environ['CONTRACT_SEED'] = 'x'; import contract.schemathesis as a; from importlib import reload; reload(a)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
