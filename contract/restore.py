"""The way back: the record is put back in whatever order the API takes, and read to prove it. What could not be put
back is found out before, in `preflight`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

from contract.errors import SendError, Undecided
from contract.model import MISSING, Case, Interaction, JSONObject, is_empty
from contract.send import LOST
from contract.session import Session
from contract.shape import same
from contract.spec import Contract

__all__ = ["Restored", "among", "beside", "differences", "establish", "recall", "restore", "shed", "writable"]

TRIES: Final = 24
"""Updates that may be tried to put one record back."""
BACK: Final = 4
"""Updates that move a selector away from where it stands, and back again."""
LATE: Final = (0.5, 1.0)
"""Seconds after which a record is read once more where an update was given up."""
SOON: Final = 1.1
"""Seconds after which one update does not come in the same second as the one before it."""
DENIED: Final = {401, 403, 423}
"""Statuses of an update that may have been refused for who sent it, and when."""
PATIENT: Final = 2
"""Times that one way back is tried while its answers are lost."""
OFTEN: Final = 3
"""Times that one update is refused before it is not sent any more: something else may have been in its way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """How one record was left."""

    verdict: str
    """``restored``, ``not_restored`` or ``nothing_changed``."""
    left: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)
    """Field -> (before, now), where it is not as it was."""
    unseen: tuple[str, ...] = ()
    """Fields that were written but can never be read, so that nobody can put them back."""
    filled: tuple[str, ...] = ()
    """Fields that were null and have their documented default now, which says the same."""
    note: str = ""
    way: str = ""
    """The command with which to try again later."""
    odd: tuple[str, ...] = ()
    """Fields that were found with what hardly anybody writes but such a run."""
    theirs: tuple[str, ...] = ()
    """Fields that someone else wrote during the run, and that were left alone."""
    replaced: Mapping[str, Any] = field(default_factory=dict)
    """Field -> what stood there before, where it is as it was found; for a run that was cut off, whose it was nobody knows."""
    accepted: tuple[Interaction, ...] = ()
    """The updates on the way back that were accepted, where something is left."""


def writable(contract: Contract) -> list[str]:
    """The fields that can be both written and read."""
    fields = contract.request.fields.items()
    return [n for n, f in fields if n in contract.record and not f.write_only and not f.read_only]


def differences(
    contract: Contract, record: JSONObject, now: JSONObject, *, exactly: bool = False
) -> dict[str, tuple[Any, Any]]:
    """Field -> (before, now) for what an update could have changed and did.

    Never set and set to the default say the same, unless *exactly* is asked for: some platforms fill it
    in by themselves, and then nobody can take it back.
    """
    request = contract.request
    found: dict[str, tuple[Any, Any]] = {}
    # Some leave out what is null, whatever is documented.
    sparse = any(record.get(name, "") is None and name not in now for name in writable(contract))
    for name, item in contract.record.items():
        set_by = request.fields.get(name)
        itself = item.changes in {"on-write", "derived", "anytime"} and (set_by is None or set_by.read_only)
        absent = name not in now and not (set_by is not None and (sparse or not item.required))
        if itself or name not in record or absent:
            continue
        was, shown = record[name], now.get(name)
        if not same(item, was, shown):
            default = request.fields[name].default if name in request.fields else None
            if not exactly and was is None and shown is not None and shown == default:
                continue
            found[name] = (was, shown)
    return found


def restore(session: Session, record: JSONObject, hopeless: Iterable[str] = ()) -> Restored:
    """Puts the record back as it was in *record*, and reads it back to prove it.

    *hopeless* are fields of which it is known that null cannot be sent.
    """
    request = session.contract.request
    unseen = tuple(sorted(n for n in session.written if n in request.fields and request.fields[n].write_only))
    try:
        with session.unnoted():
            return _Way(session, record, frozenset(hopeless), unseen).back()
    except (SendError, Undecided) as error:
        return Restored(verdict="not_restored", unseen=unseen, note=str(error))


