"""Two runs compared: unchanged servers are equal, and what changed is named, documented or not."""

from __future__ import annotations

import copy
import importlib
import itertools
import json
import tempfile
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

import pytest

from contract import cli, compare, reference, report
from contract.behaviour import handling, kind, words
from contract.errors import ConfigError
from contract.mask import Mask
from contract.model import MISSING
from tests import subscriptions
from tests.kit import credentials, run, settings

REFUSED, ACCEPTED = "refused: ", "accepted: "
CAUGHT = {
    "companions-in-body": (REFUSED, "call_handler and message_handler with what is stored"),
    "callback-required": (REFUSED, "call_handler relay_topic without call_relay_topic_status_callback_url"),
    "null-refused": (REFUSED, "null in message_handler"),
    "null-ignored": ("what is sent is ignored; it was stored as sent", "null in call_handler"),
    "blank-refused": (REFUSED, "blank values"),
    "blank-is-null": ("what is sent is stored as null; it was stored as sent", "blank values"),
    "empty-body-refused": (REFUSED, "an empty body"),
    "unknown-keys-refused": (REFUSED, "an unknown key"),
    "read-only-keys-refused": (REFUSED, "read-only fields"),
    "numbers-as-text": (ACCEPTED, "a number in name"),
    "types-400": ("that were answered 422 are answered 400", "a number in name"),
    "malformed-422": ("2 requests that were answered 400 are answered 422", "malformed JSON"),
    "array-400": ("a request that was answered 422 is answered 400", "a JSON array"),
    "array-415": ("a request that was answered 422 is answered 415", "a JSON array"),
    "media-type-400": ("a request that was answered 415 is answered 400", "a wrong media type"),
    "enums-any-case": (ACCEPTED, "another case in call_request_method"),
    "https-only": (REFUSED, "http values"),
    "no-ports": (REFUSED, "space and port values"),
    "ascii-hosts": (REFUSED, "long 5 and idn values"),
    "name-limit-128": (REFUSED, "long 5 and idn values"),
    "name-unlimited": (ACCEPTED, "long 6 values"),
    "ids-not-checked": (ACCEPTED, "call_laml_application_id of nothing"),
    "former-cleared": ("what is not sent is cleared; it was kept", "tour 1"),
    "aliases-mirrored": ("what is not sent is set to what an alias was sent; it was kept", "tour 1"),
    "milliseconds": ("updated_at: a time Z, fractions in",),
    "microseconds": ("created_at, next_billed_at, updated_at: a time Z, fractions in",),
    "plus-zero": ("created_at, next_billed_at, updated_at: a time +00:00 in",),
    "mountain-time": ("created_at, next_billed_at, updated_at: a time with an offset in",),
    "more-fields": ("tags (array): new in",),
    "newer-fields-absent": ("gone from update_phone_number 200",),
    "links-absolute": ("links/self: an address in list_phone_numbers 200; it was a path",),
    "tollfree": ("number_type: tollfree in record",),
    "resource-ids-null": ("null after an update; it was a value", "tour 2"),
    "resource-ids-random": ("a value after an update; it was null", "tour 1"),
    "no-details": ("the error text of update_phone_number 422 is empty", "call_handler is 'no_such_value'"),
    "null-details": ("detail: null in update_phone_number 422, which it never was before (string)",),
    "blank-details": ("the error text of update_phone_number 422 is 'errors/title", "call_handler is 'ai_agent'"),
    "bare-401": ("error (string): gone from",),
    "credentials-403": ("12 requests that were answered 401 are answered 403", "PUT /phone_numbers/{id} wrong user"),
    "malformed-id-422": ("2 requests that were answered 404 are answered 422", "GET /phone_numbers/{id} malformed id"),
    "gzip": ("is gzip; it was absent",),
    "no-charset": ("is application/json; it was application/json; charset=utf-8",),
    "charset-capitals": ("is Application/JSON;charset=UTF-8; it was application/json; charset=utf-8",),
}
"""Variant -> words of a change that is told, compared with the plain server, and a case that shows it."""

