"""What tests of pictures share."""

import pytest
from matplotlib.figure import Figure


@pytest.fixture
def drawn(monkeypatch):
    """The figures that were saved, drawn."""
    saved = []
    save = Figure.savefig

    def saving(self, *arguments, **options):
        save(self, *arguments, **options)
        saved.append(self)

    monkeypatch.setattr(Figure, "savefig", saving)
    return saved
