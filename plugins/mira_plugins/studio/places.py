"""Where the studio keeps things: what can be made again lies in the cache, people's work does not."""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path

from mira.store import default_path

CACHE_BYTES = 4 << 30
"""The folder of activations and pictures is cut down to this when a studio starts."""


def cache_folder() -> Path:
    """Activations, pictures, uploads and the list of recordings; beside the engine's store."""
    return default_path().parent / "studio"


def edits_folder() -> Path:
    """Sidecars of edited results: with the user's data, since caches are deleted without asking."""
    if os.environ.get("MIRA_STORE"):
        return default_path().parent / "edits"
    from platformdirs import user_data_path

    return user_data_path("mira") / "edits"


@dataclass(frozen=True)
class Seat:
    """What lets a page come back to a studio that was restarted: the secret of its link, and its port."""

    token: str
    port: int


def last_seat() -> Seat:
    """The seat of the last studio; a new secret and no port if there was none."""
    try:
        values = json.loads((cache_folder() / "seat.json").read_text(encoding="utf-8"))
        seat = Seat(str(values["token"]), int(values["port"]))
    except (OSError, ValueError, TypeError, KeyError):
        return Seat(secrets.token_urlsafe(32), 0)
    return seat if len(seat.token) >= 32 and 0 <= seat.port < 65536 else Seat(secrets.token_urlsafe(32), 0)


def keep_seat(seat: Seat) -> None:
    """Write it down, readable by this user alone."""
    folder = cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / f".seat-{secrets.token_hex(4)}"
    with open(
        os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8"
    ) as stream:
        json.dump(asdict(seat), stream)
    os.replace(temporary, folder / "seat.json")


def trim_cache(folder: Path, limit: int = CACHE_BYTES) -> None:
    """Delete what can be made again, unused for longest first, until at most ``limit`` bytes are left."""
    made = [path for part in ("activations", "pictures", "sound") for path in (folder / part).glob("*")]
    total = 0
    for status, path in sorted(((path.stat(), path) for path in made), key=lambda f: -f[0].st_mtime):
        total += status.st_size
        if total > limit:
            path.unlink(missing_ok=True)
