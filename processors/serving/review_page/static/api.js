// Asks the service for cases and pictures, and tells it what was decided.

import { Away, Refused } from "/page/api.js";

export { Away, Refused };

const TOKEN = "overture-review-token";
const LIMIT_MS = 10_000;

export const hasToken = () => sessionStorage.getItem(TOKEN) !== null;
export const useToken = (text) => sessionStorage.setItem(TOKEN, text.trim());
export const forgetToken = () => sessionStorage.removeItem(TOKEN);

/**
 * One request; only answers that say yes come back.
 * @param {{body?: object, headers?: object, keepalive?: boolean}} options
 * @throws {Refused} the service says no; @throws {Away} it does not answer
 */
async function ask(method, path, { body, headers = {}, keepalive = false } = {}) {
  const token = sessionStorage.getItem(TOKEN);
  const sent = { ...headers };
  if (token !== null) sent.Authorization = `Bearer ${token}`;
  if (body !== undefined) sent["Content-Type"] = "application/json";
  let answer;
  try {
    answer = await fetch(path, {
      method,
      headers: sent,
      body: body === undefined ? undefined : JSON.stringify(body),
      cache: "no-store",
      keepalive,
      signal: AbortSignal.timeout(LIMIT_MS),
    });
  } catch {
    throw new Away("The service does not answer.");
  }
  if (answer.ok) return answer;
  const type = answer.headers.get("content-type") ?? "";
  throw new Refused(answer.status, type.includes("json") ? await answer.json() : {});
}

const json = async (method, path, options) => (await ask(method, path, options)).json();
const place = (id) => `/v1/review/cases/${encodeURIComponent(id)}`;

export const config = () => json("GET", "/v1/review/config");
export const me = () => json("GET", "/v1/review/me");
export const lease = (id) => json("POST", `${place(id)}/lease`);
export const release = (id) => ask("POST", `${place(id)}/release`);

/** Cases of a state and a subject; empty text stands for all. */
export function cases(state, subject) {
  const wanted = new URLSearchParams({ limit: "100" });
  if (state) wanted.set("state", state);
  if (subject) wanted.set("subject", subject);
  return json("GET", `/v1/review/cases?${wanted}`);
}

/** The most important case, leased to us; null if there is none. */
export async function next(subjects) {
  const answer = await ask("POST", "/v1/review/next", { body: { subjects } });
  return answer.status === 204 ? null : answer.json();
}

/** Say what was decided; the same `key` again is the same decision. */
export function act(id, decision, key, keepalive = false) {
  return json("POST", `${place(id)}/actions`, { body: decision, headers: { "Idempotency-Key": key }, keepalive });
}

/** Address of a picture for an <img>, which could not send a token; to be revoked. */
export async function picture(path) {
  return URL.createObjectURL(await (await ask("GET", path)).blob());
}

/** Whether an error says that a case cannot be ours any more: erased, closed, somebody else's, not for us. */
export const isLost = (error) =>
  error instanceof Refused && [403, 404, 409].includes(error.status) && error.code !== "scope-missing";
