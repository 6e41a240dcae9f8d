"""Judges the formats that a field can have.

Ids, dates and times are left to jsonschema-rs, so that the quick look at a whole answer and the
close look at one field can never disagree; what telephone numbers need is here.

Source: ITU-T E.164 (11/2010), section 6; ISO 3166-1; RFC 3339, section 5.6; RFC 9562, section 4.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import cache, lru_cache
from html import escape
from typing import Any, Final

__all__ = [
    "CUSTOM",
    "SIZES",
    "UNDIALLED",
    "anchor",
    "calling_regions",
    "canonical",
    "escapes",
    "instant",
    "is_e164",
    "is_region",
    "matches",
]

_E164: Final = re.compile(r"\+[1-9][0-9]{1,14}")


@cache
def _regions() -> tuple[Mapping[int, tuple[str, ...]], frozenset[str]]:
    """Calling code -> regions, and every region, as assigned today."""
    from phonenumbers import COUNTRY_CODE_TO_REGION_CODE

    table: Mapping[int, tuple[str, ...]] = COUNTRY_CODE_TO_REGION_CODE
    return table, frozenset(region for regions in table.values() for region in regions if region.isalpha())


@lru_cache(maxsize=4096)
def calling_regions(number: str) -> tuple[str, ...] | None:
    """The regions of the calling code of an E.164 *number*; nothing where the code is not assigned.

    Shape:
        ISO 3166-1 alpha-2 codes; ``("001",)`` for a code that belongs to no country.
    """
    codes = (int(number[1 : 1 + size] or 0) for size in (1, 2, 3))
    return next((found for code in codes if (found := _regions()[0].get(code))), None)


def canonical(id: str) -> str:
    """*id*, in the usual spelling where it is a UUID: these mean the same in capitals."""
    try:
        return str(uuid.UUID(id))
    except ValueError:
        return id


@lru_cache(maxsize=4096)
def is_e164(value: str) -> bool:
    """True for ``+`` and 2 to 15 ASCII digits, the first 1-9, that begin with an assigned calling code."""
    return _E164.fullmatch(value) is not None and calling_regions(value) is not None


UNDIALLED: Final = frozenset({"AQ", "BV", "GS", "HM", "PN", "TF", "UM"})
"""Assigned ISO 3166-1 alpha-2 codes of places that share the calling code of another one."""


def is_region(value: str) -> bool:
    """True for an assigned ISO 3166-1 alpha-2 code, and for XK, AC and TA, which have calling codes all the same."""
    return value in _regions()[1] or value in UNDIALLED


CUSTOM: Final[dict[str, Callable[[str], bool]]] = {"e164": is_e164, "iso-3166-1-alpha-2": is_region}
"""The formats of strings that jsonschema-rs does not know."""
SIZES: Final[Mapping[str, int]] = {"int32": 2**31, "int64": 2**63}
"""The formats of numbers, each with the first number that is too large."""


@cache
def _validator(name: str) -> Any:
    import jsonschema_rs

    return jsonschema_rs.Draft202012Validator({"format": name}, validate_formats=True, formats=CUSTOM)


def matches(name: str, value: Any) -> bool:
    """True where *value* is nothing that the format *name* is about, or has that format."""
    if name in SIZES:
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        return not number or -SIZES[name] <= value < SIZES[name]
    if name in CUSTOM:
        return not isinstance(value, str) or CUSTOM[name](value)
    return bool(_validator(name).is_valid(value))


@lru_cache(maxsize=4096)
def _instant(value: str) -> datetime | None:
    if not matches("date-time", value):
        return None
    try:
        # A leap second has no datetime of its own: the second before it is near enough to compare.
        return datetime.fromisoformat(value.upper().replace(":60", ":59")).astimezone(UTC)
    except (ValueError, OverflowError):  # The year 0, and what is in UTC before the first or after the last.
        return None


def instant(value: Any) -> datetime | None:
    """The moment that an RFC 3339 date-time names, in UTC; nothing where it names none."""
    return _instant(value) if isinstance(value, str) else None


DEEP: Final = 8
"""The most strokes before an escaped character: a text of strokes alone must not take long to look through."""


@cache
def anchor(text: str) -> str:
    """The longest part of *text* that stands as it is however *text* is escaped; see `escapes`."""
    return max(re.findall("[A-Za-z0-9]+", text), key=len, default="")


@cache
def escapes(text: str) -> re.Pattern[str]:
    """Matches *text* as it is, and as JSON, URLs and HTML escape it, in small letters or capitals, JSON in JSON too.

    Source: RFC 8259, section 7; RFC 3986, section 2.1; HTML 13.5, named character references.
    """
    return re.compile("".join(map(_escapes, text)))


def _escapes(char: str) -> str:
    """A pattern for one character and its escapes."""
    if char.isascii() and char.isalnum():
        return char
    units = char.encode("utf-16-be", "surrogatepass")
    pairs = [units[i : i + 2].hex() for i in range(0, len(units), 2)]
    ways = [
        rf"\\{{,{DEEP}}}{re.escape(char)}",
        "".join(rf"\\{{1,{DEEP}}}u(?i:{pair})" for pair in pairs),
        "".join(f"%(?i:{byte:02x})" for byte in char.encode("utf-8", "surrogatepass")),
        f"&#(?:0*{ord(char)}|(?i:x0*{ord(char):x}));",
    ]
    ways += [rf"\\{{1,{DEEP}}}{short}" for control, short in zip("\b\f\n\r\t", "bfnrt", strict=True) if char == control]
    ways += [re.escape(escape(char))] if escape(char) != char else []
    ways += [r"\+"] if char == " " else []
    return f"(?:{'|'.join(ways)})"
