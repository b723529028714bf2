"""Does a published model tell two cells apart that every one must? Asked before prod moves: promotion.toml."""

from __future__ import annotations

import json
import math
import os
import sys
from pathlib import Path

SMALL = {"radius": 8.2, "texture": 12, "perimeter": 52, "area": 200, "smoothness": 0.08, "compactness": 0.05,
         "concavity": 0.02, "concave_points": 0.01, "symmetry": 0.16, "fractal_dimension": 0.06}  # fmt: skip
LARGE = {"radius": 20, "texture": 30, "perimeter": 135, "area": 1300, "smoothness": 0.12, "compactness": 0.2,
         "concavity": 0.25, "concave_points": 0.13, "symmetry": 0.2, "fractal_dimension": 0.06}  # fmt: skip
HALF = 0.5

model = json.loads((Path(os.environ["NIXGEN_VERSION"]) / "model.json").read_text(encoding="utf-8"))


def benign(cell: dict[str, float]) -> float:
    """How likely a cell is a harmless one."""
    parts = zip(model["columns"], model["mean"], model["scale"], model["weights"], strict=True)
    return 1 / (1 + math.exp(-model["intercept"] - sum((cell[name] - m) / s * w for name, m, s, w in parts)))


small, large = benign(SMALL), benign(LARGE)
print(f"a small smooth cell: {small:.2f}, a large rough one: {large:.2f}")
sys.exit(not small > HALF > large)
