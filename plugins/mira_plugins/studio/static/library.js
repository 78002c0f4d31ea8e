// The library: recordings to open, files to drop, the queue.

import { ask } from "./api.js";
import { banner, el } from "./dom.js";

const AUDIO = /\.(aac|aif|aifc|aiff|au|avi|caf|flac|m4a|m4b|mka|mkv|mov|mp2|mp3|mp4|mpga|oga|ogg|opus|rf64|w64|wav|wave|webm|wma)$/i;

export class LibraryView {
  /** @param {function} open called with the id of a recording that somebody wants to see */
  constructor(jobs, open) {
    this.jobs = jobs;
    this.openTrack = open;
    this.list = el("ul", { class: "tracks" });
    this.progress = el("p", { role: "status", text: "" });
    this.welcome = el("p", { class: "welcome", text: "Drop music here" });
    const files = this.picker("Choose files", { multiple: true, accept: "audio/*,video/*" });
    files.classList.add("main");
    this.drop = el("div", { class: "drop" },
      this.welcome,
      el("p", { text: "mira listens on this computer; nothing leaves it." }),
      el("div", { class: "row" }, files, this.picker("Choose a folder", { webkitdirectory: true }),
        el("button", { type: "button", id: "sample", text: "Open the bundled piece", on: { click: () => this.sample() } })),
      this.progress);
    this.node = el("div", { class: "library" }, this.drop, this.list);
    for (const type of ["dragenter", "dragover", "dragleave", "drop"]) {
      this.node.addEventListener(type, (event) => this.dragged(event));
    }
  }

  picker(text, options) {
    const input = el("input", { type: "file", class: "unseen", ...options, on: { change: () => this.upload([...input.files]) } });
    return el("label", { class: "button" }, text, input);
  }

  async open() {
    document.getElementById("title").textContent = "";
    await this.refresh();
  }

  async refresh() {
    this.tracks = await ask("tracks");
    this.welcome.textContent = this.tracks.length ? "Drop more music here" : "Drop music here to see, hear and mend what mira hears in it";
    this.show();
  }

  show() {
    const latest = new Map(this.jobs.map((job) => [job.track, job]));
    for (const job of this.jobs) if (job.state === "running" || job.state === "waiting") latest.set(job.track, job);
    this.list.replaceChildren(...(this.tracks || []).map((track) => this.line(track, latest.get(track.id))));
  }

  line(track, job) {
    const open = el("button", { type: "button", class: "name", text: track.name, on: { click: () => this.openTrack(track.id) } });
    const remove = el("button", { type: "button", text: "Remove", "aria-label": `Take ${track.name} off the list`,
      on: { click: () => this.do(ask(`tracks/${track.id}`, { method: "DELETE" })) } });
    const parts = [open];
    if (job?.state === "running") parts.push(el("progress", { max: 1, value: job.progress, "aria-label": `progress of ${track.name}` }));
    if (job?.state === "waiting") parts.push(el("span", { class: "state", text: "waiting" }));
    if (job?.state === "failed") parts.push(el("span", { class: "state bad", text: job.error }));
    if (job?.state === "cancelled") parts.push(el("span", { class: "state", text: "cancelled" }));
    if (job?.state === "running" || job?.state === "waiting") {
      parts.push(el("button", { type: "button", text: "Cancel", "aria-label": `Cancel ${track.name}`,
        on: { click: () => this.do(ask(`jobs/${job.id}`, { method: "DELETE" })) } }));
    }
    return el("li", {}, ...parts, remove);
  }

  async do(request) {
    try {
      await request;
      await this.refresh();
    } catch (error) {
      banner(error.message);
    }
  }

  async sample() {
    try {
      this.openTrack((await ask("sample", { method: "POST", body: {} })).id);
    } catch (error) {
      banner(error.message);
    }
  }

  dragged(event) {
    event.preventDefault();
    this.drop.classList.toggle("over", event.type === "dragenter" || event.type === "dragover");
    if (event.type === "drop") this.upload([...event.dataTransfer.files]);
  }

  /** Send files one after the other, and queue each as soon as it is there. */
  async upload(files) {
    const music = files.filter((file) => AUDIO.test(file.name));
    const problems = files.length && !music.length ? ["none of these files is a recording that mira knows by its name"] : [];
    let last = null;
    for (const [i, file] of music.entries()) {
      this.progress.textContent = `taking in ${i + 1} of ${music.length}: ${file.name}`;
      try {
        last = await ask(`uploads?name=${encodeURIComponent(file.name)}`, { method: "POST", body: file });
        await ask(`tracks/${last.id}/listen`, { method: "POST", body: {} });
      } catch (error) {
        problems.push(error.message);
      }
    }
    this.progress.textContent = problems.join("; ");
    if (music.length === 1 && last) this.openTrack(last.id);
    else await this.refresh();
  }

  onJobs(jobs) {
    this.jobs = jobs;
    this.show();
  }

  key() {
    return false;
  }

  reconnect() {
    this.refresh().catch((error) => banner(error.message));
  }

  close() {}
}
