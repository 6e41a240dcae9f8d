"""The pytest plugin: the contract as items beside the user's own tests, and fixtures for these.

pytest loads this file in every run of the user's environment. So nothing heavy is imported before it is
needed, and what ``--contract`` takes stands in `contract.items`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn

import pytest

if TYPE_CHECKING:
    import httpx

    from contract.api import Spec
    from contract.config import Settings

_OPTIONS: Final[Mapping[str, tuple[str, str, str]]] = {
    "config": ("", "FILE", "settings to read instead of the nearest contract.toml"),
    "base_url": ("base_url", "URL", "address of the API, with its path"),
    "id": ("ids", "ID", "record that the run may update; may be repeated"),
    "profile": ("profile", "NAME", "smoke, standard or deep"),
    "strict": ("strict", "BASIS", "weakest basis that fails a run: documented, observed, inferred"),
    "seed": ("seed", "N", "seed of everything that is drawn"),
    "report_dir": ("report_dir", "DIR", "where reports are written"),
    "against": ("", "RUN.json", "an earlier run: what changed since then fails, too"),
}
"""Name of the option and of the ini key, without their beginnings -> (setting, its value, what it is)."""
_PATHS: Final = ("config", "report_dir", "against")


class ContractWarning(UserWarning):
    """A rule is broken whose basis is weaker than asked for."""


# ------------------------------------------------------------------------- options


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declares each setting as an option and as an ini key, neither with a value of its own."""
    group = parser.getgroup("contract", "contract tests of an HTTP API")
    about = "collect the contract as items, beside the tests that are there"
    group.addoption("--contract", action="store_true", default=None, help=about)
    parser.addini("contract", f"{about} (--contract)", type="bool", default=None)
    for name, (_, value, help) in _OPTIONS.items():
        option = f"--contract-{name.replace('_', '-')}"
        action = "append" if name == "id" else "store"
        group.addoption(option, action=action, metavar=value, default=None, help=help)
        kind: Any = {"id": "args", "seed": "int"}.get(name, "string")
        parser.addini(f"contract_{name}", f"{help} ({option})", type=kind, default=None)
    group.addoption(
        "--contract-accept",
        action="store_true",
        default=None,
        help="write what is broken now to the file of known failures, for 90 days",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Registers the marker, and the run where it is asked for."""
    config.addinivalue_line("markers", "contract: one rule of the contract (pytest-contract)")
    given = config.getoption("contract")
    if given or (given is None and config.getini("contract")):
        from contract.items import ContractRun

        config.pluginmanager.register(ContractRun(config), "contract-run")


def option_of(config: pytest.Config, name: str) -> tuple[Any, bool]:
    """(value, True where it stands in the ini file) of an option."""
    value = config.getoption(f"contract_{name}")
    if value is not None:
        return value, False
    value = config.getini(f"contract_{name}")
    if name in _PATHS and value and config.inipath is not None:
        value = str(config.inipath.parent / Path(value).expanduser())
    return value, True


def settings_of(config: pytest.Config) -> Settings:
    """The settings: command line over environment over ini file over contract.toml.

    Raises:
        ConfigError: a value cannot be used; says which layer set it.
    """
    from contract.config import resolve

    options: dict[str, Any] = {}
    ini: dict[str, tuple[Any, str]] = {}
    names = {}
    for name, (setting, *_) in _OPTIONS.items():
        value, from_ini = option_of(config, name)
        if not setting or value is None:
            continue
        names[setting] = f"--contract-{name.replace('_', '-')}"
        if from_ini:
            ini[setting] = (value, f"the ini key contract_{name}")
        else:
            options[setting] = value
    file, _ = option_of(config, "config")
    return resolve(options, config=file, names=names, ini=ini, start=config.invocation_params.dir)


def fail(text: str) -> NoReturn:
    """Fails the test that runs, with these lines alone."""
    pytest.fail(text, pytrace=False)


# ------------------------------------------------------------------------- fixtures


@pytest.fixture(scope="session")
def contract_config(pytestconfig: pytest.Config) -> Settings:
    """The settings, as the command line, the environment, the ini file and contract.toml give them."""
    from contract.errors import ContractError

    try:
        return settings_of(pytestconfig)
    except ContractError as error:
        fail(str(error))


@pytest.fixture(scope="session")
def contract_spec(contract_config: Settings) -> Spec:
    """The configured fragment, as `contract.load` returns it."""
    from contract.api import load
    from contract.errors import ContractError

    try:
        return load(contract_config.spec or None)
    except ContractError as error:
        fail(str(error))


@pytest.fixture(scope="session")
def contract_transport(contract_config: Settings) -> Iterator[httpx.BaseTransport]:
    """What carries the requests of `contract_client`; a fixture of this name may return an ``httpx.MockTransport``."""
    from contract.client import transport
    from contract.errors import ContractError

    try:
        made = transport(contract_config)
    except ContractError as error:
        fail(str(error))
    yield made
    made.close()


@pytest.fixture
def contract_client(
    contract_config: Settings, contract_spec: Spec, contract_transport: httpx.BaseTransport
) -> httpx.Client:
    """An ``httpx.Client`` with base URL and credentials; an answer that breaks the contract fails the test."""
    from contract.client import client
    from contract.config import credentials
    from contract.errors import ContractError

    try:
        # It is not closed: the connections are the transport's, and serve the next test.
        return client(contract_config, contract_spec, credentials(), contract_transport, fail)
    except ContractError as error:
        fail(str(error))
