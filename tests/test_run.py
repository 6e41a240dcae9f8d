"""Runs from end to end: what is kept, broken or undecided, and what never gets as far as the first write."""

from __future__ import annotations

import json
import os
import re
import signal
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from fnmatch import fnmatch
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
from tests.kit import CONTRACT, Outcome, broken, credentials, outcome, record, run, settings
from tests.proxy import Exchange, Lost, Proxy, Secured, certificate, passing

UPDATE = CONTRACT.update.id
UNKNOWN = "00000000-0000-4000-8000-000000000000"


def lines(found: Outcome) -> list[str]:
    """What is printed, line by line."""
    return found.text.splitlines()


# ----------------------------------------------------------------------- verdicts


def test_a_clean_server_keeps_the_contract(tmp_path: Path) -> None:
    """Kept, 0, every rule with its evidence or a reason, and the number as it was."""
    with reference.running() as server:
        before = record(server)
        seen: list[tuple[int, int]] = []
        found = run(settings(server, tmp_path), credentials(server), progress=lambda *step: seen.append(step))
        assert record(server) == before

    assert (found.verdict, found.status, found.problem, found.noise) == ("kept", 0, "", 0)
    assert broken(found) == []
    assert found.requests <= 300
    assert found.restored[server.ids[0]].verdict == "restored"
    assert all(entry.evidence > 0 for entry in found.entries if entry.verdict == "kept")
    assert all(entry.reason for entry in found.entries if entry.verdict == "not_exercised")
    assert len(found.entries) > 300
    assert seen == sorted(seen)
    assert all(done <= planned for done, planned in seen)


def wrapped(operation: str, status: int, body: Any) -> Any:
    """The 200 in a member called data."""
    return {"data": body} if status == 200 and operation == UPDATE else body


def lacking(operation: str, status: int, body: Any) -> Any:
    """The 200 without one documented field."""
    if status == 200 and isinstance(body, dict):
        return {name: value for name, value in body.items() if name != "number_type"}
    return body


@pytest.mark.parametrize(
    ("options", "rule", "few"),
    [
        ({"defect": "write-not-stored"}, f"{UPDATE}.read_back", 3),
        ({"mutate": wrapped}, f"{UPDATE}.shape.body", 3),
        ({"mutate": lacking}, f"{UPDATE}.shape.number_type.present", 3),
    ],
)
def test_a_broken_server_is_named_for_what_it_breaks(
    options: dict[str, Any], rule: str, few: int, tmp_path: Path
) -> None:
    """A PUT that is not stored, a 200 that is wrapped, a field that is missing: that rule, and few others."""
    with reference.running(**options) as server:
        before = record(server)
        found = run(settings(server, tmp_path), credentials(server))
        assert record(server) == before

    assert (found.verdict, found.status) == ("broken", 1)
    assert rule in broken(found)
    assert len(broken(found)) <= few


@pytest.mark.parametrize(
    ("defect", "rule", "body"),
    [
        ("update-open", "access.no_credentials", {"name"}),
        ("put-accepted", "rejection.message_fallback_method.enum", {"message_fallback_method"}),
        ("message-laml-application-alone", "handler.message_handler.laml_application.requires.*", {"message_handler"}),
        ("method-overlooked-beside-handler", "rejection.message_fallback_method.enum",
         {"message_fallback_method", "message_handler", "*"}),
        ("second-time-refused", "idempotence", {"*", "*_handler"}),
    ],
)  # fmt: skip
def test_what_is_wrongly_accepted_or_refused_is_told_with_the_smallest_body(
    defect: str, rule: str, body: set[str], tmp_path: Path
) -> None:
    """Whatever else was in the body, and has nothing to do with it, is left out."""
    with reference.running(defect=defect) as server:
        found = run(settings(server, tmp_path), credentials(server))

    entry = next(e for e in found.entries if e.verdict == "broken" and fnmatch(e.rule.id, f"{UPDATE}.{rule}"))
    assert entry.rule.id in broken(found)[:2]
    sent = entry.failures[0].body
    assert len(sent) == len(body)
    assert all(any(fnmatch(name, pattern) for pattern in body) for name in sent)


def test_what_is_refused_the_first_time_too_is_not_refused_for_coming_again(tmp_path: Path) -> None:
    """A body that is refused from its second time on, whatever came before, is told as refused."""
    seen: list[str] = []

    class Once(Direct):
        """A server that takes a body with many fields once."""

        def handle_request(self, request: httpx.Request) -> httpx.Response:
            body = request.read().decode()
            if request.method == "PUT" and body.count('":') > 8 and body in seen:
                detail = {"detail": "is not new", "status": "422", "title": "Invalid Attribute", "code": "422"}
                return httpx.Response(422, json={"errors": [detail]})
            answer = super().handle_request(request)
            if answer.status_code == 200:
                seen.append(body)
            return answer

    with reference.running() as server:
        found = run(settings(server, tmp_path), credentials(server), transport=Once(server))

    assert f"{UPDATE}.accept" in broken(found)
    assert f"{UPDATE}.idempotence" not in broken(found)


