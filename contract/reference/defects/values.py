"""Values that do not come back to the letter: changed on the way in, lost, or read from somewhere stale."""

from __future__ import annotations

import html
import posixpath
import re
import unicodedata
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from contract.reference.behaviour import Behaviour, Hook
from contract.reference.exchange import LIST, RETRIEVE, UPDATE, Exchange
from contract.reference.fields import REQUEST, REQUIRES, URLS, USES, Record
from contract.reference.kit import Row, counted, held, hook, shown, shown_as, stored, table, text

__all__ = ["DEFECTS"]


def without_right_to_left(value: str) -> str:
    """Drop the letters that run from right to left."""
    return "".join(c for c in value if unicodedata.bidirectional(c) not in ("R", "AL"))


def ascii_only(value: str) -> str:
    """Take the accents off."""
    return unicodedata.normalize("NFKD", value).encode("ascii", "ignore").decode()


def mojibake(value: str) -> str:
    """Read UTF-8 as if it were ISO 8859-1."""
    return value.encode().decode("latin-1")


def without_leading_zeros(value: str) -> str:
    """Read what is all digits as a number."""
    return str(int(value)) if value.isdecimal() else value


def query(value: str, convert: Any) -> str:
    """Convert the list of name and value pairs of a URL's query, if it has any."""
    head, mark, tail = value.partition("?")
    pairs = parse_qsl(tail, keep_blank_values=True)
    return head + mark + urlencode(convert(pairs)) if pairs and "=" in tail else value


def one_per_key(value: str) -> str:
    """Keep the last of several query parameters of one name."""
    keys = [key for key, _ in parse_qsl(value.partition("?")[2])]
    return query(value, dict) if len(set(keys)) < len(keys) else value


def path(value: str, convert: Any) -> str:
    """Convert the path of a URL."""
    parts = urlsplit(value)
    return parts._replace(path=convert(parts.path)).geturl()


def dots(value: str) -> str:
    """Resolve the segments of a path that are dots."""
    return posixpath.normpath(value) if "/." in value else value


# fmt: off
TEXT: tuple[Row, ...] = (
    ("name-trimmed", "Blanks at both ends of a name are dropped.", "U.echo.name", text(str.strip, "name")),
    ("topic-right-trimmed", "Blanks at the end of call_relay_topic are dropped.",
     "U.echo.call_relay_topic", text(str.rstrip, "call_relay_topic")),
    ("blanks-collapsed", "Several blanks in a name become one.",
     "U.echo.name", text(lambda v: re.sub(r" +", " ", v), "name")),
    ("name-cut-at-63", "A name is cut after 63 characters.", "U.echo.name", text(lambda v: v[:63], "name")),
    ("name-cut-at-100", "A name is cut after 100 characters.",
     "U.echo.name", text(lambda v: v[:100], "name")),
    ("name-cut-at-100-bytes", "A name is cut after 100 bytes of UTF-8.",
     "U.echo.name", text(lambda v: v.encode()[:100].decode("utf-8", "ignore"), "name")),
    ("name-composed", "Combining marks in a name are composed (NFC).",
     "U.echo.name", text(lambda v: unicodedata.normalize("NFC", v), "name")),
    ("resource-compatible", "Ligatures in call_verto_resource are taken apart (NFKC).",
     "U.echo.call_verto_resource", text(lambda v: unicodedata.normalize("NFKC", v), "call_verto_resource")),
    ("accents-dropped", "Accents are taken off message_relay_context.",
     "U.echo.message_relay_context", text(ascii_only, "message_relay_context")),
    ("emoji-dropped", "Characters beyond the basic plane are dropped from a name.",
     "U.echo.name", text(lambda v: "".join(c for c in v if c < "\U00010000"), "name")),
    ("right-to-left-dropped", "Arabic letters are dropped from a name.",
     "U.echo.name", text(without_right_to_left, "name")),
    ("mojibake", "call_relay_application is decoded as ISO 8859-1.",
     "U.echo.call_relay_application", text(mojibake, "call_relay_application")),
    ("name-capitalised", "Every word of a name gets a capital.", "U.echo.name", text(str.title, "name")),
    ("topic-lower-case", "call_relay_topic is stored in small letters.",
     "U.echo.call_relay_topic", text(str.lower, "call_relay_topic")),
    ("markup-escaped", "Markup in a name is escaped.",
     "U.echo.name", text(lambda v: html.escape(v, quote=False), "name")),
    ("entities-decoded", "Entities such as &amp; in a name are decoded.",
     "U.echo.name", text(html.unescape, "name")),
    ("apostrophes-doubled", "Apostrophes in a name are doubled.",
     "U.echo.name", text(lambda v: v.replace("'", "''"), "name")),
    ("comment-cut", "A name ends where a SQL comment begins.",
     "U.echo.name", text(lambda v: v.split("--")[0], "name")),
    ("backslashes-read", "A backslash and an n in call_verto_resource become a newline.",
     "U.echo.call_verto_resource", text(lambda v: v.replace("\\n", "\n"), "call_verto_resource")),
    ("template-filled", "Braces in a name are filled as a template.",
     "U.echo.name", text(lambda v: v.replace("{{7*7}}", "49"), "name")),
    ("leading-zeros-lost", "A name of digits loses its leading zeros.",
     "U.echo.name", text(without_leading_zeros, "name")),
    ("word-null-read", "The word null as a name is stored as null.",
     "U.echo.name", text(lambda v: None if v == "null" else v, "name")),
    ("shouting-softened", "A name in capitals gets a capital for each word.",
     "U.echo.name", text(lambda value: value.title() if value.isupper() else value, "name")),
    ("name-cut-at-255-bytes", "A name is cut after 255 bytes of UTF-8.", "U.rejection.consistent U.echo.name",
     text(lambda value: value.encode()[:255].decode(errors="ignore"), "name")),
    ("resource-without-domain", "What follows an @ in call_verto_resource is dropped.",
     "U.echo.call_verto_resource", text(lambda value: value.partition("@")[0], "call_verto_resource")),
    ("plus-is-blank", "A plus sign in a name becomes a blank.",
     "U.echo.name", text(lambda v: v.replace("+", " "), "name")),
)
# fmt: on

