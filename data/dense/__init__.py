"""Datasets with labels for every pixel: `DenseDataset`, and the sources of its examples."""
