"""Teaches a small network which of two spirals a point is on, and writes weights.safetensors and metrics.json."""

from __future__ import annotations

import json
import math
from pathlib import Path

import nixgen
import torch
from safetensors.torch import save_file
from torch import nn

POINTS, NOISE, ROUNDS = 2000, 0.15, 300
HELD_OUT = POINTS // 4

seed = nixgen.seed_everything(deterministic=True)
# A sum of floats depends on the order, and so on the number of threads: one, wherever this runs.
torch.set_num_threads(1)

turn = torch.rand(POINTS) * 2.5 * math.pi + 0.5
side = torch.randint(0, 2, (POINTS,))
angle = turn + side * math.pi
points = torch.stack([turn * angle.cos(), turn * angle.sin()], dim=1) / 4 + NOISE * torch.randn(POINTS, 2)
test, train = points[:HELD_OUT], points[HELD_OUT:]
test_side, train_side = side[:HELD_OUT], side[HELD_OUT:]

network = nn.Sequential(nn.Linear(2, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 2))
optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
for _ in range(ROUNDS):
    optimizer.zero_grad()
    loss = nn.functional.cross_entropy(network(train), train_side)
    loss.backward()
    optimizer.step()

with torch.no_grad():
    accuracy = (network(test).argmax(dim=1) == test_side).double().mean().item()
save_file(network.state_dict(), "weights.safetensors")
Path("metrics.json").write_text(json.dumps({"accuracy": accuracy, "loss": loss.item()}) + "\n", encoding="utf-8")
print(f"PyTorch {torch.__version__}, seed {seed}: {accuracy:.1%} of {HELD_OUT} points told apart")
