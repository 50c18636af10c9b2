"""The CIFAR ResNet recipe: random crops and flips, SGD with momentum and weight decay, a multistep schedule."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.optim import SGD
from torch.optim.lr_scheduler import MultiStepLR
from torch.utils.data import DataLoader, Dataset


class CroppedAndFlipped(Dataset):
    def __init__(self, images, labels, seed):
        self.images, self.labels = images, labels
        self.rng = np.random.default_rng(seed)

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        padded = np.pad(self.images[index], ((0, 0), (2, 2), (2, 2)))
        top, left = self.rng.integers(0, 5, 2)
        image = padded[:, top : top + 16, left : left + 16]
        if self.rng.random() < 0.5:
            image = image[:, :, ::-1]
        return torch.from_numpy(np.ascontiguousarray(image)), int(self.labels[index])


class BasicBlock(nn.Module):
    def __init__(self, in_planes, planes, stride=1):
        super().__init__()
        self.conv1 = nn.Conv2d(in_planes, planes, kernel_size=3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, kernel_size=3, stride=1, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.shortcut = nn.Sequential()
        if stride != 1 or in_planes != planes:
            self.shortcut = nn.Sequential(
                nn.Conv2d(in_planes, planes, kernel_size=1, stride=stride, bias=False), nn.BatchNorm2d(planes)
            )

    def forward(self, x):
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        out += self.shortcut(x)
        return F.relu(out)


class ResNet(nn.Module):
    def __init__(self, blocks, width, num_classes=10):
        super().__init__()
        self.in_planes = width
        self.conv1 = nn.Conv2d(1, width, kernel_size=3, stride=1, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.layer1 = self._make_layer(width, blocks, stride=1)
        self.layer2 = self._make_layer(2 * width, blocks, stride=2)
        self.layer3 = self._make_layer(4 * width, blocks, stride=2)
        self.linear = nn.Linear(4 * width, num_classes)
        for m in self.modules():
            if isinstance(m, nn.Conv2d):
                nn.init.kaiming_normal_(m.weight, mode="fan_out", nonlinearity="relu")
            elif isinstance(m, nn.BatchNorm2d):
                nn.init.constant_(m.weight, 1)
                nn.init.constant_(m.bias, 0)

    def _make_layer(self, planes, num_blocks, stride):
        layers = []
        for stride in [stride] + [1] * (num_blocks - 1):
            layers.append(BasicBlock(self.in_planes, planes, stride))
            self.in_planes = planes
        return nn.Sequential(*layers)

    def forward(self, x):
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.layer1(out)
        out = self.layer2(out)
        out = self.layer3(out)
        out = F.avg_pool2d(out, out.size()[3])
        out = out.view(out.size(0), -1)
        return self.linear(out)


def build():
    return ResNet(blocks=1, width=4)


@torch.no_grad()
def evaluate(model, loader, device):
    model.eval()
    correct = total = 0
    for images, labels in loader:
        images, labels = images.to(device), labels.to(device)
        predicted = model(images).argmax(dim=1)
        correct += predicted.eq(labels).sum().item()
        total += labels.size(0)
    return 100.0 * correct / total


def train(state, data, compiled):
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    images, labels = data
    train_loader = DataLoader(
        CroppedAndFlipped(images[:96], labels[:96], seed=1),
        batch_size=32,
        shuffle=False,
        num_workers=0,
        pin_memory=False,
    )
    test_loader = DataLoader(CroppedAndFlipped(images[96:], labels[96:], seed=2), batch_size=32)
    model = build().to(device)
    model.load_state_dict({name: torch.from_numpy(value) for name, value in state.items()})
    network = torch.compile(model) if compiled else model
    criterion = nn.CrossEntropyLoss(label_smoothing=0.1)
    optimizer = SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=5e-4, nesterov=True)
    scheduler = MultiStepLR(optimizer, milestones=[2, 3], gamma=0.1)
    history = []
    for epoch in range(4):
        model.train()
        running_loss, correct, total = 0.0, 0, 0
        for images_, labels_ in train_loader:
            images_, labels_ = images_.to(device, non_blocking=True), labels_.to(device, non_blocking=True)
            optimizer.zero_grad(set_to_none=True)
            outputs = network(images_)
            loss = criterion(outputs, labels_)
            loss.backward()
            optimizer.step()
            running_loss += loss.item() * images_.size(0)
            _, predicted = outputs.max(1)
            total += labels_.size(0)
            correct += predicted.eq(labels_).sum().item()
        scheduler.step()
        history.append(running_loss / total)
        history.append(optimizer.param_groups[0]["lr"])
    history.append(evaluate(model, test_loader, device))
    return history
