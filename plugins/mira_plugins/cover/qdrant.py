"""Vectors in Qdrant: embedded, in a folder of the index, or a server or cluster of them at an address.

For collections past one machine: the tracks stay in the catalogue, the search goes where the vectors are.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from mira.errors import OutputError, UsageError
from mira.writers.text import printable

if TYPE_CHECKING:
    from mira_plugins.cover.vectors import Floats, Ids

NAME: Final = "mira-covers"
"""Of the collection, unless told."""
_BLOCK = 1000
_KEPT: Final = "what was done is kept, see that the server runs and go on"


class QdrantStore:
    """A collection of a Qdrant database.

    Parameters
    ----------
    place
        A folder for the embedded database, or the address of a server, such as ``http://10.0.0.1:6333``.
    dimension
        Of the vectors.
    name
        Of the collection; indexes that share a server need one each.

    Raises
    ------
    UsageError
        If qdrant-client is not installed.
    OutputError
        From any method, if the database does not answer.
    """

    def __init__(self, place: str, dimension: int, name: str = NAME) -> None:
        try:
            from qdrant_client import QdrantClient, models
        except ImportError:
            raise UsageError("an index in Qdrant needs: pip install 'mira-audio[qdrant]'") from None
        remote = place.startswith(("http://", "https://"))
        if not remote:
            Path(place).mkdir(parents=True, exist_ok=True)
        self.place, self._name, self._models = place, name, models
        with _answering(place):
            self._client = (
                QdrantClient(url=place, check_compatibility=False) if remote else QdrantClient(path=place)
            )
            if not self._client.collection_exists(self._name):
                size = models.VectorParams(size=dimension, distance=models.Distance.DOT)
                self._client.create_collection(self._name, vectors_config=size)

    def add(self, ids: Ids, vectors: Floats) -> None:
        """Keep vectors."""
        for start in range(0, len(ids), _BLOCK):
            some = slice(start, start + _BLOCK)
            batch = self._models.Batch(ids=ids[some].tolist(), vectors=vectors[some].tolist())
            with _answering(self.place):
                self._client.upsert(self._name, batch)

    def remove(self, ids: Ids) -> None:
        """Forget some."""
        with _answering(self.place):
            self._client.delete(self._name, self._models.PointIdsList(points=ids.tolist()))

    def search(self, queries: Floats, count: int) -> tuple[Floats, Ids]:
        """The nearest of each query."""
        scores = np.full((len(queries), count), -1, np.float32)
        ids = np.full((len(queries), count), -1, np.int64)
        for row, query in enumerate(queries):
            with _answering(self.place):
                points = self._client.query_points(self._name, query.tolist(), limit=count).points
            scores[row, : len(points)] = [point.score for point in points]
            ids[row, : len(points)] = [point.id for point in points]
        return scores, ids

    def count(self) -> int:
        """How many there are."""
        with _answering(self.place):
            return int(self._client.count(self._name, exact=True).count)

    def ids(self) -> Ids:
        """Their numbers."""
        found: list[int] = []
        offset = None
        while True:
            with _answering(self.place):
                points, offset = self._client.scroll(
                    self._name, limit=10 * _BLOCK, offset=offset, with_payload=False
                )
            found += [int(point.id) for point in points]
            if offset is None:
                return np.array(found, np.int64)

    def damaged(self) -> list[str]:
        """The database checks itself."""
        return []

    def describe(self) -> str:
        """How it searches."""
        return f"Qdrant at {self.place}"


@contextmanager
def _answering(place: str) -> Iterator[None]:
    """Turn what the client raises into one line that says what to do."""
    from qdrant_client.http.exceptions import ApiException, ResponseHandlingException

    where = f"Qdrant at {printable(place)}"
    try:
        yield
    except ResponseHandlingException as error:
        raise OutputError(f"{where}: no answer ({_first_line(error.source)}); {_KEPT}") from None
    except ApiException as error:
        raise OutputError(f"{where}: {_first_line(error)}; {_KEPT}") from None
    except ValueError as error:
        raise OutputError(f"{where}: not what Qdrant answers ({_first_line(error)}); {_KEPT}") from None
    except RuntimeError as error:  # the folder of the embedded one is in use
        raise OutputError(f"{where}: {_first_line(error)}") from None


def _first_line(error: Exception) -> str:
    return printable(str(error).partition("\n")[0]) or type(error).__name__