def recall(session: Session) -> bool:
    """True where an update had respelled what identifies the record, and it was given its own id again.

    The record is looked for under its id, and under what it may have become.

    Raises:
        SendError, Undecided: no answer came back.
    """
    key = session.contract.identity
    other = session.id.swapcase()
    if not key or other == session.id:
        return False
    for id in (session.id, other):
        there = Session(session.judge, session.sender, session.ledger, id, session.generator)
        there.quiet = True
        there.read("read of what the id has become")
        body = there.last.body if there.last is not None else MISSING
        if isinstance(body, Mapping) and body.get(key) == other:
            response, _ = there.attempt({key: session.id}, "its own id again")
            return response is not None and response.ok
    return False


def establish(session: Session, before: JSONObject | None, sent: Any = None, *, whole: bool = False) -> None:
    """Brings the record near to where it stood *before*; fields of *sent* are cleared where they were null. If the
    *whole* of it is wanted, all of the record is sent, whatever it shows, and all that was null is cleared.
    """
    session.settle()
    now = session.known
    if before is None or now is None:
        return
    request, generator = session.contract.request, session.generator
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
        # What no answer shows may have to be sent all the same.
        value = before.get(other) if other in before else next(iter(generator.firm(other)), None)
        if other not in body and value is not None:
            body[other] = value
    if not whole and all(same(None, value, now.get(name)) for name, value in body.items()):
        body = {}
    if body and body != session.dead_end:
        response, _ = session.attempt(body, "back to where it stood")
        if response is not None and response.refused:
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
    clears = session.clears
    if nulls and clears is not False:
        session.attempt(dict.fromkeys(nulls, None), "back to null")
        left = session.known or now
        # What an API clears along with it; what stood right is sent again.
        lost = {n: now[n] for n in writable(session.contract) if left.get(n) is None and now.get(n) is not None}
        if lost := {n: value for n, value in lost.items() if n not in nulls and same(None, value, before.get(n))}:
            session.attempt(lost, "back to where it stood")
    stuck = [n for n in nulls if session.now.get(n) is not None]
    if stuck and clears:
        # An API may read some fields beside a selector only.
        session.attempt(_anchored(session, {}) | dict.fromkeys(stuck, None), "back to null")
        stuck = [n for n in stuck if session.now.get(n) is not None]
    if stuck and (session.sheds or clears):
        shed(session, stuck)
    # One field that null leaves as it is says nothing of the others.
    session.clears = session.clears if clears is None else clears


def _anchored(session: Session, body: JSONObject) -> dict[str, Any]:
    """*body* with the selectors as they stand, and what they require."""
    generator, now = session.generator, session.now
    stands = {n: now[n] for n in generator.selectors if n not in body and now.get(n) in generator.enums[n]}
    return generator.complete({**body, **stands}, lambda name: now.get(name) or generator.firm(name)[0])


def shed(session: Session, names: list[str]) -> None:
    """Clears the first of *names* that a selector uses, where null does not by itself: the selector goes to the value
    that uses it, and away again. An API may clear it then; or take null as long as the selector stands there.
    """
    generator, now = session.generator, session.now
    for selector, values in generator.enums.items():
        choices = generator.selectors[selector].choices if selector in generator.selectors else {}
        value = next((v for v in values if v in choices and {*names} & {*choices[v].companions}), None)
        mine = [n for n in names if value is not None and n in choices[value].companions]
        back = next((v for v in (now.get(selector), *values) if v != value and v in values), None)
        if value is None or back is None:
            continue
        if now.get(selector) != value:
            session.attempt(generator.complete({selector: value}), "to be cleared")
        if not session.sheds:
            session.attempt(dict.fromkeys(mine), "back to null")
        session.attempt(_anchored(session, {selector: back}), "back to where it stood")
        return


def beside(session: Session, name: str, body: JSONObject) -> None:
    """Sends *body*, which sets the field *name*, with the value of a selector that uses it: an API may not take it
    otherwise. The selector goes back to where it stood.
    """
    generator = session.generator
    for selector, values in generator.enums.items():
        item, stood = generator.selectors.get(selector), session.now.get(selector)
        users = [v for v in values if v != stood and item is not None and name in item.choices[v].companions]
        if users and stood in values:
            session.attempt(generator.complete({**body, selector: users[0]}), "another value first")
            session.attempt(_anchored(session, {selector: stood}), "back to where it stood")
            return


