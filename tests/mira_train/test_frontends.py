from __future__ import annotations

import io

import numpy as np
import onnxruntime
import pytest
import torch
from mira_train.frontends import (
    CQT,
    FRONTENDS,
    HCQT,
    TCN,
    Chroma,
    LearnedConv1d,
    LogMel,
    NNAudioCQT,
    NNAudioLogMel,
    NNLSChroma,
    SincNet,
    StackedChroma,
    Waveform,
    build,
)
from mira_train.frontends.spectrum import Spectrum
from mira_train.frontends.vqt import VQT
from torch import nn

SMALL = {
    "waveform": Waveform(),
    "log_mel": LogMel(),
    "cqt": CQT(bins_per_octave=12),
    "hcqt": HCQT(bins_per_octave=12, harmonics=(0.5, 1, 3), log=True),
    "chroma": Chroma(),
    "nnls_chroma": NNLSChroma(steps=10),
    "sincnet": SincNet(filters=8),
    "conv1d": LearnedConv1d(filters=8),
    "tcn": TCN(channels_per_level=(4, 8)),
    "nnaudio_cqt": NNAudioCQT(fmin_hz=130.8, bins_per_octave=12, octaves=2),
    "nnaudio_log_mel": NNAudioLogMel(),
}


def noise(n: int, seed: int = 0) -> torch.Tensor:
    return 0.3 * torch.randn(1, n, generator=torch.Generator().manual_seed(seed))


def tone(hz: float, seconds: float, sample_rate: int) -> torch.Tensor:
    time = torch.arange(int(seconds * sample_rate)) / sample_rate
    return 0.5 * torch.sin(2 * torch.pi * hz * time)[None]


def export(module: nn.Module, example: torch.Tensor) -> onnxruntime.InferenceSession:
    file = io.BytesIO()
    torch.onnx.export(
        module.eval(),
        (example,),
        file,
        dynamo=False,
        opset_version=17,
        input_names=["audio"],
        output_names=["features"],
        dynamic_axes={"audio": {0: "batch", 1: "sample"}},
    )
    return onnxruntime.InferenceSession(file.getvalue(), providers=["CPUExecutionProvider"])


def test_every_front_end_but_the_stored_one_is_exported_here() -> None:
    assert {*SMALL, "stacked_chroma"} == set(FRONTENDS)


@pytest.mark.parametrize("name", SMALL)
def test_the_exported_graph_equals_torch_at_three_lengths(name: str) -> None:
    module = SMALL[name]
    session = export(module, noise(30_000))
    for n in (23_456, 30_000, 51_200):
        audio = noise(n, seed=n)
        with torch.no_grad():
            expected = module(audio).numpy()
        (found,) = session.run(None, {"audio": audio.numpy()})
        assert found.shape == expected.shape
        np.testing.assert_allclose(found, expected, atol=1e-4 * max(1.0, float(np.abs(expected).max())))


@pytest.mark.parametrize("name", [name for name in SMALL if name != "waveform"])
def test_the_shape_is_the_declared_one(name: str) -> None:
    module = SMALL[name]
    with torch.no_grad():
        y = module(noise(40_000))
    frames = 1 + 40_000 // module.hop_length
    assert tuple(y.shape) == (1, module.channels, module.n_bins, frames)


@pytest.mark.parametrize("name", ["log_mel", "cqt", "hcqt", "sincnet", "conv1d"])
def test_frame_k_is_centred_on_k_hops(name: str) -> None:
    module = SMALL[name]
    if isinstance(module, LearnedConv1d):
        nn.init.ones_(module.bank.weight)  # a kernel whose centre is its middle
    hop = module.hop_length
    click = torch.zeros(1, 60 * hop)
    at = 24
    click[0, at * hop] = 1.0
    with torch.no_grad():
        change = (module(click) - module(torch.zeros_like(click))).abs()
    energy = change[0].square().sum((0, 1))
    centre = (energy * torch.arange(len(energy))).sum() / energy.sum()
    assert centre.item() == pytest.approx(at, abs=0.05)


