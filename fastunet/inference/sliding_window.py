"""A large image tile by tile, the results blended where tiles overlap."""

from collections.abc import Callable

import numpy as np
import torch

from fastunet.tiling import grid, pad

OVERLAP = 0.25  # share of a tile that its neighbour sees too
_BATCH = 8  # tiles at a time


def blend_tiles(
    scores_of: Callable[[np.ndarray], torch.Tensor],  # (B, h, w, C) pixels to (B, C', h, w)
    image: np.ndarray,  # (H, W, C)
    tile: tuple[int, int],  # (height, width) that the network sees at a time
    overlap: float = OVERLAP,
) -> torch.Tensor:  # (1, C', H, W) float32, on the CPU
    """Scores of the whole image; each pixel is a mean over the tiles that see it.

    A tile counts less towards its edges, where the network sees less of the surroundings. An image
    smaller than a tile is continued by its mirror image and cut again.
    """
    height, width = image.shape[:2]
    image = pad(image, (max(0, tile[0] - height), max(0, tile[1] - width)))
    corners = [(top, left) for top, left, _, _ in grid(image.shape[:2], tile, overlap)]
    weight = _weight(tile)
    total, weights = torch.zeros(0), torch.zeros(image.shape[:2])
    for start in range(0, len(corners), _BATCH):
        some = corners[start : start + _BATCH]
        pixels = np.stack([image[y : y + tile[0], x : x + tile[1]] for y, x in some])
        for (y, x), scores in zip(some, scores_of(pixels).cpu(), strict=True):
            if not len(total):
                total = torch.zeros(len(scores), *image.shape[:2])
            total[:, y : y + tile[0], x : x + tile[1]] += scores * weight
            weights[y : y + tile[0], x : x + tile[1]] += weight
    return (total / weights)[None, :, :height, :width]


def _weight(tile: tuple[int, int]) -> torch.Tensor:
    """(h, w) of a pyramid: 1 in the middle, small but above 0 at the edges."""
    sides = [1 - (torch.arange(n) + 0.5).sub(n / 2).abs() / (n / 2 + 0.5) for n in tile]
    return torch.minimum(sides[0][:, None], sides[1][None, :])
