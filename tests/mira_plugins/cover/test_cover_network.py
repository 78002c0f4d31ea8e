"""The cover network: what it may not know, and what it learns from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from covermusic import music
from mira.errors import DataError
from mira_plugins.cover.examples import Heard, Versions, heard
from mira_plugins.cover.fingerprint import DIMENSION, embed, pitch_classes
from mira_plugins.cover.fitting import fitted
from mira_plugins.cover.network import Bank, cover_net
from mira_plugins.cover.training import lightning_module, shipped
from mira_plugins.cover.versions import POP909_LEFT_OUT, bass, harmonised, held_out, melody, version, works
from mira_train.plugin import find_training
from mira_train.synth.corpus import Library, Piece
from mira_train.synth.score import Part


def tune(notes: int = 60) -> Part:
    rng = np.random.default_rng(0)
    start = np.arange(notes) * 0.5
    pitch = 60 + np.array([0, 2, 4, 5, 7, 9, 11])[rng.integers(7, size=notes)]
    return Part(start, start + 0.45, pitch, np.full(notes, 80))


@pytest.mark.parametrize("steps", [1, 5, 11])
def test_the_vector_does_not_know_the_key(steps: int) -> None:
    torch.manual_seed(0)
    net = cover_net(each=8, dimension=8).eval()
    x = torch.from_numpy(music(1).T.copy())[None]
    torch.testing.assert_close(net(x), net(torch.roll(x, steps, 1)), atol=1e-4, rtol=0)
    torch.testing.assert_close(net(x).norm(dim=1), torch.ones(1))


def test_the_shipped_vector_does_not_know_the_key_either() -> None:
    vector = embed(music(1))
    assert vector.shape == (DIMENSION,)
    np.testing.assert_allclose(vector, embed(np.roll(music(1), 4, axis=1)), atol=1e-4)
    assert np.isfinite(embed(np.zeros((1, 12), np.float32))).all()


def test_the_bank_tells_music_apart_and_is_the_same_each_time() -> None:
    x, y = (torch.from_numpy(music(seed).T.copy())[None] for seed in (1, 2))
    assert torch.equal(Bank(4)(x), Bank(4)(x))
    assert not torch.allclose(Bank(4)(x), Bank(4)(y), atol=1e-3)


def test_pitch_classes_are_the_treble_from_c_and_of_unit_length() -> None:
    chroma = np.zeros((25, 24), np.float32)
    chroma[:, 12 + 3] = 2.0
    frames = pitch_classes(chroma)
    assert frames.shape == (2, 12)
    np.testing.assert_array_equal(frames.argmax(1), 0)
    np.testing.assert_allclose(np.linalg.norm(frames, axis=1), 1)
    assert pitch_classes(chroma[:3]).shape == (1, 12)


def test_a_tune_alone_is_its_melody_and_chords_fit_it() -> None:
    whole = [tune(), Part(np.array([0.0]), np.array([30.0]), np.array([36]), np.array([80]))]
    assert len(melody(whole)) == 60
    assert bass(whole).pitch.min() == 36
    chords = harmonised(tune(), np.random.default_rng(0))
    assert len(chords) >= 30
    assert set((chords.pitch % 12).tolist()) <= {0, 2, 4, 5, 7, 9, 11}


def test_the_skyline_of_one_part_is_its_melody() -> None:
    low = Part(np.array([0.0, 0.0]), np.array([1.0, 1.0]), np.array([48, 72]), np.array([80, 80]))
    assert melody([low]).pitch.tolist() == [72]


@pytest.mark.parametrize("corpus", ["pop909_versions", "airdsairs", "asap_piano"])
def test_versions_differ_but_can_always_be_played(corpus: str) -> None:
    for seed in range(30):
        made = version([tune(), tune(20)], corpus, 0.1, 20.0, np.random.default_rng(seed))
        assert len(made.parts) == len(made.families)
        frames = heard(made, 20.0, np.random.default_rng(seed))
        assert frames.shape == (43, 12)
        assert np.isfinite(frames).all()


def test_the_same_draw_is_the_same_example() -> None:
    chroma = np.tile(np.repeat(music(1, 60), 10, axis=0), 2).astype(np.float16)
    found = {name: Heard((chroma, chroma), "renderings") for name in "ab"}
    first, again = (Versions(found, 2, 60, 1, Bank(2)) for _ in range(2))
    assert torch.equal(first[3]["x"], again[3]["x"])
    assert torch.equal(first[3]["x"], first[3 + len(first)]["x"])
    assert not torch.equal(first[2]["x"], first[3]["x"])
    assert [int(first[i]["y"]) for i in range(4)] == [0, 0, 1, 1]


def test_the_closed_form_keeps_what_tells_works_apart_and_drops_what_does_not() -> None:
    rng = np.random.default_rng(0)
    net = cover_net(each=2, dimension=4)
    work = np.repeat(np.arange(60), 4)
    features = rng.normal(5, 1, (240, net.bank.features))
    features[:, :4] = 0.1 * rng.normal(size=(60, 4))[work] + 0.01 * rng.normal(size=(240, 4))
    fitted(features, work, net)
    with torch.no_grad():
        vectors = net.project(torch.from_numpy(features.astype(np.float32))).numpy()
    alike, same = vectors @ vectors.T, work[:, None] == work
    assert np.median(alike[same]) > 0.9
    assert abs(np.median(alike[~same])) < 0.2


def test_held_out_works_are_never_trained_on(tmp_path: Path) -> None:
    chroma = np.tile(np.repeat(music(1, 60), 10, axis=0), 2).astype(np.float16)
    for i in range(40):
        for number in range(2):
            np.savez(tmp_path / f"{i}-{number}.npz", work=f"work {i}", chroma=chroma)
    training = find_training("cover")
    data = training.module.data_module(training.recipe("covernet"), [str(tmp_path)])
    train, valid = ([n.partition("/")[2] for n in part] for part in (data.split.train, data.split.valid))
    assert len(train) + len(valid) == 40 and valid
    assert all(map(held_out, valid)) and not any(map(held_out, train))


def test_songs_of_the_development_set_are_left_out() -> None:
    library = Library.__new__(Library)
    files = [f"{POP909_LEFT_OUT[0]}.mid", "004.mid"]
    library.pieces = {"pop909_chords": [Piece("pop909_chords", name, name) for name in files]}
    assert list(works(library)) == ["004.mid"]


def test_the_recipe_makes_what_is_shipped() -> None:
    recipe = find_training("cover").recipe("covernet")
    module = lightning_module(recipe)
    ship = shipped(recipe, module.net)
    assert ship.input == "features" and ship.rows == 12
    (vector,) = ship.graph(torch.rand(2, 12, 40))
    assert vector.shape == (2, DIMENSION)


def test_a_folder_of_something_else_is_one_clear_line(tmp_path: Path) -> None:
    training = find_training("cover")
    with pytest.raises(DataError, match="neither symbolic music"):
        training.module.data_module(training.recipe("covernet"), [str(tmp_path)])