def test_a_bystander_is_read_where_it_holds_something_else(tmp_path: Path) -> None:
    """Before the last look at it the record has other values in all enumerated fields that both have."""
    with reference.running() as server:
        found = run(settings(server, tmp_path), credentials(server))
        other = record(server, 3)

    labels = [one.case.label for one in found.exchanges]
    last = next(i for i, label in enumerate(labels) if label.startswith("the bystander") and label.endswith("after"))
    bodies = [one.response.body for one in found.exchanges[:last] if one.case.operation == UPDATE]
    now = [body for body in bodies if isinstance(body, dict) and body.get("id") == server.ids[0]][-1]
    enums = [name for name in now if name.endswith(("_method", "_mode"))]
    assert len(enums) > 5
    assert [name for name in enums if now[name] == other[name]] == []


def test_what_lacks_after_an_open_question_is_filled(tmp_path: Path) -> None:
    """A blank that was taken with its handler is no reason for a documented update to be refused later."""
    with reference.running(variant="blank-until-written") as server:
        found = run(settings(server, tmp_path, foreign_ids=()), credentials(server))

    taken = [one for one in found.exchanges if one.case.label.startswith("call_handler relay_topic with a blank")]
    assert [one.response.status for one in taken] == [200]
    assert (found.verdict, broken(found)) == ("kept", [])


def test_a_bystander_that_changed_is_told_beside_what_was_put_back(tmp_path: Path) -> None:
    """What updates did to another record stays, and whoever owns it has to know how it was."""
    with reference.running(defect="name-for-all") as server:
        before = record(server, 3)
        chosen = settings(server, tmp_path, bystander_ids=server.ids[3:4])
        found = outcome(chosen, credentials(server))
        now = record(server, 3)

    assert found.result is not None
    assert found.result.touched == {server.ids[3]: {"name": (before["name"], now["name"])}}
    assert f"{server.ids[3]} was changed as well, and is left so" in found.text
    assert f"        name: was {before['name']}, is {now['name']}" in found.text


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

    class Refusing(Direct):
        """A server that refuses a text once it was replaced."""

        replaced = False

        def handle_request(self, request: httpx.Request) -> httpx.Response:
            body = request.read().decode()
            if request.method == "PUT" and "message_relay_topic" in body:
                if "billing" in body and self.replaced:
                    detail = {"detail": "is not valid", "status": "422", "title": "Invalid Attribute", "code": "422"}
                    return httpx.Response(422, json={"errors": [detail]})
                answer = super().handle_request(request)
                self.replaced = self.replaced or (answer.status_code == 200 and "billing" not in body)
                return answer
            return super().handle_request(request)

    with reference.running() as server:
        given(server, lost)
        found = run(settings(server, tmp_path), credentials(server), transport=Refusing(server))

    alone = [e for e in found.exchanges if e.case.label == "restore" and e.case.body == lost]
    assert [one.verdict for one in found.restored.values()] == ["not_restored"]
    assert len(alone) == 3


def test_a_finding_wins_over_an_end_before_time(tmp_path: Path) -> None:
    """1 wins over 2: what was found before the end counts."""
    with reference.running(mutate=lacking) as server:
        found = run(settings(server, tmp_path, max_requests=60), credentials(server))

    found.problem = "the time is over"
    assert (found.verdict, found.status) == ("broken", 1)


@pytest.mark.parametrize("profile", ["smoke", "standard"])
def test_few_requests_are_kept_for_looking_into_what_was_found(profile: str, tmp_path: Path) -> None:
    """What is found is seen again, and what was not asked for its sake is told."""
    with reference.running(defect="write-not-stored") as server:
        found = run(settings(server, tmp_path, profile=profile, max_requests=90), credentials(server))

    assert (found.verdict, found.problem) == ("broken", "")
    assert found.requests <= 90
    assert any("looking at what was found" in entry.reason for entry in found.entries)


@pytest.mark.parametrize(("every", "lost"), [(8, False), (5, False), (13, True)])
def test_a_server_that_puts_requests_off_or_loses_them_is_kept(every: int, lost: bool, tmp_path: Path) -> None:
    """429 is waited out and counted, and is no finding; less is asked, so that the run takes no more requests."""

    class Busy(Direct):
        """A server that puts off, or loses, one request of *every*."""

        count = 0

        def handle_request(self, request: httpx.Request) -> httpx.Response:
            self.count += 1
            if self.count % every == 0 and lost:
                raise httpx.ConnectError("nobody there", request=request)
            if self.count % every == 0:
                return httpx.Response(429, headers={"retry-after": "0"})
            return super().handle_request(request)

    with reference.running() as server:
        found = run(settings(server, tmp_path), credentials(server), transport=Busy(server))

    assert (found.verdict, broken(found)) == ("kept", [])
    assert found.noise >= 20
    assert found.requests <= 300


