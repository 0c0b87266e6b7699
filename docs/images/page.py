"""Make the screenshots of the page: docs/images/page.png and page-phone.png.

pip install playwright && npm install --no-save onnxruntime-web@1.30
litepose export --format web --runtime node_modules/onnxruntime-web --output out/web
python docs/images/page.py out/web
"""

from __future__ import annotations

import re
import shutil
import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from PIL import Image
from playwright.sync_api import expect, sync_playwright

HERE = Path(__file__).parent
SCENE = HERE.parents[1] / "examples/images/scene.jpg"
# name: size of the window, overlay
SHOTS = {"page.png": (900, 860, "none"), "page-phone.png": (360, 720, "tags")}


def main() -> None:
    folder = Path(sys.argv[1]).resolve()
    handler = partial(SimpleHTTPRequestHandler, directory=str(folder))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with sync_playwright() as started:
        browser = started.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        for name, (width, height, overlay) in SHOTS.items():
            page = browser.new_page(viewport={"width": width, "height": height})
            page.goto(f"http://127.0.0.1:{server.server_port}/")
            message = page.locator("#message")
            expect(message).to_have_text(re.compile("^Ready"), timeout=60_000)
            page.select_option("#size", "384")
            page.select_option("#overlay", overlay)
            for _ in range(12):  # the first ones also wait for WebAssembly to be compiled
                page.set_input_files("#file", SCENE)
                expect(message).to_have_text(re.compile(r"ms\.$"), timeout=60_000)
            page.screenshot(path=HERE / name)
            shrink(HERE / name)
        browser.close()


def shrink(path: Path) -> None:
    """A PNG of 256 colors: a third of the size."""
    Image.open(path).convert("RGB").quantize(256).save(path, optimize=True)


if __name__ == "__main__":
    main()
