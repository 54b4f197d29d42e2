"""Notebook 00 in JupyterLab, as a visitor uses it: run all, move the slider, train, stop."""

from __future__ import annotations

import re

import pytest

from tests.browser.conftest import SCREENSHOTS

MINUTE = 60_000
HARMLESS = ("favicon", "Failed to load resource: the server responded with a status of 404")


@pytest.fixture(scope="module")
def page(browser, lab):
    """Notebook 00 with every cell run."""
    made = browser.new_page(viewport={"width": 1300, "height": 1000})
    made.errors = []
    made.on("console", lambda m: m.type == "error" and made.errors.append(m.text))
    made.on("pageerror", lambda e: made.errors.append(str(e)))
    made.goto(f"{lab}/lab/tree/00_start_here.ipynb", timeout=MINUTE)
    made.locator(".jp-NotebookPanel .jp-CodeCell").first.wait_for(timeout=MINUTE)
    made.get_by_text("Python 3 (ipykernel) | Idle").wait_for(timeout=MINUTE)
    made.locator("#jp-MainMenu").get_by_text("Run", exact=True).click()
    made.locator(".lm-Menu").get_by_text("Run All Cells", exact=True).click()
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    last = made.locator(".jp-CodeCell .jp-InputPrompt").last
    try:
        last.filter(has_text=re.compile(r"\[\d+\]")).wait_for(timeout=MINUTE)
    finally:
        shoot(made, "after_run_all")
    yield made
    made.close()


def cell(page, text):
    """The code cell with this text."""
    return page.locator(".jp-CodeCell").filter(has=page.locator(".jp-InputArea", has_text=text))


def shoot(page, name):
    page.screenshot(path=SCREENSHOTS / f"{name}.png")


def test_every_cell_ran_without_an_error(page):
    prompts = page.locator(".jp-CodeCell .jp-InputPrompt").all_inner_texts()
    assert len(prompts) >= 10
    assert all(re.fullmatch(r"\[\d+\]:?", p.strip()) for p in prompts), prompts
    assert page.locator("[data-mime-type='application/vnd.jupyter.error']").count() == 0


def test_the_epoch_slider_changes_the_picture(page):
    place = cell(page, "epoch_scrubber(fusion_rows")
    image = place.locator("img").first
    image.wait_for(timeout=MINUTE)
    before = image.get_attribute("alt")
    handle = place.locator(".noUi-handle").first
    handle.scroll_into_view_if_needed()
    handle.focus()
    for _ in range(5):
        handle.press("ArrowLeft")
    assert "after epoch 30" in before
    place.locator("img[alt*='after epoch 25']").wait_for(timeout=MINUTE)
    shoot(page, "epoch_slider")


def test_the_method_browser_shows_another_card(page):
    place = cell(page, "method_browser(every)")
    place.locator("select").first.select_option(label="MMPareto")
    place.get_by_text("Pareto integration").first.wait_for(timeout=MINUTE)
    place.locator("mjx-container").first.wait_for(timeout=MINUTE)  # its equations are set
    assert place.locator("mjx-merror").count() == 0
    assert "\\(" not in place.locator(".tex2jax_process").inner_text()
    assert "gradients" in place.locator("svg[role='img']").get_attribute("aria-label")
    place.locator("svg[role='img']").scroll_into_view_if_needed()
    shoot(page, "method_card")
    place.locator("img[alt^='MMPareto']").scroll_into_view_if_needed()
    shoot(page, "method_browser")


def test_the_live_panel_trains_and_stops(page):
    place = cell(page, "LivePanel(store=STORE)")
    place.get_by_role("button", name="Start").scroll_into_view_if_needed()
    slider = place.locator(".noUi-handle").last
    slider.focus()
    for _ in range(20):
        slider.press("ArrowRight")  # enough epochs to be stopped in between
    empty = place.locator("img").first.get_attribute("src")
    place.get_by_role("button", name="Start").click()
    place.locator("img[alt^='After epoch']").wait_for(timeout=MINUTE)
    assert place.locator("img").first.get_attribute("src") != empty
    place.locator("img").first.scroll_into_view_if_needed()
    assert "dominant" in place.get_by_role("status").inner_text()
    shoot(page, "live_panel")
    place.get_by_role("button", name="Stop").click()
    place.get_by_role("status").filter(has_text=re.compile("stopped|finished")).wait_for(
        timeout=MINUTE
    )
    assert place.get_by_role("alert").count() == 0


def test_no_errors_were_reported(page):
    errors = [e for e in page.errors if not any(h in e for h in HARMLESS)]
    assert not errors, errors
    assert page.locator("[data-mime-type='application/vnd.jupyter.error']").count() == 0
    stderr = page.locator("[data-mime-type='application/vnd.jupyter.stderr']").all_inner_texts()
    assert not [t for t in stderr if "Traceback" in t], stderr
