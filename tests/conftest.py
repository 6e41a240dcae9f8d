"""What every test starts from: no setting of the machine it runs on, and Hypothesis without chance."""

from __future__ import annotations

import os
from pathlib import Path

import hypothesis
import pytest

from tests import fragments, kit

pytest_plugins = ["pytester"]

# Without it each process in a new folder makes Hypothesis' table of Unicode anew, which takes a second.
os.environ.setdefault("HYPOTHESIS_STORAGE_DIRECTORY", str(Path(__file__).parents[1] / ".hypothesis"))

hypothesis.settings.register_profile("ci", derandomize=True, database=None, deadline=None)
hypothesis.settings.load_profile("ci")


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """No setting and no credential reaches a test from outside; its journals are its own, and its servers."""
    kit.SERVERS.clear()
    for name in list(os.environ):
        if name.startswith("CONTRACT_") or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    # Too little for a run to rest in: what is about time stamps asks for more.
    monkeypatch.setenv("CONTRACT_MAX_SECONDS", "60")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))


@pytest.fixture(scope="session")
def few(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A file with the bundled contract of a few fields."""
    path = tmp_path_factory.mktemp("few") / "few.openapi.json"
    path.write_text(fragments.few())
    return str(path)
