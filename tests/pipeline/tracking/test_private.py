"""What is used of MLflow beyond its public API is as the installed version has it."""

import inspect
import re
import uuid
from importlib.metadata import version
from pathlib import Path

import numpy as np
from PIL import Image

from raygan.pipeline import tracking
from raygan.pipeline.tracking import private
from raygan.pipeline.tracking.client import client


def test_the_installed_mlflow_is_one_that_was_checked() -> None:
    installed = tuple(int(part) for part in version("mlflow").split(".")[:2])
    assert private.FIRST <= installed < private.BEYOND, (
        f"MLflow {version('mlflow')}: read its changes for what tracking/private.py uses, then change the range there"
    )


def test_the_pinned_mlflow_is_the_installed_one() -> None:
    pinned = re.search(r"^mlflow==(\S+)", (Path(__file__).parents[3] / "requirements.txt").read_text(), re.MULTILINE)
    assert pinned is not None
    assert pinned[1] == version("mlflow")


def test_images_have_the_names_the_tag_and_the_thumbnail_of_mlflows_own(tmp_path: Path) -> None:
    uri = tracking.local_uri(tmp_path)
    run_id = tracking.create_run(uri, "faces", "run", {})
    server = client(uri)
    server.log_image(run_id, np.zeros((300, 600, 3), np.uint8), key="faces/averaged", step=320, timestamp=1000)
    folder = Path(server.download_artifacts(run_id, private.IMAGES))
    thumbnail, full = sorted((path.name for path in folder.iterdir()), key=len, reverse=True)
    unique = full.removesuffix(".png")[-36:]
    assert uuid.UUID(unique)
    series = private.image_series("faces/averaged", 320)
    assert private.image_files(series, 1000, unique) == (full, thumbnail)
    assert private.series_of_thumbnail(f"{private.IMAGES}/{thumbnail}") == series
    assert private.series_of_thumbnail(f"{private.IMAGES}/{full}") is None
    assert max(Image.open(folder / thumbnail).size) == private.THUMBNAIL_PIXELS
    assert server.get_run(run_id).data.tags[private.LOGGED_IMAGES] == "True"


def test_mlflows_page_reads_saved_views_and_the_kind_of_an_experiment_from_these_tags() -> None:
    """The page is in JavaScript: the names of the tags are in one of its files."""
    import mlflow.server

    page = Path(inspect.getfile(mlflow.server)).parent / "js" / "build" / "static" / "js"
    (kind,) = private.KIND
    (view,) = private.saved_view("", "", {})
    wanted = {kind, *private.KIND.values(), view, "deflate;"}
    for file in page.glob("*.js"):
        text = file.read_text(errors="replace")
        wanted = {word for word in wanted if word not in text}
        if not wanted:
            break
    assert wanted == set()


def test_a_busy_server_is_known_by_the_text_of_the_exception() -> None:
    from urllib3.exceptions import ResponseError

    for status in (500, 503):
        assert re.match(private.BUSY, f"API request failed: {ResponseError.SPECIFIC_ERROR.format(status_code=status)}")
