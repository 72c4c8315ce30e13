// Answers queries with the scripts that a page of the site loads: node search.js SITE. A line of stdin is a query, as JSON.
const fs = require("fs");
const path = require("path");
const readline = require("readline");
const vm = require("vm");

const read = (name) => fs.readFileSync(path.join(process.argv[2], name), "utf8");

globalThis.window = globalThis;
globalThis.location = { protocol: "http:" };
globalThis.Worker = class extends EventTarget {
  #scope = { console, addEventListener: (_, listener) => { this.#scope.listener = listener; } };

  constructor(name) {
    super();
    this.#scope.self = this.#scope;
    this.#scope.postMessage = (data) => this.dispatchEvent(new MessageEvent("message", { data }));
    vm.runInNewContext(read(name), this.#scope);
  }

  postMessage(data) {
    this.#scope.listener({ data });
  }
};
vm.runInThisContext(read("assets/iframe-worker.js"));

const folder = "assets/javascripts/workers";
const script = fs.readdirSync(path.join(process.argv[2], folder)).find((name) => name.endsWith(".js"));
const worker = new window.Worker(`${folder}/${script}`);
const answer = (message) => new Promise((resolve) => {
  worker.addEventListener("message", (event) => resolve(event.data.data), { once: true });
  worker.postMessage(message);
});

(async () => {
  const { config, docs } = JSON.parse(read("search/search_index.json"));
  await answer({ type: 0, data: { config, docs, options: {} } });
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const { items } = await answer({ type: 2, data: JSON.parse(line) });
    console.log(JSON.stringify(items.map((page) => page.map((entry) => entry.location))));
  }
})();
