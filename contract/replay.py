"""Sends recorded failures again, each with the state that it needs, and says what became of them.

The record is in custody meanwhile, as in a run: snapshot, journal, and the way back. That a failure is
fixed takes more than not to see it: the rule must have been exercised, with the record as it stood.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

import jsonschema_rs

from contract.answer import Judgement
from contract.check import MOVES_AFTER
from contract.config import Settings
from contract.errors import ConfigError, SendError, Undecided, nearest
from contract.ledger import Failure, of_acceptance
from contract.mask import plain
from contract.model import Finding, Interaction, JSONObject, Response, is_empty, of_time, under
from contract.plan import plan
from contract.prepare import need_credentials
from contract.recipe import Recipe
from contract.report import Style, unstyled
from contract.reproduce import Look
from contract.restore import establish
from contract.result import Result
from contract.run import Runner
from contract.send import Credentials
from contract.session import Session
from contract.shape import same
from contract.spec import Contract

__all__ = ["Outcome", "Recorded", "failures", "lines", "replay", "status"]

Verdict = Literal["fixed", "still_broken", "could_not_tell"]

ROUNDS: Final = 4
"""How often a failure must not be seen for it to be called fixed."""
MORE_ROUNDS: Final = 5
"""How often a failure that befalls only some updates must not be seen for it to be called fixed."""
SHIFTS: Final = (1, 2)
"""Rounds that begin with one update more."""
_STATEFUL: Final = ("frame", "idempotence", "read_back", "handler")
"""Rules that are about how the record stood before."""
_TIMED: Final = ("time", "frame", "rejection.no_trace", "access")
"""Rules for which a time stamp must have had the time to move."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """One failure of a run that was recorded."""

    rule: str
    case: str
    finding: Finding
    recipe: Recipe | None
    ids: frozenset[str] = frozenset()
    """The records that the run updated."""
    answer: Any = None
    """The body of the answer that showed it."""
    problem: str = ""
    """Why it cannot be sent again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one failure."""

    failure: Recorded
    verdict: Verdict
    why: str = ""


def failures(run: Mapping[str, Any], contract: Contract, label: str = "") -> list[Recorded]:
    """The failures of the recorded *run*: the first of each broken rule, or all that the case *label* shows.

    Raises:
        ConfigError: the run is about another fragment, or no failing case has that label.
    """
    title = run.get("spec", {}).get("title", contract.title)
    if title != contract.title:
        raise ConfigError(f"the run is about another fragment: {title!r}, and this one is {contract.title!r}")
    found: list[Recorded] = []
    labels: dict[str, None] = {}
    for rule in run["rules"]:
        told = [one for one in rule.get("failures", ()) if isinstance(one, Mapping)]
        labels.update(dict.fromkeys(str(one.get("case", "")) for one in told))
        if label:
            found += [_recorded(run, rule["id"], one, contract) for one in told if one.get("case") == label]
        elif rule["verdict"] == "broken" and told:
            found.append(_recorded(run, rule["id"], told[0], contract))
    if label and not found:
        raise ConfigError(f"no failing case of the run is called {label!r}.{nearest(label, labels)}")
    return found


def _recorded(run: Mapping[str, Any], rule: str, told: Mapping[str, Any], contract: Contract) -> Recorded:
    """One failure of the run as it can be sent again."""
    request = told.get("request") if isinstance(told.get("request"), Mapping) else {}
    assert isinstance(request, Mapping)
    recipe, problem = None, ""
    try:
        recipe = Recipe.parse(request.get("replay"), contract)
    except ConfigError as error:
        problem = str(error)
    if isinstance(request.get("replay"), Mapping) and request["replay"].get("masked"):
        recipe, problem = None, "values that it needs are masked in the report"
    finding = Finding(
        rule=rule,
        message=str(told.get("message", "")),
        pointer=str(told.get("pointer", "")),
        expected=told.get("expected"),
        actual=told.get("actual"),
    )
    ids = frozenset(run.get("restored") or ())
    case = str(told.get("case", ""))
    response = told.get("response")
    answer = response.get("body") if isinstance(response, Mapping) else None
    return Recorded(rule=rule, case=case, finding=finding, recipe=recipe, ids=ids, answer=answer, problem=problem)


def replay(
    recorded: Iterable[Recorded], settings: Settings, credentials: Mapping[str, str], *, contract: Contract
) -> tuple[list[Outcome], Result]:
    """Sends each failure again.

    Raises:
        ContractError: as `contract.run.run`.
    """
    settings.need("base_url", "ids")
    # The limits of a profile are for a plan; here only those count that were set.
    settings = replace(settings, ids=settings.ids[:1], profile="deep", known_failures="")
    given = need_credentials(contract, Credentials(**credentials))
    work = list(recorded)
    runner = _Replaying(settings, given, contract, plan(contract, profile="smoke"), None, None)
    runner.waiting = work
    result = runner.carry_out()
    told = {id(outcome.failure): outcome for outcome in runner.outcomes}
    seen = {failure.finding.rule for failure in result.ledger.failures}
    for one in work:
        if id(one) not in told:
            # It was seen on the way in, or nothing could be sent at all.
            if one.rule in seen:
                told[id(one)] = Outcome(failure=one, verdict="still_broken", why=one.finding.message)
            else:
                told[id(one)] = Outcome(failure=one, verdict="could_not_tell", why=result.problem)
    return [told[id(one)] for one in work], result


class _Replaying(Runner):
    """A run whose plan is to send recorded failures."""

    waiting: list[Recorded]

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.outcomes: list[Outcome] = []

    def _work(self) -> None:
        """Sends them one after another."""
        session = self.sessions[0]
        session.quiet, session.doubt = True, None
        for one in self.waiting:
            if one.recipe is None:
                self.outcomes.append(Outcome(failure=one, verdict="could_not_tell", why=one.problem))
                continue
            try:
                verdict, why = _Again(session, one, one.recipe).tell()
            except (SendError, Undecided) as error:
                verdict, why = "could_not_tell", str(error)
            self.outcomes.append(Outcome(failure=one, verdict=verdict, why=why))
            if self.budget.stopped:
                return


class _Again:
    """One failure, sent again."""

    def __init__(self, session: Session, recorded: Recorded, recipe: Recipe) -> None:
        self.session = session
        self.generator = session.generator
        self.recorded = recorded
        self.recipe = recipe
        self.contract = session.contract
        self.last = recipe.cases[-1]
        listing = session.contract.listing
        in_list = listing is not None and self.last.operation == listing[0].id
        self.name = recorded.finding.leaf if in_list else recorded.finding.root
        self.state = self.stood()
        self.refused: set[str] = set()
        """Fields whose former value is refused."""
        nothing = Response(status=0, headers={})
        interaction = Interaction(case=self.last, response=nothing, before=self.state, id=session.id)
        self.failure = Failure(finding=recorded.finding, interaction=interaction, number=0, body=self.last.body)
        self.look = Look(session, recorded.rule, [self.failure])
        self.answer: Response | None = None

    def tell(self) -> tuple[Verdict, str]:
        """What became of it, and why where that is not plain.

        Raises:
            SendError, Undecided: it could not be sent.
        """
        rule = self.recorded.rule
        if under(rule, "bystander") or self.recipe.other:
            return "could_not_tell", "only a whole run shows what happens to other records"
        why = ""
        for turn in range(self.rounds()):
            self.establish(whole=turn > 0)
            missing = self.unlike()
            if stored := [n for n in self.last.absent if not is_empty(self.session.now.get(n))]:
                return "could_not_tell", f"{', '.join(stored)} is stored, and could not be cleared"
            lasting = self.lasting()
            idle = self.idle()
            if turn in SHIFTS:
                self.shift()
            findings, evidence = self.send()
            seen = next((f for f in findings if self.alike(f)), None)
            if seen is not None:
                return "still_broken", seen.message
            if lasting or idle:
                return "could_not_tell", lasting or idle
            if not self.exercised(evidence):
                status = self.answer.status if self.answer is not None else 0
                return "could_not_tell", f"the rule was not exercised: the answer was a {status}"
            if missing:
                why = f"it is not seen, but the record could not be brought to where it stood: {', '.join(missing[:5])}"
        return ("could_not_tell", why) if why else ("fixed", "")

    def shift(self) -> None:
        """Sends one update more: what happens to every third one must not always miss the one that matters."""
        marker = self.generator.marker
        if marker is not None:
            now = self.session.now.get(marker)
            other = next(value for value in self.generator.firm(marker) if value != now)
            self.session.attempt({marker: other}, "one more update")

    def rounds(self) -> int:
        """How often it must not be seen."""
        rule = self.recorded.rule
        if of_time(rule, "moves"):
            return 1
        return MORE_ROUNDS if under(rule, "read_back", "time") else ROUNDS

    # ------------------------------------------------------------------ state

    def stood(self) -> JSONObject | None:
        """Where the record stood; what was shown as empty, or in another type than is documented, was null."""
        if self.recipe.state is None:
            return None
        request = self.contract.request
        found = dict(self.recipe.state)
        for name, value in found.items():
            item = request.fields.get(name)
            if item is None or value is None:
                continue
            kinds = {"type": list(item.types)} if item.types else {}
            if (value == "" and (item.format or item.enum)) or not jsonschema_rs.Draft202012Validator(kinds).is_valid(
                value
            ):
                found[name] = None
        for name, item in request.fields.items():
            if name == self.name or (not self.name and self.only_reads and not item.write_only):
                found.setdefault(name, None)
        return found

    @property
    def only_reads(self) -> bool:
        """True where nothing is written."""
        return all(case.operation != self.contract.update.id for case in self.recipe.cases)

    def establish(self, *, whole: bool) -> None:
        """Brings the record to where it stood, first only as far as that matters for the rule: what is left
        alone need not be put back. Does so at once, and what that left, one field after another.
        """
        session, state = self.session, self.state
        session.settle()
        body = self.last.fields
        names = {**body, self.name: None}
        if not self.name and self.only_reads:
            names = dict(state or {})
        matters = self.matters()
        near = {n: v for n, v in (state or {}).items() if whole or n in matters}
        establish(session, near, names)
        self.refused.clear()
        for name in self.unlike():
            response, _ = session.attempt(self.unit(name), "back to where it stood, one by one")
            if response is not None and response.refused:
                self.refused.add(name)
        for case in self.recipe.cases:
            if case.absent:
                self.look.empty(case)
        if self.shown and self.name in body:
            self.session.read("read to see whether it differs")
            self.look.differ(self.name, [self.last], state)

    def matters(self) -> set[str]:
        """The fields that matter for the rule."""
        if self.only_reads:
            return {self.name} if self.name else set(self.state or {})
        if of_time(self.recorded.rule, "moves"):
            return set(self.last.fields)
        if not under(self.recorded.rule, *_STATEFUL):
            return {self.name}
        active = self.contract.request.active(self.state or {})
        needs = {n for name, choice in active.items() if name in self.generator.selectors for n in choice.requires}
        return {self.name, *self.generator.selectors, *needs}

    def unit(self, name: str) -> dict[str, Any]:
        """A body that sets one field to what it was, with what it needs."""
        state = self.state or {}
        choice = self.contract.request.active(state).get(name)
        needs = choice.requires if choice is not None else ()
        given = {n: state.get(n) or self.generator.firm(n)[0] for n in needs if n in self.generator.fields}
        return {name: state[name], **given}

    def idle(self) -> str:
        """Why sending the body proves nothing: it sets the field to what it is."""
        body = self.last.fields
        if not self.shown or self.name not in body:
            return ""
        now = self.session.now.get(self.name)
        return f"{self.name} already is what is sent" if same(None, now, body[self.name]) else ""

    def unlike(self) -> list[str]:
        """Fields that do not stand as they did, as far as that matters for the rule."""
        state, now = self.state or {}, self.session.now
        fields = self.session.judge.fields
        names = self.matters() & (set(state) if self.only_reads else {self.name, *self.generator.selectors})
        if not self.only_reads and not under(self.recorded.rule, *_STATEFUL):
            return []
        absent = {name for case in self.recipe.cases for name in case.absent}
        odd = {name for name in self.refused if not self.documented(name)}
        return [
            name
            for name, value in state.items()
            if name in names - absent - odd and name in now and not same(fields.get(name), value, now[name])
        ]

    def documented(self, name: str) -> bool:
        """True where the value that a field had may be sent."""
        item = self.contract.request.fields.get(name)
        return item is None or not item.enum or (self.state or {}).get(name) in item.enum

    def lasting(self) -> str:
        """Why it cannot happen a second time: a field that no update sets is not what it was before."""
        item = self.contract.request.fields.get(self.name)
        shown = self.session.judge.fields.get(self.name)
        if shown is None or (item is not None and not item.read_only) or shown.changes not in {"", "never"}:
            return ""
        if self.session.id not in self.recorded.ids or not under(self.recorded.rule, "frame", "rejection"):
            return ""
        now = self.session.now.get(self.name)
        kept = same(shown, now, self.recorded.finding.expected)
        return "" if kept else f"{self.name} is not what it was before, and no update puts it back"

    # ---------------------------------------------------------------- sending

    def send(self) -> tuple[list[Finding], list[str]]:
        """(findings, rules that were exercised) of one round."""
        rule, session = self.recorded.rule, self.session
        shown = session.judge.fields.get(self.name)
        if of_time(rule, "moves"):
            session.sender.sleep(MOVES_AFTER + 0.2)
        elif shown is not None and shown.format == "date-time" and under(rule, *_TIMED):
            session.sender.sleep(1.2)  # Clocks of one second are usual.
        if self.recipe.read or under(rule, "frame"):
            session.read("read before it is sent again")
        result = Judgement()
        for case in self.recipe.cases:
            result, self.answer = session.perform(case)
        findings, evidence = list(result.findings), list(result.evidence)
        if self.recipe.read:
            result = session.read("read to see it again")
            findings += result.findings
            evidence += result.evidence
        if rule == self.look.in_list and self.answer is not None:
            session.read("read to compare with the list")
            compared = session.judge.in_list(self.answer, session.id, session.now)
            findings += compared.findings
            evidence += compared.evidence
        return findings, evidence

    def alike(self, found: Finding) -> bool:
        """True where *found* is the recorded failure."""
        whole = f"{self.last.operation}.shape"
        if self.recorded.rule in {whole, f"{whole}.body"} and found.rule.startswith(whole):
            return True
        if found.rule == self.recorded.rule == self.look.in_list:
            return True  # Its place in the list may be another one.
        if self.accepted and found.rule == f"{self.last.operation}.accept":
            return True
        return self.look.alike(self.recorded.finding, found)

    @property
    def shown(self) -> bool:
        """True where the rule is about what an answer shows of what was sent."""
        rule = self.recorded.rule
        return under(rule, "echo", "deprecated") or (under(rule, "handler") and rule.endswith(".shown"))

    @property
    def accepted(self) -> bool:
        """True where the rule is that a documented body is accepted."""
        rule = self.recorded.rule
        return self.last.expect == "accept" and (of_acceptance(rule) or under(rule, "deprecated"))

    def exercised(self, evidence: list[str]) -> bool:
        """True where the rule, one of its group, or what it says of a body was looked at."""
        rule, rules, last = self.recorded.rule, self.session.judge.rules, self.last
        refused = self.answer is not None and self.answer.refused
        if refused and not self.recipe.read and (last.expect == "unspecified" or last.rule in evidence):
            return True  # To refuse it is as good an answer, or the right one.
        if last.expect == "unspecified" and last.rule in evidence:
            return True
        if self.accepted:
            return f"{last.operation}.accept" in evidence
        if (self.state or {}).get(self.name, "") is None and self.session.now.get(self.name, "") is None:
            # It was null that was shown in a wrong way, and is shown as null.
            typed = f"{rule.partition('.')[0]}.shape.{self.name}.type"
            if typed in evidence:
                return True
        return any(known == rule or (known in rules and rules[known].group == rule) for known in evidence)


# --------------------------------------------------------------------------------- telling


def status(outcomes: Iterable[Outcome], result: Result | None = None) -> int:
    """The exit status: 0 all fixed, 1 one still broken, 2 could not tell."""
    verdicts = {outcome.verdict for outcome in outcomes}
    if "still_broken" in verdicts:
        return 1
    left = result is not None and result.left_behind
    return 2 if "could_not_tell" in verdicts or left else 0


_WORDS: Final[Mapping[Verdict, tuple[str, str]]] = {
    "fixed": ("FIXED", "kept"),
    "still_broken": ("STILL BROKEN", "broken"),
    "could_not_tell": ("COULD NOT TELL", "undecided"),
}


def lines(outcomes: list[Outcome], style: Style = unstyled) -> Iterator[str]:
    """What a person reads about them."""
    for outcome in outcomes:
        word, look = _WORDS[outcome.verdict]
        yield style(word, look) + f" {outcome.failure.rule}"
        yield f"        case: {plain(outcome.failure.case)}"
        if outcome.why or outcome.verdict == "still_broken":
            yield f"        {plain(outcome.why or outcome.failure.finding.message)}"
    counts = {word: sum(outcome.verdict == word for outcome in outcomes) for word in _WORDS}
    yield ", ".join(f"{counts[word]} {word.replace('_', ' ')}" for word in _WORDS)
