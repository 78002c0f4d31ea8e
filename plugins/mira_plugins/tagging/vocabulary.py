"""What the tagging network tells apart, and where each group of tags lies on its output axis."""

from __future__ import annotations

from collections.abc import Mapping

GENRES = ("blues", "classical", "country", "disco", "hiphop", "jazz", "metal", "pop", "reggae", "rock")
"""The ten genres of GTZAN (Tzanetakis and Cook, IEEE Transactions on Speech and Audio Processing, 2002)."""

INSTRUMENTS = (
    "accordion", "banjo", "bass", "bassoon", "cello", "clarinet", "double bass", "drums", "electric piano",
    "english horn", "flute", "french horn", "guitar", "harmonica", "harp", "harpsichord", "mallets", "oboe",
    "organ", "piano", "saxophone", "synthesizer", "trombone", "trumpet", "tuba", "viola", "violin",
)  # fmt: skip
"""``bass`` is the part, bowed basses aside: electric, or a plucked double bass, which counts as both."""

FAMILIES: Mapping[str, tuple[str, ...]] = {
    "keyboards": ("accordion", "electric piano", "harpsichord", "organ", "piano", "synthesizer"),
    "plucked": ("banjo", "bass", "guitar", "harp"),
    "bowed": ("cello", "double bass", "viola", "violin"),
    "woodwind": ("bassoon", "clarinet", "english horn", "flute", "oboe", "saxophone"),
    "brass": ("french horn", "trombone", "trumpet", "tuba"),
    "percussion": ("drums", "mallets"),
}

VOICE, MUSIC = "voice", "music"
"""Somebody sings; it is music at all."""

TAGS = (*GENRES, VOICE, MUSIC, *INSTRUMENTS, *FAMILIES)
"""The network's output axis."""

INDEX: Mapping[str, int] = {name: place for place, name in enumerate(TAGS)}

N_GENRES = len(GENRES)
"""Genres exclude one another and come first; what follows is independent."""


def families_of(instruments: frozenset[str]) -> frozenset[str]:
    """Families that some instruments belong to."""
    return frozenset(name for name, members in FAMILIES.items() if instruments & set(members))
