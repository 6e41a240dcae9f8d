"""The plan: what the tour covers, recounted from the bodies themselves, and within which bounds."""

from __future__ import annotations

import functools
import json
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, replace
from itertools import combinations, pairwise, product
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from contract import spec
from contract.budget import INVESTIGATION, LISTS, MARGIN, OVERHEAD, RESTING
from contract.formats import matches
from contract.generate import Generator
from contract.layout import Layout, circuit
from contract.model import MISSING, Case
from contract.plan import PROFILES, Block, Plan, needed, plan, split
from contract.rules import rules
from contract.spec import Contract
from contract.tour import REPEATS, RESTS, Tour, Values, near
from tests.fragments import REQUEST, RESPONSE, grown, lamp
from tests.subscriptions import FRAGMENT

BUNDLED, SECOND = spec.load(), spec.load(FRAGMENT)
NAMES = [n for n, f in BUNDLED.update.request.fields.items() if f.resource] if BUNDLED.update.request else []
RESOURCES = {name: f"00000000-0000-4000-8000-{i:012}" for i, name in enumerate(NAMES)}
FOREIGN = ("00000000-0000-4000-8000-0000000000ff",)
PLANS: dict[str, tuple[Contract, dict[str, str]]] = {
    "with ids": (BUNDLED, RESOURCES),
    "without ids": (BUNDLED, {}),
    "second fragment": (SECOND, {}),
    "lamps": (lamp(), {}),
}


METHODS = {n for n, f in BUNDLED.request.fields.items() if f.enum and not f.choices}
"""The enumerated fields that are no selectors."""


@functools.cache
def made(name: str, **more: Any) -> Plan:
    """The plan of one contract; each is made once for all tests."""
    contract, resources = PLANS[name]
    return plan(contract, resources=resources, foreign_ids=FOREIGN, **more)


def block(whole: Plan, name: str) -> tuple[Case, ...]:
    """The cases of one block."""
    return next((b.cases for b in whole.blocks if b.name == name), ())


def steps(cases: Iterable[Case]) -> list[dict[str, Any]]:
    """The bodies that have to be accepted and are sent for the first time, in order."""
    return [dict(case.body) for case in cases if case.fields and not case.repeat and case.expect == "accept"]


