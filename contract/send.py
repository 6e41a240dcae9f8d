"""Sends cases with httpx and brings back what was answered; the only place that touches the network.

Every answer is bounded: in size, in time (a watcher cuts off a server that drips), in depth. What
is lost on the way - refused connections, 429, 503 - is waited out and sent again within the budget,
and counted, because none of it says anything about the contract.

Source: RFC 9110, sections 9.2.2 (idempotent methods) and 10.2.3 (Retry-After); RFC 8259.
"""

from __future__ import annotations

import json
import re
import threading
import time
import uuid
import zlib
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Final, cast, get_args

import httpx
import jsonschema_rs

from contract.budget import MAX_TOTAL, Budget
from contract.errors import SendError, Undecided
from contract.model import MISSING, Case, Pair, Response
from contract.spec import Contract, Operation

if TYPE_CHECKING:
    from httpx_retries import Retry

__all__ = [
    "GONE",
    "LOST",
    "MALFORMED",
    "UNKNOWN",
    "Credentials",
    "Sender",
    "Strict",
    "decode",
    "encode",
    "proxy_for",
    "received",
    "shaped",
    "unknown",
]

MAX_CONTENT: Final = 2_000_000
"""The most bytes of an answer that are read, after decompression; what was written is read whatever it takes, to be put
back."""
MAX_LIST: Final = 4_000_000
"""The most bytes of a list of records that are read, after decompression."""
MAX_HEADERS: Final = 500
MAX_DEPTH: Final = 200
GONE: Final = frozenset({502, 503, 504})
"""Answers of what stands before the API, where that is not there."""
LOST: Final = GONE | {429}
"""Answers that say nothing about the request, only that it should come again later."""
REPEATABLE: Final = frozenset({"GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"})
"""
Methods that may be sent again where nobody knows whether the first try arrived. An update that is a PATCH sets fields
to values, and twice is once: that is what the contract says of it.
"""
MASKED: Final = 12
"""Characters of a secret from which on what is nearly the same can be told from other text, and so be masked."""
LONGEST_WAIT: Final = 30.0
"""Seconds that one Retry-After may hold the run up."""
MALFORMED: Final = "not-an-id"
RARE: Final = 4
"""Digits of which hardly any id has as many nines."""
_DIGITS: Final = re.compile(r"\d+")
_TAIL: Final = re.compile(r"(?=.*[A-Za-z])[A-Za-z0-9]{6,}$")
"""The end of an id that letters and digits make unlike any other."""
UNKNOWN: Final = uuid.UUID("0b0d5e6c-94e5-4b0e-9f3a-6f0000000000")


def unknown(operation: Operation, id: str) -> str:
    """An id of nothing. Of a UUID *id* it shares the beginning and the end, so that it shows where an API looks
    at a part of it only. Where the documents exclude a UUID, it is of the shape of *id*, with nines for its digits, and
    with the last letters for its letters where there are too few of these.
    """
    kinds = operation.key.schema.get("type", "string") if operation.key is not None else "string"
    if "integer" in kinds:
        return "987654321"
    if shaped(operation):
        # The highest of its kind that there may be is hardly one that there is.
        made = [_DIGITS.sub("9" * 9, id), _DIGITS.sub(lambda found: "9" * len(found[0]), id)]
        made = [one for one in made if one.count("9") > RARE]
        # Letters and digits by chance: one in billions is all of the last ones.
        made += [_TAIL.sub(lambda found: "".join(_last(c) for c in found[0]), id)] if _TAIL.search(id) else []
        fits = (one for one in made if one != id and _fits(operation, one))
        return next(fits, str(UNKNOWN))
    with suppress(ValueError):
        if len(id) == len(str(uuid.UUID(id))):
            return f"{id[:9]}{int(id[9:13], 16) ^ 0xFFFF:04x}{id[13:]}"
    return str(UNKNOWN)


def _last(character: str) -> str:
    """The last one of its kind: digits, or letters of one case."""
    return "9" if character.isdigit() else "Z" if character.isupper() else "z"


