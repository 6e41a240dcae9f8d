"""Custody: the journal, the lease, the way back, and what happens when a run is cut off or is not alone."""

from __future__ import annotations

import json
import math
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
import yaml

from contract import reference
from contract.check import Judge
from contract.cli import main
from contract.custody import Custody, Journal, state_directory
from contract.errors import ContractError, CustodyError, SendError
from contract.generate import Generator
from contract.ledger import Failure
from contract.mask import Mask
from contract.model import Case, Finding, Interaction, Response
from contract.plan import Block
from contract.preflight import unrestorable
from contract.reference import Direct, Running
from contract.report import restored_lines
from contract.reproduce import Look, _ignored, _stale
from contract.restore import Restored, _Way, differences, establish, restore, writable
from contract.result import Result
from contract.run import Runner, restore_all
from contract.suspects import Suspects
from contract.walk import Walk, wake
from tests.fragments import REQUEST, RESPONSE, lamp
from tests.kit import (
    CONTRACT,
    Harm,
    Harmed,
    Outcome,
    Turns,
    broken,
    credentials,
    outcome,
    record,
    run,
    sent,
    session_on,
    settings,
)
from tests.proxy import Exchange, Lost, Proxy, faulty, passing

URL = "https://staging.example.com/api/relay/rest"
ID = "3fa85f64-5717-4562-b3fc-2c963f66afa6"
RECORD = {"id": ID, "name": "Café 🏢 <b>", "call_handler": None}
MINUTE = 60.0


def put(server: Running, body: Mapping[str, Any], number: int = 0) -> None:
    """Writes to a number, as somebody else would."""
    with client(server) as other:
        assert other.put(f"/phone_numbers/{server.ids[number]}", json=dict(body)).status_code == 200


def client(server: Running) -> httpx.Client:
    """Somebody else, who uses the same server."""
    auth = (server.username, server.password)
    return httpx.Client(base_url=server.base_url, auth=auth, transport=Direct(server))


def refusal(status: int = 422, detail: str | None = "can't be null") -> httpx.Response:
    """An error that the server did not make."""
    error = {"detail": detail, "status": str(status), "title": "Invalid Attribute", "code": "422"}
    return httpx.Response(status, json={"errors": [error]})


def rewritten(answer: httpx.Response, content: bytes) -> httpx.Response:
    """An answer with another body."""
    headers = {name: value for name, value in answer.headers.items() if name != "content-length"}
    return httpx.Response(answer.status_code, headers=headers, content=content)


def ran(server: Running, folder: Path, harm: Harm | Harmed | None = None, **more: Any) -> Result:
    """A run with these settings, what it sends being harmed on the way."""
    way = harm if isinstance(harm, Harmed) else Harmed(server, harm)
    return run(settings(server, folder, **more), credentials(server), transport=way)


def told(server: Running, folder: Path, harm: Harm | Harmed | None = None, **more: Any) -> Outcome:
    """The same as its user sees it, but for the files."""
    way = harm if isinstance(harm, Harmed) else Harmed(server, harm)
    return outcome(settings(server, folder, **more), credentials(server), reports=False, transport=way)


def put_back(server: Running, folder: Path, record: Mapping[str, Any], by: Mapping[str, Any] | None = None) -> Restored:
    """What `contract restore` does where a run was cut off that had found *record*, and somebody wrote *by* then."""
    chosen = settings(server, folder)
    Journal.of(Path(chosen.state_dir), chosen.base_url, server.ids[0]).write(chosen.base_url, server.ids[0], record)
    if by is not None:
        put(server, by)
    return restore_all(chosen, credentials(server))[server.ids[0]]


def command(capsys: pytest.CaptureFixture[str], *args: str) -> tuple[int, str, str]:
    """(exit status, output, errors) of the command."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as end:
        main(list(args))
    shown = capsys.readouterr()
    return int(end.value.code or 0), shown.out, shown.err


# ----------------------------------------------------------------------- journal


def test_a_journal_holds_the_record_and_is_for_its_owner_alone(tmp_path: Path) -> None:
    """What was written is read again to the letter; file and folder are private."""
    journal = Journal.of(tmp_path / "state", URL, ID)
    assert journal.read() is None
    journal.write(URL, ID, RECORD)
    found = journal.read()

    assert found is not None
    assert (found["base_url"], found["id"], found["record"]) == (URL, ID, RECORD)
    assert journal.path.stat().st_mode & 0o777 == 0o600
    assert journal.path.parent.stat().st_mode & 0o777 == 0o700
    assert [one for one, _ in Journal.all(tmp_path / "state", URL)] == [journal]
    assert list(Journal.all(tmp_path / "state", URL + "/other")) == []
    journal.remove()
    journal.remove()
    assert journal.read() is None


def test_a_journal_is_on_disk_before_anything_is_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is synchronised before it gets its name, and the folder after."""
    steps: list[str] = []
    right, rename = os.fsync, Path.replace

    def fsync(descriptor: int) -> None:
        steps.append("folder" if os.path.isdir(f"/proc/self/fd/{descriptor}") else "file")
        right(descriptor)

    def replace(self: Path, target: Any) -> Path:
        steps.append("name")
        return rename(self, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "replace", replace)
    Journal.of(tmp_path, URL, ID).write(URL, ID, RECORD)

    if Path("/proc/self/fd").exists():
        assert steps == ["file", "name", "folder"]


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"\xff\xfe", b"[]", b'{"id": "x"}', b'{"id": "x", "base_url": "y", "record": []}', b"[" * 99999],
)
def test_a_journal_that_cannot_be_read_is_named_and_stops_the_run(content: bytes, tmp_path: Path) -> None:
    """A damaged journal is no journal that can be ignored: the message names the file and says what now."""
    custody = Custody(tmp_path, URL, ID)
    custody.journal.path.write_bytes(content)
    with pytest.raises(CustodyError, match="see to the record by hand, then remove the file") as error:
        custody.acquire()

    assert str(custody.journal.path) in str(error.value)
    custody.journal.remove()
    assert custody.acquire() is None, "the lease was given back"
    custody.release()


def test_the_way_back_names_the_fragment_and_the_folder(tmp_path: Path) -> None:
    """Where they are not the usual ones: the line can be pasted."""
    assert Custody(state_directory(), URL, ID).way == f"contract restore --base-url {URL}"
    way = Custody(tmp_path / "a b", URL, ID, "my own.yaml").way
    assert way == f"contract restore --base-url {URL} --spec 'my own.yaml' --state-dir '{tmp_path}/a b'"


def test_a_damaged_journal_does_not_keep_the_others_from_being_put_back(tmp_path: Path) -> None:
    """The readable ones come first, and then the error."""
    (tmp_path / "0.json").write_text("?")
    good = Journal.of(tmp_path, URL, ID)
    good.write(URL, ID, RECORD)
    found = Journal.all(tmp_path, URL)

    assert next(found)[0] == good
    with pytest.raises(CustodyError, match=r"0\.json"):
        next(found)


@pytest.mark.parametrize(
    ("url", "id", "same"),
    [
        (URL + "/", ID, True),
        ("HTTPS://Staging.Example.com:443/api/relay/rest", ID.upper(), True),
        (URL, ID.replace("3", "4"), False),
        (URL.replace("https", "http"), ID, False),
        (URL + "/v2", ID, False),
        (URL.replace(".com", ".com:8443"), ID, False),
        ("http://[", ID, False),
    ],
)
def test_one_record_has_one_journal_however_it_is_spelt(url: str, id: str, same: bool, tmp_path: Path) -> None:
    """Capitals, the usual port and a slash at the end make no difference; everything else does."""
    assert (Journal.of(tmp_path, url, id) == Journal.of(tmp_path, URL, ID)) is same


def test_journals_survive_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They stand in the configured folder, or in the user's state directory."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert state_directory() == tmp_path / "pytest-contract"
    assert state_directory("~/x") == Path.home() / "x"
    monkeypatch.setenv("XDG_STATE_HOME", "relative")
    assert state_directory() == Path.home() / ".local" / "state" / "pytest-contract"


@pytest.mark.parametrize("inside", ["", "deeper"])
def test_without_a_place_for_the_journal_nothing_is_sent(inside: str, tmp_path: Path) -> None:
    """A state directory that is a file ends the run before the first request, with the path in the message."""
    (tmp_path / "file").write_text("")
    place = tmp_path / "file" / inside if inside else tmp_path / "file"
    with reference.running() as server:
        way = Harmed(server)
        found = told(server, tmp_path, way, state_dir=str(place))

    assert (found.status, way.requests) == (2, [])
    assert "the state directory" in found.text
    assert str(place) in found.text


def test_a_journal_that_cannot_be_written_leaves_none_behind(tmp_path: Path) -> None:
    """Where the second of two records gets no journal the first one's goes too, because nothing was changed."""
    with reference.running() as server:
        chosen = settings(server, tmp_path)
        blocked = Journal.of(Path(chosen.state_dir), chosen.base_url, server.ids[1]).path.with_suffix(".new")
        blocked.mkdir(parents=True)
        found = told(server, tmp_path, ids=server.ids[:2])

    assert (found.status, found.journals) == (2, [])
    assert "cannot be written" in found.text


# ------------------------------------------------------------------------- lease


def test_a_lease_has_one_holder(tmp_path: Path) -> None:
    """The second one is told whose it is; when the first is done it is free."""
    first, second = Custody(tmp_path, URL, ID), Custody(tmp_path, URL + "/", ID.upper())
    first.acquire()
    with pytest.raises(CustodyError, match="another run is at work"):
        second.acquire()
    first.release()
    second.acquire()
    second.release()