def states(bodies: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The record after each of *bodies*, as far as it was sent."""
    state: dict[str, Any] = {}
    for body in bodies:
        state = {**state, **body}
        yield state


# ------------------------------------------------------------------------ the circuit


@pytest.mark.parametrize("nodes", range(2, 13))
def test_the_circuit_takes_every_change_once(nodes: int) -> None:
    """An Eulerian circuit of the complete digraph: each ordered pair of different nodes is one step, once."""
    walk = circuit(nodes)
    taken = Counter(pairwise([0, *walk]))

    assert len(walk) == nodes * (nodes - 1)
    assert walk[-1] == 0
    assert taken == Counter((a, b) for a in range(nodes) for b in range(nodes) if a != b)


def test_a_circuit_starts_anywhere() -> None:
    """The walk begins and ends at the node that is asked for; a single node has no change."""
    assert circuit(3, 2)[-1] == 2
    assert len(set(pairwise([2, *circuit(3, 2)]))) == 6
    assert circuit(1) == []


# ------------------------------------------------------------------------ what the tour covers


@pytest.mark.parametrize(("name", "seed"), [*((name, 0) for name in PLANS), ("with ids", 3)])
def test_every_change_of_every_selector_is_walked(name: str, seed: int) -> None:
    """Each ordered change from one value to another is a step, and so is each pair of values of two selectors."""
    contract, resources = PLANS[name]
    generator = Generator(contract.update, resources)
    walked = list(states(steps(block(made(name, seed=seed), "tour"))))
    for selector in generator.selectors:
        values = generator.enums[selector]
        seen = {(a.get(selector), b[selector]) for a, b in pairwise([{}, *walked]) if selector in b}
        assert {(a, b) for a, b in product(values, values) if a != b} <= seen
    for one, other in combinations(generator.selectors, 2):
        pairs = {(state[one], state[other]) for state in walked}
        assert pairs == set(product(generator.enums[one], generator.enums[other]))


@pytest.mark.parametrize("name", PLANS)
def test_every_combination_of_three_values_is_met(name: str) -> None:
    """For any three enumerated fields each combination of their values stands at some step."""
    contract, resources = PLANS[name]
    generator = Generator(contract.update, resources)
    enums = {field: values for field, values in generator.enums.items() if len(values) > 1}
    whole = made(name)
    walked = list(states(steps(block(whole, "tour"))))
    wanted = {
        frozenset(zip(fields, values, strict=True))
        for fields in combinations(enums, 3)
        for values in product(*(enums[field] for field in fields))
    }
    met = {
        frozenset(group)
        for state in walked
        for group in combinations([(field, state[field]) for field in enums if field in state], 3)
    }
    assert wanted <= met
    if len(enums) > 2:
        assert whole.coverage["combinations of three enumerated values"] == (len(wanted), len(wanted))


def test_what_stands_is_left_out_beside_each_value_of_the_largest_selector() -> None:
    """With nearly each of its values: a change of a selector may set another field where that is not sent."""
    contract, resources = PLANS["with ids"]
    generator = Generator(contract.update, resources)
    primary = max(generator.selectors, key=lambda name: len(generator.enums[name]))
    others = [n for n in generator.enums if n not in generator.selectors]
    left, stands = set[Any](), dict[str, Any]()
    for body in steps(block(made("with ids"), "tour")):
        if body.get(primary, stands.get(primary)) != stands.get(primary):
            left |= {(body[primary], n, stands[n]) for n in others if n in stands and n not in body}
        stands |= body
    wanted = {(v, n, value) for v in generator.enums[primary] for n in others for value in generator.enums[n]}
    assert len(left & wanted) >= 0.94 * len(wanted)


def test_each_value_of_a_companion_is_sent_where_a_selector_uses_it_before_one_is_sent_again() -> None:
    """An API may treat a field otherwise there."""
    contract, resources = PLANS["with ids"]
    generator = Generator(contract.update, resources)
    stands, sent = dict[str, Any](), dict[str, list[Any]]()
    for body in steps(block(made("with ids"), "tour")):
        stands |= {n: v for n, v in body.items() if n in generator.selectors}
        for name in {n for choice in contract.request.active(stands).values() for n in choice.companions}:
            if name in body and name in generator.free and not generator.fields[name].resource:
                sent.setdefault(name, []).append(body[name])
    assert sent
    for name, values in sent.items():
        # What is nearly stored, or stored, is sent on purpose.
        assert len({*values}) >= min(len(values), len(generator.firm(name))) - 3, name


def values_sent(
    contract: Contract, resources: dict[str, str], bodies: list[dict[str, Any]]
) -> tuple[set[str], set[str]]:
    """(sent, all) boundary values of the free fields; an alias beside the one that wins does not count as sent."""
    generator = Generator(contract.update, resources)
    wanted = {f"{field}: {json.dumps(v)}" for field in generator.free for v in generator.firm(field)}
    beaten = [
        {f for g in contract.request.aliases if g.wins in body for f in {*g.fields} - {g.wins}} for body in bodies
    ]
    sent = {
        f"{field}: {json.dumps(v)}"
        for body, lost in zip(bodies, beaten, strict=True)
        for field, v in body.items()
        if field not in lost
    }
    return sent & wanted, wanted


@pytest.mark.parametrize("seed", [0, 3])
def test_every_boundary_value_is_sent(seed: int) -> None:
    """With ids for everything, each boundary value of each free field of the bundled contract is in some body."""
    whole = made("with ids", seed=seed)
    drawn = [case for case in block(whole, "random") if case.expect == "accept"]
    sent, wanted = values_sent(BUNDLED, RESOURCES, [*steps(block(whole, "tour")), *steps(drawn)])
    assert wanted - sent == set()


@pytest.mark.parametrize("seed", [0, 3])
def test_hardly_a_step_sends_one_text_in_two_fields(seed: int) -> None:
    """Which of them an API took would not show, beside those that are sent twice or nearly as they are stored."""
    free = {n for n, f in BUNDLED.request.fields.items() if not (f.enum or f.resource)}
    texts = [[v for n, v in body.items() if n in free] for body in steps(block(made("with ids", seed=seed), "tour"))]
    alike = [some for some in texts if len({*some}) < len(some)]
    assert sum(len(some) > 1 for some in texts) > 100
    assert len(alike) <= 6


@pytest.mark.parametrize("name", PLANS)
def test_coverage_is_what_it_says(name: str) -> None:
    """The boundary values that are called sent are sent: nearly all of them, also where the tour is too short for it."""
    contract, resources = PLANS[name]
    whole = made(name)
    drawn = [case for case in block(whole, "random") if case.expect == "accept"]
    sent, wanted = values_sent(contract, resources, [*steps(block(whole, "tour")), *steps(drawn)])
    reached, total = whole.coverage["boundary values"]
    assert total == len(wanted)
    assert reached <= len(sent)
    assert reached / total > 0.95


@pytest.mark.parametrize("name", PLANS)
def test_the_tour_is_near_its_bound(name: str) -> None:
    """There are at most a quarter more updates than the least number in which the changes can be walked."""
    whole = made(name)
    updates = sum(case.body is not MISSING for case in block(whole, "tour"))
    assert updates == whole.updates
    assert whole.updates <= 1.25 * whole.bound
    assert sum(case.repeat for case in block(whole, "tour")) == REPEATS


@pytest.mark.parametrize("name", PLANS)
def test_each_step_leaves_something_out(name: str) -> None:
    """Every field that can be left out is left out of many steps, because what stays is a promise too."""
    contract, resources = PLANS[name]
    generator = Generator(contract.update, resources)
    bodies = steps(block(made(name), "tour"))
    for field in generator.fields:
        if field not in generator.required:
            assert sum(field not in body for body in bodies) >= 5


@pytest.mark.parametrize("name", PLANS)
def test_bodies_of_the_tour_are_documented(name: str) -> None:
    """Each body has the companions that its selectors require, the required fields, and nothing that may not be sent."""
    contract, resources = PLANS[name]
    generator = Generator(contract.update, resources)
    for body in [*steps(block(made(name), "tour")), *steps(block(made(name, profile="smoke"), "tour"))]:
        assert set(body) <= set(generator.fields)
        assert set(generator.required) <= set(body)
        for selector in set(generator.selectors) & set(body):
            assert set(generator.choice(selector, body[selector]).requires) <= set(body)


def test_what_is_switched_off_is_not_sent() -> None:
    """In the step that leaves a value its companions are not sent: a server may clear them."""
    generator = Generator(BUNDLED.update, RESOURCES)
    primary = max(generator.selectors, key=lambda name: len(generator.enums[name]))
    state: dict[str, Any] = {}
    for body in steps(block(made("with ids"), "tour")):
        before, now = state.get(primary), body.get(primary, state.get(primary))
        if before is not None and now != before:
            left = set(generator.choice(primary, before).companions)
            kept = set(generator.choice(primary, now).companions)
            other = {
                o
                for n in generator.selectors
                if n != primary and n in body
                for o in generator.choice(n, body[n]).companions
            }
            assert not set(body) & left - kept - other
        state.update(body)


def test_aliases_are_tried_together_now_and_then() -> None:
    """Sometimes a name of a thing is sent beside the one that takes precedence."""
    request = BUNDLED.update.request
    assert request is not None
    bodies = steps(block(made("with ids"), "tour"))
    for group in request.aliases:
        assert any(group.wins in body and len(set(group.fields) & set(body)) > 1 for body in bodies)


def test_a_required_name_gives_way_to_another_one() -> None:
    """Where a selector's value requires a name that loses, it is sent with the one that wins while it stands there."""
    request, bodies = BUNDLED.request, steps(block(made("with ids"), "tour"))
    beaten = [
        (name, value, other, group.wins)
        for name, item in request.selectors.items()
        for value, choice in item.choices.items()
        for other in choice.requires
        for group in request.aliases
        if other in group.fields and other != group.wins
    ]
    assert len(beaten) == 4
    for name, value, other, wins in beaten:
        assert any(body.get(name) == value and {other, wins} <= body.keys() for body in bodies), other


def test_a_value_is_sent_again_as_it_stands() -> None:
    """A form sends what stands there as well: with some handlers a step has the handler and its companions as they are."""
    state: dict[str, Any] = {}
    same = set()
    for body in steps(block(made("with ids"), "tour")):
        handler = body.get("call_handler")
        needs = BUNDLED.request.selectors["call_handler"].choices[handler].requires if handler else ()
        if handler == state.get("call_handler") and needs and all(body[n] == state.get(n) for n in needs):
            same.add(handler)
        state |= body
    assert len(same) >= 5


def test_strangers_read_after_the_tour() -> None:
    """An API may let somebody in once much was written: reads without the right to ask come late, and write nothing."""
    whole = made("with ids")
    names = [b.name for b in whole.blocks]
    late = block(whole, "access to reads")
    assert names.index("access to reads") > names.index("tour")
    assert {(case.operation, case.body is MISSING) for case in late} == {
        ("retrieve_phone_number", True),
        ("list_phone_numbers", True),
    }
    assert {case.credentials for case in late} >= {"none", "wrong_password", "wrong_user", "other_scheme"}
    early = block(whole, "access")
    assert {case.operation for case in early if case.credentials != "right"} == {"update_phone_number"}


@pytest.mark.parametrize(("name", "channels"), [("with ids", ["message", "call"]), ("lamps", [])])
def test_strangers_write_one_channel_alone(name: str, channels: list[str]) -> None:
    """An API may have another place, which asks for nothing, for what belongs to one selector."""
    writes = [case for case in block(made(name), "access") if case.credentials != "right"]
    prefixes = [{field.partition("_")[0] for field in case.body} for case in writes]
    assert [one for some in prefixes if len(some) == 1 for one in some if one in {"call", "message"}] == channels
    assert len(writes) - len(channels) >= 2


def test_the_stamp_is_an_old_one_where_something_is_refused() -> None:
    """Omissions and the first step of the tour come after a rest: a stamp that moves, or stands, shows there."""
    whole = made("with ids")
    assert all(case.rested for case in block(whole, "omissions") if ".requires." in case.rule)
    assert block(whole, "tour")[0].rested
    assert not any(case.rested for case in block(whole, "random"))


def test_a_selector_goes_where_its_companion_is_stored() -> None:
    """Once by itself, to a value at which it does not stand: the documents leave open whether that is taken."""
    whole = made("with ids")
    tour = list(states(steps([*block(whole, "tour"), *block(whole, "random")])))[-1]
    found = [case for case in block(whole, "silence") if case.label.endswith("with what is stored")]
    (moved,) = [c for c in found if not c.unless and set(c.body) == {"call_handler"}]
    value = moved.body["call_handler"]
    needs = BUNDLED.request.selectors["call_handler"].choices[value].requires
    assert moved.expect == "unspecified"
    assert value != tour["call_handler"]
    assert needs
    assert all(name in tour for name in needs)


def test_the_list_is_read_where_it_shows_most() -> None:
    """The parts of the tour are the whole of it, and end in states in which the selectors stand elsewhere each time."""
    whole = next(b for b in made("with ids").blocks if b.name == "tour")
    generator = Generator(BUNDLED.update, RESOURCES)
    parts = list(whole.parts(generator.enums, generator.marker or ""))
    state: dict[str, Any] = {}
    seen, names = [], []
    for part, when in parts:
        for case in part.cases:
            state |= case.body if case.body is not MISSING else {}
        if when:
            assert part.cases[-1].body is MISSING
            seen.append((state["call_handler"], state["message_handler"]))
            names.append(state["name"])
    assert tuple(case for part, _ in parts for case in part.cases) == whole.cases
    assert [when for _, when in parts] == [*(f"meanwhile {k}" for k in range(1, LISTS)), "after", ""]
    # With the list before, which shows the record as it was found, each value of each selector but one.
    assert len({call for call, _ in seen}) == LISTS
    assert len({message for _, message in seen}) >= 4
    assert max(map(len, names)) > 40
    assert any("<" in name for name in names)
    assert max("".join(names)) > "\uffff"


@pytest.mark.parametrize(("fields", "values"), [(10, 5), (80, 5), (40, 11), (10, 20)])
def test_the_plan_grows_with_what_there_is(fields: int, values: int) -> None:
    """Many more fields, or selector values, keep the tour as near to its bound."""
    contract = grown(fields, values)
    whole = plan(contract)
    walked = list(states(steps(block(whole, "tour"))))
    seen = {(a["kind"], b["kind"]) for a, b in pairwise(walked)}

    assert whole.bound >= values * (values - 1)
    assert whole.updates <= 1.25 * whole.bound
    assert len({pair for pair in seen if pair[0] != pair[1]}) == values * (values - 1)
    planned = [case for part in whole.blocks if part.name != "random" for case in part.cases]
    others = sum(case.operation == contract.update.id for case in planned) - whole.updates
    assert others <= 8 * (fields + values)


@pytest.mark.parametrize("name", ["second fragment", "lamps"])
def test_what_is_left_of_the_budget_is_spent_on_bodies_by_chance(name: str) -> None:
    """A small contract's run has as many requests as a large one's: values beside others that are not sent and stand."""
    contract, resources = PLANS[name]
    whole, generator = made(name), Generator(contract.update, resources)
    random = block(whole, "random")
    assert 250 <= sum(not case.unless for case in whole.cases) <= 300 - 12
    assert len({repr(case.body) for case in random}) > 0.6 * len(random)

    stands: dict[str, Any] = {}
    beside, refused = set(), set()
    for case in random:
        if case.expect == "reject":
            refused |= {(case.core[0], n, stands[n]) for n in generator.selectors if n in stands}
            continue
        body = case.body
        beside |= {(n, body[n], o) for n in generator.enums if n in body for o in generator.enums if o not in body}
        stands |= body
    enums = generator.enums
    assert len(beside) > 0.4 * sum(len(enums[n]) * (len(enums) - 1) for n in enums)
    assert len(refused) > 0.4 * sum(len(enums[n]) * len(enums) for n in generator.selectors)


def test_with_very_many_fields_only_combinations_with_a_selector_are_wanted() -> None:
    """The wanted combinations grow with the square of the enumerated fields then, not with the cube."""
    layouts = [Layout(Generator(grown(fields, 5).update), random.Random(0)) for fields in (40, 80)]
    few, many = (len(layout.triples) for layout in layouts)
    assert few < many <= 4.5 * few


@pytest.mark.parametrize(("fields", "values", "selectors", "wide"), [(2, 2, 1, 8), (3, 2, 2, 5)])
def test_no_update_that_is_to_be_accepted_is_empty(fields: int, values: int, selectors: int, wide: int) -> None:
    """Also where there is hardly anything beside the selectors: the documents do not say that nothing may be sent."""

    def enumerated(count: int, **more: Any) -> dict[str, Any]:
        return {"type": "string", "enum": [f"v{i}" for i in range(count)], **more}

    sent = {f"f{i}": enumerated(values) for i in range(selectors, fields)}
    for i in range(selectors):
        sent[f"f{i}"] = enumerated(wide, **{"x-selector": {f"v{k}": {} for k in range(wide)}})
    contract = lamp({REQUEST: sent, f"{RESPONSE}/f0": {}, "components/schemas/Setting/x-aliases": MISSING})
    accepted = [case for case in plan(contract).cases if case.expect == "accept"]
    assert all(case.body is MISSING or case.body for case in accepted)


@pytest.mark.parametrize("selectors", [0, 2])
def test_very_many_fields_and_few_selectors(selectors: int) -> None:
    """Where there is no selector the first enumerated field stands in its place."""
    fields: dict[str, Any] = {f"f{i}": {"type": "string", "enum": ["a", "b"]} for i in range(16)}
    for i in range(selectors):
        fields[f"f{i}"] = {**fields[f"f{i}"], "x-selector": {"a": {}}}
    contract = lamp({REQUEST: fields, f"{RESPONSE}/f0": {}, "components/schemas/Setting/x-aliases": MISSING})
    reached, wanted = plan(contract).coverage["combinations of three enumerated values"]

    assert wanted == {0: 105 * 8, 2: 14 * 8}[selectors]
    assert reached / wanted > 0.65


# ------------------------------------------------------------------------ the other blocks


@pytest.mark.parametrize("name", PLANS)
def test_labels_and_rules(name: str) -> None:
    """Each case has a label of its own, and the rule that it is about is one of the contract."""
    known = rules(PLANS[name][0])
    for profile in PROFILES if name in {"with ids", "lamps"} else ("smoke", "standard"):
        cases = list(made(name, profile=profile).cases)
        assert len({case.label for case in cases}) == len(cases)
        for case in cases:
            assert case.rule == "" or case.rule in known
            assert (case.expect == "accept") == (case.rule == "")


@pytest.mark.parametrize("name", PLANS)
def test_every_refusal_that_can_be_sent_is_sent(name: str) -> None:
    """There is a case for each enumerated field, each companion and each kind of wrong credentials."""
    contract, resources = PLANS[name]
    generator = Generator(contract.update, resources)
    sent = {case.rule for case in made(name).cases}
    everywhere = ("no_server_error", "no_leak", "error_body", "no_trace")
    wanted = {id for id in rules(contract) if any(part in id for part in (".access.", ".rejection.", ".requires."))}
    for id in (id for id in wanted - sent if not id.endswith(everywhere)):
        # Only what needs an id that was not given, beside the companion that is left out.
        _, _, selector, value, _, companion = id.split(".")
        others = set(generator.choice(selector, value).requires) - {companion}
        assert others - set(generator.fields)


@pytest.mark.parametrize("name", PLANS)
def test_a_refusal_breaks_one_thing(name: str) -> None:
    """A body that must be refused is a documented one, but for the one value or companion that it is about."""
    contract, resources = PLANS[name]
    generator = Generator(contract.update, resources)
    for case in [*block(made(name), "omissions"), *block(made(name), "refusals")]:
        if not isinstance(case.body, dict) or case.expect == "accept":
            continue
        *_, field, detail = case.rule.split(".")
        for other, value in case.body.items():
            item = generator.request.fields[other]
            wrong = not Draft202012Validator(dict(item.schema)).is_valid(value)
            wrong = wrong or ("format" in item.excludes and not matches(item.format, value))
            assert wrong == (".rejection." in case.rule and other == field and detail in item.excludes)
        lacking = {
            companion
            for selector, item in generator.request.selectors.items()
            if case.body.get(selector) in item.choices
            for companion in item.choices[case.body[selector]].requires
            if case.body.get(companion, "") == ""
        }
        assert lacking == ({detail} if ".requires." in case.rule else set())
        if ".requires." in case.rule:
            assert (detail in case.absent) != (detail in case.body)
        if case.absent:
            assert case.away_from is not None
            assert case.body[case.away_from[0]] == case.away_from[1]


def test_a_malformed_value_and_an_empty_companion_must_be_refused() -> None:
    """Where the documents state a format, or want a companion filled, one such body is sent, with what it is about alone;
    what is no id on the tour, where one is stored, and read right after it.
    """
    tour = block(made("with ids"), "tour")
    sent = {case.rule: case for case in (*block(made("with ids"), "refusals"), *tour) if case.core}
    malformed = sent["update_phone_number.rejection.call_video_room_id.format"]
    empty = sent["update_phone_number.handler.call_handler.relay_script.requires.call_relay_script_url"]
    assert [case.expect for case in (malformed, empty)] == ["reject", "reject"]
    assert [case.core for case in (malformed, empty)] == [
        ("call_video_room_id",),
        ("call_handler", "call_relay_script_url"),
    ]
    assert empty.body["call_relay_script_url"] == ""
    there = [*tour].index(malformed)
    assert any("call_video_room_id" in case.fields for case in tour[:there])
    assert tour[there + 1].body is MISSING


def test_an_unknown_id_comes_with_ids_that_exist() -> None:
    """An API may look up what a body names before it knows that there is no record."""
    _, resources = PLANS["with ids"]
    case = next(c for c in block(made("with ids"), "access") if c.target == "unknown" and c.fields)
    assert resources.items() <= case.fields.items()


def test_what_a_value_wants_filled_is_sent_empty_while_it_stands() -> None:
    """An API may look at an empty companion only where the selector is sent: once it is sent by itself."""
    cases = block(made("with ids"), "silence")
    place = next(i for i, case in enumerate(cases) if case.label == "an empty call_relay_script_url by itself")
    assert cases[place].body == {"call_relay_script_url": ""}
    assert cases[place].expect == "unspecified"
    assert cases[place - 1].body["call_handler"] == "relay_script"


def test_most_fields_stay_unsent_at_most_changes_of_the_largest_selector() -> None:
    """What a change clears is seen in what is not sent with it: of each address that no value of the selector uses it is
    not in three of four, and at each change something stands that is not sent.
    """
    contract, resources = PLANS["with ids"]
    generator = Generator(contract.update, resources)
    state: dict[str, Any] = {}
    unsent: dict[tuple[Any, Any], set[str]] = {}
    for body in steps(block(made("with ids"), "tour")):
        change = state.get("call_handler"), body.get("call_handler", state.get("call_handler"))
        if None not in change and change[0] != change[1]:
            unsent[change] = {name for name, value in state.items() if name not in body and value is not None}
        state |= body

    assert len(unsent) == 110
    assert min(map(len, unsent.values())) >= 5
    for name in ("call_status_callback_url", "message_fallback_url", "call_relay_topic_status_callback_url"):
        assert generator.fields[name].format == "uri"
        assert sum(name in names for names in unsent.values()) >= 0.75 * len(unsent)


@pytest.mark.parametrize("name", PLANS)
def test_a_refused_body_would_show(name: str) -> None:
    """Whatever must be refused carries a value that appears nowhere else, so that a trace of it is seen."""
    contract, resources = PLANS[name]
    marker = Generator(contract.update, resources).marker
    assert marker is not None
    whole = made(name)
    marks = [
        case.body[marker]
        for b in ("access", "omissions", "refusals")
        for case in block(whole, b)
        if isinstance(case.body, dict) and marker in case.body and marker not in case.core
    ]
    accepted = {
        case.body.get(marker) for case in whole.cases if case.expect == "accept" and isinstance(case.body, dict)
    }
    assert len(marks) > 8
    assert not set(marks) & accepted
    # The same body is sent once more, and nothing else has the same mark.
    assert len({*marks}) == len(marks) - 1


def test_a_mark_fits_its_field() -> None:
    """The mark is no longer and no shorter than its field may be, or it would be refused for that."""
    for low, high in ((0, 12), (60, 60), (1, 100)):
        contract = lamp({f"{REQUEST}/label/minLength": low, f"{REQUEST}/label/maxLength": high})
        marks = [
            case.body["label"]
            for case in plan(contract, profile="smoke").cases
            if case.expect == "reject" and isinstance(case.body, dict) and case.core != ("label",)
        ]
        assert marks
        assert all(low <= len(mark) <= high for mark in marks)


def test_weak_omissions_come_last() -> None:
    """What may well be accepted is sent after a read has shown that the documented omissions left no trace."""
    cases = block(made("with ids"), "omissions")
    assert [case.expect for case in cases[-2:]] == ["accept", "accept"]
    cases = cases[:-2]
    known = rules(BUNDLED)
    bases = [known[case.rule].basis if case.rule else "read" for case in cases]
    cut = bases.index("read")
    assert set(bases[:cut]) == {"documented"}
    assert set(bases[cut + 1 :]) == {"inferred"}


@pytest.mark.parametrize("name", PLANS)
def test_what_documents_are_silent_about(name: str) -> None:
    """Of an open value either answer will do; what must change nothing is marked so, and is sent once only."""
    contract, _ = PLANS[name]
    read = Case(label="", operation=contract.retrieve.id)
    cases = [case for case in block(made(name), "silence") if replace(case, label="") != read]
    labels = [case.label for case in cases]
    assert {case.expect for case in cases} == {"unspecified"}
    for case in cases:
        if case.keep:
            assert not case.open
        elif isinstance(case.body, dict) and case.target == "own":
            assert set(case.open) == set(case.body)
        assert case.unless == "" or case.unless in labels
    wanted = {"an unknown key", "an empty body", "blank values", "long 6 values", "http values", "a wrong media type"}
    assert wanted <= set(labels)
    uuid = contract.update.key is not None and contract.update.key.schema.get("format") == "uuid"
    assert any("malformed id" in label for label in labels) == uuid


def test_null_that_is_documented_has_to_be_taken() -> None:
    """Fields whose type names null are sent as null, all at once, but for those that a selector may require."""
    null = {"type": ["string", "null"], "x-source": "book"}
    contract = lamp({f"{REQUEST}/call": null, f"{REQUEST}/leader": null, f"{RESPONSE}/call": null})
    cases = {case.label: case for case in block(plan(contract), "silence")}
    assert cases["null in call"].body == {"call": None}
    assert cases["null in call"].expect == "accept"
    assert "read after null" in cases
    assert not any(label.startswith("null in call,") for label in cases)


def test_the_selectors_are_sent_again_as_they_are_left() -> None:
    """The value that stands after the tour and the random part is sent without its companions, which are stored by then."""
    whole = made("lamps")
    final: dict[str, Any] = {}
    for body in (*steps(block(whole, "tour")), *steps(block(whole, "random"))):
        final.update(body)
    case = next((c for c in whole.cases if c.label == "mode with what is stored"), None)
    if Generator(lamp().update).choice("mode", final["mode"]).requires:
        assert case is not None
        assert case.body == {"mode": final["mode"]}
    else:
        assert case is None


def test_what_is_no_text_is_sent_as_another_type() -> None:
    """One field of each type that is none of texts gets a text, and a list gets objects, of which documents are silent."""
    more: dict[str, Any] = {"glow": {"type": "boolean"}, "dim": {"type": "boolean"}, "hours": {"type": "integer"}}
    more |= {
        "tags": {"type": "array", "items": {"type": "string"}},
        "timer": {"type": "object", "properties": {"a": {}}},
    }
    changes = {f"{place}/{name}": schema for place in (REQUEST, RESPONSE) for name, schema in more.items()}
    cases = block(plan(lamp(changes)), "silence")
    sent = {case.label: case for case in cases if case.label.startswith(("a text in", "objects in"))}

    known = [n for n, f in lamp(changes).request.fields.items() if f.types and "string" not in f.types]
    kinds = {label: type(next(iter(case.fields.values()))) for label, case in sent.items()}
    assert kinds["a text in glow"] is kinds["a text in timer"] is str
    assert kinds["objects in tags"] is list
    assert "a text in dim" not in sent
    assert {name for case in sent.values() for name in case.fields} <= {*known}
    assert {case.expect for case in sent.values()} == {"unspecified"}


# ------------------------------------------------------------------------ profiles


@pytest.mark.parametrize("name", PLANS)
def test_profiles_are_within_their_budgets(name: str) -> None:
    """What is planned leaves room for custody, with 50 and 300 requests in all; and what gives way where there is
    something to look into is enough for it.
    """
    assert PROFILES["smoke"].requests == 50
    assert PROFILES["standard"].requests == 300
    assert sum(1 for _ in made(name, profile="smoke").cases) <= 40 - 12
    standard = sum(not case.unless for case in made(name).cases)
    assert standard + OVERHEAD + MARGIN <= 300
    blocks = {b.name: b for b in made(name).blocks}
    gives_way = blocks["silence"].cost - blocks["silence"].thinned(1000).cost
    assert MARGIN + gives_way + blocks["random"].cost >= INVESTIGATION


def test_what_a_change_leaves_is_shown() -> None:
    """Of the ordered changes a fifth is seen by something else than the answer to the change itself."""
    whole = made("with ids")
    standing: Any = None
    change: tuple[Any, Any] | None = None
    shown = set()
    for case in block(whole, "tour"):
        value = case.body.get("call_handler", standing) if case.body is not MISSING else standing
        if case.body is MISSING or "call_handler" not in case.body:
            shown.add(change)
        elif value != standing:
            change = (standing, value)
        standing = value
    assert len(shown - {None}) >= 22


@pytest.mark.parametrize("name", PLANS)
def test_smoke_sends_each_selector_value(name: str) -> None:
    """The shortest profile tries every settable value once, and every kind of refusal."""
    contract, resources = PLANS[name]
    generator = Generator(contract.update, resources)
    whole = made(name, profile="smoke")
    bodies = steps(block(whole, "tour"))
    for selector in generator.selectors:
        assert {body[selector] for body in bodies} == set(generator.enums[selector])
    assert whole.coverage == {}
    assert [b.name for b in whole.blocks if b.name != "omissions"] == ["access", "refusals", "tour"]
    assert len(block(whole, "access")) == 2


def test_deep_draws_more_and_explores() -> None:
    """The longest profile has the same tour, more bodies by chance, and the state machine after it."""
    standard, deep = made("with ids"), made("with ids", profile="deep")
    assert steps(block(standard, "tour")) == steps(block(deep, "tour"))
    assert len(block(deep, "random")) > 5 * len(block(standard, "random")) > 0
    assert deep.profile.explore
    assert not standard.profile.explore


def test_reads_are_spread_over_the_tour() -> None:
    """Reads stand all over the tour, and show every value of the largest selector."""
    cases = block(made("with ids"), "tour")
    generator = Generator(BUNDLED.update, RESOURCES)
    primary = max(generator.selectors, key=lambda name: len(generator.enums[name]))
    state: str | None = None
    shown: set[str | None] = set()
    places: list[int] = []
    for i, case in enumerate(cases):
        if case.body is MISSING:
            assert case.operation == BUNDLED.retrieve.id
            shown.add(state)
            places.append(i)
        else:
            state = case.body.get(primary, state)
    assert shown == set(generator.enums[primary])
    assert max(b - a for a, b in pairwise(places)) < len(cases) // 4


def test_answers_show_most_changes_of_the_smaller_selector() -> None:
    """A change that is answered and not stored shows in a read right after it, or in an answer without the selector."""
    generator = Generator(BUNDLED.update, RESOURCES)
    smaller = min(generator.selectors, key=lambda name: len(generator.enums[name]))
    cases = block(made("with ids"), "tour")
    shown: set[tuple[Any, Any]] = set()
    state = MISSING
    for case, after in pairwise(cases):
        value = case.body.get(smaller, state) if case.body is not MISSING else state
        if value != state is not MISSING and (after.body is MISSING or smaller not in after.body):
            shown.add((state, value))
        state = value
    assert len(shown) >= 0.6 * len(generator.enums[smaller]) * (len(generator.enums[smaller]) - 1)


def test_what_is_sent_twice_holds_escapes() -> None:
    """An API that encodes a URL once more each time shows it where it gets one twice that is encoded already."""
    twice = [value for case in block(made("with ids"), "tour") if case.repeat for value in case.body.values()]
    urls = [value for value in twice if str(value).startswith("https:")]
    assert sum("%" in url for url in urls) >= 0.4 * len(urls)


def test_a_block_gives_up_what_it_can_do_without() -> None:
    """Reads of the tour, and questions where the documents are silent, evenly; updates and refusals never."""
    blocks = {b.name: b for b in made("with ids").blocks}
    tour, silence, refusals = blocks["tour"], blocks["silence"], blocks["refusals"]

    def reads(one: Block) -> list[int]:
        return [i for i, case in enumerate(one.cases) if case.body is MISSING]

    for by, left in ((-4, 0), (0, 0), (5, 5), (1000, len(reads(tour)) - 3)):
        less = tour.thinned(by)
        assert len(tour.cases) - len(less.cases) == left
        assert steps(less.cases) == steps(tour.cases)
        assert len(reads(less)) >= 3
    assert refusals.thinned(1000) == refusals
    kept = silence.thinned(1000).cases
    firm = [c for c in silence.cases if not c.open and (c.expect != "accept" or c.body is not MISSING)]
    assert len(kept) - len(firm) == 3
    assert [c for c in kept if c in firm] == firm


def test_the_other_channel_stands_while_one_changes() -> None:
    """The largest selector changes to each value while another one, and what that requires, stands and is not sent."""
    contract, resources = PLANS["with ids"]
    generator = Generator(contract.update, resources)
    state: dict[str, Any] = {}
    stood: set[tuple[Any, Any]] = set()
    for body in steps(block(made("with ids"), "tour")):
        changes = body.get("call_handler", state.get("call_handler")) != state.get("call_handler")
        state |= body
        needs = generator.choice("message_handler", state["message_handler"]).requires
        if changes and not {"message_handler", *needs} & body.keys():
            stood.add((state["call_handler"], state["message_handler"]))

    assert {call for call, _ in stood} == {*generator.enums["call_handler"]}
    assert {message for _, message in stood} == {*generator.enums["message_handler"]}
    assert len(stood) >= 14


def test_one_channel_is_written_by_itself() -> None:
    """Only fields of calls, wherever the message handler stands; only fields of messages, at most call handlers."""
    contract, resources = PLANS["with ids"]
    generator = Generator(contract.update, resources)
    state: dict[str, Any] = {}
    alone: dict[str, set[Any]] = {"call": set(), "message": set()}
    for body in steps(block(made("with ids"), "tour")):
        kinds = {name.partition("_")[0] for name in body} - {"name"}
        for kind, other in (("call", "message_handler"), ("message", "call_handler")):
            if kinds == {kind}:
                alone[kind].add(state.get(other))
        state |= body

    assert alone["call"] >= {*generator.enums["message_handler"]}
    assert len(alone["message"]) >= 5


@pytest.mark.parametrize("by", [3, 6, 8])
def test_no_value_of_a_selector_goes_unread(by: int) -> None:
    """Reads are given up as far as each value of a selector is still read: in the tour, or before it or after it."""
    selectors = ("call_handler", "message_handler")

    def read(one: Block) -> set[tuple[str, Any]]:
        state: dict[str, Any] = {}
        shown: set[tuple[str, Any]] = set()
        for case in one.cases:
            state |= case.body if isinstance(case.body, Mapping) else {}
            shown |= {(n, state[n]) for n in selectors if n in state} if case.body is MISSING else set()
        return shown

    tour = next(one for one in made("with ids").blocks if one.name == "tour")
    found = {"call_handler": "relay_script"}
    less = tour.thinned(by, selectors, [found])

    assert len(less.cases) < len(tour.cases)
    assert read(less) | {*found.items()} >= read(tour)
    if by > 3:
        assert read(tour.thinned(by)) | {*found.items()} < read(tour) | {*found.items()}


@pytest.mark.parametrize("seed", [0, 3])
def test_what_tells_most_is_shown_by_the_reads_that_stay(seed: int) -> None:
    """Where a run gives up some reads, the others still show the names that are written wrongly most often."""
    tour = next(one for one in made("with ids", seed=seed).blocks if one.name == "tour")
    shown: list[Any] = []
    state: dict[str, Any] = {}
    for case in tour.thinned(7, ("call_handler", "message_handler")).cases:
        state |= case.fields
        shown += [state["name"]] if case.body is MISSING else []
    most = Generator(BUNDLED.update, RESOURCES).firm("name")[: len(shown)]
    assert len({*shown} & {*most}) >= 2 * len(most) // 3


def test_what_no_answer_shows_is_sent_while_nothing_else_stands_for_it() -> None:
    """A required companion that is never answered is sent by itself, with no other name of it stored."""
    case = next(c for c in block(made("with ids"), "omissions") if c.label.endswith("message_relay_application alone"))
    assert case.expect == "accept"
    assert case.body == {"message_handler": "relay_application", "message_relay_application": "Front desk"}
    assert set(case.absent) == {"message_relay_context", "message_relay_topic"}


def test_steps_that_are_sent_twice_differ() -> None:
    """What is sent twice in the tour is so with another value of each selector every time."""
    repeated = [case.body for case in block(made("with ids"), "tour") if case.repeat]
    for name in ("call_handler", "message_handler"):
        values = [body[name] for body in repeated if name in body]
        assert len(values) == len({*values}) > 1


def test_an_omission_has_company() -> None:
    """Where one selector lacks a companion, the others are sent as well, with theirs: an API may look at one alone."""
    cases = [c for c in block(made("with ids"), "omissions") if c.rule.endswith("requires.call_video_room_id")]
    assert cases
    assert all("message_handler" in case.body for case in cases)


def test_reads_show_what_was_written() -> None:
    """Of the boundary values of the free fields that the tour sends, reads show nearly half, and of each field a quarter."""
    state: dict[str, Any] = {}
    sent: dict[str, set[str]] = {}
    shown: dict[str, set[str]] = {}
    for case in block(made("with ids"), "tour"):
        if case.body is MISSING:
            for name, value in state.items():
                shown.setdefault(name, set()).add(value)
            continue
        for name in case.body.keys() & set(Generator(BUNDLED.update, RESOURCES).free):
            state[name] = repr(case.body[name])
            sent.setdefault(name, set()).add(state[name])
    assert sum(map(len, shown.values())) >= 0.44 * sum(map(len, sent.values()))
    assert [name for name, values in sent.items() if len(shown[name]) < 0.25 * len(values)] == []


def test_a_selector_value_that_cannot_be_set_is_told() -> None:
    """Values that need an id which was not given are named; none is where all are given."""
    assert made("with ids").unreachable == ()
    assert len(made("without ids").unreachable) == len(NAMES)
    assert all(entry.count(" ") == 1 for entry in made("without ids").unreachable)


# ------------------------------------------------------------------------ the same again


def text(whole: Plan) -> str:
    """A plan as text, down to the last byte."""
    parts = [[b.name, b.proof, [{**asdict(c), "open": dict(c.open)} for c in b.cases]] for b in whole.blocks]
    return json.dumps([parts, whole.coverage, whole.updates, whole.bound], default=repr)


@pytest.mark.parametrize("profile", PROFILES)
def test_two_plans_with_one_seed_are_the_same(profile: str) -> None:
    """Planning twice, from two readings of one fragment, gives the same bytes; another seed gives others."""
    one, two = (plan(lamp(), profile=profile, seed=5) for _ in range(2))
    assert one is not two
    assert text(one) == text(two)
    assert text(made("lamps", profile=profile)) != text(one)


def test_a_plan_is_the_same_in_every_process() -> None:
    """Neither the hashes of texts nor the order of a set reaches the plan, or what Hypothesis draws."""
    code = (
        "from contract import spec; from contract.generate import Generator, draw; from contract.plan import plan;"
        "p = plan(spec.load(), seed=2, resources={'call_video_room_id': 'x'});"
        "g = Generator(spec.load().update, {'call_video_room_id': 'x'});"
        "print([(c.label, c.body) for c in p.cases], p.coverage, draw(g.bodies(), 12, 3), draw(g.negative_bodies(), 12, 3))"
    )
    answers = {
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": seed}
        ).stdout
        for seed in ("1", "2")
    }
    assert len(answers) == 1
    assert len(answers.pop()) > 20_000


