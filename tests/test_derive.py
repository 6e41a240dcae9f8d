"""The text of a reference page: what is read from it, its skeleton, and how it differs from a fragment."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from contract import cli, derive, spec
from contract.errors import ContractError

FILE = Path(__file__).parent / "data" / "change-a-loan.txt"
TEXT = FILE.read_text(encoding="utf-8")
PAGE = derive.read(TEXT)
SKELETON = "\n".join(derive.skeleton(PAGE, FILE.name))


def filled(*changes: tuple[str, str]) -> str:
    """The page's skeleton with the values filled in that the text has lost, and *changes* made."""
    text = SKELETON
    for old, new in (("value-from-the-page", "letter"), *changes):
        assert old in text
        text = text.replace(old, new) if old == "value-from-the-page" else text.replace(old, new, 1)
    return text


def differences(*changes: tuple[str, str]) -> Sequence[str]:
    """What differs between the page and its own skeleton with *changes*."""
    return derive.compare(PAGE, spec.loads(filled(*changes)), "change").differences


def field(section: str, name: str, text: str = "") -> str:
    """The lines of one property of the skeleton, to be replaced."""
    lines = SKELETON.splitlines()
    start = lines.index("      requestBody:" if section == "request" else "      responses:")
    first = next(i for i, line in enumerate(lines[start:], start) if line.strip() == f"{name}:")
    indent = lines[first][: -len(lines[first].lstrip())]
    last = next(i for i, line in enumerate([*lines[first + 1 :], ""], first + 1) if not line.startswith(f"{indent} "))
    return "\n".join(lines[first:last])


def test_the_head_says_what_the_operation_is() -> None:
    """Name, method and path are found in the lines before the first heading."""
    assert (PAGE.title, PAGE.method, PAGE.path) == ("change", "PATCH", "/v2/loans/{loan_id}")
    assert PAGE.counts == "1 path parameter, 7 request fields, 7 response fields, 2 deprecated"


def test_every_field_is_found_under_its_heading() -> None:
    """Names stand in the order of the page; what stands below an example is no field."""
    assert {name: list(entries) for name, entries in PAGE.sections.items()} == {
        "path": ["loan_id"],
        "request": ["shelf", "pickup_by", "locker_number", "remind_method", "reader_card", "reader_id", "desk_note"],
        "response": ["loan_id", "shelf", "pickup_by", "locker_number", "formats", "reader_id", "due_on"],
    }
    assert PAGE.section("request")["shelf"].line == TEXT.splitlines().index("shelf") + 1


def test_marks_are_read_glued_apart_and_in_words() -> None:
    """Deprecated and Required are understood behind the name, on a line of their own, or as the first word."""
    request = PAGE.section("request")
    assert [name for name, entry in request.items() if entry.deprecated] == ["reader_card", "desk_note"]
    assert [name for name, entry in request.items() if entry.required] == ["reader_id"]
    page = derive.read(
        "x\nRequest\na\nDeprecated: use b.\nb\nThis old field is deprecated.\ncRequiredDeprecated\nThe c.\n"
    )
    assert {n: (e.deprecated, e.required) for n, e in page.section("request").items()} == {
        "a": (True, False),
        "b": (True, False),
        "c": (True, True),
    }


def test_allowed_values_with_and_without_the_values() -> None:
    """An announcement is kept although its values are lost; values are read from the line or the lines below."""
    request, response = PAGE.section("request"), PAGE.section("response")
    assert [name for name, entry in request.items() if entry.enumerated] == ["pickup_by", "remind_method"]
    assert request["pickup_by"].values == response["pickup_by"].values == ("counter", "locker", "post")
    assert request["remind_method"].values == ()
    assert response["formats"].enumerated


