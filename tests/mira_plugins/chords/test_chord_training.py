"""The training of ChordNet: the loss, and a run from stored chroma to a model file."""

from __future__ import annotations

import csv
import gzip
from pathlib import Path

import numpy as np
import pytest
import torch
from mira.card import read_card
from mira_export.export import export
from mira_plugins.chords import examples
from mira_plugins.chords.targets import IGNORED
from mira_plugins.chords.training import chord_loss, frames_right
from mira_plugins.chords.vocabulary import NAMES, NO_CHORD, spelling
from mira_train.fit import fit
from mira_train.plugin import find_training
from torch import Tensor


def batch(*rows: tuple[int, int, int, int]) -> dict[str, Tensor]:
    columns = torch.tensor(rows)[None]
    return {name: columns[..., i] for i, name in enumerate(("root", "quality", "bass", "tones"))}


def certain(root: int, quality: int, bass: int, tones: int) -> tuple[Tensor, ...]:
    """Logits that are sure of a chord, in one frame."""
    r, q, b, p = (
        torch.zeros(1, 1, 13),
        torch.zeros(1, 1, 12, 13),
        torch.zeros(1, 1, 13),
        torch.zeros(1, 1, 12),
    )
    r[..., root], b[..., bass] = 20, 20
    if root < 12:
        q[:, :, root, quality] = 20
    for i in range(12):
        p[..., i] = 20 if tones >> i & 1 else -20
    return r, q, b, p, torch.full((1, 1, 1), -20.0)


def test_a_sure_and_right_network_has_no_loss() -> None:
    chord = (9, NAMES.index("min"), 0, 1 << 9 | 1 | 1 << 4)
    loss, _ = chord_loss(certain(*chord), batch(chord))
    assert loss < 1e-3
    assert frames_right(certain(*chord), batch(chord)) == (1.0, 1)


def test_a_change_is_where_root_or_quality_becomes_another() -> None:
    rows = [(9, 1, 9, 0)] * 6 + [(9, 0, 9, 0)] * 6 + [(IGNORED,) * 4] * 4 + [(0, 0, 0, 0)] * 4
    quiet = [torch.zeros(1, 20, *size) for size in ((13,), (12, 13), (13,), (12,))]

    def lost(*frames: int) -> float:
        change = torch.full((1, 20, 1), -4.0)
        change[:, list(frames)] = 2.0
        return float(chord_loss((*quiet, change), batch(*rows))[1]["change"])

    assert lost(6) < lost() and lost(6) < lost(5) and lost(6) < lost(6, 9)
    assert lost(6, 13) == lost(6)  # nobody knows what chord came before


def test_silence_has_no_quality_and_unknown_frames_count_for_nothing() -> None:
    silent = (NO_CHORD, IGNORED, NO_CHORD, 0)
    loss, parts = chord_loss(certain(NO_CHORD, 0, NO_CHORD, 0), batch(silent))
    assert loss < 1e-3
    assert parts["quality"] == 0
    unknown = (IGNORED,) * 4
    loss, _ = chord_loss(certain(3, 3, 3, 8), batch(unknown))
    assert loss == 0
    assert frames_right(certain(3, 3, 3, 8), batch(unknown)) == (0.0, 0)


def test_the_quality_is_learned_at_the_true_root() -> None:
    outputs = list(certain(2, NAMES.index("maj"), 2, 4))
    outputs[1][:, :, 7, NAMES.index("7")] = 20
    target = batch((7, NAMES.index("7"), 7, 1 << 7))
    _, parts = chord_loss(tuple(outputs), target)
    assert parts["quality"] < 1e-3
    assert parts["root"] > 10


@pytest.mark.slow
def test_stored_chroma_becomes_a_model_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(examples, "CROPS_PER_EPOCH", 16)
    monkeypatch.setattr(examples, "VALID_PER_EPOCH", 4)
    write_songs(tmp_path / "stored")
    training = find_training("chords")
    small = ["training.epochs=2", "training.batch_size=4", "data.patch=64", "data.split.valid=0.2"]
    recipe = training.recipe(
        "chordnet", [*small, "network.options={width: 4, dilations: [1], tuning_s: 0.2}"]
    )
    outcome = fit(
        training, recipe, [str(tmp_path / "stored")], tmp_path / "run", accelerator="cpu", workers=0
    )
    assert outcome.losses[1] < outcome.losses[0]
    model, difference = export("chords", tmp_path / "run")
    assert difference <= recipe.export.tolerance
    card = read_card(model)
    assert [o.name for o in card.outputs] == ["root", "quality", "bass", "pitch", "change", "chroma"]
    assert card.defaults.keys() == {"frame", "change", "edge", "inversion", "temperature", "repeat", "votes"}


def write_songs(folder: Path) -> None:
    """Ten songs of random triads, played by their own pitch classes."""
    rng = np.random.default_rng(0)
    folder.mkdir()
    labels, arrays = [], {}
    for song in range(10):
        chroma = np.zeros((24, 200), np.uint8)
        for first in range(0, 200, 25):
            root, minor = int(rng.integers(12)), int(rng.integers(2))
            for step in (0, 4 - minor, 7):
                chroma[12 + (root + step + 3) % 12, first : first + 25] = 12
            name = f"{spelling(0, False)[root]}:{('maj', 'min')[minor]}"
            seconds = [(first + k) * 2048 / 44100 + 0.085 for k in (0, 25)]
            labels.append((f"{song:04}", seconds[0] if first else 0.0, seconds[1], name))
        arrays[f"{song:04}"] = chroma
    np.savez_compressed(folder / "chroma_0.npz", **arrays)  # type: ignore[arg-type]
    with gzip.open(folder / "labels.csv.gz", "wt") as file:
        rows = csv.writer(file)
        rows.writerow(["id", "start", "end", "label"])
        rows.writerows(labels)
    with open(folder / "songs.csv", "w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["id", "file", "artist_key", "fold"])
        rows.writerows([(name, "chroma_0.npz", f"artist {name}", 0) for name in arrays])
