"""Decisions: on the disk at once, the last one holds, and Crop obeys."""

import errno
import io
import json
import os
from threading import Thread

import pytest

from atelier.boxes import Box
from detectors.base import Detection
from pipeline.rows import decisions, manifest
from pipeline.rows.decisions import (
    BLOCK,
    Decision,
    DecisionsError,
    Journal,
    decided,
    file_in,
    in_force,
    load_decisions,
    mend_end,
    read_decisions,
    undoable_steps,
    undone,
)
from pipeline.rows.manifest import Row
from pipeline.sections import DatasetConfig
from pipeline.stages.crop import CropConfig, Recipe, crop
from pipeline.tasks import Crop, Detect, Embed, Ingest, Resize
from tests.kit.store import build, counting, fresh, photo, save, set_options

BOX = Box(10, 20, 70, 100)


def accept(name="a", *boxes, path="a.jpg"):
    return Decision(name, path, "accept", boxes or (BOX,))


def test_the_last_line_about_a_photo_holds(tmp_path):
    journal = Journal(tmp_path / "review" / "decisions.jsonl")
    refuse = Decision("a", "a.jpg", "refuse", (), "blurred")
    for decision in (accept(), accept("b"), refuse):
        journal.append(decision)
    assert load_decisions(journal.path) == [accept(), accept("b"), refuse]
    assert in_force(load_decisions(journal.path)) == {"a": refuse, "b": accept("b")}
    line = json.loads(journal.path.read_text().splitlines()[0])
    assert line["rectangles"] == [[10, 20, 70, 100]] and line["time"].startswith("20")


def test_a_last_line_that_was_cut_off_is_left_out_and_mended(tmp_path):
    journal = Journal(tmp_path / "decisions.jsonl")
    journal.append(accept())
    journal.append(accept("b"))
    whole = journal.path.read_bytes()
    journal.path.write_bytes(whole[:-9])
    assert load_decisions(journal.path) == [accept()]
    journal.append(accept("c"))
    assert load_decisions(journal.path) == [accept(), accept("c")]
    journal.path.write_bytes(whole[:-1])  # only the newline is missing
    assert load_decisions(journal.path) == [accept(), accept("b")]
    journal.append(accept("c"))
    assert load_decisions(journal.path) == [accept(), accept("b"), accept("c")]
    for rest in (b"3", b"null", b'"x"', b"[1]"):  # which somebody began to write
        journal.path.write_bytes(whole + rest)
        assert load_decisions(journal.path) == [accept(), accept("b")]
        journal.append(accept("c"))
        assert load_decisions(journal.path) == [accept(), accept("b"), accept("c")]


@pytest.mark.parametrize("end", [b"", b"\n"])
def test_only_the_end_of_a_long_file_is_read(tmp_path, end):
    journal = Journal(tmp_path / "decisions.jsonl")
    journal.append(accept())
    line = journal.path.read_bytes()
    long = b'{"photo": "' + b"x" * 3 * BLOCK  # a line that was cut off, of several blocks
    journal.path.write_bytes(100 * BLOCK * b"\n" + line.rstrip() + b"\n" + long + end)
    whole, reads = len(journal.path.read_bytes()), []

    class Counting(io.FileIO):
        def readinto(self, into):
            reads.append(got := super().readinto(into))
            return got

    with io.BufferedRandom(Counting(journal.path, "a+")) as file:
        mend_end(file)
    assert 0 < sum(reads) < 20 * BLOCK
    assert journal.path.stat().st_size == (whole if end else whole - len(long))


@pytest.mark.slow
def test_two_who_decide_at_once_lose_nothing(tmp_path, monkeypatch):
    journal, judge = Journal(tmp_path / "decisions.jsonl"), decisions.vouched
    other = Thread(target=lambda: Journal(journal.path).append(accept("b")))
    journal.append(accept())
    journal.path.write_bytes(journal.path.read_bytes() + b'{"photo"')  # which is to go

    def meanwhile(line):
        if not other.ident:
            other.start()
            other.join(0.2)
        return judge(line)

    monkeypatch.setattr(decisions, "vouched", meanwhile)
    journal.append(accept("c"))
    other.join()
    assert load_decisions(journal.path) == [accept(), accept("c"), accept("b")]
    assert os.listdir(tmp_path) == ["decisions.jsonl"]


