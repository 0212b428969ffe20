"""A folder in the local file system or in any store that fsspec knows: s3://, gs://, az://, hf://, memory://."""

import contextlib
import errno
import os
import secrets
import shutil
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO, Any

from raygan.sharding.errors import UserError
from raygan.sharding.storage.retries import while_busy

_CREATING = threading.Lock()  # memory:// looks for a file and writes it in two steps
_EXTRAS = {"s3": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "az": "adlfs", "abfs": "adlfs", "hf": "huggingface_hub"}


class Folder:
    """A folder to read from and to write whole files to.

    A file written here appears whole or not at all: locally by a temporary name, fsync and rename; in an object
    store by one PUT or one completed multipart upload. Local paths bypass fsspec, which costs several times
    the read of a small file.
    """

    def __init__(self, location: str, store: Any = None) -> None:
        """Raises UserError if `location` is a URL of a store whose library is not installed."""
        self.location = location.rstrip("/") or "/"
        self.local: Path | None = None
        if "://" not in location or location.startswith("file://"):
            self.local = Path(location.removeprefix("file://")).expanduser().absolute()
        self._fs: Any = store
        if self.local is None:
            self._fs, self._root = _connect(self.location, store)

    def __reduce__(self) -> tuple[Any, ...]:
        # A worker may run in another directory, and lack the settings that fsspec found here.
        return Folder, (str(self.local or self.location), self._fs)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Folder) and other.location == self.location

    def __hash__(self) -> int:
        return hash(self.location)

    def __str__(self) -> str:
        return self.location

    def __truediv__(self, name: str) -> "Folder":
        return Folder(f"{self.location}/{name}", self._fs)

    @property
    def name(self) -> str:
        """The last part of the location."""
        return PurePosixPath(self.local or self.location).name

    @property
    def parent(self) -> "Folder":
        """The folder that holds this one."""
        if self.local is not None:
            return Folder(str(self.local.parent))
        return Folder(self.location.rpartition("/")[0], self._fs)

    def _at(self, name: str) -> str:
        return f"{self._root}/{name}" if name else self._root

    def list(self) -> "tuple[dict[str, int], tuple[str, ...]]":
        """The files directly in this folder, with their bytes, and the folders in it; nothing if this is no folder."""
        if self.local is not None:
            try:
                with os.scandir(self.local) as scan:
                    entries = sorted(scan, key=lambda entry: entry.name)
                    files = {entry.name: entry.stat().st_size for entry in entries if entry.is_file()}
            except (FileNotFoundError, NotADirectoryError):
                return {}, ()
            return files, tuple(entry.name for entry in entries if entry.is_dir())
        try:
            with _store_errors():
                self._fs.invalidate_cache(self._root)
                found = self._fs.ls(self._root, detail=True)
        except (FileNotFoundError, NotADirectoryError):
            return {}, ()
        found = [
            (PurePosixPath(entry["name"]).name, entry) for entry in found if entry["name"].rstrip("/") != self._root
        ]
        files = {
            name: int(entry["size"]) for name, entry in sorted(found, key=lambda x: x[0]) if entry["type"] == "file"
        }
        return files, tuple(sorted(name for name, entry in found if entry["type"] == "directory"))

    def is_file(self) -> bool:
        """Whether the location itself is a file."""
        if self.local is not None:
            return self.local.is_file()
        with _store_errors():
            return bool(self._fs.isfile(self._root))

    def exists(self) -> bool:
        """Whether anything is there."""
        if self.local is not None:
            return self.local.exists()
        with _store_errors():
            return bool(self._fs.exists(self._root))

    def size(self, name: str) -> int | None:
        """Bytes of a file, or None if there is no such file."""
        try:
            if self.local is not None:
                return (self.local / name).stat().st_size
            with _store_errors():
                self._fs.invalidate_cache(self._root)
                return int(self._fs.size(self._at(name)))
        except FileNotFoundError:
            return None

    def read(self, name: str) -> bytes:
        """The whole file. Raises OSError."""
        if self.local is not None:
            return _content(f"{self.local}/{name}")
        with _store_errors():
            return bytes(self._fs.cat_file(self._at(name)))

    @contextlib.contextmanager
    def on_disk(self, name: str) -> Iterator[Path]:
        """A local path to a file: its own, or of a temporary copy if it is in a store. Raises OSError."""
        if self.local is not None:
            yield self.local / name
            return
        with tempfile.TemporaryDirectory() as temporary:
            path = Path(temporary) / name
            # Without the file there is no copy, and opening the path fails as it does locally.
            with contextlib.suppress(FileNotFoundError), _store_errors():
                self._fs.get_file(self._at(name), str(path))
            yield path

    def open(self, name: str = "") -> IO[bytes]:
        """Opens a file for seeking and reading. Raises OSError."""
        if self.local is not None:
            return (self.local / name).open("rb")
        handle: IO[bytes] = self._fs.open(self._at(name), "rb")
        return handle

    def write(self, name: str, *parts: Any, lasting: bool = True) -> None:
        """Writes a file of these bytes-like parts, whole or not at all. Raises OSError (a full disk, a lost store).

        A local file that is not `lasting` may be damaged by a power cut, but is written in a fraction of the time.
        """
        if self.local is None:
            joined = parts[0] if len(parts) == 1 else b"".join(parts)
            with _store_errors():
                self._fs.pipe_file(self._at(name), bytes(joined))
            return
        self.local.mkdir(parents=True, exist_ok=True)
        temporary = self.local / f".{name}.{secrets.token_hex(4)}.tmp"
        try:
            with temporary.open("wb") as file:
                for part in parts:
                    file.write(part)
                file.flush()
                if lasting:
                    os.fsync(file.fileno())
            temporary.replace(self.local / name)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        if lasting:
            self._sync()

    def _sync(self) -> None:
        """Makes the renames in this local folder survive a power cut."""
        with contextlib.suppress(OSError):
            handle = os.open(str(self.local), os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)

    def create(self, name: str, data: bytes) -> bool:
        """Writes a file unless there is one already; says whether it did. Of several at once, one does.

        For object stores only: S3, Google Cloud Storage and Azure do it in one step. Raises OSError.
        """
        assert self.local is None, "local folders are locked by the operating system"
        try:
            while_busy(_is_conflict)(self._create, name, data)
        except FileExistsError:
            return False
        return True

    def _create(self, name: str, data: bytes) -> None:
        with _store_errors(), _CREATING if "memory" in self._fs.protocol else contextlib.nullcontext():
            self._fs.pipe_file(self._at(name), data, mode="create")

    def remove(self, name: str) -> None:
        """Removes a file if it is there."""
        with contextlib.suppress(FileNotFoundError), _store_errors():
            if self.local is not None:
                (self.local / name).unlink()
            else:
                self._fs.rm_file(self._at(name))

    def remove_all(self) -> None:
        """Removes this folder and all in it, if it is there."""
        if self.local is not None:
            shutil.rmtree(self.local, ignore_errors=True)
        elif self._fs.exists(self._root):
            self._fs.rm(self._root, recursive=True)

    def leftovers(self) -> Iterator[str]:
        """Temporary files of writers that were killed."""
        return (name for name in self.list()[0] if name.startswith(".") and name.endswith(".tmp"))