class Barring(Direct):
    """A server that answers the next request that is right with 403, after one whose credentials were wrong."""

    barred = False

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """The answer, or 403 once."""
        answer = super().handle_request(request)
        if answer.status_code == 401:
            self.barred = True
        elif self.barred and answer.status_code < 400:
            self.barred = False
            return httpx.Response(403, json={"error": "Forbidden"})
        return answer


def test_a_read_that_is_refused_after_wrong_credentials_is_seen_again(tmp_path: Path) -> None:
    """It is not refused by itself: what was sent without leave before it is sent again too."""
    with reference.running() as server:
        found = run(settings(server, tmp_path), credentials(server), transport=Barring(server))

    assert broken(found) == ["retrieve_phone_number.shape.status"]
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
        found = run(settings(server, tmp_path, ids=server.ids[:2]), credentials(server))
        assert [record(server, n) for n in (0, 1)] == before

    updated = {one.url.rpartition("/")[2] for one in found.exchanges if one.case.operation == UPDATE}
    assert set(server.ids[:2]) <= updated
    assert found.verdict == "kept"
    assert {done.verdict for done in found.restored.values()} == {"restored"}


def test_an_unknown_bystander_is_said(tmp_path: Path) -> None:
    """A bystander that does not exist is a mistake in the configuration: nothing is written."""
    with reference.running() as server, Proxy(server.base_url) as proxy:
        chosen = settings(server, tmp_path, base_url=proxy.base_url, bystander_ids=(UNKNOWN,))
        with pytest.raises(Undecided, match=f"the bystander {UNKNOWN} does not exist .404.: check bystander_ids"):
            run(chosen, credentials(server))

    assert {one.line.split()[0] for one in proxy.requests} == {"GET"}


def beside(server: reference.Running, folder: Path, second: Callable[[Exchange], None]) -> Any:
    """A run with a bystander, all reads of which but the first are answered by *second*."""
    other = server.ids[1]
    seen: list[int] = []

    def harm(exchange: Exchange) -> None:
        if exchange.line.endswith(other):
            seen.append(exchange.number)
        (second if exchange.line.endswith(other) and len(seen) > 1 else passing)(exchange)

    with Proxy(server.base_url, harm) as proxy:
        return run(settings(server, folder, base_url=proxy.base_url, bystander_ids=(other,)), credentials(server))


def test_a_bystander_that_is_gone_is_a_change(tmp_path: Path) -> None:
    """What was there before the updates, and is not found after them, was changed by them."""

    def gone(exchange: Exchange) -> None:
        exchange.send(exchange.answer(exchange.request.replace(server.ids[1].encode(), UNKNOWN.encode())))

    with reference.running() as server:
        found = beside(server, tmp_path, gone)

    assert broken(found) == [f"{UPDATE}.bystander"]


def test_a_bystander_that_is_answered_with_another_record_is_said(tmp_path: Path) -> None:
    """A retrieve that answers with whatever of the project was read last; the line to try again asks for the bystander."""
    with reference.running() as server:
        own, other = (one.encode() for one in server.ids[:2])

        def mixed(exchange: Exchange) -> None:
            exchange.send(exchange.answer(exchange.request.replace(other, own)))

        with Proxy(server.base_url, mixed) as proxy:
            chosen = settings(server, tmp_path, base_url=proxy.base_url, bystander_ids=server.ids[1:2])
            shown = outcome(chosen, credentials(server))

    assert shown.result is not None
    assert broken(shown.result) == ["retrieve_phone_number.shape.identity"]
    assert f"/phone_numbers/{server.ids[1]}\n" in shown.text


@pytest.mark.parametrize(
    ("wrong", "rule"),
    [
        (lambda answer: answer.replace(b'"longcode"', b'"LONGCODE"'), "retrieve_phone_number.enum.number_type"),
        (lambda answer: answer.replace(b" 200 OK", b" 500 Oops", 1), "retrieve_phone_number.rejection.no_server_error"),
    ],
)
def test_what_a_bystander_looks_like_is_judged(wrong: Callable[[bytes], bytes], rule: str, tmp_path: Path) -> None:
    """As every answer to a retrieve; what is wrong is asked for again, and where it is asked for stands with it."""
    with reference.running() as server:
        other = server.ids[1].encode()

        def harm(exchange: Exchange) -> None:
            answer = exchange.answer(exchange.request)
            exchange.send(wrong(answer) if other in exchange.request else answer)

        with Proxy(server.base_url, harm) as proxy:
            chosen = settings(server, tmp_path, base_url=proxy.base_url, bystander_ids=server.ids[1:2])
            shown = outcome(chosen, credentials(server))

    assert shown.result is not None
    assert broken(shown.result) == [rule]
    assert f"/phone_numbers/{server.ids[1]}\n" in shown.text


