"""The reference server: what the document says, that nothing gets lost, and that every defect is one."""

from __future__ import annotations

import ast
import asyncio
import base64
import itertools
import json
import re
import signal
import socket
import sqlite3
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.datastructures import Headers, QueryParams

import contract.reference
from contract.reference import DEFECTS, VARIANTS, Running, create_app, running, serve
from contract.reference.exchange import LIST, RETRIEVE, UPDATE, Exchange
from contract.reference.fields import ENUMS, IDS, READ_ONLY, REQUEST, REQUIRES, RESPONSE, URLS
from contract.reference.seed import FOREIGN_IDS, NUMBER_IDS, RESOURCES

ROOT = Path(__file__).parents[1]
ZULU = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z", re.ASCII)
HANDLERS = [(selector, value) for selector, table in REQUIRES.items() for value in table]
JSON_TYPE = {"content-type": "application/json"}
NO_CERTIFICATES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""Spares each client the loading of the certificates, which takes longer than the server's start."""


class Api:
    """A client of one running server; `put`, `get` and `refused` are about its second number."""

    def __init__(self, server: Running) -> None:
        self.server = server
        auth = (server.username, server.password)
        self.client = httpx.Client(base_url=server.base_url, auth=auth, verify=NO_CERTIFICATES)
        self.path = f"/phone_numbers/{server.ids[1]}"

    def get(self, path: str | None = None) -> Any:
        """The record, or whatever stands at *path*."""
        return self.client.get(path or self.path).raise_for_status().json()

    def put(self, **body: Any) -> Any:
        """The record after *body* was accepted."""
        answer = self.client.put(self.path, json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def refused(self, body: Any, status: int = 422) -> list[str]:
        """The details of the refusal of *body*, which left no trace."""
        before = self.get()
        answer = self.client.put(self.path, json=body)
        assert answer.status_code == status
        assert self.get() == before
        for entry in answer.json()["errors"]:
            rest = {name: value for name, value in entry.items() if name != "detail"}
            assert rest == {"status": "422", "title": "Invalid Attribute", "code": "422"}
        return [entry["detail"] for entry in answer.json()["errors"]]


@contextmanager
def serving(**arguments: Any) -> Iterator[Api]:
    """A client of a server that was started for it."""
    with running(**arguments) as server:
        api = Api(server)
        with api.client:
            yield api


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Credentials of the surroundings do not reach the tests."""
    for name in ("CONTRACT_USERNAME", "CONTRACT_PASSWORD"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def api() -> Iterator[Api]:
    """A client of a plain server of its own."""
    with serving() as api:
        yield api


@pytest.fixture(scope="module")
def asked() -> Iterator[Api]:
    """A client of a plain server that is not written to."""
    with serving() as api:
        yield api


def sample(name: str, tag: str = "a") -> str:
    """A value that the field *name* takes; *tag* tells values of one field apart."""
    if name in IDS:
        return RESOURCES[name]
    return f"https://{tag}.example.com/{name}" if name in URLS else f"{name} {tag}"


# What answers hold


def test_answers_hold_the_documented_fields(asked: Api) -> None:
    """A record has the 40 documented fields and the two newer ones, and no write-only one."""
    assert len(RESPONSE) == 42
    assert len(REQUEST) == 30
    assert list(asked.get()) == list(RESPONSE)
    assert set(REQUEST) - set(RESPONSE) == {"message_relay_application"}
    assert {"e911_status", "cnam", "country_code"} <= set(READ_ONLY)


def test_seeds(asked: Api) -> None:
    """The first number is well configured, the second new, and one has a handler of the platform."""
    first, second, third = (asked.get(f"/phone_numbers/{number_id}") for number_id in asked.server.ids[:3])
    assert first["name"]
    assert first["call_request_url"]
    assert first["message_request_url"]
    assert first["call_request_method"] == "POST"
    assert second["created_at"] == second["updated_at"] == second["next_billed_at"]
    filled = {name for name, value in second.items() if value is not None}
    assert filled & set(REQUEST) == {"call_handler", "call_receive_mode"}
    assert third["call_handler"] == "call_flow"
    assert third["calling_handler_resource_id"]
    age = datetime.now(UTC) - datetime.fromisoformat(first["created_at"])
    assert timedelta(days=199) < age < timedelta(days=201)
    assert set(asked.server.resources) == set(IDS)


# Writing


def test_a_write_changes_what_it_sends(api: Api) -> None:
    """What is not sent stays as it was, and the answer shows what a later read shows."""
    before = api.get()
    after = api.put(name="Ülo 😀", call_status_callback_url="https://example.com/?b=2&a=1&a=3")
    changed = {name for name in RESPONSE if before[name] != after[name]}
    assert changed == {"name", "call_status_callback_url", "updated_at"}
    assert after == api.get()
    assert after["name"] == "Ülo 😀"


@pytest.mark.parametrize(("selector", "value"), HANDLERS)
def test_a_handler_needs_its_companion(api: Api, selector: str, value: str) -> None:
    """A handler is refused while its companion is nowhere, and taken once it is sent or stored."""
    companion = REQUIRES[selector][value]
    assert api.refused({selector: value})[0].endswith("can't be blank")
    assert api.refused({selector: value, companion: None})[0].endswith("must be set")
    assert api.put(**{selector: value, companion: sample(companion)})[selector] == value
    assert api.refused({companion: ""})
    api.put(call_handler="relay_verto_endpoint", call_verto_resource="x")
    api.put(message_handler="relay_context", message_relay_context="x")
    assert api.put(**{selector: value})[selector] == value


def test_the_blank_script_url_of_the_live_platform(asked: Api) -> None:
    """A blank companion is refused in the platform's own words."""
    body = {"call_handler": "relay_script", "call_relay_script_url": ""}
    assert asked.refused(body) == ["Call relay script url must be set"]


def test_a_blank_that_is_stored_is_no_companion(api: Api) -> None:
    """A blank may be stored while its handler is off, and does not serve it later."""
    assert api.put(call_relay_script_url="")["call_relay_script_url"] == ""
    assert api.refused({"call_handler": "relay_script"}) == ["Call relay script url must be set"]


def test_status_callbacks_are_optional(api: Api) -> None:
    """relay_topic needs no status callback."""
    assert api.put(call_handler="relay_topic", call_relay_topic="office")["call_relay_topic"] == "office"


def test_a_switch_keeps_the_former_fields(api: Api) -> None:
    """Fields of the handler before stay, and the other channel is untouched."""
    api.put(call_handler="laml_webhooks", call_request_url="https://a.example/", call_request_method="GET")
    after = api.put(call_handler="relay_script", call_relay_script_url="https://b.example/")
    assert after["call_request_url"] == "https://a.example/"
    assert after["call_request_method"] == "GET"
    assert after["message_handler"] is None


def test_null_clears(api: Api) -> None:
    """null clears a field, also the companion of the active handler; call_receive_mode can't be cleared."""
    api.put(name="x", call_request_url="https://example.com/")
    after = api.put(name=None, call_request_url=None)
    assert after["name"] is None
    assert after["call_request_url"] is None
    assert api.refused({"call_receive_mode": None}) == ["Call receive mode can't be null"]


def test_aliases(api: Api) -> None:
    """Of several aliases call_relay_application wins, and the losing ones are left unchanged."""
    api.put(call_relay_topic="old")
    after = api.put(call_relay_topic="lost", call_relay_application="won", call_relay_context="lost")
    assert after["call_relay_application"] == "won"
    assert after["call_relay_topic"] == "old"
    assert after["call_relay_context"] is None
    assert api.put(call_relay_application=None, call_relay_topic="new")["call_relay_topic"] == "new"


def test_what_a_write_ignores(api: Api) -> None:
    """Unknown and read-only keys change nothing, nor does an empty object; updated_at stays."""
    before = api.get()
    assert api.put() == before
    assert api.put(colour="red", number="+15550000000", created_at=None, id=5) == before
    assert api.put(call_receive_mode="voice") == before


def test_several_defects_are_served_at_once() -> None:
    """Each of them shows, whichever was named last."""
    with serving(defect="voice-drops-fax+script-changes-type") as api:
        script = {"call_handler": "relay_script", "call_relay_script_url": "https://a.example"}
        shown = api.put(call_receive_mode="voice", **script)
    assert (shown["number_type"], "fax" in shown["capabilities"]) == ("toll-free", False)


def test_the_clock(api: Api) -> None:
    """updated_at has whole seconds in UTC, moves with a change, and never goes back."""
    before = api.get()["updated_at"]
    after = api.put(name="x")["updated_at"]
    assert ZULU.fullmatch(after)
    assert before < after
    assert abs(datetime.now(UTC) - datetime.fromisoformat(after)) < timedelta(seconds=5)
    assert api.put(message_relay_application="hidden")["updated_at"] >= after


def test_the_clock_does_not_go_back(tmp_path: Path) -> None:
    """A write keeps an updated_at that is ahead of the clock."""
    path = tmp_path / "numbers"
    with local(path) as send:
        record = json.loads(send(RETRIEVE).body)
    ahead = "2999-01-01T00:00:00Z"
    with closing(sqlite3.connect(path)) as connection:
        row = (json.dumps({**dict.fromkeys(REQUEST), **record, "updated_at": ahead}), record["id"])
        connection.execute("UPDATE numbers SET record = ? WHERE id = ?", row)
        connection.commit()
    with local(path) as send:
        assert json.loads(send(UPDATE, {"name": "x"}).body)["updated_at"] == ahead


def test_resource_ids_are_derived(api: Api) -> None:
    """The id of a handler's resource depends on its companion alone, and is null where there is none."""
    one = api.put(call_handler="relay_script", call_relay_script_url="https://a.example/")
    two = api.put(call_relay_script_url="https://b.example/")
    three = api.put(call_relay_script_url="https://a.example/")
    ids = [body["calling_handler_resource_id"] for body in (one, two, three)]
    assert ids[0] == ids[2] != ids[1]
    topic = api.put(call_handler="relay_topic", call_relay_topic="x")
    assert topic["calling_handler_resource_id"] is None
    assert api.put(message_handler="relay_application", message_relay_application="x")["messaging_handler_resource_id"]


# Refusing


@pytest.mark.parametrize(
    ("body", "details"),
    [
        ({"name": 5}, ["Name must be a string"]),
        ({"call_video_room_id": True}, ["Call video room must be a string"]),
        ({"call_handler": "RELAY_SCRIPT"}, ["Call handler is not valid"]),
        ({"call_handler": 7}, ["Call handler is not valid"]),
        ({"message_handler": "swml_webhooks"}, ["Message handler is not valid"]),
        ({"call_receive_mode": "text"}, ["Call receive mode is not valid"]),
        ({"call_fallback_method": "post"}, ["Call fallback method is not valid"]),
        ({"message_request_method": ""}, ["Message request method is not valid"]),
        ({"name": "x" * 256}, ["Name is too long (maximum is 255 characters)"]),
        ({"call_fallback_url": "ftp://example.com/"}, ["Call fallback url is not a valid URL"]),
        ({"call_fallback_url": "/relative"}, ["Call fallback url is not a valid URL"]),
        ({"call_fallback_url": "https://example.com/a b"}, ["Call fallback url is not a valid URL"]),
        ({"call_fallback_url": "https://example.com:x/"}, ["Call fallback url is not a valid URL"]),
        ({"call_sip_endpoint_id": RESOURCES["call_video_room_id"]}, ["Call sip endpoint must exist"]),
        ({"call_video_room_id": ""}, ["Call video room must exist"]),
        (
            {"name": [], "call_handler": "relay_topic", "message_handler": "?"},
            ["Name must be a string", "Message handler is not valid", "Call relay topic can't be blank"],
        ),
    ],
)
def test_wrong_values(asked: Api, body: Any, details: list[str]) -> None:
    """Each thing that is wrong has an entry of its own, and nothing is changed."""
    assert sorted(asked.refused(body)) == sorted(details)


@pytest.mark.parametrize("handler", ["fabric_subscriber", "sip_gateway", "call_queue", "ai_agent", "call_flow"])
def test_handlers_of_the_platform(api: Api, handler: str) -> None:
    """A handler that only the platform sets is refused; a number that has one takes other writes."""
    assert api.refused({"call_handler": handler}) == ["Call handler is not valid"]
    api.path = f"/phone_numbers/{api.server.ids[2]}"
    assert api.put(name="renamed")["call_handler"] == "call_flow"


def test_the_longest_name(api: Api) -> None:
    """A name has up to 255 characters of any kind."""
    assert api.put(name="😀" * 255)["name"] == "😀" * 255


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"nonsense",
        b'{"name":NaN}',
        b"\xef\xbb\xbf{}",
        b'{"name":"\xff"}',
        b'{"name":"\\ud800"}',
        b"[" * 100_000,
        b"1" * 5_000,
        '{"name":"x"}'.encode("utf-16"),
    ],
)
def test_malformed_json(asked: Api, content: bytes) -> None:
    """What is not JSON in UTF-8 is answered 400."""
    answer = asked.client.put(asked.path, content=content, headers=JSON_TYPE)
    assert (answer.status_code, answer.json()) == (400, {"error": "Bad Request"})


