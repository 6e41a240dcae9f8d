"""From a fragment to a contract: what is read, what is refused and where, and what odd fragments still work."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contract import explain, rules, spec
from contract.document import escape
from contract.errors import PointerToNowhere, SpecError, UnsupportedKeyword
from contract.generate import Generator, draw
from contract.model import MISSING, Fact
from contract.plan import plan
from tests.fragments import LAMP, REQUEST, RESPONSE, changed, lamp

CONTRACT = lamp()
UPDATE = CONTRACT.update
PUT = "paths/~1lamps~1{id}/put"


def request(contract: spec.Contract) -> spec.Body:
    """What the update takes."""
    found = contract.update.request
    assert found is not None
    return found


# ------------------------------------------------------------------------ what is read


def test_a_contract_knows_its_operations() -> None:
    """Operations stand in the order of the fragment; one writes, one reads back, one lists."""
    assert list(CONTRACT.operations) == ["list_lamps", "show_lamp", "set_lamp"]
    assert (CONTRACT.title, CONTRACT.version) == ("Lamps", "7")
    assert UPDATE.id == "set_lamp"
    assert CONTRACT.retrieve.id == "show_lamp"
    assert CONTRACT.listing == (CONTRACT.operations["list_lamps"], "/lamps")
    assert CONTRACT.operation("set_lamp") is UPDATE


def test_an_operation_knows_how_it_is_called() -> None:
    """Method, path, key, success, security and media type are the fragment's."""
    assert (UPDATE.method, UPDATE.path, UPDATE.success) == ("PUT", "/lamps/{id}", 200)
    assert UPDATE.label == "PUT /lamps/{id}"
    assert UPDATE.key == spec.Parameter(name="id", place="path", schema={"type": "string", "format": "uuid"})
    assert UPDATE.security == ("basic",)
    assert UPDATE.media_type == "application/json"
    assert UPDATE.unsent == Fact("documented", "book")
    assert CONTRACT.operations["list_lamps"].key is None
    assert UPDATE.pointer == "#/paths/~1lamps~1{id}/put"


@pytest.mark.parametrize(
    ("key", "path"),
    [
        ("a1", "/lamps/a1"),
        ("a/b", "/lamps/a%2Fb"),
        ("a b?c#d", "/lamps/a%20b%3Fc%23d"),
        ("", "/lamps/"),
        ("\u00e9", "/lamps/%C3%A9"),
    ],
)
def test_a_key_is_escaped_in_the_path(key: str, path: str) -> None:
    """No id can change the path that it stands in."""
    assert UPDATE.url(key) == path


def test_refusals_have_schemas_and_facts() -> None:
    """Every documented refusal has the schema of its body, and the fact that says so."""
    assert list(UPDATE.errors) == [401, 404, 422]
    assert UPDATE.errors[422]["required"] == ["error"]
    assert UPDATE.error_facts[404] == Fact("documented", "book")


def test_fields_know_their_facts() -> None:
    """A fact is inherited from above unless it is said again, as a whole or for one facet."""
    fields = request(CONTRACT).fields
    assert fields["label"].fact == Fact("documented", "book")
    assert fields["mode"].fact == Fact("documented", "book: page 7")
    assert fields["period"].fact == Fact("documented", "book")
    assert UPDATE.response is not None
    mode = UPDATE.response.fields["mode"]
    assert mode.facet("enum") == Fact("inferred", "book")
    assert mode.facet("type") == mode.fact


def test_fields_know_their_schema() -> None:
    """What a field may be is said by plain properties."""
    fields = request(CONTRACT).fields
    assert UPDATE.response is not None
    shown = UPDATE.response.fields
    assert fields["label"].types == ("string",)
    assert shown["label"].types == ("string", "null")
    assert [n for n, f in shown.items() if not f.nullable] == ["id", "mode", "parts", "watts", "since", "until"]
    assert shown["color"].enum == ("red", "green")
    assert shown["parts"].item_enum == ("bulb", "shade", "foot")
    assert shown["label"].item_enum == ()
    assert shown["id"].format == "uuid"
    assert shown["label"].format == ""
    assert fields["color"].default == "red"
    assert fields["label"].default is MISSING
    assert fields["caption"].deprecated
    assert not fields["label"].deprecated
    assert shown["id"].read_only
    assert fields["code"].write_only
    assert fields["leader"].resource
    assert fields["mode"].open_values == ("party",)
    assert fields["label"].among == ""
    assert {n: f.changes for n, f in shown.items() if f.changes} == {
        "id": "never",
        "parts": "never",
        "watts": "anytime",
        "since": "never",
        "until": "on-write",
    }
    assert [n for n, f in shown.items() if f.required] == LAMP["components"]["schemas"]["Lamp"]["required"]


