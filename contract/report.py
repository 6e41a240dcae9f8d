"""
Tells what a run found: lines for people, and the data of ``run.json`` for everything else.

Nothing is computed here. Whatever an API answered is shown as data: control characters are
escaped, secrets and masked fields are replaced before anything is written anywhere.
"""

from __future__ import annotations

import hashlib
import json
import shlex
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from contract.ledger import Entry, Failure
from contract.model import MISSING, Case
from contract.run import Result
from contract.send import MALFORMED, UNKNOWN, encode
from contract.spec import Contract

__all__ = ["Mask", "curl", "data", "lines", "shown", "write"]

LONGEST: Final = 200
"""Characters of a value that a line shows."""


@dataclass(frozen=True, slots=True)
class Mask:
    """
    Replaces secrets, and the values of masked fields, in everything that is written.

    A masked value keeps its form: digits stay digits and letters stay letters, so that a report
    about a format can still be read. Equal values are masked equally.
    """

    secrets: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    """The last tokens of the masked pointers."""

    def text(self, text: str) -> str:
        """
        *text* without secrets.
        """
        for secret in self.secrets:
            if secret and secret in text:
                text = text.replace(secret, "***")
        return text

    def value(self, value: Any, name: str = "") -> Any:
        """
        *value*, which stands in a field called *name*, as it may be shown.
        """
        if name and name in self.names:
            return self._masked(value)
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {self.text(str(k)): self.value(v, str(k)) for k, v in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.value(v, name) for v in value]
        return None if value is MISSING else value

    def _masked(self, value: Any) -> Any:
        if isinstance(value, str):
            digest = hashlib.sha256(value.encode("utf-8", "surrogatepass")).digest()
            return "".join(_like(c, digest[i % 32]) for i, c in enumerate(value))
        if isinstance(value, bool) or value is None or value is MISSING:
            return None if value is MISSING else value
        if isinstance(value, (int, float)):
            return int(self._masked(str(abs(int(value)))) or 0)
        if isinstance(value, Mapping):
            return {k: self._masked(v) for k, v in value.items()}
        return [self._masked(v) for v in value]


def _like(char: str, salt: int) -> str:
    if char.isdigit():
        return str(salt % 10)
    if char.isalpha():
        letter = chr(ord("a") + salt % 26)
        return letter.upper() if char.isupper() else letter
    return char


def shown(value: Any, most: int = LONGEST) -> str:
    """
    *value* on one line of plain text: JSON, cut where it is long, with nothing that a terminal obeys.
    """
    if value is MISSING:
        return "(absent)"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    if len(text) > most:
        text = f"{text[: most - 20]}… ({len(text)} characters)"
    return plain(text)


