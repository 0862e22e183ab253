import { apiKey, askForKey, withKey } from "./key.js";

export const API = "/api/v1";

/** Returns a response's JSON, or throws an Error with words for people. */
export async function call(path, options = {}) {
  const sent = apiKey();
  let response;
  try {
    response = await fetch(path, {
      ...options, headers: withKey({ Accept: "application/json", ...options.headers }),
    });
  } catch {
    throw Object.assign(new Error("The server does not answer. Is it running?"), { transient: true });
  }
  const body = await response.json().catch(() => ({}));
  if (response.ok) return body;
  if (response.status === 401) {
    askForKey(sent);
    throw new Error(""); // the form for the key is shown instead
  }
  const fields = (body.errors || []).map((field) => field.detail).join("; ");
  const error = new Error(fields || body.detail || `The server answered ${response.status}.`);
  error.transient = response.status >= 500;
  throw error;
}

/** Shows a text in an element, which is hidden without one. */
export function show(element, text) {
  element.textContent = text || "";
  element.hidden = !text;
}

/** Fills two lists with the models and languages of this installation. */
export async function fillChoices(model, language) {
  const options = await call(`${API}/options`);
  model.replaceChildren(...options.models.map((name) => new Option(name, name)));
  model.value = options.default_model;
  const languages = [...options.languages].sort((a, b) => a.name.localeCompare(b.name));
  language.replaceChildren(
    new Option("Detect", ""), ...languages.map(({ code, name }) => new Option(name, code)),
  );
}

/** Calls with a JSON body. */
export const send = (method, path, body) => call(path, {
  method,
  ...(body && { headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) }),
});

/** Creates an element with these properties and children; text stays text, whatever it holds. */
export function element(name, properties = {}, ...children) {
  const created = Object.assign(document.createElement(name), properties);
  created.append(...children);
  return created;
}
