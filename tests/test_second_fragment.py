"""A contract that has nothing in common with the bundled one works without a line of code."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

import contract
from contract import explain, rules, spec
from contract.check import Judge
from contract.custody import Journal
from contract.model import Case, Interaction, Response
from contract.result import Result
from contract.run import restore_all, run
from tests.kit import broken
from tests.subscriptions import (
    BASE_URL,
    CREDENTIALS,
    DEFECTS,
    FRAGMENT,
    KINDS,
    TICKET,
    VARIANTS,
    Refusal,
    Service,
    judged,
    settings,
)

CONTRACT = spec.load(FRAGMENT)
UPDATE = contract.load(FRAGMENT).operation("change_settings")
JUDGE = Judge(CONTRACT)
WEAK = "change_settings.handler.delivery.queue.requires.retries"
"""A rule that was only observed; this service does not keep it."""
TOGETHER = (
    "clamping+rounding+resetting+dropping+shouting+trimming+open",
    "backwards+boundless+brief+tracing+queueless",
    "terse+idle+lax+careless",
    "noisy+negative+talkative+curt",
    "swallowing+crashing",
    "quiet",
)
"""All defects, and which ones one service has: fewer than four of one group of rules, whose common rule is told else."""


@cache
def found(habit: str) -> Result:
    """A standard run against a service that has nothing but its habits, and is as it was afterwards."""
    service = Service(habit)
    before = service.settings
    result = judged(service)
    assert plain(service.settings) == plain(before)
    return result


def plain(values: dict[str, Any]) -> dict[str, Any]:
    """Settings without the order of the topics, which means nothing."""
    return {**values, "topics": sorted(values["topics"])}


def test_a_clean_service_keeps_every_rule_that_can_be_exercised() -> None:
    """A whole standard run keeps the contract, within 300 requests, and says of each other rule why not."""
    result = found("")

    assert result.verdict == "kept"
    assert result.problem == ""
    assert result.requests <= 300
    assert {e.rule.id: e.reason for e in result.entries if e.verdict == "not_exercised"} == {
        "change_settings.access.foreign_id": "needs foreign_ids in the configuration",
        "show_settings.access.foreign_id": "needs foreign_ids in the configuration",
        "change_settings.bystander": "needs bystander_ids in the configuration",
        # It is required, so there is no update without it.
        "change_settings.frame.priority": "no answer of this run bears on it",
    }
    assert [e.rule.id for e in result.entries if e.verdict == "warned"] == [WEAK]


def test_what_can_never_be_read_is_told() -> None:
    """A field that is never shown is exercised all the same, and named as one that nobody can put back."""
    sent = [exchange.case.body for exchange in found("").exchanges]

    assert any(isinstance(body, dict) and body.get("passphrase") for body in sent)
    (restored,) = found("").restored.values()
    assert (restored.verdict, restored.unseen) == ("restored", ("passphrase",))


def test_strict_makes_a_weaker_basis_count() -> None:
    """What only warns by default fails the run where observed facts count."""
    assert broken(judged(Service(), strict="observed")) == [WEAK]


@pytest.mark.parametrize("habit", ["clearing+precise", "refusing"])
def test_a_lawful_variant_keeps(habit: str) -> None:
    """What the fragment leaves open is no failure, and the record is put back."""
    assert found(habit).verdict == "kept"


def test_null_may_be_left_out(tmp_path: Path) -> None:
    """What is null is not missing where an answer need not hold it, and the record is put back."""
    text = FRAGMENT.read_text(encoding="utf-8")
    text = re.sub(r"required:\s+\[ticket.*?\]", "required: [ticket, state]", text, count=1, flags=re.DOTALL)
    assert "required: [ticket, state]" in text
    fragment = tmp_path / "fragment.yaml"
    fragment.write_text(text, encoding="utf-8")
    service = Service("sparse")
    before = service.settings

    assert judged(service, spec=str(fragment)).verdict == "kept"
    assert service.settings == before


@pytest.mark.parametrize("habit", TOGETHER)
def test_a_defect_breaks_its_rule_and_no_other(habit: str) -> None:
    """Each defect is told under the rule that names it, and the record is put back all the same."""
    habits = habit.split("+")
    # A refusal is badly formed in whatever operation refuses.
    also = {"show_settings.rejection.error_body"} if "terse" in habits else set()

    assert found(habit).verdict == "broken"
    assert set(broken(found(habit))) == {DEFECTS[name] for name in habits} | also
    assert found(habit).restored[str(TICKET)].verdict == "restored"


def test_every_habit_is_looked_for() -> None:
    """Each defect is in one service, and no name stands for a defect and a variant."""
    assert sorted("+".join(TOGETHER).split("+")) == sorted(DEFECTS)
    assert not set(DEFECTS) & set(VARIANTS)
    assert set(DEFECTS.values()) <= set(rules.rules(CONTRACT))
    with pytest.raises(ValueError, match="no habit is called 'clamp'"):
        Service("clamp")


def test_a_body_that_is_told_can_be_sent() -> None:
    """The smallest body of a failure holds the required field, so that it shows the failure by itself."""
    entry = next(e for e in found(TOGETHER[0]).entries if e.rule.id == DEFECTS["rounding"])

    assert entry.failures[0].body["share"] not in {0, 1}
    assert set(entry.failures[0].body) == {"share", "priority"}


@pytest.mark.parametrize(("profile", "most"), [("smoke", 40), ("deep", 400)])
def test_the_other_profiles_keep_too(profile: str, most: int) -> None:
    """Smoke needs at most 40 requests, and the state machine of a deep run finds nothing wrong either."""
    service = Service()
    before = service.settings
    result = judged(service, profile=profile, max_requests=400)

    assert service.settings == before
    assert result.verdict == "kept"
    assert result.requests <= most
    assert (result.requests > 300) == (profile == "deep")


def test_a_wrong_token_ends_the_run_before_anything_is_written() -> None:
    """Credentials that are refused are no failure of the API."""
    service = Service()
    before = dict(service.record)

    with pytest.raises(contract.Undecided, match="credentials are refused"):
        run(settings(), {**CREDENTIALS, "token": "another-token"}, transport=service.transport)

    assert service.record == before


def fresh() -> Service:
    """A service without a stored companion."""
    service = Service()
    service.record.update(dict.fromkeys(("endpoint", "address", "queue", "retries", "hour")), delivery="fax")
    return service


@given(UPDATE.bodies())
@examples(max_examples=50)
def test_bodies_are_accepted(body: dict[str, Any]) -> None:
    """Every generated body is valid under its schema, and a service that stores nothing yet takes it."""
    request = CONTRACT.update.request
    assert request is not None
    jsonschema.Draft202012Validator(dict(request.schema)).validate(body)
    sent = fresh().change(json.dumps(body).encode(), "application/json")

    assert sent == body
    assert set(body) <= set(KINDS)


@given(UPDATE.negative_bodies())
def test_negative_bodies_are_refused(pair: tuple[dict[str, Any], str]) -> None:
    """Every body that breaks a rule is refused by the service, but for the rule that it does not keep."""
    body, rule = pair
    content = json.dumps(body).encode()
    if rule == WEAK:
        fresh().change(content, "application/json")
        return
    with pytest.raises(Refusal) as refusal:
        fresh().change(content, "application/json")

    assert refusal.value.status == 422
    assert rule.split(".")[2 if ".rejection." in rule else -1] in refusal.value.fields


@given(st.data())
@examples(max_examples=25)
def test_a_check_needs_no_code_either(data: st.DataObject) -> None:
    """`Spec.check` judges an answer of the second API: what is shown is kept, what is changed is found."""
    service = fresh()
    before = service.shown(None)
    body = data.draw(UPDATE.bodies())
    service.change(json.dumps(body).encode(), "application/json")
    after = service.shown(body)
    checked = contract.load(FRAGMENT)

    assert checked.check(after, request=body, before=before) == []
    wrong = {**after, "priority": 9 if after["priority"] != 9 else 8}
    assert [f.rule for f in checked.check(wrong, request=body, before=before)] == ["change_settings.echo.priority"]


def test_its_rules_are_its_own() -> None:
    """Every rule belongs to one of its two operations, and can be told in words."""
    made = rules.rules(CONTRACT)

    assert {rule.operation for rule in made.values()} == {"change_settings", "show_settings"}
    assert len(made) > 200
    for rule in made.values():
        assert next(explain.lines(CONTRACT, rule)) == rule.id


def test_what_is_older_than_a_rule_is_found_before_anything_changes() -> None:
    """A number beyond what the documents allow, which no update takes any more, ends the run, and stays."""
    service = Service()
    service.record["retries"] = 99
    before = service.settings
    result = judged(service)

    assert (result.verdict, broken(result)) == ("undecided", [])
    assert result.problem.startswith("1 field could not be put back, so nothing was changed: retries (")
    assert plain(service.settings) == plain(before)


def test_restoring_says_what_is_never_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a run that was cut off, what can only be written may be the run's own, and nobody can tell."""
    service = Service()
    Journal.of(tmp_path, BASE_URL, str(TICKET)).write(BASE_URL, str(TICKET), service.record)
    monkeypatch.setattr(httpx, "HTTPTransport", lambda **given: service.transport)
    done = restore_all(settings(state_dir=str(tmp_path)), CREDENTIALS)

    assert [one.unseen for one in done.values()] == [("passphrase",)]


