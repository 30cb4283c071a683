/** The operator's page, against the relay's own API. */
import { expect, test } from "./support.ts";

test("an operator sees live figures, finds accounts, changes them, and makes and revokes invites", async ({ relay, somebody }) => {
  const anna = await somebody("anna");
  const bert = await somebody("bert");
  await anna.page.goto(`${relay.url}#/operator`);
  await expect(anna.page.getByText("This page is for operators")).toBeVisible();
  relay.command("account", "role", "anna", "operator");
  await anna.page.reload();
  await expect(anna.page.locator("[data-figure=accounts] dd")).toHaveText("2");
  await expect(anna.page.locator("[data-figure=connections] dd")).toHaveText("2");
  await somebody("clara");
  await expect(anna.page.locator("[data-figure=accounts] dd")).toHaveText("3");

  await anna.page.getByRole("tab", { name: "Accounts" }).click();
  await anna.page.getByRole("searchbox", { name: "Find by name or e-mail" }).fill("ber");
  await expect(anna.page.locator("[data-account]")).toHaveCount(1);
  await anna.page.getByRole("button", { name: "Actions for bert" }).click();
  await anna.page.getByRole("menuitem", { name: "Make operator" }).click();
  await anna.page.getByRole("dialog").getByRole("button", { name: "Make operator" }).click();
  await expect(anna.page.locator("[data-account=bert]")).toContainText("Operator");
  await anna.page.getByRole("button", { name: "Actions for bert" }).click();
  await anna.page.getByRole("menuitem", { name: "Disable" }).click();
  await anna.page.getByRole("dialog").getByRole("button", { name: "Disable" }).click();
  await expect(anna.page.locator("[data-account=bert]")).toContainText("Disabled");
  await expect(bert.page.locator(".banner.warn")).toContainText("Sign in again");

  await anna.page.getByRole("tab", { name: "Invites" }).click();
  await anna.page.getByRole("button", { name: "New invite" }).click();
  await expect(anna.page.getByRole("button", { name: /^Revoke / })).toHaveCount(1);
  await expect(anna.page.locator(".copy-text")).toContainText("#/i/");
  await anna.page.getByRole("button", { name: /^Revoke / }).click();
  await anna.page.getByRole("dialog").getByRole("button", { name: "Revoke" }).click();
  await expect(anna.page.getByRole("button", { name: /^Revoke / })).toHaveCount(0);
  await anna.page.getByRole("tab", { name: "Rooms" }).click();
  await expect(anna.page.getByText("No rooms")).toBeVisible();
});