def test_labels_are_stable_when_the_seed_changes() -> None:
    """The cases of two seeds have the same labels, but for those of the walk itself."""
    ones, twos = (
        {c.label for b in made("with ids", seed=s).blocks for c in b.cases if b.name != "tour"} for s in (0, 3)
    )
    assert ones == twos


def test_a_plan_is_made_once() -> None:
    """The same question has the same plan."""
    contract, resources = PLANS["lamps"]
    assert plan(contract, resources=resources) is plan(contract, resources={})


# ------------------------------------------------------------------------ shares


@pytest.mark.parametrize("shares", [1, 2, 3, 7, 40])
def test_shares_cover_everything(shares: int) -> None:
    """Shared out among several records no case is lost, none is sent by two, and no change between two steps is lost."""
    whole = made("with ids")
    parts = split(whole, shares)
    assert len(parts) == shares
    labels = Counter(case.label for part in parts for b in part for case in b.cases)
    again = labels - Counter(case.label for case in whole.cases)
    assert {case.label for case in whole.cases} <= set(labels)
    cuts = sum(b.name == "tour" for part in parts for b in part) - 1
    assert cuts - 3 <= sum(again.values()) <= 4 * cuts

    def updates(cases: Iterable[Case]) -> list[str]:
        return [str(case.body) for case in cases if case.body is not MISSING]

    def changes(cases: Iterable[Case]) -> set[tuple[str, str]]:
        return set(pairwise(updates(cases)))

    begun = [b.cases[0] for part in parts for b in part if b.name == "tour"]
    assert not any(case.repeat for case in begun), "nothing is repeated that was not sent to this record"
    walked = [changes(b.cases) for part in parts for b in part if b.name == "tour"]
    assert set().union(*walked) == changes(block(whole, "tour"))


