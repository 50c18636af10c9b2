"""Transforms of images, one after the other in ``Compose``, as in torchvision.

An image is one of Pillow's, an array ``(H, W)`` or ``(H, W, C)``, or a tensor ``(..., H, W)``; each gives back the
kind that it was given. Random ones follow ``lucid.manual_seed``, and in a ``DataLoader``'s workers their seeds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from lucid.data.samplers import numbers
from lucid.eager import leaf
from lucid.errors import ArgumentError, ArgumentTypeError, ShapeError
from lucid.functions.arguments import fail, int_of, is_several, number_of
from lucid.ir.graph import Array
from lucid.ir.types import is_float
from lucid.random import default_generator
from lucid.tensor import Tensor

__all__ = [
    "CenterCrop", "ColorJitter", "Compose", "Grayscale", "Lambda", "Normalize", "Pad", "RandomApply", "RandomCrop",
    "RandomHorizontalFlip", "RandomResizedCrop", "RandomVerticalFlip", "Resize", "ToTensor",
]  # fmt: skip

#: Weights of red, green and blue in a grey of equal brightness: ITU-R BT.601.
_LUMA = (0.299, 0.587, 0.114)


def _is_pillow(image: Any) -> bool:
    return type(image).__module__.startswith("PIL.")


def _pixels(op: str, image: Any) -> Array:
    """The image as ``(H, W, C)``."""
    if isinstance(image, Tensor):
        array = np.asarray(image.detach())
        if array.ndim < 2:
            fail(ShapeError(f"image has shape {array.shape}, but it must be (..., H, W)", op=op))
        return np.moveaxis(array.reshape(-1, *array.shape[-2:]), 0, -1)
    if not isinstance(image, np.ndarray) and not _is_pillow(image):
        kinds = "an image of Pillow's, an array or a tensor"
        fail(ArgumentTypeError(f"image must be {kinds}, not {type(image).__name__}", op=op))
    array = np.asarray(image)
    if array.ndim not in (2, 3):
        fail(ShapeError(f"image has shape {array.shape}, but it must be (H, W) or (H, W, C)", op=op))
    return array if array.ndim == 3 else array[:, :, None]


def _like(image: Any, pixels: Array) -> Any:
    """Pixels ``(H, W, C)`` as the kind of image that ``image`` is."""
    if isinstance(image, Tensor):
        moved = np.ascontiguousarray(np.moveaxis(pixels, -1, 0))
        return leaf(moved.reshape(*image.shape[:-2], *moved.shape[-2:]) if moved.shape[0] else moved)
    if _is_pillow(image):
        from PIL import Image

        flat = np.ascontiguousarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
        return Image.fromarray(flat)
    return np.ascontiguousarray(pixels[:, :, 0] if image.ndim == 2 else pixels)


def _pair(op: str, argument: str, value: Any) -> tuple[int, int]:
    given = tuple(value) if is_several(value) else (value, value)
    if len(given) != 2 or min(int_of(op, argument, n) for n in given) < 1:
        fail(ArgumentError(f"{argument}={value!r} must be an int or (height, width), at least 1", op=op))
    return given[0], given[1]


def _sides(op: str, value: Any) -> tuple[int, int, int, int]:
    """Left, top, right, bottom."""
    given = tuple(value) if is_several(value) else (value,)
    if len(given) not in (1, 2, 4):
        fail(ArgumentError(f"padding={value!r} must be one number, two, or (left, top, right, bottom)", op=op))
    sides = [int_of(op, "padding", n) for n in given * (4 // len(given))]
    return sides[0], sides[1], sides[2], sides[3]


def _random() -> np.random.Generator:
    return numbers(default_generator)


class Compose:
    """Transforms one after the other.

    >>> Compose([abs, float])(-3)
    3.0
    """

    def __init__(self, transforms: Sequence[Callable[[Any], Any]]):
        self.transforms = list(transforms)

    def __call__(self, image: Any) -> Any:
        for transform in self.transforms:
            image = transform(image)
        return image

    def __repr__(self) -> str:
        return "Compose(" + "".join(f"\n    {t}" for t in self.transforms) + "\n)"


class Lambda:
    """A function as a transform.

    Raises:
        ArgumentTypeError: something that cannot be called.

    >>> Lambda(lambda x: x + 1)(2)
    3
    """

    def __init__(self, lambd: Callable[[Any], Any]):
        if not callable(lambd):
            fail(ArgumentTypeError(f"lambd must be a function, not {type(lambd).__name__}", op="Lambda"))
        self.lambd = lambd

    def __call__(self, image: Any) -> Any:
        return self.lambd(image)

    def __repr__(self) -> str:
        return "Lambda()"


class RandomApply:
    """Transforms that are all made with probability ``p``, and else none.

    Raises:
        ArgumentError, ArgumentTypeError: ``p`` is not a number from 0 to 1.

    >>> RandomApply([abs], p=1.0)(-3)
    3
    """

    def __init__(self, transforms: Sequence[Callable[[Any], Any]], p: float = 0.5):
        self.transforms = Compose(transforms)
        self.p = number_of("RandomApply", "p", p, 0, 1)

    def __call__(self, image: Any) -> Any:
        return self.transforms(image) if _random().random() < self.p else image

    def __repr__(self) -> str:
        return f"RandomApply(p={self.p}, {self.transforms})"


class ToTensor:
    """An image as a tensor ``(C, H, W)``: bytes as float32 from 0 to 1, other numbers as they are.

    Raises:
        ArgumentTypeError, ShapeError: no image.

    >>> import numpy as np
    >>> ToTensor()(np.full((2, 2, 3), 255, np.uint8)).sum()
    Tensor(12.0)
    """

    def __call__(self, image: Any) -> Tensor:
        pixels = np.moveaxis(_pixels("ToTensor", image), -1, 0)
        if pixels.dtype == np.uint8:
            return leaf(pixels.astype(np.float32) / np.float32(255))
        return leaf(np.ascontiguousarray(pixels))

    def __repr__(self) -> str:
        return "ToTensor()"


class Normalize:
    """Channels of a tensor ``(..., C, H, W)`` less their mean, by their deviation.

    Args:
        mean, std: one number for each channel, or one for all.

    Raises:
        ArgumentError: a deviation of 0.
        ShapeError, ArgumentTypeError: another number of channels, or no tensor of floats.

    >>> import lucid
    >>> Normalize([1.0], [2.0])(lucid.full((1, 1, 2), 5.0)).tolist()
    [[[2.0, 2.0]]]
    """

    def __init__(self, mean: Any, std: Any):
        self.mean, self.std = (np.atleast_1d(np.asarray(v, np.float64)) for v in (mean, std))
        if not self.std.all():
            fail(ArgumentError(f"std={std!r} must not be 0", op="Normalize"))

    def __call__(self, image: Any) -> Tensor:
        if not isinstance(image, Tensor) or not is_float(image.dtype):
            what = image.dtype.name if isinstance(image, Tensor) else type(image).__name__
            hint = "put ToTensor() before it"
            fail(ArgumentTypeError(f"image must be a tensor of floats, not {what}", op="Normalize", hint=hint))
        if image.ndim < 3 or any(len(v) not in (1, image.shape[-3]) for v in (self.mean, self.std)):
            counts = f"{len(self.mean)} means and {len(self.std)} deviations"
            fail(ShapeError(f"image has shape {image.shape}, which {counts} do not fit", op="Normalize"))
        mean, std = (v.astype(image.dtype)[:, None, None] for v in (self.mean, self.std))
        return leaf(np.asarray((np.asarray(image.detach()) - mean) / std, image.dtype))

    def __repr__(self) -> str:
        return f"Normalize(mean={self.mean.tolist()}, std={self.std.tolist()})"


@lru_cache(maxsize=64)
def _resizing(begin: float, length: float, n: int, m: int) -> Array:
    """The matrix ``(m, n)`` from ``n`` pixels to ``m`` over ``length`` of them from ``begin`` on: triangles as wide as
    the step, or as a pixel where that is more, which is Pillow's bilinear resizing.
    """
    step = length / m
    width = max(step, 1.0)
    centre = begin + (np.arange(m)[:, None] + 0.5) * step
    low, high = np.maximum(np.floor(centre - width + 0.5), 0), np.minimum(np.floor(centre + width + 0.5), n)
    at = np.arange(n)
    weights = np.maximum(1 - np.abs(at + 0.5 - centre) / width, 0) * ((at >= low) & (at < high))
    result: Array = weights / weights.sum(1, keepdims=True)
    return result


def _resized(pixels: Array, box: tuple[float, float, float, float], size: tuple[int, int]) -> Array:
    """The part ``(top, left, height, width)`` of an image in another size."""
    rows = _resizing(box[0], box[2], pixels.shape[0], size[0])
    columns = _resizing(box[1], box[3], pixels.shape[1], size[1])
    result = np.einsum("ih,hwc->iwc", rows, pixels.astype(np.float64))
    result = np.einsum("jw,iwc->ijc", columns, result)
    if pixels.dtype.kind in "iu":
        limits = np.iinfo(pixels.dtype)
        result = np.clip(np.floor(result + 0.5), limits.min, limits.max)
    resized: Array = result.astype(pixels.dtype)
    return resized


class Resize:
    """An image in another size, bilinear, with every pixel counted when it shrinks.

    Args:
        size: (height, width), or one number for the shorter side, the other in proportion.

    Raises:
        ArgumentError, ArgumentTypeError: sizes below 1, or no image.

    >>> import numpy as np
    >>> Resize(4)(np.zeros((8, 16, 3), np.uint8)).shape
    (4, 8, 3)
    """

    def __init__(self, size: int | Sequence[int]):
        self.size = _pair("Resize", "size", size) if is_several(size) else int_of("Resize", "size", size)
        if isinstance(self.size, int) and self.size < 1:
            fail(ArgumentError(f"size={size!r} must be at least 1", op="Resize"))

    def __call__(self, image: Any) -> Any:
        pixels = _pixels("Resize", image)
        h, w = pixels.shape[:2]
        if isinstance(self.size, tuple):
            size = self.size
        else:
            short = self.size
            size = (short, max(1, int(short * w / h))) if h <= w else (max(1, int(short * h / w)), short)
        return image if size == (h, w) else _like(image, _resized(pixels, (0, 0, h, w), size))

    def __repr__(self) -> str:
        return f"Resize({self.size})"


class Pad:
    """An image with pixels around it.

    Args:
        padding: how many: one number, (left and right, top and bottom), or (left, top, right, bottom).
        fill: their value, one for all channels or one each.
        padding_mode: 'constant' is ``fill``; 'edge' repeats the outermost, 'reflect' mirrors at them, 'symmetric'
            mirrors with them.

    Raises:
        ArgumentError, ArgumentTypeError: another mode, negative numbers, or no image.

    >>> import numpy as np
    >>> Pad(1)(np.ones((1, 1)))[0].tolist()
    [0.0, 0.0, 0.0]
    """

    def __init__(self, padding: int | Sequence[int], fill: Any = 0, padding_mode: str = "constant"):
        self.padding = _sides("Pad", padding)
        if padding_mode not in ("constant", "edge", "reflect", "symmetric"):
            known = "'constant', 'edge', 'reflect' or 'symmetric'"
            fail(ArgumentError(f"padding_mode={padding_mode!r} must be {known}", op="Pad"))
        if min(self.padding) < 0:
            fail(ArgumentError(f"padding={padding!r} must not be negative", op="Pad"))
        self.fill = fill
        self.padding_mode = padding_mode

    def __call__(self, image: Any) -> Any:
        return _like(image, self.around(_pixels("Pad", image)))

    def around(self, pixels: Array) -> Array:
        """Pixels ``(H, W, C)`` with others around."""
        left, top, right, bottom = self.padding
        ends = ((top, bottom), (left, right), (0, 0))
        if self.padding_mode != "constant":
            return np.pad(pixels, ends, self.padding_mode)  # type: ignore[call-overload,no-any-return]
        h, w, c = pixels.shape
        result = np.empty((top + h + bottom, left + w + right, c), pixels.dtype)
        result[...] = self.fill
        result[top : top + h, left : left + w] = pixels
        return result

    def __repr__(self) -> str:
        return f"Pad({self.padding}, fill={self.fill!r}, padding_mode={self.padding_mode!r})"


class CenterCrop:
    """The middle of an image; with zeros around where the image is smaller.

    Args:
        size: an int or (height, width).

    Raises:
        ArgumentError, ArgumentTypeError: sizes below 1, or no image.

    >>> import numpy as np
    >>> CenterCrop(2)(np.arange(16).reshape(4, 4)).tolist()
    [[5, 6], [9, 10]]
    """

    def __init__(self, size: int | Sequence[int]):
        self.size = _pair("CenterCrop", "size", size)

    def __call__(self, image: Any) -> Any:
        pixels = _pixels("CenterCrop", image)
        h, w = self.size
        lacking = max(0, h - pixels.shape[0]), max(0, w - pixels.shape[1])
        if any(lacking):
            top, left = lacking[0] // 2, lacking[1] // 2
            pixels = Pad((left, top, lacking[1] - left, lacking[0] - top)).around(pixels)
        top, left = round((pixels.shape[0] - h) / 2), round((pixels.shape[1] - w) / 2)
        return _like(image, pixels[top : top + h, left : left + w])

    def __repr__(self) -> str:
        return f"CenterCrop({self.size})"


class RandomCrop:
    """A part of an image, anywhere in it.

    Args:
        size: an int or (height, width).
        padding: pixels put around first, as ``Pad``; None for none.
        pad_if_needed: whether to put more around an image that is smaller than ``size``.
        fill, padding_mode: of these pixels, as ``Pad``.

    Raises:
        ArgumentError, ArgumentTypeError: sizes below 1, or no image.
        ShapeError: an image smaller than ``size``.

    >>> import numpy as np
    >>> RandomCrop(4, padding=1)(np.zeros((4, 4, 3), np.uint8)).shape
    (4, 4, 3)
    """

    def __init__(
        self,
        size: int | Sequence[int],
        padding: int | Sequence[int] | None = None,
        pad_if_needed: bool = False,
        fill: Any = 0,
        padding_mode: str = "constant",
    ):
        self.size = _pair("RandomCrop", "size", size)
        self.padding = None if padding is None else Pad(padding, fill, padding_mode)
        self.pad_if_needed = pad_if_needed
        self.fill = fill
        self.padding_mode = padding_mode

    def __call__(self, image: Any) -> Any:
        pixels = _pixels("RandomCrop", image)
        if self.padding is not None:
            pixels = self.padding.around(pixels)
        h, w = self.size
        lacking = max(0, h - pixels.shape[0]), max(0, w - pixels.shape[1])
        if any(lacking):
            if not self.pad_if_needed:
                found = f"image of {pixels.shape[0]} x {pixels.shape[1]} pixels, padding included"
                fail(ShapeError(f"{found}, is smaller than size={self.size}", op="RandomCrop"))
            pixels = Pad((lacking[1], lacking[0]), self.fill, self.padding_mode).around(pixels)
        draw = _random()
        top = int(draw.integers(0, pixels.shape[0] - h + 1))
        left = int(draw.integers(0, pixels.shape[1] - w + 1))
        return _like(image, pixels[top : top + h, left : left + w])

    def __repr__(self) -> str:
        return f"RandomCrop({self.size}, padding={self.padding})"


class RandomResizedCrop:
    """A part of random size and shape, resized: Szegedy et al., arXiv:1409.4842.

    Args:
        size: of the result, an int or (height, width).
        scale: least and largest part of the image's area.
        ratio: least and largest width by height.

    Raises:
        ArgumentError, ArgumentTypeError: sizes below 1, ranges upside down, or no image.

    >>> import numpy as np
    >>> RandomResizedCrop(4)(np.zeros((9, 7, 3), np.uint8)).shape
    (4, 4, 3)
    """

    def __init__(
        self,
        size: int | Sequence[int],
        scale: tuple[float, float] = (0.08, 1.0),
        ratio: tuple[float, float] = (3 / 4, 4 / 3),
    ):
        op = "RandomResizedCrop"
        self.size = _pair(op, "size", size)
        for name, value in (("scale", scale), ("ratio", ratio)):
            if not is_several(value) or len(value) != 2 or not 0 < value[0] <= value[1]:
                fail(ArgumentError(f"{name}={value!r} must be (least, most), above 0", op=op))
        self.scale, self.ratio = scale, ratio

    def __call__(self, image: Any) -> Any:
        pixels = _pixels("RandomResizedCrop", image)
        return _like(image, _resized(pixels, self._box(*pixels.shape[:2]), self.size))

    def _box(self, height: int, width: int) -> tuple[int, int, int, int]:
        """Top, left, height and width of the part."""
        draw = _random()
        for _ in range(10):
            area = height * width * draw.uniform(*self.scale)
            shape = math.exp(draw.uniform(math.log(self.ratio[0]), math.log(self.ratio[1])))
            w, h = round(math.sqrt(area * shape)), round(math.sqrt(area / shape))
            if 0 < w <= width and 0 < h <= height:
                return int(draw.integers(0, height - h + 1)), int(draw.integers(0, width - w + 1)), h, w
        shape = min(max(width / height, self.ratio[0]), self.ratio[1])  # the middle, as much as the ratio allows
        w, h = min(width, round(height * shape)), min(height, round(width / shape))
        return (height - h) // 2, (width - w) // 2, h, w

    def __repr__(self) -> str:
        return f"RandomResizedCrop({self.size}, scale={self.scale}, ratio={self.ratio})"


class _RandomFlip:
    def __init__(self, p: float = 0.5):
        self.p = number_of(type(self).__name__, "p", p, 0, 1)

    def _flipped(self, image: Any, axis: int) -> Any:
        pixels = _pixels(type(self).__name__, image)
        return _like(image, np.flip(pixels, axis)) if _random().random() < self.p else image

    def __repr__(self) -> str:
        return f"{type(self).__name__}(p={self.p})"


class RandomHorizontalFlip(_RandomFlip):
    """An image mirrored left to right with probability ``p``.

    Raises:
        ArgumentError, ArgumentTypeError: ``p`` is not a number from 0 to 1, or no image.

    >>> import numpy as np
    >>> RandomHorizontalFlip(1.0)(np.array([[1, 2]])).tolist()
    [[2, 1]]
    """

    def __call__(self, image: Any) -> Any:
        return self._flipped(image, 1)


class RandomVerticalFlip(_RandomFlip):
    """An image mirrored top to bottom with probability ``p``.

    Raises:
        ArgumentError, ArgumentTypeError: ``p`` is not a number from 0 to 1, or no image.

    >>> import numpy as np
    >>> RandomVerticalFlip(1.0)(np.array([[1], [2]])).tolist()
    [[2], [1]]
    """

    def __call__(self, image: Any) -> Any:
        return self._flipped(image, 0)


def _blended(a: Array, b: Array | float, part: float, dtype: np.dtype[Any]) -> Array:
    """``part`` of a and the rest of b, within the range of the image's numbers."""
    mixed = part * a.astype(np.float64) + (1 - part) * b
    most = np.iinfo(dtype).max if dtype.kind in "iu" else 1.0
    result: Array = np.clip(mixed, 0, most).astype(dtype)
    return result


