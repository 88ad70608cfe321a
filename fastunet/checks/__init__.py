"""The checks of a data set: what it holds, and what is wrong with it, before training."""
