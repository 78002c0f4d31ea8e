"""Parts played by a SoundFont through FluidSynth, with measured attack times."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

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
_DITHER = 48000
"""Length of FluidSynth's table of dither noise, also a whole number of its blocks."""


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
        self._synth = fluidsynth.Synth(gain=0.5, samplerate=float(_RENDER_RATE))
        self._synth.setting("synth.reverb.active", 0)
        self._synth.setting("synth.chorus.active", 0)
        self._synth.setting("synth.polyphony", 256)
        self._bank = self._synth.sfload(str(path))
        if self._bank < 0:
            raise DataError(f"{path}: not a SoundFont that FluidSynth can read")
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
        synth = self._synth
        synth.system_reset()
        channel = 9 if part.is_drum else 0
        synth.program_select(channel, self._bank, 128 if part.is_drum else 0, program)
        events = [(s, 1, int(p), int(v)) for s, p, v in zip(part.start_s, part.pitch, part.velocity)]
        events += [(e, 0, int(p), 0) for e, p in zip(part.end_s, part.pitch)]
        if not part.is_drum:
            events += [(t, 2, b, 0) for t, b in _bends(part, length_s, detune_cents, vibrato, scoop_cents)]
        chunks, done = [], 0
        for time, kind, value, velocity in sorted(events):
            frame = min(round(time * _RENDER_RATE), round(length_s * _RENDER_RATE))
            if frame > done:
                chunks.append(synth.get_samples(frame - done))
                done = frame
            if kind == 1:
                synth.noteon(channel, value, velocity)
            elif kind == 0:
                synth.noteoff(channel, value)
            else:
                synth.pitch_bend(channel, value)
        total = round(length_s * _RENDER_RATE)
        if total > done:
            chunks.append(synth.get_samples(total - done))
        # Each rendering begins at the start of the dither table, so that it is the same whatever came before.
        synth.get_samples(-total % _DITHER)
        stereo = np.concatenate(chunks).reshape(-1, 2)
        mono = (stereo.astype(np.float32).mean(axis=1)) / 32768
        return np.asarray(soxr.resample(mono, _RENDER_RATE, self.sample_rate), np.float32)

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