def test_two_runs_on_one_number_do_not_overlap(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The second one ends with 2 and a plain line, sends nothing, and leaves the first one alone."""
    monkeypatch.chdir(tmp_path)
    reached, go_on = threading.Event(), threading.Event()

    def harm(exchange: Exchange) -> None:
        if exchange.number == 20:
            reached.set()
            go_on.wait(MINUTE)
        passing(exchange)

    with reference.running() as server, Proxy(server.base_url, harm) as proxy, ThreadPoolExecutor(1) as pool:
        chosen = settings(server, tmp_path, base_url=proxy.base_url, timeout=MINUTE, profile="smoke")
        first = pool.submit(run, chosen, credentials(server))
        try:
            assert reached.wait(MINUTE)
            monkeypatch.setenv("CONTRACT_USERNAME", server.username)
            monkeypatch.setenv("CONTRACT_PASSWORD", server.password)
            base = ["--base-url", proxy.base_url, "--state-dir", str(tmp_path / "journals")]
            second = command(capsys, "run", *base, "--id", server.ids[0], "--profile", "smoke")
            asked = command(capsys, "restore", *base)
            assert proxy.exchanges == 20
        finally:
            go_on.set()
        assert first.result(MINUTE).verdict == "kept"

    assert second == (
        2,
        "",
        f"contract: another run is at work on {server.ids[0]}; wait for it to end, or give this one another id\n",
    )
    assert asked[0] == 2
    assert "another run is at work" in asked[1]


# ------------------------------------------------------------------ being cut off


@pytest.mark.parametrize(
    ("kill", "moment", "answered"),
    [
        (signal.SIGKILL, 1, False),  # Nothing is written yet.
        (signal.SIGKILL, 22, True),
        (signal.SIGTERM, 20, False),
        (signal.SIGINT, 21, True),
    ],
)
def test_a_run_that_is_cut_off_leaves_the_number_as_it_was(
    kill: signal.Signals,
    moment: int,
    answered: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Before the server sees a request or after it has done what it says. SIGTERM and SIGINT put the number back at once;
    after SIGKILL the next run refuses, and says how to go on, and `contract restore` does it; where nothing was
    written yet no journal is left, and the next run goes on as if nothing had been.
    """

    def harm(exchange: Exchange) -> None:
        if exchange.number != moment:
            passing(exchange)
            return
        answer = exchange.answer() if answered else b""
        process.send_signal(kill)
        if kill == signal.SIGKILL:
            process.wait(MINUTE)
            raise Lost
        exchange.send(answer or exchange.answer())

    monkeypatch.chdir(tmp_path)
    journals = tmp_path / "journals"
    with reference.running() as server, Proxy(server.base_url, harm) as proxy:
        monkeypatch.setenv("CONTRACT_USERNAME", server.username)
        monkeypatch.setenv("CONTRACT_PASSWORD", server.password)
        before = record(server)
        base = ["--base-url", proxy.base_url, "--state-dir", str(journals)]
        again = ["run", *base, "--id", server.ids[0], "--profile", "smoke"]
        line, pipe = [sys.executable, "-m", "contract", *again], subprocess.PIPE
        process = subprocess.Popen(line, text=True, stdout=pipe, stderr=pipe)
        shown = "".join(process.communicate(timeout=MINUTE))
        assert "Traceback" not in shown
        if kill != signal.SIGKILL:
            assert process.returncode == 2, shown
            assert kill.name in shown
        else:
            assert process.returncode == -signal.SIGKILL, shown
            assert bool(list(journals.glob("*.json"))) == (record(server) != before) == (moment > 1)
            exchanges = proxy.exchanges
            status, _, errors = command(capsys, *again)
            assert status == (2 if moment > 1 else 0)
            assert moment == 1 or ("contract restore" in errors and proxy.exchanges == exchanges)
            assert command(capsys, "restore", *base)[0] == 0
        assert record(server) == before

    assert list(journals.glob("*.json")) == []


def names_itself(request: httpx.Request) -> bool:
    """True for an update that writes to the id."""
    return request.method == "PUT" and "id" in sent(request)


def test_an_id_that_can_be_written_is_told_and_put_back(tmp_path: Path) -> None:
    """The number answers under another id after the update; it is found there, and gets its own again."""
    with reference.running(defect="id-writable") as server:
        before = record(server)
        result = run(settings(server, tmp_path), credentials(server))
        assert record(server) == before

    assert broken(result) == ["update_phone_number.rejection.read_only"]
    assert result.restored[server.ids[0]].verdict == "restored"
    assert "id was written to" in [f.finding.message for f in result.ledger.failures]


def test_an_id_that_is_only_shown_otherwise_is_put_back(tmp_path: Path) -> None:
    """The number is still found under its id, but calls itself by another one until that is written again."""
    called = ""

    def harm(way: Harmed, request: httpx.Request) -> httpx.Response:
        nonlocal called
        answer = way.passing(request)
        if names_itself(request):
            called = sent(request)["id"]
        return rewritten(answer, answer.content.replace(own.encode(), (called or own).encode()))

    with reference.running() as server:
        own = server.ids[0]
        before = record(server)
        result = ran(server, tmp_path, harm)
        assert record(server) == before

    assert broken(result) == ["update_phone_number.rejection.read_only"]
    assert called == own


def test_a_run_that_is_cut_off_while_the_id_is_another_is_put_back(tmp_path: Path) -> None:
    """The record is found under what its id has become: by the run itself after SIGTERM, and by `contract restore` after
    a kill in the same moment, which leaves the journal.
    """
    journals = tmp_path / "journals"
    left: dict[Path, bytes] = {}

    def harm(way: Harmed, request: httpx.Request) -> httpx.Response:
        answer = way.passing(request)
        if names_itself(request) and not left:
            left.update({path: path.read_bytes() for path in journals.glob("*.json")})
            assert signal.getsignal(signal.SIGTERM) != signal.SIG_DFL
            signal.raise_signal(signal.SIGTERM)
        return answer

    with reference.running(defect="id-writable") as server:
        before = record(server)
        found = told(server, tmp_path, harm)
        assert "the run was ended by SIGTERM" in found.text
        assert found.status == 2
        assert record(server) == before
        assert found.journals == []

        for path, content in left.items():
            path.write_bytes(content)
        put(server, {"id": server.ids[0].swapcase(), "name": "left by a run that was killed"})
        done = restore_all(settings(server, tmp_path), credentials(server))
        assert {id: one.verdict for id, one in done.items()} == {server.ids[0]: "restored"}
        assert record(server) == before
    assert list(journals.glob("*.json")) == []


def test_an_id_may_be_given_in_capitals(tmp_path: Path) -> None:
    """An API that takes a UUID in capitals, and writes it in small letters, keeps the contract."""

    def harm(way: Harmed, request: httpx.Request) -> httpx.Response:
        start, slash, id = request.url.path.rpartition("/")
        url = request.url.copy_with(path=start + slash + (id.lower() if len(id) == 36 else id))
        headers, content = request.headers, request.content
        return way.passing(httpx.Request(request.method, url, headers=headers, content=content))

    with reference.running() as server:
        result = ran(server, tmp_path, harm, ids=(server.ids[0].upper(),))

    assert result.verdict == "kept"
    assert result.restored[server.ids[0].upper()].verdict == "restored"


def test_a_fault_of_this_tool_puts_the_number_back_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bug shows as what it is, in every thread, and the records are as they were."""
    right = Walk.send
    count = iter(range(10_000))

    def fails(self: Walk, case: Any) -> None:
        if next(count) == 60:
            raise ZeroDivisionError("a bug")
        right(self, case)

    monkeypatch.setattr(Walk, "send", fails)
    with reference.running() as server:
        before = [record(server, n) for n in (0, 1)]
        chosen = settings(server, tmp_path, ids=server.ids[:2])
        with pytest.raises(ZeroDivisionError):
            run(chosen, credentials(server))
        assert [record(server, n) for n in (0, 1)] == before

    assert list(Path(chosen.state_dir).glob("*.json")) == []


# ----------------------------------------------------------------------- restore


def wild(seed: int) -> list[dict[str, Any]]:
    """Updates that leave hardly a field as it was, each of them a right one."""
    chance = random.Random(seed)
    generator = Generator(CONTRACT.update, dict(reference.seed.RESOURCES))
    bodies = []
    for selector in generator.selectors:
        value = chance.choice(generator.enums[selector])
        bodies.append(generator.complete({selector: value}, lambda name: chance.choice(generator.firm(name))))
    names = [name for name in generator.fields if name not in generator.selectors]
    for name in chance.sample(names, 12):
        bodies.append({name: chance.choice(generator.firm(name))})
    return bodies


VARIANTS = (
    None,
    "null-ignored",
    "companions-in-body",
    "former-cleared",
    "aliases-mirrored",
    "blank-refused",
    "callback-required",
    "unavailable",
    "rate-limited",
)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("seed", [1, 2])
def test_a_record_is_put_back_whatever_order_the_server_wants(variant: str | None, seed: int, tmp_path: Path) -> None:
    """Handlers before and with their companions, aliases apart, nulls last: a strict server takes one of these."""
    with reference.running(variant=variant) as server:
        before = record(server)
        with client(server) as other:
            for body in wild(seed):
                for _ in range(3):
                    status = other.put(f"/phone_numbers/{server.ids[0]}", json=body).status_code
                    if status not in {429, 503}:
                        break
        assert record_of(server) != before
        done = put_back(server, tmp_path, before | {"updated_at": "2026-01-01T00:00:00Z"})
        now = record_of(server)

    left = {name: (before[name], now[name]) for name in before if name in now and now[name] != before[name]}
    assert {name: pair for name, pair in left.items() if not name.endswith("_resource_id")} == done.left
    assert all(was is None for was, _ in done.left.values()), "only what cannot be cleared is left"
    assert done.verdict == ("not_restored" if done.left else "restored")
    if variant != "null-ignored":
        assert done.left == {}
    assert list((tmp_path / "journals").glob("*.json")) == []


def record_of(server: Running) -> dict[str, Any]:
    """The record, from a server that may put a request off."""
    for _ in range(5):
        with suppress(httpx.HTTPStatusError):
            return record(server)
    raise AssertionError("the server puts everything off")


@pytest.mark.parametrize("defect", ["second-write-in-a-second", "webhooks-keep-their-url"])
def test_what_the_first_way_back_does_not_put_back_another_one_does(defect: str, tmp_path: Path) -> None:
    """Where what is accepted is not held, the way back waits for another second; where the handler that was found keeps
    its own address as it is, another handler stands in for it.
    """
    with reference.running(defect=defect) as server:
        before = record(server)
        assert before["call_handler"] == "laml_webhooks"
        found = told(server, tmp_path)
        now = record(server)

    assert found.status == 1, found.text
    assert now == before
    assert "was put back as it was" in found.text


@pytest.mark.parametrize("selector", ["call_handler", "message_handler"])
def test_a_handler_that_is_refused_as_it_stands_is_broken_and_left_alone(selector: str, tmp_path: Path) -> None:
    """What could not be set back is not changed: the refusal of what stands there is told, and the run ends."""
    with reference.running(defect=f"{selector.partition('_')[0]}-laml-webhooks-refused") as server:
        before = record(server)
        found = told(server, tmp_path)
        now = record(server)

    assert found.status == 1, found.text
    assert f"handler.{selector}.laml_webhooks.accepted" in found.text
    assert now == before
    assert found.result is not None
    assert "not_restored" not in {done.verdict for done in found.result.restored.values()}


def test_an_address_that_is_refused_as_it_stands_is_found_before_anything_changes(tmp_path: Path) -> None:
    """A value that was taken once and is no longer taken is named, and nothing is changed."""

    def harm(way: Harmed, request: httpx.Request) -> httpx.Response:
        if request.method == "PUT" and b'"http://' in request.content:
            return httpx.Response(400, json={})
        return way.passing(request)

    with reference.running() as server:
        put(server, {"call_fallback_url": "http://old.example.com/a"})
        before = record(server)
        found = told(server, tmp_path, harm)
        now = record(server)

    assert found.status == 2, found.text
    assert "1 field could not be put back, so nothing was changed: call_fallback_url" in found.text
    assert now == before


def test_what_stood_where_a_cut_off_run_is_put_back_is_told(tmp_path: Path) -> None:
    """Nobody knows whose it was: it may be what somebody else wrote since, and is not to be lost without a word."""
    with reference.running() as server:
        done = put_back(server, tmp_path, record(server), {"name": "somebody else's"})

    assert (done.verdict, done.replaced) == ("restored", {"name": "somebody else's"})
    assert "        name: somebody else's stood there" in [*restored_lines(server.ids[0], done, Mask())]


def test_what_is_left_where_null_is_refused_is_named(tmp_path: Path) -> None:
    """A server that takes no null cannot be brought back to null; every such field is told with both values."""
    theirs = {"call_handler": "relay_topic", "call_relay_topic": "their topic", "name": "another"}
    with reference.running(variant="null-refused") as server:
        before = record(server)
        done = put_back(server, tmp_path, before, theirs)
        now = record(server)

    assert done.verdict == "not_restored"
    assert done.left == {"call_relay_topic": (None, now["call_relay_topic"])}
    assert (now["name"], now["call_handler"]) == (before["name"], before["call_handler"])


def test_each_value_is_visited_where_only_leaving_it_clears_what_it_uses(tmp_path: Path) -> None:
    """Where null is refused, and a companion is cleared when its value is left, companions are cleared all the same: in
    one round through the values, within the 300 requests of a run.
    """
    with reference.running(variant="null-refused+former-cleared") as server:
        found = ran(server, tmp_path, allow_unrestorable=True)
        now = record(server)

    assert found.requests <= 300
    assert [n for n, v in now.items() if n.endswith(("_script_url", "_context", "_topic")) and v] == []
    kept = {"call_relay_application", "message_relay_application", "call_relay_context_status_callback_url"}
    assert {*found.restored[server.ids[0]].left} <= kept


def test_with_permission_the_run_goes_on_and_tells_what_is_left(tmp_path: Path) -> None:
    """`allow_unrestorable` exercises everything, and the report shows each field that is not as it was: no markup and
    nothing that an API may choke on stays in a record; what someone else wrote does.
    """
    theirs = {"call_relay_topic": "their topic", "call_verto_resource": "<b>Desk</b> & <i>Co</i>"}
    with reference.running(variant="null-refused") as server:
        before = record(server)
        found = told(server, tmp_path, allow_unrestorable=True)
        now = record(server)
        done = put_back(server, tmp_path, before, theirs)

    assert found.status == 0, found.text
    assert found.result is not None
    left = found.result.restored[server.ids[0]].left
    assert {*left} == {name for name in before if before[name] != now[name] and not name.endswith("_resource_id")}
    assert all(f"{name}: was null, is " in found.text for name in left)
    assert found.journals == []
    assert {now[name] for name in left if name.startswith("call_relay_") and not name.endswith(("_url", "_id"))} == {
        "Front desk"
    }
    assert all(now[name] == f"https://example.com/{name.replace('_', '-')}" for name in left if name.endswith("_url"))
    assert {name: done.left[name][1] for name in theirs} == {
        "call_relay_topic": "their topic",
        "call_verto_resource": "Front desk",
    }


def test_nothing_to_put_back_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`contract restore` without a journal sends nothing and exits with 0."""
    monkeypatch.setenv("CONTRACT_USERNAME", "u")
    monkeypatch.setenv("CONTRACT_PASSWORD", "p")
    found = command(capsys, "restore", "--base-url", "http://127.0.0.1:9/api", "--state-dir", str(tmp_path))

    assert found == (0, "nothing to put back: no run was cut off here\n", "")


@pytest.mark.parametrize("status", [401, 404])
def test_restoring_with_wrong_credentials_changes_nothing(status: int, tmp_path: Path) -> None:
    """A record that may not be read is not written to unseen either, and the journal stays."""
    with reference.running() as server, Proxy(server.base_url) as proxy:
        chosen = settings(server, tmp_path, base_url=proxy.base_url)
        id = server.ids[0] if status == 401 else ID
        journal = Journal.of(Path(chosen.state_dir), chosen.base_url, id)
        journal.write(chosen.base_url, id, record(server))
        given = credentials(server) | ({"password": "wrong"} if status == 401 else {})
        done = restore_all(chosen, given)[id]

        assert {one.line.split()[0] for one in proxy.requests} == {"GET"}
    assert done.verdict == "not_restored"
    assert f"cannot be read ({status})" in done.note
    assert done.way.startswith(f"contract restore --base-url {chosen.base_url}")
    assert journal.read() is not None


@pytest.mark.parametrize("refuses", [False, True], ids=["null clears", "null refused first"])
def test_a_record_that_this_run_made_unreadable_is_put_back_unseen(refuses: bool, tmp_path: Path) -> None:
    """An answer that is cut off where the record holds other letters than ASCII, also in what was null: what stood there
    is sent although nothing can be read, then null, and a plain text where that is refused.
    """
    readable = threading.Event()
    refusal = b'{"errors": [{"detail": null, "status": "422", "title": "no null", "code": "null"}]}'

    def harm(exchange: Exchange) -> None:
        if refuses and b"null" in exchange.body and not readable.is_set():
            refuse(exchange, 422, refusal)
            return
        head, _, body = exchange.answer().partition(b"\r\n\r\n")
        if str(json.loads(body)).isascii():
            readable.set()
        else:
            body = b"{" + b" " * (len(body) - 1)
        exchange.send(head + b"\r\n\r\n" + body)

    with reference.running() as server, Proxy(server.base_url, harm) as proxy:
        chosen = settings(server, tmp_path, base_url=proxy.base_url)
        before = record(server)
        empty = [
            n for n in writable(CONTRACT) if before[n] is None and n.endswith(("_topic", "_script_url", "_resource"))
        ]
        journal = Journal.of(Path(chosen.state_dir), chosen.base_url, server.ids[0])
        journal.write(chosen.base_url, server.ids[0], before)
        put(server, {"name": "Zoë", **{n: "https://example.com/ö" if n.endswith("_url") else "Ö" for n in empty}})
        done = restore_all(chosen, credentials(server))[server.ids[0]]

        assert record(server) == before
    assert empty
    assert done.verdict == "restored"


@pytest.mark.parametrize("status", [401, 409, 423, 500, 503, 0])
def test_the_journal_stays_as_long_as_updates_are_not_taken(status: int, tmp_path: Path) -> None:
    """What is read and cannot be written now may be put back another time: for that there is nothing but the journal."""

    def harm(exchange: Exchange) -> None:
        if not exchange.line.startswith("PUT"):
            passing(exchange)
        elif status:
            refuse(exchange, status, b"{}")
        else:
            raise Lost

    with reference.running() as server, Proxy(server.base_url, harm) as proxy:
        chosen = settings(server, tmp_path, base_url=proxy.base_url)
        before = record(server)
        journal = Journal.of(Path(chosen.state_dir), chosen.base_url, server.ids[0])
        journal.write(chosen.base_url, server.ids[0], before)
        put(server, {"name": "left by a run that was cut off"})
        done = restore_all(chosen, credentials(server))[server.ids[0]]
        kept = journal.read()
        later = restore_all(replace(chosen, base_url=server.base_url), credentials(server))
        proxy.harm = passing
        again = restore_all(chosen, credentials(server))[server.ids[0]]

        assert record(server)["name"] == before["name"]
    assert (done.verdict, set(done.left)) == ("not_restored", {"name"})
    assert done.note == (f"updates are answered {status}" if status not in {0, 503} else "answers were lost on the way")
    assert kept is not None
    assert later == {}
    assert again.verdict == "restored"
    assert journal.read() is None


def test_a_date_that_cannot_be_says_nothing(tmp_path: Path) -> None:
    """The header is used to tell how old a time stamp is, and may hold anything."""

    def harm(way: Harmed, request: httpx.Request) -> httpx.Response:
        answer = way.passing(request)
        answer.headers["date"] = "Mon, 01 Jan 2024 00:00:00 +99999999999999999999"
        return answer

    with reference.running() as server:
        found = told(server, tmp_path, harm, profile="smoke")

    assert found.status == 0, found.text


def test_what_leaves_out_nulls_is_put_back_all_the_same(tmp_path: Path) -> None:
    """Such an API breaks the contract, and its records are somebody's too."""

    def sparse(operation: str, status: int, body: Any) -> Any:
        single = status == 200 and operation != "list_phone_numbers"
        return {n: v for n, v in body.items() if v is not None} if single else body

    def plain(shown: dict[str, Any]) -> dict[str, Any]:
        return {n: v for n, v in shown.items() if not n.endswith("_resource_id")}

    with reference.running(mutate=sparse) as server:
        put(server, {"name": None})
        before = record(server)
        found = told(server, tmp_path)
        now = record(server)

    assert found.status == 1
    assert plain(now) == plain(before)
    assert found.journals == []


@pytest.mark.parametrize(("shown", "verdict"), [("blue", "not_restored"), ("red", "nothing_changed")])
def test_what_is_no_field_of_this_fragment_is_not_given_up(shown: str, verdict: str, tmp_path: Path) -> None:
    """The journal names what the run could change: where another fragment knows nothing of it, it is left, and said."""
    with reference.running(mutate=lambda _, __, body: {**body, "colour": shown}) as server:
        chosen = settings(server, tmp_path)
        journal = Journal.of(Path(chosen.state_dir), chosen.base_url, server.ids[0])
        journal.write(chosen.base_url, server.ids[0], {**record(server), "colour": "red"}, ["name", "colour"])
        done = restore_all(chosen, credentials(server))[server.ids[0]]
        kept = journal.read()

    assert done.verdict == verdict
    assert done.left == ({"colour": ("red", "blue")} if shown == "blue" else {})
    assert ("--spec" in done.note) == (shown == "blue")
    assert (kept is not None) == (shown == "blue")


def refuse(exchange: Exchange, status: int, body: bytes) -> None:
    """Answers with an error that the server behind the proxy did not make."""
    head = f"HTTP/1.1 {status} No\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    exchange.send(head.encode() + body)


@pytest.mark.parametrize(("defect", "lost"), [("third-change-lost", True), (None, False)])
def test_what_every_third_update_loses_is_seen_in_any_field(defect: str | None, lost: bool) -> None:
    """What no update can set shows that many fields were not as they were answered; another one is updated for it."""
    rule = f"{CONTRACT.update.id}.read_back"
    with reference.running(defect=defect) as server:
        session = session_on(server)
        session.read()
        case = Case(label="read", operation=CONTRACT.retrieve.id)
        response = Response(status=200, headers={}, body={})
        finding = Finding(rule=rule, message="", pointer="/messaging_handler_resource_id")
        interaction = Interaction(case=case, response=response, id=session.id)
        failure = Failure(finding=finding, interaction=interaction, number=1, body={})
        look = Look(session, rule, [failure])

        assert look.in_series(failure) == lost
        session.sender.close()


def test_a_series_is_repeated_from_where_its_first_update_changes_something() -> None:
    """What takes back at the third time what the first changed takes nothing back where the first changes nothing."""
    with reference.running(defect="third-time-undone") as server:
        session = session_on(server)
        session.read()
        was = session.now["call_request_method"]
        body = {"call_request_method": "GET" if was == "POST" else "POST"}
        cases = Case(label="again", operation=CONTRACT.update.id, body=body, expect="accept", repeat=2).repeated()
        for case in cases:
            session.perform(case)
        session.attempt(body, "and it stays")
        [failure, *_] = [f for f in session.failures() if f.finding.rule == f"{CONTRACT.update.id}.idempotence"]
        look = Look(session, failure.finding.rule, [failure])
        seen = look.again(failure, failure.interaction.case.repeated(), read=False)
        session.sender.close()

    assert failure.finding.actual == was
    assert seen


@pytest.mark.parametrize(
    ("operation", "shown", "older"),
    [
        ("retrieve_phone_number", {"updated_at": "2026-01-01T00:00:01Z"}, True),
        ("retrieve_phone_number", {"updated_at": "2026-01-01T00:00:02Z"}, False),
        ("retrieve_phone_number", {"updated_at": None}, False),
        ("retrieve_phone_number", [], False),
        ("update_phone_number", {"updated_at": "2026-01-01T00:00:01Z"}, False),
    ],
)
def test_a_read_with_an_older_stamp_is_nobody_elses_doing(operation: str, shown: Any, older: bool) -> None:
    """Whoever writes moves the stamp on: what a read shows with an earlier one is an older view of the record."""
    response = Response(status=200, headers={}, content=b"", body=shown)
    before = {"updated_at": "2026-01-01T00:00:02Z"}
    interaction = Interaction(case=Case(label="a", operation=operation), response=response, before=before, id="x")
    finding = Finding(
        rule=f"{CONTRACT.update.id}.read_back.name", message="", pointer="/name", expected="a", actual="b"
    )
    session: Any = SimpleNamespace(contract=CONTRACT, judge=Judge(CONTRACT))
    assert _stale(session, Failure(finding=finding, interaction=interaction, number=9, body=None)) is older


def test_what_was_filled_while_it_was_empty_is_emptied_before_it_is_looked_for_again() -> None:
    """An API may write to a field that was not sent only where it is null."""
    name, rule = "call_relay_script_url", f"{CONTRACT.update.id}.frame.call_relay_script_url"
    with reference.running() as server:
        session = session_on(server)
        session.read()
        session.perform(Case(label="fills it", operation=CONTRACT.update.id, body={"name": "a"}))
        case, number, before = session.updates[-1]
        assert before is not None
        assert before[name] is None
        session.attempt({name: "https://example.com/other"}, "and now")
        finding = Finding(rule=rule, message="", pointer=f"/{name}", expected=None, actual="https://example.com/")
        response = Response(status=200, headers={}, body={})
        interaction = Interaction(case=case, response=response, before=before, id=session.id)
        failure = Failure(finding=finding, interaction=interaction, number=number, body=case.body)
        failure.state = before
        Look(session, rule, [failure]).set_up(failure, [case], whole=False, always=False)
        session.sender.close()

    assert session.now[name] is None


@pytest.mark.parametrize(
    ("rule", "before", "shown", "ignored"),
    [
        ("echo.name", {"name": "stood"}, "stood", True),
        ("handler.call_handler.relay_topic.shown", {"name": None}, None, True),
        ("echo.name", {"name": "stood"}, "another", False),
        ("echo.name", {}, None, False),
        ("frame.name", {"name": "stood"}, "stood", False),
    ],
)
def test_an_update_that_is_ignored_is_nobody_elses_doing(
    rule: str, before: dict[str, Any], shown: Any, ignored: bool
) -> None:
    """Whoever writes between an update and its answer leaves something else than what stood before."""
    finding = Finding(rule=f"{CONTRACT.update.id}.{rule}", message="", pointer="/name", expected="sent", actual=shown)
    case = Case(label="a", operation=CONTRACT.update.id, body={"name": "sent"})
    interaction = Interaction(case=case, response=Response(status=200, headers={}), before=before, id="x")
    session: Any = SimpleNamespace(contract=CONTRACT, judge=Judge(CONTRACT))
    failure = Failure(finding=finding, interaction=interaction, number=9, body=None)
    assert _ignored(session, failure) is ignored


def test_a_stamp_that_went_back_is_moved_on_before_it_is_looked_for_again() -> None:
    """Where it stands now it goes back no more: what came before the update is sent first, as it was."""
    update = CONTRACT.update.id
    with reference.running() as server:
        session = session_on(server)
        session.read()
        for label, body in (("moves it on", {"name": "later"}), ("moves it back", {"call_receive_mode": "fax"})):
            session.perform(Case(label=label, operation=update, body=body))
        case, number, before = session.updates[-1]
        finding = Finding(rule=f"{update}.time.updated_at.forward", message="", pointer="/updated_at")
        interaction = Interaction(case=case, response=Response(status=200, headers={}), before=before, id=session.id)
        failure = Failure(finding=finding, interaction=interaction, number=number, body=case.body)
        cases, read, _ = next(Suspects(session, finding.rule).of(failure))
        session.sender.close()

    assert [c.label for c in cases] == ["moves it on", "moves it back"]
    assert not read


def test_what_was_refused_right_before_is_suspected_first() -> None:
    """Where an update seems not to be stored: an API may lose what comes after a refusal."""
    update = CONTRACT.update.id
    with reference.running() as server:
        session = session_on(server)
        session.read()
        for label, more in (
            ("no leave", {"credentials": "none", "body": {"name": "x"}, "rule": f"{update}.access.no_credentials"}),
            ("no object", {"content": b"[]", "rule": f"{update}.rejection.body"}),
            ("no value", {"body": {"call_receive_mode": "x"}, "rule": f"{update}.rejection.call_receive_mode.enum"}),
        ):
            session.perform(Case(label=label, operation=update, expect="reject", **more))
        session.perform(Case(label="writes it", operation=update, body={"name": "kept?"}))
        case = Case(label="shows it", operation=update, body={"call_receive_mode": "fax"})
        session.perform(case)
        finding = Finding(rule=f"{update}.frame.name", message="", pointer="/name")
        interaction = Interaction(case=case, response=Response(status=200, headers={}, body={}), id=session.id)
        failure = Failure(finding=finding, interaction=interaction, number=session.sender.count, body=case.body)
        trials = [[c.label for c in cases] for cases, _, _ in Suspects(session, finding.rule).unheld(failure)]
        session.sender.close()

    first = [labels[0] for labels in trials if len(labels) == 3]
    assert first[0] == "no value"
    assert sorted(first) == ["no leave", "no object", "no value"]


@pytest.mark.parametrize(("defect", "lost"), [("callback-kept-without-message-handler", True), (None, False)])
def test_what_came_back_was_never_stored(defect: str | None, lost: bool) -> None:
    """A field that an update leaves out changes back where the answer before showed what was not stored: that is told,
    with one update of the field and a read after it.
    """
    name, update = "call_relay_topic_status_callback_url", CONTRACT.update.id
    with reference.running(defect=defect) as server:
        session = session_on(server)
        session.read()
        case = Case(label="tour", operation=update, body={"name": "x"})
        finding = Finding(rule=f"{update}.frame.{name}", message="", pointer=f"/{name}")
        interaction = Interaction(case=case, response=Response(status=200, headers={}, body={}), id=session.id)
        first, second = (
            Failure(finding=finding, interaction=interaction, number=n, body=case.body) for n in range(1, 3)
        )
        look = Look(session, finding.rule, [first, second])

        assert look.in_series(first) == lost
        session.sender.close()

    assert {f.finding.rule for f in (first, second)} == {f"{update}.{'read_back' if lost else 'frame'}.{name}"}
    assert (first.read, [*first.body]) == ((True, [name]) if lost else (False, ["name"]))


def test_the_journal_stays_where_updates_are_answered_with_web_pages(tmp_path: Path) -> None:
    """Reads go on; to put the record back somebody has to log in first."""

    def harm(way: Harmed, request: httpx.Request) -> httpx.Response:
        if request.method == "PUT" and way.number > 90:
            return httpx.Response(200, html="<!DOCTYPE html><title>Log in</title>")
        return way.passing(request)

    with reference.running() as server:
        found = told(server, tmp_path, harm)

    assert found.result is not None
    assert (found.result.restored[server.ids[0]].verdict, len(found.journals)) == ("not_restored", 1)
    assert "updates are answered with web pages" in found.text
    assert "its journal is kept; when that is over: contract restore" in found.text
    assert not [rule for rule in broken(found.result) if "requires" in rule or "rejection" in rule]


def test_what_null_does_not_clear_is_cleared_by_the_selector_that_uses_it() -> None:
    """Where an API refuses null, and clears what a selector leaves: to try again from there, the selector goes there
    and away.
    """
    with reference.running(variant="former-cleared+null-refused") as server:
        session = session_on(server)
        session.read()
        before = dict(session.known or {})
        room = {"call_video_room_id": server.resources["call_video_room_id"]}
        session.attempt({"call_handler": "video_room"} | room, "there")
        session.attempt({"call_handler": "laml_webhooks", "call_request_url": "https://example.com/"}, "away")
        assert session.sheds
        session.attempt(room, "alone")
        assert session.now["call_video_room_id"] is not None

        establish(session, before, room)
        session.sender.close()

    assert session.now["call_video_room_id"] is None
    assert session.now["call_handler"] == before["call_handler"]


def test_a_selector_that_no_answer_shows_keeps_nothing_from_going_back() -> None:
    """What only goes back while a selector stands elsewhere is tried with those that the record shows."""
    with reference.running() as server:
        session = session_on(server)
        session.read()
        found = dict(session.known or {})
        del found["message_handler"]
        way = _Way(session, found, frozenset(), ())
        sent: list[Any] = []
        session.sender.sent = lambda case, url, content, response: sent.append(case.body)
        way.aside({"call_request_url": (found["call_request_url"], None)})
        session.sender.close()

    away, again, back = sent
    assert away["call_handler"] != found["call_handler"] == back["call_handler"]
    assert again == {"call_request_url": found["call_request_url"]}


def test_a_default_that_a_platform_fills_in_is_no_difference() -> None:
    """Null before and the default now say the same; another value does not, and what no update changes is left out."""
    before = {"name": None, "call_receive_mode": None, "updated_at": "2026-01-01T00:00:00Z", "number": "+15558675309"}
    now = before | {"name": "x", "call_receive_mode": "voice", "updated_at": "2026-02-01T00:00:00Z"}

    assert CONTRACT.update.request is not None
    assert CONTRACT.update.request.fields["call_receive_mode"].default == "voice"
    assert differences(CONTRACT, before, now) == {"name": (None, "x")}


def test_a_budget_that_is_spent_still_restores(tmp_path: Path) -> None:
    """The reserve is for putting back: a run that stops in the middle leaves the number as it was."""
    with reference.running() as server:
        before = record(server)
        found = told(server, tmp_path, max_requests=90)
        assert record(server) == before

    assert found.status == 2
    assert "the budget of 90 requests is spent" in found.text
    assert "was put back as it was" in found.text
    assert found.journals == []


# -------------------------------------------------------------------- unrestorable


@pytest.mark.parametrize(
    ("variant", "why"),
    [
        ("blank-refused", "it is blank, and the API refuses blank"),
        ("blank-is-null", "it is blank, and the API makes something else of that"),
    ],
)
def test_a_blank_that_cannot_be_written_again_ends_the_run_before_it_writes(
    variant: str, why: str, tmp_path: Path
) -> None:
    """A blank that was found is sent where it stands, before anything else is; nothing of the run's own is left."""
    database = tmp_path / "numbers.db"
    with reference.running(database=database) as server:
        put(server, {"call_fallback_url": "", "call_status_callback_url": ""})
    with reference.running(database=database, variant=variant) as server:
        before = record(server)
        found = told(server, tmp_path)
        now = record(server)

    assert found.status == 2
    assert f"call_fallback_url, call_status_callback_url ({why})" in found.text
    lost = {} if variant == "blank-refused" else {"call_fallback_url": None}
    assert now == before | lost
    assert ("nothing more was changed" in found.text) == bool(lost)


@pytest.mark.parametrize(
    ("variant", "reason"),
    [
        ("null-refused", "it is null, and the API refuses null"),
        ("call-flow-found", "it is 'call_flow', which only the platform can set"),
    ],
)
def test_what_cannot_be_put_back_is_found_before_anything_changes(variant: str, reason: str, tmp_path: Path) -> None:
    """The run names the fields and the way to allow it, exits with 2, and has written nothing but null over null."""
    with reference.running(variant=variant) as server:
        before = record(server)
        way = Harmed(server)
        found = told(server, tmp_path, way)
        assert record(server) == before

    assert found.status == 2
    assert reason in found.text
    assert "--allow-unrestorable" in found.text
    assert all(value is None or value == before[name] for body in way.updates for name, value in body.items())
    assert found.journals == []


def test_null_that_empties_nothing_is_found_before_much_is_written(tmp_path: Path) -> None:
    """It is sent for fields that hold something; they are put back, and what was null was never written."""
    accepted: list[dict[str, Any]] = []

    def harm(way: Harmed, request: httpx.Request) -> httpx.Response:
        answer = way.passing(request)
        if request.method == "PUT" and answer.status_code == 200:
            accepted.append(sent(request))
        return answer

    with reference.running(variant="null-ignored") as server:
        before = record(server)
        way = Harmed(server, harm)
        found = told(server, tmp_path, way)
        now = record(server)

    assert now == before
    assert found.status == 2
    assert "call_relay_topic, " in found.text
    assert "(it is null, and where a value stands the API ignores null)" in found.text
    written = {name for body in accepted for name, value in body.items() if value is not None}
    assert {name for name in written if before[name] is None} == set()
    assert way.number < 50


@pytest.mark.parametrize(("refused", "status"), [("name", 0), ("call_", 2)])
def test_a_field_that_refuses_null_by_itself_does_not_end_the_run(refused: str, status: int, tmp_path: Path) -> None:
    """Where null is refused for what holds something, one field that was found null is tried itself."""

    def harm(way: Harmed, request: httpx.Request) -> httpx.Response:
        nulls = [n for n, value in sent(request).items() if value is None and n.startswith(refused)]
        stands = way.there(request) if nulls else {}
        return refusal(detail=None) if any(stands.get(n) is not None for n in nulls) else way.passing(request)

    with reference.running() as server:
        before = record(server)
        found = told(server, tmp_path, harm)
        left = {name: (before[name], now) for name, now in record(server).items() if now != before[name]}

    assert found.status == status, found.text
    assert ("where a value stands the API refuses null" in found.text) == (status == 2)
    assert [was for was, _ in left.values()] == [None] * (status // 2), left


@pytest.mark.parametrize(
    ("only_null", "status", "detail", "found_broken"),
    [
        (False, 410, "gone", True),
        (False, 422, "Call relay topic status callback url is not supported", True),
        (False, 422, "is not supported", False),  # Nothing tells that it is refused for what it holds.
        (True, 422, "Call relay topic status callback url can't be null", False),
    ],
)
def test_a_field_that_is_refused_whatever_it_holds_is_no_field_that_refuses_null(
    only_null: bool, status: int, detail: str, found_broken: bool, tmp_path: Path
) -> None:
    """A field that was found null cannot be tried where null is refused; beside a value that is refused anyway it can."""
    name = "call_relay_topic_status_callback_url"

    def harm(way: Harmed, request: httpx.Request) -> httpx.Response:
        value = sent(request).get(name, "not sent")
        refused = value is None or (value != "not sent" and not only_null)
        return refusal(status, detail) if refused else way.passing(request)

    with reference.running() as server:
        before = record(server)
        found = told(server, tmp_path, harm)
        now = record(server)

    assert found.status == (1 if found_broken else 2), found.text
    assert found.result is not None
    assert len(broken(found.result)) == found_broken
    assert (f"a documented value of {name} is refused" in found.text) == found_broken
    assert now == before
    assert (f"{name} (it is null, and the API refuses null)" in found.text) != found_broken


def test_what_only_the_platform_can_set_is_tried_once(tmp_path: Path) -> None:
    """On the way back a value that no update can set is sent in one body, and keeps nothing else back, nor another record,
    which is put back by what is known of itself.
    """
    with reference.running(variant="call-flow-found") as server:
        before = [record(server, number) for number in (0, 1)]
        assert [one["call_handler"] == "call_flow" for one in before] == [True, False]
        way = Harmed(server)
        found = told(server, tmp_path, way, ids=server.ids[:2], allow_unrestorable=True)
        now = [record(server, number) for number in (0, 1)]

    assert found.status == 0, found.text
    assert [body.get("call_handler") for body in way.updates].count("call_flow") == 1
    changed = [
        [name for name in one if one[name] != other[name] and not name.endswith("_resource_id")]
        for one, other in zip(before, now, strict=True)
    ]
    assert changed == [["call_handler"], []]
    assert found.result is not None
    assert found.result.restored[server.ids[1]].verdict == "restored"


def test_a_companion_that_cannot_be_emptied_while_it_is_used_is_told_apart() -> None:
    """Where null is refused only for the companion of the handler that stands, that companion alone is named."""

    def harm(way: Harmed, request: httpx.Request) -> httpx.Response:
        return refusal() if "call_request_url" in sent(request) else way.passing(request)

    with reference.running() as server:
        session = session_on(server, transport=Harmed(server, harm))
        session.read()
        session.known = {**session.now, "call_request_url": None}
        assert unrestorable(session) == {"call_request_url": "it is null, and the API refuses null"}
        session.sender.close()


@pytest.mark.parametrize("value", [7, ["x"], True])
def test_a_value_that_no_update_can_set_is_found(value: Any, tmp_path: Path) -> None:
    """A record that shows a field in a type that no update takes is broken, and nothing is written to it."""

    def mutate(operation: str, status: int, body: Any) -> Any:
        return {**body, "name": value} if isinstance(body, dict) and "name" in body else body

    with reference.running(mutate=mutate) as server:
        way = Harmed(server)
        found = told(server, tmp_path, way)

    assert found.status == 1, found.text
    assert "which no update can set" in found.text
    assert all(value is None for body in way.updates for value in body.values())


def test_credentials_that_may_only_read_are_told(tmp_path: Path) -> None:
    """403 for updates is about the credentials, and nothing that the API breaks."""
    with reference.running() as server:
        found = told(
            server, tmp_path, lambda way, request: refusal(403) if request.method == "PUT" else way.passing(request)
        )

    assert found.status == 2, found.text
    assert "the credentials may read, but not update (403)" in found.text


# ------------------------------------------------------------------------- outage


@pytest.mark.parametrize("back", [True, False])
def test_a_server_that_goes_down_ends_the_run_in_seconds(back: bool, tmp_path: Path) -> None:
    """Undecided; put back where the server comes back within seconds, else journaled, and put back later."""
    helper: list[threading.Thread] = []

    def return_soon() -> None:
        proxy.closed.wait(1.5)
        proxy.up()

    def harm(exchange: Exchange) -> None:
        if exchange.number != 22:
            passing(exchange)
            return
        proxy.down()
        if back:
            helper.append(threading.Thread(target=return_soon))
            helper[0].start()
        raise Lost

    with reference.running() as server, Proxy(server.base_url, harm) as proxy:
        before = record(server)
        seconds = 600 if back else 10
        chosen = settings(server, tmp_path, base_url=proxy.base_url, max_seconds=seconds, profile="smoke")
        started = time.monotonic()
        found = outcome(chosen, credentials(server), reports=False)
        assert time.monotonic() - started < 25
        assert found.status == 2
        assert "no connection" in found.text
        if back:
            helper[0].join()
            assert found.journals == []
            assert "was put back as it was" in found.text
        else:
            assert record(server) != before
            assert len(found.journals) == 1
            assert "contract restore" in found.text
            with pytest.raises(CustodyError, match="contract restore"):
                run(chosen, credentials(server))
            proxy.up()
            assert restore_all(chosen, credentials(server))[server.ids[0]].verdict == "restored"
        assert record(server) == before


def test_what_was_refused_once_and_then_accepted_left_no_trace(tmp_path: Path) -> None:
    """An update of which the answer was lost, and which was then garbled on its way and so refused, was applied all
    the same: sent again it is accepted, and so nobody's fault.
    """

    def harm(way: Harmed, request: httpx.Request) -> httpx.Response:
        updates = len(way.updates) if request.method == "PUT" else 0
        if updates == 100:
            way.passing(request)
            raise httpx.ReadError("lost")
        if updates == 101:
            content = request.content[:-2] + b"}}"
            request = httpx.Request("PUT", request.url, headers=request.headers, content=content)
        return way.passing(request)

    with reference.running() as server:
        before = record(server)
        found = ran(server, tmp_path, harm)
        assert (broken(found), record(server) == before) == ([], True)


def test_credentials_that_are_withdrawn_end_the_run(tmp_path: Path) -> None:
    """401 for everything from some moment on is about the credentials; the journal stays for when they are right."""
    with reference.running() as server:
        before = record(server)
        found = told(server, tmp_path, lambda way, request: refusal(401) if way.number >= 80 else way.passing(request))
        assert found.status == 2, found.text
        assert len(found.journals) == 1
        restore_all(settings(server, tmp_path), credentials(server))
        assert record(server) == before


@pytest.mark.parametrize("seeds", [(3, 7)])
def test_a_network_that_loses_and_garbles_is_not_blamed_on_the_api(seeds: tuple[int, ...], tmp_path: Path) -> None:
    """With a fifth of the exchanges lost, late or garbled nothing is called broken, and the number is as it was."""

    def trial(seed: int) -> tuple[list[str], bool, int]:
        with reference.running() as server, faulty(server.base_url, seed) as faults:
            before = record(server)
            chosen = settings(server, tmp_path / str(seed), base_url=faults.proxy.base_url, timeout=2.0)
            found = outcome(chosen, credentials(server), reports=False)
            named = broken(found.result) if found.result else []
            return named, record(server) == before, faults.counts.total()

    with ThreadPoolExecutor(len(seeds)) as pool:
        found = list(pool.map(trial, seeds))

    assert [(named, same) for named, same, _ in found] == [([], True)] * len(seeds)
    assert all(count > 30 for _, _, count in found)


# ------------------------------------------------------------------ someone else

THEIRS: tuple[dict[str, Any], ...] = (
    {"name": "Somebody else's"},
    {"call_request_url": "https://somebody.example.org/else"},
    {"message_fallback_url": "https://somebody.example.org/fallback"},
    {"call_handler": "relay_topic", "call_relay_topic": "somebody's topic"},
    {"call_relay_script_url": "https://somebody.example.org/script"},
)


def interleaved(seed: int, folder: Path) -> tuple[Result, dict[str, Any]]:
    """(result, their values): someone else writes during a run, once or before every so many requests of it."""
    chance = random.Random(seed)
    theirs, moment = chance.choice(THEIRS), chance.randint(6, 240)
    period = chance.choice([0, 10, 20, 40, 60])

    def harm(way: Harmed, request: httpx.Request) -> httpx.Response:
        late = way.number - moment
        if late == 0 or (period and late > 0 and late % period == 0):
            put(server, theirs)
        return way.passing(request)

    with reference.running() as server:
        return ran(server, folder, harm), theirs


def test_someone_elses_writes_are_not_blamed_on_the_api(tmp_path: Path) -> None:
    """Once or again and again, at any moment: nothing is called broken, and what was noticed is told as what it is."""
    found = [interleaved(seed, tmp_path / str(seed)) for seed in range(4)]

    assert [broken(result) for result, _ in found] == [[]] * 4
    noticed = [(result, theirs) for result, theirs in found if result.foreign]
    assert noticed
    for result, theirs in noticed:
        assert result.status == 2
        assert "someone else writes to" in result.problem
        values = {name: now for fields in result.foreign.values() for name, (_, now) in fields.items()}
        assert values.items() <= theirs.items()


def test_both_values_are_shown_and_theirs_is_left_alone(tmp_path: Path) -> None:
    """The lines show what it was and what it is; the rest is put back, and their value stays."""
    theirs = {"call_relay_script_url": "https://somebody.example.org/"}

    def harm(way: Harmed, request: httpx.Request) -> httpx.Response:
        if way.number == 12:
            put(server, theirs)
        return way.passing(request)

    with reference.running() as server:
        before = record(server)
        chosen = settings(server, tmp_path)
        found = outcome(chosen, credentials(server), transport=Harmed(server, harm))
        now = record(server)

    assert found.status == 2
    assert "call_relay_script_url: was null, is https://somebody.example.org/" in found.text
    assert "but for what someone else set meanwhile" in found.text
    assert now == before | theirs
    assert found.journals == []
    shown, pair = (
        json.loads(found.files["run.json"]),
        {"call_relay_script_url": [None, "https://somebody.example.org/"]},
    )
    assert shown["foreign"] == {server.ids[0]: pair}
    assert shown["restored"][server.ids[0]]["left"] == pair


class InTurn(Direct):
    """The way of one run to the server, where two take turns."""

    def __init__(self, server: Running, turns: Turns, who: int) -> None:
        super().__init__(server)
        self.turns, self.who = turns, who

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """The server's answer, when it is this run's turn."""
        self.turns.wait(self.who)
        return super().handle_request(request)


def twins(server: Running, folder: Path, seed: int, monkeypatch: pytest.MonkeyPatch) -> list[Result]:
    """Two runs that do not know of each other, in an order drawn from *seed*, the second of which begins later."""
    turns, mine = Turns(seed), threading.local()
    late = turns.random.randrange(230)

    def sleep(runner: Runner, seconds: float) -> None:
        turns.wait(mine.who, int(seconds / 0.015) + 1)

    def twin(who: int) -> Result:
        mine.who = who
        turns.wait(who, late * who)
        chosen = settings(server, folder / str(who), seed=0 if seed % 3 else 5 * who)
        try:
            return run(chosen, credentials(server), transport=InTurn(server, turns, who))
        finally:
            turns.end()

    monkeypatch.setattr(Runner, "sleep", sleep)
    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(twin, [0, 1]))


@pytest.mark.parametrize("seed", [36, 51, 56])
def test_two_runs_at_once_call_nothing_broken(seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two runs that do not know of each other send the same values; neither calls the API broken."""
    with reference.running() as server:
        found = twins(server, tmp_path, seed, monkeypatch)

    assert [broken(result) for result in found] == [[], []]
    assert "undecided" in [result.verdict for result in found]


def test_where_another_run_is_at_work_the_journal_stays(tmp_path: Path) -> None:
    """It may put back what this one wrote; what was found here is put back when it has ended."""

    def harm(way: Harmed, request: httpx.Request) -> httpx.Response:
        if way.number == 12:
            put(server, {"call_relay_script_url": "https://example.com?call-relay-script-url"})
        return way.passing(request)

    with reference.running() as server:
        before = record(server)
        found = told(server, tmp_path, harm)
        put(server, {"name": "must not appear any more"})
        done = restore_all(settings(server, tmp_path), credentials(server))[server.ids[0]]
        now = record(server)

    assert found.status == 2
    assert "another run writes to it at the same time, and may put back what this one wrote" in found.text
    assert (len(found.journals), done.verdict) == (1, "restored")
    assert now == before


@pytest.mark.parametrize(
    ("found", "odd"),
    [
        ({"name": "\u260e\ufe0f Desk \U0001f469\U0001f3fd\u200d\U0001f4bb"}, ("name",)),
        ({"name": "must not appear malformed", "call_fallback_url": "https://example.com/call-fallback-url"}, None),
        ({"name": "Front desk", "call_fallback_url": "https://example.com/voice"}, ()),
    ],
)
def test_what_an_earlier_run_left_elsewhere_is_told(
    found: dict[str, str], odd: tuple[str, ...] | None, tmp_path: Path
) -> None:
    """Texts that only such a run writes are named where they are found: its journal may be on a machine that is gone."""
    with reference.running() as server:
        put(server, found)
        result = told(server, tmp_path, profile="smoke")

    wanted = tuple(found) if odd is None else odd
    assert result.result is not None
    assert set(result.result.restored[server.ids[0]].odd) == set(wanted)
    assert ("with values that only such a run writes: " in result.text) == bool(wanted)


def renamed(server: Running, count: int) -> None:
    """Somebody gives the bystander another handler, once."""
    if count == 15:
        put(server, {"name": "Sales", "message_handler": "laml_webhooks", "message_request_url": f"{URL}/sms"}, 3)


def touched(server: Running, count: int) -> None:
    """Somebody saves the record as it is, now and then."""
    if count % 20 == 9:
        put(server, {"name": record(server)["name"]})


def billed(server: Running, count: int, every: int, first: int) -> None:
    """The platform moves a date that no update sets."""
    if count % every == first:
        store = server.app.state.server.store
        day = f"2027-{count // 28 + 1:02d}-{count % 28 + 1:02d}T00:00:00Z"
        store.put(server.ids[0], {**store.get(server.ids[0]), "next_billed_at": day})


@pytest.mark.parametrize(
    "meanwhile",
    [renamed, touched, *(partial(billed, every=every, first=at) for every, at in ((3, 0), (5, 4)))],
)
def test_what_others_do_meanwhile_is_no_fault_of_the_api(
    meanwhile: Callable[[Running, int], None], tmp_path: Path
) -> None:
    """Whether they write to another record, or write what stands there, or to what no update sets."""

    def harm(way: Harmed, request: httpx.Request) -> httpx.Response:
        meanwhile(server, way.number)
        return way.passing(request)

    with reference.running() as server:
        found = ran(server, tmp_path, harm)

    assert broken(found) == []
    assert found.requests <= 300


@pytest.mark.parametrize("name", ["name", "call_fallback_url"])
def test_what_is_accepted_on_the_way_back_and_not_written_is_broken(name: str, tmp_path: Path) -> None:
    """A text that every API takes is answered 200 and not shown, twice: the record is left as it is, and the rule is told."""

    def harm(way: Harmed, request: httpx.Request) -> httpx.Response:
        kept = {n: value for n, value in sent(request).items() if n != name or value != first}
        return way.passing(request, kept if kept != sent(request) else None)

    with reference.running() as server:
        first = record(server)[name]
        found = ran(server, tmp_path, harm)
        stands = record(server)

    assert broken(found) == [f"update_phone_number.echo.{name}"]
    assert {n: was for n, (was, _) in found.restored[server.ids[0]].left.items()} == {name: first}
    assert stands[name] != first


@pytest.mark.parametrize(("seconds", "rules"), [(0.9, []), (math.inf, ["list_phone_numbers.read_back"])])
def test_a_list_may_be_a_moment_behind(seconds: float, rules: list[str], tmp_path: Path) -> None:
    """What a cache shows for less than a second breaks no rule; what it shows until the next update does."""
    old, at = b"", -math.inf

    def harm(way: Harmed, request: httpx.Request) -> httpx.Response:
        nonlocal old, at
        start, _, id = request.url.path.rpartition("/phone_numbers")
        if request.method == "PUT" and id:
            url = request.url.copy_with(path=f"{start}/phone_numbers")
            old = way.passing(httpx.Request("GET", url, headers=request.headers)).content
            at = time.monotonic()
        answer = way.passing(request)
        behind = request.method == "GET" and not id and time.monotonic() < at + seconds
        return rewritten(answer, old) if behind and answer.status_code == 200 else answer

    with reference.running() as server:
        found = ran(server, tmp_path, harm)

    assert broken(found) == rules


def test_values_that_this_run_wrote_long_before_are_someone_elses(tmp_path: Path) -> None:
    """What another run with the same seed writes now and then is no fault of the API, and is told."""

    def harm(way: Harmed, request: httpx.Request) -> httpx.Response:
        if request.method != "PUT" and 120 < way.number < 245 and way.number % 2 == 0:
            names = (body.get("name") or "must not" for body in way.updates)
            put(server, {"name": next(name for name in names if name not in {"must not", found})})
        return way.passing(request)

    with reference.running() as server:
        found = record(server)["name"]
        result = ran(server, tmp_path, harm)

    assert result.verdict == "undecided"
    assert "another run may be writing there" in " ".join(entry.reason for entry in result.entries)


def test_reads_that_are_kept_until_a_selector_changes_are_made_to_show_the_record(tmp_path: Path) -> None:
    """The answers show that it is back and the reads do not: a selector is moved away and back, and they do."""
    with reference.running(defect="retrieve-cached-until-handler") as server:
        before = record(server)
        found = ran(server, tmp_path)
        now = record(server)

    assert found.verdict == "broken"
    assert found.restored[server.ids[0]].verdict == "restored"
    assert found.requests <= 300
    assert now == before


@pytest.mark.parametrize("defect", ["third-write-lost", "message-method-not-stored"])
def test_the_apis_own_changes_are_not_taken_for_someone_elses(defect: str, tmp_path: Path) -> None:
    """What the API itself loses or changes is broken, as before."""
    with reference.running(defect=defect) as server:
        found = run(settings(server, tmp_path), credentials(server))

    assert found.verdict == "broken"
    assert found.foreign == {}


def test_a_default_that_the_api_writes_elsewhere_is_the_apis_own(tmp_path: Path) -> None:
    """A value that this run never sent, written by the API at each update, comes again, and so is no stranger's."""

    def mutate(operation: str, status: int, body: Any) -> Any:
        if status == 200 and operation == CONTRACT.update.id:
            return {**body, "call_relay_script_url": f"https://api.example.com/{next(count) // 4}"}
        return body

    count = iter(range(100_000))
    with reference.running(mutate=mutate) as server:
        found = run(settings(server, tmp_path), credentials(server))

    assert found.verdict == "broken"
    assert found.foreign == {}


def test_errors_of_restoring_are_told_and_not_raised() -> None:
    """An API that is gone is a record that could not be put back, with the reason."""
    gone = threading.Event()

    def harm(way: Harmed, request: httpx.Request) -> httpx.Response:
        if gone.is_set():
            raise httpx.ConnectError("refused")
        return way.passing(request)

    with reference.running() as server:
        session = session_on(server, transport=Harmed(server, harm))
        session.read()
        gone.set()
        session.sender.budget.restore()
        session.sender.budget.patience = 0
        done = restore(session, session.now)
        session.sender.close()

    assert done.verdict == "not_restored"
    assert "no connection" in done.note
    assert issubclass(SendError, ContractError)


def demanding(way: Harmed, request: httpx.Request) -> httpx.Response:
    """A server that takes neither null nor blank where that would not change anything, and no text beyond 64 characters."""
    odd = any(value in (None, "") or len(str(value)) > 64 for value in sent(request).values())
    return refusal() if odd else way.passing(request)


@pytest.mark.parametrize("name", ["", " ", "x" * 100])
def test_a_name_of_which_nothing_is_documented_need_not_be_taken_as_it_stands(name: str, tmp_path: Path) -> None:
    """That it was found does not make it a value that has to be accepted: the run ends, and nothing is called broken."""
    with reference.running() as server:
        put(server, {"name": name})
        found = ran(server, tmp_path, demanding)
        now = record(server)

    assert found.status == 2, found.verdict
    assert broken(found) == []
    assert "could not be put back, so nothing was changed" in found.problem
    assert now["name"] == name


@pytest.mark.parametrize("changes", ["anytime", "derived", "on-write"])
def test_what_an_update_can_set_goes_back_whatever_else_changes_it(changes: str) -> None:
    """A field that the API changes by itself as well is no exception."""
    state = {"type": "string", "enum": ["active", "paused"]}
    contract = lamp({f"{REQUEST}/state": state, f"{RESPONSE}/state": {**state, "x-changes": changes}})
    assert differences(contract, {"state": "active"}, {"state": "paused"}) == {"state": ("active", "paused")}
    assert differences(contract, {"until": "2030-01-01T00:00:00Z"}, {"until": "2031-01-01T00:00:00Z"}) == {}


def holding(way: Harmed, request: httpx.Request) -> httpx.Response:
    """A server that takes null for what a handler requires only where it is null already."""
    body = sent(request)
    there = way.there(request) if body else {}
    for channel in ("call", "message") if "id" in there else ():
        after = {**there, **body}
        url, handler = f"{channel}_request_url", after[f"{channel}_handler"]
        if handler == "laml_webhooks" and after[url] is None and there[url] is not None:
            return refusal()
    return way.passing(request)


def requiring(way: Harmed, request: httpx.Request) -> httpx.Response:
    """A server that takes no null for what the handlers require where they stand."""
    body = sent(request)
    there = way.there(request) if body else {}
    after = {**there, **body} if "id" in there else {}
    lacks = any(after.get(name, "") is None for name in CONTRACT.request.needed(after))
    return refusal() if lacks else way.passing(request)


def test_beside_a_handler_that_cannot_go_back_everything_else_does(tmp_path: Path) -> None:
    """It is left where it requires what was found, so that nothing of this run has to stay."""
    with reference.running(variant="call-flow-found") as server:
        before = record(server)
        found = ran(server, tmp_path, requiring, allow_unrestorable=True)
        now = record(server)

    assert found.status == 0, found.problem
    assert now["call_handler"] == "laml_webhooks"
    left = {name for name in before if before[name] != now[name] and not name.endswith("_resource_id")}
    assert left == {"call_handler"}
    assert found.requests <= 300


def test_a_new_number_that_cannot_be_emptied_again_ends_the_run_early(tmp_path: Path) -> None:
    """A handler without its companion, as a new number has it, is tried before the tour: one field is left."""
    with reference.running(variant="bare-number-found") as server:
        free = ran(server, tmp_path)
        held = ran(server, tmp_path, holding)

    assert [done.verdict for done in free.restored.values()] == ["restored"]
    assert held.status == 2
    assert {*held.restored[server.ids[0]].left} == {"call_request_url"}
    assert (
        "call_request_url (it is null, and where call_handler is 'laml_webhooks' the API takes no null)" in held.problem
    )
    assert held.requests < 80


def settled(way: Harmed, request: httpx.Request) -> httpx.Response:
    """A server that takes no null for a message handler that has a value."""
    emptied = sent(request).get("message_handler", "") is None and way.there(request).get("message_handler")
    return refusal() if emptied else way.passing(request)


def test_a_selector_that_cannot_be_emptied_again_ends_the_run_early(tmp_path: Path) -> None:
    """A handler that is null, as a new number has it, is tried before the tour, with the fewest companions."""
    with reference.running(variant="bare-number-found") as server:
        found = ran(server, tmp_path, settled)

    assert found.status == 2
    assert "message_handler (it is null, and where a value stands the API takes no null)" in found.problem
    assert {*found.restored[server.ids[0]].left} <= {"message_handler", "message_request_url", "message_relay_topic"}
    assert found.requests < 80


def reading(change: Callable[[dict[str, Any]], Mapping[str, Any]]) -> Harm:
    """A server that reads something else than was sent out of a body."""
    return lambda way, request: way.passing(request, change(body) if (body := sent(request)) else None)


def test_null_is_tried_first_on_the_one_text_that_was_found(tmp_path: Path) -> None:
    """A number with nothing but a name gets that back where null empties nothing, and nothing else was written."""
    with reference.running(variant="bare-number-found") as server:
        put(server, {"name": "Front desk"})
        before = record(server)
        forgetting = reading(lambda body: {name: value for name, value in body.items() if value is not None})
        found = ran(server, tmp_path, forgetting)
        now = record(server)

    assert found.status == 2
    assert "the API ignores null" in found.problem
    assert now == before


def test_one_field_that_refuses_null_says_nothing_about_ids(tmp_path: Path) -> None:
    """Ids, of which no other can be tried, are emptied by null where texts and addresses are."""

    def harm(way: Harmed, request: httpx.Request) -> httpx.Response:
        return refusal() if sent(request).get("name", "") is None else way.passing(request)

    with reference.running(variant="bare-number-found") as server:
        urls = {name: None for name, item in CONTRACT.request.fields.items() if item.format == "uri"}
        put(server, {**urls, "name": "Front desk"})
        before = record(server)
        found = ran(server, tmp_path, harm)
        now = record(server)

    assert found.problem == ""
    assert found.status == 0
    assert now == before


def mirrored(body: dict[str, Any]) -> dict[str, Any]:
    """One value under all names of a thing that are in an update."""
    for name in [n for n in body if n in MESSAGE_NAMES]:
        body |= dict.fromkeys(MESSAGE_NAMES, body[name])
    return body


MESSAGE_NAMES = ("message_relay_context", "message_relay_topic")


def test_two_names_that_cannot_differ_any_more_do_not_keep_a_run_going(tmp_path: Path) -> None:
    """Each way back undoes the other: it ends, and tells the one that is left."""
    with reference.running() as server:
        store = server.app.state.server.store
        store.put(server.ids[0], {**store.get(server.ids[0]), "message_relay_context": "a", "message_relay_topic": "b"})
        found = ran(server, tmp_path, reading(mirrored), profile="smoke")

    assert broken(found) == []
    left = found.restored[server.ids[0]].left
    assert len(left) == 1
    assert left.keys() < {*MESSAGE_NAMES}
    assert found.requests < 50


def test_a_default_stands_in_for_null_and_is_named(tmp_path: Path) -> None:
    """What was never set gets its documented default where null is ignored, and the report says so."""

    def choosy(body: dict[str, Any]) -> dict[str, Any]:
        return {n: v for n, v in body.items() if v is not None or not n.endswith("_method")}

    with reference.running() as server:
        store = server.app.state.server.store
        before = {**store.get(server.ids[0]), "call_fallback_method": None, "message_request_method": None}
        store.put(server.ids[0], before)
        found = ran(server, tmp_path, reading(choosy), profile="smoke")
        now = record(server)

    done = found.restored[server.ids[0]]
    assert (found.status, done.verdict) == (0, "restored")
    assert {*done.filled} == {"call_fallback_method", "message_request_method"}
    assert (now["call_fallback_method"], now["message_request_method"]) == ("POST", "POST")
    told = "\n".join(restored_lines(server.ids[0], done, Mask()))
    assert "null before, at the documented default now: call_fallback_method, message_request_method" in told


def test_what_was_taken_although_it_lacks_something_is_not_sent_again_as_that(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the time stamp did not move with it, another update comes after a rest: with all that it needs, and judged so."""
    rule = f"{CONTRACT.update.id}.handler.call_handler.relay_script.requires.call_relay_script_url"

    def frozen(operation: str, status: int, body: Any) -> Any:
        return body | {"updated_at": "2026-01-01T00:00:00Z"} if status == 200 else body

    with reference.running(defect="call-relay-script-alone", mutate=frozen) as server:
        session = session_on(server, seconds=600)
        rests: list[float] = []
        monkeypatch.setattr(session, "rest", rests.append)
        session.read()
        taken = {"call_handler": "relay_script"}
        walk = Walk(session, Block(name="omissions", cases=()), lambda: False)
        walk.send(
            Case(label="lacks", operation=CONTRACT.update.id, expect="reject", rule=rule, body=taken, rested=True)
        )
        session.sender.close()

    assert len(rests) == 2
    assert [(f.finding.rule, f.interaction.case.label) for f in session.failures() if f.finding.rule == rule] == [
        (rule, "lacks")
    ]
    assert session.updates[-1][0].label == "lacks, once more"
    assert session.updates[-1][0].expect == "accept"


def test_a_stamp_that_refusals_move_by_less_than_clocks_differ_is_a_trace() -> None:
    """Where each of two reads shows it a little later: the first time it may have been moved after an update."""
    shown = {"updated_at": "2040-01-01T00:00:00.100Z"}

    def stamped(operation: str, status: int, body: Any) -> Any:
        return body | shown if status == 200 else body

    with reference.running(mutate=stamped) as server:
        session = session_on(server)
        session.read()
        found = []
        for digit in "2345":
            if digit == "4":
                session.update("moves it", {"name": "other"})
            wrong = {"call_receive_mode": "x"}
            rule = f"{CONTRACT.update.id}.rejection.call_receive_mode.enum"
            session.read()
            session.perform(Case(label="a", operation=CONTRACT.update.id, expect="reject", rule=rule, body=wrong))
            shown["updated_at"] = f"2040-01-01T00:00:00.{digit}00Z"
            found.append([f.pointer for f in session.read().findings if f.rule.endswith(".no_trace")])
        session.sender.close()

    assert found == [[], ["/updated_at"], [], ["/updated_at"]]


@pytest.mark.parametrize(("fine", "labels"), [(True, ["Sales, after a rest"]), (False, [])])
def test_an_update_that_moved_no_fine_stamp_is_sent_again_after_a_rest(fine: bool, labels: list[str]) -> None:
    """Where a clock counts seconds, most updates leave the stamp as it is: that is not worth waiting for."""
    shown: list[str] = []

    def stamped(operation: str, status: int, body: Any) -> Any:
        if body["name"] != "Sales":
            shown.append(f"2040-01-01T00:00:00.{len(shown) if fine else 0:06}Z")
        return body | {"updated_at": shown[-1]}

    with reference.running(mutate=stamped) as server:
        session = session_on(server, seconds=600)
        waited: list[float] = []
        session.sender.sleep = waited.append
        session.read()
        for name in [*(f"desk {number}" for number in range(30)), "Sales", "Front desk"]:
            session.update(name, {"name": name})
        session.ask("open", {"name": "Sales"}, {"name": "exact"})  # Nobody promises that it is taken again.
        wake(session)
        session.sender.close()

    assert [case.label for case, _, _ in session.updates if "rest" in case.label] == labels
    assert [round(seconds) for seconds in waited] == [3] * len(labels)
    found = [(f.finding.rule, f.interaction.case.label) for f in session.failures()]
    assert found == []  # No time went by.


def test_an_update_after_which_a_slow_clock_had_turned_is_sent_again_after_a_rest() -> None:
    """How far the clock of the stamps is ahead is known from the updates that moved one: what left it for longer than a
    turn is sent again, what left it for less is not.
    """
    stamps = iter([2, 3, 4, 5, 6, 6, 6])

    def stamped(operation: str, status: int, body: Any) -> Any:
        return body | {"updated_at": f"2040-01-01T00:00:{next(stamps, 9):02}Z"} if status == 200 else body

    with reference.running(mutate=stamped) as server:
        session = session_on(server, seconds=600)
        waited: list[float] = []
        session.sender.sleep = waited.append
        sent = [f"desk {number}" for number in range(7)]
        for name in sent:
            session.update(name, {"name": name})
        assert len(session.steps) == 4
        assert session.ahead > 2_208_988_800 - time.monotonic()
        # As if a second and a half had gone by between the last two.
        early, (case, before, age, _) = session.still
        session.still = [early, (case, before, age, session.ahead - 1.5)]
        session.steps.append(1.0)
        wake(session)
        session.sender.close()

    assert [case.label for case, _, _ in session.updates if "rest" in case.label] == ["desk 6, after a rest"]
    assert [round(seconds) for seconds in waited] == [3]


def test_where_an_update_replaces_the_record_it_is_put_back_whole(tmp_path: Path) -> None:
    """Where the documents do not say that what is not sent stays, a part of what was found would clear the rest: also
    for a counter that every write moves, and that stands in the request although no update sets it.
    """
    made = yaml.safe_load(Path(CONTRACT.document.file).read_text(encoding="utf-8"))
    del made["paths"][CONTRACT.update.path]["put"]["x-unsent"]
    for name in ("PhoneNumberUpdate", "PhoneNumber"):
        made["components"]["schemas"][name]["properties"]["revision"] = {"type": "integer", "readOnly": True}
    fragment = tmp_path / "replacing.json"
    fragment.write_text(json.dumps(made), encoding="utf-8")
    cleared = [n for n, item in CONTRACT.request.fields.items() if n not in CONTRACT.request.selectors and n != "name"]

    def harm(way: Harmed, request: httpx.Request) -> httpx.Response:
        body = {n: None for n in cleared if not n.endswith("_method") and n != "call_receive_mode"} | sent(request)
        answer = way.passing(request, body if request.method == "PUT" and sent(request) else None)
        shown = answer.json() if answer.is_success else None
        if not isinstance(shown, dict) or "id" not in shown:
            return answer
        return httpx.Response(200, json=shown | {"revision": sum(r.method == "PUT" for r in way.requests)})

    with reference.running() as server:
        before = record(server)
        found = ran(server, tmp_path, harm, spec=str(fragment), profile="smoke")
        now = record(server)

    assert found.requests > 15
    assert {n: now[n] for n in CONTRACT.request.fields if n in now} == {
        n: before[n] for n in CONTRACT.request.fields if n in now
    }
