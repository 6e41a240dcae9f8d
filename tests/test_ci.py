"""What CI services are told: step summary, annotations, code quality, SARIF, JUnit, and the committed examples."""

from __future__ import annotations

import copy
import json
import os
import re
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import xmlschema
from click.testing import CliRunner
from markdown_it import MarkdownIt

from contract import ci, files, html, junit, reference, report, sarif
from contract.cli import cli
from contract.errors import ConfigError
from contract.example import NOW, example
from contract.known import Accepted
from contract.ledger import unsettled
from contract.mask import Mask
from contract.result import Result
from tests import reports
from tests.kit import CONTRACT
from tests.reports import HOSTILE, HUGE, MASK, SECRET, made
from tests.subscriptions import FRAGMENT

ROOT = Path(__file__).parent.parent
SCHEMAS = Path(__file__).parent / "data" / "schemas"
KEPT = "update_phone_number.echo.name"
BROKEN = "update_phone_number.handler.call_handler.video_room.shown"
RUNS: dict[str, Callable[[], Result]] = {
    "broken": made,
    "undecided": lambda: made(None, max_requests=60),
    "hostile": reports.hostile,
    "another fragment": reports.other,
}


@pytest.fixture(params=RUNS)
def result(request: pytest.FixtureRequest) -> Result:
    """One result of each kind."""
    found: Result = RUNS[request.param]()
    return found


