"""Tells what a run found: lines for people, and the data of ``run.json`` for everything else.

Nothing is judged here. Whatever an API answered is shown as data: control characters are escaped, secrets and masked
fields are replaced before anything is written anywhere.
"""

from __future__ import annotations

import errno
import json
import os
import re
import shlex
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import IO, Any, Final

from contract.behaviour import behaviour
from contract.errors import ConfigError
from contract.ledger import Entry, Failure, unsettled
from contract.mask import Mask, plain, shown
from contract.model import MISSING, Case, Finding, Rule, under
from contract.recipe import Recipe
from contract.result import Result
from contract.send import MALFORMED, encode, unknown
from contract.spec import Contract

__all__ = [
    "COLOURS",
    "VERDICTS",
    "Style",
    "curl",
    "data",
    "encoded",
    "expected",
    "expected_lines",
    "failure",
    "failure_lines",
    "finding_lines",
    "fragment_path",
    "lines",
    "opened",
    "probe",
    "restored_lines",
    "store",
    "tally",
    "unstyled",
]

STEPS: Final = 4
"""Requests that the line for sending a failure again takes at most."""


def curl(
    contract: Contract, base_url: str, case: Case, id: str, body: Any, mask: Mask, foreign: str = "SOMEONE_ELSES_ID"
) -> str:
    """One line that sends the case again; credentials are named, not shown."""
    operation = contract.operations[case.operation]
    target = {"own": id, "unknown": unknown(operation, id), "malformed": MALFORMED}.get(case.target, foreign)
    parts = ["curl", "-sS", "-X", operation.method]
    security = contract.schemes.get(operation.security[0], {}) if operation.security else {}
    bearer = security.get("scheme") == "bearer"
    secret = "CONTRACT_TOKEN" if bearer else "CONTRACT_PASSWORD"
    near = {
        "right": f"${secret}",
        "wrong_user": f"${secret}",
        "empty_password": "",
        "longer_password": f"${{{secret}}}x",
        "shorter_password": f"${{{secret}%?}}",
        "recased_password": f'$(printf %s "${secret}" | tr a-zA-Z A-Za-z)',
    }.get(case.credentials, "wrong")
    if case.credentials == "none" or not security:
        credentials = []
    elif bearer != (case.credentials == "other_scheme"):
        credentials = ["-H", f'"Authorization: Bearer {near}"']
    else:
        user = "$CONTRACT_USERNAME" if case.credentials not in {"wrong_user", "other_scheme"} else "wrong"
        credentials = ["-u", f'"{user}:{near}"']
    parts += credentials
    content = case.content if case.content is not None or case.body is MISSING else encode(mask.value(body))
    if content is not None:
        parts += ["-H", shlex.quote(f"Content-Type: {case.media_type}"), "--data-binary", _quote(content)]
    parts.append(shlex.quote(f"{base_url.rstrip('/')}{operation.url(target)}{case.query}"))
    return " ".join(parts)


def _quote(content: bytes) -> str:
    """*content* for a shell; what a terminal would obey is written as an escape."""
    try:
        text = content.decode("utf-8", "surrogatepass")
        json.loads(text)
    except ValueError:
        return shlex.quote(content.decode("utf-8", "replace"))
    return shlex.quote("".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in text))


# ------------------------------------------------------------------------- run.json


