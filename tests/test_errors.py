"""The family of errors: what each carries, and what it says."""

from __future__ import annotations

import copy
import pickle
import re

import pytest

from contract import errors
from contract.errors import (
    ConfigError,
    ContractError,
    CustodyError,
    PointerToNowhere,
    SendError,
    SpecError,
    Undecided,
    UnsupportedKeyword,
    nearest,
)

CLASSES = [value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, Exception)]


def test_the_family_tree_is_the_family() -> None:
    """The module's docstring names every class, and `__all__` exports every one."""
    told = re.findall(r"^ *[*x+] (\w+)", errors.__doc__ or "", re.MULTILINE)

    assert told == [cls.__name__ for cls in sorted(CLASSES, key=lambda cls: told.index(cls.__name__))]
    assert len(told) == len(CLASSES)
    assert set(errors.__all__) == {cls.__name__ for cls in CLASSES} | {"nearest"}


def test_everything_is_a_contract_error() -> None:
    """One ``except ContractError`` catches whatever keeps the tool from giving an answer."""
    assert all(issubclass(cls, ContractError) for cls in CLASSES)
    assert issubclass(UnsupportedKeyword, SpecError)
    assert issubclass(PointerToNowhere, SpecError)
    assert not issubclass(ConfigError, SpecError)


def test_a_failure_of_the_api_is_no_exception() -> None:
    """No class of the family is a test failure: that is a Finding."""
    assert not any(issubclass(cls, AssertionError) for cls in CLASSES)


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (SpecError("it is wrong"), "it is wrong (at #)"),
        (SpecError("it is wrong", pointer="#/a", line=7), "it is wrong (line 7, at #/a)"),
        (SpecError("it is wrong", pointer="#/a", line=7, file="x.yaml"), "it is wrong (x.yaml, line 7, at #/a)"),
        (UnsupportedKeyword("it is wrong", pointer="#/a"), "it is wrong (at #/a)"),
        (ConfigError("it is wrong"), "it is wrong"),
        (ConfigError("it is wrong", layer="the option --seed"), "it is wrong (set by the option --seed)"),
        (SendError("it is wrong", kind="timeout"), "it is wrong"),
        (CustodyError("it is wrong"), "it is wrong"),
        (Undecided("it is wrong"), "it is wrong"),
    ],
)
def test_what_an_error_says(error: ContractError, text: str) -> None:
    """The message is the problem and, where it is known, the place to mend it."""
    assert str(error) == text


@pytest.mark.parametrize(
    ("error", "data"),
    [
        (PointerToNowhere("p", pointer="#/a", line=7, file="f"), {"pointer": "#/a", "line": 7, "file": "f"}),
        (SpecError("p"), {"problem": "p", "pointer": "#", "line": None, "file": ""}),
        (ConfigError("p", layer="l"), {"problem": "p", "layer": "l"}),
        (SendError("p"), {"kind": "connection"}),
        (SendError("p", kind="final"), {"kind": "final"}),
    ],
)
@pytest.mark.parametrize("again", [copy.copy, lambda error: pickle.loads(pickle.dumps(error))], ids=["copy", "pickle"])
def test_an_error_carries_its_data_across_processes(
    error: ContractError, data: dict[str, object], again: object
) -> None:
    """A copy, and what another process unpickles, have the attributes and the text of the original."""
    assert callable(again)
    for one in (error, again(error)):
        assert type(one) is type(error)
        assert {name: getattr(one, name) for name in data} == data
        assert str(one) == str(error)


@pytest.mark.parametrize(
    ("word", "hint"),
    [("profil", " Did you mean 'profile'?"), ("profile", " Did you mean 'profile'?"), ("zzz", ""), ("", "")],
)
def test_the_nearest_word(word: str, hint: str) -> None:
    """The hint names the one known word that is near, and is empty where none is."""
    assert nearest(word, ["profile", "seed", "strict"]) == hint
    assert nearest(word, iter(())) == ""
