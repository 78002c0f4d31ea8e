from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from mira.errors import DataError
from mira_train.recipe import build_network, load

TEXT = """\
about: a test
data:
  sets: [bach10]
  target: f0multi
  patch: 64
frontend:
  type: log_mel
  n_mels: 64
network:
  input: [1, 64, 64]
  output: [2, 64, 64]
  blocks: [[Conv2d, {out_channels: 2, kernel_size: 3, padding: same}]]
training:
  loss: {type: bce, positive_weight: 2.0}
  learning_rate: 1e-3
  batch_size: 8
export:
  outputs: [salience]
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.yaml"
    path.write_text(TEXT)
    return path


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("patch: 64", "pach: 64", r"tiny.yaml, line 5: unknown key 'pach'; did you mean 'patch'"),
        ("  batch_size: 8\n", "", r"line 13: 'training.batch_size' is missing"),
        ("patch: 64", "patch: long", r"line 5: 'patch' must be of type int, not 'long'"),
        ("sets: [bach10]", "sets: bach10", r"line 3: 'sets' must be of type list, not 'bach10'"),
        ("type: log_mel", "type: logmel", r"line 7: no front end is called 'logmel'; did you mean 'log_mel'"),
        ("n_mels: 64", "mels: 64", r"line 8: the front end log_mel has no 'mels'; did you mean 'n_mels'"),
        ("type: bce", "type: bse", r"line 14: no loss is called 'bse'; did you mean 'bce'"),
        ("positive_weight", "pos_weight", r"line 14: the loss bce has no 'pos_weight'; did you mean"),
        ("about: a test", "about: a test\nabout: b", r"line 2: 'about' is there twice"),
        ("about: a test", "about: [a", r"tiny.yaml, line \d+: not valid YAML"),
        ("about: a test", "about: a test\nname: x", r"line 2: a recipe is named by its file"),
        (
            "batch_size: 8",
            "batch_size: 8\n  optimizer: sdg",
            r"line 17: 'optimizer' cannot be 'sdg'; did you mean 'sgd'",
        ),
        (TEXT, "- 3", r"line 1: a recipe is a mapping"),
        (TEXT, "", r"'about' is missing|a recipe is a mapping"),
    ],
)
def test_a_wrong_recipe_names_the_line_and_the_nearest_name(
    path: Path, old: str, new: str, message: str
) -> None:
    path.write_text(TEXT.replace(old, new))
    with pytest.raises(DataError, match=message):
        load(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none.yaml: cannot be read"):
        load(tmp_path / "none.yaml")


def test_bytes_that_are_no_text_are_refused(path: Path) -> None:
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="UTF-8"):
        load(path)


def test_values_are_typed(path: Path) -> None:
    recipe = load(path)
    assert recipe.name == "tiny"
    assert recipe.training.learning_rate == 0.001
    assert recipe.data.sets == ("bach10",)
    assert recipe.training.loss.options == {"positive_weight": 2.0}
    with pytest.raises(dataclasses.FrozenInstanceError):
        recipe.training.seed = 1  # type: ignore[misc]


def test_the_output_shape_is_checked(path: Path) -> None:
    path.write_text(TEXT.replace("output: [2,", "output: [3,"))
    with pytest.raises(DataError, match=r"line 11: the blocks give \(2, 64, 64\), not \(3, 64, 64\)"):
        build_network(load(path))


def test_a_wrong_layer_names_the_recipes_line(path: Path) -> None:
    path.write_text(TEXT.replace("Conv2d", "Conv3d"))
    with pytest.raises(
        DataError, match=r"tiny.yaml, line 12: no brick is called 'Conv3d'; did you mean 'Conv2d'"
    ):
        build_network(load(path))


def test_code_that_cannot_be_imported_is_named(path: Path) -> None:
    blocks = next(line for line in TEXT.splitlines() if "blocks" in line)
    path.write_text(TEXT.replace(blocks, "  code: mira_train.bricks:Nothing"))
    with pytest.raises(DataError, match=r"line 12: 'mira_train.bricks:Nothing' cannot be imported"):
        build_network(load(path))


def test_a_recipe_that_extends_another_says_only_what_differs(path: Path) -> None:
    top = path.with_name("top.yaml")
    top.write_text("extends: tiny.yaml\nabout: other\ntraining:\n  batch_size: 4\n")
    recipe = load(top)
    assert (recipe.about, recipe.training.batch_size, recipe.training.learning_rate) == ("other", 4, 0.001)
    assert recipe.name == "top"


def test_another_type_replaces_the_options_too(path: Path) -> None:
    top = path.with_name("top.yaml")
    top.write_text("extends: tiny.yaml\nfrontend: {type: cqt}\n")
    assert load(top).frontend.options == {}


def test_an_error_in_the_recipe_below_names_that_file(path: Path) -> None:
    path.write_text(TEXT.replace("patch: 64", "pach: 64"))
    top = path.with_name("top.yaml")
    top.write_text("extends: tiny.yaml\n")
    with pytest.raises(DataError, match=r"tiny.yaml, line 5"):
        load(top)


def test_extending_nothing_or_itself_is_refused(path: Path) -> None:
    top = path.with_name("top.yaml")
    top.write_text("extends: tinny.yaml\n")
    with pytest.raises(
        DataError, match=r"line 1: there is no recipe 'tinny.yaml' beside it; did you mean 'tiny.yaml'"
    ):
        load(top)
    top.write_text("extends: top.yaml\n")
    with pytest.raises(DataError, match="stands on this recipe itself"):
        load(top)


def test_overrides_are_checked_like_the_file(path: Path) -> None:
    assert load(path, ["training.batch_size=4", "data.sets=[maps]"]).data.sets == ("maps",)
    with pytest.raises(
        DataError, match=r"--set training.batchsize=4: unknown key 'batchsize'; did you mean 'batch_size'"
    ):
        load(path, ["training.batchsize=4"])
    with pytest.raises(DataError, match="key=value"):
        load(path, ["training.batch_size"])


def test_the_hash_follows_what_trains_and_not_the_words(path: Path) -> None:
    hash = load(path).hash
    assert load(path, ["about=other"]).hash == hash
    assert load(path, ["training.optimizer=adam"]).hash == hash  # the default
    assert load(path, ["training.batch_size=4"]).hash != hash
