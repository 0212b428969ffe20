"""A lock in an object store, which has no locks: a lease that others take over once it is no longer renewed.

Lock objects are only ever created, never overwritten: `lock` names the first holder, and `lock.ID` the one that took
over from the holder ID. They form a chain from `lock`, and the last one in it has the lock. A store creates an object
for one of any number of writers, so a holder has one successor. Each holder renews its lease in an object of its own,
`alive.ID`, where it can harm nobody.

Between a look at the chain and the next write the chain may change. So a taker looks again after it has created its
object, and withdraws if it is not the last, or if the holder before it has shown that it is alive. A holder first shows
that it is alive, and then looks whether somebody has taken over. Whichever of the two comes second sees the other.
"""

import contextlib
import time

from raygan.sharding.errors import RunError
from raygan.sharding.storage.folder import Folder
from raygan.sharding.storage.holder import Holder, read_holder, taken

LEASE = 120.0  # seconds
_FIRST = "lock"


class Lease:
    """The lease that this process holds on `folder`; `what` is its name for a person."""

    def __init__(self, folder: Folder, what: str) -> None:
        """Takes the lease. Raises UserError, which names the holder, if another process holds it. OSError."""
        self._folder, self._what = folder, what
        self._us = Holder.ourselves()
        self._take()
        self._renewed = time.monotonic()

    def _take(self) -> None:
        while True:
            chain = self._chain()
            last = chain[-1] if chain else None
            seen = self._alive(last) if last else 0.0
            if last and time.time() - seen < LEASE:
                raise taken(self._what, last)
            name = _after(last) if last else _FIRST
            created = self._folder.create(name, self._us.to_bytes())
            if self._is_ours(self._chain()) and (last is None or self._alive(last) == seen):
                return
            if created:
                self._folder.remove(name)

    def renew(self) -> None:
        """Shows that this process is alive, if that is due. RunError if another has taken over. OSError."""
        if time.monotonic() - self._renewed < LEASE / 4:
            return
        self._show_alive()
        self._renewed = time.monotonic()
        chain = self._chain()
        if not self._is_ours(chain):
            other = chain[-1] if chain else "another process"
            raise RunError(
                f"{self._what}: {other} took over, because this process was held up for more than {LEASE:.0f} s; "
                f"run it again once the other one is done"
            )

    def release(self) -> None:
        """Gives the lease up. What another process has taken over stays as it is."""
        with contextlib.suppress(OSError):  # a store that is away: the lease ends by itself
            self._show_alive()
            chain = self._chain()
            if self._is_ours(chain):
                # The first object goes first: without it there is no chain, and the rest is nobody's.
                for name in (_FIRST, *map(_after, chain[:-1]), *map(_heartbeat, chain[:-1])):
                    self._folder.remove(name)
            self._folder.remove(_heartbeat(self._us))

    def _chain(self) -> list[Holder]:
        """All holders, each of which took over from the one before."""
        chain: list[Holder] = []
        name = _FIRST
        while holder := read_holder(self._folder, name):
            chain.append(holder)
            name = _after(holder)
        return chain

    def _is_ours(self, chain: list[Holder]) -> bool:
        return bool(chain) and chain[-1].id == self._us.id

    def _show_alive(self) -> None:
        self._folder.write(_heartbeat(self._us), str(time.time()).encode())

    def _alive(self, holder: Holder) -> float:
        """When a holder last showed that it is alive, in seconds since 1970."""
        try:
            return float(self._folder.read(_heartbeat(holder)))
        except (FileNotFoundError, ValueError):
            return holder.alive


def _after(holder: Holder) -> str:
    """The name of the lock object of whoever takes over from a holder."""
    return f"{_FIRST}.{holder.id}"


def _heartbeat(holder: Holder) -> str:
    return f"alive.{holder.id}"
