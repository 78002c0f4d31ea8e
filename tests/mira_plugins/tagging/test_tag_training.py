"""How the tagging network starts: at random, or with the encoder of an embedding, which may stay as it is."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from mira.card import read_card
from mira.errors import ModelError
from mira_plugins.ssl_embed.network import embed_net
from mira_plugins.tagging.network import TagNet
from mira_train.plugin import find_training
from mira_train.runs import save_weights

SMALL = ["network.options.widths=[4, 4, 4, 4, 4]", "network.options.dimension=8"]
TRAINING = find_training("tagging")


def made(encoder: Path | None, *changes: str) -> TagNet:
    net = TRAINING.module.lightning_module(TRAINING.recipe("tagnet", [*SMALL, *changes]), encoder).net
    assert isinstance(net, TagNet)
    return net


@pytest.fixture
def embedding(tmp_path: Path) -> Path:
    net = embed_net(widths=[4, 4, 4, 4, 4], dimension=8)
    save_weights(tmp_path / "weights.safetensors", net, {"recipe": "melpairs"})
    return tmp_path / "weights.safetensors"


def test_it_starts_with_the_encoder_of_an_embedding(embedding: Path) -> None:
    from mira_train.runs import read_weights

    state, _ = read_weights(embedding)
    started, random = made(embedding).encoder.state_dict(), made(None).encoder.state_dict()
    name = "across.0.weight"
    assert torch.equal(started[name], state[f"encoder.{name}"])
    assert not torch.equal(random[name], started[name])


def test_a_frozen_encoder_stays_as_it_is(embedding: Path) -> None:
    net = made(embedding, "network.options.frozen=true").train()
    before = {name: value.clone() for name, value in net.encoder.state_dict().items()}
    optimizer = torch.optim.AdamW(net.parameters(), 0.1)
    net.pooled(net(torch.rand(4, 127, 24) * 60 - 60)[0])[0].square().sum().backward()
    weight = net.tags.weight.clone()
    optimizer.step()
    assert all(torch.equal(before[name], value) for name, value in net.encoder.state_dict().items())
    assert not torch.equal(weight, net.tags.weight)


def test_an_encoder_of_another_size_is_refused(tmp_path: Path) -> None:
    save_weights(tmp_path / "weights.safetensors", embed_net(dimension=24), {"recipe": "melpairs"})
    with pytest.raises(ModelError, match="does not fit the network"):
        made(tmp_path / "weights.safetensors")


@pytest.mark.parametrize("task", ["tagging", "ssl_embed"])
def test_the_shipped_model_was_made_by_the_shipped_recipe(task: str) -> None:
    training = find_training(task)
    card = read_card(Path(str(training.module.__file__)).with_name("model.onnx"))
    assert card.recipe["sha256"] == training.recipe(card.recipe["name"], []).hash
