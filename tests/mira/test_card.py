"""The card: damage is always noticed, and what is written comes back."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from mira.card import CARD_FORMAT, KEY, Card, Output, Source, load_bytes, read_card, write_card
from mira.errors import ModelError
from onnx import TensorProto, helper, numpy_helper

CARD = Card(
    task="mpe",
    name="small",
    version="1.2",
    sample_rate=16000,
    hop_length=512,
    receptive_field=(4000, 3000),
    outputs=(Output("onset", ("frame", "pitch"), "logit"), Output("frame", ("frame", "pitch"))),
    labels={"pitch": ["A0", "B♭0"]},
    defaults={"onset_threshold": 0.4},
    calibration={"temperature": 1.5},
    data=(Source("Bach chorales", "CC0-1.0", True), Source("Studio set", "CC-BY-NC-4.0", False)),
    scores={"dev": {"onset_f": 0.7}},
    recipe={"name": "small", "sha256": "00"},
)


def make_model(path: Path, entries: dict[str, str] | None = None) -> Path:
    """Write a graph of one multiplication with some weights."""
    weights = np.random.default_rng(0).standard_normal(500).astype("float32")
    graph = helper.make_graph(
        [helper.make_node("Mul", ["waveform", "w"], ["y"])],
        "g",
        [helper.make_tensor_value_info("waveform", TensorProto.FLOAT, [1, 500])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 500])],
        [numpy_helper.from_array(weights, "w")],
    )
    model = helper.make_model(graph)
    helper.set_model_props(model, entries or {})
    onnx.save(model, path)
    return path


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = make_model(tmp_path / "m.onnx", {"made by": "the test"})
    write_card(path, CARD)
    return path


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "empty"),
        (b"hello, this is a text\n", "ONNX"),
        (b"\x08\x07", "no model card"),
        (b"\x7a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", "ONNX"),
    ],
)
def test_what_is_no_model_is_refused_in_one_line(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "bad.onnx"
    path.write_bytes(content)
    for read in (read_card, load_bytes):
        with pytest.raises(ModelError) as caught:
            read(path)
        text = str(caught.value)
        assert says in text and str(path) in text and "\n" not in text


@pytest.mark.parametrize("place", ["missing.onnx", "."])
def test_missing_file_and_folder_are_model_errors(tmp_path: Path, place: str) -> None:
    with pytest.raises(ModelError, match="cannot use this model file"):
        read_card(tmp_path / place)


def test_a_model_without_a_card_says_so(tmp_path: Path) -> None:
    path = make_model(tmp_path / "m.onnx", {"other": "entry"})
    with pytest.raises(ModelError, match="no model card"):
        read_card(path)


def test_every_truncation_is_refused(model: Path, tmp_path: Path) -> None:
    data = model.read_bytes()
    for size in range(0, len(data), 37):
        cut = tmp_path / "cut.onnx"
        cut.write_bytes(data[:size])
        with pytest.raises(ModelError):
            load_bytes(cut)


def test_every_flipped_bit_is_refused(model: Path, tmp_path: Path) -> None:
    data = model.read_bytes()
    places = np.random.default_rng(1).choice(len(data) * 8, 1000, replace=False)
    bad = tmp_path / "bad.onnx"
    for place in places:
        flipped = bytearray(data)
        flipped[place // 8] ^= 1 << place % 8
        bad.write_bytes(flipped)
        with pytest.raises(ModelError):
            load_bytes(bad)


def test_the_card_comes_back_as_written(model: Path) -> None:
    card = read_card(model)
    assert card.graph_sha256 and card.format == CARD_FORMAT
    assert dataclasses.replace(card, graph_sha256="") == CARD
    same, data = load_bytes(model)
    assert same == card and data == model.read_bytes()
    assert not card.commercial


def test_onnx_still_reads_the_file_and_finds_one_json_document(model: Path) -> None:
    loaded = onnx.load(model)
    onnx.checker.check_model(loaded)
    entries = {entry.key: entry.value for entry in loaded.metadata_props}
    assert entries["made by"] == "the test"
    assert json.loads(entries[KEY])["task"] == "mpe"


def test_a_second_stamp_replaces_the_first_and_keeps_the_graph(model: Path) -> None:
    before = read_card(model)
    write_card(model, dataclasses.replace(CARD, version="2"))
    after = read_card(model)
    assert (after.version, after.graph_sha256) == ("2", before.graph_sha256)
    assert [entry.key for entry in onnx.load(model).metadata_props].count(KEY) == 1
    assert [path.name for path in model.parent.iterdir()] == [model.name]


def test_a_stamp_after_which_onnx_saved_the_file_again_is_still_good(model: Path) -> None:
    onnx.save(onnx.load(model), model)
    assert load_bytes(model)[0].task == "mpe"


def test_two_cards_are_refused(model: Path) -> None:
    loaded = onnx.load(model)
    loaded.metadata_props.append(loaded.metadata_props[-1])
    onnx.save(loaded, model)
    with pytest.raises(ModelError, match="more than one"):
        read_card(model)


def test_a_newer_format_names_the_way_out(model: Path) -> None:
    loaded = onnx.load(model)
    for entry in loaded.metadata_props:
        entry.value = entry.value.replace('"format":1', '"format":2')
    onnx.save(loaded, model)
    with pytest.raises(
        ModelError, match="made for card format 2; this mira reads 1: pip install -U mira-audio"
    ):
        read_card(model)


@pytest.mark.parametrize(
    "change",
    [
        {"defaults": {"x": float("nan")}},
        {"calibration": {"x": object()}},
        {"sample_rate": 0},
        {"hop_length": 1.5},
        {"receptive_field": (-1, 0)},
        {"receptive_field": (1, 2, 3)},
        {"outputs": ()},
        {"task": None},
        {"data": ({"name": "a set"},)},
    ],
)
def test_a_card_that_cannot_be_read_back_is_not_written(model: Path, change: dict) -> None:
    before = model.read_bytes()
    with pytest.raises(ModelError):
        write_card(model, dataclasses.replace(CARD, **change))
    assert model.read_bytes() == before


def test_reading_a_card_loads_nothing_heavy(model: Path) -> None:
    code = (
        "import sys; from mira.card import read_card; read_card(sys.argv[1]);"
        "print({'numpy', 'onnx', 'onnxruntime'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code, model], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_commercial_needs_every_source_to_allow_it() -> None:
    free = Source("a", "CC0-1.0", True)
    assert dataclasses.replace(CARD, data=(free,)).commercial
    assert not dataclasses.replace(CARD, data=()).commercial
