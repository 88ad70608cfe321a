"""The report of a training run: one page that a person reads."""
