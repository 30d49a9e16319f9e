// SPDX-License-Identifier: GPL-3.0-or-later

/* Every page, light and dark, on a desktop and on a phone, under axe-core's WCAG A and AA rules. */
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import { ADDRESS, Person, RUN, start_browser } from "./people.mjs";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

const DEVICES = {
  desktop: { viewport: { width: 1400, height: 900 } },
  phone: { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true },
};

/** What axe finds that is serious or critical, in words. */
async function findings(page) {
  const result = await page.evaluate(async () => {
    const rules = { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"] };
    return (await window.axe.run(document, rules)).violations;
  });
  return result
    .filter((violation) => ["serious", "critical"].includes(violation.impact))
    .map((violation) => `${violation.id}: ${violation.nodes.map((node) => `${node.html} ${node.failureSummary}`).join("\n  ")}`);
}

for (const [device, options] of Object.entries(DEVICES)) {
  for (const colorScheme of ["light", "dark"]) {
    describe(`${device}, ${colorScheme}`, { timeout: 120_000 }, () => {
      let browser;
      let cara;
      let room;

      before(async () => {
        browser = await start_browser();
        cara = await Person.arrive(browser, `cara-${device}-${colorScheme}`, {
          ...options,
          colorScheme,
          reducedMotion: "reduce",
        });
        /* As a script of the test, not of the page: the page's policy stays as it is. */
        await cara.context.addInitScript(axe);
      });

      after(() => browser?.close());

      const check = (what, arrive) =>
        test(what, async () => {
          await arrive();
          assert.deepEqual(await findings(cara.page), []);
          /* Against the device: a phone's innerWidth grows with a page that is too wide. */
          const width = await cara.page.evaluate(() => document.documentElement.scrollWidth);
          assert.ok(width <= options.viewport.width, `the page is ${width} px wide`);
        });

      check("landing page", async () => {
        await cara.go("/");
        await cara.page.getByRole("heading", { level: 1 }).waitFor();
      });
      check("log in", async () => {
        await cara.go("/login/");
        await cara.button("Log in").waitFor();
      });
      check("register", async () => {
        await cara.go("/register/");
        await cara.button("Register").waitFor();
      });
      check("a failed log-in", async () => {
        await cara.go("/login/");
        await cara.sign_in(`nobody-${RUN}`);
        await cara.page.getByRole("alert").getByText("do not match").waitFor();
      });
      check("dashboard, empty", () => cara.register());
      check("room", async () => {
        room = await cara.create_room(`Axe ${device} ${colorScheme} ${RUN}`, { topic: "A topic" });
        await cara.write("Hello **world**, `code`, https://example.org/");
        await cara.settled("Hello world");
        await cara.act("Hello world", "React with party");
        await cara.page.getByRole("button", { name: /🎉, 1 person/ }).waitFor();
        await cara.act("Hello world", "Reply");
        await cara.write("an answer");
        await cara.settled("an answer");
      });
      check("message menu", async () => {
        await cara.message("an answer").hover();
        await cara.message("an answer").getByRole("button", { name: "Message actions" }).click();
        await cara.page.getByRole("menu").waitFor();
        const cut = await cara.page.getByRole("menu").evaluate((menu) => {
          const { left, right, top } = menu.getBoundingClientRect();
          return [left + 2, right - 2].filter((x) => !menu.contains(document.elementFromPoint(x, top + 20)));
        });
        assert.deepEqual(cut, [], "the whole menu can be seen");
      });
      check("room settings", async () => {
        await cara.page.keyboard.press("Escape");
        await cara.button("Room menu").click();
        await cara.page.getByRole("menuitem", { name: "Settings" }).click();
        await cara.page.getByRole("dialog", { name: "Room settings" }).waitFor();
      });
      check("not connected", async () => {
        await cara.page.keyboard.press("Escape");
        await cara.context.setOffline(true);
        await cara.page.getByRole("status", { name: "Connection" }).getByText("Not connected").waitFor();
        await cara.write("waiting");
        await cara.page.getByRole("article", { name: "You, Sending" }).waitFor();
      });
      check("dashboard with a room", async () => {
        await cara.context.setOffline(false);
        await cara.settled("waiting");
        await cara.go("/chat/dashboard/");
        await cara.page.getByRole("region", { name: "My rooms" }).getByRole("link").first().waitFor();
      });
      check("create a room", async () => {
        await cara.button("Create room").click();
        await cara.page.getByRole("dialog").waitFor();
      });
      check("a room that is not there", async () => {
        await cara.go(`/chat/${"f".repeat(32)}/`);
        await cara.page.getByRole("heading", { name: "This room is closed to you" }).waitFor();
      });

      test("the pages ask nobody but their own host", async () => {
        const hosts = new Set();
        cara.page.on("request", (request) => hosts.add(new URL(request.url()).origin));
        await cara.open_room(room);
        assert.deepEqual([...hosts], [new URL(ADDRESS).origin]);
      });
    });
  }
}
