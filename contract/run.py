"""
One run: takes custody of the records, carries out the plan, looks into failures, puts everything
back, and says what was found.

The order is the safety: nothing is written before the journal is on disk, and nothing ends before
the records were put back and read - or their journals are kept, and it is said how to go on.
"""

from __future__ import annotations

import re
import signal
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, TypeVar

import httpx

from contract import known
from contract import spec as specs
from contract.budget import USUAL, Budget
from contract.check import Judge, Judgement
from contract.config import Settings
from contract.custody import Custody, Journal, state_directory
from contract.document import escape
from contract.errors import ConfigError, ContractError, CustodyError, SendError, Undecided
from contract.generate import Generator
from contract.ledger import Ledger, of_answer
from contract.model import Case, Finding, Interaction, Response, Rule
from contract.plan import INVESTIGATION, OVERHEAD, PROFILES, Block, Plan, needed, plan, split
from contract.reduce import Refusals
from contract.reproduce import investigate
from contract.restore import LOST, Restored, differences, recall, restore, uncleared, unrestorable
from contract.result import Exchange, Result, result_order
from contract.send import Credentials, Sender
from contract.session import Session
from contract.spec import Contract
from contract.walk import Walk
from contract.witness import Witness

__all__ = ["Runner", "Share", "account", "need_credentials", "prepare", "restore_all", "run"]

T = TypeVar("T")

