"""A fragment's text: YAML without its traps, references that stay inside, and no key that is not read."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contract import document
from contract.document import Document, escape, plain, read, refuse_unknown_keys
from contract.errors import PointerToNowhere, SpecError, UnsupportedKeyword
from tests.strategies import json_values, plain_texts


def refused(text: str, kind: type[SpecError] = SpecError) -> SpecError:
    """The error with which *text* is refused, either when it is read or when its keys are."""
    with pytest.raises(SpecError) as error:
        refuse_unknown_keys(read(text, "a.yaml"))
    assert type(error.value) is kind
    assert error.value.file == "a.yaml"
    return error.value


# ------------------------------------------------------------------------ text


@pytest.mark.parametrize(
    ("text", "value"),
    [
        # A string, although YAML 1.1 says otherwise.
        ("no", "no"),
        ("Yes", "Yes"),
        ("on", "on"),
        ("y", "y"),
        ("2026-01-01", "2026-01-01"),
        ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z"),
        ("12:30:45", "12:30:45"),
        ("1_000", "1_000"),
        ("0x1F", "0x1F"),
        ("0o17", "0o17"),
        ("\u0661\u0662", "\u0661\u0662"),
        ("\uff11", "\uff11"),
        (".inf", ".inf"),
        ("-inf", "-inf"),
        (".nan", ".nan"),
        ("Infinity", "Infinity"),
        ("1e999", "1e999"),
        ("=", "="),
        ("<<", "<<"),
        ("TRue", "TRue"),
        ("'1'", "1"),
        ('"true"', "true"),
        ("'null'", "null"),
        ("|-\n  1", "1"),
        (">-\n  null", "null"),
        ("1" * 5000, "1" * 5000),
        # What YAML 1.2 and JSON say.
        ("1", 1),
        ("-7", -7),
        ("+7", 7),
        ("007", 7),
        ("1.0", 1.0),
        (".5", 0.5),
        ("1e3", 1000.0),
        ("-1.5E-2", -0.015),
        ("true", True),
        ("TRUE", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("''", ""),
        ("[]", []),
        ("{}", {}),
        ("[a, 1, no, ~]", ["a", 1, "no", None]),
        ("\n  - a\n  - b: no", ["a", {"b": "no"}]),
    ],
)
def test_scalars(text: str, value: Any) -> None:
    """A plain scalar has the type that YAML 1.2's core rules give it, and only finite numbers are numbers."""
    found = read(f"a: {text}\n").data["a"]

    assert found == value
    assert type(found) is type(value)


def test_keys_are_strings() -> None:
    """A key is its text, whatever it looks like: a status, an answer, nothing."""
    data = read("200: a\nno: b\nnull: c\n2026-01-01: d\n1.0: e\n'': f\n").data

    assert list(data) == ["200", "no", "null", "2026-01-01", "1.0", ""]


