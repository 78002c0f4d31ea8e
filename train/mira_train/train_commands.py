"""``mira train``, ``evaluate``, ``export``, ``data synth``; each imports what it needs when it runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from mira.cli.console import say
from mira.errors import UsageError

from mira_train.commands import Workshop

_TASK = Annotated[str, typer.Argument(metavar="TASK", help="For instance mpe or chords.")]
_SET = Annotated[
    list[str],
    typer.Option("--set", metavar="KEY=VALUE", help="Put a value of the recipe, as training.epochs=3."),
]
_RECIPE = Annotated[str, typer.Option(metavar="NAME", help="A recipe of the task, or a .yaml file.")]
_DATA = Annotated[
    list[str],
    typer.Option(
        metavar="SET", help="A data set by name, a .pyjama file, or a folder; several may be given."
    ),
]
_FORCE = Annotated[bool, typer.Option("--force", help="Overwrite what is there.")]


def register(app: typer.Typer, data: typer.Typer) -> None:
    """Add the commands to mira's, and ``synth`` to those of ``mira data``."""
    app.command("train", help="Train a network.")(_train)
    app.command("evaluate", help="Score a model on recordings with known answers.")(_evaluate)
    app.command("export", help="Make a model file of a trained network.")(_export)
    data.command("synth", help="Render scores into a data set with labels.")(_synth)


def _train(
    task: _TASK,
    recipe: _RECIPE = "",
    data: _DATA = [],  # noqa: B006
    sets: _SET = [],  # noqa: B006
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder of the run; else runs/TASK-RECIPE.")
    ] = None,
    demo: Annotated[
        bool, typer.Option("--demo", help="Train a toy on a set that mira makes itself.")
    ] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on after the last finished epoch.")] = False,
    force: _FORCE = False,
    encoder: Annotated[
        Path | None, typer.Option(metavar="RUN", help="Run of the recipe that this one stands on.")
    ] = None,
    weights: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Go on from these weights instead of from random ones."),
    ] = None,
    devices: Annotated[int, typer.Option(metavar="N", min=1, help="Processes or GPUs.")] = 1,
    strategy: Annotated[str, typer.Option(metavar="NAME", help="ddp for several devices.")] = "auto",
) -> None:
    with Workshop():
        from pytorch_lightning.utilities import rank_zero_only

        from mira_train.demo import RECIPE
        from mira_train.fit import fit
        from mira_train.plugin import find_training
    if resume and force:
        raise UsageError("--resume goes on and --force starts anew; give one of them")
    if resume and weights:
        raise UsageError("--resume goes on from the run's own weights; leave out --weights")
    if strategy not in ("auto", "ddp"):
        raise UsageError(f"--strategy is '{strategy}', but must be auto or ddp")
    training = find_training(task)
    if demo:
        _check_demo(training.module, task, recipe, data)
        recipe = RECIPE
    told = training.recipe(recipe, sets)
    folder = out or Path("runs") / f"{training.task}-{told.name}"
    if demo:
        say("making a small data set")
        data = [str(training.module.DEMO.make(folder / "data"))]  # type: ignore[attr-defined]
        folder = folder / "run"
        force = force or not resume
    outcome = fit(
        training,
        told,
        data,
        folder,
        encoder=encoder,
        weights=weights,
        resume=resume,
        force=force,
        devices=devices,
        strategy=strategy,  # type: ignore[arg-type]
        accelerator="cpu" if demo else "auto",
        say=say,
    )
    if rank_zero_only.rank:
        return
    losses = outcome.losses
    say(f"loss {losses[0]:.4f} after the first epoch, {losses[-1]:.4f} after the last of {len(losses)}")
    say(f"best {told.training.monitor}: {outcome.best:.4f}")
    say(f"waited for data: {outcome.waiting:.1%} of the steps' time")
    if demo:
        _show(task, folder, Path(data[0]))
    print(folder)


def _check_demo(module: object, task: str, recipe: str, data: list[str]) -> None:
    if not hasattr(module, "DEMO"):
        raise UsageError(f"{task} has no demo; its training.py would need a DEMO")
    if recipe or data:
        raise UsageError("--demo brings its own recipe and data; leave out --recipe and --data")


