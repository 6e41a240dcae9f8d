"""Known failures: a file of what is broken and accepted for now, each with a reason and, if need be, a last day.

    [[accept]]
    rule = "update_thing.echo.name"
    pointer = "/name"         # only there; everywhere without it
    reason = "ticket 4711"
    expires = 2027-01-31      # the last day on which it is accepted; for good without it

A general rule accepts the rules of its group. What is accepted does not fail a run; what has expired
fails again, and what no longer fails is told, so that the file does not outlive what it is about.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final

from contract.config import KNOWN, Settings, find
from contract.errors import ConfigError, nearest
from contract.model import Finding, Rule

__all__ = ["DAYS", "Accepted", "Known", "append", "load", "place"]

DAYS: Final = 90
"""Days for which an entry holds that was not written by hand."""
_KEYS: Final = ("rule", "pointer", "reason", "expires")
_HEADER: Final = re.compile(r"^[ \t]*\[\[[ \t]*(?:accept|\"accept\"|'accept')[ \t]*\]\]", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """One entry of the file."""

    rule: str
    reason: str
    pointer: str = ""
    """Where in the answer (RFC 6901); empty for everywhere."""
    expires: date | None = None
    """The last day on which it holds."""
    line: int | None = None
    """Where it begins, counted from 1."""

    @property
    def words(self) -> str:
        """That it is accepted, until when, and why."""
        until = f" until {self.expires}" if self.expires else ""
        return f"accepted{until}: {self.reason}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """Everything that is accepted in one run."""

    entries: tuple[Accepted, ...] = ()
    file: str = ""
    today: date = field(default_factory=date.today)

    def expired(self, entry: Accepted) -> bool:
        """True from the day after its last one."""
        return entry.expires is not None and entry.expires < self.today

    def about(self, finding: Finding, group: str = "") -> list[Accepted]:
        """The entries about a finding, whose rule belongs to *group*; those that still hold come first."""
        mine = [e for e in self.entries if e.rule in (finding.rule, group) and e.pointer in ("", finding.pointer)]
        return sorted(mine, key=self.expired)

    def accepts(self, finding: Finding, group: str = "") -> Accepted | None:
        """The entry that accepts a finding, if one does."""
        first = next(iter(self.about(finding, group)), None)
        return None if first is None or self.expired(first) else first


def load(path: str | Path, rules: Mapping[str, Rule], today: date | None = None) -> Known:
    """The entries in the file *path*; none where *path* is empty.

    Raises:
        ConfigError: the file cannot be used; says which line has to be mended.
    """
    today = today or date.today()
    if not path:
        return Known(today=today)
    if Path(path).exists() and not Path(path).is_file():
        raise ConfigError(f"the known failures in {path} cannot be read: it is no file")
    try:
        text = Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"the known failures in {path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"the known failures in {path} are not UTF-8: {error}") from error
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is not TOML: {error}") from error
    for key in data:
        if key != "accept":
            raise ConfigError(f"{path}{_at(text, key)}: the key {key!r} is not known.{nearest(key, ['accept'])}")
    items = data.get("accept", [])
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise ConfigError(f"{path}{_at(text, 'accept')}: [[accept]] tables are wanted")
    starts: list[int | None] = [text.count("\n", 0, match.end()) + 1 for match in _HEADER.finditer(text)]
    if len(starts) != len(items):
        starts = [None] * len(items)
    entries = []
    for item, line in zip(items, starts, strict=True):
        problem, key = _wrong(item, rules)
        if problem:
            raise ConfigError(f"{path}{_at(text, key, line)}: {problem}")
        entries.append(Accepted(**item, line=line))
    return Known(entries=tuple(entries), file=str(path), today=today)


def _wrong(item: Mapping[str, Any], rules: Mapping[str, Rule]) -> tuple[str, str]:
    """What is wrong with one entry, in words, and the key that it is about."""
    for key in item:
        if key not in _KEYS:
            return f"the key {key!r} is not known.{nearest(key, _KEYS)}", key
    for key in ("rule", "reason"):
        if key not in item:
            return f"the {key} is missing", ""
    for key in ("rule", "pointer", "reason"):
        if key in item and not (isinstance(item[key], str) and item[key].strip()):
            return f"{key} = {item[key]!r}: a text is wanted", key
    if not item.get("pointer", "/").startswith("/"):
        return f"pointer = {item['pointer']!r}: a JSON Pointer begins with '/'", "pointer"
    if item["rule"] not in rules:
        return f"no rule is called {item['rule']!r}.{nearest(item['rule'], rules)}", "rule"
    if "expires" in item and (not isinstance(item["expires"], date) or isinstance(item["expires"], datetime)):
        return f"expires = {item['expires']!r}: a date such as 2027-01-31, without quotes, is wanted", "expires"
    return "", ""


def _at(text: str, key: str, after: int | None = None) -> str:
    """The line on which *key* stands, from line *after* on; that line itself where the key is not found."""
    start = after or 1
    for number, line in enumerate(text.splitlines()[start - 1 :], start):
        if key and re.match(rf"[ \t]*\[*[ \t]*[\"']?{re.escape(key)}\b", line):
            return f", line {number}"
        if after and number > after and line.lstrip().startswith("["):
            break
    return f", line {after}" if after else ""


def place(settings: Settings, config: str | Path | None = None) -> tuple[Settings, Path]:
    """The file that new entries are written to: the configured one, or one beside the configuration; and
    the settings of a run that may write it, which do without it while it does not exist.
    """
    found = Path(config) if config else find(Path.cwd())
    path = Path(settings.known_failures or (found.parent if found else Path.cwd()) / KNOWN)
    return (settings if path.exists() else replace(settings, known_failures="")), path


def append(path: Path, entries: Iterable[Accepted]) -> None:
    """Writes *entries* after what stands in the file already.

    Raises:
        ConfigError: it cannot be written.
    """
    parts = []
    for entry in entries:
        rows = ["[[accept]]", f"rule = {_quoted(entry.rule)}"]
        rows += [f"pointer = {_quoted(entry.pointer)}"] if entry.pointer else []
        rows += [f"reason = {_quoted(entry.reason)}"]
        rows += [f"expires = {entry.expires}"] if entry.expires else []
        parts.append("\n".join(rows) + "\n")
    if not parts:
        return
    temporary = path.with_name(f".{path.name}.new")
    try:
        before = path.read_text(encoding="utf-8").rstrip("\n") + "\n\n" if path.is_file() else ""
        temporary.write_text(before.lstrip("\n") + "\n".join(parts), encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink()
        raise ConfigError(f"the known failures in {path} cannot be written: {error.strerror}") from error


def _quoted(text: str) -> str:
    return json.dumps(text).replace("\x7f", "\\u007f")
