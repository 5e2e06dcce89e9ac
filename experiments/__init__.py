"""Complete runs: training from a configuration into a run directory, evaluation, comparison and reports."""