def test_smoke_goes_on_after_what_is_wrong_with_a_bystander(tmp_path: Path) -> None:
    """It is looked into at once, and leaves requests enough for the record itself."""
    with reference.running(defect="write-not-stored") as server:
        other = server.ids[1].encode()

        def harm(exchange: Exchange) -> None:
            answer = exchange.answer(exchange.request)
            exchange.send(answer.replace(b'"longcode"', b'"LONGCODE"') if other in exchange.request else answer)

        with Proxy(server.base_url, harm) as proxy:
            chosen = settings(server, tmp_path, base_url=proxy.base_url, bystander_ids=server.ids[1:2], profile="smoke")
            found = run(chosen, credentials(server))

    rules = broken(found)
    assert "retrieve_phone_number.enum.number_type" in rules
    assert any(rule.startswith("update_phone_number.read_back") for rule in rules)


@pytest.mark.parametrize("later", [True, False])
def test_a_bystander_that_looks_wrong_once_is_undecided(later: bool, tmp_path: Path) -> None:
    """What is not seen again; and nothing is written for that before the record is kept."""
    with reference.running() as server:
        reads: list[int] = []

        def harm(exchange: Exchange) -> None:
            answer = exchange.answer(exchange.request)
            if exchange.line.endswith(server.ids[1]):
                reads.append(exchange.number)
                if len(reads) == 1 + later:
                    answer = answer.replace(b'"longcode"', b'"LONGCODE"')
            elif exchange.line.startswith("PUT"):
                assert reads
                assert list(tmp_path.rglob("*.json")), "no journal yet"
            exchange.send(answer)

        with Proxy(server.base_url, harm) as proxy:
            chosen = settings(server, tmp_path, base_url=proxy.base_url, bystander_ids=server.ids[1:2])
            found = run(chosen, credentials(server))

    assert broken(found) == []
    assert "retrieve_phone_number.enum.number_type" in {e.rule.id for e in found.entries if e.verdict == "undecided"}


def test_a_page_of_the_list_that_does_not_hold_the_record_is_judged_too(tmp_path: Path) -> None:
    """The next one after that which holds it, once before the updates and once after them."""
    with reference.running() as server:

        def paged(exchange: Exchange) -> None:
            small = exchange.request.replace(b"/phone_numbers HTTP", b"/phone_numbers?page_size=1 HTTP", 1)
            answer = exchange.answer(small)
            if exchange.request.startswith(b"GET") and b"page_token" in exchange.request.split(b"\r\n")[0]:
                answer = answer.replace(b'"longcode"', b'"LONGCODE"')
            exchange.send(answer)

        given = credentials(server)
        listed = httpx.get(f"{server.base_url}/phone_numbers", auth=(given["username"], given["password"])).json()
        with Proxy(server.base_url, paged) as proxy:
            first = settings(server, tmp_path, base_url=proxy.base_url, ids=(listed["data"][0]["id"],))
            found = run(first, given)

    assert broken(found) == ["list_phone_numbers.enum.number_type"]


def test_a_bystander_that_nobody_read_again_is_not_kept(tmp_path: Path) -> None:
    """Where the second read gets no answer, the run cannot tell."""

    def lost(exchange: Exchange) -> None:
        raise Lost

    with reference.running() as server:
        found = beside(server, tmp_path, lost)

    assert found.verdict == "undecided"
    assert found.problem.startswith("other records were not read again: ")


@pytest.mark.parametrize("defect", ["call-video-room-alone", "call-relay-topic-alone", None])
def test_an_omission_waits_until_the_api_clears_what_it_leaves_out(defect: str | None, tmp_path: Path) -> None:
    """Everything is stored and null is refused; what a selector leaves is cleared."""
    with reference.running(defect=defect, variant="former-cleared+null-refused") as server:
        generator = Generator(CONTRACT.update, server.resources)
        with httpx.Client(base_url=server.base_url, auth=(server.username, server.password)) as client:
            for name in generator.free:  # An alias that loses is not stored beside the one that wins.
                client.put(f"/phone_numbers/{server.ids[0]}", json={name: generator.firm(name)[0]})
        found = run(settings(server, tmp_path), credentials(server))

    rules = {e.rule.id: e for e in found.entries}
    value = (defect or "call-video-room-alone")[5:-6].replace("-", "_")
    prefix = f"{UPDATE}.handler.call_handler.{value}.requires."
    companion = next(e for rule, e in rules.items() if rule.startswith(prefix) and e.rule.basis == "documented")
    assert broken(found) == ([companion.rule.id] if defect else [])
    assert companion.verdict == ("broken" if defect else "kept")
    assert found.requests <= 300


# ------------------------------------------------------------- nothing is written


def html(exchange: Exchange) -> None:
    """A web page."""
    page = b"<!DOCTYPE html><title>Log in</title>"
    exchange.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n%s" % (len(page), page))


