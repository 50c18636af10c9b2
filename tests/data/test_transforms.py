"""Transforms of images: against Pillow where that is installed, and the same for all kinds of images."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import lucid
from lucid.data import transforms as T
from lucid.errors import ArgumentError, ArgumentTypeError, ShapeError

RNG = np.random.default_rng(0)
IMAGE = RNG.integers(0, 256, (13, 17, 3), np.uint8)


def kinds() -> list[Any]:
    found: list[Any] = [IMAGE, IMAGE[:, :, 0], lucid.tensor(np.moveaxis(IMAGE, -1, 0).copy())]
    try:
        from PIL import Image
    except ImportError:
        return found
    return [*found, Image.fromarray(IMAGE), Image.fromarray(IMAGE[:, :, 0])]


def pixels(image: Any) -> np.ndarray:
    if isinstance(image, lucid.Tensor):
        return np.moveaxis(image.numpy(), 0, -1)
    array = np.asarray(image)
    return array[:, :, None] if array.ndim == 2 else array


TRANSFORMS = [
    T.Resize(9), T.Resize((20, 11)), T.CenterCrop(8), T.CenterCrop((20, 9)), T.RandomCrop(7),
    T.RandomCrop(13, padding=2),    T.RandomCrop(20, pad_if_needed=True, fill=7), T.RandomResizedCrop(6),
    T.RandomHorizontalFlip(), T.Pad((1, 2)),
    T.RandomVerticalFlip(), T.Pad((1, 2, 3, 0), padding_mode="reflect"), T.Pad(2, padding_mode="edge"),
]  # fmt: skip
COLOURED = [T.ColorJitter(0.4, 0.4, 0.4, 0.2), T.ColorJitter(brightness=(1.5, 2.0)), T.Grayscale(3)]


@pytest.mark.parametrize("transform", [*TRANSFORMS, *COLOURED], ids=repr)
def test_every_kind_of_image_gets_the_same_and_stays_what_it_is(transform: Any) -> None:
    results = []
    for image in kinds():
        if transform in COLOURED and pixels(image).shape[2] == 1:
            continue
        lucid.manual_seed(3)
        result = transform(image)
        assert type(result) is type(image)
        assert pixels(result).dtype == np.uint8
        results.append(pixels(result)[:, :, :1])
    for result in results[1:]:
        np.testing.assert_array_equal(result, results[0])


@pytest.mark.parametrize("size", [(5, 40), (13, 17), (30, 8), (1, 1)])
def test_resizing_is_pillows(size: tuple[int, int]) -> None:
    image = pytest.importorskip("PIL.Image").fromarray(IMAGE)
    wanted = np.asarray(image.resize(size[::-1], resample=2)).astype(int)
    assert abs(T.Resize(size)(IMAGE).astype(int) - wanted).max() <= 1


def test_colours_change_as_pillows() -> None:
    image = pytest.importorskip("PIL.Image").fromarray(IMAGE)
    enhance = pytest.importorskip("PIL.ImageEnhance")
    for name, make in (("brightness", "Brightness"), ("contrast", "Contrast"), ("saturation", "Color")):
        wanted = np.asarray(getattr(enhance, make)(image).enhance(1.3)).astype(int)
        found = T.ColorJitter(**{name: (1.3, 1.3)})(IMAGE).astype(int)
        assert abs(found - wanted).max() <= 2, name
    primary = np.array([[[255, 0, 0], [10, 10, 10]]], np.uint8)
    assert T.ColorJitter(hue=(1 / 3, 1 / 3))(primary).tolist() == [[[0, 255, 0], [10, 10, 10]]]
    np.testing.assert_array_equal(T.ColorJitter(hue=(0.5, 0.5))(255 - primary)[0, 0], [255, 0, 0])


def test_tensors_for_a_network() -> None:
    x = T.Compose([T.ToTensor(), T.Normalize([0.5] * 3, [0.25, 0.5, 1.0])])(IMAGE)
    assert (x.shape, x.dtype) == ((3, 13, 17), lucid.float32)
    wanted = (IMAGE / 255 - 0.5) / [0.25, 0.5, 1.0]
    np.testing.assert_allclose(pixels(x), wanted, rtol=1e-5, atol=1e-6)
    assert T.ToTensor()(np.ones((2, 3))).shape == (1, 2, 3)
    assert T.Lambda(lambda t: t * 2)(3) == 6
    assert T.RandomApply([T.Lambda(lambda t: t * 2)], p=0.0)(3) == 3


def test_random_parts_stay_inside_and_vary() -> None:
    numbered = np.arange(10 * 12).reshape(10, 12)
    seen = set()
    for _ in range(1500):
        part = T.RandomCrop((4, 5))(numbered)
        assert part.shape == (4, 5)
        np.testing.assert_array_equal(part - part[0, 0], numbered[:4, :5])
        seen.add(int(part[0, 0]))
    assert seen == {12 * i + j for i in range(7) for j in range(8)}
    box = [T.RandomResizedCrop(3, (0.2, 0.5), (0.5, 2.0))._box(40, 60) for _ in range(100)]
    assert all(t >= 0 and left >= 0 and t + h <= 40 and left + w <= 60 for t, left, h, w in box)
    assert all(0.15 < h * w / 2400 < 0.55 for _, _, h, w in box)
    assert T.RandomResizedCrop(3, (1.0, 1.0), (1.0, 1.0))._box(2, 90) == (0, 44, 2, 2)
    flips = [T.RandomHorizontalFlip(0.3)(np.array([[1, 2]]))[0, 0] == 2 for _ in range(400)]
    assert 0.2 < np.mean(flips) < 0.4


@pytest.mark.parametrize(
    ("wrong", "error", "words"),
    [
        (lambda: T.Resize(0), ArgumentError, "at least 1"),
        (lambda: T.CenterCrop((1, 2, 3)), ArgumentError, "height, width"),
        (lambda: T.RandomCrop(20)(IMAGE), ShapeError, "smaller than size"),
        (lambda: T.Pad(1, padding_mode="wrap"), ArgumentError, "'constant'"),
        (lambda: T.Pad(-1), ArgumentError, "must not be negative"),
        (lambda: T.Pad((1, 2, 3)), ArgumentError, "left, top, right, bottom"),
        (lambda: T.Normalize(0.5, 0.0), ArgumentError, "must not be 0"),
        (lambda: T.Normalize(0.5, 1.0)(IMAGE), ArgumentTypeError, r"ToTensor\(\)"),
        (lambda: T.Normalize([0.5] * 2, 1.0)(lucid.zeros(3, 2, 2)), ShapeError, "do not fit"),
        (lambda: T.ToTensor()("a.png"), ArgumentTypeError, "must be an image"),
        (lambda: T.Resize(3)(np.zeros(3)), ShapeError, "must be"),
        (lambda: T.ColorJitter(hue=0.6), ArgumentError, "-0.5 .. 0.5"),
        (lambda: T.ColorJitter(0.1)(IMAGE[:, :, 0]), ShapeError, "red, green and blue"),
        (lambda: T.Grayscale(2), ArgumentError, "1 or 3"),
        (lambda: T.RandomHorizontalFlip(1.5), ArgumentError, "0 .. 1"),
        (lambda: T.RandomResizedCrop(2, scale=(0.5, 0.1)), ArgumentError, "least, most"),
        (lambda: T.Lambda(3), ArgumentTypeError, "must be a function"),
    ],
)  # fmt: skip
def test_wrong_uses(wrong: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        wrong()
