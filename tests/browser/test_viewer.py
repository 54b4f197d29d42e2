"""Surfaces that are turned in a notebook: exported, in JupyterLab, and where no script runs;
and moving pictures for readers who asked for less motion.
"""

from __future__ import annotations

import nbformat
import numpy as np
import pytest

from msam_lib.interactive.viewer import surface_viewer
from msam_lib.plots.race import race
from msam_lib.results.landscape import Landscape
from tests.browser.conftest import SCREENSHOTS
from tests.browser.test_lab import HARMLESS, MINUTE
from tests.browser.test_site import opened, picture, said


def output(shown):
    data = dict(shown._repr_mimebundle_())
    return nbformat.v4.new_output("execute_result", data, execution_count=1)


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """A notebook with two viewers and a race, as nbconvert exports it."""
    exporter = pytest.importorskip("nbconvert").HTMLExporter()
    exporter.mathjax_url = exporter.require_js_url = exporter.mermaid_js_url = ""  # no network
    x = np.linspace(-1, 1, 11)
    bowl = x[:, None] ** 2 + 2 * x[None] ** 2
    planes = {f"bowl {k}": Landscape(x, x, k * bowl) for k in (1, 2, 3)}
    curves = {"One": {"audio": [10.0, 20.0, 30.0], "visual": [10.0, 50.0, 60.0]}}
    outputs = [
        surface_viewer(planes),
        surface_viewer(planes, start=["bowl 3"]),
        race(curves, {"audio": 40.0, "visual": 60.0}, title="T", alt="A race"),
    ]
    cells = [nbformat.v4.new_code_cell("shown", outputs=[output(o)]) for o in outputs]
    text, _ = exporter.from_notebook_node(nbformat.v4.new_notebook(cells=cells))
    path = tmp_path_factory.mktemp("exported") / "notebook.html"
    path.write_text(text, encoding="utf-8")
    return path.as_uri()


def drag(page, surface, across, up):
    surface.scroll_into_view_if_needed()
    box = surface.bounding_box()
    page.mouse.move(box["x"] + 100, box["y"] + 150)
    page.mouse.down()
    page.mouse.move(box["x"] + 100 + across, box["y"] + 150 - up, steps=3)
    page.mouse.up()


def test_an_exported_notebook_turns_its_surfaces(browser, address):
    page = opened(browser, address, viewport={"width": 1000, "height": 900})
    first, second = page.locator(".explore").all()
    before = [picture(place) for place in (first, second)]
    drag(page, first.locator("canvas").first, 40, -20)
    assert "Turned to 50 degrees, seen from 40 degrees" in said(first)
    after = [picture(place) for place in (first, second)]
    assert after[0] != before[0] and after[1] == before[1]  # each for itself
    assert (first.locator("canvas").count(), second.locator("canvas").count()) == (2, 1)
    assert second.get_by_role("combobox").count() == 1
    second.get_by_label("Method").select_option("bowl 1")
    assert "bowl 1: loss 0.00 in the centre" in said(second)
    ids = page.locator(".explore-status").evaluate_all("all => all.map(x => x.id)")
    assert len(set(ids)) == 2 and page.locator(".explore-still").count() == 0
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOTS / "viewer_exported.png")
    assert not page.errors and not page.foreign
    page.close()


def test_without_scripts_the_still_picture_is_seen(browser, address):
    page = opened(browser, address, java_script_enabled=False)
    still = page.locator(".explore-still img").first
    assert still.is_visible() and still.get_attribute("alt").startswith("Loss surfaces over")
    assert still.bounding_box()["width"] > 200 and page.locator("canvas").count() == 0
    page.close()


@pytest.mark.parametrize("wish", ["reduce", "no-preference"])
def test_a_moving_picture_heeds_the_wish_for_less_motion(browser, address, wish):
    page = opened(browser, address, reduced_motion=wish)
    image = page.get_by_role("img", name="A race")
    image.scroll_into_view_if_needed()
    seen = []
    for _ in range(3):
        page.wait_for_timeout(700)
        seen.append(image.screenshot())
    assert len(set(seen)) == (1 if wish == "reduce" else 3)
    page.close()


def test_a_notebook_in_jupyterlab_turns_its_surfaces(browser, lab):
    page = browser.new_page(viewport={"width": 1300, "height": 1000})
    errors = []
    page.on("console", lambda m: m.type == "error" and errors.append(m.text))
    page.on("pageerror", lambda e: errors.append(str(e)))
    page.goto(f"{lab}/lab/tree/surfaces.ipynb", timeout=MINUTE)
    page.get_by_text("Python 3 (ipykernel) | Idle").wait_for(timeout=4 * MINUTE)
    places = page.locator(".explore")
    for last in (False, False, True):  # a busy machine may lose a click on a menu
        page.locator("#jp-MainMenu").get_by_text("Run", exact=True).click()
        page.locator(".lm-Menu").get_by_text("Run All Cells", exact=True).click()
        try:
            places.nth(1).locator("canvas").wait_for(timeout=MINUTE)
            break
        except pytest.importorskip("playwright.sync_api").TimeoutError:
            if last:
                raise
    place = places.first
    seen = [picture(place)]
    drag(page, place.locator("canvas").first, 40, -20)
    seen.append(picture(place))
    assert "Turned to 50 degrees, seen from 40 degrees" in said(place)
    # The notebook leaves the keys to the surface: it neither scrolls nor selects another cell.
    which = "all => all.map(x => x.classList.contains('jp-mod-selected'))"
    chosen = page.locator(".jp-CodeCell").evaluate_all(which)
    for name in ("ArrowDown", "ArrowDown", "ArrowLeft"):
        place.locator("canvas").first.press(name)
    seen.append(picture(place))
    assert "Turned to 45 degrees, seen from 30 degrees" in said(place)
    assert len(set(seen)) == 3
    assert page.locator(".jp-CodeCell").evaluate_all(which) == chosen == [False, True, False]
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOTS / "viewer_lab.png")
    assert not [e for e in errors if not any(h in e for h in HARMLESS)], errors
    page.close()
