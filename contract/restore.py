"""The way back: what can be put back is found out before anything changes, and afterwards the record
is put back in whatever order the API takes, and read to prove it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import jsonschema_rs

from contract.errors import SendError, Undecided
from contract.generate import Generator
from contract.model import MISSING, JSONObject
from contract.session import Session, respelled
from contract.shape import same
from contract.spec import Contract, Field

__all__ = ["LOST", "Restored", "differences", "establish", "recall", "restore", "uncleared", "unrestorable", "writable"]

PROBES: Final = 14
"""Updates that may be tried to see which fields refuse null."""
TRIES: Final = 24
"""Updates that may be tried to put one record back."""
BACK: Final = 4
"""Those of them that move a selector away from where it stands and back again."""
LATE: Final = (0.5, 1.0)
"""Seconds after which a record is read once more where an update was given up."""
SOON: Final = 1.1
"""Seconds after which one update does not come in the same second as the one before it."""
PATIENT: Final = 2
"""Times that one way back is tried while its answers are lost."""
OFTEN: Final = 3
"""Times that one update is refused before it is not sent any more: something else may have been in its way."""
LOST: Final = frozenset({429, 502, 503, 504})
"""Answers that say nothing about the request, only that it should come again later."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """How one record was left."""

    verdict: str
    """``restored``, ``not_restored`` or ``nothing_changed``."""
    left: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)
    """Field -> (before, now), where it is not as it was."""
    unseen: tuple[str, ...] = ()
    """Fields that were written but can never be read, so that nobody can put them back."""
    note: str = ""
    theirs: tuple[str, ...] = ()
    """Fields that someone else wrote during the run, and that were left alone."""


def writable(contract: Contract) -> list[str]:
    """The fields that can be both written and read."""
    fields = contract.request.fields.items()
    return [n for n, f in fields if n in contract.record and not f.write_only and not f.read_only]


def _documented(item: Field, value: Any) -> bool:
    """True for a value that an update may set, as the documents say."""
    return bool(jsonschema_rs.Draft202012Validator(dict(item.schema)).is_valid(value))


def _kind(item: Field) -> dict[str, Any]:
    """The part of a field's schema that says which values there are at all."""
    return {word: item.schema[word] for word in ("type", "enum") if word in item.schema}


def unrestorable(session: Session, generator: Generator) -> dict[str, str]:
    """Fields that could not be put back, and why: found out before anything changes.

    Sends updates that write what stands there already: one with all of it, and where that is refused, at most
    `PROBES` each with parts of what is empty and of what is not, and three for each selector.

    Raises:
        SendError, Undecided: no answer came back, or the last one did not show the record any more.
    """
    if session.known is None:
        raise Undecided("the record was read once and not again, so nothing was written")
    return _Standing(session, generator, session.known).stuck()