@pytest.mark.parametrize("body", [[], [{"name": "x"}], "text", 5, True, None])
def test_a_body_that_is_no_object(asked: Api, body: Any) -> None:
    """A JSON value that is no object is answered 422."""
    answer = asked.client.put(asked.path, content=json.dumps(body), headers=JSON_TYPE)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["detail"] == "Request body must be an object"


@pytest.mark.parametrize(
    ("media_type", "status"),
    [
        ("text/plain", 415),
        ("application/x-www-form-urlencoded", 415),
        ("", 415),
        ("Application/JSON; charset=utf-8", 200),
        ("application/vnd.api+json", 200),
    ],
)
def test_media_types(api: Api, media_type: str, status: int) -> None:
    """A body is read only if it says that it is JSON."""
    headers = {"content-type": media_type}
    assert api.client.put(api.path, content=b'{"name":"x"}', headers=headers).status_code == status


def test_a_body_may_be_one_mebibyte(api: Api) -> None:
    """A longer body is answered 413 and a body of that length is read."""
    start, end = b'{"more":"', b'"}'
    for extra, status in ((0, 200), (1, 413)):
        content = start + b"x" * (1024 * 1024 - len(start + end) + extra) + end
        assert api.client.put(api.path, content=content, headers=JSON_TYPE).status_code == status


