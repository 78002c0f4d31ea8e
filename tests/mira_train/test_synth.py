"""Rendering scenes into a data set."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import h5py
import mido
import numpy as np
import pytest
from mira.errors import DataError, OutputError, UsageError
from mira_train.data.pyjama import PyjamaReader
from mira_train.demo import SOUNDFONTS, chord_set, note_set
from mira_train.synth import render as rendering
from mira_train.synth.codecs import CODECS, compressed, through
from mira_train.synth.render import Material, render
from mira_train.synth.score import Part, excerpt, loosen, read_midi, without_overlaps
from mira_train.synth.soundfont import SoundFont
from mira_train.synth.tones import render_tones

FONTS = [p for folder in SOUNDFONTS for p in sorted(Path(folder).glob("*.sf2"))]


def midi(path: Path, pitches: list[int], pedal: bool = False) -> None:
    track = mido.MidiTrack()
    if pedal:
        track.append(mido.Message("control_change", control=64, value=127))
    for pitch in pitches:
        track.append(mido.Message("note_on", note=pitch, velocity=80, time=0))
        track.append(mido.Message("note_off", note=pitch, velocity=0, time=240))
    if pedal:
        track.append(mido.Message("control_change", control=64, value=0, time=960))
    mido.MidiFile(tracks=[track], ticks_per_beat=480).save(path)


def material(folder: Path) -> Material:
    folder.mkdir()
    for i in range(3):
        midi(folder / f"piece{i}.mid", [60 + i, 64, 67, 72] * 20)
    return Material(folder, (FONTS[0],) if FONTS else ())


def digest(folder: Path) -> list[np.ndarray]:
    with h5py.File(folder / f"{folder.name}_audio.hdf5") as file:
        return [file[key][()] for key in file]


def test_a_folder_without_midi_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no MIDI file"):
        render(tmp_path / "out", Material(tmp_path, ()), hours=1)


def test_missing_material_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.sf2: no such file"):
        render(tmp_path / "out", Material(tmp_path, (tmp_path / "none.sf2",)), hours=1)


def test_less_than_a_clip_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="less than one clip"):
        render(tmp_path / "out", Material(tmp_path, ()), hours=0)


def test_without_fluidsynth_the_command_to_install_it_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "fluidsynth", None)
    font = tmp_path / "font.sf2"
    font.write_bytes(b"RIFF")
    made = material(tmp_path / "midi")
    with pytest.raises(DataError, match="apt install fluidsynth"):
        render(tmp_path / "out", Material(made.midi, (font,)), hours=1)


def test_a_damaged_midi_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "bad.mid").write_bytes(b"MThd nonsense")
    from mira_train.synth.corpus import Library

    library = Library(tmp_path)
    with pytest.raises(DataError, match=r"bad\.mid"):
        library.read(library.pieces["midi"][0])


@pytest.mark.slow
def test_the_set_is_the_same_whatever_the_number_of_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert FONTS, "this test needs a SoundFont: apt install fluid-soundfont-gm"
    monkeypatch.setattr(rendering, "CLIP_S", 3.0)
    made = material(tmp_path / "midi")
    hours = 3 * 3.0 / 3600
    render(tmp_path / "one", made, hours=hours, seed=5, jobs=3)
    render(tmp_path / "two", made, hours=hours, seed=5, jobs=2)
    render(tmp_path / "other", made, hours=hours, seed=6)
    one, two, other = (digest(tmp_path / name) for name in ("one", "two", "other"))
    # processes may round the last bits otherwise, as one that has done much else does
    assert all(np.allclose(a, b, rtol=0, atol=2e-3) for a, b in zip(one, two, strict=True))
    assert not np.array_equal(one[0], other[0])
    entries = list(PyjamaReader(tmp_path / "one" / "one.pyjama"))
    assert all(
        len(e["pitchmidi"]) == len(e["velocity"]) > 0 and e["work"] and e["instrument"] for e in entries
    )
    told = json.loads((tmp_path / "one" / "manifest.json").read_text())
    assert {source["kind"] for source in told["sources"]} == {"scores", "soundfont"}
    assert all("licence" in source for source in told["sources"])
    with pytest.raises(OutputError, match="--force"):
        render(tmp_path / "one", made, hours=hours)


def test_a_part_sounds_the_same_whatever_was_played_before() -> None:
    assert FONTS, "this test needs a SoundFont: apt install fluid-soundfont-gm"
    notes = np.arange(12)
    part = Part(notes / 10, notes / 10 + 0.3, 50 + 2 * notes, np.full(12, 80))
    fresh = SoundFont(FONTS[0], 16000).render(part, 1.5, program=48)
    used = SoundFont(FONTS[0], 16000)
    used.render(part, 0.9, program=5, detune_cents=20)
    used.attack_s(73, 60)
    assert np.array_equal(used.render(part, 1.5, program=48), fresh) and np.abs(fresh).max() > 0.01


def test_a_file_that_is_no_soundfont_is_named(tmp_path: Path) -> None:
    (tmp_path / "font.sf2").write_bytes(b"RIFF")
    with pytest.raises(DataError, match=r"font\.sf2: not a SoundFont"):
        SoundFont(tmp_path / "font.sf2", 16000)


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("rate", [16000, 22050, 44100])
def test_a_codec_changes_the_sound_but_not_the_times(codec: str, rate: int) -> None:
    part = Part(np.arange(4) * 0.5, np.arange(4) * 0.5 + 0.3, np.array([60, 64, 67, 72]), np.full(4, 90))
    audio = 0.5 * render_tones(part, 2.1, rate)
    heard = through(audio, rate, codec, 0.7)
    assert len(heard) == len(audio) and not np.array_equal(heard, audio)
    assert np.corrcoef(heard, audio)[0, 1] > 0.9
    lags = range(-20, 21)
    likeness = [float(np.dot(np.roll(heard, -lag), audio)) for lag in lags]
    assert abs(lags[int(np.argmax(likeness))]) <= 2


def test_a_quarter_of_the_clips_is_compressed_the_same_for_the_same_seed() -> None:
    audio = np.random.default_rng(0).standard_normal(4000).astype(np.float32) * 0.1
    named = [compressed(audio, 16000, np.random.default_rng(seed))[1] for seed in range(60)]
    assert set(named) == {"", *CODECS} and 5 < sum(map(bool, named)) < 25
    number = next(i for i, name in enumerate(named) if name)
    one, two = (compressed(audio, 16000, np.random.default_rng(number))[0] for _ in range(2))
    assert np.array_equal(one, two)


def test_a_set_has_the_rate_and_the_codecs_that_were_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert FONTS, "this test needs a SoundFont: apt install fluid-soundfont-gm"
    monkeypatch.setattr(rendering, "CLIP_S", 2.0)
    monkeypatch.setattr("mira_train.synth.codecs.SHARE", 1.0)
    made = replace(material(tmp_path / "midi"), sample_rate=22050, codecs=True)
    render(tmp_path / "set", made, hours=2 * 2.0 / 3600)
    [one, two] = PyjamaReader(tmp_path / "set" / "set.pyjama")
    assert {str(e["codec"][0].value) for e in (one, two)} <= set(CODECS)
    told = json.loads((tmp_path / "set" / "manifest.json").read_text())
    assert told["sample_rate"] == 22050 and set(told["codecs"]) == set(CODECS)
    with h5py.File(tmp_path / "set" / "set_audio.hdf5") as file:
        assert [(d.attrs["sr_hz"], len(d)) for d in file.values()] == [(22050, 44100)] * 2


def test_the_pedal_prolongs_notes(tmp_path: Path) -> None:
    midi(tmp_path / "a.mid", [60, 62], pedal=True)
    [part] = read_midi(str(tmp_path / "a.mid"))
    assert part.start_s.tolist() == [0.0, 0.25]
    assert part.end_s.tolist() == [1.5, 1.5]


def test_an_excerpt_begins_at_zero_and_cuts_ends() -> None:
    part = Part(np.array([0.0, 1.0, 2.0]), np.array([0.5, 5.0, 2.5]), np.array([60, 62, 64]), np.full(3, 80))
    [cut] = excerpt([part], 1.0, 2.0)
    assert cut.start_s.tolist() == [0.0, 1.0] and cut.end_s.tolist() == [2.0, 1.5]


def test_notes_of_one_pitch_do_not_overlap() -> None:
    part = Part(np.array([0.0, 1.0]), np.array([3.0, 2.0]), np.array([60, 60]), np.full(2, 80))
    assert without_overlaps(part).end_s.tolist() == [1.0, 2.0]


def test_loosening_keeps_the_order_and_no_note_before_zero() -> None:
    part = Part(np.arange(20) / 10, np.arange(20) / 10 + 0.1, np.full(20, 60), np.full(20, 80))
    moved = loosen(part, np.random.default_rng(0), timing_s=0.05, velocity=10, articulation=0.8)
    assert (np.diff(moved.start_s) >= 0).all() and moved.start_s[0] >= 0


def test_tones_sound_at_their_pitch_and_time() -> None:
    part = Part(np.array([0.5]), np.array([1.0]), np.array([69]), np.array([100]))
    audio = render_tones(part, 2.0, 8000)
    assert not audio[: 8000 // 2].any() and not audio[round(1.06 * 8000) :].any()
    spectrum = np.abs(np.fft.rfft(audio[4000:8000]))
    assert abs(int(spectrum.argmax()) * 2 - 440) <= 2


@pytest.mark.parametrize(("make", "name"), [(note_set, "pitchmidi"), (chord_set, "chord")])
def test_the_demo_makes_its_set_on_a_bare_machine(
    make: object, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mira_train.demo.SOUNDFONTS", (str(tmp_path),))
    path = make(tmp_path / "set", clips=2)  # type: ignore[operator]
    entries = list(PyjamaReader(path))
    assert len(entries) == 2 and all(entry[name] for entry in entries)
