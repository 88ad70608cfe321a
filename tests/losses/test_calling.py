"""How a loss of another library is called: found by trying, or refused."""

import pytest
import segmentation_models_pytorch.losses as smp
import torch
import torch.nn.functional as F
from torch import nn

from fastunet.errors import TrainingError
from fastunet.labels import VOID
from fastunet.losses import adapt_loss
from fastunet.losses.calling import call, find_way, leaves_void_alone, name_of


@pytest.mark.parametrize(
    ("loss", "n_out", "way"),
    [
        (nn.CrossEntropyLoss(), 3, ("logits", "class indices (B, H, W)")),
        (nn.CrossEntropyLoss(), 1, ("two channels of logits", "class indices (B, H, W)")),
        (nn.BCEWithLogitsLoss(), 1, ("logits", "one channel per class")),
        (nn.BCEWithLogitsLoss(), 3, ("logits", "one channel per class")),
    ],
)
def test_the_way_is_the_first_in_which_right_logits_cost_less(loss, n_out, way, batch):
    found, _ = find_way(loss, n_out)
    assert found == way
    _, target = batch(n_out, void=0)
    channels = range(n_out) if n_out > 1 else [1]
    right = torch.stack([target == c for c in channels], dim=1) * 8.0 - 4
    assert call(loss, way, right, target) < 0.1 < call(loss, way, -right, target)


def test_only_a_loss_with_our_void_leaves_it_alone():
    ours, torchs = nn.CrossEntropyLoss(ignore_index=VOID), nn.CrossEntropyLoss()
    for loss, expected in ((ours, True), (torchs, False)):
        way, copied = find_way(loss, 3)
        assert leaves_void_alone(copied, way, 3, VOID) is expected


def test_a_loss_has_the_name_of_its_function_or_class():
    assert name_of(F.cross_entropy) == "cross_entropy"
    assert name_of(nn.CrossEntropyLoss()) == "CrossEntropyLoss"


REFUSED = {
    "wants log-probabilities": nn.NLLLoss(),
    "wants probabilities": nn.BCELoss(),
    "wants the values themselves": nn.MSELoss(),
    "learns one class only": nn.SoftMarginLoss(),
    "mixes the images of a batch": lambda logits, truth: ((logits - truth) ** 2).mean(),
    "no gradient": lambda logits, truth: (logits.argmax(1) != truth).float().mean(),
    "no tensor": lambda logits, truth: {"loss": logits.mean()},
    "other arguments": lambda logits: logits.mean(),
}


@pytest.mark.parametrize("loss", REFUSED.values(), ids=REFUSED.keys())
@pytest.mark.parametrize("channels", [1, 3])
def test_what_does_not_tell_right_from_wrong_is_refused_with_what_to_use(loss, channels):
    with pytest.raises(TrainingError, match=r"loss_func: .*Tried.*Use CombinedLoss\(\)"):
        adapt_loss(loss, channels)


def test_for_the_wrong_mode_of_smp_the_right_one_is_named():
    class Wrong(smp.DiceLoss):
        __module__ = "segmentation_models_pytorch.losses.dice"

        def forward(self, y_pred, y_true):
            raise ValueError("mode")

    with pytest.raises(TrainingError, match='mode="multiclass"'):
        adapt_loss(Wrong("binary"), 3)


def test_trying_leaves_random_numbers_and_the_loss_as_they_were():
    class Counting(nn.Module):
        calls = 0

        def forward(self, logits, truth):
            self.calls += 1
            return F.cross_entropy(logits + 1e-3 * torch.rand_like(logits), truth)

    loss, state = Counting(), torch.get_rng_state()
    adapt_loss(loss, 3)
    assert loss.calls == 0
    torch.testing.assert_close(torch.get_rng_state(), state)
