/** kept is what this browser keeps for the page under a key; null also where it lets a frame of another site keep nothing. */
export function kept(key: string): string | null {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}
