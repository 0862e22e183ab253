const KEPT_AS = "ytcaption.key";
const $ = (id) => document.getElementById(id);
let kept = null; // where the browser keeps nothing, this page does

/** The API key that was entered in this tab; "" while none is needed. */
export function apiKey() {
  try {
    return sessionStorage.getItem(KEPT_AS) || "";
  } catch {
    return kept || "";
  }
}

function keep(key) {
  kept = key;
  try {
    if (key) sessionStorage.setItem(KEPT_AS, key);
    else sessionStorage.removeItem(KEPT_AS);
  } catch {
    // storage is off: until the page is left
  }
  $("forget-key").hidden = !key;
}

/** Headers with the key, for fetch: it goes there and nowhere else, never into a URL. */
export function withKey(headers = {}) {
  return apiKey() ? { ...headers, Authorization: `Bearer ${apiKey()}` } : headers;
}

/** Asks for a key, after an answer 401 to a request with the key `sent`. */
export function askForKey(sent) {
  if (sent !== apiKey() && apiKey()) return; // another one was entered meanwhile
  keep("");
  $("door").hidden = false;
  if (sent) $("key-error").textContent = "This key is not valid here, or not any more.";
  $("key-error").hidden = !sent && !$("key-error").textContent;
  $("key").focus();
}

/** Calls `again` whenever a key was entered. */
export function onKey(again) {
  $("forget-key").hidden = !apiKey();
  $("forget-key").addEventListener("click", () => {
    keep("");
    location.reload();
  });
  $("enter-key").addEventListener("submit", (event) => {
    event.preventDefault();
    const key = $("key").value.trim();
    if (!/^[\x21-\x7e]+$/.test(key)) return;
    keep(key);
    $("key").value = "";
    $("key-error").textContent = "";
    $("door").hidden = true;
    again();
  });
}

/** Has the browser save what a link leads to: links send no key, fetch does. */
export async function saveFile(url) {
  const sent = apiKey();
  const response = await fetch(url, { headers: withKey() });
  if (response.status === 401) return askForKey(sent);
  if (!response.ok) throw new Error(`The server answered ${response.status}.`);
  const said = response.headers.get("Content-Disposition") || "";
  const encoded = said.match(/filename\*=UTF-8''([^;]+)/i)?.[1];
  const link = document.createElement("a");
  link.href = URL.createObjectURL(await response.blob());
  link.download = encoded ? decodeURIComponent(encoded) : said.match(/filename="([^"]*)"/)?.[1] || "captions";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
