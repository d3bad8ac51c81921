"""Tables as people save them: CSV in any of its dialects, its lines by the names of their columns.

What is written here is safe to open in a spreadsheet, and is read back as it was.
"""

import codecs
import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from atelier import files
from atelier.errors import Refusal
from atelier.names import in_text

UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
SEPARATORS = (",", ";", "\t")
QUOTED = re.compile(r'[,"\r\n]')
# A spreadsheet takes what begins like this for a formula, and computes it.
FORMULA = re.compile(r"'*[=+\-@\t\r]")


class TableError(Refusal):
    """A table that cannot be read; the message names the file, the line and the way out."""


def text_of(data: bytes) -> str:
    """What a text file says, without its mark: UTF-8, or UTF-16 as Excel and Notepad save it.

    Raises UnicodeDecodeError for anything else.
    """
    if data.startswith(UTF_16):
        return data.decode("utf-16")
    if data[1:2] == b"\0" and data[3:4] in (b"\0", b""):
        return data.decode("utf-16-le")
    return data.decode("utf-8-sig")


def read_table(path: Path, columns: Sequence[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """(line number, column -> text) of each line, whatever the order of the columns.

    What is missing at the end of a line is empty; lines without a word are left out. Raises
    TableError where a column is missing, or a line has more cells than there are columns.
    """
    text = table_text(path)
    separator, spaced = dialect(text, columns)
    lines = csv.reader(
        io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=spaced, strict=True
    )
    header: list[str] = []
    try:
        for cells in lines:
            if not any(cell.strip() for cell in cells) or is_hint(cells):
                continue
            if not header:
                header = checked_header(f"{path} line {lines.line_num}", cells, columns)
                continue
            if any(cell.strip() for cell in cells[len(header) :]):
                raise TableError(
                    f"{path} line {lines.line_num}: {len(cells)} cells under {len(header)} columns;"
                    ' put what holds a comma between quotes: "a, b"'
                )
            plain = map(unguarded, cells + [""] * (len(header) - len(cells)))
            yield lines.line_num, dict(zip(header, plain, strict=False))
    except csv.Error as error:
        raise TableError(
            f"{path} line {lines.line_num}: no CSV table ({error}); mend the quotes there"
        ) from None
    if not header:
        checked_header(f"{path} line 1", [], columns)


def table_text(path: Path) -> str:
    """The text of a table; what is neither UTF-8 nor UTF-16 is read as Windows-1252."""
    data = path.read_bytes()
    try:
        return text_of(data)
    except UnicodeDecodeError:
        pass
    if b"\0" in data:
        raise TableError(f"{path}: no CSV table, but a binary file; save it as CSV text")
    return data.decode("cp1252", "replace")


def dialect(text: str, columns: Sequence[str]) -> tuple[str, bool]:
    """The separator, and whether blanks follow it: what makes most of the columns of line 1."""
    lines = (line for line in text.splitlines() if line.strip(" \t,;") and not is_hint([line]))
    first = next(lines, "")

    def found(separator: str) -> tuple[int, int]:
        cells = first.split(separator)
        return len({column_name(cell) for cell in cells} & set(columns)), len(cells)

    separator = max(SEPARATORS, key=found)
    rest = first.split(separator)[1:]
    return separator, bool(rest) and all(cell.startswith(" ") for cell in rest)


def is_hint(cells: Sequence[str]) -> bool:
    """Whether it is the line by which Excel is told the separator: `sep=;`."""
    return bool(cells) and cells[0].lower().startswith("sep=") and len("".join(cells)) <= 5


def column_name(cell: str) -> str:
    """The name of a column, without what hides around it."""
    return cell.strip().strip('"').strip().lower()


def checked_header(where: str, cells: Sequence[str], columns: Sequence[str]) -> list[str]:
    """The names of the columns; raises TableError where one is missing or there twice."""
    header = [column_name(cell) for cell in cells]
    while header and not header[-1]:
        header.pop()
    if missing := [name for name in columns if name not in header]:
        raise TableError(
            f"{where}: no column {', '.join(missing)}; it has {', '.join(header) or 'nothing'},"
            f" and should have {','.join(columns)}"
        )
    if twice := [name for name in columns if header.count(name) > 1]:
        raise TableError(f"{where}: two columns {twice[0]}; keep one")
    return header


def write_table(path: Path, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A CSV file in UTF-8, written in one go."""
    with files.replacing(path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        for cells in (columns, *rows):
            file.write(",".join(map(cell_text, cells)) + "\n")


def cell_text(cell: object) -> str:
    """A cell as a line holds it; only text can be taken for a formula, not a negative number."""
    return str(cell) if isinstance(cell, int | float) else quoted(guarded(in_text(str(cell))))


def quoted(cell: str) -> str:
    """A cell as a line of commas holds it; the csv module would leave a lone CR bare."""
    return '"' + cell.replace('"', '""') + '"' if QUOTED.search(cell) else cell


def guarded(cell: str) -> str:
    """A cell that no spreadsheet computes: a quote in front makes it text."""
    return f"'{cell}" if FORMULA.match(cell) else cell


def unguarded(cell: str) -> str:
    return cell[1:] if cell.startswith("'") and FORMULA.match(cell) else cell
