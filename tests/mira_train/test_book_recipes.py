"""Every row of the book's tables, in its exact form and corrected."""

from __future__ import annotations

from pathlib import Path

import mira_plugins
import pytest
import torch
from mira_train.bricks import SampleCNN
from mira_train.recipe import Recipe, build_network, load

PLUGINS = Path(mira_plugins.__file__).parent
PATHS = {path.stem: path for path in sorted(PLUGINS.glob("*/recipes/book-*.yaml"))}
CORRECTED = [name for name in PATHS if name.endswith("-corrected")]
EXACT = [name for name in PATHS if name not in CORRECTED]

PARAMETERS = {
    "book-bach10-cqt-conv2d": 390_243,
    "book-bach10-hcqt-conv2d": 406_253,
    "book-bach10-hcqt-depthsep": 148_717,
    "book-bach10-hcqt-resnet": 853_741,
    "book-bach10-hcqt-convnext": 516_205,
    "book-bach10-hcqt-unet": 7_093_591,
    "book-maps-hcqt-conv2d": 406_253,
    "book-maps-hcqt-resnet": 853_741,
    "book-maps-hcqt-unet": 7_093_591,
    "book-cover1000-crema-move": 1_869_094,
    "book-datacos-crema-move": 1_869_094,
    "book-gtzan-lms-conv2d": 164_755,
    "book-gtzan-waveform-conv1d": 124_931,
    "book-gtzan-waveform-tcn": 219_963,
    "book-gtzan-waveform-sincnet": 313_011,
    "book-mtt-lms-conv2d": 167_355,
    "book-rwc-pop-cqt": 6_959_721,
    "book-mtt-ssl-pretraining": 2_664_000,
    "book-mtt-ssl-probe": 25_650,
}


def recipe(name: str) -> Recipe:
    return load(PATHS[name])


def test_every_row_of_the_book_has_a_recipe_and_a_corrected_form() -> None:
    assert set(EXACT) == set(PARAMETERS)
    assert {f"{name}-corrected" for name in EXACT} == set(CORRECTED)


@pytest.mark.parametrize("name", EXACT)
def test_the_exact_form_has_the_books_parameter_count(name: str) -> None:
    network = build_network(recipe(name))
    assert sum(p.numel() for p in network.parameters()) == PARAMETERS[name]


@pytest.mark.parametrize("name", [n for n in EXACT if not n.startswith(("book-maps", "book-datacos"))])
def test_the_exact_form_maps_the_books_input_to_its_output(name: str) -> None:
    spec = recipe(name).network
    network = build_network(recipe(name)).eval()
    with torch.no_grad():
        output = network(torch.zeros(1, *spec.input))
    assert tuple(output.shape) == (1, *spec.output)


@pytest.mark.parametrize("name", CORRECTED)
@pytest.mark.parametrize("factor", [0.6, 1.0, 1.35])
def test_the_corrected_form_takes_any_length(name: str, factor: float) -> None:
    spec = recipe(name).network
    if spec.encoder:  # its input is one vector
        return
    network = build_network(recipe(name)).to("meta").eval()
    least = SampleCNN.MINIMUM if isinstance(network[0], SampleCNN) else 0
    frames = max(least, int(spec.input[-1] * factor))
    output = network(torch.empty(1, *spec.input[:-1], frames, device="meta"))
    same_time = spec.output[-1] == spec.input[-1]
    assert tuple(output.shape) == (1, *spec.output[:-1], frames if same_time else spec.output[-1])


@pytest.mark.parametrize("name", CORRECTED)
def test_the_corrected_form_says_what_it_changes(name: str) -> None:
    assert recipe(name).changes
    assert recipe(name).hash != recipe(name.removesuffix("-corrected")).hash
