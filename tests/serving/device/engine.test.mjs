// The page's own engine against Python's answers, page_golden.json: the same errors and facts, and
// numbers within what is stated here. `PAGE` is a folder that `speech2face page` wrote, `SOUNDS`
// holds recordings as WAV files, by the names of their cases; those that are not there are left out.

import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { before, test } from "node:test";
import { pathToFileURL } from "node:url";

const { PAGE, SOUNDS, GOLDEN } = process.env;
// The voice encoder has 8 bits: floats that differ in their last digit may round to another of them.
const CLOSE = { picture: 2, bits: 0.03, seconds: 0.032, embedding: 5e-3, probability: 0.03 };
const load = (path) => import(pathToFileURL(`${PAGE}/${path}`));
const cases = JSON.parse(await readFile(GOLDEN, "utf-8"));
const { readWav } = await load("device/wav-reader.js");
const { prepareRecording } = await load("device/recording.js");
const { describeSpeech } = await load("device/face-model.js");
const { findMark } = await load("device/disguises.js");

/** @type {any} */
let model;

before(async () => {
  const [runtime, { FaceModel }, { Network }, { putTogether, unpack }] = await Promise.all(
    ["runtime/ort.wasm.min.mjs", "device/face-model.js", "device/networks.js",
      "device/model-files.js"].map(load),
  );
  const facts = JSON.parse(await readFile(`${PAGE}/facts.json`, "utf-8"));
  const files = {};
  for (const [name, { path }] of Object.entries(facts.files)) {
    files[name] = await unpack(await readFile(`${PAGE}/${path}`));
  }
  const { of, pieces } = facts.speaker_network;
  files.speakers = putTogether(files[of], pieces);
  runtime.env.wasm.numThreads = 1;
  runtime.env.wasm.wasmBinary = files.runtime.buffer;
  const networks = {};
  for (const name of ["detector", "speakers", "encoder", "decoder"]) {
    networks[name] = await Network.open(runtime, files[name]);
  }
  model = new FaceModel(networks, facts.model);
});

/** As the page asks for it, with the embedding, and pictures before they become PNG. */
async function answer(file, choices) {
  const analysed = await model.analyse(prepareRecording(readWav(file, 601)));
  const speech = analysed.choose();
  const voice = await model.embed(speech.samples);
  const confidence = model.disclose(speech, voice, findMark(file));
  const pictures = await model.draw(voice, choices);
  return { ...describeSpeech(speech), mean: voice.mean, confidence, pictures };
}

for (const [name, { choices, answer: expected }] of Object.entries(cases)) {
  const path = `${SOUNDS}/${name}.wav`;
  if (!existsSync(path)) continue;
  test(name, async () => {
    const bytes = await readFile(path);
    const file = new Uint8Array(bytes).buffer;
    if (expected.problem) {
      await assert.rejects(answer(file, choices), { message: expected.problem });
      return;
    }
    const given = await answer(file, choices);
    near(given.speech_seconds, expected.speech_seconds, CLOSE.seconds);
    near(given.analysed_seconds, expected.analysed_seconds, CLOSE.seconds);
    nearSpans(given.segments, expected.segments);
    assert.deepEqual(given.warnings, expected.warnings);
    assert.equal(given.speaker, expected.speaker);
    assert.equal(given.speakers.length, expected.speakers.length);
    given.speakers.forEach((speaker, i) => {
      near(speaker.speech_seconds, expected.speakers[i].speech_seconds, 2 * CLOSE.seconds);
      nearSpans(speaker.segments, expected.speakers[i].segments);
    });
    expected.mean.forEach((value, i) => near(given.mean[i], value, CLOSE.embedding));
    nearConfidence(given.confidence, expected.confidence);
    assert.equal(given.pictures.length, expected.pictures.length);
    given.pictures.forEach((picture, i) => {
      assert.equal(picture.side, choices.size);
      const difference = compare(shrink(picture), expected.pictures[i]);
      assert.ok(difference <= CLOSE.picture, `picture ${i} differs by ${difference}`);
    });
  });
}

function near(value, expected, most) {
  const apart = Math.abs(value - expected);
  assert.ok(apart <= most + 1e-9, `${value} is no ${expected}, ±${most}`);
}

function nearSpans(spans, expected) {
  assert.equal(spans.length, expected.length, `${spans} for ${expected}`);
  spans.flat().forEach((time, i) => near(time, expected.flat()[i], CLOSE.seconds));
}

function nearConfidence(given, expected) {
  for (const name of ["bits", "low", "high"]) {
    if (expected[name] === null) assert.equal(given[name], null);
    else near(given[name], expected[name], CLOSE.bits);
  }
  assert.equal(given.disguised.by, expected.disguised.by);
  near(given.disguised.probability, expected.disguised.probability, CLOSE.probability);
  assert.equal(given.calibrated_on, expected.calibrated_on);
  const plain = (text) => text.replace(/\d[\d,.]*/g, "#"); // the numbers are compared above
  assert.equal(plain(given.words), plain(expected.words));
  assert.deepEqual(given.notes.map(plain), expected.notes.map(plain));
}

/** Mean colours in 32 by 32 blocks, as Python keeps them. */
function shrink({ side, pixels }) {
  const block = side / 32;
  const sums = new Float64Array(32 * 32 * 3);
  for (let y = 0; y < side; y++) {
    for (let x = 0; x < 3 * side; x++) {
      const place = Math.floor(y / block) * 32 + Math.floor(x / 3 / block);
      sums[3 * place + (x % 3)] += pixels[3 * side * y + x];
    }
  }
  return sums.map((sum) => sum / block ** 2);
}

function compare(means, base64) {
  const expected = Buffer.from(base64, "base64");
  return means.reduce((sum, mean, i) => sum + Math.abs(mean - expected[i]), 0) / means.length;
}
