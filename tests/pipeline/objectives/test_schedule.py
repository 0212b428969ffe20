import pytest
from hypothesis import given
from hypothesis import strategies as st

from raygan.pipeline.config import Config
from raygan.pipeline.objectives.schedule import learning_rate_factor


@pytest.mark.parametrize(("decay", "halfway"), [("none", 1.0), ("linear", 0.5), ("cosine", 0.5)])
def test_the_rate_falls_from_one_to_zero_over_the_run(decay: str, halfway: float) -> None:
    config = Config.model_validate({"decay": decay, "images": 1000, "batch": 10})
    factors = [learning_rate_factor(config, position) for position in (0, 500, 1000, 2000)]
    end = 1.0 if decay == "none" else 0.0
    assert factors == pytest.approx([1.0, halfway, end, end])


def test_the_rate_rises_to_its_height_over_the_warm_up() -> None:
    config = Config(warm_up=100, batch=10)
    factors = [learning_rate_factor(config, position) for position in range(0, 120, 10)]
    assert factors == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.0, 1.0])


@given(st.integers(0, 10_000), st.integers(0, 3_000), st.sampled_from(["none", "linear", "cosine"]))
def test_the_rate_is_never_negative_nor_above_what_was_asked(position: int, warm_up: int, decay: str) -> None:
    config = Config.model_validate({"warm_up": warm_up, "decay": decay, "images": 5_000})
    assert 0 <= learning_rate_factor(config, position) <= 1
