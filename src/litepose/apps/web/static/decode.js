// The decoder: maps of one image to people. The same steps and numbers as litepose/decode in Python.
// `info` is the record of settings that every model file carries. Sums of one-number tags tie often,
// and rounding decides: `float` rounds to 32 bits wherever Python's arrays do.

import { matchEdges } from './matching.js';

const float = Math.fround;
const BLOCK_PX = 16; // side of the blocks that filling looks at first, in input pixels
const TAG_UNIT_PX = 32; // positional tags count these
const FILL_BLOCKS = 16; // searched per keypoint, besides two for each person
const AREA_OF_BOX = 0.53; // of a person, as a share of the box

// heatmaps: [{data: Float32Array (K, h, w), w, h}], finest last; tags: {data (K, T, h, w), size: T, w, h};
// box: {image_wh, content_wh} as `letterbox` gives it. Gives {people: best first, in image pixels,
// field: the merged maps}.
export function decode(heatmaps, tags, box, info) {
  const field = mergeMaps(heatmaps, tags, info), settings = info.decode;
  let people = group(findCandidates(field, settings), info);
  people = people.filter((person) => person.score >= settings.person_threshold);
  if (settings.fill) fillMissing(people, field);
  people = dropDuplicates(people, info.skeleton.oks_sigmas, settings.duplicate_oks);
  return { people: people.map((person) => toImage(person, field, box, info)), field };
}

// Half to even, as numpy and Python round.
export function rint(value) {
  const up = Math.round(value);
  return up - value === 0.5 && up % 2 ? up - 1 : up;
}

// Heatmaps of all strides added at the finest one, with a border of -Infinity around each.
function mergeMaps(heatmaps, tags, info) {
  const { w, h } = heatmaps.at(-1), k = info.skeleton.keypoints.length;
  const columns = w + 2, rows = h + 2, cells = new Float32Array(k * rows * columns).fill(-Infinity);
  for (let joint = 0; joint < k; joint++) {
    const sum = new Float32Array(w * h);
    for (const map of heatmaps) {
      const own = map.data.subarray(joint * map.w * map.h, (joint + 1) * map.w * map.h);
      const sized = map.w === w && map.h === h ? own : enlarged(own, map.w, map.h, w, h);
      for (let i = 0; i < sum.length; i++) sum[i] += sized[i];
    }
    for (let y = 0; y < h; y++) {
      cells.set(sum.subarray(y * w, (y + 1) * w), (joint * rows + y + 1) * columns + 1);
    }
    refuseUnlessFinite('heatmap', sum);
  }
  refuseUnlessFinite('tag map', tags.data);
  return { cells, w, h, k, columns, rows, summed: heatmaps.length, tags,
    stride: info.strides.at(-1), tagStride: info.tag_stride };
}

function refuseUnlessFinite(name, values) {
  let zero = 0; // times 0, all but NaN and infinity are 0
  for (let i = 0; i < values.length; i++) zero += values[i] * 0;
  if (zero !== 0) throw new Error(`the network's ${name} holds numbers that are not finite`);
}

// Bilinear, between the middles of cells, edges repeated.
function enlarged(map, w, h, toW, toH) {
  const out = new Float32Array(toW * toH);
  for (let y = 0; y < toH; y++) {
    const [top, down, v] = between((y + 0.5) * h / toH - 0.5, h);
    for (let x = 0; x < toW; x++) {
      const [left, right, u] = between((x + 0.5) * w / toW - 0.5, w);
      const upper = map[top * w + left] * (1 - u) + map[top * w + right] * u;
      const lower = map[down * w + left] * (1 - u) + map[down * w + right] * u;
      out[y * toW + x] = upper * (1 - v) + lower * v;
    }
  }
  return out;
}

// The two places around `place` of `count`, and how far it lies on the way from one to the other.
function between(place, count) {
  const inside = Math.min(Math.max(place, 0), count - 1), first = Math.min(Math.floor(inside), Math.max(count - 2, 0));
  return [first, Math.min(first + 1, count - 1), inside - first];
}

// 3x3 maxima above the threshold, the strongest of each keypoint first: {joint, x, y, score, tags}.
function findCandidates(field, settings) {
  const { cells, columns, rows } = field, floor = float(settings.heat_threshold * field.summed), found = [];
  const steps = [1, columns - 1, columns, columns + 1];
  for (let joint = 0; joint < field.k; joint++) {
    const peaks = [];
    for (let y = 0; y < field.h; y++) {
      let at = (joint * rows + y + 1) * columns + 1;
      for (let x = 0; x < field.w; x++, at++) {
        const heat = cells[at];
        // Later neighbors may be equal, earlier ones must be lower: a plateau gives one peak.
        if (heat > floor && steps.every((step) => heat >= cells[at + step] && heat > cells[at - step])) {
          peaks.push({ at, x, y, heat });
        }
      }
    }
    peaks.sort((a, b) => b.heat - a.heat || a.at - b.at);
    for (const { at, x, y, heat } of peaks.slice(0, settings.max_candidates)) {
      const place = [float(x + 0.5 + shift(cells, at, 1)), float(y + 0.5 + shift(cells, at, columns))];
      found.push({ joint, place, score: float(heat / field.summed), tags: sampleTags(field, joint, place) });
    }
  }
  return found;
}

