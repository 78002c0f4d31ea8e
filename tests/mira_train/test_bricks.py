from __future__ import annotations

import inspect

import pytest
import torch
from mira_train.bricks import BRICKS, penalty
from mira_train.bricks.bottleneck import RVQ, VAE, VQ, AutoEncoder
from mira_train.bricks.conv import TCN, Conv2d, SampleCNN
from mira_train.bricks.pooling import AttentionPool, AutoPoolWeightSplit, MaxPool, MeanPool
from mira_train.bricks.sequence import GRU, LSTM, SelfAttention, TransformerEncoder
from mira_train.bricks.shaping import BatchNorm1dT, ChannelNorm
from mira_train.bricks.sinc import SincConv1d
from torch import nn


def test_mistake_49_an_odd_kernel_sees_as_far_up_as_down_and_an_even_one_does_not() -> None:
    for height, reach in ((71, (35, 35)), (70, (34, 35))):
        conv = Conv2d(1, 1, (height, 1), padding="same", bias=False)
        nn.init.ones_(conv.weight)
        impulse = torch.zeros(1, 1, 200, 1)
        impulse[0, 0, 100] = 1
        # an output bin sees the impulse where it is reached from below or above
        seen = conv(impulse)[0, 0, :, 0].nonzero()[:, 0]
        assert (100 - seen.min().item(), seen.max().item() - 100) == (reach[1], reach[0])


def test_mistake_44_tcn_weights_start_as_initialised() -> None:
    torch.manual_seed(0)
    for module in TCN(1, (64, 64), kernel_size=3).modules():
        if isinstance(module, nn.Conv1d) and hasattr(module, "parametrizations"):
            assert module.weight.std().item() == pytest.approx(0.01, rel=0.2)


def test_mistake_45_the_span_of_a_tcn_is_the_documented_one() -> None:
    net = TCN(1, (4, 8, 16, 32), kernel_size=2).eval()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.abs_().add_(0.1)
        impulse = torch.zeros(1, 1, 100)
        impulse[0, 0, 10] = 1
        changed = (net(impulse) - net(torch.zeros(1, 1, 100))).abs().amax(1)[0].nonzero()[:, 0]
    assert (changed.min().item(), changed.max().item()) == (10, 40)  # causal, 31 samples


def test_mistake_50_sinc_filters_are_saved_moved_and_odd() -> None:
    bank = SincConv1d(80, 251, 22050)
    assert {"low", "band", "time", "window"} <= set(bank.state_dict())
    with pytest.raises(ValueError, match="odd"):
        SincConv1d(80, 250, 22050)


def test_sinc_filters_start_on_the_books_bands() -> None:
    low, high = SincConv1d(80, 251, 22050).corners()
    assert (low[0].item(), high[0].item()) == pytest.approx((80.0, 155.7), abs=0.1)
    assert (low[-1].item(), high[-1].item()) == pytest.approx((10579.7, 11025.0), abs=0.5)


def test_mistake_50_a_lower_top_leaves_the_highest_filter_free() -> None:
    bank = SincConv1d(80, 251, 22050, highest_hz=10000)
    _, high = bank.corners()
    high.sum().backward()
    assert high.max().item() < 11025
    assert bank.band.grad is not None and bank.band.grad.all()


def test_a_sinc_filter_passes_its_band_and_stops_others() -> None:
    bank = SincConv1d(8, 251, 22050)
    low, high = (corner[3].item() for corner in bank.corners())
    time = torch.arange(4000) / 22050
    inside, outside = (
        torch.sin(2 * torch.pi * hz * time)[None, None] for hz in ((low + high) / 2, high + 2000)
    )
    assert bank(outside)[0, 3].abs().max() < 0.05 * bank(inside)[0, 3].abs().max()


def test_mistake_46_channel_norm_fits_any_length() -> None:
    norm = ChannelNorm(6)
    for shape in ((2, 6, 9), (2, 6, 5, 17)):
        y = norm(torch.randn(shape) * 3 + 1)
        assert y.mean(1).abs().max() < 1e-5
        assert y.var(1, unbiased=False).sub(1).abs().max() < 1e-2


def test_batch_norm_of_the_last_axis_equals_one_of_the_first() -> None:
    x = torch.randn(3, 7, 5)
    assert torch.allclose(BatchNorm1dT(5)(x), nn.BatchNorm1d(5)(x.transpose(1, 2)).transpose(1, 2))


def test_auto_pool_is_the_plain_mean_at_first_and_the_maximum_for_a_large_alpha() -> None:
    pool = AutoPoolWeightSplit()
    x = torch.randn(2, 6, 20)
    assert torch.allclose(pool(x), x[:, :3].mean(-1), atol=1e-6)
    with torch.no_grad():
        pool.alpha.fill_(1e4)
    at = x[:, 3:].argmax(-1, keepdim=True)
    assert torch.allclose(pool(x), x[:, :3].gather(-1, at)[..., 0])


