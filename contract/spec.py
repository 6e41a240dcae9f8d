"""Turns a fragment into a `Contract`: its operations, fields and what is known of each.

Everything that is known about one API stands in the fragment; this module knows only the words of
OpenAPI 3.1 and the extensions (``x-…``) that say what the standard has no word for.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from itertools import product
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, unquote

import jsonschema_rs

from contract.document import METHODS, Document, escape, plain, read, read_file, refuse_unknown_keys
from contract.errors import SpecError, nearest
from contract.formats import matches
from contract.model import BASES, MISSING, Fact

__all__ = [
    "BOUNDS",
    "NOTHING",
    "AliasGroup",
    "Body",
    "Choice",
    "Contract",
    "Field",
    "Link",
    "Operation",
    "Parameter",
    "bundled",
    "load",
]

BOUNDS: Final = {
    **dict.fromkeys(("minLength", "maxLength"), ("string",)),
    **dict.fromkeys(("minItems", "maxItems"), ("array",)),
    **dict.fromkeys(("exclusiveMinimum", "minimum", "maximum", "exclusiveMaximum"), ("integer", "number")),
}
"""Keyword -> the JSON types that it says something about."""
_LEAST: Final = ("minLength", "minItems", "minimum", "exclusiveMinimum")
_MOST: Final = ("maxLength", "maxItems", "maximum", "exclusiveMaximum")
_FACETS: Final = ("present", "required", "type", "null", "enum", "format", "default", *BOUNDS)
NOTHING: Final = "no_such_value"
"""A text that is no documented value, and has no format."""
CHANGES: Final = ("never", "on-write", "derived", "anytime")
_BODY_KEYS: Final = frozenset({"pattern", "oneOf", "anyOf", "allOf", "multipleOf", "const"})
_OUTER_KEYS: Final = frozenset({"x-selector", "x-open-values", "x-among", "writeOnly"})
"""What is read of a property of a request, and of nothing below it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One value of a selector: the companion fields that it needs, and those that it uses besides."""

    value: str
    fact: Fact
    requires: Mapping[str, Fact] = field(default_factory=dict)
    uses: tuple[str, ...] = ()
    filled: frozenset[str] = frozenset()
    """The required companions that must not be empty: an empty one is refused as if it were left out."""
    deprecated: bool = False
    line: int | None = None

    @property
    def companions(self) -> tuple[str, ...]:
        """Every field that belongs to this value."""
        return (*self.requires, *self.uses)


_SAID: Final = frozenset(
    {"$comment", "default", "deprecated", "description", "enum", "example", "examples", "format", "readOnly", "title"}
    | {"writeOnly"}
)
"""What a schema says of a field beside the shape of its values."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One property of a request or response body."""

    name: str
    schema: Mapping[str, Any]
    """JSON Schema 2020-12 with every reference expanded."""
    fact: Fact
    facets: Mapping[str, Fact] = field(default_factory=dict)
    """Facets that are known less well, or from elsewhere, than the field itself."""
    required: bool = False
    choices: Mapping[str, Choice] = field(default_factory=dict)
    """Not empty where the field is a selector."""
    line: int | None = None

    @property
    def types(self) -> tuple[str, ...]:
        """The JSON types that it may have, null included; empty where any will do."""
        kinds = self.schema.get("type", ())
        return (kinds,) if isinstance(kinds, str) else tuple(kinds)

    @property
    def shaped(self) -> bool:
        """True where the schema says more of a value than which ones there are, and of which format."""
        return bool(self.types) or any(not (w in _SAID or w.startswith("x-")) for w in self.schema)

    @property
    def nullable(self) -> bool:
        """True where null is documented."""
        return not self.types or "null" in self.types

    def allows(self, value: Any) -> bool:
        """True for a value that the documents allow."""
        return bool(jsonschema_rs.Draft202012Validator(dict(self.schema)).is_valid(value))

    @property
    def enum(self) -> tuple[Any, ...]:
        """The documented values beside null; empty where there is no list."""
        return tuple(value for value in self.schema.get("enum", ()) if value is not None)

    @property
    def item_enum(self) -> tuple[Any, ...]:
        """The documented items, where it is a list of enumerated values."""
        items = self.schema.get("items", {})
        return tuple(items.get("enum", ())) if isinstance(items, Mapping) else ()

    @property
    def listed(self) -> tuple[Any, ...]:
        """The documented values beside null, of it or of its items; empty where there is no list."""
        return self.enum or self.item_enum

    @property
    def excludes(self) -> tuple[str, ...]:
        """The facets by which the documents exclude values for certain: ``enum``; or a format, lengths and bounds,
        where they are documented. Addresses may be taken strictly or not, whatever their format.
        """
        if self.enum:
            return ("enum",)
        found = ["enum"] if self.item_enum else []
        kinds = {*self.types}
        if self.format and not matches(self.format, NOTHING):
            found += ["format"] if "string" in kinds and self.format != "uri" else []
            kinds.discard("string")  # A text of another length would not have its format either.
        found += [kind for kind in ("items", "properties") if self._parts_exclude(kind)]
        for keyword, of in BOUNDS.items():
            none = self.schema.get(keyword, 0) == 0 and keyword in {"minLength", "minItems"}
            longer = keyword == "maxLength" and self.format in {"uri", "email"}
            if keyword in self.schema and not none and (longer or not kinds.isdisjoint(of)):
                found.append(keyword)
        return tuple(facet for facet in found if facet == "enum" or self.facet(facet).basis == "documented")

    @property
    def parts(self) -> dict[str, Field]:
        """What it is made of: ``items``, or each of its members."""
        items, members = self.schema.get("items"), self.schema.get("properties", {})
        schemas = {**members, **({"items": items} if isinstance(items, Mapping) and not members else {})}
        return {name: Field(name=name, schema=schema, fact=self.fact) for name, schema in schemas.items()}

    def _parts_exclude(self, kind: str) -> bool:
        """True where values of what it is made of are excluded for certain, other than by a list of them."""
        if kind == "items":
            return "array" in self.types and not self.item_enum and any(p.excludes for p in self.parts.values())
        members = bool(self.schema.get("required")) or any(part.excludes for part in self.parts.values())
        return "object" in self.types and "properties" in self.schema and members

    def beyond(self, value: Any) -> str:
        """The documented length or bound that *value* does not keep, or nothing."""
        sized = isinstance(value, str | list)
        kind = "array" if isinstance(value, list) else "string" if sized else "number"
        if not sized and (isinstance(value, bool) or not isinstance(value, int | float)):
            return ""
        size = len(value) if sized else value
        for keyword in [word for word, kinds in BOUNDS.items() if kind in kinds and word in self.schema]:
            limit = self.schema[keyword]
            over = size < limit if "min" in keyword.lower() else size > limit
            if over or (keyword.startswith("exclusive") and size == limit):
                return keyword if keyword in self.excludes else ""
        return ""

    @property
    def takes_null(self) -> bool:
        """True where the documents say in so many words that it may be null."""
        return "null" in self.types

    @property
    def format(self) -> str:
        """Its format, or nothing."""
        return str(self.schema.get("format", ""))

    @property
    def default(self) -> Any:
        """The value that stands where none was ever set, or `MISSING`."""
        return self.schema.get("default", MISSING)

    @property
    def deprecated(self) -> bool:
        """True where the documents advise against it."""
        return bool(self.schema.get("deprecated"))

    @property
    def read_only(self) -> bool:
        """True where it is only ever answered."""
        return bool(self.schema.get("readOnly"))

    @property
    def write_only(self) -> bool:
        """True where it is never answered."""
        return bool(self.schema.get("writeOnly"))

    @property
    def resource(self) -> bool:
        """True where its value must be the id of something that exists."""
        return bool(self.schema.get("x-resource"))

    @property
    def may_name(self) -> bool:
        """True where its value can be the id or the name of something that exists."""
        return "string" in self.types and not self.schema.get("enum") and not self.read_only

    def naming(self) -> Field:
        """The same field, with `resource` true."""
        return replace(self, schema={**self.schema, "x-resource": True})

    @property
    def among(self) -> str:
        """The field of the answer whose list must hold a value before it may be sent, or nothing."""
        return str(self.schema.get("x-among", ""))

    @property
    def open_values(self) -> tuple[Any, ...]:
        """Values about which the sources disagree."""
        return tuple(self.schema.get("x-open-values", ()))

    @property
    def changes(self) -> str:
        """When it changes although nobody sent it: one of `CHANGES`, or nothing."""
        return str(self.schema.get("x-changes", ""))

    def facet(self, name: str) -> Fact:
        """How well the facet *name* (``enum``, ``null``, …) is known."""
        return self.facets.get(name, self.fact)


