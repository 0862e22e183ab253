import { API, call, fillChoices, send, show } from "./call.js";
import { ChannelCard } from "./channel_card.js";
import { itemLine } from "./channel_items.js";
import { onKey } from "./key.js";

const PATH = `${API}/channels`;
const LOOK_AGAIN_MS = 4000;
const SHOWN = 50;
const $ = (id) => document.getElementById(id);

const cards = new Map(); // by id
let shown = SHOWN;
let timer = 0;
let reading = 0;

/** All that the form says, as the API takes it. */
function asked() {
  const number = (id) => ($(id).value === "" ? undefined : Number($(id).value));
  const minutes = (id) => (number(id) === undefined ? undefined : number(id) * 60);
  const text = (id) => $(id).value.trim() || undefined;
  return {
    url: $("url").value.trim(),
    schedule: { every: $("every").value },
    language: text("language"),
    model: text("model"),
    captions: text("captions"),
    max_new: number("max_new"),
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

/** Does it with the form's values, unless they are none; says what went wrong beside the field. */
async function withForm(button, work) {
  show($("add-error"), "");
  show($("add-said"), "");
  if (!$("url").value.trim()) {
    show($("add-error"), "Paste a channel's link first.");
    $("url").focus();
    return;
  }
  button.disabled = true;
  try {
    await work(asked());
  } catch (error) {
    show($("add-error"), error.message);
  } finally {
    button.disabled = false;
  }
}

async function subscribe(values) {
  const known = new Set(cards.keys());
  const channel = await send("POST", PATH, values);
  const said = known.has(channel.id) ? "is known already, and stays as it is." : "is added.";
  show($("add-said"), `${channel.title || channel.url} ${said}`);
  $("url").value = "";
  $("preview").hidden = true;
  await refresh();
}

async function lookFirst(values) {
  show($("add-said"), "Looking at it …");
  let seen;
  try {
    seen = await send("POST", `${PATH}/dry-run`, values);
  } finally {
    show($("add-said"), "");
  }
  $("preview-title").textContent = seen.title || seen.url;
  const rest = seen.whole ? "" : " There is more than was looked at.";
  $("preview-said").textContent = `${seen.taken.length} would be taken now, ${seen.left_out.length} `
    + `left out.${rest}`;
  $("preview-items").replaceChildren(...[...seen.taken, ...seen.left_out].map(itemLine));
  $("preview").hidden = false;
}

async function act(id, what) {
  const { channel } = cards.get(id);
  const name = channel.title || channel.url;
  if (what === "remove" && !confirm(`Leave ${name}? What was transcribed stays.`)) return;
  show($("list-error"), "");
  try {
    if (what === "remove") await send("DELETE", channel.channel_url);
    else if (what === "run") await send("POST", `${channel.channel_url}/run`);
    else await send("PATCH", channel.channel_url, { paused: what === "pause" });
  } catch (error) {
    show($("list-error"), error.message);
  }
  await refresh();
}

/** Reads and draws the list; cards that are there stay, with what is open in them. */
async function refresh() {
  clearTimeout(timer);
  const mine = ++reading;
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
    if (mine !== reading) return;
    show($("list-error"), error.message);
    if (error.passing) timer = setTimeout(refresh, 3 * LOOK_AGAIN_MS);
    return;
  }
  if (mine !== reading) return;
  draw(channels);
  $("more-channels").hidden = !next;
  timer = setTimeout(refresh, document.hidden ? 15 * LOOK_AGAIN_MS : LOOK_AGAIN_MS);
}

function draw(channels) {
  const gone = new Set(cards.keys());
  channels.forEach((channel, place) => {
    gone.delete(channel.id);
    const card = cards.get(channel.id) || new ChannelCard(channel, act);
    card.draw(channel);
    cards.set(channel.id, card);
    if ($("channels").children[place] !== card.element) {
      $("channels").insertBefore(card.element, $("channels").children[place] || null);
    }
  });
  for (const id of gone) {
    cards.get(id).element.remove();
    cards.delete(id);
  }
  $("none").hidden = channels.length > 0;
}

$("add").addEventListener("submit", (event) => {
  event.preventDefault();
  withForm($("send"), subscribe);
});
$("look").addEventListener("click", () => withForm($("look"), lookFirst));
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
