import { call, element } from "./call.js";
import { clock } from "./format.js";

const day = new Intl.DateTimeFormat(undefined, { dateStyle: "medium" });
const REASONS = {
  title: "title does not match",
  title_excluded: "excluded by its title",
  too_short: "too short",
  too_long: "too long",
  too_old: "too old",
  not_newest: "not among the newest",
  short: "a short",
  live: "live",
  upcoming: "upcoming",
  private: "private",
  deleted: "deleted",
  missing: "no longer in the list",
  members_only: "for members only",
  max_items: "later: the maximum per check is reached",
};
const STATES = {
  new: "to be transcribed", queued: "requested", filtered: "excluded", waiting: "live or upcoming",
  refused: "not available", missing: "missing", erased: "erased",
};

/** Returns the line of an item; its title stays text, whatever it holds. */
export function itemLine(item) {
  const { transcription, reason, state } = item;
  const label = transcription ? transcription.status : STATES[state] || state;
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
  const kind = ["completed", "failed"].includes(label) ? label : "";
  return element(
    "li", {},
    element("span", { className: "item-title" }, title),
    element("span", { className: `badge ${kind}`, textContent: label }),
    element("span", { className: "dim", textContent: facts }),
  );
}

/** The items of a channel, read when they are opened, page by page. */
export class ChannelItems {
  constructor(url) {
    Object.assign(this, { url, next: null, reading: 0 });
    this.list = element("ul", { className: "items" });
    this.message = element("p", { className: "dim", hidden: true });
    this.more = element("button", {
      type: "button", className: "quiet", textContent: "More", hidden: true,
    });
    this.state = element(
      "select", { ariaLabel: "State" }, new Option("All", ""),
      ...Object.entries(STATES).map(([value, text]) => new Option(text, value)),
    );
    this.element = element(
      "details", { className: "more" }, element("summary", { textContent: "Items" }),
      this.state, this.list, this.message, this.more,
    );
    this.element.addEventListener("toggle", () => this.element.open && this.read());
    this.state.addEventListener("change", () => this.read());
    this.more.addEventListener("click", () => this.read(this.next));
  }

  async read(from = null) {
    const reading = ++this.reading;
    const filter = this.state.value ? `&state=${this.state.value}` : "";
    let page;
    try {
      page = await call(from || `${this.url}?limit=50${filter}`);
    } catch (error) {
      if (reading === this.reading) this.showMessage(error.message);
      return;
    }
    if (reading !== this.reading) return;
    const lines = page.items.map(itemLine);
    if (from) this.list.append(...lines);
    else this.list.replaceChildren(...lines);
    this.next = page.next_url;
    this.more.hidden = !this.next;
    this.showMessage(this.list.children.length ? "" : "No items.");
  }

  showMessage(text) {
    this.message.textContent = text;
    this.message.hidden = !text;
  }
}
