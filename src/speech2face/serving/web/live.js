// Asking the server while someone still speaks: samples go out, ever better faces come back.

import { Problem, readProblem, unreachable } from "./problem.js";
import { address, explainNoStream } from "./server.js";

const MOST_WAITING = 4e6; // bytes not yet sent: the line is too slow to listen live

/**
 * Open a stream for samples at `rate`, for faces drawn as chosen. `onHeard` gets {analysed_seconds, speech_seconds}
 * in seconds, `onFace` the facts of each face, `onProblem` the Problem that ended the stream before
 * its time.
 */
export function openLive(rate, choices, { onHeard, onFace, onProblem }) {
  const { speaker: _, ...how } = choices; // nobody is told apart before the end
  const url = address("v1/stream", how);
  url.protocol = url.protocol.replace("http", "ws");
  const waiting = [JSON.stringify({ type: "start", format: "pcm", sample_rate: rate })];
  let over = false;
  let opened = false;
  let settle;
  const answer = new Promise((resolve, reject) => (settle = { resolve, reject }));
  answer.catch(onProblem);

  let socket;
  try {
    socket = new WebSocket(url);
  } catch { // a policy that forbids it
    settle.reject(unreachable());
    return { send() {}, close() {}, finish: () => answer };
  }
  const end = (finish) => {
    if (over) return;
    over = true;
    finish?.();
    socket.close();
  };
  const send = (message) => {
    if (over) return;
    if (socket.readyState === WebSocket.CONNECTING) return waiting.push(message);
    socket.send(message);
    if (socket.bufferedAmount > MOST_WAITING) {
      end(() => settle.reject(new Problem("The line is slow", "The face is drawn at the end.")));
    }
  };
  socket.onopen = () => {
    opened = true;
    waiting.splice(0).forEach((message) => socket.send(message));
  };
  socket.onclose = () => end(async () => {
    settle.reject(opened ? unreachable() : await explainNoStream());
  });
  socket.onmessage = ({ data }) => {
    if (over) return;
    const message = JSON.parse(data);
    if (message.type === "heard") onHeard(message);
    if (message.type === "face") onFace(message);
    if (message.type === "done") end(() => settle.resolve(message));
    if (message.type === "error") {
      end(() => settle.reject(readProblem(message, message.status)));
    }
  };
  return {
    send,
    close: () => end(),
    /** No more samples: the server's whole answer. Throws a Problem. */
    finish() {
      send(JSON.stringify({ type: "end" }));
      return answer;
    },
  };
}
