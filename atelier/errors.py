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
"""

import re
from typing import ClassVar

SENTENCE_END = re.compile(r"(?<=[\w)\]`'\"])[.!] +(?=[A-Z(])")
TRUSTING = re.compile(r"\btrust|safe_mode|weights_only|allow_pickle|arbitrary code")
MOST_WORDS = 200  # of another library: letters


class Refusal(ValueError):
    """What cannot be: one sentence that names the thing, its value and the way out."""

    code: ClassVar[int] = 2  # of the command that it ends


class Failure(Refusal):
    """What did not come about though it could: the machine's fault, or somebody stopped it."""

    code = 1


def whole_words(error: object) -> str:
    """What another library says of a fault, in one line that ends with a whole word.

    How to load a file all the same that it does not trust is not passed on.
    """
    said = " ".join(str(error).split())
    sentences = SENTENCE_END.split(said)
    kept = sentences[0]
    for more in sentences[1:]:
        if TRUSTING.search(more) or len(kept) + len(more) > MOST_WORDS:
            break
        kept += f". {more}"
    if len(kept) > MOST_WORDS:
        kept = kept[:MOST_WORDS].rpartition(" ")[0] + " ..."
    return kept.rstrip(".")
