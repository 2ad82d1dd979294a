// Modules of the page's own engine that need no network: against NumPy's numbers, and against
// themselves. `PAGE` is a folder that `speech2face page` wrote; `FORMATS` holds one sound as WAV
// files of every encoding, `plain.wav` among them.

import assert from "node:assert/strict";
import { readFile, readdir } from "node:fs/promises";
import { test } from "node:test";
import { pathToFileURL } from "node:url";

const { PAGE, FORMATS } = process.env;
const load = (name) => import(pathToFileURL(`${PAGE}/device/${name}`));
const { RandomNumbers } = await load("random-numbers.js");
const { RATE, resample } = await load("resampler.js");
const { fromSpectrum, spectrumOf } = await load("fourier.js");
const { findMark } = await load("disguises.js");
const { BrokenFile, loadFiles, putTogether } = await load("model-files.js");
const { encodePng } = await load("png.js");
const { addMark, layOutCells } = await load("watermark.js");
const { readWav } = await load("wav-reader.js");

const near = (value, expected, most) =>
  assert.ok(Math.abs(value - expected) <= most, `${value} is no ${expected}, ±${most}`);

test("random numbers are those of numpy.random.default_rng", () => {
  const numbers = new RandomNumbers(0).normal(3);
  [0.1257302210933933, -0.1321048632913019, 0.6404226504432821].forEach((expected, i) =>
    near(numbers[i], expected, 1e-14));
  const evenly = new RandomNumbers(7).uniform(2, 3);
  [1.250190933209334, 1.794427601939151, 1.551371380490387].forEach((expected, i) =>
    near(evenly[i], expected, 1e-14));
  const many = new RandomNumbers(123456789012).normal(1_000_000); // the tail of the ziggurat too
  near(many.reduce((sum, value, i) => sum + value * ((i % 7) + 1), 0), 7195.968456584777, 1e-6);
  near(many.at(-1), -0.25704176211962837, 1e-14);
});

for (const rate of [8_000, 11_025, 22_050, 44_100, 48_000, 96_000]) {
  test(`a tone at ${rate} Hz keeps its level, and what is too high is gone`, () => {
    const tone = (hertz) => Float32Array.from({ length: rate }, (_, i) =>
      0.5 * Math.sin((2 * Math.PI * hertz * i) / rate));
    const inside = resample(tone(1000), rate).slice(2000, -2000);
    inside.forEach((value, i) =>
      near(value, 0.5 * Math.sin((2 * Math.PI * 1000 * (i + 2000)) / RATE), 2e-4));
    if (rate < 22_050) return;
    const beyond = resample(tone(9000), rate).slice(2000, -2000);
    assert.ok(beyond.every((value) => Math.abs(value) < 1e-4));
  });
}

test("the watermark is Python's, at its own size and at another", async () => {
  const path = new URL("../../helpers/watermark_golden.json", import.meta.url);
  const golden = JSON.parse(await readFile(path, "utf8"));
  const { signs, groups } = layOutCells();
  assert.equal(signs.reduce((sum, sign) => sum + sign, 0), golden.signs_sum);
  assert.deepEqual([...groups.slice(0, 16)], golden.first_groups);
  for (const [side, expected] of Object.entries(golden.sum_of_changes)) {
    const size = Number(side);
    const pixels = new Uint8ClampedArray(3 * size * size);
    for (let place = 0; place < size * size; place++) {
      const [row, column] = [Math.trunc(place / size), place % size];
      const colour = [60 + row / 2, 40 + column / 3, 50 + (row + column) / 5].map(Math.trunc);
      pixels.set(colour, 3 * place);
    }
    const marked = addMark({ side: size, pixels }, golden.number).pixels;
    near(marked.reduce((sum, value, i) => sum + Math.abs(value - pixels[i]), 0), expected,
      0.002 * expected);
    if (size !== golden.side) continue;
    const changes = Array.from({ length: 30 }, (_, k) => 3 * (50 * size + 50 + k))
      .map((at) => marked[at] - pixels[at]);
    assert.deepEqual(changes, golden.changes_in_row_50_from_50);
  }
});

test("a spectrum gives its numbers back", () => {
  const numbers = new RandomNumbers(1).normal(512);
  const { real, imaginary } = spectrumOf(numbers);
  fromSpectrum(real, imaginary).forEach((value, i) => near(value, numbers[i], 1e-12));
});

