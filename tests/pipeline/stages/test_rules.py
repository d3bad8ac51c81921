import json
import math
from dataclasses import replace

import pytest

from atelier.boxes import Box
from detectors import parse as spec
from detectors.base import Detection
from pipeline.options import SettingsError
from pipeline.rows.manifest import Measures, Row, outcome, rows_table
from pipeline.sections import DatasetConfig
from pipeline.stages.crop import CropConfig, Recipe, crop
from pipeline.stages.filter_quality import Asked, FilterQualityConfig, filter_quality
from pipeline.stages.rulebook import RuleError, check_labels, parse, unseen
from pipeline.stages.rules import QUANTITIES, judge, roll, yaw

FACE = Box(400, 300, 500, 400)
CROP = Box(300, 200, 600, 600)


def row(*found, face=FACE, rectangle=CROP):
    boxes = tuple(Detection(label, score, Box(*box)) for label, score, box in found)
    return Row("a", "a", width=1000, height=800, boxes=boxes, face=face, rectangle=rectangle)


def judged(rule, *found, **more):
    return judge(row(("face", 0.99, FACE), *found, **more), parse(json.dumps([rule])))


HAND = {"drop": "hand above the face", "if": ["open hand", "above", "face"], "min_score": 0.5}


@pytest.mark.parametrize(
    ("box", "score", "reason"),
    [
        ((600, 100, 700, 200), 0.9, "hand above the face: open hand 0.90"),
        ((600, 100, 700, 200), 0.4, None),
        ((600, 280, 700, 380), 0.9, None),
    ],
)
def test_a_hand_above_the_face(box, score, reason):
    assert judged(HAND, ("open hand", score, box)) == reason


@pytest.mark.parametrize(
    ("relation", "share", "holds", "holds_not"),
    [
        ("above", None, (0, 240, 50, 340), (0, 260, 50, 360)),
        ("below", None, (0, 360, 50, 460), (0, 340, 50, 440)),
        ("left of", None, (320, 0, 460, 50), (350, 0, 460, 50)),
        ("right of", None, (460, 0, 560, 50), (430, 0, 560, 50)),
        ("inside", None, (400, 300, 450, 350), (399, 300, 450, 350)),
        ("inside", 0.5, (350, 300, 450, 350), (349, 300, 449, 350)),
        ("overlaps", None, (490, 390, 600, 600), (500, 300, 600, 400)),
        ("overlaps", 0.2, (400, 300, 421, 400), (400, 300, 420, 400)),
        ("larger than", None, (0, 0, 101, 100), (0, 0, 100, 100)),
        ("larger than", 2, (0, 0, 201, 100), (0, 0, 200, 100)),
    ],
)
def test_relations(relation, share, holds, holds_not):
    rule = {"drop": "so", "if": ["cup", relation, "face"]}
    rule |= {} if share is None else {"share": share}
    assert judged(rule, ("cup", 0.8, holds)) == "so: cup 0.80"
    assert judged(rule, ("cup", 0.8, holds_not)) is None


def test_the_crop_and_the_photo_are_things():
    rule = {"drop": "so", "if": ["cup", "overlaps", "crop"]}
    assert judged(rule, ("cup", 0.8, (590, 590, 700, 700)))
    assert not judged(rule, ("cup", 0.8, (600, 600, 700, 700)))
    assert judged({"drop": "so", "if": ["photo", "larger than", "crop"], "share": 6}) == (
        "so: photo 1.00"
    )


def test_a_relation_to_the_face_is_one_to_the_portraits_own():
    other = ("face", 0.99, (800, 700, 900, 800))
    assert judged(HAND, other, ("open hand", 0.9, (600, 450, 700, 550))) is None


ONE_FACE = {"need": "face", "count": 1, "min_score": 0.98}


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        ([], None),
        ([("face", 0.5, (0, 0, 50, 50))], None),
        ([("face", 0.985, (0, 0, 50, 50))], "not 1 face: 2"),
        ([("face", 0.985, (405, 300, 505, 400))], None),
    ],
)
def test_exactly_one_sure_face(found, reason):
    assert judged(ONE_FACE, *found) == reason


def test_too_few_are_counted_too():
    sure = {"need": "face", "count": [1, 2], "min_score": 0.995, "reason": "no sure face"}
    assert judged(sure) == "no sure face: 0 of 0.995 or more, the surest 0.99"
    assert judged({"need": "hat"}) == "not 1 or more hat: 0"
    assert judged({"need": "hat", "count": 0}) is None


@pytest.mark.parametrize(
    ("rectangle", "reason"),
    [
        (CROP, None),
        (Box(300, 250, 600, 450), "face not 0.15 to 0.4 of the height of the crop: 0.50"),
        (Box(0, 0, 700, 700), "face not 0.15 to 0.4 of the height of the crop: 0.14"),
    ],
)
def test_the_height_of_the_face_in_the_crop(rectangle, reason):
    rule = {"need": "face", "height": [0.15, 0.4], "of": "crop"}
    assert judged(rule, rectangle=rectangle) == reason


