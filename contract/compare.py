"""Compares two runs, rule by rule and case by case: what is newly broken, and what changed where the
documents are silent.

Works on the data of two ``run.json`` files, and sends nothing. A case that one of them lacks, because a
budget ended or because another body was sent, is not compared; neither is one that failed with a 5xx,
which the rules see to.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from contract.errors import ConfigError
from contract.mask import mask_of, plain
from contract.report import Style, encoded, store, unstyled

if TYPE_CHECKING:
    from contract.config import Settings

__all__ = [
    "Change",
    "Comparison",
    "attach",
    "both",
    "compare",
    "data",
    "earlier",
    "environments",
    "lines",
    "markdown",
    "read",
    "suited",
]

FORMAT: Final = 1
SLOWER: Final = 5.0
"""How many times slower an operation must be to be told."""
SLOWER_BY: Final = 20.0
"""Milliseconds by which it must be slower besides."""
ENOUGH: Final = 8
"""So many sightings are no accident."""
SHOWN: Final = 40
"""Changes that the lines show."""
FEW: Final = 8
"""Rules of one kind that the lines show."""
_BY_THE_CLOCK: Final = (".moves",)
"""Ends of rules that are exercised or not by how fast a run is."""
_PAGES: Final = frozenset({"next", "prev", "previous", "first", "last"})
"""Members that a list has or lacks by how many records there are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One thing that is not as it was."""

    kind: str
    """``accepted``, ``refused``, ``status``, ``field``, ``effect``, ``derived``, ``error``, ``appeared``,
    ``vanished``, ``type``, ``notation``, ``record``, ``header`` or ``latency``."""
    old: Any
    new: Any
    fields: tuple[str, ...] = ()
    """Fields, members or headers that it is about."""
    places: tuple[str, ...] = ()
    """Where it was seen: operations, with the status where that matters."""
    cases: tuple[str, ...] = ()
    """The labels of the cases that show it."""
    regression: bool = True
    """False where it is told and fails nothing."""

    @property
    def text(self) -> str:
        """The change in words."""
        who, where = _some(self.fields), _some(self.places, 3)
        old, new = self.old, self.new
        many = len(self.cases) > 1
        requests = f"{len(self.cases)} requests that were" if many else "a request that was"
        verb = "are" if many else "is"
        return {
            "accepted": f"{requests} refused ({old}) {verb} accepted ({new})",
            "refused": f"{requests} accepted ({old}) {verb} refused ({new})",
            "status": f"{requests} answered {old} {verb} answered {new}",
            "field": f"{who}: what is sent is {_treatment(new)}; it was {_treatment(old)}",
            "effect": f"{who}: what is not sent is {_treatment(new)}; it was {_treatment(old)}",
            "derived": f"{who}: {new} after an update; it was {old}",
            "error": f"the error text of {where} is {_said(new)}; it was {_said(old)}",
            "appeared": f"{who} ({new}): new in {where}",
            "vanished": f"{who} ({old}): gone from {where}",
            "type": f"{who}: {new} in {where}, which it never was before ({old})",
            "notation": f"{who}: {new} in {where}; it was {old}",
            "record": f"{who}: {_value(new)} in {where}; it was {_value(old)}, and no request of a run sets it",
            "header": f"the header {who} of {where} is {_value(new)}; it was {_value(old)}",
            "latency": f"{where} takes {new} ms in the middle; it took {old} ms",
        }[self.kind]


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What changed from one run to the other."""

    newly_broken: tuple[str, ...] = ()
    newly_kept: tuple[str, ...] = ()
    newly_not_exercised: tuple[str, ...] = ()
    newly_undecided: tuple[str, ...] = ()
    messages: Mapping[str, str] = field(default_factory=dict)
    """Rule -> what was found, for the newly broken."""
    changes: tuple[Change, ...] = ()
    compared: int = 0
    """Cases that both runs have."""
    missing: tuple[str, ...] = ()
    """Cases that only one of them has."""
    unsure: str = ""
    """Why nothing that is equal proves much."""

    @property
    def regressions(self) -> tuple[Change, ...]:
        """The changes that fail a comparison."""
        return tuple(change for change in self.changes if change.regression)

    @property
    def status(self) -> int:
        """The exit status: 1 where something regressed, 2 where nobody can tell, else 0."""
        return 1 if self.newly_broken or self.regressions else 2 if self.unsure else 0


