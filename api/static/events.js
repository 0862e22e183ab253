import { apiKey, withKey } from "./key.js";

const ENDS = ["completed", "failed", "canceled"];
const NAMES = ["state", "progress", "segment", "reset", ...ENDS];
const RETRY_MS = 2000;

/**
 * Calls `onEvent(name, data)` with each event until the last one, across reconnections, and
 * `onLost()` once if the server sends none. Returns a function that stops it.
 */
export function follow(url, { onEvent, onLost }) {
  return apiKey() ? followByFetch(url, onEvent, onLost) : followByEventSource(url, onEvent, onLost);
}

function followByEventSource(url, onEvent, onLost) {
  const source = new EventSource(url);
  for (const name of NAMES) {
    source.addEventListener(name, (event) => {
      if (ENDS.includes(name)) source.close();
      onEvent(name, JSON.parse(event.data));
    });
  }
  // The browser reconnects after lost connections, but not if the response is not a stream.
  source.addEventListener("error", () => {
    if (source.readyState === EventSource.CLOSED) onLost();
  });
  return () => source.close();
}

/** The same with fetch, which can send the key; EventSource cannot. */
function followByFetch(url, onEvent, onLost) {
  const abort = new AbortController();
  let lastId = "";
  let ended = false;

  const handle = (block) => {
    const fields = Object.fromEntries(block.split("\n").map((line) => {
      const at = line.indexOf(": ");
      return [line.slice(0, at), line.slice(at + 2)];
    }));
    if (!fields.data || ended || abort.signal.aborted) return;
    lastId = fields.id;
    ended = ENDS.includes(fields.event);
    onEvent(fields.event, JSON.parse(fields.data));
  };
  const read = async () => {
    const headers = withKey({ Accept: "text/event-stream", ...(lastId && { "Last-Event-ID": lastId }) });
    const response = await fetch(url, { headers, cache: "no-store", signal: abort.signal });
    if (response.status !== 200) return onLost();
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    try {
      let pending = "";
      for (let part = await reader.read(); !part.done; part = await reader.read()) {
        const blocks = (pending + part.value).split("\n\n");
        pending = blocks.pop();
        blocks.forEach(handle);
      }
    } finally {
      reader.cancel().catch(() => {});
    }
    if (!ended) throw new Error("The stream broke off.");
  };
  const keepReading = () => read().catch(() => {
    if (!abort.signal.aborted) setTimeout(keepReading, RETRY_MS);
  });
  keepReading();
  return () => abort.abort();
}
