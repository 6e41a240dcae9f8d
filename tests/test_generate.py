"""The generator, held to another implementation of JSON Schema in both directions."""

from __future__ import annotations

import copy
import functools
import json
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

import pytest
from jsonschema import Draft202012Validator, FormatChecker

from contract import spec
from contract.errors import SpecError
from contract.formats import matches
from contract.generate import LETTERS, OPEN_TEXTS, OPEN_URLS, TEXTS, URLS, Generator, draw
from contract.model import MISSING
from contract.rules import rules
from contract.spec import Contract
from tests.fragments import REQUEST, RESPONSE, lamp
from tests.subscriptions import FRAGMENT

RESERVED = re.compile(r"(?:[a-z0-9-]+\.)*(?:example\.(?:com|org|net)|[a-z0-9-]+\.example)", re.IGNORECASE)
"""Hosts of RFC 2606, sections 2 and 3."""

BUNDLED, SECOND = spec.load(), spec.load(FRAGMENT)
NAMES = [n for n, f in BUNDLED.update.request.fields.items() if f.resource] if BUNDLED.update.request else []
RESOURCES = {name: f"00000000-0000-4000-8000-{i:012}" for i, name in enumerate(NAMES)}
POOR, RICH, OTHER = Generator(BUNDLED.update), Generator(BUNDLED.update, RESOURCES), Generator(SECOND.update)
GENERATORS = {"without ids": POOR, "with ids": RICH, "second fragment": OTHER}


@functools.cache
def positive(name: str) -> list[dict[str, Any]]:
    """Three hundred bodies of one generator."""
    return draw(GENERATORS[name].bodies(), 300, 0)


@functools.cache
def negative(name: str, seed: int = 0) -> list[tuple[dict[str, Any], str]]:
    """Two hundred bodies that break a rule, each with the rule."""
    return draw(GENERATORS[name].negative_bodies(), 200, seed)


def schema_of(generator: Generator) -> dict[str, Any]:
    """The whole schema of a request body, with the conditions of its selectors in plain JSON Schema."""
    conditions = [
        {
            "if": {"required": [name], "properties": {name: {"const": value}}},
            "then": {"required": list(choice.requires)},
        }
        for name, item in generator.request.selectors.items()
        for value, choice in item.choices.items()
    ]
    return {**generator.request.schema, "allOf": conditions}


CHECKER = FormatChecker(formats=())
for _name in ("uuid", "date-time", "uri", "email", "e164", "date"):
    CHECKER.checks(_name)(lambda value, name=_name: matches(name, value))
VALIDATORS = {
    name: Draft202012Validator(schema_of(generator), format_checker=CHECKER) for name, generator in GENERATORS.items()
}


def hosts(value: Any) -> Iterator[str]:
    """The host of every address in *value*."""
    if isinstance(value, Mapping):
        for inner in value.values():
            yield from hosts(inner)
    elif isinstance(value, str) and "://" in value:
        yield urlsplit(value).hostname or ""


# ------------------------------------------------------------------------ both directions


@pytest.mark.parametrize("name", GENERATORS)
def test_bodies_are_valid(name: str) -> None:
    """Every body is valid under the schema with its conditions, as another implementation judges it."""
    for body in positive(name)[:100]:
        assert [error.message for error in VALIDATORS[name].iter_errors(body)] == []
        assert json.loads(json.dumps(body)) == body


@pytest.mark.parametrize("name", GENERATORS)
def test_bodies_hold_what_may_be_sent(name: str) -> None:
    """No field is read-only, none needs an id that was not given, no value is open, and every host is reserved."""
    generator = GENERATORS[name]
    for body in positive(name):
        for field, value in body.items():
            item = generator.fields[field]
            assert not item.read_only
            assert not item.resource or value == generator.resources[field]
            assert value not in item.open_values
        for host in hosts(body):
            assert RESERVED.fullmatch(host)


