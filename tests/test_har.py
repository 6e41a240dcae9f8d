"""``run.har``: every request and answer, for other tools to read."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft6Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT6

from contract import har
from contract.mask import Mask
from contract.model import MISSING
from contract.result import Result
from tests import reports
from tests.reports import HOSTILE, MASK, SECRET, made

SCHEMAS = Path(__file__).parent / "data" / "schemas"


def written(result: Result, folder: Path, mask: Mask = MASK) -> dict[str, Any]:
    """The log that is written for *result*."""
    log: dict[str, Any] = json.loads(har.write(result, folder / "run.har", mask).read_text(encoding="utf-8"))
    return log


def answered(**changes: Any) -> Result:
    """A result with one exchange, whose answer has *changes*."""
    result = copy.copy(made())
    update = next(e for e in result.exchanges if e.case.label == "tour start")
    result.exchanges = [replace(update, response=replace(update.response, **changes))]
    return result


@pytest.mark.parametrize("kind", ["real", "hostile", "empty", "another fragment"])
def test_schema(kind: str, tmp_path: Path) -> None:
    """Every file is valid under the public schema of HTTP Archive 1.2."""
    runs: dict[str, Callable[[], Result]] = {"hostile": reports.hostile, "another fragment": reports.other}
    result = runs.get(kind, made)()
    if kind == "empty":
        result = copy.copy(result)
        result.exchanges = []
    files = json.loads((SCHEMAS / "har-1.2.json").read_text(encoding="utf-8"))
    schemas = {name: schema for name, schema in files.items() if name.endswith(".json")}
    registry: Registry[Any] = Registry().with_resources(
        (name, Resource.from_contents(schema, default_specification=DRAFT6)) for name, schema in schemas.items()
    )
    checker = Draft6Validator(schemas["har.json"], registry=registry, format_checker=Draft6Validator.FORMAT_CHECKER)
    assert [f"{list(e.path)}: {e.message[:200]}" for e in checker.iter_errors(written(result, tmp_path))] == []


def test_entries(tmp_path: Path) -> None:
    """There is an entry for each exchange, in order, with its case as comment and its time in milliseconds."""
    result = made()
    entries = written(result, tmp_path)["log"]["entries"]
    assert [entry["comment"] for entry in entries] == [e.case.label for e in result.exchanges]
    assert [entry["response"]["status"] for entry in entries] == [e.response.status for e in result.exchanges]
    moments = [datetime.fromisoformat(entry["startedDateTime"]) for entry in entries]
    assert moments == sorted(moments)
    assert moments[0] - result.started < timedelta(milliseconds=1)
    assert moments[-1] - result.started < timedelta(seconds=result.seconds)
    for entry, exchange in zip(entries, result.exchanges, strict=True):
        assert entry["time"] == entry["timings"]["wait"] == pytest.approx(exchange.response.elapsed * 1000, abs=0.001)
        assert entry["response"]["content"]["size"] == len(exchange.response.content)


def test_request(tmp_path: Path) -> None:
    """An update is there as it was sent, to the letter."""
    result = made()
    exchange = next(e for e in result.exchanges if e.case.label == "tour start")
    request = next(e for e in written(result, tmp_path)["log"]["entries"] if e["comment"] == "tour start")["request"]
    assert (request["method"], request["url"]) == ("PUT", exchange.url)
    assert json.loads(request["postData"]["text"]) == exchange.case.body
    assert request["postData"]["text"].encode() == exchange.content
    assert {"name": "Content-Type", "value": "application/json"} in request["headers"]


def test_query(tmp_path: Path) -> None:
    """What follows the question mark of an address is told apart, as the format wants it."""
    result = answered()
    result.exchanges = [replace(result.exchanges[0], url=f"{result.exchanges[0].url}?a=1&b=&a=%C3%A9")]
    request = written(result, tmp_path)["log"]["entries"][0]["request"]
    assert request["queryString"] == [
        {"name": "a", "value": "1"},
        {"name": "b", "value": ""},
        {"name": "a", "value": "é"},
    ]


def test_credentials_are_left_out(tmp_path: Path) -> None:
    """That credentials were sent is shown, and which were not; nobody can use the file to ask again."""
    entries = {e["comment"]: e["request"]["headers"] for e in written(made(), tmp_path)["log"]["entries"]}
    assert {"name": "Authorization", "value": "Basic ***"} in entries["tour start"]
    assert {"name": "Authorization", "value": "Basic ***"} in entries["PUT /phone_numbers/{id} longer password"]
    assert "Authorization" not in {h["name"] for h in entries["PUT /phone_numbers/{id} no credentials"]}
    other = written(reports.other(), tmp_path)["log"]["entries"][0]["request"]["headers"]
    assert {"name": "Authorization", "value": "Bearer ***"} in other


def test_secrets(tmp_path: Path) -> None:
    """A secret that an answer holds, in a header or in its body, is masked, and so is a cookie."""
    headers = {"set-cookie": "session=abc; Path=/", "x-told": f"you are {SECRET}", "content-type": "application/json"}
    body = {"echo": SECRET, "list": [f"<{SECRET}>"]}
    for content, value in ((json.dumps(body).encode(), body), (f"you are {SECRET}".encode(), MISSING)):
        result = answered(headers=headers, content=content, body=value)
        text = har.write(result, tmp_path / "run.har", MASK).read_text(encoding="utf-8")
        assert "word" not in text.lower().replace("password", "")
        assert "session=abc" not in text
        answer = json.loads(text)["log"]["entries"][0]["response"]
        assert {"name": "set-cookie", "value": "***"} in answer["headers"]
        assert {"name": "x-told", "value": "you are ***"} in answer["headers"]
        assert "***" in answer["content"]["text"]


def test_masked_fields(tmp_path: Path) -> None:
    """The value of a masked field has another one of the same form in its place, in both directions."""
    result = made()
    entries = written(result, tmp_path, replace(MASK, names=("number", "name")))["log"]["entries"]
    start = next(entry for entry in entries if entry["comment"] == "tour start")
    exchange = next(e for e in result.exchanges if e.case.label == "tour start")
    number = json.loads(start["response"]["content"]["text"])["number"]
    assert number[0] == "+" and number[1:].isdigit() and number != exchange.response.body["number"]
    assert json.loads(start["request"]["postData"]["text"])["name"] != exchange.case.body["name"]
    assert json.loads(start["request"]["postData"]["text"])["call_handler"] == exchange.case.body["call_handler"]


def test_untouched_where_nothing_is_masked(tmp_path: Path) -> None:
    """An answer without anything to mask is there byte for byte, however it is written."""
    content = b'{ "id" : "x",\n\t"name":"\\u00e9 \xc3\xa9" }'
    result = answered(content=content, body=json.loads(content))
    told = written(result, tmp_path)["log"]["entries"][0]["response"]["content"]
    assert told["text"].encode() == content


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    """An answer that is not UTF-8 is shown as far as it can be."""
    result = answered(content=b"\xff\x00<html>", body=MISSING, status=299)
    answer = written(result, tmp_path)["log"]["entries"][0]["response"]
    assert answer["content"]["text"] == "\ufffd\x00<html>"
    assert (answer["status"], answer["statusText"], answer["bodySize"]) == (299, "", 8)


def test_compressed(tmp_path: Path) -> None:
    """What was compressed on the way has no size on the way, because nobody counted."""
    result = answered(headers={"content-encoding": "gzip"}, content=b"{}", body={})
    answer = written(result, tmp_path)["log"]["entries"][0]["response"]
    assert (answer["bodySize"], answer["content"]["size"]) == (-1, 2)


def test_hostile(tmp_path: Path) -> None:
    """The file of a hostile API is plain JSON, and holds what it answered."""
    path = har.write(reports.hostile(), tmp_path / "run.har", MASK)
    raw = path.read_bytes()
    assert raw.isascii()
    log = json.loads(raw)
    entry = next(e for e in log["log"]["entries"] if e["response"]["status"] == 599)
    assert json.loads(entry["response"]["content"]["text"])["values"][0] == HOSTILE[0]
    assert entry["response"]["redirectURL"] == HOSTILE[0]
