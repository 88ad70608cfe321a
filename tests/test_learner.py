"""`segmentation_learner`: both networks, both tasks, from lr_find to a bundle."""

import json
import math
import time
from dataclasses import replace
from urllib.error import URLError

import cv2
import matplotlib.pyplot as plt
import numpy as np
import pytest
import segmentation_models_pytorch as smp
import tifffile
import torch
from fastai.learner import load_model
from fastai.torch_core import norm_bias_params, set_seed
from fastai.vision.all import (
    MixedPrecision,
    SegmentationDataLoaders,
    SegmentationInterpretation,
    resnet18,
)
from torch import nn

from fastunet.data.dataloaders import ImageMaskDataLoaders
from fastunet.errors import ArchitectureError, TrainingError
from fastunet.inference import Segmenter
from fastunet.learner import segmentation_learner
from fastunet.logits import activate
from fastunet.losses import CombinedLoss, class_weights
from fastunet.metrics import DiceScore
from fastunet.models.unet import UNet
from fastunet.pairs.find import find_pairs

TASKS = {"binary": (0, 255), "multiclass": (0, 1, 2)}


@pytest.fixture(params=TASKS)
def dls(request, write_pairs, in_tmp):
    root = write_pairs(12, TASKS[request.param], size=(50, 70))
    set_seed(0)
    made = ImageMaskDataLoaders.from_folder(root, size=32, bs=4, device="cpu")
    assert made.task == request.param
    return made


@pytest.mark.parametrize(
    ("arch", "options"),
    [
        ("unet", {"width": 8, "depth": 3}),
        ("test_resnet", {"pretrained": False}),
        (resnet18, {"pretrained": False}),
    ],
    ids=["unet", "timm", "fastai"],
)
def test_the_whole_way_through(dls, arch, options):
    learn = segmentation_learner(dls, arch, **options)
    rate = learn.lr_find(num_it=10, show_plot=False).valley
    assert 1e-7 < rate < 10
    learn.fit_one_cycle(2, 3e-3)
    learn.fine_tune(1)

    loss, dice, iou, accuracy, ce, dice_loss = learn.validate()
    assert loss == pytest.approx(ce + dice_loss)  # the terms, logged one by one
    assert learn.recorder.metric_names[-3:-1] == ["ce_loss", "dice_loss"]
    assert all(0 <= score <= 1 for score in (dice, iou, accuracy))

    channels = 1 if dls.task == "binary" else 3
    probs, targets, decoded, losses = learn.get_preds(with_decoded=True, with_loss=True)
    assert probs.shape == (2, channels, 32, 32)
    assert decoded.shape == targets.shape == (2, 32, 32)
    assert losses.shape == (2,)

    photo = dls.pairs["valid"][0].image
    for item in (photo, str(photo), dls.pairs["valid"][0], cv2.imread(str(photo))[..., ::-1]):
        shown, indices, scores = learn.predict(item)
        assert shown.shape == indices.shape == (32, 32)
        assert scores.shape == (channels, 32, 32)

    learn.show_results(max_n=2)
    figure = plt.gcf()
    titles = [axis.get_title() for axis in figure.axes[:3]]
    assert titles[:2] == ["image", "ground truth"]
    assert titles[2].startswith("prediction\nDice 0.")
    assert figure.legends
    plt.close(figure)

    mask = learn.predict_mask(photo)
    assert mask.shape == (50, 70)
    assert mask.dtype == np.uint8
    assert mask.max() < len(dls.codec.classes)
    bundle = learn.save_bundle(dls.path / "bundle")
    again = Segmenter.load(bundle, device="cpu")
    np.testing.assert_array_equal(again.predict(photo), mask)
    assert again.metrics["dice"] == pytest.approx(learn.validate()[1])


