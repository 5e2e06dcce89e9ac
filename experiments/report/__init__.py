"""The parts that report pages are made of, each from the records of runs alone."""
