"""Small clips: made by OpenCV, their descriptions edited."""

import struct

import cv2
import numpy as np

WIDTH, HEIGHT, RATE = 160, 120, 10
TABLES = (b"moov", b"trak", b"mdia", b"minf", b"stbl")
HEADS = {b"stsd": 8, b"mp4v": 78}  # bytes before the boxes within


def clip(path, *boxes, frames=6):
    """An MP4 whose description of its pictures ends with these boxes."""
    more = b"".join(boxes)
    data = plain_clip(path, frames).read_bytes()
    path.write_bytes(edited(data, (*TABLES, b"stsd", b"mp4v"), lambda c: c + more))
    return path


def plain_clip(path, frames=6):
    """A clip of the container that the suffix names."""
    code = {".webm": "VP80", ".mts": "MPG2", ".avi": "MJPG"}.get(path.suffix, "mp4v")
    made = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*code), RATE, (WIDTH, HEIGHT))
    for number in range(frames):
        picture = np.full((HEIGHT, WIDTH, 3), 40 * number % 256, np.uint8)
        picture[:, : WIDTH // 4] = (0, 0, 200)
        made.write(picture)
    made.release()
    return path


def box(kind, content):
    return struct.pack(">I4s", 8 + len(content), kind) + content


def edited(data, path, edit):
    """A file with the content of the box at this path edited; what contains it changes its size."""
    done, at = b"", 0
    while at < len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        content, skip = data[at + 8 : at + size], HEADS.get(kind, 0)
        if path == (kind,):
            content = edit(content)
        elif path[:1] == (kind,):
            content = content[:skip] + edited(content[skip:], path[1:], edit)
        done += box(kind, content)
        at += size
    return done


def matroska(data, path, more):
    """A Matroska with more at the end of the element at this path; each size has 8 bytes."""
    done, at = b"", 0
    while at < len(data):
        start = at + 9 - data[at].bit_length()
        begin = start + 9 - data[start].bit_length()
        size = int.from_bytes(data[start:begin]) % (1 << 7 * (begin - start))
        kind, content = data[at:start], data[begin : begin + size]
        if path[:1] == (kind,):
            content = matroska(content, path[1:], more) if path[1:] else content + more
        done += kind + (1 << 56 | len(content)).to_bytes(8) + content
        at = begin + size
    return done