@pytest.mark.parametrize("shares", [2, 3, 7])
def test_shares_are_even(shares: int) -> None:
    """No record gets much more than its share, and one that rests meanwhile gets less."""

    def weight(part: Block) -> int:
        # In a tour each rest is one of its own; elsewhere the first one will do for all.
        rests = [case.rested for case in part.cases]
        return len(rests) + RESTING * (sum(rests) if part.name == "tour" else any(rests))

    weights = [sum(map(weight, parts)) for parts in split(made("with ids"), shares)]
    # Those of the tour are in one piece.
    assert max(weights) <= sum(weights) / shares + RESTING * (RESTS - 1) + 5


def test_shares_keep_the_order_of_the_blocks() -> None:
    """Each record gets its blocks in the order of the plan."""
    whole = made("with ids")
    order = [b.name for b in whole.blocks]
    for part in split(whole, 3):
        places = [order.index(b.name) for b in part]
        assert places == sorted(places)


# ------------------------------------------------------------------------ selected rules


def only(*endings: str) -> Plan:
    """The plan for the rules that end in this way."""
    whole = made("with ids")
    return needed(whole, BUNDLED, {id for id in rules(BUNDLED) if id.endswith(endings)})


def test_only_the_selected_refusals_are_sent() -> None:
    """For one rule about a refusal its cases are sent, and no tour is walked."""
    some = only(".rejection.message_handler.enum")
    assert {case.rule for case in some.cases} == {"update_phone_number.rejection.message_handler.enum"}
    assert (some.updates, some.bound, some.coverage, some.unreachable) == (0, 0, {}, ())


