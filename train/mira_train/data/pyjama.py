"""The ``.pyjama`` format: one JSON file that declares the annotations of a data set and then holds them.

Entries are read and written one at a time, so the size of a file is no matter. All versions from 1.0 to 1.41
are read, with the old camel-case names and both orientations of breakpoint matrices; version 1.41 is written.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

from mira.errors import DataError
from mira.writers.text import printable

from mira_train.data.atomic import replacing
from mira_train.data.entries import (
    CONSTRAINTS,
    CONTENTS,
    EXTENTS,
    FILEPATH,
    Atom,
    Definition,
    Entry,
    Problem,
    fold,
    is_number,
    parse_entry,
    short,
)
from mira_train.data.json_stream import JsonStream

__all__ = ["Atom", "Definition", "Entry", "Problem", "PyjamaReader", "PyjamaWriter", "find_problems"]

VERSION = 1.41


class PyjamaReader:
    """A ``.pyjama`` file; iterating reads its entries one by one, each time from the start.

    Parameters
    ----------
    path
        The file.

    Raises
    ------
    DataError
        If the head of the file is not as the format says; while iterating, at an entry that cannot be used.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.version, self.definitions = _read_head(path)

    def __iter__(self) -> Iterator[Entry]:
        for entry, problems in self.inspect():
            for problem in problems:
                if problem.fatal:
                    raise DataError(self.describe(entry, problem))
            yield entry

    def inspect(self) -> Iterator[tuple[Entry, list[Problem]]]:
        """Yield each entry together with everything that is wrong with it."""
        for index, raw in enumerate(_raw_entries(self.path)):
            yield parse_entry(raw, index, self.definitions)

    def describe(self, entry: Entry, problem: Problem) -> str:
        """One line that names file, entry and field."""
        name = f" ({entry.filepath})" if entry.filepath else ""
        return f"{printable(self.path)}: entry {entry.index}{name}: {problem.field}: {problem.text}"


class PyjamaWriter:
    """Writes a ``.pyjama`` file entry by entry; it appears when the ``with`` block ends without an error.

    Parameters
    ----------
    path
        The file to be.
    definitions
        What the names mean.
    force
        Replace an existing file.

    Raises
    ------
    DataError
        If an entry is not as its definitions say.
    OutputError
        If the file cannot be written.
    """

    def __init__(self, path: Path, definitions: Mapping[str, Definition], *, force: bool = False) -> None:
        self._path = path
        # Matrices are stored with the dimensions as rows, whatever the file did that they came from.
        self._definitions = {name: replace(d, rows_first=True) for name, d in definitions.items()}
        self._force = force
        self._count = 0

    def __enter__(self) -> PyjamaWriter:
        self._exit = ExitStack()
        temporary = self._exit.enter_context(replacing(self._path, force=self._force))
        self._stream: TextIO = self._exit.enter_context(temporary.open("w", encoding="utf-8"))
        definitions = {name: d.to_json() for name, d in self._definitions.items()}
        head = {"schemaversion": VERSION, "collection": {"descriptiondefinition": definitions, "entry": []}}
        self._stream.write(_dump(head)[: -len("]}}")])
        return self

    def write(self, annotations: Mapping[str, Sequence[Atom]]) -> None:
        """Add one entry."""
        raw = {name: [atom.to_json() for atom in atoms] for name, atoms in annotations.items()}
        entry, problems = parse_entry(raw, self._count, self._definitions)
        if problems:
            where = f"{printable(self._path)}: entry {self._count} ({entry.filepath}): {problems[0].field}"
            raise DataError(f"{where}: {problems[0].text}; not written")
        try:
            self._stream.write(("," if self._count else "") + "\n" + _dump(raw))
        except UnicodeEncodeError:
            where = f"{printable(self._path)}: entry {self._count} ({printable(entry.filepath)})"
            raise DataError(
                f"{where}: a text is not valid Unicode; rename the file or mend the text"
            ) from None
        self._count += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self._exit.__exit__(kind, error, trace)
            return
        with self._exit:
            self._stream.write("\n]}}\n")


def find_problems(path: Path, limit: int = 100) -> list[str]:
    """Everything in a file that is not as the format says, one line each, at most ``limit`` lines."""
    lines: list[str] = []
    try:
        reader = PyjamaReader(path)
        first_with: dict[str, int] = {}
        for entry, problems in reader.inspect():
            key = entry.filepath
            if not key:
                problems.append(Problem(FILEPATH, "missing; every entry needs one"))
            elif first_with.setdefault(key, entry.index) != entry.index:
                problems.append(Problem(FILEPATH, f"the same as of entry {first_with[key]}"))
            lines += [reader.describe(entry, problem) for problem in problems]
            if len(lines) >= limit:
                return lines[:limit]
    except DataError as error:
        lines.append(str(error))
    return lines


