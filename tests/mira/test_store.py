"""The store saves work; whatever happens to its file, the work goes on."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
from mira.store import Store, default_path, digest_of, result_key

RESULT = {"kind": "notes", "start_s": [0.5, 1.25], "label": ["ü"]}


@pytest.fixture
def warnings() -> list[str]:
    return []


@pytest.fixture
def store(tmp_path: Path, warnings: list[str]) -> Store:
    return Store(tmp_path / "deep" / "store.sqlite", warnings.append)


def _damage(path: Path, seed: int) -> None:
    data = bytearray(path.read_bytes())
    dice = random.Random(seed)
    for _ in range(64):
        data[dice.randrange(len(data))] = dice.randrange(256)
    path.write_bytes(data)


def test_what_is_put_is_got_by_another_process(store: Store, warnings: list[str]) -> None:
    store.put("key", "content", "mpe", RESULT)
    store.put_output("out.mid", "key", "digest")
    store.close()
    again = Store(store.path, warnings.append)
    assert again.get("key") == RESULT
    assert again.output(os.path.abspath("out.mid")) == ("key", "digest")
    assert (again.get("other"), again.output("other.mid")) == (None, ("", ""))
    assert not warnings


def test_key_changes_with_everything_a_result_is_made_of() -> None:
    keys = {
        result_key("content", "mpe", ["graph"], {"a": 1}),
        result_key("other", "mpe", ["graph"], {"a": 1}),
        result_key("content", "chords", ["graph"], {"a": 1}),
        result_key("content", "mpe", ["other"], {"a": 1}),
        result_key("content", "mpe", ["graph"], {"a": 2}),
    }
    assert len(keys) == 5
    assert result_key("c", "t", [], {"a": 1, "b": 2}) == result_key("c", "t", [], {"b": 2, "a": 1})


def test_file_that_is_no_database_is_moved_aside_with_one_warning(store: Store, warnings: list[str]) -> None:
    store.path.parent.mkdir()
    store.path.write_bytes(b"this is no database" * 100)
    store.put("key", "content", "mpe", RESULT)
    assert store.get("key") is None
    assert len(warnings) == 1
    assert "damaged" in warnings[0]
    assert not store.path.exists()
    again = Store(store.path, warnings.append)
    again.put("key", "content", "mpe", RESULT)
    assert again.get("key") == RESULT


@pytest.mark.parametrize("seed", range(12))
def test_damaged_bytes_give_the_true_result_or_none(store: Store, warnings: list[str], seed: int) -> None:
    for i in range(30):
        store.put(f"key{i}", "content", "mpe", RESULT | {"i": i})
    store.close()
    _damage(store.path, seed)
    again = Store(store.path, warnings.append)
    for i in range(30):
        assert again.get(f"key{i}") in (None, RESULT | {"i": i})
    assert len(warnings) <= 1


def test_place_that_cannot_be_written_is_one_warning(tmp_path: Path, warnings: list[str]) -> None:
    (tmp_path / "file").touch()
    store = Store(tmp_path / "file" / "store.sqlite", warnings.append)
    store.put("key", "content", "mpe", RESULT)
    store.put_output("out", "key", "digest")
    assert (store.get("key"), store.output("out")) == (None, ("", ""))
    assert len(warnings) == 1
    assert "going on without it" in warnings[0]


def test_folder_in_its_place_is_one_warning(tmp_path: Path, warnings: list[str]) -> None:
    store = Store(tmp_path, warnings.append)
    assert store.get("key") is None
    assert len(warnings) == 1


def test_processes_open_a_new_store_at_once(store: Store, warnings: list[str], tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from mira.store import Store\n"
        "import sqlite3; s = Store(Path(sys.argv[1]), sys.exit); print('ready', flush=True)\n"
        "while not Path(sys.argv[2]).exists(): pass\n"
        "for i in range(40): s.put(f'{sys.argv[3]}{i}', 'c', 't', {'i': i})\n"
    )
    begin = tmp_path / "begin"
    args = [sys.executable, "-c", code, str(store.path), str(begin)]
    writers = [subprocess.Popen([*args, name], stdout=subprocess.PIPE) for name in "abcd"]
    for writer in writers:
        assert writer.stdout and writer.stdout.readline()
    begin.touch()
    assert [w.wait(120) for w in writers] == [0] * 4
    assert all(store.get(f"{name}{i}") == {"i": i} for name in "abcd" for i in range(40))
    assert not warnings


def test_environment_names_the_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MIRA_STORE", str(tmp_path / "mine"))
    assert default_path() == tmp_path / "mine"
    monkeypatch.delenv("MIRA_STORE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert tmp_path in default_path().parents


def test_digest_is_of_the_bytes_whatever_the_name(tmp_path: Path) -> None:
    path = os.fsdecode(os.fsencode(tmp_path) + b"/\xff")
    Path(path).write_bytes(b"abc")
    assert digest_of(path).startswith("ba7816bf")