@pytest.fixture
def checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    """The checkout as the working directory, and no CI service around it."""
    for name in ("GITHUB_WORKSPACE", "CI_PROJECT_DIR", "GITHUB_STEP_SUMMARY", "GITHUB_ACTIONS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(ROOT)


def silent(text: str) -> bool:
    """True where nothing in *text* is obeyed by a terminal, and nothing is half of a character."""
    return all(c.isprintable() or c in "\n " for c in text) and text == text.encode("utf-8", "ignore").decode()


# ----------------------------------------------------------------------------- SARIF


def invalid(content: Any, schema: str) -> list[str]:
    """What is wrong with JSON under one of the public schemas."""
    text = (SCHEMAS / schema).read_text(encoding="utf-8")
    # Of a language, that no log names, SARIF says with what is no regular expression to everybody.
    text = text.replace("-[a-zA-Z]{2}]?$", "")
    checker = jsonschema_rs.validator_for(json.loads(text), validate_formats=True)
    return [f"{error.instance_path}: {error.message[:200]}" for error in checker.iter_errors(content)]


def test_sarif_schema(result: Result) -> None:
    """Every log is valid under the public schema of SARIF 2.1.0."""
    log = json.loads(json.dumps(sarif.log(result, MASK)))
    assert invalid(log, "sarif-2.1.0-rtm.5.json") == []


def test_sarif_results(checkout: None) -> None:
    """What is broken is an error and what warns a warning, on the lines of the fragment that say so."""
    run = sarif.log(made(), MASK)["runs"][0]
    found = {one["ruleId"]: one for one in run["results"]}
    assert Counter(one["level"] for one in found.values()) == {"error": 1, "warning": 2}
    place = found[BROKEN]["locations"][0]["physicalLocation"]
    assert place["artifactLocation"] == {"uri": "spec/phone_numbers.openapi.yaml", "uriBaseId": "SRCROOT"}
    lines = (ROOT / place["artifactLocation"]["uri"]).read_text(encoding="utf-8").splitlines()
    assert "video_room" in lines[place["region"]["startLine"] - 1]
    assert found[BROKEN]["webRequest"]["method"] == "PUT"
    assert found[BROKEN]["webResponse"]["statusCode"] == 200
    assert found[BROKEN]["properties"]["pointer"] == "/call_video_room_id"
    for one in run["results"]:
        rule = run["tool"]["driver"]["rules"][one["ruleIndex"]]
        assert rule["id"] == one["ruleId"]
        assert rule["helpUri"].startswith("https://")
        assert f"contract explain {rule['id']}" in rule["help"]["text"]


def test_sarif_fingerprints() -> None:
    """A finding keeps its fingerprint from run to run, and shares it with no other."""
    first = sarif.log(made(), MASK)["runs"][0]["results"]
    second = sarif.log(made(seed=1, profile="smoke"), MASK)["runs"][0]["results"]
    prints = [{one["ruleId"]: one["partialFingerprints"]["contractRule/v1"] for one in run} for run in (first, second)]
    assert BROKEN in prints[1]
    assert prints[1].items() <= prints[0].items()
    assert len(set(prints[0].values())) == len(first) == 3


def test_sarif_undecided() -> None:
    """A run that could not tell says why, and does not call itself successful."""
    invocation = sarif.log(made(None, max_requests=60), MASK)["runs"][0]["invocations"][0]
    assert invocation["executionSuccessful"] is False
    assert invocation["exitCode"] == 2
    assert "60 requests is spent" in invocation["toolExecutionNotifications"][-1]["message"]["text"]


# ----------------------------------------------------------------------------- JUnit


@cache
def junit_schema() -> xmlschema.XMLSchema:
    """Read once: that takes longer than to judge a file."""
    return xmlschema.XMLSchema(str(SCHEMAS / "junit-10.xsd"))


def test_junit_schema(result: Result, tmp_path: Path) -> None:
    """Every file is valid under the schema that Jenkins reads JUnit XML with."""
    path = junit.write(result, tmp_path / "junit.xml", MASK)
    assert [str(error.reason) for error in junit_schema().iter_errors(str(path))] == []


def test_junit_cases(result: Result) -> None:
    """There is one test case for each rule, under its operation and promise, and the sums are right."""
    root = junit.document(result, MASK)
    cases = {str(case.get("name")): case for case in root.iter("testcase")}
    entries = {entry.rule.id: entry for entry in result.entries}
    assert entries.keys() <= cases.keys()
    assert root.get("tests") == str(len(list(root.iter("testcase"))))
    assert root.get("failures") == str(len(list(root.iter("failure"))))
    assert root.get("errors") == str(len(list(root.iter("error"))))
    for id, entry in entries.items():
        inside = {child.tag for child in cases[id]}
        assert cases[id].get("classname") == f"{entry.rule.operation}.{entry.rule.promise}"
        wanted = {"broken": {"failure"}, "warned": {"system-out"}, "kept": set(), "not_exercised": {"skipped"}}
        if entry.verdict in wanted:
            assert inside == wanted[entry.verdict]
        else:
            assert inside == ({"error"} if entry in unsettled(result.entries) else {"skipped"})


def test_junit_failure() -> None:
    """A failure tells what a person reads in the terminal; a rule that was not exercised says why."""
    cases = {case.get("name"): case for case in junit.document(made(), MASK).iter("testcase")}
    failure = cases[BROKEN].find("failure")
    assert failure is not None and failure.get("type") == "documented"
    assert "lacks call_video_room_id" in str(failure.get("message"))
    assert "\n  again     curl -sS -X PUT " in str(failure.text)
    skipped = cases["update_phone_number.echo.call_video_room_id"].find("skipped")
    assert skipped is not None and skipped.get("message") == f"told under {BROKEN}"


def test_junit_never_green() -> None:
    """A run that could not tell has an error even where every rule is skipped."""
    result = copy.copy(made(None, profile="smoke"))
    result.problem = "nobody answered"
    root = junit.document(result, MASK)
    assert root.get("errors") == "1"
    error = next(root.iter("error"))
    assert error.get("message") == "nobody answered"


def test_junit_left_changed() -> None:
    """A record that could not be put back is an error, with what is left changed in it."""
    result = copy.copy(made(None, profile="smoke"))
    done = next(iter(result.restored.values()))
    result.restored = {"one": replace(done, verdict="not_restored", left={"name": ("before", "now")}, note="gone")}
    error = next(junit.document(result, MASK).iter("error"))
    assert error.get("type") == "not_restored"
    assert "name: was before, is now" in str(error.text)


# ---------------------------------------------------------------------- code quality


def test_code_quality_schema(result: Result) -> None:
    """Every report has the form that GitLab documents, with fingerprints that differ."""
    found = json.loads(ci.quality(result, MASK))
    assert invalid(found, "gl-code-quality.json") == []
    assert len({one["fingerprint"] for one in found}) == len(found)


def test_code_quality_severities(checkout: None) -> None:
    """What is broken is critical and what warns is minor, in the fragment's file."""
    found = json.loads(ci.quality(made(), MASK))
    assert Counter(one["severity"] for one in found) == {"critical": 1, "minor": 2}
    assert {one["location"]["path"] for one in found} == {"spec/phone_numbers.openapi.yaml"}
    assert json.loads(ci.quality(made(None, profile="smoke"), MASK)) == []


# ----------------------------------------------------------------------- annotations


def read_back(line: str) -> tuple[str, dict[str, str], str]:
    """(command, properties, text) as the runner reads a line (actions/runner, ActionCommand.cs)."""
    match = re.fullmatch(r"::(\w+)(?: ([^:]*))?::(.*)", line)
    assert match is not None, line

    def plain(text: str, codes: str) -> str:
        for code in codes.split():
            text = text.replace(code, chr(int(code[1:], 16)))
        return text.replace("%25", "%")

    given = dict(part.split("=", 1) for part in (match[2] or "").split(",") if part)
    return (
        match[1],
        {k: plain(v, "%0D %0A %3A %2C") for k, v in given.items()},
        plain(match[3], "%0D %0A"),
    )


def test_workflow_commands(checkout: None) -> None:
    """GitHub marks the fragment's line of each rule, errors before warnings, with the line that repeats it."""
    found = [read_back(line) for line in ci.workflow_commands(made(), MASK)]
    assert [kind for kind, _, _ in found] == ["error", "warning", "warning"]
    _, properties, text = found[0]
    assert properties["file"] == "spec/phone_numbers.openapi.yaml"
    assert properties["title"] == BROKEN
    assert "video_room" in (ROOT / properties["file"]).read_text().splitlines()[int(properties["line"]) - 1]
    assert text.splitlines()[-1].startswith("curl -sS -X PUT ")


def test_workflow_commands_hostile() -> None:
    """Nothing that an API answers becomes a command of its own, or a part of one."""
    lines = list(ci.workflow_commands(reports.hostile(), MASK))
    assert all(silent(line) and "\n" not in line for line in lines)
    kinds = Counter(read_back(line)[0] for line in lines)
    assert kinds.keys() == {"error", "warning"}
    assert all(read_back(line)[1].keys() <= {"file", "line", "title"} for line in lines)
    assert any("owned\\u000a::error file=x::owned" in read_back(line)[2] for line in lines)


def test_properties_are_escaped() -> None:
    """A colon, a comma or a percent sign in a property is data."""
    line = ci._command("error", "100% of it\r\nand more", title="a, b: 5%")
    assert line == "::error title=a%2C b%3A 5%25::100%25 of it%0D%0Aand more"
    assert read_back(line) == ("error", {"title": "a, b: 5%"}, "100% of it\r\nand more")


def test_problem_is_annotated() -> None:
    """A run that could not tell, and a record that was left changed, are annotated as well."""
    lines = [read_back(line) for line in ci.workflow_commands(reports.hostile(), MASK)]
    titles = [properties.get("title") for _, properties, _ in lines]
    assert titles.count("contract: could not tell") == 1
    assert titles.count("contract: left changed") == 4


# --------------------------------------------------------------------------- summary


class Tags(HTMLParser):
    """The tags and the text of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.attributes: list[tuple[str, str | None]] = []
        self.words: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Counts one tag."""
        self.tags[tag] += 1
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        """Keeps the text."""
        self.words.append(data)


def rendered(text: str) -> Tags:
    """What another program makes of Markdown with tables, in which HTML is taken as it stands, as on GitHub."""
    tags = Tags()
    tags.feed(MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).render(text))
    return tags


