"""Random Inception weights for tests and benchmarks, also as a command: FILE SCENES."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from training.features.untrained import write_inception as write_weights

__all__ = ["write_weights"]

if __name__ == "__main__":
    write_weights(Path(sys.argv[1]), *map(int, sys.argv[2:]))
