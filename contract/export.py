"""Writes a contract in words that every tool knows: plain OpenAPI 3.1, or JSON Schema 2020-12.

No extension is left. What a selector's value requires becomes ``if``/``then`` with ``required``, which
any validator applies; what plain schemas have no word for (what stays, what is read back, which of
two aliases wins) is not in them, and `contract.schemathesis` brings it to schemathesis as checks.

Source: OpenAPI 3.1.1, section 4.8; JSON Schema 2020-12 Core, sections 10.2.2 and 10.2.1.1.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from contract.document import Document
from contract.errors import PointerToNowhere
from contract.spec import Body, Choice, Contract

__all__ = ["alternatives", "conditions", "json_schema", "openapi", "schemathesis_config", "with_alternatives", "write"]

_NAMED: Final = frozenset(
    {"paths", "properties", "content", "headers", "responses", "links", "variables", "encoding"}
    | {"schemas", "securitySchemes", "requestBodies", "parameters", "examples", "flows", "scopes"}
)
"""Keys whose value is a map from names to objects: a name may begin with ``x-``."""
_TOO_STRICT: Final = ("positive_data_acceptance", "negative_data_rejection", "status_code_conformance")
_LITERAL: Final = frozenset({"enum", "const", "default", "example", "required", "security", "value"})
"""Keys whose value is data, not description."""


def openapi(contract: Contract, ids: Sequence[str] = ()) -> dict[str, Any]:
    """The contract as OpenAPI 3.1 without extensions.

    Shape:
        The fragment with the companions in an ``allOf`` of its request bodies. Where *ids* are given,
        they are the examples of the path parameter that names a record.
    """
    made: dict[str, Any] = _plain(contract.document.data)
    answers = {op.response.pointer for op in contract.operations.values() if op.response is not None}
    done: set[str] = set()
    for operation in contract.operations.values():
        if (body := operation.request) is None or not (found := list(conditions(body))):
            continue
        place = body.pointer
        if place in answers:
            # One schema describes what is sent and what is answered: the conditions are for requests alone.
            place = f"{_request(contract, operation.pointer)}/content/application~1json/schema"
        if place not in done:
            schema = Document(made, {}, "").at(place)
            schema["allOf"] = [*schema.get("allOf", ()), *found]
            done.add(place)
    if ids:
        _give_examples(contract, made, ids)
    return made


def json_schema(contract: Contract) -> dict[str, Any]:
    """The body of the update as one JSON Schema 2020-12, with every reference written out.

    Raises:
        SpecError: the contract has no update.
    """
    schema: dict[str, Any] = _plain(contract.request.schema)
    title = f"Body of {contract.update.label}"
    made = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": title} | schema
    if found := list(conditions(contract.request)):
        made["allOf"] = [*schema.get("allOf", ()), *found]
    return made


def conditions(body: Body) -> Iterator[dict[str, Any]]:
    """For each value of a selector that requires companions, the schema that says so."""
    for name, selector in body.selectors.items():
        for choice in selector.choices.values():
            if choice.requires:
                then: dict[str, Any] = {"required": list(choice.requires)}
                if choice.filled:
                    then["properties"] = filled(choice)
                yield {"if": {"properties": {name: {"const": choice.value}}, "required": [name]}, "then": then}


def filled(choice: Choice) -> dict[str, Any]:
    """The companions that a selector's value wants filled, each with the schema that says so."""
    return {name: {"minLength": 1} for name in choice.requires if name in choice.filled}


def alternatives(body: Body) -> Iterator[dict[str, Any]]:
    """The same as `conditions` says, as one ``oneOf`` for each selector.

    Generators that write a schema out as a list of cases double that list with each ``if``, and give
    up; with a ``oneOf`` it only grows by one case for each value, and every value gets its share.
    """
    for name, selector in body.selectors.items():
        needy = [choice for choice in selector.choices.values() if choice.requires]
        if not needy:
            continue
        rest = [value for value in selector.schema["enum"] if value not in {choice.value for choice in needy}]
        cases: list[dict[str, Any]] = [{"properties": {name: False}}]
        if rest:
            cases.append({"properties": {name: {"enum": rest}}, "required": [name]})
        for choice in needy:
            required = [name, *(other for other in choice.requires if other != name)]
            cases.append({"properties": {name: {"const": choice.value}, **filled(choice)}, "required": required})
        yield {"oneOf": cases}


def with_alternatives(contract: Contract, made: dict[str, Any]) -> None:
    """Writes `alternatives` for `conditions` in *made*, an OpenAPI document as `openapi` makes it.

    What does not look like it is left alone.
    """
    document = Document(made, {}, "")
    for operation in contract.operations.values():
        if operation.request is None:
            continue
        found = list(conditions(operation.request))
        place = f"{operation.pointer}/requestBody/content/application~1json/schema"
        try:
            schema = document.at(place)
            schema = schema if "allOf" in schema else document.follow(schema, place)[0]
        except (TypeError, PointerToNowhere):
            continue
        others = [entry for entry in schema.get("allOf", ()) if entry not in found]
        if found and len(others) + len(found) == len(schema.get("allOf", ())):
            schema["allOf"] = [*others, *alternatives(operation.request)]


