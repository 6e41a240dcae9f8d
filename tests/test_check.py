"""The judge: for each rule an interaction that keeps it and one that breaks it, made by hand."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, FormatChecker

from contract import reference, spec
from contract.answer import Judgement
from contract.check import MOVES_AFTER, Judge, settled
from contract.document import FORMATS
from contract.formats import matches
from contract.generate import Generator, draw
from contract.model import MISSING, Case, Finding, Interaction, Response
from contract.rules import rules
from contract.send import decode
from contract.shape import RecordShape, same
from contract.spec import Body
from tests import kit
from tests.fragments import REQUEST, RESPONSE, changed, lamp
from tests.strategies import json_values
from tests.subscriptions import FRAGMENT

CONTRACT = lamp()
SECRET = "a-token-of-this-run"
JUDGE = Judge(CONTRACT, (SECRET, "short"))
RULES = rules(CONTRACT)
ID = "3fa85f64-5717-4562-b3fc-2c963f66afa6"
OTHER = "00000000-0000-4000-8000-000000000001"
JSON = {"content-type": "application/json"}
RECORD: dict[str, Any] = {
    "id": ID,
    "phone": "+15558675309",
    "country": "US",
    "label": "Hall",
    "caption": "Old hall",
    "mode": "blink",
    "period": 5,
    "color": "red",
    "leader": None,
    "call": "https://example.com/hall",
    "parts": ["bulb", "foot"],
    "watts": 4.5,
    "since": "2030-01-01T00:00:00Z",
    "until": "2030-01-02T00:00:00Z",
}
LATE = {"since": "2030-01-03T00:00:00Z"}
"""Later than it was changed."""
REQUIRED = ["id", "label", "mode", "period", "color", "leader", "call", "since", "until"]


def answer(body: Any, status: int = 200, headers: Mapping[str, str] = JSON) -> Response:
    """An answer with *body*, or with those bytes."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    value, problem = decode(content)
    return Response(status=status, headers=headers, content=content, body=value, problem=problem)


def look(operation: str, record: Any, **more: Any) -> Interaction:
    """*operation* answers with *record*; an update that sends nothing, a read, or a list of this one record."""
    body = {"lamps": [record], "total": 1} if operation == "list_lamps" else record
    return Interaction(case=Case(label="a", operation=operation), response=answer(body), **{"id": ID, **more})


def put(body: Any, changes: Mapping[str, Any] = {}, before: Any = RECORD, **more: Any) -> Interaction:
    """An accepted update with *body*, after which the record shows that and *changes*."""
    case = {k: v for k, v in more.items() if k in Case.__dataclass_fields__}
    rest = {k: v for k, v in more.items() if k not in case}
    sent = {k: v for k, v in body.items() if k in RECORD} if isinstance(body, dict) else {}
    shown = {k: v for k, v in {**RECORD, **sent, **changes}.items() if v is not MISSING}
    case = {"label": "a", "operation": "set_lamp", "body": body, **case}
    return Interaction(case=Case(**case), response=answer(shown), before=before, **{"id": ID, **rest})


def refused(rule: str, status: int, shown: Any = None, operation: str = "set_lamp", **case: Any) -> Interaction:
    """A request that must be refused under *rule*, and gets *status*."""
    shown = {"error": "no"} if shown is None else shown
    what = Case(label="a", operation=operation, expect="reject", rule=rule, **{"body": {"mode": "x"}, **case})
    return Interaction(case=what, response=answer(shown, status), before=RECORD, id=ID)


def read(record: Any, before: Any = RECORD, verified: bool = False, id: str = ID) -> Interaction:
    """A read that shows *record*, where *before* was known."""
    return look("show_lamp", record, before=before, verified=verified, id=id)


def test_a_pattern_takes_no_time_out_of_bounds() -> None:
    """What does not match is told by an engine that does not try every way there is."""
    judge = Judge(lamp({f"{RESPONSE}/slug": {"type": "string", "pattern": "^(a+)+$"}}))
    judged = judge.judge(look("show_lamp", {**RECORD, "slug": "a" * 60 + "!"}))
    assert [(f.pointer, f.message) for f in judged.findings if "match" in f.message] == [
        ("/slug", f"slug: '{'a' * 60}!' does not match '^(a+)+$'")
    ]


def test_what_counts_writes_is_no_time_stamp() -> None:
    """A number that each write moves has no rules of time, and does not keep the stamp beside it from having them."""
    contract = lamp({f"{RESPONSE}/revision": {"type": "integer", "x-changes": "on-write"}})
    judge = Judge(contract)
    assert judge.on_write == ["until", "revision"] or judge.on_write == ["revision", "until"]
    assert judge.stamps == ["until"]
    assert not [id for id in judge.rules if ".time.revision" in id]
    assert "set_lamp.time.until.moves" in judge.rules


def test_a_blank_that_was_taken_is_no_malformed_answer() -> None:
    """What a body left about which the documents are silent is shown as it was sent, and what was wrong before is not."""
    blank = {**RECORD, "since": ""}
    sent = put({"since": ""}, {"since": ""}, expect="unspecified", open={"since": "exact"})

    def malformed(judge: Judge, *, operation: str, record: Mapping[str, Any], id: str = ID) -> bool:
        judged = judge.judge(look(operation, record, id=id))
        return f"{operation}.format.since" in {f.rule for f in judged.findings}

    for operation in ("show_lamp", "list_lamps"):
        judge = Judge(CONTRACT)
        assert malformed(judge, operation=operation, record=blank)
        judge.judge(sent)
        assert malformed(judge, operation=operation, record=blank)

        judge = Judge(CONTRACT)
        assert "set_lamp.format.since" not in {f.rule for f in judge.judge(sent).findings}
        assert not malformed(judge, operation=operation, record=blank)
        assert malformed(judge, operation=operation, record={**RECORD, "since": "now"})
        assert malformed(judge, operation=operation, record={**blank, "id": OTHER}, id=OTHER)


def test_what_is_derived_of_a_blank_is_none_either() -> None:
    """An id that the API derives of the blank one is as blank; one that is malformed in another way is told."""
    with reference.running(variant="blank-ids-stored") as server:
        shown = kit.record(server)
    body = {"call_handler": "relay_sip_endpoint", "call_sip_endpoint_id": ""}
    case = Case(label="a", operation="update_phone_number", expect="unspecified", body=body, open={**body})
    for derived, found in (("", []), ("none", ["update_phone_number.format.calling_handler_resource_id"])):
        response = answer({**shown, **body, "calling_handler_resource_id": derived})
        judged = Judge(kit.CONTRACT).judge(Interaction(case=case, response=response, id=shown["id"]))
        assert [f.rule for f in judged.findings if ".format.call" in f.rule] == found


# ------------------------------------------------------------------------ one row per rule

WRONG: dict[str, dict[str, Any]] = {
    "id": {"type": 7, "null": None, "format": "3fa85f64"},
    "phone": {"type": 7, "e164": "+999123456"},
    "country": {"type": 7, "e164": "GB"},
    "label": {"type": 7},
    "caption": {"type": []},
    "mode": {"type": 7, "null": None, "enum": "Blink"},
    "period": {"type": "5"},
    "color": {"type": True, "enum": "RED"},
    "leader": {"type": {}},
    "call": {"type": 1.5},
    "parts": {"type": "bulb", "null": None, "enum": ["bulb", "lid"]},
    "watts": {"type": "4.5", "null": None},
    "since": {"type": 7, "null": None, "format": "2030-02-30T00:00:00Z"},
    "until": {"type": 7, "null": None, "format": "2030-01-02 00:00:00Z"},
}
"""Field -> facet -> a value that is wrong there."""


NEW: dict[str, Any] = {
    "id": OTHER,
    "phone": "+15558675300",
    "country": "CA",
    "label": "Kitchen",
    "caption": "Old kitchen",
    "mode": "steady",
    "period": 9,
    "color": "green",
    "leader": "lamp-2",
    "call": "https://example.com/b",
    "parts": ["bulb"],
    "watts": 9.5,
    "since": "2029-12-31T00:00:00Z",
    "until": "2030-01-03T00:00:00Z",
}
"""Field -> a value that is as good as the one of the record, and another one."""


def shape_rows(operation: str) -> dict[str, tuple[Interaction, Interaction]]:
    """The rows of what a record looks like, in the answers of one operation."""
    good = look(operation, RECORD)
    rows = {}
    for name, facets in WRONG.items():
        for facet, value in facets.items():
            detail = f"shape.{name}.{facet}" if facet in {"type", "null"} else f"{facet}.{name}"
            rows[f"{operation}.{detail}"] = (good, look(operation, {**RECORD, name: value}))
        if name in REQUIRED:
            less = {k: v for k, v in RECORD.items() if k != name}
            rows[f"{operation}.shape.{name}.present"] = (good, look(operation, less))
    case = Case(label="a", operation=operation)

    def bad(response: Response) -> tuple[Interaction, Interaction]:
        return good, Interaction(case=case, response=response, id=ID)

    body = good.response.body
    rows |= {
        f"{operation}.shape.status": bad(answer(body, 201)),
        f"{operation}.shape.media_type": bad(answer(body, 200, {"content-type": "text/html"})),
        f"{operation}.shape.json": bad(answer(b'{"a": 1, "a": 2}')),
        f"{operation}.shape.body": bad(answer([body])),
        f"{operation}.rejection.no_server_error": bad(answer({"error": "x"}, 500)),
        f"{operation}.rejection.no_leak": bad(answer({"error": SECRET}, 400)),
    }
    if operation != "list_lamps":
        rows[f"{operation}.shape.identity"] = (good, look(operation, {**RECORD, "id": OTHER}))
        error = refused(f"{operation}.access.unknown_id", 404, operation=operation, body=MISSING, target="unknown")
        wrong = refused(
            f"{operation}.access.unknown_id", 404, {"message": "no"}, operation, body=MISSING, target="unknown"
        )
        rows[f"{operation}.rejection.error_body"] = (error, wrong)
    return rows