@pytest.mark.parametrize("name", GENERATORS)
def test_aliases_are_sent_one_at_a_time(name: str) -> None:
    """Of the names of one thing a body has one, or those that its selectors require."""
    generator = GENERATORS[name]
    for body in positive(name):
        needed = {o for n in generator.selectors if n in body for o in generator.choice(n, body[n]).requires}
        for group in generator.request.aliases:
            there = [field for field in group.fields if field in body]
            assert len(there) <= 1 or set(there) <= needed


@pytest.mark.parametrize("name", GENERATORS)
def test_negative_bodies_break_one_rule(name: str) -> None:
    """A negative body is invalid in exactly one way, and the rule that it comes with says in which."""
    for body, rule in negative(name)[:100]:
        assert rule in rules(SECOND if name == "second fragment" else BUNDLED)
        (error,) = VALIDATORS[name].iter_errors(body)
        *_, promise, field, detail = rule.split(".")
        if promise == "rejection":
            assert error.validator == detail
            assert list(error.absolute_path)[:1] == ([field] if detail != "required" else [])
            assert (field in body) == (detail != "required")
        else:
            assert (error.validator, field) == ("required", "requires")
            assert f"{detail!r} is a required property" == error.message
            assert detail not in body


@pytest.mark.parametrize(("name", "contract"), [("with ids", BUNDLED), ("second fragment", SECOND)])
def test_negative_bodies_name_rules_that_exist(name: str, contract: Contract) -> None:
    """Every enumerated or bounded field and every companion is the broken one at some time, under a rule that exists."""
    wanted = {
        id
        for id, rule in rules(contract).items()
        if (rule.promise == "rejection" and rule.field and not id.endswith(".format")) or ".requires." in id
    }
    found: set[str] = set()
    for seed in range(8):  # Hypothesis repeats itself now and then: one seed may leave out a rule.
        found |= {rule for _, rule in negative(name, seed)}
        if found == wanted:
            break
    assert found == wanted


@pytest.mark.parametrize("name", GENERATORS)
def test_every_settable_value_is_reached(name: str) -> None:
    """Three hundred bodies have every value of every selector that can be set, and every field."""
    generator, bodies = GENERATORS[name], positive(name)
    for field in generator.selectors:
        assert {body[field] for body in bodies if field in body} == set(generator.enums[field])
        assert any(field not in body for body in bodies)
    assert {field for body in bodies for field in body} == set(generator.fields)


def test_what_needs_an_id_is_left_out_without_one() -> None:
    """Without ids, neither the fields that need them nor the values that require these are ever sent."""
    assert not set(NAMES) & set(POOR.fields)
    request = BUNDLED.update.request
    assert request is not None
    for name, item in request.selectors.items():
        able = [v for v, choice in item.choices.items() if not set(choice.requires) & set(NAMES)]
        assert list(POOR.enums[name]) == able
        assert RICH.enums[name] == item.enum
    assert RICH.firm(NAMES[0]) == (RESOURCES[NAMES[0]],)


def test_boundary_values_are_most_of_what_is_drawn() -> None:
    """Most drawn values of a text are boundary values, and some are not."""
    marker = RICH.marker
    assert marker is not None
    drawn = Counter(body[marker] in RICH.firm(marker) for body in positive("with ids") if marker in body)
    assert drawn[True] > 2 * drawn[False] > 0


# ------------------------------------------------------------------------ the same again


def test_drawing_is_deterministic() -> None:
    """One seed draws the same bodies every time, another one draws others."""
    first = draw(RICH.bodies(), 30, 7)
    assert draw(RICH.bodies(), 30, 7) == first
    assert draw(RICH.bodies(), 30, 8) != first
    assert len(first) == 30
    assert draw(RICH.bodies(), 1, 7) == first[:1]


def test_the_schema_is_left_as_it_is() -> None:
    """Generating leaves the fragment equal to a copy made before."""
    contract = spec.loads(FRAGMENT.read_text(encoding="utf-8"))
    assert contract.update.request is not None
    before = copy.deepcopy((contract.document.data, contract.update.request.schema))
    generator = Generator(contract.update)
    draw(generator.bodies(), 20, 0)
    draw(generator.negative_bodies(), 20, 0)

    assert (contract.document.data, contract.update.request.schema) == before


