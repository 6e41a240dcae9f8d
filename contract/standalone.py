"""Writes recorded failures as a file of pytest tests that needs nothing but httpx.

Each test brings the record to where it stood, sends what was sent, and asserts in plain words of Python
what the rule expects; a fixture puts the record back, whatever happens. The text is made of literals
only: nothing that an API answered is ever code.
"""

from __future__ import annotations

import pprint
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import jinja2

from contract.formats import CUSTOM, calling_regions, is_e164
from contract.generate import Generator
from contract.mask import plain
from contract.model import MISSING, Case, of_time, under
from contract.recipe import Recipe
from contract.replay import Recorded
from contract.restore import writable
from contract.rules import rules as rules_of
from contract.send import MALFORMED, UNKNOWN, shaped
from contract.spec import Contract, Field, Operation

__all__ = ["text"]

_SCHEMA_WORDS: Final = ("type", "enum", "const", "format", "required", "properties", "items")


def text(
    recorded: Iterable[Recorded], contract: Contract, run: Mapping[str, Any], id: str = ""
) -> tuple[str, list[Recorded]]:
    """The file, which writes to the record *id* where the environment names no other, and the failures that no
    test can be written for.
    """
    maker = _Maker(contract)
    tests: list[str] = []
    left: list[Recorded] = []
    for one in recorded:
        made = maker.test(one, len(tests) + 1)
        if made is None:
            left.append(one)
        else:
            tests.append(made)
    when = str(run.get("started", ""))
    docstring = (
        f"Failures of the contract {contract.title!r}, found {when}, to be tried again one by one.\n\n"
        "Needs pytest and httpx. Reads CONTRACT_BASE_URL, CONTRACT_IDS (the first is written to, and put\n"
        "back), and CONTRACT_USERNAME with CONTRACT_PASSWORD, or CONTRACT_TOKEN.\n\n"
        "Written by: contract replay --pytest"
    )
    head = _template().render(
        docstring=_quoted(docstring),
        base_url=repr(str(run.get("base_url", ""))),
        id=repr(id),
        update=(contract.update.method, contract.update.path),
        retrieve=(contract.retrieve.method, contract.retrieve.path),
        writable=_literal(writable(contract), 0),
        needs=_literal(maker.needs(), 0),
        unknown=maker.unknown(),
        malformed=repr(MALFORMED),
    )
    return "\n\n".join([head.rstrip("\n"), *tests]) + "\n", left


def _template() -> jinja2.Template:
    """The head of the file: its imports, and what its tests call."""
    loader = jinja2.FileSystemLoader(Path(__file__).parent)
    return jinja2.Environment(loader=loader, undefined=jinja2.StrictUndefined).get_template("standalone.jinja")


def _quoted(words: str) -> str:
    """*words* as a docstring."""
    safe = "\n".join(plain(line) for line in words.split("\n")).replace("\\", "\\\\").replace('"', "'")
    return f'"""\n{safe}\n"""' if "\n" in safe else f'"""{safe}"""'


def _literal(value: Any, indent: int) -> str:
    """*value* as Python, over as many lines as it needs."""
    if value is MISSING:
        return "None"
    lines = pprint.pformat(value, width=110 - indent, sort_dicts=False).split("\n")
    return ("\n" + " " * indent).join(lines)


def _schema(value: Any) -> Any:
    """*value* with the words that the file reads, and no others."""
    if not isinstance(value, Mapping):
        return value
    found = {word: value[word] for word in _SCHEMA_WORDS if word in value}
    if "properties" in found:
        found["properties"] = {name: _schema(one) for name, one in found["properties"].items()}
    return {**found, "items": _schema(found["items"])} if "items" in found else found


