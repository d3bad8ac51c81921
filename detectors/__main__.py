"""`python -m detectors`: train, export and evaluate a detector of one's own crop."""

from atelier import cuda
from atelier.stop import leave
from detectors.learning.cli import main

if __name__ == "__main__":
    cuda.prepare()  # no command has imported TensorFlow yet
    leave(main())
