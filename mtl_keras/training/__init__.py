"""How a training step is computed; with `mtl_keras.distribution`, the part of the core that depends on TensorFlow."""
