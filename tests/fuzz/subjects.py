"""What litepose does with an input of each kind: a subject damages a good one and has it read."""

from __future__ import annotations

import contextlib
import io
import json
import random
import zipfile
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

import litepose
from litepose.apps.cli.main import main
from litepose.core.model_info import ModelInfo
from litepose.core.poses import Poses
from litepose.core.skeleton import COCO17
from litepose.data.download import unzip
from litepose.data.layouts import find_dataset
from litepose.data.packed import PackedDataset
from litepose.data.pseudo_people import read_people
from litepose.data.skeleton_toml import load_skeleton
from litepose.data.teacher_maps import TeacherMaps
from litepose.data.validate.dataset import examine
from litepose.evaluation.reported_results import compute, read_result
from litepose.imaging.find_images import list_images
from litepose.imaging.read import ReadLimits, read_image
from litepose.imaging.video_reader import frames
from litepose.inference.onnxruntime_backend import OnnxBackend
from litepose.inference.predictor import Predictor
from litepose.models.checkpoint import load_checkpoint
from litepose.models.model_file import ModelFile
from litepose.models.official import load_official
from litepose.models.supernet import load_supernet
from litepose.training.config_file import config_from_dict, read_config
from litepose.training.run_checkpoint import Progress, load_state, restore
from tests.fuzz import seeds, services
from tests.fuzz.mutate import ODD, TEXTS, damaged_bytes, damaged_json, damaged_value

LIMITS = ReadLimits(max_pixels=4_000_000, max_memory=100_000_000)
CONFIG = {
    "name": "fuzzed", "epochs": 1, "output": "out", "phases": [{"size": 64, "batch_size": 2}],
    "model": {"name": "tiny"}, "data": {"root": "data", "train": [{"split": "val"}]},
}  # fmt: skip
CONFIG["data"]["val"] = {"split": "val"}  # type: ignore[index]


def damaged_tensors(rng: random.Random, good: bytes, key: str) -> bytes:
    """A damaged safetensors file, or a whole one whose JSON behind `key` was damaged."""
    data = damaged_bytes(rng, good)
    if rng.random() < 0.6:
        length = int.from_bytes(good[:8], "little")
        header = json.loads(good[8 : 8 + length])
        value = json.loads(header["__metadata__"][key])
        header["__metadata__"][key] = damaged_json(rng, value).decode("utf-8", "replace")
        content = json.dumps(header).encode()
        data = len(content).to_bytes(8, "little") + content + good[8 + length :]
    return data