def schemathesis_config(contract: Contract, base_url: str = "") -> str:
    """A ``schemathesis.toml`` for `openapi`: credentials come from the environment, and so does the address where
    *base_url* is not known.
    """
    variables = "" if base_url else "CONTRACT_BASE_URL, "
    lines = [
        f"# Written by contract export. In this folder, with {variables}the credentials and CONTRACT_IDS set:",
        "#",
        "#     st run openapi.json",
        "#",
        "# An update is sent to the records in CONTRACT_IDS only. They are left as the last update made them:",
        "# name records that nobody needs.",
        f"base-url = {json.dumps(base_url or '${CONTRACT_BASE_URL}')}",
        'hooks = "contract.schemathesis"',
        "# One failure must not hide what comes after it.",
        "continue-on-failure = true",
        "",
    ]
    used = dict.fromkeys(name for op in contract.operations.values() for name in op.security)
    lines += next((found for name in used if (found := _auth(contract.schemes[name]))), [])
    lines += [
        "[checks]",
        "# The documents are silent about much of what schemathesis sends: ids of things that do not exist, null,",
        "# a companion left out where one is stored. Either answer is right; the contract's own checks know which.",
        *(f"{name}.enabled = false" for name in _TOO_STRICT),
        "",
        "[cache]",
        "# Ids that an earlier run came across are no business of this one.",
        "enabled = false",
        "",
        "[phases.coverage]",
        "# A method that the contract does not know may do anything to a record: DELETE may well work.",
        "unexpected-methods = []",
    ]
    return "\n".join(lines) + "\n"


def write(
    contract: Contract, folder: Path, ids: Sequence[str] = (), *, body: bool = False, base_url: str = ""
) -> list[Path]:
    """Writes ``openapi.json`` and ``schemathesis.toml``, with its *base_url* where it is known, into *folder*, with *body*
    also ``body.schema.json``.

    Shape:
        The files that were written.

    Raises:
        OSError: they cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    texts = {
        "openapi.json": json.dumps(openapi(contract, ids), ensure_ascii=False, indent=2) + "\n",
        "schemathesis.toml": schemathesis_config(contract, base_url),
    }
    if body:
        texts["body.schema.json"] = json.dumps(json_schema(contract), ensure_ascii=False, indent=2) + "\n"
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    return [folder / name for name in texts]


def _plain(value: Any, key: str = "") -> Any:
    """A copy of *value*, which stands at *key*, without extensions."""
    if isinstance(value, list):
        return copy.deepcopy(value) if key in _LITERAL or key == "examples" else [_plain(v) for v in value]
    if not isinstance(value, Mapping):
        return value
    if key in _LITERAL:
        return copy.deepcopy(value)
    if key in _NAMED:
        return {k: _plain(v) for k, v in value.items()}
    return {k: _plain(v, k) for k, v in value.items() if not k.startswith("x-")}


def _auth(scheme: Mapping[str, Any]) -> list[str]:
    """How schemathesis proves the right to ask under one security scheme."""
    if scheme.get("type") == "http" and scheme.get("scheme") == "bearer":
        # Not under [auth]: schemathesis would leave it out of the examples that hooks add.
        return ["[headers]", 'Authorization = "Bearer ${CONTRACT_TOKEN}"', ""]
    if scheme.get("type") == "http" and scheme.get("scheme") == "basic":
        return ["[auth.basic]", 'username = "${CONTRACT_USERNAME}"', 'password = "${CONTRACT_PASSWORD}"', ""]
    return []


def _request(contract: Contract, pointer: str) -> str:
    """Where the request body of the operation at *pointer* stands, after any reference."""
    document = contract.document
    return document.follow(document.at(f"{pointer}/requestBody"), f"{pointer}/requestBody")[1]


def _give_examples(contract: Contract, made: dict[str, Any], ids: Sequence[str]) -> None:
    """Writes out each parameter in *made* that names a record, with *ids* as the examples of its schema."""
    document = Document(made, {}, "")
    for operation in contract.operations.values():
        for place in (operation.pointer.rpartition("/")[0], operation.pointer):
            parameters = document.at(place).get("parameters", [])
            for i, parameter in enumerate(parameters):
                found = copy.deepcopy(document.follow(parameter, place)[0])
                if operation.key is None or (found.get("in"), found.get("name")) != ("path", operation.key.name):
                    continue
                schema = copy.deepcopy(document.follow(found.get("schema", {}), "")[0])
                parameters[i] = {k: v for k, v in found.items() if k not in {"example", "examples"}} | {
                    "schema": {k: v for k, v in schema.items() if k != "example"} | {"examples": list(ids)}
                }
