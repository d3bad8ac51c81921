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

from typing import ClassVar


class Refusal(ValueError):
    """What cannot be: one sentence that names the thing, its value and the way out."""

    code: ClassVar[int] = 2  # of the command that it ends


class Failure(Refusal):
    """What did not come about though it could: the machine's fault, or somebody stopped it."""

    code = 1
