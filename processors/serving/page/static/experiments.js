// Experiments: arms side by side, and how sure it is that they differ.

import { get } from "./api.js";
import { el, keyed, say, svg } from "./dom.js";
import { UNKNOWN, duration, moment, number, percent, words } from "./format.js";
import { badge } from "./pieces.js";
import { table } from "./tables.js";

const SURE = 0.05;
const WIDE = 160;
const HIGH = 16;
const EDGE = 6;
const MEASURES = {
  "click-rate": "places opened, of those offered",
  "like-rate": "likes by plays from lists",
  "completion-rate": "plays to the end, of plays from lists",
  "play-minutes": "minutes listened by user",
  "cold-offer-share": "new items, of places offered",
  "cold-play-share": "new items, of plays from lists",
  coverage: "items offered to anybody, of all, in groups of equal size",
  gini: "0: all items offered alike, 1: one item only",
};
/** Ids are numbers: a name may hold what no id can. */
let made = 0;
const PLAIN = { "play-minutes": 2, gini: 3 };

export class Experiments {
  constructor() {
    this.title = "Experiments";
    this.none = el("p", { class: "quiet", text: "No experiment is defined.", hidden: true });
    this.list = el("div", {});
    this.chosen = new Map();
    this.root = el(
      "div",
      {},
      el("h1", { text: "Experiments", tabindex: "-1" }),
      el("p", { class: "quiet", text: "Intervals are of 95 %. Of twenty comparisons of equal arms about one looks different by chance: decide on one measure before you look." }),
      this.none,
      this.list,
    );
  }

  async update(signal) {
    const { experiments } = await get("/v1/operations/experiments", signal);
    this.none.hidden = experiments.length > 0;
    keyed(this.list, experiments, (each) => each.name, (each) => this.create(each), (node, each) => this.fill(node, each));
    return {};
  }

  create(experiment) {
    made += 1;
    const id = `experiment-${made}`;
    const results = table("Arms by measure; differences are to the control arm.", COLUMNS);
    const pick = el("select", { id: `${id}-window` });
    const parts = {
      state: el("span", {}),
      about: el("p", { class: "line" }),
      arms: el("ul", { class: "chips", "aria-label": "Arms" }),
      tools: el("div", { class: "tools" }, el("label", { for: pick.id, text: "Window" }), pick),
      pick,
      warning: el("p", { class: "notice", role: "alert", hidden: true }),
      unmeasured: el("p", { class: "quiet", text: "Not measured yet." }),
      results,
    };
    pick.addEventListener("change", () => {
      this.chosen.set(experiment.name, Number(pick.value));
      this.refresh?.();
    });
    const node = el(
      "section",
      { "aria-labelledby": id, class: "experiment" },
      el("h2", { id }, `${experiment.name} `, parts.state),
      parts.about,
      parts.arms,
      parts.tools,
      parts.warning,
      parts.unmeasured,
      results.root,
    );
    node.parts = parts;
    return node;
  }

  fill(node, experiment) {
    const { parts } = node;
    const shown = experiment.windows[Math.min(this.chosen.get(experiment.name) ?? 0, experiment.windows.length - 1)];
    const version = JSON.stringify([experiment, shown]);
    if (node.dataset.version === version) return;
    node.dataset.version = version;
    parts.state.replaceChildren(badge(experiment.state));
    const from = experiment.start ? `from ${moment(experiment.start)}` : "";
    const until = experiment.end ? `until ${moment(experiment.end)}` : "";
    say(parts.about, [`Layer ${experiment.layer}`, `control ${experiment.control}`, from, until].filter(Boolean).join(", "));
    parts.arms.replaceChildren(...experiment.arms.map((arm) => chip(arm, shown)));
    parts.tools.hidden = experiment.windows.length === 0;
    parts.pick.replaceChildren(...experiment.windows.map((each, place) => el("option", { value: place, text: span(each), selected: each === shown })));
    parts.unmeasured.hidden = Boolean(shown);
    parts.results.root.hidden = !shown;
    parts.warning.hidden = !shown?.split_broken;
    if (shown?.split_broken) {
      say(parts.warning, `The users are not split as planned (probability ${shown.sample_ratio_p.toExponential(1)}): nothing below means anything until the reason is found.`);
    }
    parts.results.show(shown ? rows(shown) : []);
  }
}

