"""Weights that are downloaded once, verified, and kept."""

import hashlib
import logging
from pathlib import Path

import torch
from filelock import FileLock

from raygan.sharding.errors import UserError

log = logging.getLogger(__name__)


def digest_of(path: Path) -> str:
    """SHA-256 of a file, hexadecimal. Raises UserError if it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); give the path of the weights") from error


def fetch(url: str, digest: str, folder: Path) -> Path:
    """The file with the SHA-256 `digest`: in `folder`, or downloaded there, whole or not at all, by one process.

    Raises UserError if the download fails or has another digest.
    """
    path = folder / url.rsplit("/", 1)[-1]
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{path}.lock"):
        if path.is_file() and digest_of(path) == digest:
            return path
        log.info("downloading %s to %s", url, path)
        try:
            torch.hub.download_url_to_file(url, str(path), hash_prefix=digest, progress=False)
        except (OSError, RuntimeError) as error:  # URLError is an OSError; RuntimeError: another digest
            remedy = f"put the file there by hand (its SHA-256 is {digest}) or give its path"
            raise UserError(f"{path}: {url} could not be downloaded ({error}); {remedy}") from error
    return path