def eyes(right, left):
    sides = [("right eye", right), ("left eye", left)]
    return [(label, 0.9, (x - 5, y - 5, x + 5, y + 5)) for label, (x, y) in sides]


@pytest.mark.parametrize(
    ("left", "reason"),
    [
        ((470, 340), None),
        ((470, round(340 + 40 * math.tan(math.radians(11)))), None),
        ((470, round(340 + 40 * math.tan(math.radians(14)))), "tilted: 14 degrees"),
        ((470, round(340 - 40 * math.tan(math.radians(14)))), "tilted: 14 degrees"),
    ],
)
def test_a_tilted_eye_line(left, reason):
    rule = {"drop": "tilted", "if": ["eye line", "over", 12]}
    assert judged(rule, *eyes((430, 340), left)) == reason


def nose(x, y, score=0.9):
    return ("nose", score, (x - 5, y - 5, x + 5, y + 5))


@pytest.mark.parametrize(
    ("quantity", "relation", "number", "found", "reason"),
    [
        ("roll", "over", 12, [*eyes((430, 340), (470, 350))], "so: 14 degrees"),
        ("roll", "over", 12, [*eyes((430, 340), (470, 345))], None),
        ("yaw", "over", 0.4, [*eyes((430, 340), (470, 340)), nose(460, 360)], "so: 0.50"),
        ("yaw", "over", 0.4, [*eyes((430, 340), (470, 340)), nose(440, 360)], "so: 0.50"),
        ("yaw", "over", 0.4, [*eyes((430, 340), (470, 340)), nose(452, 360)], None),
        ("yaw", "over", 0.4, [*eyes((430, 340), (430, 340)), nose(452, 360)], None),
        ("yaw", "over", 0.4, [*eyes((430, 340), (470, 340))], None),
        ("score", "under", 0.995, [], "so: 0.99"),
        ("score", "under", 0.9, [], None),
    ],
)
def test_a_quantity_past_its_limit_drops_and_says_the_value(
    quantity, relation, number, found, reason
):
    assert judged({"drop": "so", "if": [quantity, relation, number]}, *found) == reason


@pytest.mark.parametrize("quantity", QUANTITIES)
def test_every_quantity_is_judged_by_one_stage_which_says_its_value(quantity):
    measures = Measures(None, None, None, None, 61.5, 31.25, 4.0)
    found = [*eyes((430, 340), (470, 350)), nose(460, 360)]
    seen = replace(row(("face", 0.99, FACE), *found), measures=measures)
    value = QUANTITIES[quantity].measure(seen, 0)
    told = QUANTITIES[quantity].told.format(value)
    assert any(figure.isdigit() for figure in told)
    for relation, limit, drops in (("over", value - 0.01, 1), ("under", value, 0)):
        rule = {"drop": "so", "if": [quantity, relation, limit]}
        config = CropConfig(rules=json.dumps([rule]))
        recipe = Recipe(config, dataset=DatasetConfig("64"))
        (cropped,) = crop(seen, recipe)
        asked = Asked(FilterQualityConfig(copies="keep"), config.on_measures)
        table = rows_table([replace(cropped, drop=None, measures=measures)])
        reasons = [cropped.drop] if cropped.drop else []
        reasons += filter_quality(table, asked).drops.values()
        assert reasons == [f"so: {told}"] * drops
        assert asked.anything == QUANTITIES[quantity].measured


@pytest.mark.parametrize(
    ("colour", "greyness"), [(0.0, 1.0), (2.0, 0.8), (5.0, 0.5), (10.0, 0.0), (30.0, 0.0)]
)
def test_greyness_is_the_colour_that_is_missing(colour, greyness):
    measures = Measures(None, None, None, None, 0.0, 0.0, colour)
    assert QUANTITIES["greyness"].measure(Row("a", measures=measures), 0) == greyness


def test_a_rolled_head_is_not_a_turned_one():
    level = [*eyes((430, 340), (470, 340)), nose(450, 365)]
    for degrees in (0, 20, -30):
        turn = math.radians(degrees)

        def turned(box, turn=turn):
            x, y = (box[0] + box[2]) / 2 - 450, (box[1] + box[3]) / 2 - 350
            x, y = x * math.cos(turn) - y * math.sin(turn), x * math.sin(turn) + y * math.cos(turn)
            return tuple(round(v) for v in (x + 445, y + 345, x + 455, y + 355))

        seen = row(("face", 0.99, FACE), *[(name, s, turned(box)) for name, s, box in level])
        assert yaw(seen, 0) < 0.06
        assert roll(seen, 0) == pytest.approx(abs(degrees), abs=1.5)


def test_a_label_may_be_called_as_a_quantity_is():
    rule = {"drop": "so", "if": ["roll", "inside", "photo"]}
    assert judged(rule, ("roll", 0.8, (0, 0, 50, 50))) == "so: roll 0.80"