// Vertex of the parabola through a cell and its two neighbors along one axis.
function shift(cells, at, step) {
  const before = cells[at - step], after = cells[at + step];
  const bend = float(float(2 * cells[at] - before) - after);
  if (!(bend > 1e-6 && bend < Infinity)) return 0; // infinite at the border
  return Math.min(Math.max(float(float(after - before) / (2 * bend)), -0.5), 0.5);
}

function sampleTags(field, joint, [x, y]) {
  const { data, size, w, h } = field.tags, ratio = field.stride / field.tagStride;
  const [left, right, u] = between(float(float(x * ratio) - 0.5), w);
  const [top, down, v] = between(float(float(y * ratio) - 0.5), h);
  const mixed = (a, b, share) => float(a + float(share * float(b - a)));
  return Array.from({ length: size }, (_, t) => {
    const map = (joint * size + t) * w * h, read = (row, column) => data[map + row * w + column];
    return mixed(mixed(read(top, left), read(top, right), u), mixed(read(down, left), read(down, right), u), v);
  });
}

// The tags of the tag cell that the middle of heatmap cell x, y lies in.
function nearestTags(field, joint, x, y) {
  const { data, size, w, h } = field.tags, { stride, tagStride } = field;
  const column = Math.min(Math.floor((2 * x + 1) * stride / (2 * tagStride)), w - 1);
  const row = Math.min(Math.floor((2 * y + 1) * stride / (2 * tagStride)), h - 1);
  const tags = [];
  for (let t = 0; t < size; t++) tags.push(data[((joint * size + t) * h + row) * w + column]);
  return tags;
}

function tagDistance(tags, others) {
  if (tags.length === 1) return Math.abs(float(tags[0] - others[0]));
  let total = 0;
  for (let t = 0; t < tags.length; t++) {
    const apart = float(tags[t] - others[t]);
    total = float(total + float(apart * apart));
  }
  return float(Math.sqrt(total));
}

// Official rounding; ties are broken by the distance.
const costOf = (far, score) => float(float(rint(far) * 100 - score) + float(float(1e-3) * far));

// Keypoint by keypoint in grouping order: each candidate joins a person near in tag, or starts one.
function group(candidates, info) {
  const { keypoints, grouping_order: order } = info.skeleton, threshold = info.decode.tag_threshold, people = [];
  for (const name of order) {
    const joint = keypoints.indexOf(name), here = candidates.filter((one) => one.joint === joint);
    const means = people.map((person) => person.sums.map((sum) => float(sum / person.members)));
    const edges = [];
    here.forEach((one, row) => means.forEach((mean, column) => {
      const far = tagDistance(one.tags, mean);
      if (far < threshold) edges.push({ row, column, cost: costOf(far, one.score) });
    }));
    const chosen = matchEdges(edges, here.length);
    here.forEach((one, row) => {
      if (chosen[row] < 0) {
        people.push({ places: keypoints.map(() => [0, 0]), scores: keypoints.map(() => 0),
          sums: one.tags.map(() => 0), members: 0 });
      }
      const person = chosen[row] < 0 ? people.at(-1) : people[chosen[row]];
      [person.places[joint], person.scores[joint]] = [one.place, one.score];
      one.tags.forEach((tag, t) => { person.sums[t] = float(person.sums[t] + tag); });
      person.members += 1;
    });
  }
  for (const person of people) {
    person.tags = person.sums.map((sum) => float(sum / person.members));
    person.score = float(person.scores.reduce((a, b) => a + b, 0) / keypoints.length);
  }
  return people.sort((a, b) => b.score - a.score);
}

// Give each missing keypoint the hottest cell whose tag is the person's, of the hottest blocks.
function fillMissing(people, field) {
  const known = new Map(), most = FILL_BLOCKS + 2 * people.length;
  for (const person of people) {
    person.scores.forEach((score, joint) => {
      if (score > 0) return;
      if (!known.has(joint)) known.set(joint, hotBlocks(field, joint, most));
      const block = best(known.get(joint), person.tags), cell = best(cellsOf(field, joint, block), person.tags);
      if (cell.heat <= 0) return;
      const at = (joint * field.rows + cell.y + 1) * field.columns + cell.x + 1;
      person.places[joint] = [cell.x + 0.5 + shift(field.cells, at, 1),
        cell.y + 0.5 + shift(field.cells, at, field.columns)];
      person.scores[joint] = float(cell.heat / (1 + rint(tagDistance(cell.tags, person.tags))) ** 2);
    });
  }
}

