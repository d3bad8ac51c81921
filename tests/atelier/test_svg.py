"""Charts are valid XML, hold every finite point, and tick at round values."""

import math
from itertools import pairwise
from xml.etree import ElementTree

import pytest

from atelier import svg


@pytest.mark.parametrize("span", [(0, 1), (0, 25000), (-3.2, 7.9), (1e-4, 3e-4), (99.5, 100.5)])
def test_ticks_are_round_and_inside(span):
    ticks = list(svg.Axis("", *span).ticks())
    assert 3 <= len(ticks) <= svg.TICKS + 1
    assert all(span[0] - 1e-9 <= tick <= span[1] + 1e-9 for tick in ticks)
    steps = {round(b - a, 9) for a, b in pairwise(ticks)}
    assert len(steps) == 1
    mantissa = steps.pop() / 10 ** math.floor(math.log10(span[1] - span[0]))
    assert any(math.isclose(mantissa * 10**n % 1, 0, abs_tol=1e-6) for n in range(3))


def test_a_page_is_xml_with_every_finite_point():
    values = [1.0, math.nan, 3.0, math.inf]
    curve = svg.Curve([0, 1, 2, 3], values, "#c30", label="a < b & c")
    chart = svg.chart("x < y", svg.axis("kimg", [0, 3]), svg.axis("", values), [curve])
    tree = ElementTree.fromstring(svg.page([chart, chart]))
    lines = tree.findall(".//{http://www.w3.org/2000/svg}polyline")
    assert [len(line.get("points").split()) for line in lines] == [2, 2]
    words = [text.text for text in tree.iter("{http://www.w3.org/2000/svg}text")]
    assert words.count("x < y") == 2 and words.count("a < b & c") == 2


@pytest.mark.parametrize("values", [[], [math.nan], [5.0], [5.0, 5.0], [1e300], [-1e17]])
def test_an_axis_of_nothing_or_one_value_has_a_length(values):
    axis = svg.axis("", values)
    assert axis.high > axis.low


def test_numbers_are_written_as_people_do():
    values = (0.1 + 0.2, 0, 40, 999.5, 1000, 1002.5, 10_000, 2_500_000)
    assert [svg.said(value) for value in values] == (
        ["0.3", "0", "40", "999.5", "1,000", "1,002.5", "10,000", "2,500,000"]
    )


@pytest.mark.parametrize(("levels", "above"), [((0.1, 0.9), True), ((0.9, 0.1), False)])
def test_a_legend_stands_where_its_curves_do_not_begin(levels, above):
    axis = svg.Axis("", 0, 1)
    (words,) = svg.legend([svg.Curve([0, 1], levels, "red", label="told")], axis, axis)
    at = float(words.split('y="')[1].split('"')[0])
    assert (at < svg.HEIGHT / 2) == above
