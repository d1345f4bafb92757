"""On a device that is not the CPU: a stand-in on which a tensor left behind, or a wait inside a step, is an error.

Each case is a process of its own, since a device can be made but once (tests/standin.py).
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

pytestmark = pytest.mark.processes

HERE = Path(__file__).parent

BEGIN = f"""
import sys
sys.path.insert(0, {str(HERE)!r})
import standin
DEVICE = standin.install()
from accelerate.state import AcceleratorState, GradientState, PartialState
import json
import numpy as np
import torch
import audiomae

def train_on(device):
    # The next training computes there; Accelerate itself knows no such device.
    AcceleratorState._reset_state(True)
    GradientState._reset_state()
    PartialState(cpu=True)
    PartialState._shared_state["device"] = torch.device(device)

def inside_steps(waits):
    # Stacks of the waits in a draw, a loss, a backward pass or the optimiser.
    apart = ("evaluate", "whole_weights", "save_checkpoint", "_log", "_look")
    found = [one for one in waits if "training/step.py" in one]
    return [one for one in found if not any(word in one for word in apart)]
"""

TINY = {"width": 8, "depth": 1, "heads": 2, "decoder_width": 8, "decoder_depth": 1, "decoder_heads": 2}


def on_device(script: str, *words: Any) -> Any:
    """Run a script after `BEGIN` and return what it printed last, as JSON."""
    done = subprocess.run(
        [sys.executable, "-c", BEGIN + script, *map(str, words)], capture_output=True, text=True, timeout=500
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


PRETRAIN = """
TINY = json.loads(sys.argv[4])
results = []
for number, changed in enumerate(json.loads(sys.argv[3])):
    train = {"batch": 4, "log_every": 2, "evaluate_every": 100, "checkpoint_every": 100, **changed.pop("train", {})}
    losses = {}
    for device in ("cpu", DEVICE):
        train_on(device)
        with standin.counted_waits() as waits:
            out = f"{sys.argv[2]}/{number}-{torch.device(device).type}"
            result = audiomae.pretrain(
                corpus=sys.argv[1], out=out, held_out=0.3, steps=2, train=train, model=TINY, **changed
            )
            inside = inside_steps(waits)
        losses[torch.device(device).type] = result.metrics.held_out_loss
    results.append([losses["cpu"], losses["standin"], inside])
print(json.dumps(results))
"""


def test_pretrain_steps_on_the_device_without_a_wait_and_learns_as_on_the_cpu(small_corpus, tmp_path):
    cases = [
        {"masks": 2, "pairs": {"weight": 0.0}, "augment": {"mix": 0.3, "stretch": 0.2, "shift": 2}},
        {"train": {"optimizer": "adamw"}, "mask": "patches"},
        {"train": {"accumulate": 2, "batch": 8}},
    ]
    results = on_device(PRETRAIN, small_corpus, tmp_path, json.dumps(cases), json.dumps(TINY))
    for case, (here, there, inside) in zip(cases, results, strict=True):
        assert there == pytest.approx(here, rel=1e-4), case
        assert inside == [], case


EMBED = """
from audiomae.model.config import ModelSettings
from audiomae.model.embedder import load, save, untrained
from audiomae import hear
sizes = ModelSettings(width=8, depth=1, heads=2, decoder_width=8, decoder_depth=1, decoder_heads=2)
save(untrained(sizes), sys.argv[2], {})
audiomae.export(sys.argv[2], sys.argv[1], out=sys.argv[2] + "-here", device="cpu", threads=1)
audiomae.export(sys.argv[2], sys.argv[1], out=sys.argv[2] + "-there", device="standin", threads=1)
here, there = (audiomae.Vectors.open(sys.argv[2] + end).track_vectors for end in ("-here", "-there"))
model = load(sys.argv[2]).to(DEVICE)
sound = np.random.default_rng(0).normal(0, 0.1, (2, 80_000)).astype(np.float32)
on_cpu = load(sys.argv[2]).embed(sound, 16_000, channels="none")
apart = np.abs(model.embed(sound, 16_000, channels="none") - on_cpu).max()
heard = hear.HearModel(model)
scenes = hear.get_scene_embeddings(torch.from_numpy(sound).to(DEVICE), heard)
moments, _ = hear.get_timestamp_embeddings(torch.from_numpy(sound).to(DEVICE), heard)
print(json.dumps([float(np.abs(here - there).max()), float(apart), str(scenes.device), str(moments.device)]))
"""


def test_export_embed_and_hear_give_the_cpus_vectors(small_corpus, tmp_path):
    exported, embedded, scenes, moments = on_device(EMBED, small_corpus, tmp_path / "run")
    assert max(exported, embedded) < 1e-4
    assert (scenes, moments) == ("standin:0", "standin:0")


LISTEN = """
from pathlib import Path
from audiomae.model.config import ModelSettings
from audiomae.model.embedder import save, untrained
from audiomae.serve.apart import Decoder
from audiomae.serve.sounds import Sounds
song, labels, run = sys.argv[1:4]
sizes = ModelSettings(width=8, depth=1, heads=2, decoder_width=8, decoder_depth=1, decoder_heads=2)
save(untrained(sizes), run, {})
audiomae.export(run, song, out=run + "-vectors", device="cpu", threads=1)
results = {}
for device in ("cpu", "standin"):
    audiomae.probe(
        run, labels=labels, vectors_out=f"{run}-{device}.npz", folds=2, bootstrap=0, threads=1, device=device
    )
    made = audiomae.reconstruct(run, song=song, out=f"{run}-{device}", device=device)
    sounds = Sounds(run, audiomae.Vectors.open(run + "-vectors"), Decoder(60.0), device)
    _, vector = sounds.embed(Path(song), "song")
    rebuilt = sounds.rebuild(Path(song), "song", 0.0, [(0.5, 2.0)], None, 0)
    probed = np.load(f"{run}-{device}.npz")["vec"]
    results[device] = [float(np.abs(probed).sum()), made.error_db, float(np.abs(vector).sum()), rebuilt["error_db"]]
