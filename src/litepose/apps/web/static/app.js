// The page: an image or the camera to the server, its people drawn here, thresholds at once.
const EDGES = [[0, 1], [0, 2], [1, 3], [2, 4], [3, 5], [4, 6], [5, 6], [5, 7], [7, 9], [6, 8],
  [8, 10], [5, 11], [6, 12], [11, 12], [11, 13], [13, 15], [12, 14], [14, 16]];
const LEFT = '#ffb000', RIGHT = '#1f5fd0', MIDDLE = '#ffffff';
const $ = (id) => document.getElementById(id);
const view = $('view'), pen = view.getContext('2d');
let shown = null, found = null, stream = null;

function say(text, wrong = false) {
  $('message').textContent = text;
  $('message').classList.toggle('error', wrong);
}

async function ask(blob) {
  const headers = { 'Content-Type': blob.type || 'application/octet-stream' };
  if ($('token').value) headers.Authorization = `Bearer ${$('token').value}`;
  // Everybody is asked for; the sliders choose here, without another request.
  const reply = await fetch(`v1/poses?threshold=0&effort=${$('effort').value}`,
    { method: 'POST', headers, body: blob });
  const said = await reply.json().catch(() => ({ error: `the server answered ${reply.status}` }));
  if (reply.status === 401) $('token-row').hidden = false;
  if (!reply.ok) throw new Error(said.error || `the server answered ${reply.status}`);
  return said;
}

async function open(blob) {
  stop();
  say('Working …');
  try {
    const image = await createImageBitmap(blob).catch(() => null);
    const start = performance.now();
    const said = await ask(blob);
    if (!image) throw new Error('this browser cannot show the image');
    [shown, found] = [image, said];
    draw();
    const ms = Math.round(performance.now() - start);
    say(`${visible().length} people, ${ms} ms.`);
  } catch (wrong) {
    say(wrong.message, true);
  }
}

function visible() {
  return found ? found.people.filter((person) => person.score >= Number($('person').value)) : [];
}

function draw() {
  $('person-out').textContent = Number($('person').value).toFixed(2);
  $('keypoint-out').textContent = Number($('keypoint').value).toFixed(2);
  $('save-json').disabled = $('save-image').disabled = !found;
  if (!shown || !found) return;
  const [width, height] = found.image_wh;
  view.width = width;
  view.height = height;
  pen.drawImage(shown, 0, 0, width, height);
  const least = Number($('keypoint').value);
  for (const person of visible()) skeleton(person, least, Math.max(2, Math.hypot(width, height) / 300));
  list();
}

function skeleton(person, least, line) {
  const points = person.keypoints, seen = (k) => points[k] && points[k][2] >= least && points[k][2] > 0;
  const color = (a, b) => (a % 2 === b % 2 && a > 0 ? (a % 2 ? LEFT : RIGHT) : MIDDLE);
  pen.lineCap = 'round';
  for (const [a, b] of points.length === 17 ? EDGES : []) {
    if (!seen(a) || !seen(b)) continue;
    for (const [wide, ink] of [[line * 1.8, '#000000'], [line, color(a, b)]]) {
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
    pen.fillStyle = k === 0 ? MIDDLE : k % 2 ? LEFT : RIGHT;
    pen.strokeStyle = '#000000';
    pen.lineWidth = line / 2;
    pen.beginPath();
    pen.arc(x, y, line * 1.2, 0, 7);
    pen.fill();
    pen.stroke();
  });
}

function angle(points, a, b, c) {
  if (![a, b, c].every((k) => points[k] && points[k][2] >= Number($('keypoint').value))) return null;
  const [u, v] = [a, c].map((k) => [points[k][0] - points[b][0], points[k][1] - points[b][1]]);
  const turn = Math.atan2(u[0] * v[1] - u[1] * v[0], u[0] * v[0] + u[1] * v[1]);
  return Math.round(Math.abs(turn) * 180 / Math.PI);
}

function list() {
  const joints = { 'left elbow': [5, 7, 9], 'right elbow': [6, 8, 10], 'left knee': [11, 13, 15],
    'right knee': [12, 14, 16] };
  $('people').replaceChildren(...visible().map((person) => {
    const angles = Object.entries(joints).map(([name, [a, b, c]]) => [name, angle(person.keypoints, a, b, c)])
      .filter(([, degrees]) => degrees !== null).map(([name, degrees]) => `${name} ${degrees}°`);
    const item = document.createElement('li');
    item.textContent = [`score ${person.score.toFixed(2)}`, ...angles].join(', ');
    return item;
  }));
}

function stop() {
  stream?.getTracks().forEach((track) => track.stop());
  stream = null;
  $('camera').textContent = 'Camera';
}

async function camera() {
  if (stream) return stop();
  try {
    stream = await navigator.mediaDevices.getUserMedia({ video: { width: 640 } });
  } catch (wrong) {
    return say(`The camera cannot be used: ${wrong.message}`, true);
  }
  $('camera').textContent = 'Stop camera';
  const video = Object.assign(document.createElement('video'), { srcObject: stream, muted: true });
  await video.play();
  const frame = document.createElement('canvas');
  while (stream) {
    [frame.width, frame.height] = [video.videoWidth, video.videoHeight];
    frame.getContext('2d').drawImage(video, 0, 0);
    const blob = await new Promise((done) => frame.toBlob(done, 'image/jpeg', 0.9));
    try {
      const start = performance.now();
      found = await ask(blob);
      shown = await createImageBitmap(blob);
      if (stream) draw();
      say(`${visible().length} people, ${Math.round(performance.now() - start)} ms a frame.`);
    } catch (wrong) {
      say(wrong.message, true);
      await new Promise((done) => setTimeout(done, 1000));
    }
  }
}

function save(blob, name) {
  const link = Object.assign(document.createElement('a'), { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

$('file').addEventListener('change', () => $('file').files[0] && open($('file').files[0]));
$('camera').addEventListener('click', camera);
for (const id of ['person', 'keypoint']) $(id).addEventListener('input', draw);
$('save-json').addEventListener('click', () => save(
  new Blob([JSON.stringify({ ...found, people: visible() })], { type: 'application/json' }), 'people.json'));
$('save-image').addEventListener('click', () => view.toBlob((blob) => save(blob, 'people.png')));
addEventListener('paste', (event) => event.clipboardData.files[0] && open(event.clipboardData.files[0]));
addEventListener('dragover', (event) => { event.preventDefault(); document.body.classList.add('drop'); });
addEventListener('dragleave', () => document.body.classList.remove('drop'));
addEventListener('drop', (event) => {
  event.preventDefault();
  document.body.classList.remove('drop');
  if (event.dataTransfer.files[0]) open(event.dataTransfer.files[0]);
});
