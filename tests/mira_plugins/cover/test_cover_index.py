"""The index without audio: matches, damage, what a kill leaves, other versions."""

from __future__ import annotations

import errno
import json
import sqlite3
from pathlib import Path

import numpy as np
import pytest
from covermusic import entry, music, print_of
from mira.errors import DataError, MiraError, OutputError
from mira_plugins.cover import building, vectors
from mira_plugins.cover.cliques import groups
from mira_plugins.cover.fingerprint import pack, unpack
from mira_plugins.cover.index import Index, guarded, writing
from mira_plugins.cover.search import query


def ask(index: Index, seed: int = 0) -> list[str]:
    return [m.path for m in query(index, print_of(music(seed)), f"content of /music/{seed}.wav")]


def test_the_version_comes_first_with_key_and_stretches(collection: Path) -> None:
    with Index(collection) as index:
        first, second, *_ = query(index, print_of(music(0)), "content of /music/0.wav")
    assert first.path == "/music/1.wav"
    assert first.transposition == -3
    assert first.probability > 0.5 > second.probability
    span = first.spans[0]
    np.testing.assert_allclose(span.query_s[0], 0, atol=2)
    np.testing.assert_allclose(span.match_s[0], 20 * 0.4644, atol=2)
    assert abs(span.faster) < 5


def test_the_recording_itself_is_left_out_wherever_it_lies(collection: Path) -> None:
    with Index(collection) as index:
        index.catalogue.put(entry("/elsewhere/0.wav", music(0)))
        found = query(index, print_of(music(0)), "content of /music/0.wav", top=20)
        assert "/music/0.wav" not in [m.path for m in found]
        assert len(found) == 8


def test_top_and_threshold_cut_the_list(collection: Path) -> None:
    with Index(collection) as index:
        asked = print_of(music(0))
        assert len(query(index, asked, "", top=3)) == 3
        sure = query(index, asked, "content of /music/0.wav", threshold=0.5)
        assert [m.path for m in sure] == ["/music/1.wav"]
        assert query(index, asked, "content of /music/0.wav", threshold=1.0) == []


def test_scores_fall_and_json_is_as_documented(collection: Path) -> None:
    with Index(collection) as index:
        found = query(index, print_of(music(0)), "")
    assert [m.score for m in found] == sorted((m.score for m in found), reverse=True)
    assert set(found[0].to_dict()) == {"path", "score", "probability", "transposition", "spans"}
    json.dumps([m.to_dict() for m in found], allow_nan=False)


def test_tracks_that_a_killed_build_left_out_of_the_vectors_are_found(collection: Path) -> None:
    with Index(collection) as index:
        index.catalogue.put(entry("/music/late.wav", np.roll(music(0), 2, axis=1)))
        assert ask(index)[0] == "/music/late.wav"
        assert "a build was not finished" in index.damaged()[0]
        index.sync()
        assert index.damaged() == []
        assert ask(index)[0] == "/music/late.wav"


def test_a_track_that_a_killed_build_had_replaced_is_found(collection: Path) -> None:
    with Index(collection) as index:
        index.catalogue.put(entry("/music/5.wav", np.roll(music(0), 2, axis=1)))
    with Index(collection) as again:
        assert ask(again)[0] == "/music/5.wav"
        assert "a build was not finished" in again.damaged()[0]


def test_a_removed_track_is_found_no_more_even_by_an_open_reader(collection: Path) -> None:
    with Index(collection) as reader, Index(collection) as writer:
        assert ask(reader)[0] == "/music/1.wav"
        assert building.remove(writer, ["/music/1.wav"]) == 1
        assert "/music/1.wav" not in ask(reader)


def test_removing_takes_folders_and_refuses_what_is_not_there(collection: Path) -> None:
    with Index(collection) as index:
        with pytest.raises(DataError, match="not in the index"):
            building.remove(index, ["/mus"])
        assert index.catalogue.count() == 8
        assert building.remove(index, ["/music"]) == 8
        assert ask(index) == []


def test_groups_join_versions(collection: Path) -> None:
    with Index(collection) as index:
        index.catalogue.put(entry("/music/third.wav", np.roll(music(0), 7, axis=1)))
        (group,) = groups(index, 0.5)
    assert [m.path for m in group] == ["/music/0.wav", "/music/1.wav", "/music/third.wav"]
    assert all(m.probability >= 0.5 for m in group)