class Subjects:
    """`image`, `video`, ...: each damages an input with `rng` in `folder`, and has it read."""

    def __init__(self, good: Path) -> None:
        """good: a folder for good files, kept through the hunt."""
        self.good = good
        self.images, self.videos = seeds.images(), seeds.videos(good)
        self.annotations = seeds.dataset(good / "set")
        self.packed = seeds.packed(good / "set")
        self.onnx, self.checkpoint = seeds.onnx_model(), seeds.checkpoint(good)
        self.supernet = seeds.supernet(good)
        self.zip, self.heatmaps = seeds.zipped(), seeds.heatmaps()
        (good / "a.png").write_bytes(self.images["png"])

    @cached_property
    def official(self) -> dict[str, Any]:
        return seeds.official_state()

    def image(self, rng: random.Random, folder: Path) -> None:
        data = damaged_bytes(rng, rng.choice(list(self.images.values())))
        if rng.random() < 0.5:
            read_image(io.BytesIO(data), LIMITS)
        else:
            (folder / "a.jpg").write_bytes(data)
            read_image(folder / "a.jpg", LIMITS)

    def array(self, rng: random.Random, folder: Path) -> None:
        kinds = ("u1", "u2", "i4", "f4", "f8", "c8", "?", "O", "U3")
        shape = tuple(rng.choice((0, 1, 3, 4, 9)) for _ in range(rng.randint(0, 4)))
        given: Any = np.zeros(shape, rng.choice(kinds))
        if rng.random() < 0.3:
            given = torch.zeros(shape, dtype=rng.choice((torch.uint8, torch.float32, torch.int64)))
        read_image(rng.choice((given, *ODD)) if rng.random() < 0.3 else given, LIMITS)

    def video(self, rng: random.Random, folder: Path) -> None:
        kind = rng.choice(list(self.videos))
        (folder / f"a{kind}").write_bytes(damaged_bytes(rng, self.videos[kind]))
        with frames(folder / f"a{kind}", stall_seconds=5, limits=LIMITS) as opened:
            for _ in opened:
                pass

    def annotation_file(self, rng: random.Random, folder: Path) -> None:
        (folder / "images").symlink_to(self.good / "set" / "images")
        (folder / "annotations").mkdir()
        path = folder / "annotations" / f"{seeds.SPLIT}.json"
        path.write_bytes(damaged_json(rng, self.annotations))
        chance = rng.random()
        if chance < 0.5:
            json.dumps(examine(folder, seeds.SPLIT).to_dict())
            return
        dataset = find_dataset(folder, seeds.SPLIT)
        for i in range(len(dataset)):
            with contextlib.suppress(ValueError):
                _ = dataset[i]

    def packed_dataset(self, rng: random.Random, folder: Path) -> None:
        (folder / "a.lpc").write_bytes(damaged_bytes(rng, self.packed))
        dataset = PackedDataset(folder / "a.lpc")
        for i in range(len(dataset)):
            with contextlib.suppress(ValueError):
                _ = dataset[i]

    def settings(self, rng: random.Random, folder: Path) -> None:
        data = json.loads(seeds.INFO.to_json())
        ModelInfo.from_json(damaged_json(rng, data).decode("utf-8", "replace")).to_json()

    def poses(self, rng: random.Random, folder: Path) -> None:
        Poses.from_json(damaged_json(rng, seeds.poses()).decode("utf-8", "replace")).to_json()

    def onnx_file(self, rng: random.Random, folder: Path) -> None:
        (folder / "a.onnx").write_bytes(damaged_bytes(rng, self.onnx))
        model = Predictor(OnnxBackend(ModelFile("a", folder / "a.onnx")))
        model.predict(seeds.noise(), views=(64,))

    def checkpoint_file(self, rng: random.Random, folder: Path) -> None:
        (folder / "a.safetensors").write_bytes(damaged_tensors(rng, self.checkpoint, "litepose"))
        load_checkpoint(folder / "a.safetensors")

    def supernet_file(self, rng: random.Random, folder: Path) -> None:
        data = damaged_tensors(rng, self.supernet, "litepose_space")
        (folder / "a.safetensors").write_bytes(data)
        load_supernet(folder / "a.safetensors")

    def official_file(self, rng: random.Random, folder: Path) -> None:
        state = dict(self.official)
        tensors = (
            torch.zeros(0), torch.zeros(3, 0, 7, 7), torch.zeros(2, 2, 2, 2).to_sparse(),
            torch.zeros(16, 3, 3, 3, dtype=torch.complex64), torch.zeros(8, 8, 1, 1), 5, None,
        )  # fmt: skip
        for _ in range(rng.randint(0, 3)):
            state[rng.choice(list(state))] = rng.choice(tensors)
        file = io.BytesIO()
        torch.save(rng.choice((state, {"state_dict": state}, [state], state)), file)
        data = file.getvalue()
        damaged = damaged_bytes(rng, data) if rng.random() < 0.5 else data
        (folder / "a.pth.tar").write_bytes(damaged)
        load_official(folder / "a.pth.tar")

    def configuration(self, rng: random.Random, folder: Path) -> None:
        if rng.random() < 0.5:
            config_from_dict(damaged_value(rng, CONFIG))
            return
        odd = rng.choice((*TEXTS, "data.train.9.share=1", "a.b.c=1", "=", "epochs=1", "seed=-1"))
        text = (Path(__file__).parents[2] / "configs" / "tiny.toml").read_bytes()
        (folder / "a.toml").write_bytes(damaged_bytes(rng, text))
        read_config(folder / "a.toml", [rng.choice((odd, f"epochs={odd}", f"model.name={odd}"))])

    def skeleton(self, rng: random.Random, folder: Path) -> None:
        text = b'name = "x"\nkeypoints = ["a", "left_b", "right_b"]\nedges = [["a", "left_b"]]\n'
        odd = rng.choice(TEXTS).encode() if rng.random() < 0.2 else b""
        (folder / "a.toml").write_bytes(damaged_bytes(rng, text + odd))
        load_skeleton(folder / "a.toml")

    def state_of_a_run(self, rng: random.Random, folder: Path) -> None:
        config = config_from_dict(CONFIG)
        model = torch.nn.Linear(2, 2)
        state = {
            "version": 1,
            "config": config.model_dump_json(),
            "progress": vars(Progress()),
            "random": [{"cpu": torch.get_rng_state()}],
            "parts": {"model": model.state_dict(), "channels_last": True},
        }
        file = io.BytesIO()
        torch.save(damaged_value(rng, state) if rng.random() < 0.6 else state, file)
        data = file.getvalue()
        damaged = damaged_bytes(rng, data) if rng.random() < 0.5 else data
        (folder / "resume.pt").write_bytes(damaged)

        class Alone:
            world, rank, device = 1, 0, torch.device("cpu")

        restore(load_state(folder / "resume.pt", config), {"model": model}, Alone())  # type: ignore[arg-type]

    def reported_result(self, rng: random.Random, folder: Path) -> None:
        content = seeds.gzipped(damaged_json(rng, seeds.reported_result(self.annotations)))
        if rng.random() < 0.3:
            content = damaged_bytes(rng, content)
        (folder / "a.ledger.json.gz").write_bytes(content)
        compute(read_result(folder / "a.ledger.json.gz"))

    def archive(self, rng: random.Random, folder: Path) -> None:
        content = damaged_bytes(rng, self.zip)
        if rng.random() < 0.3:
            file = io.BytesIO()
            with zipfile.ZipFile(file, "w") as made:
                name = rng.choice(("../x", "a" * 300, "/x", "x\n", "a//b", ".", "é"))
                made.writestr(name, b"1")
            content = file.getvalue()
        (folder / "a.zip").write_bytes(content)
        unzip(folder / "a.zip", folder / "in")

    def teacher_maps(self, rng: random.Random, folder: Path) -> None:
        (folder / "1.npz").write_bytes(damaged_bytes(rng, self.heatmaps))
        _ = TeacherMaps(folder, COCO17)[1]

    def people(self, rng: random.Random, folder: Path) -> None:
        entry = {"image_id": 1, "score": 0.5, "keypoints": [1.0] * 51}
        (folder / "a.json").write_bytes(damaged_json(rng, [entry, entry]))
        read_people(folder / "a.json", 17, 0.1)

    def name(self, rng: random.Random, folder: Path) -> None:
        odd = ("\0", "\udcff", "a" * 300, "*", "[", "?", "~nobody/x", "\x1b[2J", "..", "é", "\n")
        name = f"{folder}/" + "".join(rng.choices(odd, k=rng.randint(1, 3)))
        rng.choice((read_image, list_images, frames, find_dataset_of, load_skeleton))(name)

    def command(self, rng: random.Random, folder: Path) -> None:
        """One bad image among good ones costs one record, whatever the options."""
        bad = folder / "b.jpg"
        bad.write_bytes(damaged_bytes(rng, rng.choice(list(self.images.values()))))
        numbers = ("-1", "0", "1", "nan", "inf", "x", "99999999999", "1,2", "64,128", "")
        names = ("threshold", "max-people", "keypoint-threshold", "max-pixels", "scales", "views")
        options = [f"--{rng.choice(names)}={rng.choice(numbers)}"] if rng.random() < 0.6 else []
        model = ["--model", str(self._model), "--no-draw"]
        out = io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(io.StringIO()):
            try:
                good = str(self.good / "a.png")
                code = main(["predict", good, str(bad), good, *model, *options])
            except SystemExit as left:
                code = int(left.code or 0)
        assert code in (0, 1, 2, 130), code
        lines = [json.loads(line) for line in out.getvalue().splitlines()]
        if lines and lines[0].get("people") is not None:
            assert len(lines) == 4 and lines[3]["failed"] <= 1, lines[3]

    def map(self, rng: random.Random, folder: Path) -> None:
        services.map_source(rng, folder, self._model, list(self.images.values()))

    def request(self, rng: random.Random, folder: Path) -> None:
        services.request(rng, self._app, list(self.images.values()))

    @cached_property
    def _app(self) -> Any:
        from litepose.apps.web.models import Models
        from litepose.apps.web.server import ServerSettings, make_app

        model = litepose.load(self._model, threads=1)
        models = Models(LIMITS, {"usual": model})
        return make_app(ServerSettings(max_bytes=60_000, limits=LIMITS), models)

    def higherhrnet_file(self, rng: random.Random, folder: Path) -> None:
        state = dict(self.higherhrnet)
        wide = torch.zeros(1).expand(rng.choice((3, 4096, 1 << 20)), rng.choice((3, 4096)), 3, 3)
        odd = (wide, wide[:, :, 0], torch.zeros(0, 4, 3, 3), torch.zeros(8, 4, 1, 1), None, "x")
        for _ in range(rng.randint(0, 3)):
            state[rng.choice(list(state))] = rng.choice(odd)
        if rng.random() < 0.3:
            for name in rng.sample(list(state), rng.randint(1, 400)):
                del state[name]
        if rng.random() < 0.3:
            state[rng.choice(list(state)).replace("0", "99999")] = rng.choice(odd)
        torch.save(state, folder / "a.pth.tar")
        load_official(folder / "a.pth.tar")

    @cached_property
    def higherhrnet(self) -> dict[str, Any]:
        return seeds.higherhrnet_state()

    @cached_property
    def _model(self) -> Path:
        (self.good / "a.onnx").write_bytes(self.onnx)
        return self.good / "a.onnx"


