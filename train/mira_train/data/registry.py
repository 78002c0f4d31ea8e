"""The data sets that mira knows, and those that a user adds: where they come from and where they lie.

Every set has a folder under ``MIRA_DATA``. A user's own set is a small TOML file of the form of
``registry.toml``, given by its path or put into ``MIRA_DATA/sets``; its ``folder`` (relative to the TOML
file) says where files lie that need no download.

The SHA-256 of the book's files is not known here. The first download is trusted and pinned in
``MIRA_DATA/registry-lock.json``; from then on a file that differs is refused.
"""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.parse import quote

from mira.errors import DataError, UsageError
from mira.writers.text import printable

from mira_train.data.atomic import replacing
from mira_train.data.entries import FILEPATH
from mira_train.data.fetch import download, unpack
from mira_train.data.hdf5 import AudioReader
from mira_train.data.locking import alone_in
from mira_train.data.pyjama import PyjamaReader
from mira_train.data.splits import Grouping
from mira_train.document import nearest

DATA_VARIABLE = "MIRA_DATA"
URL_VARIABLE = "MIRA_DATA_URL"
LOCK = "registry-lock.json"

_UNITS = {"K": 2**10, "M": 2**20, "G": 2**30}
_ROUNDING = 0.1
"""How far a size may be from the printed one, which the book rounded in a way that it does not say."""


@dataclass(frozen=True)
class DataFile:
    """One file of a set.

    Parameters
    ----------
    name
        Its name on the server.
    printed_size
        Its size as a person wrote it, such as ``2.3G``.
    bytes, sha256
        What it must have, where that is known.
    """

    name: str
    printed_size: str = ""
    bytes: int | None = None
    sha256: str | None = None

    @property
    def unpacked(self) -> str:
        """Name without ``.zip``."""
        return self.name.removesuffix(".zip")

    def is_near(self, size: int) -> bool:
        """Whether a size in bytes can be the printed one."""
        if not self.printed_size:
            return True
        printed = float(self.printed_size[:-1]) * _UNITS[self.printed_size[-1]]
        return abs(size - printed) <= _ROUNDING * printed


@dataclass(frozen=True)
class DataSet:
    """A data set.

    Parameters
    ----------
    name, summary, task, terms
        What it is, which task trains on it, and what its owners allow.
    files
        The .pyjama file and the .hdf5 file (or its zip).
    key
        The annotation that is the key in the .hdf5 file.
    group, apart, stratum
        How splits treat it; see :func:`mira_train.data.splits.split_groups`.
    base_url
        Where its files are; empty where only the user knows.
    folder
        Where its files lie; None for the usual place under ``MIRA_DATA``.
    """

    name: str
    files: tuple[DataFile, ...]
    summary: str = ""
    task: str = ""
    terms: str = ""
    key: str = FILEPATH
    group: Grouping = field(default_factory=lambda: Grouping(FILEPATH))
    apart: Grouping | None = None
    stratum: Grouping | None = None
    base_url: str = ""
    folder: Path | None = None

    @property
    def place(self) -> Path:
        """The folder with its files."""
        return self.folder or data_folder() / self.name

    def path(self, suffix: str) -> Path:
        """The set's ``.pyjama`` or ``.hdf5`` file.

        Raises
        ------
        DataError
            If it is not there; the text says how to get it.
        """
        for file in self.files:
            if file.unpacked.endswith(suffix) and (self.place / file.unpacked).is_file():
                return self.place / file.unpacked
        hint = "put it there" if self.folder else f"run: mira data get {self.name}"
        raise DataError(f"{self.name}: no {suffix} file in {printable(self.place)}; {hint}")

    @property
    def is_here(self) -> bool:
        """Whether all files are in place."""
        return all((self.place / file.unpacked).is_file() for file in self.files)


