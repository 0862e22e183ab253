import { apiKey, askForKey, withKey } from "./key.js";

export const API = "/api/v1";

/** An answer's JSON, or an Error with words for a person. */
export async function call(path, options = {}) {
  const sent = apiKey();
  let response;
  try {
    response = await fetch(path, {
      ...options, headers: withKey({ Accept: "application/json", ...options.headers }),
    });
  } catch {
    throw Object.assign(new Error("The server does not answer. Is it running?"), { passing: true });
  }
  const body = await response.json().catch(() => ({}));
  if (response.ok) return body;
  if (response.status === 401) {
    askForKey(sent);
    throw new Error(""); // the field for the key says it all
  }
  const fields = (body.errors || []).map((field) => field.detail).join("; ");
  const error = new Error(fields || body.detail || `The server answered ${response.status}.`);
  error.passing = response.status >= 500;
  throw error;
}

/** A text in its place, which is not there without one. */
export function show(element, text) {
  element.textContent = text || "";
  element.hidden = !text;
}

/** The models and languages of this installation, in two lists to choose from. */
export async function fillChoices(model, language) {
  const options = await call(`${API}/options`);
  model.replaceChildren(...options.models.map((name) => new Option(name, name)));
  model.value = options.default_model;
  const languages = [...options.languages].sort((a, b) => a.name.localeCompare(b.name));
  language.replaceChildren(
    new Option("Detect", ""), ...languages.map(({ code, name }) => new Option(name, code)),
  );
}

/** The same as JSON in the body of a request. */
export const send = (method, path, body) => call(path, {
  method,
  ...(body && { headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) }),
});

/** A new element with these properties and children; texts are texts, whatever they hold. */
export function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}
