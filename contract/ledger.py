"""Keeps the account of a run: for each rule its evidence and its failures, and from both its verdict.

Failures are folded: one fault makes many rules fail, and a reader wants the one that names the
cause. What stands at the same place of the same answer, what rests on a state that was never
there, and what is the same fault seen through another operation is told under its cause.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal

from contract.answer import Judgement
from contract.document import escape
from contract.known import Accepted, Known
from contract.model import MISSING, Case, Finding, Interaction, JSONObject, Rule, of_time, under

__all__ = ["LACKING", "Entry", "Failure", "Ledger", "Verdict", "of_acceptance", "of_answer", "rank", "unsettled"]

Verdict = Literal["kept", "broken", "warned", "undecided", "not_exercised"]
MANY: Final = 3
"""When more field rules of one group fail, the group's general rule is told instead."""

_LOCK: Final = threading.Lock()
"""Held while any ledger is written to: one that holds none can be handed from process to process."""

_RANKS: Final = (
    (0, "rejection.no_server_error", "rejection.no_leak"),
    (1, "access"),
    (2, "shape.status", "shape.media_type", "shape.json", "shape.body", "shape.identity"),
    (2, "rejection.read_only", "rejection.unknown_key", "rejection.empty"),
    (3, "shape", "enum", "e164", "format"),
    (10, "rejection.consistent"),
    (14, "rejection.no_trace"),
    (4, "rejection"),
    (5, "accept"),
    (6, "deprecated"),
    (7, "handler"),
    (8, "idempotence"),
    (9, "echo"),
    (11, "frame"),
    (12, "time"),
    (13, "read_back"),
    (15, "bystander"),
)
"""The first that a rule lies under counts."""


def rank(rule: str) -> int:
    """How near to a cause a rule is: the lower, the nearer."""
    return next((place for place, *stems in _RANKS if under(rule, *stems)), 20)


@dataclass(slots=True, kw_only=True)
class Failure:
    """A finding, the interaction it was made in, and what became of it."""

    finding: Finding
    interaction: Interaction
    number: int
    """The position of the request in the run, counted from 1."""
    body: Any
    """The smallest body with which it was seen again, or the one that was sent."""
    cases: tuple[Case, ...] = ()
    """The cases with which it was seen again."""
    read: bool = False
    """True where the read after these showed it."""
    state: JSONObject | None = None
    """The record as it stood before these."""
    confirmed: bool | None = None
    """True where it was seen again, False where it was not, nothing where nobody looked."""
    untried: bool = False
    """True where the run ended before it was repeated."""
    cause: str = ""
    """The rule under which it is folded."""

    @property
    def before(self) -> tuple[Any, ...]:
        """Bodies that have to be sent first."""
        return tuple(case.body for case in self.cases[:-1] if case.body is not MISSING)


LACKING: Final = "needs "
"""How the reason of a rule begins for which something was not given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One rule's line in the ledger."""

    rule: Rule
    verdict: Verdict
    evidence: int
    failures: tuple[Failure, ...] = ()
    reason: str = ""
    accepted: bool = False
    """True where it is broken and only does not fail the run because that is a known failure."""
    under: str = ""
    """The rule under which it is told, as the same fault broke both."""

    @property
    def word(self) -> str:
        """The verdict as people read it."""
        return "accepted" if self.accepted else self.verdict

    @property
    def lacking(self) -> bool:
        """True where the run was not given what the rule needs."""
        return self.verdict == "not_exercised" and self.reason.startswith(LACKING)