@pytest.mark.parametrize(
    ("text", "words", "pointer", "line"),
    [
        ("a: 1\nb:\n  c: 1\n  c: 2\n", "the key 'c' stands twice", "#/b/c", 4),
        ("a: 1\n'a': 2\n", "the key 'a' stands twice", "#/a", 2),
        ('{"a": 1,\n "b": 2,\n "a": 3}', "the key 'a' stands twice", "#/a", 3),
        ("a/b: 1\na/b: 2\n", "the key 'a/b' stands twice", "#/a~1b", 2),
        ("a: &x {b: 1}\nc: *x\n", "anchors are not read", "#/a", 1),
        ("a: &x 1\n", "anchors are not read", "#/a", 1),
        ("a: 1\nb: [1, &x 2]\n", "anchors are not read", "#/b/1", 2),
        ("&x a: 1\n", "anchors are not read", "#/a", 1),
        ("a: *x\n", "anchors are not read", "#/a", 1),
        ("a: !!str 1\n", "the tag 'tag:yaml.org,2002:str' is not read", "#/a", 1),
        ("a: !env HOME\n", "the tag '!env' is not read", "#/a", 1),
        ("a:\n  !!python/object:os.system {}\n", "is not read", "#/a", 2),
        ("a: !!binary aGk=\n", "is not read", "#/a", 1),
        ("!!set {a, b}\n", "is not read", "#", 1),
        ("? [a, b]\n: 1\n", "a key is not a string", "#", 1),
        ("a:\n  ? {b: c}\n  : 1\n", "a key is not a string", "#/a", 2),
        ("a: 1\n---\nb: 2\n", "a second document", "#", 2),
        ("a: [1, 2\n", "this is not YAML or JSON", "#", 2),
        ("a: 1\n b: 2\n", "this is not YAML or JSON", "#", 2),
        ("a: 'open\n", "this is not YAML or JSON", "#", 2),
        ("a:\n\t- b\n", "this is not YAML or JSON", "#", 2),
        ("a: b: c\n", "this is not YAML or JSON", "#", 1),
        ("a: \x00\n", "this is not YAML or JSON", "#", None),
        ("a: \ud800\n", "this is not YAML or JSON", "#", None),
        ("", "the file is empty", "#", None),
        ("# only a comment\n", "the file is empty", "#", None),
        ("---\n...\n", "holds no object", "#", 1),
        ("[a]\n", "holds no object", "#", 1),
        ("text\n", "holds no object", "#", 1),
        ("null\n", "holds no object", "#", 1),
        (" " * 5_000_001, "larger than 5,000,000 characters", "#", None),
    ],
)
def test_what_is_refused(text: str, words: str, pointer: str, line: int | None) -> None:
    """A text with a trap in it is refused, with the pointer and the line where it stands."""
    error = refused(text)

    assert words in str(error)
    assert (error.pointer, error.line) == (pointer, line)


@pytest.mark.parametrize(
    "text",
    ["[" * 100_000, '{"a":' * 50_000, "- " * 50_000, "a: " + "[" * 61 + "]" * 61, "? " * 5_000],
    ids=["flow lists", "flow objects", "block lists", "one too deep", "keys"],
)
def test_depth_is_bounded(text: str) -> None:
    """A text that is nested deeper than 60 levels is refused, and costs no more than one that is not."""
    error = refused(text)

    assert "nested deeper than 60" in str(error) or "a key is not a string" in str(error)


def test_sixty_levels_are_read() -> None:
    """The deepest text that is read has 60 levels."""
    assert str(read("a: " + "[" * 60 + "]" * 60).data["a"]) == "[" * 60 + "]" * 60


def test_lines_are_known() -> None:
    """Each pointer has the line of its key, or of its item, counted from 1."""
    lines = read("a:\n  b/c:\n    - x\n    - y: 1\n# more\n'~': 2\n").lines

    assert lines == {
        "#": 1,
        "#/a": 1,
        "#/a/b~1c": 2,
        "#/a/b~1c/0": 3,
        "#/a/b~1c/1": 4,
        "#/a/b~1c/1/y": 4,
        "#/~0": 6,
    }


def test_an_error_below_a_known_place_has_the_line_above() -> None:
    """What is missing has the line of where it is missing."""
    found = read("a:\n  b: 1\n")

    assert found.error("wrong", "#/a/c").line == 1
    assert found.error("wrong", "#/a/c/d/e").line == 1
    assert found.error("wrong", "").line is None