# --------------------------------------------------------------------------------- reading


def read(path: str | Path, *, whole: bool = True) -> dict[str, Any]:
    """The data of a ``run.json``; *whole* where it must say how the API behaved, too.

    Raises:
        ConfigError: it can't be read, or is none.
    """
    try:
        found = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path} is not JSON: {error}"[:300]) from error
    problem = wrong(found, whole=whole)
    if problem:
        raise ConfigError(f"{path} {problem}")
    assert isinstance(found, dict)
    return found


def wrong(found: Any, *, whole: bool = True) -> str:
    """What keeps *found* from being the data of a run, in words that follow its name; nothing where it is."""
    if not isinstance(found, dict) or "format" not in found or not isinstance(found.get("rules"), list):
        return "is not the run.json of a run"
    if found["format"] != FORMAT:
        return f"has the format {found['format']!r}; this version reads {FORMAT}. Make it again with this version"
    rules = found["rules"]
    if not all(isinstance(r, dict) and isinstance(r.get("id"), str) and r.get("verdict") for r in rules):
        return "is damaged: its rules lack an id or a verdict"
    if not whole:
        return ""
    wanted = {"cases": list, "answers": dict, "plan": dict, "spec": dict}
    if any(key not in found for key in wanted):
        return "does not say how the API behaved: an older version wrote it. Make it again with this version"
    kinds = {**wanted, "records": dict, "moving": dict, "latency": dict}
    if not all(isinstance(found.get(key, kind()), kind) for key, kind in kinds.items()):
        return "is damaged"
    if not all(
        isinstance(c, dict) and {"label", "operation", "expect", "status", "outcome"} <= c.keys()
        for c in found["cases"]
    ):
        return "is damaged: its cases lack a label, a status or an outcome"
    return ""


