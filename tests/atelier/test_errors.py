"""What other libraries say of a fault is passed on in whole words, without their advice."""

import pytest

from atelier.errors import MOST_WORDS, whole_words

LAMBDA = """Requested the deserialization of a `Lambda` layer whose `function` is a Python lambda.
This carries a potential risk of arbitrary code execution and thus it is disallowed by default.
If you trust the source of the artifact, pass `safe_mode=False` to the loading function."""
TORCH = "Weights only load failed. In PyTorch 2.6, the default of `weights_only` has changed. Do so"


@pytest.mark.parametrize(
    ("said", "passed_on"),
    [
        (LAMBDA, LAMBDA.splitlines()[0].rstrip(".")),
        (TORCH, "Weights only load failed"),
        (
            "not a ZIP archive. This is no error of ours.",
            "not a ZIP archive. This is no error of ours",
        ),
        ("No file v1.5 here:\n  a.h5", "No file v1.5 here: a.h5"),
        ("", ""),
    ],
)
def test_advice_to_trust_a_file_is_not_passed_on(said, passed_on):
    assert whole_words(ValueError(said)) == passed_on


def test_long_words_end_whole():
    found = whole_words("ten letters " * 50)
    assert found.removesuffix(" ...").split()[-1] in ("ten", "letters")
    assert MOST_WORDS - 12 < len(found) <= MOST_WORDS + 4
