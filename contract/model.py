"""The values that travel between the stages: all frozen, all plain data.

A `Case` is one request to send, an `Interaction` a case with what was known before and what came
back, a `Finding` one rule that an interaction breaks. None of them does any I/O.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal

__all__ = [
    "BASES",
    "MISSING",
    "PROMISES",
    "Basis",
    "Case",
    "Expect",
    "Fact",
    "Finding",
    "Interaction",
    "JSONObject",
    "Pair",
    "Response",
    "Rule",
    "Target",
    "is_empty",
    "of_time",
    "under",
]

Basis = Literal["documented", "observed", "inferred"]
Expect = Literal["accept", "reject", "unspecified"]
Target = Literal["own", "unknown", "foreign", "malformed"]
Pair = Literal[
    "right",
    "none",
    "wrong_password",
    "empty_password",
    "longer_password",
    "shorter_password",
    "recased_password",
    "wrong_user",
    "other_scheme",
]
"""Which credentials a request carries."""
JSONObject = Mapping[str, Any]

BASES: Final[tuple[Basis, ...]] = ("documented", "observed", "inferred")
"""From the strongest to the weakest."""

PROMISES: Final[Mapping[str, str]] = {
    "shape": "the answer has the documented shape",
    "enum": "enumerated fields hold a documented value",
    "e164": "phone numbers and their country are well formed",
    "format": "ids and times are well formed",
    "accept": "documented requests are accepted",
    "handler": "a selector's value needs and shows its companion fields",
    "echo": "the answer shows what was sent",
    "read_back": "a later read shows what the answer showed",
    "frame": "what was not sent is unchanged",
    "time": "time stamps move forward",
    "idempotence": "the same update twice gives the same state",
    "rejection": "a refusal is well formed and leaves no trace",
    "access": "requests without the right to ask are refused",
    "deprecated": "deprecated fields still work",
    "bystander": "other records are as they were",
}
"""Each promise of a contract, in the order in which a report shows them."""


class _Missing:
    """The value of what is not there; JSON null is `None`."""

    def __repr__(self) -> str:
        return "<absent>"

    def __bool__(self) -> bool:
        return False

    def __reduce__(self) -> str:
        return "MISSING"  # There is one of it in each process.


MISSING: Final[Any] = _Missing()


@dataclass(frozen=True, slots=True)
class Fact:
    """How well a statement about the API is known, and where it stands."""

    basis: Basis
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One thing that is judged, with its stable id ``operation.promise.detail``."""

    id: str
    operation: str
    promise: str
    fact: Fact
    text: str
    """The rule in words."""
    group: str
    """The general rule that is reported instead when many rules beside this one break."""
    field: str = ""
    """The field that it is about, if it is about one."""
    value: Any = MISSING
    """The value of the field that it is about, if it is about one."""
    line: int | None = None
    """Where the fragment states it, counted from 1."""
    needs: str = ""
    """What a run must be given for this rule to be exercised."""

    @property
    def basis(self) -> Basis:
        """The basis of the fact that the rule stands on."""
        return self.fact.basis

    def weaker(self, strict: str) -> bool:
        """True where a failure only warns, because that basis is weaker than *strict*."""
        return list[str](BASES).index(self.basis) > list[str](BASES).index(strict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One request to send, why, and which answer it may get."""

    label: str
    """Stable for one fragment, seed and configuration."""
    operation: str
    expect: Expect = "accept"
    rule: str = ""
    """The rule that breaks when the answer is not the expected one."""
    body: Any = MISSING
    content: bytes | None = None
    """The bytes to send where they are not the encoded *body*."""
    media_type: str = "application/json"
    credentials: Pair = "right"
    target: Target = "own"
    query: str = ""
    """What follows the path in the URL, with its ``?``."""
    core: tuple[str, ...] = ()
    """Fields of *body* that alone are why it must be refused; where there are none, the body is not why."""
    absent: tuple[str, ...] = ()
    """Fields that must not be stored for the case to prove anything."""
    away_from: tuple[str, str] | None = None
    """(selector, value): the record must not be at this value for the case to prove anything."""
    open: Mapping[str, str] = field(default_factory=dict)
    """Fields of *body* for which the documents are silent, with the kind of value: see `check.settled`."""
    unless: str = ""
    """The label of a case whose acceptance makes this one needless."""
    repeat: int = 0
    """How many times the same update was sent right before it."""
    keep: bool = False
    """True where an accepted request must change nothing at all."""
    rested: bool = False
    """True where it proves more when the time stamp of the record has stood for a while."""
    respells: str = ""
    """A field that is sent as well, and holds the record's own id with its letters in the other case."""

    @property
    def fields(self) -> JSONObject:
        """What is sent of the record; nothing where the body is no object."""
        return self.body if isinstance(self.body, Mapping) else {}

    def repeated(self) -> list[Case]:
        """The same update as often as it was sent in a row, this one at the end."""
        return [replace(self, repeat=i) for i in range(self.repeat + 1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """What came back, decoded as far as it could be."""

    status: int
    headers: Mapping[str, str]
    """Lower-case names; repeated headers joined with a comma."""
    content: bytes = b""
    body: Any = MISSING
    """The decoded JSON, or `MISSING` where there is none."""
    problem: str = ""
    """Why the content is not good JSON, in words; empty where it is."""
    elapsed: float = 0.0
    """Seconds from sending to the end of the body."""
    at: float = 0.0
    """Seconds on a monotonic clock when the request was sent."""

    @property
    def ok(self) -> bool:
        """True for a success."""
        return 200 <= self.status < 300

    @property
    def refused(self) -> bool:
        """True for an answer that refuses what was asked for."""
        return 400 <= self.status < 500

    @property
    def page(self) -> bool:
        """True for a web page that is no refusal, or the way to one: as those answer that ask for a log-in."""
        return 300 <= self.status < 400 or (self.ok and self.content.lstrip()[:1] == b"<")

    def slim(self) -> Response:
        """The same without its body, which is too large to be kept."""
        return replace(self, content=b"", body=MISSING, problem=f"{len(self.content)} bytes, too many to be kept")


@dataclass(frozen=True, slots=True, kw_only=True)
class Interaction:
    """A case, what was known of the record before it, and the answer."""

    case: Case
    response: Response
    before: JSONObject | None = None
    verified: bool = True
    """False where *before* was only shown by an update's answer, not read."""
    id: str = ""
    """The id of the record under test that it is about."""
    other: str = ""
    """The id of the record that the case was sent to, where that is another one."""
    age: float = 0.0
    """Seconds for which the time stamp in *before* is known to have stood."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One rule that one interaction breaks."""

    rule: str
    message: str
    pointer: str = ""
    """Where in the answer (RFC 6901); empty for the whole of it."""
    expected: Any = MISSING
    actual: Any = MISSING
    follows: bool = False
    """True where it rests on a state that nobody read back, so another finding may be its cause."""

    @property
    def tokens(self) -> tuple[str, ...]:
        """The reference tokens of `pointer`, unescaped."""
        return tuple(token.replace("~1", "/").replace("~0", "~") for token in self.pointer.split("/")[1:])

    @property
    def name(self) -> str:
        """The field of the record that it is about; a path where that is deeper, blank for the whole record."""
        return "/".join(self.tokens)

    @property
    def root(self) -> str:
        """The field of the record in which it is."""
        return next(iter(self.tokens), "")

    @property
    def leaf(self) -> str:
        """The innermost name: the field of a record in a list."""
        return next(reversed(self.tokens), "")


def is_empty(value: Any) -> bool:
    """True where a field holds nothing: null or a blank."""
    return value in (None, "")


def under(rule: str, *stems: str) -> bool:
    """True where the id of a rule is, after its operation, one of *stems*, or lies under one of them, as
    ``op.frame.label`` lies under ``frame``: a field may be called like a promise.
    """
    detail = f"{rule.partition('.')[2]}."
    return any(detail.startswith(f"{stem}.") for stem in stems)


def of_time(rule: str, facet: str) -> bool:
    """True for the rule that says this of a time stamp, as ``op.time.seen.moves`` says ``moves``."""
    return under(rule, "time") and rule.endswith(f".{facet}")
