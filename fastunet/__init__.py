"""fastunet: a folder of images and masks becomes a trained U-Net in a few lines.

Light to import: PyTorch is loaded when a name that needs it is first used. The names are listed in
`__init__.pyi`, where type checkers and editors look too.
`from fastunet.all import *` gives fastai.vision's names and fastunet's.
"""

from importlib.metadata import distributions, version
from importlib.util import find_spec

__version__ = version("fastunet")


def _check_opencv() -> None:
    """Raise `ImportError` where cv2 is missing or an empty folder, which Python imports too.

    opencv-python, opencv-contrib-python and their headless kin write into one folder, so that one
    that is uninstalled takes the files of another with it.
    """
    spec = find_spec("cv2")
    if spec is not None and spec.origin is not None:
        return
    names = {(one.metadata["Name"] or "").lower() for one in distributions()}
    there = sorted(name for name in names if name.startswith("opencv-"))
    found = "its folder cv2 is empty" if spec is not None else "there is no cv2"
    because = f", although {', '.join(there)} is installed" if there else ""
    raise ImportError(
        f"OpenCV cannot be used: {found}{because}. That happens when one of opencv-python, "
        "opencv-contrib-python and opencv-python-headless is uninstalled beside another, since all "
        "of them write into that folder. Install one again: pip install --force-reinstall "
        f"--no-deps {there[0] if there else 'opencv-python-headless'}"
    )


_check_opencv()  # before the first import of another library

import lazy_loader  # noqa: E402

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
