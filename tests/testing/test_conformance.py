"""Every registered model of ours passes the suite that we ship."""

from __future__ import annotations

from icectl.testing import PluginTests


class TestConvLSTM(PluginTests):
    name = "convlstm"
