"""The list of numbers: filters, pages and the links between them."""

from __future__ import annotations

import base64
import binascii
from typing import Any
from urllib.parse import urlencode

from contract.reference.exchange import Exchange, Refusal

__all__ = ["listing"]

LARGEST_PAGE = 1000


def listing(x: Exchange) -> Any:
    """Return one page, newest first: ``{"links": {"self", "first", "next"?, "prev"?}, "data": [...]}``.

    Query: filter_name and filter_number (substrings), page_number (from 0), page_size (1 to 1000, default
    50), page_token (needed from page 1 on; it stands in the links and pins the newest number of page 0).
    """
    number, size = _whole(x, "page_number", 0, 0), _whole(x, "page_size", 50, 1)
    name, digits = x.query.get("filter_name", ""), x.query.get("filter_number", "").strip()
    rows = [
        (position, record)
        for position, record in x.server.store.newest_first()
        if name in (record["name"] or "") and digits in record["number"]
    ]
    newest = _opened(x, number)
    if newest is None:
        newest = rows[0][0] if rows else 0
    records = [record for position, record in rows if position <= newest]
    page = records[number * size : (number + 1) * size]
    filters = {key: x.query[key] for key in ("filter_name", "filter_number") if key in x.query}

    def link(page_number: int) -> str:
        token = {"page_token": _token(newest)} if page_number else {}
        query = urlencode({**filters, "page_number": page_number, "page_size": size, **token})
        return f"/api/relay/rest/phone_numbers?{query}"

    links = {"self": link(number), "first": link(0)}
    if (number + 1) * size < len(records):
        links["next"] = link(number + 1)
    if number:
        links["prev"] = link(number - 1)
    return {"links": links, "data": [x.stages.render(x, record) for record in page]}


def _whole(x: Exchange, key: str, default: int, least: int) -> int:
    text = x.query.get(key, str(default))
    if not (text.isascii() and text.isdigit() and len(text) < 10 and int(text) >= least):
        raise Refusal(400, code=f"{key}_is_invalid")
    return min(int(text), LARGEST_PAGE) if key == "page_size" else int(text)


def _token(newest: int) -> str:
    return "PA" + base64.urlsafe_b64encode(f"newest {newest}".encode()).decode().rstrip("=")


def _opened(x: Exchange, page_number: int) -> int | None:
    token = x.query.get("page_token", "")
    if not token:
        if page_number:
            raise Refusal(400, code="page_token_required")
        return None
    try:
        word, _, newest = base64.urlsafe_b64decode(token.removeprefix("PA") + "==").decode().partition(" ")
        if word == "newest" and _token(int(newest)) == token:
            return int(newest)
    except (ValueError, binascii.Error):
        pass
    raise Refusal(400, code="page_token_is_invalid")
