// Recordings can be listened to, one at a time, where the browser knows how to play them.

/** @type {Player | null} */
let playing = null;

/** A button that plays a recording and stops it. It is hidden while there is nothing to play. */
export class Player {
  #sound = new Audio();
  /** @type {(second: number | null) => void} */
  #point = () => {};

  /** @param {HTMLElement} button */
  constructor(button, words = "Play") {
    const sound = this.#sound;
    sound.addEventListener("emptied", () => (button.hidden = true));
    sound.addEventListener("canplay", () => (button.hidden = false));
    sound.addEventListener("play", () => {
      button.textContent = "Stop playing";
      this.#follow();
    });
    sound.addEventListener("pause", () => {
      button.textContent = words;
      sound.currentTime = 0;
      this.#point(null);
    });
    button.addEventListener("click", () => (sound.paused ? this.#play() : sound.pause()));
  }

  /** Offer to play a recording at a volume of 0 to 1; `onSecond` gets where it is, and null at the
   * end.
   * @param {Blob} recording @param {(second: number | null) => void} onSecond */
  offer(recording, onSecond = () => {}, volume = 1) {
    this.stop();
    this.#point = onSecond;
    this.#sound.volume = volume;
    URL.revokeObjectURL(this.#sound.src);
    this.#sound.src = URL.createObjectURL(recording);
  }

  stop() {
    this.#sound.pause();
  }

  /** There is nothing to play any more, and nothing is kept of it. */
  forget() {
    this.stop();
    URL.revokeObjectURL(this.#sound.src);
    this.#sound.removeAttribute("src");
    this.#sound.load();
  }

  #play() {
    playing?.stop();
    playing = this;
    this.#sound.play();
  }

  #follow() {
    if (this.#sound.paused) return;
    this.#point(this.#sound.currentTime);
    requestAnimationFrame(() => this.#follow());
  }
}
