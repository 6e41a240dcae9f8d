"""Recorded responses, judged offline: every kind of file, whatever is in it."""

from __future__ import annotations

import base64
import gzip
import io
import json
import re
import sys
import tempfile
import tracemalloc
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import pytest

from contract import cli, har, recorded, reference
from contract.errors import SpecError
from contract.mask import Mask
from tests.kit import CONTRACT, RULES, credentials, run, settings

UPDATE = "update_phone_number"


@cache
def body() -> Mapping[str, Any]:
    """One well-formed record; not to be changed."""
    with reference.running() as server:
        url = f"{server.base_url}/phone_numbers/{server.ids[0]}"
        found: dict[str, Any] = httpx.get(url, auth=(server.username, server.password), trust_env=False).json()
        return found


def lines(*bodies: Any) -> str:
    """NDJSON: texts as they are, everything else as JSON."""
    return "".join(f"{one if isinstance(one, str) else json.dumps(one)}\n" for one in bodies)


def saved(folder: Path, name: str, content: str | bytes) -> str:
    """A file with that content."""
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return str(path)


def checked(*paths: str, operation: str = "", strict: str = "documented") -> recorded.Account:
    """What a check of the files finds."""
    return recorded.check(paths, CONTRACT, operation=operation, strict=strict)


WRONG = {"call_handler": "carrier_pigeon"}
"""What is wrong with a record in these tests."""
ENUM = f"{UPDATE}.enum.call_handler"


# ----------------------------------------------------------------------------- files


