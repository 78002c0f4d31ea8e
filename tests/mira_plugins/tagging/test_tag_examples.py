"""What the tagging network learns from: mixtures that say what is in them, and a split by blocks."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from mira.errors import DataError
from mira_plugins.tagging import examples as e
from mira_plugins.tagging.network import TagNet
from mira_plugins.tagging.stems import LOWEST_DB, STEP_DB, noises, write
from mira_plugins.tagging.training import measure, tag_loss
from mira_plugins.tagging.vocabulary import GENRES, INDEX, N_GENRES, TAGS

COLUMNS = 36


def stored(name: str, kind: str, *tags: str, columns: int = 60, level: int = 180) -> e.Stored:
    rng = np.random.default_rng(len(name))
    values = rng.integers(level - 20, level, (127, columns)).astype(np.uint8)
    return e.Stored(name, kind, name, values, LOWEST_DB, STEP_DB, frozenset(tags))


CLIPS = [
    stored("jazz.00010", "genre", "jazz"),
    stored("a 1", "instrument", "piano"),
    stored("b 2", "instrument", "violin"),
    stored("c", "voice", "voice"),
    stored("d", "accompaniment"),
    stored("e", "nothing"),
]


@pytest.fixture
def gtzan(tmp_path: Path) -> Path:
    names = [f"{genre}.{number:05}" for genre in GENRES for number in (10, 11, 85)]
    with h5py.File(tmp_path / "gtzan_mel_train.h5", "w") as file:
        file["mel"] = np.zeros((len(names), 127, 360), np.uint8)
        file["max_db"] = np.full(len(names), 30.0)
    rows = [f"{i},{n},{n.split('.')[0]},{'x' if n.endswith('11') else ''}" for i, n in enumerate(names)]
    (tmp_path / "index.csv").write_text("\n".join(["row,name,genre,repeats_of", *rows]))
    return tmp_path


def test_repeats_are_left_out_and_the_last_ids_validate(gtzan: Path) -> None:
    clips = e.read_gtzan(gtzan)
    assert len(clips) == 20
    assert {c.name[-2:] for c in clips if e.validates(c)} == {"85"}
    assert clips[0].cut(24, np.random.default_rng(0)).max() == pytest.approx(31, abs=0.1)


def test_a_genre_says_nothing_of_the_voice() -> None:
    example = e.Mixer(CLIPS, COLUMNS, vary=False).genre(CLIPS[0], np.random.default_rng(0))
    assert example.known[INDEX["voice"]] == 0 and example.known[:N_GENRES].all()
    assert example.target[INDEX["jazz"]] == 1


def test_rendered_music_knows_everything_but_its_genre() -> None:
    mixer, rng = e.Mixer(CLIPS[1:3], COLUMNS, vary=False), np.random.default_rng(1)
    drawn = [mixer.draw(rng) for _ in range(20)]
    assert all(not x.known[:N_GENRES].any() and x.known[N_GENRES:].all() for x in drawn)
    assert all(x.target[INDEX["voice"]] == 0 and x.target[INDEX["music"]] == 1 for x in drawn)
    both = [x for x in drawn if x.target[INDEX["piano"]] and x.target[INDEX["violin"]]]
    assert both and all(x.target[INDEX["keyboards"]] and x.target[INDEX["bowed"]] for x in both)


def test_what_is_no_music_has_no_tag() -> None:
    example = e.Mixer(CLIPS[5:], COLUMNS, vary=True).draw(np.random.default_rng(0))
    assert not example.target.any() and example.known[N_GENRES:].all()


def test_examples_are_the_same_for_the_same_seed() -> None:
    one, other = (e.TagExamples(e.Mixer(CLIPS, COLUMNS, vary=True), 8, 3)[5] for _ in range(2))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_varied_levels_stay_finite() -> None:
    mixer, rng = e.Mixer(CLIPS, COLUMNS, vary=True), np.random.default_rng(2)
    for _ in range(40):
        example = mixer.draw(rng)
        assert np.isfinite(example.level).all() and example.level.shape == (127, COLUMNS)
        assert ((example.target >= 0) & (example.target <= 1)).all()


def test_unknown_tags_do_not_count_in_the_loss() -> None:
    torch.manual_seed(0)
    net = TagNet().eval()
    batch = {name: value[None] for name, value in e.Mixer(CLIPS, COLUMNS, vary=False).genre(
        CLIPS[0], np.random.default_rng(0)
    ).batch().items()}  # fmt: skip
    genres, others = net.pooled(net(batch["level"])[0])
    first = tag_loss(genres, others, batch)
    changed = dict(batch, target=torch.where(batch["known"] > 0, batch["target"], torch.tensor(1.0)))
    assert float(tag_loss(genres, others, changed).detach()) == pytest.approx(float(first.detach()))


def test_scores_are_perfect_for_perfect_answers() -> None:
    mixer, rng = e.Mixer(CLIPS, COLUMNS, vary=False), np.random.default_rng(0)
    drawn = [mixer.draw(rng) for _ in range(60)] + [mixer.genre(CLIPS[0], rng)]
    target, known = (np.stack([getattr(x, name) for x in drawn]) for name in ("target", "known"))
    scores = measure(target, target, known)
    assert scores["score"] == scores["genre"] == scores["voice"] == scores["instruments"] == 1.0


def test_stems_are_written_and_read_back(tmp_path: Path) -> None:
    assert write(tmp_path / "noises.npz", noises(3, np.random.default_rng(0))) == 3
    clips = e.read_stems(tmp_path / "noises.npz")
    assert [c.kind for c in clips] == ["nothing"] * 3 and not any(c.tags for c in clips)
    assert clips[0].level.shape[0] == 127


def test_a_folder_without_material_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="neither gtzan_mel_train"):
        e._read(tmp_path)


def test_all_tags_have_a_place() -> None:
    assert len(TAGS) == len(set(TAGS)) == len(INDEX)
