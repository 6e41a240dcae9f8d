"""The tables of the document: fields, values, companions, aliases, and the switches of what it leaves open.

`Rules` holds all of it as one frozen value. A defect or a variant that is only a different table or
switch is a `dataclasses.replace` of it; everything else is a hook on a stage (see `behaviour`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

__all__ = [
    "ALIASES",
    "CAPABILITIES",
    "DATES",
    "ENUMS",
    "IDS",
    "METHODS",
    "PLATFORM_HANDLERS",
    "READ_ONLY",
    "REQUEST",
    "REQUIRES",
    "RESOURCE_HANDLERS",
    "RESPONSE",
    "URLS",
    "USES",
    "Record",
    "Rules",
    "humanise",
]

Record = dict[str, Any]
"""One phone number: the 30 request fields and the 13 that only the platform sets."""


def words(text: str) -> tuple[str, ...]:
    """Return the words of *text*."""
    return tuple(text.split())


CAPABILITIES = ("voice", "fax", "sms", "mms")
VERBS = ("GET", "POST")

METHODS = words(
    "call_request_method call_fallback_method call_status_callback_method"
    " message_request_method message_fallback_method"
)
URLS = words(
    "call_request_url call_fallback_url call_status_callback_url call_relay_topic_status_callback_url"
    " call_relay_script_url call_relay_context_status_callback_url message_request_url message_fallback_url"
)
IDS = words(
    "call_laml_application_id call_dialogflow_agent_id call_relay_connector_id call_sip_endpoint_id"
    " call_video_room_id message_laml_application_id"
)
TEXTS = words(
    "name call_relay_topic call_relay_context call_relay_application call_verto_resource"
    " message_relay_topic message_relay_context message_relay_application"
)

REQUIRES: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "call_handler": {
            "relay_context": "call_relay_context",
            "relay_topic": "call_relay_topic",
            "relay_script": "call_relay_script_url",
            "relay_application": "call_relay_application",
            "relay_connector": "call_relay_connector_id",
            "relay_sip_endpoint": "call_sip_endpoint_id",
            "relay_verto_endpoint": "call_verto_resource",
            "laml_webhooks": "call_request_url",
            "laml_application": "call_laml_application_id",
            "dialogflow": "call_dialogflow_agent_id",
            "video_room": "call_video_room_id",
        },
        "message_handler": {
            "relay_context": "message_relay_context",
            "relay_topic": "message_relay_topic",
            "relay_application": "message_relay_application",
            "laml_webhooks": "message_request_url",
            "laml_application": "message_laml_application_id",
        },
    }
)
"""Selector -> value -> the companion that must be sent with it or stand in the record already."""

USES: Mapping[str, Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "call_handler": {
            "laml_webhooks": (
                "call_request_method",
                "call_fallback_url",
                "call_fallback_method",
                "call_status_callback_url",
                "call_status_callback_method",
            ),
            "relay_topic": ("call_relay_topic_status_callback_url",),
            "relay_context": ("call_relay_context_status_callback_url",),
        },
        "message_handler": {
            "laml_webhooks": ("message_request_method", "message_fallback_url", "message_fallback_method")
        },
    }
)
"""Selector -> value -> the other fields that this value reads."""

PLATFORM_HANDLERS = ("fabric_subscriber", "sip_gateway", "call_queue", "ai_agent", "call_flow")
"""Call handlers that only the platform sets; a write that names one is refused."""

RESOURCE_HANDLERS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "call_handler": (
            "laml_webhooks",
            "laml_application",
            "relay_script",
            "relay_application",
            "video_room",
        ),
        "message_handler": ("laml_webhooks", "laml_application", "relay_application"),
    }
)
"""Handlers that the platform backs with a resource, whose id it derives from the companion's value."""

ENUMS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "call_handler": tuple(REQUIRES["call_handler"]),
        "message_handler": tuple(REQUIRES["message_handler"]),
        "call_receive_mode": ("voice", "fax"),
        **dict.fromkeys(METHODS, VERBS),
    }
)
"""Request field -> the values that a write may send."""

REQUEST = (*TEXTS, *ENUMS, *URLS, *IDS)
DATES = ("created_at", "updated_at", "next_billed_at")

RESPONSE = words(
    "id name number capabilities number_type e911_address_id e911_status created_at updated_at next_billed_at"
    " call_handler calling_handler_resource_id call_receive_mode call_request_url call_request_method"
    " call_fallback_url call_fallback_method call_status_callback_url call_status_callback_method"
    " call_laml_application_id call_dialogflow_agent_id call_relay_topic call_relay_topic_status_callback_url"
    " call_relay_script_url call_relay_context call_relay_context_status_callback_url call_relay_application"
    " call_relay_connector_id call_sip_endpoint_id call_verto_resource call_video_room_id message_handler"
    " messaging_handler_resource_id message_request_url message_request_method message_fallback_url"
    " message_fallback_method message_laml_application_id message_relay_topic message_relay_context"
    " country_code cnam"
)
"""The 42 fields of an answer in the order in which they are sent."""

READ_ONLY = tuple(name for name in RESPONSE if name not in REQUEST)

ALIASES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "call_relay_application": ("call_relay_topic", "call_relay_context"),
        "message_relay_application": ("message_relay_topic", "message_relay_context"),
    }
)
"""The alias that wins -> those that are left unchanged when it is sent with them."""


def humanise(name: str) -> str:
    """Return *name* as Rails writes it in a message: "call_video_room_id" becomes "Call video room"."""
    return name.removesuffix("_id").replace("_", " ").capitalize()


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What a write may say, and how the server behaves where the documents are silent."""

    enums: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: ENUMS)
    requires: Mapping[str, Mapping[str, str]] = field(default_factory=lambda: REQUIRES)
    also_requires: Mapping[str, Mapping[str, tuple[str, ...]]] = field(default_factory=dict)
    not_null: tuple[str, ...] = ("call_receive_mode",)
    companions_in_body: bool = False
    """A selector that is sent needs its companion in the same body, stored or not."""
    name_length: int = 255
    """Characters (code points) that a name may have."""
    null: Literal["clears", "refused", "ignored"] = "clears"
    blank: Literal["stored", "refused", "null"] = "stored"
    unknown_keys: Literal["ignored", "refused"] = "ignored"
    read_only_keys: Literal["ignored", "refused"] = "ignored"
    empty_body: Literal["accepted", "refused"] = "accepted"
    numbers: Literal["refused", "text"] = "refused"
    upper_case_enums: bool = False
    """Enum values are accepted in any case and stored as the documents spell them."""
    schemes: tuple[str, ...] = ("http", "https")
    ports: bool = True
    idn: bool = True
    ids_must_exist: bool = True
    blank_counts: bool = False
    """A blank companion that is stored is there, for a selector that is sent without it."""
    blank_ids: bool = False
    """A blank id is accepted, as other blanks are."""
    clear_former: bool = False
    """Switching a handler clears the companions of the one before."""
    mirror_aliases: bool = False
    """Every alias of a group takes the value of the one that wins."""
    fill_methods: bool = False
    """A save turns a null method into POST."""
    always_touch: bool = False
    """A write that changes nothing moves updated_at all the same."""
    milliseconds: bool = False
    """updated_at has three digits of a second."""
    malformed_status: int = 400
    not_an_object_status: int = 422
    """With 200 such a body is read as an empty object."""
    type_status: int = 422
    media_status: int = 415
    credentials_status: int = 401
