"""Sending: credentials, retries and waits, budgets and the rate, and every bound on what may come back."""

from __future__ import annotations

import base64
import itertools
import json
import ssl
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import product
from pathlib import Path
from typing import Any

import httpx
import pytest

from contract import spec as specs
from contract.budget import MAX_TOTAL, Budget
from contract.errors import SendError, Undecided
from contract.model import MISSING, Case
from contract.send import MAX_CONTENT, MAX_DEPTH, UNKNOWN, Credentials, Sender, decode, encode, unknown
from tests.fragments import lamp
from tests.hostile import bomb
from tests.kit import CONTRACT
from tests.proxy import Exchange, Lost, Proxy, Secured, certificate

BASE = "http://api.example.com/api/relay/rest"
ID = "3fa85f64-5717-4562-b3fc-2c963f66afa6"
READ = Case(label="read", operation=CONTRACT.retrieve.id)
LIST = Case(label="list", operation=CONTRACT.listing[0].id if CONTRACT.listing else "")
WRITE = Case(label="write", operation=CONTRACT.update.id, body={"name": "x"})
GIVEN = Credentials(username="project", password="PT-secret-token")

Handler = Callable[[httpx.Request], httpx.Response]


class Clock:
    """Time that passes only where somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        """The time."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Notes the wait, and lets the time pass."""
        self.slept.append(seconds)
        self.now += seconds


def answers(*found: httpx.Response | Exception) -> tuple[Handler, list[httpx.Request]]:
    """A server that gives these answers one after another, the last one for ever, and what it was sent."""
    seen: list[httpx.Request] = []

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        answer = found[min(len(seen), len(found)) - 1]
        if isinstance(answer, Exception):
            raise answer
        return httpx.Response(
            answer.status_code, headers=answer.headers, stream=httpx.ByteStream(answer.content), request=request
        )

    return handle, seen


@contextmanager
def sending(handle: Handler, clock: Clock | None = None, **more: Any) -> Iterator[Sender]:
    """A sender whose answers come from *handle*."""
    clock = clock or Clock()
    budget = more.pop("budget", None) or Budget(100, 600, clock=clock)
    options: dict[str, Any] = {"base_url": BASE, "credentials": GIVEN, "contract": CONTRACT} | more
    sender = Sender(budget=budget, transport=httpx.MockTransport(handle), sleep=clock.sleep, **options)
    try:
        yield sender
    finally:
        sender.close()


@contextmanager
def at(harm: Callable[[Exchange], None], timeout: float = 0.5, **more: Any) -> Iterator[Sender]:
    """A sender whose answers come from a server on a real socket."""
    with Proxy(BASE, harm) as proxy:
        budget = more.pop("budget", None) or Budget(100, 600)
        options: dict[str, Any] = {"credentials": GIVEN, "contract": CONTRACT, "timeout": timeout} | more
        sender = Sender(budget=budget, base_url=proxy.base_url, sleep=lambda seconds: None, **options)
        try:
            yield sender
        finally:
            sender.close()


