"""One conversion at a time into one folder.

In a local folder the operating system holds the lock, so it ends with the process that held it, however that ends. In
an object store it is a lease (lease.py).
"""

import contextlib
from collections.abc import Iterator
from typing import Protocol

import filelock

from raygan.sharding.errors import RunError
from raygan.sharding.storage.folder import Folder
from raygan.sharding.storage.holder import Holder, read_holder, taken
from raygan.sharding.storage.lease import Lease

_NAME = "lock"
_HOLDER = "holder.json"


class Lock(Protocol):
    """A lock that is held."""

    def renew(self) -> None:
        """Shows that the holder is alive; to be called several times within a LEASE. RunError if it was lost."""

    def release(self) -> None:
        """Gives the lock up; a second call does nothing."""


@contextlib.contextmanager
def locked(folder: Folder, what: str) -> Iterator[Lock]:
    """Holds the lock in `folder`; `what` is its name for a person.

    Raises UserError, which names the holder, if another process holds it; OSError if the folder cannot be written.
    """
    lock: Lock = Lease(folder, what) if folder.local is None else _FileLock(folder, what)
    try:
        yield lock
    finally:
        lock.release()


class _FileLock:
    """A lock that the operating system keeps."""

    def __init__(self, folder: Folder, what: str) -> None:
        assert folder.local is not None
        folder.local.mkdir(parents=True, exist_ok=True)
        self._lock = filelock.FileLock(folder.local / _NAME)
        try:
            self._lock.acquire(timeout=0)
        except filelock.Timeout:
            holder = None
            with contextlib.suppress(OSError, RunError):  # not yet written, or torn: it only serves the message
                holder = read_holder(folder, _HOLDER)
            raise taken(what, holder) from None
        folder.write(_HOLDER, Holder.ourselves().to_bytes())

    def renew(self) -> None:
        pass

    def release(self) -> None:
        self._lock.release()
