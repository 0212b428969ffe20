import pytest

from raygan.jobs.ui.flags import as_flags


@pytest.mark.parametrize(
    ("message", "printed"),
    [
        ("`balance` 0.3: too low", "--balance 0.3: too low"),
        ("`balance_target` 0.3: too low", "--balance-target 0.3: too low"),
        ("use `discriminator.spectral_gain` or `r1`", "use --discriminator.spectral-gain or --r1"),
        ("raygan train `resume` a", "raygan train --resume a"),
        ("as `raygan shard` wrote it", "as `raygan shard` wrote it"),
        ("as in `balance: 2`, `RAY_ADDRESS` or `--gpu`", "as in `balance: 2`, `RAY_ADDRESS` or `--gpu`"),
        ("no `", "no `"),
        ("", ""),
    ],
)
def test_a_setting_in_backticks_is_printed_as_its_flag_and_nothing_else_changes(message: str, printed: str) -> None:
    assert as_flags(message) == printed
    assert as_flags(printed) == printed
