"""Settings in a library's message, named as a person types them on the command line."""

import re

SETTING = re.compile(r"`([a-z][a-z0-9_]*(?:\.[a-z][a-z0-9_]*)*)`")


def as_flags(message: str) -> str:
    """The message with each setting in backticks as its flag: `discriminator.spectral_gain` is a setting.

    Other text in backticks, such as a command of two words, stays as it is.
    """
    return SETTING.sub(lambda match: "--" + match[1].replace("_", "-"), message)
