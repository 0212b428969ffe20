"""The token of a Ray cluster. It is required by default, because anyone who reaches Ray can run code there."""

import os

from raygan.sharding.errors import UserError

MODE = "RAY_AUTH_MODE"
GET = "set RAY_AUTH_TOKEN_PATH or RAY_AUTH_TOKEN to the cluster's token (`ray get-auth-token` on its head prints it)"


def require() -> None:
    """Makes Ray send and ask for the token, unless the user has set RAY_AUTH_MODE. Call it before Ray is imported."""
    os.environ.setdefault(MODE, "token")


def refusal(where: str, error: Exception) -> UserError:
    """The error to raise when the cluster at `where` refused the connection."""
    wrong = "invalid" in str(error).lower()
    fault = "it does not know this token" if wrong else "it asks for a token, and there is none"
    return UserError(f"{where}: {fault}; {GET}, or {MODE}=disabled for a cluster that asks for none")
