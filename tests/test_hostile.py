"""Runs against hostile and broken servers end by themselves, in time, with plain lines and nothing told that is secret."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from contract import reference
from tests.hostile import BEHAVIOURS, hostile
from tests.kit import Outcome, credentials, outcome, record, settings

SECONDS = 1.5
REQUESTS = 20
"""Too few for a whole run, so that one which finds nothing broken is undecided, however quick the machine is."""
MARGIN = 8.0
"""Seconds for putting back, for the reports, and for a machine that does other things as well."""
LATER = 15
"""Exchanges after which a server that began well turns hostile: the record was just updated, and not read yet."""
SHOWN = ("\x1b", "\x9b", "\u202e", "\x07")
"""What no terminal and no file may get in the raw."""
LIVE = ("<script>alert(", "<img src=x onerror")

LOST = "broken_chunks broken_gzip closes compressed_bomb content_length_twice credentials_in_protocol drips_body"
LOST += " drips_headers endless_chunks garbage goes_down hangs http09 informational_flood long_header never_closes"
LOST += " oversized resets speaks_tls switches_protocol thousands_of_headers truncated unknown_encoding"
"""Whatever is answered so is lost: a run knows the words of an error, and how many times it may ask again."""
LOST_LATER = {"closes", "compressed_bomb", "credentials_in_protocol", "goes_down", "hangs"}
"""One for each number of times, and one with words that have to be masked."""
ODD = "a_list answers_twice byte_order_mark content_length_too_small duplicate_keys empty_bodies infinite_number"
ODD += " invalid_utf8 no_content not_a_number only_a_string strange_status surrogates_and_twins wrong_charset"
"""What is not new from the first answer on: it ends a run as `lone_surrogates` does, or lets it go on as later."""
ALIKE = "deep_nesting endless_429_at_once redirect_loop"
"""What is not new later: deep nesting is left to a process of its own, the others are as those beside them."""
HEAVY = ("barely_fits", "many_objects")
"""What is left to a process of its own."""
ALONE = {**dict.fromkeys((*HEAVY, "compressed_bomb", "credentials_in_protocol"), 0), "deep_nesting": LATER}
"""Behaviours for that process, each with the exchanges after which it begins."""
MEMORY = 120
"""MiB that a run may need."""
PEAK = """
import pathlib, re, resource, sys
from contract.cli import main
for url in sys.argv[2:]:
    try:
        main(["run", "--base-url", url, "--id", sys.argv[1]])
    except SystemExit as end:
        print("STATUS", end.code, file=sys.stderr)
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


def trial(name: str, after: int, folder: Path, few: str) -> list[str]:
    """The complaints about one run; the record is as it was, or its journal is kept."""
    with reference.running() as server, hostile(name, server.base_url, after) as proxy:
        before = record(server)
        chosen = settings(
            server,
            folder,
            base_url=proxy.base_url,
            spec=few,
            resources={},
            timeout=0.3,
            max_seconds=SECONDS,
            profile="smoke",
            max_requests=REQUESTS,
            mask=("/number",),
        )
        found = outcome(chosen, credentials(server))
        secrets = [server.password, server.password[:12], before["number"]]
        wrong = complaints(found, secrets)
        if record(server) != before and not found.journals:
            wrong.append("the record is changed, and there is no journal")
    return wrong


def trials() -> Iterator[tuple[str, int]]:
    """Each behaviour from the first answer on and later, but where another one brings a run to the same."""
    for name in sorted(BEHAVIOURS):
        if name not in (*ODD.split(), *HEAVY):
            yield name, 0
        if name not in (*LOST.split(), *ALIKE.split(), *HEAVY) or name in LOST_LATER:
            yield name, LATER


@pytest.mark.parametrize(("name", "after"), list(trials()))
def test_a_hostile_server_ends_in_time_and_tells_nothing(name: str, after: int, tmp_path: Path, few: str) -> None:
    """From the first answer on or from the sixteenth: status 1 or 2, in time, no secret, no escape, no live markup."""
    assert trial(name, after, tmp_path, few) == []


def test_the_command_survives_hostile_servers(tmp_path: Path) -> None:
    """As a process of its own, on one after the other: 1 or 2, no traceback, no secret, and less than 120 MiB."""
    with ExitStack() as stack:
        server = stack.enter_context(reference.running())
        proxies = [stack.enter_context(hostile(name, server.base_url, after)) for name, after in ALONE.items()]
        done = subprocess.run(
            [sys.executable, "-c", PEAK, server.ids[0], *(proxy.base_url for proxy in proxies)],
            cwd=tmp_path,
            env=os.environ
            | {
                "CONTRACT_USERNAME": server.username,
                "CONTRACT_PASSWORD": server.password,
                "CONTRACT_TIMEOUT": "1",
                "CONTRACT_PROFILE": "smoke",
                "CONTRACT_MAX_REQUESTS": str(REQUESTS),
                "CONTRACT_MAX_SECONDS": str(SECONDS),
                "XDG_STATE_HOME": str(tmp_path),
            },
            capture_output=True,
            text=True,
            timeout=60,
        )
    peak = int(done.stderr.rpartition("PEAK")[2])
    statuses = re.findall(r"STATUS (\d)", done.stderr)

    assert len(statuses) == len(ALONE), done.stderr
    assert {*statuses} <= {"1", "2"}, done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert server.password not in done.stdout + done.stderr
    assert peak < MEMORY
