"""Writes down how an API behaved in one run, so that two runs can be compared: for each planned case what
became of it, and for each operation what its answers look like.

What differs between two runs of one unchanged API is left out or put in words: values become what was
done to them, ids and times their notation, error texts their words. Where one look has several
explanations (a field that was sent as it stood was applied, or ignored) all of them are kept, so that
the record which a run finds makes no difference.
"""

from __future__ import annotations

import hashlib
import html
import json
import re
import statistics
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from contract.check import Judge
from contract.mask import Mask
from contract.model import MISSING, Case, Interaction, JSONObject, Response, is_empty
from contract.send import encode
from contract.shape import same
from contract.spec import Contract, Field, Operation

if TYPE_CHECKING:
    from contract.config import Settings
    from contract.result import Result

__all__ = ["behaviour", "handling", "kind", "promise", "words"]

DEPTH: Final = 4
"""Levels of an answer that are looked into."""
WIDTH: Final = 400
"""Members of the answers of one operation that are kept."""
ENTRIES: Final = 100
"""Entries of a list that are looked at, and records whose fixed fields are kept."""
PASSING: Final = frozenset(
    {"age", "connection", "content-length", "date", "expires", "keep-alive", "retry-after", "set-cookie"}
    | {"transfer-encoding"}
)
"""Headers that say something about one exchange, or about its way, and nothing about the API."""
TOLD: Final = frozenset(
    {"cache-control", "content-encoding", "content-language", "content-type", "vary", "www-authenticate"}
)
"""Headers whose value is compared, where it is always the same."""

_QUOTED: Final = re.compile(
    r"\"[^\"]*\"|`[^`]*`|\u201c[^\u201d]*\u201d|\u2018[^\u2019]*\u2019|(?<!\w)'[^']*'(?!\w)", re.DOTALL
)
_UUID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_TOKEN: Final = re.compile(r"[\w.:+-]*\d[\w.:+-]*")
_TAG: Final = re.compile(r"<[^>]*>")
_TIME: Final = re.compile(
    r"\d{4}-\d\d-\d\d(?P<t>[Tt ])\d\d:\d\d:\d\d(?P<fraction>\.\d+)?(?P<zone>[Zz]|[+-]00:?00|[+-]\d\d:?\d\d)?"
)


def behaviour(result: Result, mask: Mask) -> dict[str, Any]:
    """What ``run.json`` says about how the API behaved.

    Shape:
        ``plan`` is what makes two runs comparable; ``cases`` has one entry for each planned case that
        was answered; ``answers`` says by operation and status which members and headers were seen;
        ``records`` and ``moving`` hold what can't be set, by record; ``latency`` the median of each
        operation.

    Units:
        ``latency`` is in milliseconds.
    """
    found = _Account(result, mask)
    return {
        "plan": {**promise(result.contract, result.settings), "masked": sorted(mask.names)},
        "cases": list(found.cases()),
        "answers": found.answers(),
        "records": found.records(("", "never")),
        "moving": found.records(("anytime",)),
        "latency": found.latency(),
    }


def promise(contract: Contract, settings: Settings) -> dict[str, Any]:
    """What two runs must have in common, beside profile and seed, to send the same."""
    return {"spec": digest(contract), "resources": sorted(settings.resources)}


def digest(contract: Contract) -> str:
    """A short name for what a fragment says; its words for readers do not matter."""
    plain = _without_words(contract.document.data)
    return hashlib.sha256(json.dumps(plain, sort_keys=True, default=str).encode()).hexdigest()[:16]


_WORDS: Final = frozenset({"description", "summary", "title", "examples", "externalDocs", "x-source", "source"})


def _without_words(value: Any) -> Any:
    if isinstance(value, Mapping):
        named = all(isinstance(v, Mapping) for v in value.values())
        return {str(k): _without_words(v) for k, v in value.items() if k != "x-sources" and (k not in _WORDS or named)}
    return [_without_words(v) for v in value] if isinstance(value, list) else value


