"""The chord network: NNLS chroma, then convolutions over pitch classes and time that know no key.

Every layer treats the twelve pitch classes alike: a song moved by a semitone gives the same activations moved
by a semitone, exactly. What others reach by training on twelve transpositions is built in, and each weight
learns from all keys at once. (Group-equivariant networks: Cohen and Welling, ICML 2016.)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from mira_train.frontends.nnls import NNLSChroma, semitones_off, shift
from torch import Tensor, nn
from torch.nn import functional as F

from mira_plugins.chords.vocabulary import NAMES

N_QUALITIES = len(NAMES)
_FROM_C = 9
"""The front end's first bin is A."""


@dataclass(frozen=True)
class ChordNetConfig:
    """Sizes of :class:`ChordNet`.

    Parameters
    ----------
    width
        Channels at each pitch class.
    dilations
        One block each; its convolution over time spans ``5 * dilation`` frames.
    dropout
        On the features between blocks.
    edges
        Channels of what finds the changes.
    tuning_s
        Seconds to either side over which the tuning is measured.
    """

    width: int = 32
    dilations: tuple[int, ...] = (1, 2, 4, 8, 16, 32, 1)
    dropout: float = 0.1
    edges: int = 32
    tuning_s: float = 8.0


class FrontEnd(nn.Module):
    """Waveform (batch, n) -> NNLS chroma (batch, n / hop, 24), 12 bass and 12 treble bins from A.

    The plug-in measures the tuning over the whole recording; here it is measured over ``tuning_s`` seconds to
    either side of each frame, so that a frame depends on a bounded stretch of audio. Where a recording keeps
    its tuning, the chroma is the same.
    """

    def __init__(self, tuning_s: float) -> None:
        super().__init__()
        self.nnls = NNLSChroma()
        self.hop_length, self.sample_rate = self.nnls.hop_length, self.nnls.sample_rate
        self.tuning_frames = round(tuning_s * self.sample_rate / self.hop_length)

    def forward(self, waveform: Tensor) -> Tensor:
        spectrum = self.nnls.log_spectrum(waveform)[:, :, :-1]
        amounts = self.nnls.explain(self.nnls.whiten(self._tune(spectrum)))
        # A product that ends in this order, so that the exported graph can be cut here.
        return amounts.transpose(1, 2) @ self.nnls.fold.T

    def _tune(self, spectrum: Tensor) -> Tensor:
        """Shift each frame by the tuning around it, with frames in place of the front end's recordings."""
        half = self.tuning_frames
        leaning = F.avg_pool1d(F.pad(self.nnls.leaning(spectrum), (half, half)), 2 * half + 1, 1)
        batch, bins, frames = spectrum.shape
        steps = 3 * semitones_off(leaning).flatten()
        moved = shift(spectrum.transpose(1, 2).reshape(batch * frames, bins, 1), steps)
        return moved.reshape(batch, frames, bins).transpose(1, 2)

    @property
    def reach(self) -> int:
        """Samples to either side that a frame depends on."""
        return self.nnls.spectrum.reach + self.tuning_frames * self.hop_length


