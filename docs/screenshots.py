"""Makes docs/images/tensorboard.png and report.png: `python docs/screenshots.py`, given Chromium and its driver.

The run is a short one on drawn garments under DST.
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
FLAGS = "--dataset fashion_mnist --synthetic --schedule dst --epochs 8 --model mlp --learning_rate 0.0003"
TAGS = "losses|metrics|schedule"
_SECONDS = 60


@contextmanager
def browser(width: int, height: int) -> Iterator[webdriver.Chrome]:
    """A browser without a screen."""
    driver = shutil.which("chromedriver")
    if driver is None:
        raise FileNotFoundError(
            "There is no chromedriver: install Chromium and its driver (chromium-driver in Debian)."
        )
    options = webdriver.ChromeOptions()
    for argument in ("--headless=new", "--no-sandbox", "--hide-scrollbars", f"--window-size={width},{height}"):
        options.add_argument(argument)
    driven = webdriver.Chrome(options=options, service=Service(driver))
    try:
        yield driven
    finally:
        driven.quit()


@contextmanager
def tensorboard(folder: Path) -> Iterator[str]:
    """The address of a TensorBoard that shows a folder."""
    log = folder / "log"
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", str(folder), "--host=127.0.0.1", "--port=0"]
    with log.open("w") as output, subprocess.Popen(command, stdout=output, stderr=output) as server:
        try:
            deadline = time.monotonic() + _SECONDS
            while not (found := re.search(r"http://127\.0\.0\.1:\d+", log.read_text())):
                if server.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(log.read_text())
                time.sleep(0.2)
            yield found[0]
        finally:
            server.terminate()


def shot(address: str, width: int, height: int, ready: str) -> Image.Image:
    """Returns the picture of a page, once a script says that it is drawn and the page has stopped changing."""
    with browser(width, height) as driven:
        driven.get(address)
        deadline = time.monotonic() + _SECONDS
        before = b""
        while time.monotonic() < deadline:
            time.sleep(2)
            now = driven.get_screenshot_as_png()
            if driven.execute_script(f"return {ready}") and now == before:
                return Image.open(io.BytesIO(now))
            before = now
    raise RuntimeError(f"{address} was not drawn within {_SECONDS} seconds.")


def save(picture: Image.Image, name: str) -> None:
    """Writes a picture with a palette, which is a third of the size."""
    path = ROOT / "docs" / "images" / name
    picture.convert("RGB").quantize(128, dither=Image.Dither.NONE).save(path, optimize=True)
    print(path)


def main() -> None:
    """Trains, and takes the pictures."""
    with tempfile.TemporaryDirectory() as temporary:
        run = Path(temporary, "runs", "garments")
        command = [sys.executable, str(ROOT / "train.py"), *FLAGS.split(), "--verbose", "0", "--run_dir", str(run)]
        subprocess.run(command, check=True)
        with tensorboard(run.parent) as address:
            page = f"{address}/?darkMode=false&tagFilter={TAGS}#timeseries"
            save(shot(page, 1280, 860, "document.body.innerText.includes('losses')"), "tensorboard.png")
        save(shot((run / "report.html").as_uri(), 1000, 1100, "true"), "report.png")


if __name__ == "__main__":
    main()
