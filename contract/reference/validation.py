"""Judge a body: what the platform would answer 422 to, in the words that it uses."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import urlsplit

from contract.reference.fields import IDS, READ_ONLY, REQUEST, URLS, Record, Rules, humanise

__all__ = ["normalise", "problems"]

UUID: Final = re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
UNPRINTED: Final = re.compile(r"[\s\x00-\x1f]")


def normalise(rules: Rules, body: Record) -> Record:
    """Return a copy of *body* as the rules read it: nulls dropped, numbers and case converted."""
    read: Record = {}
    for name, value in body.items():
        if name in REQUEST:
            if value is None and rules.null == "ignored":
                continue
            if rules.numbers == "text" and isinstance(value, int | float) and not isinstance(value, bool):
                value = str(value)
            if rules.upper_case_enums and name in rules.enums and isinstance(value, str):
                value = {known.lower(): known for known in rules.enums[name]}.get(value.lower(), value)
        read[name] = value
    return read


def problems(rules: Rules, body: Record, record: Record, exists: Callable[[str, str], bool]) -> list[str]:
    """Return one Rails-like sentence per thing that is wrong with *body* as an update of *record*.

    *exists* answers whether a resource of the project has that id: ``exists(field, id)``.
    An empty list means that the write goes ahead.
    """
    found: list[str] = []
    if not body and rules.empty_body == "refused":
        found.append("Request body can't be blank")
    for name, value in body.items():
        if name in REQUEST:
            found += [f"{humanise(name)} {wrong}" for wrong in _value(rules, name, value, exists)]
        elif name in READ_ONLY and rules.read_only_keys == "refused":
            found.append(f"{humanise(name)} is read only")
        elif name not in READ_ONLY and rules.unknown_keys == "refused":
            found.append(f"{humanise(name)} is not a known attribute")
    return found + _companions(rules, body, record)


def _value(rules: Rules, name: str, value: Any, exists: Callable[[str, str], bool]) -> list[str]:
    if value is None:
        return ["can't be null"] if rules.null == "refused" or name in rules.not_null else []
    if name in rules.enums:
        return [] if isinstance(value, str) and value in rules.enums[name] else ["is not valid"]
    if not isinstance(value, str):
        return ["must be a string"]
    if name == "name" and len(value) > rules.name_length:
        return [f"is too long (maximum is {rules.name_length} characters)"]
    if name == "call_video_room_id" and value and not UUID.fullmatch(value):
        return ["must be a UUID"]
    if name in IDS and not (value == "" and rules.blank_ids):
        return [] if (value and not rules.ids_must_exist) or exists(name, value) else ["must exist"]
    if value == "":
        return ["can't be blank"] if rules.blank == "refused" else []
    return _url(rules, value) if name in URLS else []


def _url(rules: Rules, value: str) -> list[str]:
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError:
        return ["is not a valid URL"]
    if parts.scheme not in rules.schemes or not parts.hostname or UNPRINTED.search(value):
        return ["is not a valid URL"]
    if port is not None and not rules.ports:
        return ["must not have a port"]
    if not parts.netloc.isascii() and not rules.idn:
        return ["is not a valid URL"]
    return []


def _companions(rules: Rules, body: Record, record: Record) -> list[str]:
    found = []
    for selector, table in rules.requires.items():
        active = body.get(selector, record[selector])
        if not isinstance(active, str) or active not in table:
            continue
        for name in (table[active], *rules.also_requires.get(selector, {}).get(active, ())):
            sent, switched = name in body, selector in body
            value = body.get(name, record[name])
            blank = value == "" and (sent or (switched and not rules.blank_counts))
            if blank or (value is None and sent and switched):
                found.append(f"{humanise(name)} must be set")
            elif switched and not sent and (value is None or rules.companions_in_body):
                found.append(f"{humanise(name)} can't be blank")
    return found
