"""SVG: parameter counts of the reference, no leak of the future, losses, both recurrences."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from icectl.errors import DataError
from icectl_svg import SVGTrain, plugin
from icectl_svg.layers import Decoder, Encoder
from icectl_svg.learner import MARGIN, Critic, SVGLearner, around_peak, decorrelation, peak_mask, squared
from icectl_svg.network import SVGModel, sizes
from icectl_svg.recurrent import Gaussian, Predictor, divergence, draw
from icectl_svg.selection import told, unit
from icectl_svg.svg import SVG, Sizes, picker


def count(module):
    return sum(p.numel() for p in module.parameters())


def small(**more):
    plain = {
        "size": 32, "vector": 8, "latent": 4, "hidden": 8, "predictor_layers": 1, "gaussian_layers": 1,
        "width": 4, "norm": "group", "skip": "attention",
    }  # fmt: skip
    return SVG(Sizes(**{**plain, **more}))


def quiet(frames):
    return lambda latent: frames.new_zeros(len(frames), latent)


def test_parameter_counts_of_the_reference():
    assert count(Encoder(1, 128, 128)) == 8_001_216
    assert count(Decoder(1, 128, 128)) == 14_948_673
    assert count(Encoder(7, 128, 128)) == 8_007_360
    assert count(Decoder(7, 128, 128)) == 14_960_967
    assert count(Encoder(1, 64, 128)) == 3_805_376
    assert count(Decoder(1, 64, 128)) == 6_558_529


def test_recurrent_counts_of_the_reference_and_the_paper():
    assert count(Predictor(128, 10, 128, 256, 2, False)) == 1_121_152
    assert count(Gaussian(128, 10, 256, 1, False)) == 564_500
    assert count(Predictor(128, 128, 128, 128, 2, False)) == 313_600
    assert count(Gaussian(128, 128, 128, 2, False)) == 313_728


def test_presets_have_the_sizes_they_are_named_after():
    paper = sizes(SVGTrain(preset="paper"), 128)
    assert (paper.latent, paper.hidden, paper.predictor_layers, paper.width, paper.norm) == (
        128,
        128,
        2,
        64,
        "batch",
    )
    assert SVGTrain(preset="paper").past == 8
    assert (paper.latent_map, SVGTrain(preset="reference").fixed.latent_map) == (0, 0)
    reference = SVGTrain(preset="reference")
    assert (reference.fixed.latent, reference.fixed.hidden, reference.beta, reference.batch_size) == (
        10,
        256,
        1e-4,
        100,
    )
    assert SVGTrain(preset="paper", past=2).past == 2


def test_paper_preset_makes_one_forward_pass():
    torch.manual_seed(0)
    network = SVG(sizes(SVGTrain(preset="paper"), 128))
    frames = torch.rand(2, 4, 1, 128, 128)
    days = torch.arange(4.0).expand(2, -1)
    with torch.no_grad():
        passed = network(frames, days, 2, quiet(frames), teach=True, every=True, latent="posterior")
    assert passed.frames.shape == (2, 3, 1, 128, 128)
    assert passed.steps == (1, 2, 3)
    assert 0 <= float(passed.frames.min()) <= float(passed.frames.max()) <= 1


def test_weights_of_options_that_are_gone_are_refused_in_a_sentence():
    run = SimpleNamespace(plugin=plugin, options={})
    with pytest.raises(DataError, match="trained with options that 'svg' no longer has"):
        SVGModel().trained_options(run, {"options": {"latent_map": 4}})


@pytest.mark.parametrize("recurrence", ["lstm", "convlstm"])
@pytest.mark.parametrize("skip", ["last", "attention"])
@pytest.mark.parametrize("latent_map", [0, 3])
def test_generation_has_two_frames_and_gradients_reach_all(recurrence, skip, latent_map):
    torch.manual_seed(0)
    network = small(recurrence=recurrence, skip=skip, latent_map=latent_map)
    frames = torch.randn(3, 5, 1, 32, 32)
    days = torch.tensor([0.0, 8, 24, 32, 48]).expand(3, -1)
    assert network.generate(frames[:, :3], days, quiet(frames)).shape == (3, 2, 1, 32, 32)
    torch.nn.init.normal_(network.decoder.last.weight, 0, 0.02)
    passed = network(frames, days, 3, lambda k: torch.randn(3, k), teach=False, every=False, latent="prior")
    (squared(passed.frames, frames[:, list(passed.steps)]).mean() + passed.divergence.mean()).backward()
    assert passed.steps == (3, 4)
    missing = [n for n, p in network.named_parameters() if p.grad is None]
    assert not missing


@pytest.mark.parametrize("latent_map", [0, 3])
def test_attention_begins_as_a_mixture_of_past_frames(latent_map):
    torch.manual_seed(0)
    network = small(latent_map=latent_map)
    frames = torch.randn(2, 4, 1, 32, 32)
    made = network.generate(frames, torch.arange(6.0).expand(2, -1), quiet(frames))
    low, high = frames.amin(1, keepdim=True) - 1e-5, frames.amax(1, keepdim=True) + 1e-5
    bias = network.decoder.last.bias.detach()
    assert ((made - bias >= low) & (made - bias <= high)).all()


def series(n, bad, seed=0, count=6):
    """Windows of one texture each with noise; frames numbered `bad` show something else, as cloud."""
    rng = torch.Generator().manual_seed(seed)
    base = torch.randn(n, 1, 1, 32, 32, generator=rng)
    frames = base + 0.5 * torch.randn(n, count, 1, 32, 32, generator=rng)
    frames[:, bad] = torch.randn(n, len(bad), 1, 32, 32, generator=rng)
    cloud = torch.zeros(n, count)
    cloud[:, bad] = 0.8
    return frames, torch.arange(count, 0.0, -1).expand(n, -1), cloud, base


def test_fitted_weights_leave_out_cloud_on_dates_that_they_were_not_fitted_on():
    torch.manual_seed(0)
    network = small()
    frames, lags, cloud, base = series(64, [1, 3])
    truth = (unit(frames) @ unit(base).transpose(1, 2))[..., 0]
    network.selection.fit(told(frames, lags, cloud), truth)
    other, lags, cloud, _ = series(16, [0, 4, 5], seed=1)
    share = network.selection.explicit(told(other, lags, cloud)).exp().detach()
    assert float(share[:, [0, 4, 5]].sum(1).max()) < 0.1
    assert float(share[:, [1, 2, 3]].min()) > 0.2
    days = torch.arange(8.0).expand(16, -1)
    made = network.generate(other, days, quiet(other), cloud)[:, -1, 0]
    mean = other[:, [1, 2, 3]].mean(1)[:, 0]
    assert np.corrcoef(made.detach().flatten(), mean.flatten())[0, 1] > 0.97


def test_a_frame_that_is_not_there_changes_nothing():
    torch.manual_seed(0)
    network = small()
    frames, lags, cloud, _ = series(4, [2])
    with torch.no_grad():
        for weight in (network.selection.first, network.selection.second, network.selection.whole):
            weight.normal_(0, 0.3)
    expected = network.selection.explicit(told(frames[:, 1:], lags[:, 1:], cloud[:, 1:]))
    cloud[:, 0] = torch.nan
    found = network.selection.explicit(told(frames, lags, cloud))
    torch.testing.assert_close(found[:, 1:], expected)
    assert float(found[:, 0].detach().exp().max()) < 1e-6


def test_training_is_kept_only_if_it_betters_the_fitted_weights_by_a_margin():
    network = small()
    learner = SVGLearner(network, SVGTrain(), {"updates": 1})
    frames, _, cloud, _ = series(8, [1])
    batch = {"frames": frames, "days": torch.arange(6.0).expand(8, -1), "cloud": cloud}
    assert learner.begin([batch])

    class Plain:
        average = staticmethod(lambda parts: {k: float(v) for k, v in next(iter(parts))[0].items()})

    first, second = (learner.validate([batch], Plain()) for _ in range(2))
    assert first["score"] == second["score"]
    assert second["loss"] - first["loss"] == pytest.approx(MARGIN, abs=1e-6)


@pytest.mark.parametrize("latent_map", [0, 3])
def test_nothing_of_the_future_reaches_the_forecast(latent_map):
    """The forecast from past frames alone equals a training pass whose future frames are noise."""
    torch.manual_seed(0)
    network = small(latent_map=latent_map).eval()
    past = torch.randn(2, 3, 1, 32, 32)
    days = torch.tensor([0.0, 8, 16, 24, 32]).expand(2, -1)
    made = network.generate(past, days, quiet(past))
    for seed in (1, 2):
        future = torch.randn(2, 2, 1, 32, 32, generator=torch.Generator().manual_seed(seed))
        frames = torch.cat([past, future], 1)
        passed = network(frames, days, 3, quiet(past), teach=False, every=False, latent="prior")
        torch.testing.assert_close(passed.frames, made)


def test_a_latent_map_changes_its_own_place_and_the_posterior_sees_the_truth():
    torch.manual_seed(0)
    network = small(latent_map=3, size=64).eval()
    torch.nn.init.normal_(network.decoder.last.weight, 0, 0.02)
    past = torch.randn(1, 3, 1, 64, 64)
    days = torch.tensor([[0.0, 8, 16, 24, 32]])
    corner = torch.zeros(1, 3, 4, 4)
    corner[..., 0, 0] = 5
    plain, moved = (
        network.generate(past, days, lambda k, z=z: z.reshape(1, k))[0, 0, 0]
        for z in (torch.zeros_like(corner), corner)
    )
    change = (moved - plain).abs()
    assert change[:16, :16].mean() > 20 * change[48:, 48:].mean()
    quiet_noise = quiet(past)
    mode = {"teach": False, "every": False, "latent": "posterior"}
    one, other = (
        network(torch.cat([past, torch.randn(1, 2, 1, 64, 64)], 1), days, 3, quiet_noise, **mode)
        for _ in range(2)
    )
    assert (one.frames - other.frames).abs().max() > 1e-4
    assert float(one.divergence.detach()) > 0


def test_by_chance_a_sample_takes_the_posteriors_draw_or_the_priors_mean():
    p, q = ((torch.full((4, 2), mean), torch.zeros(4, 2)) for mean in (1.0, 5.0))
    draws = iter([torch.tensor([[1.0], [-1], [2], [-2]]), *(torch.full((4, 2), 0.5) for _ in range(3))])
    pick = picker(lambda k: next(draws), "both")
    np.testing.assert_array_equal(pick(p, q, True)[:, 0], [5.5, 1, 5.5, 1])
    np.testing.assert_array_equal(pick(p, q, False)[:, 0], 4 * [5.5])
    assert float(picker(lambda k: 0.5, "prior")(p, q, True)[0, 0]) == 1.5
    assert float(picker(lambda k: 0.5, "posterior")(p, q, True)[0, 0]) == 5.5
    assert float(picker(lambda k: 0.5, "posterior")(p, None, True)[0, 0]) == 1.5


def test_divergence_equals_torch():
    torch.manual_seed(0)
    (m1, v1, m2, v2) = torch.randn(4, 5, 3).unbind(0)
    normal = torch.distributions.Normal
    expected = torch.distributions.kl_divergence(normal(m1, (v1 / 2).exp()), normal(m2, (v2 / 2).exp())).sum(
        1
    )
    torch.testing.assert_close(divergence((m1, v1), (m2, v2)), expected)


def test_draw_has_the_moments_asked_for():
    mean, log_variance = torch.full((20_000, 1), 3.0), torch.full((20_000, 1), float(np.log(4.0)))
    drawn = draw((mean, log_variance), torch.randn(20_000, 1, generator=torch.Generator().manual_seed(0)))
    assert float(drawn.mean()) == pytest.approx(3, abs=0.06)
    assert float(drawn.std()) == pytest.approx(2, abs=0.06)


def test_peak_mask_is_a_disc_around_the_brightest_place():
    truth = torch.zeros(1, 2, 1, 32, 32)
    truth[0, 0, 0, 10:15, 20:25] = 1
    truth[0, 1, 0, 3, 3] = 0.1
    disc = peak_mask(truth, 4)
    rows, cols = np.mgrid[:32, :32]
    np.testing.assert_array_equal(disc[0, 0, 0].numpy(), (rows - 12) ** 2 + (cols - 22) ** 2 <= 16)
    made = truth.clone()
    made[0, 0, 0, 12, 22] += 2
    assert float(around_peak(made, truth, 4)) == pytest.approx(4 / float(disc[0, 0].sum()))
    made = truth.clone()
    made[0, 0, 0, 30, 2] += 2  # far from the peak
    assert float(around_peak(made, truth, 4)) == 0


def test_decorrelation_equals_numpy():
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((2, 3, 2, 1, 16, 16)).astype(np.float32)
    expected = [
        sum(1 - np.corrcoef(a[i, t].ravel(), b[i, t].ravel())[0, 1] for t in range(2)) for i in range(3)
    ]
    np.testing.assert_allclose(decorrelation(torch.tensor(a), torch.tensor(b)).numpy(), expected, atol=1e-4)


def test_critic_scores_each_sample():
    frames = torch.randn(3, 2, 1, 32, 32)
    assert Critic(1)(frames).shape == (3,)
