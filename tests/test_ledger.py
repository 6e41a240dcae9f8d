"""The ledger: one verdict for each rule, and one failure for each fault."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from contract import spec
from contract.answer import Judgement
from contract.config import Settings
from contract.known import Accepted, Known
from contract.ledger import MANY, Entry, Failure, Ledger, rank, unsettled
from contract.model import Case, Finding, Interaction, Response
from contract.prepare import account
from contract.rules import rules
from tests.fragments import lamp

RULES = rules(lamp())
OPERATIONS = {"set_lamp", "show_lamp", "list_lamps", spec.load().update.id}
UPDATE = Case(label="an update", operation="set_lamp", body={"label": "A"})
READ = Case(label="a read", operation="show_lamp")


def ledger(**more: Any) -> Ledger:
    """An empty account of the lamps."""
    return Ledger(rules=RULES, **more)


def failure(rule: str, pointer: str = "", number: int = 1, *, case: Case = UPDATE, **more: Any) -> Failure:
    """One failure of a rule of the update, or of the one with that whole id."""
    id = rule if rule.partition(".")[0] in OPERATIONS else f"set_lamp.{rule}"
    rest: dict[str, Any] = {name: more.pop(name) for name in ("confirmed", "interaction") if name in more}
    finding = Finding(rule=id, message=f"{id} is broken", pointer=pointer, **more)
    interaction = Interaction(case=case, response=Response(status=200, headers={}), id="1")
    made: dict[str, Any] = {"finding": finding, "interaction": interaction, "number": number, "body": case.body}
    return Failure(**{**made, **rest})


def folded(*failures: Failure, **more: Any) -> dict[str, str]:
    """Rule -> the rule under which it is told, after folding; without the operation where it is the update's."""
    account = ledger(**more)
    account.failures = list(failures)
    account.fold()
    return {short(f.finding.rule): short(f.cause) for f in failures}


def short(rule: str) -> str:
    """A rule without the operation, where that is the update."""
    return rule.removeprefix("set_lamp.")


def entry(account: Ledger, rule: str) -> Entry:
    """The line of one rule of the update."""
    return next(e for e in account.entries() if e.rule.id == f"set_lamp.{rule}")


def judged(evidence: Iterable[str] = (), findings: Iterable[Finding] = ()) -> Judgement:
    """What one interaction says."""
    result = Judgement()
    result.evidence += evidence
    result.findings += findings
    return result


# ------------------------------------------------------------------------ folding


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("enum.mode", "echo.mode"),
        ("handler.mode.blink.shown", "echo.mode"),
        ("echo.mode", "frame.mode"),
        ("frame.mode", "rejection.no_trace"),
        ("deprecated.caption", "echo.caption"),
        ("idempotence", "frame.mode"),
        ("echo.mode", "rejection.consistent"),
    ],
)
def test_at_one_place_the_nearest_cause_is_told(one: str, other: str) -> None:
    """Two findings at one place of one answer are one fault, under the rule that is nearer to the cause."""
    strict = {"strict": "inferred"}
    assert folded(failure(one, "/mode"), failure(other, "/mode"), **strict) == {one: "", other: one}
    assert folded(failure(other, "/mode"), failure(one, "/mode"), **strict) == {one: "", other: one}


def test_other_places_and_other_answers_are_other_faults() -> None:
    """What stands elsewhere, or in another answer, is told on its own."""
    assert folded(failure("echo.mode", "/mode"), failure("frame.period", "/period")) == {
        "echo.mode": "",
        "frame.period": "",
    }
    wrong = failure("shape.label.type", "/label", 1, actual=7), failure("echo.label", "/label", 2, actual="B")
    assert folded(*wrong) == {
        "shape.label.type": "",
        "echo.label": "",
    }