def shaped(operation: Operation) -> bool:
    """True where the documents say what an id looks like, and no UUID does."""
    return operation.key is not None and not _fits(operation, str(UNKNOWN))


def _fits(operation: Operation, id: str) -> bool:
    """True where *id* is one that the documents allow."""
    assert operation.key is not None
    return bool(jsonschema_rs.Draft202012Validator(dict(operation.key.schema)).is_valid(id))


@dataclass(frozen=True, slots=True)
class Credentials:
    """What proves the right to ask; comes from the environment alone."""

    username: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    token: str = field(default="", repr=False)

    def auth(self, kind: str) -> Mapping[str, str]:
        """The headers for the right credentials, none, or wrong ones."""
        if kind == "none":
            return {}
        what = "token" if self.token else "password"
        right = self.token or self.password
        wrong = dict.fromkeys(get_args(Pair), f"wrong-{what}-on-purpose") | self.near | {"right": right}
        if bool(self.token) != (kind == "other_scheme"):
            return {"Authorization": f"Bearer {wrong[kind]}"}
        username = self.username if kind not in {"wrong_user", "other_scheme"} else str(UNKNOWN)
        wrong |= {"wrong_user": right, "empty_password": "" if right else wrong["empty_password"]}
        password = wrong[kind]
        import base64

        pair = base64.b64encode(f"{username}:{password}".encode()).decode()
        return {"Authorization": f"Basic {pair}"}

    @property
    def near(self) -> dict[str, str]:
        """What is nearly the right password or token, where it is long enough to be masked."""
        right = self.token or self.password
        if len(right) < MASKED:
            return {}
        near = {"longer_password": f"{right}x", "shorter_password": right[:-1], "recased_password": right.swapcase()}
        return {kind: text for kind, text in near.items() if text != right}

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must never be shown: the password or token, the headers made from them, and what nearly is them."""
        found = [self.password, self.token]
        if self.username or self.password:
            found.append(self.auth("right")["Authorization"].partition(" ")[2])
        for kind, text in self.near.items():
            found += [text, self.auth(kind)["Authorization"].partition(" ")[2]]
        return tuple(dict.fromkeys(s for s in found if s))


def encode(value: Any) -> bytes:
    """The bytes that are sent for a JSON *value*: UTF-8, members in the order given."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")


