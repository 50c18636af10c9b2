"""Line search for a step that fulfils the strong Wolfe conditions: Nocedal & Wright, "Numerical Optimization", 3.5.

Knows a function of the step's length alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

from lucid.tensor import Tensor

#: How much of the slope's promise a step must keep, and how much of the slope may be left.
_DECREASE, _CURVATURE = 1e-4, 0.9
#: Evaluations of the function, and the least change of an element of the parameters.
_MOST, _TOLERANCE = 25, 1e-9


class Point(NamedTuple):
    """A step's length; there, the loss, its gradient, and its slope along the step."""

    at: float
    loss: float
    gradient: Tensor
    slope: float


def cubic_minimum(a: Point, b: Point, low: float, high: float) -> float:
    """Where the cubic through both points, with their slopes, is least within bounds; their middle if nowhere."""
    middle = (low + high) / 2.0
    if a.at == b.at:
        return middle
    first, last = (a, b) if a.at <= b.at else (b, a)
    bend = a.slope + b.slope - 3.0 * (a.loss - b.loss) / (a.at - b.at)
    square = bend * bend - a.slope * b.slope
    if not square >= 0.0:
        return middle
    root = math.sqrt(square)
    width = last.slope - first.slope + 2.0 * root
    if width == 0.0:
        return middle
    return min(max(last.at - (last.at - first.at) * ((last.slope + root - bend) / width), low), high)


def strong_wolfe(evaluate: Callable[[float], Point], start: Point, length: float, size: float) -> tuple[Point, int]:
    """A point that fulfils the conditions, or the best that was met; and how often the function was evaluated.

    Args:
        evaluate: the point at a length.
        start: that at 0, with a negative slope.
        length: the first one to try.
        size: the largest element of the direction.
    """

    def too_high(point: Point) -> bool:
        return point.loss > start.loss + _DECREASE * point.at * start.slope

    def flat_enough(point: Point) -> bool:
        return abs(point.slope) <= -_CURVATURE * start.slope

    previous, point = start, evaluate(length)
    count = 1
    tries = 0
    while True:  # outwards, until a minimum lies between two points
        if tries == _MOST:
            bracket = [start, point]
            break
        if too_high(point) or (tries > 1 and point.loss >= previous.loss):
            bracket = [previous, point]
            break
        if flat_enough(point):
            return point, count
        if point.slope >= 0.0:
            bracket = [previous, point]
            break
        least = point.at + 0.01 * (point.at - previous.at)
        length = cubic_minimum(previous, point, least, point.at * 10.0)
        previous, point = point, evaluate(length)
        count += 1
        tries += 1

    stuck = False
    low, high = sorted(bracket, key=lambda p: p.loss)
    while tries < _MOST:  # inwards
        first, last = sorted((low.at, high.at))
        if (last - first) * size < _TOLERANCE:
            break
        length = cubic_minimum(low, high, first, last)
        margin = 0.1 * (last - first)
        if min(last - length, length - first) < margin:
            if stuck or length >= last or length <= first:
                length = last - margin if abs(length - last) < abs(length - first) else first + margin
                stuck = False
            else:
                stuck = True
        else:
            stuck = False
        point = evaluate(length)
        count += 1
        tries += 1
        if too_high(point) or point.loss >= low.loss:
            low, high = (low, point) if low.loss <= point.loss else (point, low)
            continue
        if flat_enough(point):
            return point, count
        if point.slope * (high.at - low.at) >= 0.0:
            high = low
        low = point
    return low, count