EQUAL = (
    "keys-shuffled",
    "capabilities-shuffled",
    "list-reversed",
    "bare-number-found",
    "always-touched",
    "rate-limited",
)
"""Variants that are no change."""
RANDOM = (
    (
        *("milliseconds", "gzip", "more-fields", "former-cleared", "resource-ids-random", "https-only", "no-charset"),
        *("companions-in-body", "unknown-keys-refused", "enums-any-case", "ids-not-checked", "blank-is-null"),
        *("array-400", "malformed-422", "tollfree"),
    ),
    (
        *("microseconds", "aliases-mirrored", "callback-required", "empty-body-refused", "no-ports", "name-limit-128"),
        *("array-415", "charset-capitals", "numbers-as-text", "malformed-id-422", "credentials-403", "bare-401"),
        *("no-details", "links-absolute"),
    ),
    ("mountain-time", "blank-details", "blank-refused", "null-ignored", "media-type-400", "types-400"),
)
"""Those of one server each, of which two runs are made: what they do by chance, or by the clock, is no change either."""
STEADY = (
    *("plus-zero", "read-only-keys-refused", "ascii-hosts", "name-unlimited"),
    *("resource-ids-null", "newer-fields-absent", "null-details"),
)
"""Those of another one, of which one run is enough."""
ALONE = ("null-refused",)
"""What a run needs many requests for: it asks less where the documents are silent."""


def made(*, defect: str | None = None, numbers: tuple[int, ...] = (0,)) -> dict[str, Any]:
    """The run.json of a run against the reference server."""
    with reference.running(defect=defect) as server, tempfile.TemporaryDirectory() as folder:
        chosen = settings(server, Path(folder), ids=tuple(server.ids[n] for n in numbers), allow_unrestorable=True)
        result = run(chosen, credentials(server))
        found: dict[str, Any] = json.loads(json.dumps(report.data(result, Mask(secrets=(server.password,)))))
        return found


@cache
def clean() -> dict[str, Any]:
    """The run.json of a run against the plain server; not to be changed."""
    return made()


