"""Ray's dashboard in a real browser, reached as the terminal says."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from tests.browser import browser, missing

GRID = ("demo", "--data", "synthetic:1500", "--model", "tiny:1x32", "--epochs", "200", "--name", "run")


@pytest.mark.browser
@pytest.mark.long
@pytest.mark.slow
@pytest.mark.skipif(bool(missing()), reason=missing())
def test_who_follows_the_printed_line_sees_the_running_trials(tmp_path: Path) -> None:
    environment = {**os.environ, "HOME": str(tmp_path), "COLUMNS": "200"}
    for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN"):
        environment.pop(name, None)
    command = [sys.executable, "-m", "tune_ner.grid", *GRID, "--results-dir", str(tmp_path)]
    with (
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as run,
        browser(tmp_path / "profile") as page,
    ):
        try:
            assert run.stdout
            line = next(line for line in run.stdout if "Ray dashboard" in line)
            found = re.search(r"(http://\S+) \(token: (\S+ get-auth-token)\)", line)
            assert found, line
            address, token_command = found.groups()
            token = subprocess.run(token_command.split(), env=environment, capture_output=True, text=True, check=True)
            page.get(f"{address}/#/cluster")
            wait = WebDriverWait(page, 120)
            wait.until(lambda _: page.find_elements(By.CSS_SELECTOR, "input[type=password]"))
            page.find_element(By.CSS_SELECTOR, "input[type=password]").send_keys(token.stdout.strip())
            next(each for each in page.find_elements(By.TAG_NAME, "button") if each.text.lower() == "submit").click()
            wait.until(lambda _: "ray::tune_ner tiny:1x32 · BIO" in page.find_element(By.TAG_NAME, "body").text)
        finally:
            run.terminate()