def test_the_given_ids_are_left_as_they_are() -> None:
    """What the caller gave is neither kept nor changed."""
    given_ids = {"leader": "lamp-1"}
    generator = Generator(lamp().update, given_ids)
    given_ids["leader"] = "changed"

    assert generator.resources == {"leader": "lamp-1"}


# ------------------------------------------------------------------------ boundary values


@pytest.mark.parametrize("name", GENERATORS)
def test_firm_values_are_valid(name: str) -> None:
    """Every boundary value that documents promise to take is valid by itself, and there once."""
    generator = GENERATORS[name]
    for field in generator.fields:
        if field in generator.enums:
            continue
        validator = Draft202012Validator(dict(generator.fields[field].schema), format_checker=CHECKER)
        values = generator.firm(field)
        assert values
        assert len({json.dumps(value) for value in values}) == len(values)
        for value in values:
            assert [error.message for error in validator.iter_errors(value)] == []


def test_texts_are_hard_to_give_back() -> None:
    """Among the free texts are the kinds that servers are known to change."""
    assert any(text != text.strip() for text in TEXTS)
    assert any("  " in text.strip() for text in TEXTS)
    assert any("<" in text for text in TEXTS)
    assert any("&amp;" in text for text in TEXTS)
    assert any("'" in text and ";" in text for text in TEXTS)
    assert any("\u0301" in text for text in TEXTS)
    assert any("\u200d" in text for text in TEXTS)
    assert any(max(map(ord, text)) > 0xFFFF for text in TEXTS)
    assert any("\u0600" <= char <= "\u06ff" for text in TEXTS for char in text)
    assert any(text.isdecimal() for text in TEXTS)
    assert "null" in TEXTS
    assert any(len(text) >= 48 for text in TEXTS)
    assert all(text.strip() and len(text) < 50 for text in TEXTS)


def test_urls_are_hard_to_give_back_and_call_nobody() -> None:
    """Among the addresses are queries, escapes, mixed case and IDN, all at reserved hosts, over TLS, without a port."""
    for url in URLS:
        parts = urlsplit(url.replace("{name}", "some-name"))
        assert parts.scheme == "https"
        assert parts.port is None
        assert RESERVED.fullmatch(parts.hostname or "")
        assert not parts.fragment
        assert "{name}" in url
        assert url.isascii()
    joined = "\n".join(URLS)
    for sign in ("?b=2&a=1", "CamelCase", "%C3%A9", "%7E", "%2F", "%2f", "%20", "+", "//double", "flag&", ";"):
        assert sign in joined
    for _, url in OPEN_URLS:
        assert not url or RESERVED.fullmatch((urlsplit(url).hostname or "").replace("\u00fc", "u"))


def test_fields_can_be_told_apart_by_their_addresses() -> None:
    """No two fields ever send the same address, so that values which were swapped show."""
    fields = [name for name in RICH.free if RICH.fields[name].format == "uri"]
    owners: dict[str, set[str]] = {}
    for name in fields:
        for value in (*RICH.firm(name), *draw(RICH.values[name], 20, 0)):
            owners.setdefault(value, set()).add(name)
    assert len(owners) > 100
    assert [value for value, names in owners.items() if len(names) > 1] == []


def test_open_values_are_those_about_which_documents_are_silent() -> None:
    """Blank, odd and very long values are never firm; each has the kind that it is."""
    kinds = {kind for kind, _ in OPEN_TEXTS}
    assert kinds == {"blank", "space", "control", "nul", "long"}
    assert {kind for kind, _ in OPEN_URLS} == {"blank", "http", "port", "idn", "punycode", "fragment", "long"}
    for name in RICH.free:
        assert not {value for _, value in RICH.open(name)} & set(map(str, RICH.firm(name)))
    assert {len(text) for kind, text in OPEN_TEXTS if kind == "long"} >= {97, 255, 257}


