"""The list, and the records beside the one under test: how they were, and that no update to another changed them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from contract.answer import Judgement
from contract.budget import LISTS
from contract.config import Settings
from contract.document import escape
from contract.errors import Undecided
from contract.generate import reserved
from contract.ledger import Failure
from contract.model import Case, Finding, Interaction, JSONObject, Response
from contract.session import Session

__all__ = ["Neighbours", "next_page"]

PAGES: Final = 4
"""Pages of the list that are read each time, at most."""
ENOUGH: Final = 2 + LISTS
"""Pages after which the list is not read again: where the record is not on the first one it is read less often."""


class Neighbours:
    """The list and the bystanders, as one run sees them with the sender of *session*.

    *only* are the ids of the rules that matter, where not all do; *late* says that the first list comes after
    what is refused: it shows the record as it was found, and what refused updates have left in lists alone.
    """

    def __init__(self, session: Session, settings: Settings, only: frozenset[str] | None, late: bool) -> None:
        self.session = session
        self.settings = settings
        self.generator = session.generator
        self.only = only
        self.late = late
        self.judge = session.judge
        self.contract = session.contract
        self.rule = f"{self.contract.update.id}.bystander"
        self.bystanders: dict[str, JSONObject] = {}
        self.pages = 0
        """Pages of the list that were read."""
        self.rows: dict[str, JSONObject] = {}
        """The bystanders as the list shows them."""

    def read(self, when: str, *, brief: bool = False) -> None:
        """Reads the list and the bystanders; where it is to be *brief*, nothing is written before.

        Raises:
            SendError, Undecided: it could not be sent.
        """
        if when == "before" and not self.late:
            self.read_list(when)
        writing = when == "after" and not brief and self.settings.profile != "smoke"
        if writing and self.bystanders and self._matters(self.rule):
            self._apart()
        for id in self.settings.bystander_ids if self._matters(self.rule) else ():
            self._bystander(id, when)

    def _apart(self) -> None:
        """Updates the record twice right before bystanders are read: with texts that they have, as an API may let only
        one record have a value; and with values that they do not have, as an API may answer with what the record
        holds, which only shows where both differ.
        """
        others, known, gen = [*self.bystanders.values()], self.session.known, self.generator
        if known is None or self.session.sender.budget.left - len(self.bystanders) <= 3:
            return
        enums = {n: v for n, v in gen.enums.items() if n not in gen.selectors and n in known}
        free = [n for n, item in gen.request.fields.items() if item.may_name and n in known]
        held = {n: other[n] for n in free for other in others if _to_give(other.get(n), known[n])}
        if held:
            self.session.ask("what a bystander has", gen.complete(held), dict.fromkeys(held, "exact"))
        body = {n: v for n in enums if known[n] == others[0].get(n) for v in enums[n][:2] if v != known[n]}
        texts = [n for n in free if n in gen.fields and not gen.request.aliases_of((n,)) - {n}]
        body |= {n: gen.firm(n)[0] for n in texts}
        if body:
            self.session.update("what no bystander has", gen.complete(body))

    def _matters(self, prefix: str) -> bool:
        """True where a rule that begins with *prefix* was selected."""
        return self.only is None or any(rule.startswith(prefix) for rule in self.only)

    def _add(
        self, case: Case, response: Response, before: JSONObject | None, compared: Judgement, other: str = ""
    ) -> list[Failure]:
        """Puts what an answer, of an *other* record or of the list, says of others into the ledger; its new
        failures.
        """
        session = self.session
        interaction = Interaction(case=case, response=response, before=before, id=session.id, other=other)
        return session.ledger.add(interaction, compared, session.sender.budget.spent)

    def _again(self, case: Case) -> Response:
        """The answer to *case* once more, of which nothing is noted."""
        with self.session.unnoted():
            return self.session.perform(case)[1]

    def read_list(self, when: str) -> None:
        """Reads the list, page by page until the record is on it; the first and the last time one page more, on which
        others may look different.

        Raises:
            SendError, Undecided: it could not be sent.
        """
        session, listing = self.session, self.contract.listing
        if listing is None or not self._matters(f"{listing[0].id}.") or self.pages >= ENOUGH:
            return
        query, seen = "", False
        shown: list[str] = []
        for page in range(PAGES):
            label = f"the list {when}" + (f", page {page + 1}" if page else "")
            case = Case(label=label, operation=listing[0].id, query=query)
            _, response = session.perform(case)
            self.pages += 1
            self._rows(case, response)
            if seen:
                self._belonging(case, response, ())
                return
            here = self.judge.listed(response, session.id) is not None
            shown += (ids := self._ids(response))
            # A list may go on in a way that is not known here.
            following = next_page(response.body) or ("?" if _goes_on(response, len(ids)) else "")
            # Of several pages in another order each time none may show the record, and it is there all the same.
            last = not following and (not page or len(shown) == len({*shown}))
            alone = last and not page
            self._belonging(case, response, [id for id in self.bystanders if id.lower() not in shown] if alone else ())
            if session.known is not None and (here or not following):
                compared = self.judge.in_list(response, session.id, session.known, last=last)
                made = self._add(case, response, session.known, compared)
                if made and page and not here:
                    found = self._listed_now(listing[0].id)
                    for failure in made:
                        failure.confirmed = not found
            seen = here and when in {"before", "after"}
            if (here and not seen) or not following or following in {query, "?"}:
                return
            query = following

    def _ids(self, response: Response) -> list[str]:
        """What identifies the records on a page of the list, in small letters."""
        return [str(e.get(self.judge.key)).lower() for e in self.judge.items(response) if isinstance(e, Mapping)]

    def _listed_now(self, operation: str) -> bool:
        """True where the record is on a page of the list, read once more from its beginning, or where it may be:
        records that come and go meanwhile move the others from one page to the next.
        """
        query = ""
        for page in range(PAGES):
            response = self._again(Case(label=f"the list again, page {page + 1}", operation=operation, query=query))
            query = next_page(response.body)
            if response.status != 200 or self.judge.listed(response, self.session.id) is not None:
                return True
            if not query:
                return False
        return True

    def _belonging(self, case: Case, response: Response, absent: Iterable[str]) -> None:
        """Tells which bystanders no page of the list showed, and whether a page shows what is somebody else's."""

        def judged(response: Response) -> list[Finding]:
            missing = [found for id in absent for found in self.judge.missing(response, id)]
            return missing + [found for id in self.settings.foreign_ids for found in self.judge.foreign(response, id)]

        compared = Judgement()
        compared.findings = judged(response)
        if made := self._add(case, response, self.session.known, compared) if compared.findings else []:
            again = judged(self._again(case))
            for failure in made:
                failure.confirmed, failure.cases = failure.finding in again, (case,)

    def _rows(self, case: Case, response: Response) -> None:
        """Compares the bystanders in a list with how an earlier one showed them."""
        for id in self.settings.bystander_ids:
            found = self.judge.listed(response, id)
            if found is None:
                continue
            earlier = self.rows.setdefault(id, found[1])
            compared = Judgement()
            for name, old, now in self.judge.differences(found[1], earlier):
                message = f"the list shows another {name} of another record than before"
                pointer = f"{found[0]}/{escape(name)}"
                compared.broken(self.rule, message, pointer, expected=old, actual=now)
            if made := self._add(case, response, earlier, compared):
                again = self.judge.listed(self._again(case), id)
                differing = {name for name, *_ in self.judge.differences(again[1], earlier)} if again else set()
                names = {failure.finding.leaf: failure for failure in made}
                stands: JSONObject = {}
                if any(self._others(name, f.finding.actual, earlier) for name, f in names.items()):
                    # Where the record itself has it, somebody may have written it there.
                    stands = self._at(id).read("the bystander meanwhile").record or {}
                for name, failure in names.items():
                    set_there = name in stands and stands[name] == failure.finding.actual
                    failure.confirmed = name in differing and not set_there

    def _at(self, id: str) -> Session:
        """A session at another record, of which nothing is noted: an id that was set wrongly is no fault of the API."""
        other = Session(self.judge, self.session.sender, self.session.ledger, id, self.generator)
        other.quiet = True
        return other

    def _others(self, name: str, value: Any, earlier: JSONObject) -> bool:
        """True for a value that neither this run nor the record had before: somebody else may have written it."""
        item = self.judge.fields.get(name)
        follows = item is not None and item.changes in {"derived", "on-write"}  # From what anybody writes.
        return not follows and self.session.novel(name, value) and value not in earlier.values()

    def _bystander(self, id: str, when: str) -> None:
        """Reads a record that must not change."""
        session, other = self.session, self._at(id)
        case = Case(label=f"the bystander {id} {when}", operation=self.contract.retrieve.id)
        judged, response = other.perform(case)
        # Another 4xx may mean that the id was set wrongly.
        if (response.ok or response.status >= 500) and (made := self._add(case, response, None, judged, id)):
            again, _ = other.perform(case)
            # Nothing may be written before the record is kept.
            if when == "after" and not any(failure.finding in again.findings for failure in made) and self._one_more():
                again, _ = other.perform(case)
            for failure in made:
                failure.confirmed, failure.cases = failure.finding in again.findings, (case,)
        if any(f.rule == f"{self.contract.retrieve.id}.shape.identity" for f in judged.findings):
            session.ledger.reasons[self.rule] = f"the bystander {id} is answered with another record"
            return
        if other.known is None:
            if when == "before":
                if response.status == 404 and other.perform(case)[1].status == 404:
                    raise Undecided(f"the bystander {id} does not exist (404): check bystander_ids")
                why = f"cannot be read: the answer is a {response.status}"
                session.ledger.reasons[self.rule] = f"the bystander {id} {why}"
                return
        elif when == "before":
            self.bystanders[id] = dict(other.known)
            return
        earlier = self.bystanders.get(id)
        if earlier is None:
            return
        compared = Judgement()
        if other.known is None and response.status >= 400:
            message = f"another record cannot be read any more, after only {', '.join(self.settings.ids)} was updated"
            compared.broken(self.rule, message, expected="200", actual=str(response.status))
        changed = list(self.judge.differences(other.known, earlier)) if other.known is not None else []
        if not compared.findings and not changed:
            compared.evidence.append(self.rule)
        for name, old, now in changed[:3]:
            message = f"{name} of another record changed while only {', '.join(self.settings.ids)} was updated"
            compared.broken(self.rule, message, f"/{escape(name)}", expected=old, actual=now)
        if made := self._add(case, response, earlier, compared, id):
            # It is named as one that nobody changes, and nothing may be written to it to try again:
            # that the change is still there has to do, unless somebody else may have written it all the same.
            other.verified = True
            other.read("the bystander once more")
            now = other.now
            written = any(self._others(n, value, earlier) for n, _, value in changed)
            for failure in made:
                name = failure.finding.name
                stays = now.get(name) == failure.finding.actual if name else other.known is None
                failure.confirmed = stays and not (name and written)
            apart = {name: (old, now) for name, old, now in changed}
            if not any(failure.confirmed for failure in made) and (update := self._one_more(apart)):
                seen = other.read("the bystander after one more update").record
                than = now if written and now else earlier
                changed = list(self.judge.differences(seen, than)) if seen is not None else []
                for failure in made:
                    name = failure.finding.name
                    failure.confirmed = name in {name for name, *_ in changed} if name else seen is None
                    failure.cases = (update, case)

    def _one_more(self, apart: Mapping[str, tuple[Any, ...]] | None = None) -> Case | None:
        """Updates the record once more, in the fields *apart* with other values than these: what befalls others
        may be seen right after an update only, or be done by each. What was sent, if anything was.
        """
        gen = self.generator
        if gen.marker is None:
            return None
        self.session.sender.sleep(1.2)
        body = {gen.marker: gen.firm(gen.marker)[0]}
        for name, seen in (apart or {}).items():
            values = gen.enums.get(name) or (gen.firm(name) if name in gen.fields else ())
            others = [v for v in values if v not in seen] or [v for v in values if v != seen[0]]
            if (value := next(iter(others), None)) is not None:
                body[name] = value
        body = gen.complete(body)
        self.session.attempt(body, "one more")
        return Case(label="one more", operation=self.contract.update.id, body=body)


