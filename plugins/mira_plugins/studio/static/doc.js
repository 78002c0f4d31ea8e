// One task's result on screen: decoded anew by sliders, edited by hand, undone, saved.

import { ask } from "./api.js";
import { recall, remember } from "./dom.js";
import * as noteForm from "./notes.js";
import * as segmentForm from "./segments.js";

const FORMS = { notes: noteForm, chords: segmentForm, segments: segmentForm };
const SAVE_AFTER = 400;

export class Doc {
  /**
   * @param {object} track `id` and `content`
   * @param {object} task as the studio describes it
   * @param {function} onChange called with the doc whenever something to draw or say has changed
   */
  constructor(track, task, onChange) {
    this.track = track;
    this.task = task;
    this.onChange = onChange;
    this.form = FORMS[task.kind];
    this.result = null; // as the studio sent it; its columns are those of `items` before any edit
    this.items = null; // notes or segments
    this.heard = null; // the result without edits
    this.settings = {}; // what the sliders say beyond the defaults
    this.edited = false;
    this.draft = false; // whether pitch curves are still to come
    this.revision = "";
    this.problem = ""; // why the last edit is not saved
    this.past = [];
    this.future = [];
    this.key = `mira-edit:${track.id}:${task.name}`;
  }

  get canEdit() {
    return this.items !== null;
  }

  /** Take result and edit from the studio, and an edit that this browser could not save before. */
  async load() {
    const { result, edit, revision, note } = await ask(`tracks/${this.track.id}/results/${this.task.name}`);
    this.heard = result;
    this.revision = revision;
    this.problem = note;
    const draft = recall(this.key);
    if (draft && draft.content === this.track.content) {
      this.settings = draft.settings;
      this.edited = true;
      this.take(draft.result);
      this.revision = revision;
      this.save();
    } else if (edit) {
      const known = new Set(this.task.settings.map((setting) => setting.name));
      this.settings = Object.fromEntries(Object.entries(edit.settings).filter(([name]) => known.has(name)));
      this.edited = true;
      this.take(edit);
    } else if (result) {
      this.take(result);
    }
    return this.result !== null;
  }

  /** Show a result. */
  take(result) {
    this.result = result;
    this.items = this.form ? this.form.fromResult(result) : null;
    this.onChange(this);
  }

  /** What is on screen, in the studio's JSON form. */
  current() {
    return this.items ? this.form.toResult(this.items, this.result) : this.result;
  }

  /** Do an edit: `items` replace those on screen. */
  edit(items) {
    if (items === this.items) return;
    this.past.push({ items: this.items, edited: this.edited });
    this.future = [];
    this.put({ items, edited: true });
  }

  undo() {
    return this.travel(this.past, this.future);
  }

  redo() {
    return this.travel(this.future, this.past);
  }

  travel(from, to) {
    const state = from.pop();
    if (!state) return false;
    to.push({ items: this.items, edited: this.edited });
    this.put(state);
    return true;
  }

  put({ items, edited }) {
    this.items = items;
    this.edited = edited;
    this.keep();
    this.onChange(this);
  }

  /** Leave the edit: what mira heard counts again. It can be undone. */
  discard() {
    const result = this.heard || this.result;
    this.settings = {};
    this.past.push({ items: this.items, edited: this.edited });
    this.future = [];
    this.result = result;
    this.put({ items: this.form.fromResult(result), edited: false });
  }

  /** Keep the edit in the browser at once, and have it saved soon. */
  keep() {
    if (this.edited) {
      const draft = { content: this.track.content, settings: this.settings, result: this.current() };
      if (!remember(this.key, draft)) this.problem = "this browser keeps nothing; save before you close the page";
    } else {
      remember(this.key, null);
    }
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.save(), SAVE_AFTER);
  }

  /** Save the edit, one request at a time; a failure is shown, and the edit stays in the page. */
  async save() {
    clearTimeout(this.timer);
    if (this.saving) {
      this.again = true;
      return;
    }
    this.saving = true;
    const items = this.items;
    try {
      const path = `tracks/${this.track.id}/edits/${this.task.name}`;
      if (this.edited) {
        const { content } = this.track;
        const body = { content, settings: this.settings, result: this.current(), revision: this.revision };
        this.revision = (await ask(path, { method: "PUT", body })).revision;
      } else if (this.revision) {
        await ask(`${path}?revision=${this.revision}`, { method: "DELETE" });
        this.revision = "";
      }
      this.problem = "";
      if (this.items === items) remember(this.key, null);
    } catch (error) {
      this.problem = `Not saved: ${error.message}. The edit stays in this page.`;
      this.conflict = error.status === 409;
    } finally {
      this.saving = false;
    }
    if (this.again) {
      this.again = false;
      await this.save();
    }
    this.onChange(this);
  }

  /** Save over what another window has saved. */
  async saveOver() {
    const { revision } = await ask(`tracks/${this.track.id}/results/${this.task.name}`);
    this.revision = revision;
    this.conflict = false;
    await this.save();
  }

  /**
   * Decode with other settings, as a `draft` without pitch curves while a slider moves. While one answer is
   * awaited only the newest wish is kept. Gives false if the network must run first.
   */
  async decode(settings, draft = false) {
    this.wish = { settings, draft };
    if (this.decoding) return true;
    this.decoding = true;
    try {
      while (this.wish) {
        const wanted = this.wish;
        this.wish = null;
        const path = `tracks/${this.track.id}/decode/${this.task.name}`;
        const { result } = await ask(path, { method: "POST", body: wanted });
        if (result === null) return false;
        if (this.edited) return true; // somebody was quicker by hand
        this.settings = wanted.settings;
        this.draft = wanted.draft;
        this.past = [];
        this.future = [];
        this.take(result);
      }
    } finally {
      this.decoding = false;
    }
    return true;
  }
}
