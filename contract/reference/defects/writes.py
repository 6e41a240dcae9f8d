"""Writes that do too little, too much or the wrong thing: handlers, frame, time, idempotence, bystanders."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from contract.reference.behaviour import Behaviour, Hook
from contract.reference.exchange import LIST, RETRIEVE, UPDATE, Exchange, Refusal
from contract.reference.fields import ALIASES, REQUEST, REQUIRES, RESPONSE, Record
from contract.reference.kit import Row, counted, failing, hook, refusing, rules, stored, table

__all__ = ["DEFECTS"]


def optional(selector: str, value: str) -> Behaviour:
    """Take *value* of *selector* without its companion."""
    table = {name: companion for name, companion in REQUIRES[selector].items() if name != value}
    return rules(requires={**REQUIRES, selector: table})


def refuses(selector: str, value: str) -> Behaviour:
    """Refuse *value* of *selector*."""
    return refusing(lambda body, before: body.get(selector) == value, f"{selector.capitalize()} is not valid")


def unless(when: Callable[[Record, Record], object], about: str) -> Behaviour:
    """Do not refuse for what is said *about* a field: ``when(body, before)``."""

    def validate(inner: Hook, x: Exchange, body: Record, before: Record) -> list[str]:
        return [text for text in inner(x, body, before) if not (text.startswith(about) and when(body, before))]

    return hook(validate=validate)


def works(selector: str, value: str) -> str:
    """Return the rules that break where *value* of *selector* is refused."""
    rule = f"U.handler.{selector}.{value}.accepted"
    return f"{rule} U.deprecated.{selector}.{value}" if value == "relay_context" else rule


def keep(body: Record, before: Record, after: Record, *names: str) -> None:
    """Leave the fields *names* as they were."""
    after |= {name: before[name] for name in names}


def when(test: Callable[[Record, Record, Record], Any], **fields: Any) -> Behaviour:
    """Set *fields* in what a write leaves behind where ``test(body, before, after)``."""
    return stored(lambda body, before, after: after.update(fields) if test(body, before, after) else None)


def kept_when(test: Callable[[Record, Record, Record], Any], *names: str) -> Behaviour:
    """Leave the fields *names* as they were where ``test(body, before, after)``."""
    return stored(lambda body, before, after: keep(body, before, after, *names) if test(body, before, after) else None)


def change(selector: str, old: str, new: str) -> Callable[[Record, Record, Record], bool]:
    """Return a test: the write switches *selector* from *old* to *new*."""
    return lambda body, before, after: before[selector] == old and body.get(selector) == new


def has(**values: str) -> Callable[[Record, Record, Record], bool]:
    """Return a test: the record has these values after the write."""
    return lambda body, before, after: all(after[name] == value for name, value in values.items())


def only(kind: str, **values: str) -> Callable[[Record, Record, Record], bool]:
    """Return a test: the write sends nothing but fields of a *kind*, and the record had these values before."""
    return lambda body, before, after: (
        all(name.startswith(kind) for name in body) and all(before[name] == value for name, value in values.items())
    )


def sends(**values: str) -> Callable[[Record, Record, Record], bool]:
    """Return a test: the body has these values."""
    return lambda body, before, after: all(body.get(name) == value for name, value in values.items())


def every(count: int, test: Callable[[Record], Any], *names: str) -> Behaviour:
    """Leave *names* as they were in every write of *count* for which ``test(body)``."""

    def merge(inner: Hook, x: Exchange, body: Record, before: Record) -> Record:
        after: Record = inner(x, body, before)
        if test(body) and counted(x, "count") % count == 0:
            keep(body, before, after, *names)
        return after

    return hook(merge=merge)


def blank_sticks(inner: Hook, x: Exchange, body: Record, before: Record) -> list[str]:
    """Take a blank where the script's URL must be set, and hold it against what is written for calls later."""
    found: list[str] = [text for text in inner(x, body, before) if not text.endswith("must be set")]
    stuck = (before["call_handler"], before["call_relay_script_url"]) == ("relay_script", "")
    if stuck and "call_handler" not in body and any(name.startswith("call_") for name in body):
        found.append("Call relay script url must be set")
    return found


def one_topic(body: Record, before: Record, after: Record) -> None:
    """Store the topic of calls for messages too where both channels are relayed to a topic."""
    if after["call_handler"] == after["message_handler"] == "relay_topic":
        after["message_relay_topic"] = after["call_relay_topic"]


