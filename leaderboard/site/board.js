"use strict";
// The page is complete without this script; it adds sorting, searching and the choice of a metric.
for (const section of document.querySelectorAll("section.board")) {
  const table = section.querySelector("table.rows");
  if (!table) continue;
  const body = table.tBodies[0];
  const rows = Array.from(body.rows);
  const headings = Array.from(table.tHead.rows[0].cells);
  const controls = section.querySelector(".controls");
  const search = controls.querySelector("input");
  const select = controls.querySelector("select");
  const count = controls.querySelector(".count");
  const texts = rows.map((row) => row.textContent.toLowerCase());

  // The figure of a cell stands before its interval.
  const figureOf = (cell) => parseFloat(cell.firstChild ? cell.firstChild.textContent : "");
  const nameOf = (cell) => cell.textContent.trim().toLowerCase();

  function sortBy(column, direction) {
    const numeric = headings[column].classList.contains("n");
    const order = rows.map((row, index) => {
      const cell = row.cells[column];
      return { row, index, value: numeric ? figureOf(cell) : nameOf(cell) };
    });
    order.sort((a, b) => {
      const missing = Number(Number.isNaN(a.value)) - Number(Number.isNaN(b.value));
      if (missing) return missing; // what is undefined comes last either way
      const difference = numeric ? a.value - b.value : a.value < b.value ? -1 : Number(a.value > b.value);
      return (Number.isNaN(difference) ? 0 : difference * direction) || a.index - b.index;
    });
    body.append(...order.map((item) => item.row));
    headings.forEach((heading, index) => {
      if (index === column) heading.setAttribute("aria-sort", direction > 0 ? "ascending" : "descending");
      else heading.removeAttribute("aria-sort");
    });
  }

  headings.forEach((heading, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = heading.textContent;
    heading.replaceChildren(button);
    button.addEventListener("click", () => {
      const now = heading.getAttribute("aria-sort");
      const best = column > 1 && heading.classList.contains("n") ? -1 : 1; // figures start with the highest
      sortBy(column, now === null ? best : now === "ascending" ? -1 : 1);
    });
  });

  function filter() {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    rows.forEach((row, index) => {
      row.hidden = !words.every((word) => texts[index].includes(word));
      shown += Number(!row.hidden);
    });
    count.textContent = words.length ? `${shown} of ${rows.length} entries` : `${rows.length} entries`;
  }
  search.addEventListener("input", filter);

  if (select) {
    const data = JSON.parse(section.querySelector("script.figures").textContent);
    const first = headings.findIndex((heading) => heading.classList.contains("mean"));
    const primary = select.value;
    const caption = table.caption.textContent;
    select.addEventListener("change", () => {
      const metric = select.value;
      rows.forEach((row, index) => {
        data.figures[metric][index].forEach(([figure, interval], offset) => {
          const cell = row.cells[first + offset];
          const bar = cell.querySelector("svg");
          const small = document.createElement("small");
          small.textContent = interval;
          cell.replaceChildren(figure, ...(interval ? [small] : []), ...(bar ? [bar] : []));
          if (bar) bar.classList.toggle("away", metric !== primary);
        });
      });
      const unit = data.units[metric] ? `, ${data.units[metric]}` : "";
      table.caption.textContent =
        metric === primary ? caption : `${select.selectedOptions[0].textContent}${unit} (ranks stay those of the primary metric)`;
      const sorted = headings.findIndex((heading) => heading.hasAttribute("aria-sort"));
      if (sorted >= first) sortBy(sorted, headings[sorted].getAttribute("aria-sort") === "ascending" ? 1 : -1);
    });
  }
  controls.hidden = false;
  filter();
}
