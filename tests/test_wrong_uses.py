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
from lucid.errors import LucidError, ShapeError
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
    "x.squeeze(1)",
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
    "z[z > 0]",
    "z[::0]",
    "z['a']",
    "z[lucid.Tensor([7])]",
    "z.item()",
    "bool(z)",
    "len(lucid.tensor(1.0))",
    "list(lucid.tensor(1.0))",
    "float(z)",
    "z.__setitem__(0, 1.0)",
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
]


def names() -> dict[str, Any]:
    lucid.manual_seed(0)
    return {
        "F": F, "lucid": lucid, "nn": nn, "np": np, "optim": optim,
        "x": lucid.ones(1, 3, 8, 8), "w": lucid.ones(4, 3, 3, 3), "z": lucid.ones(5, 3),
        "t": lucid.Tensor([0, 1, 2, 1, 0]),
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


def test_empty_batches_are_legal() -> None:
    images = lucid.zeros(0, 3, 8, 8)
    net = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4).eval(), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(36, 2)
    )
    assert net(images).shape == (0, 2)
    with lucid.no_grad():
        assert lucid.compile(net)(images).shape == (0, 2)
