"""The blocks that networks are made of, by the names that recipes use.

Most are ``torch.nn``'s own under their own names. ``BRICKS`` says for each which argument is the size of
which axis of its input, so that a recipe can leave it at -1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from torch import nn

from mira_train.bricks.bottleneck import RVQ, VAE, VQ, AutoEncoder, Bottleneck, penalty
from mira_train.bricks.conv import (
    TCN,
    BottleneckResidual2d,
    Conv1d,
    Conv1dBlock,
    Conv2d,
    Conv2dBlock,
    ConvNeXt2d,
    DepthwiseSeparable2d,
    Down2d,
    Residual2d,
    SampleCNN,
    Up2d,
)
from mira_train.bricks.pooling import AttentionPool, AutoPoolWeightSplit, MaxPool, MeanPool, Pooling
from mira_train.bricks.sequence import GRU, LSTM, SelfAttention, TransformerEncoder
from mira_train.bricks.shaping import (
    Abs,
    BatchNorm1dT,
    CatWith,
    ChannelNorm,
    L2Normalize,
    Permute,
    Squeeze,
    StoreAs,
    Unsqueeze,
)
from mira_train.bricks.sinc import SincConv1d

CHANNEL: Final = 1
LAST: Final = -1
ALL: Final = None


@dataclass(frozen=True)
class Brick:
    """A kind of layer.

    Parameters
    ----------
    make
        Its class.
    sizes
        Argument -> the axis of the input whose size it is; None means all axes but the batch.
    """

    make: type[nn.Module]
    sizes: Mapping[str, int | None] = field(default_factory=dict)


_IN = {"in_channels": CHANNEL}
_SAME = {"channels": CHANNEL}

BRICKS: Final[Mapping[str, Brick]] = {
    # norms
    "BatchNorm1d": Brick(nn.BatchNorm1d, {"num_features": CHANNEL}),
    "BatchNorm2d": Brick(nn.BatchNorm2d, {"num_features": CHANNEL}),
    "BatchNorm1dT": Brick(BatchNorm1dT, {"num_features": LAST}),
    "ChannelNorm": Brick(ChannelNorm, _SAME),
    "GroupNorm": Brick(nn.GroupNorm, {"num_channels": CHANNEL}),
    "LayerNorm": Brick(nn.LayerNorm, {"normalized_shape": ALL}),
    # convolutions
    "Conv1d": Brick(Conv1d, _IN),
    "Conv2d": Brick(Conv2d, _IN),
    "ConvTranspose2d": Brick(nn.ConvTranspose2d, _IN),
    "Conv1dBlock": Brick(Conv1dBlock, _IN),
    "Conv2dBlock": Brick(Conv2dBlock, _IN),
    "DepthwiseSeparable2d": Brick(DepthwiseSeparable2d, _IN),
    "Residual2d": Brick(Residual2d, _IN),
    "BottleneckResidual2d": Brick(BottleneckResidual2d, _SAME),
    "ConvNeXt2d": Brick(ConvNeXt2d, _SAME),
    "Down2d": Brick(Down2d, _IN),
    "Up2d": Brick(Up2d, _IN),
    "TCN": Brick(TCN, _IN),
    "SincConv1d": Brick(SincConv1d),
    "SampleCNN": Brick(SampleCNN),
    # sequences
    "GRU": Brick(GRU, {"input_size": LAST}),
    "LSTM": Brick(LSTM, {"input_size": LAST}),
    "SelfAttention": Brick(SelfAttention, {"width": LAST}),
    "TransformerEncoder": Brick(TransformerEncoder, {"width": LAST}),
    # dense layers and activations
    "Linear": Brick(nn.Linear, {"in_features": LAST}),
    "Dropout": Brick(nn.Dropout),
    "ELU": Brick(nn.ELU),
    "GELU": Brick(nn.GELU),
    "LeakyReLU": Brick(nn.LeakyReLU),
    "PReLU": Brick(nn.PReLU),
    "ReLU": Brick(nn.ReLU),
    "Sigmoid": Brick(nn.Sigmoid),
    "SiLU": Brick(nn.SiLU),
    "Softmax": Brick(nn.Softmax),
    "Tanh": Brick(nn.Tanh),
    # pooling
    "MaxPool1d": Brick(nn.MaxPool1d),
    "MaxPool2d": Brick(nn.MaxPool2d),
    "MeanPool": Brick(MeanPool),
    "MaxPool": Brick(MaxPool),
    "AutoPoolWeightSplit": Brick(AutoPoolWeightSplit),
    "AttentionPool": Brick(AttentionPool, _IN),
    # bottlenecks
    "AutoEncoder": Brick(AutoEncoder, _IN),
    "VAE": Brick(VAE, _IN),
    "VQ": Brick(VQ, _IN),
    "RVQ": Brick(RVQ, _IN),
    # shape and skips
    "Abs": Brick(Abs),
    "Flatten": Brick(nn.Flatten),
    "L2Normalize": Brick(L2Normalize),
    "Permute": Brick(Permute),
    "Squeeze": Brick(Squeeze),
    "Unsqueeze": Brick(Unsqueeze),
    "StoreAs": Brick(StoreAs),
    "CatWith": Brick(CatWith),
}
"""Every layer that a recipe can name."""

__all__ = [
    "BRICKS",
    "Bottleneck",
    "Brick",
    "CatWith",
    "Pooling",
    "SampleCNN",
    "StoreAs",
    "penalty",
]
