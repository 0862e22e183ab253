import { duration, percent, size } from "./format.js";

const clock = new Intl.DateTimeFormat(undefined, { dateStyle: "short", timeStyle: "medium" });
const attemptOf = (data) => (data.attempt > 1 ? `, attempt ${data.attempt}` : "");
const WORDS = {
  TranscriptionCreated: () => "Created",
  SnapshotTaken: () => "Imported from a version without history",
  Requested: (data) => (data.force ? "Requested again, with force" : "Requested"),
  RequestWithdrawn: () => "A request was withdrawn",
  ResultDiscarded: () => "The earlier result was discarded",
  Queued: () => "Queued",
  Started: (data) => `Started${attemptOf(data)}`,
  AudioDownloaded: (data) => `${data.kind === "upload" ? "File examined" : "Audio downloaded"}: `
    + `${size(data.size_bytes)}, ${duration(data.duration_s)}`,
  CaptionsDownloaded: (data) => `Captions of the source downloaded: ${data.kind}, ${size(data.size_bytes)}`,
  Progress: (data) => `${data.stage === "transcription" ? "Transcribed" : "Downloaded"} `
    + percent(data.done / data.total),
  TranscriptStored: (data) => `Transcript stored: ${data.word_count} words`,
  DocumentRebuilt: () => "The lost document was rebuilt from the database",
  TranscriptionCompleted: () => "Completed",
  TranscriptionFailed: (data) => `Failed: ${data.code}`,
  Retried: (data) => `Failed: ${data.code}; next attempt after ${duration(data.delay_s)}`,
  GivenBack: () => "Back in the queue: its site is throttled at the moment",
  Released: () => "The run ended before it was finished",
  Canceled: () => "Canceled",
};

/** The history of the transcription on the page, read when it is opened. */
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
      const message = document.createElement("li");
      message.textContent = error.message;
      items.push(message);
    }
    if (id === this.id && reading === this.reading) this.list.replaceChildren(...items);
  }
}

function item({ event_type: type, timestamp, data }) {
  const row = document.createElement("li");
  const at = document.createElement("time");
  at.dateTime = timestamp;
  at.textContent = clock.format(new Date(timestamp));
  const text = document.createElement("span");
  text.textContent = WORDS[type] ? WORDS[type](data) : type;
  row.append(at, text);
  return row;
}
