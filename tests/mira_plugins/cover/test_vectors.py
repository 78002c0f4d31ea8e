"""Stores of vectors: shards in files, and Qdrant in its embedded mode."""

from __future__ import annotations

import errno
import re
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
from covermusic import entry, music, print_of
from mira.errors import DataError, OutputError
from mira_plugins.cover import vectors as stores
from mira_plugins.cover.fingerprint import unit
from mira_plugins.cover.index import Index
from mira_plugins.cover.qdrant import QdrantStore
from mira_plugins.cover.search import query
from mira_plugins.cover.vectors import FaissStore, VectorStore

DIMENSION = 16
Open = Callable[[], VectorStore]


def some(count: int, seed: int = 0) -> np.ndarray:
    return unit(np.random.default_rng(seed).standard_normal((count, DIMENSION)).astype(np.float32))


@pytest.fixture(params=["faiss", "qdrant"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> VectorStore:
    if request.param == "faiss":
        return FaissStore(tmp_path / "vectors", DIMENSION)
    pytest.importorskip("qdrant_client")
    return QdrantStore(str(tmp_path / "qdrant"), DIMENSION)


def test_the_nearest_come_first_in_either_store(opened: VectorStore) -> None:
    vectors = some(50)
    opened.add(np.arange(100, 150), vectors)
    scores, ids = opened.search(vectors[:3], 5)
    np.testing.assert_array_equal(ids[:, 0], [100, 101, 102])
    np.testing.assert_allclose(scores[:, 0], 1, atol=1e-5)
    expected = np.argsort(-(vectors[:3] @ vectors.T), axis=1)[:, :5] + 100
    np.testing.assert_array_equal(ids, expected)


def test_what_is_removed_is_not_found_any_more(opened: VectorStore) -> None:
    vectors = some(10)
    opened.add(np.arange(10), vectors)
    opened.remove(np.array([3, 4]))
    assert opened.count() == 8
    assert sorted(opened.ids()) == [0, 1, 2, 5, 6, 7, 8, 9]
    assert not np.isin([3, 4], opened.search(vectors[3:4], 8)[1]).any()


def test_fewer_than_asked_for_are_filled_with_none(opened: VectorStore) -> None:
    assert (opened.search(some(2), 4)[1] == -1).all()
    opened.add(np.array([7]), some(1))
    assert opened.search(some(1), 3)[1].tolist() == [[7, -1, -1]]


def test_indexes_that_share_a_server_do_not_mix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    qdrant_client = pytest.importorskip("qdrant_client")
    server = qdrant_client.QdrantClient(":memory:")
    monkeypatch.setattr(qdrant_client, "QdrantClient", lambda **options: server)
    for name in "ab":
        with Index(tmp_path / name, create="http://host:6333") as index:
            index.catalogue.put(entry(f"/{name}.wav", music(1)))
            index.sync()
    for name in "ab":
        with Index(tmp_path / name) as again:
            assert again.store.count() == 1
            assert [m.path for m in query(again, print_of(music(1)), "")] == [f"/{name}.wav"]


@pytest.mark.parametrize(
    ("status", "says"), [(200, "not what Qdrant answers"), (404, "404 (Not Found)"), (403, "403 (Forbidden)")]
)
def test_a_server_of_something_else_is_one_clear_line(status: int, says: str) -> None:
    pytest.importorskip("qdrant_client")

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(b"<html>")

        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        with pytest.raises(OutputError, match=re.escape(says)) as caught:
            QdrantStore(f"http://127.0.0.1:{server.server_port}", DIMENSION)
        server.shutdown()
    assert "\n" not in str(caught.value)


def test_an_embedded_database_that_is_in_use_is_one_clear_line(tmp_path: Path) -> None:
    pytest.importorskip("qdrant_client")
    kept = QdrantStore(str(tmp_path), DIMENSION)
    with pytest.raises(OutputError, match="already accessed") as caught:
        QdrantStore(str(tmp_path), DIMENSION)
    assert "\n" not in str(caught.value) and kept.count() == 0


def test_shards_last_and_grow(tmp_path: Path) -> None:
    vectors = some(30)
    for start in range(0, 30, 10):
        FaissStore(tmp_path, DIMENSION).add(np.arange(start, start + 10), vectors[start : start + 10])
    again = FaissStore(tmp_path, DIMENSION)
    assert again.count() == 30
    assert again.describe() == "exact search"
    assert len(list(tmp_path.glob("shard-*"))) == 1


def test_many_vectors_are_searched_by_faiss_in_shards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stores, "EXACT", 1500)
    monkeypatch.setattr(stores, "SHARD", 2000)
    vectors = some(4500)
    store = FaissStore(tmp_path, DIMENSION)
    store.add(np.arange(4500), vectors)
    assert "approximate" in store.describe() and "3 shards" in store.describe()
    _, ids = store.search(vectors[:40], 10)
    truth = np.argsort(-(vectors[:40] @ vectors.T), axis=1)[:, :10]
    recall = np.mean([len(set(a) & set(b)) / 10 for a, b in zip(ids.tolist(), truth.tolist())])
    assert recall > 0.9
    store.add(np.array([9000]), some(1, 5))
    assert store.search(some(1, 5), 1)[1][0, 0] == 9000


def test_an_open_reader_goes_on_while_a_writer_switches(tmp_path: Path) -> None:
    vectors = some(20)
    FaissStore(tmp_path, DIMENSION).add(np.arange(10), vectors[:10])
    reader, writer = FaissStore(tmp_path, DIMENSION), FaissStore(tmp_path, DIMENSION)
    assert reader.search(vectors[:1], 1)[1][0, 0] == 0
    writer.remove(np.array([0]))
    assert writer.search(vectors[:1], 1)[1][0, 0] != 0
    assert FaissStore(tmp_path, DIMENSION).count() == 9


@pytest.mark.parametrize("name", ["vectors.npy", "ids.npy"])
def test_overwritten_bytes_are_noticed(tmp_path: Path, name: str) -> None:
    FaissStore(tmp_path, DIMENSION).add(np.arange(100), some(100))
    (path,) = tmp_path.glob(f"shard-*/{name}")
    data = bytearray(path.read_bytes())
    data[300:364] = b"x" * 64
    path.write_bytes(data)
    (line,) = FaissStore(tmp_path, DIMENSION).damaged()
    assert "damaged" in line and "\n" not in line


@pytest.mark.parametrize("name", ["vectors.npy", "ids.npy", "search.faiss"])
@pytest.mark.parametrize("share", [0.0, 0.01, 0.6])
def test_truncated_files_are_one_clear_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, share: float
) -> None:
    monkeypatch.setattr(stores, "EXACT", 1500)
    FaissStore(tmp_path, DIMENSION).add(np.arange(2000), some(2000))
    (path,) = tmp_path.glob(f"shard-*/{name}")
    data = path.read_bytes()
    path.write_bytes(data[: round(share * len(data))])
    with pytest.raises(DataError, match="damaged; build again") as caught:
        FaissStore(tmp_path, DIMENSION)
    assert "\n" not in str(caught.value)


def test_a_full_disk_leaves_the_last_good_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = FaissStore(tmp_path, DIMENSION)
    store.add(np.arange(10), some(10))

    def full(*args: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(stores.np, "save", full)
    with pytest.raises(OSError, match="No space"):
        store.add(np.arange(10, 20), some(10, 1))
    again = FaissStore(tmp_path, DIMENSION)
    assert again.count() == 10 and again.damaged() == []


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"generation": 1}', '{"generation": 1, "shards": {"gone": {"a": "b"}}}']
)
def test_a_damaged_list_of_shards_is_one_clear_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "shards.json").write_text(text)
    with pytest.raises(DataError, match="damaged"):
        FaissStore(tmp_path, DIMENSION)
