from __future__ import annotations

import json
from pathlib import Path

import h5py
import jams
import numpy as np
import pytest
import soundfile
from mira.errors import AudioError, DataError, OutputError
from mira_train.data.annotation_files import read_annotations
from mira_train.data.convert import audio_file_of, folder_to_set, set_to_folder
from mira_train.data.entries import Atom, Definition
from mira_train.data.hdf5 import AudioReader, AudioWriter
from mira_train.data.inspection import check, info
from mira_train.data.pyjama import PyjamaReader, PyjamaWriter, find_problems

RATE = 22050


def tone(seconds: float) -> np.ndarray:
    return (0.5 * np.sin(np.arange(int(seconds * RATE)) * 0.1)).astype(np.float32)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "in"
    (root / "jazz").mkdir(parents=True)
    soundfile.write(root / "jazz" / "one.wav", tone(1.0), RATE, "FLOAT")
    soundfile.write(root / "two.00000.flac", np.stack([tone(0.5)] * 2, axis=1), 44100)
    (root / "jazz" / "one.lab").write_text("0.0 0.5 N:-\n0.5\t1.0\tA:min\n")
    (root / "jazz" / "one.beat.csv").write_text("time,value\n0.1,1\n0.6,2\n")
    (root / "two.00000.pitchmidi.csv").write_text(
        "onset_s,offset_s,pitch,velocity\n0,0.25,60,90\n0.1,0.2,67,80\n"
    )
    (root / "two.00000.f0.csv").write_text("time,voice_1,voice_2\n0.0,60.1,\n0.01,60.2,67\n")
    (root / "annotations.csv").write_text(
        "filepath,genre,tag,year\njazz/one.wav,jazz,slow,1959\njazz/one.wav,,piano,\n"
    )
    return root


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """A .pyjama file with all that a folder must carry, and its audio."""
    definitions = {
        "filepath": Definition("global", constraint="filepath"),
        "title": Definition("global"),
        "tag": Definition("global", "text", "value_in_dictionary", ("a", "b")),
        "chord": Definition("segment"),
        "pitchmidi": Definition("segment", "numeric"),
        "beat": Definition("marker", "numeric"),
        "f0": Definition("breakpoint", "numeric", rows=("x", "y")),
        "pair": Definition("segment"),
    }
    path = tmp_path / "set.pyjama"
    with PyjamaWriter(path, definitions) as writer, AudioWriter(audio_file_of(path)) as audio:
        for key in ("deep+++1.wav", "2.mp3"):
            audio.add(key, RATE, [tone(0.5), tone(0.25)])
            writer.write(
                {
                    "filepath": [Atom(key)],
                    "title": [Atom("1979")],
                    "tag": [Atom("a"), Atom("b")],
                    "chord": [Atom("N:-", 0.0, 0.1), Atom("A:min", 0.1, 0.30000000000000004, confidence=0.5)],
                    "pitchmidi": [Atom(60, 0.0, 0.25), Atom(64, 0.25, 0.5)],
                    "beat": [Atom(1, 0.125)],
                    "f0": [Atom(np.array([[60.5, np.nan], [61.25, 62.0]]), np.array([0.0, 0.01]))],
                    "pair": [Atom(["C", "major"], 0.0, 1.0)],
                }
            )
    return path


# --- bad input: a clear error, nothing left ---


