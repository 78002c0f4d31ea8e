// What the page asks of the studio.

/** The studio's answer was no; the message says why. Status 0: it did not answer. */
export class Refused extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

/** Ask for a path below /api; gives the answer's JSON, or with `raw` the whole response. */
export async function ask(path, { method = "GET", body, raw = false, signal } = {}) {
  let response;
  try {
    const json = body !== undefined && !(body instanceof Blob);
    response = await fetch(`/api/${path}`, {
      method,
      signal,
      body: json ? JSON.stringify(body) : body,
      headers: json ? { "Content-Type": "application/json" } : {},
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused("the studio does not answer; start it again and this page goes on", 0);
  }
  if (response.ok) return raw ? response : response.json();
  let text = `the studio answered ${response.status}`;
  try {
    text = (await response.json()).error || text;
  } catch {
    if (response.status === 403) text = "this page was closed by the studio; open the link that it printed";
  }
  throw new Refused(text, response.status);
}

/** Watch the jobs. `onJobs(jobs)` at every change, `onLine(up)` when the studio goes or comes back. */
export function watch(onJobs, onLine) {
  let up = true;
  const stream = new EventSource("/api/events");
  stream.onmessage = (event) => onJobs(JSON.parse(event.data).jobs);
  stream.onopen = () => {
    if (!up) onLine(true);
    up = true;
  };
  stream.onerror = () => {
    if (up) onLine(false);
    up = false;
    // After a refusal the browser gives up by itself; after a lost connection it tries again.
    if (stream.readyState === EventSource.CLOSED) setTimeout(() => watch(onJobs, onLine), 2000);
  };
}
