"""What the page may ask for: routes, thin over :class:`~mira_plugins.studio.studio.Studio`."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import asdict, replace
from functools import wraps
from pathlib import Path
from typing import Any
from urllib.parse import quote

from mira.errors import DataError, MiraError, OutputError, UsageError
from mira.results import Notes
from mira.task import make_settings
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from mira_plugins.studio.edits import Conflict, result_of
from mira_plugins.studio.exports import export
from mira_plugins.studio.guard import Guard
from mira_plugins.studio.library import TooMuch, Track, Unknown
from mira_plugins.studio.listening import settings_of
from mira_plugins.studio.playing import playable
from mira_plugins.studio.studio import SAMPLE, Studio

STATIC = Path(__file__).parent / "static"
TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
JSON_BYTES = 32 << 20
"""Largest body that holds a result."""
WATCH_S, PING_S = 0.2, 10.0

STATUS: tuple[tuple[type[MiraError], int], ...] = (
    (Unknown, 404),
    (Conflict, 409),
    (TooMuch, 413),
    (OutputError, 507),
    (UsageError, 400),
    (DataError, 400),
    (MiraError, 422),
)

Endpoint = Callable[["Studio", Request, Any], Any]


def build(studio: Studio, token: str, port: int) -> Starlette:
    """Build the server's application, guarded."""
    pages = {path.name: path.read_bytes() for path in STATIC.iterdir() if path.suffix in TYPES}

    def static(request: Request) -> Response:
        """A file of the page: the name is looked up among those there are, and never becomes a path."""
        name = request.path_params.get("name", "index.html")
        if name not in pages:
            raise Unknown("there is no such page")
        return Response(pages[name], media_type=TYPES[Path(name).suffix])

    def ask(endpoint: Endpoint) -> Callable[[Request], Any]:
        """Hand an endpoint the studio and what the page sent; do its work beside the event loop."""

        @wraps(endpoint)
        async def answer(request: Request) -> Response:
            body = await _json_body(request) if request.method in ("POST", "PUT") else {}
            done = await run_in_threadpool(endpoint, studio, request, body)
            return done if isinstance(done, Response) else JSONResponse(done)

        return answer

    async def upload(request: Request) -> Response:
        track = await studio.library.upload(request.query_params.get("name", ""), request.stream())
        return JSONResponse(_shown(track))

    async def events(request: Request) -> Response:
        return StreamingResponse(_events(studio), media_type="text/event-stream")

    track = "/api/tracks/{track}"
    routes = [
        Route("/", static),
        Route("/static/{name}", static),
        Route("/api/studio", ask(lambda studio, *_: studio.described())),
        Route("/api/events", events),
        Route("/api/uploads", upload, methods=["POST"]),
        Route("/api/sample", ask(_sample), methods=["POST"]),
        Route("/api/tracks", ask(lambda studio, *_: [_shown(t) for t in studio.library.tracks()])),
        Route(track, ask(lambda studio, request, _: studio.about_track(_track(studio, request)))),
        Route(track, ask(_remove), methods=["DELETE"]),
        Route(f"{track}/listen", ask(_listen), methods=["POST"]),
        Route(f"{track}/audio", ask(_audio)),
        Route(f"{track}/peaks", ask(_peaks)),
        Route(f"{track}/tiles/{{level:int}}/{{index:int}}", ask(_tile)),
        Route(f"{track}/covers", ask(_covers)),
        Route(f"{track}/results/{{task}}", ask(_result)),
        Route(f"{track}/decode/{{task}}", ask(_decode), methods=["POST"]),
        Route(f"{track}/edits/{{task}}", ask(_save), methods=["PUT"]),
        Route(f"{track}/edits/{{task}}", ask(_discard), methods=["DELETE"]),
        Route(f"{track}/export/{{task}}", ask(_export), methods=["POST"]),
        Route("/api/jobs/{job:int}", ask(_cancel), methods=["DELETE"]),
    ]
    app = Starlette(
        routes=routes,
        middleware=[Middleware(Guard, token=token, port=port)],
        exception_handlers={MiraError: _refusal, ClientDisconnect: _gone, 404: _nothing, 405: _nothing},
    )
    app.router.redirect_slashes = False
    return app


def _refusal(request: Request, error: Exception) -> Response:
    status = next(code for kind, code in STATUS if isinstance(error, kind))
    return JSONResponse({"error": " ".join(str(error).split())}, status)


def _gone(request: Request, error: Exception) -> Response:
    return Response(status_code=400)


def _nothing(request: Request, error: Exception) -> Response:
    return JSONResponse({"error": "there is nothing here"}, getattr(error, "status_code", 404))


async def _json_body(request: Request) -> dict[str, Any]:
    """Read a JSON object, of a limited size.

    Raises
    ------
    TooMuch, DataError
        If it is too large, or no JSON object.
    """
    data = bytearray()
    async for chunk in request.stream():
        data += chunk
        if len(data) > JSON_BYTES:
            raise TooMuch("the page sent more than a result can be")
    try:
        body = json.loads(data or b"{}")
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        raise DataError("the page sent something that is no JSON object")
    return body


async def _events(studio: Studio) -> AsyncIterator[bytes]:
    """Tell the page about the jobs whenever something has changed."""
    before, quiet_s = "", 0.0
    while True:
        jobs = [asdict(job) for job in studio.jobs.shown()]
        now = json.dumps({"version": studio.jobs.version, "jobs": jobs})
        if now != before:
            yield f"data: {now}\n\n".encode()
            before, quiet_s = now, 0.0
        elif quiet_s >= PING_S:
            yield b": still here\n\n"
            quiet_s = 0.0
        await asyncio.sleep(WATCH_S)
        quiet_s += WATCH_S


