"""Tells one rule in words, with an example that keeps it and one that breaks it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from contract.generate import Generator
from contract.model import PROMISES, Rule
from contract.spec import NOTHING, Contract, Field

__all__ = ["lines"]


def lines(contract: Contract, rule: Rule) -> Iterator[str]:
    """The rule for a reader."""
    keeps, breaks = _examples(contract, rule)
    yield rule.id
    yield f"  {rule.text}"
    yield f"  promise   {PROMISES[rule.promise]}"
    yield f"  basis     {rule.basis}"
    yield f"  source    {contract.source(rule.fact)}"
    if rule.line is not None:
        yield f"  fragment  line {rule.line} of {contract.document.file.rpartition('/')[2] or 'the fragment'}"
    if rule.needs:
        yield f"  needs     {rule.needs}"
    if rule.promise == "frame" and rule.field in contract.record and not contract.record[rule.field].changes:
        yield "  else      where an API changes it by itself, x-changes says so in the fragment"
    yield f"  kept by   {keeps}"
    yield f"  broken by {breaks}"


def _examples(contract: Contract, rule: Rule) -> tuple[str, str]:
    request = contract.request
    # Every id is invented here: nothing is sent.
    ids = {name: "5a6f0c1e-0000-4000-8000-000000000001" for name, item in request.fields.items() if item.resource}
    generator = Generator(contract.update, ids)
    name, detail = rule.field, rule.id.partition(".")[2]
    item = contract.record.get(name) or request.fields.get(name)
    if rule.promise in {"shape", "enum", "e164", "format"} and item is not None:
        return _shape(generator, item, detail)
    value = generator.options(name)[0] if name in generator.fields else "x"
    other = next((v for v in generator.options(name) if v != value), None) if name in generator.fields else "y"
    sent = f"sent {_json({name: value})}"
    if rule.promise in {"echo", "deprecated", "accept"} and name:
        kept = f"{sent}, answered 200 with {_json({name: value})}"
        return kept, f"{sent}, answered " + ("422" if rule.promise == "accept" else f"200 with {_json({name: other})}")
    if rule.promise == "handler" and isinstance(rule.value, str):
        return _handler(generator, rule)
    if rule.promise == "frame" and name:
        return (
            f"{name} not sent, and {_json(value)} before and after",
            f"{name} not sent, {_json(value)} before and null after",
        )
    if rule.promise == "read_back":
        field = name or next(iter(generator.fields))
        was = _json({field: value})
        if rule.operation != generator.operation.id:
            return f"a read answers {was}, and so does the list", f"a read answers {was}, the list something else"
        return (
            f"the update answers {was}, and so does the retrieve",
            f"the update answers {was}, the retrieve something else",
        )
    if detail.endswith(".moves"):
        stamp = "2030-01-31T12:00:00Z"
        return f"{stamp}, and 2030-01-31T12:00:05Z after a change", f"{stamp}, and {stamp} still after a change"
    if detail.startswith("rejection.") and name in generator.fields:
        facet = detail.rpartition(".")[2]
        body = {name: dict(reversed(generator.refused(name))).get(facet)} if facet != "required" else {}
        for other in generator.required:
            if other != name:
                body.setdefault(other, generator.options(other)[0])
        return f"sent {_json(body)}, answered 422", f"sent {_json(body)}, answered 200"
    return _GENERAL.get(detail) or _GENERAL.get(detail.partition(".")[0], ("as the rule says", "anything else"))


_GENERAL = {
    "access": ("the request is answered 401 or 403, and nothing changed", "it is answered 200"),
    "access.unknown_id": ("a request for an id that no record has, answered 404", "the same request, answered 200"),
    "access.foreign_id": ("a request for the id of someone else's record, answered 404", "the same, answered 200"),
    "rejection.no_trace": ("a body is refused, and a read shows what it did before", "a read shows what was refused"),
    "rejection.no_server_error": ("whatever was sent, a 2xx or a 4xx", "a 500"),
    "rejection.no_leak": ("an answer without credentials", "an answer with the password in it, or a stack trace"),
    "rejection": ("a refusal with a 4xx and the documented body, and nothing changed", "a 5xx, a 200, or a change"),
    "idempotence": ("the second answer equals the first", "the second answer differs from the first"),
    "bystander": ("another record reads the same before and after", "another record changed"),
    "time": ("2030-01-31T12:00:00Z, then 2030-01-31T12:00:05Z", "2030-01-31T12:00:00Z, then 2030-01-31T11:59:00Z"),
    "shape": ("a 200 with Content-Type: application/json and the documented object", "the object inside of another"),
    "echo": ("every field that was sent is answered as it was sent", "a field is answered as something else"),
    "frame": (
        "fields that were not sent read the same before and after",
        "a field that was not sent is null afterwards",
    ),
    "accept": ("a body of documented fields and values, answered 200", "the same body, answered 422"),
    "handler": ("each value with its companions", "a value whose companion is missing from the answer"),
}


def _shape(generator: Generator, item: Field, detail: str) -> tuple[str, str]:
    name, good = item.name, generator.plain(item.schema)
    if detail.endswith(".present"):
        return _json({name: good}), f"an answer without {name}"
    if detail.endswith(".null"):
        return _json({name: good}), _json({name: None})
    if detail.endswith(".type"):
        return _json({name: good}), _json({name: 7 if "string" in item.types else "7"})
    bad = {"uuid": "3fa85f64", "date-time": "2030-02-31 12:00", "e164": "555-0100", "iso-3166-1-alpha-2": "usa"}
    wrong: Any = bad.get(item.format, str(good).swapcase() if not isinstance(good, list) else [NOTHING])
    return _json({name: good}), _json({name: wrong})


def _handler(generator: Generator, rule: Rule) -> tuple[str, str]:
    selector, value = rule.id.partition(".handler.")[2].split(".")[:2]
    body = generator.complete({selector: value}, lambda name: generator.options(name)[0])
    companions = list(generator.choice(selector, value).requires)
    if rule.id.rpartition(".")[0].endswith(".requires"):
        missing = rule.id.rpartition(".")[2]
        less = {k: v for k, v in body.items() if k != missing}
        return f"sent {_json(less)}, answered 422", f"sent {_json(less)}, answered 200"
    if rule.id.endswith(".accepted"):
        return f"sent {_json(body)}, answered 200", f"sent {_json(body)}, answered 422"
    lost = {**body, **dict.fromkeys(companions[:1], None)} if companions else {**body, selector: None}
    return f"sent and answered {_json(body)}", f"sent {_json(body)}, answered {_json(lost)}"


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
