"""The notebook face: `from fastunet.all import *` gives fastai.vision's names and fastunet's.

No name of fastai's is replaced; `tests/test_all.py` holds that promise.
"""

from fastai.vision.all import *

import fastunet as _fastunet

globals().update({name: getattr(_fastunet, name) for name in _fastunet._PUBLIC})
samples = _fastunet.samples