def test_rules_about_values_need_the_tour() -> None:
    """For a rule about an accepted update the tour is walked, and no refusal is sent."""
    some = only(".echo.name")
    assert [b.name for b in some.blocks] == ["first", "tour", "random"]
    assert some.updates == made("with ids").updates


@pytest.mark.parametrize("ending", [".rejection.no_server_error", ".rejection.no_leak"])
def test_rules_about_every_answer_need_every_case(ending: str) -> None:
    """Whether an answer is a server error or holds a secret is asked of every answer."""
    assert list(only(ending).cases) == list(made("with ids").cases)


def test_rules_about_every_refusal_need_every_refusal() -> None:
    """The body of a refusal, and that it leaves no trace, is judged on each of them."""
    some = only(".rejection.error_body")
    assert "tour" not in [b.name for b in some.blocks]
    whole = made("with ids")
    assert {case.label for case in some.cases} == {
        c.label for b in whole.blocks if b.name not in {"first", "tour", "random"} for c in b.cases
    }


def test_a_general_rule_needs_the_cases_of_its_group() -> None:
    """For the general rule of a group the cases of all its rules are sent."""
    some = only("update_phone_number.access")
    assert {case.rule for case in some.cases} == {
        f"update_phone_number.access.{kind}"
        for kind in ("no_credentials", "wrong_password", "wrong_user", "unknown_id", "foreign_id")
    }


