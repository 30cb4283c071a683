/** What a browser and its system are called, by what it calls itself: "Firefox" and "Linux". */
export function namesOf(agent: string): { browser: string | undefined; system: string | undefined } {
  const browser = /Firefox|Edg|OPR|Chrome|Safari/.exec(agent)?.[0];
  const system = /Android|iPhone|iPad|Windows|Mac OS|Linux/.exec(agent)?.[0];
  const names: Record<string, string> = { Edg: "Edge", OPR: "Opera" };
  return { browser: browser && (names[browser] ?? browser), system };
}
