"""Heuristics of chains: which kernels a batch goes through image by image.

Nothing here depends on how many threads there are: that would change results.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from math import prod

from lucid.codegen.chains import Link
from lucid.codegen.fuse import is_contraction
from lucid.codegen.layout import Layout
from lucid.codegen.spec import KernelSpec
from lucid.codegen.target import Target
from lucid.ir.expr import Reduce, walk
from lucid.ir.graph import Node

#: Elements of the smallest image that is worth the call of a kernel, some tens of nanoseconds.
SMALLEST_IMAGE = 256

#: Products that an image has for each weight, at least.
FEWEST_PIXELS = 8

#: Images that threads share about evenly, even if their number is odd.
MANY_IMAGES = 9


def suits_chain(spec: KernelSpec, link: Link, layouts: Mapping[Node, Layout], target: Target) -> bool:
    """Whether to run a kernel once for each image: there are enough for threads to share, and what is read each time
    anew, weights, stays in the second-level cache beside the image or is no more than it.
    """
    images = link.axis.extent
    if (images % 2 and images < MANY_IMAGES) or _visits(spec) < images * SMALLEST_IMAGE:
        return False
    values = dict.fromkeys((*spec.sources, *(s.node for s in spec.stores)))
    sizes = {x: layouts[x].size * x.dtype.itemsize for x in values}
    moved = sum(size // images for x, size in sizes.items() if x in link.by_image)
    weights = sum(size for x, size in sizes.items() if x not in link.by_image)
    return weights <= max(moved, target.l2 // 4) and _uses_weights(spec, link)


def _uses_weights(spec: KernelSpec, link: Link) -> bool:
    """Whether an image has so many pixels for every weight of a sum of products that batches need not share them."""
    products = [e for s in spec.stores for e in walk(s.value) if is_contraction(e)]
    weights = sum(x.type.size for x in spec.sources if x not in link.by_image)
    length = max([prod(a.extent for a in e.axes) for e in products if isinstance(e, Reduce)], default=0)
    return not length or prod(a.extent for a in spec.axes) * length >= FEWEST_PIXELS * weights * link.axis.extent


def _visits(spec: KernelSpec) -> int:
    """How many elements a kernel makes, or adds up. Sums of products are not counted: few of them need all weights."""
    sums = [e for s in spec.stores for e in walk(s.value) if isinstance(e, Reduce) and not is_contraction(e)]
    return prod(a.extent for a in spec.axes) * max([prod(a.extent for a in e.axes) for e in sums], default=1)


def chain_pays(
    specs: Sequence[KernelSpec], local: Collection[Node], layouts: Mapping[Node, Layout], target: Target
) -> bool:
    """Whether to make a chain: some values are needed of one image at a time only, or, of all images, what passes from
    kernel to kernel is more than stays near the cores.
    """
    stored = {s.node for spec in specs for s in spec.stores}
    passed = [x for spec in specs for x in spec.sources if x in stored]
    return bool(local) or sum(layouts[x].size * x.dtype.itemsize for x in passed) > target.l2
