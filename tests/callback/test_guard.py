"""Training stops where a value is not finite, and says why."""

import math
import warnings

import cv2
import numpy as np
import pytest
import tifffile
import torch
from fastai.callback.core import Callback
from fastai.callback.mixup import CutMix, MixUp
from fastai.callback.schedule import ParamScheduler, SchedLin
from fastai.callback.tracker import SaveModelCallback
from fastai.torch_core import set_seed
from torch import nn

from fastunet.callback.guard import Guard
from fastunet.data.dataloaders import ImageMaskDataLoaders
from fastunet.errors import TrainingError
from fastunet.learner import segmentation_learner
from fastunet.models.finite import first_nonfinite

NAN = math.nan


@pytest.fixture
def dls(write_pairs, in_tmp):
    set_seed(0)
    root = write_pairs(10, size=(16, 16))
    return ImageMaskDataLoaders.from_folder(root, size=16, bs=2, device="cpu", progress=False)


@pytest.fixture
def learn(dls):
    return quiet(segmentation_learner(dls, width=2, depth=1, precision="fp32"))


def quiet(learn):
    learn.create_mbar = False
    learn.logger = lambda *_: None
    return learn


class Spoil(Callback):
    """Makes something not finite in one batch of one epoch."""

    order = 20  # after the precision, before the guard

    def __init__(self, what, epoch=1, batch=1, training=True):
        super().__init__()
        self.what, self.when = what, (epoch, batch, training)

    def _now(self, what):
        return what == self.what and (self.epoch, self.iter, self.training) == self.when

    def before_batch(self):
        if self._now("images"):
            self.learn.xb = (self.x * NAN,)
        if self._now("weights"):
            next(self.model.parameters()).data.fill_(math.inf)

    def after_pred(self):
        if self._now("logits"):
            self.learn.pred = self.pred * NAN

    def after_loss(self):
        if self._now("loss"):
            self.learn.loss = self.learn.loss_grad = self.loss_grad * NAN


@pytest.mark.parametrize(
    ("what", "cause"),
    [
        ("images", "the images hold values that are not finite.*The files hold none"),
        ("logits", "the network's output is not finite, at a learning rate of .*lr_find"),
        (
            "weights",
            r"the network's output is not finite, since its weights are not \(.*weight.*lr_find",
        ),
        ("loss", "the loss is not finite, though.*CombinedLoss divides by 0"),
    ],
)
@pytest.mark.parametrize("every", [None, 50])
def test_it_says_where_and_why_and_goes_back_to_the_best_epoch(learn, what, cause, every):
    learn.guard.every = every
    if every and what == "weights":  # seen late, when all is spoiled
        cause = "the network's output is not finite, at a learning rate"
    where = "^Training was stopped: in epoch 1, batch 2 of 4, "
    with pytest.raises(TrainingError, match=where + cause):
        learn.fit(3, cbs=Spoil(what))
    assert first_nonfinite(learn.model.state_dict()) is None
    assert math.isfinite(learn.validate()[0])


def test_the_message_names_the_weights_that_are_left(learn):
    with pytest.raises(TrainingError, match="The weights are those of epoch 0, the best"):
        learn.fit(3, cbs=Spoil("logits"))
    with pytest.raises(TrainingError, match="No earlier epoch was kept"):
        learn.fit(3, cbs=Spoil("logits", epoch=0))


def test_of_a_validation_it_says_so(learn):
    with pytest.raises(TrainingError, match="epoch 0, batch 1 of 1 of the validation"):
        learn.fit(1, cbs=Spoil("logits", 0, 0, training=False))


def test_before_any_step_the_rate_is_not_blamed(learn):
    with pytest.raises(TrainingError, match="No step was taken before, so it is not"):
        learn.fit(1, cbs=Spoil("logits", 0, 0))


def test_the_rate_of_the_batch_and_the_precision_are_named(dls):
    learn = quiet(segmentation_learner(dls, width=2, depth=1, precision="bf16"))
    learn.guard.every = 50
    rising = ParamScheduler({"lr": SchedLin(0.0, 0.8)})
    with pytest.raises(TrainingError, match=r"at a learning rate of 0\.3 in bfloat16"):
        learn.fit(2, cbs=[Spoil("loss", 0, 3), rising])


