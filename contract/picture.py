"""Turns the exchanges of a run into pictures: what was covered, and how long the answers took.

Only places are computed here; the page draws them. Which fields make the axes is read from the
contract: every selector has a matrix of its changes, and the largest one a matrix with each other.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from statistics import median, quantiles
from typing import Any, Final, Literal

from contract.ledger import Failure
from contract.result import Exchange, Result
from contract.spec import Field

__all__ = ["Cell", "Latency", "Matrix", "Series", "latency", "matrices"]

Kind = Literal["changes", "pairs"]
State = Literal["kept", "warned", "refused", "broken", "none"]
_ORDER: Final[tuple[State, ...]] = ("none", "kept", "warned", "refused", "broken")


@dataclass(frozen=True, slots=True)
class Cell:
    """One change, or one pair of values."""

    state: State = "none"
    """``refused`` where a documented update was answered with a 4xx, ``none`` where none was sent."""
    count: int = 0
    """How many updates of the plan led here."""
    case: str = ""
    """The label of the update that says most about it."""

    def seen(self, state: State, case: str, count: int = 1) -> Cell:
        """The same after another look, which only ever makes it worse."""
        worse = _ORDER.index(state) > _ORDER.index(self.state)
        return Cell(state if worse else self.state, self.count + count, case if worse else self.case)


@dataclass(frozen=True, slots=True, kw_only=True)
class Matrix:
    """Values by values."""

    kind: Kind
    down: str
    """The field whose values name the rows: for changes, the value before."""
    across: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    cells: Mapping[tuple[str, str], Cell] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """What it shows, in words."""
        return f"Changes of {self.down}" if self.kind == "changes" else f"Pairs of {self.down} and {self.across}"

    @property
    def wanted(self) -> int:
        """How many cells there are to reach; a value that stays as it is is no change."""
        own = len(self.rows) if self.kind == "changes" else 0
        return len(self.rows) * len(self.columns) - own

    def cell(self, row: str, column: str) -> Cell:
        """The cell of two values."""
        return self.cells.get((row, column), Cell())

    def place(self, state: State) -> list[tuple[str, str, Cell]]:
        """Every (row, column, cell) in *state*; the diagonal of changes is never missing."""
        return [
            (row, column, self.cell(row, column))
            for row in self.rows
            for column in self.columns
            if self.cell(row, column).state == state
            and not (state == "none" and self.kind == "changes" and row == column)
        ]

    @property
    def counts(self) -> Counter[State]:
        """How many cells are in each state, the diagonal of changes left out."""
        skip = self.kind == "changes"
        return Counter(self.cell(a, b).state for a in self.rows for b in self.columns if not (skip and a == b))


def matrices(result: Result) -> list[Matrix]:
    """The changes of the largest selector, its pairs with each other one, and the changes of these."""
    selectors = result.contract.request.selectors
    if not selectors:
        return []
    primary, *others = sorted(selectors, key=lambda name: -len(selectors[name].choices))
    values = {name: tuple(map(str, item.choices)) for name, item in selectors.items()}
    axes: list[tuple[Kind, str, str]] = [
        ("changes", primary, primary),
        *(("pairs", primary, name) for name in others),
        *(("changes", name, name) for name in others),
    ]
    made = [
        Matrix(kind=kind, down=down, across=across, rows=values[down], columns=values[across])
        for kind, down, across in axes
        if kind == "pairs" or len(values[down]) > 1
    ]
    walk = _Walk(result, selectors)
    for exchange in result.exchanges:
        walk.see(exchange)
    return [replace(matrix, cells=walk.cells.get((matrix.kind, matrix.down, matrix.across), {})) for matrix in made]


class _Walk:
    """Follows the exchanges of a run and notes which changes and pairs the updates of its plan led to."""

    def __init__(self, result: Result, selectors: Mapping[str, Field]) -> None:
        self.contract = result.contract
        self.selectors = selectors
        self.ids = result.settings.ids
        self.planned = {case.label for case in result.plan.cases if case.expect == "accept"}
        self.counted: set[tuple[str, str]] = set()
        self.state: dict[str, dict[str, Any]] = {}
        self.last: dict[str, list[tuple[tuple[str, str, str], tuple[str, str], str]]] = {}
        self.cells: dict[tuple[str, str, str], dict[tuple[str, str], Cell]] = {}
        self.failures: dict[tuple[str, float], list[Failure]] = {}
        for failure in result.ledger.failures:
            if failure.confirmed is not False:
                # The answer itself may have been let go of where it is large; the moment is its own.
                key = (failure.interaction.id, failure.interaction.response.at)
                self.failures.setdefault(key, []).append(failure)
        self.weak = result.ledger.weak

    def see(self, exchange: Exchange) -> None:
        """Notes one exchange."""
        case = exchange.case
        update, retrieve = self.contract.update.id, self.contract.retrieve.id
        if case.target != "own" or case.operation not in {update, retrieve}:
            return
        record = self._record(exchange)
        before = self.state.setdefault(record, {})
        shown = _shown(exchange)
        if case.operation == retrieve:
            # What a read shows to be wrong was brought about by the update before it.
            for matrix, place, label in self.last.get(record, []):
                if (state := self._failed(exchange, matrix, place)) is not None:
                    self._note(matrix, place, state, label, 0)
        elif case.label in self.planned and (record, case.label) not in self.counted and isinstance(case.body, Mapping):
            self.counted.add((record, case.label))
            self._update(exchange, record, before, case.body)
        if shown is not None:
            before.update({name: shown[name] for name in self.selectors if name in shown})

    def _update(self, exchange: Exchange, record: str, before: Mapping[str, Any], body: Mapping[str, Any]) -> None:
        primary = max(self.selectors, key=lambda name: len(self.selectors[name].choices))
        after = {**before, **{name: body[name] for name in self.selectors if name in body}}
        places: list[tuple[tuple[str, str, str], tuple[str, str]]] = [
            (("changes", name, name), (before[name], body[name]))
            for name in self.selectors
            if name in body and name in before
        ] + [
            (("pairs", primary, name), (after[primary], after[name]))
            for name in self.selectors
            if name != primary and primary in after and name in after
        ]
        self.last[record] = []
        for matrix, place in places:
            if any(isinstance(value, (dict, list)) for value in place):
                continue  # Such an answer is wrong, and told as that.
            refused = exchange.response.refused
            state: State = "refused" if refused else self._failed(exchange, matrix, place) or "kept"
            self._note(matrix, place, state, exchange.case.label, 1)
            if exchange.response.ok:
                self.last[record].append((matrix, place, exchange.case.label))

    def _note(self, matrix: tuple[str, str, str], place: tuple[str, str], state: State, label: str, count: int) -> None:
        cells = self.cells.setdefault(matrix, {})
        cells[place] = cells.get(place, Cell()).seen(state, label, count)

    def _failed(self, exchange: Exchange, matrix: tuple[str, str, str], place: tuple[str, str]) -> State | None:
        """Whether something broke that has to do with these values: a selector, its companions, or the whole answer."""
        _, down, across = matrix
        names = {down, across}
        for name, value in ((down, place[0]), (across, place[1])):
            choice = self.selectors[name].choices.get(value)
            names |= set(choice.companions) if choice is not None else set()
        mine = [
            f
            for f in self.failures.get((self._record(exchange), exchange.response.at), [])
            if not f.finding.pointer or f.finding.root in names
        ]
        if not mine:
            return None
        return "warned" if all(self.weak(f.finding.rule) for f in mine) else "broken"

    def _record(self, exchange: Exchange) -> str:
        url = exchange.url.partition("?")[0]
        path = self.contract.operations[exchange.case.operation]
        return next((one for one in self.ids if url.endswith(path.url(one))), "")


def _shown(exchange: Exchange) -> Mapping[str, Any] | None:
    """The record in a success of the update or the retrieve."""
    body = exchange.response.body
    return body if exchange.response.ok and isinstance(body, Mapping) else None


# --------------------------------------------------------------------------- latency


@dataclass(frozen=True, slots=True)
class Series:
    """The answers of one operation: (position in the run, milliseconds), in order."""

    operation: str
    label: str
    points: tuple[tuple[int, float], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """How long every answer took."""

    series: tuple[Series, ...]
    count: int
    median: float
    """Milliseconds, as all of these."""
    p95: float
    slowest: tuple[tuple[int, str, float], ...]
    """(position, label of the case, milliseconds), the slowest first."""
    low: float
    """The least that the scale shows: a power of ten, or two or five times one."""
    high: float

    @property
    def ticks(self) -> list[float]:
        """Where the scale has a line: 1, 2 and 5 times each power of ten, or only the powers, where they are many."""
        decades = math.log10(self.high / self.low)
        steps = (1, 2, 5) if decades < 3 else (1,)
        powers = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        found = (step * 10.0**power for power in powers for step in steps)
        return [tick for tick in found if self.low * 0.999 <= tick <= self.high * 1.001]

    def height(self, milliseconds: float) -> float:
        """Where *milliseconds* stand between the ends of the scale, 0 to 1; the scale is logarithmic."""
        span = math.log(self.high / self.low)
        return min(1.0, max(0.0, math.log(max(milliseconds, self.low) / self.low) / span))


def latency(result: Result) -> Latency | None:
    """How long the answers of *result* took; nothing where there are none."""
    exchanges = sorted(result.exchanges, key=lambda exchange: exchange.response.at)
    timed = [(i, e, max(0.001, e.response.elapsed * 1000)) for i, e in enumerate(exchanges, 1)]
    if not timed:
        return None
    found: dict[str, list[tuple[int, float]]] = {}
    for i, exchange, took in timed:
        found.setdefault(exchange.case.operation, []).append((i, took))
    times = [took for _, _, took in timed]
    order = [result.contract.update.id, *result.contract.operations]
    slowest = sorted(timed, key=lambda entry: -entry[2])[:5]
    return Latency(
        series=tuple(
            Series(id, result.contract.operations[id].label, tuple(points))
            for id, points in sorted(found.items(), key=lambda entry: order.index(entry[0]))
        ),
        count=len(times),
        median=median(times),
        p95=quantiles(times, n=20, method="inclusive")[-1] if len(times) > 1 else times[0],
        slowest=tuple((i, exchange.case.label, took) for i, exchange, took in slowest),
        low=_round(min(times), up=False),
        high=_round(max(times) * 1.02, up=True),
    )


def _round(value: float, up: bool) -> float:
    """The next number of the row …, 0.5, 1, 2, 5, 10, … that is not on the wrong side of *value*."""
    power = 10.0 ** math.floor(math.log10(value))
    steps: Iterator[float] = (step * power for step in ((1, 2, 5, 10) if up else (5, 2, 1)))
    if up:
        return next((step for step in steps if step >= value), 10 * power)
    return next((step for step in steps if step < value), 0.5 * power)
