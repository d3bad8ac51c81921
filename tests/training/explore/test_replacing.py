"""What a command writes stands in the place of its own files alone."""

import numpy as np
import pytest

from tests.kit.training_runs import draw
from training import cli

WAYS = {
    "directions": ["--seeds=0", "--count=1"],
    "project": ["--steps=1", "--photo=DIR/photos/000.png"],
}


@pytest.mark.slow
@pytest.mark.usefixtures("eagerly")
@pytest.mark.parametrize("command", WAYS)
def test_a_file_that_another_command_wrote_is_not_replaced(models, command, tmp_path, capsys):
    """It may be weeks of training. What the command wrote itself is written anew."""
    draw(tmp_path / "photos", count=1)
    words = [command, f"--model={models['rgb']}", f"--out={tmp_path / 'sheet.png'}"]
    words += [word.replace("DIR", str(tmp_path)) for word in WAYS[command]]
    np.savez(tmp_path / "plain.npz", ws=np.ones(5, np.float32))
    (tmp_path / "model.npz").write_bytes(models["grey"].read_bytes())
    for other in (tmp_path / "model.npz", tmp_path / "plain.npz"):
        before = other.read_bytes()
        assert cli.main([*words, f"--save={other}"]) == 2
        assert f"{other} holds no " in capsys.readouterr().err
        assert other.read_bytes() == before
    for _ in range(2):
        assert cli.main([*words, f"--save={tmp_path / 'own.npz'}"]) == 0
