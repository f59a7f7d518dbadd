// Two entries side by side.
const LINES = ["one", "two"];

function comparison(board, rows) {
  if (rows.length < 2) {
    const hint = rows.length ? `${rows[0][METHOD]} is chosen; choose a second entry.` : "Choose two entries in the table to see them side by side.";
    return [element("p", { class: "hint" }, hint)];
  }
  const made = [element("h3", {}, "Side by side"), element("p", { class: "verdict" }, ...verdict(board, rows))];
  const key = (line) => drawn("svg", { class: "key", viewBox: "0 0 24 6", "aria-hidden": "true" }, drawn("path", { class: `roc c${line + 1}`, d: "M0 3H24" }));
  const legend = rows.map((row, line) => element("span", { class: "entry" }, key(line), element("bdi", {}, row[METHOD])));
  made.push(element("p", { class: "legend" }, ...legend));
  made.push(typesTable(board, rows));
  if (board.data.metrics.length > 1) made.push(metricsTable(board, rows));
  const curves = board.columns().slice(1).map(([name, index]) => rocPanel(board, rows, name, board.data.names[index][1])).filter(Boolean);
  if (curves.length) made.push(element("div", { class: "curves" }, ...curves));
  return made;
}

// Which of two ranked entries is clearly better on the primary metric: bits of the matrix, a row padded to bytes.
function clearlyBetter(board, first, second) {
  const ranked = board.rows.filter((row) => row[RANK]).length;
  if (!board.bits) board.bits = Uint8Array.from(atob(board.data.better), (character) => character.charCodeAt(0));
  const width = Math.ceil(ranked / 8);
  return (board.bits[first * width + (second >> 3)] >> (7 - (second & 7))) & 1;
}

function verdict(board, rows) {
  const name = (row) => element("bdi", {}, row[METHOD]);
  if (rows.some((row) => !row[RANK])) return ["One of the two is not ranked, so the difference is not judged."];
  if (board.data.better === undefined) return ["The differences of this many entries are not on this page; their rank intervals are above."];
  const [a, b] = rows.map((row) => board.index.get(row[KEY]));
  const judged = `on the primary metric (${board.data.level} % interval of the paired difference over the same patients).`;
  if (clearlyBetter(board, a, b)) return [name(rows[0]), " is clearly better than ", name(rows[1]), ` ${judged}`];
  if (clearlyBetter(board, b, a)) return [name(rows[1]), " is clearly better than ", name(rows[0]), ` ${judged}`];
  return [name(rows[0]), " and ", name(rows[1]), ` cannot be told apart ${judged}`];
}

function comparedRow(label, figures, unit) {
  const cells = figures.map((figure) => {
    const cell = element("td", { class: "n" }, figureText(valueOf(figure), unit));
    const interval = intervalText(figure, unit);
    if (interval) cell.append(element("small", {}, interval));
    return cell;
  });
  const [a, b] = figures.map(valueOf);
  const known = a !== null && b !== null;
  const sign = known && a > b ? "+" : known && a < b ? "−" : "";
  const difference = known ? sign + figureText(Math.abs(a - b), unit) : "–";
  const picture = element("td", { class: "pair" }, whisker(figures, LINES));
  return element("tr", {}, element("th", { scope: "row" }, label), ...cells, element("td", { class: "n" }, difference), picture);
}

function comparedTable(rows, first, caption, body) {
  const heads = rows.map((row) => element("th", { scope: "col", class: "n" }, element("bdi", {}, row[METHOD])));
  const head = element("tr", {}, element("th", { scope: "col" }, first), ...heads, element("th", { scope: "col", class: "n" }, "Difference"), element("th", { scope: "col", class: "pair" }, "0 to 100 %"));
  const table = element("table", { class: "plain" }, element("caption", {}, caption), element("thead", {}, head), element("tbody", {}, ...body));
  return element("div", { class: "scroll", role: "region", tabindex: "0", "aria-label": caption }, table);
}

function typesTable(board, rows) {
  const metric = board.metric();
  const [, label, unit] = board.data.metrics[metric];
  const body = board.columns().map(([, column]) =>
    comparedRow(board.data.names[column][1], rows.map((row) => row[FIGURES][metric][column]), unit),
  );
  return comparedTable(rows, "Tumor type", `${label}${unit ? `, ${unit}` : ""}, by tumor type`, body);
}

function metricsTable(board, rows) {
  const body = board.data.metrics.map(([, label, unit], metric) =>
    comparedRow(`${label}${unit ? `, ${unit}` : ""}`, rows.map((row) => row[FIGURES][metric][0]), unit),
  );
  return comparedTable(rows, "Metric", "Every metric, mean over the tumor types", body);
}

function rocPanel(board, rows, name, label) {
  if (rows.some((row) => !row[ROC] || !row[ROC][name])) return null;
  const line = (points) => {
    const [negatives, positives] = points.slice(-2).map((n) => n || 1);
    const corners = [];
    for (let i = 0; i < points.length; i += 2) corners.push(`${((100 * points[i]) / negatives).toFixed(1)},${(100 - (100 * points[i + 1]) / positives).toFixed(1)}`);
    return corners.join(" ");
  };
  const box = drawn("svg", { viewBox: "-3 -4 107 108", role: "img", "aria-label": `ROC curves of both on ${label}` });
  for (const [kind, d] of [["frame", "M0 0V100H100"], ["grid", "M0 50H100M50 0V100"], ["spec", "M10 0V100"], ["chance", "M0 100L100 0"]])
    box.append(drawn("path", { class: kind, d }));
  rows.forEach((row, index) => box.append(drawn("polyline", { class: `roc c${index + 1}`, points: line(row[ROC][name]) })));
  const reader = board.data.readers && board.data.readers[name];
  if (reader) box.append(drawn("path", { class: "reader", d: `M${reader[0]} ${reader[1]}m0 -3.5l3.5 3.5l-3.5 3.5l-3.5 -3.5z` }));
  return element("figure", {}, element("figcaption", {}, label), box);
}

const boards = new Map();
for (const section of document.querySelectorAll("section.board")) {
  const board = new Board(section);
  boards.set(board.data.key, board);
}

function followAddress() {
  const params = new URLSearchParams(location.hash.slice(1));
  const board = boards.get(params.get("g"));
  if (!board) return;
  board.apply(params);
  board.section.scrollIntoView();
}
addEventListener("hashchange", followAddress);
followAddress();