def whole(content: bytes, *headers: str) -> bytes:
    """An answer as it stands on the wire."""
    lines = ["HTTP/1.1 200 OK", "Content-Type: application/json", f"Content-Length: {len(content)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + content


OK = httpx.Response(200, json={"id": ID})


# ---------------------------------------------------------------------- requests


@pytest.mark.parametrize(
    ("kind", "pair"),
    [
        ("right", "project:PT-secret-token"),
        ("wrong_password", "project:wrong-password-on-purpose"),
        ("empty_password", "project:"),
        ("longer_password", "project:PT-secret-tokenx"),
        ("shorter_password", "project:PT-secret-toke"),
        ("wrong_user", "0b0d5e6c-94e5-4b0e-9f3a-6f0000000000:PT-secret-token"),
    ],
)
def test_basic_credentials_are_those_of_the_case(kind: Any, pair: str) -> None:
    """HTTP Basic carries the right pair, or one with exactly one half wrong."""
    handle, seen = answers(OK)
    with sending(handle) as sender:
        sender.send(Case(label="x", operation=CONTRACT.retrieve.id, credentials=kind), ID)
    scheme, _, encoded = seen[0].headers["authorization"].partition(" ")

    assert (scheme, base64.b64decode(encoded).decode()) == ("Basic", pair)


def test_no_credentials_are_no_header() -> None:
    """A case without credentials sends no Authorization at all, and no cookie that an earlier answer set."""
    handle, seen = answers(httpx.Response(200, json={}, headers={"Set-Cookie": "session=1; Path=/"}))
    with sending(handle) as sender:
        sender.send(READ, ID)
        sender.send(Case(label="x", operation=CONTRACT.retrieve.id, credentials="none"), ID)

    assert "authorization" not in seen[1].headers
    assert "cookie" not in seen[1].headers


def test_a_token_is_sent_as_bearer_and_a_wrong_one_is_another() -> None:
    """With a token the scheme is Bearer; the wrong token is not the right one."""
    given = Credentials(token="tok-0123456789")

    assert given.auth("right") == {"Authorization": "Bearer tok-0123456789"}
    assert given.auth("wrong_password")["Authorization"] not in {"Bearer tok-0123456789", ""}
    assert given.auth("none") == {}


def test_secrets_are_the_password_the_token_and_what_is_made_of_them() -> None:
    """What must never be shown is the password, the token and the header; the credentials show nothing of it."""
    given = Credentials(username="u", password="p-w", token="t-k")

    assert set(given.secrets) == {"p-w", "t-k"} | {given.auth("right")["Authorization"].partition(" ")[2]}
    assert "p-w" not in repr(given)
    assert "t-k" not in repr(given)
    assert Credentials().secrets == ()


def test_an_id_of_nothing_resembles_the_records_own() -> None:
    """Of a UUID it has the beginning and the end; where the id is another text it is a fixed one."""
    made = unknown(CONTRACT.retrieve, ID)
    assert (made[:9], made[13:]) == (ID[:9], ID[13:])
    assert str(uuid.UUID(made)) == made != ID
    assert unknown(CONTRACT.retrieve, "desk-7") == unknown(CONTRACT.retrieve, ID.replace("-", "")) == str(UNKNOWN)


@pytest.mark.parametrize(
    ("schema", "id", "nothing"),
    [
        ({"type": "string", "pattern": "^[A-Z]{2}-[0-9]{6}$"}, "TM-100001", "TM-999999"),
        ({"type": "string", "pattern": "^lamp-[0-9]+$"}, "lamp-1", "lamp-999999999"),
        ({"type": "string", "pattern": "^pl_[0-9A-Za-z]{6}$"}, "pl_1A2b3C", "pl_9Z9z9Z"),
        ({"type": "string", "maxLength": 8}, "desk-7", str(UNKNOWN)),  # It would be desk-9: there may be one.
        ({"type": "string", "pattern": "^[a-z]+$"}, "desk", str(UNKNOWN)),
        ({"type": "integer"}, "4711", "987654321"),
    ],
)
def test_an_id_of_nothing_is_one_that_the_documents_allow(schema: Any, id: str, nothing: str) -> None:
    """Where they exclude a UUID it has the shape of the record's own, with the highest number."""
    contract = lamp({"paths/~1lamps~1{id}/parameters/0/schema": schema})
    assert unknown(contract.retrieve, id) == nothing


@pytest.mark.parametrize(
    ("target", "end"),
    [
        ("own", ID),
        ("unknown", "3fa85f64-a8e8-4562-b3fc-2c963f66afa6"),
        ("foreign", "someone-elses"),
        ("malformed", "not-an-id"),
    ],
)
def test_a_case_goes_to_its_target(target: Any, end: str) -> None:
    """The address ends with the id of the record, an unknown one, someone else's, or none at all."""
    handle, seen = answers(OK)
    with sending(handle, foreign_id="someone-elses") as sender:
        sender.send(Case(label="x", operation=CONTRACT.retrieve.id, target=target, query="?a=b"), ID)

    assert str(seen[0].url) == f"{BASE}/phone_numbers/{end}?a=b"


def test_a_body_is_sent_as_it_is() -> None:
    """A body is UTF-8 without blanks, in the order given; raw content goes out untouched, as its media type says."""
    handle, seen = answers(OK)
    body = {"name": "Café 🏢", "call_handler": None}
    raw = Case(label="x", operation=CONTRACT.update.id, content=b"{,", media_type="text/plain")
    with sending(handle) as sender:
        sender.send(Case(label="x", operation=CONTRACT.update.id, body=body), ID)
        sender.send(raw, ID)

    assert seen[0].content == '{"name":"Café 🏢","call_handler":null}'.encode()
    assert seen[0].headers["content-type"] == "application/json"
    assert (seen[1].content, seen[1].headers["content-type"]) == (b"{,", "text/plain")
    assert encode({"a": "\ud800"}) == b'{"a":"\xed\xa0\x80"}'


def test_an_answer_is_decoded_and_timed() -> None:
    """Header names are lower-case, repeated ones joined; times come from the budget's clock."""
    handle, _ = answers(httpx.Response(201, headers=[("X-A", "1"), ("x-a", "2")], content=b'{"a": 1.0}'))
    clock = Clock()
    with sending(handle, clock) as sender:
        seen: list[Any] = []
        sender.sent = lambda *found: seen.append(found)
        answer = sender.send(READ, ID)

    assert (answer.status, answer.headers["x-a"], answer.body) == (201, "1, 2", {"a": 1.0})
    assert (answer.at, answer.elapsed) == (1000.0, 0.0)
    assert seen == [(READ, f"{BASE}/phone_numbers/{ID}", None, answer)]


# ----------------------------------------------------------------------- retries


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    ("value", "wait"),
    [("3", 3.0), ("0", None), ("Tue, 24 Nov 2026 10:00:07 GMT", 7.0), ("Tue, 24 Nov 2026 09:00:00 -0000", None)],
)
def test_retry_after_is_waited_out_in_both_forms(status: int, value: str, wait: float | None) -> None:
    """Seconds, or a date that is compared with the server's own clock; one that has gone by is no wait."""
    headers = {"Retry-After": value, "Date": "Tue, 24 Nov 2026 10:00:00 GMT"}
    handle, seen = answers(httpx.Response(status, headers=headers), OK)
    clock = Clock()
    with sending(handle, clock) as sender:
        answer = sender.send(READ, ID)

    assert answer.status == 200
    assert len(seen) == 2
    assert clock.slept == ([] if wait is None else [wait])
    assert sender.put_off == 1
    assert sender.budget.requests == 101, "a request that was put off costs nothing"


