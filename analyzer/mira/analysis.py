"""From audio to results, in steps that each can be used alone.

``Model.activations`` (array -> activations), ``Model.activations_of`` (file -> activations), ``Model.decode``
(activations -> result), ``Model.analyze`` (array or file -> result), ``Model.write`` (file -> file), and
:func:`analyze` for several tasks over one recording.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, overload

from mira.card import load_bytes
from mira.errors import AudioError, MiraError, ModelError, PluginError, UsageError
from mira.task import Activations, Task, make_settings, tuned

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

    from mira.audio import Audio
    from mira.card import Card
    from mira.plugins import Plugins
    from mira.results import Result
    from mira.session import Session
    from mira.writers import About

    Blocks: TypeAlias = Iterable[NDArray[np.float32]]

T = TypeVar("T")
Source: TypeAlias = "str | os.PathLike[str] | ArrayLike"


class Model:
    """One task, ready to listen. Use it in a ``with`` statement, or :meth:`close` it, to free its memory.

    Parameters
    ----------
    task
        What to listen for.
    threads
        Threads of onnxruntime; all cores if None.
    provider
        Execution provider of onnxruntime; the CPU if None.
    needs
        The models of the tasks that ``task.needs`` names.
    """

    def __init__(
        self,
        task: Task,
        *,
        threads: int | None = None,
        provider: str | None = None,
        needs: Mapping[str, Model] | None = None,
    ) -> None:
        self.task = task
        self.needs = dict(needs or {})
        self._session: Session | None = None
        self._card: Card | None = None
        if task.model is not None and task.activate is None:
            from mira.session import Session

            self._session = Session(task.model, threads=threads, provider=provider)
            self._card = self._session.card
        elif task.model is not None:
            self._card, _ = load_bytes(task.model)

    def __enter__(self) -> Model:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Free the model and those that it needs; it cannot listen any more."""
        self._session = None
        for model in self.needs.values():
            model.close()

    @property
    def sample_rate(self) -> int:
        """The rate in Hz at which it listens."""
        if self._session is not None:
            return self._session.card.sample_rate
        return self.task.sample_rate or 44100

    @property
    def identity(self) -> dict[str, str]:
        """Name and version of the model file; empty for a task without one."""
        return {"name": self._card.name, "version": self._card.version} if self._card else {}

    def activations(self, samples: ArrayLike, sample_rate: int) -> Activations:
        """Listen to an array of shape (n,) or (n, channel) at ``sample_rate`` Hz."""
        return self._activations(samples, sample_rate)

    def activations_of(self, path: str | os.PathLike[str]) -> Activations:
        """Listen to a file.

        Raises
        ------
        AudioError
            If it holds no audio that can be read.
        """
        return self._activations(path, None)

    def decode(self, activations: Activations, **settings: Any) -> Result:
        """Turn activations into the task's result.

        Raises
        ------
        UsageError
            For a setting that the task has not, or a value out of bounds.
        """
        wanted = tuned(make_settings(self.task, settings), activations.defaults)
        try:
            result = self.task.decode(activations, wanted)
        except (MiraError, MemoryError):
            raise
        except Exception as error:
            raise _plugin_error(self.task, "decoding", error) from error
        _check_finite(self.task, result)
        return result

    def analyze(self, source: Source, sample_rate: int | None = None, **settings: Any) -> Result:
        """Listen to a file, or to an array at ``sample_rate`` Hz, and return what the task heard."""
        make_settings(self.task, settings)
        return self.decode(self._activations(source, sample_rate), **settings)

    def write(
        self,
        path: str | os.PathLike[str],
        target: str | os.PathLike[str],
        *,
        format: str | None = None,
        force: bool = False,
        **settings: Any,
    ) -> Result:
        """Listen to a file and write the result to ``target``, whose suffix picks the format.

        Raises
        ------
        OutputError
            If ``target`` exists and ``force`` is not given, or it cannot be written.
        """
        from mira.plugins import load_plugins
        from mira.writers import builtin_writers, check_target, find_writer, write_file

        out = os.fspath(target)
        writers = [*load_plugins().writers, *builtin_writers()]
        writer = find_writer(self.task.result, suffix=out, format=format, writers=writers)
        check_target(out, force)
        activations = self._activations(path, None)
        result = self.decode(activations, **settings)
        write_file(result, out, self.about(os.fspath(path), activations, settings), writer, force=force)
        return result

    def about(self, path: str, activations: Activations, settings: Mapping[str, Any]) -> About:
        """Say where a result comes from, with the settings that were in force."""
        from mira.writers import About

        wanted = tuned(make_settings(self.task, settings), activations.defaults)
        return About(path, self.task.name, self.identity, dataclasses.asdict(wanted))

    def recognise(self, blocks: Blocks) -> Activations:
        """Listen to blocks of float32 mono samples at :attr:`sample_rate`; the lowest rung."""
        if self._session is not None:
            return self._session.run(blocks)
        if self.task.activate is None:
            raise UsageError(f"{self.task.name}: this model is closed")
        try:
            return self.task.activate(blocks, self.sample_rate)
        except (MiraError, MemoryError):
            raise
        except Exception as error:
            raise _plugin_error(self.task, "listening", error) from error

    def _activations(self, source: Source, sample_rate: int | None) -> Activations:
        heard, _ = listen(opener(source, sample_rate), {self.task.name: self})
        activations = heard[self.task.name]
        if isinstance(activations, Exception):
            raise activations
        return activations


