"""The values that travel between the stages: frozen, plain, and copied with one change."""

from __future__ import annotations

import copy
import pickle
from dataclasses import FrozenInstanceError, fields, is_dataclass, replace
from typing import Any

import pytest

from contract import model
from contract.ledger import of_acceptance, of_answer
from contract.model import BASES, MISSING, PROMISES, Case, Fact, Finding, Interaction, Response, Rule, of_time, under

FACT = Fact("observed", "live: an answer")
RULE = Rule(id="op.echo.name", operation="op", promise="echo", fact=FACT, text="it is answered", group="op.echo")
CASE = Case(label="one", operation="op")
RESPONSE = Response(status=200, headers={})
VALUES = [FACT, RULE, CASE, RESPONSE, Interaction(case=CASE, response=RESPONSE), Finding(rule="r", message="m")]


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_values_are_frozen(value: Any) -> None:
    """Nothing can be set on a value, be it known or new; a copy with one change is another value."""
    name = fields(value)[0].name
    with pytest.raises(FrozenInstanceError):
        setattr(value, name, "changed")
    with pytest.raises((AttributeError, TypeError)):
        value.something_new = 1

    changed = replace(value, **{name: "changed"})
    assert getattr(changed, name) == "changed"
    assert changed != value
    assert replace(value) == value


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_values_can_travel(value: Any) -> None:
    """A value is the same after pickling, so that workers of other processes can send it."""
    assert pickle.loads(pickle.dumps(value)) == value


def test_every_dataclass_of_the_module_is_tried() -> None:
    """No value of the module is left out of these tests."""
    known = {cls for cls in vars(model).values() if is_dataclass(cls) and isinstance(cls, type)}

    assert {type(value) for value in VALUES} == known


def test_what_is_not_there() -> None:
    """`MISSING` is false, is not null, equals nothing but itself, and stays one however it is copied."""
    assert not MISSING
    assert MISSING is not None
    assert MISSING != ""
    assert repr(MISSING) == "<absent>"
    assert copy.copy(MISSING) is MISSING
    assert copy.deepcopy({"a": MISSING})["a"] is MISSING
    assert pickle.loads(pickle.dumps(MISSING)) is MISSING


def test_a_rule_has_the_basis_of_its_fact() -> None:
    """The basis of a rule is that of the fact that it stands on."""
    assert RULE.basis == "observed"


def test_bases_go_from_strong_to_weak() -> None:
    """The order of the bases is what `strict` compares by."""
    assert BASES == ("documented", "observed", "inferred")


def test_promises_are_told_in_the_order_of_a_report() -> None:
    """There are fifteen promises, the shape of an answer first and the bystanders last, each in words."""
    assert len(PROMISES) == 15
    assert next(iter(PROMISES)) == "shape"
    assert list(PROMISES)[-1] == "bystander"
    assert all(PROMISES.values())


def test_a_case_is_a_documented_request_unless_it_says_otherwise() -> None:
    """Without more, a case sends right credentials to its own record and must be accepted."""
    assert (CASE.expect, CASE.credentials, CASE.target) == ("accept", "right", "own")
    assert CASE.body is MISSING
    assert CASE.content is None


@pytest.mark.parametrize(
    ("rule", "stems", "expected"),
    [
        ("op.frame.label", ("frame",), True),
        ("op.frame", ("frame",), True),
        ("op.echo.frame", ("frame",), False),
        ("op.echo.format", ("shape", "format"), False),
        ("op.rejection.no_trace", ("rejection.no_trace",), True),
        ("op.shape.no_trace.type", ("rejection.no_trace",), False),
        ("op.framed.label", ("frame",), False),
    ],
)
def test_a_field_may_be_called_like_a_promise(rule: str, stems: tuple[str, ...], expected: bool) -> None:
    """What a rule is about is told by where its id begins, not by what stands anywhere in it."""
    assert under(rule, *stems) is expected


def test_a_field_may_be_called_like_what_is_said_of_time() -> None:
    """A number that calls are sent forward to is no time stamp that goes forward."""
    assert of_time("op.time.updated_at.forward", "forward")
    assert not of_time("op.echo.forward", "forward")
    assert not of_answer("op.echo.format")
    assert not of_acceptance("op.frame.accept")
