"""Writes SARIF: what is broken as results on the lines of the fragment that promise it.

Only the rules that have something to say stand in the log, and each at most once, with a fingerprint
made from the rule alone: a service that keeps track of alerts sees one alert open, and close again.

Source: Static Analysis Results Interchange Format (SARIF) 2.1.0, OASIS Standard, 27 March 2020.
"""

from __future__ import annotations

import json
from datetime import timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from contract.ci import fingerprint, short
from contract.ledger import Entry, unsettled
from contract.mask import Mask
from contract.model import MISSING, PROMISES
from contract.report import failure, fragment_path, store
from contract.result import Result

__all__ = ["log", "write"]

SCHEMA: Final = "https://json.schemastore.org/sarif-2.1.0.json"
LEVELS: Final = {"broken": "error", "warned": "warning"}


def write(result: Result, path: Path, mask: Mask) -> Path:
    """Writes the log of *result* to *path*.

    Raises:
        ConfigError: it cannot be written there.
    """
    return store(path, json.dumps(log(result, mask), ensure_ascii=False, indent=1) + "\n")


def log(result: Result, mask: Mask) -> dict[str, Any]:
    """The log as data."""
    found = [entry for verdict in LEVELS for entry in result.entries if entry.verdict == verdict]
    open_ones = unsettled(result.entries)
    rules = [*found, *open_ones]
    settings = result.settings
    stamp = "%Y-%m-%dT%H:%M:%SZ"
    invocation: dict[str, Any] = {
        "executionSuccessful": not result.problem,
        "exitCode": result.status,
        "startTimeUtc": result.started.strftime(stamp),
        "endTimeUtc": (result.started + timedelta(seconds=result.seconds)).strftime(stamp),
    }
    notes = [
        {
            "level": "warning",
            "message": {"text": _text(f"undecided: {entry.reason}", mask)},
            "associatedRule": {"id": _text(entry.rule.id, mask), "index": len(found) + i},
        }
        for i, entry in enumerate(open_ones)
    ]
    if result.problem:
        notes.append({"level": "error", "message": {"text": _text(result.problem, mask)}})
    if notes:
        invocation["toolExecutionNotifications"] = notes
    return {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "pytest-contract",
                        "version": version("pytest-contract"),
                        "rules": [_rule(result, entry, mask) for entry in rules],
                    }
                },
                "automationDetails": {"id": f"contract/{settings.profile}/"},
                "columnKind": "unicodeCodePoints",
                "invocations": [invocation],
                "originalUriBaseIds": {"SRCROOT": {"description": {"text": "The folder of the checkout."}}},
                "results": [_result(result, entry, i, mask) for i, entry in enumerate(found)],
                "properties": {
                    "verdict": result.verdict,
                    "baseUrl": _text(settings.base_url, mask),
                    "seed": settings.seed,
                    "strict": settings.strict,
                },
            }
        ],
    }


def _rule(result: Result, entry: Entry, mask: Mask) -> dict[str, Any]:
    rule = entry.rule
    source = result.contract.source(rule.fact)
    key = rule.fact.source.partition(":")[0].strip()
    url = str(result.contract.sources.get(key, {}).get("url", ""))
    promise = PROMISES[rule.promise]
    told: dict[str, Any] = {
        "id": _text(rule.id, mask),
        "shortDescription": {"text": _text(rule.text, mask)},
        "fullDescription": {"text": _text(f"{rule.text}. Promise: {promise}.", mask)},
        "help": {
            "text": _text(
                f"{rule.text}. Promise: {promise}. Known as {rule.basis}: {source}. "
                f"An example that keeps it and one that breaks it: contract explain {rule.id}",
                mask,
            )
        },
        "defaultConfiguration": {"level": LEVELS.get(entry.verdict, "note")},
        "properties": {
            "tags": [rule.promise, rule.basis],
            "precision": {"documented": "very-high", "observed": "high"}.get(rule.basis, "medium"),
            "problem.severity": LEVELS.get(entry.verdict, "recommendation"),
        },
    }
    if url.startswith(("https://", "http://")):
        told["helpUri"] = url
    return told


def _result(result: Result, entry: Entry, index: int, mask: Mask) -> dict[str, Any]:
    rule, first = entry.rule, entry.failures[0]
    told = failure(result, first, mask)
    case = first.interaction.case
    operation = result.contract.operations[case.operation]
    properties: dict[str, Any] = {"case": _text(told["case"], mask), "curl": _text(told["curl"], mask)}
    if told["pointer"]:
        properties["pointer"] = _text(told["pointer"], mask)
    if first.finding.expected is not MISSING:
        properties["expected"] = _brief(told["expected"], mask)
        properties["actual"] = "(absent)" if first.finding.actual is MISSING else _brief(told["actual"], mask)
    body = told["request"]["body"]
    request: dict[str, Any] = {"protocol": "HTTP", "version": "1.1", "method": operation.method}
    if body is not None:
        request["body"] = {"text": _brief(body, mask)}
    return {
        "ruleId": _text(rule.id, mask),
        "ruleIndex": index,
        "kind": "fail",
        "level": LEVELS[entry.verdict],
        "message": {"text": _text(f"{told['message']} (case: {told['case']})", mask)},
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": {"uri": quote(fragment_path(result.contract)), "uriBaseId": "SRCROOT"},
                    "region": {"startLine": rule.line or 1},
                },
                "logicalLocations": [{"name": operation.id, "fullyQualifiedName": operation.label, "kind": "function"}],
            }
        ],
        "partialFingerprints": {"contractRule/v1": fingerprint(entry)},
        "occurrenceCount": len(entry.failures),
        "webRequest": request,
        "webResponse": {
            "protocol": "HTTP",
            "version": "1.1",
            "statusCode": told["response"]["status"],
            "body": {"text": _brief(told["response"]["body"], mask)},
        },
        "properties": properties,
    }


def _text(text: str, mask: Mask) -> str:
    return short(mask.text(text))


def _brief(value: Any, mask: Mask) -> str:
    return _text(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False), mask)
