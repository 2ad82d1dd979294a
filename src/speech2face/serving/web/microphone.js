// The microphone as a stream of samples.

import { Problem } from "./problem.js";

const PATIENCE_MS = 5000; // for the browser to start sound
const RATE = 16_000; // Hz, what the model hears; asking for it spares sending more

/**
 * Open the microphone: its sample rate, `listen(onSamples)` for blocks of mono Float32Array, and
 * `close()`. `onLost` is called where the microphone goes away. Throws a Problem.
 */
export async function openMicrophone(onLost) {
  if (!navigator.mediaDevices?.getUserMedia) {
    throw new Problem(
      "No microphone on this address",
      "Browsers lend the microphone to https pages and to localhost only. Choose a file instead.",
    );
  }
  let stream;
  let context;
  const close = () => {
    stream?.getTracks().forEach((track) => track.stop());
    if (context && context.state !== "closed") context.close();
  };
  try {
    // As it is: what cleans speech up for telephones also changes the voice.
    const audio = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
    stream = await navigator.mediaDevices.getUserMedia({ audio });
    let source;
    [context, source] = connect(stream);
    await context.audioWorklet.addModule(new URL("microphone-tap.js", import.meta.url));
    const tap = new AudioWorkletNode(context, "microphone-tap", {
      channelCount: 1,
      channelCountMode: "explicit",
    });
    source.connect(tap).connect(context.destination); // silence: the tap gives nothing out
    await start(context);
    stream.getAudioTracks()[0].addEventListener("ended", onLost);
    const listen = (onSamples) => (tap.port.onmessage = ({ data }) => onSamples(data));
    return { rate: context.sampleRate, listen, close };
  } catch (error) {
    close();
    throw explain(error);
  }
}

function connect(stream) {
  const context = new AudioContext({ sampleRate: RATE });
  try {
    return [context, context.createMediaStreamSource(stream)];
  } catch { // Firefox takes a microphone at its own rate only
    context.close();
    const own = new AudioContext();
    return [own, own.createMediaStreamSource(stream)];
  }
}

/** Firefox starts no sound, and says nothing, on a machine without an output for it. */
function start(context) {
  const tooLong = new Promise((_, reject) => {
    setTimeout(() => reject(new DOMException("", "NoOutputError")), PATIENCE_MS);
  });
  return Promise.race([context.resume(), tooLong]);
}

function explain(error) {
  switch (error.name) {
    case "NotAllowedError":
    case "SecurityError":
      return new Problem(
        "The microphone is not allowed",
        "Allow it for this page in the browser's address bar and record again, or choose a file.",
      );
    case "NotFoundError":
    case "OverconstrainedError":
      return new Problem(
        "No microphone found",
        "Connect one and record again, or choose a file.",
      );
    case "NotReadableError":
      return new Problem(
        "The microphone is in use",
        "Close the program that uses it and record again, or choose a file.",
      );
    case "NoOutputError":
      return new Problem(
        "The browser starts no sound",
        "Connect headphones or a loudspeaker and record again, or choose a file.",
      );
    default:
      return new Problem("The microphone cannot be used", `${error.message}. Choose a file.`);
  }
}
