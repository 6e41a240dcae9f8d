"""Writes JUnit XML: one test case for each rule, grouped by operation.

A broken rule is a failure, one that nobody could decide an error, one that was not exercised or is told
under another is skipped with its reason; a warning passes, and says so. What is wrong with the run as a
whole is a case of its own, so that a run that saw nothing is never green.

Source: the schema of the xUnit plugin of Jenkins, junit-10.xsd; times are seconds.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterable, Iterator
from pathlib import Path

from contract.ci import short
from contract.ledger import Entry
from contract.mask import Mask, plain
from contract.report import failure_lines, opened, restored_lines
from contract.result import Result

__all__ = ["document", "write"]

RUN = "contract run"
"""The name of the suite about the run as a whole."""


def write(result: Result, path: Path, mask: Mask) -> Path:
    """Writes *result* to *path*.

    Raises:
        ConfigError: it cannot be written there.
    """
    root = document(result, mask)
    ET.indent(root, " ")
    with opened(path) as file:
        file.write('<?xml version="1.0" encoding="utf-8"?>\n')
        file.write(ET.tostring(root, encoding="unicode") + "\n")
    return path


def document(result: Result, mask: Mask) -> ET.Element:
    """The element ``testsuites``."""
    root = ET.Element("testsuites", name="contract", time=f"{result.seconds:.3f}")
    _suite(root, result, RUN, list(_whole(result, mask)), result.seconds)
    for operation in dict.fromkeys(entry.rule.operation for entry in result.entries):
        cases = [_case(result, entry, mask) for entry in result.entries if entry.rule.operation == operation]
        took = sum(e.response.elapsed for e in result.exchanges if e.case.operation == operation)
        _suite(root, result, operation, cases, took)
    properties = ET.Element("properties")
    settings = result.settings
    for name, value in (
        ("verdict", result.verdict),
        ("base_url", settings.base_url),
        ("profile", settings.profile),
        ("seed", str(settings.seed)),
        ("strict", settings.strict),
        ("requests", str(result.requests)),
        ("spec", f"{result.contract.title} {result.contract.version}"),
    ):
        ET.SubElement(properties, "property", name=name, value=mask.line(value))
    root[0].insert(0, properties)
    for name in ("tests", "failures", "errors"):
        root.set(name, str(sum(int(suite.get(name, "0")) for suite in root)))
    return root


def _suite(root: ET.Element, result: Result, name: str, cases: list[ET.Element], seconds: float) -> None:
    suite = ET.SubElement(
        root,
        "testsuite",
        name=plain(name),
        tests=str(len(cases)),
        failures=str(sum(case.find("failure") is not None for case in cases)),
        errors=str(sum(case.find("error") is not None for case in cases)),
        skipped=str(sum(case.find("skipped") is not None for case in cases)),
        time=f"{seconds:.3f}",
        timestamp=result.started.strftime("%Y-%m-%dT%H:%M:%S"),
    )
    suite.extend(cases)


def _case(result: Result, entry: Entry, mask: Mask) -> ET.Element:
    """One rule."""
    rule = entry.rule
    case = ET.Element(
        "testcase", classname=plain(f"{rule.operation}.{rule.promise}"), name=plain(rule.id), time="0.000"
    )
    if entry.verdict in {"broken", "warned"}:
        message = short(mask.text(entry.failures[0].finding.message))
        lines = "\n".join(_safe(failure_lines(result, entry, mask), mask)).rstrip()
        if entry.verdict == "broken":
            ET.SubElement(case, "failure", type=rule.basis, message=message).text = f"\n{lines}\n"
        else:
            ET.SubElement(case, "system-out").text = f"\n{lines.replace('broken', 'warned', 1)}\n"
        return case
    reason = short(mask.text(entry.reason))
    if entry.verdict == "undecided" and not entry.under:
        ET.SubElement(case, "error", type="undecided", message=reason)
    elif entry.verdict != "kept":
        ET.SubElement(case, "skipped", type=entry.verdict, message=reason)
    return case


def _whole(result: Result, mask: Mask) -> Iterator[ET.Element]:
    """What holds for the run as a whole: it came to its end, and every record was put back."""
    case = ET.Element("testcase", classname=RUN, name="came to its end", time="0.000")
    if result.problem:
        ET.SubElement(case, "error", type="undecided", message=short(mask.text(result.problem)))
    yield case
    for id, done in result.restored.items():
        case = ET.Element("testcase", classname=RUN, name=mask.line(f"left {id} as it was"), time="0.000")
        lines = [line.strip() for line in _safe(restored_lines(id, done, mask), mask)]
        if done.verdict == "not_restored" and (done.note or not result.settings.allow_unrestorable):
            ET.SubElement(case, "error", type="not_restored", message=lines[0]).text = "\n".join(lines)
        else:
            ET.SubElement(case, "system-out").text = "\n".join(lines)
        yield case


def _safe(lines: Iterable[str], mask: Mask) -> Iterator[str]:
    """*lines* without what XML 1.0 cannot hold."""
    return (short(mask.text(line)) for line in lines)
