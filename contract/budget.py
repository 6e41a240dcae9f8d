"""What a run may spend: requests and seconds, counted over all of its threads and processes.

How the 300 requests of a standard run are divided, with the bundled fragment, an id for each resource, one bystander,
and an API that does nothing wrong:

* 3 to find out what is there, and what can be put back
* 34 for access and refusals, the list before them among these
* 30 for omissions, and for clearing companions before them
* 157 for the tour: 137 updates, as many reads as there is room for, 10 lists
* 9 for reads without leave, 6 bodies by chance, 41 where the documents are silent, 2 for an id in other letters
* 3 for the state machine, `EXPLORED` at the most
* 3 for the bystanders, and 3 for the way back

The eight that are left are for looking into what is found last, or for a longer way back: `RESERVE` is kept
for nothing else.

Where something is found, less is asked on which the documents are silent, until there are `INVESTIGATION` requests
for looking into it, at most `ONE_RULE` for one rule.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from contract.errors import Undecided

__all__ = [
    "AFTERWARDS",
    "ASTRAY",
    "AT_ONCE",
    "A_SEQUENCE",
    "BESIDE_RANDOM",
    "CLOSING",
    "EXPLORED",
    "INVESTIGATION",
    "IN_PARTS",
    "LAST",
    "LISTS",
    "LOOKING_BACK",
    "MARGIN",
    "MAX_TOTAL",
    "ONCE_MORE",
    "ONE_RULE",
    "OVERHEAD",
    "PER_RECORD",
    "PROOF",
    "RESERVE",
    "RESTING",
    "SIGHTS",
    "USUAL",
    "Budget",
    "shortest",
]

RESERVE: Final = 8
"""Requests that are kept for putting one record back."""
AT_ONCE: Final = 5
"""Requests that are enough to put a record back where one update, and one with nulls, do it as far as is known."""
IN_PARTS: Final = 14
"""Requests that are kept for the way back, beside the others, where documented bodies are refused or fail: it may
have to be gone in parts."""
ONCE_MORE: Final = 2
"""Requests that are kept for it, beside the others, where answers do not show what was sent: an update and a read."""
ASTRAY: Final = 22
"""Requests that are kept for it, beside the others, where reads do not show what was written."""
LISTS: Final = 10
"""Lists that are read on the tour."""
OVERHEAD: Final = 26 + LISTS
"""Requests of a run beside its plan: reads before and after, lists, custody, restoring."""
MARGIN: Final = 2
"""Requests that a run keeps free where nothing was found."""
PROOF: Final = 3
"""Reads that prove a block of refusals, about; and updates that clear what has to be absent."""
BESIDE_RANDOM: Final = 5
"""Requests of the random part beside the bodies that Hypothesis draws."""
EXPLORED: Final = 4
"""Requests of the state machine in a standard run."""
LOOKING_BACK: Final = 6
"""Requests that the state machine leaves for reading other records again, and for what that may show."""
LAST: Final = 4
"""Requests after what is asked where the documents are silent, beside those that the plan counts."""
CLOSING: Final = 10
"""Requests after the last block, and those that a lawful API may cost more than was planned."""
AFTERWARDS: Final = 8
"""Requests that the plan leaves, beside the way back, for looking into what it found in its last part."""
INVESTIGATION: Final = 28
"""Requests that a run needs for looking into failures: where there are any, it asks less of what the documents
are silent about, and does not ask for anything by chance."""
ONE_RULE: Final = 14
"""The most requests that looking into one rule may cost."""
A_SEQUENCE: Final = 8
"""Requests more where it may take several updates, one after the other, to show it."""
PER_RECORD: Final = 30
"""Requests that a run may send more for each record beside the first."""
SIGHTS: Final = 12
"""Requests of the record that also sees to the lists and to the state machine, beside its share of the cases."""
RESTING: Final = 20
"""Requests that another record may send while one rests, about."""
MAX_TOTAL: Final = 32_000_000
"""The most bytes that all answers of a run may have together, beside `USUAL` for each."""
USUAL: Final = 20_000
"""Bytes that an answer may have without counting towards `MAX_TOTAL`."""


class Budget:
    """Requests and seconds that a run may still spend, and its rate; shared by all of its threads.

    What is kept in reserve is for putting the records back, and only `restoring` releases it.
    """

    def __init__(
        self,
        requests: int,
        seconds: float,
        reserve: int = 0,
        clock: Callable[[], float] = time.monotonic,
        rate: str = "",
        most: int | None = None,
    ) -> None:
        self.requests = requests
        self.most = requests + requests // 4 if most is None else most
        self.seconds = seconds
        self.reserve = reserve
        self.clock = clock
        self.started = clock()
        self.spent = 0
        self.granted = 0
        self.received = 0
        """Bytes of answers beyond `USUAL`."""
        self.restoring = False
        self.stopped = ""
        self.patience = 0.0
        """The moment until which restoring waits for an API that does not answer."""
        self.tally: Path | None = None
        """A file that grows by a byte with each request, where several processes share one budget."""
        self._counted = 0
        self._limit = _limiter(rate)
        self._end = self.started + seconds
        self._lock = threading.Lock()

    @property
    def left(self) -> int:
        """Requests that may still be sent without touching the reserve."""
        return max(0, self.requests - self.spent - self.elsewhere - (0 if self.restoring else self.reserve))

    @property
    def elsewhere(self) -> int:
        """Requests that other processes took from the same budget."""
        if self.tally is None or self.restoring:
            return 0
        return (self.tally.stat().st_size if self.tally.exists() else 0) - self._counted

    @property
    def time_left(self) -> float:
        """Seconds until the run has to end; a tenth, at most 30 seconds, is kept for restoring."""
        left = self._end - self.clock()
        return left if self.restoring else left - min(30.0, self.seconds / 10)

    def restore(self) -> None:
        """Releases the reserve: from now on the records are put back.

        An API that answers gets 20 seconds at least, because what was changed belongs to others; one
        that does not is waited for as long as half of what is left, but between 2 and 10 seconds.
        """
        now = self.clock()
        self.patience = now + min(10.0, max(2.0, (self._end - now) / 2))
        self._end = max(self._end, now + 20.0)
        self.restoring = True

    def take(self) -> None:
        """Counts one request.

        Raises:
            Undecided: there is none left, or the run was told to stop.
        """
        with self._lock:
            if not self.restoring:
                if self.stopped:
                    raise Undecided(self.stopped)
                if self.spent + self.elsewhere >= self.requests - self.reserve:
                    whose = ", which the profile sets," if self.requests < self.most else ""
                    raise Undecided(f"the budget of {self.requests} requests{whose} is spent")
                if self.time_left <= 0:
                    raise Undecided(f"the budget of {self.seconds:g} seconds is spent")
                if self.tally is not None:
                    with self.tally.open("ab", buffering=0) as file:
                        file.write(b".")
                    self._counted += 1
            elif self.time_left <= 0:
                raise Undecided("the time for putting the record back is spent")
            self.spent += 1

    def pace(self, sleep: Callable[[float], None]) -> None:
        """Waits until the rate allows one request more; not for long where the records are put back, which is worth more
        than the rate.

        Raises:
            Undecided: that would take longer than the run may, or the run was told to stop.
        """
        while self._limit is not None and not self._limit():
            if self.restoring and self.clock() >= self.patience:
                return
            if self.stopped and not self.restoring:
                raise Undecided(self.stopped)
            if self.time_left <= 0:
                raise Undecided(f"the budget of {self.seconds:g} seconds is spent, at the rate that was set")
            sleep(0.02)

    def receive(self, size: int) -> None:
        """Counts the bytes of an answer.

        Raises:
            Undecided: the answers are too large to be kept.
        """
        with self._lock:
            self.received += max(0, size - USUAL)
            if self.received > MAX_TOTAL and not self.restoring:
                raise Undecided(f"the answers are larger than {MAX_TOTAL:,} bytes together")

    def grant(self) -> None:
        """Allows one request more: one was put off or lost, which says nothing about the contract."""
        with self._lock:
            if self.granted < self.requests // 4 and self.requests < self.most:
                self.granted += 1
                self.requests += 1

    def stop(self, reason: str) -> None:
        """Lets every thread end before its next request."""
        self.stopped = self.stopped or reason


def shortest(requests: int, rate: str) -> float:
    """The least seconds that so many requests take at a rate such as ``50/s``."""
    count, seconds = _parts(rate) if rate else (1, 0)
    return (requests - 1) // count * seconds


def _parts(rate: str) -> tuple[int, int]:
    """Requests, and the seconds in which so many may be sent."""
    count, _, unit = rate.partition("/")
    return int(count), {"s": 1, "m": 60, "h": 3600}[unit]


def _limiter(rate: str) -> Callable[[], bool] | None:
    """Something that says whether one request more is allowed now, for a rate such as ``50/s``; nothing
    where there is no limit.
    """
    if not rate:
        return None
    from pyrate_limiter import Duration, Limiter, Rate

    count, seconds = _parts(rate)
    limiter = Limiter(Rate(count, Duration.SECOND * seconds))
    return lambda: bool(limiter.try_acquire("contract", blocking=False))
