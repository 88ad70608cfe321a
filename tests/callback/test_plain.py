"""Errors for users reach them as they were written."""

import pytest
from fastai.callback.core import Callback
from fastai.learner import Learner
from fastai.torch_core import set_seed

from fastunet.callback.plain import PlainCallback
from fastunet.data.dataloaders import ImageMaskDataLoaders
from fastunet.errors import TrainingError
from fastunet.losses import CombinedLoss
from fastunet.models.unet import UNet


@pytest.fixture
def learn(write_pairs, in_tmp):
    set_seed(0)
    dls = ImageMaskDataLoaders.from_folder(write_pairs(4), size=16, bs=2, device="cpu")
    return Learner(dls, UNet(3, 1, depth=1, width=2), CombinedLoss())


def failing(base: type[Callback], error: Exception) -> Callback:
    class Failing(base):
        def before_train(self):
            raise error

    return Failing()


def test_an_error_for_users_has_its_own_words_and_no_others(learn):
    with pytest.raises(TrainingError, match=r"^Choose another rate\.$"):
        learn.fit(1, cbs=failing(PlainCallback, TrainingError("Choose another rate.")))


def test_fastai_puts_its_own_words_before_all_others(learn):
    for base, error in ((Callback, TrainingError("x")), (PlainCallback, KeyError("x"))):
        with pytest.raises(type(error), match="Exception occured in `Failing`"):
            learn.fit(1, cbs=failing(base, error))
