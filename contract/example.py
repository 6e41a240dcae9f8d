"""Makes an example of a result: the same findings with everything volatile made the same each time.

Two runs of one plan against the same server differ in when they were, how long each answer took, at
which port the server was, and in the ids it gives to requests. An example has the same of all of these,
so that reports of it can be committed and compared byte by byte.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any, Final
from urllib.parse import urlsplit

from contract.ledger import Entry, Failure
from contract.model import Case, Finding, Interaction, Response
from contract.result import Exchange, Result

__all__ = ["NOW", "PORT", "example"]

NOW: Final = datetime(2030, 1, 31, 12, 0, 0, tzinfo=UTC)
"""When every example was made."""
PORT: Final = 8700
"""The port of a server on loopback: that of ``contract serve``, where an example can be tried."""
WINDOW: Final = timedelta(days=400)
"""A time stamp that is no further than this from the run comes from its clock."""

_STAMP: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)")
_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


def example(result: Result) -> Result:
    """*result* as an example; the original stays as it is.

    Every time stamp of the run becomes `NOW`, and an older one stays as many whole days older. A request
    takes a millisecond and a microsecond for each byte. How often a rule about time was looked at depends
    on the clock, so it is once.
    """
    return _Example(result).made()


class _Example:
    """Replaces what is volatile in one result."""

    def __init__(self, result: Result) -> None:
        self.result = result
        self.responses: dict[int, Response] = {}
        self.moments = {exchange.response.at: i * 0.01 for i, exchange in enumerate(result.exchanges)}
        """When a request was sent -> when its example was, in seconds."""
        self.hosts: dict[str, str] = {}
        parts = urlsplit(result.settings.base_url)
        wanted = parts.netloc
        if parts.hostname in {"127.0.0.1", "localhost", "::1"}:
            wanted = f"{parts.netloc.rpartition(':')[0] or parts.netloc}:{PORT}"
        self.settings = replace(result.settings, base_url=parts._replace(netloc=wanted).geturl())
        if wanted != parts.netloc:
            self.hosts[parts.netloc] = wanted
        for exchange in result.exchanges:
            if (found := urlsplit(exchange.url).netloc) != wanted:
                self.hosts[found] = wanted

    def made(self) -> Result:
        """The example."""
        result = self.result
        exchanges = [self.exchange(exchange) for exchange in result.exchanges]
        ledger = result.ledger
        failures = {id(failure): self.value(failure) for failure in ledger.failures}
        entries = [self.entry(entry, failures) for entry in result.entries]
        return replace(
            result,
            settings=self.settings,
            ledger=replace(
                ledger,
                failures=list(failures.values()),
                interactions=self.value(ledger.interactions),
                observations=self.value(ledger.observations),
                reasons=self.value(ledger.reasons),
            ),
            started=NOW,
            seconds=sum(exchange.response.elapsed for exchange in exchanges),
            problem=self.text(result.problem),
            restored={
                id: replace(done, left=self.value(done.left), note=self.text(done.note))
                for id, done in result.restored.items()
            },
            foreign=self.value(result.foreign),
            exchanges=exchanges,
            _entries=entries,
        )

    # ----------------------------------------------------------------- values

    def text(self, text: str) -> str:
        """*text* with other times and another host."""
        for found, wanted in self.hosts.items():
            text = text.replace(found, wanted)
        return _STAMP.sub(self._stamp, text)

    def _stamp(self, match: re.Match[str]) -> str:
        text = match.group()
        try:
            found = datetime.fromisoformat(text)
        except ValueError:
            return text
        age = self.result.started - found
        if abs(age) > WINDOW:
            return text
        days = round(age / timedelta(days=1))
        moment = NOW - timedelta(days=days)
        zone = text[-1] if text.endswith("Z") else "+00:00"
        fraction = re.search(r"\.(\d+)", text)
        return moment.strftime("%Y-%m-%dT%H:%M:%S") + (f".{'0' * len(fraction[1])}" if fraction else "") + zone

    def value(self, value: Any) -> Any:
        """*value* with every text in it replaced, whatever kind of record it is."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, bytes):
            return self.content(value)
        if isinstance(value, Mapping):
            return {key: self.value(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return type(value)(self.value(item) for item in value)
        if isinstance(value, Response):
            return self.response(value)
        if isinstance(value, (Case, Failure, Finding, Interaction)):
            return replace(value, **{item.name: self.value(getattr(value, item.name)) for item in fields(value)})
        return value

    def content(self, content: bytes) -> bytes:
        """*content* with the texts in it replaced; what is not UTF-8 stays as it is."""
        return self.text(content.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")

    # ---------------------------------------------------------------- records

    def response(self, response: Response, sent: int = 0) -> Response:
        """*response* as an example; the same one for the same one."""
        known = self.responses.get(id(response))
        if known is None:
            content = self.content(response.content)
            known = self.responses[id(response)] = replace(
                response,
                headers={name: self.header(name, value) for name, value in response.headers.items()},
                content=content,
                body=self.value(response.body),
                problem=self.text(response.problem),
                elapsed=round(0.001 + 0.000001 * (sent + len(content)), 6),
                at=self.moments.get(response.at, 0.0),
            )
        return known

    def header(self, name: str, value: str) -> str:
        """A header without the clock and without ids that are new for each request."""
        if name == "date":
            return format_datetime(NOW, usegmt=True)
        return self.text(_UUID.sub("00000000-0000-4000-8000-000000000000", value))

    def exchange(self, exchange: Exchange) -> Exchange:
        """One exchange."""
        content = None if exchange.content is None else self.content(exchange.content)
        return replace(
            exchange,
            case=self.value(exchange.case),
            url=self.text(exchange.url),
            content=content,
            response=self.response(exchange.response, len(content or b"")),
        )

    def entry(self, entry: Entry, failures: Mapping[int, Failure]) -> Entry:
        """One line of the ledger."""
        return replace(
            entry,
            evidence=min(entry.evidence, 1) if entry.rule.promise == "time" else entry.evidence,
            failures=tuple(failures.get(id(failure)) or self.value(failure) for failure in entry.failures),
            reason=self.text(entry.reason),
        )
