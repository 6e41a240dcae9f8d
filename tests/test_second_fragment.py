"""A contract that has nothing in common with the bundled one works without a line of code."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

import contract
from contract import explain, rules, spec
from contract.check import Judge
from contract.config import Settings
from contract.custody import Journal
from contract.model import Case, Interaction, Response
from contract.result import Result
from contract.run import restore_all, run
from tests import subscriptions
from tests.subscriptions import DEFECTS, FRAGMENT, KINDS, TICKET, TOKEN, VARIANTS, Refusal, Service

CREDENTIALS = {"username": "", "password": "", "token": TOKEN}
CONTRACT = spec.load(FRAGMENT)
UPDATE = contract.load(FRAGMENT).operation("change_settings")
JUDGE = Judge(CONTRACT)
WEAK = "change_settings.handler.delivery.queue.requires.retries"
"""A rule that was only observed; this service does not keep it."""


def settings(service: Service, **more: Any) -> Settings:
    """What a run against *service* is told."""
    return Settings(base_url=service.base_url, spec=str(FRAGMENT), ids=(str(TICKET),), **{"max_seconds": 60} | more)


def broken(result: Result) -> set[str]:
    """The rules that a run calls broken."""
    return {entry.rule.id for entry in result.entries if entry.verdict == "broken"}


def plain(values: dict[str, Any]) -> dict[str, Any]:
    """Settings without the order of the topics, which means nothing."""
    return {**values, "topics": sorted(values["topics"])}


def test_a_clean_service_keeps_every_rule_that_can_be_exercised() -> None:
    """A whole standard run keeps the contract, within 300 requests, and says of each other rule why not."""
    with subscriptions.running() as service:
        before = service.settings
        result = run(settings(service), CREDENTIALS)
        after = service.settings

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
    assert after == before


def test_what_can_never_be_read_is_told() -> None:
    """A field that is never shown is exercised all the same, and named as one that nobody can put back."""
    with subscriptions.running() as service:
        result = run(settings(service), CREDENTIALS)

        assert service.hidden is not None
    assert result.restored[str(TICKET)].verdict == "restored"
    assert result.restored[str(TICKET)].unseen == ("passphrase",)


def test_strict_makes_a_weaker_basis_count() -> None:
    """What only warns by default fails the run where observed facts count."""
    with subscriptions.running() as service:
        result = run(settings(service, strict="observed"), CREDENTIALS)

    assert broken(result) == {WEAK}


@pytest.mark.parametrize("habit", VARIANTS)
def test_a_lawful_variant_keeps(habit: str, tmp_path: Path) -> None:
    """What the fragment leaves open is no failure, and the record is put back; what is null may be left out where an
    answer need not hold it.
    """
    text = FRAGMENT.read_text(encoding="utf-8")
    if habit == "sparse":
        text = re.sub(r"required:\s+\[ticket.*?\]", "required: [ticket, state]", text, count=1, flags=re.DOTALL)
        assert "required: [ticket, state]" in text
    fragment = tmp_path / "fragment.yaml"
    fragment.write_text(text, encoding="utf-8")
    with subscriptions.running(habit) as service:
        before = plain(service.settings)
        result = run(replace(settings(service), spec=str(fragment)), CREDENTIALS)
        after = plain(service.settings)

    assert result.verdict == "kept"
    assert after == before


@pytest.mark.parametrize("habit", sorted(DEFECTS))
def test_a_defect_breaks_its_rule_and_no_other(habit: str) -> None:
    """Each defect is told under the rule that names it, and the record is put back all the same."""
    with subscriptions.running(habit) as service:
        before = service.settings
        result = run(settings(service), CREDENTIALS)
        after = service.settings

    # A refusal is badly formed in whatever operation refuses.
    also = {"show_settings.rejection.error_body"} if habit == "terse" else set()
    assert result.verdict == "broken"
    assert broken(result) == {DEFECTS[habit]} | also
    assert result.restored[str(TICKET)].verdict == "restored"
    assert after == before


def test_a_body_that_is_told_can_be_sent() -> None:
    """The smallest body of a failure holds the required field, so that it shows the failure by itself."""
    with subscriptions.running("rounding") as service:
        result = run(settings(service), CREDENTIALS)

    failure = next(f for e in result.entries if e.verdict == "broken" for f in e.failures)
    assert failure.body["share"] not in {0, 1}
    assert set(failure.body) == {"share", "priority"}


@pytest.mark.parametrize("profile", ["smoke", "deep"])
def test_the_other_profiles_keep_too(profile: str) -> None:
    """Smoke needs at most 40 requests, and the state machine of a deep run finds nothing wrong either."""
    with subscriptions.running() as service:
        before = service.settings
        result = run(settings(service, profile=profile, max_requests=500), CREDENTIALS)

        assert service.settings == before
    assert result.verdict == "kept"
    assert result.requests <= {"smoke": 40, "deep": 500}[profile]


def test_a_wrong_token_ends_the_run_before_anything_is_written() -> None:
    """Credentials that are refused are no failure of the API."""
    with subscriptions.running() as service:
        before = service.record | {"deliveries": 0}
        with pytest.raises(contract.Undecided, match="credentials are refused"):
            run(settings(service), {**CREDENTIALS, "token": "another-token"})

        assert service.record | {"deliveries": 0} == before


def fresh() -> Service:
    """A service without a stored companion."""
    service = Service()
    service.record.update(dict.fromkeys(("endpoint", "address", "queue", "retries", "hour")), delivery="fax")
    return service


@given(UPDATE.bodies())
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


def test_habits_have_names() -> None:
    """A habit that is not known is refused, and no name stands for a defect and a variant."""
    with pytest.raises(ValueError, match="no habit is called 'clamp'"), subscriptions.running("clamp"):
        pass
    assert not set(DEFECTS) & set(VARIANTS)
    assert set(DEFECTS.values()) <= set(rules.rules(CONTRACT))


def test_what_is_older_than_a_rule_is_found_before_anything_changes() -> None:
    """A number beyond what the documents allow, which no update takes any more, ends the run, and stays."""
    with subscriptions.running() as service:
        service.record["retries"] = 99
        before = service.settings
        result = run(settings(service), CREDENTIALS)
        after = service.settings

    assert (result.verdict, broken(result)) == ("undecided", set())
    assert result.problem.startswith("1 field could not be put back, so nothing was changed: retries (")
    assert plain(after) == plain(before)


def test_restoring_says_what_is_never_shown(tmp_path: Path) -> None:
    """After a run that was cut off, what can only be written may be the run's own, and nobody can tell."""
    with subscriptions.running() as service:
        chosen = settings(service, state_dir=str(tmp_path))
        Journal.of(tmp_path, service.base_url, str(TICKET)).write(service.base_url, str(TICKET), service.record)
        done = restore_all(chosen, CREDENTIALS)

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
    found = judge.judge(Interaction(case=case, response=answer, id="1")).findings
    assert not any(finding.rule.endswith(".no_leak") for finding in found)


