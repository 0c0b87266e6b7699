// One-Euro smoothing of people with ids: litepose/inference/one_euro.py.
import { areaOf, boxOf } from './decode.js';

const CUTOFF = 1.5, SPEED_CUTOFF = 3, OF_SPEED = 1; // Hz; more for each person size a second; of speeds
const SURE = 0.3; // keypoints scoring this or more are followed fully
const KEEP = 1; // seconds without a detection after which a filter is reset
const STEP_BACK = 0.5; // seconds; a time that goes back by more is a new video

const gain = (hz, dt) => 1 - 1 / (1 + 2 * Math.PI * dt * hz);

export class Smoother {
  constructor() {
    Object.assign(this, { known: new Map(), time: -Infinity });
  }

  // Moves the keypoints of people with an `id` in place. seconds: the frame's time.
  update(people, seconds) {
    if (seconds < this.time - STEP_BACK) Object.assign(this, { known: new Map(), time: -Infinity });
    const now = this.time = Math.max(seconds, this.time);
    for (const person of people) {
      const points = person.keypoints.map(([x, y]) => [x, y]), scores = person.keypoints.map((keypoint) => keypoint[2]);
      const old = this.known.get(person.id), seen = scores.map((score, k) => (score > 0 ? now : old?.seen[k] ?? -Infinity));
      const state = old ? filtered(old, points, scores, now) : { places: points, speed: points.map(() => [0, 0]) };
      this.known.set(person.id, { ...state, seen, time: now });
      person.keypoints = person.keypoints.map(([x, y, score], k) => (score > 0 ? [...state.places[k], score] : [x, y, score]));
      person.box_xyxy = boxOf({ places: person.keypoints.map(([x, y]) => [x, y]), scores });
    }
    for (const [id, { time }] of this.known) if (time < now - KEEP) this.known.delete(id);
  }
}

function filtered(old, points, scores, now) {
  const dt = now - old.time, size = Math.sqrt(areaOf({ places: points, scores }));
  const fresh = scores.map((score, k) => score > 0 && now - old.seen[k] > KEEP);
  const sure = scores.map((score, k) => (fresh[k] ? 0 : Math.min(score / SURE, 1)));
  const change = points.map(([x, y], k) => [x - old.places[k][0], y - old.places[k][1]]);
  const speed = old.speed.map((before, k) => before.map((one, axis) => (
    one + sure[k] * gain(OF_SPEED, dt) * ((dt > 0 ? change[k][axis] / dt : one) - one))));
  const step = change.map((by, k) => {
    const cutoff = CUTOFF + SPEED_CUTOFF * Math.hypot(...speed[k]) / size;
    return by.map((one) => sure[k] * gain(cutoff, dt) * one);
  });
  // The body's own step takes along what is unsure.
  const all = Math.max(sure.reduce((a, b) => a + b, 0), 1e-9);
  const body = [0, 1].map((axis) => step.reduce((sum, one, k) => sum + sure[k] * one[axis], 0) / all);
  const places = old.places.map((place, k) => (fresh[k] ? points[k]
    : place.map((one, axis) => one + step[k][axis] + (1 - sure[k]) * body[axis])));
  return { places, speed: speed.map((one, k) => (fresh[k] ? [0, 0] : one)) };
}
