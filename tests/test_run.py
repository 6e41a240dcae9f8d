"""Runs from end to end: what is kept, broken or undecided, and what never gets as far as the first write."""

from __future__ import annotations

import json
import os
import re
import signal
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from contract import reference
from contract.errors import ConfigError, SendError, Undecided
from contract.generate import Generator
from contract.model import Response
from contract.neighbours import _goes_on, next_page
from contract.reference import Direct
from contract.reference.seed import NUMBER_IDS
from tests import kit
from tests.kit import CONTRACT, Outcome, broken, credentials, outcome, record, run, settings
from tests.proxy import Exchange, Lost, Proxy, Secured, certificate, passing

UPDATE, RETRIEVE = CONTRACT.update.id, CONTRACT.retrieve.id
OWN, OTHER = NUMBER_IDS[:2]
UNKNOWN = "00000000-0000-4000-8000-000000000000"

Ask = Callable[[httpx.Request], httpx.Response]
Harm = Callable[[int, httpx.Request, Ask], httpx.Response]
"""The answer to a request, of which it has the number, counted from 1; it may ask the server itself."""


class Harmed(kit.Harmed):
    """A server of which *harm* gives the answers."""

    def __init__(self, server: reference.Running, harm: Harm) -> None:
        super().__init__(server, lambda way, request: harm(way.number, request, way.passing))

    @property
    def methods(self) -> set[str]:
        """How it was asked."""
        return {request.method for request in self.requests}


def page(*_: Any) -> httpx.Response:
    """A web page."""
    return httpx.Response(200, html="<!DOCTYPE html><title>Log in</title>")


def status(code: int) -> Harm:
    """Always that status, with an empty body."""
    return lambda number, request, ask: httpx.Response(code)


def plain(number: int, request: httpx.Request, ask: Ask) -> httpx.Response:
    """The server's own answer."""
    return ask(request)


def closing(number: int, request: httpx.Request, ask: Ask) -> httpx.Response:
    """Nothing: the connection is closed."""
    raise httpx.RemoteProtocolError("Server disconnected")


def refusal(*details: str) -> httpx.Response:
    """A documented one, with *details*."""
    common = {"status": "422", "title": "Invalid Attribute", "code": "422"}
    return httpx.Response(422, json={"errors": [{"detail": detail, **common} for detail in details]})


def odd(answer: httpx.Response) -> httpx.Response:
    """*answer* with a number type that is in no enum."""
    return httpx.Response(200, json=json.loads(answer.content.replace(b'"longcode"', b'"LONGCODE"')))


# ----------------------------------------------------------------------- verdicts


def test_a_clean_server_keeps_the_contract(tmp_path: Path) -> None:
    """Kept, 0, every rule with its evidence or a reason, and the number as it was. Before the last look at the
    bystander the record has other values in all enumerated fields that both have.
    """
    with reference.running() as server:
        before = record(server)
        seen: list[tuple[int, int]] = []
        found = run(settings(server, tmp_path), credentials(server), progress=lambda *step: seen.append(step))
        assert record(server) == before
        other = record(server, 3)

    assert (found.verdict, found.status, found.problem, found.noise) == ("kept", 0, "", 0)
    assert broken(found) == []
    assert found.requests <= 300
    assert found.restored[server.ids[0]].verdict == "restored"
    assert all(entry.evidence > 0 for entry in found.entries if entry.verdict == "kept")
    assert all(entry.reason for entry in found.entries if entry.verdict == "not_exercised")
    assert len(found.entries) > 300
    assert seen == sorted(seen)
    assert all(done <= planned for done, planned in seen)

    labels = [one.case.label for one in found.exchanges]
    last = next(i for i, label in enumerate(labels) if label.startswith("the bystander") and label.endswith("after"))
    bodies = [one.response.body for one in found.exchanges[:last] if one.case.operation == UPDATE]
    now = [body for body in bodies if isinstance(body, dict) and body.get("id") == server.ids[0]][-1]
    enums = [name for name in now if name.endswith(("_method", "_mode"))]
    assert len(enums) > 5
    assert [name for name in enums if now[name] == other[name]] == []


def wrapped(operation: str, status: int, body: Any) -> Any:
    """The 200 in a member called data."""
    return {"data": body} if status == 200 and operation == UPDATE else body


def lacking(operation: str, status: int, body: Any) -> Any:
    """The 200 without one documented field."""
    if status == 200 and isinstance(body, dict):
        return {name: value for name, value in body.items() if name != "number_type"}
    return body


@pytest.mark.parametrize(
    ("harm", "rule", "profile"),
    [(wrapped, f"{UPDATE}.shape.body", "standard"), (lacking, f"{UPDATE}.shape.number_type.present", "smoke")],
)
def test_a_broken_server_is_named_for_what_it_breaks(
    harm: Callable[[str, int, Any], Any], rule: str, profile: str, tmp_path: Path
) -> None:
    """A 200 that is wrapped, a field that is missing: that rule, and few others; 1 wins over an end before time."""
    with reference.running(mutate=harm) as server:
        before = record(server)
        found = run(settings(server, tmp_path, profile=profile), credentials(server))
        assert record(server) == before

    assert (found.verdict, found.status) == ("broken", 1)
    assert rule in broken(found)
    assert len(broken(found)) <= 3
    found.problem = "the time is over"
    assert (found.verdict, found.status) == ("broken", 1)


