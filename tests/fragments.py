"""A small contract about lamps, to be changed by tests one thing at a time."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from typing import Any, Final

from contract import spec
from contract.document import read
from contract.model import MISSING

__all__ = ["LAMP", "REQUEST", "RESPONSE", "changed", "few", "grown", "lamp"]

LAMP: Final[Mapping[str, Any]] = read(
    """\
openapi: 3.1.0
info: {title: Lamps, version: "7"}
x-sources:
  book: {title: The book of lamps, url: "https://example.com/book"}
  talk: {title: A talk}
servers: [{url: "https://lamps.example/api"}]
security: [{basic: []}]
paths:
  /lamps:
    get:
      operationId: list_lamps
      responses:
        "200":
          description: All lamps.
          content: {application/json: {schema: {$ref: "#/components/schemas/Lamps"}}}
  /lamps/{id}:
    parameters:
      - {name: id, in: path, required: true, schema: {type: string, format: uuid}}
    get:
      operationId: show_lamp
      responses:
        "200":
          description: The lamp.
          content: {application/json: {schema: {$ref: "#/components/schemas/Lamp"}}}
        "401": {$ref: "#/components/responses/Error"}
        "404": {$ref: "#/components/responses/Error"}
    put:
      operationId: set_lamp
      x-basis: documented
      x-source: book
      x-unsent: unchanged
      requestBody:
        content: {application/json: {schema: {$ref: "#/components/schemas/Setting"}}}
      responses:
        "200":
          description: The lamp.
          content: {application/json: {schema: {$ref: "#/components/schemas/Lamp"}}}
          links:
            show: {operationId: show_lamp, x-reads-back: ""}
            list: {operationId: list_lamps, x-reads-back: /lamps, x-source: talk}
        "401": {$ref: "#/components/responses/Error"}
        "404": {$ref: "#/components/responses/Error"}
        "422": {$ref: "#/components/responses/Error"}
components:
  securitySchemes:
    basic: {type: http, scheme: basic}
  responses:
    Error:
      description: It is refused.
      content:
        application/json:
          schema: {type: object, required: [error], properties: {error: {type: string}}}
  schemas:
    Setting:
      type: object
      x-aliases:
        - {fields: [label, caption], wins: label, basis: observed, source: talk}
      properties:
        label: {type: string, maxLength: 100, x-source: book}
        caption: {type: string, deprecated: true, x-source: book}
        mode:
          type: string
          enum: [steady, blink, follow]
          x-open-values: [party]
          x-source: "book: page 7"
          x-selector:
            blink: {requires: {period: {basis: observed, source: talk}}, uses: [color]}
            follow: {requires: {leader: {}}, deprecated: true, basis: inferred}
        period: {type: integer, minimum: 1, maximum: 60}
        color: {type: string, enum: [red, green], default: red}
        leader: {type: string, x-resource: true}
        code: {type: string, writeOnly: true}
        call: {type: string, format: uri}
    Lamp:
      type: object
      required: [id, label, mode, period, color, leader, call, since, until]
      properties:
        id: {type: string, format: uuid, readOnly: true, x-changes: never}
        phone: {type: [string, "null"], format: e164, readOnly: true}
        country: {type: [string, "null"], format: iso-3166-1-alpha-2, x-region-of: phone}
        label: {type: [string, "null"]}
        caption: {type: [string, "null"]}
        mode: {type: string, enum: [steady, blink, follow, off], x-facets: {enum: {basis: inferred}}}
        period: {type: [integer, "null"]}
        color: {type: [string, "null"], enum: [red, green, null]}
        leader: {type: [string, "null"]}
        call: {type: [string, "null"]}
        parts: {type: array, items: {type: string, enum: [bulb, shade, foot]}, x-changes: never}
        watts: {type: number, x-changes: anytime, readOnly: true}
        since: {type: string, format: date-time, readOnly: true, x-changes: never}
        until: {type: string, format: date-time, readOnly: true, x-changes: on-write, x-not-before: since}
    Lamps:
      type: object
      required: [lamps, total]
      properties:
        lamps: {type: array, items: {$ref: "#/components/schemas/Lamp"}}
        total: {type: integer}
"""
).data
REQUEST: Final = "components/schemas/Setting/properties"
RESPONSE: Final = "components/schemas/Lamp/properties"


def changed(changes: Mapping[str, Any]) -> str:
    """The text of the contract with *changes*: a path, its keys joined with ``/`` (``~1`` for a ``/`` in one), to a
    new value, or to `MISSING` for what is taken out.
    """
    data = copy.deepcopy(dict(LAMP))
    for path, value in changes.items():
        *above, last = (key.replace("~1", "/") for key in path.split("/"))
        place: Any = data
        for step in above:
            place = place[int(step)] if isinstance(place, list) else place[step]
        key: Any = int(last) if isinstance(place, list) else last
        if value is MISSING:
            del place[key]
        else:
            place[key] = value
    return json.dumps(data, indent=1)


def lamp(changes: Mapping[str, Any] | None = None) -> spec.Contract:
    """The contract with *changes*, see `changed`."""
    return spec.loads(changed(changes or {}), "lamp.json")


def grown(fields: int, values: int) -> spec.Contract:
    """A contract with one selector of *values* values, a companion for each, and *fields* other fields of five kinds."""
    kinds: list[dict[str, Any]] = [
        {"type": "string", "enum": ["a", "b"]},
        {"type": "string"},
        {"type": "string", "format": "uri"},
        {"type": "boolean"},
        {"type": "integer"},
    ]
    properties: dict[str, Any] = {f"field{i}": kinds[i % len(kinds)] for i in range(fields)}
    properties |= {f"companion{i}": {"type": "string"} for i in range(values)}
    choices: dict[str, Any] = {f"value{i}": {"requires": {f"companion{i}": {}}} for i in range(values)}
    plain = {"type": "string", "enum": list(choices)}
    shown = {"id": {"type": "string", "format": "uuid"}, **properties, "kind": plain}
    return lamp(
        {
            "components/schemas/Setting": {
                "type": "object",
                "properties": {**properties, "kind": {**plain, "x-selector": choices}},
            },
            "components/schemas/Lamp": {"type": "object", "properties": shown},
        }
    )


FEW: Final = (
    *("id", "number", "name", "capabilities", "created_at", "updated_at", "call_handler", "call_receive_mode"),
    *("call_request_url", "call_relay_topic", "call_relay_topic_status_callback_url"),
)
"""Fields of the bundled contract with which most of what a run does is done."""


def few() -> str:
    """The text of the bundled contract with `FEW` of the fields of a record, and those values of a selector that need no
    other: a plan and a page of it are made in a fraction of the time.
    """
    data = copy.deepcopy(dict(read(spec.bundled().read_text("utf-8")).data))
    schemas = data["components"]["schemas"]
    del schemas["PhoneNumberUpdate"]["x-aliases"]
    for schema in (schemas["PhoneNumberUpdate"], schemas["PhoneNumber"]):
        fields = schema["properties"] = {name: item for name, item in schema["properties"].items() if name in FEW}
        schema["required"] = [name for name in schema.get("required", []) if name in fields]
        for item in (item for item in fields.values() if "x-selector" in item):
            choices = {v: one for v, one in item["x-selector"].items() if {*one["requires"]} <= {*FEW}}
            for one in choices.values():
                one["uses"] = [name for name in one["uses"] if name in FEW]
            item |= {"enum": [*choices], "x-selector": choices}
    return json.dumps(data)
