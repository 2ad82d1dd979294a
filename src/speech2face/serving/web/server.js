// Asking the server by HTTP: a face for a recording, and which model draws it.

import { Problem, readProblem, unreachable } from "./problem.js";

const ATTEMPTS = 6; // at a busy server
const WAIT_SECONDS = 3; // where it does not say how long

/** The address of a path of the server, wherever the page itself lies. */
export function address(path, query = {}) {
  const url = new URL(path, document.baseURI);
  url.search = new URLSearchParams(query);
  return url;
}

/** The server's answer for a recording (Blob), drawn as chosen; as `askPatiently`. */
export const reconstruct = (recording, choices, signal, tell) =>
  askPatiently("v1/reconstruct", choices, recording, signal, tell, "Drawing the face …");

/**
 * The server's answer for a recording (Blob) at a path. `tell` is called with {words, share} while it
 * is sent, with {words: working} once it has come, and with {words} each second until a busy server is
 * asked again. Throws a Problem, or an AbortError once `signal` is raised.
 */
export async function askPatiently(path, query, recording, signal, tell, working) {
  const url = address(path, query);
  for (let attempt = 1; ; attempt++) {
    try {
      return await post(url, recording, signal, tell, working);
    } catch (problem) {
      if (problem.status !== 503 || attempt === ATTEMPTS) throw problem;
      for (let wait = problem.retryAfter || WAIT_SECONDS; wait > 0; wait--) {
        tell({ words: `The server is busy. Trying again in ${wait} s …` });
        await pause(1000, signal);
      }
    }
  }
}

/** The model that draws, its shapes of hair, the most bytes taken, the most seconds disguised, 0
 * where nothing is; none where nothing answers. */
export async function readService() {
  try {
    const { models, limits } = await (await fetch(address("v1/models"))).json();
    const [{ name, hair_shapes: shapes }] = models;
    const { bytes, protected_seconds: disguisedSeconds } = limits;
    return { model: name, shapes: shapes ?? 0, bytes, taker: "server", disguisedSeconds };
  } catch {
    return { model: "", shapes: 0, bytes: Infinity, taker: "server", disguisedSeconds: null };
  }
}

/** The Problem that no stream could be opened: browsers do not tell, so the server is asked. */
export async function explainNoStream() {
  try {
    const headers = { "Speech2Face-Page": location.origin };
    const answer = await fetch(address("v1/stream"), { headers });
    return readProblem(await answer.json(), answer.status);
  } catch {
    return unreachable();
  }
}

/** XMLHttpRequest, because fetch does not tell how much has been sent. */
function post(url, body, signal, tell, working) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    const abort = () => request.abort();
    signal.throwIfAborted();
    signal.addEventListener("abort", abort);
    request.open("POST", url);
    request.responseType = "json";
    request.setRequestHeader("Accept", "application/json");
    request.setRequestHeader("Content-Type", body.type || "application/octet-stream");
    request.upload.onprogress = ({ loaded, total }) => tell(loaded < total
      ? { words: "Sending the recording …", share: loaded / total }
      : { words: working });
    request.onload = () => {
      if (request.status === 200 && request.response) return resolve(request.response);
      const retryAfter = Number(request.getResponseHeader("Retry-After")) || 0;
      reject(readProblem(request.response, request.status, retryAfter));
    };
    request.onerror = () => reject(unreachable());
    request.onabort = () => reject(signal.reason);
    request.onloadend = () => signal.removeEventListener("abort", abort);
    request.send(body);
  });
}

function pause(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener("abort", stop);
      resolve();
    }, milliseconds);
    signal.addEventListener("abort", stop, { once: true });
  });
}