def _show(task: str, run: Path, pyjama: Path) -> None:
    """Export the toy, and let it listen to a recording through onnxruntime as every model does."""
    from mira_export.export import export

    from mira_train.demo import listen

    model, difference = export(task, run, force=True)
    say(f"exported {model}, which differs from torch by at most {difference:.1g}")
    say(listen(model, pyjama))


def _export(
    task: _TASK,
    source: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a run, or a file with weights.")],
    out: Annotated[
        Path | None, typer.Option("-o", "--out", metavar="FILE", help="The .onnx file; else in the run.")
    ] = None,
    recipe: _RECIPE = "",
    sets: _SET = [],  # noqa: B006
    version: Annotated[str, typer.Option(metavar="TEXT", help="Version of the model, for its card.")] = "1.0",
    force: _FORCE = False,
) -> None:
    with Workshop():
        from mira_export.export import export
    path, difference = export(task, source, out, recipe=recipe, overrides=sets, version=version, force=force)
    say(f"differs from torch by at most {difference:.1g}")
    print(path)


def _evaluate(
    task: _TASK,
    data: _DATA,
    model: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A model file; else the installed one.")
    ] = None,
    csv: Annotated[Path | None, typer.Option(metavar="FILE", help="Write a line for each recording.")] = None,
    plots: Annotated[Path | None, typer.Option(metavar="DIR", help="Draw pictures into a folder.")] = None,
    stamp: Annotated[bool, typer.Option("--stamp", help="Write the scores into the model's card.")] = False,
    tune: Annotated[
        bool, typer.Option("--tune", help="First tune the decoder on this data, into the model's card.")
    ] = False,
    features: Annotated[
        bool, typer.Option("--features", help="DATA is a folder of stored features, not of audio.")
    ] = False,
    fold: Annotated[int, typer.Option(metavar="N", min=0, help="Fold of the stored features.")] = 4,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")] = False,
    force: _FORCE = False,
) -> None:
    if features:
        from mira_train.stored import evaluate_stored, table

        if len(data) != 1 or csv or plots or stamp or tune:
            raise UsageError("--features takes one folder and --fold, --model and --json alone")
        scores = evaluate_stored(task, Path(data[0]), fold, model)
        print(json.dumps({"scores": scores}) if as_json else table(scores))
        return
    with Workshop():
        from mira_train import evaluate as evaluation
    if (stamp or tune) and model is None:
        raise UsageError("--stamp and --tune write into a model file; name it with --model")
    if tune and model is not None:
        tuned = evaluation.tune(task, data, model)
        say(", ".join(f"{name} = {value}" for name, value in tuned.items()))
    report = evaluation.evaluate(task, data, model, plots=plots, say=say)
    if csv is not None:
        evaluation.write_csv(report, csv, force=force)
    if stamp and model is not None:
        evaluation.write_scores(report, model)
    print(json.dumps(report.to_dict()) if as_json else report.table())


def _synth(
    out: Annotated[
        Path, typer.Argument(metavar="OUT", help="Folder to be made, for the data set and its manifest.")
    ],
    midi: Annotated[Path, typer.Option(metavar="DIR", help="MIDI files, or archives with an index.csv.")],
    soundfont: Annotated[list[Path], typer.Option(metavar="FILE", help="A SoundFont; several may be given.")],
    hours: Annotated[float, typer.Option(metavar="H", min=0, help="How much to render.")],
    notes: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Recorded single notes with an index.csv.")
    ] = None,
    rooms: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Impulse responses with an index.csv.")
    ] = None,
    codecs: Annotated[
        bool, typer.Option("--codecs", help="Send a quarter of the clips through MP3, Vorbis or Opus.")
    ] = False,
    sample_rate: Annotated[
        int, typer.Option(metavar="HZ", min=8000, max=48000, help="Rate of the recordings.")
    ] = 16000,
    seed: Annotated[int, typer.Option(metavar="N", help="Another seed gives another set.")] = 0,
    jobs: Annotated[int, typer.Option("-j", "--jobs", metavar="N", min=1, help="Processes.")] = 1,
    force: _FORCE = False,
) -> None:
    with Workshop():
        from mira_train.synth.render import Material, render
    material = Material(midi, tuple(soundfont), notes, rooms, sample_rate, codecs)
    made = render(out, material, hours=hours, seed=seed, jobs=jobs, force=force, say=say)
    speed = f"{made.speed:.0f} seconds of sound a second of a core"
    say(f"{made.clips} clips, {made.seconds / 3600:.2f} hours, {speed}")
    print(out)
