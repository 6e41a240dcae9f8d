"""Answers of the wrong shape: status, media type, JSON, presence, type, null, enum, E.164, format."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from contract.reference.behaviour import Behaviour, Hook
from contract.reference.exchange import LIST, RETRIEVE, UPDATE, Exchange
from contract.reference.fields import METHODS, Record
from contract.reference.kit import Row, hook, shown, shown_as, table, whole, wire

__all__ = ["DEFECTS"]


def status_of(operation: str, status: int) -> Behaviour:
    """Answer *status* where *operation* should answer 200."""

    def respond(inner: Hook, x: Exchange, right: int, body: Any) -> Response:
        changed = right == 200 and x.operation == operation
        response: Response = inner(x, status if changed else right, body)
        if changed and status == 204:
            response.body = b""
            del response.headers["content-type"], response.headers["content-length"]
        return response

    return hook(respond=respond)


def other_record(x: Exchange, body: Record) -> Any:
    """Return the view of a number that nobody asked for."""
    numbers = [record for _, record in x.server.store.newest_first()]
    return x.stages.render(x, next(record for record in numbers if record["id"] != body["id"]))


def media_type(text: str | None) -> Any:
    """Return a change of an encoded answer: another content type, or none."""

    def change(response: Response) -> None:
        del response.headers["content-type"]
        if text is not None:
            response.headers["content-type"] = text

    return change


def encoded(convert: Any) -> Any:
    """Return a change of an encoded answer: other bytes."""

    def change(response: Response) -> None:
        response.body = convert(bytes(response.body))

    return change


def latin_1(response: Response) -> None:
    """Encode for Western Europe only."""
    response.headers["content-type"] = "application/json; charset=iso-8859-1"
    response.body = bytes(response.body).decode().encode("latin-1", "replace")


def renamed(old: str, new: str) -> Any:
    """Return a change of a view: one key has another name."""
    return lambda view: view.update({new: view.pop(old)})


def camel(view: Record) -> None:
    """Write every key in camel case."""
    for name in list(view):
        first, *others = name.split("_")
        view[first + "".join(map(str.capitalize, others))] = view.pop(name)


def without_nulls(view: Record) -> None:
    """Leave out what is null."""
    for name in [name for name, value in view.items() if value is None]:
        del view[name]


def set_to(name: str, value: Any) -> Any:
    """Return a change of a view: the field shows *value*, whatever is stored."""
    return lambda view: view.update({name: value})


def if_null(value: Any, *names: str) -> Any:
    """Return a change of a view: *value* stands where null belongs."""
    return lambda view: view.update({name: value for name in names if view[name] is None})


def after_messages(inner: Hook, x: Exchange, record: Record) -> Any:
    """Show updated_at in a notation of its own in what is retrieved after a write of messages alone."""
    view = inner(x, record)
    if x.operation == UPDATE:
        x.server.memory["messages"] = bool(x.sent) and all(name.startswith("message_") for name in x.sent)
    elif x.operation == RETRIEVE and x.server.memory.get("messages"):
        view["updated_at"] = view["updated_at"].replace("T", " ").replace("Z", " UTC")
    return view


# fmt: off
SHAPE: tuple[Row, ...] = (
    ("update-created", "An update answers 201.", "U.shape.status", status_of(UPDATE, 201)),
    ("update-no-content", "An update answers 204 without a body.", "U.shape U.shape.*",
     status_of(UPDATE, 204)),
    ("retrieve-partial", "A retrieve answers 206.", "R.shape.status", status_of(RETRIEVE, 206)),
    ("media-type-html", "An update says that its JSON is text/html.",
     "U.shape.media_type", wire(media_type("text/html; charset=utf-8"), UPDATE)),
    ("media-type-missing", "A retrieve names no media type.",
     "R.shape.media_type", wire(media_type(None), RETRIEVE)),
    ("latin-1", "Answers are encoded in ISO 8859-1.", "*.shape.media_type *.shape.json", wire(latin_1)),
    ("byte-order-mark", "A retrieve begins with a byte order mark.",
     "R.shape.json", wire(encoded(lambda body: b"\xef\xbb\xbf" + body), RETRIEVE)),
    ("duplicate-key", "An update shows the name twice.",
     "U.shape.json", wire(encoded(lambda body: b'{"name":"old",' + body[1:]), UPDATE)),
    ("not-a-number", "An update shows NaN, which is no JSON.",
     "U.shape.json", shown(set_to("cnam", float("nan")), UPDATE)),
    ("json-cut-short", "The last byte of a retrieve is missing.",
     "R.shape.json", wire(encoded(lambda body: body[:-1]), RETRIEVE)),
    ("envelope", "An update wraps the record in data.",
     "U.shape U.shape.*", whole(UPDATE, lambda x, body: {"data": body})),
    ("answer-is-a-list", "A retrieve answers a list of one record.",
     "R.shape R.shape.*", whole(RETRIEVE, lambda x, body: [body])),
    ("answer-is-null", "An update answers null.", "U.shape U.shape.*", whole(UPDATE, lambda x, body: None)),
    ("sent-fields-only", "An update shows what was sent, and nothing else.",
     "U.shape U.shape.*",
     whole(UPDATE, lambda x, body: {name: body[name] for name in x.sent if name in body})),
    ("retrieve-other-record", "A retrieve answers another number's record.",
     "R.shape.identity", whole(RETRIEVE, other_record)),
    ("update-other-record", "An update answers another number's record.",
     "U.shape.identity", whole(UPDATE, other_record)),
    ("list-bare", "A list is a bare array.", "L.shape L.shape.*", whole(LIST, lambda x, body: body["data"])),
    ("list-without-links", "A list has no links.",
     "L.shape L.shape.*", whole(LIST, lambda x, body: {"data": body["data"]})),
    ("updated-at-missing", "An update does not show updated_at.",
     "U.shape.updated_at.present", shown(lambda view: view.pop("updated_at"), UPDATE)),
    ("message-method-missing", "A retrieve does not show message_request_method.",
     "R.shape.message_request_method.present",
     shown(lambda view: view.pop("message_request_method"), RETRIEVE)),
    ("nulls-left-out", "What is null is left out.", "*.shape *.shape.*", shown(without_nulls)),
    ("fallback-url-renamed", "call_fallback_url is shown as call_failover_url.",
     "*.shape.call_fallback_url.present", shown(renamed("call_fallback_url", "call_failover_url"))),
    ("camel-case", "Keys are in camel case.", "*.shape *.shape.*", shown(camel)),
    ("number-is-a-number", "number is a JSON number.",
     "*.shape.number.type", shown_as("number", lambda value: int(value[1:]))),
    ("digits-become-a-number", "A name of digits is shown as a JSON number.",
     "*.shape.name.type U.echo.name",
     shown_as("name", lambda value: int(value) if value.isdecimal() else value)),
    ("capabilities-joined", "capabilities is one string with commas.",
     "*.shape.capabilities.type", shown_as("capabilities", ",".join)),
    ("capabilities-by-name", "capabilities is an object of booleans.",
     "*.shape.capabilities.type", shown_as("capabilities", lambda value: dict.fromkeys(value, True))),
    ("date-is-a-number", "created_at is a count of seconds.",
     "*.shape.created_at.type", shown_as("created_at", lambda value: 1_790_000_000)),
    ("false-for-null", "message_relay_topic is false where null belongs.",
     "*.shape.message_relay_topic.type", shown(if_null(False, "message_relay_topic"))),
    *(
        (f"null-{name.replace('_', '-')}", f"{name} is null.",
         f"*.shape.{name}.null *.shape.{name}.type", shown(set_to(name, None), operation))
        for name, operation in (
            ("number", LIST), ("capabilities", RETRIEVE), ("number_type", UPDATE),
            ("created_at", RETRIEVE), ("updated_at", UPDATE), ("call_receive_mode", UPDATE),
        )
    ),
)
# fmt: on

# fmt: off
ENUM: tuple[Row, ...] = (
    ("handler-upper-case", "call_handler is shown in capitals.",
     "*.enum.call_handler", shown_as("call_handler", str.upper)),
    ("message-handler-cut", "message_handler lacks its second word.",
     "*.enum.message_handler", shown_as("message_handler", lambda value: value.partition("_")[0])),
    *(
        (f"{name.replace('_', '-')}-lower-case", f"{name} is shown in small letters.", f"*.enum.{name}",
         shown_as(name, str.lower))
        for name in METHODS
    ),
    ("method-blank", "A retrieve shows a blank call_fallback_method.", "R.enum.call_fallback_method",
     shown(set_to("call_fallback_method", ""), RETRIEVE)),
    ("capability-upper-case", "A capability is shown as SMS.",
     "*.enum.capabilities",
     shown_as("capabilities", lambda value: [item.replace("sms", "SMS") for item in value])),
    ("number-type-unknown", "number_type is local.",
     "*.enum.number_type", shown_as("number_type", lambda value: "local")),
    ("receive-mode-capital", "call_receive_mode is shown as Voice.",
     "*.enum.call_receive_mode", shown_as("call_receive_mode", str.capitalize)),
    ("e911-status-unknown", "e911_status is none.",
     "*.enum.e911_status", shown(set_to("e911_status", "none"))),
)
# fmt: on


def last_digit(digit: str) -> Any:
    """Return a conversion of a number: another last character."""
    return lambda value: value[:-1] + digit


# fmt: off
E164: tuple[Row, ...] = (
    ("number-without-plus", "number lacks its plus sign.",
     "*.e164.number", shown_as("number", lambda value: value[1:])),
    ("number-with-blanks", "number is shown in groups.",
     "*.e164.number", shown_as("number", lambda value: f"{value[:2]} {value[2:5]} {value[5:]}", UPDATE)),
    ("number-with-zeros", "number begins with 00 in place of the plus sign.",
     "*.e164.number", shown_as("number", lambda value: "00" + value[1:], RETRIEVE)),
    ("number-with-newline", "number ends with a newline.",
     "*.e164.number", shown_as("number", lambda value: value + "\n", UPDATE)),
    ("number-in-arabic-digits", "The last digit of number is an Arabic one.",
     "*.e164.number", shown_as("number", last_digit("\u0663"))),
    ("number-leading-zero", "number has a zero after the plus sign.",
     "*.e164.number", shown_as("number", lambda value: "+0" + value[2:])),
    ("number-too-long", "number has sixteen digits.",
     "*.e164.number", shown_as("number", lambda value: value.ljust(17, "0"), RETRIEVE)),
    ("number-of-no-country", "number has a calling code that is not assigned.",
     "*.e164.number", shown_as("number", lambda value: "+999" + value[4:])),
    ("country-lower-case", "country_code is in small letters.",
     "*.e164.*", shown_as("country_code", str.lower)),
    ("country-not-assigned", "country_code is UK, which is not assigned.",
     "*.e164.*", shown_as("country_code", lambda value: "UK")),
    ("country-elsewhere", "country_code is FR, which has another calling code.",
     "*.e164.*", shown_as("country_code", lambda value: "FR", UPDATE)),
)
# fmt: on

# fmt: off
FORMAT: tuple[Row, ...] = (
    ("id-without-hyphens", "id has no hyphens.",
     "*.format.id *.shape.identity", shown_as("id", lambda value: value.replace("-", ""))),
    *(
        (f"{name.replace('_', '-')}-braced", f"{name} stands in braces.", f"*.format.{name}",
         shown_as(name, "{{{}}}".format))
        for name in ("calling_handler_resource_id", "messaging_handler_resource_id", "call_sip_endpoint_id")
    ),
    ("address-id-numbered", "e911_address_id is a serial number.",
     "*.format.e911_address_id", shown_as("e911_address_id", lambda value: "AD-1")),
    ("null-in-words", "e911_address_id is the word null.",
     "*.format.e911_address_id", shown(set_to("e911_address_id", "null"), RETRIEVE)),
    ("blank-for-null-id", "call_video_room_id is blank where null belongs.",
     "*.format.call_video_room_id", shown(if_null("", "call_video_room_id"))),
    ("date-with-blank", "created_at has a blank in place of the T.",
     "*.format.created_at", shown_as("created_at", lambda value: value.replace("T", " "))),
    ("date-without-zone", "updated_at has no zone.",
     "*.format.updated_at", shown_as("updated_at", lambda value: value[:-1], UPDATE)),
    ("date-of-another-notation", "A retrieve after a write of messages alone shows updated_at with blanks, and UTC for Z.",
     "R.format.updated_at", hook(render=after_messages)),
    ("date-impossible", "next_billed_at is the 30th of February.",
     "*.format.next_billed_at", shown_as("next_billed_at", lambda value: value[:5] + "02-30" + value[10:])),
    ("date-blank", "A retrieve shows a blank next_billed_at.",
     "R.format.next_billed_at", shown(set_to("next_billed_at", ""), RETRIEVE)),
    ("date-hour-24", "updated_at has an hour of 24.",
     "*.format.updated_at", shown_as("updated_at", lambda value: value[:11] + "24" + value[13:])),
)
# fmt: on

DEFECTS = table(*SHAPE, *ENUM, *E164, *FORMAT)