def test_a_rule_that_is_not_known_needs_nothing() -> None:
    """A rule of another contract sends nothing."""
    assert needed(made("with ids"), BUNDLED, {"other.echo.name"}).blocks == ()


# ------------------------------------------------------------------------ odd contracts


def test_a_wrong_token_is_a_wrong_password() -> None:
    """Where a token is asked for there is no user to be wrong."""
    kinds = {case.credentials for case in block(made("second fragment"), "access")}
    kinds |= {case.credentials for case in block(made("second fragment"), "access to reads")}
    assert kinds == {"none", "wrong_password", "longer_password", "recased_password", "other_scheme", "right"}


def test_without_credentials_only_ids_are_wrong() -> None:
    """Where nobody has to prove anything nothing is proved wrong."""
    contract = lamp({"security": MISSING})
    assert {case.credentials for case in plan(contract).cases} == {"right"}
    assert block(plan(contract, profile="smoke"), "access") != ()


def test_without_a_marker_a_documented_body_is_sent() -> None:
    """Where no field can carry a mark a request without rights carries what an update has to have."""
    fields = {"mode": {"type": "string", "enum": ["a", "b"]}, "size": {"type": "integer"}}
    contract = lamp(
        {
            REQUEST: fields,
            "components/schemas/Setting/x-aliases": MISSING,
            "components/schemas/Setting/required": ["size"],
        }
    )
    assert all(case.body for case in block(plan(contract), "access") if case.operation == "set_lamp")