@settings(max_examples=20)
@given(st.dictionaries(plain_texts(), json_values(), max_size=3))
def test_json_is_read_as_it_is(value: dict[str, Any]) -> None:
    """The text of a JSON object is read as that object, indented or not."""
    assert read(json.dumps(value)).data == value
    assert read(json.dumps(value, indent=1)).data == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (r'{"a": "\ud83d\ude00"}', "\U0001f600"),
        (r'{"a": "\UD83D\UDE00"}'.replace("U", "u"), "\U0001f600"),
        (r'{"a": "\\ud83d\ude00"}', None),
        (r'{"a": "\\\ud83d\ude00"}', "\\\U0001f600"),
        (r'{"a": "\ud83d"}', None),
        (r"a: '\ud83d\ude00'", r"\ud83d\ude00"),
    ],
)
def test_surrogate_pairs_of_json(text: str, value: str | None) -> None:
    """JSON's escapes of characters beyond the first 65,536 are read; half of a pair is refused."""
    if value is None:
        refused(text)
    else:
        assert read(text).data == {"a": value}


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    """No text makes the reader fail in another way than by a `SpecError`."""
    with contextlib.suppress(SpecError):
        assert isinstance(read(text), Document)


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    """A file that is missing, a folder, or no UTF-8 is refused by its name; a byte order mark is no matter."""
    with pytest.raises(SpecError, match="the file cannot be read: No such file") as error:
        document.read_file(tmp_path / "a.yaml")
    assert error.value.file == str(tmp_path / "a.yaml")
    with pytest.raises(SpecError, match="the file cannot be read"):
        document.read_file(tmp_path)
    (tmp_path / "b.yaml").write_bytes(b"a: \xff")
    with pytest.raises(SpecError, match="the file is not UTF-8"):
        document.read_file(tmp_path / "b.yaml")
    (tmp_path / "c.yaml").write_bytes(b"\xef\xbb\xbfa: 1")
    assert document.read_file(tmp_path / "c.yaml").data == {"a": 1}


# ------------------------------------------------------------------ references

REFERENCES = read(
    """\
a: {b: [10, 11], "c/d": {"e~f": 12}, "g h": 13}
self: {$ref: "#/self"}
one: {$ref: "#/two"}
two: {$ref: "#/three"}
three: {$ref: "#/one"}
far: {$ref: "other.yaml#/a"}
web: {$ref: "https://example.com/a.yaml"}
anchor: {$ref: "#a"}
number: {$ref: 7}
gone: {$ref: "#/a/x"}
text: {$ref: "#/a/g h"}
good: {$ref: "#/link"}
link: {$ref: "#/a", title: beside}
spaces: {$ref: "#/percent%20sign"}
percent sign: {x: 1}
tree: {items: {properties: {child: {$ref: "#/tree"}}}}
whole: {$ref: "#"}
""",
    "a.yaml",
)


@pytest.mark.parametrize(
    ("pointer", "value"),
    [
        ("#/a/b/1", 11),
        ("#/a/c~1d/e~0f", 12),
        ("#/a/g h", 13),
        ("/a/b/0", 10),
        ("#", REFERENCES.data),
        ("", REFERENCES.data),
    ],
)
def test_a_pointer_leads_to_a_value(pointer: str, value: Any) -> None:
    """A JSON Pointer (RFC 6901) is followed, with and without the ``#`` of a fragment."""
    assert REFERENCES.at(pointer) == value


@pytest.mark.parametrize("pointer", ["#/x", "#/a/b/2", "#/a/b/-1", "#/a/b/01", "#/a/b/x", "#/a/b/0/0", "#/a/b/1/x/y"])
def test_a_pointer_to_nowhere(pointer: str) -> None:
    """Where nothing stands there is an error, also for list indices that only Python would take."""
    with pytest.raises(PointerToNowhere) as error:
        REFERENCES.at(pointer)
    assert error.value.pointer == pointer


@pytest.mark.parametrize(
    ("name", "words", "line"),
    [
        ("self", "leads back to itself", 2),
        ("one", "leads back to itself", 3),
        ("far", "leaves this file", 6),
        ("web", "leaves this file", 7),
        ("anchor", "leaves this file", 8),
        ("number", "$ref 7 leaves this file", 9),
        ("gone", "'#/a/x' leads nowhere", 10),
        ("text", "leads to no object", 11),
    ],
)
def test_a_reference_that_is_refused(name: str, words: str, line: int) -> None:
    """A reference that leads nowhere, outside, to no object or in a circle is refused where it stands."""
    with pytest.raises(PointerToNowhere, match=words.replace("$", r"\$")) as error:
        REFERENCES.follow(REFERENCES.data[name], f"#/{name}")
    assert error.value.pointer == f"#/{name}/$ref"
    assert (error.value.line, error.value.file) == (line, "a.yaml")