@pytest.mark.parametrize("kind", ["16-bit", "13 channels"])
def test_deep_images_train_show_and_predict(tmp_path, in_tmp, draw_blobs, kind):
    for part in ("images", "masks"):
        (tmp_path / "deep" / part).mkdir(parents=True)
    channels = 1 if kind == "16-bit" else 13
    for i in range(8):
        picture, mask = draw_blobs(np.random.default_rng(i), (40, 48), 2, channels)
        deep = picture.astype(np.uint16) * 16 + 900  # 12 bits above an offset, in a 16-bit file
        deep[0, 0] = 65_535  # a hot pixel
        tifffile.imwrite(tmp_path / f"deep/images/{i}.tif", deep.squeeze())
        cv2.imwrite(str(tmp_path / f"deep/masks/{i}.png"), mask * 255)
    set_seed(0)
    dls = ImageMaskDataLoaders.from_folder(tmp_path / "deep", size=32, bs=4, device="cpu")
    assert (dls.preprocess.channels, dls.preprocess.values) == (channels, "float")
    images, _ = dls.one_batch()
    assert images.shape[1] == channels
    assert 0.3 < images.std() < 3  # the hot pixels have not pressed the others together
    learn = segmentation_learner(dls, width=8, depth=3, lr=1e-2)
    with learn.no_bar(), learn.no_logging():
        learn.fit_one_cycle(30)
    dls.show_batch(max_n=2)
    learn.show_results(max_n=2)
    plt.close("all")
    assert learn.validate()[1] > 0.6
    photo = dls.pairs["valid"][0].image
    mask = learn.predict_mask(photo)
    assert mask.shape == (40, 48)
    loaded = Segmenter.load(learn.save_bundle("deep-bundle"), device="cpu")
    np.testing.assert_array_equal(loaded.predict(photo), mask)


def test_patches_train_and_predict_the_whole_image(write_pairs, in_tmp):
    set_seed(0)
    root = write_pairs(8, (0, 1, 2), size=(90, 130))
    dls = ImageMaskDataLoaders.from_folder(root, patch=32, scale=0.5, bs=4, device="cpu")
    learn = segmentation_learner(dls, width=8, depth=3, lr=1e-2)
    with learn.no_bar(), learn.no_logging():
        learn.fit_one_cycle(12)
    dls.show_batch(max_n=2)
    learn.show_results(max_n=2)
    plt.close("all")
    assert learn.validate()[1] > 0.7
    pair = dls.pairs["valid"][0]
    mask = learn.predict_mask(pair.image)
    truth = dls.codec.read(pair.mask)
    assert mask.shape == truth.shape == (90, 130)
    assert (mask == truth).mean() > 0.9
    loaded = Segmenter.load(learn.save_bundle("patches"), device="cpu")
    assert loaded.preprocess == dls.preprocess
    np.testing.assert_array_equal(loaded.predict(pair.image), mask)


def test_it_learns(dls):
    learn = segmentation_learner(dls, width=8, depth=3, lr=1e-2)
    before = learn.validate()[1]
    with learn.no_bar(), learn.no_logging():
        learn.fit_one_cycle(25)
    assert learn.validate()[1] > max(0.85, before)


def test_the_best_epoch_is_kept_not_the_last(dls):
    learn = segmentation_learner(dls, width=4, depth=2)
    learn.fit(2, 50.0)  # ruins the model after its first steps
    scores = [row[2] for row in learn.recorder.values]
    assert learn.validate()[1] == pytest.approx(max(s for s in scores if not math.isnan(s)))


def test_a_bundle_is_valid_json_also_where_a_score_is_undefined(dls):
    def undefined(logits, target):
        return logits.new_tensor(math.nan)

    learn = segmentation_learner(dls, width=4, depth=2, metrics=[DiceScore(), undefined])
    text = (learn.save_bundle("b") / "bundle.json").read_text()
    assert json.loads(text, parse_constant=pytest.fail)["metrics"]["undefined"] is None


def test_saving_the_best_can_be_switched_off(dls):
    learn = segmentation_learner(dls, width=4, depth=2, save_best=False)
    learn.fit(1)
    assert not (dls.path / "models").exists()


