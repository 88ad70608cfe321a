"""A training script as users write it, for one process or, started by torchrun, for several.

`parallel_fit.py DATA FILE`: for each case the losses, the history and the weights.
"""

import sys

import torch
from fastai.optimizer import SGD
from fastai.torch_core import set_seed

from fastunet import ImageMaskDataLoaders, segmentation_learner
from fastunet._util import processes
from fastunet.losses import CombinedLoss, LovaszLoss
from fastunet.models.unet import UNet

CASES = {  # batch size, norm of the network, loss
    "batch norm, Dice over the batch": (6, "batch", CombinedLoss),
    "group norm, parts that are not equal": (5, "group", CombinedLoss),
    "hard pixels, chosen in the whole batch": (4, "group", lambda: CombinedLoss(dice=0, topk=1)),
    "a loss that sorts all pixels": (4, "batch", LovaszLoss),
    "class weights": (5, "batch", lambda: CombinedLoss(class_weights=[0.3, 0.7])),
}


def fit(data: str, bs: int, norm, loss) -> dict:
    set_seed(0)
    dls = ImageMaskDataLoaders.from_folder(data, size=32, bs=bs, valid_pct=0.28, device="cpu")
    set_seed(0)
    network = UNet(3, 1, width=4, depth=3, norm=norm)
    learn = segmentation_learner(
        dls, network, loss_func=loss(), opt_func=SGD, precision="fp32", save_best=False
    )
    if processes.count() > 1:
        from fastunet.callback.data_parallel import DataParallel

        learn.add_cb(DataParallel())
    with learn.no_bar(), learn.no_logging():
        learn.fit(2, 0.05)
    assert learn.model is network, "the plain network stays the learner's"
    return {
        "history": [list(map(float, values)) for values in learn.recorder.values],
        "losses": [float(loss) for loss in learn.recorder.losses],
        "weights": learn.model.state_dict(),
        "names": list(learn.recorder.metric_names[1:-1]),
    }


def main() -> None:
    processes.begin()
    done = {name: fit(sys.argv[1], *case) for name, case in CASES.items()}
    torch.save(done, f"{sys.argv[2]}-{processes.rank()}.pt")
    processes.end()


if __name__ == "__main__":
    main()
