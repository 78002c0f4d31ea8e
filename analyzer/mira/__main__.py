"""The way in from a shell: ``mira`` and ``python -m mira``. Every exception becomes an exit code here."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from mira.errors import Exit, MiraError


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code (:class:`mira.errors.Exit`)."""
    args = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in args
    try:
        code = _run([a for a in args if a != "--debug"], debug)
        if sys.stdout is not None:
            sys.stdout.flush()
    except KeyboardInterrupt:
        return _end("interrupted; what is finished stays", Exit.INTERRUPTED)
    except BrokenPipeError:
        _silence_stdout()
        return Exit.OK
    except MiraError as error:
        return _end(str(error), error.exit_code)
    except MemoryError:
        return _end("not enough memory; close other programs or use fewer --jobs", Exit.FAILED)
    except Exception as error:  # the program is wrong: say so in one line, and where if asked
        if debug:
            raise
        reason = f"internal error: {type(error).__name__}: {error}"
        return _end(f"{reason}; run again with --debug for a traceback", Exit.BUG)
    return code


def _run(args: list[str], debug: bool) -> int:
    import typer

    from mira.cli.app import build, build_one, excuse, overview, version

    if args[:1] == ["--version"]:
        print(version())
        return Exit.OK
    command = args[0] if args and not args[0].startswith("-") else ""
    one = build_one(command, debug=debug) if command else None
    try:
        if one is not None:
            code = one(args[1:], prog_name=f"mira {command}", standalone_mode=False)
        else:
            app = overview() if args in ([], ["--help"]) else build(debug=debug)
            code = app(args, prog_name="mira", standalone_mode=False)
    except typer.Abort:
        raise KeyboardInterrupt from None
    except SystemExit as stop:  # Typer turns a closed pipe into one
        if isinstance(stop.__context__, BrokenPipeError):
            raise stop.__context__ from None
        raise
    except Exception as error:
        show, code = getattr(error, "show", None), getattr(error, "exit_code", None)
        if show is None or code is None:
            raise
        show()  # wrong use, as Typer says it
        return _end(excuse(command), code) if excuse(command) else code
    if code == Exit.INTERRUPTED:  # how newer versions of Typer say it
        raise KeyboardInterrupt
    return code if isinstance(code, int) else Exit.OK


def _end(message: str, code: int) -> int:
    from mira.cli.console import say

    say(message)
    return code


def _silence_stdout() -> None:
    from mira.cli.console import silence

    silence(1)


if __name__ == "__main__":
    sys.exit(main())
