"""Shares one run out among processes: each takes an id that nobody has taken yet, and all get the whole result.

They meet in a folder. A lock for each id is held by the process that is at work on it, and let go of by
the system should that process die; a part for each id is what was found there. So no two write to one
record, and nobody waits for the dead.
"""

from __future__ import annotations

import pickle
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from filelock import FileLock, Timeout

from contract.config import Settings
from contract.errors import ContractError, Undecided
from contract.ledger import Ledger
from contract.plan import Plan
from contract.prepare import account, prepare
from contract.result import Result
from contract.rules import rules as rules_of
from contract.run import run
from contract.spec import Contract

__all__ = ["collected", "together"]

GRACE: Final = 60.0
"""Seconds beside `max_seconds` that another process may take, for putting its record back."""
PAUSE: Final = 0.02
"""Seconds between two looks at what the others have done."""
_SMALLER: Final[Mapping[str, str]] = {"s": "m", "m": "h"}


Part = tuple[Result, str]
"""What was found on one id, as it is handed from process to process, and why nothing was done at all, where nothing was."""


def together(
    settings: Settings,
    credentials: Mapping[str, str],
    folder: Path,
    *,
    workers: int = 1,
    only: frozenset[str] | None = None,
) -> Result:
    """Carries out one run together with whoever else calls this with the same *folder*.

    Raises:
        ContractError: as for `contract.run.run`, where no id could be worked on.
        Undecided: another process takes longer than it may.
    """
    settings.need("base_url", "ids")
    contract, made = prepare(settings, None, only)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    count = len(settings.ids)
    each = _fair(settings, workers)
    nothing = Result(
        contract=contract, settings=settings, plan=made, ledger=Ledger({}), started=datetime.now(UTC), only=only
    )
    patience = time.monotonic() + settings.max_seconds + GRACE
    while missing := [position for position in range(count) if not _part(folder, position).exists()]:
        done = next((part for p in missing if (part := _take(each, credentials, folder, p, nothing))), None)
        if done is not None and done.interrupted:
            break
        if done is not None:
            patience = time.monotonic() + settings.max_seconds + GRACE
        elif time.monotonic() > patience:
            raise Undecided(f"another process did not finish its part of the run: {settings.ids[missing[0]]}")
        else:
            time.sleep(PAUSE)
    return merge(settings, contract, made, _parts(folder, count), only)


def collected(settings: Settings, folder: Path) -> Result | None:
    """The result of the run that others carried out in *folder*, or nothing where none was begun.

    Raises:
        ContractError: as for `together`.
    """
    parts = _parts(folder, len(settings.ids))
    if not parts:
        return None
    only = parts[0][0].only
    contract, made = prepare(settings, None, only)
    result = merge(settings, contract, made, parts, only)
    if len(parts) < len(settings.ids) and not result.problem:
        result.problem = "a part of the run was not finished"
    return result


def _fair(settings: Settings, workers: int) -> Settings:
    """The settings of one share: what is limited for the whole run is divided by how many work at once."""
    count = len(settings.ids)
    at_once = min(count, max(1, workers))
    turns = -(-count // at_once)
    return replace(settings, max_seconds=settings.max_seconds / turns, rate=_divided(settings.rate, at_once))


def _divided(rate: str, by: int) -> str:
    """A rate such as ``50/s``, divided; over a longer time where that takes less than one request."""
    if not rate or by == 1:
        return rate
    number, _, unit = rate.partition("/")
    count = int(number)
    while count < by and unit in _SMALLER:
        count, unit = count * 60, _SMALLER[unit]
    return f"{max(1, count // by)}/{unit}"


def _part(folder: Path, position: int) -> Path:
    return folder / f"{position}.part"


def _parts(folder: Path, count: int) -> list[Part]:
    found = []
    for position in range(count):
        path = _part(folder, position)
        if path.exists():
            # Written by this run into a folder that is this user's alone.
            found.append(pickle.loads(path.read_bytes()))
    return found


def _take(
    settings: Settings, credentials: Mapping[str, str], folder: Path, position: int, nothing: Result
) -> Result | None:
    """Does one share, if nobody else is at it or has done it; the result is *nothing* where nothing can be done."""
    path = _part(folder, position)
    try:
        with FileLock(str(folder / f"{position}.lock"), timeout=0):
            if path.exists():
                return None
            error, result = "", replace(nothing, started=datetime.now(UTC))
            try:
                result = run(settings, credentials, only=nothing.only, share=(position, folder / "tally"))
            except ContractError as problem:
                error = str(problem)
            temporary = path.with_suffix(".new")
            temporary.write_bytes(pickle.dumps((result, error)))
            temporary.replace(path)
            return result
    except Timeout:
        return None


def merge(settings: Settings, contract: Contract, made: Plan, parts: list[Part], only: frozenset[str] | None) -> Result:
    """The parts of a run as one result; failures are folded anew, because one cause may show in several parts.

    Raises:
        ContractError: nothing was done in any of them.
    """
    if parts and all(error for _, error in parts):
        raise ContractError(parts[0][1])
    ledger = account(settings, rules_of(contract), only)
    started = min(part.started for part, _ in parts)
    ended = max(part.started + timedelta(seconds=part.seconds) for part, _ in parts)
    result = Result(contract=contract, settings=settings, plan=made, ledger=ledger, started=started, only=only)
    result.seconds = (ended - started).total_seconds()
    for part, error in parts:
        found = part.ledger
        for failure in found.failures:
            failure.number += result.requests  # The requests of the whole run are counted, part after part.
        ledger.failures += found.failures
        ledger.counts.update(found.evidence)
        ledger.observations += found.observations
        ledger.bygone = ledger.bygone or found.bygone
        ledger.interactions += found.interactions
        ledger.reasons |= {rule: why for rule, why in found.reasons.items() if rule not in ledger.reasons}
        result.requests += part.requests
        result.problem = result.problem or error or part.problem
        result.interrupted = result.interrupted or part.interrupted
        result.noise += part.noise
        result.exchanges += part.exchanges
        result.restored |= part.restored
        result.expected_left |= part.expected_left
        result.foreign |= part.foreign
        if error:
            ledger.reasons.setdefault("", f"a part of the run was left out: {error}")
    if len(parts) > 1:
        ledger.unfold()
        ledger.fold()
        _settle(result)
    return result


def _settle(result: Result) -> None:
    """Calls broken what no process saw again, and several saw: it was no accident."""
    for rule, failures in result.ledger.causes().items():
        unseen = len(failures) > 2 and all(failure.confirmed is False for failure in failures)
        alone = result.noise == 0 and result.ledger.own(rule, written=bool(result.foreign))
        if unseen and alone and len({failure.number for failure in failures}) > 1:
            for failure in failures:
                failure.confirmed = True
