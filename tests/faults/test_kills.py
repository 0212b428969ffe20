"""Whatever instant a process dies at, the run ends as if it had never died (docs/recovery.md has the longer table)."""

import subprocess
import sys


def test_ten_kills_at_random_instants_change_no_bit_of_the_end() -> None:
    # In a process of its own, which forks: this one may have threads.
    command = [sys.executable, "-m", "tests.faults.hundred", "--kills", "10"]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert output.splitlines()[-1].startswith("10 kills in "), output
    assert output.splitlines()[-1].endswith("; 0 runs ended otherwise"), output
