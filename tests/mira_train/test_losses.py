from __future__ import annotations

import math

import pytest
import torch
from mira_train.data.targets import IGNORE
from mira_train.losses import bce, cross_entropy, nt_xent, triplet


def test_mistake_34_triplet_loss_is_a_mean_over_the_triplets_that_still_hurt() -> None:
    # on a line: work 0 at 0 and 1, work 1 at 1.5 and 30
    embedding = torch.tensor([[0.0], [1.0], [1.5], [30.0]])
    loss = triplet(embedding, torch.tensor([0, 0, 1, 1]), mining="hard", margin=1.0)
    # anchor 0: 1 - 2.25 + 1 is negative; 1: 1 - 0.25 + 1; 2: 812.25 - 0.25 + 1; 3: negative
    assert loss.item() == pytest.approx((1.75 + 813.0) / 2, rel=1e-5)


def test_triplet_loss_without_triplets_is_zero_and_still_has_gradients() -> None:
    embedding = torch.randn(4, 8, requires_grad=True)
    loss = triplet(embedding, torch.arange(4))
    loss.backward()
    assert loss.item() == 0
    assert embedding.grad is not None and not embedding.grad.any()


def test_triplet_loss_of_identical_embeddings_has_finite_gradients() -> None:
    embedding = torch.ones(4, 8, requires_grad=True)
    triplet(embedding, torch.tensor([0, 0, 1, 1]), mining="hard").backward()
    assert embedding.grad is not None and embedding.grad.isfinite().all()


def reference_nt_xent(first: torch.Tensor, second: torch.Tensor, temperature: float) -> float:
    views = [v / v.norm() for v in torch.cat([first, second]).double()]
    n = len(first)
    total = 0.0
    for i, view in enumerate(views):
        s = [float(view @ other) / temperature for other in views]
        others = [s[j] for j in range(2 * n) if j != i]
        total += -s[(i + n) % (2 * n)] + math.log(sum(math.exp(o) for o in others))
    return total / (2 * n)


@pytest.mark.parametrize("temperature", [0.5, 0.1])
def test_nt_xent_equals_its_formula(temperature: float) -> None:
    torch.manual_seed(0)
    first, second = torch.randn(5, 16), torch.randn(5, 16)
    loss = nt_xent(first, second, temperature=temperature)
    assert loss.item() == pytest.approx(reference_nt_xent(first, second, temperature), rel=1e-5)


@pytest.mark.parametrize("temperature", [0.01, 0.005])
def test_mistake_42_nt_xent_stays_finite_at_small_temperatures(temperature: float) -> None:
    views = torch.randn(8, 16, requires_grad=True)
    loss = nt_xent(views, views + 0.01, temperature=temperature)
    loss.backward()
    assert loss.isfinite()
    assert views.grad is not None and views.grad.isfinite().all()


def test_mistake_42_nt_xent_is_float32_under_autocast() -> None:
    views = torch.ones(96, 16) + 1e-3 * torch.randn(96, 16)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = nt_xent(views.bfloat16(), views.bfloat16(), temperature=0.1)
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(math.log(191), abs=0.05)


def test_mistake_43_a_view_is_no_negative_of_itself() -> None:
    first = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    # each view: one positive at similarity 1, two negatives at 0
    assert nt_xent(first, first, temperature=1.0).item() == pytest.approx(math.log(math.e + 2) - 1, rel=1e-6)


def test_mistakes_40_and_41_bce_takes_logits_and_stays_finite_where_a_sigmoid_saturates() -> None:
    loss = bce(torch.tensor([[200.0, -200.0]]), torch.tensor([[0.0, 1.0]]))
    assert loss.item() == pytest.approx(200.0)


def test_positive_weight_counts_present_labels_more() -> None:
    logits = torch.zeros(1, 2)
    target = torch.tensor([[1.0, 0.0]])
    assert bce(logits, target, positive_weight=3.0).item() == pytest.approx(2 * math.log(2))


def test_mistakes_39_and_40_cross_entropy_contains_the_softmax() -> None:
    logits = torch.tensor([[-3.0, 1.0, 0.0]])
    expected = -math.log(math.exp(-3) / (math.exp(-3) + math.e + 1))
    assert cross_entropy(logits, torch.tensor([0])).item() == pytest.approx(expected, rel=1e-6)


def test_mistake_18_ignored_frames_do_not_count() -> None:
    logits = torch.randn(2, 5, 4)
    target = torch.tensor([[0, 1, IGNORE, 2], [IGNORE] * 4])
    counted = torch.stack([cross_entropy(logits[:1, :, t], target[:1, t]) for t in (0, 1, 3)]).mean()
    assert cross_entropy(logits, target).item() == pytest.approx(counted.item(), rel=1e-5)


def test_a_batch_of_ignored_frames_gives_zero_not_nan() -> None:
    logits = torch.randn(1, 5, 4, requires_grad=True)
    loss = cross_entropy(logits, torch.full((1, 4), IGNORE))
    loss.backward()
    assert loss.item() == 0
