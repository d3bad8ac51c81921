"""What a film says of itself."""

from training.run import films


def read_comment(data: bytes) -> str:
    """The comment of a film; empty where there is none."""
    way = films.way_to_list(data)
    if len(way) == len(films.TREE):
        for name, first, end in films.boxes(data, way[-1][0] + 8, way[-1][1]):
            if name == films.COMMENT:
                return data[first + 24 : end].decode()
    return ""