def access_rows(operation: str) -> dict[str, tuple[Interaction, Interaction]]:
    """The rows of who may ask."""
    rows = {}
    for kind, credentials in (
        ("no_credentials", "none"),
        ("wrong_password", "wrong_password"),
        ("wrong_user", "wrong_user"),
    ):
        rule = f"{operation}.access.{kind}"
        kept = refused(rule, 401, operation=operation, body=MISSING, credentials=credentials)
        rows[rule] = (kept, refused(rule, 200, RECORD, operation, body=MISSING, credentials=credentials))
    for kind, target in (("unknown_id", "unknown"), ("foreign_id", "foreign")):
        rule = f"{operation}.access.{kind}"
        kept = refused(rule, 404, operation=operation, body=MISSING, target=target)
        rows[rule] = (kept, refused(rule, 403, {"error": "no"}, operation, body=MISSING, target=target))
    return rows


def update_rows() -> dict[str, tuple[Interaction, Interaction]]:
    """The rows of what an update does."""
    request = CONTRACT.update.request
    assert request is not None
    values = {name: value for name, value in NEW.items() if name in request.fields}
    rows: dict[str, tuple[Interaction, Interaction]] = {}
    for name, value in values.items():
        rows[f"echo.{name}"] = (put({name: value}), put({name: value}, {name: RECORD[name]}))
    refusal = Interaction(
        case=Case(label="a", operation="set_lamp", body=values), response=answer({"error": "no"}, 422)
    )
    rows["accept"] = (put(values), refusal)
    for name, value in NEW.items():
        # An answer about another record is only judged further where nobody asked for a certain one.
        asked = "" if name == "id" else ID
        if name not in {"watts", "until"}:
            rows[f"frame.{name}"] = (put({}), put({}, {name: value}, id=asked))
        if name != "watts":  # It may change at any time.
            rows[f"read_back.{name}"] = (read(RECORD), read({**RECORD, name: value}, id=asked))
    rows |= {
        "echo.alias.label": (
            put({"label": "A", "caption": "B"}),
            put({"label": "A", "caption": "B"}, {"label": "B"}),
        ),
        "deprecated.caption": (put({"caption": "B"}), put({"caption": "B"}, {"caption": None})),
        "handler.mode.steady.shown": (put({"mode": "steady"}), put({"mode": "steady"}, {"mode": "blink"})),
        "handler.mode.blink.shown": (
            put({"mode": "blink", "period": 7}),
            put({"mode": "blink", "period": 7}, {"period": None}),
        ),
        "handler.mode.follow.shown": (
            put({"mode": "follow", "leader": "x"}),
            put({"mode": "follow", "leader": "x"}, {"leader": ""}),
        ),
        "handler.mode.blink.requires.period": (
            refused("set_lamp.handler.mode.blink.requires.period", 422),
            refused("set_lamp.handler.mode.blink.requires.period", 200, RECORD),
        ),
        "handler.mode.follow.requires.leader": (
            refused("set_lamp.handler.mode.follow.requires.leader", 400),
            refused("set_lamp.handler.mode.follow.requires.leader", 302, {"error": "x"}),
        ),
        "idempotence": (
            put({"label": "A"}, before={**RECORD, "label": "A"}, repeat=True),
            put({"label": "A"}, {"period": 6}, {**RECORD, "label": "A"}, repeat=True),
        ),
        "time.until.forward": (put({}, {"until": "2030-01-02T00:00:01Z"}), put({}, {"until": "2030-01-01T23:59:58Z"})),
        "time.until.not_before": (
            put({}, {"until": "0001-01-01T00:00:00.5Z", "since": "0001-01-01T00:00:00Z"}, before=None),
            put({}, {"until": "2029-12-31T23:59:59Z"}, before=None),
        ),
        "time.until.moves": (
            put({"label": "A"}, {"until": "2030-01-02T00:00:05Z"}, age=MOVES_AFTER),
            put({"label": "A"}, age=MOVES_AFTER),
        ),
    }
    for detail in ("mode.enum", "color.enum", "label.maxLength", "period.minimum", "period.maximum"):
        rule = f"set_lamp.rejection.{detail}"
        rows[f"rejection.{detail}"] = (refused(rule, 422), refused(rule, 200, RECORD))
    rule = "set_lamp.rejection.malformed_json"
    rows["rejection.malformed_json"] = (refused(rule, 400), refused(rule, 200, RECORD))
    bodies = {"read_only": {"since": "2001-01-01T00:00:00Z"}, "unknown_key": {"x": 1}, "empty": {}}
    for name, body in {**bodies, "not_an_object": [{"label": "A"}]}.items():
        rule = f"set_lamp.rejection.{name}"
        kind: dict[str, Any] = {"expect": "unspecified", "keep": True, "rule": rule}
        rows[f"rejection.{name}"] = (
            put(body, {"since": RECORD["since"]}, **kind),
            put(body, {"label": "changed", "since": RECORD["since"]}, **kind),
        )
    kind = {"expect": "unspecified", "rule": "set_lamp.rejection.consistent", "open": {"label": "blank"}}
    rows["rejection.consistent"] = (
        put({"label": ""}, {"label": None}, **kind),
        put({"label": ""}, {"label": "x"}, **kind),
    )
    return {f"set_lamp.{detail}": pair for detail, pair in rows.items()}


ROWS = {
    **shape_rows("set_lamp"),
    **shape_rows("show_lamp"),
    **shape_rows("list_lamps"),
    **access_rows("set_lamp"),
    **access_rows("show_lamp"),
    **{k: v for k, v in access_rows("list_lamps").items() if "_id" not in k},
    **update_rows(),
}
GENERAL = {id for id, rule in RULES.items() if id == rule.group or id.endswith(".handler.mode")}
"""Told by the ledger when many rules beside them break."""
ELSEWHERE = {
    "set_lamp.rejection.no_trace",
    "set_lamp.bystander",
    "list_lamps.read_back",
    "list_lamps.rejection.error_body",
    "set_lamp.read_back.watts",
    *(id for id in RULES if ".accept." in id or id.endswith(".accepted") or id.startswith("set_lamp.deprecated.mode")),
}
"""Judged by comparing several answers, or by reducing a body that is refused."""


def test_every_rule_has_a_row() -> None:
    """There is a row for each rule, but for those that one answer alone cannot break."""
    assert set(RULES) - set(ROWS) - GENERAL - ELSEWHERE == set()
    assert set(ROWS) - set(RULES) == set()


@pytest.mark.parametrize("rule", ROWS)
def test_a_rule_is_kept_and_broken(rule: str) -> None:
    """What keeps the rule is evidence for it, and has no finding at all. What breaks it has a finding under it, with a
    message, with what was expected, and with a pointer that leads to the value that stands in the answer.
    """
    kept, broken = ROWS[rule]
    # What others were judged before may have been left open, and says so for a while.
    result = Judge(CONTRACT, (SECRET, "short")).judge(kept)
    assert result.findings == []
    assert rule in result.evidence
    if rule in ELSEWHERE:
        return

    result = JUDGE.judge(broken)
    mine = [finding for finding in result.findings if finding.rule == rule]
    assert mine
    assert all(finding.message for finding in mine)
    assert mine[0].expected is not MISSING
    assert rule not in result.evidence
    for finding in mine:
        if not finding.pointer or finding.actual in ("absent", MISSING):
            continue
        value = broken.response.body
        for token in finding.pointer.split("/")[1:]:
            value = value[int(token)] if isinstance(value, list) else value[token]
        assert value == finding.actual or ".body" in rule


def test_evidence_belongs_to_rules_that_exist() -> None:
    """No interaction gives evidence for, or breaks, a rule that the contract does not have."""
    for pair in ROWS.values():
        for interaction in pair:
            result = JUDGE.judge(interaction)
            assert set(result.evidence) <= set(RULES)
            assert {finding.rule for finding in result.findings} <= set(RULES)


def test_judging_changes_nothing() -> None:
    """An interaction is judged alike every time: the judge remembers nothing of these that matters."""
    judge = Judge(CONTRACT, (SECRET,))
    rows = [interaction for pair in ROWS.values() for interaction in pair]
    first = [judge.judge(interaction) for interaction in rows]
    for one, two in zip(first, map(judge.judge, rows), strict=True):
        assert one.findings == two.findings
        assert sorted(one.evidence) == sorted(two.evidence)


# ------------------------------------------------------------------------ three answers


@pytest.mark.parametrize(
    ("expect", "status", "broken"),
    [
        ("accept", 200, set()),
        ("accept", 422, {"set_lamp.accept"}),
        ("accept", 302, {"set_lamp.shape.status"}),
        ("accept", 500, {"set_lamp.rejection.no_server_error"}),
        ("reject", 422, set()),
        ("reject", 400, set()),
        ("reject", 200, {"set_lamp.rejection.mode.enum"}),
        ("reject", 302, {"set_lamp.rejection.mode.enum"}),
        ("reject", 503, {"set_lamp.rejection.no_server_error"}),
        ("unspecified", 200, set()),
        ("unspecified", 422, set()),
        ("unspecified", 302, {"set_lamp.shape.status"}),
        ("unspecified", 500, {"set_lamp.rejection.no_server_error"}),
    ],
)
def test_three_answers(expect: Any, status: int, broken: set[str]) -> None:
    """What is documented must be accepted, or refused; of everything else either will do, but never a 5xx."""
    rule = "" if expect == "accept" else "set_lamp.rejection.mode.enum"
    body = RECORD if status == 200 else {"error": "no"}
    case = Case(label="a", operation="set_lamp", expect=expect, rule=rule, body={"label": "Hall"})
    result = JUDGE.judge(Interaction(case=case, response=answer(body, status), before=RECORD, id=ID))

    assert {finding.rule for finding in result.findings} == broken


