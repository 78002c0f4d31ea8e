"""From many frames to one: pooling over the last axis, padding left out.

Every pooling brick takes, beside (batch, channel, ..., frame), the ``share`` of frames that are music: shape
(batch,), 0 to 1, or None where nothing was padded. Frames behind it have no weight.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Pooling(nn.Module):
    """Weighted mean over frames; subclasses say in ``split`` how much each frame scores."""

    def forward(self, x: Tensor, share: Tensor | None = None) -> Tensor:
        """(batch, channel, ..., frame) -> (batch, channel, ...)."""
        value, score = self.split(x)
        if share is not None:
            score = score.masked_fill(~valid_frames(score, share), float("-inf"))
        return (value * torch.softmax(score, -1)).sum(-1)

    def split(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Values to average and their scores, of one shape or to be broadcast."""
        raise NotImplementedError


def valid_frames(x: Tensor, share: Tensor) -> Tensor:
    """True for the first ``share`` of the frames (at least one); broadcasts against ``x``."""
    frames = x.shape[-1]
    count = torch.ceil(share * frames).clamp(min=1)
    count = count.reshape(-1, *(1 for _ in x.shape[1:]))
    return torch.arange(frames, device=x.device) < count


class MeanPool(Pooling):
    """The plain mean over frames."""

    def split(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Every frame scores the same."""
        return x, torch.zeros_like(x)


class MaxPool(Pooling):
    """The largest value over frames."""

    def forward(self, x: Tensor, share: Tensor | None = None) -> Tensor:
        """(batch, channel, ..., frame) -> (batch, channel, ...)."""
        if share is not None:
            x = x.masked_fill(~valid_frames(x, share), float("-inf"))
        return x.amax(-1)


class AutoPoolWeightSplit(Pooling):
    """Half of the channels weigh the other half (Yesiler et al., MOVE, ICASSP 2020; McFee et al., 2018).

    Weights are a softmax over time of ``alpha`` times the second half; ``alpha`` is learned, 0 (the plain
    mean) at first. (batch, 2 * channel, ..., frame) -> (batch, channel, ...).
    """

    def __init__(self) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.zeros(1))

    def split(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The first half of the channels, and the second half scaled."""
        half = x.shape[1] // 2
        return x[:, :half], self.alpha * x[:, half:]


class AttentionPool(Pooling):
    """One score a frame, linear in its channels (Bahdanau et al., 2015).

    (batch, channel, frame) -> (batch, channel).
    """

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.score = nn.Conv1d(in_channels, 1, 1)

    def split(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """All channels, and one learned score a frame."""
        return x, self.score(x)
