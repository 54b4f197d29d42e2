"""Shared fixtures: fixed seeds, one thread, no network, and small models of every kind."""

from __future__ import annotations

import os
import socket

import pytest
import torch

os.environ.setdefault("MPLBACKEND", "agg")
# Of kernels and other processes that tests start: several threads each on few cores wait for
# each other most of the time.
os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(autouse=True)
def fixed_seed():
    torch.manual_seed(0)
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    """Nothing in the suite may need a download; the loopback address stays open for Jupyter's
    kernels.
    """
    connect = socket.socket.connect

    def guarded(self, address):
        if isinstance(address, tuple) and address[0] not in ("127.0.0.1", "localhost", "::1"):
            raise OSError(f"A test tried to reach {address}: tests run without a network.")
        return connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)
