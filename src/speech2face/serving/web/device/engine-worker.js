// Runs beside the page: loads the networks, and does what `engine.js` asks for, one task at a time.

import { encodeWav } from "../wav.js";
import { disguiseSound, drawSecret } from "./disguise-recording.js";
import { FaceModel, describeSpeech } from "./face-model.js";
import { BrokenFile, loadFiles } from "./model-files.js";
import { Network } from "./networks.js";
import { MOST_SECONDS, UnreadableSound, prepareRecording } from "./recording.js";
import { RATE } from "./resampler.js";
import { NoSpeech } from "./speech.js";
import { openWorld } from "./world-vocoder.js";

/** @typedef {import("./face-model.js").Choices} Choices */
/** @typedef {import("./face-model.js").VoiceEmbedding} VoiceEmbedding */
/** @typedef {import("./speech.js").AnalysedRecording} AnalysedRecording */
/** @typedef {import("./wav-reader.js").Sound} Sound */
/** What is asked of a recording, or of the one before (null) with other choices.
 * @typedef {{id: number, wanted: "face" | "preview", sound: Sound | null, mark: string | null,
 *   choices: Choices, speaker?: number, leastSeconds: number}} Task */
/** A recording of at most so many seconds, to be disguised by a method.
 * @typedef {{id: number, wanted: "disguise", sound: Sound, mark: string | null, method: string,
 *   seconds: number}} DisguiseTask */
/** @typedef {{analysed: AnalysedRecording, mark: string | null,
 *   voices: Map<number | undefined, {voice: VoiceEmbedding, confidence: any}>}} Kept */

const SEVERAL = "several"; // the method of what was disguised more than once
const BASE = new URL("..", import.meta.url);

/** @type {Promise<{model: FaceModel, world: Uint8Array<ArrayBuffer>}> | undefined} */
let loading;
/** @type {Kept | null} */
let kept = null; // of the last recording
const cancelled = new Set();
/** @type {Promise<unknown>} */
let queue = Promise.resolve();

addEventListener("message", ({ data }) => {
  if (data.cancel) cancelled.add(data.cancel);
  else if (data.wanted === "disguise") perform(data); // it takes long, and lets others in between
  else enqueue(() => perform(data));
});

/** One after the other: a network takes one sound at a time.
 * @template Result @param {() => Promise<Result>} task @returns {Promise<Result>} */
function enqueue(task) {
  const done = queue.then(task);
  queue = done.catch(() => {});
  return done;
}

/** @param {Task | DisguiseTask | {id: number, wanted: "load"}} task */
async function perform(task) {
  const { id } = task;
  try {
    loading ??= load((come, whole) => postMessage({ id, tell: { loaded: [come, whole] } }));
    const { model, world } = await loading;
    if (task.wanted === "load") {
      postMessage({ id, answer: model.facts });
      await model.networks.speakers; // opened now, while the reader reads
    } else if (task.wanted === "disguise") {
      postMessage({ id, answer: await disguise(model, world, task) });
    } else {
      postMessage({ id, answer: await answer(model, task) });
    }
  } catch (error) {
    if (error instanceof BrokenFile) loading = undefined; // to be tried again
    postMessage({ id, problem: explain(error) });
  } finally {
    cancelled.delete(id);
  }
}

/** @param {(come: number, whole: number) => void} tell bytes */
async function load(tell) {
  const [facts, runtime] = await Promise.all([
    fetch(new URL("facts.json", BASE)).then((answer) => answer.json()),
    import(new URL("runtime/ort.wasm.min.mjs", BASE).href),
  ]).catch(() => {
    throw new BrokenFile("the page could not be fetched; check the network and try again");
  });
  const files = await loadFiles(facts, BASE, tell);
  const { wasm } = runtime.env;
  wasm.wasmBinary = files.runtime.buffer;
  wasm.wasmPaths = { mjs: new URL("runtime/ort-wasm-simd-threaded.mjs", BASE).href };
  wasm.numThreads = globalThis.crossOriginIsolated ? Math.min(4, navigator.hardwareConcurrency) : 1;
  const open = (/** @type {string} */ name) => Network.open(runtime, files[name]);
  const [detector, encoder, decoder] =
    [await open("detector"), await open("encoder"), await open("decoder")];
  const networks = { detector, encoder, decoder, speakers: open("speakers") };
  return { model: new FaceModel(networks, facts.model), world: files.world };
}

