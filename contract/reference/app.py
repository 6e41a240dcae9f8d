"""The service: an HTTP request becomes an `Exchange`, goes through the `Stages`, and becomes an answer."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from contract.reference.behaviour import Behaviour, pick
from contract.reference.defects import DEFECTS
from contract.reference.exchange import LIST, RETRIEVE, UPDATE, Exchange, Refusal
from contract.reference.fields import Rules
from contract.reference.seed import DEMO_PASSWORD, DEMO_USERNAME, seed
from contract.reference.stages import Stages
from contract.reference.store import Store
from contract.reference.variants import VARIANTS

__all__ = ["PREFIX", "Mutate", "Server", "create_app"]

PREFIX = "/api/relay/rest"
BODY_LIMIT = 1024 * 1024
"""Bytes of a request body that are read; a longer one is answered 413."""

Mutate = Callable[[str, int, Any], Any]
"""(operation, status, body) -> the body that is encoded in its place."""


@dataclass(slots=True)
class Server:
    """What all requests of one app share."""

    store: Store
    username: str
    password: str
    rules: Rules = field(default_factory=Rules)
    stages: Stages = field(default_factory=Stages)
    mutate: Mutate | None = None
    memory: dict[str, Any] = field(default_factory=dict)
    """What a defect or a variant remembers between requests."""

    def with_behaviours(self, behaviours: Iterable[Behaviour]) -> Server:
        """Return a server that behaves so; a later hook stands around an earlier one."""
        changed = self
        for behaviour in behaviours:
            changed = replace(
                changed,
                rules=replace(changed.rules, **behaviour.rules),
                stages=changed.stages.with_hooks(behaviour.hooks),
            )
        return changed

    def answer(self, x: Exchange) -> Response:
        """Take one exchange through the stages; whatever goes wrong becomes an answer."""
        status, body = 200, None
        try:
            if not self.stages.authenticate(x):
                raise Refusal(self.rules.credentials_status if "authorization" in x.headers else 401)
            if len(x.raw) > BODY_LIMIT:
                raise Refusal(413)
            body = self.stages.operate(x)
        except Refusal as refusal:
            status, body = refusal.status, self.stages.refuse(x, refusal)
        except sqlite3.OperationalError:  # another process holds the write lock for too long
            status, body = 503, self.stages.refuse(x, Refusal(503))
        return self.stages.respond(x, status, body)


def create_app(
    *,
    database: Path,
    defects: Sequence[str] = (),
    variants: Sequence[str] = (),
    username: str | None = None,
    password: str | None = None,
    durable: bool = True,
    mutate: Mutate | None = None,
) -> Starlette:
    """Return the service over the SQLite file *database*, which is filled when it is new.

    Credentials come from the arguments, else from CONTRACT_USERNAME and CONTRACT_PASSWORD, else they are the
    demo ones. `app.state.server` is the `Server`; close its store when the app is no longer used.

    Raises:
        OSError: *database* can't be used.
        ValueError: a defect or variant is not known.
    """
    behaviours = [*pick("variant", variants, VARIANTS), *pick("defect", defects, DEFECTS)]
    first = {name: value for behaviour in behaviours for name, value in behaviour.first.items()}
    server = Server(
        store=Store(database, seed(first), durable=durable),
        username=username or os.environ.get("CONTRACT_USERNAME") or DEMO_USERNAME,
        password=password or os.environ.get("CONTRACT_PASSWORD") or DEMO_PASSWORD,
        mutate=mutate,
    ).with_behaviours(behaviours)

    def route(path: str, **operations: str) -> Route:
        async def endpoint(request: Request) -> Response:
            operation = operations["GET" if request.method == "HEAD" else request.method]
            number_id = request.path_params.get("number_id", "")
            raw = await _body(request)
            x = Exchange(
                server, operation, request.headers, request.query_params, raw, number_id, client=request.client
            )
            # On the event loop on purpose: a transaction is short, and SQLite has one writer anyhow.
            return server.answer(x)

        return Route(PREFIX + path, endpoint, methods=list(operations))

    app = Starlette(
        routes=[
            route("/phone_numbers", GET=LIST),
            route("/phone_numbers/{number_id}", GET=RETRIEVE, PUT=UPDATE),
        ],
        exception_handlers={HTTPException: _no_route, Exception: _broken},
    )
    app.router.redirect_slashes = False
    app.state.server = server
    return app


async def _body(request: Request) -> bytes:
    """Return the body, or its beginning where it is over the limit; nothing where the client left early."""
    kept = bytearray()
    try:
        async for chunk in request.stream():
            if len(kept) <= BODY_LIMIT:
                kept += chunk
    except ClientDisconnect:
        return b""  # Nobody waits for the answer, and no half of a body may be taken for a whole one.
    return bytes(kept)


async def _no_route(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    body = json.dumps({"error": HTTPStatus(error.status_code).phrase})
    return Response(body, error.status_code, error.headers, "application/json")


async def _broken(request: Request, error: Exception) -> Response:
    return Response('{"error":"Internal Server Error"}', 500, media_type="application/json")