RESERVE: Final = 8
"""Requests that are kept for putting one record back."""
AFTERWARDS: Final = 8
"""Requests beside these that the plan leaves for looking into what it found in its last part."""
PER_RECORD: Final = 30
"""Requests that a run may send more for each record beside the first."""
CLOSING: Final = 10
"""Requests after the last block, and those that a lawful API may cost more than was planned."""
LARGE: Final = 2_000_000
"""Bytes of unusually large answers that are kept for the reports."""
SILENCE: Final = 5
"""So many answers of 502, 503 or 504 in a row mean that nobody is there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """
    The part of one process in a run that several carry out together, each on another id.
    """

    position: int
    """Which of the ids."""
    tally: Path
    """The file in which they count their requests."""


def prepare(
    settings: Settings, contract: Contract | None = None, only: frozenset[str] | None = None
) -> tuple[Contract, Plan]:
    """
    The contract and the plan for *settings*, without what none of the rules *only* needs; sends nothing.

    Raises:
        SpecError: the fragment cannot be used.
        ConfigError: a resource is given for a field that needs none.
    """
    from contract.errors import nearest

    contract = contract or specs.load(settings.spec or None)
    request = contract.update.request
    assert request is not None
    contract.need_sendable()
    known = [name for name, item in request.fields.items() if item.resource]
    for name in settings.resources:
        if name not in known:
            problem = (
                f"[resources] names {name!r}, which is no field that needs the id of something.{nearest(name, known)}"
            )
            raise ConfigError(problem, layer=settings.layers.get("resources", ""))
    bodies = [body.schema for op in contract.operations.values() for body in (op.request, op.response) if body]
    bodies += [schema for op in contract.operations.values() for schema in op.errors.values()]
    shown = {name for schema in bodies for name in _names(schema)}
    for pointer in settings.mask:
        # An API may show what no document names; what is nearly a field was meant to be that.
        if (name := pointer.rpartition("/")[2]) not in shown and (hint := nearest(name, sorted(shown))):
            problem = f"mask names {pointer!r}, and there is no such field.{hint}"
            raise ConfigError(problem, layer=settings.layers.get("mask", ""))
    made = plan(
        contract,
        profile=settings.profile,
        seed=settings.seed,
        resources=settings.resources,
        foreign_ids=settings.foreign_ids,
    )
    return contract, made if only is None else needed(made, contract, only)


def account(settings: Settings, rules: Mapping[str, Rule], only: frozenset[str] | None = None) -> Ledger:
    """
    The empty ledger of a run.

    Raises:
        ConfigError: the file of known failures cannot be used.
    """
    ledger = Ledger(rules=rules, strict=settings.strict, known=known.load(settings.known_failures, rules))
    if only is not None:
        ledger.reasons.update(dict.fromkeys(rules.keys() - only, "it was not selected"))
    return ledger


class _Clock:
    """
    What the threads of a run share.
    """

    def __init__(self, budget: Budget) -> None:
        self.budget = budget
        self.silent = 0
        self.kept = 0
        """Bytes of unusually large answers that are kept for the reports."""
        self.gone = False
        """True where the API was lost on the way, or the credentials were."""

    def sleep(self, seconds: float) -> None:
        """
        Waits, unless the run is told to stop.
        """
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0 and (self.budget.restoring or not self.budget.stopped):
            time.sleep(min(left, 0.1))


def run(
    settings: Settings,
    credentials: Mapping[str, str],
    *,
    contract: Contract | None = None,
    transport: httpx.BaseTransport | None = None,
    progress: Callable[[int, int], None] | None = None,
    only: frozenset[str] | None = None,
    share: Share | None = None,
) -> Result:
    """
    Carries out one run.

    *progress* is called with (requests sent, requests planned) as the run goes on. *only* are the ids
    of the rules that matter: nothing is sent that only others need. *share* is this
    process's part of a run that several processes carry out together.

    Raises:
        ConfigError, SpecError: something that was given cannot be used; nothing was sent.
        CustodyError: a record cannot be held safely; nothing was changed.
        SendError: the API cannot be reached at all; nothing was changed.
        Undecided: the records cannot be read with these credentials; nothing was changed.
    """
    settings.need("base_url", "ids")
    if settings.database.startswith("redis://") and find_spec("redis") is None:
        raise ConfigError(f"database = {settings.database!r} needs a package more: pip install redis")
    contract, made = prepare(settings, contract, only)
    contract.retrieve  # noqa: B018 - without a way to read back there is no run: says so before anything is sent
    given = need_credentials(contract, Credentials(**credentials))
    runner = Runner(settings, given, contract, made, transport, progress, only)
    if share is not None:
        runner.take(share)
    return runner.carry_out()


def _names(schema: Any) -> Iterator[str]:
    """
    The names of all properties in a schema, at any depth.
    """
    if isinstance(schema, Mapping):
        properties = schema.get("properties")
        yield from properties if isinstance(properties, Mapping) else ()
        for part in schema.values():
            yield from _names(part)
    elif isinstance(schema, (list, tuple)):
        for part in schema:
            yield from _names(part)


def need_credentials(contract: Contract, given: Credentials) -> Credentials:
    """
    Those of *given* that *contract* asks for.

    Raises:
        ConfigError: they are not there, or cannot be sent; nothing was sent.
    """
    schemes = {contract.schemes[name].get("scheme", "") for name in contract.update.security}
    if "bearer" in schemes and not given.token:
        raise ConfigError("credentials are missing: set CONTRACT_TOKEN in the environment")
    if "basic" in schemes and not (given.username and given.password):
        raise ConfigError("credentials are missing: set CONTRACT_USERNAME and CONTRACT_PASSWORD in the environment")
    for name in ("username", "password", "token"):
        value = getattr(given, name)
        if not value.isprintable() or value != value.strip() or (name == "token" and not value.isascii()):
            raise ConfigError(
                f"CONTRACT_{name.upper()} begins or ends with a blank or holds a character that no header can carry"
            )
    if ":" in given.username:
        raise ConfigError("CONTRACT_USERNAME holds a ':', which HTTP Basic does not allow")
    if "bearer" in schemes:
        return Credentials(token=given.token)
    return replace(given, token="") if "basic" in schemes else given


class Runner:
    """
    One run: what it holds, and its steps in their order.
    """

    def __init__(
        self,
        settings: Settings,
        given: Credentials,
        contract: Contract,
        made: Plan,
        transport: httpx.BaseTransport | None,
        progress: Callable[[int, int], None] | None,
        only: frozenset[str] | None = None,
    ) -> None:
        self.settings = settings
        self.only = only
        self.first = True
        """False where another process sees to the list and to the bystanders."""
        self.contract = contract
        self.plan = made
        self.given = given
        self.transport = transport
        self.progress = progress
        self.judge = Judge(contract, given.secrets)
        self.ledger = account(settings, self.judge.rules, only)
        # Each further record has to be read, proved and put back as well.
        own = PROFILES[settings.profile].requests + PER_RECORD * (len(settings.ids) - 1)
        most = min(settings.max_requests, own)
        reserve = min(RESERVE * len(settings.ids), most // 5)
        self.budget = Budget(most, settings.max_seconds, reserve, rate=settings.rate, most=settings.max_requests)
        self.late = min(AFTERWARDS, most // 10)
        """Requests of each record that reads may take, where these find nothing to look into."""
        self.each = (most - reserve) // len(settings.ids) - self.late
        """Requests for each record; what is left of all would depend on which record is how far."""
        self.clock = _Clock(self.budget)
        self.generator = Generator(contract.update, settings.resources)
        self.sessions: list[Session] = []
        self.snapshots: dict[str, Mapping[str, Any]] = {}
        self.bystanders: dict[str, Mapping[str, Any]] = {}
        self.rows: dict[str, Mapping[str, Any]] = {}
        """The bystanders as the list shows them."""
        self.stuck: dict[str, Mapping[str, str]] = {}
        """Record -> the fields that cannot be put back, and why."""
        self.lock = threading.Lock()
        self.planned = sum(not c.unless for c in made.cases) + OVERHEAD
        self.result = Result(
            contract=contract, settings=settings, plan=made, ledger=self.ledger, started=datetime.now(UTC), only=only
        )

    def take(self, share: Share) -> None:
        """
        Confines the run to one id and its part of the plan; the budget is that of all of its processes.
        """
        blocks = split(self.plan, len(self.settings.ids))[share.position]
        self.plan = self.result.plan = replace(self.plan, blocks=tuple(blocks))
        self.settings = self.result.settings = replace(self.settings, ids=(self.settings.ids[share.position],))
        self.budget.tally = share.tally
        self.first = share.position == 0

    # ------------------------------------------------------------------ frame

    def carry_out(self) -> Result:
        """
        The whole run.
        """
        result = self.result
        folder = state_directory(self.settings.state_dir)
        with ExitStack() as stack:
            held = []
            for id in self.settings.ids:
                custody = Custody(folder, self.settings.base_url, id)
                custody.acquire()
                stack.callback(custody.release)
                held.append(custody)
            stack.enter_context(self._signals())
            for id in self.settings.ids:
                self.sessions.append(Session(self.judge, self._sender(), self.ledger, id))
            stack.callback(self._close)
            try:
                if self._preflight():
                    self._write(held)
            except SendError as error:
                problem = f"{self.settings.base_url} cannot be tested: {error}; check base_url, and whether it is up"
                raise SendError(problem, kind=error.kind) from error
            finally:
                result.seconds = self.budget.clock() - self.budget.started
                result.requests = self.budget.spent
                result.noise = sum(s.sender.noise + s.sender.put_off for s in self.sessions)
                result.foreign = {s.id: s.foreign for s in self.sessions if s.foreign}
        return result

    def _sender(self) -> Sender:
        """
        What sends the requests for one record.

        Raises:
            ConfigError: a certificate or the proxy cannot be used.
        """
        settings = self.settings
        try:
            sender = Sender(
                self.contract,
                base_url=settings.base_url,
                credentials=self.given,
                budget=self.budget,
                timeout=settings.timeout,
                verify=self._trust(),
                proxy=settings.proxy or None,
                foreign_id=settings.foreign_ids[0] if settings.foreign_ids else "",
                transport=self.transport,
                sleep=self.clock.sleep,
            )
        except (ValueError, ImportError, httpx.InvalidURL) as error:
            layer = settings.layers.get("proxy", "the environment")
            raise ConfigError(f"the proxy cannot be used: {error}", layer=layer) from error
        sender.sent = self._sent
        return sender

    def _trust(self) -> Any:
        """
        Whom to trust, and what to show to whom; the usual, where nothing is configured.
        """
        settings, name = self.settings, "ca_file"
        if not settings.ca_file and not settings.client_cert:
            return True
        try:
            authorities = settings.ca_file
            trust = ssl.create_default_context(cafile=authorities) if authorities else httpx.create_ssl_context()
            if settings.client_cert:
                name = "client_cert"
                # An encrypted key is refused: nobody is there to type its password.
                trust.load_cert_chain(settings.client_cert, settings.client_key or None, password="")
        except OSError as error:
            problem = f"{name} {getattr(settings, name)} cannot be used: {error.strerror or error}"
            raise ConfigError(problem, layer=settings.layers.get(name, "")) from error
        return trust

    def _sent(self, case: Case, url: str, content: bytes | None, response: Response) -> None:
        """
        Keeps an exchange for the reports, and notices when nobody answers any more.
        """
        with self.lock:
            if len(self.result.exchanges) < 3000:
                self.clock.kept += max(0, len(response.content) - USUAL)
                if self.clock.kept > LARGE and len(response.content) > USUAL:
                    response = response.slim()
                self.result.exchanges.append(Exchange(case=case, url=url, content=content, response=response))
            gone = {502, 503, 504} | ({401, 403} if case.credentials == "right" and case.target == "own" else set())
            self.clock.silent = self.clock.silent + 1 if response.status in gone else 0
            if self.clock.silent >= SILENCE and not self.budget.restoring:
                self.clock.gone = True
                self.budget.stop(f"the API answers nothing but {response.status} any more")
        if self.progress is not None:
            self.progress(self.budget.spent, max(self.planned, self.budget.spent))

    def _close(self) -> None:
        for session in self.sessions:
            session.sender.close()

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """
        Turns SIGINT and SIGTERM into an orderly end: the records are put back first.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def stop(number: int, frame: Any) -> None:
            self.result.interrupted = number
            name = signal.Signals(number).name
            self.budget.stop(f"the run was ended by {name}")
            for session in self.sessions:
                if not self.budget.restoring:
                    session.sender.interrupt()

        earlier = {}
        for number in {signal.SIGINT, signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)}:
            with suppress(ValueError, OSError):
                earlier[number] = signal.signal(number, stop)
        try:
            yield
        finally:
            for number, handler in earlier.items():
                signal.signal(number, handler)

    # -------------------------------------------------------------- preflight

    def _preflight(self) -> bool:
        """
        Reads what the run will write to; False where that is broken so that nothing can be written.
        """

        def look(session: Session) -> None:
            case = Case(label="the record as it was found", operation=self.contract.retrieve.id)
            _, response = session.perform(case)
            self._understand(session, response)
            if session.known is None or response.problem or self._tells(response):
                # What others may read differently is nothing to put back later, and a secret is not to be kept.
                self._confirm_read(session)
                if session.known is None or session.last is None or response.status < 500:
                    return
                if session.last.problem or self._tells(session.last):
                    return
            self.snapshots[session.id] = dict(session.known)

        # Whatever is set up wrongly shows at the first one, and is not sent for the others.
        look(self.sessions[0])
        rest = [partial(look, session) for session in self.sessions[1:]]
        _side_by_side([partial(self._others, "before"), *rest] if self.snapshots else rest)
        ready = len(self.snapshots) == len(self.sessions)
        if not ready:
            self.result.problem = "the record cannot be read as documented, so nothing was written"
            self.ledger.reasons[""] = self.result.problem
            return False
        return True

    def _tells(self, response: Response) -> bool:
        """
        True where an answer holds the credentials of this run.
        """
        return any(secret.encode() in response.content for secret in self.given.secrets if len(secret) >= 8)

    def _understand(self, session: Session, response: Response) -> None:
        """
        Ends the run where the very first answer shows that it was set up wrongly.

        Raises:
            Undecided: the credentials, the id or the address are wrong.
        """
        url = f"{self.settings.base_url}{self.contract.retrieve.url(session.id)}"
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
            example = _example(self.contract)
            hint += f", as in {example}" if example else ""
            raise Undecided(f"GET {url} answers {what}; {hint}")
        if response.status == 422 or response.status == 400:
            raise Undecided(f"GET {url} answers {response.status}; check the id {session.id!r}")
        if response.status in LOST:
            raise Undecided(f"GET {url} answers {response.status} again and again; try again when the API is up")

    def _confirm_read(self, session: Session) -> None:
        """
        Reads once more, so that one bad answer is not called broken.
        """
        for _ in range(2):
            session.read("the record once more")
        seen: dict[str, int] = {}
        for failure in self.ledger.failures:
            seen[failure.finding.rule] = seen.get(failure.finding.rule, 0) + 1
        for failure in self.ledger.failures:
            failure.confirmed = seen[failure.finding.rule] >= 3
        self.ledger.fold()

    def _others(self, when: str) -> None:
        """
        Reads the list and the bystanders.
        """
        if not self.first:
            return
        session = self.sessions[0]
        if when == "before" and not self._lists_later:
            self._list(session, when)
        for id in self.settings.bystander_ids if self._matters(f"{self.contract.update.id}.bystander") else ():
            self._bystander(session, id, when)

    @property
    def _lists_later(self) -> bool:
        """
        True where the first list comes after what is refused.
        """
        return len(self.sessions) == 1 and any(block.name == "refusals" for block in self.plan.blocks)

    def _matters(self, prefix: str) -> bool:
        """
        True where a rule that begins with *prefix* was selected.
        """
        return self.only is None or any(rule.startswith(prefix) for rule in self.only)

    def _list(self, session: Session, when: str) -> None:
        """
        The list, page by page until the record is on it.
        """
        if self.contract.listing is None or not self.first:
            return
        if not self._matters(f"{self.contract.listing[0].id}."):
            return
        query = ""
        present: set[str] = set()
        for page in range(4):
            label = f"the list {when}" + (f", page {page + 1}" if page else "")
            case = Case(label=label, operation=self.contract.listing[0].id, query=query)
            _, response = session.perform(case)
            following = _next_page(response.body)
            self._neighbours(session, case, response)
            here = self.judge.listed(response, session.id) is not None
            present |= {id for id in self.bystanders if self.judge.listed(response, id) is not None}
            # A list may go on in a way that is not known here.
            following = following or ("?" if _goes_on(response) else "")
            absent = () if following else sorted({*self.bystanders} - present)
            self._belonging(session, case, response, absent)
            if session.known is not None and (here or not following):
                compared = self.judge.in_list(response, session.id, session.known, last=not following)
                interaction = Interaction(case=case, response=response, before=session.known, id=session.id)
                self.ledger.add(interaction, compared, self.budget.spent)
            if here or not following or following in {query, "?"}:
                return
            query = following

    def _belonging(self, session: Session, case: Case, response: Response, absent: Iterable[str]) -> None:
        """
        Tells which bystanders no page of the list showed, and whether a page shows what is somebody else's.
        """

        def judged(response: Response) -> list[Finding]:
            missing = [found for id in absent for found in self.judge.missing(response, id)]
            return missing + [found for id in self.settings.foreign_ids for found in self.judge.foreign(response, id)]

        compared = Judgement()
        compared.findings = judged(response)
        interaction = Interaction(case=case, response=response, before=session.known, id=session.id)
        if made := self.ledger.add(interaction, compared, self.budget.spent) if compared.findings else []:
            session.quiet = True
            try:
                again = judged(session.perform(case)[1])
            finally:
                session.quiet = False
            for failure in made:
                failure.confirmed = failure.finding in again

    def _neighbours(self, session: Session, case: Case, response: Response) -> None:
        """
        Compares the bystanders in a list with how an earlier one showed them.
        """
        for id in self.settings.bystander_ids:
            found = self.judge.listed(response, id)
            if found is None:
                continue
            earlier = self.rows.setdefault(id, found[1])
            compared = Judgement()
            for name, old, now in self.judge.differences(found[1], earlier):
                message = f"the list shows another {name} of another record than before"
                pointer = f"{found[0]}/{escape(name)}"
                rule = f"{self.contract.update.id}.bystander"
                compared.findings.append(Finding(rule=rule, message=message, pointer=pointer, expected=old, actual=now))
            interaction = Interaction(case=case, response=response, before=earlier, id=session.id)
            if made := self.ledger.add(interaction, compared, self.budget.spent):
                session.quiet = True
                again = self.judge.listed(session.perform(case)[1], id)
                session.quiet = False
                differing = (
                    dict.fromkeys(name for name, *_ in self.judge.differences(again[1], earlier)) if again else {}
                )
                for failure in made:
                    failure.confirmed = failure.finding.pointer.rpartition("/")[2] in differing

    def _bystander(self, session: Session, id: str, when: str) -> None:
        """
        Reads a record that must not change.
        """
        rule = f"{self.contract.update.id}.bystander"
        other = Session(self.judge, session.sender, self.ledger, id)
        other.quiet = True  # An id that was set wrongly is no fault of the API.
        case = Case(label=f"the bystander {id} {when}", operation=self.contract.retrieve.id)
        result, response = other.perform(case)
        if other.known is None:
            if when == "before":
                why = (
                    "does not exist" if response.status == 404 else f"cannot be read: the answer is a {response.status}"
                )
                self.ledger.reasons[rule] = f"the bystander {id} {why}"
                return
        elif when == "before":
            self.bystanders[id] = dict(other.known)
            return
        earlier = self.bystanders.get(id)
        if earlier is None:
            return
        compared = type(result)()
        if other.known is None:
            message = f"another record cannot be read any more, after only {', '.join(self.settings.ids)} was updated"
            compared.findings.append(Finding(rule=rule, message=message, expected="200", actual=str(response.status)))
        changed = list(self.judge.differences(other.known, earlier)) if other.known is not None else []
        if not compared.findings and not changed:
            compared.single.append(rule)
        for name, old, now in changed[:3]:
            message = f"{name} of another record changed while only {', '.join(self.settings.ids)} was updated"
            compared.findings.append(Finding(rule=rule, message=message, pointer=f"/{name}", expected=old, actual=now))
        interaction = Interaction(case=case, response=response, before=earlier, id=session.id)
        made = self.ledger.add(interaction, compared, self.budget.spent)
        if made:
            # It is named as one that nobody changes, and nothing may be written to it to try again:
            # that the change is still there has to do.
            other.verified = True
            other.read("the bystander once more")
            now = other.known or {}
            for failure in made:
                name = failure.finding.pointer.strip("/")
                failure.confirmed = now.get(name) == failure.finding.actual if name else other.known is None
            marker = self.generator.marker
            if not any(failure.confirmed for failure in made) and marker is not None:
                # It may be seen right after an update only.
                session.attempt(
                    self.generator.complete({marker: self.generator.firm(marker)[0]}, self._plain), "one more"
                )
                seen = other.read("the bystander after one more update").record
                differing = {name for name, *_ in self.judge.differences(seen, earlier)} if seen is not None else set()
                for failure in made:
                    name = failure.finding.pointer.strip("/")
                    failure.confirmed = name in differing if name else seen is None

    def _plain(self, name: str) -> Any:
        return self.generator.firm(name)[0]

    # ---------------------------------------------------------------- writing

    def _write(self, held: list[Custody]) -> None:
        """
        Everything that writes, and the way back.
        """
        result = self.result
        try:
            for custody in held:
                custody.journal.write(self.settings.base_url, custody.id, self.snapshots[custody.id])
        except CustodyError:
            for custody in held:
                with suppress(CustodyError):
                    custody.journal.remove()
            raise
        for session in self.sessions:
            session.doubt = Witness(session, self.generator)
        try:
            stuck = _side_by_side([partial(unrestorable, s, self.generator) for s in self.sessions])
            for session, found in zip(self.sessions, stuck, strict=True):
                self.stuck[session.id] = found
                several = f" on {session.id}" if len(self.sessions) > 1 else ""
                result.expected_left |= {name: f"{why}{several}" for name, why in found.items()}
            if result.expected_left and not self.settings.allow_unrestorable:
                result.problem = self._cannot_restore()
                self.ledger.reasons[""] = "nothing was written, because it could not be put back"
                self._only_read()
            else:
                if result.expected_left:
                    self._expect_parts()
                self._work()
        except ContractError as error:
            result.problem = str(error)
            for session in self.sessions if not self.budget.stopped else ():
                Refusals(session, self.generator, still=True).explain()
            self._unlooked()
        finally:
            self._put_back(held)
        if self.budget.stopped and not result.problem:
            result.problem = self.budget.stopped

    def _expect_parts(self) -> None:
        """
        Keeps more for the way back: where not all can be put back, the rest goes back in parts, which takes
        more requests than all of it at once.
        """
        if self.late:
            self.budget.reserve += AFTERWARDS
            self.each -= AFTERWARDS
            self.late = 0

    def _cannot_restore(self) -> str:
        names: dict[str, list[str]] = {}
        for name, why in result_order(self.result.expected_left):
            names.setdefault(why, []).append(name)
        lines = "; ".join(f"{', '.join(some)} ({why})" for why, some in names.items())
        known = [(self.snapshots[s.id], s.known) for s in self.sessions if s.known is not None]
        more = " more" if any(differences(self.contract, before, now) for before, now in known) else ""
        number = len(self.result.expected_left)
        count = "1 field" if number == 1 else f"{number} fields"
        return (
            f"{count} could not be put back, so nothing{more} was changed: {lines}. "
            "Set allow_unrestorable = true (--allow-unrestorable) to go on all the same"
        )

    def _work(self) -> None:
        """
        Carries out the plan, on all records side by side.
        """
        shares = split(self.plan, len(self.sessions))
        problems: list[str] = []

        def work(session: Session, blocks: list[Block]) -> None:
            # Before anything is written for good. What writes a handful of fields has no request to spare for it.
            whole = self.plan.profile.tour and any(block.name == "tour" for block in blocks)
            writing = next((b for b in blocks if whole and b.name not in {"access", "refusals", "first"}), None)
            try:
                for i, block in enumerate(blocks):
                    if block is writing:
                        self._learn(session)
                    if block.name in {"identity", "random"} and self._found():
                        continue  # There is something to look into already, and it needs the requests.
                    block = self._fitted(session, block, sum(b.cost for b in blocks[i:]))
                    # Two lists, so that each field was seen with two values.
                    lists = self.plan.profile.tour and session is self.sessions[0] and block.name == "tour"
                    for part, when in (
                        block.parts(self.generator.enums, self.generator.marker or "") if lists else ((block, ""),)
                    ):
                        Walk(session, self.generator, part, self.ledger).walk()
                        if when:
                            self._list(session, when)
                    if block.name == "refusals" and self._lists_later:
                        # It shows the record as it was found, and what refused updates have left in lists alone.
                        self._list(self.sessions[0], "before")
                    if block.name == "identity" and (session.known is not None or not recall(session)):
                        session.read("read after the id was sent")
                walked = any(block.name == "tour" for block in self.plan.blocks)
                small = self.first and session is self.sessions[0] and self.plan.profile.tour
                small = small and not self._found() and self.budget.left > CLOSING
                if walked and (self.plan.profile.explore or small):
                    from contract.explore import explore

                    explore(session, self.generator, self.settings, small=not self.plan.profile.explore)
            except (SendError, Undecided) as error:
                problems.append(str(error))
                if not isinstance(error, Undecided):
                    self.budget.stop(str(error))

        failed = partial(self.budget.stop, "this tool failed")
        _side_by_side([partial(work, *pair) for pair in zip(self.sessions, shares, strict=True)], failed)
        if problems:
            self.result.problem = problems[0]
            self.ledger.reasons[""] = f"the run ended before: {problems[0]}"
        if not self.budget.stopped:
            try:
                self._others("after")
            except (SendError, Undecided) as error:
                self.result.problem = self.result.problem or f"other records were not read again: {error}"
            for session in self.sessions:
                self._in_turns(session)
                investigate(session, self.generator)
        else:
            self._unlooked()

    def _in_turns(self, session: Session) -> None:
        """
        Notes what only shows over all answers together.
        """
        noted = [(one, self.judge.shown(one.response, session.id)) for one in self.ledger.interactions]
        views = [(one.case.operation, record) for one, record in noted if record is not None]
        result = self.judge.in_turns(views)
        reads = [one for one, record in noted if record is not None and one.case.operation == self.contract.retrieve.id]
        for failure in self.ledger.add(reads[-1], result, self.budget.spent) if reads else ():
            failure.confirmed = True

    def _fitted(self, session: Session, block: Block, cost: int) -> Block:
        """
        *block*, with less in it where there are not enough requests for it and what follows, *cost* in all: an
        API may make a run dearer than planned, and what was found is looked into rather than asking more
        where the documents are silent.
        """
        found = block.name == "silence" and self._found()
        if not (found or (block.name in {"tour", "silence"} and self.plan.profile.tour)):
            return block
        over = cost - (self.each - session.sender.count)
        if block.name == "tour":
            names = {*self.generator.selectors, ""}  # And what is read after one thing alone.
            return block.thinned(over + CLOSING + 2 - self.late, names)  # The list is read in it, and after it.
        return block.thinned(over + CLOSING + INVESTIGATION if found else over - AFTERWARDS)

    def _learn(self, session: Session) -> None:
        """
        Finds out whether null empties what was found empty, before much is written.

        Raises:
            Undecided: it does not, and nobody said that the run may go on all the same.
        """
        stuck = self.stuck[session.id]
        new = uncleared(session, self.generator, self.snapshots[session.id], stuck)
        if not new:
            return
        several = f" on {session.id}" if len(self.sessions) > 1 else ""
        with self.lock:
            self.stuck[session.id] = {**stuck, **new}
            self.result.expected_left |= {name: f"{why}{several}" for name, why in new.items()}
            self._expect_parts()
        if not self.settings.allow_unrestorable:
            self.budget.stop(self._cannot_restore())
            raise Undecided(self.budget.stopped)

    def _only_read(self) -> None:
        """
        Looks once more at what was seen in reads, where nothing may be written.
        """
        if self._lists_later:
            self._list(self.sessions[0], "before")
        for session in self.sessions:
            if session.failures():
                session.read("the record once more")
        self._unlooked()

    def _unlooked(self) -> None:
        """
        Settles what nobody can look into any more.
        """
        self.ledger.fold()
        noise = sum(s.sender.noise for s in self.sessions) + self.clock.gone
        _settle_unlooked(self.ledger, noise, alone=not (self.ledger.bygone or any(s.foreign for s in self.sessions)))

    def _found(self) -> bool:
        """
        True where a bounded run has found something that fails it.
        """
        if self.plan.profile.explore:
            return False
        ledger = self.ledger
        return any(not ledger.weak(f.finding.rule) and ledger.accepted(f) is None for f in ledger.failures)

    def _put_back(self, held: list[Custody]) -> None:
        """
        Puts every record back; a journal goes only when that was proved.
        """
        self.budget.restore()
        # Each for itself: where this tool fails on one of them, the others are put back all the same.
        try:
            _side_by_side([partial(self._put_one_back, *pair) for pair in zip(self.sessions, held, strict=True)])
        finally:
            done = self.result.restored
            self.result.restored = {s.id: done[s.id] for s in self.sessions if s.id in done}

    def _put_one_back(self, session: Session, custody: Custody) -> None:
        found = self.snapshots[session.id]
        # What someone else wrote meanwhile is theirs, and stays.
        theirs = {n: now for n, (_, now) in session.foreign.items() if session.novel(n, now)}
        done = restore(session, {**found, **theirs}, self.generator, self.stuck.get(session.id, {}))
        if theirs:
            left = {**{n: (found[n], now) for n, now in theirs.items()}, **done.left}
            done = replace(done, verdict="not_restored", left=left, theirs=tuple(theirs))
        if self.result.expected_left and done.verdict == "nothing_changed" and not session.history:
            done = Restored(verdict="nothing_changed", unseen=done.unseen)
        self.result.restored[session.id] = done
        if done.verdict != "not_restored" or (self.settings.allow_unrestorable and not done.note):
            custody.journal.remove()
        elif not done.note:
            # It was tried in every way there is: the journal stays only where trying again may help.
            custody.journal.remove()


