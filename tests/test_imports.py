"""Who may import whom, what must stay unloaded, and how long a module may be."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = {
    "mira": ROOT / "analyzer",
    "mira_plugins": ROOT / "plugins",
    "mira_train": ROOT / "train",
    "mira_export": ROOT / "export",
}
"""From the one that everybody may import to the one that nobody may; and where each lies."""

HEAVY = ("faiss", "matplotlib", "numpy", "onnxruntime", "scipy", "soundfile", "torch")
LONGEST = 600
BINARY = {".ogg", ".onnx", ".safetensors", ".webp"}


def modules_of(package: str) -> dict[str, Path]:
    """Name of each module of a package -> its file."""
    source = PACKAGES[package]
    found = {}
    for path in sorted((source / package).rglob("*.py")):
        parts = path.relative_to(source).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports_of(path: Path) -> Iterator[str]:
    """Whatever a file imports, at its top or inside a function."""
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}:{node.lineno}: imports are absolute"
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def tops(path: Path) -> set[str]:
    return {name.partition(".")[0] for name in imports_of(path)}


def reached_from(module: str, modules: dict[str, Path]) -> set[str]:
    """Modules of one package that a module of it imports, directly or through others, and itself."""
    reached, queue = set(), [module]
    while queue:
        name = queue.pop()
        if name in modules and name not in reached:
            reached.add(name)
            queue += imports_of(modules[name])
    return reached


def tracked() -> list[Path]:
    done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True)
    return [ROOT / name for name in done.stdout.decode().split("\0") if name and (ROOT / name).is_file()]


@pytest.mark.parametrize(
    "package, forbidden",
    [
        ("mira", {"mira_plugins", "mira_train", "mira_export"}),
        ("mira_plugins", {"mira_export"}),
        ("mira_train", {"mira_export"}),
    ],
)
def test_a_package_never_imports_those_above_it(package: str, forbidden: set[str]) -> None:
    modules = {name: path for name, path in modules_of(package).items() if not is_command_line(name)}
    wrong = {name: tops(path) & forbidden for name, path in modules.items()}
    assert not {name: found for name, found in wrong.items() if found}


def is_command_line(module: str) -> bool:
    """Whether a module is the outermost layer of the workshop, which joins training and export."""
    return module.startswith("mira_train.") and module.endswith("commands")


@pytest.mark.parametrize("package", PACKAGES)
def test_nobody_imports_the_command_line_of_the_workshop(package: str) -> None:
    for name, path in modules_of(package).items():
        assert is_command_line(name) or not any(map(is_command_line, imports_of(path))), name


def test_what_a_plugin_needs_to_listen_imports_neither_the_workshop_nor_torch() -> None:
    modules = modules_of("mira_plugins")
    for plugin in (name for name in modules if name.count(".") == 1):
        for name in reached_from(plugin, modules):
            assert not tops(modules[name]) & {"mira_train", "torch", "pytorch_lightning", "scipy"}, name


def test_the_engine_names_no_heavy_module_at_the_top_of_a_file() -> None:
    for name, path in modules_of("mira").items():
        top = ast.Module([n for n in ast.parse(path.read_bytes()).body if _is_import(n)], [])
        assert not {n.partition(".")[0] for n in _names(top)} & set(HEAVY), name


def _is_import(node: ast.stmt) -> bool:
    return isinstance(node, (ast.Import, ast.ImportFrom))


def _names(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


@pytest.mark.parametrize(
    "program",
    [
        "import mira",
        "from mira.__main__ import main; main(['--help'])",
        "from mira.__main__ import main; main(['--version'])",
        "from mira.__main__ import main; main(['transcribe', '--help'])",
        "from mira.plugins import load_plugins; load_plugins()",
    ],
)
def test_nothing_heavy_is_loaded_before_it_is_needed(program: str) -> None:
    probe = f"{program}\nimport sys; print('loaded:', *set({HEAVY}).intersection(sys.modules))"
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "loaded:"


@pytest.mark.parametrize("package", PACKAGES)
def test_no_module_is_too_long(package: str) -> None:
    lengths = {name: len(path.read_text().splitlines()) for name, path in modules_of(package).items()}
    assert not {name: length for name, length in lengths.items() if length > LONGEST}


def test_no_tracked_file_names_a_place_of_one_machine() -> None:
    place = re.compile(r"(?<![\w.-])/(?:work|root|opt/dev|home/\w+|Users/\w+)/")
    for path in tracked():
        if path.suffix not in BINARY:
            found = place.search(path.read_text(encoding="utf-8"))
            assert not found, f"{path.relative_to(ROOT)}: {found and found[0]}"
