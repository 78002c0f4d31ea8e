"""Random changes of a waveform that leave the music what it is, by the names that recipes use.

Each takes a waveform of shape (1, sample), its rate, a generator and its options, and returns a waveform of
the same shape. They are those of CLMR (Spijkervet and Burgoyne, ISMIR 2021), written anew.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import torch
from mira.errors import DataError
from torch import Generator, Tensor

from mira_train.document import nearest
from mira_train.recipe import Component


def polarity(x: Tensor, rate: int, rng: Generator) -> Tensor:
    """Upside down."""
    return -x


def noise(x: Tensor, rate: int, rng: Generator, *, min_ratio: float, max_ratio: float) -> Tensor:
    """White noise whose standard deviation is a share of the waveform's."""
    return x + torch.randn(x.shape, generator=rng) * x.std() * _between(min_ratio, max_ratio, rng)


def gain(x: Tensor, rate: int, rng: Generator, *, min_db: float, max_db: float) -> Tensor:
    """Softer or louder."""
    return x * 10 ** (_between(min_db, max_db, rng) / 20)


def high_or_low_pass(
    x: Tensor, rate: int, rng: Generator, *, high_hz: Sequence[float], low_hz: Sequence[float]
) -> Tensor:
    """A Butterworth filter of second order: high pass or low pass, as likely as each other."""
    high = bool(torch.rand((), generator=rng) < 0.5)
    lowest, highest = high_hz if high else low_hz
    corner = _between(lowest, highest, rng)
    s = 1j * torch.fft.rfftfreq(x.shape[-1], 1 / rate) / corner
    response = (s**2 if high else torch.ones_like(s)) / (s**2 + math.sqrt(2) * s + 1)
    return torch.fft.irfft(torch.fft.rfft(x) * response, x.shape[-1])


def delay(x: Tensor, rate: int, rng: Generator, *, min_ms: int, max_ms: int, step_ms: int) -> Tensor:
    """One echo at half the level; the sum at half the level too, so that it cannot clip."""
    steps = (max_ms - min_ms) // step_ms + 1
    ms = min_ms + step_ms * int(torch.randint(steps, (), generator=rng))
    late = min(round(ms * rate / 1000), x.shape[-1])
    echo = torch.cat([torch.zeros_like(x[..., :late]), x[..., : x.shape[-1] - late]], -1)
    return (x + 0.5 * echo) / 2


def reverb(x: Tensor, rate: int, rng: Generator) -> Tensor:
    """A room of decaying noise of 0.1 to 1.5 s, brought back to the level there was before."""
    seconds = _between(0.1, 1.5, rng)
    n = round(seconds * rate)
    tail = torch.randn(n, generator=rng) * torch.exp(-6.9 * torch.arange(n) / n)
    size = x.shape[-1] + n
    wet = torch.fft.irfft(torch.fft.rfft(x, size) * torch.fft.rfft(tail, size), size)[..., : x.shape[-1]]
    wet = wet * (x.std() / wet.std().clamp(min=1e-9)) * _between(0.05, 1.0, rng)
    mixed = x + wet
    return mixed * (x.std() / mixed.std().clamp(min=1e-9))


AUGMENTATIONS: Final[Mapping[str, Callable[..., Tensor]]] = {
    "polarity": polarity,
    "noise": noise,
    "gain": gain,
    "high_or_low_pass": high_or_low_pass,
    "delay": delay,
    "reverb": reverb,
}


class Chain:
    """Augmentations one after another, each with its probability ``p``.

    Parameters
    ----------
    steps
        As a recipe lists them.

    Raises
    ------
    DataError
        For an unknown one, or an option that it has not.
    """

    def __init__(self, steps: Sequence[Component]) -> None:
        self._steps: list[tuple[float, Callable[..., Tensor], dict[str, Any]]] = []
        for step in steps:
            if step.type not in AUGMENTATIONS:
                raise DataError(
                    f"data.augment: nothing is called '{step.type}'{nearest(step.type, AUGMENTATIONS)}"
                )
            change, options = AUGMENTATIONS[step.type], dict(step.options)
            p = float(options.pop("p", 1.0))
            known = [
                q.name for q in inspect.signature(change).parameters.values() if q.kind is q.KEYWORD_ONLY
            ]
            wrong = [name for name in options if name not in known] or [n for n in known if n not in options]
            if wrong:
                raise DataError(
                    f"data.augment: {step.type} takes {', '.join(['p', *known])}: see '{wrong[0]}'"
                )
            self._steps.append((p, change, options))

    def __call__(self, x: Tensor, rate: int, rng: Generator) -> Tensor:
        """Change a waveform of shape (1, sample)."""
        for p, change, options in self._steps:
            if torch.rand((), generator=rng) < p:
                x = change(x, rate, rng, **options)
        return x


def _between(low: float, high: float, rng: Generator) -> float:
    return low + (high - low) * float(torch.rand((), generator=rng))