# fmt: off
URL: tuple[Row, ...] = (
    ("query-dropped", "The query of call_status_callback_url is dropped.",
     "U.echo.call_status_callback_url", text(lambda v: v.partition("?")[0], "call_status_callback_url")),
    ("query-sorted", "The query of call_request_url is sorted.",
     "U.echo.call_request_url", text(lambda v: query(v, sorted), "call_request_url")),
    ("query-key-once", "Of two query parameters of one name in call_fallback_url the last stays.",
     "U.echo.call_fallback_url", text(one_per_key, "call_fallback_url")),
    ("query-blanks-dropped", "Query parameters without a value are dropped from message_fallback_url.",
     "U.echo.message_fallback_url", text(lambda v: v.replace("empty=&flag&", ""), "message_fallback_url")),
    ("query-plus-escaped", "A plus sign in the query of call_relay_script_url becomes %20.",
     "U.echo.call_relay_script_url", text(lambda v: v.replace("+", "%20"), "call_relay_script_url")),
    ("path-lower-case", "The path of call_fallback_url is stored in small letters.",
     "U.echo.call_fallback_url", text(lambda v: path(v, str.lower), "call_fallback_url")),
    ("percent-decoded", "Percent escapes in call_request_url are decoded.",
     "U.echo.call_request_url", text(unquote, "call_request_url")),
    ("percent-upper-case", "Percent escapes in call_status_callback_url are stored in capitals.",
     "U.echo.call_status_callback_url",
     text(lambda v: re.sub(r"%\w\w", lambda m: m[0].upper(), v), "call_status_callback_url")),
    ("slash-dropped", "A slash at the end of message_request_url is dropped.",
     "U.echo.message_request_url", text(lambda v: v.rstrip("/"), "message_request_url")),
    ("slash-added", "An empty path in call_relay_script_url becomes a slash.",
     "U.echo.call_relay_script_url", text(lambda v: path(v, lambda p: p or "/"), "call_relay_script_url")),
    ("punycode-decoded", "An xn-- host in message_request_url is decoded.",
     "U.echo.message_request_url",
     text(lambda v: v.replace("xn--mnchen-3ya", "münchen"), "message_request_url")),
    ("punycode-encoded", "A host in letters beyond ASCII in call_relay_topic_status_callback_url becomes xn--.",
     "U.echo.call_relay_topic_status_callback_url",
     text(lambda v: v.replace("bücher", "xn--bcher-kva"), "call_relay_topic_status_callback_url")),
    ("host-lower-case", "A host in capitals in call_request_url is stored in small letters.",
     "U.rejection.consistent U.echo.call_request_url",
     text(lambda value: re.sub("^[a-z]+://[^/?#]*", lambda found: found[0].lower(), value), "call_request_url")),
    ("host-gets-slash", "A host without a path in call_fallback_url gets a slash.",
     "U.echo.call_fallback_url", text(lambda value: re.sub("(//[^/?#]*)$", r"\1/", value), "call_fallback_url")),
    ("dot-segments-resolved", "Dots as segments of the path of message_fallback_url are resolved.",
     "U.echo.message_fallback_url", text(lambda value: path(value, dots), "message_fallback_url")),
    ("commas-escaped", "Commas in the query of call_relay_script_url are escaped.",
     "U.echo.call_relay_script_url U.handler.call_handler.relay_script.*",
     text(lambda value: re.sub("[?].*", lambda found: found[0].replace(",", "%2C"), value), "call_relay_script_url")),
    ("usual-port-dropped", "Port 443 is dropped from message_request_url.",
     "U.rejection.consistent U.echo.message_request_url",
     text(lambda value: value.replace(":443/", "/"), "message_request_url")),
    ("ampersand-escaped", "Ampersands in URLs are escaped as in HTML.",
     "U.echo.*_url U.echo", text(lambda v: v.replace("&", "&amp;"), *URLS)),
    ("id-upper-case", "call_laml_application_id is shown in capitals.",
     "U.echo.call_laml_application_id", shown_as("call_laml_application_id", str.upper)),
)
# fmt: on


