"""Formats of chords alone: a MIDI track of block chords, and ChordPro text for players."""

from __future__ import annotations

from itertools import repeat
from pathlib import PurePath
from typing import TYPE_CHECKING, BinaryIO, cast

from mira.results import Chords, Notes, Result
from mira.writers import About, Writer
from mira.writers.checks import check_result
from mira.writers.text import one_line, printable

from mira_plugins.chords.vocabulary import NO_CHORD, QUALITIES, parse, spelling

if TYPE_CHECKING:
    from mira_plugins.chords.vocabulary import Chord

_BASS, _TONES = 36, 55
"""Lowest pitches of the bass and of the chord's other tones."""
_PER_LINE_S = 12.0
_SUFFIXES = {
    "maj": "", "min": "m", "7": "7", "maj7": "maj7", "min7": "m7", "dim": "dim", "dim7": "dim7",
    "hdim7": "m7b5", "aug": "aug", "sus2": "sus2", "sus4": "sus4", "maj6": "6", "min6": "m6",
}  # fmt: skip
"""Qualities as lead sheets write them."""


def write_midi(result: Result, stream: BinaryIO, about: About) -> None:
    """Write a bass note and the tones above it for each chord; nothing sounds where there is none."""
    import numpy as np
    from mira.writers import midi

    chords = cast(Chords, result)
    check_result(chords)
    rows = [
        (float(start), float(end), pitch)
        for start, end, label in zip(chords.start_s, chords.end_s, chords.label)
        if end > start
        for pitch in _voicing(parse(label))
    ]
    start_s, end_s, pitch = (np.array(column) for column in zip(*rows)) if rows else (np.zeros(0),) * 3
    loud = np.full(len(rows), 80, np.int64)
    notes = Notes(
        chords.duration_s, start_s, end_s, pitch.astype(np.int64), loud, np.ones(len(rows)), program=0
    )
    midi.WRITER.write(notes, stream, about)


def _voicing(chord: Chord) -> list[int]:
    if chord.root is None or chord.root == NO_CHORD or chord.quality is None:
        return []
    bass = chord.root if chord.bass is None else chord.bass
    tones = [(chord.root + step) % 12 for step in QUALITIES[chord.quality]]
    return [_BASS + (bass - _BASS) % 12, *sorted(_TONES + (tone - _TONES) % 12 for tone in tones)]


def write_chordpro(result: Result, stream: BinaryIO, about: About) -> None:
    """Write title, key and the chords in order, a line for every twelve seconds, each headed by its time.

    A new key is written where a line begins in one.
    """
    chords = cast(Chords, result)
    check_result(chords)
    lines = [f"{{title: {one_line(printable(PurePath(about.path).stem))}}}"]
    begun, written = -1, ""
    for start, label, key in zip(chords.start_s, chords.label, chords.keys or repeat(chords.key)):
        if begun < 0 or start // _PER_LINE_S > begun:
            begun = int(start // _PER_LINE_S)
            if key != written:
                tonic, mode = key.split()
                lines.append(f"{{key: {tonic}{'m' if mode == 'minor' else ''}}}")
                written = key
            lines += [f"{{comment: {int(start) // 60}:{int(start) % 60:02}}}", ""]
        lines[-1] = f"{lines[-1]} [{lead_sheet_symbol(label)}]".strip()
    stream.write(("\n".join(lines) + "\n").encode())


def lead_sheet_symbol(label: str) -> str:
    """A chord as players write it: ``Bb:min7/b3`` -> ``Bbm7/Db``, ``N`` -> ``N.C.``."""
    chord = parse(label)
    if chord.root is None or chord.root == NO_CHORD or chord.quality is None:
        return "N.C."
    root = label.partition(":")[0].partition("/")[0]
    symbol = root + _SUFFIXES[chord.quality]
    if chord.bass in (None, chord.root):
        return symbol
    flat = "b" in root or (root in "CF" and chord.quality.startswith(("min", "dim", "hdim")))
    return f"{symbol}/{spelling(10 if flat else 4, False)[cast(int, chord.bass)]}"


MIDI = Writer("midi", (".mid", ".midi"), (Chords,), write_midi)
CHORDPRO = Writer("chordpro", (".cho", ".chordpro"), (Chords,), write_chordpro)
