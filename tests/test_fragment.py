"""The bundled fragment against what is known of the API, as tables that were written down apart from it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import openapi_spec_validator
import pytest

from contract import spec
from contract.formats import matches
from contract.model import BASES, Fact

CONTRACT = spec.load()
UPDATE = CONTRACT.update
assert UPDATE.request is not None
assert UPDATE.response is not None
BODY = UPDATE.request
REQUEST = BODY.fields
RESPONSE = UPDATE.response.fields

CALL_HANDLERS = [
    "relay_context",
    "relay_topic",
    "relay_script",
    "relay_application",
    "relay_connector",
    "relay_sip_endpoint",
    "relay_verto_endpoint",
    "laml_webhooks",
    "laml_application",
    "dialogflow",
    "video_room",
]
MESSAGE_HANDLERS = ["relay_context", "relay_topic", "relay_application", "laml_webhooks", "laml_application"]
METHODS = ["GET", "POST"]

REQUEST_FIELDS = [
    "name",
    "call_handler",
    "call_receive_mode",
    "call_request_url",
    "call_request_method",
    "call_fallback_url",
    "call_fallback_method",
    "call_status_callback_url",
    "call_status_callback_method",
    "call_laml_application_id",
    "call_dialogflow_agent_id",
    "call_relay_topic",
    "call_relay_topic_status_callback_url",
    "call_relay_script_url",
    "call_relay_application",
    "call_relay_connector_id",
    "call_sip_endpoint_id",
    "call_verto_resource",
    "call_video_room_id",
    "message_handler",
    "message_request_url",
    "message_request_method",
    "message_fallback_url",
    "message_fallback_method",
    "message_laml_application_id",
    "message_relay_topic",
    "message_relay_application",
    "call_relay_context",
    "call_relay_context_status_callback_url",
    "message_relay_context",
]
"""In the order of the page."""
RESPONSE_FIELDS = [
    "id",
    "number",
    "name",
    "capabilities",
    "number_type",
    "e911_address_id",
    "created_at",
    "updated_at",
    "next_billed_at",
    "call_handler",
    "calling_handler_resource_id",
    "call_receive_mode",
    "call_request_url",
    "call_request_method",
    "call_fallback_url",
    "call_fallback_method",
    "call_status_callback_url",
    "call_status_callback_method",
    "call_laml_application_id",
    "call_dialogflow_agent_id",
    "call_relay_topic",
    "call_relay_topic_status_callback_url",
    "call_relay_script_url",
    "call_relay_context",
    "call_relay_context_status_callback_url",
    "call_relay_application",
    "call_relay_connector_id",
    "call_sip_endpoint_id",
    "call_verto_resource",
    "call_video_room_id",
    "message_handler",
    "messaging_handler_resource_id",
    "message_request_url",
    "message_request_method",
    "message_fallback_url",
    "message_fallback_method",
    "message_laml_application_id",
    "message_relay_topic",
    "message_relay_context",
    "country_code",
]
"""In the order of the page, which shows every one of them."""
NEWER = ["e911_status", "cnam"]
NEVER_NULL = ["id", "number", "capabilities", "number_type", "created_at", "updated_at", "call_receive_mode"]

REQUEST_ENUMS: dict[str, list[str]] = {
    "call_handler": CALL_HANDLERS,
    "call_receive_mode": ["voice", "fax"],
    "call_request_method": METHODS,
    "call_fallback_method": METHODS,
    "call_status_callback_method": METHODS,
    "message_handler": MESSAGE_HANDLERS,
    "message_request_method": METHODS,
    "message_fallback_method": METHODS,
}
RESPONSE_ENUMS: dict[str, list[str]] = {
    **REQUEST_ENUMS,
    "call_handler": [*CALL_HANDLERS, "call_flow", "ai_agent", "fabric_subscriber", "sip_gateway", "call_queue"],
    "message_handler": [*MESSAGE_HANDLERS, "swml_webhooks"],
    # The sources spell the second one in two ways.
    "number_type": ["longcode", "toll-free", "tollfree"],
    "e911_status": ["pending", "active", "failed", "pending_removal", "unregistered"],
}
RESPONSE_FORMATS = {
    **dict.fromkeys(["id", "e911_address_id", "calling_handler_resource_id"], "uuid"),
    **dict.fromkeys(["messaging_handler_resource_id", "call_sip_endpoint_id", "call_video_room_id"], "uuid"),
    **dict.fromkeys(["created_at", "updated_at", "next_billed_at"], "date-time"),
    "number": "e164",
    "country_code": "iso-3166-1-alpha-2",
}
COMPANIONS: dict[str, dict[str, list[str]]] = {
    "call_handler": {
        "relay_context": ["call_relay_context", "call_relay_context_status_callback_url"],
        "relay_topic": ["call_relay_topic", "call_relay_topic_status_callback_url"],
        "relay_script": ["call_relay_script_url"],
        "relay_application": ["call_relay_application"],
        "relay_connector": ["call_relay_connector_id"],
        "relay_sip_endpoint": ["call_sip_endpoint_id"],
        "relay_verto_endpoint": ["call_verto_resource"],
        "laml_webhooks": ["call_request_url"],
        "laml_application": ["call_laml_application_id"],
        "dialogflow": ["call_dialogflow_agent_id"],
        "video_room": ["call_video_room_id"],
    },
    "message_handler": {
        "relay_context": ["message_relay_context"],
        "relay_topic": ["message_relay_topic"],
        "relay_application": ["message_relay_application"],
        "laml_webhooks": ["message_request_url"],
        "laml_application": ["message_laml_application_id"],
    },
}
DOUBTFUL = ["call_relay_context_status_callback_url", "call_relay_topic_status_callback_url"]
"""Companions that the page calls required and the SDK optional."""
IDS = [
    "call_laml_application_id",
    "call_dialogflow_agent_id",
    "call_relay_connector_id",
    "call_sip_endpoint_id",
    "call_video_room_id",
    "message_laml_application_id",
]
DEPRECATED = ["call_relay_context", "call_relay_context_status_callback_url", "message_relay_context"]
READ_ONLY = [
    "id",
    "number",
    "capabilities",
    "number_type",
    "e911_address_id",
    "e911_status",
    "cnam",
    "created_at",
    "updated_at",
    "next_billed_at",
    "calling_handler_resource_id",
    "messaging_handler_resource_id",
    "country_code",
]


def test_it_is_openapi() -> None:
    """Another implementation finds the fragment valid under OpenAPI 3.1."""
    validator = openapi_spec_validator.OpenAPIV31SpecValidator(dict(CONTRACT.document.data))
    assert list(validator.iter_errors()) == []


def test_it_has_the_three_operations() -> None:
    """List, retrieve and update have the documented methods, paths and refusals."""
    assert {op.id: (op.label, op.success, sorted(op.error_facts)) for op in CONTRACT.operations.values()} == {
        "list_phone_numbers": ("GET /phone_numbers", 200, [400, 401, 500]),
        "retrieve_phone_number": ("GET /phone_numbers/{id}", 200, [401, 404, 422, 500]),
        "update_phone_number": ("PUT /phone_numbers/{id}", 200, [400, 401, 404, 422, 500]),
    }
    assert UPDATE.id == "update_phone_number"
    assert CONTRACT.retrieve.id == "retrieve_phone_number"
    assert CONTRACT.listing == (CONTRACT.operations["list_phone_numbers"], "/data")
    assert UPDATE.unsent is not None
    assert CONTRACT.schemes["basic"]["scheme"] == "basic"


def test_it_has_every_request_field() -> None:
    """The 30 request fields of the page are there, none is required and none may be null."""
    assert len(REQUEST_FIELDS) == 30
    assert list(REQUEST) == REQUEST_FIELDS
    assert not any(item.required for item in REQUEST.values())
    assert not any(item.nullable for item in REQUEST.values())


def test_it_has_every_response_field() -> None:
    """The 40 response fields of the page are required; two newer ones are optional."""
    assert len(RESPONSE_FIELDS) == 40
    assert [name for name in RESPONSE if name not in NEWER] == RESPONSE_FIELDS
    assert [name for name, item in RESPONSE.items() if item.required] == RESPONSE_FIELDS
    assert [name for name, item in RESPONSE.items() if not item.required] == NEWER


def test_only_one_request_field_is_never_shown() -> None:
    """The response lacks exactly the request field that is write-only."""
    assert [name for name in REQUEST if name not in RESPONSE] == ["message_relay_application"]
    assert [name for name, item in REQUEST.items() if item.write_only] == ["message_relay_application"]


def test_nullability() -> None:
    """Seven fields of the answer are never null; all others may be."""
    assert [name for name, item in RESPONSE.items() if not item.nullable] == NEVER_NULL


def test_types() -> None:
    """Every field is a string, but for the list of capabilities."""
    assert {name: item.types for name, item in REQUEST.items()} == dict.fromkeys(REQUEST, ("string",))
    for name, item in RESPONSE.items():
        kind = "array" if name == "capabilities" else "string"
        assert item.types == ((kind,) if name in NEVER_NULL else (kind, "null"))


def test_request_enums() -> None:
    """The values that may be sent are those of the official description, in its order."""
    assert {name: list(item.enum) for name, item in REQUEST.items() if item.enum} == REQUEST_ENUMS


def test_response_enums() -> None:
    """The values that may be found include those that only the platform sets."""
    assert {name: list(item.enum) for name, item in RESPONSE.items() if item.enum} == RESPONSE_ENUMS
    assert RESPONSE["capabilities"].item_enum == ("voice", "sms", "mms", "fax")


def test_values_about_which_sources_disagree() -> None:
    """What the SDK sends and the description forbids is neither sent as valid nor judged as invalid."""
    assert {n: list(item.open_values) for n, item in REQUEST.items() if item.open_values} == {
        "call_handler": ["ai_agent", "call_flow"],
        "message_handler": ["swml_webhooks"],
    }


def test_defaults() -> None:
    """Methods are POST and calls are voice unless something else was set."""
    methods = [name for name in REQUEST if name.endswith("_method")]
    assert {n: item.schema["default"] for n, item in REQUEST.items() if "default" in item.schema} == {
        "call_receive_mode": "voice",
        **dict.fromkeys(methods, "POST"),
    }


def test_formats() -> None:
    """Ids, times, the number and its country have formats; addresses only where they are sent."""
    assert {name: item.format for name, item in RESPONSE.items() if item.format} == RESPONSE_FORMATS
    assert {name: item.format for name, item in REQUEST.items() if item.format} == {
        **{name: "uri" for name in REQUEST if name.endswith("_url")},
        "call_video_room_id": "uuid",
    }


def test_companions() -> None:
    """Every value of both handlers has the companions of the page, and only those."""
    assert {
        name: {value: list(choice.requires) for value, choice in item.choices.items()}
        for name, item in BODY.selectors.items()
    } == COMPANIONS


def test_doubtful_companions_are_inferred() -> None:
    """What the sources do not agree on is no documented requirement."""
    weak = {
        other
        for name in COMPANIONS
        for choice in REQUEST[name].choices.values()
        for other, fact in choice.requires.items()
        if fact.basis != "documented"
    }
    assert sorted(weak) == sorted(DOUBTFUL)


def test_webhooks_use_methods_and_fallbacks() -> None:
    """The webhook handlers read the fields beside their URL as well."""
    call, message = REQUEST["call_handler"].choices, REQUEST["message_handler"].choices
    assert list(call["laml_webhooks"].uses) == [
        name for name in REQUEST if name.startswith(("call_request_m", "call_fallback", "call_status_callback"))
    ]
    assert list(message["laml_webhooks"].uses) == [
        name for name in REQUEST if name.startswith(("message_request_m", "message_fallback"))
    ]
    others = [c for c in (*call.values(), *message.values()) if c.value != "laml_webhooks"]
    assert not any(choice.uses for choice in others)


def test_deprecations() -> None:
    """Three request fields and one value of each handler are deprecated; nothing is in the answer."""
    assert [name for name, item in REQUEST.items() if item.deprecated] == sorted(DEPRECATED, key=REQUEST_FIELDS.index)
    assert not any(item.deprecated for item in RESPONSE.values())
    for name in COMPANIONS:
        assert [v for v, choice in REQUEST[name].choices.items() if choice.deprecated] == ["relay_context"]


def test_fields_that_need_an_id() -> None:
    """Every field with the id of something else needs one that exists."""
    assert [name for name, item in REQUEST.items() if item.resource] == IDS


def test_aliases() -> None:
    """Application, topic and context are names for one thing in each channel; the application wins."""
    for channel, group in zip(("call", "message"), BODY.aliases, strict=True):
        names = [f"{channel}_relay_{kind}" for kind in ("topic", "context", "application")]
        assert list(group.fields) == names
        assert group.wins == f"{channel}_relay_application"


def test_what_changes_by_itself() -> None:
    """Immutable, derived and moving fields are told apart; everything else only changes when it is sent."""
    kinds: dict[str, list[str]] = {}
    for name, item in RESPONSE.items():
        if item.changes:
            kinds.setdefault(item.changes, []).append(name)
    assert kinds == {
        "never": ["id", "number", "capabilities", "number_type", "created_at", "country_code"],
        "anytime": ["e911_status"],
        "on-write": ["updated_at"],
        "derived": ["calling_handler_resource_id", "messaging_handler_resource_id"],
    }
    assert [name for name, item in RESPONSE.items() if item.read_only] == sorted(READ_ONLY, key=list(RESPONSE).index)
    assert RESPONSE["updated_at"].schema["x-not-before"] == "created_at"
    assert RESPONSE["country_code"].schema["x-region-of"] == "number"


def test_limits_of_length_are_no_documented_ones() -> None:
    """Only one length is stated for the request, and that one is inferred from another API."""
    assert {n: item.schema["maxLength"] for n, item in REQUEST.items() if "maxLength" in item.schema} == {"name": 255}
    assert REQUEST["name"].facet("maxLength").basis == "inferred"
    assert REQUEST["name"].facet("type").basis == "documented"


def test_the_refusal_of_a_value() -> None:
    """A 422 has a list of errors whose status and code are strings, and whose reason may be null."""
    schema = UPDATE.errors[422]
    entry = schema["properties"]["errors"]["items"]
    assert schema["required"] == ["errors"]
    assert entry["required"] == ["detail", "status", "title", "code"]
    assert entry["properties"]["status"]["const"] == "422"
    assert entry["properties"]["detail"]["type"] == ["string", "null"]
    assert UPDATE.errors[404]["required"] == ["error"]


def test_the_body_of_a_401_is_not_judged() -> None:
    """The sources disagree about it, so its basis is weaker than documented."""
    assert UPDATE.errors[401]["x-basis"] == "inferred"


def properties(value: Any, pointer: str = "#") -> Iterator[tuple[str, Any]]:
    """Every property of every schema, with its pointer."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key == "properties":
                for name, schema in inner.items():
                    yield f"{pointer}/properties/{name}", schema
            yield from properties(inner, f"{pointer}/{key}")
    elif isinstance(value, list):
        for i, inner in enumerate(value):
            yield from properties(inner, f"{pointer}/{i}")


