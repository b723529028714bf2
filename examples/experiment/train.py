"""Trains a classifier on the pinned cells as train.toml says, and writes model.json and metrics.json."""

from __future__ import annotations

import csv
import json
import os
import sys
import tomllib
from pathlib import Path

import nixgen
import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, log_loss, roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

HALF = 0.5

config = tomllib.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
seed = nixgen.seed_everything()

# The pinned file, not the one beside this program.
with (Path(os.environ["NIXGEN_DATA"]) / "cells" / "cells.csv").open(newline="", encoding="utf-8") as file:
    rows = list(csv.DictReader(file))
values = np.array([[float(row[name]) for name in config["columns"]] for row in rows])
benign = np.array([row["benign"] == "true" for row in rows])
train, test, train_benign, test_benign = train_test_split(
    values, benign, test_size=config["held_out"], stratify=benign, random_state=seed
)

scaler = StandardScaler().fit(train)
# This solver counts on one core, in one order: the same bytes on any number of cores.
model = LogisticRegression(C=config["strength"], solver="liblinear", random_state=seed)
model.fit(scaler.transform(train), train_benign)
guessed = model.predict_proba(scaler.transform(test))[:, 1]

metrics = {
    "auc": roc_auc_score(test_benign, guessed),
    "accuracy": accuracy_score(test_benign, guessed > HALF),
    "loss": log_loss(test_benign, guessed),
}
# Plain numbers: whoever loads them runs no code of whoever wrote them, as a pickle would.
weights = {
    "columns": config["columns"],
    "mean": scaler.mean_.tolist(),
    "scale": scaler.scale_.tolist(),
    "weights": model.coef_[0].tolist(),
    "intercept": model.intercept_[0],
}
Path("model.json").write_text(json.dumps(weights, indent=2) + "\n", encoding="utf-8")
Path("metrics.json").write_text(json.dumps(metrics, indent=2) + "\n", encoding="utf-8")
print(f"{len(train)} cells learned from, {len(test)} held out, seed {seed}")
print(", ".join(f"{name} {value:.4f}" for name, value in metrics.items()))
