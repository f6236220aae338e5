"""A headless Chromium for the tests of pages, where the machine has one."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from selenium import webdriver
from selenium.webdriver.chrome.service import Service

from benchmarks.two_nodes import free_ports

CHROMIUM = Path("/usr/bin/chromium")
DRIVER = Path("/usr/bin/chromedriver")

_FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def options(profile: Path) -> webdriver.ChromeOptions:
    """What a browser starts with; `profile` is an empty folder."""
    made = webdriver.ChromeOptions()
    made.binary_location = str(CHROMIUM)
    for flag in (*_FLAGS, f"--user-data-dir={profile}", "--window-size=1280,900"):
        made.add_argument(flag)
    made.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    return made


def missing() -> str:
    """Why there is no browser; empty where there is one."""
    gone = [str(path) for path in (CHROMIUM, DRIVER) if not path.exists()]
    return f"no {' and no '.join(gone)}: apt-get install chromium chromium-driver" if gone else ""


@contextmanager
def browser(profile: Path) -> Iterator[webdriver.Chrome]:
    """A browser that is ended on leaving."""
    driver = webdriver.Chrome(options=options(profile), service=Service(str(DRIVER), port=free_ports(1)[0]))
    try:
        yield driver
    finally:
        driver.quit()
