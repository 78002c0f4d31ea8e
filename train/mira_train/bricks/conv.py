"""Convolutional blocks over (batch, channel, bin, frame) or (batch, channel, frame), any number of frames."""

from __future__ import annotations

from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

Size = int | tuple[int, ...]


def _sizes(size: Size, dimensions: int) -> tuple[int, ...]:
    return (size,) * dimensions if isinstance(size, int) else tuple(size)


def _same(kernel: tuple[int, ...], dilation: tuple[int, ...]) -> list[int]:
    """Padding of each side, last axis first as ``F.pad`` wants it; an even kernel gets one more after."""
    padding = []
    for k, d in reversed(list(zip(kernel, dilation))):
        total = d * (k - 1)
        padding += [total // 2, total - total // 2]
    return padding


class Conv1d(nn.Conv1d):
    """``nn.Conv1d`` whose ``padding="same"`` is explicit, so that every exporter agrees on even kernels."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        stride: int = 1,
        padding: int | str = 0,
        dilation: int = 1,
        groups: int = 1,
        bias: bool = True,
    ) -> None:
        number = padding if isinstance(padding, int) else 0
        super().__init__(in_channels, out_channels, kernel_size, stride, number, dilation, groups, bias)
        self.around = _same(self.kernel_size, self.dilation) if padding == "same" else []

    def forward(self, input: Tensor) -> Tensor:
        """(batch, in_channels, frame) -> (batch, out_channels, frame)."""
        return super().forward(F.pad(input, self.around) if self.around else input)


class Conv2d(nn.Conv2d):
    """``nn.Conv2d`` whose ``padding="same"`` is explicit, so that every exporter agrees on even kernels."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        stride: Size = 1,
        padding: Size | str = 0,
        dilation: Size = 1,
        groups: int = 1,
        bias: bool = True,
    ) -> None:
        number = 0 if isinstance(padding, str) else padding
        super().__init__(in_channels, out_channels, kernel_size, stride, number, dilation, groups, bias)
        self.around = _same(self.kernel_size, _sizes(dilation, 2)) if padding == "same" else []

    def forward(self, input: Tensor) -> Tensor:
        """(batch, in_channels, bin, frame) -> (batch, out_channels, bin, frame)."""
        return super().forward(F.pad(input, self.around) if self.around else input)


class Conv1dBlock(nn.Sequential):
    """Dilated convolution that keeps the length, batch norm, ReLU."""

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, dilation: int = 1) -> None:
        super().__init__(
            Conv1d(in_channels, out_channels, kernel_size, padding="same", dilation=dilation),
            nn.BatchNorm1d(out_channels),
            nn.ReLU(),
        )


class Conv2dBlock(nn.Sequential):
    """Batch norm, convolution that keeps the size, ReLU (Bittner et al., ISMIR 2017)."""

    def __init__(self, in_channels: int, out_channels: int, kernel_size: Size) -> None:
        super().__init__(
            nn.BatchNorm2d(in_channels),
            Conv2d(in_channels, out_channels, kernel_size, padding="same"),
            nn.ReLU(),
        )


class DepthwiseSeparable2d(nn.Sequential):
    """One kernel a channel, then a 1x1 convolution across channels (Howard et al., MobileNets, 2017)."""

    def __init__(self, in_channels: int, out_channels: int, kernel_size: Size) -> None:
        super().__init__(
            Conv2d(in_channels, in_channels, kernel_size, padding="same", groups=in_channels),
            nn.Conv2d(in_channels, out_channels, 1),
        )


class Residual2d(nn.Module):
    """Two convolutions beside a shortcut (He et al., CVPR 2016): the building block.

    The shortcut is a bare 1x1 convolution where the channels differ.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel_size: Size) -> None:
        super().__init__()
        self.body = nn.Sequential(
            Conv2d(in_channels, out_channels, kernel_size, padding="same"),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(),
            Conv2d(out_channels, out_channels, kernel_size, padding="same"),
            nn.BatchNorm2d(out_channels),
        )
        same = in_channels == out_channels
        self.shortcut = nn.Identity() if same else nn.Conv2d(in_channels, out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, in_channels, bin, frame) -> (batch, out_channels, bin, frame)."""
        return F.relu(self.body(x) + self.shortcut(x))


