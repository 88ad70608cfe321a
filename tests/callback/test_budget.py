"""A one-cycle that fits a wall-clock budget."""

from hypothesis import given
from hypothesis import strategies as st

from fastunet.callback.budget import Timing, schedule, short_epochs
from fastunet.data.block import ImageMaskDataLoaders


@given(
    st.floats(0.001, 2), st.floats(0.001, 2), st.floats(1, 3600), st.integers(1, 500),
    st.integers(1, 100),
)  # fmt: skip
def test_a_schedule_fills_the_time_and_does_not_exceed_it(train, valid, seconds, n, n_valid):
    plan = schedule(Timing(train, valid), seconds, n, n_valid)
    assert plan.epochs >= 1
    assert 1 <= plan.batches <= n
    shortest = train + n_valid * valid
    if shortest < 0.95 * seconds / plan.epochs:
        assert plan.seconds <= seconds
        one_more_batch_each = plan.seconds + plan.epochs * train
        assert one_more_batch_each > 0.94 * seconds or plan.batches == n
    else:
        assert plan.batches == 1


def test_short_epochs_draw_from_all_images(write_pairs):
    dls = ImageMaskDataLoaders.from_folder(write_pairs(20), size=16, bs=2, device="cpu")
    seen = []
    with short_epochs(dls, 3):
        assert len(dls.train) == 3
        for _ in range(30):
            seen.append(tuple(dls.train.get_idxs()))
            assert len(list(dls.train)) == 3
    assert {len(epoch) for epoch in seen} == {6}
    assert set().union(*seen) == set(range(16))
    assert len(dls.train) == 8
