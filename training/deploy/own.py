"""How fast Atelier itself draws, in a process of its own: training.deploy.own MODEL"""

import json
import os
import sys
from pathlib import Path

from training import startup
from training.deploy.standalone import timed


def main() -> None:
    """Print what `standalone` prints, of a model, a count of threads, a batch, and seconds."""
    os.environ |= {"CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "3"}
    startup.load_tensorflow()
    import tensorflow as tf

    from training.deploy.export import PSI, SEEDS
    from training.exchange.opening import open_generator
    from training.run.grids import seeded_labels, seeded_latents
    from training.sampler import Sampler

    model, threads, batch, seconds = sys.argv[1:]
    tf.config.threading.set_intra_op_parallelism_threads(int(threads))
    tf.config.threading.set_inter_op_parallelism_threads(1)
    generator = open_generator(Path(model)).network()
    seeds = [SEEDS[at % len(SEEDS)] for at in range(int(batch))]
    z = seeded_latents(seeds, generator.config.z_dim)
    labels = seeded_labels(seeds, generator.config.labels)
    sampler = Sampler(generator.with_kernels(), len(seeds))
    sampler(z, labels, PSI)
    found = timed(lambda _: {"images": sampler(z, labels, PSI)}, {}, float(seconds))
    print(json.dumps(found))


if __name__ == "__main__":
    main()
