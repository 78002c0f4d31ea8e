"""Every recipe builds, trains on a small set of its own form, exports and passes parity."""

from __future__ import annotations

from pathlib import Path

import mira_plugins
import pytest
from minisets import SETS, make_miniset
from mira.card import read_card
from mira_export.export import export
from mira_train import runs
from mira_train.demo import note_set
from mira_train.fit import fit
from mira_train.plugin import find_training
from mira_train.recipe import Recipe, build_network

FOLDERS = Path(mira_plugins.__file__).parent
RECIPES = sorted(p for p in FOLDERS.glob("*/recipes/*.yaml") if p.stem.startswith(("book-", "notenet")))
SIZES = {
    "mpe": ["network.input={c}, 120, 8", "network.output=1, 120, 8", "data.patch=8", "data.hop=8"],
    "chords": ["network.input=1, 72, 24", "network.output=25, 24", "data.patch=24", "data.hop=24"],
    "cover": ["network.input=1, 23, 210", "data.patch=210", "training.batch_size=8"],
}


def small(task: str, recipe: Recipe) -> list[str]:
    """What makes a recipe small enough for a test."""
    common = ["training.epochs=1", "training.batch_size=4", "training.precision=32-true"]
    if recipe.name == "notenet":
        sizes = "{stem: 4, width: 8, layers: 1, neck: 2, dilations: [1]}"
        return [*common, f"network.options={sizes}", "data.patch=16384", "network.input=[16384]"]
    if task == "mpe":
        rows = SIZES["mpe"][0].format(c=recipe.network.input[0])
        return [
            *common,
            "training.batch_size=2",
            "frontend.octaves=2",
            "frontend.fmin_hz=261.6",
            *listed([rows, *SIZES["mpe"][1:]]),
        ]
    if task == "ssl_embed":
        patch = [] if recipe.network.encoder is None else ["data.patch=59535"]
        return [*common, *patch]
    if task == "tagging":
        if recipe.frontend.type == "log_mel":
            return [*common, "network.input=[1, 128, 40]", "data.patch=40", "data.hop=40"]
        return [*common, "data.hop=22050"]
    return [*common, *listed(SIZES[task])]


def listed(texts: list[str]) -> list[str]:
    return [t if ", " not in t else t.replace("=", "=[", 1) + "]" for t in texts]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sets")


def encoder_of(recipe: Recipe, folder: Path) -> Path | None:
    """Weights of the encoder under a probe, as its own run would leave them."""
    if recipe.network.encoder is None:
        return None
    below = find_training("ssl_embed").recipe(recipe.network.encoder.recipe)
    path = folder / "encoder.safetensors"
    runs.save_weights(path, build_network(below), runs.stamp("ssl_embed", below))
    return path


@pytest.mark.slow
@pytest.mark.parametrize("path", RECIPES, ids=lambda p: p.stem)
def test_recipe_trains_and_exports(
    path: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MIRA_DATA", str(data))
    training = find_training(path.parent.parent.name)
    recipe = training.recipe(path.stem)
    recipe = training.recipe(path.stem, small(training.task, recipe))
    for name in recipe.data.sets:
        make_miniset(name, data)
    sets = [] if recipe.data.sets else [str(note_set(tmp_path / "notes", clips=5))]
    encoder = encoder_of(recipe, tmp_path)
    outcome = fit(training, recipe, sets, tmp_path / "run", encoder=encoder, accelerator="cpu", workers=0)
    assert len(outcome.losses) == 1 and outcome.losses[0] > 0
    model, difference = export(training.task, tmp_path / "run")
    assert difference <= recipe.export.tolerance
    card = read_card(model)
    assert card.recipe == {"name": recipe.name, "sha256": recipe.hash}
    assert [source.name for source in card.data] == (list(recipe.data.sets) or ["demo-notes"])


def test_there_is_a_miniset_for_every_set_of_the_book() -> None:
    used = {s for p in RECIPES for s in find_training(p.parent.parent.name).recipe(p.stem).data.sets}
    assert used == set(SETS)
