"""
Reads a fragment's text into plain data, knowing the line of every value.

A fragment is someone else's file: it is read as data (no tags, anchors or dates of YAML), it can
refer to nothing but itself, and a key that this tool does not read is an error, because a rule
that is skipped in silence is worse than one that is refused.

Source: OpenAPI 3.1.1, sections 4.8 (objects and their fixed fields); JSON Schema 2020-12.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from contract.errors import PointerToNowhere, SpecError, UnsupportedKeyword, nearest

__all__ = ["FORMATS", "Document", "escape", "read", "refuse_unknown_keys"]

MAX_BYTES: Final = 5_000_000
MAX_DEPTH: Final = 60

FORMATS: Final = frozenset(
    {"uuid", "date-time", "date", "e164", "iso-3166-1-alpha-2", "uri", "email", "int32", "int64"}
)
"""The formats that are judged and generated."""

_FACT: Final = frozenset({"x-basis", "x-source"})
_DOCS: Final = frozenset({"title", "description", "summary", "examples", "example"})
_METHODS: Final = frozenset({"get", "put", "post", "patch", "delete", "head", "options"})

KEYS: Final[Mapping[str, frozenset[str]]] = {
    "root": frozenset(
        {"openapi", "info", "servers", "security", "tags", "paths", "components", "externalDocs", "x-sources"}
    )
    | {"jsonSchemaDialect"},
    "path": _METHODS | {"parameters", "summary", "description"},
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


def escape(part: object) -> str:
    """
    One reference token of a JSON Pointer (RFC 6901, section 3).
    """
    return str(part).replace("~", "~0").replace("/", "~1")


@dataclass(frozen=True, slots=True)
class Document:
    """
    A fragment as plain data.
    """

    data: Mapping[str, Any]
    lines: Mapping[str, int]
    """Pointer (``#/paths/...``) -> line, counted from 1."""
    file: str

    def error(self, problem: str, pointer: str, kind: type[SpecError] = SpecError) -> SpecError:
        """
        An error that says where in the file *pointer* stands.
        """
        line = self.lines.get(pointer) or self.lines.get(pointer.rpartition("/")[0])
        return kind(problem, pointer=pointer, line=line, file=self.file)

    def at(self, pointer: str) -> Any:
        """
        The value at *pointer*.

        Raises:
            PointerToNowhere: there is none.
        """
        value: Any = self.data
        for token in pointer.removeprefix("#").split("/")[1:]:
            key = token.replace("~1", "/").replace("~0", "~")
            try:
                value = value[int(key)] if isinstance(value, list) else value[key]
            except (KeyError, ValueError, IndexError, TypeError):
                raise self.error(f"nothing stands at {pointer!r}", pointer, PointerToNowhere) from None
        return value

    def follow(self, value: Any, pointer: str) -> tuple[Any, str]:
        """
        *value* and its pointer, after any ``$ref`` in it.

        Raises:
            PointerToNowhere: the reference leads nowhere, outside the file, or in a circle.
        """
        seen: list[str] = []
        while isinstance(value, Mapping) and "$ref" in value:
            ref = value["$ref"]
            where = f"{pointer}/$ref"
            if not isinstance(ref, str) or not ref.startswith("#"):
                problem = f"$ref {ref!r} leaves this file; only references that begin with '#/' are followed"
                raise self.error(problem, where, PointerToNowhere)
            if ref in seen:
                raise self.error(f"$ref {ref!r} leads back to itself", where, PointerToNowhere)
            seen.append(ref)
            try:
                value, pointer = self.at(ref), ref
            except PointerToNowhere:
                raise self.error(f"$ref {ref!r} leads nowhere", where, PointerToNowhere) from None
        return value, pointer

    def expand(self, value: Any, pointer: str, above: tuple[str, ...] = ()) -> Any:
        """
        *value* with every ``$ref`` in it replaced by what it refers to.

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


def read(text: str, file: str = "") -> Document:
    """
    The fragment in *text* (YAML or JSON).

    Raises:
        SpecError: it cannot be read, repeats a key, or uses an anchor.
    """
    if len(text) > MAX_BYTES:
        raise SpecError(f"the file is larger than {MAX_BYTES:,} characters", file=file)
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)(text)
    try:
        root = loader.get_single_node()
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else None
        raise SpecError(f"this is not YAML or JSON: {error.problem}", line=line, file=file) from error
    except (yaml.YAMLError, RecursionError) as error:
        raise SpecError(f"this is not YAML or JSON: {error}", file=file) from error
    finally:
        loader.dispose()
    if root is None:
        raise SpecError("the file is empty", file=file)
    lines: dict[str, int] = {}
    data = _plain(root, "#", lines, set(), file)
    if not isinstance(data, dict):
        raise SpecError("the file holds no object", line=1, file=file)
    return Document(data, lines, file)


def read_file(path: Path) -> Document:
    """
    The fragment in the file *path*.

    Raises:
        SpecError: it cannot be read.
    """
    try:
        return read(path.read_text(encoding="utf-8"), str(path))
    except OSError as error:
        raise SpecError(f"the file cannot be read: {error.strerror}", file=str(path)) from error
    except UnicodeDecodeError as error:
        raise SpecError("the file is not UTF-8", file=str(path)) from error


def _plain(node: Any, pointer: str, lines: dict[str, int], seen: set[int], file: str) -> Any:
    """
    The value of a YAML node, as JSON would have it: string keys, no dates, no anchors.
    """
    line = node.start_mark.line + 1
    if id(node) in seen or pointer.count("/") > MAX_DEPTH:
        problem = "anchors are not read" if id(node) in seen else f"nested deeper than {MAX_DEPTH}"
        raise SpecError(f"{problem}; write the value out, or use $ref", pointer=pointer, line=line, file=file)
    lines.setdefault(pointer, line)
    if isinstance(node, yaml.MappingNode):
        seen.add(id(node))
        found: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = key_node.value
            if not isinstance(key, str):
                raise SpecError("a key is not a string", pointer=pointer, line=line, file=file)
            place = f"{pointer}/{escape(key)}"
            key_line = key_node.start_mark.line + 1
            if key in found:
                raise SpecError(f"the key {key!r} stands twice", pointer=place, line=key_line, file=file)
            lines[place] = key_line
            found[key] = _plain(value_node, place, lines, seen, file)
        return found
    if isinstance(node, yaml.SequenceNode):
        seen.add(id(node))
        return [_plain(item, f"{pointer}/{i}", lines, seen, file) for i, item in enumerate(node.value)]
    return _scalar(node)


def _scalar(node: Any) -> Any:
    """
    A scalar under YAML 1.2's core rules: ``no`` and ``2026-01-01`` are strings.
    """
    text: str = node.value
    if node.style in {"'", '"', "|", ">"}:
        return text
    if text in {"", "~", "null", "Null", "NULL"}:
        return None
    if text in {"true", "True", "TRUE"}:
        return True
    if text in {"false", "False", "FALSE"}:
        return False
    for kind in (int, float):
        try:
            return kind(text) if "_" not in text and text.lower() not in {"nan", "inf", "infinity"} else text
        except ValueError:
            continue
    return text


def refuse_unknown_keys(document: Document) -> None:
    """
    Holds every object of the fragment to `KEYS`.

    Raises:
        UnsupportedKeyword: an object has a key that is not read there.
        SpecError: something has the wrong shape.
    """
    for value, pointer, kind in _objects(document):
        if not isinstance(value, Mapping):
            raise document.error(f"an object is wanted here, not {value!r}"[:200], pointer)
        for key in value:
            if key not in KEYS[kind]:
                problem = f"{key!r} is not read in a {kind}; remove it.{nearest(key, KEYS[kind])}"
                raise document.error(problem, f"{pointer}/{escape(key)}", UnsupportedKeyword)
        if kind == "schema" and "format" in value and value["format"] not in FORMATS:
            problem = f"the format {value['format']!r} is not known.{nearest(str(value['format']), FORMATS)}"
            raise document.error(problem, f"{pointer}/format", UnsupportedKeyword)


def _objects(document: Document) -> Iterator[tuple[Any, str, str]]:
    """
    Every object of the fragment that has fixed fields, with its pointer and kind.
    """
    data = document.data
    yield data, "#", "root"
    components = data.get("components") or {}
    sections = {"schemas": "schema", "parameters": "parameter", "responses": "response"}
    sections |= {"requestBodies": "requestBody", "links": "link"}
    walk = _Walk()
    if not isinstance(components, Mapping):
        raise document.error("an object is wanted here", "#/components")
    for section, values in components.items():
        place = f"#/components/{escape(section)}"
        if section not in sections and section not in {"securitySchemes", "headers", "examples"}:
            raise document.error(f"{section!r} is not read in components", place, UnsupportedKeyword)
        if not isinstance(values, Mapping):
            raise document.error("an object is wanted here", place)
        if section in sections:
            for name, value in values.items():
                yield from walk.visit(value, f"{place}/{escape(name)}", sections[section])
    paths = data.get("paths")
    if not isinstance(paths, Mapping):
        raise document.error("'paths' is missing: this is not an OpenAPI document with operations", "#")
    for path, item in paths.items():
        yield from walk.visit(item, f"#/paths/{escape(path)}", "path")


class _Walk:
    """
    Walks down from an object of a known kind; a table says which child is of which kind.
    """

    ONE: Final = {
        ("parameter", "schema"): "schema",
        ("media", "schema"): "schema",
        ("operation", "requestBody"): "requestBody",
        ("schema", "items"): "schema",
        **{("path", method): "operation" for method in _METHODS},
    }
    LISTS: Final = {
        ("path", "parameters"): "parameter",
        ("operation", "parameters"): "parameter",
        ("schema", "oneOf"): "schema",
        ("schema", "anyOf"): "schema",
        ("schema", "allOf"): "schema",
    }
    MAPS: Final = {
        ("requestBody", "content"): "media",
        ("response", "content"): "media",
        ("response", "links"): "link",
        ("operation", "responses"): "response",
        ("schema", "properties"): "schema",
    }

    def visit(self, value: Any, pointer: str, kind: str) -> Iterator[tuple[Any, str, str]]:
        """
        *value* and every object below it that has fixed fields.
        """
        yield value, pointer, kind
        if not isinstance(value, Mapping):
            return
        for key, child in value.items():
            place = f"{pointer}/{escape(key)}"
            if one := self.ONE.get((kind, key)):
                yield from self.visit(child, place, one)
            elif many := self.LISTS.get((kind, key)):
                for i, item in enumerate(child if isinstance(child, list) else [child]):
                    yield from self.visit(item, f"{place}/{i}", many)
            elif named := self.MAPS.get((kind, key)):
                children = child.items() if isinstance(child, Mapping) else [("", child)]
                for name, item in children:
                    yield from self.visit(item, f"{place}/{escape(name)}", named)
