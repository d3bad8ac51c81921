"""Object Detection models made for tests: they find what they are told to find."""

import numpy as np
import tensorflow as tf

OUTPUTS = ("num_detections", "detection_boxes", "detection_scores", "detection_classes")


def outputs(images, finds, single=False):
    """`finds`: (score, class, [ymin, xmin, ymax, xmax]); scores are times the mean red of 255."""
    count = 1 if single else tf.shape(images)[0]
    red = tf.reduce_mean(tf.cast(images[..., 0], tf.float32), axis=(1, 2)) / 255
    scores, classes, boxes = (np.float32([find[i] for find in finds]) for i in range(3))
    found = {
        "num_detections": tf.fill([count], np.float32(len(finds))),
        "detection_boxes": tf.tile(boxes[None], [count, 1, 1]),
        "detection_scores": scores[None] * red[:count, None],
        "detection_classes": tf.tile(classes[None], [count, 1]),
    }
    return {name: tf.identity(found[name], name=name) for name in OUTPUTS}


def frozen(path, finds, input_name="image_tensor", dtype="uint8", single=False, shape=None):
    """Write a TensorFlow 1 graph."""
    with tf.Graph().as_default() as graph:
        shape = shape or [None, None, None, 3]
        fed = tf.compat.v1.placeholder(dtype, shape, name=input_name)
        outputs(fed, finds, single)
    path.write_bytes(graph.as_graph_def().SerializeToString())
    return path


def saved_model(folder, finds, shape=(None, None, None, 3), drop=()):
    """Write a SavedModel of TensorFlow 2."""
    spec = tf.TensorSpec(shape, tf.uint8)

    @tf.function(input_signature=[spec])
    def detect(input_tensor):
        found = outputs(input_tensor, finds, single=shape[0] == 1)
        return {name: value for name, value in found.items() if name not in drop}

    module = tf.Module()
    module.detect = detect
    tf.saved_model.save(module, str(folder), signatures={"serving_default": detect})
    return folder


def saved_model_of_1(folder, finds):
    """Write a SavedModel of TensorFlow 1, whose input is called `inputs`."""
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        fed = v1.placeholder("uint8", [None, None, None, 3], name="image_tensor")
        found = outputs(fed, finds)
        infos = {name: v1.saved_model.build_tensor_info(value) for name, value in found.items()}
        given = {"inputs": v1.saved_model.build_tensor_info(fed)}
        signature = v1.saved_model.build_signature_def(given, infos, "tensorflow/serving/predict")
        builder = v1.saved_model.Builder(str(folder))
        builder.add_meta_graph_and_variables(session, ["serve"], {"serving_default": signature})
        builder.save()
    return folder