def test_every_property_says_how_it_is_known() -> None:
    """Each of the properties has a basis and a source, and every source is listed."""
    found = list(properties(CONTRACT.document.data))
    assert len(found) > 80
    for pointer, schema in found:
        assert schema["x-basis"] in BASES, pointer
        key = schema["x-source"].partition(":")[0]
        assert key in CONTRACT.sources, pointer


def test_every_property_is_described() -> None:
    """Each property says in words what it is."""
    assert [pointer for pointer, schema in properties(CONTRACT.document.data) if not schema.get("description")] == []


def test_every_fact_has_a_source() -> None:
    """No fact of an operation, a field or a companion stands without a source."""
    facts: list[Fact] = []
    for operation in CONTRACT.operations.values():
        facts += [operation.fact, *operation.error_facts.values(), *(link.fact for link in operation.links)]
        for body in (operation.request, operation.response):
            for item in body.fields.values() if body else ():
                facts += [item.fact, *item.facets.values()]
                facts += [fact for choice in item.choices.values() for fact in (choice.fact, *choice.requires.values())]
            facts += [group.fact for group in body.aliases] if body else []
    assert len(facts) > 150
    assert [fact for fact in facts if not fact.source] == []


def addresses(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Every address in *value*, with the key that it stands under."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from addresses(inner, name)
    elif isinstance(value, list):
        for inner in value:
            yield from addresses(inner, key)
    elif isinstance(value, str) and "://" in value:
        yield key, value


def test_addresses_are_sources_and_servers_only() -> None:
    """The only addresses in the fragment are where facts come from and where the API is: none is an example."""
    found = list(addresses(CONTRACT.document.data))
    assert {key for key, _ in found} == {"url"}
    assert {urlsplit(address).scheme for _, address in found} == {"https"}


@pytest.mark.parametrize("name", ["number", "id", "created_at", "updated_at"])
def test_examples_are_well_formed(name: str) -> None:
    """An example of a field is one that its own format takes."""
    for example in RESPONSE[name].schema["examples"]:
        assert matches(RESPONSE[name].format, example)
