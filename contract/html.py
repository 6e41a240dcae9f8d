"""Makes ``run.html``: one page for people that needs nothing but a browser.

The page is one file without a reference to any other, and its content security policy forbids it to
load or to run anything that is not in it. Every text on its way into it has secrets masked, control
characters escaped and markup escaped, whoever wrote it.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import jinja2

from contract.config import Settings
from contract.difference import cut, difference, pretty
from contract.ledger import Entry
from contract.mask import Mask, plain
from contract.model import BASES, MISSING, PROMISES, Rule
from contract.picture import Latency, Matrix, latency, matrices
from contract.report import VERDICTS, failure, tally
from contract.result import Result

__all__ = ["page"]


def page(result: Result, mask: Mask, *, fixed: bool = False) -> str:
    """The page; *fixed* lets it say that its times were made up, as those of a committed example are."""
    mask = mask.of(result)
    template = _environment(mask).get_template("html.jinja")
    css, script = ("".join(template.blocks[name](template.new_context())) for name in ("css", "script"))
    entries = sorted(result.entries, key=lambda entry: min(4, list(VERDICTS).index(entry.word)))
    counts = Counter(entry.word for entry in entries)
    text = template.render(
        policy=_policy(css, script),
        result=result,
        contract=result.contract,
        settings=result.settings,
        fixed=fixed,
        notes=list(result.notes()),
        lead=" ".join(_lead(result, counts)),
        counts=[(verdict, word, counts[verdict]) for verdict, word in VERDICTS.items() if counts[verdict]],
        heading="Failures" if counts["broken"] else "Warnings",
        total=len(entries),
        bar=list(_bar(counts)),
        command=_command(result),
        more=_more(result.settings),
        failures=[
            _told(result, entry, mask, number) for number, entry in enumerate((e for e in entries if e.failures), 1)
        ],
        rows=[_row(result, entry) for entry in entries],
        words=VERDICTS,
        promises={name: text for name, text in PROMISES.items() if any(e.rule.promise == name for e in entries)},
        operations={
            id: result.contract.operations[id].label for id in dict.fromkeys(e.rule.operation for e in entries)
        },
        grid=_grid(result, entries),
        pictures=[_drawn(matrix) for matrix in matrices(result)],
        latency=_plotted(found) if (found := latency(result)) is not None else None,
        restored=[(mask.text(id), done, _pairs(done.left, mask)) for id, done in result.restored.items()],
        foreign=[(mask.text(id), *pair) for id, fields in result.foreign.items() for pair in _pairs(fields, mask)],
        observations=[(one, _outcomes(one.get("fields", {}))) for one in result.ledger.observations],
    )
    return text.lstrip() + "\n"


@lru_cache(maxsize=4)
def _environment(mask: Mask) -> jinja2.Environment:
    """The template's surroundings: whatever it shows goes through *mask* and `plain`, line by line."""

    def safe(value: Any) -> Any:
        if hasattr(value, "__html__") or not isinstance(value, str):  # Markup stays as it is.
            return value
        text = mask.text(value)
        return "\n".join(map(plain, text.split("\n"))) if "\n" in text else plain(text)

    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        finalize=safe,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.policies["json.dumps_kwargs"] = {"separators": (",", ":")}
    made.filters["plural"] = lambda count, word: f"{count} {word}" if count == 1 else f"{count} {word}s"
    return made


def _policy(css: str, script: str) -> str:
    """A content security policy under which nothing works but this style and this script.

    Source:
        Content Security Policy Level 3, section 2.3.1 (hash-source).
    """

    def digest(text: str) -> str:
        return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()

    return (
        "default-src 'none'; base-uri 'none'; form-action 'none'; img-src data:; "
        f"style-src 'sha256-{digest(css)}'; script-src 'sha256-{digest(script)}'"
    )


# --------------------------------------------------------------------------- verdict