def test_a_reference_is_followed_to_its_end() -> None:
    """Two references in a row lead to the value and to its own pointer; percent signs are decoded."""
    assert REFERENCES.follow(REFERENCES.data["good"], "#/good") == (REFERENCES.data["a"], "#/a")
    assert REFERENCES.follow(REFERENCES.data["spaces"], "#/spaces") == ({"x": 1}, "#/percent sign")
    assert REFERENCES.follow(5, "#/x") == (5, "#/x")


def test_references_are_replaced() -> None:
    """Everything that is referred to is written out; what stands beside a reference stays."""
    found = REFERENCES.expand({"x": [{"$ref": "#/link"}], "y": {"$ref": "#/spaces"}}, "#/made")

    assert found == {"x": [REFERENCES.data["a"]], "y": {"x": 1}}
    assert REFERENCES.expand(REFERENCES.data["link"], "#/link") == {**REFERENCES.data["a"], "title": "beside"}
    assert REFERENCES.data["link"] == {"$ref": "#/a", "title": "beside"}


@pytest.mark.parametrize("name", ["tree", "whole"])
def test_a_schema_that_contains_itself_is_refused(name: str) -> None:
    """A recursive schema has no written-out form, and the error says what to do instead."""
    with pytest.raises(PointerToNowhere, match=r"contains itself; write the schema out to a fixed depth|itself"):
        REFERENCES.expand(REFERENCES.data[name], f"#/{name}", (f"#/{name}",))


@given(st.text())
def test_escaping(text: str) -> None:
    """An escaped token leads back to the key that it was made from (RFC 6901, section 4)."""
    assert Document({text: {"x": 1}}, {}, "").at(f"#/{escape(text)}/x") == 1


# ------------------------------------------------------------------------ keys

FRAME = """\
openapi: 3.1.0
info: {title: A}
paths:
  /a:
    get:
      operationId: a
      responses:
        "200":
          description: fine
          content:
            application/json:
              schema: {type: object, properties: {x: {type: string}}}
"""


def test_a_frame_is_read() -> None:
    """The frame in which the next tests write their mistakes has none of its own."""
    document = read(FRAME)
    refuse_unknown_keys(document)
    assert document.data["openapi"].startswith("3.1")


