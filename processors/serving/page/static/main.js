// Chooses the view by the address, and keeps it fresh while somebody looks.

import { Away, Refused, forgetKey, hasKey, useKey } from "./api.js";
import { say } from "./dom.js";
import { Experiments } from "./experiments.js";
import { ago } from "./format.js";
import { Item } from "./item.js";
import { Overview } from "./overview.js";

const EVERY_MS = 2000;
const place = document.getElementById("content");
const notice = document.getElementById("notice");
const pulse = document.getElementById("pulse");
const dialog = document.getElementById("key");

let view = null;
let turn = null;
let timer = 0;
let freshAt = 0;
let asking = false;

function chosen() {
  const parts = location.hash.replace(/^#\/?/, "").split("/");
  if (parts[0] === "items" && parts[1]) return new Item(decoded(parts[1]));
  if (parts[0] === "experiments") return new Experiments();
  return new Overview();
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function open(first) {
  turn?.abort();
  view = chosen();
  view.refresh = () => tick();
  for (const link of document.querySelectorAll("nav a")) {
    if (link.hash === (location.hash || "#/")) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  place.replaceChildren(view.root);
  document.title = `${view.title} · Overture`;
  window.scrollTo(0, 0);
  if (!first) place.querySelector("h1").focus();
  tick();
}

async function tick() {
  clearTimeout(timer);
  turn?.abort();
  if (document.hidden || asking) return;
  const mine = new AbortController();
  turn = mine;
  try {
    const { broker, now } = await view.update(mine.signal);
    if (mine.signal.aborted) return;
    freshAt = Date.now();
    live(broker, now);
  } catch (error) {
    if (mine.signal.aborted) return;
    if (!trouble(error)) return;
  }
  timer = setTimeout(tick, EVERY_MS);
}

function live(broker, now) {
  const away = broker && broker.state === "away";
  const age = broker?.read_at ? `figures read ${ago(broker.read_at, now)}` : "";
  state(away ? "warn" : "good", away ? "Broker away" : "Live", away ? age : "");
  tell(away ? `The broker does not answer; topics and capabilities are shown as they were${broker.read_at ? `, ${age}` : ""}.` : "");
}

/** Show what went wrong; whether to go on asking. */
function trouble(error) {
  if (error instanceof Refused && error.status === 401) {
    state("warn", "Key needed", "");
    askForKey(hasKey() ? error.message : "This service wants an API key.");
    return false;
  }
  if (error instanceof Refused && error.status === 403) {
    state("bad", "Refused", "");
    tell(error.message);
    document.getElementById("forget").hidden = false;
    return false;
  }
  const since = freshAt ? `what is shown is from ${ago(new Date(freshAt).toISOString())}` : "nothing is known yet";
  state("bad", "Service away", "");
  tell(`${error instanceof Away || error instanceof Refused ? error.message : "This page could not show the answer."} It is asked again; ${since}.`);
  if (!(error instanceof Away || error instanceof Refused)) console.error(error);
  return true;
}

function state(tone, word, age) {
  pulse.className = `pulse ${tone}`;
  say(document.getElementById("pulse-state"), word);
  say(document.getElementById("pulse-age"), age);
}

function tell(text) {
  notice.hidden = !text;
  say(notice, text);
}

function askForKey(why) {
  asking = true;
  say(document.getElementById("key-why"), why);
  if (!dialog.open) dialog.showModal();
}

document.getElementById("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const field = document.getElementById("key-value");
  forgetKey();
  useKey(field.value);
  field.value = "";
  document.getElementById("forget").hidden = false;
  dialog.close();
});
dialog.addEventListener("close", () => {
  asking = false;
  if (hasKey()) tick();
  else tell("Without a key there is nothing to show. Reload the page to be asked again.");
});
document.getElementById("forget").addEventListener("click", () => {
  forgetKey();
  location.reload();
});
document.getElementById("open").addEventListener("submit", (event) => {
  event.preventDefault();
  const field = document.getElementById("open-id");
  location.hash = `#/items/${encodeURIComponent(field.value.trim())}`;
  field.value = "";
});
document.getElementById("skip").addEventListener("click", (event) => {
  event.preventDefault();
  place.focus();
});
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) tick();
});
window.addEventListener("hashchange", () => open(false));
document.getElementById("forget").hidden = !hasKey();
open(true);
