"""The service that data/subscriptions.openapi.yaml describes: one subscription in memory, asked without a socket.

The service shares nothing with the package. `DEFECTS` are ways to be wrong, each with the rule that it breaks;
`VARIANTS` are ways to behave about which the fragment is silent.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from contract.config import Settings
from contract.reference import Direct, Running
from contract.result import Result
from contract.run import run

FRAGMENT: Final = Path(__file__).parent / "data" / "subscriptions.openapi.yaml"
TOKEN: Final = "token-of-the-news-service"
TICKET: Final = 4711
CREDENTIALS: Final = {"username": "", "password": "", "token": TOKEN}
BASE_URL: Final = "http://127.0.0.1:9/v2"
"""Nobody listens there."""

DEFECTS: Final[Mapping[str, str]] = {
    "backwards": "change_settings.time.changed.forward",
    "boundless": "change_settings.rejection.priority.maximum",
    "brief": "change_settings.rejection.queue.minLength",
    "careless": "change_settings.rejection.priority.required",
    "clamping": "change_settings.echo.priority",
    "curt": "change_settings.accept.title",
    "crashing": "change_settings.rejection.no_server_error",
    "dropping": "change_settings.handler.delivery.webhook.shown",
    "idle": "change_settings.rejection.topics.minItems",
    "lax": "change_settings.handler.delivery.email.requires.address",
    "negative": "change_settings.rejection.retries.minimum",
    "noisy": "change_settings.rejection.no_leak",
    "open": "show_settings.access.wrong_password",
    "quiet": "change_settings.accept.muted",
    "queueless": "change_settings.handler.delivery.queue.accepted",
    "resetting": "change_settings.frame.muted",
    "rounding": "change_settings.echo.share",
    "shouting": "change_settings.enum.state",
    "swallowing": "change_settings.rejection.delivery.enum",
    "talkative": "change_settings.rejection.title.maxLength",
    "terse": "change_settings.rejection.error_body",
    "tracing": "change_settings.rejection.no_trace",
    "trimming": "change_settings.read_back.title",
}
"""Name -> the rule that it breaks."""
VARIANTS: Final = ("clearing", "precise", "refusing", "sparse")

COMPANIONS: Final = {
    ("delivery", "webhook"): ("endpoint",),
    ("delivery", "email"): ("address",),
    ("delivery", "queue"): ("queue",),
    ("cadence", "daily"): ("hour",),
}
KINDS: Final[Mapping[str, type]] = {
    "priority": int,
    "title": str,
    "delivery": str,
    "endpoint": str,
    "verb": str,
    "address": str,
    "queue": str,
    "retries": int,
    "cadence": str,
    "hour": int,
    "muted": bool,
    "share": float,
    "topics": list,
    "reference": str,
    "passphrase": str,
}
ALLOWED: Final = {
    "delivery": ("webhook", "email", "queue"),
    "verb": ("POST", "PUT"),
    "cadence": ("instant", "daily"),
}
REFUSED: Final = (("quiet", "muted", False), ("queueless", "delivery", "queue"))
"""(habit, field, documented value): what it refuses all the same."""
RANGES: Final = {"priority": (1, 9), "retries": (0, 10), "hour": (0, 23), "share": (0, 1)}
LENGTHS: Final = {"title": (1, 40), "queue": (3, 12), "passphrase": (8, 500)}
NULLABLE: Final = {"endpoint", "verb", "address", "queue", "retries", "hour", "reference"}
TOPICS: Final = {"news", "sport", "arts", "weather"}


def settings(**more: Any) -> Settings:
    """What a run against it is told; *more* are settings."""
    given: dict[str, Any] = {"base_url": BASE_URL, "spec": str(FRAGMENT), "ids": (str(TICKET),), "max_seconds": 60}
    return Settings(**given | more)


def judged(service: Service, **more: Any) -> Result:
    """A run against *service*; *more* are settings."""
    return run(settings(**more), CREDENTIALS, transport=service.transport)


def _time(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


class Refusal(Exception):
    """A request is not taken; says why, and with which status."""

    def __init__(self, status: int, problem: str, *fields: str) -> None:
        super().__init__(problem)
        self.status = status
        self.fields = fields


@dataclass
class Service:
    """One subscription, and how it is served."""

    habit: str = ""
    """The name of a defect or a variant, or of several with ``+`` between; empty for none."""
    record: dict[str, Any] = field(default_factory=dict)
    hidden: str | None = None
    """The passphrase, which no answer shows."""

    def __post_init__(self) -> None:
        self.habits = frozenset(self.habit.split("+")) - {""}
        if unknown := self.habits - DEFECTS.keys() - set(VARIANTS):
            raise ValueError(f"no habit is called {', '.join(map(repr, sorted(unknown)))}")
        now = datetime.now(UTC)
        full = "refusing" in self.habits
        self.record = {
            "ticket": TICKET,
            "state": "active",
            "priority": 4,
            "title": "Morning paper",
            "delivery": "email",
            "endpoint": "https://example.com/found" if full else None,
            "verb": "PUT" if full else None,
            "address": "reader@example.com",
            "queue": "found" if full else None,
            "retries": 3 if full else None,
            "cadence": "instant",
            "hour": 7 if full else None,
            "muted": True,
            "share": 1,
            "topics": ["sport", "news"],
            "reference": "found" if full else None,
            "deliveries": 12,
            "created": _time(now - timedelta(days=30)),
            "changed": _time(now - timedelta(days=1)),
        }

    @property
    def transport(self) -> Direct:
        """Carries requests to it."""
        app = Starlette(routes=[Route("/v2/subscriptions/{ticket}/settings", self.answer, methods=["GET", "PATCH"])])
        app.add_exception_handler(RuntimeError, _crash)
        return Direct(Running(BASE_URL, "", "", ids=(str(TICKET),), resources={}, foreign_ids=(), app=app))

    @property
    def settings(self) -> dict[str, Any]:
        """What a change can set, as it stands."""
        return {name: self.record[name] for name in KINDS if name in self.record}

    # ---------------------------------------------------------------- requests

    async def answer(self, request: Request) -> JSONResponse:
        """The answer to one request."""
        content = await request.body()
        try:
            self.admit(request)
            if request.path_params["ticket"] != str(TICKET):
                raise Refusal(404, "there is no such subscription")
            if request.method == "PATCH":
                sent = self.change(content, request.headers.get("content-type", ""))
                return JSONResponse(self.shown(sent))
            self.record["deliveries"] += 1
            return JSONResponse(self.shown(None))
        except Refusal as refusal:
            body: dict[str, Any] = {"problem": str(refusal), "fields": list(refusal.fields)}
            if "terse" in self.habits:
                body = {"code": 17}
            return JSONResponse(body, refusal.status)

    def admit(self, request: Request) -> None:
        """Lets whoever has the token pass.

        Raises:
            Refusal: the token is missing or wrong.
        """
        given = request.headers.get("authorization", "")
        if given == f"Bearer {TOKEN}":
            return
        if "open" in self.habits and given.startswith("Bearer ") and request.method == "GET":
            return
        raise Refusal(403 if "precise" in self.habits else 401, "a token is needed")

    def change(self, content: bytes, kind: str) -> Mapping[str, Any]:
        """Carries out a change; returns what was sent.

        Raises:
            Refusal: it is not acceptable.
        """
        if kind != "application/json":
            raise Refusal(415, "JSON is wanted")
        try:
            body = json.loads(content)
        except ValueError:
            raise Refusal(400, "this is not JSON") from None
        if not isinstance(body, dict):
            raise Refusal(422, "an object is wanted")
        new = dict(self.record)
        try:
            sent = {name: value for name, value in body.items() if name in KINDS}
            if "swallowing" in self.habits and sent.get("delivery", "email") not in ALLOWED["delivery"]:
                del sent["delivery"]
            self.check(body, sent)
            new.update((name, value) for name, value in sent.items() if name != "passphrase")
            self.hold_together(new, sent)
        except Refusal:
            if "tracing" in self.habits and isinstance(body.get("title"), str):
                self.record["title"] = body["title"][:40]
            raise
        self.wrong(new, sent)
        if any(new[name] != self.record[name] for name in KINDS if name in new):
            new["changed"] = new["created"] if "backwards" in self.habits else _time(datetime.now(UTC))
        self.hidden = sent.get("passphrase", self.hidden)
        self.record = new
        return sent

    def check(self, body: Mapping[str, Any], sent: Mapping[str, Any]) -> None:
        """Holds each value to what the fragment says of it.

        Raises:
            Refusal: one is not acceptable.
        """
        if "priority" not in sent and "careless" not in self.habits:
            raise Refusal(422, "the priority is missing", "priority")
        if "refusing" in self.habits and set(body) - set(KINDS):
            raise Refusal(422, "there is something unknown in it", *(set(body) - set(KINDS)))
        for name, value in sent.items():
            if value is None and name in NULLABLE and "refusing" not in self.habits:
                continue
            kinds: Any = (int, float) if KINDS[name] is float else KINDS[name]
            if not isinstance(value, kinds) or (isinstance(value, bool) and name != "muted"):
                raise Refusal(422, "the type is wrong", name)
            curt = "curt" in self.habits and name == "title" and len(value) == 40
            if curt or any((habit, name, value) in REFUSED for habit in self.habits):
                raise Refusal(422, "the value is not taken", name)
            if name in ALLOWED and value not in ALLOWED[name]:
                more = f", {self.hidden}" if "noisy" in self.habits and self.hidden else ""
                raise Refusal(422, f"the value is not known{more}", name)
            low, high = RANGES.get(name, (value, value))
            low = -1 if "negative" in self.habits and name == "retries" else low
            high = 10 if "boundless" in self.habits and name == "priority" else high
            if not low <= value <= high:
                raise Refusal(422, "the number is out of range", name)
            shortest, longest = LENGTHS.get(name, (0, 2000))
            shortest = 1 if "brief" in self.habits and name == "queue" else shortest
            longest = 1000 if "talkative" in self.habits and name == "title" else longest
            if isinstance(value, str) and not shortest <= len(value) <= longest:
                raise Refusal(422, "the length is not allowed", name)
            if name == "topics" and ((not value and "idle" not in self.habits) or not set(map(str, value)) <= TOPICS):
                raise Refusal(422, "a topic is not known", name)
            if name == "address" and not re.fullmatch(r"[^@\s]+@[^@\s]+", value):
                raise Refusal(422, "this is no address", name)

    def hold_together(self, new: dict[str, Any], sent: Mapping[str, Any]) -> None:
        """Holds each selector to its companions.

        Raises:
            Refusal: one is missing.
        """
        for name in ("delivery", "cadence"):
            for companion in COMPANIONS.get((name, new[name]), ()):
                lax = "lax" in self.habits and companion == "address"
                if new[companion] in (None, "") and {name, companion} & set(sent) and not lax:
                    raise Refusal(422, f"{name} needs it", companion)
            if "clearing" in self.habits and new[name] != self.record[name]:
                for companion in COMPANIONS.get((name, self.record[name]), ()):
                    if companion not in sent:
                        new[companion] = None

    def wrong(self, new: dict[str, Any], sent: Mapping[str, Any]) -> None:
        """What the defects do to a change."""
        if "clamping" in self.habits:
            new["priority"] = min(new["priority"], 5)
        if "rounding" in self.habits and "share" in sent:
            new["share"] = round(new["share"])
        if "resetting" in self.habits and "muted" not in sent:
            new["muted"] = False
        if "dropping" in self.habits and sent.get("delivery") == "webhook" and "endpoint" in sent:
            new["endpoint"] = None
        if "crashing" in self.habits and '"' in (sent.get("title") or ""):
            raise RuntimeError("a quotation mark in a title")

    def shown(self, sent: Mapping[str, Any] | None) -> dict[str, Any]:
        """The answer to a change in which *sent* was sent, or to a read: the record as it stands."""
        record = dict(self.record)
        if "shouting" in self.habits:
            record["state"] = record["state"].upper()
        if "trimming" in self.habits and sent is None:
            record["title"] = record["title"].strip()
        if "precise" in self.habits:
            record["topics"] = sorted(record["topics"])
            record["colour"] = "not in the fragment"
            for name in ("created", "changed"):
                record[name] = record[name].replace("Z", ".000+00:00")
        if "sparse" in self.habits:
            return {name: value for name, value in record.items() if value is not None}
        return record


async def _crash(request: Request, error: Exception) -> JSONResponse:
    return JSONResponse({"problem": "the service failed"}, 500)
