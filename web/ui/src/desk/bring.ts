// Music that is brought to the room: files and folders from this tablet, one after the other. What was interrupted goes on
// where it stopped, also after the page was closed: choose the same files again.
import { Upload, type DetailedError } from "tus-js-client";
import type { Uploaded } from "../api.gen";
import { refusal } from "../said";
import { base, named as nameOf, type Entry } from "./edit";

export interface Brought { file: File; folder: string; whole?: string } // whole: the folder on the shelf that was brought with all in it
export type State = "waits" | "goes" | "done" | "there" | "failed";
export interface Item { name: string; folder: string; size: number; sent: number; state: State; reason: string; whole?: string; place?: string } // place: where it is in the room

/** shelf is where all that is brought goes, below the playlists folder. */
export const shelf = "music";

/** folderOf is the folder on the shelf for a file by its path in what was chosen: "Arvo/01 Spiegel.flac". One without a
 * folder goes into the one that is named. */
export function folderOf(path: string, named: string): string {
  if (!path.includes("/") && /\.ya?ml$/i.test(path)) return ""; // a playlist lies beside the shelf: its paths begin there
  const parts = path.split("/").filter((s) => s !== "" && s !== "." && s !== "..").slice(0, -1);
  return [shelf, ...(parts.length ? parts : [named])].filter(Boolean).join("/");
}

/** wholeOf is the folder on the shelf that a path's first folder becomes; none: it has no folder. */
export function wholeOf(path: string): string | undefined {
  const first = path.split("/").filter(Boolean);
  return first.length > 1 ? `${shelf}/${first[0]}` : undefined;
}

/** entries are what was brought, as entries of a phase's music: a folder where it was brought whole, else file by file. */
export function entries(items: Item[]): Entry[] {
  const out = new Map<string, Entry>();
  for (const i of items) {
    if ((i.state !== "done" && i.state !== "there") || /\.ya?ml$/i.test(i.name)) continue;
    const file = i.whole ? i.whole + "/" : i.place || [i.folder, i.name].filter(Boolean).join("/");
    const had = out.get(file);
    if (had) had.tracks = (had.tracks ?? 1) + 1;
    else out.set(file, { file, title: i.whole ? base(file) : nameOf(file) });
  }
  return [...out.values()];
}

/** hidden are files that a computer keeps for itself. */
export const hidden = (path: string) => path.split("/").some((s) => s.startsWith(".")) || /(^|\/)(Thumbs\.db|desktop\.ini)$/i.test(path);

/** chosen are the files of a file input. */
export function chosen(list: Iterable<File>, named: string): Brought[] {
  return [...list].filter((f) => !hidden(f.webkitRelativePath || f.name)).map((file) => ({ file, folder: folderOf(file.webkitRelativePath || file.name, named), whole: wholeOf(file.webkitRelativePath || file.name) }));
}

/** dropped are the files of what was dropped, with those in its folders. */
export async function dropped(items: Iterable<DataTransferItem>, named: string): Promise<Brought[]> {
  const out: Brought[] = [];
  const walk = async (e: FileSystemEntry): Promise<void> => {
    if (hidden(e.name)) return;
    if (e.isFile) {
      const file = await new Promise<File>((yes, no) => (e as FileSystemFileEntry).file(yes, no));
      out.push({ file, folder: folderOf(e.fullPath.replace(/^\//, ""), named), whole: wholeOf(e.fullPath) });
      return;
    }
    const reader = (e as FileSystemDirectoryEntry).createReader();
    for (;;) { // it tells a hundred at a time
      const some = await new Promise<FileSystemEntry[]>((yes, no) => reader.readEntries(yes, no));
      if (some.length === 0) return;
      for (const s of some) await walk(s);
    }
  };
  // The items are gone after the first wait.
  for (const e of [...items].map((i) => i.webkitGetAsEntry()).filter((e) => e !== null)) await walk(e);
  return out;
}

/** again says whether an answer is worth another try: no answer, a session that runs, others that are served first. */
export function again(status: number): boolean {
  return status === 0 || status === 409 || status === 423 || status === 429 || (status >= 500 && status !== 507);
}

const waits = [1, 2, 4, 8, 15, 30, 60, 60, 60, 60, 60, 60].map((s) => s * 1000);

/** reason is what the room says of a failure. */
export function reason(body: string | undefined): string {
  try {
    return refusal(JSON.parse(body ?? ""));
  } catch {
    return "";
  }
}

/** Queue sends one file after the other and tells of each change. */
export class Queue {
  items: Item[] = [];
  private files: Brought[] = [];
  private running = false;
  private current: Upload | undefined;

  constructor(private changed: (items: Item[]) => void) {}

  add(more: Brought[]): void {
    this.files.push(...more);
    this.items = [...this.items, ...more.map((b) => ({ name: b.file.name, folder: b.folder, whole: b.whole, size: b.file.size, sent: 0, state: "waits" as State, reason: "" }))];
    this.changed(this.items);
    void this.run();
  }

  /** retry sends what has failed once more. */
  retry(): void {
    this.items = this.items.map((i) => (i.state === "failed" ? { ...i, state: "waits", reason: "" } : i));
    this.changed(this.items);
    void this.run();
  }

  /** stop ends what is sent and forgets what waits. What was sent of a file is kept by the room for a week. */
  stop(): void {
    void this.current?.abort();
    const keep = this.items.map((i) => i.state === "done" || i.state === "there");
    this.files = this.files.filter((_, k) => keep[k]);
    this.items = this.items.filter((_, k) => keep[k]);
    this.current = undefined;
    this.running = false;
    this.changed(this.items);
  }

  private set(b: Brought, change: Partial<Item>): void {
    const k = this.files.indexOf(b);
    if (k < 0) return; // it was stopped
    this.items = this.items.map((i, j) => (j === k ? { ...i, ...change } : i));
    this.changed(this.items);
  }

  private async run(): Promise<void> {
    if (this.running) return;
    this.running = true;
    for (let k: number; (k = this.items.findIndex((i) => i.state === "waits")) >= 0 && this.running; ) await this.send(this.files[k]!);
    this.running = false;
  }

  private send(b: Brought): Promise<void> {
    return new Promise((done) => {
      const failed = (why: string) => {
        this.set(b, { state: "failed", reason: why });
        done();
      };
      this.set(b, { state: "goes" });
      const upload = new Upload(b.file, {
        endpoint: "/api/v1/uploads",
        metadata: { filename: b.file.name, folder: b.folder },
        chunkSize: 16 << 20, // what a room that was started again has on its disk for certain
        retryDelays: waits,
        removeFingerprintOnSuccess: true,
        onShouldRetry: (e) => {
          const r = (e as DetailedError).originalResponse;
          this.set(b, { reason: reason(r?.getBody()) });
          return again(r?.getStatus() ?? 0);
        },
        onProgress: (sent) => this.set(b, { sent, reason: "" }),
        onError: (e) => failed(reason((e as DetailedError).originalResponse?.getBody())),
        onSuccess: ({ lastResponse }) => {
          let there = false, place: string | undefined;
          try {
            const body = JSON.parse(lastResponse.getBody()) as Partial<Uploaded>;
            [there, place] = [body.there === true, body.file];
          } catch {
            // an answer without a body: it was whole already
          }
          this.set(b, { state: there ? "there" : "done", sent: b.file.size, reason: "", place });
          done();
        },
      });
      this.current = upload;
      upload.findPreviousUploads().then((before) => {
        if (before[0]) upload.resumeFromPreviousUpload(before[0]);
        if (this.files.includes(b)) upload.start();
        else done();
      }, () => upload.start());
    });
  }
}
