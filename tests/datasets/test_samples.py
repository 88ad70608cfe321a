"""All data sets to try things on stand in one place."""

import fastunet
from fastunet.datasets import download, samples, synthetic


def test_samples_offers_what_is_drawn_and_what_is_fetched():
    made = {"nuclei": synthetic, "parcels": synthetic, "camvid": download, "voc2012": download}
    for name, module in made.items():
        assert getattr(samples, name) is getattr(module, name)
    assert fastunet.samples is samples
    assert all(hasattr(samples, name) for name in samples.__all__)
