"""Recipes: YAML checked against typed dataclasses, from which a network is built and trained.

A recipe may stand on another one in its folder (``extends: other.yaml``) and then says only what differs.
"""

from __future__ import annotations

import dataclasses
import hashlib
import inspect
import json
import types
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, cast, get_args, get_origin, get_type_hints

from torch import nn

from mira_train import frontends, losses, network
from mira_train.document import Document, Keys, merge, nearest, parse, read


@dataclass(frozen=True)
class Component:
    """Something made by name.

    Parameters
    ----------
    type
        Its name.
    options
        Its keyword arguments; in YAML they stand beside ``type``.
    """

    type: str
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class SplitRule:
    """How a data set is divided; :mod:`mira_train.data.splits` does it.

    Parameters
    ----------
    by
        ``group``: what the registry says must stay together (artist, work, piano) does. ``position``: every
        so many-th entry validates, as in the book.
    valid, test
        Shares held out; the book has no test.
    """

    by: Literal["group", "position"] = "group"
    valid: float = 0.1
    test: float = 0.1


@dataclass(frozen=True)
class Data:
    """What a network learns from.

    Parameters
    ----------
    sets
        Names of the registry, or paths.
    target
        Name of the annotation.
    patch, hop
        Length and distance of the patches in frames of the front end (samples for a waveform). ``hop`` 0: one
        patch an item, cut at random.
    split
        Training, validation and test.
    target_form
        How the annotation becomes a target; the task's ``training.py`` lists the forms. Empty: the usual one.
    group
        Items of one group (work) in a batch; 1: no groups.
    augment
        Changes made to the audio or features at random, in order.
    """

    sets: tuple[str, ...]
    target: str
    patch: int
    hop: int = 0
    split: SplitRule = field(default_factory=SplitRule)
    target_form: str = ""
    group: int = 1
    augment: tuple[Component, ...] = ()


@dataclass(frozen=True)
class Encoder:
    """A trained network that stands, frozen, before another.

    Parameters
    ----------
    recipe
        Name of the recipe that made it.
    at
        Name under which it stores the tensor that is handed over.
    """

    recipe: str
    at: str


@dataclass(frozen=True)
class NetworkSpec:
    """A network.

    Parameters
    ----------
    input, output
        Shapes without the batch, for one patch. An empty ``output`` is not checked.
    blocks
        Nested lists of bricks (see :mod:`mira_train.network`).
    code
        Instead of ``blocks``: ``module:name`` of something that returns a module.
    options
        Keyword arguments for ``code``.
    encoder
        What gives the input, where it is not the front end.
    """

    input: tuple[int, ...]
    output: tuple[int, ...] = ()
    blocks: Any = ()
    code: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    encoder: Encoder | None = None


@dataclass(frozen=True)
class Training:
    """How a network learns.

    Parameters
    ----------
    loss
        One of :data:`mira_train.losses.LOSSES` with its options.
    optimizer, learning_rate, momentum, weight_decay
        ``momentum`` is for sgd.
    batch_size
        Patches in a batch.
    epochs, patience
        At most so many epochs; stop after so many without a better ``monitor``.
    monitor, mode
        What chooses the best checkpoint, and whether low or high is good.
    milestones, decay
        Epochs at which the learning rate is multiplied by ``decay``.
    clip
        Largest norm of the gradient; 0: any.
    precision
        As Lightning names it.
    seed
        Of weights, order and draws.
    """

    loss: Component
    learning_rate: float
    batch_size: int
    optimizer: Literal["adam", "adamw", "sgd"] = "adam"
    momentum: float = 0.0
    weight_decay: float = 0.0
    epochs: int = 500
    patience: int = 10
    monitor: str = "valid_loss"
    mode: Literal["min", "max"] = "min"
    milestones: tuple[int, ...] = ()
    decay: float = 0.1
    clip: float = 0.0
    precision: Literal["32-true", "16-mixed", "bf16-mixed"] = "32-true"
    seed: int = 42


@dataclass(frozen=True)
class Export:
    """What the exported graph looks like.

    Parameters
    ----------
    outputs
        Names of its outputs.
    activation
        Put behind the network, which itself gives logits.
    opset
        ONNX operator set.
    tolerance
        Largest difference from torch.
    """

    outputs: tuple[str, ...]
    activation: Literal["none", "sigmoid", "softmax"] = "none"
    opset: int = 17
    tolerance: float = 1e-4


