"""What may be shown: without secrets, without what is masked, and without anything that a terminal obeys."""

from __future__ import annotations

import hmac
import json
import math
import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from html import escape
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from contract.config import Settings, credentials
from contract.formats import anchor, escapes
from contract.model import MISSING
from contract.send import Credentials

if TYPE_CHECKING:
    from contract.result import Result

__all__ = ["Mask", "mask_of", "plain", "shown"]

LONGEST: Final = 200
"""Characters of a value that a line shows."""
REGION: Final = 5
"""Characters at the beginning of a telephone number that tell its region, the ``+`` among them: these stay."""
CUT: Final = 4
"""The fewest characters of a secret that are hidden where a text was cut within it."""
SHORT: Final = 5
"""Characters that a masked value must have to be looked for in other texts: a shorter one stands everywhere."""


def mask_of(settings: Settings, given: Mapping[str, str] | None = None) -> Mask:
    """What is not to be shown of a run: the credentials *given*, else those in the environment, and the masked fields."""
    secrets = Credentials(**(credentials() if given is None else given)).secrets
    return Mask(secrets=secrets, names=tuple(pointer.rpartition("/")[2] for pointer in settings.mask))


@dataclass(frozen=True, slots=True)
class Mask:
    """Replaces secrets, and the values of masked fields, in everything that is written.

    A masked value keeps its form: digits stay digits and letters stay letters, those of hexadecimal
    numbers too, so that a report about a format can still be read; a telephone number stays one of its
    region. Equal values are masked equally in all runs with the same credentials; without these nobody
    can try out which value it was.
    """

    secrets: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    """The last tokens of the masked pointers."""
    values: tuple[str, ...] = ()
    """Values of masked fields, for texts that quote them; see `of`."""
    made: set[str] = field(default_factory=set, compare=False, repr=False)
    """What stands in for masked values: what is masked already stays as it is."""

    def of(self, result: Result) -> Mask:
        """The same mask, which also knows the values that the masked fields had in *result*."""
        if not self.names or self.values:
            return self
        found = {v for name, v in _sent(result) if name in self.names and isinstance(v, str) and len(v) >= SHORT}
        return replace(self, values=tuple(sorted(found, key=len, reverse=True)))

    def told(self, result: Result) -> Iterator[str]:
        """What a reader has to know of it: which values are others in truth, and which names hid nothing of *result*."""
        shown = {name for name, _ in _sent(result)}
        if used := [plain(name) for name in self.names if name in shown]:
            yield f"masked, so not as they are: the values of {', '.join(used)}"
        if idle := [plain(name) for name in self.names if name not in shown]:
            yield f"masked for nothing: no answer of this run shows {', '.join(idle)}"

    def text(self, text: str) -> str:
        """*text* without secrets, in whichever way they are escaped, and without what is masked."""
        if any(sign in text for sign in _signs(self.secrets)):  # In a report hardly ever.
            text = self._bare(text)
        for name in self.names:
            if f'"{name}"' in text:
                text = re.sub(rf'("{re.escape(name)}"\s*:\s*)("(?:[^"\\]|\\.)*|-?\d+)', self._member, text)
        for value in self.values:
            if anchor(value) in text and escapes(value).search(text):
                text = escapes(value).sub(self._masked(value).replace("\\", r"\\"), text)
        return text

    def _bare(self, text: str) -> str:
        """*text* without secrets."""
        for secret in filter(None, self.secrets):
            if anchor(secret) in text:
                text = escapes(secret).sub("***", text)
            for form in _forms(secret):
                # Where a text was cut, half of a secret may stand at its end.
                if len(form) > CUT and form[:CUT] in text[-len(form) :]:
                    cut = next((n for n in range(len(form) - 1, CUT - 1, -1) if text.endswith(form[:n])), 0)
                    text = text[:-cut] + "***" if cut else text
        return text

    def line(self, text: str) -> str:
        """*text* as `text` gives it, with nothing that a terminal obeys."""
        return plain(self.text(text))

    def _member(self, found: re.Match[str]) -> str:
        if not found[2].startswith('"'):
            return found[1] + str(self._masked(int(found[2])))
        try:
            text = json.loads(f'{found[2]}"')
        except ValueError:  # It was cut, or a shell has it in another way.
            text = found[2][1:]
        return found[1] + json.dumps(self._masked(text), ensure_ascii=False)[:-1]

    def value(self, value: Any, name: str = "") -> Any:
        """*value*, which stands in a field called *name*, as it may be shown."""
        if name and name in self.names:
            return self._masked(value)
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {self.text(str(k)): self.value(v, str(k)) for k, v in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.value(v, name) for v in value]
        if isinstance(value, float) and not math.isfinite(value):
            return str(value)  # JSON has no way to write it.
        return None if value is MISSING else value

    def _masked(self, value: Any) -> Any:
        if isinstance(value, str):
            if value in self.made:
                return value
            key = "\n".join(self.secrets).encode("utf-8", "surrogatepass")
            digest = hmac.digest(key, value.encode("utf-8", "surrogatepass"), "sha256")
            letters = 6 if _HEX.fullmatch(value) else 26
            kept = REGION if _NUMBER.fullmatch(value) else 0
            stands = value[:kept] + "".join(_like(c, digest[i % 32], letters) for i, c in enumerate(value[kept:], kept))
            if len(stands) >= SHORT:
                self.made.add(stands)
            return stands
        if isinstance(value, bool) or value is None or value is MISSING:
            return None if value is MISSING else value
        if isinstance(value, (int, float)) and math.isfinite(value):
            return int(self._masked(str(abs(int(value)))) or 0)
        if isinstance(value, Mapping):
            return {k: self._masked(v) for k, v in value.items()}
        return [self._masked(v) for v in value] if isinstance(value, (list, tuple)) else None


