"""How chord networks are trained: ChordNet on chroma, the book's row on a class for each frame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytorch_lightning as lightning
import torch
from mira.card import Output
from mira.errors import DataError
from mira_train.demo import Demo, chord_set
from mira_train.learner import AveragedLearner, Learner, trained_network
from mira_train.recipe import Recipe
from mira_train.shipment import Shipment
from torch import Tensor, nn
from torch.nn import functional as F

from mira_plugins.chords import book
from mira_plugins.chords.decode import Weights
from mira_plugins.chords.examples import ChordData
from mira_plugins.chords.network import ChordNet, Shipped
from mira_plugins.chords.rivals import Rival
from mira_plugins.chords.targets import IGNORED
from mira_plugins.chords.vocabulary import NAMES, NO_CHORD

DEFAULT = "chordnet"
DEMO = Demo(chord_set)

_COMMON: Mapping[str, float] = {"maj": 0.8, "min": 1.1}
_RARE = 1.4
"""Weights of the qualities in the loss: rare ones count for more, though far less than their rarity asks."""
_SPREAD = (0.1, 0.45, 0.9, 0.45, 0.1)
"""Probability of a change in the frames around a labelled one."""

Batch = Mapping[str, Tensor]


def data_module(recipe: Recipe, sets: Sequence[str], *, workers: int = 0) -> lightning.LightningDataModule:
    """Stretches of chroma for ChordNet; patches for the book's row."""
    if recipe.network.code:
        return ChordData(recipe, sets, workers=workers)
    return book.data_module(recipe, sets, workers=workers)


def lightning_module(recipe: Recipe, encoder: Path | None = None) -> Learner:
    """ChordNet with its own loss, or cross entropy frame by frame."""
    return ChordLearner(recipe) if recipe.network.code else book.lightning_module(recipe)


def shipped(recipe: Recipe, net: nn.Module) -> Shipment:
    """ChordNet's activations and its chroma, or the book's classes."""
    if isinstance(net, Rival):
        raise DataError(f"{recipe.name}: a network to compare with; it cannot hear a song in pieces")
    if not isinstance(net, ChordNet):
        return book.shipped(recipe, net)
    graph = Shipped(net).eval()
    hop, units = graph.front.hop_length, {"chroma": "deviations"}
    return Shipment(
        graph,
        graph.front.sample_rate,
        hop,
        tuple(
            Output(name, Shipped.axes[name], units.get(name, "probability")) for name in recipe.export.outputs
        ),
        tuple(hop * frames for frames in (60, 130, 211)),
        graph.reach,
        labels={"quality": list(NAMES)},
        defaults=vars(Weights()),
    )


class ChordLearner(AveragedLearner):
    """ChordNet under a one-cycle schedule; the average of its weights is what is validated and kept."""

    rising = 0.1

    def __init__(self, recipe: Recipe) -> None:
        super().__init__(recipe, trained_network(recipe))
        self._right: list[tuple[float, int]] = []

    def training_step(self, batch: Batch, index: int) -> Tensor:
        """Loss of a batch."""
        if not self.net.keyless:
            batch = transposed(batch, int(torch.randint(12, ())))
        loss, parts = chord_loss(self(batch["chroma"]), batch, self.net.parts)
        self.log_training(loss, len(batch["chroma"]))
        named = {f"train_{k}": v for k, v in parts.items()}
        self.log_dict(named, on_step=False, on_epoch=True, batch_size=len(batch["chroma"]), sync_dist=True)
        return loss

    def validation_step(self, batch: Batch, index: int) -> None:
        """Gather losses, and how many frames are right."""
        outputs = self(batch["chroma"])
        self.keep_validation(chord_loss(outputs, batch, self.net.parts)[0], len(batch["chroma"]))
        self._right.append(frames_right(outputs, batch))

    def on_validation_epoch_end(self) -> None:
        """Log the mean loss and the share of frames that are right."""
        self.log_validation()
        right = [pair for mine in self.everyone(self._right) for pair in mine]
        self._right = []
        self.log("valid_right", sum(n for n, _ in right) / max(sum(n for _, n in right), 1))


