"""What a learner is handed: masked means, keyed draws, precision, and the modes beneath a network."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tiny
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.functional import dropout

from icectl.run import Compute
from icectl.training import fabric as fabrics
from icectl.training.context import Context
from icectl.training.devices import resolve
from icectl.training.modes import Keys, Mode, has_dropout, places


def context(precision: str = "32-true") -> Context:
    return Context(fabrics.build(resolve(Compute(device="cpu", precision=precision)), several=False), seed=1)


def test_mean_ignores_what_is_masked() -> None:
    errors = torch.tensor([[1.0, 2.0], [float("nan"), 5.0]])
    mask = torch.tensor([[True, True], [False, True]])
    assert float(context().mean(errors, mask)) == pytest.approx(8 / 3)
    assert float(context().mean(errors[:1], torch.tensor([[0.5, 1.5]]))) == pytest.approx((0.5 + 3) / 2)
    assert float(context().mean(errors[:1])) == 1.5
    assert float(context().mean(errors[1:, :1], torch.tensor([[False]]))) == 0.0  # nothing valid


def test_mean_broadcasts_its_mask_and_widens_half_floats() -> None:
    errors = torch.full((3, 4, 5), 300.0, dtype=torch.float16)  # the sum is beyond float16
    mask = torch.tensor([True, False, True]).view(3, 1, 1)
    assert float(context().mean(errors, mask)) == 300.0


def test_average_weighs_by_samples() -> None:
    parts = [({"loss": torch.tensor(1.0)}, 3), ({"loss": torch.tensor(5.0)}, 1)]
    assert context().average(parts) == {"loss": 2.0}


def test_noise_is_keyed_by_step_draw_and_sample() -> None:
    one = context()

    def draws(step: int, indices: list[int]) -> list[torch.Tensor]:
        with one.at(step, 0, indices):
            return [one.noise(4), one.noise(4), one.uniform(4)]

    first, other, split = draws(5, [3, 8]), draws(6, [3, 8]), draws(5, [8])
    assert torch.equal(first[0][1:], split[0])
    assert torch.equal(first[2][1:], split[2])
    assert not torch.equal(first[0], first[1])
    assert not torch.equal(first[0], other[0])
    assert first[0].shape == (2, 4)


def test_batches_take_the_type_of_the_precision() -> None:
    batch = {"x": torch.zeros(2, 1), "mask": torch.ones(2, 1, dtype=torch.bool), "index": torch.arange(2)}
    put = context("64-true").put(batch)
    assert put["x"].dtype == torch.float64
    assert put["mask"].dtype == torch.bool
    assert put["index"].dtype == torch.int64
    with context("bf16-mixed").at(0, 0, [0, 1]):
        assert (nn.Linear(1, 1)(batch["x"])).dtype == torch.bfloat16


def test_keyed_dropout_belongs_to_the_sample_and_keeps_the_mean() -> None:
    x = torch.ones(64, 8, 16, 16)
    with Mode(False, Keys(0, 7, list(range(64)))):
        whole = nn.Dropout(0.3)(x)
        channels = nn.Dropout2d(0.3)(x)
    with Mode(False, Keys(0, 7, list(range(32, 64)))):
        half = F.dropout(x[32:], 0.3)
    assert torch.equal(whole[32:], half)
    assert float(whole.mean()) == pytest.approx(1.0, abs=0.01)
    assert float((whole == 0).float().mean()) == pytest.approx(0.3, abs=0.01)
    assert torch.equal(channels.amax((2, 3)), channels.amin((2, 3)))
    assert channels.unique().tolist() == [0.0, pytest.approx(1 / 0.7)]


def test_keyed_dropout_takes_samples_times_times_and_is_off_in_evaluation() -> None:
    x = torch.ones(6, 10)  # two samples of three times each
    with Mode(False, Keys(0, 1, [4, 9])):
        both = F.dropout(x)
        assert F.dropout(x, training=False) is x
    with Mode(False, Keys(0, 1, [9])):
        assert torch.equal(both[3:], F.dropout(x[3:]))
    assert has_dropout(tiny.Masked().modules)
    assert not has_dropout(tiny.Masked(0.0).modules)


class ByName(nn.Module):
    """A network that calls the function which its module imported."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return dropout(x, 0.5)