@pytest.mark.parametrize("rate", [1e10, 1e25])
def test_a_rate_far_too_high_ends_in_the_advice_to_lower_it(learn, rate):
    with pytest.raises(TrainingError, match="Choose a lower learning rate: lr_find"):
        learn.fit_one_cycle(3, rate)


def test_statistics_that_the_batch_itself_has_spoiled_are_not_the_cause(dls):
    class Huge(Callback):
        def before_batch(self):
            self.learn.xb = (self.x.fill_(3e38),)

    learn = quiet(segmentation_learner(dls, width=2, depth=1, precision="fp32"))
    with pytest.raises(TrainingError, match="output is not finite, at a learning rate"):
        learn.fit(1, cbs=Huge())
    assert first_nonfinite(learn.model.state_dict())
    assert first_nonfinite(dict(learn.model.named_parameters())) is None


def test_weights_that_spoil_no_loss_are_found_at_the_end_of_the_epoch(learn):
    class Unused(Callback):
        def after_step(self):
            self.model.register_buffer("unused", torch.tensor([math.inf]))

    with pytest.raises(TrainingError, match=r"the weights are not finite \(unused\)"):
        learn.fit(2, cbs=Unused())


def test_the_file_with_such_pixels_is_named(tmp_path, in_tmp, draw_blobs):
    for part in ("images", "masks"):
        (tmp_path / "data" / part).mkdir(parents=True)
    for i in range(6):
        picture, mask = draw_blobs(np.random.default_rng(i), (16, 16), 2, 1)
        tifffile.imwrite(tmp_path / f"data/images/{i}.tif", picture[..., 0].astype(np.float32))
        cv2.imwrite(str(tmp_path / f"data/masks/{i}.png"), mask * 255)
    set_seed(0)
    dls = ImageMaskDataLoaders.from_folder(
        tmp_path / "data", size=16, bs=2, device="cpu", cache="ram", progress=False
    )
    learn = quiet(segmentation_learner(dls, width=2, depth=1))
    spoiled = dls.pairs["train"][0]
    dls.reader.read(spoiled)[0][0, 0] = NAN  # the decoded pixels, which are kept in memory
    with pytest.raises(TrainingError, match=rf"They are in .*{spoiled.image.name}\. Repair"):
        learn.fit(1)


@pytest.mark.parametrize("rate", [NAN, math.inf, 1e300, -1.0, 0.0])
def test_a_rate_that_is_no_positive_number_is_refused_before_the_first_batch(learn, rate):
    before = [p.clone() for p in learn.model.parameters()]
    for fit in (learn.fit, learn.fit_one_cycle, learn.fit_flat_cos):
        with pytest.raises(TrainingError, match=r"^The learning rate is .*above 0"):
            fit(1, rate)
    with pytest.raises(TrainingError, match=r"^The learning rate is "):
        learn.lr_find(start_lr=rate, show_plot=False)
    assert all(torch.equal(a, b) for a, b in zip(before, learn.model.parameters(), strict=True))


def test_a_warm_up_from_zero_is_no_mistake(learn):
    learn.fit(1, cbs=ParamScheduler({"lr": SchedLin(0.0, 1e-3)}))
    learn.fit_one_cycle(1, slice(1e-4, 1e-3))


def test_lr_find_ends_where_the_loss_is_not_finite(learn):
    before = [p.clone() for p in learn.model.parameters()]

    class Late(Callback):
        def after_loss(self):
            if self.train_iter == 30:
                self.learn.loss = self.learn.loss_grad = self.loss_grad * NAN

    with learn.added_cbs(Late()):
        found = learn.lr_find(num_it=60, show_plot=False, stop_div=False).valley
    assert 0 < found < 2e-3  # the rate of batch 30
    assert len(learn.recorder.losses) == 30
    assert all(torch.equal(a, b) for a, b in zip(before, learn.model.parameters(), strict=True))