function chip(arm, shown) {
  const settings = Object.entries(arm.parameters).map(([name, value]) => `${words(name)} ${value}`).join(", ") || "as set";
  const users = shown ? `, ${number(shown.users[arm.name] ?? 0)} users` : "";
  return el("li", {}, el("b", { text: arm.name }), el("span", { class: "quiet", text: ` ${percent(arm.share)} of the traffic${users}: ${settings}` }));
}

const span = (each) => `${duration(Date.parse(each.ends_at) - Date.parse(each.begins_at))} to ${moment(each.ends_at)}`;

/** One row for an arm and measure, with the common scales of the measure. */
function rows(shown) {
  return shown.measures.flatMap(({ name, arms }) => {
    const means = scale(arms.flatMap((arm) => [arm.low, arm.high]));
    const differences = scale([0, ...arms.filter((arm) => arm.difference !== null).flatMap((arm) => [arm.difference_low, arm.difference_high])]);
    return arms.map((arm) => ({ ...arm, name: `${name}/${arm.arm}`, measure: name, means, differences }));
  });
}

const COLUMNS = [
  { title: "Measure", cell: (row) => [el("span", { class: "name", text: words(row.measure).replaceAll("-", " ") }), el("span", { class: "quiet doc", text: MEASURES[row.measure] ?? "" })] },
  { title: "Arm", cell: (row) => [el("b", { text: row.arm }), row.difference === null ? el("span", { class: "quiet", text: " control" }) : null].filter(Boolean) },
  { title: "Mean", cell: (row) => [el("span", { class: "figure", text: value(row, row.mean) }), plot(row.means, row.low, row.mean, row.high, null, `from ${value(row, row.low)} to ${value(row, row.high)}`)] },
  { title: "Difference", cell: difference },
  { title: "p", cell: verdict },
];

function difference(row) {
  if (row.difference === null) return [el("span", { class: "quiet", text: UNKNOWN })];
  const said = `from ${value(row, row.difference_low, true)} to ${value(row, row.difference_high, true)}`;
  return [
    el("span", { class: "figure", text: value(row, row.difference, true) }),
    plot(row.differences, row.difference_low, row.difference, row.difference_high, 0, said),
    el("span", { class: "quiet doc", text: said }),
  ];
}

function verdict(row) {
  if (row.p_value === null) return [el("span", { class: "quiet", text: UNKNOWN })];
  const text = row.p_value < 0.001 ? "< 0.001" : row.p_value.toFixed(3);
  return row.p_value < SURE ? [el("b", { text }), el("span", { class: "quiet", text: " differs" })] : [el("span", { text })];
}

function value(row, amount, signed = false) {
  if (!(row.measure in PLAIN)) return percent(amount, signed);
  const text = amount.toFixed(PLAIN[row.measure]).replace("-", "−");
  return `${signed && amount > 0 ? "+" : ""}${text}`;
}

/** From an amount to a place on a plot that holds all of `amounts`. */
function scale(amounts) {
  const low = Math.min(...amounts);
  const range = Math.max(...amounts) - low || 1;
  return (amount) => EDGE + ((WIDE - 2 * EDGE) * (amount - low)) / range;
}

/** An interval as a bar with its middle, beside the line of no difference if there is one. */
function plot(place, low, middle, high, zero, said) {
  const y = HIGH / 2;
  return svg(
    "svg",
    { class: "plot", viewBox: `0 0 ${WIDE} ${HIGH}`, width: WIDE, height: HIGH, role: "img", "aria-label": said },
    svg("title", { text: said }),
    zero === null ? null : svg("line", { class: "zero", x1: place(zero), x2: place(zero), y1: 0, y2: HIGH }),
    svg("line", { class: "interval", x1: place(low), x2: place(high), y1: y, y2: y }),
    svg("circle", { class: "middle", cx: place(middle), cy: y, r: 4 }),
  );
}
