"""One run: takes custody of the records, carries out the plan, looks into failures, puts everything
back, and says what was found.

The order is the safety: nothing is written before the journal is on disk, and nothing ends before
the records were put back and read - or their journals are kept, and it is said how to go on.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

import httpx

from contract import spec as specs
from contract.answer import Judgement
from contract.budget import (
    AFTERWARDS,
    AT_ONCE,
    CLOSING,
    EXPLORED,
    INVESTIGATION,
    LAST,
    LISTS,
    OVERHEAD,
    PER_RECORD,
    RESERVE,
    USUAL,
    Budget,
)
from contract.check import Judge
from contract.config import Settings
from contract.custody import Custody, Journal, state_directory
from contract.errors import ConfigError, ContractError, CustodyError, SendError, Undecided
from contract.generate import Generator
from contract.model import Case, Interaction, JSONObject, Response, of_time, under
from contract.neighbours import Neighbours
from contract.plan import PROFILES, Block, Plan, plan, split
from contract.preflight import look, uncleared, unrestorable
from contract.prepare import account, affordable, need_credentials, prepare, sender
from contract.reduce import Refusals
from contract.reproduce import investigate
from contract.restore import Restored, differences, recall, restore, writable
from contract.result import Exchange, Result
from contract.send import GONE, Credentials, proxy_for
from contract.session import Session
from contract.spec import Contract
from contract.walk import Walk, wake
from contract.witness import Witness

__all__ = ["Runner", "restore_all", "run"]

T = TypeVar("T")

LARGE: Final = 2_000_000
"""Bytes of unusually large answers that are kept for the reports."""
FEW: Final = 6
"""Updates before which a run has hardly written anything but what stood there."""
SILENCE: Final = 5
"""So many answers of 502, 503 or 504 in a row mean that nobody is there."""


def run(
    settings: Settings,
    credentials: Mapping[str, str],
    *,
    contract: Contract | None = None,
    transport: httpx.BaseTransport | None = None,
    progress: Callable[[int, int], None] | None = None,
    only: frozenset[str] | None = None,
    share: tuple[int, Path] | None = None,
    brief: bool = False,
    notify: Callable[[str], None] | None = None,
) -> Result:
    """Carries out one run.

    *progress* is called with (requests sent, requests planned) as the run goes on. *only* are the ids
    of the rules that matter: nothing is sent that only others need. *share* is this
    process's part of a run that several processes carry out together: which of the ids, and the file in which they count
    their requests. A *brief* run looks for nothing
    more once it has found something. *notify* is called with a line for whoever waits, when a signal ends the run.

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
    runner.brief, runner.notify = brief, notify
    if share is not None:
        runner.take(*share)
    return runner.carry_out()


