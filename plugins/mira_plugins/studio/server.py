"""Starts the studio: a socket on the loopback address, the link with its secret, a browser or a window."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from threading import Thread, Timer

import uvicorn
from mira.cli.console import say
from mira.errors import UsageError

from mira_plugins.studio.app import build
from mira_plugins.studio.places import Seat, cache_folder, edits_folder, keep_seat, last_seat, trim_cache
from mira_plugins.studio.studio import Studio

HOST = "127.0.0.1"


def serve(paths: Sequence[str], *, port: int, open_browser: bool, window: bool, threads: int | None) -> None:
    """Serve until interrupted, or until the window is closed.

    Parameters
    ----------
    paths
        Recordings to put into the library and listen to.
    port
        Where to listen; 0 is the port of the last time if it is free, or else any.
    open_browser, window
        Open the page in the browser, or in a window of its own.
    threads
        Threads of the models.

    Raises
    ------
    UsageError
        If the port is taken, pywebview is missing, or none of the paths is a recording.
    """
    if window and find_spec("webview") is None:
        raise UsageError("--window needs pywebview: pip install pywebview; without it the browser will do")
    seat = last_seat()
    listening = _socket(port, seat.port)
    port = listening.getsockname()[1]
    keep_seat(Seat(seat.token, port))
    trim_cache(cache_folder())
    studio = Studio(cache_folder(), edits_folder(), threads)
    if studio.library.note:
        say(studio.library.note)
    tracks, bad = studio.library.add_all(paths)
    for item in bad:
        say(f"{item.path}: {item.error or 'there is no such file'}")
    if bad and not tracks:
        raise UsageError("there is nothing to open; name recordings or folders of them, or none at all")
    for track in tracks:
        studio.listen(track, studio.usual_tasks)
    link = f"http://{HOST}:{port}/?token={seat.token}" + (f"#{tracks[0].id}" if len(tracks) == 1 else "")
    config = uvicorn.Config(
        build(studio, seat.token, port),
        log_level="error",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    say(f"the studio is at {link} (Ctrl-C ends it)")
    try:
        if window:
            _in_window(server, listening, link)
            return
        if open_browser:
            Timer(0.3, _browse, (link,)).start()
        server.run(sockets=[listening])
    finally:
        studio.close()


def _socket(wanted: int, usual: int) -> socket.socket:
    """Bind to the loopback address, which no other machine can reach."""
    reason = None
    for port in (wanted,) if wanted else (usual, 0):
        bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        if os.name == "posix":  # elsewhere it would let two programs have one port
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            bound.bind((HOST, port))
            bound.listen()  # so that whoever follows the link at once waits, instead of being refused
            return bound
        except OSError as error:
            bound.close()
            reason = error.strerror
    raise UsageError(f"port {wanted} cannot be used ({reason}); leave out --port to get a free one")


def _browse(link: str) -> None:
    import webbrowser

    if not webbrowser.open(link):
        say("no browser could be opened; open the link above")


def _in_window(server: uvicorn.Server, listening: socket.socket, link: str) -> None:
    import webview

    Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True).start()
    webview.create_window("mira studio", link, width=1280, height=800)
    start: Callable[[], None] = webview.start
    start()
    server.should_exit = True
