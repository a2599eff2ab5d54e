"""Applying a trained network: evaluation mode, precision, no gradients."""

from __future__ import annotations

import numpy as np
import pytest
import tiny
import torch

from icectl.run import Compute
from icectl.training import inference, resolve


@pytest.mark.parametrize(
    ("precision", "tolerance"),
    [("32-true", 1e-6), ("64-true", 1e-6), ("bf16-mixed", 0.05), ("bf16-true", 0.05)],
)
def test_every_precision_gives_the_network_in_evaluation_mode(precision: str, tolerance: float) -> None:
    network = tiny.Masked().modules
    x = np.random.default_rng(0).normal(size=(3, 2, 8, 8)).astype("float32")
    expected = network.eval()(torch.from_numpy(x)).detach()
    network.train()
    with inference(network, resolve(Compute(device="cpu", precision=precision))) as apply:
        found = apply(x)
    assert found.dtype == (torch.float64 if precision == "64-true" else torch.float32)
    assert not found.requires_grad
    np.testing.assert_allclose(found, expected, atol=tolerance)