def data(result: Result, mask: Mask) -> dict[str, Any]:
    """The content of ``run.json``."""
    settings, mask = result.settings, mask.of(result)
    return {
        "format": 1,
        "verdict": result.verdict,
        "profile": settings.profile,
        "seed": settings.seed,
        "base_url": settings.base_url,
        "spec": {"title": result.contract.title, "version": result.contract.version},
        "started": result.started.isoformat(timespec="seconds").replace("+00:00", "Z"),
        "seconds": round(result.seconds, 3),
        "requests": result.requests,
        "problem": mask.line(result.problem),
        **({"foreign": _foreign(result, mask)} if result.foreign else {}),
        "tour": {
            "updates": result.plan.updates,
            "bound": result.plan.bound,
            "coverage": {name: list(pair) for name, pair in result.plan.coverage.items()},
            "unreachable": list(result.plan.unreachable),
        },
        "rules": [_rule(result, entry, mask) for entry in result.entries],
        "restored": {
            mask.text(id): {
                "verdict": done.verdict,
                "left": {name: mask.value([before, now], name) for name, (before, now) in done.left.items()},
                **({"unseen": list(done.unseen)} if done.unseen else {}),
                **({"odd": list(done.odd)} if done.odd else {}),
                **({"filled": list(done.filled)} if done.filled else {}),
                **({"note": mask.text(done.note)} if done.note else {}),
            }
            for id, done in result.restored.items()
        },
        "observations": mask.value(result.ledger.observations),
        **behaviour(result, mask),
    }


def _foreign(result: Result, mask: Mask) -> dict[str, Any]:
    """What someone else wrote during the run: record -> field -> [before, now]."""
    return {
        id: {name: [mask.value(value, name) for value in pair] for name, pair in fields.items()}
        for id, fields in result.foreign.items()
    }


def _rule(result: Result, entry: Entry, mask: Mask) -> dict[str, Any]:
    rule = entry.rule
    found: dict[str, Any] = {
        "id": rule.id,
        "basis": rule.basis,
        "source": result.contract.source(rule.fact),
        "text": rule.text,
        "verdict": entry.verdict,
        "evidence": entry.evidence,
    }
    if entry.accepted:
        found["accepted"] = True
    if entry.reason:
        found["reason"] = mask.line(entry.reason)
    if entry.failures:
        found["failures"] = [failure(result, one, mask) for one in entry.failures]
    return found


def failure(result: Result, one: Failure, mask: Mask) -> dict[str, Any]:
    """One failure as data."""
    found, case = one.finding, one.interaction.case
    name = found.leaf
    response = one.interaction.response
    return {
        "case": case.label,
        "message": mask.line(found.message),
        "pointer": found.pointer,
        "expected": expected(found, mask),
        "actual": mask.value(found.actual, name),
        "curl": mask.text(_again(result, one, mask)),
        "request": {
            "operation": case.operation,
            "body": mask.value(one.body),
            **({"before": mask.value(one.before)} if one.before else {}),
            "replay": _recipe(result, one, mask),
        },
        "response": {
            "status": response.status,
            "body": mask.value(response.body)
            if response.body is not MISSING
            else mask.text(plain(response.content[:2000].decode("utf-8", "replace"))),
        },
    }


def _again(result: Result, one: Failure, mask: Mask) -> str:
    """One line for a shell that shows the failure again: the updates that it takes, and the read that shows it."""
    contract, case = result.contract, one.interaction.case
    update = contract.update.id
    steps = [step for step in one.cases if step.operation == update]
    if case.operation != update:
        if not steps:
            guessed = Recipe.of(contract, one, result.ledger.interactions)
            steps = [step for step in guessed.cases if step.operation == update]
        steps.append(case)
    elif len(steps) < 2:
        steps = [replace(case, body=one.body)]
    id, other, settings = one.interaction.id, one.interaction.other, result.settings
    line = partial(
        curl, contract, settings.base_url, mask=mask, foreign=next(iter(settings.foreign_ids), "SOMEONE_ELSES_ID")
    )
    lines = [
        line(case=step, id=id if step.operation == update else other or id, body=step.body) for step in steps[-STEPS:]
    ]
    return " && ".join([*(line.replace("-sS", "-sS -o /dev/null", 1) for line in lines[:-1]), lines[-1]])