@pytest.mark.parametrize("value", ["31", "9" * 400, "Fri, 31 Dec 9999 23:59:59 GMT", "Tue, 24 Nov 2026 10:00:31 GMT"])
def test_a_wait_is_bounded(value: str) -> None:
    """A wait of more than thirty seconds ends the run, with a line that says so."""
    headers = {"Retry-After": value, "Date": "Tue, 24 Nov 2026 10:00:00 GMT"}
    handle, seen = answers(httpx.Response(429, headers=headers))
    clock = Clock()
    with sending(handle, clock) as sender, pytest.raises(Undecided, match="asks to wait"):
        sender.send(READ, ID)

    assert (len(seen), clock.slept) == (1, [])


@pytest.mark.parametrize(
    "value", ["", "soon", "-5", "1.5", "Fri, 31 Dec 99999999999999999999 23:59:59 GMT", "\x1b[31m"]
)
def test_a_retry_after_that_is_none_is_as_if_it_were_not_there(value: str) -> None:
    """What is neither a number nor a date is not obeyed: two more tries, with short waits."""
    handle, seen = answers(httpx.Response(429, headers={"Retry-After": value}))
    clock = Clock()
    with sending(handle, clock) as sender, pytest.raises(Undecided, match="429 again and again"):
        sender.send(READ, ID)

    assert len(seen) == 3
    assert all(0 <= wait <= 2 for wait in clock.slept)


def test_endless_429_with_a_wait_of_nothing_ends() -> None:
    """Five tries at once, and no more."""
    handle, seen = answers(httpx.Response(429, headers={"Retry-After": "0"}))
    with sending(handle) as sender, pytest.raises(Undecided, match="429 again and again"):
        sender.send(READ, ID)

    assert len(seen) == 5


