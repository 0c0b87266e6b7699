// The page: an image, a clip or the camera, its people found here or on the server, drawn here.
import { drawHeat, drawLayer, drawPerson, drawTags } from './draw.js';
import { openLocal } from './local.js';
import { close, isClip, openCamera, openClip } from './play.js';
import { Smoother } from './smooth.js';
import { Tracker } from './track.js';

const $ = (id) => document.getElementById(id);
const view = $('view'), pen = view.getContext('2d');
let settings = null, model = null, opening = null;
let playing = null; // the <video> of a camera or clip
let given = null; // the image or clip that was opened last
let shown = null, found = null; // what is drawn: the image, and {image_wh, people, skeleton, ms; field, box or blob, effort, overlays}
let asked = 0; // images so far: a late answer is not drawn over a newer one

function say(text, wrong = false) {
  $('message').textContent = text;
  $('message').classList.toggle('error', wrong);
}

const local = () => $('mode').value === 'browser';
const skeleton = () => (local() ? settings.model.info.skeleton : settings.server.skeleton);

async function begin() {
  const reply = await fetch('settings.json').catch(() => null);
  settings = reply?.ok ? await reply.json().catch(() => null) : null;
  if (!settings) return say('The page has no settings: export it again, or start the server again.', true);
  $('mode').value = settings.model ? 'browser' : 'server';
  $('mode-row').hidden = !(settings.model && settings.server);
  if (settings.model) navigator.serviceWorker?.register('sw.js').catch(() => null); // only offers offline use
  choose();
}

// What is being worked on ends with its mode: an image given to this browser is never sent.
async function choose() {
  stop();
  const own = ++asked, invitation = 'Drop, paste or choose an image or a clip.';
  $('effort-row').hidden = local();
  $('size-row').hidden = !local();
  $('where').textContent = local() ? 'Images stay in this browser.' : "Images go to this page's server only.";
  if (!local()) return say(invitation);
  try {
    await ready();
    const threads = `${model.threads} thread${model.threads > 1 ? 's' : ''}`;
    const how = model.runtime === 'webgpu' ? 'WebGPU' : `WebAssembly, ${threads}`;
    if (own === asked) say(`Ready: ${model.info.name}, ${how}. ${invitation}`);
  } catch (wrong) {
    if (own === asked) say(wrong.message, true);
  }
}

// The model of this browser, loaded once; again after a failure.
function ready() {
  opening ??= openLocal(settings, new URLSearchParams(location.search).get('runtime'), (bytes, all) => {
    if (opening && local()) say(`Loading ${(bytes / 1e6).toFixed(1)} of ${(all / 1e6).toFixed(1)} MB …`);
  }).then((opened) => {
    model = opened;
  }, (wrong) => {
    opening = null;
    throw new Error(`The model cannot be opened: ${wrong.message}`);
  });
  return opening;
}

async function ask(blob, effort = $('effort').value) {
  const headers = { 'Content-Type': blob.type || 'application/octet-stream' }, start = performance.now();
  const token = $('token').value.trim();
  if (/[^ -~]/.test(token)) throw new Error('a token has letters, digits and signs of ASCII only');
  if (token) headers.Authorization = `Bearer ${token}`;
  // Everybody is asked for; the sliders choose here, without another request.
  const layers = $('overlay').value === 'none' ? '' : '&overlays=true';
  const reply = await fetch(`v1/poses?threshold=0&effort=${effort}${layers}`,
    { method: 'POST', headers, body: blob }).catch(() => { throw new Error('the server cannot be reached'); });
  const said = await reply.json().catch(() => ({ error: `the server answered ${reply.status}` }));
  if (reply.status === 401) $('token-row').hidden = false;
  if (!reply.ok) throw new Error(said.error || `the server answered ${reply.status}`);
  const images = Object.entries(said.overlays ?? {}).map(([name, src]) => [name, Object.assign(new Image(), { src })]);
  await Promise.all(images.map(([, image]) => image.decode()));
  return { ...said, blob, effort, overlays: Object.fromEntries(images), ms: { server: performance.now() - start } };
}

async function open(blob) {
  await begun;
  if (!settings) return; // the message says so
  given = blob;
  $('again').hidden = !isClip(blob);
  if (isClip(blob)) return play(() => openClip(blob));
  stop();
  say('Working …');
  const own = ++asked;
  try {
    if (local()) await ready();
    const start = performance.now();
    const image = await createImageBitmap(blob).catch(() => null);
    const read = performance.now() - start;
    if (own !== asked) return;
    if (!image && local()) throw new Error('this file is not an image that the browser can read');
    const said = local() ? await model.predict(image, [image.width, image.height], Number($('size').value), 0) : await ask(blob);
    if (!image) throw new Error('this browser cannot show the image');
    if (own === asked) show(image, said, { read, ...said.ms });
  } catch (wrong) {
    if (own === asked) say(wrong.message, true);
  }
}

