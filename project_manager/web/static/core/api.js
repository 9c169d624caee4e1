// Client of the REST API.
import { readable } from "./format.js";
import { hintOf } from "./hints.js";

export class ApiError extends Error {
  constructor(/** @type {number} */ status, /** @type {Record<string, any>} */ body) {
    super(readable(body.message ?? `The server answered ${status}`));
    this.status = status;
    this.code = body.code ?? "unreadable_answer";
    this.hint = hintOf(body);
    this.details = body.details ?? {};
    this.requestId = body.request_id ?? "";
  }

  /** Return {field: "message. hint"} for a 422 response. */
  get fieldErrors() {
    /** @type {Record<string, string>} */
    const found = {};
    for (const entry of this.details.errors ?? []) {
      const field = String(entry.field).split(/[.[]/)[0];
      const words = [entry.message, entry.hint].filter(Boolean).join(". ");
      found[field] = found[field] ? `${found[field]}; ${words}` : words;
    }
    return found;
  }
}

const OFFLINE = {
  code: "offline",
  message: "The server cannot be reached.",
  hint: "Try again when the connection is back. Check a change first: it may have taken effect.",
};
const UNREADABLE = {
  code: "unreadable_answer",
  message: "The server's answer cannot be read.",
  hint: "Try again. If the error persists, reload the page.",
};
const TIMEOUT_MS = 20_000;

let signedOut = () => {};
let sessions = 0;

/** Set the listener for the end of the session. */
export function onSignedOut(/** @type {() => void} */ listener) {
  signedOut = listener;
}

/** Begin a new session. A 401 that answers a request of an earlier session no longer ends it. */
export function beginSession() {
  sessions += 1;
}

/** Return an idempotency key, by which the server recognises a repeated request. */
export function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

export function queryString(/** @type {Query} */ values) {
  const pairs = Object.entries(values).filter(([, value]) => value !== null && value !== undefined && value !== "");
  return pairs.length ? `?${new URLSearchParams(pairs.map(([name, value]) => [name, String(value)]))}` : "";
}

async function once(
  /** @type {string} */ method,
  /** @type {string} */ path,
  /** @type {Record<string, string>} */ headers,
  /** @type {string | undefined} */ body,
) {
  try {
    const signal = AbortSignal.timeout(TIMEOUT_MS);
    return await fetch(path, { method, headers, body, signal, credentials: "same-origin", cache: "no-cache" });
  } catch {
    throw new ApiError(0, OFFLINE);
  }
}

const pause = (/** @type {number} */ ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function answerOf(/** @type {Response} */ response) {
  if (response.status === 204) return null;
  try {
    return await response.json();
  } catch {
    throw new ApiError(response.status, UNREADABLE);
  }
}

function headersOf(/** @type {string} */ method, /** @type {RequestOptions} */ { body, version, key }) {
  /** @type {Record<string, string>} */
  const headers = { Accept: "application/json" };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (version !== undefined) headers["If-Match"] = `"${version}"`;
  if (method === "POST") headers["Idempotency-Key"] = key ?? newKey();
  return headers;
}

/** Return the JSON of the response. Throw ApiError. Retry a 503 once; a POST has the same idempotency key again. */
/** @param {string} method @param {string} path @param {RequestOptions} [options] */
export async function request(method, path, options = {}) {
  const headers = headersOf(method, options);
  const text = JSON.stringify(options.body);
  const session = sessions;
  let response = await once(method, path, headers, text);
  if (response.status === 503) {
    await pause(Math.min(5, Number(response.headers.get("Retry-After")) || 1) * 1000);
    response = await once(method, path, headers, text);
  }
  const answer = await answerOf(response);
  if (response.ok) return answer;
  if (response.status === 401 && session === sessions && !path.startsWith("/api/session")) signedOut();
  throw new ApiError(response.status, answer ?? {});
}

/** @template {string} Path @returns {Promise<Answer<Path>>} */
export const get = (/** @type {Path} */ path, /** @type {Query} */ query = {}) =>
  request("GET", path + queryString(query));
export const post = (/** @type {string} */ path, /** @type {unknown} */ body, /** @type {string} */ key = newKey()) =>
  request("POST", path, { body, key });
export const put = (/** @type {string} */ path, /** @type {unknown} */ body) => request("PUT", path, { body });
export const patch = (/** @type {string} */ path, /** @type {unknown} */ body, /** @type {number} */ version) =>
  request("PATCH", path, { body, version });
export const remove = (/** @type {string} */ path, /** @type {RequestOptions} */ options = {}) =>
  request("DELETE", path, options);
