"""Grids of pairs and predictions."""

import matplotlib.pyplot as plt
import numpy as np

from fastunet.data.show import show_pairs, show_predictions
from fastunet.labels import VOID
from fastunet.masks.codec import MaskCodec

CODEC = MaskCodec(("sky", "road"), (0, 1))


def test_the_legend_names_the_classes_that_are_there_and_void():
    image = np.zeros((8, 8, 3), np.uint8)
    mask = np.ones((8, 8), np.uint8)
    mask[0] = VOID
    figure = show_pairs([image] * 5, [mask] * 5, CODEC)
    assert len(figure.axes) == 8  # two rows of four
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["road", "void"]
    plt.close(figure)


def test_predictions_stand_beside_the_truth_with_their_losses():
    image, mask = np.zeros((8, 8, 3), np.uint8), np.zeros((8, 8), np.uint8)
    figure = show_predictions([image] * 2, [mask] * 2, [mask] * 2, CODEC, losses=[0.5, 0.25])
    titles = [axis.get_title() for axis in figure.axes]
    assert titles[:3] == ["image", "ground truth", "prediction\nloss 0.5000"]
    assert titles[5] == "loss 0.2500"
    plt.close(figure)
