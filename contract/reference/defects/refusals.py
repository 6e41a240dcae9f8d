"""Refusals that do not happen, happen in the wrong way, leave a trace or tell too much; and open doors."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from starlette.responses import Response

from contract.reference.behaviour import Behaviour, Hook
from contract.reference.exchange import LIST, RETRIEVE, UPDATE, Exchange, Refusal
from contract.reference.fields import (
    ENUMS,
    METHODS,
    PLATFORM_HANDLERS,
    READ_ONLY,
    REQUEST,
    REQUIRES,
    RESPONSE,
    URLS,
    Record,
    humanise,
)
from contract.reference.kit import Row, counted, entries, error_body, failing, hook, rules, stored, table, wire
from contract.reference.seed import FOREIGN_IDS

__all__ = ["DEFECTS"]

TRACE = """Traceback (most recent call last):
  File "/srv/relay/app/models/phone_number.py", line 88, in update
    self.connection.execute(statement, values)
KeyError: 'call_handler'"""


def any_value(name: str) -> Behaviour:
    """Take every string for the enum *name*."""
    return rules(enums={field: values for field, values in ENUMS.items() if field != name})


def also(name: str, *values: str) -> Behaviour:
    """Take *values* for the enum *name* too."""
    return rules(enums={**ENUMS, name: (*ENUMS[name], *values)})


def lenient(words: str, name: str) -> Behaviour:
    """Take any text for the field *name* where one would say *words*."""

    def validate(inner: Hook, x: Exchange, body: Record, before: Record) -> Any:
        found = inner(x, body, before)
        return [problem for problem in found if problem != words or body.get(name) is None]

    return hook(validate=validate)


def parsing(test: Callable[[Exchange], Any], result: Callable[[Exchange], Any]) -> Behaviour:
    """Read a body that is refused for its form, where ``test(exchange)``, as ``result(exchange)``."""

    def parse(inner: Hook, x: Exchange) -> Any:
        try:
            return inner(x)
        except Refusal:
            if not test(x):
                raise
            return result(x)

    return hook(parse=parse)


def is_json(x: Exchange) -> bool:
    """Tell whether the body is JSON at all."""
    try:
        json.loads(x.raw)
    except ValueError:
        return False
    return True


def is_malformed(x: Exchange) -> bool:
    """Tell whether the body is no JSON."""
    return not is_json(x)


def fail(x: Exchange) -> Any:
    """Answer 500."""
    raise Refusal(500)


def first_item(x: Exchange) -> Any:
    """Return the first object of an array."""
    body = json.loads(x.raw)
    return next((item for item in body if isinstance(item, dict)), {}) if isinstance(body, list) else {}


def with_text(test: Callable[[str], Any], *names: str) -> Callable[[Record, Record], bool]:
    """Return a test: one of the fields *names* (default: any) is sent as a text for which ``test(text)``."""

    def found(body: Record, before: Record) -> bool:
        texts = [value for name, value in body.items() if not names or name in names]
        return any(isinstance(text, str) and bool(test(text)) for text in texts)

    return found


def odd(body: Record, names: tuple[str, ...]) -> list[str]:
    """Return the keys of *body* that are in *names*."""
    return [name for name in body if name in names]


def unknown(body: Record) -> list[str]:
    """Return the keys of *body* that nobody documented."""
    return [name for name in body if name not in REQUEST and name not in READ_ONLY]


def once() -> Behaviour:
    """Take what was refused before, as it stands."""

    def validate(inner: Hook, x: Exchange, body: Record, before: Record) -> list[str]:
        seen: set[bytes] = x.server.memory.setdefault("refused bodies", set())
        found: list[str] = [] if x.raw in seen else inner(x, body, before)
        seen.update({x.raw} if found else ())
        return found

    return hook(validate=validate)


def alone(about: str, beside: str) -> Behaviour:
    """Refuse for what is said *about* a field only where another one is sent *beside* it."""

    def validate(inner: Hook, x: Exchange, body: Record, before: Record) -> list[str]:
        return [text for text in inner(x, body, before) if beside in body or not text.startswith(about)]

    return hook(validate=validate)


def writable(*names: str) -> Behaviour:
    """Store what is sent for read-only fields."""
    return stored(lambda body, before, after: after.update({name: body[name] for name in odd(body, names)}))


def where(test: Callable[[Record], Any], **fields: Any) -> Behaviour:
    """Set *fields* where ``test(body)``."""
    return stored(lambda body, before, after: after.update(fields if test(body) else {}))


def other_than_sent(name: str, switches: Mapping[str, Any], convert: Callable[[str], str]) -> Behaviour:
    """Take what *switches* let in for *name*, and store it converted."""

    def merge(inner: Hook, x: Exchange, body: Record, before: Record) -> Record:
        after: Record = inner(x, body, before)
        return after | {name: convert(body[name])} if isinstance(body.get(name), str) else after

    return Behaviour(rules=switches, hooks={"merge": merge})


def fail_on_id(found: list[str]) -> list[str]:
    """Answer 500 where one of the sentences is about an id."""
    if any(text.endswith("must exist") for text in found):
        raise Refusal(500)
    return found


def unknown_ids(x: Exchange, body: Record) -> Record:
    """Return the beginnings of the ids in *body* that do not exist."""
    ids = {name: value for name, value in body.items() if name in REQUEST and name.endswith("_id") and value}
    return {name: str(value)[:8] for name, value in ids.items() if not x.server.store.exists(name, value)}


def overlooking(when: Callable[[Record, Record], bool], name: str) -> Behaviour:
    """Take a value of *name* that is not documented, and ignore it: ``when(body, before)``."""

    def unknown(x: Exchange, body: Record, before: Record) -> bool:
        return isinstance(body.get(name), str) and body[name] not in x.rules.enums[name] and when(body, before)

    def validate(inner: Hook, x: Exchange, body: Record, before: Record) -> Any:
        if unknown(x, body, before):
            del body[name]
        return inner(x, body, before)

    return hook(validate=validate)


# fmt: off
ENUM: tuple[Row, ...] = (
    *(
        (f"any-{name.replace('_', '-')}", f"Every text is accepted as {name}.", f"U.rejection.{name}.enum *.enum.{name}",
         any_value(name))
        for name in ENUMS
    ),
    ("calls-for-messages", "message_handler accepts what only call_handler has.",
     "U.rejection.message_handler.enum", also("message_handler", *ENUMS["call_handler"])),
    ("platform-handlers-accepted", "call_handler accepts what only the platform sets.",
     "U.rejection.call_handler.enum", also("call_handler", *PLATFORM_HANDLERS)),
    ("small-letters-accepted", "call_request_method accepts get and post and shows them so.",
     "U.rejection.call_request_method.enum U.enum.call_request_method",
     also("call_request_method", "get", "post")),
    ("put-accepted", "message_fallback_method accepts PUT.", "U.rejection.message_fallback_method.enum",
     also("message_fallback_method", "PUT", "DELETE", "PATCH", "HEAD")),
    ("room-id-of-any-form", "Every text is accepted as call_video_room_id.",
     "U.rejection.call_video_room_id.format", lenient("Call video room must be a UUID", "call_video_room_id")),
    ("empty-script-accepted", "An empty call_relay_script_url is enough for relay_script.",
     "U.handler.call_handler.relay_script.requires.call_relay_script_url",
     lenient("Call relay script url must be set", "call_relay_script_url")),
    ("empty-script-later", "An empty call_relay_script_url is taken while relay_script stands and is not sent.",
     "U.handler.call_handler.relay_script.requires.call_relay_script_url",
     alone("Call relay script url must be set", beside="call_handler")),
    ("method-overlooked-beside-handler",
     "A message_fallback_method that is not documented is ignored where message_handler is sent too.",
     "U.rejection.message_fallback_method.enum",
     overlooking(lambda body, before: "message_handler" in body, "message_fallback_method")),
)
# fmt: on

# fmt: off
FORM: tuple[Row, ...] = (
    ("malformed-accepted", "Malformed JSON is read as an empty object.", "U.rejection.malformed_json",
     parsing(is_malformed, lambda x: {})),
    ("malformed-fails", "Malformed JSON is answered 500.",
     "U.rejection.malformed_json U.rejection.no_server_error", parsing(is_malformed, fail)),
    ("array-accepted", "The first object of an array is taken as the body.", "U.rejection.not_an_object",
     parsing(is_json, first_item)),
    ("array-fails", "A body that is no object is answered 500.",
     "U.rejection.not_an_object U.rejection.no_server_error", parsing(is_json, fail)),
    ("empty-fails", "An empty object is answered 500.", "U.rejection.no_server_error U.rejection.empty",
     failing(lambda body, before: not body)),
    ("empty-clears-name", "An empty object clears the name.", "U.rejection.empty U.frame.name",
     where(lambda body: not body, name=None)),
    ("unknown-key-fails", "An unknown key is answered 500.",
     "U.rejection.no_server_error U.rejection.unknown_key", failing(lambda body, before: unknown(body))),
    ("unknown-key-clears", "An unknown key clears message_fallback_url.", "U.rejection.unknown_key U.frame.*",
     where(unknown, message_fallback_url=None)),
    ("read-only-fails", "A read-only key is answered 500.",
     "U.rejection.no_server_error U.rejection.read_only", failing(lambda body, before: odd(body, READ_ONLY))),
    *(
        (f"{name.replace('_', '-')}-writable", f"{name} can be written.",
         f"U.rejection.read_only U.frame.{name}", writable(name))
        for name in ("id", "number", "created_at", "capabilities", "country_code", "e911_address_id")
    ),
)
# fmt: on

# fmt: off
FAILURE: tuple[Row, ...] = (
    ("null-fails", "null is answered 500.", "U.rejection.no_server_error",
     failing(lambda body, before: None in body.values())),
    ("emoji-fails", "A character beyond the basic plane is answered 500.", "U.rejection.no_server_error",
     failing(with_text(lambda text: max(text, default="") > "\uffff"))),
    ("apostrophe-fails", "An apostrophe in a name is answered 500.", "U.rejection.no_server_error",
     failing(with_text(lambda text: "'" in text, "name"))),
    ("percent-fails", "A percent sign before a letter in a name is answered 500.",
     "U.rejection.no_server_error", failing(with_text(lambda text: re.search(r"%[sd]", text), "name"))),
    ("long-name-fails", "A name over 255 characters is answered 500.", "U.rejection.no_server_error",
     failing(with_text(lambda text: len(text) > 255, "name"))),
    ("long-url-fails", "A URL over 2000 characters is answered 500.", "U.rejection.no_server_error",
     failing(with_text(lambda text: len(text) > 2000))),
    ("nul-fails", "A NUL character is answered 500.", "U.rejection.no_server_error",
     failing(with_text(lambda text: "\0" in text))),
    ("number-for-text-fails", "A number where text belongs is answered 500.", "U.rejection.no_server_error",
     failing(lambda body, before: any(isinstance(body.get(name), int | float) for name in REQUEST))),
    ("number-as-handler-fails", "A number as call_handler is answered 500.", "U.rejection.no_server_error",
     failing(lambda body, before: isinstance(body.get("call_handler"), int))),
    ("object-as-url-fails", "An object where a URL belongs is answered 500.", "U.rejection.no_server_error",
     failing(lambda body, before: any(isinstance(value, dict) for value in body.values()))),
    ("no-url-fails", "Text that is no URL where one belongs is answered 500.", "U.rejection.no_server_error",
     failing(with_text(lambda text: "/" not in text and " " in text, *URLS))),
    ("application-id-fails", "A call_relay_application that is no text is answered 500.", "U.rejection.no_server_error",
     failing(lambda body, before: isinstance(body.get("call_relay_application"), list | dict | int))),
    ("refused-once-only", "A body that was refused is taken when it is sent again.", "U.rejection.*.enum", once()),
    ("method-read-with-its-url", "call_fallback_method is only looked at where call_fallback_url is sent as well.",
     "U.rejection.call_fallback_method.enum", alone("Call fallback method", "call_fallback_url")),
    ("blank-script-fails", "relay_script with a blank URL is answered 500.", "U.rejection.no_server_error",
     failing(lambda body, before: body.get("call_handler") == "relay_script"
             and body.get("call_relay_script_url") == "")),
    ("unknown-id-in-body-fails", "An id that does not exist is answered 500.", "U.rejection.no_server_error",
     hook(validate=lambda inner, x, body, before: fail_on_id(inner(x, body, before)))),
    ("refusals-fail", "Whatever is wrong with a body is answered 500.",
     "U.rejection.no_server_error U.rejection.*.enum U.rejection",
     hook(validate=lambda inner, x, body, before: fail(x) if inner(x, body, before) else [])),
)
# fmt: on

# fmt: off
SILENT: tuple[Row, ...] = (
    ("null-stored-as-text", "null as call_fallback_url is stored as the word null.",
     "U.rejection.consistent U.echo.call_fallback_url",
     stored(lambda body, before, after: after.update(
         call_fallback_url=after["call_fallback_url"] or "null" if "call_fallback_url" in body
         else after["call_fallback_url"]))),
    ("null-clears-neighbour", "null as name clears call_status_callback_url.",
     "U.rejection.consistent U.frame.call_status_callback_url",
     where(lambda body: body.get("name", "") is None, call_status_callback_url=None)),
    ("long-name-cut", "A name over 255 characters is accepted and cut.",
     "U.rejection.consistent U.echo.name",
     other_than_sent("name", {"name_length": 10**9}, lambda text: text[:255])),
    ("http-upgraded", "http in message_request_url becomes https.",
     "U.rejection.consistent U.echo.message_request_url",
     other_than_sent("message_request_url", {}, lambda text: re.sub("^http:", "https:", text))),
    ("port-dropped", "The port is dropped from call_status_callback_url.",
     "U.rejection.consistent U.echo.call_status_callback_url",
     other_than_sent("call_status_callback_url", {}, lambda text: re.sub(r":\d+", "", text))),
    ("fragment-dropped", "The fragment is dropped from call_fallback_url.",
     "U.rejection.consistent U.echo.call_fallback_url",
     other_than_sent("call_fallback_url", {}, lambda text: text.partition("#")[0])),
    ("control-characters-dropped", "Control characters are dropped from a name.",
     "U.rejection.consistent U.echo.name",
     other_than_sent("name", {}, lambda text: re.sub(r"[\x00-\x1f]", "", text))),
    ("unknown-id-cut", "The first eight characters of an id that does not exist are stored.",
     "U.rejection.consistent U.echo.*_id U.format.*_id",
     hook(validate=lambda inner, x, body, before: [
              text for text in inner(x, body, before) if "must exist" not in text],
          merge=lambda inner, x, body, before: inner(x, body, before) | unknown_ids(x, body))),
)
# fmt: on


def page(response: Response) -> None:
    """Answer a page of HTML."""
    response.headers["content-type"] = "text/html; charset=utf-8"
    response.body = b"<!DOCTYPE html><title>We're sorry</title><h1>The change you wanted was rejected.</h1>"


def soft(inner: Hook, x: Exchange, status: int, body: Any) -> Response:
    """Answer 200 to what is refused."""
    response: Response = inner(x, 200 if status == 422 else status, body)
    return response


def traced(change: Callable[[Exchange, Record], Record], *statuses: int) -> Behaviour:
    """Leave a trace of a refused write: ``change(exchange, stored record)``."""

    def refuse(inner: Hook, x: Exchange, refusal: Refusal) -> Any:
        if x.operation == UPDATE and refusal.status in statuses:
            with x.server.store.transaction():
                record = x.server.store.get(x.number_id)
                if record is not None:
                    x.server.store.put(x.number_id, record | change(x, record))
        return inner(x, refusal)

    return hook(refuse=refuse)


def touched(x: Exchange, record: Record) -> dict[str, Any]:
    """Return the time of now, where a body has a handler that is documented, as the rest of it is right."""
    handler = x.sent.get("call_handler")
    now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    return {"updated_at": now} if handler in REQUIRES["call_handler"] else {}


def now(x: Exchange, record: Record) -> dict[str, Any]:
    """Return the time of now, to the millisecond."""
    return {"updated_at": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")}


def a_second_later(x: Exchange, record: Record) -> dict[str, Any]:
    """Return the time of now, or of a second after the last time stamp, whichever is later."""
    now = max(datetime.now(UTC), datetime.fromisoformat(record["updated_at"]) + timedelta(seconds=1))
    return {"updated_at": now.isoformat(timespec="seconds").replace("+00:00", "Z")}


def no_quotes(inner: Hook, x: Exchange, body: Record, before: Record) -> Any:
    """Refuse a name with a quote in it before anything else, as a gateway may."""
    if "'" in str(body.get("name")):
        raise Refusal(403)
    return inner(x, body, before)


def held_back(inner: Hook, x: Exchange, refusal: Refusal) -> Any:
    """Remember what a refused update would have written."""
    if x.operation == UPDATE and refusal.status == 422:
        x.server.memory["pending"] = {name: value for name, value in x.sent.items() if name in RESPONSE}
    return inner(x, refusal)


def shown_until_written(inner: Hook, x: Exchange, record: Record) -> Any:
    """Show in a retrieve what is pending, which an accepted update forgets."""
    view = inner(x, record)
    if x.operation == UPDATE:
        x.server.memory.pop("pending", None)
    return view | x.server.memory.get("pending", {}) if x.operation == RETRIEVE else view


def sent_names(x: Exchange, record: Record) -> dict[str, Any]:
    """Return the name that was sent, if it could be read."""
    found = re.search(rb'"name"\s*:\s*"([\w ]+)"', x.raw)
    return {"name": found[1].decode()} if found else {}


def sent_methods(x: Exchange, record: Record) -> Record:
    """Return the methods that were sent and are right."""
    return {name: value for name, value in x.sent.items() if name in METHODS and value in ENUMS[name]}


def right_half(x: Exchange, record: Record) -> Record:
    """Return what was sent for calls with a handler that is right, where the one for messages is wrong."""
    calls, messages = (x.sent.get(name, "") in ENUMS[name] for name in ("call_handler", "message_handler"))
    if not calls or messages or "message_handler" not in x.sent:
        return {}
    return {name: value for name, value in x.sent.items() if name.startswith("call_")}


def bare_handler(x: Exchange, record: Record) -> Record:
    """Return the handler that was refused because its companion lacks."""
    handler = x.sent.get("call_handler")
    companion = REQUIRES["call_handler"].get(str(handler), "")
    return {"call_handler": handler} if companion and not (record | x.sent).get(companion) else {}


def bare_sticks(inner: Hook, x: Exchange, body: Record, before: Record) -> list[str]:
    """Hold what stands there against what is written for calls without a handler."""
    found: list[str] = inner(x, body, before)
    companion = REQUIRES["call_handler"].get(before["call_handler"], "")
    if (
        companion
        and before[companion] is None
        and "call_handler" not in body
        and any(n.startswith("call_") for n in body)
    ):
        found.append(f"{humanise(companion)} must be set")
    return found


def told(inner: Hook, x: Exchange, refusal: Refusal) -> Any:
    """Name the credentials in a 422."""
    refusal.details = [f"{text} (token {x.server.password})" for text in refusal.details]
    return inner(x, refusal)


def header(inner: Hook, x: Exchange, status: int, body: Any) -> Response:
    """Send the credentials back in a header."""
    response: Response = inner(x, status, body)
    response.headers["x-debug-authorization"] = x.headers.get("authorization", "")
    return response


# fmt: off
REFUSAL: tuple[Row, ...] = (
    ("errors-missing", "A 422 has an error in place of errors.", "U.rejection.error_body",
     error_body(lambda body: {"error": "Unprocessable Entity"}, 422)),
    ("errors-by-field", "A 422 holds its errors by field.", "U.rejection.error_body",
     error_body(lambda body: {"errors": {"base": [entry["detail"] for entry in body["errors"]]}}, 422)),
    ("errors-flat", "The entries of a 422 are as in other APIs of the platform.", "U.rejection.error_body",
     entries(lambda entry: {"type": "validation_error", "code": "invalid", "message": entry["detail"]})),
    ("errors-as-text", "The entries of a 422 are plain sentences.", "U.rejection.error_body",
     entries(lambda entry: entry["detail"])),
    ("error-status-number", "The status in a 422 is a number.", "U.rejection.error_body",
     entries(lambda entry: entry | {"status": 422})),
    ("error-code-number", "The code in a 422 is a number.", "U.rejection.error_body",
     entries(lambda entry: entry | {"code": 422})),
    ("error-title-missing", "The entries of a 422 have no title.", "U.rejection.error_body",
     entries(lambda entry: {name: value for name, value in entry.items() if name != "title"})),
    ("error-page", "A 422 is a page of HTML.", "U.rejection.error_body", wire(page, statuses=(422,))),
    ("not-found-page", "A 404 is a page of HTML.", "*.rejection.error_body", wire(page, statuses=(404,))),
    ("refusal-200", "What is wrong with a body is answered 200.",
     "U.rejection U.rejection.*.enum U.shape U.shape.*", hook(respond=soft)),
    ("refused-name-stored", "A refused body leaves its name behind.", "U.rejection.no_trace",
     traced(sent_names, 422)),
    ("malformed-name-stored", "A malformed body leaves its name behind.",
     "U.rejection.no_trace U.rejection.malformed_json", traced(sent_names, 400)),
    ("refusal-moves-clock", "A refused write moves updated_at.", "U.rejection.no_trace",
     traced(lambda x, record: {"updated_at": record["updated_at"][:-2] + ("8Z" if "9Z" in record["updated_at"] else "9Z")},
            422)),
    ("refusal-moves-clock-ahead", "A refused write moves updated_at by a second, into the future where need be.",
     "U.rejection.no_trace *.time.updated_at.forward", traced(a_second_later, 422)),
    ("refusal-moves-fine-clock", "A refused write moves updated_at, which is taken from a clock of milliseconds.",
     "U.rejection.no_trace", Behaviour(rules={"milliseconds": True, "always_touch": True}, hooks=traced(now, 422).hooks)),
    ("refusal-turns-clock-back", "A refused write sets updated_at to created_at.",
     "*.time.updated_at.forward U.rejection.no_trace", traced(lambda x, record: {"updated_at": record["created_at"]}, 422)),
    ("clock-moves-with-omissions", "A handler that is refused because a field lacks moves updated_at.",
     "U.rejection.no_trace", traced(touched, 422)),
    ("refusal-clears-handler", "A refused write clears message_handler.", "U.rejection.no_trace",
     traced(lambda x, record: {"message_handler": None}, 422)),
    ("bare-handler-sticks",
     "A call_handler without its companion is refused and stored; from there what else is written for calls is refused.",
     "U.rejection.no_trace", hook(validate=bare_sticks, **traced(bare_handler, 422).hooks)),
    ("refused-method-stored", "A refused body leaves its methods behind.", "U.rejection.no_trace",
     traced(sent_methods, 422)),
    ("unknown-method-stored", "A method that is refused is left behind.", "U.rejection.no_trace",
     traced(lambda x, record: {name: value for name, value in x.sent.items() if name in METHODS}, 422)),
    ("half-of-a-refusal-stored",
     "A message_handler that is not documented is refused, and the call_handler beside it stored.",
     "U.rejection.no_trace", traced(right_half, 422)),
    ("quotes-forbidden", "A name with a quote in it is answered 403, whatever else is sent.",
     "U.accept.name U.accept", hook(validate=no_quotes)),
    ("unknown-method-beside-others",
     "A message_fallback_method that is not documented is taken and ignored where laml_webhooks are not stored.",
     "U.rejection.message_fallback_method.enum",
     overlooking(lambda body, before: before["message_handler"] != "laml_webhooks", "message_fallback_method")),
    ("refusal-shown-until-written",
     "After a refused body a retrieve shows its fields until the next write is accepted.", "U.rejection.no_trace",
     hook(refuse=held_back, render=shown_until_written)),
    ("list-stored-as-text", "A name that is a list is refused, and left behind as text.", "U.rejection.no_trace",
     traced(lambda x, record: {"name": str(x.sent["name"])} if isinstance(x.sent.get("name"), list) else {}, 422)),
    ("refused-room-clears-it", "A call_video_room_id that is refused clears the one that stands there.",
     "U.rejection.no_trace",
     traced(lambda x, record: {"call_video_room_id": None} if "call_video_room_id" in x.sent else {}, 422)),
    ("malformed-clears-name", "Broken JSON is refused and clears the name.", "U.rejection.no_trace",
     traced(lambda x, record: {"name": None}, 400)),
    ("other-media-stored", "A body of another media type is refused, and its name left behind.",
     "U.rejection.no_trace", traced(sent_names, 415)),
    ("trace-in-500", "An unknown key is answered 500 with a stack trace.", "*.rejection.no_leak",
     Behaviour(hooks={**failing(lambda body, before: unknown(body)).hooks,
                      **error_body(lambda body: body | {"exception": TRACE}, 500).hooks})),
    ("trace-in-422", "A 422 holds a stack trace.", "*.rejection.no_leak",
     entries(lambda entry: entry | {"detail": f"{entry['detail']}\n{TRACE}"})),
    ("token-in-422", "A 422 names the token.", "*.rejection.no_leak", hook(refuse=told)),
    ("token-in-404", "A 404 names the token.", "*.rejection.no_leak",
     hook(refuse=lambda inner, x, refusal: inner(x, refusal) | ({"token": x.server.password}
                                                              if refusal.status == 404 else {}))),
    ("credentials-in-header", "Answers send the credentials back in a header.", "*.rejection.no_leak",
     hook(respond=header)),
)
# fmt: on


def credentials(x: Exchange) -> tuple[str, str]:
    """Return the user name and the password that were sent, blank where there are none."""
    encoded = x.headers.get("authorization", "").partition(" ")[2]
    try:
        username, _, password = base64.b64decode(encoded).decode().partition(":")
    except ValueError:
        return "", ""
    return username, password


def lets_in(test: Callable[[Exchange, str, str], Any], *operations: str) -> Behaviour:
    """Let a request in without the right credentials where ``test(exchange, username, password)``."""
    return hook(
        authenticate=lambda inner, x: bool(
            inner(x) or (x.operation in (operations or (UPDATE, RETRIEVE, LIST)) and test(x, *credentials(x)))
        )
    )


def of_messages(x: Exchange) -> bool:
    """Tell whether a body holds message fields and nothing else."""
    try:
        names = list(json.loads(x.raw))
    except (TypeError, ValueError):
        return False
    return bool(names) and all(str(name).startswith("message_") for name in names)


def forgetful(inner: Hook, x: Exchange) -> bool:
    """Let every user that is right read, once enough was written."""
    right = bool(inner(x))
    if right and x.operation == UPDATE:
        counted(x, "writes")
    late = x.operation == RETRIEVE and x.server.memory.get("writes", 0) >= 20
    return right or (late and credentials(x)[0] == x.server.username)


def locking(inner: Hook, x: Exchange) -> bool:
    """Refuse the next request that is right after one with a wrong password."""
    right = bool(inner(x))
    if right:
        return not x.server.memory.pop("locked", False)
    username, password = credentials(x)
    if password and username == x.server.username:
        x.server.memory["locked"] = True
    return False


def write_first(inner: Hook, x: Exchange) -> bool:
    """Store the name before looking at the credentials."""
    answer: bool = inner(x)
    if not answer:
        with x.server.store.transaction():
            record = x.server.store.get(x.number_id)
            if x.operation == UPDATE and record is not None:
                x.server.store.put(x.number_id, record | sent_names(x, record))
    return answer


def for_unknown(record: Callable[[Exchange], Record | None]) -> Behaviour:
    """Find ``record(exchange)`` where there is none."""
    return hook(find=lambda inner, x: inner(x) or record(x))


def blank(x: Exchange) -> Record:
    """Return a new number with the id that was asked for."""
    _, newest = x.server.store.newest_first()[0]
    return newest | {"id": x.number_id}


def foreign(*operations: str) -> Behaviour:
    """Find numbers of other projects."""
    return for_unknown(lambda x: x.server.store.get(x.number_id, foreign=True) if x.operation in operations else None)


def with_foreign(inner: Hook, x: Exchange) -> Any:
    """List another project's number as well."""
    answer = inner(x)
    if x.operation == LIST:
        record = x.server.store.get(FOREIGN_IDS[0], foreign=True)
        assert record is not None
        answer["data"].append(x.stages.render(x, record))
    return answer


