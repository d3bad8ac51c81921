"""Which words of a library's message a person gets to read."""

import time

import pytest

from atelier.errors import SAID, reason_in, stand_in

GAVE_UP = """Graph execution error:

Detected at node Sign defined at (most recent call last):
  File "/some/where.py", line 26, in <module>
    loss = f(x)

'cuLaunchKernel(function)' failed with 'CUDA_ERROR_INVALID_HANDLE'
\t [[{{node Sign}}]] [Op:__inference_function_30809]"""
SEVERAL = """Graph execution error:

2 root error(s) found.
  (0) INTERNAL:  no kernel image is available
\t [[{{node Sign}}]]"""
EAGER = "{{function_node __wrapped__Conv2D_device_/job:here/device:GPU:0}} no algorithm worked!"
LAMBDA = "Requested the deserialization of a `Lambda` layer"
TORCH = "Weights only load failed"
REASONS = {
    GAVE_UP: "'cuLaunchKernel(function)' failed with 'CUDA_ERROR_INVALID_HANDLE'",
    SEVERAL: "no kernel image is available",
    f"{EAGER} [Op:Conv2D] name: ": "no algorithm worked!",
    "Graph execution error:\n\t [[{{node Sign}}]]": "it says no more",
    "": "it says no more",
    "truncated record at 58 [Op:IteratorGetNext] name: ": "truncated record at 58",
    "two\nlines": "two",
    "<urlopen error [Errno -2] Name not known>": "<urlopen error Name not known>",
    "x" * 999: "x" * SAID,
    "ten letters " * 50: "ten letters " * 16 + "ten ...",
    "not a ZIP archive. This is no error.": "not a ZIP archive. This is no error",
    f"{LAMBDA}. If you trust the source of the file, pass safe_mode=False.": LAMBDA,
    f"{TORCH}. In PyTorch 2.6, the default of `weights_only` has changed. Do so": TORCH,
}


@pytest.mark.parametrize("message", REASONS)
def test_the_reason_is_found_in_a_message(message):
    assert reason_in(message) == REASONS[message]


@pytest.mark.parametrize("part", ["{{", "[Op:", "1", ". A", "(1) A_", "name: ", " "])
def test_a_message_may_be_long(part):
    """As of names in a file that somebody else made."""
    start = time.process_time()
    assert len(reason_in(part * 100_000 + "x")) <= SAID + len(" ...")
    assert time.process_time() - start < 1


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n", "Git LFS"),
        (b"\xef\xbb\xbf\n<!DOCTYPE html><html>", "a web page"),
        (b"<HTML><body>" + b"x" * 1000, "a web page"),
        (b"\0\0\0\x0cJXL \r\n", "JPEG XL"),
        (b"", ""),
        (b"version", ""),
        (b"<svg>", ""),
    ],
)
def test_what_a_failed_download_leaves_is_named(data, said):
    assert (said in stand_in(data)) if said else stand_in(data) == ""
