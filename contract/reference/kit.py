"""The few kinds of behaviour that most defects and variants are made of, and the table of the defects."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from starlette.responses import Response

from contract.reference.behaviour import Behaviour, Defect, Hook
from contract.reference.exchange import LIST, RETRIEVE, UPDATE, Exchange, Refusal
from contract.reference.fields import Record

__all__ = [
    "Row",
    "counted",
    "entries",
    "error_body",
    "failing",
    "held",
    "hook",
    "refusing",
    "rules",
    "shown",
    "shown_as",
    "stored",
    "table",
    "text",
    "whole",
    "wire",
]

Row = tuple[str, str, str, Behaviour]
"""Name, summary, the rules it breaks (patterns between blanks; U, R and L are the operations), behaviour."""

EVERY = (UPDATE, RETRIEVE, LIST)


def table(*rows: Row) -> tuple[Defect, ...]:
    """Return the defects of *rows*."""
    short = {"U": UPDATE, "R": RETRIEVE, "L": LIST}
    found = []
    for name, summary, breaks, behaviour in rows:
        parts = (pattern.partition(".") for pattern in breaks.split())
        patterns = tuple(f"{short.get(head, head)}{dot}{rest}" for head, dot, rest in parts)
        found.append(Defect(name, summary, patterns, behaviour))
    return tuple(found)


def hook(**hooks: Hook) -> Behaviour:
    """Stand around the named stages."""
    return Behaviour(hooks=hooks)


def rules(**switches: Any) -> Behaviour:
    """Replace switches of `Rules`."""
    return Behaviour(rules=switches)


def counted(x: Exchange, name: str) -> int:
    """Return how often this was called for *name*, this time included."""
    count: int = x.server.memory.get(name, 0) + 1
    x.server.memory[name] = count
    return count


def whole(operation: str, convert: Callable[[Exchange, Any], Any]) -> Behaviour:
    """Convert the whole body of the operation's 200."""

    def operate(inner: Hook, x: Exchange) -> Any:
        body = inner(x)
        return convert(x, body) if x.operation == operation else body

    return hook(operate=operate)


def shown(change: Callable[[Record], object], *operations: str) -> Behaviour:
    """Change what answers of *operations* (default: all three) show; what is stored stays right."""

    def render(inner: Hook, x: Exchange, record: Record) -> Any:
        view = inner(x, record)
        if x.operation in (operations or EVERY):
            change(view)
        return view

    return hook(render=render)


def shown_as(name: str, convert: Callable[[Any], Any], *operations: str) -> Behaviour:
    """Show the field *name* converted where it is not null."""

    def change(view: Record) -> None:
        if view[name] is not None:
            view[name] = convert(view[name])

    return shown(change, *operations)


def stored(change: Callable[[Record, Record, Record], object]) -> Behaviour:
    """Change what a write leaves behind: ``change(body, before, after)`` edits *after*."""

    def merge(inner: Hook, x: Exchange, body: Record, before: Record) -> Record:
        after: Record = inner(x, body, before)
        change(body, before, after)
        return after

    return hook(merge=merge)


def held(change: Callable[[Record, Record, Record], object]) -> Behaviour:
    """Change what a write leaves in the store, ``change(body, before, after)``; its answer stays right."""

    def persist(inner: Hook, x: Exchange, before: Record, after: Record) -> Record:
        shown: Record = inner(x, before, after)
        left = dict(shown)
        change(x.body, before, left)
        if left != shown:
            x.server.store.put(before["id"], left)
        return shown

    return hook(persist=persist)


def text(convert: Callable[[str], str | None], *names: str) -> Behaviour:
    """Convert the strings that are sent for *names* before they are stored."""

    def change(body: Record, before: Record, after: Record) -> None:
        for name in names:
            if isinstance(after[name], str) and after[name] == body.get(name):
                after[name] = convert(after[name])

    return stored(change)


def refusing(when: Callable[[Record, Record], object], detail: str, status: int = 422) -> Behaviour:
    """Refuse a body that is right: ``when(body, before)``."""

    def validate(inner: Hook, x: Exchange, body: Record, before: Record) -> list[str]:
        if when(body, before):
            raise Refusal(status, [detail])
        found: list[str] = inner(x, body, before)
        return found

    return hook(validate=validate)


def failing(when: Callable[[Record, Record], object]) -> Behaviour:
    """Answer 500 to a body: ``when(body, before)``."""
    return refusing(when, "", 500)


def error_body(convert: Callable[[Any], Any], *statuses: int) -> Behaviour:
    """Convert the body of refusals with these statuses."""

    def refuse(inner: Hook, x: Exchange, refusal: Refusal) -> Any:
        body = inner(x, refusal)
        return convert(body) if refusal.status in statuses else body

    return hook(refuse=refuse)


def entries(convert: Callable[[Record], Any]) -> Behaviour:
    """Convert each entry of a 422."""
    return error_body(lambda body: {"errors": [convert(entry) for entry in body["errors"]]}, 422)


def wire(change: Callable[[Response], object], *operations: str, statuses: tuple[int, ...] = (200,)) -> Behaviour:
    """Change the encoded answer; the content-length follows the body."""

    def respond(inner: Hook, x: Exchange, status: int, body: Any) -> Response:
        response: Response = inner(x, status, body)
        if status in statuses and x.operation in (operations or EVERY):
            change(response)
            response.headers["content-length"] = str(len(bytes(response.body)))
        return response

    return hook(respond=respond)
