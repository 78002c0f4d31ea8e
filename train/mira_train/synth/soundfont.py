"""Parts played by a SoundFont through FluidSynth, with measured attack times."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from ctypes import c_int, c_void_p
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import soxr
from mira.errors import DataError
from numpy.random import Generator
from numpy.typing import NDArray

from mira_train.synth.score import Part

_RENDER_RATE = 32000
_BEND_STEP_S = 0.01
_SLOW_ATTACK_S = 0.03
_LISTENER_S = 0.015
_PLAYER = {"synth.reverb.active": 0, "synth.chorus.active": 0, "synth.polyphony": 256}


class SoundFont:
    """One SoundFont, loaded once.

    Parameters
    ----------
    path
        A .sf2 or .sf3 file.
    sample_rate
        Rate in Hz of what :meth:`render` returns.
    """

    def __init__(self, path: Path, sample_rate: int) -> None:
        try:
            import fluidsynth
        except ImportError as error:
            raise DataError(
                "rendering needs FluidSynth: apt install fluidsynth, then pip install 'mira-audio[train]'"
            ) from error
        self.path, self.sample_rate = path, sample_rate
        self._synth = partial(
            fluidsynth.Synth, gain=0.5, samplerate=float(_RENDER_RATE), channels=16, **_PLAYER
        )
        self._add, self._remove = (
            fluidsynth.cfunc(
                f"fluid_synth_{verb}_sfont", c_int, ("synth", c_void_p, 1), ("font", c_void_p, 1)
            )
            for verb in ("add", "remove")
        )
        _silence(fluidsynth)
        self._keeper = self._synth()
        bank = self._keeper.sfload(str(path))
        if bank < 0:
            raise DataError(f"{path}: not a SoundFont that FluidSynth can read")
        self._font = fluidsynth.fluid_synth_get_sfont_by_id(self._keeper.synth, bank)
        self._attacks: dict[tuple[int, int], float] = {}

    def render(
        self,
        part: Part,
        length_s: float,
        *,
        program: int,
        detune_cents: float = 0.0,
        vibrato: tuple[float, float] | None = None,
        scoop_cents: float = 0.0,
    ) -> NDArray[np.float32]:
        """Mono audio of ``length_s`` seconds.

        Parameters
        ----------
        detune_cents
            Of the whole part.
        vibrato
            (rate in Hz, depth in cents); grows in over the first 0.3 s of each note.
        scoop_cents
            Each note starts this far from its pitch and glides there in about 60 ms.
        """
        events = [(s, 1, int(p), int(v)) for s, p, v in zip(part.start_s, part.pitch, part.velocity)]
        events += [(e, 0, int(p), 0) for e, p in zip(part.end_s, part.pitch)]
        if not part.is_drum:
            events += [(t, 2, b, 0) for t, b in _bends(part, length_s, detune_cents, vibrato, scoop_cents)]
        channel, total = 9 if part.is_drum else 0, round(length_s * _RENDER_RATE)
        with self._player() as (synth, bank):
            synth.program_select(channel, bank, 128 if part.is_drum else 0, program)
            chunks, done = [], 0
            for time, kind, value, velocity in sorted(events):
                frame = min(round(time * _RENDER_RATE), total)
                if frame > done:
                    chunks.append(synth.get_samples(frame - done))
                    done = frame
                if kind == 1:
                    synth.noteon(channel, value, velocity)
                elif kind == 0:
                    synth.noteoff(channel, value)
                else:
                    synth.pitch_bend(channel, value)
            if total > done:
                chunks.append(synth.get_samples(total - done))
        stereo = np.concatenate(chunks).reshape(-1, 2)
        mono = (stereo.astype(np.float32).mean(axis=1)) / 32768
        return np.asarray(soxr.resample(mono, _RENDER_RATE, self.sample_rate), np.float32)

    @contextmanager
    def _player(self) -> Iterator[tuple[Any, int]]:
        """A new synthesizer and the number of the font in it; used voices would sound a little different."""
        synth = self._synth()
        try:
            yield synth, self._add(synth.synth, self._font)
        finally:
            self._remove(synth.synth, self._font)
            synth.delete()

    def attack_s(self, program: int, pitch: int) -> float:
        """Seconds from the event to where a slow preset is heard to begin; 0 for fast ones.

        The level passes a quarter of its peak in the first 0.4 s, less 15 ms, where that takes over 30 ms.
        """
        key = (program, 4 * round(pitch / 4))
        if key not in self._attacks:
            one = Part(np.zeros(1), np.array([0.45]), np.array([key[1]]), np.array([90]))
            audio = self.render(one, 0.45, program=program)
            step = self.sample_rate // 200
            level = np.sqrt((audio[: len(audio) // step * step].reshape(-1, step) ** 2).mean(axis=1))
            rise = float(np.argmax(level >= level.max() / 4)) * step / self.sample_rate
            self._attacks[key] = max(rise - _LISTENER_S, 0.0) if rise > _SLOW_ATTACK_S else 0.0
        return self._attacks[key]

    def heard(self, part: Part, program: int) -> Part:
        """The part with onsets moved to where they are heard; this is what labels are made from."""
        delay = np.array([self.attack_s(program, int(p)) for p in part.pitch])
        start_s = np.minimum(part.start_s + delay, part.end_s - 0.03)
        return replace(part, start_s=np.maximum(start_s, part.start_s))


def _silence(library: Any) -> None:
    """Leave out FluidSynth's warnings: a font that is taken out makes one for each channel."""
    warning = 2
    kinds = (("level", c_int, 1), ("function", c_void_p, 1), ("data", c_void_p, 1))
    library.cfunc("fluid_set_log_function", c_void_p, *kinds)(warning, None, None)


def _bends(
    part: Part, length_s: float, detune: float, vibrato: tuple[float, float] | None, scoop: float
) -> list[tuple[float, int]]:
    """Pitch-bend events (seconds, wheel) for a part; the wheel spans two semitones."""
    if vibrato is None and scoop == 0.0:
        return [(0.0, round(detune / 200 * 8191))]
    times = np.arange(0, length_s, _BEND_STEP_S)
    since = times - part.start_s[np.maximum(np.searchsorted(part.start_s, times, side="right") - 1, 0)]
    cents = np.full(len(times), detune)
    if vibrato is not None:
        rate, depth = vibrato
        cents += depth * np.clip(since / 0.3, 0, 1) * np.sin(2 * np.pi * rate * times)
    cents += scoop * np.exp(-np.maximum(since, 0) / 0.03)
    return [(float(t), int(np.clip(round(c / 200 * 8191), -8192, 8191))) for t, c in zip(times, cents)]


def random_vibrato(rng: Generator) -> tuple[float, float]:
    """A player's vibrato: 4.5 to 6.5 Hz, 5 to 40 cents."""
    return float(rng.uniform(4.5, 6.5)), float(rng.uniform(5, 40))
