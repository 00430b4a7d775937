"""The plan of the house: which module may import which."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import mnistseq_cli

PACKAGE = Path(mnistseq_cli.__file__).parent
# From the ground up: a module imports from its own floor or from below.
FLOORS = [
    "errors",
    "validation",
    "files randomness",
    "recipe",
    "glyphs",
    "compose distortions",
    "api formats torch",
    "bulk",
    "inspection",
    "cli",
]
FLOOR_OF = {name: floor for floor, names in enumerate(FLOORS) for name in names.split()}
MODULES = sorted(PACKAGE.rglob("*.py"))


def imports_of(module: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or "")
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def floor_of(module: str) -> int | None:
    parts = module.split(".")
    if parts[0] != PACKAGE.name or len(parts) == 1:
        return None
    return FLOOR_OF.get(parts[1])


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_run_one_way(module: Path) -> None:
    inside = module.relative_to(PACKAGE).with_suffix("").parts
    if inside[0] in ("__init__", "__main__"):
        return
    own = FLOOR_OF[inside[0]]
    floors = {name: floor_of(name) for name in imports_of(module)}
    above = [name for name, floor in floors.items() if floor is not None and floor > own]
    assert not above


def packages_importing(*libraries: str) -> set[str]:
    found = set()
    for module in MODULES:
        if {name.split(".")[0] for name in imports_of(module)} & set(libraries):
            found.add(module.relative_to(PACKAGE).parts[0])
    return found


def test_only_the_command_line_knows_the_terminal() -> None:
    assert packages_importing("typer", "rich") == {"cli"}


def test_only_the_cache_opens_sockets() -> None:
    assert packages_importing("socket", "urllib", "http", "ssl") == {"glyphs"}


CORE = ("compose", "distortions", "glyphs", "randomness.py")


def test_no_global_randomness_and_no_clock_in_the_core() -> None:
    for module in MODULES:
        if module.relative_to(PACKAGE).parts[0] in CORE:
            assert not imports_of(module) & {"random", "datetime"}
            text = module.read_text(encoding="utf-8")
            assert "default_rng" not in text
            assert "np.random.seed" not in text


def test_public_names_are_those_listed() -> None:
    assert mnistseq_cli.__all__ == [
        "Block",
        "GlyphSet",
        "MnistseqError",
        "Recipe",
        "Sample",
        "SequenceGenerator",
        "augment",
        "generate_numbers_sequence",
        "generate_phone_numbers",
        "load_glyphs",
    ]
    for name in mnistseq_cli.__all__:
        assert getattr(mnistseq_cli, name).__name__ == name
        assert name in dir(mnistseq_cli)
    with pytest.raises(AttributeError, match="nothing_like_this"):
        _ = mnistseq_cli.nothing_like_this


def run_python(code: str) -> str:
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    return result.stdout


def test_importing_the_package_loads_no_terminal_and_opens_nothing() -> None:
    code = (
        "import sys\n"
        "opened = []\n"
        "sys.addaudithook(lambda name, args: opened.append(name) if 'socket' in name else None)\n"
        "import mnistseq_cli\n"
        "from mnistseq_cli import SequenceGenerator, generate_numbers_sequence\n"
        "print({'typer', 'rich'} & set(sys.modules), opened)\n"
    )
    assert run_python(code).strip() == "set() []"


def test_help_loads_no_arrays() -> None:
    code = (
        "import sys\n"
        "from typer.main import get_command\n"
        "from mnistseq_cli.cli import app\n"
        "dict(get_command(app).commands)\n"
        "print({'numpy', 'imageio', 'multiprocessing'} & set(sys.modules))\n"
    )
    assert run_python(code).strip() == "set()"