def test_nothing_is_written_into_the_data_folder(write_pairs, in_tmp):
    root = write_pairs(6)
    before = sorted(root.rglob("*"))
    dls = ImageMaskDataLoaders.from_folder(root, size=32, bs=2, device="cpu")
    learn = segmentation_learner(dls, width=4, depth=2)
    learn.lr_find(num_it=6, show_plot=False)
    learn.fit_one_cycle(1)
    assert sorted(root.rglob("*")) == before


def test_any_module_trains_and_its_bundle_loads_with_it(dls):
    def build():
        return nn.Sequential(
            nn.Conv2d(3, 8, 5, padding=2), nn.ReLU(), nn.Conv2d(8, dls.codec.n_out, 1)
        )

    learn = segmentation_learner(dls, build())
    learn.fit(1)
    photo = dls.pairs["valid"][0].image
    path = learn.save_bundle(dls.path / "own")
    with pytest.raises(ArchitectureError, match="model="):
        Segmenter.load(path)
    loaded = Segmenter.load(path, model=build(), device="cpu")
    np.testing.assert_array_equal(loaded.predict(photo), learn.predict_mask(photo))


def test_training_for_some_minutes_takes_about_that_long(dls):
    learn = segmentation_learner(dls, width=4, depth=2)
    state = {name: value.clone() for name, value in learn.model.state_dict().items()}
    from fastunet.callback.time_budget import measure

    timing = measure(learn)
    for name, value in learn.model.state_dict().items():
        torch.testing.assert_close(value, state[name])  # measuring has trained nothing
    assert timing.train > 0
    assert timing.valid > 0
    start = time.perf_counter()
    plan = learn.fit_minutes(2 / 60)
    assert time.perf_counter() - start == pytest.approx(2, rel=0.25)  # a machine that others use
    assert plan.seconds <= 2
    assert 1 <= len(learn.recorder.values) <= plan.epochs
    assert len(dls.train) == 2  # whole epochs again


@pytest.mark.parametrize("minutes", [0, -1])
def test_no_time_is_no_training(dls, minutes):
    with pytest.raises(TrainingError, match="no time to train"):
        segmentation_learner(dls, width=4, depth=2).fit_minutes(minutes)


def test_a_pretrained_encoder_starts_frozen_under_its_own_normalisation(dls):
    learn = segmentation_learner(dls, "tf_efficientnet_lite0")
    assert learn.dls.preprocess.mean == learn.dls.preprocess.std == (0.5, 0.5, 0.5)
    assert dls.preprocess.mean != learn.dls.preprocess.mean  # those of the caller stay
    assert learn.dls.pairs is dls.pairs
    assert len(learn.opt.param_lists) == 3
    norms = {id(p) for p in norm_bias_params(learn.model)}
    rest = [p for p in learn.model.encoder.parameters() if id(p) not in norms]
    assert not any(p.requires_grad for p in rest)
    assert all(p.requires_grad for p in learn.model.decoder.parameters())
    before = [p.detach().clone() for p in rest]
    learn.fit_one_cycle(1)
    assert all(torch.equal(a, b) for a, b in zip(before, rest, strict=True))
    photo = dls.pairs["valid"][0].image
    bundle = learn.save_bundle("transfer")
    again = Segmenter.load(bundle, device="cpu")
    np.testing.assert_array_equal(again.predict(photo), learn.predict_mask(photo))
    assert again.preprocess.mean == (0.5, 0.5, 0.5)


def test_the_data_keep_their_own_normalisation_where_the_user_says_so(dls):
    learn = segmentation_learner(dls, "tf_efficientnet_lite0", normalize=False)
    assert learn.dls is dls
    learn = segmentation_learner(dls, "tf_efficientnet_lite0", pretrained=False)
    assert learn.dls is dls  # a random encoder knows no other
    assert all(p.requires_grad for p in learn.model.parameters())