def test_decisions_are_taken_where_files_cannot_be_locked(tmp_path, monkeypatch):
    def none(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", none)
    journal = Journal(tmp_path / "decisions.jsonl")
    journal.append(accept())
    assert load_decisions(journal.path) == [accept()]


def test_many_decisions_are_one_write(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(os, "fsync", synced.append)
    journal = Journal(tmp_path / "decisions.jsonl")
    journal.append(*(accept(name) for name in "abc"))
    assert load_decisions(journal.path) == [accept(name) for name in "abc"] and len(synced) == 1
    journal.append()
    with pytest.raises(ValueError, match="names no photo"):
        journal.append(accept("d"), accept(""))
    assert len(load_decisions(journal.path)) == 3 and len(synced) == 1


@pytest.mark.slow
def test_no_changed_byte_of_a_line_goes_unnoticed(tmp_path):
    journal = Journal(tmp_path / "decisions.jsonl")
    for name in "abc":
        journal.append(accept(name))
    data, (first, *_) = journal.path.read_bytes(), journal.path.read_bytes().splitlines(True)
    for at in range(len(first), 2 * len(first)):
        for changed in {data[at] ^ 1, data[at] ^ 0x20, 32, 10, 9} - {data[at]}:
            journal.path.write_bytes(data[:at] + bytes([changed]) + data[at + 1 :])
            read_decisions.cache_clear()
            with pytest.raises(DecisionsError, match=r"line [23] is no decision"):
                load_decisions(journal.path)


FOUR = ": each is left, top, right, bottom in pixels"
ACCEPT = '{"photo": "b", "action": "accept", "rectangles": '


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ("nonsense", "at column 1 it does not go on as JSON does: 'nonsense'"),
        ('{"photo": "b", "action": "open", "chack": "01234567"}', "nobody knows what 'chack' is"),
        ('{"action": "open"}', "it names no photo"),
        ('{"photo": null, "action": "open"}', "it names no photo"),
        ('{"photo": "b"}', "action '' is none of accept, refuse, open"),
        ('{"photo": "b", "action": ["maybe"]}', "is none of accept, refuse, open"),
        ("[1]", "it is no JSON object"),
        (ACCEPT + "[]}", "accepted without a rectangle"),
        (ACCEPT + "[[5, 5, 5, 9]]}", "the rectangle [5, 5, 5, 9] has no area"),
        (ACCEPT + "[[1, 2, 3]]}", FOUR),
        (ACCEPT + "5}", FOUR),
        (ACCEPT + "[[0, 0, {}, 9]]}", FOUR),
        (ACCEPT + "[[0, 0, Infinity, 9]]}", FOUR),
        (ACCEPT + "[[0, 0, 1e999, 9]]}", FOUR),
        (ACCEPT + "[[0, 0, NaN, 9]]}", FOUR),
    ],
)
def test_a_broken_line_is_named(tmp_path, line, wrong):
    journal = Journal(tmp_path / "decisions.jsonl")
    journal.append(accept())
    with journal.path.open("a") as file:
        file.write(line + "\n")
    journal.append(accept("c"))
    named = r"decisions\.jsonl line 2 is no decision .*: mend"
    with pytest.raises(DecisionsError, match=named) as told:
        load_decisions(journal.path)
    assert wrong in str(told.value)


def test_undo_is_a_line_too_and_outlives_the_session(tmp_path):
    journal = Journal(tmp_path / "decisions.jsonl")
    other = accept("a", Box(1, 1, 9, 9))
    for decision in (accept(), accept("b"), other):
        journal.append(decision)
    journal.append(undone(*undoable_steps(load_decisions(journal.path))[-1]))
    assert in_force(load_decisions(journal.path))["a"].rectangles == (BOX,)
    left = undoable_steps(load_decisions(journal.path))
    assert [decision.photo for decision, _ in left] == ["a", "b"]
    journal.append(undone(*left[-1]))
    journal.append(undone(*left[0]))
    assert in_force(load_decisions(journal.path)) == {}
    assert undoable_steps(load_decisions(journal.path)) == []


def test_paths_and_times_change_no_result():
    assert decided({"a": accept(path="x")}) == decided({"a": accept(path="y")})
    assert decided({"a": accept()}) != decided({"a": accept("a", Box(0, 0, 9, 9))})
    assert decided({}) == []


def cropped(decision, *found, **config):
    boxes = tuple(Detection(label, 0.9, Box(*box)) for label, box in found)
    row = Row("a", "a", width=1000, height=1000, boxes=boxes)
    recipe = Recipe(CropConfig(**config), dataset=DatasetConfig("64"))
    return list(crop(row, recipe, decision))


FACE = ("face", (450, 300, 550, 400))
STRICT = {"rules": '[{"need": "hat"}]', "min_face": 900}


def test_an_accepted_rectangle_overrides_rules_and_detector():
    (row,) = cropped(accept("a", Box(400, 200, 700, 600)), FACE, **STRICT)
    assert (row.drop, row.rectangle) == (None, Box(400, 200, 700, 600))
    assert row.face == Box(450, 300, 550, 400)
    (row,) = cropped(accept("a", Box(-50, 900, 300, 2000)))
    assert (row.rectangle, row.face) == (Box(0, 900, 300, 1000), None)


def test_an_accepted_rectangle_outside_the_photo_is_dropped():
    outside = Box(1000, 0, 1100, 90)
    away, there = cropped(accept("a", outside, Box(0, 0, 300, 400)))
    assert away.drop == "accepted rectangle outside the photo: 1000, 0, 1100, 90"
    assert (there.drop, there.rectangle) == (None, Box(0, 0, 300, 400))