def test_what_every_update_changes_one_that_is_to_change_nothing_changes_too() -> None:
    """The frame is told; elsewhere, and for another request, it is a fault of its own."""
    rule = "rejection.read_only"
    idle = replace(UPDATE, rule=f"set_lamp.{rule}", keep=True)
    frame = failure("frame.label", "/label")
    assert folded(frame, failure(rule, "/label", 2, case=idle)) == {"frame.label": "", rule: "frame.label"}
    assert folded(frame, failure(rule, "/period", 2, case=idle)) == {"frame.label": "", rule: ""}
    assert folded(frame, failure(rule, "/label", 2)) == {"frame.label": "", rule: ""}


def test_the_same_rule_twice_at_one_place_is_no_fold() -> None:
    """Two findings of one rule stand beside each other."""
    assert folded(failure("echo.mode", "/mode"), failure("echo.mode", "/mode")) == {"echo.mode": ""}


def test_a_leak_is_never_folded() -> None:
    """That an answer holds a secret is told, whatever else is wrong with it."""
    assert folded(failure("rejection.no_server_error"), failure("rejection.no_leak"), failure("shape.json")) == {
        "rejection.no_server_error": "",
        "rejection.no_leak": "",
        "shape.json": "rejection.no_server_error",
    }


def test_a_field_that_is_never_echoed_is_not_idempotent_either() -> None:
    """What is not answered as it was sent is not so the second time, which is no second fault."""
    again = replace(UPDATE, repeat=True)
    assert folded(failure("echo.label", "/label", 1), failure("idempotence", "/label", 2, case=again)) == {
        "echo.label": "",
        "idempotence": "echo.label",
    }
    assert folded(failure("echo.label", "/label", 2, case=again), failure("idempotence", "/label", 3, case=again)) == {
        "echo.label": "",
        "idempotence": "",
    }
    assert folded(failure("echo.label", "/label", 1), failure("idempotence", "/period", 2))["idempotence"] == ""


def test_fields_that_are_mixed_up_are_one_fault() -> None:
    """A field that shows what was sent for another one is told under that one."""
    case = replace(UPDATE, body={"label": "A", "call": "B"})
    for sent, cause in (("label", "echo.label"), ("call", "")):
        mixed = failure("frame.caption", "/caption", 2, case=case, actual="A")
        assert folded(failure(f"echo.{sent}", f"/{sent}", 1), mixed)["frame.caption"] == cause
    odd = failure("frame.caption", "/caption", 2, case=replace(UPDATE, body=["A"]), actual="A")
    assert folded(failure("echo.label", "/label", 1), odd)["frame.caption"] == ""


def test_a_state_that_nobody_read_is_no_second_fault() -> None:
    """What changed since an answer that a read contradicts is told under that, by its field where possible."""
    period = failure("frame.period", "/period", 2, follows=True)
    both = [failure("read_back.label", "/label", 1), failure("read_back.period", "/period", 3)]
    assert folded(*both, period)["frame.period"] == "read_back.period"
    assert folded(both[0], failure("frame.period", "/period", 2, follows=True))["frame.period"] == "read_back.label"
    assert folded(both[0], failure("frame.period", "/period", 2))["frame.period"] == ""
    stamp = failure("read_back.until", "/until", 1), failure("frame.period", "/period", 2, follows=True)
    assert folded(*stamp)["frame.period"] == "", "a time stamp is no cause"
    assert folded(failure("frame.period", "/period", 2, follows=True))["frame.period"] == ""


def test_what_a_read_shows_otherwise_is_told_once() -> None:
    """A field that is, after a read that showed it otherwise, as it was before is told under that read."""
    read = failure("read_back.label", "/label", 1, expected=" A ", actual="A")
    back = failure("frame.label", "/label", 2, expected="A", actual=" A ")
    assert folded(read, back) == {"read_back.label": "", "frame.label": "read_back.label"}
    for expected, actual in (("A", "B"), (" A ", "A")):
        apart = failure("frame.label", "/label", 2, expected=expected, actual=actual)
        assert folded(read, apart)["frame.label"] == ""


