"""What `audiomae plan` says."""

from __future__ import annotations

import json

from audiomae.cli.main import main


def said(capsys, *words: str) -> str:
    assert main(["plan", *words]) == 0
    return " ".join(capsys.readouterr().out.split())


def test_the_table_names_the_columns_and_the_choice(capsys):
    text = said(capsys, "--size", "tiny", "--batch", "256", "--gpus", "2", "--memory", "24")
    for word in ("parameters", "gradients", "optimiser", "activations", "one GPU", "DDP", "FSDP", "peak"):
        assert word in text
    assert "GB on each of 2 GPUs, batch 256, bf16" in text
    assert "with gradients and Muon (12.5 bytes a parameter)" in text
    assert "DDP: every GPU holds the whole model" in text


def test_fewer_clips_than_gpus_is_a_row(capsys):
    assert "fewer clips than GPUs" in said(capsys, "--size", "tiny", "--batch", "4", "--gpus", "8")


def test_what_is_not_known_of_a_bare_number_is_said(capsys):
    text = said(capsys, "--parameters", "1e9")
    assert "activations and gathered layers are not known" in text
    assert "with gradients and AdamW (16 bytes a parameter)" in text


def test_the_plan_is_json_where_that_is_asked_for(capsys):
    assert main(["plan", "--parameters", "1e9", "--gpus", "1", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["use"], found["bytes_a_parameter"]) == ("one", 16)
    assert found["needs_gb"]["one"]["parameters"] == 2
