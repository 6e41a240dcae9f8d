"""Holds the record under test: a lease, and a journal on disk.

Before the first write the record is written to a journal (fsync); after the run, however it ends,
it is put back and read back to prove it, and only then the journal goes. A journal that is found
means that a run was cut off: nothing more is written until `contract restore` has put the record back.
"""

from __future__ import annotations

import hashlib
import json
import os
import shlex
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from filelock import FileLock, Timeout

from contract.errors import CustodyError
from contract.formats import canonical
from contract.model import JSONObject

__all__ = ["Custody", "Journal", "state_directory"]


def state_directory(configured: str = "") -> Path:
    """Where journals are kept: the configured folder, or one in the user's XDG state directory."""
    if configured:
        return Path(configured).expanduser()
    home = os.environ.get("XDG_STATE_HOME", "")
    base = Path(home) if home and Path(home).is_absolute() else Path.home() / ".local" / "state"
    return base / "pytest-contract"


@dataclass(frozen=True, slots=True)
class Journal:
    """The record as it was before the run, on disk."""

    path: Path

    @classmethod
    def of(cls, folder: Path, base_url: str, id: str) -> Journal:
        """The journal of one record in one environment."""
        name = hashlib.sha256(f"{_place(base_url)}\n{canonical(id)}".encode()).hexdigest()[:24]
        return cls(folder / f"{name}.json")

    @classmethod
    def all(cls, folder: Path, base_url: str) -> Iterator[tuple[Journal, dict[str, Any]]]:
        """Every journal of one environment, with what it holds.

        Raises:
            CustodyError: one cannot be read; the others came before it.
        """
        damaged: list[CustodyError] = []
        for path in sorted(folder.glob("*.json")):
            try:
                found = cls(path).read()
            except CustodyError as error:
                damaged.append(error)
                continue
            if found is not None and _place(found["base_url"]) == _place(base_url):
                yield cls(path), found
        if damaged:
            raise damaged[0]

    @classmethod
    def elsewhere(cls, folder: Path, base_url: str) -> list[str]:
        """The addresses of other environments for which there are journals."""
        found = set()
        for path in folder.glob("*.json"):
            with suppress(CustodyError):
                found.add(_place((cls(path).read() or {"base_url": base_url})["base_url"]))
        return sorted(found - {_place(base_url)})

    def read(self) -> dict[str, Any] | None:
        """What it holds, or nothing where there is no journal.

        Raises:
            CustodyError: there is one, and it cannot be read.
        """
        what_now = "see to the record by hand, then remove the file"
        try:
            found = json.loads(self.path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, RecursionError) as error:
            raise CustodyError(f"the journal {self.path} cannot be read ({error}); {what_now}") from error
        kinds = {"base_url": str, "id": str, "record": dict}
        if not isinstance(found, dict) or not all(isinstance(found.get(k), kind) for k, kind in kinds.items()):
            raise CustodyError(f"the journal {self.path} is no journal; {what_now}")
        return found

    def write(self, base_url: str, id: str, record: JSONObject, fields: Iterable[str] = ()) -> None:
        """Writes the record, so that it survives a power cut, and which *fields* the run may change.

        Raises:
            CustodyError: it cannot be written.
        """
        whose = {"format": 1, "base_url": base_url.rstrip("/"), "id": id, "pid": os.getpid()}
        text = json.dumps({**whose, "fields": [*fields], "record": dict(record)}, ensure_ascii=False, indent=1)
        temporary = self.path.with_suffix(".new")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(self.path)
            self._sync()
        except OSError as error:
            raise CustodyError(f"the journal {self.path} cannot be written: {error.strerror}") from error

    def remove(self) -> None:
        """Removes it: the record is as it was.

        Raises:
            CustodyError: it cannot be removed.
        """
        try:
            self.path.unlink(missing_ok=True)
            self._sync()
        except OSError as error:
            raise CustodyError(f"the journal {self.path} cannot be removed: {error.strerror}") from error

    def _sync(self) -> None:
        if os.name == "posix":
            folder = os.open(self.path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)


def _place(base_url: str) -> str:
    """One spelling for all addresses of one environment, so that two runs on it meet."""
    try:
        parts = urlsplit(base_url.strip())
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return base_url
    usual = {"http": 80, "https": 443}.get(parts.scheme.lower())
    host = "127.0.0.1" if host in {"localhost", "::1"} else host
    where = f"{host}:{port}" if port and port != usual else host
    return f"{parts.scheme.lower()}://{where}{parts.path.rstrip('/')}"


class Custody:
    """The lease and the journal of one record, held while a run writes to it."""

    def __init__(self, folder: Path, base_url: str, id: str, spec: str = "") -> None:
        self.base_url = base_url
        self.spec = spec
        self.id = id
        self.journal = Journal.of(folder, base_url, id)
        self.lock = FileLock(str(self.journal.path.with_suffix(".lock")), timeout=0)

    def acquire(self, *, resume: bool = False) -> dict[str, Any] | None:
        """Takes the lease; with *resume* a journal that is found is returned instead of refused.

        Raises:
            CustodyError: another run holds the record, or one was cut off and not restored.
        """
        try:
            self.journal.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self.lock.acquire()
        except Timeout:
            raise CustodyError(
                f"another run is at work on {self.id}; wait for it to end, or give this one another id"
            ) from None
        except OSError as error:
            raise CustodyError(
                f"the state directory {self.journal.path.parent} cannot be used: {error.strerror}"
            ) from error
        try:
            found = self.journal.read()
            if found is not None and not resume:
                message = f"an earlier run on {self.id} was cut off and left it changed; put it back with: {self.way}"
                raise CustodyError(message)
        except CustodyError:
            self.lock.release()
            raise
        return found

    @property
    def way(self) -> str:
        """The command that puts back what a journal holds."""
        folder = self.journal.path.parent
        place = f" --spec {shlex.quote(self.spec)}" if self.spec else ""
        place += "" if folder == state_directory() else f" --state-dir {shlex.quote(str(folder))}"
        return f"contract restore --base-url {shlex.quote(self.base_url.rstrip('/'))}{place}"

    def release(self) -> None:
        """Gives the lease back."""
        self.lock.release()