def test_what_a_trace_seemed_to_be_is_told_under_it_only_from_then_on() -> None:
    """A list, or a later answer, that shows what was before a trace is told under it; what came before it is not."""
    trace = failure("rejection.no_trace", "/label", 5, case=READ, expected="A", actual="B")
    listed = failure("list_lamps.read_back", "/lamps/0/label", 6, case=READ, expected="B", actual="A")
    for now in ("A", "C"):  # An update before it may have changed the field, which was not shown then.
        back = failure("frame.label", "/label", 7, expected="B", actual=now)
        assert folded(trace, listed, back) == {
            "rejection.no_trace": "",
            "list_lamps.read_back": "rejection.no_trace",
            "frame.label": "rejection.no_trace",
        }
    earlier = failure("list_lamps.read_back", "/lamps/0/label", 4, case=READ, expected="B", actual="A")
    assert folded(trace, earlier)["list_lamps.read_back"] == ""


def test_a_stamp_that_refusals_move_is_not_answered_otherwise_than_it_is_stored() -> None:
    """What a read shows of it may be what was refused since the last answer; of any other field it is told by itself."""
    for name, cause in (("until", "rejection.no_trace"), ("label", "")):
        trace = failure("rejection.no_trace", f"/{name}", 5, case=READ, expected="A", actual="B")
        read = failure(f"read_back.{name}", f"/{name}", 9, case=READ, expected="B", actual="C")
        assert folded(trace, read) == {"rejection.no_trace": "", f"read_back.{name}": cause}


@pytest.mark.parametrize(
    ("rule", "alone", "early", "noise", "proved", "verdict"),
    [
        ("frame.label", True, False, 0, True, "broken"),
        ("frame.label", True, True, 0, False, "broken"),
        ("accept", True, False, 0, False, "broken"),
        ("shape.period.type", False, False, 0, False, "broken"),
        ("frame.label", True, False, 0, False, "undecided"),
        ("frame.label", False, True, 0, True, "undecided"),
        ("accept", False, False, 0, False, "undecided"),
        ("shape.period.type", True, False, 1, True, "undecided"),
    ],
)
def test_what_nobody_can_look_into_is_broken_only_where_no_other_run_can_have_done_it(
    rule: str, alone: bool, early: bool, noise: int, proved: bool, verdict: str
) -> None:
    """What happened twice is settled by who else may write, by what was seen again, and by what was lost."""
    account = ledger()
    account.failures = [failure(rule, "/label", 1, actual="x"), failure(rule, "/label", 2, actual="y")]
    account.failures += [failure("echo.period", "/period", 3, confirmed=True)] if proved else []
    account.settle(noise, alone=alone, early=early)
    assert entry(account, rule).verdict == verdict


def test_what_happened_once_is_not_settled_by_number() -> None:
    """One failure that nobody looked into stays undecided."""
    account = ledger()
    account.failures = [failure("frame.label", "/label", 1), failure("echo.period", "/period", 3, confirmed=True)]
    account.settle(0, alone=True)
    assert entry(account, "frame.label").verdict == "undecided"


def test_a_malformed_value_is_also_another_value() -> None:
    """A value of the wrong shape differs from what was sent, read and listed; that is told once."""
    wrong = failure("shape.period.type", "/period", 1, actual="5")
    assert folded(
        wrong,
        failure("frame.period", "/period", 2, expected=5, actual="5"),
        failure("read_back.period", "/period", 3, case=READ, expected="5", actual=5),
        failure("list_lamps.read_back", "/lamps/0/period", 4, case=READ, expected=5, actual="5"),
    ) == {
        "shape.period.type": "",
        "frame.period": "shape.period.type",
        "read_back.period": "shape.period.type",
        "list_lamps.read_back": "shape.period.type",
    }
    assert folded(wrong, failure("frame.period", "/period", 2, expected=5, actual=6))["frame.period"] == ""
    assert folded(wrong, failure("frame.label", "/label", 2, expected="a", actual="5"))["frame.label"] == ""