@pytest.mark.parametrize("status", [502, 503, 504])
def test_a_gateway_that_fails_is_asked_once_more_and_then_believed(status: int) -> None:
    """The second answer of that kind is the answer; what it means is for others to judge."""
    handle, seen = answers(httpx.Response(status))
    with sending(handle) as sender:
        assert sender.send(READ, ID).status == status

    assert (len(seen), sender.put_off, sender.noise) == (2, 0, 1)


@pytest.mark.parametrize("status", [400, 401, 404, 422, 500, 501])
def test_other_statuses_are_not_sent_again(status: int) -> None:
    """An answer is an answer."""
    handle, seen = answers(httpx.Response(status))
    with sending(handle) as sender:
        sender.send(READ, ID)

    assert (len(seen), sender.noise) == (1, 0)


def test_broken_connections_are_tried_again_and_do_not_count() -> None:
    """Three are got over, with growing waits that differ from one another; the budget grants what was lost."""
    handle, seen = answers(*[httpx.ReadError("reset")] * 3, OK)
    clock = Clock()
    with sending(handle, clock) as sender:
        assert sender.send(WRITE, ID).status == 200

    assert (len(seen), sender.noise, sender.budget.requests) == (4, 3, 103)
    assert all(0 <= wait <= limit for wait, limit in zip(clock.slept, (0.2, 0.4, 0.8), strict=True))


@pytest.mark.parametrize(
    ("error", "tries", "words"),
    [
        (httpx.ConnectError("[Errno 111] Connection refused"), 4, "no connection: .*refused"),
        (httpx.RemoteProtocolError("peer closed"), 4, "the connection broke: peer closed"),
        (httpx.WriteError(""), 4, "the connection broke: WriteError"),
        (httpx.ReadTimeout("slow"), 2, "no whole answer came within 10 seconds"),
        (httpx.ConnectTimeout("slow"), 2, "no whole answer came within 10 seconds"),
        (httpx.PoolTimeout("slow"), 2, "no whole answer came within 10 seconds"),
        (httpx.ConnectError("[SSL: CERTIFICATE_VERIFY_FAILED] expired"), 1, "the TLS certificate is not trusted"),
        (httpx.UnsupportedProtocol("ftp"), 1, "ftp"),
        (httpx.ProxyError("407"), 4, "407"),
        (httpx.LocalProtocolError("bad header"), 1, "bad header"),
    ],
)
def test_every_transport_error_is_a_send_error(error: Exception, tries: int, words: str) -> None:
    """What httpx raises becomes one error with plain words, after as many tries as are fair."""
    handle, seen = answers(error)
    with sending(handle) as sender, pytest.raises(SendError, match=words):
        sender.send(READ, ID)

    assert len(seen) == tries


def test_what_may_not_be_repeated_is_not(tmp_path: Path) -> None:
    """A POST is sent again only where it certainly never arrived, or was put off; a PATCH like a PUT."""
    text = (Path(__file__).parents[1] / "spec" / "phone_numbers.openapi.yaml").read_text(encoding="utf-8")
    tries: dict[str, dict[str, int]] = {"post": {}, "patch": {}}
    firsts: dict[str, httpx.Response | Exception] = {
        "reset": httpx.ReadError("reset"),
        "slow": httpx.ReadTimeout("slow"),
        "refused": httpx.ConnectError("refused"),
        "502": httpx.Response(502),
        "503": httpx.Response(503),
        "429": httpx.Response(429, headers={"Retry-After": "1"}),
    }
    for method, (name, first) in product(tries, firsts.items()):
        (tmp_path / "other.yaml").write_text(text.replace("    put:\n", f"    {method}:\n"), encoding="utf-8")
        handle, seen = answers(first, httpx.Response(200))
        with sending(handle, contract=specs.load(str(tmp_path / "other.yaml"))) as sender, suppress(SendError):
            sender.send(WRITE, ID)
        tries[method][name] = len(seen)

    assert tries["post"] == {"reset": 1, "slow": 1, "refused": 2, "502": 1, "503": 2, "429": 2}
    assert tries["patch"] == dict.fromkeys(firsts, 2)