def _recipe(result: Result, one: Failure, mask: Mask) -> dict[str, Any]:
    """What sends a failure again; where values of it are masked, that is said."""
    made = Recipe.of(result.contract, one, result.ledger.interactions).data()
    shown: dict[str, Any] = mask.value(made)
    return {**shown, "masked": True} if shown != Mask().value(made) else shown


_OBEYED: Final = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]")
"""Characters beyond ASCII's first 32 that a terminal or an editor may obey."""


def encoded(value: Any) -> str:
    """*value* as JSON for people to read, with nothing raw in it that a terminal obeys."""
    text = json.dumps(value, ensure_ascii=False, indent=1, allow_nan=False)
    return _OBEYED.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


@contextmanager
def opened(path: Path) -> Iterator[IO[str]]:
    """A file to write to that takes the place of *path* only when all of it is there.

    Shape:
        UTF-8, lines end with ``\\n`` on every system; half of a surrogate pair is written as an escape.
        A link is followed, and a device or a pipe, such as ``/dev/stdout``, is written to as it is.

    Raises:
        ConfigError: it cannot be written there.
    """
    target = Path(os.path.realpath(path))
    temporary = target.parent / f".{target.name}.{os.getpid()}"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        place = path if _is_special(path) else temporary
        with place.open("w", encoding="utf-8", errors="backslashreplace", newline="\n") as file:
            yield file
        if place is temporary:
            temporary.replace(target)
    except OSError as error:
        raise ConfigError(f"the report {path} cannot be written: {error.strerror or error}") from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def probe(path: Path) -> None:
    """Finds out whether *path* can be written, before there is anything to write; nothing of that is left.

    Raises:
        ConfigError: it cannot.
    """
    if _is_special(path):
        return
    absent = [folder for folder in path.parents if not folder.exists()]
    try:
        with suppress(_Probed), opened(path):
            raise _Probed
    finally:
        for folder in absent:
            with suppress(OSError):
                folder.rmdir()


def _is_special(path: Path) -> bool:
    """True for a device or a pipe, and for what stands in its place where output is redirected."""
    return path.is_relative_to("/dev") or (path.exists() and not path.is_file() and not path.is_dir())


class _Probed(Exception):
    """There is nothing to write yet."""


def store(path: Path, text: str) -> Path:
    """Writes *text* to *path*, whole or not at all, and returns *path*.

    Raises:
        ConfigError: it cannot be written there.
    """
    with opened(path) as file:
        file.write(text)
    return path


def fragment_path(contract: Contract) -> str:
    """Where the fragment stands, for tools that show a report beside the files of a checkout.

    Shape:
        With ``/``, relative to the checkout that a GitHub or GitLab job names, or to the working
        directory, where it lies below it; else the name of the file alone.
    """
    path = Path(contract.document.file or "fragment.yaml")
    for base in (os.environ.get("GITHUB_WORKSPACE"), os.environ.get("CI_PROJECT_DIR"), "."):
        if base:
            with suppress(OSError, ValueError):
                inside = path.resolve().relative_to(Path(base).resolve())
                return path.name if "site-packages" in inside.parts else inside.as_posix()
    return path.name


# ----------------------------------------------------------------------------- lines

Style = Callable[[str, str], str]
"""Decorates (text, what it is), one of `COLOURS`."""
COLOURS: Final[Mapping[str, tuple[str, bool]]] = {
    "title": ("", True),
    "broken": ("red", True),
    "kept": ("green", True),
    "warned": ("yellow", False),
    "undecided": ("yellow", True),
}
"""What a text is -> (colour, bold), on a terminal."""
VERDICTS: Final[Mapping[str, str]] = {
    "broken": "broken",
    "warned": "warned",
    "accepted": "accepted",
    "undecided": "undecided",
    "kept": "kept",
    "not_exercised": "not exercised",
}
"""Verdict of a rule, or ``accepted`` for a known failure -> its word, the worst first."""


def unstyled(text: str, name: str) -> str:
    """*text* as it is: the `Style` of what is no terminal."""
    return text