@pytest.mark.parametrize(
    ("key", "media"),
    [
        ("application/json; charset=utf-8", "application/json"),
        ("application/vnd.lamps+json", "application/vnd.lamps+json"),
        ("Application/JSON", "application/json"),
    ],
)
def test_json_has_many_media_types(key: str, media: str) -> None:
    """Whatever is built on JSON is read as JSON, and is the media type that answers have."""
    found = lamp(
        {
            f"{PUT}/responses/200/content": {key: {"schema": {"$ref": "#/components/schemas/Lamp"}}},
            f"{PUT}/responses/422": {
                "description": "",
                "content": {"application/problem+json": {"schema": {"type": "object"}}},
            },
        }
    ).update

    assert found.media_type == media
    assert found.response is not None
    assert found.errors[422] == {"type": "object"}
    assert found.error_types[422] == "application/problem+json"


@pytest.mark.parametrize(
    ("changes", "identity"),
    [
        ({}, "id"),
        ({"paths/~1lamps~1{id}/parameters/0/name": "lamp_id"}, "id"),
        ({"paths/~1lamps~1{id}/parameters/0/name": "lampId"}, "id"),
        ({"paths/~1lamps~1{id}/parameters/0/name": "label"}, "label"),
        ({"paths/~1lamps~1{id}/parameters/0/name": "lamp"}, ""),
    ],
)
def test_the_path_says_which_field_is_the_id(changes: dict[str, Any], identity: str) -> None:
    """The property with the name of the parameter, or what the record calls its id."""
    assert lamp(changes).identity == identity


def test_a_field_without_a_type_may_be_anything() -> None:
    """Where no type is documented null is none that is wrong."""
    response = lamp({f"{RESPONSE}/label": {}}).update.response
    assert response is not None
    assert response.fields["label"].nullable
    assert response.fields["label"].types == ()


def test_a_field_excludes_what_its_enum_or_its_documented_format_does_not_allow() -> None:
    """A format that is only inferred excludes nothing for certain, and neither do those of addresses and of numbers."""
    known = {"type": "string", "format": "uuid"}
    weak = {**known, "x-facets": {"format": {"basis": "inferred", "source": "book"}}}
    number = {"type": "integer", "format": "int32"}
    changes = {f"{REQUEST}/{name}": schema for name, schema in {"known": known, "weak": weak, "number": number}.items()}
    fields = request(lamp(changes)).fields
    names = ("mode", "color", "known", "weak", "number", "call", "label")
    assert [fields[name].excludes for name in names] == [("enum",), ("enum",), ("format",), (), (), (), ("maxLength",)]


@pytest.mark.parametrize(
    ("schema", "value", "keyword"),
    [
        ({"type": "integer", "minimum": 1}, 0, "minimum"),
        ({"type": "integer", "minimum": 1}, 1, ""),
        ({"type": "integer", "minimum": 1}, True, ""),
        ({"type": "integer", "minimum": 1}, None, ""),
        ({"type": "number", "exclusiveMaximum": 1}, 1, "exclusiveMaximum"),
        ({"type": "number", "exclusiveMaximum": 1}, 0.9, ""),
        ({"type": "string", "minLength": 1, "maxLength": 2}, "", "minLength"),
        ({"type": "string", "minLength": 1, "maxLength": 2}, "abc", "maxLength"),
        ({"type": "string", "minLength": 1, "maxLength": 2}, 9, ""),
        ({"type": "array", "maxItems": 1, "items": {"type": "string"}}, ["abc", "abc"], "maxItems"),
        (
            {"type": "string", "maxLength": 2, "x-facets": {"maxLength": {"basis": "observed", "source": "book"}}},
            "abc",
            "",
        ),
    ],
)
def test_a_value_is_beyond_a_documented_bound(schema: dict[str, Any], value: Any, keyword: str) -> None:
    """Lengths count for what has one, bounds for numbers, and neither where it is not documented."""
    assert request(lamp({f"{REQUEST}/size": schema})).fields["size"].beyond(value) == keyword


