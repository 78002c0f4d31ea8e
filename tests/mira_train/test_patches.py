"""The order of examples, and random changes of waveforms."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from mira.errors import DataError
from mira_plugins.cover.training import draw_works
from mira_train.augment import AUGMENTATIONS, Chain, high_or_low_pass
from mira_train.patches import Draws, cut, padded
from mira_train.recipe import Component

OPTIONS = {
    "noise": {"min_ratio": 0.01, "max_ratio": 0.02},
    "gain": {"min_db": -6, "max_db": -3},
    "high_or_low_pass": {"high_hz": [200, 1200], "low_hz": [2200, 4000]},
    "delay": {"min_ms": 200, "max_ms": 450, "step_ms": 50},
}


def dealt(world: int, *, even: bool, n: int = 11, epoch: int = 0, block: int = 1) -> list[list[int]]:
    ranks = []
    for rank in range(world):
        draws = Draws(lambda rng: rng.permutation(n).tolist(), n, 3, rank, world, block=block, even=even)
        draws.set_epoch(epoch)
        ranks.append(list(draws))
    return ranks


def test_validation_deals_every_example_to_one_process() -> None:
    assert sorted(i for rank in dealt(3, even=False) for i in rank) == list(range(11))
    assert dealt(3, even=False, epoch=4) == dealt(3, even=False)


def test_training_gives_all_processes_equally_many() -> None:
    ranks = dealt(3, even=True)
    assert [len(rank) for rank in ranks] == [3, 3, 3]
    assert len({i for rank in ranks for i in rank}) == 9


def test_an_epoch_has_numbers_of_its_own_in_an_order_of_its_own() -> None:
    [first], [second] = dealt(1, even=True), dealt(1, even=True, epoch=1)
    assert sorted(second) == list(range(11, 22))
    assert [i - 11 for i in second] != first
    assert dealt(1, even=True, epoch=1) == [second]


def test_a_block_stays_in_one_process() -> None:
    ranks = dealt(2, even=True, n=12, block=4)
    whole = dealt(1, even=True, n=12)[0]
    assert ranks[0][:4] == whole[:4] and ranks[1] == whole[4:8]


def test_a_cut_depends_on_the_draw_alone_and_is_the_middle_without_a_seed() -> None:
    assert cut(100, 1, 5) == cut(100, 1, 5)
    assert len({cut(1000, 1, draw) for draw in range(20)}) > 10
    assert cut(100, None, 5) == 50


def test_padding_keeps_what_there_is() -> None:
    assert padded(np.arange(3), 5, -100).tolist() == [0, 1, 2, -100, -100]


def test_works_come_by_their_number_of_performances() -> None:
    works = [[0], [1, 2], [3, 4, 5, 6, 7, 8], list(range(9, 25))]
    order = draw_works(works, 4, np.random.default_rng(0))
    turns = [order[i : i + 4] for i in range(0, len(order), 4)]
    assert len(turns) == 1 + 2 + 4
    assert 0 not in order
    assert sorted(next(t for t in turns if set(t) <= {1, 2})) == [1, 1, 2, 2]


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_augmentations_keep_the_shape_and_depend_on_the_generator(name: str) -> None:
    x = torch.randn(1, 16000, generator=torch.Generator().manual_seed(0))
    change = Chain([Component(name, {"p": 1.0, **OPTIONS.get(name, {})})])
    once, again = (change(x, 16000, torch.Generator().manual_seed(7)) for _ in range(2))
    assert once.shape == x.shape and torch.isfinite(once).all()
    assert torch.equal(once, again) and not torch.equal(once, x)


def test_a_low_pass_takes_the_highs() -> None:
    time = torch.arange(16000) / 16000
    x = (torch.sin(2 * torch.pi * 7000 * time) + torch.sin(2 * torch.pi * 300 * time))[None]
    kinds = [
        high_or_low_pass(
            x, 16000, torch.Generator().manual_seed(s), high_hz=[1200, 1200], low_hz=[2200, 2200]
        )
        for s in range(8)
    ]
    spectra = [torch.fft.rfft(y[0]).abs() for y in kinds]
    shares = sorted(float(s[7000] / s[300]) for s in spectra)
    assert shares[0] < 0.15 and shares[-1] > 10


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (Component("polarty"), "did you mean 'polarity'"),
        (Component("gain", {"min_db": 1, "max_db": 2, "loud": 3}), "'loud'"),
        (Component("gain", {"min_db": 1}), "'max_db'"),
    ],
)
def test_a_wrong_augmentation_is_named(step: Component, message: str) -> None:
    with pytest.raises(DataError, match=message):
        Chain([step])