class _Account:
    """The interactions of one run, each once."""

    def __init__(self, result: Result, mask: Mask) -> None:
        self.result = result
        self.mask = mask
        self.contract = result.contract
        self.judge = Judge(result.contract)
        self.resources = {value: name for name, value in result.settings.resources.items()}
        self.request = result.contract.request
        self.selectors = tuple(self.request.selectors)
        seen: set[int] = set()
        self.interactions: list[Interaction] = []
        for one in result.ledger.interactions:
            if id(one.response) not in seen:
                seen.add(id(one.response))
                self.interactions.append(one)

    # ------------------------------------------------------------------ cases

    def cases(self) -> Iterator[dict[str, Any]]:
        """One entry for each planned case, in the order in which they were sent."""
        planned = {case.label for case in self.result.plan.cases}
        told: Counter[str] = Counter()
        chosen: dict[str, set[str]] = defaultdict(set)
        selectors = set(self.selectors)
        for one in self.interactions:
            case = one.case
            accepted = one.response.ok
            if case.label in planned or case.label.removesuffix(" again") in planned:
                told[case.label] += 1
                if told[case.label] == 1:
                    # A refusal for want of a companion comes before the tour has set every field.
                    yield self.case(one, early=bool(case.absent) or not selectors <= chosen[one.id])
            # What is open may have been sent as it was found.
            lawful = case.operation == self.contract.update.id and case.expect == "accept"
            if accepted and lawful:
                chosen[one.id] |= selectors & set(case.fields)

    def case(self, one: Interaction, *, early: bool) -> dict[str, Any]:
        """What became of one case; *early* where the record may still stand as it was found."""
        case, response = one.case, one.response
        status = response.status
        outcome = "accepted" if response.ok else "refused" if response.refused else "failed"
        found: dict[str, Any] = {
            "label": case.label,
            "operation": case.operation,
            "expect": case.expect,
            "status": status,
            "outcome": outcome,
        }
        if early:
            found["early"] = True
        if one.before is None and case.target == "own":
            found["blind"] = True
        if case.body is not MISSING or case.content is not None:
            found["body"] = self.name(case)
        if case.expect == "unspecified" and case.target == "own" and one.before is not None and self.selectors:
            found["at"] = {n: self.mask.value(one.before.get(n), n) for n in self.selectors}
        if outcome != "accepted":
            found["error"] = self.mask.text(words_of(response, _texts(case.body), self.judge.fields))
        elif case.operation == self.contract.update.id and isinstance(response.body, dict):
            sent = case.fields
            fields = dict(self.fields(sent, response.body, one.before))
            if case.expect != "unspecified":
                fields = {name: how for name, how in fields.items() if how != ["applied"]}
            effects, strays = self.effects(sent, response.body, one.before)
            derived = {} if early else self.derived(response.body)
            for key, value in (("fields", fields), ("effects", effects), ("derived", derived)):
                if value:
                    found[key] = {name: "|".join(how) for name, how in value.items()}
            if strays:
                found["strays"] = strays
        return found

    def name(self, case: Case) -> str:
        """A short name for the body of a case, whatever the ids of the resources are, and whatever stands beside the reason
        to refuse it: that is chosen by what the record holds.
        """
        body, content = case.body, case.content
        if case.expect == "reject" and isinstance(body, Mapping) and case.operation == self.contract.update.id:
            fields = self.contract.request.fields
            few = {n for n in fields.keys() - {*case.core} if fields[n].enum or "boolean" in fields[n].types}
            body = {n: None if n in few and n not in self.contract.request.selectors else v for n, v in body.items()}
        content = content if content is not None or body is MISSING else encode(self.plain(body))
        return hashlib.sha256(content or b"").hexdigest()[:8]

    def plain(self, value: Any) -> Any:
        if isinstance(value, str):
            return f"id of {self.resources[value]}" if value in self.resources else value
        if isinstance(value, Mapping):
            return {k: self.plain(v) for k, v in value.items()}
        return [self.plain(v) for v in value] if isinstance(value, list) else value

    def fields(
        self, sent: JSONObject, record: JSONObject, before: JSONObject | None
    ) -> Iterator[tuple[str, list[str]]]:
        """What became of each field that was sent and can be shown."""
        for name, value in sent.items():
            asked = self.request.fields.get(name)
            if asked is not None and asked.write_only:
                continue
            shown = record.get(name, MISSING)
            # Where nobody knows how it stood, it may have been ignored.
            earlier = before.get(name, MISSING) if before is not None else shown
            item = self.judge.fields.get(name) or asked
            default = asked.default if asked is not None else MISSING
            if name in self.judge.fields and self.judge.fields[name].changes in {"on-write", "derived", "anytime"}:
                yield name, ["absent" if shown is MISSING else "applied" if same(None, value, shown) else "not applied"]
            elif shown == value and type(shown) is type(value) and shown != earlier:
                yield name, ["applied"]
            else:
                yield name, handling(value, shown, earlier, item, default)

    def effects(
        self, sent: JSONObject, record: JSONObject, before: JSONObject | None
    ) -> tuple[dict[str, list[str]], list[str]]:
        """What became of fields that were not sent, where anything did and the documents allow it; and the
        names of those where they do not.
        """
        request = self.request
        if before is None:
            return {}, []
        found: dict[str, list[str]] = {}
        strays: list[str] = []
        free, cleared = self.judge.exempt(sent, record, before)
        for name in self.judge.plain:
            if name in sent or name not in record or name not in before:
                continue
            old, now, item = before[name], record[name], self.judge.fields[name]
            if (old == now and type(old) is type(now)) or same(item, old, now):
                continue
            default = request.fields[name].default if name in request.fields else MISSING
            others = [sent[n] for n in request.aliases_of((name,)) if n in sent] if name in request.fields else []
            possible = {
                "cleared": is_empty(now),
                "default": default is not MISSING and now == default,
                "mirrored": any(same(item, value, now) for value in others),
            }
            words = [word for word, holds in possible.items() if holds]
            if name in free or (words and name in cleared) or (old is None and words == ["default"]):
                found[name] = words or ["changed"]
            else:
                strays.append(name)
        return found, strays

    def derived(self, record: JSONObject) -> dict[str, list[str]]:
        """Fields that the API fills in by itself, where they hold no value."""
        names = [name for name, item in self.judge.fields.items() if item.changes == "derived"]
        return {
            name: [kind(record.get(name, MISSING))] for name in names if record.get(name, MISSING) in (None, MISSING)
        }

    # ---------------------------------------------------------------- answers

    def answers(self) -> dict[str, dict[str, Any]]:
        """Operation -> status -> the members and headers of its answers."""
        groups: dict[tuple[str, int], list[Response]] = defaultdict(list)
        for one in self.interactions:
            if one.response.status < 500 and one.response.status != 429:
                groups[one.case.operation, one.response.status].append(one.response)
        found: dict[str, dict[str, Any]] = {}
        for (name, status), responses in sorted(groups.items()):
            operation = self.contract.operations[name]
            entry = {"count": len(responses), "members": self.members(operation, responses)}
            found.setdefault(name, {})[str(status)] = {**entry, **self.headers(responses)}
        return found

    def members(self, operation: Operation, responses: list[Response]) -> dict[str, dict[str, Any]]:
        """Every member of the answers: how often it was there, and with which types and notations.

        Shape:
            Path -> ``in`` (how often its parent was there), ``types`` (JSON type -> how often), whether it
            is ``documented`` and, where they tell something, ``values`` or ``notations``.
        """
        tree = _Tree(self.documented(operation))
        for response in responses:
            if response.body is not MISSING:
                tree.add("", response.body)
        return dict(tree.told(self.mask))

    def documented(self, operation: Operation) -> Mapping[str, Field]:
        """The fields of a record by their path in the answers of *operation*."""
        if pointer := self.contract.list_in(operation):
            base = pointer.strip("/") + "/*/"
            return {base + name: item for name, item in self.judge.fields.items()}
        return self.judge.fields

    def headers(self, responses: list[Response]) -> dict[str, Any]:
        """The headers that all answers had, with their value where it tells something, and those that some had."""
        always: dict[str, str] = {}
        counts: Counter[str] = Counter(name for r in responses for name in r.headers if name not in PASSING)
        for name, count in sorted(counts.items()):
            if count == len(responses):
                values = {" ".join(r.headers[name].split()) for r in responses}
                always[name] = self.mask.text(values.pop()) if name in TOLD and len(values) == 1 else "*"
        sometimes = [name for name in sorted(counts) if name not in always]
        return {"headers": always, **({"sometimes": sometimes} if sometimes else {})}

    # ---------------------------------------------------------------- records

    def records(self, changes: tuple[str, ...]) -> dict[str, dict[str, Any]]:
        """For each record what it holds in fields that no request sets, as far as that is no free text."""
        sent = self.request.fields
        names = [n for n, item in self.judge.fields.items() if n not in sent and item.changes in changes]
        found: dict[str, dict[str, Any]] = {}
        for record in self.shown():
            name = hashlib.sha256(str(record[self.judge.key]).encode()).hexdigest()[:12]
            if names and name not in found and len(found) < ENTRIES:
                found[name] = {n: self.fact(self.judge.fields[n], record.get(n, MISSING)) for n in names}
        return found

    def shown(self) -> Iterator[JSONObject]:
        """Every record in the answers, those of the single reads first."""
        if not self.judge.key:
            return
        listing = self.contract.listing
        lists: list[Any] = []
        for one in self.interactions:
            body = one.response.body
            if one.response.status >= 300 or not isinstance(body, dict):
                continue
            if listing is not None and one.case.operation == listing[0].id:
                lists += self.judge.items(one.response)[:ENTRIES]
            elif one.case.operation == self.contract.retrieve.id and body.get(self.judge.key) is not None:
                yield body
        yield from (entry for entry in lists if isinstance(entry, dict) and entry.get(self.judge.key) is not None)

    def fact(self, item: Field, value: Any) -> Any:
        if item.listed and value is not MISSING and value is not None:
            return self.mask.value(sorted(value, key=repr) if isinstance(value, list) else value, item.name)
        return "a blank" if value == "" else _type(value)

    # ---------------------------------------------------------------- latency

    def latency(self) -> dict[str, float]:
        """The median of each operation, in milliseconds."""
        times: dict[str, list[float]] = defaultdict(list)
        for one in self.interactions:
            times[one.case.operation].append(one.response.elapsed * 1000)
        return {name: round(statistics.median(values), 2) for name, values in sorted(times.items())}