def test_null_that_is_promised_and_refused_breaks_the_contract(tmp_path: Path) -> None:
    """It is no reason to say that nobody can tell: the documents say that null is taken, and the record holds it."""
    promising = tmp_path / "promising.yaml"
    text = FRAGMENT.read_text(encoding="utf-8")
    whole = text.replace(
        "        reference:\n          type: string\n", "        reference:\n          type: [string, 'null']\n"
    )
    assert whole != text
    promising.write_text(whole, encoding="utf-8")
    with subscriptions.running("refusing") as service:
        service.record["reference"] = None
        result = run(replace(settings(service), spec=str(promising)), CREDENTIALS)

    assert result.verdict == "broken"
    assert broken(result) == {"change_settings.deprecated.reference"}


def test_a_bound_of_an_answer_is_told_with_its_limit() -> None:
    """The rule and what was expected name the limits, without what is written for people."""
    with subscriptions.running() as service:
        record = dict(service.record)
    judged = JUDGE.judge(
        Interaction(
            case=Case(label="a", operation="show_settings"),
            response=Response(
                status=200, headers={"content-type": "application/json"}, body={**record, "priority": 10}
            ),
        )
    )
    (found,) = [finding for finding in judged.findings if finding.pointer == "/priority"]
    assert found.rule == "show_settings.shape.priority.type"
    assert found.expected == {"type": "integer", "minimum": 1, "maximum": 9}
    assert rules.rules(CONTRACT)[found.rule].text == "priority is integer, minimum 1, maximum 9"
