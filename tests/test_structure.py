"""The plan of the house: which module may import which."""

from __future__ import annotations

import ast
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import mnistseq_cli

PACKAGE = Path(mnistseq_cli.__file__).parent
# From the ground up: a module imports from its own floor or from below.
FLOORS = [
    "errors extras pixels",
    "validation",
    "files randomness sheet",
    "recipe",
    "glyphs distortions",
    "compose",
    "api formats",
    "bulk",
    "inspection",
    "torch cli",
]
FLOOR_OF = {name: floor for floor, names in enumerate(FLOORS) for name in names.split()}
MODULES = sorted(PACKAGE.rglob("*.py"))


def imports_of(module: Path) -> set[str]:
    """Return all that a module imports anywhere, for type checkers too."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or "")
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_run_one_way(module: Path) -> None:
    inside = module.relative_to(PACKAGE).with_suffix("").parts
    if inside[0] in ("__init__", "__main__"):
        return
    own = [name.split(".") for name in imports_of(module) if name.startswith("mnistseq_cli.")]
    above = [name for _, name, *_ in own if FLOOR_OF.get(name, 0) > FLOOR_OF[inside[0]]]
    assert not above


def test_no_module_imports_itself_by_way_of_others() -> None:
    imports = {}
    for module in MODULES:
        inside = module.relative_to(PACKAGE.parent).with_suffix("").parts
        imports[".".join(inside).removesuffix(".__init__")] = imports_of(module)
    del imports["mnistseq_cli"]  # it loads a public name when that is asked for
    for names in imports.values():
        # Who imports a module of a package does not use what the package itself imports.
        names -= {name.rpartition(".")[0] for name in names & imports.keys()}
    TopologicalSorter(imports).prepare()  # which raises where there is a circle


def test_no_two_modules_and_no_two_public_classes_share_a_name() -> None:
    names = [module.stem for module in MODULES if module.relative_to(PACKAGE).parts[0] != "cli"]
    names += [
        node.name
        for module in MODULES
        for node in ast.parse(module.read_text(encoding="utf-8")).body
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    ]
    assert {name for name in names if names.count(name) > 1} == {"__init__"}


@pytest.mark.parametrize(
    ("libraries", "package"), [("typer rich", "cli"), ("socket urllib http ssl", "glyphs")]
)
def test_one_package_knows_the_terminal_and_one_sockets(libraries: str, package: str) -> None:
    found = {
        module.relative_to(PACKAGE).parts[0]
        for module in MODULES
        if {name.split(".")[0] for name in imports_of(module)} & {*libraries.split()}
    }
    assert found == {package}


def test_no_global_randomness_and_no_clock_in_the_core() -> None:
    for module in MODULES:
        if module.relative_to(PACKAGE).parts[0] in {
            "compose",
            "distortions",
            "glyphs",
            "randomness.py",
        }:
            assert not imports_of(module) & {"random", "datetime"}
            text = module.read_text(encoding="utf-8")
            assert "default_rng" not in text
            assert "np.random.seed" not in text


LOADED = "print({%s} & {*sys.modules})"
IMPORTING = f"""
import sys
opened = []
sys.addaudithook(lambda name, args: opened.append(name) if 'socket' in name else None)
from mnistseq_cli import SequenceGenerator, generate_numbers_sequence
assert not opened
{LOADED % "'typer', 'rich'"}
"""
HELPING = f"""
import sys
from typer.main import get_command
from mnistseq_cli.cli import app
dict(get_command(app).commands)
{LOADED % "'numpy', 'imageio', 'multiprocessing'"}
"""
WRITING = f"""
import sys
from mnistseq_cli.cli import main
sys.argv = 'mnistseq sequence 350 --dataset strokes --seed 1 -o x.png'.split()
try:
    main()
except SystemExit as done:
    assert not done.code, done
{LOADED % "'mnistseq_cli.distortions.pipeline', 'mnistseq_cli.formats.base', 'PIL', 'rich.text'"}
"""


@pytest.mark.parametrize("code", [IMPORTING, HELPING, WRITING])
def test_what_is_not_needed_is_not_loaded(code: str, tmp_path: Path) -> None:
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "set()"
