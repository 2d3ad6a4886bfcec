// Asks the service. An answer that has not changed since (ETag) is not sent again.

const KEY = "overture-api-key";
const LIMIT_MS = 10_000;
const PICTURES = 200;

export class Refused extends Error {
  /** @param {number} status HTTP status; @param {object} problem RFC 9457 document, maybe empty */
  constructor(status, problem) {
    super(problem.detail ?? `The service answered ${status}.`);
    this.status = status;
    this.code = problem.code ?? "";
  }
}

export class Away extends Error {}

const known = new Map();
const pictures = new Map();

export const hasKey = () => sessionStorage.getItem(KEY) !== null;

export function useKey(text) {
  sessionStorage.setItem(KEY, text.trim());
}

export function forgetKey() {
  sessionStorage.removeItem(KEY);
  known.clear();
  for (const address of pictures.values()) address.then(URL.revokeObjectURL, () => {});
  pictures.clear();
}

async function ask(path, headers, signal) {
  const key = sessionStorage.getItem(KEY);
  if (key !== null) headers.Authorization = `Bearer ${key}`;
  const limit = AbortSignal.timeout(LIMIT_MS);
  let answer;
  try {
    answer = await fetch(path, {
      headers,
      cache: "no-store",
      signal: signal ? AbortSignal.any([signal, limit]) : limit,
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Away("The service does not answer.");
  }
  if (answer.ok || answer.status === 304) return answer;
  const type = answer.headers.get("content-type") ?? "";
  throw new Refused(answer.status, type.includes("json") ? await answer.json() : {});
}

/** The document at `path`; the same object as before if it has not changed. */
export async function get(path, signal) {
  const before = known.get(path);
  const answer = await ask(path, before ? { "If-None-Match": before.tag } : {}, signal);
  if (answer.status === 304) return before.document;
  const document = await answer.json();
  const tag = answer.headers.get("etag");
  if (tag) {
    if (known.size > 50) known.clear();
    known.set(path, { tag, document });
  }
  return document;
}

/** Address of an upload's picture, for an <img>; fetched once, with the key. */
export function picture(mediaId) {
  let address = pictures.get(mediaId);
  if (!address) {
    address = ask(`/v1/media/${mediaId}/thumbnail`, {})
      .then((answer) => answer.blob())
      .then((blob) => URL.createObjectURL(blob));
    address.catch(() => pictures.delete(mediaId));
    pictures.set(mediaId, address);
    if (pictures.size > PICTURES) {
      const [oldest, its] = pictures.entries().next().value;
      pictures.delete(oldest);
      its.then(URL.revokeObjectURL, () => {});
    }
  }
  return address;
}