def test_a_network_of_segmentation_models_pytorch_gets_groups_and_a_bundle(dls):
    model = smp.UnetPlusPlus("resnet18", encoder_weights=None, classes=dls.codec.n_out)
    learn = segmentation_learner(dls, model)
    assert learn.dls is dls
    learn.freeze()
    learn.fit(1)
    assert len(learn.opt.param_lists) == 3
    photo = dls.pairs["valid"][0].image
    again = Segmenter.load(learn.save_bundle("smp"), device="cpu")
    np.testing.assert_array_equal(again.predict(photo), learn.predict_mask(photo))


def test_a_network_starts_with_the_frequency_of_the_classes_as_its_bias(dls):
    learn = segmentation_learner(dls, width=8, depth=2)
    counts = dls.reader.class_counts(list(dls.train_ds.items))
    bias = activate(learn.model.head.bias.detach()[None, :, None, None]).flatten().numpy()
    share = counts / counts.sum()
    np.testing.assert_allclose(bias, share[1:] if dls.task == "binary" else share, rtol=1e-4)


def test_class_weights_by_name_are_made_from_the_training_masks(dls):
    loss = CombinedLoss(dice=0, class_weights="inverse")
    segmentation_learner(dls, width=4, depth=2, loss_func=loss)
    counts = dls.reader.class_counts(list(dls.train_ds.items))
    by_hand = CombinedLoss(dice=0, class_weights=class_weights(counts, "inverse").tolist())
    channels = 1 if dls.task == "binary" else 3
    logits, target = torch.randn(2, channels, 8, 8), torch.randint(0, 2, (2, 8, 8))
    torch.testing.assert_close(loss(logits, target), by_hand(logits, target))


def test_the_best_threshold_is_kept_in_the_bundle_and_decides(write_pairs, in_tmp):
    dls = ImageMaskDataLoaders.from_folder(write_pairs(8), size=32, bs=4, device="cpu")
    learn = segmentation_learner(dls, width=4, depth=2)
    learn.fit(1)
    photo = dls.pairs["valid"][0].image
    probability = learn.segmenter().probabilities(photo)[0]
    learn.threshold = float(np.median(probability))
    expected = probability > learn.threshold
    loaded = Segmenter.load(learn.save_bundle("b"), device="cpu")
    assert loaded.threshold == learn.threshold
    np.testing.assert_array_equal(learn.predict_mask(photo), expected)
    np.testing.assert_array_equal(loaded.predict(photo), expected)


def test_a_network_that_is_trained_already_keeps_its_bias(dls):
    model = UNet(3, dls.codec.n_out, depth=2, width=4)
    before = model.head.bias.detach().clone()
    segmentation_learner(dls, model)
    torch.testing.assert_close(model.head.bias, before, rtol=0, atol=0)


def test_deep_supervision_trains_and_predicts(dls):
    learn = segmentation_learner(dls, width=4, depth=3, deep_supervision=True)
    learn.fit_one_cycle(2)
    assert learn.recorder.values[-1][1] > 0
    assert learn.predict_mask(dls.pairs["valid"][0].image).shape == (50, 70)


@pytest.mark.parametrize(
    ("arch", "options"),
    [
        ("unet", {"width": 16, "depth": 3}),
        pytest.param("tf_efficientnet_lite0", {}, marks=pytest.mark.slow),
        pytest.param(resnet18, {"pretrained": False}, marks=pytest.mark.slow),
    ],
    ids=["unet", "timm", "fastai"],
)
def test_four_photos_can_be_learned_by_heart(shared, in_tmp, arch, options):
    """Each network has the capacity, the gradients and the resolution that this takes."""
    pairs = [replace(pair, split="train") for pair in find_pairs(shared("carvana"))[:4]]
    again = [replace(pair, split="valid") for pair in pairs]
    set_seed(0)
    dls = ImageMaskDataLoaders.from_pairs(
        [*pairs * 30, *again], size=64, bs=4, augment="none", device="cpu", progress=False
    )
    learn = segmentation_learner(dls, arch, **options)
    learn.unfreeze()
    with learn.no_bar(), learn.no_logging():
        learn.fit_one_cycle(5, 1e-2)
    as_trained = learn.dls.train.one_batch()  # validation resizes the photos in another way
    assert learn.validate(dl=[as_trained])[1] > 0.99


