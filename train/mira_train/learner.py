"""How networks learn: what all tasks share, and the plain case of inputs with targets."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import pytorch_lightning as lightning
import torch
from numpy.typing import NDArray
from pytorch_lightning.callbacks import WeightAveraging
from torch import Tensor, nn

from mira_train.bricks import penalty
from mira_train.features import is_learned
from mira_train.losses import LOSSES
from mira_train.network import Network
from mira_train.recipe import Recipe, build_frontend, build_network

ACTIVATIONS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "none": lambda logits: logits,
    "sigmoid": torch.sigmoid,
    "softmax": partial(torch.softmax, dim=1),
}
"""What turns logits into what is exported."""

_AVERAGE = 0.998
"""Decay of the average of the weights; shorter during the first steps."""

Measure = Callable[[NDArray[np.float32], NDArray[Any]], Mapping[str, float]]
"""``measure(outputs, targets)`` over recordings -> name -> value."""


class Heard(nn.Module):
    """A network behind a front end that is learned with it."""

    def __init__(self, front: nn.Module, net: nn.Module) -> None:
        super().__init__()
        self.front, self.net = front, net

    def forward(self, waveform: Tensor, share: Tensor | None = None) -> Tensor:
        """(batch, sample) -> what the network makes of the features."""
        x = self.front(waveform)
        return self.net(x, share) if isinstance(self.net, Network) else self.net(x)


def trained_network(recipe: Recipe) -> nn.Module:
    """The part of a recipe that has weights: its network, and its front end if that is learned."""
    net, front = build_network(recipe), build_frontend(recipe)
    return Heard(front, net) if is_learned(front) else net


class Learner(lightning.LightningModule):
    """Base of all: a network ``net``, its loss by name, and an optimiser as the recipe says.

    Parameters
    ----------
    recipe
        Its ``training`` counts.
    net
        What learns.
    """

    def __init__(self, recipe: Recipe, net: nn.Module) -> None:
        super().__init__()
        self.recipe, self.net = recipe, net
        loss = recipe.training.loss
        self.loss = partial(LOSSES[loss.type], **loss.options)
        self._losses: list[tuple[float, int]] = []

    def forward(self, x: Tensor, share: Tensor | None = None) -> Tensor:
        """What the network says."""
        return self.net(x, share) if isinstance(self.net, Network | Heard) else self.net(x)

    def on_train_epoch_start(self) -> None:
        """Make dropout, draws and rate depend on seed, epoch and process alone, for the sake of resuming."""
        told = self.recipe.training
        place = (told.seed, self.current_epoch, self.global_rank)
        torch.manual_seed(int(np.random.SeedSequence(place).generate_state(1)[0]))
        if told.milestones:
            # not by a scheduler, whose step at the end of an epoch comes after the checkpoint
            passed = sum(epoch <= self.current_epoch for epoch in told.milestones)
            for group in self.trainer.optimizers[0].param_groups:
                group["lr"] = told.learning_rate * told.decay**passed

    def configure_optimizers(self) -> Any:
        """The recipe's optimiser."""
        told = self.recipe.training
        weights = [p for p in self.parameters() if p.requires_grad]
        if told.optimizer == "sgd":
            optimizer: torch.optim.Optimizer = torch.optim.SGD(
                weights, told.learning_rate, told.momentum, weight_decay=told.weight_decay
            )
        else:
            kind = torch.optim.Adam if told.optimizer == "adam" else torch.optim.AdamW
            optimizer = kind(weights, told.learning_rate, weight_decay=told.weight_decay)
        return {"optimizer": optimizer}

    def log_training(self, loss: Tensor, count: int) -> None:
        """Log the loss of a batch; the epoch's is the mean over its examples."""
        self.log("train_loss", loss.detach(), on_epoch=True, on_step=False, batch_size=count, sync_dist=True)

    def keep_validation(self, loss: Tensor, count: int) -> None:
        """Remember the loss of a validation batch."""
        self._losses.append((float(loss), count))

    def log_validation(self) -> None:
        """Log the mean loss over the examples of all processes, and how many they were."""
        kept = [pair for mine in self.everyone(self._losses) for pair in mine]
        self._losses = []
        total = sum(n for _, n in kept)
        mean = sum(loss * n for loss, n in kept) / max(total, 1)
        self.log_dict({"valid_loss": mean, "valid_examples": float(total)})

    def everyone(self, value: Any) -> list[Any]:
        """What each process has; validation deals out every example once, so nothing comes twice."""
        if self.trainer.world_size == 1:
            return [value]
        gathered = [None] * self.trainer.world_size
        torch.distributed.all_gather_object(gathered, value)
        return gathered