def left_behind(tmp_path: Path, *known: str) -> list[str]:
    return sorted(p.name for p in tmp_path.iterdir() if p.name not in known)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("jazz/one.x.csv", "", "header"),
        ("jazz/one.x.csv", "value\n1\n", "line 1: no column with the time"),
        ("jazz/one.x.csv", "time,end\n0,1\n", "line 1: no column with the value"),
        ("jazz/one.x.csv", "time,value\n0,1\nsoon,2\n", "line 3: time: 'soon' is not a number"),
        ("jazz/one.x.csv", "time,end,value\n1,0.5,2\n", "line 2: ends before it starts"),
        ("jazz/one.x.csv", "time,value\n0,1,2\n", "line 2: 3 columns, but the header has 2"),
        ("jazz/one.x.csv", "time,value\n0,\n", "line 2: value: is empty"),
        ("jazz/one.x.lab", "0 1 a\n0.5 b\n", "line 2: must be"),
        ("jazz/one.x.lab", "0 nan a\n", "line 1: end: 'nan'"),
        ("jazz/one.x.mid", "MThd", "not a MIDI file"),
        ("jazz/one.x.jams", "{}", "not a JAMS file"),
        ("jazz/three.lab", "0 1 a\n", "no recording of that name"),
        ("annotations.csv", "filepath,tag\nnone.wav,x\n", "line 2: no recording 'none.wav'"),
        ("annotations.csv", "path,tag\n", "no column 'filepath'"),
        ("definitions.json", "{", "cannot be read"),
    ],
)
def test_bad_annotation_file_is_named_and_nothing_is_left(
    folder: Path, tmp_path: Path, name: str, text: str, said: str
) -> None:
    (folder / name).write_text(text)
    with pytest.raises(DataError, match=said) as error:
        folder_to_set(folder, tmp_path / "out")
    assert Path(name).name in str(error.value)
    assert left_behind(tmp_path, "in") == []


def test_broken_recording_leaves_nothing(folder: Path, tmp_path: Path) -> None:
    (folder / "zz.wav").write_bytes(b"RIFF")
    with pytest.raises(AudioError, match=r"zz\.wav"):
        folder_to_set(folder, tmp_path / "out")
    assert left_behind(tmp_path, "in") == []


def test_missing_audio_is_named_and_nothing_is_left(dataset: Path, tmp_path: Path) -> None:
    audio = audio_file_of(dataset)
    with h5py.File(audio, "a") as file:
        del file["2.mp3"]
    assert check(dataset) == [f"{dataset}: entry 1 (2.mp3): filepath: '2.mp3' is not in {audio.name}"]
    with pytest.raises(DataError, match=r"no audio for entry 1 \(2.mp3\)"):
        set_to_folder(dataset, tmp_path / "out")
    assert left_behind(tmp_path, dataset.name, audio.name) == []


def test_truncated_hdf5_is_named_and_nothing_is_left(dataset: Path, tmp_path: Path) -> None:
    audio = audio_file_of(dataset)
    audio.write_bytes(audio.read_bytes()[:-100])
    assert "truncated" in check(audio)[0] and "truncated" in check(dataset)[0]
    with pytest.raises(DataError, match="truncated"):
        set_to_folder(dataset, tmp_path / "out")
    assert left_behind(tmp_path, dataset.name, audio.name) == []


def test_key_that_leads_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "set.pyjama"
    with PyjamaWriter(path, {"filepath": Definition("global")}) as writer:
        writer.write({"filepath": [Atom("..+++evil.wav")]})
    with h5py.File(audio_file_of(path), "w") as file:
        file["..+++evil.wav"] = tone(0.1)
        file["..+++evil.wav"].attrs["sr_hz"] = RATE
    with pytest.raises(DataError, match="does not name a file inside"):
        set_to_folder(path, tmp_path / "deep" / "out")
    assert not (tmp_path / "evil.wav").exists() and not list(tmp_path.rglob("*.tmp"))


def test_nothing_is_overwritten(folder: Path, dataset: Path, tmp_path: Path) -> None:
    before = dataset.read_bytes()
    with pytest.raises(OutputError, match="exists already"):
        folder_to_set(folder, dataset)
    with pytest.raises(OutputError, match="exists already"):
        set_to_folder(dataset, folder)
    assert dataset.read_bytes() == before
    folder_to_set(folder, dataset, force=True)
    assert dataset.read_bytes() != before


# --- folder -> data set ---