function show(image, said, ms) {
  [shown, found] = [image, { ...said, ms, skeleton: skeleton() }];
  draw();
  count();
  $('stages').hidden = false;
  $('stages').textContent = Object.entries(ms).map(([stage, one]) => `${stage} ${one.toFixed(1)} ms`).join(' · ');
}

function count() {
  const { length } = visible(), all = Object.values(found.ms).reduce((a, b) => a + b, 0);
  say(`${length} ${length === 1 ? 'person' : 'people'}, ${Math.round(all)} ms.`);
}

function visible() {
  return found ? found.people.filter((person) => person.score >= Number($('person').value)) : [];
}

function draw() {
  $('person-out').textContent = Number($('person').value).toFixed(2);
  $('keypoint-out').textContent = Number($('keypoint').value).toFixed(2);
  for (const what of ['json', 'coco', 'image']) $(`save-${what}`).disabled = !found;
  if (!shown || !found) return;
  const [width, height] = found.image_wh, line = Math.max(2, Math.hypot(width, height) / 300);
  if (view.width !== width || view.height !== height) [view.width, view.height] = [width, height];
  pen.fillStyle = '#ffffff'; // below transparent images
  pen.fillRect(0, 0, width, height);
  pen.drawImage(shown, 0, 0, width, height);
  overlay($('overlay').value);
  for (const person of visible()) drawPerson(pen, person, found.skeleton, Number($('keypoint').value), line);
  list();
}

// The server is asked once more for the overlay of what it found before.
async function complete() {
  const own = asked, old = found;
  if (!old || playing || old.field || $('overlay').value === 'none' || old.overlays[$('overlay').value]) return;
  if (local()) return say('The server found these people: open the image again for an overlay of this browser.');
  say('Working …');
  try {
    const { overlays } = await ask(old.blob, old.effort);
    if (own !== asked) return;
    Object.assign(old, { overlays });
    draw();
    count();
  } catch (wrong) {
    if (own === asked) say(wrong.message, true);
  }
}

// In the browser from the network's own maps; from a server as images.
function overlay(what) {
  if (what === 'heatmap' && found.field) drawHeat(pen, found.field, found.box);
  if (what === 'tags' && found.field) drawTags(pen, found.field, found.box);
  if (found.overlays?.[what]) drawLayer(pen, found.overlays[what], found.image_wh);
}

function angle(points, a, b, c) {
  if (![a, b, c].every((k) => points[k] && points[k][2] >= Number($('keypoint').value))) return null;
  const [u, v] = [a, c].map((k) => [points[k][0] - points[b][0], points[k][1] - points[b][1]]);
  const turn = Math.atan2(u[0] * v[1] - u[1] * v[0], u[0] * v[0] + u[1] * v[1]);
  return Math.round(Math.abs(turn) * 180 / Math.PI);
}

function list() {
  const limbs = ['left', 'right'].flatMap((side) => [['shoulder', 'elbow', 'wrist'], ['hip', 'knee', 'ankle']]
    .map((parts) => [`${side} ${parts[1]}`, parts.map((part) => found.skeleton.keypoints.indexOf(`${side}_${part}`))]));
  $('people').replaceChildren(...visible().map((person) => {
    const angles = limbs.map(([name, [a, b, c]]) => [name, angle(person.keypoints, a, b, c)])
      .filter(([, degrees]) => degrees !== null).map(([name, degrees]) => `${name} ${degrees}°`);
    const item = document.createElement('li'), id = person.id === undefined ? [] : [`id ${person.id}`];
    item.textContent = [...id, `score ${person.score.toFixed(2)}`, ...angles].join(', ');
    return item;
  }));
}

function stop() {
  if (playing) close(playing);
  playing = null;
  $('camera').textContent = 'Camera';
  $('message').ariaLive = 'polite';
}

