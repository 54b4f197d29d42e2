// Table explorer: every method of a comparison, sorted by any column, with its intervals.
(function () {
  "use strict";
  const { part, h, s, menu, status, watch, whole, notes } = window.Explore;

  const STEP = 5; // percent; the axis begins and ends at a multiple

  // The axis that holds all intervals of a column, cut at 0 and 100.
  function axis(rows, column) {
    const cells = rows.map((r) => r.cells[column]).filter((c) => c.mean !== null);
    const low = Math.min(...cells.map((c) => c.mean - (c.half || 0)));
    const high = Math.max(...cells.map((c) => c.mean + (c.half || 0)));
    const [first, last] = [STEP * Math.floor(low / STEP), STEP * Math.ceil(high / STEP)];
    return [Math.max(0, first), Math.min(100, last)];
  }

  // Mean and interval on that axis.
  function interval(cell, [low, high], width) {
    const inside = (v) => Math.min(high, Math.max(low, v));
    const x = (v) => ((inside(v) - low) * (width - 12)) / (high - low) + 6;
    const svg = s("svg", { width, height: 18, "aria-hidden": "true" },
      s("line", { class: "explore-track-line", x1: 6, x2: width - 6, y1: 9, y2: 9 }));
    if (cell.mean === null) return svg;
    if (cell.half !== null) {
      svg.append(s("line", { class: "explore-ink explore-line", y1: 9, y2: 9,
        x1: x(cell.mean - cell.half), x2: x(cell.mean + cell.half) }));
    }
    svg.append(s("circle", { class: "explore-ink", cx: x(cell.mean), cy: 9, r: 3.5 }));
    return svg;
  }

  // What a row is sorted by: a column of values by its number, or the words of a text.
  function value(row, by) {
    if (typeof by === "number") return row.cells[by].mean;
    return row[by];
  }

  // Missing values stay at the end in both directions.
  function ordered(rows, by, direction) {
    const side = direction === "ascending" ? 1 : -1;
    return [...rows].sort((a, b) => {
      const [x, y] = [value(a, by), value(b, by)];
      if (x === null || y === null) return (x === null) - (y === null);
      return side * (typeof x === "string" ? x.localeCompare(y) : x - y);
    });
  }

  part("table", (place, data) => {
    let where = data.comparisons[0];
    let by = where.columns.indexOf("fused");
    let direction = "descending";
    const said = status();
    const region = h("div", { class: "explore-scroll explore-tall", tabindex: 0, role: "region" });
    const older = h("div", {});

    const columns = () => [
      { by: "name", title: "method" },
      ...where.columns.map((title, k) => ({ by: k, title: whole(title) })),
      ...(where.paper ? [{ by: "paper", title: where.paper }] : []),
      { by: "kind", title: "changes" },
    ];

    // A column that is pressed again turns round; numbers begin with the best.
    function sort(column) {
      const text = column.by === "name" || column.by === "kind";
      const first = text ? "ascending" : "descending";
      const turned = direction === "ascending" ? "descending" : "ascending";
      direction = by === column.by ? turned : first;
      by = column.by;
      draw();
      region.querySelector("th[aria-sort] button").focus(); // the old button is gone
    }

    function head(column) {
      const sorted = column.by === by;
      const arrow = sorted ? (direction === "ascending" ? " ▲" : " ▼") : "";
      return h("th", { scope: "col", "aria-sort": sorted ? direction : null },
        h("button", { type: "button", onclick: () => sort(column) }, column.title,
          h("span", { "aria-hidden": "true" }, arrow)));
    }

    const pictured = () => (typeof by === "number" ? by : where.columns.indexOf("fused"));

    function line(row, range, width) {
      const cells = row.cells.map((c, k) => h("td", {
        class: `${["", "explore-best", "explore-second"][c.rank]}${k === by ? " explore-by" : ""}`,
      }, c.text));
      if (where.paper) cells.push(h("td", {}, row.paper === null ? "—" : row.paper.toFixed(2)));
      return h("tr", { class: row.reference ? "explore-reference" : null },
        h("th", { scope: "row" }, row.name),
        h("td", {}, interval(row.cells[pictured()], range, width)),
        ...cells, h("td", {}, row.kind));
    }

    function draw() {
      const rows = ordered(where.rows, by, direction);
      const [first, ...others] = columns();
      const title = columns().find((c) => c.by === by).title;
      const range = axis(rows, pictured());
      const width = region.clientWidth < 480 ? 80 : 140;
      const drawn = `${whole(where.columns[pictured()])}, ${range.join("–")}\u00a0%`;
      region.replaceChildren(h("table", {},
        h("thead", {}, h("tr", {}, head(first),
          h("th", { scope: "col", class: "explore-wrap" }, drawn), ...others.map(head))),
        h("tbody", {}, ...rows.map((row) => line(row, range, width)))));
      region.setAttribute("aria-label", `All methods, ${where.name}`);
      said.textContent = `${where.name}, sorted by ${title}, ${direction}: first ` +
        `${rows.slice(0, 3).map((r) => r.name).join(", ")}; last ${rows.at(-1).name}.`;
    }

    function choose(name) {
      where = data.comparisons.find((c) => c.name === name);
      by = where.columns.indexOf("fused");
      direction = "descending";
      older.replaceChildren(notes(where.notes));
      draw();
    }

    const places = data.comparisons.map((c) => c.name);
    const comparison = menu("Data and fusion", places, where.name, choose);
    place.append(h("div", { class: "explore-controls" }, comparison.element), region, said, older);
    choose(where.name);
    watch(place, draw);
  });
})();