def data_folder() -> Path:
    """Where data sets lie: ``MIRA_DATA``, else the user's data folder."""
    if os.environ.get(DATA_VARIABLE):
        return Path(os.environ[DATA_VARIABLE])
    import platformdirs

    return Path(platformdirs.user_data_dir("mira")) / "data"


def known_sets() -> dict[str, DataSet]:
    """All sets by name: mira's own, and those of the TOML files in ``MIRA_DATA/sets``."""
    own = resources.files("mira_train.data").joinpath("registry.toml").read_text(encoding="utf-8")
    sets = _parse(own, Path("registry.toml"))
    for path in sorted((data_folder() / "sets").glob("*.toml")):
        sets |= _read(path)
    return sets


def find_set(name: str) -> DataSet:
    """A set by its name, or by the path of a TOML file that describes one.

    Raises
    ------
    UsageError
        If there is no such set.
    DataError
        If the TOML file is not as it should be.
    """
    if name.endswith(".toml"):
        sets = _read(Path(name))
        if len(sets) != 1:
            raise DataError(f"{name}: describes {len(sets)} sets; a file given by path describes one")
        return next(iter(sets.values()))
    sets = known_sets()
    if name not in sets:
        raise UsageError(f"no data set '{name}'{nearest(name, sets)}")
    return sets[name]


def get(
    dataset: DataSet,
    *,
    base_url: str = "",
    wait_s: float = 1.0,
    say: Callable[[str], None] = lambda text: None,
    on_progress: Callable[[int, int | None], None] = lambda done, total: None,
) -> Path:
    """Download and unpack what is not there yet; returns the set's folder.

    Parameters
    ----------
    dataset
        What to get.
    base_url
        Where the files are; else the set's own address, else ``MIRA_DATA_URL``.
    wait_s
        Pause before a second attempt.
    say
        Told one line for each file.
    on_progress
        Told the bytes that came and the bytes in all.

    Raises
    ------
    DataError
        If no address is known, or what comes is not what it should be; nothing is put in place then.
    OutputError
        If the disk does not take it.
    """
    if dataset.is_here:
        return dataset.place
    address = base_url or dataset.base_url or os.environ.get(URL_VARIABLE, "")
    if not address:
        missing = next(file for file in dataset.files if not (dataset.place / file.unpacked).is_file())
        raise DataError(
            f"{dataset.name}: mira does not know where this set is kept; give the address of the folder with "
            f"{missing.name} by --base-url or {URL_VARIABLE}"
        )
    with alone_in(dataset.place, lambda: say(f"waiting for another mira, which is getting {dataset.name}")):
        for file in dataset.files:
            if not (dataset.place / file.unpacked).is_file():
                url = f"{address.rstrip('/')}/{quote(file.name)}"
                say(f"getting {url}")
                _get_file(dataset, file, url, wait_s, say, on_progress)
    return dataset.place


def _get_file(
    dataset: DataSet,
    file: DataFile,
    url: str,
    wait_s: float,
    say: Callable[[str], None],
    on_progress: Callable[[int, int | None], None],
) -> None:
    part = dataset.place / f"{file.name}.part"
    pin = f"{dataset.name}/{file.name}"
    pinned = _read_lock().get(pin, {})
    wanted = file.sha256 or pinned.get("sha256")
    found = download(url, part, size=file.bytes, sha256=wanted, wait_s=wait_s, on_progress=on_progress)
    size = part.stat().st_size
    if not file.is_near(size):
        say(f"{file.name}: has {size} bytes, where the book says {file.printed_size}")
    try:
        _put_in_place(part, dataset.place / file.unpacked, file)
    except DataError:
        part.unlink(missing_ok=True)
        raise
    if not wanted:
        say(f"{file.name}: SHA-256 {found}, trusted as the first one and pinned in {LOCK}")
    with alone_in(data_folder()):
        _write_lock(_read_lock() | {pin: {"sha256": found, "bytes": size, "url": url}})