# ----------------------------------------------------------------------- budgets


def test_the_budget_of_requests_ends_before_its_reserve() -> None:
    """Ten requests with three in reserve are seven, until the records are put back."""
    clock = Clock()
    budget = Budget(10, 600, reserve=3, clock=clock)
    handle, seen = answers(OK)
    with sending(handle, clock, budget=budget) as sender:
        for _ in range(7):
            sender.send(READ, ID)
        with pytest.raises(Undecided, match="the budget of 10 requests, which the profile sets, is spent"):
            sender.send(READ, ID)
        assert (budget.left, len(seen)) == (0, 7)
        budget.restore()
        assert budget.left == 3
        sender.send(READ, ID)

    assert len(seen) == 8


def test_every_try_counts_and_the_grants_are_bounded() -> None:
    """Lost requests are granted again, up to a quarter, and never beyond what the user allowed."""
    handle, _ = answers(httpx.ReadError("reset"))
    for most, end in ((1000, 10), (9, 9)):
        budget = Budget(8, 600, clock=Clock(), most=most)
        with sending(handle, budget=budget) as sender, suppress(Undecided):
            while True:
                with suppress(SendError):
                    sender.send(READ, ID)
        assert budget.spent == end


def test_the_budget_of_seconds_keeps_a_tenth_for_restoring() -> None:
    """After 54 of 60 seconds nothing more is sent, and each request is cut to what is left."""
    clock = Clock()
    budget = Budget(100, 60, clock=clock)
    handle, seen = answers(OK)
    with sending(handle, clock, budget=budget) as sender:
        clock.now += 53.9
        sender.send(READ, ID)
        clock.now += 0.2
        with pytest.raises(Undecided, match="the budget of 60 seconds is spent"):
            sender.send(READ, ID)

    assert len(seen) == 1
    assert Budget(1, 6000, clock=clock).time_left == 5970


def test_restoring_has_time_but_not_for_ever() -> None:
    """Whoever answers gets twenty seconds at least; whoever does not is waited for 2 to 10 seconds."""
    clock = Clock()
    budget = Budget(100, 60, clock=clock)
    clock.now += 59
    budget.restore()
    assert budget.time_left == pytest.approx(20)
    assert budget.patience - clock.now == pytest.approx(2)
    clock.now += 20.1
    with pytest.raises(Undecided, match="time for putting the record back is spent"):
        budget.take()
    early = Budget(100, 600, clock=clock)
    early.restore()

    assert (early.patience - clock.now, early.time_left) == (10, 600)


def test_a_run_that_is_told_to_stop_sends_nothing_more_but_restores() -> None:
    """The first reason stands; putting the records back is still allowed."""
    budget = Budget(10, 600)
    budget.stop("the run was ended by SIGTERM")
    budget.stop("another reason")
    with pytest.raises(Undecided, match="SIGTERM"):
        budget.take()
    budget.restore()
    budget.take()

    assert budget.spent == 1


@pytest.mark.parametrize(("rate", "seconds"), [("5/s", 1.0), ("5/m", 60.0)])
def test_the_rate_holds_for_all_senders_of_a_run(rate: str, seconds: float) -> None:
    """Five at once, and the sixth only when the time is round, or not at all: two senders share one rate."""
    budget = Budget(100, 5, rate=rate)
    handle, seen = answers(OK)
    started = time.monotonic()
    pause = threading.Event()

    def nap(seconds: float) -> None:
        pause.wait(seconds)

    with sending(handle, budget=budget) as one, sending(handle, budget=budget) as other:
        one.sleep = other.sleep = nap
        for sender in (one, other, one, other, one):
            sender.send(READ, ID)
        assert time.monotonic() - started < min(0.9, seconds)
        if seconds > 5:
            budget.stop("the run was ended by SIGINT")
            with pytest.raises(Undecided, match="SIGINT"):
                other.send(READ, ID)
        else:
            other.send(READ, ID)
            assert time.monotonic() - started >= 0.9

    assert len(seen) == (5 if seconds > 5 else 6)


