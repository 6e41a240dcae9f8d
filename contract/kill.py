"""The kill table: proof that every rule can fail, and that none cries wolf.

Each defect of the reference server has to be called broken by a rule that names its cause; the
clean server and each lawful variant must not be. A generic mutator, which changes one field of the
answers at a time, measures what no list of known defects can.
"""

from __future__ import annotations

import fnmatch
import multiprocessing
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

import httpx

from contract import reference
from contract import spec as specs
from contract.config import Settings
from contract.errors import ConfigError
from contract.report import Style
from contract.result import Result
from contract.run import run

__all__ = ["MUTATIONS", "Trial", "mutants", "names", "run_against", "table", "trial"]


MUTATIONS: Final[dict[str, Callable[[Any], Any]]] = {
    "null": lambda value: None,
    "blank": lambda value: "" if isinstance(value, str) else [],
    "type": lambda value: 7 if isinstance(value, str) else "7",
    "wrapped": lambda value: [value],
    "case": lambda value: value.swapcase() if isinstance(value, str) else [v.swapcase() for v in value],
    "appended": lambda value: value + "x" if isinstance(value, str) else [*value, "x"],
    "truncated": lambda value: value[:-1],
}
"""What is done to a value that is not null, beside dropping its field."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One run of the kill table."""

    kind: str
    """``clean``, ``defect``, ``variant`` or ``mutant``."""
    name: str
    verdict: str
    broken: tuple[str, ...]
    requests: int
    problem: str = ""
    applied: int = 1
    """Answers that a mutant changed."""


def names() -> Iterator[str]:
    """Every defect and variant, with what it does."""
    for defect in reference.DEFECTS.values():
        yield f"defect   {defect.name:<34} {defect.summary}"
    for variant in reference.VARIANTS.values():
        yield f"variant  {variant.name:<34} {variant.summary}"


def mutants() -> list[str]:
    """The names of all mutants: ``field:mutation:where``."""
    contract = specs.load()
    places = ("everywhere", *dict.fromkeys([contract.update.id, *(link.operation for link in contract.update.links)]))
    return [f"{name}:{kind}:{where}" for name in contract.record for kind in ("drop", *MUTATIONS) for where in places]


class _Mutator:
    """Changes one field of every record in the answers."""

    def __init__(self, name: str) -> None:
        self.field, self.kind, self.where = name.split(":")
        self.applied = 0

    def __call__(self, operation: str, status: int, body: Any) -> Any:
        if status != 200 or self.where not in {"everywhere", operation} or not isinstance(body, dict):
            return body
        if "data" in body:
            return {**body, "data": [self._record(record) for record in body["data"]]}
        return self._record(body)

    def _record(self, record: dict[str, Any]) -> dict[str, Any]:
        if self.field not in record:
            return record
        value = record[self.field]
        if self.kind == "drop":
            self.applied += 1
            return {name: v for name, v in record.items() if name != self.field}
        if value is None:
            return record
        changed = MUTATIONS[self.kind](value)
        self.applied += changed != value
        return {**record, self.field: changed}


def run_against(
    server: reference.Running,
    state: str,
    *,
    transport: httpx.BaseTransport | None = None,
    brief: bool = False,
    **limits: Any,
) -> Result:
    """Carries out one run against a reference server, with its journals in the folder *state*."""
    settings = Settings(
        base_url=server.base_url,
        ids=server.ids[:1],
        bystander_ids=server.ids[3:4],
        foreign_ids=server.foreign_ids[:1],
        resources=dict(server.resources),
        state_dir=state,
        **limits,
    )
    given = {"username": server.username, "password": server.password, "token": ""}
    return run(settings, given, transport=transport, brief=brief)


def trial(kind: str, name: str) -> Trial:
    """Runs the standard profile against the reference server with one defect, variant or mutant.

    A mutant is not looked into any further once something is found; where that does not prove it, all is sent.
    """
    if kind == "mutant" and (brief := _trial(kind, name, brief=True)).verdict == "broken":
        return brief
    return _trial(kind, name)