@pytest.mark.parametrize(
    "told",
    [
        {
            "update-open": ("access.no_credentials", {"name"}),
            "put-accepted": ("rejection.message_fallback_method.enum", {"message_fallback_method"}),
            "message-laml-application-alone": (
                "handler.message_handler.laml_application.requires.message_laml_application_id",
                {"message_handler"},
            ),
        },
        {
            "method-overlooked-beside-handler": (
                "rejection.message_fallback_method.enum",
                {"message_fallback_method", "message_handler", "message_.*"},
            )
        },
        {"second-time-refused": ("idempotence", {".*", ".*_handler"})},
    ],
    ids=lambda told: next(iter(told)),
)
def test_what_is_wrongly_accepted_or_refused_is_told_with_the_smallest_body(
    told: dict[str, tuple[str, set[str]]], tmp_path: Path
) -> None:
    """Whatever else was in the body, and has nothing to do with it, is left out."""
    with reference.running(defect="+".join(told)) as server:
        found = run(settings(server, tmp_path), credentials(server))

    for rule, body in told.values():
        entry = next(e for e in found.entries if e.verdict == "broken" and e.rule.id == f"{UPDATE}.{rule}")
        sent = entry.failures[0].body
        assert len(sent) == len(body)
        assert all(any(re.fullmatch(pattern, name) for pattern in body) for name in sent)
    assert len(broken(found)) <= len(told) + 1


def test_what_is_refused_the_first_time_too_is_not_refused_for_coming_again(tmp_path: Path) -> None:
    """A body that is refused from its second time on, whatever came before, is told as refused."""
    seen: list[bytes] = []

    def once(number: int, request: httpx.Request, ask: Ask) -> httpx.Response:
        if request.content.count(b'":') > 8 and request.content in seen:
            return refusal("is not new")
        answer = ask(request)
        if answer.status_code == 200:
            seen.append(request.content)
        return answer

    with reference.running() as server:
        found = run(settings(server, tmp_path), credentials(server), transport=Harmed(server, once))

    assert f"{UPDATE}.accept" in broken(found)
    assert f"{UPDATE}.idempotence" not in broken(found)


def test_what_lacks_after_an_open_question_is_filled(tmp_path: Path) -> None:
    """A blank that was taken with its handler is no reason for a documented update to be refused later."""
    with reference.running(variant="blank-until-written") as server:
        found = run(settings(server, tmp_path), credentials(server))

    taken = [one for one in found.exchanges if one.case.label.startswith("call_handler relay_topic with a blank")]
    assert [one.response.status for one in taken] == [200]
    assert (found.verdict, broken(found)) == ("kept", [])


def test_a_bystander_that_changed_is_told_beside_what_was_put_back(tmp_path: Path) -> None:
    """What updates did to another record stays, and whoever owns it has to know how it was."""
    with reference.running(defect="name-for-all") as server:
        before = record(server, 3)
        found = outcome(settings(server, tmp_path, profile="smoke"), credentials(server), reports=False)
        now = record(server, 3)

    assert found.result is not None
    assert {id: [*fields] for id, fields in found.result.touched.items()} == {server.ids[3]: ["name"]}
    assert f"{server.ids[3]} was changed as well, and is left so" in found.text
    assert f"        name: was {before['name']}, is " in found.text
    assert now["name"] != before["name"]


def test_the_texts_of_a_bystander_are_given_but_no_address_of_a_stranger(tmp_path: Path) -> None:
    """Whatever the letters of its scheme: only addresses that RFC 2606 reserves are written anywhere."""
    shown = {
        "name": "The desk next to it",
        "call_fallback_url": "HTTPS://pager.somebody.io/x",
        "call_verto_resource": "wss://somebody.io/desk",
        "message_fallback_url": "https://hooks.example.org/next",
    }

    def mutate(operation: str, status: int, body: Any) -> Any:
        return body | shown if "id" in body and body["id"] == other else body

    with reference.running(mutate=mutate) as server:
        other = server.ids[3]
        found = run(settings(server, tmp_path), credentials(server))

    (given,) = (one.case.body for one in found.exchanges if one.case.label == "what a bystander has")
    assert {name: given.get(name) for name in shown} == {
        **dict.fromkeys(shown),
        **{name: shown[name] for name in ("name", "message_fallback_url")},
    }


def test_what_is_refused_again_and_again_on_the_way_back_is_given_up(tmp_path: Path) -> None:
    """A value that is never taken again is tried a few times, and not for ever."""
    lost = {"message_relay_topic": "billing"}
    replaced: list[int] = []

    def harm(number: int, request: httpx.Request, ask: Ask) -> httpx.Response:
        there = b"message_relay_topic" in request.content
        if there and replaced and b"billing" in request.content:
            return refusal("is not valid")
        answer = ask(request)
        if there and answer.status_code == 200 and b"billing" not in request.content:
            replaced.append(number)
        return answer

    with reference.running() as server:
        given(server, lost)
        chosen = settings(server, tmp_path, profile="smoke")
        found = run(chosen, credentials(server), transport=Harmed(server, harm))

    alone = [e for e in found.exchanges if e.case.label == "restore" and e.case.body == lost]
    assert [one.verdict for one in found.restored.values()] == ["not_restored"]
    assert len(alone) == 3


@pytest.mark.parametrize("profile", ["smoke", "standard"])
def test_few_requests_are_kept_for_looking_into_what_was_found(profile: str, tmp_path: Path) -> None:
    """What is found is seen again, and what was not asked for its sake is told."""
    with reference.running(defect="write-not-stored") as server:
        found = run(settings(server, tmp_path, profile=profile, max_requests=90), credentials(server))

    assert (found.verdict, found.problem) == ("broken", "")
    assert f"{UPDATE}.read_back" in broken(found)
    assert len(broken(found)) <= 3
    assert found.requests <= 90
    assert any("looking at what was found" in entry.reason for entry in found.entries)


