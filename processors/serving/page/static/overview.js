// The system at a glance.

import { get } from "./api.js";
import { el, keyed, say } from "./dom.js";
import { UNKNOWN, ago, duration, number, perSecond, words } from "./format.js";
import { badge, itemLink, labelChips, reasonList, thumbnail } from "./pieces.js";
import { section, table } from "./tables.js";

const FIRST = matchMedia("(max-width: 48rem)").matches ? 6 : 12;
const MOST = 96;
const STATES = ["received", "processing", "review", "published", "rejected", "failed", "deleted"];

export class Overview {
  constructor() {
    this.title = "Overview";
    this.limit = FIRST;
    this.tiles = el("dl", { class: "tiles" });
    this.filter = el("select", { id: "state-filter" }, el("option", { value: "", text: "any" }));
    this.filter.append(...STATES.map((state) => el("option", { value: state, text: state })));
    this.items = el("ol", { class: "items" });
    this.none = el("p", { class: "quiet", text: "No upload yet.", hidden: true });
    this.more = el("button", { type: "button", text: "Show more", hidden: true });
    this.capabilities = table("Each capability is a consumer group; backlog counts records, latency is of the newest uploads.", CAPABILITY_COLUMNS);
    this.topics = table("What lies in each topic, what comes in, and how far behind its readers are.", TOPIC_COLUMNS);
    this.root = el(
      "div",
      {},
      el("h1", { text: "Overview", tabindex: "-1" }),
      el("section", { "aria-label": "At a glance" }, this.tiles),
      section(
        "Last uploads",
        el("div", { class: "tools" }, el("label", { for: "state-filter", text: "State" }), this.filter),
        this.none,
        this.items,
        this.more,
      ),
      section("Capabilities", this.capabilities.root),
      section("Topics", this.topics.root),
    );
    this.more.addEventListener("click", () => {
      this.limit = Math.min(MOST, this.limit * 2);
      this.refresh?.();
    });
    this.filter.addEventListener("change", () => {
      this.limit = FIRST;
      this.refresh?.();
    });
  }

  /** Ask for everything and show it; returns the broker's part, for the page's head. */
  async update(signal) {
    const state = this.filter.value;
    const query = `limit=${this.limit}${state ? `&state=${state}` : ""}`;
    const [overview, list] = await Promise.all([
      get("/v1/operations/overview", signal),
      get(`/v1/operations/items?${query}`, signal),
    ]);
    const now = Date.parse(overview.now);
    this.showTiles(overview);
    this.showItems(list.items, now);
    this.capabilities.show(overview.capabilities, now);
    this.topics.show(overview.topics, now);
    return { broker: overview.broker, now };
  }

  showTiles(overview) {
    const sum = (name) => {
      const values = overview.capabilities.map((each) => each[name]).filter((value) => value !== null);
      return values.length ? values.reduce((total, value) => total + value, 0) : null;
    };
    const { recallable, uploads } = overview;
    const counts = STATES.filter((state) => uploads[state]).map((state) => `${number(uploads[state])} ${state}`);
    const troubled = overview.capabilities.filter((each) => ["stopped", "standing"].includes(each.state));
    const tiles = [
      ["Upload to recallable, median", recallable ? duration(recallable.p50_ms) : UNKNOWN,
        recallable ? `95 % within ${duration(recallable.p95_ms)}; ${number(recallable.count)} items` : "no item published since this service started"],
      ["Items in the catalogue", number(overview.catalogue_items), "in this service’s snapshot"],
      ["Newest uploads", number(Object.values(uploads).reduce((a, b) => a + b, 0)), counts.join(", ") || "none"],
      ["Backlog", number(sum("lag")), `records; ${number(sum("retrying"))} more wait for a retry`],
      ["Dead letters", number(sum("dead_letters")), "kept for a person to look at"],
      ["Capabilities", number(overview.capabilities.length), troubled.length ? `${troubled.map((each) => words(each.name)).join(", ")}: not working` : "none in trouble"],
    ];
    keyed(this.tiles, tiles, (tile) => tile[0], tile, (node, [, value, note]) => {
      say(node.children[1], value);
      say(node.children[2], note);
    });
  }

