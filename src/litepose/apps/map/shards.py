"""Parquet shards: a part's three tables, written under temporary names, renamed when whole."""

from __future__ import annotations

import uuid
from typing import Any

from litepose.apps.map.job import Part
from litepose.core.poses import Poses

ROWS_AT_ONCE = 2000  # rows kept in memory before they are written
TABLES = ("people", "images", "failures")
TEMPORARY = "_map/tmp"


def schemas(num_keypoints: int) -> dict[str, Any]:
    """The columns of the three tables, as docs/scale.md describes them."""
    import pyarrow as pa

    def floats(n: int) -> Any:
        return pa.list_(pa.float32(), n)

    who = [("image_id", pa.string()), ("source", pa.string())]
    size = [("image_width", pa.int32()), ("image_height", pa.int32())]
    person = [
        ("person", pa.int32()),
        ("score", pa.float32()),
        ("box_xyxy", floats(4)),
        ("keypoints_xy", floats(2 * num_keypoints)),
        ("keypoint_scores", floats(num_keypoints)),
        ("center_xy", floats(2)),
    ]
    return {
        "people": pa.schema([*who, *size, *person]),
        "images": pa.schema([*who, *size, ("people", pa.int32())]),
        "failures": pa.schema([*who, ("error", pa.string())]),
    }


class ShardWriter:
    """Takes the images of one part; `commit` puts its tables into place, all or none.

    Used as a context: what was not committed is deleted at its end. Raises OSError where the
    storage cannot be written.
    """

    def __init__(self, fs: Any, root: str, part: Part, skeleton: Any) -> None:
        self._fs, self._root, self._part = fs, root, part
        self._mark = uuid.uuid4().hex[:8]  # another worker may be at the same part after all
        self._schemas = schemas(skeleton.num_keypoints)
        metadata = {"litepose.keypoints": ",".join(skeleton.keypoints)}
        self._schemas["people"] = self._schemas["people"].with_metadata(metadata)
        self._rows: dict[str, list[dict[str, Any]]] = {name: [] for name in TABLES}
        self._open: dict[str, tuple[Any, Any]] = {}
        self.counts = dict.fromkeys(TABLES, 0)

    def __enter__(self) -> ShardWriter:
        return self

    def __exit__(self, *_: Any) -> None:
        for writer, file in self._open.values():
            for one in (writer, file):
                try:
                    one.close()
                except Exception:  # already failing, or the disk is full: the file goes anyway
                    continue
        for name in TABLES:
            path = self._temporary(name)
            if self._fs.exists(path):
                self._fs.rm_file(path)

    def add(self, image_id: str, source: str, poses: Poses) -> None:
        """The rows of one image: one for each person, and one for itself."""
        width, height = poses.image_wh or (None, None)
        image: dict[str, Any] = {"image_id": image_id, "source": source}
        image |= {"image_width": width, "image_height": height}
        boxes = poses.boxes_xyxy
        for i in range(len(poses)):
            row = {
                "person": i,
                "score": float(poses.person_scores[i]),
                "box_xyxy": boxes[i],
                "keypoints_xy": poses.keypoints_xy[i].reshape(-1),
                "keypoint_scores": poses.keypoint_scores[i],
                "center_xy": None if poses.centers_xy is None else poses.centers_xy[i],
            }
            self._add("people", image | row)
        self._add("images", image | {"people": len(poses)})

    def add_failure(self, image_id: str, source: str, error: str) -> None:
        self._add("failures", {"image_id": image_id, "source": source, "error": error})

    def commit(self) -> None:
        """Finish the files and rename them to `people/part-00007.parquet` and so on."""
        for name in TABLES:
            self._flush(name)
        for writer, file in self._open.values():
            writer.close()
            file.close()
        self._open = {}
        for name in TABLES:
            self._fs.mv(self._temporary(name), f"{self._root}/{name}/{self._part.name}.parquet")

    def _add(self, table: str, row: dict[str, Any]) -> None:
        # Names of files may be bytes that are no UTF-8, which Parquet cannot hold.
        texts = {name: _text(row[name]) for name in ("image_id", "source", "error") if name in row}
        self._rows[table].append(row | texts)
        self.counts[table] += 1
        if len(self._rows[table]) >= ROWS_AT_ONCE:
            self._flush(table)

    def _flush(self, table: str) -> None:
        import pyarrow as pa
        from pyarrow import parquet

        schema = self._schemas[table]
        if table not in self._open:
            file = self._fs.open(self._temporary(table), "wb")
            self._open[table] = (parquet.ParquetWriter(file, schema), file)
        if self._rows[table]:
            rows = pa.Table.from_pylist(self._rows[table], schema)
            self._open[table][0].write_table(rows)
            self._rows[table] = []

    def _temporary(self, table: str) -> str:
        return f"{self._root}/{TEMPORARY}/{self._part.name}.{self._mark}.{table}"


def _text(name: str) -> str:
    return name.encode("utf-8", "backslashreplace").decode()
