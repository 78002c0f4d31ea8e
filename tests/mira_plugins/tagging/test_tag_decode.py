"""From logits to tags: pooling, calibration, what silence says, and what the settings leave."""

from __future__ import annotations

import numpy as np
import pytest
from mira.task import Activations
from mira_plugins.tagging import TagSettings
from mira_plugins.tagging.decode import decode_tags
from mira_plugins.tagging.vocabulary import FAMILIES, GENRES, INDEX, INSTRUMENTS, MUSIC, TAGS

HOP_S = 0.995


def heard(seconds: int = 4, loudness_db: float = 20.0, **logits: float) -> Activations:
    tags = np.full((seconds, len(TAGS)), -6.0, np.float32)
    tags[:, INDEX[MUSIC]] = 6.0
    for name, value in logits.items():
        tags[:, INDEX[name]] = value
    arrays = {
        "tags": tags,
        "embedding": np.ones((seconds, 8), np.float32),
        "loudness": np.full((seconds, 1), loudness_db, np.float32),
    }
    return Activations(arrays, 22050, 21936, seconds * HOP_S)


def test_every_name_has_a_probability_and_genres_share_one() -> None:
    tags = decode_tags(heard(jazz=4.0, piano=3.0), TagSettings())
    assert set(tags.genre) == set(GENRES)
    assert set(tags.instruments) == {*INSTRUMENTS, "voice"}
    assert tags.families is not None and set(tags.families) == set(FAMILIES)
    assert next(iter(tags.genre)) == "jazz" and next(iter(tags.instruments)) == "piano"
    assert 0.9 < sum(tags.genre.values()) <= 1.0
    assert tags.voice == tags.instruments["voice"]


def test_where_there_is_no_music_there_is_no_genre() -> None:
    tags = decode_tags(heard(jazz=9.0, music=-6.0), TagSettings())
    assert max(tags.genre.values()) < 0.01


@pytest.mark.parametrize("loudness_db", [-21.0, -100.0])
def test_what_is_too_faint_says_nothing(loudness_db: float) -> None:
    tags = decode_tags(heard(loudness_db=loudness_db, jazz=9.0, piano=9.0, voice=9.0), TagSettings())
    assert max(*tags.genre.values(), tags.voice, *tags.instruments.values()) == 0
    assert tags.vector is not None and not tags.vector.any()


def test_silent_seconds_do_not_count() -> None:
    activations = heard(6, piano=3.0)
    alone = decode_tags(heard(3, piano=3.0), TagSettings())
    activations.arrays["loudness"][3:] = -90
    activations.arrays["tags"][3:] = 9.0
    assert decode_tags(activations, TagSettings()).instruments == alone.instruments


def test_a_tag_that_is_there_for_a_while_is_more_than_its_mean() -> None:
    activations = heard(10)
    activations.arrays["tags"][:3, INDEX["piano"]] = 6.0
    assert decode_tags(activations, TagSettings()).instruments["piano"] > 0.35


def test_top_and_threshold_leave_the_likeliest() -> None:
    tags = decode_tags(heard(jazz=4.0, piano=3.0, drums=1.0), TagSettings(top=2))
    assert list(tags.instruments) == ["piano", "drums"] and len(tags.genre) == 2
    tags = decode_tags(heard(jazz=4.0, piano=3.0, drums=1.0), TagSettings(threshold=0.9))
    assert list(tags.instruments) == ["piano"]


def test_the_timeline_has_a_row_a_second_and_is_json() -> None:
    tags = decode_tags(heard(5, jazz=4.0), TagSettings(timeline=True))
    assert tags.timeline is not None and tags.tags is not None and tags.time_s is not None
    assert tags.timeline.shape == (5, len(tags.tags)) == (len(tags.time_s), len(TAGS) - 1)
    assert MUSIC not in tags.tags
    assert tags.timeline[:, tags.tags.index("jazz")].min() > 0.9
    assert "vector" not in tags.to_dict() and "timeline" in tags.to_dict()


def test_calibration_moves_probabilities_but_not_their_order() -> None:
    plain = heard(piano=2.0, drums=1.0)
    defaults = {"genre": 0.5, "scale": {"instruments": 0.5}, "offset": {"instruments": -1.0}}
    moved = Activations(plain.arrays, 22050, 21936, plain.duration_s, defaults)
    before, after = (decode_tags(a, TagSettings()).instruments for a in (plain, moved))
    assert after["piano"] < before["piano"]
    assert after["piano"] > after["drums"]
