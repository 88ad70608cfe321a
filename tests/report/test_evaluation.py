"""What a model scores at the images' own size."""

import json

import numpy as np
import pytest
import torch
from sklearn.metrics import f1_score, jaccard_score

from fastunet.data.masks import VOID, MaskCodec
from fastunet.data.pairs import find_pairs
from fastunet.inference import Segmenter
from fastunet.models.unet import UNet
from fastunet.preprocess import Preprocess
from fastunet.report.evaluation import evaluate


@pytest.mark.parametrize("values", [(0, 255), (0, 1, 2, 9)])
def test_the_scores_are_those_of_the_masks_a_user_would_get(write_pairs, values):
    pairs = find_pairs(write_pairs(5, values, size=(45, 61)))
    void = 9 if 9 in values else None
    codec = MaskCodec.infer([pair.mask for pair in pairs], void=void)
    torch.manual_seed(0)
    segmenter = Segmenter(UNet(3, codec.n_out, 2, 4), codec, Preprocess((32, 32)))
    result = evaluate(segmenter, pairs, "test", progress=False)

    truth = np.concatenate([codec.read(p.mask).ravel() for p in pairs])
    guess = np.concatenate([segmenter.predict(p.image).ravel() for p in pairs])
    truth, guess = truth[truth != VOID], guess[truth != VOID]
    per_class = result.to_dict()["per_class"]
    for score, name in ((f1_score, "dice"), (jaccard_score, "iou")):
        expected = score(truth, guess, average=None, labels=range(len(codec.classes)))
        ours = [row[name] for row in per_class.values()]
        np.testing.assert_allclose(ours, expected, atol=1e-6)
    foreground = [row["dice"] for row in per_class.values()][1:]
    everything = [row["dice"] for row in per_class.values()]
    assert result.dice == pytest.approx(
        np.mean(foreground if void is None else everything), abs=1e-6
    )


def test_it_can_be_read_by_people_and_by_programs(write_pairs):
    pairs = find_pairs(write_pairs(2))
    codec = MaskCodec(("off", "on"), (0, 255))
    result = evaluate(Segmenter(UNet(3, 1, 1, 2), codec, Preprocess((8, 8))), pairs, progress=False)
    assert json.loads(json.dumps(result.to_dict()))["resolution"] == "the images' own size"
    text = str(result)
    assert "valid: 2 images" in text
    assert "on " in text