@pytest.mark.parametrize("where", ["update", "retrieve"])
def test_what_is_only_written_must_not_be_shown(where: str) -> None:
    """A secret that comes back under its own name is a leak; one that is masked, or of another run, is none."""
    shown = {"passphrase": "correct horse", "title": "x"}

    def leaks(sent: Any, record: dict[str, Any]) -> bool:
        judge = Judge(CONTRACT)
        update = Case(label="a", operation=CONTRACT.update.id, body={"priority": 1, "passphrase": sent})
        read = Case(label="b", operation=CONTRACT.retrieve.id)
        content = json.dumps(record).encode()
        answer = Response(status=200, headers={"content-type": "application/json"}, content=content, body=record)
        silent = replace(answer, content=b"{}", body={})
        first = judge.judge(Interaction(case=update, response=answer if where == "update" else silent, id="1"))
        last = judge.judge(Interaction(case=read, response=answer, id="1")) if where == "retrieve" else first
        return any(f.rule.endswith(".no_leak") for f in last.findings)

    assert not leaks("another one", shown)
    assert not leaks("correct horse", {**shown, "passphrase": "***********"})
    assert not leaks("correct horse", {"title": "correct horse"})
    assert leaks("correct horse", shown)


def test_what_is_write_only_without_being_a_secret_may_be_shown() -> None:
    """The documents of the bundled contract show one field in requests alone; an API that answers it as well is lawful."""
    bundled = spec.load()
    name = next(n for n, item in bundled.request.fields.items() if item.write_only)
    assert bundled.request.fields[name].format == ""
    judge = Judge(bundled)
    case = Case(label="a", operation=bundled.update.id, body={name: "sales"})
    content = json.dumps({name: "sales"}).encode()
    answer = Response(status=200, headers={"content-type": "application/json"}, content=content, body={name: "sales"})
    findings = judge.judge(Interaction(case=case, response=answer, id="1")).findings
    assert not any(finding.rule.endswith(".no_leak") for finding in findings)


