"""The exported contract: valid, free of extensions, and equal to the fragment in what it accepts."""

from __future__ import annotations

import copy
import functools
import json
import re
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jsonschema
import jsonschema_rs
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openapi_spec_validator import validate

from contract import cli, export, spec
from contract.errors import SpecError
from contract.generate import Generator
from contract.reference.seed import RESOURCES

CONTRACT = spec.load()
UPDATE = CONTRACT.update
BODY = export.json_schema(CONTRACT)
GENERATOR = Generator(UPDATE, RESOURCES)
BODIES = GENERATOR.bodies()
COMPANIONS = sum(len(c.requires) > 0 for s in GENERATOR.request.selectors.values() for c in s.choices.values())
ODD: tuple[Any, ...] = (None, "", "no such value", 7, 1.5, True, [], ["a"], {}, "x" * 300)
HARD = settings(
    max_examples=100,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)

PARCELS = """
openapi: 3.1.0
info: {title: Parcels, version: "1"}
security: [{token: []}]
paths:
  /parcels/{key}:
    parameters: [{$ref: "#/components/parameters/Key"}]
    patch:
      operationId: change_parcel
      requestBody: {content: {application/json: {schema: {$ref: "#/components/schemas/Parcel"}}}}
      responses:
        "200":
          description: The parcel.
          headers: {X-Weight: {schema: {type: integer}}}
          content: {application/json: {schema: {$ref: "#/components/schemas/Parcel"}}}
          links: {read: {operationId: read_parcel, x-reads-back: ""}}
    get:
      operationId: read_parcel
      responses:
        "200":
          description: The parcel.
          content: {application/json: {schema: {$ref: "#/components/schemas/Parcel"}}}
components:
  securitySchemes:
    token: {type: http, scheme: bearer, x-basis: documented}
  parameters:
    Key: {name: key, in: path, required: true, schema: {type: string, examples: [P1]}}
  schemas:
    Parcel:
      type: object
      properties:
        x-ray: {type: boolean, default: true, x-basis: observed}
        code: {type: string, readOnly: true, x-changes: never}
        way:
          type: [string, "null"]
          enum: [mail, courier, none, null]
          x-selector:
            mail: {requires: {box: {}}}
            courier: {requires: {street: {}, door: {}}, uses: [x-ray]}
        box: {type: string}
        street: {type: string}
        door: {type: integer}
"""


def validators(schema: dict[str, Any]) -> list[Callable[[Any], bool]]:
    """Two implementations' word on whether a body satisfies *schema*."""
    jsonschema.Draft202012Validator.check_schema(schema)
    return [jsonschema.Draft202012Validator(schema).is_valid, jsonschema_rs.Draft202012Validator(schema).is_valid]


def body_schema(document: dict[str, Any]) -> dict[str, Any]:
    """The schema of the update's body in an OpenAPI document, on its own."""
    schema: Any = document
    for token in GENERATOR.request.pointer.split("/")[1:]:
        schema = schema[token]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def rewritten() -> dict[str, Any]:
    """The OpenAPI document with a ``oneOf`` for each selector."""
    document = export.openapi(CONTRACT)
    export.with_alternatives(CONTRACT, document)
    return document


@functools.cache
def forms() -> dict[str, list[Callable[[Any], bool]]]:
    """Each form of the exported schema, in two implementations."""
    return {
        "jsonschema": validators(BODY),
        "openapi": validators(body_schema(export.openapi(CONTRACT))),
        "alternatives": validators(body_schema(rewritten())),
    }


def verdicts(body: Any) -> dict[str, list[bool]]:
    """Whether *body* is valid, in every form and implementation."""
    return {form: [is_valid(body) for is_valid in found] for form, found in forms().items()}


def all_of_them(valid: bool) -> dict[str, list[bool]]:
    """The same word from every form and implementation."""
    return {form: [valid, valid] for form in forms()}


def raw_properties() -> dict[str, Any]:
    """The request's properties as they stand in the fragment's file, read by nothing of ours."""
    data = yaml.safe_load(spec.bundled().read_text(encoding="utf-8"))
    place = data["paths"][UPDATE.path]["put"]["requestBody"]["content"]["application/json"]["schema"]["$ref"]
    properties: dict[str, Any] = data["components"]["schemas"][place.rpartition("/")[2]]["properties"]
    return properties


RAW = raw_properties()
KINDS: Mapping[str, type] = {"string": str, "boolean": bool, "array": list, "object": dict}


def oracle(body: Mapping[str, Any]) -> bool:
    """True where *body* keeps every rule that the fragment states about what is sent."""
    for name, value in body.items():
        rule = RAW.get(name)
        if rule is None:
            continue
        if not isinstance(value, KINDS[rule["type"]]) or value not in rule.get("enum", [value]):
            return False
        if isinstance(value, str) and len(value) > rule.get("maxLength", len(value)):
            return False
        if any(other not in body for other in rule.get("x-selector", {}).get(value, {}).get("requires", {})):
            return False
    return True


