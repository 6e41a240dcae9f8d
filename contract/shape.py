"""Judges the shape of one record: which fields are there, of which type, with which values.

An answer that jsonschema-rs finds valid needs no closer look; one that it does not is taken field
by field, so that each thing that is wrong is told under its own rule.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cache, lru_cache, partial
from typing import Any, Final

import jsonschema_rs

from contract.document import FORMATS, escape
from contract.formats import CUSTOM, SIZES, UNDIALLED, calling_regions, instant, is_e164, matches
from contract.model import Finding, JSONObject
from contract.spec import Body, Field

__all__ = ["SLACK", "RecordShape", "said", "same", "wording"]

_TYPES: Final[Mapping[str, tuple[type, ...]]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
    "null": (type(None),),
}
NONE: Final = frozenset[str]()
SLACK: Final = timedelta(seconds=1)
"""Two times nearer than this are one: some answers show fractions, and some do not."""


def same(item: Field | None, a: Any, b: Any) -> bool:
    """True where two values of a field say the same: lists of enumerated values in any order, times
    in any notation, everything else to the letter. Members of an object that nobody documented say nothing.
    """
    if isinstance(a, str) and isinstance(b, str):
        return a == b or (item is not None and item.format == "date-time" and _near(instant(a), instant(b)))
    if isinstance(a, dict) and isinstance(b, dict):
        parts = item.parts if item is not None and item.schema.get("properties") else {}
        names = (a.keys() | b.keys()) & parts.keys() if parts else a.keys() | b.keys()
        return all(n in a and n in b and same(parts.get(n), a[n], b[n]) for n in names)
    if item is not None and item.item_enum and isinstance(a, list) and isinstance(b, list):
        return sorted(map(repr, a)) == sorted(map(repr, b))
    if isinstance(a, list) and isinstance(b, list):
        part = item.parts.get("items") if item is not None else None
        return len(a) == len(b) and all(same(part, one, other) for one, other in zip(a, b, strict=True))
    if (a == b and type(a) is type(b)) or (a != a and b != b):
        return True
    if isinstance(a, bool) or isinstance(b, bool):
        return False
    return isinstance(a, (int, float)) and isinstance(b, (int, float)) and a == b


def _near(one: datetime | None, two: datetime | None) -> bool:
    return one is not None and two is not None and abs(one - two) < SLACK


class RecordShape:
    """Judges the shape of one record, compiled once for one operation."""

    def __init__(self, operation: str, body: Body) -> None:
        self.operation = operation
        self.body = body
        self.fields = body.fields
        # What jsonschema-rs would have to ask Python about is asked here, where the answers are remembered.
        asked = CUSTOM if any(name in CUSTOM for f in body.fields.values() for name in _inner(f.schema)) else None
        self.validator = jsonschema_rs.Draft202012Validator(dict(body.schema), validate_formats=True, formats=asked)
        self.custom = [(name, CUSTOM[f.format]) for name, f in body.fields.items() if f.format in CUSTOM]
        self.sized = [(name, f.format) for name, f in body.fields.items() if f.format in SIZES]
        regions = ((name, f.schema.get("x-region-of"), f.format) for name, f in body.fields.items())
        self.regions = [(name, str(other), format) for name, other, format in regions if other is not None]
        self.always: list[str] = [f"{operation}.shape", f"{operation}.shape.body"]
        self.sometimes: list[tuple[str, list[str]]] = []
        for name, item in body.fields.items():
            mine: list[str] = []
            if item.required:
                self.always.append(f"{operation}.shape.{name}.present")
            if item.shaped:
                mine.append(f"{operation}.shape.{name}.type")
            if not item.nullable:
                mine.append(f"{operation}.shape.{name}.null")
            if item.listed:
                mine.append(f"{operation}.enum.{name}")
            if item.format in CUSTOM:
                mine.append(f"{operation}.e164.{name}")
            elif item.format:
                mine.append(f"{operation}.format.{name}")
            self.sometimes.append((name, mine))
        self._quick: dict[str, jsonschema_rs.Draft202012Validator | None] = {}
        self._evident = lru_cache(maxsize=256)(self._evidence)

    def evidence(self, record: JSONObject, wrong: Collection[str] = ()) -> Sequence[str]:
        """The rules for which *record* is evidence, but for those that it shows *wrong*."""
        nulls = tuple([name for name, value in record.items() if value is None])
        all_there = record.keys() >= self.fields.keys()
        found = self._evident(nulls, NONE if all_there else frozenset(self.fields.keys() - record.keys()))
        return [rule for rule in found if rule not in wrong] if wrong else found

    def _evidence(self, nulls: tuple[str, ...], absent: frozenset[str]) -> tuple[str, ...]:
        found = list(self.always)
        for name, mine in self.sometimes:
            if name not in absent:
                found += mine[:1] if name in nulls else mine
        return tuple(found)

    def findings(self, record: JSONObject, base: str) -> list[Finding]:
        """What is wrong with the shape of *record*, which stands at pointer *base* in the answer."""
        found: list[Finding] = []
        if not self._well(record):
            found = list(self._closely(record, base))
        for name, other, format in self.regions:
            if regions := _regions(record.get(name), record.get(other), format):
                message = f"{name} is not a region of the calling code of {other}"
                rule, at = f"{self.operation}.e164.{name}", f"{base}/{escape(name)}"
                some = f"one of {', '.join(regions[:6])}{', …' if len(regions) > 6 else ''}"
                found.append(Finding(rule=rule, message=message, pointer=at, expected=some, actual=record[name]))
        return found

    def _well(self, record: JSONObject) -> bool:
        """True where nothing is wrong with any field by itself, as far as a quick look tells."""
        for name, fits in self.custom:
            if isinstance(value := record.get(name), str) and not fits(value):
                return False
        for name, kind in self.sized:
            if not matches(kind, record.get(name)):
                return False
        return bool(self.validator.is_valid(record))

    def _closely(self, record: JSONObject, base: str) -> Iterator[Finding]:
        missing = [name for name, item in self.fields.items() if item.required and name not in record]
        if missing and len(missing) > len(self.fields) // 2:
            rule, actual = f"{self.operation}.shape.body", dict(list(record.items())[:4])
            message = f"the answer is not the bare record: {len(missing)} of its documented fields are missing"
            expected = "an object with " + ", ".join(missing[:4]) + ", …"
            yield Finding(rule=rule, message=message, pointer=base, expected=expected, actual=actual)
            return
        for name in missing:
            rule, at = f"{self.operation}.shape.{name}.present", f"{base}/{escape(name)}"
            message = f"{name} is missing from the answer"
            yield Finding(rule=rule, message=message, pointer=at, expected="present", actual="absent")
        for name, item in self.fields.items():
            if name in record:
                yield from self.field(item, record[name], f"{base}/{escape(name)}")

    def field(self, item: Field, value: Any, pointer: str) -> Iterator[Finding]:
        """What is wrong with one value: the first thing, because the rest follows from it."""

        def finding(facet: str, message: str, expected: Any) -> Finding:
            detail = f"shape.{item.name}.{facet}" if facet in {"type", "null"} else f"{facet}.{item.name}"
            rule = f"{self.operation}.{detail}"
            return Finding(rule=rule, message=message, pointer=pointer, expected=expected, actual=value)

        name = item.name
        kinds = item.types
        allowed = item.schema.get("enum")
        if value is None:
            if not item.nullable:
                yield finding("null", f"{name} is null", " or ".join(kinds))
            elif allowed is not None and None not in allowed:
                yield finding("enum", f"{name} is null", list(item.enum))
            elif not kinds and (error := self._detail(item, None)):
                yield finding("type", f"{name}: {error}", said(item.schema))
            return
        if kinds and not any(_is(value, kind) for kind in kinds):
            yield finding("type", f"{name} has the wrong type", " or ".join(kinds))
            return
        if allowed is not None and not any(
            v == value and isinstance(v, bool) is isinstance(value, bool) for v in allowed
        ):
            yield finding("enum", f"{name} holds a value that is not documented", list(item.enum))
            return
        if item.item_enum and isinstance(value, list):
            strange = [v for v in value if v not in item.item_enum]
            if strange:
                like = item.parts["items"].types or ("string",)
                wrong = "enum" if all(any(_is(v, kind) for kind in like) for v in strange) else "type"
                yield finding(
                    wrong, f"{name} holds an item that is not documented: {strange[0]!r}", list(item.item_enum)
                )
                return
        if item.format and not matches(item.format, value):
            facet = "e164" if item.format in CUSTOM else "format"
            yield finding(facet, f"{name} is not a well-formed {item.format}", item.format)
            return
        error = self._detail(item, value)
        if error:
            yield finding("type", f"{name}: {error}", said(item.schema))

    def _detail(self, item: Field, value: Any) -> str:
        """What jsonschema has against a value whose type, enum and format are right."""
        schema = dict(item.schema)
        if item.name not in self._quick:
            slow = not SIZES.keys().isdisjoint(_inner(schema))
            made = None if slow else jsonschema_rs.Draft202012Validator(schema, validate_formats=True, formats=CUSTOM)
            self._quick[item.name] = made
        quick = self._quick[item.name]
        if quick is not None and quick.is_valid(value):
            return ""
        error = next(iter(wording()(schema, format_checker=_checker()).iter_errors(value)), None)
        return str(error.message)[:200] if error is not None else ""


def said(schema: Any) -> Any:
    """What *schema* says about values, without what is written for people."""
    if isinstance(schema, list):
        return [said(part) for part in schema]
    if not isinstance(schema, Mapping):
        return schema
    notes = {"description", "title", "examples", "default", "readOnly", "writeOnly", "deprecated"}
    found = {k: said(v) for k, v in schema.items() if k not in notes and not k.startswith("x-")}
    if "properties" in schema:
        found["properties"] = {name: said(part) for name, part in schema["properties"].items()}
    return found


def _regions(code: Any, number: Any, format: str) -> tuple[str, ...]:
    """The regions that share the calling code of *number*, where *code* is well-formed and none of them."""
    return _others(code, number, format) if isinstance(code, str) and isinstance(number, str) else ()


@lru_cache(maxsize=256)
def _others(code: str, number: str, format: str) -> tuple[str, ...]:
    if not (is_e164(number) and matches(format, code)):
        return ()
    regions = calling_regions(number) or ("001",)
    return () if "001" in regions or code in {*regions, *UNDIALLED} else regions


def _is(value: Any, kind: str) -> bool:
    """True where *value* has the JSON type *kind*; 1.0 is an integer, true is no number."""
    if isinstance(value, bool):
        return kind == "boolean"
    if kind == "integer" and isinstance(value, float):
        return value.is_integer()
    return isinstance(value, _TYPES.get(kind, ()))


def _inner(schema: Any) -> Iterator[str]:
    """The formats of what stands inside of a value of *schema*."""
    parts = list(schema.values()) if isinstance(schema, Mapping) else schema if isinstance(schema, list) else ()
    for part in parts:
        if isinstance(part, Mapping) and isinstance(part.get("format"), str):
            yield part["format"]
        yield from _inner(part)


@cache
def wording() -> Any:
    """The validator of jsonschema, which is asked for its words only: it is slow to import. Patterns are left to
    jsonschema-rs, which takes no time that grows out of bounds with the text.
    """
    from jsonschema import Draft202012Validator, ValidationError
    from jsonschema.validators import extend

    def pattern(_: Any, wanted: str, value: Any, __: Any) -> Iterator[ValidationError]:
        if isinstance(value, str) and not jsonschema_rs.Draft202012Validator({"pattern": wanted}).is_valid(value):
            yield ValidationError(f"{value!r} does not match {wanted!r}")

    return extend(Draft202012Validator, {"pattern": pattern})  # type: ignore[no-untyped-call] # without types


@cache
def _checker() -> Any:
    """jsonschema's view of the formats, which is that of this tool."""
    from jsonschema import FormatChecker

    checker = FormatChecker(formats=())
    for name in FORMATS:
        checker.checks(name)(partial(matches, name))
    return checker