def test_several_accepted_rectangles_are_several_rows():
    rows = cropped(accept("a", Box(0, 0, 300, 400), Box(500, 0, 800, 400)))
    assert [(row.id, row.rectangle.left) for row in rows] == [("a.f1", 0), ("a.f2", 500)]


def test_a_refused_photo_is_dropped_with_the_persons_reason():
    (row,) = cropped(Decision("a", "", "refuse", (), "blurred"), FACE)
    assert row.drop == "blurred: refused in the review"
    assert manifest.outcome(row) == "blurred"
    (row,) = cropped(Decision("a", "", "refuse", (), ""), FACE)
    assert manifest.outcome(row) == "refused"


def test_a_crop_detectors_portrait_overrides_the_face():
    found = [FACE, ("portrait", (400, 200, 720, 640)), ("portrait", (410, 200, 720, 650))]
    (row,) = cropped(None, *found)
    assert (row.rectangle, row.face) == (Box(400, 200, 720, 640), Box(450, 300, 550, 400))
    rows = cropped(None, *found, ("portrait", (0, 0, 90, 90)), faces="each")
    assert [row.rectangle.left for row in rows] == [0, 400]
    (row,) = cropped(None, *found, rules='[{"need": "hat"}]')
    assert row.drop == "not 1 or more hat: 0"


@pytest.mark.slow
@pytest.mark.usefixtures("reference")
def test_one_decision_changes_only_its_own_row(store, monkeypatch):
    set_options(FilterPose_limit="best 1", Zoom_share=0)
    assert build(Resize())
    before = {row.photo: row for row in Resize().rows()}
    names = Crop().key, Crop().path
    one = next(row.photo for row in Crop().rows() if row.drop is None)
    Journal(file_in(store)).append(accept(one, Box(30, 20, 120, 110)))
    seen = {stage: counting(monkeypatch, stage) for stage in (Ingest, Detect, Embed, Resize)}
    fresh()
    assert Crop().key == names[0] and Crop().path != names[1]
    assert not Resize().complete()
    assert build(Resize())
    assert {stage.__name__: rows for stage, rows in seen.items() if rows} == {
        "Embed": [one],
        "Resize": [one],
    }
    after = {row.photo: row for row in Resize().rows()}
    assert {name for name in after if after[name] != before[name]} == {one}
    assert after[one].rectangle == Box(30, 20, 120, 110)


@pytest.mark.slow
@pytest.mark.usefixtures("reference")
def test_a_decision_taken_back_leads_to_the_old_results(store):
    assert build(Resize())
    path = Crop().path
    one = next(row.photo for row in Crop().rows() if row.drop is None)
    journal = Journal(file_in(store))
    journal.append(accept(one, Box(30, 20, 120, 110)))
    journal.append(undone(accept(one, Box(30, 20, 120, 110)), None))
    fresh()
    assert Crop().path == path and Resize().complete()


@pytest.mark.slow
def test_decisions_outlive_other_settings_and_names(store):
    assert build(Crop())
    one = next(row.photo for row in Crop().rows() if row.drop is None)
    Journal(file_in(store)).append(Decision(one, "0.png", "refuse", (), "no smile"))
    photos = store.parent / "photos"
    for path in list(photos.iterdir()):
        path.rename(photos / f"renamed {path.name}")
    set_options(Crop_max_faces=3, Portrait_face_widths=2.5)
    assert build(Crop())
    assert [
        row.photo for row in Crop().rows() if row.drop == "no smile: refused in the review"
    ] == [one]


@pytest.mark.slow
def test_a_broken_file_stops_with_its_line(store):
    assert build(Detect())
    file_in(store).parent.mkdir()
    file_in(store).write_text("nonsense\n")
    fresh()
    with pytest.raises(DecisionsError, match="line 1 is no decision"):
        Crop().complete()


@pytest.mark.slow
def test_an_edited_photo_comes_again_with_its_old_rectangle(store):
    from pipeline.review.photos import ordered, photos

    assert build(Crop())
    places = Crop().places.rows()
    one = next(name for name, row in places.items() if row.path == "1.png")
    journal = Journal(file_in(store))
    journal.append(accept(one, Box(30, 20, 120, 110), path="1.png"))
    save(store.parent / "photos" / "1.png", photo(77, [(60, 40, 22)]))
    fresh()
    assert build(Crop())
    recipe = Recipe(CropConfig(min_face=4), dataset=DatasetConfig("32"))
    shown = photos(Crop().incoming(), Crop().places.rows(), recipe, load_decisions(journal.path))
    first = ordered(shown, ["unsure"])[0]
    assert (first.path, first.edited, first.candidates[0]) == ("1.png", True, Box(30, 20, 120, 110))
    assert first.id != one and sum(each.edited for each in shown) == 1