@pytest.mark.parametrize(
    ("name", "write", "place"),
    [
        ("one.json", lambda good, bad: json.dumps(bad), "one.json:1"),
        ("pretty.json", lambda good, bad: json.dumps(bad, indent=2), "pretty.json"),
        (
            "several.json",
            lambda good, bad: json.dumps(good, indent=1) + json.dumps(bad, indent=1),
            "several.json, entry 2",
        ),
        ("list.json", lambda good, bad: json.dumps([good, good, bad, bad]), "list.json, entry 3"),
        ("pretty-list.json", lambda good, bad: json.dumps([good, bad], indent=1), "pretty-list.json, entry 2"),
        ("lines.ndjson", lambda good, bad: lines(good, "", good, bad, bad), "lines.ndjson:4"),
        ("lines.jsonl", lambda good, bad: lines(good, bad), "lines.jsonl:2"),
        ("lines.txt", lambda good, bad: "\ufeff" + lines(good, bad), "lines.txt:2"),
        ("windows.log", lambda good, bad: lines(good, bad).replace("\n", "\r\n"), "windows.log:2"),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_each_kind_of_file_is_read(name: str, write: Any, place: str, packed: bool, tmp_path: Path) -> None:
    """A body, a list of them, one on each line: gzip or not, the failure is found where it is."""
    good, bad = dict(body()), {**body(), **WRONG}
    content = write(good, bad).encode()
    path = saved(tmp_path, name, gzip.compress(content) if packed else content)

    account = checked(path)

    assert (account.status, account.broken, account.problems) == (1, [ENUM], [])
    assert account.folds[ENUM].place == str(tmp_path / place)
    assert checked(saved(tmp_path, name, write(good, good))).status == 0


def test_standard_input_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """``-`` is standard input, gzip or not."""
    for content in (lines(body(), body()).encode(), gzip.compress(lines(body(), body()).encode())):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
        account = checked("-")
        assert (account.status, account.responses) == (0, 2)


def test_failures_are_folded(tmp_path: Path) -> None:
    """A rule is told once, with how often it is broken and the first place."""
    bad = {**body(), **WRONG}
    account = checked(saved(tmp_path, "a.ndjson", lines(body(), bad, body(), bad, bad)))

    assert (account.responses, account.folds[ENUM].count) == (5, 3)
    told = list(recorded.lines(account, Mask()))
    assert told[:3] == [
        f"broken  {ENUM}, 3 times",
        "        call_handler holds a value that is not documented",
        f"        first in {tmp_path / 'a.ndjson'}:2, at /call_handler",
    ]
    assert told[-1].startswith(f"BROKEN: {RULES} rules: 1 broken, ")
    # Update and retrieve show the same record.
    assert told[-1].endswith("; 5 responses; taken for update_phone_number: --operation says otherwise")
    account = checked(saved(tmp_path, "a.ndjson", lines(body())), operation="retrieve_phone_number")
    assert list(recorded.lines(account, Mask()))[-1].endswith("; 1 response")


def test_lines_that_are_no_objects_are_findings(tmp_path: Path) -> None:
    """A broken line is told with its number, wherever it stands; nothing ends in a traceback."""
    content = lines("garbage", body(), "[1, 2]", '{"id": 1,', body(), "5", '{"x": NaN, "id": "a"}').encode()
    path = saved(tmp_path, "a.ndjson", content + b"\xff\xfe\n" + b'{"id": "1", "id": "2"}\n')

    account = checked(path)

    assert account.responses == 9
    json_rule, body_rule = f"{UPDATE}.shape.json", f"{UPDATE}.shape.body"
    assert (account.folds[json_rule].place, account.folds[json_rule].count) == (f"{path}:1", 5)
    assert (account.folds[body_rule].place, account.folds[body_rule].count) == (f"{path}:3", 4)


def test_a_body_says_nothing_of_its_status(tmp_path: Path) -> None:
    """Status and media type of a bare body are not called kept: nobody saw them."""
    evidence = checked(saved(tmp_path, "a.json", json.dumps(body()))).evidence

    assert evidence[f"{UPDATE}.shape"] == 1
    assert evidence[f"{UPDATE}.shape.name.type"] == 1
    for rule in ("shape.status", "shape.media_type", "rejection.no_server_error"):
        assert evidence[f"{UPDATE}.{rule}"] == 0


def test_lists_are_told_from_records(tmp_path: Path) -> None:
    """The answer of the list is known by its list of records; --operation says what a body can't."""
    page = {"links": {"self": "/a"}, "data": [dict(body()), {**body(), **WRONG}]}
    path = saved(tmp_path, "a.json", json.dumps(page))

    assert "list_phone_numbers.enum.call_handler" in checked(path).broken
    assert checked(path).folds["list_phone_numbers.enum.call_handler"].finding.pointer == "/data/1/call_handler"
    record = saved(tmp_path, "b.json", json.dumps({**body(), **WRONG}))
    assert checked(record, operation="retrieve_phone_number").broken == ["retrieve_phone_number.enum.call_handler"]
    with pytest.raises(SpecError, match="Did you mean 'retrieve_phone_number'"):
        checked(record, operation="retrieve_phone_numbr")


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("empty.json", b"", "is empty"),
        ("blank.ndjson", b"\n \n", "is empty"),
        ("page.html", b"<html>\n</html>\n", "nothing in the file resembles an answer"),
        ("cut.json", b'{"id": 1, "na', "is no JSON: Unterminated string"),
        ("list-cut.json", b'[{"foo": 1}, {"na', "is no JSON"),
        ("list-garbled.json", b"[\n1 2]", "is no JSON: ',' is wanted, and '2' found"),
        ("after.json", b"[\n] x", "goes on after the end of its list"),
        ("null.json", b"null", "begins with 'n'"),
        ("latin.json", b'{\n"id": "\xe9"}', "is not UTF-8"),
        ("deep.json", b"[" * 100_000, "nested too deep"),
        ("deep-object.json", b'{"id":' * 100_000, "nested too deep"),
        ("nameless.json", b"{\n5: 6}", "a member has no name"),
        ("cut.gz", gzip.compress(b'{"id": 1}' * 999, mtime=0)[:-12], "cannot be read"),
        ("noise.bin", bytes(range(256)) * 50, "nothing in the file resembles an answer"),
    ],
    ids=lambda value: value if isinstance(value, str) and "." in value else "",
)
def test_what_cannot_be_read_is_a_plain_line(name: str, content: bytes, says: str, tmp_path: Path) -> None:
    """A file that is none of what is known, damaged or empty is status 2, with its name and what is wrong."""
    path = saved(tmp_path, name, content)

    account = checked(path)

    assert account.status == 2
    (problem,) = account.problems
    assert problem.startswith(path)
    assert says in problem


def test_missing_files_and_folders_are_plain_lines(tmp_path: Path) -> None:
    """What can't be opened is status 2, and the other files are judged all the same."""
    bad = saved(tmp_path, "bad.json", json.dumps({**body(), **WRONG}))

    assert checked(str(tmp_path / "none.json"), str(tmp_path)).status == 2
    account = checked(str(tmp_path / "none.json"), bad)
    assert (account.status, len(account.problems), account.responses) == (1, 1, 1)