def _grey(pixels: Array) -> Array:
    """The brightness of each pixel, ``(H, W, 1)``."""
    grey: Array = (pixels @ np.array(_LUMA))[:, :, None]
    return grey


class Grayscale:
    """A colour image in shades of grey.

    Args:
        num_output_channels: 1, or 3 equal ones.

    Raises:
        ArgumentError, ArgumentTypeError, ShapeError: another number, or an image without three channels.

    >>> import numpy as np
    >>> Grayscale()(np.full((1, 1, 3), 9, np.uint8)).shape
    (1, 1, 1)
    """

    def __init__(self, num_output_channels: int = 1):
        if num_output_channels not in (1, 3):
            fail(ArgumentError(f"num_output_channels={num_output_channels!r} must be 1 or 3", op="Grayscale"))
        self.num_output_channels = num_output_channels

    def __call__(self, image: Any) -> Any:
        pixels = _colours("Grayscale", image)
        grey = _blended(_grey(pixels), 0.0, 1.0, pixels.dtype)
        result = np.repeat(grey, self.num_output_channels, axis=2)
        if isinstance(image, Tensor):
            return leaf(np.ascontiguousarray(np.moveaxis(result, -1, 0)))
        return _like(image, result)

    def __repr__(self) -> str:
        return f"Grayscale({self.num_output_channels})"