@pytest.mark.parametrize(("every", "lost"), [(5, False), (13, True)])
def test_a_server_that_puts_requests_off_or_loses_them_is_kept(every: int, lost: bool, tmp_path: Path) -> None:
    """429 is waited out and counted, and is no finding; less is asked, so that the run takes no more requests."""

    def busy(number: int, request: httpx.Request, ask: Ask) -> httpx.Response:
        if number % every:
            return ask(request)
        if lost:
            raise httpx.ConnectError("nobody there")
        return httpx.Response(429, headers={"retry-after": "0"})

    with reference.running() as server:
        found = run(settings(server, tmp_path), credentials(server), transport=Harmed(server, busy))

    assert (found.verdict, broken(found)) == ("kept", [])
    assert found.noise >= 20
    assert found.requests <= 300


def test_a_read_that_is_refused_after_wrong_credentials_is_seen_again(tmp_path: Path) -> None:
    """It is not refused by itself: what was sent without leave before it is sent again too."""
    barred = False

    def barring(number: int, request: httpx.Request, ask: Ask) -> httpx.Response:
        nonlocal barred
        answer = ask(request)
        if answer.status_code == 401:
            barred = True
        elif barred and answer.is_success:
            barred = False
            return httpx.Response(403, json={"error": "Forbidden"})
        return answer

    with reference.running() as server:
        chosen = settings(server, tmp_path, profile="smoke")
        found = run(chosen, credentials(server), transport=Harmed(server, barring))

    assert broken(found) == [f"{RETRIEVE}.shape.status"]
    entry = next(entry for entry in found.entries if entry.verdict == "broken")
    assert [case.credentials == "right" for case in entry.failures[0].cases] == [False, True]


def test_smoke_takes_forty_requests_at_most(tmp_path: Path) -> None:
    """The smallest profile keeps to its number, the way back included; it asks for nothing that was given."""
    with reference.running() as server:
        found = run(settings(server, tmp_path, profile="smoke"), credentials(server))

    assert (found.verdict, found.requests <= 40) == ("kept", True)
    assert not any(entry.lacking for entry in found.entries)


def test_smoke_reads_each_bystander_again(tmp_path: Path) -> None:
    """Further ones have their own requests."""
    with reference.running() as server:
        chosen = settings(server, tmp_path, profile="smoke", bystander_ids=server.ids[1:5])
        found = run(chosen, credentials(server))

    assert (found.verdict, found.problem) == ("kept", "")
    reads = Counter(one.url.rpartition("/")[2] for one in found.exchanges if "bystander" in one.case.label)
    assert reads == dict.fromkeys(server.ids[1:5], 2)


def test_several_numbers_share_the_plan_and_are_all_put_back(tmp_path: Path) -> None:
    """Two numbers are updated side by side, each with its own journal, and both are as they were."""
    with reference.running() as server:
        before = [record(server, n) for n in (0, 1)]
        found = run(settings(server, tmp_path, ids=server.ids[:2], profile="smoke"), credentials(server))
        assert [record(server, n) for n in (0, 1)] == before

    updated = {one.url.rpartition("/")[2] for one in found.exchanges if one.case.operation == UPDATE}
    assert set(server.ids[:2]) <= updated
    assert found.verdict == "kept"
    assert {done.verdict for done in found.restored.values()} == {"restored"}


def test_an_unknown_bystander_is_said(tmp_path: Path) -> None:
    """A bystander that does not exist is a mistake in the configuration: nothing is written."""
    with reference.running() as server:
        asked = Harmed(server, plain)
        chosen = settings(server, tmp_path, bystander_ids=(UNKNOWN,))
        with pytest.raises(Undecided, match=f"the bystander {UNKNOWN} does not exist .404.: check bystander_ids"):
            run(chosen, credentials(server), transport=asked)

    assert asked.methods == {"GET"}


def beside(folder: Path, look: Harm) -> Outcome:
    """A short run with a bystander, the reads of which are counted from 1 and answered by *look*."""
    reads: list[int] = []

    def harm(number: int, request: httpx.Request, ask: Ask) -> httpx.Response:
        if request.url.path.endswith(OTHER):
            reads.append(number)
            return look(len(reads), request, ask)
        if request.method == "PUT":
            assert reads
            assert list(folder.rglob("*.json")), "no journal yet"
        return ask(request)

    with reference.running() as server:
        chosen = settings(server, folder, bystander_ids=(OTHER,), profile="smoke")
        return outcome(chosen, credentials(server), reports=False, transport=Harmed(server, harm))


def of_another(number: int, request: httpx.Request, ask: Ask) -> httpx.Response:
    """The record under test in the place of the one that was asked for."""
    return ask(httpx.Request(request.method, str(request.url).replace(OTHER, OWN), headers=request.headers))


@pytest.mark.parametrize(
    ("look", "rule"),
    [
        (lambda n, request, ask: ask(request) if n == 1 else httpx.Response(404, json={}), f"{UPDATE}.bystander"),
        (of_another, f"{RETRIEVE}.shape.identity"),
        (lambda n, request, ask: odd(ask(request)), f"{RETRIEVE}.enum.number_type"),
        (status(500), f"{RETRIEVE}.rejection.no_server_error"),
    ],
    ids=["gone", "another record", "a wrong value", "500"],
)
def test_what_a_bystander_looks_like_is_judged(look: Harm, rule: str, tmp_path: Path) -> None:
    """As every answer to a retrieve; what is not found any more was changed by the updates. It is asked for again, and
    the line to try again asks for the bystander.
    """
    found = beside(tmp_path, look)
    assert found.result is not None
    assert broken(found.result) == [rule]
    assert f"/phone_numbers/{OTHER}\n" in found.text


@pytest.mark.parametrize("wrong", [1, 2])
def test_a_bystander_that_looks_wrong_once_is_undecided(wrong: int, tmp_path: Path) -> None:
    """What is not seen again; and nothing is written for that before the record is kept."""
    found = beside(tmp_path, lambda n, request, ask: odd(ask(request)) if n == wrong else ask(request)).result
    assert found is not None
    assert broken(found) == []
    assert f"{RETRIEVE}.enum.number_type" in {e.rule.id for e in found.entries if e.verdict == "undecided"}


