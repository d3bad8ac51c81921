"""Sources and disks as they should not be: one sentence, or a drop with a reason."""

import os
import shutil
import struct
import subprocess
import zlib

import pytest

from pipeline import sample
from pipeline.engine import cluster
from pipeline.photos.folder import HOLDS
from tests.kit.commands import error, run, run_apart
from tests.kit.store import photo, results, save

pytestmark = pytest.mark.slow


def finished(done):
    """What a run that came to its end printed."""
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout


def lines_of(folder, stage, run=run, **more):
    """What `status` says of a stage."""
    status = run(folder, "status", **more).stdout.splitlines()
    return next(line for line in status if line.startswith(stage))


@pytest.fixture
def plain():
    """Words before a command that take from root what lets it read every file."""
    if os.geteuid():
        return ()
    words = ("setpriv", "--bounding-set", "-dac_override,-dac_read_search")
    if not shutil.which("setpriv") or subprocess.run([*words, "true"]).returncode:
        pytest.skip("root may read every file here, and setpriv cannot change that")
    return words


def test_a_file_that_may_not_be_read_is_a_drop_until_it_may(folder, plain):
    secret = folder / "photos" / "1.jpg"
    secret.chmod(0)
    finished(run_apart(folder, "run", under=plain))
    told = lines_of(folder, "Ingest", run_apart, under=plain)
    assert told.endswith("2 kept, 1 dropped; 1 no permission to read")
    secret.chmod(0o644)
    finished(run(folder, "run"))
    assert lines_of(folder, "Ingest").endswith("3 kept, 0 dropped")


def test_a_folder_that_may_not_be_read_is_one_sentence(folder, plain):
    (folder / "photos" / "inner").mkdir(mode=0)
    said = error(run_apart(folder, "run", under=plain))
    assert "Permission denied" in said and str(folder / "photos" / "inner") in said
    (folder / "photos" / "inner").chmod(0o755)
    finished(run(folder, "run"))


def test_a_store_of_somebody_else_is_one_sentence(folder, plain):
    (folder / "store").mkdir(mode=0o555)
    said = error(run_apart(folder, "run", under=plain))
    assert said.startswith(f"cannot write to the store {folder}/store (Permission denied): make")
    (folder / "store").chmod(0o755)
    finished(run(folder, "run"))


def huge_png(path, side):
    """A black and white square that no memory was needed for."""

    def chunk(kind, data):
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    packer = zlib.compressobj(1)
    lines = [packer.compress(bytes(1 + side // 8)) for _ in range(side)]
    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    data = b"".join([*lines, packer.flush()])
    chunks = [chunk(b"IHDR", header), chunk(b"IDAT", data), chunk(b"IEND", b"")]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunks))


def test_a_photo_of_400_million_pixels_is_dropped_before_it_is_decoded(folder):
    huge_png(folder / "photos" / "huge.png", 20_000)
    finished(run(folder, "run"))
    assert lines_of(folder, "Ingest").endswith("3 kept, 1 dropped; 1 too many pixels")


def test_a_panorama_wider_than_imagemagick_takes_is_no_crash(folder):
    save(folder / "photos" / "wide.png", photo(9, [], size=(17_000, 200)))
    finished(run(folder, "run"))
    assert lines_of(folder, "Resize").endswith("4 kept, 0 dropped")


@pytest.mark.parametrize(
    "words", [("verify",), ("verify", "--repair"), ("gc",), ("gc", "--delete")]
)
def test_a_misspelt_store_is_not_said_to_be_in_order_nor_made(folder, words):
    said = error(run(folder, *words, store="stroe"), code=2)
    assert said == f"[Store] root = {folder}/stroe: there is no such store"
    assert not (folder / "stroe").exists()


def test_a_store_without_a_name_is_not_the_folder_of_the_code(folder):
    said = error(run(folder, "run", Store_root=""), code=2)
    assert said == "[Store] root = '': it is empty: give a folder, as data"


def test_a_rule_on_what_no_detector_finds_is_refused_before_any_looks(folder):
    said = error(run(folder, "run", Crop_rules='[{"need": "hand"}]'), code=2)
    assert said.startswith("[Crop] rules: rule 1 names 'hand', which no detector finds")
    assert not [*(folder / "store").glob("*/*/*.parquet")]


def test_an_empty_folder_is_one_sentence(folder):
    (folder / "empty").mkdir()
    said = error(run(folder, "run", Ingest_source=folder / "empty"), code=2)
    assert said == f"[Ingest] source = {folder}/empty: the folder is empty; {HOLDS}"
    save(folder / "empty" / "first.png", photo(1))
    finished(run(folder, "run", Ingest_source=folder / "empty"))


def test_a_source_that_is_a_photo_is_one_sentence(folder):
    said = error(run(folder, "run", Ingest_source=folder / "photos" / "0.jpg"), code=2)
    assert "0.jpg: not a folder" in said


def test_a_source_that_lies_among_the_results_is_one_sentence(folder):
    finished(run(folder, "run"))
    said = error(run(folder, "run", Ingest_source=folder / "store" / "resize"), code=2)
    assert "it lies in the store" in said


def test_a_source_without_any_photo_is_one_sentence(folder):
    for path in (folder / "photos").iterdir():
        path.rename(path.with_suffix(".txt"))
    said = error(run(folder, "run"))
    assert said.startswith("no picture is left to export: ")
    assert lines_of(folder, "Ingest").endswith("0 kept, 3 dropped; 3 not a photo (.txt)")
    for path in (folder / "photos").iterdir():
        path.rename(path.with_suffix(".JPG"))
    finished(run(folder, "run"))


def test_what_looks_like_something_else_is_taken_for_what_it_is(folder):
    photos = folder / "photos"
    (photos / "folder.jpg").mkdir()
    (photos / "0.jpg").rename(photos / "folder.jpg" / "0.jpg")
    save(photos / "really.png", photo(7))
    (photos / "really.png").rename(photos / "a PNG.jpg")
    finished(run(folder, "run"))
    assert lines_of(folder, "Ingest").endswith("4 kept, 0 dropped")


NAMES = [
    "a b",
    "it's",
    '"it"',
    "line\nbreak",
    "@file",
    "<script>",
    "日本",
    "-x",
    "100%",
    "a:b",
    "%(x)s",
]


def test_any_name_is_fine(folder):
    source = folder / "it's <b>\n%s 日本\udcff"
    for number, name in enumerate(NAMES):
        save(source / name / f"{name}.png", photo(30 + number, size=(80, 80)))
    more = {"Ingest_source": source, "ExportTFRecords_labels": "folder", "store": "a %s store"}
    finished(run(folder, "run", **more))
    page = (folder / "a %s store" / "report.html").read_text()
    assert page.count("<script>") == page.count("</script>")
    assert "日本" in page


def test_a_photo_that_goes_between_two_commands_is_not_asked_for(folder):
    finished(run(folder, "run", "Ingest"))
    (folder / "photos" / "1.jpg").unlink()
    finished(run(folder, "run"))
    assert lines_of(folder, "Resize").endswith("2 kept, 0 dropped")


@pytest.fixture
def disk(folder):
    """Gives a small disk at `disk`, or changes it: disk("size=1m"), disk("remount,ro")."""
    place = folder / "disk"
    place.mkdir()

    def mount(options):
        line = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)]
        if subprocess.run(line, capture_output=True).returncode:
            pytest.skip("mounting is not permitted here")

    mount("size=64m")
    # It hears when this process is gone, be it by SIGKILL, and leaves no mount behind then either.
    keeper = ["sh", "-c", 'cat; umount --lazy "$0"', str(place)]
    with subprocess.Popen(keeper, stdin=subprocess.PIPE, start_new_session=True) as unmounting:
        yield mount
        cluster.close()  # whose workers have files open there
    assert unmounting.returncode == 0