def tally(counts: Counter[str], first: str = "") -> str:
    """How many rules have which verdict, in words: that of *first*, then the worst first."""
    words = sorted(VERDICTS, key=lambda word: word != first)
    return ", ".join(f"{counts[word]} {VERDICTS[word]}" for word in words if counts[word])


def lines(
    result: Result, mask: Mask, style: Style = unstyled, *, quiet: bool = False, brief: bool = False
) -> Iterator[str]:
    """What a person reads at the end of a run; *style* decorates (text, what it is).

    With *quiet* only what is broken, what could not be put back, and the verdict; with *brief* only the
    names of the rules that are broken or accepted, because each was told in a place of its own.
    """
    mask = mask.of(result)
    yield from _rule_lines(result, mask, style, quiet=quiet, brief=brief)
    if result.problem:
        yield style("could not tell: ", "undecided") + mask.line(result.problem)
    for fields in result.foreign.values():
        yield from _pairs(fields, mask)
    yield from mask.told(result)
    for id, done in result.restored.items():
        if not quiet or done.verdict == "not_restored" or done.odd:
            yield from restored_lines(id, done, mask, style)
    for id, fields in result.touched.items():
        yield style(f"{mask.line(id)} was changed as well, and is left so: only what ids names is written to", "broken")
        yield from _pairs(fields, mask)
    if not quiet:
        yield from _effort_lines(result, mask)
    counts: Counter[str] = Counter(e.word for e in result.entries)
    yield style(result.verdict.upper(), result.verdict) + (
        f": {counts.total()} rules: {tally(counts, 'kept')}; {result.requests} requests in {result.seconds:.1f} s"
    )


def _rule_lines(result: Result, mask: Mask, style: Style, *, quiet: bool, brief: bool) -> Iterator[str]:
    """The rules that were not kept, and what became of the known failures."""
    for entry in result.entries:
        if entry.verdict == "broken" and brief:
            yield style("broken ", "broken") + f" {entry.rule.id}"
        elif entry.verdict == "broken":
            yield from failure_lines(result, entry, mask, style)
    for entry in result.entries:
        if entry.verdict == "warned" and not quiet and (entry.accepted or not brief):
            why = "" if entry.accepted else f" ({entry.rule.basis} only)"
            yield style("accepted" if entry.accepted else "warned ", "warned") + f" {entry.rule.id}{why}"
            if not brief:
                yield f"        {mask.line(entry.reason or entry.failures[0].finding.message)}"
    for note in result.notes():
        if not quiet or "fails again" in note:
            yield style("known failure", "warned") + f": {plain(note)}"
    undecided = unsettled(result.entries)
    for entry in undecided[:10]:
        yield style("undecided", "undecided") + f" {entry.rule.id}"
        yield f"        {mask.line(entry.reason)}"
    if len(undecided) > 10:
        yield f"        … and {len(undecided) - 10} more"


def _effort_lines(result: Result, mask: Mask) -> Iterator[str]:
    """What the run sent, and what it could not look at."""
    plan = result.plan
    if plan.bound and plan.profile.thorough and result.requests > plan.updates:
        yield f"tour: {plan.updates} updates, {plan.updates / plan.bound:.2f} x the least possible ({plan.bound})"
    if result.noise:
        yield f"{result.noise} answers were lost or put off (429, 502, 503, 504, broken connections) and asked for again"
    if plan.unreachable:
        yield "not exercised for want of an id in [resources]: " + ", ".join(plan.unreachable)
    if result.problem or result.only is not None:
        return
    open_ends: dict[str, list[str]] = {}
    for entry in result.entries:
        if entry.verdict == "not_exercised" and "[resources]" not in entry.reason:
            open_ends.setdefault(entry.reason, []).append(entry.rule.id)
    for reason, names in open_ends.items():
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        yield f"not exercised: {names[0]}{more}: {mask.line(reason)}"


