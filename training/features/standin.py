"""A classifier of the dataset's own labels, for where Inception cannot be had; torch only.

Its figures follow one run on one dataset. They compare with nothing else, and are never FID.
"""

import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from atelier import files

DIMS = 128  # features of the classifier
SIDES = (32, 64)  # pixels: what the classifier sees, by the size of the pictures
VIEWS, EPOCHS = 30_000, 30  # pictures seen while learning, and how often each one, at most
BATCH = 64
RATE = 2e-3


class Classifier:
    """A small convolutional network that learnt a dataset's own labels.

    Its features are those before the last layer, scaled so that their mean square over real images
    is 1; `classes` are its guesses for the last call.
    """

    dims = DIMS

    def __init__(self, path: Path, device: str) -> None:
        """Raises ValueError for a file that is no classifier of ours."""
        try:
            saved = torch.load(path, map_location="cpu", weights_only=True)
            self.side, count = int(saved["side"]), int(saved["classes"])
            self.scale = float(saved["scale"])
            self.body, self.head = network(count)
            nn.Sequential(self.body, self.head).load_state_dict(saved["state"])
        except OSError:
            raise
        except Exception:  # a broken file makes torch raise nearly anything
            raise ValueError(
                f"{path} is no whole classifier: delete it, and it is made again"
            ) from None
        self.device = torch.device(device)
        self.body.eval().to(self.device)
        self.head.eval().to(self.device)
        self.classes: list[int] = []

    @torch.inference_mode()
    def __call__(self, pictures: Iterable[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """HWC RGB pictures -> [pictures, DIMS]."""
        inputs = torch.cat([shrink_pictures(picture, self.side) for picture in pictures])
        features = self.body(centred(inputs).to(self.device))
        self.classes = self.head(features).argmax(dim=1).tolist()
        found: NDArray[np.float32] = (features * self.scale).cpu().numpy()
        return found


def network(classes: int) -> tuple[nn.Sequential, nn.Sequential]:
    """(pictures -> features, features -> one score per class)."""
    layers: list[nn.Module] = []
    for inputs, outputs, stride in ((3, 32, 2), (32, 32, 1), (32, 64, 2), (64, 64, 1)):
        convolution = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        layers += [convolution, nn.BatchNorm2d(outputs), nn.ReLU()]
    layers += [nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(64 * 16, DIMS), nn.ReLU()]
    return nn.Sequential(*layers), nn.Sequential(nn.Linear(DIMS, classes))


def shrink_pictures(picture: NDArray[np.uint8], side: int) -> Tensor:
    """One HWC picture, averaged down (or enlarged) to 1 x 3 x side x side, uint8."""
    pixels = torch.from_numpy(np.require(picture, requirements="W")).permute(2, 0, 1)[None]
    if pixels.shape[2:] == (side, side):
        return pixels
    small = nn.functional.interpolate(
        pixels.float(), (side, side), mode="bilinear", align_corners=False, antialias=True
    )
    return small.round().clamp(0, 255).to(torch.uint8)


def centred(pixels: Tensor) -> Tensor:
    """uint8 -> float32 in [-1, 1]."""
    return pixels.float() / 127.5 - 1


class School:
    """Takes pictures with their classes, shrunk at once, and teaches a classifier with them."""

    def __init__(self, size: Sequence[int], classes: int, seed: int = 0) -> None:
        """`size` is (height, width) of the pictures."""
        self.side = SIDES[max(size) > SIDES[0]]
        self.classes, self.seed = classes, seed
        self.pixels: list[Tensor] = []
        self.labels: list[int] = []

    def add(self, pictures: Iterable[NDArray[np.uint8]], labels: Iterable[int]) -> None:
        self.pixels += [shrink_pictures(picture, self.side) for picture in pictures]
        self.labels += labels

    def teach(self, path: Path, device: str) -> dict[str, Any]:
        """Learn from nine tenths, test on the last, write the weights; gives what is known of it.

        The same is written beside the weights as JSON. Both appear whole.
        """
        began = time.perf_counter()
        torch.manual_seed(self.seed)
        order = torch.randperm(len(self.labels))
        pixels, labels = torch.cat(self.pixels)[order], torch.tensor(self.labels)[order]
        held = max(len(labels) // 10, 1)
        body, head = network(self.classes)
        whole = nn.Sequential(body, head).to(device)
        views = taught(whole, pixels[held:], labels[held:], device)
        right, scale = examined(body.eval(), head, pixels[:held], labels[:held], device)
        about = {
            "held_out_accuracy": right,
            "held_out": held,
            "learnt_from": len(labels) - held,
            "views": views,
            "classes": self.classes,
            "side": self.side,
            "seconds": round(time.perf_counter() - began, 1),
        }
        saved = {"side": self.side, "classes": self.classes, "scale": scale}
        files.write_json(path.with_suffix(".json"), about)
        with files.replacing(path) as partial:
            torch.save({**saved, "state": whole.cpu().state_dict()}, partial)
        return about


def taught(whole: nn.Module, pixels: Tensor, labels: Tensor, device: str) -> int:
    """Adam on the cross entropy, the rate falling to 0; gives how many pictures were seen."""
    epochs = min(EPOCHS, max(VIEWS // len(labels), 1))
    steps = epochs * -(-len(labels) // BATCH)
    adam = torch.optim.Adam(whole.parameters(), RATE)
    falling = torch.optim.lr_scheduler.LambdaLR(adam, lambda step: 1 - step / steps)
    for _ in range(epochs):
        for chosen in torch.randperm(len(labels)).split(BATCH):
            if len(chosen) < 2:  # BatchNorm needs two
                continue
            scores = whole(centred(pixels[chosen]).to(device))
            loss = nn.functional.cross_entropy(scores, labels[chosen].to(device))
            adam.zero_grad()
            loss.backward()
            adam.step()
            falling.step()
    return epochs * len(labels)


@torch.inference_mode()
def examined(
    body: nn.Module, head: nn.Module, pixels: Tensor, labels: Tensor, device: str
) -> tuple[float, float]:
    """The share of pictures whose class is guessed, and 1 / the root mean square of features."""
    features = torch.cat([body(centred(part).to(device)) for part in pixels.split(BATCH)])
    right = (head(features).argmax(dim=1).cpu() == labels).float().mean()
    return float(right), 1 / max(float(features.square().mean().sqrt()), 1e-12)