def _shown(track: Track) -> dict[str, str]:
    return {"id": track.id, "name": track.name}


def _track(studio: Studio, request: Request) -> Track:
    return studio.library.track(request.path_params["track"])


def _task(studio: Studio, request: Request) -> Any:
    name = request.path_params["task"]
    if name not in studio.listening.tasks:
        raise Unknown("there is no such task")
    return studio.listening.tasks[name]


def _settings(task: Any, given: Any) -> dict[str, Any]:
    """Settings that the page may choose: those that it has a control for, which excludes names of files.

    Raises
    ------
    UsageError
        For others, for values of the wrong type or out of bounds.
    """
    if not isinstance(given, dict):
        raise UsageError(f"{task.name}: settings must be an object")
    allowed = {spec["name"]: spec for spec in settings_of(task)}
    for name, value in given.items():
        if name not in allowed or not _fits(allowed[name], value):
            raise UsageError(f"{task.name}: the page cannot set '{name[:40]}' like that")
    make_settings(task, given)
    return given


def _fits(spec: dict[str, Any], value: Any) -> bool:
    """Whether a value is of the type that a setting has."""
    if spec["choices"]:
        return isinstance(value, str)
    if isinstance(spec["default"], bool):
        return isinstance(value, bool)
    return isinstance(value, int if spec["whole"] else (int, float)) and not isinstance(value, bool)


def _sample(studio: Studio, request: Request, body: Any) -> Any:
    return _shown(studio.library.add(SAMPLE))


def _remove(studio: Studio, request: Request, body: Any) -> Any:
    track = _track(studio, request)
    studio.jobs.cancel_track(track.id)
    studio.library.remove(track)
    return {}


def _listen(studio: Studio, request: Request, body: Any) -> Any:
    tasks = body.get("tasks", studio.usual_tasks)
    if not isinstance(tasks, list) or not set(map(str, tasks)) <= set(studio.listening.tasks):
        raise UsageError("there is no such task")
    job = studio.listen(
        _track(studio, request), tasks, again=body.get("again") is True, first=body.get("first") is True
    )
    return {"job": job.id if job else None}


def _cancel(studio: Studio, request: Request, body: Any) -> Any:
    studio.jobs.cancel(request.path_params["job"])
    return {}


def _audio(studio: Studio, request: Request, body: Any) -> Any:
    track = _track(studio, request)
    content = studio.listening.content(track)
    path, kind = playable(track, content, studio.cache / "sound", copy="copy" in request.query_params)
    return FileResponse(path, media_type=kind)


def _picture(studio: Studio, request: Request) -> Any:
    picture = studio.pictures.find(studio.listening.content(_track(studio, request)))
    if picture is None:
        raise Unknown("there is no picture of this recording yet")
    return picture


def _peaks(studio: Studio, request: Request, body: Any) -> Any:
    return _binary(_picture(studio, request).peaks.tobytes())


def _tile(studio: Studio, request: Request, body: Any) -> Any:
    tile = _picture(studio, request).tile(request.path_params["level"], request.path_params["index"])
    if tile is None:
        raise Unknown("there is no such tile")
    return _binary(tile)


def _binary(data: bytes) -> Response:
    return Response(data, media_type="application/octet-stream")


def _covers(studio: Studio, request: Request, body: Any) -> Any:
    """Matches whose recordings are in the library from then on, so that the page can play them."""
    found = []
    for match in studio.covers.query(_track(studio, request)):
        path = match.pop("path")
        if Path(path).is_file():
            found.append(match | _shown(studio.library.add(path)))
    return found


def _result(studio: Studio, request: Request, body: Any) -> Any:
    return studio.result(_track(studio, request), _task(studio, request))


def _decode(studio: Studio, request: Request, body: Any) -> Any:
    task = _task(studio, request)
    settings = _settings(task, body.get("settings", {}))
    decoded = studio.listening.decode(_track(studio, request), task.name, settings)
    if decoded is None:
        return {"result": None}
    if body.get("draft") is True and isinstance(decoded, Notes):
        decoded = replace(decoded, bends=None)  # most of the bytes, which a moving slider need not wait for
    return {"result": decoded.to_dict()}


def _save(studio: Studio, request: Request, body: Any) -> Any:
    track, task = _track(studio, request), _task(studio, request)
    result = result_of(body.get("result"), task)
    about = studio.listening.about(track, task.name, _settings(task, body.get("settings", {})))
    content = studio.listening.content(track)
    if content != body.get("content"):
        raise Conflict("the recording has changed since it was opened; reload the page to hear it anew")
    return {"revision": studio.edits.save(content, task, result, about, str(body.get("revision", "")))}


def _discard(studio: Studio, request: Request, body: Any) -> Any:
    track, task = _track(studio, request), _task(studio, request)
    studio.edits.discard(studio.listening.content(track), task, request.query_params.get("revision", ""))
    return {}


def _export(studio: Studio, request: Request, body: Any) -> Any:
    track, task = _track(studio, request), _task(studio, request)
    result = result_of(body.get("result"), task)
    about = studio.listening.about(track, task.name, _settings(task, body.get("settings", {})))
    name, data = export(result, about, str(body.get("format")), by_hand=body.get("edited") is True)
    headers = {"Content-Disposition": f"attachment; filename*=UTF-8''{quote(name, safe='')}"}
    return Response(data, media_type="application/octet-stream", headers=headers)
