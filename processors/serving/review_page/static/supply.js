// Cases leased to us: the one in work and one in reserve, pictures and all, so that the next one is there at once.

import * as api from "./api.js";

const HELD = "overture-review-held";
const MARGIN_MS = 20_000;
const RESERVE = 1;

/** A case and what belongs to it in this window. */
class Entry {
  constructor(content, leaseS) {
    this.id = content.review_id;
    this.pictures = new Map();
    this.note = "";
    this.shownAt = 0;
    this.renewed(content, leaseS);
    for (const path of [...content.pictures.map((each) => each.url), ...content.nearest.map((each) => each.picture)]) {
      if (path) this.load(path);
    }
  }

  renewed(content, leaseS) {
    this.content = content;
    this.until = performance.now() + leaseS * 1000;
  }

  get fresh() {
    return performance.now() < this.until - MARGIN_MS;
  }

  load(path) {
    const address = api.picture(path);
    address.catch(() => {});
    this.pictures.set(path, address);
  }

  drop() {
    for (const address of this.pictures.values()) address.then(URL.revokeObjectURL, () => {});
    this.pictures.clear();
  }
}

export class Supply {
  /** @param {number} leaseS how long the service leases a case, seconds */
  constructor(leaseS) {
    this.leaseS = leaseS;
    this.subjects = null;
    this.ready = [];
    this.current = null;
    this.asking = null;
  }

  /** Make the next case the current one; null if there is none. What was current has to be settled before. */
  async take() {
    this.current = null;
    this.remember();
    await this.asking;
    for (;;) {
      const entry = this.ready.shift() ?? (await this.ask());
      if (!entry) break;
      if (entry.fresh || (await this.renew(entry).catch(lost))) {
        this.current = entry;
        break;
      }
      entry.drop();
    }
    this.remember();
    if (this.current) this.reserve();
    return this.current;
  }

  /** Lease one case that was chosen, and make it the current one. */
  async open(id) {
    const entry = new Entry(await api.lease(id), this.leaseS);
    this.ready = this.ready.filter((each) => each.id !== id);
    if (this.current && this.current.id !== id) this.ready.unshift(this.current);
    this.current = entry;
    this.remember();
    return entry;
  }

  /** Back to a case whose decision was taken back; the current one waits. */
  back(entry) {
    if (this.current) this.ready.unshift(this.current);
    this.current = entry;
    this.remember();
  }

  /** What this tab held before it was loaded again. Cases that are gone, or somebody else's by now, are left. */
  async resume() {
    const held = JSON.parse(sessionStorage.getItem(HELD) ?? "[]");
    for (const id of held) {
      const content = await api.lease(id).catch(lost);
      if (content) this.ready.push(new Entry(content, this.leaseS));
    }
  }

  /** Keep a case for another while. */
  async renew(entry) {
    entry.renewed(await api.lease(entry.id), this.leaseS);
    return true;
  }

  /** Let go of everything here; the leases run out by themselves. */
  drop() {
    for (const entry of [this.current, ...this.ready]) entry?.drop();
  }

  /** Give a case back for somebody else; the service does not offer it to us for a while. */
  async release(entry) {
    entry.drop();
    await api.release(entry.id).catch(lost);
  }

  /** From now on only these subjects, null for all; what else is in reserve goes back. */
  async want(subjects) {
    this.subjects = subjects;
    await this.asking;
    const other = this.ready.filter((entry) => subjects && !subjects.includes(entry.content.subject));
    this.ready = this.ready.filter((entry) => !other.includes(entry));
    this.remember();
    await Promise.all(other.map((entry) => this.release(entry)));
  }

  async ask() {
    const content = await api.next(this.subjects);
    return content && new Entry(content, this.leaseS);
  }

  reserve() {
    if (this.asking || this.ready.length >= RESERVE) return;
    // a failure here is met again, and shown, when the case is wanted
    this.asking = this.ask()
      .then((entry) => entry && this.ready.push(entry), () => {})
      .finally(() => {
        this.asking = null;
        this.remember();
      });
  }

  remember() {
    const held = [this.current, ...this.ready].filter(Boolean).map((entry) => entry.id);
    sessionStorage.setItem(HELD, JSON.stringify(held));
  }
}

/** Null for a case that cannot be ours any more; everything else is trouble. */
export function lost(error) {
  if (api.isLost(error)) return null;
  throw error;
}
