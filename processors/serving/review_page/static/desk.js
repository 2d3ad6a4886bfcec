// One case at a time: shows it, takes the keys, hands the decision on, shows the next.

import { el } from "/page/dom.js";
import { isLost } from "./api.js";
import { confirmBar, firstBar, ordered, pages, reasonAt, reasonBar } from "./choices.js";
import { evidence } from "./evidence.js";
import * as tally from "./tally.js";
import { DONE, refusal, subject } from "./words.js";

const TEXT = "overture-review-blur-text";
const POLL_MS = 4000;
const KEEP_MS = 20_000;
const PEEK_MS = 350;
const AWAY_MS = 300_000;

export class Desk {
  title = "Desk";

  /**
   * @param {{supply: object, outbox: object, offered: (subject: string) => object[], tell: Function,
   *   trouble: Function, fine: Function, help: Function}} tools tell(text, undo?) says something; trouble(error)
   *   shows it and returns whether to go on asking; fine() says that the service answers
   */
  constructor(tools) {
    Object.assign(this, tools);
    this.root = el("div", { class: "desk" });
    this.entry = null;
    this.choice = null;
    this.moving = Promise.resolve();
    this.timer = 0;
    this.activeAt = performance.now();
    this.keeper = setInterval(() => this.keep(), KEEP_MS);
  }

  // what is shown

  /** Show this case, or the one in work, or the next. */
  async start(id) {
    if (id && id !== this.entry?.id) return this.run(() => this.supply.open(id));
    return this.entry ? this.show(this.entry) : this.advance();
  }

  advance() {
    return this.run(() => this.supply.take());
  }

  /** Show what `source` brings, one source after the other; what it cannot bring is asked for again. */
  run(source) {
    clearTimeout(this.timer);
    this.entry = null;
    this.choice = null;
    this.moving = this.moving.then(source).then(
      (entry) => {
        this.fine();
        if (entry) this.show(entry);
        else this.rest();
      },
      (error) => {
        if (isLost(error)) {
          this.tell(refusal(error.code, error.message));
          // the case before is still ours
          if (this.supply.current) this.show(this.supply.current);
          else this.timer = setTimeout(() => this.leave(), 0);
        } else if (this.trouble(error)) {
          this.message("Waiting for the service.", "Cases appear here as soon as it answers.");
          this.timer = setTimeout(() => this.run(source), POLL_MS / 2);
        }
      },
    );
    return this.moving;
  }

  show(entry) {
    clearTimeout(this.timer);
    this.entry = entry;
    this.choice = null;
    entry.shownAt = performance.now();
    this.veil();
    const shown = evidence(entry, sessionStorage.getItem(TEXT) !== null);
    this.bar = el("div", { class: "deck" });
    this.note = el("textarea", { maxlength: 2000, rows: 2, placeholder: "Note for other moderators and the log. No names, please." });
    this.note.value = entry.note;
    this.note.addEventListener("input", () => { entry.note = this.note.value; });
    this.noting = el("label", { class: "noting", hidden: !entry.note }, "Note ", this.note);
    const sight = el("div", { class: "sight" }, ...shown.sight);
    sight.addEventListener("click", (event) => {
      if (event.target.matches(".veiled") && !String(getSelection())) this.look();
    });
    this.root.replaceChildren(
      el("div", { class: "case-head" }, ...shown.head), sight, el("aside", { class: "about-case", "aria-label": "About the case" }, ...shown.facts, this.noting), this.bar);
    this.redraw();
    this.root.querySelector("h1").focus({ preventScroll: true });
    window.scrollTo(0, 0);
  }

  rest() {
    this.message("Nothing waits for you.", "This page goes on looking, and shows a case as soon as there is one.");
    this.timer = setTimeout(() => (document.hidden ? this.rest() : this.advance()), POLL_MS);
  }

  message(title, text) {
    if (this.root.querySelector("h1")?.textContent === title) return;
    this.root.replaceChildren(el("div", { class: "rest", role: "status" }, el("h1", { tabindex: "-1", text: title }), el("p", { text })));
  }

  redraw() {
    const { means } = this.entry.content;
    const back = () => this.begin(null);
    const action = this.choice?.action;
    if (!action) this.bar.replaceChildren(firstBar(means, (name) => this.do(name)));
    else if (action === "reject") {
      this.bar.replaceChildren(reasonBar(this.choice, means.reject, {
        pick: (place, mark) => this.pick(place, mark), turn: () => this.turn(), send: () => this.decide([...this.choice.marked]), back,
      }));
    } else this.bar.replaceChildren(confirmBar(action, means[action], () => this.decide([]), back));
    (this.bar.querySelector(".go") ?? this.root.querySelector("h1")).focus({ preventScroll: true });
  }

