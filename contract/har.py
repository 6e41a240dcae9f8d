"""Writes ``run.har``: every request of a run and its answer, for whatever reads HTTP archives.

Entry by entry, so that a long run is never in memory twice. What proves the right to ask is left out
of the headers, and secrets and masked fields out of the bodies.

Source: HTTP Archive 1.2, http://www.softwareishard.com/blog/har-12-spec/; times are milliseconds.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

import harfile
import httpx

from contract.mask import Mask
from contract.report import opened
from contract.result import Exchange, Result

__all__ = ["write"]

SECRET_HEADERS: Final = frozenset({"authorization", "cookie", "set-cookie", "proxy-authorization", "x-api-key"})


def write(result: Result, path: Path, mask: Mask) -> Path:
    """Writes the exchanges of *result* to *path*, in the order in which they were sent.

    Raises:
        ConfigError: it cannot be written there.
    """
    exchanges = sorted(result.exchanges, key=lambda exchange: exchange.response.at)
    first = exchanges[0].response.at if exchanges else 0.0
    creator = harfile.Creator(name="pytest-contract", version=version("pytest-contract"))
    with opened(path) as file:
        with harfile.open(file, creator=creator, comment=mask.line(result.contract.title)) as har:
            for exchange in exchanges:
                took = round(exchange.response.elapsed * 1000, 3)
                har.add_entry(
                    startedDateTime=_moment(result.started, exchange.response.at - first),
                    time=took,
                    request=_request(result, exchange, mask),
                    response=_response(exchange, mask),
                    # Only the whole was measured: from sending to the end of the body.
                    timings=harfile.Timings(send=0, wait=took, receive=0),
                    comment=mask.line(exchange.case.label),
                )
        file.write("\n")
    return path


def _moment(started: datetime, seconds: float) -> str:
    return (started + timedelta(seconds=seconds)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _request(result: Result, exchange: Exchange, mask: Mask) -> harfile.Request:
    case = exchange.case
    operation = result.contract.operations[case.operation]
    headers = {"Accept": "application/json", "Accept-Encoding": "gzip", "User-Agent": "pytest-contract"}
    if operation.security and case.credentials != "none":
        bearer = result.contract.schemes.get(operation.security[0], {}).get("scheme") == "bearer"
        headers["Authorization"] = f"{'Bearer' if bearer != (case.credentials == 'other_scheme') else 'Basic'} ***"
    if exchange.content is not None:
        headers["Content-Type"] = case.media_type
    url = mask.line(exchange.url)
    return harfile.Request(
        method=operation.method,
        url=url,
        httpVersion="HTTP/1.1",
        headers=_headers(headers.items(), mask),
        queryString=[
            harfile.Record(name=name, value=value)
            for name, value in parse_qsl(urlsplit(url).query, keep_blank_values=True)
        ],
        postData=None
        if exchange.content is None
        else harfile.PostData(mimeType=case.media_type, text=_body(case.body, exchange.content, mask)),
        bodySize=len(exchange.content or b""),
    )


def _response(exchange: Exchange, mask: Mask) -> harfile.Response:
    answer = exchange.response
    return harfile.Response(
        status=answer.status,
        statusText=httpx.codes.get_reason_phrase(answer.status),
        httpVersion="HTTP/1.1",
        headers=_headers(answer.headers.items(), mask),
        content=harfile.Content(
            size=len(answer.content),
            mimeType=mask.line(answer.headers.get("content-type", "")),
            text=_body(answer.body, answer.content, mask),
        ),
        redirectURL=_location(answer.headers.get("location", ""), mask),
        # What was compressed on the way was smaller there, and nobody counted.
        bodySize=-1 if "content-encoding" in answer.headers else len(answer.content),
    )


def _headers(found: Iterable[tuple[str, str]], mask: Mask) -> list[harfile.Record]:
    return [
        harfile.Record(
            name=mask.line(name),
            value=f"{value.partition(' ')[0]} ***" if name == "Authorization" else
            "***" if name.lower() in SECRET_HEADERS else
            _location(value, mask) if name.lower() == "location" else mask.line(value),
        )
        for name, value in found
    ]  # fmt: skip


def _location(url: str, mask: Mask) -> str:
    """Where an answer sends to, without the query: it may hold what lets somebody in."""
    return mask.line(url.partition("?")[0] + ("?***" if "?" in url else ""))


def _body(body: Any, content: bytes, mask: Mask) -> str:
    """The bytes as they went over the wire, or, where something in them is masked, the same JSON without it."""
    text = content.decode("utf-8", "replace")
    if isinstance(body, (Mapping, list)) and (masked := mask.value(body)) != body:
        return mask.text(json.dumps(masked, ensure_ascii=False))
    return mask.text(text)
