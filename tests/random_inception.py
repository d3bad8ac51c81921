"""Makes Inception weights by code: random, seeded, and as fast to run as real ones."""

import sys
from pathlib import Path
from unittest.mock import patch

import torch
from pytorch_fid import inception as fid
from torch import Tensor, nn


def write_weights(path: Path, seed: int = 0) -> None:
    """Write random weights in pytorch-fid's layout.

    Each BatchNorm is calibrated: without, activations go denormal and run 8 times slower.
    """
    torch.manual_seed(seed)
    with patch.object(fid, "load_state_dict_from_url"), patch.object(nn.Module, "load_state_dict"):
        network = fid.fid_inception_v3()
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight)
        if isinstance(layer, nn.BatchNorm2d):
            layer.momentum = None  # the moving statistics are the plain mean of all batches
            nn.init.normal_(layer.weight, 1.0, 0.1)
            nn.init.normal_(layer.bias, 0.0, 0.1)
    network.train()
    with torch.no_grad():
        network(torch.cat([blurred(2**power) for power in range(2, 9)]))
    torch.save(network.state_dict(), path)


def blurred(side: int) -> Tensor:
    """A picture of noise `side` pixels wide, enlarged: 1 x 3 x 299 x 299 in [-1, 1]."""
    noise = 2 * torch.rand(1, 3, side, side) - 1
    return nn.functional.interpolate(noise, size=(299, 299), mode="bilinear")


if __name__ == "__main__":
    write_weights(Path(sys.argv[1]))
