"""`python -m training`: train, and all that is made of a generator."""

from atelier import cuda
from atelier.stop import leave
from training import startup
from training.cli import main

if __name__ == "__main__":
    startup.keep_memory()
    cuda.prepare()  # no command has imported TensorFlow yet
    leave(main())
