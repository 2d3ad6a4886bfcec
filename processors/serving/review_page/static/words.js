// How things are called on this page.

import { el } from "/page/dom.js";

export const SUBJECTS = { avatar: "Avatar", media: "Upload", ring: "Ring of accounts" };
export const STATES = {
  waiting: "Waiting", second: "Second look", escalated: "Escalated", decided: "Decided", withdrawn: "Withdrawn",
};
export const DONE = { approve: "Approved", reject: "Rejected", escalate: "Escalated" };
export const PROPOSED = { approve: "Approve", reject: "Reject", none: "Undecided" };
const REFUSALS = {
  "case-closed": "It has been decided or withdrawn meanwhile.",
  "case-own-vote": "You have already voted on it; somebody else has to look.",
  "case-leased": "Somebody else is looking at it.",
  "case-acted": "Your decision on it is already on its way.",
  "case-changed": "It has changed since you looked at it.",
  "case-escalated": "It is already escalated.",
  "case-unknown": "It is gone: the content was erased meanwhile.",
  "senior-needed": "Only a senior moderator may do that.",
};

const sentences = new Map();

/** Learn the sentences of reason codes: `{subject: [{code, text}]}`. */
export function learn(offered) {
  for (const { code, text } of Object.values(offered).flat()) sentences.set(code, text);
}

/** What a reason says, in the words that a user would be told where there are some. */
export const sentence = (reason) => sentences.get(reason.code) ?? (reason.text || reason.code);

/** Why something cannot be done, by the service's code. */
export const refusal = (code, otherwise = "It cannot be done now.") => REFUSALS[code] ?? otherwise;

export const subject = (name) => SUBJECTS[name] ?? name;
export const state = (name) => STATES[name] ?? name;

/** A score's name as words: `picture_nsfw`, `picture.nsfw` -> `picture nsfw`. */
export const spoken = (name) => name.replaceAll(/[_.-]+/g, " ");

/** Seconds as people say them. */
export function age(seconds) {
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172_800) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86_400)} days`;
}

// Controls, directions and zero widths: what makes a text look like another one.
const HIDDEN = /([\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb])/u;

/** Somebody's text as it is, what cannot be seen made visible, in a place that it cannot turn around. */
export function foreign(text, tag = "bdi", props = {}) {
  const pieces = text.split(HIDDEN).filter(Boolean).map((piece) =>
    HIDDEN.test(piece) ? el("span", { class: "control", text: `U+${piece.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}` }) : piece);
  return el(tag, props, ...pieces);
}
