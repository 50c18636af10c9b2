"""Chains of kernels that each image of a batch goes through before the next image begins.

What one kernel of a chain writes, the next reads while it is in the core's own caches; what nobody else reads is held
for one image a thread, not for the whole batch; and threads take images, instead of meeting after every kernel.

A kernel of a chain is the kernel of one image, called once for each with other addresses: every value that it reads or
writes image by image has its images one after the other in memory. Knows specs and layouts, no loops.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from lucid.codegen.layout import Layout
from lucid.codegen.sequence import root
from lucid.codegen.spec import KernelSpec
from lucid.ir.expr import Axis, Expr, Load, Reduce, free_axes, index, loads
from lucid.ir.graph import Node
from lucid.ir.index import affine


@dataclass(frozen=True)
class Link:
    """A kernel that could be part of a chain: the axis that counts images, and what has such an axis."""

    axis: Axis
    #: Values read or written an image at a time; all others are read whole.
    by_image: frozenset[Node]


@dataclass(frozen=True)
class Chain:
    """The kernels ``first`` up to ``last``, exclusive, run one after the other on each of ``images``."""

    first: int
    last: int
    images: int


def link_of(spec: KernelSpec, layouts: Mapping[Node, Layout]) -> Link | None:
    """How a kernel goes through a batch; None if an image of its results takes more than that image of its operands."""
    axis = _plain_axis(spec.stores[0].index)
    if axis is None or axis not in spec.axes:
        return None
    by_image: dict[Node, bool] = {}
    sources = set[Hashable](spec.sources)

    def agrees(node: Hashable, position: Sequence[Expr]) -> bool:
        """Whether the node is read or written by image here as it is everywhere else in the kernel."""
        assert isinstance(node, Node)
        here = _plain_axis(position) is axis
        if not here and any(axis in free_axes(p) for p in position):
            return False
        if here and not (
            _images_apart(layouts[node], axis.extent) and all(axis not in free_axes(p) for p in position[1:])
        ):
            return False
        return by_image.setdefault(node, here) is here

    for store in spec.stores:
        if _plain_axis(store.index) is not axis or not agrees(store.node, store.index):
            return None
        reads = [x for x in loads(store.value) if x.source in sources]
        if not all(agrees(x.source, x.index) for x in reads) or _computes_with(store.value, axis):
            return None
    return Link(axis, frozenset(n for n, here in by_image.items() if here))


def _plain_axis(position: Sequence[Expr]) -> Axis | None:
    """The axis that the first index is, with nothing added."""
    form = affine(position[0]) if position else None
    if form is None or form.constant or list(form.terms.values()) != [1]:
        return None
    (atom,) = form.terms
    return atom if isinstance(atom, Axis) else None


def _images_apart(layout: Layout, images: int) -> bool:
    return layout.shape[0] == images and layout.order[0] == 0 and not layout.low[0] and not layout.high[0]


def _computes_with(value: Expr, axis: Axis) -> bool:
    """Whether the number of the image decides about its values other than by where they are read."""
    stack, done = [value], set[Expr]()
    while stack:
        expr = stack.pop()
        if expr == axis or (isinstance(expr, Reduce) and axis in expr.axes):
            return True
        if not isinstance(expr, Load) and expr not in done:
            done.add(expr)
            stack.extend(expr.children())
    return False


def one_image(spec: KernelSpec, link: Link) -> KernelSpec:
    """The kernel of the first image."""
    single = spec.map([a for a in spec.axes if a is not link.axis], {link.axis: index(0)})
    if spec.window is None:
        return single
    images = tuple(a for a in spec.window.images if a is not link.axis)
    return replace(single, window=replace(spec.window, images=images))


def layouts_of_one(link: Link, layouts: Mapping[Node, Layout]) -> dict[Node, Layout]:
    """Where values lie, those with images as if there were one."""
    return {**layouts, **{n: replace(layouts[n], shape=(1, *n.shape[1:])) for n in link.by_image}}


def chains_of(
    specs: Sequence[KernelSpec],
    layouts: Mapping[Node, Layout],
    over: Mapping[Node, Node],
    suits: Callable[[KernelSpec, Link], bool],
    pays: Callable[[Sequence[KernelSpec], Collection[Node]], bool],
    kept: Collection[Node],
) -> list[Chain]:
    """The chains among kernels in the order they run.

    Args:
        over: value to the value whose memory it is written over.
        suits: whether a kernel should be run by image.
        pays: whether a chain should be made, given also the values that stay inside it.
        kept: values that outlive the run.
    """
    candidates = _candidates(specs, layouts, over, suits)
    return [c for c in candidates if pays(specs[c.first : c.last], inside(specs, [c], over, kept))]


def _candidates(
    specs: Sequence[KernelSpec],
    layouts: Mapping[Node, Layout],
    over: Mapping[Node, Node],
    suits: Callable[[KernelSpec, Link], bool],
) -> Iterator[Chain]:
    links: list[Link] = []
    for k, spec in enumerate(specs):
        link = link_of(spec, layouts)
        if link is not None and not suits(spec, link):
            link = None
        first = k - len(links)
        if links and (link is None or not _follows(spec, link, specs[first:k], links, over)):
            if len(links) > 1:
                yield Chain(first, k, links[0].axis.extent)
            links = []
        if link is not None:
            links.append(link)
    if len(links) > 1:
        yield Chain(len(specs) - len(links), len(specs), links[0].axis.extent)


def _follows(
    spec: KernelSpec, link: Link, before: Sequence[KernelSpec], links: Sequence[Link], over: Mapping[Node, Node]
) -> bool:
    """Whether a kernel may run on an image before those of the chain have run on the next one: memory written by one
    of them is touched by the others an image at a time.
    """
    if link.axis.extent != links[0].axis.extent:
        return False
    written, whole = set[Node](), set[Node]()
    for s, at in zip([*before, spec], [*links, link], strict=True):
        written.update(root(over, x.node) for x in s.stores)
        whole.update(root(over, x) for x in s.sources if x not in at.by_image)
    return not written & whole


#: Kernels among which more of a chain is looked for.
_REACH = 48


def brought_together(
    specs: Sequence[KernelSpec],
    needs: Sequence[frozenset[int]],
    layouts: Mapping[Node, Layout],
    over: Mapping[Node, Node],
    suits: Callable[[KernelSpec, Link], bool],
    pays: Callable[[Sequence[KernelSpec], Collection[Node]], bool],
    kept: Collection[Node],
    small: Callable[[KernelSpec], bool],
) -> list[KernelSpec]:
    """The kernels in an order that gives longer chains: what uses an image that was just made or read comes next, and
    what that needs besides, such as weights in another order, before the chain.

    Args:
        specs: in an order that could be run.
        needs: the numbers of the kernels that must have run before each, directly.
        over: value to the value whose memory it is written over.
        suits, pays, kept: as of ``chains_of``.
        small: whether a kernel's results are small enough to be made early.
    """
    touching: dict[Node, set[int]] = {}
    for k, spec in enumerate(specs):
        for x in (*spec.sources, *(s.node for s in spec.stores)):
            touching.setdefault(root(over, x), set()).add(k)

    def local(chain: Sequence[int]) -> list[Node]:
        made = dict.fromkeys(s.node for k in chain for s in specs[k].stores)
        return [x for x in made if root(over, x) not in kept and touching[root(over, x)] <= {*chain}]

    links = [link if link is not None and suits(s, link) else None for s in specs for link in (link_of(s, layouts),)]
    left = dict.fromkeys(range(len(specs)))
    result: list[int] = []
    while left:
        first = next(iter(left))
        link = links[first]
        chain = [first]
        early: list[int] = []
        if link is not None:
            at, touched = [link], set(link.by_image)
            beside: set[int] = set()  # may run before the chain
            for k in islice(left, 1, _REACH):
                missing = (needs[k] & left.keys()).difference(chain, early)
                link = links[k]
                wanted = _with_needs(missing, needs, beside) if missing <= beside else None
                if (
                    link is not None
                    and wanted is not None
                    and touched & link.by_image
                    and all(small(specs[j]) for j in wanted)
                    and _follows(specs[k], link, [specs[j] for j in chain], at, over)
                ):
                    chain.append(k)
                    at.append(link)
                    touched |= link.by_image
                    early += sorted(wanted)
                    beside -= wanted
                elif wanted is not None and needs[k].isdisjoint(chain):
                    beside.add(k)
        if len(chain) > 1 and not pays([specs[k] for k in chain], local(chain)):
            early, chain = [], [first]
        for k in (*early, *chain):
            result.append(k)
            del left[k]
    return [specs[k] for k in result]


def _with_needs(kernels: Collection[int], needs: Sequence[frozenset[int]], among: Collection[int]) -> set[int]:
    """The kernels and what they need, directly or not, among some."""
    found, stack = set[int](), [*kernels]
    while stack:
        k = stack.pop()
        if k not in found:
            found.add(k)
            stack.extend(j for j in needs[k] if j in among)
    return found


def inside(
    specs: Sequence[KernelSpec], chains: Sequence[Chain], over: Mapping[Node, Node], kept: Collection[Node]
) -> dict[Node, Chain]:
    """The values that only one chain's kernels touch, and that chain: one image of them is all there need be."""
    of: list[Chain | None] = [None] * len(specs)
    for chain in chains:
        of[chain.first : chain.last] = [chain] * (chain.last - chain.first)
    touched: dict[Node, set[Chain | None]] = {}
    stored: set[Node] = set()
    for spec, where in zip(specs, of, strict=True):
        stored.update(s.node for s in spec.stores)
        for x in (*spec.sources, *(s.node for s in spec.stores)):
            touched.setdefault(root(over, x), set()).add(where)
    found: dict[Node, Chain] = {}
    for node in stored:
        home = root(over, node)
        if home in stored and home not in kept and len(touched[home]) == 1:
            (only,) = touched[home]
            if only is not None:
                found[node] = only
    return found
