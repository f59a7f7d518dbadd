// The page is complete without this script; it adds sorting, searching, the choice of figures, comparing two entries,
// and an address for every view. Names only ever become text nodes.
const PAGE = 100;
const [KEY, METHOD, TEAM, RANK, MARKS, DATA, FIGURES, ROC] = [0, 1, 2, 3, 4, 5, 6, 7];
const SVG = "http://www.w3.org/2000/svg";

function element(tag, attributes, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

function drawn(tag, attributes, ...children) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes || {})) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

// Figures are thousandths of a share, as they are printed: 712 is 71.2 or 0.712.
function figureText(thousandths, unit) {
  if (thousandths === null) return "–";
  return unit === "%" ? (thousandths / 10).toFixed(1) : (thousandths / 1000).toFixed(3);
}
const valueOf = (figure) => (Array.isArray(figure) ? figure[0] : figure);
const intervalText = (figure, unit) =>
  Array.isArray(figure) ? `${figureText(figure[1], unit)}–${figureText(figure[2], unit)}` : "";

class Board {
  constructor(section) {
    this.section = section;
    this.data = JSON.parse(section.querySelector("script.data").textContent);
    this.table = section.querySelector("table.rows");
    this.form = section.querySelector("form.controls");
    this.pager = section.querySelector(".pager");
    this.panel = section.querySelector(".compare");
    this.rows = this.data.rows;
    this.index = new Map(this.rows.map((row, index) => [row[KEY], index]));
    this.texts = this.rows.map((row) =>
      [row[METHOD], row[TEAM], ...row[DATA].map((n) => this.data.data[n]), ...row[MARKS].map((n) => this.data.marks[n][0])]
        .join(" ")
        .toLowerCase(),
    );
    this.caption = this.table.caption.textContent;
    this.made = new Map();
    this.fillControls();
    this.form.hidden = this.panel.hidden = false;
    this.listen();
    this.apply(new URLSearchParams());
  }

  initial() {
    return { q: "", metric: this.data.metrics[0][0], show: "", types: null, sort: "rank", down: false, page: 1, compare: [] };
  }

  // Only what differs from the start stands in the address.
  toParams() {
    const { state } = this;
    const first = this.initial();
    const params = new URLSearchParams({ g: this.data.key });
    if (state.q) params.set("q", state.q);
    if (state.metric !== first.metric) params.set("metric", state.metric);
    if (state.show) params.set("show", state.show);
    if (state.types) params.set("types", [...state.types].join(","));
    if (state.sort !== "rank" || state.down) params.set("sort", `${state.sort}.${state.down ? "desc" : "asc"}`);
    if (state.page > 1) params.set("page", state.page);
    if (state.compare.length) params.set("compare", state.compare.join(","));
    return params;
  }

  // What an address asks for and this board does not have is left out.
  apply(params) {
    const state = this.initial();
    const types = this.data.names.slice(1).map(([name]) => name);
    state.q = (params.get("q") || "").slice(0, 200);
    if (this.data.metrics.some(([name]) => name === params.get("metric"))) state.metric = params.get("metric");
    if (this.data.marks.some(([mark]) => mark === params.get("show"))) state.show = params.get("show");
    const wanted = (params.get("types") || "").split(",").filter((name) => types.includes(name));
    if (wanted.length && wanted.length < types.length) state.types = new Set(types.filter((name) => wanted.includes(name)));
    const [sort, direction] = (params.get("sort") || "").split(".");
    if (["rank", "method", ...this.data.names.map(([name]) => name)].includes(sort)) {
      state.sort = sort;
      state.down = direction === "desc";
    }
    state.page = Math.max(1, parseInt(params.get("page"), 10) || 1);
    const chosen = (params.get("compare") || "").split(",").filter((key) => this.index.has(key));
    state.compare = [...new Set(chosen)].slice(0, 2);
    this.state = state;
    this.form.elements.q.value = state.q;
    this.form.elements.metric.value = state.metric;
    this.form.elements.show.value = state.show;
    for (const box of this.form.querySelectorAll(".types input")) box.checked = !state.types || state.types.has(box.value);
    this.made.clear();
    this.render();
  }

  fillControls() {
    const { metric, show } = this.form.elements;
    metric.append(...this.data.metrics.map(([name, label]) => element("option", { value: name }, label)));
    show.append(...this.data.marks.map(([mark]) => element("option", { value: mark }, `only ${mark}`)));
    const types = this.form.querySelector(".types");
    for (const [name, label] of this.data.names.slice(1))
      types.append(element("label", {}, element("input", { type: "checkbox", value: name, checked: "" }), ` ${label}`));
    types.hidden = this.data.names.length < 3;
    show.closest("label").hidden = this.data.marks.length < 2;
    metric.closest("label").hidden = this.data.metrics.length < 2;
  }

