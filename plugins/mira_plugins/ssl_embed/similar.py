"""``mira similar``: the recordings of a collection whose vectors are nearest to that of one."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from mira.analysis import shared_model
from mira.cli.console import Stdout, printable, progress, say
from mira.cli.resume import made_by
from mira.errors import AudioError, Exit, MiraError
from mira.inputs import Input, expand
from mira.plugins import load_plugins
from mira.results import Embedding, Result
from mira.store import Store, default_path, digest_of, result_key

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

TASK = "ssl_embed"
SETTINGS = {"sequence": False}


def similar(track: str, among: Sequence[str], *, count: int, as_json: bool, threads: int | None) -> Exit:
    """Print the nearest recordings, best first; what has been heard once is kept in the result store.

    Returns
    -------
    ``OK``, or ``FAILED`` if some could not be read; the others are compared all the same.

    Raises
    ------
    AudioError
        If the recording itself, or all others, cannot be read.
    """
    vectors = Vectors(threads)
    try:
        wanted = vectors.of(track)
        here = os.path.abspath(track)
        items = [item for item in expand(among) if os.path.abspath(item.path) != here]
        found = list(_heard(items, vectors))
    finally:
        vectors.close()
    if not found:
        raise AudioError(f"{', '.join(among)}: nothing there to compare with")
    ranked = sorted(((float(wanted @ vector), path) for path, vector in found), reverse=True)
    out = Stdout()
    for likeness, path in ranked[:count]:
        line = (
            json.dumps({"path": path, "similarity": round(likeness, 4)}) if as_json else _row(likeness, path)
        )
        out.write(line.encode() + b"\n")
    return Exit.OK if len(found) == len(items) else Exit.FAILED


def _heard(items: Sequence[Input], vectors: Vectors) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Path and vector of each recording; one that fails is one line on stderr."""
    with progress(len(items), quiet=False) as advance:
        for item in items:
            try:
                if item.error:
                    raise AudioError(f"{item.path}: {item.error}")
                yield item.path, vectors.of(item.path)
            except MiraError as error:
                text = str(error)
                say(text if item.path in text else f"{item.path}: {text}")
            advance(item.path)


class Vectors:
    """Vectors of recordings, from the store where it has them, else from the model."""

    def __init__(self, threads: int | None) -> None:
        self._model = shared_model(TASK, threads, None)
        self._store = Store(default_path(), say)
        self._made_by = made_by(load_plugins().task(TASK), SETTINGS)

    def of(self, path: str) -> NDArray[np.float32]:
        """Vector of a recording, of length 1.

        Raises
        ------
        AudioError
            If it cannot be read.
        """
        try:
            content = digest_of(path)
        except OSError as error:
            raise AudioError(f"{path}: cannot be read: {error.strerror}") from None
        key = result_key(content, TASK, *self._made_by)
        kept = self._store.get(key)
        result = Result.from_dict(kept) if kept else self._model.analyze(path, **SETTINGS)
        assert isinstance(result, Embedding)
        if not kept:
            self._store.put(key, content, TASK, result.to_dict())
        return result.vector

    def close(self) -> None:
        """Close the store."""
        self._store.close()


def _row(likeness: float, path: str) -> str:
    return f"{likeness:6.3f}  {printable(path)}"
