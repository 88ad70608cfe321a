"""Empty files, for what only names decide."""

import pytest


@pytest.fixture(scope="session")  # so that Hypothesis may use it
def touch():
    """Make empty files below a folder."""

    def make(root, *names):
        for name in names:
            file = root / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch()

    return make