def dropped(*names: str) -> Behaviour:
    """Accept the fields *names* and leave them as they were."""
    return stored(lambda body, before, after: after.update({name: before[name] for name in names}))


def swapped(one: str, other: str) -> Behaviour:
    """Store what is sent for one field in the other, both ways."""

    def change(body: Record, before: Record, after: Record) -> None:
        for source, target in ((one, other), (other, one)):
            after[target] = body.get(source, before[target])

    return stored(change)


def echoing(*names: str) -> Behaviour:
    """Show in the 200 what was sent for *names*, and do not store it."""

    def persist(inner: Hook, x: Exchange, before: Record, after: Record) -> Record:
        kept = {name: before[name] for name in names}
        written: Record = inner(x, before, after | kept)
        return written | {name: after[name] for name in names}

    return hook(persist=persist)


def without(sender: str, name: str, left: Callable[[Any, Any], Any]) -> Callable[[Record, Record, Record], None]:
    """Return a change for `held`: a body that lacks *sender* leaves ``left(old, new)`` in *name*."""

    def change(body: Record, before: Record, after: Record) -> None:
        if sender not in body:
            after[name] = left(before[name], after[name])

    return change


def flipped(old: Any, new: Any) -> Any:
    """Return the other method."""
    return {"GET": "POST", "POST": "GET"}.get(new)


def marked(count: int, name: str) -> Behaviour:
    """Leave a ! behind *name* in the store, in every write of *count*; the answers stay right."""

    def persist(inner: Hook, x: Exchange, before: Record, after: Record) -> Record:
        shown: Record = inner(x, before, after)
        if counted(x, "marked") % count == 0 and shown[name]:
            x.server.store.put(before["id"], {**shown, name: f"{shown[name]}!"})
        return shown

    return hook(persist=persist)


def stale_echo(*names: str) -> Behaviour:
    """Show in the 200 of an update what stood there before."""

    def render(inner: Hook, x: Exchange, record: Record) -> Any:
        if x.operation == UPDATE and x.before is not None:
            record = record | {name: x.before[name] for name in names}
        return inner(x, record)

    return hook(render=render)


