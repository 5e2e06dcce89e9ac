"""The sections of report pages, built only from the records of runs."""
