// Table explorer: every method of a comparison, sorted by any column, with its intervals.
(function () {
  "use strict";
  const { part, h, s, menu, status, whole, notes } = window.Explore;

  const WIDTH = 120; // of the picture of an interval

  // Mean and interval on an axis from 0 to 100.
  function interval(cell) {
    const x = (v) => (Math.min(100, Math.max(0, v)) * (WIDTH - 12)) / 100 + 6;
    const svg = s("svg", { width: WIDTH, height: 18, "aria-hidden": "true" },
      s("line", { class: "explore-track-line", x1: 6, x2: WIDTH - 6, y1: 9, y2: 9 }));
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
      const first = text || !where.higher ? "ascending" : "descending";
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

    function line(row) {
      const shown = typeof by === "number" ? by : where.columns.indexOf("fused");
      const cells = row.cells.map((c, k) => h("td", {
        class: `${["", "explore-best", "explore-second"][c.rank]}${k === by ? " explore-by" : ""}`,
      }, c.text));
      if (where.paper) cells.push(h("td", {}, row.paper === null ? "—" : row.paper.toFixed(2)));
      return h("tr", { class: row.reference ? "explore-reference" : null },
        h("th", { scope: "row" }, row.name), h("td", {}, interval(row.cells[shown])), ...cells,
        h("td", {}, row.kind));
    }

    function draw() {
      const rows = ordered(where.rows, by, direction);
      const [first, ...others] = columns();
      const title = columns().find((c) => c.by === by).title;
      const drawn = typeof by === "number" ? title : "whole model";
      region.replaceChildren(h("table", {},
        h("thead", {}, h("tr", {}, head(first), h("th", { scope: "col" }, `${drawn}, 0–100 %`),
          ...others.map(head))),
        h("tbody", {}, ...rows.map(line))));
      region.setAttribute("aria-label", `All methods, ${where.name}`);
      said.textContent = `${where.name}, sorted by ${title}, ${direction}: first ` +
        `${rows.slice(0, 3).map((r) => r.name).join(", ")}; last ${rows.at(-1).name}.`;
    }

    function choose(name) {
      where = data.comparisons.find((c) => c.name === name);
      by = where.columns.indexOf("fused");
      direction = where.higher ? "descending" : "ascending";
      older.replaceChildren(notes(where.notes));
      draw();
    }

    const places = data.comparisons.map((c) => c.name);
    const comparison = menu("Data and fusion", places, where.name, choose);
    place.append(h("div", { class: "explore-controls" }, comparison.element), region, said, older);
    choose(where.name);
  });
})();
