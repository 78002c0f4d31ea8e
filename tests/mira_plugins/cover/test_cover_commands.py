"""``mira cover-index`` as a process: what it prints, what goes wrong, and what a kill leaves."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from pathlib import Path

import numpy as np
import pytest
from covermusic import nobody, run, start, tones
from mira_plugins.cover.index import Index, writing


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A folder of recordings and its index; tests that change one copy both."""
    folder = tmp_path_factory.mktemp("built")
    for i in range(3):
        tones(folder / "songs" / f"{i}.wav", i)
    shutil.copy(folder / "songs" / "0.wav", folder / "songs" / "copy of 0.wav")
    code, out, err = run("build", folder / "songs", "--index", folder / "index")
    assert code == 0 and out == "", err
    assert err.count("done ") + err.count("moved or copied") >= 3
    return folder / "songs", folder / "index"


@pytest.fixture
def own(built: tuple[Path, Path], tmp_path: Path) -> Path:
    """A copy of the index."""
    return shutil.copytree(built[1], tmp_path / "own")


def test_a_query_prints_one_json_line_without_the_recording_itself(built: tuple[Path, Path]) -> None:
    songs, index = built
    code, out, err = run("query", songs / "0.wav", songs / "1.wav", "--index", index, "--top", "2", "--json")
    assert code == 0, err
    lines = [json.loads(line) for line in out.splitlines()]
    assert [set(line) for line in lines] == [{"query", "matches"}] * 2
    assert lines[0]["query"] == str(songs / "0.wav")
    names = [Path(m["path"]).name for m in lines[0]["matches"]]
    assert len(names) == 2 and not {"0.wav", "copy of 0.wav"} & set(names)
    assert set(lines[0]["matches"][0]) == {"path", "score", "probability", "transposition", "spans"}


def test_all_asks_for_every_track(built: tuple[Path, Path]) -> None:
    code, out, _ = run("query", "--all", "--index", built[1], "--json")
    assert code == 0
    assert len({json.loads(line)["query"] for line in out.splitlines()}) == 4


def test_a_recording_that_the_index_has_not_is_analysed(built: tuple[Path, Path], tmp_path: Path) -> None:
    code, out, err = run("query", tones(tmp_path / "new.wav", 9), "--index", built[1], "--json")
    assert code == 0, err
    assert len(json.loads(out)["matches"]) == 4


def test_one_bad_query_does_not_stop_the_others(built: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "text.wav").write_text("no audio")
    songs, index = built
    code, out, err = run(
        "query", tmp_path / "text.wav", "gone.wav", songs / "1.wav", "--index", index, "--json"
    )
    assert code == 3
    assert json.loads(out)["query"] == str(songs / "1.wav")
    assert "text.wav" in err and "gone.wav" in err


def test_a_second_build_has_nothing_to_do(built: tuple[Path, Path], own: Path) -> None:
    code, _, err = run("build", built[0], "--index", own)
    assert code == 0
    assert "0 analysed, 0 moved or copied, 4 there already" in err


def test_a_bad_recording_fails_alone(own: Path, tmp_path: Path) -> None:
    music = tmp_path / "music"
    tones(music / "good.wav", 5)
    (music / "bad.wav").write_text("no audio")
    code, _, err = run("add", music, "--index", own)
    assert code == 3
    assert "bad.wav" in err and "1 analysed" in err and "1 failed" in err


def test_changed_moved_and_lost_files_are_noticed(tmp_path: Path) -> None:
    music, index = tmp_path / "music", tmp_path / "index"
    for i in range(3):
        tones(music / f"{i}.wav", i)
    assert run("build", music, "--index", index, "--quiet")[0] == 0
    (music / "0.wav").rename(music / "renamed.wav")
    tones(music / "1.wav", 7)
    (music / "2.wav").unlink()
    code, _, err = run("update", "--index", index)
    assert code == 3
    assert "1 analysed, 1 moved or copied" in err
    assert "1 file gone, such as" in err and "--missing" in err
    code, out, _ = run("query", music / "2.wav", "--index", index, "--json")
    assert code == 0 and len(json.loads(out)["matches"]) == 2  # known by its name
    assert run("remove", "--missing", "--index", index)[0] == 0
    code, out, _ = run("info", "--tracks", "--index", index)
    assert code == 0
    assert "renamed.wav" in out and "2.wav" not in out and "0.wav" not in out
    assert run("verify", "--index", index)[0] == 0