def test_what_was_sent_is_the_cause_of_what_is_shown() -> None:
    """A wrong value that was sent and taken is told as taken, and not as shown."""
    case = replace(UPDATE, body={"period": "5"})
    assert folded(
        failure("shape.period.type", "/period", 1, actual="5"),
        failure("rejection.consistent", "/period", 2, case=case, actual="5"),
        failure("frame.period", "/period", 3, case=case, actual="5"),
    ) == {"shape.period.type": "", "rejection.consistent": "", "frame.period": "shape.period.type"}


def test_what_was_accepted_is_the_cause_of_what_is_shown_from_then_on() -> None:
    """An undocumented value that was taken is shown because of that; another one, or one from before, is not."""
    case = replace(UPDATE, body={"mode": "strobe", "label": "A"}, rule="set_lamp.rejection.mode.enum", core=("mode",))
    taken = failure("rejection.mode.enum", "", 2, case=case, actual="200, accepted")
    shown = failure("enum.mode", "/mode", 3, actual="strobe")
    assert folded(taken, shown)["enum.mode"] == "rejection.mode.enum"
    assert folded(taken, failure("enum.mode", "/mode", 3, actual="blinks"))["enum.mode"] == ""
    assert folded(taken, failure("enum.mode", "/mode", 1, actual="strobe"))["enum.mode"] == ""
    assert folded(taken, failure("shape.label.type", "/label", 3, actual="A"))["shape.label.type"] == ""


def test_one_fault_in_several_operations_is_told_once() -> None:
    """A field that is wrong in every view is told under the operation that comes first in the rules."""
    first = next(iter(RULES)).partition(".")[0]
    assert first == "set_lamp"
    views = [
        failure("list_lamps.enum.color", "/lamps/0/color", 1, case=READ),
        failure("show_lamp.enum.color", "/color", 2, case=READ),
        failure("enum.color", "/color", 3),
        failure("show_lamp.shape.label.type", "/label", 4, case=READ),
    ]
    assert folded(*views) == {
        "list_lamps.enum.color": "enum.color",
        "show_lamp.enum.color": "enum.color",
        "enum.color": "",
        "show_lamp.shape.label.type": "",
    }


@pytest.mark.parametrize("count", [MANY, MANY + 1])
def test_many_rules_of_a_group_are_told_as_one(count: int) -> None:
    """More than three rules of one group are told under the general rule, with some of the failures."""
    names = ["label", "caption", "mode", "period", "color"][:count]
    account = ledger()
    account.failures = [failure(f"echo.{name}", f"/{name}", i + 1) for i, name in enumerate(names)]
    account.fold()
    general = entry(account, "echo")
    if count <= MANY:
        assert general.verdict == "not_exercised"
        assert all(entry(account, f"echo.{name}").verdict == "broken" for name in names)
        return
    assert general.verdict == "broken"
    assert len(general.failures) == MANY
    assert {f.finding.pointer for f in general.failures} <= {f"/{name}" for name in names}
    for name in names:
        assert entry(account, f"echo.{name}").verdict == "undecided"
        assert entry(account, f"echo.{name}").reason == "told under set_lamp.echo"
    assert unsettled(account.entries()) == []


def test_many_rules_without_a_general_one_stand_for_themselves() -> None:
    """Where a group has no general rule nothing is folded under it."""
    names = ["forward", "not_before"]
    account = ledger()
    account.failures = [failure(f"time.until.{name}", "/until", i) for i, name in enumerate(names)]
    account.failures += [failure("deprecated.caption", "/caption", 9), failure("deprecated.mode.follow", "/mode", 10)]
    account.fold()
    assert [f.cause for f in account.failures] == [""] * 4