def test_methods_and_paths_that_are_not_there(asked: Api) -> None:
    """PATCH, DELETE and POST are answered 405, a path that does not exist 404."""
    for method, path in (("PATCH", asked.path), ("DELETE", asked.path), ("POST", "/phone_numbers")):
        answer = asked.client.request(method, path, json={})
        assert (answer.status_code, answer.json()) == (405, {"error": "Method Not Allowed"})
    for path in ("/nothing", "/phone_numbers/", f"{asked.path}/more"):
        answer = asked.client.get(path)
        assert (answer.status_code, answer.json()) == (404, {"error": "Not Found"})


@pytest.mark.parametrize("number_id", [FOREIGN_IDS[0], "3fa85f64-5717-4562-b3fc-2c963f66afa6", "none"])
def test_numbers_that_the_project_does_not_have(asked: Api, number_id: str) -> None:
    """Another project's number, an unknown id and a malformed one are answered 404."""
    path = f"/phone_numbers/{number_id}"
    for answer in (asked.client.get(path), asked.client.put(path, json={"name": "x"})):
        assert (answer.status_code, answer.json()) == (404, {"error": "Not Found"})


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Bearer {password}",
        "Basic !",
        "Basic bm8gY29sb24=",
        "{username}:",
        "{username}:{password}x",
        "{password}:{username}",
        ":{password}",
        "x:{password}",
    ],
)
def test_credentials(asked: Api, header: str | None) -> None:
    """Whoever has not both the project id and the token is answered 401, and changes nothing."""
    before = asked.get()
    text = (header or "").format(username=asked.server.username, password=asked.server.password)
    if ":" in text:
        text = "Basic " + base64.b64encode(text.encode()).decode()
    headers = {} if header is None else {"authorization": text}
    with httpx.Client(base_url=asked.server.base_url, headers=headers, verify=NO_CERTIFICATES) as stranger:
        for method, path in (("GET", "/phone_numbers"), ("GET", asked.path), ("PUT", asked.path)):
            answer = stranger.request(method, path, json={"name": "x"})
            assert (answer.status_code, answer.json()) == (401, {"error": "Unauthorized"})
            assert answer.headers["www-authenticate"].startswith("Basic ")
    assert asked.get() == before


