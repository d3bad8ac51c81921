"""Tables as people save them: a CSV file, its lines by the names of their columns."""

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

from atelier.errors import Refusal


class TableError(Refusal):
    """A table that cannot be read; the message names the file, the line and the way out."""


def read_table(path: Path, columns: Sequence[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """(line number, column -> text) of each line, whatever the order of the columns.

    What is missing at the end of a line is empty. Raises TableError where a column is missing.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            lines = csv.DictReader(file, restval="")
            header = list(lines.fieldnames or ())
            if missing := [name for name in columns if name not in header]:
                raise TableError(
                    f"{path} line 1: no column {', '.join(missing)}; it has"
                    f" {', '.join(header) or 'nothing'}, and should have {','.join(columns)}"
                )
            for line in lines:
                yield lines.line_num, line
    except (csv.Error, UnicodeDecodeError) as error:
        raise TableError(f"{path}: no CSV table ({error}); save it as UTF-8 text") from None
