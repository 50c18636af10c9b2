"""Activations, losses and distances as layers, against PyTorch's of the same name and arguments."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import lucid
from lucid import nn
from lucid.errors import ArgumentError, ArgumentTypeError, LucidError, ShapeError
from lucid.nn import functional as F

RNG = np.random.default_rng(5)
X = RNG.standard_normal((4, 6)).astype(np.float32)
Y = RNG.standard_normal((4, 6)).astype(np.float32)
IMAGES = RNG.standard_normal((2, 3, 4, 4)).astype(np.float32)
P = np.abs(X) / (np.abs(X) + 1)
BITS = (RNG.random((4, 6)) > 0.5).astype(np.float32)
SIGNS = BITS * 2 - 1
CLASSES = np.array([0, 5, 2, 2])
WEIGHTS = np.linspace(0.5, 2.0, 6, dtype=np.float32)
LABELS = np.array([[1, 3, -1, 0, 0, 0], [-1, 1, 2, 3, 4, 5], [0, 1, 2, 3, 4, 5], [5, -1, -1, -1, -1, -1]])

ACTIVATIONS: list[tuple[str, dict[str, Any]]] = [
    ("ReLU", {"inplace": True}), ("ReLU6", {}), ("Hardtanh", {"min_val": -0.3, "max_val": 0.7}), ("Hardtanh", {}),
    ("LeakyReLU", {"negative_slope": 0.2}), ("ELU", {"alpha": 1.5}), ("CELU", {"alpha": 0.7}), ("SELU", {}),
    ("SiLU", {"inplace": True}), ("Mish", {}), ("Softplus", {"beta": 2.0, "threshold": 1.0}), ("LogSigmoid", {}),
    ("Sigmoid", {}), ("Tanh", {}), ("Hardsigmoid", {}), ("Hardswish", {}), ("Hardshrink", {"lambd": 0.4}),
    ("Softshrink", {"lambd": 0.4}), ("Softsign", {}), ("Tanhshrink", {}),
    ("Threshold", {"threshold": 0.1, "value": 7.0}),
    ("GELU", {}), ("GELU", {"approximate": "tanh"}), ("PReLU", {}), ("PReLU", {"num_parameters": 6, "init": 0.1}),
    ("GLU", {}), ("GLU", {"dim": 0}), ("Softmax", {"dim": 1}), ("Softmin", {"dim": 0}), ("LogSoftmax", {"dim": 1}),
]  # fmt: skip

LOSSES: list[tuple[str, dict[str, Any], tuple[np.ndarray, ...]]] = [
    ("L1Loss", {}, (X, Y)), ("MSELoss", {"reduction": "sum"}, (X, Y)), ("SmoothL1Loss", {"beta": 0.5}, (X, Y)),
    ("HuberLoss", {"delta": 0.5}, (X, Y)), ("BCELoss", {"weight": WEIGHTS}, (P, BITS)),
    ("BCEWithLogitsLoss", {"pos_weight": WEIGHTS, "weight": WEIGHTS[::-1].copy()}, (X, BITS)),
    ("NLLLoss", {"weight": WEIGHTS, "ignore_index": 2}, (X, CLASSES)),
    ("CrossEntropyLoss", {"weight": WEIGHTS, "ignore_index": 2, "label_smoothing": 0.1}, (X, CLASSES)),
    ("CrossEntropyLoss", {"weight": WEIGHTS, "label_smoothing": 0.1}, (X, P)),
    ("CrossEntropyLoss", {"weight": WEIGHTS, "reduction": "none"}, (X, CLASSES)),
    ("KLDivLoss", {"reduction": "batchmean"}, (X, P)), ("KLDivLoss", {"reduction": "sum", "log_target": True}, (X, Y)),
    ("PoissonNLLLoss", {"full": True}, (X, np.abs(Y) * 3)), ("PoissonNLLLoss", {"log_input": False}, (P, np.abs(Y))),
    ("GaussianNLLLoss", {"full": True}, (X, Y, P)), ("SoftMarginLoss", {}, (X, SIGNS)),
    ("MultiLabelSoftMarginLoss", {"weight": WEIGHTS}, (X, BITS)), ("MultiLabelMarginLoss", {}, (X, LABELS)),
    ("MultiMarginLoss", {"p": 2, "margin": 0.7, "weight": WEIGHTS}, (X, CLASSES)),
    ("HingeEmbeddingLoss", {"margin": 0.5}, (X, SIGNS)),
    ("CosineEmbeddingLoss", {"margin": 0.1}, (X, Y, SIGNS[:, 0])),
    ("MarginRankingLoss", {"margin": 0.1}, (X, Y, SIGNS)), ("TripletMarginLoss", {"swap": True}, (X, Y, P)),
    ("TripletMarginLoss", {"p": 3.0, "margin": 2.0}, (X, Y, P)), ("TripletMarginWithDistanceLoss", {}, (X, Y, P)),
    ("PairwiseDistance", {"p": 1.0, "keepdim": True}, (X, Y)), ("CosineSimilarity", {"dim": 0}, (X, Y)),
]  # fmt: skip


def agree(name: str, options: dict[str, Any], arrays: tuple[np.ndarray, ...], compiled: bool) -> None:
    torch = pytest.importorskip("torch")
    theirs = getattr(torch.nn, name)(
        **{k: torch.tensor(v) if isinstance(v, np.ndarray) else v for k, v in options.items()}
    )
    ours = getattr(nn, name)(**{k: lucid.tensor(v) if isinstance(v, np.ndarray) else v for k, v in options.items()})
    grad = [a.dtype.kind == "f" for a in arrays]
    grad = [
        g and (k == 0 or "Loss" not in name or name.startswith(("Triplet", "Cosine", "Margin")))
        for k, g in enumerate(grad)
    ]
    a = [torch.tensor(x, requires_grad=g) for x, g in zip(arrays, grad, strict=True)]
    b = [lucid.tensor(x, requires_grad=g) for x, g in zip(arrays, grad, strict=True)]
    expected = theirs(*[t.clone() for t in a])
    found = (lucid.compile(ours) if compiled else ours)(*b)
    np.testing.assert_allclose(found.detach().numpy(), expected.detach().numpy(), rtol=2e-6, atol=2e-6)
    expected.sum().backward()
    found.sum().backward()
    for x, y in zip(a, b, strict=True):
        if x.requires_grad and x.grad is not None:
            assert y.grad is not None
            np.testing.assert_allclose(y.grad.numpy(), x.grad.numpy(), rtol=1e-5, atol=2e-6)
    for (key, p), q in zip(theirs.named_parameters(), ours.parameters(), strict=True):
        assert q.name == key
        np.testing.assert_allclose(q.grad.numpy(), p.grad.numpy(), rtol=1e-5, atol=2e-5)
    assert list(ours.state_dict()) == list(theirs.state_dict())


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
@pytest.mark.parametrize(("name", "options"), ACTIVATIONS)
def test_activations(name: str, options: dict[str, Any], compiled: bool) -> None:
    agree(name, options, (X,), compiled)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
@pytest.mark.parametrize(("name", "options", "arrays"), LOSSES)
def test_losses(name: str, options: dict[str, Any], arrays: tuple[np.ndarray, ...], compiled: bool) -> None:
    agree(name, options, arrays, compiled)


LINES = RNG.standard_normal((4, 6, 5)).astype(np.float32)
VOLUMES = RNG.standard_normal((2, 6, 3, 2, 4)).astype(np.float32)
PICTURES = RNG.standard_normal((3, 6, 4, 5)).astype(np.float32)

NORMS: list[tuple[str, tuple[Any, ...], dict[str, Any], np.ndarray]] = [
    ("BatchNorm1d", (6,), {}, X), ("BatchNorm1d", (6,), {"momentum": None}, LINES), ("BatchNorm2d", (6,), {}, PICTURES),
    ("BatchNorm3d", (6,), {"affine": False}, VOLUMES), ("BatchNorm3d", (6,), {"track_running_stats": False}, VOLUMES),
    ("InstanceNorm1d", (6,), {}, LINES), ("InstanceNorm1d", (4,), {"affine": True}, LINES[:, 0, :4].T.copy()[:4]),
    ("InstanceNorm2d", (6,), {"affine": True, "track_running_stats": True}, PICTURES),
    ("InstanceNorm3d", (6,), {"track_running_stats": True, "momentum": 0.3}, VOLUMES),
    ("LayerNorm", (5,), {}, LINES), ("LayerNorm", ((4, 5),), {"bias": False}, PICTURES),
    ("LayerNorm", (6,), {"elementwise_affine": False, "eps": 0.1}, X), ("RMSNorm", ((6, 5),), {}, LINES),
    ("RMSNorm", (5,), {"eps": 0.01}, LINES), ("GroupNorm", (3, 6), {}, PICTURES), ("GroupNorm", (1, 6), {}, X),
    ("GroupNorm", (6, 6), {"affine": False}, VOLUMES), ("LocalResponseNorm", (2,), {"alpha": 0.5}, PICTURES),
    ("LocalResponseNorm", (3,), {"beta": 0.5, "k": 2.0}, LINES),
]  # fmt: skip


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
@pytest.mark.parametrize(("name", "sizes", "options", "array"), NORMS)
def test_norms(name: str, sizes: tuple[Any, ...], options: dict[str, Any], array: np.ndarray, compiled: bool) -> None:
    """Two steps of training, then evaluation: outputs, gradients, and what was tracked."""
    torch = pytest.importorskip("torch")
    theirs, ours = getattr(torch.nn, name)(*sizes, **options), getattr(nn, name)(*sizes, **options)
    for p, q in zip(theirs.parameters(), ours.parameters(), strict=True):
        values = RNG.standard_normal(p.shape).astype(np.float32)
        p.data[...] = torch.tensor(values)
        q.copy_(values)
    run = lucid.compile(ours) if compiled else ours
    for training in (True, True, False):
        theirs.train(training)
        ours.train(training)
        a, b = torch.tensor(array, requires_grad=True), lucid.tensor(array, requires_grad=True)
        expected, found = theirs(a), run(b)
        np.testing.assert_allclose(found.detach().numpy(), expected.detach().numpy(), rtol=1e-4, atol=2e-5)
        (expected * expected.detach().sin()).sum().backward()
        (found * found.detach().sin()).sum().backward()
        assert b.grad is not None
        np.testing.assert_allclose(b.grad.numpy(), a.grad.numpy(), rtol=1e-3, atol=1e-4)
    for p, q in zip(theirs.parameters(), ours.parameters(), strict=True):
        np.testing.assert_allclose(q.grad.numpy(), p.grad.numpy(), rtol=1e-3, atol=1e-3)
    state = ours.state_dict()
    assert list(state) == list(theirs.state_dict())
    for key, value in theirs.state_dict().items():
        np.testing.assert_allclose(state[key].numpy(), value.numpy(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
def test_dropout_of_channels_and_of_elements(compiled: bool) -> None:
    x = lucid.ones(50, 40, 3, 2)
    for layer, whole in ((nn.Dropout(0.25), False), (nn.Dropout2d(0.25), True), (nn.Dropout1d(0.25), True)):
        given = x if not isinstance(layer, nn.Dropout1d) else x.reshape(50, 40, 6)
        y = (lucid.compile(layer) if compiled else layer)(given).numpy().reshape(50, 40, 6)
        assert set(np.unique(y)) == {np.float32(0), np.float32(1 / 0.75)}
        assert (y == y[..., :1]).all() == whole
        assert abs((y == 0).mean() - 0.25) < 0.03
    noise = lucid.randn(200, 50, 4)
    for layer in (nn.AlphaDropout(0.3), nn.FeatureAlphaDropout(0.3)):
        y = (lucid.compile(layer) if compiled else layer)(noise).numpy()
        assert abs(y.mean()) < 0.05
        assert abs(y.var() - 1) < 0.06
        assert layer.eval()(noise) is noise
    assert nn.Dropout3d(1.0)(lucid.ones(2, 3, 1, 1, 1)).sum().item() == 0


RESIZING: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
    ("ConvTranspose2d", (6, 4, 3), {}), ("ConvTranspose2d", (6, 4, 4, 2, 1), {"bias": False}),
    ("ConvTranspose2d", (6, 9, (3, 2), (2, 3), (1, 0), (1, 2), 3), {"dilation": (2, 1)}),
    ("Conv2d", (6, 4, 3), {"padding": 1, "padding_mode": "reflect"}),
    ("Conv2d", (6, 4, (3, 5)), {"padding": (1, 2), "padding_mode": "circular", "stride": 2}),
    ("Conv2d", (6, 4, 3), {"padding": "same", "padding_mode": "replicate"}),
    ("AdaptiveAvgPool2d", (1,), {}), ("AdaptiveAvgPool2d", ((2, 5),), {}), ("AdaptiveAvgPool2d", ((3, None),), {}),
    ("AdaptiveMaxPool2d", ((2, 5),), {}), ("AdaptiveMaxPool2d", (3,), {}), ("Upsample", (), {"scale_factor": 2}),
    ("Upsample", (), {"size": (7, 3), "mode": "bilinear"}), ("ReflectionPad2d", (2,), {}),
    ("Upsample", (), {"scale_factor": (1.5, 2.5), "mode": "bilinear", "align_corners": True}),
    ("Upsample", (), {"scale_factor": 2, "mode": "bicubic"}), ("ReplicationPad2d", ((1, 2, 0, 3),), {}),
    ("CircularPad2d", ((1, 2, 3, 0),), {}), ("CircularPad2d", ((1, -2, -1, 3),), {}),
    ("ZeroPad2d", ((1, -2, 0, 3),), {}), ("ConstantPad2d", (1, 2.5), {}),
    ("PixelShuffle", (1,), {}), ("PixelUnshuffle", (1,), {}), ("ChannelShuffle", (3,), {}),
]  # fmt: skip


#: The same of lines and volumes.
OTHER_RANKS: list[tuple[str, tuple[Any, ...], dict[str, Any], np.ndarray]] = [
    ("Conv1d", (6, 4, 3), {"padding": "same", "dilation": 2}, LINES),
    ("Conv1d", (6, 9, 2), {"groups": 3, "stride": 2, "padding": 1, "padding_mode": "circular"}, LINES),
    ("Conv3d", (6, 4, (2, 1, 3)), {"padding": (1, 0, 2), "stride": (1, 2, 2)}, VOLUMES),
    ("Conv3d", (6, 6, 2), {"groups": 6, "dilation": (2, 1, 3), "bias": False}, VOLUMES),
    ("Conv3d", (6, 4, (3, 1, 1)), {"padding": (2, 0, 1), "padding_mode": "reflect"}, VOLUMES),
    ("ConvTranspose1d", (6, 4, 3, 2, 1, 1), {}, LINES),
    ("ConvTranspose1d", (6, 9, 2, 3), {"groups": 3, "dilation": 4, "output_padding": 3}, LINES),
    ("ConvTranspose3d", (6, 4, (3, 2, 2), (2, 1, 3), (1, 0, 1), (1, 0, 2)), {}, VOLUMES),
    ("ConvTranspose3d", (6, 6, 2), {"groups": 2, "dilation": 2, "bias": False}, VOLUMES),
    ("MaxPool1d", (2,), {}, LINES), ("MaxPool1d", (3, 2, 1), {"ceil_mode": True, "dilation": 2}, LINES),
    ("MaxPool3d", ((2, 1, 2),), {}, VOLUMES), ("MaxPool3d", (2, 1, 1), {"dilation": (2, 1, 2)}, VOLUMES),
    ("MaxPool2d", (3, 2, 1), {"ceil_mode": True}, PICTURES), ("AvgPool1d", (2, 2, 1), {"ceil_mode": True}, LINES),
    ("AvgPool2d", (3, 2, 1), {"ceil_mode": True, "count_include_pad": False}, PICTURES),
    ("AvgPool2d", ((2, 3),), {"divisor_override": 5}, PICTURES), ("AvgPool3d", ((2, 1, 3), 1), {}, VOLUMES),
    ("AvgPool3d", (2, 2, 1), {"ceil_mode": True, "count_include_pad": False}, VOLUMES),
    ("LPPool1d", (2, 3), {}, abs(LINES)), ("LPPool2d", (2.5, (2, 3)), {"ceil_mode": True}, abs(PICTURES)),
    ("LPPool3d", (1, 2), {}, abs(VOLUMES)), ("AdaptiveAvgPool1d", (3,), {}, LINES),
    ("AdaptiveAvgPool3d", ((2, None, 3),), {}, VOLUMES), ("AdaptiveMaxPool1d", (2,), {}, LINES),
    ("AdaptiveMaxPool3d", ((2, 1, 3),), {}, VOLUMES), ("Unfold", ((2, 3),), {"padding": 1, "stride": (2, 1)}, PICTURES),
    ("Fold", ((4, 3), 2), {}, RNG.standard_normal((3, 8, 6)).astype(np.float32)),
    ("ReflectionPad1d", (2,), {}, LINES), ("ReflectionPad3d", ((1, 2, 1, 0, 2, 1),), {}, VOLUMES),
    ("ReplicationPad1d", ((2, 0),), {}, LINES), ("ReplicationPad3d", (1,), {}, VOLUMES),
    ("CircularPad1d", (2,), {}, LINES), ("CircularPad3d", ((1, 2, 1, 0, 2, 1),), {}, VOLUMES),
    ("ZeroPad1d", ((2, -1),), {}, LINES), ("ZeroPad3d", (1,), {}, VOLUMES), ("ConstantPad1d", (2, 0.5), {}, LINES),
    ("ConstantPad3d", ((1, 2, 0, 0, -1, 1), 2.0), {}, VOLUMES),
]  # fmt: skip
IMAGE_LAYERS = [(*case, PICTURES) for case in RESIZING] + OTHER_RANKS


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
@pytest.mark.parametrize(("name", "sizes", "options", "batch"), IMAGE_LAYERS)
def test_images(name: str, sizes: tuple[Any, ...], options: dict[str, Any], batch: np.ndarray, compiled: bool) -> None:
    """Of a batch, and of one image where PyTorch takes one."""
    torch = pytest.importorskip("torch")
    theirs, ours = getattr(torch.nn, name)(*sizes, **options), getattr(nn, name)(*sizes, **options)
    ours.load_state_dict({k: lucid.tensor(v.numpy()) for k, v in theirs.state_dict().items()})
    run = lucid.compile(ours) if compiled else ours
    for array in (batch, batch[0]) if name not in ("Upsample", "ChannelShuffle") else (batch,):
        a, b = torch.tensor(array, requires_grad=True), lucid.tensor(array, requires_grad=True)
        expected, found = theirs(a), run(b)
        np.testing.assert_allclose(found.detach().numpy(), expected.detach().numpy(), rtol=1e-4, atol=1e-5)
        (expected * expected.detach()).sum().backward()
        (found * found.detach()).sum().backward()
        assert b.grad is not None
        np.testing.assert_allclose(b.grad.numpy(), a.grad.numpy(), rtol=1e-4, atol=1e-4)
    for p, q in zip(theirs.parameters(), ours.parameters(), strict=True):
        np.testing.assert_allclose(q.grad.numpy(), p.grad.numpy(), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
@pytest.mark.parametrize(("rank", "batch"), [(1, LINES), (2, PICTURES), (3, VOLUMES)])
def test_maxima_and_their_places(rank: int, batch: np.ndarray, compiled: bool) -> None:
    """Ties go to the first; unpooling puts the maxima where they were, and takes gradients from there."""
    torch = pytest.importorskip("torch")
    batch = np.round(batch * 2)  # ties
    for options in ({}, {"stride": 1, "padding": 1}, {"ceil_mode": True, "dilation": 2, "padding": 1, "stride": 3}):
        pools = [getattr(m, f"MaxPool{rank}d")(2, return_indices=True, **options) for m in (torch.nn, nn)]
        for array in (batch, batch[0]):
            a, b = torch.tensor(array, requires_grad=True), lucid.tensor(array, requires_grad=True)
            (expected, places), (found, at) = pools[0](a), (lucid.compile(pools[1]) if compiled else pools[1])(b)
            np.testing.assert_array_equal(found.detach().numpy(), expected.detach().numpy())
            np.testing.assert_array_equal(at.numpy(), places.numpy())
            if not options:
                back, ours = (getattr(m, f"MaxUnpool{rank}d")(2) for m in (torch.nn, nn))
                size = tuple(array.shape[-rank:])
                expected, found = back(expected, places, output_size=size), ours(found, at, output_size=size)
                np.testing.assert_array_equal(found.detach().numpy(), expected.detach().numpy())
            (expected * expected.detach()).sum().backward()
            (found * found.detach()).sum().backward()
            assert b.grad is not None
            np.testing.assert_array_equal(b.grad.numpy(), a.grad.numpy())
    theirs, wanted = getattr(torch.nn, f"AdaptiveMaxPool{rank}d")(2, return_indices=True)(torch.tensor(batch))
    y, at = getattr(nn, f"AdaptiveMaxPool{rank}d")(2, return_indices=True)(lucid.tensor(batch))
    np.testing.assert_array_equal(y.numpy(), theirs.numpy())
    np.testing.assert_array_equal(at.numpy(), wanted.numpy())


def test_transposed_convolutions_give_the_size_asked_for() -> None:
    torch = pytest.importorskip("torch")
    theirs, ours = torch.nn.ConvTranspose2d(6, 2, 3, 3, 1), nn.ConvTranspose2d(6, 2, 3, 3, 1)
    ours.load_state_dict({k: lucid.tensor(v.numpy()) for k, v in theirs.state_dict().items()})
    expected = theirs(torch.tensor(PICTURES), output_size=(12, 13))
    found = ours(lucid.tensor(PICTURES), output_size=(3, 2, 12, 13))
    np.testing.assert_allclose(found.detach().numpy(), expected.detach().numpy(), rtol=1e-5, atol=1e-5)
    with pytest.raises(ArgumentError, match=r"must lie in \(10, 13\) .. \(12, 15\)"):
        ours(lucid.tensor(PICTURES), output_size=(13, 13))


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
def test_embedding(compiled: bool) -> None:
    torch = pytest.importorskip("torch")
    theirs, ours = torch.nn.Embedding(7, 3, padding_idx=-2), nn.Embedding(7, 3, padding_idx=-2)
    assert ours.weight[5].tolist() == [0.0] * 3
    ours.load_state_dict({"weight": lucid.tensor(theirs.weight.detach().numpy())})
    at = np.array([[0, 5, 5], [6, 0, 3]])
    expected = theirs(torch.tensor(at))
    found = (lucid.compile(ours) if compiled else ours)(lucid.tensor(at))
    np.testing.assert_array_equal(found.detach().numpy(), expected.detach().numpy())
    (expected * expected + expected).sum().backward()  # whose slope is not 0 where the row is
    (found * found + found).sum().backward()
    assert ours.weight.grad is not None
    np.testing.assert_allclose(ours.weight.grad.numpy(), theirs.weight.grad.numpy(), rtol=1e-6)


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
@pytest.mark.parametrize("mode", ["sum", "mean", "max"])
@pytest.mark.parametrize("last", [False, True], ids=["starts", "ends"])
def test_bags_of_embeddings(mode: str, last: bool, compiled: bool) -> None:
    """Empty bags, a padding row, and elements after the last bag."""
    torch = pytest.importorskip("torch")
    options = {"mode": mode, "include_last_offset": last, "padding_idx": 2}
    theirs, ours = torch.nn.EmbeddingBag(7, 3, **options), nn.EmbeddingBag(7, 3, **options)
    ours.load_state_dict({"weight": lucid.tensor(theirs.weight.detach().numpy())})
    at, offsets = np.array([0, 5, 5, 2, 6, 0, 3, 2]), np.array([0, 0, 4, 7, 8])
    run = lucid.compile(ours) if compiled else ours
    for given in ((at, offsets), (at.reshape(4, 2),)):
        expected, found = theirs(*map(torch.tensor, given)), run(*map(lucid.tensor, given))
        np.testing.assert_allclose(found.detach().numpy(), expected.detach().numpy(), rtol=1e-6, atol=1e-7)
        (expected * expected).sum().backward()
        (found * found).sum().backward()
    assert ours.weight.grad is not None
    np.testing.assert_allclose(ours.weight.grad.numpy(), theirs.weight.grad.numpy(), rtol=1e-5, atol=1e-6)


def test_gumbel_choices() -> None:
    lucid.manual_seed(3)
    weights = np.array([0.1, 0.2, 0.7], np.float32)
    logits = lucid.tensor(np.tile(np.log(weights), (4000, 1)), requires_grad=True)
    hard = F.gumbel_softmax(logits, tau=0.5, hard=True)
    assert set(np.unique(hard.detach().numpy().round(6))) == {0.0, 1.0}
    np.testing.assert_allclose(hard.detach().numpy().mean(0), weights, atol=0.03)
    (hard * lucid.tensor([1.0, 2.0, 3.0])).sum().backward()
    assert logits.grad is not None
    assert logits.grad.abs().sum().item() > 0
    np.testing.assert_allclose(F.gumbel_softmax(logits, dim=0).detach().sum(0).numpy(), 1.0, rtol=1e-4)


def test_softmax_of_pixels_and_random_slopes() -> None:
    pixels = nn.Softmax2d()(lucid.tensor(IMAGES))
    np.testing.assert_allclose(pixels.sum(1).numpy(), 1.0, rtol=1e-6)
    slopes = nn.RReLU(0.25, 0.75)(-lucid.ones(10000)).numpy()
    assert -0.75 <= slopes.min() < -0.7
    assert -0.3 < slopes.max() <= -0.25
    assert abs(slopes.mean() + 0.5) < 0.01


def test_nan_stays_nan() -> None:
    for name, options in ACTIVATIONS:
        if name != "GLU" and "num_parameters" not in options:
            layer = getattr(nn, name)(**options)
            assert np.isnan(layer(lucid.full((2, 6), float("nan"))).detach().numpy()).all(), name


@pytest.mark.parametrize(
    ("wrong", "error", "words"),
    [
        (lambda: F.glu(lucid.ones(3)), ShapeError, "must be even"),
        (lambda: F.prelu(lucid.ones(2, 3), lucid.ones(2)), ShapeError, "one for each channel"),
        (lambda: F.hardtanh(lucid.ones(2), 1.0, -1.0), ArgumentError, "must not be larger"),
        (lambda: F.rrelu(lucid.ones(2), 1.0, 0.5), ArgumentError, "must not be larger"),
        (lambda: F.softplus(lucid.ones(2), beta=0), ArgumentError, "must not be 0"),
        (lambda: F.celu(lucid.ones(2), 0), ArgumentError, "must not be 0"),
        (lambda: F.gelu(lucid.ones(2), "erf"), ArgumentError, "'none' or 'tanh'"),
        (lambda: nn.GELU("erf"), ArgumentError, "'none' or 'tanh'"),
        (lambda: nn.Softshrink(-1.0), ArgumentError, "must not be negative"),
        (lambda: nn.LeakyReLU("steep"), ArgumentTypeError, "must be a number"),
        (lambda: nn.Softmax2d()(lucid.ones(2, 3)), ShapeError, "must be"),
        (lambda: F.mse_loss(lucid.ones(2), lucid.ones(3)), ShapeError, "must be equal"),
        (lambda: F.binary_cross_entropy(lucid.ones(2) * 2, lucid.ones(2)), ArgumentError, "outside of 0 .. 1"),
        (lambda: F.huber_loss(lucid.ones(2), lucid.ones(2), delta=0), ArgumentError, "must be positive"),
        (lambda: F.gaussian_nll_loss(lucid.ones(2), lucid.ones(2), -lucid.ones(2)), ArgumentError, "negative"),
        (lambda: F.gaussian_nll_loss(lucid.ones(4), lucid.ones(4), lucid.ones(3)), ShapeError, "does not fit"),
        (lambda: F.kl_div(lucid.ones(2), lucid.ones(2), reduction="all"), ArgumentError, "batchmean"),
        (lambda: nn.KLDivLoss("all"), ArgumentError, "batchmean"),
        (lambda: nn.Bilinear(2, 3, 1)(lucid.ones(4, 2), lucid.ones(4, 2)), ShapeError, "last size must be 3"),
        (lambda: nn.Bilinear(2, 3, 1)(lucid.ones(4, 2), lucid.ones(5, 3)), ShapeError, "must agree"),
        (lambda: nn.EmbeddingBag(2, 3, mode="prod"), ArgumentError, "'mean', 'sum' or 'max'"),
        (lambda: nn.EmbeddingBag(2, 3)(lucid.tensor([0, 1])), ShapeError, "with offsets"),
        (lambda: nn.EmbeddingBag(2, 3)(lucid.tensor([0, 1]), lucid.tensor([1])), ArgumentError, "must begin at 0"),
        (lambda: nn.EmbeddingBag(2, 3)(lucid.tensor([[0, 2]])), LucidError, "out of range"),
        (lambda: F.gumbel_softmax(lucid.ones(2), tau=0), ArgumentError, "must be above 0"),
        (lambda: F.pdist(lucid.ones(2)), ShapeError, "must be"),
        (lambda: nn.L1Loss("all"), ArgumentError, "must be one of"),
        (lambda: F.cross_entropy(lucid.ones(2, 3), lucid.tensor([0, 1]), lucid.ones(2)), ShapeError, "one per class"),
        (lambda: F.cross_entropy(lucid.ones(2, 3), lucid.tensor([0, 3])), LucidError, "3 classes"),
        (lambda: F.multi_margin_loss(lucid.ones(2, 3), lucid.tensor([0, 1]), p=3), ArgumentError, "1 or 2"),
        (lambda: nn.MultiMarginLoss(p=3), ArgumentError, "1 or 2"),
        (lambda: F.multi_margin_loss(lucid.ones(2, 3), lucid.tensor([0, 4])), LucidError, "3 classes"),
        (lambda: F.multilabel_margin_loss(lucid.ones(3), lucid.tensor([5, -1, 0])), LucidError, "3 classes"),
        (lambda: F.cosine_embedding_loss(lucid.ones(2), lucid.ones(2), lucid.ones(2)), ShapeError, "must be"),
        (lambda: F.margin_ranking_loss(lucid.ones(2), lucid.ones(1, 2), lucid.ones(2)), ShapeError, "as many"),
        (lambda: F.layer_norm(lucid.ones(2, 3), 4), ShapeError, "does not end in"),
        (lambda: F.layer_norm(lucid.ones(2, 3), 3, lucid.ones(2)), ShapeError, "must be"),
        (lambda: F.rms_norm(lucid.ones(2, 3), 3, eps=float("nan")), ArgumentError, "must be a number"),
        (lambda: F.group_norm(lucid.ones(2, 3), 2), ArgumentError, "must divide"),
        (lambda: nn.GroupNorm(2, 3), ArgumentError, "must divide"),
        (lambda: nn.GroupNorm(1, 3)(lucid.ones(2, 4)), ShapeError, "must be"),
        (lambda: F.instance_norm(lucid.ones(2, 3, 1)), ShapeError, "one pixel"),
        (lambda: nn.InstanceNorm2d(3, affine=True)(lucid.ones(2, 4, 3, 3)), ShapeError, "4 channels"),
        (lambda: nn.BatchNorm1d(3)(lucid.ones(2, 3, 4, 5)), ShapeError, "must be"),
        (lambda: nn.LayerNorm(0), ArgumentError, "at least 1"),
        (lambda: F.local_response_norm(lucid.ones(2, 3), 2), ShapeError, "must be"),
        (lambda: nn.LocalResponseNorm(0), ArgumentError, "at least 1"),
        (lambda: F.pad(lucid.ones(2, 3), (1, 2, 3)), ArgumentError, "two numbers for each"),
        (lambda: F.pad(lucid.ones(3), (1, 2, 3, 4)), ShapeError, "2 dimensions"),
        (lambda: F.pad(lucid.ones(2, 3), (3, 0), "reflect"), ShapeError, "less than its size"),
        (lambda: F.pad(lucid.ones(2, 3), (4, 0), "circular"), ShapeError, "at most its size"),
        (lambda: F.pad(lucid.ones(2, 3), (1, 1), "mirror"), ArgumentError, "'constant', 'reflect'"),
        (lambda: F.pad(lucid.ones(2, 3), (1, 1), "reflect", 2.0), ArgumentError, "for mode='constant' alone"),
        (lambda: F.pad(lucid.ones(3), (-2, -2)), ShapeError, "cuts off more"),
        (lambda: nn.ZeroPad2d((1, 2)), ArgumentError, "left, right, top, bottom"),
        (lambda: nn.ZeroPad1d((1, 2, 3)), ArgumentError, "before, after"),
        (lambda: nn.Conv1d(2, 3, (1, 2)), ArgumentError, r"kernel_size=\(1, 2\) must be an int"),
        (lambda: F.conv1d(lucid.ones(1, 2, 3), lucid.ones(3, 2, 4)), ShapeError, "conv1d: the kernel spans 4 pixels"),
        (lambda: F.conv1d(lucid.ones(1, 3, 3), lucid.ones(3, 2, 2)), ShapeError, "conv1d: input has 3 channels"),
        (lambda: F.conv3d(lucid.ones(1, 3, 3), lucid.ones(3, 2, 2, 1, 1)), ShapeError, "N, C, D, H, W"),
        (lambda: F.conv3d(lucid.ones(2, 3, 3, 3), lucid.ones(3, 2, 2)), ShapeError, "kD, kH, kW"),
        (lambda: F.max_pool1d(lucid.ones(1, 3), 4), ShapeError, "max_pool1d: the kernel spans 4 pixels along L"),
        (lambda: F.max_pool3d(lucid.ones(1, 3, 3, 3), 2, padding=2), ArgumentError, "half of the window"),
        (lambda: F.avg_pool2d(lucid.ones(1, 3, 3), 2, divisor_override=0), ArgumentError, "must not be 0"),
        (lambda: nn.LPPool1d(0, 2), ArgumentError, "must not be 0"),
        (lambda: F.max_unpool1d(lucid.ones(1, 3), lucid.ones(1, 3), 2), LucidError, "int64"),
        (lambda: F.max_unpool1d(lucid.ones(1, 3), lucid.tensor([[0, 2]]), 2), ShapeError, "indices has shape"),
        (lambda: F.max_unpool1d(lucid.ones(1, 1), lucid.tensor([[0]]), 2, output_size=(9,)), ArgumentError, "stride"),
        (lambda: F.fold(lucid.ones(4, 3), (2, 3), 2), ShapeError, "must be"),
        (lambda: F.unfold(lucid.ones(1, 2, 2), 3), ShapeError, "unfold: the kernel spans 3"),
        (lambda: nn.ConvTranspose1d(1, 1, 2, padding_mode="reflect"), ArgumentError, "must be 'zeros'"),  # type: ignore[arg-type]
        (lambda: nn.Conv2d(1, 1, 1, padding_mode="mirror"), ArgumentError, "'zeros', 'reflect'"),
        (lambda: F.conv_transpose2d(lucid.ones(1, 2, 3, 3), lucid.ones(3, 1, 2, 2)), ShapeError, "is for 3"),
        (lambda: F.conv_transpose2d(lucid.ones(2, 3), lucid.ones(3, 1, 2, 2)), ShapeError, "must be"),
        (lambda: F.conv_transpose2d(lucid.ones(1, 1, 2, 2), lucid.ones(1, 1, 2, 2), padding=9), ShapeError, "no pixel"),
        (lambda: nn.ConvTranspose2d(1, 1, 2, output_padding=1)(lucid.ones(1, 2, 2)), ArgumentError, "less than stride"),
        (lambda: nn.ConvTranspose2d(3, 4, 2, groups=2), ArgumentError, "must divide"),
        (lambda: nn.AdaptiveAvgPool2d((1, 2, 3)), ArgumentError, "pair"),
        (lambda: F.adaptive_avg_pool2d(lucid.ones(2, 3), 1), ShapeError, "must be"),
        (lambda: F.adaptive_max_pool2d(lucid.ones(2, 3, 4), 0), ArgumentError, "at least 1"),
        (lambda: nn.FractionalMaxPool2d(2), ArgumentError, "either output_size or output_ratio"),
        (lambda: nn.FractionalMaxPool3d(2, 3, 0.5), ArgumentError, "either output_size or output_ratio"),
        (lambda: nn.FractionalMaxPool2d(2, output_ratio=1.5), ArgumentError, "between 0 and 1"),
        (lambda: F.fractional_max_pool2d(lucid.ones(2, 3, 4), 2), ArgumentError, "must be given"),
        (lambda: F.fractional_max_pool2d(lucid.ones(2, 3, 4), 2, 3), ShapeError, r"\(3, 3\) windows of size \(2, 2\)"),
        (
            lambda: F.fractional_max_pool2d(lucid.ones(2, 3, 4), 2, 2, _random_samples=lucid.ones(1, 2, 3)),
            ShapeError,
            r"must be \(1, 2, 2\)",
        ),
        (lambda: F.interpolate(lucid.ones(1, 1, 2, 2)), ArgumentError, "must be given"),
        (lambda: F.interpolate(lucid.ones(1, 1, 2, 2), 2, mode="cubic"), ArgumentError, "one of"),
        (lambda: F.interpolate(lucid.ones(1, 1, 2), 2, mode="bilinear"), ShapeError, "2 more dimensions"),
        (lambda: F.interpolate(lucid.ones(1, 1, 2), 2, align_corners=True), ArgumentError, "not for mode='nearest'"),
        (lambda: F.interpolate(lucid.ones(1, 1, 2), (2, 2)), ArgumentError, "one for each"),
        (lambda: F.pixel_shuffle(lucid.ones(3, 2, 2), 2), ShapeError, "must divide"),
        (lambda: F.pixel_unshuffle(lucid.ones(1, 3, 2), 2), ShapeError, "must divide"),
        (lambda: F.channel_shuffle(lucid.ones(1, 3, 2), 2), ArgumentError, "must divide"),
        (lambda: F.embedding(lucid.ones(2), lucid.ones(2, 2)), LucidError, "integers"),
        (lambda: F.embedding(lucid.tensor([2]), lucid.ones(2, 2)), LucidError, "2"),
        (lambda: nn.Embedding(2, 2, padding_idx=2), LucidError, "out of range"),
        (lambda: F.dropout2d(lucid.ones(2, 3)), ShapeError, "must be"),
        (lambda: nn.Dropout2d(1.5), ArgumentError, "0 .. 1"),
        (lambda: F.triplet_margin_loss(*[lucid.ones(1, 2)] * 3, margin=0), ArgumentError, "must be positive"),
    ],
)  # fmt: skip
def test_wrong_uses_say_what_is_wrong(wrong: Any, error: type[LucidError], words: str) -> None:
    with pytest.raises(error, match=words):
        wrong()


def test_initial_values() -> None:
    lucid.manual_seed(0)
    values = nn.init.trunc_normal_(lucid.empty(20000), 1.0, 2.0, -1.0, 3.0).numpy()
    assert -1 <= values.min() < -0.99
    assert 2.99 < values.max() <= 3
    assert abs(values.mean() - 1) < 0.03
    for shape in ((3, 4), (4, 3), (6, 2, 3)):
        w = nn.init.orthogonal_(lucid.empty(shape), 2.0).numpy().reshape(shape[0], -1)
        gram = w @ w.T if w.shape[0] <= w.shape[1] else w.T @ w
        np.testing.assert_allclose(gram, 4 * np.eye(len(gram)), atol=1e-5)
    x = lucid.tensor(PICTURES)
    kept = nn.functional.conv2d(x, nn.init.dirac_(lucid.empty(6, 3, 3, 3), groups=2), padding=1, groups=2)
    np.testing.assert_array_equal(kept.numpy(), PICTURES)
    for wrong, words in (
        (lambda: nn.init.eye_(lucid.empty(3)), "must be a matrix"),
        (lambda: nn.init.dirac_(lucid.empty(3, 3)), "3 to 5 dimensions"),
        (lambda: nn.init.orthogonal_(lucid.empty(3)), "at least 2"),
        (lambda: nn.init.trunc_normal_(lucid.empty(3), a=9.0, b=10.0), "one draw in a hundred"),
        (lambda: F.drop_path(lucid.tensor(1.0)), "must be"),
    ):
        with pytest.raises(LucidError, match=words):
            wrong()


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
@pytest.mark.parametrize(
    "options", [{"max_norm": 1.0}, {"max_norm": 0.5, "norm_type": 1.0}, {"scale_grad_by_freq": True}]
)
def test_embeddings_with_limited_rows_and_gradients_by_frequency(options: dict[str, Any], compiled: bool) -> None:
    torch = pytest.importorskip("torch")
    theirs = torch.nn.Embedding(5, 3, padding_idx=0, **options)
    ours = nn.Embedding(5, 3, padding_idx=0, **options)
    ours.weight.copy_(theirs.weight.detach().numpy())
    at = np.array([[1, 2, 1], [0, 1, 4]])
    seed = np.random.default_rng(0).standard_normal((2, 3, 3)).astype(np.float32)
    expected = theirs(torch.tensor(at))
    found = (lucid.compile(ours) if compiled else ours)(lucid.tensor(at))
    expected.backward(torch.tensor(seed))
    found.backward(seed)
    np.testing.assert_allclose(found.detach().numpy(), expected.numpy(force=True), rtol=1e-6)
    np.testing.assert_allclose(ours.weight.detach().numpy(), theirs.weight.numpy(force=True), rtol=1e-6)
    np.testing.assert_allclose(ours.weight.grad.numpy(), theirs.weight.grad.numpy(), rtol=1e-6)


@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize("size", [(2, 1, 3, 4), (2, 1, 1, 5), (2, 3, 2, 3, 4)])
@pytest.mark.filterwarnings("ignore:Since version")  # PyTorch on a single pixel
def test_affine_grids(size: tuple[int, ...], align_corners: bool) -> None:
    torch = pytest.importorskip("torch")
    rank = len(size) - 2
    theta = np.random.default_rng(0).standard_normal((2, rank, rank + 1))
    theirs, ours = torch.tensor(theta, requires_grad=True), lucid.tensor(theta, requires_grad=True)
    expected = torch.nn.functional.affine_grid(theirs, size, align_corners)
    found = F.affine_grid(ours, size, align_corners)
    np.testing.assert_allclose(found.detach().numpy(), expected.numpy(force=True), atol=1e-12)
    (expected**2).sum().backward()
    (found**2).sum().backward()
    np.testing.assert_allclose(ours.grad.numpy(), theirs.grad.numpy(), atol=1e-12)


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda: F.grid_sample(lucid.ones(1, 1, 2, 2), lucid.ones(1, 2, 2, 3)), ShapeError),
        (lambda: F.grid_sample(lucid.ones(1, 1, 0, 2), lucid.ones(1, 2, 2, 2)), ShapeError),
        (lambda: F.grid_sample(lucid.ones(1, 1, 2, 2), lucid.ones(1, 2, 2, 2), "cubic"), ArgumentError),
        (lambda: F.grid_sample(lucid.ones(1, 1, 2, 2), lucid.ones(1, 2, 2, 2), padding_mode="wrap"), ArgumentError),
        (lambda: F.affine_grid(lucid.ones(1, 2, 3), (2, 1, 2, 2)), ShapeError),
        (lambda: F.affine_grid(lucid.ones(1, 2, 3), (1, 1, 2)), ArgumentError),
    ],
)
def test_wrong_uses_of_grids(call: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        call()


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize(
    ("name", "shape", "options"),
    [
        ("FractionalMaxPool2d", (2, 3, 11, 14), {"kernel_size": (3, 2), "output_size": (5, 6)}),
        ("FractionalMaxPool2d", (3, 9, 9), {"kernel_size": 2, "output_ratio": (0.5, 0.8)}),
        ("FractionalMaxPool2d", (1, 2, 5, 5), {"kernel_size": (5, 2), "output_size": (1, 4)}),
        ("FractionalMaxPool3d", (1, 2, 6, 7, 8), {"kernel_size": (1, 2, 3), "output_size": (4, 3, 5)}),
    ],
)
def test_windows_at_random_places(name: str, shape: tuple[int, ...], options: dict[str, Any], compiled: bool) -> None:
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(3)
    data = np.round(rng.standard_normal(shape), 1).astype(np.float32)  # with ties
    rank = int(name[-2])
    samples = rng.random((shape[0] if len(shape) == rank + 2 else 1, shape[-rank - 1], rank)).astype(np.float32)
    a, b = torch.tensor(data, requires_grad=True), lucid.tensor(data, requires_grad=True)
    theirs = getattr(torch.nn, name)(**options, return_indices=True, _random_samples=torch.tensor(samples))
    ours = getattr(nn, name)(**options, return_indices=True, _random_samples=lucid.tensor(samples))
    (expected, places), (found, at) = theirs(a), (lucid.compile(ours) if compiled else ours)(b)
    assert found.tolist() == expected.tolist()
    assert at.tolist() == places.tolist()
    (expected * expected).sum().backward()
    (found * found).sum().backward()
    assert a.grad is not None
    assert b.grad is not None
    np.testing.assert_allclose(b.grad.numpy(), a.grad.numpy(), rtol=1e-6)


def test_places_are_drawn_anew() -> None:
    lucid.manual_seed(0)
    pool = nn.FractionalMaxPool2d(2, output_ratio=0.7)
    fast, x = lucid.compile(pool), lucid.randn(2, 3, 12, 12)
    assert pool(x).tolist() != pool(x).tolist()
    with lucid.no_grad():
        assert fast(x).tolist() != fast(x).tolist()
