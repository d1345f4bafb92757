"""Every verb is a Python function with the command line's names, settings and defaults."""

from __future__ import annotations

import dataclasses
import inspect
import logging

import numpy as np
import pytest

import audiomae
from audiomae.doors import VERBS, make_parser, read_values, settings_of
from audiomae.errors import ConfigError
from audiomae.vectors.writer import TrackClips, VectorsWriter


@pytest.fixture
def vectors(tmp_path):
    writer = VectorsWriter(tmp_path / "v", {"model_fingerprint": "m", "whiten": 0}, 2)
    for name, vector in {"a": (1, 0), "b": (1, 0.1), "c": (0, 1)}.items():
        writer.add_part([TrackClips(name, np.zeros(1), np.array([vector], np.float32))])
    writer.finish({})
    return tmp_path / "v"


def test_a_verb_is_called_with_a_path_and_settings_and_returns_a_dataclass(vectors, capsys):
    found = audiomae.similar(vectors, track="a", raw=True, k=1)
    assert dataclasses.is_dataclass(found)
    assert [song.track_id for song in found.similar] == ["b"]
    assert capsys.readouterr() == ("", "")


def test_an_unknown_setting_is_answered_with_close_ones():
    with pytest.raises(ConfigError, match=r"similar has no setting 'trak'. Close: track"):
        audiomae.similar("v", trak="a")


def test_a_value_of_the_wrong_type_is_refused_as_on_the_command_line():
    with pytest.raises(ConfigError, match=r"similar: .*k"):
        audiomae.similar("v", track="a", k="many")


def test_values_that_do_not_fit_together_are_refused_with_the_verbs_own_line():
    with pytest.raises(ConfigError, match=r"give --track ID, --file song\.flac, --like a,b,c"):
        audiomae.similar("v")


def test_a_missing_and_a_second_word_are_refused():
    with pytest.raises(ConfigError, match="similar needs vectors"):
        audiomae.similar(track="a")
    with pytest.raises(ConfigError, match="takes 1 value without a name, not 2"):
        audiomae.similar("v", "w", track="a")


@pytest.mark.parametrize("verb", [verb for verb in VERBS if verb not in ("recommend", "serve")])
def test_the_signature_shows_the_settings_and_their_defaults(verb):
    door = getattr(audiomae, verb.replace("-", "_"))
    shown = inspect.signature(door).parameters
    assert set(shown) == set(settings_of(verb).__dataclass_fields__)
    assert door.__doc__


@pytest.mark.parametrize("verb", [verb for verb, about in VERBS.items() if about.many])
def test_words_of_any_number_come_from_python_too(verb):
    parser, field = make_parser(verb, exit_on_error=False), VERBS[verb].positional
    read = read_values(verb, parser, parser.parse_object({field: ["simulated", "corpus/"]}))
    assert getattr(read, field) == ("simulated", "corpus/")


def test_every_public_name_is_there():
    for name in audiomae.__all__:
        assert getattr(audiomae, name) is not None
    assert set(audiomae.__all__) <= set(dir(audiomae))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = audiomae.nothing


def test_notes_stay_silent_unless_somebody_listens(capsys):
    logging.getLogger("audiomae.anything").warning("a note")
    assert capsys.readouterr() == ("", "")
