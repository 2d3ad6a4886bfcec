// Elements from data. Text only ever becomes text: nothing here, or on this page, parses markup.

const SVG = "http://www.w3.org/2000/svg";

/** An element; `props.class` and `props.text` apart, props are attributes. False and null ones are left out. */
export function el(tag, props = {}, ...children) {
  return fill(document.createElement(tag), props, children);
}

export function svg(tag, props = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), props, children);
}

function fill(node, props, children) {
  for (const [name, value] of Object.entries(props)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "text") node.textContent = value;
    else if (name === "class") node.setAttribute("class", value);
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

/** Set the text only where it differs, so that a selection or a screen reader's place stays. */
export function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/**
 * Make `parent` show `rows`: elements of known keys are kept and updated, so that focus and scrolling stay.
 * `create(row)` returns an element; `update(element, row)` fills it.
 */
export function keyed(parent, rows, keyOf, create, update) {
  const known = new Map(Array.from(parent.children, (child) => [child.dataset.key, child]));
  const wanted = new Set(rows.map((row) => String(keyOf(row))));
  for (const [key, child] of known) if (!wanted.has(key)) child.remove();
  let place = parent.firstElementChild;
  for (const row of rows) {
    const key = String(keyOf(row));
    let child = known.get(key);
    if (!child) {
      child = create(row);
      child.dataset.key = key;
    }
    update(child, row);
    if (child === place) place = place.nextElementSibling;
    else parent.insertBefore(child, place);
  }
}
