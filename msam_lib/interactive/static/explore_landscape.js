// Landscape viewer: one or two loss surfaces on one scale, turned together by mouse, finger or keys.
(function () {
  "use strict";
  const { part, h, menu, slider, status, watch, notes } = window.Explore;

  const TURN = 5; // degrees of a press of a key, and of a step of the slider
  const TILTS = Array.from({ length: 19 }, (_, k) => TURN * k); // to 90 degrees: a map
  const TURNS = Array.from({ length: 72 }, (_, k) => TURN * k - 180);
  const RISE = 1.3; // height of the highest loss; the plane is 2 wide
  // Of matplotlib's viridis, low to high: dark is good.
  const COLOURS = [[68, 1, 84], [59, 82, 139], [33, 145, 140], [94, 201, 98], [253, 231, 37]];

  function colour(share, light = 1) {
    const at = Math.min(0.9999, Math.max(0, share)) * (COLOURS.length - 1);
    const k = Math.floor(at);
    const mixed = COLOURS[k].map((c, i) => c + (COLOURS[k + 1][i] - c) * (at - k));
    return `rgb(${mixed.map((c) => Math.round(Math.min(255, c * light))).join(" ")})`;
  }

  // A point of the model on the screen: turned about the height, tilted towards the eye.
  function camera(turn, tilt, width, height) {
    const [a, b] = [turn, tilt].map((d) => (d * Math.PI) / 180);
    // The plane's diagonal is 2.83 wide; with its height it is never taller than 3.12.
    const size = Math.min(width / 2.95, height / 3.2);
    return ([x, y, z]) => {
      const across = x * Math.cos(a) - y * Math.sin(a);
      const away = x * Math.sin(a) + y * Math.cos(a);
      const up = z * Math.cos(b) + away * Math.sin(b);
      return { x: width / 2 + size * across, y: height / 2 - size * up,
        far: away * Math.cos(b) - z * Math.sin(b) };
    };
  }

  // Quadrilaterals between the measured points, each with its mean share of the scale, and light.
  function faces(plane, low, high) {
    const share = (v) => (Math.min(high, v) - low) / (high - low);
    const corner = (i, j) => [plane.x[i], plane.y[j], RISE * (share(plane.loss[i][j]) - 0.5)];
    const out = [];
    for (let i = 0; i + 1 < plane.x.length; i++) {
      for (let j = 0; j + 1 < plane.y.length; j++) {
        const corners = [corner(i, j), corner(i + 1, j), corner(i + 1, j + 1), corner(i, j + 1)];
        const [p, q, , r] = corners;
        const along = (k) => (k[2] - p[2]) / (k === q ? q[0] - p[0] : r[1] - p[1]);
        const [dx, dy] = [along(q), along(r)];
        // Lambert's law, light from above and one side.
        const light = (-0.45 * dx - 0.25 * dy + 1) / (Math.hypot(dx, dy, 1) * 1.13);
        const mean = corners.reduce((t, c) => t + c[2], 0) / 4;
        out.push({ corners, share: mean / RISE + 0.5, light: 0.62 + 0.5 * Math.max(0, light) });
      }
    }
    return out;
  }

  function paint(canvas, shapes, view) {
    const width = canvas.clientWidth;
    const height = canvas.clientHeight;
    const fine = window.devicePixelRatio || 1;
    canvas.width = width * fine;
    canvas.height = height * fine;
    const pen = canvas.getContext("2d");
    pen.scale(fine, fine);
    const see = camera(view.turn, view.tilt, width, height);
    pen.strokeStyle = "#888"; // seen in light and in dark
    // The floor: the plane's outline at the lowest loss.
    outline(pen, [[-1, -1], [1, -1], [1, 1], [-1, 1]].map(([x, y]) => see([x, y, -RISE / 2])));
    pen.stroke();
    const seen = shapes.map((f) => ({ ...f, corners: f.corners.map(see) }));
    const far = (f) => f.corners.reduce((t, c) => t + c.far, 0);
    seen.sort((f, g) => far(g) - far(f)); // what is near covers what is far
    pen.lineWidth = 0.6;
    for (const f of seen) {
      outline(pen, f.corners);
      pen.fillStyle = colour(f.share, f.light);
      pen.strokeStyle = colour(f.share, f.light * 0.85);
      pen.fill();
      pen.stroke();
    }
  }

  function outline(pen, points) {
    pen.beginPath();
    points.forEach((p, k) => (k ? pen.lineTo(p.x, p.y) : pen.moveTo(p.x, p.y)));
    pen.closePath();
  }

  function scale(low, high) {
    const stops = COLOURS.map((_, k) => colour(k / (COLOURS.length - 1))).join(",");
    return h("div", { class: "explore-scale" }, h("span", {}, `loss ${low.toFixed(1)}`),
      h("span", { class: "explore-ramp", style: `background:linear-gradient(90deg,${stops})` }),
      h("span", {}, `${high.toFixed(1)} nats`));
  }

  part("landscape", (place, data) => {
    const view = { turn: 30, tilt: 30 };
    const names = data.planes.map((p) => p.name);
    const shapes = Object.fromEntries(
      data.planes.map((p) => [p.name, faces(p, data.low, data.high)]));
    const chosen = [...data.start];
    const said = status();
    const canvases = chosen.map(() => h("canvas", { class: "explore-surface", tabindex: 0,
      role: "img", "aria-describedby": said.id, onkeydown: key, onpointerdown: grab,
      onpointermove: drag, onpointerup: release, onpointercancel: release }));
    const titles = chosen.map((n) => h("p", { class: "explore-title" }, n));
    const pair = h("div", { class: "explore-pair explore-halves" },
      ...canvases.map((c, k) => h("div", {}, titles[k], c)));

    function draw() {
      canvases.forEach((canvas, k) => {
        titles[k].textContent = chosen[k];
        canvas.setAttribute("aria-label", `Loss surface of ${chosen[k]}; arrow keys turn it`);
        paint(canvas, shapes[chosen[k]], view);
      });
      const planes = chosen.map((n) => data.planes.find((p) => p.name === n));
      said.textContent = `Turned to ${view.turn} degrees, seen from ${view.tilt} degrees above. ` +
        planes.map((p) => `${p.name}: loss ${p.centre.toFixed(2)} in the centre, ` +
          `${p.rise.toFixed(2)} above that on average.`).join(" ");
    }

    function look(turn, tilt) {
      view.turn = ((((Math.round(turn) + 180) % 360) + 360) % 360) - 180;
      view.tilt = Math.min(TILTS.at(-1), Math.max(0, Math.round(tilt)));
      // A drag stops between the steps of the sliders, which show the nearest.
      around.set(Math.round((view.turn + 180) / TURN) % TURNS.length);
      above.set(Math.round(view.tilt / TURN));
      draw();
    }

    function key(event) {
      const [turn, tilt] = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1],
        ArrowDown: [0, -1] }[event.key] || [];
      if (turn === undefined) return;
      event.preventDefault(); // the page would scroll
      look(view.turn + TURN * turn, view.tilt + TURN * tilt);
    }

    let from = null; // where the pointer and the view were when it was pressed
    function grab(event) {
      from = { x: event.clientX, y: event.clientY, ...view };
      event.currentTarget.setPointerCapture(event.pointerId);
    }
    function drag(event) {
      if (!from) return;
      // A finger that moves up or down scrolls the page, see touch-action in explore.css.
      look(from.turn + (event.clientX - from.x) / 2, from.tilt + (event.clientY - from.y) / 2);
    }
    function release() { from = null; }

    const menus = ["Method", "Beside it"].slice(0, chosen.length).map((label, k) =>
      menu(label, names, chosen[k], (n) => { chosen[k] = n; draw(); }));
    const around = slider("Turn", TURNS.length, (view.turn + 180) / TURN, (k) => `${TURNS[k]}°`,
      (k) => look(TURNS[k], view.tilt));
    const above = slider("Seen from above", TILTS.length, view.tilt / TURN, (k) => `${TILTS[k]}°`,
      (k) => look(view.turn, TILTS[k]));
    place.append(
      h("div", { class: "explore-controls" }, ...menus.map((m) => m.element), around.element,
        above.element),
      pair, scale(data.low, data.high), said, notes(data.notes));
    watch(pair, draw);
  });
})();