def test_a_read_that_is_refused_breaks_its_status() -> None:
    """A documented read has no body that could be wrong, so its status is."""
    case = Case(label="a", operation="show_lamp")
    result = JUDGE.judge(Interaction(case=case, response=answer({"error": "no"}, 404), id=ID))

    assert [(f.rule, f.expected) for f in result.findings] == [("show_lamp.shape.status", 200)]
    assert result.record is None


@pytest.mark.parametrize(("status", "kept"), [(401, True), (403, True), (404, False), (422, False), (400, False)])
def test_who_has_no_right_is_told_so(status: int, kept: bool) -> None:
    """Without credentials only 401 and 403 will do: a 404 or 422 says that somebody looked."""
    rule = "set_lamp.access.no_credentials"
    result = JUDGE.judge(refused(rule, status, credentials="none"))

    assert (rule in result.evidence) is kept
    assert bool(result.findings) is not kept


def test_a_weakly_known_error_body_is_not_judged() -> None:
    """Where sources disagree about the body of a refusal anything will do."""
    errors = {"type": "object", "required": ["error"], "x-basis": "inferred", "properties": {"error": {}}}
    contract = lamp({"components/responses/Error/content/application~1json/schema": errors})
    rule = "set_lamp.access.no_credentials"
    result = Judge(contract).judge(refused(rule, 401, ["no"], credentials="none"))

    assert result.findings == []


@pytest.mark.parametrize(("kind", "wrong"), [("application/problem+json", False), ("application/json", True)])
def test_a_refusal_has_a_media_type_of_its_own(kind: str, wrong: bool) -> None:
    """Where the documents give it another one than the success has, the body is judged by that."""
    content = {"application/problem+json": {"schema": {"type": "object", "required": ["title"]}}}
    contract = lamp({"components/responses/Error/content": content})
    rule = "set_lamp.rejection.mode.enum"
    case = Case(label="a", operation="set_lamp", expect="reject", rule=rule)
    told = []
    for body in ({"title": "no"}, {}):
        response = answer(body, 422, {"content-type": kind})
        told.append([f.message for f in Judge(contract).judge(Interaction(case=case, response=response)).findings])

    assert bool(told[0]) is wrong
    assert told[0] == (
        ["the body of the 422 is not as documented: its media type is not application/problem+json"] * wrong
    )
    assert wrong or "'title' is a required property" in told[1][0]


def test_members_that_nobody_documented_say_nothing() -> None:
    """An object may be answered with more members than were sent: neither echo nor frame counts them."""
    shape = {"type": "object", "properties": {"on": {"type": "boolean"}, "steps": {"type": "array", "items": {
        "type": "object", "properties": {"at": {"type": "integer"}}}}}}  # fmt: skip
    contract = lamp({f"{REQUEST}/timer": shape, f"{RESPONSE}/timer": shape})
    sent = {"on": True, "steps": [{"at": 1}]}
    case = Case(label="a", operation="set_lamp", body={"timer": sent})
    before = {**RECORD, "timer": {"on": False, "steps": []}}
    for shown, told in (
        ({**sent, "next": 5}, []),
        ({"on": True, "steps": [{"at": 1, "id": 9}]}, []),
        ({"on": False, "steps": [{"at": 1}]}, ["set_lamp.echo.timer"]),
        ({"on": True}, ["set_lamp.echo.timer"]),
    ):
        after = answer({**RECORD, "timer": shown})
        found = Judge(contract).judge(Interaction(case=case, response=after, before=before, id=ID)).findings
        assert [f.rule for f in found if ".timer" in f.rule and ".shape." not in f.rule] == told


@pytest.mark.parametrize(
    ("earlier", "now", "alike", "moved"),
    [
        ("2030-01-01T00:00:00.100Z", "2030-01-01T00:00:00.200Z", True, True),
        ("2030-01-01T00:00:00.100Z", "2030-01-01T00:00:00.200Z", False, False),
        ("2030-01-01T00:00:00.123Z", "2030-01-01T00:00:00Z", True, False),
        ("2030-01-01T00:00:00.100Z", "2030-01-01T00:00:00.100Z", True, False),
    ],
)
def test_two_reads_show_a_stamp_to_the_last_digit(earlier: str, now: str, alike: bool, moved: bool) -> None:
    """What one operation shows twice was not rounded in between, unless it has another length."""
    changed = JUDGE.differences({**RECORD, "until": now}, {**RECORD, "until": earlier}, alike=alike)
    assert [name for name, *_ in changed] == ["until"] * moved


@pytest.mark.parametrize(
    ("stored", "shown", "wrong"), [("x", "x", False), ("x", "", True), ("x", "y", True), (None, None, True)]
)
def test_an_empty_companion_may_be_taken_for_one_that_was_not_sent(stored: Any, shown: Any, wrong: bool) -> None:
    """Where one is stored: it stays, and so nothing is empty."""
    rule = "set_lamp.handler.mode.follow.requires.leader"
    body = {"mode": "follow", "leader": ""}
    case = Case(label="a", operation="set_lamp", expect="reject", rule=rule, body=body)
    before = {**RECORD, "leader": stored}
    after = answer({**RECORD, "mode": "follow", "leader": shown})
    result = JUDGE.judge(Interaction(case=case, response=after, before=before, id=ID))

    assert (rule in [f.rule for f in result.findings]) == wrong
    assert result.record is not None


@pytest.mark.parametrize(
    ("body", "headers", "words", "pointer"),
    [
        ({"error": "no"}, {"content-type": "text/html"}, "the answer's media type is not JSON", ""),
        ({"error": "no"}, {}, "the answer's media type is not JSON", ""),
        ({"error": "no"}, {"content-type": "application/json; charset=latin1"}, "a charset that is not UTF-8", ""),
        (b"", JSON, "the body of the 422 is not JSON: it is empty", ""),
        (b"<html>", JSON, "the body of the 422 is not JSON: it is not well-formed", ""),
        ({"error": 7}, JSON, "7 is not of type 'string'", "/error"),
        ([], JSON, "[] is not of type 'object'", ""),
    ],
)
def test_what_is_wrong_with_a_refusal(body: Any, headers: dict[str, str], words: str, pointer: str) -> None:
    """The body of a refusal has its media type, is JSON, and is told where it is not as documented."""
    case = Case(label="a", operation="set_lamp", expect="reject", rule="set_lamp.rejection.mode.enum")
    result = JUDGE.judge(Interaction(case=case, response=answer(body, 422, headers)))
    finding = next(f for f in result.findings if f.rule.endswith(".error_body"))

    assert words in finding.message
    assert finding.pointer == pointer
    # That it was refused is right all the same.
    assert "set_lamp.rejection.mode.enum" in result.evidence


def test_a_refusal_with_an_undocumented_status_has_no_body_to_judge() -> None:
    """Any 4xx refuses; the body is only judged for a status that documents one."""
    assert JUDGE.judge(refused("set_lamp.rejection.mode.enum", 418, "a teapot")).findings == []


# ------------------------------------------------------------------------ the envelope


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        ("application/json", True),
        ("APPLICATION/JSON", True),
        ("application/json; charset=utf-8", True),
        ('application/json;charset="UTF-8"', True),
        ("application/json; profile=x; CharSet=UTF8", True),
        ("application/json; charset=iso-8859-1", False),
        ("application/problem+json", False),
        ("text/json", False),
        ("", False),
    ],
)
def test_media_types(value: str, kept: bool) -> None:
    """The media type is JSON in any case and with any parameter, and a charset is UTF-8 if there is one."""
    for _ in range(2):
        case = Case(label="a", operation="show_lamp")
        result = JUDGE.judge(
            Interaction(case=case, response=answer(RECORD, 200, {"content-type": value} if value else {}), id=ID)
        )
        assert ("show_lamp.shape.media_type" in result.evidence) is kept
        assert bool(result.findings) is not kept


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff",
        b'{"a": NaN}',
        b"\xef\xbb\xbf{}",
        b'{"a": "\\ud800"}',
        b"[" * 300 + b"]" * 300,
        b"'a'",
        b"{} {}",
    ],
)
def test_what_is_no_json(content: bytes) -> None:
    """Empty, broken, badly encoded, ambiguous and endlessly nested bodies are told as such and as nothing else."""
    result = JUDGE.judge(Interaction(case=Case(label="a", operation="show_lamp"), response=answer(content), id=ID))
    found = {finding.rule for finding in result.findings}
    assert "show_lamp.shape.json" in found
    assert found <= {"show_lamp.shape.json", "show_lamp.shape.body"}
    assert result.record is None


@pytest.mark.parametrize("body", [[], "text", 7, None, True, [RECORD]])
def test_what_is_no_record(body: Any) -> None:
    """An answer that is no object is told as a whole."""
    result = JUDGE.judge(Interaction(case=Case(label="a", operation="show_lamp"), response=answer(body), id=ID))
    assert [f.rule for f in result.findings] == ["show_lamp.shape.body"]


def test_a_wrapped_record_is_told_once() -> None:
    """A record inside of another object lacks most of its fields; that is one finding and not nine."""
    result = JUDGE.judge(look("show_lamp", {"data": RECORD}))
    assert [f.rule for f in result.findings] == ["show_lamp.shape.body"]
    assert "missing" in result.findings[0].message
    assert result.record is None


def test_a_field_nobody_documented_is_no_failure() -> None:
    """More than is documented may be shown."""
    assert JUDGE.judge(look("show_lamp", {**RECORD, "colour": 1, "nested": {"a": [1]}})).findings == []


