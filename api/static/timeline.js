import { duration, percent, size } from "./format.js";

const clock = new Intl.DateTimeFormat(undefined, { dateStyle: "short", timeStyle: "medium" });
const tried = (data) => (data.attempt > 1 ? `, attempt ${data.attempt}` : "");
const WORDS = {
  TranscriptionCreated: () => "Created",
  SnapshotTaken: () => "Taken over from before events told all",
  Requested: (data) => (data.force ? "Asked for, to be made anew" : "Asked for"),
  RequestWithdrawn: () => "One who asked has withdrawn",
  ResultDiscarded: () => "The earlier result was discarded",
  Queued: () => "Queued",
  Started: (data) => `Started${tried(data)}`,
  AudioDownloaded: (data) => `${data.kind === "upload" ? "File examined" : "Audio downloaded"}: `
    + `${size(data.size_bytes)}, ${duration(data.duration_s)}`,
  CaptionsDownloaded: (data) => `Captions of the source taken: ${data.kind}, ${size(data.size_bytes)}`,
  Progress: (data) => `${data.stage === "transcription" ? "Transcribed" : "Downloaded"} `
    + percent(data.done / data.total),
  TranscriptStored: (data) => `Transcript stored: ${data.word_count} words`,
  DocumentRebuilt: () => "Its lost document was made again from the database",
  TranscriptionCompleted: () => "Completed",
  TranscriptionFailed: (data) => `Failed: ${data.code}`,
  Retried: (data) => `Failed: ${data.code}; the next try after ${duration(data.delay_s)}`,
  GivenBack: () => "Back in the queue: its site is left alone for now",
  Released: () => "The run ended before all was done",
  Canceled: () => "Canceled",
};

/** What happened to the transcription on the page, read while somebody looks. */
export class Timeline {
  constructor({ box, list, read }) {
    Object.assign(this, { box, list, read, id: null, reading: 0 });
    box.addEventListener("toggle", () => this.refresh());
  }

  show(id) {
    if (id !== this.id) {
      this.id = id;
      this.box.open = false;
      this.list.replaceChildren();
    }
    this.box.hidden = !id;
    this.refresh();
  }

  async refresh() {
    const { id } = this;
    if (!id || !this.box.open) return;
    const reading = ++this.reading;
    const items = [];
    try {
      for (let cursor = null, page; !page || cursor; cursor = page.next_cursor) {
        page = await this.read(id, cursor);
        items.push(...page.items.map(item));
      }
    } catch (error) {
      const said = document.createElement("li");
      said.textContent = error.message;
      items.push(said);
    }
    if (id === this.id && reading === this.reading) this.list.replaceChildren(...items);
  }
}

function item({ event_type: type, timestamp, data }) {
  const row = document.createElement("li");
  const at = document.createElement("time");
  at.dateTime = timestamp;
  at.textContent = clock.format(new Date(timestamp));
  const what = document.createElement("span");
  what.textContent = WORDS[type] ? WORDS[type](data) : type;
  row.append(at, what);
  return row;
}
