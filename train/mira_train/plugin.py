"""What a plugin brings to its training: the module ``training.py`` beside its recipes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

import mira_plugins
from mira.errors import UsageError
from mira.plugins import load_plugins

from mira_train.document import nearest
from mira_train.recipe import Recipe, load

if TYPE_CHECKING:
    from pytorch_lightning import LightningDataModule
    from torch import nn

    from mira_train.learner import Learner
    from mira_train.shipment import Shipment


class TrainingModule(Protocol):
    """What a plugin's ``training.py`` holds; a constant ``DEMO`` (:class:`mira_train.demo.Demo`) may be
    there too.

    Attributes
    ----------
    DEFAULT
        Name of the recipe that is trained if none is asked for.
    """

    DEFAULT: str

    def data_module(self, recipe: Recipe, sets: Sequence[str], *, workers: int = 0) -> LightningDataModule:
        """Batches for training and validation, with the attributes ``sets`` and ``split``."""
        ...

    def lightning_module(self, recipe: Recipe, encoder: Path | None = None) -> Learner:
        """What learns; its attribute ``net`` is the network whose weights are kept."""
        ...

    def shipped(self, recipe: Recipe, net: nn.Module) -> Shipment:
        """The network in the form in which it is exported."""
        ...


@dataclass(frozen=True)
class Training:
    """The training of one task.

    Parameters
    ----------
    task
        Its name.
    module
        See :class:`TrainingModule`.
    recipes
        Folder of its recipes.
    """

    task: str
    module: TrainingModule
    recipes: Path

    def names(self) -> list[str]:
        """Names of its recipes."""
        return sorted(path.stem for path in self.recipes.glob("*.yaml"))

    def recipe(self, name: str, overrides: Sequence[str] = ()) -> Recipe:
        """Load a recipe by its name or its path; the usual one if empty.

        Raises
        ------
        UsageError
            If there is none of that name.
        """
        name = name or self.module.DEFAULT
        if name.endswith((".yaml", ".yml")):
            return load(Path(name), overrides)
        if name not in self.names():
            raise UsageError(f"{self.task}: no recipe '{name}'{nearest(name, self.names())}")
        return load(self.recipes / f"{name}.yaml", overrides)


def find_training(task: str) -> Training:
    """Find the training of a task, by the task's name or its command.

    Raises
    ------
    UsageError
        If no plugin trains such a task; the text names those that can be trained.
    """
    known = _packages()
    for command in load_plugins().tasks.values():
        if task == command.command:
            task = command.name
    if task not in known:
        raise UsageError(f"no task '{task}' that can be trained{nearest(task, known)}")
    module = import_module(f"{known[task]}.training")
    assert module.__file__ is not None
    return Training(task, cast(TrainingModule, module), Path(module.__file__).parent / "recipes")


def _packages() -> dict[str, str]:
    """Task -> package that holds its ``training.py``: mira's own, and those that plugins add."""
    own = Path(mira_plugins.__file__ or "").parent
    found = {p.parent.name: f"mira_plugins.{p.parent.name}" for p in sorted(own.glob("*/training.py"))}
    for info in load_plugins().infos:
        package = info.module.partition(":")[0]
        if info.error or not info.tasks or not hasattr(import_module(package), "__path__"):
            continue
        if find_spec(package + ".training") is not None:
            found |= dict.fromkeys(info.tasks, package)
    return found