def test_what_resembles_nothing_is_left_out(tmp_path: Path) -> None:
    """Objects without a documented field are counted and not judged; a file of nothing else is status 2."""
    other = saved(tmp_path, "other.ndjson", lines({"foo": 1}, {"bar": 2}))
    mixed = saved(tmp_path, "mixed.ndjson", lines({"foo": 1}, body()))

    assert (checked(other).status, checked(other).skipped) == (2, 2)
    assert (checked(mixed).status, checked(mixed).skipped, checked(mixed).responses) == (0, 1, 1)
    assert checked(other, operation="retrieve_phone_number").status == 1


def test_a_weak_rule_only_warns(tmp_path: Path) -> None:
    """The basis that fails a check is chosen as for a run."""
    weak = next(r for r in checked(saved(tmp_path, "x.json", "{}")).judge.rules.values() if r.basis != "documented")
    account = checked(saved(tmp_path, "a.json", json.dumps(body())))
    account.folds[weak.id] = recorded.Fold(
        next(iter(checked(saved(tmp_path, "b.json", json.dumps({**body(), **WRONG}))).folds.values())).finding, "a"
    )

    assert account.status == 0
    account.strict = "inferred"
    assert account.status == 1


# ------------------------------------------------------------------------------- HAR


def archived(*, defect: str | None = None, variant: str | None = None) -> str:
    """The HAR of a run."""
    with reference.running(defect=defect, variant=variant) as server, tempfile.TemporaryDirectory() as folder:
        result = run(settings(server, Path(folder), allow_unrestorable=True), credentials(server))
        path = har.write(result, Path(folder) / "run.har", Mask(secrets=(server.password,)))
        return path.read_text(encoding="utf-8")


@pytest.mark.parametrize("variant", [None, "blank-ids-stored+former-cleared+rate-limited"])
def test_the_archive_of_a_kept_run_is_kept(variant: str | None, tmp_path: Path) -> None:
    """Everything that a run sends is lawful to receive: refusals, silent requests, wrong credentials."""
    account = checked(saved(tmp_path, "run.har", archived(variant=variant)))

    assert (account.status, account.broken) == (0, [])
    assert account.evidence[f"{UPDATE}.echo.name"] > 5
    assert account.evidence[f"{UPDATE}.frame.name"] > 5
    assert account.evidence[f"{UPDATE}.read_back.name"] > 5
    assert account.evidence["list_phone_numbers.read_back"] > 0


def test_an_archive_pairs_requests_with_their_answers(tmp_path: Path) -> None:
    """Echo, handlers, frame and read-back are judged from what was sent and what was shown before."""
    defects = {
        "handler-clears-name": f"{UPDATE}.frame.name",
        "media-type-html": f"{UPDATE}.shape.media_type",
        "errors-flat": f"{UPDATE}.rejection.error_body",
        "any-call-handler": f"{UPDATE}.rejection.call_handler.enum",
        "call-relay-topic-not-stored": f"{UPDATE}.handler.call_handler.relay_topic.shown",
        "list-name-cut": "list_phone_numbers.read_back",
    }

    account = checked(saved(tmp_path, "run.har", archived(defect="+".join(defects))))

    # A handler that nobody documents is stored, and shown by whatever shows it.
    also = {f"{UPDATE}.echo.call_handler", "retrieve_phone_number.enum.call_handler"}
    assert set(account.broken) == {*defects.values()} | also
    for rule in defects.values():
        assert re.search(r", entry \d+ \((PUT|GET) /api/", account.folds[rule].place), account.folds[rule].place


def entry(method: str, path: str, status: int, answer: Any, sent: Any = None, **more: Any) -> dict[str, Any]:
    """One entry of an archive."""
    text = answer if isinstance(answer, str) else json.dumps(answer)
    found: dict[str, Any] = {
        "request": {"method": method, "url": f"https://api.example.com/api/relay/rest{path}"},
        "response": {
            "status": status,
            "headers": [{"name": "Content-Type", "value": "application/json; charset=utf-8"}],
            "content": {"text": text, "size": len(text), **more},
        },
    }
    if sent is not None:
        found["request"]["postData"] = {"text": json.dumps(sent)}
    return found


