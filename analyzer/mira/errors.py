"""Errors with the exit code that the command line gives them.

Every message is one line: what is wrong, where, and what to do about it.
"""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """Exit codes of the ``mira`` command."""

    OK = 0
    """Everything asked for was done."""
    BUG = 1
    """The program is wrong; ``--debug`` shows where."""
    USAGE = 2
    """The command was used wrongly, or a plugin that it names is not there."""
    FAILED = 3
    """At least one input failed: missing, unreadable, refused to overwrite, not writable."""
    INTERRUPTED = 130
    """Stopped by the user (Ctrl-C)."""


class MiraError(Exception):
    """Something that the user can mend; its text is the one line they see."""

    exit_code = Exit.FAILED


class UsageError(MiraError):
    """The caller asked for something that does not exist or cannot be combined."""

    exit_code = Exit.USAGE


class AudioError(MiraError):
    """An input holds no audio that can be read."""


class ModelError(MiraError):
    """A model file is missing, damaged, or made for another version of mira."""


class PluginError(MiraError):
    """A plugin broke its contract."""


class OutputError(MiraError):
    """A result cannot be written where it should go."""


class DataError(MiraError):
    """A data set, annotation or recipe is not in the form it should have."""
