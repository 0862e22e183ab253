const STORAGE_NAME = "ytcaption.key";
const $ = (id) => document.getElementById(id);
let stored = null; // used if the browser's storage is off

/** Returns the API key that was entered in this tab; "" if none is needed. */
export function apiKey() {
  try {
    return sessionStorage.getItem(STORAGE_NAME) || "";
  } catch {
    return stored || "";
  }
}

function store(key) {
  stored = key;
  try {
    if (key) sessionStorage.setItem(STORAGE_NAME, key);
    else sessionStorage.clear(); // with it go the titles that it has opened
  } catch {
    // storage is off: the key is lost when the page is left
  }
  $("forget-key").hidden = !key;
}

/** Returns headers with the key, for fetch; the key is never put into a URL. */
export function withKey(headers = {}) {
  return apiKey() ? { ...headers, Authorization: `Bearer ${apiKey()}` } : headers;
}

/** Asks for a key after a 401 to a request that was sent with the key `sent`. */
export function askForKey(sent) {
  if (sent !== apiKey() && apiKey()) return; // another one was entered since
  store("");
  $("sign-in").hidden = false;
  if (sent) $("key-error").textContent = "This key is not valid here, or no longer valid.";
  $("key-error").hidden = !sent && !$("key-error").textContent;
  $("key").focus();
}

/** Calls `again` whenever a key is entered. */
export function onKey(again) {
  $("forget-key").hidden = !apiKey();
  $("forget-key").addEventListener("click", () => {
    store("");
    location.reload();
  });
  $("enter-key").addEventListener("submit", (event) => {
    event.preventDefault();
    const key = $("key").value.trim();
    if (!/^[\x21-\x7e]+$/.test(key)) return;
    store(key);
    $("key").value = "";
    $("key-error").textContent = "";
    $("sign-in").hidden = true;
    again();
  });
}

/** Has the browser save the file at a URL; links cannot send the key, fetch can. */
export async function saveFile(url) {
  const sent = apiKey();
  const response = await fetch(url, { headers: withKey() });
  if (response.status === 401) return askForKey(sent);
  if (!response.ok) throw new Error(`The server answered ${response.status}.`);
  const header = response.headers.get("Content-Disposition") || "";
  const encoded = header.match(/filename\*=UTF-8''([^;]+)/i)?.[1];
  const link = document.createElement("a");
  link.href = URL.createObjectURL(await response.blob());
  link.download = encoded ? decodeURIComponent(encoded) : header.match(/filename="([^"]*)"/)?.[1] || "captions";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
