"""Network pickles in NVIDIA's two layouts, written without torch and without their packages.

What a pickle names need not exist here: the pickler writes names without looking them up.
"""

import io
import pickle

import numpy as np

from training.exchange import torch_bytes
from training.networks.architecture import DiscriminatorConfig, GeneratorConfig
from training.networks.discriminator import discriminator_table
from training.networks.generator import generator_table

SIDE = {"height": 8, "width": 8, "fmap_base": 16, "fmap_max": 6, "labels": 2, "conv_clamp": 3.0}
G = GeneratorConfig(**SIDE, z_dim=5, w_dim=4, mapping_layers=2)
D = DiscriminatorConfig(**SIDE, mapping_layers=1, mbstd_group=2)
TABLES = {"G": generator_table(G), "D": discriminator_table(D), "G_ema": generator_table(G)}


class Named:
    """A global by its name."""

    def __init__(self, module, name):
        self.pair = module, name

    def __call__(self):
        raise AssertionError("only its name is written")


class Call:
    """`name(*arguments)`, then its state, as a pickle says it."""

    def __init__(self, name, *arguments, state=None):
        self.parts = (Named(*name), arguments, *([] if state is None else [state]))

    def __reduce__(self):
        return self.parts


class Outside:
    """What a persistent id stands for."""

    def __init__(self, known):
        self.known = known


class Pickler(pickle._Pickler):
    """Writes Named as a name, whether or not there is such a thing."""

    dispatch = dict(pickle._Pickler.dispatch)

    def save_named(self, named):
        module, name = named.pair
        if self.proto >= 4:
            self.save(module)
            self.save(name)
            self.write(pickle.STACK_GLOBAL)
        else:
            self.write(pickle.GLOBAL + f"{module}\n{name}\n".encode())
        self.memoize(named)

    def persistent_id(self, value):
        return value.known if isinstance(value, Outside) else None

    dispatch[Named] = save_named


def pickled(value, protocol=4):
    """The bytes of a pickle of `value`."""
    file = io.BytesIO()
    Pickler(file, protocol).dump(value)
    return file.getvalue()


def weights(seed=0):
    """{part: {key: array}} for the pair, drawn by chance."""
    rng = np.random.default_rng(seed)
    return {
        part: {key: rng.normal(size=e.shape).astype(np.float32) for key, e in table.items()}
        for part, table in TABLES.items()
    }


def storage_bytes(array, kind="FloatStorage", key="0"):
    """What torch.save writes of a storage in its older stream."""
    about = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"int": 4}}
    storage = Outside(("storage", Named("torch", kind), key, "cpu", array.size, None))
    head = [torch_bytes.MAGIC, torch_bytes.PROTOCOL, about, storage, [key]]
    numbers = array.size.to_bytes(8, "little") + array.tobytes()
    return b"".join(pickled(each, protocol=2) for each in head) + numbers


