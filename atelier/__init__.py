"""The ground that detectors, training and pipeline stand on: no Luigi, no TensorFlow, no torch."""
