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
  const { w, h, columns, rows, cells, k, summed } = field, picture = new ImageData(w, h);
  for (let y = 0; y < h; y++) {
    for (let x = 0; x < w; x++) {
      let most = 0;
      for (let joint = 0; joint < k; joint++) most = Math.max(most, cells[(joint * rows + y + 1) * columns + x + 1]);
      picture.data.set([255, 0, 200, 255 * Math.min(most / summed, 1)], (y * w + x) * 4);
    }
  }
  const small = Object.assign(document.createElement('canvas'), { width: w, height: h });
  small.getContext('2d').putImageData(picture, 0, 0);
  const content = box.content_wh.map((side) => side / field.stride);
  pen.drawImage(small, 0, 0, ...content, 0, 0, ...box.image_wh);
}
