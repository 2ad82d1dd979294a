// The engine that draws on this device: a worker does the work. It takes and gives what `server.js`
// and `live.js` do, so that the page is the same with either.

import { Problem, readProblem } from "../problem.js";
import { findMark } from "./disguises.js";
import { UnreadableSound } from "./recording.js";
import { decodeFile, readSeconds } from "./sound-files.js";
import { concatenate } from "./statistics.js";

/** @typedef {Record<string, any>} Answer the fields of the server's */
/** How the face is drawn, as the server's parameters.
 * @typedef {{style: string, strength: string, hair: string, size: number, samples: number,
 *   speaker?: string}} Choices */
/** @typedef {{words: string, share?: number}} Progress */
/** @typedef {(progress: Progress) => void} Tell */

const MOST_BYTES = 64e6; // of a file
const MOST_DISGUISED = 1800; // s of a recording: more takes more memory than a page has
const PREVIEW_SECONDS = 0.5; // of new sound between two previews
const BETTER_SECONDS = 1; // of more speech make a face worth drawing again

const worker = new Worker(new URL("engine-worker.js", import.meta.url), { type: "module" });
/** @type {Map<number, {resolve: (answer: Answer) => void, reject: (error: unknown) => void,
 *   tell: Tell}>} */
const asked = new Map();
let numbers = 0;
/** @type {Blob | null} */
let analysed = null; // the recording in which the worker found what it keeps

navigator.serviceWorker?.register(new URL("../service-worker.js", import.meta.url)).catch(() => {});

/** The model, its shapes of hair, the most bytes taken of a file, how voices can be disguised.
 * Throws a Problem.
 * @param {Tell} tell */
export async function readService(tell) {
  const { name, hair_shapes: shapes, disguises } = await ask({ wanted: "load" }, [], null, tell);
  return { model: name, shapes, bytes: MOST_BYTES, taker: "page", disguises };
}

/** The answer for a recording, drawn as chosen. Throws a Problem, or an AbortError once `signal` is
 * raised.
 * @param {Blob} recording @param {Choices} choices @param {AbortSignal} signal @param {Tell} tell */
export async function reconstruct(recording, choices, signal, tell) {
  tell({ words: "Listening …" });
  /** @type {import("./wav-reader.js").Sound | null} */
  let sound = null;
  /** @type {string | null} */
  let mark = null;
  if (analysed !== recording) {
    ({ sound, mark } = await open(recording));
    signal.throwIfAborted();
  }
  const transfer = sound ? sound.channels.map(({ buffer }) => buffer) : [];
  analysed = null;
  const task = { wanted: "face", sound, mark, ...read(choices) };
  const answer = await ask(task, transfer, signal, tell);
  analysed = recording;
  return format(answer);
}

/** A recording in another voice: {file: Blob, a WAV file; earlier, whether it was disguised before;
 * warnings; silenced, seconds where parts begin of which nothing is left; loudness, RMS before and
 * after}. Throws a Problem, or an AbortError.
 * @param {Blob} recording @param {string} method @param {AbortSignal} signal @param {Tell} tell */
export async function disguise(recording, method, signal, tell) {
  tell({ words: "Reading the recording …" });
  refuseLonger(await readSeconds(recording));
  const { sound, mark } = await open(recording, MOST_DISGUISED);
  refuseLonger(sound.channels[0].length / sound.rate);
  signal.throwIfAborted();
  tell(describe({ disguised: 0 }));
  const task = { wanted: "disguise", sound, mark, method, seconds: MOST_DISGUISED };
  return ask(task, sound.channels.map(({ buffer }) => buffer), signal, tell);
}

/** Throws a Problem.
 * @param {number} seconds */
function refuseLonger(seconds) {
  if (seconds <= MOST_DISGUISED) return;
  const most = MOST_DISGUISED / 60;
  const words = `It lasts ${Math.round(seconds / 60)} minutes; this page disguises ${most} at most. ` +
    "Cut it into parts, or use the program: speech2face anonymise takes any length.";
  throw new Problem("The recording is too long to disguise here", words, 413);
}

/** A file's sound, and the method that its mark names. Throws a Problem.
 * @param {Blob} recording @param {number} [seconds] */
async function open(recording, seconds) {
  const file = await recording.arrayBuffer();
  const mark = findMark(file);
  const sound = await decodeFile(file, seconds).catch((error) => {
    throw error instanceof UnreadableSound ? readProblem({ detail: error.message }, 415) : error;
  });
  return { sound, mark };
}

