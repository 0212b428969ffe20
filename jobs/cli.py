"""The `raygan` command: runs one of its subcommands, and turns an error into one line and an exit status."""

import re
import sys
from collections.abc import Sequence
from typing import NoReturn

from cyclopts import CycloptsError, UnknownOptionError
from pydantic import ValidationError

from raygan.jobs.app import app
from raygan.jobs.commands.cluster import doctor, jobs, submit  # noqa: F401  (importing a module adds its command)
from raygan.jobs.commands.data import data, shard, shards  # noqa: F401
from raygan.jobs.commands.runs import evaluate, flush, generate, ui  # noqa: F401
from raygan.jobs.commands.training import demo, train, tune  # noqa: F401
from raygan.jobs.training_flags import owner_of, prepare
from raygan.jobs.ui import crash
from raygan.jobs.ui.flags import as_flags
from raygan.jobs.ui.progress import console
from raygan.sharding.errors import RunError, UserError

FLAG = re.compile(r"--[a-z][a-z0-9-]*(?:\.[a-z][a-z0-9-]*)*")


def fail(status: int, message: str) -> NoReturn:
    """Prints what is wrong in one red line, with settings named as flags, and exits with this status."""
    console.print(f"raygan: {as_flags(' '.join(message.splitlines()))}", style="red", markup=False, soft_wrap=True)
    sys.exit(status)


def words_of(error: CycloptsError) -> str:
    """What is wrong with the command line, in one line."""
    if isinstance(error.__cause__, ValidationError):
        problem = error.__cause__.errors()[0]
        names = [str(part) for part in problem["loc"] if part != "objective"]
        given = f"`{'.'.join(names)}` {problem['input']}: " if names else ""
        return f"{given}{problem['msg'].removeprefix('Value error, ')}"
    words = " ".join(str(error).split())
    if isinstance(error, UnknownOptionError) and (flag := FLAG.search(words)) and (owner := owner_of(flag[0])):
        return f"{flag[0]}: a setting of the objective {owner}: leave it out, or add --objective {owner}"
    return words


def main(tokens: Sequence[str] | None = None) -> None:
    """Runs one command; exits with 2 for a mistake in what was asked, with 1 for a run that failed.

    What nobody foresaw is one line too, with status 1; its traceback is in the file that the line names.
    """
    tokens = sys.argv[1:] if tokens is None else tokens
    try:
        app(prepare(app, tokens), exit_on_error=False, print_error=False, result_action="return_value")
    except CycloptsError as e:
        fail(2, f"{words_of(e)} (see --help)")
    except UserError as e:
        fail(2, str(e))
    except RunError as e:
        fail(1, str(e))
    except KeyboardInterrupt as e:
        fail(130, str(e) or "interrupted; what was finished is kept, and the same command continues from there")
    except Exception as e:
        fail(1, crash.explain(e, tokens, " ".join(app.parse_commands(tokens)[0])))