def test_a_face_that_is_not_sure_enough_is_told_with_its_score():
    rule = {"need": "face", "count": 1, "min_score": 0.995}
    assert judged(rule) == "not 1 face: 0 of 0.995 or more, the surest 0.99"


def test_the_eyes_are_those_of_the_portraits_face():
    rule = {"drop": "tilted", "if": ["eye line", "over", 12]}
    assert judged(rule, *eyes((30, 40), (70, 80))) is None
    assert judged(rule) is None


def test_the_first_rule_that_holds_says_the_reason():
    rules = parse(json.dumps([HAND, {"need": "hat"}, ONE_FACE]))
    seen = row(("face", 0.5, FACE), ("open hand", 0.9, (600, 100, 700, 200)))
    assert outcome(Row("a", drop=judge(seen, rules))) == "hand above the face"
    assert judge(seen, rules[1:]) == "not 1 or more hat: 0"


def test_crop_asks_the_rules():
    config = CropConfig(rules=json.dumps([HAND]))
    seen = row(("face", 0.9, FACE), ("open hand", 0.9, (600, 100, 700, 200)), face=None)
    (made,) = crop(seen, Recipe(config, dataset=DatasetConfig("256")))
    assert made.drop == "hand above the face: open hand 0.90"
    assert made.rectangle is not None


@pytest.mark.parametrize(
    ("rules", "match"),
    [
        ("[{]", r"no JSON .at column 3 it does not go on as JSON does: ']'.; words stand in"),
        pytest.param("[" * 100_000, r"^no JSON .it is nested too deeply.$", id="deep"),
        pytest.param("9" * 5000, r"^no JSON .a number in it has too many digits.$", id="long"),
        ("{}", "give a list of rules"),
        ('[{"keep": "x"}]', 'rule 1, {"keep": "x"}: begin with "drop" or "need"'),
        ('[{"drop": "x"}]', r'"if" is \[THING, RELATION, THING\].* above, below, left of'),
        ('[{"drop": "x", "if": ["a", "under", "b"]}]', "there is no relation 'under'; there are"),
        ('[{"drop": "x", "if": ["a", "above", "b"], "score": 1}]', "no key 'score'; drop has drop"),
        ('[{"need": "a"}, {"need": "a", "if": 1}]', "rule 2, .*no key 'if'; need has need, count"),
        ('[{"drop": "x: y", "if": ["a", "above", "b"]}]', '"drop" = .*give words without a colon'),
        ('[{"need": "a", "min_score": 2}]', '"min_score" = 2: give a number, 0 to 1'),
        ('[{"need": "a", "count": [3, 1]}]', '"count" = .*give a number, or'),
        ('[{"need": "a", "height": [0, 1], "of": "face"}]', '"of" = .*choose one of crop, photo'),
        ('[{"need": "a", "of": "crop"}]', '"of" says what "height" is a share of'),
        ('[{"need": "crop"}]', "'crop' is no label of a detector"),
        ('[{"drop": "x", "if": ["a", "above", "b"], "share": 1}]', "'above' takes no \"share\""),
        ('[{"drop": "x", "if": ["eye line", "over", NaN]}]', "^NaN is no number that a find can"),
        ('[{"drop": "x", "if": ["eye line", "over", true]}]', "QUANTITY, over or under, NUMBER"),
        ('[{"need": "a", "count": true}]', '"count" = True: give a number, or'),
        ('[{"need": "a", "count": [false, true]}]', '"count" = .*give a number, or'),
        (
            '[{"drop": "x", "if": ["eye line", "above", "face"]}]',
            f"quantities being {', '.join(QUANTITIES)}$",
        ),
        (
            '[{"drop": "x", "if": ["luminance", "under", 40], "min_score": 0.5}]',
            "'luminance' takes no \"min_score\"",
        ),
        (
            '[{"drop": "x", "if": ["greyness", "over", 0.8], "share": 1}]',
            "'greyness' takes no \"share\"",
        ),
    ],
)
def test_bad_rules_say_what_there_is(rules, match):
    with pytest.raises(RuleError, match=match):
        parse(rules)
    with pytest.raises(SettingsError, match=r"\[Crop\] rules: "):
        CropConfig(rules=rules)


def test_a_label_that_no_detector_finds_is_refused():
    rules = parse(json.dumps([HAND, {"drop": "tilted", "if": ["eye line", "over", 12]}]))
    with pytest.raises(RuleError, match="rule 1 names 'open hand', which no detector finds; they"):
        check_labels(rules, [spec("haar"), spec("yunet:model.onnx")])
    check_labels(rules[1:], [spec("yunet:model.onnx")])
    check_labels(rules[:1], [spec("haar"), spec("tfod:model.pb?names=open hand|face")])
    check_labels(rules, [spec("tfod:model.pb")])  # nobody knows its classes


def test_a_label_that_no_photo_has_is_said():
    rules = parse(json.dumps([HAND]))
    (note,) = unseen(rules, {"face"})
    assert "rule 1 names 'open hand', which was found in no photo; found were: face" in note
    assert unseen(rules, {"face", "open hand"}) == []
