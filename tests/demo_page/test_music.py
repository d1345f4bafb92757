"""Which music the demo takes by itself."""

from __future__ import annotations

import shutil

from audiomae.demo_page.music import choose_source, remember_source


def test_without_a_choice_it_is_real_music_where_apt_get_is(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    assert choose_source(tmp_path, "auto") == "debian"
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    assert choose_source(tmp_path, "auto") == "generated"


def test_a_folder_keeps_the_music_it_was_begun_with(tmp_path):
    remember_source(tmp_path, "generated")
    assert choose_source(tmp_path, "debian") == "generated"
