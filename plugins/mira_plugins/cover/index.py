"""An index of recordings: a folder with a manifest, the catalogue of tracks, and a store of vectors.

``manifest.json`` says which form and which model the index is of, ``tracks.sqlite`` (:mod:`catalogue`) is the
truth about what is in it, ``vectors/`` (:mod:`vectors`) finds candidates quickly. Tracks that the store does
not have yet, because a build was killed or goes on right now, are candidates of every query.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final
from uuid import uuid4

import numpy as np
from mira.card import read_card
from mira.errors import DataError, OutputError
from mira.plugins import load_plugins
from mira.writers.text import printable
from numpy.typing import NDArray

from mira_plugins.cover import MODEL, CoverPrint
from mira_plugins.cover.catalogue import FILE, Catalogue
from mira_plugins.cover.fingerprint import DIMENSION, unpack
from mira_plugins.cover.vectors import FaissStore, VectorStore, replace_text

FORMAT: Final = 1
"""Version of the form of an index; it grows when an older mira could not read it."""
MANIFEST: Final = "manifest.json"
FAISS: Final = "faiss"


@dataclass(frozen=True)
class Manifest:
    """What an index is of.

    Parameters
    ----------
    model, sha256
        Name and version of the models, and a SHA-256 over their graphs.
    dimension
        Of the vectors.
    store
        ``faiss``, ``qdrant``, or ``ADDRESS#COLLECTION`` of a Qdrant server.
    format
        See :data:`FORMAT`.
    """

    model: str
    sha256: str
    dimension: int
    store: str = FAISS
    format: int = FORMAT


def default_folder() -> Path:
    """Where the index is unless told: ``MIRA_COVER_INDEX``, or a folder among the user's data."""
    if named := os.environ.get("MIRA_COVER_INDEX"):
        return Path(named)
    from platformdirs import user_data_path

    return user_data_path("mira") / "covers"


def present_model(store: str = FAISS) -> Manifest:
    """The manifest of an index made by this mira; what the chord model hears counts as well."""
    cards = [read_card(MODEL), *(read_card(m) for m in [load_plugins().task("chords").model] if m)]
    graphs = hashlib.sha256("".join(card.graph_sha256 for card in cards).encode()).hexdigest()
    name = " on ".join(f"{card.name} {card.version}" for card in cards)
    return Manifest(name, graphs, DIMENSION, store)


class Index:
    """An open index; close it, or use it in a ``with`` statement.

    Parameters
    ----------
    folder
        Where it lies.
    create
        The store of a new one; without it there must be one already.

    Raises
    ------
    DataError
        If there is none, it is damaged, or of another model or a newer form.
    OutputError
        If it cannot be written.
    """

    def __init__(self, folder: Path, *, create: str = "") -> None:
        self.folder = folder
        self._store: VectorStore | None = None
        self._stored = -1
        with guarded(folder):
            if create and not (folder / MANIFEST).exists():
                self._begin(create)
            self.manifest = read_manifest(folder)
            there = (folder / FILE).exists() and (folder / FILE).stat().st_size
            if not there and (folder / "vectors").exists():
                raise DataError(f"{printable(str(folder))}: {_DAMAGED}")
            self.catalogue = Catalogue(folder)

    def __enter__(self) -> Index:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close its files."""
        self.catalogue.close()

    def _begin(self, store: str) -> None:
        """Write down what it is of, once a database has answered."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if store.startswith("http"):  # several indexes may share a server
            store = f"{store}#mira-covers-{uuid4().hex[:12]}"
        manifest = present_model(store)
        if store != FAISS:
            self._store = open_store(self.folder, manifest)
        replace_text(self.folder / MANIFEST, json.dumps(asdict(manifest), indent=1) + "\n")

    def reach(self) -> None:
        """Ask a database whether it answers, before work is done for it.

        Raises
        ------
        OutputError
            If it does not.
        """
        if self.manifest.store != FAISS:
            self.store.count()

    @property
    def store(self) -> VectorStore:
        """The vectors."""
        if self._store is None:
            self._stored = self.catalogue.stored()  # asked first: the store then never has less
            self._store = open_store(self.folder, self.manifest)
        return self._store

    def sync(self) -> None:
        """Bring the store of vectors to what the catalogue says; a damaged one is made anew."""
        if self.manifest.store == FAISS and self._damaged_store():
            (self.folder / "vectors" / "shards.json").unlink(missing_ok=True)
            self._store = None
        there, wanted = self.store.ids(), np.array(self.catalogue.ids(), np.int64)
        gone, new = np.setdiff1d(there, wanted), np.setdiff1d(wanted, there)
        if len(gone):
            self.store.remove(gone)
        if len(new):
            self.store.add(new, self._vectors(new))
        self._stored = int(wanted.max(initial=-1))
        self.catalogue.set_stored(self._stored)

    def seal(self) -> None:
        """Note the SHA-256 of the catalogue, so that every changed byte is noticed."""
        with guarded(self.folder):
            replace_text(self._seal, self.catalogue.digest())

    def unseal(self) -> None:
        """Forget it, before anything is written."""
        with guarded(self.folder):
            self._seal.unlink(missing_ok=True)

    @property
    def _seal(self) -> Path:
        return self.folder / "tracks.sha256"

    def nearest(self, vector: NDArray[np.float32], count: int) -> list[int]:
        """Numbers of the tracks whose vectors are nearest, and of all that the store does not have yet."""
        _, ids = self.store.search(vector[None], count)
        return [int(i) for i in ids[0] if i >= 0] + self.catalogue.ids(after=self._stored)

    def prints(self, ids: list[int]) -> Iterator[tuple[int, str, str, CoverPrint]]:
        """Number, path, content and print of tracks, as far as they are still there."""
        for entry in self.catalogue.entries(ids):
            yield entry.id, entry.path, entry.content, unpack(entry.print, entry.duration_s)

    def damaged(self) -> list[str]:
        """What is wrong with it, a line each; empty if nothing is."""
        found = self.catalogue.damaged() + self.store.damaged()
        if not found and self._seal.exists() and self._seal.read_text() != self.catalogue.digest():
            found.append(
                f"{printable(str(self.catalogue.path))}: bytes between the tracks have changed; no track is "
                "damaged, and the next build seals the file anew"
            )
        if not found and self._behind():
            found.append(
                f"{printable(str(self.folder))}: a build was not finished; its tracks are found all the "
                "same, and the next build puts their vectors into the store"
            )
        return found

    def _behind(self) -> bool:
        return self.store.count() != self.catalogue.count() or bool(self.catalogue.ids(after=self._stored))

    def _damaged_store(self) -> bool:
        try:
            return bool(open_store(self.folder, self.manifest).damaged())
        except (DataError, OSError):
            return True

    def _vectors(self, ids: NDArray[np.int64]) -> NDArray[np.float32]:
        found = {
            entry.id: unpack(entry.print, entry.duration_s).vector
            for entry in self.catalogue.entries(ids.tolist())
        }
        return np.stack([found[i] for i in ids.tolist()])


