"""What the embedding is scored by, and what its decoder makes of activations."""

from __future__ import annotations

import numpy as np
import pytest
from mira.task import Activations
from mira_plugins.ssl_embed import EmbedSettings
from mira_plugins.ssl_embed.decode import decode_embedding
from mira_plugins.ssl_embed.evaluation import neighbours
from mira_plugins.ssl_embed.probing import accuracies


def heard(steps: np.ndarray, loudness_db: float = 10.0, **defaults: object) -> Activations:
    arrays = {
        "embedding": steps.astype(np.float32),
        "loudness": np.full((len(steps), 1), loudness_db, np.float32),
    }
    return Activations(arrays, 22050, 21936, len(steps) * 0.995, defaults)


def test_the_vector_is_the_mean_of_what_is_loud_at_length_one() -> None:
    activations = heard(np.array([[3.0, 0.0], [0.0, 4.0], [9.0, 9.0]]))
    activations.arrays["loudness"][2] = -60
    made = decode_embedding(activations, EmbedSettings())
    assert made.vector == pytest.approx([0.6, 0.8])
    assert made.sequence.shape == (3, 2) and len(made.time_s) == 3


def test_silence_has_a_vector_of_nothing() -> None:
    made = decode_embedding(heard(np.ones((3, 4)), -90.0), EmbedSettings())
    assert not made.vector.any()


def test_mean_and_spread_of_the_card_are_taken_off() -> None:
    made = decode_embedding(
        heard(np.full((2, 2), 3.0), centre=[3.0, 1.0], spread=[1.0, 2.0]), EmbedSettings()
    )
    assert made.vector == pytest.approx([0.0, 1.0])


def test_the_sequence_may_be_left_out() -> None:
    assert decode_embedding(heard(np.ones((3, 4))), EmbedSettings(sequence=False)).sequence.shape == (0, 4)


def test_neighbours_and_probe_know_what_lies_apart() -> None:
    rng = np.random.default_rng(0)
    labels = np.array(["a", "b"] * 20)
    vectors = np.where(labels[:, None] == "a", [1.0, 0.0], [0.0, 1.0]) + 0.05 * rng.standard_normal((40, 2))
    assert (neighbours(vectors, labels) == labels).all()
    assert accuracies(vectors[:20], labels[:20], vectors[20:], labels[20:]) == (1.0, 1.0)


def test_a_vector_is_not_its_own_neighbour() -> None:
    vectors, labels = np.eye(6) + 0.1, np.array(["a", "b", "b", "b", "b", "b"])
    assert neighbours(vectors, labels)[0] == "b"
