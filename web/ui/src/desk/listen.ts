// Sound on the tablet itself: what the room sends as WAV is decoded and played. One thing at a time.
import { refusal } from "../said";

let context: AudioContext | undefined;
let playing: AudioBufferSourceNode | undefined;
let asked: AbortController | undefined;

/** Unheard says in the room's words why there is nothing to hear. */
export class Unheard extends Error {
  constructor(readonly status: number, reason: string) { super(reason); }
}

/** hear fetches a sound and plays it; it ends when the sound has ended, or was stopped (false). A browser lets a page be heard
 * only after a tap: it is called from one. begins is told how long the sound is, in ms. */
export async function hear(path: string, begins: (ms: number) => void): Promise<boolean> {
  hush();
  context ??= new AudioContext();
  void context.resume();
  const mine = (asked = new AbortController());
  try {
    const r = await fetch(path, { cache: "no-store", signal: mine.signal });
    if (!r.ok) throw new Unheard(r.status, refusal(await r.json().catch(() => ({}))));
    const sound = await context.decodeAudioData(await r.arrayBuffer());
    if (mine.signal.aborted) return false;
    const source = context.createBufferSource();
    source.buffer = sound;
    source.connect(context.destination);
    playing = source;
    begins(sound.duration * 1000);
    return await new Promise<boolean>((done) => {
      source.onended = () => done(!mine.signal.aborted);
      source.start();
    });
  } catch (e) {
    if (mine.signal.aborted) return false;
    throw e;
  } finally {
    if (asked === mine) asked = playing = undefined;
  }
}

/** hush ends what is heard, or what was asked for. */
export function hush(): void {
  asked?.abort();
  playing?.stop();
  asked = playing = undefined;
}
