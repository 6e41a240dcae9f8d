"""What may have brought a failure about: one update, or a few one after the other, the smallest first.

Nothing is sent here; `reproduce` sends them, one after the other.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import islice
from operator import itemgetter
from typing import Any, Final

from contract.ledger import Failure
from contract.model import MISSING, Case, Finding, JSONObject, is_empty, of_time, under
from contract.session import Session
from contract.shape import same

__all__ = ["Suspects", "Trial", "held", "leaked"]

Trial = tuple[list[Case], bool, Any]
"""Cases that may show a failure again, whether it takes a read after them, and the body that matters."""
MOST: Final = 4
"""The most refused updates that are tried for a change which was seen only later."""
UNHELD: Final = 3
"""Updates back to which the one is looked for that wrote what changed later."""
UNIQUE: Final = 16
"""Characters of a text that nobody writes by chance."""
PREFIX: Final = 3
"""Updates that are sent before one that shows nothing by itself."""


def held(session: Session, finding: Finding) -> bool:
    """True where a refused update held the value that a field has."""
    name = finding.name
    bodies = [case.fields for case, _ in session.refusals]
    return any(name in body and _told_as(body[name], finding.actual) for body in bodies)


def leaked(session: Session, finding: Finding) -> bool:
    """True where a field shows a text that nothing but refused updates of this run held."""
    shown, name = finding.actual, finding.name
    if not isinstance(shown, str) or len(shown) < UNIQUE or not held(session, finding):
        return False
    fields = session.contract.request.aliases_of((name,))
    found = session.updates[0][2] if session.updates else None
    accepted = [case.fields.get(field) for case, _, _ in session.updates for field in fields]
    return not any(_told_as(value, shown) for value in [*accepted, *(found or {}).values()])


def _told_as(sent: Any, shown: Any) -> bool:
    """True where *shown* is what was sent, or its text."""
    return same(None, sent, shown) or (isinstance(shown, str) and shown in (str(sent), json.dumps(sent)))


def _kinds(refused: Iterable[Case]) -> list[Case]:
    """The last of each kind that was *refused*: without leave, no object, or for what was in it; the last kind
    first.
    """
    last: dict[tuple[bool, bool], Case] = {}
    for case in refused:
        kind = (under(case.rule, "access"), isinstance(case.body, Mapping))
        last.pop(kind, None)
        last[kind] = case
    return [*last.values()][::-1]


class Suspects:
    """What may show the failures of one rule again, by what a session has sent."""

    def __init__(self, session: Session, rule: str) -> None:
        self.session = session
        self.generator = session.generator
        self.rule = rule
        self.update = session.contract.update.id

    def of(self, failure: Failure) -> Iterator[Trial]:
        """What may show *failure* again, the smallest first."""
        case = failure.interaction.case
        read = case.operation != self.update or under(self.rule, "read_back")
        if case.operation != self.update:
            if under(self.rule, "read_back", "access") and failure.finding.pointer:
                yield from self.writes(failure)
            else:
                yield [case], False, case.body
                # It may be shown only right after the update before it, whatever stands there.
                for last in [c for c, n, _ in self.session.updates if n < failure.number][-1:]:
                    yield [last], True, last.body
                for before in self.barred(failure):
                    yield [before, case], False, before.body
            yield from self.before_refusal(failure)
            return
        if case.keep and isinstance(case.body, Mapping):
            # The value stands there now: that it can be set is shown by setting it back.
            name = failure.finding.name
            if name in case.body:
                back = replace(case, body={name: failure.finding.expected})
                yield [back], False, {name: case.body[name]}
        if not isinstance(case.body, Mapping) or not case.body or case.expect != "accept":
            yield [case], read and not under(self.rule, "access"), case.body
            taken = isinstance(case.body, Mapping) and bool(case.body) and case.expect != "reject"
            window = self.window(failure, read) if taken else []
            early = int(under(self.rule, "frame") and not failure.interaction.verified)
            yield from window[:early]
            yield from self.after_refusal(failure, case, failure.number, read)
            yield from self.unheld(failure) if taken else ()
            yield from window[early:]
            return
        yield from self.come_back(failure)
        if of_time(self.rule, "forward"):
            # A stamp that stands where it went back to goes back no more: what moved it on is sent again as well.
            for last in [c for c, n, _ in self.session.updates if n < failure.number][-1:]:
                yield [last, case], read, case.body
        # Where no read showed that what was written before is stored, that it is not comes first.
        unread = 0 if failure.interaction.verified else 1
        yield from islice(self.unheld(failure), unread)
        for body in self.smaller(case.body, failure.finding.root):
            small = replace(case, body=body)
            yield small.repeated(), read, body
        window, early = self.window(failure, read), unread * under(self.rule, "frame")
        yield from window[:early]
        if self.rule.endswith(".accept"):
            # What the update before it left behind may be why: a state that only that update brings about.
            for last in [c for c, n, _ in self.session.updates if n < failure.number][-1:]:
                yield [last, case], read, case.body
        yield from self.after_refusal(failure, case, failure.number, read)
        if window:
            yield from islice(self.unheld(failure), unread, None)
        yield from window[early:]

    def window(self, failure: Failure, read: bool) -> list[Trial]:
        """The case, after the updates before it just as they were: what was taken of them although it need not is taken
        again, or not.
        """
        case = failure.interaction.case
        recent = [c for c, n, _ in self.session.updates if n < failure.number][-PREFIX:]
        recent = [replace(c, expect="unspecified", absent=()) if c.expect == "reject" else c for c in recent]
        return [([*recent, case], read, case.body)] if recent else []

    def come_back(self, failure: Failure) -> Iterator[Trial]:
        """What wrote the value that is there again, what left the value of a selector which uses it, and what came back to
        that: an API may clear a companion, and keep it all the same.
        """
        found, case = failure.finding, failure.interaction.case
        if is_empty(found.actual):
            return
        recent = [c for c, n, _ in self.session.updates if n < failure.number and c.expect == "accept"]
        for selector in self.generator.selectors if under(self.rule, "frame") else ():
            value = case.fields.get(selector)
            choice = self.generator.selectors[selector].choices.get(str(value))
            if choice is None or found.name not in choice.companions:
                continue
            wrote = [i for i, c in enumerate(recent) if same(None, c.fields.get(found.name), found.actual)]
            left = [c for c in recent[wrote[-1] + 1 :] if c.fields.get(selector, value) != value] if wrote else []
            if left:
                writer, chosen = recent[wrote[-1]], self.generator.complete({selector: value})
                first = replace(writer, body={**writer.body, **chosen, found.name: found.actual})
                yield [first, left[-1], case], False, case.body

    def unheld(self, failure: Failure) -> Iterator[Trial]:
        """The update before that sent the field which changed later: it may not have been stored, and a read
        after it shows that just as well. It may be lost only after something was refused: an update without leave, or
        any other.
        """
        name, case = failure.finding.name, failure.interaction.case
        earlier = [(c, n) for c, n, _ in self.session.updates if n < failure.number and c.fields]
        writer, number = next(((c, n) for c, n in reversed(earlier[-UNHELD:]) if name in c.body), (None, 0))
        if not under(self.rule, "frame") or writer is None:
            return
        small = next(iter(self.smaller(case.body, name)))
        last = replace(case, body=small)
        # Where nothing changes it may be lost as well: the second time is what counts.
        yield [writer, *([writer] if writer.repeat else []), last], False, small
        kinds = _kinds(c for c, n in self.session.refusals if n < number and c.target == "own")[::-1]
        for before in {id(c): c for c in [*self.session.refused_before(number), *kinds]}.values():
            yield [before, writer, last], False, small

    def after_refusal(self, failure: Failure, case: Case, number: int, read: bool) -> Iterator[Trial]:
        """*case* after an update that was refused before it: what was refused may have waited for it. First the newest
        that held the value, then the last, then, of what was refused although it is right, the last of each kind, or
        without leave.
        """
        session, found = self.session, failure.finding
        name = found.name
        start = max((n for _, n, _ in session.updates if n < number), default=0)
        since = [c for c, n in session.refusals if start < n < number and c.target == "own"]
        held = [c for c in since if name in c.fields and c.fields[name] == found.actual]
        kinds = _kinds(since) if self.rule.endswith(".accept") else []
        kinds += self.barred(failure)
        for before in {id(c): c for c in [*held[-1:], *session.refused_before(number), *kinds]}.values():
            if before.target == "own":
                yield [before, case], read, case.body

    def barred(self, failure: Failure) -> list[Case]:
        """For a request that is refused although its credentials are right: the last update before it with each kind of
        wrong ones, as an API may have locked the door.
        """
        if failure.interaction.case.credentials != "right" or failure.interaction.response.status not in {401, 403}:
            return []
        before = [c for c, n in self.session.refusals if n < failure.number and c.target == "own"]
        return [*{c.credentials: c for c in before if c.credentials != "right"}.values()]

    def before_refusal(self, failure: Failure) -> Iterator[Trial]:
        """For a time stamp seen in a read: the update before it, and then what was refused since, the last of each kind."""
        last, start = next(((c, n) for c, n, _ in self.session.updates[::-1] if n < failure.number), (None, 0))
        if last is None or failure.finding.name not in self.session.judge.on_write:
            return
        for refused in _kinds(c for c, n in self.session.refusals if start < n < failure.number and c.target == "own"):
            yield [last, refused], True, refused.body

    def writes(self, failure: Failure) -> Iterator[Trial]:
        """For a failure seen in a read: the updates before it."""
        name = failure.finding.root
        if under(self.rule, "access"):
            earlier = [case for case, number in self.session.refusals if number < failure.number]
            actual = failure.finding.actual
            guilty = [c for c in earlier if c.rule == self.rule and c.fields.get(name, MISSING) == actual]
            # Where the value tells nothing, the odd ones are tried first: what could not even be read.
            odd = [c for c in earlier if not isinstance(c.body, Mapping)][-2:]
            for case in [*guilty[-2:], *odd, *earlier[-1:], *earlier[:1]]:
                yield [case], True, case.body
            return
        done = [(c, number) for c, number, _ in self.session.updates if number < failure.number]
        updates = [case for case, _ in done]
        for case, _ in done[-1:]:
            if case.repeat:
                yield case.repeated(), True, case.body
        start = max((n for n in self.session.seen if n < failure.number), default=0)
        near = sum(number > start for _, number in done) <= 2
        yield from () if near else self.unread(failure, updates)
        for last, (case, number) in zip((True, False), reversed(done[-2:]), strict=False):
            yield from self.after_refusal(failure, case, number, True)
            for body in self.smaller(case.body, name):
                yield [replace(case, body=body)], True, body
            if last and near:
                if len(updates) > 1:
                    yield updates[-2:], True, updates[-1].body
                yield from self.unread(failure, updates)
        if len(updates) > 2:
            yield updates[-3:], True, updates[-1].body

    def unread(self, failure: Failure, updates: list[Case]) -> Iterator[Trial]:
        """For what a read shows after several *updates*: what came right before answers that show a change of the field as
        well, and what wrote it last.
        """
        session, found = self.session, failure.finding
        told = [f for f in session.ledger.under(self.rule) if under(f.finding.rule, "frame")]
        for shown in [f for f in told if f.finding.pointer == found.pointer][:2]:
            recent = [c for c, n, _ in session.updates if n < shown.number][-PREFIX:]
            for some in [recent[-1:], recent] if recent else ():
                yield some, True, some[-1].body
        writer = next((c for c in reversed(updates) if found.root in c.fields), None)
        if writer is not None and not any(writer is c for c in updates[-2:]):
            yield [writer], True, writer.body

    def smaller(self, body: JSONObject, name: str) -> Iterator[dict[str, Any]]:
        """Parts of *body* that may show a failure at the field *name*, the smallest first."""
        request = self.session.contract.request
        tried: list[dict[str, Any]] = []

        def fresh(part: dict[str, Any]) -> Iterator[dict[str, Any]]:
            if part and part not in tried:
                tried.append(part)
                yield part

        siblings = request.aliases_of((name,)) if name in request.fields else frozenset()
        alone = {n: body[n] for n in body if n == name or n in siblings}
        if name in self.generator.selectors and name in body:
            alone = request.channel(body, name)
        if alone:
            yield from fresh(alone)
        for selector in self.generator.selectors:
            if selector in body:
                yield from fresh({**request.channel(body, selector), **alone})
        if not alone:
            plain = {n: v for n, v in body.items() if n not in self.generator.selectors}
            first = dict(list(plain.items())[:1])
            yield from fresh(first)
        yield from fresh(dict(body))

    def refused(self, failure: Failure, name: str) -> list[tuple[int, Case]]:
        """What was refused, or was to change nothing, between the read before *failure* and it: first what
        held the value, then what could not even be read or held nothing, then what held the field; of
        these the newest.
        """
        start = max((n for n in self.session.seen if n < failure.number), default=0)
        refused = {id(case) for case, _ in self.session.refusals}

        def order(case: Case) -> int:
            if case.target != "own":
                return 4  # It went elsewhere.
            if not isinstance(case.body, Mapping):
                return 1
            if name in case.body:
                told = _told_as(case.body[name], failure.finding.actual)
                return 0 if told else 1 if name in case.core and not case.absent else 2
            return 1 if case.keep else 3

        # What came before the last update that wrote the field left nothing behind in it.
        for case, number in self.session.between(start, failure.number):
            written = name in case.fields
            start = number if written and id(case) not in refused and not case.keep else start
        answered = self.session.between(start, failure.number)
        found = [case for case, _ in answered if id(case) in refused or case.keep]
        return sorted(((order(case), case) for case in reversed(found)), key=itemgetter(0))[:MOST]
