"""The encoding of masks: the one that explains them best, or a question to the user."""

from fastunet.masks.encodings.choice import ENCODINGS, understand
from fastunet.masks.encodings.reading import UserStatement
from fastunet.masks.statistics import MaskSetStats

RED = (255, 0, 0)


def test_every_encoding_says_what_it_is_and_has_a_fit(tmp_path, discs, write, cut_out):
    every_stats = [
        MaskSetStats.of([write(tmp_path / "a.png", discs(1, 2))], progress=False),
        MaskSetStats.of([write(tmp_path / "b.png", cut_out(discs(1), RED))], progress=False),
    ]
    for encoding in ENCODINGS:
        assert encoding.__doc__
        for stats in every_stats:
            reading = encoding(stats, UserStatement())
            assert reading is None or (0 < reading.fit <= 1 and reading.meaning)
    assert understand(every_stats[0], UserStatement()).stats.codes == [0, 1, 2]
