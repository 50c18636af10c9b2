"""DCGAN: a generator and a discriminator, two optimizers, binary cross entropy with logits."""

import numpy as np
import torch
import torch.nn as nn
import torch.optim as optim

nz, ngf, ndf, nc = 8, 8, 8, 1


def weights_init(m):
    classname = m.__class__.__name__
    if classname.find("Conv") != -1:
        nn.init.normal_(m.weight.data, 0.0, 0.02)
    elif classname.find("BatchNorm") != -1:
        nn.init.normal_(m.weight.data, 1.0, 0.02)
        nn.init.constant_(m.bias.data, 0)


class Generator(nn.Module):
    def __init__(self):
        super(Generator, self).__init__()
        self.main = nn.Sequential(
            nn.ConvTranspose2d(nz, ngf * 2, 4, 1, 0, bias=False),
            nn.BatchNorm2d(ngf * 2),
            nn.ReLU(True),
            nn.ConvTranspose2d(ngf * 2, ngf, 4, 2, 1, bias=False),
            nn.BatchNorm2d(ngf),
            nn.ReLU(inplace=True),
            nn.ConvTranspose2d(ngf, nc, 4, 2, 1, bias=False),
            nn.Tanh(),
        )

    def forward(self, input):
        return self.main(input)


class Discriminator(nn.Module):
    def __init__(self):
        super(Discriminator, self).__init__()
        self.main = nn.Sequential(
            nn.Conv2d(nc, ndf, 4, 2, 1, bias=False),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(ndf, ndf * 2, 4, 2, 1, bias=False),
            nn.BatchNorm2d(ndf * 2),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(ndf * 2, 1, 4, 1, 0, bias=False),
        )

    def forward(self, input):
        return self.main(input).view(-1)


def build():
    model = nn.ModuleDict({"G": Generator(), "D": Discriminator()})
    return model.apply(weights_init)


def train(state, data, compiled):
    torch.manual_seed(999)
    device = torch.device("cpu")
    images, _ = data
    nets = build()
    nets.load_state_dict({name: torch.as_tensor(value) for name, value in state.items()})
    netG, netD = nets["G"].to(device), nets["D"].to(device)
    assert abs(build()["G"].main[0].weight.std().item() - 0.02) < 0.004
    runG, runD = (torch.compile(netG), torch.compile(netD)) if compiled else (netG, netD)
    criterion = nn.BCEWithLogitsLoss()
    optimizerD = optim.Adam(netD.parameters(), lr=2e-3, betas=(0.5, 0.999))
    optimizerG = optim.Adam(netG.parameters(), lr=2e-3, betas=(0.5, 0.999))
    rng = np.random.default_rng(0)
    real_label, fake_label = 1.0, 0.0
    losses = []
    for i in range(12):
        real = torch.tensor(images[16 * i % 96 : 16 * i % 96 + 16]).to(device) * 2 - 1
        b_size = real.size(0)
        noise = torch.tensor(rng.standard_normal((b_size, nz, 1, 1)), dtype=torch.float, device=device)
        # (1) Update D: maximize log(D(x)) + log(1 - D(G(z)))
        netD.zero_grad()
        label = torch.full((b_size,), real_label, dtype=torch.float, device=device)
        output = runD(real)
        errD_real = criterion(output, label)
        errD_real.backward()
        D_x = torch.sigmoid(output).mean().item()
        fake = runG(noise)
        label.fill_(fake_label)
        output = runD(fake.detach())
        errD_fake = criterion(output, label)
        errD_fake.backward()
        errD = errD_real + errD_fake
        optimizerD.step()
        # (2) Update G: maximize log(D(G(z)))
        netG.zero_grad()
        label.fill_(real_label)
        output = runD(fake)
        errG = criterion(output, label)
        errG.backward()
        optimizerG.step()
        losses += [errD.item(), errG.item(), D_x]
    with torch.no_grad():
        fake = netG(torch.ones(1, nz, 1, 1, device=device)).detach().cpu()
    return losses + [float(fake.min()), float(fake.max())]
