"""A proxy between a run and a server, over real sockets: it passes exchanges on, and harms some of them.

`Proxy` is the plain one, which can also go down and come back; `faulty` harms a share of the exchanges
in a seeded way; tests.hostile answers in the server's place.
"""

from __future__ import annotations

import contextlib
import random
import shutil
import socket
import ssl
import subprocess
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import pytest

__all__ = ["Exchange", "Lost", "Proxy", "Secured", "certificate", "faulty", "passing"]

SLOWEST = 0.12
"""Seconds by which `faulty` delays an answer at most."""


class Lost(Exception):
    """The connection to the client is to be closed without another byte."""


@dataclass(slots=True)
class Exchange:
    """One request that came in, and the connection on which it is to be answered."""

    client: socket.socket
    request: bytes
    number: int
    """Counted from 1 over all connections."""
    upstream: Callable[[bytes], bytes]

    @property
    def line(self) -> str:
        """Method and path, as in ``GET /a``."""
        method, path, _ = self.request.split(b"\r\n", 1)[0].decode("latin-1").split(" ", 2)
        return f"{method} {path}"

    @property
    def headers(self) -> dict[str, str]:
        """Lower-case name -> value."""
        lines = self.request.split(b"\r\n\r\n", 1)[0].decode("latin-1").split("\r\n")[1:]
        return {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}

    @property
    def body(self) -> bytes:
        """What was sent."""
        return self.request.split(b"\r\n\r\n", 1)[1]

    def answer(self, request: bytes | None = None) -> bytes:
        """The server's whole answer to the request, or to a changed one."""
        return self.upstream(self.request if request is None else request)

    def send(self, content: bytes) -> None:
        """Sends bytes to the client as they are."""
        self.client.sendall(content)


Harm = Callable[[Exchange], None]


def passing(exchange: Exchange) -> None:
    """The exchange as it is."""
    exchange.send(exchange.answer())


@dataclass(slots=True)
class Proxy:
    """A listening socket in front of the server at *target*; *harm* answers each exchange."""

    target: str
    harm: Harm = passing
    port: int = 0
    exchanges: int = 0
    requests: list[Exchange] = field(default_factory=list)
    closed: threading.Event = field(default_factory=threading.Event)
    """Set when the proxy is gone; whoever waits on purpose waits for it."""
    _listener: socket.socket | None = None
    _open: set[socket.socket] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def base_url(self) -> str:
        """The address with the target's path."""
        return f"http://127.0.0.1:{self.port}{urlsplit(self.target).path}"

    def up(self) -> None:
        """Listens, at the same port as before."""
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self.port))
        listener.listen(64)
        self.port = listener.getsockname()[1]
        self._listener = listener
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def down(self) -> None:
        """Closes everything, so that connections are refused; may be called from within an exchange."""
        if self._listener is not None:
            # A thread that sits in accept would keep the port open.
            with contextlib.suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._listener = None
        with self._lock:
            connections, self._open = self._open, set()
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """The end."""
        self.closed.set()
        self.down()

    def __enter__(self) -> Proxy:
        self.up()
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                self._open.add(client)
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        """Answers the requests of one connection, one after another."""
        server: list[socket.socket] = []

        def upstream(request: bytes) -> bytes:
            if not server:
                parts = urlsplit(self.target)
                assert parts.hostname is not None and parts.port is not None
                server.append(socket.create_connection((parts.hostname, parts.port)))
                server[0].setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            server[0].sendall(request)
            return _message(server[0])

        try:
            while request := _message(client):
                with self._lock:
                    self.exchanges += 1
                    exchange = Exchange(client, request, self.exchanges, upstream)
                    self.requests.append(exchange)
                self.harm(exchange)
        except (OSError, Lost):
            pass
        finally:
            with self._lock:
                self._open.discard(client)
            for one in (client, *server):
                one.close()


@dataclass(slots=True)
class Secured(Proxy):
    """The same with TLS, with the key and the certificate in one file; and where *client* is given, for those it signed alone."""

    own: Path = Path()
    client: Path | None = None

    @property
    def base_url(self) -> str:
        """The address, under the name that the certificate is for."""
        return f"https://localhost:{self.port}{urlsplit(self.target).path}"

    def _serve(self, client: socket.socket) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.own)
        if self.client is not None:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(self.client)
        try:
            secured = context.wrap_socket(client, server_side=True)
        except OSError:
            client.close()
            return
        Proxy._serve(self, secured)


def certificate(path: Path) -> Path:
    """A key and a certificate for localhost in one file, made by openssl."""
    if shutil.which("openssl") is None:
        pytest.skip("there is no openssl here to make a certificate with")
    command = (
        "openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=localhost -addext subjectAltName=DNS:localhost"
    )
    key = path.with_suffix(".key")
    subprocess.run([*command.split(), "-keyout", key, "-out", path], check=True, capture_output=True)
    path.write_text(path.read_text() + key.read_text())
    return path


def _message(connection: socket.socket) -> bytes:
    """One HTTP message with a Content-Length, or without a body; nothing at the end of the connection."""
    found = b""
    while b"\r\n\r\n" not in found:
        part = connection.recv(65536)
        if not part:
            return b""
        found += part
    head, _, body = found.partition(b"\r\n\r\n")
    length = next(
        (int(x.partition(b":")[2]) for x in head.split(b"\r\n") if x.lower().startswith(b"content-length")), 0
    )
    while len(body) < length:
        part = connection.recv(65536)
        if not part:
            return b""
        body += part
    return head + b"\r\n\r\n" + body


@dataclass(slots=True)
class Faults:
    """What `faulty` did: kind of fault -> how often."""

    proxy: Proxy
    counts: Counter[str] = field(default_factory=Counter)


@contextlib.contextmanager
def faulty(target: str, seed: int, share: float = 0.2) -> Iterator[Faults]:
    """A proxy that drops, delays and corrupts *share* of the exchanges.

    Requests are lost before and after the server saw them, answers are cut short, late, or have some
    bytes changed; requests have some bytes of their body changed.
    """
    chance = random.Random(seed)

    def garbled(content: bytes) -> bytes:
        head, _, body = content.partition(b"\r\n\r\n")
        changed = bytearray(body)
        for _ in range(min(len(changed), chance.randint(1, 4))):
            changed[chance.randrange(len(changed))] = chance.randrange(256)
        return head + b"\r\n\r\n" + bytes(changed)

    def harm(exchange: Exchange) -> None:
        if chance.random() >= share:
            passing(exchange)
            return
        kind = chance.choice(("unsent", "unanswered", "cut", "late", "garbled answer", "garbled request"))
        found.counts[kind] += 1
        if kind == "unsent":
            raise Lost
        answer = exchange.answer(garbled(exchange.request) if kind == "garbled request" else None)
        if kind == "unanswered":
            raise Lost
        if kind == "cut":
            exchange.send(answer[: chance.randrange(len(answer))])
            raise Lost
        if kind == "late":
            proxy.closed.wait(chance.uniform(0.01, SLOWEST))
        exchange.send(garbled(answer) if kind == "garbled answer" else answer)

    with Proxy(target, harm) as proxy:
        found = Faults(proxy)
        yield found
