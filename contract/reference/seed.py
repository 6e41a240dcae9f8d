"""What a new database holds: the project's numbers, one of another project, and the resources that exist."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from contract.reference.fields import (
    CAPABILITIES,
    IDS,
    METHODS,
    REQUEST,
    REQUIRES,
    RESOURCE_HANDLERS,
    RESPONSE,
    Record,
)

__all__ = [
    "DEMO_PASSWORD",
    "DEMO_USERNAME",
    "FOREIGN_IDS",
    "NUMBER_IDS",
    "RESOURCES",
    "Seed",
    "derive",
    "seed",
]


def fixed_id(name: str) -> str:
    """Return the random-looking UUID that always belongs to *name*."""
    return str(uuid.UUID(bytes=hashlib.sha256(name.encode()).digest()[:16], version=4))


DEMO_USERNAME = fixed_id("project")
DEMO_PASSWORD = "PT" + hashlib.sha256(b"token of the demo project").hexdigest()[:46]
RESOURCES: Mapping[str, str] = {name: fixed_id(f"resource {name}") for name in IDS}
"""Request field -> the id that it may name."""
NUMBER_IDS = tuple(fixed_id(f"number {index}") for index in range(8))
FOREIGN_IDS = (fixed_id("number of another project"),)

CONFIGURED: Record = {
    "name": "Front desk",
    "call_handler": "laml_webhooks",
    "call_request_url": "https://voice.example.com/answer?line=front",
    "call_fallback_url": "https://voice.example.com/fallback",
    "call_status_callback_url": "https://voice.example.com/status",
    "message_handler": "laml_webhooks",
    "message_request_url": "https://messages.example.com/inbound",
    "message_fallback_url": "https://messages.example.com/fallback",
    **dict.fromkeys(METHODS, "POST"),
    "e911_address_id": fixed_id("address"),
    "e911_status": "active",
    "cnam": "FRONT DESK",
}


@dataclass(frozen=True, slots=True)
class Seed:
    """The first contents of a database."""

    numbers: tuple[Record, ...]
    """The project's numbers, in the order of `NUMBER_IDS`."""
    foreign: tuple[Record, ...]
    """Numbers of another project."""
    resources: Mapping[str, str]


def derive(record: Record) -> None:
    """Set the two ids that the platform derives from a handler and its companion, or null."""
    for selector, shown in (
        ("call_handler", "calling_handler_resource_id"),
        ("message_handler", "messaging_handler_resource_id"),
    ):
        handler, key = record[selector], None
        if handler in RESOURCE_HANDLERS[selector]:
            key = record[REQUIRES[selector][handler]]
        elif handler is not None and handler not in REQUIRES[selector]:
            key = record["id"]
        record[shown] = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{handler} {key}")) if key else None


def _number(index: int, number: str, created: datetime, updated: datetime, **settings: Any) -> Record:
    record: Record = dict.fromkeys((*REQUEST, *RESPONSE))
    record |= {
        "number": number,
        "capabilities": list(CAPABILITIES),
        "number_type": "longcode",
        "country_code": "US",
        "call_handler": "laml_webhooks",
        "call_receive_mode": "voice",
        "created_at": _text(created),
        "updated_at": _text(updated),
        "next_billed_at": _text(created if created == updated else created + timedelta(days=212)),
    }
    record |= settings
    record["id"] = NUMBER_IDS[index] if index >= 0 else FOREIGN_IDS[0]
    derive(record)
    return record


def _text(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def seed(first: Mapping[str, Any]) -> Seed:
    """Return the first contents of a database created now; *first* overrides fields of its first number."""
    now = datetime.now(UTC)

    def days(count: float) -> datetime:
        return now - timedelta(days=count)

    return Seed(
        numbers=(
            _number(0, "+15558675309", days(200), days(3), **CONFIGURED | dict(first)),
            _number(1, "+15558675310", days(1), days(1)),
            _number(2, "+15558675311", days(150), days(20), name="Reception", call_handler="call_flow"),
            _number(
                3,
                "+15558675312",
                days(120),
                days(9),
                name="Sales",
                call_handler="relay_script",
                call_relay_script_url="https://scripts.example.com/sales.yaml",
                **dict.fromkeys(METHODS, "POST"),
            ),
            _number(
                4,
                "+442079460123",
                days(110),
                days(7),
                name="London",
                country_code="GB",
                capabilities=["voice", "fax"],
                call_handler="relay_application",
                call_relay_application="london",
                message_handler="relay_topic",
                message_relay_topic="london",
            ),
            _number(
                5,
                "+18005550143",
                days(90),
                days(5),
                name="Free line",
                number_type="toll-free",
                call_handler="video_room",
                call_video_room_id=RESOURCES["call_video_room_id"],
            ),
            _number(
                6,
                "+15558675315",
                days(60),
                days(2),
                name="Fax",
                call_receive_mode="fax",
                call_request_url="https://fax.example.com/receive",
                next_billed_at=None,
                country_code=None,
                **dict.fromkeys(METHODS, "POST"),
            ),
            _number(7, "+15558675316", days(30), days(30), name="Spare"),
        ),
        foreign=(_number(-1, "+15558675399", days(45), days(4), name="Somebody else"),),
        resources=RESOURCES,
    )