def status(code: int) -> Callable[[Exchange], None]:
    """Always that status, with an empty body."""
    return lambda exchange: exchange.send(b"HTTP/1.1 %d Odd\r\nContent-Length: 0\r\n\r\n" % code)


@pytest.mark.parametrize(
    ("harm", "more", "says"),
    [
        (passing, {"ids": (UNKNOWN,)}, ["answers a 404", f"check that the id '{UNKNOWN}' exists"]),
        (passing, {"password": "wrong"}, ["credentials are refused (401", "check the environment variables"]),
        (passing, {"path": ""}, ["answers a 404", "base_url ends with the API's path, as in https://"]),
        (html, {}, ["answers a web page", "base_url ends with the API's path"]),
        (status(302), {}, ["answers a 302"]),
        (status(400), {}, ["answers 400; check the id"]),
        (status(403), {}, ["credentials are refused (403"]),
        (status(422), {}, ["answers 422; check the id"]),
        (status(503), {}, ["answers 503 again and again; try again when the API is up"]),
        (lambda exchange: exchange.client.close(), {}, ["cannot be tested: the connection broke", "check base_url"]),
    ],
    ids=["unknown id", "wrong password", "no path", "html", "302", "400", "403", "422", "503", "closes"],
)
def test_what_was_set_up_wrongly_ends_before_the_first_write(
    harm: Callable[[Exchange], None], more: dict[str, Any], says: list[str], tmp_path: Path
) -> None:
    """One plain line that says what, where and what now; exit 2; nothing but reads were sent, and no journal is left."""
    with reference.running() as server, Proxy(server.base_url, harm) as proxy:
        given = credentials(server) | {k: v for k, v in more.items() if k == "password"}
        url = proxy.base_url if "path" not in more else proxy.base_url.removesuffix("/api/relay/rest")
        extra = {k: v for k, v in more.items() if k == "ids"}
        found = outcome(settings(server, tmp_path, base_url=url, **extra), given)

    assert found.status == 2
    assert len(lines(found)) == 1
    assert url in found.text
    assert all(words in found.text for words in says), found.text
    assert {one.line.split()[0] for one in proxy.requests} == {"GET"}
    assert (found.journals, found.files) == ([], {})


@pytest.mark.parametrize("after", [30, 61, 150, 279])
@pytest.mark.parametrize(("harm", "what"), [(html, "web pages"), (status(302), "302")])
def test_a_log_in_that_is_asked_for_meanwhile_accuses_nobody(
    harm: Callable[[Exchange], None], what: str, after: int, tmp_path: Path
) -> None:
    """From a certain request on every answer is a web page, or the way to one: the run cannot tell."""
    with reference.running() as server:

        def out(exchange: Exchange) -> None:
            (harm if exchange.number > after else passing)(exchange)

        with Proxy(server.base_url, out) as proxy:
            chosen = settings(server, tmp_path, base_url=proxy.base_url, bystander_ids=server.ids[1:2])
            found = run(chosen, credentials(server))

    assert (found.verdict, broken(found)) == ("undecided", [])
    assert found.problem.endswith(f"the API answers nothing but {what} any more")


@pytest.mark.parametrize("name", ["html", "redirect"])
def test_updates_that_are_answered_with_web_pages_alone_are_broken(name: str, tmp_path: Path) -> None:
    """Reads show that the API is there."""
    with reference.running() as server:

        def odd(exchange: Exchange) -> None:
            answer = exchange.answer(exchange.request)
            if exchange.line.startswith("PUT") and answer.split()[1] == b"200":
                (html if name == "html" else status(303))(exchange)
            else:
                exchange.send(answer)

        with Proxy(server.base_url, odd) as proxy:
            found = run(settings(server, tmp_path, base_url=proxy.base_url), credentials(server))

    assert found.verdict == "broken"


@pytest.mark.parametrize("which", [44, 46])
def test_one_web_page_in_between_accuses_nobody(which: int, tmp_path: Path) -> None:
    """Not even where the update that it answers was to clear what the next ones leave out."""
    with reference.running() as server:
        count: list[str] = []

        def once(exchange: Exchange) -> None:
            if exchange.line.startswith("PUT"):
                count.append(exchange.line)
            (html if exchange.line.startswith("PUT") and len(count) == which else passing)(exchange)

        with Proxy(server.base_url, once) as proxy:
            found = run(settings(server, tmp_path, base_url=proxy.base_url), credentials(server))

    assert (found.verdict, broken(found)) == ("undecided", [])