@pytest.mark.parametrize(
    ("old", "new", "words", "pointer"),
    [
        ("info:", "infos:", "'infos' is not read in a root. Did you mean 'info'?", "#/infos"),
        ("    get:", "    gett:", "'gett' is not read in a path. Did you mean 'get'?", "#/paths/~1a/gett"),
        ("responses:", "response:", "Did you mean 'responses'?", "#/paths/~1a/get/response"),
        ("type: string", "typ: string", "Did you mean 'type'?", "/properties/x/typ"),
        ("type: string", "x-selectr: {}", "Did you mean 'x-selector'?", "/properties/x/x-selectr"),
        ("type: string", "if: {}", "'if' is not read in a schema; remove it.", "/properties/x/if"),
        ("type: string", "unevaluatedProperties: false", "is not read in a schema", "/unevaluatedProperties"),
        ("type: string", "format: emial", "the format 'emial' is not known. Did you mean 'email'?", "/x/format"),
        ("type: string", "$defs: {}", "'$defs' is not read in a schema", "/x/$defs"),
        ("description: fine", "x-reads-back: a", "'x-reads-back' is not read in a response", "/200/x-reads-back"),
        ("              schema", "              schemas", "Did you mean 'schema'?", "~1json/schemas"),
        ("info:", "webhooks: {}\ninfo:", "'webhooks' is not read in a root", "#/webhooks"),
        ("info:", "components: {callbacks: {}}\ninfo:", "not read in components", "#/components/callbacks"),
        ("info:", "components: {links: {a: {server: {}}}}\ninfo:", "not read in a link", "#/components/links/a/server"),
        ("info:", "components: {schemas: {A: {allOf: [{nott: 1}]}}}\ninfo:", "'nott'", "/schemas/A/allOf/0/nott"),
    ],
)
def test_a_key_that_is_not_read_is_refused(old: str, new: str, words: str, pointer: str) -> None:
    """A key that would be ignored is refused with the nearest one that is read, and where it stands."""
    assert old in FRAME
    error = refused(FRAME.replace(old, new, 1), UnsupportedKeyword)

    assert words in str(error)
    assert error.pointer.endswith(pointer)
    assert error.line is not None


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("{type: string}", "7", "an object is wanted here, not 7"),
        ("type: string", "type: text", "'type' is a type, or a list of types"),
        ("type: string", "type: []", "'type' is a type, or a list of types"),
        ("type: string", "type: [[string]]", "'type' is a type, or a list of types"),
        ("type: string", "enum: []", "'enum' is a list of at least one plain value, not []"),
        ("type: string", "enum: a", "'enum' is a list of at least one plain value"),
        ("type: string", "enum: [[a]]", "'enum' is a list of at least one plain value"),
        ("type: string", "minLength: -1", "'minLength' is a whole number from 0, not -1"),
        ("type: string", "maxLength: true", "'maxLength' is a whole number from 0, not True"),
        ("type: string", "maxLength: 1.5", "'maxLength' is a whole number from 0, not 1.5"),
        ("type: string", "minimum: low", "'minimum' is a number, not 'low'"),
        ("type: string", "readOnly: 'yes'", "'readOnly' is true or false, not 'yes'"),
        ("type: string", "deprecated: no", "'deprecated' is true or false, not 'no'"),
        ("type: string", "required: true", "'required' is a list of texts, not True"),
        ("type: string", "required: [1]", "'required' is a list of texts, not [1]"),
        ("type: string", "format: [uuid]", "'format' is a text, not ['uuid']"),
        ("type: string", "pattern: '('", "'pattern' is a regular expression, not '('"),
        ("type: string", "properties: [a]", "'properties' is an object, not ['a']"),
        ("type: string", "items: [{}]", "'items' is an object, not [{}]"),
        ("type: string", "oneOf: {}", "'oneOf' is a list, not {}"),
        ("type: string", "allOf: [7]", "an object is wanted here, not 7"),
        ("type: string", "x-selector: [a]", "'x-selector' is an object of objects"),
        ("type: string", "x-facets: {enum: observed}", "'x-facets' is an object of objects"),
        ("type: string", "x-aliases: [a]", "'x-aliases' is a list of objects"),
        ("type: string", "x-open-values: a", "'x-open-values' is a list of plain values"),
        ("content:", "content: [a]\n          links:", "'content' is an object"),
        ("operationId: a", "operationId: 7", "'operationId' is a text, not 7"),
        ("operationId: a", "parameters: {}", "'parameters' is a list, not {}"),
        ("operationId: a", "parameters: [a]", "an object is wanted here, not 'a'"),
        ("operationId: a", "parameters: [{required: [a]}]", "'required' is true or false, not ['a']"),
        ("operationId: a", "security: [basic]", "'security' is a list of objects"),
        ("operationId: a", "requestBody: [a]", "'requestBody' is an object"),
        ("info: {title: A}", "info: A", "'info' is an object, not 'A'"),
        ("info:", "servers: [a]\ninfo:", "'servers' is a list of objects"),
        ("info:", "x-sources: {a: b}\ninfo:", "'x-sources' is an object of objects"),
        ("info:", "components: [a]\ninfo:", "an object is wanted here"),
        ("info:", "components: {schemas: [a]}\ninfo:", "an object is wanted here"),
        ("info:", "components: {securitySchemes: {a: b}}\ninfo:", "an object is wanted here"),
        ("paths:", "paths: 7\nservers: []\nx-sources:", "'paths' is missing"),
    ],
)
def test_what_stands_under_a_key_has_a_shape(old: str, new: str, words: str) -> None:
    """A value of the wrong kind is refused where it stands, before anything else is made of it."""
    assert old in FRAME
    error = refused(FRAME.replace(old, new, 1))

    assert words in error.problem


