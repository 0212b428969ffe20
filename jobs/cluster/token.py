"""The token that every process of a Ray cluster proves to know. On by default, since whoever reaches Ray runs code."""

import os

from raygan.sharding.errors import UserError

MODE = "RAY_AUTH_MODE"
GET = "set RAY_AUTH_TOKEN_PATH or RAY_AUTH_TOKEN to the cluster's token (`ray get-auth-token` on its head prints it)"


def require() -> None:
    """Makes Ray, which must not be imported yet, prove the token, unless the user has set RAY_AUTH_MODE."""
    os.environ.setdefault(MODE, "token")


def refusal(where: str, error: Exception) -> UserError:
    """What the user did wrong when a cluster did not let us in."""
    wrong = "invalid" in str(error).lower()
    fault = "it does not know this token" if wrong else "it asks for a token, and there is none"
    return UserError(f"{where}: {fault}; {GET}, or {MODE}=disabled for a cluster that asks for none")