@pytest.mark.parametrize(
    "weights",
    [
        pytest.param({"ce": 0}, id="Dice", marks=pytest.mark.slow),
        pytest.param({"dice": 0}, id="CE", marks=pytest.mark.slow),
        pytest.param({}, id="both"),
    ],
)
def test_the_loss_and_each_of_its_terms_alone_learn_membranes(shared, in_tmp, weights):
    set_seed(0)
    dls = ImageMaskDataLoaders.from_folder(
        shared("isbi2012"), patch=64, bs=8, device="cpu", progress=False
    )
    learn = segmentation_learner(dls, width=8, depth=3, loss_func=CombinedLoss(**weights))
    with learn.no_bar(), learn.no_logging():
        learn.fit_one_cycle(1, 1e-2)
    learn.validate()
    membrane, cell = learn.metrics[0].confusion.iou().tolist()
    assert membrane > 0.45  # a fifth of the pixels: calling all of them so gives 0.2, none 0
    assert cell > 0.8


def test_weights_that_cannot_be_had_name_the_ways_out(dls, monkeypatch):
    def offline(*_, **__):
        raise URLError("no network")

    monkeypatch.setattr("torch.hub.download_url_to_file", offline)
    monkeypatch.setenv("TORCH_HOME", "empty")
    with pytest.raises(ArchitectureError, match=r"resnet18.*no network.*pretrained=False"):
        segmentation_learner(dls, resnet18)


def test_options_that_nobody_knows_are_named(dls):
    with pytest.raises(ArchitectureError, match=r"widht: no options .*width, norm.*"):
        segmentation_learner(dls, widht=8)
    with pytest.raises(ArchitectureError, match="width: the network is built already"):
        segmentation_learner(dls, nn.Conv2d(3, 1, 1), width=8)


def test_an_unknown_architecture_is_named_with_what_is_near(dls):
    with pytest.raises(ArchitectureError, match=r"'resnet43'.*resnet34"):
        segmentation_learner(dls, "resnet43")
    with pytest.raises(ArchitectureError, match="arch=3"):
        segmentation_learner(dls, 3)


def test_dataloaders_without_a_codec_are_refused(write_pairs):
    root = write_pairs(4, (0, 1))
    theirs = SegmentationDataLoaders.from_label_func(
        root, list((root / "images").iterdir()), lambda f: root / "masks" / f.name, bs=2
    )
    with pytest.raises(TrainingError, match="ImageMaskDataLoaders"):
        segmentation_learner(theirs)


# --- one threshold -------------------------------------------------------------------------------


@pytest.fixture
def binary(write_pairs, in_tmp):
    set_seed(0)
    return ImageMaskDataLoaders.from_folder(write_pairs(8), size=32, bs=4, device="cpu")


def test_one_threshold_decides_in_metrics_predictions_and_bundles(binary):
    learn = segmentation_learner(binary, width=4, depth=2)
    probs, targets = learn.get_preds()
    learn.threshold = float(probs.median())
    expected = (probs[:, 0] > learn.threshold).long()
    assert 0 < expected.float().mean() < 1  # at 0.5 everything is background

    decoded = learn.get_preds(with_decoded=True)[2]
    torch.testing.assert_close(decoded, expected)
    overlap = (expected * targets).sum()
    dice = 2 * overlap / (expected.sum() + targets.sum())
    assert learn.validate()[1] == pytest.approx(float(dice), abs=1e-6)
    pair = binary.pairs["valid"][0]
    shown = learn.predict(pair)[1]
    torch.testing.assert_close(torch.as_tensor(shown).long(), expected[0])
    segmenter = Segmenter.load(learn.save_bundle("with-threshold"), device="cpu")
    np.testing.assert_array_equal(segmenter.predict(pair.image), learn.predict_mask(pair.image))
    assert segmenter.metrics["dice"] == pytest.approx(float(dice), abs=1e-6)


