"""Train the corrector of a model's people (decode/corrector.py) on labeled images.

    python benchmarks/fit_corrector.py --data FOLDER [--split train2017] [--effort usual]
        --output DIR

First everybody is found, without corrector, as `litepose evaluate` does (resumed where it was
stopped). Then five networks are trained, each on four fifths of the images, and what they make of
the rest is compared with the people as found: mean OKS of those with a label, and AP on the images
where everybody is labeled. The last one is trained on all images and written to
DIR/NAME.corrector.npz, to be put beside the weights. Two cores: PM 6 minutes, then 1.5.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

import litepose
from litepose.core.poses import Poses
from litepose.core.progress import Progress
from litepose.core.skeleton import Skeleton
from litepose.decode import corrector as runtime
from litepose.decode.corrector import Corrector, correct
from litepose.decode.merge_views import person_boxes, person_sides
from litepose.evaluation.evaluator import EvaluateOptions, evaluate
from litepose.evaluation.ground_truth import ImageFound, ImageTruth, group_results, truth_of
from litepose.evaluation.keypoint_overlap import open_for_evaluation
from litepose.evaluation.matching import average_precision, match_images
from litepose.models import zoo

HIDDEN = 128
DROPOUT = 0.1
EPOCHS = 60
BATCH = 256
RATE = 2e-3
SCORE_LOSS = 0.3  # relative to that of places
FOLDS = 5
SAME_OKS = 0.3  # someone found is a labeled person from here on; poor poses teach most


class People(NamedTuple):
    """N people found. features (N, F), placed, goal (N, K, 2), labeled (N, K); area (N,) in sides
    squared; hit, known (N,): has a label; has one or would, for everybody in its image has."""

    features: Tensor
    placed: Tensor
    goal: Tensor
    labeled: Tensor
    area: Tensor
    hit: Tensor
    known: Tensor


def main() -> None:
    parser = argparse.ArgumentParser(description="Train the corrector of a model's people.")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--split", default="train2017")
    parser.add_argument("--effort", default="usual")
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args()
    torch.set_num_threads(1)  # small matrices: a second thread costs more than it gives

    predictor = litepose.load(effort=options.effort)
    predictor.corrector = None
    info, defaults = predictor.info, predictor.defaults
    dataset, _ = open_for_evaluation(options.data, options.split, info.name, info.skeleton)
    if not (options.output / "results.json").exists():
        how = EvaluateOptions(
            defaults.flip_test, defaults.scales, defaults.views, defaults.crops, resume=True
        )
        bar = Progress(len(dataset), "images")
        evaluate(predictor, dataset, options.output, how, lambda done, _: bar.step(done))
    entries = json.loads((options.output / "results.json").read_text())
    truths = [truth_of(record) for record in dataset.records]
    found = group_results(entries, truths, info.skeleton)

    fold = np.random.default_rng(0).permutation(len(truths)) % FOLDS
    corrected: list[ImageFound] = list(found)
    for k in range(FOLDS):
        others = np.flatnonzero(fold != k)
        trained = fit([truths[i] for i in others], [found[i] for i in others], info.skeleton)
        for i in np.flatnonzero(fold == k):
            corrected[i] = as_found(correct(as_poses(found[i], info.skeleton), trained))
    report("as found", truths, found, info.skeleton)
    report("corrected by networks that did not see the image", truths, corrected, info.skeleton)
    write(fit(truths, found, info.skeleton), options.output, zoo.find_model(info.name).file_stem)


def fit(truths: list[ImageTruth], found: list[ImageFound], skeleton: Skeleton) -> Corrector:
    """Train on what was found in images: places by OKS, the score by the OKS that results."""
    people, mirrored = gather(truths, found, skeleton)
    torch.manual_seed(0)
    inputs, k = people.features.shape[1], skeleton.num_keypoints
    network = nn.Sequential(
        *(nn.Linear(inputs, HIDDEN), nn.ReLU(), nn.Dropout(DROPOUT)),
        *(nn.Linear(HIDDEN, HIDDEN), nn.ReLU(), nn.Dropout(DROPOUT)),
        nn.Linear(HIDDEN, 2 * k + 1),
    )
    nn.init.zeros_(network[-1].weight)
    nn.init.zeros_(network[-1].bias)
    optimizer = torch.optim.AdamW(network.parameters(), RATE, weight_decay=1e-3)
    steps = EPOCHS * -(-len(people.hit) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps)
    sigmas = torch.tensor(skeleton.sigmas, dtype=torch.float32)
    for _ in range(EPOCHS):
        for batch in torch.randperm(len(people.hit)).split(BATCH):
            some = drawn(people, mirrored, batch)
            out = network(some.features)
            places = some.placed + runtime.STEP * out[:, :-1].reshape(some.placed.shape)
            apart = ((places - some.goal) ** 2).sum(dim=-1)
            near = torch.exp(-apart / (8 * some.area[:, None] * sigmas**2))
            counted = some.labeled * some.hit[:, None]
            place_loss = ((1 - near) * counted).sum() / counted.sum().clamp(min=1)
            oks = (near * counted).sum(dim=1) / counted.sum(dim=1).clamp(min=1)
            score_losses = nn.functional.binary_cross_entropy_with_logits(
                out[:, -1], oks.detach(), reduction="none"
            )
            score_loss = (score_losses * some.known).sum() / some.known.sum().clamp(min=1)
            optimizer.zero_grad()
            (place_loss + SCORE_LOSS * score_loss).backward()
            optimizer.step()
            schedule.step()
    layers = [layer for layer in network if isinstance(layer, nn.Linear)]
    weights = (layer.weight.detach().half().float().T.numpy() for layer in layers)  # as stored
    return Corrector(tuple(weights), tuple(layer.bias.detach().numpy() for layer in layers))


def drawn(people: People, mirrored: People, batch: Tensor) -> People:
    """The rows of a batch, about half of them mirrored."""
    turned = torch.rand(len(batch)) < 0.5
    return People(
        *(
            torch.where(turned.reshape(-1, *[1] * (own.ndim - 1)), other[batch], own[batch])
            for own, other in zip(people, mirrored, strict=True)
        )
    )


def gather(
    truths: list[ImageTruth], found: list[ImageFound], skeleton: Skeleton
) -> tuple[People, People]:
    """People found, and the same mirrored."""
    k, flip = skeleton.num_keypoints, skeleton.flip_index
    rows: list[tuple[np.ndarray, ...]] = []
    turned: list[tuple[np.ndarray, ...]] = []
    for truth, people, match in zip(
        truths, found, match_images(truths, found, skeleton), strict=True
    ):
        if not len(people.scores):
            continue
        poses = as_poses(people, skeleton)[: len(match.oks)]  # the best 20 are matched
        partner = pair(match.oks, truth)
        hit = partner >= 0
        sides, (low, high) = person_sides(poses), person_boxes(poses)
        placed = runtime.places(poses, sides)
        # At -1: nobody's label.
        visible = np.concatenate((truth.visibility > 0, np.zeros((1, k))))[partner]
        labels = np.concatenate((truth.keypoints_xy, np.zeros((1, k, 2))))[partner]
        areas = np.append(truth.areas, 1)[partner]
        goal = (labels - (low + high)[:, None] / 2) / sides[:, None, None]
        rest = (np.where(hit, areas / sides**2, 1).clip(1e-4), hit, hit | truth.people_complete)
        rows.append((runtime.features(poses, sides, placed), placed, goal, visible, *rest))
        placed, goal = runtime.mirror(placed, flip), runtime.mirror(goal, flip)
        seen = runtime.features(poses, sides, placed, flip)
        turned.append((seen, placed, goal, visible[:, flip], *rest))
    return joined(rows), joined(turned)


def joined(rows: list[tuple[np.ndarray, ...]]) -> People:
    return People(*(torch.tensor(np.concatenate(part)).float() for part in zip(*rows, strict=True)))


def pair(oks: np.ndarray, truth: ImageTruth) -> np.ndarray:
    """(N,) the labeled person that each one found is, best first; -1 for none."""
    free = ~truth.ignore
    partner = np.full(len(oks), -1)
    for i, row in enumerate(oks):
        near = np.where(free, row, 0)
        if near.max(initial=0) > SAME_OKS:
            partner[i] = near.argmax()
            free[partner[i]] = False
    return partner


def as_poses(found: ImageFound, skeleton: Skeleton) -> Poses:
    return Poses(found.keypoints_xy, found.keypoint_scores, found.scores, skeleton)


def as_found(poses: Poses) -> ImageFound:
    return ImageFound(poses.keypoints_xy.astype(float), poses.scores, poses.person_scores)


def report(
    name: str, truths: list[ImageTruth], found: list[ImageFound], skeleton: Skeleton
) -> None:
    oks = [
        match.oks.max(axis=0) for match in match_images(truths, found, skeleton) if match.oks.size
    ]
    complete = [i for i, truth in enumerate(truths) if truth.people_complete]
    matches = match_images([truths[i] for i in complete], [found[i] for i in complete], skeleton)
    ap = average_precision(matches)
    assert ap is not None
    print(
        f"{name}: OKS {np.concatenate(oks).mean():.4f}; on {len(complete)} complete images"
        f" AP {ap.mean():.2f}, AP75 {ap[5]:.2f}"
    )


def write(trained: Corrector, output: Path, stem: str) -> None:
    arrays: dict[str, np.ndarray] = {}
    for i, (weight, bias) in enumerate(zip(trained.weights, trained.biases, strict=True)):
        arrays |= {f"weight{i}": weight.astype(np.float16), f"bias{i}": bias}
    path = output / f"{stem}.corrector.npz"
    np.savez_compressed(path, **arrays)
    print(f"written: {path} ({path.stat().st_size / 1000:.0f} KB)")


if __name__ == "__main__":
    main()