@pytest.mark.parametrize("pool", [MeanPool(), MaxPool(), AutoPoolWeightSplit(), AttentionPool(4)])
def test_mistake_70_no_pooling_hears_the_padding(pool: nn.Module) -> None:
    music = torch.randn(2, 4, 6)
    padded = torch.cat([music, torch.full((2, 4, 4), 9.0)], -1)
    assert torch.allclose(pool(padded, torch.tensor([0.6, 0.6])), pool(music), atol=1e-6)


@pytest.mark.parametrize("kind", [GRU, LSTM])
def test_recurrent_bricks_give_all_states_or_the_last_of_each_direction(kind: type[nn.Module]) -> None:
    torch.manual_seed(0)
    every, last = kind(3, 8), kind(3, 8, keep="last")
    last.load_state_dict(every.state_dict())
    x = torch.randn(2, 11, 3)
    states, final = every(x), last(x)
    assert states.shape == (2, 11, 8)
    assert torch.allclose(final, torch.cat([states[:, -1, :4], states[:, 0, 4:]], 1))


def test_attention_knows_the_order_but_not_the_absolute_place() -> None:
    torch.manual_seed(0)
    encoder = TransformerEncoder(8, heads=2, layers=1).eval()
    x = torch.randn(1, 6, 8)
    turned = encoder(x.flip(1)).flip(1)
    assert not torch.allclose(encoder(x), turned, atol=1e-3)
    with pytest.raises(ValueError, match="heads"):
        TransformerEncoder(8, heads=3, layers=1)


def test_hand_written_attention_equals_torchs_without_positions() -> None:
    torch.manual_seed(0)
    ours, theirs = SelfAttention(8, 2), nn.MultiheadAttention(8, 2, batch_first=True)
    theirs.in_proj_weight.data, theirs.in_proj_bias.data = ours.project.weight.data, ours.project.bias.data
    theirs.out_proj.weight.data, theirs.out_proj.bias.data = ours.join.weight.data, ours.join.bias.data
    x = torch.randn(2, 1, 8)  # one frame has angle 0
    assert torch.allclose(ours(x), theirs(x, x, x)[0], atol=1e-6)


def test_sample_cnn_lengths_are_the_measured_ones() -> None:
    net = SampleCNN().to("meta").eval()
    lengths = [net(torch.empty(1, 1, n, device="meta")).shape[-1] for n in (59_049, 59_535, 220_500, 551_250)]
    assert lengths == [1, 1, 3, 9]


@pytest.mark.parametrize("bottleneck", [AutoEncoder(6, 2), VAE(6, 2), VQ(6, 16), RVQ(6, 16, 3)])
def test_bottlenecks_keep_the_shape_and_pass_gradients(bottleneck: nn.Module) -> None:
    for shape in ((2, 6, 9), (2, 6, 5, 17)):
        x = torch.randn(shape, requires_grad=True)
        y = bottleneck(x)
        (y.square().mean() + penalty(bottleneck)).backward()
        assert y.shape == x.shape
        assert x.grad is not None and x.grad.any()


def test_vq_takes_the_nearest_code() -> None:
    vq = VQ(2, 3)
    with torch.no_grad():
        vq.codebook.copy_(torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 5.0]]))
    x = torch.tensor([[[0.9, 0.1], [0.2, 4.0]]])  # (batch, channel, frame)
    assert vq.indices(x).tolist() == [[1, 2]]
    assert vq(x).tolist() == [[[1.0, 0.0], [0.0, 5.0]]]


def test_each_rvq_stage_brings_the_sum_nearer() -> None:
    torch.manual_seed(0)
    x = torch.randn(1, 4, 500)
    errors = []
    for stages in (1, 2, 4):
        rvq = RVQ(4, 64, stages)
        for number, stage in enumerate(rvq.stages):
            stage.codebook.data = torch.randn(64, 4) / 2**number
        errors.append((rvq(x) - x).square().mean().item())
    assert errors[0] > errors[1] > errors[2]


def test_vae_is_deterministic_when_not_training_and_its_penalty_is_zero_for_a_standard_normal() -> None:
    vae = VAE(4, 2)
    x = torch.randn(2, 4, 9)
    assert not torch.equal(vae(x), vae(x))
    vae.eval()
    assert torch.equal(vae(x), vae(x))
    nn.init.zeros_(vae.encode.weight)
    nn.init.zeros_(vae.encode.bias)
    vae(x)
    assert torch.as_tensor(penalty(vae)).item() == 0


def test_every_size_of_every_brick_is_an_argument_of_it() -> None:
    for name, brick in BRICKS.items():
        assert set(brick.sizes) <= set(inspect.signature(brick.make).parameters), name
