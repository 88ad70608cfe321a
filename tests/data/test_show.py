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
    assert len(figure.axes) == 12  # three rows of two images, each beside its overlay
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["road", "void"]
    plt.close(figure)


def test_predictions_stand_beside_the_truth_with_their_losses_and_dice():
    image, mask = np.zeros((8, 8, 3), np.uint8), np.zeros((8, 8), np.uint8)
    half = np.zeros((8, 8), np.uint8)
    half[:4] = 1
    truths, predictions = [mask, half], [mask, np.ones((8, 8), np.uint8)]
    figure = show_predictions([image] * 2, truths, predictions, CODEC, losses=[0.5, 0.25])
    titles = [axis.get_title() for axis in figure.axes]
    assert titles[:3] == ["image", "ground truth", "prediction\nloss 0.5000, nothing to find"]
    assert titles[5] == "loss 0.2500, Dice 0.667"  # 2 * 32 / (32 + 64)
    plt.close(figure)


def test_an_image_has_as_many_pixels_in_the_figure_as_it_has_and_the_legend_fits():
    image, mask = np.zeros((300, 400, 3), np.uint8), np.zeros((300, 400), np.uint8)
    names = tuple(f"a class with a long name {i}" for i in range(30))
    mask[0, :30] = range(30)
    codec = MaskCodec(names, tuple(range(30)))
    figure = show_predictions([image] * 2, [mask] * 2, [mask] * 2, codec)
    figure.set_dpi(80)
    figure.canvas.draw()
    assert all(axis.get_window_extent().width >= 0.95 * 400 for axis in figure.axes)
    legend = figure.legends[0].get_window_extent()
    assert legend.x0 >= 0
    assert legend.x1 <= figure.bbox.x1
    assert legend.y1 < min(axis.get_window_extent().y0 for axis in figure.axes)
    assert figure.legends[0].get_texts()[-1].get_text() == "and 6 more"
    plt.close(figure)
