"""The encoder's front end: the decibels of the stored log-mels, and silence that stays silent."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from mira.card import Card, Output
from mira.session import Session
from mira_export.export import export_onnx
from mira_plugins.ssl_embed import encoder as e
from mira_plugins.ssl_embed.network import EmbedNet, Shipped, variance_invariance_covariance
from mira_train.frontends.spectrum import mel_bands

SECONDS = 4


def tone(hz: float, gain_db: float = 0.0) -> np.ndarray:
    time = np.arange(SECONDS * e.HOP) / e.SAMPLE_RATE
    return (10 ** (gain_db / 20) * np.sin(2 * np.pi * hz * time)).astype(np.float32)


def levels(samples: np.ndarray) -> torch.Tensor:
    return e.LogMel()(torch.from_numpy(samples[None]))


def test_columns_are_mean_decibels_of_two_frames_of_slaney_bands() -> None:
    samples = (0.1 * np.random.default_rng(0).standard_normal(SECONDS * e.HOP)).astype(np.float32)
    bands = mel_bands(e.SAMPLE_RATE, e.N_FFT, 128)[:127]
    window = np.hanning(e.N_FFT + 1)[:-1]
    column = 20
    frames = []
    for k in (2 * column, 2 * column + 1):
        middle = (k - e.COLUMNS) * e.FRAME_HOP
        spectrum = np.fft.rfft(window * samples[middle - 1024 : middle + 1024])[:-1]
        frames.append(10 * np.log10(bands @ np.abs(spectrum) ** 2))
    assert levels(samples)[0, :, column].numpy() == pytest.approx(np.mean(frames, 0), abs=0.02)


def test_a_step_lies_around_its_place() -> None:
    samples = np.zeros(SECONDS * e.HOP, np.float32)
    samples[2 * e.HOP] = 1.0
    step = e.loudness(levels(samples))[0].argmax()
    assert step == 2


def test_loud_and_soft_look_alike_down_to_the_faint() -> None:
    loud, soft, faint = (e.relative(levels(tone(440, db)))[0] for db in (0, -30, -90))
    assert soft.numpy() == pytest.approx(loud.numpy(), abs=0.02)
    assert faint.max() < 0.6 < loud.max()


@pytest.mark.parametrize("gain_db", [-400, -140])
def test_silence_and_what_is_nearly_silent_are_nothing(gain_db: float) -> None:
    assert e.relative(levels(tone(440, gain_db))).max() == 0


def test_chunks_change_nothing(tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = EmbedNet().eval()
    card = Card(
        "ssl_embed", "test", "1", e.SAMPLE_RATE, e.HOP, (net.encoder.reach,) * 2,
        (Output("embedding", ("frame", "dimension")), Output("loudness", ("frame", "decibel"))),
    )  # fmt: skip
    path = tmp_path / "model.onnx"
    export_onnx(Shipped(net.encoder), path, card, lengths=[4 * e.HOP, 9 * e.HOP], tolerance=1e-3)
    rng = np.random.default_rng(0)
    samples = 0.3 * rng.standard_normal(46 * e.SAMPLE_RATE) * np.linspace(0, 1, 46 * e.SAMPLE_RATE) ** 3
    samples = samples.astype(np.float32)
    whole, parts = Session(path, threads=1), Session(path, threads=1)
    whole.chunk_s, parts.chunk_s = 60.0, 13.0
    a, b = (session.run([samples]).arrays["embedding"] for session in (whole, parts))
    assert a.shape == b.shape == (46 * e.SAMPLE_RATE // e.HOP + 1, net.encoder.config.dimension)
    assert np.abs(a - b).max() < 1e-4


def test_vicreg_is_small_for_views_that_agree_and_vary() -> None:
    rng = torch.Generator().manual_seed(0)
    views = torch.randn(256, 8, generator=rng)
    same = variance_invariance_covariance(views, views)
    collapsed = variance_invariance_covariance(0 * views, 0 * views)
    other = variance_invariance_covariance(views, torch.randn(256, 8, generator=rng))
    assert same < collapsed and same < other
