"""Inception with random weights, for where the real ones cannot be had; torch only.

Its figures follow one run on one dataset. They compare with nothing else, and are never FID.
"""

from pathlib import Path
from unittest.mock import patch

import torch
from pytorch_fid import inception as fid
from torch import Tensor, nn


def write_inception(path: Path, seed: int = 0, scenes: int = 16) -> None:
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
            nn.init.normal_(layer.bias, 1.0, 0.1)  # nearer to linear: rounding stays small
    network.train()
    with torch.no_grad():
        network(torch.cat([scene() for _ in range(scenes)]))
    torch.save(network.state_dict(), path)


def scene() -> Tensor:
    """A picture as coarse, fine, bright and flat as photos are: 1 x 3 x 299 x 299 in [-1, 1]."""
    picture = torch.zeros(1, 3, 299, 299)
    for side in (2, 4, 8, 16, 32, 64, 128, 256):
        noise = torch.randn(1, 3, side, side) + torch.randn(1, 1, side, side)
        detail = nn.functional.interpolate(noise, size=(299, 299), mode="bilinear")
        picture += torch.rand(1) * detail / side**0.5
    return picture.clamp(-1, 1)