@pytest.mark.parametrize(
    ("body", "names"),
    [
        ("name\nName\ncolour\nThe colour of it.", ["name", "colour"]),
        ("name\nThe name.\n\n  colour  \n\u00a0The\u00a0colour of it.", ["name", "colour"]),
        ("request\nWhat was asked for.", ["request"]),
        ("isOpen\nTrue while it is open.\nlastSeenAt\nWhen it was seen.", ["isOpen", "lastSeenAt"]),
        ("first\nsecond\nThe second one.", ["first", "second"]),
        ("a.b\nThe b of a.\nitems[]\nThe items.", ["a.b", "items[]"]),
        ("name\nThe name.\nname\nThe name again.", ["name"]),
        ("name\nstring\nThe name.\nnumber\nThe number of it.", ["name", "number"]),
        ("kind\nenum Optional\nWhat it is.\nAllowed values: a b", ["kind"]),
    ],
)
def test_lines_that_are_easily_mistaken(body: str, names: list[str]) -> None:
    """A description of one word is no field, a field called like a heading is one, blanks mean nothing."""
    assert list(derive.read(f"get\nGets it.\nResponse\n{body}\n").section("response")) == names


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no line that reads"),
        ("A story about requests.\nIt has no headings.", "no line that reads"),
        ("get\nRequest\nResponse\n", "no field under its headings"),
        ("get\nRequest Example\nname\nThe name.", "no line that reads"),
        ("x" * 2_000_001, "longer than"),
    ],
)
def test_what_is_no_page_is_refused(text: str, words: str) -> None:
    """A text without known headings, or without a field under them, is no reference page."""
    with pytest.raises(ContractError, match=words):
        derive.read(text)


def test_the_skeleton_is_a_fragment() -> None:
    """The loader takes the skeleton, with every field, mark and value of the page and no sentence of it."""
    contract = spec.loads(SKELETON)
    update = contract.update
    assert update.label == "PATCH /v2/loans/{loan_id}"
    assert [p.name for p in update.parameters] == ["loan_id"]
    assert update.request is not None
    assert update.response is not None
    assert list(update.request.fields) == list(PAGE.section("request"))
    assert list(update.response.fields) == list(PAGE.section("response"))
    assert update.request.fields["pickup_by"].enum == ("counter", "locker", "post")
    assert update.request.fields["remind_method"].enum == ("value-from-the-page",)
    assert [name for name, item in update.request.fields.items() if item.deprecated] == ["reader_card", "desk_note"]
    assert [name for name, item in update.request.fields.items() if item.required] == ["reader_id"]
    assert all(item.required for item in update.response.fields.values())
    sentences = [line for line in TEXT.splitlines() if line.count(" ") > 1]
    assert not [line for line in sentences if line.strip() in SKELETON and line[0].isupper()]


def test_names_that_yaml_takes_for_something_else() -> None:
    """A field called no, null or 1st is a name in the skeleton like any other."""
    page = derive.read(
        "2nd step\nQuery parameters\non\nWhether it is on.\nRequest\nno\nThe number.\nnull\nNothing at all.\n"
    )
    contract = spec.loads("\n".join(derive.skeleton(page)))
    assert contract.update.id == "operation_2nd_step"
    assert [p.name for p in contract.update.parameters] == ["on"]
    assert contract.update.request is not None
    assert list(contract.update.request.fields) == ["no", "null"]


def test_a_page_differs_in_nothing_from_its_skeleton() -> None:
    """The skeleton of a page, filled in or not, says all that the page says."""
    assert derive.compare(PAGE, spec.loads(SKELETON), "change") == derive.Comparison(differences=(), newer=())
    assert differences() == ()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ((field("request", "shelf"), ""), "request shelf: the fragment lacks it (line 7 of the page)"),
        (
            (field("request", "shelf"), field("request", "shelf").replace("shelf", "rack")),
            "request rack: the page lacks it, the fragment has it (line 22) from Reference page 'change'",
        ),
        (("                  deprecated: true\n", ""), "request reader_card: the page calls it deprecated"),
        (
            ("                shelf:\n", "                shelf:\n                  deprecated: true\n"),
            "request shelf: the fragment calls it deprecated, the page does not",
        ),
        (
            ("enum: [letter]  # the page announces allowed values", "description: Any."),
            "request remind_method: the page announces allowed values, the fragment has no enum",
        ),
        (("[counter, locker, post]", "[counter, locker]"), "request pickup_by: the fragment lacks the value 'post'"),
        (("[counter, locker, post]", "[counter, locker, post, drone]"), "pickup_by: the page lacks the value 'drone'"),
        (("                - reader_id\n", "                - shelf\n"), "reader_id: the page calls it required"),
        (("    patch:", "    put:"), "the page says PATCH, the fragment PUT"),
        (("loan_id, in: path", "key, in: path"), "path parameter loan_id: the fragment lacks it"),
        (("loan_id, in: path", "key, in: path"), "path parameter key: the page lacks it"),
    ],
)
def test_each_difference_is_told(change: tuple[str, str], told: str) -> None:
    """What page and fragment do not share is told, one line each, whichever has more."""
    assert any(told in line for line in differences(change))