def find_dataset_of(name: str) -> None:
    find_dataset(name, "val")


Subject = Callable[[Subjects, random.Random, Path], None]
SHARES: dict[str, tuple[Subject, int]] = {
    "image": (Subjects.image, 20),
    "array": (Subjects.array, 4),
    "video": (Subjects.video, 6),
    "annotations": (Subjects.annotation_file, 12),
    "packed dataset": (Subjects.packed_dataset, 5),
    "settings": (Subjects.settings, 10),
    "poses": (Subjects.poses, 5),
    "ONNX file": (Subjects.onnx_file, 5),
    "checkpoint": (Subjects.checkpoint_file, 6),
    "supernet": (Subjects.supernet_file, 3),
    "official checkpoint": (Subjects.official_file, 3),
    "HigherHRNet": (Subjects.higherhrnet_file, 1),
    "map": (Subjects.map, 2),
    "HTTP request": (Subjects.request, 5),
    "configuration": (Subjects.configuration, 6),
    "skeleton": (Subjects.skeleton, 2),
    "state of a run": (Subjects.state_of_a_run, 5),
    "reported_result": (Subjects.reported_result, 4),
    "archive": (Subjects.archive, 3),
    "teacher maps": (Subjects.teacher_maps, 3),
    "people": (Subjects.people, 2),
    "name": (Subjects.name, 4),
    "command": (Subjects.command, 4),
}