print(json.dumps(results))
"""


def test_probe_reconstruct_and_the_services_sounds_are_the_cpus(tmp_path):
    songs = [tmp_path / f"{number}.wav" for number in range(8)]
    for number, song in enumerate(songs):
        soundfile.write(song, np.random.default_rng(number).normal(0, 0.1, 16_000 * 6), 16_000)
    rows = [f"{song},genre,{'even' if number % 2 == 0 else 'odd'}" for number, song in enumerate(songs)]
    (tmp_path / "labels.csv").write_text("\n".join(["path,task,label", *rows]))
    results = on_device(LISTEN, songs[0], tmp_path / "labels.csv", tmp_path / "run")
    assert results["standin"] == pytest.approx(results["cpu"], rel=1e-4)


TOWERS = """
tables = {"interactions": sys.argv[2] + "/interactions.parquet", "users": sys.argv[2] + "/users.parquet"}
results = []
for negatives, loss in json.loads(sys.argv[4]):
    train_on(DEVICE)
    out = f"{sys.argv[3]}/{negatives}"
    with standin.counted_waits() as waits:
        result = audiomae.train_towers(
            sys.argv[1], tables=tables, out=out, steps=4, negatives={"kind": negatives},
            objective={"loss": loss}, train={"batch": 64, "log_every": 4},
        )
        inside = inside_steps(waits)
    lists = audiomae.Recommender.open(out).recommend(new={}, k=2)
    results.append([result.steps, inside, len(lists[0].songs)])
print(json.dumps(results))
"""


@pytest.fixture(scope="module")
def plays(tmp_path_factory) -> tuple[Path, Path]:
    """Content vectors and plays of 60 users over 20 tracks."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder = tmp_path_factory.mktemp("plays")
    random = np.random.default_rng(0)
    tracks = [f"t{number}" for number in range(20)]
    vectors = random.normal(size=(20, 6)).astype(np.float32)
    pq.write_table(pa.table({"track_id": tracks, "vector": list(vectors)}), folder / "content.parquet")
    users = random.integers(0, 60, 900)
    pq.write_table(
        pa.table(
            {
                "user_id": [f"u{user}" for user in users],
                "track_id": [tracks[number] for number in random.integers(0, 20, 900)],
                "timestamp": random.integers(1_600_000_000, 1_700_000_000, 900),
            }
        ),
        folder / "interactions.parquet",
    )
    pq.write_table(
        pa.table({"user_id": [f"u{user}" for user in range(60)], "age": random.integers(18, 70, 60)}),
        folder / "users.parquet",
    )
    return folder / "content.parquet", folder


def test_towers_train_on_the_device_without_a_wait_inside_a_step(plays, tmp_path):
    content, tables = plays
    kinds = [("mixed", "softmax"), ("uniform", "bce"), ("in_batch", "siglip"), ("hard", "softmax")]
    results = on_device(TOWERS, content, tables, tmp_path, json.dumps(kinds))
    assert results == [[4, [], 2]] * len(kinds)


def test_a_tensor_left_on_the_cpu_is_an_error_there():
    said = on_device(
        """
try:
    torch.zeros(2, device=DEVICE) + torch.zeros(2)
    print(json.dumps("nothing"))
except RuntimeError as error:
    print(json.dumps(str(error)))
"""
    )
    assert "lies on cpu, others on standin" in said