// The newest frame of a camera or a clip, again and again, until it is stopped or ends.
async function play(opening) {
  await begun;
  if (!settings) return;
  stop();
  const own = ++asked;
  say('Opening …');
  let video = null;
  try {
    if (local()) await ready();
    video = await opening();
  } catch (wrong) {
    return own === asked && say(wrong.message, true);
  }
  if (own !== asked) return close(video);
  playing = video;
  $('camera').textContent = 'Stop';
  $('message').ariaLive = 'off'; // a screen reader need not read each frame's
  const player = { video, frame: document.createElement('canvas'), tracker: new Tracker(skeleton().oks_sigmas), smoother: new Smoother() };
  while (playing === video && !video.ended && !video.error) await tryFrame(player);
  if (playing !== video) return;
  const shown = !video.error && await tryFrame(player); // the last one stays
  if (playing !== video) return;
  stop();
  if (video.error) say(`The clip is broken after ${video.currentTime.toFixed(1)} s.`, true);
  else if (shown) $('message').textContent += ` The ${video.srcObject ? 'camera' : 'clip'} has ended.`;
}

// Whether a frame was shown; where it was not, the message says why.
async function tryFrame(player) {
  try {
    await nextFrame(player);
    return true;
  } catch (wrong) {
    if (playing === player.video) say(wrong.message, true);
    await new Promise((done) => setTimeout(done, 1000));
    return false;
  }
}

async function nextFrame({ video, frame, tracker, smoother }) {
  await new Promise((done) => requestAnimationFrame(done)); // also lets the page be drawn
  const start = performance.now(), seconds = video.duration < Infinity ? video.currentTime : start / 1000;
  [frame.width, frame.height] = [video.videoWidth, video.videoHeight];
  frame.getContext('2d').drawImage(video, 0, 0);
  const blob = local() ? null : await new Promise((done) => frame.toBlob(done, 'image/jpeg', 0.9));
  if (playing !== video) return;
  const read = performance.now() - start, least = Number($('person').value);
  const said = local()
    ? await model.predict(frame, [frame.width, frame.height], Number($('size').value), least) : await ask(blob);
  if (playing !== video) return;
  const people = said.people.filter((person) => person.score >= least);
  tracker.assign(people);
  if ($('smooth').checked) smoother.update(people, seconds);
  show(frame, { ...said, people }, { read, ...said.ms });
}

const rounded = (value, digits) => Number(value.toFixed(digits));

// The people that are shown, as `litepose predict` prints them.
function record() {
  const { keypoints, name } = found.skeleton;
  return { schema: 2, image_wh: found.image_wh, skeleton: name, keypoint_names: keypoints, people: visible().map((person) => ({
    ...person, score: rounded(person.score, 4), box_xyxy: person.box_xyxy.map((value) => rounded(value, 2)),
    ...(person.center && { center: person.center.map((value) => rounded(value, 2)) }),
    keypoints: person.keypoints.map(([x, y, score]) => [rounded(x, 2), rounded(y, 2), rounded(score, 4)]) })) };
}

// COCO results: what `Poses.to_coco` gives.
const coco = () => record().people.map(({ keypoints, score }) => (
  { image_id: 1, category_id: 1, keypoints: keypoints.flat(), score }));

function save(blob, name) {
  const link = Object.assign(document.createElement('a'), { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

const saveJson = (value, name) => save(new Blob([JSON.stringify(value)], { type: 'application/json' }), name);

$('file').addEventListener('change', () => {
  if ($('file').files[0]) open($('file').files[0]);
  $('file').value = ''; // the same file may be chosen again
});
$('camera').addEventListener('click', () => {
  if (playing) return stop();
  $('again').hidden = true;
  play(openCamera);
});
$('again').addEventListener('click', () => open(given));
$('mode').addEventListener('change', choose);
for (const id of ['person', 'keypoint']) {
  $(id).addEventListener('input', () => {
    draw();
    if (found && !playing) count();
  });
}
$('overlay').addEventListener('input', () => {
  draw();
  complete();
});
$('save-json').addEventListener('click', () => saveJson(record(), 'people.json'));
$('save-coco').addEventListener('click', () => saveJson(coco(), 'people.coco.json'));
$('save-image').addEventListener('click', () => view.toBlob((blob) => save(blob, 'people.png')));
addEventListener('paste', (event) => event.clipboardData.files[0] && open(event.clipboardData.files[0]));
addEventListener('dragover', (event) => { event.preventDefault(); document.body.classList.add('drop'); });
addEventListener('dragleave', () => document.body.classList.remove('drop'));
addEventListener('drop', (event) => {
  event.preventDefault();
  document.body.classList.remove('drop');
  if (event.dataTransfer.files[0]) open(event.dataTransfer.files[0]);
});
const begun = begin();
