// Find people in this browser: onnxruntime-web runs the network, decode.js groups.
import { decode } from './decode.js';
import { letterbox, toInput } from './input.js';

const MOST_THREADS = 4;

// settings: settings.json of the folder; runtime: 'webgpu', 'wasm' or null for the best there is;
// tell(bytes, all): how far loading is.
export async function openLocal(settings, runtime, tell) {
  const wanted = runtime ?? (await hasGpu() ? 'webgpu' : 'wasm');
  try {
    return await open(settings, wanted, tell);
  } catch (wrong) {
    if (runtime || wanted === 'wasm') throw wrong;
    return open(settings, 'wasm', tell); // a driver may refuse what it promised
  }
}

async function hasGpu() {
  const adapter = await navigator.gpu?.requestAdapter().catch(() => null);
  return Boolean(adapter) && !adapter.info?.isFallbackAdapter;
}

async function open(settings, runtime, tell) {
  const files = settings.runtimes[runtime], loaded = [0, 0];
  const all = files.bytes + settings.model.bytes;
  const count = (place) => (bytes) => { loaded[place] = bytes; tell(loaded[0] + loaded[1], all); };
  const [binary, model] = await Promise.all([
    load(files.binary, settings.version, count(0)).then(unpacked), load(settings.model.file, settings.version, count(1))]);
  const ort = await import(`./${files.script}`);
  ort.env.wasm.wasmPaths = { mjs: new URL(files.glue, import.meta.url).href };
  ort.env.wasm.wasmBinary = binary;
  ort.env.wasm.numThreads = globalThis.crossOriginIsolated ? Math.min(MOST_THREADS, navigator.hardwareConcurrency) : 1;
  ort.env.logLevel = 'error';
  const session = await ort.InferenceSession.create(model,
    { executionProviders: runtime === 'webgpu' ? ['webgpu', 'wasm'] : ['wasm'], logSeverityLevel: 3 });
  return new LocalModel(ort, session, settings.model.info, runtime, ort.env.wasm.numThreads);
}

class LocalModel {
  constructor(ort, session, info, runtime, threads) {
    Object.assign(this, { ort, session, info, runtime, threads, turn: Promise.resolve() });
  }

  // People of what a canvas can draw, of size `image_wh`; ms: of each stage. One image after the other.
  predict(...given) {
    const turn = this.turn.then(() => this.run(...given));
    this.turn = turn.catch(() => null);
    return turn;
  }

  async run(source, image_wh, size, threshold) {
    const { input } = this.info, start = performance.now();
    const box = letterbox(image_wh, size, input.multiple);
    const pixels = new this.ort.Tensor('float32', toInput(source, box, input), [1, 3, ...box.input_wh.toReversed()]);
    const resized = performance.now();
    const out = await this.session.run({ [this.session.inputNames[0]]: pixels });
    const [tags, ...heatmaps] = this.session.outputNames.map((name) => out[name]).reverse();
    const ran = performance.now();
    const found = decode(
      heatmaps.reverse().map(({ data, dims }) => ({ data, h: dims[2], w: dims[3] })),
      { data: tags.data, size: tags.dims[2], h: tags.dims[3], w: tags.dims[4] }, box,
      { ...this.info, decode: { ...this.info.decode, person_threshold: threshold } });
    const done = performance.now();
    return { image_wh, people: found.people, field: found.field, box,
      ms: { resize: resized - start, network: ran - resized, grouping: done - ran } };
  }
}

// The bytes of a file of this folder, kept for when there is no network.
async function load(name, version, tell) {
  const cache = await globalThis.caches?.open(version).catch(() => null);
  const kept = await cache?.match(name);
  const reply = kept ?? await fetch(name, { cache: 'no-cache' }); // the browser may hold an older export's
  if (!reply.ok) throw new Error(`${name} is not in this folder (status ${reply.status}): export it again`);
  const pieces = [], reader = reply.body.getReader();
  let size = 0;
  for (let piece = await reader.read(); !piece.done; piece = await reader.read()) {
    pieces.push(piece.value);
    tell(size += piece.value.length);
  }
  const bytes = new Uint8Array(await new Blob(pieces).arrayBuffer());
  if (!kept) await cache?.put(name, new Response(bytes)).catch(() => null); // a full disk is no reason to stop
  return bytes;
}

// Packed as gzip, unless the server has unpacked it already.
async function unpacked(bytes) {
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b) return bytes;
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream('gzip'))).arrayBuffer();
}
