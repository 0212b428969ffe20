"""Fetches the official CelebA from Google Drive: the files that torchvision names, each checked against its MD5."""

import hashlib
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from raygan.sharding.errors import RunError
from raygan.sharding.storage.retries import transfers

DRIVE = "https://drive.usercontent.google.com/download"
BY_HAND = (
    "https://drive.google.com/drive/folders/0B7EVK8r0v71pWEZsZE9oNnFzTm8 (Img, Anno and Eval) or "
    "https://www.kaggle.com/datasets/jessicali9530/celeba-dataset"
)
UNNEEDED = ("list_bbox_celeba.txt",)  # boxes in the images before they were aligned
_PIECE = 1 << 20
_TIMEOUT = 60.0  # seconds without a byte

Progress = Callable[[int, int, str], None]


class Remote(NamedTuple):
    """One file to fetch."""

    id: str
    md5: str
    name: str


def official_files() -> list[Remote]:
    """The files of CelebA as torchvision knows them."""
    from torchvision.datasets import CelebA

    return [Remote(*entry) for entry in CelebA.file_list if entry[2] not in UNNEEDED]


def download(
    folder: Path, progress: Progress | None = None, files: list[Remote] | None = None, address: str = DRIVE
) -> list[Path]:
    """Fetches CelebA (1.4 GB) into `folder`, as `raygan shard` reads it; the zip stays packed. Returns the paths.

    A file that is complete is kept, one that was cut short is continued. `progress` gets bytes done,
    bytes in total (0 if the server does not say) and the file's name. Raises RunError if the server refuses (Google
    limits how often a file is fetched in a day), if the disk is full, or if a file is not the published one.
    """
    folder.mkdir(parents=True, exist_ok=True)
    return [_fetch_checked(folder / file.name, file, progress, address) for file in files or official_files()]


def _fetch_checked(path: Path, file: Remote, progress: Progress | None, address: str) -> Path:
    if path.exists():
        if _md5(path) != file.md5:
            raise RunError(f"{path}: not the published file (its MD5 is wrong); remove it and run this again")
        return path
    part = path.with_name(f"{path.name}.part")
    try:
        transfers(_worth_another)(_fetch, part, file, progress, address)
    except urllib.error.HTTPError as error:
        raise RunError(
            f"{file.name}: the server answered {error.code} {error.reason}; {_by_hand(path.parent)}"
        ) from error
    except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
        raise RunError(
            f"{file.name}: the server cannot be reached ({error}); try again, or {_by_hand(path.parent)}"
        ) from error
    except OSError as error:
        raise RunError(f"{part}: {error.strerror}; make room and run this again, it continues") from error
    if _md5(part) != file.md5:
        part.unlink()
        raise RunError(f"{file.name}: what arrived is not the published file (its MD5 is wrong); try again later")
    return part.rename(path)


def _worth_another(error: BaseException) -> bool:
    """Whether the server did not answer; an answer that refuses is final."""
    lost = isinstance(error, urllib.error.URLError | TimeoutError | ConnectionError)
    return lost and not isinstance(error, urllib.error.HTTPError)


def _fetch(part: Path, file: Remote, progress: Progress | None, address: str) -> None:
    """Fetches what is missing of a file into `part`."""
    have = part.stat().st_size if part.exists() else 0
    query = urllib.parse.urlencode({"id": file.id, "export": "download", "confirm": "t"})
    request = urllib.request.Request(f"{address}?{query}", headers={"Range": f"bytes={have}-"} if have else {})
    try:
        response = urllib.request.urlopen(request, timeout=_TIMEOUT)
    except urllib.error.HTTPError as error:
        if have and error.code == 416:  # nothing is missing
            return
        raise
    with response:
        if response.headers.get_content_type() == "text/html":
            raise RunError(_refusal(file, response.read(1 << 16).decode("utf-8", "replace"), part.parent))
        if response.status != 206:
            have = 0
        total = have + int(response.headers.get("Content-Length", 0))
        with part.open("ab" if have else "wb") as out:
            while piece := response.read(_PIECE):
                out.write(piece)
                have += len(piece)
                if progress:
                    progress(have, total, file.name)
    if have < total:
        raise ConnectionError(f"{file.name}: cut short at {have} of {total} bytes")


def _refusal(file: Remote, page: str, folder: Path) -> str:
    """The error when a page arrives instead of a file."""
    quota = "quota" in page.lower() or "too many users" in page.lower()
    reason = "its quota for today is used up" if quota else "a page arrived instead of the file"
    return f"{file.name}: Google Drive refuses it: {reason}; try again tomorrow, or {_by_hand(folder)}"


def _by_hand(folder: Path) -> str:
    return f"fetch it in a browser from {BY_HAND} and put it into {folder}"


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