def test_a_time_stamp_that_goes_back_explains_that_it_does_not_move() -> None:
    """Set back to one moment again and again it stands still as well; that it stands still by itself is told."""
    account = ledger()
    account.failures = [failure("time.until.forward", "/until", 1), failure("time.until.moves", "/until", 2)]
    account.fold()
    assert [f.cause for f in account.failures] == ["", "set_lamp.time.until.forward"]
    account.failures = account.failures[1:]
    account.failures[0].cause = ""
    account.fold()
    assert account.failures[0].cause == ""


def test_what_only_warns_hides_nothing() -> None:
    """A documented rule is not told under one of a weaker basis; where that one counts, it is."""
    assert RULES["set_lamp.enum.mode"].basis == "inferred"
    pair = failure("enum.mode", "/mode"), failure("echo.mode", "/mode")
    assert folded(*pair)["echo.mode"] == ""
    account = ledger()
    account.failures = [failure("enum.mode", "/mode"), failure("echo.mode", "/mode")]
    account.fold()
    assert (entry(account, "enum.mode").verdict, entry(account, "echo.mode").verdict) == ("warned", "broken")
    strict = ledger(strict="inferred")
    strict.failures = [failure("enum.mode", "/mode"), failure("echo.mode", "/mode")]
    strict.fold()
    assert (entry(strict, "enum.mode").verdict, entry(strict, "echo.mode").verdict) == ("broken", "undecided")


def test_folding_twice_is_folding_once() -> None:
    """A second fold changes nothing, and what was folded apart is folded together after it was taken back."""
    names = ["label", "caption", "mode", "period", "color"]
    account = ledger()
    account.failures = [failure(f"echo.{name}", f"/{name}", i + 1) for i, name in enumerate(names)]
    account.failures.append(failure("frame.label", "/label", 1))
    account.fold()
    once = [(f.finding.rule, f.cause) for f in account.failures]
    account.fold()
    assert [(f.finding.rule, f.cause) for f in account.failures] == once
    account.unfold()
    assert [(short(f.finding.rule), f.cause) for f in account.failures] == [
        *((f"echo.{name}", "") for name in names),
        ("frame.label", ""),
    ]
    account.fold()
    assert [(f.finding.rule, f.cause) for f in account.failures] == once


def test_taking_a_fold_back_keeps_what_was_found_out() -> None:
    """What was learnt about the general rule holds for those that were told under it."""
    account = ledger()
    account.failures = [
        failure(f"echo.{name}", f"/{name}", i) for i, name in enumerate(("label", "mode", "color", "call"))
    ]
    account.failures[3].confirmed = False
    account.fold()
    for one in account.failures[4:]:
        one.confirmed = True
    account.unfold()
    assert [f.confirmed for f in account.failures] == [True, True, True, False]


def test_causes_come_nearest_first() -> None:
    """What stands for itself is listed by its distance from a cause, then by when it was seen."""
    account = ledger()
    account.failures = [
        failure("frame.period", "/period", 1),
        failure("echo.label", "/label", 3),
        failure("echo.label", "/label", 2),
        failure("rejection.no_server_error", "", 9),
    ]
    account.failures[0].cause = "x"
    assert [(short(rule), [f.number for f in found]) for rule, found in account.causes().items()] == [
        ("rejection.no_server_error", [9]),
        ("echo.label", [2, 3]),
    ]


@pytest.mark.parametrize(
    ("rule", "place"),
    [
        ("op.rejection.no_server_error", 0),
        ("op.access.no_credentials", 1),
        ("op.shape.status", 2),
        ("op.shape.name.type", 3),
        ("op.rejection.read_only", 2),
        ("op.rejection.mode.enum", 4),
        ("op.rejection.consistent", 10),
        ("op.bystander", 15),
        ("op.accepted.name", 20),
        ("op", 20),
    ],
)
def test_ranks(rule: str, place: int) -> None:
    """A rule that is not known is the farthest from any cause; only whole words count."""
    assert rank(rule) == place


# ------------------------------------------------------------------------ verdicts


