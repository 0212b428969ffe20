"""Copies of remote shards on a node's disk, shared by its workers and bounded."""

import contextlib
import hashlib
import os
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from filelock import FileLock, Timeout

from raygan.sharding.errors import RunError, UserError
from raygan.sharding.format.manifest import ShardEntry
from raygan.sharding.storage import retries
from raygan.sharding.storage.folder import Folder
from raygan.sharding.storage.locations import cache_folder

T = TypeVar("T")
AT_ONCE = 4  # downloads
CHUNK = 1 << 22  # bytes


class ShardCache:
    """Downloads the shards of `source` to `directory`, which holds at most `limit` bytes over all data sets.

    Any number of processes may share a directory: one of them downloads a shard while the others wait for it. A copy
    appears whole, with the manifest's SHA-256, or not at all. The least recently used copies are removed to make space;
    one that a worker has mapped stays readable for it.
    """

    def __init__(self, source: Folder, digest: str, directory: str | Path, limit: int) -> None:
        """An empty `directory`: shards in this node's cache folder."""
        self._source, self._limit = source, limit
        self._root = Path(directory).expanduser() if directory else cache_folder() / "shards"
        self._directory = self._root / digest[:16]
        self._directory.mkdir(parents=True, exist_ok=True)
        self._downloads = ThreadPoolExecutor(AT_ONCE, "download")
        self._coming: dict[str, Future[None]] = {}

    def use(self, entry: ShardEntry, opened: Callable[[Path], T]) -> T:
        """The result of `opened` for the copy of a shard; waits for the copy and does not remove it meanwhile.

        Raises RunError, naming the shard, if it cannot be downloaded.
        """
        coming = self._coming.get(entry.name)
        if coming is not None:
            coming.result()
        return self._with_copy(entry, opened)

    def expect(self, entries: Iterable[ShardEntry]) -> None:
        """Downloads these shards before they are used, in this order; shards that were asked for before are skipped.

        Raises RunError if the download of one that was asked for before has failed.
        """
        wanted = {entry.name: entry for entry in entries}
        for name, coming in list(self._coming.items()):
            if coming.done():
                coming.result()
                if name not in wanted:
                    del self._coming[name]
        for name, entry in wanted.items():
            if name not in self._coming:
                self._coming[name] = self._downloads.submit(self._with_copy, entry, lambda _: None)

    def demand(self, entries: Iterable[ShardEntry]) -> None:
        """Raises UserError if these shards together are larger than the cache may be."""
        needed = sum(entry.bytes for entry in entries)
        if needed > self._limit:
            raise UserError(
                f"the shard cache {self._root} may hold {self._limit / 1e9:.2f} GB, and one window of shuffling takes "
                f"{needed / 1e9:.2f} GB; raise the cache's limit or lower the window"
            )

    def close(self) -> None:
        """Stops the downloads that have not begun."""
        self._downloads.shutdown(wait=False, cancel_futures=True)

    def _with_copy(self, entry: ShardEntry, opened: Callable[[Path], T]) -> T:
        path = self._directory / entry.name
        with FileLock(_lock_of(path)):
            if not path.exists() or path.stat().st_size != entry.bytes:
                self._download(entry, path)
            os.utime(path)  # the time of last use; access times are often not kept
            return opened(path)

    def _download(self, entry: ShardEntry, path: Path) -> None:
        part = path.with_name(f".{entry.name}.part")
        try:
            self._make_space(entry.bytes, part)
            retries.transfers(_worth_another)(self._copy, entry, part)
            part.replace(path)
        except (FileNotFoundError, PermissionError) as error:
            raise RunError(
                f"{self._source}/{entry.name}: {error.strerror or error}; put it back, and resume"
            ) from error
        except Exception as error:  # a store's library raises many kinds
            raise RunError(
                f"{self._source}/{entry.name}: {error} (tried {retries.TRANSFER_ATTEMPTS} times); resume later"
            ) from error
        finally:
            part.unlink(missing_ok=True)

    def _copy(self, entry: ShardEntry, part: Path) -> None:
        digest = hashlib.sha256()
        with self._source.open(entry.name) as source, part.open("wb") as target:
            while chunk := source.read(CHUNK):
                digest.update(chunk)
                target.write(chunk)
            target.flush()
            os.fsync(target.fileno())
        if digest.hexdigest() != entry.sha256:
            raise ValueError("the download does not have the SHA-256 of the manifest")

    def _make_space(self, needed: int, part: Path) -> None:
        """Removes the least recently used copies until `needed` bytes fit; a file `part` of that size reserves them."""
        with FileLock(self._root / ".room.lock"):
            files = self._held()
            held = sum(status.st_size for _, status in files)
            for path, status in sorted(files, key=lambda file: file[1].st_mtime_ns):
                if held + needed <= self._limit:
                    break
                with contextlib.suppress(Timeout, FileNotFoundError), FileLock(_lock_of(path), timeout=0):
                    path.unlink()
                    held -= status.st_size
            with part.open("wb") as file:
                file.truncate(needed)

    def _held(self) -> list[tuple[Path, os.stat_result]]:
        """All copies and incomplete copies; one that another process completes meanwhile counts as the copy."""
        found: dict[Path, os.stat_result] = {}
        for listed in self._root.glob("*/*"):
            if listed.suffix not in (".tar", ".part"):
                continue
            for path in (listed, _copy_of(listed)):
                with contextlib.suppress(FileNotFoundError):
                    found[path] = path.stat()
                    break
        return list(found.items())


def _worth_another(error: BaseException) -> bool:
    """Whether a download that failed with this error may succeed when it is tried again."""
    return isinstance(error, Exception) and not isinstance(error, FileNotFoundError | PermissionError)


def _copy_of(path: Path) -> Path:
    """The path of the copy that an incomplete copy becomes; of a copy, its own path."""
    return path.with_name(path.name.removeprefix(".").removesuffix(".part"))


def _lock_of(path: Path) -> Path:
    """The lock of a copy, complete or not."""
    return path.with_name(f".{_copy_of(path).name}.lock")
