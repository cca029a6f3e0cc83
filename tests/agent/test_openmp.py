"""Where the system has no libgomp, the process of the model server finds the one that a wheel carries."""

import subprocess
import sys
from pathlib import Path

import pytest

from askfirst.agent import openmp

LOADED = "import ctypes; ctypes.CDLL('libgomp.so.1'); print(open('/proc/self/maps').read())"

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere llama.cpp brings its own")


def test_a_system_with_libgomp_is_left_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openmp, "installed", lambda: True)
    openmp.variables(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_system_without_libgomp_loads_the_one_of_the_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openmp, "installed", lambda: False)
    for _ in range(2):
        told = openmp.variables(tmp_path)
    done = subprocess.run([sys.executable, "-c", LOADED], env=told, capture_output=True, text=True, check=True)
    assert str((tmp_path / openmp.NAME).resolve()) in done.stdout


def test_other_library_folders_stay_behind_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openmp, "installed", lambda: False)
    monkeypatch.setenv("LD_LIBRARY_PATH", "/opt/mine")
    assert openmp.variables(tmp_path)["LD_LIBRARY_PATH"] == f"{tmp_path}:/opt/mine"


def test_without_the_wheel_nothing_is_promised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openmp, "installed", lambda: False)
    monkeypatch.setattr(openmp, "WHEEL", "no-such-wheel")
    assert "LD_LIBRARY_PATH" not in openmp.variables(tmp_path)
