"""The base of every sentence that a person gets instead of a result.

    Refusal                      exit code 2: something that was given cannot be
      OptionError                  a value of an option; SettingsError, ConfigError, LearningError
      UsageError                   a command line
      CheckpointError              a file of arrays
      UnreadableError              a picture: the reason to drop it
      ...                          what each module refuses stands in that module
      Failure                    exit code 1: nothing is wrong with what was given
        MachineError, OpenRowsError, TrainError, ...

`commands.answered` turns them into one line and an exit code. Anything else is a fault of ours.
`reason_in` finds the words for one in what a library says, `words_of` in what the system says,
`stand_in` for what lies in the place of a file.
"""

import re
from typing import ClassVar

# Of what TensorFlow says: how a line begins that gives no reason, and what stands around one.
TRACE = ("Graph execution error", "Detected at", "Node:", "[[{{", "<stack traces", "Hint:")
NUMBER = r"\[Errno -?\d+\] "  # before what the system says
AROUND = re.compile(
    rf"^\(\d+\) [A-Z_]+:|\{{\{{[^{{}}]*\}}\}}|\[Op:[^][]*\]|\bname:\s*$|\b\d+ root error.*|{NUMBER}"
)
SENTENCE_END = re.compile(r"(?<=[\w)\]`'\"])[.!] +(?=[A-Z(])")
TRUSTING = re.compile(r"\btrust|safe_mode|weights_only|allow_pickle|arbitrary code")
STAND_INS = {  # how a file begins that is none of those that are read, in small letters
    b"version https://git-lfs": "a pointer of Git LFS (`git lfs pull` brings the file)",
    b"<!doctype html": "a web page",
    b"<html": "a web page",
    b"%pdf": "a PDF",
    b"8bps": "a Photoshop file",
    b"\xff\x0a": "JPEG XL",
    b"\0\0\0\x0cjxl ": "JPEG XL",
}
SAID = 200  # characters of a message that may be a whole graph


class Refusal(ValueError):
    """What cannot be: one sentence that names the thing, its value and the way out."""

    code: ClassVar[int] = 2  # of the command that it ends


class Failure(Refusal):
    """What did not come about though it could: the machine's fault, or somebody stopped it."""

    code = 1


def words_of(error: BaseException | str) -> str:
    """What an error says, or its text, without the number that stands before the system's words."""
    return re.sub(NUMBER, "", str(error))


def reason_in(message: str) -> str:
    """The first words of a library's message that say what was wrong: TensorFlow's has many."""
    of_code = False  # the line of a program that follows its place in a trace
    for line in message.splitlines():
        told = of_code and line.startswith(" " * 4)
        of_code = line.strip().startswith("File ")
        if told or of_code or line.strip().startswith(TRACE):
            continue
        if text := " ".join(AROUND.sub("", line.strip()).split()):
            return in_whole_words(text)
    return "it says no more"


def in_whole_words(text: str) -> str:
    """The first sentences of a line: how to load all the same what is refused is not passed on."""
    first, *more = SENTENCE_END.split(text)
    for sentence in more:
        if TRUSTING.search(sentence) or len(first) + len(sentence) > SAID:
            break
        first += f". {sentence}"
    if len(first) <= SAID:
        return first.rstrip(".")
    cut = first[:SAID]
    return f"{cut.rpartition(' ')[0]} ..." if " " in cut else cut


def stand_in(data: bytes) -> str:
    """What lies in the place of a file, as after a failed download, by its first bytes; or ""."""
    head = data[:64].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    return next((words for mark, words in STAND_INS.items() if head.startswith(mark)), "")