@dataclass(frozen=True)
class Recipe:
    """All that makes a model.

    Parameters
    ----------
    about
        One line.
    data, frontend, network, training, export
        See their classes.
    changes
        What a corrected form does differently from the one it stands on, and why.
    name
        File name without suffix.
    document
        Where the values stand, for errors.
    """

    about: str
    data: Data
    frontend: Component
    network: NetworkSpec
    training: Training
    export: Export
    changes: tuple[str, ...] = ()
    name: str = ""
    document: Document = field(default_factory=lambda: Document({}, {}), compare=False, repr=False)

    @property
    def hash(self) -> str:
        """SHA-256 of everything that decides the result, defaults included."""
        parts = (self.data, self.frontend, self.network, self.training, self.export)
        text = json.dumps([dataclasses.asdict(p) for p in parts], sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()


def load(path: Path, overrides: Iterable[str] = ()) -> Recipe:
    """Read a recipe and what it stands on.

    Parameters
    ----------
    path
        A YAML file.
    overrides
        ``training.batch_size=4`` and the like, put over the file's values.

    Raises
    ------
    DataError
        For an unknown or missing key or a value of the wrong type; the text names file and line.
    """
    document = _resolve(Path(path), ())
    for text in overrides:
        document = merge(document, _override(text))
    if "name" in document.value:
        raise document.error(("name",), "a recipe is named by its file; remove 'name'")
    recipe = _fill(Recipe, document.value, document, ())
    _check_options(frontends.FRONTENDS, recipe.frontend, "front end", document, ("frontend",))
    _check_options(losses.LOSSES, recipe.training.loss, "loss", document, ("training", "loss"))
    if bool(recipe.network.blocks) == bool(recipe.network.code):
        raise document.error(("network",), "give either 'blocks' or 'code'")
    return dataclasses.replace(recipe, name=Path(path).stem, document=document)


def build_network(recipe: Recipe) -> nn.Module:
    """Make the recipe's network with fresh weights.

    Raises
    ------
    DataError
        If a layer is unknown or does not fit, or the output is not of the shape that the recipe says.
    """
    spec, document = recipe.network, recipe.document
    if spec.code:
        return _from_code(spec, document)
    made = network.build(spec.blocks, spec.input, document, ("network", "blocks"))
    if spec.output and made.output_shape != spec.output:
        raise document.error(
            ("network", "output"),
            f"the blocks give {made.output_shape}, not {spec.output}; correct one of them",
        )
    return made


def build_frontend(recipe: Recipe) -> nn.Module:
    """Make the recipe's front end."""
    return frontends.build(recipe.frontend.type, recipe.frontend.options)


def _from_code(spec: NetworkSpec, document: Document) -> nn.Module:
    module, _, name = spec.code.partition(":")
    try:
        make = getattr(import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise document.error(("network", "code"), f"'{spec.code}' cannot be imported: {error}") from error
    return make(**spec.options)


def _resolve(path: Path, seen: tuple[Path, ...]) -> Document:
    document = read(path)
    if not isinstance(document.value, dict):
        raise document.error((), "a recipe is a mapping of keys to values")
    base = document.value.pop("extends", None)
    if base is None:
        return document
    below = path.parent / str(base)
    if below in (*seen, path):
        raise document.error(("extends",), f"'{base}' stands on this recipe itself")
    if not below.is_file():
        names = [p.name for p in path.parent.glob("*.yaml")]
        raise document.error(
            ("extends",), f"there is no recipe '{base}' beside it{nearest(str(base), names)}"
        )
    return merge(_resolve(below, (*seen, path)), document)


def _override(text: str) -> Document:
    key, equals, value = text.partition("=")
    keys = tuple(key.split("."))
    if not equals or not all(keys):
        raise parse("", f"--set {text}").error(
            (), "write it as key=value, for instance training.batch_size=4"
        )
    nested = parse(value, f"--set {text}").value
    for part in reversed(keys):
        nested = {part: nested}
    return Document(nested, {keys[: i + 1]: f"--set {text}" for i in range(len(keys))})


def _check_options(
    known: Mapping[str, Any], component: Component, kind: str, document: Document, keys: Keys
) -> None:
    if component.type not in known:
        text = f"no {kind} is called '{component.type}'{nearest(component.type, known)}"
        raise document.error((*keys, "type"), text)
    options = _keywords(known[component.type])
    for name in component.options:
        if name not in options:
            text = f"the {kind} {component.type} has no '{name}'{nearest(name, options) if options else ''}"
            raise document.error((*keys, name), text)


def _keywords(make: Any) -> list[str]:
    """Options of a class, or the keyword-only arguments of a function."""
    parameters = inspect.signature(make).parameters.values()
    return [p.name for p in parameters if isinstance(make, type) or p.kind is p.KEYWORD_ONLY]


def _fill(cls: type, value: Any, document: Document, keys: Keys) -> Any:
    """Make the dataclass ``cls`` from a mapping."""
    if not isinstance(value, dict):
        raise document.error(keys, f"expected keys and values, not {value!r}")
    if cls is Component:
        value = {"type": value.get("type"), "options": {k: v for k, v in value.items() if k != "type"}}
    hints = get_type_hints(cls)
    fields = {f.name: f for f in dataclasses.fields(cls) if f.name != "document"}
    for name in value:
        if name not in fields:
            raise document.error((*keys, name), f"unknown key '{name}'{nearest(name, fields)}")
    for name, spec in fields.items():
        required = spec.default is dataclasses.MISSING and spec.default_factory is dataclasses.MISSING
        if required and name not in value:
            raise document.error(keys, f"'{'.'.join(map(str, (*keys, name)))}' is missing")
    return cls(**{name: _value(hints[name], v, document, (*keys, name)) for name, v in value.items()})


def _value(hint: Any, value: Any, document: Document, keys: Keys) -> Any:
    """``value`` as the type ``hint``."""
    if get_origin(hint) is types.UnionType:
        hint = next(h for h in get_args(hint) if h is not type(None))
    origin = get_origin(hint)
    if hint is Any:
        return value
    if dataclasses.is_dataclass(hint):
        return _fill(cast(type, hint), value, document, keys)
    if origin is tuple and isinstance(value, list):
        return tuple(_value(get_args(hint)[0], v, document, (*keys, i)) for i, v in enumerate(value))
    if origin is Literal:
        if value in get_args(hint):
            return value
        raise document.error(keys, f"'{keys[-1]}' cannot be {value!r}{nearest(str(value), get_args(hint))}")
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    wanted = {Mapping: dict, tuple: list}.get(origin, origin or hint)
    if type(value) is not wanted:
        text = getattr(wanted, "__name__", str(wanted))
        raise document.error(keys, f"'{keys[-1]}' must be of type {text}, not {value!r}")
    return value
