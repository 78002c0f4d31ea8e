"""How transcription networks are trained: NoteNet on notes, the book's rows on pitch grids."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as lightning
import torch
from mira.card import Output
from mira_train.data.targets import PitchGrid, f0_targets, soften
from mira_train.data.targets import note_targets as grid_targets
from mira_train.demo import Demo, note_set
from mira_train.learner import AveragedLearner, Learner, Supervised, trained_network
from mira_train.patches import DataModule, Target
from mira_train.recipe import Recipe
from mira_train.sets import Recording
from mira_train.shipment import Shipment, shipment
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from mira_plugins.mpe.decode import Thresholds
from mira_plugins.mpe.examples import NoteData
from mira_plugins.mpe.network import NoteNet, Shipped

DEFAULT = "notenet"
DEMO = Demo(note_set)

_MARGIN = 8
"""Frames at either end of a crop that do not count: the network sees no music beyond them."""

Targets = Mapping[str, Tensor]


def data_module(recipe: Recipe, sets: Sequence[str], *, workers: int = 0) -> lightning.LightningDataModule:
    """Crops with note targets for NoteNet; for the book's rows patches with a pitch grid."""
    if recipe.network.code:
        return NoteData(recipe, sets, workers=workers)
    told = recipe.frontend.options
    octave = int(told["bins_per_octave"])
    grid = PitchGrid(float(told["fmin_hz"]), octave, octave * int(told["octaves"]))

    def target(recording: Recording, frames: int, hop_s: float) -> NDArray[Any]:
        return pitch_grid(recording, recipe.data, frames, hop_s, grid)

    return DataModule(recipe, sets, Target(target, in_time=True), workers=workers)


def pitch_grid(
    recording: Recording, data: Any, frames: int, hop_s: float, grid: PitchGrid
) -> NDArray[np.float32]:
    """Where a pitch sounds, shape (1, bin, frame), from pitch curves or from notes.

    ``data.target_form`` ``soft`` blurs it along the bins.
    """
    atoms = recording.entry[data.target]
    if data.target.startswith("f0"):
        made = f0_targets(atoms[0].times, np.asarray(atoms[0].value, float), frames, hop_s, grid)
    else:
        starts = [float(atom.times[0]) for atom in atoms]
        ends, pitches = [atom.end_s for atom in atoms], [float(atom.value) for atom in atoms]
        made = grid_targets(starts, ends, pitches, frames, hop_s, grid).frame
    return (soften(made) if data.target_form == "soft" else made)[None]


def lightning_module(recipe: Recipe, encoder: Path | None = None) -> Learner:
    """NoteNet with its own loss, or binary cross entropy bin by bin."""
    return NoteLearner(recipe) if recipe.network.code else Supervised(recipe)


def shipped(recipe: Recipe, net: nn.Module) -> Shipment:
    """NoteNet's five outputs, or the probability of each bin."""
    if not isinstance(net, NoteNet):
        told = recipe.frontend.options
        octave = int(told["bins_per_octave"])
        bins = np.arange(octave * int(told["octaves"]))
        hz = float(told["fmin_hz"]) * 2 ** (bins / octave)
        return shipment(recipe, net, [f"{f:.2f} Hz" for f in hz])
    units = {"shift": "hops", "velocity": "0 to 1", "deviation": "semitones"}
    hop = net.config.hop_length
    return Shipment(
        Shipped(net).eval(),
        net.config.sample_rate,
        hop,
        tuple(Output(n, ("frame", "pitch"), units.get(n, "probability")) for n in recipe.export.outputs),
        tuple(hop * frames for frames in (40, 97, 218)),
        net.reach,
        defaults=vars(Thresholds()),
    )


class NoteLearner(AveragedLearner):
    """NoteNet under a one-cycle schedule; the average of its weights is what is validated and kept."""

    def __init__(self, recipe: Recipe) -> None:
        super().__init__(recipe, trained_network(recipe))

    def training_step(self, batch: Targets, index: int) -> Tensor:
        """Loss of a batch."""
        loss, parts = note_loss(self(batch["audio"]), batch)
        self.log_training(loss, len(batch["audio"]))
        named = {f"train_{k}": v for k, v in parts.items()}
        self.log_dict(named, on_step=False, on_epoch=True, batch_size=len(batch["audio"]), sync_dist=True)
        return loss

    def validation_step(self, batch: Targets, index: int) -> None:
        """Gather losses."""
        self.keep_validation(note_loss(self(batch["audio"]), batch)[0], len(batch["audio"]))

    def on_validation_epoch_end(self) -> None:
        """Log the mean."""
        self.log_validation()


def note_loss(outputs: tuple[Tensor, ...], batch: Targets) -> tuple[Tensor, dict[str, Tensor]]:
    """Weighted sum of the five outputs' losses, and each alone.

    ``batch["timed"]`` (batch,) says which examples have true onsets and offsets; the others train frames
    alone.
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
        logits.float(), target, reduction="none", pos_weight=torch.tensor(positive, device=logits.device)
    )
    return (each * weight).sum() / weight.sum().clamp_min(1)


def _masked_l1(value: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    return (torch.where(mask, value - target, 0.0)).abs().sum() / mask.sum().clamp_min(1)
