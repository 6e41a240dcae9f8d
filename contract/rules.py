"""Makes the rules that a contract implies: one per field and facet, one per selector value, one per promise.

A rule's id is ``operation.promise.detail`` and never depends on the order of anything in the
fragment. Each stands on a `Fact`, so that a failure can say where the documents say so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any

from contract.model import MISSING, Fact, Rule
from contract.spec import BOUNDS, Choice, Contract, Field, Operation

__all__ = ["rules", "unpromised"]


_SHAPES = frozenset({"shape", "enum", "e164", "format"})


@lru_cache(maxsize=8)
def rules(contract: Contract) -> Mapping[str, Rule]:
    """Every rule of the contract by id, grouped by operation and promise."""
    found: dict[str, Rule] = {}
    update = contract.update
    reads = [contract.operations[link.operation] for link in update.links]
    for operation in dict.fromkeys([update, *reads]):
        for rule in _Maker(contract, operation).all():
            found[rule.id] = rule
    # Where there is no general rule, a rule stands for itself.
    return {id: rule if rule.group in found else replace(rule, group=id) for id, rule in found.items()}


def unpromised(contract: Contract) -> Iterator[str]:
    """What no rule holds an API to, as the fragment does not say it, and how it would."""
    update = contract.update
    if update.unsent is None:
        yield "what is not sent stays (x-unsent: unchanged, on the update)"
    if not any(contract.list_in(contract.operations[link.operation]) for link in update.links):
        yield "the list shows what was written (a link with x-reads-back to it, at the update's success)"
    if not any(item.changes == "on-write" and item.format == "date-time" for item in contract.record.values()):
        yield "a time stamp moves with each change (x-changes: on-write, on a date-time of the record)"


class _Maker:
    """Makes the rules of one operation."""

    def __init__(self, contract: Contract, operation: Operation) -> None:
        self.contract = contract
        self.operation = operation
        self.writes = operation is contract.update
        self.records = contract.list_in(operation)

    def rule(
        self,
        promise: str,
        detail: str,
        text: str,
        fact: Fact | None = None,
        *,
        group: str = "",
        of: Field | Choice | None = None,
        value: Any = MISSING,
        needs: str = "",
    ) -> Rule:
        """One rule of this operation."""
        op = self.operation
        prefix = f"{op.id}.{promise}"
        return Rule(
            id=f"{prefix}.{detail}" if detail else prefix,
            operation=op.id,
            promise=promise,
            fact=fact or op.fact,
            text=text,
            group=f"{op.id}.shape" if promise in _SHAPES else f"{prefix}.{group}" if group else prefix,
            field=of.name if isinstance(of, Field) else "",
            value=value,
            line=(of.line if of else None) or op.line,
            needs=needs,
        )

    def all(self) -> Iterator[Rule]:
        """Every rule."""
        yield from self.shape()
        record = self.record()
        for item in record.values():
            yield from self.facets(item)
        yield from self.access()
        if self.writes:
            yield from self.accept()
            yield from self.handlers()
            yield from self.writing(record)
            yield from self.frame(record)
            yield from self.refusals()
        if self.records:
            text = "the list shows each record as the retrieve shows it"
            yield self.rule("read_back", "", text, self.link_fact())

    def record(self) -> Mapping[str, Field]:
        """The fields of the record in this operation's answer."""
        body = self.contract.retrieve.response if self.records else self.operation.response
        return body.fields if body else {}

    def link_fact(self) -> Fact:
        """The fact that this operation reads back what the update wrote."""
        links = self.contract.update.links
        return next((link.fact for link in links if link.operation == self.operation.id), self.operation.fact)

    def shape(self) -> Iterator[Rule]:
        """Status, media type, JSON, and the body as a whole."""
        op = self.operation
        yield self.rule("shape", "", f"the {op.success} of {op.label} has the documented fields")
        yield self.rule("shape", "status", f"a success of {op.label} is a {op.success}")
        yield self.rule("shape", "media_type", f"the answer is {op.media_type}, in UTF-8 if it names a charset")
        yield self.rule("shape", "json", "the answer is well-formed JSON (RFC 8259) in UTF-8, without a key twice")
        what = f"a list of records at {self.records}" if self.records else "the bare record, not wrapped in anything"
        yield self.rule("shape", "body", f"the answer is {what}")
        if op.key is not None:
            yield self.rule("shape", "identity", "the record answered is the one that was asked for")

    def facets(self, item: Field) -> Iterator[Rule]:
        """What one field of the answer may be."""
        name = item.name
        if item.required:
            text = f"{name} is always there"
            yield self.rule("shape", f"{name}.present", text, item.facet("present"), of=item)
        if item.shaped:
            kinds = " or ".join(item.types) or "as its schema says"
            text = f"{name} is {kinds}" + "".join(f", {b} {item.schema[b]}" for b in BOUNDS if b in item.schema)
            yield self.rule("shape", f"{name}.type", text, item.facet("type"), of=item)
        if not item.nullable:
            yield self.rule("shape", f"{name}.null", f"{name} is never null", item.facet("null"), of=item)
        if values := item.listed:
            listed = ", ".join(str(value) for value in values)
            text = f"{name} holds only: {listed} (to the letter)"
            yield self.rule("enum", name, text, item.facet("enum"), of=item)
        if item.format in {"e164", "iso-3166-1-alpha-2"}:
            text = f"{name} is an E.164 number: '+', a first digit 1-9, 2 to 15 digits, an assigned calling code"
            if item.format != "e164":
                text = f"{name} is an assigned ISO 3166-1 alpha-2 code"
            if region := item.schema.get("x-region-of"):
                text += f", among the regions of the calling code of {region}"
            yield self.rule("e164", name, text, item.facet("format"), of=item)
        elif item.format:
            yield self.rule("format", name, f"{name} is a well-formed {item.format}", item.facet("format"), of=item)

    def access(self) -> Iterator[Rule]:
        """Who may ask, and for what."""
        op = self.operation
        prefix = "and leaves no trace" if self.writes else "and shows nothing"
        fact = op.error_facts.get(401, op.fact)
        if op.guarded:
            yield self.rule("access", "", f"{op.label} is refused to whoever has no right to ask", fact)
            yield self.rule("access", "no_credentials", f"without credentials the answer is 401 or 403 {prefix}", fact)
            scheme = self.contract.schemes[op.security[0]]
            text = f"with a wrong password or token the answer is 401 or 403 {prefix}"
            yield self.rule("access", "wrong_password", text, fact)
            if scheme.get("scheme") == "basic":
                text = f"with a wrong user and the right password the answer is 401 or 403 {prefix}"
                yield self.rule("access", "wrong_user", text, fact)
        if op.key is not None:
            fact = op.error_facts.get(404, op.fact)
            yield self.rule("access", "unknown_id", "an id that no record has gets a 404", fact)
            text = "the id of someone else's record gets a 404"
            yield self.rule("access", "foreign_id", text, fact, needs="foreign_ids in the configuration")
        yield self.rule("rejection", "no_server_error", "no request gets a 5xx")
        yield self.rule("rejection", "no_leak", "no answer holds a credential or a stack trace")
        yield self.rule("rejection", "error_body", "a refusal has the documented body for its status")

    def accept(self) -> Iterator[Rule]:
        """What must be taken."""
        yield self.rule("accept", "", "a documented body is accepted")
        for item in self.contract.request.fields.values():
            text = f"every documented value of {item.name} is accepted"
            yield self.rule("accept", item.name, text, item.fact, of=item, needs=_needs([item]))
            if item.deprecated:
                text = f"{item.name} is deprecated and still works"
                yield self.rule("deprecated", item.name, text, item.fact, of=item, needs=_needs([item]))

    def handlers(self) -> Iterator[Rule]:
        """What a selector's value needs and shows."""
        request = self.contract.request
        for name, selector in request.selectors.items():
            text = f"each value of {name} needs and shows its own companion fields"
            yield self.rule("handler", name, text, selector.fact, of=selector)
            for choice in selector.choices.values():
                needs = _needs(request.fields[other] for other in choice.requires)
                stem = f"{name}.{choice.value}"
                companions = ", ".join(choice.requires) or "no companion"
                text = f"{name} {choice.value!r} with {companions} is accepted"
                kind: dict[str, Any] = {"group": name, "value": choice.value, "needs": needs}
                yield self.rule("handler", f"{stem}.accepted", text, choice.fact, of=choice, **kind)
                text = f"after a write of {name} {choice.value!r} the answer shows it, with {companions} not null"
                yield self.rule("handler", f"{stem}.shown", text, choice.fact, of=choice, **kind)
                for other, fact in choice.requires.items():
                    text = f"{name} {choice.value!r} without {other}, and none stored, is refused"
                    text += ", and so is an empty one" * (other in choice.filled)
                    yield self.rule("handler", f"{stem}.requires.{other}", text, fact, of=choice, **kind)
                if choice.deprecated:
                    text = f"{name} {choice.value!r} is deprecated and still works"
                    yield self.rule("deprecated", stem, text, choice.fact, of=choice, value=choice.value, needs=needs)

    def writing(self, record: Mapping[str, Field]) -> Iterator[Rule]:
        """What was written comes back."""
        request = self.contract.request
        yield self.rule("echo", "", "the answer shows what was sent, to the letter")
        yield self.rule(
            "read_back",
            "",
            "a later read shows what the answer showed",
            next(iter(self.operation.links), self.operation).fact,
        )
        for item in request.fields.values():
            if item.name in record and not item.write_only:
                text = f"{item.name} is answered as it was sent, to the letter"
                yield self.rule("echo", item.name, text, item.fact, of=item, needs=_needs([item]))
        for item in record.values():
            text = f"a later read shows {item.name} as the answer to the update showed it"
            yield self.rule("read_back", item.name, text, item.fact, of=item)
        for group in request.aliases:
            if group.wins in record:
                others = ", ".join(name for name in group.fields if name != group.wins)
                text = f"sent together with {others}, {group.wins} takes precedence"
                item = request.fields[group.wins]
                yield self.rule("echo", f"alias.{group.wins}", text, group.fact, of=item)
        yield self.rule("idempotence", "", "the same update twice gives the same state")
        text = "other records are as they were"
        yield self.rule("bystander", "", text, needs="bystander_ids in the configuration")

    def frame(self, record: Mapping[str, Field]) -> Iterator[Rule]:
        """What was not written stays."""
        unsent = self.operation.unsent
        if unsent is not None:
            yield self.rule("frame", "", "what was not sent is unchanged", unsent)
        for item in record.values():
            if item.changes == "never":
                yield self.rule("frame", item.name, f"{item.name} never changes", item.fact, of=item)
            elif unsent is not None and item.changes == "":
                yield self.rule("frame", item.name, f"{item.name} is unchanged unless it is sent", unsent, of=item)
            if item.changes == "on-write" and item.format == "date-time":
                text = f"{item.name} never goes back"
                yield self.rule("time", f"{item.name}.forward", text, item.fact, of=item)
                text = f"{item.name} moves when a write changes something and more than two seconds went by"
                yield self.rule("time", f"{item.name}.moves", text, item.fact, of=item)
            if other := item.schema.get("x-not-before"):
                text = f"{item.name} is never before {other}"
                yield self.rule("time", f"{item.name}.not_before", text, item.fact, of=item)

    def refusals(self) -> Iterator[Rule]:
        """What must be refused, and that a refusal leaves nothing behind."""
        op = self.operation
        fact = op.error_facts.get(422, op.error_facts.get(400, op.fact))
        yield self.rule("rejection", "", "what the documents exclude is refused with a 4xx", fact)
        yield self.rule("rejection", "no_trace", "a refused update changes nothing", fact)
        bad = op.error_facts.get(400, fact)
        yield self.rule("rejection", "malformed_json", "a body that is not JSON is refused", bad)
        text = "a body that is a JSON array changes nothing, accepted or not"
        yield self.rule("rejection", "not_an_object", text, op.fact)
        text = "read-only fields in the body change nothing, accepted or not"
        yield self.rule("rejection", "read_only", text, op.fact)
        yield self.rule(
            "rejection", "unknown_key", "an unknown key in the body changes nothing, accepted or not", op.fact
        )
        yield self.rule("rejection", "empty", "an empty body {} changes nothing, accepted or not", op.fact)
        text = "where the documents are silent, what is accepted is applied or ignored"
        yield self.rule("rejection", "consistent", text, op.fact)
        for item in self.contract.request.fields.values():
            for facet in item.excludes:
                text = f"a value of {item.name} that is not documented is refused"
                if facet == "format":
                    text = f"a value of {item.name} that is no well-formed {item.format} is refused"
                elif facet in {"items", "properties"}:
                    text = f"{item.name} with {facet} that are not as documented is refused"
                elif facet != "enum":
                    text = f"a value of {item.name} beyond its {facet} of {item.schema[facet]} is refused"
                yield self.rule("rejection", f"{item.name}.{facet}", text, item.facet(facet), of=item)
            if item.required and not item.read_only:
                text = f"a body without {item.name} is refused"
                yield self.rule("rejection", f"{item.name}.required", text, item.facet("required"), of=item)


def _needs(fields: Any) -> str:
    """What a run must be given to send *fields*."""
    return ", ".join(f"[resources] {item.name}" for item in fields if item.resource)
