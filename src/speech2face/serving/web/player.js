// The recording can be listened to, where the browser knows how to play it.

const button = document.getElementById("play");
const sound = new Audio();
let point = () => {};

/** Offer to play a recording (Blob); `onSecond` gets where it is, and null at the end. */
export function offerPlay(recording, onSecond) {
  stopPlay();
  point = onSecond;
  URL.revokeObjectURL(sound.src);
  sound.src = URL.createObjectURL(recording);
}

export function stopPlay() {
  sound.pause();
}

function follow() {
  if (sound.paused) return;
  point(sound.currentTime);
  requestAnimationFrame(follow);
}

sound.addEventListener("emptied", () => (button.hidden = true));
sound.addEventListener("canplay", () => (button.hidden = false));
sound.addEventListener("play", () => {
  button.textContent = "Stop playing";
  follow();
});
sound.addEventListener("pause", () => {
  button.textContent = "Play";
  sound.currentTime = 0;
  point(null);
});
button.addEventListener("click", () => (sound.paused ? sound.play() : sound.pause()));
