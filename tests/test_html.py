"""``run.html``: what stands in it, and what it does in a browser whose network is cut off.

The tests in a browser are skipped where there is no Chromium (Debian: ``apt-get install chromium``).
"""

from __future__ import annotations

import copy
import functools
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from contract import html
from contract.difference import Change, difference
from contract.model import MISSING
from contract.picture import Cell, latency, matrices
from contract.result import Result
from tests import browser, reports
from tests.browser import Browser, Page
from tests.reports import HOSTILE, MASK, made

BROKEN = "update_phone_number.handler.call_handler.video_room.shown"
RUNS: dict[str, Callable[[], Result]] = {
    "broken": made,
    "kept": lambda: made(None),
    "undecided": lambda: made(None, profile="smoke", max_requests=20),
    "another fragment": reports.other,
    "hostile": reports.hostile,
}
VOID = {"meta", "link", "input", "br", "img", "hr"}


class Element:
    """One element of a page, with what is in it."""

    def __init__(self, tag: str, attributes: dict[str, str]) -> None:
        self.tag = tag
        self.attributes = attributes
        self.children: list[Element] = []
        self.words: list[str] = []

    @property
    def text(self) -> str:
        """All text in it."""
        return "".join(self.words)

    def all(self, tag: str = "", **wanted: str) -> Iterator[Element]:
        """Every element below it with a tag and attributes."""
        for child in self.children:
            if tag in {"", child.tag} and all(child.attributes.get(k) == v for k, v in wanted.items()):
                yield child
            yield from child.all(tag, **wanted)


class Reader(HTMLParser):
    """Reads a page strictly: an element that is not closed where it should be is an error."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.root = Element("", {})
        self.open = [self.root]
        self.feed(text)
        assert self.open == [self.root], f"not closed: {[one.tag for one in self.open[1:]]}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Begins an element."""
        element = Element(tag, {name: value or "" for name, value in attrs})
        self.open[-1].children.append(element)
        if tag not in VOID and not (self.get_starttag_text() or "").endswith("/>"):
            self.open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """One of the elements of SVG that close themselves."""
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        """Ends an element."""
        assert self.open[-1].tag == tag, f"</{tag}> inside of <{self.open[-1].tag}>"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        """Text belongs to everything that is open."""
        for element in self.open:
            element.words.append(data)


def read(result: Result, **more: Any) -> Element:
    """The page of *result*."""
    return Reader(html.page(result, MASK, **more)).root


@functools.cache
def text_of(kind: str) -> str:
    """The text of the page of one kind of run."""
    return html.page(RUNS[kind](), MASK)


@functools.cache
def page_of(kind: str) -> Element:
    """The page of one kind of run."""
    return Reader(text_of(kind)).root


@pytest.fixture(params=RUNS)
def kind(request: pytest.FixtureRequest) -> str:
    """Each kind of run."""
    return str(request.param)


# ------------------------------------------------------------------------ what stands there


def test_one_file(kind: str) -> None:
    """The page names no other file that it needs, has one style and one script, and is well nested."""
    page = page_of(kind)
    assert Counter(element.tag for element in page.all())["style"] == 1
    assert [one.attributes for one in page.all("script")] == [{"type": "application/json", "id": "failures-data"}, {}]
    for element in page.all():
        assert element.attributes.keys().isdisjoint({"src", "srcset", "style", "action", "data", "poster", "onerror"})
        assert not any(name.startswith("on") for name in element.attributes)
        for name in ("href", "xlink:href"):
            target = element.attributes.get(name, "#")
            local = target.startswith("#") or target in {"data:,", "run.json", "run.har", "run.md"}
            assert local or (element.tag == "a" and target.startswith("https://")), target