@dataclass(slots=True)
class Ledger:
    """The account of one run; threads may write to it at the same time."""

    rules: Mapping[str, Rule]
    strict: str = "documented"
    counts: Counter[str] = field(default_factory=Counter)
    failures: list[Failure] = field(default_factory=list)
    observations: list[dict[str, Any]] = field(default_factory=list)
    """What the documents are silent about."""
    reasons: dict[str, str] = field(default_factory=dict)
    """Rule -> why it was not exercised or not decided."""
    interactions: list[Interaction] = field(default_factory=list)
    """Everything that was noted, in the order of each record."""
    known: Known = field(default_factory=Known)
    bygone: str = ""
    """A field in which a value came back that this run had written long before, if there was one."""

    def add(self, interaction: Interaction, result: Judgement, number: int) -> list[Failure]:
        """Notes what one interaction said; the new failures are returned."""
        made = [
            Failure(finding=f, interaction=interaction, number=number, body=interaction.case.body)
            for f in result.findings
        ]
        with _LOCK:
            if not self.interactions or self.interactions[-1].response is not interaction.response:
                self.interactions.append(interaction)
            self.counts.update(result.evidence)
            self.failures += made
        return made

    def weak(self, rule: str) -> bool:
        """True where a failure of *rule* only warns, because its basis is weaker than asked for."""
        known = self.rules.get(rule)
        return known is not None and known.weaker(self.strict)

    def accepted(self, failure: Failure) -> Accepted | None:
        """The entry of the known failures that accepts *failure*, if one does."""
        rule = self.rules.get(failure.finding.rule)
        return self.known.accepts(failure.finding, rule.group if rule else "")

    @property
    def evidence(self) -> Counter[str]:
        """How many looks are evidence for each rule."""
        found = Counter(self.counts)
        general: Counter[str] = Counter()
        for known in self.rules.values():
            general[known.group] += found[known.id]
        found.update({name: count for name, count in general.items() if name in self.rules and not found[name]})
        return found

    # ---------------------------------------------------------------- folding

    def fold(self) -> None:
        """Puts each failure under its cause, where it has one."""
        self._echoed()
        self._unsent()
        self._left_behind()
        self._refused_between()
        self._same_place()
        self._misplaced()
        self._unread_state()
        self._malformed()
        self._shown_otherwise()
        self._other_views()
        self._many()
        self._stood()
        for failure in self.failures:
            if failure.cause and self.weak(failure.cause) and not self.weak(failure.finding.rule):
                failure.cause = ""  # What only warns must not hide what fails the run.

    def _open(self) -> Iterator[Failure]:
        return (f for f in self.failures if not f.cause)

    def _same_place(self) -> None:
        """Of several findings at one place of one answer, the nearest to a cause is told."""
        places: dict[tuple[int, str], list[Failure]] = {}
        for failure in self._open():
            if not failure.finding.rule.endswith(".no_leak"):
                places.setdefault((failure.number, failure.finding.pointer), []).append(failure)
        for failures in places.values():
            first = min((f.finding.rule for f in failures), key=rank)
            for failure in failures:
                failure.cause = first if failure.finding.rule != first else ""

    def _stood(self) -> None:
        """A time stamp that is set back to where it was before does not move from there either."""
        back = {f.finding.rule.removesuffix(".forward") for f in self._open() if of_time(f.finding.rule, "forward")}
        for failure in self._open():
            stem = failure.finding.rule.removesuffix(".moves")
            if stem != failure.finding.rule and stem in back:
                failure.cause = f"{stem}.forward"

    def _echoed(self) -> None:
        """What is never answered as it was sent is not answered so the second time either."""
        once = [f.finding for f in self._open() if not f.interaction.case.repeat]
        wrong = {found.pointer: found.rule for found in once if under(found.rule, "echo")}
        for failure in self._open():
            if failure.finding.rule.endswith(".idempotence") and failure.finding.pointer in wrong:
                failure.cause = wrong[failure.finding.pointer]

    def _unsent(self) -> None:
        """What any update changes that does not send it, one that is to change nothing changes as well."""
        frames = {f.finding.pointer: f.finding.rule for f in self._open() if under(f.finding.rule, "frame")}
        frames.pop("", None)
        for failure in self._open():
            case = failure.interaction.case
            if case.keep and failure.finding.rule == case.rule:
                failure.cause = frames.get(failure.finding.pointer, "")

    def _left_behind(self) -> None:
        """A malformed value that a refused update has left behind, or that was accepted, is there because of that."""
        left: dict[tuple[str, str], tuple[str, int]] = {}
        for failure in self._open():
            rule, case = failure.finding.rule, failure.interaction.case
            if rule.endswith(".rejection.no_trace"):
                place = failure.finding.leaf
                left[place, repr(failure.finding.actual)] = (rule, failure.number)
            elif rule == case.rule and under(rule, "rejection"):
                left |= {(name, repr(case.body[name])): (rule, failure.number) for name in case.core}
        for failure in self._open():
            found = failure.finding
            if self._shape(found.rule):
                rule, number = left.get((found.leaf, repr(found.actual)), ("", 0))
                if failure.number >= number:
                    failure.cause = rule

    def _refused_between(self) -> None:
        """A time stamp that a read shows otherwise than the answer before it was moved by what was refused in between,
        where a refused update is seen to move it.
        """
        traces = {f.finding.pointer: f.finding.rule for f in self._open() if f.finding.rule.endswith(".no_trace")}
        stamps = self._stamps()
        for failure in self._open():
            if under(failure.finding.rule, "read_back") and failure.finding.pointer in stamps:
                failure.cause = traces.get(failure.finding.pointer, "")

    def _stamps(self) -> set[str]:
        """Where the time stamps stand."""
        return {f"/{escape(rule.field)}" for rule in self.rules.values() if rule.promise == "time"}

    def _misplaced(self) -> None:
        """A field that shows what was sent for another one changed because that other one was mixed up; and one
        that is not answered as it was sent is not answered as it stood either.
        """
        echoed = {f.finding.pointer: f.finding.rule for f in self._open() if under(f.finding.rule, "echo")}
        echoed.pop("", None)
        for failure in self._open():
            body = failure.interaction.case.body
            if not under(failure.finding.rule, "frame") or not failure.finding.pointer or not isinstance(body, Mapping):
                continue
            failure.cause = echoed.get(failure.finding.pointer, "")
            for name, value in body.items():
                if f"/{escape(name)}" in echoed and value == failure.finding.actual:
                    failure.cause = echoed[f"/{escape(name)}"]

    def _unread_state(self) -> None:
        """What seems to have changed since an answer may never have been as that answer showed it."""
        read_back = {f.finding.pointer: f.finding.rule for f in self._open() if under(f.finding.rule, "read_back")}
        # A time stamp that was shown otherwise is no cause of anything else.
        stamps = self._stamps()
        general = next((rule for pointer, rule in read_back.items() if pointer not in stamps), "")
        for failure in self._open():
            if failure.finding.follows:
                failure.cause = read_back.get(failure.finding.pointer, general)

    def _shown_otherwise(self) -> None:
        """A value that was shown wrongly once seems to change twice: where an update answers 1, the read after it 2 and
        the next update 1 again, only the read was wrong, and the second change is told under it. The same goes for
        what the list shows; and where a refused value was shown, whatever is shown next is no change either.
        """
        back: dict[tuple[str, str, str], tuple[str, int]] = {}
        for failure in self._open():
            found, trace = failure.finding, failure.finding.rule.endswith(".no_trace")
            if under(found.rule, "read_back") or trace:
                place = found.pointer, repr(found.actual), "" if trace else repr(found.expected)
                back.setdefault(place, (found.rule, failure.number if trace else 0))
        for failure in self._open():
            found = failure.finding
            if (under(found.rule, "frame") and found.pointer) or found.pointer.count("/") > 1:
                was = f"/{escape(found.leaf)}", repr(found.expected)
                rule, number = back.get((*was, repr(found.actual))) or back.get((*was, "")) or ("", 0)
                failure.cause = rule if failure.number >= number else ""

    def _malformed(self) -> None:
        """A value that has the wrong shape is also another value than before, and than elsewhere."""
        wrong: dict[tuple[str, str], str] = {}
        for failure in self._open():
            if self._shape(failure.finding.rule):
                place = failure.finding.leaf
                wrong.setdefault((place, repr(failure.finding.actual)), failure.finding.rule)
        for failure in self._open():
            found = failure.finding
            if self._shape(found.rule) or not found.pointer:
                continue
            place = found.leaf
            sent = failure.interaction.case.fields
            if under(found.rule, "rejection") and place in sent and sent[place] == found.actual:
                continue  # It was sent, so it is the cause.
            cause = wrong.get((place, repr(found.actual))) or wrong.get((place, repr(found.expected)))
            if cause:
                failure.cause = cause

    def _other_views(self) -> None:
        """The same facet of the same field, wrong in several operations, is one fault."""
        first: dict[str, str] = {}
        order = list(dict.fromkeys(rule.operation for rule in self.rules.values()))
        shown = [f for f in self._open() if self._shape(f.finding.rule)]
        for failure in sorted(shown, key=lambda f: order.index(f.finding.rule.partition(".")[0])):
            rule = failure.finding.rule
            operation, _, detail = rule.partition(".")
            cause = first.setdefault(detail, rule)
            if cause.partition(".")[0] != operation:
                failure.cause = cause

    def _shape(self, rule: str) -> bool:
        known = self.rules.get(rule)
        return known is not None and known.promise in {"shape", "enum", "e164", "format", "access"}

    def _many(self) -> None:
        """Many rules of one group at once: the general rule is told."""
        groups: dict[str, dict[str, None]] = {}
        for failure in self._open():
            rule = self.rules.get(failure.finding.rule)
            if rule is not None and rule.group in self.rules and rule.group != rule.id and not self.accepted(failure):
                groups.setdefault(rule.group, {})[rule.id] = None
        for group, members in groups.items():
            if len(members) <= MANY:
                continue
            mine = [f for f in self._open() if f.finding.rule in members and not self.accepted(f)]
            for failure in mine:
                failure.cause = group
            numbers: dict[int, Failure] = {}
            rules: dict[str, Failure] = {}
            for failure in mine:
                numbers.setdefault(failure.number, failure)
                rules.setdefault(failure.finding.rule, failure)
            # Different rules show what is the matter, different answers that it was no accident.
            told = list({id(f): f for f in [*list(rules.values())[:2], *list(numbers.values())[:4]]}.values())
            for failure in told:
                self.failures.append(replace(failure, finding=replace(failure.finding, rule=group), cause=""))

    def unfold(self) -> None:
        """Takes back what `fold` did, so that failures which were folded apart can be folded together."""
        members: dict[str, list[Failure]] = {}
        for failure in self.failures:
            rule = self.rules.get(failure.finding.rule)
            if failure.cause and rule is not None and failure.cause == rule.group:
                members.setdefault(failure.cause, []).append(failure)
        kept = []
        for failure in self.failures:
            copied = [
                f
                for f in members.get(failure.finding.rule, ())
                if f.interaction is failure.interaction and f.finding == replace(failure.finding, rule=f.finding.rule)
            ]
            if not copied or failure.cause:
                kept.append(failure)
                continue
            for member in members[failure.finding.rule]:
                member.confirmed = failure.confirmed if member.confirmed is None else member.confirmed
        for failure in kept:
            failure.cause = ""
        self.failures = kept

    def settle(self, noise: int, *, alone: bool, early: bool = False) -> None:
        """Settles what nobody can look into any more: only what happened more than once, with nothing lost, is called
        broken; what another run may have brought about, only beside what was seen again, and where nobody else writes.
        Where it is *early*, hardly anything was written yet, and another run would write what stands there as well.
        """
        proved = early or self.proved()  # Before the loop, which confirms.
        for rule, failures in self.causes().items():
            numbers = {f.number for f in failures}
            if of_answer(rule):
                # The same fault, seen in the answers of other operations.
                numbers |= {f.number for f in self.under(rule)}
            # Who else writes sends what can be stored.
            own = self.own(rule, written=not alone, sure=proved or of_acceptance(rule))
            several = len(numbers) > 1 and noise == 0 and own
            for failure in failures:
                if failure.confirmed is None:
                    failure.confirmed, failure.untried = several, not several

    def failing(self, rule: str) -> list[Failure]:
        """The failures for which *rule* is called broken, beside those that are accepted."""
        mine = (f for f in self._open() if f.finding.rule == rule and f.confirmed is not False)
        return [f for f in mine if self.accepted(f) is None]

    def own(self, rule: str, *, written: bool, sure: bool = False) -> bool:
        """True where nobody but the API can have brought about what *rule* tells, however often it happened.

        Another run may send the same values meanwhile, and have ended since: it is told where its writes are
        seen (*written*, or values that are long gone), and where nothing else that was found is certain.
        """
        return of_answer(rule) or (not written and not self.bygone and (sure or self.proved()))

    def proved(self) -> bool:
        """True where something that fails the run was seen again."""
        return any(f.confirmed is True and not self.weak(f.finding.rule) for f in self._open())

    # ---------------------------------------------------------------- verdicts

    def causes(self) -> dict[str, list[Failure]]:
        """The failures that stand for themselves, by rule, the nearest to a cause first."""
        found: dict[str, list[Failure]] = {}
        for failure in sorted(self._open(), key=lambda f: (rank(f.finding.rule), f.number)):
            found.setdefault(failure.finding.rule, []).append(failure)
        return found

    def under(self, rule: str) -> list[Failure]:
        """The failures that are folded under *rule*, and those under these."""
        rules, size = {rule}, 0
        while len(rules) > size:
            size = len(rules)
            rules |= {f.finding.rule for f in self.failures if f.cause in rules}
        return [f for f in self.failures if f.cause in rules]

    def entries(self) -> list[Entry]:
        """Every rule with its verdict, in the order of the rules."""
        failures: dict[str, list[Failure]] = {}
        for failure in self.failures:
            failures.setdefault(failure.finding.rule, []).append(failure)
        evidence = self.evidence
        return [self._entry(rule, failures.get(rule.id, []), evidence[rule.id]) for rule in self.rules.values()]

    def _entry(self, rule: Rule, mine: list[Failure], count: int) -> Entry:
        standing = [f for f in mine if not f.cause and f.confirmed is not False]
        if standing:
            accepted = {id(f): entry for f in standing if (entry := self.accepted(f))}
            left = [f for f in standing if id(f) not in accepted]
            verdict: Verdict = "warned" if self.weak(rule.id) or not left else "broken"
            size = {id(f): len(f.body) if isinstance(f.body, Mapping) else 0 for f in standing}
            shown = sorted(
                left or standing, key=lambda f: (f.confirmed is not True, not f.cases, size[id(f)], f.number)
            )
            reason, count = "" if left else accepted[id(shown[0])].words, count + len(standing)
            told = tuple(shown[:MANY])
            return Entry(rule=rule, verdict=verdict, evidence=count, failures=told, reason=reason, accepted=not left)
        if folded := next((f.cause for f in mine if f.cause), ""):
            reason = f"told under {folded}"
            return Entry(rule=rule, verdict="undecided", evidence=count, reason=reason, under=folded)
        if mine:
            again = any(f.confirmed is False and not f.untried for f in mine)
            how = "not again when it was repeated" if again else "the run ended before it was repeated"
            if again and self.bygone and not of_answer(rule.id):
                how += f", while long gone values came back in {self.bygone}: another run may be writing there"
            reason = f"seen, and {how}: {mine[0].finding.message}"
            return Entry(rule=rule, verdict="undecided", evidence=count, failures=tuple(mine[:MANY]), reason=reason)
        if count:
            return Entry(rule=rule, verdict="kept", evidence=count)
        reason = self.reasons.get(rule.id) or self.reasons.get("", "no answer of this run bears on it")
        return Entry(rule=rule, verdict="not_exercised", evidence=0, reason=reason)


def of_answer(rule: str) -> bool:
    """True for a rule that is about one answer alone, whatever anybody wrote before."""
    rejections = ("error_body", "no_server_error", "no_leak")
    excluded = under(rule, "rejection") and rule.endswith((".enum", ".format"))
    return excluded or under(rule, "shape", "enum", "format", "e164", *[f"rejection.{one}" for one in rejections])


def of_acceptance(rule: str) -> bool:
    """True for a rule that what is documented is accepted."""
    return under(rule, "accept") or (under(rule, "handler") and rule.endswith(".accepted"))


def unsettled(entries: Iterable[Entry]) -> list[Entry]:
    """The entries that are undecided for their own sake, and not told under another rule."""
    return [e for e in entries if e.verdict == "undecided" and not e.under]
