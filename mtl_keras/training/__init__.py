"""The compiled training step, one file a Keras backend."""
