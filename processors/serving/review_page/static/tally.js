// How much was decided in this tab, and how quickly.

const KEPT = "overture-review-times";
let times = JSON.parse(sessionStorage.getItem(KEPT) ?? "[]");

/** A decision that took so many seconds. */
export function add(seconds) {
  times.push(Math.round(seconds * 10) / 10);
  keep();
}

/** The newest decision was taken back. */
export function remove() {
  times.pop();
  keep();
}

/** For example `3 decided, median 2.4 s`. */
export function spoken() {
  if (!times.length) return "";
  const sorted = times.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const median = sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
  return `${times.length} decided, median ${median.toFixed(1)} s`;
}

function keep() {
  times = times.slice(-1000);
  sessionStorage.setItem(KEPT, JSON.stringify(times));
}