class _Maker:
    """Writes one test after another."""

    def __init__(self, contract: Contract) -> None:
        self.contract = contract
        self.rules = rules_of(contract)
        self.fields = contract.record
        self.sent = contract.request.fields
        self.generator = Generator(contract.update)

    def needs(self) -> dict[str, dict[str, list[str]]]:
        """Selector -> value -> its companions."""
        selectors = self.contract.request.selectors.items()
        return {n: {v: list(choice.requires) for v, choice in f.choices.items()} for n, f in selectors}

    def unknown(self) -> str:
        """The source of an id of nothing, as `contract.send.unknown` makes it."""
        key = self.contract.update.key
        kinds = key.schema.get("type", "string") if key is not None else "string"
        if "integer" in kinds:
            return repr("987654321")
        if shaped(self.contract.update):
            return 're.sub(r"\\d", "9", ID)'
        return f'f"{{ID[:9]}}{{int(ID[9:13], 16) ^ 0xFFFF:04x}}{{ID[13:]}}" if UUID.fullmatch(ID) else "{UNKNOWN}"'

    def test(self, one: Recorded, number: int) -> str | None:
        """The test for one failure, or nothing."""
        rule = self.rules.get(one.rule)
        if one.recipe is None or rule is None:
            return None
        operation = self.contract.operations[rule.operation]
        asserts = list(_Asserts(self, one, one.recipe, operation).lines())
        if not asserts:
            return None
        slug = re.sub(r"\W+", "_", one.rule.partition(".")[2]).strip("_").lower()[:60]
        told = f"{one.rule}: {rule.text}."
        source = f"{rule.basis}: {self.contract.source(rule.fact)}"
        comment = [f"# {plain(line)}"[:118] for line in (f"case: {one.case}", f"source: {source}", one.finding.message)]
        body = [_quoted(told), *comment, *self.steps(one, one.recipe), *asserts]
        return f"def test_{number:02}_{slug}(api, record):\n" + "\n".join(f"    {line}" for line in body)

    def steps(self, one: Recorded, recipe: Recipe) -> Iterator[str]:
        """What is sent."""
        state = self.state(one, recipe)
        if state:
            yield f"stand(api, {_literal(state, 15)})"
        absent = list(dict.fromkeys(name for case in recipe.cases for name in case.absent))
        if absent:
            yield f"clear(api, {absent!r})"
        if of_time(one.rule, "moves"):
            yield "time.sleep(3.2)"
        elif one.finding.name in self.fields and self.time(one):
            yield "time.sleep(1.2)  # clocks of one second are usual"
        yield "before = read(api)"
        for i, case in enumerate(recipe.cases):
            name = "answer" if i == len(recipe.cases) - 1 else f"earlier_{i + 1}"
            yield from self.call(case, name)

    def time(self, one: Recorded) -> bool:
        """True where the rule compares times."""
        item = self.fields[one.finding.name]
        return item.format == "date-time" and not under(one.rule, "shape", "format")

    def state(self, one: Recorded, recipe: Recipe) -> dict[str, Any]:
        """How the record has to stand, as far as that may matter."""
        state = recipe.state or {}
        name = one.finding.root
        names = [name]
        if under(one.rule, "frame", "idempotence", "read_back", "handler", "echo"):
            for selector, choices in self.needs().items():
                names += [selector, *choices.get(str(state.get(selector)), ())]
        for case in recipe.cases:
            if case.away_from is not None and state.get(case.away_from[0]) == case.away_from[1]:
                names = [n for n in names if n != case.away_from[0]]
        absent = {n for case in recipe.cases for n in case.absent}
        found: dict[str, Any] = {}
        for wanted in dict.fromkeys(names):
            if wanted in absent or wanted not in self.sent:
                continue
            value = state.get(wanted, MISSING)
            if value is MISSING and wanted in self.generator.fields and wanted != name:
                value = self.generator.firm(wanted)[0]  # It is never shown, so nobody knows what it was.
            if value is not MISSING and (
                value is None or not self.sent[wanted].enum or value in self.sent[wanted].enum
            ):
                found[wanted] = value
        body = recipe.cases[-1].body
        if under(one.rule, "echo") and isinstance(body, Mapping) and name in body:
            found |= self.another(name, body[name], found.get(name, body[name]))
        return found

    def another(self, name: str, sent: Any, stood: Any) -> dict[str, Any]:
        """A value that differs from what is sent, where it stood at that: one that is not stored would not be seen."""
        gen = self.generator
        if stood != sent or name not in gen.fields:
            return {}
        options = gen.enums[name] if name in gen.enums else gen.firm(name)
        other = next((value for value in options if value != sent), None)
        return {} if other is None else gen.complete({name: other})

    def call(self, case: Case, name: str) -> Iterator[str]:
        """One request."""
        operation = self.contract.operations[case.operation]
        known = {self.contract.update.id: "UPDATE", self.contract.retrieve.id: "RETRIEVE"}
        request = known.get(operation.id) or repr((operation.method, operation.path))
        given = ["api", request]
        if case.body is not MISSING:
            yield f"body = {_literal(case.body, 11)}"
            given.append("body")
        if case.content is not None:
            given.append(f"content={case.content!r}")
        for key in ("credentials", "target", "media_type", "query"):
            value = getattr(case, key)
            if value != getattr(Case(label="", operation=""), key):
                given.append(f"{key}={value!r}")
        yield f"{name} = send({', '.join(given)})"


