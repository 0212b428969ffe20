"""The tar blocks of a shard, as arrays: ustar headers (POSIX 1003.1) written and checked many at a time."""

import tarfile

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]

BLOCK = 512
END = bytes(2 * BLOCK)  # what ends a tar
OWNER = "raygan"
MODE = 0o444

_SIZE = slice(124, 135)
_CHECKSUM = slice(148, 156)


def padded(length: int) -> int:
    """`length` bytes rounded up to whole tar blocks."""
    return -(-length // BLOCK) * BLOCK


def header_template(key_width: int, extension: str, length: int = 0) -> bytes:
    """The ustar header of a key of zeros; times and owners are fixed so that bytes do not depend on who writes when."""
    info = tarfile.TarInfo("0" * key_width + "." + extension)
    info.size, info.mode, info.uname, info.gname = length, MODE, OWNER, OWNER
    return info.tobuf(tarfile.USTAR_FORMAT)


def headers(keys: Bytes, extension: str, lengths: NDArray[np.int64]) -> Bytes:
    """The ustar headers, uint8 [count, 512], of members KEY.extension of these lengths; keys: uint8 [count, width]."""
    filled = np.tile(np.frombuffer(header_template(keys.shape[1], extension), np.uint8), (len(keys), 1))
    filled[:, : keys.shape[1]] = keys
    _fill_octal(filled[:, _SIZE], lengths)
    fill_checksums(filled)
    return filled


def fill_checksums(blocks: Bytes) -> None:
    """Writes the checksum of each header, uint8 [count, 512]: six octal digits, NUL, space."""
    blocks[:, _CHECKSUM] = ord(" ")
    sums = blocks.sum(1, dtype=np.int64)
    blocks[:, _CHECKSUM.stop - 2] = 0
    _fill_octal(blocks[:, _CHECKSUM.start : _CHECKSUM.stop - 2], sums)


def _fill_octal(columns: Bytes, values: NDArray[np.int64]) -> None:
    """Writes each value in octal digits, uint8 [count, digits], with leading zeros."""
    shifts = 3 * np.arange(columns.shape[1])[::-1]
    columns[:] = ord("0") + ((values[:, None] >> shifts) & 7)


def are_valid(blocks: Bytes) -> NDArray[np.bool_]:
    """Whether each of uint8 [count, 512] is a tar header with the right checksum, whatever program wrote it."""
    digits = blocks[:, _CHECKSUM].astype(np.int64) - ord("0")
    octal = (digits >= 0) & (digits < 8)
    stored = np.zeros(len(blocks), np.int64)
    for column in range(digits.shape[1]):
        stored = np.where(octal[:, column], stored * 8 + digits[:, column], stored)
    others = blocks.sum(1, dtype=np.int64) - blocks[:, _CHECKSUM].sum(1, dtype=np.int64)
    blank = np.isin(blocks[:, _CHECKSUM], (0, ord(" ")))
    return (stored == others + 8 * ord(" ")) & (octal | blank).all(1)