def test_letters_are_assigned_and_of_many_scripts() -> None:
    """Drawn text is made of assigned characters, none of them a control character or half a pair."""
    categories = {unicodedata.category(letter) for letter in LETTERS}
    assert not categories & {"Cc", "Cn", "Cs", "Co"}
    scripts = {unicodedata.name(letter).split()[0] for letter in LETTERS if unicodedata.category(letter)[0] == "L"}
    assert {"LATIN", "GREEK", "CYRILLIC", "HEBREW", "ARABIC", "DEVANAGARI", "THAI", "HIRAGANA", "HANGUL"} <= scripts


@pytest.mark.parametrize("length", [13, 76, 77, 78, 140, 141, 142, 254])
def test_an_address_that_is_too_long_is_one_all_the_same(length: int) -> None:
    """An address of a mailbox that a length excludes has its format, whatever the length."""
    schema = {"type": "string", "format": "email", "maxLength": length - 1}
    facet, value = Generator(sent(schema).update).refused("call")[-1]
    assert (facet, len(value)) == ("maxLength", length)
    assert matches("email", value)


def sent(schema: dict[str, Any], **more: Any) -> Contract:
    """The lamp with a field of *schema*, in requests and in answers; *more* is said of it in requests."""
    shown = {key: value for key, value in schema.items() if not key.startswith("x-")}
    return lamp({f"{REQUEST}/call": {**schema, **more}, f"{RESPONSE}/call": shown})


def one(schema: dict[str, Any], facet: str = "documented") -> tuple[Any, ...]:
    """The boundary values of one field with *schema*."""
    facets = {"x-facets": {"maxLength": {"basis": facet}}} if facet != "documented" else {}
    return Generator(sent(schema, **facets).update).firm("call")


