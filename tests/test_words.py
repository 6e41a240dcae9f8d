"""Words for people: every rule explains itself, every error says what, where and what now."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import hypothesis
import pytest

import contract
from contract import config, document, errors, explain, rules, spec
from contract.errors import ConfigError, PointerToNowhere, SpecError, UnsupportedKeyword

FRAGMENTS = [None, str(Path(__file__).parent / "data" / "subscriptions.openapi.yaml")]


@pytest.mark.parametrize("source", FRAGMENTS)
def test_every_rule_explains_itself(source: str | None) -> None:
    """Each rule has a text, a source, and two different examples."""
    loaded = spec.load(source)
    for rule in rules.rules(loaded).values():
        lines = list(explain.lines(loaded, rule))
        told = {line.strip().partition(" ")[0]: line for line in lines[2:]}

        assert lines[0] == rule.id
        assert told["kept"].replace("kept by", "") != told["broken"].replace("broken by", "")


HEAD = "openapi: 3.1.0\ninfo: {title: T, version: '1'}\n"
GOOD = """
paths:
  /things/{id}:
    parameters: [{name: id, in: path, required: true, schema: {type: string}}]
    get:
      operationId: read_thing
      responses: {'200': {description: x, content: {application/json: {schema: {$ref: '#/components/schemas/Thing'}}}}}
    put:
      operationId: update_thing
      x-unsent: unchanged
      requestBody: {content: {application/json: {schema: {$ref: '#/components/schemas/Update'}}}}
      responses:
        '200':
          description: x
          content: {application/json: {schema: {$ref: '#/components/schemas/Thing'}}}
          links: {read: {operationId: read_thing, x-reads-back: ''}}
components:
  schemas:
    Thing: {type: object, required: [id], properties: {id: {type: string}, a: {type: [string, 'null']}, b: {type: string}}}
    Update: {type: object, properties: {a: {type: string}, b: {type: string, enum: [x, y]}}}
