// Sorting, paging, choosing columns and copying of tables, all with buttons, so that they work with a keyboard.
"use strict";
const tuneNer = {};

// such columns are first sorted with the best value on top
const HIGH_IS_GOOD = /\b(F1|recall|precision|accuracy)\b/;

// paper cannot be opened
window.addEventListener("beforeprint", () => document.querySelectorAll("details.folded").forEach((each) => { each.open = true; }));

/** Return an element with attributes and children; strings become text nodes, never markup. */
tuneNer.element = function (name, attributes, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) {
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (value !== null && value !== undefined && value !== false) element.setAttribute(key, value);
  }
  element.append(...children);
  return element;
};

/** Return buttons for pages of `size` items and a function `reset(count)`; `show(from, to)` is called for each page. */
tuneNer.pager = function (size, show, items) {
  let page = 0;
  let total = 0;
  const status = tuneNer.element("span", { role: "status" });
  const turn = (by) => () => { page += by; draw(); };
  const previous = tuneNer.element("button", { type: "button", onclick: turn(-1) }, "Previous");
  const next = tuneNer.element("button", { type: "button", onclick: turn(1) }, "Next");
  const bar = tuneNer.element("div", { class: "pager" }, previous, status, next);
  function draw() {
    const from = page * size;
    const to = Math.min(total, from + size);
    previous.disabled = page === 0;
    next.disabled = to >= total;
    status.textContent = total ? `${from + 1}–${to} of ${total.toLocaleString("en")} ${items}` : `no ${items}`;
    show(from, to);
  }
  return { bar, reset(count) { page = 0; total = count; bar.hidden = count === 0; draw(); } };
};

(function () {
  const PAGE = 50;
  const WIDE = 6;  // columns
  const COPY = "Copy as CSV";
  const NUMBER = /^[+−-]?[\d,]*\.?\d+(e[+-]?\d+)?/i;

  // a number, with what the tables add to it: ± deviation, (interval), a star
  const SIGNED = /^[+-][\d,]*\.?\d+(e-?\d+)?( ± [\d.]+)?( \([-+\d. to]+\))?\*?$/;

  function sortKey(row, column) {
    const text = row.cells[column].textContent.trim();
    const number = NUMBER.exec(text);
    return { text, number: number ? Number(number[0].replaceAll(",", "").replace("−", "-")) : null };
  }

  function compare(one, other) {
    if (one.number !== null && other.number !== null) return one.number - other.number;
    if ((one.number === null) !== (other.number === null)) return one.number === null ? 1 : -1;
    return one.text.localeCompare(other.text, "en", { numeric: true });
  }

  function addPager(table) {
    const body = table.tBodies[0];
    if (body.rows.length <= PAGE) return () => {};
    const pager = tuneNer.pager(PAGE, (from, to) => {
      [...body.rows].forEach((row, index) => { row.hidden = index < from || index >= to; });
    }, "rows");
    table.parentElement.after(pager.bar);
    return () => pager.reset(body.rows.length);
  }

  function addSorting(table, redraw) {
    const body = table.tBodies[0];
    const headings = [...table.tHead.rows[0].cells];
    headings.forEach((heading, column) => {
      const button = tuneNer.element("button", { type: "button", onclick: () => sort(column) });
      if (heading.title) button.setAttribute("aria-description", heading.title);
      button.append(...heading.childNodes);
      heading.append(button);
    });
    function sort(column) {
      const sorted = headings[column].getAttribute("aria-sort");
      const isDescending = sorted ? sorted === "ascending" : HIGH_IS_GOOD.test(headings[column].textContent);
      const entries = [...body.rows].map((row) => ({ row, key: sortKey(row, column) }));
      entries.sort((one, other) => (isDescending ? -1 : 1) * compare(one.key, other.key));
      body.append(...entries.map((entry) => entry.row));
      headings.forEach((heading) => heading.removeAttribute("aria-sort"));
      headings[column].setAttribute("aria-sort", isDescending ? "descending" : "ascending");
      redraw();
    }
  }

  /** Return the shown columns as CSV, in the present order of the rows; an apostrophe precedes formulas. */
  function csv(table) {
    const cell = (each) => {
      const shown = each.textContent.trim().replace(/−(?=[\d.])/g, "-");
      const text = /^[=+@-]/.test(shown) && !SIGNED.test(shown) ? `'${shown}` : shown;
      return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
    };
    const line = (row) => [...row.cells].filter((each) => !each.hidden).map(cell).join(",");
    return [table.tHead.rows[0], ...table.tBodies[0].rows].map(line).join("\n") + "\n";
  }

  async function copy(table, button) {
    const text = csv(table);
    try {
      await navigator.clipboard.writeText(text);
    } catch {  // no permission, or a browser that has no clipboard for files
      const area = tuneNer.element("textarea", {}, text);
      button.after(area);
      area.select();
      const isCopied = document.execCommand("copy");
      area.remove();
      button.focus();
      if (!isCopied) return;
    }
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = COPY; }, 1500);
  }

  /** Return checkboxes that hide the columns of a table. */
  function chooser(table) {
    const rows = [table.tHead.rows[0], ...table.tBodies[0].rows];
    const boxes = [...table.tHead.rows[0].cells].map((heading, column) => {
      const box = tuneNer.element("input", { type: "checkbox", checked: "" });
      box.addEventListener("change", () => rows.forEach((row) => { row.cells[column].hidden = !box.checked; }));
      return tuneNer.element("label", { class: "check" }, box, ` ${heading.textContent.trim()}`);
    });
    return tuneNer.element("details", {}, tuneNer.element("summary", {}, "Columns"), ...boxes);
  }

  function addTools(table) {
    const name = table.caption?.textContent ?? "table";
    const button = tuneNer.element("button", { type: "button", "aria-live": "polite", onclick: () => copy(table, button) }, COPY);
    button.setAttribute("aria-description", name);
    const isWide = table.tHead.rows[0].cells.length >= WIDE;
    table.parentElement.after(tuneNer.element("div", { class: "tools" }, button, ...(isWide ? [chooser(table)] : [])));
  }

  for (const table of document.querySelectorAll("table.sheet")) {
    if (table.tBodies[0].rows.length > 1) addTools(table);
    const redraw = addPager(table);
    // a row with an empty first cell belongs to the row above it, so such tables are not sorted
    const isSortable = [...table.tBodies[0].rows].every((row) => row.cells[0].textContent.trim());
    if (isSortable && table.tBodies[0].rows.length > 1) addSorting(table, redraw);
    redraw();
  }
})();
