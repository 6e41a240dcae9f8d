"""The demonstration: the reference server whole, and then with one defect.

Needs no account and no network beyond loopback; what it writes is the same at every run.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from contract import reference, report
from contract.kill import run_against
from contract.mask import Mask
from contract.report import Style
from contract.result import Result

__all__ = ["DEFECT", "demo"]

DEFECT: Final = "video-room-lost"
PORT: Final = 8700
"""The port that ``contract serve`` takes, so that the lines of the demonstration can be tried there."""


def demo(folder: Path, style: Style, echo: Callable[[str], Any]) -> int:
    """Shows both runs and writes the reports of the second into *folder*; 0 where they end as they should."""
    verdicts = []
    for defect in (None, DEFECT):
        title = (
            "the reference server, as the documents say" if defect is None else f"the same, with one defect: {defect}"
        )
        echo(style(f"== {title}", "title"))
        if defect is not None:
            echo(f"   {reference.DEFECTS[defect].summary}")
        result, mask = _run(defect)
        for line in report.lines(result, mask, style):
            echo(line)
        echo("")
        verdicts.append(result.verdict)
        if defect is not None:
            from contract.files import write_all

            write_all(result, folder, mask)
    echo("The servers of this demonstration are gone. To try a line from above, start the second one again:")
    echo(f"  {_command()} serve --defect {DEFECT}")
    echo("and take CONTRACT_USERNAME and CONTRACT_PASSWORD from the line that it prints.")
    echo(f"reports: {folder / 'run.html'}")
    return 0 if verdicts == ["kept", "broken"] else 1


def _command() -> str:
    """How this tool is called from here: it may be installed where the shell does not look."""
    return "contract" if shutil.which("contract") else f"{os.path.relpath(sys.executable)} -m contract"


def _run(defect: str | None) -> tuple[Result, Mask]:
    with reference.running(defect=defect) as server, tempfile.TemporaryDirectory() as state:
        result = run_against(server, state)
        shown = server.base_url.replace(server.base_url.split("/")[2], f"127.0.0.1:{PORT}")
        result.settings = replace(result.settings, base_url=shown, state_dir="")
    return result, Mask(secrets=(server.password,))
