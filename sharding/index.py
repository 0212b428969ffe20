"""Makes a manifest for WebDataset tars that other programs wrote, and the index files that NVIDIA DALI reads."""

import hashlib
import tarfile
from collections.abc import Callable
from typing import NamedTuple

from raygan.sharding.errors import UserError
from raygan.sharding.format.manifest import NAME, Crop, Encoding, Manifest, ShardEntry, Split
from raygan.sharding.format.shard import sha256
from raygan.sharding.sources.pictures import SUFFIXES
from raygan.sharding.storage.folder import Folder

Progress = Callable[[int, int, str], None]
_PIECE = 1 << 20
_ENCODINGS: dict[str, Encoding] = {"jpg": "jpg", "jpeg": "jpg", "png": "png", "webp": "webp"}
_PREFIXES: dict[str, Split] = {"val": "valid", "dev": "valid", "test": "test"}


class Member(NamedTuple):
    """One file of a tar."""

    key: str
    extension: str
    offset: int  # of its first byte
    length: int
    name: str


def index(folder: str, size: int = 64, crop: Crop = "none", progress: Progress | None = None) -> Manifest:
    """Writes a manifest beside the .tar files in `folder`, so that the reader can read them, and returns it.

    Every sample must have one picture (.jpg, .png, .webp); other members are ignored. The split is read from the
    file's name: val*, dev* and test* are valid and test, all others are train. The reader crops and resizes the
    pictures to `size` while it reads, as `crop` says; annotations are not read. `progress` gets tars done, tars in
    total, and the name. Raises UserError for a folder that has a manifest or no tars, for a tar that is compressed or
    damaged, and for a sample without a picture or with more than one.
    """
    store = Folder(folder)
    files, _ = store.list()
    names = sorted(name for name in files if name.endswith(".tar"))
    if NAME in files:
        raise UserError(f"{folder}/{NAME}: exists already; remove it to index the tars again")
    if not names:
        raise UserError(f"{folder}: no .tar files there; compressed ones (.tar.gz) must be unpacked first")
    entries, encodings = [], set()
    for number, name in enumerate(names):
        entry, extensions = _entry(store, name)
        entries.append(entry)
        encodings |= extensions
        if progress:
            progress(number + 1, len(names), name)
    digest = sha256("".join(entry.sha256 for entry in entries).encode())
    manifest = Manifest.seal(
        identity=digest,
        source=digest,
        kind=f"{len(names)} tars made elsewhere",
        size=size,
        crop=crop,
        resize="bicubic",
        encoding=_ENCODINGS[min(encodings, default="jpg")],
        foreign=True,
        seed=0,
        attributes=(),
        key_width=100,
        mean=None,
        deviation=None,
        shards=entries,
    )
    store.write(NAME, manifest.to_bytes())
    return manifest


def _entry(folder: Folder, name: str) -> tuple[ShardEntry, set[str]]:
    where = f"{folder}/{name}"
    pictures: dict[str, Member] = {}
    for member in members(folder, name):
        if f".{member.extension.lower()}" not in SUFFIXES or member.extension.lower() not in _ENCODINGS:
            continue
        if member.key in pictures:
            raise UserError(f"{where}: {member.key} has more than one picture; keep one of them")
        if len(member.name.encode()) > 100:
            raise UserError(f"{where}: {member.name}: longer than the 100 bytes of a ustar name; shorten the keys")
        pictures[member.key] = member
    if not pictures:
        raise UserError(f"{where}: no pictures (.jpg, .png, .webp) in it; is it a WebDataset of images?")
    digest = hashlib.sha256()
    with folder.open(name) as file:
        while piece := file.read(_PIECE):
            digest.update(piece)
        length = file.tell()
    split = next((split for prefix, split in _PREFIXES.items() if name.startswith(prefix)), "train")
    entry = ShardEntry(
        name=name,
        split=split,
        count=len(pictures),
        bytes=length,
        sha256=digest.hexdigest(),
        offsets=tuple(member.offset for member in pictures.values()),
        lengths=tuple(member.length for member in pictures.values()),
    )
    return entry, {member.extension.lower() for member in pictures.values()}


def members(folder: Folder, name: str) -> list[Member]:
    """The regular files of a tar, in order, with webdataset's keys. UserError for a damaged or compressed one."""
    try:
        with folder.open(name) as file, tarfile.open(fileobj=file, mode="r:") as tar:
            found = [(member.name, member.offset_data, member.size) for member in tar if member.isreg()]
    except tarfile.TarError as error:
        raise UserError(f"{folder}/{name}: not a plain tar ({error}); unpack it, or fetch it again") from error
    result = []
    for path, offset, length in found:
        folder_name, slash, base = path.rpartition("/")
        stem, _, extension = base.partition(".")
        if stem:
            result.append(Member(folder_name + slash + stem, extension, offset, length, path))
    return result


def write_dali_index(folder: str) -> list[str]:
    """Writes NAME.idx beside each shard of a data set, for DALI's `fn.readers.webdataset(index_paths=...)`.

    The format is that of DALI's wds2idx tool, version 1.2: a line with the version and the number of samples, then
    for each sample the extension, offset, length and name of each of its members. Returns the names of the files.
    """
    store = Folder(folder)
    written = []
    for entry in Manifest.load(folder).shards:
        samples: dict[str, list[Member]] = {}
        for member in members(store, entry.name):
            samples.setdefault(member.key, []).append(member)
        lines = [
            " ".join(f"{member.extension} {member.offset} {member.length} {member.name}" for member in sample)
            for sample in samples.values()
        ]
        name = f"{entry.name.removesuffix('.tar')}.idx"
        store.write(name, "\n".join([f"v1.2 {len(samples)}", *lines, ""]).encode())
        written.append(name)
    return written
