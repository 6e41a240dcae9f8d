"""Writes the files of a run, each by the module that knows its form."""

from __future__ import annotations

from pathlib import Path

from contract import ci, har, html
from contract import junit as junit_report
from contract import sarif as sarif_report
from contract.errors import ConfigError
from contract.example import example
from contract.mask import Mask
from contract.report import data, encoded, probe, store
from contract.result import Result

__all__ = ["ready", "write", "write_all", "write_asked"]


def ready(folder: str, *files: str | None) -> None:
    """Finds out, before a request is sent, whether the reports can be written to *folder*, and the other *files* that
    were asked for.

    Raises:
        ConfigError: one cannot be written, or would replace another.
    """
    paths = [Path(folder, "run.json"), *(Path(file) for file in files if file)]
    for i, path in enumerate(paths):
        if path.resolve() in {other.resolve() for other in paths[:i]}:
            raise ConfigError(f"two reports are to be written to {path}: one would replace the other")
        probe(path)


def write(result: Result, folder: Path, mask: Mask, *, fixed: bool = False) -> Path:
    """Writes ``run.json`` and, beside it, ``run.html``, ``run.md`` and ``run.har``; the path of the first
    is returned.

    In a GitHub workflow the text of ``run.md`` becomes the summary of the step as well. *fixed* says
    that *result* is an example (see `contract.example`): the page says so too, and no summary is touched.

    Raises:
        ConfigError: the folder cannot be written to.
    """
    mask = mask.of(result)
    text = encoded(data(result, mask)) + "\n"
    path = store(folder / "run.json", text)
    store(folder / "run.html", html.page(result, mask, fixed=fixed))
    summary = ci.summary(result, mask)
    store(folder / "run.md", summary)
    har.write(result, folder / "run.har", mask)
    if not fixed:
        ci.add_to_step_summary(summary)
    return path


def write_all(result: Result, folder: Path, mask: Mask) -> None:
    """Writes a report of every kind into *folder*, as an example to be committed, see `contract.example.example`: two
    runs that found the same write the same bytes, whenever, wherever and however fast they ran.

    Shape:
        ``run.json``, ``run.html``, ``run.md``, ``run.har``, ``run.sarif``, ``junit.xml``,
        ``gl-code-quality.json`` and ``github-annotations.txt``.

    Raises:
        ConfigError: the folder cannot be written to.
    """
    mask = mask.of(result)
    result = example(result)
    write(result, folder, mask, fixed=True)
    sarif_report.write(result, folder / "run.sarif", mask)
    junit_report.write(result, folder / "junit.xml", mask)
    store(folder / "gl-code-quality.json", ci.quality(result, mask))
    store(folder / "github-annotations.txt", "".join(f"{line}\n" for line in ci.workflow_commands(result, mask)))


def write_asked(
    result: Result, mask: Mask, *, junit: str | None = None, sarif: str | None = None, code_quality: str | None = None
) -> None:
    """Writes the files that were asked for by name.

    Raises:
        ConfigError: one cannot be written.
    """
    mask = mask.of(result)
    if junit:
        junit_report.write(result, Path(junit), mask)
    if sarif:
        sarif_report.write(result, Path(sarif), mask)
    if code_quality:
        store(Path(code_quality), ci.quality(result, mask))
