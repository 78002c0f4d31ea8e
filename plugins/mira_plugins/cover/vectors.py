"""Where vectors are searched: shards of files that are mapped into memory, or a vector database.

A shard holds its vectors as they are (``vectors.npy``) and, once there are many, a bit a dimension of each
in a faiss index (``search.faiss``) whose nearest are ranked again by the exact vectors. Shards never change:
adding and removing writes new ones, and the list of shards is switched by renaming one small file, so that
readers and a power cut find the old state or the new one.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
from mira.errors import DataError
from mira.writers.text import printable
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Ids = NDArray[np.int64]

EXACT: Final = 100_000
"""Vectors of a shard up to which all are compared."""
SHARD: Final = 1_000_000
"""Vectors of the largest shard."""
LIST: Final = "shards.json"
FAISS: Final = "search.faiss"
_CODES = "PQ{}x4fs"
"""Product quantisation of four dimensions each (Jégou et al., 2011), scanned with vector instructions.

All codes are compared, 32 MB a million vectors, which takes a few milliseconds. No cell is left out as in
inverted lists, so what is found does not depend on how the vectors cluster, and no graph must be built.
"""
_RERANKED = 2000
"""Candidates that are ranked by their exact vectors, or ten times as many as are asked for."""
_TRAINED_ON = 1 << 16
_BLOCK = 1 << 16


class VectorStore(Protocol):
    """Vectors of length 1 under numbers; similarity is their inner product."""

    def add(self, ids: Ids, vectors: Floats) -> None:
        """Keep vectors of shape (item, dimension); lasting when it returns."""
        ...

    def remove(self, ids: Ids) -> None:
        """Forget some."""
        ...

    def search(self, queries: Floats, count: int) -> tuple[Floats, Ids]:
        """Similarities and numbers of the nearest, shape (query, count), best first; -1: no more."""
        ...

    def count(self) -> int:
        """How many there are."""
        ...

    def ids(self) -> Ids:
        """Their numbers, in any order."""
        ...

    def damaged(self) -> list[str]:
        """What is wrong, a line each."""
        ...

    def describe(self) -> str:
        """How it searches, for people."""
        ...


@dataclass(frozen=True, eq=False)
class Shard:
    """One folder of vectors, its files open: they can be read even after a writer has taken them away.

    Parameters
    ----------
    folder
        Where it lies.
    sums
        File -> SHA-256.
    ids
        Numbers of the vectors, shape (item,).
    vectors
        Shape (item, dimension), read from the disk as they are needed.
    searcher
        The faiss index over them; None where all are compared.
    """

    folder: Path
    sums: dict[str, str]
    ids: Ids
    vectors: Floats
    searcher: Any = None

    @staticmethod
    def open(folder: Path, sums: dict[str, str]) -> Shard:
        """Open the files.

        Raises
        ------
        FileNotFoundError
            If they are gone.
        DataError
            If they are damaged.
        """
        try:
            ids = np.load(folder / "ids.npy", mmap_mode="r")
            vectors = np.load(folder / "vectors.npy", mmap_mode="r")
            searcher = _open_faiss(folder / FAISS) if FAISS in sums else None
        except (ValueError, EOFError, RuntimeError):
            raise DataError(_damaged(folder)) from None
        return Shard(folder, sums, ids, vectors, searcher)

    def damaged(self) -> list[str]:
        """Files that are not what was written."""
        return [
            _damaged(self.folder / name)
            for name, digest in self.sums.items()
            if _digest(self.folder / name) != digest
        ]


class FaissStore:
    """Shards in a folder.

    Parameters
    ----------
    folder
        Made when missing.
    dimension
        Of the vectors.

    Raises
    ------
    DataError
        If the shards are damaged.
    """

    def __init__(self, folder: Path, dimension: int) -> None:
        self.folder, self.dimension = folder, dimension
        self.generation, self.shards = self._read()

    def add(self, ids: Ids, vectors: Floats) -> None:
        """Write new shards; a last shard that is small is written anew with them."""
        kept = list(self.shards)
        if kept and len(kept[-1].ids) + len(ids) <= EXACT:
            last = kept.pop()
            ids = np.concatenate([last.ids, ids])
            vectors = np.concatenate([last.vectors, vectors])
        self._switch([*kept, *self._write(ids, vectors)])

    def remove(self, ids: Ids) -> None:
        """Write the shards that hold some of them anew."""
        kept: list[Shard] = []
        for shard in self.shards:
            stay = ~np.isin(shard.ids, ids)
            if stay.all():
                kept.append(shard)
            elif stay.any():
                kept += self._write(shard.ids[stay], shard.vectors[stay])
        self._switch(kept)

    def search(self, queries: Floats, count: int) -> tuple[Floats, Ids]:
        """Ask each shard and merge."""
        found = [self._search(shard, queries, count) for shard in self.shards]
        nothing = np.full((len(queries), count), -1)
        scores = np.concatenate([*(s for s, _ in found), nothing.astype(np.float32)], axis=1)
        ids = np.concatenate([*(i for _, i in found), nothing], axis=1)
        order = np.argsort(-scores, axis=1, kind="stable")[:, :count]
        return np.take_along_axis(scores, order, 1), np.take_along_axis(ids, order, 1)

    def count(self) -> int:
        """How many there are."""
        return sum(len(shard.ids) for shard in self.shards)

    def ids(self) -> Ids:
        """Their numbers."""
        return np.concatenate([np.zeros(0, np.int64), *(shard.ids for shard in self.shards)])

    def damaged(self) -> list[str]:
        """Files that are not what was written."""
        return [line for shard in self.shards for line in shard.damaged()]

    def describe(self) -> str:
        """How it searches."""
        many = f", {len(self.shards)} shards" if len(self.shards) > 1 else ""
        if any(shard.searcher is not None for shard in self.shards):
            return (
                f"approximate search (faiss product quantisation, the best {_RERANKED} ranked exactly){many}"
            )
        return f"exact search{many}"

    def _search(self, shard: Shard, queries: Floats, count: int) -> tuple[Floats, Ids]:
        ids, vectors = shard.ids, shard.vectors
        if shard.searcher is None:
            scores = np.concatenate(
                [queries @ vectors[start : start + _BLOCK].T for start in range(0, len(ids), _BLOCK)], axis=1
            )
            return _best(scores, np.broadcast_to(ids, scores.shape), count)
        wanted = min(max(_RERANKED, 10 * count), len(ids))
        _, rows = shard.searcher.search(np.ascontiguousarray(queries), wanted)
        near = vectors[np.maximum(rows, 0).ravel()].reshape(*rows.shape, -1)
        scores = np.where(rows >= 0, np.einsum("qd,qkd->qk", queries, near), -1).astype(np.float32)
        return _best(scores, np.where(rows >= 0, ids[rows], -1), count)

    def _read(self) -> tuple[int, list[Shard]]:
        path = self.folder / LIST
        for _ in range(5):
            try:
                told = json.loads(path.read_text(encoding="utf-8"))
                shards = [(self.folder / name, dict(sums)) for name, sums in told["shards"].items()]
                generation = int(told["generation"])
            except FileNotFoundError:
                return 0, []
            except (ValueError, KeyError, TypeError, AttributeError):
                break
            try:
                return generation, [Shard.open(folder, sums) for folder, sums in shards]
            except FileNotFoundError:
                continue  # a writer has switched in between
        raise DataError(_damaged(path))

    def _write(self, ids: Ids, vectors: Floats) -> list[Shard]:
        made = []
        for start in range(0, len(ids), SHARD):
            some = slice(start, start + SHARD)
            self.generation += 1
            folder = self.folder / f"shard-{self.generation:06d}"
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            np.save(folder / "ids.npy", ids[some])
            np.save(folder / "vectors.npy", vectors[some])
            if len(ids[some]) > EXACT:
                _write_faiss(folder / FAISS, vectors[some])
            made.append(Shard.open(folder, {p.name: _digest(p) for p in sorted(folder.iterdir())}))
        return made

    def _switch(self, shards: Sequence[Shard]) -> None:
        """Make these the shards, by one rename; the folders that no shard needs any more go."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.generation += 1
        told = {"generation": self.generation, "shards": {s.folder.name: s.sums for s in shards}}
        replace_text(self.folder / LIST, json.dumps(told, indent=1))
        self.shards = list(shards)
        needed = {shard.folder for shard in shards}
        for folder in self.folder.glob("shard-*"):
            if folder not in needed:
                shutil.rmtree(folder, ignore_errors=True)


