"""The house rules that no linter knows: which way imports point, and what the engine must not know."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import contract
from contract import spec as specs

HOUSE = Path(contract.__file__).parent
LAYERS = (
    {"errors", "formats", "model"},
    {"budget", "config", "custody", "difference", "document"},
    {"known", "spec"},
    {"generate", "rules", "send", "shape"},
    {"answer", "layout", "mask"},
    {"check", "tour", "derive", "explain", "export"},
    {"cases"},
    {"api", "behaviour", "ledger", "plan"},
    {"prepare", "recipe", "session"},
    {"neighbours", "restore"},
    {"preflight", "reduce", "result", "suspects", "walk", "witness"},
    {"reproduce"},
    {"explore"},
    {"run"},
    {"example", "picture", "report", "shares"},
    {"ci", "client", "har", "html", "kill", "recorded", "schemathesis"},
    {"junit", "sarif"},
    {"files"},
    {"compare", "demo"},
    {"items", "replay"},
    {"plugin", "standalone"},
    {"cli"},
    {"__main__"},
)
"""From the left to the right of the map in CONTRIBUTING.md; a module imports from the layers before its own."""
ENTRY = {("items", "plugin")}
"""pytest loads the plugin, which loads the items where they are asked for; these read its options."""


@cache
def parsed(path: Path) -> ast.Module:
    """What stands in a file."""
    return ast.parse(path.read_text("utf-8"))


def nodes(tree: ast.AST) -> Iterator[ast.AST]:
    """Everything in *tree* but what is there for type checkers alone."""
    yield tree
    for inner in ast.iter_child_nodes(tree):
        if isinstance(inner, ast.If) and isinstance(inner.test, ast.Name) and inner.test.id == "TYPE_CHECKING":
            yield from (node for other in inner.orelse for node in nodes(other))
        else:
            yield from nodes(inner)


@cache
def imported(path: Path) -> tuple[str, ...]:
    """The modules of this package that *path* imports when it runs, wherever in the file."""
    found: list[str] = []
    for node in nodes(parsed(path)):
        if isinstance(node, ast.ImportFrom) and node.module == "contract":
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("contract."):
            found.append(str(node.module).removeprefix("contract."))
        elif isinstance(node, ast.Import):
            found += [a.name.removeprefix("contract.") for a in node.names if a.name.startswith("contract.")]
    return tuple(found)


def test_imports_point_one_way() -> None:
    """Every module stands in one layer, and imports only from those before it."""
    rank = {name: i for i, layer in enumerate(LAYERS) for name in layer}
    modules = {path.stem: path for path in HOUSE.glob("*.py") if path.stem != "__init__"}
    backwards = [
        f"{name} imports {other}"
        for name, path in modules.items()
        for other in imported(path)
        if other in rank and rank[other] >= rank[name] and (name, other) not in ENTRY
    ]

    assert set(rank) == set(modules)
    assert backwards == []


def test_the_reference_server_shares_no_code_with_its_judge() -> None:
    """It imports nothing of this package but itself, and only the faces that start it import it."""
    inside = {other for path in (HOUSE / "reference").rglob("*.py") for other in imported(path)}
    users = {path.stem for path in HOUSE.glob("*.py") if any(o.split(".")[0] == "reference" for o in imported(path))}

    assert {name for name in inside if name.split(".")[0] != "reference"} == set()
    assert users == {"cli", "demo", "kill"}


def names() -> list[str]:
    """Every field of the fragment, and every value of a selector, that is no word of everyday language."""
    update = specs.load().update
    assert update.request is not None
    assert update.response is not None
    found = {*update.request.fields, *update.response.fields}
    found |= {value for selector in update.request.selectors.values() for value in selector.choices}
    return sorted(name for name in found if "_" in name)


def test_the_engine_knows_no_field_by_name() -> None:
    """No name of a field and no handler of the document stands in the engine; they are data."""
    wanted = re.compile(rf"\b(?:{'|'.join(names())})\b")
    texts = [p for p in HOUSE.rglob("*") if p.suffix in {".py", ".jinja"} and "reference" not in p.parts]
    found = [
        f"{path.name}:{number}: {line.strip()}"
        for path in texts
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if wanted.search(line)
    ]

    assert len(texts) > 40
    assert found == []


@cache
def offered(module: str) -> frozenset[str]:
    """What ``__all__`` of a module says, or of a package; pytest alone reads the plugin, and all of it."""
    path = HOUSE / f"{module}.py"
    tree = parsed(path if path.is_file() else HOUSE / module / "__init__.py")
    if module == "plugin":
        return frozenset(node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef))
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return frozenset(ast.literal_eval(node.value))
    return frozenset()


def test_a_module_uses_what_others_offer() -> None:
    """No module imports a name of another one that is not in its ``__all__``."""
    private = [
        f"{path.stem} imports {node.module}.{alias.name}"
        for path in HOUSE.glob("*.py")
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("contract.")
        for alias in node.names
        if alias.name not in offered(str(node.module).removeprefix("contract."))
    ]

    assert private == []