def test_show_results_draws_what_the_threshold_decides(binary, monkeypatch):
    learn = segmentation_learner(binary, width=4, depth=2)
    learn.threshold = 0.0
    learn.show_results(max_n=1)
    figure = plt.gcf()
    labels = {text.get_text() for text in figure.legends[0].get_texts()}
    assert "foreground" in labels
    prediction = figure.axes[2].images[0].get_array()
    image = figure.axes[0].images[0].get_array()
    plt.close(figure)
    assert (prediction != image).any(axis=2).mean() > 0.9  # nearly all is painted


@pytest.mark.parametrize("with_opt", [True, False])
def test_save_and_load_keep_the_threshold(binary, with_opt):
    learn = segmentation_learner(binary, width=4, depth=2)
    learn.create_opt()
    learn.threshold = 0.3125
    path = learn.save("mine", with_opt=with_opt)
    assert not list(path.parent.glob(".*"))  # nothing is left beside it
    other = segmentation_learner(binary, width=4, depth=2)
    other.load("mine", with_opt=with_opt)
    assert other.threshold == 0.3125
    for name, value in learn.model.state_dict().items():
        torch.testing.assert_close(other.model.state_dict()[name], value)
    load_model(path, learn.model, learn.opt, with_opt=with_opt)  # plain fastai reads it as ever


def test_a_file_of_fastai_leaves_the_threshold_alone(binary):
    learn = segmentation_learner(binary, width=4, depth=2)
    (learn.path / "models").mkdir()
    torch.save(learn.model.state_dict(), learn.path / "models" / "plain.pth")
    learn.threshold = 0.25
    learn.load("plain", with_opt=False)
    assert learn.threshold == 0.25


# --- the scores in a bundle are those of its weights ---------------------------------------------


@pytest.mark.parametrize("then", ["show_results", "predict", "get_preds", "validate", "tta"])
def test_a_bundle_holds_the_scores_of_its_weights_whatever_was_called_before(binary, then):
    learn = segmentation_learner(binary, width=4, depth=2, lr=1e-2)
    learn.fit_one_cycle(3)
    if then == "predict":
        learn.predict(binary.pairs["valid"][0])
    elif then == "validate":
        learn.validate(ds_idx=0)
    else:
        getattr(learn, then)()
    plt.close("all")
    bundle = json.loads((learn.save_bundle("scores") / "bundle.json").read_text())
    loss, dice, *_ = learn.validate()
    assert bundle["metrics"]["valid_loss"] == pytest.approx(loss, abs=1e-6)
    assert bundle["metrics"]["dice"] == pytest.approx(dice, abs=1e-6)
    assert bundle["metrics"]["ce_loss"] > 0


def test_a_bundle_of_weights_that_were_changed_holds_their_scores(binary):
    learn = segmentation_learner(binary, width=4, depth=2, lr=1e-2)
    learn.fit_one_cycle(2)
    with torch.no_grad():
        for parameter in learn.model.parameters():
            parameter.zero_()
    bundle = json.loads((learn.save_bundle("zero") / "bundle.json").read_text())
    assert bundle["metrics"]["valid_loss"] == pytest.approx(learn.validate()[0], abs=1e-6)


# --- test-time augmentation ----------------------------------------------------------------------


