"""Rules over tags, such as ``rock & voice > 0.7``: read into a tree, never run as code.

A rule is made of tags (``piano``, ``"french horn"``), comparisons with a probability (``voice > 0.7``; a tag
alone means at least 0.5), ``&`` or ``and``, ``|`` or ``or``, ``!`` or ``not``, and brackets.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from operator import ge, gt, le, lt

from mira.errors import UsageError

Rule = Callable[[Mapping[str, float]], bool]
"""Whether a recording with these probabilities is wanted."""

PROBABLE = 0.5
_COMPARE = {">": gt, ">=": ge, "<": lt, "<=": le}
_TOKEN = re.compile(
    r"""\s*(?:(>=|<=|[<>&|!()])|"([^"]*)"|'([^']*)'|(\d*\.?\d+)|([^\W\d][\w-]*(?:\s+[^\W\d][\w-]*)*))"""
)
_WORDS = {"and": "&", "or": "|", "not": "!"}


def parse(text: str, known: Collection[str] | None = None) -> Rule:
    """Read a rule; with ``known``, all its tags must be among them.

    Raises
    ------
    UsageError
        If it is none, or names a tag that is not ``known``; the text says where.
    """
    reader = _Reader(text, known)
    rule = reader.either()
    if reader.kind:
        raise reader.error("something is left over")
    return rule


class _Reader:
    """Recursive descent over the tokens of a rule; ``kind`` is empty at the end."""

    def __init__(self, text: str, known: Collection[str] | None) -> None:
        self.text, self.known = text, known
        self.tokens = _tokens(text)
        self.place = 0

    @property
    def kind(self) -> str:
        return self.tokens[self.place][0]

    def take(self) -> str:
        value = self.tokens[self.place][1]
        self.place += 1
        return value

    def error(self, what: str) -> UsageError:
        at = self.tokens[self.place][2]
        where = f"before '{self.text[at:]}'" if at < len(self.text) else "at the end"
        return UsageError(f"rule '{self.text}': {what} {where}; write it like: rock & voice > 0.7")

    def either(self) -> Rule:
        left = self.both()
        while self.kind == "|":
            self.take()
            left = _either(left, self.both())
        return left

    def both(self) -> Rule:
        left = self.one()
        while self.kind == "&":
            self.take()
            left = _both(left, self.one())
        return left

    def one(self) -> Rule:
        if self.kind == "!":
            self.take()
            inner = self.one()
            return lambda chances: not inner(chances)
        if self.kind == "(":
            self.take()
            inner = self.either()
            if self.kind != ")":
                raise self.error("a bracket is not closed")
            self.take()
            return inner
        return self.comparison()

    def comparison(self) -> Rule:
        if self.kind != "tag":
            raise self.error("a tag is missing")
        name = self.tokens[self.place][1]
        if self.known is not None and name not in self.known:
            raise self.error(f"no tag '{name}'; there are {', '.join(sorted(self.known))}:")
        self.take()
        compare, bound = ge, PROBABLE
        if self.kind in _COMPARE:
            compare = _COMPARE[self.take()]
            if self.kind != "number":
                raise self.error("a number is missing")
            bound = float(self.take())
        return lambda chances: compare(chances.get(name, 0.0), bound)


def _either(left: Rule, right: Rule) -> Rule:
    return lambda chances: left(chances) or right(chances)


def _both(left: Rule, right: Rule) -> Rule:
    return lambda chances: left(chances) and right(chances)


def _tokens(text: str) -> list[tuple[str, str, int]]:
    """Kind, value and place of each token; the last has no kind."""
    out, place = [], 0
    while text[place:].strip():
        match = _TOKEN.match(text, place)
        if match is None:
            raise UsageError(
                f"rule '{text}': cannot read '{text[place:].strip()}'; write it like: rock & voice > 0.7"
            )
        symbol, *quoted, number, words = match.groups()
        name = next((q for q in quoted if q is not None), None)
        start = match.start() + len(match[0]) - len(match[0].lstrip())
        if symbol or number:
            out.append((symbol or "number", symbol or number, start))
        elif name is not None:
            out.append(("tag", name, start))
        else:
            out += _named(words, start)
        place = match.end()
    return [*out, ("", "", len(text))]


def _named(words: str, start: int) -> list[tuple[str, str, int]]:
    """Tags of one or more words, parted by and, or, not."""
    out: list[tuple[str, str, int]] = []
    for part in re.finditer(r"\S+", words):
        word, at = part[0], start + part.start()
        if word.lower() in _WORDS:
            out.append((_WORDS[word.lower()], word, at))
        elif out and out[-1][0] == "tag":
            out[-1] = ("tag", f"{out[-1][1]} {word}", out[-1][2])
        else:
            out.append(("tag", word, at))
    return out
