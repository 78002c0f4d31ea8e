"""Training: a recipe and data become the folder of a run (see :mod:`mira_train.runs`)."""

from __future__ import annotations

import csv
import logging
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytorch_lightning as lightning
from mira.errors import DataError, UsageError
from mira.session import usable_cores
from pytorch_lightning.callbacks import EarlyStopping, ModelCheckpoint, RichProgressBar
from pytorch_lightning.loggers import TensorBoardLogger
from pytorch_lightning.profilers import SimpleProfiler
from pytorch_lightning.utilities import rank_zero_only

from mira_train import runs
from mira_train.data.atomic import replacing
from mira_train.data.splits import Split
from mira_train.plugin import Training
from mira_train.recipe import Recipe
from mira_train.sets import sources


@dataclass(frozen=True)
class Outcome:
    """How a training went.

    Parameters
    ----------
    folder
        The run.
    losses
        Training loss of each epoch.
    best
        Best value of what the recipe monitors.
    waiting
        Share of the time of the training steps that went by waiting for data.
    """

    folder: Path
    losses: tuple[float, ...]
    best: float
    waiting: float


def fit(
    training: Training,
    recipe: Recipe,
    sets: Sequence[str],
    out: Path,
    *,
    encoder: Path | None = None,
    weights: Path | None = None,
    resume: bool = False,
    force: bool = False,
    devices: int = 1,
    strategy: Literal["auto", "ddp"] = "auto",
    accelerator: str = "auto",
    workers: int | None = None,
    say: Callable[[str], None] = lambda text: None,
) -> Outcome:
    """Train a network.

    Parameters
    ----------
    training
        The task's part of it.
    recipe
        All that decides the result.
    sets
        Data sets; those of the recipe if empty.
    out
        Folder of the run.
    encoder
        Run, or weights, of the recipe that this one stands on.
    weights
        Where the network starts instead of at random; what they learnt from is counted to the run's data.
    resume, force
        Go on from the last epoch; start anew where there is a run.
    devices, strategy, accelerator
        As Lightning names them.
    workers
        Processes that load data; by what the machine has if not given.
    say
        Told one line now and then.

    Raises
    ------
    UsageError
        If the recipe needs data or an encoder that was not named.
    OutputError
        If ``out`` holds another run.
    DataError, ModelError
        If data, recipe or checkpoint cannot be used.
    """
    sets = tuple(sets) or recipe.data.sets
    if not sets:
        raise UsageError(f"{recipe.name}: name the data sets: --data NAME_OR_FOLDER")
    if recipe.network.encoder and encoder is None:
        raise UsageError(
            f"{recipe.name}: stands on '{recipe.network.encoder.recipe}'; give its run: --encoder RUN"
        )
    last = _last_checkpoint(out, recipe) if resume else None
    lightning.seed_everything(recipe.training.seed, verbose=False)
    module = training.module.lightning_module(recipe, encoder)
    data = training.module.data_module(recipe, sets, workers=_workers(workers))
    if last is None:
        if weights is not None:
            runs.load_weights(weights, module.net, None)
        _begin(out, training.task, recipe, data, weights, force)
    else:
        _same_split(out / runs.SPLIT, data.split)
    curve = Curve(out / runs.CURVE)
    say(f"{recipe.name}: {len(data.split.train)} recordings to train on, {len(data.split.valid)} to validate")
    with _quiet():
        trainer = _trainer(training.task, recipe, out, curve, devices, strategy, accelerator)
        trainer.fit(module, datamodule=data, ckpt_path=last, weights_only=True)
    best = _keep_best(trainer, module, out, training.task, recipe)
    return Outcome(out, curve.column("train_loss"), best, _waiting(trainer.profiler))


class Curve(lightning.Callback):
    """Writes ``curve.csv``, a line an epoch; checkpoints hold it, so that a resumed run continues it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._rows: list[dict[str, float]] = []

    def on_train_epoch_end(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        """Add a line."""
        values = {name: float(value) for name, value in trainer.callback_metrics.items()}
        rate = trainer.optimizers[0].param_groups[0]["lr"]
        self._rows.append(
            {"epoch": trainer.current_epoch, "step": trainer.global_step, "learning_rate": rate, **values}
        )
        if trainer.is_global_zero:
            self._write()

    def column(self, name: str) -> tuple[float, ...]:
        """Values of one column."""
        return tuple(row[name] for row in self._rows if name in row)

    def state_dict(self) -> dict[str, Any]:
        """The lines so far."""
        return {"rows": list(self._rows)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up the lines of an interrupted run."""
        self._rows = list(state_dict["rows"])

    def _write(self) -> None:
        names = list(dict.fromkeys(name for row in self._rows for name in row))
        with replacing(self._path, force=True) as temporary, temporary.open("w", newline="") as file:
            writer = csv.DictWriter(file, names)
            writer.writeheader()
            writer.writerows(self._rows)


