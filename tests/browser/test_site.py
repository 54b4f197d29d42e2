"""The interactive parts of the site in a real Chromium: moved by the keyboard, at two widths, in
light and in dark. The page has the site's fragments and scripts, without the theme around them.
"""

from __future__ import annotations

import re

import pytest

from tests.browser.conftest import SCREENSHOTS
from tools import explore_pages

LOOKS = [(width, scheme) for width in (1280, 390) for scheme in ("light", "dark")]
HEAD = (
    '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>parts</title>'
    '<meta name="viewport" content="width=device-width, initial-scale=1">'
    '<link rel="stylesheet" href="_static/explore.css">'
    "<style>:root{color-scheme:light dark}body{max-width:46em;margin:auto}</style></head><body>"
)


@pytest.fixture(scope="module")
def content():
    """{part: its data}, as the page has them."""
    return {name: make(explore_pages.DATA) for name, make in explore_pages.PARTS.items()}


@pytest.fixture(scope="module")
def address(tmp_path_factory, content):
    """A page with every part under a heading."""
    folder = tmp_path_factory.mktemp("site")
    explore_pages.copy_static(folder / "_static")
    parts = [
        f"<section><h2>{name}</h2>{explore_pages.fragment(name, part)}</section>"
        for name, part in content.items()
    ]
    page = folder / "explore.html"
    page.write_text("\n".join([HEAD, *parts, explore_pages.scripts("_static"), "</body></html>"]))
    return page.as_uri()


def opened(browser, address, **options):
    """The page, with what went wrong in `page.errors` and foreign requests in `page.foreign`."""
    page = browser.new_page(**options)
    page.errors, page.foreign = [], []
    page.on("console", lambda m: m.type == "error" and page.errors.append(m.text))
    page.on("pageerror", lambda e: page.errors.append(str(e)))
    page.on("request", lambda r: r.url.startswith(("file:", "data:")) or page.foreign.append(r.url))
    page.set_default_timeout(5_000)
    page.goto(address)
    return page


@pytest.fixture(scope="module", params=LOOKS, ids=lambda p: f"{p[0]}-{p[1]}")
def page(request, browser, address):
    width, scheme = request.param
    made = opened(browser, address, viewport={"width": width, "height": 900}, color_scheme=scheme)
    yield made
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    made.screenshot(path=SCREENSHOTS / f"site_{width}_{scheme}.png", full_page=True)
    made.close()


def part(page, name):
    return page.locator(f".explore[data-part={name}]")


def picture(place):
    """All that is drawn in a part."""
    return place.evaluate(
        "p => [...p.querySelectorAll('svg')].map(x => x.outerHTML).join('')"
        " + [...p.querySelectorAll('canvas')].map(x => x.toDataURL()).join('')"
    )


def said(place):
    return place.get_by_role("status").inner_text().replace("\xa0", " ")


def test_the_epoch_slider_moves_both_pictures(page, content):
    place, data = part(page, "epochs"), content["epochs"]
    where = data["comparisons"][0]
    before = picture(place)
    slider = place.get_by_role("slider", name="Epoch")
    slider.focus()
    slider.press("Home")
    slider.press("ArrowRight")
    assert picture(place) != before
    first = next(m for m in where["methods"] if m["name"] == data["start"][0])
    assert said(place).startswith(f"Epoch {where['epochs'][1]} of")
    assert f"whole model {first['accuracy']['fused'][1]:.1f} %" in said(place)
    assert slider.get_attribute("aria-valuetext") == f"{where['epochs'][1]}"


def test_the_dial_moves_every_gain(page, content):
    place, last = part(page, "dial"), content["dial"]["levels"][-1]
    before = picture(place)
    place.get_by_role("slider", name="Noise").press("End")
    assert picture(place) != before and last["name"] in said(place)
    assert f"{last['methods'][0]['whole model'][0]:+.1f}".replace("-", "\u2212") in said(place)
    place.get_by_label("Gain of").select_option("weakest modality alone")
    assert "weakest" in said(place)


def test_another_comparison_has_other_modalities(page):
    place = part(page, "epochs")
    place.get_by_label("Data and fusion").select_option("mfeat, late")
    assert "kar" in place.locator(".explore-legend").inner_text()
    assert place.locator("svg rect").count() == 2 * 6  # shares of six modalities, two methods
    assert "audio" not in said(place)


def test_a_modality_is_taken_away(page, content):
    place = part(page, "coalitions")
    values = content["coalitions"]["comparisons"][0]["methods"][0]
    before = picture(place)
    place.get_by_role("checkbox", name="visual").press("Space")
    assert picture(place) != before
    assert said(place).startswith(f"{values['name']} with audio alone: {values['values'][1]:.1f} %")
    place.get_by_role("checkbox", name="audio").press("Space")
    assert f"with nothing: {values['values'][0]:.1f} %" in said(place)


