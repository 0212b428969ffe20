"""MLflow's own server application in a process that can be killed and started again within a second.

`mlflow server` imports for ten seconds at each start. Here a parent imports once and forks; the child that serves is
killed with SIGKILL, in the middle of whatever it does. Run as a program: STORE ARTIFACTS PORT, then lines on stdin.
"""

import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.conftest import free_port
from tests.servers import wait_until_it_answers

ADMIN = "admin"
ROOT = Path(__file__).parents[3]


class Server:
    """Starts serving `store` at `address` when made; only to those who know ADMIN's password, if there is one."""

    def __init__(self, folder: Path, store: str, password: str = "") -> None:
        port = free_port()
        self.address = f"http://127.0.0.1:{port}"
        command = [sys.executable, "-m", __name__, store, str(folder / "artifacts"), str(port)]
        environment = os.environ | (_login(folder, password) if password else {})
        self._log = folder / "server.log"
        with self._log.open("wb") as log:
            self._parent = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True, cwd=ROOT, env=environment
            )
        self.start()

    def start(self) -> None:
        self._tell("start")
        wait_until_it_answers(f"{self.address}/health", self._parent, self._log, 90)

    def kill(self) -> None:
        self._tell("kill")

    def close(self) -> None:
        self.kill()
        self._parent.communicate()

    def _tell(self, what: str) -> None:
        assert self._parent.stdin is not None
        assert self._parent.stdout is not None
        self._parent.stdin.write(f"{what}\n")
        self._parent.stdin.flush()
        assert self._parent.stdout.readline() == "done\n", self._log.read_text()


def _login(folder: Path, password: str) -> dict[str, str]:
    (folder / "login.ini").write_text(
        f"[mlflow]\ndefault_permission = READ\nadmin_username = {ADMIN}\n"
        f"database_uri = sqlite:///{folder / 'login.db'}\n"
        "authorization_function = mlflow.server.auth:authenticate_request_basic_auth\n"
    )
    return {
        "MLFLOW_AUTH_CONFIG_PATH": str(folder / "login.ini"),
        "MLFLOW_AUTH_ADMIN_PASSWORD": password,
        "MLFLOW_FLASK_SERVER_SECRET_KEY": "of the test",
    }


def main(store: str, artifacts: str, port: str) -> None:
    from mlflow.server import constants

    os.environ[constants.BACKEND_STORE_URI_ENV_VAR] = store
    os.environ[constants.ARTIFACT_ROOT_ENV_VAR] = "mlflow-artifacts:/"
    os.environ[constants.ARTIFACTS_DESTINATION_ENV_VAR] = artifacts
    os.environ[constants.SERVE_ARTIFACTS_ENV_VAR] = "true"
    from mlflow.server import app

    if "MLFLOW_AUTH_CONFIG_PATH" in os.environ:
        from mlflow.server.auth import create_app

        app = create_app(app)
    child = 0
    for line in sys.stdin:
        if line == "start\n" and not (child := os.fork()):
            os.dup2(2, 1)  # what the application prints goes to the log, not into our answers
            app.run("127.0.0.1", int(port), threaded=True)
        elif line == "kill\n":
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        print("done", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
