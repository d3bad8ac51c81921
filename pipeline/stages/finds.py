"""Joins what several detectors found in a photo. Boxes only; no pixels."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from atelier.boxes import iou
from detectors import FACE, UNUSABLE, Detection, FaceFactors, Spec, face_factors
from pipeline.photos.geometry import canonical_face
from pipeline.rows import columns
from pipeline.rows.manifest import Row, dropped, rows_of
from pipeline.rows.shards import Shard

if TYPE_CHECKING:
    import pyarrow as pa

READS = ("id", "photo", "width", "height", "boxes", "drop")

ONE_FACE = 0.5  # two detectors mean the same face where their boxes' IoU is at least this


def joined_rows(found: Sequence[Sequence[Row]], factors: Sequence[FaceFactors]) -> list[Row]:
    """Each photo's row once, with the finds of all detectors, in the order of the first's rows.

    A photo that one of them could not do is dropped, with that one's reason.
    """
    first, *others = found
    of_others = [{row.id: row for row in rows} for rows in others]
    return [
        joined_row([row, *(rows[row.id] for rows in of_others)], factors)
        for row in first
        if row.drop is None
    ]


def joined_shard(found: Sequence[Shard], specs: Sequence[Spec]) -> list[Row]:
    """The same of what several detectors made of a shard; of the rows the fields READS."""
    rows = [rows_of(shard.table(READS)) for shard in found]
    return joined_rows(rows, list(map(face_factors, specs)))


def completed(table: "pa.Table", joined: Sequence[Row]) -> "pa.Table":
    """The rows of a table with what was found in them, and why they are dropped."""
    boxes = columns.boxes_column([row.boxes for row in joined])
    return columns.with_columns(table, boxes=boxes, drop=[row.drop for row in joined])


def joined_row(seen: Sequence[Row], factors: Sequence[FaceFactors]) -> Row:
    reason = next((row.drop for row in seen if row.drop is not None), None)
    if reason is not None:
        return dropped(seen[0], reason)
    return replace(seen[0], boxes=join([row.boxes for row in seen], factors))


def join(
    found: Sequence[Sequence[Detection]], factors: Sequence[FaceFactors]
) -> tuple[Detection, ...]:
    """The finds of several detectors in one photo: faces, then all else detector by detector.

    Faces become canonical boxes. Where two detectors found the same one, the box is that of the
    detector listed first, with the better score; best score first. Unusable boxes are left out.
    """
    faces: list[Detection] = []
    for detections, own in zip(found, factors, strict=True):
        canonical = [
            Detection(FACE, one.score, canonical_face(one.box, own))
            for one in detections
            if one.label == FACE
        ]
        faces = united(faces, canonical) if faces else canonical
    faces.sort(key=lambda face: (-face.score, face.box))
    others = [one for some in found for one in some if one.label not in (FACE, UNUSABLE)]
    return (*faces, *others)


def united(known: Sequence[Detection], more: Iterable[Detection]) -> list[Detection]:
    """Known faces and those of `more` that are none of them. Each known one is met only once."""
    faces, unmet = list(known), set(range(len(known)))
    for face in more:
        overlaps = [(iou(faces[number].box, face.box), -number) for number in unmet]
        overlap, number = max(overlaps, default=(0.0, 0))
        if overlap >= ONE_FACE:
            unmet.remove(-number)
            best = max(faces[-number].score, face.score)
            faces[-number] = faces[-number]._replace(score=best)
        else:
            faces.append(face)
    return faces
