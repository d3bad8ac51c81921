"""What the pages say is there: links, recipes, the Makefile's commands, the plan of the house."""

import re

import pytest

from pipeline import options
from tests.house.test_layout import FLOORS
from tests.kit.house import PACKAGES, ROOT

PAGES = [*sorted(ROOT.glob("*.md")), *sorted(ROOT.glob("docs/**/*.md"))]
PAGES += [ROOT / "benchmarks/README.md", ROOT / "data/README.md"]
HEADS = sorted(ROOT.glob("recipes/*.cfg"))
GENERATED = {"options.md"}
WIDEST = 120
every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def prose(page):
    """The lines without tables, code and pictures, whose length is no matter of taste."""
    fenced = False
    for line in page.read_text().splitlines():
        fenced ^= line.startswith("```")
        if not fenced and not line.startswith(("|", "    ", "![", "```")):
            yield line


@every_page
def test_lines_are_no_longer_than_a_screen_is_wide(page):
    if page.name not in GENERATED:
        assert [line for line in prose(page) if len(line) > WIDEST] == []


@every_page
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


@every_page
def test_commands_are_given_to_the_python_that_set_up_makes(page):
    own = re.compile(rf"^ +python3? -m ({'|'.join(PACKAGES)})\b", re.MULTILINE)
    assert not own.search(page.read_text())


@pytest.mark.parametrize("recipe", HEADS, ids=lambda recipe: recipe.name)
def test_recipes_set_only_what_there_is(recipe):
    with options.recipe(recipe):
        options.check_recipe()


def test_every_word_of_the_engine_is_in_the_glossary():
    listed = re.findall(r"^\| (\w+) \|", (ROOT / "docs/glossary.md").read_text(), re.MULTILINE)
    assert {"row", "part", "unit", "key", "shard", "find"} <= set(listed)


@pytest.mark.parametrize("package", PACKAGES)
def test_the_page_of_the_house_shows_the_floors(package):
    text = (ROOT / "docs" / "house.md").read_text()
    said = re.search(rf"^    {package}: ((?:.|\n {{8,}})*)", text, re.MULTILINE)[1]
    floors = [set(re.findall(r"\w+", floor)) for floor in said.split("<")]
    there = {path.stem for path in (ROOT / package).iterdir()}
    planned = [floor & there for floor in FLOORS[package]]
    assert floors == [floor for floor in planned if floor]