@pytest.mark.parametrize(
    ("operation", "record"), [("show_lamp", {**RECORD, "id": OTHER}), ("set_lamp", {**RECORD, "id": OTHER.upper()})]
)
def test_another_record_says_nothing_more(operation: str, record: dict[str, Any]) -> None:
    """An answer about another record is told as that, and nothing is learnt from it."""
    result = JUDGE.judge(look(operation, {**record, "label": "changed"}, before=RECORD))
    assert [f.rule for f in result.findings] == [f"{operation}.shape.identity"]
    assert result.record is None


@pytest.mark.parametrize(
    ("shown", "asked", "kept"),
    [(4711, "4711", True), (4711, "4712", False), (True, "True", False), ("4712", "4712", True)],
)
def test_ids_may_be_numbers(shown: Any, asked: str, kept: bool) -> None:
    """An id that is an integer is the text that stands in the path."""
    contract = lamp({f"{RESPONSE}/id": {"type": ["integer", "string", "boolean"]}})
    judge = Judge(contract)
    interaction = Interaction(
        case=Case(label="a", operation="show_lamp"), response=answer({**RECORD, "id": shown}), id=asked
    )
    assert ("show_lamp.shape.identity" in judge.judge(interaction).evidence) is kept
    assert (judge.listed(answer({"lamps": [{"id": shown}]}), asked) is not None) is kept


def test_a_malformed_id_is_not_another_record() -> None:
    """An id that is no UUID is told as malformed, and not as somebody else's as well."""
    result = JUDGE.judge(look("show_lamp", {**RECORD, "id": "x"}))
    assert [f.rule for f in result.findings] == ["show_lamp.format.id"]


def test_a_key_that_is_not_shown_is_not_compared() -> None:
    """Where the path's parameter is no field of the record there is nothing to compare."""
    contract = lamp({"paths/~1lamps~1{id}/parameters/0/name": "lamp"})
    assert Judge(contract).key == ""
    assert Judge(contract).judge(look("show_lamp", {**RECORD, "id": OTHER})).findings == []


# ------------------------------------------------------------------------ secrets


@pytest.mark.parametrize(
    "text",
    [
        'Traceback (most recent call last):\n  File "app.py", line 1, in f',
        'File "/srv/app.py", line 12, in handle',
        "at com.example.Lamp.set(Lamp.java:42)",
        "\tat example.LampKt.set(Lamp.kt:7)",
        "at Example.Lamp.Set(Lamp.cs:42)",
        "at Object.<anonymous>(server.js:10)",
        "    at set (/srv/lamp.js:10:5)",
        "at handler (/srv/lamp.ts:1:22)",
        "app/models/lamp.rb:12:in `save'",
        "app/models/lamp.rb:12:in 'Lamp#save'",
        "#0 /var/www/lamp.php(12): set()",
        "   at Example.Lamps.Set(String id) in /srv/Lamps.cs:line 42",
        "goroutine 1 [running]:\nmain.main()",
        f"the password is {SECRET}",
    ],
)
@pytest.mark.parametrize("status", [200, 422, 500])
def test_what_an_answer_must_not_hold(text: str, status: int) -> None:
    """A credential of the run or a stack trace of any common language is found, inside of JSON too."""
    for content in (text.encode(), json.dumps({"error": text}).encode()):
        case = Case(label="a", operation="set_lamp", expect="unspecified")
        result = JUDGE.judge(Interaction(case=case, response=answer(content, status)))
        found = [f for f in result.findings if f.rule == "set_lamp.rejection.no_leak"]
        assert len(found) == 1
        assert found[0].actual == "(masked)"
        assert SECRET not in repr(found[0])


@pytest.mark.parametrize(
    "body",
    [
        {"error": "Traceback is a word, and so is line 7"},
        {"error": "see lamp.js: it is a file"},
        {"error": "at noon, line 3 in the book"},
        {"error": "goroutine"},
        {"password": ""},
        {"password": None},
        {"password_hint_shown": True},
        {"secret": True},
        {"api_key": "********"},
        {"api_key": "•••• 7f3a"},
        {"tokenized": "x"},
        {"error": "short"},
    ],
)
def test_what_is_no_leak(body: Any) -> None:
    """Words that only remind of a stack trace, empty secrets and very short ones are none."""
    case = Case(label="a", operation="set_lamp", expect="unspecified")
    result = JUDGE.judge(Interaction(case=case, response=answer(body, 422)))
    assert "set_lamp.rejection.no_leak" in result.evidence


@pytest.mark.parametrize(
    "content", [rb'{"error": "#0 \/var\/lamp.php(3): f()"}', rb'{"error": "File \u0022a.py\u0022, line 3, in f"}']
)
def test_a_trace_is_found_however_it_is_escaped(content: bytes) -> None:
    """Some libraries escape strokes and quotation marks."""
    case = Case(label="a", operation="set_lamp", expect="unspecified")
    result = JUDGE.judge(Interaction(case=case, response=answer(content, 422)))
    assert [f.rule for f in result.findings] == ["set_lamp.rejection.no_leak"]


@pytest.mark.parametrize(
    "content", [rb'{"error": "pw\/with\u002bplus"}', rb'{"error": "pw%2Fwith%2bplus"}', b'["pw/with+plus"]']
)
def test_a_credential_is_found_however_it_is_escaped(content: bytes) -> None:
    """JSON and URLs have several ways to write one text."""
    case = Case(label="a", operation="set_lamp", expect="unspecified")
    result = Judge(CONTRACT, ("pw/with+plus",)).judge(Interaction(case=case, response=answer(content, 422)))
    assert "set_lamp.rejection.no_leak" in {f.rule for f in result.findings}


def test_a_refusal_may_name_the_field_that_it_is_about() -> None:
    """What is told of a password in a request is no password."""
    contract = lamp({f"{REQUEST}/password": {"type": "string", "writeOnly": True}})
    told = Interaction(
        case=Case(label="a", operation="set_lamp", expect="unspecified"),
        response=answer({"error": "no", "password": "must have 8 characters"}, 422),
    )
    assert Judge(contract).judge(told).findings == []


def test_what_people_write_into_a_record_is_no_leak() -> None:
    """A name may read like a stack trace, in the record and in the list; beside documented fields it is one."""
    text = 'Traceback (most recent call last):\n  File "a.py", line 3, in f'
    assert JUDGE.judge(look("show_lamp", {**RECORD, "label": text})).findings == []
    assert JUDGE.judge(look("list_lamps", {**RECORD, "label": text})).findings == []
    for body in ({**RECORD, "debug": text}, {**RECORD, "label": [text]}):
        assert "show_lamp.rejection.no_leak" in {f.rule for f in JUDGE.judge(look("show_lamp", body)).findings}


def test_an_address_with_a_password_is_a_leak_in_a_refusal() -> None:
    """Of a database, that is: the address of a webhook may hold a password of its owner's."""
    rule = "set_lamp.rejection.no_leak"
    case = Case(label="a", operation="set_lamp", expect="unspecified")

    def leaks(text: str, status: int) -> bool:
        result = JUDGE.judge(Interaction(case=case, response=answer(text.encode(), status)))
        return rule in {found.rule for found in result.findings}

    assert leaks('{"error": "postgres://lamp:hush@db.example/lamps is gone"}', 422)
    assert leaks('{"error": "redis:\\/\\/x:hush@cache.example"}', 500)
    assert not leaks('{"error": "https://me:mine@hooks.example.com/ is no address"}', 422)
    assert not leaks('{"error": "see mailto:me@example.com, or ftp://example.com/a:b"}', 422)


@pytest.mark.parametrize(
    "name", ["password", "api_key", "apikey", "auth_token", "client_secret", "PRIVATE_KEY", "sip_password"]
)
def test_a_field_that_is_called_like_a_secret(name: str) -> None:
    """An undocumented member that is called like a secret and is not empty is one."""
    result = JUDGE.judge(look("show_lamp", {**RECORD, name: "x"}))
    assert [f.rule for f in result.findings] == ["show_lamp.rejection.no_leak"]
    number = JUDGE.judge(look("show_lamp", {**RECORD, name: 7}))
    assert [f.rule for f in number.findings] == ["show_lamp.rejection.no_leak"]
    documented = lamp({f"{RESPONSE}/{name}": {"type": "string"}})
    assert Judge(documented).judge(look("show_lamp", {**RECORD, name: "x"})).findings == []


def test_a_secret_in_a_header_is_found() -> None:
    """A credential that comes back in a header is found like one in the body."""
    response = answer(RECORD, 200, {**JSON, "x-echo": f"Basic {SECRET}"})
    result = JUDGE.judge(Interaction(case=Case(label="a", operation="show_lamp"), response=response, id=ID))
    assert [f.rule for f in result.findings] == ["show_lamp.rejection.no_leak"]


# ------------------------------------------------------------------------ lists


@pytest.mark.parametrize(
    ("body", "rules_broken"),
    [
        ({"lamps": [], "total": 0}, []),
        ({"lamps": [RECORD], "total": 1}, []),
        ({"lamps": None, "total": 0}, ["list_lamps.shape.body"]),
        ({"total": 0}, ["list_lamps.shape.body"]),
        ([RECORD], ["list_lamps.shape.body"]),
        ({"lamps": [RECORD]}, ["list_lamps.shape.body"]),
        ({"lamps": [RECORD], "total": "1"}, ["list_lamps.shape.body"]),
        ({"lamps": [RECORD, 7], "total": 2}, ["list_lamps.shape.body"]),
        ({"lamps": [RECORD, {**RECORD, "mode": "x"}], "total": 2}, ["list_lamps.enum.mode"]),
        # The record itself is compared with what the retrieve shows.
        ({"lamps": [RECORD | LATE, RECORD | LATE | {"id": OTHER}], "total": 2}, ["set_lamp.time.until.not_before"]),
    ],
)
def test_lists(body: Any, rules_broken: list[str]) -> None:
    """The envelope and every record of a list are judged; an empty list is a list."""
    result = JUDGE.judge(Interaction(case=Case(label="a", operation="list_lamps"), response=answer(body), id=ID))
    assert [f.rule for f in result.findings] == rules_broken
    assert result.record is None


