"""The folder of a training run: which files stand in it, and how it is claimed and kept whole."""