def test_summary() -> None:
    """The summary says what came out, what is broken and how the record was left."""
    page = rendered(ci.summary(made(), MASK))
    text = " ".join("".join(page.words).split())
    assert text.startswith("Contract broken: SignalWire phone numbers ")
    assert "1 broken, 2 warned, 1 undecided, " in text
    assert "was put back as it was, and read back" in text
    assert f"broken {BROKEN} with call_handler 'video_room' the answer lacks call_video_room_id documented" in text
    assert "curl -sS -X PUT " in text
    assert page.tags["tr"] == 1 + 3
    assert page.tags["details"] == page.tags["summary"] == 1


def test_summary_kept() -> None:
    """The summary of a run that found nothing has nothing to open."""
    page = rendered(ci.summary(made(None, profile="smoke"), MASK))
    assert page.tags["details"] == 0
    assert "".join(page.words).startswith("Contract kept: ")


def test_summary_hostile() -> None:
    """Nothing that an API answers becomes Markdown or markup; all of it can still be read."""
    text = ci.summary(reports.hostile(), MASK)
    assert silent(text)
    page = rendered(text)
    allowed = {"h1", "p", "strong", "code", "pre", "table", "thead", "tbody", "tr", "th", "td", "ul", "li"}
    assert page.tags.keys() <= allowed | {"details", "summary"}
    assert {name for name, _ in page.attributes} <= {"class"}
    words = "".join(page.words)
    for told in ("<script>alert(1)</script>", "**bold** __init__ _x_ # 1. - > [a](https://evil.example)", "a|b`c``d"):
        assert told in words
    assert len(text) < 500_000


