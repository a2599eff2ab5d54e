"""The networks: the papers' parameter counts, the cells against torch and against equation 2, gradients."""

from __future__ import annotations

from datetime import date
from importlib import import_module

import numpy as np
import pytest
import torch

from icectl.tasks.snow.baselines import baselines
from icectl.tasks.snow.networks.forecaster import DROPOUT, Forecaster, linear_frames
from icectl.tasks.snow.networks.recurrent import PeepholeLSTM, PlainLSTM
from icectl.tasks.snow.train import CLIP
from icectl_salstm.network import SelfAttention

PAPERS = ["lstm", "convlstm", "unet", "salstm"]
NAMES = [*PAPERS, "snow-mlp"]


def model_of(name):
    plugin = import_module(f"icectl_{name.replace('-', '_')}").plugin
    module, kind = plugin.model.split(":")
    return plugin, getattr(import_module(module), kind)()


def build(name, **given):
    plugin, model = model_of(name)
    options = plugin.stages["train"].model_validate(given)
    return model.build(options, {}), options


@pytest.mark.parametrize(
    ("name", "preset", "count"),
    [
        ("lstm", "reference", 300_120_000),
        ("salstm", "reference", 200_072_500),
        ("unet", "reference", 31_036_481),
        ("convlstm", "reference", 842_233),
        ("lstm", "paper", 300_120_000 + 6 * 3 * 2500),  # three diagonal peepholes a unit
        ("salstm", "paper", 200_072_500 + 3 * 3 * 2500),
        ("unet", "paper", 31_036_481),
        ("convlstm", "paper", 842_233),
    ],
)
def test_parameter_counts(name, preset, count):
    with torch.device("meta"):
        forecaster, _ = build(name, preset=preset)
    assert sum(p.numel() for p in forecaster.network.parameters()) == count


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("given", [{}, {"head": "product"}, {"head": "plain", "guides": ()}])
def test_small_networks_predict_and_learn(name, given):
    forecaster, options = build(name, patch=24, **given)
    assert isinstance(forecaster, Forecaster)
    past, season, phase = torch.rand(2, 4, 24, 24), torch.tensor([[0, 1, 2, 3]] * 2), torch.rand(2, 4)
    forecast = forecaster(past, season, phase)
    assert forecast.shape == (2, options.future, 24, 24)
    forecast.square().mean().backward()
    still = [n for n, p in forecaster.named_parameters() if p.grad is None or not p.grad.isfinite().all()]
    assert still == []


@pytest.mark.parametrize("name", NAMES)
def test_sizes_that_no_fold_divides(name):
    forecaster, _ = build(name, patch=23)
    season = torch.zeros(1, 4, dtype=torch.long)
    assert forecaster(torch.rand(1, 4, 23, 23), season, torch.rand(1, 4)).shape == (
        1, 4, 23, 23,
    )  # fmt: skip


@pytest.mark.parametrize("name", ["lstm", "salstm", "unet"])
def test_true_frames_are_fed_back_after_their_lead(name):
    """A lead sees the true frames before it, never its own or a later one."""
    sizes = {"widths": (4, 8)} if name == "unet" else {"layers": 1}
    forecaster, _ = build(name, preset="paper", patch=10, **sizes)
    forecaster.eval()
    past, season, phase = torch.rand(2, 4, 10, 10), torch.tensor([[0, 1, 2, 3]] * 2), torch.rand(2, 4)
    own = forecaster(past, season, phase)
    true = torch.rand(2, 4, 10, 10)
    fed = forecaster(past, season, phase, teacher=true)
    torch.testing.assert_close(fed[:, 0], own[:, 0])
    assert (fed[:, 1:] - own[:, 1:]).abs().amax(dim=(0, 2, 3)).min() > 1e-6
    later = true.clone()
    later[:, 2:] = torch.rand(2, 2, 10, 10)
    again = forecaster(past, season, phase, teacher=later)
    torch.testing.assert_close(again[:, :3], fed[:, :3])
    assert (again[:, 3] - fed[:, 3]).abs().max() > 1e-6


def test_plain_lstm_equals_torch():
    ours = PlainLSTM(5, 7, 2, torch.nn.Identity())
    theirs = torch.nn.LSTM(5, 7, 2, batch_first=True)
    for depth in range(2):
        for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
            getattr(theirs, f"{kind}_l{depth}").data = getattr(ours.layers[depth], f"{kind}_l0").data
    x = torch.randn(3, 4, 5)
    torch.testing.assert_close(ours(x)[0], theirs(x)[0])