def _lead(result: Result, counts: Counter[str]) -> Iterator[str]:
    """What came out, in a few sentences."""
    total = sum(counts.values())
    if broken := counts["broken"]:
        yield f"{broken} of {total} rules {'is' if broken == 1 else 'are'} broken."
    elif result.verdict == "kept":
        yield f"None of {total} rules is broken."
    else:
        yield "The run could not tell."
    if warned := counts["warned"]:
        bases = {entry.rule.basis for entry in result.entries if entry.word == "warned"}
        known = " or ".join(basis for basis in BASES if basis in bases)
        more, rest = "more " if counts["broken"] else "", "rests" if warned == 1 else "rest"
        they = "it" if warned == 1 else "they"
        words = f"{warned} {more}only {'warns' if warned == 1 else 'warn'}, because {they} {rest} on what is {known}"
        yield f"{words} and the run insists on what is {result.settings.strict}."
    if accepted := counts["accepted"]:
        yield f"{accepted} {'is a known failure' if accepted == 1 else 'are known failures'}, accepted for now."
    left = [id for id, done in result.restored.items() if done.verdict == "not_restored"]
    if left:
        yield f"Not everything could be put back: see {', '.join(left)} below."
    elif result.restored:
        unseen = dict.fromkeys(name for done in result.restored.values() for name in done.unseen)
        but = f", but for what no answer shows: {', '.join(unseen)}" if unseen else ""
        yield f"What was changed was put back and read back{but}."


def _bar(counts: Counter[str]) -> Iterator[tuple[str, float, float]]:
    """(verdict, from, width) in per cent, each wide enough to be seen."""
    present = [verdict for verdict in VERDICTS if counts[verdict]]
    least = 0.8
    spare = 100 - least * len(present)
    at = 0.0
    for verdict in present:
        width = least + spare * counts[verdict] / sum(counts.values())
        yield verdict, round(at, 3), round(width, 3)
        at += width


def _command(result: Result) -> str:
    """The line that repeats the run."""
    import shlex

    settings = result.settings
    parts = ["contract", "run", "--base-url", settings.base_url]
    for id in settings.ids:
        parts += ["--id", id]
    parts += ["--profile", settings.profile, "--strict", settings.strict, "--seed", str(settings.seed)]
    if settings.spec:
        parts += ["--spec", settings.spec]
    if settings.allow_unrestorable:
        parts.append("--allow-unrestorable")
    return " ".join(map(shlex.quote, parts))


def _more(settings: Settings) -> str:
    """What the line that repeats the run leaves to a configuration file, in words."""
    names = [
        name for name in ("resources", "bystander_ids", "foreign_ids", "known_failures") if getattr(settings, name)
    ]
    return ", ".join(names)


# -------------------------------------------------------------------------- failures


def _told(result: Result, entry: Entry, mask: Mask, number: int) -> dict[str, Any]:
    """One rule that failed, with all that is needed to see it again."""
    first = entry.failures[0]
    told = failure(result, first, mask)
    body = first.body if first.body is not None else first.interaction.case.body
    case = first.interaction.case
    sent = None
    if body is not MISSING:
        sent = pretty(told["request"]["body"])
    elif case.content is not None:
        sent = cut(mask.text(case.content.decode("utf-8", "replace")))
    actual = MISSING if first.finding.actual is MISSING else told["actual"]
    folded = [e.rule.id for e in result.entries if e.under == entry.rule.id]
    return {
        "number": number,
        "entry": entry,
        "verdict": entry.word,
        "told": told,
        "source": _source(result, entry.rule),
        "operation": result.contract.operations[case.operation].label,
        "sent": sent,
        "before": [pretty(one) for one in told["request"].get("before", ())],
        "answer": pretty(told["response"]["body"]),
        "changes": [] if first.finding.expected is MISSING else list(difference(told["expected"], actual)),
        "others": [one.interaction.case.label for one in entry.failures[1:]],
        "folded": folded,
        "curl": cut(told["curl"]),
        "data": {"rule": entry.rule.id, "basis": entry.rule.basis, "verdict": entry.verdict, **_brief(told)},
    }


def _brief(value: Any) -> Any:
    """*value* without the ends of long texts."""
    if isinstance(value, str):
        return cut(value)
    if isinstance(value, Mapping):
        return {cut(str(key)): _brief(item) for key, item in value.items()}
    return [_brief(item) for item in value] if isinstance(value, (list, tuple)) else value


def _pairs(fields: Mapping[str, Iterable[Any]], mask: Mask) -> list[tuple[str, ...]]:
    """The name of each of *fields*, what it was, and what it is."""
    return [(name, *(_line(mask.value(value, name)) for value in pair)) for name, pair in fields.items()]


def _line(value: Any) -> str:
    return cut(json.dumps(value, ensure_ascii=False, default=str))


# ---------------------------------------------------------------------------- ledger


def _source(result: Result, rule: Rule) -> dict[str, str]:
    """Where the rule stands: words and, where it is one of the web, an address."""
    key, _, detail = rule.fact.source.partition(":")
    known = result.contract.sources.get(key.strip(), {})
    url = str(known.get("url", ""))
    text = ", ".join(part for part in (str(known.get("title", "")), detail.strip()) if part) or rule.fact.source
    return {"text": text, "url": url if url.startswith(("https://", "http://")) else ""}


