"""Writes down how a failure was seen, so that it can be sent again, and reads that back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import MISSING as UNSET
from dataclasses import dataclass, fields, replace
from typing import Any, Final, get_args

from contract.errors import ConfigError
from contract.ledger import Failure
from contract.model import MISSING, Case, Expect, Interaction, JSONObject, Pair, Target, under
from contract.spec import Contract

__all__ = ["Recipe"]

WRITES: Final = 2
"""Updates before a read that may have brought about what it shows."""
_WORDS: Final = {"expect": get_args(Expect), "credentials": get_args(Pair), "target": get_args(Target)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """What has to be sent for a failure to be seen again."""

    cases: tuple[Case, ...]
    """Sent in this order; the last one shows it, unless a read does."""
    read: bool = False
    """True where the read after the last case shows it."""
    state: JSONObject | None = None
    """Where the record stood before, as far as it can be written."""
    other: str = ""
    """The id of another record whose answer showed it."""

    @classmethod
    def of(cls, contract: Contract, failure: Failure, seen: Sequence[Interaction]) -> Recipe:
        """How *failure* was seen; *seen* are the interactions of the run."""
        cases, read, state = failure.cases, failure.read, failure.state
        if not cases:
            cases, read, state = _guessed(contract, failure, seen)
        if all(one.operation != contract.update.id for one in cases):
            # What a mere read shows depends on how the record stands while it is read.
            shown = failure.interaction.response.body
            state = shown if isinstance(shown, Mapping) else failure.interaction.before
        if cases[-1].repeat and len(cases) == 1:
            cases = tuple(cases[0].repeated())
        if other := failure.interaction.other:
            return cls(cases=cases, read=read, other=other)
        if state is not None:
            fields = contract.request.fields.items()
            state = {n: state[n] for n, item in fields if n in state and not item.write_only}
        return cls(cases=cases, read=read, state=state)

    @classmethod
    def parse(cls, data: Any, contract: Contract) -> Recipe:
        """The recipe that `data` gave.

        Raises:
            ConfigError: it is damaged, or about an operation that the contract lacks.
        """
        cases = data.get("cases") if isinstance(data, Mapping) else None
        if not isinstance(cases, list) or not cases:
            raise ConfigError("the run does not say how the failure was seen")
        state = data.get("state")
        return cls(
            cases=tuple(_case(one, contract) for one in cases),
            read=bool(data.get("read")),
            state=state if isinstance(state, Mapping) else None,
            other=str(data.get("other", "")),
        )

    def data(self) -> dict[str, Any]:
        """What ``run.json`` holds of it."""
        found: dict[str, Any] = {"cases": [_described(one) for one in self.cases], "read": self.read}
        if self.other:
            found["other"] = self.other
        elif self.state is not None:
            found["state"] = self.state
        return found


def _guessed(
    contract: Contract, failure: Failure, seen: Sequence[Interaction]
) -> tuple[tuple[Case, ...], bool, JSONObject | None]:
    """(cases, whether a read shows it, the record before them), where nobody saw it a second time."""
    update, interaction = contract.update.id, failure.interaction
    case, rule = interaction.case, failure.finding.rule
    if case.operation == update:
        body = failure.body if isinstance(failure.body, Mapping) else case.body
        return (replace(case, body=body),), False, interaction.before
    if not under(rule, "read_back", "rejection.no_trace", "access", "frame") or not failure.finding.pointer:
        return (case,), False, None
    place = next((i for i, one in enumerate(seen) if one.response is interaction.response), 0)
    writes = [one for one in seen[:place] if one.case.operation == update and one.id == interaction.id][-WRITES:]
    if not writes:
        return (case,), False, None
    cases = tuple(one.case for one in writes)
    if case.operation != contract.retrieve.id:
        return (*cases, case), False, writes[0].before
    return cases, True, writes[0].before


def _described(case: Case) -> dict[str, Any]:
    """A case without what is usual."""
    found: dict[str, Any] = {}
    for one in fields(Case):
        value = getattr(case, one.name)
        usual = one.default_factory() if one.default_factory is not UNSET else one.default
        if value is MISSING or value == usual:
            continue
        found[one.name] = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
    return found


def _case(data: Any, contract: Contract) -> Case:
    if not isinstance(data, Mapping) or data.get("operation") not in contract.operations:
        raise ConfigError("the failure is about an operation that the fragment does not have")
    known = {one.name for one in fields(Case)}
    given = {str(name): value for name, value in data.items() if name in known}
    for name, words in _WORDS.items():
        if given.get(name, words[0]) not in words:
            raise ConfigError(f"a recorded case is damaged: its {name} is {given[name]!r}")
    for name, kind in (("content", str), ("media_type", str), ("query", str), ("rule", str), ("open", Mapping)):
        if not isinstance(given.get(name, kind() if kind is str else {}), kind):
            raise ConfigError(f"a recorded case is damaged: its {name} is no {kind.__name__.lower()}")
    if "content" in given:
        given["content"] = given["content"].encode()
    given["absent"] = tuple(str(name) for name in given.get("absent", ()))
    if "away_from" in given:
        pair = given["away_from"]
        given["away_from"] = (str(pair[0]), str(pair[1])) if isinstance(pair, list) and len(pair) == 2 else None
    return Case(**{"label": "recorded", **given})
