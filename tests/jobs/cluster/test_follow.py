import pytest

from raygan.jobs.cluster.follow import Shown


def test_a_log_that_is_told_again_from_its_beginning_is_shown_once(capsys: pytest.CaptureFixture[str]) -> None:
    shown = Shown()
    for connection in (("one\n", "tw"), ("one\ntwo\n",), ("one\n", "two\nthree\n")):
        position = 0
        for part in connection:
            shown.show(part, position)
            position += len(part)
    assert capsys.readouterr().out == "one\ntwo\nthree\n"