def test_null_that_is_promised_and_refused_breaks_the_contract(tmp_path: Path) -> None:
    """It is no reason to say that nobody can tell: the documents say that null is taken, and the record holds it."""
    promising = tmp_path / "promising.yaml"
    text = FRAGMENT.read_text(encoding="utf-8")
    whole = text.replace(
        "        reference:\n          type: string\n", "        reference:\n          type: [string, 'null']\n"
    )
    assert whole != text
    promising.write_text(whole, encoding="utf-8")
    service = Service("refusing")
    service.record["reference"] = None
    result = judged(service, spec=str(promising), profile="smoke")

    assert result.verdict == "broken"
    assert broken(result) == ["change_settings.deprecated.reference"]


def test_a_bound_of_an_answer_is_told_with_its_limit() -> None:
    """The rule and what was expected name the limits, without what is written for people."""
    record = Service().record
    result = JUDGE.judge(
        Interaction(
            case=Case(label="a", operation="show_settings"),
            response=Response(
                status=200, headers={"content-type": "application/json"}, body={**record, "priority": 10}
            ),
        )
    )
    (wrong,) = [finding for finding in result.findings if finding.pointer == "/priority"]
    assert wrong.rule == "show_settings.shape.priority.type"
    assert wrong.expected == {"type": "integer", "minimum": 1, "maximum": 9}
    assert rules.rules(CONTRACT)[wrong.rule].text == "priority is integer, minimum 1, maximum 9"