def _colours(op: str, image: Any) -> Array:
    pixels = _pixels(op, image)
    if pixels.shape[2] != 3:
        fail(ShapeError(f"image has {pixels.shape[2]} channels, but it must have red, green and blue", op=op))
    return pixels


class ColorJitter:
    """Brightness, contrast, saturation and hue changed at random, in random order.

    Args:
        brightness, contrast, saturation: a factor is drawn from ``max(0, 1 - x) .. 1 + x``, or from (least, most).
        hue: a part of the circle of colours is drawn from ``-x .. x``, at most 0.5, or from (least, most).

    Raises:
        ArgumentError, ArgumentTypeError, ShapeError: ranges upside down, or an image without three channels.

    >>> import numpy as np
    >>> ColorJitter(brightness=0.5, hue=0.1)(np.zeros((2, 2, 3), np.uint8)).max()
    np.uint8(0)
    """

    def __init__(self, brightness: Any = 0, contrast: Any = 0, saturation: Any = 0, hue: Any = 0):
        self.ranges = {
            "brightness": self._range("brightness", brightness, 1.0, 0.0, math.inf),
            "contrast": self._range("contrast", contrast, 1.0, 0.0, math.inf),
            "saturation": self._range("saturation", saturation, 1.0, 0.0, math.inf),
            "hue": self._range("hue", hue, 0.0, -0.5, 0.5),
        }

    @staticmethod
    def _range(name: str, value: Any, centre: float, least: float, most: float) -> tuple[float, float] | None:
        if is_several(value):
            low, high = (number_of("ColorJitter", name, v) for v in value)
        else:
            spread = number_of("ColorJitter", name, value, 0)
            low, high = max(least, centre - spread) if centre else -spread, centre + spread
        if not least <= low <= high <= most:
            fail(ArgumentError(f"{name}={value!r} must lie in {least:g} .. {most:g}", op="ColorJitter"))
        return None if low == high == centre else (low, high)

    def __call__(self, image: Any) -> Any:
        pixels = _colours("ColorJitter", image)
        draw = _random()
        names = list(self.ranges)
        for k in draw.permutation(len(names)):
            limits = self.ranges[names[k]]
            if limits is not None:
                pixels = self._changed(names[k], pixels, draw.uniform(*limits))
        return _like(image, pixels)

    @staticmethod
    def _changed(name: str, pixels: Array, factor: float) -> Array:
        if name == "brightness":
            return _blended(pixels, 0.0, factor, pixels.dtype)
        if name == "contrast":
            mean = _blended(_grey(pixels), 0.0, 1.0, pixels.dtype).mean()
            return _blended(pixels, float(mean), factor, pixels.dtype)
        if name == "saturation":
            return _blended(pixels, _grey(pixels), factor, pixels.dtype)
        return _turned(pixels, factor)

    def __repr__(self) -> str:
        return f"ColorJitter({', '.join(f'{k}={v}' for k, v in self.ranges.items())})"


def _turned(pixels: Array, turn: float) -> Array:
    """Colours moved around the circle of hues: A. R. Smith, "Color gamut transform pairs", SIGGRAPH 1978."""
    scale = 255.0 if pixels.dtype.kind in "iu" else 1.0
    rgb = pixels / scale
    value, chroma = rgb.max(2), np.ptp(rgb, axis=2)
    safe = np.where(chroma == 0, 1, chroma)
    r, g, b = np.moveaxis(rgb, 2, 0)
    hue = np.where(value == r, (g - b) / safe, np.where(value == g, 2 + (b - r) / safe, 4 + (r - g) / safe))
    hue = (hue / 6 + turn) % 1.0
    steps = (np.array([5.0, 3.0, 1.0]) + hue[:, :, None] * 6) % 6
    result = value[:, :, None] - chroma[:, :, None] * np.clip(np.minimum(steps, 4 - steps), 0, 1)
    turned: Array = (np.floor(result * scale + 0.5) if scale > 1 else result).astype(pixels.dtype)
    return turned
