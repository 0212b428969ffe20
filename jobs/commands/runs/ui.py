"""`raygan ui`: all runs in MLflow's pages."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from raygan.jobs.app import Runs, app


@app.command
def ui(*, runs: Runs = "runs", port: Annotated[int, Parameter(help="Port, on this machine only.")] = 5000) -> None:
    """Show all runs in MLflow's pages, in a browser on this machine, until Ctrl-C."""
    from raygan.pipeline.tracking.server import ui as serve

    serve(Path(runs), port)
