import { API, call, fillChoices, show } from "./call.js";
import { follow } from "./events.js";
import { clock, duration, percent, size } from "./format.js";
import { apiKey, onKey, saveFile } from "./key.js";
import { remember, recents } from "./recents.js";
import { SearchView } from "./search.js";
import { Timeline } from "./timeline.js";
import { TranscriptView } from "./transcript.js";

const POLL_MS = 1000;
const STEPS = {
  audio_download: "Downloading",
  transcription: "Transcribing",
  transcript_parquet: "Storing the transcript",
};
const $ = (id) => document.getElementById(id);

let watched = null; // id of the transcription on the page
let second = null; // the second of it that the address names
let timer = 0;
let stopFollowing = () => {};
const transcript = new TranscriptView({
  list: $("segments"), filter: $("filter"), found: $("found"), nothing: $("nothing"), copy: $("copy"),
});
const timeline = new Timeline({
  box: $("history"),
  list: $("timeline"),
  read: (id, cursor) => call(
    `${API}/transcriptions/${encodeURIComponent(id)}/history?limit=200${cursor ? `&cursor=${cursor}` : ""}`,
  ),
});

new SearchView({
  form: $("search"), words: $("words"), mode: $("mode"), sort: $("sort"), error: $("search-error"), box: $("found-media"),
  title: $("found-title"), notes: $("found-notes"), facets: $("facets"), list: $("found-list"),
  more: $("more-found"), close: $("close-search"), read: (url) => call(url),
});

async function request(options) {
  show($("ask-error"), "");
  $("send").disabled = true;
  try {
    const accepted = await call(`${API}/transcriptions`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(options),
    });
    if (location.hash === `#${accepted.id}`) open();
    else location.hash = accepted.id; // its handler opens it
  } catch (error) {
    show($("ask-error"), error.message);
    $("url").focus();
  } finally {
    $("send").disabled = false;
  }
}

/** Opens what the address names: `#<id>`, optionally followed by `&t=83` for a second of it. */
function open() {
  const [id, at] = decodeURIComponent(location.hash.slice(1)).split("&t=");
  clearTimeout(timer);
  stopFollowing();
  if (id && id === watched && transcript.rows.length && at) {
    transcript.showAt(Number(at));
    return;
  }
  second = at ? Number(at) : null;
  watched = id || null;
  transcript.clear();
  $("result").hidden = true;
  $("work").hidden = true;
  document.title = "ytcaption";
  if (watched) load(watched);
}

async function load(id) {
  stopFollowing();
  const status = await refresh(id);
  if (!status) return;
  if (status.status === "completed") await drawResult(status);
  else if (isActive(status)) stopFollowing = followed(status);
}

/** Reads and draws the status. Returns it, or null if it could not be read (a retry may follow). */
async function refresh(id) {
  let status;
  try {
    status = await call(`${API}/transcriptions/${encodeURIComponent(id)}`);
  } catch (error) {
    if (id !== watched) return null;
    show($("ask-error"), error.message);
    if (error.transient) timer = setTimeout(load, 3 * POLL_MS, id);
    return null;
  }
  if (id !== watched) return null;
  show($("ask-error"), "");
  draw(status);
  remember(id, titleOf(status));
  drawRecents();
  return status;
}

const isActive = ({ status }) => ["queued", "running"].includes(status);

/** Shows changes as they happen; polls if the server sends no events. Returns what stops it. */
function followed(status) {
  const { id } = status;
  transcript.clear();
  return follow(status.events_url, {
    async onEvent(name, data) {
      if (id !== watched) return;
      if (name === "state") {
        const isNew = ["status", "stage", "attempt"].some((field) => status[field] !== data[field])
          || status.waiting_for?.message !== data.waiting_for?.message;
        if (isNew && isActive(data)) status = (await refresh(id)) || status;
      } else if (name === "progress") {
        status = { ...status, status: "running", progress: data };
        drawProgress(status);
      } else if (name === "reset") {
        transcript.clear();
      } else if (name === "segment") {
        drawDraft(data, status);
      } else {
        load(id);
      }
    },
    onLost() {
      if (id === watched) timer = setTimeout(load, POLL_MS, id);
    },
  });
}

function drawDraft(segment, status) {
  if (!transcript.rows.length) {
    $("result-title").textContent = "Transcript so far";
    $("downloads").replaceChildren();
    $("result").hidden = false;
  }
  transcript.add(segment, status.media);
}

