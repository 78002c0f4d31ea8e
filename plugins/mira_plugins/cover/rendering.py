"""Versions of works as the chord network hears them: made from notes, played by soundfonts, listened to.

``python -m mira_plugins.cover.rendering SYMBOLIC OUT --soundfont FILE`` writes ``WORK-NUMBER.npz`` with
``work`` and ``chroma`` (float16, (frame, 24)), which :mod:`mira_plugins.cover.examples` and
:mod:`mira_plugins.cover.tuning` read.
"""

from __future__ import annotations

import argparse
import hashlib
from pathlib import Path
from typing import Final

import numpy as np
from mira.analysis import Model, load_model
from mira_train.synth.augment import Audio, load_rooms, spoil
from mira_train.synth.corpus import Library
from mira_train.synth.scene import Band, perform
from mira_train.synth.soundfont import SoundFont
from numpy.random import Generator

from mira_plugins.cover.versions import Version, draw_work, held_out, version, works

RATE: Final = 44100
LENGTH_S: Final = 62.0
_LEAST_NOTES = 30


def chroma_of(
    made: Version, band: Band, rooms: list[Audio], model: Model, rng: Generator
) -> np.ndarray | None:
    """What the chord network hears of a version, shape (frame, 24); None where there is hardly a note."""
    if sum(map(len, made.parts)) < _LEAST_NOTES:
        return None
    last = max(float(part.end_s.max()) for part in made.parts)
    length_s = float(int(min(LENGTH_S, last + 1)))
    clip = perform(made.parts, made.families, length_s, band, rng, score=made.score)
    heard = model.activations(spoil(clip.audio, RATE, rooms, [], rng), RATE)
    return np.asarray(heard.arrays["chroma"], np.float16)


def main() -> None:
    """Render works drawn at random, two or three versions of each."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("symbolic", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--soundfont", type=Path, action="append", required=True)
    parser.add_argument("--rooms", type=Path)
    parser.add_argument("--works", type=int, default=130)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--held-out", action="store_true", help="works that nothing is trained on")
    told = parser.parse_args()
    library = Library(told.symbolic)
    found = {w: p for w, p in works(library).items() if held_out(w) == told.held_out}
    band = Band([SoundFont(path, RATE) for path in told.soundfont], {})
    rooms = load_rooms(told.rooms, RATE) if told.rooms else []
    rng = np.random.default_rng(told.seed)
    told.out.mkdir(parents=True, exist_ok=True)
    with load_model("chords", threads=1) as model:
        for _ in range(told.works):
            work = draw_work(found, rng)
            pieces = found[work]
            place = 0.0 if len(pieces) > 1 or rng.random() < 0.5 else float(rng.uniform(0, 0.5))
            for number in range(int(rng.integers(2, 4))):
                piece = pieces[number % len(pieces)]
                parts = library.read(piece)
                made = version(parts, piece.corpus, place, 60.0, rng, plain=number == 0)
                chroma = chroma_of(made, band, rooms, model, rng)
                if chroma is not None:
                    name = hashlib.sha256(work.encode()).hexdigest()[:10]
                    np.savez(told.out / f"{name}-{number}.npz", work=work, chroma=chroma)


if __name__ == "__main__":
    main()
