"""Other bodies and heads for the transcription network, trained on the same crops for as many steps.

    python benchmarks/architectures.py SET [--epochs 2] [--only NAME ...]

SET is a set that ``mira data synth`` made. Each variant has other bricks in one place of the shipped network,
about as many as cost the same, trains, is exported, and hears the recordings that were held out. Needs the
extra ``[train]``. Prints parameters, the time that a minute of sound takes on one thread, and the scores.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import torch
from mira_export.export import export
from mira_plugins.mpe.network import NoteNet, NoteNetConfig
from mira_train.bricks import GRU, ConvNeXt2d, DepthwiseSeparable2d, Down2d, Residual2d, Up2d
from mira_train.evaluate import evaluate
from mira_train.fit import fit
from mira_train.plugin import find_training
from torch import Tensor, nn

WIDTH: Final = NoteNetConfig().width
SCORES: Final = ("onset_f1", "offset_f1", "frame_accuracy")


class UNet(nn.Module):
    """Down twice, up twice, with skips; (batch, channel, pitch, frame) -> the same shape."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        wide = channels * 3 // 2
        self.down = nn.ModuleList([Down2d(channels, wide), Down2d(wide, wide)])
        self.up = nn.ModuleList([Up2d(wide, wide), Up2d(2 * wide, wide)])
        self.join = nn.Conv2d(wide + channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        half = self.down[0](x)
        low = self.up[0](self.down[1](half))[:, :, : half.shape[2], : half.shape[3]]
        high = self.up[1](torch.cat([low, half], 1))[:, :, : x.shape[2], : x.shape[3]]
        return torch.relu(self.join(torch.cat([high, x], 1)))


class Separable(nn.Module):
    """A depthwise-separable convolution around which the input is added."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(DepthwiseSeparable2d(channels, channels, 5), nn.BatchNorm2d(channels))

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x + self.body(x))


class Recurrent(nn.Module):
    """Gated recurrent units over time, shared by all pitches."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.cell = GRU(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        batch, channels, pitches, frames = x.shape
        states = self.cell(x.permute(0, 2, 3, 1).reshape(batch * pitches, frames, channels))
        return states.reshape(batch, pitches, frames, channels).permute(0, 3, 1, 2)


def _repeated(make: Callable[[], nn.Module], times: int) -> Callable[[], nn.Module]:
    return lambda: nn.Sequential(*(make() for _ in range(times)))


BODIES: Final[Mapping[str, Callable[[], nn.Module]]] = {
    "residual": _repeated(lambda: Residual2d(WIDTH, WIDTH, 3), 4),
    "separable": _repeated(lambda: Separable(WIDTH), 8),
    "convnext": _repeated(lambda: ConvNeXt2d(WIDTH), 5),
    "unet": lambda: UNet(WIDTH),
}
HEADS: Final[Mapping[str, Callable[[], nn.ModuleList]]] = {
    "no head": nn.ModuleList,
    "recurrent head": lambda: nn.ModuleList([Recurrent(WIDTH)]),
}
VARIANTS: Final = ("shipped", *BODIES, *HEADS)


def variant(name: str) -> NoteNet:
    """The shipped network with another body or head; recipes name this function."""
    net = NoteNet()
    if name in BODIES:
        net.body = BODIES[name]()
    if name in HEADS:
        net.head = HEADS[name]()
    return net


def main() -> None:
    """Train, export and score each variant; print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("set", type=Path)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--only", nargs="+", choices=VARIANTS, default=VARIANTS)
    told = parser.parse_args()
    training = find_training("mpe")
    print(
        f"{'variant':16}{'parameters':>12}{'s a minute':>12}" + "".join(f"{s:>16}" for s in SCORES),
        flush=True,
    )
    for name in told.only:
        recipe = training.recipe(
            "notenet",
            [
                "network.code=architectures:variant",
                f"network.options={{name: {name}}}",
                f"training.epochs={told.epochs}",
                "data.split={by: group, valid: 0.05, test: 0.15}",
            ],
        )
        with tempfile.TemporaryDirectory() as folder:
            fit(training, recipe, [str(told.set)], Path(folder) / "run", accelerator="cpu", workers=1)
            model, _ = export("mpe", Path(folder) / "run")
            heard = evaluate("mpe", [str(told.set)], model).average()
        net = variant(name)
        size = sum(p.numel() for p in net.parameters())
        scores = "".join(f"{heard[s].score:16.3f}" for s in SCORES)
        print(f"{name:16}{size:12}{cost(net):12.2f}{scores}", flush=True)


def cost(net: NoteNet) -> float:
    """Seconds that the network takes for a minute of sound on one thread, the best of three."""
    torch.set_num_threads(1)
    features = net.front(torch.randn(1, 60 * net.config.sample_rate))
    times = []
    for _ in range(3):
        started = time.perf_counter()
        with torch.inference_mode():
            net.eval().activations(features)
        times.append(time.perf_counter() - started)
    return min(times)


if __name__ == "__main__":
    main()