def test_a_rate_that_takes_too_long_ends_with_the_time() -> None:
    """One request an hour does not hold a run up for an hour."""
    clock = Clock()
    budget = Budget(100, 60, rate="1/h", clock=clock)
    handle, seen = answers(OK)
    with sending(handle, clock, budget=budget) as sender:
        sender.send(READ, ID)
        with pytest.raises(Undecided, match="60 seconds is spent, at the rate that was set"):
            sender.send(READ, ID)
        assert len(seen) == 1

        budget.restore()
        sender.send(READ, ID)
        sender.send(READ, ID)

    assert len(seen) == 3, "what puts a record back does not wait for an hour either"
    assert clock.now < 1000 + 60 + 11


def test_all_answers_together_are_bounded() -> None:
    """Many answers that are just small enough end the run too, so that it never needs much memory."""
    handle, seen = answers(httpx.Response(200, content=b" " * (MAX_CONTENT - 1)))
    budget = Budget(10_000, 600)

    def fill(sender: Sender) -> None:
        while True:
            sender.send(READ, ID)

    with sending(handle, budget=budget) as sender:
        with pytest.raises(Undecided, match="the answers are larger than 32,000,000 bytes together"):
            fill(sender)
        budget.restore()
        sender.send(READ, ID)

    assert len(seen) <= MAX_TOTAL // (MAX_CONTENT - 20_000) + 2


# -------------------------------------------------------------------------- JSON


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b'{"a": NaN}', "NaN is no JSON number"),
        (b'{"a": -Infinity}', "-Infinity is no JSON number"),
        (b'{"a": 1, "a": 2}', "the key 'a' stands twice"),
        (b"\xef\xbb\xbf{}", "it begins with a byte order mark"),
        (b'{"a": 1, "a": ' + b"9" * 5000 + b"}", "the key 'a' stands twice"),
        (b"{" + b",".join(b'"%d":1' % n for n in range(30_000)) + b',"29999":2}', "the key '29999' stands twice"),
    ],
)
def test_json_that_others_read_differently_is_read_and_told(content: bytes, problem: str) -> None:
    """What RFC 8259 does not allow is decoded as far as it goes, with what is wrong in words."""
    value, told = decode(content)

    assert value is not MISSING
    assert told == problem


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", ""),
        (b"{", "it is not well-formed: Expecting property name"),
        (b'{"a": 1}x', "it is not well-formed: Extra data"),
        (b'"\xff"', "it is not UTF-8 (byte 1)"),
        ("{}".encode("utf-16"), "it is not UTF-8 (byte 0)"),
        (b"[" * 100_000 + b"]" * 100_000, f"it is nested deeper than {MAX_DEPTH}"),
        (b'{"a":' * 100_000, f"it is nested deeper than {MAX_DEPTH}"),
        (b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1), f"it is nested deeper than {MAX_DEPTH}"),
        (b'{"a":' * (MAX_DEPTH + 1) + b"1" + b"}" * (MAX_DEPTH + 1), f"it is nested deeper than {MAX_DEPTH}"),
        (b'{"a": "\\ud800"}', "it holds half of a surrogate pair"),
        (b'{"\\uDC00": 1}', "it holds half of a surrogate pair"),
        (b'{"a": "\\ud83d", "a": 1, "b": "\\ud83d"}', "it holds half of a surrogate pair"),
        (b'{"a": "\x1b"}', "it is not well-formed: Invalid control character"),
    ],
)
def test_what_is_no_json_is_no_value(content: bytes, problem: str) -> None:
    """There is no value, and why in words."""
    value, told = decode(content)

    assert value is MISSING
    assert told.startswith(problem)
    assert bool(told) == bool(problem)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"1e999", float("inf")),
        (b"[" + b"9" * 100_000 + b"]", [float("inf")]),
        (b'"\\ud83d\\ude00"', "\U0001f600"),
        (json.dumps("[" * 500).encode(), "[" * 500),
        (json.dumps('"[{' * 500).encode(), '"[{' * 500),
        (b"[" * MAX_DEPTH + b"]" * MAX_DEPTH, None),
        (b"null", None),
    ],
)
def test_json_that_is_only_odd_is_read(content: bytes, expected: Any) -> None:
    """Numbers beyond every float, pairs of surrogates, brackets in texts and two hundred lists are no fault."""
    value, problem = decode(content)

    assert (problem, value is MISSING) == ("", False)
    assert expected is None or value == expected