@pytest.mark.parametrize(
    ("schema", "place", "words"),
    [
        (
            {"type": "string", "minLength": 3, "maxLength": 2},
            "minLength",
            "no value lies within minLength 3 and maxLength 2",
        ),
        ({"type": "number", "exclusiveMinimum": 2, "maximum": 2}, "exclusiveMinimum", "no value lies within"),
        ({"type": "array", "items": {"type": "integer", "minimum": 2, "maximum": 1}}, "items/minimum", "no value lies"),
        ({"type": "integer", "enum": [4, "5"]}, "enum/1", "'5' is in the enum, and not of the type"),
        ({"type": "integer", "maximum": 4, "default": 5}, "default", "the default 5 is not one of its values"),
        ({"type": "string", "x-among": "label_s"}, "x-among", "Did you mean 'label'?"),
    ],
)
def test_a_schema_that_contradicts_itself_is_refused(schema: dict[str, Any], place: str, words: str) -> None:
    """It is named with its place: no server could keep it."""
    with pytest.raises(SpecError, match=re.escape(words)) as error:
        lamp({f"{REQUEST}/size": schema})
    assert error.value.pointer.endswith(f"/properties/size/{place}")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {f"{REQUEST}/mode/enum": MISSING},
            "x-selector is for a property with an 'enum'",
        ),
        (
            {
                f"{REQUEST}/mode": {
                    "type": "boolean",
                    "enum": [True, False],
                    "x-selector": {"true": {"uses": ["color"]}},
                }
            },
            "the values of a selector are texts, not True",
        ),
        (
            {"components/schemas/Setting/x-aliases": [{"fields": ["label", "label"], "wins": "label"}]},
            "names each field once",
        ),
        ({"components/schemas/Setting/x-aliases": [{"fields": ["label"], "wins": "name"}]}, "wins', not 'name'"),
        ({f"{REQUEST}/size": {"type": "integer", "nullable": True}}, "In OpenAPI 3.1 it is type: [string, 'null']."),
    ],
)
def test_what_is_written_wrongly_is_mended_in_words(changes: dict[str, Any], words: str) -> None:
    """The message says what would be right."""
    with pytest.raises(SpecError, match=re.escape(words)):
        lamp(changes)


def test_a_selector_knows_its_companions() -> None:
    """Each value of the enum is a choice, in that order, also one that needs nothing."""
    mode = request(CONTRACT).selectors["mode"]
    assert list(request(CONTRACT).selectors) == ["mode"]
    assert list(mode.choices) == ["steady", "blink", "follow"]
    blink, follow = mode.choices["blink"], mode.choices["follow"]
    assert blink.requires == {"period": Fact("observed", "talk")}
    assert blink.companions == ("period", "color")
    assert follow.requires == {"leader": Fact("inferred", "book: page 7")}
    assert follow.deprecated
    assert mode.choices["steady"] == spec.Choice(value="steady", fact=mode.fact)
    assert blink.line is not None
    assert mode.line is not None
    assert blink.line > mode.line


def test_aliases_are_names_for_one_thing() -> None:
    """Every alias of a field is found, itself included; a field without one has itself."""
    body = request(CONTRACT)
    assert body.aliases == (spec.AliasGroup(fields=("label", "caption"), wins="label", fact=Fact("observed", "talk")),)
    assert body.aliases_of(("caption",)) == {"label", "caption"}
    assert body.aliases_of({"caption": 1, "mode": 2}) == {"label", "caption", "mode"}
    assert body.aliases_of(()) == frozenset()


