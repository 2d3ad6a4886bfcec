// Decisions on their way to the service: held a moment so that they can be taken back, and kept until they have arrived.

import * as api from "./api.js";

const KEPT = "overture-review-decisions";
const HOLD_MS = 3000;
const AGAIN_MS = 2000;

export class Outbox {
  /**
   * @param {{sent: Function, refused: Function, trouble: Function, changed: Function}} hooks
   *   sent(), refused(decision, error), trouble(error), changed()
   */
  constructor(hooks) {
    this.hooks = hooks;
    this.moderator = "";
    this.held = null;
    this.leaving = JSON.parse(sessionStorage.getItem(KEPT) ?? "[]");
    this.sending = false;
    this.timer = 0;
    this.again = 0;
  }

  /** Somebody has logged in: send what they decided. How many decisions of somebody else are let go. */
  begin(moderator) {
    this.flush();
    this.moderator = moderator;
    const own = this.leaving.filter((decision) => decision.by === moderator);
    const others = this.leaving.length - own.length;
    this.leaving = own;
    this.changed();
    this.send();
    return others;
  }

  /** Take a decision on a case. The one before it leaves now. */
  hold(entry, action, reasons) {
    this.flush();
    // of the case that was looked at: what somebody else has changed meanwhile is looked at again
    const body = { action, reasons, note: entry.note.trim(), seq: entry.content.seq };
    this.held = { entry, id: entry.id, subject: entry.content.subject, by: this.moderator, key: crypto.randomUUID?.() ?? random(), body };
    this.timer = setTimeout(() => this.flush(), HOLD_MS);
    this.changed();
  }

  /** The case whose decision can still be taken back, the decision taken back; undefined if there is none. */
  undo() {
    const taken = this.held?.entry;
    clearTimeout(this.timer);
    this.held = null;
    this.changed();
    return taken;
  }

  flush() {
    clearTimeout(this.timer);
    if (!this.held) return;
    const { entry, ...decision } = this.held;
    this.held = null;
    entry.drop();
    this.leaving.push(decision);
    this.changed();
    this.send();
  }

  /** Send what waits, in order. */
  async send() {
    if (this.sending) return;
    this.sending = true;
    clearTimeout(this.again);
    while (this.leaving.length) {
      const decision = this.leaving[0];
      let refusal = null;
      try {
        await api.act(decision.id, decision.body, decision.key);
        this.hooks.sent();
      } catch (error) {
        if (!final(error)) {
          this.hooks.trouble(error);
          if (error.status !== 401) this.again = setTimeout(() => this.send(), AGAIN_MS);
          break;
        }
        refusal = error;
      }
      this.leaving = this.leaving.filter((each) => each !== decision);
      this.changed();
      if (refusal) this.hooks.refused(decision, refusal);
    }
    this.sending = false;
  }

  /** The page is left: send what can be sent. Arriving twice does no harm: the key is the same. */
  leave() {
    this.flush();
    for (const { id, body, key } of this.leaving) api.act(id, body, key, true).catch(() => {});
  }

  changed() {
    sessionStorage.setItem(KEPT, JSON.stringify(this.leaving));
    this.hooks.changed();
  }
}

/** Whether asking again would bring the same answer. */
const final = (error) => error instanceof api.Refused && error.status !== 401 && error.status !== 429 && error.status < 500;

/** As random as a UUID, for pages that are not served over HTTPS. */
const random = () => Array.from(crypto.getRandomValues(new Uint32Array(4)), (part) => part.toString(16).padStart(8, "0")).join("");