/** @param {FaceModel} model @param {Task} task */
async function answer(model, task) {
  const { choices, speaker } = task;
  const preview = task.wanted === "preview";
  if (task.sound) {
    kept = null;
    kept = { analysed: await analyse(model, task), mark: task.mark, voices: new Map() };
  }
  if (!kept) throw new UnreadableSound("the recording is no longer there; give it again");
  const { analysed, mark, voices } = kept;
  const speech = analysed.choose(speaker);
  const facts = describeSpeech(speech);
  if (preview && speech.speechSeconds < task.leastSeconds) return facts;
  const known = voices.get(speaker) ?? await find(model, speech, mark, preview);
  voices.set(speaker, known);
  const { voice, confidence } = known;
  const pictures = await model.encode(await model.draw(voice, choices), choices);
  const { name: drawnBy, notice } = model.facts;
  const { strength, hair } = choices;
  return { ...facts, model: drawnBy, confidence, strength, hair, notice, pictures };
}

/** @param {FaceModel} model @param {import("./speech.js").Speech} speech
 * @param {string | null} mark @param {boolean} preview has to be quick */
async function find(model, speech, mark, preview) {
  const voice = await model.embed(speech.samples);
  return { voice, confidence: preview ? null : model.disclose(speech, voice, mark) };
}

/** @param {FaceModel} model @param {Task} task */
async function analyse(model, { id, sound, wanted }) {
  if (!sound) throw new UnreadableSound("the recording holds no sound; give another");
  const recording = prepareRecording(sound);
  const whole = recording.samples.length;
  return model.analyse(recording, async (seconds) => {
    postMessage({ id, tell: { heard: (RATE * seconds) / whole } });
    await pause(id);
  }, wanted === "face");
}

/** A WAV file of the recording in another voice, marked as such, and what is to be said of it.
 * @param {FaceModel} model @param {Uint8Array<ArrayBuffer>} program of WORLD
 * @param {DisguiseTask} task */
async function disguise(model, program, { id, sound, mark, method, seconds }) {
  const { samples, warnings } = prepareRecording(sound, seconds);
  const world = await openWorld(program);
  const made = await disguiseSound(samples, method, drawSecret(), world, async (share) => {
    postMessage({ id, tell: { disguised: share } });
    await pause(id);
    await queue; // a face is quicker: it goes first
  });
  const heard = { samples: made.samples.subarray(0, MOST_SECONDS * RATE), levels: null, warnings };
  await enqueue(() => model.analyse(heard, () => pause(id), false)).catch((error) => {
    if (!(error instanceof NoSpeech)) throw error;
    throw new NoSpeech(`no speech is left after ${method}; choose another method, or try again`);
  });
  const file = encodeWav([made.samples], RATE, model.facts.disguises[mark ? SEVERAL : method].mark);
  const silenced = made.silenced.map((start) => start / RATE);
  return { file, earlier: mark !== null, warnings, silenced, loudness: made.loudness };
}

/** For what has been asked meanwhile. Throws an AbortError where the task is to end.
 * @param {number} id */
async function pause(id) {
  await new Promise((resolve) => setTimeout(resolve));
  if (cancelled.has(id)) throw new DOMException("cancelled", "AbortError");
}

/** The fields of a server's problem.
 * @param {unknown} error */
function explain(error) {
  const detail = error instanceof Error ? error.message : String(error);
  if (error instanceof NoSpeech) return { status: 422, detail };
  if (error instanceof UnreadableSound) return { status: 415, detail };
  if (error instanceof BrokenFile) return { status: 0, title: "The model did not come", detail };
  return { status: 500, title: "The browser could not finish", detail };
}
