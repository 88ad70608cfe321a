"""What fastai's lessons teach, on both tasks with void and on all three kinds of networks.

Each row of the tables is a method or a callback that people know; none may fail, and none may
change what a score means.
"""

import io
import math

import cv2
import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from fastai.callback.schedule import minimum, steep, valley
from fastai.vision.all import (
    CSVLogger,
    CutMix,
    EarlyStoppingCallback,
    GradientAccumulation,
    GradientClip,
    Interpretation,
    MixedPrecision,
    MixUp,
    PILImage,
    ReduceLROnPlateau,
    SaveModelCallback,
    SegmentationInterpretation,
    ShowGraphCallback,
    TensorImage,
    TerminateOnNaNCallback,
    get_c,
    resnet18,
    set_seed,
    unet_learner,
)
from PIL import Image

from fastunet.data.dataloaders import ImageMaskDataLoaders
from fastunet.errors import TrainingError
from fastunet.evaluation.evaluate import evaluate
from fastunet.learner import segmentation_learner
from fastunet.metrics import MeanIoU

CLASSES = {"binary": 2, "multiclass": 3}
NETWORKS = {
    "scratch": ("unet", {"width": 4, "depth": 2}),
    "timm": ("test_resnet", {"pretrained": False}),
    "fastai": (resnet18, {"pretrained": False}),
}


@pytest.fixture(scope="module", params=CLASSES)
def dls(request, tmp_path_factory):
    """Pairs whose masks have a void edge (255); the size of the network's input is not theirs."""
    root = tmp_path_factory.mktemp(request.param)
    rng = np.random.default_rng(0)
    for part in ("images", "masks"):
        (root / part).mkdir()
    for i in range(10):
        mask = np.zeros((40, 48), np.uint8)
        for kind in range(1, CLASSES[request.param]):
            x, y = (int(v) for v in rng.integers(8, 40, 2))
            cv2.circle(mask, (x, y), 9, kind, -1)
        image = 60 + 80 * mask[..., None] + rng.normal(0, 10, (40, 48, 3))
        mask[:, :3] = 255
        cv2.imwrite(str(root / f"images/{i}.png"), image.clip(0, 255))
        cv2.imwrite(str(root / f"masks/{i}.png"), mask)
    set_seed(0)
    made = ImageMaskDataLoaders.from_folder(root, size=32, bs=4, device="cpu")
    assert made.task == request.param
    assert made.codec.void == (255,)
    return made


@pytest.fixture(
    params=["scratch", "timm", pytest.param("fastai", marks=pytest.mark.slow)],
)
def learn(request, dls, in_tmp):
    arch, options = NETWORKS[request.param]
    set_seed(0)
    made = segmentation_learner(dls, arch, **options)
    with made.no_bar(), made.no_logging():
        yield made
    plt.close("all")


@pytest.fixture
def small(dls, in_tmp):
    """A scratch network, where the kind of network makes no difference."""
    set_seed(0)
    made = segmentation_learner(dls, width=4, depth=2)
    with made.no_bar(), made.no_logging():
        yield made
    plt.close("all")


def truth_of(dls) -> torch.Tensor:
    return torch.cat([target for _, target in dls.valid]).as_subclass(torch.Tensor)


# --- methods -------------------------------------------------------------------------------------


def test_the_data_say_their_classes(dls):
    assert dls.c == get_c(dls) == len(dls.vocab) == len(dls.codec.classes)
    assert tuple(dls.vocab) == dls.codec.classes


def test_training_and_scores(learn):
    found = learn.lr_find(num_it=8, show_plot=False, suggest_funcs=(minimum, steep, valley))
    assert all(1e-8 < rate < 10 for rate in found)
    learn.fit(1, 1e-3)
    learn.fit_one_cycle(2, slice(1e-4, 1e-3))
    learn.fit_flat_cos(1, 1e-3)
    learn.freeze()
    learn.fine_tune(1, 1e-3)
    learn.unfreeze()
    learn.fit_one_cycle(2, 1e-3, start_epoch=1)
    loss, dice, iou, accuracy, *_ = learn.validate()
    assert math.isfinite(loss)
    assert all(0 <= score <= 1 for score in (dice, iou, accuracy))


def test_predictions_of_the_validation_part(learn):
    probs, targets, decoded, losses = learn.get_preds(with_decoded=True, with_loss=True)
    channels = learn.dls.codec.n_out
    assert probs.shape == (len(targets), channels, 32, 32)
    assert probs.min() >= 0
    assert probs.max() <= 1
    assert decoded.shape == targets.shape
    assert int(decoded.max()) < learn.dls.c
    assert losses.shape == (len(targets),)
    assert torch.isfinite(losses).all()
    averaged, _ = learn.tta()
    assert averaged.shape == probs.shape


def forms_of(path) -> dict:
    """One picture in every form in which people hold one."""
    rgb = cv2.imread(str(path))[..., ::-1].copy()
    tensor = torch.from_numpy(rgb).permute(2, 0, 1)
    return {
        "path": path,
        "text": str(path),
        "array": rgb,
        "PIL": Image.open(path),
        "PILImage": PILImage.create(path),
        "tensor": tensor,
        "TensorImage": TensorImage(tensor.float() / 255),
        "bytes": path.read_bytes(),
    }