def same_handler_keeps(body: Record, before: Record, after: Record) -> None:
    """Leave the companions of handlers that are sent as they stand."""
    for selector, companions in REQUIRES.items():
        if body.get(selector) == before[selector] in companions:
            keep(body, before, after, companions[before[selector]])


# fmt: off
HANDLER: tuple[Row, ...] = (
    *(
        row
        for selector, companions in REQUIRES.items() for value, companion in companions.items()
        for stem in (f"{selector.partition('_')[0]}-{value.replace('_', '-')}",)
        for rule in (f"U.handler.{selector}.{value}",)
        for row in (
            (f"{stem}-alone", f"{selector} {value} is accepted without {companion}.",
             f"{rule}.requires.{companion}", optional(selector, value)),
            (f"{stem}-refused", f"{selector} {value} is refused.",
             works(selector, value), refuses(selector, value)),
            (f"{stem}-not-stored", f"{selector} {value} is accepted and {selector} stays as it was.",
             f"{rule}.shown U.echo.{selector}", kept_when(sends(**{selector: value}), selector)),
        )
    ),
    ("blank-script-sticks",
     "call_handler relay_script is accepted with a blank URL; from there what else is written for calls is refused.",
     "U.handler.call_handler.relay_script.requires.call_relay_script_url", hook(validate=blank_sticks)),
    ("name-required", "A write without a name is refused.", "U.accept U.accept.* U.handler.*.accepted",
     refusing(lambda body, before: "name" not in body, "Name can't be blank")),
    ("sip-endpoint-alone-beside-messages",
     "call_handler relay_sip_endpoint is accepted without call_sip_endpoint_id where message_handler is sent too.",
     "U.handler.call_handler.relay_sip_endpoint.requires.call_sip_endpoint_id",
     unless(lambda body, before: "message_handler" in body, "Call sip endpoint")),
    ("application-of-messages-does",
     "call_handler laml_application is accepted without call_laml_application_id where that of messages is there.",
     "U.handler.call_handler.laml_application.requires.call_laml_application_id",
     unless(lambda body, before: (before | body)["message_laml_application_id"], "Call laml application")),
    ("agent-missing-beside-application",
     "call_handler dialogflow is accepted without call_dialogflow_agent_id where call_laml_application_id is sent.",
     "U.handler.call_handler.dialogflow.requires.call_dialogflow_agent_id",
     unless(lambda body, before: "call_laml_application_id" in body, "Call dialogflow agent")),
    ("video-room-lost", "call_handler video_room loses call_video_room_id.",
     "U.handler.call_handler.video_room.shown",
     when(sends(call_handler="video_room"), call_video_room_id=None)),
    ("sip-endpoint-lost", "call_handler relay_sip_endpoint leaves call_sip_endpoint_id as it was.",
     "U.handler.call_handler.relay_sip_endpoint.shown",
     kept_when(sends(call_handler="relay_sip_endpoint"), "call_sip_endpoint_id")),
    ("companion-kept-by-the-same-handler", "A handler that is sent as it stands leaves its companion as it was.",
     "U.echo U.echo.*", stored(same_handler_keeps)),
    ("webhooks-keep-their-url", "While laml_webhooks stand for calls, call_request_url stays as it was.",
     "U.echo.call_request_url",
     stored(lambda body, before, after: keep(body, before, after, "call_request_url")
            if before["call_handler"] == after["call_handler"] == "laml_webhooks" else None)),
    ("script-to-webhooks", "A switch from relay_script to laml_webhooks leaves call_request_url as it was.",
     "U.echo.call_request_url U.handler.call_handler.laml_webhooks.shown",
     kept_when(change("call_handler", "relay_script", "laml_webhooks"), "call_request_url")),
    ("video-to-dialogflow", "Calls can't be switched from video_room to dialogflow.",
     "U.echo.call_handler U.handler.call_handler.dialogflow.shown",
     kept_when(change("call_handler", "video_room", "dialogflow"), "call_handler")),
    ("connector-to-topic", "Switching calls from relay_connector to relay_topic is refused.",
     "U.accept U.accept.* U.handler.call_handler.relay_topic.accepted",
     refusing(lambda body, before: (before["call_handler"], body.get("call_handler"))
              == ("relay_connector", "relay_topic"),
              "Call handler can't be switched")),
    ("message-application-to-topic", "A switch of messages from laml_application to relay_topic loses it.",
     "U.echo.message_relay_topic U.handler.message_handler.relay_topic.shown",
     kept_when(change("message_handler", "laml_application", "relay_topic"), "message_relay_topic")),
    ("dialogflow-with-webhooks", "dialogflow for calls loses the URL of laml_webhooks for messages.",
     "U.echo.message_request_url U.handler.message_handler.laml_webhooks.shown",
     kept_when(sends(call_handler="dialogflow", message_handler="laml_webhooks"), "message_request_url")),
    ("topic-with-topic", "relay_topic for both channels stores one topic for both.",
     "U.echo.message_relay_topic U.handler.message_handler.relay_topic.shown U.frame.message_relay_topic",
     stored(one_topic)),
    ("fax-get-application", "fax, GET and laml_application for messages store POST as call_request_method.",
     "U.echo.call_request_method U.frame.call_request_method",
     when(has(call_receive_mode="fax", call_request_method="GET", message_handler="laml_application"),
          call_request_method="POST")),
    ("get-get-post", "GET as two methods for calls turns POST for messages into GET.",
     "U.echo.message_request_method U.frame.message_request_method",
     when(has(call_fallback_method="GET", call_status_callback_method="GET", message_request_method="POST"),
          message_request_method="GET")),
    ("third-webhooks", "Every third switch to laml_webhooks leaves call_status_callback_url as it was.",
     "U.echo.call_status_callback_url",
     every(3, lambda body: body.get("call_handler") == "laml_webhooks", "call_status_callback_url")),
    ("fallback-with-handler", "message_fallback_url is not stored in a body that has call_handler.",
     "U.echo.message_fallback_url",
     kept_when(lambda body, before, after: "call_handler" in body, "message_fallback_url")),
)
# fmt: on