def test_credentials_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """CONTRACT_USERNAME and CONTRACT_PASSWORD take the place of the demo credentials."""
    monkeypatch.setenv("CONTRACT_USERNAME", "someone")
    monkeypatch.setenv("CONTRACT_PASSWORD", "pass:word")
    with serving() as api:
        assert (api.server.username, api.server.password) == ("someone", "pass:word")
        assert "pass:word" not in repr(api.server)
        assert api.get()


@pytest.mark.parametrize(
    ("error", "status", "phrase"),
    [(RuntimeError("secret"), 500, "Internal Server Error"), (sqlite3.OperationalError("locked"), 503, "")],
)
def test_a_failure_inside(tmp_path: Path, error: Exception, status: int, phrase: str) -> None:
    """A failure is answered 500 without a trace of it, and a lock that is held for too long 503."""

    def find(inner: object, x: Exchange) -> None:
        raise error

    app = create_app(database=tmp_path / "numbers")
    server = app.state.server
    server.stages = server.stages.with_hooks({"find": find})

    async def get() -> httpx.Response:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        auth = (server.username, server.password)
        async with httpx.AsyncClient(transport=transport, base_url="http://test", auth=auth) as client:
            return await client.get(f"/api/relay/rest/phone_numbers/{NUMBER_IDS[0]}")

    with closing(server.store):
        answer = asyncio.run(get())
    assert (answer.status_code, answer.json()) == (status, {"error": phrase or "Service Unavailable"})


# Listing


def test_the_list(asked: Api) -> None:
    """The list holds the project's numbers as a retrieve shows them, newest first."""
    body = asked.get("/phone_numbers")
    assert {record["id"] for record in body["data"]} == set(asked.server.ids)
    created = [record["created_at"] for record in body["data"]]
    assert created == sorted(created, reverse=True)
    assert asked.get() in body["data"]
    assert set(body["links"]) == {"self", "first"}
    assert body["links"]["self"].startswith("/api/relay/rest/phone_numbers?")


def test_pages(asked: Api) -> None:
    """The links lead through all pages, once each, and back."""
    origin = asked.server.base_url.removesuffix("/api/relay/rest")
    link, seen, pages = "/api/relay/rest/phone_numbers?page_size=3", [], []
    while link:
        body = asked.get(origin + link)
        pages.append(body)
        seen += [record["id"] for record in body["data"]]
        link = body["links"].get("next")
    assert seen == [record["id"] for record in asked.get("/phone_numbers")["data"]]
    assert [len(body["data"]) for body in pages] == [3, 3, 2]
    back = asked.get(origin + pages[1]["links"]["prev"])
    assert back["data"] == pages[0]["data"]


def test_filters(asked: Api) -> None:
    """filter_name and filter_number are substrings; a raw plus sign in the query does no harm."""

    def found(query: str) -> list[str]:
        return [record["number"] for record in asked.get(f"/phone_numbers?{query}")["data"]]

    assert found("filter_name=Lond") == ["+442079460123"]
    assert found("filter_number=+4420") == ["+442079460123"]
    assert found("filter_number=%2B1800") == ["+18005550143"]
    assert found("filter_name=nobody") == []


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("page_number=1", "page_token_required"),
        ("page_number=1&page_token=x", "page_token_is_invalid"),
        ("page_token=PAbmV3ZXN0IDg%3D", "page_token_is_invalid"),
        ("page_number=-1", "page_number_is_invalid"),
        ("page_size=0", "page_size_is_invalid"),
        ("page_size=many", "page_size_is_invalid"),
    ],
)
def test_pages_that_do_not_exist(asked: Api, query: str, code: str) -> None:
    """A wrong page is answered 400."""
    answer = asked.client.get(f"/phone_numbers?{query}")
    assert (answer.status_code, answer.json()) == (400, {"error": "Bad Request", "code": code})


# Lasting


def test_restart(tmp_path: Path) -> None:
    """What was written is there after a restart, and the seeds do not come again."""
    path = tmp_path / "numbers.sqlite3"
    with serving(database=path) as api:
        written = api.put(name="kept", message_handler="relay_application", message_relay_application="x")
    with serving(database=path) as api:
        assert api.get() == written
        api.put(message_handler="relay_topic", message_relay_topic="t")
        assert api.put(message_handler="relay_application")["message_handler"] == "relay_application"