/** Faces while someone still speaks, of samples at `rate`, as `openLive` of live.js.
 * @param {number} rate @param {Choices} choices
 * @param {{onHeard: (facts: Answer) => void, onFace: (face: Answer) => void,
 *   onProblem: (problem: Problem) => void}} handlers */
export function openLive(rate, choices, { onHeard, onFace, onProblem }) {
  /** @type {Float32Array[]} */
  const blocks = [];
  const stop = new AbortController();
  let [fresh, drawn, busy] = [0, 0, false];

  const sound = () => ({ channels: [concatenate(blocks)], rate, lossless: true, notes: [] });
  const preview = async () => {
    [busy, fresh, analysed] = [true, 0, null];
    const task = { wanted: "preview", sound: sound(), mark: null };
    const wish = { ...read({ ...choices, samples: 0 }), leastSeconds: drawn + BETTER_SECONDS };
    try {
      const facts = await ask({ ...task, ...wish }, [], stop.signal, () => {});
      onHeard(facts);
      if (facts.pictures) {
        drawn = facts.speech_seconds;
        onFace(format(facts));
      }
    } catch (problem) {
      if (stop.signal.aborted) return;
      if (problem instanceof Problem && problem.status === 422) onHeard({ speech_seconds: 0 });
      else if (problem instanceof Problem) onProblem(problem);
    } finally {
      busy = false;
    }
  };
  return {
    /** @param {Float32Array} block */
    send(block) {
      if (stop.signal.aborted) return;
      blocks.push(block);
      fresh += block.length / rate;
      if (!busy && fresh >= PREVIEW_SECONDS) preview();
    },
    close: () => stop.abort(),
    /** No more samples: the whole answer. Throws a Problem. */
    async finish() {
      stop.abort();
      analysed = null;
      const task = { wanted: "face", sound: sound(), mark: null, ...read(choices) };
      return format(await ask(task, [], null, () => {}));
    },
  };
}

/** @param {Choices} choices */
function read({ speaker, strength, ...others }) {
  return {
    choices: { ...others, strength: Number(strength) },
    speaker: Number(speaker) || undefined, // "longest" is who speaks most
  };
}

/** @param {object} task @param {Transferable[]} transfer @param {AbortSignal | null} signal
 * @param {Tell} tell @returns {Promise<Answer>} */
function ask(task, transfer, signal, tell) {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const id = ++numbers;
    asked.set(id, { resolve, reject, tell });
    worker.postMessage({ id, ...task }, transfer);
    signal?.addEventListener("abort", () => {
      if (!asked.delete(id)) return;
      worker.postMessage({ cancel: id });
      reject(signal.reason);
    }, { once: true });
  });
}

worker.addEventListener("message", ({ data: { id, tell, answer, problem } }) => {
  const waiting = asked.get(id);
  if (!waiting) return;
  if (tell) return waiting.tell(describe(tell));
  asked.delete(id);
  if (problem) waiting.reject(readProblem(problem, problem.status));
  else waiting.resolve(answer);
});

worker.addEventListener("error", () => {
  const problem = new Problem("The page is not complete", "Reload it, with a network.");
  for (const { reject } of asked.values()) reject(problem);
  asked.clear();
});

/** @param {{loaded?: [come: number, whole: number], heard?: number, disguised?: number}} progress
 * @returns {Progress} */
function describe({ loaded, heard, disguised }) {
  if (disguised === 1) return { words: "Listening to what came of it …" };
  if (disguised !== undefined) return { words: "Changing the voice …", share: disguised };
  if (loaded) {
    const [come, whole] = loaded.map((bytes) => Math.round(bytes / 1e6));
    const share = loaded[0] / loaded[1];
    if (share >= 1) return { words: "Making the models ready …" };
    return { words: `Loading the models, ${come} of ${whole} MB …`, share };
  }
  if (heard !== undefined && heard < 1) return { words: "Listening …", share: heard };
  return { words: "Drawing the face …" };
}

/** Pictures as base64, as the server gives them.
 * @param {Answer} answer */
function format({ pictures, ...facts }) {
  const [image, ...samples] = pictures.map((/** @type {Uint8Array} */ bytes) => {
    let text = "";
    for (let at = 0; at < bytes.length; at += 8192) {
      text += String.fromCharCode(...bytes.subarray(at, at + 8192));
    }
    return btoa(text);
  });
  return { image, samples, ...facts };
}
