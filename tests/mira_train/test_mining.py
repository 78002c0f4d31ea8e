from __future__ import annotations

import pytest
import torch
from mira.errors import UsageError
from mira_train.mining import distances, mine

# items 0-2 are work 0, items 3-5 work 1; row 0 is the one checked by hand
WORK = torch.tensor([0, 0, 0, 1, 1, 1])
DISTANCE = torch.tensor(
    [
        [0.0, 1.0, 3.0, 0.5, 1.5, 2.5],
        [1.0, 0.0, 2.0, 9.0, 9.0, 9.0],
        [3.0, 2.0, 0.0, 9.0, 9.0, 9.0],
        [0.5, 9.0, 9.0, 0.0, 1.0, 1.0],
        [1.5, 9.0, 9.0, 1.0, 0.0, 1.0],
        [2.5, 9.0, 9.0, 1.0, 1.0, 0.0],
    ]
)


def triplets(
    strategy: str, margin: float = 1.0, seed: int = 0, **options: torch.Tensor
) -> list[tuple[int, ...]]:
    work = options.get("work", WORK)
    performance = options.get("performance")
    found = mine(
        options.get("distance", DISTANCE),
        work,
        performance,
        strategy,
        margin,
        torch.Generator().manual_seed(seed),
    )
    return list(zip(*(index.tolist() for index in found), strict=True))


def test_unknown_strategy_is_refused() -> None:
    with pytest.raises(UsageError, match=r"'easy'.*random, semi-hard, hard"):
        triplets("easy")


def test_hard_takes_the_farthest_positive_and_the_nearest_negative() -> None:
    assert triplets("hard") == [(0, 2, 3), (1, 2, 3), (2, 0, 3), (3, 4, 0), (4, 3, 0), (5, 3, 0)]


def test_random_draws_any_positive_and_any_negative() -> None:
    seen = {t for seed in range(100) for t in triplets("random", seed=seed) if t[0] == 0}
    assert seen == {(0, p, n) for p in (1, 2) for n in (3, 4, 5)}


def test_mistake_33_semi_hard_negatives_are_farther_than_the_positive_by_less_than_the_margin() -> None:
    seen = {t for seed in range(100) for t in triplets("semi-hard", seed=seed)}
    # anchor 0: positive at 1 allows (1, 2): item 4; positive at 3 allows (3, 4): none
    assert {t for t in seen if t[0] == 0} == {(0, 1, 4)}
    # anchors 3 and 5: item 0 at 0.5 is too near, at 2.5 too far; anchor 4: item 0 at 1.5
    assert {t for t in seen if t[0] > 2} == {(4, 3, 0), (4, 5, 0)}


def test_mistake_33_a_fractional_positive_distance_is_not_rounded() -> None:
    distance = torch.tensor([[0.0, 1.9, 1.95], [1.9, 0.0, 9.0], [1.95, 9.0, 0.0]])
    work = torch.tensor([0, 0, 1])
    assert (0, 1, 2) in triplets("semi-hard", margin=0.1, distance=distance, work=work)


def test_mistake_34_an_anchor_without_a_candidate_is_left_out() -> None:
    assert 1 not in [anchor for anchor, _, _ in triplets("semi-hard")]
    assert triplets("semi-hard", margin=0.01) == []
    assert triplets("hard", work=torch.arange(6)) == []
    assert triplets("hard", work=torch.zeros(6, dtype=torch.int64)) == []


def test_mistake_36_the_same_performance_is_no_positive() -> None:
    performance = torch.tensor([7, 7, 8, 1, 2, 3])
    for strategy in ("random", "hard"):
        pairs = {t[:2] for seed in range(50) for t in triplets(strategy, seed=seed, performance=performance)}
        assert (0, 1) not in pairs and (1, 0) not in pairs
        assert (0, 2) in pairs


def test_mistake_35_hard_mining_of_far_embeddings_stays_finite() -> None:
    embedding = torch.tensor([[1e6, 0.0], [0.0, 1e6], [1e6, 1e6], [-1e6, 0.0]])
    found = mine(distances(embedding), torch.tensor([0, 0, 1, 1]), None, "hard", 1.0)
    assert [index.tolist() for index in found] == [[0, 1, 2, 3], [1, 0, 3, 2], [2, 2, 0, 1]]


def test_mistake_38_distances_are_divided_by_the_embeddings_own_dimension() -> None:
    for dimension in (4, 32):
        embedding = torch.stack([torch.zeros(dimension), torch.ones(dimension)])
        assert distances(embedding)[0, 1] == pytest.approx(1.0)


def test_half_precision_embeddings_give_float32_distances() -> None:
    assert distances(torch.ones(2, 3, dtype=torch.bfloat16)).dtype == torch.float32