def test_links_have_facts() -> None:
    """A link inherits the fact of its answer unless it has its own."""
    assert [(link.operation, link.records, link.fact.source) for link in UPDATE.links] == [
        ("show_lamp", "", "book"),
        ("list_lamps", "/lamps", "talk"),
    ]


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("book", "The book of lamps, https://example.com/book"),
        ("book: page 7", "The book of lamps, page 7, https://example.com/book"),
        ("talk", "A talk"),
        ("elsewhere: a", "elsewhere: a"),
        ("", ""),
    ],
)
def test_a_source_in_words(source: str, words: str) -> None:
    """A reader is told title, detail and address of a source, or what stands there where it is none."""
    assert CONTRACT.source(Fact("documented", source)) == words


def test_the_schema_is_left_as_it_is() -> None:
    """Reading a fragment, and everything that is made of it, changes no value of the document."""
    contract = lamp()
    before = copy.deepcopy(contract.document.data)
    list(plan(contract).cases)
    for rule in rules.rules(contract).values():
        list(explain.lines(contract, rule))

    assert contract.document.data == before
    assert contract.document.data == LAMP


# ------------------------------------------------------------------------ files


def test_the_bundled_fragment_is_found_by_its_ending() -> None:
    """Without a file the fragment that ships with the package is read, whatever it is called."""
    assert spec.bundled().name.endswith(".openapi.yaml")
    assert spec.load() is spec.load(spec.bundled())


def test_a_file_is_read_again_when_it_changes(tmp_path: Path) -> None:
    """A contract is read once for as long as its file stays as it is."""
    path = tmp_path / "a.json"
    path.write_text(changed({}), encoding="utf-8")
    first = spec.load(path)
    assert spec.load(str(path)) is first
    path.write_text(changed({"info/title": "Other lamps"}), encoding="utf-8")

    assert spec.load(path).title == "Other lamps"


def test_a_file_that_is_missing_is_told(tmp_path: Path) -> None:
    """A file that does not exist is refused by its name."""
    with pytest.raises(SpecError, match="No such file") as error:
        spec.load(tmp_path / "a.yaml")
    assert error.value.file.endswith("a.yaml")