def test_a_bystander_that_nobody_read_again_is_not_kept(tmp_path: Path) -> None:
    """Where the second read gets no answer, the run cannot tell."""
    found = beside(tmp_path, lambda n, request, ask: ask(request) if n == 1 else closing(n, request, ask)).result
    assert found is not None
    assert found.verdict == "undecided"
    assert found.problem.startswith("other records were not read again: ")


def test_smoke_goes_on_after_what_is_wrong_with_a_bystander(tmp_path: Path) -> None:
    """It is looked into at once, and leaves requests enough for the record itself."""

    def harm(number: int, request: httpx.Request, ask: Ask) -> httpx.Response:
        return odd(ask(request)) if request.url.path.endswith(OTHER) else ask(request)

    with reference.running(defect="write-not-stored") as server:
        chosen = settings(server, tmp_path, bystander_ids=(OTHER,), profile="smoke")
        found = run(chosen, credentials(server), transport=Harmed(server, harm))

    assert f"{RETRIEVE}.enum.number_type" in broken(found)
    assert any(rule.startswith(f"{UPDATE}.read_back") for rule in broken(found))


def test_a_page_of_the_list_that_does_not_hold_the_record_is_judged_too(tmp_path: Path) -> None:
    """The next one after that which holds it, once before the updates and once after them."""

    def paged(number: int, request: httpx.Request, ask: Ask) -> httpx.Response:
        if not request.url.path.endswith("/phone_numbers"):
            return ask(request)
        request.url = request.url.copy_merge_params({"page_size": 1})
        return odd(ask(request)) if "page_token" in request.url.params else ask(request)

    with reference.running() as server:
        with httpx.Client(auth=(server.username, server.password), transport=Direct(server)) as client:
            listed = client.get(f"{server.base_url}/phone_numbers").json()
        first = settings(server, tmp_path, ids=(listed["data"][0]["id"],), profile="smoke")
        found = run(first, credentials(server), transport=Harmed(server, paged))

    assert broken(found) == ["list_phone_numbers.enum.number_type"]


@pytest.mark.parametrize("value", ["video_room", "relay_topic"])
def test_an_omission_waits_until_the_api_clears_what_it_leaves_out(value: str, tmp_path: Path) -> None:
    """Everything is stored and null is refused; what a selector leaves is cleared."""
    defect = f"call-{value.replace('_', '-')}-alone"
    with reference.running(defect=defect, variant="former-cleared+null-refused") as server:
        generator = Generator(CONTRACT.update, server.resources)
        # An alias that loses is not stored beside the one that wins.
        given(server, *({name: generator.firm(name)[0]} for name in generator.free))
        found = run(settings(server, tmp_path), credentials(server))

    rules = {"video_room": "call_video_room_id", "relay_topic": "call_relay_topic"}
    rules = {of: f"{UPDATE}.handler.call_handler.{of}.requires.{name}" for of, name in rules.items()}
    assert broken(found) == [rules.pop(value)]
    assert [e.verdict for e in found.entries if e.rule.id in rules.values()] == ["kept"]
    assert found.requests <= 300


# ------------------------------------------------------------- nothing is written


@pytest.mark.parametrize(
    ("harm", "more", "says"),
    [
        (plain, {"ids": (UNKNOWN,)}, ["answers a 404", f"check that the id '{UNKNOWN}' exists"]),
        (plain, {"password": "wrong"}, ["credentials are refused (401", "check the environment variables"]),
        (plain, {"path": ""}, ["answers a 404", "base_url ends with the API's path, as in https://"]),
        (page, {}, ["answers a web page", "base_url ends with the API's path"]),
        (status(302), {}, ["answers a 302"]),
        (status(400), {}, ["answers 400; check the id"]),
        (status(403), {}, ["credentials are refused (403"]),
        (status(422), {}, ["answers 422; check the id"]),
        (status(503), {}, ["answers 503 again and again; try again when the API is up"]),
        (closing, {}, ["cannot be tested: the connection broke", "check base_url"]),
    ],
    ids=["unknown id", "wrong password", "no path", "html", "302", "400", "403", "422", "503", "closes"],
)
def test_what_was_set_up_wrongly_ends_before_the_first_write(
    harm: Harm, more: dict[str, Any], says: list[str], tmp_path: Path
) -> None:
    """One plain line that says what, where and what now; exit 2; nothing but reads were sent, and no journal is left."""
    with reference.running() as server:
        asked = Harmed(server, harm)
        given = credentials(server) | {k: v for k, v in more.items() if k == "password"}
        url = server.base_url if "path" not in more else server.base_url.removesuffix("/api/relay/rest")
        extra = {k: v for k, v in more.items() if k == "ids"}
        found = outcome(settings(server, tmp_path, base_url=url, **extra), given, reports=False, transport=asked)

    assert found.status == 2
    assert len(found.text.splitlines()) == 1
    assert url in found.text
    assert all(words in found.text for words in says), found.text
    assert asked.methods == {"GET"}
    assert (found.journals, found.files) == ([], {})


@pytest.mark.parametrize(
    ("harm", "what", "after"),
    [(page, "web pages", 30), (status(302), "302", 61), (page, "web pages", 150), (status(302), "302", 279)],
)
def test_a_log_in_that_is_asked_for_meanwhile_accuses_nobody(harm: Harm, what: str, after: int, tmp_path: Path) -> None:
    """From a certain request on every answer is a web page, or the way to one: the run cannot tell."""

    def out(number: int, request: httpx.Request, ask: Ask) -> httpx.Response:
        return (harm if number > after else plain)(number, request, ask)

    with reference.running() as server:
        found = run(settings(server, tmp_path), credentials(server), transport=Harmed(server, out))

    assert (found.verdict, broken(found)) == ("undecided", [])
    assert found.problem.endswith(f"the API answers nothing but {what} any more")


