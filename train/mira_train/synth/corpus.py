"""Random scenes from MIDI files: which corpus, which excerpt, which line-up."""

from __future__ import annotations

import csv
import io
import tarfile
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from mira.errors import DataError
from mira.writers.text import printable
from numpy.random import Generator

from mira_train.synth.scene import Band, Clip, add_drums, perform, vary
from mira_train.synth.score import Part, excerpt, read_midi

Weights = Mapping[str, float]

KEYBOARD: Weights = {
    "piano": 9, "guitar": 4, "keys": 1.5, "mallets": 1, "plucked": 1.5, "organ": 1, "overdriven": 0.5,
}  # fmt: skip
SOLO: Weights = {
    "strings": 3, "voice": 3, "pipe": 3, "reed": 3, "brass": 2, "guitar": 2, "piano": 1, "plucked": 0.5,
    "keys": 0.5,
}  # fmt: skip
ENSEMBLE: Weights = {"strings": 3, "reed": 2.5, "brass": 1.5, "voice": 2, "pipe": 1.5, "organ": 0.7}
BACKING: Weights = {"piano": 4, "guitar": 4, "keys": 1.5, "overdriven": 0.7, "plucked": 0.5, "strings": 1}

LINEUPS: Mapping[str, str] = {
    "asap_piano": "keyboard", "supra_rolls": "keyboard", "batik_mozart": "keyboard", "kern_piano": "keyboard",
    "bach_chorales": "ensemble", "openscore_quartets": "ensemble", "openscore_lieder": "song",
    "bach_violin_scores": "solo", "airdsairs": "solo", "oneills1850": "solo", "ryansmammoth": "solo",
    "children_songs": "song", "nottingham": "song", "pop909_chords": "band", "pop909_versions": "band",
}  # fmt: skip
"""How the parts of each corpus are given to instruments."""

SHARES: Mapping[str, float] = {
    "asap_piano": 4, "supra_rolls": 2, "batik_mozart": 1, "kern_piano": 1.5, "bach_chorales": 3,
    "openscore_quartets": 4, "openscore_lieder": 3, "bach_violin_scores": 1, "airdsairs": 1, "oneills1850": 1,
    "ryansmammoth": 1, "children_songs": 0.5, "nottingham": 1.5, "pop909_chords": 4.5, "pop909_versions": 1,
}  # fmt: skip
"""How often a scene is drawn from each corpus."""

_PATIENCE = 200
PLAIN = "midi"
"""Corpus of MIDI files that no index describes."""

PERFORMED = frozenset({"asap_piano", "supra_rolls", "batik_mozart"})


@dataclass(frozen=True)
class Piece:
    """One file of a corpus.

    Parameters
    ----------
    corpus, work, file
        As in the index.
    """

    corpus: str
    work: str
    file: str


