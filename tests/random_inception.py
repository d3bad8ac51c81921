"""Makes an Inception weight file by code: random, seeded, and calibrated so that it runs as fast as a real one."""

import sys
from pathlib import Path

import torch
from pytorch_fid import inception as fid
from torch import nn


def write_weights(path: Path, seed: int = 0) -> None:
    """Write random weights in pytorch-fid's layout.

    Each BatchNorm is calibrated on noise: otherwise activations go denormal and run 8 times slower.
    """
    torch.manual_seed(seed)
    network = without_download()
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight)
        if isinstance(layer, nn.BatchNorm2d):
            layer.momentum = None  # the moving statistics are the plain mean over all batches
            nn.init.normal_(layer.weight, 1.0, 0.1)
            nn.init.normal_(layer.bias, 0.0, 0.1)
    coarse = torch.rand(8, 3, 12, 12)
    pictures = nn.functional.interpolate(coarse, size=(299, 299), mode="bicubic").clamp(0, 1)
    network.train()
    with torch.no_grad():
        network(2 * pictures - 1)
    torch.save(network.state_dict(), path)


def without_download() -> nn.Module:
    """pytorch-fid's network as it is before it loads its weights."""
    load = fid.load_state_dict_from_url
    fid.load_state_dict_from_url = lambda *_, **__: None
    patched = nn.Module.load_state_dict
    nn.Module.load_state_dict = lambda *_, **__: None
    try:
        return fid.fid_inception_v3()
    finally:
        fid.load_state_dict_from_url = load
        nn.Module.load_state_dict = patched


if __name__ == "__main__":
    write_weights(Path(sys.argv[1]))
