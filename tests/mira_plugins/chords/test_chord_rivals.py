"""The networks that ChordNet is compared with, and the comparison."""

from __future__ import annotations

import pytest
import torch
from mira.errors import DataError
from mira_plugins.chords.comparison import InPieces
from mira_plugins.chords.network import ChordNet
from mira_plugins.chords.rivals import Attention
from mira_plugins.chords.targets import IGNORED
from mira_plugins.chords.training import chord_loss, shipped, transposed
from mira_plugins.chords.vocabulary import NAMES, NO_CHORD
from mira_train.plugin import find_training
from mira_train.recipe import build_network

RIVALS = ("lstm", "gru", "tcn", "transformer", "one-softmax", "treble", "one-chroma")


@pytest.mark.parametrize("name", RIVALS)
def test_each_rival_learns_from_what_chordnet_learns_from(name: str) -> None:
    torch.manual_seed(0)
    net = build_network(find_training("chords").recipe(f"rival-{name}"))
    chord = {"root": 9, "quality": NAMES.index("min"), "bass": 9, "tones": 1 << 9 | 1 | 1 << 4}
    batch = {key: torch.full((2, 8), value) for key, value in chord.items()}
    chroma = torch.rand(2, 8, 24)
    optimiser = torch.optim.Adam(net.parameters(), 0.01)
    losses = []
    for _ in range(10):
        loss, _ = chord_loss(net(chroma), batch, net.parts)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 2


@torch.no_grad()
def test_one_softmax_gives_each_chord_its_share_of_one() -> None:
    net = build_network(find_training("chords").recipe("rival-one-softmax")).eval()
    chroma = torch.rand(1, 8, 24)
    root, quality, *_ = net(chroma)
    flat = torch.cat([quality.flatten(2), root[..., 12:]], dim=-1).softmax(-1)
    joint = root.softmax(-1)[..., :12, None] * quality.softmax(-1)
    assert torch.allclose(flat[..., :-1], joint.flatten(2), atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("name", ["treble", "one-chroma"])
def test_less_of_the_chroma_is_heard(name: str) -> None:
    net = build_network(find_training("chords").recipe(f"rival-{name}")).eval()
    chroma = torch.rand(1, 20, 24)
    other = chroma.unflatten(-1, (2, 12)).flip(2).flatten(2) if name == "one-chroma" else chroma.clone()
    if name == "treble":
        other[..., :12] = 0
    assert all(torch.allclose(one, two, atol=1e-5) for one, two in zip(net(chroma), net(other)))


@torch.no_grad()
def test_attention_equals_that_of_torch() -> None:
    torch.manual_seed(1)
    ours, theirs = Attention(16), torch.nn.MultiheadAttention(16, 4, batch_first=True)
    theirs.in_proj_weight.copy_(ours.asked.weight)
    theirs.in_proj_bias.copy_(ours.asked.bias)
    theirs.out_proj.load_state_dict(ours.told.state_dict())
    x = torch.randn(2, 11, 16)
    assert torch.allclose(ours(x), theirs(x, x, x)[0], atol=1e-5)


def test_a_transposed_batch_is_what_chordnet_hears_as_transposed() -> None:
    rows = {"root": [9, NO_CHORD, IGNORED], "quality": [1, IGNORED, IGNORED], "bass": [11, NO_CHORD, IGNORED]}
    batch = {name: torch.tensor([values]) for name, values in rows.items()}
    batch |= {"tones": torch.tensor([[1 << 9 | 1 | 1 << 4, 0, IGNORED]]), "chroma": torch.rand(1, 3, 24)}
    moved = transposed(batch, 4)
    assert moved["root"].tolist() == [[1, NO_CHORD, IGNORED]]
    assert moved["bass"].tolist() == [[3, NO_CHORD, IGNORED]]
    assert moved["tones"].tolist() == [[1 << 1 | 1 << 4 | 1 << 8, 0, IGNORED]]
    net = ChordNet().eval()
    with torch.no_grad():
        one, two = net(batch["chroma"]), net(moved["chroma"])
    assert torch.allclose(one[0][..., :12].roll(4, -1), two[0][..., :12], atol=1e-4)


@torch.no_grad()
def test_pieces_give_what_the_whole_gives_where_a_network_hears_no_further() -> None:
    recipe = find_training("chords").recipe(
        "rival-one-chroma", ["network.options={dilations: [1, 2], width: 4}"]
    )
    net = build_network(recipe).eval()
    chroma = torch.rand(1, 501, 24)
    for one, two in zip(net(chroma), InPieces(net, 240)(chroma)):
        assert torch.allclose(one, two, atol=1e-5)


def test_a_rival_without_bounds_is_not_exported() -> None:
    recipe = find_training("chords").recipe("rival-gru")
    with pytest.raises(DataError, match="rival-gru: a network to compare with"):
        shipped(recipe, build_network(recipe))