def test_a_link_has_parameters_by_name() -> None:
    """The parameters of a link are an object, those of an operation a list."""
    links = "links: {b: {operationId: a, parameters: {id: x}}}"
    refuse_unknown_keys(read(FRAME.replace("description: fine", links)))
    error = refused(FRAME.replace("description: fine", links.replace("{id: x}", "[x]")))

    assert "'parameters' is an object" in error.problem


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ("#/x-sources/a", "'url' is not read in a schema"),
        ("#/paths/~1a/get", "'operationId' is not read in a schema"),
        ("#/info/title", "leads to no object"),
        ("#/nowhere", "leads nowhere"),
    ],
)
def test_what_is_referred_to_is_held_to_the_place_it_is_used_in(reference: str, words: str) -> None:
    """An object that is something else where it stands is refused where it is used as a schema."""
    text = FRAME.replace("{type: string}", f"{{$ref: '{reference}'}}")
    with pytest.raises(SpecError, match=words):
        refuse_unknown_keys(read("x-sources: {a: {url: b}}\n" + text))


def test_references_between_components_are_followed_once() -> None:
    """Schemas that refer to each other are looked at once, whatever the number of references."""
    text = FRAME.replace("{type: string}", "{$ref: '#/x-sources/a'}").replace("info:", "x-sources: {a: {}}\ninfo:")
    refuse_unknown_keys(read(text.replace("{a: {}}", "{a: {items: {$ref: '#/x-sources/a'}}}")))


A, NULL = {"type": "string", "maxLength": 3}, {"type": "null"}
PART = {"type": "object", "properties": {"a": A}, "required": ["a"]}
OTHER = {"type": "object", "properties": {"b": {"type": "integer"}}, "required": ["b"], "description": "inner"}


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        ({"anyOf": [A, NULL], "title": "A"}, {"type": ["string", "null"], "maxLength": 3, "title": "A"}),
        ({"oneOf": [NULL, {"enum": ["x"], "type": "string"}]}, {"enum": ["x", None], "type": ["string", "null"]}),
        ({"anyOf": [{"allOf": [A]}, NULL]}, {"type": ["string", "null"], "maxLength": 3}),
        ({"allOf": [{**A, "title": "inner"}], "title": "outer"}, {**A, "title": "outer"}),
        ({"const": "x"}, {"enum": ["x"]}),
        (
            {"type": "array", "items": {"type": "integer", "maximum": 1.0}},
            {"type": "array", "items": {"type": "integer", "maximum": 1}},
        ),
        (
            {"allOf": [PART, OTHER], "description": "outer"},
            {
                "type": "object",
                "properties": {"a": A, "b": {"type": "integer"}},
                "required": ["a", "b"],
                "description": "outer",
            },
        ),
        ({"properties": {"const": {"anyOf": [A, NULL]}}}, {"properties": {"const": {**A, "type": ["string", "null"]}}}),
        ({"type": "array", "items": {"allOf": [A]}}, {"type": "array", "items": A}),
    ],
)
def test_what_generators_wrap_is_read_as_it_is_meant(said: dict[str, Any], wanted: dict[str, Any]) -> None:
    """One schema in ``allOf``, null in ``anyOf`` and ``const`` say the same as the words that are read."""
    assert json.dumps(plain(said), sort_keys=True) == json.dumps(wanted, sort_keys=True)  # 1.0 equals 1 in Python.
    one, other = jsonschema.Draft202012Validator(said), jsonschema.Draft202012Validator(wanted)
    for value in (
        None,
        "x",
        "xyz!",
        1,
        {},
        {"a": "x"},
        {"a": "xyz!", "b": 1},
        {"a": "x", "b": 1},
        {"const": None},
        ["x"],
        [1],
    ):
        assert one.is_valid(value) == other.is_valid(value), value


@pytest.mark.parametrize(
    "said",
    [
        {"anyOf": [A, {"type": "integer"}]},
        {"anyOf": [A, {"type": "integer"}, NULL]},
        {"allOf": [A, {"type": "string", "maxLength": 2}]},
        {"allOf": [{**PART, "additionalProperties": False}, OTHER]},
        {"allOf": [PART, {"properties": {"a": {"type": "integer"}}}]},
        {"const": {"a": 1}},
        {"oneOf": []},
    ],
)
def test_what_means_more_is_left_as_it_stands(said: dict[str, Any]) -> None:
    """Parts that speak of the same thing are not put together: what they allow would be another thing."""
    assert plain(said) == said
