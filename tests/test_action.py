"""The GitHub Action: its shell steps, run as a runner would run them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from contract import reference

ROOT = Path(__file__).parent.parent


def step(name: str) -> dict[str, Any]:
    """One step of the action."""
    action = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
    found: dict[str, Any] = next(s for s in action["runs"]["steps"] if s["name"] == name)
    return found


def carried_out(
    name: str, tmp_path: Path, path: Path = Path(sys.executable).parent, /, **inputs: str
) -> subprocess.CompletedProcess[str]:
    """The step *name*, with its inputs put in as a runner does, and Python found at *path*."""
    action = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
    given = {key: str(spec.get("default", "")) for key, spec in action["inputs"].items()} | {
        key.replace("_", "-"): value for key, value in inputs.items()
    }
    wanted = {k: given[v.removeprefix("${{ inputs.").removesuffix(" }}")] for k, v in step(name)["env"].items()}
    env = {**os.environ, **wanted, "GITHUB_OUTPUT": str(tmp_path / "output"), "XDG_STATE_HOME": str(tmp_path)}
    env["PATH"] = f"{path}{os.pathsep}{env['PATH']}"
    command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step(name)["run"]]
    return subprocess.run(command, env=env, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)


def test_run_step_fails_where_the_contract_is_broken(tmp_path: Path) -> None:
    """Its inputs reach the run; commas, blanks and line breaks part the ids, and none is left out."""
    with reference.running(defect="update-created") as server:
        given = {"username": server.username, "password": server.password, "base_url": server.base_url}
        ids = f"\n{server.ids[0]},\n  {server.ids[1]}\n"
        done = carried_out("Run", tmp_path, ids=ids, profile="smoke", report_dir="out", **given)

    assert done.returncode == 1, done.stdout + done.stderr
    assert (tmp_path / "output").read_text(encoding="utf-8") == "status=1\n"
    found = json.loads((tmp_path / "out" / "run.json").read_text(encoding="utf-8"))
    assert (found["verdict"], found["profile"]) == ("broken", "smoke")
    assert set(found["restored"]) == {*server.ids[:2]}


@pytest.mark.parametrize("status", [0, 2])
def test_run_step_ends_with_the_status_of_the_run(tmp_path: Path, status: int) -> None:
    """The step says the status as an output, and ends with it; an input that is not given is no option."""
    command = tmp_path / "python"
    command.write_text(f'#!/bin/sh\necho "$@"\nexit {status}\n', encoding="utf-8")
    command.chmod(0o755)
    done = carried_out("Run", tmp_path, tmp_path, ids="a,b", config="my.toml", strict="observed", against="old.json")

    assert done.returncode == status, done.stderr
    assert (tmp_path / "output").read_text(encoding="utf-8") == f"status={status}\n"
    assert done.stdout == "-m contract run --config my.toml --strict observed --against old.json --id a --id b\n"


def test_restore_step_has_nothing_to_put_back(tmp_path: Path) -> None:
    """After a run that ended by itself there is nothing to put back, and the step succeeds."""
    with reference.running() as server:
        given = {"username": server.username, "password": server.password, "base_url": server.base_url}
        done = carried_out("Put back", tmp_path, **given)

    assert done.returncode == 0, done.stderr
    assert "nothing to put back" in done.stdout


def test_every_input_is_used() -> None:
    """No input is promised that no step takes."""
    text = (ROOT / "action.yml").read_text(encoding="utf-8")
    action = yaml.safe_load(text)

    assert [name for name in action["inputs"] if f"inputs.{name} " not in text] == []
