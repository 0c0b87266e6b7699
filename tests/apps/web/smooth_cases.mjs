// Smooth the walks of a file with the page's smoother, print the people: node smooth_cases.mjs FOLDER
import { readFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';

const folder = process.argv[2], { Smoother } = await import(pathToFileURL(`${folder}/smooth.js`));
const walks = JSON.parse(readFileSync(`${folder}/walks.json`));
console.log(JSON.stringify(walks.map((frames) => {
  const smoother = new Smoother();
  return frames.map(({ seconds, people }) => {
    smoother.update(people, seconds);
    return people;
  });
})));
