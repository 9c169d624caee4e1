// A request with a large body, and its progress. `fetch` does not report how much of a body is sent.
import { ApiError, queryString } from "./api.js";

const OFFLINE = {
  code: "offline",
  message: "The connection ended before the server answered.",
  hint: "Try again when the connection is back. Check a change first: it may have taken effect.",
};

/**
 * POST `body` as a plan. `progress` gets the sent share, from 0 to 1. Resolve to the JSON; reject with ApiError.
 * @param {string} path @param {Query} query @param {ArrayBuffer} body @param {(share: number) => void} progress
 * @returns {Promise<any>}
 */
export function sendPlan(path, query, body, progress) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    const fail = (/** @type {object} */ answer) => reject(new ApiError(request.status, answer));
    request.open("POST", path + queryString(query));
    request.responseType = "json";
    request.setRequestHeader("Accept", "application/json");
    request.setRequestHeader("Content-Type", "application/yaml");
    request.upload.onprogress = ({ loaded, total }) => progress(total ? loaded / total : 1);
    request.onerror = () => fail(OFFLINE);
    request.onload = () =>
      (request.status >= 200 && request.status < 300 && request.response ? resolve(request.response)
        : fail(request.response ?? {}));
    request.send(body);
  });
}
