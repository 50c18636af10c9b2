"""Wrong uses of the public API: each is an error of Lucid's own, with operation, value, rule and line.

What every error says is the golden text ``wrong_uses.txt``: read it as a user would.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lucid
from lucid import nn, optim
from lucid.errors import GradientError, LucidError, ShapeError
from lucid.nn import functional as F
from tests.golden import Golden

#: Words of NumPy's, LLVM's and ctypes' own messages.
FOREIGN = (
    "operands could not be broadcast", "ufunc", "llvm", "ctypes", "cannot reshape array", "numpy.", "setting an array",
    "object is not", "unexpected keyword", "positional argument", "Traceback",
)  # fmt: skip

WRONG = [
    "F.conv2d(lucid.rand(3, 8, 8)[0], w)",
    "F.conv2d(lucid.rand(1, 2, 8, 8), w)",
    "F.conv2d(x, w, groups=2)",
    "F.conv2d(x, w.astype('float64'))",
    "F.conv2d(x, w, stride=-1)",
    "F.conv2d(x, w, stride=0)",
    "F.conv2d(x, w, stride=1.5)",
    "F.conv2d(x, w, stride=True)",
    "F.conv2d(x, w, padding='sam')",
    "F.conv2d(x, w, padding=-1)",
    "F.conv2d(x, w, dilation=0)",
    "F.conv2d(x, w, dilation=5)",
    "F.conv2d(x, lucid.rand(4, 3, 0, 3))",
    "F.conv2d(lucid.ones(1, 3, 8, 8).astype('int64'), w)",
    "F.conv2d(x, w, lucid.rand(5))",
    "F.conv2d(x, w, stride=(1, 2, 3))",
    "F.conv2d(x, None)",
    "F.conv2d(np.zeros((1, 3, 8, 8)), w)",
    "nn.Conv2d(3, 4, 0)",
    "nn.Conv2d(3, 4, 3, groups=2)",
    "nn.Conv2d(0, 4, 3)",
    "nn.Conv2d(3, 4, (3, 3, 3))",
    "nn.Conv2d(3, 4, 3, padding='full')",
    "nn.Conv2d(3, 4, 3.0)",
    "nn.Conv2d(3, 4, 3)(lucid.rand(1, 1, 4, 4))",
    "nn.Linear(3, 4)(lucid.rand(2, 5))",
    "nn.Linear(3, -1)",
    "nn.MaxPool2d(0)",
    "F.max_pool2d(x, 9)",
    "F.max_pool2d(x, 2, padding=3)",
    "F.avg_pool2d(lucid.rand(3), 2)",
    "F.max_pool2d(x, 2, stride=0)",
    "nn.BatchNorm2d(4)(x)",
    "nn.Dropout(1.5)",
    "F.dropout(x, -0.1)",
    "nn.Dropout('a')",
    "F.cross_entropy(z, lucid.Tensor([0, 1, 2, 3, 0]))",
    "F.cross_entropy(z, lucid.Tensor([0, 1, 2, -1, 0]))",
    "F.cross_entropy(z, lucid.Tensor([0.0, 1.0, float('nan'), 1.0, 0.0]))",
    "F.cross_entropy(z, lucid.Tensor([0, 1]))",
    "F.cross_entropy(z, t, reduction='avg')",
    "F.mse_loss(z, lucid.rand(4, 3))",
    "F.mse_loss(z, lucid.rand(3))",
    "x.sum(axis=4)",
    "x.sum(axis=(1, 1))",
    "x.mean(dim='a')",
    "x.reshape(7)",
    "x.reshape(-1, -1)",
    "x.reshape(-1, 5)",
    "x.permute(0, 1, 2)",
    "x.permute(0, 1, 1, 2)",
    "x.transpose(0, 9)",
    "x.squeeze(axis=1)",
    "x.unsqueeze(9)",
    "z.expand(4, 3)",
    "z.broadcast_to(2, 5)",
    "lucid.Tensor([[1, 2], [3]])",
    "lucid.Tensor('abc')",
    "lucid.Tensor(None)",
    "lucid.Tensor([1 + 2j])",
    "lucid.Tensor([1.0], dtype='float16')",
    "lucid.Tensor([1, 2], requires_grad=True)",
    "lucid.Tensor([1.0], dtype='nope')",
    "z + lucid.rand(4)",
    "z @ z",
    "z @ lucid.tensor(1.0)",
    "z + 'a'",
    "z + None",
    "lucid.cat([])",
    "lucid.cat([z, t])",
    "lucid.cat([z, lucid.rand(2, 2)])",
    "lucid.stack([z, lucid.rand(2)])",
    "lucid.cat(z, axis=5)",
    "z.split(0)",
    "z.split([2, 2])",
    "z.chunk(0)",
    "z[5]",
    "z[0, 0, 0]",
    "z[1.5]",
    "z[z[0] > 0]",
    "z[::0]",
    "z['a']",
    "z[lucid.Tensor([7])]",
    "z.item()",
    "bool(z)",
    "len(lucid.tensor(1.0))",
    "list(lucid.tensor(1.0))",
    "float(z)",
    "z.__setitem__(0, lucid.ones(2))",
    "z.backward()",
    "lucid.tensor([1.0, 2.0], requires_grad=True).sum().backward(lucid.ones(3))",
    "lucid.grad(z.sum(), z)",
    "t.requires_grad_()",
    "lucid.one_hot(z, 3)",
    "lucid.zeros(0).argmax()",
    "lucid.zeros(0, 3).max()",
    "lucid.manual_seed('a')",
    "lucid.arange(0, 5, 0)",
    "lucid.zeros(-1)",
    "lucid.zeros(2.5)",
    "lucid.full((2,), 'a')",
    "lucid.randint(0, shape=(2,))",
    "lucid.linspace(0, 1, -2)",
    "lucid.where(z, z, z)",
    "lucid.where(z > 0, z, t)",
    "lucid.pad(z, (1,))",
    "z.var(axis=3)",
    "z.softmax(axis=2)",
    "~z",
    "-(z > 0)",
    "z ** '2'",
    "optim.SGD([], lr=0.1)",
    "optim.SGD(nn.Linear(2, 2).parameters(), lr=-1)",
    "optim.Adam(nn.Linear(2, 2).parameters(), betas=(1.0, 2.0))",
    "optim.SGD(nn.Linear(2, 2), lr=0.1)",
    "optim.SGD([1, 2], lr=0.1)",
    "optim.SGD(nn.Linear(2, 2).parameters(), lr=0.1, nesterov=True)",
    "nn.Linear(2, 2).load_state_dict({})",
    "nn.Linear(2, 2).load_state_dict({'weight': lucid.rand(3, 2), 'bias': lucid.rand(2)})",
    "nn.Linear(2, 2).foo",
    "nn.Sequential(3)",
    "nn.Sequential(nn.ReLU())[4]",
    "lucid.compile(3)",
    "lucid.load('/nonexistent')",
    "lucid.save({'a': 3}, '/nonexistent/x')",
    "lucid.set_num_threads(0)",
    "lucid.compile(lambda a: a.item())(z)",
    "lucid.compile(lambda a: float(a.sum()))(z)",
    "lucid.compile(lambda a: a if a.sum() > 0 else -a)(z)",
    "lucid.data.DataLoader([1, 2], batch_size=0)",
    "lucid.data.TensorDataset(z, lucid.rand(4))",
    "F.conv2d(x, w.int())",
    "F.conv2d(x, w, groups=True)",
    "F.conv2d(x, w, stride=None)",
    "F.conv2d(x, w, stride=np.array([2, 2]))",
    "F.conv2d(x, w, stride=t[:2])",
    "F.conv2d(x, w, padding=((1, 2), 3))",
    "F.conv2d(x, w, padding=0.5)",
    "F.conv2d(x, w, padding=10**9)",
    "F.conv2d(x, w, lucid.ones(4, dtype='float64'))",
    "F.conv2d(x, w, 'bias')",
    "F.conv2d(lucid.ones(1, 3, 0, 0), w)",
    "F.conv2d([[1.0, 2.0]], w)",
    "nn.Conv2d(3, 4, 3, stride=-2)",
    "nn.Conv2d(3, 4, 3, bias='no')",
    "nn.Conv2d(3, 4, 3)(np.ones((1, 3, 8, 8)))",
    "nn.Linear(3, 4)(lucid.ones(2, 3, dtype='float64'))",
    "nn.Linear(3, 4)(lucid.Tensor([[1, 2, 3]]))",
    "nn.Linear(3, 4)(None)",
    "nn.Flatten(3)(z)",
    "F.avg_pool2d(x, 2, padding=2)",
    "F.max_pool2d(x.int(), 2)",
    "nn.BatchNorm2d(3)(None)",
    "nn.BatchNorm2d(3)(lucid.ones(1, 3, 1, 1))",
    "nn.BatchNorm2d(3)(lucid.ones(0, 3, 2, 2))",
    "nn.BatchNorm2d(3, momentum=2)",
    "F.batch_norm(x, [0.0] * 3, [1.0] * 3)",
    "F.batch_norm(x, lucid.zeros(3), None, training=True)",
    "F.batch_norm(x, lucid.zeros(3, dtype='int32'), lucid.ones(3))",
    "F.batch_norm(x, lucid.zeros(3), lucid.ones(3), 'weight')",
    "F.batch_norm(x, lucid.zeros(3), lucid.ones(3), eps=-1.0)",
    "F.batch_norm(x, lucid.zeros(3), lucid.ones(3), training=True, momentum='a')",
    "F.dropout(x, float('nan'))",
    "F.dropout(x, True)",
    "F.leaky_relu(x, 'a')",
    "F.elu(x, None)",
    "F.cross_entropy(z, t.astype('uint8') + 100)",
    "F.cross_entropy(z, [True] * 5)",
    "F.cross_entropy(z, None)",
    "F.cross_entropy(lucid.tensor(1.0), 0)",
    "F.cross_entropy(z, t, ignore_index='a')",
    "F.cross_entropy(z, t, ignore_index=None)",
    "F.cross_entropy(z, t, label_smoothing='a')",
    "F.nll_loss(lucid.tensor(1.0), 0)",
    "F.l1_loss(z, 'a')",
    "nn.CrossEntropyLoss('avg')",
    "x.sum(axis=-5)",
    "x.sum(axis=1.0)",
    "x.sum(axis='rows')",
    "x.sum(axis=0, dim=1)",
    "x.sum(dtype='nope')",
    "x.var(correction='a')",
    "lucid.tensor(1.0).sum(axis=1)",
    "x.argmax((0, 1))",
    "lucid.zeros(0).logsumexp(0)",
    "z.softmax()",
    "z.reshape(-2, 5)",
    "z.reshape(2.0, 3)",
    "z.reshape('15')",
    "z.flatten(1, 0)",
    "z.permute(0)",
    "z.permute(0, 0)",
    "z.permute(0, 1.0)",
    "z.transpose(0)",
    "lucid.ones(3).mT",
    "z.moveaxis(0, 7)",
    "z.expand(-2, 3)",
    "z.tile(-1)",
    "z.flip((0, 0))",
    "lucid.pad(z, -1)",
    "lucid.pad(z, 1, 'a')",
    "lucid.pad(t.astype('uint8'), 1, 1000)",
    "lucid.Tensor([1, 'b'])",
    "lucid.Tensor([1, None])",
    "lucid.Tensor(np.array([1, None], object))",
    "lucid.Tensor(np.array(['a']))",
    "lucid.Tensor(np.ones(2, complex))",
    "lucid.Tensor({'a': 1})",
    "lucid.Tensor(range)",
    "lucid.Tensor(2**70)",
    "lucid.Tensor([300], dtype='uint8')",
    "lucid.Tensor([float('nan')], dtype='int32')",
    "lucid.Tensor([1.0], requires_grad='no')",
    "z.astype(None)",
    "z.astype(complex)",
    "z + 1j",
    "z + [[1.0], [1.0, 2.0]]",
    "t + 2**70",
    "np.ones((2, 4)) + z",
    "np.arctan(z)",
    "np.add(z, z, out=np.ones((5, 3)))",
    "(z > 0) - (z > 1)",
    "(z > 0) @ (z > 0).T",
    "z & z",
    "z << 1",
    "z < 'a'",
    "z == lucid.ones(4)",
    "3 @ z",
    "z @ [[1.0, 2.0]]",
    "lucid.ones(2, 3, 4) @ lucid.ones(3, 4, 5)",
    "lucid.outer(z, z)",
    "lucid.einsum('ij,jk', z)",
    "lucid.einsum('ijk', z)",
    "lucid.einsum('i1', z)",
    "lucid.einsum('ij->iij', z)",
    "lucid.einsum('ij->ik', z)",
    "lucid.einsum('ij,jk', z, z)",
    "lucid.einsum(z, z)",
    "lucid.tensordot(z, z, 3)",
    "lucid.tensordot(z, z, ([0], [1]))",
    "lucid.mm(z, z[0])",
    "lucid.bmm(lucid.ones(2, 3, 4), lucid.ones(3, 4, 5))",
    "lucid.cross(z, lucid.ones(5, 2))",
    "lucid.cdist(z, lucid.ones(2, 2))",
    "lucid.linalg.multi_dot([z])",
    "lucid.linalg.matrix_power(z, 2)",
    "lucid.linalg.matrix_norm(z, 'nuc')",
    "lucid.linalg.inv(z)",
    "lucid.linalg.inv(lucid.zeros(2, 2))",
    "lucid.linalg.cholesky(-lucid.eye(2))",
    "lucid.linalg.solve(lucid.eye(2), lucid.ones(3))",
    "lucid.linalg.qr(z, 'full')",
    "lucid.linalg.det(lucid.eye(2, dtype='int64'))",
    "lucid.finfo('int32')",
    "lucid.iinfo('float32')",
    "lucid.promote_types('int64', 'nope')",
    "lucid.exp('a')",
    "lucid.where(z > 0, 'a', 'b')",
    "z.clip('a')",
    "t.astype('int8').clip(0, 1000)",
    "lucid.cat([z, None])",
    "lucid.cat([lucid.tensor(1.0), lucid.tensor(2.0)])",
    "lucid.cat(p for p in [z])",
    "z.split(1.5)",
    "z.split([6, -1])",
    "z.chunk(1.5)",
    "z[-6]",
    "z[True]",
    "z[[True, False, True]]",
    "z[0.5:]",
    "z[[0], [1, 2], 0]",
    "z[..., ...]",
    "z[[[0], [1, 2]]]",
    "z.take([5], 0)",
    "z.take([0.5])",
    "lucid.zeros(0).take([0])",
    "z.__setitem__(9, 1.0)",
    "z.__setitem__(z > 0, lucid.ones(99))",
    "t.__setitem__(0, 'a')",
    "v.__setitem__(0, 1.0)",
    "z.masked_fill(z, 0)",
    "z.masked_fill(z > 0, z)",
    "lucid.compile(lambda a: a[a > 0])(z)",
    "lucid.where(z > 0, z)",
    "z.tril('a')",
    "z[0].tril()",
    "z.diagonal(0, 1, 1)",
    "z.roll(1, 5)",
    "z.roll((1, 2), 0)",
    "z.rot90(1, (0, 0))",
    "z.repeat_interleave(-1)",
    "z.repeat_interleave(lucid.tensor([1, 2]), 0)",
    "z.select(0, 7)",
    "z.narrow(0, 3, 9)",
    "lucid.hsplit(z, 2)",
    "z.tensor_split(0)",
    "z.unfold(0, 9, 1)",
    "z.unflatten(0, (2, 2))",
    "lucid.meshgrid(z)",
    "lucid.broadcast_shapes((2, 3), (4,))",
    "lucid.block_diag(x)",
    "x.t()",
    "lucid.one_hot(t, -1)",
    "lucid.one_hot(t, 3.0)",
    "lucid.one_hot(t, 3, 'nope')",
    "int(lucid.tensor(float('nan')))",
    "range(z)",
    "f'{z:.2f}'",
    "z.__delitem__(0)",
    "z.data",
    "v.add_(1)",
    "(v * 2).add_(z)",
    "z.add_(lucid.ones(2, 5, 3))",
    "t.mul_(0.5)",
    "lucid.div(z, 2, rounding_mode='up')",
    "lucid.lerp(z, z, 'a')",
    "lucid.isclose(z, z, rtol=-1)",
    "z.topk(9)",
    "z.topk(-1)",
    "z.topk(1.5)",
    "z.sort(dim=4)",
    "z.kthvalue(0)",
    "z.quantile(2.0)",
    "z.quantile(0.5, interpolation='cubic')",
    "t.quantile(0.5)",
    "lucid.zeros(0, 2).median(0)",
    "lucid.searchsorted(z, z[:2])",
    "lucid.searchsorted(z, z, side='middle')",
    "lucid.bincount(z)",
    "lucid.bincount(-t)",
    "lucid.histc(z, 0)",
    "z.cumsum(5)",
    "z.diff(-1)",
    "z.norm('max')",
    "lucid.linalg.vector_norm(t)",
    "z.gather(0, t)",
    "z.gather(0, z)",
    "z.gather(0, lucid.tensor([[9]]))",
    "z.scatter(0, lucid.tensor([[0]]), t)",
    "z.scatter(0, lucid.tensor([[0]]), lucid.ones(1, 1), reduce='mean')",
    "z.scatter_reduce(0, lucid.tensor([[0]]), lucid.ones(1, 1), 'median')",
    "z.scatter_add(0, lucid.tensor([[0, 0]]), lucid.ones(1, 1))",
    "z.index_add(0, lucid.tensor([0]), lucid.ones(2, 3))",
    "z.index_copy(0, lucid.tensor([0]), lucid.ones(1, 3, dtype='float64'))",
    "z.index_fill(0, lucid.tensor([0]), z)",
    "lucid.compile(lucid.unique)(t)",
    "lucid.compile(lucid.bincount)(t)",
    "setattr(z, 'data', 1)",
    "setattr(z, 'grad', lucid.ones(4))",
    "z.copy_(lucid.ones(4))",
    "z.fill_('a')",
    "(v * 2).copy_(1)",
    "(v * 2).requires_grad_(False)",
    "v.register_hook(3)",
    "z.register_hook(print)",
    "[y := (v * v).sum(), y.backward(), y.backward()]",
    "(v * 2).backward(lucid.ones(2, dtype='float64'))",
    "(v * 2).backward('a')",
    "(v * 2).argmax().backward()",
    "(v * 2).backward(inputs=[z])",
    "[y := v * 2, y.register_hook(lambda g: g[:1]), y.sum().backward()]",
    "[y := v * 2, y.register_hook(lambda g: 3.0), y.sum().backward()]",
    "lucid.grad((v * 2).sum(), lucid.ones(2, requires_grad=True))",
    "lucid.grad((v * 2).sum(), v, [1.0, 2.0])",
    "lucid.grad('a', v)",
    "lucid.evaluate(lucid.graph(z * 2), [np.ones(3, np.float32)])",
    "lucid.evaluate(lucid.graph(z * 2), [])",
    "lucid.graph(3)",
    "lucid.manual_seed(1.5)",
    "lucid.rand(-1)",
    "lucid.rand(2, dtype='int32')",
    "lucid.randint(0, 1000, (2,), dtype='uint8')",
    "lucid.random.uniform(1, 0, (2,))",
    "lucid.random.normal('a', 1, (2,))",
    "lucid.bernoulli(2, (2,))",
    "lucid.bernoulli(lucid.tensor([0.5, float('nan')]))",
    "lucid.randperm(2.5)",
    "lucid.arange('5')",
    "lucid.arange(float('inf'))",
    "lucid.linspace(0, float('nan'), 3)",
    "lucid.eye(-1)",
    "lucid.zeros(True)",
    "lucid.zeros(t)",
    "lucid.zeros(10**12, 10**12)",
    "lucid.zeros(10**7, 10**7)",
    "lucid.full((2,), float('nan'), dtype='int32')",
    "lucid.full((2,), 300, dtype='uint8')",
    "lucid.ones(1, 1).expand(10**8, 10**8) + 1",
    "lucid.from_numpy([1])",
    "nn.ModuleList(3)",
    "nn.ModuleList([nn.ReLU()])(z)",
    "nn.Linear(2, 2).load_state_dict([1])",
    "nn.Linear(2, 2).load_state_dict({**nn.Linear(2, 2).state_dict(), 'extra': 1})",
    "nn.Linear(2, 2).load_state_dict({'weight': 'a', 'bias': lucid.ones(2, dtype='int32')})",
    "setattr(nn.Linear(2, 2), 'weight', z)",
    "nn.Linear(2, 2).register_forward_hook(3)",
    "nn.Linear(2, 2).requires_grad_('a')",
    "nn.Parameter([1, 2])",
    "nn.init.uniform_('a')",
    "nn.init.uniform_(z, 'a')",
    "nn.init.zeros_(None)",
    "nn.init.kaiming_normal_(z, mode='x')",
    "optim.SGD([v, v], lr=0.1)",
    "optim.SGD([v * 2], lr=0.1)",
    "optim.SGD([v], lr=float('nan'))",
    "optim.SGD([v], lr='a')",
    "optim.SGD([{'params': 3}])",
    "optim.SGD([{'params': [v], 'speed': 1}])",
    "optim.SGD([v]).step(3)",
    "optim.SGD([v]).load_state_dict({})",
    "optim.Adam([v], betas=0.9)",
    "lucid.data.DataLoader(3)",
    "lucid.data.DataLoader([1, 2], shuffle='yes')",
    "lucid.data.DataLoader([1, 2], seed='a')",
    "list(lucid.data.DataLoader([z, t], batch_size=2))",
    "list(lucid.data.DataLoader([None], batch_size=1))",
    "lucid.data.TensorDataset()",
    "lucid.data.TensorDataset(z)[5]",
    "lucid.data.collate([])",
    "lucid.load(3)",
    "lucid.save([z], 'x')",
    "lucid.save({'a': object()}, 'x')",
    "lucid.save({'a': z}, None)",
    "lucid.save({'a': z}, 'x', metadata='text')",
]


def names() -> dict[str, Any]:
    lucid.manual_seed(0)
    return {
        "F": F, "lucid": lucid, "nn": nn, "np": np, "optim": optim,
        "x": lucid.ones(1, 3, 8, 8), "w": lucid.ones(4, 3, 3, 3), "z": lucid.ones(5, 3),
        "t": lucid.Tensor([0, 1, 2, 1, 0]), "v": lucid.Tensor([1.0, 2.0], requires_grad=True),
    }  # fmt: skip


def error_of(code: str) -> LucidError:
    """The error of one wrong use, as if it stood in this file."""
    with pytest.raises(LucidError) as caught:
        eval(compile(code, __file__, "eval"), names())
    return caught.value


def test_there_are_many() -> None:
    assert len(set(WRONG)) == len(WRONG) >= 60


@pytest.mark.parametrize("code", WRONG)
def test_a_wrong_use_is_an_error_of_ours(code: str) -> None:
    error = error_of(code)
    text = str(error)
    assert type(error) is not LucidError, "an error has a type of its own"
    assert error.where is not None
    assert error.where.startswith(f"{__file__}:1"), "the user's line"
    assert text.splitlines()[-1].strip() == f"at {error.where}"
    assert error.op or isinstance(error, AttributeError), "the operation"
    assert not any(word in text for word in FOREIGN)


def test_what_they_say(golden: Golden) -> None:
    texts = []
    for code in WRONG:
        error = error_of(code)
        hint = f"\n    hint: {error.hint}" if error.hint else ""
        texts.append(
            f"{code}\n    {type(error).__name__}: {error.op or '-'}: {error.message}{hint}".replace(__file__, "FILE")
        )
    golden("wrong_uses.txt", "\n".join(texts))


def test_the_line_is_the_users() -> None:
    x = lucid.ones(2, 3)
    with pytest.raises(ShapeError) as caught:
        x + lucid.ones(4)
    lines = Path(__file__).read_text(encoding="utf-8").splitlines()
    assert caught.value.where is not None
    number = int(caught.value.where.rsplit(":", 1)[1])
    assert lines[number - 1].strip() == "x + lucid.ones(4)"


INF, NAN = float("inf"), float("nan")

#: Uses that look wrong and have a right answer.
LEGAL = {
    "F.conv2d(x[:0], w).shape": (0, 4, 6, 6),
    "F.conv2d(x, w[:0]).shape": (1, 0, 6, 6),
    "F.conv2d(x[:, :0], w[:, :0]).tolist()": np.zeros((1, 4, 6, 6)).tolist(),
    "F.conv2d(x, w, stride=[2, np.int64(2)]).shape": (1, 4, 3, 3),
    "F.max_pool2d(x[:0], 2).shape": (0, 3, 4, 4),
    "nn.Linear(3, 2)(z[:0]).shape": (0, 2),
    "F.cross_entropy(z[:0], t[:0]).item()": NAN,
    "F.cross_entropy(z[:0], t[:0], reduction='sum').item()": 0.0,
    "F.cross_entropy(z, lucid.full((5, 3), NAN)).item()": NAN,
    "F.mse_loss(lucid.Tensor([1], dtype='uint8'), lucid.Tensor([3], dtype='uint8')).item()": 4.0,
    "F.mse_loss(z > 0, z > 1).item()": 1.0,
    "F.dropout(x, np.float32(1)).sum().item()": 0.0,
    "lucid.zeros(0).mean().item()": NAN,
    "lucid.zeros(0, 3).argmax(1).shape": (0,),
    "lucid.zeros(3, 0).softmax(1).shape": (3, 0),
    "t.mean().item()": np.float32(0.8),
    "lucid.tensor([1.0, 5.0]).clip(3, 2).tolist()": [2.0, 2.0],
    "lucid.tensor([1.0, 2.0]).var(correction=5).item()": INF,
    "(lucid.tensor([1.0, -1.0, 0.0]) / 0).tolist()": [INF, -INF, NAN],
    "(t[1:3] // 0).tolist()": [0, 0],
    "lucid.full((1,), 1e300).tolist()": [INF],
    "(lucid.ones(1) * 1e300).tolist()": [INF],
    "lucid.one_hot(lucid.Tensor([5]), 2).tolist()": [[0, 0]],
    "z[[]].shape": (0, 3),
    "z[2:1].shape": (0, 3),
    "(lucid.tensor([True]) + lucid.tensor([True])).tolist()": [True],
    "z == 'a'": False,
    "lucid.grad(v.sum(), lucid.ones(2, requires_grad=True), allow_unused=True)": (None,),
    "[y := v, y := y.__add__(1), y.is_leaf, v.tolist()][2:]": [False, [1.0, 2.0]],
    "list(lucid.data.DataLoader([]))": [],
}  # fmt: skip


@pytest.mark.parametrize("code", LEGAL)
def test_a_strange_use_has_the_right_answer(code: str) -> None:
    result = eval(compile(code, __file__, "eval"), {**names(), "NAN": NAN})
    np.testing.assert_equal(result, LEGAL[code])


def test_adding_in_place_to_a_leaf_is_refused() -> None:
    leaf = x = lucid.ones(2, requires_grad=True)
    with pytest.raises(GradientError, match="cannot be changed in place"):
        x += 1
    assert x is leaf
    assert leaf.tolist() == [1.0, 1.0]


def test_a_misfit_changes_nothing() -> None:
    layer = nn.Linear(2, 2)
    before = layer.weight.tolist()
    with pytest.raises(LucidError):
        layer.load_state_dict({"weight": lucid.ones(2, 2), "bias": lucid.ones(3)})
    assert layer.weight.tolist() == before


def test_empty_batches_are_legal() -> None:
    images = lucid.zeros(0, 3, 8, 8)
    net = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4).eval(), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(36, 2)
    )
    assert net(images).shape == (0, 2)
    with lucid.no_grad():
        assert lucid.compile(net)(images).shape == (0, 2)
