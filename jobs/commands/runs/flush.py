"""`raygan tracking flush`: delivers to MLflow what is still in the runs' spools."""

from cyclopts import App

from raygan.jobs.app import Runs, app, say
from raygan.sharding.errors import RunError

tracking = App(name="tracking", help="What MLflow has received of the runs.")
app.command(tracking)


@tracking.command
def flush(*, runs: Runs = "runs") -> None:
    """Deliver to MLflow what it has not received yet, because a worker was killed or the server was unreachable."""
    from raygan.pipeline.tracking import flush as deliver

    spools = deliver(runs)
    for spool in spools:
        say(f"{spool.folder}: {spool.left} left {spool.reason}".rstrip())
    if left := sum(spool.left for spool in spools):
        raise RunError(f"{left} writes are still undelivered; start their MLflow server and try again")
    say("everything is delivered")