@dataclass(frozen=True, slots=True, kw_only=True)
class AliasGroup:
    """Request fields that are names for one thing; *wins* takes precedence."""

    fields: tuple[str, ...]
    wins: str
    fact: Fact


@dataclass(frozen=True, kw_only=True)
class Body:
    """An object that is sent or answered."""

    fields: Mapping[str, Field]
    schema: Mapping[str, Any]
    """The whole JSON Schema with every reference expanded."""
    aliases: tuple[AliasGroup, ...] = ()
    pointer: str = "#"

    @cached_property
    def _siblings(self) -> Mapping[str, frozenset[str]]:
        return {name: frozenset(group.fields) for group in self.aliases for name in group.fields}

    def aliases_of(self, names: Any) -> frozenset[str]:
        """Every alias of the fields *names*, themselves included."""
        return frozenset(names).union(*(self._siblings.get(name, frozenset()) for name in names))

    @cached_property
    def selectors(self) -> Mapping[str, Field]:
        """The fields whose value decides which other fields matter."""
        return {name: item for name, item in self.fields.items() if item.choices}

    def active(self, record: Mapping[str, Any]) -> dict[str, Choice]:
        """Selector -> what is known of its value in *record*; without those whose value is absent or not documented."""
        found: dict[str, Choice] = {}
        for name, item in self.selectors.items():
            value = record.get(name)
            if isinstance(value, str) and value in item.choices:
                found[name] = item.choices[value]
        return found

    def needed(self, record: Mapping[str, Any]) -> tuple[str, ...]:
        """The companions that the selectors of *record* require where they stand, each once, in the order of the
        fragment.
        """
        return tuple(dict.fromkeys(name for choice in self.active(record).values() for name in choice.requires))

    def channel(self, body: Mapping[str, Any], selector: str) -> dict[str, Any]:
        """What *body* holds of a selector and the companions that its value requires."""
        choice = self.active(body).get(selector)
        names = (selector, *(choice.requires if choice is not None else ()))
        return {name: body[name] for name in names if name in body}


