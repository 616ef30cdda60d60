"""Plots for the docs, drawn by matplotlib, which the extra `bench` brings."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from benchmarks.growth import GrowthDoc
    from benchmarks.reporting import ReportDoc, RowDoc

_OURS, _OTHERS, _LINE = "#d1495b", "#8d99ae", "#2b2d42"
_COLUMNS = 2
_BAR_INCHES, _HEAD_INCHES, _WIDTH_INCHES = 0.24, 0.75, 11.0


class NoMatplotlib(Exception):
    """A plot was asked for, and there is nothing to draw it with."""


def require_matplotlib() -> None:
    """Raises `NoMatplotlib` if plots cannot be drawn."""
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise NoMatplotlib(
            'Plots are drawn by matplotlib: pip install "zoostore[bench]".'
        ) from None


def draw(document: ReportDoc, path: Path) -> None:
    """Draw the warm rows of a report as bars, in the format that the path's suffix says."""
    plt = _pyplot()
    rows = [row for row in document["rows"] if row["caches"] == "warm" and row["results"]]
    lines = math.ceil(len(rows) / _COLUMNS)
    most = max((len(row["results"]) for row in rows), default=1)
    height = max(1, lines) * (_HEAD_INCHES + most * _BAR_INCHES)
    figure, axes = plt.subplots(
        max(1, lines),
        _COLUMNS,
        figsize=(_WIDTH_INCHES, height),
        squeeze=False,
        layout="constrained",
    )
    for axis in axes.flat[len(rows) :]:
        axis.set_axis_off()
    for axis, row in zip(axes.flat, rows, strict=False):
        _draw_row(axis, row)
    _save(plt, figure, path)


def _draw_row(axis: Any, row: RowDoc) -> None:
    """A bar for each contender, the fastest on top, with whiskers from the least to the most."""
    results = sorted(row["results"], key=lambda result: -result["median"])
    names = [result["name"] for result in results]
    medians = [result["median"] for result in results]
    spread = [
        [result["median"] - min(result["seconds"]) for result in results],
        [max(result["seconds"]) - result["median"] for result in results],
    ]
    colours = [_OURS if name == row["ours"] else _OTHERS for name in names]
    axis.barh(names, medians, color=colours, xerr=spread, error_kw={"ecolor": _LINE, "lw": 0.8})
    for place, result in enumerate(results):
        axis.annotate(
            f"{result['median']:.3g} s",
            (max(result["seconds"]), place),
            va="center",
            fontsize=7,
            xytext=(4, 0),
            textcoords="offset points",
        )
    axis.set_title(row["what"], fontsize=9, loc="left")
    axis.tick_params(labelsize=7)
    axis.margins(x=0.15)
    axis.spines[["top", "right"]].set_visible(False)


def draw_growth(document: GrowthDoc, path: Path) -> None:
    """Draw how each verb grows, on logarithmic axes: a straight line of slope 1, or a flat one."""
    plt = _pyplot()
    works = list(document["growths"])
    figure, axes = plt.subplots(
        1, len(works), figsize=(_WIDTH_INCHES, 4.5), squeeze=False, layout="constrained"
    )
    for axis, growth in zip(axes.flat, works, strict=True):
        for verb in growth["verbs"]:
            axis.loglog(growth["sizes"], verb["seconds"], marker="o", label=verb["verb"])
        axis.loglog(*_slope_one(growth["sizes"]), color=_OTHERS, ls=":", label="slope 1")
        axis.set_xlabel(growth["unit"])
        axis.set_ylabel("seconds")
        axis.legend(fontsize=7)
    _save(plt, figure, path)


def _slope_one(sizes: Sequence[float]) -> tuple[list[float], list[float]]:
    return list(sizes), [0.02 * size / sizes[0] for size in sizes]


def _pyplot() -> Any:
    require_matplotlib()
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "zoostore"  # the same numbers, the same file
    import matplotlib.pyplot as plt

    return plt


def _save(plt: Any, figure: Any, path: Path) -> None:
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)
    plt.close(figure)
