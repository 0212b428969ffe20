"""How a configuration chooses an objective, and where the objective's settings are written."""

import json
from typing import Any

import pytest
from pydantic import ValidationError

from raygan.pipeline.config import PRESETS, Adversarial, Config, Discriminator, celeba64
from tests.pipeline.objectives.codebook import Codebook

KIND = "tests.pipeline.objectives.codebook:Codebook"


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_is_read_back_as_it_was_written(name: str) -> None:
    config = PRESETS[name]()
    assert Config.model_validate_json(config.model_dump_json()) == config
    assert Config.model_validate(config.model_dump()) == config


def test_what_version_0_1_wrote_is_read_as_the_adversarial_objective() -> None:
    written = {
        "preset": "celeba64",
        "loss": "bce",
        "r1": 0.1,
        "balance": "auto",
        "discriminator": {"width": 32, "normalisation": "none"},
        "evaluation": {"every": 100, "place": "aside"},
    }
    config = Config.model_validate_json(json.dumps(written))
    discriminator = Discriminator(width=32, normalisation="none")
    assert config.objective == Adversarial(r1=0.1, balance="auto", discriminator=discriminator)
    assert config.evaluation.background


def test_settings_are_written_where_people_write_them() -> None:
    assert celeba64().model_dump()["r1"] == 0.1
    assert celeba64().dotted()["discriminator.learning_rate"] == 4e-4
    other = Config.model_validate({"objective": KIND, "codebook": {"vectors": 8}})
    assert other.objective == Codebook(vectors=8)
    assert other.dotted()["codebook.vectors"] == 8
    assert "balance" not in other.model_dump()
    assert Config.model_validate_json(other.model_dump_json()) == other


def test_settings_are_changed_by_their_dotted_names() -> None:
    changed = celeba64().with_settings({"discriminator.width": 8, "generator.width": 4, "balance": 2})
    assert isinstance(changed.objective, Adversarial)
    assert (changed.objective.discriminator.width, changed.generator.width, changed.objective.balance) == (8, 4, 2)
    with pytest.raises(KeyError):
        celeba64().with_settings({"codebook.vectors": 8})
    with pytest.raises(KeyError):
        celeba64().with_settings({"discriminator": 8})


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"objective": KIND, "balance": 2}, "`balance`: a setting of the objective adversarial, and this one is tests"),
        ({"objective": "vea"}, "there is no objective 'vea'; there are adversarial"),
        ({"objective": "nobody.knows:It"}, "the objective 'nobody.knows:It' cannot be imported"),
        ({"objective": "json:dumps"}, "the objective 'json:dumps' is no subclass of ObjectiveSettings"),
        (
            {"loss": "mmd", "batch": 3, "accumulate": 2},
            "`loss` mmd compares images with each other: `batch` 3 is too small for it; give at least 4",
        ),
        ({"beta": 1}, "Extra inputs are not permitted"),
    ],
)
def test_what_does_not_belong_to_the_objective_is_refused_by_name(given: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        Config.model_validate(given)


def test_a_resumed_run_keeps_what_its_objective_fixes() -> None:
    assert celeba64().fixed_settings()["discriminator.normalisation"] == "none"
    assert "balance" not in celeba64().fixed_settings()
    assert Config.model_validate({"objective": KIND}).fixed_settings()["objective"] == KIND
