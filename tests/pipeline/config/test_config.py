from pathlib import Path

import pytest
from pydantic import ValidationError

from raygan.pipeline.config import PRESETS, Adversarial, Config, Discriminator, Launch
from raygan.pipeline.launch.plan import resolved


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_whole_names_itself_and_survives_json(name: str) -> None:
    config = PRESETS[name]()
    assert config.preset == name
    assert Config.model_validate_json(config.model_dump_json()) == config


def test_every_setting_is_documented_and_an_unknown_one_is_refused() -> None:
    for group in (
        Config,
        *(f.annotation for f in Config.model_fields.values() if hasattr(f.annotation, "model_fields")),
    ):
        assert group is not None
        for name, field in group.model_fields.items():
            assert field.description or hasattr(field.annotation, "model_fields"), f"{group.__name__}.{name}"
    with pytest.raises(ValidationError, match="colour"):
        Config.model_validate({"colour": 1})


def test_relative_folders_are_made_absolute_but_for_a_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    launch = resolved(Launch(shards="s3://bucket/faces", shard_cache="copies"), "demo")
    assert (launch.shards, launch.runs) == ("s3://bucket/faces", str(tmp_path / "runs"))
    assert (launch.shard_cache, launch.shard_cache_bytes) == (str(tmp_path / "copies"), 100_000_000_000)
    assert resolved(Launch(shard_cache="~/copies"), "demo").shard_cache == "~/copies"
    assert resolved(Launch(), "demo").shard_cache == "", "each node finds its own"


def test_a_gradient_penalty_beside_batch_normalisation_is_refused_with_the_remedy() -> None:
    with pytest.raises(ValidationError, match=r"`discriminator\.normalisation` none"):
        Config.model_validate({"r1": 1.0})
    assert Adversarial(r1=1.0, discriminator=Discriminator(normalisation="none")).r1 == 1.0