@pytest.mark.parametrize("harm", [page, status(303)], ids=["html", "redirect"])
def test_updates_that_are_answered_with_web_pages_alone_are_broken(harm: Harm, tmp_path: Path) -> None:
    """Reads show that the API is there."""

    def instead(number: int, request: httpx.Request, ask: Ask) -> httpx.Response:
        answer = ask(request)
        return harm(number, request, ask) if request.method == "PUT" and answer.is_success else answer

    with reference.running() as server:
        found = run(settings(server, tmp_path), credentials(server), transport=Harmed(server, instead))

    assert found.verdict == "broken"
    assert "any more" not in found.problem


def test_one_web_page_in_between_accuses_nobody(tmp_path: Path) -> None:
    """Not even where the update that it answers was to clear what the next ones leave out."""
    clearing: list[int] = []

    def once(number: int, request: httpx.Request, ask: Ask) -> httpx.Response:
        emptied = re.findall(rb":(null)?", request.content)
        if clearing or len(emptied) < 8 or not all(emptied):
            return ask(request)
        clearing.append(number)
        return page()

    with reference.running() as server:
        found = run(settings(server, tmp_path), credentials(server), transport=Harmed(server, once))

    assert (found.verdict, broken(found)) == ("undecided", [])
    assert found.exchanges[clearing[0] - 1].case.label == "null to clear companions"


def test_a_host_that_cannot_be_reached_is_named(tmp_path: Path) -> None:
    """A closed port is a line with the address in it; callers of the engine can tell the error from others."""
    with reference.running() as server:
        pass
    chosen = settings(server, tmp_path)
    found = outcome(chosen, credentials(server), reports=False, transport=None)

    assert found.status == 2
    assert f"{server.base_url} cannot be tested: no connection: " in found.text
    assert len(found.text.splitlines()) == 1
    with pytest.raises(SendError) as error:
        run(chosen, credentials(server), transport=None)
    assert error.value.kind == "unsent"


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"username": "", "password": ""}, "set CONTRACT_USERNAME and CONTRACT_PASSWORD"),
        ({"password": ""}, "set CONTRACT_USERNAME and CONTRACT_PASSWORD"),
        ({"password": "secret\n"}, "CONTRACT_PASSWORD begins or ends with a blank"),
        ({"password": "sec\x00ret"}, "CONTRACT_PASSWORD begins or ends with a blank or holds a character"),
        ({"username": " u"}, "CONTRACT_USERNAME begins"),
        ({"username": "a:b"}, "CONTRACT_USERNAME holds a ':'"),
        ({"token": "tök"}, "CONTRACT_TOKEN begins"),
    ],
)
def test_credentials_that_cannot_be_sent_are_refused_unseen(given: dict[str, str], says: str, tmp_path: Path) -> None:
    """The message names the variable and never its value, and nothing is sent."""
    with reference.running() as server:
        asked = Harmed(server, plain)
        with pytest.raises(ConfigError) as error:
            run(settings(server, tmp_path), credentials(server) | given, transport=asked)

    assert says in str(error.value)
    assert not any(value.strip() and value in str(error.value) for value in given.values() if len(value) > 3)
    assert asked.requests == []


def test_a_text_that_must_name_something_can_be_given(tmp_path: Path) -> None:
    """A name under [resources] is the only value of its field; without it the API is blamed for its refusals."""
    field, name = "call_verto_resource", "desk@example.com"

    def looking(number: int, request: httpx.Request, ask: Ask) -> httpx.Response:
        with suppress(ValueError):
            body = json.loads(request.content)
            if isinstance(body, dict) and body.get(field, name) not in (None, name):
                return refusal("must exist")
        return ask(request)

    with reference.running() as server:
        chosen = settings(server, tmp_path, profile="smoke")
        free = run(chosen, credentials(server), transport=Harmed(server, looking))
        named = replace(chosen, resources={**chosen.resources, field: name})
        result = run(named, credentials(server), transport=Harmed(server, looking))

    assert broken(free) == [f"{UPDATE}.handler.call_handler.relay_verto_endpoint.accepted"]
    assert result.verdict == "kept"
    assert next(e for e in result.entries if e.rule.id == f"{UPDATE}.read_back.{field}").verdict == "kept"


def given(server: reference.Running, *bodies: dict[str, Any]) -> None:
    """The first number as it is after these updates."""
    url = f"{server.base_url}/phone_numbers/{server.ids[0]}"
    with httpx.Client(auth=(server.username, server.password), transport=Direct(server)) as client:
        for body in bodies:
            client.put(url, json=body).raise_for_status()


def test_a_handler_is_sent_as_it_stands_with_what_it_requires(tmp_path: Path) -> None:
    """Other names for that stand at other values: where a companion has to come along, nothing is refused."""
    with reference.running(variant="companions-in-body") as server:
        handler = {"message_handler": "relay_topic", "message_relay_topic": "front"}
        given(server, handler, {"message_relay_context": "back"})
        before = record(server)
        result = run(settings(server, tmp_path), credentials(server))

        assert (before["message_relay_topic"], before["message_relay_context"]) == ("front", "back")
        assert record(server) == before
    assert result.verdict == "kept"


