from dataclasses import dataclass, fields
from pathlib import Path

import luigi
import pytest

from atelier.options import option
from pipeline import options, tasks
from pipeline.dataset.export import ExportTFRecordsConfig
from pipeline.engine.crew import EngineConfig
from pipeline.options import SettingsError, current
from pipeline.stages.crop import CropConfig
from tests.kit.store import set_options

ROOT = Path(__file__).parents[2]
every_section = pytest.mark.parametrize("config", list(options.SECTIONS))


@every_section
def test_every_option_has_a_sentence_and_a_default_that_is_allowed(config):
    assert config.__doc__
    for field in fields(config()):
        assert len(field.metadata["help"]) > 10


@every_section
def test_luigi_is_told_every_option_in_its_order(config):
    task = options.SECTIONS[config]
    told = [name for name, _ in task.get_params()]
    looked_for = [name for name, _ in luigi.Task.get_params.__func__(task)]
    assert told == looked_for and {f.name for f in fields(config)} <= set(told)


def test_an_option_reaches_the_config():
    set_options(Crop_max_faces=3)
    assert current(CropConfig).max_faces == 3
    assert tasks.Crop(max_faces=4).config.max_faces == 4


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Crop-max_face", "[Crop] has no option max_face; did you mean max_faces?"),
        ("Crp-max_faces", "there is no section Crp; did you mean Crop?"),
    ],
)
def test_a_misspelt_option_on_the_command_line(name, said):
    with pytest.raises(SettingsError) as error:
        options.set_option(name, "3")
    assert said in str(error.value)


def test_a_misspelt_option_in_the_file():
    luigi.configuration.get_config().set("Crop", "max_face", "3")
    with pytest.raises(SettingsError, match=r"\[Crop\] max_face: there is no such option; did you"):
        options.check_recipe()


def test_a_misspelt_section_in_the_file():
    luigi.configuration.get_config().set("Cropp", "max_faces", "3")
    with pytest.raises(SettingsError, match=r"\[Cropp\]: there is no such section; did you mean"):
        options.check_recipe()


@pytest.mark.parametrize("stage", tasks.STAGES, ids=lambda stage: stage.__name__)
def test_no_stage_is_asked_before_the_recipe_is_checked(stage, store):
    luigi.configuration.get_config().set("Zoomm", "share", "0.1")
    with pytest.raises(SettingsError, match=r"\[Zoomm\]: there is no such section; did you mean"):
        stage().complete()


@pytest.mark.parametrize("name", [" Crop", "Crop ", " crop", "DEFAULT"])
def test_no_section_is_passed_over_for_how_it_is_written(name):
    config = luigi.configuration.get_config()
    config.read_string(f"[{name}]\nmax_faces = 3\n")
    try:
        with pytest.raises(SettingsError, match=rf"\[{name}\]"):
            options.check_recipe()
    finally:
        config.remove_section(name)
        config.defaults().clear()


def test_more_workers_than_a_machine_can_start_are_refused():
    EngineConfig(workers=1024)
    with pytest.raises(SettingsError, match=r"\[Engine\] workers = 100000: give a value between 0"):
        EngineConfig(workers=100_000)


def test_luigi_cfg_holds_every_option_with_its_sentence():
    assert (ROOT / "luigi.cfg").read_text() == options.as_cfg()


def test_the_options_page_is_up_to_date():
    assert (ROOT / "docs" / "options.md").read_text() == options.as_markdown()


def test_every_recipe_names_options_that_exist():
    recipes = sorted((ROOT / "recipes").glob("*.cfg"))
    assert recipes
    for recipe in recipes:
        with options.recipe(recipe):
            options.check_recipe()


def test_a_file_enters_a_key_by_its_content(tmp_path):
    from pipeline.stages.embed import EmbedConfig

    weights = tmp_path / "w.pth"
    weights.write_bytes(b"1")
    moved = tmp_path / "moved.pth"
    moved.write_bytes(b"1")
    before = options.keyed(EmbedConfig(weights=str(weights)))
    assert options.keyed(EmbedConfig(weights=str(moved))) == before
    moved.write_bytes(b"other")
    assert options.keyed(EmbedConfig(weights=str(moved))) != before


@pytest.mark.parametrize("word", ["none", "folder"])
def test_a_word_that_stands_for_no_file_never_names_one(tmp_path, monkeypatch, word):
    before = options.keyed(ExportTFRecordsConfig(labels=word))
    (tmp_path / word).write_text("milk\n")
    monkeypatch.chdir(tmp_path)
    config = ExportTFRecordsConfig(labels=word)
    assert (config.labels, options.keyed(config)) == (word, before)


def test_an_option_that_came_later_leaves_old_keys_as_they_were():
    @dataclass(frozen=True)
    class OldConfig(options.Settings):
        size: int = option(1, "pixels of a side")

    @dataclass(frozen=True)
    class NewConfig(OldConfig):
        layout: str = option("nvlabs", "how the files lie", later=True)

    assert options.keyed(NewConfig()) == options.keyed(OldConfig()) == {"size": 1}
    assert options.keyed(NewConfig(layout="zip")) == {"size": 1, "layout": "zip"}


def test_an_option_that_changed_results_has_a_value_for_how_it_was():
    @dataclass(frozen=True)
    class NewConfig(options.Settings):
        size: int = option(1, "pixels of a side")
        room: float = option(0.35, "room above the head", was=0.0)

    assert options.keyed(NewConfig(room=0)) == {"size": 1}
    assert options.keyed(NewConfig()) == {"size": 1, "room": 0.35}
