"""Credentials planted everywhere a user may have them are in nothing that a run leaves behind."""

import logging
from pathlib import Path

import pytest

from raygan.pipeline import tracking
from raygan.pipeline.models.dcgan import Generator
from raygan.pipeline.tracking.client import redact
from raygan.sharding.format.manifest import Manifest, ShardEntry

SECRETS = {
    "MLFLOW_TRACKING_TOKEN": "canary-token-5d1f",
    "MLFLOW_TRACKING_USERNAME": "canary-anna-77aa",
    "MLFLOW_TRACKING_PASSWORD": "canary-password-90c2",
    "AWS_ACCESS_KEY_ID": "canary-AKIA-31b7",
    "AWS_SECRET_ACCESS_KEY": "canary-aws-secret-e04d",
    "AWS_SESSION_TOKEN": "canary-session-88f1",
    "HF_TOKEN": "canary-hub-0b9e",
}
ARGUMENTS = {"size": 32, "latent": 5, "width": 4, "normalisation": "none"}


def manifest() -> Manifest:
    shard = ShardEntry(name="train-000000.tar", split="train", count=10, bytes=1, sha256="0")
    return Manifest.seal(
        identity="1", source="2", kind="drawn faces", size=32, crop=178, resize="bicubic", encoding="npy", seed=0,
        attributes=(), key_width=6, mean=(0, 0, 0), deviation=(1, 1, 1), shards=(shard,),
    )  # fmt: skip


def test_no_credential_is_in_anything_that_a_run_leaves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    leaky = " ".join(["https://anna:canary-in-address@example.org/faces", *SECRETS.values()])
    caplog.set_level(logging.INFO)
    uri = tracking.local_uri(tmp_path / "runs")

    run_id = tracking.create_run(
        uri, "faces", "leaky", {"shards": leaky, "deep": {"er": leaky}}, tracking.origin(leaky) | {"job": leaky}
    )
    tracking.log_inputs(uri, run_id, leaky, manifest(), {"shards": leaky})
    for where, spool in ((uri, tmp_path / "spool"), ("http://127.0.0.1:9", tmp_path / "undelivered")):
        writer = tracking.Writer(where, run_id, spool)
        writer.metrics({"loss/generator": 1.0}, 0)
        writer.tags(
            {"job": leaky, tracking.NOTE: tracking.description(leaky, manifest(), run_id, {"score/kid": 1.0}, leaky)}
        )
        writer.close(5)
    generator = Generator(**ARGUMENTS)  # type: ignore[arg-type]
    tracking.register_generator(
        uri, run_id, "leaky", generator, ARGUMENTS, 0, {"score/kid": 1.0}, "score/kid", {"data": leaky}, leaky
    )
    tracking.end_run(uri, run_id, "FAILED", leaky)

    left = {str(path): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert any(path.endswith("mlflow.db") for path in left)
    assert any("undelivered" in path for path in left)
    left |= {"log": caplog.text.encode(), "output": "".join(capfd.readouterr()).encode()}
    assert [path for path, content in left.items() if b"canary" in content] == []


def test_what_is_no_secret_is_left_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAYGAN_SHORT_TOKEN", "the")
    text = "the loss at https://mlflow.example.org/#/runs is anna@example.org's"
    assert redact(text) == text