def test_a_record_in_a_list_points_to_its_place() -> None:
    """What is wrong with one record of a list has the pointer of that one."""
    body = {"lamps": [RECORD, {**RECORD, "id": OTHER, "period": "x"}], "total": 2}
    result = JUDGE.judge(Interaction(case=Case(label="a", operation="list_lamps"), response=answer(body)))
    assert [f.pointer for f in result.findings] == ["/lamps/1/period"]


def test_the_list_shows_what_the_retrieve_shows() -> None:
    """A record in a list is compared with the same record as it was read, wherever it stands."""
    body = {"lamps": [{**RECORD, "id": OTHER}, {**RECORD, "watts": 9.0, "parts": ["foot", "bulb"]}], "total": 2}
    result = JUDGE.in_list(answer(body), ID, RECORD)
    assert (result.findings, result.evidence) == ([], ["list_lamps.read_back"])
    body["lamps"][1]["label"] = "Another"  # type: ignore[index] # a list of records
    result = JUDGE.in_list(answer(body), ID, RECORD)
    assert [(f.rule, f.pointer, f.expected, f.actual) for f in result.findings] == [
        ("list_lamps.read_back", "/lamps/1/label", "Hall", "Another")
    ]
    assert JUDGE.in_list(answer({"lamps": []}), ID, RECORD).evidence == []
    assert JUDGE.listed(answer([RECORD]), ID) is None


@pytest.mark.parametrize(
    ("shown", "read", "rules_broken"),
    [
        ([5, 5, 5, 5], [5, 5, 5, 5], []),
        ([None, None, None, None], [5, 5, 5, 5], ["set_lamp.read_back.watts"]),
        ([5, 6, 5, 6], [6, 5, 6, 5], []),
        ([5, 5, 5, 6], [6, 6, 6, 6], []),
        ([5, 5], [6, 6], []),
    ],
)
def test_what_changes_at_any_time_changes_for_everyone(
    shown: list[Any], read: list[Any], rules_broken: list[str]
) -> None:
    """Such a field may differ from one answer to the next, but not by the operation, each time anew."""
    views = [
        (operation, {"watts": value})
        for pair in zip(shown, read, strict=True)
        for operation, value in zip(("set_lamp", "show_lamp"), pair, strict=True)
    ]
    result = JUDGE.in_turns(views)
    assert [found.rule for found in result.findings] == rules_broken
    assert result.evidence == ([] if rules_broken or len(views) < 6 else ["set_lamp.read_back.watts"])


def test_without_a_list_nothing_is_listed() -> None:
    """A contract without a list has no record in one."""
    judge = Judge(lamp({"paths/~1lamps~1{id}/put/responses/200/links/list": MISSING}))
    assert judge.listed(answer({"lamps": [RECORD]}), ID) is None
    assert judge.in_list(answer({"lamps": [RECORD]}), ID, RECORD).evidence == []


# ------------------------------------------------------------------------ what was written


def broken(interaction: Interaction, judge: Judge = JUDGE) -> list[str]:
    """The rules that one interaction breaks, without the operation."""
    return [finding.rule.partition(".")[2] for finding in judge.judge(interaction).findings]


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ("  two  ", "two"),
        ("Cafe\u0301", "Caf\u00e9"),
        ("<b>", "&lt;b&gt;"),
        ("a" * 100, "a" * 64),
        ("ABC", "abc"),
        ("7", 7),
        ("x", None),
        ("x", ""),
        ("\U0001f600", "?"),
        ("a b", "a+b"),
    ],
)
def test_echo_is_to_the_letter(sent: str, shown: Any) -> None:
    """No trimming, truncation, escaping, case, normal form or encoding is changed on the way."""
    assert broken(put({"label": sent}, {"label": shown})) in (["echo.label"], ["shape.label.type"])


def test_a_field_that_is_wrong_in_two_ways_is_told_in_the_first() -> None:
    """A value of the wrong type is not also another value than the one that was sent."""
    assert broken(put({"period": 5}, {"period": "5"})) == ["shape.period.type"]


def test_a_value_that_is_not_shown_is_told() -> None:
    """A field that was sent and is missing from the answer is told as missing, and as not echoed."""
    contract = lamp({"components/schemas/Lamp/required": []})
    assert broken(put({"color": "green"}, {"color": MISSING}), Judge(contract)) == ["echo.color"]


def test_what_is_never_shown_is_not_echoed() -> None:
    """A write-only field is accepted, and nothing is said about it."""
    result = JUDGE.judge(put({"code": "x"}))
    assert result.findings == []
    assert "set_lamp.accept.code" in result.evidence


def test_aliases() -> None:
    """Of several names for one thing the winner shows; of the others nothing is claimed, nor of all without it."""
    assert broken(put({"label": "A", "caption": "B"}, {"caption": "A"})) == []
    assert broken(put({"label": "A", "caption": "B"}, {"caption": None})) == []
    assert broken(put({"label": "A", "caption": "B"}, {"label": "B", "caption": "B"})) == ["echo.alias.label"]
    assert broken(put({"caption": "B"}, {"label": "B"})) == []
    assert broken(put({"label": "A"}, {"caption": "A"})) == []


def test_a_deprecated_field_that_is_ignored_is_told_twice() -> None:
    """It no longer works, which its own rule says; that the answer shows something else is said as well."""
    assert broken(put({"caption": "B"}, {"caption": RECORD["caption"]})) == ["deprecated.caption", "echo.caption"]
    both = put({"caption": "B", "period": 7}, {"caption": RECORD["caption"], "period": RECORD["period"]})
    assert broken(both) == ["echo.caption", "echo.period"], "what befalls others too has nothing to do with its age"
    assert broken(put({"caption": "B"}, {"caption": "b"})) == ["echo.caption"]


def test_selectors() -> None:
    """A selector that shows another value, or whose companion is gone, breaks the rule of the value that was sent."""
    assert broken(put({"mode": "steady"}, {"mode": "blink"})) == ["echo.mode", "handler.mode.steady.shown"]
    gone = put({"mode": "follow", "leader": "x"}, {"leader": None})
    assert broken(gone) == ["echo.leader", "handler.mode.follow.shown"]
    result = JUDGE.judge(put({"mode": "follow", "leader": "x"}))
    assert {"set_lamp.deprecated.mode.follow", "set_lamp.handler.mode.follow.accepted", "set_lamp.handler.mode"} <= set(
        result.evidence
    )


def test_a_companion_that_was_not_sent_is_no_matter() -> None:
    """What is stored already need not be sent, and what its alias replaced need not be shown."""
    assert broken(put({"mode": "follow"}, before={**RECORD, "mode": "follow"})) == []
    two = lamp(
        {f"{RESPONSE[: -len('Lamp/properties')]}Setting/x-aliases/0": {"fields": ["leader", "label"], "wins": "label"}}
    )
    body = {"mode": "follow", "leader": "x", "label": "y"}
    assert broken(put(body, {"leader": None}), Judge(two)) == []


def test_the_frame() -> None:
    """What was not sent stays; moving, derived and writable-elsewhere fields are free to change."""
    assert broken(put({"label": "A"}, {"period": 6})) == ["frame.period"]
    assert broken(put({"label": "A"}, {"watts": 9.5, "until": "2030-01-05T00:00:00Z"})) == []
    assert broken(put({"label": "A"}, {"parts": ["foot", "bulb"]})) == []
    assert broken(put({"label": "A"}, {"since": "2030-01-01T00:00:00.000Z"})) == []
    assert broken(put({"label": "A"}, {"phone": MISSING})) == []
    assert broken(put({"label": "A"}, {"phone": "+15558675300"})) == ["frame.phone"]


def test_a_field_that_is_sent_and_never_changes_is_told() -> None:
    """An immutable field must not change even when somebody sends it."""
    assert broken(put({"parts": ["bulb"]}, {"parts": ["bulb"]})) == ["frame.parts"]


def test_what_is_switched_off_may_be_cleared() -> None:
    """A companion of the value that was left is kept or cleared, and nothing else."""
    before = {**RECORD, "mode": "blink", "color": "green"}
    for period in (5, None):
        for color in ("green", None, "red"):
            assert broken(put({"mode": "steady"}, {"period": period, "color": color}, before)) == []
    assert broken(put({"mode": "steady"}, {"period": 6, "color": "green"}, before)) == ["frame.period"]
    # Unless the new value needs it as well, or the value was not left at all.
    assert broken(put({"mode": "blink", "period": 5}, {"color": None}, before)) == ["frame.color"]
    assert broken(put({"label": "A"}, {"mode": "blink", "period": None, "color": "green"}, before)) == ["frame.period"]


def test_a_default_may_be_filled_in() -> None:
    """What was never set may show its default after a write."""
    before = {**RECORD, "color": None}
    assert broken(put({"label": "A"}, {"color": "red"}, before)) == []
    assert broken(put({"label": "A"}, {"color": "green"}, before)) == ["frame.color"]


def test_without_a_promise_only_immutable_fields_are_framed() -> None:
    """Where nothing is said about what is not sent, only what never changes must stay."""
    judge = Judge(lamp({"paths/~1lamps~1{id}/put/x-unsent": MISSING}))
    assert broken(put({"label": "A"}, {"period": 6}), judge) == []
    assert broken(put({"label": "A"}, {"parts": ["foot"]}), judge) == ["frame.parts"]


