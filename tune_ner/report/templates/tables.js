// Tables that sort and turn pages; both are buttons, so that a keyboard reaches them.
"use strict";
const tuneNer = {};

/** An element with attributes and children; texts become text nodes, never markup. */
tuneNer.element = function (name, attributes, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (value !== null && value !== undefined && value !== false) made.setAttribute(key, value);
  }
  made.append(...children);
  return made;
};

/** Buttons that turn pages of `size`; `show(from, to)` is called for each page. Returns the element and `reset`. */
tuneNer.pager = function (size, show, what) {
  let page = 0;
  let total = 0;
  const told = tuneNer.element("span", { role: "status" });
  const turn = (by) => () => { page += by; draw(); };
  const back = tuneNer.element("button", { type: "button", onclick: turn(-1) }, "Previous");
  const on = tuneNer.element("button", { type: "button", onclick: turn(1) }, "Next");
  const bar = tuneNer.element("div", { class: "pager" }, back, told, on);
  function draw() {
    const from = page * size;
    const to = Math.min(total, from + size);
    back.disabled = page === 0;
    on.disabled = to >= total;
    told.textContent = total ? `${from + 1}–${to} of ${total.toLocaleString("en")} ${what}` : `no ${what}`;
    show(from, to);
  }
  return { bar, reset(count) { page = 0; total = count; bar.hidden = count === 0; draw(); } };
};

(function () {
  const PAGE = 50;
  const NUMBER = /^[+−-]?[\d,]*\.?\d+(e[+-]?\d+)?/i;

  function key(row, place) {
    const text = row.cells[place].textContent.trim();
    const number = NUMBER.exec(text);
    return { text, number: number ? Number(number[0].replaceAll(",", "").replace("−", "-")) : null };
  }

  function compare(one, other) {
    if (one.number !== null && other.number !== null) return one.number - other.number;
    if ((one.number === null) !== (other.number === null)) return one.number === null ? 1 : -1;
    return one.text.localeCompare(other.text, "en", { numeric: true });
  }

  function paged(table) {
    const body = table.tBodies[0];
    if (body.rows.length <= PAGE) return () => {};
    const pager = tuneNer.pager(PAGE, (from, to) => {
      [...body.rows].forEach((row, place) => { row.hidden = place < from || place >= to; });
    }, "rows");
    table.parentElement.after(pager.bar);
    return () => pager.reset(body.rows.length);
  }

  function sortable(table, drawn) {
    const body = table.tBodies[0];
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, place) => {
      const button = tuneNer.element("button", { type: "button", onclick: () => sort(place) });
      button.append(...head.childNodes);
      head.append(button);
    });
    function sort(place) {
      const falling = heads[place].getAttribute("aria-sort") === "ascending";
      const order = [...body.rows].map((row) => ({ row, key: key(row, place) }));
      order.sort((one, other) => (falling ? -1 : 1) * compare(one.key, other.key));
      body.append(...order.map((entry) => entry.row));
      heads.forEach((head) => head.removeAttribute("aria-sort"));
      heads[place].setAttribute("aria-sort", falling ? "descending" : "ascending");
      drawn();
    }
  }

  for (const table of document.querySelectorAll("table.sheet")) {
    const drawn = paged(table);
    // a row that leaves its first cell empty belongs to the one above it
    const single = [...table.tBodies[0].rows].every((row) => row.cells[0].textContent.trim());
    if (single && table.tBodies[0].rows.length > 1) sortable(table, drawn);
    drawn();
  }
})();
