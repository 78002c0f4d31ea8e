"""From samples to features: modules that take (batch, sample) and give (batch, channel, bin, frame).

Frame k is centred on sample ``k * hop_length``. Each has ``sample_rate``, ``hop_length``, ``channels`` and
``n_bins``, takes any number of samples, and exports to ONNX.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from torch import nn

from mira_train.frontends.cqt import CQT, HCQT, Chroma
from mira_train.frontends.learned import TCN, LearnedConv1d, SincNet, StackedChroma, Waveform
from mira_train.frontends.nnls import NNLSChroma
from mira_train.frontends.reference import NNAudioCQT, NNAudioLogMel
from mira_train.frontends.spectrum import LogMel

FRONTENDS: Final[Mapping[str, type[nn.Module]]] = {
    "waveform": Waveform,
    "log_mel": LogMel,
    "cqt": CQT,
    "hcqt": HCQT,
    "chroma": Chroma,
    "nnls_chroma": NNLSChroma,
    "sincnet": SincNet,
    "conv1d": LearnedConv1d,
    "tcn": TCN,
    "stacked_chroma": StackedChroma,
    "nnaudio_cqt": NNAudioCQT,
    "nnaudio_log_mel": NNAudioLogMel,
}
"""Front ends by the names that recipes use; constructor arguments are their options."""


def build(name: str, options: Mapping[str, Any]) -> nn.Module:
    """Make a front end; lists in ``options`` may stand for tuples."""
    told: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in options.items()}
    return FRONTENDS[name](**told)


__all__ = [
    "CQT",
    "FRONTENDS",
    "HCQT",
    "TCN",
    "Chroma",
    "LearnedConv1d",
    "LogMel",
    "NNAudioCQT",
    "NNAudioLogMel",
    "NNLSChroma",
    "SincNet",
    "StackedChroma",
    "Waveform",
    "build",
]
