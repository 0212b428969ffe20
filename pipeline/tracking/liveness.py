"""Is the driver of a run still alive? A fact where we can look, a judgement by its heartbeat where we cannot.

A driver is named by its place (one boot of one machine, one PID namespace) and its process (PID and start time, so
that a PID given to another process is not taken for it). A command at the same place looks. Elsewhere only the
heartbeat tells: whoever writes for a run renews it every minute, and a run silent for fifteen minutes has no driver.
"""

from __future__ import annotations

import json
import os
import socket
import time
from pathlib import Path

import psutil

HEARTBEAT_EVERY = 60.0  # seconds
SILENT_AFTER = 15 * 60.0  # seconds; far more than the clocks of two machines differ


def place() -> str:
    """This boot of this machine and this PID namespace."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}/{Path('/proc/self/ns/pid').stat().st_ino}"
    except OSError:
        return f"{socket.gethostname()}/{psutil.boot_time():.0f}"


def this_driver() -> str:
    """The name of the calling process, to be kept in a tag."""
    return json.dumps(
        {
            "host": socket.gethostname(),
            "place": place(),
            "pid": os.getpid(),
            "started": psutil.Process().create_time(),
        }
    )


def death_of(driver: str, heartbeat: float, now: float | None = None) -> str | None:
    """Why the driver is known, or must be taken, to be dead; None if it may live. Times are in seconds since 1970."""
    named = json.loads(driver)
    who = f"its driver (process {named['pid']} on {named['host']})"
    if named["place"] == place():
        return None if _runs(named["pid"], named["started"]) else f"{who} ended without closing it"
    silence = (time.time() if now is None else now) - heartbeat
    return f"{who} has been silent for {silence / 60:.0f} minutes" if silence > SILENT_AFTER else None


def _runs(pid: int, started: float) -> bool:
    try:
        process = psutil.Process(pid)
        return abs(process.create_time() - started) < 1 and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
