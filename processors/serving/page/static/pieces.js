// Parts that both views show.

import { picture } from "./api.js";
import { el, svg } from "./dom.js";

const STATE_TONES = {
  published: "good", idle: "good", working: "busy", processing: "busy", received: "busy", rebalancing: "busy",
  retrying: "warn", review: "warn", deleted: "plain", unknown: "plain", rejected: "bad", failed: "bad",
  stopped: "bad", standing: "bad", running: "good", planned: "plain", over: "plain",
};
const MARKS = { good: "✓", busy: "↻", warn: "!", bad: "✕", plain: "·" };
const revealed = new Set();

/** A state as word and sign, never by colour alone. */
export function badge(state) {
  const tone = STATE_TONES[state] ?? "plain";
  return el("span", { class: `badge ${tone}` }, el("span", { "aria-hidden": "true", text: MARKS[tone] }), ` ${state}`);
}

export function itemLink(item) {
  return el("a", { href: `#/items/${encodeURIComponent(item.media_id)}`, text: item.title || "Untitled" });
}

export function reasonList(reasons) {
  if (!reasons.length) return null;
  return el("ul", { class: "reasons" }, ...reasons.map((reason) => el("li", { text: reason.text || reason.code })));
}

export function labelChips(labels, most) {
  if (!labels.length) return null;
  const chips = labels
    .slice(0, most)
    .map((label) => el("li", {}, label.name, el("span", { class: "quiet", text: ` ${Math.round(label.score * 100)} %` })));
  return el("ul", { class: "chips", "aria-label": "Labels" }, ...chips);
}

/** The picture of an upload, its stand-in, or a button where it should not be seen unasked. */
export function thumbnail(item) {
  const frame = el("div", { class: "thumb" });
  if (!item.thumbnail) frame.append(standIn(item.kind));
  else if (item.sensitive && !revealed.has(item.media_id)) frame.append(cover(frame, item));
  else show(frame, item);
  return frame;
}

function cover(frame, item) {
  const why = item.state === "rejected" ? "rejected" : "not approved";
  const button = el("button", { type: "button", class: "cover", "aria-label": `Show the picture of “${item.title || "Untitled"}”, ${why}` });
  button.append(el("span", { text: "Hidden" }), el("span", { class: "quiet", text: "Show" }));
  button.addEventListener("click", () => {
    revealed.add(item.media_id);
    const hadFocus = document.activeElement === button;
    frame.replaceChildren();
    show(frame, item);
    if (hadFocus) {
      frame.tabIndex = -1;
      frame.focus();
    }
  });
  return button;
}

function show(frame, item) {
  const image = el("img", { alt: item.kind === "audio" ? "Waveform" : `Picture of “${item.title || "Untitled"}”`, decoding: "async" });
  frame.append(image);
  picture(item.media_id).then(
    (address) => {
      image.src = address;
    },
    () => frame.replaceChildren(standIn(item.kind)),
  );
}

function standIn(kind) {
  const lines = [8, 13, 18].map((y, row) => svg("rect", { x: 5, y, width: row === 2 ? 9 : 16, height: 2, rx: 1 }));
  const note = svg("path", { d: "M10 19.5a3 3 0 1 1-2-2.8V6l11-2v12.5a3 3 0 1 1-2-2.8V8l-7 1.3z" });
  const shapes = kind === "audio" || kind === "video" ? [note] : lines;
  return svg("svg", { viewBox: "0 0 26 26", class: "stand-in", role: "img", "aria-label": `${kind}, without a picture` }, ...shapes);
}