def test_a_surface_turns_by_keys_sliders_and_pointer(page):
    place = part(page, "landscape")
    seen = [picture(place)]
    surface = place.locator("canvas").first
    surface.press("ArrowRight")
    seen.append(picture(place))
    place.get_by_role("slider", name="Seen from above").press("End")
    seen.append(picture(place))
    assert "seen from 90 degrees above" in said(place)
    surface.scroll_into_view_if_needed()
    box = surface.bounding_box()
    page.mouse.move(box["x"] + 100, box["y"] + 100)
    page.mouse.down()
    page.mouse.move(box["x"] + 160, box["y"] + 60, steps=3)
    page.mouse.up()
    seen.append(picture(place))
    assert len(set(seen)) == 4
    assert "Turned to 65 degrees, seen from 70 degrees" in said(place)
    page.mouse.move(box["x"] + 50, box["y"] + 90)  # the button is up: nothing turns
    assert picture(place) == seen[-1]


def test_a_table_is_sorted_by_its_headings(page):
    place = part(page, "table")
    button = place.get_by_role("button", name="audio")
    button.press("Enter")
    heads = place.locator("th[aria-sort]")
    assert heads.count() == 1 and heads.inner_text().startswith("audio")
    assert heads.get_attribute("aria-sort") == "descending"
    column = place.locator("tbody tr td:nth-child(3)").all_inner_texts()
    values = [float(re.match(r"[\d.]+", c)[0]) for c in column]
    assert values == sorted(values, reverse=True) and len(values) > 10
    page.keyboard.press("Enter")  # the focus is still on the heading
    assert heads.get_attribute("aria-sort") == "ascending"
    turned = place.locator("tbody tr td:nth-child(3)").all_inner_texts()
    assert turned[0].startswith(f"{min(values)}") and "ascending" in said(place)
    over = place.locator("td svg *").evaluate_all(
        "all => all.filter(x => x.getBoundingClientRect().right >"
        " x.closest('td').getBoundingClientRect().right).length"
    )
    assert over == 0  # pictures stay in their cells


def test_wrong_labels_change_the_order(page, content):
    place = part(page, "noise")
    before = picture(place)
    slider = place.get_by_role("slider", name="Wrong training labels")
    slider.press("End")
    assert picture(place) != before
    means = {m["name"]: m["values"]["fused"][-1][0] for m in content["noise"]["methods"]}
    best = max(means, key=means.get)
    assert f"60 % wrong labels, test accuracy of the whole model: {best} {means[best]}" in said(
        place
    )


def test_every_control_is_reached_by_tab(page):
    page.evaluate("document.activeElement.blur(); window.scrollTo(0, 0)")
    wanted = page.locator(".explore :is(select, input, button, canvas, .explore-scroll)").count()
    reached = set()
    for _ in range(wanted + 5):
        page.keyboard.press("Tab")
        reached.add(
            page.evaluate(
                "[...document.querySelectorAll('.explore *')].indexOf(document.activeElement)"
            )
        )
    assert len(reached - {-1}) == wanted > 20
    unnamed = page.evaluate(
        "[...document.querySelectorAll('.explore :is(select, input)')]"
        ".filter(x => !x.labels.length || !x.labels[0].textContent.trim()).length"
    )
    assert unnamed == 0


def test_numbers_stand_out_on_their_bars(page):
    ratios = page.evaluate(
        """() => {
          const parse = (c) => {
            const n = c.match(/[\\d.]+/g).map(Number);
            return (c.startsWith("color(") ? n : n.map((v) => v / 255)).slice(0, 3);
          };
          const weights = [0.2126, 0.7152, 0.0722];
          const light = (c) => parse(c)
            .map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
            .reduce((t, v, k) => t + v * weights[k], 0);
          return [...document.querySelectorAll(".explore-on")].map((t) => {
            const [a, b] = [t, t.previousSibling].map((x) => light(getComputedStyle(x).fill));
            return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
          });
        }"""
    )
    assert len(ratios) > 4 and min(ratios) >= 4.5


def test_nothing_went_wrong_nothing_was_fetched_and_nothing_overflows(page):
    """The last one of each page, so that all the parts have been moved."""
    assert page.errors == [] and page.foreign == []
    wide = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    assert wide <= 0


@pytest.mark.parametrize("motion", ["no-preference", "reduce"])
def test_playing_respects_the_wish_for_less_motion(browser, address, motion):
    page = opened(browser, address, reduced_motion=motion)
    place = part(page, "epochs")
    status = place.get_by_role("status")
    button = place.get_by_role("button")
    assert button.inner_text() == ("Play" if motion == "no-preference" else "Next epoch")
    button.press("Enter")
    status.filter(has_text="Epoch 0 of").wait_for()
    if motion == "reduce":
        page.wait_for_timeout(700)
        assert said(place).startswith("Epoch 0 of")
        button.press("Enter")
        assert said(place).startswith("Epoch 1 of")
    else:
        status.filter(has_text="Epoch 1 of").wait_for()
        assert button.inner_text() == "Pause"
        button.press("Enter")
        paused = said(place)
        page.wait_for_timeout(700)
        assert said(place) == paused and button.inner_text() == "Play"
    assert page.errors == []
    page.close()
