"""The demonstration: what a newcomer sees, and the examples that it writes."""

from __future__ import annotations

from pathlib import Path

from contract import demo


def shown(folder: Path) -> tuple[int, list[str]]:
    """Status and lines of one demonstration."""
    lines: list[str] = []
    return demo.demo(folder, lambda text, name: text, lines.append), lines


def test_it_shows_a_kept_and_a_broken_run(tmp_path: Path) -> None:
    """The clean server is kept, the defective one is broken, with all that a failure has to tell."""
    status, lines = shown(tmp_path)

    assert status == 0
    assert [line.partition(":")[0] for line in lines if line.startswith(("KEPT", "BROKEN"))] == ["KEPT", "BROKEN"]
    for word in ("rule", "source", "body", "expected", "actual", "again"):
        assert any(line.startswith(f"  {word} ") for line in lines), word


def test_examples_are_the_same_at_every_run(tmp_path: Path) -> None:
    """Two demonstrations write the same bytes, and the committed examples are these."""
    one, two = tmp_path / "one", tmp_path / "two"
    shown(one)
    shown(two)
    names = sorted(path.name for path in one.iterdir())
    committed = Path(__file__).parent.parent / "reports"

    assert names
    assert {n: (one / n).read_bytes() for n in names} == {n: (two / n).read_bytes() for n in names}
    assert [n for n in names if (committed / n).read_bytes() != (one / n).read_bytes()] == []
