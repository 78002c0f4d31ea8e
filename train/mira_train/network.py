"""A network as nested lists of bricks.

A layer is a name (``ReLU``) or a name with arguments (``[Conv2d, {in_channels: -1, out_channels: 8, ...}]``);
any other list is a group of layers or groups. Sizes left out or at -1 come from the running shape, which is
found by running each layer on a tensor without data (torch's meta device), not by rules of our own.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from mira_train.bricks import BRICKS, Brick, CatWith, Pooling, StoreAs
from mira_train.document import Document, Keys, nearest


class Network(nn.Sequential):
    """Layers one after another, with skips.

    Parameters
    ----------
    layers
        Bricks in order.
    output_shape
        Shape of the output for the recipe's input, without the batch.
    """

    def __init__(self, layers: Sequence[nn.Module], output_shape: tuple[int, ...]) -> None:
        super().__init__(*layers)
        self.output_shape = output_shape

    def forward(self, input: Tensor, share: Tensor | None = None) -> Tensor:
        """Run all layers.

        Parameters
        ----------
        input
            Shape (batch, ...) as the recipe's input; any number of frames where the layers allow it.
        share
            Shape (batch,), the part of the frames that is music; what follows is padding, and pooling bricks
            give it no weight. None: all of them.
        """
        x, stored = input, {}
        for layer in self:
            x = _step(layer, x, stored, share)
        return x

    def until(self, name: str, input: Tensor, share: Tensor | None = None) -> Tensor:
        """Run as far as ``StoreAs`` of ``name`` and return what it stores; KeyError if there is none."""
        x, stored = input, {}
        for layer in self:
            x = _step(layer, x, stored, share)
            if name in stored:
                return x
        raise KeyError(name)


def _step(layer: nn.Module, x: Tensor, stored: dict[str, Tensor], share: Tensor | None = None) -> Tensor:
    if isinstance(layer, StoreAs | CatWith):
        return layer(x, stored)
    return layer(x, share) if isinstance(layer, Pooling) else layer(x)


def build(blocks: Any, input_shape: Sequence[int], document: Document, keys: Keys) -> Network:
    """Make the network that ``blocks`` describe; ``blocks`` is left as it is.

    Parameters
    ----------
    blocks
        Nested lists of layers.
    input_shape
        Without the batch, for instance (channel, bin, frame).
    document, keys
        Where ``blocks`` stands, for errors.

    Raises
    ------
    DataError
        For an unknown brick or argument, or a layer that does not fit its input; the text says where.
    """
    shape = torch.empty((1, *input_shape), device="meta")
    stored: dict[str, Tensor] = {}
    layers = []
    for at, name, arguments in _layers(blocks, document, keys):
        layer = _make(name, arguments, tuple(shape.shape), document, at)
        try:
            shape = _step(copy.deepcopy(layer).to("meta").eval(), shape, stored)
        except KeyError as error:
            known = nearest(str(error.args[0]), stored) if stored else "; nothing is stored before it"
            raise document.error(at, f"nothing is stored as {error}{known}") from error
        except (RuntimeError, IndexError, ValueError) as error:
            got = _text(shape.shape)
            raise document.error(at, f"{name} does not fit its input {got}: {_first_line(error)}") from error
        layers.append(layer)
    return Network(layers, tuple(shape.shape[1:]))


def _layers(blocks: Any, document: Document, keys: Keys) -> Iterator[tuple[Keys, str, dict[str, Any]]]:
    """All layers in order: where, name, arguments."""
    if isinstance(blocks, str):
        yield keys, blocks, {}
    elif _is_layer(blocks):
        yield keys, blocks[0], blocks[1]
    elif isinstance(blocks, list):
        for i, block in enumerate(blocks):
            yield from _layers(block, document, (*keys, i))
    else:
        raise document.error(
            keys, f"expected a brick's name, [name, {{arguments}}] or a list, not {blocks!r}"
        )


def _is_layer(blocks: Any) -> bool:
    pair = isinstance(blocks, list) and len(blocks) == 2
    return pair and isinstance(blocks[0], str) and isinstance(blocks[1], dict)


def _make(
    name: str, arguments: dict[str, Any], shape: tuple[int, ...], document: Document, at: Keys
) -> nn.Module:
    if name not in BRICKS:
        raise document.error(at, f"no brick is called '{name}'{nearest(name, BRICKS)}")
    brick = BRICKS[name]
    parameters = inspect.signature(brick.make).parameters
    for argument in arguments:
        if argument not in parameters:
            raise document.error(
                (*at, 1, argument), f"{name} has no '{argument}'{nearest(argument, parameters)}"
            )
    filled = {k: tuple(v) if isinstance(v, list) else v for k, v in arguments.items()}
    try:
        filled |= _sizes(brick, arguments, shape)
        return brick.make(**filled)
    except (TypeError, ValueError, IndexError, RuntimeError) as error:
        got = _text(shape)
        raise document.error(at, f"{name} cannot be made for input {got}: {_first_line(error)}") from error


def _sizes(brick: Brick, arguments: dict[str, Any], shape: tuple[int, ...]) -> dict[str, Any]:
    """The arguments that the running shape decides."""
    unknown = {k: axis for k, axis in brick.sizes.items() if arguments.get(k, -1) == -1}
    return {k: list(shape[1:]) if axis is None else shape[axis] for k, axis in unknown.items()}


def _text(shape: Sequence[int]) -> str:
    return "(" + ", ".join(["batch", *map(str, shape[1:])]) + ")"


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