def load_model(task: str, *, threads: int | None = None, provider: str | None = None) -> Model:
    """Load the model of a task, and of the tasks that it needs.

    Parameters
    ----------
    task
        Name of a task, such as ``mpe``; ``mira plugins`` lists them.
    threads
        Threads of onnxruntime; all cores if None.
    provider
        Execution provider of onnxruntime; the CPU if None.

    Raises
    ------
    UsageError
        If there is no such task or provider.
    ModelError
        If the model file is missing, damaged, or made for another version of mira.

    Examples
    --------
    >>> with mira.load_model("mpe") as model:  # doctest: +SKIP
    ...     notes = model.analyze("song.wav")
    """
    from mira.plugins import load_plugins

    return _load(load_plugins(), task, (), threads, provider)


@cache
def shared_model(task: str, threads: int | None = None, provider: str | None = None) -> Model:
    """Load a model once per process; it stays in memory and is shared. Otherwise as :func:`load_model`."""
    return load_model(task, threads=threads, provider=provider)


def _load(
    plugins: Plugins, name: str, above: tuple[str, ...], threads: int | None, provider: str | None
) -> Model:
    if name in above:
        raise PluginError(f"{name}: tasks need each other in a circle: {' -> '.join((*above, name))}")
    task = plugins.task(name)
    needs = {n: _load(plugins, n, (*above, name), threads, provider) for n in task.needs}
    return Model(task, threads=threads, provider=provider, needs=needs)


@overload
def analyze(
    source: Source,
    tasks: str,
    *,
    sample_rate: int | None = None,
    threads: int | None = None,
    provider: str | None = None,
    **settings: Any,
) -> Result: ...
@overload
def analyze(
    source: Source,
    tasks: list[str] | tuple[str, ...],
    *,
    sample_rate: int | None = None,
    threads: int | None = None,
    provider: str | None = None,
    **settings: Any,
) -> dict[str, Result]: ...
def analyze(
    source: Source,
    tasks: str | list[str] | tuple[str, ...],
    *,
    sample_rate: int | None = None,
    threads: int | None = None,
    provider: str | None = None,
    **settings: Any,
) -> Result | dict[str, Result]:
    """Listen to one recording and write down what is heard.

    Parameters
    ----------
    source
        Path of a file, or samples of shape (n,) or (n, channel).
    tasks
        Name of one task, or several names. Several share one decoding of the file wherever their models
        listen at the same rate.
    sample_rate
        Rate of ``source`` in Hz where it is an array.
    threads, provider
        As for :func:`load_model`.
    **settings
        Settings of the task. With several tasks, give each its own as ``task={"name": value}``; a plain
        ``name=value`` goes to every task that has such a setting.

    Returns
    -------
    The result of the one task, or a dictionary of task name -> result.

    Raises
    ------
    UsageError
        For an unknown task or setting.
    AudioError
        If ``source`` holds no audio that can be read.
    ModelError
        If a model file cannot be used.

    Examples
    --------
    >>> mira.analyze("song.wav", "mpe", min_duration=0.05)  # doctest: +SKIP
    >>> mira.analyze("song.wav", ["mpe", "chords"], mpe={"min_duration": 0.05})  # doctest: +SKIP
    """
    names = [tasks] if isinstance(tasks, str) else list(dict.fromkeys(tasks))
    models = {name: shared_model(name, threads, provider) for name in names}
    each = _settings_of(models, settings)
    for name, model in models.items():
        make_settings(model.task, each[name])
    heard, _ = listen(opener(source, sample_rate), models)
    results: dict[str, Result] = {}
    for name, activations in heard.items():
        if isinstance(activations, Exception):
            raise activations
        results[name] = models[name].decode(activations, **each[name])
    return results[tasks] if isinstance(tasks, str) else results


