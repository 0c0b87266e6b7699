"""Train: epochs of steps, a report after each, a state that survives interruptions.

Source: the official recipe is configs/s_coco.toml. Differences: weight decay and the samplers'
epochs take effect; the best weights are those with the best AP on held-out images; averaged weights
are evaluated and kept; a run can stop anywhere and be resumed.
"""

from __future__ import annotations

import time
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from litepose.data.datasets import UnreadableImageError
from litepose.data.sample import Batch
from litepose.training.config import TrainConfig
from litepose.training.distributed import open_processes
from litepose.training.logger import EpochReport, Reporter, duration
from litepose.training.losses import Losses, require_finite
from litepose.training.objective import on_device
from litepose.training.optimizer import rate_factor, set_rates, train_mode, update_average
from litepose.training.run import Run
from litepose.training.signals import Signals
from litepose.training.validation import Stopped, Validation, validate

AGREE_EVERY = 16  # batches after which several processes agree on stopping
GO_ON, SAVE, STOP = 0, 1, 2


@dataclass(frozen=True)
class TrainResult:
    """finished: False if the run was stopped; `resume` continues it.

    checkpoint: weights with the best AP on the validation images, None if none are kept yet
    signal: number of the signal that stopped the run, 0 for none
    """

    finished: bool
    epochs: int
    best_ap: float | None
    checkpoint: Path | None
    seconds: float
    signal: int


def train(
    config: TrainConfig, resume: bool = False, stop_after: float | None = None
) -> TrainResult:
    """Train by `config`. resume: continue the stopped run in its folder.

    stop_after: minutes after which to save and stop. Under torchrun every process calls this.
    Raises LitePoseError for wrong settings or data, a full disk, or a loss that is not finite.
    """
    deadline = None if stop_after is None else time.monotonic() + 60 * stop_after
    with open_processes(config.run.device) as group, Signals() as signals:
        run = Run(config, group)
        run.open_folder(resume)
        reporter = Reporter(run.folder, run.progress.epoch, silent=not group.first)
        for note in run.notes:
            reporter.say(note)
        try:
            return Trainer(run, reporter, signals, deadline).train()
        finally:
            reporter.close()


