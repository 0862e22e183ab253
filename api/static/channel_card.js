import { element, show } from "./call.js";
import { duration, percent } from "./format.js";
import { ChannelItems } from "./channel_items.js";

/** One channel of the list: its state, its progress, and its actions. */
export class ChannelCard {
  /** @param act `(id, action)` performs "pause", "resume", "run" or "remove". */
  constructor(channel, act) {
    const id = channel.id;
    this.title = element("h2");
    this.badge = element("span", { className: "badge" });
    this.source = element("a", { className: "dim", rel: "noreferrer", target: "_blank" });
    this.fill = element("div", { className: "fill" });
    this.bar = element("div", { className: "bar" }, this.fill);
    this.bar.setAttribute("role", "progressbar");
    this.bar.setAttribute("aria-label", "transcribed");
    this.numbers = element("p", { className: "dim" });
    this.times = element("p", { className: "dim" });
    this.failure = element("p", { className: "error", hidden: true });
    this.pause = element("button", { type: "button", className: "quiet" });
    this.pause.addEventListener("click", () => act(id, this.channel.paused ? "resume" : "pause"));
    const run = element("button", { type: "button", className: "quiet", textContent: "Check now" });
    run.addEventListener("click", () => act(id, "run"));
    const remove = element("button", { type: "button", className: "quiet", textContent: "Remove" });
    remove.addEventListener("click", () => act(id, "remove"));
    this.items = new ChannelItems(channel.items_url);
    this.element = element(
      "li", { className: "card" },
      element("div", { className: "work-head titled" }, this.title, this.badge),
      this.source, this.bar, this.numbers, this.times, this.failure,
      element("div", { className: "tools" }, this.pause, run, remove),
      this.items.element,
    );
    this.draw(channel);
  }

  draw(channel) {
    this.channel = channel;
    const { progress, error } = channel;
    this.title.textContent = channel.title || channel.url;
    this.source.textContent = channel.url;
    this.source.href = channel.url;
    const [word, kind] = state(channel);
    this.badge.textContent = word;
    this.badge.className = `badge ${kind}`;
    this.fill.style.width = percent(progress.fraction || 0);
    this.bar.setAttribute("aria-valuenow", Math.floor(100 * (progress.fraction || 0)));
    this.numbers.textContent = numbers(channel);
    this.times.textContent = times(channel);
    show(this.failure, error && `The last check failed: ${error.message}`);
    this.pause.textContent = channel.paused ? "Resume" : "Pause";
  }
}

function state({ paused, listing, error, listed_at: listedAt, history }) {
  if (listing) return ["being checked", ""];
  if (paused) return ["paused", ""];
  if (error) return ["failing", "failed"];
  if (!listedAt) return ["not checked yet", ""];
  return history.listed == null ? ["up to date", "completed"] : ["listing its history", ""];
}

function numbers({ progress, transcriptions, items, history }) {
  const count = (number) => number.toLocaleString("en");
  const excluded = items.filtered + items.refused + items.missing + items.erased;
  return [
    progress.total ? `${count(progress.done)} of ${count(progress.total)} transcribed` : "nothing to transcribe yet",
    transcriptions.running && `${count(transcriptions.running)} in progress`,
    transcriptions.failed && `${count(transcriptions.failed)} failed`,
    items.waiting && `${count(items.waiting)} still live or upcoming`,
    excluded && `${count(excluded)} excluded`,
    items.changed && `${count(items.changed)} changed since`,
    history.listed != null && history.total && `${count(history.listed)} of ${count(history.total)} listed`,
  ].filter(Boolean).join(" · ");
}

function times({ listed_at: listedAt, next_listing_at: nextAt, schedule }) {
  const now = Date.now();
  const ago = (at) => duration(Math.max(0, now - new Date(at)) / 1000);
  const inS = nextAt && (new Date(nextAt) - now) / 1000;
  return [
    listedAt ? `last checked ${ago(listedAt)} ago` : "never checked",
    nextAt && (inS > 1 ? `next in ${duration(inS)}` : "next now"),
    schedule.every ? `every ${schedule.every}` : `${schedule.cron} (${schedule.time_zone})`,
  ].filter(Boolean).join(" · ");
}
