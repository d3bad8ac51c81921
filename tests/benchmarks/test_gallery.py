"""The page of the gallery is what `make gallery` runs, and shows only what that draws."""

from pathlib import Path

import pytest

from benchmarks import gallery
from training import cli


@pytest.mark.slow
def test_every_picture_of_the_page_is_drawn_by_a_command_of_the_page():
    page = gallery.PAGE.read_text()
    drawn = {words[words.index("--out") + 1] for words in gallery.commands(page)}
    assert {*gallery.shown(page)} <= drawn and len(gallery.shown(page)) >= 8
    for name in gallery.shown(page):
        assert (gallery.PAGE.with_suffix("") / name).is_file()
    for words in gallery.commands(page):
        given = cli.parser().parse_args(words)
        assert given.model == gallery.MODEL


def test_pictures_are_put_where_they_are_shown(tmp_path, monkeypatch):
    """The folder of work is another one, and what the page does not show stays there."""

    def draw(words):
        if (out := Path(words[words.index("--out") + 1])).suffix:
            out.write_bytes(" ".join(words).encode())
        return 0

    monkeypatch.setattr(gallery.cli, "main", draw)
    assert gallery.main([str(tmp_path)]) == 0
    assert {path.name for path in tmp_path.iterdir()} == {*gallery.shown(gallery.PAGE.read_text())}


@pytest.mark.parametrize("word", ["--help", "--hlep"])
def test_a_word_that_is_no_folder_draws_nothing(monkeypatch, word):
    monkeypatch.setattr(gallery.cli, "main", pytest.fail)
    with pytest.raises(SystemExit):
        gallery.main([word])
