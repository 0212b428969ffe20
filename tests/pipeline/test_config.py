import pytest
from pydantic import ValidationError

from pipeline.config import PRESETS, Config, Discriminator


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_whole_names_itself_and_survives_json(name: str) -> None:
    config = PRESETS[name]()
    assert config.preset == name
    assert Config.model_validate_json(config.model_dump_json()) == config


def test_every_knob_is_documented_and_an_unknown_one_is_refused() -> None:
    for group in (
        Config,
        *(f.annotation for f in Config.model_fields.values() if hasattr(f.annotation, "model_fields")),
    ):
        assert group is not None
        for name, field in group.model_fields.items():
            assert field.description or hasattr(field.annotation, "model_fields"), f"{group.__name__}.{name}"
    with pytest.raises(ValidationError, match="colour"):
        Config.model_validate({"colour": 1})


def test_a_gradient_penalty_beside_batch_normalisation_is_refused_with_the_remedy() -> None:
    with pytest.raises(ValidationError, match=r"--discriminator\.normalisation none"):
        Config(r1=1.0)
    assert Config(r1=1.0, discriminator=Discriminator(normalisation="none")).r1 == 1.0
