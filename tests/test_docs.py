"""The pages: what is generated is up to date, links lead somewhere, examples are Python, commands exist."""

from __future__ import annotations

import importlib.util
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parent.parent
PAGES = [*ROOT.glob("*.md"), *sorted((ROOT / "docs").rglob("*.md"))]
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]


@pytest.fixture(scope="module")
def generate() -> ModuleType:
    """The script that writes generated text."""
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def blocks(text: str, *languages: str) -> Iterator[str]:
    for language, code in re.findall(r"^```(\w+)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE):
        if language in languages:
            yield code


def test_generated_text_is_up_to_date() -> None:
    script = [sys.executable, ROOT / "docs" / "generate.py", "--check"]
    done = subprocess.run(script, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_old_text_between_markers_is_replaced(generate: ModuleType) -> None:
    page = "before\n<!-- formats -->\nold | text\n<!-- end -->\nafter\n"
    new = generate.filled(page, once=False)
    assert new.startswith("before\n<!-- formats -->\n| `--format` |") and new.endswith(
        "<!-- end -->\nafter\n"
    )
    assert "old" not in new and generate.filled(new, once=False) == new


def test_what_depends_on_the_machine_is_left_alone_by_a_check(generate: ModuleType) -> None:
    page = "<!-- run once: echo new -->\nold\n<!-- end -->\n"
    assert generate.filled(page, once=False) == page
    assert "$ echo new\nnew\n" in generate.filled(page, once=True)


def test_an_unknown_marker_is_an_error(generate: ModuleType) -> None:
    with pytest.raises(ValueError, match="no marker <!-- halp -->"):
        generate.filled("<!-- halp: mira -->\n<!-- end -->\n", once=False)


def test_a_command_without_a_page_is_named(generate: ModuleType) -> None:
    missing = list(generate.undescribed("<!-- help: mira transcribe -->"))
    assert "help: mira plugins" in missing and "hook: mira_tasks" in missing and "settings: mpe" in missing
    assert "help: mira transcribe" not in missing


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_links_lead_to_files_and_headings(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"```.*?```", "", text, flags=re.DOTALL)):
        if "://" in target:
            continue
        name, _, heading = target.partition("#")
        linked = (page.parent / name).resolve() if name else page
        assert linked.exists(), f"{target} does not exist"
        if heading:
            assert heading in _anchors(linked), f"{target}: no such heading"


def _anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_examples_are_python(page: Path) -> None:
    for code in blocks(page.read_text(encoding="utf-8"), "python"):
        compile(code, str(page), "exec")


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_commands_in_examples_exist(page: Path) -> None:
    import typer
    from mira.cli.app import build

    known = set(getattr(typer.main.get_command(build()), "commands", {})) | {"beats"}
    text = page.read_text(encoding="utf-8")
    lines = [line for code in blocks(text, "sh") for line in code.splitlines()]
    lines += [
        line for code in blocks(text, "console") for line in re.findall(r"^\$ (.+)$", code, re.MULTILINE)
    ]
    lines += re.findall(r"^    (mira .+)$", text, re.MULTILINE)
    for line in lines:
        for part in re.split(r"(?:&&|\|)\s*(?=mira )", line):
            words = shlex.split(part, comments=True) if part.strip().startswith("mira ") else []
            if len(words) > 1 and not words[1].startswith("-"):
                assert words[1] in known, f"{line}: there is no command '{words[1]}'"
