"""What an earlier demo trained is kept where it fits, and set aside where it does not."""

from __future__ import annotations

import logging

import pytest

from audiomae.demo_page.renewal import train_or_renew, was_trained_on
from audiomae.disk.files import write_json
from audiomae.errors import FingerprintError, OtherRunError


def trainer(folder, made_of):
    """Return a training that refuses a folder begun for something else, as real ones do."""

    def train():
        folder.mkdir(exist_ok=True)
        note = folder / "made_of"
        if note.exists() and note.read_text() != made_of:
            raise OtherRunError(f"{folder}: was begun with another corpus.")
        note.write_text(made_of)
        return made_of

    return train


def test_what_no_longer_fits_is_kept_aside_and_made_anew_in_one_line(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    folder, aside = tmp_path / "recommender", tmp_path / "recommender-before"
    for songs in ("four songs", "five songs", "six songs"):
        assert train_or_renew(folder, trainer(folder, songs)) == songs
    assert (folder / "made_of").read_text() == "six songs"
    assert (aside / "made_of").read_text() == "five songs"
    said = f"{folder}: was made of other songs or settings; kept as {aside} and trained anew"
    assert caplog.messages == [said] * 2


def test_what_fits_is_left_alone_and_other_faults_are_not_hidden(tmp_path):
    folder = tmp_path / "recommender"
    assert train_or_renew(folder, trainer(folder, "songs")) == train_or_renew(
        folder, trainer(folder, "songs")
    )

    def fail():
        raise FingerprintError("vectors.json: was edited by hand; export again.")

    with pytest.raises(FingerprintError, match="edited by hand"):
        train_or_renew(folder, fail)
    assert [path.name for path in tmp_path.iterdir()] == ["recommender"]


def test_a_run_counts_for_the_corpus_it_was_trained_on_alone(tmp_path):
    assert not was_trained_on(tmp_path, "a")
    write_json(tmp_path / "run.json", {"format": "audiomae-run/1", "settings": {"corpus_fingerprint": "a"}})
    assert not was_trained_on(tmp_path, "a")  # it has not finished
    write_json(tmp_path / "result.json", {})
    assert was_trained_on(tmp_path, "a")
    assert not was_trained_on(tmp_path, "b")