class Stamped(lightning.Callback):
    """Writes into each checkpoint which recipe it belongs to."""

    def __init__(self, told: dict[str, str]) -> None:
        self._told = told

    def on_save_checkpoint(
        self, trainer: lightning.Trainer, module: lightning.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Add the stamp."""
        checkpoint[runs.STAMP] = self._told


def _trainer(
    task: str,
    recipe: Recipe,
    out: Path,
    curve: Curve,
    devices: int,
    strategy: str,
    accelerator: str,
) -> lightning.Trainer:
    told = recipe.training
    checkpoints = ModelCheckpoint(
        out / Path(runs.BEST).parent,
        Path(runs.BEST).stem,
        monitor=told.monitor,
        mode=told.mode,
        save_last=True,
        save_on_train_epoch_end=True,
        enable_version_counter=False,
    )
    stop = EarlyStopping(told.monitor, mode=told.mode, patience=told.patience, check_on_train_epoch_end=True)
    watching = [RichProgressBar()] if sys.stderr.isatty() else []
    return lightning.Trainer(
        accelerator=accelerator,
        devices=devices,
        strategy=strategy,
        precision=told.precision,
        max_epochs=told.epochs,
        gradient_clip_val=told.clip or None,
        callbacks=[curve, Stamped(runs.stamp(task, recipe)), stop, checkpoints, *watching],
        logger=TensorBoardLogger(out, "tensorboard", ""),
        profiler=SimpleProfiler(out, "profile"),
        enable_progress_bar=bool(watching),
        enable_model_summary=False,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        log_every_n_steps=1,
    )


def _workers(wanted: int | None) -> int:
    return min(4, usable_cores() - 1) if wanted is None else wanted


def _last_checkpoint(out: Path, recipe: Recipe) -> Path:
    """Where to go on."""
    run = runs.Run.open(out)
    path = out / runs.LAST
    if not path.is_file():
        raise DataError(f"{path}: no epoch is finished yet; leave out --resume and use --force")
    if run.recipe.hash != recipe.hash:
        runs.check_stamp(path, {"recipe": run.recipe.name, "recipe_sha256": run.recipe.hash}, recipe)
    runs.check_stamp(path, runs.read_checkpoint(path).get(runs.STAMP), recipe)
    return path


@rank_zero_only
def _begin(out: Path, task: str, recipe: Recipe, data: Any, weights: Path | None, force: bool) -> None:
    told = [source for dataset in data.sets for source in sources(dataset)]
    told += [source for source in (runs.sets_of(weights) if weights else ()) if source not in told]
    runs.begin(out, task, recipe, told, force=force)
    data.split.save(out / runs.SPLIT)


def _same_split(path: Path, split: Split) -> None:
    if Split.load(path) != split:
        raise DataError(f"{path}: the data are not those that this run began with; use the same ones")


def _keep_best(
    trainer: lightning.Trainer, module: lightning.LightningModule, out: Path, task: str, recipe: Recipe
) -> float:
    """Write the weights of the best epoch as safetensors."""
    kept = trainer.checkpoint_callback
    assert isinstance(kept, ModelCheckpoint)
    if trainer.is_global_zero:
        state, _ = runs.read_weights(Path(kept.best_model_path))
        module.net.load_state_dict(state)  # type: ignore[union-attr]
        told = runs.stamp(task, recipe, runs.Run.open(out).about["data"])
        runs.save_weights(out / runs.WEIGHTS, module.net, told)  # type: ignore[arg-type]
    return float(kept.best_model_score) if kept.best_model_score is not None else float("nan")


def _waiting(profiler: Any) -> float:
    """Share of the steps' time spent on loading; the first step, for which loaders start, does not count."""
    took = profiler.recorded_durations
    waits, steps = (
        sum(took[name][1:]) for name in ("[_TrainingEpochLoop].train_dataloader_next", "run_training_batch")
    )
    return waits / max(waits + steps, 1e-9)


@contextmanager
def _quiet() -> Iterator[None]:
    """Leave out Lightning's advice on hardware and workers, which mira has settled."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="pytorch_lightning")
        warnings.filterwarnings("ignore", category=FutureWarning, module="torch")
        for name in ("pytorch_lightning", "lightning.pytorch"):
            logging.getLogger(name).setLevel(logging.ERROR)
        yield