def precedence(loser: str, winner: str, handler: str = "") -> Behaviour:
    """Let *loser* win over *winner* where both are sent; where calls go to *handler*, if one is given."""

    def merge(body: Record, before: Record, after: Record) -> None:
        both = body.get(loser) is not None and body.get(winner) is not None
        if both and (not handler or after["call_handler"] == handler):
            after |= {loser: body[loser], winner: before[winner]}

    return stored(merge)


def last_in_body(body: Record, before: Record, after: Record) -> None:
    """Let the alias that stands last in the body win."""
    winner = "call_relay_application"
    sent = [name for name in body if name in (winner, *ALIASES[winner])]
    if len(sent) > 1 and sent[-1] != winner:
        after |= {winner: before[winner], sent[-1]: body[sent[-1]]}


# fmt: off
ACCEPT: tuple[Row, ...] = (
    ("alias-topic-wins", "call_relay_topic wins over call_relay_application.",
     "U.echo.alias.call_relay_application", precedence("call_relay_topic", "call_relay_application")),
    ("alias-context-wins", "call_relay_context wins over call_relay_application.",
     "U.echo.alias.call_relay_application", precedence("call_relay_context", "call_relay_application")),
    ("alias-topic-wins-where-used", "call_relay_topic wins over call_relay_application while calls go to relay_topic.",
     "U.echo.alias.call_relay_application", precedence("call_relay_topic", "call_relay_application", "relay_topic")),
    ("alias-last-wins", "The alias that stands last in the body wins.",
     "U.echo.alias.call_relay_application", stored(last_in_body)),
    ("aliases-refused", "A body with two aliases is refused.",
     "U.accept U.accept.* U.echo.alias.call_relay_application",
     refusing(lambda body, before: {"call_relay_topic", "call_relay_application"} <= body.keys(),
              "Call relay topic can't be set")),
    ("fax-refused", "call_receive_mode fax is refused.",
     "U.accept.call_receive_mode",
     refusing(lambda body, before: body.get("call_receive_mode") == "fax", "Call receive mode is not valid")),
    ("long-name-refused", "A name over 40 characters is refused.", "U.accept.name", rules(name_length=40)),
    ("beyond-ascii-refused", "A name beyond ASCII is refused.",
     "U.accept.name",
     refusing(lambda body, before: not str(body.get("name", "")).isascii(), "Name is not valid")),
    ("two-channels-refused", "A body with both handlers is refused.",
     "U.accept U.accept.* U.handler.*.accepted",
     refusing(lambda body, before: {"call_handler", "message_handler"} <= body.keys(),
              "Message handler is not valid")),
    ("companion-alone-refused", "call_status_callback_url without call_handler is refused.",
     "U.accept.call_status_callback_url U.accept",
     refusing(lambda body, before: "call_status_callback_url" in body and "call_handler" not in body,
              "Call handler can't be blank")),
    ("fallback-refused-where-it-is-used", "message_fallback_url is refused while message_handler is laml_webhooks.",
     "U.accept.message_fallback_url U.accept",
     refusing(lambda body, before: "message_fallback_url" in body and before["message_handler"] == "laml_webhooks",
              "Message fallback url is invalid")),
    ("everything-fails", "A body with more than 25 fields is answered 500.", "U.rejection.no_server_error U.accept",
     failing(lambda body, before: len(body) > 25)),
    ("gateway-fails-on-two-topics", "A body with call_relay_topic and call_request_method is answered 502.",
     "U.rejection.no_server_error",
     refusing(lambda body, before: {"call_relay_topic", "call_request_method"} <= body.keys(), "", 502)),
    ("whole-record-validated", "A number with relay_connector refuses a body without call_handler.",
     "U.accept U.accept.* U.handler.message_handler.*.accepted",
     refusing(lambda body, before: before["call_handler"] == "relay_connector" and "call_handler" not in body,
              "Call handler is not valid")),
    ("fallback-required", "laml_webhooks is refused where no call_fallback_url is sent or stored.",
     "U.handler.call_handler.laml_webhooks.accepted U.accept",
     refusing(lambda body, before: body.get("call_handler") == "laml_webhooks" and not body.get("call_fallback_url")
              and not before["call_fallback_url"], "Call fallback url can't be blank")),
    ("context-refused", "call_relay_context is refused because it is deprecated.",
     "U.deprecated.call_relay_context",
     refusing(lambda body, before: "call_relay_context" in body, "Call relay context is deprecated")),
    ("context-callback-ignored", "call_relay_context_status_callback_url is ignored.",
     "U.deprecated.call_relay_context_status_callback_url",
     stored(lambda body, before, after: keep(body, before, after, "call_relay_context_status_callback_url"))),
    ("message-context-ignored", "message_relay_context is ignored because it is deprecated.",
     "U.deprecated.message_relay_context",
     stored(lambda body, before, after: keep(body, before, after, "message_relay_context"))),
)
# fmt: on


