/** What tests do again and again: people with browsers of their own, and the paths through the interface. */
import { type Browser, type BrowserContext, type BrowserContextOptions, expect, type Locator, type Page, test as base } from "@playwright/test";
import { Relay } from "./relay.ts";

export const PASSWORD = "correct horse battery";

/** Where a browser goes to. */
type Address = Pick<Relay, "url">;

export class Person {
  /** What went wrong in the page: errors of scripts, dialogs, and what the content security policy forbade. */
  readonly faults: string[] = [];

  constructor(
    readonly name: string,
    readonly context: BrowserContext,
    readonly page: Page,
    readonly relay: Address,
  ) {
    this.watch(page);
  }

  watch(page: Page): void {
    page.on("pageerror", (error) => this.faults.push(`error: ${error.stack ?? error.message}`));
    page.on("dialog", (dialog) => {
      this.faults.push(`dialog: ${dialog.message()}`);
      void dialog.dismiss();
    });
    page.on("console", (message) => {
      if (/Content Security Policy|TrustedHTML|TrustedScript/.test(message.text())) this.faults.push(message.text());
    });
  }

  get composer(): Locator {
    return this.page.getByRole("textbox", { name: "Message", exact: true });
  }

  /** A line that says so. */
  line(text: string | RegExp): Locator {
    return this.page.locator(".message").filter({ hasText: text });
  }

  item(title: string): Locator {
    return this.page.locator(".item").filter({ has: this.page.locator(".item-title", { hasText: title }) });
  }

  async say(text: string): Promise<void> {
    await this.composer.fill(text);
    await this.composer.press("Enter");
    await expect(this.composer).toHaveValue("");
  }

  async sees(text: string | RegExp): Promise<void> {
    await expect(this.line(text).last()).toBeVisible();
  }

  async open(title: string): Promise<void> {
    await this.item(title).click();
    await expect(this.page.locator(".chat-title")).toContainText(title);
  }

  async writeTo(username: string): Promise<void> {
    await this.page.getByRole("button", { name: "New conversation" }).first().click();
    const dialog = this.page.getByRole("dialog");
    await dialog.getByLabel("Username").fill(username);
    await dialog.getByRole("button", { name: "Write to them" }).click();
    await this.isIn(username, dialog);
  }

  async create(kind: "Group" | "Room", name: string, members: string[] = [], listed = false): Promise<void> {
    await this.page.getByRole("button", { name: "New conversation" }).first().click();
    const dialog = this.page.getByRole("dialog");
    await dialog.getByRole("tab", { name: kind }).click();
    await dialog.getByLabel(`Name of the ${kind.toLowerCase()}`).fill(name);
    if (kind === "Group") await dialog.getByRole("textbox", { name: "Members" }).fill(members.join(", "));
    if (listed) await dialog.getByRole("switch").check();
    await dialog.getByRole("button", { name: "Create", exact: true }).click();
    await this.isIn(name, dialog);
  }

  /** The dialog is gone a moment before the conversation of before is. */
  private async isIn(title: string, dialog: Locator): Promise<void> {
    await expect(dialog).toBeHidden();
    await expect(this.page.locator(".chat-title")).toContainText(title);
    await expect(this.composer).toBeVisible();
  }

  /** Chooses something from the menu of a line. */
  async act(text: string | RegExp, item: string): Promise<void> {
    await this.line(text).locator(".bubble").first().click({ button: "right", position: { x: 8, y: 8 } });
    await this.page.getByRole("menuitem", { name: item }).click();
  }

  async connected(): Promise<void> {
    await expect(this.page.locator(".connection")).toHaveClass(/good/);
  }
}

export async function visit(browser: Browser, relay: Address, name: string, options: BrowserContextOptions = {}): Promise<Person> {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  const person = new Person(name, context, page, relay);
  await page.goto(relay.url);
  return person;
}

/** Fills in the first screen and goes past the recovery words, which it gives. */
export async function register(person: Person, hash = ""): Promise<string[]> {
  const { page, name } = person;
  if (hash) await page.goto(person.relay.url + hash);
  await page.getByRole("textbox", { name: "Username" }).fill(name);
  await page.getByRole("textbox", { name: "E-mail" }).fill(`${name}@example.org`);
  await page.getByRole("textbox", { name: "Password" }).fill(PASSWORD);
  await page.getByRole("button", { name: "Create account" }).click();
  const words = page.locator(".words li");
  await expect(words).toHaveCount(24);
  const shown = await words.allInnerTexts();
  await page.getByRole("checkbox").check();
  await page.getByRole("button", { name: "Done" }).click();
  await person.connected();
  return shown;
}

/** Somebody registers, then comes the work, with the recovery words; nothing of the page may have failed. */
export async function registered(person: Person, work: (words: string[]) => Promise<void>): Promise<void> {
  try {
    await work(await register(person));
    expect(person.faults).toEqual([]);
  } finally {
    await person.context.close();
  }
}

interface Fixtures {
  /** How a test's relay is configured beside the usual. */
  settings: Record<string, string>;
  relay: Relay;
  /** Somebody with a browser of their own who has just registered. */
  somebody: (name: string, options?: BrowserContextOptions) => Promise<Person>;
}

export const test = base.extend<Fixtures>({
  settings: [{}, { option: true }],
  relay: async ({ settings }, use) => {
    const relay = await Relay.start(settings);
    await use(relay);
    await relay.stop();
  },
  somebody: async ({ browser, relay }, use) => {
    const people: Person[] = [];
    await use(async (name, options) => {
      const person = await visit(browser, relay, name, options);
      people.push(person);
      await register(person);
      return person;
    });
    const faults = people.flatMap((person) => person.faults);
    await Promise.all(people.map((person) => person.context.close()));
    expect(faults, "no script fails, and nothing is forbidden").toEqual([]);
  },
});

export { expect };
