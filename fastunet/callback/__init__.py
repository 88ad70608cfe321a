"""fastai callbacks, one per concern."""
