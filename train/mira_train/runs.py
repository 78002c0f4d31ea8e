"""The folder of a run: what it was made from, and what came out.

recipe.yaml         all values of the recipe, those of the command line included
run.json            task, recipe and its hash, versions, seed, data sets and their terms
split.json          which recordings trained, validated, tested
curve.csv           losses and scores, a line an epoch
tensorboard/        the same for TensorBoard
fit-profile.txt     what the time went for
checkpoints/        last.ckpt to go on from, best.ckpt
weights.safetensors the best weights, with the hash of the recipe
"""

from __future__ import annotations

import dataclasses
import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
import yaml
from mira import __version__
from mira.errors import DataError, ModelError, OutputError
from mira.writers.text import printable
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from mira_train.data.atomic import replacing
from mira_train.recipe import Recipe, load

RECIPE, RUN, SPLIT, CURVE, WEIGHTS = (
    "recipe.yaml",
    "run.json",
    "split.json",
    "curve.csv",
    "weights.safetensors",
)
LAST, BEST = "checkpoints/last.ckpt", "checkpoints/best.ckpt"
STAMP = "mira"
"""Where a checkpoint says which recipe it belongs to."""


@dataclass(frozen=True)
class Run:
    """A run as its folder tells it.

    Parameters
    ----------
    folder, task, recipe
        Where it is, what it trained, and how.
    about
        All of ``run.json``.
    """

    folder: Path
    task: str
    recipe: Recipe
    about: Mapping[str, Any]

    @staticmethod
    def open(folder: Path) -> Run:
        """Read a run.

        Raises
        ------
        DataError
            If the folder holds none, or one that was changed by hand.
        """
        path = folder / RUN
        try:
            about = json.loads(path.read_text(encoding="utf-8"))
            task, name, digest = about["task"], about["recipe"], about["recipe_sha256"]
        except OSError:
            raise DataError(
                f"{printable(folder)}: holds no run; give the folder that mira train made"
            ) from None
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(f"{printable(path)}: damaged ({error}); train again") from error
        recipe = dataclasses.replace(load(folder / RECIPE), name=name)
        if recipe.hash != digest:
            raise DataError(f"{printable(folder / RECIPE)}: is not the recipe of this run; undo the change")
        return Run(folder, task, recipe, about)


def begin(folder: Path, task: str, recipe: Recipe, sets: Sequence[Mapping[str, str]], *, force: bool) -> None:
    """Make the folder of a run and say what it will be; ``sets`` have ``name`` and ``terms``.

    Raises
    ------
    OutputError
        If it holds a run already and not ``force``, or cannot be written.
    """
    if folder.exists() and any(folder.iterdir()) and not force:
        raise OutputError(f"{printable(folder)}: is not empty; --resume goes on, --force starts anew")
    about = {
        "task": task,
        "recipe": recipe.name,
        "recipe_sha256": recipe.hash,
        "seed": recipe.training.seed,
        "data": list(sets),
        "versions": {
            "mira": __version__,
            "python": platform.python_version(),
            **{name: version(name) for name in ("torch", "pytorch-lightning", "numpy", "onnx")},
        },
    }
    with replacing(folder / RECIPE, force=True) as temporary:
        text = yaml.safe_dump(recipe.document.value, sort_keys=False, allow_unicode=True, width=110)
        temporary.write_text(text, encoding="utf-8")
    with replacing(folder / RUN, force=True) as temporary:
        temporary.write_text(json.dumps(about, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    for name in (CURVE, WEIGHTS, LAST, BEST):
        (folder / name).unlink(missing_ok=True)


def stamp(task: str, recipe: Recipe, sets: Sequence[Mapping[str, str]] = ()) -> dict[str, str]:
    """What checkpoints and weights carry; ``sets`` is what they have learnt from."""
    told = {"task": task, "recipe": recipe.name, "recipe_sha256": recipe.hash, "mira": __version__}
    return told | ({"data": json.dumps(list(sets))} if sets else {})


def sets_of(path: Path) -> list[dict[str, str]]:
    """Data sets, with ``name`` and ``terms``, that weights have learnt from as far as they say so."""
    return json.loads(read_weights(path)[1].get("data", "[]"))


def check_stamp(path: Path, found: Mapping[str, Any] | None, recipe: Recipe) -> None:
    """Refuse what belongs to another recipe.

    Raises
    ------
    ModelError
        If it does, or says nothing; the text names both recipes.
    """
    if not found or "recipe_sha256" not in found:
        raise ModelError(f"{printable(path)}: does not say which recipe made it; give the run's folder")
    if found["recipe_sha256"] != recipe.hash:
        what = "another form of" if found["recipe"] == recipe.name else f"'{found['recipe']}', not"
        raise ModelError(f"{printable(path)}: made by {what} the recipe '{recipe.name}'; use what made it")


def save_weights(path: Path, net: nn.Module, told: Mapping[str, str]) -> None:
    """Write the weights of a network as safetensors."""
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in net.state_dict().items()}
    with replacing(path, force=True) as temporary:
        save_file(state, temporary, dict(told))


def load_weights(source: Path, net: nn.Module, recipe: Recipe | str | None) -> None:
    """Put stored weights into a network.

    Parameters
    ----------
    source
        The folder of a run, a ``.safetensors`` file, or a checkpoint. Nothing in it is executed.
    net
        Is changed.
    recipe
        What must have made them; its name alone where the rest does not matter; None: whatever fits.

    Raises
    ------
    ModelError
        If the file is missing, damaged, of another recipe, or does not fit the network.
    """
    path = source / WEIGHTS if source.is_dir() else source
    state, told = read_weights(path)
    if isinstance(recipe, Recipe):
        check_stamp(path, told, recipe)
    elif recipe is not None and told.get("recipe") != recipe:
        raise ModelError(f"{printable(path)}: made by '{told.get('recipe')}', but '{recipe}' is needed")
    try:
        net.load_state_dict(state)
    except RuntimeError as error:
        raise ModelError(
            f"{printable(path)}: does not fit the network: {' '.join(str(error).split())[:200]}"
        ) from error


def read_weights(path: Path) -> tuple[dict[str, Tensor], Mapping[str, str]]:
    """Tensors of a ``.safetensors`` file or a checkpoint, and its stamp.

    Raises
    ------
    ModelError
        If it is missing or damaged, or holds more than tensors and plain values.
    """
    if not path.is_file():
        raise ModelError(f"{printable(path)}: no such file; give the folder of a run, or a checkpoint")
    if path.suffix == ".safetensors":
        try:
            with safe_open(path, framework="pt") as file:
                told = file.metadata() or {}
            return load_file(path), told
        except (SafetensorError, OSError) as error:
            raise ModelError(f"{printable(path)}: not a safetensors file, or damaged: {error}") from error
    values = read_checkpoint(path)
    state = values.get("state_dict", values)
    prefix = "net."
    if all(isinstance(name, str) and name.startswith(prefix) for name in state):
        state = {name.removeprefix(prefix): tensor for name, tensor in state.items()}
    return state, values.get(STAMP, {})


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint as plain values; code in it is never run.

    Raises
    ------
    ModelError
        If it is damaged, or would need code.
    """
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # unpickling raises nearly anything; the cause is kept
        reason = str(error).splitlines()[0][:150]
        raise ModelError(f"{printable(path)}: not a checkpoint that is safe to load: {reason}") from error
