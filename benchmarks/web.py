"""Time the exported page in headless Chromium, single-threaded WebAssembly, stage by stage.

    pip install playwright && npm install --no-save onnxruntime-web@1.30
    litepose export --format web --runtime node_modules/onnxruntime-web --output out/web
    python benchmarks/web.py out/web

Two numbers for each stage, in ms per frame of 640x480: the least by the clock, and the mean of the
processor's time, which other programs on a busy machine lengthen less.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import shutil
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

IMAGE = Path(__file__).parents[1] / "examples/images/scene.jpg"
OPEN = """async ([url, size]) => {
  const { openLocal } = await import('./local.js'), { decode } = await import('./decode.js');
  const { letterbox, toInput } = await import('./input.js');
  const model = await openLocal(await (await fetch('settings.json')).json(), 'wasm', () => {});
  const blob = await (await fetch(url)).blob(), { info, ort, session } = model;
  const image = await createImageBitmap(blob, { resizeWidth: 640, resizeHeight: 480 });
  const box = letterbox([640, 480], size, info.input.multiple);
  const [w, h] = box.input_wh, pixels = toInput(image, box, info.input);
  const tensor = new ort.Tensor('float32', pixels, [1, 3, h, w]);
  const run = () => session.run({ [session.inputNames[0]]: tensor });
  const out = await run(), [heat, tags] = session.outputNames.map((name) => out[name]);
  const maps = [[{ data: heat.data, h: heat.dims[2], w: heat.dims[3] }],
    { data: tags.data, size: tags.dims[2], h: tags.dims[3], w: tags.dims[4] }];
  globalThis.stages = { resize: () => toInput(image, box, info.input), network: run,
    grouping: () => decode(...maps, box, info),
    all: () => model.predict(image, [640, 480], size, info.decode.person_threshold) };
  return { people: stages.grouping().people.length, input: [w, h], threads: model.threads };
}"""
TIME = """async ([stage, frames]) => {
  let least = Infinity;
  for (let i = 0; i < frames; i++) {
    const start = performance.now();
    await stages[stage]();
    least = Math.min(least, performance.now() - start);
  }
  return least;
}"""


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass


def processor_seconds(profile: str) -> float:
    """User and system time of the page's process, all its threads."""
    total = 0.0
    for entry in Path("/proc").iterdir():
        try:
            command = (entry / "cmdline").read_text() if entry.name.isdecimal() else ""
            if "--type=renderer" in command and profile in command:
                user, system = (entry / "stat").read_text().rsplit(") ", 1)[1].split()[11:13]
                total += (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")
        except OSError:
            continue  # a process that has ended
    return total


def measure(page: Any, mark: str, size: int, frames: int) -> dict[str, Any]:
    url = "data:image/jpeg;base64," + base64.b64encode(IMAGE.read_bytes()).decode()
    result: dict[str, Any] = page.evaluate(OPEN, [url, size])
    for stage in ("resize", "network", "grouping", "all"):
        page.evaluate(TIME, [stage, frames])  # until all is compiled
        before = processor_seconds(mark)
        least = page.evaluate(TIME, [stage, frames])
        spent = (processor_seconds(mark) - before) / frames
        result[stage] = {"least_ms": round(least, 1), "processor_ms": round(1000 * spent, 1)}
    return result


def main() -> None:
    from playwright.sync_api import sync_playwright

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--size", type=int, default=256, help="short side of the input")
    parser.add_argument("--frames", type=int, default=60)
    options = parser.parse_args()
    server = ThreadingHTTPServer(
        ("127.0.0.1", 0), partial(Quiet, directory=str(options.folder.resolve()))
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    mark = f"litepose-bench-{os.getpid()}"
    flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    with sync_playwright() as started:
        browser = started.chromium.launch(
            executable_path=shutil.which("chromium"),
            args=[*flags, f"--user-agent={mark}"],
        )
        page = browser.new_context(bypass_csp=True).new_page()
        page.goto(f"http://127.0.0.1:{server.server_port}/manifest.json")
        result = measure(page, mark, options.size, options.frames)
        browser.close()
    result["load_average"] = round(os.getloadavg()[0], 1)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
