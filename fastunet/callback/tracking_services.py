"""TensorBoard, Weights & Biases and MLflow as one thing: a run that takes numbers and pictures.

Each speaks by its own client, which is imported only where it is asked for.
"""

import logging
import os
import time
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from fastunet.choices import TrackingService
from fastunet.errors import OptionError
from fastunet.runs.contents import TENSORBOARD

_PROJECT = "fastunet"  # where the user names none by the service's own variable
_RETRIES = "2"  # of a request to a server that does not answer: a training does not wait for it


class TrackedRun(Protocol):
    """A run of a service."""

    def begin(self, name: str, config: Mapping[str, Any], run_id: str | None, step: int) -> str:
        """Begin a run, or go on with `run_id` after `step`. Returns the run's id."""

    def numbers(self, values: Mapping[str, float], step: int) -> None:
        """Log them at a step."""

    def picture(self, name: str, image: np.ndarray, step: int) -> None:
        """Log an image, (H, W, 3) uint8."""

    def summary(self, values: Mapping[str, float], step: int) -> None:
        """Write down what the run came to."""

    def bundle(self, folder: Path) -> None:
        """Keep the files of a folder with the run, where the service does that."""

    def finish(self) -> None:
        """End it."""


class TensorBoard:
    """Event files in the folder `tensorboard`: `tensorboard --logdir runs` shows them."""

    def __init__(self, folder: Path):
        self._folder = folder / TENSORBOARD

    def begin(self, name: str, config: Mapping[str, Any], run_id: str | None, step: int) -> str:
        """As `TrackedRun`; what was logged after `step` is passed over."""
        from torch.utils.tensorboard import SummaryWriter

        again = run_id is not None
        self._writer = SummaryWriter(str(self._folder), purge_step=step + 1 if again else None)
        if not again:
            rows = [f"| {key} | {value} |" for key, value in config.items()]
            self._writer.add_text("options", "\n".join(["| option | value |", "|---|---|", *rows]))
        return run_id or name

    def numbers(self, values: Mapping[str, float], step: int) -> None:
        """As `TrackedRun`."""
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)

    def picture(self, name: str, image: np.ndarray, step: int) -> None:
        """As `TrackedRun`."""
        self._writer.add_image(name, image, step, dataformats="HWC")
        self._writer.flush()

    def summary(self, values: Mapping[str, float], step: int) -> None:
        """As `TrackedRun`."""
        self.numbers(values, step)

    def bundle(self, folder: Path) -> None:
        """TensorBoard keeps no files."""

    def finish(self) -> None:
        """As `TrackedRun`."""
        self._writer.close()


class WeightsAndBiases:
    """A run in `wandb/` of the working directory; offline, unless WANDB_MODE says otherwise."""

    def __init__(self, folder: Path):
        del folder  # it has a place of its own: WANDB_DIR

    def begin(self, name: str, config: Mapping[str, Any], run_id: str | None, step: int) -> str:
        """As `TrackedRun`."""
        import wandb

        mode: Any = os.environ.get("WANDB_MODE", "offline")
        self._run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", _PROJECT),
            name=name,
            config=dict(config),
            id=run_id,
            resume="allow" if run_id and mode != "offline" else None,
            mode=mode,
            reinit="create_new",
            settings=wandb.Settings(console="off", silent=True),
        )
        return self._run.id

    def numbers(self, values: Mapping[str, float], step: int) -> None:
        """As `TrackedRun`."""
        self._run.log(dict(values), step=step)

    def picture(self, name: str, image: np.ndarray, step: int) -> None:
        """As `TrackedRun`."""
        import wandb

        self._run.log({name: wandb.Image(image)}, step=step)

    def summary(self, values: Mapping[str, float], step: int) -> None:
        """As `TrackedRun`."""
        self._run.summary.update(dict(values))

    def bundle(self, folder: Path) -> None:
        """As `TrackedRun`."""
        import wandb

        artifact = wandb.Artifact(f"bundle-{self._run.id}", "model")
        artifact.add_dir(str(folder))
        self._run.log_artifact(artifact)

    def finish(self) -> None:
        """As `TrackedRun`."""
        self._run.finish()


class MLflow:
    """A run where MLFLOW_TRACKING_URI says, or in `mlflow.db` of the working directory."""

    def __init__(self, folder: Path):
        del folder  # it has a place of its own

    def begin(self, name: str, config: Mapping[str, Any], run_id: str | None, step: int) -> str:
        """As `TrackedRun`."""
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", _RETRIES)
        from mlflow import MlflowClient
        from mlflow.entities import Param

        for logger in ("mlflow", "alembic"):  # they tell of each step that makes the database
            logging.getLogger(logger).setLevel(logging.WARNING)
        self._client = MlflowClient()
        if run_id is not None:
            self._client.update_run(run_id, status="RUNNING")
            self._id = run_id
            return run_id
        project = os.environ.get("MLFLOW_EXPERIMENT_NAME", _PROJECT)
        known = self._client.get_experiment_by_name(project)
        experiment = known.experiment_id if known else self._client.create_experiment(project)
        self._id = self._client.create_run(experiment, run_name=name).info.run_id
        params = [Param(key, str(value)[:500]) for key, value in config.items()]
        self._client.log_batch(self._id, params=params)
        return self._id

    def numbers(self, values: Mapping[str, float], step: int) -> None:
        """As `TrackedRun`."""
        from mlflow.entities import Metric

        now = round(1000 * time.time())
        metrics = [Metric(name, value, now, step) for name, value in values.items()]
        self._client.log_batch(self._id, metrics=metrics)

    def picture(self, name: str, image: np.ndarray, step: int) -> None:
        """As `TrackedRun`."""
        self._client.log_image(self._id, image, key=name, step=step)

    def summary(self, values: Mapping[str, float], step: int) -> None:
        """As `TrackedRun`."""
        self.numbers(values, step)

    def bundle(self, folder: Path) -> None:
        """As `TrackedRun`."""
        self._client.log_artifacts(self._id, str(folder), "bundle")

    def finish(self) -> None:
        """As `TrackedRun`."""
        self._client.set_terminated(self._id)


SERVICES: dict[TrackingService, type[TensorBoard] | type[WeightsAndBiases] | type[MLflow]] = {
    "tensorboard": TensorBoard,
    "wandb": WeightsAndBiases,
    "mlflow": MLflow,
}


def check_installed(name: TrackingService) -> None:
    """Raise `OptionError` where there is no such service, or its client is not installed."""
    if name not in SERVICES:
        raise OptionError(f"track={name!r}; one of {', '.join(SERVICES)} was expected.")
    if find_spec(name) is None:
        raise OptionError(
            f'track="{name}": {name} is not installed: pip install "fastunet[{name}]".'
        )
