"""Functions that write and read the features that a run can save in its folder.

From saved features, metrics can be computed later for other bins, subsets and statistics, and no image is made again.

A run with `keep_features=true` writes the folder `features/`. It contains Parquet files (shards) with at most 4,096
items each. Each row has one or more shards, whose names begin with the name of the row. The names of the shards for the
true images begin with `truth`. A shard has a column `item` and a column for each array of features. A feature vector is
a list, and all lists of a column have the same length. pandas, pyarrow and datasets can read the shards directly.

The file `index.json` describes the shards. It is written last, so it exists only if all shards are complete.
`read_summary` computes the run's estimates from the shards, the manifest and the records.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas
import pyarrow
import pyarrow.parquet

from bench.data.prepared import Items
from bench.errors import BadInputError
from bench.metrics.features import BLOCK, Features, Piece
from bench.metrics.scores import Scored
from bench.metrics.summary import Summary
from bench.runtime.files import write_atomically, write_json
from bench.runtime.strict_json import read_json
from bench.store import content_key

__all__ = ["read_summary", "remove_features", "write_features"]

Array = npt.NDArray[Any]

SCHEMA_VERSION = 1
FOLDER, INDEX = "features", "index.json"
CHECKSUM = "checksum"
TRUTH = "truth"


def write_features(
    out: Path, scored: Scored, items: Items, *, dtype: str, fewest: int, minimums: Mapping[str, int]
) -> None:
    """Write the folder `features/` of a run. The folder must not exist yet.

    Args:
        out: folder of the run.
        scored: arrays of all items, which include the features.
        items: items of the run.
        dtype: number type of the saved features, `float32` or `float16`.
        fewest: smallest number of items for which a Fréchet or kernel distance is computed. It is saved for
            `read_summary`, and so is `minimums`.
        minimums: smallest number of items for single metrics, as in `Summary`.

    Raises:
        BadInputError: a feature is too large for `dtype`.
    """
    folder = out / FOLDER
    folder.mkdir()
    ids = [line["id"] for line in items.lines()]
    named = {TRUTH: (scored.truth, [ids[place] for place in scored.references])}
    for row, (arrays, own) in {**named, **{row: (arrays, ids) for row, arrays in scored.rows.items()}}.items():
        features = {name: Features.of(values) for name, values in arrays.items() if values.ndim == 2}
        for number, shard in enumerate(_shards(features, own, np.dtype(dtype))):
            data = BytesIO()
            pyarrow.parquet.write_table(shard, data, write_page_checksum=True)
            write_atomically(_shard(folder, row, number), data.getvalue())
    index = {
        "schema_version": SCHEMA_VERSION,
        "dtype": dtype,
        "manifest": items.hash,
        "fewest": fewest,
        "minimums": dict(minimums),
        "rows": list(scored.rows),
        "sets": dict(scored.sets),
        "measures": dict(scored.measures),
    }
    write_json(folder / INDEX, {**index, CHECKSUM: content_key(index)})


def remove_features(out: Path) -> None:
    """Remove the features that an earlier run wrote into the folder `out` of a run.

    The index is removed first, so that an interrupted removal cannot leave a folder that looks complete.
    """
    (out / FOLDER / INDEX).unlink(missing_ok=True)
    shutil.rmtree(out / FOLDER, ignore_errors=True)


def _shards(features: Mapping[str, Features], ids: Sequence[str], dtype: np.dtype[Any]) -> Iterator[pyarrow.Table]:
    streams = {name: values.blocks() for name, values in features.items()}
    for start in range(0, len(ids), BLOCK):
        columns: dict[str, Any] = {"item": pyarrow.array(ids[start : start + BLOCK])}
        for name, blocks in streams.items():
            block = next(blocks)
            with np.errstate(over="ignore"):
                converted = block.astype(dtype)
            if (np.isinf(converted) & np.isfinite(block)).any():
                raise BadInputError(
                    f"features_dtype: expected float32, found {dtype}, whose range is too small for values of {name}"
                )
            columns[name] = pyarrow.FixedSizeListArray.from_arrays(converted.ravel(), block.shape[1])
        yield pyarrow.table(columns)


def read_summary(run: str | Path, bins: Sequence[tuple[int, int]] = ()) -> Summary:
    """Return the estimates of a run that saved its features. The features are read only when they are needed.

    Args:
        run: folder of the run.
        bins: bins of mask area in percent, such as (40, 50), for which metrics are also computed.

    Raises:
        BadInputError: the run saved no features, a file is damaged, or the files belong to different runs.
    """
    with _refused(Path(run)):
        return _read_summary(Path(run), bins)


@contextmanager
def _refused(path: Path) -> Iterator[None]:
    """Raise a `BadInputError` that names `path` if a damaged file causes an error in the `with` block."""
    try:
        yield
    except (OSError, ValueError, TypeError, KeyError, AttributeError, IndexError, OverflowError) as error:
        raise BadInputError(
            f"{path}: expected the files of a run with keep_features=true, found an error: {type(error).__name__}: "
            f"{error}"
        ) from None


def _read_summary(folder: Path, bins: Sequence[tuple[int, int]]) -> Summary:
    index, manifest = _json(folder / FOLDER / INDEX), _json(folder / "manifest.json")
    if index.get("schema_version") != SCHEMA_VERSION:
        raise BadInputError(
            f"{folder / FOLDER / INDEX}: expected schema_version {SCHEMA_VERSION}, found {index.get('schema_version')}"
        )
    checksum = index.pop(CHECKSUM, None)
    if checksum is not None and content_key(index) != checksum:
        raise BadInputError(
            f"{folder / FOLDER / INDEX}: expected content with its checksum {checksum:.12}…, found changed content"
        )
    lines = manifest["items"]
    if content_key({"items": lines}) != index["manifest"]:
        raise BadInputError(f"{folder}: expected features of the items in manifest.json, found features of other items")
    references = [place for place, line in enumerate(lines) if line["reference"]]
    records = pandas.read_parquet(folder / "records.parquet", page_checksum_verification=True)
    rows: dict[str, dict[str, Array | Features]] = {}
    for row in index["rows"]:
        own = records[records["row"] == row]
        if own["item"].tolist() != [line["id"] for line in lines]:
            raise BadInputError(
                f"{folder / 'records.parquet'}: expected the items of manifest.json in the row {row}, found other items"
            )
        values = {
            name: own[name].to_numpy(np.float64) for name in own if name not in ("item", "row", "source", "mask_area")
        }
        rows[row] = {**values, **_features(folder / FOLDER, row, len(lines))}
    scored = Scored(
        rows,
        _features(folder / FOLDER, TRUTH, len(references)),
        index["sets"],
        [line["source"] for line in lines],
        references,
        np.array([line["mask_area"] for line in lines]),
        index["measures"],
    )
    return Summary(scored, index["fewest"], tuple(bins), minimums=index.get("minimums", {}))


def _json(path: Path) -> dict[str, Any]:
    try:
        return read_json(path)
    except FileNotFoundError:
        raise BadInputError(
            f"{path}: expected this file, which a run with keep_features=true writes, found no such file"
        ) from None


def _features(folder: Path, row: str, count: int) -> dict[str, Array | Features]:
    """Return the features of one row, by the name of the array. An array is read only when it is needed.

    Args:
        folder: the folder `features/` of a run.
        row: name of the row, or `truth`.
        count: number of items that the shards must have together.

    Raises:
        BadInputError: a shard is missing or damaged, or the shards together do not have `count` items.
    """
    paths = [_shard(folder, row, number) for number in range(-(-count // BLOCK))]
    try:
        opened = [pyarrow.parquet.ParquetFile(path) for path in paths]
    except (OSError, pyarrow.ArrowInvalid) as error:
        raise BadInputError(
            f"{folder}: expected complete files with the features of {row}, found an error: {error}"
        ) from error
    counts = [shard.metadata.num_rows for shard in opened]
    if sum(counts) != count:
        raise BadInputError(f"{folder}: expected features of {count} items for {row}, found features of {sum(counts)}")
    return {
        field.name: Features(
            [Piece(size, partial(_read, path, field.name)) for size, path in zip(counts, paths, strict=True)],
            field.type.list_size,
        )
        for field in opened[0].schema_arrow
        if pyarrow.types.is_fixed_size_list(field.type)
    }


def _read(path: Path, name: str) -> Array:
    with _refused(path):
        table = pyarrow.parquet.read_table(path, columns=[name], page_checksum_verification=True)
        column = table.column(name).combine_chunks()
        return np.asarray(column.flatten().to_numpy(zero_copy_only=False)).reshape(len(column), -1)


def _shard(folder: Path, row: str, number: int) -> Path:
    return folder / f"{row}-{number:05}.parquet"
