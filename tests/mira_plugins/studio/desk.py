"""What the tests of the studio share: recordings, a place for a studio, and someone to talk to it."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

RATE = 8000


def recording(path: Path, *, seconds: int = 4, level: float = 0.5) -> Path:
    """Write a recording of tones, half a second each with half a second between."""
    path.parent.mkdir(parents=True, exist_ok=True)
    tone = level * np.sin(2 * np.pi * 440 * np.arange(RATE // 2) / RATE)
    samples = np.tile(np.concatenate([tone, np.zeros(RATE // 2)]), seconds).astype(np.float32)
    with open(path, "wb") as stream:
        soundfile.write(stream, samples, RATE, format="WAV", subtype="FLOAT")
    return path


def announce(folder: Path, name: str, module: str) -> None:
    """Make a distribution in a folder that names a plugin, as an installed one does."""
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[mira]\n{name} = {module}\n")


@dataclass
class Visitor:
    """Somebody who talks to a studio: with its cookie and as its own page, unless told otherwise."""

    port: int
    token: str
    headers: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        own = {
            "Host": f"127.0.0.1:{self.port}",
            "Origin": f"http://127.0.0.1:{self.port}",
            "Cookie": f"mira-studio-{self.port}={self.token}",
        }
        self.headers = own | self.headers

    def ask(
        self, path: str, method: str = "GET", body: Any = None, **headers: str | None
    ) -> tuple[int, Any, http.client.HTTPMessage]:
        """Send a request as it is, without tidying its path: status, JSON or bytes, headers."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        sent = {name: value for name, value in (self.headers | given).items() if value is not None}
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        for name, value in sent.items():
            connection.putheader(name, value)
        if data is not None and "Content-Length" not in sent:
            connection.putheader("Content-Length", str(len(data)))
        connection.endheaders(data)
        answer = connection.getresponse()
        raw = answer.read()
        connection.close()
        is_json = answer.headers.get_content_type() == "application/json"
        return answer.status, json.loads(raw) if is_json else raw, answer.headers

    def events(self) -> Iterator[list[dict[str, Any]]]:
        """The jobs, at every change."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request("GET", "/api/events", headers=self.headers)
        answer = connection.getresponse()
        try:
            while line := answer.readline():
                if line.startswith(b"data: "):
                    yield json.loads(line[6:])["jobs"]
        finally:
            connection.close()

    def done(self, job: int | None) -> dict[str, Any]:
        """Wait until a job is over."""
        for jobs in self.events():
            for each in jobs:
                if each["id"] == job and each["state"] not in ("waiting", "running"):
                    return each
        raise AssertionError("the studio went away")

    def listen(self, track: str, **wish: Any) -> dict[str, Any]:
        """Have a recording listened to, and wait for it."""
        status, answer, _ = self.ask(f"/api/tracks/{track}/listen", "POST", wish)
        assert status == 200, answer
        return self.done(answer["job"]) if answer["job"] else {"state": "done"}
