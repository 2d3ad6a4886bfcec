// One upload's whole history.

import { get } from "./api.js";
import { el } from "./dom.js";
import { UNKNOWN, bytes, duration, moment, number, words } from "./format.js";
import { badge, itemLink, labelChips, reasonList, thumbnail } from "./pieces.js";

export class Item {
  constructor(mediaId) {
    this.mediaId = mediaId;
    this.title = "Upload";
    this.heading = el("h1", { text: "Upload", tabindex: "-1" });
    this.body = el("div", {});
    this.root = el("article", { class: "item" }, el("p", {}, el("a", { href: "#/", text: "← Overview" })), this.heading, this.body);
    this.shown = null;
  }

  async update(signal) {
    const path = `/v1/operations/items/${encodeURIComponent(this.mediaId)}`;
    let item;
    try {
      item = await get(path, signal);
    } catch (error) {
      if (error.status !== 404) throw error;
      this.show(null, error.message);
      return {};
    }
    this.show(item);
    return {};
  }

  show(item, problem = "") {
    const version = item === null ? problem : JSON.stringify(item);
    if (version === this.shown) return;
    this.shown = version;
    this.title = item?.title || "Upload";
    this.heading.textContent = item === null ? "Unknown upload" : item.title || "Untitled";
    document.title = `${this.title} · Overture`;
    if (item === null) {
      this.body.replaceChildren(el("p", { text: problem }), el("p", { class: "quiet", text: this.mediaId }));
      return;
    }
    this.body.replaceChildren(
      ...[head(item), timeline(item), labels(item), similar(item), letters(item)].filter((part) => part !== null),
    );
  }
}

function head(item) {
  const facts = [
    ["Id", el("code", { text: item.media_id })],
    ["Kind", item.kind],
    ["Uploader", item.uploader || UNKNOWN],
    ["File", item.object ? `${item.object.content_type}, ${bytes(item.object.size_bytes)}` : "none"],
    ["Language", item.language ?? UNKNOWN],
    ["Verdict", item.decision === "none" ? "not judged" : item.decision],
    ["Accepted", moment(item.accepted_at)],
    ["Recallable after", duration(item.recallable_ms)],
    ["Plays", number(item.plays)],
    ["Vector collections", item.collections?.length ? item.collections.join(", ") : UNKNOWN],
  ];
  return el(
    "section",
    { class: "head", "aria-label": "Facts" },
    thumbnail(item),
    el(
      "div",
      {},
      el("p", { class: "line" }, badge(item.state)),
      reasonList(item.reasons),
      el("dl", { class: "facts" }, ...facts.map(([name, value]) => el("div", {}, el("dt", { text: name }), el("dd", {}, value)))),
    ),
  );
}

function timeline(item) {
  const end = Math.max(1, ...item.timeline.map((step) => step.after_ms ?? 0));
  const rows = item.timeline.map((step) => {
    const bar = el("span", { class: "bar", "aria-hidden": "true" });
    if (step.after_ms !== null) {
      const took = Math.min(step.took_ms ?? 0, step.after_ms);
      const fill = el("span", { class: "fill" });
      fill.style.left = `${(100 * (step.after_ms - took)) / end}%`;
      fill.style.width = `${(100 * took) / end}%`;
      bar.append(fill);
    }
    return el(
      "li",
      {},
      el(
        "p",
        { class: "step" },
        el("b", { text: words(step.stage) }),
        " ",
        el("span", { text: step.state }),
        el("span", { class: "when" }, el("time", { datetime: step.at, title: moment(step.at), text: `+${duration(step.after_ms)}` }),
          step.took_ms === null ? "" : `, took ${duration(step.took_ms)}`),
      ),
      bar,
      reasonList(step.reasons),
    );
  });
  return part(
    "Timeline",
    el("p", { class: "quiet", text: "Time since the upload was accepted; a bar shows how long a stage took from the moment its input was there, waiting included." }),
    el("ol", { class: "timeline" }, ...rows),
  );
}

function labels(item) {
  return item.labels.length ? part("Labels", labelChips(item.labels, 30)) : null;
}

function similar(item) {
  if (item.state !== "published") return null;
  const rows = item.similar.map((other) =>
    el(
      "li",
      {},
      thumbnail(other),
      el("div", {}, itemLink(other), el("p", { class: "quiet line", text: `${other.kind}, cosine ${other.similarity.toFixed(2)}` })),
    ));
  return part("Similar items", rows.length ? el("ul", { class: "neighbours" }, ...rows) : el("p", { class: "quiet", text: "None in the catalogue." }));
}

function letters(item) {
  if (!item.dead_letters.length) return null;
  const rows = item.dead_letters.map((letter) =>
    el(
      "li",
      {},
      el("p", { class: "line" }, el("b", { text: words(letter.capability) }), ` gave up after ${letter.attempts} tries: ${letter.code}`),
      el("p", { class: "line", text: letter.text }),
      el("p", { class: "quiet line", text: `${moment(letter.at)}, from ${letter.origin}` }),
    ));
  return part("Dead letters", el("ul", { class: "letters" }, ...rows));
}

function part(title, ...content) {
  const id = `part-${title.toLowerCase().replaceAll(" ", "-")}`;
  return el("section", { "aria-labelledby": id }, el("h2", { id, text: title }), ...content);
}
