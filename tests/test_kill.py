"""The kill table, a bounded part of it: each kind of rule is shown to fail, and none cries wolf.

The whole of it is ``contract defects --mutants``.
"""

from __future__ import annotations

import fnmatch
from pathlib import Path

import pytest

from contract import kill, reference
from contract import rules as made
from contract import spec as specs
from tests.kit import credentials, run, settings

DEFECTS = sorted(reference.DEFECTS)
VARIANTS = sorted(reference.VARIANTS)
LAWFUL = (
    "ai-agent-accepted",
    "blank-ids-stored",
    "blank-ids-stored+null-ignored",
    "blanks-found-count",
    "blanks-found-count+null-refused",
    "chunked",
    "newer-fields-absent",
    "null-ignored",
    "rate-limited-slowly",
)
"""Variants of different kinds; most of the others are compared with the plain server in test_compare."""


def one_for_each_promise() -> list[str]:
    """The last defect that breaks each promise, by name."""
    found = {reference.DEFECTS[name].breaks[0].split(".")[1]: name for name in DEFECTS}
    return sorted(found.values())


SHOWN_LATE = (
    "another-shown-once",
    "clock-of-the-state",
    "date-of-another-notation",
    "one-name-for-one-number",
    "others-shown-what-was-sent",
    "refusal-shown-until-written",
    "retrieve-behind-once",
)
"""Defects that only the order of requests shows, or the end of a run."""


@pytest.mark.parametrize("name", sorted({*one_for_each_promise(), *SHOWN_LATE}))
def test_a_defect_is_caught_by_the_rule_it_breaks(name: str) -> None:
    """A standard run calls the defect broken, names its cause, and needs at most 300 requests for it."""
    found = kill.trial("defect", name)

    assert found.verdict == "broken"
    assert kill.named(found)
    assert found.requests <= 300


@pytest.mark.parametrize(
    ("defect", "variant"),
    [
        ("null-clears-neighbour", "bare-number-found"),
        ("fifth-write-marked", "aliases-mirrored"),
        ("list-always-voice", "companions-in-body"),
        ("media-type-missing", "chunked"),
    ],
)
def test_a_defect_is_caught_beside_what_is_lawful(defect: str, variant: str, tmp_path: Path) -> None:
    """What the documents leave open, and the server decides otherwise, hides nothing."""
    with reference.running(defect=defect, variant=variant) as server:
        found = run(settings(server, tmp_path), credentials(server))

    assert found.verdict == "broken"


@pytest.mark.parametrize("name", LAWFUL)
def test_a_lawful_variant_is_never_called_broken(name: str) -> None:
    """What the documents leave open is no failure."""
    assert kill.trial("variant", name).broken == ()


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

    status = kill.table("array-[ai]*", 1, False, lambda text, name: text, printed.append)

    wanted = [name for name in (*DEFECTS, *VARIANTS) if fnmatch.fnmatch(name, "array-[ai]*")]
    assert status == 0
    assert [name for name in wanted if not any(name in line for line in printed)] == []
    assert f"{sum(name in DEFECTS for name in wanted)} of" in printed[-2]


def test_a_survivor_is_explained() -> None:
    """A mutant that nobody can tell from a lawful answer is listed with the reason."""
    printed: list[str] = []

    kill.table("e911_status:drop:everywhere", 1, True, lambda text, name: text, printed.append)

    assert "survivor e911_status:drop:everywhere: the field is optional" in printed
    assert printed[-1] == "0 of 1 mutants caught (0.0 %)"


def test_names_lists_every_defect_and_variant() -> None:
    """``contract defects --list`` tells each with what it does."""
    assert len(list(kill.names())) == len(DEFECTS) + len(VARIANTS)
