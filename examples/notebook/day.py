"""A data scientist's day in one script: each library does a bit of real work, and says what came out.

Measurements of iris flowers (the table comes with scikit-learn) are written as Parquet with pyarrow, summed up three
times, with pandas, polars and DuckDB, which must agree; scikit-learn learns to tell the species; onnxruntime runs a
stored network (it comes with it); matplotlib draws; Jupyter starts a kernel that runs a notebook's cell.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import duckdb
import jupyterlab
import matplotlib
import nbclient
import nbformat
import numpy as np
import onnxruntime
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import sklearn
from jupyter_client import AsyncKernelManager
from onnxruntime.datasets import get_example
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split

matplotlib.use("Agg")  # draws into a file: no screen is needed

import matplotlib.pyplot as plt

PICTURE = Path("iris.png")


def main(folder: Path) -> None:
    """Does the day's work, with its files in ``folder`` and the picture in the current folder."""
    iris = load_iris()
    species = iris.target_names[iris.target]
    columns = {
        name.removesuffix(" (cm)").replace(" ", "_"): iris.data[:, i] for i, name in enumerate(iris.feature_names)
    }
    table = pa.table({**columns, "species": pa.array(species.tolist())})
    parquet = folder / "iris.parquet"
    pq.write_table(table, parquet, compression="zstd")
    print(f"pyarrow {pa.__version__}: {table.num_rows} flowers in {parquet.stat().st_size} bytes of Parquet")

    by_pandas = pd.read_parquet(parquet).groupby("species")["petal_length"].mean()
    print(f"pandas {pd.__version__}: mean petal length {by_pandas.round(3).to_dict()}")
    by_polars = pl.read_parquet(parquet).group_by("species").agg(pl.col("petal_length").mean()).sort("species")
    by_duckdb = duckdb.sql(f"select species, avg(petal_length) from '{parquet}' group by all order by all").fetchall()
    np.testing.assert_allclose(by_polars["petal_length"].to_numpy(), by_pandas.to_numpy())
    np.testing.assert_allclose([mean for _, mean in by_duckdb], by_pandas.to_numpy())
    print(f"polars {pl.__version__} and DuckDB {duckdb.__version__}: the same means")

    train, test, train_labels, test_labels = train_test_split(iris.data, iris.target, random_state=0)
    model = LogisticRegression(max_iter=1000).fit(train, train_labels)
    print(f"scikit-learn {sklearn.__version__}: {model.score(test, test_labels):.1%} of {len(test)} flowers told apart")

    session = onnxruntime.InferenceSession(get_example("sigmoid.onnx"), providers=["CPUExecutionProvider"])
    (given,) = session.get_inputs()
    numbers = iris.data[: np.prod(given.shape) // 4].reshape(given.shape).astype(np.float32)
    np.testing.assert_allclose(session.run(None, {given.name: numbers})[0], 1 / (1 + np.exp(-numbers)), rtol=1e-5)
    print(f"onnxruntime {onnxruntime.__version__}: a stored network computes what NumPy does")

    figure, axes = plt.subplots(figsize=(7, 5), layout="constrained")
    for name in iris.target_names:
        chosen = species == name
        axes.scatter(columns["petal_length"][chosen], columns["petal_width"][chosen], label=name, s=18)
    axes.set(xlabel="petal length (cm)", ylabel="petal width (cm)", title="Iris")
    axes.legend()
    figure.savefig(PICTURE, dpi=120)
    print(f"matplotlib {matplotlib.__version__}: wrote {PICTURE}")

    cell = nbformat.v4.new_code_cell("import sys, pandas; print(6 * 7, pandas.__version__, sys.prefix)")
    notebook = nbformat.v4.new_notebook(cells=[cell])
    kernel = AsyncKernelManager(kernel_name="python3", transport="ipc", ip=str(folder / "kernel"))  # no port is opened
    nbclient.NotebookClient(notebook, kernel, timeout=120).execute()
    said = cell.outputs[0].text.split()
    print(f"jupyterlab {jupyterlab.__version__}: a kernel answered {said[0]} from {said[2]}")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        main(Path(scratch))
