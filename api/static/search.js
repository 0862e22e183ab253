import { clock } from "./format.js";

/** The search box and its results: media with marked matches; a hit opens the transcript there. */
export class SearchView {
  constructor({ form, words, mode, sort, error, box, title, notes, facets, list, more, close, read }) {
    Object.assign(this, { form, words, mode, sort, error, box, title, notes, facets, list, more, close, read });
    this.channel = "";
    this.requests = 0;
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.channel = "";
      this.start();
    });
    for (const choice of [mode, sort]) {
      choice.addEventListener("change", () => this.words.value.trim() && this.start());
    }
    close.addEventListener("click", () => this.clear());
    more.addEventListener("click", () => this.page(this.nextUrl));
  }

  clear() {
    this.requests += 1;
    this.box.hidden = true;
    this.list.replaceChildren();
    this.error.hidden = true;
  }

  start() {
    const query = new URLSearchParams({ q: this.words.value.trim(), mode: this.mode.value, sort: this.sort.value });
    if (this.channel) query.set("channel", this.channel);
    this.clear();
    if (query.get("q")) this.page(`/api/v1/search?${query}`);
    else this.words.focus();
  }

  async page(url) {
    const request = (this.requests += 1);
    this.more.disabled = true;
    let page;
    try {
      page = await this.read(url);
    } catch (error) {
      if (request !== this.requests) return;
      this.error.textContent = error.message;
      this.error.hidden = !error.message;
      return;
    } finally {
      this.more.disabled = false;
    }
    if (request !== this.requests) return;
    const number = page.hit_count.toLocaleString("en");
    this.title.textContent = page.hit_count
      ? `${page.is_complete ? "" : "More than "}${number} ${page.hit_count === 1 ? "match" : "matches"} in ${page.media_count.toLocaleString("en")} ${page.media_count === 1 ? "media item" : "media items"}`
      : "No matches";
    this.notes.textContent = page.notes.join(" ");
    this.notes.hidden = !page.notes.length;
    this.drawFacets(page.facets.channels);
    this.list.append(...page.items.map(media));
    this.nextUrl = page.next_url;
    this.more.hidden = !page.next_url;
    this.box.hidden = false;
  }

  drawFacets(channels) {
    const named = channels.filter(({ channel }) => channel).slice(0, 8);
    const shown = named.length > 1 || this.channel ? named : [];
    this.facets.replaceChildren(...shown.map(({ channel, channel_id: id, media_count: count }) => {
      const button = document.createElement("button");
      button.type = "button";
      button.className = "quiet";
      button.textContent = this.channel ? `${channel} ×` : `${channel} ${count}`;
      button.addEventListener("click", () => {
        this.channel = this.channel ? "" : id || channel;
        this.start();
      });
      return button;
    }));
  }
}

function element(name, className, text = "") {
  const created = document.createElement(name);
  created.className = className;
  created.textContent = text;
  return created;
}

/** Returns a media item with its hits. All texts are untrusted: they become text, never markup. */
function media(result) {
  const item = element("li", "found");
  const title = element("a", "found-title", result.title || result.url || result.media_id);
  title.href = `#${result.transcription_id}`;
  const facts = [result.channel, result.published_on, `${result.hit_count} ${result.hit_count === 1 ? "match" : "matches"}`];
  const hits = element("ol", "hits");
  hits.append(...result.hits.map((hit) => {
    const row = element("li", "hit");
    const link = element("a", "at", clock(hit.start_s));
    link.href = hit.page_url.slice(hit.page_url.indexOf("#"));
    const text = element("span", "text");
    text.dir = "auto";
    text.lang = result.language || "";
    text.append(
      element("span", "around", hit.before ? `${hit.before.text} ` : ""),
      ...marked(hit),
      element("span", "around", hit.after ? ` ${hit.after.text}` : ""),
    );
    row.append(link, text);
    if (hit.media_url) {
      const source = element("a", "source", "↗");
      source.href = hit.media_url;
      source.target = "_blank";
      source.rel = "noreferrer";
      source.title = "Open the media at this second";
      source.setAttribute("aria-label", source.title);
      row.append(source);
    }
    return row;
  }));
  item.append(title, element("p", "dim", facts.filter(Boolean).join(" · ")), hits);
  return item;
}

/** Splits the text into plain parts and marks; positions count code points. */
function marked({ text, marks }) {
  const chars = Array.from(text);
  const parts = [];
  let from = 0;
  for (const [start, end] of marks) {
    parts.push(chars.slice(from, start).join(""), element("mark", "", chars.slice(start, end).join("")));
    from = end;
  }
  return [...parts, chars.slice(from).join("")];
}