def test_predict_takes_a_picture_in_any_form(learn):
    pair = learn.dls.pairs["valid"][0]
    forms = forms_of(pair.image)
    _, expected, expected_probs = learn.predict(pair)
    for form, picture in forms.items():
        _, indices, probs = learn.predict(picture)
        torch.testing.assert_close(torch.as_tensor(indices), torch.as_tensor(expected), msg=form)
        torch.testing.assert_close(probs, expected_probs, atol=2e-2, rtol=0, msg=form)


def test_test_dl_takes_pictures_in_any_form(small):
    pair = small.dls.pairs["valid"][0]
    pictures = list(forms_of(pair.image).values())
    probs, _ = small.get_preds(dl=small.dls.test_dl(pictures))
    for each in probs[1:]:
        torch.testing.assert_close(each, probs[0], atol=2e-2, rtol=0)
    labelled = small.dls.test_dl(small.dls.pairs["valid"], with_labels=True)
    assert small.get_preds(dl=labelled)[1].shape[0] == len(small.dls.pairs["valid"])


def test_pictures(learn):
    learn.dls.show_batch(max_n=4)
    learn.show_results(max_n=2)
    for kind in (Interpretation, SegmentationInterpretation):
        found = kind.from_learner(learn)
        found.plot_top_losses(2)
        assert plt.gcf().legends
        found.show_results([0])
    learn.fit_one_cycle(2, 1e-3)
    learn.recorder.plot_loss()
    learn.recorder.plot_sched()
    assert "Total params" in str(learn.summary())


def test_saved_weights_come_back(learn):
    learn.fit(1, 1e-3)
    before = learn.get_preds()[0]
    learn.save("kept")
    with torch.no_grad():
        next(learn.model.parameters()).add_(1)
    learn.load("kept")
    torch.testing.assert_close(learn.get_preds()[0], before)


def test_precisions(small):
    for method in ("to_fp16", "to_bf16", "to_fp32"):
        getattr(small, method)().fit(1, 1e-3)
        assert math.isfinite(small.validate()[0])


# --- callbacks -----------------------------------------------------------------------------------

CALLBACKS = {
    "SaveModelCallback": lambda: SaveModelCallback(monitor="valid_loss"),
    "SaveModelCallback of a metric": lambda: SaveModelCallback(monitor="dice", fname="mine"),
    "SaveModelCallback each epoch": lambda: SaveModelCallback(every_epoch=True, with_opt=True),
    "EarlyStoppingCallback": lambda: EarlyStoppingCallback(monitor="dice", patience=1),
    "ReduceLROnPlateau": lambda: ReduceLROnPlateau(patience=1),
    "CSVLogger": CSVLogger,
    "GradientAccumulation": lambda: GradientAccumulation(8),
    "GradientClip": lambda: GradientClip(0.5),
    "TerminateOnNaNCallback": TerminateOnNaNCallback,
    "MixedPrecision": MixedPrecision,
    "MixUp": MixUp,
}


@pytest.mark.parametrize("callback", CALLBACKS.values(), ids=CALLBACKS)
def test_a_callback_of_fastai_works(small, callback):
    small.fit_one_cycle(2, 1e-3, cbs=callback())
    assert len(small.recorder.values) >= 1
    assert math.isfinite(small.validate()[0])
    assert small.loss_func.reduction == "mean"


def test_a_save_model_callback_of_the_users_decides(small):
    keeper = SaveModelCallback(monitor="valid_loss")
    small.fit(3, 1e-2, cbs=keeper)
    losses = [row[1] for row in small.recorder.values]
    assert small.validate()[0] == pytest.approx(min(losses), abs=1e-5)
    assert not (small.path / small.model_dir / "best.pth").exists()


def test_a_graph_is_drawn_while_training(dls, in_tmp):
    learn = segmentation_learner(dls, width=4, depth=2)
    learn.fit(2, 1e-3, cbs=ShowGraphCallback())  # needs the progress bar, as in fastai
    plt.close("all")


def test_cut_mix_is_refused_by_name(small):
    with pytest.raises(TrainingError, match=r"CutMix.*MixUp"):
        small.fit(1, 1e-3, cbs=CutMix())


# --- fastai's own learner ------------------------------------------------------------------------


def test_unet_learner_of_fastai_trains_and_is_evaluated(dls, in_tmp):
    learn = unet_learner(dls, resnet18, pretrained=False, metrics=MeanIoU())
    with learn.no_bar(), learn.no_logging():
        learn.fit_one_cycle(1, 1e-3)
        assert math.isfinite(learn.validate()[0])
        learn.show_results(max_n=1)
    plt.close("all")
    scores = evaluate(learn, dls, progress=False)
    assert scores.images == len(dls.pairs["valid"])
    assert 0 <= scores.mean_iou <= 1


def test_a_picture_in_memory_is_predicted_as_its_file(small):
    file = small.dls.pairs["valid"][0].image
    buffer = io.BytesIO()
    Image.open(file).save(buffer, format="PNG")
    np.testing.assert_array_equal(small.predict_mask(buffer.getvalue()), small.predict_mask(file))


def test_scores_leave_void_out(small):
    """Whatever a network says in void changes no score."""
    small.fit(1, 1e-3)
    before = small.validate()
    target = truth_of(small.dls)
    assert (target == 255).any()
    confusion = small.metrics[0].confusion.counts
    assert int(confusion.sum()) == int((target != 255).sum())
    assert before[1] == pytest.approx(small.metrics[0].value)
