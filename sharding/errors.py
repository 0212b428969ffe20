"""The two ways in which raygan ends badly; `raygan` prints their message as one line and no traceback.

A message says what is wrong, where (the file or the setting), and the remedy.
"""


class UserError(Exception):
    """A mistake in what was asked: a missing folder, an unknown preset. `raygan` exits with status 2."""


class RunError(Exception):
    """What was asked was right, but the run failed: a shard changed, a loss is not finite. Exit status 1."""