def test_a_host_that_cannot_be_reached_is_named(tmp_path: Path) -> None:
    """A closed port is a line with the address in it, in seconds."""
    with reference.running() as server:
        proxy = Proxy(server.base_url)
        proxy.up()
        proxy.down()
        found = outcome(settings(server, tmp_path, base_url=proxy.base_url), credentials(server))

    assert found.status == 2
    assert f"{proxy.base_url} cannot be tested: no connection: " in found.text
    assert found.seconds < 8
    assert len(lines(found)) == 1


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
    with reference.running() as server, Proxy(server.base_url) as proxy:
        chosen = settings(server, tmp_path, base_url=proxy.base_url)
        with pytest.raises(ConfigError) as error:
            run(chosen, credentials(server) | given)

    assert says in str(error.value)
    assert not any(value.strip() and value in str(error.value) for value in given.values() if len(value) > 3)
    assert proxy.exchanges == 0


class Looking(Direct):
    """A server that looks for what a free text names, and has one thing of that kind."""

    field, name = "call_verto_resource", "desk@example.com"

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """A refusal where the text names nothing that exists."""
        with suppress(ValueError):
            body = json.loads(request.read())
            if isinstance(body, dict) and body.get(self.field, self.name) not in (None, self.name):
                error = {"detail": "must exist", "status": "422", "title": "Invalid Attribute", "code": "422"}
                return httpx.Response(422, json={"errors": [error]})
        return super().handle_request(request)


def test_a_text_that_must_name_something_can_be_given(tmp_path: Path) -> None:
    """A name under [resources] is the only value of its field; without it the API is blamed for its refusals."""
    with reference.running() as server:
        chosen = settings(server, tmp_path)
        free = run(chosen, credentials(server), transport=Looking(server))
        named = replace(chosen, resources={**chosen.resources, Looking.field: Looking.name})
        result = run(named, credentials(server), transport=Looking(server))

    assert any(Looking.field in rule for rule in broken(free))
    assert result.verdict == "kept"
    read_back = next(e for e in result.entries if e.rule.id == f"update_phone_number.read_back.{Looking.field}")
    assert read_back.verdict == "kept"


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


