"""How the transcription network is trained: targets from notes, loss, Lightning module."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytorch_lightning as lightning
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from mira_plugins.mpe.network import LOWEST_PITCH, N_PITCHES, NoteNet, NoteNetConfig

_SPREAD = 1.5
"""Half width in hops of the triangle around an onset or offset."""
_MARGIN = 8
"""Frames at either end of a crop that do not count: the network sees no music beyond them."""

Targets = Mapping[str, Tensor]


def note_targets(
    start_s: NDArray[np.float64],
    end_s: NDArray[np.float64],
    pitch: NDArray[np.float64],
    velocity: NDArray[np.int64],
    n_frames: int,
    hop_s: float,
) -> dict[str, NDArray[np.float32]]:
    """Frame-wise targets of shape (frame, 88) from notes in seconds.

    ``onset`` and ``offset`` are triangles of 1.5 hops around the true time, so that a peak can be placed between
    frames; ``shift`` is the distance to the onset in hops, NaN away from it; ``velocity`` is 0 to 1, NaN where
    unknown. A note shorter than a hop still sounds in one frame.
    """
    shape = (n_frames, N_PITCHES)
    onset, frame, offset = (np.zeros(shape, np.float32) for _ in range(3))
    shift, loud = np.full(shape, np.nan, np.float32), np.full(shape, np.nan, np.float32)
    keys = np.rint(pitch).astype(int) - LOWEST_PITCH
    for s, e, key, v in zip(start_s / hop_s, end_s / hop_s, keys, velocity, strict=True):
        if not 0 <= key < N_PITCHES:
            continue
        first = int(np.ceil(s))
        frame[max(first, 0) : max(int(np.ceil(e)), first + 1), key] = 1
        for target, centre in ((onset, s), (offset, e)):
            low, high = max(int(np.ceil(centre - _SPREAD)), 0), min(int(centre + _SPREAD) + 1, n_frames)
            near = np.arange(low, high)
            value = 1 - np.abs(near - centre) / _SPREAD
            if target is onset:
                better = near[(value > onset[near, key]) & (np.abs(near - centre) <= 1)]
                shift[better, key] = centre - better
                if v > 0:
                    loud[better, key] = v / 127
            target[near, key] = np.maximum(target[near, key], value)
    return {"onset": onset, "frame": frame, "offset": offset, "shift": shift, "velocity": loud}


class NoteTraining(lightning.LightningModule):
    """Wraps :class:`NoteNet` for Lightning.

    Parameters
    ----------
    config
        Sizes of the network.
    learning_rate, steps
        Peak of a one-cycle schedule with cosine decay over ``steps`` steps.
    """

    def __init__(self, config: NoteNetConfig, learning_rate: float, steps: int) -> None:
        super().__init__()
        self.net = NoteNet(config)
        self.learning_rate, self.steps = learning_rate, steps

    def training_step(self, batch: Mapping[str, Tensor], index: int) -> Tensor:
        loss, parts = note_loss(self.net(batch["audio"]), batch)
        self.log_dict({"loss": loss.detach(), **parts}, prog_bar=True)
        return loss

    def validation_step(self, batch: Mapping[str, Tensor], index: int) -> None:
        loss, parts = note_loss(self.net(batch["audio"]), batch)
        named = {f"valid_{k}": v for k, v in {"loss": loss, **parts}.items()}
        self.log_dict(named, batch_size=len(batch["audio"]))

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.AdamW(self.parameters(), self.learning_rate, weight_decay=1e-3)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, self.learning_rate, total_steps=self.steps, pct_start=0.05
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def note_loss(outputs: tuple[Tensor, ...], batch: Targets) -> tuple[Tensor, dict[str, Tensor]]:
    """Weighted sum of the five outputs' losses, and each alone.

    ``batch["timed"]`` (batch,) says which examples have true onsets and offsets; the others train frames alone.
    """
    onset, frame, offset, shift, velocity = (o[:, _MARGIN:-_MARGIN] for o in outputs)
    target = {k: batch[k][:, _MARGIN:-_MARGIN] for k in NoteNet.outputs}
    timed = batch["timed"].view(-1, 1, 1).expand_as(onset)
    near = ~torch.isnan(target["shift"]) & (timed > 0)
    known = ~torch.isnan(target["velocity"]) & (timed > 0)
    parts = {
        "onset": _bce(onset, target["onset"], timed, 2.0),
        "frame": _bce(frame, target["frame"], torch.ones_like(timed), 1.0),
        "offset": _bce(offset, target["offset"], timed, 1.0),
        "shift": _masked_l1(shift, target["shift"], near),
        "velocity": _masked_l1(velocity, target["velocity"], known),
    }
    weights = {"onset": 3.0, "frame": 1.0, "offset": 1.0, "shift": 0.02, "velocity": 0.02}
    loss = torch.stack([weights[k] * v for k, v in parts.items()]).sum()
    return loss, {k: v.detach() for k, v in parts.items()}


def _bce(logits: Tensor, target: Tensor, weight: Tensor, positive: float) -> Tensor:
    each = F.binary_cross_entropy_with_logits(
        logits, target, reduction="none", pos_weight=torch.tensor(positive, device=logits.device)
    )
    return (each * weight).sum() / weight.sum().clamp_min(1)


def _masked_l1(value: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    return (torch.where(mask, value - target, 0.0)).abs().sum() / mask.sum().clamp_min(1)
