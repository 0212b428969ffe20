"""Reads the bytes of pictures that are files: in a folder, or in a zip that is read in place."""

import functools
import zipfile
import zlib
from typing import Protocol

from raygan.sharding.errors import UserError
from raygan.sharding.format.images import ImageError
from raygan.sharding.storage.folder import Folder

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp"})  # of pictures, in lower case


class Pictures(Protocol):
    """Pictures by name; picklable, so that every worker reads for itself."""

    def read(self, name: str) -> bytes:
        """The encoded bytes of one picture. Raises OSError, and ImageError where they are known to be damaged."""


class ListedPictures(Pictures, Protocol):
    """Pictures that are files, and so can be listed."""

    kind: str  # what holds them, in one word

    def sizes(self) -> dict[str, int]:
        """The bytes of every picture by name, sorted by name. Raises OSError, and UserError for a damaged archive."""


def is_picture(name: str) -> bool:
    """Whether a file name ends as a picture's does; what an archiver leaves behind (._x, __MACOSX) does not count."""
    suffix = "." + name.rpartition(".")[2].lower()
    return suffix in SUFFIXES and not name.rpartition("/")[2].startswith("._")


def stem_of(name: str) -> str:
    """The file name without its folder and its suffix."""
    return name.rpartition("/")[2].rpartition(".")[0]


class FolderPictures:
    """The pictures in a folder, and with `deep` those in the folders below it that are not hidden."""

    kind = "folder"

    def __init__(self, folder: Folder, deep: bool = False) -> None:
        self.folder, self.deep = folder, deep

    def __str__(self) -> str:
        return str(self.folder)

    def sizes(self) -> dict[str, int]:
        """The bytes of every picture by its path below the folder, sorted. Raises OSError."""
        return dict(sorted(self._walk(self.folder, "").items()))

    def _walk(self, folder: Folder, prefix: str) -> dict[str, int]:
        files, folders = folder.list()
        found = {prefix + name: size for name, size in files.items() if is_picture(name)}
        for name in folders if self.deep else ():
            if not name.startswith("."):
                found |= self._walk(folder / name, f"{prefix}{name}/")
        return found

    def read(self, name: str) -> bytes:
        """The encoded bytes of one picture. Raises OSError."""
        return self.folder.read(name)


class ZipPictures:
    """The pictures in a zip, which is read in place: nothing is unpacked."""

    kind = "zip"

    def __init__(self, folder: Folder, name: str) -> None:
        self.folder, self.name = folder, name

    def __str__(self) -> str:
        return f"{self.folder}/{self.name}"

    def sizes(self) -> dict[str, int]:
        """The bytes of every picture by its path in the zip, sorted. Raises UserError if it is not a whole zip."""
        try:
            members = _open_zip(self.folder, self.name).infolist()
        except zipfile.BadZipFile as error:
            raise UserError(f"{self.folder}/{self.name}: not a whole zip ({error}); download it again") from error
        return dict(sorted((member.filename, member.file_size) for member in members if is_picture(member.filename)))

    def read(self, name: str) -> bytes:
        """The encoded bytes of one picture. Raises OSError, and ImageError if the zip is damaged there."""
        try:
            return _open_zip(self.folder, self.name).read(name)
        except (zipfile.BadZipFile, zlib.error) as error:
            raise ImageError(f"damaged in the zip: {error}") from error


@functools.lru_cache(maxsize=2)
def _open_zip(folder: Folder, name: str) -> zipfile.ZipFile:
    """Kept open for the life of a worker: reading the directory of CelebA's zip takes about a second."""
    return zipfile.ZipFile(folder.open(name))
