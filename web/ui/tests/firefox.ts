/**
 * A real Firefox. Playwright drives only Firefoxes of its own making; the one of the system is driven over WebDriver BiDi by
 * puppeteer.
 */
import { existsSync } from "node:fs";
import puppeteer, { type Browser, type Page } from "puppeteer-core";
import { PASSWORD } from "./support.ts";

const FIREFOX = process.env.SOTTO_FIREFOX ?? "/usr/bin/firefox-esr";

/** How long something may take to be there, on a busy machine. */
const PATIENCE_MS = 60_000;

/** A person at a Firefox of their own. */
export class FirefoxPerson {
  constructor(
    readonly name: string,
    readonly page: Page,
  ) {
    page.setDefaultTimeout(PATIENCE_MS);
  }

  async register(url: string): Promise<void> {
    await this.page.goto(url);
    await this.page.locator("input[name=username]").fill(this.name);
    await this.page.locator("input[name=email]").fill(`${this.name}@example.org`);
    await this.page.locator("input[name=password]").fill(PASSWORD);
    await this.page.locator("form button[type=submit]").click();
    await this.page.waitForFunction(() => document.querySelectorAll(".words li").length === 24);
    await this.page.locator("input[type=checkbox]").click();
    await this.press("Done");
    await this.connected();
  }

  connected(): Promise<unknown> {
    return this.page.waitForSelector(".connection.good");
  }

  /** A button with this text, or with a picture that is called so. */
  async press(label: string): Promise<void> {
    await this.page.waitForFunction(
      (label) => {
        const buttons = [...document.querySelectorAll("button")];
        const button = buttons.find((button) => (button.ariaLabel ?? button.textContent?.trim()) === label);
        if (!button || button.disabled) return false;
        button.click();
        return true;
      },
      {},
      label,
    );
  }

  async open(title: string): Promise<void> {
    await this.page.waitForFunction(
      (title) => {
        const item = [...document.querySelectorAll<HTMLElement>(".item")].find((item) =>
          item.querySelector(".item-title")?.textContent?.includes(title),
        );
        item?.click();
        return item !== undefined;
      },
      {},
      title,
    );
    await this.page.waitForSelector(".composer textarea, textarea");
  }

  async say(text: string): Promise<void> {
    await this.page.locator("textarea").fill(text);
    await this.page.keyboard.press("Enter");
  }

  async sees(text: string): Promise<void> {
    await this.page.waitForFunction(
      (text) => [...document.querySelectorAll(".message")].some((line) => line.textContent?.includes(text)),
      {},
      text,
    );
  }
}

export async function firefox<T>(work: (browser: Browser) => Promise<T>, preferences: Record<string, unknown> = {}): Promise<T> {
  if (!existsSync(FIREFOX)) throw new Error(`${FIREFOX} is missing: apt-get install firefox-esr (cargo xtask test does)`);
  const browser = await puppeteer.launch({
    browser: "firefox",
    executablePath: FIREFOX,
    headless: true,
    extraPrefsFirefox: preferences,
    timeout: PATIENCE_MS,
  });
  try {
    return await work(browser);
  } finally {
    await browser.close();
  }
}
