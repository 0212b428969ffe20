"""What the machine does while it trains, under the names of MLflow's system page."""

from types import SimpleNamespace

import pynvml  # type: ignore[import-untyped]
import pytest

from raygan.pipeline.tracking import system
from raygan.pipeline.tracking.system import System


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(system.time, "monotonic", lambda: now[0])
    return now


def test_the_machine_is_read_now_and_then(clock: list[float]) -> None:
    readings = System()
    assert readings.read() == {}
    clock[0] += 2
    found = readings.read()
    assert {"system/cpu_utilization_percentage", "system/system_memory_usage_percentage"} <= found.keys()
    assert readings.read() == {}
    clock[0] += system.EVERY
    assert readings.read().keys() == found.keys()


def test_gpus_are_read_through_nvidias_library(clock: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    """Its answers are made up: the machines that test this have none."""
    answers = {
        "nvmlInit": None,
        "nvmlDeviceGetCount": 2,
        "nvmlDeviceGetHandleByIndex": None,
        "nvmlDeviceGetMemoryInfo": SimpleNamespace(used=20e9, total=80e9),
        "nvmlDeviceGetUtilizationRates": SimpleNamespace(gpu=91),
        "nvmlDeviceGetPowerUsage": 350_000,
        "nvmlDeviceGetEnforcedPowerLimit": 700_000,
    }
    for name, answer in answers.items():
        monkeypatch.setattr(pynvml, name, lambda *_, answer=answer: answer)
    readings = System()
    clock[0] += 2
    found = readings.read()
    for gpu in ("gpu_0", "gpu_1"):
        assert found[f"system/{gpu}_utilization_percentage"] == 91
        assert found[f"system/{gpu}_memory_usage_percentage"] == 25
        assert found[f"system/{gpu}_power_usage_watts"] == 350