def suited(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """Why two runs can't be compared, in one line; nothing where they can."""
    if old["spec"].get("title") != new["spec"].get("title"):
        return f"another fragment: {old['spec'].get('title')!r} and {new['spec'].get('title')!r}"
    for name in ("profile", "seed"):
        if old.get(name) != new.get(name):
            return f"another {name}: {old.get(name)!r} and {new.get(name)!r}"
    if old["plan"].get("spec") != new["plan"].get("spec"):
        versions = [f"{one['spec'].get('title')} {one['spec'].get('version')}" for one in (old, new)]
        return f"another fragment: {versions[0]} and {versions[1]} do not say the same"
    mine, theirs = old["plan"].get("resources", []), new["plan"].get("resources", [])
    if mine != theirs:
        return f"other resources: {', '.join(mine) or 'none'} and {', '.join(theirs) or 'none'}"
    return ""


def earlier(path: str | Path, settings: Settings) -> dict[str, Any]:
    """The earlier run in *path*, for a run with *settings* that is still to come.

    Raises:
        ConfigError: it can't be read, or the two could not be compared.
        SpecError: the fragment cannot be used.
    """
    from contract import spec as specs
    from contract.behaviour import promise

    old = read(path)
    contract = specs.load(settings.spec or None)
    new = {
        "spec": {"title": contract.title, "version": contract.version},
        "profile": settings.profile,
        "seed": settings.seed,
        "plan": promise(contract, settings),
    }
    problem = suited(old, new)
    if problem:
        raise ConfigError(f"{path} is no run to compare this one with: {problem}")
    return old


# ------------------------------------------------------------------------------- comparing


def compare(old: Mapping[str, Any], new: Mapping[str, Any]) -> Comparison:
    """What changed from the run *old* to the run *new*.

    Raises:
        ConfigError: they can't be compared.
    """
    problem = suited(old, new)
    if problem:
        raise ConfigError(f"the two runs cannot be compared: {problem}")
    mine = {rule["id"]: rule for rule in old["rules"]}
    theirs = {rule["id"]: rule for rule in new["rules"]}
    moved = [(id, mine[id]["verdict"], theirs[id]["verdict"]) for id in theirs if id in mine]
    # What was undecided was seen to fail then; what is accepted is known to; what only warns is no news
    # where it was not looked at before.
    sound = {"broken": {"kept", "not_exercised"}, "warned": {"kept"}}
    broken = [id for id, was, now in moved if was in sound.get(now, ()) and not theirs[id].get("accepted")]
    kept = [id for id, was, now in moved if now == "kept" and was != "kept" and not _by_the_clock(id, was)]
    idle = [id for id, was, now in moved if now == "not_exercised" != was and not _by_the_clock(id, was)]
    unsure = [id for id, was, now in moved if now == "undecided" and was == "kept"]
    messages = {id: (theirs[id].get("failures") or [{}])[0].get("message", "") for id in broken}
    cases, compared, missing = _cases(old, new)
    if not compared and all("not_exercised" in (was, now) for _, was, now in moved):
        why = next((f": {run['problem']}" for run in (new, old) if run.get("problem")), "")
        raise ConfigError(f"the two runs cannot be compared: they have nothing in common{why}")
    told = _grouped([*cases, *_answers(old, new), *_records(old, new), *_latency(old, new)])
    # What an API does with a field that it treated against the documents, and no more, is no regression.
    mended = {part for id, was, now in moved if (was, now) == ("broken", "kept") for part in id.split(".")}
    changes = [replace(c, regression=c.regression and not (c.fields and mended.issuperset(c.fields))) for c in told]
    which = [word for word, run in (("earlier", old), ("later", new)) if run.get("verdict") == "undecided"]
    doubt = f"the {' and the '.join(which)} run could not tell" if which else ""
    if not compared and not doubt:
        doubt = "the two runs have no case in common"
    return Comparison(
        unsure=doubt,
        newly_broken=tuple(broken),
        newly_kept=tuple(kept),
        newly_not_exercised=tuple(idle),
        newly_undecided=tuple(unsure),
        messages=messages,
        changes=tuple(changes),
        compared=compared,
        missing=missing,
    )


def _by_the_clock(rule: str, was: str) -> bool:
    return rule.endswith(_BY_THE_CLOCK) and was in {"kept", "not_exercised"}


def _cases(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[list[Change], int, tuple[str, ...]]:
    """What changed case by case, how many were compared, and which were not."""
    mine = {case["label"]: case for case in old["cases"]}
    theirs = {case["label"]: case for case in new["cases"]}
    missing = [label for label in {**mine, **theirs} if label not in mine or label not in theirs]
    others = len(old.get("restored", ())) != len(new.get("restored", ()))
    compared = 0
    apart = False
    found: list[Change] = []
    for label, was in mine.items():
        if label not in theirs:
            continue
        now = theirs[label]
        lost = {was["status"], now["status"]} & {429, *range(500, 600)}
        # What changed against the documents is for the rules; from there on the records stand differently.
        early = was.get("early") or now.get("early")
        apart = apart or (was.get("strays") != now.get("strays") and not early)
        # Shared out among more records, or fewer, a case meets another state: what is left open may depend on it.
        elsewhere = others and was.get("at") != now.get("at")
        if lost or apart or elsewhere or was.get("body") != now.get("body") or was["operation"] != now["operation"]:
            missing.append(label)
            continue
        compared += 1
        found += [replace(change, cases=(label,)) for change in _case(was, now)]
    return found, compared, tuple(missing)


def _case(was: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[Change]:
    """What changed in one case."""
    before, after, place = was["status"], now["status"], (now["operation"],)
    if was["outcome"] != now["outcome"]:
        yield Change(kind=now["outcome"], old=before, new=after, places=place)
        return
    if before != after:
        yield Change(kind="status", old=before, new=after, places=place)
        return
    early = bool(was.get("early") or now.get("early") or was.get("at") != now.get("at"))
    if was["outcome"] == "accepted":
        yield from _treated("field", was, now, "fields", "applied")
        if not early:
            blind = was.get("blind") or now.get("blind")
            yield from () if blind else _treated("effect", was, now, "effects", "kept")
            yield from _treated("derived", was, now, "derived", "a value")
        return
    old, new = was.get("error", ""), now.get("error", "")
    one, other = set(old.casefold().split("; ")), set(new.casefold().split("; "))
    # How the record was found may make a refusal speak of more than one thing.
    if not one & other if early else one != other:
        yield Change(kind="error", old=old, new=new, places=(f"{now['operation']} {after}",))


def _treated(kind: str, was: Mapping[str, Any], now: Mapping[str, Any], key: str, usual: str) -> Iterator[Change]:
    """Fields with which something else was done; *usual* is what holds for those that are not named."""
    mine, theirs = was.get(key, {}), now.get(key, {})
    for name in {**mine, **theirs}:
        old, new = mine.get(name, usual), theirs.get(name, usual)
        if not set(old.split("|")) & set(new.split("|")):
            # Of several explanations the first is the plainest.
            one, other = old.partition("|")[0], new.partition("|")[0]
            yield Change(kind=kind, old=one, new=other, fields=(name,), places=(now["operation"],))


def _grouped(changes: Iterable[Change]) -> Iterator[Change]:
    """The same change once, with every field, place and case that shows it."""
    groups: dict[tuple[Any, ...], list[Change]] = {}
    for change in changes:
        known = (change.places,) if change.kind == "error" else (repr(change.old), repr(change.new))
        groups.setdefault((change.kind, change.regression, *known), []).append(change)
    for group in groups.values():
        yield replace(
            group[0],
            fields=tuple(dict.fromkeys(name for one in group for name in one.fields)),
            places=tuple(dict.fromkeys(place for one in group for place in one.places)),
            cases=tuple(dict.fromkeys(label for one in group for label in one.cases)),
        )


def _answers(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Change]:
    """What changed in the members and headers of the answers, where both runs have any."""
    alike = bool(old.get("records", {}).keys() & new.get("records", {}).keys())
    for operation, mine in old["answers"].items():
        theirs = new["answers"].get(operation, {})
        for status in mine:
            if status in theirs:
                found = [*_members(mine[status], theirs[status], alike=alike), *_headers(mine[status], theirs[status])]
                yield from (replace(change, places=(f"{operation} {status}",)) for change in found)


def _members(old: Mapping[str, Any], new: Mapping[str, Any], *, alike: bool) -> Iterator[Change]:
    """What changed in the members of the answers; *alike* where both runs saw the same records."""
    mine, theirs = old["members"], new["members"]
    told: list[str] = []
    for path in {**mine, **theirs}:
        parent, slash, name = path.rpartition("/")
        if any(path.startswith(f"{other}/") for other in told) or (slash and name in _PAGES):
            continue
        was, now = mine.get(path), theirs.get(path)
        seen = not parent or (parent in mine and parent in theirs)  # Both runs have seen what it stands in.
        if was is not None and now is not None:
            yield from _typed(path, was, now)
        elif seen and (alike or not (was or now or {}).get("documented")):
            looks = new["count"] / old["count"] if now is None else old["count"] / new["count"]
            for change in _come_or_gone(path, was, now, looks):
                told.append(path)
                yield change


def _come_or_gone(
    path: str, was: Mapping[str, Any] | None, now: Mapping[str, Any] | None, looks: float
) -> Iterator[Change]:
    """A member that only one run saw; *looks* is how many answers the other had, as a share of this one's."""
    one = was or now
    assert one is not None
    seen = sum(one["types"].values())
    if path.endswith("*") or (seen < one["in"] and (seen < ENOUGH or looks < 0.5)):
        return
    types = "/".join(one["types"])
    if now is None:
        yield Change(kind="vanished", old=types, new="absent", fields=(_field(path),))
    else:
        yield Change(kind="appeared", old="absent", new=types, fields=(_field(path),))


def _field(path: str) -> str:
    """The end of a path: what stands in an entry of a list."""
    return path.rpartition("*/")[2]


def _typed(path: str, was: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[Change]:
    """Types and notations of a member that were never seen before."""
    if not was.get("documented"):
        total = sum(now["types"].values())
        strange = [
            t for t, count in now["types"].items() if t not in was["types"] and (count >= ENOUGH or count == total)
        ]
        if strange:
            yield Change(kind="type", old="/".join(was["types"]), new="/".join(strange), fields=(_field(path),))
            return
    mine, theirs = was.get("notations", {}), now.get("notations", {})
    if not mine or not theirs:
        return
    if not mine.keys() & theirs.keys() or _foreign(mine, theirs) or _foreign(theirs, mine):
        old, new = (max(notations, key=notations.__getitem__) for notations in (mine, theirs))
        yield Change(kind="notation", old=old, new=new, fields=(_field(path),))


def _foreign(mine: Mapping[str, int], theirs: Mapping[str, int]) -> bool:
    """True where a notation that is usual in one run never occurs in many looks of the other."""
    few = sum(mine.values()) < ENOUGH or sum(theirs.values()) < ENOUGH
    return not few and any(n * 2 >= sum(mine.values()) and word not in theirs for word, n in mine.items())


def _headers(mine: Mapping[str, Any], theirs: Mapping[str, Any]) -> Iterator[Change]:
    before, after = mine.get("headers", {}), theirs.get("headers", {})
    for name in {**before, **after}:
        old, new = before.get(name, "absent"), after.get(name, "absent")
        if (name not in before and name in mine.get("sometimes", ())) or (
            name not in after and name in theirs.get("sometimes", ())
        ):
            continue
        if old != new and ("*" not in {old, new} or "absent" in {old, new}):
            words = {"*": "there"}
            yield Change(kind="header", old=words.get(old, old), new=words.get(new, new), fields=(name,))


def _records(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Change]:
    """What no request sets and yet is another kind of thing now, in records that both runs saw."""
    masked = {*old["plan"].get("masked", ()), *new["plan"].get("masked", ())}
    for key, regression in (("records", True), ("moving", False)):
        mine, theirs = old.get(key, {}), new.get(key, {})
        for id, before in mine.items():
            for name, was in before.items():
                now = theirs.get(id, {}).get(name, was)
                if now != was and "absent" not in (was, now) and name not in masked:
                    yield Change(
                        kind="record", old=was, new=now, fields=(name,), places=(f"record {id}",), regression=regression
                    )


def _latency(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Change]:
    before, after = old.get("latency", {}), new.get("latency", {})
    for operation, was in before.items():
        now = after.get(operation, was)
        if now > was * SLOWER and now - was > SLOWER_BY:
            yield Change(kind="latency", old=round(was), new=round(now), places=(operation,))


# ------------------------------------------------------------------------ two environments


def environments(
    options: Mapping[str, Any],
    urls: tuple[str, ...],
    ids: tuple[str, ...],
    configs: tuple[str, ...],
    environ: Mapping[str, str] | None = None,
) -> tuple[tuple[Settings, dict[str, str]], ...]:
    """Settings and credentials of the two environments; what the second has of its own stands in variables
    that begin with ``CONTRACT_B_``, or in a second file.

    Raises:
        ConfigError: there are not two, or a value cannot be used.
    """
    from contract.config import credentials, resolve

    environ = os.environ if environ is None else environ
    for name, given in (("--base-url", urls), ("--id", ids), ("--config", configs)):
        if len(given) > 2:
            raise ConfigError(f"{name} is given {len(given)} times; there are two environments")
    second = {k.replace("CONTRACT_B_", "CONTRACT_", 1): v for k, v in environ.items() if k.startswith("CONTRACT_B_")}
    found = []
    for i in range(2):
        place = {**environ, **second} if i else environ
        own = dict(options)
        if len(urls) > i:
            own["base_url"] = urls[i]
        if ids:
            own["ids"] = (ids[min(i, len(ids) - 1)],)
        file = configs[min(i, len(configs) - 1)] if configs else None
        settings = resolve(own, config=file, environ=place, names={"ids": "--id"})
        if not ids and len(configs) < 2 and not ("CONTRACT_IDS" in second and i) and len(settings.ids) == 2:
            settings = replace(settings, ids=settings.ids[i : i + 1])
        settings.need("base_url", "ids")
        folder = str(Path(settings.report_dir) / ("second" if i else "first"))
        found.append((replace(settings, report_dir=folder), credentials(place)))
    (one, _), (other, _) = found
    if one.base_url == other.base_url and one.ids == other.ids:
        raise ConfigError(
            "two environments are wanted: give --base-url twice, or set CONTRACT_B_BASE_URL for the second one"
        )
    return tuple(found)


def both(
    pairs: Iterable[tuple[Settings, dict[str, str]]], style: Style, echo: Callable[[str], Any]
) -> tuple[tuple[dict[str, Any], ...], bool]:
    """Carries out one plan on each environment, one after the other, so that neither slows the other down.

    Shape:
        (the data of the runs, whether one of them could not tell).

    Raises:
        ContractError: as `contract.run.run`.
    """
    from contract import files, report
    from contract.run import run

    found, unsure = [], False
    pairs = [*pairs]
    for settings, _ in pairs:
        files.ready(settings.report_dir)
    for settings, given in pairs:
        mask = mask_of(settings, given)
        result = run(settings, given)
        path = files.write(result, Path(settings.report_dir), mask)
        echo(style(f"== {settings.base_url}", "title"))
        for line in report.lines(result, mask, style, quiet=True):
            echo(line)
        echo(f"report: {path}")
        found.append(read(path))
        unsure = unsure or result.status == 2
    return tuple(found), unsure


# --------------------------------------------------------------------------------- telling


def data(found: Comparison) -> dict[str, Any]:
    """A comparison as JSON."""
    return {
        "format": FORMAT,
        "verdict": ("equal", "regressed", "undecided")[found.status],
        "newly_broken": [{"id": id, "message": found.messages.get(id, "")} for id in found.newly_broken],
        "newly_kept": list(found.newly_kept),
        "newly_not_exercised": list(found.newly_not_exercised),
        "newly_undecided": list(found.newly_undecided),
        "changes": [{"kind": change.kind, "text": change.text, **asdict(change)} for change in found.changes],
        "compared": found.compared,
        "not_compared": list(found.missing),
    }


def lines(found: Comparison, style: Style = unstyled) -> Iterator[str]:
    """What a person reads about a comparison."""
    for id in found.newly_broken:
        yield style("newly broken ", "broken") + f" {id}"
        if found.messages.get(id):
            yield f"        {plain(found.messages[id])}"
    for change in found.changes[:SHOWN]:
        word = style("changed ", "broken") if change.regression else style("note ", "warned")
        yield f"{word} {plain(change.text)}"
        if change.cases:
            yield f"        case: {plain(_labels(change.cases))}"
    if len(found.changes) > SHOWN:
        yield f"        … and {len(found.changes) - SHOWN} more changes, see --json"
    for word, look, ids in (
        ("newly kept ", "kept", found.newly_kept),
        ("newly not exercised ", "warned", found.newly_not_exercised),
        ("newly undecided ", "undecided", found.newly_undecided),
    ):
        for id in ids[:FEW]:
            yield style(word, look) + f" {id}"
        if len(ids) > FEW:
            yield style(word, look) + f" and {len(ids) - FEW} more, see --json"
    if found.missing:
        yield f"{len(found.missing)} cases were not compared: {_WHY}"
    yield _verdict(found, style)


_WHY: Final = "one run lacks them, they failed, or the record did not stand as in the other"
_TREATMENTS: Final = {
    "applied": "stored as sent",
    "absent": "not shown",
    "null": "stored as null",
    "blank": "stored as a blank",
    "default": "set to its default",
    "cut": "cut short",
    "mirrored": "set to what an alias was sent",
}


def _treatment(word: Any) -> str:
    return _TREATMENTS.get(word, word) if isinstance(word, str) else str(word)


def _said(text: str) -> str:
    return repr(text) if text else "empty"


def _value(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _some(names: tuple[str, ...], most: int = 4) -> str:
    """The first of many names."""
    if len(names) <= most + 1:
        return ", ".join(names)
    return f"{', '.join(names[:most])} and {len(names) - most} more"


def _labels(cases: tuple[str, ...]) -> str:
    more = f", and {len(cases) - 1} more" if len(cases) > 1 else ""
    return f"{cases[0]}{more}"


def _verdict(found: Comparison, style: Style) -> str:
    if found.status == 2:
        return style("COULD NOT TELL", "undecided") + f": {found.unsure}; {found.compared} cases compared"
    if not found.status:
        return style("EQUAL", "kept") + f": {found.compared} cases compared"
    broken = len(found.newly_broken)
    parts = [f"{broken} rule{'s'[: broken != 1]} newly broken"] if broken else []
    silent = len(found.regressions)
    parts += [f"{silent} change{'s' if silent > 1 else ''} where the documents are silent"] if silent else []
    return style("REGRESSED", "broken") + f": {' and '.join(parts)}; {found.compared} cases compared"


def markdown(found: Comparison) -> str:
    """A comparison as a section of a Markdown report."""
    rows = ["## Compared with an earlier run", ""]
    if not found.status:
        rows.append(f"Equal: {found.compared} cases compared.")
    elif found.status == 2:
        rows.append(f"Could not tell: {found.unsure}; {found.compared} cases compared.")
    rows += [f"- **newly broken** `{id}`: {_marked(found.messages.get(id, ''))}" for id in found.newly_broken]
    for change in found.changes[:SHOWN]:
        label = f" (case: {_marked(_labels(change.cases))})" if change.cases else ""
        rows.append(f"- **{'changed' if change.regression else 'note'}** {_marked(change.text)}{label}")
    if len(found.changes) > SHOWN:
        rows.append(f"- … and {len(found.changes) - SHOWN} more changes")
    rows += [f"- newly kept `{id}`" for id in found.newly_kept]
    rows += [f"- newly not exercised `{id}`" for id in found.newly_not_exercised]
    rows += [f"- newly undecided `{id}`" for id in found.newly_undecided]
    if found.missing:
        rows.append(f"- {len(found.missing)} cases were not compared: {_WHY}")
    return "\n".join(rows) + "\n"


def attach(found: Comparison, folder: Path) -> None:
    """Adds a comparison to the ``run.json`` and ``run.md`` in *folder*, and to the summary of a workflow's step.

    Raises:
        ConfigError: they cannot be written.
    """
    from contract.ci import add_to_step_summary

    store(folder / "run.json", encoded({**read(folder / "run.json"), "against": data(found)}) + "\n")
    text = markdown(found)
    page = folder / "run.md"
    store(page, (page.read_text(encoding="utf-8") + "\n" if page.is_file() else "") + text)
    add_to_step_summary(text)


def _marked(text: str) -> str:
    """*text* without what Markdown or HTML would obey."""
    return "".join(f"\\{c}" if c in "\\`*_[]<>|#&" else c for c in plain(text).replace("\n", " "))
