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


def find_circle(imports: dict[str, set[str]]) -> list[str]:
    """Return modules of which each imports the next, and the last the first."""
    done: set[str] = set()

    def visit(name: str, path: list[str]) -> list[str]:
        if name in path:
            return path[path.index(name) :]
        if name in done:
            return []
        for other in sorted(imports[name] & imports.keys()):
            if circle := visit(other, [*path, name]):
                return circle
        done.add(name)
        return []

    return next((circle for name in imports if (circle := visit(name, []))), [])


def test_no_module_imports_itself_by_way_of_others() -> None:
    imports = {}
    for module in MODULES:
        inside = module.relative_to(PACKAGE.parent).with_suffix("").parts
        imports[".".join(inside).removesuffix(".__init__")] = imports_of(module)
    del imports["mnistseq_cli"]  # it loads a public name when that is asked for
    for names in imports.values():
        # Who imports a module of a package does not use what the package itself imports.
        names -= {".".join(name.split(".")[:-1]) for name in names & imports.keys()}
    assert find_circle(imports) == []


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
    ("libraries", "package"),
    [("typer rich", "cli"), ("socket urllib http ssl", "glyphs")],
)
def test_only_one_package_knows_the_terminal_and_one_opens_sockets(
    libraries: str, package: str
) -> None:
    found = {
        module.relative_to(PACKAGE).parts[0]
        for module in MODULES
        if {name.split(".")[0] for name in imports_of(module)} & {*libraries.split()}
    }
    assert found == {package}


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


def test_a_sequence_without_a_distortion_loads_none(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from mnistseq_cli.cli import main\n"
        "sys.argv = ['mnistseq', 'sequence', '350', '--dataset', 'strokes', '--seed', '1', '-o',"
        f" {str(tmp_path / 'x.png')!r}]\n"
        "try:\n"
        "    main()\n"
        "except SystemExit as done:\n"
        "    assert not done.code, done\n"
        "print([name for name in sys.modules if name.startswith('mnistseq_cli.distortions.')])\n"
    )
    table = "['mnistseq_cli.distortions.registry']"  # of names, for the help of --augment
    assert run_python(code).strip().splitlines()[-1] == table
