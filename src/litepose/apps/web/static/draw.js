// Draw people and heatmaps on a canvas.
const LEFT = '#ffb000', RIGHT = '#1f5fd0', MIDDLE = '#ffffff';

// person: {keypoints: [[x, y, score]], id}; skeleton: {keypoints: names, edges: pairs of names}
export function drawPerson(pen, person, skeleton, least, line) {
  const { keypoints: points, id } = person, names = skeleton.keypoints;
  const seen = (k) => points[k] && points[k][2] >= least && points[k][2] > 0;
  const side = (k) => (names[k]?.startsWith('left') ? LEFT : names[k]?.startsWith('right') ? RIGHT : MIDDLE);
  pen.lineCap = 'round';
  for (const [a, b] of skeleton.edges.map((edge) => edge.map((name) => names.indexOf(name)))) {
    if (!seen(a) || !seen(b)) continue;
    for (const [wide, ink] of [[line * 1.8, '#000000'], [line, side(a) === side(b) ? side(a) : MIDDLE]]) {
      pen.strokeStyle = ink;
      pen.lineWidth = wide;
      pen.beginPath();
      pen.moveTo(points[a][0], points[a][1]);
      pen.lineTo(points[b][0], points[b][1]);
      pen.stroke();
    }
  }
  points.forEach(([x, y], k) => {
    if (!seen(k)) return;
    pen.fillStyle = side(k);
    pen.strokeStyle = '#000000';
    pen.lineWidth = line / 2;
    pen.beginPath();
    pen.arc(x, y, line * 1.2, 0, 7);
    pen.fill();
    pen.stroke();
  });
  if (id !== undefined) label(pen, String(id), person.box_xyxy, line);
}

function label(pen, text, [left, top], line) {
  pen.font = `bold ${Math.round(line * 8)}px system-ui, sans-serif`;
  pen.lineWidth = line * 1.5;
  pen.strokeStyle = '#000000';
  pen.fillStyle = '#ffffff';
  const place = [Math.max(left, 0), Math.max(top, line * 8)];
  pen.strokeText(text, ...place);
  pen.fillText(text, ...place);
}

// The hottest keypoint of each cell, from transparent to magenta, over the image.
export function drawHeat(pen, field, box) {
  const { w, h } = field, pixels = new ImageData(w, h);
  hottest(field).heat.forEach((heat, i) => pixels.data.set([255, 0, 200, 255 * Math.min(heat, 1)], i * 4));
  drawMap(pen, pixels, field, box);
}

// Of each cell the tag of its hottest keypoint: like tags, like colors; faded where it is cold.
export function drawTags(pen, field, box) {
  const { w, h, tags } = field, pixels = new ImageData(w, h), { heat, joint } = hottest(field);
  const sure = heat.map((one) => Math.sqrt(Math.min(2 * one, 1)));
  const at = (i) => Math.floor(Math.floor(i / w) * tags.h / h) * tags.w + Math.floor(i % w * tags.w / w);
  const levels = Array.from({ length: Math.min(tags.size, 2) }, (_, axis) => spread(
    heat.map((_, i) => tags.data[(joint[i] * tags.size + axis) * tags.w * tags.h + at(i)]), sure));
  for (let i = 0; i < w * h; i++) {
    const [x, y = 0.5] = levels.map((level) => level[i]);
    pixels.data.set([...fromHue(260 + 200 * x, 0.35 + 0.35 * y), 220 * sure[i]], i * 4);
  }
  drawMap(pen, pixels, field, box);
}

// An image that covers the whole one.
export function drawLayer(pen, layer, [width, height]) {
  pen.drawImage(layer, 0, 0, width, height);
}

// Mean heat of each cell's hottest keypoint, and which that is.
function hottest({ w, h, columns, rows, cells, k, summed }) {
  const heat = new Float32Array(w * h), joint = new Uint16Array(w * h);
  for (let one = 0; one < k; one++) {
    for (let i = 0; i < w * h; i++) {
      const seen = cells[(one * rows + Math.floor(i / w) + 1) * columns + i % w + 1] / summed;
      if (seen > heat[i]) [heat[i], joint[i]] = [seen, one];
    }
  }
  return { heat, joint };
}

// To 0..1, so that what counts fills the scale whatever a few odd cells hold.
function spread(values, sure) {
  const counted = values.filter((_, i) => sure[i] > 0.4).sort();
  const [low, high] = [0.02, 0.98].map((share) => counted[Math.floor(share * (counted.length - 1))] ?? 0);
  return values.map((value) => Math.min(Math.max((value - low) / Math.max(high - low, 1e-6), 0), 1));
}

function fromHue(degrees, light) {
  const reach = 0.9 * Math.min(light, 1 - light);
  return [0, 8, 4].map((shift) => {
    const turn = (shift + degrees / 30) % 12;
    return 255 * (light - reach * Math.max(-1, Math.min(turn - 3, 9 - turn, 1)));
  });
}

function drawMap(pen, pixels, field, box) {
  const small = Object.assign(document.createElement('canvas'), { width: field.w, height: field.h });
  small.getContext('2d').putImageData(pixels, 0, 0);
  const content = box.content_wh.map((side) => side / field.stride);
  pen.drawImage(small, 0, 0, ...content, 0, 0, ...box.image_wh);
}