def chord_loss(
    outputs: tuple[Tensor, ...], batch: Batch, weights: Mapping[str, float] = ChordNet.parts
) -> tuple[Tensor, dict[str, Tensor]]:
    """Weighted sum of the losses of root, quality (at the true root), bass, tones, changes; and each alone.

    Frames whose target is :data:`IGNORED` count for nothing.
    """
    root, quality, bass, pitch, change = outputs
    sounding = (batch["root"] != IGNORED) & (batch["root"] != NO_CHORD)
    known = (batch["tones"] != IGNORED)[..., None]
    weight = torch.tensor([_COMMON.get(name, _RARE) for name in NAMES], device=root.device)
    bits = (batch["tones"].clamp(min=0)[..., None] >> torch.arange(12, device=root.device)) & 1
    tones = F.binary_cross_entropy_with_logits(pitch, bits.float(), reduction="none")
    parts = {
        "root": _cross_entropy(root, batch["root"]),
        "quality": _cross_entropy(
            at_root(quality, batch["root"]), batch["quality"].masked_fill(~sounding, IGNORED), weight
        ),
        "bass": _cross_entropy(bass, batch["bass"]),
        "pitch": (tones * known).sum() / (12 * known.sum()).clamp(min=1),
        "change": _change_loss(change.squeeze(-1), batch),
    }
    loss = torch.stack([weights[name] * part for name, part in parts.items()]).sum()
    return loss, {name: part.detach() for name, part in parts.items()}


def _change_loss(logits: Tensor, batch: Batch) -> Tensor:
    """Cross entropy of the changes, each spread over its neighbours: labels are not exact to a frame."""
    same, known = torch.ones_like(logits, dtype=torch.bool), torch.zeros_like(logits, dtype=torch.bool)
    for name in ("root", "quality"):
        target = batch[name]
        same[:, 1:] &= target[:, 1:] == target[:, :-1]
    unknown = (batch["root"] == IGNORED) | ((batch["root"] != NO_CHORD) & (batch["quality"] == IGNORED))
    known[:, 1:] = ~(unknown[:, 1:] | unknown[:, :-1])
    spread = F.conv1d((~same).float()[:, None], torch.tensor([[_SPREAD]], device=logits.device), padding=2)
    each = F.binary_cross_entropy_with_logits(logits, spread[:, 0].clamp(max=max(_SPREAD)), reduction="none")
    return (each * known).sum() / known.sum().clamp(min=1)


def transposed(batch: Batch, steps: int) -> Batch:
    """The batch so many semitones higher."""
    tones = batch["tones"]
    moved = ((tones << steps) | (tones >> (12 - steps))) & 0xFFF
    out = {
        "chroma": batch["chroma"].unflatten(-1, (2, 12)).roll(steps, -1).flatten(-2),
        "quality": batch["quality"],
        "tones": torch.where(tones == IGNORED, tones, moved),
    }
    for name in ("root", "bass"):
        is_pitch = (batch[name] != IGNORED) & (batch[name] != NO_CHORD)
        out[name] = torch.where(is_pitch, (batch[name] + steps) % 12, batch[name])
    return out


def _cross_entropy(logits: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
    """Mean over the known targets; 0 where there is none."""
    each = F.cross_entropy(
        logits.flatten(0, 1), target.flatten(), weight, ignore_index=IGNORED, reduction="none"
    )
    return each.sum() / (target != IGNORED).sum().clamp(min=1)


def at_root(quality: Tensor, root: Tensor) -> Tensor:
    """(batch, frame, 12, 13) at roots (batch, frame) -> (batch, frame, 13)."""
    index = root.clamp(0, 11)[:, :, None, None].expand(-1, -1, 1, quality.shape[-1])
    return quality.gather(2, index).squeeze(2)


def frames_right(outputs: tuple[Tensor, ...], batch: Batch) -> tuple[float, int]:
    """How many frames have root and quality right, and how many could."""
    root, quality, *_ = outputs
    right = root.argmax(-1) == batch["root"]
    silent = batch["root"] == NO_CHORD
    same = at_root(quality, batch["root"]).argmax(-1) == batch["quality"]
    counted = silent | (batch["quality"] != IGNORED)
    return float((right & (silent | same))[counted].sum()), int(counted.sum())