def test_a_function_that_a_networks_module_imported_is_keyed_and_given_back() -> None:
    x, network = torch.ones(4, 100), ByName()
    found = places(network.modules())
    with Mode(False, Keys(0, 1, [0, 1, 2, 3]), found):
        whole = network(x)
    with pytest.raises(KeyError), Mode(False, Keys(0, 1, [2, 3]), found):
        assert torch.equal(network(x[2:]), whole[2:])
        raise KeyError
    assert dropout is F.dropout
    assert dropout.__module__ == "torch.nn.functional"


def test_synced_batch_norm_of_one_process_is_torchs(tmp_path: Path) -> None:
    """With a group of one process our own statistics must give torch's result and gradients."""
    import torch.distributed as dist

    from icectl.training.modes import synced_batch_norm

    dist.init_process_group("gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1)
    try:
        torch.manual_seed(0)
        x = (torch.randn(5, 3, 4, 4, dtype=torch.float64) * 3 + 100).requires_grad_()
        results = []
        for function in (F.batch_norm, synced_batch_norm):
            weight, bias = (torch.full((3,), v, dtype=torch.float64, requires_grad=True) for v in (1.5, 0.5))
            mean, variance = torch.zeros(3, dtype=torch.float64), torch.ones(3, dtype=torch.float64)
            x.grad = None
            out = function(x, mean, variance, weight, bias, training=True, momentum=0.3, eps=1e-4)
            (out * torch.arange(out.numel(), dtype=torch.float64).view_as(out).sin()).sum().backward()
            results.append([out, x.grad.clone(), weight.grad, bias.grad, mean, variance])
        for ours, theirs in zip(*results, strict=True):
            np.testing.assert_allclose(ours.detach(), theirs.detach(), rtol=1e-9, atol=1e-11)
    finally:
        dist.destroy_process_group()


def test_a_gradient_that_one_process_lacks_is_half_of_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three parameters: both processes have the first, the other alone the second, nobody the third."""
    from icectl.training import context

    mine = [torch.nn.Parameter(torch.zeros(2)) for _ in range(3)]
    mine[0].grad = torch.tensor([1.0, 2.0])
    theirs = torch.tensor([3.0, 4.0, 5.0, 6.0, 0.0, 0.0, 1.0, 1.0, 0.0])  # gradients, then who has one

    def add(flat: torch.Tensor) -> None:
        flat += theirs

    monkeypatch.setattr(context.dist, "all_reduce", add)
    context.average_gradients(mine, world=2)
    assert mine[0].grad.tolist() == [2.0, 3.0]
    assert mine[1].grad is not None
    assert mine[1].grad.tolist() == [2.5, 3.0]
    assert mine[2].grad is None


def test_gradients_are_averaged_in_buckets_of_bounded_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """One bucket would hold a copy of all gradients at once, and two types do not share one."""
    from icectl.training import context

    sizes = (6, 3, 4, 20, 1, 1)
    kinds = [torch.float32] * 5 + [torch.float64]
    mine = [nn.Parameter(torch.zeros(n, dtype=kind)) for n, kind in zip(sizes, kinds, strict=True)]
    for number, parameter in enumerate(mine):
        parameter.grad = torch.full_like(parameter, number)
    sent = []

    def double(flat: torch.Tensor) -> None:
        sent.append(flat.numel())
        flat *= 2

    monkeypatch.setattr(context, "_BUCKET", 9 * 4)
    monkeypatch.setattr(context.dist, "all_reduce", double)
    context.average_gradients([*mine, nn.Parameter(torch.zeros(9), requires_grad=False)], world=2)
    assert sent == [6 + 3 + 2, 4 + 1, 20 + 1, 1 + 1, 1 + 1]  # each with a number for every gradient
    for number, parameter in enumerate(mine):
        assert parameter.grad.tolist() == [number] * parameter.numel()
