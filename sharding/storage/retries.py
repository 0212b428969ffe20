"""How work that failed is tried again: three policies, so that waits and limits are in one place.

Whoever uses one says which errors are worth another attempt. The last error is raised as it is.
"""

from collections.abc import Callable

from tenacity import (
    Retrying,
    retry_if_exception,
    stop_after_attempt,
    stop_after_delay,
    wait_exponential,
    wait_random_exponential,
)

Worth = Callable[[BaseException], bool]

AWAY_SECONDS = 300.0
BUSY_SECONDS = 30.0
TRANSFER_ATTEMPTS = 6
LONGEST_PAUSE = 20.0  # seconds between two attempts of a transfer


def while_away(worth: Worth) -> Retrying:
    """For an object store that may be away for minutes: tries for AWAY_SECONDS, with random pauses up to 10 s."""
    return Retrying(
        retry=retry_if_exception(worth),
        stop=stop_after_delay(AWAY_SECONDS),
        wait=wait_random_exponential(0.5, max=10),
        reraise=True,
    )


def while_busy(worth: Worth) -> Retrying:
    """For a server that refuses for a moment, as with status 503: tries for BUSY_SECONDS, with pauses up to 4 s."""
    return Retrying(
        retry=retry_if_exception(worth),
        stop=stop_after_delay(BUSY_SECONDS),
        wait=wait_exponential(0.2, max=4),
        reraise=True,
    )


def transfers(worth: Worth) -> Retrying:
    """For a download that breaks off: makes TRANSFER_ATTEMPTS, with random pauses, since many may start at once."""
    return Retrying(
        retry=retry_if_exception(worth),
        stop=stop_after_attempt(TRANSFER_ATTEMPTS),
        wait=wait_random_exponential(0.2, max=LONGEST_PAUSE),
        reraise=True,
    )
