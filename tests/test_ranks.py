"""Several ranks take the steps of one process. tools/ranks.py has the whole table."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import torch.multiprocessing as mp

from msam_lib._utils._streams import Streams
from msam_lib._utils.world import world
from msam_lib.cli.main import main
from msam_lib.data import BatchLoader
from msam_lib.data.loader import PADDING
from msam_lib.errors import MsamError
from msam_lib.training import list_runs
from tests import ranks_jobs as jobs
from tests.gradients import gradient, moved, scaled
from tests.helpers import weights
from tools.ranks import Case, data_of, trained

ROOT = Path(__file__).resolve().parents[1]
LIMIT = 120  # seconds, on a machine that is busy with other things


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("ranks")


@pytest.fixture(scope="module")
def two(folder):
    """What two processes found, rank by rank."""
    running = mp.spawn(jobs.work, (2, str(folder)), nprocs=2, join=False)
    end = time.monotonic() + LIMIT
    while not running.join(timeout=1):
        if time.monotonic() > end:
            for process in running.processes:
                process.kill()
            pytest.fail(f"the ranks were still waiting for each other after {LIMIT} s")
    return [torch.load(folder / f"{r}.pt", weights_only=True) for r in range(2)]


def both(two, name):
    """The results of both ranks; the test fails with the error of the first job that had one."""
    for found in two:
        for key, value in found.items():
            assert not (isinstance(value, str) and "Traceback" in value), f"{key}: {value}"
    return [found[name] for found in two]


@pytest.mark.parametrize("case", jobs.subset(), ids=str)
def test_two_ranks_equal_one_process(two, case):
    alone = trained(case)
    for found in both(two, f"global {case}"):
        assert float((found - alone).abs().max()) < 1e-6


@pytest.mark.parametrize("case", jobs.EMPTY, ids=str)
def test_a_rank_without_samples_changes_nothing(two, case):
    alone = trained(case, batch_size=14)
    for found in both(two, f"empty {case}"):
        assert float((found - alone).abs().max()) < 1e-6


@pytest.mark.parametrize("case", jobs.NOISY, ids=str)
def test_dropout_batch_norm_and_noise_leave_the_ranks_equal(two, case):
    one, other = both(two, f"noise {case}")
    assert torch.equal(one, other)


@pytest.mark.parametrize("case", jobs.TWO_PASSES, ids=str)
def test_local_first_passes_leave_the_ranks_equal(two, case):
    one, other = both(two, f"local {case}")
    assert torch.equal(one, other)
    assert float((one - trained(case)).abs().max()) > 1e-6


def m_sharpness(case, share_of_second):
    """One step by hand: every rank climbs along its own gradient, the gradients there are
    averaged.
    """
    model = jobs.start(case)[0]
    before, total = weights(model), {}
    for part, share in zip(jobs.halves(), (5 / 9, 4 / 9), strict=True):
        here = gradient(model, part)
        there = gradient(moved(model, scaled(here, 0.05)), part)
        v = share_of_second
        for k in before:
            total[k] = total.get(k, 0) + share * ((1 - v) * here[k] + v * there[k])
    return {k: p - 0.1 * total[k] for k, p in before.items()}


def shares_of_whole(case):
    """v_d of M-SAM's step on the whole batch."""
    model, method, _ = jobs.start(case)
    method.step(model, data_of(2)[0][:9], torch.optim.SGD(model.parameters(), lr=0.0))
    return float(method.dominance.largest)


def test_local_sam_is_m_sharpness(two):
    case = Case("sam", {}, "late", 2)
    expected = m_sharpness(case, 1.0)
    for found in both(two, f"step {case}"):
        assert max(float((found[k] - p).abs().max()) for k, p in expected.items()) < 1e-6


def test_local_msam_is_m_sharpness_with_the_whole_batch_in_the_shares(two):
    case = Case("msam", {"reading": "literal", "contribution": "softmax"}, "late", 2)
    v = shares_of_whole(case)
    assert 0 < v < 1
    expected = m_sharpness(case, v)
    for found in both(two, f"step {case}"):
        assert max(float((found[k] - p).abs().max()) for k, p in expected.items()) < 1e-6


def test_wrapped_models_are_refused_with_what_to_do(two):
    for found in both(two, "refusals"):
        for text, name in zip(
            found, ["DistributedDataParallel", "DistributedDataParallel", "FSDP"], strict=True
        ):
            assert name in text and "without the wrapper" in text and "torchrun" in text


