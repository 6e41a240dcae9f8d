"""What this tool raises when it cannot do its work.

* ContractError
  x SpecError              the fragment cannot be used
    + UnsupportedKeyword   a key that this tool does not read
    + PointerToNowhere     a $ref that leads nowhere, outside the file, or in a circle
  x ConfigError            a setting has no usable value; says which layer set it
  x SendError              no answer came back
  x CustodyError           the record cannot be held, or could not be put back
  x Undecided              the run cannot tell, and says why

A failure of the API under test is never an exception: it is a `Finding`.
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "ConfigError",
    "ContractError",
    "CustodyError",
    "PointerToNowhere",
    "SendError",
    "SpecError",
    "Undecided",
    "UnsupportedKeyword",
    "nearest",
]


def nearest(word: str, known: Iterable[str], alike: float = 0.6) -> str:
    """A hint that names the known word nearest to *word*: ``" Did you mean 'x'?"``, or nothing.

    *alike* says how alike they must be at least, 1 being the same.
    """
    close = get_close_matches(word, list(known), n=1, cutoff=alike)
    return f" Did you mean {close[0]!r}?" if close else ""


class ContractError(Exception):
    """Anything that keeps this tool from giving an answer."""


class SpecError(ContractError):
    """The fragment cannot be used; ``pointer`` (RFC 6901, with ``#``) and ``line`` (from 1) say where."""

    def __init__(self, problem: str, *, pointer: str = "#", line: int | None = None, file: str = "") -> None:
        super().__init__(problem)
        self.problem = problem
        self.pointer = pointer
        self.line = line
        self.file = file

    def __str__(self) -> str:
        place = ", ".join(
            part for part in (self.file, f"line {self.line}" if self.line else "", f"at {self.pointer}") if part
        )
        return f"{self.problem} ({place})"


class UnsupportedKeyword(SpecError):
    """The fragment uses a key that this tool does not read, so it would be ignored in silence."""


class PointerToNowhere(SpecError):
    """A ``$ref`` that leads nowhere, outside the file, or back to itself."""


class ConfigError(ContractError):
    """A setting has no usable value; ``layer`` says who set it."""

    def __init__(self, problem: str, *, layer: str = "") -> None:
        super().__init__(problem)
        self.problem = problem
        self.layer = layer

    def __str__(self) -> str:
        return f"{self.problem} (set by {self.layer})" if self.layer else self.problem


class SendError(ContractError):
    """No usable answer came back: connection refused, reset, too slow, too large."""

    def __init__(self, problem: str, *, kind: str = "connection") -> None:
        super().__init__(problem)
        self.kind = kind


class CustodyError(ContractError):
    """The record cannot be held safely, or could not be put back as it was."""


class Undecided(ContractError):
    """The run ends without an answer: a budget is spent, or someone else writes to the record."""
