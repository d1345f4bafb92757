"""What `pip install` brings: every module, and the model that loads by name."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import soundfile

ROOT = Path(__file__).resolve().parents[1]
MOST_BYTES = 15_000_000


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(out)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (built,) = out.glob("*.whl")
    return built


def test_it_holds_every_module_and_the_model_with_its_card_and_is_small(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    sources = [path for folder in ("audiomae", "data_prep") for path in (ROOT / folder).rglob("*.py")]
    assert {path.relative_to(ROOT).as_posix() for path in sources} <= names
    for name in ("README.md", "config.json", "model.safetensors"):
        assert f"audiomae/models/tiny/{name}" in names
    assert wheel.stat().st_size <= MOST_BYTES


@pytest.mark.processes
def test_unpacked_elsewhere_it_embeds_a_song_by_the_name_of_the_model(wheel, tmp_path):
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    sound = np.random.default_rng(0).normal(0, 0.1, 6 * 16_000)
    soundfile.write(tmp_path / "song.ogg", sound, 16_000)
    code = "import audiomae; print(audiomae.__file__, audiomae.load('tiny').embed_files('song.ogg').shape)"
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "site")}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout.split(maxsplit=1) == [f"{tmp_path}/site/audiomae/__init__.py", "(1, 2880)\n"]
