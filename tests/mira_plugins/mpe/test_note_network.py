"""The transcription network: what it may see, and that levels hardly matter."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from mira_plugins.mpe.network import Deviation, FrontEnd, NoteNet, NoteNetConfig
from mira_train.frontends.vqt import VQT


@pytest.fixture(scope="module")
def net() -> NoteNet:
    torch.manual_seed(0)
    return NoteNet(NoteNetConfig(stem=4, width=8, layers=2, neck=2, dilations=(1, 2))).eval()


def tone(hz: float, samples: int, gain: float = 1.0) -> torch.Tensor:
    return gain * torch.sin(2 * np.pi * hz * torch.arange(samples) / 16000)[None]


def test_every_key_and_every_hop_has_its_five_numbers(net: NoteNet) -> None:
    with torch.no_grad():
        outputs = net(torch.randn(2, 512 * 21))
    assert len(outputs) == 5 and all(o.shape == (2, 21, 88) for o in outputs)


def test_nothing_beyond_the_reach_changes_a_frame(net: NoteNet) -> None:
    frames = 2 * -(-net.reach // 512) + 20
    middle = frames // 2
    audio = 0.1 * torch.randn(1, 512 * frames)
    changed = audio.clone()
    changed[:, : middle * 512 - net.reach - 1] = 0.5
    changed[:, middle * 512 + net.reach + 1 :] = -0.5
    with torch.no_grad():
        for one, other in zip(net(audio), net(changed), strict=True):
            assert torch.allclose(one[:, middle], other[:, middle], atol=1e-5)


def test_a_quiet_recording_looks_like_a_loud_one() -> None:
    front = FrontEnd(16000, 512)
    loud, quiet = front(tone(440, 512 * 60)), front(tone(440, 512 * 60, gain=0.003))
    assert (loud - quiet).abs().max() < 0.1 * loud.max()


@pytest.mark.parametrize("pitch", [21, 33, 45, 60, 69, 81, 96, 108])
def test_a_sine_stands_in_its_bin_with_its_amplitude(pitch: int) -> None:
    vqt = VQT(16000, 512, 27.5 * 2 ** (-1 / 36), 36)
    values = vqt(tone(440 * 2 ** ((pitch - 69) / 12), 16000 * 8, gain=0.3))[0]
    middle = values[:, values.shape[1] // 2]
    assert int(middle.argmax()) == 3 * (pitch - 21) + 1
    assert float(middle.max()) == pytest.approx(0.3, rel=0.02)


def test_a_click_stands_in_the_frame_nearest_to_it() -> None:
    vqt = VQT(16000, 512, 27.5 * 2 ** (-1 / 36), 36, filter_scale=0.3, gamma_hz=75.0)
    audio = torch.zeros(1, 512 * 40)
    audio[0, 512 * 20] = 1.0
    assert vqt(audio)[0].argmax(dim=1).float().sub(20).abs().max() <= 1


@pytest.mark.parametrize("pitch", [40, 57, 69, 88])
@pytest.mark.parametrize("off", [-0.4, 0.0, 0.25])
def test_a_tone_between_the_keys_is_found_where_it_is(pitch: int, off: float) -> None:
    hz = 440 * 2 ** ((pitch + off - 69) / 12)
    audio = sum(tone(h * hz, 512 * 60, gain=0.3 / h) for h in (1, 2, 3) if h * hz < 7000)
    place = Deviation()(FrontEnd(16000, 512)(audio))[0, 30, pitch - 21]
    assert float(place) == pytest.approx(off, abs=0.03)


def test_vibrato_is_followed() -> None:
    time_s = torch.arange(512 * 94) / 16000
    wished = 0.4 * torch.sin(2 * np.pi * 5 * time_s)
    audio = 0.3 * torch.sin(torch.cumsum(2 * np.pi * 440 * 2 ** (wished / 12) / 16000, 0))[None]
    place = Deviation()(FrontEnd(16000, 512)(audio))[0, 20:70, 48]
    assert (place - wished[::512][20:70]).abs().max() < 0.12
