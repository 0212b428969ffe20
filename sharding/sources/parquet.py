"""Reads a data set as the Hugging Face hub exports it: parquet files whose rows hold the encoded pictures."""

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from raygan.sharding.errors import UserError
from raygan.sharding.sources.pictures import stem_of
from raygan.sharding.sources.source import Reject, Source, assemble, random_splits
from raygan.sharding.storage.folder import Folder

FOLDERS = ("", "data", "default")
IDENTITIES = ("celeb_id", "identity")
_PREFIXES = {"train": 0, "val": 1, "test": 2}


class ParquetPictures:
    """The pictures in a column of parquet files. A name is FILE#ROW GROUP#ROW."""

    def __init__(self, folder: Folder, column: str) -> None:
        self.folder, self.column = folder, column

    def read(self, name: str) -> bytes:
        """The encoded bytes of one picture; none where the value is null. Raises OSError."""
        file, group, row = name.split("#")
        value = _pictures(self.folder, file, int(group), self.column)[int(row)].as_py()
        picture = value["bytes"] if isinstance(value, dict) else value
        return bytes(picture or b"")


@functools.lru_cache(maxsize=4)
def _pictures(folder: Folder, file: str, group: int, column: str) -> Any:
    """The pictures of a row group, kept, because a worker reads neighbouring rows one after the other."""
    return _open(folder, file).read_row_group(group, columns=[column]).column(column)


@functools.lru_cache(maxsize=4)
def _open(folder: Folder, file: str) -> Any:
    import pyarrow
    import pyarrow.parquet

    try:
        return pyarrow.parquet.ParquetFile(folder.open(file), pre_buffer=False)
    except pyarrow.ArrowInvalid as error:
        raise UserError(f"{folder}/{file}: not a whole parquet file ({error}); fetch it again") from error


def parquet_files(location: Folder) -> list[tuple[Folder, str]]:
    """The parquet file at `location`, or those of the folder there or of its folder `data`, by name."""
    if location.is_file():
        return [(location.parent, location.name)] if location.name.endswith(".parquet") else []
    for path in FOLDERS:
        folder = location / path if path else location
        found = [(folder, name) for name in folder.list()[0] if name.endswith(".parquet")]
        if found:
            return found
    return []


def open_parquet(files: Sequence[tuple[Folder, str]], seed: int, held_out: float) -> Source:
    """A source of the rows of these files, which are in one folder.

    The picture is the first column of type {bytes, path} or binary. Boolean columns, and whole numbers that are
    only -1, 0 and 1, are attributes; celeb_id or identity is the identity. The split is read from the file's name
    (train*, val*, test*); without such names it is drawn. Rows are in the order of the files, and neighbours are
    kept together when shards are planned, because a row group can only be read as a whole.
    """
    folder = files[0][0]
    schema = _open(*files[0]).schema_arrow
    picture = next((field for field in schema if _holds_pictures(field.type)), None)
    if picture is None:
        raise UserError(f"{folder}/{files[0][1]}: no column of pictures (bytes and path); it has {schema.names}")
    names, table, block = _rows(files, picture)
    annotations = _annotations(table)
    kept = np.flatnonzero(~annotations.lacking)
    kept_names, stems, sizes = [names[row] for row in kept], _stems(table, picture.name, names), folder.list()[0]
    return assemble(
        kind=f"parquet export of {len(names)} images with {len(annotations.bits) or 'no'} attributes",
        pictures=ParquetPictures(folder, picture.name),
        names=kept_names,
        stems=[stems[row] for row in kept],
        lengths=[sizes[name.partition("#")[0]] for name in kept_names],
        splits=_splits(kept_names, seed, held_out),
        attributes=tuple(annotations.bits),
        values=np.stack([bits[kept] for bits in annotations.bits.values()], 1) if annotations.bits else None,
        numbers={"identity": annotations.identity[kept, None]} if annotations.identity is not None else {},
        rejects=tuple(Reject(names[row], "a value is missing") for row in np.flatnonzero(annotations.lacking)),
        block=block,
    )


def _rows(files: Sequence[tuple[Folder, str]], picture: Any) -> tuple[list[str], Any, int]:
    """The name of every row, all columns but the pictures' bytes as one table, and the rows of the largest group."""
    import pyarrow

    names, tables = [], []
    for folder, file in files:
        opened = _open(folder, file)
        columns = [name for name in opened.schema_arrow.names if name != picture.name]
        if pyarrow.types.is_struct(picture.type) and picture.type.get_field_index("path") >= 0:
            columns.append(f"{picture.name}.path")
        for group in range(opened.num_row_groups):
            tables.append(opened.read_row_group(group, columns=columns))
            names += [f"{file}#{group}#{row}" for row in range(opened.metadata.row_group(group).num_rows)]
    try:
        table = pyarrow.concat_tables(tables)
    except pyarrow.ArrowInvalid as error:
        raise UserError(f"{files[0][0]}: the parquet files have different columns; do they belong together?") from error
    return names, table, max((part.num_rows for part in tables), default=1) or 1


class _Annotations(NamedTuple):
    bits: dict[str, NDArray[np.uint8]]  # attributes, 0 or 1 [n] each
    identity: NDArray[np.int64] | None  # [n]
    lacking: NDArray[np.bool_]  # rows with an attribute or identity that is null


def _annotations(table: Any) -> _Annotations:
    found = _Annotations({}, None, np.zeros(table.num_rows, bool))
    for name in table.column_names:
        column = _whole_numbers(table.column(name))
        if column is None:
            continue
        values, null = column
        if name in IDENTITIES:
            found = found._replace(identity=values)
        elif np.isin(values, (-1, 0, 1)).all():
            found.bits[name] = (values > 0).astype(np.uint8)
        else:
            continue
        found.lacking[:] |= null
    return found


def _stems(table: Any, picture: str, names: Sequence[str]) -> list[str]:
    """The file names of the pictures without their suffix, or else the names of the rows."""
    paths = (
        [(value or {}).get("path") for value in table.column(picture).to_pylist()]
        if picture in table.column_names
        else []
    )
    if paths and all(paths):
        return [stem_of(str(path)) for path in paths]
    return list(names)


def _holds_pictures(kind: Any) -> bool:
    import pyarrow.types as types

    if types.is_struct(kind):
        return any(kind.field(i).name == "bytes" for i in range(kind.num_fields))
    return bool(types.is_binary(kind) or types.is_large_binary(kind))


def _whole_numbers(column: Any) -> tuple[NDArray[np.int64], NDArray[np.bool_]] | None:
    """A column of booleans or whole numbers as int64 [n], and where it is null; None for another type."""
    import pyarrow
    import pyarrow.types as types

    if not (types.is_boolean(column.type) or types.is_integer(column.type)):
        return None
    null = column.is_null().to_numpy()
    return column.cast(pyarrow.int64()).fill_null(0).to_numpy(), null


def _splits(names: Sequence[str], seed: int, held_out: float) -> NDArray[np.uint8]:
    """Split numbers uint8 [n], from the names of the files or else drawn."""
    found = [next((number for prefix, number in _PREFIXES.items() if name.startswith(prefix)), None) for name in names]
    if None in found:
        return random_splits(len(names), seed, held_out)
    return np.array(found, np.uint8)