def test_peephole_lstm_without_peepholes_equals_torch():
    ours = PeepholeLSTM(5, 7, 1, torch.nn.Identity())
    theirs = torch.nn.LSTM(5, 7, 1, batch_first=True)
    cell = ours.cells[0]
    theirs.weight_ih_l0.data, theirs.bias_ih_l0.data = cell.from_input.weight.data, cell.from_input.bias.data
    theirs.weight_hh_l0.data, theirs.bias_hh_l0.data = (
        cell.from_hidden.weight.data,
        cell.from_hidden.bias.data,
    )
    x = torch.randn(3, 4, 5)
    torch.testing.assert_close(ours(x)[0], theirs(x)[0])
    cell.peep.data[2] = 1.0  # the output gate now sees the new cell state
    assert (ours(x)[0] - theirs(x)[0]).abs().max() > 1e-3


def test_peepholes_follow_gers_2002():
    """One unit by hand: input and forget gates see the old state, the output gate the new one."""
    lstm = PeepholeLSTM(1, 1, 1, torch.nn.Identity())
    cell = lstm.cells[0]
    for p in cell.parameters():
        p.data.fill_(0.0)
    cell.from_input.weight.data[:] = torch.tensor([[0.3], [0.2], [0.9], [0.1]])  # i f g o
    cell.peep.data[:] = torch.tensor([[0.5], [-0.4], [0.7]])
    h, c = torch.tensor([[0.1]]), torch.tensor([[0.6]])
    got, new = cell(torch.tensor([[1.0]]), h, c)
    s, t = torch.sigmoid, torch.tanh
    expected = s(torch.tensor(0.2 - 0.4 * 0.6)) * 0.6 + s(torch.tensor(0.3 + 0.5 * 0.6)) * t(
        torch.tensor(0.9)
    )
    torch.testing.assert_close(new[0, 0], expected)
    torch.testing.assert_close(got[0, 0], s(0.1 + 0.7 * expected) * t(expected))


def test_attention_equals_torch():
    ours = SelfAttention(8, 2, torch.nn.Identity())
    theirs = torch.nn.MultiheadAttention(8, 2, batch_first=True)
    theirs.in_proj_weight.data, theirs.in_proj_bias.data = ours.to_qkv.weight.data, ours.to_qkv.bias.data
    theirs.out_proj.weight.data, theirs.out_proj.bias.data = ours.out.weight.data, ours.out.bias.data
    x = torch.randn(3, 4, 8)
    torch.testing.assert_close(ours(x), theirs(x, x, x, need_weights=False)[0])


def test_linear_guide_is_the_linear_baseline():
    days = [date(2013 + k // 4, 3 * (k % 4) + 1, 1) for k in range(8)]
    rng = np.random.default_rng(0)
    past, coefficients = rng.random((4, 6, 5), dtype="f4"), rng.standard_normal((4, 10))
    expected = baselines(past, days[:4], days[4:], coefficients)["linear"]
    got = linear_frames(torch.from_numpy(past)[None], torch.from_numpy(coefficients))[0]
    np.testing.assert_allclose(got.numpy(), expected, atol=1e-5)


@pytest.mark.parametrize("name", PAPERS)
def test_table_1(name):
    """Learning rate, weight decay, epochs and batch of both published presets, from the paper's Table 1."""
    from icectl.settings import find, read_toml

    (row,) = [r for r in read_toml(find("published", "mueller2023"))["table1"] if r["model"] == name]
    kind = model_of(name)[0].stages["train"]
    for preset in ("paper", "reference"):
        options = kind.model_validate({"preset": preset})
        assert (options.lr, options.weight_decay) == (row["learning_rate"], row["weight_decay"])
        assert (options.epochs, options.batch_size) == (row["epochs"], row["batch_size"])
        assert (CLIP, DROPOUT, options.validate_every) == (3.0, 0.1, 100)
        assert (options.head, options.guides, options.updates, options.mix_years) == ("plain", (), None, 0.0)


@pytest.mark.parametrize("name", ["lstm", "salstm"])
def test_a_good_guide_does_not_drown_what_can_still_be_learnt(name, monkeypatch):
    """Where one guide is nearly right, its weight grows; it must not saturate, or nothing learns any more."""
    torch.manual_seed(0)
    monkeypatch.setattr("icectl.tasks.snow.networks.forecaster.DROPOUT", 0.0)
    forecaster, options = build(name, patch=20)
    coefficients = torch.zeros(4, 10)
    coefficients[:, :4] = torch.eye(4)  # the guide: each frame comes again
    forecaster.set_linear(coefficients)
    optimizer = torch.optim.AdamW(forecaster.parameters(), lr=5 * options.lr)
    season, phase = torch.tensor([[0, 1, 2, 3]] * 4), torch.rand(4, 4)
    drawn = torch.Generator().manual_seed(1)
    for _ in range(40):
        past = torch.rand(4, 4, 20, 20, generator=drawn)
        loss = (forecaster(past, season, phase) - (0.98 * past + 0.01)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    gradient = torch.cat([p.grad.flatten() for p in forecaster.parameters() if p.grad is not None]).norm()
    assert gradient > 1e-5, f"{name}: loss {loss.item():.2e}, gradient {gradient.item():.1e}"
