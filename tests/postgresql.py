"""A PostgreSQL database of the tests' own: on loopback, in a folder that is removed with it."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from tests.conftest import free_port


def installed() -> Path | None:
    """Where `initdb` is, with PostgreSQL's other programs beside it. Fails in CI, which must test with PostgreSQL."""
    initdb = shutil.which("initdb") or max(map(str, Path("/usr/lib/postgresql").glob("*/bin/initdb")), default=None)
    if "CI" in os.environ:
        assert initdb is not None, "PostgreSQL is not installed: apt-get install postgresql"
    return Path(initdb) if initdb and find_spec("psycopg") else None


@contextmanager
def database(initdb: Path) -> Iterator[str]:
    """The address of a new database."""
    owner = {"user": "postgres"} if os.geteuid() == 0 else {}  # PostgreSQL refuses to run as root

    def control(program: str, *arguments: str) -> None:
        command = [str(initdb.with_name(program)), "-D", data, *arguments]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd="/", **owner)  # type: ignore[call-overload]

    with tempfile.TemporaryDirectory(prefix="raygan-postgres-") as data:
        if owner:
            os.chown(data, pwd.getpwnam("postgres").pw_uid, -1)
        port = free_port()
        control("initdb", "-U", "raygan", "--auth=trust", "--no-sync")
        settings = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off"
        control("pg_ctl", "-w", "-l", f"{data}/log", "-o", settings, "start")
        try:
            yield f"postgresql://raygan@127.0.0.1:{port}/postgres"
        finally:
            control("pg_ctl", "-m", "immediate", "stop")
