// What a case shows: pictures, text, resembling public figures, scores, what is known of it.

import { el, svg } from "/page/dom.js";
import { moment, number } from "/page/format.js";
import { PROPOSED, age, foreign, sentence, spoken, state, subject } from "./words.js";

// a score that is a border of another one, for example face.sharpness.review
const BORDER = /^(.+)[._](review|reject|threshold)$/;
// numbers of things, and shapes: no shares of anything
const NO_SHARES = new Set(["faces", "people", "accounts", "aspect"]);
const PUBLIC_FIGURE = "celebrity.threshold";

/** The case as elements: `{head, sight, facts}`. */
export function evidence(entry, hideText) {
  const content = entry.content;
  return { head: head(content), sight: sight(entry, content, hideText), facts: facts(content) };
}

function head(content) {
  const second = content.state === "second" || content.state === "escalated";
  return [
    el("h1", { tabindex: "-1", "aria-describedby": "asked", text: subject(content.subject) }),
    second ? el("span", { class: `badge ${content.state === "second" ? "busy" : "warn"}`, text: state(content.state) }) : null,
    el("p", { id: "asked" }, el("small", { class: "quiet", text: "In question" }), ...content.reasons.map((reason) => el("span", {}, foreign(sentence(reason)), " "))),
  ].filter(Boolean);
}

function sight(entry, content, hideText) {
  const text = content.excerpt && part("Text in question", foreign(content.excerpt, "blockquote", {
    class: `excerpt${hideText ? " veiled" : ""}`, dir: "auto", tabindex: "0", "aria-label": "Text in question",
  }));
  const parts = [text, pictures(entry, content)];
  // what the machine asked about comes first
  if (!content.reasons[0]?.code.startsWith("text-")) parts.reverse();
  if (content.nearest.length) parts.push(part("Nearest public figures", nearest(entry, content)));
  if (content.members.length) {
    parts.push(part(`${number(content.members.length)} accounts`, el("ol", { class: "members", tabindex: "0", "aria-label": "Accounts" },
      ...content.members.map((member) => el("li", {}, foreign(member))))));
  }
  const shown = parts.filter(Boolean);
  return shown.length ? shown : [el("p", { class: "quiet", text: "This case comes without pictures and text." })];
}

function pictures(entry, content) {
  if (!content.pictures.length) return null;
  const [first, ...others] = content.pictures.map((each, place) => figure(entry, each.url, caption(content, place)));
  if (content.subject === "ring") return el("div", { class: "pictures many" }, first, ...others);
  if (others.length < 2 && !content.excerpt) return el("div", { class: "pictures" }, first, ...others);
  return el("div", { class: "pictures led" }, first, el("div", { class: "pictures many" }, ...others));
}

function caption(content, place) {
  if (content.subject === "avatar" && content.pictures.length === 2) return place === 0 ? "Face" : "Whole picture";
  if (content.subject === "ring") return `Account ${place + 1}`;
  return content.pictures.length > 1 ? `Picture ${place + 1}` : "Picture";
}

function figure(entry, path, text) {
  const frame = el("div", { class: "frame" });
  show(frame, entry, path, text);
  return el("figure", {}, frame, el("figcaption", {}, foreign(text)));
}

function show(frame, entry, path, text) {
  const missing = (why) => frame.replaceChildren(el("p", { class: "quiet", text: why }));
  const image = el("img", { alt: text, class: "veiled", draggable: "false", decoding: "async" });
  frame.append(image);
  (entry.pictures.get(path) ?? Promise.reject(new Error("not loaded"))).then(
    (address) => {
      image.src = address;
      image.addEventListener("error", () => missing("The picture cannot be shown."));
    },
    () => missing("The picture cannot be had."),
  );
}

function nearest(entry, content) {
  const border = content.scores[PUBLIC_FIGURE];
  const own = content.pictures[0];
  return el("ul", { class: "nearest" }, ...content.nearest.map((each) =>
    el("li", {},
      el("div", { class: "pair" },
        own ? figure(entry, own.url, "This face") : null,
        each.picture ? figure(entry, each.picture, each.person) : el("p", { class: "quiet" }, foreign(each.person), " (no picture)")),
      el("div", { class: "likeness" },
        bar(each.likeness, border === undefined ? [] : [border], each.likeness >= border),
        el("span", {}, `likeness ${each.likeness.toFixed(2)}`, el("span", { class: "quiet", text: `, distance ${each.distance.toFixed(2)}` }))))));
}

