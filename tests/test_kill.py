"""The kill table, a bounded part of it: each kind of rule is shown to fail, and none cries wolf.

The whole of it is ``contract defects --mutants``.
"""

from __future__ import annotations

import fnmatch
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from contract import kill, reference
from contract import rules as made
from contract import spec as specs
from tests.kit import broken, credentials, run, settings

TOGETHER = {
    "null-in-words updated-before-created media-type-missing second-time-refused": "chunked",
    "list-always-voice video-room-lost updated-at-missing number-without-plus": "companions-in-body",
    "null-clears-neighbour message-context-ignored topic-clears-others written-before-401": "bare-number-found",
    "fifth-write-marked whole-record-validated write-fills-address": "aliases-mirrored",
    "write-without-leave-loses-the-next word-null-read": "ai-agent-accepted",
    "receive-mode-capital": None,
    # Only the order of requests shows the others, or the end of a run.
    "another-shown-once refusal-shown-until-written": None,
    "clock-of-the-state": None,
    "date-of-another-notation": None,
    "retrieve-behind-once others-shown-what-was-sent": None,
    "usual-port-dropped one-name-for-one-number": None,
}
"""A defect for each promise and more, as many in one server as do not hide each other, with a variant beside them."""
ALSO = {"null-clears-neighbour": "update_phone_number.echo.call_status_callback_url"}
"""What a defect breaks where the number was found with a handler and no companion: the way back sends all of it."""
LAWFUL = (
    "ai-agent-accepted+newer-fields-absent+rate-limited-slowly",
    "blank-ids-stored+null-ignored",
    "blanks-found-count+null-refused",
)
"""Variants of different kinds; most of the others are compared with the plain server in test_compare."""


def breaks(name: str) -> list[str]:
    """Patterns of the rules that a defect breaks."""
    return [*reference.DEFECTS[name].breaks, *([ALSO[name]] if name in ALSO else ())]


def test_each_promise_is_broken_by_one_of_them() -> None:
    """No promise goes without a run in which a defect breaks it."""

    def promises(names: Any) -> set[str]:
        return {reference.DEFECTS[name].breaks[0].split(".")[1] for name in names}

    assert promises(" ".join(TOGETHER).split()) == promises(reference.DEFECTS)


@pytest.mark.parametrize("defects", TOGETHER)
def test_a_defect_is_caught_by_the_rule_it_breaks(defects: str, tmp_path: Path) -> None:
    """A standard run names the cause of each defect and nothing else, in at most 300 requests, whatever the server
    decides where the documents leave it open.
    """
    names, variant = defects.split(), TOGETHER[defects]
    with reference.running(defect="+".join(names), variant=variant) as server:
        # Only over a socket do answers come in pieces.
        more = {"transport": None} if variant == "chunked" else {}
        found = run(settings(server, tmp_path), credentials(server), **more)

    rules = broken(found)
    assert [name for name in names if not any(fnmatch.filter(rules, pattern) for pattern in breaks(name))] == []
    assert [rule for rule in rules if not any(fnmatch.fnmatch(rule, p) for name in names for p in breaks(name))] == []
    assert found.verdict == "broken"
    assert found.requests <= 300


@pytest.mark.parametrize("names", LAWFUL)
def test_a_lawful_variant_is_never_called_broken(names: str, tmp_path: Path) -> None:
    """What the documents leave open is no failure."""
    with reference.running(variant=names) as server:
        found = run(settings(server, tmp_path, allow_unrestorable=True), credentials(server))

    assert (found.verdict, broken(found)) == ("kept", [])


@pytest.mark.parametrize("name", ["name:truncated:retrieve_phone_number", "call_handler:case:everywhere"])
def test_a_changed_answer_is_caught(name: str) -> None:
    """A mutant of one field of the answers is caught."""
    found = kill.trial("mutant", name)

    assert found.applied > 0
    assert found.verdict == "broken"


def test_a_mutant_is_not_looked_into_once_it_is_caught() -> None:
    """The run of a mutant that shows at once sends a part of its plan, and the way back all the same."""
    early = kill.trial("mutant", "call_handler:case:everywhere")
    late = kill.trial("mutant", "call_video_room_id:null:retrieve_phone_number")

    assert early.requests < 60 < late.requests


def test_every_pattern_of_a_defect_names_a_rule() -> None:
    """What a defect is said to break exists."""
    known = made.rules(specs.load())
    nothing = [
        f"{name}: {pattern}"
        for name, defect in reference.DEFECTS.items()
        for pattern in defect.breaks
        if not fnmatch.filter(known, pattern)
    ]

    assert nothing == []


def test_every_promise_has_a_defect() -> None:
    """No kind of rule goes without a defect that breaks it."""
    known = made.rules(specs.load())
    broken = {
        known[rule].promise
        for defect in reference.DEFECTS.values()
        for pattern in defect.breaks
        for rule in fnmatch.filter(known, pattern)
    }

    assert {rule.promise for rule in known.values()} - broken == set()


def test_the_table_counts_what_it_prints() -> None:
    """The table has a row for each server, and its status is 0 where nothing was missed."""
    printed: list[str] = []

    status = kill.table("[cr]*-capital*", 1, False, lambda text, name: text, printed.append)

    rows = [line.split()[:4] for line in printed[:-2]]
    assert rows == [
        ["ok", "clean", "clean", "kept"],
        ["ok", "variant", "charset-capitals", "kept"],
        ["ok", "defect", "receive-mode-capital", "broken"],
    ]
    assert printed[-2:] == ["1 of 1 defects caught by the rule they break", "0 of 2 lawful servers not called kept"]
    assert status == 0


class Threads(ThreadPoolExecutor):
    """Takes the place of processes where no run is made."""

    def __init__(self, jobs: int, mp_context: Any) -> None:
        super().__init__(jobs)


def test_what_was_missed_and_what_survived_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A defect that only other rules see is missed; a mutant that nobody can tell from a lawful answer is explained."""

    def trial(kind: str, name: str) -> kill.Trial:
        rules = ("update_phone_number.echo.name",) if kind == "defect" else ()
        verdict = "broken" if rules else "kept"
        return kill.Trial(kind=kind, name=name, verdict=verdict, broken=rules, requests=7)

    monkeypatch.setattr(kill, "ProcessPoolExecutor", Threads)
    monkeypatch.setattr(kill, "trial", trial)
    printed: list[str] = []

    missed = kill.table("receive-mode-capital", 1, False, lambda text, name: text, printed.append)
    survived = kill.table("e911_status:*:everywhere", 1, True, lambda text, name: text, printed.append)

    assert (missed, survived) == (1, 0)
    row = next(line for line in printed if "receive-mode-capital" in line)
    assert " ".join(row.split()) == "MISS defect receive-mode-capital broken 7 requests"
    assert "0 of 1 defects caught by the rule they break" in printed
    assert "survivor e911_status:drop:everywhere: the field is optional" in printed
    assert printed[-1] == f"0 of {1 + len(kill.MUTATIONS)} mutants caught (0.0 %)"


def test_names_lists_every_defect_and_variant() -> None:
    """``contract defects --list`` tells each with what it does."""
    assert len(list(kill.names())) == len(reference.DEFECTS) + len(reference.VARIANTS)