def _side_by_side(calls: Sequence[Callable[[], T]], failed: Callable[[], None] = lambda: None) -> list[T]:
    """
    What *calls* return, each of them in a thread of its own; *failed* is called at the first exception,
    which is raised when all have ended.
    """
    if len(calls) <= 1:
        return [call() for call in calls]
    with ThreadPoolExecutor(len(calls), thread_name_prefix="contract") as pool:
        futures = [pool.submit(call) for call in calls]
        left = set(futures)
        while left:
            # Looks up again and again: only a thread that is awake sees to a signal.
            done, left = wait(left, timeout=0.05, return_when=FIRST_COMPLETED)
            if any(future.exception() is not None for future in done):
                failed()
    return [future.result() for future in futures]


def _example(contract: Contract) -> str:
    """
    The address that the fragment gives as an example.
    """
    servers: list[Mapping[str, Any]] = contract.document.data.get("servers") or [{}]
    return str(servers[0].get("url", ""))


def _settle_unlooked(ledger: Ledger, noise: int, alone: bool) -> None:
    """
    Without a second look only what happened more than once, with nothing lost, is called broken, and
    where someone else writes as well, only what no write can bring about.
    """
    for rule, failures in ledger.causes().items():
        numbers = {f.number for f in failures}
        if of_answer(rule):
            # The same fault, seen in the answers of other operations.
            numbers |= {f.number for f in ledger.under(rule)}
        several = len(numbers) > 1 and noise == 0 and (alone or of_answer(rule))
        for failure in failures:
            if failure.confirmed is None:
                failure.confirmed, failure.untried = several, not several