function languageName(code) {
  try {
    return new Intl.DisplayNames(["en"], { type: "language" }).of(code);
  } catch {
    return code; // a code of Whisper's that is not in BCP 47
  }
}

/** The kind of the source's captions, else the model that transcribes the audio. */
function origin({ provenance, options }) {
  const kind = provenance?.captions?.kind;
  return kind ? `${kind} captions of the source` : options.model;
}

const titleOf = (status) => status.media.title || status.media.url || status.id;

function draw(status) {
  const { media } = status;
  const active = isActive(status);
  $("work").hidden = false;
  $("work-title").textContent = titleOf(status);
  $("badge").textContent = status.status;
  $("badge").className = `badge ${status.status}`;
  const length = status.duration_s ?? media.duration_s;
  $("source").textContent = [
    media.channel, media.upload_date, length && duration(length),
    status.language && languageName(status.language), origin(status),
    status.options.task === "translate" && "translated",
  ].filter(Boolean).join(" · ");
  $("active").hidden = !active;
  if (active) drawProgress(status);
  const failed = status.status === "failed" || status.status === "canceled";
  show($("failure"), failed ? status.error?.message || "It was canceled." : "");
  $("again").hidden = !failed || !media.url;
  $("again").onclick = () => request({ url: media.url, ...status.options });
  timeline.show(status.id);
  document.title = `${titleOf(status)} – ytcaption`;
}

function drawProgress(status) {
  const progress = status.status === "running" ? status.progress : null;
  const known = progress?.fraction != null;
  $("bar").classList.toggle("unknown", !known);
  $("fill").style.width = known ? percent(progress.fraction) : "";
  if (known) $("bar").setAttribute("aria-valuenow", Math.round(progress.fraction * 100));
  else $("bar").removeAttribute("aria-valuenow");
  let step = STEPS[status.stage] || "Starting";
  if (status.status === "queued") {
    step = status.waiting_for ? status.waiting_for.message : status.attempt > 1
      ? `Trying again, ${status.attempt} of ${status.max_attempts}: ${status.error?.message || ""}`
      : "Waiting in the queue";
  }
  if ($("step").textContent !== step) $("step").textContent = step;
  $("numbers").textContent = numbers(progress);
}

function numbers(progress) {
  if (!progress || !progress.unit || !progress.done) return "";
  const write = progress.unit === "bytes" ? size : clock;
  const total = progress.total ? ` of ${write(progress.total)}` : "";
  const share = progress.fraction != null ? ` · ${percent(progress.fraction)}` : "";
  const left = progress.eta_s ? ` · ${duration(progress.eta_s)} left` : "";
  return `${write(progress.done)}${total}${share}${left}`;
}

async function drawResult(status) {
  let result;
  try {
    result = await call(`${status.result_url}?format=json`);
  } catch (error) {
    show($("failure"), error.message);
    return;
  }
  if (status.id !== watched) return;
  $("downloads").replaceChildren(...["srt", "vtt", "txt", "json", "tsv", "ass", "md"].map((format) => {
    const link = document.createElement("a");
    link.href = `${status.result_url}?format=${format}&download=true`;
    link.textContent = format.toUpperCase();
    link.download = "";
    link.addEventListener("click", (event) => {
      if (!apiKey()) return;
      event.preventDefault();
      saveFile(link.href).catch((error) => show($("failure"), error.message));
    });
    return link;
  }));
  $("result-title").textContent = "Transcript";
  transcript.draw(result, status.media);
  $("result").hidden = false;
  if (second !== null) transcript.showAt(second);
  second = null;
}

function drawRecents() {
  const known = recents();
  $("recent").hidden = known.length === 0;
  $("recents").replaceChildren(...known.map(({ id, title }) => {
    const item = document.createElement("li");
    const link = document.createElement("a");
    link.href = `#${id}`;
    link.textContent = title;
    item.append(link);
    return item;
  }));
}

$("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  const url = $("url").value.trim();
  if (!url) {
    show($("ask-error"), "Paste a link first.");
    $("url").focus();
    return;
  }
  const options = { url, task: $("task").value };
  if ($("language").value) options.language = $("language").value;
  if ($("model").value) options.model = $("model").value;
  if ($("captions").value) options.captions = $("captions").value;
  request(options);
});
addEventListener("hashchange", open);
function start() {
  show($("ask-error"), "");
  fillChoices($("model"), $("language")).catch((error) => show($("ask-error"), error.message));
  drawRecents();
  open();
}
onKey(start);
start();