def changed(change: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
    """The clean run with something changed."""
    found = copy.deepcopy(clean())
    change(found)
    return found


def case(run: dict[str, Any], label: str) -> dict[str, Any]:
    """One case of a run."""
    return next(one for one in run["cases"] if one["label"] == label)


def updating(label: str, **values: Any) -> Callable[[dict[str, Any]], Any]:
    """A change of one case."""
    return lambda run: case(run, label).update(values)


def texts(found: compare.Comparison) -> list[str]:
    """The changes in words."""
    return [change.text for change in found.changes]


# ------------------------------------------------------------------------ whole runs


@pytest.mark.parametrize("other", [0, 2])
def test_the_plain_server_compares_equal(other: int) -> None:
    """Two runs of the plain server are equal, on one number or on two that were found in other states."""
    found = compare.compare(clean(), made(numbers=(other,)))

    assert (found.status, texts(found)) == (0, [])
    assert found.compared > 240
    assert list(compare.lines(found))[-1].startswith("EQUAL: ")


def test_runs_on_other_numbers_of_records_compare_equal() -> None:
    """A plan that is shared out among two records meets other states: what depends on them is not compared."""
    found = compare.compare(clean(), made(numbers=(1, 5)))

    assert (found.status, texts(found)) == (0, [])
    assert found.compared > 200
    assert found.missing


@pytest.mark.parametrize("variants", [EQUAL, *RANDOM, STEADY, ALONE], ids=lambda names: names[0])
def test_changes_where_the_documents_are_silent_are_caught(
    variants: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Variants are kept; two runs of them are equal, and compared with the plain server each change is named."""
    clean()
    create = reference.create_app
    # By its full name: the function of the package that is called the same stands before it.
    serving = importlib.import_module("contract.reference.serve")
    monkeypatch.setattr(serving, "create_app", lambda **given: create(**given | {"variants": variants}))
    new = made()
    assert new["verdict"] == "kept"
    if variants in RANDOM:
        again = compare.compare(new, made())
        assert (again.status, texts(again)) == (0, [])

    found = compare.compare(clean(), new)

    assert found.newly_broken == ()
    if variants == EQUAL:
        assert (found.status, texts(found)) == (0, [])
    else:
        assert [name for name in variants if not shows(found, *CAUGHT[name])] == []
        assert found.status == 1


def shows(found: compare.Comparison, words: str, *cases: str) -> bool:
    """True where one change is told in these words, and the case shows it."""
    told = [(f"{change.kind}: {change.text}", {*change.cases}) for change in found.changes]
    return any(words in text and {*cases} <= labels for text, labels in told)


def test_every_change_is_looked_for() -> None:
    """Each variant of the table is in one server."""
    assert sorted(itertools.chain(*RANDOM, STEADY, ALONE)) == sorted(CAUGHT)


@cache
def trimming() -> dict[str, Any]:
    """The run.json of a run against a server that trims names; not to be changed."""
    return made(defect="name-trimmed")


def test_a_defect_is_newly_broken() -> None:
    """A rule that was kept and is broken is told with what was found; the other way round it is newly kept."""
    found = compare.compare(clean(), trimming())

    assert found.newly_broken == ("update_phone_number.echo.name",)
    assert found.status == 1
    assert list(compare.lines(found))[:2] == [
        "newly broken  update_phone_number.echo.name",
        "        name is not what was sent",
    ]
    back = compare.compare(trimming(), clean())
    assert "update_phone_number.echo.name" in back.newly_kept
    assert back.newly_broken == ()
    assert compare.compare(trimming(), trimming()).status == 0


def test_where_a_run_could_not_tell_nothing_is_equal() -> None:
    """Runs that stopped, and runs without a common case, are not equal; what regressed still regresses."""
    undecided = changed(lambda run: run.update(verdict="undecided"))
    empty = changed(lambda run: run.update(cases=[]))

    for old, new, why in (
        (clean(), undecided, "the later run could not tell"),
        (undecided, clean(), "the earlier run could not tell"),
        (undecided, undecided, "the earlier and the later run could not tell"),
        (clean(), empty, "the two runs have no case in common"),
    ):
        found = compare.compare(old, new)
        assert (found.status, found.unsure, compare.data(found)["verdict"]) == (2, why, "undecided")
        assert list(compare.lines(found))[-1].startswith(f"COULD NOT TELL: {why}; ")
        assert f"Could not tell: {why}; " in compare.markdown(found)
    assert compare.compare(clean(), {**trimming(), "verdict": "undecided"}).status == 1


def test_what_only_warns_is_newly_broken_where_it_was_kept() -> None:
    """A rule that was not looked at before, and warns now, is no news; one that was kept is."""
    rule = next(r["id"] for r in clean()["rules"] if r["verdict"] == "warned")

    def verdict(run: dict[str, Any], was: str) -> None:
        next(r for r in run["rules"] if r["id"] == rule)["verdict"] = was

    for was, told in (("not_exercised", ()), ("undecided", ()), ("kept", (rule,))):
        old = changed(partial(verdict, was=was))
        assert compare.compare(old, clean()).newly_broken == told


def test_long_lists_of_rules_are_cut_short() -> None:
    """Hundreds of rules that were not exercised do not push the verdict off the screen."""

    def idle(run: dict[str, Any]) -> None:
        for rule in run["rules"][:100]:
            rule["verdict"] = "not_exercised"

    told = list(compare.lines(compare.compare(clean(), changed(idle))))

    assert len(told) == compare.FEW + 2
    assert told[compare.FEW].startswith("newly not exercised  and ")
    assert told[compare.FEW].endswith(" more, see --json")


def test_another_fragment_is_compared_by_the_same_words() -> None:
    """Nothing of this knows one API: the news service is equal to itself, and its variant is not."""

    def one(habit: str) -> dict[str, Any]:
        result = subscriptions.judged(subscriptions.Service(habit), allow_unrestorable=True)
        found: dict[str, Any] = json.loads(json.dumps(report.data(result, Mask())))
        return found

    plain = one("")

    assert compare.compare(plain, one("")).status == 0
    found = compare.compare(plain, one("clearing"))
    assert found.status == 1
    assert any("what is not sent is cleared" in text for text in texts(found))
    with pytest.raises(ConfigError, match="another fragment"):
        compare.compare(plain, clean())


# --------------------------------------------------------------------- data of runs


def test_runs_that_sent_something_else_cannot_be_compared() -> None:
    """Another fragment, seed, profile or set of resources, and files that are no runs, are refused in one line."""
    changes: dict[str, Callable[[dict[str, Any]], Any]] = {
        "another seed: 0 and 7": lambda run: run.update(seed=7),
        "another profile: 'standard' and 'deep'": lambda run: run.update(profile="deep"),
        "another fragment": lambda run: run["plan"].update(spec="0"),
        "other resources": lambda run: run["plan"]["resources"].pop(),
    }
    for says, change in changes.items():
        with pytest.raises(ConfigError, match=says):
            compare.compare(clean(), changed(change))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is not JSON"),
        ("[]", "is not the run.json of a run"),
        ('{"format": 1}', "is not the run.json of a run"),
        ('{"format": 2, "rules": []}', "has the format 2; this version reads 1"),
        ('{"format": 1, "rules": [{}]}', "is damaged: its rules"),
        ('{"format": 1, "rules": []}', "an older version wrote it"),
        ('{"format": 1, "rules": [], "spec": {}, "plan": {}, "answers": {}, "cases": [{}]}', "is damaged: its cases"),
        ('{"format": 1, "rules": [], "spec": {}, "plan": {}, "answers": [], "cases": []}', "is damaged"),
    ],
)
def test_what_is_no_run_is_refused(text: str, says: str, tmp_path: Path) -> None:
    """A file that is no run.json, or one of another format, is named together with what is wrong."""
    path = tmp_path / "run.json"
    path.write_text(text, encoding="utf-8")

    with pytest.raises(ConfigError, match=says) as caught:
        compare.read(path)

    assert str(path) in str(caught.value)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    """A file that does not exist is a plain line."""
    with pytest.raises(ConfigError, match="No such file"):
        compare.read(tmp_path / "run.json")


def test_cases_that_one_run_lacks_are_not_compared() -> None:
    """A run that ended early is equal as far as it went, and it is said how many cases were not compared."""
    new = changed(lambda run: run["cases"].__delitem__(slice(60, None)))

    found = compare.compare(clean(), new)

    assert (found.status, found.compared) == (0, 60)
    assert len(found.missing) == len(clean()["cases"]) - 60
    assert any(f"{len(found.missing)} cases were not compared" in line for line in compare.lines(found))


def test_runs_without_anything_in_common_are_not_called_equal() -> None:
    """Where no case and no rule was exercised by both there is nothing to say."""

    def nothing(run: dict[str, Any]) -> None:
        run["cases"].clear()
        run["problem"] = "the budget is spent"
        for rule in run["rules"]:
            rule["verdict"] = "not_exercised"

    with pytest.raises(ConfigError, match="nothing in common: the budget is spent"):
        compare.compare(clean(), changed(nothing))


def test_a_case_that_failed_is_left_to_the_rules() -> None:
    """A 5xx and a 429 say nothing about what the documents leave open."""
    for status in (500, 503, 429):
        new = changed(updating("an unknown key", status=status, outcome="failed"))
        found = compare.compare(clean(), new)
        assert (found.status, found.missing) == (0, ("an unknown key",))


def test_a_case_with_another_body_is_not_compared() -> None:
    """A newer version of this tool may send another body under the same name."""
    new = changed(updating("an unknown key", body="0", status=422, outcome="refused"))

    assert compare.compare(clean(), new).missing == ("an unknown key",)


def test_several_explanations_are_equal_where_one_is_shared() -> None:
    """What was sent as it stood was applied or ignored: that is no change from either."""
    label = "blank values"
    shown = case(clean(), label)["fields"]
    name = next(iter(shown))
    for how, status in (("applied|ignored", 0), ("ignored|null", 1), ("absent", 1)):
        new = changed(updating(label, fields={**shown, name: how}))
        assert compare.compare(clean(), new).status == status


def test_from_where_records_stand_differently_cases_are_not_compared() -> None:
    """A field that changed against the documents is for the rules; what follows from it is no change."""

    def stray(run: dict[str, Any]) -> None:
        labels = [one["label"] for one in run["cases"]]
        run["cases"][labels.index("tour 20")]["strays"] = ["name"]
        case(run, "an unknown key").update(status=422, outcome="refused")

    found = compare.compare(clean(), changed(stray))

    assert found.status == 0
    assert "tour 20" in found.missing
    assert "tour 19" not in found.missing
    assert "an unknown key" in found.missing


def test_the_words_of_an_error_are_compared_without_case() -> None:
    """Capital letters are no other words; early on one common part is enough."""
    label = "a number in name"
    was = case(clean(), label)["error"]
    for text, early, status in ((was.upper(), False, 0), ("other words", False, 1), (f"more; {was}", True, 0)):
        new = changed(updating(label, error=text, early=early))
        assert compare.compare(clean(), new).status == status


def test_latency_that_multiplied_is_a_regression() -> None:
    """More than five times and more than 20 ms slower regresses; less is not told."""
    operation = "update_phone_number"

    def taking(milliseconds: float) -> dict[str, Any]:
        return changed(lambda run: run["latency"].update({operation: milliseconds}))

    for was, now, changes in ((12.0, 400.0, 1), (12.0, 61.0, 1), (12.0, 60.0, 0), (2.0, 23.0, 1), (2.0, 22.0, 0)):
        found = compare.compare(taking(was), taking(now))
        assert found.status == changes
        assert texts(found) == [f"{operation} takes {now:.0f} ms in the middle; it took {was:.0f} ms"] * changes


def test_what_changes_at_any_time_is_a_note() -> None:
    """A field that the fragment lets change at any time may be told, and fails nothing."""
    record, fields = next(iter(clean()["moving"].items()))
    new = changed(lambda run: run["moving"][record].update(dict.fromkeys(fields, "something else")))

    found = compare.compare(clean(), new)

    assert found.status == 0
    assert [change.regression for change in found.changes] == [False]


def test_lists_that_no_request_sets_are_compared() -> None:
    """What a record can do is told where it is another list than before."""
    record = next(iter(clean()["records"]))
    new = changed(lambda run: run["records"][record].update(capabilities=["fax"]))
    found = compare.compare(clean(), new)

    assert found.status == 1
    assert any("capabilities: fax in record" in text for text in texts(found))


def test_masked_fields_are_not_compared() -> None:
    """What one report masks says nothing about the other."""
    record, fields = next(iter(clean()["records"].items()))
    name = next(iter(fields))

    def masked(run: dict[str, Any]) -> None:
        run["records"][record][name] = "xyz"
        run["plan"]["masked"] = [name]

    assert compare.compare(clean(), changed(masked)).status == 0


def test_a_rule_that_depends_on_the_clock_is_not_newly_anything() -> None:
    """Whether a time stamp had the time to move is up to how fast a run was."""

    def slow(run: dict[str, Any]) -> None:
        rule = next(r for r in run["rules"] if r["id"].endswith(".time.updated_at.moves"))
        rule["verdict"] = "kept" if rule["verdict"] == "not_exercised" else "not_exercised"

    found = compare.compare(clean(), changed(slow))

    assert (found.newly_kept, found.newly_not_exercised) == ((), ())


def test_an_accepted_failure_is_not_newly_broken() -> None:
    """A known failure fails no comparison."""

    def known(run: dict[str, Any]) -> None:
        next(r for r in run["rules"] if r["id"].endswith(".echo.name")).update(verdict="warned", accepted=True)

    assert compare.compare(clean(), changed(known)).newly_broken == ()


def test_a_comparison_as_markdown_shows_and_obeys_nothing() -> None:
    """What an API answered cannot mark up a report."""
    change = compare.Change(kind="error", old="", new="</td> `x` [a](b)\x1b[1m", places=("op 422",), cases=("a | b",))
    found = compare.Comparison(newly_broken=("op.echo.a",), messages={"op.echo.a": "a *b*"}, changes=(change,))

    text = compare.markdown(found)

    assert "**newly broken** `op.echo.a`: a \\*b\\*" in text
    assert "\\</td\\> \\`x\\` \\[a\\](b)\\\\x1b\\[1m" in text
    assert "a \\| b" in text


# ----------------------------------------------------------------------------- words


def test_what_was_done_to_a_value_has_a_name() -> None:
    """Each way to treat a value is told apart; all that are possible are named."""
    rows: list[tuple[Any, Any, Any, list[str]]] = [
        ("a", "a", "b", ["applied"]),
        ("a", "a", "a", ["applied", "ignored"]),
        ("a", "b", "b", ["ignored"]),
        (" a ", "a", "b", ["trimmed"]),
        ("a  b", "a b", "c", ["blanks collapsed"]),
        ("Ab", "ab", "c", ["lower-cased"]),
        ("Ab", "AB", "c", ["upper-cased"]),
        ("abcdef", "abc", "c", ["cut"]),
        ("<a>", "&lt;a&gt;", "c", ["escaped"]),
        ("&lt;a&gt;", "<a>", "c", ["unescaped"]),
        ("e\u0301", "\u00e9", "c", ["composed"]),
        ("https://EXAMPLE.com:443/a/", "https://example.com/a", "c", ["rewritten as an address"]),
        ("a", None, "c", ["null"]),
        ("a", "", "c", ["blank"]),
        (7, "7", "c", ["written as text"]),
        ("7", 7, "c", ["read from text"]),
        ("a", ["a"], "c", ["wrapped in a list"]),
        (["a"], "a", "c", ["taken out of a list"]),
        ("a", "xyz", "c", ["changed (string)"]),
        ("a", {}, "c", ["changed (object)"]),
        ("a", MISSING, "c", ["absent"]),
    ]
    assert [handling(sent, shown, before, None) for sent, shown, before, _ in rows] == [row[3] for row in rows]
    assert handling(None, "POST", "GET", None, "POST") == ["default"]


def test_error_texts_are_left_with_their_words() -> None:
    """Quoted values, values that were sent, numbers and ids go; words and names of fields stay."""
    assert words('Name "x y" isn\'t valid.') == "Name \u2026 isn't valid"
    assert words("maximum is 255 characters (was 300)") == "maximum is # characters (was #)"
    assert words("no record 1ac064a1-369d-47e7-8265-594594af405f") == "no record #"
    assert words("fancy value is bad", ["fancy value"]) == "\u2026 is bad"
    assert words("e911_status is bad", (), ("e911_status",)) == "e911_status is bad"
    assert words("<html><h1>Bad gateway</h1>") == "Bad gateway"


def test_notations_are_told_apart() -> None:
    """Times, ids and addresses are known by how they are written, whatever they say."""
    rows = {
        "2030-01-31T12:00:00Z": "a time Z",
        "2030-01-31T12:00:00.5Z": "a time Z, fractions",
        "2030-01-31T12:00:00+00:00": "a time +00:00",
        "2030-01-31T12:00:00-07:00": "a time with an offset",
        "2030-01-31 12:00:00": "a time without a zone, ' ' between date and time",
        "1ac064a1-369d-47e7-8265-594594af405f": "a UUID",
        "1AC064A1-369D-47E7-8265-594594AF405F": "a UUID in capitals",
        "https://example.com": "an address",
        "/api/x": "a path",
        " ": "a blank",
        "words": "text",
    }
    assert {text: kind(text) for text in rows} == rows
    others: dict[str, Any] = {
        "null": None,
        "boolean": True,
        "number": 1.5,
        "array": [],
        "object": {},
        "absent": MISSING,
    }
    assert [kind(value) for value in others.values()] == list(others)


# ---------------------------------------------------------------------- command line


def typed(*args: str) -> int:
    """The exit status of ``contract`` with *args*."""
    with pytest.raises(SystemExit) as ended:
        cli.main(list(args))
    assert isinstance(ended.value.code, int)
    return ended.value.code


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def configured(server: reference.Running, path: Path) -> str:
    """A configuration file for *server*, except for its address and credentials."""
    resources = "".join(f'{name} = "{value}"\n' for name, value in server.resources.items())
    text = f'profile = "smoke"\nids = ["{server.ids[0]}"]\n[resources]\n{resources}'
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_a_run_against_an_earlier_one(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A run that is kept fails where it regressed, and only with --against; its reports say why."""
    with reference.running() as server:
        monkeypatch.setenv("CONTRACT_USERNAME", server.username)
        monkeypatch.setenv("CONTRACT_PASSWORD", server.password)
        config = configured(server, folder / "contract.toml")
        assert typed("run", "--config", config, "--base-url", server.base_url, "--report-dir", "old", "-q") == 0
    with reference.running(variant="malformed-422") as server:
        options = ["run", "--config", config, "--base-url", server.base_url, "--report-dir", "new", "-q"]
        assert typed(*options) == 0
        capsys.readouterr()

        assert typed(*options, "--against", "old/run.json") == 1

        change = "changed  a request that was answered 400 is answered 422\n        case: malformed JSON\n"
        assert change in capsys.readouterr().out
        written = json.loads((folder / "new" / "run.json").read_text(encoding="utf-8"))
        assert written["against"]["verdict"] == "regressed"
        assert "## Compared with an earlier run" in (folder / "new" / "run.md").read_text(encoding="utf-8")
        assert typed(*options, "--against", "old/run.json", "--seed", "5") == 2
        assert "another seed: 0 and 5" in capsys.readouterr().err
    assert typed("compare", "old/run.json", "new/run.json", "--json") == 1
    assert json.loads(capsys.readouterr().out)["changes"][0]["cases"] == ["malformed JSON"]
    assert typed("compare", "old/run.json", "old/run.json") == 0
    assert typed("compare", "old/run.json") == 2
    assert typed("compare", "old/run.json", "new/run.json", "--base-url", "http://127.0.0.1:9") == 2


def test_two_environments_at_once(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One plan goes to both environments, each with its own credentials and id."""
    monkeypatch.setenv("CONTRACT_B_USERNAME", "another-project")
    monkeypatch.setenv("CONTRACT_B_PASSWORD", "another-password")
    with reference.running() as one:
        monkeypatch.setenv("CONTRACT_USERNAME", "another-project")
        monkeypatch.setenv("CONTRACT_PASSWORD", "another-password")
        with reference.running(variant="credentials-403") as other:
            monkeypatch.setenv("CONTRACT_USERNAME", one.username)
            monkeypatch.setenv("CONTRACT_PASSWORD", one.password)
            pair = ["--base-url", one.base_url, "--id", one.ids[0], "--base-url", other.base_url, "--id", other.ids[1]]

            assert typed("compare", *pair, "--profile", "smoke") == 1

    told = capsys.readouterr().out
    assert "answered 403" in told
    assert (folder / "reports" / "first" / "run.json").is_file()
    assert (folder / "reports" / "second" / "run.html").is_file()
    assert other.password == "another-password"


def test_where_the_second_environment_comes_from(folder: Path) -> None:
    """Variables that begin with CONTRACT_B_, then what the first one has; two ids in a file are one for each."""
    environ = {"CONTRACT_BASE_URL": "https://a.example.com", "CONTRACT_USERNAME": "u", "CONTRACT_PASSWORD": "p"}
    second = {"CONTRACT_B_BASE_URL": "https://b.example.com", "CONTRACT_B_PASSWORD": "q"}
    (folder / "contract.toml").write_text('ids = ["one", "two"]\n', encoding="utf-8")

    (first, mine), (other, theirs) = compare.environments({}, (), (), (), {**environ, **second})

    assert (first.base_url, first.ids, first.report_dir) == ("https://a.example.com", ("one",), "reports/first")
    assert (other.base_url, other.ids, other.report_dir) == ("https://b.example.com", ("two",), "reports/second")
    assert (mine["username"], mine["password"], theirs["username"], theirs["password"]) == ("u", "p", "u", "q")
    same = compare.environments({}, (), ("three",), (), {**environ, **second})
    assert [settings.ids for settings, _ in same] == [("three",), ("three",)]
    with pytest.raises(ConfigError, match="two environments are wanted"):
        compare.environments({}, (), ("three",), (), environ)
    with pytest.raises(ConfigError, match="--base-url is given 3 times"):
        compare.environments({}, ("a", "b", "c"), (), (), environ)
