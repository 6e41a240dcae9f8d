"""Makes request bodies from a contract: the one generator behind the tour, the random part, the state
machine and the users' own ``@given`` tests.

Bodies satisfy the conditions of the selectors by construction: a selector's value is drawn first,
its companions are then given, and nothing is ever thrown away by a filter. Every host in a URL is
one that RFC 2606 reserves, so that no stranger's server is ever called.

Source: JSON Schema 2020-12 Validation; RFC 2606, sections 2 and 3; RFC 3986; RFC 3339.
"""

from __future__ import annotations

import math
import re
import uuid
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from itertools import count
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from contract.document import escape
from contract.errors import SpecError
from contract.spec import NOTHING, Choice, Field, Operation

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

__all__ = ["Generator", "draw", "reserved"]

_RESERVED: Final = re.compile(
    r"https?://([\w-]+\.)*(example(\.(com|net|org))?|test|invalid|localhost)(:\d*)?([/?#]|\Z)", re.IGNORECASE
)

FIRM: Final = 5
"""Boundary values for each one that is drawn."""
SOME: Final = 6
"""Fields in a body, at most, beside those that a selector requires; or else every one."""
_HTTP: Final = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"})

TEXTS: Final = (
    "Front desk",
    "<b>Q&amp;A</b> \"x\" 'y' \u00e9e\u0301\u0645\u200d\U0001f4bb  two  %41 \\n+ 48",
    "  two blanks at both ends  ",
    "\u260e\ufe0f Desk \U0001f469\U0001f3fd\u200d\U0001f4bb",
    "<b>Desk</b> & <i>Co</i>",
    "\"quoted\" and 'single' `tick`",
    "Cafe\u0301 Zu\u0308rich",
    "forty-eight characters, to the letter, a tail 48",
    "0042",
    "UPPER lower MiXeD",
    "\u0645\u0643\u062a\u0628 \u0627\u0644\u0627\u0633\u062a\u0642\u0628\u0627\u0644",
    "C:\\new\\table\\u0041",
    "inner  double   blanks",
    "Q&amp;A &lt;1&gt; &#39;x&#39;",
    "007",
    "\u7dcf\u5408\u53d7\u4ed8 \uff11\uff12\uff13",
    "\u00c5ngstr\u00f6m \ufb01 \u2460 \u00bd",
    "null",
    "true",
    "SALES AND SUPPORT",
    "100%25 a%20b+c",
    "a,b;c|d\u00a0e\u200e \u201cf\u201d \u2018g\u2019 \u2013 \u2026",
    "front-desk@example.com",
    "\u0130stanbul \u0131\u015f\u0131k Stra\u00dfe \u03a3\u03c2",
    "\u00e9" * 45,
    "0",
    "\U0001d49c\u200b\U00020000 end",
    "Robert'); DROP TABLE desks;--",
    "{{7*7}} ${7*7} %s %d {0}",
    '{"a": [1, null]}',
    "$(id) `id` | x; y && z > w *",
    "+1 (555) 010-0199",
    "=1+1",
)
"""
Free text that any API that promises to give back what it took must give back to the letter; after the plainest
comes what is most often not given back. None is as long as the shortest limit that is usual, 50: where the
documents name no length, to refuse it is lawful.
"""

_PLAIN: Final = re.compile(r"[\w .,@+()=-]*")
"""Texts that people write as well."""

LETTERS: Final = (
    "abcxyzABCXYZ0189 -_.,:;!?'\"()[]{}<>/\\|@#$%^&*+=~`"
    "\u00e4\u00f6\u00fc\u00df\u00e9\u00f1\u00c5\u0130\u0131\u0159\u0394\u03a9\u0436\u042f\u05d0\u0639\u0645\u0939\u0e01\u4e2d\u6587\u3042\uac00"
    "\u0301\u0308\u200d\ufe0f\u00a0\u2013\u201c\u20ac\u221e\ufb01\u00bd\U0001f469\U0001f4bb\U0001d49c\U00020000"
)
"""What drawn text is made of: letters of many scripts, marks, signs and symbols, all of them assigned."""

