"""The demonstration: what a newcomer sees, and the examples that it writes."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

import pytest

from contract import demo


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int, list[str]]:
    """One demonstration: the folder that it wrote to, its status, its lines."""
    lines: list[str] = []
    folder = tmp_path_factory.mktemp("demo")
    return folder, demo.demo(folder, lambda text, name: text, lines.append), lines


def test_it_shows_a_kept_and_a_broken_run(shown: tuple[Path, int, list[str]]) -> None:
    """The clean server is kept, the defective one is broken, with all that a failure has to tell."""
    _, status, lines = shown

    assert status == 0
    assert [line.partition(":")[0] for line in lines if line.startswith(("KEPT", "BROKEN"))] == ["KEPT", "BROKEN"]
    for word in ("rule", "source", "body", "expected", "actual", "again"):
        assert any(line.startswith(f"  {word} ") for line in lines), word


def test_examples_are_the_committed_ones(shown: tuple[Path, int, list[str]]) -> None:
    """Another process, with other hashes, at another time and on another port, wrote the same bytes: those that are
    committed.
    """
    folder, *_ = shown
    names = sorted(path.name for path in folder.iterdir())
    committed = Path(__file__).parent.parent / "reports"

    assert len(names) == 8
    assert [n for n in names if (committed / n).read_bytes() != (folder / n).read_bytes()] == []
    assert b"http://127.0.0.1:8700/" in (folder / "run.har").read_bytes()
    assert b"2030-01-31T12:00:00Z" in (folder / "run.json").read_bytes()


def test_the_line_to_go_on_with_can_be_typed(
    shown: tuple[Path, int, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the shell does not find the command, the interpreter that has it is named."""
    line = next(line for line in shown[2] if " serve --defect " in line)
    monkeypatch.setenv("PATH", str(tmp_path))
    hidden = shlex.split(demo._command())

    assert line.split()[-2:] == ["--defect", demo.DEFECT]
    done = subprocess.run([*hidden, "serve", "--help"], capture_output=True, text=True, check=False)
    assert "Serve the reference server" in done.stdout
    assert hidden[1:] == ["-m", "contract"]
