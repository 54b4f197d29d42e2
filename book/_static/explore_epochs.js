// Epoch scrubber: how accuracies and shares grow during training, two methods side by side.
(function () {
  "use strict";
  const { part, h, s, menu, slider, status, watch, ink, number, marker, legend, grid, apart,
    percent, whole, notes } = window.Explore;

  const STEP = 500; // milliseconds per epoch while it plays
  const HEIGHT = 300;
  const BAR = { top: 8, height: 26 };

  // One method at one epoch: the shares as a bar, and the accuracies up to the end as lines.
  function panel(width, where, method, time) {
    const box = { left: 30, right: width - 92, top: 62, bottom: HEIGHT - 36 };
    const last = where.epochs.length - 1;
    box.x = (k) => box.left + ((box.right - box.left) * k) / last;
    box.y = (v) => box.bottom - ((box.bottom - box.top) * v) / 100;
    const svg = s("svg", { width, height: HEIGHT, "aria-hidden": "true" });
    svg.append(shares(width, where, method, time), grid(box, [0, 25, 50, 75, 100], false));
    svg.append(s("line", { class: "explore-cursor", x1: box.x(time), x2: box.x(time),
      y1: box.top - 4, y2: box.bottom }));
    const labels = [];
    for (const look of where.looks) {
      const values = method.accuracy[look.name];
      if (!values) continue;
      svg.append(line(box, values, look));
      // A dash beside the axis: what the modality reaches in a network of its own.
      const alone = where.alone[look.name];
      if (alone !== undefined) {
        svg.append(s("line", { ...ink(look), class: "explore-ink explore-alone",
          x1: box.right + 2, x2: box.right + 14, y1: box.y(alone), y2: box.y(alone) }));
      }
      if (values[time] === null) continue;
      svg.append(marker(look, box.x(time), box.y(values[time])));
      labels.push({ look, value: values[time] });
    }
    labels.sort((a, b) => b.value - a.value);
    const at = apart(labels.map((l) => box.y(l.value)), 15, box.top, box.bottom);
    labels.forEach((l, k) => svg.append(s("text", { x: box.right + 18, y: at[k] + 4 },
      `${l.value.toFixed(0)} ${short(l.look.name)}`)));
    const step = Math.max(1, Math.ceil(last / 6));
    for (let k = 0; k <= last; k += step) {
      svg.append(s("text", { class: "explore-tick", x: box.x(k), y: box.bottom + 15,
        "text-anchor": "middle" }, `${where.epochs[k]}`));
    }
    svg.append(s("text", { class: "explore-tick", x: (box.left + box.right) / 2,
      y: box.bottom + 31, "text-anchor": "middle" }, "epoch"));
    return svg;
  }

  function line(box, values, look) {
    let path = "";
    let pen = "M"; // lifted where a value is missing
    values.forEach((v, k) => {
      if (v === null) { pen = "M"; return; }
      path += `${pen}${box.x(k).toFixed(1)} ${box.y(v).toFixed(1)}`;
      pen = "L";
    });
    return s("path", { ...ink(look), class: "explore-ink explore-line", d: path });
  }

  // The shares of the accuracy, one after the other; a tick at the equal share.
  function shares(width, where, method, time) {
    const group = s("g", {});
    let x = 0;
    const names = where.looks.filter((l) => method.share[l.name]);
    names.forEach((look) => {
      const share = method.share[look.name][time] || 0;
      const size = (width * share) / 100;
      group.append(s("rect", { ...ink(look), x, y: BAR.top, width: size, height: BAR.height }));
      if (size > 36) {
        group.append(number(look, x + size / 2, BAR.top + 18, `${share.toFixed(0)} %`));
      }
      x += size;
    });
    for (let k = 1; k < names.length; k++) {
      const at = (width * k) / names.length;
      group.append(s("line", { class: "explore-cursor", x1: at, x2: at, y1: BAR.top - 6,
        y2: BAR.top + BAR.height + 6 }));
    }
    return group;
  }

  const short = (name) => (name === "fused" ? "whole" : name);

  function words(where, method, time) {
    const list = (of) => where.looks.filter((l) => of[l.name])
      .map((l) => `${whole(l.name)} ${percent(of[l.name][time])}`).join(", ");
    return `${method.name}: accuracy ${list(method.accuracy)}; shares ${list(method.share)}.`;
  }

  part("epochs", (place, data) => {
    let where = data.comparisons[0];
    let time = where.epochs.length - 1;
    const chosen = [...data.start];
    const names = () => where.methods.map((m) => m.name);
    const pictures = h("div", { class: "explore-pair", role: "img" });
    const said = status();
    pictures.setAttribute("aria-labelledby", said.id);
    const key = h("div", {});
    const older = h("div", {});

    function draw() {
      const room = pictures.clientWidth;
      const width = Math.floor(room >= 560 ? (room - 24) / 2 : room);
      if (width < 100) return;
      const shown = chosen.map((n) => where.methods.find((m) => m.name === n));
      pictures.replaceChildren(...shown.map((m) => h("div", {},
        h("p", { class: "explore-title" }, m.name), panel(width, where, m, time))));
      said.textContent = `Epoch ${where.epochs[time]} of ${where.epochs.at(-1)}. ` +
        shown.map((m) => words(where, m, time)).join(" ");
    }

    function change(name) {
      where = data.comparisons.find((c) => c.name === name);
      time = where.epochs.length - 1;
      scrub.resize(where.epochs.length, time);
      menus.forEach((m, k) => { chosen[k] = m.offer(names(), data.start[k]); });
      around();
      draw();
    }

    function around() {
      key.replaceChildren(legend(where.looks, whole));
      older.replaceChildren(notes(where.notes));
    }

    const places = data.comparisons.map((c) => c.name);
    const comparison = menu("Data and fusion", places, where.name, change);
    const menus = ["Method", "Beside it"].map((label, k) =>
      menu(label, names(), chosen[k], (name) => { chosen[k] = name; draw(); }));
    const scrub = slider("Epoch", where.epochs.length, time, (k) => `${where.epochs[k]}`, (k) => {
      stop();
      time = k;
      draw();
    });

    // Playing moves the picture by itself; who asked for less motion moves on epoch by epoch.
    const still = window.matchMedia("(prefers-reduced-motion: reduce)");
    let timer = null;
    const play = h("button", { type: "button", class: "explore-button", onclick: press });
    function label() {
      play.textContent = still.matches ? "Next epoch" : timer ? "Pause" : "Play";
    }
    function forward() {
      time = time + 1 < where.epochs.length ? time + 1 : 0;
      scrub.set(time);
      draw();
      if (timer && time === where.epochs.length - 1) stop();
    }
    function stop() {
      clearInterval(timer);
      timer = null;
      said.setAttribute("aria-live", "polite");
      label();
    }
    function press() {
      if (still.matches) return forward();
      if (timer) return stop();
      said.setAttribute("aria-live", "off"); // a sentence per step would be too much
      timer = setInterval(forward, STEP);
      if (time === where.epochs.length - 1) forward();
      label();
    }
    still.addEventListener("change", stop);
    label();

    around();
    place.append(
      h("div", { class: "explore-controls" }, comparison.element, ...menus.map((m) => m.element)),
      h("div", { class: "explore-controls" }, play, scrub.element), key, pictures, said, older);
    watch(pictures, draw);
  });
})();
