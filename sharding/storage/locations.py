"""Where things are: locations that mean the same in every process, and this user's cache folder."""

from pathlib import Path

import platformdirs


def absolute(location: str) -> str:
    """A path made absolute, because a worker runs in another folder; ~ is the home of this process. A URL stays."""
    return location if "://" in location else str(Path(location).expanduser().resolve())


def cache_folder() -> Path:
    """Where raygan keeps what it can fetch or compute again, on this node and for this user; it may not exist yet.

    It follows XDG_CACHE_HOME; without it, ~/.cache/raygan on Linux. Ask for it on the node where it is used: a home may
    be elsewhere on another node.
    """
    return platformdirs.user_cache_path("raygan", appauthor=False)