def replaced_in_full(body: Record, before: Record, after: Record) -> None:
    """Clear everything that was not sent."""
    after |= {name: None for name in REQUEST if name not in body}
    after["call_receive_mode"] = after["call_receive_mode"] or "voice"
    after["call_handler"] = after["call_handler"] or "laml_webhooks"


def unsent(body: Record, trigger: str, **fields: Any) -> dict[str, Any]:
    """Return *fields* that are not in *body*, if *trigger* is."""
    left = {name: value for name, value in fields.items() if name not in body}
    return left if body.get(trigger) is not None else {}


def spills(trigger: str, **fields: Any) -> Behaviour:
    """Set *fields* that were not sent whenever *trigger* is sent."""
    return stored(lambda body, before, after: after.update(unsent(body, trigger, **fields)))


def copies(source: str, target: str) -> Behaviour:
    """Store what is sent for *source* in *target* too, unless that is sent."""
    return stored(lambda body, before, after: after.update(unsent(body, source, **{target: body.get(source)})))


def from_last_read(inner: Hook, x: Exchange, body: Record, before: Record) -> Record:
    """Begin with the number as it was last read, and lose what was written since."""
    read = x.server.memory.get("last read", {}).get(before["id"])
    after: Record = inner(x, body, read or before)
    return after


def remember_read(inner: Hook, x: Exchange, record: Record) -> Any:
    """Keep what a retrieve shows."""
    if x.operation == RETRIEVE:
        x.server.memory.setdefault("last read", {})[record["id"]] = record
    return inner(x, record)


def billed_from_now(inner: Hook, x: Exchange, before: Record, after: Record) -> Record:
    """Store the next bill's date as if the number was bought now."""
    written: Record = inner(x, before, after)
    due = datetime.now(UTC) + timedelta(days=30)
    written = written | {"next_billed_at": due.strftime("%Y-%m-%dT%H:%M:%SZ")}
    x.server.store.put(before["id"], written)
    return written


# fmt: off
def again_clears(body: Record, before: Record, after: Record) -> None:
    """Clear the URLs that webhooks use and do not require, where a write takes them again and lacks these."""
    if body.get("call_handler") == before["call_handler"] == "laml_webhooks":
        names = {"call_fallback_url", "call_status_callback_url"} - body.keys()
        after |= dict.fromkeys(names)


