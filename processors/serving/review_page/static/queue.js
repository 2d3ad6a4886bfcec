// The queue: how many cases there are in which state, and which.

import { el, keyed, say } from "/page/dom.js";
import { number } from "/page/format.js";
import { section, table } from "/page/tables.js";
import * as api from "./api.js";
import { DONE, STATES, SUBJECTS, age, sentence, state, subject } from "./words.js";

const EVERY_MS = 4000;
const OPEN = ["waiting", "second", "escalated"];

export class Queue {
  title = "Queue";

  /** @param {{trouble: Function, fine: Function}} tools as the desk has them; @param {boolean} senior who looks */
  constructor(tools, senior) {
    Object.assign(this, tools);
    this.senior = senior;
    this.timer = 0;
    this.tiles = el("dl", { class: "tiles" });
    this.state = select("State", [["", "all open"], ...Object.entries(STATES)]);
    this.subject = select("Subject", [["", "everything"], ...Object.entries(SUBJECTS)]);
    for (const each of [this.state, this.subject]) each.field.addEventListener("change", () => this.start());
    this.table = table("The most important first: most in doubt, longest waiting, seen by most.", [
      { title: "Case", cell: (row) => [this.link(row)] },
      { title: "Asked because", cell: (row) => row.reasons.map(sentence).join(" ") || "–" },
      { title: "State", cell: (row) => (row.decision === "none" ? state(row.state) : DONE[row.decision]) + held(row) },
      { title: "In doubt", number: true, cell: (row) => `${Math.round(row.uncertainty * 100)} %` },
      { title: "Reach", number: true, cell: (row) => (row.reach ? number(row.reach) : "–") },
      { title: "Age", number: true, cell: (row) => age(row.age_s) },
    ]);
    this.none = el("p", { class: "quiet", role: "status" });
    this.root = el("div", {},
      el("h1", { tabindex: "-1", text: "Queue" }), this.tiles,
      section("Cases", el("div", { class: "tools" }, this.state.label, this.subject.label), this.none, this.table.root));
  }

  async start() {
    clearTimeout(this.timer);
    const wanted = [this.state.field.value, this.subject.field.value].join();
    try {
      if (!document.hidden) this.show(await api.cases(...wanted.split(",")));
      this.fine();
    } catch (error) {
      if (!this.trouble(error)) return;
    }
    clearTimeout(this.timer);
    if (this.root.isConnected) this.timer = setTimeout(() => this.start(), EVERY_MS);
  }

  stop() {
    clearTimeout(this.timer);
  }

  show({ cases, counts }) {
    keyed(this.tiles, Object.keys(STATES), (name) => name,
      (name) => el("div", { class: "tile" }, el("dt", { text: state(name) }), el("dd", { class: "value" })),
      (tile, name) => say(tile.lastChild, number(counts[name])));
    this.table.show(cases.map((each) => ({ ...each, name: each.review_id })));
    this.table.root.hidden = cases.length === 0;
    say(this.none, cases.length ? "" : "There are none.");
  }

  link(row) {
    const name = `${subject(row.subject)} ${row.review_id.slice(0, 8)}`;
    const mine = OPEN.includes(row.state) && row.leased_by !== "other" && (row.state !== "escalated" || this.senior);
    return mine ? el("a", { href: `#/cases/${encodeURIComponent(row.review_id)}`, text: name }) : el("span", { text: name });
  }
}

const held = (row) => ({ me: ", with you", other: ", with somebody else" })[row.leased_by] ?? "";

function select(text, options) {
  const field = el("select", {}, ...options.map(([value, name]) => el("option", { value, text: name })));
  return { field, label: el("label", {}, `${text} `, field) };
}
