// The bar under a case: what can be done, and the choice that was begun.

import { el } from "/page/dom.js";
import { refusal } from "./words.js";

const PAGE = 9;
const FIRST = [
  ["approve", "Approve", "A"], ["reject", "Reject", "R"], ["escalate", "Escalate", "E"],
  ["skip", "Skip", "N"], ["look", "Show or hide", "Space"], ["note", "Note", "O"],
];

const cap = (text) => el("kbd", { text });

export function button(text, key, pressed, props = {}) {
  const made = el("button", { type: "button", ...props }, text, key ? " " : null, key ? cap(key) : null);
  made.addEventListener("click", pressed);
  return made;
}

/** What can be done first; `pressed(name)` is called for a button. */
export function firstBar(means, pressed) {
  return el("div", { class: "choice first", role: "group", "aria-label": "What to do" },
    ...FIRST.map(([name, text, key]) => {
      const refused = means[name] && !means[name].allowed;
      return button(text, key, () => pressed(name), {
        class: name === "skip" ? "pass" : name,
        "aria-disabled": refused ? "true" : null,
        title: refused ? refusal(means[name].why) : null,
      });
    }));
}

/** Approve or escalate: one more key. */
export function confirmBar(action, means, confirm, back) {
  const text = action === "approve" ? "Approve" : "Escalate to a senior moderator";
  return el("div", { class: "choice", role: "group", "aria-label": text },
    ...warning(means),
    button(text, "Enter", confirm, { class: `${action} go` }),
    button("Back", "Esc", back));
}

/**
 * Reasons to choose from, the likely ones first, nine to a page.
 * @param {{codes: {code: string, text: string}[], page: number, marked: Set<string>}} choice
 * @param {{pick: Function, turn: Function, send: Function, back: Function}} does
 */
export function reasonBar(choice, means, does) {
  const reasons = choice.codes.slice(choice.page * PAGE, (choice.page + 1) * PAGE);
  const several = choice.marked.size > 0;
  return el("div", { class: "choice", role: "group", "aria-label": "Reject, because" },
    ...warning(means),
    el("ol", { class: "reasons-offered" }, ...reasons.map((reason, place) =>
      el("li", {}, button(reason.text, String(place + 1), (event) => does.pick(place, event.shiftKey), {
        class: `reason${place === 0 && !several ? " go" : ""}`,
        "aria-pressed": several ? String(choice.marked.has(reason.code)) : null,
      })))),
    several ? button(`Reject for ${choice.marked.size}`, "Enter", does.send, { class: "reject go" }) : null,
    choice.codes.length > PAGE ? button("More reasons", "0", does.turn) : null,
    button("Back", "Esc", does.back));
}

/** The reason at a place of the page shown; undefined where there is none. */
export const reasonAt = (choice, place) => choice.codes[choice.page * PAGE + place];

export const pages = (choice) => Math.ceil(choice.codes.length / PAGE);

/** Reasons that can be given, those that the machine asked for first. */
export function ordered(asked, offered) {
  const first = asked.flatMap((reason) => offered.filter((each) => each.code === reason.code));
  return [...new Set([...first, ...offered])];
}

function warning(means) {
  return means.needs_second
    ? [el("p", { class: "warned", role: "alert", text: "This goes against what the machine proposes: it counts once a second moderator agrees." })]
    : [];
}
