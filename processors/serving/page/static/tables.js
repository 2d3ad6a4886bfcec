// Sections and tables that more than one view has.

import { el, keyed, say } from "./dom.js";

/** A part of a view under the heading that names it. */
export function section(title, ...content) {
  const id = `section-${title.toLowerCase().replaceAll(" ", "-")}`;
  return el("section", { "aria-labelledby": id }, el("h2", { id, text: title }), ...content);
}

/** A table whose rows are kept while their names stay. Roles are said: on a phone its rows are laid out as blocks. */
export function table(caption, columns) {
  const body = el("tbody", { role: "rowgroup" });
  const heads = columns.map((column) => el("th", { scope: "col", role: "columnheader", class: column.number ? "number" : null, text: column.title }));
  const root = el(
    "table",
    { role: "table" },
    el("caption", { text: caption }),
    el("thead", { role: "rowgroup" }, el("tr", { role: "row" }, ...heads)),
    body,
  );
  const create = () =>
    el("tr", { role: "row" }, ...columns.map((column, place) =>
      place === 0
        ? el("th", { scope: "row", role: "rowheader" })
        : el("td", { role: "cell", class: column.number ? "number" : null, "data-title": column.title })));
  const update = (row, data) => {
    columns.forEach((column, place) => {
      const content = column.cell(data);
      const cell = row.children[place];
      cell.classList.toggle("alarm", Boolean(column.alarm?.(data)));
      if (typeof content === "string") say(cell, content);
      else replace(cell, content);
    });
  };
  return { root, show: (rows) => keyed(body, rows, (row) => row.name, create, update) };
}

function replace(cell, content) {
  const fresh = el("div", {}, ...content);
  if (!cell.firstElementChild?.isEqualNode(fresh)) cell.replaceChildren(fresh);
}
