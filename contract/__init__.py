"""Contract tests for REST operations, from what their documentation says.

>>> import contract
>>> spec = contract.load()
>>> update = spec.operation("update_phone_number")
>>> spec.check(response)  # doctest: +SKIP

`load` reads a fragment; the strategies of an operation are Hypothesis strategies for any test;
`Spec.check` judges a response. The command ``contract`` and the pytest plugin drive the same engine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from contract.api import Operation, Spec, load
    from contract.errors import ConfigError, ContractError, CustodyError, SendError, SpecError, Undecided
    from contract.model import Finding

__all__ = [
    "ConfigError",
    "ContractError",
    "CustodyError",
    "Finding",
    "Operation",
    "SendError",
    "Spec",
    "SpecError",
    "Undecided",
    "load",
]

_HOMES = {
    "load": "contract.api",
    "Spec": "contract.api",
    "Operation": "contract.api",
    "Finding": "contract.model",
    **dict.fromkeys(
        ("ConfigError", "ContractError", "CustodyError", "SendError", "SpecError", "Undecided"), "contract.errors"
    ),
}


def __getattr__(name: str) -> Any:
    # pytest and the command line import this package at every start: nothing heavy is loaded before it is used.
    if name == "__version__":
        from importlib.metadata import version

        return version("pytest-contract")
    if name in _HOMES:
        from importlib import import_module

        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'contract' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