def read_manifest(folder: Path) -> Manifest:
    """Read and check what an index is of.

    Raises
    ------
    DataError
        If there is no index, it is damaged, or this mira cannot use it.
    """
    path = folder / MANIFEST
    where = printable(str(folder))
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        version = int(told["format"])
        manifest = Manifest(**told) if version == FORMAT else None
    except FileNotFoundError:
        raise DataError(f"{where}: no index there; make one: mira cover-index build MUSIC") from None
    except (ValueError, KeyError, TypeError):
        raise DataError(
            f"{printable(str(path))}: damaged; move the folder away and build the index anew"
        ) from None
    if manifest is None:
        newer = "a newer mira is needed" if version > FORMAT else "build it anew"
        raise DataError(f"{where}: an index of form {version}, and this mira reads {FORMAT}; {newer}")
    present = present_model()
    if (manifest.sha256, manifest.dimension) != (present.sha256, present.dimension):
        raise DataError(
            f"{where}: made by the model {printable(str(manifest.model))}, but here is "
            f"{present.model}; build another: --index DIR"
        )
    return manifest


def open_store(folder: Path, manifest: Manifest) -> VectorStore:
    """The store of vectors that a manifest names."""
    if manifest.store == FAISS:
        return FaissStore(folder / "vectors", manifest.dimension)
    from mira_plugins.cover.qdrant import NAME, QdrantStore

    if manifest.store == "qdrant":
        return QdrantStore(str(folder / "qdrant"), manifest.dimension)
    address, _, collection = manifest.store.partition("#")
    return QdrantStore(address, manifest.dimension, collection or NAME)


@contextmanager
def guarded(folder: Path) -> Iterator[None]:
    """Turn what files and databases raise into one line that says what to do."""
    where = printable(str(folder))
    try:
        yield
    except sqlite3.OperationalError as error:
        text = str(error)
        if "full" in text:
            raise OutputError(f"{where}: {_FULL}") from None
        if "locked" in text:
            raise OutputError(f"{where}: another process keeps it busy; try again") from None
        raise OutputError(f"{where}: cannot use the index: {text}") from None
    except (sqlite3.DatabaseError, UnicodeDecodeError):  # its messages may quote damaged bytes
        raise DataError(f"{where}: {_DAMAGED}") from None
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise OutputError(f"{where}: {_FULL}") from None
        raise OutputError(f"{where}: cannot use the index: {error.strerror or error}") from None


_FULL = "the disk is full; what was done is kept, make room and go on"
_DAMAGED = "its catalogue tracks.sqlite is damaged; move the folder away and build the index anew"


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Be the one that writes to an index; the right to it ends with the process.

    Raises
    ------
    OutputError
        If another process has it.
    """
    with guarded(folder):
        folder.mkdir(parents=True, exist_ok=True)
        lock = sqlite3.connect(folder / "lock.sqlite", timeout=0, isolation_level=None)
    try:
        try:
            lock.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError:
            raise OutputError(
                f"{printable(str(folder))}: another mira is writing to this index; wait until it is done"
            ) from None
        yield
    finally:
        lock.close()
