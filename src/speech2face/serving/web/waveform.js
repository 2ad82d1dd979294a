// A recording as bars, with the speech that was used, or of each speaker, in colour.

const PEAKS_PER_SECOND = 50;
const DECODED_AT = 16_000; // Hz
const MOST_DECODED = 64e6; // bytes of a file; larger ones are drawn without their waveform
const BAR = 3; // px
const GAP = 2;
const LANE = 14; // px of height for the turns of a speaker, where several speak
const MARGIN = 16; // px on their left, for the number
const TURN = 3; // px: a line, thick where speech was used
const USED = 8;
const COLOURS = 4; // --speaker-1 … of style.css; a fifth speaker has the first again
const RESTING = 0.5; // height of the pattern where there is no recording yet

/** The name of a speaker's colour. */
export const colourOf = (number) => `--speaker-${1 + ((number - 1) % COLOURS)}`;

/** The loudest sample of each 20 ms, of sound that may still grow. */
export class Peaks {
  values = [];
  #perPeak;
  #peak = 0;
  #count = 0;
  #samples = 0;

  constructor(rate) {
    this.rate = rate;
    this.#perPeak = Math.round(rate / PEAKS_PER_SECOND);
  }

  get seconds() {
    return this.#samples / this.rate;
  }

  add(samples) {
    this.#samples += samples.length;
    for (const value of samples) {
      this.#peak = Math.max(this.#peak, Math.abs(value));
      if (++this.#count === this.#perPeak) {
        this.values.push(this.#peak);
        this.#peak = this.#count = 0;
      }
    }
  }
}

/** The sound of a file, or null where the browser cannot decode it. */
async function decode(file) {
  if (file.size > MOST_DECODED) return null;
  try {
    const context = new OfflineAudioContext(1, 1, DECODED_AT);
    return await context.decodeAudioData(await file.arrayBuffer());
  } catch {
    return null;
  }
}

/** The peaks of a file, or null where the browser cannot decode it. */
export async function decodePeaks(file) {
  const sound = await decode(file);
  if (!sound) return null;
  const peaks = new Peaks(DECODED_AT);
  peaks.add(sound.getChannelData(0));
  return peaks;
}

/** The loudness (RMS) of a file, or null where the browser cannot decode it. */
export async function decodeLoudness(file) {
  const sound = await decode(file);
  if (!sound?.length) return null;
  let sum = 0;
  for (let channel = 0; channel < sound.numberOfChannels; channel++) {
    for (const value of sound.getChannelData(channel)) sum += value * value;
  }
  return Math.sqrt(sum / sound.length / sound.numberOfChannels);
}

/** Bars on a canvas, all equal without peaks. Redrawn when its size or the colours change. */
export class Waveform {
  #canvas;
  #shown = { peaks: null, seconds: 0, segments: [], speakers: [], speaker: null };
  #head = null;

  constructor(canvas) {
    this.#canvas = canvas;
    new ResizeObserver(() => this.#draw()).observe(canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#draw());
  }

  /**
   * `seconds` is the time across the canvas; the `segments` [start, end] of an answer, in s, are
   * marked. Where it has several `speakers`, each has a colour, and a lane below with the turns.
   */
  show(peaks, seconds, { segments = [], speakers = [], speaker = null } = {}) {
    if (speakers.length < 2) speakers = [];
    this.#shown = { peaks, seconds, segments, speakers, speaker };
    this.#canvas.setAttribute("aria-label", describe(seconds, segments, speakers));
    this.#canvas.style.setProperty("--lanes", `${LANE * speakers.length}px`);
    this.point(null);
  }

  /** A line at the second that is being played; null for none. */
  point(second) {
    this.#head = second;
    this.#draw();
  }

  #draw() {
    const { peaks, seconds, segments, speakers, speaker } = this.#shown;
    const { clientWidth, clientHeight } = this.#canvas;
    const scale = devicePixelRatio;
    this.#canvas.width = clientWidth * scale;
    this.#canvas.height = clientHeight * scale;
    const pen = this.#canvas.getContext("2d");
    const style = getComputedStyle(this.#canvas);
    const colour = (name) => style.getPropertyValue(name);
    const left = speakers.length ? MARGIN : 0;
    const [width, height] = [clientWidth - left, clientHeight - LANE * speakers.length];
    pen.scale(scale, scale);
    pen.translate(left, 0);
    const bars = Math.floor((width + GAP) / (BAR + GAP));
    const loudest = Math.max(0.02, peaks?.values.reduce((a, b) => Math.max(a, b), 0) ?? 0);
    for (let bar = 0; bar < bars; bar++) {
      const [start, end] = [(bar / bars) * seconds, ((bar + 1) / bars) * seconds];
      const level = peaks ? loudestBetween(peaks, start, end) / loudest : 0.2;
      const shape = seconds ? level ** 0.7 : RESTING * rest(bar / bars);
      const length = BAR + shape * (height - BAR);
      const middle = (start + end) / 2;
      const silent = seconds && level ? "--wave" : "--line";
      pen.fillStyle = colour(colourAt(middle, segments, speakers) ?? silent);
      pen.beginPath();
      pen.roundRect(bar * (BAR + GAP), (height - length) / 2, BAR, length, BAR / 2);
      pen.fill();
    }
    speakers.forEach(({ number, segments: turns }, lane) => {
      const middle = height + LANE * (lane + 0.5);
      const lines = (spans, thick) => spans.forEach(([start, end]) => {
        const [from, to] = [start, end].map((second) => (second / seconds) * width);
        pen.fillRect(from, middle - thick / 2, Math.max(to - from, 1), thick);
      });
      pen.fillStyle = colour(colourOf(number));
      lines(turns, TURN);
      if (number === speaker) lines(segments, USED);
      pen.fillStyle = colour("--ink");
      pen.font = `600 11px ${style.fontFamily}`;
      pen.textBaseline = "middle";
      pen.fillText(number, -left, middle);
    });
    if (this.#head !== null) {
      pen.fillStyle = colour("--ink");
      pen.fillRect((this.#head / seconds) * width, 0, 1.5, clientHeight);
    }
  }
}

/** The name of the colour at a second: of who speaks there, or of what was used; or nothing. */
function colourAt(second, segments, speakers) {
  const holds = ([start, end]) => start <= second && second < end;
  const speaker = speakers.find((one) => one.segments.some(holds));
  if (speaker) return colourOf(speaker.number);
  return segments.some(holds) && !speakers.length ? "--accent" : undefined;
}

function loudestBetween(peaks, start, end) {
  const first = Math.floor(start * PEAKS_PER_SECOND);
  const last = Math.max(first + 1, Math.ceil(end * PEAKS_PER_SECOND));
  return peaks.values.slice(first, last).reduce((a, b) => Math.max(a, b), 0);
}

/** A quiet wave that comes in and goes out: 0..1 across the canvas → 0..1. */
function rest(x) {
  return Math.sin(Math.PI * x) ** 2 * (0.5 + 0.3 * Math.sin(41 * x) + 0.2 * Math.sin(97 * x));
}

function describe(seconds, segments, speakers) {
  if (!seconds) return "No recording yet";
  const parts = segments.map(([start, end]) => `${start.toFixed(1)} to ${end.toFixed(1)}`);
  const used = parts.length ? `; speech used, in seconds: ${parts.join(", ")}` : "";
  const turns = speakers.map(({ number, speech_seconds: spoken, segments: { length } }) =>
    `; speaker ${number} speaks ${spoken.toFixed(1)} s in ${length} parts`);
  return `Recording of ${seconds.toFixed(1)} seconds${turns.join("")}${used}`;
}