def tensor(array, data=None, **given):
    """A tensor of torch's."""
    array = np.asarray(array, np.float32)
    strides = tuple(step // 4 for step in np.empty(array.shape, np.float32).strides)
    stored = Call(("torch.storage", "_load_from_bytes"), data or storage_bytes(array))
    known = {"offset": 0, "shape": array.shape, "strides": strides, **given}
    hooks = Call(("collections", "OrderedDict"))
    name = ("torch._utils", "_rebuild_tensor_v2")
    return Call(name, stored, known["offset"], known["shape"], known["strides"], False, hooks)


def module(class_name, state=(), tensors=(), modules=(), **init):
    """A persistent object of ada-pytorch's; its source is text that nobody may run."""
    parameter = ("torch._utils", "_rebuild_parameter")
    hooks = Call(("collections", "OrderedDict"))
    known = {
        **dict(state),
        "_parameters": {
            n: Call(parameter, tensor(v), True, hooks) for n, v in dict(tensors).items()
        },
        "_buffers": {},
        "_modules": dict(modules),
        "_init_kwargs": init,
    }
    meta = {"type": "class", "version": 6, "module_src": "raise SystemExit('ran')"}
    meta |= {"class_name": class_name, "state": known}
    return Call(("torch_utils.persistence", "_reconstruct_persistent_obj"), meta)


def in_torch(key, value):
    """One tensor of ours as ada-pytorch has it."""
    if key.endswith("noise_const"):
        return value[0, :, :, 0]
    if key.endswith("const"):
        return value[0].transpose(2, 0, 1)
    if key == "b4/fc/weight":
        return (
            value.reshape(4, 4, -1, value.shape[1]).transpose(3, 2, 0, 1).reshape(value.shape[::-1])
        )
    if value.ndim == 4:
        up = key.startswith("synthesis") and "/conv0/" in key
        return (value[::-1, ::-1] if up else value).transpose(3, 2, 0, 1)
    return value.T


STATES = {
    "synthesis": ("SynthesisNetwork", {}, {"channel_base": 32, "channel_max": 6}),
    "mapping": ("MappingNetwork", {"num_layers": 2}, {}),
    "b4.mbstd": ("MinibatchStdLayer", {"group_size": 2, "num_channels": 1}, {}),
}
LAYER = {"conv_clamp": 3, "activation": "lrelu"}


def torch_module(arrays, part, path="", **root):
    """The module at `path` with all that is below it."""
    below = {k.removeprefix(path): v for k, v in arrays.items() if k.startswith(path)}
    names = dict.fromkeys(k.split(".")[0] for k in below if "." in k)
    if path == "b4." and part == "D":
        names["mbstd"] = None
    name = path.rstrip(".")
    children = {child: torch_module(arrays, part, f"{path}{child}.") for child in names}
    tensors = {k: v for k, v in below.items() if "." not in k}
    kind, state, init = STATES.get(name, torch_kind(name, part))
    if not name:
        config = G if part != "D" else D
        state = {"c_dim": 2, "img_resolution": 8, "img_channels": 3}
        state |= ({"z_dim": 5, "w_dim": 4} if config is G else {}) | root
        init = {"channel_base": 32, "channel_max": 6}
        kind = root.get("kind", "Discriminator" if part == "D" else "Generator")
    return module(kind, state, tensors, children, **init)


def torch_kind(name, part):
    """(class, what it says of itself, what it was made with) of an inner module."""
    last = name.split(".")[-1]
    if last in ("conv0", "conv1", "torgb", "fromrgb", "conv"):
        return ("Conv2dLayer" if part == "D" else "SynthesisLayer"), LAYER, {}
    if last == "skip":
        return "Conv2dLayer", {"conv_clamp": None, "activation": "linear"}, {}
    if last[:1] == "b" and last[1:].isdigit():
        return "Block", {"architecture": "resnet" if part == "D" else "skip"}, {}
    return "FullyConnectedLayer", {"bias_gain": 0.01 if last[:2] == "fc" else 1}, {}


def torch_objects(given, **root):
    """{G, D, G_ema} as ada-pytorch pickles them, from {part: {key: array}} of ours."""
    found = {}
    for part, arrays in given.items():
        named = {key.replace("/", "."): in_torch(key, value) for key, value in arrays.items()}
        found[part] = torch_module(named, part, **root)
    return found


def torch_pickle(given, protocol=4, **root):
    """A whole pickle of ada-pytorch's."""
    data = Call(("dnnlib.util", "EasyDict"))
    return pickled({"training_set_kwargs": data, **torch_objects(given, **root)}, protocol)


def array(value, core="numpy._core", shape=None):
    """An array of numpy's, as its pickles have it."""
    value = np.array(value, np.float32, order="C")
    shape = value.shape if shape is None else shape
    empty = (Named("numpy", "ndarray"), (0,), b"b")
    dtype = Call(("numpy", "dtype"), "f4", False, True, state=(3, "<", None, None, None, -1, -1, 0))
    made = (1, shape, dtype, False, value.tobytes())
    return Call((f"{core}.multiarray", "_reconstruct"), *empty, state=made)


def in_tf1(key, value):
    """One tensor of ours as TensorFlow 1 has it."""
    if key.endswith("const"):
        return value.transpose(0, 3, 1, 2)
    if key == "b4/fc/weight":
        return value.reshape(4, 4, -1, value.shape[1]).transpose(2, 0, 1, 3).reshape(value.shape)
    return value - 1 if key.endswith("affine/bias") else value


def tf1_network(function, variables, components=(), core="numpy._core", **kwargs):
    """One Network of the TensorFlow 1 trainers."""
    state = {
        "version": 4,
        "name": function,
        "static_kwargs": kwargs,
        "components": dict(components),
        "build_module_src": "raise SystemExit('ran')",
        "build_func_name": function,
        "variables": [(name, array(value, core)) for name, value in variables.items()],
    }
    return Call(("dnnlib.tflib.network", "Network"), state=state)


def tf1_names(part):
    """{key of ours: name in TensorFlow 1}, written out by hand."""
    if part == "D":
        pairs = {"b8/fromrgb": "8x8/FromRGB", "b8/conv0": "8x8/Conv0", "b8/conv1": "8x8/Conv1_down"}
        pairs |= {"b8/skip": "8x8/Skip", "b4/conv": "4x4/Conv", "b4/fc": "4x4/Dense0"}
        pairs |= {"b4/out": "Output", "mapping/embed": "LabelEmbed", "mapping/fc0": "Mapping0"}
    else:
        pairs = {"synthesis/b4/conv1": "synthesis/4x4/Conv", "synthesis/b4": "synthesis/4x4/Const"}
        pairs |= {"synthesis/b4/torgb": "synthesis/4x4/ToRGB"}
        pairs |= {"synthesis/b8/conv0": "synthesis/8x8/Conv0_up"}
        pairs |= {"synthesis/b8/conv1": "synthesis/8x8/Conv1"}
        pairs |= {
            "synthesis/b8/torgb": "synthesis/8x8/ToRGB",
            "mapping/embed": "mapping/LabelEmbed",
        }
        pairs |= {"mapping/fc0": "mapping/Dense0", "mapping/fc1": "mapping/Dense1"}
    noise = {"b4/conv1": 0, "b8/conv0": 1, "b8/conv1": 2}
    found = {f"synthesis/{layer}/noise_const": f"synthesis/noise{i}" for layer, i in noise.items()}
    found["mapping/w_avg"] = "dlatent_avg"
    for key in TABLES[part]:
        layer, _, last = key.replace("/affine/", "/mod_").rpartition("/")
        if key not in found:
            found[key] = f"{pairs[layer]}/{last}"
    return found


def tf1_pickle(given, protocol=4, core="numpy._core", **kwargs):
    """A whole pickle of TensorFlow 1: (G, D, Gs)."""
    said = {"resolution": 8, "num_channels": 3, "label_size": 2, "fmap_base": 16, "fmap_max": 6}
    said |= {"conv_clamp": 3.0} | kwargs
    networks = []
    for part, arrays in given.items():
        names = tf1_names(part)
        named = {names[key]: in_tf1(key, value) for key, value in arrays.items()}
        if part == "D":
            own = {"mbstd_group_size": 2, "mapping_lrmul": 0.01}
            networks.append(tf1_network("D_main", named, core=core, **(said | own)))
            continue
        said_g = said | {"latent_size": 5, "dlatent_size": 4}
        inner = {}
        for component in ("mapping", "synthesis"):
            start = f"{component}/"
            own = {n.removeprefix(start): v for n, v in named.items() if n.startswith(start)}
            own |= {"lod": np.zeros(())} if component == "synthesis" else {}
            inner[component] = tf1_network(f"G_{component}", own, core=core, **said_g)
        rest = {"dlatent_avg": named["dlatent_avg"]}
        networks.append(tf1_network("G_main", rest, inner, core, **said_g))
    return pickled(tuple(networks), protocol)