_FILLED: Final = "$response.body#/"
"""What a link begins with that takes a value from the answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One parameter of an operation."""

    name: str
    place: str
    schema: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """An operation that reads back what another wrote."""

    operation: str
    records: str
    """JSON Pointer, in the linked operation's answer, to the record or the list of records."""
    fact: Fact
    identity: str = ""
    """The field of the record that fills a parameter of the path, where the link says so."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Operation:
    """One method on one path."""

    id: str
    method: str
    path: str
    fact: Fact
    parameters: tuple[Parameter, ...]
    request: Body | None
    response: Body | None
    """The body of the documented success, where it is a JSON object."""
    success: int
    errors: Mapping[int, Mapping[str, Any]]
    """Documented refusals: status -> JSON Schema of the body."""
    error_facts: Mapping[int, Fact]
    links: tuple[Link, ...]
    security: tuple[str, ...]
    """The names of the security schemes, empty where none is needed."""
    guarded: bool
    """True where credentials are needed: they may be sent, and none of the ways to ask is ``{}``."""
    unsent: Fact | None
    """Set where the documents say that fields which are not sent stay as they are."""
    media_type: str = "application/json"
    """That of the success."""
    error_types: Mapping[int, str] = field(default_factory=dict)
    """The media type of each documented refusal with a body: status -> such as ``application/problem+json``."""
    pointer: str = "#"
    line: int | None = None

    @property
    def label(self) -> str:
        """Method and path, as in ``PUT /things/{id}``."""
        return f"{self.method} {self.path}"

    @property
    def key(self) -> Parameter | None:
        """The path parameter that names the record, if there is one."""
        return next((p for p in self.parameters if p.place == "path"), None)

    def url(self, key: str = "") -> str:
        """The path with *key* in it."""
        return re.sub(r"\{[^}]*\}", quote(key, safe=""), self.path)


@dataclass(frozen=True, kw_only=True, eq=False)
class Contract:
    """A whole fragment."""

    title: str
    version: str
    operations: Mapping[str, Operation]
    schemes: Mapping[str, Mapping[str, Any]]
    sources: Mapping[str, Mapping[str, Any]]
    document: Document

    def operation(self, name: str) -> Operation:
        """The operation with the id *name*.

        Raises:
            SpecError: there is none.
        """
        try:
            return self.operations[name]
        except KeyError:
            known = ", ".join(self.operations)
            hint = nearest(name, self.operations) or f" There are: {known}."
            raise SpecError(f"no operation is called {name!r}.{hint}", file=self.document.file) from None

    @cached_property
    def update(self) -> Operation:
        """The operation under test: the one that writes and whose answer can be read back.

        Raises:
            SpecError: there is none, or more than one.
        """
        found = [op for op in self.operations.values() if op.request is not None]
        if len(found) != 1:
            names = ", ".join(op.id for op in found) or "none"
            problem = f"one operation with a request body is wanted, and the fragment has {names}"
            problem += "; the success of the one under test has a link with x-reads-back" if found else ""
            raise SpecError(problem, pointer="#/paths", file=self.document.file)
        if found[0].method not in {"PUT", "PATCH", "POST"}:
            problem = (
                f"the operation under test is a PUT, PATCH or POST, not a {found[0].method}: it has to be put back"
            )
            raise self.document.error(problem, found[0].pointer)
        return found[0]

    @cached_property
    def request(self) -> Body:
        """What an update sends.

        Raises:
            SpecError: as `update`.
        """
        body = self.update.request
        assert body is not None  # An operation without one is no update.
        return body

    @cached_property
    def record(self) -> Mapping[str, Field]:
        """The fields that the answers to the update and to the read show; none where they are not documented as objects.

        Raises:
            SpecError: as `update` and `retrieve`.
        """
        shown = [op.response for op in (self.update, self.retrieve) if op.response is not None]
        return {name: item for response in reversed(shown) for name, item in response.fields.items()}

    @cached_property
    def retrieve(self) -> Operation:
        """The operation that reads one record back.

        Raises:
            SpecError: the update has no link to one.
        """
        for link in self.update.links:
            if link.records == "":
                return self.operations[link.operation]
        problem = (
            "the update's success has no link with x-reads-back: '', so nothing that is written can be read or put back"
        )
        raise self.document.error(problem, f"{self.update.pointer}/responses")

    @cached_property
    def identity(self) -> str:
        """The field that holds the id of the record: what the link to the retrieve operation fills its path with, such
        as ``$response.body#/code``, or else the one with the name of the path's parameter, or ``id`` where that name ends so.
        Blank where there is none.

        Raises:
            SpecError: as `retrieve`; or the link names no field of the record.
        """
        link = next((link for link in self.update.links if link.records == ""), None)
        if link is not None and link.identity:
            if link.identity not in self.record:
                problem = f"the link takes the id from {_FILLED}{link.identity}, which is no property of the record"
                raise self.document.error(problem, f"{self.update.pointer}/responses")
            return link.identity
        key = self.update.key
        if key is None or key.name in self.record:
            return key.name if key is not None else ""
        # A parameter such as thing_id most often means what the record calls id.
        return "id" if "id" in self.record and key.name.lower().endswith("id") else ""

    @cached_property
    def listing(self) -> tuple[Operation, str] | None:
        """The operation that lists the records, and the pointer to the list in its answer.

        Raises:
            SpecError: its answer documents nothing there.
        """
        for link in self.update.links:
            if link.records:
                body = self.operations[link.operation].response
                schema: Any = body.schema if body is not None else {}
                for token in link.records.split("/")[1:]:
                    schema = schema.get("properties", {}).get(token)
                    if schema is None:
                        problem = f"x-reads-back is {link.records!r}, and {link.operation} documents no {token!r} there"
                        raise self.document.error(problem, f"{self.update.pointer}/responses")
                return self.operations[link.operation], link.records
        return None

    def list_in(self, operation: Operation) -> str:
        """The pointer to the list in the answers of *operation*; empty where it is not the one that lists the records."""
        return self.listing[1] if self.listing is not None and operation is self.listing[0] else ""

    def match(self, method: str, path: str) -> tuple[Operation, str] | None:
        """(operation, id of the record) of a request: that for *method* with the longest template that *path* ends
        with.
        """
        tokens = path.rstrip("/").split("/")
        best: tuple[Operation, str] | None = None
        longest = 0
        for operation in self.operations.values():
            wanted = operation.path.strip("/").split("/")
            if operation.method != method.upper() or not longest < len(wanted) <= len(tokens):
                continue
            pairs = list(zip(wanted, tokens[-len(wanted) :], strict=True))
            if all(w == t or (w.startswith("{") and t) for w, t in pairs):
                id = next((unquote(t) for w, t in pairs if w.startswith("{")), "")
                best, longest = (operation, id), len(wanted)
        return best

    def like(self, body: Any) -> Operation | None:
        """The operation whose answer *body* resembles: a list of records, or one record."""
        if not isinstance(body, Mapping):
            return None
        if self.listing is not None:
            first = self.listing[1].strip("/").partition("/")[0]
            if first in body and first not in self.record:
                return self.listing[0]
        return None if self.record.keys().isdisjoint(body) else self.update

    def need_sendable(self) -> None:
        """Raises SpecError where an operation that a run needs wants credentials that cannot be sent."""
        for operation in (self.update, self.retrieve, *([self.listing[0]] if self.listing else [])):
            if not all(sendable(self.schemes[name]) for name in operation.security):
                problem = "only credentials of the type 'http', scheme 'basic' or 'bearer', can be sent"
                raise self.document.error(problem, f"#/components/securitySchemes/{escape(operation.security[0])}")

    def source(self, fact: Fact) -> str:
        """Where a fact stands, for a reader: title, detail and address."""
        key, _, detail = fact.source.partition(":")
        entry = self.sources.get(key.strip())
        if entry is None:
            return fact.source
        parts = [str(entry.get("title", key)), detail.strip(), str(entry.get("url", ""))]
        return ", ".join(part for part in parts if part)


def bundled() -> Path:
    """The fragment that ships with this tool.

    Raises:
        SpecError: the installation lacks it.
    """
    here = Path(__file__).parent
    for folder in (here / "bundled", here.parent / "spec"):
        for path in sorted(folder.glob("*.openapi.yaml")):
            return path
    raise SpecError("the bundled fragment is missing; install the package again", file=str(here))


def load(source: str | Path | None = None) -> Contract:
    """The contract in the fragment *source*: a file, or the bundled one.

    Raises:
        SpecError: the fragment cannot be used; the error says where and what now.
    """
    path = bundled() if source is None else Path(source)
    try:
        seen = path.stat()
    except OSError:
        return from_document(read_file(path))
    return _loaded(path, seen.st_mtime_ns, seen.st_size)


@lru_cache(maxsize=8)
def _loaded(path: Path, changed: int, size: int) -> Contract:
    """The contract in *path*, read once for as long as the file stays as it is."""
    return from_document(read_file(path))


def loads(text: str, file: str = "") -> Contract:
    """The contract in *text*.

    Raises:
        SpecError: the fragment cannot be used.
    """
    return from_document(read(text, file))


def from_document(document: Document) -> Contract:
    """The contract in an already read *document*.

    Raises:
        SpecError: the fragment cannot be used.
    """
    version = document.data.get("openapi")
    if not isinstance(version, str) or not version.startswith("3.1"):
        problem = f"this is not an OpenAPI 3.1 document: its 'openapi' is {version!r}"
        if str(version).startswith("3.0"):
            problem += " (in 3.1, 'nullable: true' is type: [string, 'null'], and exclusive bounds are numbers)"
        raise document.error(problem, "#/openapi" if version else "#")
    refuse_unknown_keys(document)
    reader = _Reader(document)
    operations = {op.id: op for op in reader.operations()}
    for op in operations.values():
        for link in op.links:
            if link.operation not in operations:
                problem = f"no operation is called {link.operation!r}.{nearest(link.operation, operations)}"
                raise document.error(problem, f"{op.pointer}/responses/{op.success}/links")
        if op.request is None:
            continue
        _readable(document, op, operations)
        if op.response is None:
            continue
        known = op.response.fields
        for item in op.request.fields.values():
            if item.among and item.among not in known:
                problem = (
                    f"x-among names {item.among!r}, which is no property of the answer.{nearest(item.among, known)}"
                )
                raise document.error(problem, f"{op.request.pointer}/properties/{escape(item.name)}/x-among")
            shown = known.get(item.name)
            if shown is not None and _kinds(item).isdisjoint(_kinds(shown)):
                problem = (
                    f"{item.name!r} is sent as {' or '.join(item.types)}, and answered as {' or '.join(shown.types)}"
                )
                raise document.error(problem, f"{op.request.pointer}/properties/{escape(item.name)}/type")
    info = document.data.get("info") or {}
    return Contract(
        title=str(info.get("title", "")),
        version=str(info.get("version", "")),
        operations=operations,
        schemes=reader.schemes,
        sources=reader.sources,
        document=document,
    )


def _readable(document: Document, update: Operation, operations: Mapping[str, Operation]) -> None:
    """Makes sure that what *update* writes can be asked for and seen, by its links."""
    assert update.request is not None
    sent = {name for name, item in update.request.fields.items() if not item.write_only}
    back = [operations[link.operation] for link in update.links if link.records == ""][:1]
    for op in (update, *back) if back else ():
        if sum(p.place == "path" for p in op.parameters) > 1:
            raise document.error("one parameter of the path names the record, and here are several", op.pointer)
        place = f"{op.pointer}/responses/{op.success}"
        if op.response is None:
            problem = "a record is an object with 'properties' in JSON, and the success documents none: what is written"
            raise document.error(f"{problem} could not be read back", place)
        if sent.isdisjoint(op.response.fields):
            problem = "none of the fields that are sent stands in this answer: a record is not in an envelope, or what"
            raise document.error(f"{problem} is written could not be put back", place)
    for link in update.links if back else ():
        if link.records and operations[link.operation].key is not None:
            raise document.error(
                "a list whose path has a parameter cannot be asked for", operations[link.operation].pointer
            )


def _kinds(item: Field) -> set[str]:
    """The JSON types of a field, null aside; a whole number is a number, and a field without a type has them all."""
    every = {"string", "number", "boolean", "array", "object"}
    return {"number" if kind == "integer" else kind for kind in item.types if kind != "null"} or every


def sendable(scheme: Mapping[str, Any]) -> bool:
    """True for a security scheme whose credentials can be sent."""
    return scheme.get("type") == "http" and scheme.get("scheme") in {"basic", "bearer"}


class _Reader:
    """Reads the operations out of one document."""

    def __init__(self, document: Document) -> None:
        self.document, self.error = document, document.error
        data = document.data
        schemes: Mapping[str, Mapping[str, Any]] = (data.get("components") or {}).get("securitySchemes") or {}
        # The name of a scheme of HTTP is the same in any case (RFC 9110, section 11.1).
        self.schemes = {n: {**s, "scheme": str(s.get("scheme", "")).lower()} for n, s in schemes.items()}
        self.sources: Mapping[str, Mapping[str, Any]] = data.get("x-sources") or {}
        self.default = Fact("documented", "")

    def operations(self) -> Iterator[Operation]:
        """Every operation, in the order of the document; of several that write, the one that can be read back alone."""
        seen: dict[str, str] = {}
        paths = self.document.data["paths"].items()
        found = [(path, item, m, f"#/paths/{escape(path)}/{m}") for path, item in paths for m in METHODS if m in item]
        linked = {pointer: ids for _, item, m, pointer in found if (ids := self.reads_back(item[m], pointer))}
        [wanted] = linked.values() if len(linked) == 1 else [set[str]()]
        for path, item, method, pointer in found:
            other = "requestBody" in item[method] and not (
                pointer in linked or item[method].get("operationId") in wanted
            )
            if not (wanted and other):
                operation = self.operation(path, item, method, pointer)
                if operation.id in seen:
                    raise self.error(f"the operationId {operation.id!r} stands twice", f"{pointer}/operationId")
                seen[operation.id] = pointer
                yield operation

    def reads_back(self, raw: Mapping[str, Any], pointer: str) -> set[str]:
        """The ids of the operations that show what the operation *raw* wrote, by the links of its answers."""
        answers = (raw.get("responses") or {}).items()
        found = [self.document.follow(value, f"{pointer}/responses/{status}")[0] for status, value in answers]
        links = [link for answer in found for link in (answer.get("links") or {}).values()]
        return {str(link.get("operationId")) for link in links if "x-reads-back" in link}

    def operation(self, path: str, item: Mapping[str, Any], method: str, pointer: str) -> Operation:
        """The operation at *pointer*."""
        raw = item[method]
        name = raw.get("operationId")
        if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_-]*", name):
            raise self.error("an operationId of letters, digits, '_' and '-' is wanted", pointer)
        fact = self.fact(raw, self.default, pointer)
        request = self.request(raw, pointer, fact)
        success, response, links, errors, error_facts, types = self.responses(raw, pointer, fact)
        unsent = raw.get("x-unsent")
        if unsent not in {None, "unchanged"}:
            raise self.error(f"x-unsent is 'unchanged' or absent, not {unsent!r}", f"{pointer}/x-unsent")
        security = raw.get("security", self.document.data.get("security")) or []
        schemes = tuple(scheme for entry in security for scheme in entry)
        for scheme in schemes:
            if scheme not in self.schemes:
                raise self.error(f"no security scheme is called {scheme!r}", f"{pointer}/security")
        sent = tuple(scheme for entry in security if all(sendable(self.schemes[n]) for n in entry) for scheme in entry)
        return Operation(
            id=name,
            method=method.upper(),
            path=path,
            fact=fact,
            parameters=tuple(self.parameters(item, raw, pointer)),
            request=request,
            response=response,
            success=success,
            errors=errors,
            error_facts=error_facts,
            links=links,
            security=sent or schemes,
            guarded=bool(schemes) and {} not in security,
            unsent=fact if unsent else None,
            media_type=types.get(success, "application/json"),
            error_types=types,
            pointer=pointer,
            line=self.document.lines.get(pointer),
        )

    def parameters(self, item: Mapping[str, Any], raw: Mapping[str, Any], pointer: str) -> Iterator[Parameter]:
        """The parameters of a path item and of its operation."""
        places = [(p, f"{pointer.rpartition('/')[0]}/parameters/{i}") for i, p in enumerate(item.get("parameters", ()))]
        places += [(p, f"{pointer}/parameters/{i}") for i, p in enumerate(raw.get("parameters", ()))]
        for value, place in places:
            found, place = self.document.follow(value, place)
            if not isinstance(found.get("name"), str) or found.get("in") not in {"path", "query", "header", "cookie"}:
                raise self.error("a parameter has a 'name', and an 'in' that is path, query or header", place)
            if found.get("required") and found["in"] != "path":
                raise self.error(f"no {found['in']} parameter is sent, and this one is required", place)
            schema = self.document.expand(found.get("schema", {}), f"{place}/schema")
            yield Parameter(name=found["name"], place=found["in"], schema=schema)

    def request(self, raw: Mapping[str, Any], pointer: str, fact: Fact) -> Body | None:
        """The JSON body that the operation takes, or none."""
        if "requestBody" not in raw:
            return None
        found, place = self.document.follow(raw["requestBody"], f"{pointer}/requestBody")
        above = f"{place}/content"
        media, place, kind = self.media(found, place)
        if media is None or kind != "application/json":
            raise self.error("a request body has 'application/json' content", above)
        body = self.body(media.get("schema", {}), f"{place}/schema", fact)
        if body is None:
            raise self.error("a request body is an object with properties", f"{place}/schema")
        for item in body.fields.values():
            self.generated(item.schema, f"{body.pointer}/properties/{escape(item.name)}")
            known = {"string", "integer", "number", "boolean", "array", "object", "null"}
            if (not item.types and not item.enum) or set(item.types) - known:
                where = f"{body.pointer}/properties/{escape(item.name)}"
                raise self.error("a request property has a 'type' or an 'enum'", where)
        return body

    def generated(self, schema: Mapping[str, Any], pointer: str, *, nested: bool = False) -> None:
        """Makes sure that values can be made for a schema of a request, and for what is in it."""
        for key in sorted((_BODY_KEYS | _OUTER_KEYS if nested else _BODY_KEYS) & set(schema)):
            what = (
                "is read of a property of the body itself"
                if key in _OUTER_KEYS
                else "is not generated in a request body"
            )
            raise self.error(f"{key!r} {what}; remove it", f"{pointer}/{key}")
        for name, part in schema.get("properties", {}).items():
            self.generated(part, f"{pointer}/properties/{escape(name)}", nested=True)
        if isinstance(schema.get("items"), Mapping):
            self.generated(schema["items"], f"{pointer}/items", nested=True)

    def responses(
        self, raw: Mapping[str, Any], pointer: str, fact: Fact
    ) -> tuple[int, Body | None, tuple[Link, ...], dict[int, Mapping[str, Any]], dict[int, Fact], dict[int, str]]:
        """Status and body of the success, its links, the bodies of the refusals, and the media types of all."""
        success = 0
        body: Body | None = None
        links: tuple[Link, ...] = ()
        errors: dict[int, Mapping[str, Any]] = {}
        facts: dict[int, Fact] = {}
        types: dict[int, str] = {}
        for status, value in (raw.get("responses") or {}).items():
            found, place = self.document.follow(value, f"{pointer}/responses/{status}")
            if not re.fullmatch("[1-5][0-9][0-9]", status):
                continue
            known = self.fact(found, fact, place)
            media, media_place, kind = self.media(found, place)
            if media is not None:
                types[int(status)] = kind
            if 200 <= int(status) < 300:
                if success:
                    raise self.error("an operation has one documented success", place)
                success = int(status)
                if media is not None:
                    body = self.body(media.get("schema", {}), f"{media_place}/schema", known)
                links = tuple(self.links(found, place, known))
            else:
                facts[int(status)] = known
                if media is not None and "schema" in media:
                    errors[int(status)] = self.document.expand(media["schema"], f"{media_place}/schema")
        if not success:
            raise self.error("an operation has a documented success (200, 201, …)", pointer)
        return success, body, links, errors, facts, types

    def media(self, found: Mapping[str, Any], place: str) -> tuple[Mapping[str, Any] | None, str, str]:
        """(media type object, where it stands, media type) of the first JSON below *place*: ``application/json``, or
        what is built on it, such as ``application/problem+json``.
        """
        for name, value in (found.get("content") or {}).items():
            kind = name.partition(";")[0].strip().lower()
            if kind == "application/json" or kind.endswith("+json"):
                return value, f"{place}/content/{escape(name)}", kind
        return None, f"{place}/content", ""

    def links(self, found: Mapping[str, Any], place: str, fact: Fact) -> Iterator[Link]:
        """The links that read back."""
        for name, value in (found.get("links") or {}).items():
            where = f"{place}/links/{escape(name)}"
            if "x-reads-back" in value:
                filled = [str(v) for v in (value.get("parameters") or {}).values()]
                yield Link(
                    operation=str(value.get("operationId")),
                    records=str(value["x-reads-back"] or ""),
                    fact=self.fact(value, fact, where),
                    identity=next((v.removeprefix(_FILLED) for v in filled if v.startswith(_FILLED)), ""),
                )

    def body(self, raw: Any, pointer: str, fact: Fact) -> Body | None:
        """The object schema at *pointer*, or nothing where it is something else."""
        found, place = self.document.follow(raw, pointer)
        schema = plain(self.document.expand(found, place, (place,)))
        properties = schema.get("properties")
        if not properties:
            return None
        required = schema.get("required", [])
        for name in required:
            if name not in properties:
                raise self.error(f"{name!r} is required but is no property", f"{place}/required")
        fields = {}
        for name, value in properties.items():
            where = f"{place}/properties/{escape(name)}"
            fields[name] = self.field(name, value, where, fact, name in required, set(properties))
        aliases = tuple(
            self.alias(value, f"{place}/x-aliases/{i}", fields, fact)
            for i, value in enumerate(schema.get("x-aliases", ()))
        )
        for item in fields.values():
            for key in ("x-not-before", "x-region-of"):
                if key in item.schema and item.schema[key] not in fields:
                    problem = f"{key} names {item.schema[key]!r}, which is no property"
                    raise self.error(problem, f"{place}/properties/{escape(item.name)}/{key}")
        return Body(fields=fields, schema=schema, aliases=aliases, pointer=place)

    def field(
        self, name: str, schema: Mapping[str, Any], pointer: str, fact: Fact, required: bool, known: set[str]
    ) -> Field:
        """The property *name*."""
        own = self.fact(schema, fact, pointer)
        self.sound(schema, pointer)
        if (changes := schema.get("x-changes")) is not None and changes not in CHANGES:
            raise self.error(f"x-changes is one of {', '.join(CHANGES)}, not {changes!r}", f"{pointer}/x-changes")
        for facet in schema.get("x-facets", ()):
            if facet not in _FACETS:
                problem = f"the facet {facet!r} is not known.{nearest(facet, _FACETS)}"
                raise self.error(problem, f"{pointer}/x-facets/{escape(facet)}")
        facets = {
            facet: self.fact(value, own, f"{pointer}/x-facets/{facet}")
            for facet, value in (schema.get("x-facets") or {}).items()
        }
        told = {}
        if schema.get("x-selector") and not schema.get("enum"):
            raise self.error("x-selector is for a property with an 'enum'", f"{pointer}/x-selector")
        if schema.get("x-selector") and (odd := [v for v in schema["enum"] if not isinstance(v, str | None)]):
            raise self.error(f"the values of a selector are texts, not {odd[0]!r}"[:200], f"{pointer}/enum")
        for value, entry in (schema.get("x-selector") or {}).items():
            where = f"{pointer}/x-selector/{escape(value)}"
            if value not in schema.get("enum", []):
                raise self.error(f"{value!r} is not in the enum of {name!r}", where)
            told[value] = self.choice(value, entry or {}, where, own, known)
        values = [v for v in schema["enum"] if v is not None] if told else []
        return Field(
            name=name,
            schema=schema,
            fact=own,
            facets=facets,
            required=required,
            choices={v: told.get(v) or Choice(value=v, fact=own) for v in values},
            line=self.document.lines.get(pointer),
        )

    def sound(self, schema: Mapping[str, Any], pointer: str) -> None:
        """Makes sure that a schema says nothing against itself, and so against every value."""
        for low, high in product(_LEAST, _MOST):
            exclusive = "exclusive" in low + high
            if low[-4:] != high[-4:] or low not in schema or high not in schema or schema[low] < schema[high]:
                continue
            if exclusive or schema[low] > schema[high]:
                problem = f"no value lies within {low} {schema[low]} and {high} {schema[high]}"
                raise self.error(problem, f"{pointer}/{low}")
        typed = {"type": schema["type"]} if "type" in schema else {}
        for i, value in enumerate(schema.get("enum", ())):
            if value is not None and not jsonschema_rs.Draft202012Validator(typed).is_valid(value):
                raise self.error(f"{value!r} is in the enum, and not of the type", f"{pointer}/enum/{i}")
        if (value := schema.get("default")) is not None and not jsonschema_rs.Draft202012Validator(
            {word: schema[word] for word in (*BOUNDS, "type", "enum") if word in schema}
        ).is_valid(value):
            raise self.error(f"the default {value!r} is not one of its values", f"{pointer}/default")
        parts = {f"{pointer}/properties/{escape(n)}": part for n, part in schema.get("properties", {}).items()}
        parts |= {f"{pointer}/items": schema["items"]} if isinstance(schema.get("items"), Mapping) else {}
        kinds = [schema["type"]] if isinstance(schema.get("type"), str) else schema.get("type", [])
        held = [place for place, part in parts.items() if isinstance(part, Mapping) and part.get("x-resource")]
        if held or (schema.get("x-resource") and not {"array", "object"}.isdisjoint(kinds)):
            raise self.error("x-resource is for a property that holds one id", f"{(held or [pointer])[0]}/x-resource")
        for place, part in parts.items():
            self.sound(part, place)

    def choice(self, value: str, entry: Mapping[str, Any], pointer: str, fact: Fact, known: set[str]) -> Choice:
        """One value of a selector."""
        known_keys = ("requires", "uses", "deprecated", "basis", "source", "x-basis", "x-source")
        for key in entry:
            if key not in known_keys:
                problem = f"{key!r} is not read in a selector's value.{nearest(key, known_keys)}"
                raise self.error(problem, f"{pointer}/{escape(key)}")
        own = self.fact(entry, fact, pointer)
        needed, used = entry.get("requires") or {}, entry.get("uses") or []
        if not isinstance(needed, Mapping):
            raise self.error(f"an object is wanted here, not {needed!r}"[:200], f"{pointer}/requires")
        if not isinstance(used, list) or not all(isinstance(name, str) for name in used):
            raise self.error(f"a list of texts is wanted here, not {used!r}"[:200], f"{pointer}/uses")
        requires = {name: self.companion(detail or {}, own, f"{pointer}/requires/{escape(name)}")
                    for name, detail in needed.items()}  # fmt: skip
        filled = frozenset(name for name, detail in needed.items() if detail and "minLength" in detail)
        uses = tuple(used)
        for name in (*requires, *uses):
            if name not in known:
                problem = f"the companion {name!r} is no property of the body.{nearest(name, known)}"
                raise self.error(problem, pointer)
        return Choice(
            value=value,
            fact=own,
            requires=requires,
            uses=uses,
            filled=filled,
            deprecated=bool(entry.get("deprecated")),
            line=self.document.lines.get(pointer),
        )

    def companion(self, raw: Any, above: Fact, pointer: str) -> Fact:
        """How well it is known that a companion is required."""
        fact = self.fact(raw, above, pointer)
        for key, value in raw.items():
            if key not in {"basis", "source", "x-basis", "x-source", "minLength"}:
                raise self.error(f"{key!r} is not read for a companion", f"{pointer}/{escape(key)}")
            if key == "minLength" and value != 1:
                problem = f"minLength of a companion is 1: it must not be empty; not {value!r}"
                raise self.error(problem[:200], f"{pointer}/minLength")
        return fact

    def alias(self, raw: Mapping[str, Any], pointer: str, fields: Mapping[str, Field], fact: Fact) -> AliasGroup:
        """One group of aliases."""
        names, wins = raw.get("fields"), raw.get("wins")
        if not isinstance(names, list) or not isinstance(wins, str) or wins not in names:
            problem = f"a group of aliases has a list of 'fields', and one of them 'wins', not {wins!r}"
            raise self.error(problem[:200], pointer)
        if len({*map(str, names)}) < len(names):
            raise self.error("a group of aliases names each field once", f"{pointer}/fields")
        for name in names:
            if not isinstance(name, str) or name not in fields:
                hint = nearest(str(name), fields)
                raise self.error(f"the alias {name!r} is no property of the body.{hint}", pointer)
        return AliasGroup(fields=tuple(names), wins=wins, fact=self.fact(raw, fact, pointer))

    def fact(self, raw: Mapping[str, Any], above: Fact, pointer: str) -> Fact:
        """Basis and source that *raw* states, or those of what stands above it."""
        if not isinstance(raw, Mapping):
            raise self.error(f"an object is wanted here, not {raw!r}"[:200], pointer)
        basis = raw.get("x-basis", raw.get("basis", above.basis))
        if basis not in BASES:
            raise self.error(f"a basis is one of {', '.join(BASES)}, not {basis!r}", pointer)
        source = str(raw.get("x-source", raw.get("source", above.source)))
        key = source.partition(":")[0].strip()
        if source and self.sources and key not in self.sources:
            raise self.error(f"the source {key!r} is not in x-sources.{nearest(key, self.sources)}", pointer)
        return Fact(basis, source)