def test_newer_fields_are_no_difference() -> None:
    """An optional field from another source is newer than the page; a required one is a difference."""
    name = "                properties:\n                  loan_id:"
    new = "                  rating:\n                    x-source: other\n"
    sources = ("x-sources: {", "x-sources: {other: {title: Release notes}, ")
    add = (name, name.replace("                  loan_id:", f"{new}                  loan_id:"))
    found = derive.compare(PAGE, spec.loads(filled(sources, add)), "change")
    assert found == derive.Comparison(differences=(), newer=("response rating, from Release notes",))
    need = ("                  - loan_id\n", "                  - loan_id\n                  - rating\n")
    assert [line.partition(",")[0] for line in differences(sources, add, need)] == [
        "response rating: the page lacks it"
    ]


def test_values_that_the_sources_disagree_about_are_known() -> None:
    """A value of the page that the fragment leaves open is not missing."""
    change = ("enum: [counter, locker, post]", "enum: [counter, locker]\n                  x-open-values: [post]")
    text = filled().replace(*change, 1)
    assert derive.compare(PAGE, spec.loads(text), "change").differences == ()


def test_a_page_without_a_request_is_about_the_retrieve() -> None:
    """Without a request on it, a page is compared with the operation that reads back."""
    page = derive.read("retrieve\nResponse\nid\nIts id.\nflavour\nIts taste, roughly.\n")
    found = derive.compare(page, spec.load())
    assert found.differences[0] == "path parameter id: the page lacks it"
    assert found.differences[1] == "response flavour: the fragment lacks it (line 5 of the page)"
    assert found.differences[2].startswith("response number: the page lacks it")


def run(capsys: pytest.CaptureFixture[str], *args: str) -> tuple[int, str, str]:
    """What the command exits with, and prints."""
    with pytest.raises(SystemExit) as ended:
        cli.main(["derive", *args])
    out, err = capsys.readouterr()
    return int(ended.value.code or 0), out, err


def test_the_command_prints_a_skeleton(capsys: pytest.CaptureFixture[str]) -> None:
    """Without ``--against`` the skeleton is printed, and says what was found."""
    status, out, _ = run(capsys, str(FILE))
    assert (status, out) == (0, SKELETON + "\n")
    assert out.startswith(f"# Made from {FILE.name}: {PAGE.counts}.\n")


def test_the_command_compares(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """With ``--against`` the exit status is 0 where nothing differs, and 1 with a line for each difference."""
    fragment = tmp_path / "loans.openapi.yaml"
    fragment.write_text(filled())
    assert run(capsys, str(FILE), "--against", str(fragment)) == (
        0,
        f"{FILE}: {PAGE.counts}\nno difference from {fragment}\n",
        "",
    )
    fragment.write_text(filled((field("request", "shelf"), "")))
    status, out, _ = run(capsys, str(FILE), "--against", str(fragment))
    assert status == 1
    assert out.splitlines()[1:] == ["request shelf: the fragment lacks it (line 7 of the page)", "1 difference"]


@pytest.mark.parametrize("content", [None, b"no headings at all", b"\xff\xfe\x00"])
def test_the_command_cannot_read_everything(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, content: bytes | None
) -> None:
    """A page that is missing, not text or of another kind is exit status 2, with its name."""
    page = tmp_path / "page.txt"
    if content is not None:
        page.write_bytes(content)
    status, out, err = run(capsys, str(page))
    assert (status, out) == (2, "")
    assert "page.txt" in err