class Library:
    """MIDI files: a folder of them, or archives beside an ``index.csv`` (corpus, file, work, licence).

    Parameters
    ----------
    folder
        Holds .mid files, also in folders below; or ``index.csv`` and ``<corpus>.zip`` or ``.tar.xz`` (POP909
        lies in ``../pop909_chords/midi.zip``).

    Attributes
    ----------
    pieces
        Corpus -> its pieces.
    licences
        Corpus -> what its index says.

    Raises
    ------
    DataError
        If there is no MIDI file.
    """

    def __init__(self, folder: Path) -> None:
        self.pieces: dict[str, list[Piece]] = {}
        self.licences: dict[str, str] = {}
        if (folder / "index.csv").is_file():
            self._read_index(folder)
        else:
            files = sorted(p for p in folder.rglob("*") if p.suffix.lower() in (".mid", ".midi"))
            names = [p.relative_to(folder).as_posix() for p in files]
            self.pieces = {PLAIN: [Piece(PLAIN, name, name) for name in names]} if names else {}
            self._files = {PLAIN: {name: path.read_bytes() for name, path in zip(names, files)}}
        if not self.pieces:
            raise DataError(f"{printable(folder)}: holds no MIDI file; name a folder with .mid files")

    def read(self, piece: Piece) -> list[Part]:
        """Parts of a piece.

        Raises
        ------
        DataError
            If it is no MIDI file, or a damaged one.
        """
        try:
            return read_midi(io.BytesIO(self._files[piece.corpus][piece.file]))
        except (OSError, EOFError, ValueError, IndexError, KeyError) as error:
            where = f"{printable(piece.corpus)}: {printable(piece.file)}"
            raise DataError(f"{where}: not a MIDI file that can be read ({error}); take it out") from error

    def _read_index(self, folder: Path) -> None:
        with open(folder / "index.csv", newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                piece = Piece(row["corpus"], row["work"], row["file"])
                self.pieces.setdefault(piece.corpus, []).append(piece)
                self.licences.setdefault(piece.corpus, row.get("licence") or "")
        self._files = {corpus: _read_archive(folder, corpus) for corpus in self.pieces}


def _read_archive(folder: Path, corpus: str) -> dict[str, bytes]:
    path = folder / f"{corpus}.zip"
    if corpus == "pop909_chords":
        path = folder.parent / "pop909_chords" / "midi.zip"
    if path.exists():
        with zipfile.ZipFile(path) as archive:
            return {n: archive.read(n) for n in archive.namelist() if n.endswith(".mid")}
    out = {}
    with tarfile.open(folder / f"{corpus}.tar.xz") as archive:
        for member in archive:
            stream = archive.extractfile(member) if member.isfile() else None
            if stream is not None:
                out[member.name] = stream.read()
    return out


def scenes(
    library: Library, band: Band, length_s: float, rng: Generator, held_out: bool | None = None
) -> Iterator[Clip]:
    """Endless labelled clips.

    Parameters
    ----------
    held_out
        Only works whose name hashes into the validation tenth, or only the others; None: all.

    Raises
    ------
    DataError
        If none of many pieces in a row can be played.
    """
    corpora = [c for c in SHARES if c in library.pieces] + [c for c in library.pieces if c not in SHARES]
    weights = np.array([SHARES.get(c, 1.0) for c in corpora])
    failures = 0
    while failures < _PATIENCE:
        failures += 1
        corpus = corpora[int(rng.choice(len(corpora), p=weights / weights.sum()))]
        pieces = [p for p in library.pieces[corpus] if held_out in (None, _is_held_out(p.work))]
        if not pieces:
            continue
        piece = pieces[int(rng.integers(len(pieces)))]
        clip = _scene(library.read(piece), corpus, length_s, band, rng)
        if clip is not None and len(clip.pitch) >= 4:
            failures = 0
            yield replace(clip, about={**clip.about, "corpus": corpus, "work": piece.work})
    raise DataError(f"none of {_PATIENCE} pieces drawn from {', '.join(corpora)} has notes to play")


def _is_held_out(work: str) -> bool:
    from hashlib import sha256

    return sha256(work.encode()).digest()[0] < 26


def _scene(parts: list[Part], corpus: str, length_s: float, band: Band, rng: Generator) -> Clip | None:
    score = corpus not in PERFORMED
    parts = [p for p in vary(parts, rng, score=score) if not p.is_drum]
    if not parts:
        return None
    last = max(float(p.start_s[-1]) for p in parts)
    parts = excerpt(parts, float(rng.uniform(0, max(last - length_s, 0.0))), length_s)
    if not parts:
        return None
    lineup = LINEUPS.get(corpus, "song")
    if lineup == "band":
        return _band(parts, length_s, band, rng)
    if lineup == "song" and len(parts) > 1:
        families = [_draw(SOLO, rng)] + [_draw(BACKING, rng)] * (len(parts) - 1)
    elif lineup == "ensemble":
        families = _ensemble(len(parts), rng)
    else:
        families = [_draw(KEYBOARD if lineup == "keyboard" else SOLO, rng)] * len(parts)
    return perform(parts, families, length_s, band, rng, score=score)


def _ensemble(n: int, rng: Generator) -> list[str]:
    """All alike, or each part its own."""
    if rng.random() < 0.7:
        return [_draw(ENSEMBLE, rng)] * n
    return [_draw(ENSEMBLE, rng) for _ in range(n)]


def _band(parts: list[Part], length_s: float, band: Band, rng: Generator) -> Clip:
    """Melody, counter-melody, chords; often a bass under the chords' lowest notes; often drums."""
    families = []
    for part in parts:
        backing = part.name.upper().startswith("PIANO")
        leave_out = not backing and rng.random() < 0.15
        families.append("" if leave_out else _draw(BACKING if backing else SOLO, rng))
    chords = [p for p in parts if p.name.upper().startswith("PIANO")]
    if chords and rng.random() < 0.7:
        parts = [*parts, _bass_line(chords[0])]
        families.append("bass")
    clip = perform(parts, families, length_s, band, rng, score=True)
    return add_drums(clip, band, rng) if rng.random() < 0.7 and band.sources("drums") else clip


def _bass_line(part: Part) -> Part:
    """The lowest note of every half second, held until the next."""
    slots = np.floor(part.start_s / 0.5).astype(int)
    lowest = [int(np.nonzero(slots == s)[0][np.argmin(part.pitch[slots == s])]) for s in np.unique(slots)]
    line = part.take(np.array(sorted(lowest)))
    ends = np.append(line.start_s[1:], line.start_s[-1] + 0.5)
    return replace(line, end_s=np.minimum(ends, line.start_s + 1.5), pitch=line.pitch - 12, name="bass")


def _draw(weights: Weights, rng: Generator) -> str:
    names = list(weights)
    p = np.array([weights[n] for n in names])
    return names[int(rng.choice(len(names), p=p / p.sum()))]