_NUMBER: Final = re.compile(r"\+[1-9][0-9]{8,14}")
"""A telephone number, long enough for what is left of it to be no number of anybody."""
_HEX: Final = re.compile(r"(?=.*[0-9])[0-9a-fA-F]+(?:-[0-9a-fA-F]+)*")


def _like(char: str, salt: int, letters: int) -> str:
    if char.isdigit():
        return str(salt % 10)
    if char.isalpha():
        letter = chr(ord("a") + salt % letters)
        return letter.upper() if char.isupper() else letter
    return char


@cache
def _forms(secret: str) -> tuple[str, ...]:
    """*secret* as it is, and as it stands in JSON, in a URL and in HTML."""
    forms = (secret, json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1], quote(secret, safe=""))
    return tuple(dict.fromkeys(f for f in (*forms, quote(secret), escape(secret)) if f))


@cache
def _signs(secrets: tuple[str, ...]) -> tuple[str, ...]:
    """Parts of which one stands in every text that holds one of *secrets*, or ends in half of one."""
    known = [secret for secret in secrets if secret]
    heads = [form[:CUT] for secret in known for form in _forms(secret) if len(form) > CUT]
    found = dict.fromkeys([*map(anchor, known), *heads])
    return tuple(one for one in found if not any(other in one for other in found if other != one))


_SCALAR: Final = re.compile(r"null|true|false|-?[0-9]+(\.[0-9]+)?")


def _sent(result: Result) -> Iterator[tuple[str, Any]]:
    """The members of every body that went to and fro, each with its value."""
    return (pair for one in result.exchanges for body in (one.response.body, one.case.body) for pair in _members(body))


def _members(body: Any) -> Iterator[tuple[str, Any]]:
    """The members of *body*, however deep, each with its value."""
    if isinstance(body, Mapping):
        yield from body.items()
    for inner in body.values() if isinstance(body, Mapping) else body if isinstance(body, list) else ():
        yield from _members(inner)


def shown(value: Any, most: int = LONGEST) -> str:
    """*value* on one line of plain text: JSON, cut where it is long, with nothing that a terminal obeys."""
    if value is MISSING:
        return "(absent)"
    # A text is told from what it could be taken for, and blanks at its ends are to be seen.
    bare = isinstance(value, str) and value == value.strip(" ") != "" and not _SCALAR.fullmatch(value)
    text = value if bare else json.dumps(value, ensure_ascii=False, default=str)
    if len(text) > most:
        text = f"{text[: most - 20]}… ({len(text)} characters)"
    return plain(text)


def plain(text: str) -> str:
    """*text* with control and formatting characters escaped."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        c if c.isprintable() or c == " " else f"\\u{ord(c):04x}" if unicodedata.category(c) != "Cs" else "\ufffd"
        for c in text
    )
