// An image to the network's input: litepose/core/geometry.py and imaging/preprocess.py on a canvas.
import { rint } from './decode.js';

const MAX_ASPECT = 4; // a longer image is scaled by its long side
const canvas = document.createElement('canvas');
const pen = canvas.getContext('2d', { willReadFrequently: true });

// The image in the top left corner of the input, its short side `size`, both sides padded to a multiple.
export function letterbox([w, h], size, multiple) {
  const scale = Math.min(size / Math.min(w, h), size * MAX_ASPECT / Math.max(w, h));
  const content = [w, h].map((side) => Math.max(1, rint(side * scale)));
  return { image_wh: [w, h], content_wh: content, input_wh: content.map((side) => Math.ceil(side / multiple) * multiple) };
}

// (pixel - mean) / std as planes (3, H, W); padding is black. source: what a canvas can draw.
export function toInput(source, box, { mean, std }) {
  const [w, h] = box.content_wh, [width, height] = box.input_wh, plane = width * height;
  if (canvas.width !== w || canvas.height !== h) [canvas.width, canvas.height] = [w, h];
  pen.imageSmoothingQuality = shrinks(box) ? 'medium' : 'low';
  pen.fillStyle = '#ffffff'; // transparent images are put on white, as in Python
  pen.fillRect(0, 0, w, h);
  pen.drawImage(source, 0, 0, w, h);
  const { data } = pen.getImageData(0, 0, w, h), out = new Float32Array(3 * plane);
  for (let c = 0; c < 3; c++) {
    const table = Float32Array.from({ length: 256 }, (_, level) => (level - mean[c]) / std[c]);
    if (plane > w * h) out.fill(table[0], c * plane, (c + 1) * plane);
    for (let y = 0; y < h; y++) {
      let from = y * w * 4 + c, to = c * plane + y * width;
      for (let x = 0; x < w; x++, from += 4, to++) out[to] = table[data[from]];
    }
  }
  return out;
}

// Python averages pixels from a half on, else it is bilinear; so are a canvas's qualities.
const shrinks = ({ image_wh, content_wh }) => [0, 1].every((axis) => image_wh[axis] >= 2 * content_wh[axis]);
