"""What the reference code gets wrong is right here; docs/book.md says which test holds which mistake."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import mira_plugins
import numpy as np
import pytest
import torch
from mira.errors import DataError
from mira_plugins.ssl_embed.training import Probe, Views
from mira_train.bricks import BRICKS
from mira_train.data.registry import DataFile, DataSet
from mira_train.frontends import LogMel
from mira_train.metrics import ranking
from mira_train.network import Network
from mira_train.plugin import find_training
from mira_train.recipe import Recipe, build_network, load
from mira_train.sets import Recording
from torch import nn

ROOT = Path(__file__).parent.parent.parent
PLUGINS = Path(mira_plugins.__file__).parent
CORRECTED = {p.stem: p for p in sorted(PLUGINS.glob("*/recipes/book-*-corrected.yaml"))}
CONVOLUTIONS = (nn.Conv1d, nn.Conv2d)


def recipe(name: str) -> Recipe:
    return load(CORRECTED[name])


@pytest.mark.parametrize("name", CORRECTED)
def test_mistakes_1_and_2_corrected_rows_divide_by_group_and_hold_out_a_test_part(name: str) -> None:
    rule = recipe(name).data.split
    assert rule.by == "group" and rule.valid > 0 and rule.test > 0


def test_mistake_10_covers_are_chosen_by_what_all_validation_queries_find() -> None:
    for name in ("book-cover1000-crema-move-corrected", "book-datacos-crema-move-corrected"):
        told = recipe(name).training
        assert (told.monitor, told.mode) == ("valid_map", "max")


@pytest.mark.parametrize("sample_rate", [22050, 44100])
def test_mistake_24_a_band_is_where_it_is_whatever_the_rate_and_the_window(sample_rate: int) -> None:
    module = LogMel(sample_rate, 1024, n_fft=4096, n_mels=64)
    time = torch.arange(sample_rate) / sample_rate
    with torch.no_grad():
        shown = module(torch.sin(2 * torch.pi * 1000 * time)[None])[0, 0, :, 8]
    highest = 15 + 27 * np.log(sample_rate / 2000) / np.log(6.4)
    assert shown.argmax().item() == pytest.approx(15 / highest * 65 - 1, abs=1)


def test_mistake_25_corrected_rows_compress_their_magnitudes() -> None:
    for name in (n for n in CORRECTED if recipe(n).frontend.type in ("cqt", "hcqt")):
        assert recipe(name).frontend.options["log"] is True


def test_mistake_27_rows_differ_in_their_kind_of_block_alone() -> None:
    def middle(name: str) -> list[tuple[type, int]]:
        blocks = build_network(recipe(name)).to("meta").children()
        kinds = tuple(BRICKS[k].make for k in ("Residual2d", "DepthwiseSeparable2d", "ConvNeXt2d"))
        return [(type(b), next(m for m in b.modules() if isinstance(m, nn.Conv2d)).kernel_size[0])
                for b in blocks if isinstance(b, kinds)]  # fmt: skip

    residual = middle("book-bach10-hcqt-resnet-corrected")
    separable = middle("book-bach10-hcqt-depthsep-corrected")
    assert [size for _, size in residual] == [size for _, size in separable] == [5, 3, 3]
    assert len({kind for kind, _ in middle("book-bach10-hcqt-convnext-corrected")}) == 1


def test_mistake_37_a_network_that_diverged_is_no_score_and_covers_are_clipped() -> None:
    with pytest.raises(DataError, match="diverged"):
        ranking(np.full((2, 2), np.nan), ["a", "a"])
    told = recipe("book-datacos-crema-move-corrected").training
    assert told.clip > 0 and told.milestones


def pairs(net: nn.Module) -> int:
    """Convolutions that follow one another with nothing in between."""
    leaves = [m for m in net.modules() if not list(m.children())]
    return sum(isinstance(a, CONVOLUTIONS) and isinstance(b, CONVOLUTIONS) for a, b in pairwise(leaves))


def test_mistake_47_no_two_convolutions_of_the_u_net_follow_one_another() -> None:
    exact = load(PLUGINS / "mpe/recipes/book-bach10-hcqt-unet.yaml")
    assert pairs(build_network(exact).to("meta")) > 0
    assert pairs(build_network(recipe("book-bach10-hcqt-unet-corrected")).to("meta")) == 0


@pytest.mark.parametrize("name", ["Tanh", "GELU", "ELU", "SiLU", "Sigmoid"])
def test_mistake_52_activations_are_bricks(name: str) -> None:
    assert name in BRICKS


def test_mistakes_56_and_57_neither_building_nor_shipping_touches_a_network() -> None:
    made = recipe("book-gtzan-lms-conv2d-corrected")
    net = build_network(made)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    ship = find_training("tagging").module.shipped(made, net)
    assert not ship.graph.training and not net.training
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


def test_mistake_74_a_frozen_encoder_stays_as_it_is_while_its_probe_learns() -> None:
    inner = nn.Sequential(nn.Conv1d(1, 4, 3), nn.BatchNorm1d(4), nn.Dropout(0.5))
    encoder = Network([*inner, BRICKS["MeanPool"].make(), BRICKS["StoreAs"].make(name="embedding")], (4,))
    probe = Probe(encoder, "embedding", nn.Linear(4, 2)).train()
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    x = torch.randn(3, 1, 50)
    assert probe.head.training and torch.equal(probe(x), probe(x))
    assert all(torch.equal(value, before[name]) for name, value in encoder.state_dict().items())
    assert not any(p.requires_grad for p in encoder.parameters())


class Silence:
    """Features of recordings of so many samples."""

    hop_s = 1 / 22050

    def frames(self, recording: Recording) -> int:
        return int(recording.key)

    def read(self, recording: Recording, start: int, stop: int) -> np.ndarray:
        return np.zeros((1, min(stop, self.frames(recording)) - start), np.float32)


@pytest.mark.parametrize("length", [1000, 22050, 60000])
def test_mistakes_77_and_78_a_view_has_its_length_whatever_the_recordings(length: int) -> None:
    made = find_training("ssl_embed").recipe("demo")
    item = Recording(DataSet("x", (DataFile("x"),)), str(length), None, Path("x"))  # type: ignore[arg-type]
    assert Views([item], Silence(), made)[0]["x"].shape == (2, 1, made.data.patch)


def test_mistake_79_noise_is_a_ratio_and_music_is_also_heard_as_it_is() -> None:
    told = {step.type: step.options for step in recipe("book-mtt-ssl-pretraining-corrected").data.augment}
    assert told["noise"].keys() >= {"min_ratio", "max_ratio"}
    assert told["high_or_low_pass"]["p"] < 1


def test_mistake_86_an_option_that_nothing_reads_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(CORRECTED["book-gtzan-lms-conv2d-corrected"].with_name("demo.yaml").read_text())
    text = (PLUGINS / "tagging/recipes/book-gtzan-lms-conv2d.yaml").read_text()
    path.write_text(text + "  final_activation: tanh\n")
    with pytest.raises(DataError, match="unknown key 'final_activation'"):
        load(path)


def test_mistake_87_no_bias_before_a_norm_that_takes_it_away() -> None:
    linear = [
        m
        for m in build_network(recipe("book-cover1000-crema-move-corrected")).modules()
        if isinstance(m, nn.Linear)
    ]
    assert [m.bias for m in linear] == [None]


def test_mistake_88_the_pooling_learns_to_listen() -> None:
    pool = BRICKS["AutoPoolWeightSplit"].make()
    x = torch.randn(2, 4, 10, generator=torch.Generator().manual_seed(0))
    pool(x).square().sum().backward()
    [alpha] = pool.parameters()
    assert alpha.item() == 0 and alpha.grad is not None and alpha.grad.abs().item() > 0


# --- the page ---


def table() -> dict[int, str]:
    """Number of a mistake -> its row of docs/book.md."""
    text = (ROOT / "docs" / "book.md").read_text(encoding="utf-8")
    return {int(row[1]): row[0] for row in re.finditer(r"^\| (\d+) \|.*$", text, re.MULTILINE)}


def test_the_page_speaks_of_every_mistake() -> None:
    assert list(table()) == list(range(1, 89))


def test_the_page_names_tests_that_exist() -> None:
    files = "\n".join(p.read_text(encoding="utf-8") for p in (ROOT / "tests").rglob("test_*.py"))
    known = set(re.findall(r"^def (test_\w+)", files, re.MULTILINE))
    for number, row in table().items():
        named = re.findall(r"`(test_\w+)`", row)
        assert named or "nothing here" in row, f"mistake {number} has no test"
        assert set(named) <= known, f"mistake {number}: {set(named) - known}"


def test_every_test_of_a_mistake_is_on_the_page() -> None:
    own = (ROOT / "tests" / "mira_train").rglob("test_*.py")
    files = "\n".join(p.read_text(encoding="utf-8") for p in own)
    for name in re.findall(r"^def (test_mistakes?_\w+)", files, re.MULTILINE):
        numbers = re.match(r"test_mistakes?_(\d+)(?:_and_(\d+))?", name)
        assert numbers is not None
        for number in filter(None, numbers.groups()):
            assert f"`{name}`" in table()[int(number)], f"{name} is not in row {number}"
