"""Vectors in Qdrant: embedded, in a folder of the index, or a server or cluster of them at an address.

For collections past one machine: the tracks stay in the catalogue, the search goes where the vectors are.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from mira.errors import UsageError

if TYPE_CHECKING:
    from mira_plugins.cover.vectors import Floats, Ids

NAME: Final = "mira-covers"
_BLOCK = 1000


class QdrantStore:
    """A collection of a Qdrant database.

    Parameters
    ----------
    place
        A folder for the embedded database, or the address of a server, such as ``http://10.0.0.1:6333``.
    dimension
        Of the vectors.

    Raises
    ------
    UsageError
        If qdrant-client is not installed.
    """

    def __init__(self, place: str, dimension: int) -> None:
        try:
            from qdrant_client import QdrantClient, models
        except ImportError:
            raise UsageError("an index in Qdrant needs: pip install 'mira-audio[qdrant]'") from None
        remote = place.startswith(("http://", "https://"))
        if not remote:
            Path(place).mkdir(parents=True, exist_ok=True)
        self.place, self._models = place, models
        self._client = QdrantClient(url=place) if remote else QdrantClient(path=place)
        if not self._client.collection_exists(NAME):
            size = models.VectorParams(size=dimension, distance=models.Distance.DOT)
            self._client.create_collection(NAME, vectors_config=size)

    def add(self, ids: Ids, vectors: Floats) -> None:
        """Keep vectors."""
        for start in range(0, len(ids), _BLOCK):
            some = slice(start, start + _BLOCK)
            batch = self._models.Batch(ids=ids[some].tolist(), vectors=vectors[some].tolist())
            self._client.upsert(NAME, batch)

    def remove(self, ids: Ids) -> None:
        """Forget some."""
        self._client.delete(NAME, self._models.PointIdsList(points=ids.tolist()))

    def search(self, queries: Floats, count: int) -> tuple[Floats, Ids]:
        """The nearest of each query."""
        scores = np.full((len(queries), count), -1, np.float32)
        ids = np.full((len(queries), count), -1, np.int64)
        for row, query in enumerate(queries):
            for place, point in enumerate(
                self._client.query_points(NAME, query.tolist(), limit=count).points
            ):
                scores[row, place], ids[row, place] = point.score, point.id
        return scores, ids

    def count(self) -> int:
        """How many there are."""
        return int(self._client.count(NAME, exact=True).count)

    def ids(self) -> Ids:
        """Their numbers."""
        found: list[int] = []
        offset = None
        while True:
            points, offset = self._client.scroll(NAME, limit=10 * _BLOCK, offset=offset, with_payload=False)
            found += [int(point.id) for point in points]
            if offset is None:
                return np.array(found, np.int64)

    def damaged(self) -> list[str]:
        """The database checks itself."""
        return []

    def describe(self) -> str:
        """How it searches."""
        return f"Qdrant at {self.place}"
