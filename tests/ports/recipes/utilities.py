"""What stands around training: checkpoints, hooks, freezing, averages of weights, warm-up, vectors of parameters."""

import copy
import os
import random
import tempfile
from collections import OrderedDict

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.nn.utils import clip_grad_norm_, parameters_to_vector, vector_to_parameters
from torch.optim.lr_scheduler import LambdaLR
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn, update_bn
from torch.utils.data import ConcatDataset, DataLoader, Dataset, IterableDataset, Subset, TensorDataset, random_split


class Net(nn.Module):
    def __init__(self, hidden: int = 12) -> None:
        super().__init__()
        self.features = nn.Sequential(
            OrderedDict(
                [
                    ("conv", nn.Conv2d(1, 4, 3, padding=1)),
                    ("bn", nn.BatchNorm2d(4)),
                    ("act", nn.ReLU(inplace=True)),
                    ("pool", nn.AdaptiveAvgPool2d((4, 4))),
                ]
            )
        )
        self.classifier = nn.Sequential(nn.Dropout(p=0.0), nn.Linear(64, hidden), nn.Hardswish(), nn.Linear(hidden, 10))

    def forward(self, x):
        x = self.features(x)
        x = torch.flatten(x, 1)
        return self.classifier(x)


def build():
    return Net()


class EMA:
    def __init__(self, model, decay):
        self.module = copy.deepcopy(model).eval()
        self.decay = decay
        for p in self.module.parameters():
            p.requires_grad_(False)

    @torch.no_grad()
    def update(self, model):
        for ema_p, p in zip(self.module.parameters(), model.parameters()):
            ema_p.mul_(self.decay).add_(p, alpha=1 - self.decay)
        for ema_b, b in zip(self.module.buffers(), model.buffers()):
            ema_b.copy_(b)


class AverageMeter(object):
    def __init__(self):
        self.reset()

    def reset(self):
        self.val = self.avg = self.sum = self.count = 0

    def update(self, val, n=1):
        self.val = val
        self.sum += val * n
        self.count += n
        self.avg = self.sum / self.count


def accuracy(output, target, topk=(1,)):
    with torch.no_grad():
        maxk = max(topk)
        batch_size = target.size(0)
        _, pred = output.topk(maxk, 1, True, True)
        pred = pred.t()
        correct = pred.eq(target.view(1, -1).expand_as(pred))
        res = []
        for k in topk:
            correct_k = correct[:k].reshape(-1).float().sum(0, keepdim=True)
            res.append(correct_k.mul_(100.0 / batch_size).item())
        return res


class Stream(IterableDataset):
    def __init__(self, images):
        self.images = images

    def __iter__(self):
        for image in self.images:
            yield {"image": torch.from_numpy(image), "sum": float(image.sum())}


def set_seed(seed):
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    torch.cuda.manual_seed_all(seed)
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False


