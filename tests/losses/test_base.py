"""What every loss promises, whatever its formula."""

import copy
import pickle

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from fastunet.errors import OptionError, TrainingError
from fastunet.labels import VOID
from fastunet.logits import activate, decide
from fastunet.losses import (
    BoundaryLoss,
    CombinedLoss,
    FocalTverskyLoss,
    GeneralisedDiceLoss,
    LovaszLoss,
    PixelCrossEntropyLoss,
    PixelFocalLoss,
    SegmentationLoss,
    SoftDiceLoss,
    TopKLoss,
    TverskyLoss,
)

LOSSES = {
    "cross-entropy": PixelCrossEntropyLoss,
    "smoothed cross-entropy": lambda: PixelCrossEntropyLoss(label_smoothing=0.1),
    "focal": PixelFocalLoss,
    "focal, gamma 0.5": lambda: PixelFocalLoss(gamma=0.5),
    "top-k": lambda: TopKLoss(30),
    "dice": SoftDiceLoss,
    "dice, squared, per image, unsmoothed": lambda: SoftDiceLoss(0, squared=True, per_image=True),
    "generalised dice": GeneralisedDiceLoss,
    "generalised dice, per image": lambda: GeneralisedDiceLoss(per_image=True),
    "tversky": TverskyLoss,
    "focal tversky": FocalTverskyLoss,
    "lovasz": LovaszLoss,
    "lovasz, per image": lambda: LovaszLoss(per_image=True),
    "boundary": BoundaryLoss,
    "combined": CombinedLoss,
}


def every_loss_but(*names):
    """Run a test on all losses, `names` left out for the reason that the test gives."""
    chosen = {name: make for name, make in LOSSES.items() if name not in names}
    return pytest.mark.parametrize("make", chosen.values(), ids=chosen.keys())


every_loss = every_loss_but()
both_tasks = pytest.mark.parametrize("channels", [1, 3])


@st.composite
def batches(draw):
    """Any size, huge logits, classes that are absent, void from nothing to everything."""
    channels, seed = draw(st.sampled_from([1, 2, 4])), draw(st.integers(0, 2**16))
    b, h, w = draw(st.integers(1, 3)), draw(st.integers(1, 8)), draw(st.integers(1, 8))
    present = draw(st.sets(st.integers(0, max(2, channels) - 1)))
    generator = torch.Generator().manual_seed(seed)
    scale = draw(st.sampled_from([1, 1e4]))
    logits = scale * torch.randn(b, channels, h, w, generator=generator)
    values = torch.tensor([*present, VOID])
    return logits, values[torch.randint(0, len(values), (b, h, w), generator=generator)]


def confident(target, channels):
    """Logits that are sure of the target."""
    truth = target.masked_fill(target == VOID, 0)
    if channels == 1:
        return (truth[:, None].float() - 0.5) * 60
    return F.one_hot(truth, channels).movedim(-1, 1).float() * 60


@every_loss
@given(case=batches())
def test_any_batch_gives_a_finite_loss_and_void_has_no_part_in_it(make, case):
    logits, target = case
    void = (target == VOID)[:, None].expand_as(logits)
    logits.requires_grad_()
    loss = make()(logits, target)
    loss.backward()
    assert torch.isfinite(loss)
    assert loss > -1e-6
    assert torch.isfinite(logits.grad).all()
    assert not logits.grad[void].any()
    other = torch.where(void, -5 * logits.detach(), logits.detach())
    torch.testing.assert_close(make()(other, target), loss.detach())


@every_loss
@both_tasks
def test_gradients_are_those_of_finite_differences(make, channels, batch):
    logits, target = batch(channels, b=2, h=4, w=3)
    logits = logits.double().requires_grad_()
    assert torch.autograd.gradcheck(lambda scores: make()(scores, target), logits)


@every_loss
@both_tasks
def test_counting_pixels_get_a_gradient(make, channels, batch):
    logits, target = batch(channels)
    logits.requires_grad_()
    make()(logits, target).backward()
    assert logits.grad.any()


@every_loss
@both_tasks
def test_a_batch_of_void_costs_exactly_nothing(make, channels):
    logits = torch.randn(2, channels, 6, 6, requires_grad=True)
    loss = make()(logits, torch.full((2, 6, 6), VOID))
    loss.backward()
    assert loss == 0
    assert not logits.grad.any()