def plain(text: str) -> str:
    """
    *text* with control and formatting characters escaped.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        c if c.isprintable() or c == " " else f"\\u{ord(c):04x}" if unicodedata.category(c) != "Cs" else "\ufffd"
        for c in text
    )


def curl(contract: Contract, base_url: str, case: Case, id: str, body: Any, mask: Mask) -> str:
    """
    One line that sends the case again; credentials are named, not shown.
    """
    operation = contract.operations[case.operation]
    target = {"own": id, "unknown": str(UNKNOWN), "malformed": MALFORMED}.get(case.target, "SOMEONE_ELSES_ID")
    parts = ["curl", "-sS", "-X", operation.method]
    security = contract.schemes.get(operation.security[0], {}) if operation.security else {}
    if security.get("scheme") == "bearer":
        token = {"right": "$CONTRACT_TOKEN", "none": ""}.get(case.credentials, "wrong")
        credentials = ["-H", f'"Authorization: Bearer {token}"'] if token else []
    else:
        user = "$CONTRACT_USERNAME" if case.credentials != "wrong_user" else "wrong"
        password = "$CONTRACT_PASSWORD" if case.credentials != "wrong_password" else "wrong"
        credentials = [] if case.credentials == "none" or not security else ["-u", f'"{user}:{password}"']
    parts += credentials
    content = case.content if case.body is MISSING else encode(mask.value(body))
    if content is not None:
        parts += ["-H", shlex.quote(f"Content-Type: {case.media_type}"), "--data-binary", _quote(content)]
    parts.append(shlex.quote(f"{base_url.rstrip('/')}{operation.url(target)}{case.query}"))
    return " ".join(parts)


def _quote(content: bytes) -> str:
    """
    *content* for a shell; what a terminal would obey is written as an escape.
    """
    text = content.decode("utf-8", "replace")
    try:
        json.loads(text)
    except ValueError:
        return shlex.quote(text)
    return shlex.quote("".join(c if c.isprintable() else _escaped(c) for c in text))


def _escaped(char: str) -> str:
    units = char.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[i]:02x}{units[i + 1]:02x}" for i in range(0, len(units), 2))


# ------------------------------------------------------------------------- run.json


def data(result: Result, mask: Mask) -> dict[str, Any]:
    """
    The content of ``run.json``.
    """
    settings = result.settings
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
        "problem": plain(mask.text(result.problem)),
        "tour": {
            "updates": result.plan.updates,
            "bound": result.plan.bound,
            "coverage": {name: list(pair) for name, pair in result.plan.coverage.items()},
            "unreachable": list(result.plan.unreachable),
        },
        "rules": [_rule(result, entry, mask) for entry in result.entries],
        "restored": {
            id: {
                "verdict": done.verdict,
                "left": {name: mask.value([before, now], name) for name, (before, now) in done.left.items()},
                **({"unseen": list(done.unseen)} if done.unseen else {}),
                **({"note": mask.text(done.note)} if done.note else {}),
            }
            for id, done in result.restored.items()
        },
        "observations": mask.value(result.ledger.observations),
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
    if entry.reason:
        found["reason"] = plain(mask.text(entry.reason))
    if entry.failures:
        found["failures"] = [failure(result, one, mask) for one in entry.failures]
    return found


def failure(result: Result, one: Failure, mask: Mask) -> dict[str, Any]:
    """
    One failure as data.
    """
    found, case = one.finding, one.interaction.case
    name = found.pointer.rpartition("/")[2]
    body = one.body if one.body is not None else case.body
    response = one.interaction.response
    return {
        "case": case.label,
        "message": plain(mask.text(found.message)),
        "pointer": found.pointer,
        "expected": mask.value(found.expected, name),
        "actual": mask.value(found.actual, name),
        "curl": mask.text(curl(result.contract, result.settings.base_url, case, one.interaction.id, body, mask)),
        "request": {
            "operation": case.operation,
            "body": mask.value(body),
            **({"before": mask.value(one.before)} if one.before else {}),
        },
        "response": {
            "status": response.status,
            "body": mask.value(response.body)
            if response.body is not MISSING
            else mask.text(plain(response.content[:2000].decode("utf-8", "replace"))),
        },
    }


def write(result: Result, folder: Path, mask: Mask) -> Path:
    """
    Writes ``run.json`` and what stands beside it; the path of the first is returned.
    """
    folder.mkdir(parents=True, exist_ok=True)
    content = data(result, mask)
    path = folder / "run.json"
    temporary = path.with_suffix(".new")
    temporary.write_text(
        json.dumps(content, ensure_ascii=False, indent=1) + "\n", encoding="utf-8", errors="backslashreplace"
    )
    temporary.replace(path)
    return path


# ----------------------------------------------------------------------------- lines

Style = Callable[[str, str], str]
_WORDS: Final = {
    "kept": "kept",
    "broken": "broken",
    "warned": "warned",
    "undecided": "undecided",
    "not_exercised": "not exercised",
}


def lines(
    result: Result, mask: Mask, style: Style = lambda text, name: text, *, quiet: bool = False
) -> Iterator[str]:
    """
    What a person reads at the end of a run; *style* decorates (text, what it is).

    With *quiet* only what is broken, what could not be put back, and the verdict.
    """
    verdict = result.verdict
    counts: Counter[str] = Counter(entry.verdict for entry in result.entries)
    shape = ", ".join(f"{counts[word]} {_WORDS[word]}" for word in _WORDS if counts[word])
    for entry in result.entries:
        if entry.verdict == "broken":
            yield from _failure_lines(result, entry, mask, style)
    for entry in result.entries:
        if entry.verdict == "warned" and not quiet:
            first = entry.failures[0]
            yield style("warned ", "warned") + f" {entry.rule.id} ({entry.rule.basis} only)"
            yield f"        {plain(mask.text(first.finding.message))}"
    undecided = [e for e in result.entries if e.verdict == "undecided" and not e.reason.startswith("told under")]
    for entry in undecided[:10]:
        yield style("undecided", "undecided") + f" {entry.rule.id}"
        yield f"        {plain(mask.text(entry.reason))}"
    if len(undecided) > 10:
        yield f"        … and {len(undecided) - 10} more"
    if result.problem:
        yield style("could not tell: ", "undecided") + plain(mask.text(result.problem))
    for id, done in result.restored.items():
        if not quiet or done.verdict == "not_restored":
            yield from _restored_lines(id, done, mask, style)
    plan = result.plan
    if not quiet and plan.bound and plan.profile.tour and result.requests > plan.updates:
        yield f"tour: {plan.updates} updates, {plan.updates / plan.bound:.2f} x the least possible ({plan.bound})"
    if result.noise and not quiet:
        yield f"{result.noise} answers were lost or put off (429, 503, broken connections) and asked for again"
    if plan.unreachable and not quiet:
        yield "not exercised for want of an id in [resources]: " + ", ".join(plan.unreachable)
    rules = sum(counts.values())
    seconds = f"{result.seconds:.1f} s"
    yield style(verdict.upper(), verdict) + f": {rules} rules: {shape}; {result.requests} requests in {seconds}"


def _failure_lines(result: Result, entry: Entry, mask: Mask, style: Style) -> Iterator[str]:
    one = entry.failures[0]
    told = failure(result, one, mask)
    rule = entry.rule
    yield style("broken ", "broken") + f" {rule.id}"
    yield f"        {told['message']}"
    yield f"  rule      {rule.text}"
    yield f"  source    {rule.basis}: {result.contract.source(rule.fact)}"
    yield f"  case      {told['case']}" + (f", at {told['pointer']}" if told["pointer"] else "")
    body = one.body if one.body is not None else one.interaction.case.body
    if body is not MISSING:
        if one.before:
            yield f"  after     {len(one.before)} updates before it, see run.json"
        yield f"  body      {shown(mask.value(body), 400)}"
    if one.finding.expected is not MISSING:
        yield f"  expected  {shown(told['expected'])}"
        yield f"  actual    {shown(told['actual'] if one.finding.actual is not MISSING else MISSING)}"
    yield f"  again     {told['curl']}"
    yield ""


def _restored_lines(id: str, done: Any, mask: Mask, style: Style) -> Iterator[str]:
    name = mask.text(id)
    if done.verdict == "restored":
        yield f"{name} was put back as it was, and read back"
    elif done.verdict == "nothing_changed":
        yield f"{name} is as it was"
    else:
        yield style(f"{name} could not be put back whole", "broken") + (
            f": {plain(mask.text(done.note))}" if done.note else ""
        )
        for field, (before, now) in done.left.items():
            was, stands = mask.value(before, field), mask.value(now, field)
            yield f"        {field}: was {shown(was, 80)}, is {shown(stands, 80)}"
        if done.note:
            yield "        its journal is kept; when the API answers again: contract restore"
    if done.unseen:
        yield f"        never shown, so not put back: {', '.join(done.unseen)}"
