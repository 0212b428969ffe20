"""The manifest is what its published schema says, and names its data set by what is in it."""

import json
from pathlib import Path

import jsonschema
import pytest

from raygan.sharding.errors import UserError
from raygan.sharding.format.manifest import Manifest, ShardEntry

SCHEMA = Path(__file__).parents[3] / "docs" / "manifest.schema.json"
ENTRY = ShardEntry(name="train-000000.tar", split="train", count=3, bytes=10, sha256="0" * 64, stride=1)


def manifest(**changes: object) -> Manifest:
    fields: dict[str, object] = {
        "identity": "i",
        "source": "s",
        "kind": "test",
        "size": 64,
        "crop": 178,
        "resize": "bicubic",
        "encoding": "npy",
        "seed": 0,
        "attributes": ("Male",),
        "numbers": {"identity": 1},
        "key_width": 6,
        "mean": (1.0, 2.0, 3.0),
        "deviation": (1.0, 2.0, 3.0),
        "shards": (ENTRY, ENTRY.model_copy(update={"name": "test-000000.tar", "split": "test", "count": 2})),
    }
    return Manifest.seal(**{**fields, **changes})


def test_the_published_schema_is_that_of_the_code() -> None:
    assert SCHEMA.read_text() == Manifest.schema_text(), "write it anew: see CONTRIBUTING or docs/sharding.md"


def test_a_written_manifest_fits_the_published_schema() -> None:
    schema = json.loads(SCHEMA.read_text())
    written = json.loads(manifest().to_bytes())
    jsonschema.Draft202012Validator(schema).validate(written)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(schema).validate({**written, "version": 2})


def test_it_reads_back_as_it_was_written(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_bytes(manifest().to_bytes())
    read = Manifest.load(tmp_path)
    assert read == manifest()
    assert (read.samples("train"), read.samples("valid"), read.samples("test")) == (3, 0, 2)
    assert [entry.name for entry in read.shards_of("test")] == ["test-000000.tar"]


def test_the_digest_depends_on_every_field() -> None:
    changes: list[dict[str, object]] = [
        {},
        {"seed": 1},
        {"crop": "none"},
        {"shards": (ENTRY,)},
        {"lanes": 2},
        {"kind": "x"},
    ]
    assert len({manifest(**change).digest for change in changes}) == len(changes)


def test_what_is_no_manifest_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="raygan shard SOURCE"):
        Manifest.load(tmp_path)
    for text, what in (("{", "the file"), ('{"version": 2}', "version")):
        (tmp_path / "manifest.json").write_text(text)
        with pytest.raises(UserError, match=f"not a manifest of version 1: {what}"):
            Manifest.load(tmp_path)