class Runner:
    """One run: what it holds, and its steps in their order."""

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
        self.brief = False
        self.notify: Callable[[str], None] | None = None
        self.contract = contract
        self.plan = made
        self.given = given
        self.transport = transport
        self.progress = progress
        self.judge = Judge(contract, given.secrets)
        self.ledger = account(settings, self.judge.rules, only)
        # Each further record has to be read, proved and put back as well.
        profile = PROFILES[settings.profile]
        own = profile.requests + PER_RECORD * (len(settings.ids) - 1)
        own += 0 if profile.thorough else 2 * len(settings.bystander_ids[1:])
        most = min(settings.max_requests, own)
        reserve = min(RESERVE * len(settings.ids), most // 5)
        self.budget = Budget(most, settings.max_seconds, reserve, rate=settings.rate, most=settings.max_requests)
        self.late = min(AFTERWARDS, most // 10)
        """Requests of each record that reads may take, where these find nothing to look into."""
        self.each = (most - reserve) // len(settings.ids) - self.late
        """Requests for each record; what is left of all would depend on which record is how far."""
        self.silent = 0
        """Answers in a row that say that nobody is there, or that are web pages."""
        self.since = 0
        """The number of the first of them."""
        self.paged = False
        """True where a read of the record is among these that was answered with a web page."""
        self.gone = False
        """True where the API was lost on the way, or the credentials were."""
        self.large = 0
        """Bytes of unusually large answers that are kept for the reports."""
        self.generator = Generator(contract.update, settings.resources)
        self.sessions: list[Session] = []
        self.snapshots: dict[str, JSONObject] = {}
        self.lock = threading.Lock()
        self.planned = sum(not c.unless for c in made.cases) + OVERHEAD
        self.result = Result(
            contract=contract, settings=settings, plan=made, ledger=self.ledger, started=datetime.now(UTC), only=only
        )

    def take(self, position: int, tally: Path) -> None:
        """Confines the run to one id and its part of the plan; the budget is that of all of its processes."""
        blocks = split(self.plan, len(self.settings.ids))[position]
        self.plan = self.result.plan = replace(self.plan, blocks=tuple(blocks))
        self.settings = self.result.settings = replace(self.settings, ids=(self.settings.ids[position],))
        self.budget.tally = tally
        self.first = position == 0

    # ------------------------------------------------------------------ frame

    def carry_out(self) -> Result:
        """The whole run."""
        result = self.result
        affordable(self.settings, self.plan)
        folder = state_directory(self.settings.state_dir)
        with ExitStack() as stack:
            held = []
            for id in self.settings.ids:
                custody = Custody(folder, self.settings.base_url, id, self.settings.spec)
                custody.acquire()
                stack.callback(custody.release)
                held.append(custody)
            stack.enter_context(self._signals())
            for id in self.settings.ids:
                self.sessions.append(session := self.session(id))
                stack.callback(session.sender.close)
            late = len(self.sessions) == 1 and any(block.name == "refusals" for block in self.plan.blocks)
            # Where another process sees to the list and to the bystanders, no rule about them matters here.
            only = self.only if self.first else frozenset[str]()
            self.neighbours = Neighbours(self.sessions[0], self.settings, only, late)
            try:
                if self._preflight():
                    self._write(held)
            except SendError as error:
                raise SendError(self._unreachable(error), kind=error.kind) from error
            finally:
                result.seconds = self.budget.clock() - self.budget.started
                result.requests = self.budget.spent
                result.noise = sum(s.sender.again for s in self.sessions)
                result.foreign = {s.id: s.foreign for s in self.sessions if s.foreign}
        return result

    def _unreachable(self, error: SendError) -> str:
        url, hint = self.settings.base_url, "check base_url, and whether it is up"
        proxy = urlsplit(self.settings.proxy or proxy_for(url) or "")
        if proxy.hostname and self.transport is None:
            by = f"{proxy.hostname}:{proxy.port}" if proxy.port else proxy.hostname
            hint = f"it was asked through the proxy {by}: check that first"
        return f"{url} cannot be tested: {error}; {hint}"

    def session(self, id: str) -> Session:
        """A session on one record, with a sender of its own.

        Raises:
            ConfigError: a certificate or the proxy cannot be used.
        """
        made = sender(self.settings, self.contract, self.given, self.budget, self.transport, self.sleep)
        made.sent = self._sent
        return Session(self.judge, made, self.ledger, id, self.generator)

    def sleep(self, seconds: float) -> None:
        """Waits, unless the run is told to stop."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0 and (self.budget.restoring or not self.budget.stopped):
            time.sleep(min(left, 0.1))

    def _sent(self, case: Case, url: str, content: bytes | None, response: Response) -> None:
        """Keeps an exchange for the reports, and notices when nobody answers any more."""
        with self.lock:
            if len(self.result.exchanges) < 3000:
                self.large += max(0, len(response.content) - USUAL)
                if self.large > LARGE and len(response.content) > USUAL:
                    response = response.slim()
                self.result.exchanges.append(Exchange(case=case, url=url, content=content, response=response))
            own = case.credentials == "right" and case.target == "own"
            denied = own and response.status in {401, 403}
            silent = response.status in GONE or denied
            if not (denied and case.expect == "reject"):  # It may be the answer to what is wrong in it.
                self.silent = self.silent + 1 if silent or response.page else 0
            self.since = self.since if self.silent > 1 else self.budget.spent
            # One that answers updates alone in such a way is there.
            self.paged = self.silent > 0 and (self.paged or (own and case.operation == self.contract.retrieve.id))
            if self.silent >= SILENCE and (silent or self.paged):
                self.gone = True
                what = "web pages" if response.ok else response.status
                self.budget.stop(f"the API answers nothing but {what} any more")
        if self.progress is not None:
            self.progress(self.budget.spent, max(self.planned, self.budget.spent))

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """Turns SIGINT and SIGTERM into an orderly end: the records are put back first."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def stop(number: int, frame: Any) -> None:
            self.result.interrupted = number
            name = signal.Signals(number).name
            if self.notify is not None and not self.budget.stopped:
                self.notify(f"{name}: what was changed is put back")
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
        """Reads what the run will write to; False where that is broken so that nothing can be written."""

        def keep(session: Session) -> None:
            record = look(session, self.settings.base_url)
            if record is not None:
                self.snapshots[session.id] = record

        # Whatever is set up wrongly shows at the first one, and is not sent for the others.
        keep(self.sessions[0])
        rest = [partial(keep, session) for session in self.sessions[1:]]
        _side_by_side([partial(self.neighbours.read, "before"), *rest] if self.snapshots else rest)
        if len(self.snapshots) == len(self.sessions):
            return True
        self.result.problem = "the record cannot be read as documented, so nothing was written"
        self.ledger.reasons[""] = self.result.problem
        return False

    # ---------------------------------------------------------------- writing

    def _write(self, held: list[Custody]) -> None:
        """Everything that writes, and the way back."""
        result = self.result
        try:
            for custody in held:
                record = self.snapshots[custody.id]
                custody.journal.write(self.settings.base_url, custody.id, record, writable(self.contract))
        except CustodyError:
            for custody in held:
                with suppress(CustodyError):
                    custody.journal.remove()
            raise
        for session in self.sessions:
            session.doubt = Witness(session)
        try:
            stuck = _side_by_side([partial(unrestorable, s) for s in self.sessions])
            result.expected_left = dict(zip(self.settings.ids, stuck, strict=True))
            if any(self.result.expected_left.values()) and not self.settings.allow_unrestorable:
                result.problem = self._cannot_restore()
                self.ledger.reasons[""] = "nothing was written, because it could not be put back"
                self._only_read()
            else:
                if any(self.result.expected_left.values()):
                    self._expect_parts()
                self._work()
        except ContractError as error:
            result.problem = str(error)
            for session in self.sessions if not self.budget.stopped else ():
                Refusals(session, still=True).explain()
            self._unlooked()
        finally:
            self._put_back(held)
            # What was seen when nobody was there any more says nothing.
            for failure in self.ledger.failures if self.gone else ():
                failure.confirmed = failure.confirmed if failure.number < self.since else False
        if self.budget.stopped and not result.problem:
            result.problem = self.budget.stopped

    def _expect_parts(self) -> None:
        """Keeps more for the way back: where not all can be put back, the rest goes back in parts, which takes
        more requests than all of it at once.
        """
        if self.late:
            self.budget.reserve += AFTERWARDS
            self.each -= AFTERWARDS
            self.late = 0

    def _cannot_restore(self) -> str:
        names: dict[str, list[str]] = {}
        for id, fields in self.result.expected_left.items():
            where = f" on {id}" if len(self.sessions) > 1 else ""
            for name, why in sorted(fields.items()):
                names.setdefault(f"{why}{where}", []).append(name)
        lines = "; ".join(f"{', '.join(some)} ({why})" for why, some in sorted(names.items()))
        known = [(self.snapshots[s.id], s.known) for s in self.sessions if s.known is not None]
        more = " more" if any(differences(self.contract, before, now) for before, now in known) else ""
        number = sum(map(len, self.result.expected_left.values()))
        count = "1 field" if number == 1 else f"{number} fields"
        return (
            f"{count} could not be put back, so nothing{more} was changed: {lines}. "
            "Set allow_unrestorable = true (--allow-unrestorable) to go on all the same"
        )

    def _work(self) -> None:
        """Carries out the plan, on all records side by side."""
        shares = split(self.plan, len(self.sessions))
        problems: list[str] = []

        def work(session: Session, blocks: list[Block]) -> None:
            try:
                self._walk(session, blocks)
                self._explore(session)
            except (SendError, Undecided) as error:
                problems.append(str(error))
                if not isinstance(error, Undecided):
                    self.budget.stop(str(error))

        failed = partial(self.budget.stop, "this tool failed")
        _side_by_side([partial(work, *pair) for pair in zip(self.sessions, shares, strict=True)], failed)
        if problems:
            self.result.problem = problems[0]
            self.ledger.reasons[""] = f"the run ended before: {problems[0]}"
        if not self.brief and self._enough():
            self.ledger.reasons.setdefault("", "what was left of the budget went into looking at what was found")
        if not self.budget.stopped:
            try:
                self.neighbours.read("after", brief=self._enough())
            except (SendError, Undecided) as error:
                self.result.problem = self.result.problem or f"other records were not read again: {error}"
            for session in self.sessions:
                self._in_turns(session)
            simple = all(self._simple(session) for session in self.sessions)
            for session in self.sessions:
                investigate(session, AT_ONCE * len(self.sessions) if simple else None)
        else:
            self._unlooked()

    def _simple(self, session: Session) -> bool:
        """True where nothing is known that could make the way back a long one."""
        left = differences(self.contract, self.snapshots[session.id], session.now)
        settable = left.keys() <= self.contract.request.fields.keys()
        return settable and bool(session.clears) and not session.foreign and not session.misread

    def _walk(self, session: Session, blocks: list[Block]) -> None:
        """Walks through one record's share of the plan, as far as there is budget for it."""
        # Before anything is written for good. What writes a handful of fields has no request to spare for it.
        whole = self.plan.profile.thorough and any(block.name == "tour" for block in blocks)
        writing = next((b for b in blocks if whole and b.name not in {"access", "refusals", "first"}), None)
        for i, block in enumerate(blocks):
            if self._enough():
                break
            if block is writing:
                self._learn(session)
            if block.name == "tour" and whole:
                self._ids(session)
            cost = sum(b.cost for b in blocks[i:]) + len(session.waiting)
            scarce = session.sender.again and self._over(session, cost) > 0
            if block.name in {"identity", "random"} and (scarce or self._found()):
                continue  # What was found needs the requests, or what the API puts off.
            fitted = self._fitted(session, block, cost) if block.name == "tour" else block
            self._walk_block(session, fitted, cost - block.cost)
            if block.name == "tour" and not self._found():
                wake(session)

    def _ids(self, session: Session) -> None:
        """Sends ids by themselves, where none was yet, and clears them again: with the value of a selector that needs
        it, each is sent in the tour.
        """
        ids = session.ids() if not session.alone and not self.result.expected_left.get(session.id) else {}
        if ids:
            session.update("ids alone", ids)
            if session.clears:
                session.ask("null to clear ids", dict.fromkeys(ids), dict.fromkeys(ids, "null"))

    def _walk_block(self, session: Session, block: Block, after: int) -> None:
        """Walks through one block, and reads the lists that belong to it; *after* are the requests that follow."""
        # Several lists, so that each field is seen with more than one value.
        lists = self.plan.profile.thorough and session is self.sessions[0]
        if block.name == "silence":
            self._ask(session, block, after, unusual=lists)
            return
        parts: Iterable[tuple[Block, str]] = ((block, ""),)
        if lists and block.name == "tour":
            parts = block.parts(self.generator.enums, self.generator.marker or "")
        for part, when in parts:
            Walk(session, part, self._enough).walk()
            if when and not self._enough():
                self.neighbours.read_list(when)
        if block.name == "refusals" and self.neighbours.late:
            self.neighbours.read_list("before")
        if block.name == "identity" and (session.known is not None or not recall(session)):
            session.read("read after the id was sent")

    def _ask(self, session: Session, block: Block, after: int, *, unusual: bool) -> None:
        """Walks through what the documents are silent about: less of it where what was refused together had to be asked
        again one by one.
        """
        while block.cases:
            part, when, block = self._fitted(session, block, block.cost + after).opening(unusual=unusual)
            Walk(session, part, self._enough).walk()
            if when and not self._enough():
                self.neighbours.read_list(when)
            unusual = unusual and not when

    def _explore(self, session: Session) -> None:
        """Lets the state machine run: with the budget that it is given, or with what is left of a small one."""
        whole = self.plan.profile.explore
        if (whole or self._explores(session)) and any(block.name == "tour" for block in self.plan.blocks):
            from contract.explore import explore

            explore(session, self.settings, most=self.each, small=not whole)

    def _explores(self, session: Session) -> bool:
        """True where a small part of the run is the state machine's, as far as is known."""
        mine = self.first and session is self.sessions[0] and self.plan.profile.thorough
        # What had to be sent again may have to be on the way back as well.
        return mine and not self._found() and not session.sender.again

    def _in_turns(self, session: Session) -> None:
        """Notes what only shows over all answers together."""
        noted = [(one, self.judge.shown(one.response, session.id)) for one in self.ledger.interactions]
        views = [(one.case.operation, record) for one, record in noted if record is not None]
        result = self.judge.in_turns(views)
        reads = [one for one, record in noted if record is not None and one.case.operation == self.contract.retrieve.id]
        for failure in self.ledger.add(reads[-1], result, self.budget.spent) if reads else ():
            failure.confirmed = True

    def _fitted(self, session: Session, block: Block, cost: int) -> Block:
        """*block*, with less in it where there are not enough requests for it and what follows, *cost* in all: an
        API may make a run dearer than planned, and what was found is looked into rather than asking more
        where the documents are silent.
        """
        found = block.name == "silence" and self._found()
        if not (found or (block.name in {"tour", "silence"} and self.plan.profile.thorough)):
            return block
        over = self._over(session, cost)
        if session.sheds and self.result.expected_left.get(session.id):
            # Each value of a selector is visited on the way back, to be left again.
            over += sum(len(self.generator.enums[name]) for name in self.generator.selectors)
        if block.name == "tour":
            names = self.generator.selectors
            # The lists are read in it; `CLOSING` knows of four.
            more = CLOSING + LISTS - 4 + (EXPLORED if self._explores(session) else 2) - self.late
            return block.thinned(over + more, names, (self.snapshots[session.id], self.plan.final))
        # Where reads mislead, the way back is a long one; which of many refusals left a trace is found by halves.
        traces = any(under(f.finding.rule, "rejection.no_trace") for f in session.failures())
        investigation = INVESTIGATION + AFTERWARDS * (session.misread > 1) + 2 * AFTERWARDS * traces
        return block.thinned(over + CLOSING + investigation if found else over + LAST - AFTERWARDS)

    def _over(self, session: Session, cost: int) -> int:
        """Requests that lack for *cost* more, where as many have to be sent again as had to so far."""
        sent, again = session.sender.count, session.sender.again
        return cost + (cost + OVERHEAD) * again // max(1, sent - again) - (self.each - sent)

    def _learn(self, session: Session) -> None:
        """Finds out whether null empties what was found empty, before much is written.

        Raises:
            Undecided: it does not, and nobody said that the run may go on all the same.
        """
        stuck = self.result.expected_left[session.id]
        new = uncleared(session, self.snapshots[session.id], stuck)
        if not new:
            return
        with self.lock:
            stuck |= new
            self._expect_parts()
        if not self.settings.allow_unrestorable:
            self.budget.stop(self._cannot_restore())
            raise Undecided(self.budget.stopped)

    def _only_read(self) -> None:
        """Looks once more at what was seen in reads, where nothing may be written."""
        if self.neighbours.late:
            self.neighbours.read_list("before")
        for session in self.sessions:
            if session.failures():
                session.read("the record once more")
        self._unlooked()

    def _unlooked(self) -> None:
        """Settles what nobody can look into any more."""
        self.ledger.fold()
        noise = sum(s.sender.noise for s in self.sessions) + self.gone
        alone = not (self.ledger.bygone or any(s.foreign for s in self.sessions))
        self.ledger.settle(noise, alone=alone, early=all(len(s.updates) < FEW for s in self.sessions))

    def _enough(self) -> bool:
        """True where something is found, and nothing more is to be sent: there would be no time to look into it."""
        return (self.brief or self.budget.left < min(INVESTIGATION, self.budget.requests // 4)) and self._found()

    def _found(self) -> bool:
        """True where a bounded run has found something that fails it."""
        if self.plan.profile.explore:
            return False
        ledger = self.ledger
        return any(not ledger.weak(f.finding.rule) and ledger.accepted(f) is None for f in ledger.failures)

    def _put_back(self, held: list[Custody]) -> None:
        """Puts every record back; a journal goes only when that was proved."""
        self.budget.restore()
        # Each for itself: where this tool fails on one of them, the others are put back all the same.
        try:
            _side_by_side([partial(self._put_one_back, *pair) for pair in zip(self.sessions, held, strict=True)])
        finally:
            done = self.result.restored
            self.result.restored = {s.id: done[s.id] for s in self.sessions if s.id in done}

    def _put_one_back(self, session: Session, custody: Custody) -> None:
        found = self.snapshots[session.id]
        # What someone else wrote meanwhile is theirs, and stays; looking into it may have overwritten it.
        theirs = {n: now for n, (_, now) in session.foreign.items() if session.novel(n, now)}
        before = session.known
        done = restore(session, {**found, **theirs}, self.result.expected_left.get(session.id, {}))
        self._rewound(session, before)
        self._unechoed(session, done)
        if theirs:
            left = {**{n: (found[n], now) for n, now in theirs.items()}, **done.left}
            done = replace(done, verdict="not_restored", left=left, theirs=tuple(theirs))
        odd = tuple(n for n, value in found.items() if session.generator.marked(n, value))
        wrote = [(n, now) for n, (_, now) in session.foreign.items()]
        # What is written here by someone else is what a run like this one writes.
        if wrote and not odd and (self.ledger.bygone or any(session.generator.marked(n, now) for n, now in wrote)):
            note = "another run writes to it at the same time, and may put back what this one wrote"
            done = replace(done, verdict="not_restored", note=done.note or note)
        self.result.restored[session.id] = replace(done, way=custody.way, accepted=(), replaced={}, odd=odd)
        # What was tried in every way there is needs no journal: that stays only where trying again may help.
        if done.verdict != "not_restored" or not done.note:
            custody.journal.remove()

    def _unechoed(self, session: Session, done: Restored) -> None:
        """Notes what is left because updates on the way back were accepted twice, and did not write what every API takes."""
        takes = session.generator.takes
        # An enumerated value may have been found where it cannot be set any more.
        stuck = {n for n, (was, _) in done.left.items() if n in session.generator.free and takes(n, was)}
        seen = set[str]()
        for interaction in done.accepted if stuck and not session.foreign else ():
            result, again = self.judge.judge(interaction), Judgement()
            found = [f for f in result.findings if under(f.rule, "echo") and f.name in stuck]
            again.findings = [f for f in found if f.rule in seen]
            seen |= {f.rule for f in found}
            for failure in self.ledger.add(interaction, again, self.budget.spent) if again.findings else ():
                failure.confirmed = True
                self.ledger.fold()

    def _rewound(self, session: Session, before: JSONObject | None) -> None:
        """Notes where the record, put back, shows the time stamp that was found with it: an API may keep that with what
        it belongs to. Nothing may be written to see it again.
        """
        found, now = self.snapshots[session.id], session.known
        if before is None or now is None or session.last is None:
            return
        case = Case(label="read after it was put back", operation=self.contract.retrieve.id)
        interaction = Interaction(case=case, response=session.last, before=before, id=session.id)
        result, shown = self.judge.judge(interaction), Judgement()
        back = [f for f in result.findings if of_time(f.rule, "forward")]
        shown.findings = [f for f in back if f.actual == found.get(f.name)]
        for failure in self.ledger.add(interaction, shown, self.budget.spent) if shown.findings else ():
            failure.confirmed = True


def _side_by_side(calls: Sequence[Callable[[], T]], failed: Callable[[], None] = lambda: None) -> list[T]:
    """What *calls* return, each of them in a thread of its own; *failed* is called at the first exception,
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


def restore_all(settings: Settings, credentials: Mapping[str, str]) -> dict[str, Restored]:
    """Puts back what interrupted runs left changed in one environment.

    Raises:
        ConfigError, SpecError: something that was given cannot be used.
        CustodyError: another run is at work on a record.
        SendError, Undecided: the API cannot be reached or refuses the credentials.
    """
    settings.need("base_url")
    contract = specs.load(settings.spec or None)
    given = need_credentials(contract, Credentials(**credentials))
    folder = state_directory(settings.state_dir)
    done: dict[str, Restored] = {}
    for _, found in Journal.all(folder, settings.base_url):
        id = str(found["id"])
        custody = Custody(folder, settings.base_url, id, settings.spec)
        try:
            held = custody.acquire(resume=True)
        except CustodyError as error:
            done[id] = Restored(verdict="not_restored", note=str(error), way=custody.way)
            continue
        with ExitStack() as stack:
            stack.callback(custody.release)
            if held is None:
                continue
            alone = replace(settings, ids=(id,), known_failures="")
            runner = Runner(alone, given, contract, plan(contract, profile="smoke"), None, None)
            runner.budget.restore()
            session = runner.session(id)
            stack.callback(session.sender.close)
            # What the interrupted run wrote of what is never shown, nobody knows.
            session.written |= {name for name, item in contract.request.fields.items() if item.write_only}
            put = restore(session, held["record"])
            known, now = writable(contract), session.now
            strange = [n for n in held.get("fields", ()) if n not in known and now.get(n) != held["record"].get(n)]
            if strange and not put.note:
                left = {**put.left, **{n: (held["record"].get(n), now.get(n)) for n in strange}}
                note = f"{', '.join(strange)} is nothing that this fragment can set; name that of the run with --spec"
                put = replace(put, verdict="not_restored", left=left, note=note)
            done[id] = replace(put, way=custody.way)
            if not done[id].note:
                custody.journal.remove()
    return done
