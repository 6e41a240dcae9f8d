"""Results for the tests of reports: of real runs, each made once, and one whose every text is hostile."""

from __future__ import annotations

import copy
import functools
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from contract import reference
from contract.ledger import Failure
from contract.mask import Mask
from contract.model import Response
from contract.result import Result
from tests import subscriptions
from tests.hostile import ESCAPE, MARKUP
from tests.kit import credentials, run, settings

__all__ = ["DEFECT", "FORGED", "HOSTILE", "HUGE", "MASK", "SECRET", "hostile", "made", "other"]

DEFECT: Final = "video-room-lost"
SECRET: Final = 'pa"ss<word>&é/4711'
"""Stands differently in JSON, in HTML and in a URL."""
HUGE: Final = "huge" * 40_000
FORGED: Final = "owned\n::error file=x::owned\r\n::stop-commands::owned"
HOSTILE: Final[tuple[str, ...]] = (
    MARKUP,
    ESCAPE,
    FORGED,
    "</script><script>window.owned = 1</script>",
    "</style><img src=x onerror='window.owned = 1'>",
    "<!-- ]]> --><![CDATA[ &amp; &#60;b&#62; &lt;i&gt;",
    "\ud83d lone \ude00 surrogates",
    "\x00\x01\x0b\x1f\x7f\x85\u2028\u2029\ufeff\uffff",
    "{{ 7 * 7 }}{% raw %}${7*7}#{7*7}<%= 7 * 7 %>",
    "a|b`c``d```e\\|f~~g~~ **bold** __init__ _x_ # 1. - > [a](https://evil.example) ![b](//evil.example/b.png)",
    "````\n\n<b>out of the fence</b>\n\n````",
    "@everyone #1 :smile: https://evil.example www.evil.example $a$",
    "<details><summary>x</summary></details></table></code></pre>",
    'javascript:alert(1)//"\'` onmouseover=alert(1) x="',
    "é" * 300,
    SECRET,
)


@functools.cache
def made(defect: str | None = DEFECT, *, ids: bool = True, **more: Any) -> Result:
    """The result of a run against the reference server, without *ids* of what exists there; *more* are settings."""
    with reference.running(defect=defect) as server, tempfile.TemporaryDirectory() as folder:
        given = more if ids else more | {"resources": {}}
        result = run(settings(server, Path(folder), **given), credentials(server))
        # Kept for the tests, in which no journal and no report of it is left.
        result.settings = replace(result.settings, state_dir="", report_dir="reports")
        return result


MASK: Final = Mask(secrets=(SECRET,))


@functools.cache
def other() -> Result:
    """The result of a smoke run of the second fragment, which has nothing in common with the bundled one."""
    with tempfile.TemporaryDirectory() as folder:
        return subscriptions.judged(subscriptions.Service("dropping"), profile="smoke", state_dir=folder)


def hostile() -> Result:
    """A result in which everything that an API can choose is hostile: answers, keys, headers, messages."""
    result = copy.copy(made())
    values: Mapping[str, Any] = {f"key {i} {text[:40]}": text for i, text in enumerate(HOSTILE)}
    body = {"values": list(HOSTILE), "keys": values, "huge": HUGE, "number": float("inf"), "deep": [[[[None]]]]}
    answer = Response(
        status=599,
        headers={"x-evil": HOSTILE[2], "location": MARKUP, "set-cookie": "session=abc", "x-secret": SECRET},
        content="\n".join(HOSTILE).encode("utf-8", "surrogatepass") + b"\xff\xfe",
        body=body,
        elapsed=0.25,
        at=result.exchanges[0].response.at,
    )
    failures: list[Failure] = []
    for i, failure in enumerate(result.ledger.failures):
        text = HOSTILE[i % len(HOSTILE)]
        found = replace(
            failure.finding,
            message=f"{text} {' '.join(HOSTILE)}",
            pointer=f"/{text[:60]}",
            expected=[text, body],
            actual=text,
        )
        case = replace(failure.interaction.case, body=body, label=text[:200])
        interaction = replace(failure.interaction, case=case, response=answer, id=text[:60])
        failures.append(
            replace(
                failure, finding=found, interaction=interaction, body=body, cases=(case, replace(case, body=text), case)
            )
        )
    result.ledger = replace(
        result.ledger,
        failures=failures,
        observations=[
            {"case": text, "status": 200, "outcome": "accepted", "fields": {text: text, "x": "applied"}}
            for text in HOSTILE
        ],
        interactions=[],
    )
    result.exchanges = [
        replace(result.exchanges[0], response=answer, url=f"{result.exchanges[0].url}?x={HOSTILE[3]}"),
        replace(result.exchanges[5], content="".join(HOSTILE).encode("utf-8", "surrogatepass")),
        *result.exchanges[6:],
    ]
    result.restored = {
        text: replace(
            next(iter(result.restored.values())),
            verdict="not_restored",
            left={text: (text, body)},
            note=text,
            unseen=(text,),
        )
        for text in HOSTILE[:4]
    }
    result.foreign = {MARKUP: {FORGED: (SECRET, HUGE)}}
    result.problem = " ".join(HOSTILE)
    result._entries = None
    return result