def test_an_installation_without_its_fragment_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A package that lacks its own data says that it is to be installed again."""
    monkeypatch.setattr(spec, "__file__", str(tmp_path / "contract" / "spec.py"))
    with pytest.raises(SpecError, match="install the package again"):
        spec.bundled()


# ------------------------------------------------------------------------ what is refused


@pytest.mark.parametrize(
    ("changes", "words", "pointer"),
    [
        ({"openapi": "3.0.3"}, "its 'openapi' is '3.0.3' (in 3.1, 'nullable: true' is", "#/openapi"),
        ({"openapi": 3.1}, "not an OpenAPI 3.1 document: its 'openapi' is 3.1", "#/openapi"),
        ({"openapi": MISSING}, "not an OpenAPI 3.1 document: its 'openapi' is None", "#"),
        ({"paths": MISSING}, "'paths' is missing", "#"),
        ({f"{PUT}/operationId": MISSING}, "an operationId of letters", f"#/{PUT}"),
        ({f"{PUT}/operationId": "set lamp"}, "an operationId of letters", f"#/{PUT}"),
        ({f"{PUT}/operationId": "set.lamp"}, "an operationId of letters", f"#/{PUT}"),
        ({f"{PUT}/operationId": "show_lamp"}, "'show_lamp' stands twice", f"#/{PUT}/operationId"),
        ({f"{PUT}/x-unsent": "gone"}, "x-unsent is 'unchanged' or absent, not 'gone'", f"#/{PUT}/x-unsent"),
        ({f"{PUT}/security": [{"token": []}]}, "no security scheme is called 'token'", f"#/{PUT}/security"),
        ({f"{PUT}/x-basis": "rumoured"}, "a basis is one of documented, observed, inferred", f"#/{PUT}"),
        ({f"{PUT}/x-source": "boook"}, "'boook' is not in x-sources. Did you mean 'book'?", f"#/{PUT}"),
        ({f"{PUT}/responses": {}}, "has a documented success", f"#/{PUT}"),
        ({f"{PUT}/responses/201": {}}, "has one documented success", f"#/{PUT}/responses/201"),
        (
            {f"{PUT}/responses/200/links/show/operationId": "show_lamps"},
            "no operation is called 'show_lamps'. Did you mean 'show_lamp'?",
            f"#/{PUT}/responses/200/links",
        ),
        ({f"{PUT}/requestBody": {}}, "a request body has 'application/json' content", f"#/{PUT}/requestBody/content"),
        ({f"{PUT}/requestBody/content": {"application/merge-patch+json": {}}}, "a request body has 'application/json' content", f"#/{PUT}/requestBody/content"),
        ({f"{PUT}/responses/200/content": MISSING}, "could not be read back", f"#/{PUT}/responses/200"),
        (
            {f"{PUT}/responses/200/content/application~1json/schema": {"oneOf": [{"$ref": "#/components/schemas/Lamp"}, {"type": "string"}]}},
            "a record is an object with 'properties' in JSON",
            f"#/{PUT}/responses/200",
        ),
        (
            {f"{PUT}/responses/200/content/application~1json/schema": {"type": "object", "properties": {"data": {"$ref": "#/components/schemas/Lamp"}}}},
            "a record is not in an envelope",
            f"#/{PUT}/responses/200",
        ),
        ({f"{PUT}/parameters": [{"name": "room", "in": "path", "schema": {"type": "string"}}]}, "one parameter of the path names the record", f"#/{PUT}"),
        ({f"{PUT}/parameters": [{"name": "If-Match", "in": "header", "required": True}]}, "no header parameter is sent, and this one is required", "/put/parameters/0"),
        ({f"{REQUEST}/tags": {"type": "array", "x-resource": True}}, "x-resource is for a property that holds one id", "/tags/x-resource"),
        ({f"{REQUEST}/tags": {"type": "array", "items": {"type": "string", "x-resource": True}}}, "x-resource is for a property that holds one id", "/tags/items/x-resource"),
        (
            {f"{PUT}/requestBody/content/application~1json/schema": {"type": "string"}},
            "a request body is an object with properties",
            f"#/{PUT}/requestBody/content/application~1json/schema",
        ),
        ({"components/schemas/Setting/required": ["labell"]}, "'labell' is required but is no property", "/Setting/required"),
        ({f"{REQUEST}/label/pattern": "a+"}, "'pattern' is not generated in a request body", "/label/pattern"),
        ({f"{REQUEST}/label/oneOf": []}, "'oneOf' is not generated in a request body", "/label/oneOf"),
        ({f"{REQUEST}/tags": {"type": "array", "items": {"type": "string", "pattern": "a"}}}, "'pattern' is not generated in a request body", "/tags/items/pattern"),
        ({f"{REQUEST}/tags": {"type": "array", "items": {"type": "string", "writeOnly": True}}}, "'writeOnly' is read of a property of the body itself", "/items/writeOnly"),
        ({f"{REQUEST}/label": {}}, "a request property has a 'type' or an 'enum'", "/properties/label"),
        ({f"{REQUEST}/mode/x-selector/blnk": {}}, "'blnk' is not in the enum of 'mode'", "/x-selector/blnk"),
        ({f"{REQUEST}/mode/x-selector/blink/need": {}}, "'need' is not read in a selector's value", "/blink/need"),
        ({f"{REQUEST}/mode/x-selector/blink/require": {}}, "Did you mean 'requires'?", "/blink/require"),
        ({f"{REQUEST}/label/type": "integer"}, "'label' is sent as integer, and answered as string", "/label/type"),
        (
            {f"{REQUEST}/mode/x-selector/blink/requires": {"perod": None}},
            "the companion 'perod' is no property of the body. Did you mean 'period'?",
            "/x-selector/blink",
        ),
        ({f"{REQUEST}/mode/x-selector/blink/uses": ["colour"]}, "Did you mean 'color'?", "/x-selector/blink"),
        ({f"{REQUEST}/mode/x-selector/blink/uses": "color"}, "a list of texts is wanted here", "/blink/uses"),
        ({f"{REQUEST}/mode/x-selector/blink/requires": ["period"]}, "an object is wanted here", "/blink/requires"),
        ({f"{REQUEST}/mode/x-selector/blink/requires": {"period": 7}}, "an object is wanted here, not 7", "/requires/period"),
        (
            {f"{REQUEST}/mode/x-selector/blink/requires/period": {"minlength": 1}},
            "'minlength' is not read for a companion",
            "/requires/period/minlength",
        ),
        (
            {f"{REQUEST}/mode/x-selector/blink/requires/period": {"minLength": 2}},
            "minLength of a companion is 1: it must not be empty; not 2",
            "/requires/period/minLength",
        ),
        ({f"{REQUEST}/mode/enum": ["steady"]}, "'blink' is not in the enum of 'mode'", "/x-selector/blink"),
        ({"components/schemas/Setting/x-aliases/0/wins": "lamp"}, "one of them 'wins'", "/x-aliases/0"),
        ({"components/schemas/Setting/x-aliases/0/wins": MISSING}, "one of them 'wins'", "/x-aliases/0"),
        ({"components/schemas/Setting/x-aliases/0/fields": "label"}, "has a list of 'fields'", "/x-aliases/0"),
        (
            {"components/schemas/Setting/x-aliases/0/fields": ["label", "lable"]},
            "the alias 'lable' is no property",
            "/x-aliases/0",
        ),
        ({f"{RESPONSE}/until/x-not-before": "sinse"}, "x-not-before names 'sinse', which is no property", "/until/x-not-before"),
        ({f"{RESPONSE}/country/x-region-of": "tel"}, "x-region-of names 'tel'", "/country/x-region-of"),
        ({f"{RESPONSE}/id/x-changes": "sometimes"}, "x-changes is one of never, on-write, derived, anytime", "/id/x-changes"),
        ({f"{RESPONSE}/mode/x-facets": {"enums": {}}}, "the facet 'enums' is not known. Did you mean 'enum'?", "/x-facets/enums"),
        ({f"{RESPONSE}/mode/x-facets": {"enum": {"basis": "x"}}}, "a basis is one of", "/x-facets/enum"),
        ({"paths/~1lamps~1{id}/parameters/0/in": "body"}, "a parameter has a 'name', and an 'in'", "/parameters/0"),
        ({"paths/~1lamps~1{id}/parameters/0/name": MISSING}, "a parameter has a 'name', and an 'in'", "/parameters/0"),
    ],
)  # fmt: skip
def test_a_fragment_that_is_refused(changes: dict[str, Any], words: str, pointer: str) -> None:
    """A mistake is told with the place where it stands, and with what was probably meant."""
    with pytest.raises(SpecError) as error:
        lamp(changes)

    assert words in error.value.problem
    assert error.value.pointer.endswith(pointer)
    assert error.value.file == "lamp.json"
    assert error.value.line is not None


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({f"{REQUEST}/label": {"$ref": "#/components/schemas/Label"}}, PointerToNowhere),
        ({f"{REQUEST}/label": {"$ref": "#/components/schemas/Setting"}}, PointerToNowhere),
        ({f"{REQUEST}/label/typo": "string"}, UnsupportedKeyword),
        ({f"{RESPONSE}/id/format": "guid"}, UnsupportedKeyword),
    ],
)
def test_mistakes_have_kinds(changes: dict[str, Any], kind: type[SpecError]) -> None:
    """A reference to nowhere and a key that is not read are errors of their own."""
    with pytest.raises(kind):
        lamp(changes)


def test_an_operation_that_is_not_there() -> None:
    """The nearest one is named, or all of them where none is near."""
    with pytest.raises(SpecError, match=r"no operation is called 'set_lamb'\. Did you mean 'set_lamp'\?"):
        CONTRACT.operation("set_lamb")
    with pytest.raises(SpecError, match=r"There are: list_lamps, show_lamp, set_lamp\."):
        CONTRACT.operation("zzz")


def test_a_contract_without_an_update() -> None:
    """There has to be one operation with a body, and the error says how many there are."""
    with pytest.raises(SpecError, match="and the fragment has none"):
        _ = lamp({f"{PUT}/requestBody": MISSING}).update
    body = LAMP["paths"]["/lamps/{id}"]["put"]["requestBody"]
    with pytest.raises(SpecError, match="and the fragment has show_lamp, set_lamp"):
        _ = lamp({"paths/~1lamps~1{id}/get/requestBody": body}).update
    several = {"paths/~1lamps/post": {"operationId": "create_lamp", "requestBody": body, "responses": {"201": {}}}}
    with pytest.raises(
        SpecError, match="has create_lamp, set_lamp; the success of the one under test has a link with x-rea"
    ):
        _ = lamp({**several, f"{PUT}/responses/200/links": {}}).update


def test_what_else_writes_is_no_part_of_the_contract() -> None:
    """Of several operations with a body the one under test can be read back, and of the others nothing is asked."""
    form = {"content": {"application/x-www-form-urlencoded": {"schema": {"type": "object"}}}}
    create = {"operationId": "create_lamp", "requestBody": form, "responses": {"201": {}, "202": {}}}
    contract = lamp({"paths/~1lamps/post": create})

    assert contract.update.id == "set_lamp"
    assert [*contract.operations] == ["list_lamps", "show_lamp", "set_lamp"]


def test_a_contract_without_a_way_to_read_back() -> None:
    """Without a link that reads the record back it is said where one is missing."""
    contract = lamp({f"{PUT}/responses/200/links/show": MISSING})
    with pytest.raises(SpecError, match="no link with x-reads-back: ''") as error:
        _ = contract.retrieve
    assert error.value.pointer == "#/paths/~1lamps~1{id}/put/responses"
    assert error.value.line is not None


def test_a_link_that_reads_nothing_back_is_none() -> None:
    """A link without x-reads-back is some other link, and no list of records is one that is missing."""
    contract = lamp({f"{PUT}/responses/200/links/list": {"operationId": "list_lamps"}})
    assert [link.operation for link in contract.update.links] == ["show_lamp"]
    assert contract.listing is None


def test_a_list_that_is_not_documented_is_no_fault_of_the_api() -> None:
    """A link to a list at a place that the answer's schema does not have is refused where the fragment is read."""
    contract = lamp({f"{PUT}/responses/200/links/list/x-reads-back": "/bulbs"})
    with pytest.raises(SpecError, match="list_lamps documents no 'bulbs' there"):
        _ = contract.listing


