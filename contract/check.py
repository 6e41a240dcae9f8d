"""Judges interactions: functions from what was sent, known and answered to findings.

No I/O and no clock: whatever a rule needs is in the `Interaction`. Remembered is only what was sent that no document
allows and may come back later, see `answer.Answers`. What an answer says by itself is judged there; here stands what
several states of a record say about each other: what was sent, what was known before, what the answer shows, and what a
read or the list does.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Any, Final

from contract.answer import Answers, Judgement, is_id
from contract.document import escape
from contract.formats import instant
from contract.model import MISSING, Finding, Interaction, JSONObject, Response, is_empty, under
from contract.rules import rules
from contract.shape import SLACK, same
from contract.spec import Contract, Field, Operation

__all__ = ["MOVES_AFTER", "Judge"]

PAGE: Final = 50
"""Records on a page from which on there may be more, whatever the answer says."""
TURNS: Final = 5
"""Times that two operations have to take turns before what may change at any time is called wrong in one of them."""
MOVES_AFTER: Final = 3.0
"""Seconds that must have gone by before a time stamp has to move; its resolution may be one second."""


class Judge:
    """Judges the interactions of one contract.

    *secrets* are strings that no answer may hold.
    """

    def __init__(self, contract: Contract, secrets: Iterable[str] = ()) -> None:
        self.contract = contract
        self.rules = rules(contract)
        self.answers = Answers(contract, self.rules, tuple(s for s in secrets if len(s) >= 8))
        self.update = contract.update
        self.request = contract.request
        self.listing = contract.listing
        self.fields = self.answers.fields
        self.key = self.answers.key
        """The field that names a record, if there is one."""
        self.plain = frozenset(n for n, f in self.fields.items() if f.changes == "")
        self.never = [n for n, f in self.fields.items() if f.changes == "never"]
        self.on_write = [n for n, f in self.fields.items() if f.changes == "on-write"]
        self.stamps = [n for n in self.on_write if self.fields[n].format == "date-time"]
        """Of what each write changes, the times: what counts writes tells nothing of when."""
        self.restless = frozenset(n for n, f in self.fields.items() if f.changes == "anytime")
        self.watched = [n for n, f in self.fields.items() if f.changes in {"", "never"}]
        self.framed = self.watched if self.update.unsent is not None else self.never
        frame = f"{self.update.id}.frame"
        self.frames = {n: f"{frame}.{n}" for n in self.framed}
        self.whole = (frame,) if self.update.unsent is not None else ()
        self.unsent = lru_cache(maxsize=256)(self._unsent)
        request = self.request.fields
        self.echoed = {
            n: f"{self.update.id}.echo.{n}" for n, f in request.items() if n in self.fields and not f.write_only
        }
        self.aliased = frozenset(n for group in self.request.aliases for n in group.fields)
        self.advised = frozenset(n for n, f in request.items() if f.deprecated)
        self.ordered = [
            (n, str(f.schema["x-not-before"]), f"{self.update.id}.time.{n}.not_before")
            for n, f in self.fields.items()
            if "x-not-before" in f.schema
        ]

    def judge(self, interaction: Interaction) -> Judgement:
        """Everything that one interaction says."""
        result = self.answers.judge(interaction)
        case, before = interaction.case, interaction.before
        operation = self.contract.operations[case.operation]
        if result.record is None:
            if self.contract.list_in(operation) and interaction.response.ok:
                self._others(interaction, result)
            return result
        if operation is not self.update:
            self._read(interaction, result)
        elif case.expect != "reject":
            self._written(interaction, result)
        elif before is not None:
            self._frame(case.fields, before, result, follows=not interaction.verified)
        self._times(operation, interaction, result)
        return result

    # ------------------------------------------------------ after an update

    def _written(self, interaction: Interaction, result: Judgement) -> None:
        """An accepted update: echo, handlers, frame."""
        case, before, record = interaction.case, interaction.before, result.record
        assert record is not None
        if case.keep:
            self._kept(interaction, result)
            return
        body, known = case.fields, self._certain(result)
        if case.repeat and before is not None:
            found = [f for f in self._repeated(body, record, before) if f.pointer not in known]
            result.findings += found
            known |= {f.pointer for f in found}
            if not found:
                result.evidence.append(f"{self.update.id}.idempotence")
        if case.expect == "accept" and body:
            accept = f"{self.update.id}.accept"
            result.evidence += [accept, *(f"{accept}.{n}" for n in body)]
        first = len(result.findings)
        self._echo(case.open, body, before, result)
        if case.expect != "accept" and case.rule and all(f.rule != case.rule for f in result.findings[first:]):
            result.evidence.append(case.rule)
        self._handlers(case.open, body, result)
        if before is not None:
            self._emptied(body, before, result)
            # Who takes a selector without its companion may have kept one that no answer shows.
            chosen = self.request.active(body).values() if case.expect == "unspecified" else ()
            kept = {n for choice in chosen for n in choice.requires if n not in body and is_empty(before.get(n))}
            self._frame(body, before, result, follows=not interaction.verified, kept=kept)
        if known:
            result.findings[first:] = [f for f in result.findings[first:] if f.pointer not in known]

    def _certain(self, result: Judgement) -> set[str]:
        """Where something is wrong for certain, so that nothing more has to be said of it."""
        return {f.pointer for f in result.findings if self.rules[f.rule].basis == "documented"}

    def _echo(self, loose: Mapping[str, str], body: JSONObject, before: JSONObject | None, result: Judgement) -> None:
        assert result.record is not None
        prefix, record = self.update.id, result.record
        silent: set[str] = set()
        wrong: list[str] = []
        for group in self.request.aliases if not self.aliased.isdisjoint(body) else ():
            sent = [name for name in group.fields if name in body]
            if len(sent) > 1:
                silent.update(sent)
                wins = group.wins
                if wins in sent and wins in record and not any(name in loose for name in sent):
                    value, shown = body[wins], record[wins]
                    message = f"{wins} does not take precedence over {', '.join(n for n in sent if n != wins)}"
                    rule, at = f"{prefix}.echo.alias.{wins}", f"/{escape(wins)}"
                    result.tell(same(None, value, shown), rule, message, at, expected=value, actual=shown)
        for name, value in body.items():
            if name not in self.echoed or name in silent:
                continue
            rule = self.echoed[name]
            shown = record.get(name, MISSING)
            if shown is MISSING and value is None and not self.fields[name].required:
                shown = None  # What is null may be left out.
            how = loose.get(name) if loose else None
            if how is None and value == shown and type(value) is type(shown):
                result.evidence.append(rule)
                if name in self.advised:
                    result.evidence.append(f"{prefix}.deprecated.{name}")
                continue
            item, at = self.request.fields[name], f"/{escape(name)}"
            if how is not None:
                earlier = before.get(name, MISSING) if before is not None else MISSING
                if not settled(how, value, shown, earlier, item):
                    told = rule if how == "exact" else f"{prefix}.rejection.consistent"
                    message = f"{name} was accepted, but is neither what was sent nor what it was"
                    result.broken(told, message, at, expected=value, actual=shown)
                continue
            # What the API adds to an object was not sent.
            if same(item if isinstance(value, dict) else self.fields[name], value, shown):
                result.evidence.append(rule)
                continue
            wrong.append(name)
        # Where others are not what was sent either, it is not because of what is deprecated.
        old = self.advised.issuperset(wrong)
        for name in wrong:
            message, at = f"{name} is not what was sent", f"/{escape(name)}"
            value, shown = body[name], record.get(name, MISSING)
            ignored = is_empty(shown) or shown is MISSING or (before is not None and shown == before.get(name))
            if old and ignored:
                result.broken(f"{prefix}.deprecated.{name}", message, at, expected=value, actual=shown)
            result.broken(self.echoed[name], message, at, expected=value, actual=shown)

    def _handlers(self, loose: Mapping[str, str], body: JSONObject, result: Judgement) -> None:
        assert result.record is not None
        prefix, record = self.update.id, result.record
        for name, choice in self.request.active(body).items():
            stem = f"{prefix}.handler.{name}.{choice.value}"
            if name in loose:
                continue
            result.evidence += (f"{stem}.accepted", f"{prefix}.handler.{name}")
            if choice.deprecated:
                result.evidence.append(f"{prefix}.deprecated.{name}.{choice.value}")
            if name in record and record[name] != choice.value:
                message = f"{name} was sent as {choice.value!r} and is answered as another value"
                at = f"/{escape(name)}"
                result.broken(f"{stem}.shown", message, at, expected=choice.value, actual=record[name])
                continue
            first = len(result.findings)
            for other in choice.requires:
                if other not in self.fields or other not in record or other not in body or other in loose:
                    continue
                siblings = self.request.aliases_of((other,))
                if len(siblings & set(body)) > 1 or not is_empty(record[other]):
                    continue
                message, at = f"with {name} {choice.value!r} the answer lacks {other}", f"/{escape(other)}"
                result.broken(f"{stem}.shown", message, at, expected=body[other], actual=record[other])
            if len(result.findings) == first:
                result.evidence.append(f"{stem}.shown")

    def _emptied(self, body: JSONObject, before: JSONObject, result: Judgement) -> None:
        """That what the value of a selector wants filled is not taken empty while the selector stands there."""
        assert result.record is not None
        if "" not in body.values():
            return
        record, active = result.record, self.request.active(before)
        for name, choice in self.request.active(result.record).items():
            if name in body or active.get(name) != choice:
                continue
            for other in choice.filled:
                if body.get(other) == "" and other in record and not is_empty(before.get(other)):
                    rule = f"{self.update.id}.handler.{name}.{choice.value}.requires.{other}"
                    message = f"an empty {other} was taken although {name} stands at {choice.value!r}"
                    kept = not is_empty(record[other])
                    result.tell(kept, rule, message, f"/{escape(other)}", expected=before[other], actual=record[other])

    def exempt(self, body: JSONObject, record: JSONObject, before: JSONObject) -> tuple[frozenset[str], frozenset[str]]:
        """Fields that a write may change though they were not sent: (in any way, by clearing)."""
        free = self.request.aliases_of(self.request.fields.keys() & body)
        cleared: set[str] = set()
        chosen = self.request.active(record)
        for name, old in self.request.active(before).items():
            if name in body and old.value != record.get(name):
                cleared |= {*old.companions} - {*(chosen[name].companions if name in chosen else ())}
        return free, self.request.aliases_of(cleared)

    def _frame(
        self, body: JSONObject, before: JSONObject, result: Judgement, *, follows: bool, kept: Iterable[str] = ()
    ) -> None:
        """That what was not sent is as it was *before*, but for what may have been *kept* without being shown."""
        assert result.record is not None
        prefix, record, unsent = f"{self.update.id}.frame", result.record, self.unsent(tuple(body))
        changed = [n for n in self.framed if record.get(n, MISSING) != before.get(n, MISSING)]
        if all(n in body for n in changed):
            result.evidence += unsent
            changed = [n for n in changed if self.fields[n].changes == "never"]
        else:
            result.evidence += [rule for rule in unsent if rule.rpartition(".")[2] not in changed]
        if not changed:
            return
        free, cleared = self.exempt(body, record, before)
        free = free | self.request.aliases_of(kept)
        for name in changed:
            item = self.fields[name]
            if name in body and item.changes != "never":
                continue
            if name in free or name not in record or name not in before:
                continue
            now, old = record[name], before[name]
            if same(item, now, old):
                result.evidence.append(f"{prefix}.{name}")
                continue
            default = self.request.fields[name].default if name in self.request.fields else MISSING
            if old is None and default is not MISSING and now == default:
                continue
            if name in cleared and (is_empty(now) or now == default):
                continue
            why = "never changes" if item.changes == "never" else "was not sent"
            message, at = f"{name} changed, although it {why}", f"/{escape(name)}"
            result.broken(f"{prefix}.{name}", message, at, expected=old, actual=now, follows=follows)

    def _unsent(self, body: tuple[str, ...]) -> tuple[str, ...]:
        """The rules of the frame for which an update with the fields *body* is evidence."""
        free = self.request.aliases_of(self.request.fields.keys() & body)
        sent = free.union(body).difference(self.never) | free
        return (*(rule for name, rule in self.frames.items() if name not in sent), *self.whole)

    def _repeated(self, body: JSONObject, record: JSONObject, before: JSONObject) -> Iterator[Finding]:
        """The same update a second time.

        What was sent for a companion of a value that is not chosen may have been cleared the first time,
        as that was when another one was chosen, and be stored now.
        """
        for name in self.watched:
            if name in record and name in before and not same(self.fields[name], before[name], record[name]):
                item = self.request.fields.get(name)
                sent = [body[other] for other in self.request.aliases_of((name,)) if other in body]
                clear = item is not None and before[name] in (None, "", item.default)
                if clear and name in self._idle(record) and any(same(item, record[name], value) for value in sent):
                    continue
                rule, at = f"{self.update.id}.idempotence", f"/{escape(name)}"
                message = f"{name} changed when the same update was sent a second time"
                yield Finding(rule=rule, message=message, pointer=at, expected=before[name], actual=record[name])

    def _idle(self, record: JSONObject) -> frozenset[str]:
        """The companions of values of selectors that are not chosen."""
        idle: set[str] = set()
        chosen = self.request.active(record)
        for name, selector in self.request.selectors.items():
            every = {other for choice in selector.choices.values() for other in choice.companions}
            idle |= every - {*(chosen[name].companions if name in chosen else ())}
        return self.request.aliases_of(idle)

    def _kept(self, interaction: Interaction, result: Judgement) -> None:
        """An accepted request that must change nothing but what is sent and may be set."""
        before, record, rule = interaction.before, result.record, interaction.case.rule
        assert record is not None
        if before is None:
            return
        body, first = interaction.case.fields, len(result.findings)
        # Another name for what is sent follows it, and where nothing is said of what is not sent, all of that may change.
        free = self.request.aliases_of({*body} & {*self.request.fields}) - {*body}
        if self.update.unsent is None:
            free |= {*self.fields} - {*body} - {*self.never}
        for name, item in self.fields.items():
            if name not in record or name not in before or name in free:
                continue
            now = record[name]
            set_by = self.request.fields.get(name)
            if name in body and set_by is not None and not set_by.read_only:
                bad = not same(item, before[name], now) and not same(item, body[name], now)
            elif item.changes in {"derived", "anytime", "on-write"}:
                few = item.enum or "boolean" in item.types  # It may have come to that by itself.
                bad = not few and name in body and not same(item, before[name], now) and same(item, body[name], now)
            else:
                default = set_by.default if set_by is not None else MISSING
                bad = not same(item, before[name], now) and not (before[name] is None and now == default)
            if bad:
                message, at = f"{name} changed: {self.rules[rule].text}", f"/{escape(name)}"
                follows = not interaction.verified
                result.broken(rule, message, at, expected=before[name], actual=now, follows=follows)
        if len(result.findings) == first:
            result.evidence.append(rule)

    def _others(self, interaction: Interaction, result: Judgement) -> None:
        """The time stamps of the other records in a list; those of the record itself are what the retrieve shows."""
        pointer = self.contract.list_in(self.contract.operations[interaction.case.operation])
        for i, entry in enumerate(self.items(interaction.response)[:100]):
            if isinstance(entry, Mapping) and not is_id(entry.get(self.key), interaction.id):
                self._order(entry, f"{pointer}/{i}", result)

    def _order(self, record: JSONObject, base: str, result: Judgement) -> None:
        """The time stamps of one record, which stands at *base*, against each other."""
        for name, other, rule in self.ordered:
            mine, theirs = instant(record.get(name)), instant(record.get(other))
            if mine is not None and theirs is not None:
                # Only where one shows more of a second than the other does, rounding may turn them round.
                early = mine < theirs and (
                    theirs - mine > SLACK or len(_fraction(record[name])) == len(_fraction(record[other]))
                )
                if not early:
                    result.evidence.append(rule)
                    continue
                message, limit = f"{name} is before {other}", f"not before {record[other]}"
                result.broken(rule, message, f"{base}/{escape(name)}", expected=limit, actual=record[name])

    def _times(self, operation: Operation, interaction: Interaction, result: Judgement) -> None:
        """Time stamps against each other and against what they were."""
        record, before = result.record, interaction.before
        assert record is not None
        self._order(record, "", result)
        if before is None:
            return
        prefix = f"{self.update.id}.time"
        for name in self.stamps:
            mine, earlier = instant(record.get(name)), instant(before.get(name))
            if mine is None or earlier is None:
                continue
            if operation is not self.update and any(under(f.rule, "read_back") for f in result.findings):
                continue  # An older view of the record: its stamp is older too.
            rule, message, was = f"{prefix}.{name}.forward", f"{name} went back", before[name]
            kept = earlier - mine <= SLACK
            result.tell(kept, rule, message, f"/{escape(name)}", expected=f"not before {was}", actual=record[name])
            # Before that time a stamp that moved shows that it does; one that did not shows nothing.
            if operation is not self.update or (interaction.age < MOVES_AFTER and mine <= earlier):
                continue
            if changed := self.applied(interaction.case.fields, before, record):
                rule = f"{prefix}.{name}.moves"
                message = f"{name} did not move, although {changed[0]} changed and more than two seconds went by"
                result.tell(
                    mine > earlier, rule, message, f"/{escape(name)}", expected=f"after {was}", actual=record[name]
                )

    def applied(self, sent: JSONObject, before: JSONObject, record: JSONObject) -> list[str]:
        """The fields that have what was *sent*, and had something else *before*."""
        plain = [n for n in sent if n in self.plain and n in before and n in record]
        return [n for n in plain if record[n] == sent[n] and not same(self.fields[n], before[n], record[n])]

    # --------------------------------------------------------- after a read

    def _read(self, interaction: Interaction, result: Judgement) -> None:
        """A read after an update: it shows what the update's answer showed."""
        before, record = interaction.before, result.record
        assert record is not None
        if before is None or interaction.verified:
            return
        found = list(self.differences(record, before, self._certain(result)))
        prefix = f"{self.update.id}.read_back"
        for name, old, now in found:
            message = f"a read shows another {name} than the answer to the update did"
            result.broken(f"{prefix}.{name}", message, f"/{escape(name)}", expected=old, actual=now)
        wrong = {name for name, _, _ in found} | self.restless
        result.evidence.append(prefix)
        result.evidence += [f"{prefix}.{n}" for n in self.fields if n in record and n in before and n not in wrong]

    def differences(
        self, record: JSONObject, before: JSONObject, skip: Iterable[str] = (), *, alike: bool = False
    ) -> Iterator[tuple[str, Any, Any]]:
        """(field, earlier, now) for every field that two views of one record show differently; time stamps,
        which only follow what else differs, come last. Where the views are *alike*, from one operation, a stamp is
        the same one to the last digit: no other one was rounded.
        """
        for name, item in sorted(self.fields.items(), key=lambda pair: pair[0] in self.on_write):
            if item.changes == "anytime" or f"/{escape(name)}" in skip or name not in record or name not in before:
                continue
            if record[name] == before[name]:
                continue
            exact = alike and name in self.stamps and len(str(record[name])) == len(str(before[name]))
            moved = exact and instant(record[name]) != instant(before[name])
            if moved or not same(item, record[name], before[name]):
                yield name, before[name], record[name]

    def in_turns(self, views: Sequence[tuple[str, JSONObject]]) -> Judgement:
        """The fields that may change at any time, over all *views* (operation, record) in their order: where two
        operations disagree about one again and again, and each always with itself, it did not change.
        """
        result = Judgement()
        read, update = self.contract.retrieve.id, self.update.id
        pairs = [(update, f"{update}.read_back.{{}}")]
        pairs += [(self.listing[0].id, f"{self.listing[0].id}.read_back")] if self.listing else []
        for name in sorted(self.restless):
            for other, rule in pairs:
                shown = [(id, record[name]) for id, record in views if id in {read, other} and name in record]
                turns = sum(one[0] != following[0] for one, following in pairwise(shown))
                if turns < TURNS:
                    continue
                item = self.fields[name]
                (expected, *others), (actual, *more) = (
                    [value for id, value in shown if id == operation] for operation in (other, read)
                )
                steady = all(same(item, one, expected) for one in others) and all(same(item, a, actual) for a in more)
                if not steady or same(item, expected, actual):
                    result.evidence.append(rule.format(name))
                    continue
                message = f"{turns} times in turns, a read shows another {name} than the answer to the update does"
                if other != update:
                    message, expected, actual = f"the list always shows another {name} than a read", actual, expected
                result.broken(rule.format(name), message, f"/{escape(name)}", expected=expected, actual=actual)
        return result

    # ------------------------------------------------------------- the list

    def items(self, response: Response) -> list[Any]:
        """The records on a page of the list; none where it is no list."""
        items = self.answers.items(response.body) if self.listing is not None else None
        return items if isinstance(items, list) else []

    def listed(self, response: Response, id: str) -> tuple[str, JSONObject] | None:
        """The record *id* in the answer of the list, with its pointer."""
        if self.listing is None or not self.key:
            return None
        for i, entry in enumerate(self.items(response)):
            if isinstance(entry, dict) and is_id(entry.get(self.key), id):
                return f"{self.listing[1]}/{i}", entry
        return None

    def shown(self, response: Response, id: str) -> JSONObject | None:
        """The record *id* in an answer, whether it is that record or a list."""
        if (found := self.listed(response, id)) is not None:
            return found[1]
        body = response.body
        own = response.ok and isinstance(body, dict) and is_id(body.get(self.key), id)
        return body if own else None

    def in_list(self, response: Response, id: str, record: JSONObject, *, last: bool = False) -> Judgement:
        """The record as the list shows it, against *record* as the retrieve showed it; where the page is the
        *last* one, it has to be there.
        """
        result = Judgement()
        if self.listing is None or not self.key:
            return result
        found = self.listed(response, id)
        rule = f"{self.listing[0].id}.read_back"
        if found is None:
            result.findings += self.missing(response, id) if last else []
            return result
        where, entry = found
        for name, old, now in self.differences(entry, record):
            message = f"the list shows another {name} than the retrieve"
            result.broken(rule, message, f"{where}/{escape(name)}", expected=old, actual=now)
        if not result.findings:
            result.evidence.append(rule)
        return result

    def missing(self, response: Response, id: str) -> list[Finding]:
        """What is wrong with the last page of the list where no page of it showed the record *id*, which is there."""
        items = self.answers.items(response.body) if self.listing is not None else None
        if self.listing is None or response.status != 200 or not isinstance(items, list) or len(items) >= PAGE:
            return []
        message = f"the list, read to its end, does not hold the record {id}"
        rule, where = f"{self.listing[0].id}.read_back", self.listing[1]
        return [Finding(rule=rule, message=message, pointer=where, expected=id, actual="absent")]

    def foreign(self, response: Response, id: str) -> list[Finding]:
        """What is wrong with a page of the list that shows *id*, a record of somebody else's."""
        found = self.listed(response, id)
        rule = f"{self.contract.retrieve.id}.access.foreign_id"
        if found is None or rule not in self.rules:
            return []
        message = "the list shows a record of somebody else's"
        return [Finding(rule=rule, message=message, pointer=found[0], expected="absent", actual=id)]


def settled(how: str, sent: Any, shown: Any, earlier: Any, item: Field) -> bool:
    """True where an accepted value about which the documents are silent was applied or ignored.

    *how* is ``exact`` (to the letter), ``blank`` or ``null`` (an empty value may be stored as
    another empty one or as the default) or ``any`` (whatever has the documented shape).
    """
    if how == "any" or (type(sent) is type(shown) and sent == shown) or shown == earlier:
        return True
    numbers = {type(sent), type(shown)} == {int, float} and "string" not in item.types
    if numbers and sent == shown:  # 8.0 is the integer 8, in JSON Schema.
        return True
    empty = shown in (None, "", [], {}) or (item.default is not MISSING and shown == item.default)
    return how in {"blank", "null"} and empty


def _fraction(time: str) -> str:
    """The digits of a fraction of a second in a date-time."""
    return time.partition(".")[2].rstrip("Zz").partition("+")[0].partition("-")[0]
