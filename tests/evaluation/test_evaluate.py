"""What a model scores at the images' own size."""

import json
import shutil
import warnings
from dataclasses import replace
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch

from fastunet.data.reader import read_pair
from fastunet.errors import EvaluationError, SplitError
from fastunet.evaluation.evaluate import best_threshold, evaluate
from fastunet.inference import Segmenter
from fastunet.inference.bundle import Bundle
from fastunet.labels import VOID
from fastunet.masks.codec import MaskCodec
from fastunet.models.build import describe
from fastunet.models.unet import UNet
from fastunet.pairs.find import find_pairs
from fastunet.pairs.split import save_split, split_pairs
from fastunet.preprocess import Preprocess

BINARY = MaskCodec(("off", "on"), (0, 255))


def segmenter_for(codec, channels=3):
    torch.manual_seed(0)
    return Segmenter(UNet(channels, codec.n_out, 2, 4), codec, Preprocess((32, 32), channels))


class Brightness(torch.nn.Module):
    """The brighter, the more probably foreground; nothing to learn."""

    def __init__(self):
        super().__init__()
        self.gain = torch.nn.Parameter(torch.tensor(4.0))

    def forward(self, x):
        return (x[:, :1] - 0.9) * self.gain


def brightness(size):
    preprocess = Preprocess(size, 3, mean=(0.0,) * 3, std=(1.0,) * 3)
    return Segmenter(Brightness(), BINARY, preprocess, precision="fp32")


@pytest.mark.parametrize("values", [(0, 255), (0, 1, 2, 9)])
def test_the_scores_are_those_of_the_masks_a_user_would_get(write_pairs, tmp_path, values):
    root = write_pairs(5, values, size=(45, 61))
    void = 9 if 9 in values else None
    codec = MaskCodec.infer([pair.mask for pair in find_pairs(root)], void=void)
    segmenter = segmenter_for(codec)
    result = evaluate(segmenter, root, progress=False)

    # the masks as files, counted with numpy alone
    n = len(codec.classes)
    hits, misses, inventions = np.zeros(n), np.zeros(n), np.zeros(n)
    for file in sorted((root / "images").iterdir()):
        cv2.imwrite(str(tmp_path / file.name), segmenter.predict(file))
        predicted = cv2.imread(str(tmp_path / file.name), cv2.IMREAD_UNCHANGED)
        stored = cv2.imread(str(root / "masks" / file.name), cv2.IMREAD_UNCHANGED)
        for index in range(n):
            true = (stored == values[index]) & (stored != 9)
            ours = (predicted == index) & (stored != 9)
            hits[index] += np.count_nonzero(true & ours)
            misses[index] += np.count_nonzero(true & ~ours)
            inventions[index] += np.count_nonzero(ours & ~true)
    iou = hits / (hits + misses + inventions)
    assert [row.iou for row in result.per_class] == iou.tolist()
    dice = 2 * hits / (2 * hits + misses + inventions)
    assert result.dice == pytest.approx(dice[1] if void is None else dice.mean(), abs=1e-12)
    assert [row.pixels for row in result.per_class] == (hits + misses).tolist()
    assert (result.split, result.images) == ("all", 5)
    assert result.names == tuple(f"{i:02d}.png" for i in range(5))