test("WAV files of every encoding hold the same sound", async () => {
  const names = await readdir(FORMATS);
  assert.ok(names.length > 5);
  const read = async (name) => readWav(new Uint8Array(await readFile(`${FORMATS}/${name}`)).buffer, 9);
  const plain = await read("plain.wav");
  for (const name of names) {
    const sound = await read(name);
    assert.equal(sound.rate, plain.rate, name);
    assert.equal(sound.channels.length, 2, name);
    sound.channels.forEach((channel, c) => {
      assert.equal(channel.length, plain.channels[c].length, name);
      channel.forEach((value, i) => near(value, plain.channels[c][i], name.includes("U8") ? 9e-3 : 1e-4));
    });
  }
});

test("a WAV file that was cut off is heard, and says so; what is none is left to the browser", async () => {
  const whole = new Uint8Array(await readFile(`${FORMATS}/plain.wav`));
  const cut = readWav(whole.slice(0, whole.length / 2).buffer, 9);
  assert.match(cut.notes[0], /ends early or is damaged: \d\.\d s of \d\.\d s could be read/);
  assert.equal(readWav(new TextEncoder().encode("no sound, though long enough").buffer, 9), null);
  assert.equal(readWav(new ArrayBuffer(3), 9), null);
});

test("the mark of a disguised voice is found wherever it lies, two bytes a letter too", () => {
  const mark = "software=speech2face version=0.3.2 method=mcadams digitalSourceType=x";
  const plain = new TextEncoder().encode(`ID3${mark}`);
  const wide = new Uint8Array([...plain].flatMap((byte) => [byte, 0]));
  assert.equal(findMark(plain.buffer), "mcadams");
  assert.equal(findMark(wide.buffer), "mcadams");
  const other = new TextEncoder().encode(`${mark} ${mark.replace("mcadams", "vocoder")}`);
  assert.equal(findMark(other.buffer), "several");
  assert.equal(findMark(new ArrayBuffer(9)), null);
});

test("a PNG's chunks are whole", async () => {
  const pixels = new Uint8ClampedArray(3 * 16 * 16).map((_, i) => (7 * i) % 251);
  const png = await encodePng({ side: 16, pixels }, { Comment: "hair none" }, "<x/>");
  const view = new DataView(png.buffer);
  const names = [];
  for (let at = 8; at < png.length; at += 12 + view.getUint32(at)) {
    names.push(String.fromCharCode(...png.subarray(at + 4, at + 8)));
  }
  assert.deepEqual(names, ["IHDR", "tEXt", "iTXt", "IDAT", "IEND"]);
});

/** What a host sends for two packed files, and the manifest of them. */
async function packTwo() {
  const sent = {};
  const files = {};
  for (const [name, text] of [["encoder", "voice to face"], ["decoder", "face to picture"]]) {
    const packed = new Blob([text]).stream().pipeThrough(new CompressionStream("gzip"));
    const bytes = new Uint8Array(await new Response(packed).arrayBuffer());
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
    const sha256 = Buffer.from(digest).toString("hex");
    sent[`${name}.bin`] = bytes;
    files[name] = { path: `${name}.bin`, bytes: bytes.length, sha256 };
  }
  const manifest = { files, speaker_network: { of: "encoder", pieces: ["QSA=", [0, 5]] } };
  return { sent, manifest };
}

async function loadFrom(sent, manifest, tell = () => {}) {
  const before = globalThis.fetch;
  globalThis.fetch = async (address) => new Response(sent[address.pathname.slice(1)]);
  try {
    return await loadFiles(manifest, new URL("http://127.0.0.1/"), tell);
  } finally {
    globalThis.fetch = before;
  }
}

test("models come packed, are told byte by byte, and put together", async () => {
  const { sent, manifest } = await packTwo();
  const told = [];
  const files = await loadFrom(sent, manifest, (come, whole) => told.push([come, whole]));
  const text = (bytes) => new TextDecoder().decode(bytes);
  assert.equal(text(files.encoder), "voice to face");
  assert.equal(text(files.decoder), "face to picture");
  assert.equal(text(files.speakers), "A voice");
  const whole = sent["encoder.bin"].length + sent["decoder.bin"].length;
  assert.deepEqual(told.at(-1), [whole, whole]);
  assert.equal(text(putTogether(files.encoder, [[9, 13], "IQ=="])), "face!");
});

for (const [fault, spoil] of Object.entries({
  "is another": (bytes) => bytes.with(20, bytes[20] ^ 1),
  "is cut off": (bytes) => bytes.slice(0, -1),
  "is too long": (bytes) => new Uint8Array([...bytes, 0]),
})) {
  test(`a model's file that ${fault} is refused`, async () => {
    const { sent, manifest } = await packTwo();
    sent["decoder.bin"] = spoil(sent["decoder.bin"]);
    await assert.rejects(loadFrom(sent, manifest), (error) => error instanceof BrokenFile &&
      /decoder\.bin did not come as it was sent; reload the page/.test(error.message));
  });
}
