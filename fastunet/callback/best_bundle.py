"""Keep the best epoch of a fit as a bundle, so that it can be used whatever happens to the fit."""

import math
from pathlib import Path

from fastunet._util.processes import from_first, is_first
from fastunet.callback.best_model import SaveBestModel
from fastunet.inference.bundle import Bundle


class SaveBestBundle(SaveBestModel):
    """`SaveBestModel` that writes a bundle with the scores of its epoch, not a checkpoint.

    The bundle in `folder` is whole at every moment. Its weights are loaded when the fit ends.
    """

    def __init__(
        self,
        folder: Path,
        monitor: str = "dice",  # as in `SaveBestModel`
        training: dict | None = None,  # how it is made, any JSON values
    ):
        super().__init__(monitor)
        self.bundle_folder, self.facts = folder, training or {}

    def _save(self, name: str) -> None:
        scores = {n: v if math.isfinite(v) else None for n, v in self.scores.items()}
        scores.pop("train_loss", None)
        metrics = {"split": "valid", "resolution": "network input", **scores}
        training = {**self.facts, "epoch": self.epoch, "epochs": self.n_epoch}
        if is_first():
            self.learn.save_bundle(self.bundle_folder, metrics, training)
        self.last_saved_path = self.bundle_folder

    def _load_best(self) -> None:
        weights = from_first(lambda: Bundle.load(self.bundle_folder).weights)
        self.model.load_state_dict(weights)