class AcrossPitch(nn.Module):
    """A convolution around the circle of the twelve pitch classes, as wide as the circle.

    While training it is one product with the circulant matrix that it amounts to, which is a third faster; as
    a convolution its weights take a twelfth of the room in the model file.
    """

    circle: Tensor

    def __init__(self, c_in: int, c_out: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(c_in, c_out, (12, 1), bias=False)
        turn = (torch.arange(12) - torch.arange(12)[:, None]) % 12
        self.register_buffer("circle", turn, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channel, 12, frame) -> the same shape."""
        if not self.training:
            return self.conv(torch.cat([x, x[:, :, :11]], dim=2))
        batch, _, _, frames = x.shape
        matrix = self.conv.weight[..., 0][:, :, self.circle].permute(0, 2, 1, 3).flatten(2).flatten(0, 1)
        return F.conv1d(x.flatten(1, 2), matrix[..., None]).reshape(batch, -1, 12, frames)


class Block(nn.Module):
    """Over time, then around the circle; the input is added."""

    def __init__(self, width: int, dilation: int, dropout: float) -> None:
        super().__init__()
        self.time = nn.Conv2d(
            width, width, (1, 5), padding=(0, 2 * dilation), dilation=(1, dilation), bias=False
        )
        self.pitch = AcrossPitch(width, width)
        self.norms = nn.ModuleList([nn.BatchNorm2d(width), nn.BatchNorm2d(width)])
        self.dropout = nn.Dropout2d(dropout)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.norms[0](self.time(x)))
        return F.relu(x + self.norms[1](self.pitch(self.dropout(y))))


class Edges(nn.Module):
    """Where one chord ends and the next begins: features, roots -> logits (batch, frame, 1).

    What it hears: features of all pitch classes together, and how far the likely roots of the frames just
    before are from those just after, over :data:`LOOKS` frames (Bhattacharyya's distance, 0 to 1).
    """

    LOOKS = (1, 2, 4, 8)
    DILATIONS = (1, 4, 16)

    def __init__(self, features: int, width: int, dropout: float) -> None:
        super().__init__()
        seen = 2 * features + len(self.LOOKS)
        self.stem = nn.Sequential(nn.BatchNorm1d(seen), nn.Conv1d(seen, width, 1))
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.Conv1d(width, width, 5, padding=2 * d, dilation=d, bias=False),
                nn.BatchNorm1d(width),
                nn.ReLU(),
                nn.Dropout(dropout),
            )
            for d in self.DILATIONS
        )
        self.told = nn.Conv1d(width, 1, 1)

    def forward(self, x: Tensor, root: Tensor) -> Tensor:
        """(batch, channel, 12, frame) and probabilities (batch, frame, 13) -> (batch, frame, 1)."""
        steps = [self.step(root.transpose(1, 2), n) for n in self.LOOKS]
        y = self.stem(torch.cat([x.mean(dim=2), x.amax(dim=2), *steps], dim=1))
        for block in self.blocks:
            y = y + block(y)
        return self.told(y).transpose(1, 2)

    @staticmethod
    def step(likely: Tensor, frames: int) -> Tensor:
        """(batch, state, frame) -> (batch, 1, frame): the frames before it against it and those after."""
        felt = F.avg_pool1d(F.pad(likely, (frames, frames - 1), "replicate"), frames, 1).sqrt()
        return 1 - (felt[:, :, :-frames] * felt[:, :, frames:]).sum(dim=1, keepdim=True)

    @property
    def reach(self) -> int:
        """Frames to either side that a logit depends on."""
        return 2 * sum(self.DILATIONS) + max(self.LOOKS)


class ChordNet(nn.Module):
    """Chroma (batch, frame, 24) -> logits ``root``, ``quality``, ``bass``, ``pitch``, ``change``.

    ``root`` and ``bass`` are (batch, frame, 13): the pitch classes from C, and no chord. ``quality`` is
    (batch, frame, 12, 13): for each root, which of :data:`vocabulary.NAMES` it would carry. ``pitch`` is
    (batch, frame, 12): which pitch classes belong to the chord. (Such targets: McFee and Bello, ISMIR 2017.)
    ``change`` is (batch, frame, 1): whether another chord begins there.
    """

    keyless = True
    """Whether a transposed song gives transposed logits, so that it needs no transposed examples."""
    parts: Mapping[str, float] = {"root": 1.0, "quality": 0.7, "bass": 0.4, "pitch": 2.0, "change": 3.0}
    """Weights of the parts of its loss."""

    def __init__(self, config: ChordNetConfig | None = None) -> None:
        super().__init__()
        config = config or ChordNetConfig()
        self.config = config
        width = config.width
        self.stem = nn.Sequential(AcrossPitch(2, width), nn.BatchNorm2d(width), nn.ReLU())
        self.blocks = nn.Sequential(*[Block(width, d, config.dropout) for d in config.dilations])
        self.each = nn.Conv2d(width, 3 + N_QUALITIES, 1)
        self.none = nn.Conv1d(width, 2, 1)
        self.edges = Edges(width, config.edges, config.dropout)

    def forward(self, chroma: Tensor) -> tuple[Tensor, ...]:
        batch, frames, _ = chroma.shape
        x = torch.log1p(chroma).reshape(batch, frames, 2, 12).permute(0, 2, 3, 1)
        x = torch.cat([x[:, :, 12 - _FROM_C :], x[:, :, : 12 - _FROM_C]], dim=2)
        x = self.blocks(self.stem(x))
        each = self.each(x).permute(0, 3, 2, 1)
        none = self.none(x.mean(dim=2)).transpose(1, 2)
        root = torch.cat([each[..., 0], none[..., :1]], dim=-1)
        bass = torch.cat([each[..., 1], none[..., 1:]], dim=-1)
        change = self.edges(x, root.softmax(-1))
        return root, each[..., 3:], bass, each[..., 2], change

    @property
    def reach(self) -> int:
        """Frames to either side that a frame depends on."""
        return 2 * sum(self.config.dilations) + self.edges.reach


def chord_net(**sizes: Any) -> ChordNet:
    """Make the network of a recipe; ``sizes`` are the fields of :class:`ChordNetConfig`."""
    told: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in sizes.items()}
    return ChordNet(ChordNetConfig(**told))


class Shipped(nn.Module):
    """From the waveform to probabilities and chroma, as exported.

    ``chroma`` comes last, from A as the plug-in has it: where stored features of Billboard's form go in.
    """

    axes: Mapping[str, tuple[str, ...]] = {
        "root": ("frame", "root"),
        "quality": ("frame", "root", "quality"),
        "bass": ("frame", "root"),
        "pitch": ("frame", "pitch class"),
        "change": ("frame", "change"),
        "chroma": ("frame", "bin"),
    }
    """The outputs in order, and what their axes mean."""

    def __init__(self, net: ChordNet) -> None:
        super().__init__()
        self.front = FrontEnd(net.config.tuning_s)
        self.net = net

    def forward(self, waveform: Tensor) -> tuple[Tensor, ...]:
        chroma = self.front(waveform)
        root, quality, bass, pitch, change = self.net(chroma)
        likely = [logits.softmax(-1) for logits in (root, quality, bass)]
        return *likely, pitch.sigmoid(), change.sigmoid(), chroma

    @property
    def reach(self) -> int:
        """Samples to either side that a frame depends on."""
        return self.front.reach + self.net.reach * self.front.hop_length
