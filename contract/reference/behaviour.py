"""What a defect or a variant is: other rules, and hooks on the stages of a request.

A hook is a function ``hook(inner, exchange, *arguments)`` that stands around one stage: it may call
``inner(exchange, *arguments)``, change what goes in or what comes out, or do something else instead.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Behaviour", "Defect", "Hook", "Variant", "pick"]

Hook = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What differs from the plain server."""

    rules: Mapping[str, Any] = field(default_factory=dict)
    """Switch of `Rules` -> its value."""
    hooks: Mapping[str, Hook] = field(default_factory=dict)
    """Stage -> the hook around it."""
    first: Mapping[str, Any] = field(default_factory=dict)
    """Field -> the value with which a new database has it in its first number."""


@dataclass(frozen=True, slots=True)
class Defect:
    """One named way in which the server breaks its promises."""

    name: str
    """Kebab-case; what `contract serve --defect` takes."""
    summary: str
    """One sentence: what is wrong."""
    breaks: tuple[str, ...]
    """Patterns (fnmatch) of rule ids; at least one rule that matches names the cause."""
    behaviour: Behaviour


@dataclass(frozen=True, slots=True)
class Variant:
    """One named way to behave that the documents allow and the plain server does not choose."""

    name: str
    """Kebab-case; what `contract serve --variant` takes."""
    summary: str
    """One sentence: what is different."""
    behaviour: Behaviour


def pick(kind: str, names: Iterable[str], known: Mapping[str, Defect] | Mapping[str, Variant]) -> list[Behaviour]:
    """Return the behaviours of *names*, in the order of *known*: what is compressed cannot be escaped any more.

    Raises:
        ValueError: a name is not known; the message suggests the nearest one. *kind* is the word for it.
    """
    wanted = list(names)
    for name in wanted:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.0)
            raise ValueError(f"unknown {kind} {name!r}; the nearest one is {near[0]!r}")
    return [one.behaviour for name, one in known.items() if name in wanted]