class AveragedLearner(Learner):
    """Learns under a one-cycle schedule; the average of its weights is what is validated and kept."""

    rising = 0.05
    """Share of all steps over which the rate rises before it falls."""

    def configure_optimizers(self) -> Any:
        """The recipe's optimiser under the schedule."""
        optimizer = super().configure_optimizers()["optimizer"]
        steps = int(self.trainer.estimated_stepping_batches)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, self.recipe.training.learning_rate, total_steps=steps, pct_start=self.rising
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def configure_callbacks(self) -> list[lightning.Callback]:
        """Average the weights."""
        return [WeightAveraging(avg_fn=_averaged)]


def _averaged(average: Tensor, current: Tensor, updates: Tensor | int) -> Tensor:
    decay = min(_AVERAGE, (1 + int(updates)) / (20 + int(updates)))
    return average + (current - average) * (1 - decay)


class Supervised(Learner):
    """Inputs with targets.

    Parameters
    ----------
    recipe
        All of it counts.
    measure
        Scores over whole recordings, on outputs averaged over their patches; logged as ``valid_<name>``.
    net
        Instead of the recipe's network alone.
    """

    def __init__(self, recipe: Recipe, measure: Measure | None = None, net: nn.Module | None = None) -> None:
        super().__init__(recipe, net or trained_network(recipe))
        self._measure = measure
        self._outputs: dict[int, list[Any]] = {}

    def training_step(self, batch: Mapping[str, Tensor], index: int) -> Tensor:
        """Loss of a batch."""
        loss = self._loss_of(batch)[0] + penalty(self.net)
        self.log_training(loss, len(batch["x"]))
        return loss

    def validation_step(self, batch: Mapping[str, Tensor], index: int) -> None:
        """Gather losses, and outputs if they are measured."""
        loss, output = self._loss_of(batch)
        self.keep_validation(loss, len(batch["x"]))
        if self._measure is not None:
            likely = ACTIVATIONS[self.recipe.export.activation](output.float()).cpu()
            for item, row, y in zip(batch["item"].tolist(), likely, batch["y"].cpu()):
                total, count, _ = self._outputs.get(item, (0.0, 0, None))
                self._outputs[item] = [total + row.numpy(), count + 1, y.numpy()]

    def on_validation_epoch_end(self) -> None:
        """Log the mean loss over all examples and the measures over all recordings, of all processes."""
        self.log_validation()
        if self._measure is None:
            return
        merged: dict[int, list[Any]] = {}
        for mine in self.everyone(self._outputs):
            for item, (sums, count, y) in mine.items():
                had = merged.get(item, [0.0, 0, y])
                merged[item] = [had[0] + sums, had[1] + count, y]
        self._outputs = {}
        outputs = np.stack([sums / count for _, (sums, count, _) in sorted(merged.items())])
        targets = np.stack([y for _, (_, _, y) in sorted(merged.items())])
        self.log_dict({f"valid_{k}": v for k, v in self._measure(outputs, targets).items()})

    def _loss_of(self, batch: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        output = self(batch["x"], batch["share"])
        return self.loss(output, batch["y"]), output
