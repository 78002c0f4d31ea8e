"""Writes what the program says of itself into README.md and the pages of this folder.

Between a marker and ``<!-- end -->`` stands generated text:

- ``<!-- help: mira transcribe -->``: what ``mira transcribe --help`` prints;
- ``<!-- settings: mpe -->``: a table of a task's settings, from its dataclass;
- ``<!-- hook: mira_tasks -->``: signature and purpose of a hook, from ``mira.hooks``;
- ``<!-- formats -->``: a table of the output formats;
- ``<!-- rows: TASK -->``: the book's rows that a task has recipes for, and what their corrected forms change;
- ``<!-- file: PATH -->``: a file of this repository;
- ``<!-- run: COMMAND -->``: a shell command and what it prints, in a folder that holds ``canon.ogg``;
- ``<!-- run once: COMMAND -->``: the same where the output depends on the model or the machine.

``python docs/generate.py`` writes; with ``--check`` it only says what is out of date (``run once`` apart),
and which command, task or hook has no page. Only mira's own plugins are described.
"""

from __future__ import annotations

import argparse
import dataclasses
import inspect
import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import redirect_stdout
from importlib import import_module
from pathlib import Path
from typing import Any

import mira
from mira.__main__ import main as mira_main
from mira.hooks import Hooks
from mira.plugins import OWN, find_plugins, load_plugins
from mira.writers import builtin_writers

ROOT = Path(__file__).resolve().parent.parent
BLOCK = re.compile(
    r"(<!-- (?P<kind>[a-z ]+?)(?:: (?P<what>.+?))? -->\n)(?:(?!<!-- ).)*(?P<end><!-- end -->)", re.DOTALL
)
WIDTH = "80"


def pages() -> list[Path]:
    """README.md and every page under docs/."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def filled(page: str, *, once: bool) -> str:
    """Return a page with its generated text as it should be.

    Parameters
    ----------
    page
        Text of the page.
    once
        Whether to run the commands of ``run once``, too.

    Raises
    ------
    ValueError
        For a marker that means nothing.
    """

    def fill(block: re.Match[str]) -> str:
        kind, what = block["kind"], block["what"] or ""
        if kind == "run once" and not once:
            return block[0]
        if kind not in GENERATORS:
            raise ValueError(f"there is no marker <!-- {kind} -->; there are: {', '.join(GENERATORS)}")
        return f"{block[1]}{GENERATORS[kind](what)}\n{block['end']}"

    return BLOCK.sub(fill, page)


def help_of(command: str) -> str:
    """Return what a command prints with ``--help``, as a block of text."""
    printed = io.StringIO()
    with redirect_stdout(printed):
        code = mira_main([*command.split()[1:], "--help"])
    if code:
        raise ValueError(f"'{command} --help' ends with {code}")
    return f"```text\n{printed.getvalue().strip()}\n```"


def settings_of(name: str) -> str:
    """Return a table of a task's settings."""
    fields = dataclasses.fields(load_plugins().task(name).settings)
    rows = [("flag", "in Python", "default", "allowed", "what it does")]
    for spec in fields:
        flag = f"`--{spec.metadata['flag'] or spec.name.replace('_', '-')}`"
        default = "as tuned" if spec.default is None else f"`{spec.default}`"
        rows.append((flag, f"`{spec.name}`", default, _allowed(spec), spec.metadata["help"]))
    return _table(rows)


def _allowed(spec: dataclasses.Field[Any]) -> str:
    low, high, choices = (spec.metadata[name] for name in ("minimum", "maximum", "choices"))
    if choices:
        return ", ".join(f"`{choice}`" for choice in choices)
    if low is not None and high is not None:
        return f"{low:g} to {high:g}"
    if low is not None:
        return f"at least {low:g}"
    return "yes or no" if isinstance(spec.default, bool) else ""


def hook_of(name: str) -> str:
    """Return the declaration of a hook and what it is for."""
    hook = getattr(Hooks, name)
    given = inspect.signature(hook)
    own = [p for p in given.parameters.values() if p.name != "self"]
    signature = str(given.replace(parameters=own)).replace("'", "")
    return f"```python\n@hookimpl\ndef {name}{signature}: ...\n```\n\n{inspect.getdoc(hook)}"