def test_what_null_leaves_is_not_taken_for_cleared(tmp_path: Path) -> None:
    """Another field that null empties says nothing of one that is never shown, where null left its like as it was."""

    def keeping(number: int, request: httpx.Request, ask: Ask) -> httpx.Response:
        # Null empties a name, and no other text.
        with suppress(ValueError):
            body = json.loads(request.content)
            if isinstance(body, dict):
                rest = {n: v for n, v in body.items() if v is not None or "relay" not in n or n.endswith("url")}
                request = httpx.Request(request.method, request.url, headers=request.headers, json=rest)
                request.headers["content-length"] = str(len(request.content))
        return ask(request)

    names = ("message_relay_topic", "message_relay_context", "message_relay_application")
    with reference.running() as server:
        given(server, *({name: "front"} for name in names))
        chosen = settings(server, tmp_path, allow_unrestorable=True)
        result = run(chosen, credentials(server), transport=Harmed(server, keeping))

    assert broken(result) == []
    rule = f"{UPDATE}.handler.message_handler.relay_application.requires.message_relay_application"
    assert next(e.verdict for e in result.entries if e.rule.id == rule) == "not_exercised"


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"ca_file": "nowhere.pem"}, "ca_file nowhere.pem cannot be used"),
        ({"client_cert": "nowhere.pem"}, "client_cert nowhere.pem cannot be used"),
        ({"client_key": "nowhere.pem"}, "client_key is given without client_cert"),
        ({"proxy": "nowhere"}, "the proxy cannot be used"),
        ({"resources": {"call_room": "x"}}, "[resources] names 'call_room'"),
        ({"resources": {"call_handler": "x"}}, "[resources] names 'call_handler'"),
        ({"resources": {"call_video_room_id": "x"}}, "[resources] call_video_room_id = 'x' is no uuid"),
        ({"ids": ()}, "ids is missing"),
        ({"spec": "nowhere.yaml"}, "nowhere.yaml"),
    ],
)
def test_settings_that_cannot_be_used_are_refused(more: dict[str, Any], says: str, tmp_path: Path) -> None:
    """A file that is not there, a proxy that is none, a resource of no field: one line, and nothing is sent."""
    with reference.running() as server, Proxy(server.base_url) as proxy:
        options = {
            "base_url": proxy.base_url.replace("http:", "https:") if "c" in next(iter(more))[:2] else proxy.base_url
        }
        found = outcome(settings(server, tmp_path, **options | more), credentials(server))

    assert found.status == 2
    assert says in found.text
    assert len(found.text.splitlines()) <= 2
    assert proxy.exchanges == 0


def test_tls_is_verified_and_both_sides_may_show_a_certificate(tmp_path: Path) -> None:
    """With ca_file and client_cert a run is kept; without the one nothing is sent, and without the other nothing answered."""
    own, client = certificate(tmp_path / "server.pem"), certificate(tmp_path / "client.pem")
    with reference.running() as server, Secured(server.base_url, own=own, client=client) as proxy:
        more: dict[str, Any] = {"base_url": proxy.base_url, "profile": "smoke", "ca_file": str(own)}
        kept = outcome(settings(server, tmp_path, **more, client_cert=str(client)), credentials(server))
        sent = proxy.exchanges
        nameless = outcome(settings(server, tmp_path, **more), credentials(server))
        more["ca_file"] = ""
        stranger = outcome(settings(server, tmp_path, **more, client_cert=str(client)), credentials(server))
        assert proxy.exchanges == sent

    assert kept.status == 0, kept.text
    assert nameless.status == 2
    assert "cannot be tested" in nameless.text
    assert stranger.status == 2
    assert "the TLS certificate is not trusted" in stranger.text


@pytest.mark.parametrize(
    ("harm", "code", "says"),
    [
        (
            lambda number, request, ask: httpx.Response(200, json=[]) if number == 1 else ask(request),
            2,
            "the record cannot be read as documented, so nothing was written",
        ),
        (lambda number, request, ask: httpx.Response(200, json=[]), 1, f"broken  {RETRIEVE}.shape.body"),
    ],
    ids=["once", "three times"],
)
def test_a_record_that_cannot_be_read_is_not_written(harm: Harm, code: int, says: str, tmp_path: Path) -> None:
    """It is read twice more: what does not come again is undecided, and what does is broken."""
    with reference.running() as server:
        asked = Harmed(server, harm)
        found = outcome(settings(server, tmp_path), credentials(server), reports=False, transport=asked)

    assert found.status == code, found.text
    assert says in found.text
    assert asked.methods == {"GET"}


def test_a_record_that_shows_the_credentials_is_not_kept_on_disk(tmp_path: Path) -> None:
    """Where the record holds the password, that is broken, nothing is written, and no journal ever held it."""

    def mutate(operation: str, code: int, body: Any) -> Any:
        return {**body, "name": server.password} if isinstance(body, dict) and "name" in body else body

    with reference.running(mutate=mutate) as server:
        asked = Harmed(server, plain)
        found = outcome(settings(server, tmp_path), credentials(server), reports=False, transport=asked)

    assert found.status == 1
    assert "no_leak" in found.text
    assert asked.methods == {"GET"}
    held = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert not any(server.password.encode() in content for content in held)


# ------------------------------------------------------------------------ the way


def test_a_list_is_read_until_the_record_is_on_it(tmp_path: Path) -> None:
    """The link to the next page is followed by its query alone, on the same address."""

    def harm(number: int, request: httpx.Request, ask: Ask) -> httpx.Response:
        if not request.url.path.endswith("/phone_numbers"):
            return ask(request)
        first = "page_token" not in request.url.params
        request.url = request.url.copy_with(query=None)
        body = ask(request).json()
        if not first:
            return httpx.Response(200, json=body)
        links = body["links"] | {"next": "https://elsewhere.example.com/x?page_number=1&page_token=t"}
        return httpx.Response(200, json={"links": links, "data": body["data"][:1]})

    with reference.running() as server:
        found = run(settings(server, tmp_path, profile="smoke"), credentials(server), transport=Harmed(server, harm))

    asked = {one.url.removeprefix(server.base_url) for one in found.exchanges if "page_token" in one.url}
    assert asked == {"/phone_numbers?page_number=1&page_token=t"}
    assert next(e.verdict for e in found.entries if e.rule.id == "list_phone_numbers.read_back") == "kept"


