"""Run the service: in the foreground for people and other processes, in a thread for tests."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import signal
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import httpx
import uvicorn
from starlette.applications import Starlette

from contract.reference.app import PREFIX, Mutate, create_app
from contract.reference.seed import FOREIGN_IDS, NUMBER_IDS, RESOURCES

__all__ = ["Direct", "Running", "running", "serve"]

TICK = 1.0
"""Seconds between two refreshes of the Date header."""


@dataclass(frozen=True, slots=True)
class Running:
    """A server that accepts requests."""

    base_url: str
    username: str
    password: str = field(repr=False)
    ids: tuple[str, ...]
    """The project's numbers; the first one is the well configured one."""
    resources: Mapping[str, str]
    """Request field -> an id that exists."""
    foreign_ids: tuple[str, ...]
    """Numbers of another project."""
    app: Starlette = field(repr=False, compare=False)
    """The service itself, for callers in the same process that do without a socket."""


def serve(
    *, port: int = 8700, database: Path | None = None, defect: str | None = None, variant: str | None = None
) -> None:
    """Serve on loopback until SIGINT or SIGTERM, then return.

    Prints one line of JSON on standard output once it accepts connections. *port* 0 takes a free one;
    without *database* the data lives in a temporary file.

    Raises:
        OSError: the port or the database can't be used.
        ValueError: the defect or variant is not known.
    """
    with _listening(port) as listener, _file(database) as path:
        app = _app(path, defect, variant, durable=database is not None)

        def ready() -> None:
            value = _running(app, listener)
            line = {"ready": True, **{name: getattr(value, name) for name in Running.__slots__ if name != "app"}}
            print(json.dumps(line), flush=True)

        async def until_signal() -> None:
            stop = asyncio.Event()
            for number in (signal.SIGINT, signal.SIGTERM):
                asyncio.get_running_loop().add_signal_handler(number, stop.set)
            server = await _start(app, listener, ready)
            await _tick(server, stop)
            await server.shutdown(sockets=[listener])

        with contextlib.closing(app.state.server.store):
            asyncio.run(until_signal())


@contextlib.contextmanager
def running(
    *,
    defect: str | None = None,
    variant: str | None = None,
    database: Path | None = None,
    mutate: Mutate | None = None,
) -> Iterator[Running]:
    """Serve on a free loopback port from a background thread while the block runs.

    *mutate* changes every body just before it is encoded: ``mutate(operation, status, body) -> body``.

    Raises:
        ValueError: the defect or variant is not known.
    """
    with _listening(0) as listener, _file(database) as path:
        app = _app(path, defect, variant, durable=False, mutate=mutate)
        started, loop, stop = threading.Event(), asyncio.new_event_loop(), asyncio.Event()

        async def until_stopped() -> None:
            server = await _start(app, listener, started.set)
            await _tick(server, stop)
            # uvicorn's own shutdown always takes a tenth of a second; nobody waits for an answer here.
            # What was accepted takes a few turns of the loop to be a connection, and is leaked by
            # asyncio where its server is closed before that.
            loop.remove_reader(listener)
            for _ in range(4):
                await asyncio.sleep(0)
            for accepting in server.servers:
                accepting.close()
            for connection in list(server.server_state.connections):
                connection.transport.abort()
            await asyncio.sleep(0)

        def run() -> None:
            try:
                loop.run_until_complete(until_stopped())
                loop.run_until_complete(loop.shutdown_asyncgens())
            finally:
                loop.close()
                started.set()

        thread = threading.Thread(target=run, name="contract-reference", daemon=True)
        with contextlib.closing(app.state.server.store):
            thread.start()
            started.wait()
            try:
                yield _running(app, listener)
            finally:
                loop.call_soon_threadsafe(stop.set)
                thread.join()


class Direct(httpx.BaseTransport):
    """Requests to a server of this process without a socket between: that halves the time of a run.

    Every connection that is closed is followed by one from another port.
    """

    def __init__(self, server: Running) -> None:
        self.app = server.app
        self.port = 50000
        self.lock = threading.Lock()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """The service's answer."""
        url, body = request.url, request.read()
        sent: list[MutableMapping[str, Any]] = []
        scope = {
            "type": "http",
            "http_version": "1.1",
            "method": request.method,
            "scheme": url.scheme,
            "path": unquote(url.path),
            "raw_path": url.raw_path.partition(b"?")[0],
            "query_string": url.query,
            "root_path": "",
            "headers": [(name.lower(), value) for name, value in request.headers.raw],
            "client": ("127.0.0.1", self.port),
            "server": (url.host, url.port),
        }

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body}

        async def send(message: MutableMapping[str, Any]) -> None:
            sent.append(message)

        with self.lock, contextlib.suppress(StopIteration):
            # It waits for nothing but these two: the first step is the last one.
            self.app(scope, receive, send).__await__().send(None)
        start, *rest = sent
        content = b"".join(part.get("body", b"") for part in rest)
        return httpx.Response(start["status"], headers=start["headers"], content=content)

    def close(self) -> None:
        """The next request comes over another connection."""
        self.port += 1


def _app(
    path: Path, defect: str | None, variant: str | None, *, durable: bool, mutate: Mutate | None = None
) -> Starlette:
    return create_app(
        database=path,
        defects=defect.split("+") if defect else [],
        variants=variant.split("+") if variant else [],
        durable=durable,
        mutate=mutate,
    )


@contextlib.contextmanager
def _listening(port: int) -> Iterator[socket.socket]:
    # Named in full, so that asyncio sees TCP and turns Nagle's delay off (40 ms a request otherwise).
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            message = f"port {port} is in use; choose another one, or 0 for a free one"
            raise OSError(error.errno, message) from None
        listener.listen()
        yield listener


@contextlib.contextmanager
def _file(database: Path | None) -> Iterator[Path]:
    if database is not None:
        yield database
        return
    with tempfile.TemporaryDirectory(prefix="contract-reference-") as folder:
        yield Path(folder, "numbers.sqlite3")


def _running(app: Starlette, listener: socket.socket) -> Running:
    server = app.state.server
    return Running(
        base_url=f"http://127.0.0.1:{listener.getsockname()[1]}{PREFIX}",
        username=server.username,
        password=server.password,
        ids=NUMBER_IDS,
        resources=dict(RESOURCES),
        foreign_ids=FOREIGN_IDS,
        app=app,
    )


async def _start(app: Starlette, listener: socket.socket, ready: Callable[[], None]) -> uvicorn.Server:
    config = uvicorn.Config(
        app,
        http="h11",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        timeout_keep_alive=60,
        timeout_graceful_shutdown=3,
    )
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    await server.startup(sockets=[listener])
    await server.on_tick(0)
    ready()
    return server


async def _tick(server: uvicorn.Server, stop: asyncio.Event) -> None:
    while not stop.is_set():
        await server.on_tick(0)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), TICK)
