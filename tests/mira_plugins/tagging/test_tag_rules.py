"""Rules over tags: what they want, and what is no rule."""

from __future__ import annotations

import pytest
from mira.errors import UsageError
from mira_plugins.tagging.rules import parse

KNOWN = {"rock", "voice", "piano", "french horn", "jazz"}
CHANCES = {"rock": 0.8, "voice": 0.6, "piano": 0.1, "french horn": 0.9, "jazz": 0.5}


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("rock", True),
        ("piano", False),
        ("jazz", True),
        ("rock & voice > 0.7", False),
        ("rock and voice > .5", True),
        ("piano | french horn", True),
        ('"french horn" >= 0.9', True),
        ("not piano & !(jazz > 0.5)", True),
        ("piano and piano or rock", True),
        ("piano & (piano | rock)", False),
        ("rock < 0.9", True),
        ("rock <= 0.79", False),
    ],
)
def test_a_rule_wants_what_it_says(text: str, fits: bool) -> None:
    assert parse(text, KNOWN)(CHANCES) is fits


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "a tag is missing"),
        ("rock &", "a tag is missing"),
        ("rock > ", "a number is missing"),
        ("(rock", "bracket"),
        ("rock) ", "left over"),
        ("polka", "no tag 'polka'"),
        ("rock; import os", "cannot read"),
        ("__import__('os')", "cannot read|no tag|left over"),
        ("0.5", "a tag is missing"),
    ],
)
def test_what_is_no_rule_is_refused_with_the_place(text: str, complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        parse(text, KNOWN)


def test_without_known_tags_only_the_form_is_checked() -> None:
    assert parse("polka > 0.2")({"polka": 0.3})


def test_a_tag_that_a_recording_lacks_is_improbable() -> None:
    assert not parse("rock", KNOWN)({})