def _settings_of(models: Mapping[str, Model], given: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Deal the settings out to the tasks."""
    fields = {name: {f.name for f in dataclasses.fields(m.task.settings)} for name, m in models.items()}
    each: dict[str, dict[str, Any]] = {name: {} for name in models}
    for key, value in given.items():
        takers = [name for name in models if key in fields[name]]
        if len(models) == 1 and not takers:
            takers = list(models)  # which then says what settings it has
        if key in models and isinstance(value, Mapping):
            each[key] |= value
        elif takers:
            for name in takers:
                each[name][key] = value
        else:
            raise UsageError(f"none of the tasks {', '.join(models)} has a setting '{key}'")
    return each


def opener(
    source: Source, sample_rate: int | None = None, raw_rate: int | None = None
) -> Callable[[int], Audio]:
    """Return a function that opens ``source`` at a given rate.

    Raises
    ------
    UsageError
        If an array comes without its rate.
    """
    from mira import audio

    if isinstance(source, (str, os.PathLike)):
        path = os.fspath(source)
        return lambda rate: audio.open_audio(path, rate, raw_rate=raw_rate)
    if sample_rate is None:
        raise UsageError("an array needs sample_rate=, the rate of its samples in Hz")
    return lambda rate: audio.from_array(source, sample_rate, rate)


def listen(
    open_at: Callable[[int], Audio], models: Mapping[str, Model]
) -> tuple[dict[str, Activations | Exception], list[str]]:
    """Run models over one recording, decoding it once for each rate that they listen at.

    Parameters
    ----------
    open_at
        Opens the recording at a rate; see :func:`opener`.
    models
        The models by task name; those that they need run along, each once.

    Returns
    -------
    heard
        Task name -> activations, or the exception that ended this task.
    warnings
        What is wrong with the recording, one line each.

    Raises
    ------
    AudioError
        If the recording cannot be read; this ends all tasks.
    """
    everyone = _with_needs(models)
    heard: dict[str, Activations | Exception] = {}
    warnings: dict[str, None] = {}
    for rate in sorted({m.sample_rate for m in everyone.values()}):
        consumers = {name: m.recognise for name, m in everyone.items() if m.sample_rate == rate}
        with open_at(rate) as audio:
            heard |= _fan_out(audio, consumers)
            warnings |= dict.fromkeys(audio.warnings)
    return {name: _hand_over(model, heard) for name, model in models.items()}, list(warnings)


def _with_needs(models: Mapping[str, Model]) -> dict[str, Model]:
    everyone: dict[str, Model] = {}
    for name, model in models.items():
        everyone |= _with_needs(model.needs)
        everyone[name] = model
    return everyone


def _hand_over(model: Model, heard: Mapping[str, Activations | Exception]) -> Activations | Exception:
    """Put the activations of the needed tasks into those of the task."""
    own = heard[model.task.name]
    needed = {name: _hand_over(m, heard) for name, m in model.needs.items()}
    for outcome in (own, *needed.values()):
        if isinstance(outcome, Exception):
            return outcome
    return dataclasses.replace(own, needed=needed) if needed else own  # type: ignore[arg-type]


def _fan_out(blocks: Iterable[T], consumers: Mapping[str, Callable[[Iterable[T]], Any]]) -> dict[str, Any]:
    """Feed the same blocks to several consumers, each in its thread; a short queue keeps memory constant.

    An exception of a consumer becomes its result; one of ``blocks`` is raised.
    """
    if len(consumers) == 1:
        [(name, consume)] = consumers.items()
        try:
            return {name: consume(blocks)}
        except AudioError:
            raise
        except Exception as error:  # handed over as this consumer's result
            return {name: error}
    from queue import Queue
    from threading import Thread

    results: dict[str, Any] = {}
    queues: list[Queue[T | None]] = []
    threads: list[Thread] = []

    def work(name: str, consume: Callable[[Iterable[T]], Any], mine: Queue[T | None]) -> None:
        stream = _until_none(mine)
        try:
            results[name] = consume(stream)
        except Exception as error:  # handed over as this consumer's result
            results[name] = error
        for _ in stream:  # whatever a consumer left, so that the others are not held up
            pass

    for name, consume in consumers.items():
        queues.append(Queue(maxsize=4))
        threads.append(Thread(target=work, args=(name, consume, queues[-1]), daemon=True))
        threads[-1].start()
    try:
        for block in blocks:
            for queue in queues:
                queue.put(block)
    finally:
        for queue in queues:
            queue.put(None)
        for thread in threads:
            thread.join()
    return results


def _until_none(queue: Any) -> Iterator[Any]:
    while (block := queue.get()) is not None:
        yield block


def _plugin_error(task: Task, doing: str, error: Exception) -> PluginError:
    return PluginError(f"{task.name}: {doing} failed: {type(error).__name__}: {error}")


def _check_finite(task: Task, result: Result) -> None:
    """Refuse results with NaN or infinity, whatever the decoder made of the activations."""
    import numpy as np

    for field in dataclasses.fields(result):
        value = getattr(result, field.name)
        for array in value if isinstance(value, tuple) else (value,):
            if isinstance(array, (np.ndarray, float)) and not np.all(np.isfinite(array)):
                raise ModelError(f"{task.name}: {field.name} of the result has values that are not finite")
