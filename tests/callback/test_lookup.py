"""A callback is found by its class."""

from fastai.callback.core import TrainEvalCallback
from fastai.callback.schedule import LRFinder
from fastai.callback.tracker import SaveModelCallback

from fastunet.callback.best_model import KeepBest, SaveBestModel
from fastunet.callback.lookup import find_callback
from fastunet.data.dataloaders import ImageMaskDataLoaders
from fastunet.learner import segmentation_learner


def test_the_first_of_a_class_or_of_one_that_derives_from_it_is_found(write_pairs, in_tmp):
    dls = ImageMaskDataLoaders.from_folder(write_pairs(4), size=16, bs=2, device="cpu")
    learn = segmentation_learner(dls, width=2, depth=1)
    assert isinstance(find_callback(learn, TrainEvalCallback), TrainEvalCallback)
    for kind in (KeepBest, SaveBestModel, SaveModelCallback):
        assert find_callback(learn, kind) is learn.keep_best
    assert find_callback(learn, LRFinder) is None
