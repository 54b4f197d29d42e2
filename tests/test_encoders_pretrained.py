"""ResNet-18 from a file of weights with torchvision's names."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from msam_lib.data import Modality
from msam_lib.errors import MsamError
from msam_lib.models import build_encoder

STRIDES = (1, 2, 2, 2)


def norm_state(name, n, g):
    state = {f"{name}.{k}": torch.randn(n, generator=g) for k in ("weight", "bias", "running_mean")}
    state[f"{name}.running_var"] = 0.5 + torch.rand(n, generator=g)
    return state | {f"{name}.num_batches_tracked": torch.tensor(7)}


def torchvision_state(width=64, channels=3, seed=0):
    """A state dict with the names and shapes of torchvision's resnet18."""
    g = torch.Generator().manual_seed(seed)

    def conv(a, b, k):
        return torch.randn(b, a, k, k, generator=g) * (2 / (b * k * k)) ** 0.5

    state = {"conv1.weight": conv(channels, width, 7)} | norm_state("bn1", width, g)
    a = width
    for i, stride in enumerate(STRIDES, 1):
        b = width * 2 ** (i - 1)
        for j in (0, 1):
            block = f"layer{i}.{j}"
            state |= {f"{block}.conv1.weight": conv(a, b, 3)} | norm_state(f"{block}.bn1", b, g)
            state |= {f"{block}.conv2.weight": conv(b, b, 3)} | norm_state(f"{block}.bn2", b, g)
            if j == 0 and stride == 2:
                state |= {f"{block}.downsample.0.weight": conv(a, b, 1)}
                state |= norm_state(f"{block}.downsample.1", b, g)
            a = b
    return state | {"fc.weight": torch.zeros(10, 8 * width), "fc.bias": torch.zeros(10)}


def reference(s, x):
    """torchvision's forward pass in evaluation mode, before the classifier."""

    def norm(x, name):
        mean, var = s[f"{name}.running_mean"], s[f"{name}.running_var"]
        return F.batch_norm(x, mean, var, s[f"{name}.weight"], s[f"{name}.bias"])

    x = F.relu(norm(F.conv2d(x, s["conv1.weight"], stride=2, padding=3), "bn1"))
    x = F.max_pool2d(x, 3, 2, 1)
    for i, first in enumerate(STRIDES, 1):
        for j in (0, 1):
            block, stride = f"layer{i}.{j}", first if j == 0 else 1
            y = F.conv2d(x, s[f"{block}.conv1.weight"], stride=stride, padding=1)
            y = F.conv2d(F.relu(norm(y, f"{block}.bn1")), s[f"{block}.conv2.weight"], padding=1)
            if f"{block}.downsample.0.weight" in s:
                x = F.conv2d(x, s[f"{block}.downsample.0.weight"], stride=stride)
                x = norm(x, f"{block}.downsample.1")
            x = F.relu(norm(y, f"{block}.bn2") + x)
    return F.adaptive_avg_pool2d(x, 1).flatten(1)


def encoder(path, shape=(3, 40, 40), width=64, **options):
    return build_encoder(Modality("image", shape), "resnet18", width=width, weights=path, **options)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    state = torchvision_state()
    path = tmp_path_factory.mktemp("weights") / "resnet18.pt"
    torch.save(state, path)
    return path, state


def test_the_weights_give_torchvisions_features(saved):
    path, state = saved
    net = encoder(path).eval()
    x = torch.randn(2, 3, 40, 40)
    expected = reference(state, x)
    assert expected.std() > 0.1
    assert torch.allclose(net(x), expected, rtol=1e-4, atol=1e-4)
    assert int(net.stem[1].num_batches_tracked) == 7


@pytest.mark.parametrize("channels", [1, 2])
def test_other_channels_answer_a_grey_image_alike(saved, channels):
    path, state = saved
    net, grey = encoder(path, (channels, 40, 40)).eval(), torch.randn(2, 1, 40, 40)
    expected = reference(state, grey.expand(-1, 3, -1, -1))
    assert torch.allclose(net(grey.expand(-1, channels, -1, -1)), expected, rtol=1e-4, atol=1e-4)


def test_frames_of_a_video_share_the_weights(saved):
    path, state = saved
    video = Modality("video", (2, 3, 40, 40))
    net = build_encoder(video, "resnet18", width=64, weights=path, trainable="last:1").eval()
    x = torch.randn(1, 2, 3, 40, 40)
    assert torch.allclose(net(x)[0], reference(state, x[0]).mean(0), rtol=1e-4, atol=1e-4)
    assert not net.encoder.stem[0].weight.requires_grad


@pytest.mark.parametrize("wrapping", ["state_dict", "model", "module."])
def test_usual_wrappings_are_opened(tmp_path, wrapping):
    state = {k: v for k, v in torchvision_state(2).items() if "tracked" not in k}
    inner = {f"module.{k}": v for k, v in state.items()}
    torch.save(inner if wrapping == "module." else {wrapping: inner, "epoch": 3}, tmp_path / "a.pt")
    net = encoder(tmp_path / "a.pt", width=2).eval()
    x = torch.randn(1, 3, 33, 33)
    assert torch.allclose(net(x), reference(state, x), rtol=1e-4, atol=1e-4)


def test_safetensors_are_read(tmp_path):
    safetensors = pytest.importorskip("safetensors.torch")
    state = torchvision_state(2)
    safetensors.save_file(state, tmp_path / "a.safetensors")
    net, x = encoder(tmp_path / "a.safetensors", width=2).eval(), torch.randn(1, 3, 33, 33)
    assert torch.allclose(net(x), reference(state, x), rtol=1e-4, atol=1e-4)


class Evil:
    def __reduce__(self):
        return (print, ("never executed",))


def without(*names):
    return {k: v for k, v in torchvision_state(2).items() if k not in names}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (without("layer2.0.bn1.bias"), r"lacks layer2\.0\.bn1\.bias"),
        (torchvision_state(2) | {"layer1.2.conv1.weight": torch.ones(1)}, r"layer1\.2\.conv1"),
        (torchvision_state(4), r"conv1\.weight \(4, 3, 7, 7\), needs \(2, 3, 7, 7\).*width=64"),
        (torchvision_state(2) | {"conv1.weight": torch.ones(2, 3, 3, 3)}, r"\(2, 3, 3, 3\), needs"),
        ([1, 2], "holds a list"),
        ({"bn1.weight": "text"}, "not tensors by name"),
        (Evil(), "cannot be read as weights"),
    ],
)
def test_mismatches_are_named(tmp_path, content, message, capsys):
    torch.save(content, tmp_path / "a.pt")
    with pytest.raises(MsamError, match=message):
        encoder(tmp_path / "a.pt", width=2)
    assert "never executed" not in capsys.readouterr().out


def test_files_that_are_none_are_named(tmp_path):
    with pytest.raises(MsamError, match="is not there"):
        encoder(tmp_path / "none.pt")
    (tmp_path / "a.pt").write_bytes(b"not weights")
    with pytest.raises(MsamError, match="cannot be read as weights"):
        encoder(tmp_path / "a.pt")