HAIR, DIGITS = 0.01, 9
"""How far beyond a bound a number is that is no whole one, and the decimals of such numbers."""
NEAR_MISSES: Final = {
    "uuid": ("3fa85f64-5717-4562-b3fc-2c963f66afag",),
    "date-time": ("2030-02-30T12:00:00Z", "2030-01-31T12:00:00"),
    "date": ("2030-02-30", "30-01-31"),
    "email": ("first.last.example.com", "@"),
}
"""Texts that lack a format, and hardly anything more."""
ADDRESS: Final = 254
"""Characters of the longest address of a mailbox (RFC 5321, section 4.5.3.1.3)."""
LONG: Final = 65_536
"""No text and no list that is sent because it is too long is longer."""
OPEN_TEXTS: Final = (
    ("blank", ""),
    ("space", " "),
    ("control", "two\nlines\tand a tab"),
    ("nul", "a nul \x00 inside"),
    ("long", "a longer text of almost one hundred characters, as people write who explain what the thing is for"),
    ("long", "caf\u00e9 0123456789" * 17),
    ("long", "L" + "0123456789abcdef" * 16),
    ("long", "XL" + "0123456789abcdef" * 66 + "end"),
)
"""Free text about which documents are silent unless they say otherwise."""

URLS: Final = (
    "https://example.com/{name}",
    "https://example.com/{name}/CamelCase//caf%C3%A9%2f~x?b=2&a=1&a=2&empty=&flag&Q=a+b%20c%26amp%3B",
    "https://example.com/{name}/Path/To/It",
    "https://example.org/{name}/caf%C3%A9/%7Euser",
    "https://example.net/{name}/?empty=&flag&a=1&a=2",
    "https://hooks.example.com/{name}/",
    "https://a-b.example.com/{name}/x_y-z.~t",
    "https://example.com/{name}?next=https%3A%2F%2Fexample.org%2Fb%3Fc%3Dd",
    "https://example.com/{name}?q=a+b%20c",
    "https://example.com/{name}//double;v=1/a,b",
    "https://example.com/{name}/@user/it's(1)!$*",
    "https://example.com/{name}?Token=AbC&token=aBc",
    "https://example.com/{name}/%2Fslash%2f?x=%26amp%3B",
    "https://example.com?{name}",
    "https://{name}.example.com",
    "https://example.com/{name}/../a/./b?list=1,2;3",
    "https://example.com/{name}/a.long.path.of.more.than.one.hundred.characters/with/many/segments/and-a-tail?page=1&size=100&sort=name",
)
"""URLs that must come back to the letter; *name* tells the fields apart, so that swapped ones show."""

OPEN_URLS: Final = (
    ("blank", ""),
    ("http", "http://example.com/{name}"),
    ("port", "https://example.com:443/{name}"),
    ("idn", "https://b\u00fccher.example/{name}"),
    ("punycode", "https://xn--mnchen-3ya.example/{name}"),
    ("fragment", "https://API.Example.com/{name}#part"),
    ("long", "https://example.com/{name}?pad=" + "0123456789abcdef" * 130),
)
"""URLs about which documents are silent unless they say otherwise."""