@pytest.mark.parametrize("arch", ["unet", "test_resnet"])
@pytest.mark.parametrize("n", [2, 4, 8])
def test_tta_averages_views_that_are_turned_back(dls, arch, n):
    options = {"width": 4, "depth": 2} if arch == "unet" else {"pretrained": False}
    learn = segmentation_learner(dls, arch, precision="fp32", **options)
    probs, targets = learn.tta(n=n)
    plain, same = learn.get_preds()
    torch.testing.assert_close(targets, same)
    views = []
    images = learn.dls.valid.one_batch()[0]
    with torch.inference_mode():
        learn.model.eval()
        for quarters, mirror in [(0, 0), (0, 1), (2, 1), (2, 0), (1, 0), (3, 0), (1, 1), (3, 1)][
            :n
        ]:
            view = torch.rot90(images, quarters, (2, 3))
            view = view.flip(3) if mirror else view
            back = activate(learn.model(view.as_subclass(torch.Tensor)))
            back = back.flip(3) if mirror else back
            views.append(torch.rot90(back, -quarters, (2, 3)))
    torch.testing.assert_close(
        probs.as_subclass(torch.Tensor), torch.stack(views).mean(0), atol=1e-5, rtol=1e-4
    )
    assert not torch.allclose(probs, plain)


def test_tta_of_a_trained_network_is_no_worse(binary):
    learn = segmentation_learner(binary, width=8, depth=3, lr=1e-2)
    with learn.no_bar(), learn.no_logging():
        learn.fit_one_cycle(20)
    dice = learn.validate()[1]
    probs, targets = learn.tta(n=8)
    found = (probs[:, 0] > 0.5).long()
    assert 2 * (found * targets).sum() / (found.sum() + targets.sum()) > dice - 0.05


def test_tta_takes_the_views_that_training_shows(write_pairs, in_tmp):
    root = write_pairs(8)
    for preset, views in {"none": 1, "scene": 2, "free": 8}.items():
        dls = ImageMaskDataLoaders.from_folder(root, size=32, bs=4, augment=preset, device="cpu")
        learn = segmentation_learner(dls, width=4, depth=2)
        assert len(learn._turns_of_training()) == views


def test_tta_refuses_what_would_average_views_that_are_not_undone(binary):
    learn = segmentation_learner(binary, width=4, depth=2)
    with pytest.raises(TrainingError, match=r"beta: .*Pass n="):
        learn.tta(beta=0.3)
    with pytest.raises(TrainingError, match="n=3: 1, 2, 4 or 8"):
        learn.tta(n=3)


# --- fastai's words for the number format --------------------------------------------------------


def test_fastai_s_methods_steer_the_precision(binary):
    learn = segmentation_learner(binary, width=4, depth=2)
    formats = {"to_fp16": torch.float16, "to_bf16": torch.bfloat16, "to_fp32": torch.float32}
    for method, dtype in formats.items():
        assert getattr(learn, method)() is learn
        with learn.no_bar(), learn.no_logging():
            learn.fit(1, 1e-3)
        assert learn.auto_precision.dtype == dtype
        assert [cb.name for cb in learn.cbs].count("auto_precision") == 1
        assert not hasattr(learn, "mixed_precision")


def test_fastai_s_callback_steers_it_too(binary):
    learn = segmentation_learner(binary, width=4, depth=2, cbs=MixedPrecision(amp_mode="bf16"))
    assert learn.auto_precision.precision == "bf16"
    assert not hasattr(learn, "mixed_precision")


# --- what fits badly -----------------------------------------------------------------------------


def test_interpretation_shows_the_top_losses_in_our_colours_with_a_legend(dls):
    learn = segmentation_learner(dls, width=4, depth=2)
    found = SegmentationInterpretation.from_learner(learn)
    losses, _ = found.top_losses()
    assert losses.tolist() == sorted(losses.tolist(), reverse=True)
    assert len(losses) == len(dls.valid_ds)
    found.plot_top_losses(2)
    figure = plt.gcf()
    titles = [axis.get_title() for axis in figure.axes]
    assert titles[:2] == ["image", "ground truth"]
    assert titles[2].startswith(f"prediction\nloss {losses[0]:.4f}, Dice 0.")
    assert titles[3:5] == ["", ""]
    assert titles[5].startswith(f"loss {losses[1]:.4f}, Dice 0.")
    labels = {text.get_text() for text in figure.legends[0].get_texts()}
    assert labels <= {*dls.codec.classes, "void"}
    found.show_results([0, 1])
    plt.close("all")
