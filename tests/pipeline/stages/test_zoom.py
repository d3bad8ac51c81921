from dataclasses import replace

import numpy as np
import pytest

from atelier.boxes import Box
from pipeline.rows.manifest import Row, rows_of, rows_table
from pipeline.sections import DatasetConfig, PortraitConfig
from pipeline.stages import zoom
from pipeline.stages.zoom import ZoomConfig, rank

ROW = Row("", "p", width=2000, height=2000, face=Box(900, 700, 1100, 900))


def rows(count):
    return [replace(ROW, id=f"{n:04d}", rectangle=Box(700, 480, 1300, 1280)) for n in range(count)]


def zoomed(given, config=None, size="128"):
    table, config, dataset = rows_table(given), config or ZoomConfig(), DatasetConfig(size)
    survey = zoom.chosen_parents([("", table)], config, dataset)
    made = zoom.with_close_ups(table, survey.verdicts[""], config, PortraitConfig(), dataset)
    return rows_of(made), survey.told.notes


def test_close_ups_are_the_wanted_share_of_the_dataset():
    out, _ = zoomed(rows(72))
    close_ups = [row for row in out if row.parent]
    assert len(out) == 72 + 28
    assert len(close_ups) == 28
    assert [row for row in out if not row.parent] == rows(72)


def test_close_up_shows_the_face_at_the_wanted_share():
    out, _ = zoomed(rows(3), ZoomConfig(share=0.5))
    assert out[1].id == "0000.z"
    assert out[1].parent == "0000"
    assert out[1].rectangle == Box(850, 630, 1150, 1030)  # 0.35 faces of room for the hair


def chosen(given, seed):
    return {row.parent for row in zoomed(given, ZoomConfig(seed=seed))[0] if row.parent}


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
def test_an_earlier_choice_leaves_only_for_a_newcomer_of_smaller_rank(seed):
    """One for one, beside the places that growth adds; by how many photos the source grows."""
    everyone = np.random.default_rng(seed).permutation(rows(140))
    choices = {count: chosen(everyone[:count], seed) for count in range(20, 140)}
    for step in (1, 7, 40):
        for count in range(20, 140 - step, step):
            before, after = choices[count], choices[count + step]
            gone, come = before - after, after - before
            assert len(come) - len(gone) == wanted(count + step) - wanted(count) >= 0
            if gone:
                assert come.isdisjoint(row.id for row in everyone[:count])
                assert max(rank_of(come, seed)) < min(rank_of(gone, seed))


def wanted(count):
    return int(count * 0.28 / 0.72)


def rank_of(names, seed):
    return [rank(name, seed) for name in names]


def test_newcomers_that_do_not_qualify_take_no_place():
    strangers = [replace(row, id=f"x{row.id}", face=None) for row in rows(60)]
    assert chosen(rows(50), 3) < chosen(rows(50) + strangers, 3)


def test_another_seed_is_another_choice():
    assert chosen(rows(50), 0) != chosen(rows(50), 1)


@pytest.mark.parametrize(
    ("face", "size", "said"),
    [
        (Box(800, 600, 1200, 1000), "128", "1 passed over: the portrait is that close already"),
        (Box(900, 700, 1100, 900), "512", "1 passed over: too few pixels: a close-up would be"),
        (None, "128", "1 passed over: no face was looked for"),
    ],
)
def test_what_is_passed_over_is_counted(face, size, said):
    out, notes = zoomed([replace(rows(1)[0], face=face)], ZoomConfig(share=0.6), size)
    assert len(out) == 1
    assert any(note.startswith(said) for note in notes)


@pytest.mark.parametrize("share", [0, 0.28, 0.9])
def test_rows_in_several_pieces_give_the_choice_of_one(share):
    given = [replace(row, id=f"{n % 5}{n:03d}") for n, row in enumerate(rows(90))]
    given[7:9] = [replace(row, face=None) for row in given[7:9]]
    pieces = [(f"{n}", rows_table(given[n::5])) for n in range(5)]
    config, dataset = ZoomConfig(share=share), DatasetConfig("128")
    several = zoom.chosen_parents([*pieces, ("5", rows_table([]))], config, dataset)
    one = zoom.chosen_parents([("", rows_table(given))], config, dataset)
    assert several.told == one.told
    assert several.verdicts["5"] == {}
    found = [own for prefix in several.verdicts for own in several.verdicts[prefix].items()]
    assert dict(found) == one.verdicts[""]
    assert len(found) == min(int(90 * share / (1 - share)), 88)
    assert all(name[0] == prefix for prefix, own in several.verdicts.items() for name in own)


def test_ranks_that_begin_alike_are_told_apart_by_the_rest():
    ranks = np.array([[5, 1], [7, 9], [7, 2], [9, 0], [7, 4]], np.uint64)
    assert zoom.least(ranks, 3).tolist() == [True, False, True, False, True]
