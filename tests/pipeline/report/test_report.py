"""The report: the books add up, names are escaped, the page needs nothing but itself."""

import io
import re
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from atelier.boxes import Box
from detectors.base import Detection
from pipeline.photos.thumbnails import thumbnail
from pipeline.report.charts import histogram
from pipeline.report.choices import Extreme, Fair
from pipeline.report.funnel import Chapter, funnel, funnel_text
from pipeline.report.page import ReportConfig, page
from pipeline.rows.manifest import Measures, Row, dropped, passed_on
from pipeline.rows.shards import Rows

EVIL = '<script>alert("1")</script>\n&.jpg'
FACE = Box(40, 40, 80, 80)
VOID = {"meta", "img", "line"}


def jpeg(width=120, height=160):
    file = io.BytesIO()
    Image.fromarray(np.full((height, width, 3), 120, np.uint8)).save(file, "JPEG")
    return file.getvalue()


PHOTO = jpeg()


def source(number, name=None, **facts):
    path = name or f"folder/{number}.jpg"
    return Row(f"{number:032x}", f"{number:032x}", path, 9, 9, width=120, height=160, **facts)


def chapter(stage, rows, *more):
    return Chapter(stage, Rows.of(rows), *more, frames=sum(bool(row.clip) for row in rows))


@pytest.fixture
def chapters():
    """Ten files; two faces in one; one refused; one close-up."""
    files = [source(number) for number in range(8)]
    files += [dropped(source(8, EVIL), "broken file: <b>short</b>")]
    files += [dropped(source(9, "text.txt"), "not a photo (.txt)")]
    rows = passed_on(files)
    rows = [replace(row, boxes=(Detection("face", 0.9, FACE),)) for row in rows]
    cropped = [replace(row, face=FACE, rectangle=Box(0, 0, 120, 160)) for row in rows[1:]]
    cropped += [replace(cropped[0], id=cropped[0].id + ".f2")]
    cropped += [dropped(rows[0], "several faces: 3")]
    scored = [replace(row, score=100.0 + 10 * n) for n, row in enumerate(passed_on(cropped))]
    judged = [row if row.score < 165 else dropped(row, f"unlike: {row.score}") for row in scored]
    kept = passed_on(judged)
    closer = [*kept, replace(kept[0], id=kept[0].id + ".z", parent=kept[0].id)]
    return [
        chapter("Ingest", files),
        chapter("Crop", cropped),
        chapter("FilterPose", judged, ["the limit keeps <all> of the reference"]),
        chapter("Zoom", closer),
    ]


NUMBERS = {"face_share": 0.25, "least_side": 512}


def made(chapters, config=None, limit=165.0, photo=PHOTO, numbers=NUMBERS):
    return page(
        chapters,
        config or ReportConfig(),
        "/raw/<mine>",
        numbers | ({} if limit is None else {"limit": limit}),
        lambda row: photo,
        lambda row: None,
    )


class Tags(HTMLParser):
    """Collects every tag and attribute, and holds that tags are closed in order."""

    def __init__(self, html):
        super().__init__()
        self.open, self.seen = [], []
        self.feed(html)
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.seen.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.seen.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_books_add_up_in_every_stage(chapters):
    lines = funnel(chapters)
    for line in lines:
        assert line.came_in + line.added == line.kept + line.dropped
    assert [line.came_in for line in lines[1:]] == [line.kept for line in lines[:-1]]
    assert [line.added for line in lines] == [0, 1, 0, 1]
    assert lines[0].reasons == {"broken file": 1, "not a photo (.txt)": 1}


def test_frames_of_a_clip_are_added_rows():
    clip = dropped(source(1, "a.mp4"), "video: 2 frames taken")
    frames = [source(2, clip="a.mp4"), source(3, clip="a.mp4")]
    (line,) = funnel([chapter("Ingest", [clip, *frames])])
    assert (line.came_in, line.added, line.kept, line.dropped) == (1, 2, 2, 1)


def test_a_lost_row_is_no_funnel(chapters):
    with pytest.raises(AssertionError, match="Crop lost 1 rows"):
        funnel([chapters[0], chapter("Crop", list(chapters[1].rows)[:7])])


def test_funnel_for_the_terminal(chapters):
    assert funnel_text(chapters).splitlines() == [
        "stage       in  added  kept  dropped",
        "Ingest      10            8        2  1 broken file",
        "                                      1 not a photo (.txt)",
        "Crop         8      1     8        1  1 several faces",
        "FilterPose   8            7        1  1 unlike",
        "Zoom         7      1     8",
    ]


def test_names_are_escaped(chapters):
    html = made(chapters)
    assert "<script" not in html and "<mine>" not in html and "<all>" not in html
    assert "<b>short" not in html
    assert "&lt;script&gt;alert" in html


