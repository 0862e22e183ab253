const KEY = "ytcaption.recent";
const KEPT = 10;

/** What was asked for in this browser: [{id, title}], newest first. */
export function recents() {
  try {
    const known = JSON.parse(localStorage.getItem(KEY) || "[]");
    return Array.isArray(known) ? known.filter((item) => item?.id && item?.title) : [];
  } catch {
    return []; // no storage, or somebody else's value in it
  }
}

export function remember(id, title) {
  const known = recents();
  if (known[0]?.id === id && known[0]?.title === title) return;
  const kept = [{ id, title }, ...known.filter((item) => item.id !== id)].slice(0, KEPT);
  try {
    localStorage.setItem(KEY, JSON.stringify(kept));
  } catch {
    // storage is off or full: the page works without it
  }
}
