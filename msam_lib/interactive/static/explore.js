// What the interactive parts share: elements, controls, axes and markers. Plain JavaScript, classic
// scripts: pages opened from a disk (file://) may not load modules.
(function () {
  "use strict";
  if (window.Explore) return; // another output of the same notebook has brought it

  const SVG = "http://www.w3.org/2000/svg";
  const parts = {}; // {name: function of (place, data)}
  let ids = 0;

  function fill(element, attributes, children) {
    for (const [name, value] of Object.entries(attributes || {})) {
      if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
      else if (value !== null && value !== undefined) element.setAttribute(name, value);
    }
    element.append(...children.filter((c) => c !== null && c !== undefined));
    return element;
  }

  // An element of HTML, and one of SVG.
  const h = (tag, attributes, ...children) =>
    fill(document.createElement(tag), attributes, children);
  const s = (tag, attributes, ...children) =>
    fill(document.createElementNS(SVG, tag), attributes, children);

  // A menu with its label; `choose` is called with the text chosen.
  function menu(label, texts, start, choose) {
    const list = h("select", { onchange: () => choose(list.value) });
    const element = h("label", { class: "explore-control" }, h("span", {}, label), list);
    // Keep what was chosen where the new menu still has it.
    function offer(names, wanted) {
      const kept = names.includes(list.value) ? list.value : wanted;
      list.replaceChildren(...names.map((n) => h("option", { value: n }, n)));
      list.value = names.includes(kept) ? kept : names[0];
      return list.value;
    }
    offer(texts, start);
    return { element, offer };
  }

  // A slider over the places of a list, with its value in words beside it.
  function slider(label, count, start, words, move) {
    const shown = h("span", { class: "explore-value", "aria-hidden": "true" });
    const range = h("input", { type: "range", min: 0, max: count - 1, step: 1 });
    const element = h("label", { class: "explore-control explore-slider" },
      h("span", {}, label), range, shown);
    function set(place) {
      range.value = place;
      range.setAttribute("aria-valuetext", words(place));
      shown.textContent = words(place);
    }
    range.addEventListener("input", () => {
      set(+range.value);
      move(+range.value);
    });
    set(start);
    function resize(newCount, place) {
      range.max = newCount - 1;
      set(place);
    }
    return { element, set, resize };
  }

  // Several check boxes with what they are about; `fill` puts others in.
  function checks(label) {
    const boxes = h("div", { class: "explore-checks" });
    const element = h("div", { class: "explore-control", role: "group", "aria-label": label },
      h("span", {}, label), boxes);
    return { element, fill: (list) => boxes.replaceChildren(...list) };
  }

  function checkbox(label, checked, change) {
    const box = h("input", { type: "checkbox", onchange: () => change(box.checked) });
    box.checked = checked;
    return h("label", { class: "explore-check" }, box, label);
  }

  // The sentence that says what the picture shows; screen readers read it when it changes.
  function status() {
    return h("p", { class: "explore-status", role: "status", id: `explore-${++ids}` });
  }

  // Draw now and whenever the width changes.
  function watch(place, draw) {
    let width = 0;
    const look = () => {
      if (place.clientWidth && place.clientWidth !== width) {
        width = place.clientWidth;
        draw();
      }
    };
    new ResizeObserver(look).observe(place);
    look();
  }

  // The outlines of matplotlib's markers in a square of side 2 around the centre.
  const OUTLINES = {
    s: "M-.8-.8H.8V.8H-.8Z",
    "^": "M0-1 1 .8H-1Z",
    v: "M0 1 1-.8H-1Z",
    D: "M0-1.1 1.1 0 0 1.1-1.1 0Z",
    P: "M-.4-1H.4V-.4H1V.4H.4V1H-.4V.4H-1V-.4H-.4Z",
    X: "M-1-.5-.5-1 0-.5.5-1 1-.5.5 0 1 .5.5 1 0 .5-.5 1-1 .5-.5 0Z",
    "*": "M0-1.3.3-.4 1.25-.4.5.17.77 1.05 0 .5-.77 1.05-.5.17-1.25-.4-.3-.4Z",
  };

  // How a modality is drawn: a class and, as a property of CSS, its colour.
  const ink = (look) =>
    ({ class: "explore-ink", style: look.color ? `--own:${look.color}` : null });

  // A number on a piece of that colour: white or black, whichever is easier to read (WCAG 2,
  // relative luminance). In the dark, where pieces are paler, it is always black, see explore.css.
  function number(look, x, y, text) {
    const linear = [1, 3, 5].map((k) => {
      const c = parseInt(look.color.slice(k, k + 2), 16) / 255;
      return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
    });
    const light = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
    return s("text", { class: "explore-on", style: `--on:${light > 0.179 ? "#111" : "#fff"}`, x, y,
      "text-anchor": "middle" }, text);
  }

  function marker(look, x, y, size = 5) {
    const place = { ...ink(look), transform: `translate(${x} ${y}) scale(${size})` };
    if (!OUTLINES[look.marker]) return s("circle", { ...place, r: 0.9 });
    return s("path", { ...place, d: OUTLINES[look.marker] });
  }

  // Which colour and marker is whose.
  function legend(looks, title = (name) => name) {
    return h("ul", { class: "explore-legend" }, ...looks.map((look) => h("li", {},
      s("svg", { width: 14, height: 14, "aria-hidden": "true" }, marker(look, 7, 7)),
      title(look.name))));
  }

  // Grid lines with their numbers, 0 to 100 from left to right (x) or from the bottom (y).
  function grid(box, ticks, across) {
    return s("g", { class: "explore-grid" }, ...ticks.flatMap((t) => across
      ? [s("line", { x1: box.x(t), x2: box.x(t), y1: box.top, y2: box.bottom }),
        s("text", { x: box.x(t), y: box.bottom + 15, "text-anchor": "middle" }, `${t}`)]
      : [s("line", { x1: box.left, x2: box.right, y1: box.y(t), y2: box.y(t) }),
        s("text", { x: box.left - 6, y: box.y(t) + 4, "text-anchor": "end" }, `${t}`)]));
  }

  // Move positions (upwards sorted) apart so that no two are nearer than the gap.
  function apart(positions, gap, low, high) {
    const out = [...positions];
    out.forEach((_, k) => { out[k] = Math.max(out[k], k ? out[k - 1] + gap : low); });
    for (let k = out.length - 1; k >= 0; k--) {
      out[k] = Math.min(out[k], k + 1 < out.length ? out[k + 1] - gap : high);
    }
    return out;
  }

  // The space does not break.
  const percent = (value) => (value === null ? "not measured" : `${value.toFixed(1)}\u00a0%`);
  const whole = (name) => (name === "fused" ? "whole model" : name);

  function notes(texts) {
    return h("div", { class: "explore-notes" }, ...texts.map((t) => h("p", {}, t)));
  }

  function start() {
    // A notebook's output calls this too, once for every output of its kind.
    for (const place of document.querySelectorAll(".explore[data-part]:not([data-ready])")) {
      const data = JSON.parse(place.querySelector("script").textContent);
      place.dataset.ready = "";
      place.querySelector(".explore-still")?.remove();
      place.setAttribute("role", "group");
      // The group is called as the heading above it.
      const heading = place.closest("section")?.querySelector("h2, h3");
      if (heading) place.setAttribute("aria-label", heading.firstChild.textContent);
      parts[place.dataset.part](place, data);
    }
  }

  window.Explore = {
    part: (name, draw) => { parts[name] = draw; },
    h, s, menu, slider, checks, checkbox, status, watch, ink, number, marker, legend, grid, apart,
    percent, whole, notes, start,
  };
  document.addEventListener("DOMContentLoaded", start);
})();
