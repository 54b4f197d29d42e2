// Coalition explorer: who is there, how accurate the model is then, and what Shapley makes of it.
(function () {
  "use strict";
  const { part, h, s, menu, checks, checkbox, status, watch, ink, number, legend, grid, percent,
    notes } = window.Explore;

  const ROW = 40;

  // What each modality adds where it comes first and where it comes last; the mean of both is its
  // Shapley value.
  function gains(values) {
    const [none, first, second, both] = values;
    return [[first - none, both - second], [second - none, both - first]].map(([early, late]) => ({
      early, late, phi: (early + late) / 2,
    }));
  }

  const subset = (names, k) =>
    ["nothing", `${names[0]} alone`, `${names[1]} alone`, "both"][k];

  // A bar per coalition, the chosen one full, the others pale.
  function bars(width, names, looks, values, chosen) {
    const box = { left: 104, right: width - 66, top: 6, bottom: 6 + 4 * ROW };
    box.x = (v) => box.left + ((box.right - box.left) * v) / 100;
    const svg = s("svg", { width, height: box.bottom + 24, "aria-hidden": "true" });
    svg.append(grid(box, [0, 25, 50, 75, 100], true));
    values.forEach((v, k) => {
      const y = box.top + k * ROW + 7;
      const look = k === 1 || k === 2 ? looks[k - 1] : { color: "" };
      const pale = k === chosen ? "" : " explore-pale";
      svg.append(
        s("text", { class: k === chosen ? "explore-bold" : null, x: box.left - 8, y: y + 18,
          "text-anchor": "end" }, subset(names, k)),
        s("rect", { ...ink(look), class: `explore-ink${pale}`, x: box.left, y,
          width: box.x(v) - box.left, height: ROW - 14 }),
        s("text", { class: k === chosen ? "explore-bold" : null, x: box.x(v) + 8, y: y + 18 },
          percent(v)));
    });
    return svg;
  }

  // From what nothing reaches to what both reach, in two pieces.
  function pieces(width, looks, values, parts) {
    const box = { left: 0, right: width, top: 2, bottom: 32 };
    box.x = (v) => (width * v) / 100;
    const svg = s("svg", { width, height: 50, "aria-hidden": "true" });
    svg.append(grid(box, [25, 50, 75], true));
    let at = values[0];
    svg.append(s("rect", { class: "explore-track", x: 0, y: 6, width: box.x(at), height: 22 }));
    parts.forEach((p, k) => {
      const size = Math.max(0, box.x(p.phi));
      svg.append(s("rect", { ...ink(looks[k]), x: box.x(at), y: 6, width: size, height: 22 }));
      if (size > 40) {
        svg.append(number(looks[k], box.x(at) + size / 2, 22, `+${p.phi.toFixed(1)}`));
      }
      at += Math.max(0, p.phi);
    });
    return svg;
  }

  function sums(names, parts) {
    const total = parts.reduce((t, p) => t + Math.max(0, p.phi), 0);
    const points = (v) => `${v >= 0 ? "+" : "−"}${Math.abs(v).toFixed(1)}`;
    const head = ["", "first", "last", "mean", "share"];
    return h("div", { class: "explore-scroll", tabindex: 0, role: "region",
      "aria-label": "Shapley values, in points" }, h("table", {},
      h("thead", {}, h("tr", {}, ...head.map((t) => h("th", { scope: "col" }, t)))),
      h("tbody", {}, ...parts.map((p, k) => h("tr", {}, h("th", { scope: "row" }, names[k]),
        ...[p.early, p.late, p.phi].map((v) => h("td", {}, points(v))),
        h("td", {}, total ? percent((100 * Math.max(0, p.phi)) / total) : "50.0 %"))))));
  }

  part("coalitions", (place, data) => {
    let where = data.comparisons[0];
    let name = data.start[0];
    const present = [true, true];
    const methods = () => where.methods.map((m) => m.name);
    const boxes = checks("Present");
    const picture = h("div", { role: "img" });
    const said = status();
    picture.setAttribute("aria-labelledby", said.id);
    const below = h("div", { "aria-hidden": "true" });
    const key = h("div", {});
    const calculation = h("div", {});
    const older = h("div", {});

    function draw() {
      const width = picture.clientWidth;
      if (width < 100) return;
      const { values } = where.methods.find((m) => m.name === name);
      const { looks } = where;
      const names = looks.map((l) => l.name);
      const chosen = present[0] + 2 * present[1];
      const parts = gains(values);
      picture.replaceChildren(bars(width, names, looks, values, chosen));
      below.replaceChildren(
        h("p", { class: "explore-title" }, "From nothing to both, in points"),
        pieces(width, looks, values, parts));
      calculation.replaceChildren(h("p", { class: "explore-title" },
        "What each adds when it comes first, comes last, on the mean (its Shapley value)"),
        sums(names, parts));
      said.textContent = `${name} with ${subset(names, chosen)}: ${percent(values[chosen])}. ` +
        `Of the way from nothing to both, ${names[0]} brings ${parts[0].phi.toFixed(1)} points, ` +
        `${names[1]} ${parts[1].phi.toFixed(1)}.`;
    }

    function around() {
      const { looks } = where;
      boxes.fill(looks.map((look, k) =>
        checkbox(look.name, present[k], (on) => { present[k] = on; draw(); })));
      key.replaceChildren(legend(looks));
      older.replaceChildren(notes(where.notes));
    }

    const places = data.comparisons.map((c) => c.name);
    const comparison = menu("Data and fusion", places, where.name, (n) => {
      where = data.comparisons.find((c) => c.name === n);
      name = method.offer(methods(), data.start[0]);
      around();
      draw();
    });
    const method = menu("Method", methods(), name, (n) => { name = n; draw(); });
    around();
    place.append(h("div", { class: "explore-controls" }, comparison.element, method.element,
      boxes.element),
      key, picture, said, below, calculation, older);
    watch(picture, draw);
  });
})();
