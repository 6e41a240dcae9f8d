"""The first look at a record: as it stands before anything is written, or why nothing can be written to it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from contract.errors import Undecided
from contract.model import Case, JSONObject, Response
from contract.restore import LOST
from contract.session import Session
from contract.spec import Contract

__all__ = ["look"]


def look(session: Session, base_url: str) -> JSONObject | None:
    """The record as it stands; nothing where it cannot be read as documented.

    Raises:
        SendError: no answer came back.
        Undecided: the credentials, the id or the address are wrong.
    """
    case = Case(label="the record as it was found", operation=session.contract.retrieve.id)
    _, response = session.perform(case)
    _understand(session, base_url, response)
    if session.known is None or response.problem or _tells(session, response):
        # What others may read differently is nothing to put back later, and a secret is not to be kept.
        _confirm(session)
        if session.known is None or session.last is None or response.status < 500:
            return None
        if session.last.problem or _tells(session, session.last):
            return None
    return dict(session.known)


def _tells(session: Session, response: Response) -> bool:
    """True where an answer holds the credentials of this run."""
    return any(secret in response.content for secret in session.judge.answers.hidden)


def _understand(session: Session, base_url: str, response: Response) -> None:
    """Ends the run where the very first answer shows that it was set up wrongly."""
    url = f"{base_url}{session.contract.retrieve.url(session.id)}"
    if response.status in {401, 403}:
        raise Undecided(
            f"the credentials are refused ({response.status} for GET {url}); check the environment variables"
        )
    kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    html = (kind == "text/html" and not isinstance(response.body, Mapping)) or response.content.lstrip()[:1] == b"<"
    if response.status == 404 or html or 300 <= response.status < 400:
        to = f" to {response.headers['location']}" if "location" in response.headers else ""
        what = "a web page" if html else f"a {response.status}{to}"
        hint = f"check that the id {session.id!r} exists there, and that base_url ends with the API's path"
        example = _example(session.contract)
        hint += f", as in {example}" if example else ""
        raise Undecided(f"GET {url} answers {what}; {hint}")
    if response.status == 422 or response.status == 400:
        raise Undecided(f"GET {url} answers {response.status}; check the id {session.id!r}")
    if response.status in LOST:
        raise Undecided(f"GET {url} answers {response.status} again and again; try again when the API is up")


def _confirm(session: Session) -> None:
    """Reads once more, so that one bad answer is not called broken."""
    for _ in range(2):
        session.read("the record once more")
    failures = session.ledger.failures
    seen = Counter(failure.finding.rule for failure in failures)
    for failure in failures:
        failure.confirmed = seen[failure.finding.rule] >= 3
    session.ledger.fold()


def _example(contract: Contract) -> str:
    """The address that the fragment gives as an example."""
    servers: list[Mapping[str, Any]] = contract.document.data.get("servers") or [{}]
    return str(servers[0].get("url", ""))
