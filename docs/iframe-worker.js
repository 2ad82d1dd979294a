// Browsers start no worker from a page that was opened as a file. There, the search runs in a
// hidden frame in place of one. Where the pages come from a server nothing is changed.
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(address) {
      super();
      const frame = document.createElement("iframe");
      frame.hidden = true;
      document.body.append(frame);
      const inside = frame.contentWindow;
      inside.postMessage = (data) =>
        this.dispatchEvent(new MessageEvent("message", { data }));
      inside.importScripts = (...addresses) =>
        addresses.reduce((before, next) => before.then(() => load(next)), Promise.resolve());
      const load = (next) =>
        new Promise((done, failed) => {
          const script = inside.document.createElement("script");
          Object.assign(script, { src: next, onload: done, onerror: failed });
          inside.document.body.append(script);
        });
      this.tell = (data) => inside.dispatchEvent(new MessageEvent("message", { data }));
      this.ready = load(address);
    }
    postMessage(data) {
      this.ready.then(() => this.tell(data));
    }
    terminate() {}
  };
}
