/* The search runs in a worker, and a browser makes none for a page that was opened from a directory: a hidden frame does
   the same work there. */
class FrameWorker extends EventTarget {
  #loaded;

  constructor(url) {
    super();
    const frame = document.createElement("iframe");
    frame.hidden = true;
    document.body.append(frame);
    const inside = frame.contentWindow;
    inside.postMessage = (data) => this.dispatchEvent(new MessageEvent("message", { data }));
    const script = inside.document.createElement("script");
    script.src = url;
    this.#loaded = new Promise((done) => script.addEventListener("load", () => done(inside)));
    inside.document.body.append(script);
  }

  postMessage(data) {
    this.#loaded.then((inside) => inside.dispatchEvent(new inside.MessageEvent("message", { data })));
  }
}

/* lunr finds all pages that contain a word which begins like one of the query ("a" finds "after"). Here a page must
   contain all words; only the last one, which may not be typed to its end, may be the beginning of a word. Where no page
   does, lunr's way follows. */
const [QUERY, RESULT] = [2, 3];
const required = (query) => (query.match(/\w+/g) ?? []).map((word) => `+${word}`).join(" ").replace(/$/, "*");

window.Worker = class extends (location.protocol === "file:" ? FrameWorker : Worker) {
  #queries = [];

  constructor(url) {
    super(url);
    this.addEventListener("message", (event) => {
      const query = event.data.type === RESULT && this.#queries.shift();
      if (query && !this.#queries.length && !event.data.data.items.length) {
        event.stopImmediatePropagation();
        this.#send(query, "");
      }
    });
  }

  postMessage(message) {
    if (message.type === QUERY) this.#send(required(message.data), message.data);
    else super.postMessage(message);
  }

  #send(data, query) {
    this.#queries.push(query);
    super.postMessage({ type: QUERY, data });
  }
};