def test_concurrent_writers(tmp_path: Path) -> None:
    """Eight writers at two servers over one file lose nothing of one another."""
    path, errors = tmp_path / "numbers.sqlite3", list[BaseException]()
    with serving(database=path) as one, serving(database=path) as two:

        def write(api: Api, name: str) -> None:
            try:
                for count in range(20):
                    value = sample(name, str(count))
                    assert api.put(**{name: value})[name] == value
            except BaseException as error:
                errors.append(error)

        writers = [threading.Thread(target=write, args=pair) for pair in zip((one, two) * 4, URLS, strict=True)]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join()
        assert errors == []
        record = two.get()
    assert {name: record[name] for name in URLS} == {name: sample(name, "19") for name in URLS}


# Starting and stopping


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_serve(tmp_path: Path, number: signal.Signals) -> None:
    """serve prints one line when it accepts requests, and ends quietly with status 0 on a signal."""
    code = "import pathlib, sys; from contract.reference import serve\n"
    code += "serve(port=0, database=pathlib.Path(sys.argv[1]))"
    command, pipe = [sys.executable, "-c", code, str(tmp_path / "numbers")], subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, stdout=pipe, stderr=pipe, text=True) as process:
        assert process.stdout is not None
        line = json.loads(process.stdout.readline())
        auth = (line["username"], line["password"])
        with httpx.Client(base_url=line["base_url"], auth=auth, verify=NO_CERTIFICATES) as client:
            for name in line["ids"]:
                assert client.get(f"/phone_numbers/{name}").status_code == 200
        process.send_signal(number)
        rest, errors = process.communicate(timeout=20)
    assert (process.returncode, rest, errors) == (0, "", "")
    assert line["ready"] is True
    assert line["base_url"].startswith("http://127.0.0.1:")
    assert set(line) == {"ready", "base_url", "username", "password", "ids", "resources", "foreign_ids"}


def test_a_port_in_use() -> None:
    """A port that is taken is named in plain words."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=f"port {port} is in use"):
            serve(port=port)


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    """A file that holds something else, or can't be there, is named."""
    path = tmp_path / "text"
    path.write_text("no database " * 100)
    for unusable in (path, tmp_path / "nowhere" / "numbers"):
        with pytest.raises(OSError, match=f"{unusable} can't be used as the database"):
            create_app(database=unusable)
    assert path.read_text() == "no database " * 100


def test_unknown_names() -> None:
    """An unknown defect or variant is refused with the nearest one."""
    with pytest.raises(ValueError, match="unknown defect 'envelop'; the nearest one is 'envelope'"):
        running(defect="envelop").__enter__()
    with pytest.raises(ValueError, match="unknown variant 'gzipp'; the nearest one is 'gzip'"):
        serve(port=0, variant="gzipp")


def test_mutate() -> None:
    """A mutator sees every body just before it is encoded, errors included."""
    seen = []

    def mutate(operation: str, status: int, body: Any) -> Any:
        seen.append((operation, status))
        return {"was": body}

    with serving(mutate=mutate) as api:
        assert api.get()["was"]["id"] == api.server.ids[1]
        assert api.get("/phone_numbers")["was"]["data"]
        assert api.client.put(api.path, json={"name": 1}).json()["was"]["errors"]
    assert seen == [(RETRIEVE, 200), (LIST, 200), (UPDATE, 422)]


def test_nothing_is_shared_with_the_judge() -> None:
    """The package imports nothing of contract but itself."""
    for path in (ROOT / "contract" / "reference").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            for name in names:
                assert not name.startswith("contract") or name.startswith("contract.reference"), path


def test_the_public_names() -> None:
    """What the package offers is what it lists."""
    public = {name for name, value in vars(contract.reference).items() if callable(value)}
    assert public | {"DEFECTS", "VARIANTS"} == set(contract.reference.__all__)


# Defects and variants


def test_the_tables() -> None:
    """Names are unique and in kebab-case, summaries are sentences, and every defect breaks a rule."""
    assert len(DEFECTS) >= 120
    assert len(VARIANTS) >= 34
    tables: list[Mapping[str, Any]] = [DEFECTS, VARIANTS]
    for name, entry in itertools.chain(*(table.items() for table in tables)):
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name)
        assert entry.name == name
        assert re.fullmatch(r"\w.*[^.]\.", entry.summary)
    for defect in DEFECTS.values():
        assert defect.breaks
        assert {pattern.partition(".")[0] for pattern in defect.breaks} <= {UPDATE, RETRIEVE, LIST, "*"}
    assert len({entry.summary for entry in DEFECTS.values()}) == len(DEFECTS)
    assert not set(DEFECTS) & set(VARIANTS)


@contextmanager
def local(path: Path = Path(":memory:"), **arguments: Any) -> Iterator[Callable[..., Any]]:
    """A function that takes one request through the stages, without HTTP, and without a file where none is named."""
    app = create_app(database=path, durable=False, **arguments)
    server = app.state.server

    def send(operation: str, body: Any = None, **how: Any) -> Any:
        headers = how.get("headers", JSON_TYPE).copy()
        if (auth := how.get("auth", (server.username, server.password))) is not None:
            headers["authorization"] = how.get("scheme", "Basic ") + base64.b64encode(":".join(auth).encode()).decode()
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        number_id, client = how.get("number_id", NUMBER_IDS[0]), how.get("client", ("127.0.0.1", 50000))
        return server.answer(Exchange(server, operation, Headers(headers), QueryParams(), raw, number_id, client))

    with closing(server.store):
        yield send


