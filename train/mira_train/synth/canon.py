"""The bundled piece: the opening of Pachelbel's Canon in D, rendered with a SoundFont in its own
reverberation.

The score (about 1690, public domain) is written out here. ``python -m mira_train.synth.canon OUT.ogg`` makes
the audio and, beside it, the true notes as CSV.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

SOUNDFONT = Path("/usr/share/sounds/sf2/FluidR3_GM.sf2")
"""FluidR3 GM by Frank Wen, MIT licence; Debian's package fluid-soundfont-gm."""
SAMPLE_RATE = 44100
_BEAT_S = 0.95
_LETTERS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}

GROUND = "D3 A2 B2 F#2 G2 D2 G2 A2"
CHORDS = (
    "D4 F#4 A4",
    "C#4 E4 A4",
    "D4 F#4 B4",
    "C#4 F#4 A4",
    "B3 D4 G4",
    "A3 D4 F#4",
    "B3 D4 G4",
    "C#4 E4 A4",
)
THEME = "F#5 E5 D5 C#5 B4 A4 B4 C#5"
SECOND = "D5 F#5 A5 G5 F#5 D5 F#5 E5 D5 B4 D5 A5 G5 B5 A5 G5"
THIRD = "F#5 D5 E5 C#6 D6 F#5 A5 A4 B4 G4 A4 F#4 G4 B4 A4 G4"

Note = tuple[float, float, int, int]
"""Onset and end in beats, MIDI pitch, velocity."""


def score() -> list[tuple[str, int, float, list[Note]]]:
    """Name, General MIDI program, stereo position (-1 to 1) and notes of each part."""
    ground = [n for turn in range(4) for n in _line(GROUND, 8.0 * turn, 1.0, 78)]
    chords = []
    for turn in range(4):
        for i, chord in enumerate(CHORDS):
            for j, name in enumerate(chord.split()):
                chords.append((8.0 * turn + i + 0.03 * j, 8.0 * turn + i + 0.9, _pitch(name), 62))
    first = _line(THEME, 8.0, 1.0, 88) + _line(SECOND, 16.0, 0.5, 84) + _line(THIRD, 24.0, 0.5, 88)
    second = _line(THEME, 16.0, 1.0, 76) + _line(SECOND, 24.0, 0.5, 74)
    return [
        ("cello", 42, -0.1, ground),
        ("harpsichord", 6, 0.2, chords),
        ("violin", 40, -0.5, first),
        ("flute", 73, 0.5, second),
    ]


def render(sample_rate: int = SAMPLE_RATE) -> NDArray[np.float32]:
    """Stereo audio of shape (sample, 2), peak 0.8."""
    import fluidsynth

    synth = fluidsynth.Synth(gain=0.6, samplerate=float(sample_rate))
    synth.set_reverb(0.75, 0.3, 0.8, 0.5)
    bank = synth.sfload(str(SOUNDFONT))
    events = []
    for channel, (_, program, pan, notes) in enumerate(score()):
        synth.program_select(channel, bank, 0, program)
        synth.cc(channel, 10, round(64 + 60 * pan))
        synth.cc(channel, 91, 70)
        for start, end, pitch, velocity in notes:
            events += [(start, 1, channel, pitch, velocity), (end - 0.02, 0, channel, pitch, 0)]
    pieces, done = [], 0
    for beat, on, channel, pitch, velocity in sorted(events):
        frame = round(beat * _BEAT_S * sample_rate)
        if frame > done:
            pieces.append(synth.get_samples(frame - done))
            done = frame
        if on:
            synth.noteon(channel, pitch, velocity)
        else:
            synth.noteoff(channel, pitch)
    pieces.append(synth.get_samples(3 * sample_rate))
    audio = np.concatenate(pieces).reshape(-1, 2).astype(np.float32)
    return audio * np.float32(0.8 / np.abs(audio).max())


def _line(names: str, start: float, beats: float, velocity: int) -> list[Note]:
    return [
        (start + i * beats, start + (i + 1) * beats, _pitch(name), velocity)
        for i, name in enumerate(names.split())
    ]


def _pitch(name: str) -> int:
    return 12 * (int(name[-1]) + 1) + _LETTERS[name[0]] + ("#" in name)


def main(target: Path) -> None:
    """Write the audio and its notes."""
    audio = render()
    with soundfile.SoundFile(target, "w", SAMPLE_RATE, 2) as file:
        for start in range(0, len(audio), 100_000):
            file.write(audio[start : start + 100_000])
    with open(target.with_suffix(".csv"), "w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["onset_s", "offset_s", "pitch", "velocity"])
        notes = [n for _, _, _, part in score() for n in part]
        for start, end, pitch, velocity in sorted(notes):
            rows.writerow([round(start * _BEAT_S, 3), round((end - 0.02) * _BEAT_S, 3), pitch, velocity])


if __name__ == "__main__":
    main(Path(sys.argv[1]))
