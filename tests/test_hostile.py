"""Runs against hostile and broken servers end by themselves, in time, with plain lines and nothing told that is secret."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from contract import reference
from tests.hostile import BEHAVIOURS, hostile
from tests.kit import Outcome, credentials, outcome, record, settings

SECONDS = 1.5
REQUESTS = 45
"""Too few for a whole run, so that one which finds nothing broken is undecided, however quick the machine is."""
MARGIN = 8.0
"""Seconds for putting back, for the reports, and for a machine that does other things as well."""
LATER = 14
"""Exchanges after which a server that began well turns hostile."""
SHOWN = ("\x1b", "\x9b", "\u202e", "\x07")
"""What no terminal and no file may get in the raw."""
LIVE = ("<script>alert(", "<img src=x onerror")

NAMES = sorted(BEHAVIOURS)
MEMORY = 200
"""MiB that a run may need."""
PEAK = """
import pathlib, re, resource, sys
from contract.cli import main
try:
    main(sys.argv[1:])
finally:
    # Where there is /proc it is asked: what getrusage says may be the peak of the process that started this one.
    status = pathlib.Path("/proc/self/status")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print("PEAK", int(re.search(r"VmHWM:\\s+(\\d+)", status.read_text())[1] if status.exists() else peak) // 1024, file=sys.stderr)
"""


def complaints(found: Outcome, secrets: list[str]) -> list[str]:
    """What is wrong with an outcome, in words; nothing where all is well."""
    wrong = []
    if found.status not in {1, 2}:
        wrong.append(f"status {found.status}")
    if found.seconds > SECONDS + MARGIN:
        wrong.append(f"{found.seconds:.1f} seconds")
    if not found.text.strip():
        wrong.append("says nothing")
    places = {"lines": found.text.encode(errors="surrogatepass"), **found.files}
    for place, content in places.items():
        wrong += [f"secret in {place}" for secret in secrets if secret.encode() in content]
        wrong += [f"{char!r} in {place}" for char in SHOWN if char.encode() in content]
        if place.endswith((".html", ".md")):
            wrong += [f"live markup in {place}" for text in LIVE if text.encode() in content]
    return wrong


def trial(name: str, after: int, folder: Path) -> list[str]:
    """The complaints about one run; the record is as it was, or its journal is kept."""
    with reference.running() as server, hostile(name, server.base_url, after) as proxy:
        before = record(server)
        chosen = settings(
            server,
            folder / f"{name}-{after}",
            base_url=proxy.base_url,
            timeout=0.3,
            max_seconds=SECONDS,
            max_requests=REQUESTS,
            mask=("/number",),
        )
        found = outcome(chosen, credentials(server))
        secrets = [server.password, server.password[:12], before["number"]]
        wrong = complaints(found, secrets)
        if record(server) != before and not found.journals:
            wrong.append("the record is changed, and there is no journal")
    return wrong


def test_there_are_enough_kinds_of_hostile_server() -> None:
    """At least thirty."""
    assert len(BEHAVIOURS) >= 30


@pytest.mark.parametrize("after", [0, LATER])
@pytest.mark.parametrize("name", NAMES)
def test_a_hostile_server_ends_in_time_and_tells_nothing(name: str, after: int, tmp_path: Path) -> None:
    """From the first answer on or from the fifteenth: status 1 or 2, in time, no secret, no escape, no live markup."""
    assert trial(name, after, tmp_path) == []


@pytest.mark.parametrize("name", ["barely_fits", "many_objects", "deep_nesting", "credentials_in_protocol"])
def test_the_command_survives_hostile_servers(name: str, tmp_path: Path) -> None:
    """As a process of its own: 1 or 2, no traceback, no secret, and less than 200 MiB."""
    with reference.running() as server, hostile(name, server.base_url, 20) as proxy:
        environment = os.environ | {
            "CONTRACT_USERNAME": server.username,
            "CONTRACT_PASSWORD": server.password,
            "CONTRACT_TIMEOUT": "1",
            "XDG_STATE_HOME": str(tmp_path),
        }
        command = ["run", "--base-url", proxy.base_url, "--id", server.ids[0], "--max-requests", str(REQUESTS)]
        command += ["--max-seconds", str(SECONDS)]
        done = subprocess.run(
            [sys.executable, "-c", PEAK, *command],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
        )
    peak = int(done.stderr.rpartition("PEAK")[2])

    assert done.returncode in {1, 2}, done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert server.password not in done.stdout + done.stderr
    assert peak < MEMORY
