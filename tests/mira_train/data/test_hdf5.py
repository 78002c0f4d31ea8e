from __future__ import annotations

import subprocess
import sys
from pathlib import Path, PurePosixPath

import h5py
import numpy as np
import pytest
from mira.errors import DataError, OutputError
from mira_train.data.cache import FeatureCache, content_hash
from mira_train.data.hdf5 import (
    AudioReader,
    AudioWriter,
    FeatureReader,
    FeatureWriter,
    key_to_path,
    path_to_key,
)


def tone(n: int = 200_000) -> np.ndarray:
    return np.sin(np.arange(n) * 0.1).astype(np.float32)


def write_audio(path: Path, samples: np.ndarray, key: str = "a.wav", **attributes: object) -> Path:
    with h5py.File(path, "w") as file:
        file[key] = samples
        file[key].attrs.update(attributes)
    return path


# --- keys ---


@pytest.mark.parametrize(
    "key",
    ["", "..", "..+++x.wav", "a+++..+++b", "/etc/passwd", "a/../b", "a+++", "c:+++x", "a\\b", "a\0b", "."],
)
def test_key_that_leads_out_of_the_folder_is_refused(key: str) -> None:
    with pytest.raises(DataError, match="does not name a file inside a folder"):
        key_to_path(key)


def test_keys_and_paths_go_both_ways() -> None:
    path = PurePosixPath("blues/deep/ä.00000.wav")
    assert path_to_key(path) == "blues+++deep+++ä.00000.wav"
    assert key_to_path(path_to_key(path)) == path
    with pytest.raises(DataError, match="must not hold"):
        path_to_key(PurePosixPath("a+++b.wav"))
    with pytest.raises(DataError, match="not Unicode"):
        path_to_key(PurePosixPath("a\udcff.wav"))


# --- damaged files ---


def test_truncated_file_is_a_data_error(tmp_path: Path) -> None:
    path = write_audio(tmp_path / "a.hdf5", tone(), sr_hz=22050)
    data = path.read_bytes()
    for share in (0, 0.001, 0.5, 0.99):
        path.write_bytes(data[: int(len(data) * share)])
        with (
            pytest.raises(DataError, match=r"a\.hdf5: .*(truncated|cannot be read).*again"),
            AudioReader(path),
        ):
            pass


def test_missing_file_and_other_formats_are_data_errors(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        AudioReader(tmp_path / "none.hdf5")
    (tmp_path / "text.hdf5").write_text("hello")
    with pytest.raises(DataError, match="cannot be read as HDF5"):
        AudioReader(tmp_path / "text.hdf5")


@pytest.mark.parametrize(
    ("samples", "attributes", "said"),
    [
        (tone(10), {}, "no attribute sr_hz"),
        (tone(10), {"sr_hz": -1}, "no rate in Hz"),
        (tone(10), {"sr_hz": "fast"}, "no rate in Hz"),
        (np.zeros((10, 3)), {"sr_hz": 1}, "shape"),
        (np.array([b"text"]), {"sr_hz": 1}, "not numbers"),
    ],
)
def test_what_is_no_audio_is_said_with_its_key(
    tmp_path: Path, samples: np.ndarray, attributes: dict[str, object], said: str
) -> None:
    path = write_audio(tmp_path / "a.hdf5", samples, **attributes)
    with AudioReader(path) as reader, pytest.raises(DataError, match=f"key 'a.wav' .*{said}"):
        reader.sample_rate("a.wav")


def test_links_to_other_files_are_not_followed(tmp_path: Path) -> None:
    write_audio(tmp_path / "other.hdf5", tone(10), sr_hz=1)
    (tmp_path / "secret").write_bytes(b"x" * 40)
    with h5py.File(tmp_path / "a.hdf5", "w") as file:
        file["link"] = h5py.ExternalLink("other.hdf5", "a.wav")
        file.create_dataset("stored", (10,), "f4", external=[(str(tmp_path / "secret"), 0, 40)])
    with AudioReader(tmp_path / "a.hdf5") as reader:
        for key in ("link", "stored"):
            with pytest.raises(DataError, match="does not follow"):
                reader.read(key)


def test_missing_key_is_named(tmp_path: Path) -> None:
    with AudioReader(write_audio(tmp_path / "a.hdf5", tone(10), sr_hz=1)) as reader:
        with pytest.raises(DataError, match=r"key 'b\.wav' is not in the file"):
            reader.read("b.wav")
        assert "a.wav" in reader and "b.wav" not in reader and "/" not in reader


# --- reading and writing ---


@pytest.mark.parametrize("name", ["sr_hz", "sr"])
def test_both_names_of_the_rate(tmp_path: Path, name: str) -> None:
    with AudioReader(write_audio(tmp_path / "a.hdf5", tone(10), **{name: np.int64(22050)})) as reader:
        assert reader.sample_rate("a.wav") == 22050


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16, np.int16, np.int32, np.uint8])
def test_any_sample_type_is_read_in_the_same_scale(tmp_path: Path, dtype: type) -> None:
    wave = tone(1000) * 0.5
    stored = wave.astype(dtype)
    if np.dtype(dtype).kind in "iu":
        info = np.iinfo(dtype)
        middle = 0 if info.min else 128
        stored = np.round(wave * (info.max - middle) + middle).astype(dtype)
    with AudioReader(write_audio(tmp_path / "a.hdf5", stored, sr_hz=1)) as reader:
        read = reader.read("a.wav")
    assert read.dtype == np.float32
    np.testing.assert_allclose(read, wave, atol=0.01)


