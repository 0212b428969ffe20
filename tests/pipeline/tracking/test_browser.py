"""What a person sees: MLflow's own pages in a real Chromium, on runs that raygan wrote.

Screenshots go to the folder that RAYGAN_SCREENSHOTS names, or to the test's temporary folder.
"""

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from raygan.pipeline import tracking
from raygan.pipeline.models.dcgan import Generator
from raygan.pipeline.tracking.client import client

if TYPE_CHECKING:
    from playwright.sync_api import Page

FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
PATIENCE = 120_000  # milliseconds for a page on a busy machine
ARGUMENTS = {"size": 32, "latent": 5, "width": 4, "normalisation": "none"}
POSITIONS = range(0, 6400, 640)


@dataclass(frozen=True)
class Site:
    """A server that holds two runs, a failed one, a search of two trials, and a registered model."""

    address: str
    experiment: str
    runs: dict[str, str]

    def url(self, page: str) -> str:
        return f"{self.address}/#/{page.format(experiment=self.experiment, **self.runs)}"


def write_run(uri: str, name: str, rate: float, spool: Path, parent: str | None = None) -> str:
    parameters = {"generator": {"learning_rate": rate}, "balance": 1.0}
    run_id = tracking.create_run(uri, "browser", name, parameters, tracking.origin("raygan train"), parent)
    writer = tracking.Writer(uri, run_id, spool / name)
    for position in POSITIONS:
        values = {
            "loss/generator": rate * position,
            "loss/discriminator": 1.0,
            "score/kid_randconv": 1 / (1 + position),
        }
        writer.metrics(values, position)
        writer.image("faces", np.full((64, 64, 3), position * 255 // POSITIONS[-1], np.uint8), position)
    writer.tags({tracking.NOTE: "```\nraygan train --preset demo\n```"})
    assert writer.close(120) == 0
    tracking.end_run(uri, run_id, "FINISHED")
    return run_id


@pytest.fixture(scope="module")
def site(mlflow_server: str, tmp_path_factory: pytest.TempPathFactory) -> Site:
    spool = tmp_path_factory.mktemp("spools")
    runs = {name: write_run(mlflow_server, name, rate, spool) for name, rate in (("slow", 1e-4), ("fast", 4e-4))}
    runs["broken"] = tracking.create_run(mlflow_server, "browser", "broken", {})
    tracking.end_run(mlflow_server, runs["broken"], "FAILED", "loss/generator is inf")
    runs["search"] = tracking.create_run(mlflow_server, "browser", "search", {})
    for trial in ("trial-0", "trial-1"):
        runs[trial] = tracking.create_run(mlflow_server, "browser", trial, {}, parent=runs["search"])
    generator = Generator(**ARGUMENTS)  # type: ignore[arg-type]
    tracking.register_generator(
        mlflow_server, runs["slow"], "browser-faces", generator, ARGUMENTS, POSITIONS[-1],
        {"score/kid_randconv": 0.5}, "score/kid_randconv", {"extractor": "randconv"}, "# Faces of 32 pixels",
    )  # fmt: skip
    return Site(mlflow_server, client(mlflow_server).get_experiment_by_name("browser").experiment_id, runs)


@pytest.fixture(scope="module")
def page(site: Site) -> Iterator["Page"]:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if "CI" not in os.environ:
        pytest.importorskip("playwright")
        if chromium is None:
            pytest.skip("Chromium is not installed")
    assert chromium is not None, "Chromium is not installed: apt-get install chromium"
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        page = browser.new_page(viewport={"width": 1800, "height": 1200})
        page.set_default_timeout(PATIENCE)
        page.route(lambda url: not url.startswith(site.address), lambda route: route.abort())
        page.add_init_script("localStorage.setItem('mlflow.assistant.fab.autoOpenedOnFirstLoad_v1', 'true')")
        yield page
        browser.close()


def keep(page: "Page", name: str, folder: Path) -> None:
    page.screenshot(path=Path(os.environ.get("RAYGAN_SCREENSHOTS", folder)) / f"{name}.png")


def test_the_runs_table_shows_scores_reasons_and_nested_trials(page: "Page", site: Site, tmp_path: Path) -> None:
    from playwright.sync_api import expect

    page.goto(site.url("experiments/{experiment}/runs?viewStateShareKey=raygan"))
    for text in ("score/kid_randconv", "generator.learning_rate", "loss/generator is inf", "browser-faces"):
        expect(page.get_by_text(text).first).to_be_attached()
    expect(page.get_by_text("trial-1", exact=True)).to_have_count(0)
    page.locator(".ag-row", has_text="search").get_by_role("button").first.click()
    expect(page.get_by_text("trial-1", exact=True).first).to_be_visible()
    keep(page, "runs", tmp_path)


def test_a_run_shows_its_curves_in_groups_and_its_faces_under_a_slider(
    page: "Page", site: Site, tmp_path: Path
) -> None:
    from playwright.sync_api import expect

    page.goto(site.url("experiments/{experiment}/runs/{slow}/model-metrics"))
    expect(page.locator(".js-plotly-plot").first).to_be_visible()
    headers = page.get_by_test_id("experiment-view-compare-runs-section-header")
    for group in ("loss", "score"):
        expect(headers.filter(has_text=group).first).to_be_attached()
    slider = page.get_by_role("slider").first
    slider.scroll_into_view_if_needed()
    expect(slider).to_have_attribute("aria-valuenow", "0")
    thumb, card = slider.bounding_box(), page.locator("input[type=number]").last.bounding_box()
    assert thumb is not None
    assert card is not None
    page.mouse.move(thumb["x"] + thumb["width"] / 2, thumb["y"] + thumb["height"] / 2)
    page.mouse.down()
    page.mouse.move(card["x"], thumb["y"] + thumb["height"] / 2, steps=20)
    page.mouse.up()
    expect(slider).to_have_attribute("aria-valuenow", str(POSITIONS[-1]))
    keep(page, "faces", tmp_path)


def test_two_runs_are_compared(page: "Page", site: Site, tmp_path: Path) -> None:
    from playwright.sync_api import expect

    page.goto(site.url("experiments/{experiment}/runs"))
    for name in ("slow", "fast"):
        page.locator(".ag-row", has_text=name).get_by_role("checkbox").first.click()
    page.get_by_role("button", name="Compare", exact=True).click()
    expect(page.get_by_text("Comparing 2 Runs from 1 Experiment")).to_be_visible()
    expect(page.get_by_text("generator.learning_rate").first).to_be_attached()
    keep(page, "comparison", tmp_path)


def test_the_registered_model_shows_its_card_and_that_it_is_champion(page: "Page", site: Site, tmp_path: Path) -> None:
    from playwright.sync_api import expect

    page.goto(site.url("models/browser-faces/versions/1"))
    expect(page.get_by_role("heading", name="Faces of 32 pixels")).to_be_visible()
    expect(page.get_by_text("champion").first).to_be_visible()
    expect(page.get_by_text("score/kid_randconv").first).to_be_visible()
    keep(page, "model", tmp_path)