def elsewhere(inner: Hook, x: Exchange, refusal: Refusal) -> Any:
    """Store what was sent to an id that no number has in the oldest number, and refuse it all the same."""
    if refusal.status == 404 and x.sent:
        with x.server.store.transaction():
            _, record = x.server.store.newest_first()[-1]
            x.server.store.put(record["id"], x.stages.merge(x, x.sent, record))
    return inner(x, refusal)


def created() -> Behaviour:
    """Refuse an update of an id that no number has, and have a number with that id from then on."""

    def refuse(inner: Hook, x: Exchange, refusal: Refusal) -> Any:
        if refusal.status == 404 and x.operation == UPDATE:
            x.server.memory[f"made {x.number_id}"] = True
        return inner(x, refusal)

    return Behaviour(
        hooks={
            "refuse": refuse,
            "find": lambda inner, x: inner(x) or (blank(x) if x.server.memory.get(f"made {x.number_id}") else None),
        }
    )


# fmt: off
ACCESS: tuple[Row, ...] = (
    ("update-open", "An update needs no credentials.", "U.access.no_credentials",
     lets_in(lambda x, username, password: "authorization" not in x.headers, UPDATE)),
    ("retrieve-open", "A retrieve needs no credentials.", "R.access.no_credentials",
     lets_in(lambda x, username, password: "authorization" not in x.headers, RETRIEVE)),
    ("list-open", "The list needs no credentials.", "L.access.no_credentials",
     lets_in(lambda x, username, password: "authorization" not in x.headers, LIST)),
    ("password-not-checked", "Every password is right.", "*.access.wrong_password",
     lets_in(lambda x, username, password: username == x.server.username)),
    ("password-not-checked-on-update", "Every password is right for an update.", "U.access.wrong_password",
     lets_in(lambda x, username, password: username == x.server.username, UPDATE)),
    ("empty-password", "An empty password is right for an update.", "U.access.wrong_password",
     lets_in(lambda x, username, password: username == x.server.username and not password, UPDATE)),
    ("empty-password-lists", "An empty password is right for the list.", "L.access.wrong_password",
     lets_in(lambda x, username, password: username == x.server.username and not password, LIST)),
    ("locked-once", "After a wrong password the next request is refused, although its password is right.",
     "U.access.unknown_id", hook(authenticate=locking)),
    ("password-beginning", "Only the first eight characters of the password are looked at.", "*.access.wrong_password",
     lets_in(lambda x, username, password: username == x.server.username and password[:8] == x.server.password[:8])),
    ("password-forgotten", "From the 20th write on every password is right for a retrieve.", "R.access.wrong_password",
     hook(authenticate=forgetful)),
    ("messages-need-no-login", "An update of message fields alone needs no credentials.", "U.access U.access.*",
     hook(authenticate=lambda inner, x: bool(inner(x) or (x.operation == UPDATE and of_messages(x))))),
    ("bearer-reads", "Any bearer token is right for a retrieve.", "R.access.wrong_password",
     hook(authenticate=lambda inner, x: bool(
         inner(x) or (x.operation == RETRIEVE and x.headers.get("authorization", "").lower().startswith("bearer"))
     ))),
    ("password-part", "A part of the password is right.", "*.access.wrong_password",
     lets_in(lambda x, username, password: username == x.server.username and password and password in x.server.password,
             LIST)),
    ("user-not-checked", "Every user name is right.", "*.access.wrong_user",
     lets_in(lambda x, username, password: password == x.server.password)),
    ("user-not-checked-on-list", "Every user name is right for the list.", "L.access.wrong_user",
     lets_in(lambda x, username, password: password == x.server.password, LIST)),
    ("written-before-401", "An update without the right credentials stores the name and answers 401.",
     "U.access U.access.*", hook(authenticate=write_first)),
    ("credentials-fail", "Wrong credentials are answered 500.", "*.access.* *.rejection.no_server_error",
     rules(credentials_status=500)),
    ("credentials-302", "Wrong credentials are answered with a way to the login.", "*.access.*",
     rules(credentials_status=302)),
    ("unknown-id-found", "An id that no number has is answered with another number's fields.",
     "*.access.unknown_id", for_unknown(blank)),
    ("unknown-id-is-the-oldest", "An id that no number has is taken for the oldest number's.",
     "*.access.unknown_id", for_unknown(lambda x: x.server.store.newest_first()[-1][1])),
    ("unknown-id-created", "An update of an id that no number has is answered 404, and makes such a number.",
     "R.access.unknown_id", created()),
    ("unknown-id-fails", "An id that no number has is answered 500.",
     "*.access.unknown_id *.rejection.no_server_error", for_unknown(fail)),
    ("unknown-id-with-application-fails", "An id that no number has is answered 500 where an application is sent.",
     "U.access.unknown_id U.rejection.no_server_error",
     for_unknown(lambda x: fail(x) if b"call_laml_application_id" in x.raw else None)),
    ("unknown-id-400", "An id that no number has is answered 400.", "*.access.unknown_id",
     hook(respond=lambda inner, x, status, body: inner(x, 400 if status == 404 else status, body))),
    ("unknown-id-applied", "An update of an id that no number has is answered 404 and stored in the oldest number.",
     "U.access.unknown_id U.access.foreign_id U.rejection.no_trace", hook(refuse=elsewhere)),
    ("id-by-its-beginning", "Only the first eight characters of an id are looked at.", "*.access.unknown_id",
     for_unknown(lambda x: next((record for _, record in x.server.store.newest_first()
                                 if record["id"][:8] == x.number_id[:8]), None))),
    ("foreign-listed", "The list shows numbers of other projects.", "R.access.foreign_id",
     hook(operate=with_foreign)),
    ("foreign-readable", "A retrieve shows another project's number.", "R.access.foreign_id",
     foreign(RETRIEVE)),
    ("foreign-writable", "An update changes another project's number.", "U.access.foreign_id",
     foreign(UPDATE)),
)
# fmt: on

DEFECTS = table(*ENUM, *FORM, *FAILURE, *SILENT, *REFUSAL, *ACCESS)