def _put_in_place(part: Path, target: Path, file: DataFile) -> None:
    """Unpack if it is an archive, check that the head can be read, and only then give the file its name."""
    if not file.name.endswith(".zip"):
        _check_head(part, target)
        part.replace(target)
        return
    inside = part.with_name(part.name + ".d")
    try:
        inside.mkdir(exist_ok=True)
        unpacked = [path for path in unpack(part, inside) if path.suffix == target.suffix]
        if len(unpacked) != 1:
            raise DataError(f"{file.name}: holds {len(unpacked)} {target.suffix} files, expected one")
        _check_head(unpacked[0], target)
        unpacked[0].replace(target)
        part.unlink()
    finally:
        shutil.rmtree(inside, ignore_errors=True)


def _check_head(path: Path, target: Path) -> None:
    try:
        if target.suffix == ".pyjama":
            PyjamaReader(path)
        elif target.suffix == ".hdf5":
            AudioReader(path).close()
    except DataError as error:
        raise DataError(f"{target.name}: the server sent something else ({error})") from error


def _read_lock() -> dict[str, dict[str, Any]]:
    path = data_folder() / LOCK
    try:
        return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    except (OSError, ValueError) as error:
        raise DataError(f"{printable(path)}: cannot be read; mend it, or delete it to trust anew") from error


def _write_lock(lock: Mapping[str, Any]) -> None:
    with replacing(data_folder() / LOCK, force=True) as temporary:
        temporary.write_text(json.dumps(lock, indent=1, sort_keys=True) + "\n", encoding="utf-8")


# --- TOML ---


def _read(path: Path) -> dict[str, DataSet]:
    try:
        return _parse(path.read_text(encoding="utf-8"), path)
    except OSError as error:
        raise DataError(f"{printable(path)}: cannot read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{printable(path)}: not UTF-8 text; save it as UTF-8") from error


def _parse(text: str, path: Path) -> dict[str, DataSet]:
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise DataError(f"{printable(path)}: not valid TOML: {error}") from error
    return {name: _dataset(name, values, path) for name, values in raw.items()}


def _dataset(name: str, raw: Any, path: Path) -> DataSet:
    where = f"{printable(path)}: [{name}]"
    if not _is_plain(name):
        raise DataError(f"{where}: a name must be plain, without any of / \\ :")
    if not isinstance(raw, dict) or not isinstance(raw.get("files"), list):
        raise DataError(f"{where}: needs files = [{{ name = ... }}, ...]")
    values = dict(raw)
    values["files"] = tuple(_fill(DataFile, item, f"{where}: files") for item in raw["files"])
    for file in values["files"]:
        _check_file(file, where)
    for key in ("group", "apart", "stratum"):
        if key in values:
            values[key] = _fill(Grouping, values[key], f"{where}: {key}")
    if "folder" in values:
        values["folder"] = path.parent / str(values["folder"])
    return _fill(DataSet, values | {"name": name}, where)


def _fill(kind: Any, values: Any, where: str) -> Any:
    """Make a dataclass of a TOML table; the error for a wrong key names the nearest valid one."""
    if not isinstance(values, dict):
        raise DataError(f"{where}: must be a table such as {{ {dataclasses.fields(kind)[0].name} = ... }}")
    known = [f.name for f in dataclasses.fields(kind)]
    for key in values:
        if key not in known:
            raise DataError(f"{where}: unknown key '{key}'{nearest(key, known)}")
    try:
        return kind(**values)
    except TypeError as error:
        raise DataError(f"{where}: {error}") from error


def _check_file(file: DataFile, where: str) -> None:
    if not isinstance(file.name, str) or not _is_plain(file.name):
        raise DataError(f"{where}: files: '{file.name}' is not a plain file name")
    size = file.printed_size
    if size and (size[-1] not in _UNITS or not size[:-1].replace(".", "", 1).isdigit()):
        raise DataError(f"{where}: files: printed_size '{size}' must be a number and K, M or G")


def _is_plain(name: str) -> bool:
    return name not in ("", ".", "..") and not set(name) & set("/\\:\0")