def test_slices_and_blocks_are_parts_of_the_whole(tmp_path: Path) -> None:
    wave = tone()
    with AudioWriter(tmp_path / "a.hdf5") as writer:
        assert writer.add("x+++a.wav", 22050, np.split(wave, [5, 70_000, 70_000])) == len(wave)
    with AudioReader(tmp_path / "a.hdf5") as reader:
        assert reader.keys() == ["x+++a.wav"] and reader.length("x+++a.wav") == len(wave)
        np.testing.assert_array_equal(reader.read("x+++a.wav", 65_530, 65_540), wave[65_530:65_540])
        np.testing.assert_array_equal(np.concatenate(list(reader.blocks("x+++a.wav"))), wave)
    assert (tmp_path / "a.hdf5").stat().st_size < wave.nbytes * 1.4


def test_failed_writing_leaves_nothing(tmp_path: Path) -> None:
    def broken() -> object:
        yield tone(10)
        raise DataError("the source broke")

    for keys, said in ((["a", "a"], "comes twice"), (["../a"], "inside a folder"), (["ok"], "source broke")):
        with pytest.raises(DataError, match=said), AudioWriter(tmp_path / "a.hdf5") as writer:
            for key in keys:
                writer.add(key, 22050, broken() if key == "ok" else [tone(10)])  # type: ignore
    assert list(tmp_path.iterdir()) == []


def test_full_disk_is_an_output_error_and_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "a.hdf5"
    path.write_text("old")
    code = f"""
import pathlib, resource, numpy as np
from mira.errors import OutputError
from mira_train.data.hdf5 import AudioWriter
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
try:
    with AudioWriter(pathlib.Path({str(path)!r}), force=True) as writer:
        writer.add("a.wav", 22050, (np.ones(1 << 16, np.float32) for _ in range(64)))
except OutputError as error:
    print("OutputError", error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.startswith("OutputError") and "cannot write" in done.stdout, done
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_features_of_both_forms_come_with_time_last(tmp_path: Path) -> None:
    cqt = np.random.default_rng(0).random((2, 30, 7))
    with h5py.File(tmp_path / "cqt_feat.hdf5", "w") as file:
        file["a.wav/cqt_value_3m"] = cqt
        file["a.wav/cqt_time_sec_v"] = np.arange(7) * 0.1
        file["a.wav/cqt_frequency_hz_v"] = np.arange(30)
    with FeatureReader(tmp_path / "cqt_feat.hdf5") as reader:
        assert reader.shape("a.wav") == (2, 30, 7)
        np.testing.assert_allclose(reader.read("a.wav", 2, 5), cqt[..., 2:5], rtol=1e-6)
        assert reader.times("a.wav")[1] == 0.1 and len(reader.frequencies("a.wav")) == 30
    pcp = np.random.default_rng(1).random((12, 50)).astype(np.float32)
    with FeatureWriter(tmp_path / "pcp_feat.hdf5") as writer:
        writer.add("P_1", pcp)
    with h5py.File(tmp_path / "pcp_feat.hdf5") as file:
        assert file["P_1"].shape == (50, 12)
    with FeatureReader(tmp_path / "pcp_feat.hdf5") as reader:
        assert reader.shape("P_1") == (12, 50)
        np.testing.assert_array_equal(reader.read("P_1", 10), pcp[:, 10:])


# --- mistake 28 of the reference: a feature cache without a key ---


def test_mistake_28_cache_hangs_on_content_and_parameters(tmp_path: Path) -> None:
    made: list[str] = []

    def get(parameters: dict[str, object], samples: np.ndarray, name: str) -> np.ndarray:
        def compute() -> np.ndarray:
            made.append(name)
            return np.full((3, 10), len(made), np.float32)

        return FeatureCache(tmp_path, parameters).get(content_hash(samples, 22050), compute, 2, 5)

    assert get({"hop": 512}, tone(100), "first")[0].tolist() == [1, 1, 1]
    assert get({"hop": 512}, tone(100), "again")[0].tolist() == [1, 1, 1]
    assert get({"hop": 256}, tone(100), "other hop")[0].tolist() == [2, 2, 2]
    assert get({"hop": 512}, tone(101), "other audio")[0].tolist() == [3, 3, 3]
    assert made == ["first", "other hop", "other audio"]
    stored = sorted(tmp_path.rglob("*.hdf5"))
    with h5py.File(stored[0]) as file:
        assert file["feature"].dtype == np.float16
        assert '"hop"' in file["feature"].attrs["parameters"]
    assert content_hash(tone(10), 22050) != content_hash(tone(10), 44100)


def test_damaged_cache_is_made_again(tmp_path: Path) -> None:
    cache = FeatureCache(tmp_path, {}, "float32")
    cache.get("x", lambda: np.ones((2, 3), np.float32))
    (stored,) = tmp_path.rglob("*.hdf5")
    stored.write_bytes(stored.read_bytes()[:300])
    assert cache.get("x", lambda: np.full((2, 3), 7, np.float32)).max() == 7
    assert cache.get("x", lambda: np.zeros((2, 3), np.float32)).max() == 7


def test_cache_that_cannot_be_written_still_answers(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert FeatureCache(tmp_path / "file", {}).get("x", lambda: np.ones((1, 2), np.float32)).sum() == 2


def test_value_too_large_for_half_precision_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="too large for float16; use float32"):
        FeatureCache(tmp_path, {}).get("x", lambda: np.full((1, 1), 1e6, np.float32))


def test_existing_hdf5_stays_without_force(tmp_path: Path) -> None:
    path = write_audio(tmp_path / "a.hdf5", tone(10), sr_hz=1)
    with pytest.raises(OutputError, match="exists already"), AudioWriter(path):
        pass
    with AudioReader(path) as reader:
        assert reader.length("a.wav") == 10