def test_the_field_that_holds_the_id() -> None:
    """It has the name of the path's parameter, or is the one that the link fills the path with."""
    show = f"{PUT}/responses/200/links/show/parameters"
    assert lamp().identity == "id"
    assert lamp({show: {"id": "$response.body#/label"}}).identity == "label"
    assert lamp({show: {"id": "$request.path.id"}}).identity == "id"
    assert lamp({f"{RESPONSE}/id": MISSING, "components/schemas/Lamp/required": []}).identity == ""
    with pytest.raises(SpecError, match="#/code, which is no property of the record"):
        _ = lamp({show: {"id": "$response.body#/code"}}).identity


# ------------------------------------------------------------------------ odd fragments that work


REQUIRED = "components/schemas/Setting/required"
ODD: dict[str, dict[str, Any]] = {
    "two selectors share a companion": {
        f"{REQUEST}/color/x-selector": {"red": {"requires": {"period": {}}}},
        f"{REQUEST}/color/enum": ["red", "green", "blue"],
    },
    "a selector without companions": {f"{REQUEST}/mode/x-selector": {"blink": {}, "steady": None}},
    "an enum of one, and a required field": {f"{REQUEST}/color/enum": ["red"], REQUIRED: ["label"]},
    "a required selector of one": {
        f"{REQUEST}/mode/enum": ["blink"],
        f"{REQUEST}/mode/x-selector": {"blink": {}},
        REQUIRED: ["mode"],
    },
    "no selector": {f"{REQUEST}/mode/x-selector": MISSING},
    "nothing enumerated, and what is required is never shown": {
        f"{REQUEST}/mode": MISSING,
        f"{REQUEST}/color": MISSING,
        REQUIRED: ["code"],
    },
    "required and read-only": {REQUIRED: ["label"], f"{REQUEST}/label/readOnly": True},
    "every value needs a resource": {
        f"{REQUEST}/mode/enum": ["follow"],
        f"{REQUEST}/mode/x-selector": {"follow": {"requires": {"leader": {}}}},
    },
    "one field only": {REQUEST: {"label": {"type": "string"}}, "components/schemas/Setting/x-aliases": MISSING},
    "one number only": {REQUEST: {"period": {"type": "integer"}}, "components/schemas/Setting/x-aliases": MISSING},
    "no list, credentials, documented refusals, sources, or promise about what is not sent": {
        f"{PUT}/responses/200/links/list": MISSING,
        "security": MISSING,
        **{f"{PUT}/responses/{status}": MISSING for status in (401, 404, 422)},
        f"{PUT}/x-unsent": MISSING,
        "x-sources": MISSING,
        f"{PUT}/x-source": "hearsay",
    },
    "a token, refusals by range, and a field of which every value is open": {
        "components/securitySchemes/basic/scheme": "bearer",
        f"{PUT}/responses/4XX": {},
        f"{PUT}/responses/default": {},
        f"{REQUEST}/color/x-open-values": ["red", "green"],
    },
}