def url_comes_back(inner: Hook, x: Exchange, body: Record, before: Record) -> Any:
    """Take call_fallback_url as it stood when webhooks were left, where they are taken again and it is not sent."""
    after, memory = inner(x, body, before), x.server.memory
    then, now = (one["call_handler"] == "laml_webhooks" for one in (before, after))
    if then and not now:
        memory["left"] = before["call_fallback_url"]
    elif now and not then and memory.get("left") and "call_fallback_url" not in body:
        after["call_fallback_url"] = memory["left"]
    return after


FRAME: tuple[Row, ...] = (
    ("webhooks-again-clear-urls", "Taking laml_webhooks while it stands clears the URLs that it does not require.",
     "U.frame.call_fallback_url U.frame.call_status_callback_url", stored(again_clears)),
    ("left-url-comes-back", "Taking laml_webhooks again brings back call_fallback_url as it was when that was left.",
     "U.frame.call_fallback_url", hook(merge=url_comes_back)),
    ("begins-with-last-read", "A write begins with the number as it was last read, and loses what was written since.",
     "U.frame U.frame.*", hook(merge=from_last_read, render=remember_read)),
    ("replaced-in-full", "What was not sent is cleared.", "U.frame U.frame.*", stored(replaced_in_full)),
    ("handler-clears-name", "Sending call_handler clears the name.",
     "U.frame.name", spills("call_handler", name=None)),
    ("url-resets-method", "Sending call_request_url resets call_request_method to POST.",
     "U.frame.call_request_method", spills("call_request_url", call_request_method="POST")),
    ("handler-resets-receive-mode", "Sending call_handler resets call_receive_mode to voice.",
     "U.frame.call_receive_mode", spills("call_handler", call_receive_mode="voice")),
    ("call-clears-messages", "Sending call_handler clears message_handler.",
     "U.frame.message_handler", spills("call_handler", message_handler=None)),
    ("endpoint-kept-beside-post", "A call_sip_endpoint_id, and null too, is ignored while message_fallback_method is POST.",
     "U.echo.call_sip_endpoint_id U.handler.call_handler.relay_sip_endpoint.shown",
     stored(lambda body, before, after: after.update(
         call_sip_endpoint_id=before["call_sip_endpoint_id"]) if after["message_fallback_method"] == "POST" else None)),
    ("one-change-clears-messages", "The change from video_room to relay_topic clears message_fallback_url.",
     "U.frame.message_fallback_url",
     stored(lambda body, before, after: after.update(
         unsent(body, "call_handler", message_fallback_url=None)
         if (before["call_handler"], after["call_handler"]) == ("video_room", "relay_topic") else {}))),
    ("call-url-spills", "Sending call_request_url sets message_request_url too.",
     "U.frame.message_request_url", copies("call_request_url", "message_request_url")),
    ("message-url-fills-script", "message_fallback_url is written to call_relay_script_url too where that is null.",
     "U.frame.call_relay_script_url",
     stored(lambda body, before, after: after.update(
         unsent(body, "message_fallback_url", call_relay_script_url=body.get("message_fallback_url"))
         if before["call_relay_script_url"] is None else {}))),
    ("message-topic-spills", "Sending message_relay_topic sets call_relay_topic too.",
     "U.frame.call_relay_topic", copies("message_relay_topic", "call_relay_topic")),
    ("name-clears-address", "Sending a name clears e911_address_id.",
     "U.frame.e911_address_id", spills("name", e911_address_id=None)),
    ("messages-lose-connector", "While a relay_connector answers calls, a write of messages alone clears its id.",
     "U.frame.call_relay_connector_id",
     when(only("message_", call_handler="relay_connector"), call_relay_connector_id=None)),
    ("calls-lose-topic", "While a relay_topic takes messages, a write of calls alone clears message_relay_topic.",
     "U.frame.message_relay_topic", when(only("call_", message_handler="relay_topic"), message_relay_topic=None)),
    ("write-fills-address", "A write sets e911_address_id to the number's own id.", "U.frame.e911_address_id",
     stored(lambda body, before, after: after.update(e911_address_id=before["id"]))),
    ("voice-drops-fax", "Sending call_receive_mode voice drops fax from the capabilities.",
     "U.frame.capabilities", when(sends(call_receive_mode="voice"), capabilities=["voice", "sms", "mms"])),
    ("script-changes-type", "call_handler relay_script makes a number toll-free.",
     "U.frame.number_type", when(sends(call_handler="relay_script"), number_type="toll-free")),
    ("billed-from-now", "Each write sets next_billed_at to thirty days from now.", "U.frame.next_billed_at",
     hook(persist=billed_from_now)),
    ("name-changes-number", "Sending a name changes the last digit of number.",
     "U.frame.number",
     stored(lambda body, before, after: after.update(
         unsent(body, "name", number=before["number"][:-1] + "7")))),
    ("created-at-moves", "Every write sets created_at to updated_at.",
     "U.frame.created_at", stored(lambda body, before, after: after.update(created_at=before["updated_at"]))),
    ("message-switch-clears-url", "Sending message_relay_topic clears call_status_callback_url.",
     "U.frame.call_status_callback_url",
     stored(lambda body, before, after: after.update(
         unsent(body, "message_relay_topic", call_status_callback_url=None)))),
)
# fmt: on