def _read_head(path: Path) -> tuple[float, dict[str, Definition]]:
    """Version and definitions, wherever in the file they are."""
    version: float | None = None
    raw: Any = None
    with _open(path) as text:
        stream = JsonStream(text, path)
        for key in _sections(stream):
            if key == "schemaversion":
                version = _version(stream.value(), path)
            elif key == "descriptiondefinition":
                raw = stream.value()
            else:
                stream.skip()
            if version is not None and raw is not None:
                break
    if version is None or raw is None:
        missing = "schemaversion" if version is None else "collection.descriptiondefinition"
        raise DataError(f"{printable(path)}: {missing} is missing; this is not a .pyjama file")
    if not isinstance(raw, dict):
        raise DataError(f"{printable(path)}: collection.descriptiondefinition: must be an object")
    return version, {name: parse_definition(name, value, path) for name, value in raw.items()}


def _sections(stream: JsonStream) -> Iterator[str]:
    """Keys of the document and of its ``collection``, in lower case; the caller reads or skips each value."""
    for key in stream.members():
        if fold(key) == "collection" and stream.peek() == "{":
            for inner in stream.members():
                yield fold(inner)
        else:
            yield fold(key)


def _raw_entries(path: Path) -> Iterator[Any]:
    found = False
    with _open(path) as text:
        stream = JsonStream(text, path)
        for key in _sections(stream):
            if key == "entry" and stream.peek() == "[":
                found = True
                for _ in stream.items():
                    yield stream.value()
            else:
                stream.skip()
        stream.finish()
    if not found:
        raise DataError(f"{printable(path)}: collection.entry: must be a list of entries")


def _open(path: Path) -> TextIO:
    try:
        return path.open(encoding="utf-8-sig")
    except OSError as error:
        raise DataError(f"{printable(path)}: cannot read: {error.strerror}") from error


def _version(value: Any, path: Path) -> float:
    try:
        version = float("" if isinstance(value, bool) else value)
    except (TypeError, ValueError):
        raise DataError(f"{printable(path)}: schemaversion: {short(value)} is not a version") from None
    if not 1 <= version < 2:
        raise DataError(
            f"{printable(path)}: schemaversion: {version:g} is not known; mira reads 1.0 to {VERSION}"
        )
    return version


def parse_definition(name: str, raw: Any, path: Path) -> Definition:
    """Read the JSON form of a definition; ``path`` is for error messages.

    Raises
    ------
    DataError
        If it is not as the format says.
    """
    where = f"{printable(path)}: definition of '{name}'"
    if not isinstance(raw, dict):
        raise DataError(f"{where}: must be an object")
    fields = {fold(key): value for key, value in raw.items()}

    def choice(key: str, allowed: tuple[str, ...], default: str | None) -> str:
        value = fields.get(key.replace("_", ""), default)
        if value not in allowed:
            raise DataError(f"{where}: {key}: {short(value)} is not one of {', '.join(allowed)}")
        return value

    def names(key: str) -> tuple[Any, ...]:
        value = fields.get(key, ())
        return tuple(value) if isinstance(value, (list, tuple)) else (value,)

    rows_first = True if "rowname" in fields else False if "columnname" in fields else None
    definition = Definition(
        extent=choice("type_extent", EXTENTS, None),
        content=choice("type_content", CONTENTS, "text"),
        constraint=choice("type_constraint", CONSTRAINTS, "free"),
        dictionary=names("dictionary"),
        rows=tuple(str(n) for n in names("columnname" if rows_first is False else "rowname")),
        rows_first=rows_first,
        generator=fields.get("generator") or {},
        is_table=bool(fields.get("istable", True)),
        is_editable=bool(fields.get("iseditable", True)),
        is_filter=bool(fields.get("isfilter", True)),
    )
    if definition.constraint == "value_in_dictionary" and definition.content == "numeric":
        bounds = definition.dictionary
        if len(bounds) != 2 or not all(is_number(b) for b in bounds):
            raise DataError(f"{where}: dictionary: must be [lowest, highest] for numbers")
    return definition


def _dump(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)
