"""Tells how two values differ, line by line, for reports that show it."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from contract.model import MISSING

__all__ = ["Change", "Segment", "cut", "difference", "pretty"]

MOST_CHARACTERS: Final = 4000
"""Characters of one value that are shown; ``run.json`` holds the rest."""
MOST_LINES: Final = 120


@dataclass(frozen=True, slots=True)
class Segment:
    """A piece of a line of a difference."""

    text: str
    changed: bool = False


@dataclass(frozen=True, slots=True)
class Change:
    """One line of a difference: ``expected`` only, ``actual`` only, or ``both``."""

    side: str
    segments: tuple[Segment, ...]


def difference(expected: Any, actual: Any) -> Iterator[Change]:
    """Two values line by line; where each is one line, the part that differs is marked."""
    old, new = (cut(_json(value)).split("\n")[:MOST_LINES] for value in (expected, actual))
    if len(old) == len(new) == 1:
        (before, after), (was, now) = _around(old[0], new[0]), (old[0], new[0])
        if before + after < min(len(was), len(now)) / 2:
            before = after = 0  # Two values that have little in common: the whole differs.
        for side, line in (("expected", was), ("actual", now)):
            end = len(line) - after
            parts = (Segment(line[:before]), Segment(line[before:end], True), Segment(line[end:]))
            yield Change(side, tuple(part for part in parts if part.text))
        return
    for line in difflib.ndiff(old, new):
        if line[0] != "?":
            side = {"-": "expected", "+": "actual"}.get(line[0], "both")
            yield Change(side, (Segment(line[2:]),))


def _around(old: str, new: str) -> tuple[int, int]:
    """How many characters two lines share at their beginning and at their end."""
    most = min(len(old), len(new))
    before = next((i for i in range(most) if old[i] != new[i]), most)
    after = next((i for i in range(most - before) if old[-1 - i] != new[-1 - i]), most - before)
    return before, after


def pretty(value: Any) -> str:
    """*value* as JSON over several lines, or as the text that it is."""
    return cut(value if isinstance(value, str) else _json(value))


def _json(value: Any) -> str:
    return "(absent)" if value is MISSING else json.dumps(value, ensure_ascii=False, indent=2, default=str)


def cut(text: str) -> str:
    """*text*, ended early where it is long."""
    if len(text) > MOST_CHARACTERS:
        text = f"{text[:MOST_CHARACTERS]}\n… ({len(text)} characters; run.json holds them)"
    lines = text.split("\n")
    if len(lines) > MOST_LINES:
        lines = [*lines[:MOST_LINES], f"… ({len(lines)} lines; run.json holds them)"]
    return "\n".join(lines)