@pytest.mark.parametrize("verified", [True, False])
def test_a_change_since_an_answer_follows_from_something(verified: bool) -> None:
    """What seems to have changed since an answer that nobody read back may never have been as it showed."""
    finding = JUDGE.judge(put({}, {"period": 6}, verified=verified)).findings[0]
    assert finding.follows is not verified


def test_what_must_change_nothing() -> None:
    """A read-only value that appears is found; one that moved by itself is not, and a default may be filled in."""
    rule = "set_lamp.rejection.read_only"
    kind: dict[str, Any] = {"expect": "unspecified", "keep": True, "rule": rule}
    sent = {"watts": 99.0, "until": "2001-01-01T00:00:00Z"}
    moved = {"watts": 5.5, "until": "2030-01-03T00:00:00Z"}
    assert broken(put(sent, moved, **kind)) == []
    assert broken(put(sent, {**moved, "watts": 99.0}, **kind)) == ["rejection.read_only"]
    assert broken(put(sent, {**moved, "color": "red"}, {**RECORD, "color": None}, **kind)) == []
    assert broken(put(sent, {**moved, "phone": MISSING}, **kind)) == []
    # One of two values that moves by itself may have come to what was sent.
    anytime = Judge(lamp({f"{RESPONSE}/mode/readOnly": True, f"{RESPONSE}/mode/x-changes": "anytime"}))
    assert broken(put({"mode": "follow"}, {"mode": "follow"}, **kind), anytime) == []
    # What may be set beside it is applied or ignored.
    assert broken(put({**sent, "label": "B"}, moved, **kind)) == []
    assert broken(put({**sent, "label": "B"}, {**moved, "label": RECORD["label"]}, **kind)) == []
    assert broken(put({**sent, "label": "B"}, {**moved, "label": "C"}, **kind)) == ["rejection.read_only"]
    assert JUDGE.judge(put(sent, moved, before=None, **kind)).evidence.count(rule) == 0
    case = Case(label="a", operation="set_lamp", body=sent, **kind)
    assert rule in JUDGE.judge(Interaction(case=case, response=answer({"error": "no"}, 422))).evidence


def test_an_accepted_refusal_shows_what_it_did() -> None:
    """A body that must be refused and was not is told, and so is what changed beside it, even its time stamp."""
    rule = "set_lamp.rejection.mode.enum"
    accepted = {**RECORD, "period": 6, "until": "2029-12-31T00:00:00Z"}
    result = JUDGE.judge(refused(rule, 200, accepted))
    assert [f.rule.partition(".")[2] for f in result.findings] == [
        "rejection.mode.enum",
        "frame.period",
        "time.until.not_before",
        "time.until.forward",
    ]
    assert result.record == accepted

    another = JUDGE.judge(refused(rule, 200, {**accepted, "id": "1ac064a1-369d-47e7-8265-594594af405f"}))
    assert another.record is None, "an answer that shows another record says nothing about this one"
    assert JUDGE.judge(refused(rule, 200, ["x"])).record is None
    assert JUDGE.judge(refused(rule, 200, {"a": 1})).record is None
    foreign = refused("set_lamp.access.foreign_id", 200, RECORD, target="foreign")
    assert JUDGE.judge(foreign).record is None


def test_idempotence() -> None:
    """The same update twice gives the same state; time stamps and counters may move."""
    before = {**RECORD, "label": "A"}
    assert broken(put({"label": "A"}, {"watts": 9.5, "until": "2030-01-03T00:00:00Z"}, before, repeat=True)) == []
    assert broken(put({"label": "A"}, {"label": "B"}, before, repeat=True)) == ["idempotence"]
    assert broken(put({"label": "A"}, {"period": 6}, before, repeat=True)) == ["idempotence"]


def test_what_the_first_of_two_updates_cleared_the_second_may_store() -> None:
    """A companion of the value that the first one left may be cleared by it, though it was sent, and be stored then."""
    cleared, body = {**RECORD, "mode": "steady", "color": None}, {"mode": "steady", "color": "green"}
    active = {**RECORD, "color": None}
    assert broken(put(body, {}, cleared, repeat=True)) == []
    assert broken(put({"mode": "steady"}, {"color": "green"}, cleared, repeat=True)) == ["idempotence"]
    assert broken(put({**body, "color": "red"}, {"color": "green"}, cleared, repeat=True)) != []
    assert broken(put({"mode": "blink", "color": "green"}, {}, active, repeat=True)) == ["idempotence"]


# ------------------------------------------------------------------------ time


@pytest.mark.parametrize(
    ("until", "age", "rules_broken"),
    [
        ("2030-01-02T00:00:00Z", 0.0, []),
        ("2030-01-02T00:00:00Z", MOVES_AFTER - 0.1, []),
        ("2030-01-02T00:00:00Z", MOVES_AFTER, ["time.until.moves"]),
        ("2030-01-02T00:00:00.000+00:00", MOVES_AFTER, ["time.until.moves"]),
        ("2030-01-02T00:00:00.001Z", MOVES_AFTER, []),
        ("2030-01-02T01:00:03+01:00", MOVES_AFTER, []),
        ("2030-01-01T23:59:59.500Z", 0.0, []),
        ("2030-01-01T23:59:58Z", 0.0, ["time.until.forward"]),
        ("2030-01-02T00:30:00+01:00", 0.0, ["time.until.forward"]),
    ],
)
def test_a_time_stamp_moves_forward(until: str, age: float, rules_broken: list[str]) -> None:
    """It never goes back, in whatever notation, and moves when something changed and seconds went by."""
    assert broken(put({"label": "A"}, {"until": until}, age=age)) == rules_broken


def test_a_write_that_changes_nothing_may_leave_the_stamp() -> None:
    """Only what changed something that was sent has to show."""
    assert broken(put({"label": "Hall"}, age=60.0)) == []
    assert broken(put({"label": "A"}, {"label": "B"}, age=60.0)) == ["echo.label"]


@pytest.mark.parametrize(
    ("since", "until", "kept"),
    [
        ("2030-01-01T00:00:00Z", "2030-01-01T00:00:00Z", True),
        ("2030-01-01T00:00:00.9Z", "2030-01-01T00:00:00Z", True),
        ("2030-01-01T00:00:00.9Z", "2030-01-01T00:00:00.1Z", False),
        ("2030-01-01T00:00:02Z", "2030-01-01T00:00:00.9Z", False),
        ("2030-01-01T00:00:01Z", "2030-01-01T00:00:00Z", False),
        ("2030-01-01T01:00:00+01:00", "2030-01-01T00:00:00Z", True),
    ],
)
def test_a_time_is_not_before_another(since: str, until: str, kept: bool) -> None:
    """The order of two times holds to the second where only one of them shows fractions."""
    result = JUDGE.judge(look("show_lamp", {**RECORD, "since": since, "until": until}))
    assert [f.rule for f in result.findings] == ([] if kept else ["set_lamp.time.until.not_before"])
    assert ("set_lamp.time.until.not_before" in result.evidence) is kept


def test_an_older_view_is_told_once() -> None:
    """A read that shows the record as it was before has an older stamp too, which is no second failure."""
    before = {**RECORD, "label": "A", "until": "2030-01-03T00:00:00Z"}
    assert broken(read(RECORD, before)) == ["read_back.label", "read_back.until"]


def test_times_that_are_not_there_are_not_compared() -> None:
    """Without a stamp on both sides there is nothing to compare."""
    contract = lamp({"components/schemas/Lamp/required": []})
    judge = Judge(contract)
    less = {k: v for k, v in RECORD.items() if k not in {"until", "since"}}
    assert broken(put({"label": "A"}, {"until": MISSING, "since": MISSING}, age=60.0), judge) == []
    assert broken(put({"label": "A"}, {}, less, age=60.0), judge) == []
    assert broken(put({"label": "A"}, {"since": MISSING}, age=0.0), judge) == []


# ------------------------------------------------------------------------ reads


def test_a_read_shows_what_the_answer_showed() -> None:
    """Every field but those that move by themselves is compared, where the record was not read before."""
    result = JUDGE.judge(read({**RECORD, "watts": 9.0, "parts": ["foot", "bulb"]}))
    assert result.findings == []
    assert "set_lamp.read_back" in result.evidence
    assert "set_lamp.read_back.label" in result.evidence
    assert "set_lamp.read_back" not in JUDGE.judge(read({**RECORD, "label": "B"}, verified=True)).evidence
    assert broken(read({**RECORD, "label": "B"}, verified=True)) == []
    assert broken(look("show_lamp", {**RECORD, "label": "B"})) == []


# ------------------------------------------------------------------------ values


@pytest.mark.parametrize(
    ("how", "sent", "shown", "earlier", "kept"),
    [
        ("exact", "a", "a", "b", True),
        ("exact", "a", "b", "b", True),
        ("exact", "a", "A", "b", False),
        ("exact", "a", None, "b", False),
        ("exact", 1, True, "b", False),
        ("exact", 1, 1.0, "b", False),
        ("blank", "", "", "b", True),
        ("blank", "", None, "b", True),
        ("blank", "", "red", "b", True),
        ("blank", " ", "", "b", True),
        ("blank", "", "b", "b", True),
        ("blank", "", "c", "b", False),
        ("null", None, "", "b", True),
        ("null", None, "red", "b", True),
        ("null", None, [], ["b"], True),
        ("blank", "", {}, {"b": 1}, True),
        ("null", None, ["c"], ["b"], False),
        ("null", None, "green", "b", False),
        ("any", "a", "whatever", "b", True),
    ],
)
def test_silence_is_applied_or_ignored(how: str, sent: Any, shown: Any, earlier: Any, kept: bool) -> None:
    """An open value that is accepted shows as it was sent, as it was, or as another empty one where it is empty."""
    request = CONTRACT.update.request
    assert request is not None
    assert settled(how, sent, shown, earlier, request.fields["color"]) is kept