def archive(folder: Path, *entries: Any) -> str:
    """A HAR of these entries, as a browser saves it."""
    log = {"version": "1.2", "creator": {"name": "x"}, "pages": [], "entries": list(entries), "comment": ""}
    return saved(folder, "a.har", json.dumps({"log": log}))


def test_an_archive_of_other_traffic_is_left_out(tmp_path: Path) -> None:
    """Other addresses, entries without a body, cut-off requests and damaged ones are not judged."""
    good = entry("GET", f"/phone_numbers/{body()['id']}", 200, dict(body()))
    hidden = entry("GET", "/phone_numbers/x", 200, "")
    hidden["response"]["content"]["size"] = 700
    others = [
        entry("GET", "/elsewhere", 200, {}),
        entry("OPTIONS", "/phone_numbers", 200, {}),
        entry("GET", "/phone_numbers/x", 304, ""),
        entry("GET", "/phone_numbers/x", 0, ""),
        hidden,
        5,
        {},
        {"request": {}, "response": {}},
        {"request": {"method": "GET", "url": "http://["}, "response": {"status": 200}},
    ]

    account = checked(archive(tmp_path, good, *others))

    assert (account.status, account.responses, account.skipped) == (0, 1, len(others))
    assert checked(archive(tmp_path, *others)).status == 2


def test_what_an_archive_does_not_hold_is_not_judged(tmp_path: Path) -> None:
    """An update whose body was left out, or whose answer was, is nobody's fault, and nothing is known after it."""
    path = f"/phone_numbers/{body()['id']}"
    read = entry("GET", path, 200, dict(body()))
    unsaid = entry("PUT", path, 200, {**body(), "name": "a"})
    empty = entry("PUT", path, 200, {**body(), "name": "a"})
    empty["request"]["bodySize"] = 0
    unanswered = entry("PUT", path, 200, "", {"name": "a"})
    del unanswered["response"]["content"]
    textless = entry("PUT", path, 200, "", {"name": "a"})
    textless["response"]["content"] = {"size": -1}
    later = entry("GET", path, 200, {**body(), "name": "a"})

    for gap in (unsaid, unanswered, textless):
        account = checked(archive(tmp_path, read, gap, later))
        assert (account.broken, account.responses, account.skipped) == ([], 2, 1)
    assert checked(archive(tmp_path, read, empty)).broken == [f"{UPDATE}.frame.name"]


def test_a_line_that_was_not_recorded_whole_is_no_fault_of_the_api(tmp_path: Path) -> None:
    """The last line of a log that is still written may end anywhere; a broken line before it is a finding."""
    good = json.dumps(dict(body()))

    cut = checked(saved(tmp_path, "log.ndjson", f"{good}\n{good[:100]}"))
    assert (cut.status, cut.responses) == (2, 1)
    assert "line 2, ends in the middle" in cut.problems[0]
    assert checked(saved(tmp_path, "log.ndjson", f"{good}\n{good}")).status == 0
    assert checked(saved(tmp_path, "log.ndjson", f"{good}\n{good[:100]}\n{good}\n")).status == 1


def test_a_number_of_thousands_of_digits_is_read(tmp_path: Path) -> None:
    """JSON has no largest number; what it stands in is judged like any other answer."""
    large = json.dumps({**body(), "extra": 0})[:-2] + "9" * 5000 + "}"

    for name in ("a.json", "a.ndjson"):
        assert checked(saved(tmp_path, name, large + "\n")).status == 0


def test_what_one_entry_shows_is_known_in_the_next(tmp_path: Path) -> None:
    """The record of an earlier answer with the same id is what an update is compared with; another one is not."""
    path = f"/phone_numbers/{body()['id']}"
    other = {**body(), "id": "3fa85f64-5717-4562-b3fc-2c963f66afa6", "call_request_url": None}
    read = entry("GET", path, 200, dict(body()))
    named = entry("PUT", path, 200, {**body(), "name": "a", "call_request_url": None}, {"name": "a"})
    elsewhere = entry("GET", f"/phone_numbers/{other['id']}", 200, other)

    assert checked(archive(tmp_path, read, named)).broken == [f"{UPDATE}.frame.call_request_url"]
    assert checked(archive(tmp_path, named)).broken == []
    assert checked(archive(tmp_path, elsewhere, named)).broken == []
    assert checked(archive(tmp_path, named, read)).broken == [f"{UPDATE}.read_back"] or checked(
        archive(tmp_path, named, read)
    ).broken == [f"{UPDATE}.read_back.call_request_url", f"{UPDATE}.read_back.name"]