class _Tree:
    """The members of many answers, by path."""

    def __init__(self, documented: Mapping[str, Field]) -> None:
        self.documented = documented
        self.enumerated = {path for path, item in documented.items() if item.listed}
        self.silent = {p for p, item in documented.items() if p not in self.enumerated and not item.format}
        """Paths of free text, which says nothing."""
        self.parents: Counter[str] = Counter()
        self.types: dict[str, Counter[str]] = defaultdict(Counter)
        self.values: dict[str, set[str]] = defaultdict(set)
        self.notations: dict[str, Counter[str]] = defaultdict(Counter)

    def add(self, path: str, value: Any, depth: int = 0) -> None:
        """Adds a value that stands at *path*, and what is in it."""
        if path:
            if path not in self.types and len(self.types) >= WIDTH:
                return
            self.types[path][_type(value)] += 1
            if value is None or path in self.silent:
                return
            self.describe(path, value)
        if depth >= DEPTH:
            return
        if isinstance(value, dict):
            self.parents[path] += 1
            base = f"{path}/" if path else ""
            for name, member in value.items():
                place = base + name
                # A key with a digit in it is data more often than a name.
                if place not in self.documented and not name.isalpha() and any(c.isdigit() for c in name):
                    place = f"{base}*"
                self.add(place, member, depth + 1)
        elif isinstance(value, list):
            self.parents[path] += len(value)
            for member in value[:ENTRIES]:
                self.add(f"{path}/*" if path else "*", member, depth + 1)

    def describe(self, path: str, value: Any) -> None:
        if path in self.enumerated:
            for one in value if isinstance(value, list) else [value]:
                if one is not None and len(self.values[path]) < 50:
                    self.values[path].add(one if isinstance(one, str) else repr(one)[:80])
        elif isinstance(value, str) and (written := kind(value)) != "text":
            self.notations[path][written] += 1

    def told(self, mask: Mask) -> Iterator[tuple[str, dict[str, Any]]]:
        for path in sorted(self.types):
            parent, _, name = path.rpartition("/")
            entry: dict[str, Any] = {"in": self.parents[parent], "types": dict(sorted(self.types[path].items()))}
            if path in self.documented:
                entry["documented"] = True
            if self.values[path]:
                entry["values"] = mask.value(sorted(self.values[path]), name)
            if self.notations[path]:
                entry["notations"] = dict(sorted(self.notations[path].items()))
            yield mask.text(path), entry