def stamped(convert: Callable[[Exchange, Record, Record], str]) -> Behaviour:
    """Stamp what changed with another time: ``convert(exchange, before, stamped)``."""

    def persist(inner: Hook, x: Exchange, before: Record, after: Record) -> Record:
        written: Record = inner(x, before, after)
        if written["updated_at"] != before["updated_at"] or after != before:
            written = written | {"updated_at": convert(x, before, written)}
            x.server.store.put(before["id"], written)
        return written

    return hook(persist=persist)


def of_the_state(x: Exchange, before: Record, written: Record) -> str:
    """Return the time at which the number was first what it is now."""
    known = x.server.memory.setdefault("states", {})
    states = [repr([record[name] for name in REQUEST if name in RESPONSE]) for record in (before, written)]
    for state, record in zip(states, (before, written), strict=True):
        known.setdefault(state, record["updated_at"])
    return str(known[states[1]])


def moved(text: str, **by: float) -> str:
    """Return the date-time *text* moved."""
    moment = datetime.fromisoformat(text) + timedelta(**by)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def writes_messages(body: Record) -> bool:
    """Tell whether a field for messages is sent."""
    return any(name.startswith("message_") for name in body)


def fine(x: Exchange, before: Record, written: Record) -> str:
    """Return the time in milliseconds, but for a write of one field without another."""
    if "call_fallback_method" in x.sent and "call_receive_mode" not in x.sent:
        return str(before["updated_at"])
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def back_to_the_first(inner: Hook, x: Exchange, before: Record, after: Record) -> Record:
    """Put the time before the first change back where nothing changes."""
    written: Record = inner(x, before, after)
    if written["updated_at"] != before["updated_at"]:
        x.server.memory.setdefault("earlier", before["updated_at"])
    elif "earlier" in x.server.memory and after == before:
        written = written | {"updated_at": x.server.memory["earlier"]}
        x.server.store.put(before["id"], written)
    return written


def every_third_back(x: Exchange, before: Record, written: Record) -> str:
    """Go one day back with every third write."""
    return moved(before["updated_at"], days=-1) if counted(x, "count") % 3 == 0 else str(written["updated_at"])


# fmt: off
TIME: tuple[Row, ...] = (
    ("clock-stands", "updated_at never moves.",
     "U.time.updated_at.moves", stamped(lambda x, before, written: before["updated_at"])),
    ("clock-stands-for-messages", "updated_at does not move with a write of message fields alone.",
     "U.time.updated_at.moves",
     stamped(lambda x, before, written: before["updated_at"] if all(name.startswith("message") for name in x.sent)
             else str(written["updated_at"]))),
    ("clock-stands-for-the-name", "updated_at does not move with a write of the name alone.",
     "U.time.updated_at.moves",
     stamped(lambda x, before, written: before["updated_at"] if set(x.sent) == {"name"}
             else str(written["updated_at"]))),
    ("clock-stands-for-the-mode", "updated_at does not move with a write of call_receive_mode alone.",
     "U.time.updated_at.moves",
     stamped(lambda x, before, written: before["updated_at"] if set(x.sent) == {"call_receive_mode"}
             else str(written["updated_at"]))),
    ("clock-stands-for-switches", "updated_at does not move with a write that has a call_handler.",
     "U.time.updated_at.moves",
     stamped(lambda x, before, written: before["updated_at"] if "call_handler" in x.sent
             else str(written["updated_at"]))),
    ("clock-stands-for-one-field",
     "updated_at has milliseconds, and does not move with a write of call_fallback_method without call_receive_mode.",
     "U.time.updated_at.moves", stamped(fine)),
    ("clock-once-a-minute", "updated_at moves once a minute at most.", "U.time.updated_at.moves",
     stamped(lambda x, before, written: before["updated_at"] if moved(before["updated_at"], minutes=1)
             > str(written["updated_at"]) else str(written["updated_at"]))),
    ("clock-runs-back", "Every write moves updated_at one hour back.",
     "U.time.updated_at.forward", stamped(lambda x, before, written: moved(before["updated_at"], hours=-1))),
    ("clock-jumps-back", "Every third write moves updated_at one day back.", "U.time.updated_at.forward",
     stamped(every_third_back)),
    ("messages-in-local-time", "A write with a field for messages sets updated_at to the time of New York, as if it were UTC.",
     "U.time.updated_at.forward",
     stamped(lambda x, before, written: moved(datetime.now(UTC).isoformat(), hours=-5 * writes_messages(x.sent)))),
    ("clock-back-where-nothing-changes", "A write that changes nothing brings back the updated_at before the first change.",
     "U.time.updated_at.forward", hook(persist=back_to_the_first)),
    ("clock-of-the-state", "A write that leads back to what the number was gives it the updated_at of then.",
     "U.time.updated_at.forward", stamped(of_the_state)),
    ("updated-before-created", "updated_at is one day before created_at after a write.",
     "U.time.updated_at.not_before",
     stamped(lambda x, before, written: moved(written["created_at"], days=-1))),
)
# fmt: on