def test_values_are_given_out_in_turn() -> None:
    """Each boundary value comes once before any comes again, and an enumerated field has its first."""
    generator = Generator(BUNDLED.update, RESOURCES)
    values = Values(generator, 4)
    name = generator.marker or ""
    count = len(generator.firm(name))
    first = [values.take(name) for _ in range(count)]
    assert sorted(first) == sorted(generator.firm(name))
    assert values.left(name) == count
    for value in first[:-1]:
        values.sent({name: value})
    assert values.left(name) == 1
    assert [values.take(name), values.take(name)] == first[-1:] * 2
    values.sent({name: first[-1]})
    assert [values.take(name) for _ in range(count + 1)] == [*first, first[0]]
    enumerated = next(iter(generator.enums))
    assert values.take(enumerated) == generator.enums[enumerated][0]


def test_a_value_beside_the_alias_that_wins_is_still_to_be_sent() -> None:
    """An answer says nothing about a name that loses, so its value comes again."""
    values = Values(Generator(BUNDLED.update, RESOURCES), 0)
    group = BUNDLED.request.aliases[0]
    loser = next(name for name in group.fields if name != group.wins)
    count = values.left(loser)
    values.sent({loser: values.take(loser), group.wins: values.take(group.wins)})
    assert (values.left(loser), values.left(group.wins)) == (count, count - 1)
    values.sent({loser: values.take(loser)})
    assert values.left(loser) == count - 1


@pytest.mark.parametrize("name", PLANS)
def test_what_is_omitted_is_missed_beside_what_other_values_need(name: str) -> None:
    """A body lacks one companion, and holds those of the other values that stand for nothing that it lacks."""
    contract, resources = PLANS[name]
    generator = Generator(contract.update, resources)
    rules_of = rules(contract)
    for case in block(made(name), "omissions"):
        selector = next(iter(case.core), "")
        if ".requires." not in case.rule or rules_of[case.rule].basis != "documented":
            continue
        choices = generator.request.fields[selector].choices.values()
        others = {n for choice in choices for n in choice.requires if n in generator.fields}
        others = {n for n in others if not generator.request.aliases_of((n,)) & {*case.absent, *case.core}}
        assert others <= case.body.keys()
        assert not case.body.keys() & set(case.absent)


def test_what_stands_for_an_omitted_companion_is_left_out_too() -> None:
    """An API takes an address that has two names by either of them."""
    contract = lamp(
        {
            f"{REQUEST}/mode/x-selector/blink": {"requires": {"call": {}}},
            f"{REQUEST}/ring": {"type": "string", "format": "uri"},
            f"{RESPONSE}/ring": {"type": ["string", "null"]},
            "components/schemas/Setting/x-aliases": [{"fields": ["call", "ring"], "wins": "call"}],
        }
    )
    omitted = [case for case in block(plan(contract), "omissions") if case.label == "mode blink without call"]
    assert [case.body.keys() & {"call", "ring"} for case in omitted] == [set()]