@every_loss_but("smoothed cross-entropy")  # it asks for less than certainty
@both_tasks
def test_a_perfect_prediction_costs_nothing_and_the_opposite_much(make, channels):
    classes = max(2, channels)
    target = (torch.arange(24) * classes // 24).expand(2, 24, 24).clone()
    target[:, :3] = VOID
    logits = confident(target, channels).requires_grad_()
    perfect, inverted = make()(logits, target), make()(-logits, target)
    perfect.backward()
    assert perfect < 1e-4
    assert torch.isfinite(logits.grad).all()
    assert inverted > 0.09  # of the boundary loss, which is in diagonals
    assert inverted > make()(0 * logits, target)


@every_loss_but("boundary")  # one pixel has no outline
@both_tasks
def test_of_one_pixel_the_right_class_costs_less(make, channels):
    target = torch.ones(1, 1, 1, dtype=torch.long)
    right = confident(target, channels)
    assert make()(right, target) < make()(-right, target)


@every_loss
@both_tasks
def test_reductions_split_the_batch_into_images(make, channels, batch):
    logits, target = batch(channels)
    loss = make()
    mean = loss(logits, target)
    loss.reduction = "sum"
    torch.testing.assert_close(loss(logits, target), mean * 3)
    loss.reduction = "none"
    alone = [make()(logits[i : i + 1], target[i : i + 1]) for i in range(3)]
    torch.testing.assert_close(loss(logits, target), torch.stack(alone))
    loss.reduction = "median"
    with pytest.raises(OptionError, match="median"):
        loss(logits, target)


@every_loss
@both_tasks
def test_it_computes_in_float32_under_mixed_precision(make, channels, batch):
    logits, target = batch(channels)
    logits = logits.bfloat16()
    expected = make()(logits.float(), target)
    with torch.autocast("cpu", torch.bfloat16):
        loss = make()(logits, target)
    assert loss.dtype == torch.float32
    assert loss == expected


def test_a_formula_of_your_own_is_in_float32_too(batch):
    class Product(SegmentationLoss):
        def compute(self, batch):
            product = batch.probs[:, 0] @ batch.probs[:, 0].mT  # bfloat16 under autocast
            assert product.dtype == torch.float32
            return product.mean()

    logits, target = batch(3)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.isfinite(Product()(logits.bfloat16(), target))


@every_loss
@both_tasks
def test_the_memory_format_and_the_type_of_the_target_do_not_matter(make, channels, batch):
    logits, target = batch(channels)
    expected = make()(logits, target)
    other = logits.to(memory_format=torch.channels_last)
    torch.testing.assert_close(make()(other, target.byte()), expected)


@every_loss
@both_tasks
def test_a_list_of_logits_is_their_mean_with_halving_weights(make, channels, batch):
    levels = [batch(channels, seed)[0] for seed in range(3)]
    _, target = batch(channels)
    one = [make()(level, target) for level in levels]
    expected = (4 * one[0] + 2 * one[1] + one[2]) / 7
    torch.testing.assert_close(make()(levels, target), expected)
    torch.testing.assert_close(make()(tuple(levels[:1]), target), one[0])


@every_loss
def test_it_survives_pickle_and_deepcopy(make, batch):
    logits, target = batch(3)
    loss = make()
    expected = loss(logits.requires_grad_(), target)
    assert copy.deepcopy(loss)(logits, target) == expected
    assert pickle.loads(pickle.dumps(loss))(logits, target) == expected


@every_loss
def test_another_void_index_is_left_out(make, batch):
    logits, target = batch(3)
    expected = make()(logits, target)
    loss = make()
    loss.ignore_index = -100
    torch.testing.assert_close(loss(logits, target.masked_fill(target == VOID, -100)), expected)


@every_loss
@both_tasks
def test_alone_it_trains_a_network(make, channels, draw_blobs):
    torch.manual_seed(0)
    image, target = draw_blobs(np.random.default_rng(1), (32, 32), max(2, channels), 3)
    image = torch.from_numpy(image).float().movedim(-1, 0)[None] / 128 - 1
    target = torch.from_numpy(target)[None].long()
    target[:, 0] = VOID
    model = nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, channels, 3, padding=1)
    )
    loss, optimizer = make(), torch.optim.Adam(model.parameters(), 0.02)
    first = loss(model(image), target).item()
    for _ in range(200):
        optimizer.zero_grad()
        last = loss(model(image), target)
        last.backward()
        optimizer.step()
    assert last < 0.6 * first
    counts, predicted = target != VOID, decide(activate(model(image)))
    for c in range(1, max(2, channels)):
        found, true = (predicted == c) & counts, target == c
        assert 2 * (found & true).sum() / (found.sum() + true.sum()) > 0.9


def test_logits_and_target_of_other_sizes_are_refused(batch):
    logits, target = batch(3)
    with pytest.raises(TrainingError, match=r"\(3, 3, 9, 7\) and target \(3, 9, 6\)"):
        CombinedLoss()(logits, target[..., :6])
    with pytest.raises(TrainingError, match="do not fit"):
        CombinedLoss()([logits, logits[..., ::2, ::2]], target)


def test_activation_and_decodes_give_class_indices(batch):
    loss = CombinedLoss()
    for channels in (1, 4):
        logits, _ = batch(channels)
        probs = loss.activation(logits)
        assert probs.min() >= 0
        assert probs.max() <= 1
        decoded = loss.decodes(probs)
        assert decoded.shape == (3, 9, 7)
        assert decoded.dtype == torch.int64
        expected = (logits[:, 0] > 0).long() if channels == 1 else logits.argmax(1)
        torch.testing.assert_close(decoded, expected)
        torch.testing.assert_close(decide(logits, threshold=0), expected)