TEXTS = [
    "  both ends  ", "\U0001f600 \u200d", "مكتب", "<b>&amp;</b>", "\"q\" 'a' --", "a\\new", "{{7*7}} %s", "007",
    "null", "100% a+b", "x" * 256, "two\nlines", "nul\0", "",
]  # fmt: skip
PATHS = ["?b=2&a=1", "?a=1&a=2", "?empty=&flag&a=1", "?q=a+b%2f", "/Path/caf%C3%A9/", "#part", "/x" * 1001]


def script() -> Iterator[tuple[str, Any, dict[str, Any]]]:
    """Requests that between them make every defect and variant show: first what a new number is needed for, and what
    shows most of them.
    """
    yield LIST, None, {}
    yield RETRIEVE, None, {}
    for selector, value in HANDLERS:
        yield UPDATE, {selector: value}, {"number_id": NUMBER_IDS[1]}
    yield UPDATE, {"name": "x é"}, {}
    yield UPDATE, {"name": "x é"}, {}
    half = {"call_handler": "relay_verto_endpoint", "call_verto_resource": "half", "message_handler": "nonsense"}
    yield UPDATE, half, {}
    yield RETRIEVE, None, {}
    for raw in (b'{"name":"malformed"', b"[]", b'[{"name":"item"}]', b"null", b"{}"):
        yield UPDATE, raw, {}
    odd: dict[str, Any] = {"number": "+15550000000", "created_at": "2000-01-01T00:00:00Z", "capabilities": []}
    odd |= {
        "country_code": "FR",
        "e911_address_id": "x",
        "colour": "red",
        "name": None,
        "call_fallback_url": None,
    }
    for name, sent in odd.items():
        yield UPDATE, {name: sent}, {}
    yield UPDATE, {"name": 5}, {}
    yield UPDATE, {"call_relay_application": ["a"]}, {}
    for _ in range(2):
        yield UPDATE, {"call_receive_mode": "twice"}, {}
    for name in IDS:
        yield UPDATE, {name: "3fa85f64-5717-4562-b3fc-2c963f66afa6"}, {}
    for name in ("call_relay_connector_id", "call_video_room_id"):
        yield UPDATE, {name: RESOURCES[name]}, {}
    for host in ("bücher.example", "xn--mnchen-3ya.example"):
        for name in ("call_relay_topic_status_callback_url", "message_request_url"):
            yield UPDATE, {name: f"https://{host}/"}, {}
    aliases = {"call_relay_topic": "lost", "call_relay_application": "won"}
    yield UPDATE, aliases, {}
    yield UPDATE, {"call_relay_context": "lost", "call_relay_application": "again"}, {}
    yield UPDATE, {"call_handler": "relay_topic", **aliases}, {}
    yield RETRIEVE, None, {"client": ("127.0.0.1", 50001)}
    yield RETRIEVE, None, {"scheme": "Bearer "}
    body = {
        "call_handler": "relay_topic",
        "call_relay_topic": "x",
        "message_fallback_url": "https://a.example/",
    }
    yield UPDATE, body, {}
    yield UPDATE, {"call_handler": "relay_script", "call_relay_script_url": ""}, {}
    script = {"call_handler": "relay_script", "call_relay_script_url": "https://a.example/"}
    yield UPDATE, script, {}
    yield UPDATE, {"call_relay_script_url": ""}, {}
    yield UPDATE, {"call_handler": "relay_verto_endpoint", "call_verto_resource": "front"}, {}
    yield LIST, None, {}
    yield UPDATE, {"call_handler": "relay_verto_endpoint", "call_verto_resource": ""}, {}
    yield UPDATE, {"call_handler": "laml_webhooks"}, {}
    for method in ("GET", "POST"):
        few = {"call_verto_resource": method, "name": "four", "call_receive_mode": "voice"}
        yield UPDATE, {**few, "call_request_method": method}, {}
        yield UPDATE, {"call_relay_topic": "the same"}, {}
    for tag in "abc":
        yield (
            UPDATE,
            {"call_request_method": "GET", "call_relay_application": "won", "call_relay_topic": tag},
            {},
        )
        body = {"call_handler": "laml_webhooks", "call_request_url": f"https://{tag}.example/"}
        yield UPDATE, body | {"call_status_callback_url": f"https://{tag}.example/"}, {}
    yield UPDATE, {"name": "plain text"}, {"headers": {"content-type": "text/plain"}}
    yield UPDATE, {"name": ["a"]}, {}
    yield UPDATE, {"call_handler": 7}, {}
    yield UPDATE, {"call_fallback_url": {"a": 7}}, {}
    yield UPDATE, {"call_fallback_url": "not a url"}, {}
    yield RETRIEVE, None, {}
    yield UPDATE, {"call_laml_application_id": None, "call_sip_endpoint_id": None}, {}
    messages = {"message_handler": "laml_application"}
    messages["message_laml_application_id"] = sample("message_laml_application_id", "")
    for call in ("laml_application", "relay_sip_endpoint"):
        yield UPDATE, {"call_handler": call, **messages}, {}
    yield UPDATE, {"name": "SALES AND SUPPORT", "call_verto_resource": "desk@example.com"}, {}
    for name in ("sales and support", "sales and support 2", "sales", "\u00e9" * 200):
        yield UPDATE, {"name": name}, {}
    for url in ("https://a.example.com", "https://example.com:443/a/../b/./c?d=1,2", "https://API.Example.com/a"):
        yield UPDATE, dict.fromkeys(URLS, url), {}
    yield UPDATE, {"call_status_callback_url": "https://API.Example.com/a?b"}, {}
    yield RETRIEVE, None, {"number_id": NUMBER_IDS[3]}
    everything = {name: sample(name, "") for name in REQUEST if not name.endswith("_handler")}
    yield UPDATE, everything, {}
    near = f"{NUMBER_IDS[0][:9]}{'0000' if NUMBER_IDS[0][9:13] != '0000' else '0001'}{NUMBER_IDS[0][13:]}"
    for number_id in ("3fa85f64-5717-4562-b3fc-2c963f66afa6", near, "none", *FOREIGN_IDS):
        yield RETRIEVE, None, {"number_id": number_id}
        yield UPDATE, {"name": "stranger"}, {"number_id": number_id}
        yield UPDATE, messages | {"call_laml_application_id": None}, {"number_id": number_id}
    yield RETRIEVE, None, {"number_id": "3fa85f64-5717-4562-b3fc-2c963f66afa6"}
    yield RETRIEVE, None, {}
    yield LIST, None, {}
    yield UPDATE, {"id": NUMBER_IDS[0].swapcase()}, {}
    yield RETRIEVE, None, {}
    for _ in range(3):
        yield UPDATE, {"name": "thrice", "call_receive_mode": "fax"}, {}
    yield UPDATE, {"call_receive_mode": "voice"}, {}
    yield UPDATE, {"call_dialogflow_agent_id": None}, {}
    application = sample("call_laml_application_id", "")
    yield UPDATE, {"call_handler": "dialogflow", "call_laml_application_id": application}, {}
    yield UPDATE, {**messages, "message_fallback_method": "PUT"}, {}
    yield UPDATE, messages, {}
    yield UPDATE, {"message_fallback_method": "PUT"}, {}
    strange = "Cafe\u0301 \ufb01n"
    for name in ("call_relay_topic", "call_relay_context", "call_relay_application"):
        beside = dict.fromkeys(("name", "call_verto_resource", "message_relay_context"), strange)
        yield UPDATE, {name: strange, **beside}, {}
    for text in TEXTS:
        names = ("call_relay_topic", "name", "call_verto_resource", "message_relay_topic")
        yield UPDATE, dict.fromkeys(names, text), {}
        yield RETRIEVE, None, {}
    for url in (*(f"https://{{}}.example.com{path}" for path in PATHS), "http://{}.example", "https://{}.example:81/"):
        yield UPDATE, {name: url.format(name.replace("_", "-")) for name in URLS}, {}
        yield RETRIEVE, None, {}
    auths = (("user", "PTwrong"), ("user", ""), ("user", "PTsecrets"), ("user", "PTsecre"), ("someone", "PTsecret"))
    for operation, auth in itertools.product((UPDATE, RETRIEVE, LIST), (None, *auths)):
        yield operation, {"name": "open"}, {"auth": auth}
    yield RETRIEVE, None, {}
    for wrong in ("nonsense", "get", "PUT", "dialogflow", "call_queue", "ai_agent"):
        for name in ENUMS:
            yield UPDATE, {"name": "refused", "call_fallback_method": "GET", name: wrong}, {}
    yield UPDATE, {"call_video_room_id": "no id"}, {}
    yield UPDATE, {"name": "x é"}, {"number_id": NUMBER_IDS[1]}
    yield UPDATE, {"name": "x é"}, {}
    yield LIST, None, {}
    yield UPDATE, {"call_receive_mode": "fax", "message_request_url": "https://shown.example/"}, {}
    yield RETRIEVE, None, {"number_id": NUMBER_IDS[3]}
    tags = itertools.count()
    verbs = itertools.cycle(itertools.product(("GET", "POST"), ("POST", "GET"), ("fax", "voice"), ("GET", "POST")))
    for first, second, mode, third in itertools.islice(verbs, 6):
        body = {"call_request_method": first, "call_fallback_method": second, "call_receive_mode": mode}
        yield UPDATE, body | {"message_request_method": third, "call_status_callback_method": second}, {}
        yield UPDATE, {"message_fallback_method": third}, {}
        yield RETRIEVE, None, {}
    again = (("laml_webhooks", "relay_topic"), ("laml_webhooks", "laml_webhooks"))
    for call, message in (("relay_connector", "relay_topic"), *again, ("dialogflow", "laml_webhooks"), *again):
        body = {"call_handler": call, "message_handler": message, "call_receive_mode": "fax"}
        body |= {"call_request_method": "GET", "message_request_url": f"https://a{next(tags)}.example/"}
        for selector, value in (("call_handler", call), ("message_handler", message)):
            companion = REQUIRES[selector][value]
            body[companion] = sample(companion, f"a{next(tags)}")
        yield UPDATE, body, {}
        yield UPDATE, {"message_fallback_url": f"https://a{next(tags)}.example/"}, {}
        yield UPDATE, {"call_fallback_url": f"https://a{next(tags)}.example/"}, {}
    for selector, other in (("call_handler", "message_handler"), ("message_handler", "call_handler")):
        for old, new in itertools.combinations(REQUIRES[selector], 2):
            for value in (old, new):
                companion, tag = REQUIRES[selector][value], f"a{next(tags)}"
                body = {selector: value, companion: sample(companion, tag)}
                if next(tags) % 3 == 0:
                    also = list(REQUIRES[other])[next(tags) % len(REQUIRES[other])]
                    body |= {other: also, REQUIRES[other][also]: sample(REQUIRES[other][also], tag)}
                yield UPDATE, body, {}
        yield RETRIEVE, None, {}
    eleven = [*URLS, "name", "call_verto_resource", "message_relay_topic"]
    yield UPDATE, {name: sample(name, "eleven") for name in eleven}, {}
    for body in ({"message_fallback_method": "GET"}, *[{"message_fallback_url": "https://same.example/"}] * 2):
        yield UPDATE, body, {}
    yield UPDATE, {"message_fallback_url": "https://open.example/"}, {"auth": None}
    for method in ("GET", "POST"):
        for _ in range(3):
            yield UPDATE, {"name": "three times", "call_request_method": method}, {}