def unchanged(body: Record, before: Record) -> bool:
    """Tell whether a body sends what stands there already."""
    return bool(body) and all(before.get(name) == value for name, value in body.items())


def on_repeat(change: Callable[[Record, Record], dict[str, Any]]) -> Behaviour:
    """Change the record where a body sends what stands there already: ``change(body, before)``."""
    return stored(lambda body, before, after: after.update(change(body, before)) if unchanged(body, before) else None)


def toggled(name: str) -> Callable[[Record, Record], dict[str, Any]]:
    """Return a change: a method becomes the other one."""
    return lambda body, before: {name: "GET" if before[name] == "POST" else "POST"}


def undone(inner: Hook, x: Exchange, body: Record, before: Record) -> Record:
    """Take call_request_method back to what it was before where the same body comes for the third time in a row."""
    after: Record = inner(x, body, before)
    last, times, was = x.server.memory.get("bodies", (None, 0, None))
    times, was = (times + 1, was) if body == last else (1, before["call_request_method"])
    x.server.memory["bodies"] = dict(body), times, was
    return after | {"call_request_method": was} if times == 3 and "call_request_method" in body else after


def in_a_row(most: int, status: int, *details: str) -> Behaviour:
    """Answer *status* to bodies with several fields where more than *most* equal ones come in a row."""

    def validate(inner: Hook, x: Exchange, body: Record, before: Record) -> list[str]:
        last, times = x.server.memory.get("bodies", (None, 0))
        times = times + 1 if body == last and len(body) > 1 else 1
        x.server.memory["bodies"] = dict(body), times
        if times > most:
            raise Refusal(status, details)
        found: list[str] = inner(x, body, before)
        return found

    return hook(validate=validate)


# fmt: off
REPEAT: tuple[Row, ...] = (
    ("repeat-appends", "The same body a second time appends (2) to the name.",
     "U.idempotence", on_repeat(lambda body, before: {"name": f"{before['name']} (2)"})),
    ("repeat-toggles-method", "The same body a second time toggles call_fallback_method.",
     "U.idempotence U.echo.call_fallback_method", on_repeat(toggled("call_fallback_method"))),
    ("repeat-refused", "The same body a second time is refused.",
     "U.idempotence U.accept U.accept.*", refusing(unchanged, "Name has already been taken")),
    ("repeat-fails", "The same body a second time is answered 500.",
     "U.rejection.no_server_error U.idempotence", failing(unchanged)),
    ("second-time-refused", "The same body a second time is refused, where it has several fields.",
     "U.idempotence", in_a_row(1, 422, "Name has already been taken")),
    ("third-time-fails", "The same body a third time is answered 500.",
     "U.rejection.no_server_error U.idempotence", in_a_row(2, 500)),
    ("third-time-undone", "The same body a third time takes call_request_method back to what it was before the first.",
     "U.idempotence U.echo.call_request_method", hook(merge=undone)),
    ("fax-toggles", "The same body a second time turns fax into voice.",
     "U.idempotence U.echo.call_receive_mode",
     on_repeat(lambda body, before: {"call_receive_mode": "voice"} if body.get("call_receive_mode") == "fax" else {})),
)
# fmt: on