@pytest.mark.parametrize(
    ("body", "headers", "more"),
    [
        ({"result": {"lamps": [{}, {}]}, "paging": {"total": 2, "next": None}}, {}, False),
        ({"result": {"lamps": [{}, {}]}, "paging": {"total": 3, "next": None}}, {}, True),
        ({"lamps": [{}, {}], "has_more": True}, {}, True),
        ({"lamps": [{}, {}], "meta": {"page": {"links": {"next": "/lamps?page=2"}}}}, {}, True),
        ({"lamps": [{}, {}], "meta": {"page": {"total": 2, "pages": 1}}}, {}, False),
        ({"lamps": [{}, {}], "page": 1, "pages": 3}, {}, True),
        ({"lamps": [{}, {}]}, {"x-total-count": "57"}, True),
        ({"lamps": [{}, {}]}, {"x-total-count": "2", "x-next-page": ""}, False),
        ({"lamps": [{}, {}]}, {"link": '<https://x.example/a?page=2>; rel="next"'}, True),
        ([], {}, False),
    ],
)
def test_a_list_says_in_several_ways_that_it_goes_on(body: Any, headers: dict[str, str], more: bool) -> None:
    """A count is held against the records that the page shows, wherever in the answer they stand."""
    assert _goes_on(Response(status=200, headers=headers, body=body), 2) == more


@pytest.mark.parametrize(
    ("body", "query"),
    [
        ({"links": {"next": "/a?page=2"}}, "?page=2"),
        ({"next": "https://x.example/a?page=2#b"}, "?page=2#b"),
        ({"links": {"next": None}}, ""),
        ({"links": {"next": "/a"}}, ""),
        ({"next": 7}, ""),
        ([], ""),
        (None, ""),
    ],
)
def test_the_next_page_is_a_query(body: Any, query: str) -> None:
    """Only the query of a link is used, so that no answer can send the run elsewhere."""
    assert next_page(body) == query


def test_a_gateway_without_a_server_behind_it_ends_the_run(tmp_path: Path) -> None:
    """Nothing but 502 for a while: nobody is there, which is no finding."""

    def harm(number: int, request: httpx.Request, ask: Ask) -> httpx.Response:
        return httpx.Response(502) if 20 < number < 36 else ask(request)

    with reference.running() as server:
        before = record(server)
        chosen = settings(server, tmp_path, profile="smoke")
        found = outcome(chosen, credentials(server), reports=False, transport=Harmed(server, harm))
        assert record(server) == before

    assert found.status == 2, found.text
    assert "the API answers nothing but 502 any more" in found.text
    assert found.journals == []


@pytest.mark.parametrize(("number", "count"), [(signal.SIGINT, 1), (signal.SIGTERM, 2)])
def test_a_signal_puts_the_number_back_and_gives_the_handlers_back(
    number: signal.Signals, count: int, tmp_path: Path
) -> None:
    """In the middle of a request that hangs: cut off, put back, named, and the process lives on."""
    earlier = signal.getsignal(number)

    def harm(exchange: Exchange) -> None:
        if exchange.number == 70:
            os.kill(os.getpid(), number)
            proxy.closed.wait(20)
            raise Lost
        passing(exchange)

    with reference.running() as server, Proxy(server.base_url, harm) as proxy:
        before = [record(server, n) for n in range(count)]
        chosen = settings(server, tmp_path, base_url=proxy.base_url, timeout=15.0, ids=server.ids[:count])
        found = outcome(chosen, credentials(server))
        assert [record(server, n) for n in range(count)] == before

    assert found.status == 2
    assert f"the run was ended by {number.name}" in found.text
    assert found.result is not None
    assert found.result.interrupted == number
    assert found.seconds < 10
    assert signal.getsignal(number) is earlier


def test_a_write_that_arrives_late_is_put_back_too(tmp_path: Path) -> None:
    """An update that got no answer may be carried out when all is put back: the record is looked at once more, and once
    more after that, before it is let go.
    """
    lost: list[httpx.Request] = []
    since: list[str] = []

    def harm(number: int, request: httpx.Request, ask: Ask) -> httpx.Response:
        if number > 20 and len(lost) < 3:
            lost.append(request)
            raise httpx.ReadTimeout("late")
        if lost:
            since.append(request.method)
            if since.count("GET") == 4:
                ask(lost[0])
        return ask(request)

    with reference.running() as server:
        before = record(server)
        chosen = settings(server, tmp_path, profile="smoke")
        found = outcome(chosen, credentials(server), reports=False, transport=Harmed(server, harm))
        assert record(server) == before

    assert lost[0].method == "PUT"
    assert since == ["GET", "PUT", "GET", "GET", "GET", "PUT", "GET"]
    assert found.status == 2
    assert found.journals == []


def test_a_hanging_server_during_the_second_look_ends_the_run(tmp_path: Path) -> None:
    """A defect is being looked into when the server stops answering: one failure ends it, not one for each rule."""
    unanswered: list[str] = []

    def harm(number: int, request: httpx.Request, ask: Ask) -> httpx.Response:
        if number < 258:
            return ask(request)
        unanswered.append(request.method)
        raise httpx.ReadTimeout("hanging")

    with reference.running(defect="urls-swapped") as server:
        chosen = settings(server, tmp_path, max_seconds=8)
        found = outcome(chosen, credentials(server), reports=False, transport=Harmed(server, harm))

    assert found.status in {1, 2}
    # All others ask whether it is there again, to put the record back.
    assert 0 < unanswered.count("PUT") < 10
    assert len(found.journals) == 1