def test_policy(kind: str) -> None:
    """The page forbids itself everything but its own style and its own script."""
    page = page_of(kind)
    (policy,) = (m.attributes["content"] for m in page.all("meta") if "http-equiv" in m.attributes)
    assert policy.startswith("default-src 'none'; base-uri 'none'; form-action 'none'; ")
    assert policy.count("'sha256-") == 2
    assert "unsafe" not in policy and "http" not in policy


def test_structure(kind: str) -> None:
    """Ids are unique, whatever refers to one finds it, tables have captions and scopes, fields have labels."""
    page = page_of(kind)
    ids = Counter(element.attributes["id"] for element in page.all() if "id" in element.attributes)
    assert [name for name, count in ids.items() if count > 1] == []
    for element in page.all():
        for name in ("aria-labelledby", "data-copy", "for"):
            assert set(element.attributes.get(name, "").split()) <= ids.keys()
        if element.tag == "a" and element.attributes["href"].startswith("#") and "=" not in element.attributes["href"]:
            assert element.attributes["href"][1:] in ids
    for table in page.all("table"):
        assert len(list(table.all("caption"))) == 1
        assert all(cell.attributes.get("scope") in {"col", "row"} for cell in table.all("th"))
        assert all(list(row.all("th")) for row in table.all("tr"))
    labelled = [field for label in page.all("label") for field in (*label.all("select"), *label.all("input"))]
    assert len(labelled) == len([*page.all("select"), *page.all("input")]) == 5
    levels = [int(element.tag[1]) for element in page.all() if re.fullmatch(r"h[1-6]", element.tag)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(later <= earlier + 1 for earlier, later in pairwise(levels))


def test_pictures_have_words(kind: str) -> None:
    """Every picture is named and described for those who do not see it, or is left out for them."""
    for svg in page_of(kind).all("svg"):
        if svg.attributes.get("aria-hidden") == "true":
            continue
        assert svg.attributes["role"] == "img"
        if "aria-labelledby" in svg.attributes:
            names = {child.attributes.get("id"): child for child in svg.children if child.tag in {"title", "desc"}}
            assert names.keys() == set(svg.attributes["aria-labelledby"].split())
            assert all(child.text for child in names.values())
        else:
            assert svg.attributes["aria-label"]


def test_ledger(kind: str) -> None:
    """Every rule is a row, with its verdict in words, its text, and what was to be said."""
    (table,) = page_of(kind).all("table", id="rules")
    rows = {next(row.all("code")).text: row for row in table.all("tr") if list(row.all("code"))}
    assert rows.keys() == {entry.rule.id for entry in RUNS[kind]().entries}
    for entry in RUNS[kind]().entries:
        row = rows[entry.rule.id]
        assert row.attributes["data-verdict"] == entry.verdict
        assert row.attributes["data-promise"] == entry.rule.promise
        assert row.attributes["data-operation"] == entry.rule.operation
        assert entry.verdict.replace("_", " ") in next(row.all("td")).text
        assert entry.rule.text in row.text


def test_broken_comes_first() -> None:
    """The rows begin with what a reader has to see to."""
    (table,) = page_of("broken").all("table", id="rules")
    verdicts = [row.attributes["data-verdict"] for row in table.all("tr") if "data-verdict" in row.attributes]
    assert verdicts[:5] == ["broken", "warned", "warned", "undecided", "kept"]


def test_failure() -> None:
    """A failure is told with its message, rule, source, smallest body, difference and the line that repeats it."""
    article = next(page_of("broken").all("article"))
    assert next(article.all("h3")).text.split() == [BROKEN, "broken"]
    assert "lacks call_video_room_id" in article.text
    assert "Source, documented" in article.text
    assert [link.attributes["href"] for link in article.all("a")] == [
        "https://developer.signalwire.com/rest/update-a-phone-number"
    ]
    assert next(article.all("del")).text.partition("expected: ")[2].startswith('"')
    assert [one.text.strip().partition("actual: ")[2] for one in article.all("ins")] == ["null"]
    body = next(article.all("pre")).text
    assert json.loads(body).keys() == {"call_handler", "call_video_room_id"}
    (curl,) = article.all("code", id="curl1")
    assert curl.text.startswith("curl -sS -X PUT ")
    assert "update_phone_number.echo.call_video_room_id" in article.text


def test_failure_of_bytes() -> None:
    """A case whose body is no JSON is told with the text that was sent."""
    articles = {
        next(a.all("h3")).text.split()[0]: a for a in read(made("malformed-accepted", profile="smoke")).all("article")
    }
    article = articles["update_phone_number.rejection.malformed_json"]
    assert next(article.all("pre")).text.endswith(", ")
    assert next(article.all("pre")).text.startswith('{"')


@functools.cache
def odd() -> tuple[Result, Element]:
    """The run with one defect as an example, with settings of all kinds, a record that was left changed, and a source
    whose address is none of the web; and its page.
    """
    result = copy.copy(made())
    result.settings = replace(
        result.settings, spec="my spec.yaml", seed=7, profile="deep", strict="inferred", allow_unrestorable=True
    )
    changed = replace(
        next(iter(result.restored.values())),
        verdict="not_restored",
        left={"name": ("Front desk", None)},
        note="nobody answered",
        theirs=("cnam",),
        filled=("mode",),
    )
    result.restored = {"3fa85f64": changed}
    result.foreign = {"3fa85f64": {"cnam": ("A", "B")}}
    result.expected_left = {"3fa85f64": {"name": "null is refused"}}
    sources = {key: {**value, "url": "javascript:alert(1)"} for key, value in result.contract.sources.items()}
    result.contract = replace(result.contract, sources=sources)
    return result, read(result, fixed=True)


def test_command() -> None:
    """The line that repeats the run has everything of it that the command takes."""
    result, page = odd()
    (line,) = page.all("code", id="again")
    ids = " ".join(f"--id {id}" for id in result.settings.ids)
    assert line.text == (
        f"contract run --base-url {result.settings.base_url} {ids} --profile deep --strict inferred --seed 7 "
        "--spec 'my spec.yaml' --allow-unrestorable"
    )


def test_custody() -> None:
    """What was left changed is a table with the value before and the value now, and what to do is said."""
    _, page = odd()
    text = " ".join(page.text.split())
    tables = {next(t.all("caption")).text: [cell.text for cell in t.all("code")] for t in page.all("table")}
    assert "3fa85f64 could not be put back whole: nobody answered" in text
    assert tables["Left changed in 3fa85f64"] == ["name", '"Front desk"', "null"]
    assert "Allowed to be left changed: name (null is refused)." in text
    assert "Null before, at the documented default now: mode." in text
    assert "When the API answers again: contract restore" in text
    assert tables["Written by someone else during the run"] == ["3fa85f64", "cnam", '"A"', '"B"']


def test_source_must_be_of_the_web() -> None:
    """A source is a link only where its address is one of the web."""
    _, page = odd()
    assert not [a for a in page.all("a") if a.attributes["href"].startswith("javascript")]
    assert "Source, documented" in page.text


def test_example_says_so() -> None:
    """Only an example says that its times are made up."""
    assert "its times were made up" in odd()[1].text
    assert "its times were made up" not in page_of("broken").text


def test_silence() -> None:
    """What the API did where the documents are silent is a table of its own."""
    text = " ".join(page_of("kept").text.split())
    assert re.search(r"an unknown key\s*200 accepted\s*200 accepted\s*ignored: x_unknown_key", text)


def test_problem() -> None:
    """A run that could not tell says why, at the top."""
    page = page_of("undecided")
    assert next(page.all("h1")).text == "undecided"
    assert "20 requests is spent" in next(page.all("p", **{"class": "problem"})).text


def test_hostile_text() -> None:
    """What is hostile stands there as text, and nothing in the page is obeyed by a terminal."""
    text, page = text_of("hostile"), page_of("hostile")
    assert all(c.isprintable() or c == "\n" for c in text)
    told = "".join(element.text for element in page.all("article"))
    for hostile in (HOSTILE[0], HOSTILE[3], HOSTILE[4], HOSTILE[8], HOSTILE[12]):
        assert hostile in told
    assert not list(page.all("img")) and not list(page.all("b", onerror=""))
    (data,) = page.all("script", id="failures-data")
    assert "<" not in data.text
    assert len(json.loads(data.text)) == len(list(page.all("article")))


# --------------------------------------------------------------------------------- differences


def marked(expected: Any, actual: Any) -> list[tuple[str, str]]:
    """(side, line with what differs in brackets) of a difference."""

    def line(change: Change) -> str:
        return "".join(f"[{part.text}]" if part.changed else part.text for part in change.segments)

    return [(change.side, line(change)) for change in difference(expected, actual)]


@pytest.mark.parametrize(
    ("expected", "actual", "lines"),
    [
        ("Front desk", "Front dusk", [("expected", '"Front d[e]sk"'), ("actual", '"Front d[u]sk"')]),
        (" x ", "x", [("expected", '"[ x ]"'), ("actual", '"[x]"')]),
        ("abcabc", "abc", [("expected", '"abc[abc]"'), ("actual", '"abc"')]),
        ("null", None, [("expected", '["null"]'), ("actual", "[null]")]),
        (1, MISSING, [("expected", "[1]"), ("actual", "[(absent)]")]),
        (["a", "b"], ["a"], [("both", "["), ("expected", '  "a",'), ("actual", '  "a"'), ("expected", '  "b"'), ("both", "]")]),
        ({"a": 1}, {"a": 1}, [("both", "{"), ("both", '  "a": 1'), ("both", "}")]),
    ],
)  # fmt: skip
def test_difference(expected: Any, actual: Any, lines: list[tuple[str, str]]) -> None:
    """Two values are compared line by line, and two short ones letter by letter."""
    assert marked(expected, actual) == lines


def test_difference_of_much() -> None:
    """Values of any size are told in a number of lines that can be read."""
    found = list(difference(["x" * 50] * 5000, {"a": "y" * 100_000}))
    assert len(found) < 300
    assert sum(len(part.text) for change in found for part in change.segments) < 10_000


# ------------------------------------------------------------------------------------ pictures


def cells(result: Result, down: str, across: str) -> dict[tuple[str, str], Cell]:
    """The cells of one matrix."""
    (matrix,) = (one for one in matrices(result) if (one.down, one.across) == (down, across))
    return {(row, column): matrix.cell(row, column) for row in matrix.rows for column in matrix.columns}


def test_matrices() -> None:
    """Every selector has a matrix of its changes, and the largest one a matrix with each other one."""
    found = [(one.kind, one.down, one.across, len(one.rows), len(one.columns)) for one in matrices(made(None))]
    assert found == [
        ("changes", "call_handler", "call_handler", 11, 11),
        ("pairs", "call_handler", "message_handler", 11, 5),
        ("changes", "message_handler", "message_handler", 5, 5),
    ]
    assert [(one.kind, one.down, one.across) for one in matrices(reports.other())] == [
        ("changes", "delivery", "delivery"),
        ("pairs", "delivery", "cadence"),
        ("changes", "cadence", "cadence"),
    ]


def test_a_page_without_pictures() -> None:
    """A contract in which no field selects others has no matrix, a run that sent nothing no latency, and the page lacks
    these parts.
    """
    result = copy.copy(made(None))
    result.exchanges = []
    assert latency(result) is None
    assert all(matrix.counts["none"] == matrix.wanted for matrix in matrices(result))
    update = result.contract.update
    assert update.request is not None
    fields = {name: replace(item, choices={}) for name, item in update.request.fields.items()}
    plain = replace(update, request=replace(update.request, fields=fields))
    result.contract = replace(result.contract, operations={**result.contract.operations, update.id: plain})
    assert matrices(result) == []
    assert [h2.text for h2 in read(result).all("h2")] == [
        "Warnings",
        "Ledger",
        "Custody",
        "Where the documents are silent",
    ]


def test_matrix_kept() -> None:
    """Against a right server a whole tour leaves no cell out, and all are kept."""
    for matrix in matrices(made(None)):
        assert matrix.counts["kept"] == matrix.wanted
        assert matrix.place("none") == matrix.place("broken") == matrix.place("refused") == []


def test_matrix_broken() -> None:
    """Where a value loses its companion, every update to it and every pair with it is broken, and nothing else."""
    changes = cells(made(), "call_handler", "call_handler")
    broken = {place for place, cell in changes.items() if cell.state == "broken"}
    assert {place for place in broken if place[0] != place[1]} == {p for p in changes if p[1] == "video_room" != p[0]}
    assert {place[1] for place in broken} == {"video_room"}
    pairs = cells(made(), "call_handler", "message_handler")
    assert {place for place, cell in pairs.items() if cell.state == "broken"} == {
        place for place in pairs if place[0] == "video_room"
    }
    assert changes["dialogflow", "video_room"].case.startswith("tour ")


def test_matrix_refused() -> None:
    """A change that the server refuses is refused in its one cell, and what only a read shows to be wrong marks the
    update before it.
    """
    changes = cells(made("connector-to-topic+call-video-room-not-stored"), "call_handler", "call_handler")
    refused = [place for place, cell in changes.items() if cell.state == "refused"]
    assert refused == [("relay_connector", "relay_topic")]
    broken = {place for place, cell in changes.items() if cell.state == "broken"}
    assert broken and all("video_room" in place for place in broken)


def test_matrix_not_exercised() -> None:
    """A value that no update brought about is in no cell that was exercised."""
    result = copy.copy(made(None))
    result.exchanges = [
        e
        for e in result.exchanges
        if not isinstance(e.case.body, dict) or e.case.body.get("call_handler") != "video_room"
    ]
    matrix = matrices(result)[0]
    places = matrix.place("none")
    assert {row for row, column, _ in places if column == "video_room"} == {*matrix.rows} - {"video_room"}
    assert all("video_room" in (row, column) for row, column, _ in places)
    assert matrix.counts["none"] == len(places)


def test_latency() -> None:
    """Every answer is a point, and the scale holds all of them between ends that are round."""
    found = latency(made())
    assert found is not None
    assert sum(len(series.points) for series in found.series) == len(made().exchanges) == found.count
    assert found.series[0].operation == "update_phone_number"
    assert found.low <= found.median <= found.p95 <= found.slowest[0][2] <= found.high
    assert all(0 <= found.height(took) <= 1 for series in found.series for _, took in series.points)
    assert found.height(found.low) == 0 and found.height(found.high) == 1
    assert found.low <= found.ticks[0] <= found.ticks[-1] <= found.high


@pytest.mark.parametrize(
    ("times", "low", "high", "ticks"),
    [
        ([0.001], 0.5, 2, [0.5, 1, 2]),
        ([0.0, 0.0], 0.0005, 0.002, [0.0005, 0.001, 0.002]),
        ([0.003, 0.004, 12.0], 2, 20_000, [10, 100, 1000, 10_000]),
    ],
)
def test_latency_scale(times: list[float], low: float, high: float, ticks: list[float]) -> None:
    """The scale begins and ends at 1, 2 or 5 times a power of ten, however fast or slow the answers are."""
    result = copy.copy(made())
    result.exchanges = [
        replace(exchange, response=replace(exchange.response, elapsed=took))
        for exchange, took in zip(result.exchanges, times, strict=False)
    ]
    found = latency(result)
    assert found is not None
    assert [found.low, found.high] == pytest.approx([low, high])
    assert found.ticks == pytest.approx(ticks)


# ---------------------------------------------------------------------------------- in a browser


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """One browser for all tests of this file."""
    if not browser.FOUND:
        pytest.skip("there is no Chromium on this machine")
    with browser.running() as found:
        yield found


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of the run with one defect."""
    path = tmp_path_factory.mktemp("page") / "run.html"
    path.write_text(text_of("broken"), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def opened(chromium: Browser, path: Path) -> Iterator[Page]:
    """That page in a tab: to open one takes longer than all that is asked of it."""
    with chromium.page(path) as page:
        yield page


SHOWN = "[...document.querySelectorAll('#rules tbody tr')].filter(row => !row.hidden).length"
COUNT = "document.getElementById('shown').textContent"


@pytest.fixture
def page(chromium: Browser, opened: Page) -> Page:
    """That page as it was when it was opened, for the next test."""
    opened.size(1280, 900)
    opened.call("Emulation.setEmulatedMedia", media="", features=[])
    opened.run("document.querySelectorAll('details').forEach(one => one.open = Boolean(one.querySelector('#grid')))")
    opened.run("document.activeElement.blur(); scrollTo(0, 0)")
    # What a reset calls later was called when this is.
    opened.run("document.getElementById('filters').reset(), new Promise(done => setTimeout(done))")
    chromium.forget()
    return opened


def quiet(page: Page, path: Path) -> None:
    """Holds a page to its silence: nothing in the console, nothing asked for but itself."""
    assert page.complaints() == []
    assert {url.partition("#")[0] for url in page.requested()} <= {path.resolve().as_uri()}


def widths(page: Page) -> None:
    """Holds a page to its width: with everything open it never has to be moved sideways."""
    page.run("document.querySelectorAll('details').forEach(one => one.open = true)")
    for width in (1280, 800, 390, 320):
        page.size(width, 900)
        assert page.run("[innerWidth, document.documentElement.scrollWidth]") == [width, width]


@pytest.mark.parametrize("kind", ["undecided", "another fragment", "hostile"])
def test_console(chromium: Browser, kind: str, tmp_path: Path) -> None:
    """Every page opens without a word in the console, asks for nothing but itself, and fits every width."""
    path = tmp_path / "run.html"
    path.write_text(text_of(kind), encoding="utf-8")
    with chromium.page(path) as page:
        assert page.run(COUNT) == f"all {page.run(SHOWN)} rules"
        assert page.run("document.querySelector('h1').textContent") == RUNS[kind]().verdict
        owned = page.run("[typeof window.owned, document.querySelectorAll('img, iframe, object').length]")
        assert owned == ["undefined", 0]
        widths(page)
        quiet(page, path)


def test_policy_holds(page: Page) -> None:
    """Should markup ever get into a page, it could run nothing and call nobody."""
    page.run("document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"window.owned = 1\">')")
    page.run("document.body.append(Object.assign(document.createElement('script'), {text: 'window.owned = 2'}))")
    page.run("fetch('https://example.com/').catch(() => 'refused')")
    assert page.run("typeof window.owned") == "undefined"
    assert any("Content Security Policy" in text for text in page.complaints())
    assert page.requested() and set(page.requested()) == set(page.blocked())
    page.run("document.body.lastElementChild.remove(), document.body.lastElementChild.remove()")


def fitting(**wanted: str) -> int:
    """How many rules of the run with one defect have all that is wanted."""
    told = [
        {
            "verdict": entry.verdict,
            "promise": entry.rule.promise,
            "operation": entry.rule.operation,
            "field": html.field_of(made(), entry.rule) or "-",
        }
        for entry in made().entries
    ]
    return sum(wanted.items() <= one.items() for one in told)


def test_address(page: Page, path: Path) -> None:
    """The address of a page may hold a filter, which a link can name; anything else in it filters nothing."""
    # One scroll that is still on its way may stop the next.
    page.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-reduced-motion", "value": "reduce"}])
    total = len(made().entries)
    expected = {
        "verdict=warned": 2,
        "promise=echo&field=name": fitting(promise="echo", field="name"),
        "operation=list_phone_numbers&promise=access": fitting(operation="list_phone_numbers", promise="access"),
        "field=-&verdict=kept": fitting(field="-", verdict="kept"),
        "verdict=no-such-verdict": total,
        "field=%3Cb%3E": total,
    }
    for fragment, count in expected.items():
        assert count > 0
        page.run(f"location.hash = '#{fragment}'")
        page.until(f"{SHOWN} === {count}")
        assert page.run(COUNT) == (f"all {total} rules" if count == total else f"{count} of {total} rules")
    page.run("location.hash = '#text=video_room+SHOWN'")
    page.until(f"{SHOWN} < 5")
    before = page.run(SHOWN)
    assert before > 0
    page.run("location.hash = '#custody'")
    page.until("Math.abs(document.getElementById('custody').getBoundingClientRect().top) < 900")
    assert page.run(SHOWN) == before
    quiet(page, path)


def test_without_scripts(page: Page, path: Path) -> None:
    """Without scripts the whole page is there, and nothing that would not work; with them a filter in the address holds
    from the start.
    """
    page.run("location.hash = '#verdict=broken'")
    page.call("Emulation.setScriptExecutionDisabled", value=True)
    page.call("Page.reload")
    page.until("document.readyState === 'complete'")
    assert page.run(SHOWN) == len(made().entries)
    assert page.run("getComputedStyle(document.getElementById('filters')).display") == "none"
    buttons = "[...document.querySelectorAll('button')].filter(b => b.offsetParent !== null).length"
    assert page.run(buttons) == 0
    page.call("Emulation.setScriptExecutionDisabled", value=False)
    page.call("Page.reload")
    page.until(f"{SHOWN} === 1")
    assert page.run("document.querySelector('#rules tbody tr:not([hidden]) code').textContent") == BROKEN
    page.until("Math.abs(document.getElementById('list').getBoundingClientRect().top) < 100")
    quiet(page, path)


def test_filter_with_the_keyboard(page: Page, path: Path) -> None:
    """The filters work from the keyboard alone, tell the number of rows as they go, and are kept in the address."""
    page.run("document.querySelector('#filters input').focus()")
    for letter in "video_room":
        page.press(letter, text=letter)
    few = page.run(SHOWN)
    assert 0 < few < len(made().entries)
    page.press("Tab", 9)
    assert page.run("document.activeElement.name") == "verdict"
    page.press("b", 66, text="b")
    assert page.run("document.activeElement.value") == "broken"
    assert page.run(COUNT) == f"1 of {len(made().entries)} rules"
    assert page.run("location.hash") == "#verdict=broken&text=video_room"
    assert page.run("document.getElementById('shown').getAttribute('aria-live')") == "polite"
    page.run("document.querySelector('#filters button[type=reset]').click()")
    page.until(f"{SHOWN} === {len(made().entries)}")
    assert page.run("location.hash") == "#ledger"
    quiet(page, path)


def test_focus_is_visible(page: Page) -> None:
    """Whatever has the keyboard shows it, and the first stop is the way past the head of the page."""
    page.run("document.querySelector('a').focus()")
    assert page.run("document.activeElement.textContent") == "Skip to the findings"
    outline = "getComputedStyle(document.activeElement).outlineStyle"
    for _ in range(12):
        page.press("Tab", 9)
        assert page.run(outline) == "solid"


def test_grid_filters(page: Page, path: Path) -> None:
    """A name in the table of fields and promises filters the rules, and goes to them."""
    page.run("document.querySelector('#grid a[href=\"#field=number\"]').click()")
    page.until("location.hash === '#field=number'")
    page.until(f"{SHOWN} === {sum(html.field_of(made(), e.rule) == 'number' for e in made().entries)}")
    assert page.run("document.querySelector('#filters select[name=field]').value") == "number"
    page.until("Math.abs(document.getElementById('list').getBoundingClientRect().top) < 100")
    quiet(page, path)


def test_copy(chromium: Browser, page: Page, path: Path) -> None:
    """The buttons copy the line that repeats a failure, and the failure as JSON, and say that they did."""
    chromium.call("Browser.grantPermissions", permissions=["clipboardReadWrite", "clipboardSanitizedWrite"])
    page.call("Page.bringToFront")
    page.run("window.focus(); document.querySelector('[data-copy=curl1]').click()")
    page.until("document.getElementById('copy-status').textContent === 'Copied.'")
    assert page.run("navigator.clipboard.readText()") == page.run("document.getElementById('curl1').textContent")
    page.run("document.querySelector('[data-json=\"1\"]').click()")
    page.until("document.querySelector('[data-json=\"1\"]').textContent === 'Copied'")
    assert json.loads(page.run("navigator.clipboard.readText()"))["rule"] == BROKEN
    quiet(page, path)


def test_screen_reader(page: Page) -> None:
    """A screen reader is told names for tables, pictures, regions and buttons."""
    found = page.names()
    assert "Rules with their verdict, basis and evidence" in found["table"]
    assert "The worst verdict for each field and promise; a name filters the list below" in found["table"]
    assert any(name.startswith("Changes of call_handler") for name in found["image"])
    assert any(name.startswith("Milliseconds for each request, in order") for name in found["image"])
    assert found["heading"][:2] == ["Broken", "Failures"]
    for role in ("table", "image", "button", "region", "searchbox", "combobox", "navigation"):
        assert found[role] and all(found[role]), role
    assert len(set(found["button"])) == len(found["button"])


def luminance(colour: str) -> float:
    """The relative luminance of ``rgb(…)`` (WCAG 2.2)."""
    parts = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


COLOURS = """
[...document.querySelectorAll('main *, .top *, nav *')].filter(e => e.offsetParent !== null
  && [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim())).map(e => {
    let back = e;
    while (back && /, 0\\)$|transparent/.test(getComputedStyle(back).backgroundColor)) back = back.parentElement;
    return getComputedStyle(e).color + '|' + getComputedStyle(back || document.body).backgroundColor;
  }).filter((pair, i, all) => all.indexOf(pair) === i)
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_contrast(page: Page, scheme: str) -> None:
    """In the light and in the dark every text stands out from its ground by 4.5 to 1 (WCAG 2.2, 1.4.3)."""
    page.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
    ground = page.run("getComputedStyle(document.body).backgroundColor")
    assert (luminance(ground) > 0.9) if scheme == "light" else (luminance(ground) < 0.02)
    pairs = page.run(COLOURS)
    assert len(pairs) > 5
    for pair in pairs:
        ink, paper = (luminance(colour) + 0.05 for colour in pair.split("|"))
        assert max(ink, paper) / min(ink, paper) >= 4.5, pair


def test_print(page: Page, path: Path) -> None:
    """On paper all but the answers is there, and nothing that one would press; afterwards all is as it was."""
    closed = page.run("document.querySelectorAll('details:not([open])').length")
    assert closed
    page.run("dispatchEvent(new Event('beforeprint'))")
    answers = len(list(page_of("broken").all("article")))
    assert page.run("document.querySelectorAll('main details:not([open])').length") == answers
    page.call("Emulation.setEmulatedMedia", media="print")
    visible = "[...document.querySelectorAll('button, form, nav')].filter(e => getComputedStyle(e).display !== 'none')"
    assert page.run(f"{visible}.length") == 0
    assert page.run("document.documentElement.scrollWidth") <= 1280
    page.run("dispatchEvent(new Event('afterprint'))")
    assert page.run("document.querySelectorAll('details:not([open])').length") == closed
    quiet(page, path)


def test_width(page: Page) -> None:
    """At no width does the page have to be moved sideways, with everything open."""
    widths(page)