def test_a_trained_network_scores_on_real_pictures_as_numpy_counts(shared, tmp_path):
    pairs = find_pairs(shared("camvid"))[:4]
    codec = MaskCodec.infer([pair.mask for pair in pairs], void=11)
    segmenter = segmenter_for(codec)
    optimizer = torch.optim.Adam(segmenter.model.parameters(), 0.02)
    images, truths = zip(*(read_pair(pair, codec) for pair in pairs), strict=True)
    small = torch.stack([torch.from_numpy(segmenter.preprocess.resize(image)) for image in images])
    masks = [segmenter.preprocess.resize_mask(truth, (32, 32)) for truth in truths]
    target = torch.stack([torch.from_numpy(mask) for mask in masks])
    for _ in range(20):
        batch = segmenter.preprocess.normalise(
            segmenter.preprocess.scale_values(small.permute(0, 3, 1, 2))
        )
        loss = torch.nn.functional.cross_entropy(
            segmenter.model(batch), target.long(), ignore_index=VOID
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    bundle = Bundle(
        describe(segmenter.model), segmenter.model.state_dict(), codec, segmenter.preprocess
    ).save(tmp_path)
    result = evaluate(bundle, pairs, progress=False)
    loaded = Segmenter.load(bundle)
    predicted = np.concatenate([loaded.predict(pair.image).ravel() for pair in pairs])
    truth = np.concatenate([truth.ravel() for truth in truths])
    for index, row in enumerate(result.per_class):
        ours, true = (predicted == index) & (truth != VOID), truth == index
        union = np.count_nonzero(ours | true)
        expected = np.count_nonzero(ours & true) / union if union else np.nan
        assert row.iou == pytest.approx(expected, abs=0, nan_ok=True)
    assert result.mean_iou > 0.05  # chance is about 0.02: it has learned something


def test_masks_of_another_encoding_are_not_scored_in_silence(write_pairs):
    model = segmenter_for(MaskCodec(("off", "on"), (0, 1), void=(255,)))
    message = r"None of the 3 masks holds any class but off; .* takes for void \(255\)"
    with pytest.warns(UserWarning, match=message):
        evaluate(model, write_pairs(3), progress=False)  # 0 and 255


@pytest.mark.parametrize("values", [(0, 255), (0, 1, 2)])
def test_a_part_at_a_time_adds_up_to_the_whole(write_pairs, values):
    pairs = find_pairs(write_pairs(6, values))
    segmenter = segmenter_for(MaskCodec.infer([pair.mask for pair in pairs]))
    whole = evaluate(segmenter, pairs, progress=False)
    parts = [evaluate(segmenter, pairs[i : i + 2], progress=False) for i in (0, 2, 4)]
    np.testing.assert_array_equal(sum(part.confusion for part in parts), whole.confusion)
    outcomes = np.concatenate([part.outcomes for part in parts], axis=1)
    np.testing.assert_array_equal(outcomes, whole.outcomes)


def test_a_model_is_a_bundle_a_segmenter_or_a_learner(write_pairs, tmp_path):
    pairs = find_pairs(write_pairs(3))
    segmenter = segmenter_for(BINARY)
    weights = segmenter.model.state_dict()
    bundle = Bundle(
        describe(segmenter.model), weights, BINARY, segmenter.preprocess, threshold=0.25
    )
    folder = bundle.save(tmp_path / "b")
    segmenter.threshold = 0.25
    learner = SimpleNamespace(segmenter=lambda: segmenter)
    dls = SimpleNamespace(pairs={"valid": [replace(pair, split="valid") for pair in pairs]})
    said = [
        evaluate(model, data, "valid", progress=False).to_dict()
        for model in (segmenter, folder, str(folder), learner)
        for data in (list(pairs), dls)
    ]
    assert all(one == said[0] for one in said)
    assert said[0]["threshold"] == 0.25
    with pytest.raises(EvaluationError, match="dict is no model"):
        evaluate({}, pairs)
    with pytest.raises(TypeError, match="list holds no pairs"):
        evaluate(segmenter, ["a.png"])


def test_the_part_is_test_or_else_valid_or_what_is_asked_for(write_pairs, tmp_path):
    for part in ("train", "val", "test"):
        write_pairs(2, folder=f"d/{part}")
    segmenter = segmenter_for(BINARY)

    def part(data, split=None):
        result = evaluate(segmenter, data, split, n_boot=0, progress=False)
        return result.split, result.images

    root = tmp_path / "d"
    assert part(root) == ("test", 2)
    assert part(root, "train") == ("train", 2)
    assert part(root, "all") == ("all", 6)
    with pytest.raises(SplitError, match="no 'tset' part; the data have train, valid, test"):
        part(root, "tset")
    shutil.rmtree(root / "test")
    assert part(root) == ("valid", 2)
    with pytest.raises(SplitError, match="no 'test' part; the data have train, valid"):
        part(root, "test")
    with pytest.raises(SplitError, match="the data have no split"):
        part(write_pairs(2), "test")
    assert part(list(find_pairs(write_pairs(2))), "mine") == ("mine", 2)
    with pytest.raises(EvaluationError, match="no pairs"):
        part([])


def test_a_run_is_evaluated_on_what_it_was_not_trained_on(write_pairs, tmp_path):
    pairs = find_pairs(write_pairs(8))
    segmenter = segmenter_for(BINARY)
    run = Bundle(
        describe(segmenter.model), segmenter.model.state_dict(), BINARY, segmenter.preprocess
    ).save(tmp_path / "run")
    parts = split_pairs(pairs, 0.25)
    save_split(parts, run / "split.json")
    result = evaluate(run, tmp_path / "data", progress=False)
    assert result.split == "valid"
    assert set(result.names) == {pair.image.name for pair in parts["valid"]}
    assert evaluate(run, tmp_path / "data", "all", progress=False).images == 8

    (tmp_path / "data/images/00.png").rename(tmp_path / "data/images/new.png")
    (tmp_path / "data/masks/00.png").rename(tmp_path / "data/masks/new.png")
    with pytest.warns(UserWarning, match="was trained on other images than these"):
        assert evaluate(run, tmp_path / "data", progress=False).split == "all"
    (run / "split.json").unlink()  # also of a bundle that was copied without it
    with pytest.warns(UserWarning, match="does not say which images it was trained on"):
        assert evaluate(run, tmp_path / "data", progress=False).split == "all"
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a Segmenter is its owner's; parts of the data say enough
        evaluate(Segmenter.load(run), tmp_path / "data", progress=False)
        evaluate(run, parts["valid"], progress=False)


def test_groups_are_those_of_the_pairs_or_as_asked_for(write_pairs):
    pairs = [replace(pair, group="ab"[i // 2]) for i, pair in enumerate(find_pairs(write_pairs(4)))]
    segmenter = segmenter_for(BINARY)

    def groups(**kwargs):
        return evaluate(segmenter, pairs, progress=False, **kwargs).groups

    assert groups() == ("a", "a", "b", "b")
    assert groups(groups=r"(\d)$") == ("0", "1", "2", "3")
    assert groups(groups=lambda pair: pair.image.suffix) == (".png",) * 4
    assert groups(groups={pair: str(i % 2) for i, pair in enumerate(pairs)}) == ("0", "1") * 2


def test_an_image_with_two_masks_is_two_images(write_pairs):
    pair, *_ = find_pairs(write_pairs(1))
    second = pair.mask.with_name("second.png")
    shutil.copy(pair.mask, second)
    result = evaluate(segmenter_for(BINARY), [pair, replace(pair, mask=second)], progress=False)
    assert result.names == ("00.png (00.png)", "00.png (second.png)")


def test_what_is_asked_for_is_measured(write_pairs):
    pairs = find_pairs(write_pairs(2))
    less = evaluate(segmenter_for(BINARY), pairs, calibration=False, objects=False, progress=False)
    assert (less.probabilities, less.objects, less.boundary) == (None, None, None)
    more = evaluate(segmenter_for(BINARY), pairs, boundary=True, progress=False)
    assert more.boundary.shape == (2, 2, 3)
    assert more.objects.true > 0
    assert sum(more.probabilities.bin_pixels) == more.pixels.sum()
    assert json.loads(json.dumps(more.to_dict()))["per_class"]["on"]["hd95"] > 0


def test_the_threshold_is_that_of_a_search_over_all_pixels(write_pairs):
    pairs = find_pairs(write_pairs(6))
    segmenter = brightness((40, 48))
    chosen = best_threshold(segmenter, list(pairs), progress=False)
    probabilities = np.concatenate([segmenter.probabilities(p.image).ravel() for p in pairs])
    truth = np.concatenate([BINARY.read(p.mask).ravel() for p in pairs]) == 1
    thresholds = np.arange(1024) / 1024
    above = [probabilities > t for t in thresholds]
    dice = [2 * np.sum(each & truth) / (np.sum(each) + truth.sum()) for each in above]
    best = thresholds[dice == np.max(dice)]
    assert chosen == best[np.abs(best - 0.5).argmin()]
    assert chosen != 0.5

    before = evaluate(segmenter, pairs, progress=False)
    segmenter.threshold = chosen
    after = evaluate(segmenter, pairs, progress=False)
    assert after.dice == pytest.approx(max(dice))
    assert after.dice > before.dice
    assert f"above the threshold {chosen:g}" in str(after)


def test_more_than_two_classes_have_no_threshold(write_pairs):
    pairs = find_pairs(write_pairs(2, (0, 1, 2)))
    codec = MaskCodec(("a", "b", "c"), (0, 1, 2))
    with pytest.raises(EvaluationError, match="3 classes"):
        best_threshold(segmenter_for(codec), pairs)
    assert evaluate(segmenter_for(codec), pairs, progress=False).threshold is None
