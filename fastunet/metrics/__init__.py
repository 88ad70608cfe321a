"""What a prediction scores: counts on the device, pure scores of counts, boundaries, calibration.

Light to import: a module is loaded when one of its names, listed in `__init__.pyi`, is first used.
Only `learner_metrics`, `foreign` and `adapt_metrics` need fastai; `surface_distance` needs SciPy.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
