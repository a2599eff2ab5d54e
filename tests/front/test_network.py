"""Networks by parameter count and one pass; the loss against its formula; the learner's parts."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import pytest
import torch

from icectl.tasks.front.model import Ports
from icectl.tasks.front.network.learner import WARM_UP, FrontLearner, Trained, front_loss, soft_iou
from icectl.training import cosine_rate
from icectl_deeplab_xception import DeepLabTrain
from icectl_deeplab_xception.calfin import Calfin
from icectl_deeplab_xception.model import DeepLabXception
from icectl_front_unet import FrontUNetTrain
from icectl_front_unet.model import FrontUNet


def parameters(network):
    return sum(p.numel() for p in network.parameters() if p.requires_grad)


def built(model, train, **chosen):
    options = train(**chosen)
    return model().network(Ports(), options).eval(), options


def test_calfins_layout_has_its_parameters():
    network, options = built(DeepLabXception, DeepLabTrain, preset="calfin")
    assert options.rates == (1, 2, 3, 4, 5)
    assert parameters(network) == 29_316_387  # Cheng et al.'s training script
    with torch.inference_mode():
        assert network(torch.zeros(1, 3, 64, 64)).shape == (1, 2, 64, 64)


def test_the_paper_preset_is_xception65_with_five_small_rates():
    network, options = built(DeepLabXception, DeepLabTrain, preset="paper")
    assert (options.network, options.rates, options.crop) == ("tu-xception65", (1, 2, 3, 4, 5), (224, 224))
    assert (options.weight_decay, options.lr, options.batch_size) == (0.0, 1e-4, 16)  # Adam
    assert sum(p.numel() for p in network.encoder.parameters()) == 37_867_312
    with torch.inference_mode():
        assert network(torch.zeros(1, 3, 64, 64)).shape == (1, 2, 64, 64)


@pytest.mark.parametrize("preset", ["small", "best"])
def test_deeplab_is_an_xception_with_separable_convolutions_at_every_preset(preset):
    network, _ = built(DeepLabXception, DeepLabTrain, preset=preset)
    assert isinstance(network, Calfin)
    depthwise = [m for m in network.modules() if isinstance(m, torch.nn.Conv2d) and m.groups > 1]
    assert len(depthwise) == 3 * (3 + 3 + 2) + 3 + 2  # blocks, pyramid, decoder
    assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in network.modules())
    assert parameters(network) < 2e6
    with torch.inference_mode():
        assert network(torch.zeros(1, 3, 96, 64)).shape == (1, 2, 96, 64)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["tu-xception41", "tu-xception71"])
def test_other_encoders_run_at_224(name):
    network, _ = built(DeepLabXception, DeepLabTrain, network=name)
    with torch.inference_mode():
        assert network(torch.zeros(1, 3, 224, 224)).shape == (1, 2, 224, 224)


@pytest.mark.parametrize("plain", [False, True])
def test_small_networks_keep_the_size(plain):
    network, _ = built(FrontUNet, FrontUNetTrain, width=8, plain=plain)
    assert network(torch.zeros(2, 3, 96, 64)).shape == (2, 2, 96, 64)


def goal(edge, mask=None):
    y = torch.zeros(1, 4, 4, 4)
    y[0, 0], y[0, 2] = edge, 1
    if mask is not None:
        y[0, 1], y[0, 3] = mask, 1
    return y


def test_loss_is_the_papers_formula():
    torch.manual_seed(0)
    logits, edge, mask = torch.randn(1, 2, 4, 4), torch.zeros(4, 4), torch.zeros(4, 4)
    edge[1], mask[2:] = 1, 1
    expected = 0.0
    for share, truth, z in ((25 / 26, edge, logits[0, 0]), (1 / 26, mask, logits[0, 1])):
        p = 1 / (1 + torch.exp(-z))
        bce = -(truth * p.log() + (1 - truth) * (1 - p).log()).mean()
        iou = (p * truth).sum() / (p + truth - p * truth).sum()
        expected += share * float(bce - iou.log())
    assert float(front_loss(logits, goal(edge, mask))["loss"]) == pytest.approx(expected, rel=1e-4)


def test_a_front_without_mask_trains_the_edge_alone():
    logits = torch.zeros(1, 2, 4, 4, requires_grad=True)
    edge = torch.zeros(4, 4)
    edge[1] = 1
    front_loss(logits, goal(edge))["loss"].sum().backward()
    assert logits.grad[0, 1].abs().sum() == 0
    assert logits.grad[0, 0].abs().sum() > 0


def test_pixels_without_weight_do_not_count():
    y = goal(torch.eye(4))
    y[0, 2, :, 2:] = 0
    z = torch.zeros(1, 2, 4, 4)
    other = z.clone()
    other[0, 0, :, 2:] = 9
    assert torch.equal(front_loss(z, y)["loss"], front_loss(other, y)["loss"])


def test_soft_overlap_of_equal_sets_is_one():
    x = torch.eye(5)[None, None]
    assert float(soft_iou(x, x, torch.ones_like(x))) == pytest.approx(1.0)


def test_running_mean_follows_and_is_what_is_used():
    options = FrontUNetTrain(width=8, average=0.9)
    network = FrontUNet().build(options, {})
    learner = FrontLearner(network, options, {"seen": ["a"]})
    with torch.no_grad():
        for p in learner.network.parameters():
            p.add_(1.0)
    before = next(learner.best.parameters()).clone()
    learner._follow(100)
    after = next(learner.best.parameters())
    torch.testing.assert_close(after - before, torch.full_like(after, 0.1), rtol=1e-3, atol=1e-4)
    facts = learner.describe()
    assert facts["seen"] == ["a"]
    again = FrontUNet().build(options, {})
    again.load_state_dict(FrontUNet().kept(learner.modules.state_dict(), facts))
    trained = Trained(again)
    x = np.random.default_rng(0).random((2, 3, 32, 32)).astype(np.float32)
    learner.best.eval()
    with torch.inference_mode():
        expected = learner.best(torch.from_numpy(x)).sigmoid().numpy()
    np.testing.assert_allclose(trained(x), expected, atol=1e-6)


def test_schedule_warms_up_and_ends_at_zero():
    rate = partial(cosine_rate, total=1000, warm=WARM_UP)
    assert rate(0) == pytest.approx(1 / 50, rel=0.01)
    assert rate(500) == pytest.approx(0.5, abs=0.01)
    assert rate(1000) == pytest.approx(0.0, abs=1e-9)
    assert math.isclose(max(rate(s) for s in range(1000)), rate(49), rel_tol=0.01)
