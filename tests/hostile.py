"""Hostile and broken servers: a table of named behaviours, for a `tests.proxy.Proxy` to answer with.

A behaviour takes one exchange and writes raw bytes to the client. `hostile` starts a proxy that passes
the first exchanges on to a right server and is hostile from then on.
"""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from tests.proxy import Exchange, Harm, Lost, Proxy, passing

__all__ = ["BEHAVIOURS", "ESCAPE", "MARKUP", "hostile"]

ESCAPE: Final = "\x1b]0;owned\x07\x1b[31mred\x9b2J\u202eright to left"
"""What a terminal would obey: a title, a colour, a C1 sequence, and an override of the direction."""
MARKUP: Final = "<script>alert(1)</script><img src=x onerror=alert(2)>"
PATIENCE: Final = 0.1
"""Seconds between two bytes of a server that drips."""

Behaviour = Callable[[Proxy, Exchange], None]
BEHAVIOURS: dict[str, Behaviour] = {}
"""Name -> behaviour."""


def behaviour(function: Behaviour) -> Behaviour:
    """Enters a behaviour under its name."""
    BEHAVIOURS[function.__name__] = function
    return function


def answered(body: bytes, *headers: str, status: str = "200 OK", kind: str = "application/json") -> bytes:
    """A whole answer."""
    lines = [f"HTTP/1.1 {status}", f"Content-Type: {kind}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def right(exchange: Exchange) -> tuple[bytes, bytes]:
    """(head, body) of the right answer, the head without the empty line at its end."""
    head, _, body = exchange.answer().partition(b"\r\n\r\n")
    return head, body


def changed(exchange: Exchange, change: Callable[[dict[str, Any]], Mapping[str, Any]]) -> bytes:
    """The right answer with a changed record, where it shows one."""
    whole = exchange.answer()
    body = json.loads(whole.partition(b"\r\n\r\n")[2] or b"null")
    if not isinstance(body, dict) or "id" not in body:
        return whole
    return answered(json.dumps(change(body), ensure_ascii=False).encode("utf-8", "surrogatepass"))


def spliced(exchange: Exchange, old: str, new: bytes) -> bytes:
    """The right answer with one member of the JSON text replaced."""
    _, body = right(exchange)
    record = json.loads(body or b"null")
    if not isinstance(record, dict) or old not in record:
        return answered(b'{"x":' + new + b"}")
    text = json.dumps({**record, old: "@@"}, ensure_ascii=False).encode()
    return answered(text.replace(b'"@@"', new))


# ------------------------------------------------------------------------ time


@behaviour
def hangs(proxy: Proxy, exchange: Exchange) -> None:
    """Never answers."""
    proxy.closed.wait(60)


@behaviour
def drips_headers(proxy: Proxy, exchange: Exchange) -> None:
    """One byte of the head at a time."""
    for byte in b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 10_000:
        exchange.send(bytes([byte]))
        if proxy.closed.wait(PATIENCE):
            return


@behaviour
def drips_body(proxy: Proxy, exchange: Exchange) -> None:
    """The head at once, and one byte of the body at a time."""
    exchange.send(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n")
    while not proxy.closed.wait(PATIENCE):
        exchange.send(b" ")


@behaviour
def endless_chunks(proxy: Proxy, exchange: Exchange) -> None:
    """Chunks of one byte without an end, quickly."""
    exchange.send(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")
    while not proxy.closed.wait(0.01):
        exchange.send(b"1\r\n \r\n" * 50)


@behaviour
def informational_flood(proxy: Proxy, exchange: Exchange) -> None:
    """Interim answers without an end."""
    while not proxy.closed.wait(0.01):
        exchange.send(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" * 20)


@behaviour
def never_closes(proxy: Proxy, exchange: Exchange) -> None:
    """A body that ends with the connection, which never ends."""
    head, body = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close", right(exchange)[1]
    exchange.send(head + b"\r\n\r\n" + body)
    proxy.closed.wait(60)


# ------------------------------------------------------------------ connections


@behaviour
def resets(proxy: Proxy, exchange: Exchange) -> None:
    """Resets the connection."""
    exchange.client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    raise Lost


@behaviour
def closes(proxy: Proxy, exchange: Exchange) -> None:
    """Closes the connection without a byte."""
    raise Lost


@behaviour
def truncated(proxy: Proxy, exchange: Exchange) -> None:
    """Half of the right answer."""
    whole = exchange.answer()
    exchange.send(whole[: len(whole) // 2])
    raise Lost


@behaviour
def goes_down(proxy: Proxy, exchange: Exchange) -> None:
    """The server is gone: connections are refused."""
    proxy.down()
    raise Lost


@behaviour
def speaks_tls(proxy: Proxy, exchange: Exchange) -> None:
    """The alert of a server that wants TLS."""
    exchange.send(b"\x15\x03\x01\x00\x02\x02\x46")
    raise Lost


@behaviour
def garbage(proxy: Proxy, exchange: Exchange) -> None:
    """Bytes that are no HTTP."""
    exchange.send(bytes(range(256)) * 40)
    raise Lost


@behaviour
def http09(proxy: Proxy, exchange: Exchange) -> None:
    """A body without a head, as in 1991."""
    exchange.send(right(exchange)[1] or b"<html>hello</html>")
    raise Lost


@behaviour
def answers_twice(proxy: Proxy, exchange: Exchange) -> None:
    """An answer more than there was a request for."""
    whole = exchange.answer()
    exchange.send(whole + whole)


@behaviour
def content_length_too_small(proxy: Proxy, exchange: Exchange) -> None:
    """A body longer than it says."""
    body = right(exchange)[1]
    exchange.send(answered(body).replace(b"Content-Length: %d" % len(body), b"Content-Length: %d" % (len(body) // 2)))


@behaviour
def content_length_twice(proxy: Proxy, exchange: Exchange) -> None:
    """Two lengths that differ."""
    exchange.send(answered(right(exchange)[1], "Content-Length: 7"))


@behaviour
def broken_chunks(proxy: Proxy, exchange: Exchange) -> None:
    """A chunk whose size is no number."""
    exchange.send(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}")
    raise Lost


@behaviour
def switches_protocol(proxy: Proxy, exchange: Exchange) -> None:
    """Another protocol from here on."""
    exchange.send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n" + b"\x00" * 100)
    raise Lost


# ------------------------------------------------------------------------- size


@behaviour
def oversized(proxy: Proxy, exchange: Exchange) -> None:
    """A body of 200 MB."""
    exchange.send(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 200000002\r\n\r\n[")
    for _ in range(200):
        exchange.send(b" " * 1_000_000)


@behaviour
def barely_fits(proxy: Proxy, exchange: Exchange) -> None:
    """Every answer with as much in it as is just read, and none like another."""
    padding = str(exchange.number % 10) * 250_000
    exchange.send(changed(exchange, lambda record: {**record, "padding": padding}))


@behaviour
def many_objects(proxy: Proxy, exchange: Exchange) -> None:
    """Every answer with ten thousand empty objects, which take much more room than their text."""
    head, body = right(exchange)
    exchange.send(answered(body[:-1] + b',"padding":[' + b"{}," * 10_000 + b"{}]}") if body[:5] == b'{"id"' else head)
    if body[:5] != b'{"id"':
        exchange.send(b"\r\n\r\n" + body)


def bomb() -> bytes:
    """200 MB of blanks, as gzip without its end."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    start = packer.compress(b" ") + packer.flush(zlib.Z_FULL_FLUSH)
    # What comes after a full flush stands for itself, so that it can be repeated.
    block = packer.compress(b" " * 1_000_000) + packer.flush(zlib.Z_FULL_FLUSH)
    return start + block * 200


@behaviour
def compressed_bomb(proxy: Proxy, exchange: Exchange) -> None:
    """200 MB in 200 KB."""
    exchange.send(answered(bomb(), "Content-Encoding: gzip"))


@behaviour
def broken_gzip(proxy: Proxy, exchange: Exchange) -> None:
    """Called gzip, and none."""
    exchange.send(answered(right(exchange)[1], "Content-Encoding: gzip"))


@behaviour
def unknown_encoding(proxy: Proxy, exchange: Exchange) -> None:
    """An encoding nobody asked for."""
    exchange.send(answered(right(exchange)[1], "Content-Encoding: br"))


@behaviour
def thousands_of_headers(proxy: Proxy, exchange: Exchange) -> None:
    """Four thousand headers."""
    exchange.send(answered(right(exchange)[1], *(f"X-{n}: {n}" for n in range(4000))))


@behaviour
def long_header(proxy: Proxy, exchange: Exchange) -> None:
    """A header of a megabyte."""
    exchange.send(answered(right(exchange)[1], "X-Long: " + "x" * 1_000_000))


@behaviour
def many_cookies(proxy: Proxy, exchange: Exchange) -> None:
    """Cookies, one of which would do instead of credentials."""
    exchange.send(answered(right(exchange)[1], *(f"Set-Cookie: session{n}=let-me-in; Path=/" for n in range(100))))


# ------------------------------------------------------------------------- JSON


@behaviour
def deep_nesting(proxy: Proxy, exchange: Exchange) -> None:
    """A hundred thousand lists in one another."""
    exchange.send(spliced(exchange, "name", b"[" * 100_000 + b"]" * 100_000))


@behaviour
def not_a_number(proxy: Proxy, exchange: Exchange) -> None:
    """NaN, which is no JSON."""
    exchange.send(spliced(exchange, "name", b"NaN"))


@behaviour
def infinite_number(proxy: Proxy, exchange: Exchange) -> None:
    """A number that no float can hold."""
    exchange.send(spliced(exchange, "name", b"1e99999"))


@behaviour
def huge_integer(proxy: Proxy, exchange: Exchange) -> None:
    """An integer of a hundred thousand digits."""
    exchange.send(spliced(exchange, "name", b"9" * 100_000))


@behaviour
def lone_surrogates(proxy: Proxy, exchange: Exchange) -> None:
    """Half of a surrogate pair, as an escape."""
    exchange.send(spliced(exchange, "name", b'"\\ud800 \\udfff"'))


@behaviour
def surrogates_and_twins(proxy: Proxy, exchange: Exchange) -> None:
    """Half of a surrogate pair under a key that stands twice."""
    exchange.send(spliced(exchange, "name", b'"x","name":"\\ud83d","\\udc00":1'))


@behaviour
def duplicate_keys(proxy: Proxy, exchange: Exchange) -> None:
    """A key that stands twice."""
    exchange.send(spliced(exchange, "name", b'"one","name":"two"'))


@behaviour
def invalid_utf8(proxy: Proxy, exchange: Exchange) -> None:
    """Bytes that are no UTF-8."""
    exchange.send(spliced(exchange, "name", b'"\xff\xfe\xc0\x80"'))


@behaviour
def wrong_charset(proxy: Proxy, exchange: Exchange) -> None:
    """UTF-16, and called so."""
    body = right(exchange)[1].decode().encode("utf-16")
    exchange.send(answered(body, kind="application/json; charset=utf-16"))


@behaviour
def byte_order_mark(proxy: Proxy, exchange: Exchange) -> None:
    """A byte order mark before the JSON."""
    exchange.send(answered(b"\xef\xbb\xbf" + right(exchange)[1]))


@behaviour
def empty_bodies(proxy: Proxy, exchange: Exchange) -> None:
    """200, and nothing."""
    exchange.send(answered(b""))


@behaviour
def no_content(proxy: Proxy, exchange: Exchange) -> None:
    """204 for everything."""
    exchange.send(b"HTTP/1.1 204 No Content\r\n\r\n")


@behaviour
def only_a_string(proxy: Proxy, exchange: Exchange) -> None:
    """JSON that is no object."""
    exchange.send(answered(b'"ok"'))


@behaviour
def a_list(proxy: Proxy, exchange: Exchange) -> None:
    """The record in a list."""
    exchange.send(answered(b"[" + right(exchange)[1] + b"]"))


# ----------------------------------------------------------------------- status


@behaviour
def redirect_loop(proxy: Proxy, exchange: Exchange) -> None:
    """Back to the same address."""
    path = exchange.line.split(" ", 1)[1]
    exchange.send(answered(b"", f"Location: {path}", status="302 Found"))


@behaviour
def redirect_elsewhere(proxy: Proxy, exchange: Exchange) -> None:
    """To another server, for which the credentials are not meant."""
    other = proxy.target.replace("127.0.0.1", "localhost")
    exchange.send(answered(b"", f"Location: {other}/elsewhere", status="307 Temporary Redirect"))


@behaviour
def web_page(proxy: Proxy, exchange: Exchange) -> None:
    """A page for people."""
    page = f"<!DOCTYPE html><title>Welcome</title>{MARKUP}".encode()
    exchange.send(answered(page, kind="text/html; charset=utf-8"))


@behaviour
def login_page(proxy: Proxy, exchange: Exchange) -> None:
    """A page that asks for a password, called JSON."""
    page = b"<html><form action=/login method=post><input name=password type=password></form></html>"
    exchange.send(answered(page, "Set-Cookie: session=1; HttpOnly"))


@behaviour
def endless_429(proxy: Proxy, exchange: Exchange) -> None:
    """Too many requests, always."""
    exchange.send(answered(b"{}", status="429 Too Many Requests"))


@behaviour
def endless_429_at_once(proxy: Proxy, exchange: Exchange) -> None:
    """Too many requests, always, and to be sent again at once."""
    exchange.send(answered(b"{}", "Retry-After: 0", status="429 Too Many Requests"))


@behaviour
def absurd_retry_after(proxy: Proxy, exchange: Exchange) -> None:
    """To be sent again in a very long time."""
    values = ("9" * 400, "Fri, 31 Dec 9999 23:59:59 GMT", "Fri, 31 Dec 99999999999999999999 23:59:59 GMT", "-5", ESCAPE)
    value = values[exchange.number % len(values)].encode("ascii", "replace").decode().replace("\x07", "")
    exchange.send(answered(b"{}", f"Retry-After: {value}", status="429 Too Many Requests"))


@behaviour
def endless_503(proxy: Proxy, exchange: Exchange) -> None:
    """Unavailable, always."""
    exchange.send(answered(b"upstream", status="503 Service Unavailable", kind="text/plain"))


@behaviour
def endless_500(proxy: Proxy, exchange: Exchange) -> None:
    """An error page with a stack trace, always."""
    text = b'Traceback (most recent call last):\n  File "/srv/app.py", line 1, in <module>\n'
    exchange.send(answered(text, status="500 Internal Server Error", kind="text/plain"))


@behaviour
def strange_status(proxy: Proxy, exchange: Exchange) -> None:
    """A status that nobody knows, with a reason that a terminal obeys."""
    exchange.send(answered(right(exchange)[1], status="999 \x1b[31mred"))


@behaviour
def unauthorized(proxy: Proxy, exchange: Exchange) -> None:
    """The right credentials are refused."""
    exchange.send(answered(b'{"error":"Unauthorized"}', status="401 Unauthorized"))


@behaviour
def not_found(proxy: Proxy, exchange: Exchange) -> None:
    """There is no such record."""
    exchange.send(answered(b'{"error":"Not Found"}', status="404 Not Found"))


# ---------------------------------------------------------------------- content


@behaviour
def terminal_escapes(proxy: Proxy, exchange: Exchange) -> None:
    """Values and keys that a terminal would obey."""
    exchange.send(changed(exchange, lambda record: {**record, "name": ESCAPE, "call_handler": ESCAPE, ESCAPE: ESCAPE}))


@behaviour
def escapes_in_errors(proxy: Proxy, exchange: Exchange) -> None:
    """Errors, with values and keys that a terminal would obey and a page would run."""
    text = json.dumps({"errors": [{ESCAPE: MARKUP, "detail": [ESCAPE], "status": ESCAPE, "title": MARKUP}]})
    exchange.send(answered(text.encode(), f"X-Odd: {MARKUP}", status="422 Unprocessable Entity"))


@behaviour
def raw_escapes(proxy: Proxy, exchange: Exchange) -> None:
    """What a terminal obeys, in the raw and in no JSON."""
    exchange.send(answered((ESCAPE * 20).encode()))


@behaviour
def markup(proxy: Proxy, exchange: Exchange) -> None:
    """Values and keys that are a script in a page."""
    change = {"name": MARKUP, "call_handler": MARKUP, "message_handler": "</script>" + MARKUP, MARKUP: MARKUP}
    exchange.send(changed(exchange, lambda record: {**record, **change}))


def _credentials(exchange: Exchange) -> str:
    import base64

    header = exchange.headers.get("authorization", "")
    pair = base64.b64decode(header.partition(" ")[2] or b"").decode("utf-8", "replace")
    return f"{header} {pair} {pair.partition(':')[2]}"


@behaviour
def echoes_credentials(proxy: Proxy, exchange: Exchange) -> None:
    """The credentials in every answer: in a value, in a key, and in a header."""
    told = _credentials(exchange)
    sent = changed(exchange, lambda record: {**record, "name": told, told: "x", "debug": {"you": told}})
    head, _, body = sent.partition(b"\r\n\r\n")
    exchange.send(head + f"\r\nX-You-Sent: {told}".encode() + b"\r\n\r\n" + body)


@behaviour
def credentials_in_errors(proxy: Proxy, exchange: Exchange) -> None:
    """The credentials in an error that is no JSON, cut in the middle where a line is."""
    told = _credentials(exchange)
    text = "x" * (296 - len("500 ")) + told.rpartition(" ")[2] + told
    exchange.send(answered(text.encode(), status="500 Internal Server Error", kind="text/plain"))


@behaviour
def credentials_in_protocol(proxy: Proxy, exchange: Exchange) -> None:
    """The credentials in a head that is no HTTP, which libraries like to quote."""
    told = _credentials(exchange).encode()
    exchange.send(b"HTTP/1.1 200 OK\r\n" + told + b"\r\n " + told + b" : \x00\r\n\r\n")
    raise Lost


@contextlib.contextmanager
def hostile(name: str, target: str, after: int = 0) -> Iterator[Proxy]:
    """A server that is right for *after* exchanges, as the one at *target* is, and hostile from then on."""
    act = BEHAVIOURS[name]

    def harm(exchange: Exchange) -> None:
        if exchange.number <= after:
            passing(exchange)
        else:
            act(proxy, exchange)

    made: Harm = harm
    with Proxy(target, made) as proxy:
        yield proxy
