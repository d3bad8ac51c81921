"""Measures every detector: what it finds, how fast, and against the loop that people write.

    python benchmarks/detect.py DATA [--photos 96] [DETECTOR ...]

DATA holds portraits_512_1023/, portraits_ge1024/, noface/ and models/. Photos per second are of
two single-thread processes on drawn 1920 x 2880 JPEGs, after the start. The loop is
`cv2.imread`, 300 x 300 pixels, and a session's `run` for one photo at a time, on all cores.
"""

import argparse
import os
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import photos

from pipeline.rows.manifest import Item, Row
from pipeline.stages import detect
from pipeline.stages.detect import Look, spec_of

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # for the processes that load TensorFlow
PROCESSES = 2
UNIT = 16  # photos
PORTRAITS, NO_FACES = ("portraits_512_1023", "portraits_ge1024"), ("noface",)
FACEBOXES = "tfod:{models}/tfod_faceboxes_frozen.pb?names=face"
DETECTORS = (
    "haar",
    "haar:profile?names=face",
    "yunet",
    "yunet:{models}/face_detection_yunet_2023mar.onnx",
    FACEBOXES,
    "tfod:{models}/tfod_handface_ssd_frozen.pb?names="
    "open hand|closed hand|pinch|point|face|finger tip|other tip&face=0.9:0.51:0.55",
)


def main() -> None:
    given = arguments()
    models = given.data / "models"
    with tempfile.TemporaryDirectory() as name:
        paths = photos.draw(Path(name), given.photos)
        practice = loop_rate(models / "tfod_faceboxes_frozen.pb", paths)
        print(f"the loop, FaceBoxes: {practice:.1f} photos/s\n")
        print("| detector | portraits with a face | photos without one, found | photos/s | loop |")
        print("|---|---|---|---|---|")
        for text in given.detector or DETECTORS:
            look = Look(spec_of(text.format(models=models)), detect.DetectConfig().min_face)
            row = measured(look, given.data, paths)
            ratio = f"{row[2] / practice:.1f} times" if text == FACEBOXES else ""
            named = text.replace("{models}/", "").replace("|", "\\|")
            print(f"| `{named}` | {row[0]} | {row[1]} | {row[2]:.1f} | {ratio} |", flush=True)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", type=Path, help="folder of portraits, photos without, and models")
    parser.add_argument("detector", nargs="*", help="as in [Detect] detector; {models} is DATA's")
    parser.add_argument("--photos", type=int, default=96, help="drawn photos to time")
    return parser.parse_intermixed_args()


def measured(look: Look, data: Path, drawn: list[Path]) -> tuple[str, str, float]:
    """Portraits on which a face was found, other photos on which one was, photos per second."""
    with ProcessPoolExecutor(PROCESSES, mp_context=get_context("spawn")) as workers:
        with_face, without = (
            [path for folder in folders for path in sorted((data / folder).iterdir())]
            for folders in (PORTRAITS, NO_FACES)
        )
        right, wrong = (faces(workers, look, items(paths)) for paths in (with_face, without))
        timed = items(drawn)
        faces(workers, look, timed[:UNIT] * PROCESSES)  # the first of a shape is slow
        start = time.perf_counter()
        faces(workers, look, timed)
        rate = len(drawn) / (time.perf_counter() - start)
    return f"{right} of {len(with_face)}", f"{wrong} of {len(without)}", rate


def faces(workers: ProcessPoolExecutor, look: Look, photos: list[Item]) -> int:
    """On how many of the photos a face was found."""
    units = [photos[start : start + UNIT] for start in range(0, len(photos), UNIT)]
    return sum(workers.map(found, [look] * len(units), units))


def found(look: Look, unit: list[Item]) -> int:
    """One unit of work, in a worker."""
    rows = [row for rows in detect.detect(unit, look, Path()) for row in rows]
    return sum(any(one.label == "face" for one in row.boxes) for row in rows)


def items(paths: list[Path]) -> list[Item]:
    """The photos as Ingest describes them."""
    from atelier import pictures

    described = []
    for path in paths:
        head = pictures.header(path.read_bytes(), 10**9)
        row = Row(path.name, path.name, width=head.width, height=head.height)
        described.append(Item(str(path), row, path))
    return described


def loop_rate(model: Path, paths: list[Path]) -> float:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        return process.submit(by_hand, model, paths).result()


def by_hand(model: Path, paths: list[Path]) -> float:
    """Photos per second of the loop."""
    import cv2
    import tensorflow as tf

    v1 = tf.compat.v1
    graph = v1.GraphDef()
    graph.ParseFromString(model.read_bytes())
    names = ("num_detections", "detection_scores", "detection_boxes", "detection_classes")
    with tf.Graph().as_default(), v1.Session() as session:
        tf.import_graph_def(graph, name="")
        wanted = [session.graph.get_tensor_by_name(f"{name}:0") for name in names]

        def look(path: Path) -> None:
            small = cv2.resize(cv2.imread(str(path)), (300, 300))[:, :, ::-1]
            session.run(wanted, {"image_tensor:0": small[None]})

        look(paths[0])  # the first one is slow
        start = time.perf_counter()
        for path in paths:
            look(path)
        return len(paths) / (time.perf_counter() - start)


if __name__ == "__main__":
    main()