def test_log_mel_has_the_books_shape_and_bands() -> None:
    module = LogMel()
    with torch.no_grad():
        y = module(tone(1000.0, 2.0, 22050))
    assert y.shape == (1, 1, 128, 1 + 44100 // 1024)
    mel = 1000 / (200 / 3)  # Slaney's scale is linear up to 1 kHz
    highest = 15 + 27 * np.log(11.025) / np.log(6.4)
    assert y[0, 0, :, 20].argmax().item() == pytest.approx(mel / highest * 129 - 1, abs=1)


def test_the_spectrum_equals_the_fourier_transform() -> None:
    audio = noise(9000)
    ours = Spectrum(2048, 512)(audio)[0]
    window = torch.hann_window(2048)
    theirs = torch.stft(audio[0], 2048, 512, window=window, pad_mode="constant", return_complex=True).abs()
    torch.testing.assert_close(ours, theirs[:-1], atol=2e-4, rtol=1e-4)
    with pytest.raises(ValueError, match="power of two"):
        Spectrum(2000, 500)


@pytest.mark.parametrize("midi", [30, 57, 81])
def test_cqt_peaks_at_the_bin_of_the_pitch(midi: int) -> None:
    hz = 440 * 2 ** ((midi - 69) / 12)
    with torch.no_grad():
        y = CQT(bins_per_octave=12)(tone(hz, 3.0, 22050))[0, 0]
    assert y[:, y.shape[-1] // 2].argmax().item() == round(12 * np.log2(hz / 32.7))


def test_hcqt_channels_meet_at_one_bin_for_a_harmonic_tone() -> None:
    module = HCQT(bins_per_octave=12, harmonics=(1, 2, 3))
    f0 = 32.7 * 2 ** (30 / 12)
    audio = sum((tone(h * f0, 3.0, 22050) for h in (1, 2, 3)), torch.zeros(1))
    with torch.no_grad():
        y = module(audio)[0, :, :, 60]
    assert y[0].argmax() == 30
    assert (y[:, 30] > 0.5 * y.amax(1)).all()


def test_chroma_of_a_major_triad() -> None:
    audio = sum((tone(440 * 2 ** ((m - 69) / 12), 2.0, 22050) for m in (60, 64, 67)), torch.zeros(1))
    with torch.no_grad():
        y = Chroma()(audio)[0, 0, :, 40]
    assert sorted(y.topk(3).indices.tolist()) == [0, 4, 7]
    assert y.max() == 1


def note(midi: float) -> torch.Tensor:
    """Two seconds with six harmonics at 44.1 kHz."""
    hz = 440 * 2 ** ((midi - 69) / 12)
    return sum((0.6**h * tone((h + 1) * hz, 2.0, 44100) for h in range(6)), torch.zeros(1)) / 4


def test_nnls_chroma_of_a_triad_in_bass_and_treble_from_a() -> None:
    audio = note(36) + note(64) + note(67) + note(72)  # C major over a low C
    with torch.no_grad():
        y = NNLSChroma()(audio)[0, 0, :, 20]
    assert y[:12].argmax().item() == 3  # C counted from A
    assert sorted(y[12:].topk(3).indices.tolist()) == [3, 7, 10]
    assert (y >= 0).all()


def test_nnls_tuning_is_found_and_undone() -> None:
    module = NNLSChroma()

    def chroma(semitones: float) -> tuple[float, torch.Tensor, torch.Tensor]:
        audio = note(57 + semitones) + note(61 + semitones) + note(64 + semitones)
        with torch.no_grad():
            spectrum = module.log_spectrum(audio)
            tuning = module.tuning(spectrum)
            undone, left = module.chroma(spectrum, tuning), module.chroma(spectrum, torch.zeros(1))
        return tuning.item(), undone[0, 12:, 20], left[0, 12:, 20]

    tuned, straight, _ = chroma(0)
    sharp, undone, left = chroma(0.4)
    assert (tuned, sharp) == (pytest.approx(0, abs=0.05), pytest.approx(0.4, abs=0.05))
    assert np.corrcoef(straight, undone)[0, 1] > 0.95
    assert (undone - straight).norm() < 0.8 * (left - straight).norm()


def test_nnls_notes_solve_the_non_negative_least_squares() -> None:
    module = NNLSChroma()
    torch.manual_seed(0)
    true = torch.relu(torch.randn(1, 84, 5) - 1)
    spectrum = module.notes.T @ true
    torch.testing.assert_close(module.explain(spectrum), true, atol=5e-3, rtol=0)


def test_silence_gives_zeros_not_nan() -> None:
    for name, module in SMALL.items():
        with torch.no_grad():
            y = module(torch.zeros(1, 20_000))
        assert y.isfinite().all(), name
    with torch.no_grad():
        assert not NNLSChroma(steps=5)(torch.zeros(1, 20_000)).any()


def test_stacked_chroma_turns_a_transposition_into_a_shift() -> None:
    pcp = torch.rand(1, 12, 7)
    rows = StackedChroma()(pcp)[0, 0]
    assert rows.shape == (23, 7)
    assert torch.equal(StackedChroma()(pcp.roll(5, 1))[0, 0, 5:17], rows[:12])


def test_mistake_69_eight_stored_frames_become_one() -> None:
    pcp = torch.rand(1, 12, 83)
    rows = StackedChroma(mean_of=8)(pcp)
    assert rows.shape == (1, 1, 23, 10)
    torch.testing.assert_close(rows[0, 0, :12, 0], pcp[0, :, :8].mean(1))


def test_lists_of_a_recipe_stand_for_tuples() -> None:
    assert build("hcqt", {"harmonics": [1, 2], "bins_per_octave": 12}).channels == 2


def test_cqt_agrees_with_nnaudio() -> None:
    audio = sum((tone(hz, 4.0, 22050) for hz in (110.0, 440.0, 1200.0)), 0.05 * noise(4 * 22050))
    with torch.no_grad():
        ours, theirs = CQT(bins_per_octave=12)(audio), NNAudioCQT(bins_per_octave=12)(audio)
    middle = slice(60, 110)
    assert (ours - theirs)[..., middle].norm() < 0.02 * theirs[..., middle].norm()


def test_log_mel_agrees_with_nnaudio() -> None:
    audio = noise(40_000)
    with torch.no_grad():
        torch.testing.assert_close(LogMel()(audio), NNAudioLogMel()(audio), atol=0.02, rtol=0)


@pytest.mark.parametrize("fmin_hz", [0.5 * 32.7, 32.7, 5 * 32.7])
def test_every_bin_of_the_cascade_passes_its_own_frequency(fmin_hz: float) -> None:
    """Also the highest of each octave, which would fall into the slope of a decimation too many."""
    module = VQT(22050, 512, fmin_hz, 12, 6)
    edges = [bin for bin in range(72) if bin % 12 in (0, 10, 11)]
    with torch.no_grad():
        found = [module(2 * tone(module.freqs_hz[b], 4.0, 22050))[0, b, 86].item() for b in edges]
    np.testing.assert_allclose(found, 1.0, atol=2e-3)


@pytest.mark.parametrize(("hop", "octaves"), [(512, 6), (441, 3), (96, 5)])
def test_the_cascade_equals_the_sum_at_the_full_rate(hop: int, octaves: int) -> None:
    module = VQT(22050, hop, 130.8, 12, octaves)
    audio = noise(22050)
    with torch.no_grad():
        found = module(audio)[0, :, 80 * 96 // hop].numpy()
    samples, centre = audio[0].double().numpy(), 80 * 96 // hop * hop
    for value, hz, window_s in zip(found, module.freqs_hz, module.window_s):
        t = (np.arange(len(samples)) - centre) / 22050
        window = np.where(np.abs(t) < window_s / 2, 0.5 + 0.5 * np.cos(2 * np.pi * t / window_s), 0)
        wanted = 2 * np.abs(np.sum(samples * window * np.exp(-2j * np.pi * hz * t))) / window.sum()
        assert value == pytest.approx(wanted, abs=2e-4)
