"""What the tasks return: frozen dataclasses of plain arrays, times in seconds, pitches as MIDI numbers.

``to_dict`` gives the documented JSON form (``SCHEMA`` is its version) and ``from_dict`` takes it back,
guided by the fields' annotations; so a result class of a plugin writes them as these do, as text (PEP 563).
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from mira.errors import DataError, PluginError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SCHEMA = 1
"""Version of the JSON form of results; it grows when a field changes its meaning or goes."""

KINDS: dict[str, type[Result]] = {}
"""Result classes by their ``kind``."""


@dataclass(frozen=True, eq=False)
class Result:
    """Base of all results.

    Parameters
    ----------
    duration_s
        Length of the recording in seconds.
    """

    kind: ClassVar[str] = ""
    duration_s: float

    def __init_subclass__(cls) -> None:
        if "kind" not in cls.__dict__:
            return
        taken = KINDS.setdefault(cls.kind, cls)
        if (taken.__module__, taken.__qualname__) != (cls.__module__, cls.__qualname__):
            raise PluginError(f"result kind '{cls.kind}' of {cls.__module__} is taken by {taken.__module__}")

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form: arrays as lists, numbers rounded to a microsecond or a millionth.

        Fields with ``passing`` in their metadata are for the moment only and are left out.
        """
        kept = (f.name for f in dataclasses.fields(self) if not f.metadata.get("passing"))
        out = {name: _plain(getattr(self, name)) for name in kept}
        return {"kind": self.kind, **{k: v for k, v in out.items() if v is not None}}

    @staticmethod
    def from_dict(values: Mapping[str, Any]) -> Result:
        """Rebuild a result from :meth:`to_dict`; unknown keys are ignored.

        Raises
        ------
        DataError
            If no installed plugin knows this kind of result, or a field is missing.
        """
        cls = KINDS.get(values.get("kind", ""))
        if cls is None:
            raise DataError(f"'{values.get('kind')}' is no kind of result; known: {', '.join(KINDS)}")
        types = {f.name: str(f.type) for f in dataclasses.fields(cls)}
        try:
            return cls(**{name: _rebuild(types[name], v) for name, v in values.items() if name in types})
        except (TypeError, ValueError) as error:
            raise DataError(f"this is no result of kind '{cls.kind}': {error}") from None


@dataclass(frozen=True, eq=False)
class Notes(Result):
    """Notes of a transcription, sorted by onset, then pitch; no two notes of one pitch overlap.

    Parameters
    ----------
    start_s, end_s
        Shape (note,), seconds, ``end_s > start_s``.
    pitch
        Shape (note,), MIDI number (69 is A4 at 440 Hz), integers.
    velocity
        Shape (note,), 1 to 127.
    confidence
        Shape (note,), 0 to 1.
    bends
        None, or for each note an array of shape (k, 2): seconds from the note's start, semitones from
        its pitch; a value holds until the next.
    bent
        Whether MIDI files carry the bends.
    tempo_bpm
        Written into MIDI headers; it does not move any note.
    program
        General MIDI program for the MIDI file, 0 to 127.
    """

    kind: ClassVar[str] = "notes"
    start_s: NDArray[np.float64]
    end_s: NDArray[np.float64]
    pitch: NDArray[np.int64]
    velocity: NDArray[np.int64]
    confidence: NDArray[np.float64]
    bends: tuple[NDArray[np.float64], ...] | None = None
    bent: bool = True
    tempo_bpm: float = 120.0
    program: int = 0


@dataclass(frozen=True, eq=False)
class MultiF0(Result):
    """Sounding pitches frame by frame.

    Parameters
    ----------
    time_s
        Shape (frame,), seconds.
    freq_hz
        One array of Hz for each frame, lowest first; empty where nothing sounds.
    """

    kind: ClassVar[str] = "multif0"
    time_s: NDArray[np.float64]
    freq_hz: tuple[NDArray[np.float64], ...]


@dataclass(frozen=True, eq=False)
class Segments(Result):
    """Labelled stretches of time that follow one another.

    Parameters
    ----------
    start_s, end_s
        Shape (segment,), seconds.
    label
        One text for each segment.
    confidence
        Shape (segment,), 0 to 1.
    """

    kind: ClassVar[str] = "segments"
    start_s: NDArray[np.float64]
    end_s: NDArray[np.float64]
    label: tuple[str, ...]
    confidence: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Chords(Segments):
    """Chord segments in Harte syntax (Harte et al., ISMIR 2005) that cover the recording, and its key.

    Parameters
    ----------
    key
        For instance ``Bb major``; empty where there is none.
    alternatives
        None, or for each segment a list of (label, probability), best first.
    keys
        None, or for each segment the key around it.
    """

    kind: ClassVar[str] = "chords"
    key: str = ""
    alternatives: tuple[tuple[tuple[str, float], ...], ...] | None = None
    keys: tuple[str, ...] | None = None


@dataclass(frozen=True, eq=False)
class Events(Result):
    """Points in time, such as beats.

    Parameters
    ----------
    time_s
        Shape (event,), seconds.
    label
        One text for each event.
    """

    kind: ClassVar[str] = "events"
    time_s: NDArray[np.float64]
    label: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Curve(Result):
    """A value over time.

    Parameters
    ----------
    time_s, value
        Shape (frame,) each.
    unit
        Unit of the value.
    """

    kind: ClassVar[str] = "curve"
    time_s: NDArray[np.float64]
    value: NDArray[np.float64]
    unit: str = ""


@dataclass(frozen=True, eq=False)
class Tags(Result):
    """Probabilities of tags.

    Parameters
    ----------
    genre, instruments
        Name -> probability.
    voice
        Probability that somebody sings.
    families
        None, or family of instruments -> probability.
    own
        None, or tag of the user's own -> probability.
    time_s, tags, timeline
        None, or the same over time: shape (step,), seconds; the names; shape (step, tag).
    vector
        None, or the vector of the recording that the user's own tags are learned from.
    """

    kind: ClassVar[str] = "tags"
    genre: Mapping[str, float]
    voice: float
    instruments: Mapping[str, float]
    families: Mapping[str, float] | None = None
    own: Mapping[str, float] | None = None
    time_s: NDArray[np.float64] | None = None
    tags: tuple[str, ...] | None = None
    timeline: NDArray[np.float64] | None = None
    vector: NDArray[np.float32] | None = dataclasses.field(default=None, metadata={"passing": True})


@dataclass(frozen=True, eq=False)
class Embedding(Result):
    """A vector for the recording and a sequence of vectors over time.

    Parameters
    ----------
    vector
        Shape (dimension,), L2 norm 1.
    time_s
        Shape (step,), seconds.
    sequence
        Shape (step, dimension).
    """

    kind: ClassVar[str] = "embedding"
    vector: NDArray[np.float32]
    time_s: NDArray[np.float64]
    sequence: NDArray[np.float32]


def _plain(value: Any) -> Any:
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, float):
        return round(value, 6)
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    if isinstance(value, Mapping):
        return {k: _plain(v) for k, v in value.items()}
    return value


def _rebuild(annotation: str, value: Any) -> Any:
    """Turn lists back into what the annotation says: an array, a tuple of arrays, or nested tuples."""
    if not isinstance(value, list):
        return value
    array = re.search(r"NDArray\[np\.(\w+)\]", annotation)
    if array is None:
        return _tuples(value)
    import numpy as np

    if annotation.startswith("tuple"):
        return tuple(np.array(part, array[1]) for part in value)
    return np.array(value, array[1])


def _tuples(value: Any) -> Any:
    return tuple(_tuples(v) for v in value) if isinstance(value, list) else value