  showItems(items, now) {
    this.none.hidden = items.length > 0;
    this.more.hidden = items.length < this.limit || this.limit >= MOST;
    keyed(this.items, items, (item) => item.media_id, card, (node, item) => fillCard(node, item, now));
  }
}

function tile([name]) {
  return el("div", { class: "tile" }, el("dt", { text: name }), el("dd", { class: "value" }), el("dd", { class: "quiet" }));
}

function card() {
  return el("li", { class: "card" });
}

function fillCard(node, item, now) {
  // only what changes by itself is touched while the item stays as it is
  const version = JSON.stringify(item);
  if (node.dataset.version !== version) {
    node.dataset.version = version;
    const recallable = item.recallable_ms === null ? null : el("p", { class: "line", text: `Recallable after ${duration(item.recallable_ms)}` });
    const focused = node.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
    node.replaceChildren(
      thumbnail(item),
      el(
        "div",
        { class: "about" },
        el("h3", {}, itemLink(item)),
        el("p", { class: "line" }, badge(item.state), ` ${item.kind} · `, el("time", { datetime: item.accepted_at ?? item.changed_at, title: item.accepted_at })),
        reasonList(item.reasons),
        labelChips(item.labels, 3),
        recallable,
        similarLine(item.similar),
      ),
    );
    if (focused) Array.from(node.querySelectorAll("a")).find((link) => link.getAttribute("href") === focused)?.focus();
  }
  say(node.querySelector("time"), ago(item.accepted_at ?? item.changed_at, now));
}

function similarLine(similar) {
  if (!similar.length) return null;
  const rows = similar.map((item) => el("li", { title: item.title }, itemLink(item)));
  return el("div", { class: "similar" }, "Similar", el("ul", {}, ...rows));
}

const named = (row) => [el("span", { class: "name", text: row.name }), el("span", { class: "quiet doc", text: row.doc })];
const figure = (text) => (row) => text(row);
const alarming = (value, limit) => value !== null && value > limit;

const CAPABILITY_COLUMNS = [
  { title: "Capability", cell: named },
  { title: "State", cell: (row) => [badge(row.state), standing(row)] },
  { title: "Members", number: true, cell: figure((row) => number(row.members)) },
  { title: "Backlog", number: true, cell: figure((row) => number(row.lag)) },
  { title: "Waiting for retry", number: true, cell: figure((row) => number(row.retrying)) },
  { title: "Done per second", number: true, cell: figure((row) => perSecond(row.per_s)) },
  { title: "Latency, median", number: true, cell: figure((row) => duration(row.latency?.p50_ms)) },
  { title: "95th percentile", number: true, cell: figure((row) => duration(row.latency?.p95_ms)) },
  { title: "Dead letters", number: true, cell: figure((row) => number(row.dead_letters)), alarm: (row) => alarming(row.dead_letters, 0) },
];
const TOPIC_COLUMNS = [
  { title: "Topic", cell: named },
  { title: "Records", number: true, cell: figure((row) => number(row.records)) },
  { title: "In per second", number: true, cell: figure((row) => perSecond(row.per_s)) },
  { title: "Lag of its readers", cell: lags },
];

function standing(row) {
  return row.state === "standing" ? el("span", { class: "quiet", text: ` no progress for ${duration(row.standing_s * 1000)}` }) : null;
}

function lags(row) {
  const readers = Object.entries(row.lag);
  if (!readers.length) return [el("span", { class: "quiet", text: "no capability reads it" })];
  return [
    el("ul", { class: "lags" }, ...readers.map(([name, lag]) => el("li", {}, `${words(name)} `, el("b", { text: number(lag) })))),
  ];
}
