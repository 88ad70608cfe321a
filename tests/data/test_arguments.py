"""What is asked of the loaders beside the plan's options."""

import pytest
import torch

from fastunet.data.arguments import check_objects, device_of
from fastunet.errors import OptionError


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (("codec.json", None, 0, ()), "codec='codec.json'; a MaskCodec was expected"),
        ((None, {"size": 64}, 0, ()), "a Preprocess was expected"),
        ((None, None, 2.5, ()), "num_workers=2.5; a whole number was expected"),
        ((None, None, 0, [len, "flip"]), "batch_tfms='flip' is no batch transform"),
    ],
)
def test_what_it_cannot_be_is_refused_by_name(given, message):
    with pytest.raises(OptionError, match=message):
        check_objects(*given)


def test_batches_go_where_it_is_said_and_else_to_the_default():
    cpu, meta = torch.device("cpu"), torch.device("meta")
    assert device_of(None, cpu) == cpu
    assert device_of("cpu", meta) == device_of(cpu, meta) == cpu
    with pytest.raises(OptionError, match=r"device='gpu' is unknown; \"cpu\", \"cuda\" or \"mps\""):
        device_of("gpu", cpu)