class _Standing:
    """What stands in a record before anything was written, and whether it can be written again."""

    def __init__(self, session: Session, generator: Generator, record: JSONObject) -> None:
        self.session = session
        self.generator = generator
        self.record = record
        self.request = request = session.contract.request
        self.active = active = request.needed(record)
        self.found: dict[str, str] = {}
        """Values that no update can set, as the documents say."""
        for name in writable(session.contract):
            value, item = record.get(name), request.fields[name]
            if value is not None and not jsonschema_rs.Draft202012Validator(_kind(item)).is_valid(value):
                who = "only the platform" if item.choices else "no update"
                self.found[name] = f"it is {_told(value)}, which {who} can set"
        there = self._there()
        self.nulls = [name for name in there if record[name] in (None, "")]
        bare = {n for n in there if n in generator.selectors and n not in self.nulls and {*self.nulls} & {*active}}
        # Free text is what an API shows in another way than it stands, and hardly ever what it refuses, unless it is
        # older than a rule that the documents state.
        odd = {n for n in there if n not in self.nulls and not _documented(request.fields[n], record[n])}
        telling = odd | {n for n in there if n in active or n in generator.enums or request.fields[n].format}
        held = [n for n in there if n in telling and n not in self.nulls and n not in bare]
        self.values = [] if self.found else held
        self.fixed = [n for n in self.values if n in generator.enums and n not in generator.selectors and n not in odd]
        """Those of which a value has to be taken, whatever else an update holds or lacks."""

    def _there(self) -> list[str]:
        """What an update can write as it stands, one field of each thing that has several names."""
        request, record = self.request, self.record
        there = [
            name
            for name in writable(self.session.contract)
            if name in self.generator.fields
            and name in record
            and name not in self.found
            and (
                all(record.get(other, record[name]) == record[name] for other in request.aliases_of((name,)))
                or (name in self.active and record[name] not in (None, ""))
            )
        ]
        for group in request.aliases:
            # Aliases of one thing do not belong in one body; one of them answers for all: what a selector requires.
            same_thing = sorted((n for n in there if n in group.fields), key=lambda name: name not in self.active)
            there = [name for name in there if name not in same_thing[1:]]
        return there

    def stuck(self) -> dict[str, str]:
        """The fields that would not go back, and why."""
        record, nulls, values = self.record, self.nulls, self.values
        blanks = [name for name in nulls if record[name] == ""]
        if blanks and not self.refuses(blanks[:1]) and (self.session.known or record).get(blanks[0], "") != "":
            return self.found | dict.fromkeys(blanks, "it is blank, and the API makes something else of that")
        if not self.refuses([*nulls, *values]):
            return self.found
        if self.found:
            # A value that no update can set may be reason enough to refuse every update; the run ends anyway.
            return self.found | (dict.fromkeys(nulls, "the API refuses it as it is") if self.refuses(nulls) else {})
        stuck = self._stuck_nulls() if self.refuses(nulls) else []
        stuck += self._stuck_values(stuck) if self.refuses(values) else []
        if fixed := [name for name in self.fixed if name in stuck]:
            self._insist(fixed[:1])
        self._insist(n for n in stuck if record[n] is None and self.request.fields[n].takes_null)
        what = (
            {name: _told(record[name]) for name in values}
            | dict.fromkeys(nulls, "null")
            | dict.fromkeys(blanks, "blank")
        )
        return {
            name: f"it is {what[name]}, and the API refuses {what[name]}" for name in [*nulls, *values] if name in stuck
        }

    def _stuck_nulls(self) -> list[str]:
        """What is empty, and refused as that."""
        record, marker = self.record, self.generator.marker
        lacks = any(record.get(other, "") is None for other in self.active)
        if marker is not None and _documented(self.request.fields[marker], record.get(marker)) and not lacks:
            # Is it null that is refused, or any update that changes nothing?
            self._insist([marker])
        active = [name for name in self.nulls if name in self.active]
        return self.refused([active, [name for name in self.nulls if name not in active]])

    def _stuck_values(self, nulls: list[str]) -> list[str]:
        """What is not empty, and refused as it stands, where *nulls* are."""
        selectors = [name for name in self.values if name in self.generator.selectors]
        stuck = self.refused([[name for name in self.values if name not in selectors]])
        for name in selectors:
            needs = [n for n in self.generator.choice(name, self.record[name]).requires if n in self.values]
            if not {*needs} & {*nulls, *stuck} and self.refuses([name, *needs]):
                self._insist([name, *needs])
        return stuck

    def _insist(self, names: Iterable[str]) -> None:
        """Sends documented values as they stand, if there are any, which have to be accepted; see `_restated`."""
        if body := {name: self.record[name] for name in names}:
            _restated(self.session, body)

    def refuses(self, names: Iterable[str]) -> bool:
        """True where an update of *names* with what stands in them is refused."""
        body = {name: self.record[name] for name in names}
        if not body:
            return False
        empty = [name for name, value in body.items() if value in (None, "")]
        among = "".join(f", {name} among them" for name in empty if name in self.generator.selectors)
        label = f"what stands there already ({len(body)} fields, {len(empty)} of them empty{among})"
        kinds = {n: "null" if value is None else "blank" if value == "" else "exact" for n, value in body.items()}
        _, response = self.session.ask(label, body, kinds)
        if response.status in LOST and not {*self.values} & {*body}:
            raise Undecided(f"the API answers {response.status} to an update that changes nothing")
        if response.status in {401, 403}:
            raise Undecided(f"the credentials may read, but not update ({response.status}); nothing was changed")
        # What is lost, and held more than what is empty, is asked for in parts, and then left to the plan.
        return not response.ok and (response.status not in LOST or {*self.values} < {*body})

    def refused(self, parts: list[list[str]]) -> list[str]:
        """The names that are refused of *parts*, which are halved as long as there are probes."""
        stuck: list[str] = []
        for _ in range(PROBES):
            if not parts:
                break
            part = parts.pop()
            if not part or not self.refuses(part):
                continue
            if len(part) == 1:
                stuck += part
            else:
                parts += [part[: len(part) // 2], part[len(part) // 2 :]]
        return stuck + [name for part in parts for name in part]


def _told(value: Any) -> str:
    return repr(value) if len(repr(value)) <= 60 else f"{repr(value)[:60]}…"


def _restated(session: Session, body: JSONObject) -> None:
    """Sends documented values as they stand, which has to be accepted.

    Raises:
        Undecided: it is refused, twice.
    """
    label = f"{', '.join(body)} as it is"
    for _ in range(2):  # A refusal that comes twice is no accident.
        _, response = session.update(label, body)
        if response.ok:
            return
    raise Undecided("an update that sets a field to the value it has is refused, so nothing more was written")


def uncleared(
    session: Session, generator: Generator, found: JSONObject, hopeless: Iterable[str] = ()
) -> dict[str, str]:
    """Fields that were *found* null and that null would not empty again, and why, beside those that are
    *hopeless* anyway: asked with fields that hold something, which are put back whatever comes of it.

    Sends one update; one for each kind of value where null is refused, and two more where it still is.
    """
    request = session.contract.request
    session.settle()
    known = session.known
    if known is None:
        return {}
    active = request.needed(known)
    plain = [
        name
        for name in writable(session.contract)
        if name in generator.free
        and not request.fields[name].required
        and not request.fields[name].resource
        and session.contract.record[name].nullable
    ]

    def kind_of(name: str) -> tuple[str, bool]:
        # What is promised to take null says nothing of what is not, nor the other way round.
        return request.fields[name].format, request.fields[name].takes_null

    kinds: dict[tuple[str, bool], list[str]] = {}
    for name in [n for n in writable(session.contract) if n not in hopeless]:
        if name in generator.fields and found.get(name, MISSING) is None and name not in generator.enums:
            kinds.setdefault(kind_of(name), []).append(name)
    given = [n for n in plain if known.get(n) not in (None, "") and n not in request.aliases_of(active)]
    # One that was found with something in it can be given that again.
    given.sort(key=lambda name: found.get(name) in (None, ""))
    probes = {kind: next((n for n in given if kind_of(n) == kind), "") for kind in kinds}
    others = [name for name in given if not request.fields[name].takes_null]
    names = [name for name in probes.values() if name] or (others[:1] if kinds else [])
    # What is promised to take null has to, and is not asked together with what is not.
    sure = [name for name in names if name not in others]
    outcome = _emptied(session, sure) | _emptied(session, [name for name in names if name in others])
    if len(names) > 1 and "refuses null" in outcome.values():
        outcome = {name: how for one in names for name, how in _emptied(session, [one]).items()}
    stuck: dict[str, str] = {}
    # Those of which no field can be tried are judged by what the others showed.
    for kind, members in sorted(kinds.items(), key=lambda one: {*plain}.isdisjoint(one[1])):
        promised = kind[1]
        how = {why for n, why in outcome.items() if not (promised or request.fields[n].takes_null)}
        how = {outcome.get(probes[kind], "")} if probes[kind] else how
        if how == {"ignores null"}:
            # It may be that one field alone, which ignores whatever is written.
            second = [n for n in given if n not in outcome and kind_of(n) == kind]
            more = _emptied(session, second[:1])
            outcome |= more
            how |= {*more.values()}
        if how == {"refuses null"} and (own := next((n for n in members if n in plain and n not in active), "")):
            # It may be that field alone; nothing but such a field itself can tell.
            session.update(f"{own} to be emptied", generator.complete({own: generator.firm(own)[0]}))
            more = _emptied(session, [own])
            outcome |= more
            how = {*more.values()}
        if len(how) == 1 and (why := next(iter(how))):
            if kind[1]:
                _emptied(session, [probes[kind]] if probes[kind] else [])  # What breaks a promise twice is no accident.
            stuck |= dict.fromkeys(members, f"it is null, and where a value stands the API {why}")
    return stuck | _bared(session, generator, found, {*hopeless, *stuck})


def _bared(session: Session, generator: Generator, found: JSONObject, hopeless: set[str]) -> dict[str, str]:
    """What was *found* null although a selector requires it where it stood, and cannot be null there again, and why: it
    is given a value, and the record is put back.

    Sends an update and what puts the record back, where there is anything of the kind.
    """
    request = session.contract.request
    settled = {n: c for n, c in request.active(found).items() if generator.settable(c)}
    bare = {
        other: name
        for name, choice in settled.items()
        for other in choice.requires
        if found.get(other, MISSING) is None and other not in hopeless and other not in generator.enums
    }
    if not bare:
        return {}
    body = {name: found[name] for name in bare.values()} | {other: generator.firm(other)[0] for other in bare}
    session.update(f"{', '.join(bare)} to be put back", generator.complete(body))
    left = restore(session, found, generator, hopeless).left
    return {
        n: f"it is null, and where {bare[n]} is {found[bare[n]]!r} the API takes no null" for n in bare if n in left
    }


def _emptied(session: Session, names: list[str]) -> dict[str, str]:
    """What the API does where null is sent for each of *names*: nothing said where it empties the field,
    or where nobody knows.
    """
    before = session.known or {}
    if not names:
        return {}
    label, body = f"null where a value stands: {', '.join(names)}", dict.fromkeys(names)
    promised = all(session.contract.request.fields[name].takes_null for name in names)
    result, response = (
        session.update(label, body) if promised else session.ask(label, body, dict.fromkeys(names, "null"))
    )
    record = result.record
    if response.status in LOST or (response.status < 300 and record is None):
        return {}
    if record is None or response.status >= 300:
        return dict.fromkeys(names, "refuses null")
    if any(n in record and same(None, record[n], before.get(n)) for n in names):
        # The answer alone may show what was there before.
        session.read("read to see whether null was ignored")
        record = session.known or record
    stood = [n for n in writable(session.contract) if n in record and same(None, record[n], before.get(n))]
    one_thing = session.contract.request.aliases_of(names)
    if any(n not in stood and n not in one_thing for n in writable(session.contract)):
        return {}  # Something else became of it.
    return {n: "ignores null" if n in stood else "" for n in names}


def differences(
    contract: Contract, record: JSONObject, now: JSONObject, *, exactly: bool = False
) -> dict[str, tuple[Any, Any]]:
    """Field -> (before, now) for what an update could have changed and did.

    Never set and set to the default say the same, unless *exactly* is asked for: some platforms fill it
    in by themselves, and then nobody can take it back.
    """
    request = contract.request
    found: dict[str, tuple[Any, Any]] = {}
    for name, item in contract.record.items():
        if item.changes in {"on-write", "derived", "anytime"} or name not in record or name not in now:
            continue
        if not same(item, record[name], now[name]):
            default = request.fields[name].default if name in request.fields else None
            if not exactly and record[name] is None and now[name] is not None and now[name] == default:
                continue
            found[name] = (record[name], now[name])
    return found


def restore(session: Session, record: JSONObject, generator: Generator, hopeless: Iterable[str] = ()) -> Restored:
    """Puts the record back as it was in *record*, and reads it back to prove it.

    *hopeless* are fields of which it is known that null cannot be sent.
    """
    request = session.contract.request
    unseen = tuple(sorted(n for n in session.written if n in request.fields and request.fields[n].write_only))
    try:
        with session.unnoted():
            return _Way(session, record, generator, frozenset(hopeless), unseen).back()
    except (SendError, Undecided) as error:
        return Restored(verdict="not_restored", unseen=unseen, note=str(error))


def recall(session: Session) -> bool:
    """True where an update had respelled what identifies the record, and it was given its own id again.

    The record is looked for under its id, and under what it may have become.

    Raises:
        SendError, Undecided: no answer came back.
    """
    key = session.contract.identity
    other = respelled(session.id)
    if not key or other == session.id:
        return False
    for id in (session.id, other):
        there = Session(session.judge, session.sender, session.ledger, id)
        there.quiet = True
        there.read("read of what the id has become")
        body = there.last.body if there.last is not None else MISSING
        if isinstance(body, Mapping) and body.get(key) == other:
            response, _ = there.attempt({key: session.id}, "its own id again")
            return response is not None and response.ok
    return False


def establish(
    session: Session, generator: Generator, before: JSONObject | None, sent: Any = None, *, whole: bool = False
) -> None:
    """Brings the record near to where it stood *before*; fields of *sent* are cleared where they were null. If the
    *whole* of it is wanted, all of the record is sent, whatever it shows, and all that was null is cleared.
    """
    session.settle()
    now = session.known
    if before is None or now is None:
        return
    request = session.contract.request
    body: dict[str, Any] = {}
    for name in writable(session.contract):
        value = before.get(name)
        if name not in generator.fields or value is None or (not whole and same(None, value, now.get(name))):
            continue
        item = request.fields[name]
        settable = not item.choices or (isinstance(value, str) and value in item.choices)
        if settable and not generator.clash((name,)) & set(body):
            body[name] = value
    for other in request.needed(body):
        if other not in body and before.get(other) is not None:
            body[other] = before[other]
    if not whole and all(same(None, value, now.get(name)) for name, value in body.items()):
        body = {}
    if body and body != session.dead_end:
        response, _ = session.attempt(body, "back to where it stood")
        if response is not None and 400 <= response.status < 500:
            session.dead_end = body  # The same again would be refused again.
    now = session.known or now
    nulls = [
        name
        for name in (writable(session.contract) if whole else sent if isinstance(sent, Mapping) else ())
        if name in request.fields
        and before.get(name, "") is None
        and now.get(name) is not None
        and not request.fields[name].write_only
    ]
    if nulls and session.clears is not False:
        session.attempt(dict.fromkeys(nulls, None), "back to null")
        left = session.known or now
        # What an API clears along with it; what stood right is sent again.
        lost = {n: now[n] for n in writable(session.contract) if left.get(n) is None and now.get(n) is not None}
        if lost := {n: value for n, value in lost.items() if n not in nulls and same(None, value, before.get(n))}:
            session.attempt(lost, "back to where it stood")


class _Way:
    """The way back: everything at once, then in an order that a strict API takes, then in parts."""

    def __init__(
        self,
        session: Session,
        record: JSONObject,
        generator: Generator,
        hopeless: frozenset[str],
        unseen: tuple[str, ...],
    ) -> None:
        self.session = session
        self.contract = session.contract
        self.request = self.contract.request
        self.record = record
        self.generator = generator
        self.hopeless = hopeless
        self.unseen = unseen
        self.tries = TRIES
        only_shown = [n for n in self.contract.record if n in record and n not in self.request.fields]
        sent = [c.body for c, _ in session.between(0, session.sender.budget.spent + 1) if isinstance(c.body, Mapping)]
        self.assigned = {n: [body[n] for body in sent if n in body] for n in only_shown}
        """Values that were sent for fields that no update should set."""
        self.changed = bool(session.history)
        self.lost = False
        """True where an update got no answer, so that nobody knows whether it would have helped."""
        self.refused = Counter[str]()
        """How often each update on the way back was refused."""
        self.accepted = False
        """True where an update on the way back was accepted."""
        self.offered: set[str] = set()
        """Fields that no update should set, and that stood in one on the way back that was accepted."""

    def back(self) -> Restored:
        """Sends what brings the record back until nothing differs or nothing helps."""
        now = self.first()
        if self.session.misread:
            # Reads do not show what was written, or not what was written in the same second: everything that was
            # is sent, whatever they show.
            self.session.sender.sleep(SOON)
            self.values_first([n for n in writable(self.contract) if n in self.session.written and n in self.record])
            now = _read(self.session)
        usual = [self.at_once, self.crossed, self.values_first, self.in_parts, self.whole, self.blanks]
        if self.bare():
            usual.insert(0, usual.pop(2))
        now = self.turned(now, usual)
        # An update that was given up may be carried out all the same, a little later; and one that was
        # accepted and not stored may only have come too soon after another.
        pauses = LATE if self.session.sender.late else (SOON,) if self.unheld(now) else ()
        for pause in pauses:
            self.session.sender.sleep(pause)
            now = self.turned(_read(self.session), usual)
        if not pauses and self.session.misread and self.session.clears and self.differences(now):
            self.session.sender.sleep(SOON)
            now = self.turned(_read(self.session), [self.at_once])
        if self.unheld(now):
            now = self.turned(now, [self.aside, self.at_once])
        left = self.differences(now)
        if not left:
            return Restored(verdict="restored" if self.changed else "nothing_changed", unseen=self.unseen)
        note = "answers were lost on the way" if self.lost else ""
        return Restored(verdict="not_restored", left=left, unseen=self.unseen, note=note)

    def unheld(self, now: JSONObject) -> bool:
        """True where the record does not hold what an update can set, although it was sent and accepted."""
        left = [n for n in self.differences(now) if self.record[n] is not None and n not in self.hopeless]
        return self.accepted and any(n in self.request.fields for n in left)

    def differences(self, now: JSONObject, *, exactly: bool = False) -> dict[str, tuple[Any, Any]]:
        """What is not as it was, with what should not be possible: that an update set it."""
        found = differences(self.contract, self.record, now, exactly=exactly)
        for name, values in self.assigned.items():
            item = self.contract.record.get(name)
            if item is not None and item.changes == "anytime" and item.enum:
                continue  # It may have got there by itself.
            if name in now and now[name] != self.record[name] and now[name] in values:
                found[name] = (self.record[name], now[name])
        return found

    def first(self) -> JSONObject:
        """The record as it was left.

        Raises:
            SendError, Undecided: it cannot be read.
        """
        try:
            return _read(self.session)
        except Undecided:
            status = self.session.last.status if self.session.last is not None else 0
            if status in {200, 404} and recall(self.session):
                return _read(self.session)
            if status in {401, 403, 404, *LOST}:
                raise
        # It may be what this run wrote that makes it unreadable: put it back unseen, and look again.
        values = {n: self.record[n] for n in writable(self.contract) if self.record.get(n) is not None}
        self.session.attempt(values, "restore unseen")
        return _read(self.session)

    def turned(self, now: JSONObject, ways: Iterable[Callable[[Mapping[str, Any]], None]]) -> JSONObject:
        """The record after each of *ways* that it took to bring it back from *now*, or after the last one."""
        left = {n: both for n, both in self.differences(now, exactly=True).items() if n not in self.offered}
        turns = list(ways)
        # What only the platform can set is tried once: it would make every other body be refused.
        once = {name for name in left if name in self.hopeless and self.record[name] is not None}
        losses = 0
        while left and turns:
            self.changed, self.lost, earlier, tries = True, False, left, self.tries
            turns[0](left)
            if self.tries == tries:
                turns.pop(0)
                continue
            now = _read(self.session)
            left = self.differences(now, exactly=True)
            done = self.offered | (set() if self.lost else once)
            left = {name: both for name, both in left.items() if name not in done}
            if left == earlier and not self.differences(now):
                break  # All that is left are defaults, and they come again.
            # What is lost again and again may be lost because of what is in it: in parts it may not be.
            losses = losses + 1 if self.lost else 0
            if losses in {0, PATIENT} or self.tries <= 0:
                turns.pop(0)
                losses = 0
        return now

    def bare(self) -> bool:
        """True where a selector stood at a value without what that requires: as it was, it may be refused."""
        return any(self.record.get(other) is None for other in self.request.needed(self.record) if other in self.record)

    def put(self, body: JSONObject) -> bool:
        """Sends one update; True where it was accepted."""
        key = repr(sorted(body.items()))
        if not body or self.tries <= 0 or self.refused[key] >= OFTEN:
            return False
        self.tries -= 1
        response, _ = self.session.attempt(body, "restore")
        self.lost = self.lost or response is None or response.status in LOST
        accepted = response is not None and response.ok
        self.refused[key] += response is not None and response.status in {400, 422}
        self.accepted = self.accepted or accepted
        self.offered |= {n for n in body if n not in self.request.fields} if accepted else set()
        return accepted

    def groups(self, left: Iterable[str]) -> tuple[dict[str, Any], dict[str, Any]]:
        """What *left* was, in two bodies: aliases of one thing stand in the first only where they were the same."""
        body = {name: self.record[name] for name in left}
        later: dict[str, Any] = {}
        for group in self.request.aliases:
            names = [name for name in group.fields if name in body]
            first = group.wins if group.wins in names else names[0] if names else ""
            later |= {name: body.pop(name) for name in names if body[name] != body[first]}
        return body, later

    def at_once(self, left: Mapping[str, tuple[Any, Any]]) -> None:
        """Everything in one update, and other names for the same thing in a second."""
        for body in self.groups(left):
            self.put(body)

    def crossed(self, left: Mapping[str, tuple[Any, Any]]) -> None:
        """An API that mixes two fields up on writing is given them the other way round."""
        pairs = {
            a: before_b
            for a, (before_a, now_a) in left.items()
            for b, (before_b, now_b) in left.items()
            if a != b and now_a == before_b and now_b == before_a
        }
        self.put(pairs)

    def values_first(self, left: Iterable[str]) -> None:
        """Selectors go back with something in their companions, and these are cleared afterwards."""
        body, later = self.groups(left)
        values = {name: value for name, value in body.items() if value is not None}
        now = self.session.known or {}
        for name, choice in self.request.active(self.record).items():
            if name in values:
                for other in choice.requires:
                    if self.record.get(other) is None and other in self.generator.fields:
                        values[other] = now.get(other) or self.generator.firm(other)[0]
        self.put(values)
        self.put({name: value for name, value in later.items() if value is not None})
        self.put({name: None for name in [*body, *later] if self.record[name] is None})

    def in_parts(self, left: Mapping[str, tuple[Any, Any]]) -> None:
        """Halves of what is refused whole, down to single fields, so that no value keeps another back."""
        body, later = self.groups(left)
        now = self.session.known or {}
        units: list[dict[str, Any]] = []
        for name, choice in self.request.active(body).items():
            if name in body:
                needs = [n for n in choice.requires if n in self.generator.fields]
                given = {n: body.pop(n, self.record.get(n) or now.get(n)) for n in needs}
                units.append({name: body.pop(name), **{n: v for n, v in given.items() if v is not None}})
        rest = {**body, **later}
        units += [{n: v} for n, v in rest.items() if v is not None]
        self.halve(units)
        self.halve([{n: v} for n, v in rest.items() if v is None and n not in self.hopeless])

    def halve(self, units: list[dict[str, Any]]) -> None:
        if not units or self.tries <= 0:
            return
        merged: dict[str, Any] = {}
        for unit in units:
            merged.update(unit)
        if self.put(merged) or len(units) == 1:
            return
        middle = len(units) // 2
        self.halve(units[:middle])
        self.halve(units[middle:])

    def whole(self, left: Mapping[str, tuple[Any, Any]]) -> None:
        """All that can be set, as a form sends it: what is not sent along may not stay."""
        names = [n for n in writable(self.contract) if n in self.generator.fields and n not in self.hopeless]
        given = {n: self.record[n] for n in names if self.record.get(n) is not None or n in left}
        body, later = self.groups(given)
        self.put({**body, **{n: v for n, v in later.items() if n in left}} if self.accepted else {})

    def aside(self, left: Mapping[str, tuple[Any, Any]]) -> None:
        """What is not stored while a selector stands where it does goes back while it stands elsewhere."""
        values = {n: self.record[n] for n in left if n in self.generator.fields and self.record[n] is not None}
        for name in self.generator.selectors:
            stands = self.record.get(name)
            other = next((value for value in self.generator.enums[name] if value != stands), None)
            if other is None or stands not in self.generator.enums[name]:
                continue
            choice = self.generator.choice(name, stands)
            mine = {n: value for n, value in values.items() if n in choice.uses or n in choice.requires}
            # The way back to where it stands is kept free.
            if not mine or self.tries < len(mine) + BACK:
                continue
            if self.put(self.generator.complete({name: other})):
                for field, value in mine.items():
                    self.put({field: value})
                needed = {n: self.record.get(n) for n in choice.requires}
                self.put({name: stands, **{n: value for n, value in needed.items() if value is not None}})

    def blanks(self, left: Mapping[str, tuple[Any, Any]]) -> None:
        """Where null is ignored a blank may clear, and a blank is better than a value of this run."""
        texts = [n for n in left if n in self.request.fields and "string" in self.request.fields[n].types]
        empty = {n: "" for n in texts if self.record[n] is None and n not in self.generator.enums}
        self.put(self.groups(empty)[0] and dict.fromkeys(self.groups(empty)[0], ""))


def _read(session: Session) -> JSONObject:
    """The record as it is; an API that does not answer is waited for a little.

    Raises:
        SendError, Undecided: it cannot be read.
    """
    budget, tries, wait = session.sender.budget, 0, 0.1
    while tries < 3:
        session.known = session.last = None
        session.sender.reconnect()
        try:
            session.read("read to restore")
        except (SendError, Undecided) as error:
            if budget.clock() >= budget.patience or (isinstance(error, SendError) and error.kind == "final"):
                raise
        if session.known is not None:
            return session.known
        lost = session.last is None or session.last.status in LOST
        late = budget.clock() >= budget.patience
        tries += 3 if lost and late else not lost
        if lost and not late:
            session.sender.sleep(wait)
            wait = min(1.0, wait * 2)
    status = f" ({session.last.status})" if session.last is not None else ""
    raise Undecided(f"the record cannot be read{status}, so nobody can tell how it was left")
