"""Texts that several formats need: names of notes, labels that stay on one line, paths fit to print."""

from __future__ import annotations

import os

_NAMES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")


def note_name(pitch: int) -> str:
    """Name a MIDI pitch, with 60 as ``C4``."""
    return f"{_NAMES[pitch % 12]}{pitch // 12 - 1}"


def one_line(label: str) -> str:
    """Fold every white space into single blanks, for formats that separate by tabs and line ends."""
    return " ".join(label.split())


def printable(path: str | os.PathLike[str]) -> str:
    """Show a path on one line: bytes that are not UTF-8 and control characters as escapes."""
    text = os.fsencode(path).decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
