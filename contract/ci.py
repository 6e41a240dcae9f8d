"""Tells a continuous-integration service what a run found, each in its own words: a step summary and
annotations for GitHub, a code-quality report for GitLab; SARIF and JUnit have modules of their own.

Everything here is text for a machine that obeys what it reads, so whatever came from an API is escaped
for that machine: Markdown as character references, workflow commands as percent codes.

Sources: GitHub Docs, "Workflow commands for GitHub Actions"; actions/toolkit, command.ts (what is escaped);
GitLab Docs, "Code Quality", section "Code Quality report format".
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, Final

from contract.errors import ConfigError
from contract.ledger import Entry, unsettled
from contract.mask import Mask, plain
from contract.model import MISSING
from contract.report import failure, fragment_path, restored_lines, tally
from contract.result import Result

__all__ = ["add_to_step_summary", "fingerprint", "quality", "short", "summary", "workflow_commands"]

MOST_ROWS: Final = 50
"""Rows of the summary's table."""
MOST_DETAILS: Final = 15
"""Failures that the summary tells in full; GitHub takes 1 MiB of summary for a step."""
MOST_TEXT: Final = 4000
"""Characters of one text."""


def fingerprint(entry: Entry) -> str:
    """What stays the same of a finding from run to run: 32 hexadecimal digits made from the rule alone."""
    return hashlib.sha256(f"contract\n{entry.rule.id}".encode()).hexdigest()[:32]


# --------------------------------------------------------------------------- summary


def summary(result: Result, mask: Mask) -> str:
    """The content of ``run.md``: the verdict, what is broken, and how the records were left, in Markdown."""
    return "\n".join(_summary(result, mask)) + "\n"


def add_to_step_summary(text: str) -> None:
    """Adds *text* to the summary of the GitHub workflow step that this is, where it is one.

    Raises:
        ConfigError: it cannot be written to.
    """
    if path := os.environ.get("GITHUB_STEP_SUMMARY"):
        try:
            with open(path, "a", encoding="utf-8", errors="replace", newline="\n") as file:
                file.write(text + "\n")
        except OSError as error:
            raise ConfigError(f"GITHUB_STEP_SUMMARY {path} cannot be written to: {error.strerror or error}") from error


def _summary(result: Result, mask: Mask) -> Iterator[str]:
    counts = Counter(entry.word for entry in result.entries)
    settings = result.settings
    yield f"# Contract {result.verdict}: {_words(result.contract.title, mask)}"
    yield ""
    yield f"{sum(counts.values())} rules: {tally(counts)}. {result.requests} requests in {result.seconds:.1f} s"
    yield (
        f"against {_code(settings.base_url, mask)} (profile {settings.profile}, seed {settings.seed}, "
        f"strict {settings.strict})."
    )
    if result.problem:
        yield ""
        yield f"**Could not tell:** {_words(result.problem, mask)}"
    entries = _ranked(result.entries)
    if entries:
        yield from _table(entries, mask)
    for note in result.notes():
        yield ""
        yield f"**Known failures:** {_words(note, mask)}"
    details = [entry for entry in entries if entry.verdict == "broken"]
    for entry in details[:MOST_DETAILS]:
        yield from _details(result, entry, mask)
    yield ""
    for id, done in result.restored.items():
        lines = [line.strip() for line in restored_lines(id, done, mask)]
        yield f"- {_words('; '.join(lines), mask)}"


def _ranked(entries: Iterable[Entry]) -> list[Entry]:
    """What is broken, then what warns, then what nobody could tell for its own sake."""
    found = list(entries)
    return [e for word in ("broken", "warned") for e in found if e.verdict == word] + unsettled(found)


def _table(entries: list[Entry], mask: Mask) -> Iterator[str]:
    yield ""
    yield "| Verdict | Rule | What | Basis |"
    yield "|---|---|---|---|"
    for entry in entries[:MOST_ROWS]:
        what = entry.reason or entry.failures[0].finding.message
        rule = _code(entry.rule.id, mask)
        yield f"| {entry.word} | {rule} | {_words(what, mask)} | {entry.rule.basis} |"
    if len(entries) > MOST_ROWS:
        yield ""
        yield f"… and {len(entries) - MOST_ROWS} more."


