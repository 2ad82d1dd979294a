// A recording as bars, with the speech that was used in colour.

const PEAKS_PER_SECOND = 50;
const DECODED_AT = 16_000; // Hz
const MOST_DECODED = 64e6; // bytes of a file; larger ones are drawn without their waveform
const BAR = 3; // px
const GAP = 2;
const RESTING = 0.5; // height of the pattern where there is no recording yet

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

/** The peaks of a file, or null where the browser cannot decode it. */
export async function decodePeaks(file) {
  if (file.size > MOST_DECODED) return null;
  try {
    const context = new OfflineAudioContext(1, 1, DECODED_AT);
    const sound = await context.decodeAudioData(await file.arrayBuffer());
    const peaks = new Peaks(DECODED_AT);
    peaks.add(sound.getChannelData(0));
    return peaks;
  } catch {
    return null;
  }
}

/** Bars on a canvas, all equal without peaks. Redrawn when its size or the colours change. */
export class Waveform {
  #canvas;
  #shown = { peaks: null, seconds: 0, segments: [] };
  #head = null;

  constructor(canvas) {
    this.#canvas = canvas;
    new ResizeObserver(() => this.#draw()).observe(canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#draw());
  }

  /** `seconds` is the time across the canvas; `segments` [start, end] in s are marked. */
  show(peaks, seconds, segments = []) {
    this.#shown = { peaks, seconds, segments };
    this.#canvas.setAttribute("aria-label", describe(seconds, segments));
    this.point(null);
  }

  /** A line at the second that is being played; null for none. */
  point(second) {
    this.#head = second;
    this.#draw();
  }

  #draw() {
    const { peaks, seconds, segments } = this.#shown;
    const { clientWidth: width, clientHeight: height } = this.#canvas;
    const scale = devicePixelRatio;
    this.#canvas.width = width * scale;
    this.#canvas.height = height * scale;
    const pen = this.#canvas.getContext("2d");
    const colours = getComputedStyle(this.#canvas);
    const bars = Math.floor((width + GAP) / (BAR + GAP));
    const loudest = Math.max(0.02, peaks?.values.reduce((a, b) => Math.max(a, b), 0) ?? 0);
    pen.scale(scale, scale);
    for (let bar = 0; bar < bars; bar++) {
      const [start, end] = [(bar / bars) * seconds, ((bar + 1) / bars) * seconds];
      const level = peaks ? loudestBetween(peaks, start, end) / loudest : 0.2;
      const shape = seconds ? level ** 0.7 : RESTING * rest(bar / bars);
      const length = BAR + shape * (height - BAR);
      const middle = (start + end) / 2;
      const used = segments.some(([from, to]) => from <= middle && middle < to);
      const spoken = seconds && level ? "--wave" : "--line";
      pen.fillStyle = colours.getPropertyValue(used ? "--accent" : spoken);
      pen.beginPath();
      pen.roundRect(bar * (BAR + GAP), (height - length) / 2, BAR, length, BAR / 2);
      pen.fill();
    }
    if (this.#head !== null) {
      pen.fillStyle = colours.getPropertyValue("--ink");
      pen.fillRect((this.#head / seconds) * width, 0, 1.5, height);
    }
  }
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

function describe(seconds, segments) {
  if (!seconds) return "No recording yet";
  const parts = segments.map(([start, end]) => `${start.toFixed(1)} to ${end.toFixed(1)}`);
  const used = parts.length ? `; speech used, in seconds: ${parts.join(", ")}` : "";
  return `Recording of ${seconds.toFixed(1)} seconds${used}`;
}
