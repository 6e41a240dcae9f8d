"""Reads the settings of a run: command line over environment over file over default.

Each value knows the layer that set it, so that a bad one can be refused with the place to mend it.
Credentials come from the environment alone and are never part of the settings.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from contract.errors import ConfigError, nearest
from contract.model import BASES

__all__ = ["KNOWN", "Settings", "credentials", "find", "resolve"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that a run is told."""

    base_url: str = ""
    spec: str = ""
    """The fragment's file; empty for the bundled one."""
    ids: tuple[str, ...] = ()
    """The records that the run may update."""
    bystander_ids: tuple[str, ...] = ()
    """Records that are read before and after and must not change."""
    foreign_ids: tuple[str, ...] = ()
    """Ids of records that belong to someone else and must not be found."""
    profile: str = "standard"
    strict: str = "documented"
    """The weakest basis whose broken rule fails the run."""
    seed: int = 0
    report_dir: str = "reports"
    state_dir: str = ""
    """Where journals are kept; empty for the user's state directory."""
    max_requests: int = 2000
    max_seconds: float = 600.0
    timeout: float = 10.0
    """Seconds, one request."""
    rate: str = ""
    """Requests per second, minute or hour, as in ``50/s``; empty for no limit."""
    allow_unrestorable: bool = False
    ca_file: str = ""
    client_cert: str = ""
    client_key: str = ""
    proxy: str = ""
    database: str = ""
    """Where Hypothesis keeps its examples: a folder, or a ``redis://`` URL; empty for none."""
    mask: tuple[str, ...] = ()
    """JSON Pointers of fields whose values are masked in everything that is written."""
    known_failures: str = ""
    """A file of accepted failures."""
    resources: Mapping[str, str] = field(default_factory=dict)
    """Request field -> id of something that exists there."""
    layers: Mapping[str, str] = field(default_factory=dict)
    """Setting -> the layer that set it."""

    def need(self, *names: str, option: str = "--") -> None:
        """Makes sure that these settings were given; *option* is how options begin where they are asked for.

        Raises:
            ConfigError: one was not; says how to give it.
        """
        for name in names:
            if not getattr(self, name):
                given = option + ("id" if name == "ids" else name.replace("_", "-"))
                hint = f"set it in contract.toml, with {given}, or in CONTRACT_{name.upper()}"
                if name == "ids":
                    hint += "; a run never picks a record by itself"
                raise ConfigError(f"{name} is missing: {hint}", layer=self.layers.get(name, ""))


MOST: Final = 2**53
"""The largest number that a setting may be, and that every reader of JSON keeps."""


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("a text is wanted")
    if "\0" in value:
        raise ValueError("a text has no NUL")
    return value


def _url(value: Any) -> str:
    text = _text(value).strip().rstrip("/")
    parts = urlsplit(text)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.port == 0:
        raise ValueError("an address such as https://staging.example.com/api is wanted")
    if parts.username or parts.password:
        raise ValueError("credentials do not belong in the address; set CONTRACT_USERNAME and CONTRACT_PASSWORD")
    if parts.query or parts.fragment:
        raise ValueError("the address has no '?' and no '#'")
    return text


def _list(value: Any) -> tuple[str, ...]:
    items = [part.strip() for part in value.split(",")] if isinstance(value, str) else value
    if not isinstance(items, (list, tuple)) or not all(isinstance(item, str) for item in items):
        raise ValueError("a list of texts is wanted")
    found = tuple(dict.fromkeys(item for item in items if item))
    if not found:
        raise ValueError("the list is empty")
    return found


def _number(kind: Callable[[Any], Any], least: float) -> Callable[[Any], Any]:
    def convert(value: Any) -> Any:
        if isinstance(value, bool):
            raise ValueError("a number is wanted")
        try:
            number = kind(value)
        except (TypeError, ValueError, OverflowError):
            raise ValueError("a number is wanted") from None
        if not least <= number <= MOST or (kind is int and float(value) != number):
            raise ValueError(
                f"a number of at least {least:g} is wanted" + (f", at most {MOST}" if number > MOST else "")
            )
        return number

    return convert


