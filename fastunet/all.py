"""The notebook face: `from fastunet.all import *` gives fastai.vision's names and fastunet's.

No name of fastai's is replaced; `tests/test_all.py` holds that promise.
"""

from fastai.vision.all import *

from fastunet import *
