"""pytorch-fid's Inception network: pictures in, feature vectors out. Torch only."""

from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Literal
from unittest.mock import patch

import numpy as np
import torch
from numpy.typing import NDArray
from pytorch_fid import inception as fid
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torchvision.models.inception import BasicConv2d

from atelier.errors import reason_in, words_of

DIMS: tuple[int, ...] = tuple(fid.InceptionV3.BLOCK_INDEX_BY_DIM)  # 64, 192, 768, 2048
SIDE = 299  # pixels: what the network sees

# Every batch is filled up to this many, so that a feature does not depend on how the work is cut.
# On a CPU larger ones are no faster, and pad more where little is to do.
BATCH = {"cpu": 4, "cuda": 32}


class Inception:
    """Turns pictures into features as pytorch-fid does, whatever their sizes.

    float32 features are pytorch-fid's own; bfloat16 ones move a score by less than 1 %.
    """

    def __init__(
        self,
        weights: Path | None = None,
        dims: int = 2048,
        dtype: Literal["float32", "bfloat16"] = "float32",
        device: Literal["cpu", "cuda"] = "cpu",
        threads: int = 1,
    ) -> None:
        """Raises what `state` raises. `threads` holds for the whole process."""
        torch.set_num_threads(threads)
        cudnn: Any = torch.backends.cudnn
        cudnn.conv.fp32_precision = "ieee"  # a GPU's default rounds to 10 bits
        self.dims, self.batch, self.device = dims, BATCH[device], torch.device(device)
        self.dtype = getattr(torch, dtype)
        stem, *rest = without_pooling(
            folded(build_inception(weights, dims), has_one_step(device, dtype))
        )
        # The first block always computes in float32: it costs a thirteenth of the time, and it is
        # there that rounding would do most harm.
        self.stem = in_channels_last(stem).to(self.device)
        self.rest = in_channels_last(nn.Sequential(*rest)).to(self.device, self.dtype)

    def __call__(self, pictures: Iterable[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """HWC RGB pictures -> [pictures, dims]. Holds one batch, scaled down, at a time."""
        inputs = map(prepared, pictures)
        features = [np.empty((0, self.dims), np.float32)]
        while batch := list(islice(inputs, self.batch)):
            features.append(self.features(batch))
        return np.concatenate(features)

    @torch.inference_mode()
    def features(self, inputs: Sequence[Tensor]) -> NDArray[np.float32]:
        padding = [torch.zeros_like(inputs[0])] * (self.batch - len(inputs))
        batch = torch.cat([*inputs, *padding]).to(self.device, memory_format=torch.channels_last)
        maps: Tensor = self.rest(self.stem(batch).to(self.dtype))
        pooled = maps.float().mean(dim=(2, 3))
        return pooled[: len(inputs)].cpu().numpy()


def prepared(picture: NDArray[np.uint8]) -> Tensor:
    """One HWC picture as the network sees it: 1 x 3 x 299 x 299 in [-1, 1].

    Bilinear without antialiasing, as pytorch-fid does it. To leave the channels last takes a
    fifth of the time and gives the same bits.
    """
    pixels = torch.from_numpy(np.require(picture, requirements="W"))
    unit = pixels.permute(2, 0, 1)[None].to(torch.float32).div_(255)
    small = nn.functional.interpolate(unit, (SIDE, SIDE), mode="bilinear", align_corners=False)
    return 2 * small - 1


def build_inception(weights: Path | None, dims: int) -> nn.Module:
    """pytorch-fid's network down to the block that has `dims` channels."""
    block = fid.InceptionV3.BLOCK_INDEX_BY_DIM[dims]
    loaded = state(weights)
    try:
        # pytorch-fid can only load what it downloads.
        with patch.object(fid, "load_state_dict_from_url", lambda *_, **__: loaded):
            network: nn.Module = fid.InceptionV3([block], resize_input=False, normalize_input=False)
    except (RuntimeError, TypeError, AttributeError) as error:
        raise not_weights(weights, error) from None
    return network


def state(weights: Path | None) -> Any:
    """The weights in a file, or pytorch-fid's own, downloaded once.

    Raises ConnectionError where they cannot be downloaded, ValueError for a file of anything else.
    """
    if weights is None:
        try:
            return fid.load_state_dict_from_url(fid.FID_WEIGHTS_URL, progress=False)
        except OSError as error:
            raise ConnectionError(
                f"Inception's weights cannot be downloaded ({words_of(error)}): make"
                f" {fid.FID_WEIGHTS_URL} reachable, or name a file that has them: [Embed] weights ="
                " FILE for a dataset, --inception FILE for metrics"
            ) from None
    try:
        return torch.load(weights, map_location="cpu", weights_only=True)
    except OSError:
        raise
    except Exception as error:  # a broken file makes torch raise nearly anything
        raise not_weights(weights, error) from None


def not_weights(weights: Path | None, error: Exception) -> ValueError:
    reason = reason_in(str(error))
    return ValueError(f"{weights} holds no weights of pytorch-fid's Inception: {reason}")


def has_one_step(device: str, dtype: str) -> bool:
    """Whether `Convolution` can be used: oneDNN has no bfloat16 on processors without AVX-512."""
    if device != "cpu" or not torch.backends.mkldnn.is_available():
        return False
    return dtype == "float32" or bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def folded(network: nn.Module, in_one_step: bool) -> nn.Module:
    """Fold each BatchNorm into the convolution before it: the same function, in fewer steps."""
    for block in list(network.eval().modules()):
        for name, layer in block.named_children():
            if isinstance(layer, BasicConv2d):
                convolution = fuse_conv_bn_eval(layer.conv, layer.bn)
                steps = nn.Sequential(convolution, nn.ReLU(inplace=True))
                setattr(block, name, Convolution(convolution) if in_one_step else steps)
    return network


class Convolution(nn.Module):
    """A convolution and its ReLU in one step of oneDNN, as torch's compiler calls it.

    In float32 that takes three quarters of the time: alone on a core, torch would compute 1 x 1
    convolutions without oneDNN.
    """

    def __init__(self, convolution: nn.Conv2d) -> None:
        super().__init__()
        self.weight = convolution.weight
        assert convolution.bias is not None
        self.bias = convolution.bias.detach()  # no parameter: stays float32
        self.how = (convolution.padding, convolution.stride, convolution.dilation, 1)

    def forward(self, maps: Tensor) -> Tensor:
        step: Any = torch.ops.mkldnn._convolution_pointwise
        result: Tensor = step(maps, self.weight, self.bias, *self.how, "relu", [], "")
        return result


def without_pooling(network: Any) -> list[nn.Module]:
    """The blocks in order; the average over the picture is left to us, in float32."""
    blocks = list(network.blocks)
    if isinstance(blocks[-1][-1], nn.AdaptiveAvgPool2d):
        blocks[-1] = blocks[-1][:-1]
    return blocks


def in_channels_last(network: nn.Module) -> nn.Module:
    return network.to(memory_format=torch.channels_last)
