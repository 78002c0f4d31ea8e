"""Vectors in files: what is in them, and what is said where one cannot be written."""

from __future__ import annotations

import io
from pathlib import Path

import h5py
import numpy as np
import pytest
from mira.errors import OutputError, UsageError
from mira.results import Embedding
from mira.writers import About, find_writer
from mira_plugins.ssl_embed import tables
from pyarrow import parquet

HEARD = Embedding(2.0, np.array([0.6, 0.8], np.float32), np.array([0.0, 1.0]), np.eye(2, dtype=np.float32))
PAIRS = [("a.wav", HEARD), ("ü.wav", HEARD)]


def test_npz_holds_paths_and_vectors(tmp_path: Path) -> None:
    target = tmp_path / "all.npz"
    list(tables.write_table(str(target), PAIRS, force=False, dry_run=False))
    with np.load(target, allow_pickle=False) as archive:
        assert archive["path"].tolist() == ["a.wav", "ü.wav"]
        assert archive["vector"].shape == (2, 2)


def test_hdf5_holds_the_same(tmp_path: Path) -> None:
    target = tmp_path / "all.h5"
    list(tables.write_table(str(target), PAIRS, force=False, dry_run=False))
    with h5py.File(target) as file:
        assert [name.decode() for name in file["path"][:]] == ["a.wav", "ü.wav"]
        assert file["vector"][1].tolist() == pytest.approx([0.6, 0.8])


def test_parquet_has_a_row_a_recording(tmp_path: Path) -> None:
    target = tmp_path / "all.parquet"
    list(tables.write_table(str(target), PAIRS, force=False, dry_run=False))
    table = parquet.read_table(target)
    assert table.column_names == ["path", "duration_s", "vector"]
    assert table.num_rows == 2


@pytest.mark.parametrize("suffix", [".npz", ".h5", ".parquet"])
def test_one_recording_goes_into_any_format(suffix: str) -> None:
    stream = io.BytesIO()
    find_writer(Embedding, suffix=suffix, writers=tables.WRITERS).write(
        HEARD, stream, About("a", "ssl_embed")
    )
    assert len(stream.getvalue()) > 100


def test_an_existing_file_stays(tmp_path: Path) -> None:
    target = tmp_path / "all.npz"
    target.write_text("mine")
    with pytest.raises(OutputError, match="force"):
        list(tables.write_table(str(target), PAIRS, force=False, dry_run=False))
    assert target.read_text() == "mine"


def test_a_dry_run_writes_nothing(tmp_path: Path) -> None:
    lines = list(tables.write_table(str(tmp_path / "all.npz"), PAIRS, force=False, dry_run=True))
    assert "2 vectors" in lines[0] and not list(tmp_path.iterdir())


def test_where_nothing_was_heard_nothing_is_written(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="nothing is written"):
        list(tables.write_table(str(tmp_path / "all.npz"), [], force=False, dry_run=False))


def test_an_unknown_suffix_is_refused() -> None:
    with pytest.raises(UsageError, match="npz"):
        tables.check_format("all.txt")


@pytest.mark.parametrize(("name", "library"), [("a.h5", "h5py"), ("a.parquet", "pyarrow")])
def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch, name: str, library: str) -> None:
    monkeypatch.setattr(tables, "find_spec", lambda module: None)
    with pytest.raises(UsageError, match=rf"{library}.*mira-audio\[embed\]"):
        tables.check_format(name)
    assert tables.check_format("a.npz") == ".npz"
