"""Reads a fragment's text into plain data, knowing the line of every value.

A fragment is someone else's file: it is read as data (no tags, anchors or dates of YAML), it can
refer to nothing but itself, and a key that this tool does not read is an error, because a rule
that is skipped in silence is worse than one that is refused.

Source: OpenAPI 3.1.1, sections 4.8 (objects and their fixed fields); JSON Schema 2020-12.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote

import jsonschema_rs
import yaml

from contract.errors import PointerToNowhere, SpecError, UnsupportedKeyword, nearest

__all__ = ["FORMATS", "METHODS", "Document", "escape", "plain", "read", "read_file", "refuse_unknown_keys"]

MAX_BYTES: Final = 5_000_000
MAX_DEPTH: Final = 60

FORMATS: Final = frozenset(
    {"uuid", "date-time", "date", "e164", "iso-3166-1-alpha-2", "uri", "email", "password", "int32", "int64"}
)
"""The formats that are judged and generated."""

_FACT: Final = frozenset({"x-basis", "x-source"})
_DOCS: Final = frozenset({"title", "description", "summary", "examples", "example"})
METHODS: Final = ("get", "put", "post", "patch", "delete", "head", "options")

KEYS: Final[Mapping[str, frozenset[str]]] = {
    "root": frozenset(
        {"openapi", "info", "servers", "security", "tags", "paths", "components", "externalDocs", "x-sources"}
    )
    | {"jsonSchemaDialect"},
    "path": frozenset({*METHODS, "parameters", "summary", "description"}),
    "operation": _FACT
    | _DOCS
    | {"operationId", "tags", "parameters", "requestBody", "responses", "security", "deprecated"}
    | {"externalDocs", "x-unsent"},
    "parameter": _FACT | _DOCS | {"name", "in", "required", "schema", "style", "explode", "deprecated", "$ref"},
    "requestBody": _FACT | _DOCS | {"required", "content", "$ref"},
    "response": _FACT | _DOCS | {"content", "headers", "links", "$ref"},
    "media": _DOCS | {"schema", "encoding"},
    "link": _FACT | _DOCS | {"operationId", "parameters", "x-reads-back"},
    "schema": _FACT
    | _DOCS
    | {"type", "enum", "const", "properties", "required", "items", "format", "pattern", "$ref"}
    | {"minLength", "maxLength", "minItems", "maxItems", "uniqueItems", "minimum", "maximum"}
    | {"exclusiveMinimum", "exclusiveMaximum", "multipleOf", "default", "deprecated", "readOnly", "writeOnly"}
    | {"oneOf", "anyOf", "allOf", "additionalProperties"}
    | {"x-facets", "x-selector", "x-open-values", "x-resource", "x-aliases", "x-among"}
    | {"x-changes", "x-not-before", "x-region-of"},
}
"""What may stand in each kind of object; everything else is refused."""


_INDEX: Final = re.compile(r"0|[1-9][0-9]{0,8}")


def escape(part: object) -> str:
    """One reference token of a JSON Pointer (RFC 6901, section 3)."""
    return str(part).replace("~", "~0").replace("/", "~1")


@dataclass(frozen=True, slots=True)
class Document:
    """A fragment as plain data."""

    data: Mapping[str, Any]
    lines: Mapping[str, int]
    """Pointer (``#/paths/...``) -> line, counted from 1."""
    file: str

    def error(self, problem: str, pointer: str, kind: type[SpecError] = SpecError) -> SpecError:
        """An error that says where in the file *pointer* stands."""
        place = pointer
        while place and place not in self.lines:
            place = place.rpartition("/")[0]
        return kind(problem, pointer=pointer, line=self.lines.get(place), file=self.file)

    def at(self, pointer: str) -> Any:
        """The value at *pointer*.

        Raises:
            PointerToNowhere: there is none.
        """
        value: Any = self.data
        for token in pointer.removeprefix("#").split("/")[1:]:
            key = token.replace("~1", "/").replace("~0", "~")
            try:
                if isinstance(value, list) and not _INDEX.fullmatch(key):
                    raise IndexError(key)
                value = value[int(key)] if isinstance(value, list) else value[key]
            except (KeyError, IndexError, TypeError):
                raise self.error(f"nothing stands at {pointer!r}", pointer, PointerToNowhere) from None
        return value

    def follow(self, value: Any, pointer: str) -> tuple[Any, str]:
        """*value* and its pointer, after any ``$ref`` in it.

        Raises:
            PointerToNowhere: the reference leads nowhere, outside the file, or in a circle.
        """
        seen: list[str] = []
        while isinstance(value, Mapping) and "$ref" in value:
            ref = value["$ref"]
            where = f"{pointer}/$ref"
            if not isinstance(ref, str) or not (ref == "#" or ref.startswith("#/")):
                problem = f"$ref {ref!r} leaves this file; only references that begin with '#/' are followed"
                raise self.error(problem, where, PointerToNowhere)
            if ref in seen:
                raise self.error(f"$ref {ref!r} leads back to itself", where, PointerToNowhere)
            seen.append(ref)
            try:
                value, pointer = self.at(unquote(ref)), unquote(ref)
            except PointerToNowhere:
                raise self.error(f"$ref {ref!r} leads nowhere", where, PointerToNowhere) from None
            if not isinstance(value, Mapping):
                raise self.error(f"$ref {ref!r} leads to no object", where, PointerToNowhere)
        return value, pointer

    def expand(self, value: Any, pointer: str, above: tuple[str, ...] = ()) -> Any:
        """*value* with every ``$ref`` in it replaced by what it refers to.

        Raises:
            PointerToNowhere: a reference leads nowhere or contains itself.
        """
        if isinstance(value, list):
            return [self.expand(item, f"{pointer}/{i}", above) for i, item in enumerate(value)]
        if not isinstance(value, Mapping):
            return value
        if "$ref" in value:
            target, place = self.follow(value, pointer)
            if place in above:
                problem = f"$ref {value['$ref']!r} contains itself; write the schema out to a fixed depth"
                raise self.error(problem, f"{pointer}/$ref", PointerToNowhere)
            merged = self.expand(target, place, (*above, place))
            siblings = {k: self.expand(v, f"{pointer}/{k}", above) for k, v in value.items() if k != "$ref"}
            return {**merged, **siblings}
        return {k: self.expand(v, f"{pointer}/{escape(k)}", above) for k, v in value.items()}


def plain(schema: Mapping[str, Any]) -> dict[str, Any]:
    """*schema*, expanded, which allows the same values and says so in the words that are read here: generators of documents
    wrap one schema in ``allOf``, say null by an ``anyOf``, one value by ``const``, and write whole bounds as 10.0. What
    means more stays as it is.
    """
    made = dict(schema)
    made |= {
        word: plain(made[word]) for word in ("items", "additionalProperties") if isinstance(made.get(word), Mapping)
    }
    if "properties" in made:
        made["properties"] = {name: plain(part) for name, part in made["properties"].items()}
    for word in _BOUNDS & made.keys():
        if isinstance(made[word], float) and made[word].is_integer():
            made[word] = int(made[word])  # A whole number that is sent is to look like one.
    if "const" in made and "enum" not in made and not isinstance(made["const"], list | Mapping):
        made["enum"] = [made.pop("const")]
    for word in ("anyOf", "oneOf", "allOf"):
        if word not in made:
            continue
        parts = [plain(part) for part in made[word]]
        some = [part for part in parts if word == "allOf" or part.get("type") != "null"]
        if len(some) < len(parts) and len(some) == 1 and "type" in some[0]:
            kinds = some[0]["type"]
            some[0]["type"] = [*dict.fromkeys([*([kinds] if isinstance(kinds, str) else kinds), "null"])]
            some[0] |= {"enum": [*dict.fromkeys([*some[0]["enum"], None])]} if "enum" in some[0] else {}
            parts = some
        rest = {key: value for key, value in made.items() if key != word}
        if parts and (word == "allOf" or len(parts) == 1) and (joined := _joined([*parts, rest])) is not None:
            made = joined
    return made


def _joined(parts: list[dict[str, Any]]) -> dict[str, Any] | None:
    """One schema that says what each of *parts* does; None where two of them speak of the same thing."""
    made: dict[str, Any] = {}
    if sum(bool(part.keys() - _SAID) for part in parts) > 1 and any("additionalProperties" in part for part in parts):
        return None  # It is about the properties of its own part alone.
    for part in parts:
        for key, value in part.items():
            if key not in made or made[key] == value or key in _SAID:
                made[key] = value
            elif key == "required":
                made[key] = [*dict.fromkeys([*made[key], *value])]
            elif key == "properties" and all(
                value[name] == made[key][name] for name in value.keys() & made[key].keys()
            ):
                made[key] = {**made[key], **value}
            else:
                return None
    return made


_BOUNDS: Final = frozenset({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"})
_SAID: Final = _FACT | _DOCS | {"default", "deprecated"}
"""What stands beside a schema in ``allOf`` and says nothing of its values; the outer one counts."""
_PAIR: Final = re.compile(r"(?<!\\)((?:\\\\)*)(\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})")
"""A character beyond the first 65,536, escaped as a surrogate pair (RFC 8259, section 7)."""


def read(text: str, file: str = "") -> Document:
    """The fragment in *text* (YAML or JSON).

    Raises:
        SpecError: it cannot be read, repeats a key, or uses an anchor or a tag.
    """
    if len(text) > MAX_BYTES:
        raise SpecError(f"the file is larger than {MAX_BYTES:,} characters", file=file)
    builder = _Builder(file)
    if text.lstrip().startswith("{"):
        text = _PAIR.sub(lambda found: found[1] + json.loads(f'"{found[2]}"'), text)  # JSON has them, YAML has not.
    try:
        builder.events = yaml.parse(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        data = builder.document()
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else None
        raise SpecError(f"this is not YAML or JSON: {error.problem}", line=line, file=file) from error
    except (yaml.YAMLError, UnicodeError) as error:
        raise SpecError(f"this is not YAML or JSON: {error}", file=file) from error
    if not isinstance(data, dict):
        raise SpecError("the file holds no object", line=1, file=file)
    return Document(data, builder.lines, file)


def read_file(path: Path) -> Document:
    """The fragment in the file *path*.

    Raises:
        SpecError: it cannot be read.
    """
    try:
        return read(path.read_text(encoding="utf-8"), str(path))
    except OSError as error:
        raise SpecError(f"the file cannot be read: {error.strerror}", file=str(path)) from error
    except UnicodeDecodeError as error:
        raise SpecError("the file is not UTF-8", file=str(path)) from error


class _Builder:
    """Builds plain data out of the events of a YAML parser, so that depth costs nothing before it is refused."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.events: Iterator[Any] = iter(())
        self.lines: dict[str, int] = {}

    def document(self) -> Any:
        """The one document of the file."""
        next(self.events)
        if isinstance(next(self.events), yaml.StreamEndEvent):
            raise SpecError("the file is empty", file=self.file)
        data = self.value(next(self.events), "#", 0)
        next(self.events)
        if not isinstance(after := next(self.events), yaml.StreamEndEvent):
            raise SpecError("the file holds a second document", line=after.start_mark.line + 1, file=self.file)
        return data

    def value(self, event: Any, pointer: str, depth: int) -> Any:
        """The value that begins with *event*, as JSON would have it: string keys, no dates, no anchors."""
        line = event.start_mark.line + 1

        def error(problem: str, place: str = pointer, line: int = line) -> SpecError:
            return SpecError(problem, pointer=place, line=line, file=self.file)

        if event.anchor is not None:
            raise error("anchors are not read; write the value out, or use $ref")
        if event.tag is not None:
            raise error(f"the tag {event.tag!r} is not read; remove it")
        if depth > MAX_DEPTH:
            raise error(f"nested deeper than {MAX_DEPTH}; write the value out, or use $ref")
        self.lines.setdefault(pointer, line)
        if isinstance(event, yaml.MappingStartEvent):
            found: dict[str, Any] = {}
            while not isinstance(key := next(self.events), yaml.MappingEndEvent):
                key_line = key.start_mark.line + 1
                if not isinstance(key, yaml.ScalarEvent):
                    raise error("a key is not a string", line=key_line)
                place = f"{pointer}/{escape(key.value)}"
                if key.value in found:
                    raise error(f"the key {key.value!r} stands twice", place, key_line)
                self.value(key, place, depth)
                found[key.value] = self.value(next(self.events), place, depth + 1)
            return found
        if isinstance(event, yaml.SequenceStartEvent):
            items: list[Any] = []
            while not isinstance(item := next(self.events), yaml.SequenceEndEvent):
                items.append(self.value(item, f"{pointer}/{len(items)}", depth + 1))
            return items
        return _scalar(event)


_INTEGER: Final = re.compile(r"[-+]?[0-9]+")
_NUMBER: Final = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")


def _scalar(event: Any) -> Any:
    """A scalar under YAML 1.2's core rules: ``no`` and ``2026-01-01`` are strings."""
    text: str = event.value
    if event.style in {"'", '"', "|", ">"}:
        return text
    if text in {"", "~", "null", "Null", "NULL"}:
        return None
    if text in {"true", "True", "TRUE"}:
        return True
    if text in {"false", "False", "FALSE"}:
        return False
    if len(text) < 400 and _INTEGER.fullmatch(text):
        return int(text)
    if _NUMBER.fullmatch(text) and math.isfinite(number := float(text)):
        return number
    return text


_TYPES: Final = frozenset({"string", "integer", "number", "boolean", "array", "object", "null"})


def _is(*kinds: type) -> Callable[[Any], bool]:
    """A test for the values of some types; true and false are no numbers."""
    return lambda value: isinstance(value, kinds) and (bool in kinds or not isinstance(value, bool))


def _all(fits: Callable[[Any], bool]) -> Callable[[Any], bool]:
    """A test for lists of what passes the test *fits*."""
    return lambda value: isinstance(value, list) and all(map(fits, value))


_is_text, _is_flag, _is_object, _is_list, _is_number = _is(str), _is(bool), _is(Mapping), _is(list), _is(int, float)
_are_texts, _are_plain = _all(_is_text), _all(lambda item: not isinstance(item, (list, Mapping)))


def _is_pattern(value: Any) -> bool:
    """True for what the judge can search with."""
    try:
        jsonschema_rs.Draft202012Validator({"pattern": value})
    except (TypeError, ValueError):
        return False
    return True


def _are_objects(value: Any) -> bool:
    """True for an object of objects, each of which may be left empty."""
    return _is_object(value) and all(item is None or _is_object(item) for item in value.values())


def _is_type(value: Any) -> bool:
    kinds = [value] if isinstance(value, str) else value
    return _are_texts(kinds) and bool(kinds) and set(kinds) <= _TYPES


_SHAPES: Final[Mapping[str, tuple[Callable[[Any], bool], str]]] = {
    **dict.fromkeys(("operationId", "name", "in", "title", "description", "summary"), (_is_text, "a text")),
    **dict.fromkeys(("x-basis", "x-source", "x-reads-back", "x-unsent"), (_is_text, "a text")),
    **dict.fromkeys(("format", "x-among", "x-changes", "x-not-before", "x-region-of"), (_is_text, "a text")),
    **dict.fromkeys(("deprecated", "readOnly", "writeOnly", "uniqueItems", "x-resource"), (_is_flag, "true or false")),
    **dict.fromkeys(("info", "content", "links", "responses", "properties"), (_is_object, "an object")),
    **dict.fromkeys(("schema", "requestBody", "items"), (_is_object, "an object")),
    **dict.fromkeys(("parameters", "tags", "oneOf", "anyOf", "allOf"), (_is_list, "a list")),
    **dict.fromkeys(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"), (_is_number, "a number")),
    **dict.fromkeys(("multipleOf",), (_is_number, "a number")),
    **dict.fromkeys(
        ("minLength", "maxLength", "minItems", "maxItems"),
        (lambda value: _is(int)(value) and value >= 0, "a whole number from 0"),
    ),
    **dict.fromkeys(("x-sources", "x-facets", "x-selector"), (_are_objects, "an object of objects")),
    **dict.fromkeys(("security", "servers", "x-aliases"), (_all(_is_object), "a list of objects")),
    "pattern": (_is_pattern, "a regular expression"),
    "type": (_is_type, f"a type, or a list of types, out of {', '.join(sorted(_TYPES))}"),
    "enum": (lambda value: _are_plain(value) and bool(value), "a list of at least one plain value"),
    "x-open-values": (_are_plain, "a list of plain values"),
}
"""What stands under a key wherever it is read, as a test and in words."""


def refuse_unknown_keys(document: Document) -> None:
    """Holds every object of the fragment to `KEYS`, and what stands under them to its shape.

    Raises:
        UnsupportedKeyword: an object has a key that is not read there.
        PointerToNowhere: a reference leads nowhere, outside the file, or in a circle.
        SpecError: something has the wrong shape.
    """
    seen: set[tuple[str, str]] = set()
    left = [_objects(document)]
    while left:
        for value, pointer, kind in left.pop():
            seen.add((pointer, kind))
            _refuse(document, value, pointer, kind)
            if "$ref" in value:
                target, place = document.follow(value, pointer)
                if (place, kind) not in seen:
                    left.append(_visit(target, place, kind))


def _refuse(document: Document, value: Any, pointer: str, kind: str) -> None:
    """Holds one object of the fragment to what is read in its *kind*."""
    if not isinstance(value, Mapping):
        raise document.error(f"an object is wanted here, not {value!r}"[:200], pointer)
    for key, inner in value.items():
        place = f"{pointer}/{escape(key)}"
        if key not in KEYS[kind]:
            hint = " In OpenAPI 3.1 it is type: [string, 'null']." if key == "nullable" else nearest(key, KEYS[kind])
            problem = f"{key!r} is not read in a {kind}{f'.{hint}' if hint else '; remove it.'}"
            raise document.error(problem, place, UnsupportedKeyword)
        fits, words = _wanted(kind, key)
        if not fits(inner):
            raise document.error(f"{key!r} is {words}, not {inner!r}"[:200], place)
    if kind == "schema" and "format" in value and value["format"] not in FORMATS:
        hint = nearest(value["format"], FORMATS) or f" There are: {', '.join(sorted(FORMATS))}."
        problem = f"the format {value['format']!r} is not known.{hint}"
        raise document.error(problem, f"{pointer}/format", UnsupportedKeyword)


def _wanted(kind: str, key: str) -> tuple[Callable[[Any], bool], str]:
    """What stands under *key* in an object of this *kind*: a test, and the same in words."""
    if key == "required":
        return (_are_texts, "a list of texts") if kind == "schema" else (_is_flag, "true or false")
    if key == "parameters" and kind == "link":
        return _is_object, "an object"
    return _SHAPES.get(key, (lambda value: True, ""))


def _objects(document: Document) -> Iterator[tuple[Any, str, str]]:
    """Every object of the fragment that has fixed fields, with its pointer and kind."""
    data = document.data
    yield data, "#", "root"
    components = data.get("components") or {}
    sections = {"schemas": "schema", "parameters": "parameter", "responses": "response"}
    sections |= {"requestBodies": "requestBody", "links": "link"}
    if not isinstance(components, Mapping):
        raise document.error("an object is wanted here", "#/components")
    for section, values in components.items():
        place = f"#/components/{escape(section)}"
        if section not in sections and section not in {"securitySchemes", "headers", "examples"}:
            raise document.error(f"{section!r} is not read in components", place, UnsupportedKeyword)
        if not isinstance(values, Mapping):
            raise document.error("an object is wanted here", place)
        for name, value in values.items():
            if section == "securitySchemes" and not isinstance(value, Mapping):
                raise document.error("an object is wanted here", f"{place}/{escape(name)}")
            if section in sections:
                yield from _visit(value, f"{place}/{escape(name)}", sections[section])
    paths = data.get("paths")
    if not isinstance(paths, Mapping):
        raise document.error("'paths' is missing: this is not an OpenAPI document with operations", "#")
    for path, item in paths.items():
        yield from _visit(item, f"#/paths/{escape(path)}", "path")


_BELOW: Final = {
    **{("path", method): "operation" for method in METHODS},
    **dict.fromkeys([("path", "parameters"), ("operation", "parameters")], "parameter"),
    ("operation", "requestBody"): "requestBody",
    ("operation", "responses"): "response",
    **dict.fromkeys([("requestBody", "content"), ("response", "content")], "media"),
    ("response", "links"): "link",
    **dict.fromkeys([("parameter", "schema"), ("media", "schema")], "schema"),
    **{("schema", key): "schema" for key in ("items", "properties", "oneOf", "anyOf", "allOf")},
}
"""(kind of an object, key) -> the kind of what stands there."""
_LISTS: Final = frozenset({"parameters", "oneOf", "anyOf", "allOf"})
_MAPS: Final = frozenset({"content", "links", "responses", "properties"})


def _visit(value: Any, pointer: str, kind: str) -> Iterator[tuple[Any, str, str]]:
    """*value* and every object below it that has fixed fields."""
    yield value, pointer, kind
    for key, child in value.items() if isinstance(value, Mapping) else ():
        if (below := _BELOW.get((kind, key))) is None:
            continue
        place, parts = f"{pointer}/{escape(key)}", [("", child)]
        if key in _LISTS:
            parts = [(f"/{i}", item) for i, item in enumerate(child if isinstance(child, list) else [child])]
        elif key in _MAPS:
            named = child if isinstance(child, Mapping) else {"": child}
            parts = [(f"/{escape(name)}", item) for name, item in named.items()]
        for part, item in parts:
            yield from _visit(item, place + part, below)
