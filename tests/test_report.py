"""Reports: the lines people read, run.json as others rely on it, masks, and lines for a shell that show a failure again."""

from __future__ import annotations

import html
import itertools
import json
import math
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from fnmatch import fnmatch
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import pytest

from contract import reference
from contract.errors import ConfigError
from contract.files import ready, write
from contract.mask import Mask, plain, shown
from contract.model import MISSING, Case, Finding
from contract.report import curl, data, encoded, expected_lines, lines
from contract.restore import Restored
from contract.result import Result
from tests.hostile import ESCAPE
from tests.kit import CONTRACT, credentials, outcome, run, settings
from tests.reports import hostile, made

ID = "3fa85f64-5717-4562-b3fc-2c963f66afa6"
BASE = "https://staging.example.com/api/relay/rest"
SECRETS = ('pa"ss\\wörd<&>', "PTabcdef0123456789abcdef")
RAW = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""What a terminal obeys, the end of a line left out."""


def told(result: Result, mask: Mask | None = None, **more: Any) -> list[str]:
    """What a person reads."""
    return list(lines(result, mask or Mask(), **more))


# --------------------------------------------------------------------------- mask


@pytest.mark.parametrize("secret", SECRETS)
def test_a_secret_is_replaced_however_it_is_escaped(secret: str) -> None:
    """As it is, in JSON with and without escapes beyond ASCII, in a URL and in HTML."""
    import html
    from urllib.parse import quote

    forms = [secret, json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]]
    forms += [quote(secret), quote(secret, safe=""), html.escape(secret)]
    mask = Mask(secrets=SECRETS)

    assert {mask.text(f"before {form} after {form}") for form in forms} == {"before *** after ***"}


@pytest.mark.parametrize("kept", range(4, 24))
def test_the_half_of_a_secret_at_the_end_of_a_text_is_replaced(kept: int) -> None:
    """Texts are cut to a length, and a cut may go through a secret."""
    assert Mask(secrets=SECRETS).text("cut here: " + SECRETS[1][:kept]) == "cut here: ***"


def test_secrets_are_replaced_in_keys_and_values_of_every_depth() -> None:
    """Data is masked wherever it stands, and other values stay what they are."""
    secret = SECRETS[1]
    value = {"a": [1, None, True, {secret: f"x{secret}"}], "b": MISSING, "c": (1.5, secret)}

    assert Mask(secrets=SECRETS).value(value) == {"a": [1, None, True, {"***": "x***"}], "b": None, "c": [1.5, "***"]}
    assert Mask().value(value) == {**value, "b": None, "c": [1.5, secret]}


@pytest.mark.parametrize(
    "write",
    [
        json.dumps,
        lambda text: json.dumps(text, ensure_ascii=False),
        lambda text: json.dumps(text).replace("/", "\\/"),
        lambda text: json.dumps(json.dumps(text)),
        lambda text: "".join(c if c.isalnum() and c.isascii() else f"\\u{ord(c):04X}" for c in text),
        quote,
        lambda text: quote_plus(text).lower(),
        html.escape,
    ],
    ids=["JSON", "UTF-8", "strokes", "twice", "capitals", "URL", "form", "HTML"],
)
def test_a_secret_is_masked_however_it_is_written(write: Callable[[str], str]) -> None:
    """In JSON, in JSON in JSON, in a URL and in HTML, in small letters and in capitals."""
    secret = 'pw/wi th+slash-9"é&\\x'
    assert Mask(secrets=(secret,)).text(f"a {write(secret)} b").replace('"', "").replace("\\", "") == "a *** b"


def test_a_masked_number_is_masked_in_every_notation() -> None:
    """As a number, and with its plus sign escaped."""
    mask = Mask(secrets=("x",), names=("number",), values=("+15558675309",))
    assert "5558675309" not in mask.text('{"number": 15558675309, "n": "\\u002b15558675309 or %2B15558675309"}')


def test_a_masked_number_stays_one_of_its_region() -> None:
    """What is judged by the region of a number is judged alike where that is masked; too short a one is hidden whole."""
    mask = Mask(secrets=SECRETS, names=("number",))
    masked = mask.value({"number": "+15558675309"})["number"]
    assert masked.startswith("+1555")
    assert masked[5:] != "8675309"
    assert len(masked) == len("+15558675309")
    assert not mask.value({"number": "+1555867"})["number"].startswith("+1555")


def test_an_empty_secret_masks_nothing() -> None:
    """Without credentials there is nothing to replace."""
    assert Mask(secrets=("",)).text("abc") == "abc"


@pytest.mark.parametrize(
    ("value", "form"),
    [
        ("+15558675309", r"\+\d{11}"),
        (ID, r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"),
        (ID.upper(), r"[0-9A-F]{8}-[0-9A-F]{4}-[0-9A-F]{4}-[0-9A-F]{4}-[0-9A-F]{12}"),
        ("Front Desk 7", r"[A-Z][a-z]{4} [A-Z][a-z]{3} \d"),
        ("https://a.example/x?y=1", r"[a-z]{5}://[a-z]\.[a-z]{7}/[a-z]\?[a-z]=\d"),
        ("2026-11-24T10:00:00Z", r"\d{4}-\d\d-\d\d[A-Z]\d\d:\d\d:\d\d[A-Z]"),
        ("", ""),
    ],
)
def test_a_masked_value_keeps_its_form(value: str, form: str) -> None:
    """Digits stay digits and letters letters, small or large; equal values are masked equally."""
    mask = Mask(secrets=SECRETS, names=("number",))
    masked = mask.value({"number": value})["number"]

    assert re.fullmatch(form, masked)
    assert not value or masked != value
    assert mask.value([value], "number") == [masked]
    assert mask.value(value, "name") == value


def test_what_is_masked_is_masked_once() -> None:
    """A value and a text that quotes it, whatever is escaped there, have one stand-in; and that stays as it is."""
    mask = Mask(secrets=SECRETS, names=("label",))
    value = '  say "hello" \\ é\u2028 '
    masked = mask.value({"label": value})

    assert masked["label"] != value
    for ascii in (True, False):
        assert json.loads(mask.text(json.dumps({"label": value}, ensure_ascii=ascii))) == masked
        assert json.loads(mask.text(json.dumps(masked, ensure_ascii=ascii))) == masked
    assert mask.value(masked) == masked
    assert mask.text('{"label": "cut sho') != '{"label": "cut sho'


def test_masked_names_are_told(tmp_path: Path) -> None:
    """Those whose values are other ones in truth, and those that were meant to hide something."""
    with reference.running() as server:
        result = run(settings(server, tmp_path, mask=("/name", "/nope"), profile="smoke"), credentials(server))
    told = list(lines(result, Mask(names=("name", "nope")), quiet=True))

    assert "masked, so not as they are: the values of name" in told
    assert "masked for nothing: no answer of this run shows nope" in told


@pytest.mark.parametrize(
    ("rule", "masked"),
    [("x.shape.label.type", False), ("x.enum.label", False), ("x.echo.label", True), ("x.shape.identity", True)],
)
def test_only_values_are_masked_in_what_was_expected(rule: str, masked: bool) -> None:
    """The name of a type is no value of the record."""
    finding = Finding(rule=rule, message="", pointer="/label", expected="string", actual="secret")
    told = list(expected_lines(finding, Mask(names=("label",)), ""))

    assert (told[0] == "expected  string") is not masked
    assert "secret" not in told[1]


def test_masked_values_of_other_types_keep_their_type() -> None:
    """Numbers become numbers; null, true and false tell nothing and stay; lists and objects are masked inside."""
    mask = Mask(names=("x",))
    masked = mask.value({"x": {"a": [12345, -7.5, None, True, "ab"], "b": math.inf, "c": MISSING}})["x"]

    assert [type(v) for v in masked["a"]] == [int, int, type(None), bool, str]
    assert masked["a"][0] != 12345
    assert (masked["b"], masked["c"]) == (None, None)


def test_nobody_can_try_out_which_number_was_masked() -> None:
    """What a value becomes depends on the credentials, which nobody sees who sees the report."""
    one, other = (Mask(secrets=(secret,), names=("n",)).value("+15558675309", "n") for secret in ("a" * 20, "b" * 20))

    assert one != other


def test_masked_values_are_masked_in_texts_too() -> None:
    """A message, an answer that is no JSON, a text that quotes the value: masked alike, as soon as the run has seen it."""
    result = made()
    mask = Mask(names=("number",)).of(result)
    number = next(one.response.body["number"] for one in result.exchanges if "number" in one.response.body)
    masked = mask.value(number, "number")

    assert mask.of(result) is mask
    assert mask.text(f"it is {number!r}.") == f"it is {masked!r}."
    assert Mask(names=("number",)).text('{"number": "+4912345", "nu') == '{"number": "%s", "nu' % (
        Mask().value("+4912345") and Mask(names=("number",)).value("+4912345", "number")
    )


def test_no_masked_value_is_in_any_report(tmp_path: Path) -> None:
    """Neither the ids nor the numbers nor the names of the environment are in what a run writes and prints."""
    result = made(profile="smoke")
    mask = Mask(secrets=SECRETS, names=("id", "number", "name"))
    write(result, tmp_path, mask)
    places = [path.read_text(encoding="utf-8") for path in tmp_path.iterdir()] + told(result, mask)
    personal = {one.response.body.get("number") for one in result.exchanges if isinstance(one.response.body, dict)}

    assert result.verdict == "broken"
    assert len(places) > 5
    assert result.restored
    assert not [
        value
        for value in (*filter(None, personal), *result.restored, "Front desk")
        if any(value in text for text in places)
    ]


# -------------------------------------------------------------------------- words


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (MISSING, "(absent)"),
        (None, "null"),
        ("null", '"null"'),
        ("007", '"007"'),
        ("1.5", '"1.5"'),
        ("", '""'),
        (" a ", '" a "'),
        ("a b", "a b"),
        ("+1 5", "+1 5"),
        ({"a": "é"}, '{"a": "é"}'),
        ("x" * 300, "x" * 180 + "… (300 characters)"),
        ("a\x1b[31m\u202eb\x9b\n", "a\\u001b[31m\\u202eb\\u009b\\u000a"),
        ("\ud800", "\ufffd"),
        (1.5, "1.5"),
    ],
)
def test_a_value_is_one_line_that_no_terminal_obeys(value: Any, text: str) -> None:
    """JSON, cut where it is long, with an escape for whatever is not to be printed."""
    assert shown(value) == text


def test_plain_text_stays_as_it_is() -> None:
    """Letters of every script, and pictures, are no control characters."""
    assert plain("Zürich 総合 🏢 abc") == "Zürich 総合 🏢 abc"


def test_json_for_people_holds_nothing_raw() -> None:
    """What a terminal or an editor obeys is escaped, and is the same value when it is read again."""
    value = {ESCAPE: [ESCAPE + "\u2028\ufeff\x85"]}
    text = encoded(value)

    assert not RAW.search(text)
    assert json.loads(text) == value
    with pytest.raises(ValueError, match="Out of range"):
        encoded(math.nan)


# --------------------------------------------------------------------------- curl


@pytest.mark.parametrize(
    ("more", "line"),
    [
        ({}, f'curl -sS -X GET -u "$CONTRACT_USERNAME:$CONTRACT_PASSWORD" {BASE}/phone_numbers/{ID}'),
        ({"credentials": "none"}, f"curl -sS -X GET {BASE}/phone_numbers/{ID}"),
        (
            {"credentials": "wrong_user"},
            f'curl -sS -X GET -u "wrong:$CONTRACT_PASSWORD" {BASE}/phone_numbers/{ID}',
        ),
        (
            {"credentials": "longer_password"},
            f'curl -sS -X GET -u "$CONTRACT_USERNAME:${{CONTRACT_PASSWORD}}x" {BASE}/phone_numbers/{ID}',
        ),
        (
            {"credentials": "shorter_password"},
            f'curl -sS -X GET -u "$CONTRACT_USERNAME:${{CONTRACT_PASSWORD%?}}" {BASE}/phone_numbers/{ID}',
        ),
        ({"credentials": "empty_password"}, f'curl -sS -X GET -u "$CONTRACT_USERNAME:" {BASE}/phone_numbers/{ID}'),
        (
            {"credentials": "wrong_password", "target": "unknown"},
            f'curl -sS -X GET -u "$CONTRACT_USERNAME:wrong" {BASE}/phone_numbers/3fa85f64-a8e8-4562-b3fc-2c963f66afa6',
        ),
        (
            {"target": "foreign", "query": "?a=b&c"},
            f"curl -sS -X GET -u \"$CONTRACT_USERNAME:$CONTRACT_PASSWORD\" '{BASE}/phone_numbers/SOMEONE_ELSES_ID?a=b&c'",
        ),
        (
            {"target": "malformed"},
            f'curl -sS -X GET -u "$CONTRACT_USERNAME:$CONTRACT_PASSWORD" {BASE}/phone_numbers/not-an-id',
        ),
    ],
)
def test_a_line_names_the_variables_and_never_their_values(more: Mapping[str, Any], line: str) -> None:
    """Credentials are variables of the environment; wrong ones are the word wrong; no credentials are none."""
    case = Case(label="x", operation=CONTRACT.retrieve.id, **more)

    assert curl(CONTRACT, BASE + "/", case, ID, MISSING, Mask()) == line


def test_a_line_quotes_what_it_sends() -> None:
    """Quotes, blanks and what a terminal obeys survive a shell, as JSON that says the same."""
    body = {"name": 'it\'s "$HOME" `id` \x1b[31m\u202e🏢\ud800'}
    case = Case(label="x", operation=CONTRACT.update.id, body=body)
    line = curl(CONTRACT, BASE, case, ID, body, Mask())
    sent = subprocess.run(
        ["sh", "-c", line.replace("curl", "printf '%s\\n'", 1)], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    content = sent[sent.index("--data-binary") + 1]

    assert not RAW.search(line)
    assert json.loads(content) == body
    raw = Case(label="x", operation=CONTRACT.update.id, content=b'{"name": ', media_type="text/plain")
    assert "--data-binary '{\"name\": '" in curl(CONTRACT, BASE, raw, ID, MISSING, Mask())
    assert "'Content-Type: text/plain'" in curl(CONTRACT, BASE, raw, ID, MISSING, Mask())


@pytest.mark.parametrize(
    "defects",
    [
        "urls-swapped+refused-name-stored+video-room-lost+unknown-id-400+topic-clears-others",
        "write-not-stored+others-shown-once+foreign-readable",
    ],
)
def test_a_line_that_is_pasted_shows_the_failure(defects: str, tmp_path: Path) -> None:
    """A shell that runs the line, with the ids that were given, gets another value or status than the expected one."""
    if shutil.which("curl") is None:
        pytest.skip("there is no curl here")
    with reference.running(defect=defects) as server:
        result = run(settings(server, tmp_path, bystander_ids=server.ids[1:2]), credentials(server))
        entries = [entry for entry in data(result, Mask())["rules"] if entry["verdict"] == "broken"]
        environment = {
            "CONTRACT_USERNAME": server.username,
            "CONTRACT_PASSWORD": server.password,
            "PATH": "/usr/bin:/bin",
        }
        for defect in defects.split("+"):
            breaks = reference.DEFECTS[defect].breaks
            entry = next(e for e in entries if any(fnmatch(e["id"], pattern) for pattern in breaks))
            failure = entry["failures"][0]
            line = failure["curl"].replace("curl -sS", "curl -sS -w '\\n%{http_code}'", 1)
            line = failure["curl"] if "&&" in failure["curl"] else line
            done = subprocess.run(["sh", "-c", line], env=environment, capture_output=True, text=True, timeout=30)
            assert server.password not in failure["curl"]
            assert done.stderr == ""
            answer, _, status = (f"{done.stdout}\n" if "&&" in failure["curl"] else done.stdout).rpartition("\n")
            if failure["pointer"]:
                assert json.loads(answer)[failure["pointer"].removeprefix("/")] != failure["expected"], defect
            else:
                assert str(failure["actual"])[:3] == status != str(failure["expected"]), defect


# ----------------------------------------------------------------------- run.json


def test_run_json_is_what_others_rely_on(tmp_path: Path) -> None:
    """Every member that is documented is there, with its type and its words."""
    result = made()
    path = write(result, tmp_path / "new" / "folder", Mask())
    found = json.loads(path.read_text(encoding="utf-8"))

    assert path == tmp_path / "new" / "folder" / "run.json"
    assert {path.name for path in path.parent.iterdir()} == {"run.json", "run.html", "run.md", "run.har"}
    assert list(found)[:7] == ["format", "verdict", "profile", "seed", "base_url", *list(found)[5:7]]
    assert (found["format"], found["verdict"], found["profile"], found["seed"]) == (1, "broken", "standard", 0)
    assert found["base_url"] == result.settings.base_url
    assert datetime.fromisoformat(found["started"]).tzinfo is not None
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", found["started"])
    assert isinstance(found["seconds"], float)
    assert found["requests"] == result.requests
    assert isinstance(found["observations"], list)
    assert found["observations"]
    rules = found["rules"]
    assert [rule["id"] for rule in rules] == list(result.ledger.rules)
    for rule in rules:
        assert rule["basis"] in {"documented", "observed", "inferred"}
        assert rule["verdict"] in {"kept", "broken", "warned", "undecided", "not_exercised"}
        assert rule["source"]
        assert isinstance(rule["evidence"], int)
        assert ("reason" in rule) >= (rule["verdict"] in {"undecided", "not_exercised"})
        assert ("failures" in rule) >= (rule["verdict"] in {"broken", "warned"})
        for failure in rule.get("failures", ()):
            assert set(failure) == {
                *("case", "message", "pointer", "expected", "actual", "curl", "request", "response"),
            }
            assert failure["pointer"] == "" or failure["pointer"].startswith("/")
            assert isinstance(failure["request"], dict)
            assert isinstance(failure["response"], dict)
    ((id, done),) = found["restored"].items()
    assert id == result.settings.ids[0]
    assert (done["verdict"], done["left"]) == ("restored", {})


def test_run_json_of_hostile_answers_is_json() -> None:
    """Whatever an API answers, what is written is strict JSON without a raw control character."""

    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is no JSON")

    text = encoded(data(hostile(), Mask(secrets=SECRETS)))

    assert json.loads(text, parse_constant=refuse)["verdict"]
    assert not RAW.search(text)


def test_a_report_is_replaced_whole(tmp_path: Path) -> None:
    """The second run's files take the place of the first one's, and nothing half-written stays."""
    (tmp_path / "run.json").write_text("old")
    write(made(), tmp_path, Mask())

    assert json.loads((tmp_path / "run.json").read_text())["format"] == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run.har", "run.html", "run.json", "run.md"]


# -------------------------------------------------------------------------- lines


def test_a_kept_run_is_told_in_few_lines() -> None:
    """What only warns, what was put back, how long it took, and the verdict with its counts."""
    found = told(made(None))

    assert found[-1].startswith("KEPT: ")
    assert re.fullmatch(
        r"KEPT: \d+ rules: \d+ kept, \d+ warned, \d+ not exercised; \d+ requests in \d+\.\d s", found[-1]
    )
    assert f"{made(None).settings.ids[0]} was put back as it was, and read back" in found
    assert any(line.startswith("tour: ") for line in found)
    assert not any(line.startswith("broken") for line in found)


def test_a_broken_rule_is_told_with_all_that_is_needed() -> None:
    """The rule, its source, the case, the smallest body, expected, actual, and how to send it again."""
    found = told(made())
    start = next(i for i, line in enumerate(found) if line.startswith("broken "))
    words = [line.split()[0] for line in found[start + 2 :] if line.startswith("  ") and not line.startswith("   ")]

    assert words[:7] == ["rule", "source", "case", "body", "expected", "actual", "again"]
    assert found[-1].startswith("BROKEN: ")
    body = next(line for line in found if line.startswith("  body"))
    assert len(json.loads(body.removeprefix("  body").strip())) <= 2


def test_a_warning_says_which_basis_it_has() -> None:
    """A rule that is weaker than asked for is one that warns, with its basis."""
    found = [line for line in told(made(None)) if line.startswith("warned")]

    assert found
    assert all(line.endswith(("(inferred only)", "(observed only)")) for line in found)
    assert not [line for line in told(made(None), quiet=True) if line.startswith("warned")]


def test_what_could_not_be_told_is_told() -> None:
    """The reason of an undecided run, the ten first undecided rules, and how many more there are."""
    result = made(None)
    entries = [
        replace(e, verdict="undecided", reason=f"because {i}", failures=()) for i, e in enumerate(result.entries)
    ]
    odd = Result(
        contract=result.contract,
        settings=result.settings,
        plan=result.plan,
        ledger=result.ledger,
        started=result.started,
        problem="the budget of 6 seconds is spent",
        noise=3,
        _entries=entries,
    )
    found = told(odd)

    assert sum(line.startswith("undecided ") for line in found) == 10
    assert f"        … and {len(entries) - 10} more" in found
    assert "could not tell: the budget of 6 seconds is spent" in found
    assert any(line.startswith("3 answers were lost or put off") for line in found)
    assert found[-1].startswith("UNDECIDED: ")


@pytest.mark.parametrize(
    ("done", "words"),
    [
        (Restored(verdict="nothing_changed"), ["x is as it was"]),
        (
            Restored(verdict="restored", unseen=("a", "b")),
            ["x was put back as it was", "never shown, so not put back: a, b"],
        ),
        (
            Restored(verdict="not_restored", left={"name": (None, "y")}),
            ["x could not be put back whole", "name: was null, is y"],
        ),
        (
            Restored(verdict="not_restored", note="no connection"),
            ["x could not be put back whole: no connection", "its journal is kept", "contract restore"],
        ),
        (
            Restored(verdict="not_restored", note="it is gone", way="contract restore --base-url https://a.example"),
            ["when that is over: contract restore --base-url https://a.example"],
        ),
        (
            Restored(verdict="not_restored", left={"name": ("a", "b")}, theirs=("name",)),
            ["x was put back, but for what someone else set meanwhile", "name: was a, is b"],
        ),
        (
            Restored(verdict="not_restored", left={"name": ("a", "b"), "c": (1, 2)}, theirs=("name",)),
            ["x could not be put back whole", "name: was a, is b", "c: was 1, is 2"],
        ),
    ],
)
def test_how_a_record_was_left_is_told(done: Restored, words: list[str]) -> None:
    """As it was, put back, left with both values, or journaled with what to do now."""
    result = made(None)
    odd = Result(
        contract=result.contract,
        settings=result.settings,
        plan=result.plan,
        ledger=result.ledger,
        started=result.started,
        restored={"x": done},
        _entries=result.entries,
    )
    text = "\n".join(told(odd))

    assert all(word in text for word in words), text


def test_someone_elses_values_are_told_and_masked() -> None:
    """Both values stand below the problem, and a masked field's do not."""
    result = made(None)
    odd = Result(
        contract=result.contract,
        settings=result.settings,
        plan=result.plan,
        ledger=result.ledger,
        started=result.started,
        problem="someone else writes to x",
        foreign={"x": {"name": (None, "Somebody"), "number": ("+15550001111", "+15550002222")}},
        _entries=result.entries,
    )
    text = "\n".join(told(odd, Mask(names=("number",))))

    assert "        name: was null, is Somebody" in text
    assert "+1555000" not in text
    assert re.search(r"number: was \+\d{11}, is \+\d{11}", text)
    assert data(odd, Mask())["foreign"] == {
        "x": {"name": [None, "Somebody"], "number": ["+15550001111", "+15550002222"]}
    }