def _to_give(text: Any, known: Any) -> bool:
    """True for a text of another record that is not *known* here, and that calls nobody."""
    if not isinstance(text, str) or not text.strip() or text == known:
        return False
    return "://" not in text or reserved(text)


def _goes_on(response: Response, count: int) -> bool:
    """True where an answer that shows *count* records says in another way than with ``next`` that there is more of the
    list: with a header (RFC 8288, or one of those that are called like it), with a count that is larger, or a mark.
    """
    if re.search('rel="?next', response.headers.get("link", "")):
        return True
    told = [(name, value) for name, value in response.headers.items() if name.startswith("x-")]
    for name, value in (*told, *_notes(response.body)):
        low = name.lower()
        number = int(value) if isinstance(value, str) and value.isdecimal() else value
        marked = bool(value) and any(word in low for word in ("next", "more", "cursor"))
        pages = low.replace("-", "_").endswith(("pages", "page_count", "last_page"))
        if marked or (pages and type(number) is int and number > 1):
            return True
        if type(number) is int and number > count and any(word in low for word in ("total", "count")):
            return True
    return False


def _notes(body: Any) -> Iterator[tuple[str, Any]]:
    """The members of *body* and of the objects in it, but not those of what is listed."""
    for name, value in body.items() if isinstance(body, Mapping) else ():
        yield name, value
        yield from _notes(value)


def next_page(body: Any) -> str:
    """The query of the next page that a list names in a member called ``next``."""
    if not isinstance(body, Mapping):
        return ""
    for value in (body, *[v for v in body.values() if isinstance(v, Mapping)]):
        link = value.get("next")
        if isinstance(link, str) and "?" in link:
            return "?" + link.partition("?")[2]
    return ""