def stale(operation: str, age: str, *, elsewhere: bool = False) -> Behaviour:
    """Show in *operation* what the number was like before.

    *age*: "first" as it was before any write, "last" before the last one, "read" when it was first read.
    *elsewhere*: only over another connection than that of the last write.
    """

    def render(inner: Hook, x: Exchange, record: Record) -> Any:
        kept = x.server.memory.setdefault("kept", {})
        if x.operation == UPDATE and x.before is not None and x.before != x.after:
            kept = kept if age != "last" else kept | {record["id"]: x.before}
            if age == "first":
                kept.setdefault(record["id"], x.before)
            x.server.memory["kept"] = kept
            x.server.memory["writer"] = x.client
        elif x.operation == operation and not (elsewhere and x.client == x.server.memory.get("writer")):
            if age == "read":
                kept.setdefault(record["id"], record)
            record = kept.get(record["id"], record)
        return inner(x, record)

    return hook(render=render)


def cached_until_handler(inner: Hook, x: Exchange, record: Record) -> Any:
    """Show in a retrieve what it was like at the first one after the last change of call_handler."""
    kept = x.server.memory.setdefault("cached", {})
    if x.operation == UPDATE and x.before is not None and x.before["call_handler"] != record["call_handler"]:
        kept.pop(record["id"], None)
    return inner(x, kept.setdefault(record["id"], record) if x.operation == RETRIEVE else record)


def cached_by_calls(inner: Hook, x: Exchange, record: Record) -> Any:
    """Show in a retrieve what it was like when its name and call fields were first read as they are now."""
    kept = x.server.memory.setdefault("by calls", {})
    key = repr([value for name, value in record.items() if name in {"id", "name"} or name.startswith("call_")])
    return inner(x, kept.setdefault(key, record) if x.operation == RETRIEVE else record)


def not_right_after_a_read(inner: Hook, x: Exchange, before: Record, after: Record) -> Record:
    """Answer call_fallback_url, and do not store it where nothing was asked for since a read."""
    written: Record = inner(x, before, after)
    if x.server.memory.get("asked") in {RETRIEVE, LIST}:
        x.server.store.put(before["id"], written | {"call_fallback_url": before["call_fallback_url"]})
    return written


def not_taken_after_a_read(inner: Hook, x: Exchange, body: Record, before: Record) -> Record:
    """Leave call_request_url as it was where nothing was asked for since a read."""
    after: Record = inner(x, body, before)
    late = x.server.memory.get("asked") in {RETRIEVE, LIST} and "call_request_url" in body
    return after | {"call_request_url": before["call_request_url"]} if late else after


def asked(inner: Hook, x: Exchange, record: Record) -> Any:
    """Remember what was asked for."""
    x.server.memory["asked"] = x.operation
    return inner(x, record)


def listed_without_verto(inner: Hook, x: Exchange, record: Record) -> Any:
    """Show in a list what call_verto_resource was before a write of it that changed call_handler."""
    if x.operation == UPDATE and x.before is not None:
        late = "call_verto_resource" in x.sent and x.before["call_handler"] != record["call_handler"]
        x.server.memory["verto"] = {record["id"]: x.before["call_verto_resource"]} if late else {}
    elif x.operation == LIST and record["id"] in (former := x.server.memory.get("verto", {})):
        record = record | {"call_verto_resource": former[record["id"]]}
    return inner(x, record)


def only_messages(x: Exchange) -> bool:
    """Tell whether nothing but fields of messages was sent."""
    return bool(x.sent) and all(name.startswith("message_") for name in x.sent)


def stamp_ahead(inner: Hook, x: Exchange, before: Record, after: Record) -> Record:
    """Answer a write of messages alone with an updated_at that is not stored."""
    written: Record = inner(x, before, after)
    if only_messages(x):
        x.server.store.put(before["id"], written | {"updated_at": before["updated_at"]})
    return written


def renamed(inner: Hook, x: Exchange, before: Record, after: Record) -> Record:
    """Leave another name in the store where the write before had a message_handler as well."""
    written: Record = inner(x, before, after)
    again = "message_handler" in x.sent and x.server.memory.get("handled")
    x.server.memory["handled"] = "message_handler" in x.sent
    if again and "name" not in x.sent:
        x.server.store.put(before["id"], written | {"name": "changed"})
    return written


def indexed_name(inner: Hook, x: Exchange, record: Record) -> Any:
    """Show in a list the name that came with the last write of a call_handler."""
    names = x.server.memory.setdefault("index", {})
    if x.operation == UPDATE and x.before is not None:
        names.setdefault(record["id"], x.before["name"])
        if "call_handler" in x.sent:
            names[record["id"]] = record["name"]
    stale = x.operation == LIST and record["id"] in names
    return inner(x, record | {"name": names[record["id"]]} if stale else record)