@pytest.mark.parametrize(
    ("args", "code", "says"),
    [
        (("query", "x.wav", "--index", "nowhere"), 3, "no index there; make one: mira cover-index build"),
        (("info", "--index", "nowhere"), 3, "no index there"),
        (("add", "x.wav", "--index", "nowhere"), 3, "no index there"),
        (("build", "empty", "--index", "new"), 3, "no audio file in this folder"),
        (("query", "--index", "nowhere"), 2, "name recordings to ask for, or say --all"),
        (("build", "empty", "--index", "new", "--store", "shelf"), 2, "--store is 'shelf'"),
        (("export", "-o", "x.txt", "--index", "nowhere"), 2, "must end in .npz"),
    ],
)
def test_misuse_is_one_clear_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, args: tuple[str, ...], code: int, says: str
) -> None:
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    found, _, err = run(*args)
    assert found == code
    assert says in err


def test_an_empty_index_answers_with_no_match(tmp_path: Path) -> None:
    Index(tmp_path / "index", create="faiss").close()
    code, out, err = run("query", tones(tmp_path / "a.wav", 1), "--index", tmp_path / "index", "--json")
    assert code == 0, err
    assert json.loads(out)["matches"] == []
    assert run("verify", "--index", tmp_path / "index")[0] == 0


def test_two_builds_at_once_are_one_too_many(own: Path, built: tuple[Path, Path]) -> None:
    with writing(own):
        code, _, err = run("build", built[0], "--index", own)
        assert code == 3 and "another mira is writing to this index" in err
        assert run("query", "--all", "--index", own)[0] == 0
    assert run("build", built[0], "--index", own)[0] == 0


def test_a_server_that_does_not_answer_is_one_clear_line_before_any_work(
    built: tuple[Path, Path], tmp_path: Path
) -> None:
    pytest.importorskip("qdrant_client")
    new = tmp_path / "new"
    code, _, err = run("build", built[0], "--index", new, "--store", nobody())
    assert code == 3
    assert err.count("\n") == 1 and "no answer" in err and "see that the server runs" in err
    assert not (new / "manifest.json").exists()  # another address may be named
    assert run("build", built[0], "--index", new)[0] == 0


def test_a_server_that_is_gone_takes_no_track_with_it(
    own: Path, built: tuple[Path, Path], tmp_path: Path
) -> None:
    pytest.importorskip("qdrant_client")
    manifest = json.loads((own / "manifest.json").read_text())
    (own / "manifest.json").write_text(json.dumps(manifest | {"store": f"{nobody()}#songs"}))
    for verb in (("build", built[0]), ("add", built[0]), ("query", "--all"), ("info",), ("verify",)):
        code, _, err = run(*verb, "--index", own)
        assert code == 3 and err.count("\n") == 1 and "no answer" in err, err
    assert run("merge", own, "--index", tmp_path / "rescued")[0] == 0
    code, out, _ = run("query", built[0] / "0.wav", "--index", tmp_path / "rescued", "--json")
    assert code == 0 and len(json.loads(out)["matches"]) == 2
    (own / "manifest.json").write_text(json.dumps(manifest))
    assert run("verify", "--index", own)[0] == 0


def test_groups_export_and_merge(own: Path, tmp_path: Path) -> None:
    code, _, err = run("groups", "--index", own, "--threshold", "0.5", "--plot", tmp_path / "groups.png")
    assert code == 0, err
    assert (tmp_path / "groups.png").read_bytes().startswith(b"\x89PNG")
    assert run("export", "-o", tmp_path / "all.npz", "--index", own)[0] == 0
    with np.load(tmp_path / "all.npz") as archive:
        assert archive["vectors"].shape[0] == len(archive["paths"]) == 4
    assert run("merge", own, "--index", tmp_path / "merged")[0] == 0
    assert run("verify", "--index", tmp_path / "merged")[0] == 0


@pytest.mark.slow
def test_kills_lose_nothing_that_was_reported_as_done(tmp_path: Path) -> None:
    """Builds are killed at random moments; what was said to be done is in the index, and sound."""
    music, index = tmp_path / "music", tmp_path / "index"
    for i in range(30):
        tones(music / f"{i:02}.wav", i, seconds=1.0)
    rng = np.random.default_rng(0)
    reported: set[str] = set()
    for _ in range(8):
        process = start("build", music, "--index", index, "--threads", "1")
        assert process.stderr is not None
        wanted = int(rng.integers(1, 6))
        for line in process.stderr:
            if line.startswith("mira: done "):
                reported.add(line.removeprefix("mira: done ").strip())
                wanted -= 1
                if not wanted:
                    break
        time.sleep(float(rng.uniform(0, 0.1)))
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        if (index / "manifest.json").exists():
            with Index(index) as opened:
                assert reported <= set(opened.catalogue.paths())
                assert opened.catalogue.damaged() == []
    code, _, err = run("build", music, "--index", index, "--threads", "1")
    assert code == 0, err
    with Index(index) as opened:
        assert opened.catalogue.count() == 30
        assert opened.damaged() == []