def test_lr_find_says_why_it_has_no_suggestion(learn):
    reason = pytest.raises(TrainingError, match="epoch 0, batch 3 of 4, the loss is not finite")
    with reason, learn.added_cbs(Spoil("loss", 0, 2)):
        learn.lr_find(num_it=20, show_plot=False)
    learn.lr_find(num_it=20, show_plot=False)


def test_without_a_fit_nothing_is_stopped(learn):
    next(learn.model.parameters()).data.fill_(NAN)
    assert math.isnan(learn.validate()[0])
    assert learn.get_preds()[0].isnan().any()


def test_float16_steps_that_are_all_skipped_are_no_training(dls):
    class Overflow(Callback):
        def after_backward(self):
            next(self.model.parameters()).grad.fill_(math.inf)

    learn = quiet(segmentation_learner(dls, width=2, depth=1, precision="fp16"))
    with pytest.raises(
        TrainingError, match=r"20 steps in a row were skipped.*bf16.*those of epoch"
    ):
        learn.fit(8, cbs=Overflow())


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_fastais_own_callback_decides_and_goes_back(dls, precision, capsys):
    learn = quiet(segmentation_learner(dls, width=2, depth=1, precision=precision))
    theirs = SaveModelCallback(monitor="valid_loss", fname="theirs")
    learn.fit(2, cbs=theirs)
    kept = math.inf if theirs.best is None else float(theirs.best)
    assert learn.validate()[0] == pytest.approx(kept, rel=1e-3)
    with pytest.raises(TrainingError, match="those of the best epoch before"):
        learn.fit(3, cbs=[theirs, Spoil("logits")])
    assert first_nonfinite(learn.model.state_dict()) is None
    with pytest.raises(TrainingError, match="No earlier epoch was kept"):
        learn.fit(3, cbs=[SaveModelCallback(fname="new"), Spoil("logits", epoch=0)])
    assert not (learn.path / learn.model_dir / "new.pth").exists()


def test_mixup_trains_with_our_losses_and_foreign_ones(dls):
    for loss in (None, nn.CrossEntropyLoss()):
        set_seed(0)
        learn = quiet(segmentation_learner(dls, width=8, depth=2, loss_func=loss))
        own = learn.loss_func
        before = learn.validate()[0]
        learn.fit_one_cycle(6, 1e-2, cbs=MixUp())
        assert learn.loss_func is own
        assert own.reduction == "mean"
        assert learn.validate()[0] < 0.9 * before
        with pytest.raises(TrainingError, match="epoch 0"):
            learn.fit(1, cbs=[MixUp(), Spoil("loss", 0, 1)])
        assert learn.loss_func is own


def test_cutmix_is_refused_by_name(learn):
    own = learn.loss_func
    with pytest.raises(TrainingError, match=r"^CutMix pastes .* MixUp works"):
        learn.fit(1, cbs=CutMix())
    assert learn.loss_func is own
    learn.fit(1)


def test_mixup_needs_two_images(write_pairs, in_tmp):
    dls = ImageMaskDataLoaders.from_folder(write_pairs(4), size=16, bs=1, device="cpu")
    learn = quiet(segmentation_learner(dls, width=2, depth=1))
    with pytest.raises(TrainingError, match="batch size above 1"):
        learn.fit(1, cbs=MixUp())


def test_it_can_be_taken_off(learn):
    learn.remove_cb(Guard)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        learn.fit(2, cbs=Spoil("loss", 0))


@pytest.mark.parametrize("rate", ["nan", "inf", "1e400", "1e30", "0"])
def test_the_command_stops_with_the_reason_and_writes_no_model(run, write_pairs, rate):
    root = write_pairs(8, size=(32, 32))
    code, out, err = run(
        "train", root, "--out", "r", "--lr", rate, "--epochs", "3", "--size", "32", "--width", "4"
    )
    assert code == 2
    assert "rate" in err
    assert "best epoch" not in out + err
    assert not (root.parent / "r" / "bundle.json").exists()
