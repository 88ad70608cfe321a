"""What a user may have to say of image files: how their numbers and their EXIF are meant."""

from typing import Literal

Scaling = Literal["auto", "dtype", "percentile"]
"""What is full brightness in images of several types or ranges; see `Preprocess.infer`."""

Orientation = Literal["upright", "stored"]
"""Whether masks lie on photos as viewers show them, or on their pixels as they are stored."""