class Clock(datetime):
    """A clock that the transcript moves."""

    start = moment = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)

    @classmethod
    def now(cls, tz: Any = None) -> datetime:  # type: ignore[override]
        """The moment of the transcript."""
        return cls.moment


def transcript(**arguments: Any) -> Iterator[tuple[int, bytes, Mapping[str, str]]]:
    """The answers to `script`: status, body, headers that do not change by themselves."""
    Clock.moment = Clock.start
    with local(username="user", password="PTsecret", **arguments) as send:
        for count, (operation, body, how) in enumerate(script()):
            Clock.moment = Clock.start + timedelta(seconds=count // 2 * 3)
            answer = send(operation, body, **how)
            headers = {name: value for name, value in answer.headers.items() if name != "x-request-id"}
            yield answer.status_code, bytes(getattr(answer, "body", b"")), headers


@pytest.fixture(scope="module")
def plain() -> list[Any]:
    """The transcript of the plain server."""
    with pytest.MonkeyPatch.context() as patch:
        tell_time(patch)
        return list(transcript())


def tell_time(patch: pytest.MonkeyPatch) -> None:
    """Let the package read `Clock`."""
    for module in ("seed", "stages", "defects.values"):
        patch.setattr(f"contract.reference.{module}.datetime", Clock)


def test_the_plain_server_never_fails(plain: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """The plain server always answers the script in the same way, without a 5xx or the secret."""
    tell_time(monkeypatch)
    assert list(transcript()) == plain
    statuses = {status for status, _, _ in plain}
    assert statuses == {200, 400, 401, 404, 415, 422}
    assert not any(b"PTsecret" in body for _, body, _ in plain)


def kinds() -> dict[str, list[str]]:
    """Kind of rule -> the defects that break it first."""
    found: dict[str, list[str]] = {}
    for name, defect in DEFECTS.items():
        found.setdefault(defect.breaks[0].split(".")[1], []).append(name)
    return found


@pytest.mark.parametrize("kind", kinds())
def test_a_defect_shows(kind: str, plain: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """A server with a defect answers the list and a retrieve, and something else than the plain one somewhere."""
    tell_time(monkeypatch)
    hidden = []
    for name in kinds()[kind]:
        answers = transcript(defects=[name])
        begin = list(itertools.islice(answers, 2))
        assert max(status for status, _, _ in begin) < 300, name
        if all(answer == right for answer, right in zip(itertools.chain(begin, answers), plain, strict=True)):
            hidden.append(name)
    assert hidden == []


def test_a_variant_shows(plain: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Each variant answers something else than the plain server somewhere, and never fails until then."""
    tell_time(monkeypatch)
    hidden = []
    for name in VARIANTS:
        for answer, right in zip(transcript(variants=[name]), plain, strict=True):
            assert answer[0] in {200, 400, 401, 403, 404, 415, 422, 429, 503}, name
            if answer != right:
                break
        else:
            hidden.append(name)
    assert hidden == []


@pytest.mark.parametrize("names", ["escapes+gzip", "gzip+escapes"])
def test_variants_go_together_in_any_order(names: str) -> None:
    """What is compressed was escaped before."""
    with serving(variant=names) as api:
        found = api.client.get(api.path)
    assert (found.status_code, found.headers["content-encoding"]) == (200, "gzip")
    assert found.text.isascii()


@pytest.mark.parametrize(("kind", "names"), [("defect", DEFECTS), ("variant", VARIANTS)])
def test_what_changes_the_wire_is_served(kind: str, names: Mapping[str, Any]) -> None:
    """Every defect and every variant that changes encoded answers says what HTTP can carry."""
    for name in (name for name, one in names.items() if "respond" in one.behaviour.hooks):
        with serving(**{kind: name}) as api:
            assert api.client.get(api.path).status_code < 300, name
