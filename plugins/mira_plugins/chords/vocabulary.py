"""Chord symbols in Harte syntax (Harte et al., ISMIR 2005): read, reduced to 13 qualities, and spelt by key.

Pitch classes count from C. A chord is a root, one of :data:`QUALITIES` and a bass.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import Final

from mira.errors import DataError

QUALITIES: Final[dict[str, tuple[int, ...]]] = {
    "maj": (0, 4, 7),
    "min": (0, 3, 7),
    "7": (0, 4, 7, 10),
    "maj7": (0, 4, 7, 11),
    "min7": (0, 3, 7, 10),
    "dim": (0, 3, 6),
    "dim7": (0, 3, 6, 9),
    "hdim7": (0, 3, 6, 10),
    "aug": (0, 4, 8),
    "sus2": (0, 2, 7),
    "sus4": (0, 5, 7),
    "maj6": (0, 4, 7, 9),
    "min6": (0, 3, 7, 9),
}
"""The qualities that are told apart, with their semitones above the root."""

NAMES: Final = tuple(QUALITIES)
"""Qualities in the order of the network's output."""

NO_CHORD: Final = 12
"""Root and bass of no chord."""

REDUCTIONS: Final[dict[str, dict[str, str]]] = {
    "full": {},
    "sevenths": {
        "dim": "min", "dim7": "min", "hdim7": "min7", "aug": "maj", "sus2": "maj", "sus4": "maj",
        "maj6": "maj", "min6": "min",
    },
    "majmin": {
        "7": "maj", "maj7": "maj", "min7": "min", "dim": "min", "dim7": "min", "hdim7": "min", "aug": "maj",
        "sus2": "maj", "sus4": "maj", "maj6": "maj", "min6": "min",
    },
}  # fmt: skip
"""For each vocabulary, what it writes for a quality that it lacks: one of the same third; major for sus."""

_SHORTHANDS: Final[dict[str, tuple[int, ...]]] = {
    **QUALITIES,
    "": (0,),
    "1": (0,),
    "5": (0, 7),
    "minmaj7": (0, 3, 7, 11),
    "9": (0, 4, 7, 10),
    "maj9": (0, 4, 7, 11),
    "min9": (0, 3, 7, 10),
    "11": (0, 4, 7, 10),
    "maj11": (0, 4, 7, 11),
    "min11": (0, 3, 7, 10),
    "13": (0, 4, 7, 10),
    "maj13": (0, 4, 7, 11),
    "min13": (0, 3, 7, 10),
}
"""Semitones of the shorthands; upper tensions are left out, as in MIREX's measures."""
_LETTERS: Final = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_MAJOR_SCALE: Final = (0, 2, 4, 5, 7, 9, 11)
_SYMBOL = re.compile(
    r"(?P<root>[A-G][b#]*)(?::(?P<short>[a-z0-9]*)(?:\((?P<degrees>[*b#0-9, ]*)\))?)?(?:/(?P<bass>[b#]*\d+))?"
)
_DEGREE = re.compile(r"(?P<omitted>\*?)(?P<accidentals>[b#]*)(?P<number>\d+)")
_DEGREES: Final = ("1", "b2", "2", "b3", "3", "4", "b5", "5", "b6", "6", "b7", "7")


@dataclass(frozen=True)
class Chord:
    """A chord as far as the vocabulary tells it.

    Parameters
    ----------
    root
        0 to 11 from C, :data:`NO_CHORD`, or None for an unknown chord (``X``).
    quality
        One of :data:`NAMES`; None where no quality fits (power chords, altered fifths) or there is no chord.
    bass
        As ``root``.
    tones
        Pitch classes of the symbol: shorthand, degrees in brackets, and bass.
    """

    root: int | None
    quality: str | None
    bass: int | None
    tones: frozenset[int] = frozenset()


UNKNOWN: Final = Chord(None, None, None)
SILENCE: Final = Chord(NO_CHORD, None, NO_CHORD)


@cache
def parse(label: str) -> Chord:
    """Read a chord symbol.

    A symbol with tensions gets the largest quality whose tones it has: ``C:13`` is a ``7``.

    Raises
    ------
    DataError
        If this is no chord symbol.
    """
    if label in ("N", "X"):
        return SILENCE if label == "N" else UNKNOWN
    found = _SYMBOL.fullmatch(label)
    if not found:
        raise DataError(f"'{label}' is no chord symbol in Harte syntax, such as A:min7/b3, N or X")
    root = pitch_class(found["root"])
    short, degrees = found["short"], found["degrees"]
    if short is None or (not short and degrees is None):
        short = "maj"
    if short not in _SHORTHANDS:
        raise DataError(
            f"'{label}': no chord is called '{short}'; known: {', '.join(filter(None, _SHORTHANDS))}"
        )
    tones = set(_SHORTHANDS[short])
    for degree in _DEGREE.finditer(degrees or ""):
        (tones.discard if degree["omitted"] else tones.add)(_semitones(degree))
    bass = found["bass"]
    interval = _semitones(_DEGREE.fullmatch(bass)) if bass else 0  # type: ignore[arg-type]
    fitting = [name for name, steps in QUALITIES.items() if tones.issuperset(steps)]
    quality = max(fitting, key=lambda name: len(QUALITIES[name]), default=None)
    sounding = frozenset((root + tone) % 12 for tone in tones | {interval})
    return Chord(root, quality, (root + interval) % 12, sounding)


def pitch_class(name: str) -> int:
    """``Bb`` -> 10."""
    return (_LETTERS[name[0]] + name.count("#") - name.count("b")) % 12


def _semitones(degree: re.Match[str]) -> int:
    number = int(degree["number"]) - 1
    accidentals = degree["accidentals"]
    return (_MAJOR_SCALE[number % 7] + accidentals.count("#") - accidentals.count("b")) % 12


def harte(root: int, quality: str, bass: int, spelling: tuple[str, ...]) -> str:
    """Write a chord: ``harte(7, "min7", 10, ...)`` -> ``G:min7/b3``.

    Parameters
    ----------
    spelling
        Names of the twelve pitch classes, see :func:`spelling`.
    """
    if root == NO_CHORD:
        return "N"
    interval = (bass - root) % 12
    if interval == 0:
        return f"{spelling[root]}:{quality}"
    degree = {("aug", 8): "#5", ("dim7", 9): "bb7"}.get((quality, interval), _DEGREES[interval])
    return f"{spelling[root]}:{quality}/{degree}"


def spelling(tonic: int, minor: bool) -> tuple[str, ...]:
    """Names of the twelve pitch classes in a key: the nearest on the circle of fifths (Bb in F, A# in B).

    A minor key's leading note counts as near (G# in A minor); names go from Cb to E#.
    """
    place = _fifths(tonic, minor)
    first = min(max(place - (3 if minor else 5), -7), 0)
    names = [""] * 12
    for fifths in range(first, first + 12):
        names[7 * fifths % 12] = _on_circle(fifths)
    return tuple(names)


def key_name(tonic: int, minor: bool) -> str:
    """``key_name(10, False)`` -> ``Bb major``."""
    return f"{spelling(tonic, minor)[tonic]} {'minor' if minor else 'major'}"


def _fifths(tonic: int, minor: bool) -> int:
    """Sharps of a key's signature; flats are negative."""
    return (7 * (tonic + (3 if minor else 0)) + 5) % 12 - 5


def _on_circle(fifths: int) -> str:
    """0 is C, 1 G, -1 F."""
    letter, turns = "FCGDAEB"[(fifths + 1) % 7], (fifths + 1) // 7
    return letter + ("#" * turns if turns >= 0 else "b" * -turns)
