"""What nobody foresaw, through a whole command in a process of its own."""

import os
import re
import subprocess
import sys
from pathlib import Path

SECRET = "canary-0123456789"
ODD = f"""
from raygan.jobs.cli import main
from raygan.pipeline.training import runs

def find_checkpoint(*arguments):
    raise ZeroDivisionError("odd\\nwith {SECRET}")

runs.find_checkpoint = find_checkpoint
main()
"""


def crash(**environment: str) -> str:
    """The one line of a command that meets an error which nobody foresaw."""
    command = [sys.executable, "-c", ODD, "generate", "a", "--runs", f"s3://{SECRET}/runs"]
    environment = dict(os.environ) | {"MLFLOW_TRACKING_TOKEN": SECRET} | environment
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("raygan: raygan generate stopped at an unforeseen error: ZeroDivisionError: odd with [redac")
    return line


def test_an_unforeseen_error_is_one_line_that_names_a_file_with_all_about_it(tmp_path: Path) -> None:
    line = crash(XDG_STATE_HOME=str(tmp_path))
    (name,) = re.findall(r"the traceback is in (\S+);", line)
    written = Path(name).read_text()
    assert Path(name).is_relative_to(tmp_path)
    assert written.startswith("command: raygan generate a --runs s3://[redacted]/runs")
    for part in ("Traceback (most recent call last)", "find_checkpoint", "raygan 0", "torch 2", "python 3", "ray 2"):
        assert part in written
    assert SECRET not in line + written


def test_where_no_log_can_be_written_the_file_is_among_the_temporary_ones(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    line = crash(XDG_STATE_HOME=str(tmp_path / "file"), TMPDIR=str(tmp_path))
    assert f"the traceback is in {tmp_path}/crash-" in line
