// Elements, made without markup: whatever is text stays text.

/** Make an element. `props`: `class`, `text`, `on` (event -> listener), properties, or attributes with a dash. */
export function el(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (name === "class") node.className = value;
    else if (name === "text") node.textContent = value;
    else if (name === "on") for (const [event, listener] of Object.entries(value)) node.addEventListener(event, listener);
    else if (name.includes("-") || name === "role") node.setAttribute(name, value);
    else node[name] = value;
  }
  node.append(...children);
  return node;
}

/** Say something to those who listen instead of looking. */
export function say(text) {
  document.getElementById("said").textContent = text;
}

/** Show one line over the page until it is taken back with an empty one. */
export function banner(text) {
  const place = document.getElementById("banner");
  place.textContent = text;
  place.hidden = !text;
}

/** Minutes, seconds and tenths. */
export function clock(seconds) {
  const tenths = Math.max(0, Math.round(seconds * 10));
  const rest = ((tenths % 600) / 10).toFixed(1).padStart(4, "0");
  return `${Math.floor(tenths / 600)}:${rest}`;
}

/** Keep something in the browser; it may refuse, and then it is not kept. */
export function remember(key, value) {
  try {
    if (value === null) localStorage.removeItem(key);
    else localStorage.setItem(key, JSON.stringify(value));
    return true;
  } catch {
    return false;
  }
}

/** What was kept under a key, or `otherwise`. */
export function recall(key, otherwise = null) {
  try {
    return JSON.parse(localStorage.getItem(key)) ?? otherwise;
  } catch {
    return otherwise;
  }
}
