"""What tracking services have of a fit, read by their own means; the training is the same."""

import numpy as np
import pytest
import torch
from fastai.torch_core import set_seed
from tracked_runs import (
    mlflow_run,
    scalars,
    tensorboard_run,
    wandb_history,
    wandb_records,
)

from fastunet.callback.checkpoint import Checkpoint
from fastunet.callback.plain import PlainCallback
from fastunet.callback.tracker import Tracker
from fastunet.data.dataloaders import ImageMaskDataLoaders
from fastunet.errors import FastunetWarning
from fastunet.inference import Segmenter
from fastunet.learner import segmentation_learner

EPOCHS, BATCHES = 3, 4  # an epoch


@pytest.fixture
def make_learner(write_pairs, in_tmp):
    root = write_pairs(10, values=(0, 1, 2))

    def make(**how):
        set_seed(0)
        dls = ImageMaskDataLoaders.from_folder(
            root, size=16, bs=2, device="cpu", cache=None, progress=False
        )
        return segmentation_learner(dls, width=2, depth=1, **how)

    return make


@pytest.fixture
def offline(monkeypatch):
    """As a user who has set nothing up."""
    for name in ("WANDB_MODE", "WANDB_API_KEY", "WANDB_DIR", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)


def fitted(learn, *callbacks):
    with learn.no_bar(), learn.no_logging():
        learn.fit_one_cycle(EPOCHS, 1e-2, cbs=[*callbacks])
    return learn


def recorded(learn) -> dict[str, list[float]]:
    """Losses and metrics by name, an entry an epoch."""
    names = learn.recorder.metric_names[1:]
    return dict(zip(names, map(list, zip(*learn.recorder.values, strict=True)), strict=False))


def is_picture(image: np.ndarray) -> bool:
    """Image, truth and prediction of a few examples: coloured, with white between them."""
    return image.shape[2] == 3 and image.min() == 0 and image.max() == 255 and image.std() > 10


def test_the_training_is_the_same_number_by_number_with_and_without(make_learner):
    pytest.importorskip("tensorboard")
    plain = fitted(make_learner())
    tracked = fitted(make_learner(), Tracker("tensorboard", every=1))
    assert plain.recorder.values == tracked.recorder.values
    weights = (plain.model.state_dict(), tracked.model.state_dict())
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_tensorboard_has_every_number_and_pictures(make_learner, in_tmp):
    pytest.importorskip("tensorboard")
    tracker = Tracker("tensorboard", folder=in_tmp / "r", every=1, config={"size": 16})
    learn = fitted(make_learner(), tracker)
    events = tensorboard_run(in_tmp / "r" / "tensorboard")
    ends = [BATCHES * (epoch + 1) for epoch in range(EPOCHS)]
    for name, values in recorded(learn).items():
        found = scalars(events, name)
        assert list(found) == ends
        np.testing.assert_allclose(list(found.values()), values, rtol=1e-6)  # float32
    rates = scalars(events, "batch/rate")
    assert list(rates) == list(range(1, BATCHES * EPOCHS + 1))
    np.testing.assert_allclose(list(rates.values()), learn.recorder.lrs, rtol=1e-6)
    assert scalars(events, "epoch") == dict(zip(ends, [0, 1, 2], strict=True))
    best = np.argmax(recorded(learn)["dice"])
    assert scalars(events, "best/epoch") == {ends[-1]: best}
    picture = events.Images("predictions of the best epoch")[-1]
    assert (picture.width, picture.height) > (300, 300)
    assert events.Tensors("options/text_summary")


def test_weights_and_biases_has_an_offline_run(make_learner, in_tmp, offline):
    pytest.importorskip("wandb")
    import cv2

    tracker = Tracker("wandb", every=2, config={"size": 16}, bundle=True, name="mine")
    learn = fitted(make_learner(), tracker)
    [folder] = (in_tmp / "wandb").glob("offline-run-*")
    records = wandb_records(folder)
    history = {entry["_step"]: entry for entry in wandb_history(records)}
    for epoch in range(EPOCHS):
        entry = history[BATCHES * (epoch + 1)]
        assert entry["epoch"] == epoch
        for name, values in recorded(learn).items():
            assert entry[name] == pytest.approx(values[epoch])
    assert {step for step, entry in history.items() if "batch/loss" in entry} == {*range(2, 13, 2)}
    [run] = [one.run for one in records if one.WhichOneof("record_type") == "run"]
    assert (run.run_id, run.display_name) == (tracker.run_ids["wandb"], "mine")
    assert {"size": "16"}.items() <= {u.key: u.value_json for u in run.config.update}.items()
    last = history[BATCHES * EPOCHS]
    picture = folder / "files" / last["predictions of the best epoch/path"]
    assert is_picture(cv2.imread(str(picture)))
    assert [one.artifact.type for one in records if one.HasField("artifact")] == ["model"]