@pytest.mark.slow
def test_page_is_well_formed_and_needs_nothing_else(chapters):
    tags = Tags(made(chapters)).seen
    counts = Counter(tag for tag, _ in tags)
    assert not {"script", "link", "iframe", "object"} & set(counts)
    addresses = [a[n] for _, a in tags for n in ("src", "href") if n in a]
    assert all(address.startswith(("data:image/jpeg;base64,", "#")) for address in addresses)
    assert all(attributes["alt"] for tag, attributes in tags if tag == "img")
    assert not re.search(r"url\(|@import|https?://", made(chapters))


def test_links_of_the_funnel_lead_to_a_sheet(chapters):
    tags = Tags(made(chapters)).seen
    names = {attributes.get("id") for _, attributes in tags}
    links = [attributes["href"][1:] for tag, attributes in tags if tag == "a"]
    assert len(links) == 4 and set(links) <= names


@pytest.mark.slow
def test_same_rows_same_page(chapters):
    assert made(chapters) == made(chapters)


def test_broken_photo_gets_a_tile_with_its_reason(chapters):
    html = made(chapters, photo=b"not a picture")
    assert "<img" not in html
    assert "&lt;b&gt;short&lt;/b&gt;</div>" in html and "not a photo (.txt)</div>" in html


def test_missing_photo_gets_a_tile_too(chapters):
    assert "<img" not in made(chapters, photo=None)


def test_limit_is_drawn_with_the_pictures_at_both_sides(chapters):
    html = made(chapters)
    assert ">limit 165</text>" in html and 'class="bar past"' in html
    assert html.index(">160.0</span>") < html.index(">150.0</span>")  # nearest to the limit first
    assert "Just refused" in html and ">170.0</span>" in html
    assert "Around the limit" not in made(chapters, limit=None)


@pytest.fixture
def judged(chapters):
    """Three measured portraits: one blurred, one a copy."""
    rows = [
        replace(row, measures=Measures(None, None, None, None, 40.0 + 30 * n, 100.0, 9.0))
        for n, row in enumerate(passed_on(chapters[1].rows)[:3])
    ]
    out = [
        dropped(rows[0], "blurred: 40, the limit is 60"),
        dropped(rows[1], f"nearly the same picture: {rows[2].id}"),
        replace(rows[2], measures=None),
    ]
    quality = chapter("FilterQuality", out, (), {"sharpness": 60.0})
    return [chapter("Ingest", list(chapters[0].rows)[1:4]), chapter("Measure", rows), quality]


def test_copies_stand_beside_the_one_that_stays(judged):
    html = made(judged, limit=None)
    group = html[html.index("Nearly the same</h2>") : html.index("Extremes</h2>")]
    assert re.findall(r'class="name" title="(.*?)"', group) == ["folder/3.jpg", "folder/2.jpg"]
    dropped = html[html.index("Dropped</h2>") :]
    assert 'title="folder/3.jpg">folder/3.jpg</span>' in dropped  # not its id


def test_the_lowest_come_first_and_each_limit_has_its_mark(judged):
    html = made(judged, limit=None)
    lowest = html[html.index("Least sharp") : html.index("Darkest")]
    assert re.findall(r'class="detail" title="(.*?)"', lowest) == ["40", "70", "100"]
    assert html.count(">limit 60</text>") == 1
    sharpness = html[html.index("<h3>Sharpness") : html.index("<h3>Light")]
    (past,) = re.findall(r'class="bar past".*?<title>(.*?)</title>', sharpness)
    assert past.startswith("40 ")


@pytest.mark.slow
def test_photos_too_small_for_the_size_are_marked(chapters):
    html = made(chapters, limit=None, numbers={"least_photo": 900.0})
    photos = html[html.index("<h3>Photos") : html.index("<h3>", html.index("<h3>Photos") + 1)]
    assert ">limit 900</text>" in photos and "bar past" in photos
    assert "limit" not in made(chapters, limit=None, numbers={}).split("<h3>Photos")[1][:2000]


def test_captions_show_the_name_of_the_file(chapters):
    html = made(chapters)
    assert '<span class="name" title="folder/1.jpg">1.jpg</span>' in html


def test_a_number_alone_is_no_caption(chapters):
    html = made(chapters)
    assert '<span class="detail" title="several faces: 3">several faces: 3</span>' in html


def test_frames_are_named_by_their_clip_and_second():
    frames = [source(n, f"{n}.png", clip="a/b.mp4", second=n / 4) for n in range(1, 3)]
    frames[1] = dropped(frames[1], "nearly the frame before")
    html = made([chapter("Ingest", frames), chapter("Crop", passed_on(frames))], limit=None)
    assert '<span class="name" title="a/b.mp4, 0.2 s">b.mp4, 0.2 s</span>' in html
    assert '<span class="name" title="a/b.mp4, 0.5 s">b.mp4, 0.5 s</span>' in html


def test_one_file_is_no_files():
    html = made([chapter("Ingest", [source(1)])], limit=None)
    assert "<span>file found</span>" in html and "<span>picture in the dataset</span>" in html


