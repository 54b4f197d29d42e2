// Noise explorer: which methods keep their accuracy where training labels are wrong.
(function () {
  "use strict";
  const { part, h, s, menu, slider, status, watch, ink, marker, grid, percent, whole, notes } =
    window.Explore;

  const ROW = 30;

  // A row per method, the best on top: the mean with its interval, and pale where it began.
  function dots(width, rows, look, moved) {
    const box = { left: 126, right: width - 54, top: 4, bottom: 4 + rows.length * ROW };
    box.x = (v) => box.left + ((box.right - box.left) * v) / 100;
    const svg = s("svg", { width, height: box.bottom + 24, "aria-hidden": "true" });
    svg.append(grid(box, [0, 25, 50, 75, 100], true));
    rows.forEach(({ name, now, clean }, k) => {
      const y = box.top + k * ROW + ROW / 2;
      const row = s("g", {}, s("text", { x: box.left - 10, y: y + 4, "text-anchor": "end" }, name));
      const [mean, low, high] = now;
      if (moved) {
        row.append(
          s("line", { class: "explore-fall", x1: box.x(clean), x2: box.x(mean), y1: y, y2: y }),
          s("circle", { class: "explore-hollow", cx: box.x(clean), cy: y, r: 4 }));
      }
      if (low !== null) {
        row.append(s("line", { ...ink(look), class: "explore-ink explore-line", y1: y, y2: y,
          x1: box.x(Math.max(0, low)), x2: box.x(Math.min(100, high)) }));
      }
      row.append(marker(look, box.x(mean), y),
        s("text", { x: box.right + 8, y: y + 4 }, percent(mean)));
      svg.append(row);
    });
    return svg;
  }

  part("noise", (place, data) => {
    let time = 0;
    let quantity = data.quantities[0];
    const titles = data.quantities.map(whole);
    const picture = h("div", { role: "img" });
    const said = status();
    picture.setAttribute("aria-labelledby", said.id);

    function draw() {
      const width = picture.clientWidth;
      if (width < 100) return;
      const rows = data.methods.map((m) => ({
        name: m.name, now: m.values[quantity][time], clean: m.values[quantity][0][0],
      })).sort((a, b) => b.now[0] - a.now[0]);
      const look = data.looks.find((l) => l.name === quantity);
      picture.replaceChildren(dots(width, rows, look, time > 0));
      said.textContent = `${data.noises[time]} % wrong labels, test accuracy of ` +
        `${quantity === "fused" ? "the whole model" : `${quantity} alone`}: ` +
        `${rows.map((r) => `${r.name} ${percent(r.now[0])}`).join(", ")}.`;
    }

    const wrong = slider("Wrong training labels", data.noises.length, time,
      (k) => `${data.noises[k]} %`, (k) => { time = k; draw(); });
    const accuracy = menu("Accuracy of", titles, titles[0], (t) => {
      quantity = data.quantities[titles.indexOf(t)];
      draw();
    });
    place.append(h("div", { class: "explore-controls" }, accuracy.element, wrong.element), picture,
      said, notes([`${data.name}; lines: 95 % intervals; hollow: with correct labels.`,
        ...data.notes]));
    watch(picture, draw);
  });
})();