def several(verdict: str, count: int, **changes: Any) -> Result:
    """A result in which so many kept rules have another verdict, with the failure of the run with one defect."""
    result = copy.copy(made())
    first = next(entry for entry in result.entries if entry.verdict == "broken")
    given = changes | {"verdict": verdict}
    if verdict != "undecided":
        given["failures"] = first.failures
    kept = [entry for entry in result.entries if entry.verdict == "kept"]
    result._entries = [replace(entry, **given) for entry in kept[:count]] + kept[count:]
    return result


def test_summary_of_much() -> None:
    """Of very many broken rules the summary names the first and says how many more there are."""
    text = ci.summary(several("broken", 80), MASK)
    page = rendered(text)
    assert page.tags["tr"] == 1 + ci.MOST_ROWS
    assert page.tags["details"] == ci.MOST_DETAILS
    assert "… and 30 more." in "".join(page.words)
    assert len(text) < 200_000


def test_undecided_rules() -> None:
    """A rule that nobody could decide is told everywhere, and breaks nothing anywhere."""
    result = several("undecided", 2, reason="seen, and not again when it was repeated: [x]")
    assert "| undecided | " in ci.summary(result, MASK)
    assert [read_back(line)[0] for line in ci.workflow_commands(result, MASK)] == ["warning", "warning"]
    assert [one["severity"] for one in json.loads(ci.quality(result, MASK))] == ["info", "info"]
    run = sarif.log(result, MASK)["runs"][0]
    assert run["results"] == []
    notes = run["invocations"][0]["toolExecutionNotifications"]
    assert [run["tool"]["driver"]["rules"][n["associatedRule"]["index"]]["id"] for n in notes] == [
        n["associatedRule"]["id"] for n in notes
    ]
    assert junit.document(result, MASK).get("errors") == "2"


def test_known_failures() -> None:
    """A known failure is told as accepted, with its reason, and what is to be done about the list is told too."""
    result = copy.copy(made())
    entries = tuple(Accepted(rule=rule, reason="ticket 4711") for rule in (BROKEN, KEPT))
    result.ledger = replace(result.ledger, known=replace(result.ledger.known, entries=entries))
    result._entries = None
    text = " ".join("".join(rendered(ci.summary(result, MASK)).words).split())
    assert text.startswith("Contract kept: ")
    assert "1 accepted, " in text
    assert f"accepted {BROKEN} accepted: ticket 4711 documented" in text
    assert f"Known failures: no longer failing, remove it: {KEPT}" in text
    assert {one["level"] for one in sarif.log(result, MASK)["runs"][0]["results"]} == {"warning"}
    page = html.page(result, MASK)
    assert "is a known failure, accepted for now." in page
    assert f"Known failures: no longer failing, remove it: {KEPT}" in page
    assert 'data-verdict="accepted"' in page


def test_step_summary(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """In a workflow step each run adds its summary to the step's; an example adds nothing."""
    path = tmp_path / "summary.md"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(path))
    for fixed in (True, False, False):
        files.write(made(profile="smoke"), tmp_path / "reports", MASK, fixed=fixed)
    assert path.read_text(encoding="utf-8").count("# Contract broken") == 2
    assert (tmp_path / "reports" / "run.md").read_text(encoding="utf-8").count("# Contract broken") == 1