# ----------------------------------------------------------------------- sockets


def dripping(exchange: Exchange) -> None:
    """One byte at a time, each well within a read timeout, without an end."""
    exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    pause = threading.Event()
    while not pause.wait(0.05):
        exchange.send(b" ")


@pytest.mark.parametrize("timeout", [0.3])
def test_a_server_that_drips_is_cut_off(timeout: float) -> None:
    """A whole answer has to come within the timeout, not only the next byte of it."""
    started = time.monotonic()
    with (
        at(dripping, timeout=timeout) as sender,
        pytest.raises(SendError, match=r"no whole answer came within 0\.3") as e,
    ):
        sender.send(READ, ID)

    assert e.value.kind == "timeout"
    assert time.monotonic() - started < 2.5


def test_a_server_that_drips_is_cut_off_under_tls_too(tmp_path: Path) -> None:
    """The socket that TLS is spoken on is the one that is cut off."""
    made = certificate(tmp_path / "server.pem")
    started = time.monotonic()
    with Secured(BASE, dripping, own=made) as proxy:
        trust = ssl.create_default_context(cafile=str(made))
        budget = Budget(100, 600)
        url = proxy.base_url
        sender = Sender(
            CONTRACT, base_url=url, credentials=GIVEN, budget=budget, timeout=0.3, verify=trust, sleep=lambda s: None
        )
        with pytest.raises(SendError, match="no whole answer"):
            sender.send(READ, ID)
        sender.close()
        assert time.monotonic() - started < 3
        for spelling in (url, url.replace("https:", "HTTPS:")):
            stranger = Sender(CONTRACT, base_url=spelling, credentials=GIVEN, budget=budget, timeout=1)
            with pytest.raises(SendError, match="the TLS certificate is not trusted") as e:
                stranger.send(READ, ID)
            stranger.close()
            assert e.value.kind == "final"

    assert all(b"PT-secret" not in one.request for one in proxy.requests)
    assert len(proxy.requests) == 2, "nothing is sent to a server that is not trusted"


def hanging(exchange: Exchange) -> None:
    """No answer, until the client goes."""
    exchange.client.recv(1)


def resetting(exchange: Exchange) -> None:
    """A reset in the place of an answer."""
    raise Lost


def half(exchange: Exchange) -> None:
    """Half of what was promised."""
    exchange.send(whole(b"x" * 100)[:-50])
    raise Lost


@pytest.mark.parametrize(
    ("harm", "words", "tries"),
    [
        (hanging, "no whole answer came within 0.5 seconds", 2),
        (resetting, "the connection broke: Server disconnected", 4),
        (half, "the connection broke: peer closed .*50.*100", 4),
    ],
)
def test_what_never_comes_whole_is_no_answer(harm: Callable[[Exchange], None], words: str, tries: int) -> None:
    """A server that hangs, resets or stops half-way is tried again, and then named as what it is."""
    budget = Budget(100, 600)
    with at(harm, budget=budget) as sender, pytest.raises(SendError, match=words):
        sender.send(READ, ID)

    assert budget.spent == tries


def test_an_exchange_can_be_cut_off_from_outside() -> None:
    """A signal does not have to wait for a server that hangs."""
    waiting = threading.Event()

    def harm(exchange: Exchange) -> None:
        waiting.set()
        hanging(exchange)

    budget = Budget(100, 600)
    with at(harm, timeout=20, budget=budget) as sender:

        def interrupt() -> None:
            waiting.wait(10)
            budget.stop("the run was ended by SIGINT")
            sender.interrupt()

        helper = threading.Thread(target=interrupt)
        helper.start()
        started = time.monotonic()
        with pytest.raises(Undecided, match="SIGINT"):
            sender.send(READ, ID)
        helper.join()

    assert time.monotonic() - started < 5