def _trial(kind: str, name: str, *, brief: bool = False) -> Trial:
    mutator = _Mutator(name) if kind == "mutant" else None
    options = {kind: name} if kind in {"defect", "variant"} else {}
    with (
        reference.running(defect=options.get("defect"), variant=options.get("variant"), mutate=mutator) as server,
        tempfile.TemporaryDirectory() as state,
    ):
        found = run_against(
            server,
            state,
            # A run with less than a minute to spare does not rest; what only shows after a rest needs more.
            max_seconds=600 if kind == "defect" and name.startswith("clock-") else 60,
            allow_unrestorable=kind == "variant",
            # A mutant changes bodies alone, and needs no socket.
            transport=reference.Direct(server) if mutator else None,
            brief=brief,
        )
    return Trial(
        kind=kind,
        name=name,
        verdict=found.verdict,
        broken=_broken(found),
        requests=found.requests,
        problem=found.problem,
        applied=mutator.applied if mutator else 1,
    )


def _broken(result: Result) -> tuple[str, ...]:
    return tuple(entry.rule.id for entry in result.entries if entry.verdict == "broken")


def named(one: Trial) -> str:
    """The broken rule that names the cause of a defect, or nothing."""
    patterns = reference.DEFECTS[one.name].breaks
    return next((rule for rule in one.broken if any(fnmatch.fnmatch(rule, p) for p in patterns)), "")


def table(only: str, jobs: int, with_mutants: bool, style: Style, echo: Callable[[str], Any]) -> int:
    """Prints the table; 0 where every defect is caught and everything lawful is called kept, else 1.

    Raises:
        ConfigError: nothing has a name like *only*.
    """
    work = [("clean", "clean")]
    work += [("variant", name) for name in reference.VARIANTS if fnmatch.fnmatch(name, only)]
    work += [("defect", name) for name in reference.DEFECTS if fnmatch.fnmatch(name, only)]
    changed = [("mutant", name) for name in mutants() if with_mutants and fnmatch.fnmatch(name, only)]
    if len(work) + len(changed) == 1:
        raise ConfigError(f"nothing is called {only!r}; see: contract defects --list")
    missed: list[Trial] = []
    survivors: list[Trial] = []
    counts: Counter[str] = Counter()
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=context) as pool:
        for one in pool.map(trial, *zip(*work, strict=True), chunksize=4):
            rule = named(one) if one.kind == "defect" else (one.broken[0] if one.broken else "")
            counts[one.kind] += 1
            right = bool(rule) if one.kind == "defect" else one.verdict == "kept"
            if not right:
                missed.append(one)
            more = f" and {len(one.broken) - 1} more" if len(one.broken) > 1 else ""
            word = style("ok  ", "kept") if right else style("MISS", "broken")
            echo(f"{word} {one.kind:<8}{one.name:<34} {one.verdict:<10}{one.requests:>4} requests  {rule}{more}")
    # These are short, and wait most of the time.
    with ProcessPoolExecutor(2 * jobs, mp_context=context) as pool:
        for one in pool.map(trial, *zip(*changed, strict=True), chunksize=4) if changed else ():
            counts["mutants"] += bool(one.applied)
            if one.applied and one.verdict != "broken":
                survivors.append(one)
    for one in survivors:
        echo(f"survivor {one.name}: {_why(one)}")
    caught = counts["defect"] - sum(one.kind == "defect" for one in missed)
    wolf = sum(one.kind != "defect" for one in missed)
    echo(f"{caught} of {counts['defect']} defects caught by the rule they break")
    echo(f"{wolf} of {counts['variant'] + counts['clean']} lawful servers not called kept")
    if counts["mutants"]:
        killed = counts["mutants"] - len(survivors)
        echo(f"{killed} of {counts['mutants']} mutants caught ({100 * killed / counts['mutants']:.1f} %)")
    return 1 if missed else 0


def _why(one: Trial) -> str:
    """Why a mutant cannot be told from a lawful answer, as far as the contract tells."""
    field, kind, where = one.name.split(":")
    contract = specs.load()
    item = contract.record[field]
    sent = field in contract.request.fields
    if kind == "drop" and not item.required:
        return "the field is optional"
    if kind == "null" and item.nullable and not sent:
        return "null is documented, and no request can set the field"
    if kind == "case" and item.format == "date-time":
        return "RFC 3339 allows small letters"
    if kind == "case" and item.format == "uuid":
        return "a UUID means the same in capitals"
    if not sent and where == "everywhere":
        return "no request can set the field, so nothing says what it should be"
    if one.problem:
        return f"the run stopped: {one.problem[:80]}"
    return "not explained"