// Where heat less the rounded distance in tag is most, the first of equals.
function best(cells, tags) {
  let most = -Infinity, chosen = cells[0];
  for (const cell of cells) {
    const worth = float(cell.heat - rint(tagDistance(cell.tags, tags)));
    if (worth > most) [most, chosen] = [worth, cell];
  }
  return chosen;
}

const blockSide = (field) => Math.max(1, Math.floor(BLOCK_PX / field.stride));

function cellsOf(field, joint, { row, column }) {
  const side = blockSide(field), cells = [];
  for (let y = row * side; y < Math.min((row + 1) * side, field.h); y++) {
    for (let x = column * side; x < Math.min((column + 1) * side, field.w); x++) {
      const heat = field.cells[(joint * field.rows + y + 1) * field.columns + x + 1];
      cells.push({ x, y, heat: float(heat / field.summed), tags: nearestTags(field, joint, x, y) });
    }
  }
  return cells;
}

// The hottest cell of each of the hottest blocks, with the block's row and column.
function hotBlocks(field, joint, most) {
  const { w, h, columns, rows, cells, summed } = field, side = blockSide(field), blocks = [];
  for (let row = 0; row * side < h; row++) {
    for (let column = 0; column * side < w; column++) {
      let hottest = -Infinity, x = 0, y = 0;
      for (let j = row * side; j < Math.min((row + 1) * side, h); j++) {
        const line = (joint * rows + j + 1) * columns + 1;
        for (let i = column * side; i < Math.min((column + 1) * side, w); i++) {
          if (cells[line + i] > hottest) [hottest, x, y] = [cells[line + i], i, j];
        }
      }
      blocks.push({ row, column, x, y, heat: float(hottest / summed) });
    }
  }
  return blocks.sort((a, b) => b.heat - a.heat).slice(0, most)
    .map((block) => ({ ...block, tags: nearestTags(field, joint, block.x, block.y) }));
}

// Object keypoint similarity of two people ({places, scores}), over the keypoints that both have.
export function similarity(one, other, area, sigmas) {
  let sum = 0, count = 0;
  one.places.forEach(([x, y], k) => {
    if (!(one.scores[k] > 0 && other.scores[k] > 0)) return;
    const apart = (x - other.places[k][0]) ** 2 + (y - other.places[k][1]) ** 2;
    sum += Math.exp(-apart / area / (8 * sigmas[k] ** 2));
    count += 1;
  });
  return sum / Math.max(count, 1);
}

// Least and greatest x, y of the keypoints that were found.
export function boxOf({ places, scores }) {
  const found = places.filter((_, k) => scores[k] > 0), along = (axis) => found.map((place) => place[axis]);
  return [Math.min(...along(0)), Math.min(...along(1)), Math.max(...along(0)), Math.max(...along(1))];
}

export function areaOf(person) {
  const [left, top, right, bottom] = boxOf(person);
  return Math.max(AREA_OF_BOX * Math.max(right - left, 0) * Math.max(bottom - top, 0), 1);
}

// Of two people more alike than `most`, the better stays. People come best first.
function dropDuplicates(people, sigmas, most) {
  if (most > 1) return people;
  const kept = [];
  for (const person of people) {
    const area = areaOf(person);
    const twin = kept.some((better) => touch(boxOf(better), boxOf(person))
      && similarity(better, person, Math.max(area, areaOf(better)), sigmas) > most);
    if (!twin) kept.push(person);
  }
  return kept;
}

const touch = (a, b) => [0, 1].every((axis) => a[axis] - 1 < b[axis + 2] + 1 && b[axis] - 1 < a[axis + 2] + 1);

function toImage({ places, scores, tags, score }, field, box, info) {
  const scale = [0, 1].map((axis) => box.image_wh[axis] / box.content_wh[axis]);
  const found = places.filter((_, k) => scores[k] > 0);
  const middle = [0, 1].map((axis) => found.reduce((sum, place) => sum + place[axis], 0) / found.length);
  const points = places.map((place, k) => (scores[k] > 0 ? place : middle)
    .map((cell, axis) => cell * field.stride * scale[axis]));
  const [left, top, right, bottom] = boxOf({ places: points, scores });
  const person = { score: Math.min(score, 1), box_xyxy: [left, top, right, bottom] };
  if (info.tag_kind === 'positional') {
    person.center = tags.map((tag, axis) => (tag * TAG_UNIT_PX + field.tagStride / 2) * scale[axis]);
  }
  person.keypoints = points.map(([x, y], k) => [x, y, Math.min(Math.max(scores[k], 0), 1)]);
  return person;
}
