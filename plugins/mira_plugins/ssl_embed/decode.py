"""From a second's vectors to those of a recording."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from mira.results import Embedding
from mira.task import Activations

if TYPE_CHECKING:
    from mira_plugins.ssl_embed import EmbedSettings

FAINT_DB = -20.0
"""Seconds whose loudest band is fainter do not count for the whole (``encoder.FAINT_DB``)."""


def decode_embedding(activations: Activations, settings: EmbedSettings) -> Embedding:
    """Mean vector of the seconds that are not silent, at length 1 (0 where all are); and all of them.

    The mean over music in general, which is in the card, is taken off first: the vectors of a network whose
    last step is a rectifier all point into one quadrant, so that everything would be alike.
    """
    steps = np.asarray(activations.arrays["embedding"], float)
    loud = np.asarray(activations.arrays["loudness"], float)[:, 0] >= FAINT_DB
    centre = np.asarray(activations.defaults.get("centre", 0.0), float)
    spread = np.asarray(activations.defaults.get("spread", 1.0), float)
    steps = (steps - centre) / spread
    whole = steps[loud].mean(0) if loud.any() else np.zeros(steps.shape[1])
    vector = whole / max(float(np.linalg.norm(whole)), 1e-9)
    kept = len(steps) if settings.sequence else 0
    return Embedding(
        activations.duration_s,
        vector=vector.astype(np.float32),
        time_s=np.arange(kept, dtype=float) * activations.hop_s,
        sequence=steps[:kept].astype(np.float32),
    )
