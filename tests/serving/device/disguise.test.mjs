// The page's own anonymisers against Python's. `WEB` is the folder of the page's modules, `WORLD` the
// vocoder's program; `CASES` holds what Python made, named by `cases.json`.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { pathToFileURL } from "node:url";

const { WEB, WORLD, CASES } = process.env;
const load = (name) => import(pathToFileURL(`${WEB}/${name}`));
const { JoinedPieces, cutPieces } = await load("device/chunking.js");
const { METHODS, disguiseSound, drawSecret } = await load("device/disguise-recording.js");
const { spectrumOf, fromSpectrum } = await load("device/fourier.js");
const { describeRemains } = await load("device/remaining-disclosure.js");
const { openWorld } = await load("device/world-vocoder.js");
const { encodeWav } = await load("wav.js");

const cases = JSON.parse(readFileSync(`${CASES}/cases.json`, "utf-8"));
const bytes = (name) => new Uint8Array(readFileSync(`${CASES}/${name}`));
const samples = (name) => new Float32Array(bytes(name).buffer);
const MOST_APART = 1e-6; // of full scale, RMS

function near(given, expected, most) {
  assert.equal(given.length, expected.length);
  const square = expected.reduce((sum, value, i) => sum + (value - given[i]) ** 2, 0);
  assert.ok(Math.sqrt(square / expected.length) <= most, `${Math.sqrt(square / expected.length)}`);
}

for (const { sound, method, seed, made } of cases.disguised) {
  test(`${method} of ${sound} by the seed ${seed}`, async () => {
    const given = samples(sound);
    const disguised = await disguiseSound(given, method, [seed], await openWorld(readFileSync(WORLD)));
    near(disguised.samples, samples(made), MOST_APART);
    assert.deepEqual(disguised.silenced, []);
    const [before, after] = disguised.loudness;
    if (before) assert.ok(after / before > 0.7 && after / before < 1.3, `${before}, ${after}`);
  });
}

test("WORLD asks nothing of the system it runs in", () => {
  assert.deepEqual(WebAssembly.Module.imports(new WebAssembly.Module(readFileSync(WORLD))), []);
});

test("secrets differ, and so do voices", async () => {
  assert.notDeepEqual(drawSecret(), drawSecret());
  const [one, other] = [[1], [2]]; // drawn by chance, two may give voices that are alike
  const given = samples(cases.disguised[0].sound);
  for (const method of Object.values(METHODS)) {
    const world = await openWorld(readFileSync(WORLD));
    const [a, b] = [method(given, one, world), method(given, other, world)];
    assert.ok(Math.sqrt(a.reduce((sum, value, i) => sum + (value - b[i]) ** 2, 0) / a.length) > 0.01);
  }
});

test("a piece of which nothing is left is told", async () => {
  METHODS.deaf = (piece) => new Float32Array(piece.length);
  const given = samples(cases.long);
  const { silenced } = await disguiseSound(given, "deaf", [1], null);
  delete METHODS.deaf;
  assert.deepEqual(silenced, cases.pieces.map(([start]) => start));
});

test("long sound is cut where Python cuts it, and joined again", async () => {
  const given = samples(cases.long);
  const joined = new JoinedPieces(given.length);
  const pieces = [];
  for (const piece of cutPieces(given)) {
    const start = piece.byteOffset / 4;
    pieces.push([start, start + piece.length]);
    joined.add(piece);
  }
  assert.deepEqual(pieces, cases.pieces);
  near(joined.samples, given, 1e-7);
});

test("progress is told to the end, and an error in it stops the work", async () => {
  METHODS.same = (piece) => piece;
  const shares = [];
  await disguiseSound(samples(cases.long), "same", [1], null, (share) => shares.push(share));
  assert.equal(shares.length, cases.pieces.length);
  assert.equal(shares.at(-1), 1);
  assert.deepEqual(shares, shares.toSorted((a, b) => a - b));
  const stop = () => Promise.reject(new Error("cancelled"));
  await assert.rejects(disguiseSound(samples(cases.long), "same", [1], null, stop), /cancelled/);
  delete METHODS.same;
});

test("spectra of any even number of samples are NumPy's", () => {
  for (const { numbers, real, imaginary } of cases.spectra) {
    const spectrum = spectrumOf(numbers);
    near(spectrum.real, real, 1e-12);
    near(spectrum.imaginary, imaginary, 1e-12);
    near(fromSpectrum(spectrum.real, spectrum.imaginary), numbers, 1e-13);
  }
});

test("files are those that Python writes, byte by byte", async () => {
  for (const { comment, file } of cases.files) {
    const blob = encodeWav([samples(cases.short)], 16_000, comment);
    assert.deepEqual(new Uint8Array(await blob.arrayBuffer()), bytes(file));
  }
});

test("what is left is said in Python's words", () => {
  for (const { method, before, said } of cases.remains) {
    assert.deepEqual(describeRemains(cases.methods[method], before, false), said);
  }
  const again = describeRemains(cases.methods.vocoder, cases.remains[0].before, true);
  assert.match(again[0], /disguised already.+not measured/);
  assert.doesNotMatch(again.join(" "), /\d/); // no figure holds then
});
