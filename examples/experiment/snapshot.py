"""Writes cells.csv: what has been measured by January, or by June, of cells that may be those of a tumour.

The table comes with scikit-learn (Breast Cancer Wisconsin, Diagnostic). Its rows came in two halves, says this example,
and in between somebody set the microscope anew: from then on everything looks a fifth larger.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import numpy as np
from sklearn.datasets import load_breast_cancer

MEASURED = 10  # of 30 columns: the means
BY_JANUARY = 380  # of 569 rows
LONGER = 1.2

month = sys.argv[1]
if month not in {"january", "june"}:
    sys.exit(f"snapshot.py: there is no snapshot of {month}; take january or june")
cells = load_breast_cancer()
names = [name.removeprefix("mean ").replace(" ", "_") for name in cells.feature_names[:MEASURED]]
values = cells.data[:, :MEASURED].copy()
later = np.arange(len(values)) >= BY_JANUARY
for name, power in {"radius": 1, "perimeter": 1, "area": 2}.items():
    values[later, names.index(name)] *= LONGER**power
rows = len(values) if month == "june" else BY_JANUARY
with Path("cells.csv").open("w", newline="", encoding="utf-8") as file:
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow([*names, "benign"])
    for row, benign in zip(values[:rows], cells.target[:rows], strict=True):
        writer.writerow([*(f"{value:.5g}" for value in row), "true" if benign else "false"])
print(f"wrote cells.csv: {rows} cells by {month}")
