// Decode the cases of a folder with the page's decoder, print the people: node decode_cases.mjs FOLDER
import { readFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';

const folder = process.argv[2], { decode } = await import(pathToFileURL(`${folder}/decode.js`));
const numbers = (name) => new Float32Array(new Uint8Array(readFileSync(`${folder}/${name}`)).buffer);
const found = JSON.parse(readFileSync(`${folder}/cases.json`)).map(({ name, heatmaps, tags, box, info }) => decode(
  heatmaps.map(([h, w], i) => ({ data: numbers(`${name}-heatmaps-${i}`), w, h })),
  { data: numbers(`${name}-tags`), size: tags[0], h: tags[1], w: tags[2] }, box, info).people);
console.log(JSON.stringify(found));
