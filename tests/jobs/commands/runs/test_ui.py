import socket
from pathlib import Path

import pytest

from raygan.jobs.cli import main


def test_a_port_in_use_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mlflow.db").touch()
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(SystemExit) as end:
        main(["ui", "--runs", str(tmp_path), "--port", str(taken.getsockname()[1])])
    assert end.value.code == 2
    assert "in use on this machine" in capsys.readouterr().err