def test_a_whole_number_may_be_written_with_a_point() -> None:
    """8.0 is the integer 8 in JSON Schema, where the documents are silent about the value as well."""
    request = CONTRACT.update.request
    assert request is not None
    assert settled("exact", 8, 8.0, 5, request.fields["period"])
    assert not settled("exact", 8, 8.5, 5, request.fields["period"])


def test_null_in_what_a_selector_requires_is_silence() -> None:
    """The documents do not say what null does there: a record that was found like that is put back by it."""
    kind: dict[str, Any] = {"expect": "unspecified", "rule": "set_lamp.rejection.consistent"}
    kind["open"] = {"mode": "exact", "period": "null"}
    selector: dict[str, Any] = {"blink": {"requires": {"period": {}}}}
    certain = Judge(lamp({f"{REQUEST}/mode/x-selector": selector}))
    sent, stands = {"mode": "blink", "period": None}, {**RECORD, "mode": "steady", "period": 6}
    for shown in ({}, {"period": 6}, {"mode": "steady"}):
        assert broken(put(sent, shown, stands, **kind), certain) == []
    assert broken(put(sent, {"period": 7}, stands, **kind), certain) == ["rejection.consistent"]


def test_what_has_to_be_filled_is_not_emptied_while_its_selector_stands() -> None:
    """Taken and stored as nothing it breaks the rule; ignored, or beside another value of the selector, it does not."""
    kind: dict[str, Any] = {"expect": "unspecified", "rule": "set_lamp.rejection.consistent"}
    kind["open"] = {"leader": "blank"}
    selector: dict[str, Any] = {"steady": {}, "follow": {"requires": {"leader": {"minLength": 1}}}}
    certain = Judge(lamp({f"{REQUEST}/mode/x-selector": selector, f"{REQUEST}/leader": {"type": "string"}}))
    for mode, shown, found in (
        ("follow", "", ["handler.mode.follow.requires.leader"]),
        ("follow", None, ["handler.mode.follow.requires.leader"]),
        ("follow", "x", []),
        ("steady", "", []),
    ):
        stands = {**RECORD, "mode": mode, "leader": "x"}
        taken = put({"leader": ""}, {"mode": mode, "leader": shown}, stands, **kind)
        assert broken(taken, certain) == found, (mode, shown)


def test_an_open_value_has_a_rule() -> None:
    """To the letter it is the echo of the field, else that silence is answered consistently."""
    own = Judge(CONTRACT)  # It remembers what was left open.
    kind: dict[str, Any] = {"expect": "unspecified", "rule": "set_lamp.rejection.consistent"}
    assert broken(put({"label": "a\x00"}, {"label": "a"}, open={"label": "exact"}, **kind), own) == ["echo.label"]
    assert broken(put({"label": None}, {"label": "x"}, open={"label": "null"}, **kind), own) == ["rejection.consistent"]
    assert broken(put({"mode": None}, {"mode": "blink"}, open={"mode": "null"}, **kind), own) == []
    assert broken(put({"label": "x"}, {"label": None}, before=None, open={"label": "exact"}, **kind), own) == [
        "echo.label"
    ]
    assert broken(put({"label": "A", "caption": "B"}, {"label": "B"}, open={"label": "any"}, **kind), own) == []


@pytest.mark.parametrize(
    ("field", "a", "b", "expected"),
    [
        ("label", "a", "a", True),
        ("label", "a", "A", False),
        ("label", None, None, True),
        ("label", None, "", False),
        ("period", 1, 1.0, True),
        ("period", 1, True, False),
        ("period", 0, False, False),
        ("period", float("nan"), float("nan"), True),
        ("period", "1", 1, False),
        ("parts", ["a", "b"], ["b", "a"], True),
        ("parts", ["a", "a"], ["a"], False),
        ("parts", ["a"], "a", False),
        ("since", "2030-01-01T00:00:00Z", "2030-01-01T01:00:00+01:00", True),
        ("since", "2030-01-01T00:00:00Z", "2030-01-01T00:00:00.999Z", True),
        ("since", "2030-01-01T00:00:00Z", "2030-01-01T00:00:01Z", False),
        ("since", "2030-01-01T00:00:00Z", "never", False),
        ("", ["a", "b"], ["b", "a"], False),
        ("", {"a": 1}, {"a": 1}, True),
        ("", {"a": 1}, {"a": True}, False),
        ("", {"a": 1}, {"b": 1}, False),
        ("", [{"a": [1]}], [{"a": [1.0]}], True),
        ("", [{"a": [1]}], [{"a": [True]}], False),
        ("", [1], [1, 1], False),
        ("", MISSING, MISSING, True),
        ("", MISSING, None, False),
    ],
)
def test_two_values_say_the_same(field: str, a: Any, b: Any, expected: bool) -> None:
    """Lists of enumerated values in any order, times in any notation, numbers of any type; all else to the letter."""
    response = CONTRACT.update.response
    assert response is not None
    item = response.fields[field] if field else None
    assert same(item, a, b) is expected
    assert same(item, b, a) is expected


# ------------------------------------------------------------------------ evidence


def test_what_is_not_there_is_no_evidence() -> None:
    """What is null or left out is no evidence of what a value would show."""
    JUDGE.judge(look("show_lamp", {k: v for k, v in RECORD.items() if k != "mode"}))
    one, two = JUDGE.judge(look("show_lamp", RECORD)), JUDGE.judge(look("show_lamp", {**RECORD, "label": "B"}))
    assert one.evidence == two.evidence
    null = JUDGE.judge(look("show_lamp", {**RECORD, "label": None}))
    assert set(null.evidence) <= set(one.evidence)
    less = {k: v for k, v in RECORD.items() if k != "phone"}
    assert set(one.evidence) - set(JUDGE.judge(look("show_lamp", less)).evidence) == {
        "show_lamp.shape.phone.type",
        "show_lamp.e164.phone",
    }


def test_null_is_no_evidence_of_a_value() -> None:
    """A field that is null says nothing about its format or its enum."""
    null = JUDGE.judge(look("show_lamp", {**RECORD, "color": None, "phone": None})).evidence
    assert "show_lamp.shape.color.type" in null
    assert "show_lamp.enum.color" not in null
    assert "show_lamp.e164.phone" not in null


def test_what_is_not_wrong_is_still_evidence() -> None:
    """An answer with one wrong field is evidence for the others."""
    result = JUDGE.judge(look("show_lamp", {**RECORD, "mode": "x"}))
    assert "show_lamp.shape.label.type" in result.evidence
    assert "show_lamp.enum.mode" not in result.evidence
    assert Judgement().evidence == []


def test_frame_evidence_leaves_out_what_changed() -> None:
    """A field that changed although it was not sent is no evidence; the others are."""
    result = JUDGE.judge(put({"label": "A"}, {"period": 6}))
    assert "set_lamp.frame.call" in result.evidence
    assert "set_lamp.frame.period" not in result.evidence
    assert "set_lamp.frame.label" not in result.evidence


# ------------------------------------------------------------------------ the quick look and the close one


def record_of(contract: spec.Contract) -> dict[str, Any]:
    """A well-shaped record of a contract, with a value in every field."""
    response = contract.update.response
    assert response is not None
    made: dict[str, Any] = {}
    for name, item in response.fields.items():
        text = {"uuid": ID, "date-time": "2030-01-01T00:00:00Z", "e164": "+15558675309", "email": "a@example.com"}
        text["iso-3166-1-alpha-2"] = "US"
        kind = next((k for k in item.types if k != "null"), "string")
        plain = {"integer": 5, "number": 0.5, "boolean": True, "array": list(item.item_enum), "object": {}}
        made[name] = item.enum[0] if item.enum else plain.get(kind, text.get(item.format, "text"))
    return made


NESTED = lamp(
    {
        f"{RESPONSE}/parts": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "required": ["id"],
                "properties": {
                    "id": {"type": "string", "format": "uuid"},
                    "phone": {"type": "string", "format": "e164"},
                },
            },
        },
        f"{RESPONSE}/watts": {"type": "integer", "format": "int32"},
        f"{RESPONSE}/period": {"enum": [1, 2, None]},
        f"{RESPONSE}/color": {"oneOf": [{"type": "string", "maxLength": 3}, {"type": "integer"}]},
    }
)
NESTED_RECORD = {
    **RECORD,
    "parts": [{"id": ID, "phone": "+15558675309"}],
    "watts": 5,
    "period": 1,
    "color": "red",
}
CHECKER = FormatChecker(formats=())
for _format in FORMATS:
    CHECKER.checks(_format)(lambda value, name=_format: matches(name, value))


def shaped(contract: spec.Contract, record: dict[str, Any] | None = None) -> Shaped:
    """What is known of the shape of a contract's record, and one that has it."""
    body = contract.update.response
    assert body is not None
    other = Draft202012Validator(dict(body.schema), format_checker=CHECKER)
    return body, record or record_of(contract), RecordShape("op", body), other


Shaped = tuple[Body, dict[str, Any], RecordShape, Draft202012Validator]
SHAPES = {
    "bundled": shaped(spec.load()),
    "subscriptions": shaped(spec.load(FRAGMENT)),
    "lamps": shaped(CONTRACT),
    "nested": shaped(NESTED, NESTED_RECORD),
}

NEAR: list[Any] = [
    *("", "a", ID, ID.upper(), "2030-01-01T00:00:00Z", "2030-02-30T00:00:00Z", "+15558675309", "+1", "US", "us", "GB"),
    *(None, True, False, 0, 1, 1.0, 5, 5.5, -1, 2**31, 10**30, [], {}, [[]], ["voice"], ["voice", "x"], ["news", 7]),
    *(
        "POST",
        "post",
        "active",
        "a@example.com",
        [{"id": ID}],
        [{"id": "x"}],
        [{"id": ID, "phone": "+1"}],
        [{}],
        ["bulb"],
    ),
]


