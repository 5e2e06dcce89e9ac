"""Your own data: files and a table, arrays, tf.data pipelines, any TFDS dataset."""