def failure_lines(result: Result, entry: Entry, mask: Mask, style: Style = unstyled) -> Iterator[str]:
    """What a person reads about one rule that is broken."""
    one = entry.failures[0]
    told = failure(result, one, mask)
    place = f"  case      {told['case']}"
    yield from finding_lines(result.contract, entry.rule, one.finding, place, one.body, mask, style, len(one.before))
    yield f"  again     {told['curl']}"
    yield ""


def finding_lines(
    contract: Contract,
    rule: Rule,
    found: Finding,
    place: str,
    body: Any,
    mask: Mask,
    style: Style = unstyled,
    before: int = 0,
) -> Iterator[str]:
    """What a person reads about a finding that breaks *rule*: *place* is the line that says what was asked, *body*
    what was sent with it, if anything, and *before* the number of updates that it takes before.
    """
    yield style("broken ", "broken") + f" {rule.id}"
    yield f"        {mask.line(found.message)}"
    yield f"  rule      {rule.text}"
    yield f"  source    {rule.basis}: {contract.source(rule.fact)}"
    yield place + (f", at {plain(found.pointer)}" if found.pointer else "")
    if body is not MISSING:
        if before:
            yield f"  after     {before} update{'s'[: before != 1]} before it, see run.json"
        yield f"  body      {shown(mask.value(body), 400)}"
    yield from expected_lines(found, mask, "  ")


def expected(found: Finding, mask: Mask) -> Any:
    """What was expected, masked where it is a value; a type, a format or documented values are none of the record's."""
    kind = under(found.rule, "shape") and found.rule.endswith((".type", ".present", ".null"))
    return mask.value(found.expected, "" if kind or under(found.rule, "format", "enum") else found.leaf)


def expected_lines(found: Finding, mask: Mask, indent: str) -> Iterator[str]:
    """What was expected, and what there was; nothing where the finding does not say."""
    if found.expected is not MISSING:
        name = found.leaf
        yield f"{indent}expected  {shown(expected(found, mask))}"
        yield f"{indent}actual    {shown(mask.value(found.actual, name) if found.actual is not MISSING else MISSING)}"


def _pairs(fields: Mapping[str, tuple[Any, Any]], mask: Mask) -> Iterator[str]:
    """What each of *fields* was, and what it is."""
    for name, pair in fields.items():
        before, now = (shown(mask.value(value, name), 80) for value in pair)
        yield f"        {plain(name)}: was {before}, is {now}"


def restored_lines(id: str, done: Any, mask: Mask, style: Style = unstyled) -> Iterator[str]:
    """What became of one record: put back, or what is left of what was written to it."""
    name, why = mask.line(id), f": {mask.line(done.note)}" if done.note else ""
    if done.verdict == "restored":
        yield f"{name} was put back as it was, and read back"
    elif done.verdict == "nothing_changed":
        yield f"{name} is as it was"
    elif done.theirs and set(done.left) <= set(done.theirs):
        yield style(f"{name} was put back, but for what someone else set meanwhile", "undecided") + why
    else:
        yield style(f"{name} could not be put back whole", "broken") + why
    if done.verdict == "not_restored":
        yield from _pairs(done.left, mask)
        if done.note:
            yield f"        its journal is kept; when that is over: {mask.line(done.way or 'contract restore')}"
    for field, stood in done.replaced.items():
        yield f"        {plain(field)}: {shown(mask.value(stood, field), 80)} stood there"
    if done.filled:
        yield f"        null before, at the documented default now: {plain(', '.join(done.filled))}"
    if done.odd:
        yield style(
            f"        found with values that only such a run writes: {plain(', '.join(done.odd))};", "undecided"
        )
        yield "        one was cut off elsewhere, or is at work: what was found is what counts as before"
    if done.unseen:
        yield f"        never shown, so not put back: {plain(', '.join(done.unseen))}"