def test_the_same_update_twice_is_known(tmp_path: Path) -> None:
    """A second update with the same body, and nothing between, must give the same state."""
    path = f"/phone_numbers/{body()['id']}"
    first = entry("PUT", path, 200, {**body(), "name": "a"}, {"name": "a"})
    second = entry("PUT", path, 200, {**body(), "name": "a", "call_request_method": "GET"}, {"name": "a"})

    account = checked(archive(tmp_path, first, second))

    assert f"{UPDATE}.idempotence" in account.broken


def test_bodies_of_an_archive_may_be_packed(tmp_path: Path) -> None:
    """Base64, and what is neither JSON nor base64, are read as they are."""
    text = base64.b64encode(json.dumps({**body(), **WRONG}).encode()).decode()
    path = f"/phone_numbers/{body()['id']}"

    packed = checked(archive(tmp_path, entry("GET", path, 200, text, encoding="base64")))
    page = checked(archive(tmp_path, entry("GET", path, 200, "<html>")))

    assert packed.broken == ["retrieve_phone_number.enum.call_handler"]
    assert page.broken == ["retrieve_phone_number.shape.json"]


# --------------------------------------------------------------------- command and cost


def typed(*args: str) -> int:
    """The exit status of ``contract`` with *args*."""
    with pytest.raises(SystemExit) as ended:
        cli.main(list(args))
    assert isinstance(ended.value.code, int)
    return ended.value.code


def test_the_command_prints_lines_or_json(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Findings go to standard output, what can't be read to standard error; 1 wins over 2."""
    monkeypatch.chdir(tmp_path)
    saved(tmp_path, "good.json", json.dumps(body()))
    saved(tmp_path, "bad.ndjson", lines(body(), {**body(), **WRONG}))

    assert typed("check", "good.json") == 0
    assert capsys.readouterr().out.startswith(f"KEPT: {RULES} rules: ")
    assert typed("check", "good.json", "none.json") == 2
    assert "none.json cannot be read" in capsys.readouterr().err
    assert typed("check", "bad.ndjson", "none.json", "--json") == 1
    found = json.loads(capsys.readouterr().out)
    assert (found["verdict"], found["responses"]) == ("broken", 2)
    assert found["rules"] == [
        {
            "id": ENUM,
            "verdict": "broken",
            "count": 1,
            "place": "bad.ndjson:2",
            "message": "call_handler holds a value that is not documented",
            "pointer": "/call_handler",
            "expected": found["rules"][0]["expected"],
            "actual": "carrier_pigeon",
        }
    ]
    assert typed("check", "good.json", "--operation", "nothing") == 2
    assert typed("check") == 2


def test_the_evidence_of_many_different_answers_is_added_up(tmp_path: Path) -> None:
    """Records that are null in ever other fields are counted as they should be, however many."""
    names = [name for name, value in body().items() if name.startswith(("call_", "message_")) and name.endswith("url")]
    bodies = [{**body(), **{n: None for j, n in enumerate(names) if i >> j & 1}} for i in range(200)]
    account = recorded.Account(checked(saved(tmp_path, "x.json", json.dumps(body()))).judge)
    file = recorded._File(account, CONTRACT, None, "x")
    for one in bodies:
        file.body(one, "", "x")

    assert account.evidence[f"{UPDATE}.shape"] == 200


def test_a_long_recording_takes_little_memory(tmp_path: Path) -> None:
    """Memory does not grow with the number of lines."""
    count = 500
    line = json.dumps({**body(), "padding": "x" * 30_000})
    path = saved(tmp_path, "long.ndjson", f"{line}\n" * count)
    checked(saved(tmp_path, "short.ndjson", f"{line}\n"))  # Whatever is made once is there already.
    tracemalloc.start()
    try:
        account = checked(path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert (account.status, account.responses) == (0, count)
    assert peak < 4_000_000 < len(line) * count / 3


def test_a_long_list_is_read_piece_by_piece(tmp_path: Path) -> None:
    """A list that is far longer than what is read at once is judged to its end."""
    count = 600
    content = "[" + ",\n".join([json.dumps(body())] * count) + "]"
    assert len(content) > 3 * recorded.CHUNK

    account = checked(saved(tmp_path, "long.json", content))

    assert (account.status, account.responses) == (0, count)
