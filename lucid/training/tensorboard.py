"""Logs that TensorBoard shows, written by the package tensorboard."""

from __future__ import annotations

from importlib.util import find_spec
from io import BytesIO
from os import PathLike, fspath
from time import time
from typing import Any

import numpy as np

from lucid.errors import ArgumentError, DataError, ShapeError
from lucid.functions.arguments import fail, int_of, number_of
from lucid.ir.types import is_float
from lucid.promotion import as_tensor
from lucid.tensor import Tensor


class SummaryWriter:
    """Numbers, distributions and pictures by step, in a folder that ``tensorboard --logdir`` reads.

    Args:
        log_dir: the folder; made if it is not there.

    Raises:
        DataError: the package tensorboard is not installed.

    >>> writer = SummaryWriter("runs/first")  # doctest: +SKIP
    >>> writer.add_scalar("loss", 0.7, 1)  # doctest: +SKIP
    """

    def __init__(self, log_dir: str | PathLike[str] = "runs"):
        if find_spec("tensorboard") is None:
            message = "logs are written by the package tensorboard, which is not installed"
            fail(DataError(message, op="SummaryWriter", hint="pip install tensorboard"))
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        self._writer: Any = EventFileWriter(fspath(log_dir))

    def _add(self, step: int | None, **value: Any) -> None:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary

        event = Event(wall_time=time(), summary=Summary(value=[Summary.Value(**value)]))
        if step is not None:
            event.step = int_of("SummaryWriter", "global_step", step)
        self._writer.add_event(event)

    def add_scalar(self, tag: str, scalar_value: Any, global_step: int | None = None) -> None:
        """A number, or a tensor of one.

        Raises:
            ArgumentTypeError: no number.
        """
        given = scalar_value.item() if isinstance(scalar_value, Tensor) else scalar_value
        self._add(global_step, tag=tag, simple_value=float(number_of("add_scalar", "scalar_value", given)))

    def add_histogram(self, tag: str, values: Any, global_step: int | None = None, bins: int = 64) -> None:
        """How a tensor's elements are distributed.

        Raises:
            ArgumentError: no elements, or some that are not finite.
        """
        from tensorboard.compat.proto.histogram_pb2 import HistogramProto

        array = np.asarray(as_tensor(values, "add_histogram", "values").detach(), np.float64).ravel()
        if not array.size or not np.isfinite(array).all():
            fail(ArgumentError("values must have elements, all of them finite", op="add_histogram"))
        counts, edges = np.histogram(array, bins)
        proto = HistogramProto(
            min=array.min(),
            max=array.max(),
            num=array.size,
            sum=array.sum(),
            sum_squares=(array * array).sum(),
            bucket_limit=edges[1:].tolist(),
            bucket=counts.tolist(),
        )
        self._add(global_step, tag=tag, histo=proto)

    def add_image(self, tag: str, img_tensor: Any, global_step: int | None = None) -> None:
        """A picture ``(C, H, W)`` of one or three channels: floats from 0 to 1, or bytes. Needs Pillow.

        Raises:
            ShapeError: another shape.
        """
        from PIL import Image
        from tensorboard.compat.proto.summary_pb2 import Summary

        array = np.asarray(as_tensor(img_tensor, "add_image", "img_tensor").detach())
        if array.ndim != 3 or array.shape[0] not in (1, 3):
            rule = "must be (1, H, W) or (3, H, W)"
            fail(ShapeError(f"img_tensor has shape {array.shape}, but it {rule}", op="add_image"))
        if is_float(array.dtype):
            array = np.floor(np.clip(array, 0, 1) * 255 + 0.5)
        pixels = np.ascontiguousarray(np.moveaxis(array.astype(np.uint8), 0, -1))
        file = BytesIO()
        Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels).save(file, "PNG")
        h, w, c = pixels.shape
        image = Summary.Image(height=h, width=w, colorspace=c, encoded_image_string=file.getvalue())
        self._add(global_step, tag=tag, image=image)

    def flush(self) -> None:
        """Write what waits to the file."""
        self._writer.flush()

    def close(self) -> None:
        """Write what waits, and end."""
        self._writer.close()

    def __enter__(self) -> SummaryWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