# ----------------------------------------------------------------------------- values in words


_NAMES: Final[Mapping[type, str]] = {
    type(None): "null",
    bool: "boolean",
    int: "number",
    float: "number",
    str: "string",
    list: "array",
    dict: "object",
    type(MISSING): "absent",
}


def _type(value: Any) -> str:
    return _NAMES.get(type(value), "object")


@lru_cache(maxsize=4096)
def _notation(value: str) -> str:
    if not value.strip():
        return "a blank"
    if _UUID.fullmatch(value):
        return "a UUID" if value == value.lower() else "a UUID in capitals"
    if found := _TIME.fullmatch(value):
        zone = found["zone"] or "without a zone"
        zone = zone if zone in {"Z", "z", "+00:00"} or not found["zone"] else "with an offset"
        gap = "" if found["t"] == "T" else f", {found['t']!r} between date and time"
        return f"a time {zone}{', fractions' if found['fraction'] else ''}{gap}"
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", value):
        return "an address"
    return "a path" if value.startswith("/") else "text"


def kind(value: Any) -> str:
    """What a value is, without the value: its JSON type, or the notation of a string."""
    return _notation(value) if isinstance(value, str) else _type(value)


def handling(sent: Any, shown: Any, before: Any, item: Field | None, default: Any = MISSING) -> list[str]:
    """Everything that may have been done to a value that was sent, for what is shown now.

    Shape:
        Words, ``applied`` and ``ignored`` among them, in a fixed order; `MISSING` stands for what is
        not there or not known.
    """
    if shown is MISSING:
        return ["absent"]
    possible = {
        "applied": same(item, sent, shown),
        "ignored": before is not MISSING and same(item, before, shown),
        "null": shown is None and sent is not None,
        "blank": shown == "" and sent != "",
        "default": default is not MISSING and shown == default and not same(item, sent, shown),
    }
    if isinstance(sent, str) and isinstance(shown, str) and sent != shown and shown:
        possible |= {
            "trimmed": shown == sent.strip(),
            "blanks collapsed": shown == " ".join(sent.split()) != sent.strip(),
            "lower-cased": shown == sent.lower(),
            "upper-cased": shown == sent.upper(),
            "cut": len(shown) < len(sent) and sent.startswith(shown) and shown != sent.strip(),
            "escaped": shown in {html.escape(sent), html.escape(sent, quote=False)},
            "unescaped": shown == html.unescape(sent),
            "composed": shown in {unicodedata.normalize(form, sent) for form in ("NFC", "NFD", "NFKC", "NFKD")},
            "rewritten as an address": _address(sent) != "" and _address(sent) == _address(shown),
        }
    elif _type(sent) != _type(shown) and shown is not None:
        possible |= {
            "written as text": isinstance(shown, str) and shown != "" and _as_text(sent) == shown,
            "read from text": isinstance(sent, str) and not isinstance(shown, str) and _as_text(shown) == sent,
            "wrapped in a list": isinstance(shown, list) and shown == [sent],
            "taken out of a list": isinstance(sent, list) and len(sent) == 1 and sent[0] == shown,
        }
    found = [word for word, holds in possible.items() if holds]
    return found or [f"changed ({_type(shown)})"]


