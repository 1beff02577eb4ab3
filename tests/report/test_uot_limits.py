import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread

from gsp_tf.pooling.uot import SOLVERS, UOTPooling
from gsp_tf.report.uot_limits import draw_uot_limits, plain_pooling


@pytest.mark.parametrize("solver", SOLVERS[:2])
class TestPlainPooling:
    def test_is_the_layers_where_both_are_in_range(self, solver, rng):
        features = rng.normal(size=(7, 4))
        for alpha1 in (0.2, 1.0, 5.0):
            expected = UOTPooling(solver, alpha1=alpha1, dtype="float64")(features[np.newaxis])[0]
            np.testing.assert_allclose(plain_pooling(features, alpha1, solver), expected, atol=1e-9)

    def test_of_float32_is_computed_in_float32(self, solver, rng):
        assert plain_pooling(rng.normal(size=(7, 4)).astype(np.float32), 1.0, solver).dtype == np.float32

    def test_only_sinkhorn_leaves_the_range_as_the_regulariser_vanishes(self, solver, rng):
        features = rng.normal(size=(49, 8)).astype(np.float32)
        for alpha1 in (1e-2, 1e-4, 1e-5):
            with np.errstate(all="ignore"):
                finite = np.isfinite(plain_pooling(features, alpha1, solver))
            assert not np.any(finite) if solver == "sinkhorn" else np.all(finite)
            # In the log domain either stays, and with it the gradient: tests/transport/test_unbalanced.py.
            assert np.all(np.isfinite(UOTPooling(solver, alpha1=alpha1)(features[np.newaxis])))

    def test_large_features_leave_the_range_of_either(self, solver):
        # The kernel of a channel far below the others underflows to zeros; ADMM's is of X/ρ, with ρ = 1.
        features = np.array([[0.0, -200.0], [1.0, -300.0]], np.float32)
        with np.errstate(all="ignore"):
            pooled = plain_pooling(features, 1.0, solver)
        assert not np.isfinite(pooled[1])
        assert np.all(np.isfinite(UOTPooling(solver)(features[np.newaxis])))


def test_the_picture(tmp_path, monkeypatch):
    drawn, save = [], Figure.savefig
    monkeypatch.setattr(Figure, "savefig", lambda self, *a, **k: (drawn.append(self), save(self, *a, **k)))
    draw_uot_limits(tmp_path / "limits.png")
    pixels = imread(tmp_path / "limits.png")
    assert pixels.shape[1] > 1000 and np.ptp(pixels[..., :3]) > 0.5
    assert [file.name for file in tmp_path.iterdir()] == ["limits.png"]
    panels = drawn[0].axes
    assert [len(axes.lines) for axes in panels] == [3, 3, 2, 5]
    for axes in panels[:3]:
        for line in axes.lines:
            differences = line.get_ydata()
            assert differences[0] > 0.1 and differences[-1] < 1e-4
            assert all(np.diff(differences) <= 0)
    finite = [line.get_ydata() for line in panels[3].lines]
    assert all(np.all(values == 100) for values in [*finite[:3], finite[4]])
    assert finite[3][0] == 100 and finite[3][-1] == 0
