/** Screens, as they are checked and drawn. */
import { mkdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import AxeBuilder from "@axe-core/playwright";
import { expect, type Person } from "./support.ts";

const FOLDER = fileURLToPath(new URL("../../../docs/screens/web/", import.meta.url));
const DRAWN = process.env.SOTTO_SCREENS === "1";

/** axe finds nothing wrong on a screen. */
export async function sound(person: Person, screen: string): Promise<void> {
  const { violations } = await new AxeBuilder({ page: person.page }).analyze();
  const found = violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html.slice(0, 200)).join(" | ")}`);
  expect(found, screen).toEqual([]);
}

/** Draws a screen, when asked to. */
export async function draw(person: Person, name: string): Promise<void> {
  if (!DRAWN) return;
  const later = person.page.getByRole("button", { name: "Not now" });
  if (await later.isVisible()) await later.click();
  mkdirSync(FOLDER, { recursive: true });
  await person.page.screenshot({ path: `${FOLDER}${name}.png`, animations: "disabled" });
}
