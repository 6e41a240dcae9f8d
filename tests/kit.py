"""What several test files share: settings for a server, and a run as its user sees it."""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx

from contract import files, report
from contract import run as runs
from contract import spec as specs
from contract.budget import Budget
from contract.check import Judge
from contract.config import Settings
from contract.errors import ContractError
from contract.generate import Generator
from contract.ledger import Ledger
from contract.mask import Mask, plain
from contract.reference import Direct, Running
from contract.result import Result
from contract.rules import rules
from contract.send import Credentials, Sender
from contract.session import Session

__all__ = [
    "CONTRACT",
    "RULES",
    "Harm",
    "Harmed",
    "Outcome",
    "Turns",
    "broken",
    "credentials",
    "outcome",
    "record",
    "run",
    "sent",
    "session_on",
    "settings",
    "until",
]

CONTRACT: Final = specs.load()
"""The bundled fragment."""
RULES: Final = len(rules(CONTRACT))
"""How many rules there are."""


SERVERS: Final[dict[str, Running]] = {}
"""The servers of `settings`, by their addresses."""


def run(chosen: Settings, given: Mapping[str, str], **more: Any) -> Result:
    """A run as `contract.run.run` makes it; without a socket where a server of this process is asked itself."""
    if chosen.base_url in SERVERS:
        more.setdefault("transport", Direct(SERVERS[chosen.base_url]))
    return runs.run(chosen, given, **more)


def credentials(server: Running) -> dict[str, str]:
    """The right ones."""
    return {"username": server.username, "password": server.password, "token": ""}


def settings(server: Running, folder: Path, *, base_url: str = "", **more: Any) -> Settings:
    """A run on the server's first number, with journals and reports below *folder*."""
    SERVERS[server.base_url] = server
    given: dict[str, Any] = {
        "base_url": base_url or server.base_url,
        "ids": server.ids[:1],
        "bystander_ids": server.ids[3:4],
        "foreign_ids": server.foreign_ids[:1],
        "resources": dict(server.resources),
        "state_dir": str(folder / "journals"),
        "report_dir": str(folder / "reports"),
        "max_seconds": 60,  # Too little for a run to rest in.
    }
    return Settings(**given | more)


def session_on(
    server: Running, *, requests: int = 100, seconds: float = 60, transport: Direct | None = None
) -> Session:
    """A session on the first number, as a run has it."""
    given = Credentials(username=server.username, password=server.password)
    judge, budget = Judge(CONTRACT, given.secrets), Budget(requests, seconds)
    way = transport or Direct(server)
    sender = Sender(CONTRACT, base_url=server.base_url, credentials=given, budget=budget, transport=way)
    generator = Generator(CONTRACT.update, server.resources)
    return Session(judge, sender, Ledger(rules=judge.rules), server.ids[0], generator)


def record(server: Running, number: int = 0) -> dict[str, Any]:
    """A number as the server shows it, without what moves by itself."""
    with httpx.Client(auth=(server.username, server.password), transport=Direct(server)) as client:
        url = f"{server.base_url}/phone_numbers/{server.ids[number]}"
        shown: dict[str, Any] = client.get(url).raise_for_status().json()
    return {name: value for name, value in shown.items() if name not in {"updated_at", "next_billed_at"}}


def broken(result: Result) -> list[str]:
    """The ids of the broken rules."""
    return [entry.rule.id for entry in result.entries if entry.verdict == "broken"]


@dataclass(slots=True)
class Outcome:
    """What the user of a run sees: exit status, lines, files."""

    status: int
    text: str
    seconds: float
    result: Result | None = None
    files: dict[str, bytes] = field(default_factory=dict)
    journals: list[Path] = field(default_factory=list)


