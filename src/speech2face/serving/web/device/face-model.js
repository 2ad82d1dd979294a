// The whole way from a recording to faces: as Python's reconstruct.py and serving/inference.py.

import { drawCartoon } from "./cartoon.js";
import { discloseFace } from "./disclosure.js";
import { cholesky } from "./matrices.js";
import { readPlanes, resize } from "./pixels.js";
import { encodePng } from "./png.js";
import { RandomNumbers } from "./random-numbers.js";
import { analyse } from "./speech.js";
import { roundTo } from "./statistics.js";
import { addMark } from "./watermark.js";

/** @typedef {import("./networks.js").Network} Network */
/** @typedef {import("./pixels.js").Picture} Picture */
/** @typedef {import("./recording.js").Recording} Recording */
/** @typedef {import("./speech.js").AnalysedRecording} AnalysedRecording */
/** @typedef {import("./speech.js").Speech} Speech */

/** That of speakers may come later than the others.
 * @typedef {{detector: Network, speakers: Network | Promise<Network>, encoder: Network,
 *   decoder: Network}} Networks */
/**
 * What Python's serving/static_page.py writes of a model: `typical` is how many times as far out as
 * the encoder says a typical face lies, `texts` and `xmp` go to the metadata of pictures, `number`
 * to their watermark; `disguises` are of methods that change a voice.
 * @typedef {{name: string, version: string, number: number, typical: number, hair_shapes: number,
 *   hair_kinds: number, notice: string, texts: Record<string, string>, xmp: string,
 *   disclosure: import("./disclosure.js").DisclosureModel | null,
 *   disguises: Record<string, import("./remaining-disclosure.js").MethodFacts>}} ModelFacts
 */
/** The face of a voice: a Gaussian over embeddings; `decoded` is where a typical one lies.
 * @typedef {{mean: Float32Array, covariance: Float32Array, average: Float32Array,
 *   decoded: Float32Array}} VoiceEmbedding */
/** `hair` is typical, none, or the number of a shape.
 * @typedef {{style: string, strength: number, hair: string, size: number, samples: number,
 *   seed?: number}} Choices */

const CERTAIN = 1e4; // added to a logarithm of how likely hair is: no other kind comes near

export class FaceModel {
  /** @param {Networks} networks @param {ModelFacts} facts */
  constructor(networks, facts) {
    this.networks = networks;
    this.facts = facts;
  }

  /** Throws NoSpeech. `tell` is called with how many seconds have been listened to; without
   * `apart` nobody is told apart, which is quicker.
   * @param {Recording} recording @param {(seconds: number) => void | Promise<void>} [tell] */
  async analyse(recording, tell, apart = true) {
    const { detector, speakers } = this.networks;
    return analyse(recording, detector, apart ? await speakers : null, tell);
  }

  /** @param {Float32Array} speech @returns {Promise<VoiceEmbedding>} */
  async embed(speech) {
    const outputs = await this.networks.encoder.run({ waveform: [speech, [1, speech.length]] });
    const { mean, covariance, average, shown } = outputs;
    const decoded = goOut(average.data, shown.data, this.facts.typical);
    return { mean: mean.data, covariance: covariance.data, average: average.data, decoded };
  }

  /** How much the voice tells, null where the model cannot say.
   * @param {Speech} speech @param {VoiceEmbedding} voice @param {string | null} mark of the file */
  disclose(speech, { mean, average }, mark) {
    const { disclosure } = this.facts;
    return disclosure && discloseFace(speech, mean, average, mark, disclosure);
  }

