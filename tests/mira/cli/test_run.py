"""What a task command prints, writes and returns."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from fakes import recording

Command = Callable[..., tuple[int, str, str]]


def _files(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def test_one_file_without_output_is_printed_as_text(command: Command, music: Path) -> None:
    code, out, err = command("hear", "music/a.wav")
    assert (code, err) == (0, "")
    assert out.splitlines()[0].startswith("start_s,")
    assert len(out.splitlines()) == 2
    code, out, _ = command("feel", "music/a.wav", "--format", "json")
    assert json.loads(out)["kind"] == "tags"


def test_suffix_picks_the_format_of_each_output(command: Command, music: Path) -> None:
    code, out, err = command(
        "hear", "music/a.wav", "-o", "x.mid", "-o", "x.json", "--format", "csv", "-o", "-"
    )
    assert (code, out[:8]) == (0, "start_s,")
    assert Path("x.mid").read_bytes()[:8] == b"start_s,"  # --format goes before the suffix
    code, out, err = command("hear", "music/a.wav", "-o", "y.mid", "-o", "y.json")
    assert (code, out, err) == (0, "", "mira: wrote y.mid, y.json\n")
    assert Path("y.mid").read_bytes()[:4] == b"MThd"
    assert json.loads(Path("y.json").read_text())["path"] == "music/a.wav"


def test_a_format_with_a_flag_of_its_own_is_written_beside_the_others(command: Command, music: Path) -> None:
    code, _, _ = command("hear", "music/a.wav", "-o", "a.mid", "--csv", "table.txt")
    assert code == 0 and Path("a.mid").read_bytes()[:4] == b"MThd"
    assert Path("table.txt").read_text().startswith("start_s,end_s,pitch")
    code, _, err = command("hear", "music", "--out-dir", "out", "--csv", "table.csv")
    assert code == 2 and "--csv takes one recording" in err and not Path("out").exists()


def test_stdout_takes_any_format(command: Command, music: Path, home: Path) -> None:
    from fakes import start

    process = start(home, ["hear", str(music / "a.wav"), "--format", "midi", "-o", "-"])
    out, _ = process.communicate(timeout=120)
    assert (process.returncode, out[:4]) == (0, b"MThd")


def test_folder_is_mirrored_from_its_own_root(command: Command, music: Path) -> None:
    code, out, err = command("hear", "music", "--out-dir", "out", "--format", "midi", "--format", "csv")
    assert (code, out) == (0, "")
    assert "4 recordings: 4 done" in err
    stems = ["a", "b", "sub/c", "sub/deep/d"]
    assert _files(Path("out")) == sorted(f"{s}.{e}" for s in stems for e in ("csv", "mid"))


def test_existing_files_are_refused_kept_and_reported(command: Command, music: Path) -> None:
    Path("out").mkdir()
    Path("out/a.mid").write_text("mine")
    code, _, err = command("hear", "music", "--out-dir", "out")
    assert code == 3
    assert Path("out/a.mid").read_text() == "mine"
    assert len(_files(Path("out"))) == 4
    assert "music/a.wav" in err
    assert "--force" in err
    assert command("hear", "music", "--out-dir", "out", "--force")[0] == 0
    assert Path("out/a.mid").read_bytes()[:4] == b"MThd"


def test_json_lines_hold_results_and_failures(command: Command, music: Path) -> None:
    (music / "empty.wav").touch()
    code, out, err = command("hear", "music", "none.wav", "--json", "--octave", "4", "--quiet")
    lines = {row["path"]: row for row in map(json.loads, out.splitlines())}
    assert code == 3
    assert len(lines) == 6
    good = lines["music/a.wav"]
    assert (good["task"], good["kind"], good["error"]) == ("fake", "notes", None)
    assert good["settings"]["octave"] == 4
    assert good["settings"]["threshold"] == 0.1
    assert good["pitch"] == [48]
    for path in ("music/empty.wav", "none.wav"):
        assert path in lines[path]["error"]
        assert lines[path]["task"] == "fake"
    talk = err.splitlines()
    assert len(talk) == 2
    assert all(line.startswith("mira: ") for line in talk)


def test_json_goes_with_files(command: Command, music: Path) -> None:
    code, out, _ = command("hear", "music", "--json", "--out-dir", "out")
    assert (code, len(out.splitlines()), len(_files(Path("out")))) == (0, 4, 4)


def test_dry_run_says_what_would_be_written_and_writes_nothing(command: Command, music: Path) -> None:
    code, out, _ = command("hear", "music", "--out-dir", "out", "--dry-run")
    assert (code, out.splitlines()[0]) == (0, f"music/a.wav -> {os.path.join('out', 'a.mid')}")
    assert len(out.splitlines()) == 4
    assert not Path("out").exists()
    code, _, err = command("hear", "none.wav", "music/*.opus", "--out-dir", "out", "--dry-run")
    assert code == 3
    assert "no file matches" in err


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (["music"], "--out-dir"),
        (["music", "-o", "x.mid"], "--out-dir"),
        (["music", "--plot", "x.png"], "--out-dir"),
        (["music/a.wav", "--format", "csv", "--format", "midi"], "--out-dir"),
        (["music/a.wav", "--format", "nothing"], "midi"),
        (["music/a.wav", "-o", "x.xyz"], "midi"),
        (["music/a.wav", "-o", "x"], "midi"),
        (["music/a.wav", "--json", "-o", "-"], "--json"),
        (["music/a.wav", "--resume"], "--out-dir"),
        (["music/a.wav", "--threshold", "7"], "at most 1"),
        (["music/a.wav", "--shape", "square"], "flat, round"),
        (["music/a.wav", "-j", "0"], "at least 1"),
        (["music/a.wav", "--raw-rate", "8000"], "standard input"),
        (["-", "-j", "2"], "standard input"),
        (["music/a.wav", "--cluster", "tcp://x", "-j", "2"], "--jobs"),
        (["music/a.wav", "--octave", "high"], "--octave"),
        (["--octave", "3"], "PATH"),
    ],
)
def test_wrong_use_is_exit_2_and_says_what_to_do(
    command: Command, music: Path, args: list[str], told: str
) -> None:
    code, out, err = command("hear", *args)
    assert (code, out) == (2, "")
    assert told in err
    assert _files(Path()) == sorted(f for f in _files(Path()) if f.startswith(("music", "home")))


def test_two_recordings_for_one_output_are_found_before_the_work(command: Command, music: Path) -> None:
    recording(music / "a.flac.wav")
    os.rename(music / "a.flac.wav", music / "a.flac")
    code, _, err = command("hear", "music", "--out-dir", "out")
    assert code == 2
    assert "music/a.flac" in err
    assert "music/a.wav" in err
    assert not Path("out").exists()


def test_unknown_command_is_exit_2_and_names_plugins_that_failed(
    command: Command, home: Path, music: Path
) -> None:
    from fakes import install_plugin

    install_plugin(home, "raise RuntimeError('no luck')", "sad_plugin")
    code, _, err = command("weep", "music/a.wav")
    assert code == 2
    assert "weep" in err
    assert "sad-plugin" in err
    assert "no luck" in err
    assert command("hear", "music/a.wav")[0] == 0


def test_analyze_does_several_tasks(command: Command, music: Path) -> None:
    code, out, _ = command("analyze", "music/a.wav", "music/b.wav", "--tasks", "fake,mood", "--json")
    rows = [json.loads(line) for line in out.splitlines()]
    assert code == 0
    assert [(r["path"], r["task"]) for r in rows] == [
        (f"music/{name}.wav", task) for name in "ab" for task in ("fake", "mood")
    ]
    code, *_ = command("analyze", "music/a.wav", "--tasks", "fake,mood", "--out-dir", "out")
    assert (code, _files(Path("out"))) == (0, ["a.fake.mid", "a.mood.json"])
    code, *_ = command("analyze", "music/a.wav", "--tasks", "fake,mood", "-o", "x.mid")
    assert (code, Path("x.mid").exists()) == (0, True)


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (["--tasks", "fake,nothing"], "nothing"),
        ([], "--tasks"),
        (["--tasks", "fake,mood", "-o", "x.json"], "--out-dir"),
    ],
)
def test_analyze_used_wrongly_is_exit_2(command: Command, music: Path, args: list[str], told: str) -> None:
    code, _, err = command("analyze", "music/a.wav", *args)
    assert code == 2
    assert told in err


def test_one_failing_task_leaves_the_others(command: Command, music: Path) -> None:
    code, out, err = command("analyze", "music/a.wav", "--tasks", "broken,fake", "--json")
    errors = {row["task"]: row["error"] for row in map(json.loads, out.splitlines())}
    assert code == 3
    assert errors["fake"] is None
    assert "KeyError" in errors["broken"]
    assert "--debug" in err


def test_debug_shows_where_a_plugin_failed(command: Command, music: Path) -> None:
    code, _, err = command("break", "music/a.wav", "--debug")
    assert code == 3
    assert "Traceback" in err
    assert "in broken" in err
    assert "Traceback" not in command("break", "music/a.wav")[2]


def test_error_of_the_program_is_exit_1(
    command: Command, music: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mira.cli import run

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("impossible")

    monkeypatch.setattr(run, "expand", broken)
    code, _, err = command("hear", "music/a.wav")
    assert code == 1
    assert err.startswith("mira: internal error: RuntimeError: impossible")
    assert "--debug" in err
    assert len(err.splitlines()) == 1


def test_warnings_of_a_recording_are_one_line_each(command: Command, music: Path) -> None:
    data = (music / "b.wav").read_bytes()
    (music / "b.wav").write_bytes(data[: len(data) // 2])
    code, _, err = command("hear", "music/b.wav", "-o", "x.mid", "--quiet")
    assert code == 0
    assert len(err.splitlines()) == 1
    assert "music/b.wav" in err


def test_resume_does_only_what_is_missing_or_changed(command: Command, music: Path) -> None:
    command("hear", "music", "--out-dir", "out")
    _, _, err = command("hear", "music", "--out-dir", "out", "--resume")
    assert "4 skipped" in err
    Path("out/a.mid").unlink()
    recording(music / "b.wav", seed=9, notes=7)
    _, _, err = command("hear", "music", "--out-dir", "out", "--resume")
    assert "2 done, 2 skipped" in err
    _, _, err = command("hear", "music", "--out-dir", "out", "--resume", "--octave", "2")
    assert "4 done, 0 skipped" in err
    assert command("hear", "music", "--out-dir", "clean", "--octave", "2")[0] == 0
    for name in _files(Path("clean")):
        assert (Path("out") / name).read_bytes() == (Path("clean") / name).read_bytes()


def test_resume_prints_the_same_json(command: Command, music: Path) -> None:
    _, first, _ = command("hear", "music", "--out-dir", "out", "--json")
    _, again, err = command("hear", "music", "--out-dir", "out", "--json", "--resume")
    assert "4 skipped" in err
    assert again == first


def test_resume_keeps_a_file_that_somebody_changed(command: Command, music: Path) -> None:
    command("hear", "music", "--out-dir", "out")
    Path("out/a.mid").write_text("corrected by hand")
    code, _, err = command("hear", "music", "--out-dir", "out", "--resume")
    assert code == 3
    assert "out/a.mid" in err
    assert Path("out/a.mid").read_text() == "corrected by hand"


def test_resume_without_a_store_adopts_what_is_right(command: Command, music: Path, home: Path) -> None:
    command("hear", "music", "--out-dir", "out")
    for path in home.glob("store.sqlite*"):
        path.unlink()
    code, _, err = command("hear", "music", "--out-dir", "out", "--resume")
    assert (code, "4 done" in err) == (0, True)
    assert "4 skipped" in command("hear", "music", "--out-dir", "out", "--resume")[2]


def test_store_that_cannot_be_used_is_one_warning(
    command: Command, music: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MIRA_STORE", str(music / "a.wav" / "store"))
    code, _, err = command("hear", "music", "--out-dir", "out")
    assert code == 0
    assert len(err.splitlines()) == 2
    assert "going on without it" in err


@pytest.mark.parametrize(
    "args",
    [
        ("--out-dir", "file"),
        ("-o", "file/a.mid"),
        ("-o", "none/a.mid"),
        ("-o", "music", "--format", "midi"),
        ("-o", "/proc/a.mid"),
    ],
)
def test_output_place_that_cannot_be_is_one_line(
    command: Command, music: Path, args: tuple[str, ...]
) -> None:
    Path("file").touch()
    code, out, err = command("hear", "music/a.wav", *args, "-q")
    assert (code, out) == (3, "")
    assert len(err.splitlines()) == 1


def test_folder_without_audio_is_exit_3(command: Command, music: Path) -> None:
    Path("papers").mkdir()
    code, _, err = command("hear", "papers", "--out-dir", "out")
    assert code == 3
    assert "no audio file" in err