def test_every_refused_body_names_what_it_is_refused_for() -> None:
    """Its core is in it, and holds the one thing that the documents exclude."""
    whole = made("with ids")
    cases = [c for name in ("refusals", "omissions") for c in block(whole, name) if c.expect == "reject" and c.body]
    assert len(cases) > 20
    for case in cases:
        if case.content is None:
            assert case.core
            assert case.core[0] in case.rule
            assert set(case.core) <= case.body.keys()


def test_the_random_part_ends_with_one_body_three_times() -> None:
    """Its selectors stay where they are, and their companions change: what is taken once only shows there."""
    first, *same = [case for case in block(made("with ids"), "random") if case.label.startswith("random")]
    assert [case.repeat for case in same] == [0, 1, 2]
    assert same[0].body == same[1].body == same[2].body
    changed = {name for name, value in same[0].body.items() if first.body.get(name, value) != value}
    selectors = Generator(BUNDLED.update, RESOURCES).selectors
    assert changed
    assert not changed & set(selectors)
    assert all(first.body[name] != same[0].body[name] for name in METHODS)
    assert same[2].repeated()[:2] == [replace(same[2], repeat=0), replace(same[2], repeat=1)]


@pytest.mark.parametrize("seed", [0, 3])
def test_every_name_of_one_thing_is_sent_at_once(seed: int) -> None:
    """Each has a value of its own, so that it shows which one takes precedence."""
    whole = made("with ids", seed=seed)
    for group in Generator(BUNDLED.update, RESOURCES).request.aliases:
        sent = [c.body for c in block(whole, "random") if set(group.fields) <= c.body.keys()]
        assert any(len({repr(body[name]) for name in group.fields}) == len(group.fields) for body in sent)


@pytest.mark.parametrize("seed", [0, 3])
def test_one_address_is_sent_to_all_that_take_it(seed: int) -> None:
    """An API may take two fields for one where they hold the same."""
    fields = Generator(BUNDLED.update, RESOURCES).fields
    addresses = {name for name, item in fields.items() if item.format == "uri"}
    groups = [set(group.fields) for group in BUNDLED.request.aliases]
    most = len(addresses) - sum(len(addresses & group) - 1 for group in groups if addresses & group)
    sent = [
        [v for n, v in case.body.items() if n in addresses] for case in block(made("with ids", seed=seed), "random")
    ]
    assert any(len(values) >= most and len({*values}) <= 1 + len(groups) for values in sent)


@pytest.mark.parametrize("name", ["with ids", "without ids"])
def test_what_stands_in_the_free_fields_is_sent_by_itself(name: str) -> None:
    """Each field has the value that was sent for it last, and no enumerated field is there to hide what it changes."""
    whole = made(name)
    last = block(whole, "random")[-1]
    stands: dict[str, Any] = {}
    for case in [*block(whole, "tour"), *block(whole, "random")[:-1]]:
        stands |= case.body if case.body is not MISSING and case.expect == "accept" else {}
    assert last.body.items() <= stands.items()
    assert len(last.body) > 10
    assert not last.body.keys() & Generator(BUNDLED.update, RESOURCES).enums.keys()


def test_a_tour_without_enumerated_fields() -> None:
    """Where there is nothing to change from and to, the boundary values alone are walked."""
    contract = lamp({REQUEST: {"label": {"type": "string"}}, "components/schemas/Setting/x-aliases": MISSING})
    whole = plan(contract)
    assert whole.bound == 33
    assert whole.coverage == {"combinations of three enumerated values": (0, 0), "boundary values": (33, 33)}


def test_values_of_the_classes_can_be_changed_by_copy() -> None:
    """A block is a value like any other."""
    one = Block(name="a", cases=())
    assert replace(one, proof=True) != one
    assert Tour.__doc__


FIELDS = Generator(BUNDLED.update, RESOURCES).fields


@pytest.mark.parametrize(
    ("name", "value", "how", "made"),
    [
        ("name", "Front desk", "case", "fRONT DESK"),
        ("name", "Front desk", "more", "Front desk "),
        ("name", "Front desk", "less", "Front des"),
        ("name", "007", "case", "0072"),
        ("name", "0", "less", "02"),
        ("name", "", "more", ""),
        ("name", None, "case", None),
        ("name", "x" * 60, "more", "x" * 60 + " "),
        ("call_request_url", "https://example.com/A?b=c", "case", "https://example.com/a?B=C"),
        ("call_request_url", "https://example.com/a", "more", "https://example.com/a2"),
        ("call_request_url", "https://example.com", "more", "https://example.com/2"),
        ("call_request_url", "https://example.com/a", "less", "https://example.com/a?less"),
        ("call_request_url", "https://example.com/a?b", "less", "https://example.com/a?b&less"),
        ("call_request_url", "https://example.com", "case", "https://example.com"),
        *((name, "3fa85f64-5717-4562-b3fc-2c963f66afa6", "more", "3fa85f64-5717-4562-b3fc-2c963f66afa6")
          for name in RESOURCES),
        ("call_request_method", "GET", "case", "GET"),
    ],
)  # fmt: skip
def test_what_is_nearly_stored_is_still_right(name: str, value: Any, how: str, made: Any) -> None:
    """Other letters, or a little more or less at the end; never another host, another id, or nothing at all."""
    assert near(value, how, FIELDS[name]) == made


def test_what_is_nearly_stored_is_sent_after_what_is_stored() -> None:
    """One update for each way to be near: what it sends is near what the updates before it left, and right."""
    known: dict[str, Any] = {}
    ways: dict[str, set[str]] = {}
    for case in block(made("with ids"), "tour"):
        if case.body is MISSING or case.repeat:
            continue
        for name, value in case.body.items():
            for how in ("case", "more", "less"):
                if name in known and known[name] != value == near(known[name], how, FIELDS[name]):
                    ways.setdefault(how, set()).add(name)
        known |= case.body
    assert set(ways) == {"case", "more", "less"}
    assert all(len(names) >= 8 and "name" in names for names in ways.values())


def test_what_is_no_id_is_sent_for_every_field_that_wants_one() -> None:
    """Also where these are more than the reads of the tour."""
    fields: dict[str, Any] = {f"room{i}": {"type": "string", "format": "uuid"} for i in range(120)}
    sent = {f"{REQUEST}/{name}": item | {"x-resource": True} for name, item in fields.items()}
    contract = lamp(sent | {f"{RESPONSE}/{name}": item for name, item in fields.items()})
    cases = plan(contract).cases
    assert {f"set_lamp.rejection.{name}.format" for name in fields} <= {case.rule for case in cases}


def test_a_limit_that_is_too_far_away_to_go_beyond_is_left_alone() -> None:
    """A text that is too long by one would be larger than an API has to take: other fields are asked about."""
    contract = lamp({f"{REQUEST}/label/maxLength": 100_000, f"{RESPONSE}/label/maxLength": 100_000})
    whole = plan(contract)
    assert not [case for case in whole.cases if case.rule.endswith("label.maxLength")]
    assert sum(case.expect == "reject" for case in whole.cases) > 10


def test_one_update_sends_nearly_everything() -> None:
    """An API may have a limit on the fields of one body: all but one stand in one of the tour's."""
    most = max((case.body for case in block(made("with ids"), "tour") if case.body is not MISSING), key=len)
    assert len(most) >= len(FIELDS) - 1
