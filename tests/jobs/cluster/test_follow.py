import pytest

from raygan.jobs.cluster.follow import LogPrinter


def test_a_log_that_is_sent_again_from_its_beginning_is_printed_once(capsys: pytest.CaptureFixture[str]) -> None:
    printer = LogPrinter()
    for connection in (("one\n", "tw"), ("one\ntwo\n",), ("one\n", "two\nthree\n")):
        position = 0
        for part in connection:
            printer.show(part, position)
            position += len(part)
    assert capsys.readouterr().out == "one\ntwo\nthree\n"
