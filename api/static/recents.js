import { apiKey } from "./key.js";

const KEY = "ytcaption.recent";
const MAX_ITEMS = 10;

/** Returns where the list is kept: with a key in this tab, until the key is forgotten. */
function storage() {
  return apiKey() ? sessionStorage : localStorage;
}

/** Returns what was requested in this browser: [{id, title}], newest first. */
export function recents() {
  try {
    const known = JSON.parse(storage().getItem(KEY) || "[]");
    return Array.isArray(known) ? known.filter((item) => item?.id && item?.title) : [];
  } catch {
    return []; // storage is off, or holds another value
  }
}

export function remember(id, title) {
  const known = recents();
  if (known[0]?.id === id && known[0]?.title === title) return;
  const items = [{ id, title }, ...known.filter((item) => item.id !== id)].slice(0, MAX_ITEMS);
  try {
    storage().setItem(KEY, JSON.stringify(items));
  } catch {
    // storage is off or full: the page works without it
  }
}