def field_of(result: Result, rule: Rule) -> str:
    """The field that a rule is about, or nothing where it is about the whole."""
    if rule.field:
        return rule.field
    known = {*result.contract.request.fields, *result.contract.record}
    return next((part for part in rule.id.split(".")[2:] if part in known), "")


def _row(result: Result, entry: Entry) -> dict[str, Any]:
    return {
        "entry": entry,
        "verdict": entry.word,
        "word": VERDICTS[entry.word],
        "field": field_of(result, entry.rule),
        "source": _source(result, entry.rule)["text"],
        "weak": entry.rule.basis != BASES[0],
    }


def _grid(result: Result, entries: Iterable[Entry]) -> dict[str, Any]:
    """The worst verdict for each field and promise."""
    found: dict[str, dict[str, Counter[str]]] = {}
    for entry in entries:
        cells = found.setdefault(field_of(result, entry.rule), {})
        cells.setdefault(entry.rule.promise, Counter())[entry.word] += 1
    order = ["", *result.contract.record, *result.contract.request.fields]
    fields = [name for name in dict.fromkeys(order) if name in found]
    fields += [name for name in found if name not in fields]
    promises = [name for name in PROMISES if any(name in cells for cells in found.values())]
    return {
        "promises": promises,
        "rows": [(name, [_worst(found[name].get(promise)) for promise in promises]) for name in fields],
    }


def _worst(counts: Counter[str] | None) -> tuple[str, str]:
    """(verdict, words) of one cell; nothing where no rule stands there."""
    if not counts:
        return "", ""
    # A cell of which anything was looked at and kept is kept: what was not exercised shows in the list.
    return next(verdict for verdict in VERDICTS if counts[verdict]), tally(counts)


# -------------------------------------------------------------------------- pictures

CELL: Final = 22
"""Pixels from one cell to the next."""
LETTER: Final = 6.7
"""Pixels that a letter of a label takes at most."""


def _drawn(matrix: Matrix) -> dict[str, Any]:
    """A matrix with its measures in pixels; the names of the columns lean at 45 degrees."""
    left = round(max(map(len, matrix.rows)) * LETTER) + 10
    lean = round(max(map(len, matrix.columns)) * LETTER * 0.71) + 10
    return {
        "matrix": matrix,
        "left": left,
        "top": lean,
        "width": left + CELL * len(matrix.columns) + lean,
        "height": lean + CELL * len(matrix.rows) + 2,
        "cell": CELL,
        "counts": matrix.counts,
        "told": [(state, matrix.place(state)) for state in ("broken", "refused", "warned", "none")],
    }


def _plotted(found: Latency) -> dict[str, Any]:
    """The plot of all times, with its measures in pixels."""
    left, top, width, height = 40, 22, 950, 220
    marks = ("h0", "h0", "m-2.5-2.5l5 5m0-5l-5 5", "m-3 0h6")

    def across(position: int) -> float:
        return round(left + (width * (position - 1) / max(1, found.count - 1)), 1)

    def down(milliseconds: float) -> float:
        return round(top + height * (1 - found.height(milliseconds)), 1)

    low, high = down(found.median), down(found.p95)
    return {
        "found": found,
        "left": left,
        "top": top,
        "right": left + width,
        "bottom": top + height,
        "width": left + width + 64,
        "height": top + height + 26,
        "ticks": [(down(tick), f"{tick:g}") for tick in found.ticks],
        "steps": [(across(n), n) for n in _positions(found.count)],
        # Where the lines are close, their names keep apart.
        "lines": [("median", low, max(low, high + 12) + 4), ("95 %", high, high + 4)],
        "paths": [
            (series, "".join(f"M{across(n)} {down(took)}{marks[min(i, 3)]}" for n, took in series.points), min(i, 3))
            for i, series in enumerate(found.series)
        ],
        "slowest": found.slowest,
    }


def _positions(count: int) -> list[int]:
    """A handful of positions to name below the plot."""
    step = next((s for s in (1, 2, 5, 10, 25, 50, 100, 250, 500, 1000) if count / s <= 8), 5000)
    return [1, *(n for n in range(step, count + 1, step) if n > 1)]


def _outcomes(fields: Mapping[str, str]) -> list[tuple[str, list[str]]]:
    """What became of the fields of a request, each outcome once."""
    found: dict[str, list[str]] = {}
    for name, outcome in fields.items():
        found.setdefault(outcome, []).append(name)
    return list(found.items())