def test_folder_becomes_a_data_set(folder: Path, tmp_path: Path) -> None:
    counts = folder_to_set(folder, tmp_path / "out")
    assert counts.recordings == 2 and counts.seconds == pytest.approx(1.25, abs=0.01)
    path = tmp_path / "out.pyjama"
    assert find_problems(path) == [] and check(path) == [] and check(audio_file_of(path)) == []
    one, two = PyjamaReader(path)
    assert (one.filepath, two.filepath) == ("jazz+++one.wav", "two.00000.flac")
    assert [(a.value, a.time, a.duration) for a in one["chord"]] == [("N:-", 0, 0.5), ("A:min", 0.5, 0.5)]
    assert [(a.value, a.time) for a in one["beat"]] == [(1, 0.1), (2, 0.6)]
    assert [a.value for a in one["tag"]] == ["slow", "piano"] and one["year"][0].value == 1959
    assert [(a.value, a.end_s) for a in two["pitchmidi"]] == [(60, 0.25), (67, 0.2)]
    np.testing.assert_array_equal(two["f0"][0].value, [[60.1, 60.2], [np.nan, 67]])
    with AudioReader(audio_file_of(path)) as audio:
        np.testing.assert_array_equal(audio.read("jazz+++one.wav"), tone(1.0))
        assert audio.sample_rate("two.00000.flac") == RATE


def test_midi_and_jams_beside_a_recording(folder: Path, tmp_path: Path) -> None:
    import pretty_midi

    midi = pretty_midi.PrettyMIDI()
    piano, drums = pretty_midi.Instrument(0), pretty_midi.Instrument(0, is_drum=True)
    piano.notes = [pretty_midi.Note(90, 60, 0.5, 1.0), pretty_midi.Note(90, 60, 1.0, 1.5)]
    drums.notes = [pretty_midi.Note(90, 40, 0.0, 1.0)]
    midi.instruments = [piano, drums]
    midi.write(str(folder / "jazz" / "one.mid"))
    notes = read_annotations(folder / "jazz" / "one.mid")["pitchmidi"].atoms
    assert [a.value for a in notes] == [60, 60]
    np.testing.assert_allclose([(a.time, a.end_s) for a in notes], [(0.5, 1.0), (1.0, 1.5)], atol=0.003)

    document = jams.JAMS()
    document.file_metadata.duration = 1
    chords = jams.Annotation("chord", duration=1)
    chords.append(time=0, duration=1, value="N", confidence=0.5)
    contour = jams.Annotation("pitch_contour", duration=1)
    contour.append(time=0, duration=0, value={"index": 0, "frequency": 440.0, "voiced": True})
    contour.append(time=0.1, duration=0, value={"index": 0, "frequency": 0.0, "voiced": False})
    document.annotations.extend([chords, contour])
    document.save(str(folder / "two.00000.jams"))
    read = read_annotations(folder / "two.00000.jams")
    assert [(a.value, a.duration, a.confidence) for a in read["chord"].atoms] == [("N", 1.0, 0.5)]
    np.testing.assert_allclose(read["f0"].atoms[0].value, [[69, np.nan]])


# --- there and back ---


@pytest.mark.parametrize("kind", ["csv", "lab", "mid", "jams"])
def test_data_set_survives_the_way_through_a_folder(dataset: Path, tmp_path: Path, kind: str) -> None:
    set_to_folder(dataset, tmp_path / "out", kind=kind)
    folder_to_set(tmp_path / "out", tmp_path / "back")
    back, first = PyjamaReader(tmp_path / "back.pyjama"), PyjamaReader(dataset)
    by_key = {entry.filepath: entry for entry in back}
    assert set(by_key) == {"deep+++1.wav", "2.mp3.wav"}
    for entry in first:
        other = by_key.get(entry.filepath) or by_key[entry.filepath + ".wav"]
        assert set(other.annotations) == set(entry.annotations)
        for name in ("title", "tag", "chord", "pitchmidi", "beat", "pair"):
            assert [a.value for a in other[name]] == [a.value for a in entry[name]], name
            tolerance = 0.002 if (kind, name) == ("mid", "pitchmidi") else 1e-9
            for a, b in zip(other[name], entry[name]):
                np.testing.assert_allclose(a.times, b.times, atol=tolerance)
                assert a.end_s == pytest.approx(b.end_s, abs=tolerance)
                assert a.confidence == b.confidence
        np.testing.assert_array_equal(other["f0"][0].value, entry["f0"][0].value)
    for name, definition in first.definitions.items():
        assert back.definitions[name].content == definition.content, name
    assert back.definitions["tag"].dictionary == ("a", "b")
    with AudioReader(audio_file_of(dataset)) as old, AudioReader(audio_file_of(back.path)) as new:
        np.testing.assert_array_equal(old.read("2.mp3"), new.read("2.mp3.wav"))
    size = audio_file_of(back.path).stat().st_size
    assert size < 1.6 * audio_file_of(dataset).stat().st_size


