"""YAML whose values know the file and line they came from, so that an error can name it."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from mira.errors import DataError

Keys = tuple[str | int, ...]
"""Where a value lies: keys of mappings and positions in lists, from the top down."""


class _Loader(yaml.SafeLoader):
    """YAML 1.2 floats: ``1e-3`` is a number, not a text."""


_Loader.yaml_implicit_resolvers = {k: list(v) for k, v in yaml.SafeLoader.yaml_implicit_resolvers.items()}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?\d+(\.\d*)?[eE][-+]?\d+$"), list("-+0123456789")
)


@dataclass(frozen=True)
class Document:
    """Plain values and their places.

    Parameters
    ----------
    value
        Mappings, lists, texts and numbers.
    places
        Keys -> ``file, line n``.
    """

    value: Any
    places: Mapping[Keys, str]

    def where(self, keys: Keys) -> str:
        """File and line of the value at ``keys``, or of the nearest thing that holds it."""
        while keys not in self.places and keys:
            keys = keys[:-1]
        return self.places.get(keys, "the recipe")

    def error(self, keys: Keys, text: str) -> DataError:
        """An error about the value at ``keys`` that says where it is."""
        return DataError(f"{self.where(keys)}: {text}")


def nearest(name: str, known: Iterable[str]) -> str:
    """``; did you mean 'x'?`` or, where nothing is near, the whole list."""
    known = list(known)
    folded = {k.lower(): k for k in known}
    close = difflib.get_close_matches(name.lower(), folded, n=1)
    return f"; did you mean '{folded[close[0]]}'?" if close else f"; known are {', '.join(known)}"


def read(path: Path) -> Document:
    """Read one YAML file.

    Raises
    ------
    DataError
        If it is missing, is no YAML, or has a key twice; the text names the line.
    """
    try:
        return parse(path.read_text(encoding="utf-8"), path.name)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); give the path of a recipe") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: is not UTF-8 text; give the path of a recipe") from error


def parse(text: str, name: str) -> Document:
    """Parse YAML text; ``name`` is what errors call it."""
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        places: dict[Keys, str] = {}
        value = _build(loader, node, (), name, places) if node else {}
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise DataError(f"{name}{line}: not valid YAML: {error.problem}") from error
    except yaml.YAMLError as error:
        raise DataError(f"{name}: not valid YAML: {error}") from error
    finally:
        loader.dispose()
    return Document(value, places)


def _build(loader: _Loader, node: yaml.Node, keys: Keys, name: str, places: dict[Keys, str]) -> Any:
    places[keys] = f"{name}, line {node.start_mark.line + 1}"
    if isinstance(node, yaml.SequenceNode):
        return [_build(loader, child, (*keys, i), name, places) for i, child in enumerate(node.value)]
    if not isinstance(node, yaml.MappingNode):
        return loader.construct_object(node)
    out: dict[str, Any] = {}
    for key_node, child in node.value:
        key = str(loader.construct_object(key_node))
        if key in out:
            raise DataError(f"{name}, line {key_node.start_mark.line + 1}: '{key}' is there twice")
        out[key] = _build(loader, child, (*keys, key), name, places)
        places[(*keys, key)] = f"{name}, line {key_node.start_mark.line + 1}"
    return out


def merge(base: Document, top: Document) -> Document:
    """``base`` with what ``top`` says put over it: mappings key by key, anything else as a whole.

    A mapping whose ``type`` changes is another thing, and is replaced as a whole too.
    """
    places = dict(base.places)

    def over(low: Any, high: Any, keys: Keys) -> Any:
        if (
            isinstance(low, dict)
            and isinstance(high, dict)
            and low.get("type") == high.get("type", low.get("type"))
        ):
            return low | {k: over(low[k], v, (*keys, k)) if k in low else v for k, v in high.items()}
        for known in [k for k in places if k[: len(keys)] == keys]:
            del places[known]
        return high

    value = over(base.value, top.value, ())
    return Document(value, {**places, **top.places})
