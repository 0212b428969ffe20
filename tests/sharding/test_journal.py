"""The records of a conversion that was interrupted."""

from pathlib import Path

from raygan.sharding.format.manifest import ShardEntry
from raygan.sharding.journal import FOLDER, Journal, Written
from raygan.sharding.plan import PlannedShard
from raygan.sharding.storage.folder import Folder


def test_a_shard_counts_as_finished_only_with_a_whole_record_of_its_length(tmp_path: Path) -> None:
    journal = Journal(Folder(str(tmp_path)), "faces")
    planned = [PlannedShard("train-000000.tar", "train", first=0, count=1, total=1)]
    assert journal.finished(planned) == {}
    (tmp_path / "train-000000.tar").write_bytes(b"shard")
    entry = ShardEntry(name="train-000000.tar", split="train", count=1, bytes=5, sha256="0")
    written = Written(identity="faces", entry=entry)
    journal.record(written)
    assert journal.finished(planned) == {"train-000000.tar": written}

    record = tmp_path / FOLDER / "train-000000.tar.json"
    whole = record.read_bytes()
    for torn in (whole[:-20], b"", bytes(len(whole))):  # as a power cut may leave it
        record.write_bytes(torn)
        assert journal.finished(planned) == {}
    record.write_bytes(whole)
    (tmp_path / "train-000000.tar").write_bytes(b"sha")
    assert journal.finished(planned) == {}
