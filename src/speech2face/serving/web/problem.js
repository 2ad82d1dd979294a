// What can go wrong, in words for the reader.

/** @type {Record<number, string>} */
const TITLES = {
  400: "The server did not understand",
  413: "The recording is too large",
  415: "This file cannot be read",
  422: "Not enough speech",
  503: "The server is busy",
};

/** An error with a heading and one clear line; `status` is HTTP's, 0 where there was no answer. */
export class Problem extends Error {
  /** @param {string} title @param {string} detail */
  constructor(title, detail, status = 0, retryAfter = 0) {
    super(detail);
    this.title = title;
    this.status = status;
    this.retryAfter = retryAfter; // s
  }

  /** Trying the same recording again may help. */
  get passing() {
    return this.status === 0 || this.status >= 500;
  }
}

/** The Problem that an engine told of: the fields of problem+json, perhaps none.
 * @param {{title?: string, detail?: string} | null} fields @param {number} status */
export function readProblem(fields, status, retryAfter = 0) {
  const title = TITLES[status] ?? fields?.title ?? "Something went wrong";
  const detail = fields?.detail ?? `The server answered ${status} without saying why.`;
  return new Problem(title, sentence(detail), status, retryAfter);
}

export function unreachable() {
  if (!navigator.onLine) {
    return new Problem("You are offline", "Connect to the network and try again.");
  }
  return new Problem(
    "The server cannot be reached",
    "Check that speech2face serve still runs, and try again.",
  );
}

/** @param {string} text */
function sentence(text) {
  const line = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?…]$/.test(line) ? line : `${line}.`;
}
