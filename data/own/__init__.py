"""Datasets that somebody brings along: files and a table, arrays, tf.data pipelines, any TFDS dataset."""