def test_jams_files_are_valid(dataset: Path, tmp_path: Path) -> None:
    set_to_folder(dataset, tmp_path / "out", kind="jams")
    files = sorted((tmp_path / "out").rglob("*.jams"))
    assert len(files) == 10
    for path in files:
        assert jams.load(str(path), validate=True, strict=True).annotations[0].data is not None


def test_shared_clock_becomes_times_of_each_curve(tmp_path: Path) -> None:
    path = tmp_path / "set.pyjama"
    definitions = {
        "filepath": Definition("global"),
        "clock": Definition("breakpoint_time", "numeric"),
        "mfcc": Definition("breakpoint_value", "numeric", rows=("a", "b")),
    }
    with PyjamaWriter(path, definitions) as writer, AudioWriter(audio_file_of(path)) as audio:
        audio.add("1.wav", RATE, [tone(0.1)])
        curve = Atom(np.array([[1.0, 2.0], [3.0, 4.0]]))
        writer.write({"filepath": [Atom("1.wav")], "clock": [Atom(np.array([[0.0, 0.5]]))], "mfcc": [curve]})
    set_to_folder(path, tmp_path / "out")
    assert (tmp_path / "out" / "1.mfcc.csv").read_text().split() == ["time,a,b", "0.0,1.0,3.0", "0.5,2.0,4.0"]


# --- info ---


def test_info_counts_what_is_there(dataset: Path) -> None:
    found = info(dataset)
    assert (found["entries"], found["version"], found["latest_annotation_s"]) == (2, 1.41, 1.0)
    assert found["names"]["chord"]["values"] == {"A:min": 2, "N:-": 2}
    assert found["names"]["beat"] == {
        "extent": "marker",
        "content": "numeric",
        "entries": 2,
        "annotations": 2,
    }
    audio = info(audio_file_of(dataset))
    assert audio["recordings"] == 2 and audio["sample_rates"] == {"22050": 2}
    assert audio["duration_s"]["total"] == pytest.approx(1.5, abs=0.001)
    json.dumps([found, audio])


def test_other_files_are_refused(tmp_path: Path) -> None:
    for work in (check, info):
        with pytest.raises(DataError, match=r"neither a \.pyjama nor a \.hdf5"):
            work(tmp_path / "a.txt")


def test_check_of_feature_sets_goes_by_another_key(tmp_path: Path) -> None:
    path = tmp_path / "cover.pyjama"
    definitions = {"filepath": Definition("global"), "performance-id": Definition("global")}
    with PyjamaWriter(path, definitions) as writer:
        writer.write({"filepath": [Atom("1")], "performance-id": [Atom("P_1")]})
    with h5py.File(tmp_path / "cover_feat.hdf5", "w") as file:
        file["P_1"] = np.zeros((50, 12), np.float32)
        file["P_2"] = np.full((50, 12), np.nan, np.float32)
    assert len(check(path)) == 3
    lines = check(path, key="performance-id")
    assert lines == [f"{tmp_path / 'cover_feat.hdf5'}: key 'P_2' has no entry in cover.pyjama"]
    assert "key 'P_2' holds values that are not numbers" in check(tmp_path / "cover_feat.hdf5")[0]
    assert info(tmp_path / "cover_feat.hdf5")["frames"]["longest"] == 50
