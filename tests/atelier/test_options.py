"""Laws of options: declared once, converted, checked, named in every sentence."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import pytest

from atelier.commands import Parser, UsageError, add_options
from atelier.errors import Refusal
from atelier.options import OptionError, Section, nearest, option, span


def even(value):
    if value % 2:
        raise ValueError("give an even number")


class OwnError(Refusal):
    pass


@dataclass(frozen=True)
class Example(Section):
    """An example."""

    refusal: ClassVar[type[Refusal]] = OwnError

    count: int = option(4, "how many, 100% sure", low=0, high=10, check=even)
    share: float = option(0.5, "a share", low=0)
    loud: bool = option(False, "say it aloud")
    kind: Literal["a", "b"] = option("a", "one of two")
    name: str = option("", "what it is called")


@pytest.mark.parametrize(
    ("name", "given", "value"),
    [
        ("count", "6", 6),
        ("count", 6.0, 6),
        ("share", "2", 2.0),
        ("loud", "Yes", True),
        ("loud", "0", False),
        ("kind", "b", "b"),
        ("name", 7, "7"),
    ],
)
def test_text_becomes_the_options_own_type(name, given, value):
    made = getattr(Example(**{name: given}), name)
    assert made == value and type(made) is type(value)


@pytest.mark.parametrize(
    ("name", "given", "said"),
    [
        ("count", "x", "count = 'x': give a whole number"),
        ("count", 1.5, "count = 1.5: give a whole number"),
        ("count", float("inf"), "count = inf: give a whole number"),
        ("count", 12, "count = 12: give a value between 0 and 10"),
        ("count", 3, "count = 3: give an even number"),
        ("share", "nan", "share = 'nan': give a number"),
        ("share", "inf", "share = 'inf': give a number"),
        ("share", -1, "share = -1.0: give a value of at least 0"),
        ("loud", "maybe", "loud = 'maybe': give true or false"),
        ("kind", "c", "kind = 'c': choose one of a, b"),
    ],
)
def test_what_cannot_be_is_one_sentence(name, given, said):
    with pytest.raises(OwnError) as refused:
        Example(**{name: given})
    assert str(refused.value) == said and refused.value.code == 2


def test_a_section_without_a_refusal_of_its_own_has_one():
    @dataclass(frozen=True)
    class Plain(Section):
        size: int = option(1, "pixels", low=1)

    with pytest.raises(OptionError, match="size = 0: give a value of at least 1"):
        Plain(0)


def test_the_range_in_words():
    fields = Example.__dataclass_fields__
    assert span(fields["count"].metadata) == " (0 to 10)"
    assert span(fields["share"].metadata) == " (at least 0)"
    assert span(fields["name"].metadata) == ""


def test_a_misspelt_name_has_a_nearest():
    assert nearest("cuont", ["count", "share"]) == "; did you mean count?"
    assert nearest("xyz", ["b", "a"]) == "; there are a, b"


def parser():
    top = Parser(prog="example")
    add_options(top.add_subparsers(required=True).add_parser("do"), Example, leave_out=["name"])
    return top


def test_a_command_line_is_another_view():
    given = vars(parser().parse_args(["do", "--count", "6", "--loud", "--share=2"]))
    assert given == {"count": "6", "loud": "true", "share": "2"}
    assert Example(**given) == Example(6, 2.0, True)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["do", "--cuont", "6"], "example do: there is no option --cuont; did you mean --count?"),
        (["do", "--cou", "6"], "example do: there is no option --cou; did you mean --count?"),
        (["do", "--name", "x"], "example do: there is no option --name; did you mean"),
        (["do", "more"], "example do: 'more' is one word too many; see --help"),
        (["do", "--count"], "example do: argument --count: expected one argument"),
        ([], "example: the following arguments are required"),
    ],
)
def test_a_wrong_command_line_is_one_sentence(words, said):
    with pytest.raises(UsageError) as refused:
        parser().parse_args(words)
    assert str(refused.value).startswith(said)


def test_help_shows_default_and_per_cent_signs(capsys):
    with pytest.raises(SystemExit):
        parser().parse_args(["do", "--help"])
    said = capsys.readouterr().out
    assert "how many, 100% sure [4]" in said and "--loud" in said
