"""Everything that raygan uses of Ray beyond its public interface. It is one call, and Optuna's is not needed at all.

`RAY` is the range of versions for which it was checked. A test fails when the installed version is outside of it, or
when requirements.txt or pyproject.toml admit one that is. To move to another version of Ray: read `GcsClient` in its
source (`python/ray/includes/gcs_client.pxi`), look whether there is a public way by now, run the tests of this module
and tests/cluster, then widen `RAY`.

Public ways that replaced private ones: `ray.init(ignore_reinit_error=True).dashboard_url` for the dashboard's address,
`ray.get_runtime_context()` for the folder of the session, and an Optuna storage's
`get_trial_id_from_study_id_trial_number` in place of `FrozenTrial._trial_id`.
"""

RAY = ">=2.60,<2.61"


def ask_head(address: str) -> None:
    """Connects to the head of the Ray cluster at `address` (HOST:PORT) and returns once it has answered.

    Unlike `ray.init`, it does not try again for twenty seconds. Raises `ray.exceptions.AuthenticationError` if the
    cluster expects another token.
    """
    from ray._raylet import GcsClient  # type: ignore[attr-defined]

    GcsClient(address=address)
