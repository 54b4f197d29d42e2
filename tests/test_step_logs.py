"""What the steps logged: means over the epoch, and no waiting for an accelerator."""

import math

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from msam_lib.training._step_logs import EVERY, StepLogs

CPU, ACCELERATOR = torch.device("cpu"), torch.device("cuda")


class Reads(TorchDispatchMode):
    """Counts how often a number is read from a tensor: on an accelerator each one waits."""

    count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.count += func is torch.ops.aten._local_scalar_dense.default
        return func(*args, **kwargs or {})


@pytest.mark.parametrize("device", [CPU, ACCELERATOR], ids=lambda d: d.type)
def test_means_over_the_steps(device):
    steps = StepLogs(device)
    for k in range(7):
        steps.add({"loss": torch.tensor(float(k)), "share/x1": 2.0 * k})
    assert steps.means() == {"loss": 3.0, "share/x1": 6.0}


def test_on_the_cpu_a_bad_loss_is_seen_in_its_step():
    steps = StepLogs(CPU)
    steps.add({"loss": torch.tensor(1.0)})
    assert steps.bad_loss() is None
    steps.add({"loss": torch.tensor(math.inf)})
    assert steps.bad_loss() == math.inf


def test_an_accelerator_is_asked_once_in_many_steps_and_at_the_end():
    steps = StepLogs(ACCELERATOR)
    seen = {}
    with Reads() as reads:
        for k in range(1, EVERY + 10):
            steps.add({"loss": torch.tensor(math.nan if k == 3 else 1.0), "share/x1": 0.5})
            if (bad := steps.bad_loss()) is not None:
                seen[k] = bad
    assert reads.count == 1
    assert list(seen) == [EVERY]
    assert math.isnan(seen[EVERY])
    assert math.isnan(steps.bad_loss(last=True))
