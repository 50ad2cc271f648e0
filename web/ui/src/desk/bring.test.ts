import { expect, test } from "vitest";
import { again, chosen, dropped, entries, folderOf, hidden, reason, wholeOf, type Item } from "./bring";

test("a file goes where its folder was, on the shelf", () => {
  expect(folderOf("Arvo/01 Spiegel.flac", "new")).toBe("music/Arvo");
  expect(folderOf("/Evening/01 Arrival 30m/a.mp3", "new")).toBe("music/Evening/01 Arrival 30m");
  expect(folderOf("a.mp3", "new")).toBe("music/new");
  expect(folderOf("../../etc/a.mp3", "new")).toBe("music/etc");
});

test("what a computer keeps for itself stays there", () => {
  expect(["a/.DS_Store", "Thumbs.db", "a/desktop.ini", "._x.mp3", ".hidden/a.mp3"].map(hidden)).toEqual([true, true, true, true, true]);
  expect(["a/b.mp3", "The Thumbs.db.mp3"].map(hidden)).toEqual([false, false]);
  const files = [new File(["x"], "a.mp3"), new File(["x"], ".DS_Store")];
  expect(chosen(files, "new").map((b) => `${b.folder}/${b.file.name}`)).toEqual(["music/new/a.mp3"]);
});

test("a folder that is dropped is taken whole, though a browser tells a hundred files at a time", async () => {
  const file = (fullPath: string) => ({ isFile: true, name: fullPath.split("/").at(-1), fullPath, file: (yes: (f: File) => void) => yes(new File(["x"], fullPath.split("/").at(-1)!)) });
  const folder = (fullPath: string, inside: object[]) => ({
    isFile: false, name: fullPath.slice(1), fullPath,
    createReader: () => ({ readEntries: (yes: (e: object[]) => void) => yes(inside.splice(0, 100)) }),
  });
  const many = Array.from({ length: 250 }, (_, k) => file(`/Strings/${k}.mp3`));
  const items = [folder("/Strings", many), folder("/.git", [file("/.git/x.mp3")]), file("/alone.mp3")].map((e) => ({ webkitGetAsEntry: () => e }));
  const got = await dropped(items as unknown as DataTransferItem[], "new");
  expect(got.length).toBe(251);
  expect(`${got[249]!.folder}/${got[249]!.file.name}`).toBe("music/Strings/249.mp3");
  expect(`${got[250]!.folder}/${got[250]!.file.name}`).toBe("music/new/alone.mp3");
});

test("what a session, a short line or another upload holds up is tried again; what can't be taken is not", () => {
  expect([0, 409, 423, 429, 500, 503].map(again)).toEqual([true, true, true, true, true, true]);
  expect([401, 404, 413, 422, 507].map(again)).toEqual([false, false, false, false, false]);
});

test("the room's own words, where there are any", () => {
  expect(reason('{"reason":"The disk is full."}')).toBe("The disk is full.");
  expect([reason(undefined), reason("<html>"), reason("{}")]).toEqual(["", "", ""]);
});

test("what was brought becomes entries of a phase: a folder whole, loose files one by one, no playlists", () => {
  const item = (name: string, more: Partial<Item>): Item => ({ name, folder: "music/new", size: 1, sent: 1, state: "done", reason: "", ...more });
  expect(entries([
    item("1.flac", { folder: "music/A", whole: "music/A" }), item("2.flac", { folder: "music/A/CD2", whole: "music/A", state: "there" }),
    item("01 x.mp3", { place: "music/new/01 x 2.mp3" }), item("y.mp3", { state: "failed" }), item("evening.yaml", { folder: "" }),
  ])).toEqual([{ file: "music/A/", title: "A", tracks: 2 }, { file: "music/new/01 x 2.mp3", title: "x 2" }]);
  expect([wholeOf("/A/b/c.mp3"), wholeOf("A/c.mp3"), wholeOf("c.mp3")]).toEqual(["music/A", "music/A", undefined]);
  expect(folderOf("evening.yaml", "new")).toBe("");
});
