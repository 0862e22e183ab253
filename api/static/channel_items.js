import { call, element } from "./call.js";
import { clock } from "./format.js";

const day = new Intl.DateTimeFormat(undefined, { dateStyle: "medium" });
const REASONS = {
  title: "its title has not what is wanted",
  title_excluded: "its title has what is not wanted",
  too_short: "too short",
  too_long: "too long",
  too_old: "too old",
  not_newest: "not among the newest",
  short: "a short",
  live: "live",
  upcoming: "only announced",
  private: "private",
  deleted: "deleted",
  missing: "no longer in the list",
  members_only: "for members only",
  max_new: "next time: as many as are wanted at once are taken",
};
const STATES = {
  new: "to be taken", queued: "asked for", filtered: "left out", waiting: "not over yet",
  refused: "cannot be had", gone: "gone", erased: "erased",
};

/** One line of a channel's list; a title is a text, whatever it holds. */
export function itemLine(item) {
  const { transcription, reason, state } = item;
  const said = transcription ? transcription.status : STATES[state] || state;
  const title = element(transcription || item.url ? "a" : "span", {
    textContent: item.title || item.url || item.media_id,
  });
  if (transcription) title.href = `/#${transcription.id}`;
  else if (item.url) Object.assign(title, { href: item.url, rel: "noreferrer", target: "_blank" });
  const facts = [
    item.published_at && day.format(new Date(item.published_at)),
    item.duration_s != null && clock(item.duration_s),
    reason && (REASONS[reason] || reason.replaceAll("_", " ")),
    item.change && `changed since: ${item.change}`,
  ].filter(Boolean).join(" · ");
  const kind = ["completed", "failed"].includes(said) ? said : "";
  return element(
    "li", {},
    element("span", { className: "item-title" }, title),
    element("span", { className: `badge ${kind}`, textContent: said }),
    element("span", { className: "dim", textContent: facts }),
  );
}

/** What a channel's list shows, read while somebody looks, page by page. */
export class ChannelItems {
  constructor(url) {
    Object.assign(this, { url, next: null, reading: 0 });
    this.list = element("ul", { className: "items" });
    this.said = element("p", { className: "dim", hidden: true });
    this.more = element("button", {
      type: "button", className: "quiet", textContent: "More", hidden: true,
    });
    this.state = element(
      "select", { ariaLabel: "Which of them" }, new Option("All", ""),
      ...Object.entries(STATES).map(([value, text]) => new Option(text, value)),
    );
    this.element = element(
      "details", { className: "more" }, element("summary", { textContent: "What is in it" }),
      this.state, this.list, this.said, this.more,
    );
    this.element.addEventListener("toggle", () => this.element.open && this.read());
    this.state.addEventListener("change", () => this.read());
    this.more.addEventListener("click", () => this.read(this.next));
  }

  async read(from = null) {
    const reading = ++this.reading;
    const wanted = this.state.value ? `&state=${this.state.value}` : "";
    let page;
    try {
      page = await call(from || `${this.url}?limit=50${wanted}`);
    } catch (error) {
      if (reading === this.reading) this.say(error.message);
      return;
    }
    if (reading !== this.reading) return;
    const lines = page.items.map(itemLine);
    if (from) this.list.append(...lines);
    else this.list.replaceChildren(...lines);
    this.next = page.next_url;
    this.more.hidden = !this.next;
    this.say(this.list.children.length ? "" : "Nothing here.");
  }

  say(text) {
    this.said.textContent = text;
    this.said.hidden = !text;
  }
}
