"use strict";
(() => {
  const root = document.documentElement;
  const byId = (id) => document.getElementById(id);
  const table = document.querySelector("table");
  const body = table && table.tBodies[0];
  const rows = body ? [...body.rows] : [];
  const headings = table ? [...table.tHead.rows[0].cells] : [];
  let parsed;
  const data = () => (parsed ??= JSON.parse(byId("data").textContent));

  // theme
  const theme = byId("theme");
  const system = matchMedia("(prefers-color-scheme: dark)");
  const dark = () => (root.dataset.theme ? root.dataset.theme === "dark" : system.matches);
  const label = () => { theme.textContent = dark() ? "Light" : "Dark"; };
  theme.addEventListener("click", () => { root.dataset.theme = dark() ? "light" : "dark"; label(); });
  system.addEventListener("change", label);
  theme.hidden = false;
  label();

  // sorting: numbers by their logarithm, so that 1.2e400 and inf keep their order; what is missing comes last
  const number = (text) => {
    const m = /^(?:[<>]= )?(inf|[\d.]+)(?:e(-?\d+))?$/.exec(text);
    if (!m) return null;
    return m[1] === "inf" ? Infinity : Math.log10(Number(m[1])) + Number(m[2] ?? 0);
  };
  const size = (text) => text.split("\u00d7").reduce((a, b) => a * Number(b), 1);
  const keys = (column) => {
    const kind = headings[column].className;
    return rows.map((row, order) => {
      const text = row.cells[column].textContent;
      const key = kind === "n" ? number(text) : kind === "shape" ? size(text) : text || null;
      return { row, order, key };
    });
  };
  const place = (list) => {
    const all = document.createDocumentFragment();
    for (const row of list) {
      all.append(row);
      if (row.sheet) all.append(row.sheet);
    }
    body.append(all);
  };
  const sortBy = (column, direction) => {
    headings.forEach((h, k) => h.setAttribute("aria-sort", k === column ? direction : "none"));
    if (direction === "none") return place(rows);
    const sign = direction === "ascending" ? 1 : -1;
    const compare = (a, b) => {
      if (a.key === null || b.key === null) return (a.key === null) - (b.key === null) || a.order - b.order;
      const less = typeof a.key === "string" ? a.key.localeCompare(b.key, "en", { numeric: true }) : a.key < b.key ? -1 : +(a.key > b.key);
      return sign * less || a.order - b.order;
    };
    place(keys(column).sort(compare).map((k) => k.row));
  };
  headings.forEach((heading, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...heading.childNodes);
    heading.append(button);
    heading.setAttribute("aria-sort", "none");
    const falling = heading.className === "n" || heading.className === "shape";
    const turns = falling ? ["descending", "ascending", "none"] : ["ascending", "descending", "none"];
    button.addEventListener("click", () => {
      const now = turns.indexOf(heading.getAttribute("aria-sort"));
      sortBy(column, turns[(now + 1) % 3]);
    });
  });

  // search and filters
  const filter = () => {
    const wanted = byId("search").value.toLowerCase();
    const role = byId("role").value;
    const found = byId("found").value;
    let shown = 0;
    for (const row of rows) {
      const tokens = (row.dataset.found ?? "").split(" ");
      const name = `${row.cells[0].title} ${row.cells[0].textContent}`.toLowerCase();
      const hit = name.includes(wanted) && (!role || row.cells[1].textContent === role)
        && (!found || (found === "*" ? row.dataset.found !== undefined : tokens.includes(found)));
      row.hidden = !hit;
      if (row.sheet) row.sheet.hidden = !hit;
      shown += hit;
    }
    byId("count").textContent = `${shown} of ${rows.length} rows`;
  };
  if (table) {
    const controls = byId("controls");
    controls.hidden = false;
    byId("how").hidden = false;
    controls.addEventListener("input", filter);
    controls.addEventListener("submit", (event) => event.preventDefault());
    filter();
  }

  // plots
  const sums = (differences) => {
    let sum = 0;
    return differences.map((d) => (sum += d));
  };
  const draw = (tag, attributes, text) => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    if (text !== undefined) element.textContent = text;
    return element;
  };
  const decimal = (log10) => {
    if (log10 > -4 && log10 < 5) return String(Number((10 ** log10).toPrecision(3)));
    const e = Math.floor(log10);
    return `${(10 ** (log10 - e)).toFixed(2)}e${e}`;
  };
  const ticks = (lo, hi) => {
    const out = [];
    const step = Math.floor((hi - lo) / 7) + 1;
    for (let e = Math.ceil(lo); e <= hi; e++) {
      if (e % step === 0) out.push([e, e > -4 && e < 5 ? String(Number((10 ** e).toPrecision(1))) : `1e${e}`]);
    }
    if (hi - lo < 2.5) {
      for (let e = Math.floor(lo); e <= hi; e++) {
        for (const digit of [2, 5]) {
          const at = e + Math.log10(digit);
          if (at > lo && at < hi) out.push([at, e > -4 && e < 5 ? String(Number((digit * 10 ** e).toPrecision(1))) : `${digit}e${e}`]);
        }
      }
    }
    return out;
  };
  const plot = (entry, name) => {
    const law = data().laws[entry.law];
    const at = sums(law.at);
    const sigma = sums(entry.sigma).map((s) => s / 1000);
    const random = entry.unit === undefined ? [] : sums(law.quantile).map((q) => (q + entry.unit) / 1000);
    const zeros = at.length - sigma.length;
    const [left, right, top, foot] = [58, 552, 14, 250];
    const svg = draw("svg", { viewBox: "0 0 560 300", class: "spectrum", role: "img", "aria-label": `Singular values of ${name}, ${law.n} of them, on a logarithmic axis` });
    const all = [...sigma, ...random];
    const least = Math.min(...all), most = Math.max(...all);
    const pad = Math.max(0.05 * (most - least), 0.5 * (0.5 - (most - least)), 0.03);
    const lo = least - pad, hi = most + pad;
    const x = (index) => left + 6 + (law.n > 1 ? (index - 1) / (law.n - 1) : 0.5) * (right - left - 12);
    const y = (log10) => foot - (log10 - lo) / (hi - lo) * (foot - top);
    for (const [log10, text] of ticks(lo, hi)) {
      svg.append(draw("path", { class: "grid", d: `M${left} ${y(log10)}H${right}` }));
      svg.append(draw("text", { class: "y", x: left - 6, y: y(log10) + 4 }, text));
    }
    svg.append(draw("path", { class: "frame", d: `M${left} ${top}H${right}V${foot}H${left}z` }));
    for (const index of law.n > 1 ? [1, law.n] : [1]) svg.append(draw("text", { class: "x", x: x(index), y: foot + 16 }, index));
    const note = zeros ? ` (${sigma.length ? "the last are" : "all are"} zero)` : "";
    svg.append(draw("text", { class: "x", x: (left + right) / 2, y: foot + 16 }, `index of the singular value${note}`));
    const path = (values) => values.map((v, k) => `${k ? "L" : "M"}${x(at[k]).toFixed(1)} ${y(v).toFixed(1)}`).join("");
    if (random.length) svg.append(draw("path", { class: "law", d: path(random) }));
    if (sigma.length) svg.append(draw("path", { class: "line", d: path(sigma) }));
    sigma.forEach((v, k) => {
      const dot = draw("circle", { class: "dot", cx: x(at[k]).toFixed(1), cy: y(v).toFixed(1), r: 2 });
      dot.append(draw("title", {}, `sigma_${at[k]} ${decimal(v)}${random.length ? `, random ${decimal(random[k])}` : ""}`));
      svg.append(dot);
    });
    svg.append(draw("path", { class: "line", d: `M${left} 288h24` }), draw("circle", { class: "dot", cx: left + 12, cy: 288, r: 2 }));
    svg.append(draw("text", { x: left + 30, y: 292 }, "this matrix"));
    svg.append(draw("path", { class: "law", d: `M${left + 120} 288h24` }));
    svg.append(draw("text", { x: left + 150, y: 292 }, "random matrix of its shape and norm (Marchenko and Pastur)"));
    return svg;
  };

  // details of a row, made when it is first opened
  const make = (row) => {
    const entry = data().rows[row.id.slice(1)];
    const sheet = document.createElement("tr");
    sheet.className = "detail";
    const cell = sheet.insertCell();
    cell.colSpan = headings.length;
    const inside = document.createElement("div");
    inside.className = "sheet";
    if (entry.sigma) {
      const figure = document.createElement("figure");
      figure.append(plot(entry, row.cells[0].textContent));
      inside.append(figure);
    }
    const list = document.createElement("dl");
    for (const [name, text] of entry.facts) {
      const term = document.createElement("dt");
      const value = document.createElement("dd");
      term.textContent = name;
      value.textContent = text;
      list.append(term, value);
    }
    inside.append(list);
    cell.append(inside);
    return sheet;
  };
  const toggle = (row, open) => {
    const button = row.cells[0].querySelector("button");
    if (open && !row.sheet) row.after((row.sheet = make(row)));
    if (!open && row.sheet) { row.sheet.remove(); row.sheet = undefined; }
    button.setAttribute("aria-expanded", String(open));
  };
  for (const row of rows) {
    const head = row.cells[0];
    const button = document.createElement("button");
    button.type = "button";
    button.setAttribute("aria-expanded", "false");
    button.append(...head.childNodes);
    head.append(button);
  }
  if (body) body.addEventListener("click", (event) => {
    const button = event.target.closest("th button");
    if (button) toggle(button.closest("tr"), button.getAttribute("aria-expanded") === "false");
  });

  // a link to a row shows it, whatever the filters say
  const follow = () => {
    const row = byId(location.hash.slice(1));
    if (!row || !rows.includes(row)) return;
    if (row.hidden) { byId("controls").reset(); filter(); }
    toggle(row, true);
    row.scrollIntoView({ block: "center" });
  };
  addEventListener("hashchange", follow);
  follow();
  root.dataset.ready = rows.length;

  // FILE.html#selftest exercises the page and leaves what it saw in an attribute of the root
  const selftest = () => {
    const expect = (holds, what) => { if (!holds) throw new Error(what); };
    const visible = () => [...body.rows].filter((r) => !r.hidden && r.className !== "detail");
    const column = headings.findIndex((h) => h.className === "n");
    const shown = (list) => list.map((r) => number(r.cells[column].textContent)).filter((v) => v !== null);
    const button = headings[column].querySelector("button");
    button.click();
    expect(headings[column].getAttribute("aria-sort") === "descending", "aria-sort");
    expect(shown([...body.rows]).every((v, k, all) => !k || all[k - 1] >= v), "descending order");
    button.click();
    expect(shown([...body.rows]).every((v, k, all) => !k || all[k - 1] <= v), "ascending order");
    button.click();
    expect([...body.rows].every((r, k) => r === rows[k]), "order of the file");
    const role = rows[0].cells[1].textContent;
    byId("role").value = role;
    byId("controls").dispatchEvent(new Event("input"));
    expect(visible().length > 0 && visible().every((r) => r.cells[1].textContent === role), "filter on role");
    byId("search").value = "no tensor has this name";
    byId("controls").dispatchEvent(new Event("input"));
    expect(visible().length === 0, "search");
    byId("controls").reset();
    filter();
    expect(visible().length === rows.length, "reset");
    const foreign = [...document.querySelectorAll("*")].filter((e) => /^(img|iframe|object|base)$/i.test(e.tagName) || e.getAttributeNames().some((n) => n.startsWith("on")));
    expect(foreign.length === 0, "markup from a name");
    let points = 0;
    for (const row of rows.slice(0, 50)) {
      row.cells[0].querySelector("button").click();
      expect(row.nextSibling === row.sheet, "details");
      const dots = row.sheet.querySelectorAll("circle.dot title").length;
      const wanted = data().rows[row.id.slice(1)].sigma;
      expect(dots === (wanted ? wanted.length : 0), "points");
      points += dots;
      row.cells[0].querySelector("button").click();
      expect(!row.sheet, "closing");
    }
    const before = dark();
    theme.click();
    expect(dark() !== before, "theme");
    theme.click();
    delete root.dataset.theme;
    return `ok rows=${rows.length} points=${points}`;
  };
  if (location.hash === "#selftest") {
    try {
      root.dataset.selftest = rows.length ? selftest() : "ok rows=0 points=0";
    } catch (error) {
      root.dataset.selftest = `failed: ${error.message}`;
    }
  }
})();
