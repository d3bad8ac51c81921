"""FilterQuality: what a person accepted beats every rule; a limit reads no pixels."""

from dataclasses import replace

import pytest

from atelier.boxes import Box
from pipeline import options
from pipeline.options import SettingsError
from pipeline.rows import manifest
from pipeline.rows.decisions import Decision, Journal, file_in
from pipeline.rows.manifest import Measures, Row, outcome, rows_of, rows_table
from pipeline.stage import Stage
from pipeline.stages.filter_quality import (
    RULES,
    Asked,
    FilterQualityConfig,
    filter_quality,
    filtered,
)
from pipeline.tasks import STAGES, Crop, FilterQuality, Ingest, Measure, Resize, in_use
from tests.kit.store import build, counting, fresh, photo, save, set_options

SEVERE = {"sharpness": "1e9", "dark": "1e9", "bright": "-1", "colour": "1e9", "score": "1e9"}
REASONS = {"blurred", "too dark", "too bright", "grey", "low score"}


def row(name, sharpness=100.0, light=120.0, colour=9.0, bits=0, side=100):
    short, long = bits.to_bytes(8, "little"), bits.to_bytes(32, "little")
    measures = Measures(short, long, None, None, sharpness, light, colour)
    return Row(name, name, rectangle=Box(0, 0, side, side), measures=measures)


def drops(rows, accepted=(), by_photo=None, **options):
    asked, table = Asked(FilterQualityConfig(**options)), rows_table(rows)
    passed = rows_of(filtered(table, filter_quality(table, asked, accepted, by_photo).drops))
    assert [one.id for one in passed] == [one.id for one in rows]
    return {one.id: one.drop for one in passed if one.drop}


ROWS = [row(f"{n:02}", 10.0 * n, 10.0 * n, n, bits=0x1F << (6 * (n % 10))) for n in range(50)]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.option)
def test_what_a_person_accepted_beats_every_rule(rule):
    given = {rule.option: SEVERE[rule.option], "scores": "x.csv"}
    scores = {one.photo: 0.0 for one in ROWS}
    assert {drop.split(":")[0] for drop in drops(ROWS, (), scores, **given).values()} == {
        rule.reason
    }
    left = {one.id for one in ROWS} - drops(ROWS, {"03", "13"}, scores, **given).keys()
    assert left == {"03", "13"}  # though they are copies


def test_all_rules_at_once_leave_what_a_person_accepted():
    scores = {one.photo: 0.0 for one in ROWS}
    found = drops(ROWS, {"07"}, scores, scores="x.csv", **SEVERE)
    assert {one.id for one in ROWS} - found.keys() == {"07"}


def test_worst_is_a_share_and_says_its_limit():
    options = {"copies": "keep", "sharpness": "worst 0.04", "bright": "worst 0.02"}
    assert drops(ROWS, **options) == {
        "00": "blurred: 0, the limit is 20",
        "01": "blurred: 10, the limit is 20",
        "49": "too bright: 490, the limit is 480",
    }


def test_what_is_bad_names_no_copy():
    """An enlarged copy has the most pixels: it must not take the sharp one with it."""
    rows = [row("large", sharpness=20.0, bits=1, side=200), row("sharp", bits=1)]
    assert drops(rows, sharpness="60") == {"large": "blurred: 20, the limit is 60"}
    assert drops(rows) == {"sharp": "nearly the same picture: large"}


def test_a_score_of_ones_own_is_a_measure():
    scores = {"00": 0.1, "01": 0.9}
    options = {"copies": "keep", "scores": "x.csv", "score": "0.5"}
    assert drops(ROWS, (), scores, **options) == {"00": "low score: 0.1, the limit is 0.5"}
    asked = Asked(FilterQualityConfig(**options))
    told = filter_quality(rows_table(ROWS), asked, (), scores).told
    assert told.notes == ["no score, and so not dropped: 48 of 50 portraits"]


def test_kept_rows_go_on_as_crop_made_them():
    asked, table = Asked(FilterQualityConfig(copies="keep", dark="100")), rows_table(ROWS)
    passed = rows_of(filtered(table, filter_quality(table, asked).drops))
    assert [one for one in passed if not one.drop] == [
        replace(one, measures=None) for one in ROWS[10:]
    ]
    assert all(one.measures for one in passed if one.drop)


@pytest.mark.parametrize("text", ["much", "worst", "worst 2", "worst 0", "best 0.5", "0.1%"])
def test_a_limit_that_cannot_be_is_refused(text):
    with pytest.raises(SettingsError, match=r"\[FilterQuality\] sharpness = .*worst 0\.02"):
        FilterQualityConfig(sharpness=text)


def save_again(store):
    """A photo whose portrait is that of 1.png, though its bytes are others."""
    pixels = photo(1, [(61, 40, 22)])
    pixels[0, 0] = 0
    save(store.parent / "photos" / "again.png", pixels)


@pytest.mark.slow
def test_a_near_copy_is_dropped_and_names_the_larger_one(store):
    save_again(store)
    assert build(FilterQuality())
    names = {one.photo: one.path for one in Ingest().rows()}
    (gone,) = (one for one in FilterQuality().rows() if one.drop)
    reason, _, other = gone.drop.partition(": ")
    assert reason == "nearly the same picture"
    assert {names[gone.photo], names[other]} == {"again.png", "1.png"}