def _details(result: Result, entry: Entry, mask: Mask) -> Iterator[str]:
    """One failure behind its name, to open."""
    told = failure(result, entry.failures[0], mask)
    yield ""
    yield f"<details><summary>{_code(entry.rule.id, mask)}</summary>"
    yield ""
    yield f"- What: {_words(told['message'], mask)}"
    yield f"- Rule: {_words(entry.rule.text, mask)}"
    yield f"- Source, {entry.rule.basis}: {_words(result.contract.source(entry.rule.fact), mask)}"
    place = f", at {_code(told['pointer'], mask)}" if told["pointer"] else ""
    yield f"- Case: {_words(told['case'], mask)}{place}"
    finding = entry.failures[0].finding
    if finding.expected is not MISSING:
        actual = json.dumps(told["actual"], ensure_ascii=False) if finding.actual is not MISSING else "(absent)"
        yield f"- Expected {_code(json.dumps(told['expected'], ensure_ascii=False), mask)}, got {_code(actual, mask)}"
    body = told["request"]["body"]
    if body is not None:
        yield ""
        yield from _fenced(json.dumps(body, ensure_ascii=False, indent=2), "json", mask)
    yield ""
    yield from _fenced(told["curl"], "sh", mask)
    yield ""
    yield "</details>"


def _fenced(text: str, language: str, mask: Mask) -> Iterator[str]:
    """A block of code that nothing in it can end."""
    text = mask.text(text)
    if len(text) > MOST_TEXT:
        text = f"{text[:MOST_TEXT]}… ({len(text)} characters)"
    longest = max(map(len, re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    yield f"{fence}{language}"
    yield from (plain(line) for line in text.split("\n"))
    yield fence


_ACTIVE: Final = re.compile(r"[\\`*\[\]#|<>~&@$]|(?<![^\W_])_|_(?![^\W_])|:(?=//|[\w+-]+:)|(?<=\bwww)\.")
"""What Markdown, or what GitHub makes of it, could take for more than text."""


def _words(text: str, mask: Mask) -> str:
    """*text* as Markdown that shows it as it is, on one line."""
    text = short(mask.text(text))
    return _ACTIVE.sub(lambda match: f"&#{ord(match.group())};", text)


def _code(text: str, mask: Mask) -> str:
    return f"<code>{_words(text, mask)}</code>"


# ----------------------------------------------------------------------- annotations


def workflow_commands(result: Result, mask: Mask) -> Iterator[str]:
    """Workflow commands that mark the lines of the fragment whose rules are broken.

    Shape:
        ``::error file=…,line=…,title=…::…``; one a line, errors before warnings, as GitHub shows the
        first ten of each kind.
    """
    path = fragment_path(result.contract)
    for entry in _ranked(result.entries):
        kind = "error" if entry.verdict == "broken" else "warning"
        if entry.failures:
            told = failure(result, entry.failures[0], mask)
            text = f"{short(told['message'])}\n{entry.rule.basis}: {plain(entry.rule.text)}\n{short(told['curl'])}"
        else:
            text = f"undecided: {short(mask.text(entry.reason))}"
        yield _command(kind, text, file=path, line=entry.rule.line or 1, title=plain(entry.rule.id))
    if result.problem:
        yield _command("error", short(mask.text(result.problem)), title="contract: could not tell")
    for id, done in result.restored.items():
        if done.verdict == "not_restored":
            lines = restored_lines(id, done, mask)
            text = "\n".join(short(line.strip()) for line in lines)
            yield _command("warning", text, title="contract: left changed")


def short(text: str) -> str:
    """*text* without control characters, and without its end where it is long."""
    text = plain(text)
    return text if len(text) <= MOST_TEXT else f"{text[:MOST_TEXT]}… ({len(text)} characters)"


def _command(name: str, text: str, **properties: Any) -> str:
    given = ",".join(f"{key}={_property(str(value))}" for key, value in properties.items())
    return f"::{name} {given}::{_data(text)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


# ---------------------------------------------------------------------- code quality


def quality(result: Result, mask: Mask) -> str:
    """The content of ``gl-code-quality.json``: what is broken is critical, what warns minor, the rest info."""
    path = fragment_path(result.contract)
    severities = {"broken": "critical", "warned": "minor"}
    found = [
        {
            "description": short(mask.text(entry.failures[0].finding.message if entry.failures else entry.reason)),
            "check_name": plain(entry.rule.id),
            "fingerprint": fingerprint(entry),
            "severity": severities.get(entry.verdict, "info"),
            "location": {"path": path, "lines": {"begin": entry.rule.line or 1}},
        }
        for entry in _ranked(result.entries)
    ]
    return json.dumps(found, ensure_ascii=False, indent=1) + "\n"