class _Asserts:
    """What one rule expects, as lines of Python."""

    def __init__(self, maker: _Maker, one: Recorded, recipe: Recipe, operation: Operation) -> None:
        self.maker = maker
        self.one = one
        self.recipe = recipe
        self.operation = operation
        self.case = recipe.cases[-1]
        self.detail = one.rule.partition(".")[2]
        self.promise = self.detail.partition(".")[0]
        pointer = maker.contract.list_in(operation)
        self.in_list = bool(pointer)
        self.records = pointer.strip("/").split("/") if pointer else []
        self.field = one.finding.leaf if self.in_list else one.finding.root

    def lines(self) -> Iterator[str]:
        """The assertions; none where the rule is about something that one test cannot show."""
        writer = {
            "shape": self.shape, "enum": self.value, "e164": self.value, "format": self.value, "access": self.refused,
            "accept": self.accepted, "deprecated": self.accepted, "handler": self.handler, "echo": self.echo,
            "read_back": self.read_back, "frame": self.frame, "idempotence": self.idempotence, "time": self.time,
            "rejection": self.rejection,
        }.get(self.promise)  # fmt: skip
        if writer is not None:
            yield from writer()

    # ----------------------------------------------------------------- pieces

    def success(self) -> str:
        return f"assert answer.status_code == {self.operation.success}, answer.text"

    def answered(self) -> Iterator[str]:
        """The record, or the records, in the answer."""
        reads = self.recipe.read and self.operation is self.maker.contract.retrieve
        yield "shown = read(api)" if reads else "shown = answer.json()"

    def equal(self, left: str, right: str) -> str:
        return f"assert like({left}[{self.field!r}], {right}[{self.field!r}])"

    def refused(self) -> Iterator[str]:
        """The request is refused, and nothing changed."""
        if self.case.credentials != "right":
            yield "assert answer.status_code in (401, 403), answer.text"
        elif self.case.target in {"unknown", "foreign"}:
            yield "assert answer.status_code == 404, answer.text"
        else:
            yield "assert 400 <= answer.status_code < 500, answer.text"
        yield "assert not differing(before, read(api))"

    def shape(self) -> Iterator[str]:
        facet = self.detail.partition(".")[2]
        if facet == "status":
            yield self.success()
        elif facet == "media_type":
            yield "kind, _, rest = answer.headers.get('content-type', '').partition(';')"
            yield f"assert kind.strip().lower() == {self.operation.media_type!r}"
            yield "assert 'charset' not in rest.lower() or 'utf' in rest.lower()"
        elif facet == "json":
            yield "strict(answer)"
        elif facet == "identity":
            yield from self.answered()
            yield f"assert shown[{self.maker.contract.identity!r}] == ID"
        elif facet in {"", "body"}:
            yield from self.answered()
            yield "found = shown"
            for token in self.records:
                yield f"found = found[{token!r}]"
            body = self.maker.contract.retrieve.response
            schema: dict[str, Any] = {
                "type": "object",
                "required": [n for n, f in body.fields.items() if f.required] if body else [],
            }
            schema = {"type": "array", "items": schema} if self.in_list else schema
            yield f"assert not problem(found, {_literal(schema, 8)})"
        else:
            yield from self.value()

    def value(self) -> Iterator[str]:
        """A value has the documented type, format, or is one of those that are documented."""
        item = self.maker.fields.get(self.field)
        if item is None:
            return
        yield from self.answered()
        yield f"schema = {_literal(_schema(item.schema), 9)}"
        if not self.in_list:
            yield from self.one_value(item, "shown")
            return
        yield "found = shown"
        for token in self.records:
            yield f"found = found[{token!r}]"
        yield "for entry in found:"
        for line in self.one_value(item, "entry"):
            yield f"    {line}"

    def one_value(self, item: Field, name: str) -> Iterator[str]:
        if item.required:
            yield f"assert {item.name!r} in {name}"
            yield f"assert not problem({name}[{item.name!r}], schema)"
        else:
            yield f"assert {item.name!r} not in {name} or not problem({name}[{item.name!r}], schema)"
        number = self.number(item)
        if number and not self.in_list:
            regions = [region for region in calling_regions(number) or () if region != "001"]
            if regions:
                yield f"assert {name}[{item.name!r}] in {regions!r}  # the regions of {number[:4]}…"
        if item.format in CUSTOM and isinstance(self.one.finding.actual, str) and not number:
            # What an assigned code is takes tables; the value that was wrong stays wrong.
            yield f"assert {name}[{item.name!r}] != {self.one.finding.actual!r}"

    def number(self, item: Field) -> str:
        """The number whose regions a country code must be among, where the failure is about that."""
        expected = self.one.finding.expected
        known = isinstance(expected, str) and expected.startswith("one of ") and "x-region-of" in item.schema
        answer = self.one.answer
        found = answer.get(item.schema["x-region-of"]) if known and isinstance(answer, Mapping) else None
        return found if isinstance(found, str) and is_e164(found) else ""

    def accepted(self) -> Iterator[str]:
        yield self.success()
        body = self.case.body
        if isinstance(body, Mapping) and self.field in body and self.field in self.maker.fields:
            yield f"assert answer.json()[{self.field!r}] == body[{self.field!r}]"

    def handler(self) -> Iterator[str]:
        if ".requires." in self.detail or self.case.expect == "reject":
            yield from self.refused()
        else:
            yield from self.accepted()

    def echo(self) -> Iterator[str]:
        body = self.case.body
        if not isinstance(body, Mapping) or self.field not in body:
            return
        if self.case.expect == "unspecified":
            yield "if answer.is_success:  # it may be refused as well"
            yield f"    assert answer.json()[{self.field!r}] in (body[{self.field!r}], before[{self.field!r}])"
            return
        yield self.success()
        yield f"assert answer.json()[{self.field!r}] == body[{self.field!r}]"

    def read_back(self) -> Iterator[str]:
        if self.in_list:
            yield "found = answer.json()"
            for token in self.records:
                yield f"found = found[{token!r}]"
            yield f"entry = next(one for one in found if one[{self.maker.contract.identity!r}] == ID)"
            yield "now = read(api)"
            if self.field:
                yield self.equal("entry", "now")
            yield "assert not differing(entry, now)"
        elif self.field:
            yield "assert answer.is_success, answer.text"
            yield self.equal("read(api)", "answer.json()")

    def frame(self) -> Iterator[str]:
        if not self.field:
            return
        body = self.case.body
        sent = isinstance(body, Mapping) and self.field in body
        yield "if answer.is_success:"
        comment = "" if sent else "  # it was not sent"
        yield f"    {self.equal('answer.json()', 'before')}{comment}"
        if self.case.expect == "accept":
            yield self.success()

    def idempotence(self) -> Iterator[str]:
        if self.field and len(self.recipe.cases) > 1:
            yield self.success()
            yield self.equal("answer.json()", f"earlier_{len(self.recipe.cases) - 1}.json()")

    def time(self) -> Iterator[str]:
        name = repr(self.field)
        item = self.maker.fields.get(self.field)
        shown = "read(api)" if self.recipe.read else "answer.json()"
        if self.detail.endswith(".forward"):
            yield f"assert moment({shown}[{name}]) >= moment(before[{name}])"
        elif self.detail.endswith(".not_before") and item is not None:
            yield f"shown = {shown}"
            yield f"assert moment(shown[{name}]) >= moment(shown[{item.schema.get('x-not-before', '')!r}])"
        elif self.detail.endswith(".moves"):
            yield f"assert moment(answer.json()[{name}]) > moment(before[{name}])"

    def rejection(self) -> Iterator[str]:
        facet = self.detail.partition(".")[2]
        if facet == "no_server_error":
            yield "assert answer.status_code < 500, answer.text"
        elif facet == "no_leak":
            yield "assert not [s for s in SECRETS if len(s) >= 8 and s in answer.text + str(answer.headers)]"
            yield "assert not re.search(r'Traceback|\\.(java|rb|php|cs|js):\\d+|goroutine \\d+', answer.text)"
            yield 'assert not re.search(r\'(?i)"[^"]*(password|secret|api_?key|auth_?token|api_?token)": *"\', answer.text)'
        elif facet == "error_body":
            yield from self.error_body()
        elif facet == "no_trace":
            if self.field:
                yield "assert not answer.is_success, answer.text"
                yield self.equal("read(api)", "before")
        elif self.case.expect == "reject":
            yield from self.refused()
        elif self.field:
            yield "if answer.is_success:  # it may be refused as well"
            if self.case.keep:
                yield f"    {self.equal('answer.json()', 'before')}"
            else:
                allowed = f"(body.get({self.field!r}), before[{self.field!r}], None, '')"
                yield f"    assert answer.json()[{self.field!r}] in {allowed}"

    def error_body(self) -> Iterator[str]:
        schemas = {
            status: _schema(schema)
            for status, schema in self.operation.errors.items()
            if schema.get("x-basis", "documented") == "documented"
        }
        yield f"schemas = {_literal(schemas, 10)}"
        yield "if answer.status_code in schemas:"
        yield f"    assert answer.headers['content-type'].partition(';')[0].strip().lower() == {self.operation.media_type!r}"
        yield "    assert not problem(answer.json(), schemas[answer.status_code])"
