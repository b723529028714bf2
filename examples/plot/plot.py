"""Reads two years of a garden's weather from garden.csv and draws them into plot.png."""

from __future__ import annotations

from pathlib import Path

import matplotlib

matplotlib.use("Agg")  # draws into a file: no screen is needed

import matplotlib.pyplot as plt
import pandas as pd

here = Path(__file__).parent
weeks = pd.read_csv(here / "garden.csv", parse_dates=["week"], index_col="week")
months = weeks.resample("MS").agg({"air_celsius": "mean", "rain_mm": "sum"})

figure, (above, below) = plt.subplots(2, sharex=True, figsize=(9, 6), layout="constrained")
above.plot(weeks.index, weeks["air_celsius"], color="tab:red", linewidth=1, label="air")
above.plot(weeks.index, weeks["soil_celsius"], color="tab:brown", linewidth=2, label="soil")
above.set_ylabel("temperature (°C)")
above.legend()
below.bar(months.index, months["rain_mm"], width=20, align="edge", color="tab:blue")
below.set_ylabel("rain in a month (mm)")
figure.suptitle("A garden, 2024 and 2025")
figure.savefig("plot.png", dpi=120)

warmest = months["air_celsius"].idxmax()
print(f"{len(weeks)} weeks, warmest month {warmest:%B %Y} ({months['air_celsius'].max():.1f} °C)")
print(f"pandas {pd.__version__}, matplotlib {matplotlib.__version__}: wrote plot.png")