def test_what_is_told_of_a_smaller_body_is_what_that_was_answered(tmp_path: Path) -> None:
    """An API that names each text with a percent sign: of those only what is in the body that is shown is named."""

    def harm(number: int, request: httpx.Request, ask: Ask) -> httpx.Response:
        wrong = re.findall(r'"(\w+)": ?"[^"]*%[^"]*"', request.content.decode())
        return refusal(*(f"<{name}>" for name in wrong)) if wrong else ask(request)

    with reference.running() as server:
        found = run(settings(server, tmp_path), credentials(server), transport=Harmed(server, harm))

    told = [entry.failures[0] for entry in found.entries if entry.verdict == "broken"]
    refused = [f for f in told if "<" in str(f.finding.actual) and isinstance(f.body, dict)]
    assert refused
    for failure in refused:
        named = set(re.findall("<(\\w+)>", str(failure.finding.actual)))
        assert named <= failure.body.keys(), (failure.finding.rule, failure.finding.actual, failure.body)


# --------------------------------------------------------- what others would not expect


def test_a_record_of_someone_else_that_can_be_read_is_not_written_to(tmp_path: Path) -> None:
    """The read already shows that the API lets strangers in; an update could not be put back."""
    with reference.running() as server:
        before = record(server, 1)
        chosen = settings(server, tmp_path, foreign_ids=server.ids[1:2])
        rules = [f"{operation}.access.foreign_id" for operation in (RETRIEVE, UPDATE)]
        found = run(chosen, credentials(server), only=frozenset(rules))
        assert record(server, 1) == before

    assert broken(found) == rules[:1]


def test_a_list_that_shows_a_record_of_someone_else_is_asked_for_again_by_itself(tmp_path: Path) -> None:
    """No update has anything to do with it."""
    with reference.running() as server:
        chosen = settings(server, tmp_path, foreign_ids=server.ids[1:2], profile="smoke")
        shown = outcome(chosen, credentials(server), reports=False)

    (line,) = [line for line in shown.text.splitlines() if line.startswith("  again ")]
    assert line.startswith("  again     curl -sS -X GET ")
    assert line.endswith("/phone_numbers")


def test_a_list_that_was_read_to_its_end_holds_the_record(tmp_path: Path) -> None:
    """Where it does not, the rule about the list is broken; a list that has further pages says nothing."""

    def without(operation: str, status: int, body: Any) -> Any:
        if not isinstance(body, dict) or "data" not in body:
            return body
        return {**body, "data": [one for one in body["data"] if one["id"] != OWN]}

    with reference.running(mutate=without) as server:
        found = run(settings(server, tmp_path, profile="smoke"), credentials(server))

    assert broken(found) == ["list_phone_numbers.read_back"]


def test_what_is_put_off_does_not_hide_a_defect(tmp_path: Path) -> None:
    """What was asked to come later, and came, is an answer like any other."""
    with reference.running(defect="handler-clears-name", variant="unavailable") as server:
        found = run(settings(server, tmp_path), credentials(server))

    assert broken(found) == [f"{UPDATE}.frame.name"]
    assert found.noise > 0


def test_a_change_by_someone_else_to_what_no_update_can_set_is_undecided(tmp_path: Path) -> None:
    """Late in the run, and once: it may have been done elsewhere."""
    seen = 0

    def later(shown: Any) -> Any:
        mine = isinstance(shown, dict) and shown.get("id") == OWN and seen > 25
        return {**shown, "next_billed_at": "2031-01-01T00:00:00Z"} if mine else shown

    def change(operation: str, status: int, body: Any) -> Any:
        nonlocal seen
        seen += 1
        if isinstance(body, dict) and "data" in body:
            return {**body, "data": [later(one) for one in body["data"]]}
        return later(body)

    with reference.running(mutate=change) as server:
        found = run(settings(server, tmp_path, profile="smoke"), credentials(server))

    assert broken(found) == []
    assert found.verdict == "undecided"


def test_a_server_error_in_the_first_read_is_looked_at_again(tmp_path: Path) -> None:
    """One 500 before everything else does not end the run."""

    def harm(number: int, request: httpx.Request, ask: Ask) -> httpx.Response:
        return httpx.Response(500) if number == 1 else ask(request)

    with reference.running() as server:
        chosen = settings(server, tmp_path, profile="smoke")
        found = run(chosen, credentials(server), transport=Harmed(server, harm))

    assert (found.verdict, broken(found)) == ("undecided", [])
    assert found.requests > 25


def lagging() -> Callable[[str, int, Any], Any]:
    """The first read after an update shows the record as it was before."""
    shown: dict[str, Any] = {}
    stale: dict[str, Any] = {}

    def change(operation: str, status: int, body: Any) -> Any:
        if status != 200 or not isinstance(body, dict) or "id" not in body:
            return body
        if operation == UPDATE:
            stale[body["id"]] = shown.get(body["id"])
        elif (old := stale.pop(body["id"], None)) is not None:
            return old
        shown[body["id"]] = body
        return body

    return change


def counting() -> Callable[[str, int, Any], Any]:
    """The same name a second time is numbered."""
    last: list[Any] = []

    def change(operation: str, status: int, body: Any) -> Any:
        if operation == UPDATE and status == 200:
            again = last == [body["name"]] and body["call_receive_mode"] == "voice"
            last[:] = [body["name"]]
            return {**body, "name": f"{body['name']} (2)"} if again else body
        return body

    return change


@pytest.mark.parametrize(
    ("harm", "rule", "profile"), [(lagging, "read_back", "smoke"), (counting, ".name", "standard")]
)
def test_what_the_api_does_itself_is_not_blamed_on_someone_else(
    harm: Callable[[], Callable[[str, int, Any], Any]], rule: str, profile: str, tmp_path: Path
) -> None:
    """A read that lags, and a value that depends on the update before, come again when they are asked for."""
    with reference.running(mutate=harm()) as server:
        before = record(server)
        found = run(settings(server, tmp_path, profile=profile), credentials(server))
        record(server)
        assert record(server) == before

    assert any(rule in one for one in broken(found)), (found.problem, broken(found))
    assert found.foreign == {}