def test_config_says_how_many_pictures(chapters):
    few = made(chapters, ReportConfig(per_reason=1), limit=None)
    assert few.count("<img") == 2 + 1 + 4  # kept, close-ups, one for each reason
    assert made(chapters, ReportConfig(per_reason=0)).count("<img") == 0


def test_written_pictures_are_shown_as_they_are(chapters):
    rows = [replace(row, picture="pictures/a.jpg") for row in chapters[-1].rows]
    seen = []
    page(
        [*chapters, chapter("Resize", rows)],
        ReportConfig(),
        "/raw",
        {},
        lambda row: PHOTO,
        lambda row: seen.append(row.id) or jpeg(64, 64),
    )
    assert sorted(seen) == sorted(row.id for row in rows)


def chosen(shards):
    """The numbers of six rows, which are seen in pieces."""
    choice, start = Fair(6), 0
    for names in shards:
        choice.see(names, range(start, start + len(names)))
        start += len(names)
    assert choice.total == start
    return choice.rows


def test_choice_stays_when_the_source_grows():
    names = [source(number).id for number in range(40)]
    few, more = chosen([names[:20]]), chosen([names])
    assert [at for at in more if at < 20] == few[: sum(at < 20 for at in more)]


@pytest.mark.parametrize("cut", [0, 1, 7, 20, 39, 40])
def test_shards_give_the_choice_of_all_rows(cut):
    names = [source(number).id for number in range(40)]
    assert chosen([names[:cut], names[cut:]]) == chosen([names])


@pytest.mark.parametrize("low", [True, False])
@pytest.mark.parametrize("cut", [0, 3, 11, 19, 20])
def test_shards_give_the_extremes_of_all_rows(cut, low):
    values = np.random.default_rng(cut).integers(0, 6, 20).astype(float)
    names = [f"{number * 7 % 20:02}" for number in range(20)]
    table = pa.table({"id": names, "at": range(20)})
    choice = Extreme(5, low)
    for start, end in ((0, cut), (cut, 20)):
        choice.see(table.slice(start, end - start), values[start:end])
    ranked = sorted(zip(values, names, range(20), strict=True), reverse=not low)
    assert choice.rows == [at for *_, at in ranked[:5]]
    assert choice.total == 20


def test_copies_bear_the_name_of_the_one_that_was_kept():
    files = [source(1, "a.jpg"), dropped(replace(source(1, "b.jpg")), "exact copy: a.jpg")]
    html = made([chapter("Ingest", files), chapter("Crop", passed_on(files))], limit=None)
    assert html.count('alt="a.jpg"') == 1 and html.count('alt="b.jpg"') == 1


def test_empty_source_has_a_report():
    for chapters in ([], [chapter("Ingest", [])]):
        html = made(chapters, limit=None)
        assert Tags(html) and "What became of every photo" in html


def test_faces_are_marked_where_nothing_was_cut():
    row = source(1, boxes=(Detection("face", 0.9, FACE),))
    (mark,) = thumbnail(row, PHOTO, False, "a", "").marks
    assert (mark.left, mark.top, mark.width, mark.height) == pytest.approx(
        (100 / 3, 25, 100 / 3, 25)
    )
    assert not thumbnail(replace(row, rectangle=FACE), PHOTO, False, "a", "").marks


@pytest.mark.slow
def test_wanted_is_drawn_against_got_and_close_ups_apart(chapters):
    html = made(chapters)
    assert "wanted 0.25" in html and "Faces of close-ups" in html
    assert "Too few pixels" not in html
    short = replace(next(iter(chapters[1].rows)), id="short", drop="too few pixels: 120 x 160")
    chapters[1] = chapter("Crop", [*chapters[1].rows, short])
    html = made(chapters)
    assert "Too few pixels" in html and "limit 512" in html


def test_histogram_counts_everything():
    values = [1.0, 2.0, 2.0, 9.5]
    counts = re.findall(r"<title>.*?: (\d+)</title>", histogram(values, "length"))
    assert sum(map(int, counts)) == len(values)


@pytest.mark.parametrize("values", [[5.0], [0.0, 0.0], [1e-9, 2e-9], [1e6, 3e6], [-3.0, 4.0]])
def test_histogram_of_odd_values_is_drawn(values):
    svg = histogram(values, "odd & ends", limit=2.0)
    assert "nan" not in svg and "odd &amp; ends" in svg
    Tags(svg)


def test_histogram_of_nothing_is_nothing():
    assert histogram([], "none") == ""


@pytest.mark.slow
def test_thousands_of_reasons_make_a_bounded_page():
    rows = [dropped(Row(f"{n:032x}", path=f"a.{n}"), f"not a photo (.{n})") for n in range(5000)]
    chapters = [chapter("Ingest", rows)]
    opened = []
    told = page(chapters, ReportConfig(), "/raw", {}, opened.append, opened.append)
    assert not opened  # what is shown as words
    assert len(told) < 200_000
    assert "4977 other reasons" in told
    assert len(funnel_text(chapters).splitlines()) == 25
    assert sum(funnel(chapters)[0].reasons.values()) == 5000