def test_evidence_is_counted() -> None:
    """Each look counts for each of its rules, as often as it bears it out; a general rule has that of its rules."""
    account = ledger()
    interaction = failure("echo.label").interaction
    for number in (1, 2, 3):
        account.add(interaction, judged(["set_lamp.echo.label", "set_lamp.echo.label", "set_lamp.echo.mode"]), number)
    assert entry(account, "echo.label") == Entry(rule=RULES["set_lamp.echo.label"], verdict="kept", evidence=6)
    assert entry(account, "echo.mode").evidence == 3
    assert entry(account, "echo").evidence == 9
    assert entry(account, "frame").verdict == "not_exercised"
    assert len(account.interactions) == 1


def test_a_broken_rule() -> None:
    """A rule with a failure that stands is broken, shows at most three, the confirmed ones first."""
    account = ledger()
    interaction = failure("echo.label").interaction
    for number in range(1, 6):
        finding = Finding(rule="set_lamp.echo.label", message="m", pointer="/label")
        assert len(account.add(interaction, judged(["set_lamp.echo.label"], findings=[finding]), number)) == 1
    account.failures[4].confirmed = True
    account.failures[0].confirmed = False
    line = entry(account, "echo.label")
    assert line.verdict == "broken"
    assert line.evidence == 5 + 4
    assert [f.number for f in line.failures] == [5, 2, 3]
    assert [f.number for f in account.failing("set_lamp.echo.label")] == [2, 3, 4, 5]


@pytest.mark.parametrize(
    ("strict", "verdicts"),
    [
        ("documented", ["broken", "warned", "warned"]),
        ("observed", ["broken", "broken", "warned"]),
        ("inferred", ["broken", "broken", "broken"]),
    ],
)
def test_strict_is_the_weakest_basis_that_fails(strict: str, verdicts: list[str]) -> None:
    """A rule whose basis is weaker than asked for warns."""
    names = ["echo.label", "handler.mode.blink.requires.period", "handler.mode.follow.requires.leader"]
    assert [RULES[f"set_lamp.{name}"].basis for name in names] == ["documented", "observed", "inferred"]
    account = ledger(strict=strict)
    account.failures = [failure(name, f"/{i}", i) for i, name in enumerate(names)]
    assert [entry(account, name).verdict for name in names] == verdicts
    assert not account.weak("no.such.rule")


def test_what_does_not_repeat_is_undecided() -> None:
    """A failure that was not seen again is neither broken nor kept, and says what it was."""
    account = ledger()
    account.counts["set_lamp.echo.label"] = 7
    account.failures = [failure("echo.label", "/label", confirmed=False)]
    line = entry(account, "echo.label")
    assert (line.verdict, line.evidence) == ("undecided", 7)
    assert line.reason == "seen, and not again when it was repeated: set_lamp.echo.label is broken"
    assert len(line.failures) == 1
    assert unsettled(account.entries()) == [line]
    assert account.failing("set_lamp.echo.label") == []


@pytest.mark.parametrize(
    ("rule", "reasons", "reason"),
    [
        ("echo.label", {}, "no answer of this run bears on it"),
        ("echo.label", {"": "the run ended before"}, "the run ended before"),
        ("echo.label", {"set_lamp.echo.label": "it was not selected", "": "x"}, "it was not selected"),
        ("echo.leader", {"set_lamp.echo.leader": "needs [resources] leader", "": "x"}, "needs [resources] leader"),
    ],
)
def test_why_a_rule_was_not_exercised(rule: str, reasons: dict[str, str], reason: str) -> None:
    """Nothing is kept because nobody looked: a rule without evidence says why it has none."""
    line = entry(ledger(reasons=reasons), rule)
    assert (line.verdict, line.evidence, line.reason) == ("not_exercised", 0, reason)


