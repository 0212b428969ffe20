"""The two kinds of error that a user sees; `raygan` prints their message as one line, without a traceback.

A message says what is wrong, where (the file or the setting), and the remedy. A setting is in backticks, by its name.
"""


class UserError(Exception):
    """A mistake in what was asked: a missing folder, an unknown preset. `raygan` exits with status 2."""


class RunError(Exception):
    """What was asked was right, but the run failed: a shard changed, a loss is not finite. Exit status 1."""