def test_mlflow_has_a_run_with_the_bundle(make_learner, in_tmp, offline):
    pytest.importorskip("mlflow")
    learn = fitted(make_learner(), Tracker("mlflow", every=1, bundle=True, name="mine"))
    run, client = mlflow_run()
    assert (run.info.status, run.info.run_name) == ("FINISHED", "mine")
    assert run.data.params["network"] == "UNet"
    for name, values in recorded(learn).items():
        found = client.get_metric_history(run.info.run_id, name)
        assert [one.step for one in found] == [BATCHES, 2 * BATCHES, 3 * BATCHES]
        assert [one.value for one in found] == pytest.approx(values)
    assert len(client.get_metric_history(run.info.run_id, "batch/rate")) == BATCHES * EPOCHS
    pictures = [one.path for one in client.list_artifacts(run.info.run_id, "images")]
    assert any("best" in path and path.endswith(".png") for path in pictures)
    bundle = client.download_artifacts(run.info.run_id, "bundle", str(in_tmp))
    assert Segmenter.load(bundle).classes == ("0", "1", "2")


# --- what goes wrong ------------------------------------------------------------------------------


class Stop(PlainCallback):
    """The process ends after a batch."""

    order = 2000

    def after_batch(self):
        if self.training and self.train_iter == 6:
            raise KeyboardInterrupt


def test_a_fit_that_goes_on_goes_on_in_its_run(make_learner, in_tmp, offline):
    pytest.importorskip("tensorboard")
    pytest.importorskip("mlflow")
    services, steps = ("tensorboard", "mlflow"), list(range(1, BATCHES * EPOCHS + 1))
    with pytest.raises(KeyboardInterrupt):
        fitted(make_learner(), Tracker(*services, every=1), Checkpoint("c"), Stop())
    before, _ = mlflow_run()
    tracker = Tracker(*services, every=1)
    learn = fitted(make_learner(), tracker, Checkpoint("c", resume=True))
    rates = scalars(tensorboard_run(in_tmp / "tensorboard"), "batch/rate")
    assert list(rates) == steps  # steps 5 and 6, after the checkpoint, are there once
    np.testing.assert_allclose(list(rates.values()), learn.recorder.lrs, rtol=1e-6)
    run, client = mlflow_run()
    assert run.info.run_id == before.info.run_id == tracker.run_ids["mlflow"]
    assert run.info.status == "FINISHED"
    assert {one.step for one in client.get_metric_history(run.info.run_id, "batch/rate")} == {
        *steps
    }


def test_a_service_that_fails_is_given_up_and_the_training_goes_on(
    make_learner, in_tmp, monkeypatch
):
    pytest.importorskip("tensorboard")
    pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")  # nobody listens there
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    (in_tmp / "tensorboard").write_text("a file where a folder is wanted")
    with pytest.warns(FastunetWarning) as said:
        learn = fitted(make_learner(), Tracker("tensorboard", "mlflow"))
    told = [str(one.message) for one in said if "the training goes on" in str(one.message)]
    assert [message.split()[0] for message in told] == ["tensorboard", "mlflow"]
    assert len(learn.recorder.values) == EPOCHS


def test_a_full_disk_ends_the_tracking_alone(make_learner, request):
    pytest.importorskip("tensorboard")
    learn = make_learner(save_best=False)
    request.getfixturevalue("files_of_1000_bytes")
    with pytest.warns(FastunetWarning, match="tensorboard failed"):
        fitted(learn, Tracker("tensorboard", every=1))
    assert len(learn.recorder.values) == EPOCHS


def test_looking_for_a_rate_validating_and_predicting_are_not_reported(make_learner, in_tmp):
    pytest.importorskip("tensorboard")
    learn = make_learner(cbs=Tracker("tensorboard", every=1))
    with learn.no_bar(), learn.no_logging():
        learn.lr_find(num_it=8, show_plot=False)
        learn.validate()
        learn.get_preds()
        assert not (in_tmp / "tensorboard").exists()
        learn.fit(1)
        learn.validate()
        learn.fit(1)  # the same run goes on
    events = tensorboard_run(in_tmp / "tensorboard")
    assert list(scalars(events, "valid_loss")) == [BATCHES, 2 * BATCHES]