def train(state, data, compiled):
    set_seed(42)
    device = torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
    images, labels = data
    dataset = TensorDataset(torch.Tensor(images), torch.LongTensor(labels))
    out = []

    # loaders
    g = torch.Generator()
    g.manual_seed(0)
    a, b = random_split(dataset, [96, 32], generator=torch.Generator().manual_seed(1))
    out += [
        len(a),
        len(b),
        len(ConcatDataset([a, b])),
        len(DataLoader(a, batch_size=20, drop_last=True, shuffle=True, generator=g)),
    ]
    for batch in DataLoader(Stream(images[:5]), batch_size=2):
        out += [batch["image"].shape[0], batch["sum"].sum().item()]
    loader = DataLoader(
        Subset(dataset, list(range(96))), batch_size=24, collate_fn=lambda s: tuple(torch.stack(t) for t in zip(*s))
    )

    # model, frozen stem, groups
    model = build().to(device)
    weights = {k: torch.tensor(v) for k, v in state.items()}
    result = model.load_state_dict({k: v for k, v in weights.items() if "bn" not in k}, strict=False)
    out += [len(result.missing_keys), len(result.unexpected_keys)]
    model.load_state_dict(weights)
    for name, param in model.named_parameters():
        if name.startswith("features.conv"):
            param.requires_grad = False
    trainable = filter(lambda p: p.requires_grad, model.parameters())
    optimizer = torch.optim.Adam(trainable, lr=0.01, weight_decay=1e-4)
    scheduler = LambdaLR(optimizer, lr_lambda=lambda step: min(1.0, (step + 1) / 5))
    ema = EMA(model, 0.9)
    averaged = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.9))
    out += [
        sum(p.numel() for p in model.parameters() if p.requires_grad),
        [n for n, _ in model.named_modules()].index("classifier.1"),
    ]

    # hooks
    seen = {}

    def keep(name):
        def hook(module, input, output):
            seen[name] = output.detach()

        return hook

    handles = [m.register_forward_hook(keep(n)) for n, m in model.named_modules() if isinstance(m, nn.Linear)]
    grads = []
    model.classifier[1].weight.register_hook(lambda grad: grads.append(grad.norm().item()))
    backward = []
    if not compiled:
        full = model.classifier[3].register_full_backward_hook(
            lambda module, gin, gout: backward.append((gin[0].abs().sum().item(), gout[0].abs().sum().item()))
        )

    meter = AverageMeter()
    network = torch.compile(model) if compiled else model
    for epoch in range(2):
        model.train(True)
        for i, (x, y) in enumerate(loader):
            x, y = x.to(device), y.to(device)
            with torch.set_grad_enabled(True):
                logits = network(x)
                loss = F.cross_entropy(logits, y)
            optimizer.zero_grad()
            loss.backward()
            out.append(float(clip_grad_norm_(model.parameters(), 0.5, norm_type=2.0)))
            optimizer.step()
            scheduler.step()
            ema.update(model)
            averaged.update_parameters(model)
            meter.update(loss.item(), x.size(0))
        out += [meter.avg, optimizer.param_groups[0]["lr"], *accuracy(logits, y, topk=(1, 5))]
        meter.reset()
    extra = []
    if not compiled:
        extra += [seen["classifier.1"].mean().item(), seen["classifier.3"].std().item(), *backward[0], *backward[-1]]
        full.remove()
    out += [len(grads), grads[0], grads[-1]]
    for h in handles:
        h.remove()
    assert model.features.conv.weight.grad is None

    # checkpoints
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "checkpoint.pth")
        torch.save(
            {
                "epoch": 2,
                "state_dict": model.state_dict(),
                "optimizer": optimizer.state_dict(),
                "scheduler": scheduler.state_dict(),
                "best": {"acc": 12.5, "history": [1.0, 2.0]},
                "rng": torch.get_rng_state(),
            },
            path,
        )
        checkpoint = torch.load(path, map_location=device, weights_only=False)
    again = build()
    again.load_state_dict(checkpoint["state_dict"])
    for name, param in again.named_parameters():
        param.requires_grad_(not name.startswith("features.conv"))
    optimizer2 = torch.optim.Adam([p for p in again.parameters() if p.requires_grad], lr=0.5)
    optimizer2.load_state_dict(checkpoint["optimizer"])
    out += [checkpoint["epoch"], checkpoint["best"]["history"][1], optimizer2.param_groups[0]["lr"]]
    torch.set_rng_state(checkpoint["rng"])
    x, y = next(iter(loader))
    for m, o in ((model, optimizer), (again, optimizer2)):
        m.train()
        o.zero_grad()
        F.cross_entropy(m(x), y).backward()
        o.step()
        o.param_groups[0]["lr"] *= 0.1
    out += [max((p - q).abs().max().item() for p, q in zip(model.parameters(), again.parameters()))]

    # vectors of parameters, averages of weights
    vector = parameters_to_vector(model.parameters())
    vector_to_parameters(vector * 0.5, again.parameters())
    out += [vector.numel(), vector.norm().item(), parameters_to_vector(again.parameters()).norm().item()]
    out += [
        parameters_to_vector(ema.module.parameters()).sum().item(),
        parameters_to_vector(averaged.parameters()).sum().item(),
    ]
    update_bn(loader, averaged)
    out += [averaged.module.features.bn.running_mean.sum().item(), int(averaged.n_averaged)]
    with torch.no_grad():
        for p in again.parameters():
            p.data.add_(torch.ones_like(p.data), alpha=0.1)
            p -= 0.05
            p[p < -1] = 0
            p.clamp_(min=-0.5, max=0.5)
    out += [sum(p.sum().item() for p in again.parameters())]
    model.eval()
    ema.module.eval()
    with torch.no_grad():
        out += [(model(x) - ema.module(x)).abs().mean().item()]
        out += [torch.where(model(x) > 0, 1.0, 0.0).sum().item()]
    clone = copy.deepcopy(model)
    clone.classifier[3] = nn.Identity()
    del clone.features[3]
    clone.features.add_module("flat", nn.Flatten())
    out += [clone.features(x).shape[1], len(list(clone.children())), sum(1 for _ in clone.parameters())]
    model.half()
    out += [
        int(next(model.parameters()).dtype == torch.float16),
        int(model.features.bn.num_batches_tracked.dtype == torch.int64),
    ]
    model.float()
    return [float(v) for v in out + extra]
