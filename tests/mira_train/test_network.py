from __future__ import annotations

import copy

import pytest
import torch
from mira.errors import DataError
from mira_train.document import parse
from mira_train.network import Network, build


def make(text: str, *shape: int) -> Network:
    document = parse(text, "net.yaml")
    return build(document.value, shape, document, ())


def test_an_unknown_brick_names_the_line_and_the_nearest_brick() -> None:
    with pytest.raises(
        DataError, match=r"net.yaml, line 2: no brick is called 'Conv2D'; did you mean 'Conv2d'"
    ):
        make("- ReLU\n- [Conv2D, {out_channels: 4, kernel_size: 3}]", 1, 8, 8)


def test_an_unknown_argument_names_the_line_and_the_nearest_argument() -> None:
    text = "- - [Conv2d,\n     {out_channels: 4,\n      kernel: 3}]"
    with pytest.raises(DataError, match=r"line 3: Conv2d has no 'kernel'; did you mean 'kernel_size'"):
        make(text, 1, 8, 8)


def test_a_missing_argument_names_the_line() -> None:
    with pytest.raises(DataError, match=r"line 2: Conv2d cannot be made .*kernel_size"):
        make("- ReLU\n- [Conv2d, {out_channels: 4}]", 1, 8, 8)


def test_a_layer_that_does_not_fit_names_the_line_and_the_running_shape() -> None:
    with pytest.raises(DataError, match=r"line 2: Conv1d does not fit its input \(batch, 4, 3\)"):
        make(
            "- [Conv1d, {out_channels: 4, kernel_size: 6}]\n- [Conv1d, {out_channels: 4, kernel_size: 5}]",
            1,
            8,
        )


def test_something_that_is_no_layer_names_the_line() -> None:
    with pytest.raises(DataError, match=r"line 2: expected a brick's name"):
        make("- ReLU\n- 3", 1, 8)


def test_an_unknown_skip_names_the_nearest_stored_one() -> None:
    with pytest.raises(DataError, match=r"line 2: nothing is stored as 'skipp'; did you mean 'skip'"):
        make("- [StoreAs, {name: skip}]\n- [CatWith, {name: skipp}]", 1, 8)


def test_sizes_left_out_or_at_minus_one_come_from_the_running_shape() -> None:
    network = make(
        """
        - [BatchNorm2d, [Conv2d, {in_channels: -1, out_channels: 4, kernel_size: [3, 1]}], ReLU]
        - [[Permute, {dims: [0, 3, 1, 2]}], [Linear, {out_features: 5}]]
        - LayerNorm
        """,
        2,
        6,
        7,
    )
    batch_norm, conv, _, _, linear, layer_norm = network
    assert batch_norm.num_features == conv.in_channels == 2
    assert linear.in_features == 4
    assert layer_norm.normalized_shape == (7, 4, 5)
    assert network.output_shape == (7, 4, 5)
    assert network(torch.zeros(3, 2, 6, 7)).shape == (3, 7, 4, 5)


def test_a_size_that_is_given_is_kept() -> None:
    (norm,) = make("[[LayerNorm, {normalized_shape: 5}]]", 3, 5)
    assert norm.normalized_shape == (5,)


def test_mistake_51_building_leaves_the_description_as_it_is() -> None:
    document = parse(
        "- &conv [Conv1d, {in_channels: -1, out_channels: 4, kernel_size: 3}]\n- *conv", "net.yaml"
    )
    before = copy.deepcopy(document.value)
    first = build(document.value, (1, 20), document, ())
    second = build(document.value, (2, 20), document, ())
    assert document.value == before
    assert [layer.in_channels for layer in (*first, *second)] == [1, 4, 2, 4]


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        ("[MaxPool2d, {kernel_size: [12, 1], stride: 1}]", (4, 1, 30)),
        ("[MaxPool1d, {kernel_size: 3, stride: 2, padding: 1}]", None),
        ("[Conv2d, {out_channels: 4, kernel_size: 3, stride: 2, dilation: 2, padding: 1}]", (4, 5, 14)),
        ("[ConvTranspose2d, {out_channels: 4, kernel_size: 3, stride: 2}]", (4, 25, 61)),
    ],
)
def test_mistake_53_shapes_are_those_of_the_real_layer(layer: str, shape: tuple[int, ...] | None) -> None:
    if shape is None:
        network = make(f"[{layer}]", 4, 30)
        assert network.output_shape == tuple(network(torch.zeros(1, 4, 30)).shape[1:]) == (4, 15)
    else:
        network = make(f"[{layer}]", 4, 12, 30)
        assert network.output_shape == tuple(network(torch.zeros(1, 4, 12, 30)).shape[1:]) == shape


def test_a_skip_joins_on_channels() -> None:
    network = make(
        "- [StoreAs, {name: a}]\n- [Conv1d, {out_channels: 2, kernel_size: 1}]\n- [CatWith, {name: a}]", 3, 5
    )
    x = torch.randn(1, 3, 5)
    assert torch.equal(network(x)[:, 2:], x)


def test_mistake_48_a_u_net_takes_sizes_that_do_not_divide() -> None:
    network = make(
        """
        - [Conv2d, {out_channels: 2, kernel_size: 3, padding: same}]
        - [StoreAs, {name: a}]
        - [Down2d, {out_channels: 4}]
        - [StoreAs, {name: b}]
        - [Down2d, {out_channels: 8}]
        - [Up2d, {out_channels: 4}]
        - [CatWith, {name: b}]
        - [Up2d, {out_channels: 2}]
        - [CatWith, {name: a}]
        """,
        1,
        16,
        16,
    ).eval()
    assert network(torch.zeros(1, 1, 13, 19)).shape == (1, 4, 13, 19)


def test_until_stops_at_the_stored_tensor() -> None:
    network = make("- ReLU\n- [StoreAs, {name: embedding}]\n- [Linear, {out_features: 2}]", 4)
    assert network.until("embedding", torch.tensor([[-1.0, 1, 2, 3]])).tolist() == [[0, 1, 2, 3]]
    with pytest.raises(KeyError):
        network.until("nothing", torch.zeros(1, 4))


def test_mistake_70_padding_has_no_weight_in_the_pooling() -> None:
    network = make("- [Conv1d, {out_channels: 4, kernel_size: 1}]\n- AutoPoolWeightSplit", 2, 10)
    with torch.no_grad():
        network[1].alpha.fill_(0.7)
    music = torch.randn(1, 2, 6)
    padded = torch.cat([music, torch.zeros(1, 2, 4)], 2)
    whole = network(music)
    assert torch.allclose(network(padded, torch.tensor([0.6])), whole, atol=1e-6)
    assert not torch.allclose(network(padded), whole, atol=1e-3)