def among(session: Session, name: str, body: JSONObject) -> None:
    """Sends *body*, which sets the field *name*, with all that stands: an API may read it beside another field only."""
    request, generator, now = session.contract.request, session.generator, session.now
    stands = {n: now[n] for n in writable(session.contract) if n in generator.fields and not is_empty(now.get(n))}
    fits = {n: v for n, v in stands.items() if not request.fields[n].choices or v in request.fields[n].choices}
    clash = generator.clash((name,))
    session.attempt({**{n: v for n, v in fits.items() if n not in clash}, **body}, "another value first")


class _Way:
    """The way back: everything at once, then in an order that a strict API takes, then in parts."""

    def __init__(self, session: Session, record: JSONObject, hopeless: frozenset[str], unseen: tuple[str, ...]) -> None:
        self.session = session
        self.contract = session.contract
        self.request = self.contract.request
        self.record = record
        self.generator = session.generator
        self.hopeless = hopeless
        self.unseen = unseen
        self.tries = TRIES
        only_shown = [n for n in self.contract.record if n in record and n not in self.request.fields]
        self.sent = [case.fields for case, _ in session.between(0, session.sender.budget.spent + 1)]
        self.assigned = {n: [body[n] for body in self.sent if n in body] for n in only_shown}
        """Values that were sent for fields that no update should set."""
        self.changed = bool(session.updates)
        self.lost = False
        """True where an update got no answer, so that nobody knows whether it would have helped."""
        self.barred: int | None = None
        """The status of the last update, 0 where it got no answer, if that says nothing of what was sent: the same may be
        taken another time.
        """
        self.refused = Counter[str]()
        """How often each update on the way back was refused."""
        self.accepted: list[Interaction] = []
        """The updates on the way back that were accepted."""
        self.pages = 0
        """Updates on it that were answered with a web page, or the way to one."""
        self.latest = ""
        """The update before, where it was accepted: the same again at once would not do more."""
        self.offered: set[str] = set()
        """Fields that no update should set, and that stood in one on the way back that was accepted."""
        self.passed: list[Mapping[str, tuple[Any, Any]]] = []
        """What differed after each turn that changed something."""
        self.stale = False
        """True where reads were seen not to show what the answer to the update before them shows."""
        self.doubled = False
        """True where it was tried whether two updates in a row do what one did not."""
        self.circles = False
        """True where one turn undoes what another did, as where two names of one thing were found with two values that
        they cannot have any more: trying longer does not help.
        """

    def back(self) -> Restored:
        """Sends what brings the record back until nothing differs or nothing helps."""
        now = began = self.first()
        if self.session.misread:
            # Reads do not show what was written, or not what was written in the same second: everything that was
            # is sent, whatever they show.
            self.session.sender.sleep(SOON)
            self.values_first([n for n in writable(self.contract) if n in self.session.written and n in self.record])
            now = _read(self.session)
        usual = [self.at_once, self.defaults, self.crossed, self.values_first, self.in_parts, self.whole]
        usual += [self.there, self.blanks]
        if any(self.record.get(name) is None for name in self.hopeless):
            # What is known not to take null needs not be told so again.
            usual = [self.values_first, self.defaults, self.there, self.in_parts, self.whole, self.blanks]
        elif self.bare():
            usual.insert(0, usual.pop(usual.index(self.values_first)))
        if self.hopeless & {*self.generator.selectors}:
            usual[1:1] = [self.parked, self.at_once]
        now = self.turned(now, usual)
        # An update that was given up may be carried out all the same, a little later; and one that was
        # accepted and not stored may only have come too soon after another.
        pauses = LATE if self.session.sender.late else (SOON,) if self.unheld(now) else ()
        for pause in pauses:
            self.session.sender.sleep(pause)
            self.latest = ""
            now = self.turned(_read(self.session), usual)
        if not pauses and self.session.misread and self.session.clears and self.differences(now):
            self.session.sender.sleep(SOON)
            now = self.turned(_read(self.session), [self.at_once])
        if self.unheld(now):
            now = self.turned(now, [self.aside, self.at_once])
        left = self.differences(now)
        settable = {*left}.intersection(self.settable())
        if not self.session.misread and any(settable.difference(earlier) for earlier in self.passed):
            # One of the ways cleared what another had put back, as far as reads can be trusted.
            self.tries = max(self.tries, 1)
            self.whole(left)
            left = self.differences(_read(self.session))
        if plain := self.plainest(left):
            self.tries = max(self.tries, 1)
            self.put(plain)
            left = self.differences(_read(self.session))
        if not left:
            filled = tuple(self.differences(now, exactly=True))
            verdict = "restored" if self.changed else "nothing_changed"
            replaced = {n: now for n, (_, now) in self.differences(began).items()}
            return Restored(verdict=verdict, unseen=self.unseen, filled=filled, replaced=replaced)
        note = ""
        if self.barred in {0, *LOST}:
            note = "answers were lost on the way"
        elif self.barred in DENIED or (self.barred and not self.accepted):
            note = f"updates are answered {self.barred}"
        if self.pages and not self.accepted:
            note = "updates are answered with web pages, or sent elsewhere"  # Somebody may have to log in first.
        accepted = tuple(self.accepted)
        return Restored(verdict="not_restored", left=left, unseen=self.unseen, note=note, accepted=accepted)

    def plainest(self, left: Mapping[str, tuple[Any, Any]]) -> dict[str, Any]:
        """The plainest values for texts of a run in fields that were empty, and cannot be emptied again: whoever meets
        them there is not to wonder about markup, or worse.
        """
        gen, plain = self.generator, dict[str, Any]()
        for name, (was, now) in left.items():
            if name in gen.free and is_empty(was) and isinstance(now, str):
                first, *others = gen.firm(name)
                sent = [*others, *(v for _, v in gen.open(name)), *(body.get(name) for body in self.sent)]
                plain |= {name: first} if now in sent and now != first else {}
        return plain

    def unheld(self, now: JSONObject) -> bool:
        """True where the record does not hold what an update can set, although it was sent and accepted."""
        left = [n for n in self.differences(now) if self.record[n] is not None and n not in self.hopeless]
        return bool(self.accepted) and not self.circles and any(n in self.request.fields for n in left)

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
        with suppress(Undecided):
            return _read(self.session, most=1)
        if self.status in {200, 404} and recall(self.session):
            return _read(self.session)
        try:
            return _read(self.session, most=2)
        except Undecided:
            if self.status in {401, 403, 404, *LOST}:
                raise
        # It may be what this run wrote that makes it unreadable: put it back unseen, and look again. Where null is not
        # taken, a plain text will do until it can be read.
        empty = [n for n in writable(self.contract) if n in self.record and self.record[n] is None]
        values = {n: self.record[n] for n in writable(self.contract) if self.record.get(n) is not None}
        plain = {n: self.generator.firm(n)[0] for n in empty if n in self.generator.free}
        self.changed = True
        for body in (values, dict.fromkeys(n for n in empty if n not in self.hopeless), plain):
            if body:
                self.session.attempt(body, "restore unseen")
                with suppress(Undecided):
                    return _read(self.session, most=1)
        return _read(self.session)

    @property
    def status(self) -> int:
        """The status of the last answer, or 0."""
        return self.session.last.status if self.session.last is not None else 0

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
            answered = self.session.now
            now = _read(self.session)
            left = self.differences(now, exactly=True)
            done = self.offered | (set() if self.lost else once)
            left = {name: both for name, both in left.items() if name not in done}
            if left == earlier and not self.differences(now):
                break  # All that is left are defaults, and they come again.
            if self.passed[-1:] != [left]:
                self.circles = self.circles or left in self.passed
                self.passed.append(left)
            if left and self.latest and not (self.stale or self.differences(answered, exactly=True)):
                self.stale = True
                turns[1:1] = [self.moved, self.at_once]
            if self.latest and not self.doubled and any(self.record[name] is not None for name in left):
                self.doubled = True
                turns.insert(1, self.twice)
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
        if not body or self.tries <= 0 or self.refused[key] >= OFTEN or key == self.latest:
            return False
        self.tries -= 1
        before = self.session.known
        response, _ = self.session.attempt(body, "restore")
        self.lost = self.lost or response is None or response.status in LOST
        self.pages += response is not None and response.page
        accepted = response is not None and response.ok and not response.page
        self.refused[key] += response is not None and response.status in {400, 422}
        told = response is not None and (response.ok or response.page or response.status in {400, 422})
        self.barred = None if told else response.status if response is not None else 0
        if response is not None and accepted:
            case = Case(label="restore", operation=self.contract.update.id, body=body)
            self.accepted.append(Interaction(case=case, response=response, before=before, id=self.session.id))
        self.latest = key if accepted else ""
        settable = {n for n, item in self.request.fields.items() if not item.read_only}
        self.offered |= body.keys() - settable if accepted else set()
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
        # Where the documents do not say that what is not sent stays, a part of it would clear the rest.
        stays = [] if self.contract.update.unsent is not None else self.settable()
        for body in self.groups(dict.fromkeys([*left, *(n for n in stays if self.record[n] is not None)])):
            self.put(body)

    def settable(self) -> list[str]:
        """The fields that an update can set, as far as is known."""
        names = [n for n in writable(self.contract) if n in self.generator.fields and n not in self.hopeless]
        return [n for n in names if n in self.record]

    def parked(self, left: Mapping[str, tuple[Any, Any]]) -> None:
        """A selector that cannot go back goes where it requires nothing but what was found: what it requires where it
        stands would have to stay as well.
        """
        body: dict[str, Any] = {}
        now = self.session.now
        for name in self.generator.selectors:
            stuck = name in self.hopeless and now.get(name) != self.record.get(name)
            for value in self.generator.enums[name] if stuck else ():
                needs = {n: self.record.get(n) for n in self.generator.choice(name, value).requires}
                if self.hopeless.isdisjoint(needs) and not any(map(is_empty, needs.values())):
                    body |= {name: value, **needs}
                    break
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
        now = self.session.now
        for name, choice in self.request.active(self.record).items():
            if name in values:
                for other in choice.requires:
                    if self.record.get(other) is None and other in self.generator.fields:
                        values[other] = now.get(other) or self.generator.firm(other)[0]
        self.put(values)
        self.put({name: value for name, value in later.items() if value is not None})
        self.put({name: None for name in [*body, *later] if self.record[name] is None and name not in self.hopeless})

    def in_parts(self, left: Mapping[str, tuple[Any, Any]]) -> None:
        """Halves of what is refused whole, down to single fields, so that no value keeps another back."""
        body, later = self.groups(left)
        now = self.session.now
        units: list[dict[str, Any]] = []
        for name, choice in self.request.active(body).items():
            if name in body:
                needs = [n for n in choice.requires if n in self.generator.fields]
                given = {n: body.pop(n, self.record.get(n) or now.get(n)) for n in needs}
                units.append({name: body.pop(name), **{n: v for n, v in given.items() if v is not None}})
        rest = {**body, **later}
        units += [{n: v} for n, v in rest.items() if v is not None]
        self.halve(units)
        # What is required where a selector stands that cannot go back has to stay.
        stuck = {n: now.get(n) for n in self.generator.selectors if n in self.hopeless}
        held = self.hopeless.union(self.request.needed(stuck))
        # Where the default stands, which says the same, to have asked once is enough.
        wrong = self.differences(now)
        self.halve([{n: v} for n, v in rest.items() if v is None and n in wrong and n not in held])

    def halve(self, units: list[dict[str, Any]]) -> None:
        if not units or self.tries <= 0:
            return
        if self.put({name: value for unit in units for name, value in unit.items()}) or len(units) == 1:
            return
        middle = len(units) // 2
        self.halve(units[:middle])
        self.halve(units[middle:])

    def whole(self, left: Mapping[str, tuple[Any, Any]]) -> None:
        """All that can be set, as a form sends it: what is not sent along may not stay."""
        given = {n: self.record[n] for n in self.settable() if self.record[n] is not None or n in left}
        body, later = self.groups(given)
        self.put({**body, **{n: v for n, v in later.items() if n in left}} if self.accepted else {})

    def twice(self, left: Mapping[str, tuple[Any, Any]]) -> None:
        """What was accepted and is not there goes out two times in a row: what comes right after a read may be lost."""
        for _ in range(2):
            self.latest = ""
            self.at_once(left)

    def moved(self, left: Mapping[str, tuple[Any, Any]]) -> None:
        """Moves the selectors away and back, where null clears what that leaves: reads may show what is kept from before
        such a change.
        """
        for name, values in self.generator.enums.items() if self.session.clears else ():
            stands = self.record.get(name)
            other = next((value for value in values if value != stands), None)
            if name not in self.generator.selectors or other is None or stands not in values or self.tries < BACK:
                continue
            away = self.generator.complete({name: other})
            if self.put(away):
                self.stand(name, {n: self.record.get(n) for n in away if n != name})

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
                self.stand(name)

    def stand(self, selector: str, along: JSONObject | None = None) -> None:
        """Puts a selector back to where it stood, with what it required there, and what goes *along*."""
        stands = self.record[selector]
        needed = {n: self.record.get(n) for n in self.generator.choice(selector, stands).requires}
        self.put({**(along or {}), selector: stands, **{n: value for n, value in needed.items() if value is not None}})

    def there(self, left: Mapping[str, tuple[Any, Any]]) -> None:
        """What is not cleared unless a selector stands at the value that uses it is cleared there."""
        nulls = [n for n in left if n in self.generator.fields and self.record[n] is None]
        for name in self.generator.selectors:
            stands, before = self.record.get(name), list[str]()
            for value in self.generator.enums[name] if stands in self.generator.enums[name] else ():
                choice = self.generator.choice(name, value)
                mine = [n for n in nulls if n in choice.companions]
                # Nothing that is right is filled for it.
                fills = any(n not in mine and is_empty(self.session.now.get(n)) for n in choice.requires)
                if not mine or fills or value == stands or self.tries < BACK:
                    continue
                if self.put(self.generator.complete({name: value})):
                    # What stands after it was left as well does so wherever the selector goes.
                    if before and not any(is_empty(self.session.now.get(n)) for n in before):
                        break
                    before = mine
                    if not self.session.sheds:
                        self.put(dict.fromkeys(mine))
            if before:
                self.stand(name)

    def defaults(self, left: Mapping[str, tuple[Any, Any]]) -> None:
        """Where null is refused or ignored the documented default says the same."""
        fields = {n: self.request.fields[n] for n in left if n in self.request.fields and self.record[n] is None}
        self.put({n: item.default for n, item in fields.items() if item.default not in (MISSING, None)})

    def blanks(self, left: Mapping[str, tuple[Any, Any]]) -> None:
        """Where null is ignored a blank may clear, and a blank is better than a value of this run."""
        texts = [n for n in left if n in self.request.fields and "string" in self.request.fields[n].types]
        empty = {n: "" for n in texts if self.record[n] is None and n not in self.generator.enums}
        self.put(dict.fromkeys(self.groups(empty)[0], ""))


def _read(session: Session, most: int = 3) -> JSONObject:
    """The record as it is, read *most* times where answers do not show it; an API that does not answer is waited for a
    little.

    Raises:
        SendError, Undecided: it cannot be read.
    """
    budget, tries, wait = session.sender.budget, 0, 0.1
    while tries < most:
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
        tries += most if lost and late else not lost
        if lost and not late:
            session.sender.sleep(wait)
            wait = min(1.0, wait * 2)
    status = f" ({session.last.status})" if session.last is not None else ""
    raise Undecided(f"the record cannot be read{status}, so nobody can tell how it was left")
