import pytest

from raygan.pipeline.config import Config, Launch, radford, smoke
from raygan.pipeline.tuning.space import Choice, Range, check, default, grid_points, known_points, overlay, parse, words
from raygan.sharding.errors import UserError


def test_ranges_and_choices_are_read_from_the_command_line_and_from_files_and_written_back() -> None:
    text = {"generator.betas": "[0.0,0.9],[0.5,0.999]", "loss": "bce,hinge", "balance": "0.5:5:log"}
    space = parse(text)
    assert space["balance"] == Range(low=0.5, high=5, log=True)
    assert space["loss"] == Choice(values=("bce", "hinge"))
    assert space["generator.betas"] == Choice(values=((0.0, 0.9), (0.5, 0.999)))
    assert parse({"balance": {"low": 0.5, "high": 5, "log": True}, "loss": ["bce", "hinge"]}) == {
        "balance": space["balance"],
        "loss": space["loss"],
    }
    assert parse(dict(line.split("=") for line in words(space))) == space


@pytest.mark.parametrize(
    ("field", "values", "complaint"),
    [
        ("balance", "0.01:5", "`vary` balance=0.01: .*greater than or equal to 0.05"),
        ("balance", "5:0.5", "balance=5:0.5: this range holds no value"),
        ("balance", "0:5:log", "this range holds no value"),
        ("balance", "a:b", "give a range LOW:HIGH"),
        ("generator.learning_rat", "1e-5:1e-3", "there is no such setting"),
        ("generator", "1,2", "there is no such setting"),
        ("loss", "bce,l2", "loss=l2: "),
        ("images", "100,200", "the same in all trials"),
        ("evaluation.count", "100,200", "the same in all trials"),
    ],
)
def test_what_the_configuration_would_refuse_is_refused_before_any_trial(
    field: str, values: str, complaint: str
) -> None:
    with pytest.raises(UserError, match=complaint):
        check(parse({field: values}), smoke(), Launch())


def test_the_grid_holds_every_combination_and_only_whole_numbers_where_the_field_is_one() -> None:
    space = parse({"ema_half_life": "10:1000:log", "loss": "bce,hinge"})
    points = grid_points(space, smoke(), 3)
    assert {(point["ema_half_life"], point["loss"]) for point in points} == {
        (value, loss) for value in (10, 100, 1000) for loss in ("bce", "hinge")
    }


def test_what_is_known_to_work_comes_first_as_far_as_it_lies_in_the_space() -> None:
    base = overlay(smoke(), {"balance": 2.0})
    points = known_points(default(base), base)
    assert points[0] == {"discriminator.learning_rate": 2e-4, "generator.learning_rate": 2e-4, "balance": 2.0}
    assert {"discriminator.learning_rate": 2e-4, "generator.learning_rate": 2e-4, "balance": 1.0} in points
    assert known_points({"balance": Range(low=3, high=5)}, radford()) == []


def test_a_value_that_needs_another_beside_it_is_taken_if_the_space_holds_that() -> None:
    with pytest.raises(UserError, match=r"`vary` r1=1.0: "):
        check(parse({"r1": "0.0,1.0", "balance": "1:2"}), smoke(), Launch())
    check(parse({"r1": "0.0,1.0", "balance": "1:2", "discriminator.normalisation": "batch,none"}), smoke(), Launch())


def test_values_that_are_sound_each_but_not_together_are_refused_with_both_names() -> None:
    with pytest.raises(UserError, match=r"discriminator.normalisation=batch, r1=1.0: .*set `discriminator.norm"):
        overlay(Config(), {"discriminator.normalisation": "batch", "r1": 1.0})


def test_values_that_the_workers_of_a_trial_cannot_share_are_refused() -> None:
    with pytest.raises(UserError, match="`batch` 2: 4 workers cannot share it"):
        check(parse({"batch": "2:16"}), smoke(), Launch(workers="4"))
    with pytest.raises(UserError, match=r"`loss` mmd compares images .* `batch` 16 leaves some worker one alone"):
        check(parse({"loss": "bce,mmd"}), smoke(), Launch(workers="16"))
    check(parse({"loss": "bce,mmd", "batch": "16,32"}), smoke(), Launch(workers="16"))