@pytest.mark.parametrize(
    ("schema", "values"),
    [
        ({"type": "boolean"}, None),
        ({"type": "integer"}, {0, 1000, 500, 1, 999}),
        ({"type": "integer", "minimum": 1, "maximum": 9}, {1, 9, 5, 2, 8}),
        ({"type": "integer", "minimum": -3}, {-3, 997, 497, -2, 996, 0}),
        ({"type": "integer", "maximum": -5}, {-1005, -5, -505, -1004, -6}),
        ({"type": "integer", "exclusiveMinimum": 0, "exclusiveMaximum": 4}, {1, 3, 2}),
        ({"type": "integer", "minimum": 0.5, "maximum": 2.5}, {1, 2}),
        ({"type": "integer", "minimum": 2, "exclusiveMinimum": 2, "maximum": 3}, {3}),
        ({"type": "integer", "minimum": 0, "exclusiveMinimum": 5, "maximum": 9, "exclusiveMaximum": 8}, {6, 7}),
        ({"type": ["null", "integer"], "minimum": 7, "maximum": 7}, {7}),
        ({"type": "number", "minimum": 0, "maximum": 1}, {0, 1, 0.5, 0.25, 0.75, 0.38}),
        ({"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 0.5}, {0.01, 0.49, 0.25, 0.135, 0.365, 0.2}),
        ({"type": "number"}, {0, 1000, 500, 0.5, 999.5, 370.01}),
        ({"type": "null"}, {None}),
        ({"type": "string", "minLength": 80, "maxLength": 90}, {"x" * 80, "m" * 79 + "M", "m" * 89 + "M", "é" * 90}),
        ({"type": "string", "maxLength": 0}, {""}),
        ({"type": "string", "maxLength": 1}, {"0", "M"}),
        ({"type": "string", "format": "email"}, {"a@example.com", "first.last+tag@example.org", "A_b@sub.example.net"}),
        ({"type": "string", "format": "date"}, {"2030-01-31", "2032-02-29", "2031-12-31"}),
        ({"type": "string", "format": "iso-3166-1-alpha-2"}, {"US", "GB", "DE"}),
    ],
)
def test_the_boundaries_of_a_schema(schema: dict[str, Any], values: set[Any] | None) -> None:
    """The ends of what is allowed are sent, and what lies beside them, and never anything beyond."""
    if values is None:
        generator = Generator(sent(schema).update)
        assert generator.enums["call"] == (True, False)
        return
    found = one(schema)
    assert set(found) == values
    validator = Draft202012Validator(schema)
    assert all(validator.is_valid(value) for value in found)


@pytest.mark.parametrize(
    ("schema", "values"),
    [
        ({"items": {"type": "string", "enum": ["a", "b", "c"]}}, [["a"], ["a", "b", "c"], []]),
        ({"items": {"type": "string", "enum": ["a", "b"]}, "minItems": 3}, [["a", "b", "a"]]),
        ({"items": {"type": "integer", "maximum": 3, "minimum": 1}, "maxItems": 2}, [[1], [1, 3], [], [1, 1], [2, 1]]),
        (
            {"items": {"type": "string", "enum": ["a", "b", "c", "d", "e"]}, "minItems": 1, "maxItems": 2},
            [["a"], ["a", "b"], ["c", "d"], ["e", "a"]],
        ),
        ({"items": {"type": "boolean"}, "minItems": 1, "maxItems": 50}, [[True], [True, False], [True, True]]),
        ({"items": {"type": "boolean"}, "minItems": 1, "maxItems": 50, "uniqueItems": True}, [[True], [True, False]]),
        ({"maxItems": 0}, [[]]),
        ({"items": {"enum": [None]}}, [[]]),
    ],
)
def test_the_boundaries_of_a_list(schema: dict[str, Any], values: list[Any]) -> None:
    """The shortest and the longest list are sent, an empty one where it is allowed, and each item in one of them."""
    found = list(one({"type": "array", **schema}))
    assert found == values
    assert all(Draft202012Validator({"type": "array", **schema}).is_valid(value) for value in found)


def test_the_boundaries_of_an_object() -> None:
    """An object has all of its members, each through its own boundary values."""
    schema = {
        "type": "object",
        "properties": {"a": {"type": "integer", "minimum": 1, "maximum": 2}, "b": {"enum": ["x"]}},
    }
    assert list(one(schema)) == [{"a": 1, "b": "x"}, {"a": 2, "b": "x"}]
    number = {"type": "integer", "minimum": 1, "maximum": 2}
    # Which of two members an API took shows.
    assert list(one({**schema, "properties": {"a": number, "b": number}})) == [{"a": 1, "b": 2}, {"a": 2, "b": 1}]
    assert list(one({"type": "object"})) == [{}]
    assert list(one({"type": "object", "properties": {"a": {"enum": [None]}}})) == [{}]


def test_a_length_that_is_only_inferred_is_not_promised() -> None:
    """The longest text is sent as a valid one only where a document states the limit."""
    assert "m" * 8 + "M" in one({"type": "string", "maxLength": 9})
    assert "m" * 8 + "M" not in one({"type": "string", "maxLength": 9}, "inferred")


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "integer", "minimum": 5, "maximum": 4},
        {"type": "number", "exclusiveMinimum": 5, "exclusiveMaximum": 5},
        {"type": "integer", "minimum": 0.2, "maximum": 0.8},
        {"type": "array", "minItems": 2, "maxItems": 1},
        {"type": "string", "format": "uri", "maxLength": 5},
        {"enum": [None]},
    ],
)
def test_limits_that_nothing_meets_are_refused(schema: dict[str, Any]) -> None:
    """Where no value is possible the error names the field and its place in the fragment."""
    with pytest.raises(SpecError, match=r"no value of 'call' lies|no value lies|a 'type' or an 'enum'") as error:
        one(schema)
    assert "/properties/call" in error.value.pointer


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "string", "minLength": 100},
        {"type": "string", "maxLength": 0},
        {"type": "string", "format": "uuid"},
        {"type": "integer", "minimum": -5, "maximum": 5},
        {"type": "number", "minimum": 0.0005, "maximum": 0.0006},
        {"type": "number", "exclusiveMinimum": -1, "maximum": 1},
        {"type": "array", "items": {"type": "string", "maxLength": 3}},
        {"type": ["string", "null"], "maxLength": 4},
        {"type": "boolean"},
        {"type": "object"},
    ],
)
def test_drawn_values_are_valid(schema: dict[str, Any]) -> None:
    """What is drawn beside the boundary values keeps to the schema as well."""
    generator = Generator(sent(schema).update)
    validator = Draft202012Validator(schema, format_checker=CHECKER)
    for value in draw(generator.values["call"], 50, 0):
        assert [error.message for error in validator.iter_errors(value)] == []