function facts(content) {
  const parts = [];
  if (content.state === "second" && content.proposed === null) {
    parts.push(el("p", { class: "second", text: "Second look. Somebody else has decided on this case. What they chose, and what the machine proposes, is not shown, so that you judge for yourself." }));
  }
  const known = [
    ["Machine proposes", content.proposed === null ? "hidden" : PROPOSED[content.proposed] ?? content.proposed],
    ["In doubt", `${Math.round(content.uncertainty * 100)} %`],
    ["Reach", content.reach ? `${number(content.reach)} people` : "unknown"],
    ["Waiting for", age(content.age_s)],
    ["Sent", moment(content.occurred_at)],
    ["Asked by", spoken(content.capability)],
  ];
  parts.push(el("dl", { class: "known" }, ...known.map(([name, value]) => el("div", {}, el("dt", { text: name }), el("dd", { text: value })))));
  const rows = scores(content.scores);
  if (rows.length) parts.push(part("Scores", el("ul", { class: "scores", tabindex: "0", "aria-label": "Scores" }, ...rows)));
  const votes = content.votes.filter((vote) => vote.action !== null);
  if (votes.length) parts.push(part("So far", el("ul", { class: "votes" }, ...votes.map(told))));
  parts.push(el("details", { class: "quiet version" },
    el("summary", { text: `Case ${content.review_id.slice(0, 8)}` }), foreign(content.model_version)));
  return parts;
}

function told(vote) {
  const reasons = vote.reasons.length ? ` (${vote.reasons.join(", ")})` : "";
  return el("li", {}, `${vote.by === "me" ? "You" : "Somebody else"}: ${vote.action}${reasons}`, vote.note ? el("br") : null, vote.note ? foreign(vote.note, "q") : null);
}

/** A score a line, those with borders first: these are what the question is about. */
function scores(all) {
  const borders = new Map();
  for (const [name, value] of Object.entries(all)) {
    const [, base, border] = BORDER.exec(name) ?? [];
    if (base in all) borders.set(base, { ...borders.get(base), [border]: value });
  }
  const own = Object.entries(all).filter(([name]) => !(BORDER.exec(name)?.[1] in all));
  own.sort(([a], [b]) => borders.has(b) - borders.has(a));
  return own.map(([name, value]) => {
    const its = borders.get(name) ?? {};
    const told = Object.entries(its).map(([border, at]) => `${border} at ${rounded(at)}`);
    return el("li", {},
      el("span", { class: "score-name", text: spoken(name) }),
      value >= 0 && value <= 1 && !NO_SHARES.has(name) ? bar(value, Object.values(its), reached(value, its)) : el("span"),
      el("span", { class: "number", text: rounded(value) }),
      told.length ? el("span", { class: "quiet marks", text: told.join(", ") }) : null);
  });
}

const rounded = (value) => (Number.isInteger(value) ? number(value) : value.toFixed(2));

/** Whether a score is on the wrong side of its nearest border; where less is worse, reject lies under review. */
function reached(value, { review, reject, threshold }) {
  const first = review ?? threshold ?? reject;
  return reject < review ? value < review : value >= first;
}

/** A value in 0..1 with borders; the figure beside it says the same. */
function bar(value, borders, over) {
  const at = (share) => 100 * Math.min(1, Math.max(0, share));
  return svg("svg", { class: "gauge", viewBox: "0 0 100 10", preserveAspectRatio: "none", "aria-hidden": "true" },
    svg("rect", { class: "groove", x: 0, y: 2, width: 100, height: 6 }),
    svg("rect", { class: over ? "over" : "value", x: 0, y: 2, width: at(value), height: 6 }),
    ...borders.map((border) => svg("line", { class: "border", x1: at(border), x2: at(border), y1: 0, y2: 10 })));
}

function part(title, content) {
  return el("section", {}, el("h2", { text: title }), content);
}
