"""The options of a network are those of its constructor."""

import pytest
from torch import nn

from fastunet.errors import ArchitectureError
from fastunet.models.network_options import checked_options


class Network(nn.Module):
    def __init__(
        self,
        depth: int,
        dropout: float = 0.0,
        residual: bool = False,
        norm: str = "batch",
        **others: object,
    ):
        given = locals()
        super().__init__()
        self.config = checked_options(Network, given)


def test_they_are_kept_by_name_in_the_order_of_the_signature():
    config = Network(residual=True, depth=2, blur=True).config
    expected = {"depth": 2, "dropout": 0.0, "residual": True, "norm": "batch"}
    assert list(config.items()) == [*expected.items(), ("others", {"blur": True})]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"depth": 0}, "Network's depth is 0; a whole number from 1 on was expected"),
        ({"depth": 2.0}, r"depth is 2\.0; a whole number"),
        ({"dropout": 1}, "dropout is 1; a share from 0 to below 1 was expected"),
        ({"residual": 1}, "residual is 1; True or False was expected"),
    ],
)
def test_numbers_and_switches_are_checked_by_their_type(wrong, message):
    with pytest.raises(ArchitectureError, match=message):
        Network(**{"depth": 1, **wrong})
