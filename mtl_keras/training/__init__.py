"""How a training step is computed; with `mtl_keras.distribution`, the part of the core that knows TensorFlow."""