# ----------------------------------------------------------------------------- files


def test_where_the_fragment_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A fragment is named from the checkout that CI names, or from the working directory, or by its name."""
    for name in ("GITHUB_WORKSPACE", "CI_PROJECT_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    assert report.fragment_path(CONTRACT) == "phone_numbers.openapi.yaml"
    monkeypatch.chdir(FRAGMENT.parent)
    assert report.fragment_path(reports.other().contract) == "subscriptions.openapi.yaml"
    monkeypatch.setenv("CI_PROJECT_DIR", str(ROOT))
    assert report.fragment_path(reports.other().contract) == "tests/data/subscriptions.openapi.yaml"
    monkeypatch.setenv("GITHUB_WORKSPACE", str(ROOT / "tests"))
    assert report.fragment_path(reports.other().contract) == "data/subscriptions.openapi.yaml"


def test_files_are_whole(tmp_path: Path) -> None:
    """A report that cannot be finished leaves the earlier one as it was, and nothing beside it."""
    path = report.store(tmp_path / "run.md", "the earlier one")
    with pytest.raises(TypeError), report.opened(path) as file:
        file.writelines(["half of the new one", HUGE, 0])  # type: ignore[list-item] # that is what goes wrong
    assert path.read_text(encoding="utf-8") == "the earlier one"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes")
def test_a_link_and_a_pipe_stay_what_they_are(tmp_path: Path) -> None:
    """A report goes where a link leads, and into a pipe: neither is replaced by a file."""
    link, pipe = tmp_path / "link", tmp_path / "pipe"
    (tmp_path / "real").write_text("old", encoding="utf-8")
    link.symlink_to("real")
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        for path in (link, pipe):
            report.probe(path)
            report.store(path, "new")
        read = os.read(reader, 10)
    finally:
        os.close(reader)
    assert read == b"new"
    assert pipe.is_fifo()
    assert link.is_symlink()
    assert (tmp_path / "real").read_text(encoding="utf-8") == "new"


def test_folder_is_a_file(tmp_path: Path) -> None:
    """A report that cannot be written anywhere is an error that names it."""
    (tmp_path / "reports").write_text("in the way", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"the report .*run\.json cannot be written: "):
        files.write(made(), tmp_path / "reports", MASK)


def everything(result: Result, folder: Path, mask: Mask) -> dict[str, bytes]:
    """The bytes of every report, by name."""
    files.write_all(result, folder, mask)
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_no_secret_anywhere(tmp_path: Path) -> None:
    """There is a file for each kind of report; none holds the secret, however it is escaped, and none is much larger
    than what it tells.
    """
    found = everything(reports.hostile(), tmp_path, MASK)
    assert list(found) == [
        "github-annotations.txt",
        "gl-code-quality.json",
        "junit.xml",
        "run.har",
        "run.html",
        "run.json",
        "run.md",
        "run.sarif",
    ]
    for name, content in found.items():
        text = content.decode("utf-8")
        assert "word" in SECRET and "word>&é/4711" not in text
        for form in (SECRET, json.dumps(SECRET)[1:-1], "word\\u003e", "word&gt;", "word%3E"):
            assert form not in text, (name, form)
        if name in {"run.md", "run.html", "run.sarif", "github-annotations.txt", "junit.xml"}:
            assert len(text) < 1_500_000, name
            assert HUGE not in text


def test_masked_fields(tmp_path: Path) -> None:
    """The value of a masked field is in no report; other values of the same answers are."""
    mask = replace(MASK, names=("number",))
    for name, content in everything(made(profile="smoke"), tmp_path, mask).items():
        assert b"+15558675309" not in content, name
    assert b"longcode" in (tmp_path / "run.har").read_bytes()


def test_example_keeps_the_original() -> None:
    """An example has the findings of its original, and leaves that as it was."""
    result = made(profile="smoke")
    before = (result.started, result.settings.base_url, result.exchanges[0].response.at, len(result.ledger.failures))
    found = example(result)
    assert found.started == NOW
    assert [(e.rule.id, e.verdict) for e in found.entries] == [(e.rule.id, e.verdict) for e in result.entries]
    assert [f.finding.rule for f in found.ledger.failures] == [f.finding.rule for f in result.ledger.failures]
    after = (result.started, result.settings.base_url, result.exchanges[0].response.at, len(result.ledger.failures))
    assert before == after


def test_example_keeps_the_age_of_stamps() -> None:
    """A time stamp that is three days older than a run is three days older than its example, in its own notation."""
    result = made()
    old = result.started.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    found = copy.copy(result)
    found.problem = f"seen {old}, and 2001-02-03T04:05:06Z, and 2030-99-99T00:00:00Z"
    assert example(found).problem == "seen 2030-01-31T12:00:00.000Z, and 2001-02-03T04:05:06Z, and 2030-99-99T00:00:00Z"
    created = [e.response.body["created_at"] for e in example(result).exchanges if "created_at" in _body(e)]
    assert set(created) == {"2029-07-15T12:00:00Z", "2029-10-03T12:00:00Z"}


def _body(exchange: Any) -> dict[str, Any]:
    body = exchange.response.body
    return body if isinstance(body, dict) else {}


# --------------------------------------------------------------------------- command


def command(server: reference.Running, *options: str, **environment: str) -> Any:
    """A run from the command line, in the working directory."""
    environment |= {"CONTRACT_USERNAME": server.username, "CONTRACT_PASSWORD": server.password}
    given = ["run", "--base-url", server.base_url, "--id", server.ids[0], "--profile", "smoke", *options]
    return CliRunner().invoke(cli, given, env=environment, standalone_mode=False)


def test_command_in_a_workflow(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """``contract run`` writes JUnit, SARIF and code quality where it is told, beside the usual reports; in a GitHub
    workflow it prints annotations, and adds to the summary.
    """
    monkeypatch.chdir(tmp_path)
    files = ("--junit", "out/junit.xml", "--sarif", "out/run.sarif", "--code-quality", "quality.json")
    with reference.running(defect="update-created") as server:
        done = command(server, *files, GITHUB_ACTIONS="true", GITHUB_STEP_SUMMARY=str(tmp_path / "summary.md"))
    assert done.return_value == 1, done.output
    assert [line.partition(",")[0] for line in done.output.splitlines() if line.startswith("::")] == [
        "::error file=phone_numbers.openapi.yaml"
    ]
    assert "# Contract broken" in (tmp_path / "summary.md").read_text(encoding="utf-8")
    assert ET.parse("out/junit.xml").getroot().get("failures") == "1"
    assert json.loads(Path("out/run.sarif").read_text(encoding="utf-8"))["version"] == "2.1.0"
    assert [one["severity"] for one in json.loads(Path("quality.json").read_text(encoding="utf-8"))] == ["critical"]
    assert {"run.json", "run.html", "run.md", "run.har"} == {path.name for path in Path("reports").iterdir()}


def test_command_cannot_write(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where a report cannot be written in the end the findings are told all the same, and a broken rule is still status 1."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("contract.files.ready", lambda *files: None)
    (tmp_path / "reports").write_text("in the way", encoding="utf-8")
    with reference.running(defect="update-created") as server:
        done = command(server)
    assert done.return_value == 1
    assert "BROKEN: " in done.output
    assert "run.json cannot be written" in done.output
    with reference.running() as server:
        done = command(server)
    assert done.return_value == 2


def test_command_cannot_add_to_the_summary(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Outside a workflow there are no annotations; where the summary of the step cannot be written to that is one line,
    and a broken rule is still status 1.
    """
    monkeypatch.chdir(tmp_path)
    with reference.running(defect="update-created") as server:
        done = command(server, GITHUB_STEP_SUMMARY=str(tmp_path / "nowhere" / "summary.md"))
    assert done.return_value == 1, done.output
    assert "::error" not in done.output
    assert "summary.md cannot be written to: " in done.output


def test_hostile_values_are_there() -> None:
    """The hostile result is hostile: each text of the table is in what its answers hold."""
    found = json.dumps([f.finding.actual for f in reports.hostile().ledger.failures])
    assert all(json.dumps(text)[1:-1] in found for text in HOSTILE)
