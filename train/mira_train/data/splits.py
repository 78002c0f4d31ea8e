"""Who trains, who validates, who tests: whole groups (artists, works, pianos), decided by a hash.

The hash makes a split the same on every machine and in every process; it is stored with the run all the
same, so that a checkpoint is never scored on what it was trained on.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from mira.errors import DataError
from mira.writers.text import printable

from mira_train.data.atomic import replacing
from mira_train.data.entries import Entry

FORMAT = 1


@dataclass(frozen=True)
class Grouping:
    """How to read the group of a recording from its entry.

    Parameters
    ----------
    field
        Name of an annotation; its first value counts.
    pattern
        A regular expression, found anywhere in the value; its bracketed parts are the group. Empty for the
        whole value.
    """

    field: str
    pattern: str = ""

    def of(self, entry: Entry) -> str:
        """The group.

        Raises
        ------
        DataError
            If the entry lacks the annotation or the pattern is not in it.
        """
        atoms = entry[self.field]
        if not atoms:
            raise DataError(
                f"entry {entry.index} ({entry.filepath}): {self.field}: missing; the split needs it"
            )
        value = str(atoms[0].value)
        if not self.pattern:
            return value
        match = re.search(self.pattern, value)
        if not match:
            where = f"entry {entry.index} ({entry.filepath}): {self.field}"
            raise DataError(f"{where}: '{value}' does not match {self.pattern}; the split needs it")
        return " ".join(match.groups() or (match[0],))


@dataclass(frozen=True)
class Split:
    """Keys of the recordings of each part, sorted.

    Parameters
    ----------
    train, valid, test
        What is learned from; what stops the training and chooses the checkpoint; what is scored once.
    dropped
        Recordings left out, because they share something with a part that is held out.
    """

    train: tuple[str, ...]
    valid: tuple[str, ...]
    test: tuple[str, ...]
    dropped: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        keys = [*self.train, *self.valid, *self.test, *self.dropped]
        if len(keys) != len(set(keys)):
            twice = next(key for key in keys if keys.count(key) > 1)
            raise DataError(f"split: '{printable(twice)}' is in two parts; each recording may be in one")

    def check(self, keys: Iterable[str]) -> None:
        """Check that every recording of the split is among ``keys``.

        Raises
        ------
        DataError
            If one is missing.
        """
        missing = sorted({*self.train, *self.valid, *self.test} - set(keys))
        if missing:
            raise DataError(
                f"split: {len(missing)} of its recordings are not in the data, first "
                f"'{printable(missing[0])}'; use the data that the split was made for"
            )

    def save(self, path: Path) -> None:
        """Write the split as JSON; an existing one is replaced."""
        with replacing(path, force=True) as temporary:
            text = json.dumps({"mira_split": FORMAT, **asdict(self)}, ensure_ascii=False, indent=1)
            temporary.write_text(text + "\n", encoding="utf-8")

    @staticmethod
    def load(path: Path) -> Split:
        """Read a split that was saved.

        Raises
        ------
        DataError
            If the file is missing or is no split.
        """
        try:
            raw = json.loads(path.read_text(encoding="utf-8"))
            if raw.pop("mira_split") != FORMAT:
                raise ValueError("made by another version of mira")
            return Split(**{name: tuple(map(str, keys)) for name, keys in raw.items()})
        except OSError as error:
            raise DataError(f"{printable(path)}: cannot read the split: {error.strerror}") from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise DataError(f"{printable(path)}: not a split of mira: {error}") from error


def split_groups(
    groups: Mapping[str, str],
    *,
    apart: Mapping[str, str] | None = None,
    strata: Mapping[str, str] | None = None,
    valid: float = 0.1,
    test: float = 0.1,
    salt: str = "",
) -> Split:
    """Split recordings by whole groups.

    Parameters
    ----------
    groups
        Key of a recording -> its group (artist, work, piano...).
    apart
        Key -> a second thing that must not be shared either, for instance the piece where the group is the
        piano. Where a recording shares it with a part that is held out, it is dropped.
    strata
        Key -> stratum (genre...); groups are dealt out within each, so that every part has every stratum. A
        group belongs to the stratum of its first key.
    valid, test
        Share of the groups held out; one group at least each.
    salt
        Another text gives another split.

    Raises
    ------
    DataError
        If a stratum has fewer than three groups.
    """
    part_of: dict[str, str] = {}
    for stratum, names in _strata(groups, strata or {}).items():
        if len(names) < 3:
            where = f" in '{stratum}'" if stratum else ""
            raise DataError(
                f"split: only {len(names)} groups{where}, but training, validation and test need one each"
            )
        ranked = sorted(names, key=lambda name: _hash(f"{salt}\n{name}"))
        n_test, n_valid = max(1, round(test * len(names))), max(1, round(valid * len(names)))
        if n_test + n_valid >= len(names):
            raise DataError(
                f"split: valid {valid:g} and test {test:g} leave no group of {len(names)} to train on"
            )
        for rank, name in enumerate(ranked):
            part_of[name] = "test" if rank < n_test else "valid" if rank < n_test + n_valid else "train"
    parts: dict[str, list[str]] = {"train": [], "valid": [], "test": [], "dropped": []}
    for key in sorted(groups):
        parts[part_of[groups[key]]].append(key)
    if apart:
        _hold_apart(parts, apart)
    return Split(**{name: tuple(keys) for name, keys in parts.items()})


def _strata(groups: Mapping[str, str], strata: Mapping[str, str]) -> dict[str, list[str]]:
    first_key: dict[str, str] = {}
    for key in sorted(groups):
        first_key.setdefault(groups[key], key)
    out: dict[str, list[str]] = defaultdict(list)
    for name, key in first_key.items():
        out[strata.get(key, "")].append(name)
    return out


def _hold_apart(parts: dict[str, list[str]], apart: Mapping[str, str]) -> None:
    """Drop from each part what the parts held out more strictly also have."""
    taken: set[str] = set()
    for name in ("test", "valid", "train"):
        kept = [key for key in parts[name] if apart[key] not in taken]
        parts["dropped"] += [key for key in parts[name] if apart[key] in taken]
        taken |= {apart[key] for key in kept}
        parts[name] = kept
    parts["dropped"].sort()


def _hash(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()