"""


def test_a_small_fragment_is_read() -> None:
    """The fragment that the next table breaks is a good one."""
    loaded = spec.loads(HEAD + GOOD)

    assert loaded.update.id == "update_thing"
    assert loaded.retrieve.id == "read_thing"
    assert loaded.listing is None


@pytest.mark.parametrize(
    ("old", "new", "kind", "says"),
    [
        ("type: object, properties: {a", "type: object, patternProperties: {}, properties: {a", UnsupportedKeyword, "not read"),
        ("x-unsent: unchanged", "x-unsend: unchanged", UnsupportedKeyword, "x-unsent"),
        ("x-unsent: unchanged", "x-unsent: never", SpecError, "unchanged"),
        ("schemas/Thing'}}}}}", "schemas/Thin'}}}}}", PointerToNowhere, "leads nowhere"),
        ("'#/components/schemas/Update'", "'other.yaml#/Update'", PointerToNowhere, "leaves this file"),
        ("b: {type: string}}}", "b: {$ref: '#/components/schemas/Thing'}}}", PointerToNowhere, "contains itself"),
        ("enum: [x, y]", "enum: []", SpecError, "at least one plain value"),
        ("enum: [x, y]", "enum: [x, y], x-selector: {z: {}}", SpecError, "not in the enum"),
        ("enum: [x, y]", "enum: [x, y], x-selector: {x: {requires: {c: {}}}}", SpecError, "no property"),
        ("enum: [x, y]", "enum: [x, y], x-selector: {x: {needs: [a]}}", SpecError, "not read in a selector"),
        ("enum: [x, y]", "pattern: x", SpecError, "not generated"),
        ("enum: [x, y]", "format: postcode", UnsupportedKeyword, "not known"),
        ("required: [id]", "required: [id, z]", SpecError, "is no property"),
        ("a: {type: [string, 'null']}", "a: {type: string, x-changes: often}", SpecError, "x-changes is one of"),
        ("a: {type: [string, 'null']}", "a: {type: string, x-not-before: z}", SpecError, "no property"),
        ("a: {type: [string, 'null']}", "a: {type: string, x-basis: guessed}", SpecError, "a basis is one of"),
        ("operationId: read_thing\n", "operationId: update_thing\n", SpecError, "stands twice"),
        ("operationId: read_thing\n", "operationId: 'a b'\n", SpecError, "operationId"),
        ("{operationId: read_thing, x", "{operationId: read_thin, x", SpecError, "no operation is called"),
        ("links: {read: {operationId: read_thing, x-reads-back: ''}}", "links: {}", SpecError, "nothing that is written can be read"),
        ("requestBody: {content: {application/json: {schema: {$ref: '#/components/schemas/Update'}}}}", "", SpecError, "request body is wanted"),
        ("properties: {a: {type: string}, b", "x-aliases: [{fields: [a, q], wins: a}], properties: {a: {type: string}, b", SpecError, "alias"),
        ("'200': {description: x, content", "'404': {description: x, content", SpecError, "documented success"),
        ("openapi: 3.1.0", "openapi: 3.0.3", SpecError, "not an OpenAPI 3.1 document"),
        ("in: path", "in: nowhere", SpecError, "a parameter has a 'name'"),
        ("a: {type: string}, b: {type: string, enum", "a: {}, b: {type: string, enum", SpecError, "has a 'type' or an 'enum'"),
    ],
)  # fmt: skip
def test_a_bad_fragment_is_refused_with_its_place(old: str, new: str, kind: type[SpecError], says: str) -> None:
    """What is wrong with a fragment is said with its pointer and line."""
    text = HEAD + GOOD
    assert old in text

    with pytest.raises(kind, match=says) as caught:  # noqa: PT012 - some faults show only when it is asked for
        loaded = spec.loads(text.replace(old, new, 1), "my.yaml")
        assert loaded.update.id
        assert loaded.retrieve.id
    assert "my.yaml" in str(caught.value)
    assert caught.value.pointer.startswith("#")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "empty"),
        ("a: [1", "not YAML"),
        ("- 1", "holds no object"),
        ("a: 1\na: 2", "stands twice"),
        ("a: &x {b: 1}\nc: *x", "anchors are not read"),
        ("a: " + "[" * 80 + "]" * 80, "nested deeper"),
        ("x" * (document.MAX_BYTES + 1), "larger than"),
        ("a: 1\n---\nb: 2", "second document"),
    ],
)
def test_text_that_is_no_fragment_is_refused(text: str, says: str) -> None:
    """A file that cannot be read as data is refused in plain words."""
    with pytest.raises(SpecError, match=says):
        document.read(text)


def test_yaml_is_read_as_json_would_be() -> None:
    """Words and dates that old YAML turns into other types stay what they look like."""
    found = document.read("a: no\nb: 2026-01-01\nc: 1_000\nd: true\ne: ~\nf: '7'\n3: 1.5\n").data

    assert found == {"a": "no", "b": "2026-01-01", "c": "1_000", "d": True, "e": None, "f": "7", "3": 1.5}


def test_a_file_that_is_not_there_is_named() -> None:
    """A missing fragment is said with its name."""
    with pytest.raises(SpecError, match=r"cannot be read.*nowhere\.yaml"):
        contract.load("nowhere.yaml")


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("base_url", "ftp://x", "an address"),
        ("base_url", "https://user:pass@example.com", "credentials do not belong"),
        ("base_url", "https://example.com/?a=1", "no '\\?'"),
        ("ids", [], "empty"),
        ("ids", 7, "a list of texts"),
        ("ids", ["."], "another address"),
        ("foreign_ids", ["a", ".."], "another address"),
        ("profile", "smok", "Did you mean 'smoke'"),
        ("seed", -1, "at least 0"),
        ("seed", True, "a number"),
        ("max_seconds", "soon", "a number"),
        ("rate", "fast", "50/s"),
        ("allow_unrestorable", "perhaps", "true or false"),
        ("mask", ["number"], "begins with '/'"),
        ("mask", ["/"], "names no field"),
        ("resources", {"a": 1}, "a table of texts"),
        ("report_dir", 7, "a text"),
    ],
)
def test_a_bad_setting_is_refused_with_its_layer(key: str, value: Any, says: str) -> None:
    """What cannot be used is said together with who set it."""
    with pytest.raises(ConfigError, match=says) as caught:
        config.resolve({key: value}, environ={}, start=Path("/"))
    assert caught.value.layer == f"the option --{key.replace('_', '-')}"


def test_the_command_line_wins_over_environment_and_file(tmp_path: Path) -> None:
    """Each layer hides the one below it."""
    (tmp_path / "contract.toml").write_text('profile = "smoke"\nseed = 1\nstrict = "observed"\n', encoding="utf-8")
    environ = {"CONTRACT_SEED": "2", "CONTRACT_STRICT": "inferred"}

    found = config.resolve({"strict": "documented"}, environ=environ, start=tmp_path)

    assert (found.profile, found.seed, found.strict) == ("smoke", 2, "documented")
    assert found.layers["seed"] == "the environment variable CONTRACT_SEED"


def test_pyproject_is_read_where_it_has_a_table(tmp_path: Path) -> None:
    """``[tool.contract]`` serves as well as a file of its own."""
    (tmp_path / "pyproject.toml").write_text('[tool.contract]\nseed = 5\nspec = "a.yaml"\n', encoding="utf-8")

    found = config.resolve(environ={}, start=tmp_path)

    assert found.seed == 5
    assert found.spec == str(tmp_path / "a.yaml")


def test_needed_settings_are_asked_for() -> None:
    """A run without an id says that it never picks one by itself."""
    with pytest.raises(ConfigError, match="never picks a record"):
        config.Settings(base_url="https://example.com").need("base_url", "ids")


def test_an_id_cannot_be_a_bystander_too() -> None:
    """What may be updated is not what must not change."""
    with pytest.raises(ConfigError, match="must not change"):
        config.resolve({"ids": ["a"], "bystander_ids": ["a"]}, environ={}, start=Path("/"))


def test_the_nearest_word_is_offered() -> None:
    """A typing mistake gets the word that was meant."""
    assert errors.nearest("profil", ["profile", "seed"]) == " Did you mean 'profile'?"
    assert errors.nearest("zzz", ["profile"]) == ""


class TestApi:
    """The small public API."""

    update = contract.load().operation("update_phone_number")

    def test_an_unknown_operation_names_the_known(self) -> None:
        """A wrong operationId gets the nearest one."""
        with pytest.raises(SpecError, match="update_phone_number"):
            contract.load().operation("update_phone_numbers")

    def test_reads_have_no_bodies(self) -> None:
        """A strategy for an operation without a body is refused at once."""
        with pytest.raises(SpecError, match="takes no body"):
            contract.load().operation("retrieve_phone_number").bodies()

    def test_an_id_for_no_field_names_the_nearest(self) -> None:
        """A typing mistake does not leave a selector's value out without a word."""
        for strategy in (self.update.bodies, self.update.negative_bodies):
            with pytest.raises(ConfigError, match=r"'call_video_room'.*Did you mean 'call_video_room_id'\?"):
                strategy(resources={"call_video_room": "x"})

    def test_bodies_and_negative_bodies_are_told_apart(self) -> None:
        """What negative bodies break is a rule of the contract."""
        known = contract.load().rules

        @hypothesis.settings(max_examples=30)
        @hypothesis.given(self.update.negative_bodies())
        def check(pair: tuple[dict[str, Any], str]) -> None:
            assert pair[1] in known
            assert isinstance(pair[0], dict)

        check()

    def test_an_httpx_response_is_judged(self) -> None:
        """The operation and what was sent are read from the response."""
        loaded = contract.load()
        request = httpx.Request("PUT", "https://example.com/api/phone_numbers/x", json={"name": "a"})
        refused = httpx.Response(500, json={"error": "x"}, request=request)

        assert [f.rule for f in loaded.check(refused)] == ["update_phone_number.rejection.no_server_error"]

    def test_an_address_of_no_operation_is_an_error(self) -> None:
        """A response from elsewhere cannot be judged."""
        response = httpx.Response(200, json={}, request=httpx.Request("GET", "https://example.com/other"))
        with pytest.raises(SpecError, match="no operation of the contract answers GET /other"):
            contract.load().check(response)

    def test_a_decoded_list_is_recognised(self) -> None:
        """A body with the list's member is judged as the list."""
        found = contract.load().check({"links": {"self": "x", "first": "x"}, "data": "no list"})

        assert [f.rule for f in found] == ["list_phone_numbers.shape.body"]

    def test_reprs_name_what_they_are(self) -> None:
        """In a debugger a contract and an operation can be told from each other."""
        assert "update_phone_number" in repr(contract.load())
        assert repr(self.update) == "<Operation update_phone_number: PUT /phone_numbers/{id}>"
        assert [operation.id for operation in contract.load().operations][-1] == "update_phone_number"
