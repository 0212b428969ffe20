"""Locations mean the same everywhere, and there is one cache folder."""

from pathlib import Path

import pytest

from raygan.sharding.storage.locations import absolute, cache_folder


def test_a_path_is_made_absolute_and_a_url_stays(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/somewhere")
    assert absolute("runs") == str(tmp_path / "runs")
    assert absolute("../runs") == str(tmp_path.parent / "runs")
    assert absolute("~/runs") == "/somewhere/runs"
    assert absolute("s3://bucket/runs") == "s3://bucket/runs"


def test_the_cache_folder_follows_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache" / "raygan"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "other"))
    assert cache_folder() == tmp_path / "other" / "raygan"