  /** Somebody else has logged in: this desk is left. */
  close() {
    clearTimeout(this.timer);
    clearInterval(this.keeper);
    this.supply.drop();
  }

  // what is done

  do(name) {
    if (name === "skip") this.skip();
    else if (name === "look") this.look();
    else if (name === "note") this.write();
    else this.begin(name);
  }

  /** Begin a choice, or leave the one that was begun. */
  begin(action) {
    const { content } = this.entry;
    if (action && !content.means[action].allowed) {
      this.tell(refusal(content.means[action].why));
      return;
    }
    this.choice = action && { action, page: 0, marked: new Set(), codes: ordered(content.reasons, this.offered(content.subject)) };
    this.redraw();
  }

  pick(place, mark) {
    const reason = reasonAt(this.choice, place);
    if (!reason) return;
    const { marked } = this.choice;
    if (!mark) {
      this.decide([...marked.add(reason.code)]);
      return;
    }
    if (!marked.delete(reason.code)) marked.add(reason.code);
    this.redraw();
  }

  turn() {
    this.choice.page = (this.choice.page + 1) % pages(this.choice);
    this.redraw();
  }

  decide(reasons) {
    const { entry, choice } = this;
    tally.add((performance.now() - entry.shownAt) / 1000);
    this.outbox.hold(entry, choice.action, reasons);
    this.tell(`${DONE[choice.action]}: ${subject(entry.content.subject).toLowerCase()}.`, () => this.undo());
    this.leave();
  }

  async undo() {
    await this.moving;
    const entry = this.outbox.undo();
    if (!entry) {
      this.tell("Too late to undo: the decision is on its way.");
      return;
    }
    tally.remove();
    this.outbox.hooks.changed();
    this.supply.back(entry);
    this.tell("Taken back.");
    this.show(entry);
  }

  skip() {
    this.supply.release(this.entry).catch(this.trouble);
    this.tell("Skipped.");
    this.leave();
  }

  /** On to the next case; the address is that of the desk again. */
  leave() {
    if (location.hash.startsWith("#/cases/")) history.replaceState(null, "", "#/");
    this.advance();
  }

  /** Stay the holder of the case in work as long as somebody is there, and learn when it is gone. */
  async keep() {
    const { entry } = this;
    if (!entry || document.hidden || performance.now() - this.activeAt > AWAY_MS) return;
    const { seq } = entry.content;
    try {
      await this.supply.renew(entry);
      this.fine();
      // somebody else had it meanwhile: what is on the screen is not what would be decided
      if (this.entry === entry && entry.content.seq !== seq) this.show(entry);
    } catch (error) {
      if (this.entry !== entry) return;
      if (isLost(error)) {
        this.tell(refusal(error.code, error.message));
        entry.drop();
        this.leave();
      } else this.trouble(error);
    }
  }

  // pictures and notes

  veil() {
    this.root.classList.remove("clear");
  }

  look() {
    this.root.classList.toggle("clear");
  }

  write() {
    this.noting.hidden = false;
    this.note.focus();
  }

  blurText() {
    if (sessionStorage.getItem(TEXT) === null) sessionStorage.setItem(TEXT, "yes");
    else sessionStorage.removeItem(TEXT);
    const blurred = sessionStorage.getItem(TEXT) !== null;
    this.root.querySelector(".excerpt")?.classList.toggle("veiled", blurred);
    this.tell(blurred ? "Text is blurred as well." : "Text is not blurred.");
  }

  // keys

  /** Somebody is there. */
  touch() {
    this.activeAt = performance.now();
  }

  /** A key pressed while nothing is being typed. */
  key(event) {
    this.touch();
    const key = event.key.toLowerCase();
    if (key === "u") return this.undo();
    if (key === "t") return this.blurText();
    if (!this.entry) return undefined;
    if (key === "escape") return this.choice && this.begin(null);
    if (key === " ") return this.press(event);
    const digit = /^(?:Digit|Numpad)(\d)$/.exec(event.code)?.[1];
    if (digit !== undefined && this.choice?.action === "reject") {
      return digit === "0" ? this.turn() : this.pick(Number(digit) - 1, event.shiftKey);
    }
    const name = { a: "approve", r: "reject", e: "escalate", n: "skip", o: "note" }[key];
    if (!name) return undefined;
    // or the letter would be typed into the note that it opens
    event.preventDefault();
    return this.do(name);
  }

  press(event) {
    // a button that has the focus is pressed by it
    if (event.target.closest("button, a, select")) return;
    event.preventDefault();
    this.look();
    this.pressedAt = performance.now();
  }

  /** A key let go: a space bar that was held long has only peeked. */
  keyUp(event) {
    if (event.key !== " " || !this.pressedAt) return;
    if (performance.now() - this.pressedAt > PEEK_MS) this.veil();
    this.pressedAt = 0;
  }
}