def replace_text(path: Path, text: str) -> None:
    """Write a file, whole or not at all."""
    temporary = path.with_name(f".{path.name}.new")
    with open(temporary, "w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(temporary, path)


def _best(scores: Floats, ids: Ids, count: int) -> tuple[Floats, Ids]:
    if scores.shape[1] > count:
        some = np.argpartition(-scores, count - 1, axis=1)[:, :count]
        scores, ids = np.take_along_axis(scores, some, 1), np.take_along_axis(ids, some, 1)
    order = np.argsort(-scores, axis=1, kind="stable")
    return np.take_along_axis(scores, order, 1), np.take_along_axis(ids, order, 1)


def _write_faiss(path: Path, vectors: Floats) -> None:
    """Codes of all vectors; the code book is learnt from a part of them."""
    import faiss

    count, dimension = vectors.shape
    index = faiss.index_factory(dimension, _CODES.format(dimension // 4), faiss.METRIC_INNER_PRODUCT)
    rows = np.random.default_rng(0).permutation(count)[:_TRAINED_ON]
    index.train(np.ascontiguousarray(vectors[np.sort(rows)]))
    for start in range(0, count, _BLOCK):
        index.add(np.ascontiguousarray(vectors[start : start + _BLOCK]))
    faiss.write_index(index, str(path))


def _open_faiss(path: Path) -> Any:
    import faiss

    return faiss.read_index(str(path))


def _damaged(path: Path) -> str:
    return f"{printable(str(path))}: damaged; build again from the same folders, which mends it"


def _digest(path: Path) -> str:
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