def _flag(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    words = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
    if isinstance(value, str) and value.lower() in words:
        return words[value.lower()]
    raise ValueError("true or false is wanted")


def _one_of(*words: str) -> Callable[[Any], str]:
    def convert(value: Any) -> str:
        if value not in words:
            raise ValueError(f"one of {', '.join(words)} is wanted.{nearest(str(value), words)}")
        return str(value)

    return convert


def _rate(value: Any) -> str:
    if value and not re.fullmatch(r"[1-9]\d*/(s|m|h)", _text(value)):
        raise ValueError("a rate such as 50/s, 600/m or 1000/h is wanted")
    return _text(value)


def _pointers(value: Any) -> tuple[str, ...]:
    found = _list(value)
    for pointer in found:
        if pointer.endswith("/"):
            raise ValueError(f"{pointer!r} names no field")
        if not pointer.startswith("/"):
            raise ValueError(f"a JSON Pointer begins with '/', as in '/{pointer}'")
    return found


def _table(value: Any) -> dict[str, str]:
    if not isinstance(value, Mapping) or not all(isinstance(v, str) and v for v in value.values()):
        raise ValueError("a table of texts is wanted")
    return dict(value)


_CONVERT: Final[Mapping[str, Callable[[Any], Any]]] = {
    "base_url": _url,
    "ids": _list,
    "bystander_ids": _list,
    "foreign_ids": _list,
    "profile": _one_of("smoke", "standard", "deep"),
    "strict": _one_of(*BASES),
    "seed": _number(int, 0),
    "max_requests": _number(int, 1),
    "max_seconds": _number(float, 1),
    "timeout": _number(float, 0.1),
    "rate": _rate,
    "allow_unrestorable": _flag,
    "mask": _pointers,
    "resources": _table,
}
KEYS: Final[tuple[str, ...]] = tuple(f.name for f in fields(Settings) if f.name != "layers")
SECRETS: Final = ("username", "password", "token")
"""What the environment alone holds."""
KNOWN: Final = "contract-known.toml"
"""The file of accepted failures that is read where one stands beside the configuration."""
_PATHS: Final = ("spec", "report_dir", "state_dir", "ca_file", "client_cert", "client_key", "known_failures")


def find(start: Path) -> Path | None:
    """The configuration file nearest to *start*, going upwards: contract.toml, or a pyproject.toml
    with a ``[tool.contract]`` table.
    """
    for folder in (start, *start.parents):
        own = folder / "contract.toml"
        if own.is_file():
            return own
        project = folder / "pyproject.toml"
        if project.is_file():
            try:
                if "contract" in tomllib.loads(project.read_text(encoding="utf-8")).get("tool", {}):
                    return project
            except (tomllib.TOMLDecodeError, OSError, UnicodeDecodeError):
                continue
    return None


def _file(path: Path) -> dict[str, Any]:
    """The settings in a file."""
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not TOML: {error}") from error
    if path.name == "pyproject.toml":
        data = data.get("tool", {}).get("contract", {})
    return data


def resolve(
    options: Mapping[str, Any] | None = None,
    *,
    config: str | Path | None = None,
    environ: Mapping[str, str] | None = None,
    start: Path | None = None,
    names: Mapping[str, str] | None = None,
    ini: Mapping[str, tuple[Any, str]] | None = None,
) -> Settings:
    """The settings of a run.

    *options* are those of the command line, `None` where one was not given; *names* says what each
    is called there; *config* is a file to read instead of the nearest one; *ini* are values of another
    file, each with its place, which stand above that file and below the environment.

    Raises:
        ConfigError: a key is not known, or a value cannot be used; says which layer set it.
    """
    environ = os.environ if environ is None else environ
    start = start or Path.cwd()
    path = Path(config) if config else find(start)
    if config and path is not None and not path.is_file():
        raise ConfigError(f"the configuration file {path} does not exist")
    found: dict[str, tuple[Any, str]] = {}
    for key, value in (_file(path) if path else {}).items():
        layer = f"{path}"
        if key in SECRETS:
            raise ConfigError(f"{key} does not belong in a file: set CONTRACT_{key.upper()}", layer=layer)
        if key not in KEYS:
            raise ConfigError(f"the key {key!r} is not known.{nearest(key, KEYS)}", layer=layer)
        if key in _PATHS and isinstance(value, str) and value and "\0" not in value and path is not None:
            value = str((path.parent / Path(value).expanduser()).resolve())
        found[key] = (value, layer)
    found.update(ini or {})
    known = (path.parent if path else start) / KNOWN
    if known.is_file():
        found.setdefault("known_failures", (str(known), f"{known}"))
    variables = [f"CONTRACT_{key.upper()}" for key in (*KEYS, *SECRETS) if key != "resources"]
    if "CONTRACT_RESOURCES" in environ:
        raise ConfigError("CONTRACT_RESOURCES is not read: resources are a table, in contract.toml")
    for variable in environ:  # Those that begin with CONTRACT_B_ are of the second of two environments.
        # Only what looks like a slip: others may use names of their own that begin like these.
        plain = variable.replace("CONTRACT_B_", "CONTRACT_", 1)
        if plain.startswith("CONTRACT_") and plain not in variables and (close := nearest(plain, variables, 0.9)):
            raise ConfigError(f"the environment variable {variable} is not known.{close}")
    for key in KEYS:
        variable = f"CONTRACT_{key.upper()}"
        if key != "resources" and variable in environ:
            found[key] = (environ[variable], f"the environment variable {variable}")
    for key, value in (options or {}).items():
        if value is not None and value != ():
            found[key] = (value, f"the option {(names or {}).get(key, '--' + key.replace('_', '-'))}")
    values: dict[str, Any] = {}
    for key, (value, layer) in found.items():
        try:
            convert: Callable[[Any], Any] = _CONVERT.get(key, _text)
            values[key] = convert(value)
        except ValueError as error:
            told = re.sub(r"(?<=//)[^/@\s]*@", "***@", repr(value))  # An address may hold a password.
            raise ConfigError(f"{key} = {told}: {error}", layer=layer) from None
    ids = values.get("ids", ())
    if twice := [id for id, count in Counter(id.casefold() for id in ids).items() if count > 1]:
        raise ConfigError(f"ids names {twice[0]} twice, in other letters", layer=found["ids"][1])
    for name in ("ids", "bystander_ids", "foreign_ids"):
        if dots := {".", ".."} & {*values.get(name, ())}:
            raise ConfigError(f"{name} names {dots.pop()!r}, which is another address", layer=found[name][1])
    overlap = set(ids) & {*values.get("bystander_ids", ()), *values.get("foreign_ids", ())}
    if overlap:
        raise ConfigError(f"{overlap.pop()} is in ids and also among those that must not change", layer=found["ids"][1])
    return Settings(**values, layers={key: layer for key, (_, layer) in found.items()})


def credentials(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """What proves the right to ask, from ``CONTRACT_USERNAME``, ``CONTRACT_PASSWORD`` and ``CONTRACT_TOKEN``."""
    environ = os.environ if environ is None else environ
    return {name: environ.get(f"CONTRACT_{name.upper()}", "") for name in SECRETS}