def test_a_resumed_run_is_the_uninterrupted_one_bit_for_bit(two, folder):
    for found in both(two, "resumed"):
        for key, value in found["whole"].items():
            assert torch.equal(found["parts"][key], value), key
    csv = [(folder / name / "metrics.csv").read_text() for name in ("whole", "parts")]
    assert csv[0] == csv[1]
    assert [f["rows"] for f in both(two, "resumed")] == [len(csv[0].splitlines()) - 1] * 2
    assert all((folder / name / "DONE").exists() for name in ("whole", "parts"))


def test_a_run_is_not_resumed_on_another_number_of_ranks(two, folder):
    both(two, "resumed")
    with pytest.raises(MsamError, match="torchrun --nproc-per-node 2"):
        jobs.trainer(folder / "whole").fit(4)


@pytest.mark.parametrize("ranks", [2, 3, 5])
def test_parts_are_the_batch_and_none_is_a_single_sample(ranks):
    loader = BatchLoader(data_of(2)[0], 14, shuffle=True, seed=1)  # batches of 14, 14 and 3
    whole = list(loader)
    parts = jobs.parts_of(loader, ranks)
    for number, batch in enumerate(whole):
        mine = [p[number] for p in parts]
        real = [p for p in mine if int(p.index[0]) != PADDING]
        assert torch.equal(torch.cat([p.index for p in real]), batch.index)
        assert torch.equal(torch.cat([p.inputs["x2"] for p in real]), batch.inputs["x2"])
        assert all(len(p.targets) >= 2 for p in mine)
        assert len(real) == min(ranks, len(batch.targets) // 2)


def test_one_process_gets_back_what_it_gives():
    x = torch.ones(2)
    with world.batch(3, x.device, list):
        assert world.part is None and world.mean(x) is x and world.sum(x) is x
        assert world.count(3) == 3 and world.total(x) is x
    assert (world.size, world.rank, world.first, world.from_first(x)) == (1, 0, True, x)


def test_streams_of_random_numbers():
    device, own, noise, later = torch.device("cpu"), [], [], []
    for rank in (0, 1):
        torch.manual_seed(3)
        streams = Streams(device, rank)
        own.append(torch.rand(2 + rank)[:2])  # dropout: as many as the rank has samples
        with streams.shared():
            noise.append(torch.rand(4))
        own.append(torch.rand(2))
        streams.close()
        later.append(torch.rand(4))
    assert torch.equal(*noise) and torch.equal(*later)  # one for all ranks
    assert len({tuple(x.tolist()) for x in own}) == 4
    torch.manual_seed(3)
    assert torch.equal(torch.rand(4), noise[0])  # what one process draws
    # without dropout the next numbers are those of one process, too; with it they move on
    assert not torch.equal(torch.rand(4), later[0])
    torch.manual_seed(3)
    Streams(device, 1).close()
    assert torch.equal(torch.rand(4), noise[0])


def test_torchrun_trains_from_the_command_line(tmp_path):
    sizes = ["--data-options", "n_train=61", "n_val=20", "n_test=20", "--epochs", "1"]
    common = ["--preset", "smoke", "--dataset", "synthetic", "--device", "cpu", "--encoder", "mlp"]
    command = ["train", *common, *sizes, "--method", "msam", "--store"]
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    whole = [*torchrun, "--nproc-per-node", "2", "-m", "msam_lib", *command, str(tmp_path / "two")]
    options = {"capture_output": True, "text": True, "cwd": ROOT, "timeout": LIMIT}
    done = subprocess.run(whole, **options)
    # Seen once in hundreds: threads of torch itself bring a process down as it leaves.
    if "terminate called without an active exception" in done.stderr:
        done = subprocess.run(whole, **options)
    assert done.returncode == 0, done.stderr
    assert "2 ranks" in done.stdout and done.stdout.count("kept in") == 1
    assert main([*command, str(tmp_path / "one")]) == 0
    one, two = (list_runs(tmp_path / k)[0].load("model.pt") for k in ("one", "two"))
    assert max(float((one[k].float() - v.float()).abs().max()) for k, v in two.items()) < 1e-6


def test_only_train_starts_on_several_ranks(monkeypatch, capsys):
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert main(["list", "methods"]) == 2
    assert "only `train` works on several ranks" in capsys.readouterr().err
