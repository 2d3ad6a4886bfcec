// Logs in, chooses the view by the address, passes keys on, says how the service is.

import { say } from "/page/dom.js";
import * as api from "./api.js";
import { Desk } from "./desk.js";
import * as oidc from "./oidc.js";
import { Outbox } from "./outbox.js";
import { Queue } from "./queue.js";
import { Supply } from "./supply.js";
import * as tally from "./tally.js";
import { learn, refusal, subject } from "./words.js";

const SUBJECTS = "overture-review-subjects";
const TOAST_MS = 6000;
const AGAIN_MS = 2000;
const on = (id) => document.getElementById(id);
const place = on("content");

let config = null;
let moderator = "";
let supply = null;
let desk = null;
let queue = null;
let view = null;
let toastTimer = 0;
let loggingIn = false;

const outbox = new Outbox({
  sent: () => fine(),
  refused: (decision, error) =>
    tell(`Your decision on ${subject(decision.subject).toLowerCase()} ${decision.id.slice(0, 8)} did not count. ${refusal(error.code, error.message)}`),
  trouble,
  changed: () => {
    on("undo")?.toggleAttribute("hidden", outbox.held === null);
    say(on("session"), [tally.spoken(), outbox.leaving.length ? `${outbox.leaving.length} on the way` : ""].filter(Boolean).join(" · "));
  },
});

// how the service is

function fine() {
  state("good", "Live");
  notice("");
}

/** Show what went wrong; whether asking again may help. */
function trouble(error) {
  if (error instanceof api.Refused && error.status === 401) {
    state("warn", "Login needed");
    login(api.hasToken() ? error.message : "");
    return false;
  }
  if (error instanceof api.Refused && error.status < 500) {
    state("bad", "Refused");
    notice(error.message);
    return false;
  }
  state("bad", "Service away");
  if (!(error instanceof api.Away || error instanceof api.Refused)) console.error(error);
  notice(`${error instanceof api.Away || error instanceof api.Refused ? error.message : "This page could not show the answer."} It is asked again; decisions made meanwhile are kept and sent later.`);
  return true;
}

function state(tone, word) {
  on("pulse").className = `pulse ${tone}`;
  say(on("pulse-state"), word);
}

function notice(text) {
  on("notice").hidden = !text;
  say(on("notice"), text);
}

function tell(text, undo) {
  clearTimeout(toastTimer);
  say(on("said"), text);
  on("undo").hidden = !undo;
  on("toast").hidden = false;
  toastTimer = setTimeout(() => { on("toast").hidden = true; }, TOAST_MS);
}

// views

function open() {
  const [name, id] = location.hash.replace(/^#\/?/, "").split("/");
  queue.stop();
  view = name === "queue" ? queue : desk;
  for (const link of document.querySelectorAll("nav a")) {
    if ((link.hash === "#/queue") === (view === queue)) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.title = `${view.title} · Review`;
  place.replaceChildren(view.root);
  view.start(name === "cases" ? id : undefined).then(() => {
    if (view === queue) queue.root.querySelector("h1").focus();
  });
}

async function begin() {
  try {
    config ??= await api.config();
    learn(config.reasons);
    const token = await oidc.finish(config.oidc).catch((error) => login(error.message));
    if (token) api.useToken(token);
    if (on("login").open) return;
    on("forget").hidden = !api.hasToken();
    const who = await api.me();
    if (who.moderator !== moderator) await sit(who);
    const others = outbox.begin(moderator);
    if (others) tell(`Decisions of the login before that were not sent: ${others}. The cases stay in the queue.`);
    fine();
    open();
  } catch (error) {
    if (trouble(error)) setTimeout(begin, AGAIN_MS);
  }
}

/** A desk for somebody who has just logged in. */
async function sit(who) {
  desk?.close();
  queue?.stop();
  supply = new Supply(config.lease_s);
  const tools = { supply, outbox, tell, trouble, fine, offered: (name) => config.reasons[name] ?? [] };
  desk = new Desk(tools);
  queue = new Queue(tools, who.senior);
  supply.want(chosen());
  await supply.resume();
  moderator = who.moderator;
}

function chosen() {
  const kept = sessionStorage.getItem(SUBJECTS) ?? "";
  on("subjects").value = kept;
  return kept ? [kept] : null;
}

// logging in

function login(why) {
  say(on("login-why"), why);
  on("login-oidc").hidden = !config?.oidc;
  if (config?.oidc) say(on("login-oidc"), `Log in at ${new URL(config.oidc.issuer).host}`);
  if (!on("login").open) on("login").showModal();
}

on("login-form").addEventListener("submit", (event) => {
  event.preventDefault();
  api.useToken(on("login-key").value);
  on("login-key").value = "";
  on("login").close();
});
on("login").addEventListener("close", () => {
  if (api.hasToken()) begin();
  else notice("Without a login there is nothing to show. Reload the page to be asked again.");
});
on("login-oidc").addEventListener("click", () => {
  loggingIn = true;
  oidc.begin(config.oidc).catch((error) => say(on("login-why"), error.message));
});
on("forget").addEventListener("click", () => {
  outbox.leave();
  outbox.leaving = [];
  sessionStorage.clear();
  location.reload();
});

// keys and the rest of the frame

const typing = (node) => node.closest("input, textarea, select") !== null;

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || document.querySelector("dialog[open]")) return;
  if (typing(event.target)) {
    if (event.key === "Escape") (place.querySelector("h1") ?? place).focus();
  } else if (event.key === "?") on("help").showModal();
  else if (view === desk) desk?.key(event);
});
document.addEventListener("keyup", (event) => desk?.keyUp(event));
document.addEventListener("pointerdown", () => desk?.touch());
on("help-open").addEventListener("click", () => on("help").showModal());
on("undo").addEventListener("click", () => {
  if (view !== desk) location.hash = "#/";
  desk.undo();
});
on("subjects").addEventListener("change", (event) => {
  sessionStorage.setItem(SUBJECTS, event.target.value);
  event.target.blur();
  supply?.want(chosen()).then(() => {
    if (view !== desk) return;
    const unwanted = desk.entry && chosen() && !chosen().includes(desk.entry.content.subject);
    if (unwanted) desk.skip();
    else if (!desk.entry) desk.advance();
  }, trouble);
});
on("skip").addEventListener("click", (event) => {
  event.preventDefault();
  place.focus();
});
window.addEventListener("hashchange", () => desk && open());
window.addEventListener("blur", () => desk?.veil());
window.addEventListener("pagehide", () => outbox.leave());
// what was decided outlives a reload and a login, but not the tab
window.addEventListener("beforeunload", (event) => outbox.leaving.length && !loggingIn && event.preventDefault());
outbox.hooks.changed();
begin();
