"""``mira tag`` with the shipped model: what it prints, what it does with many recordings, what it refuses."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from mira import analysis, plugins
from mira.__main__ import main
from mira.testing import check_plugin
from mira_plugins.tagging.vocabulary import GENRES, INSTRUMENTS

RATE = 22050
Command = Callable[..., tuple[int, str, str]]


def chord(seconds: float, hz: float, decay: float = 3.0) -> np.ndarray:
    """Plucked tones, one each half second."""
    time = np.arange(round(seconds * RATE)) / RATE
    tones = sum(np.sin(2 * np.pi * hz * k * time) / k for k in range(1, 9))
    return (0.2 * tones * np.exp(-decay * (time % 0.5))).astype(np.float32)


@pytest.fixture
def command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Iterator[Command]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MIRA_STORE", str(tmp_path / "store.sqlite"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))

    def run(*arguments: str) -> tuple[int, str, str]:
        code = main([*arguments, "--threads", "1"])
        out, err = capfd.readouterr()
        return int(code), out, err

    plugins.load_plugins.cache_clear()
    analysis.shared_model.cache_clear()
    yield run
    analysis.shared_model.cache_clear()


@pytest.fixture
def music(tmp_path: Path) -> Path:
    folder = tmp_path / "music"
    folder.mkdir()
    for i in range(2):
        soundfile.write(folder / f"low{i}.flac", chord(4, 82 + i, 1), RATE)
        soundfile.write(folder / f"high{i}.flac", chord(4, 880 + 20 * i, 12), RATE)
    return folder


def test_the_plugin_keeps_its_contract() -> None:
    assert check_plugin("mira_plugins.tagging") == []


def test_a_folder_is_a_line_a_recording(command: Command, music: Path) -> None:
    code, out, err = command("tag", "music")
    assert code == 0 and len(out.splitlines()) == 4 and "4 done" in err
    assert all("voice 0." in line or "voice 1." in line for line in out.splitlines())


def test_json_names_every_tag(command: Command, music: Path) -> None:
    code, out, _ = command("tag", "music/low0.flac", "--json")
    told = json.loads(out)
    assert code == 0 and set(told["genre"]) == set(GENRES)
    assert (
        set(told["instruments"]) == {*INSTRUMENTS, "voice"} and told["voice"] == told["instruments"]["voice"]
    )
    assert "vector" not in told


@pytest.mark.parametrize("kind", ["silence", "faint noise", "noise"])
def test_what_is_no_music_gets_no_confident_tag(command: Command, tmp_path: Path, kind: str) -> None:
    gain = {"silence": 0.0, "faint noise": 1e-4, "noise": 0.2}[kind]
    noise = gain * np.random.default_rng(0).standard_normal(5 * RATE)
    soundfile.write(tmp_path / "x.wav", noise, RATE, subtype="FLOAT")
    told = json.loads(command("tag", "x.wav", "--json")[1])
    assert max(*told["genre"].values(), told["voice"], *told["instruments"].values()) < 0.5


def test_a_second_is_enough(command: Command, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "short.wav", chord(1, 220), RATE)
    code, out, _ = command("tag", "short.wav", "--json", "--timeline")
    assert code == 0 and len(json.loads(out)["timeline"]) == 2


def test_a_playlist_holds_what_the_rule_wants(command: Command, music: Path) -> None:
    code, out, _ = command("tag", "music", "--m3u", "voice >= 0")
    assert code == 0 and out.splitlines()[0] == "#EXTM3U"
    assert [line for line in out.splitlines() if line.startswith("/")] == sorted(map(str, music.iterdir()))
    assert command("tag", "music", "--m3u", "voice > 1")[1] == "#EXTM3U\n"


def test_a_wrong_rule_is_refused_before_any_work(command: Command, music: Path) -> None:
    code, out, err = command("tag", "music", "--m3u", "voice >")
    assert (code, out) == (2, "") and "a number is missing" in err


def test_own_tags_are_learned_and_heard(command: Command, music: Path) -> None:
    rows = [f"music/{kind}{i}.flac,{kind}" for kind in ("low", "high") for i in range(2)]
    Path("my-labels.csv").write_text("\n".join(["path,label", *rows]))
    code, out, _ = command("tag", "--fit", "my-labels.csv")
    assert code == 0 and "my-labels.tags.json" in out
    code, out, _ = command("tag", "music/low1.flac", "--json", "--with", "my-labels.tags.json")
    own = json.loads(out)["own"]
    assert code == 0 and own["low"] > own["high"]
    assert "high0.flac" in command("tag", "music", "--with", "my-labels.tags.json", "--m3u", "high")[1]
    code, _, err = command("tag", "--fit", "my-labels.csv")
    assert code == 3 and "--force" in err


@pytest.mark.parametrize(
    ("text", "code", "complaint"),
    [
        ("path,label\nnone.wav,x\n", 3, "no recording"),
        ("path,label\nmusic/low0.flac,x\nmusic/low1.flac,x\n", 3, "every recording is labelled 'x'"),
    ],
)
def test_labels_that_cannot_be_learned_are_refused(
    command: Command, music: Path, text: str, code: int, complaint: str
) -> None:
    Path("my-labels.csv").write_text(text)
    ended, out, err = command("tag", "--fit", "my-labels.csv")
    assert (ended, out) == (code, "") and complaint in err and not Path("my-labels.tags.json").exists()


def test_metadata_is_shown_first_and_written_when_forced(command: Command, music: Path) -> None:
    before = {path.name: path.read_bytes() for path in music.iterdir()}
    Path("all.tags.json").write_text(
        json.dumps({"format": "mira-own-tags", "version": 1, "model": _graph(), "tags": {"odd": _always()}})
    )
    code, out, _ = command("tag", "music", "--write-tags", "--with", "all.tags.json")
    assert code == 0 and out.count("odd 1.00") == 4 and "--force writes it" in out
    assert before == {path.name: path.read_bytes() for path in music.iterdir()}
    audio = {path.name: soundfile.read(path)[0].tobytes() for path in music.iterdir()}
    code, out, _ = command("tag", "music", "--write-tags", "--with", "all.tags.json", "--force")
    assert code == 0 and "old values are kept in" in out
    assert audio == {path.name: soundfile.read(path)[0].tobytes() for path in music.iterdir()}
    assert "comment 'mira: odd 1.00" in command("tag", "music", "--write-tags", "--with", "all.tags.json")[1]


def test_broken_files_in_a_folder_are_a_line_each(command: Command, music: Path) -> None:
    (music / "broken.flac").write_bytes(b"no audio")
    (music / "empty.wav").touch()
    code, out, err = command("tag", "music")
    assert code == 3 and len(out.splitlines()) == 4
    assert "broken.flac" in err and "empty.wav" in err and "Traceback" not in err


def test_a_folder_of_ten_thousand_files_is_finished_whatever_is_broken(
    command: Command, tmp_path: Path
) -> None:
    soundfile.write(tmp_path / "good.wav", chord(0.2, 220), RATE)
    good = (tmp_path / "good.wav").read_bytes()
    broken = (b"", b"no audio at all\n", good[:30], bytes(200))
    folder = tmp_path / "many"
    folder.mkdir()
    for i in range(10_000):
        (folder / f"{i:05}.wav").write_bytes(broken[i % 4] if i % 50 else good)
    code, out, err = command("tag", "many", "--json", "--quiet")
    told = [json.loads(line) for line in out.splitlines()]
    assert code == 3 and len(told) == 10_000 and "Traceback" not in err
    assert [line["path"] for line in told if line["error"] is None] == [
        f"many/{i:05}.wav" for i in range(0, 10_000, 50)
    ]
    assert len(err.splitlines()) == 9_800


def test_a_tag_o_gram_is_drawn(command: Command, music: Path) -> None:
    code, _, _ = command("tag", "music/low0.flac", "--timeline", "--plot", "tags.png")
    assert code == 0 and Path("tags.png").read_bytes()[:4] == b"\x89PNG"
    assert command("tag", "music/low0.flac", "--plot", "bars.svg")[0] == 0


def test_confusion_reliability_and_a_map_of_vectors_are_drawn(command: Command, music: Path) -> None:
    rows = [
        f"{path.name},{('blues', 'jazz')[i % 2]},{i % 2}" for i, path in enumerate(sorted(music.iterdir()))
    ]
    (music / "index.csv").write_text("\n".join(["path,genre,voice", *rows]))
    assert main(["evaluate", "tagging", "--data", "music", "--plots", "p"]) == 0
    assert main(["evaluate", "ssl_embed", "--data", "music", "--plots", "p"]) == 0
    drawn = {path.name for path in Path("p").iterdir()}
    assert drawn == {*(f"{path.name}.png" for path in music.glob("*.flac")), *_PICTURES}


_PICTURES = ("confusion.png", "reliability.png", "embeddings.png")


def _graph() -> str:
    from mira_plugins.tagging.own import model_id

    return model_id()


def _always() -> dict[str, object]:
    return {"slope": [0.0] * 160, "offset": 30.0}