def formats(_: str) -> str:
    """Return a table of the output formats."""
    rows = [("`--format`", "suffix", "results")]
    for writer in builtin_writers():
        suffixes = ", ".join(f"`{suffix}`" for suffix in writer.suffixes)
        results = ", ".join(kind.kind or "all" for kind in writer.results)
        rows.append((f"`{writer.name}`", suffixes, results))
    return _table(rows)


def rows_of(task: str) -> str:
    """Return the book's rows of a task, with the changes of their corrected forms."""
    from mira_train.plugin import find_training

    training = find_training(task)
    rows = []
    for name in (n for n in training.names() if n.endswith("-corrected")):
        exact, corrected = training.recipe(name.removesuffix("-corrected")), training.recipe(name)
        changes = "\n".join(f"  - {change}" for change in corrected.changes)
        rows.append(f"- `{exact.name}`: {exact.about}\n{changes}")
    return "\n".join(rows)


def file_of(path: str) -> str:
    """Return a file of the repository as a block of code."""
    language = {".py": "python", ".toml": "toml"}[Path(path).suffix]
    return f"```{language}\n{(ROOT / path).read_text(encoding='utf-8').strip()}\n```"


def _table(rows: list[tuple[str, ...]]) -> str:
    cells = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    lines = [f"| {' | '.join(row)} |" for row in cells]
    return "\n".join([lines[0], "|" + " --- |" * len(rows[0]), *lines[1:]])


def output_of(command: str) -> str:
    """Run a shell command where ``canon.ogg`` lies, and return it with what it prints."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(("MIRA_STORE", "XDG_"))}
    path = os.pathsep.join([os.path.dirname(sys.executable), os.environ.get("PATH", os.defpath)])
    with tempfile.TemporaryDirectory() as home:
        shutil.copy(Path(mira.__file__).parent / "sample" / "canon.ogg", home)
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=home,
            env=own | {"PATH": path, "HOME": home},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
    printed = done.stdout.rstrip()
    packages = [str(Path(found).parent) for package in ("mira", "mira_plugins") for found in _places(package)]
    for machine, public in [(home, "~"), *((folder, "...") for folder in packages)]:
        printed = printed.replace(machine, public)
    return f"```console\n$ {command}\n{printed}\n```"


def _places(package: str) -> list[str]:
    return list(import_module(package).__path__)


GENERATORS = {
    "help": help_of,
    "settings": settings_of,
    "hook": hook_of,
    "formats": formats,
    "rows": rows_of,
    "file": file_of,
    "run": output_of,
    "run once": output_of,
}


def undescribed(texts: str) -> Iterator[str]:
    """Name the markers of the commands, tasks and hooks that no page describes."""
    import typer
    from mira.cli.app import build

    def walk(command: Any, words: str) -> Iterator[str]:
        yield words
        for name, each in getattr(command, "commands", {}).items():
            yield from walk(each, f"{words} {name}")

    wanted = [f"help: {words}" for words in walk(typer.main.get_command(build()), "mira")]
    wanted += [f"settings: {task}" for task in load_plugins().tasks]
    wanted += [f"hook: {name}" for name in vars(Hooks) if name.startswith("mira_")]
    yield from (marker for marker in wanted if f"<!-- {marker} -->" not in texts)


def main() -> int:
    """Write the pages, or check them; the exit code says whether all is well."""
    parser = argparse.ArgumentParser(description="Write generated text into README.md and docs/.")
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a page is out of date")
    check = parser.parse_args().check
    foreign = {info.origin for info in find_plugins(sys.path) if info.origin != OWN}
    os.environ |= {"COLUMNS": WIDTH, "NO_COLOR": "1", "MIRA_DISABLE": ",".join(foreign)}
    old = {page: page.read_text(encoding="utf-8") for page in pages()}
    new = {page: filled(text, once=not check) for page, text in old.items()}
    problems = [f"no page has <!-- {marker} -->" for marker in undescribed("".join(new.values()))]
    for page in (page for page in old if new[page] != old[page]):
        if check:
            problems.append(f"{page.relative_to(ROOT)} is out of date: run python docs/generate.py")
        else:
            page.write_text(new[page], encoding="utf-8")
            print(f"wrote {page.relative_to(ROOT)}")
    print("\n".join(problems) or "the pages are up to date")
    return int(bool(problems))


if __name__ == "__main__":
    sys.exit(main())