VALUES = st.sampled_from([*NEAR, MISSING]) | json_values()


@pytest.mark.parametrize("name", SHAPES)
@examples(max_examples=40)
@given(data=st.data())
def test_the_quick_look_agrees_with_jsonschema(name: str, data: st.DataObject) -> None:
    """A record has a finding exactly where another implementation of JSON Schema finds it invalid."""
    _, record, shape, other = SHAPES[name]
    changed = dict(record)
    for field in data.draw(st.lists(st.sampled_from(list(record)), min_size=1, max_size=3, unique=True)):
        value = data.draw(VALUES)
        if value is MISSING:
            del changed[field]
        else:
            changed[field] = value
    found = [f for f in shape.findings(changed, "") if "not a region" not in f.message]
    errors = list(other.iter_errors(changed))

    assert bool(found) == bool(errors)
    for finding in found:
        assert finding.pointer.split("/")[1] in {
            str(e.absolute_path[0]) if e.absolute_path else e.message.split("'")[1] for e in errors
        }


@pytest.mark.parametrize("name", SHAPES)
def test_the_close_look_finds_nothing_in_a_good_record(name: str) -> None:
    """Field by field a record is as well-shaped as at the first look."""
    body, record, shape, _ = SHAPES[name]
    assert shape.findings(record, "") == []
    for field, value in record.items():
        assert list(shape.field(body.fields[field], value, "")) == []


@pytest.mark.parametrize(
    ("country", "phone", "kept"),
    [
        ("US", "+15558675309", True),
        ("CA", "+15558675309", True),
        ("GB", "+15558675309", False),
        ("GB", "+442079460000", True),
        ("DE", "+80012345678", True),
        ("UM", "+15558675309", True),
        (None, "+15558675309", True),
        ("GB", None, True),
        ("GB", "+999123456", True),
    ],
)
def test_a_country_belongs_to_a_calling_code(country: Any, phone: Any, kept: bool) -> None:
    """A country is among the regions of its number's calling code, where the code has any and the number is one."""
    result = JUDGE.judge(look("show_lamp", {**RECORD, "country": country, "phone": phone}))
    assert ("show_lamp.e164.country" not in [f.rule for f in result.findings]) is kept


def test_a_region_is_told_with_some_of_the_others() -> None:
    """The finding names at most six regions of the calling code."""
    finding = JUDGE.judge(look("show_lamp", {**RECORD, "country": "GB"})).findings[0]
    assert finding == Finding(
        rule="show_lamp.e164.country",
        message="country is not a region of the calling code of phone",
        pointer="/country",
        expected="one of US, AG, AI, AS, BB, BM, …",
        actual="GB",
    )


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("a", "enum"),
        (None, "enum"),
        (7, "type"),
        ([], "type"),
    ],
)
def test_a_null_outside_of_an_enum(value: Any, expected: str) -> None:
    """Where null is a type but no value of the enum, it is the enum that it breaks."""
    contract = lamp({f"{RESPONSE}/color": {"type": ["string", "null"], "enum": ["red"]}})
    assert broken(look("show_lamp", {**RECORD, "color": value}), Judge(contract))[0].split(".")[0] in {
        expected,
        "shape",
    }


@pytest.mark.parametrize("name", ["bundled", "subscriptions"])
def test_documented_bodies_that_are_shown_are_kept(name: str) -> None:
    """An API that shows exactly what was sent breaks nothing, whatever was sent."""
    contract = spec.load() if name == "bundled" else spec.load(FRAGMENT)
    judge = Judge(contract)
    body, record, *_ = SHAPES[name]
    for sent in draw(Generator(contract.update).bodies(), 60, 0):
        shown = {**record, **{k: v for k, v in sent.items() if k in body.fields}}
        case = Case(label="a", operation=contract.update.id, body=sent)
        assert judge.judge(Interaction(case=case, response=answer(shown), before=record)).findings == []


# ------------------------------------------------------------- schemas that say less


def test_a_schema_without_a_type_is_judged() -> None:
    """What `oneOf` excludes is a wrong type, null too, and there is a rule that says so."""
    contract = lamp({f"{RESPONSE}/extra": {"oneOf": [{"type": "string"}, {"type": "integer"}]}})
    judge = Judge(contract)
    assert "show_lamp.shape.extra.type" in judge.rules
    for extra, found in (("x", []), ([1], ["show_lamp.shape.extra.type"]), (None, ["show_lamp.shape.extra.type"])):
        assert [f.rule for f in judge.judge(look("show_lamp", {**RECORD, "extra": extra})).findings] == found
    free = lamp({f"{RESPONSE}/extra": {"description": "Anything."}})
    assert "show_lamp.shape.extra.type" not in Judge(free).rules


def test_credentials_that_may_be_left_out_are_not_asked_for() -> None:
    """One of several ways to ask is to ask without any."""
    contract = lamp({"security": [{}, {"basic": []}]})
    assert not [id for id in rules(contract) if "credentials" in id or "password" in id or "wrong_user" in id]
    assert contract.update.security == ("basic",)


def test_a_companion_may_be_called_like_a_foreign_id() -> None:
    """A body without it gets a 422, and not a 404."""
    text = changed({}).replace('"leader"', '"foreign_id"')
    judge = Judge(spec.loads(text))
    rule = "set_lamp.handler.mode.follow.requires.foreign_id"
    assert rule in judge.rules
    assert judge.judge(refused(rule, 422)).findings == []


def test_another_name_for_what_is_sent_may_change_beside_an_unknown_key() -> None:
    """An API may mirror what is sent in its aliases."""
    sent = {"label": "Door", "x_unknown": 1}
    mirrored = put(sent, {"caption": "Door"}, expect="unspecified", rule="set_lamp.rejection.unknown_key")
    assert JUDGE.judge(mirrored).findings == []


def test_what_is_not_sent_may_change_where_nothing_is_said_of_it() -> None:
    """Without `x-unsent` an update may be a replacement, beside an unknown key as well."""
    judge = Judge(lamp({"paths/~1lamps~1{id}/put/x-unsent": MISSING}))
    reset = put(
        {"label": "Door", "x": 1}, {"color": "green"}, expect="unspecified", rule="set_lamp.rejection.unknown_key"
    )
    assert judge.judge(reset).findings == []
    assert JUDGE.judge(reset).findings != []


def test_a_refusal_of_which_the_json_is_wrong_is_told() -> None:
    """A key that stands twice leaves open what is meant."""
    twice = Interaction(
        case=Case(
            label="a", operation="set_lamp", expect="reject", rule="set_lamp.rejection.mode.enum", body={"mode": "x"}
        ),
        response=answer(b'{"error": "a", "error": "b"}', 422),
    )
    assert [f.rule for f in JUDGE.judge(twice).findings] == ["set_lamp.rejection.error_body"]


def test_another_notation_of_a_time_is_no_other_time() -> None:
    """What changes at any time may be shown as Z by one operation, and as an offset by another."""
    judge = Judge(lamp({f"{RESPONSE}/seen": {"type": "string", "format": "date-time", "x-changes": "anytime"}}))

    def views(read: str) -> list[tuple[str, dict[str, Any]]]:
        return [("set_lamp", {"seen": "2030-01-01T00:00:00Z"}), ("show_lamp", {"seen": read})] * 20

    assert judge.in_turns(views("2030-01-01T02:00:00+02:00")).findings == []
    assert [f.leaf for f in judge.in_turns(views("2030-01-01T02:00:00Z")).findings] == ["seen"]


def test_a_time_may_be_shown_with_less_of_a_second_than_another() -> None:
    """A record that was never updated was updated when it was created, however that is rounded."""
    created = {"since": "2030-01-01T00:00:00.123456Z", "until": "2030-01-01T00:00:00.123Z"}
    assert JUDGE.judge(look("show_lamp", {**RECORD, **created})).findings == []
    early = {"since": "2030-01-01T00:00:02.123456Z", "until": "2030-01-01T00:00:00.123Z"}
    assert len(JUDGE.judge(look("show_lamp", {**RECORD, **early})).findings) == 1


def test_a_field_that_only_the_read_shows_is_of_the_record() -> None:
    """What an update leaves out of its answer is put back and compared as well."""
    short = {"type": "object", "properties": {"id": {"type": "string"}, "label": {"type": "string"}}}
    place = "paths/~1lamps~1{id}/put/responses/200/content/application~1json/schema"
    contract = lamp({place: short})
    assert {"id", "label", "mode", "period", "call"} <= {*contract.record}


@pytest.mark.parametrize(
    ("expect", "stored", "broken"),
    [
        ("unspecified", None, []),
        ("unspecified", "x", ["set_lamp.frame.leader"]),
        ("accept", None, ["set_lamp.frame.leader"]),
    ],
)
def test_who_takes_a_selector_alone_may_have_kept_its_companion(expect: Any, stored: Any, broken: list[str]) -> None:
    """Where the documents leave open whether it is taken, and no answer showed what may have been kept."""
    case = Case(
        label="a",
        operation="set_lamp",
        expect=expect,
        rule="set_lamp.rejection.consistent" if expect == "unspecified" else "",
        body={"mode": "follow"},
        open={"mode": "exact"} if expect == "unspecified" else {},
    )
    before, after = ({**RECORD, "mode": mode, "leader": of} for mode, of in (("on", stored), ("follow", "kept")))
    found = JUDGE.judge(Interaction(case=case, response=answer(after), before=before, id=ID)).findings

    assert [f.rule for f in found if f.pointer == "/leader" and ".frame." in f.rule] == broken
