"""The rules that a contract implies: their ids, what they stand on, and what they are about."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from typing import Any

import pytest

from contract import rules as made
from contract import spec
from contract.check import Judge
from contract.ledger import rank
from contract.model import BASES, MISSING, PROMISES, Rule
from contract.spec import Contract
from tests.fragments import LAMP, REQUEST, RESPONSE, lamp
from tests.subscriptions import FRAGMENT

BUNDLED = spec.load()
CONTRACTS = {"bundled": BUNDLED, "subscriptions": spec.load(FRAGMENT), "lamps": lamp()}


def rules(contract: Contract) -> Mapping[str, Rule]:
    """Every rule of a contract by id."""
    return made.rules(contract)


@pytest.fixture(params=CONTRACTS)
def contract(request: pytest.FixtureRequest) -> Contract:
    """One contract after the other."""
    return CONTRACTS[request.param]


def test_ids_are_readable_and_unique(contract: Contract) -> None:
    """An id is ``operation.promise.detail`` of an operation and a promise that exist, and is there once."""
    found = [rule for op in contract.operations.values() for rule in made._Maker(contract, op).all()]
    assert len(found) == len({rule.id for rule in found})
    for id, rule in rules(contract).items():
        operation, promise, *detail = id.split(".")
        assert id == rule.id
        assert operation == rule.operation in contract.operations
        assert promise == rule.promise in PROMISES
        assert all(detail)


def test_every_rule_says_how_it_is_known(contract: Contract) -> None:
    """Each rule has a basis, a source, a text and the line of the fragment that states it."""
    lines = max(contract.document.lines.values())
    for rule in rules(contract).values():
        assert rule.basis in BASES
        assert rule.text
        assert rule.line is not None
        assert 1 <= rule.line <= lines
        assert contract.source(rule.fact) or contract is CONTRACTS["lamps"]


def test_the_bundled_contract_has_several_hundred_rules() -> None:
    """There is a rule for each field and facet, selector value and promise, and each has a listed source."""
    found = rules(BUNDLED)
    assert len(found) > 450
    promises = {rule.promise for rule in found.values()}
    assert promises == set(PROMISES)
    for rule in found.values():
        assert rule.fact.source.partition(":")[0] in BUNDLED.sources


def test_a_rule_is_made_once() -> None:
    """The rules of one contract are made once, and the same ones every time."""
    assert rules(BUNDLED) is rules(BUNDLED)
    again = spec.loads(spec.bundled().read_text(encoding="utf-8"), BUNDLED.document.file)
    assert rules(again) == rules(BUNDLED)


def shuffled(value: Any, chance: random.Random) -> Any:
    """*value* with the members of every object in another order."""
    if isinstance(value, dict):
        members = [(key, shuffled(inner, chance)) for key, inner in value.items()]
        chance.shuffle(members)
        return dict(members)
    return [shuffled(inner, chance) for inner in value] if isinstance(value, list) else value


@pytest.mark.parametrize("seed", range(3))
def test_ids_do_not_depend_on_any_order(seed: int) -> None:
    """A fragment whose members stand in another order implies the same rules."""
    mixed = spec.loads(json.dumps(shuffled(dict(LAMP), random.Random(seed))))
    plain = rules(lamp())

    assert {(r.id, r.basis, r.group, r.field, r.needs) for r in rules(mixed).values()} == {
        (r.id, r.basis, r.group, r.field, r.needs) for r in plain.values()
    }


def test_every_group_is_a_rule_of_the_same_operation(contract: Contract) -> None:
    """The general rule that may be told instead of many is one of the rules, where there is one."""
    found = rules(contract)
    groups = {rule.group for rule in found.values()}
    for rule in found.values():
        assert rule.group in found or rule.promise in {"time", "deprecated", "rejection"} or rule.id in groups
        assert rule.group.partition(".")[0] == rule.operation


def test_every_rule_has_a_rank(contract: Contract) -> None:
    """It is known of every rule how near to a cause it is."""
    assert [rule.id for rule in rules(contract).values() if rank(rule.id) == 20] == []


def test_the_lamp_has_these_rules() -> None:
    """The rules of a small contract, by what they are about, and in the words of the fragment."""
    found = rules(lamp())
    update = [id.partition(".")[2] for id in found if id.startswith("set_lamp.")]
    handlers = [name for name in update if name.startswith(("handler", "deprecated"))]
    assert handlers == [
        "deprecated.caption",
        "handler.mode",
        "handler.mode.steady.accepted",
        "handler.mode.steady.shown",
        "handler.mode.blink.accepted",
        "handler.mode.blink.shown",
        "handler.mode.blink.requires.period",
        "handler.mode.follow.accepted",
        "handler.mode.follow.shown",
        "handler.mode.follow.requires.leader",
        "deprecated.mode.follow",
    ]
    assert [name for name in update if name.startswith("echo")] == [
        "echo",
        *(f"echo.{name}" for name in ("label", "caption", "mode", "period", "color", "leader", "call")),
        "echo.alias.label",
    ]
    assert [name for name in update if name.startswith(("time", "e164", "format"))] == [
        "format.id",
        "e164.phone",
        "e164.country",
        "format.since",
        "format.until",
        "time.until.forward",
        "time.until.moves",
        "time.until.not_before",
    ]
    assert [name for name in update if name.startswith("rejection") and name.endswith("enum")] == [
        "rejection.mode.enum",
        "rejection.color.enum",
    ]
    assert found["set_lamp.handler.mode.follow.requires.leader"].basis == "inferred"
    assert found["set_lamp.enum.mode"].basis == "inferred"
    assert found["set_lamp.enum.mode"].text == "mode holds only: steady, blink, follow, off (to the letter)"
    assert found["list_lamps.read_back"].fact.source == "talk"


def test_rules_say_what_a_run_must_be_given() -> None:
    """A rule that needs an id, a bystander or a foreign record names the setting."""
    found = rules(lamp())
    assert {rule.id.partition(".")[2]: rule.needs for rule in found.values() if rule.needs} == {
        "accept.leader": "[resources] leader",
        "handler.mode.follow.accepted": "[resources] leader",
        "handler.mode.follow.shown": "[resources] leader",
        "handler.mode.follow.requires.leader": "[resources] leader",
        "deprecated.mode.follow": "[resources] leader",
        "echo.leader": "[resources] leader",
        "bystander": "bystander_ids in the configuration",
        "access.foreign_id": "foreign_ids in the configuration",
    }


@pytest.mark.parametrize(
    ("changes", "lacks", "has"),
    [
        ({"security": MISSING}, "access.no_credentials", "access.unknown_id"),
        ({"components/securitySchemes/basic/scheme": "bearer"}, "access.wrong_user", "access.wrong_password"),
        ({"paths/~1lamps~1{id}/put/x-unsent": MISSING}, "frame", "frame.id"),
        ({f"{RESPONSE}/label": MISSING, "components/schemas/Lamp/required": []}, "echo.alias.label", "echo.caption"),
        ({f"{RESPONSE}/id": {}, "components/schemas/Lamp/required": []}, "shape.id.type", "shape.identity"),
        ({f"{REQUEST}/color": {"type": "string"}, f"{REQUEST}/mode/x-selector": {}}, "rejection.color.enum", "rejection.mode.enum"),
        ({f"{REQUEST}/mode/x-selector": MISSING}, "handler.mode", "accept.mode"),
    ],
)  # fmt: skip
def test_a_rule_is_only_made_where_there_is_a_fact(changes: dict[str, Any], lacks: str, has: str) -> None:
    """What the fragment does not state is no rule."""
    found = rules(lamp(changes))
    assert f"set_lamp.{lacks}" not in found
    assert f"set_lamp.{has}" in found


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"paths/~1lamps~1{id}/put/x-unsent": MISSING}, "x-unsent: unchanged"),
        ({f"{RESPONSE}/until/x-changes": MISSING}, "x-changes: on-write"),
    ],
)
def test_what_the_fragment_does_not_promise_is_told(changes: dict[str, Any], told: str) -> None:
    """A promise that no rule is about would pass without a word; with all of them there is nothing to tell."""
    before = list(made.unpromised(lamp({})))
    now = [line for line in made.unpromised(lamp(changes)) if line not in before]
    assert [told in line for line in now] == [True]
    assert not any(told in line for line in before)
    assert list(made.unpromised(BUNDLED)) == []


def test_a_value_belongs_to_its_rule() -> None:
    """A rule about one value of a selector knows the value, any other none."""
    found = rules(lamp())
    assert found["set_lamp.handler.mode.blink.shown"].value == "blink"
    assert found["set_lamp.echo.label"].value is MISSING
    assert found["set_lamp.echo.label"].field == "label"


def test_the_judge_judges_by_these_rules(contract: Contract) -> None:
    """The judge knows the same rules, and only rules that exist are evidence of a well-shaped answer."""
    judge = Judge(contract)
    assert judge.rules is rules(contract)
    record = judge.answers.record(contract.update)
    assert record is not None
    assert set(record.always) <= set(judge.rules)
    assert {name for _, mine in record.sometimes for name in mine} <= set(judge.rules)
