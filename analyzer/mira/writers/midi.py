"""Standard MIDI files, written with mido.

Notes lie on one track and one channel. Ticks are chosen by the tempo so that one lasts 1.5 ms at most: no
onset moves by more than 0.75 ms. (Files of up to about three hours stay below 10 million ticks, where
pretty_midi stops reading.) Two notes of one pitch never overlap in the file: the earlier is cut, and each
lasts one tick at least.

Pitch bends, when there are any, belong to a channel and not to a note; so simultaneous notes take turns over
the 15 channels that are not drums, each with its own bend, as in MIDI Polyphonic Expression. A melody stays
on one channel.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from math import ceil
from operator import itemgetter
from typing import TYPE_CHECKING, BinaryIO, cast

from mira.errors import OutputError
from mira.results import Notes, Result
from mira.writers import About, Writer
from mira.writers.checks import check_result

if TYPE_CHECKING:
    import mido
    import numpy as np
    from numpy.typing import NDArray

LONGEST_TICK_S = 0.0015
SLOWEST_BPM, FASTEST_BPM = 4.0, 1000.0
CHANNELS = (0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 12, 13, 14, 15)
BEND_RANGES = (2, 12, 48)
"""Semitones to either side that a bend wheel is set to; the smallest that suffices is taken."""

_OFF, _BEND, _ON = range(3)
"""Order of what happens in one tick."""

Event = tuple[int, int, "mido.Message"]
"""Tick, order in the tick, message (whose time is set at last)."""


@dataclass
class _Note:
    """A note in ticks."""

    start: int
    end: int
    pitch: int
    velocity: int
    index: int
    channel: int = 0


def write(result: Result, stream: BinaryIO, about: About) -> None:
    """Write notes as a MIDI file of one track named ``mira``.

    Raises
    ------
    OutputError
        If the notes cannot be MIDI notes, the tempo is not 4 to 1000 bpm, or a bend exceeds 48 semitones.
    """
    import mido

    notes = cast(Notes, result)
    check_result(notes)
    if not SLOWEST_BPM <= notes.tempo_bpm <= FASTEST_BPM:
        raise OutputError(f"the tempo is {notes.tempo_bpm:g} bpm, but must be 4 to 1000; nothing written")
    tempo = mido.bpm2tempo(notes.tempo_bpm)
    ticks_per_beat = 96 * ceil(tempo / 1e6 / LONGEST_TICK_S / 96)
    tick_s = tempo / 1e6 / ticks_per_beat

    played = _in_ticks(notes, tick_s)
    track = mido.MidiTrack()
    track.append(mido.MetaMessage("track_name", name="mira"))
    track.append(mido.MetaMessage("set_tempo", tempo=tempo))
    if notes.bends is None or not notes.bent:
        track.append(mido.Message("program_change", program=notes.program))
        events = list(_sounding(played))
    else:
        _spread(played)
        bend_range = _bend_range(notes.bends)
        for channel in sorted({note.channel for note in played} | {0}):
            track.append(mido.Message("program_change", channel=channel, program=notes.program))
            track.extend(_set_bend_range(channel, bend_range))
        events = [*_sounding(played), *_bending(played, notes.bends, bend_range, tick_s)]
    now = 0
    for tick, _, message in sorted(events, key=itemgetter(0, 1)):
        message.time = tick - now
        track.append(message)
        now = tick
    end = max(now, round(notes.duration_s / tick_s))
    track.append(mido.MetaMessage("end_of_track", time=end - now))
    mido.MidiFile(type=1, ticks_per_beat=ticks_per_beat, tracks=[track]).save(file=stream)


def _in_ticks(notes: Notes, tick_s: float) -> list[_Note]:
    """Round to ticks, sort, and keep notes of one pitch apart."""
    import numpy as np

    played: list[_Note] = []
    last: dict[int, _Note] = {}
    for index in map(int, np.lexsort((notes.pitch, notes.start_s))):
        pitch = int(notes.pitch[index])
        start = round(notes.start_s[index] / tick_s)
        if before := last.get(pitch):
            start = max(start, before.start + 1)
            before.end = min(before.end, start)
        end = max(round(notes.end_s[index] / tick_s), start + 1)
        last[pitch] = _Note(start, end, pitch, int(notes.velocity[index]), index)
        played.append(last[pitch])
    return played


def _sounding(played: list[_Note]) -> Iterator[Event]:
    import mido

    for n in played:
        on = mido.Message("note_on", channel=n.channel, note=n.pitch, velocity=n.velocity)
        yield n.start, _ON, on
        yield n.end, _OFF, mido.Message("note_off", channel=n.channel, note=n.pitch, velocity=64)


def _spread(played: list[_Note]) -> None:
    """Give simultaneous notes channels of their own; a melody stays on the first."""
    ordered = sorted(played, key=lambda note: note.start)
    if all(a.end <= b.start for a, b in pairwise(ordered)):
        return
    free_at = dict.fromkeys(CHANNELS, -1)
    for note in ordered:
        # The one free for longest, so that releases ring out unbent; if none is free, the next to be.
        note.channel = min(free_at, key=free_at.__getitem__)
        free_at[note.channel] = note.end


def _bend_range(bends: tuple[NDArray[np.float64], ...]) -> int:
    widest = max((float(abs(bend[:, 1]).max()) for bend in bends if len(bend)), default=0.0)
    for bend_range in BEND_RANGES:
        if widest <= bend_range:
            return bend_range
    raise OutputError(f"a note is bent by {widest:.1f} semitones, but MIDI ends at 48; nothing written")


def _set_bend_range(channel: int, semitones: int) -> Iterator[mido.Message]:
    """Registered parameter 0: select it, set it, leave it."""
    import mido

    for control, value in ((101, 0), (100, 0), (6, semitones), (38, 0), (101, 127), (100, 127)):
        yield mido.Message("control_change", channel=channel, control=control, value=value)


def _bending(
    played: list[_Note], bends: tuple[NDArray[np.float64], ...], bend_range: int, tick_s: float
) -> Iterator[Event]:
    """Set the wheel at the start of each note, then wherever its bend changes."""
    import mido

    for note in played:
        wheel = {note.start: 0}
        for offset_s, semitones in bends[note.index]:
            tick = note.start + round(max(offset_s, 0.0) / tick_s)
            if tick < note.end:
                wheel[tick] = min(round(8192 * semitones / bend_range), 8191)
        before = None
        for tick, value in sorted(wheel.items()):
            if value != before:
                yield tick, _BEND, mido.Message("pitchwheel", channel=note.channel, pitch=value)
            before = value


WRITER = Writer("midi", (".mid", ".midi"), (Notes,), write, needs=("mido",))
