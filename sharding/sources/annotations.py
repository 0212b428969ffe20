"""Reads CelebA's annotation tables: the official .txt files and Kaggle's .csv forms of them.

Lines end in LF or CRLF; the official attribute file starts with a count line, which may be missing.
"""

from collections.abc import Callable, Iterator
from pathlib import PurePosixPath
from typing import Generic, NamedTuple, TypeVar

from raygan.sharding.errors import UserError
from raygan.sharding.sources.pictures import SUFFIXES

T = TypeVar("T")

_BITS = {b"-1": 0, b"0": 0, b"1": 1}


class Table(NamedTuple, Generic[T]):
    """One table: its column names, if it gives them, and a value for each image's stem (its key)."""

    columns: tuple[str, ...]
    rows: dict[bytes, T]
    doubled: frozenset[bytes]  # stems that have more than one row; the first counts


def read_bits(data: bytes, where: str) -> Table[bytes]:
    """A table of -1 and 1 (or 0 and 1) with named columns: one byte, 0 or 1, for each column.

    Raises UserError for a table without column names, a row of another length, or another value.
    """
    table = _read(data, where, lambda cells: bytes([_BITS[cell] for cell in cells]))
    if not table.columns:
        raise UserError(f"{where}: no line with the attribute names before the first image; get the official file")
    return table


def read_numbers(data: bytes, where: str) -> Table[tuple[int, ...]]:
    """A table of whole numbers, with or without column names (partition, identity, landmarks)."""
    return _read(data, where, lambda cells: tuple(int(cell) for cell in cells))


def _read(data: bytes, where: str, parse: Callable[[list[bytes]], T]) -> Table[T]:
    columns: tuple[str, ...] = ()
    rows: dict[bytes, T] = {}
    doubled: set[bytes] = set()
    width = None
    for number, cells in _lines(data):
        if not rows and not columns and _is_header(cells):
            if len(cells) > 1 or not cells[0].isdigit():  # a single number is the count line
                columns = tuple(cell.decode("ascii", "replace") for cell in cells)
            continue
        if width is None:
            width = len(cells)
            if columns and len(columns) == width:
                columns = columns[1:]  # the .csv forms name the column of the image too
            if columns and len(columns) != width - 1:
                raise UserError(
                    f"{where}:{number}: {width - 1} values for {len(columns)} named columns; get the file again"
                )
        if len(cells) != width:
            raise UserError(f"{where}:{number}: {len(cells)} columns where {width} were expected; get the file again")
        stem = cells[0].rpartition(b".")[0] or cells[0]
        if stem in rows:
            doubled.add(stem)
            continue
        try:
            rows[stem] = parse(cells[1:])
        except (KeyError, ValueError) as error:
            raise UserError(
                f"{where}:{number}: a value that is not expected there: {error}; get the file again"
            ) from error
    return Table(columns, rows, frozenset(doubled))


def _lines(data: bytes) -> Iterator[tuple[int, list[bytes]]]:
    """The cells of each line that is not blank, and its number from 1."""
    comma = b"," in data[: data.find(b"\n") + 1 or len(data)]
    for number, line in enumerate(data.splitlines(), 1):
        cells = [cell.strip() for cell in line.split(b",")] if comma else line.split()
        if cells and cells[0]:
            yield number, cells


def _is_header(cells: list[bytes]) -> bool:
    """Whether a line is not an image's row: its first cell has no suffix of a picture."""
    return PurePosixPath(cells[0].decode("ascii", "replace")).suffix.lower() not in SUFFIXES