def test_what_a_rule_needs_is_named_where_it_was_not_given() -> None:
    """A rule that nothing bears on all the same does not ask for what is there."""
    some = account(Settings(bystander_ids=("b",)), ledger().rules)
    others = account(Settings(resources={"leader": "lamp-1"}), ledger().rules)
    assert (entry(some, "bystander").lacking, entry(others, "bystander").lacking) == (False, True)
    assert entry(others, "bystander").reason == "needs bystander_ids in the configuration"
    assert (entry(some, "echo.leader").lacking, entry(others, "echo.leader").lacking) == (True, False)
    assert entry(some, "echo.leader").reason == "needs [resources] leader"


def test_a_reason_does_not_outweigh_evidence() -> None:
    """A rule that was exercised all the same is judged."""
    account = ledger(reasons={"set_lamp.echo.label": "x"})
    account.counts["set_lamp.echo.label"] = 1
    assert entry(account, "echo.label").verdict == "kept"


def test_every_rule_has_a_line() -> None:
    """The lines stand in the order of the rules."""
    assert [line.rule for line in ledger().entries()] == list(RULES.values())


def test_a_known_failure_only_warns() -> None:
    """What is accepted does not fail the run; what is not, beside it, does."""
    known = Known(entries=(Accepted(rule="set_lamp.echo.label", reason="ticket 7", pointer="/label"),))
    account = ledger(known=known)
    account.failures = [failure("echo.label", "/label", 1)]
    line = entry(account, "echo.label")
    assert (line.verdict, line.accepted, line.reason) == ("warned", True, "accepted: ticket 7")
    account.failures.append(failure("echo.label", "/elsewhere", 2))
    line = entry(account, "echo.label")
    assert (line.verdict, line.accepted, line.reason) == ("broken", False, "")
    assert [f.number for f in line.failures] == [2]
    assert [f.number for f in account.failing("set_lamp.echo.label")] == [2]


def test_known_failures_are_not_many() -> None:
    """Accepted failures do not make a group's general rule fail; a general one accepts its whole group."""
    names = ["label", "caption", "mode", "period", "color"]
    whole = Known(
        entries=(Accepted(rule="set_lamp.echo", reason="all of it", expires=date(2030, 1, 1)),), today=date(2029, 1, 1)
    )
    account = ledger(known=whole)
    account.failures = [failure(f"echo.{name}", f"/{name}", i) for i, name in enumerate(names)]
    account.fold()
    assert [f.cause for f in account.failures] == [""] * 5
    assert entry(account, "echo.label").reason == "accepted until 2030-01-01: all of it"
    account.known = replace(whole, today=date(2031, 1, 1))
    account.fold()
    assert entry(account, "echo").verdict == "broken"


def test_threads_write_to_one_ledger() -> None:
    """Nothing is lost where several records are tested side by side."""
    account = ledger()
    interaction = failure("echo.label").interaction

    def work() -> None:
        for number in range(200):
            finding = Finding(rule="set_lamp.echo.mode", message="m")
            account.add(interaction, judged(["set_lamp.echo.label"], findings=[finding]), number)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert account.counts["set_lamp.echo.label"] == 800
    assert len(account.failures) == 800


def test_a_finding_about_an_unknown_rule_does_no_harm() -> None:
    """A finding whose rule the contract lacks is in no line, and folds like any other."""
    account = ledger()
    account.failures = [failure("set_lamp.unknown", "/x", 1), failure("set_lamp.unknown", "/x", 2)]
    account.fold()
    assert all(line.verdict == "not_exercised" for line in account.entries())


def test_folding_is_the_same_for_the_bundled_contract() -> None:
    """Folding knows promises, groups and operations, and no field of any contract."""
    contract = spec.load()
    account = Ledger(rules=rules(contract))
    names = [id.rpartition(".")[2] for id in rules(contract) if ".frame." in id][:6]
    account.failures = [failure(f"{contract.update.id}.frame.{name}", f"/{name}", i) for i, name in enumerate(names)]
    account.fold()
    assert {f.cause for f in account.failures[:6]} == {f"{contract.update.id}.frame"}
