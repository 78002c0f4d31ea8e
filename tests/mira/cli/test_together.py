"""Flags about all recordings at once, and listings of many recordings on the terminal."""

from __future__ import annotations

from pathlib import Path

import pytest
from fakes import PLUGIN, environment, install_plugin, mira, recording

TOGETHER = (
    PLUGIN.replace('needs=("fake",))', 'needs=("fake",), together=Count)')
    + """
@dataclass(frozen=True)
class Count:
    count: bool = mira.setting(False, "Count them.")
    extra: str | None = mira.setting(None, "One more recording.", flag="and")

    def asked(self):
        return self.count or bool(self.extra)

    def recordings(self, paths):
        return [*paths, self.extra] if self.extra else list(paths)

    def finish(self, heard, force, dry_run):
        if len(heard) == 3:
            from mira.errors import OutputError

            raise OutputError("three are too many")
        yield f"{len(heard)} heard, force {force}, dry run {dry_run}"

def table(result, stream, about):
    stream.write(f"{about.path}: {result.voice:.1f}\\n".encode())

@hookimpl
def mira_writers():
    from mira.writers import Writer
    return [Writer("table", (".table",), (mira.Tags,), table, listing=True)]
"""
)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    install_plugin(tmp_path / "plugins", TOGETHER)
    (tmp_path / "music").mkdir()
    for name in ("a", "b"):
        recording(tmp_path / "music" / f"{name}.wav")
    recording(tmp_path / "c.wav")
    return tmp_path


def run(place: Path, *arguments: str) -> tuple[int, str, str]:
    # without the plugin whose listing would be as good as this one
    alone = environment(place / "plugins") | {"MIRA_DISABLE": "tagging"}
    done = mira(place / "plugins", *arguments, cwd=place, env=alone)
    return done.returncode, done.stdout, done.stderr


def test_a_folder_is_listed_on_the_terminal(place: Path) -> None:
    code, out, _ = run(place, "feel", "music")
    assert code == 0
    assert [line.split(":")[0] for line in out.splitlines()] == ["music/a.wav", "music/b.wav"]


def test_a_flag_about_all_gets_all_results_and_nothing_else_is_printed(place: Path) -> None:
    code, out, _ = run(place, "feel", "music", "--count", "--force")
    assert (code, out) == (0, "2 heard, force True, dry run False\n")


def test_a_dry_run_is_handed_on(place: Path) -> None:
    assert run(place, "feel", "music", "--count", "--dry-run")[1] == "2 heard, force False, dry run True\n"


def test_flags_may_bring_the_recordings(place: Path) -> None:
    code, out, _ = run(place, "feel", "--and", "c.wav")
    assert (code, out) == (0, "1 heard, force False, dry run False\n")


def test_a_failure_at_the_end_is_one_line_and_exit_code_3(place: Path) -> None:
    code, out, err = run(place, "feel", "music", "--and", "c.wav")
    assert (code, out) == (3, "")
    assert "three are too many" in err and "Traceback" not in err


def test_a_broken_recording_among_others_is_one_line(place: Path) -> None:
    (place / "music" / "broken.wav").write_bytes(b"no audio")
    code, out, err = run(place, "feel", "music", "--count")
    assert (code, out) == (3, "2 heard, force False, dry run False\n")
    assert "broken.wav" in err


def test_without_recordings_it_is_said_what_to_name(place: Path) -> None:
    code, _, err = run(place, "feel", "--count")
    assert code == 2 and "name the recordings" in err
