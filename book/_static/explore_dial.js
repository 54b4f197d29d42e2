// The dial: gains over tuned joint training as the noise in one modality is turned down.
(function () {
  "use strict";
  const { part, h, s, menu, slider, status, watch, grid, notes } = window.Explore;

  const ROW = 34;
  const signed = (v) => `${v < 0 ? "\u2212" : "+"}${Math.abs(v).toFixed(1)}`;

  // Round numbers that span the values, 0 among them.
  function ticks(low, high) {
    const step = [1, 2, 5, 10, 20].find((x) => (high - low) / x <= 6) || 50;
    const first = Math.floor(low / step) * step;
    const count = Math.ceil((high - first) / step);
    return Array.from({ length: count + 1 }, (_, k) => first + k * step);
  }

  // A row per method: the gain with its interval; clear ones are filled.
  function gains(width, rows, marks) {
    const box = { left: 150, right: width - 66, top: 4, bottom: 4 + rows.length * ROW };
    const [low, high] = [marks[0], marks[marks.length - 1]];
    box.x = (v) => box.left + ((box.right - box.left) * (v - low)) / (high - low);
    const svg = s("svg", { width, height: box.bottom + 24, "aria-hidden": "true" });
    svg.append(grid(box, marks, true));
    svg.append(s("line", { class: "explore-ink explore-line", x1: box.x(0), x2: box.x(0),
      y1: box.top, y2: box.bottom }));
    rows.forEach(({ name, mean, half, clear }, k) => {
      const y = box.top + k * ROW + ROW / 2;
      svg.append(s("g", {},
        s("text", { x: box.left - 10, y: y + 4, "text-anchor": "end" }, name),
        s("line", { class: "explore-ink explore-line", y1: y, y2: y,
          x1: box.x(Math.max(low, mean - half)), x2: box.x(Math.min(high, mean + half)) }),
        s("circle", { class: clear ? "explore-ink" : "explore-hollow", cx: box.x(mean), cy: y,
          r: 5 }),
        s("text", { x: box.right + 8, y: y + 4 }, signed(mean))));
    });
    return svg;
  }

  part("dial", (place, data) => {
    let level = 0;
    let quantity = data.quantities[0];
    const picture = h("div", { role: "img" });
    const said = status();
    picture.setAttribute("aria-labelledby", said.id);

    // One scale for all levels, so that the rows move and not the axis.
    function scale() {
      const all = data.levels.flatMap((l) => l.methods.map((m) => m[quantity]));
      return ticks(Math.min(0, ...all.map((v) => v[0] - v[1])),
        Math.max(0, ...all.map((v) => v[0] + v[1])));
    }

    function draw() {
      const width = picture.clientWidth;
      if (width < 100) return;
      const here = data.levels[level];
      const rows = here.methods.map((m) => ({
        name: m.name, mean: m[quantity][0], half: m[quantity][1], clear: m[quantity][2],
      }));
      picture.replaceChildren(gains(width, rows, scale()));
      const clear = rows.filter((r) => r.clear).map((r) => r.name);
      said.textContent = `${here.name}: ${here.dominant} has ${here.share} % of the accuracy ` +
        `under joint training. Gain over it in points, ${quantity}: ` +
        `${rows.map((r) => `${r.name} ${signed(r.mean)} ± ${r.half.toFixed(1)}`).join(", ")}. ` +
        `Clear: ${clear.join(", ") || "none"}.`;
    }

    const noise = slider("Noise", data.levels.length, level, (k) => data.levels[k].name,
      (k) => { level = k; draw(); });
    const accuracy = menu("Gain of", data.quantities, quantity, (t) => { quantity = t; draw(); });
    place.append(h("div", { class: "explore-controls" }, accuracy.element, noise.element), picture,
      said, notes(data.notes));
    watch(picture, draw);
  });
})();
