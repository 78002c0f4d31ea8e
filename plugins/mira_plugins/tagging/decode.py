"""From a second's logits to the tags of a recording."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from mira.results import Tags
from mira.task import Activations

from mira_plugins.tagging.own import read_own
from mira_plugins.tagging.vocabulary import FAMILIES, GENRES, INDEX, INSTRUMENTS, MUSIC, N_GENRES, TAGS, VOICE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mira_plugins.tagging import TagSettings

FAINT_DB = -20.0
"""Seconds whose loudest band is fainter say nothing (see :mod:`mira_plugins.ssl_embed.encoder`)."""
PARTS: Mapping[str, tuple[str, ...]] = {
    VOICE: (VOICE,),
    MUSIC: (MUSIC,),
    "instruments": INSTRUMENTS,
    "families": tuple(FAMILIES),
}
"""Tags that share a calibration."""


@dataclass(frozen=True)
class Calibration:
    """What makes probabilities of logits; kept in the model card.

    Parameters
    ----------
    alpha
        AutoPool's sharpness of each tag but the genres.
    genre
        Factor of the genres' logits.
    scale, offset
        Group of :data:`PARTS` -> factor and summand of the whole recording's logit.
    """

    alpha: tuple[float, ...] = (1.0,) * (len(TAGS) - N_GENRES)
    genre: float = 1.0
    scale: Mapping[str, float] = field(default_factory=dict)
    offset: Mapping[str, float] = field(default_factory=dict)

    @staticmethod
    def of(defaults: Mapping[str, Any]) -> Calibration:
        """That of a model card."""
        known = {name: defaults[name] for name in ("alpha", "genre", "scale", "offset") if name in defaults}
        return Calibration(**{**known, **({"alpha": tuple(known["alpha"])} if "alpha" in known else {})})

    def line(self, tag: str) -> tuple[float, float]:
        """Factor and summand of a tag that is no genre."""
        part = next(name for name, tags in PARTS.items() if tag in tags)
        return self.scale.get(part, 1.0), self.offset.get(part, 0.0)


def decode_tags(activations: Activations, settings: TagSettings) -> Tags:
    """Tags of the whole recording, and second by second where ``settings.timeline`` asks for it.

    A genre and a voice count as far as there is music at all: their probabilities are multiplied by that of
    music, so that speech is no singing.
    """
    loud = np.asarray(activations.arrays["loudness"], float)[:, 0] >= FAINT_DB
    logits = np.asarray(activations.arrays["tags"], float)
    calibration = Calibration.of(activations.defaults)
    chances = probabilities(logits[loud], calibration) if loud.any() else np.zeros(len(TAGS))
    vector = pooled_vector(np.asarray(activations.arrays["embedding"], float), loud)
    timeline = None
    if settings.timeline:
        timeline = np.where(loud[:, None], each_second(logits, calibration), 0.0)[:, _SHOWN]
    own = {name: chance for path in settings.with_own for name, chance in read_own(path).hear(vector).items()}
    return Tags(
        activations.duration_s,
        genre=_chosen(GENRES, chances, settings),
        voice=float(chances[INDEX[VOICE]]),
        instruments=_chosen((*INSTRUMENTS, VOICE), chances, settings),
        families=_chosen(tuple(FAMILIES), chances, settings),
        own=own or None,
        time_s=np.arange(len(logits), dtype=float) * activations.hop_s if settings.timeline else None,
        tags=tuple(TAGS[i] for i in _SHOWN) if settings.timeline else None,
        timeline=timeline,
        vector=vector.astype(np.float32),
    )


_SHOWN = [i for i, name in enumerate(TAGS) if name != MUSIC]


def probabilities(logits: NDArray[np.float64], calibration: Calibration) -> NDArray[np.float64]:
    """Logits (second, tag) -> probability of each tag for all seconds together."""
    genre = _softmax(calibration.genre * logits[:, :N_GENRES].mean(0))
    each = _sigmoid(logits[:, N_GENRES:])
    weights = _softmax(np.asarray(calibration.alpha) * each, axis=0)
    return _where_music(genre, _calibrated((weights * each).sum(0), calibration))


def each_second(logits: NDArray[np.float64], calibration: Calibration) -> NDArray[np.float64]:
    """Probability of each tag in each second."""
    genre = _softmax(calibration.genre * logits[:, :N_GENRES], axis=1)
    return _where_music(genre, _calibrated(_sigmoid(logits[:, N_GENRES:]), calibration))


def pooled_vector(vectors: NDArray[np.float64], loud: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Mean vector of the seconds that are not silent, of length 1 (or 0, where all are)."""
    mean = vectors[loud].mean(0) if loud.any() else np.zeros(vectors.shape[1])
    return mean / max(float(np.linalg.norm(mean)), 1e-9)


def _where_music(genre: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.float64]:
    """Probabilities (..., tag): what only music has, times that of music."""
    chances = np.concatenate([genre, others], axis=-1)
    chances[..., [*range(N_GENRES), INDEX[VOICE]]] *= chances[..., [INDEX[MUSIC]]]
    return chances


def _calibrated(chances: NDArray[np.float64], calibration: Calibration) -> NDArray[np.float64]:
    """Probabilities (..., tag but genre) after scale and offset of their logits."""
    chances = np.clip(chances, 1e-6, 1 - 1e-6)
    logit = np.log(chances / (1 - chances))
    scale, offset = np.array([calibration.line(tag) for tag in TAGS[N_GENRES:]]).T
    return _sigmoid(scale * logit + offset)


def _chosen(names: tuple[str, ...], chances: NDArray[np.float64], settings: TagSettings) -> dict[str, float]:
    """The most probable first; only as many as ``top`` and as probable as ``threshold``."""
    ranked = sorted(((float(chances[INDEX[n]]), n) for n in names), key=lambda pair: (-pair[0], pair[1]))
    kept = [(name, chance) for chance, name in ranked if chance >= settings.threshold]
    return dict(kept[: settings.top or None])


def _softmax(x: NDArray[np.float64], axis: int = -1) -> NDArray[np.float64]:
    raised = np.exp(x - x.max(axis, keepdims=True))
    return raised / raised.sum(axis, keepdims=True)


def _sigmoid(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return 1 / (1 + np.exp(-np.clip(x, -60, 60)))