class Keeping(Direct):
    """A server on which null empties a name, and no other text."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """The answer to the rest of the body."""
        with suppress(ValueError):
            body = json.loads(request.read())
            if isinstance(body, dict):
                rest = {n: v for n, v in body.items() if v is not None or "relay" not in n or n.endswith("url")}
                request = httpx.Request(request.method, request.url, headers=request.headers, json=rest)
                request.headers["content-length"] = str(len(request.content))
        return super().handle_request(request)


def test_what_null_leaves_is_not_taken_for_cleared(tmp_path: Path) -> None:
    """Another field that null empties says nothing of one that is never shown, where null left its like as it was."""
    names = ("message_relay_topic", "message_relay_context", "message_relay_application")
    with reference.running() as server:
        given(server, *({name: "front"} for name in names))
        chosen = settings(server, tmp_path, allow_unrestorable=True)
        result = run(chosen, credentials(server), transport=Keeping(server))

    assert broken(result) == []
    rule = "update_phone_number.handler.message_handler.relay_application.requires.message_relay_application"
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
    assert len(lines(found)) <= 2
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


def test_one_bad_read_is_not_called_broken(tmp_path: Path) -> None:
    """A record that is unreadable once is read twice more; what does not come again is undecided."""

    def harm(exchange: Exchange) -> None:
        if exchange.number == 1:
            exchange.send(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n[]")
        else:
            passing(exchange)

    with reference.running() as server, Proxy(server.base_url, harm) as proxy:
        found = outcome(settings(server, tmp_path, base_url=proxy.base_url), credentials(server))

    assert found.status == 2, found.text
    assert "the record cannot be read as documented, so nothing was written" in found.text
    assert {one.line.split()[0] for one in proxy.requests} == {"GET"}


def test_a_record_that_cannot_be_read_three_times_is_broken(tmp_path: Path) -> None:
    """An answer that is never the documented record is a finding, and nothing is written."""
    with reference.running(mutate=lambda operation, code, body: [body]) as server, Proxy(server.base_url) as proxy:
        found = outcome(settings(server, tmp_path, base_url=proxy.base_url), credentials(server))

    assert found.status == 1
    assert "broken  retrieve_phone_number.shape.body" in found.text
    assert {one.line.split()[0] for one in proxy.requests} == {"GET"}


def test_a_record_that_shows_the_credentials_is_not_kept_on_disk(tmp_path: Path) -> None:
    """Where the record holds the password, that is broken, nothing is written, and no journal ever held it."""

    def mutate(operation: str, code: int, body: Any) -> Any:
        return {**body, "name": server.password} if isinstance(body, dict) and "name" in body else body

    with reference.running(mutate=mutate) as server, Proxy(server.base_url) as proxy:
        found = outcome(settings(server, tmp_path, base_url=proxy.base_url), credentials(server))

    assert found.status == 1
    assert "no_leak" in found.text
    assert {one.line.split()[0] for one in proxy.requests} == {"GET"}
    held = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert not any(server.password.encode() in content for content in held)


# ------------------------------------------------------------------------ the way


def test_a_list_is_read_until_the_record_is_on_it(tmp_path: Path) -> None:
    """The link to the next page is followed by its query alone, on the same address."""

    def harm(exchange: Exchange) -> None:
        if exchange.line == "GET /api/relay/rest/phone_numbers":
            body = json.loads(exchange.answer().partition(b"\r\n\r\n")[2])
            links = body["links"] | {"next": "https://elsewhere.example.com/x?page_number=1&page_token=t"}
            page = json.dumps({"links": links, "data": body["data"][:1]}).encode()
            head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: "
            exchange.send(head + str(len(page)).encode() + b"\r\n\r\n" + page)
        elif "page_token=t" in exchange.line:
            exchange.send(exchange.answer(exchange.request.replace(b"?page_number=1&page_token=t", b"")))
        else:
            passing(exchange)

    with reference.running() as server, Proxy(server.base_url, harm) as proxy:
        chosen = settings(server, tmp_path, base_url=proxy.base_url, profile="smoke")
        found = run(chosen, credentials(server))
    asked = [one.line for one in proxy.requests if "page_token" in one.line]

    assert asked
    assert set(asked) == {"GET /api/relay/rest/phone_numbers?page_number=1&page_token=t"}
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

    def harm(exchange: Exchange) -> None:
        if 60 < exchange.number < 76:
            status(502)(exchange)
        else:
            passing(exchange)

    with reference.running() as server, Proxy(server.base_url, harm) as proxy:
        before = record(server)
        found = outcome(settings(server, tmp_path, base_url=proxy.base_url), credentials(server))
        assert record(server) == before

    assert found.status == 2, found.text
    assert "the API answers nothing but 502 any more" in found.text
    assert found.journals == []


@pytest.mark.parametrize(("number", "count"), [(signal.SIGTERM, 1), (signal.SIGINT, 1), (signal.SIGTERM, 2)])
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
    """An update that got no answer may be carried out later: the record is looked at once more before it is let go."""
    late: list[threading.Thread] = []

    def arrive(exchange: Exchange) -> None:
        proxy.closed.wait(1.0)
        exchange.answer()

    def harm(exchange: Exchange) -> None:
        if exchange.number < 100:
            passing(exchange)
            return
        if exchange.line.startswith("PUT") and not late:
            late.append(threading.Thread(target=arrive, args=(exchange,)))
            late[0].start()
        if len(late) == 1 and exchange.number < 103:
            proxy.closed.wait(20)
            raise Lost
        passing(exchange)

    with reference.running() as server, Proxy(server.base_url, harm) as proxy:
        before = record(server)
        chosen = settings(server, tmp_path, base_url=proxy.base_url, timeout=0.3)
        found = outcome(chosen, credentials(server))
        late[0].join()
        assert record(server) == before

    assert found.status == 2
    assert found.journals == []


def test_a_hanging_server_during_the_second_look_ends_the_run(tmp_path: Path) -> None:
    """A defect is being looked into when the server stops answering: one failure ends it, not one for each rule."""
    quiet = threading.Event()
    unanswered: list[int] = []

    def harm(exchange: Exchange) -> None:
        if quiet.is_set():
            unanswered.append(exchange.number)
            proxy.closed.wait(30)
        if exchange.number == 250:
            quiet.set()
        passing(exchange)

    with (
        reference.running(defect="urls-swapped") as server,
        Proxy(server.base_url, harm) as proxy,
    ):
        chosen = settings(server, tmp_path, base_url=proxy.base_url, timeout=0.3, max_seconds=8.0)
        found = outcome(chosen, credentials(server))

    assert found.status in {1, 2}
    assert len(unanswered) < 20, len(unanswered)
    assert len(found.journals) == 1


def test_what_is_told_of_a_smaller_body_is_what_that_was_answered(tmp_path: Path) -> None:
    """An API that names each text with a percent sign: of those only what is in the body that is shown is named."""

    def harm(exchange: Exchange) -> None:
        wrong = re.findall(rb'"(\w+)": ?"[^"]*%[^"]*"', exchange.body)
        if not wrong:
            passing(exchange)
            return
        errors = [{"detail": f"<{name.decode()}>", "status": "422", "title": "t", "code": "c"} for name in wrong]
        content = json.dumps({"errors": errors}).encode()
        head = f"HTTP/1.1 422 No\r\nContent-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
        exchange.send(head.encode() + content)

    with reference.running() as server, Proxy(server.base_url, harm) as proxy:
        chosen = settings(server, tmp_path, base_url=proxy.base_url)
        found = run(chosen, credentials(server))

    told = [entry.failures[0] for entry in found.entries if entry.verdict == "broken"]
    refused = [f for f in told if "<" in str(f.finding.actual) and isinstance(f.body, dict)]
    assert refused
    for failure in refused:
        named = set(re.findall("<(\\w+)>", str(failure.finding.actual)))
        assert named <= failure.body.keys(), (failure.finding.rule, failure.finding.actual, failure.body)


def test_an_api_that_is_not_there_is_an_error_of_its_own(tmp_path: Path) -> None:
    """A run that cannot reach its API raises the error that callers of the engine can tell from others."""
    with reference.running() as server:
        chosen = settings(server, tmp_path, base_url="http://127.0.0.1:9/api")
        with pytest.raises(SendError) as error:
            run(chosen, credentials(server))

    assert error.value.kind == "unsent"


# --------------------------------------------------------- what others would not expect


def test_a_record_of_someone_else_that_can_be_read_is_not_written_to(tmp_path: Path) -> None:
    """The read already shows that the API lets strangers in; an update could not be put back."""
    with reference.running() as server:
        before = record(server, 1)
        chosen = settings(server, tmp_path, foreign_ids=server.ids[1:2])
        found = run(chosen, credentials(server), only=frozenset({f"{CONTRACT.retrieve.id}.access.foreign_id"}))
        whole = run(chosen, credentials(server))
        assert record(server, 1) == before

    rule = f"{CONTRACT.retrieve.id}.access.foreign_id"
    assert broken(found) == [rule]
    assert rule in broken(whole)


def test_a_list_that_shows_a_record_of_someone_else_is_asked_for_again_by_itself(tmp_path: Path) -> None:
    """No update has anything to do with it."""
    with reference.running() as server:
        shown = outcome(settings(server, tmp_path, foreign_ids=server.ids[1:2], profile="smoke"), credentials(server))

    (line,) = [line for line in shown.text.splitlines() if line.startswith("  again ")]
    assert line.startswith("  again     curl -sS -X GET ")
    assert line.endswith("/phone_numbers")


def without(id: str) -> Callable[[str, int, Any], Any]:
    """The list, but for one record."""

    def change(operation: str, status: int, body: Any) -> Any:
        if status == 200 and isinstance(body, dict) and "data" in body:
            return {**body, "data": [one for one in body["data"] if one["id"] != id]}
        return body

    return change


def test_a_list_that_was_read_to_its_end_holds_the_record(tmp_path: Path) -> None:
    """Where it does not, the rule about the list is broken; a list that has further pages says nothing."""
    hidden: list[str] = []
    with reference.running(mutate=lambda *answer: without(hidden[0])(*answer)) as server:
        hidden.append(server.ids[0])
        found = run(settings(server, tmp_path), credentials(server))

    assert broken(found) == ["list_phone_numbers.read_back"]


@pytest.mark.parametrize("variant", ["rate-limited-slowly", "unavailable"])
def test_a_rate_limit_does_not_hide_a_defect(variant: str, tmp_path: Path) -> None:
    """What was asked to come later, and came, is an answer like any other."""
    with reference.running(defect="handler-clears-name", variant=variant) as server:
        found = run(settings(server, tmp_path), credentials(server))

    assert broken(found) == [f"{UPDATE}.frame.name"]
    assert found.noise > 0


def test_a_change_by_someone_else_to_what_no_update_can_set_is_undecided(tmp_path: Path) -> None:
    """Late in the run, and once: it may have been done elsewhere."""
    seen = 0

    def later(shown: Any) -> Any:
        mine = isinstance(shown, dict) and shown.get("id") in hidden and seen > 120
        return {**shown, "next_billed_at": "2031-01-01T00:00:00Z"} if mine else shown

    def change(operation: str, status: int, body: Any) -> Any:
        nonlocal seen
        seen += 1
        if isinstance(body, dict) and "data" in body:
            return {**body, "data": [later(one) for one in body["data"]]}
        return later(body)

    hidden: list[str] = []
    with reference.running(mutate=change) as server:
        hidden.append(server.ids[0])
        found = run(settings(server, tmp_path), credentials(server))

    assert broken(found) == []
    assert found.verdict == "undecided"


def test_a_server_error_in_the_first_read_is_looked_at_again(tmp_path: Path) -> None:
    """One 500 before everything else does not end the run."""

    def harm(exchange: Exchange) -> None:
        if proxy.exchanges == 1:
            status(500)(exchange)
        else:
            passing(exchange)

    with reference.running() as server, Proxy(server.base_url, harm) as proxy:
        found = run(settings(server, tmp_path, base_url=proxy.base_url), credentials(server))

    assert (found.verdict, broken(found)) == ("undecided", [])
    assert found.requests > 200


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


@pytest.mark.parametrize(("harm", "rule"), [(lagging, "read_back"), (counting, ".name")])
def test_what_the_api_does_itself_is_not_blamed_on_someone_else(
    harm: Callable[[], Callable[[str, int, Any], Any]], rule: str, tmp_path: Path
) -> None:
    """A read that lags, and a value that depends on the update before, come again when they are asked for."""
    with reference.running(mutate=harm()) as server:
        before = record(server)
        found = run(settings(server, tmp_path), credentials(server))
        record(server)
        assert record(server) == before

    assert any(rule in one for one in broken(found)), (found.problem, broken(found))
    assert found.foreign == {}