def second_behind(inner: Hook, x: Exchange, record: Record) -> Any:
    """Show in the list what the number was like before every second of the writes that change it."""
    behind = x.server.memory.setdefault("second", {})
    if x.operation == UPDATE and x.before is not None and x.before != x.after:
        even = counted(x, "changes of " + record["id"]) % 2 == 0
        behind[record["id"]] = x.before if even else record
    return inner(x, behind.get(record["id"], record) if x.operation == LIST else record)


def behind_once(inner: Hook, x: Exchange, record: Record) -> Any:
    """Show in the first retrieve after a change of call_handler what the number was like before it."""
    kept = x.server.memory.setdefault("behind", {})
    if x.operation == UPDATE and x.before is not None and x.before["call_handler"] != record["call_handler"]:
        kept[record["id"]] = x.before
    return inner(x, kept.pop(record["id"], record) if x.operation == RETRIEVE else record)


def lost_writes(when: Any, *, changes: bool = False) -> Behaviour:
    """Answer as if a write was stored, and do not store it: ``when(exchange, count of writes, before)``; counted are
    those that change something, where it is the *changes* that matter.
    """

    def persist(inner: Hook, x: Exchange, before: Record, after: Record) -> Record:
        same = all(after[name] == value for name, value in before.items() if name != "updated_at")
        count = counted(x, "writes" if not (changes and same) else "repeats")
        written: Record = inner(x, before, after)
        if when(x, count, before):
            x.server.store.put(before["id"], before)
        return written

    return hook(persist=persist)