def test_merging_copies_what_is_missing(collection: Path, tmp_path: Path) -> None:
    with Index(tmp_path / "other", create="faiss") as other, Index(collection) as index:
        other.catalogue.put(entry("/music/0.wav", music(0)))
        other.catalogue.put(entry("/more/9.wav", np.roll(music(0), 1, axis=1)))
        assert building.merge(index, other) == 1
        assert ask(index)[0] == "/more/9.wav"


def test_prints_survive_packing() -> None:
    asked = print_of(music(3))
    back = unpack(pack(asked), asked.duration_s)
    np.testing.assert_allclose(back.frames, asked.frames, atol=0.01)
    np.testing.assert_array_equal(back.vector, asked.vector)
    np.testing.assert_array_equal(back.sequence, asked.sequence)
    with pytest.raises(DataError):
        unpack(pack(asked)[:100], 1.0)


def test_no_index_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no index there; make one"):
        Index(tmp_path)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"format": 99}, "a newer mira is needed"),
        ({"format": 0}, "build it anew"),
        ({"sha256": "0"}, "made by the model"),
        ({"dimension": 7}, "made by the model"),
        ({"unknown": 1}, "damaged"),
        ({"format": "x"}, "damaged"),
    ],
)
def test_an_index_of_another_version_is_refused(
    collection: Path, change: dict[str, object], says: str
) -> None:
    path = collection / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(DataError, match=says):
        Index(collection)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
@pytest.mark.parametrize("name", ["manifest.json", "tracks.sqlite"])
def test_a_truncated_index_is_one_clear_line(collection: Path, name: str, share: float) -> None:
    _settle(collection)
    path = collection / name
    data = path.read_bytes()
    path.write_bytes(data[: round(share * len(data))])
    with pytest.raises(MiraError) as caught, Index(collection) as index, guarded(collection):
        assert index.damaged() == []
        assert index.catalogue.count() == 8
        raise AssertionError("nobody noticed")
    assert "\n" not in str(caught.value)


def test_64_overwritten_bytes_are_noticed_wherever_they_are(collection: Path) -> None:
    with Index(collection) as index:
        index.seal()
    path = collection / "tracks.sqlite"
    data = path.read_bytes()
    places = np.random.default_rng(0).integers(0, len(data) - 64, 40)
    noticed = 0
    for place in places:
        path.write_bytes(data[:place] + b"\xa5" * 64 + data[place + 64 :])
        try:
            with Index(collection) as index, guarded(collection):
                noticed += bool(index.damaged())
        except MiraError:
            noticed += 1
    assert noticed == 40


def test_a_damaged_print_is_never_used(collection: Path) -> None:
    _settle(collection)
    db = sqlite3.connect(collection / "tracks.sqlite")
    db.execute("UPDATE tracks SET print = zeroblob(length(print)) WHERE path = ?", (b"/music/1.wav",))
    db.commit()
    db.close()
    with Index(collection) as index, pytest.raises(DataError, match="track 2 is damaged; build again"):
        ask(index)


def test_damaged_vectors_are_made_again(collection: Path) -> None:
    (path,) = collection.glob("vectors/shard-*/vectors.npy")
    path.write_bytes(path.read_bytes()[:500])
    with Index(collection) as index:
        index.sync()
        assert index.damaged() == []
        assert ask(index)[0] == "/music/1.wav"


def test_only_one_writes(collection: Path) -> None:
    with (
        writing(collection),
        pytest.raises(OutputError, match="another mira is writing"),
        writing(collection),
    ):
        pass
    with writing(collection):
        pass


def test_a_full_disk_is_one_clear_line_and_loses_nothing(collection: Path) -> None:
    with Index(collection) as index:
        pages = index.catalogue._db.execute("PRAGMA page_count").fetchone()[0]
        index.catalogue._db.execute(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(OutputError, match="the disk is full; what was done is kept"), guarded(collection):
            for i in range(200):
                index.catalogue.put(entry(f"/new/{i}.wav", music(i)))
    with Index(collection) as index:
        assert index.catalogue.count() >= 8
        assert index.catalogue.damaged() == []


def test_a_disk_that_fills_up_while_vectors_are_written_keeps_the_tracks(
    collection: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with Index(collection) as index, monkeypatch.context() as patched:
        index.catalogue.put(entry("/music/late.wav", np.roll(music(0), 2, axis=1)))
        patched.setattr(vectors.np, "save", full)
        with pytest.raises(OutputError, match="the disk is full; what was done is kept"), guarded(collection):
            index.sync()
    with Index(collection) as index:
        assert ask(index)[0] == "/music/late.wav"
        index.sync()
        assert index.damaged() == []


def _settle(collection: Path) -> None:
    """Bring all of the journal into the file."""
    db = sqlite3.connect(collection / "tracks.sqlite")
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()
