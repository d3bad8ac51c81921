"""What the pages say is there: links, recipes, the Makefile's commands."""

import re

import pytest

from pipeline import options
from tests.kit.store import ROOT

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "data/README.md"]
PAGES += sorted(ROOT.glob("docs/**/*.md"))
HEADS = sorted(ROOT.glob("recipes/*.cfg"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    for link in re.findall(r"\]\(([^)#]+)", page.read_text()):
        assert "://" in link or (page.parent / link).exists(), link


@pytest.mark.parametrize("page", [*PAGES, *HEADS], ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_and_recipes_that_are_named_exist(page):
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    text = page.read_text()
    assert set(re.findall(r"(?:^ {4}|`)make ([a-z]+)", text, re.MULTILINE)) <= targets
    for name in re.findall(r"recipes/([\w-]+\.cfg)", text):
        assert (ROOT / "recipes" / name).exists() or name == "x.cfg"


@pytest.mark.parametrize("recipe", HEADS, ids=lambda recipe: recipe.name)
def test_recipes_set_only_what_there_is(recipe):
    with options.recipe(recipe):
        options.check_recipe()


def test_every_word_of_the_engine_is_in_the_glossary():
    listed = re.findall(r"^\| (\w+) \|", (ROOT / "docs/glossary.md").read_text(), re.MULTILINE)
    assert {"row", "part", "unit", "key", "shard", "find"} <= set(listed)