def _as_text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False) if not isinstance(value, list) else str(value)


def _address(value: str) -> str:
    """One spelling of an address: scheme and host small, no default port, no bare slash; nothing for other text."""
    from urllib.parse import unquote, urlsplit

    try:
        parts = urlsplit(value)
        host, port = parts.hostname or "", parts.port
        host = host.encode("idna").decode() if host and not host.isascii() else host
    except (ValueError, UnicodeError):
        return ""
    if not parts.scheme or not host:
        return ""
    place = f"{host}:{port}" if port not in {None, 80, 443} else host
    return f"{place}{unquote(parts.path).rstrip('/')}?{unquote(parts.query)}"


def _texts(value: Any) -> list[str]:
    """Every text in a body."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, Mapping):
        return [text for member in value.values() for text in _texts(member)]
    return [text for member in value for text in _texts(member)] if isinstance(value, list) else []


def words(text: str, sent: list[str] | tuple[str, ...] = (), names: Mapping[str, Any] | tuple[str, ...] = ()) -> str:
    """The words of an error text: without what is quoted, what was *sent*, numbers and ids.

    Words that are *names* stay, digits or not.
    """
    text = _TAG.sub(" ", text)
    for value in sorted({v for v in sent if len(v) > 2 and v not in names}, key=len, reverse=True):
        text = re.sub(rf"(?<!\w){re.escape(value)}(?!\w)", "\u2026", text)
    text = _QUOTED.sub("\u2026", text)
    text = _TOKEN.sub(lambda m: m[0] if m[0].strip(".:+-").lower() in names else "#", text)
    return " ".join(text.split()).strip(" .")


def words_of(response: Response, sent: list[str], names: Mapping[str, Any]) -> str:
    """The words of an error's body, each with its place; nothing where it has none."""
    if response.body is MISSING:
        return words(response.content[:2000].decode("utf-8", "replace"), sent, names)[:200]
    found: dict[str, None] = {}

    def walk(path: str, value: Any, depth: int) -> None:
        if isinstance(value, Mapping) and depth < DEPTH:
            for name, member in value.items():
                walk(f"{path}/{name}" if path else str(name), member, depth + 1)
        elif isinstance(value, list) and depth < DEPTH:
            for member in value[:ENTRIES]:
                walk(path, member, depth + 1)
        elif isinstance(value, str):
            told = words(value, sent, names)
            if told.strip("#\u2026 ,"):
                found[f"{path}: {told}" if path else told] = None

    walk("", response.body, 0)
    return "; ".join(sorted(found))[:500]