# ------------------------------------------------------------------------ what is refused


def refused(contract: Contract, name: str) -> list[Any]:
    """The values of one field that the documents exclude."""
    return [value for _, value in Generator(contract.update, {"leader": "x"}).refused(name)]


def test_excluded_values_are_near_misses() -> None:
    """A value is excluded that is a word with a letter too many, one of another selector, or only ever found."""
    assert refused(lamp(), "mode") == ["no_such_value", "xfollow", "off"]
    assert refused(lamp(), "color") == ["no_such_value", "redx"]
    two = lamp({f"{REQUEST}/color/x-selector": {"red": {}}})
    assert refused(two, "mode") == ["red", "xfollow", "off"]
    assert refused(two, "color") == ["steady", "redx"]
    methods = lamp({f"{REQUEST}/color/enum": ["GET", "POST"], f"{REQUEST}/color/default": MISSING})
    assert refused(methods, "color")[0] == "PUT"
    shown = {f"{RESPONSE}/color": {"type": "integer"}}
    numbers = lamp({f"{REQUEST}/color": {"type": "integer", "enum": [1, 2]}} | shown)
    assert refused(numbers, "color") == [3]
    assert refused(lamp({f"{REQUEST}/color": {"type": "integer", "enum": [1, 1000]}} | shown), "color") == [2]


@pytest.mark.parametrize("name", GENERATORS)
def test_nothing_that_is_excluded_is_documented_or_open(name: str) -> None:
    """No value that is sent to be refused is one that somebody documents."""
    generator = GENERATORS[name]
    for field, item in generator.request.fields.items():
        if item.enum:
            values = [value for _, value in generator.refused(field)]
            assert values
            assert not set(values) & {*item.enum, *item.open_values}


def test_values_beyond_a_bound_are_the_nearest() -> None:
    """Lengths and bounds exclude what is longer, shorter, more or less by the least that there is."""
    number, text = {"type": "integer"}, {"type": "string"}
    schemas: dict[str, tuple[dict[str, Any], list[Any]]] = {
        "between": ({**number, "minimum": 1, "maximum": 60}, [0, 61]),
        "outside": ({**number, "exclusiveMinimum": 1, "exclusiveMaximum": 60}, [1, 60]),
        "short": ({**text, "maxLength": 3}, ["mmmm"]),
        "long": ({**text, "minLength": 3}, ["mm"]),
        "any": ({**text, "minLength": 0}, []),
        "endless": ({**text, "maxLength": 10_000_000}, []),
        "shaped": ({**text, "format": "uuid", "maxLength": 36}, ["3fa85f64-5717-4562-b3fc-2c963f66afag"]),
        "moment": ({**text, "format": "date-time"}, ["2030-02-30T12:00:00Z", "2030-01-31T12:00:00"]),
        "share": ({"type": "number", "minimum": 0, "exclusiveMaximum": 1}, [-0.01, 1]),
        "address": ({**text, "format": "uri", "maxLength": 36}, ["https://example.com/address".ljust(37, "m")]),
        "mail": (
            {**text, "format": "email", "maxLength": 20},
            ["first.last.example.com", "@", "mmmmmmmmm@example.com"],
        ),
        "secret": ({**text, "format": "password", "minLength": 3}, ["Fr"]),
        "list": ({"type": "array", "minItems": 1, "maxItems": 2, "items": number}, [[], [0, 1000, 500]]),
        "words": (
            {"type": "array", "maxItems": 1, "items": {"enum": ["a", "b"]}},
            [["a", "no_such_value"], ["a", "b"]],
        ),
        "nothing": ({"type": "array", "items": {"enum": [None]}}, [[None, "no_such_value"]]),
        "figures": ({"type": "array", "items": {"type": "integer", "enum": [3, 5]}}, [[3, 4]]),
        "sizes": ({"type": "array", "minItems": 2, "items": {**number, "maximum": 8}}, [[-992, 9], [-992]]),
        "place": (
            {"type": "object", "required": ["bay"], "properties": {"bay": {**number, "minimum": 1, "maximum": 2}}},
            [{"bay": 0}, {"bay": 3}, {}],
        ),
        "weak": ({**number, "minimum": 1, "x-facets": {"minimum": {"basis": "inferred", "source": "book"}}}, []),
    }
    contract = lamp({f"{REQUEST}/{name}": schema for name, (schema, _) in schemas.items()})
    for name, (schema, values) in schemas.items():
        assert refused(contract, name) == values, name
        assert not any(Draft202012Validator(schema, format_checker=CHECKER).is_valid(v) for v in values)


