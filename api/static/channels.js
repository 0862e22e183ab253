import { API, call, fillChoices, send, show } from "./call.js";
import { ChannelCard } from "./channel_card.js";
import { itemLine } from "./channel_items.js";
import { onKey } from "./key.js";

const PATH = `${API}/channels`;
const REFRESH_MS = 4000;
const SHOWN = 50;
const $ = (id) => document.getElementById(id);

const cards = new Map(); // by id
let shown = SHOWN;
let timer = 0;
let reading = 0;

/** Returns the form's values as the API takes them. */
function formValues() {
  const number = (id) => ($(id).value === "" ? undefined : Number($(id).value));
  const minutes = (id) => (number(id) === undefined ? undefined : number(id) * 60);
  const text = (id) => $(id).value.trim() || undefined;
  return {
    url: $("url").value.trim(),
    schedule: { every: $("every").value },
    language: text("language"),
    model: text("model"),
    captions: text("captions"),
    max_items: number("max_items"),
    filters: {
      title_include: text("title_include"),
      title_exclude: text("title_exclude"),
      min_duration_s: minutes("min_minutes"),
      max_duration_s: minutes("max_minutes"),
      from_date: text("from_date"),
      newest: number("newest"),
      skip_shorts: $("skip_shorts").checked || undefined,
      skip_live: $("skip_live").checked || undefined,
    },
  };
}

/** Calls `work` with the form's values if there is a link; shows errors beside the field. */
async function withForm(button, work) {
  show($("add-error"), "");
  show($("add-message"), "");
  if (!$("url").value.trim()) {
    show($("add-error"), "Paste a channel's link first.");
    $("url").focus();
    return;
  }
  button.disabled = true;
  try {
    await work(formValues());
  } catch (error) {
    show($("add-error"), error.message);
  } finally {
    button.disabled = false;
  }
}

async function subscribe(values) {
  const known = new Set(cards.keys());
  const channel = await send("POST", PATH, values);
  const outcome = known.has(channel.id) ? "is subscribed already and was not changed." : "was added.";
  show($("add-message"), `${channel.title || channel.url} ${outcome}`);
  $("url").value = "";
  $("preview").hidden = true;
  await refresh();
}

async function preview(values) {
  show($("add-message"), "Reading its list …");
  let dryRun;
  try {
    dryRun = await send("POST", `${PATH}/dry-run`, values);
  } finally {
    show($("add-message"), "");
  }
  const { included, excluded } = dryRun;
  $("preview-title").textContent = dryRun.title || dryRun.url;
  const more = dryRun.is_complete ? "" : " The source has more items than were read.";
  $("preview-message").textContent = `${included.length} would be included now, ${excluded.length} `
    + `excluded.${more}`;
  $("preview-items").replaceChildren(...[...included, ...excluded].map(itemLine));
  $("preview").hidden = false;
}

async function act(id, action) {
  const { channel } = cards.get(id);
  const name = channel.title || channel.url;
  if (action === "remove" && !confirm(`Unsubscribe from ${name}? Its transcripts stay.`)) return;
  show($("list-error"), "");
  try {
    if (action === "remove") await send("DELETE", channel.channel_url);
    else if (action === "run") await send("POST", `${channel.channel_url}/run`);
    else await send("PATCH", channel.channel_url, { paused: action === "pause" });
  } catch (error) {
    show($("list-error"), error.message);
  }
  await refresh();
}

/** Reads and draws the list; existing cards stay, with what is open in them. */
async function refresh() {
  clearTimeout(timer);
  const thisReading = ++reading;
  const channels = [];
  let next = `${PATH}?limit=${SHOWN}`;
  try {
    while (next && channels.length < shown) {
      const page = await call(next);
      channels.push(...page.items);
      next = page.next_url;
    }
    show($("list-error"), "");
  } catch (error) {
    if (thisReading !== reading) return;
    show($("list-error"), error.message);
    if (error.transient) timer = setTimeout(refresh, 3 * REFRESH_MS);
    return;
  }
  if (thisReading !== reading) return;
  draw(channels);
  $("more-channels").hidden = !next;
  timer = setTimeout(refresh, document.hidden ? 15 * REFRESH_MS : REFRESH_MS);
}

function draw(channels) {
  const removed = new Set(cards.keys());
  channels.forEach((channel, index) => {
    removed.delete(channel.id);
    const card = cards.get(channel.id) || new ChannelCard(channel, act);
    card.draw(channel);
    cards.set(channel.id, card);
    if ($("channels").children[index] !== card.element) {
      $("channels").insertBefore(card.element, $("channels").children[index] || null);
    }
  });
  for (const id of removed) {
    cards.get(id).element.remove();
    cards.delete(id);
  }
  $("none").hidden = channels.length > 0;
}

$("add").addEventListener("submit", (event) => {
  event.preventDefault();
  withForm($("send"), subscribe);
});
$("preview-button").addEventListener("click", () => withForm($("preview-button"), preview));
$("more-channels").addEventListener("click", () => {
  shown += SHOWN;
  refresh();
});
function start() {
  fillChoices($("model"), $("language")).catch((error) => show($("add-error"), error.message));
  refresh();
}
onKey(start);
start();
