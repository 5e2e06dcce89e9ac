"""Makes docs/images/tensorboard.png and report.png: `python docs/screenshots.py`; needs Chromium and its driver.

They show a short run on synthetic Fashion-MNIST under DST.
"""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image
from selenium import webdriver
from selenium.webdriver.chrome.service import Service

ROOT = Path(__file__).resolve().parent.parent
FLAGS = "--dataset fashion_mnist --synthetic --schedule dst --epochs 8 --model mlp --learning_rate 0.0003 --verbose 0"
TAGS = "losses|metrics|schedule"
_TIMEOUT = 60  # seconds


@contextmanager
def tensorboard(folder: Path) -> Iterator[str]:
    """Runs TensorBoard on a folder; yields its address."""
    log = folder / "log"
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", str(folder), "--host=127.0.0.1", "--port=0"]
    with log.open("w") as output, subprocess.Popen(command, stdout=output, stderr=output) as server:
        try:
            deadline = time.monotonic() + _TIMEOUT
            while not (found := re.search(r"http://127\.0\.0\.1:\d+", log.read_text())):
                if server.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(log.read_text())
                time.sleep(0.2)
            yield found[0]
        finally:
            server.terminate()


def screenshot(address: str, width: int, height: int, ready: str, name: str) -> None:
    """Writes a screenshot into docs/images, once the page has stopped changing.

    Args:
        address: of the page.
        width: of the window, in pixels.
        height: of the window, in pixels.
        ready: JavaScript that is true when the page is drawn.
        name: of the PNG file.
    """
    driver = shutil.which("chromedriver")
    if driver is None:
        raise FileNotFoundError("chromedriver is missing: install Chromium and its driver (Debian: chromium-driver).")
    options = webdriver.ChromeOptions()
    for argument in ("--headless=new", "--no-sandbox", "--hide-scrollbars", f"--window-size={width},{height}"):
        options.add_argument(argument)
    with webdriver.Chrome(options=options, service=Service(driver)) as browser:
        browser.get(address)
        deadline, before, now = time.monotonic() + _TIMEOUT, b"", b"-"
        while before != now or not browser.execute_script(f"return {ready}"):
            if time.monotonic() > deadline:
                raise RuntimeError(f"{address} was not drawn within {_TIMEOUT} seconds.")
            time.sleep(2)
            before, now = now, browser.get_screenshot_as_png()
    # A palette makes the file three times smaller.
    picture = Image.open(io.BytesIO(now)).convert("RGB").quantize(128, dither=Image.Dither.NONE)
    picture.save(ROOT / "docs" / "images" / name, optimize=True)
    print(name)


def main() -> None:
    """Trains, and makes the screenshots."""
    with tempfile.TemporaryDirectory() as temporary:
        run = Path(temporary, "runs", "garments")
        subprocess.run([sys.executable, str(ROOT / "train.py"), *FLAGS.split(), "--run_dir", str(run)], check=True)
        with tensorboard(run.parent) as address:
            page = f"{address}/?darkMode=false&tagFilter={TAGS}#timeseries"
            screenshot(page, 1280, 860, "document.body.innerText.includes('losses')", "tensorboard.png")
        screenshot((run / "report.html").as_uri(), 1000, 1100, "true", "report.png")


if __name__ == "__main__":
    main()