def test_hostile_answers_are_told_harmlessly() -> None:
    """No line holds a character that a terminal obeys, or an end of a line inside."""
    found = told(hostile(), Mask(secrets=SECRETS))

    assert not [line for line in found if RAW.search(line) or "\n" in line]


def test_lines_can_be_decorated() -> None:
    """What decorates gets each word with what it is, and nothing else changes."""
    kinds: set[str] = set()

    def style(text: str, name: str) -> str:
        kinds.add(name)
        return f"<{text}>"

    found = list(lines(made(), Mask(), style))

    assert {"broken", "warned"} <= kinds
    assert found[-1].startswith("<BROKEN>: ")


def test_two_reports_do_not_replace_each_other(tmp_path: Path) -> None:
    """One file for both is refused before anything is sent."""
    with pytest.raises(ConfigError, match="two reports are to be written to"):
        ready(str(tmp_path), str(tmp_path / "a.xml"), str(tmp_path / "." / "a.xml"))


def test_a_selector_that_is_no_text_is_told_in_every_report(tmp_path: Path) -> None:
    """It is wrong, and has no place in the table of values."""
    odd = itertools.cycle(({"value": "video_room"}, ["video_room"]))

    def wrong(operation: str, status: int, body: Any) -> Any:
        return {**body, "call_handler": next(odd)} if operation == "update_phone_number" and status == 200 else body

    with reference.running(mutate=wrong) as server:
        found = outcome(settings(server, tmp_path, profile="smoke"), credentials(server))

    assert found.status == 1, found.text
    assert {"run.json", "run.html", "run.md", "run.har"} <= {*found.files}