@st.composite
def any_bodies(pull: Any) -> dict[str, Any]:
    """Bodies that may be right, or wrong in a few places."""
    body = dict(pull(BODIES))
    for _ in range(pull(st.integers(0, 4))):
        what = pull(st.sampled_from(["drop", "odd", "more"]))
        if what == "drop" and body:
            del body[pull(st.sampled_from(sorted(body)))]
        elif what == "odd":
            body[pull(st.sampled_from(sorted(RAW)))] = pull(st.sampled_from(ODD))
        else:
            body["a key nobody knows"] = pull(st.sampled_from(ODD))
    return body


@HARD
@given(GENERATOR.negative_bodies())
def test_negative_bodies_are_invalid(pair: tuple[dict[str, Any], str]) -> None:
    """Every body that breaks one rule breaks the exported schema, in every form and implementation."""
    assert verdicts(pair[0]) == all_of_them(False)


def test_valid_is_what_the_fragment_allows() -> None:
    """A body satisfies the exported schema where it keeps the fragment's rules, and nowhere else; in every form and
    implementation.
    """
    seen = {True: 0, False: 0}

    @HARD
    @given(any_bodies())
    def check(body: dict[str, Any]) -> None:
        expected = oracle(body)
        seen[expected] += 1
        assert verdicts(body) == all_of_them(expected)

    check()
    assert min(seen.values()) > 15


def test_one_condition_for_each_value_with_companions() -> None:
    """Each selector value that requires companions has one ``if``/``then``, and only those have."""
    assert len(BODY["allOf"]) == COMPANIONS > 10
    for entry in BODY["allOf"]:
        assert sorted(entry) == ["if", "then"]
        (name,) = entry["if"]["required"]
        needed = RAW[name]["x-selector"][entry["if"]["properties"][name]["const"]]["requires"]
        filled = {other: {"minLength": 1} for other, detail in needed.items() if "minLength" in detail}
        assert entry["then"] == {"required": list(needed)} | ({"properties": filled} if filled else {})
    assert sum("properties" in entry["then"] for entry in BODY["allOf"]) == 1


def test_the_rest_is_as_in_the_fragment() -> None:
    """Apart from extensions and conditions the exported document is the fragment, read-only fields too."""

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {k: plain(v) for k, v in value.items() if not k.startswith("x-")}
        return [plain(v) for v in value] if isinstance(value, list) else value

    made = export.openapi(CONTRACT)
    before = copy.deepcopy(CONTRACT.document.data)
    validate(made)
    assert '"x-' not in json.dumps(made)
    del made["components"]["schemas"]["PhoneNumberUpdate"]["allOf"]
    assert made == plain(CONTRACT.document.data)
    assert CONTRACT.document.data == before
    assert (
        sum(v.get("readOnly", False) for v in made["components"]["schemas"]["PhoneNumber"]["properties"].values()) > 8
    )


def test_names_and_data_are_no_extensions() -> None:
    """A property or header called ``x-…`` stays, and so do defaults and examples."""
    contract = spec.loads(PARCELS)
    made = export.openapi(contract)
    validate(made)
    parcel = made["components"]["schemas"]["Parcel"]["properties"]
    assert parcel["x-ray"] == {"type": "boolean", "default": True}
    assert parcel["code"] == {"type": "string", "readOnly": True}
    assert "X-Weight" in made["paths"]["/parcels/{key}"]["patch"]["responses"]["200"]["headers"]


def test_conditions_are_for_requests_alone() -> None:
    """Where one schema describes request and answer, only the request gets the conditions."""
    contract = spec.loads(PARCELS)
    made = export.openapi(contract)
    assert "allOf" not in made["components"]["schemas"]["Parcel"]
    schema = made["paths"]["/parcels/{key}"]["patch"]["requestBody"]["content"]["application/json"]["schema"]
    assert schema["$ref"] == "#/components/schemas/Parcel"
    assert len(schema["allOf"]) == 2


@pytest.mark.parametrize(
    ("body", "valid"),
    [
        ({}, True),
        ({"way": "none"}, True),
        ({"way": None}, True),
        ({"way": "mail"}, False),
        ({"way": "mail", "box": "7"}, True),
        ({"way": "courier", "street": "High Street"}, False),
        ({"way": "courier", "street": "High Street", "door": 7}, True),
        ({"way": "courier", "street": "High Street", "door": 7, "x-ray": "yes"}, False),
        ({"way": "other"}, False),
    ],
)
def test_another_fragment(body: dict[str, Any], valid: bool) -> None:
    """Another fragment's conditions hold as ``if``/``then`` and as ``oneOf``, values without companions included."""
    contract = spec.loads(PARCELS)
    document = export.openapi(contract)
    export.with_alternatives(contract, document)
    media = document["paths"]["/parcels/{key}"]["patch"]["requestBody"]["content"]["application/json"]["schema"]
    found = [
        *validators(export.json_schema(contract)),
        *validators({**media, "components": document["components"]}),
    ]
    assert [is_valid(body) for is_valid in found] == [valid] * 4
    assert all("oneOf" in entry for entry in media["allOf"])


