// Numbers and times for people. Unknown values are an en dash.

export const UNKNOWN = "–";
const count = new Intl.NumberFormat("en-GB");
const rate = new Intl.NumberFormat("en-GB", { maximumSignificantDigits: 3 });
const clock = new Intl.DateTimeFormat("en-GB", {
  year: "numeric", month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", second: "2-digit",
});

export const number = (value) => (value === null || value === undefined ? UNKNOWN : count.format(value));
export const perSecond = (value) => (value === null || value === undefined ? UNKNOWN : rate.format(value));

/** Milliseconds as the shortest of ms, s, min, h. */
export function duration(ms) {
  if (ms === null || ms === undefined) return UNKNOWN;
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(ms < 10_000 ? 2 : 1)} s`;
  if (ms < 3_600_000) return `${(ms / 60_000).toFixed(1)} min`;
  return `${(ms / 3_600_000).toFixed(1)} h`;
}

/** How long ago, by the service's clock where it is known. */
export function ago(text, now = Date.now()) {
  if (!text) return UNKNOWN;
  const seconds = Math.max(0, (now - Date.parse(text)) / 1000);
  if (seconds < 60) return `${Math.round(seconds)} s ago`;
  if (seconds < 3600) return `${Math.round(seconds / 60)} min ago`;
  if (seconds < 172_800) return `${Math.round(seconds / 3600)} h ago`;
  return `${Math.round(seconds / 86_400)} days ago`;
}

/** A share as per cent, `signed` with its sign always. */
export function percent(value, signed = false) {
  const text = (100 * value).toFixed(Math.abs(value) < 0.1 ? 2 : 1);
  return `${signed && value > 0 ? "+" : ""}${text.replace("-", "−")} %`;
}

export const moment = (text) => (text ? clock.format(new Date(text)) : UNKNOWN);

export function bytes(size) {
  if (size === null || size === undefined) return UNKNOWN;
  if (size < 1000) return `${size} B`;
  const steps = ["kB", "MB", "GB"];
  let value = size / 1000;
  let place = 0;
  while (value >= 1000 && place < 2) {
    value /= 1000;
    place += 1;
  }
  return `${value.toPrecision(3)} ${steps[place]}`;
}

export const words = (name) => name.replaceAll("_", " ");