@pytest.mark.parametrize("name", ODD)
def test_an_odd_fragment_works(name: str) -> None:
    """It is read, planned, told and generated from like any other."""
    contract = lamp(ODD[name])
    made = rules.rules(contract)
    for rule in made.values():
        assert len(list(explain.lines(contract, rule))) >= 7
    cases = list(plan(contract).cases)
    assert len({case.label for case in cases}) == len(cases)
    assert all(not case.rule or case.rule in made for case in cases)
    assert draw(Generator(contract.update).bodies(), 5, 0)


def test_what_cannot_be_chosen_is_not_sent() -> None:
    """A selector of which every value needs an id that is not given is never sent, and neither is its companion."""
    contract = lamp(ODD["every value needs a resource"])
    poor, rich = Generator(contract.update), Generator(contract.update, {"leader": "lamp-1"})

    assert not {"mode", "leader"} & set(poor.fields)
    assert poor.selectors == {}
    assert rich.enums["mode"] == ("follow",)
    assert plan(contract, profile="smoke").unreachable == ("mode follow",)


def test_a_required_field_that_is_read_only_is_never_sent() -> None:
    """What can only be answered is not sent, required or not."""
    assert "label" not in Generator(lamp(ODD["required and read-only"]).update).fields


def paths(value: Any, above: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """The way to everything in *value*."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [above, *(path for key, part in inner for path in paths(part, (*above, str(key))))]


PATHS = paths(LAMP)[1:]
JUNK: list[Any] = [None, True, -1, 7, 1.5, "text", "", [], ["a"], [["a"]], {}, {"a": "b"}, {"a": {}}, MISSING]
JUNK += [{"$ref": "#/info/title"}, {"$ref": "#/x-sources"}, {"$ref": "#"}, {"$ref": "#/components/schemas/Lamp"}]


@settings(max_examples=100, suppress_health_check=[HealthCheck.nested_given, HealthCheck.too_slow])
@given(st.sampled_from(PATHS), st.sampled_from(JUNK))
def test_any_change_works_or_is_refused(path: tuple[str, ...], value: Any) -> None:
    """Whatever stands in a fragment in the place of something else, the answer is a plan or a `SpecError`."""
    data = copy.deepcopy(dict(LAMP))
    place: Any = data
    for key in path[:-1]:
        place = place[int(key)] if isinstance(place, list) else place[key]
    last: Any = int(path[-1]) if isinstance(place, list) else path[-1]
    if value is MISSING:
        del place[last]
    else:
        place[last] = value
    refused: SpecError | None = None
    try:
        contract = spec.loads(json.dumps(data))
        made = rules.rules(contract)
        # What else stands in a fragment makes the tour no other one.
        cases = list(plan(contract, profile="standard" if "Setting" in path else "smoke").cases)
    except SpecError as error:
        refused = error
    else:
        told = [list(explain.lines(contract, rule)) for rule in made.values()]
        assert cases
        assert all(told)
    assert refused is None or refused.pointer.startswith("#")


def test_pointers_lead_back_to_what_they_are_about() -> None:
    """The pointer of an operation, and of its body, leads to it in the document."""
    assert CONTRACT.document.at(UPDATE.pointer)["operationId"] == "set_lamp"
    assert CONTRACT.document.at(request(CONTRACT).pointer)["properties"]
    assert escape("/lamps/{id}") in UPDATE.pointer
