"use strict";
// Every page is complete without this script; it adds a choice of theme and sorting of tables marked "sortable".
(() => {
  const root = document.documentElement;
  const stored = () => {
    try { return localStorage.getItem("rsuper-bench-theme"); } catch { return null; } // private windows refuse
  };
  const apply = (theme) => {
    if (theme === "light" || theme === "dark") root.dataset.theme = theme;
    else delete root.dataset.theme;
    for (const button of document.querySelectorAll(".theme button"))
      button.setAttribute("aria-pressed", String(button.value === (root.dataset.theme || "auto")));
  };
  for (const group of document.querySelectorAll(".theme")) {
    group.hidden = false;
    group.addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (!button) return;
      apply(button.value);
      try { localStorage.setItem("rsuper-bench-theme", button.value); } catch { /* then it lasts for this page */ }
    });
  }
  apply(stored());

  // The figure of a cell stands before its interval; what is undefined comes last either way.
  const numberOf = (cell) => parseFloat((cell.firstChild ? cell.firstChild.textContent : "").replace("<", ""));
  const textOf = (cell) => cell.textContent.trim().toLowerCase();
  for (const table of document.querySelectorAll("table.sortable")) {
    const body = table.tBodies[0];
    const rows = Array.from(body.rows);
    const headings = Array.from(table.tHead.rows[0].cells);
    const sort = (column, direction) => {
      const numeric = headings[column].classList.contains("n");
      const order = rows.map((row, index) => {
        const cell = row.cells[column];
        return { row, index, last: row.classList.contains("mean"), value: numeric ? numberOf(cell) : textOf(cell) };
      });
      order.sort((a, b) => {
        if (a.last !== b.last) return Number(a.last) - Number(b.last);
        const missing = Number(Number.isNaN(a.value)) - Number(Number.isNaN(b.value));
        if (missing) return missing;
        return (a.value < b.value ? -direction : Number(a.value > b.value) * direction) || a.index - b.index;
      });
      body.append(...order.map((item) => item.row));
      headings.forEach((heading, index) => {
        if (index === column) heading.setAttribute("aria-sort", direction > 0 ? "ascending" : "descending");
        else heading.removeAttribute("aria-sort");
      });
    };
    headings.forEach((heading, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...heading.childNodes);
      heading.replaceChildren(button);
      button.addEventListener("click", () => {
        const now = heading.getAttribute("aria-sort");
        const first = heading.classList.contains("n") ? -1 : 1; // figures start with the highest
        sort(column, now === null ? first : now === "ascending" ? -1 : 1);
      });
    });
  }
})();