  listen() {
    const { form } = this;
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("reset", (event) => {
      event.preventDefault();
      this.apply(new URLSearchParams());
      this.remember();
    });
    form.elements.q.addEventListener("input", () => this.change({ q: form.elements.q.value.trim(), page: 1 }));
    form.elements.show.addEventListener("change", () => this.change({ show: form.elements.show.value, page: 1 }));
    form.elements.metric.addEventListener("change", () => {
      this.made.clear();
      this.change({ metric: form.elements.metric.value });
    });
    form.querySelector(".types").addEventListener("change", (event) => {
      const boxes = Array.from(form.querySelectorAll(".types input"));
      const chosen = boxes.filter((box) => box.checked).map((box) => box.value);
      if (!chosen.length) {
        event.target.checked = true; // a table without figures says nothing
        return;
      }
      this.made.clear();
      const all = chosen.length === boxes.length;
      const sort = ["rank", "method", "mean", ...chosen].includes(this.state.sort) ? {} : { sort: "rank", down: false };
      this.change({ types: all ? null : new Set(chosen), ...sort });
    });
    this.pager.addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (button) this.change({ page: this.state.page + Number(button.value) });
    });
    this.table.addEventListener("change", (event) => {
      if (event.target.matches(".pick input")) this.pick(event.target.value, event.target.checked);
    });
    this.table.addEventListener("click", (event) => {
      const button = event.target.closest("th button");
      if (button) this.sortBy(button.value);
    });
  }

  change(changes) {
    Object.assign(this.state, changes);
    this.render();
    this.remember();
  }

  remember() {
    const params = this.toParams();
    history.replaceState(null, "", [...params].length > 1 ? `#${params}` : `#${this.data.key}`);
  }

  sortBy(column) {
    const { sort, down } = this.state;
    const best = !["rank", "method"].includes(column); // figures start with the highest
    this.change({ sort: column, down: sort === column ? !down : best, page: 1 });
    this.table.querySelector(`th button[value="${CSS.escape(column)}"]`).focus();
  }

  // A third choice takes the place of the older of two.
  pick(key, chosen) {
    const others = this.state.compare.filter((other) => other !== key);
    this.state.compare = chosen ? [...others, key].slice(-2) : others;
    for (const box of this.table.querySelectorAll(".pick input")) box.checked = this.state.compare.includes(box.value);
    this.showComparison();
    this.remember();
  }

  columns() {
    const { types } = this.state;
    return this.data.names.map(([name], index) => [name, index]).filter(([name, index]) => !index || !types || types.has(name));
  }

  metric() {
    return this.data.metrics.findIndex(([name]) => name === this.state.metric);
  }

  matching() {
    const words = this.state.q.toLowerCase().split(/\s+/).filter(Boolean);
    const { show } = this.state;
    return this.rows
      .map((row, index) => index)
      .filter((index) => words.every((word) => this.texts[index].includes(word)))
      .filter((index) => !show || this.rows[index][MARKS].some((n) => this.data.marks[n][0] === show));
  }

  sorted(found) {
    const { sort, down } = this.state;
    const metric = this.metric();
    const column = this.data.names.findIndex(([name]) => name === sort);
    const keyOf = (row) => {
      if (sort === "method") return row[METHOD].toLowerCase();
      if (sort === "rank") return row[RANK] ? row[RANK][0] : null;
      return valueOf(row[FIGURES][metric][column]);
    };
    const keyed = found.map((index) => [keyOf(this.rows[index]), index]);
    keyed.sort(([a, i], [b, j]) => {
      if ((a === null) !== (b === null)) return a === null ? 1 : -1; // what is undefined comes last either way
      return (a < b ? -1 : Number(a > b)) * (down ? -1 : 1) || i - j;
    });
    return keyed.map(([, index]) => index);
  }

  render() {
    const found = this.sorted(this.matching());
    const pages = Math.max(1, Math.ceil(found.length / PAGE));
    this.state.page = Math.min(this.state.page, pages);
    const start = (this.state.page - 1) * PAGE;
    const shown = found.slice(start, start + PAGE);
    this.renderHead();
    this.table.tBodies[0].replaceChildren(...shown.map((index) => this.rowOf(index)));
    const all = this.rows.length;
    this.form.querySelector(".count").textContent = found.length < all ? `${found.length} of ${all} entries` : `${all} entries`;
    this.pager.hidden = pages === 1;
    this.pager.querySelector("span").textContent = `${start + 1}–${start + shown.length} of ${found.length}`;
    this.pager.querySelector("[value='-1']").disabled = this.state.page === 1;
    this.pager.querySelector("[value='1']").disabled = this.state.page === pages;
    this.showComparison();
  }

  renderHead() {
    const { sort, down, metric } = this.state;
    const [name, label, unit] = this.data.metrics[this.metric()];
    const heading = (key, text, kind) => {
      const cell = element("th", { scope: "col", class: kind }, element("button", { type: "button", value: key }, text));
      if (key === sort) cell.setAttribute("aria-sort", down ? "descending" : "ascending");
      return cell;
    };
    const figures = this.columns().map(([key, index]) => heading(key, this.data.names[index][1], index ? "n" : "n mean"));
    const last = this.section.querySelector("thead th.data") ? [element("th", { scope: "col", class: "data" }, "Trained on")] : [];
    this.table.tHead.rows[0].replaceChildren(
      element("th", { scope: "col", class: "pick" }, "Compare"),
      heading("rank", "Rank", "n"),
      heading("method", "Method", "m"),
      ...figures,
      ...last,
    );
    const primary = name === this.data.metrics[0][0];
    this.table.caption.textContent = primary
      ? this.caption
      : `${label}${unit ? `, ${unit}` : ""} (ranks stay those of the primary metric)`;
    this.table.dataset.metric = metric;
  }

  rowOf(index) {
    if (!this.made.has(index)) this.made.set(index, this.makeRow(this.rows[index]));
    const row = this.made.get(index);
    row.querySelector(".pick input").checked = this.state.compare.includes(this.rows[index][KEY]);
    return row;
  }

  makeRow(row) {
    const metric = this.metric();
    const unit = this.data.metrics[metric][2];
    const box = element("input", { type: "checkbox", value: row[KEY], "aria-label": `Compare ${row[METHOD]} of ${row[TEAM]}` });
    const rank = element("td", { class: "rank" }, row[RANK] ? String(row[RANK][0]) : "–");
    if (row[RANK] && row[RANK][0] !== row[RANK][1]) rank.append(element("small", {}, `${row[RANK][0]}–${row[RANK][1]}`));
    const cells = this.columns().map(([, column]) => {
      const figure = row[FIGURES][metric][column];
      const cell = element("td", column ? {} : { class: "mean" }, figureText(valueOf(figure), unit));
      const interval = intervalText(figure, unit);
      if (interval) cell.append(element("small", {}, interval));
      if (!column && valueOf(figure) !== null) cell.append(whisker([figure], ["at"]));
      return cell;
    });
    const made = element("tr", {}, element("td", { class: "pick" }, box), rank, this.nameCell(row), ...cells);
    if (this.section.querySelector("thead th.data")) made.append(this.dataCell(row));
    return made;
  }

  nameCell(row) {
    const link = element("a", { href: this.pageOf(row) }, element("bdi", {}, row[METHOD]));
    const cell = element("th", { scope: "row", class: "m" }, link, element("small", {}, element("bdi", {}, row[TEAM])));
    for (const n of row[MARKS]) {
      const [mark, meaning] = this.data.marks[n];
      cell.append(element("span", { class: `mark ${mark}`, title: meaning }, mark));
    }
    return cell;
  }

  pageOf(row) {
    return `entries/${row[KEY]}__${this.data.task}.html`;
  }

  dataCell(row) {
    const cell = element("td", { class: "data" });
    if (!row[DATA].length) cell.append(element("i", {}, "not declared"));
    row[DATA].slice(0, 3).forEach((n, position) => {
      const text = this.data.data[n];
      cell.append(position ? "; " : "", element("bdi", {}, text.length > 60 ? `${text.slice(0, 57)}…` : text));
    });
    if (row[DATA].length > 3) cell.append(" …");
    return cell;
  }

  showComparison() {
    this.panel.replaceChildren(...comparison(this, this.state.compare.map((key) => this.rows[this.index.get(key)])));
  }
}

// One line a figure on a common axis from 0 to 1: its interval and its value.
function whisker(figures, kinds) {
  const box = drawn("svg", { class: "whisker", viewBox: `0 0 100 ${10 * figures.length}`, preserveAspectRatio: "none", "aria-hidden": "true" });
  figures.forEach((figure, line) => {
    const y = 10 * line + 5;
    box.append(drawn("path", { class: "rail", d: `M0 ${y}H100` }));
    if (Array.isArray(figure)) box.append(drawn("path", { class: `ci ${kinds[line]}`, d: `M${figure[1] / 10} ${y}H${figure[2] / 10}` }));
    if (valueOf(figure) !== null) box.append(drawn("path", { class: kinds[line], d: `M${valueOf(figure) / 10} ${y - 5}V${y + 5}` }));
  });
  return box;
}
