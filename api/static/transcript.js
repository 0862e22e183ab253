import { clock } from "./format.js";

const YOUTUBE = "https://www.youtube.com/watch?v=";
const fold = (text) => text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();

/** The transcript: a list of segments that can be searched and copied. */
export class TranscriptView {
  constructor({ list, filter, found, nothing, copy }) {
    Object.assign(this, { list, filter, found, nothing, copy });
    this.rows = [];
    filter.addEventListener("input", () => this.search());
    copy.addEventListener("click", () => this.copyText());
  }

  clear() {
    this.rows = [];
    this.list.replaceChildren();
    this.filter.value = "";
    this.found.textContent = "";
    this.nothing.hidden = true;
  }

  draw(transcript, media) {
    const filter = this.filter.value;
    const at = this.list.scrollTop;
    this.clear();
    this.rows = transcript.segments.map((segment) => row(segment, media));
    this.list.lang = transcript.task === "translate" ? "en" : transcript.language || "";
    this.list.replaceChildren(...this.rows.map(({ item }) => item));
    this.nothing.hidden = this.rows.length > 0;
    this.nothing.textContent = this.rows.length ? "" : "No speech was found.";
    this.filter.value = filter; // what was entered while the draft was shown
    this.search();
    this.list.scrollTop = at;
  }

  /** Appends a segment of the draft. A reader at the end of the list stays at its end. */
  add(segment, media) {
    if (segment.index < this.rows.length) return;
    const { list } = this;
    const atEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 40;
    const added = row(segment, media);
    this.rows.push(added);
    list.append(added.item);
    if (this.filter.value.trim()) this.search();
    if (atEnd) list.scrollTop = list.scrollHeight;
  }

  /** Scrolls to the segment at a second, and highlights it. */
  showAt(second) {
    const later = this.rows.findIndex(({ start }) => start > second + 0.5);
    const row = this.rows[Math.max(0, (later < 0 ? this.rows.length : later) - 1)];
    if (!row) return;
    this.filter.value = "";
    this.search();
    for (const { item } of this.rows) item.classList.toggle("here", item === row.item);
    row.item.scrollIntoView({ block: "center" });
  }

  search() {
    const wanted = fold(this.filter.value.trim());
    let hits = 0;
    for (const row of this.rows) {
      const at = wanted ? row.folded.indexOf(wanted) : -1;
      const shown = !wanted || at >= 0;
      row.item.hidden = !shown;
      hits += shown ? 1 : 0;
      mark(row, wanted && shown ? wanted : "");
    }
    this.found.textContent = wanted ? `${hits} of ${this.rows.length}` : "";
  }

  async copyText() {
    const text = this.rows.map((row) => row.original).join("\n");
    try {
      await navigator.clipboard.writeText(text);
      this.copy.textContent = "Copied";
    } catch {
      this.copy.textContent = "Not allowed here";
    }
    setTimeout(() => { this.copy.textContent = "Copy text"; }, 2000);
  }
}

/** Creates the item of a segment; its time links to the video if that is possible. */
function row(segment, media) {
  const page = media.url?.startsWith(YOUTUBE) ? media.url : null;
  const item = document.createElement("li");
  const at = document.createElement(page ? "a" : "span");
  at.className = "at";
  at.textContent = clock(segment.start_s);
  if (page) {
    at.href = `${page}&t=${Math.floor(segment.start_s)}s`;
    at.target = "_blank";
    at.rel = "noreferrer";
  }
  const text = document.createElement("span");
  text.className = "text";
  text.dir = "auto";
  text.textContent = segment.text;
  item.append(at, text);
  return { item, text, start: segment.start_s, original: segment.text, folded: fold(segment.text) };
}

/** Marks the occurrences of `wanted` in the folded text, if folding did not change its length. */
function mark(row, wanted) {
  if (!wanted || row.folded.length !== row.original.length) {
    row.text.textContent = row.original;
    return;
  }
  const parts = [];
  let from = 0;
  for (let at = row.folded.indexOf(wanted); at >= 0; at = row.folded.indexOf(wanted, from)) {
    parts.push(row.original.slice(from, at));
    const hit = document.createElement("mark");
    hit.textContent = row.original.slice(at, at + wanted.length);
    parts.push(hit);
    from = at + wanted.length;
  }
  row.text.replaceChildren(...parts, row.original.slice(from));
}