class Trainer:
    """Trains a run to its end, or until a signal or the time limit stops it."""

    def __init__(
        self, run: Run, reporter: Reporter, signals: Signals, deadline: float | None
    ) -> None:
        self.run, self.reporter, self.signals, self.deadline = run, reporter, signals, deadline
        self.config = run.config
        self.seconds_before = run.progress.seconds
        self.began_at = self.saved_at = time.monotonic()

    def train(self) -> TrainResult:
        run, progress = self.run, self.run.progress
        finished = True
        try:
            while finished and progress.epoch < self.config.epochs:
                finished = self.train_epoch() and self.close_epoch()
        except UnreadableImageError:
            if run.group.world == 1:  # several processes would have to save at the same batch
                self.save()
                self.reporter.say("saved; resume continues from here after the images are repaired")
            raise
        if not finished:  # the end of an epoch saves
            self.save()
        elif run.group.first:
            run.save_weights("last.safetensors", None)
        outcome = "finished" if finished else "stopped; resume continues from here"
        self.reporter.say(f"{outcome}, {duration(progress.seconds)} in all")
        best = run.folder / "best.safetensors"
        return TrainResult(
            finished=finished,
            epochs=progress.epoch,
            best_ap=progress.best_ap,
            checkpoint=best if best.exists() else None,
            seconds=progress.seconds,
            signal=self.signals.caught,
        )

    def train_epoch(self) -> bool:
        """Train the rest of the current epoch; False if the run must stop before its end."""
        progress = self.run.progress
        loader = self.run.training_loader(progress.epoch)
        batches = loader.batches_per_epoch
        place = f"epoch {progress.epoch + 1}/{self.config.epochs}"
        train_mode(self.run.model, self.config.model.freeze, self.config.model.freeze_norms)
        self.reporter.begin(place, batches, progress.batch)
        mark = time.perf_counter()
        for batch in loader.epoch(progress.epoch, progress.batch):
            progress.wait_seconds += time.perf_counter() - mark
            losses = self.step(batch, batches)
            progress.train_seconds += time.perf_counter() - mark
            mark = time.perf_counter()
            self.reporter.advance(place, losses.total.item(), progress.batch, batches)
            if progress.batch < batches and self._agree() == STOP:
                break
        progress.unreadable = len(loader.unreadable)
        self.reporter.end()
        return progress.batch == batches

    def step(self, batch: Batch, batches: int) -> Losses:
        """Forward and backward pass, and an optimizer step every `accumulate` batches."""
        run, progress, accumulate = self.run, self.run.progress, self.config.run.accumulate
        progress.batch += 1
        steps_now = progress.batch % accumulate == 0 or progress.batch == batches
        batch = on_device(batch, run.group.device)
        if not run.channels_last:
            batch = batch._replace(images=batch.images.contiguous())
        alone = steps_now or run.group.world == 1
        with nullcontext() if alone else run.trained.no_sync():  # type: ignore[operator]
            every = []
            for losses in run.losses(batch):
                require_finite(losses, batch.image_ids)
                run.scaler.scale(losses.total / accumulate).backward()
                every.append(Losses(*(part.detach() for part in losses)))
        if steps_now:
            self.update(progress.epoch + progress.batch / batches)
        count = len(batch.image_ids)
        values = torch.stack(every[0]).tolist()  # for a supernet, of its largest network
        progress.loss_sums = [
            s + v * count for s, v in zip(progress.loss_sums, values, strict=True)
        ]
        progress.images += count
        return every[0]

    def update(self, at: float) -> None:
        """Optimizer step after `at` epochs."""
        run, rule = self.run, self.config.optimizer
        set_rates(run.optimizer, rate_factor(rule, self.config.epochs, at))
        if rule.grad_clip_norm:
            run.scaler.unscale_(run.optimizer)
            nn.utils.clip_grad_norm_(run.model.parameters(), rule.grad_clip_norm)
        run.scaler.step(run.optimizer)
        run.scaler.update()
        run.optimizer.zero_grad()
        if run.average is not None:
            update_average(run.average, run.model, rule.ema, run.progress.step)
        run.progress.step += 1

    def close_epoch(self) -> bool:
        """Validate, keep the best weights, report; False if the run must stop before that."""
        progress = self.run.progress
        began = time.monotonic()
        validation = None
        number = progress.epoch + 1
        if number % self.config.run.evaluate_every == 0 or number == self.config.epochs:
            try:
                validation = self.validate()
            except Stopped:
                return False
            self._keep_if_best(validation)
        report = self._report(validation, time.monotonic() - began)
        self.reporter.write(report, validation.examples if validation else ())
        progress.next_epoch()
        self.save()  # weights and reports must not exist without their state
        return progress.epoch == self.config.epochs or self._agree() != STOP

    def validate(self) -> Validation:
        run = self.run

        def stopping() -> bool:  # several processes cannot stop apart, so they validate to the end
            return run.group.world == 1 and self._wish() == STOP

        loader, samples = run.validation_loader(), self.config.run.samples
        return validate(run.eval_model, loader, run.objective, run.group, samples, stopping)

    def save(self) -> None:
        self.run.progress.seconds = self.seconds_before + time.monotonic() - self.began_at
        self.run.save()
        self.saved_at = time.monotonic()

    def _agree(self) -> int:
        """Decide, the same in all processes, what to do after a batch; saves if it is time."""
        progress, world = self.run.progress, self.run.group.world
        if progress.batch % self.config.run.accumulate:
            return GO_ON
        if world > 1 and progress.batch % (AGREE_EVERY * self.config.run.accumulate):
            return GO_ON
        decision = self.run.group.most(self._wish())
        if decision == SAVE:
            self.save()
        return decision

    def _wish(self) -> int:
        now = time.monotonic()
        if self.signals.caught or (self.deadline is not None and now > self.deadline):
            return STOP
        return SAVE if now - self.saved_at > 60 * self.config.run.save_minutes else GO_ON

    def _keep_if_best(self, validation: Validation) -> None:
        """Keep the weights in the first process if no earlier ones have a higher AP."""
        progress = self.run.progress
        ap = validation.intervals["ap"].value if validation.intervals else None
        if progress.best_ap is None or (ap is not None and ap >= progress.best_ap):
            progress.best_ap = ap
            if self.run.group.first:
                self.run.save_weights("best.safetensors", ap)

    def _report(self, validation: Validation | None, validated_in: float) -> EpochReport:
        progress, group = self.run.progress, self.run.group
        sums = group.sum(torch.tensor([*progress.loss_sums, progress.images]).double())
        means = (sums[:-1] / sums[-1]).tolist()
        left = self.config.epochs - progress.epoch - 1
        evaluations_left = -(-left // self.config.run.evaluate_every)
        return EpochReport(
            epoch=progress.epoch + 1,
            epochs=self.config.epochs,
            training=dict(zip(Losses._fields, means, strict=True)),
            validation=validation.losses if validation else {},
            intervals=validation.intervals if validation else {},
            rate=self.run.optimizer.param_groups[0]["lr"],
            images_per_second=float(sums[-1]) / max(progress.train_seconds, 1e-9),
            wait_share=progress.wait_seconds / max(progress.train_seconds, 1e-9),
            unreadable=progress.unreadable + (validation.unreadable if validation else 0),
            seconds=self.seconds_before + time.monotonic() - self.began_at,
            seconds_left=progress.train_seconds * left + validated_in * evaluations_left,
        )