  /** The face, and as many samples as are wanted.
   * @param {VoiceEmbedding} voice @param {Choices} choices @returns {Promise<Picture[]>} */
  async draw(voice, choices) {
    const { average, decoded } = voice;
    const face = goOut(average, decoded, choices.strength);
    const faces = [face, ...drawSamples(voice, choices.samples, choices.seed ?? 0)];
    const width = face.length;
    const embeddings = new Float32Array(faces.length * width);
    faces.forEach((embedding, i) => embeddings.set(embedding, i * width));
    const { picture, landmarks } = await this.networks.decoder.run({
      embedding: [embeddings, [faces.length, width]],
      ...chooseHair(this.facts.hair_kinds, choices, faces.length),
    });
    const side = picture.shape[2];
    const marks = landmarks.shape[1];
    return faces.map((_, i) => {
      const planes = picture.data.subarray(i * 3 * side * side, (i + 1) * 3 * side * side);
      const drawn = readPlanes(planes, side);
      const { number } = this.facts;
      if (choices.style !== "cartoon") return addMark(resize(drawn, choices.size), number);
      const at = (/** @type {number} */ mark) => 2 * (i * marks + mark);
      const points = Array.from({ length: marks }, (_, mark) =>
        /** @type {[number, number]} */ ([
          landmarks.data[at(mark)], landmarks.data[at(mark) + 1],
        ]));
      return addMark(drawCartoon(drawn, points, choices.size), number);
    });
  }

  /** Pictures as PNG files, marked as generated.
   * @param {Picture[]} pictures @param {Choices} choices */
  encode(pictures, { strength, hair }) {
    const { texts, xmp } = this.facts;
    return Promise.all(pictures.map((picture, i) => {
      const kind = i ? "a sample" : `strength ${strength} (0 average, 1 typical)`;
      return encodePng(picture, { ...texts, Comment: `${kind}, hair ${hair}` }, xmp);
    }));
  }
}

/** The facts on a recording as the server gives them, times to a thousandth of a second.
 * @param {Speech} speech */
export function describeSpeech(speech) {
  const round = (/** @type {number} */ seconds) => roundTo(seconds, 3);
  const spans = (/** @type {[number, number][]} */ segments) =>
    segments.map((segment) => segment.map(round));
  return {
    speech_seconds: round(speech.speechSeconds),
    analysed_seconds: round(speech.analysedSeconds),
    segments: spans(speech.segments),
    warnings: speech.warnings,
    speakers: speech.speakers.map(({ number, speechSeconds, segments }) => ({
      number, speech_seconds: round(speechSeconds), segments: spans(segments),
    })),
    speaker: speech.speaker,
  };
}

/** From the average face towards another, so many times as far.
 * @param {Float32Array} start @param {Float32Array} face @param {number} times */
const goOut = (start, face, times) =>
  face.map((value, i) => (1 - times) * start[i] + times * value);

/** Faces that a voice may have: embeddings, the same for the same seed.
 * @param {VoiceEmbedding} voice @param {number} count @param {number} seed */
function drawSamples({ mean, covariance }, count, seed) {
  if (!count) return [];
  const size = mean.length;
  const factor = cholesky(covariance, size);
  const noise = new RandomNumbers(seed).normal(count * size);
  return Array.from({ length: count }, (_, sample) => mean.map((value, row) => {
    let total = value;
    for (let k = 0; k <= row; k++) total += factor[row * size + k] * noise[sample * size + k];
    return total;
  }));
}

/** The decoder's inputs for hair; none where the model has no choice.
 * @param {number} kinds @param {Choices} choices @param {number} faces
 * @returns {import("./networks.js").Inputs} */
function chooseHair(kinds, { hair, seed = 0 }, faces) {
  if (!kinds) return {};
  const chosen = new Float32Array(kinds); // none, shapes, colours
  if (hair !== "typical") chosen[hair === "none" ? 0 : Number(hair)] = CERTAIN;
  const turn = seed ? new RandomNumbers(seed).uniform(2, kinds) : [];
  return { hair: tile(chosen, faces), turn: tile(Float32Array.from(turn, Number), faces, kinds) };
}

/** @param {Float32Array} row shorter: the rest is 0 @param {number} count
 * @returns {[Float32Array, number[]]} */
function tile(row, count, length = row.length) {
  const rows = new Float32Array(count * length);
  for (let i = 0; i < count; i++) rows.set(row, i * length);
  return [rows, [count, length]];
}