def _goes_on(response: Response) -> bool:
    """
    True where an answer says in another way than with ``next`` that there is more of the list: with a header (RFC
    8288), with a count that is larger than what it shows, or with a mark.
    """
    if re.search('rel="?next', response.headers.get("link", "")):
        return True
    if not isinstance(response.body, Mapping):
        return False
    count = max((len(value) for value in response.body.values() if isinstance(value, list)), default=0)
    for part in (response.body, *[value for value in response.body.values() if isinstance(value, Mapping)]):
        for name, value in part.items():
            marked = bool(value) and any(word in name.lower() for word in ("next", "more", "cursor"))
            counted = type(value) is int and any(word in name.lower() for word in ("total", "count"))
            if marked or (counted and value > count):
                return True
    return False


def _next_page(body: Any) -> str:
    """
    The query of the next page that a list names in a member called ``next``.
    """
    if not isinstance(body, Mapping):
        return ""
    for value in (body, *[v for v in body.values() if isinstance(v, Mapping)]):
        link = value.get("next")
        if isinstance(link, str) and "?" in link:
            return "?" + link.partition("?")[2]
    return ""


def restore_all(
    settings: Settings, credentials: Mapping[str, str], *, contract: Contract | None = None
) -> dict[str, Restored]:
    """
    Puts back what interrupted runs left changed in one environment.

    Raises:
        ConfigError, SpecError: something that was given cannot be used.
        CustodyError: another run is at work on a record.
        SendError, Undecided: the API cannot be reached or refuses the credentials.
    """
    settings.need("base_url")
    contract = contract or specs.load(settings.spec or None)
    given = need_credentials(contract, Credentials(**credentials))
    folder = state_directory(settings.state_dir)
    done: dict[str, Restored] = {}
    for _, found in Journal.all(folder, settings.base_url):
        id = str(found["id"])
        custody = Custody(folder, settings.base_url, id)
        try:
            held = custody.acquire(resume=True)
        except CustodyError as error:
            done[id] = Restored(verdict="not_restored", note=str(error))
            continue
        with ExitStack() as stack:
            stack.callback(custody.release)
            if held is None:
                continue
            alone = replace(settings, ids=(id,), known_failures="")
            runner = Runner(alone, given, contract, plan(contract, profile="smoke"), None, None)
            runner.budget.restore()
            session = Session(runner.judge, runner._sender(), runner.ledger, id)
            stack.callback(session.sender.close)
            done[id] = restore(session, held["record"], runner.generator)
            if not done[id].note:
                custody.journal.remove()
    return done
