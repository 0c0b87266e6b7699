"""Calibrate a finished evaluation: calibration.json, calibration.png and a line for each score."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from litepose.core.errors import LitePoseError
from litepose.core.read_text import read_json
from litepose.core.skeleton import Skeleton
from litepose.data.coco import Record
from litepose.evaluation.calibration import FEWEST, calibrate_results
from litepose.evaluation.reliability_diagram import draw_reliability
from litepose.imaging.write import save_image


def write_calibration(folder: Path, records: Sequence[Record], skeleton: Skeleton) -> list[str]:
    """Calibrate the `results.json` of an evaluation; writes calibration.json and calibration.png.

    Returns a line of text for each kind of score. Raises LitePoseError where there are too few
    scores, or the folder cannot be written. Needs matplotlib.
    """
    results = read_json(folder / "results.json", "the results")
    found = calibrate_results(results, records, skeleton)
    table = {name: one.to_dict() for name, one in found.items()}
    try:
        (folder / "calibration.json").write_text(json.dumps(table, indent=1), encoding="utf-8")
    except OSError as exc:
        raise LitePoseError(f"cannot write to {folder}: {exc.strerror}") from None
    save_image(folder / "calibration.png", draw_reliability(found))
    lines = [
        f"scores of {name}: calibration error {one.before:.3f}, after the map {one.after:.3f}"
        f" (on the half of the images that it was not fitted to, {len(one.held_out.scores)} scores)"
        for name, one in found.items()
    ]
    if "people" not in found:
        lines.append(
            f"scores of people: not calibrated; fewer than {FEWEST} in half of the images where"
            " everybody is labeled"
        )
    return lines