class BottleneckResidual2d(nn.Module):
    """1x1 down to a quarter, kernel, 1x1 up, beside the input (He et al., CVPR 2016)."""

    def __init__(self, channels: int, kernel_size: Size) -> None:
        super().__init__()
        narrow = max(1, channels // 4)
        self.body = nn.Sequential(
            nn.Conv2d(channels, narrow, 1),
            nn.BatchNorm2d(narrow),
            nn.ReLU(),
            Conv2d(narrow, narrow, kernel_size, padding="same"),
            nn.BatchNorm2d(narrow),
            nn.ReLU(),
            nn.Conv2d(narrow, channels, 1),
            nn.BatchNorm2d(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, bin, frame) -> the same shape."""
        return F.relu(x + self.body(x))


class ConvNeXt2d(nn.Module):
    """Depthwise 7x7, layer norm over channels, four times as wide and back, plus the input.

    Liu et al., CVPR 2022; without layer scale and drop path.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(channels, channels, 7, padding=3, groups=channels)
        self.norm = nn.LayerNorm(channels, eps=1e-6)
        self.widen = nn.Linear(channels, 4 * channels)
        self.narrow = nn.Linear(4 * channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, bin, frame) -> the same shape."""
        y = self.norm(self.depthwise(x).permute(0, 2, 3, 1))
        return x + self.narrow(F.gelu(self.widen(y))).permute(0, 3, 1, 2)


class Down2d(nn.Sequential):
    """U-Net encoder step: batch norm, two 3x3 convolutions, each with its ReLU, halved by max-pooling.

    Odd sizes round up, so that nothing is lost at the edge. Ronneberger et al., 2015; Doras et al., 2019.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(
            nn.BatchNorm2d(in_channels), *_two(in_channels, out_channels), nn.MaxPool2d(2, ceil_mode=True)
        )


class Up2d(nn.Sequential):
    """U-Net decoder step: batch norm, doubled by a transposed convolution, two 3x3 convolutions with ReLU.

    After an odd size the result is one longer than the skip; ``CatWith`` cuts it.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(
            nn.BatchNorm2d(in_channels),
            nn.ConvTranspose2d(in_channels, out_channels, 2, stride=2),
            *_two(out_channels, out_channels),
        )


def _two(in_channels: int, out_channels: int) -> tuple[nn.Module, ...]:
    first = nn.Conv2d(in_channels, out_channels, 3, padding=1)
    return first, nn.ReLU(), nn.Conv2d(out_channels, out_channels, 3, padding=1), nn.ReLU()


class _TemporalBlock(nn.Module):
    def __init__(
        self, in_channels: int, out_channels: int, kernel: int, dilation: int, dropout: float
    ) -> None:
        super().__init__()
        self.left = dilation * (kernel - 1)
        self.convs = nn.ModuleList()
        for channels in (in_channels, out_channels):
            conv = nn.Conv1d(channels, out_channels, kernel, dilation=dilation)
            nn.init.normal_(conv.weight, std=0.01)  # before weight_norm, which would undo it afterwards
            self.convs.append(weight_norm(conv))
        self.dropout = nn.Dropout(dropout)
        same = in_channels == out_channels
        self.shortcut = nn.Identity() if same else nn.Conv1d(in_channels, out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = x
        for conv in self.convs:
            y = self.dropout(F.relu(conv(F.pad(y, (self.left, 0)))))
        return F.relu(y + self.shortcut(x))


class TCN(nn.Sequential):
    """Causal dilated convolutions with weight norm and shortcuts (Bai et al., 2018); dilation 1, 2, 4, ...

    Parameters
    ----------
    in_channels
        Channels of the input.
    channels
        Channels of each level; two convolutions a level.
    kernel_size
        Taps of each convolution. The whole sees ``1 + 2 * (kernel_size - 1) * (2**levels - 1)`` frames.
    dropout
        Between convolutions.
    """

    def __init__(
        self, in_channels: int, channels: tuple[int, ...], kernel_size: int = 2, dropout: float = 0.0
    ) -> None:
        widths = (in_channels, *channels)
        super().__init__(
            *(
                _TemporalBlock(a, b, kernel_size, 2**level, dropout)
                for level, (a, b) in enumerate(pairwise(widths))
            )
        )


class SampleCNN(nn.Sequential):
    """Waveform encoder of tiny filters (Lee et al., SMC 2017), as CLMR uses it: eleven layers, 3**10 samples.

    (batch, 1, sample) -> (batch, 512, frame), one frame for 59049 samples; fewer cannot pass.
    """

    MINIMUM = 3**10

    def __init__(self, dropout: float = 0.5) -> None:
        layers: list[nn.Module] = [*self._layer(1, 128, stride=3, padding=0)]
        widths = (128, 128, 128, 256, 256, 256, 256, 256, 256, 512)
        for number, (a, b) in enumerate(pairwise(widths), start=2):
            layers += [*self._layer(a, b), nn.MaxPool1d(3)]
            if number == 6:
                layers.append(nn.Dropout(dropout))
        super().__init__(*layers, *self._layer(512, 512), nn.Dropout(dropout))

    @staticmethod
    def _layer(a: int, b: int, stride: int = 1, padding: int = 1) -> tuple[nn.Module, ...]:
        return nn.Conv1d(a, b, 3, stride, padding), nn.BatchNorm1d(b), nn.ReLU()