def outcome(chosen: Settings, given: dict[str, str], *, reports: bool = True, **more: Any) -> Outcome:
    """A run as the command shows it, with its files unless no *reports* are wanted: to make them takes as long as half a
    run; whatever is not an error of this tool's own is raised.
    """
    started = time.monotonic()
    mask = Mask(secrets=Credentials(**given).secrets, names=tuple(p.rpartition("/")[2] for p in chosen.mask))
    folder = Path(chosen.report_dir)
    result = None
    try:
        result = run(chosen, given, **more)
        if reports:
            files.write(result, folder, mask)
        status, text = result.status, "\n".join(report.lines(result, mask))
    except ContractError as error:
        status, text = 2, plain(mask.text(str(error)))
    return Outcome(
        status=status,
        text=text,
        seconds=time.monotonic() - started,
        result=result,
        files={path.name: path.read_bytes() for path in folder.glob("*")} if folder.exists() else {},
        journals=sorted(Path(chosen.state_dir).glob("*.json")),
    )


class Turns:
    """Two threads that go on one at a time, in an order drawn from a seed: the same each time."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.share = self.random.choice((0.1, 0.3, 0.5, 0.5, 0.7, 0.9))
        """Of the turns, where both may go on, this is the part of the first."""
        self.members = 2
        self.turn: int | None = None
        self.changed = threading.Condition()
        self.waiting: dict[int, int] = {}
        """Who waits -> how many turns the other has before."""

    def wait(self, who: int, turns: int = 0) -> None:
        """Returns when it is *who*'s turn, not before the other had so many *turns*."""
        with self.changed:
            self.waiting[who] = turns
            self._draw()
            self.changed.wait_for(lambda: self.turn == who)
            self.turn = None

    def end(self) -> None:
        """Leaves the turns to the other."""
        with self.changed:
            self.members -= 1
            self._draw()

    def _draw(self) -> None:
        if len(self.waiting) < self.members or not self.waiting:
            return
        first = min(self.waiting.values())
        due = sorted(who for who, turns in self.waiting.items() if turns == first)
        self.turn = due[0] if self.random.random() < self.share else due[-1]
        del self.waiting[self.turn]
        self.waiting = {who: max(0, turns - 1) for who, turns in self.waiting.items()}
        self.changed.notify_all()


def until(condition: Callable[[], Any], seconds: float = 20.0) -> Any:
    """What *condition* says as soon as it is true; a test that waits in vain fails."""
    pause, deadline = threading.Event(), time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "waited in vain"
        pause.wait(0.005)
    return found


class Harmed(Direct):
    """The way to a server without a socket, where *harm* answers each request, or has it answered."""

    def __init__(self, server: Running, harm: Harm | None = None) -> None:
        super().__init__(server)
        self.harm = harm
        self.requests: list[httpx.Request] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """What *harm* answers."""
        request.read()
        self.requests.append(request)
        return self.passing(request) if self.harm is None else self.harm(self, request)

    def passing(self, request: httpx.Request, body: Mapping[str, Any] | None = None) -> httpx.Response:
        """The server's answer, to another *body* where one is given."""
        if body is not None:
            headers = {name: value for name, value in request.headers.items() if name != "content-length"}
            request = httpx.Request(request.method, request.url, headers=headers, json=body)
        return super().handle_request(request)

    def there(self, request: httpx.Request) -> dict[str, Any]:
        """What a read shows where *request* goes."""
        return dict(json.loads(self.passing(httpx.Request("GET", request.url, headers=request.headers)).content))

    @property
    def number(self) -> int:
        """That of the request that is on its way, counted from 1."""
        return len(self.requests)

    @property
    def updates(self) -> list[dict[str, Any]]:
        """What was sent to be written."""
        return [sent(request) for request in self.requests if request.method == "PUT"]


Harm = Callable[[Harmed, httpx.Request], httpx.Response]
"""The answer to a request, which may be the server's own."""


def sent(request: httpx.Request) -> dict[str, Any]:
    """The object in a request; an empty one where it holds none."""
    with suppress(ValueError):
        body = json.loads(request.content)
        return body if isinstance(body, dict) else {}
    return {}
