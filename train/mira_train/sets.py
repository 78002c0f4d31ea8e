"""The recordings that a recipe learns from: which there are, and who trains, validates and tests."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mira.errors import DataError
from mira.writers.text import printable

from mira_train.data.entries import Entry
from mira_train.data.hdf5 import AudioReader
from mira_train.data.pyjama import PyjamaReader
from mira_train.data.registry import DataFile, DataSet, find_set
from mira_train.data.splits import Grouping, Split, split_groups
from mira_train.recipe import SplitRule
from mira_train.synth.output import MANIFEST

WORKS = ("work", "work-id")
"""The annotations by which a set that is not in the registry is split, where it has one of them."""


@dataclass(frozen=True)
class Recording:
    """One recording of a data set.

    Parameters
    ----------
    dataset
        The set it belongs to.
    key
        Its name in ``samples``.
    entry
        What is known of it.
    samples
        The ``.hdf5`` file with its audio or features.
    """

    dataset: DataSet
    key: str
    entry: Entry
    samples: Path

    @property
    def name(self) -> str:
        """Its name among all sets, as splits store it."""
        return f"{self.dataset.name}/{self.key}"


def find_sets(names: Sequence[str]) -> list[DataSet]:
    """Find data sets.

    Parameters
    ----------
    names
        Names of the registry, .toml files that describe a set, .pyjama files, or folders that hold some.

    Raises
    ------
    UsageError
        If the registry has no such set.
    DataError
        If a file or folder is not a data set.
    """
    found: list[DataSet] = []
    for name in names:
        path = Path(name)
        if path.is_dir():
            files = sorted(path.glob("*.pyjama"))
            if not files:
                raise DataError(f"{printable(path)}: holds no .pyjama file; make one: mira data convert")
            found += [_described_by(file) for file in files]
        else:
            found.append(_described_by(path) if path.suffix == ".pyjama" else find_set(name))
    return found


def _described_by(pyjama: Path) -> DataSet:
    """A set that lies on the disk without a description of its own."""
    names = [pyjama.stem + ending for ending in ("_audio.hdf5", "_feat.hdf5", ".hdf5")]
    here = [name for name in names if (pyjama.parent / name).is_file()]
    if not here:
        raise DataError(f"{printable(pyjama)}: its {names[0]} is not beside it; put it there")
    definitions = PyjamaReader(pyjama).definitions
    group = Grouping(next((name for name in WORKS if name in definitions), "filepath"))
    return DataSet(
        pyjama.stem, (DataFile(pyjama.name), DataFile(here[0])), group=group, folder=pyjama.absolute().parent
    )


def sources(dataset: DataSet) -> list[dict[str, str]]:
    """What a set is made of, each with ``name`` and ``terms``: of a rendered one all in its manifest."""
    path = dataset.place / MANIFEST
    if dataset.folder is None or not path.is_file():
        return [{"name": dataset.name, "terms": dataset.terms}]
    try:
        listed = json.loads(path.read_text(encoding="utf-8"))["sources"]
        return [
            {"name": f"{dataset.name}: {item['kind']} {item['name']}", "terms": item["licence"]}
            for item in listed
        ]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{printable(path)}: damaged ({error}); render the set again") from error


def recordings(sets: Sequence[DataSet], target: str = "") -> list[Recording]:
    """All recordings that have the annotation ``target`` (empty: all there are), in the order of the files.

    Raises
    ------
    DataError
        If a file is not there or damaged, a key is missing from it, or no recording has the annotation.
    """
    found = []
    for dataset in sets:
        samples = dataset.path(".hdf5")
        with AudioReader(samples) as reader:
            for entry in PyjamaReader(dataset.path(".pyjama")):
                if target and not entry[target]:
                    continue
                atoms = entry[dataset.key]
                key = str(atoms[0].value) if atoms else ""
                if key not in reader:
                    where = f"{printable(dataset.path('.pyjama'))}: entry {entry.index}: {dataset.key}"
                    raise DataError(
                        f"{where}: '{printable(key)}' is not in {samples.name}; get the set again"
                    )
                found.append(Recording(dataset, key, entry, samples))
    if not found:
        wanted = f"has an annotation '{target}'" if target else "is there"
        raise DataError(f"{', '.join(s.name for s in sets)}: no recording {wanted}; choose another set")
    return found


def divide(
    items: Sequence[Recording], rule: SplitRule, whole: Callable[[Recording], str] | None = None
) -> Split:
    """Split recordings as a recipe says.

    Parameters
    ----------
    items
        In the order of the files.
    rule
        By group, or every so many-th one.
    whole
        What is never divided by position (a work); each recording by itself if not given.

    Raises
    ------
    DataError
        If there are too few groups.
    """
    if rule.by == "position":
        return _by_position(items, rule, whole)
    groups, apart, strata = {}, {}, {}
    for item in items:
        own, name = item.dataset, item.name
        groups[name] = f"{own.name}/{own.group.of(item.entry)}"
        apart[name] = own.apart.of(item.entry) if own.apart else name
        strata[name] = own.stratum.of(item.entry) if own.stratum else ""
    return split_groups(groups, apart=apart, strata=strata, valid=rule.valid, test=rule.test)


def _by_position(
    items: Sequence[Recording], rule: SplitRule, whole: Callable[[Recording], str] | None
) -> Split:
    """As the book does it: of the units in order every ``1 / valid``-th one validates, nobody tests."""
    units = {item.name: whole(item) if whole else item.name for item in items}
    order = sorted(set(units.values())) if whole else list(units)
    step = round(1 / rule.valid)
    held = set(order[::step])
    parts = {part: tuple(n for n, u in units.items() if (u in held) == part) for part in (True, False)}
    if not parts[False]:
        raise DataError("split: every recording validates and none is left to train on; add recordings")
    return Split(train=parts[False], valid=parts[True], test=())