def test_a_document_of_someone_else_is_left_alone() -> None:
    """What does not look like an export is not rewritten."""
    others: list[dict[str, Any]] = [
        {},
        {"paths": {UPDATE.path: {"put": {}}}},
        {
            "paths": {
                UPDATE.path: {"put": {"requestBody": {"content": {"application/json": {"schema": {"allOf": [{}]}}}}}}
            }
        },
    ]
    for document in others:
        before = copy.deepcopy(document)
        export.with_alternatives(CONTRACT, document)
        assert document == before


def test_ids_become_examples() -> None:
    """Given ids are the examples of the path parameter of every operation that has one."""
    made = export.openapi(CONTRACT, ["one", "two"])
    validate(made)
    for method in ("get", "put"):
        (parameter,) = made["paths"][UPDATE.path][method]["parameters"]
        assert parameter["schema"] == {"type": "string", "format": "uuid", "examples": ["one", "two"]}
    parcels = export.openapi(spec.loads(PARCELS), ["P7"])
    assert parcels["paths"]["/parcels/{key}"]["parameters"][0]["schema"]["examples"] == ["P7"]


def test_a_contract_without_an_update_has_no_body() -> None:
    """The JSON Schema of the body needs an operation that takes one."""
    reading = PARCELS.replace("      requestBody:", "      # requestBody:")
    with pytest.raises(SpecError, match="request body"):
        export.json_schema(spec.loads(reading))


def run(capsys: pytest.CaptureFixture[str], *args: str) -> tuple[int, str, str]:
    """What the command exits with, and prints."""
    with pytest.raises(SystemExit) as ended:
        cli.main(["export", *args])
    out, err = capsys.readouterr()
    return int(ended.value.code or 0), out, err


def test_the_command_prints_either_form(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``contract export`` prints an OpenAPI document, or the schema of the body."""
    monkeypatch.chdir(tmp_path)
    assert run(capsys) == (0, json.dumps(export.openapi(CONTRACT), ensure_ascii=False, indent=2) + "\n", "")
    status, out, _ = run(capsys, "--format", "jsonschema")
    assert (status, json.loads(out)) == (0, BODY)


def test_the_command_writes_files(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With ``--output`` the document, with the configured ids, and a configuration are written."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CONTRACT_IDS", "one,two")
    (tmp_path / "contract.toml").write_text('base_url = "https://staging.example.com/api"')
    folder = tmp_path / "new" / "folder"
    status, out, _ = run(capsys, "--output", str(folder), "--format", "jsonschema")
    assert tomllib.loads((folder / "schemathesis.toml").read_text())["base-url"] == "https://staging.example.com/api"
    monkeypatch.setenv("CONTRACT_BASE_URL", "https://other.example.com/api")
    run(capsys, "--output", str(tmp_path))
    assert tomllib.loads((tmp_path / "schemathesis.toml").read_text())["base-url"] == "${CONTRACT_BASE_URL}"
    names = ["openapi.json", "schemathesis.toml", "body.schema.json"]
    assert (status, out.split()) == (0, [str(folder / name) for name in names])
    assert json.loads((folder / "openapi.json").read_text()) == export.openapi(CONTRACT, ["one", "two"])
    assert json.loads((folder / "body.schema.json").read_text()) == BODY
    (tmp_path / "file").write_text("")
    status, _, err = run(capsys, "--output", str(tmp_path / "file" / "folder"))
    assert status == 2
    assert "--output" in err


def test_the_configuration_names_no_secret() -> None:
    """Address and credentials come from the environment; a bearer token where the fragment says so."""
    basic = tomllib.loads(export.schemathesis_config(CONTRACT))
    assert basic["base-url"] == "${CONTRACT_BASE_URL}"
    there = "https://staging.example.com/api"
    assert tomllib.loads(export.schemathesis_config(CONTRACT, there)) == {**basic, "base-url": there}
    assert basic["hooks"] == "contract.schemathesis"
    assert basic["auth"] == {"basic": {"username": "${CONTRACT_USERNAME}", "password": "${CONTRACT_PASSWORD}"}}
    assert basic["phases"]["coverage"]["unexpected-methods"] == []
    bearer = tomllib.loads(export.schemathesis_config(spec.loads(PARCELS)))
    assert bearer["headers"] == {"Authorization": "Bearer ${CONTRACT_TOKEN}"}
    other = spec.loads(re.sub(r"(?m)^ *security:.*\n", "", PARCELS))
    assert "auth" not in tomllib.loads(export.schemathesis_config(other))