def draw(strategy: SearchStrategy[Any], count: int, seed: int) -> list[Any]:
    """At most *count* values of *strategy*, the same ones for the same *seed*."""
    import hypothesis

    values: list[Any] = []

    @hypothesis.seed(seed)
    @hypothesis.settings(
        database=None,
        max_examples=count,
        phases=[hypothesis.Phase.generate],
        deadline=None,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(strategy)
    def collect(value: Any) -> None:
        values.append(value)

    collect()
    return values[:count]


def _address(length: int) -> str:
    """An address of a mailbox of *length* characters, each part of it as long as it may be at most."""
    free = length - len("@example.com")
    # One more label takes two characters at least.
    name = "m" * (63 if free > 64 and (free - 64) % 64 == 1 else max(1, min(64, free)))
    left = free - len(name)
    labels = [*["m" * 63 + "."] * (left // 64), *(["m" * (left % 64 - 1) + "."] if left % 64 > 1 else [])]
    return f"{name}@{''.join(labels)}example.com"


class Generator:
    """Makes bodies for one operation, from what may be sent there.

    *resources* maps request fields to ids that exist, which are then their only values; a field that
    needs an id which is not given is never sent, and no selector value that requires one is chosen.
    """

    def __init__(self, operation: Operation, resources: Mapping[str, str] | None = None) -> None:
        if operation.request is None:
            raise SpecError(f"{operation.label} takes no body", pointer=operation.pointer)
        self.operation = operation
        self.request = operation.request
        self.resources = dict(resources or {})
        self.fields: dict[str, Field] = {
            # What may hold an id and was given one takes no other: an API may look for what it names.
            name: item.naming() if name in self.resources and item.may_name else item
            for name, item in operation.request.fields.items()
            if not item.read_only and (not item.resource or name in self.resources)
        }
        """What may be sent."""
        self.enums: dict[str, tuple[Any, ...]] = {}
        """The values that may be sent, for each enumerated field."""
        for name, item in self.fields.items():
            if item.choices:
                self.enums[name] = tuple(v for v, choice in item.choices.items() if self.settable(choice))
            elif item.enum:
                self.enums[name] = tuple(v for v in item.enum if v not in item.open_values)
            elif item.types == ("boolean",):
                self.enums[name] = (True, False)
        for name in [name for name, values in self.enums.items() if not values]:
            del self.enums[name], self.fields[name]
        self.required = tuple(name for name, item in self.fields.items() if item.required)
        self.selectors = {name: self.fields[name] for name in self.request.selectors if name in self.enums}
        self._firm: dict[str, tuple[Any, ...]] = {}

    def settable(self, choice: Choice) -> bool:
        """True where every companion that *choice* requires can be sent."""
        return all(name in self.fields for name in choice.requires)

    def choice(self, selector: str, value: Any) -> Choice:
        """The selector's value *value*."""
        return self.request.fields[selector].choices[value]

    @cached_property
    def free(self) -> tuple[str, ...]:
        """The fields that are not enumerated, in the order of the fragment."""
        return tuple(name for name in self.fields if name not in self.enums)

    @cached_property
    def marker(self) -> str | None:
        """A plain text field that belongs to nothing, to show whether a refused body left a trace."""
        taken = {other for item in self.selectors.values() for c in item.choices.values() for other in c.companions}
        response = self.operation.response
        for name in sorted(self.free, key=lambda name: name in self.required):  # That is sent with everything.
            item = self.fields[name]
            shown = response is not None and name in response.fields and not item.write_only
            if shown and name not in taken and item.types == ("string",) and not item.format and not item.resource:
                return name
        return None

    # ----------------------------------------------------------------- values

    def marked(self, name: str, value: Any) -> bool:
        """True for a text in the free field *name* that hardly anybody writes but what draws from here."""
        if name not in self.free or not isinstance(value, str) or value not in self.firm(name):
            return isinstance(value, str) and "must not appear" in value
        if self.fields[name].format == "uri":
            return name.replace("_", "-") in value
        return _PLAIN.fullmatch(value) is None

    def firm(self, name: str) -> tuple[Any, ...]:
        """The boundary values of a field that documents promise to take, plainest first."""
        if name not in self._firm:
            values = tuple(_distinct(self._values(name, self.fields[name].schema)[0]))
            if not values:
                pointer = f"{self.request.pointer}/properties/{escape(name)}"
                raise SpecError(
                    f"no value of {name!r} lies within the limits that are documented for it", pointer=pointer
                )
            self._firm[name] = values
        return self._firm[name]

    def takes(self, name: str, value: Any) -> bool:
        """True for a text that every API takes and gives back as it is: neither blank nor longer than any that is promised,
        and nothing about which the documents are silent.
        """
        item, longest = self.fields[name], max((len(v) for v in self.firm(name) if isinstance(v, str)), default=0)
        if not isinstance(value, str) or not value.isprintable() or not 0 < len(value.strip()) == len(value) <= longest:
            return False
        if item.format == "uri":
            at = urlsplit(value)
            usual = value.isascii() and at.scheme == "https" and at.netloc == at.hostname and "#" not in value
            return usual and item.allows(value)
        return not item.resource and item.allows(value)

    def options(self, name: str) -> tuple[Any, ...]:
        """The enumerated values of a field that may be sent, or its boundary values where there are none."""
        return self.enums.get(name) or self.firm(name)

    def plain(self, schema: Mapping[str, Any]) -> Any:
        """The plainest value of a schema, whether it may be sent or not; null where it has no other."""
        return next(iter(self._values("", schema)[0]), None)

    def open(self, name: str) -> tuple[tuple[str, Any], ...]:
        """(kind, value) for values of a field about which the documents are silent."""
        return self._values(name, self.fields[name].schema)[1]

    def _values(self, name: str, schema: Mapping[str, Any]) -> tuple[tuple[Any, ...], tuple[tuple[str, Any], ...]]:
        if name in self.resources and name in self.fields and self.fields[name].resource:
            return (self.resources[name],), ()
        if "enum" in schema:
            return tuple(v for v in schema["enum"] if v is not None), ()
        kinds = schema.get("type", "string")
        kind = next((k for k in ([kinds] if isinstance(kinds, str) else kinds) if k != "null"), "null")
        made: tuple[tuple[Any, ...], tuple[tuple[str, Any], ...]] = _VALUES[kind](self, name, schema)
        return made

    def _strings(self, name: str, schema: Mapping[str, Any]) -> Any:
        low, high = int(schema.get("minLength", 0)), schema.get("maxLength")
        kind = schema.get("format", "")
        if kind == "uri":
            slug = name.replace("_", "-")
            firm = tuple(url.replace("{name}", slug) for url in URLS)
            loose = tuple((tag, url.replace("{name}", slug)) for tag, url in OPEN_URLS)
            return tuple(v for v in firm if _fits(v, low, high)), loose
        if kind in _EXAMPLES:
            return _EXAMPLES[kind], ()
        # What must not come back has texts that stand nowhere else.
        tail = f" for {name}" if kind == "password" else ""
        firm = tuple(text + tail for text in TEXTS if _fits(text + tail, max(low, 1), high))
        loose = tuple((tag, text) for tag, text in OPEN_TEXTS)
        if not firm:
            firm = ("x" * max(low, 1),) if high is None or high else ("",)
        bounds, item = ("minLength", "maxLength"), self.fields.get(name)
        documented = {b for b in bounds if item is None or item.facet(b).basis == "documented"}
        ends = ("m" * (low - 1) + "M",) if low > 1 and "minLength" in documented else ()
        if high and high <= LONG and "maxLength" in documented:
            # A limit is one of characters, whatever bytes they take.
            ends += ("m" * (high - 1) + "M", *(("é" * high,) if high > 1 else ()))
            loose = tuple((tag, text) for tag, text in loose if len(text) <= high)
        # What is documented comes before what is only hard to give back: a tour may be too short for all of it.
        firm = (firm[0], *ends, *firm[1:])
        return firm, loose

    def _numbers(self, name: str, schema: Mapping[str, Any]) -> Any:
        whole = schema.get("type") == "integer" or "integer" in schema.get("type", ())
        least, most = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
        bottom: Any = max((v for v in (schema.get("minimum"), least) if v is not None), default=None)
        top: Any = min((v for v in (schema.get("maximum"), most) if v is not None), default=None)
        narrow = not whole and bottom is not None and top is not None and 0 < top - bottom < 2
        step = 1 if whole else (top - bottom) / 4 if narrow else 0.5
        near = 1 if whole else min(step, HAIR)
        low = bottom if bottom is not None else 0 if top is None else min(0, top - 1000)
        high = top if top is not None else low + 1000
        if whole:
            low, high = math.ceil(low), math.floor(high)
        low = low + near if least is not None and low <= least else low
        high = high - near if most is not None and high >= most else high
        middle = (low + high) // 2 if whole else (low + high) / 2
        wanted = [low, high, middle, low + step, high - step, 0]
        if not whole:
            # One that no fraction of a power of two is, and that neither whole numbers nor tenths hold.
            wanted = [round(v, DIGITS) for v in (*wanted, round(low + (high - low) * 0.37, 2) + HAIR)]
        return tuple(v for v in dict.fromkeys(wanted) if low <= v <= high), ()

    def _arrays(self, name: str, schema: Mapping[str, Any]) -> Any:
        items = self._values("", schema.get("items", {}))[0]
        low = int(schema.get("minItems", 0))
        high = int(schema.get("maxItems", max(low, len(items))))
        high = min(high, len(items)) if schema.get("uniqueItems") else high
        most = min(high, max(low, len(items)))
        sizes = dict.fromkeys(n for n in (max(low, 1), most, low) if low <= n <= high)
        made = [[items[i % len(items)] for i in range(n)] for n in sizes if items or not n]
        if items and low <= 2 <= high and not schema.get("uniqueItems") and "enum" not in schema.get("items", {}):
            made.append([items[0], items[0]])
        if made and most:  # Every item stands in one of them.
            made += [[items[(i + j) % len(items)] for j in range(most)] for i in range(most, len(items), most)]
        return tuple(made), ()

    def _objects(self, name: str, schema: Mapping[str, Any]) -> Any:
        made = {k: self._values("", sub)[0] for k, sub in schema.get("properties", {}).items()}
        parts = {k: values for k, values in made.items() if values}
        most = max((len(values) for values in parts.values()), default=1)
        # Two members of one type get different values: which of them an API took would not show.
        turns = dict(zip(parts, count(), strict=False))
        return tuple({k: values[(i + turns[k]) % len(values)] for k, values in parts.items()} for i in range(most)), ()

    def refused(self, name: str) -> tuple[tuple[str, Any], ...]:
        """Values of a field that the documents exclude, near misses among them, each with the facet that does."""
        item = self.request.fields[name]
        return tuple((facet, value) for facet in item.excludes for value in self._beyond(item, facet))

    def _beyond(self, item: Field, facet: str) -> tuple[Any, ...]:
        """Values that one facet excludes, and no other."""
        limit: Any = item.schema.get(facet)
        if facet == "format":
            return NEAR_MISSES.get(item.format, (NOTHING[: item.schema.get("maxLength")],))
        if facet == "properties":
            whole, parts = self._values("", item.schema)[0][0], item.parts.items()
            wrong = [{**whole, n: v} for n, part in parts for f in part.excludes for v in self._beyond(part, f)]
            return (*wrong, *({k: v for k, v in whole.items() if k != n} for n in item.schema.get("required", ())))
        if facet.startswith(("min", "max")):
            step = HAIR if "imum" in facet and "number" in item.types else 1
            limit = round(limit + (step if facet.startswith("max") else -step), DIGITS)
        if facet.endswith("Length"):
            if item.format == "email":
                return (_address(limit),) if limit <= ADDRESS else ()
            plain = item.format not in {"uri", "password"}
            start = "" if plain else self._values(item.name, item.schema)[0][0][: max(0, limit)]
            return (start.ljust(limit, "m"),) if limit <= LONG else ()
        if facet == "items" or facet.endswith("Items"):
            items = self._values("", item.schema.get("items", {}))[0]
            if facet != "items":
                return ([items[i % len(items)] for i in range(limit)],) if limit <= (LONG if items else 0) else ()
            # Behind one that is right, where there may be more than one: an API may look at the first alone.
            least, most = int(item.schema.get("minItems", 0)), int(item.schema.get("maxItems", 2))
            part, rest = item.parts["items"], items[: min(max(1, least - 1), most - 1)]
            return tuple([*rest, value] for f in part.excludes for value in self._beyond(part, f))
        if facet != "enum":
            return (limit,)
        return ([item.item_enum[0], _other(item.item_enum)],) if not item.enum else self._undocumented(item)

    def _undocumented(self, item: Field) -> tuple[Any, ...]:
        """Values that an enum does not have."""
        name = item.name
        known = {*item.enum, *item.open_values}
        response = self.operation.response
        shown = response.fields[name].enum if response and name in response.fields else ()
        if not isinstance(item.enum[0], str):
            return (_other(known),)
        # Validators that only look for the beginning, or for the end, of a word are not rare.
        near = f"{item.enum[0]}x" if len(name) % 2 else f"x{item.enum[-1]}"
        others = [v for n in self.request.selectors if n != name and name in self.request.selectors
                  for v in self.request.fields[n].enum if v not in known]  # fmt: skip
        if set(item.enum) <= _HTTP:
            others = sorted(_HTTP - known, reverse=True)
        wanted = [others[0] if others else NOTHING, near, *(v for v in shown if v not in known)]
        return tuple(dict.fromkeys(v for v in wanted if v not in known))

    # ----------------------------------------------------------------- bodies

    def complete(self, body: dict[str, Any], pick: Callable[[str], Any] | None = None) -> dict[str, Any]:
        """*body* with what its selectors and the schema require, taken from *pick* where it lacks it: without
        one, the plainest values.
        """
        pick = pick or (lambda name: self.firm(name)[0])
        for name in self.selectors:
            for other in self.choice(name, body[name]).requires if name in body else ():
                if other not in body:
                    body[other] = pick(other)
        for name in self.required:
            if name not in body:
                body[name] = pick(name)
        return body

    def clash(self, names: Iterable[str]) -> frozenset[str]:
        """Every field that is another name for one of *names*."""
        chosen = frozenset(names)
        return self.request.aliases_of(chosen) - chosen

    @cached_property
    def companions(self) -> frozenset[str]:
        """Fields that some value of a selector requires."""
        return frozenset(o for s in self.selectors.values() for c in s.choices.values() for o in c.requires)

    @cached_property
    def values(self) -> Mapping[str, SearchStrategy[Any]]:
        """A strategy for each field's values: boundary values, and drawn ones."""
        from hypothesis import strategies as st

        value = st.composite(self._value)
        return {name: value(name) for name in self.fields}

    def _value(self, pull: Any, name: str) -> Any:
        """A value of one field, drawn by *pull*."""
        which, firm, drawn = self._choices[name]
        i = pull(which)
        return pull(drawn) if drawn is not None and i >= FIRM * len(firm) else firm[i % len(firm)]

    @cached_property
    def _choices(self) -> Mapping[str, tuple[SearchStrategy[int], tuple[Any, ...], SearchStrategy[Any] | None]]:
        """For each field: which value, the boundary values, and what draws others, where there are others."""
        from hypothesis import strategies as st

        made: dict[str, tuple[SearchStrategy[int], tuple[Any, ...], SearchStrategy[Any] | None]] = {}
        for name in self.fields:
            firm, drawn = self.options(name), self._drawn(name)
            # One choice for each value: they find more than drawn ones, and cost less.
            most = len(firm) if drawn is None else (FIRM + 1) * len(firm)
            made[name] = st.integers(0, most - 1), firm, drawn
        return made

    def _drawn(self, name: str) -> SearchStrategy[Any] | None:
        """Values of a field that are no boundary values, where it has any."""
        from hypothesis import strategies as st

        item = self.fields[name]
        if name in self.enums or (name in self.resources and item.resource):
            return None
        schema = item.schema
        kind = next((k for k in item.types if k != "null"), "string")
        if kind == "string" and schema.get("format") == "uri":
            return _urls(name)
        if kind == "string" and not schema.get("format") and schema.get("maxLength") != 0:
            low = max(int(schema.get("minLength", 1)), 1)
            return _texts(low, max(low, min(int(schema.get("maxLength", 60)), 60)))
        if kind == "string" and schema.get("format") == "uuid":
            return st.uuids(version=4).map(str)
        values = self.firm(name)
        if kind == "integer":
            return st.integers(min(values), max(values))
        if kind == "number":
            low, high = min(values), max(values)
            return st.floats(low, high, allow_nan=False).map(lambda x: min(max(round(x, 3) + 0.0, low), high))
        return None

    def bodies(self) -> SearchStrategy[dict[str, Any]]:
        """Bodies that the documents promise to accept.

        Shape:
            A JSON object whose members are request fields. Companions of every selector value in
            it are there; of a group of aliases there is one, or the one that takes precedence
            beside another.
        """
        from hypothesis import strategies as st

        names = tuple(name for name in self.fields if name not in self.selectors)
        selectors = {name: (*self.enums[name], None) for name in self.selectors}
        which = st.integers(0, max(len(names) - 1, 0))
        some = [st.tuples(*[which] * n) for n in range(SOME + 1 if names else 1)]
        # Usually a few fields are sent, and the rest has to stay; now and then nearly every one is.
        size = st.integers(0, 2 * len(some))
        shape = st.integers(0, math.prod(map(len, selectors.values())) - 1)
        siblings = {name: self.request.aliases_of((name,)) for name in names}

        @st.composite
        def body(pull: Any) -> dict[str, Any]:
            number = pull(shape)
            chosen: dict[str, Any] = {}
            for name, options in selectors.items():
                number, i = divmod(number, len(options))
                if options[i] is not None:
                    chosen[name] = options[i]
            must = dict.fromkeys(other for name, v in chosen.items() for other in self.choice(name, v).requires)
            must |= dict.fromkeys(self.required)
            taken = set(self.request.aliases_of(must))
            n = pull(size)
            for name in names if n == 2 * len(some) else [names[i] for i in pull(some[n % len(some)])]:
                if name not in taken:
                    must[name] = None
                    if len(siblings[name]) > 1:
                        taken |= siblings[name]
            for name in must:
                if name not in chosen:
                    chosen[name] = self._value(pull, name)
            return chosen

        return body()

    def negative_bodies(self) -> SearchStrategy[tuple[dict[str, Any], str]]:
        """(body, rule id): bodies in which exactly the named rule is broken.

        Shape:
            A body of `bodies`, with a value in one field that its enum, its lengths or its bounds exclude, or
            without one field that is required, always or by the value of a selector.
        """
        from hypothesis import strategies as st

        prefix = self.operation.id
        broken: list[tuple[str, str, Any, str]] = []
        for name, item in self.fields.items():
            # To a JSON Schema a format is only a remark.
            rule = f"{prefix}.rejection.{name}"
            broken += [("value", name, v, f"{rule}.{facet}") for facet, v in self.refused(name) if facet != "format"]
            if item.required:
                broken.append(("lack", name, None, f"{rule}.required"))
        for name in self.selectors:
            for value in self.enums[name]:
                for other in self.choice(name, value).requires:
                    rule = f"{prefix}.handler.{name}.{value}.requires.{other}"
                    broken.append(("omit", name, (value, other), rule))
        if not broken:
            raise SpecError("no rule of this operation can be broken by a body", pointer=self.operation.pointer)

        which, whole = st.sampled_from(broken), self.bodies()

        @st.composite
        def body(pull: Any) -> tuple[dict[str, Any], str]:
            kind, name, detail, rule = pull(which)
            made = dict(pull(whole))
            if kind == "value":
                made[name] = detail
                return made, rule
            if kind == "lack":
                made.pop(name)
                return made, rule
            value, other = detail
            made[name] = value
            for sibling in self.request.aliases_of((other,)):
                made.pop(sibling, None)
            for companion in self.choice(name, value).requires:
                if companion != other and companion not in made:
                    for sibling in self.clash((companion,)):
                        made.pop(sibling, None)
                    made[companion] = self._value(pull, companion)
            for selector in self.selectors:
                if selector != name and selector in made:
                    self.complete(made, lambda field: self._value(pull, field))
                    made.pop(other, None)
            return made, rule

        return body()


def _other(values: Iterable[Any]) -> Any:
    """A value that is none of *values*: of numbers the least whole one after the first, so that a gap shows."""
    known = [value for value in values if isinstance(value, int | float)]
    return next(n for n in count(math.floor(min(known))) if n not in known) if known else NOTHING


def _fits(text: str, low: int, high: int | None) -> bool:
    return low <= len(text) and (high is None or len(text) <= high)


def _distinct(values: tuple[Any, ...]) -> list[Any]:
    """*values* without repetitions, where they can be told apart by hash."""
    try:
        return list(dict.fromkeys(values))
    except TypeError:
        return list(values)


def _texts(low: int, high: int) -> SearchStrategy[str]:
    """Printable text that is not blank."""
    from hypothesis import strategies as st

    return st.text(LETTERS, min_size=low, max_size=high).map(lambda s: s if s.strip() else "x" * len(s))


def reserved(url: str) -> bool:
    """True for an address at a host that RFC 2606 reserves."""
    return bool(_RESERVED.match(url))


def _urls(name: str) -> SearchStrategy[str]:
    """HTTPS URLs at reserved hosts."""
    from hypothesis import strategies as st

    host = st.sampled_from(("example.com", "example.org", "example.net", "hooks.example.com"))
    safe = st.text("abcXYZ019-._~", min_size=1, max_size=8).map(lambda s: s if s.strip(".") else "p")
    slug = name.replace("_", "-")
    query = st.sampled_from(("", "?a=1", "?a=b%20c&d=E", "?a=1&a=2"))
    return st.builds(lambda h, p, q: f"https://{h}/{slug}/{p}{q}", host, safe, query)


_EXAMPLES: Final[Mapping[str, tuple[str, ...]]] = {
    "uuid": tuple(str(uuid.uuid5(uuid.NAMESPACE_URL, f"https://example.com/{i}")) for i in range(4)),
    "date-time": ("2030-01-31T12:00:00Z", "2032-02-29T23:59:59Z", "2031-12-31T23:30:00+05:30"),
    "date": ("2030-01-31", "2032-02-29", "2031-12-31"),
    "e164": ("+15550100", "+442079460000", "+15555550123"),
    "iso-3166-1-alpha-2": ("US", "GB", "DE"),
    "email": ("a@example.com", "first.last+tag@example.org", "A_b@sub.example.net"),
}

_VALUES: Final[Mapping[str, Callable[[Generator, str, Mapping[str, Any]], Any]]] = {
    "string": Generator._strings,
    "integer": Generator._numbers,
    "number": Generator._numbers,
    "boolean": lambda self, name, schema: ((True, False), ()),
    "array": Generator._arrays,
    "object": Generator._objects,
    "null": lambda self, name, schema: ((None,), ()),
}
