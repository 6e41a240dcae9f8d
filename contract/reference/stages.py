"""What happens to a request, one small function a stage; each can be hooked by its name.

update: authenticate, parse, find, validate, merge, persist, render, respond. retrieve: authenticate, find,
render, respond. list: authenticate, listing, render (once a record), respond. A stage that says no raises
`Refusal`, whose body `refuse` writes.
"""

from __future__ import annotations

import base64
import binascii
import functools
import hmac
import json
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

from starlette.responses import Response

from contract.reference.behaviour import Hook
from contract.reference.exchange import LIST, RETRIEVE, Exchange, Refusal
from contract.reference.fields import ALIASES, METHODS, REQUEST, REQUIRES, RESPONSE, USES, Record
from contract.reference.listing import listing
from contract.reference.seed import derive
from contract.reference.validation import normalise, problems

__all__ = ["Stages"]

STATUS_HEADERS = {401: {"www-authenticate": 'Basic realm="Relay REST API"'}, 503: {"retry-after": "1"}}


def authenticate(x: Exchange) -> bool:
    """Tell whether the request carries the project's id and token (HTTP Basic)."""
    scheme, _, encoded = x.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return False
    try:
        username, colon, password = base64.b64decode(encoded, validate=True).partition(b":")
    except binascii.Error:
        return False
    right = hmac.compare_digest(username, x.server.username.encode())
    return hmac.compare_digest(password, x.server.password.encode()) and right and bool(colon)


def parse(x: Exchange) -> Any:
    """Return the JSON object of the body; refuse other media types, malformed JSON and other JSON types."""
    media_type = x.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json" and not media_type.endswith("+json"):
        raise Refusal(x.rules.media_status, ["Content type must be application/json"])
    try:
        body = json.loads(x.raw.decode(), parse_constant=_no_constant)
        json.dumps(body, ensure_ascii=False).encode()  # half of a surrogate pair is no text
    except (ValueError, RecursionError):
        raise Refusal(x.rules.malformed_status, ["Request body is not valid JSON"]) from None
    if not isinstance(body, dict) and x.rules.not_an_object_status == 200:
        return {}
    if not isinstance(body, dict):
        raise Refusal(x.rules.not_an_object_status, ["Request body must be an object"])
    return body


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def find(x: Exchange) -> Record | None:
    """Return the record that the path names, if the project has it."""
    return x.server.store.get(x.number_id)


def validate(x: Exchange, body: Record, record: Record) -> list[str]:
    """Return what is wrong with *body*, one sentence each."""
    found = problems(x.rules, body, record, x.server.store.exists)
    if x.rules.type_status != 422 and any(text.endswith("must be a string") for text in found):
        raise Refusal(x.rules.type_status)
    return found


def merge(x: Exchange, body: Record, record: Record) -> Record:
    """Return *record* with what *body* sets; a losing alias and what was not sent stay as they were."""
    rules, after = x.rules, dict(record)
    for name, value in body.items():
        if name in REQUEST and not _loses(body, name):
            after[name] = None if value == "" and rules.blank == "null" else value
    if rules.clear_former:
        _clear_former(body, record, after)
    if rules.mirror_aliases:
        for winner, losers in ALIASES.items():
            group = (winner, *losers)
            if sent := [body[name] for name in group if name in body]:
                after |= dict.fromkeys(group, next((value for value in sent if value is not None), None))
    if rules.fill_methods:
        after |= {name: "POST" for name in METHODS if after[name] is None}
    derive(after)
    return after


def _loses(body: Record, name: str) -> bool:
    wins = [winner for winner, losers in ALIASES.items() if name in losers]
    return body[name] is not None and any(body.get(winner) is not None for winner in wins)


def _clear_former(body: Record, record: Record, after: Record) -> None:
    for selector, table in REQUIRES.items():
        former, now = record[selector], after[selector]
        if former != now:
            gone = {table.get(former), *USES[selector].get(former, ())} - {table.get(now), None, *body}
            after |= {name: None for name in gone if isinstance(name, str)}


def persist(x: Exchange, before: Record, after: Record) -> Record:
    """Store *after*; updated_at moves when something changed, and never goes back."""
    if after != before or x.rules.always_touch:
        now = max(datetime.now(UTC), datetime.fromisoformat(before["updated_at"]))
        text = now.isoformat(timespec="milliseconds" if x.rules.milliseconds else "seconds")
        after = after | {"updated_at": text.replace("+00:00", "Z")}
    x.server.store.put(before["id"], after)
    return after


def render(x: Exchange, record: Record) -> Record:
    """Return what an answer shows of *record*."""
    return {name: record[name] for name in RESPONSE}


def operate(x: Exchange) -> Any:
    """Do what the request asks for and return the body of the 200."""
    if x.operation == LIST:
        return x.stages.listing(x)
    if x.operation == RETRIEVE:
        x.before = x.after = x.stages.find(x)
    else:
        x.body = x.stages.parse(x)
        with x.server.store.transaction():
            x.before = x.stages.find(x)
            if x.before is not None:
                body = normalise(x.rules, x.body)
                if details := x.stages.validate(x, body, x.before):
                    raise Refusal(422, details)
                x.after = x.stages.persist(x, x.before, x.stages.merge(x, body, x.before))
    if x.after is None:
        raise Refusal(404)
    return x.stages.render(x, x.after)


def refuse(x: Exchange, refusal: Refusal) -> Any:
    """Return the body of an error answer."""
    if refusal.status != 422:
        return {"error": HTTPStatus(refusal.status).phrase, **refusal.extra}
    entry = {"status": "422", "title": "Invalid Attribute", "code": "422"}
    return {"errors": [{"detail": detail, **entry} for detail in refusal.details]}


def respond(x: Exchange, status: int, body: Any) -> Response:
    """Encode the answer: UTF-8 JSON, and the headers that belong to its status."""
    if x.server.mutate is not None:
        body = x.server.mutate(x.operation, status, body)
    return Response(
        json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode(),
        status,
        {"content-type": "application/json; charset=utf-8", "x-request-id": str(uuid.uuid4())}
        | STATUS_HEADERS.get(status, {}),
    )


@dataclass(frozen=True, slots=True)
class Stages:
    """The functions that a request goes through; all take the exchange first."""

    authenticate: Callable[[Exchange], bool] = authenticate
    operate: Callable[[Exchange], Any] = operate
    parse: Callable[[Exchange], Any] = parse
    find: Callable[[Exchange], Record | None] = find
    validate: Callable[[Exchange, Record, Record], list[str]] = validate
    merge: Callable[[Exchange, Record, Record], Record] = merge
    persist: Callable[[Exchange, Record, Record], Record] = persist
    listing: Callable[[Exchange], Any] = listing
    render: Callable[[Exchange, Record], Any] = render
    refuse: Callable[[Exchange, Refusal], Any] = refuse
    respond: Callable[[Exchange, int, Any], Response] = respond

    def with_hooks(self, hooks: Mapping[str, Hook]) -> Stages:
        """Return stages with each hook around the stage that it names."""
        around = {name: functools.partial(hook, getattr(self, name)) for name, hook in hooks.items()}
        return replace(self, **around)