def accept(store, path):
    """As the review writes it: the photo's own rectangle, accepted."""
    one = next(one for one in Ingest().rows() if one.path == path)
    rectangle = next(r.rectangle for r in Crop().rows() if r.photo == one.photo)
    Journal(file_in(store)).append(Decision(one.photo, path, "accept", (rectangle,)))


@pytest.mark.slow
def test_what_was_accepted_in_the_review_goes_through(store):
    save_again(store)
    severe = {f"FilterQuality_{name}": limit for name, limit in SEVERE.items() if name != "score"}
    set_options(**severe)
    assert build(FilterQuality())
    assert "kept" not in manifest.facts(FilterQuality().path).outcome
    for path in ("1.png", "again.png"):
        accept(store, path)
    fresh()
    assert build(FilterQuality())
    names = {one.photo: one.path for one in Ingest().rows()}
    kept = {names[one.photo] for one in FilterQuality().rows() if not one.drop}
    assert kept == {"1.png", "again.png"}


@pytest.mark.slow
def test_a_changed_limit_reads_no_pixels(store, monkeypatch):
    assert build(FilterQuality())
    working = [stage for stage in STAGES if issubclass(stage, Stage)]
    seen = [counting(monkeypatch, stage) for stage in working]
    for name, limit in (("colour", "worst 0.5"), ("crop_bits", 8), ("copies", "keep")):
        set_options(**{f"FilterQuality_{name}": limit})
        assert not FilterQuality().complete()
        assert build(FilterQuality())
    assert seen == [[] for _ in working]
    assert manifest.facts(FilterQuality().path).outcome == {"grey": 2, "kept": 2}


@pytest.mark.slow
def test_scores_go_by_path_and_outlive_nothing_else(store):
    table = store.parent / "scores.csv"
    table.write_text("file,score\n0.png,0.1\n1.png,0.9\n2.png,0.8\n3.png,0.7\n")
    set_options(FilterQuality_scores=table, FilterQuality_score=0.5)
    assert build(FilterQuality())
    assert manifest.facts(FilterQuality().path).outcome == {"kept": 3, "low score": 1}
    (store.parent / "photos" / "0.png").rename(store.parent / "photos" / "renamed.png")
    fresh()
    assert build(FilterQuality())
    assert manifest.facts(FilterQuality().path).outcome == {"kept": 4}
    table.write_text("file,score\n0.png,little\n")
    fresh()
    with pytest.raises(SettingsError, match=r"scores = .*: line 2: 'little' is no number"):
        FilterQuality().brought_in  # noqa: B018
    for nothing in (store.parent, store.parent / "none.csv"):
        set_options(FilterQuality_scores=nothing)
        with pytest.raises(SettingsError, match=r"scores = .*: there is no such file; name a CSV"):
            FilterQuality().brought_in  # noqa: B018


@pytest.mark.slow
def test_nothing_asked_leaves_every_name_as_it_was(store):
    assert build(Resize())
    names = Resize().path
    set_options(FilterQuality_copies="keep")
    assert {Measure, FilterQuality}.isdisjoint(map(type, in_use()))
    assert Resize().path == names and Resize().complete()
    assert build(FilterQuality())
    assert {outcome(one) for one in FilterQuality().rows()} == {"kept"}
    assert options.current(FilterQualityConfig).asks is False


DARK = '[{"drop": "too dark", "if": ["luminance", "under", 256]}]'


@pytest.mark.slow
def test_a_rule_on_measures_is_judged_here_and_reads_no_pixels(store, monkeypatch):
    set_options(FilterQuality_copies="keep")
    assert build(Resize())
    before = FilterQuality().key
    set_options(Crop_rules=DARK)
    assert FilterQuality().key != before
    assert {Measure, FilterQuality} <= set(map(type, in_use()))
    assert build(FilterQuality())
    assert [one.drop for one in Crop().rows() if one.drop] == ["no face"]
    drops = [one.drop for one in FilterQuality().rows()]
    assert drops and all(drop.startswith("too dark: luminance ") for drop in drops)
    seen = counting(monkeypatch, Measure)
    set_options(Crop_rules=DARK.replace("256", "1"))
    assert build(FilterQuality()) and seen == []
    assert {one.drop for one in FilterQuality().rows()} == {None}
    set_options(Crop_rules='[{"drop": "unsure", "if": ["score", "under", 0.1]}]')
    assert FilterQuality().key == before
    assert {Measure, FilterQuality}.isdisjoint(map(type, in_use()))


@pytest.mark.slow
def test_a_rule_on_measures_is_not_asked_about_what_was_accepted(store):
    set_options(Crop_rules=DARK)
    assert build(FilterQuality())
    accept(store, "1.png")
    fresh()
    assert build(FilterQuality())
    names = {one.photo: one.path for one in Ingest().rows()}
    assert [names[one.photo] for one in FilterQuality().rows() if not one.drop] == ["1.png"]