@pytest.mark.parametrize(
    ("content", "headers", "words"),
    [
        (b" " * (MAX_CONTENT + 1), (), "larger than 2,000,000 bytes"),
        (bomb(), ("Content-Encoding: gzip",), "larger than 2,000,000 bytes"),
        (b"{}", ("Content-Encoding: gzip",), "not compressed as it says"),
        (b"{}", ("Content-Encoding: br",), "encoded as 'br', which was not asked for"),
        (b"{}", tuple(f"X-{n}: 1" for n in range(600)), "more than 500 headers"),
        (b"{}", ("X-Long: " + "x" * 200_000,), "the connection broke"),
    ],
    ids=["large", "bomb", "no gzip", "unknown encoding", "headers", "long header"],
)
def test_answers_that_are_too_much_are_refused(content: bytes, headers: tuple[str, ...], words: str) -> None:
    """Size, decompressed size, encoding and headers are bounded."""
    answer = whole(content, *headers)
    with at(lambda exchange: exchange.send(answer)) as sender, pytest.raises(SendError, match=words):
        sender.send(READ, ID)


def test_an_answer_too_many_is_not_taken_for_the_next_one() -> None:
    """After `reconnect` an answer belongs to the request before it."""
    numbers = itertools.count()

    def twice(exchange: Exchange) -> None:
        exchange.send(whole(b"[%d]" % next(numbers)) * 2)

    with at(twice) as sender:
        found = []
        for _ in range(3):
            sender.reconnect()
            found.append(sender.send(READ, ID).body)

    assert found == [[0], [1], [2]]


def test_a_list_may_be_larger_than_a_record() -> None:
    """A page of many records is read where one record of that size would not be."""
    answer = whole(b"[" + b" " * MAX_CONTENT + b"]")
    with at(lambda exchange: exchange.send(answer)) as sender:
        assert sender.send(LIST).body == []


@pytest.mark.parametrize("coding", ["gzip", "x-gzip", "GZIP"])
def test_gzip_in_several_members_is_read(coding: str) -> None:
    """A server may compress a body in parts, one after the other (RFC 1952)."""
    import gzip

    packed = gzip.compress(b'{"a": ') + gzip.compress(b'"') + gzip.compress(b'x"}')
    with at(lambda exchange: exchange.send(whole(packed, f"Content-Encoding: {coding}"))) as sender:
        assert sender.send(READ, ID).body == {"a": "x"}


def test_gzip_is_read() -> None:
    """A compressed answer is decompressed, in one piece or in many."""
    import gzip

    packed = gzip.compress(b'{"a": "' + b"x" * 5000 + b'"}')
    with at(lambda exchange: exchange.send(whole(packed, "Content-Encoding: gzip"))) as sender:
        answer = sender.send(READ, ID)

    assert answer.body == {"a": "x" * 5000}


def test_redirects_are_answers_and_credentials_stay_where_they_belong() -> None:
    """Nothing is sent to where a redirect points, on the same host or another."""
    with Proxy(BASE, lambda exchange: exchange.send(whole(b"{}"))) as elsewhere:
        location = f"Location: {elsewhere.base_url}/stolen"
        answer = whole(b"", location).replace(b"200 OK", b"307 Temporary Redirect")
        with at(lambda exchange: exchange.send(answer)) as sender:
            found = sender.send(WRITE, ID)
            other = sender.send(Case(label="x", operation=CONTRACT.retrieve.id, credentials="none"), ID)

        assert (found.status, other.status, elsewhere.exchanges) == (307, 307, 0)


def test_what_is_nearly_the_secret_is_as_secret() -> None:
    """A password short of its last character is masked too, and a short one is never sent in part."""
    long, short = Credentials(username="project", password="PT-secret-token"), Credentials(token="short")

    assert "PT-secret-toke" in long.secrets
    assert all(long.auth(kind)["Authorization"].split(" ")[1] in long.secrets for kind in ("right", "shorter_password"))
    assert short.auth("shorter_password") == {"Authorization": "Bearer wrong-token-on-purpose"}
    assert short.secrets == ("short",)
