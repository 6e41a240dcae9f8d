"""What is found out about a record before the plan begins: how it stands, or why nothing can be written to it, and what
could not be put back.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import jsonschema_rs

from contract.cases import excluding
from contract.errors import Undecided
from contract.model import MISSING, Case, JSONObject, Response, is_empty
from contract.restore import restore, writable
from contract.send import LOST, proxy_for
from contract.session import Session
from contract.shape import same

__all__ = ["look", "uncleared", "unrestorable"]

SHUNNED: Final = 2
"""Fields that are refused where they are empty, of which it is found out whether they are refused whatever they hold."""
PROBES: Final = 14
"""Updates that may be tried to see which fields refuse null."""


def look(session: Session, base_url: str) -> JSONObject | None:
    """The record as it stands; nothing where it cannot be read as documented.

    Raises:
        SendError: no answer came back.
        Undecided: the credentials, the id or the address are wrong.
    """
    case = Case(label="the record as it was found", operation=session.contract.retrieve.id)
    _, response = session.perform(case)
    _understand(session, base_url, response)
    if session.known is None or response.problem or session.judge.answers.tells(response):
        # What others may read differently is nothing to put back later, and a secret is not to be kept.
        _confirm(session)
        last = session.last
        if session.known is None or last is None or response.status < 500:
            return None
        if last.problem or session.judge.answers.tells(last):
            return None
    # Some leave out what is null, whatever is documented.
    return {**dict.fromkeys(writable(session.contract)), **session.known}


def _understand(session: Session, base_url: str, response: Response) -> None:
    """Ends the run where the very first answer shows that it was set up wrongly."""
    url = f"{base_url}{session.contract.retrieve.url(session.id)}"
    if response.status in {401, 403}:
        raise Undecided(
            f"the credentials are refused ({response.status} for GET {url}); check the environment variables"
        )
    if response.status == 407:
        raise Undecided(f"GET {url} is answered 407: the proxy wants credentials, which belong into its address")
    if response.status in LOST:
        proxy = urlsplit(proxy_for(base_url) or "").hostname
        by = f", through the proxy {proxy}" if proxy else ""
        raise Undecided(f"GET {url} answers {response.status} again and again{by}; try again when the API is up")
    kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    html = (kind == "text/html" and not isinstance(response.body, Mapping)) or response.content.lstrip()[:1] == b"<"
    if response.status == 404 or html or 300 <= response.status < 400:
        # A query may hold what is to be kept secret.
        to = f" to {response.headers['location'].partition('?')[0]}" if "location" in response.headers else ""
        what = "a web page" if html else f"a {response.status}{to}"
        hint = f"check that the id {session.id!r} exists there, and that base_url ends with the API's path"
        servers = session.contract.document.data.get("servers") or [{}]
        hint += f", as in {servers[0]['url']}" if servers[0].get("url") else ""
        raise Undecided(f"GET {url} answers {what}; {hint}")
    if response.status == 422 or response.status == 400:
        raise Undecided(f"GET {url} answers {response.status}; check the id {session.id!r}")


def _confirm(session: Session) -> None:
    """Reads once more, so that one bad answer is not called broken."""
    for _ in range(2):
        session.read("the record once more")
    failures = session.ledger.failures
    seen = Counter(failure.finding.rule for failure in failures)
    for failure in failures:
        failure.confirmed = seen[failure.finding.rule] >= 3
    session.ledger.fold()


def unrestorable(session: Session) -> dict[str, str]:
    """Fields that could not be put back, and why: found out before anything changes.

    Sends updates that write what stands there already: one with all of it, and where that is refused, at most
    `PROBES` each with parts of what is empty and of what is not, and three for each selector.

    Raises:
        SendError, Undecided: no answer came back, or the last one did not show the record any more.
    """
    if session.known is None:
        raise Undecided("the record was read once and not again, so nothing was written")
    optional = (n for n in writable(session.contract) if not session.contract.record[n].required)
    return _Standing(session, {**dict.fromkeys(optional), **session.known}).stuck()


class _Standing:
    """What stands in a record before anything was written, and whether it can be written again."""

    def __init__(self, session: Session, record: JSONObject) -> None:
        self.session = session
        self.generator = generator = session.generator
        self.record = record
        self.request = request = session.contract.request
        self.active = active = request.needed(record)
        self.found: dict[str, str] = {}
        """Values that no update can set, as the documents say."""
        for name in writable(session.contract):
            value, item = record.get(name), request.fields[name]
            # The part of the schema that says which values there are at all.
            kind = {word: item.schema[word] for word in ("type", "enum") if word in item.schema}
            if value is not None and not jsonschema_rs.Draft202012Validator(kind).is_valid(value):
                who = "only the platform" if item.choices else "no update"
                self.found[name] = f"it is {_told(value)}, which {who} can set"
        there = self._there()
        self.nulls = [name for name in there if is_empty(record[name])]
        bare = {n for n in there if n in generator.selectors and n not in self.nulls and {*self.nulls} & {*active}}
        # Free text is what an API shows in another way than it stands, and hardly ever what it refuses, unless it is
        # older than a rule that the documents state.
        odd = {n for n in there if n not in self.nulls and not request.fields[n].allows(record[n])}
        telling = odd | {n for n in there if n in active or n in generator.enums or request.fields[n].format}
        held = [n for n in there if n in telling and n not in self.nulls and n not in bare]
        self.values = [] if self.found else held
        idle = {o for s in generator.selectors.values() for c in s.choices.values() for o in c.companions}
        idle -= {o for choice in request.active(record).values() for o in choice.companions}
        sure = {n for n in self.values if n not in idle and (n in generator.enums or generator.takes(n, record[n]))}
        self.fixed = [n for n in self.values if n in sure and n not in generator.selectors and n not in odd]
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
                or (name in self.active and not is_empty(record[name]))
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
            self._insist({fixed[0]: record[fixed[0]]})
        self._insist({n: None for n in stuck if record[n] is None and self.request.fields[n].takes_null})
        if len(stuck) < len(nulls):
            for name in [n for n in stuck if n in nulls][:SHUNNED]:
                self._shunned(name)
        what = {
            n: "null" if record[n] is None else "blank" if n in blanks else _told(record[n]) for n in [*nulls, *values]
        }
        return {n: f"it is {told}, and the API refuses {told}" for n, told in what.items() if n in stuck}

    def _stuck_nulls(self) -> list[str]:
        """What is empty, and refused as that."""
        record, marker = self.record, self.generator.marker
        lacks = any(record.get(other, "") is None for other in self.active)
        if marker is not None and self.generator.takes(marker, self.record.get(marker)) and not lacks:
            # Is it null that is refused, or any update that changes nothing?
            self._insist({marker: record[marker]})
        active = [name for name in self.nulls if name in self.active]
        return self.refused([active, [name for name in self.nulls if name not in active]])

    def _stuck_values(self, nulls: list[str]) -> list[str]:
        """What is not empty, and refused as it stands, where *nulls* are."""
        selectors = [name for name in self.values if name in self.generator.selectors]
        stuck = self.refused([[name for name in self.values if name not in selectors]])
        for name in selectors:
            needs = [n for n in self.generator.choice(name, self.record[name]).requires if n in self.values]
            if not {*needs} & {*nulls, *stuck} and self.refuses([name, *needs]):
                self._insist({n: self.record[n] for n in [name, *needs]})
        return stuck

    def _shunned(self, name: str) -> None:
        """Sends a documented value of what is refused where it is empty, if that can be told to be refused too: beside
        something that is refused anyway, so that nothing can change, the answer is another one with it than without.
        """
        generator, update = self.generator, self.session.contract.update.id
        if name in generator.enums or name not in generator.free or not generator.firm(name):
            return
        users = [(s, v, c) for s, one in generator.selectors.items() for v, c in one.choices.items() if name in c.uses]
        settable = [{s: v} for s, v, c in users if generator.settable(c)]
        if users and not settable:
            return
        body = generator.complete(next(iter(settable), {}))
        given = {name: generator.firm(name)[0]}
        enums = (n for n, item in self.request.fields.items() if "enum" in item.excludes and not item.read_only)
        wrong = next((n for n in enums if n not in generator.selectors and n not in body), None)
        if wrong is None:
            return
        value = generator.refused(wrong)[0][1]
        sent = body | {wrong: value}
        answers: list[tuple[int, bool]] = []
        for more in ({}, given):
            label = f"{excluding(wrong, 'enum', value)}, {'with' if more else 'without'} {name}"
            rule = f"{update}.rejection.{wrong}.enum"
            case = Case(label=label, operation=update, expect="reject", rule=rule, body=sent | more, core=(wrong,))
            _, response = self.session.perform(case)
            text = response.content.decode("utf-8", "replace").lower().replace("_", " ")
            repeats = str(given[name]).lower().replace("_", " ") in text
            if not response.refused or response.status in LOST or repeats:
                return  # An answer that repeats what was sent says nothing.
            answers.append((response.status, name.replace("_", " ") in text))
        if len(set(answers)) > 1:
            self._insist(body | given)

    def _insist(self, body: JSONObject) -> None:
        """Sends documented values, if there are any, which have to be accepted, and of which most are as they stand.

        Raises:
            Undecided: they are refused, twice.
        """
        stands = all(self.session.now.get(name) == value for name, value in body.items())
        label = f"{', '.join(body)} as {'it is' if stands else 'documented'}"
        for _ in range(2):  # A refusal that comes twice is no accident.
            if not body or self.session.update(label, body)[1].ok:
                return
        what = "sets a field to the value it has" if stands else "sends what is documented"
        raise Undecided(f"an update that {what} is refused, so nothing more was written")

    def refuses(self, names: Iterable[str]) -> bool:
        """True where an update of *names* with what stands in them is refused."""
        body = {name: self.record[name] for name in names}
        if not body:
            return False
        empty = [name for name, value in body.items() if is_empty(value)]
        among = "".join(f", {name} among them" for name in empty if name in self.generator.selectors)
        count = f"{len(body)} field{'s'[: len(body) != 1]}"
        label = f"what stands there already ({count}, {len(empty)} of them empty{among})"
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


def uncleared(session: Session, found: JSONObject, hopeless: Iterable[str] = ()) -> dict[str, str]:
    """Fields that were *found* null and that null would not empty again, and why, beside those that are
    *hopeless* anyway: asked with fields that hold something, which are put back whatever comes of it.

    Sends one update; one for each kind of value where null is refused, and two more where it still is.
    """
    request, generator = session.contract.request, session.generator
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
    given = [n for n in plain if not is_empty(known.get(n)) and n not in request.aliases_of(active)]
    # One that was found with something in it can be given that again.
    given.sort(key=lambda name: is_empty(found.get(name)))
    probes = {kind: next((n for n in given if kind_of(n) == kind), "") for kind in kinds}
    others = [name for name in given if not request.fields[name].takes_null]
    names = [name for name in probes.values() if name] or (others[:1] if kinds else [])
    # What is promised to take null has to, and is not asked together with what is not.
    sure = [name for name in names if name not in others]
    outcome = _emptied(session, sure) | _emptied(session, [name for name in names if name in others])
    if len(names) > 1 and "refuses null" in outcome.values():
        outcome = {name: how for one in names for name, how in _emptied(session, [one]).items()}
    stuck: dict[str, str] = {}
    tried = False
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
        own = next((n for n in members if n in plain and n not in active), "")
        if how == {"refuses null"} and own and not tried:
            # It may be that field alone; nothing but such a field itself can tell. Where that refuses null too, it was
            # one too many, and no other is tried.
            session.update(f"{own} to be emptied", generator.complete({own: generator.firm(own)[0]}))
            more = _emptied(session, [own])
            outcome |= more
            how = {*more.values()}
            tried = how == {"refuses null"}
        if len(how) == 1 and (why := next(iter(how))):
            if kind[1]:
                _emptied(session, [probes[kind]] if probes[kind] else [])  # What breaks a promise twice is no accident.
            stuck |= dict.fromkeys(members, f"it is null, and where a value stands the API {why}")
    return _bared(session, found, {*hopeless}, stuck)


def _bared(session: Session, found: JSONObject, hopeless: set[str], stuck: dict[str, str]) -> dict[str, str]:
    """*stuck*, and what was *found* null although it is a selector, or a selector requires it where it stood, and
    cannot be null there again, and why: of one selector after the other it is given a value, and the record is put back.

    Sends an update and what puts the record back for each selector where there is anything of the kind, as long as
    nothing is stuck: from then on nothing more is left changed to find it out.
    """
    generator = session.generator
    for name in generator.selectors:
        value = found.get(name, MISSING)
        if value is None:
            settable = [v for v, c in generator.selectors[name].choices.items() if generator.settable(c)]
            value = min(settable, key=lambda v: len(generator.choice(name, v).requires), default=MISSING)
            bare, where = [name], "a value stands"
        elif name in generator.request.active(found) and generator.settable(generator.choice(name, value)):
            needed = generator.choice(name, value).requires
            bare = [n for n in needed if found.get(n, MISSING) is None and n not in generator.enums]
            where = f"{name} is {value!r}"
        else:
            continue
        bare = [n for n in bare if n not in hopeless and n not in stuck]
        if not bare or value is MISSING:
            continue
        if stuck:
            stuck |= dict.fromkeys(bare, f"it is null, as {next(iter(stuck))} is")
            continue
        body = {name: value} | {n: generator.firm(n)[0] for n in bare if n != name}
        session.update(f"{', '.join(bare)} to be put back", generator.complete(body))
        left = restore(session, found, hopeless).left
        stuck |= {n: f"it is null, and where {where} the API takes no null" for n in bare if n in left}
    return stuck


def _emptied(session: Session, names: list[str]) -> dict[str, str]:
    """What the API does where null is sent for each of *names*: nothing said where it empties the field,
    or where nobody knows.
    """
    before = session.now
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
