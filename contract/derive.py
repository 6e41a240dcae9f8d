"""Reads the text of a reference page and makes the skeleton of a fragment from it, or compares it with one.

A page of this kind names an operation, says a line about it, and lists fields under headings: a
field's name stands alone on a line, perhaps with "Deprecated" glued to it; its description follows,
and "Allowed values:" where its values are enumerated. Only names and these marks are taken from the
page: its sentences are somebody's text and stay there.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from contract.errors import ContractError
from contract.spec import Contract, Field

__all__ = ["Comparison", "Entry", "Page", "compare", "read", "read_file", "skeleton"]

MAX_CHARACTERS: Final = 2_000_000
_HEADINGS: Final[Mapping[str, str]] = {
    **dict.fromkeys(("path parameters", "path parameter"), "path"),
    **dict.fromkeys(("query parameters", "query parameter"), "query"),
    **dict.fromkeys(("headers", "request headers"), "header"),
    **dict.fromkeys(("request", "request body", "body parameters"), "request"),
    **dict.fromkeys(("response", "response body", "responses"), "response"),
    **dict.fromkeys(("errors", "request example", "response example", "example", "examples"), ""),
}
"""Heading in small letters -> section; nothing for what is not read."""
_MARKS: Final = ("Deprecated", "Required", "Optional")
_TYPES: Final = frozenset({"string", "integer", "number", "boolean", "array", "object", "uuid", "enum"})
"""What a page may say below a field's name of its type."""
_NAME: Final = re.compile(r"[A-Za-z_$][\w$.\-\[\]]*")
_ALLOWED: Final = re.compile(r"allowed values\s*:?\s*(.*)", re.IGNORECASE)
_DEPRECATED: Final = re.compile(r"\(?deprecated\b|this [a-z ]{1,30} is deprecated\b", re.IGNORECASE)
_METHOD: Final = re.compile(r"\b(GET|PUT|POST|PATCH|DELETE|HEAD|OPTIONS)\b")
_PATH: Final = re.compile(r"(?<![\w/:])(/[\w.\-{}]+(?:/[\w.\-{}]+)*)")
_WORDS: Final = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n"})
"""What YAML does not take, or once did not take, for a string."""
_PLACEHOLDER: Final = "value-from-the-page"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One field that a page lists."""

    name: str
    line: int
    """Where it stands, counted from 1."""
    deprecated: bool = False
    required: bool = False
    enumerated: bool = False
    """True where the page announces allowed values."""
    values: tuple[str, ...] = ()
    """The allowed values, where the text still has them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """What a page says, without its sentences."""

    title: str
    method: str = ""
    path: str = ""
    sections: Mapping[str, Mapping[str, Entry]] = field(default_factory=dict)
    """``path``, ``query``, ``header``, ``request`` or ``response`` -> name -> field."""

    def section(self, name: str) -> Mapping[str, Entry]:
        """The fields of one section; empty where the page has none."""
        return self.sections.get(name, {})

    @property
    def counts(self) -> str:
        """How much was found, in words."""
        parts = [
            f"{len(entries)} {name} {'parameter' if name in {'path', 'query'} else 'field'}{'s'[: len(entries) != 1]}"
            for name, entries in self.sections.items()
        ]
        deprecated = sum(entry.deprecated for entries in self.sections.values() for entry in entries.values())
        return ", ".join([*parts, f"{deprecated} deprecated"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """A page against a fragment."""

    differences: tuple[str, ...]
    newer: tuple[str, ...]
    """Optional fields that the fragment has from another source than the page."""


def read_file(path: Path) -> Page:
    """The page in the file *path*.

    Raises:
        ContractError: it cannot be read as such a page.
    """
    try:
        return read(path.read_text(encoding="utf-8-sig"), str(path))
    except OSError as error:
        raise ContractError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ContractError(f"{path} is not UTF-8 text") from error


def read(text: str, file: str = "the page") -> Page:
    """The page in *text*.

    Raises:
        ContractError: it has no headings that are known, or no field under them.
    """
    if len(text) > MAX_CHARACTERS:
        raise ContractError(f"{file} is longer than {MAX_CHARACTERS:,} characters")
    lines = [" ".join(line.replace("\u200b", "").split()) for line in text.splitlines()]
    start = next((i for i, line in enumerate(lines) if _heading(line)), None)
    if start is None:
        known = "'Path parameters', 'Request' or 'Response'"
        raise ContractError(f"{file} is no reference page: it has no line that reads {known}")
    head = [line for line in lines[:start] if line]
    found = _sections(lines, start)
    if not found:
        raise ContractError(f"{file} has no field under its headings, of which the first is in line {start + 1}")
    about = " ".join(head)
    method, path = _METHOD.search(about), _PATH.search(about)
    return Page(
        title=head[0] if head else "",
        method=method[1] if method else "",
        path=path[1].rstrip(".") if path else "",
        sections=found,
    )


def _heading(line: str) -> str | None:
    """The section that *line* opens, nothing (``""``) for one that is not read, `None` for no heading."""
    # A field may be called "request"; a heading is written with a capital.
    return _HEADINGS.get(line.lower()) if line[:1].isupper() else None


def _sections(lines: list[str], start: int) -> dict[str, dict[str, Entry]]:
    """The fields below each heading."""
    found: dict[str, dict[str, Entry]] = {}
    section, entry = "", None
    values = False
    for i, line in enumerate(lines[start:], start):
        opened = _heading(line)
        if opened is not None:
            # Below an example, "Response" is the name of a tab and not the list of fields again.
            section, entry, values = opened if opened not in found else "", None, False
            continue
        if not line or not section:
            continue
        if (allowed := _ALLOWED.fullmatch(line)) and entry is not None:
            listed = tuple(re.findall(r"[^\s,|'\"`]+", allowed[1]))
            entry, values = replace(entry, enumerated=True, values=listed), not listed
        elif (named := _named(line, i + 1)) and _is_field(named, lines, i, entry, values):
            entry, values = found.setdefault(section, {}).setdefault(named.name, named), False
        elif entry is None:
            continue
        elif values and _NAME.fullmatch(line):
            entry = replace(entry, values=(*entry.values, line))
        elif line in _MARKS or _DEPRECATED.match(line):
            entry = _marked(entry, line if line in _MARKS else "Deprecated")
        if entry is not None:
            found[section][entry.name] = entry
    return {name: entries for name, entries in found.items() if entries}


def _named(line: str, number: int) -> Entry | None:
    """The field that *line* names, with the marks beside or glued to its name."""
    entry = Entry(name="", line=number)
    rest = line
    while mark := next((m for m in _MARKS if rest.endswith(m) and rest != m), None):
        entry, rest = _marked(entry, mark), rest[: -len(mark)].rstrip()
    if rest in _MARKS or not _NAME.fullmatch(rest):
        return None
    return replace(entry, name=rest)


def _marked(entry: Entry, mark: str) -> Entry:
    """*entry* with one more mark."""
    if mark == "Optional":
        return entry
    return replace(entry, deprecated=True) if mark == "Deprecated" else replace(entry, required=True)


def _is_field(named: Entry, lines: list[str], i: int, above: Entry | None, values: bool) -> bool:
    """True where the single word in line *i* is a field's name: not a description of one word, and not
    one of the values that were announced.
    """
    following = next((line for line in lines[i + 1 :] if line), "")
    described = " " in following and _heading(following) is None and _named(following, 0) is None
    if values:
        return described
    first = above is not None and i > 0 and _named(lines[i - 1], 0) is not None
    if first and named.name in _TYPES:
        return False
    return described or not (first and named.name[:1].isupper())


def skeleton(page: Page, file: str = "a page") -> Iterator[str]:
    """The lines of a fragment with what the page says: YAML that `contract.spec` loads.

    What the page does not say is a string, an open value, or a placeholder with a comment.
    """
    name = re.sub(r"[^a-z0-9]+", "_", page.title.lower()).strip("_") or "operation"
    if not name[0].isalpha():
        name = f"operation_{name}"
    path = page.path or "/resources" + "".join(f"/{{{key}}}" for key in page.section("path"))
    yield f"# Made from {file}: {page.counts}."
    yield "openapi: 3.1.0"
    yield f"info: {{title: {_quoted(page.title)}, version: 1.0.0}}"
    yield f"x-sources: {{page: {{title: {_quoted(f'Reference page {page.title!r}')}}}}}"
    yield "paths:"
    yield f"  {_quoted(path)}:" + ("" if page.path else "  # the page does not say the path")
    method = page.method or "PUT"
    yield f"    {method.lower()}:" + ("" if page.method else "  # the page does not say the method")
    yield f"      operationId: {name}"
    yield "      x-basis: documented"
    yield "      x-source: page"
    places = [(place, entry) for place in ("path", "query", "header") for entry in page.section(place).values()]
    if places:
        yield "      parameters:"
    for place, entry in places:
        required = ", required: true" if place == "path" or entry.required else ""
        deprecated = ", deprecated: true" if entry.deprecated else ""
        yield f"        - {{name: {_quoted(entry.name)}, in: {place}{required}{deprecated}, schema: {{type: string}}}}"
    if page.section("request"):
        yield "      requestBody:"
        yield "        required: true"
        yield "        content:"
        yield "          application/json:"
        yield from _object(page.section("request"), " " * 12, request=True)
    yield "      responses:"
    yield '        "200":'
    yield "          description: Success."
    if page.section("response"):
        yield "          content:"
        yield "            application/json:"
        yield from _object(page.section("response"), " " * 14, request=False)


def _object(entries: Mapping[str, Entry], indent: str, *, request: bool) -> Iterator[str]:
    """The lines of the schema of a body."""
    yield f"{indent}schema:"
    yield f"{indent}  type: object"
    required = [entry.name for entry in entries.values() if entry.required or not request]
    if required:
        yield f"{indent}  required:"
        yield from (f"{indent}    - {_quoted(name)}" for name in required)
    yield f"{indent}  properties:"
    for entry in entries.values():
        yield f"{indent}    {_quoted(entry.name)}:"
        if request:
            yield f"{indent}      type: string"
        if entry.values:
            yield f"{indent}      enum: [{', '.join(map(_quoted, entry.values))}]"
        elif entry.enumerated:
            yield f"{indent}      enum: [{_PLACEHOLDER}]  # the page announces allowed values"
        if entry.deprecated:
            yield f"{indent}      deprecated: true"
        yield f"{indent}      x-basis: documented"
        yield f"{indent}      x-source: page"


def _quoted(text: str) -> str:
    """*text* as a YAML scalar that is a string for every reader."""
    plain = re.fullmatch(r"[A-Za-z_][\w-]*", text) is not None and text.lower() not in _WORDS
    return text if plain else json.dumps(text, ensure_ascii=False)


def compare(page: Page, contract: Contract, operation: str = "") -> Comparison:
    """What *page* has that the contract lacks, and the reverse.

    *operation* is the id of the operation that the page is about; without it, the update for a page
    with a request, and the retrieve for one without.

    Raises:
        SpecError: the contract has no such operation.
    """
    if operation:
        found = contract.operation(operation)
    else:
        found = contract.update if page.section("request") else contract.retrieve
    differences = []
    if page.method and page.method != found.method:
        differences.append(f"the page says {page.method}, the fragment {found.method}")
    ours = {p.name for p in found.parameters if p.place == "path"}
    theirs = set(page.section("path"))
    differences += [f"path parameter {name}: the fragment lacks it" for name in sorted(theirs - ours)]
    differences += [f"path parameter {name}: the page lacks it" for name in sorted(ours - theirs)]
    newer = []
    for section, body in (("request", found.request), ("response", found.response)):
        fields = body.fields if body is not None else {}
        entries = page.section(section)
        # The page is the source from which most of its fields come.
        keys = Counter(_key(fields[name]) for name in entries if name in fields)
        key = max(keys, key=keys.__getitem__, default=None)
        for name, entry in entries.items():
            if name in fields:
                differences += [f"{section} {name}: {what}" for what in _field(entry, fields[name])]
                if entry.required and section == "request" and not fields[name].required:
                    differences.append(f"{section} {name}: the page calls it required, the fragment does not")
            else:
                differences.append(f"{section} {name}: the fragment lacks it (line {entry.line} of the page)")
        for name, item in fields.items():
            if name in entries:
                continue
            source = contract.source(item.fact)
            if item.required or _key(item) == key:
                where = f" (line {item.line})" if item.line else ""
                differences.append(f"{section} {name}: the page lacks it, the fragment has it{where} from {source}")
            else:
                newer.append(f"{section} {name}, from {source}")
    return Comparison(differences=tuple(differences), newer=tuple(newer))


def _key(item: Field) -> str:
    return item.fact.source.partition(":")[0].strip()


def _field(entry: Entry, item: Field) -> Iterator[str]:
    """What a page says of one field and the fragment does not, and the reverse."""
    if entry.deprecated != item.deprecated:
        one, other = ("page", "fragment") if entry.deprecated else ("fragment", "page")
        yield f"the {one} calls it deprecated, the {other} does not"
    known = item.listed
    if entry.enumerated and not known and "boolean" not in item.types:
        yield "the page announces allowed values, the fragment has no enum"
    if entry.values and known:
        listed = {str(value) for value in (*known, *item.open_values)}
        yield from (f"the fragment lacks the value {value!r}" for value in entry.values if value not in listed)
        yield from (f"the page lacks the value {value!r}" for value in map(str, known) if value not in entry.values)