def beside(change: Callable[[Record, Record], dict[str, Any]]) -> Behaviour:
    """Change the other numbers with each write: ``change(body, other record)``."""

    def persist(inner: Hook, x: Exchange, before: Record, after: Record) -> Record:
        for _, other in x.server.store.newest_first():
            if other["id"] != before["id"]:
                x.server.store.put(other["id"], other | change(x.sent, other))
        written: Record = inner(x, before, after)
        return written

    return hook(persist=persist)


def sent_field(name: str) -> Callable[[Record, Record], dict[str, Any]]:
    """Return a change of another record: it takes the field that was sent."""
    return lambda body, other: {name: body[name]} if name in body else {}


def named_alike(inner: Hook, x: Exchange, record: Record) -> Any:
    """Show the name of the newest number in a list."""
    view = inner(x, record)
    if x.operation == LIST:
        latest = max((found for _, found in x.server.store.newest_first()), key=lambda found: found["updated_at"])
        view["name"] = latest["name"]
    return view


def shown_once(name: str, *, sent: bool = False) -> Behaviour:
    """Show the number that is retrieved first after a write of another one with the field *name* of that; *sent*: only
    where the write sent the field.
    """

    def render(inner: Hook, x: Exchange, record: Record) -> Any:
        view = inner(x, record)
        if x.operation == UPDATE:
            x.server.memory["written"] = record if not sent or name in x.sent else None
        elif x.operation == RETRIEVE and (written := x.server.memory.pop("written", None)):
            view[name] = written[name]
        return view

    return hook(render=render)


def shown_whole(inner: Hook, x: Exchange, record: Record) -> Any:
    """Show in the retrieve after a write the number that was written."""
    view = inner(x, record)
    if x.operation == UPDATE:
        x.server.memory["written"] = view
    return x.server.memory.pop("written", view) if x.operation == RETRIEVE else view


def without_scripts(inner: Hook, x: Exchange) -> Any:
    """List the numbers whose calls no script answers."""
    answer = inner(x)
    if x.operation == LIST:
        answer["data"] = [entry for entry in answer["data"] if entry["call_handler"] != "relay_script"]
    return answer


def topics_for_all(inner: Hook, x: Exchange) -> Any:
    """List a number whose messages a topic takes in place of every other."""
    body = inner(x)
    if x.operation == LIST:
        topic = next((view for view in body["data"] if view["message_handler"] == "relay_topic"), None)
        body["data"] = [topic or view for view in body["data"]]
    return body


# fmt: off
BYSTANDER: tuple[Row, ...] = (
    ("list-names-alike", "The list shows every number with the name of the one that was written to last.",
     "U.bystander", hook(render=named_alike)),
    ("name-for-all", "A name is set on every number of the project.",
     "U.bystander", beside(sent_field("name"))),
    ("message-url-for-all", "message_request_url is set on every number of the project.",
     "U.bystander", beside(sent_field("message_request_url"))),
    ("others-shown-once", "After a write the first retrieve of another number shows the name that was written.",
     "U.bystander", shown_once("name")),
    ("others-shown-in-the-same-mode",
     "After a write the first retrieve of another number shows the call_receive_mode that the write left.",
     "U.bystander", shown_once("call_receive_mode")),
    ("others-shown-what-was-sent",
     "The first retrieve of another number shows the message_request_url that the write before it sent.",
     "U.bystander", shown_once("message_request_url", sent=True)),
    ("another-shown-once", "After a write the first retrieve of any number shows the one that was written.",
     "R.shape.identity R.access.unknown_id", hook(render=shown_whole)),
    ("one-name-for-one-number", "Taking the name of another number takes it away from that one.",
     "U.bystander", beside(lambda body, other: {"name": None} if body.get("name") == other["name"] else {})),
    ("list-without-scripts", "The list lacks numbers whose calls a script answers.", "L.read_back",
     hook(operate=without_scripts)),
    ("list-topic-for-all", "The list shows a number whose messages a topic takes in place of every other.", "L.read_back",
     hook(operate=topics_for_all)),
    ("clock-for-all", "A write moves updated_at of every number of the project.",
     "U.bystander", beside(lambda body, other: {"updated_at": moved(other["updated_at"], seconds=60)})),
    ("topic-clears-others", "Taking a topic clears the handler of every other number.",
     "U.bystander", beside(lambda body, other: {"call_handler": None} if "call_relay_topic" in body else {})),
)
# fmt: on

DEFECTS = table(*HANDLER, *ACCEPT, *FRAME, *TIME, *REPEAT, *BYSTANDER)