def test_a_read_only_store_is_one_sentence(folder, disk):
    disk("remount,ro")
    for store in ("disk", "disk/store"):
        said = error(run(folder, "run", store=store))
        assert said.startswith(
            f"cannot write to the store {folder}/{store} (Read-only file system)"
        )
    disk("remount,rw")
    finished(run(folder, "run", store="disk"))
    disk("remount,ro")
    assert lines_of(folder, "Resize", store="disk").endswith("3 kept, 0 dropped")
    finished(run(folder, "run", store="disk"))  # all is done, so that nothing is to be written
    for words, more in ((["run", "--rescan"], {}), (["run"], {"Dataset_size": 32})):
        said = error(run(folder, *words, store="disk", **more))
        assert "(Read-only file system)" in said


def test_what_only_reads_needs_no_store_that_can_be_written(folder, disk):
    boxes = folder / "boxes.csv"
    boxes.write_text(
        "filename,width,height,class,xmin,ymin,xmax,ymax\n0.jpg,160,120,portrait,9,9,99,99\n"
    )
    finished(run(folder, "review", "--import", str(boxes), store="disk"))
    finished(run(folder, "run", store="disk"))
    disk("remount,ro")
    for words in (["status"], ["source"], ["report"], ["verify"], ["gc"]):
        finished(run(folder, *words, store="disk"))
    assert "1 photo in" in finished(run(folder, "review", "--export", str(boxes), store="disk"))
    for words in (["verify", "--repair"], ["gc", "--delete"], ["review", "--import", str(boxes)]):
        assert "(Read-only file system)" in error(run(folder, *words, store="disk"))


def test_too_little_room_is_said_before_the_first_picture(folder, disk):
    more = {"store": "disk", "Dataset_size": 256, "Crop_enlarge": "true"}
    disk("remount,size=256k")
    said = error(run(folder, "run", **more))
    assert said.startswith("the export needs ") and " make room, set [Store] root to a " in said
    assert not list(folder.glob("disk/resize/*/pictures"))
    disk("remount,size=64m")
    finished(run(folder, "run", **more))


def test_a_store_that_is_full_at_any_moment_loses_nothing(folder, disk):
    (folder / "photos" / "Ada.jpg").write_bytes(sample.photo("studio/Ada.jpg"))
    more = {"Detect_detector": "haar", "Engine_rows": 1}
    finished(run(folder, "run", **more))
    said = []
    for kilobytes in range(4, 2000, 24):
        disk(f"remount,size={kilobytes}k")
        done = run(folder, "run", store="disk", **more)
        if done.returncode == 0:
            break
        said.append(error(done))
    finished(done)
    assert all("No space left" in line or "make room" in line for line in said)
    assert len(set(said)) > 4
    assert results(folder / "disk") == results(folder / "store")


def test_a_full_store_with_workers_is_one_sentence(folder, disk):
    more = {"store": "disk", "Engine_scheduler": "local", "Engine_workers": 1}
    disk("remount,size=16k")
    assert "No space left on device" in error(run(folder, "run", **more))
    disk("remount,size=64m")
    finished(run(folder, "run", **more))
