"""Every format that carries an orientation comes out upright, whoever asks and however."""

import io

import numpy as np
import pytest
from PIL import Image

from atelier import pictures
from atelier.boxes import Box
from detectors.annotations import AnnotationError, read_annotations
from detectors.base import Detection
from pipeline.rows.manifest import Item, Row
from pipeline.stages.detect import full_size
from pipeline.stages.ingest import IngestConfig, describe
from training.sources.pictures import Pictures
from training.sources.stores import FolderStore

WIDTH, HEIGHT, LIMIT = 96, 64, 10**8
FORMATS = {
    "jpg": ("JPEG", {"quality": 98, "subsampling": 0}),
    "png": ("PNG", {}),
    "webp": ("WEBP", {"lossless": True}),
    "plain.tif": ("TIFF", {}),
    "lzw.tif": ("TIFF", {"compression": "tiff_lzw"}),
    "jpeg.tif": ("TIFF", {"compression": "jpeg", "quality": 98}),
    "heic": ("HEIF", {"quality": -1}),
    "avif": ("AVIF", {"quality": 100, "subsampling": "4:4:4"}),
    "mpo": ("MPO", {"quality": 98, "subsampling": 0, "save_all": True}),
}
# What a turned file holds -> what a person saw when it was made (EXIF 2.32, 4.6.4).
UPRIGHT = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: a.transpose(1, 0, 2)[:, ::-1],
    7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
    8: lambda a: a.transpose(1, 0, 2)[::-1],
}
every_case = pytest.mark.parametrize(
    ("kind", "orientation"), [(kind, number) for kind in FORMATS for number in UPRIGHT]
)


def stored():
    """Four quarters of different colours, as the file holds them."""
    pixels = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    pixels[: HEIGHT // 2, : WIDTH // 2] = (200, 40, 40)
    pixels[: HEIGHT // 2, WIDTH // 2 :] = (40, 180, 60)
    pixels[HEIGHT // 2 :, : WIDTH // 2] = (40, 60, 190)
    pixels[HEIGHT // 2 :, WIDTH // 2 :] = (220, 220, 220)
    return pixels


def encoded(kind, orientation):
    name, more = FORMATS[kind]
    exif = Image.Exif()
    exif[pictures.ORIENTATION] = orientation
    # HEIC turns by a box of its own, which pillow_heif writes for the bytes of an EXIF.
    told = {"exif": exif.tobytes() if name == "HEIF" else exif}
    if name == "TIFF":
        told = {"tiffinfo": {pictures.ORIENTATION: orientation}}
    file = io.BytesIO()
    Image.fromarray(stored()).save(file, name, **more, **told)
    return file.getvalue()


def same(one, other):
    """Whether the middles of all quarters agree: formats blur the edges."""
    rows, columns = ([side // 4, side * 3 // 4] for side in other.shape[:2])
    middles = [pixels[np.ix_(rows, columns)].astype(int) for pixels in (one, other)]
    return np.abs(middles[0] - middles[1]).max() <= 8


@every_case
def test_header_and_every_decode_agree(kind, orientation):
    data, wanted = encoded(kind, orientation), UPRIGHT[orientation](stored())
    height, width, _ = wanted.shape
    seen = pictures.header(data, LIMIT)
    assert (seen.width, seen.height) == (width, height)
    whole, grey = pictures.decode(data), pictures.decode_grey(data, 0)
    assert whole.shape == wanted.shape and same(whole, wanted)
    assert grey.shape == (height, width)
    assert same(grey[..., None], wanted @ np.array([[0.299], [0.587], [0.114]]))
    assert same(pictures.decode_colour(data, 0), wanted)
    small = pictures.decode_colour(data, 48)
    assert max(small.shape) == 48 and (small.shape[0] > small.shape[1]) == (height > width)
    box = Box(width // 2, 0, width, height // 2)
    assert np.array_equal(pictures.decode(data, box), whole[: height // 2, width // 2 :])
    scaled = pictures.decode(data, None, (16, 16))
    assert (scaled.shape[0] > scaled.shape[1]) == (height > width)
    assert same(scaled, np.asarray(Image.fromarray(wanted).resize(scaled.shape[1::-1])))


@every_case
def test_ingest_detect_labels_and_trainer_agree(kind, orientation, tmp_path):
    data, wanted = encoded(kind, orientation), UPRIGHT[orientation](stored())
    height, width, _ = wanted.shape
    path = tmp_path / f"a.{kind}"
    path.write_bytes(data)
    item = Item("k", Row("a", path=path.name), path)
    ((row,),) = describe([item], IngestConfig(), tmp_path)
    assert (row.drop, row.width, row.height) == (None, width, height)
    small = pictures.decode_grey(data, 48)
    found = full_size([Detection("face", 1, Box(0, 0, *small.shape[::-1]))], small, row)
    assert found[0].box == Box(0, 0, width, height)
    source = Pictures(FolderStore(tmp_path))
    assert source.shape == wanted.shape and same(source.read(0), wanted)
    table = tmp_path / "boxes.csv"
    head = "filename,width,height,class,xmin,ymin,xmax,ymax\n"
    table.write_text(f"{head}{path.name},{width},{height},x,1,1,20,20\n")
    (photo,) = read_annotations(table, tmp_path).photos
    assert (photo.width, photo.height) == (width, height)
    table.write_text(f"{head}{path.name},{height},{width},x,1,1,20,20\n")
    with pytest.raises(AnnotationError):
        read_annotations(table, tmp_path)


@pytest.mark.parametrize("orientation", UPRIGHT)
def test_an_orientation_behind_the_pixels_of_a_png_counts(orientation):
    data = encoded("png", orientation)
    start = data.index(b"eXIf") - 4
    end = start + 12 + int.from_bytes(data[start : start + 4])
    moved = data[:start] + data[end:-12] + data[start:end] + data[-12:]
    assert np.array_equal(pictures.decode(moved), pictures.decode(data))
    assert pictures.header(moved, LIMIT) == pictures.header(data, LIMIT)