def test_an_operation_without_a_body_generates_nothing() -> None:
    """Where nothing can be sent the error names the operation."""
    with pytest.raises(SpecError, match=r"GET /lamps/\{id\} takes no body") as error:
        Generator(lamp().retrieve)
    assert error.value.pointer == "#/paths/~1lamps~1{id}/get"


def test_a_contract_without_anything_to_break() -> None:
    """Where no body can break a rule it is said so, and documented bodies are generated all the same."""
    contract = lamp(
        {f"{REQUEST}/{name}": MISSING for name in ("mode", "color", "period")} | {f"{REQUEST}/label/maxLength": MISSING}
    )
    generator = Generator(contract.update)
    assert draw(generator.bodies(), 5, 0)
    with pytest.raises(SpecError, match="no rule of this operation can be broken by a body"):
        generator.negative_bodies()


def test_only_selectors_make_a_body_too() -> None:
    """A contract of nothing but selectors has bodies of nothing but selectors."""
    fields = {"mode": {"type": "string", "enum": ["a", "b"], "x-selector": {"a": {}}}}
    contract = lamp({REQUEST: fields, "components/schemas/Setting/x-aliases": MISSING})
    assert {json.dumps(body) for body in draw(Generator(contract.update).bodies(), 20, 0)} == {
        "{}",
        '{"mode": "a"}',
        '{"mode": "b"}',
    }


# ------------------------------------------------------------------------ helpers for the plan


def test_a_body_is_completed() -> None:
    """What selectors and the schema require is added, and nothing that stands there is replaced."""
    contract = lamp({"components/schemas/Setting/required": ["code"]})
    generator = Generator(contract.update, {"leader": "x"})
    assert generator.complete({"mode": "blink"}, str.upper) == {"mode": "blink", "period": "PERIOD", "code": "CODE"}
    assert generator.complete({"code": 1}, str.upper) == {"code": 1}
    assert generator.settable(generator.choice("mode", "follow"))
    assert not Generator(contract.update).settable(generator.choice("mode", "follow"))


def test_aliases_clash() -> None:
    """The other names of a thing clash with one of them, and no other field does."""
    generator = Generator(lamp().update)
    assert generator.clash(("label",)) == {"caption"}
    assert generator.clash(("label", "caption")) == frozenset()
    assert generator.clash(("color",)) == frozenset()


@pytest.mark.parametrize(
    ("changes", "marker"),
    [
        ({"components/schemas/Setting/required": ["label"]}, "caption"),
        ({}, "label"),
        ({f"{REQUEST}/label/format": "email"}, "caption"),
        ({f"{REQUEST}/label/writeOnly": True}, "caption"),
        ({f"{REQUEST}/mode/x-selector/blink/uses": ["label", "caption"]}, None),
    ],
)
def test_the_marker_is_plain_text_that_belongs_to_nothing(changes: dict[str, Any], marker: str | None) -> None:
    """The field that shows whether a refused body left a trace is free text that is shown."""
    assert Generator(lamp(changes).update).marker == marker
