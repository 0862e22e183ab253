import { clock } from "./format.js";

/** The search box: media in which something was said, with its marks; a hit opens the transcript there. */
export class SearchView {
  constructor({ form, words, mode, sort, error, box, title, notes, facets, list, more, close, read }) {
    Object.assign(this, { form, words, mode, sort, error, box, title, notes, facets, list, more, close, read });
    this.channel = "";
    this.asked = 0;
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.channel = "";
      this.begin();
    });
    for (const choice of [mode, sort]) {
      choice.addEventListener("change", () => this.words.value.trim() && this.begin());
    }
    close.addEventListener("click", () => this.clear());
    more.addEventListener("click", () => this.page(this.nextUrl));
  }

  clear() {
    this.asked += 1;
    this.box.hidden = true;
    this.list.replaceChildren();
    this.error.hidden = true;
  }

  begin() {
    const query = new URLSearchParams({ q: this.words.value.trim(), mode: this.mode.value, sort: this.sort.value });
    if (this.channel) query.set("channel", this.channel);
    this.clear();
    if (query.get("q")) this.page(`/api/v1/search?${query}`);
    else this.words.focus();
  }

  async page(url) {
    const turn = (this.asked += 1);
    this.more.disabled = true;
    let page;
    try {
      page = await this.read(url);
    } catch (error) {
      if (turn !== this.asked) return;
      this.error.textContent = error.message;
      this.error.hidden = !error.message;
      return;
    } finally {
      this.more.disabled = false;
    }
    if (turn !== this.asked) return;
    const number = page.hit_count.toLocaleString("en");
    this.title.textContent = page.hit_count
      ? `${page.is_complete ? "" : "More than "}${number} ${page.hit_count === 1 ? "place" : "places"} in ${page.media_count.toLocaleString("en")} media`
      : "Nothing was found";
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
        this.begin();
      });
      return button;
    }));
  }
}

function element(name, className, text = "") {
  const made = document.createElement(name);
  made.className = className;
  made.textContent = text;
  return made;
}

/** A media with its hits. All texts are strangers': they become text, never markup. */
function media(found) {
  const item = element("li", "found");
  const title = element("a", "found-title", found.title || found.url || found.media_id);
  title.href = `#${found.transcription_id}`;
  const facts = [found.channel, found.published_on, `${found.hit_count} ${found.hit_count === 1 ? "place" : "places"}`];
  const hits = element("ol", "hits");
  hits.append(...found.hits.map((hit) => {
    const row = element("li", "hit");
    const link = element("a", "at", clock(hit.start_s));
    link.href = hit.page_url.slice(hit.page_url.indexOf("#"));
    const text = element("span", "text");
    text.dir = "auto";
    text.lang = found.language || "";
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

/** The text in pieces, those that were looked for as marks; places count code points. */
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