def now() -> str:
    """Return the current second as updated_at has it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def sticking() -> Behaviour:
    """Refuse the first right write after a refused one."""

    def refuse(inner: Hook, x: Exchange, refusal: Any) -> Any:
        x.server.memory["sticks"] = refusal.status == 422 and not x.server.memory.get("stuck")
        x.server.memory["stuck"] = False
        return inner(x, refusal)

    def validate(inner: Hook, x: Exchange, body: Record, before: Record) -> list[str]:
        found: list[str] = inner(x, body, before)
        if not found and x.server.memory.pop("sticks", False):
            x.server.memory["stuck"] = True
            return ["Body is not valid"]
        return found

    return hook(refuse=refuse, validate=validate)


def after_refusal(once: Hook, status: int = 422, *, kept: bool = False) -> Behaviour:
    """Store the first write after a refusal with *status* as *once* does; one of another status ends it unless *kept*."""

    def refuse(inner: Hook, x: Exchange, refusal: Any) -> Any:
        x.server.memory["refused"] = refusal.status == status or (kept and x.server.memory.get("refused"))
        return inner(x, refusal)

    def persist(inner: Hook, x: Exchange, before: Record, after: Record) -> Any:
        return once(inner, x, before, after) if x.server.memory.pop("refused", False) else inner(x, before, after)

    return hook(refuse=refuse, persist=persist)


def refused_name_later() -> Behaviour:
    """Store the name of a refused write with the next accepted one that has none."""

    def refuse(inner: Hook, x: Exchange, refusal: Any) -> Any:
        if isinstance(x.body, dict) and isinstance(x.body.get("name"), str) and refusal.status == 422:
            x.server.memory["refused name"] = x.body["name"]
        return inner(x, refusal)

    def persist(inner: Hook, x: Exchange, before: Record, after: Record) -> Any:
        name = x.server.memory.pop("refused name", None)
        return inner(x, before, after if name is None or "name" in x.sent else after | {"name": name})

    return hook(refuse=refuse, persist=persist)


def fifth_clears(name: str) -> Behaviour:
    """Clear *name* in every fifth write that does not send it."""

    def persist(inner: Hook, x: Exchange, before: Record, after: Record) -> Any:
        lost = counted(x, "cleared") % 5 == 0 and name not in x.sent
        return inner(x, before, after | {name: None} if lost else after)

    return hook(persist=persist)


def with_other_method(inner: Hook, x: Exchange, before: Record, after: Record) -> Any:
    """Set call_fallback_method to the other one, unless it was sent."""
    name = "call_fallback_method"
    return inner(x, before, after if name in x.sent else after | {name: "GET" if before[name] == "POST" else "POST"})


def lost(inner: Hook, x: Exchange, before: Record, after: Record) -> Any:
    """Answer as if the write was stored."""
    written = inner(x, before, after)
    x.server.store.put(before["id"], before)
    return written


def idle_lost(inner: Hook, x: Exchange, before: Record, after: Record) -> Record:
    """Keep what was sent for a call companion that the call handler does not use out of the store."""
    name = "call_handler"
    companions = {other for used in USES[name].values() for other in used}
    idle = companions - set(USES[name].get(after[name], ())) - {REQUIRES[name].get(after[name])}
    written: Record = inner(x, before, after)
    x.server.store.put(before["id"], written | {other: before[other] for other in idle if other in x.sent})
    return written


# fmt: off
STORE: tuple[Row, ...] = (
    ("write-not-stored", "An update shows what was sent and stores nothing.",
     "U.read_back U.read_back.*", echoing(*REQUEST)),
    ("message-method-not-stored", "An update shows message_fallback_method as sent and does not store it.",
     "U.read_back.message_fallback_method", echoing("message_fallback_method")),
    ("answer-before-write", "An update shows the record as it was before.",
     "U.echo U.echo.*", stale_echo(*REQUEST)),
    ("retrieve-cached", "A retrieve shows the number as it was when it was first read.",
     "U.read_back U.read_back.*", stale(RETRIEVE, "read")),
    ("retrieve-cached-until-handler", "A retrieve is kept until call_handler changes.",
     "U.read_back U.read_back.*", hook(render=cached_until_handler)),
    ("list-name-indexed", "The list shows the name that came with the last write of a call_handler.", "L.read_back",
     hook(render=indexed_name)),
    ("list-blank-for-null", "The list shows a blank for call_relay_context where that is null.", "L.read_back",
     shown(lambda view: view.update(call_relay_context=view["call_relay_context"] or ""), LIST)),
    ("retrieve-behind-elsewhere",
     "A retrieve over another connection than that of the last write shows the number as it was before it.",
     "U.read_back U.read_back.*", stale(RETRIEVE, "last", elsewhere=True)),
    ("retrieve-one-behind", "A retrieve shows the number as it was before the last write.",
     "U.read_back U.read_back.*", stale(RETRIEVE, "last")),
    ("retrieve-behind-once",
     "The first retrieve after a change of call_handler shows the number as it was before it, and the next one does not.",
     "U.read_back U.read_back.*", hook(render=behind_once)),
    ("list-stale", "The list shows a number as it was before the first write.",
     "L.read_back", stale(LIST, "first")),
    ("handler-alone-not-stored", "A call_handler without its companion is answered and not stored.",
     "U.read_back.call_handler U.frame.call_handler U.rejection.consistent",
     held(lambda body, before, after: after.update(call_handler=before["call_handler"])
          if REQUIRES["call_handler"].get(body.get("call_handler", "")) not in {None, *body} else None)),
    ("one-address-for-two", "call_fallback_url is stored as null where it is the address of call_request_url.",
     "U.echo.call_fallback_url U.handler.*",
     stored(lambda body, before, after: after.update(
         {"call_fallback_url": None} if after["call_fallback_url"] == after["call_request_url"] else {}))),
    ("same-address-resets-method",
     "message_fallback_method goes back to POST where an update has the message_fallback_url that stands already.",
     "U.frame.message_fallback_method U.echo.message_fallback_method",
     stored(lambda body, before, after: after.update(
         {"message_fallback_method": "POST"}
         if body.get("message_fallback_url", "") == before["message_fallback_url"]
         and "message_fallback_method" not in body else {}))),
    ("connector-id-alone-ignored", "A call_relay_connector_id without call_handler is not taken.",
     "U.echo.call_relay_connector_id",
     stored(lambda body, before, after: after.update(
         {} if "call_handler" in body else {"call_relay_connector_id": before["call_relay_connector_id"]}))),
    ("topic-switch-resets-mode",
     "A change of call_handler to relay_topic without call_receive_mode sets that to voice.",
     "U.frame.call_receive_mode",
     stored(lambda body, before, after: after.update(
         {"call_receive_mode": "voice"}
         if after["call_handler"] == "relay_topic" != before["call_handler"] and "call_receive_mode" not in body
         else {}))),
    ("list-behind-every-other",
     "After every second write the list shows the number as it was before it.", "L.read_back", hook(render=second_behind)),
    ("list-late-after-a-change",
     "After a write of call_verto_resource that changes call_handler the list shows what the first was before.",
     "L.read_back", hook(render=listed_without_verto)),
    ("list-always-voice", "The list shows voice, whatever call_receive_mode is.",
     "L.read_back", shown_as("call_receive_mode", lambda value: "voice", LIST)),
    ("list-method-always-post", "The list shows POST, whatever call_request_method is.",
     "L.read_back", shown_as("call_request_method", lambda value: "POST", LIST)),
    ("list-mojibake", "The list shows a name decoded as ISO 8859-1.", "L.read_back", shown_as("name", mojibake, LIST)),
    ("list-name-cut", "The list shows the first six characters of a name.",
     "L.read_back", shown_as("name", lambda value: value[:6], LIST)),
    ("retrieve-trims-name", "A retrieve shows a name without the blanks at its ends.",
     "U.read_back.name", shown_as("name", str.strip, RETRIEVE)),
    ("retrieve-without-emoji", "A retrieve shows ? for a character of a name beyond ISO 8859-1.",
     "U.read_back.name",
     shown_as("name", lambda value: value.encode("latin-1", "replace").decode("latin-1"), RETRIEVE)),
    ("third-write-lost", "Every third write is answered and not stored.",
     "U.read_back U.read_back.*", lost_writes(lambda x, count, before: count % 3 == 0)),
    ("tenth-write-lost", "Every tenth write is answered and not stored.",
     "U.read_back U.read_back.* U.frame U.frame.*", lost_writes(lambda x, count, before: count % 10 == 0)),
    ("retrieve-cached-by-call-fields",
     "A retrieve shows the number as it was when its name and its call fields first stood as they do.",
     "U.read_back U.read_back.*", hook(render=cached_by_calls)),
    ("clock-ahead-of-retrieve", "A write of message fields alone shows an updated_at that is not stored.",
     "U.time.updated_at.* U.read_back U.read_back.updated_at", hook(persist=stamp_ahead)),
    ("second-handler-renames", "A second write of message_handler in a row leaves another name in the store.",
     "U.read_back.name U.frame.name", hook(persist=renamed)),
    ("method-lost-beside-verto",
     "Of four fields and more with call_verto_resource among them, call_request_method is answered and not stored.",
     "U.read_back.call_request_method U.frame.call_request_method",
     held(lambda body, before, after: after.update(call_request_method=before["call_request_method"])
          if "call_verto_resource" in body and len(body) > 3 else None)),
    ("same-topic-clears-it", "A write of the call_relay_topic that stands there clears it.",
     "U.idempotence U.echo.call_relay_topic U.handler.call_handler.relay_topic.*",
     stored(lambda body, before, after: after.update(call_relay_topic=None)
            if before["call_relay_topic"] and body.get("call_relay_topic") == before["call_relay_topic"] else None)),
    ("third-change-lost", "Every third write that changes something is answered and not stored.",
     "U.read_back U.read_back.*", lost_writes(lambda x, count, before: count % 3 == 0, changes=True)),
    ("tenth-write-lost", "Every tenth write is answered and not stored.",
     "U.read_back U.read_back.*", lost_writes(lambda x, count, before: count % 10 == 0)),
    ("ten-fields-stored", "Of a body with more than ten fields the first ten are stored.",
     "U.echo U.echo.*",
     stored(lambda body, before, after: after.update({name: before[name] for name in [*body][10:] if name in before}))),
    ("method-flips", "A write without call_handler turns the stored call_fallback_method into the other one.",
     "U.read_back.call_fallback_method", held(without("call_handler", "call_fallback_method", flipped))),
    ("url-lost-without-message-handler", "A write without message_handler leaves no call_request_url in the store.",
     "U.read_back.call_request_url", held(without("message_handler", "call_request_url", lambda old, new: None))),
    ("callback-kept-without-message-handler",
     "A write without message_handler is answered with its call_relay_topic_status_callback_url, and does not store it.",
     "U.read_back.call_relay_topic_status_callback_url U.frame.call_relay_topic_status_callback_url",
     held(without("message_handler", "call_relay_topic_status_callback_url", lambda old, new: old))),
    ("fifth-write-marked", "Every fifth write leaves a ! behind message_relay_context in the store.",
     "U.read_back.message_relay_context U.frame.message_relay_context", marked(5, "message_relay_context")),
    ("fifth-write-clears", "Every fifth write that does not send call_relay_application clears it.",
     "U.frame.call_relay_application U.idempotence", fifth_clears("call_relay_application")),
    ("refused-name-stored-later", "The name of a refused write is stored with the next one that has none.",
     "U.frame.name U.rejection.no_trace", refused_name_later()),
    ("second-write-in-a-second", "A second write within one second is answered and not stored.",
     "U.read_back U.read_back.*", lost_writes(lambda x, count, before: before["updated_at"] == now())),
    ("refusal-sticks", "The first right write after a refused one is refused.", "U.accept U.accept.* U.*.accepted",
     sticking()),
    ("refusal-waits", "The first write after a refused one changes call_fallback_method.",
     "U.frame U.frame.*", after_refusal(with_other_method)),
    ("write-after-rejection-lost", "The first write after a refused one is answered and not stored.",
     "U.read_back U.read_back.*", after_refusal(lost)),
    ("fallback-lost-after-a-read", "call_fallback_url is not stored in the first write after a read.",
     "U.read_back U.read_back.* U.frame U.frame.*", hook(persist=not_right_after_a_read, render=asked)),
    ("url-ignored-after-a-read", "call_request_url is ignored in the first write after a read.",
     "U.echo.call_request_url U.handler.call_handler.laml_webhooks.shown",
     hook(merge=not_taken_after_a_read, render=asked)),
    ("write-without-leave-loses-the-next", "The first right write after one without credentials is answered and not stored.",
     "U.read_back U.read_back.* U.frame U.frame.*", after_refusal(lost, 401, kept=True)),
    ("idle-companion-lost", "What is sent for a call companion that the call handler does not use is not stored.",
     "U.read_back U.read_back.*", hook(persist=idle_lost)),
    ("room-dropped-elsewhere", "call_video_room_id is dropped unless call_handler is video_room.",
     "U.echo.call_video_room_id",
     stored(lambda body, before, after: after.update(
         {} if after["call_handler"] == "video_room" else {"call_video_room_id": before["call_video_room_id"]}))),
    ("fallback-url-dropped", "message_fallback_url is accepted and not stored.",
     "U.echo.message_fallback_url", dropped("message_fallback_url")),
    ("new-case-not-stored", "A name that differs from the stored one in letter case alone is not stored.",
     "U.echo.name", stored(lambda body, before, after: after.update(name=before["name"])
                           if (before["name"] or "").lower() == (after["name"] or "").lower() else None)),
    ("longer-name-not-stored", "A name that begins with the stored one is not stored.",
     "U.echo.name", stored(lambda body, before, after: after.update(name=before["name"])
                           if before["name"] and (after["name"] or "").startswith(before["name"]) else None)),
    ("shorter-name-not-stored", "A name that the stored one begins with is not stored.",
     "U.echo.name", stored(lambda body, before, after: after.update(name=before["name"])
                           if after["name"] and (before["name"] or "").startswith(after["name"]) else None)),
    ("new-query-not-stored", "A call_status_callback_url that differs in its query alone is not stored.",
     "U.echo.call_status_callback_url",
     stored(lambda body, before, after: after.update(call_status_callback_url=before["call_status_callback_url"])
            if (before["call_status_callback_url"] or "").partition("?")[0]
            == (after["call_status_callback_url"] or "").partition("?")[0] else None)),
    ("urls-swapped", "call_fallback_url and call_status_callback_url are swapped.",
     "U.echo.call_fallback_url U.echo.call_status_callback_url",
     swapped("call_fallback_url", "call_status_callback_url")),
    ("applications-swapped", "call_laml_application_id and message_laml_application_id are swapped.",
     "U.echo.call_laml_application_id U.echo.message_laml_application_id",
     swapped("call_laml_application_id", "message_laml_application_id")),
)
# fmt: on

DEFECTS = table(*TEXT, *URL, *STORE)
