"""One converter at a time for one OUT.

Locally the operating system holds the lock, so it goes with the process that held it, however that ends. An object
store has no locks: there the holder creates an object that only one can create, renews it while it works, and who
finds one that was not renewed for LEASE seconds takes it over.
"""

import contextlib
import getpass
import json
import os
import socket
import time
from collections.abc import Iterator
from typing import Any

from raygan.sharding.errors import UserError
from raygan.sharding.storage.folder import Folder

LEASE = 120.0  # seconds
_NAME = "lock"
_HOLDER = "holder.json"


@contextlib.contextmanager
def locked(folder: Folder, what: str) -> Iterator["Lock"]:
    """Holds the lock that lies in `folder`; `what` is its name for a person. UserError says who else holds it."""
    lock: Lock = _LocalLock(folder, what) if folder.local is not None else _LeasedLock(folder, what)
    try:
        yield lock
    finally:
        lock.release()


class Lock:
    """A lock that is held."""

    def renew(self) -> None:
        """Shows that the holder is alive; to be called more often than every LEASE seconds."""

    def release(self) -> None:
        """Gives the lock up; a second call does nothing."""


class _LocalLock(Lock):
    def __init__(self, folder: Folder, what: str) -> None:
        import filelock

        assert folder.local is not None
        folder.local.mkdir(parents=True, exist_ok=True)
        self._lock = filelock.FileLock(folder.local / _NAME)
        try:
            self._lock.acquire(timeout=0)
        except filelock.Timeout:
            raise _taken(folder, _HOLDER, what) from None
        folder.write(_HOLDER, _ourselves())

    def release(self) -> None:
        self._lock.release()


class _LeasedLock(Lock):
    def __init__(self, folder: Folder, what: str) -> None:
        self._folder = folder
        if not folder.create(_NAME, _ourselves()):
            held = _read(folder, _NAME)
            if time.time() - held.get("alive", 0) < LEASE:
                raise _taken(folder, _NAME, what)
            folder.write(_NAME, _ourselves())
        self._renewed = time.monotonic()

    def renew(self) -> None:
        if time.monotonic() - self._renewed > LEASE / 4:
            self._folder.write(_NAME, _ourselves())
            self._renewed = time.monotonic()

    def release(self) -> None:
        with contextlib.suppress(OSError):  # a store that is gone; the lease ends by itself
            self._folder.remove(_NAME)


def _ourselves() -> bytes:
    return json.dumps(
        {"user": getpass.getuser(), "host": socket.gethostname(), "process": os.getpid(), "alive": time.time()}
    ).encode()


def _read(folder: Folder, name: str) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(folder.read(name))
    except (OSError, ValueError):
        return {}
    return found


def _taken(folder: Folder, name: str, what: str) -> UserError:
    held = _read(folder, name)
    holder = (
        f"process {held['process']} of {held['user']} on {held['host']}" if "process" in held else "another process"
    )
    return UserError(f"{what}: {holder} is converting into it; wait for it, or choose another folder")