def _is_conflict(error: BaseException) -> bool:
    """Whether S3 has answered 409: another writer creates the same object at this moment, and may yet fail."""
    return isinstance(error, OSError) and error.errno == errno.EBUSY


def _content(path: str) -> bytes:
    """A whole file; Path.read_bytes takes three times as long for a small one."""
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        length = os.fstat(handle).st_size
        content = os.read(handle, length)
        while len(content) < length and (rest := os.read(handle, length - len(content))):  # 2 GB at most come at once
            content += rest
        return content
    finally:
        os.close(handle)


@contextlib.contextmanager
def _store_errors() -> Iterator[None]:
    """Turns any other error of a store's library into a ConnectionError."""
    try:
        yield
    except (OSError, ImportError):
        raise
    except Exception as error:
        raise ConnectionError(f"{type(error).__name__}: {error}") from error


def _connect(location: str, store: Any) -> tuple[Any, str]:
    import fsspec

    protocol = location.partition("://")[0]
    try:
        fs, root = (store, store._strip_protocol(location)) if store else fsspec.url_to_fs(location)
    except ImportError as error:
        extra = _EXTRAS.get(protocol, protocol)
        raise UserError(f"{location}: reading {protocol}:// needs the library {extra}: pip install {extra}") from error
    except ValueError as error:
        raise UserError(
            f"{location}: no store is known for {protocol}://; use a path, s3://, gs://, az:// or hf://"
        ) from error
    return fs, str(root).rstrip("/")
