"""Is the driver of a run still alive?

A driver is identified by its machine (one boot of it, one PID namespace) and its process (PID, and start time, since
PIDs are used again). A command on the same machine looks the process up. Elsewhere the heartbeat decides: the writer of
a run renews it every minute, and the driver of a run without one for fifteen minutes counts as dead.
"""

from __future__ import annotations

import json
import os
import socket
import time
from pathlib import Path

import psutil

# Tags of a run.
DRIVER = "raygan.driver"  # what `this_driver` returns
HEARTBEAT = "raygan.heartbeat"  # seconds since 1970
OPENED = "raygan.opened"  # milliseconds since 1970; set when a run is resumed
PRESUMED_DEAD = "raygan.presumed_dead"  # seconds since 1970; set when a run is closed because its driver seems dead

HEARTBEAT_EVERY = 60.0  # seconds
SILENT_AFTER = 15 * 60.0  # seconds; far more than the clocks of two machines differ


def machine() -> str:
    """Identifies this boot of this machine and this PID namespace."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}/{Path('/proc/self/ns/pid').stat().st_ino}"
    except OSError:
        return f"{socket.gethostname()}/{psutil.boot_time():.0f}"


def this_driver() -> str:
    """Identifies the calling process, for the tag DRIVER."""
    return json.dumps(
        {
            "host": socket.gethostname(),
            "place": machine(),  # the key is in the tags of earlier runs
            "pid": os.getpid(),
            "started": psutil.Process().create_time(),
        }
    )


def death_of(driver: str, heartbeat: float, now: float | None = None) -> str | None:
    """Why the driver counts as dead; None if it may be alive. Times are in seconds since 1970."""
    named = json.loads(driver)
    who = f"its driver (process {named['pid']} on {named['host']})"
    if named["place"] == machine():
        return None if _runs(named["pid"], named["started"]) else f"{who} ended without closing it"
    silence = (time.time() if now is None else now) - heartbeat
    return f"{who} has been silent for {silence / 60:.0f} minutes" if silence > SILENT_AFTER else None


def _runs(pid: int, started: float) -> bool:
    try:
        process = psutil.Process(pid)
        return abs(process.create_time() - started) < 1 and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
