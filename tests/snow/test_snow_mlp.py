"""The perceptron of a pixel and its surroundings: what it sees, and that drawn pixels fit the whole."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage

from icectl_snow_mlp import SnowMLPTrain
from icectl_snow_mlp.network import SIDES, PixelLearner, SnowMLP, gather, surroundings

SIZE = (70, 64)


@pytest.fixture
def frames():
    return torch.rand(2, 3, *SIZE, generator=torch.Generator().manual_seed(0))


def every(count=2):
    return torch.arange(SIZE[0] * SIZE[1]).expand(count, -1)


def test_surroundings_are_means_of_squares_and_their_differences(frames):
    found = surroundings(frames, every()).unbind(1)
    assert len(found) == 3 * len(SIDES) - 2
    inner = (slice(None), slice(None), slice(32, -32), slice(32, -31))
    for side, at in zip(SIDES, (0, 1, 4, 7), strict=True):
        mean = ndimage.uniform_filter(frames.numpy(), (0, 0, side, side), mode="nearest")
        np.testing.assert_allclose(found[at].unflatten(2, SIZE)[inner], mean[inner] - 0.3, atol=1e-5)
        if at:
            away = side // 2 + 1
            for k, axis in ((1, 2), (2, 3)):
                more = np.roll(mean, -away, axis) - np.roll(mean, away, axis)
                np.testing.assert_allclose(found[at + k].unflatten(2, SIZE)[inner], more[inner], atol=1e-5)


def test_a_square_that_leaves_the_window_is_the_mean_of_what_lies_inside(frames):
    corner = surroundings(frames, torch.zeros(2, 1, dtype=torch.long))[:, 0]
    np.testing.assert_allclose(corner[..., 0], frames[..., :2, :2].mean((-1, -2)) - 0.3, atol=1e-5)


def built(**given):
    options = SnowMLPTrain(**given)
    model = SnowMLP()
    torch.manual_seed(0)
    return model.build(options, {}).eval(), options, model


def test_drawn_pixels_are_those_of_the_whole_forecast():
    forecaster, _, _ = built(patch=24)
    past, season, phase = torch.rand(2, 4, 24, 24), torch.tensor([[0, 1, 2, 3]] * 2), torch.rand(2, 4)
    whole = forecaster(past, season, phase)
    place = torch.randint(24 * 24, (2, 9))
    frames, guide = forecaster.told(past, season, phase)
    some = forecaster.network.at(place, frames, gather(guide.flatten(1, 2), place).unflatten(1, (4, -1)))
    torch.testing.assert_close(some, gather(whole, place))


def test_the_loss_of_drawn_pixels_is_that_of_the_whole_on_average():
    forecaster, options, model = built(patch=24)
    learner = model.learner(forecaster, options, {})
    assert isinstance(learner, PixelLearner)
    batch = {
        "past": torch.rand(8, 4, 24, 24), "future": torch.rand(8, 4, 24, 24),
        "valid": torch.rand(8, 4, 24, 24) > 0.3,
        "season": torch.tensor([[0, 1, 2, 3]] * 8), "phase": torch.rand(8, 4),
    }  # fmt: skip
    draws = torch.Generator().manual_seed(1)

    class Stand:
        """Stands in for a training's context: means over what is valid, and draws."""

        training = True

        def uniform(self, count):
            return torch.rand(8, count, generator=draws)

        def mean(self, errors, mask):
            return errors[mask].mean()

    context = Stand()
    with torch.no_grad():
        drawn = float(torch.stack([learner.loss(batch, context) for _ in range(60)]).mean())
        context.training = False
        whole = float(learner.loss(batch, context))
    assert drawn == pytest.approx(whole, rel=0.02)
