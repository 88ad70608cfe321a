"""What a device lacks is said with the operation and what to do."""

import pytest
import torch

from fastunet.callback.device_trial import lacking, try_device
from fastunet.data.dataloaders import ImageMaskDataLoaders
from fastunet.errors import TrainingError
from fastunet.learner import segmentation_learner

MPS = (
    "The operator 'aten::_pdist_forward' is not currently implemented for the MPS device. If you "
    "want this op to be considered for addition please comment on https://github.com/pytorch."
)


@pytest.fixture
def learn(write_pairs):
    dls = ImageMaskDataLoaders.from_folder(write_pairs(8), size=16, bs=2, device="cpu")
    return segmentation_learner(dls, width=4, depth=2)


def test_a_trial_leaves_no_trace(learn):
    before = {name: value.clone() for name, value in learn.model.state_dict().items()}
    random = torch.get_rng_state()
    try_device(learn)
    assert torch.equal(torch.get_rng_state(), random)
    for name, value in learn.model.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_an_operation_that_a_device_lacks_is_named(learn):
    def forward(x):  # as PyTorch fails on MPS
        raise NotImplementedError(MPS)

    learn.model.forward = forward
    with pytest.raises(TrainingError, match="PyTorch lacks aten::_pdist_forward on cpu"):
        try_device(learn)
    assert "PYTORCH_ENABLE_MPS_FALLBACK=1" in lacking(NotImplementedError(MPS), "mps")


def test_a_real_operation_without_a_number_format_is_named():
    with pytest.raises(RuntimeError) as raised:
        torch.ones(2, 2, dtype=torch.int32).cholesky()
    message = lacking(raised.value, "cpu")
    assert message is None or 'precision="fp32"' in message
    found = lacking(RuntimeError("\"bincount_mps\" not implemented for 'Half'"), "mps")
    assert found.startswith("PyTorch lacks bincount_mps for Half on mps.")


def test_other_errors_stay_what_they_are(learn):
    assert lacking(RuntimeError("shapes do not fit"), "mps") is None
