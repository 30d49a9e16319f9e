// SPDX-License-Identifier: GPL-3.0-or-later

/* Two people register, meet in a room, and do there what people do. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { flood, Person, RUN, start_browser, until } from "./people.mjs";

describe("two people chat", { timeout: 240_000 }, () => {
  let browser;
  let anna;
  let ben;
  let room;

  before(async () => {
    browser = await start_browser();
    anna = await Person.arrive(browser, "anna");
    ben = await Person.arrive(browser, "ben");
  });

  after(() => browser?.close());

  test("they register, with an e-mail address and without", async () => {
    await anna.register();
    await ben.register({ email: "" });
  });

  test("the same name is refused, with the reason", async () => {
    const other = await Person.arrive(browser, "anna");
    await other.go("/register/");
    await other.page.getByLabel("User name").fill(anna.name);
    await other.page.getByLabel("E-mail").fill(`other-${RUN}@example.org`);
    await other.page.getByLabel("Password").fill("long enough 123");
    await other.button("Register").click();
    await other.page.getByRole("alert").getByText("already in use").waitFor();
    await other.leave();
  });

  test("anna creates a room; ben finds it by its first letters and joins", async () => {
    room = await anna.create_room(`Garden ${RUN}`, { topic: "Beds and bees" });
    await ben.go("/chat/dashboard/");
    await ben.page.getByRole("searchbox", { name: "Search public rooms" }).fill(`garden ${RUN}`);
    await ben.page.getByRole("link", { name: `Join Garden ${RUN}` }).click();
    await ben.in_room();
    await anna.log().getByText(`${ben.name} joined`).waitFor();
  });

  test("each reads at once what the other writes", async () => {
    await anna.write("Hello, Ben");
    await ben.reads("Hello, Ben");
    await ben.write("Hello, Anna");
    await anna.reads("Hello, Anna");
    await anna.settled("Hello, Ben");
  });

  test("Shift+Enter breaks the line, Enter sends", async () => {
    await anna.field().fill("first line");
    await anna.field().press("Shift+Enter");
    await anna.field().pressSequentially("second line");
    await anna.field().press("Enter");
    await ben.reads("second line");
    assert.match(await ben.message("second line").innerText(), /first line\n+second line/);
  });

  test("presence: both see that both are here", async () => {
    for (const person of [anna, ben]) {
      const here = person.page.getByRole("complementary", { name: "People" });
      await person.page.setViewportSize({ width: 1400, height: 800 });
      await here.getByText("2 people here now").waitFor();
      await person.page.setViewportSize({ width: 1280, height: 720 });
    }
  });

  test("typing is seen, and fades when the message comes", async () => {
    await ben.field().pressSequentially("I think");
    await anna.page.getByText(`${ben.name} is typing`).waitFor();
    await ben.field().press("Enter");
    await anna.reads("I think");
    await anna.page.getByText(`${ben.name} is typing`).waitFor({ state: "detached" });
  });

  test("edit", async () => {
    await anna.write("We meet at six");
    await anna.settled("We meet at six");
    await anna.act("We meet at six", "Edit");
    await anna.field().fill("We meet at seven");
    await anna.field().press("Enter");
    await ben.reads("We meet at seven");
    await ben.message("We meet at seven").getByText("edited").waitFor();
    assert.equal(await ben.message("We meet at six").count(), 0);
  });

  test("reply", async () => {
    await ben.act("We meet at seven", "Reply");
    await ben.write("Seven is fine");
    await anna.reads("Seven is fine");
    const reply = anna.message("Seven is fine");
    await reply.getByRole("button", { name: /In reply to .*We meet at seven/ }).waitFor();
  });

  test("react, and take it back", async () => {
    await ben.act("We meet at seven", "React with heart");
    const reaction = anna.message("We meet at seven").first().getByRole("button", { name: /❤️, 1 person/ });
    await reaction.waitFor();
    await reaction.click();
    await ben.page.getByRole("button", { name: /❤️, 2 people/ }).waitFor();
    await ben.page.getByRole("button", { name: /❤️, 2 people/ }).click();
    await anna.page.getByRole("button", { name: /❤️, 1 person/ }).waitFor();
  });

  test("delete", async () => {
    await anna.write("Forget this");
    await ben.reads("Forget this");
    await anna.settled("Forget this");
    await anna.act("Forget this", "Delete");
    await ben.log().getByText("This message was removed.").waitFor();
    assert.equal(await ben.log().getByText("Forget this").count(), 0);
  });

  test("scripts and marks in messages do no harm", async () => {
    const attacks = [
      "<script>window.harmed = 1</script>",
      "<img src=x onerror='window.harmed = 1'>",
      "[click](javascript:window.harmed=1)",
      "![p](https://example.org/x.png) `<b>`",
      '<svg onload="window.harmed=1">',
    ];
    for (const text of attacks) {
      await anna.write(text);
      await anna.settled(text.includes("![p]") ? "<b>" : text.includes("](") ? "javascript:" : text);
    }
    await ben.reads('<svg onload="window.harmed=1">');
    for (const person of [anna, ben]) {
      assert.equal(await person.page.evaluate(() => window.harmed), undefined);
      assert.equal(await person.log().locator("img, script, iframe").count(), 0);
      assert.equal(await person.log().locator("a[href^=javascript]").count(), 0);
    }
  });

  test("Markdown is shown", async () => {
    await anna.write("**bold** and `code` and https://example.org/");
    const message = ben.message("bold and code");
    await message.locator("strong", { hasText: "bold" }).waitFor();
    await message.locator("code", { hasText: "code" }).waitFor();
    await message.getByRole("link", { name: "https://example.org/" }).waitFor();
  });

  test("a reload keeps everything", async () => {
    const before_reload = await ben.texts();
    await ben.page.reload();
    await ben.in_room();
    await ben.reads("Hello, Anna");
    assert.deepEqual(await ben.texts(), before_reload);
  });

  test("offline: what is written waits, is shown as waiting, and arrives once", async () => {
    await anna.context.setOffline(true);
    await anna.page.getByRole("status", { name: "Connection" }).getByText("Not connected").waitFor();
    const lines = ["pending one", "pending two", "pending three"];
    for (const line of lines) {
      await anna.write(line);
      await anna.page.getByRole("article", { name: "You, Sending" }).filter({ hasText: line }).waitFor();
    }
    assert.equal(await ben.message("pending").count(), 0);
    await ben.write("said while Anna was away");
    await ben.settled("said while Anna was away");
    await anna.context.setOffline(false);
    await ben.reads("pending three");
    await anna.settled("pending three");
    await anna.settled("said while Anna was away");
    for (const person of [anna, ben]) {
      const pending = (await person.texts()).filter((text) => text.startsWith("pending"));
      assert.deepEqual(pending, lines);
    }
  });

  test("pending messages survive a closed tab", async () => {
    await anna.context.setOffline(true);
    await anna.page.getByRole("status", { name: "Connection" }).getByText("Not connected").waitFor();
    await anna.write("written before the tab closed");
    await anna.page.getByRole("article", { name: "You, Sending" }).waitFor();
    await anna.page.close();
    await anna.context.setOffline(false);
    const page = await anna.context.newPage();
    const again = new Person("again", anna.context, page);
    again.name = anna.name;
    anna = again;
    await anna.open_room(room);
    await ben.reads("written before the tab closed");
    await anna.settled("written before the tab closed");
    assert.equal((await ben.texts()).filter((text) => text.startsWith("written before")).length, 1);
  });

  test("my rooms say when something was last written, also after a reload", async () => {
    await anna.go("/chat/dashboard/");
    const mine = anna.page.getByRole("region", { name: "My rooms" });
    await mine.getByRole("link", { name: new RegExp(`Garden ${RUN}.*\\d:\\d\\d`) }).waitFor();
    await anna.open_room(room);
  });

  test("unread messages are counted on the dashboard", async () => {
    await ben.go("/chat/dashboard/");
    await ben.page.getByRole("link", { name: new RegExp(`Garden ${RUN}`) }).first().waitFor();
    await anna.write("news for Ben");
    const link = ben.page.getByRole("region", { name: "My rooms" }).getByRole("link", { name: /1 unread/ });
    await link.waitFor();
    await link.click();
    await ben.reads("news for Ben");
    await ben.go("/chat/dashboard/");
    await ben.page.getByRole("region", { name: "My rooms" }).getByRole("link").first().waitFor();
    await until("nothing unread", async () => (await ben.page.getByText(/unread/).count()) === 0);
  });

  test("history comes on scrolling up and does not move what one reads", async () => {
    const texts = Array.from({ length: 230 }, (_, at) => `line ${at + 1} of many`);
    await flood(anna, room, texts);
    await ben.open_room(room);
    await ben.reads("line 230 of many");
    assert.equal(await ben.message("line 1 of many").count(), 0);
    const log = ben.log();
    /* Scroll up by hand, step by step; a message in view keeps its place when older ones come. */
    await until("the first line", async () => {
      const moved = await log.evaluate(async (element) => {
        element.scrollTop = Math.max(0, element.scrollTop - 300);
        const top = element.getBoundingClientRect().top;
        const anchor = [...element.querySelectorAll("article[data-seq]")].find(
          (article) => article.getBoundingClientRect().top >= top,
        );
        const at = anchor.getBoundingClientRect().top;
        const before = element.querySelectorAll("article[data-seq]").length;
        const end = performance.now() + 250;
        while (performance.now() < end) {
          await new Promise(requestAnimationFrame);
          if (element.querySelectorAll("article[data-seq]").length > before) {
            await new Promise(requestAnimationFrame);
            return Math.abs(anchor.getBoundingClientRect().top - at);
          }
        }
        return 0;
      });
      assert.ok(moved <= 2, `the message in view moved by ${moved} px`);
      return (await log.getByText("line 1 of many", { exact: true }).count()) > 0;
    }, 60_000);
    const lines = (await ben.texts()).filter((text) => text.endsWith("of many"));
    assert.deepEqual(lines, texts);
  });

  test("while one reads above, new messages are announced and do not scroll", async () => {
    await ben.button(/new messages|To the latest/, false).click();
    await ben.reads("line 230 of many");
    await ben.log().evaluate((element) => element.scrollBy(0, -900));
    await ben.button("To the latest").waitFor();
    await anna.open_room(room);
    await anna.write("down here");
    await ben.button("1 new message").waitFor();
    await ben.button("1 new message").click();
    await ben.reads("down here");
    await ben.message("down here").waitFor({ state: "visible" });
  });

  test("a private room is closed to others until they are invited", async () => {
    const secret = await anna.create_room(`Cellar ${RUN}`, { access: "Private" });
    await ben.go(`/chat/${secret}/`);
    await ben.page.getByRole("heading", { name: "This room is closed to you" }).waitFor();
    await anna.button("Room menu").click();
    await anna.page.getByRole("menuitem", { name: "Invite people" }).click();
    await anna.page.getByLabel("Find by user name").fill(ben.name);
    await anna.button(`Add ${ben.name}`).click();
    await anna.page.getByRole("dialog").getByText("In the room").first().waitFor();
    await ben.open_room(secret);
    await ben.write("thank you");
    await anna.reads("thank you");
  });

  test("two people talk alone, and find each other's room again", async () => {
    const message = async (from, to) => {
      await from.page.setViewportSize({ width: 1400, height: 800 });
      await from.open_room(room);
      await from.button(`Actions for ${to.name}`).click();
      await from.page.getByRole("menuitem", { name: "Message" }).click();
      await from.page.getByRole("heading", { level: 1, name: to.name }).waitFor();
      await from.in_room();
      return from.page.url();
    };
    const first = await message(anna, ben);
    await anna.write("Only for you");
    await anna.settled("Only for you");
    assert.equal(await message(ben, anna), first);
    await ben.reads("Only for you");
    assert.equal(await ben.button("Room menu").count(), 0, "nobody leaves or changes it");
    await ben.page.getByRole("link", { name: anna.name }).first().waitFor();
    for (const person of [anna, ben]) {
      await person.page.setViewportSize({ width: 1280, height: 720 });
      await person.open_room(room);
    }
  });

  test("leave", async () => {
    await anna.open_room(room);
    await ben.open_room(room);
    await ben.button("Room menu").click();
    await ben.page.getByRole("menuitem", { name: "Leave room" }).click();
    await ben.page.waitForURL("**/chat/dashboard/");
    await anna.log().getByText(`${ben.name} left`).first().waitFor();
    const mine = ben.page.getByRole("region", { name: "My rooms" });
    await until("gone from my rooms", async () => (await mine.getByText(`Garden ${RUN}`).count()) === 0);
  });

  test("log out and in again, by e-mail, back to where one was going", async () => {
    await anna.go("/chat/dashboard/");
    await anna.button("Log out").click();
    await anna.page.waitForURL("**/login/");
    await anna.go(`/chat/${room}/`);
    await anna.page.waitForURL(/\/login\/\?next=/);
    await anna.sign_in(`${anna.name}@example.org`);
    await anna.page.waitForURL(`**/chat/${room}/`);
    await anna.reads("down here");
  });

  test("a wrong password is refused", async () => {
    const stranger = await Person.arrive(browser, "stranger");
    await stranger.go("/login/");
    await stranger.sign_in(`nobody-${RUN}`);
    await stranger.page.getByRole("alert").getByText("do not match").waitFor();
    await stranger.leave();
  });

  test("no page error, and nothing that the content policy refused", () => {
    assert.deepEqual([...anna.complaints, ...ben.complaints], []);
  });
});
