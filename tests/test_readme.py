"""The README promises what there is, and all of it."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import click

import contract
from contract import config, document, spec
from contract.cli import cli
from contract.rules import rules

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_every_command_is_in_the_readme() -> None:
    """The commands of the README are the commands of the program."""
    told = set(re.findall(r"`contract ([a-z]+)", README))

    assert told - {"run.json"} == set(cli.commands)


def test_every_setting_is_in_the_readme() -> None:
    """The README names each key that a configuration file may have."""
    assert [key for key in config.KEYS if not re.search(rf"\b{key}\b", README)] == []


def test_the_example_configuration_is_read(tmp_path: Path) -> None:
    """The README's contract.toml is one that the tool takes."""
    blocks = re.findall(r"```toml\n(.*?)```", README, re.DOTALL)
    example = next(block for block in blocks if "base_url" in block)
    (tmp_path / "contract.toml").write_text(example, encoding="utf-8")

    found = config.resolve(start=tmp_path, environ={})

    assert found.ids == ("3fa85f64-5717-4562-b3fc-2c963f66afa6",)
    assert set(tomllib.loads(example)) <= set(config.KEYS)


def test_the_example_fragment_is_a_whole_one() -> None:
    """The README's fragment is read, can be run, and has as many rules as it says."""
    example = next(block for block in re.findall(r"```yaml\n(.*?)```", README, re.DOTALL) if "openapi:" in block)
    found = spec.loads(example, "doors.yaml")
    found.need_sendable()

    assert f"the {len(rules(found))} rules" in README


def test_every_extension_is_in_the_readme() -> None:
    """The README explains each extension that a fragment may use, and no other."""
    used = {key for keys in document.KEYS.values() for key in keys if key.startswith("x-")}

    assert set(re.findall(r"`(x-[a-z-]+)", README)) == used


def test_every_command_has_help_with_an_example() -> None:
    """``contract COMMAND --help`` shows how the command is used."""
    for name, command in cli.commands.items():
        assert command.help is not None, name
        assert "Example:" in command.help, name
        assert isinstance(command, click.Command)


def test_public_names_are_pinned() -> None:
    """The package exports what the README shows, and the errors and findings that come with it."""
    assert contract.__all__ == sorted(contract.__all__)
    assert {"load", "Spec", "Operation", "Finding", "ContractError"} <= set(contract.__all__)
    assert all(getattr(contract, name) is not None for name in contract.__all__)