class Strict:
    """A decoder of JSON that notes what RFC 8259 does not allow or leaves unpredictable."""

    def __init__(self) -> None:
        self.problem = ""
        self.decoder = json.JSONDecoder(
            object_pairs_hook=self.pairs, parse_constant=self.constant, parse_int=self.whole
        )

    def pairs(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        """An object; a key that stands twice is a problem."""
        found = dict(pairs)
        if len(found) != len(pairs):
            left = Counter(key for key, _ in pairs)
            twice = next(key for key, count in left.items() if count > 1)
            self.problem = f"the key {twice[:60]!r} stands twice"
        return found

    def whole(self, digits: str) -> int | float:
        """A whole number; Python takes no more than 4300 digits."""
        return int(digits) if len(digits) < 4000 else float(digits)

    def constant(self, name: str) -> Any:
        """NaN or an infinity, which is a problem."""
        self.problem = f"{name} is no JSON number"
        return float(name)


def decode(content: bytes) -> tuple[Any, str]:
    """(value, problem): the JSON in *content*, or `MISSING`, and what is wrong with it in words."""
    if not content:
        return MISSING, ""
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        return MISSING, f"it is not UTF-8 (byte {error.start})"
    problem = ""
    if text.startswith("\ufeff"):
        text, problem = text[1:], "it begins with a byte order mark"
    strict = Strict()
    try:
        value = strict.decoder.decode(text)
    except RecursionError:
        return MISSING, f"it is nested deeper than {MAX_DEPTH}"
    except json.JSONDecodeError as error:
        return MISSING, f"it is not well-formed: {error}"[:200]
    if text.count("[") + text.count("{") > MAX_DEPTH and _too_deep(value):
        return MISSING, f"it is nested deeper than {MAX_DEPTH}"
    problem = problem or strict.problem
    if "\\ud" in text.lower():
        try:
            json.dumps(value, ensure_ascii=False).encode("utf-8")
        except UnicodeEncodeError:
            return MISSING, "it holds half of a surrogate pair"
    return value, problem


def received(
    status: int, headers: Mapping[str, str], content: bytes, *, elapsed: float = 0.0, at: float = 0.0
) -> Response:
    """The answer with *content*, decoded; the names of *headers* in any case."""
    value, problem = decode(content)
    lower = {name.lower(): text for name, text in headers.items()}
    return Response(status=status, headers=lower, content=content, body=value, problem=problem, elapsed=elapsed, at=at)


_NESTS: Final = frozenset({list, dict})


def _too_deep(value: Any) -> bool:
    """True where lists and objects nest deeper than `MAX_DEPTH` in *value*."""
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [
            v for one in level if one and type(one) in _NESTS for v in (one.values() if type(one) is dict else one)
        ]
        if not level:
            return False
    return any(type(one) in _NESTS for one in level)


class _Watcher:
    """Cuts off an exchange that takes longer than it may: a server that drips never meets a read timeout."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.deadline = 0.0
        self.fired = False
        self._stream: Any = None
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None

    def begin(self, seconds: float) -> None:
        self.fired = False
        self.deadline = self.clock() + seconds
        if self._thread is None:
            self._thread = threading.Thread(target=self._watch, daemon=True, name="contract-watcher")
            self._thread.start()

    def end(self) -> None:
        self.deadline = 0.0

    def close(self) -> None:
        self._closed.set()

    def trace(self, name: str, info: Mapping[str, Any]) -> None:
        if name.endswith(("connect_tcp.complete", "start_tls.complete")):
            self._stream = info["return_value"]

    def _watch(self) -> None:
        import socket

        while not self._closed.wait(0.25):
            if self.deadline and self.clock() > self.deadline:
                self.fired, self.deadline = True, 0.0
                found = self._stream.get_extra_info("socket") if self._stream is not None else None
                if found is not None:
                    try:
                        found.shutdown(socket.SHUT_RDWR)
                    except OSError:
                        continue


class Sender:
    """Sends the cases of one contract to one API; used by one thread at a time."""

    def __init__(
        self,
        contract: Contract,
        *,
        base_url: str,
        credentials: Credentials,
        budget: Budget,
        timeout: float = 10.0,
        verify: Any = True,
        proxy: str | None = None,
        foreign_id: str = "",
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.contract = contract
        self.base_url = base_url.rstrip("/")
        self.budget = budget
        self.timeout = timeout
        self.foreign_id = foreign_id
        self.sleep = sleep
        self.noise = 0
        """Answers that were lost: broken connections, 502, 504."""
        self.put_off = 0
        """Requests that were told to come again later: 429 and 503."""
        self.count = 0
        """Requests that were sent."""
        self.late = False
        """True where an update was given up after it had been sent, so that it may still be carried out."""
        self.sent: Callable[[Case, str, bytes | None, Response], None] | None = None
        """Called with every case, its URL, the bytes sent and the answer."""
        self._watcher = _Watcher(budget.clock)
        self._extensions = {"timeout": httpx.Timeout(timeout).as_dict(), "trace": self._watcher.trace}
        # The transport is used without the client around it: no redirect is followed, no cookie kept and no
        # credential added that is not in the case.
        self._own = transport is None
        self._transport = transport or httpx.HTTPTransport(
            verify=verify if base_url.lower().startswith("https:") else False,
            proxy=proxy or proxy_for(base_url),
        )
        usual = {"Accept": "application/json", "Accept-Encoding": "gzip", "User-Agent": "pytest-contract"}
        self._headers = {kind: {**usual, **credentials.auth(kind)} for kind in get_args(Pair)}

    @property
    def again(self) -> int:
        """Requests that had to be sent again, as their answers were lost or put off."""
        return self.noise + self.put_off

    def close(self) -> None:
        """Lets go of the connections."""
        self._watcher.close()
        self._transport.close()

    def reconnect(self) -> None:
        """Sends the next request over a new connection: on the old one an answer too many may be waiting, and
        would be taken for the next one.
        """
        if self._own:
            self._transport.close()

    def interrupt(self) -> None:
        """Cuts off the exchange that is under way, if there is one."""
        if self._watcher.deadline:
            self._watcher.deadline = self.budget.clock() - 1

    def url(self, case: Case, id: str) -> str:
        """Where *case* goes."""
        operation = self.contract.operations[case.operation]
        target = {"own": id, "foreign": self.foreign_id, "malformed": MALFORMED}.get(case.target) or unknown(
            operation, id
        )
        return f"{self.base_url}{operation.url(target)}{case.query}"

    def send(self, case: Case, id: str = "") -> Response:
        """The answer to *case*, sent to the record *id*.

        Raises:
            SendError: no answer came back, although it was tried again.
            Undecided: a budget is spent, or the API puts every request off.
        """
        operation = self.contract.operations[case.operation]
        content = case.content if case.content is not None or case.body is MISSING else encode(case.body)
        headers = dict(self._headers[case.credentials])
        if operation.media_type != headers["Accept"]:
            headers["Accept"] = f"{operation.media_type}, {headers['Accept']}"
        if content is not None:
            headers["Content-Type"] = case.media_type
        url = self.url(case, id)
        usual = MAX_LIST if self.contract.list_in(operation) else MAX_CONTENT
        most = MAX_TOTAL if self.budget.restoring else usual
        retry: Retry | None = None
        while True:
            attempts = retry.attempts_made if retry is not None else 0
            self.budget.pace(self.sleep)
            self.budget.take()
            self.count += 1
            try:
                response = self._once(operation.method, url, headers, content, most)
            except SendError as error:
                self.noise += 1
                self.late = self.late or (error.kind == "timeout" and content is not None)
                # A read that was too slow has cost its time already: once more is enough to be fair.
                tries = 1 if error.kind == "timeout" else 3
                again = operation.method in REPEATABLE or error.kind == "unsent"
                if error.kind == "final" or attempts >= tries or not again:
                    raise
                self.budget.grant()
                retry = self._wait(retry, None)
                continue
            if response.status in {429, 503} and (wait := self._asked_for(response)) is not None:
                self.put_off += 1
                self.budget.grant()
                if retry is not None and retry.is_exhausted():
                    raise Undecided(f"the API answers {response.status} again and again")
                retry = self._wait(retry, wait)
                continue
            lost = LOST if operation.method in REPEATABLE else {429, 503}
            if response.status in lost and attempts < (2 if response.status == 429 else 1):
                self.put_off += response.status == 429
                self.noise += response.status != 429
                retry = self._wait(retry, None)
                continue
            if response.status == 429:
                raise Undecided("the API answers 429 again and again")
            if self.sent is not None:
                self.sent(case, url, content, response)
            return response

    def _asked_for(self, response: Response) -> float | None:
        """Seconds that a Retry-After asks for, or nothing; a date is compared with the server's own clock."""
        value = response.headers.get("retry-after", "").strip()
        if value.isascii() and value.isdigit():
            return float(value)
        until = _moment(value)
        if until is None:
            return None
        now = _moment(response.headers.get("date", "")) or datetime.now(UTC)
        return max(0.0, (until - now).total_seconds())

    def _wait(self, retry: Retry | None, seconds: float | None) -> Retry:
        """Waits before the next try, *retry* being what came of those before.

        Raises:
            Undecided: the wait is longer than the run may take.
        """
        if retry is None:
            # Imported here because it brings asyncio, and most runs repeat nothing.
            from httpx_retries import Retry

            retry = Retry(total=4, backoff_factor=0.1, max_backoff_wait=2.0)
        retry = retry.increment()
        wait = retry.backoff_strategy() if seconds is None else seconds
        if wait > LONGEST_WAIT or wait > self.budget.time_left:
            asked = f"{wait:.0f} seconds" if wait < 1e9 else "for years"
            raise Undecided(f"the API asks to wait {asked}, which is longer than the run may wait")
        if wait > 0:
            self.sleep(wait)
        return retry

    def _once(self, method: str, url: str, headers: dict[str, str], content: bytes | None, most: int) -> Response:
        """One exchange."""
        watcher = self._watcher
        limit = max(0.2, min(self.timeout, self.budget.time_left))
        at = self.budget.clock()
        watcher.begin(limit)
        try:
            request = httpx.Request(method, url, headers=headers, content=content, extensions=self._extensions)
            response = self._transport.handle_request(request)
            try:
                if len(response.headers) > MAX_HEADERS:
                    raise SendError(f"the answer has more than {MAX_HEADERS} headers", kind="final")
                body = self._read(response, most)
            finally:
                response.close()
        except (httpx.TransportError, httpx.InvalidURL, httpx.StreamError, ValueError, zlib.error) as error:
            if watcher.fired or isinstance(error, httpx.TimeoutException):
                raise SendError(f"no whole answer came within {limit:.3g} seconds", kind="timeout") from error
            raise SendError(_words(error), kind=_kind(error)) from error
        finally:
            watcher.end()
        if watcher.fired:
            # What was cut off here may look like a body that ended with its connection.
            raise SendError(f"no whole answer came within {limit:.3g} seconds", kind="timeout")
        elapsed = self.budget.clock() - at
        self.budget.receive(len(body))
        return received(response.status_code, response.headers, body, elapsed=elapsed, at=at)

    def _read(self, response: httpx.Response, most: int) -> bytes:
        """The body, decompressed, up to *most* bytes."""
        coding = response.headers.get("content-encoding", "identity").strip().lower().removeprefix("x-")
        if coding not in {"identity", "gzip", "deflate", ""}:
            raise SendError(f"the answer is encoded as {coding!r}, which was not asked for", kind="final")
        inflate = zlib.decompressobj(47) if coding in {"gzip", "deflate"} else None
        parts, size, raw = [], 0, 0
        for chunk in cast("httpx.SyncByteStream", response.stream):
            raw += len(chunk)
            part = inflate.decompress(chunk, most + 1 - size) if inflate is not None else chunk
            while inflate is not None and inflate.eof and inflate.unused_data and size + len(part) <= most:
                rest, inflate = inflate.unused_data, zlib.decompressobj(47)  # gzip may come in several members.
                part += inflate.decompress(rest, most + 1 - size - len(part))
            size += len(part)
            if size > most or raw > most:
                raise SendError(f"the answer is larger than {most:,} bytes", kind="final")
            parts.append(part)
        return b"".join(parts)


def proxy_for(base_url: str) -> str | None:
    """The proxy that the environment names for *base_url* (``HTTPS_PROXY``, ``NO_PROXY``, …), if it does."""
    from urllib.parse import urlsplit
    from urllib.request import getproxies, proxy_bypass

    parts = urlsplit(base_url)
    if proxy_bypass(parts.hostname or ""):
        return None
    found = getproxies()
    return found.get(parts.scheme) or found.get("all")


def _moment(text: str) -> datetime | None:
    """An HTTP date, or nothing."""
    try:
        found = parsedate_to_datetime(text)
    except (TypeError, ValueError, OverflowError):
        return None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


def _kind(error: Exception) -> str:
    if isinstance(error, (httpx.UnsupportedProtocol, httpx.InvalidURL, httpx.LocalProtocolError)):
        return "final"
    if isinstance(error, httpx.ConnectError):
        return "final" if "CERTIFICATE" in str(error).upper() else "unsent"
    return "connection"


def _words(error: Exception) -> str:
    """What happened to a connection, in plain words."""
    text = str(error).strip() or type(error).__name__
    if isinstance(error, httpx.ConnectError):
        if "CERTIFICATE" in text.upper():
            return f"the TLS certificate is not trusted: {text}"
        return f"no connection: {text}"
    if isinstance(error, (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError)):
        return f"the connection broke: {text}"
    if isinstance(error, zlib.error):
        return f"the answer is not compressed as it says: {text}"
    return text[:300]
