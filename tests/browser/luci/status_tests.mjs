// Test the page with the status and the whitelist.

import assert from "node:assert/strict";

import { ADD, add, cells, HOSTILE, NOTICE, PROGRAM, revokeButton, WARNING } from "./scene.mjs";

export const statusTests = {
  async "status and whitelist"({ open }) {
    const { page, tracker } = await open("status");
    const figures = await cells(page, "#nakodo-figures");
    assert.deepEqual(figures, [
      ["State", "running"],
      ["Version", "0.1.0"],
      ["Running for", "9s"],
      ["Peers", "5"],
      ["Seeders", "2"],
      ["Leechers", "3"],
      ["Swarms", "5"],
      ["Memory in use", "515 B of 2.0 MiB"],
      ["Entries on the whitelist", "4 of 512"],
      ["Written to flash", "84.0 KiB"],
    ]);
    assert.deepEqual(
      (await cells(page, "#nakodo-entries")).map((row) => row.slice(0, 5)),
      [
        ["Prefix", "User", "Idle for", "Retires in", "Ends"],
        ["198.51.100.0/28", "O'Neill,  Åsa", "8s", "never", "-"],
        ["192.0.2.9/32", "-", "8s", "29d 23h", "2027-02-01T00:00:00.000Z"],
        ["203.0.113.7/32", "mika", "8s", "29d 23h", "-"],
        ["2001:db8:1:2::/64", HOSTILE, "8s", "89d 23h", "-"],
      ],
    );
    assert.equal(await page.locator("img").count(), 0, "a user name is HTML");
    assert.equal(await page.locator("#nakodo-count").textContent(), "4 of 4 entries are shown.");
    assert.deepEqual(await page.locator(WARNING).allTextContents(), tracker.status.warnings);
    assert.ok(tracker.status.warnings.length > 0);
  },

  async "a name of HTML runs nothing anywhere"({ open }) {
    const { page, tracker } = await open("status", {
      prepare: ({ tracker: { status } }) => {
        status.version = HOSTILE;
        status.warnings = [HOSTILE];
        status.disk = { failing: HOSTILE, export_failing: HOSTILE, recovered: HOSTILE, failures: 1, rebuilds: 0 };
      },
    });
    await revokeButton(page, "2001:db8:1:2::/64").click();
    assert.match(await page.locator("#modal").textContent(), /Revoke 2001:db8:1:2::\/64 of the user <img src=x/);
    tracker.failure = { code: 70, stdout: "", stderr: `nakodo: ${HOSTILE}\n` };
    await page.locator("#modal").getByRole("button", { name: "Revoke" }).click();
    await page.locator(NOTICE).waitFor();
    await page.evaluate(() => window.played.poll(5));
    assert.equal(await page.locator(NOTICE).locator("p").textContent(), HOSTILE);
    assert.deepEqual(await page.locator(WARNING).allTextContents(), [`nakodo does not answer: ${HOSTILE}`]);
    assert.equal(await page.locator("img").count(), 0, "a text of the tracker is HTML");
  },

  async "problems of the disk are sentences"({ open }) {
    const { page } = await open("status", {
      prepare: ({ tracker: { status } }) => {
        status.warnings = [];
        status.whitelist.capacity = 4;
        status.disk = {
          failing: "no space",
          export_failing: "read-only",
          recovered: "from the journal",
          failures: 3,
          rebuilds: 0,
        };
      },
    });
    assert.deepEqual(await page.locator(WARNING).allTextContents(), [
      "The disk refuses changes of the whitelist: no space",
      "The second copy of the whitelist cannot be written: read-only",
      "The whitelist was restored at the start: from the journal",
      "Writing to the disk failed 3 times since the start.",
      "The whitelist is full. Revoke entries, or raise its capacity in the options.",
    ]);
  },

  async "revoke asks first"({ open }) {
    const { page, router } = await open("status");
    const before = router.commands.length;
    await revokeButton(page, "203.0.113.7/32").click();
    const modal = page.locator("#modal");
    assert.match(await modal.textContent(), /Revoke 203\.0\.113\.7\/32 of the user mika\?/);
    await modal.getByRole("button", { name: "Cancel" }).click();
    assert.equal(await modal.count(), 0);
    assert.equal(router.commands.length, before, "a cancelled revocation ran a command");
    await revokeButton(page, "203.0.113.7/32").click();
    await modal.getByRole("button", { name: "Revoke" }).click();
    await modal.waitFor({ state: "detached" });
    assert.deepEqual(router.commands[before], [PROGRAM, "revoke", "--", "203.0.113.7/32"]);
    assert.equal(await page.locator(NOTICE).locator("p").textContent(), "removed 1 entry");
    assert.ok(!(await cells(page, "#nakodo-entries")).some(([prefix]) => prefix === "203.0.113.7/32"));
  },

  async "allow an address"({ open }) {
    const { page, router } = await open("status");
    for (const [address, user, words] of [
      [" 192.0.2.40 ", "", ["allow", "--", "192.0.2.40"]],
      ["192.0.2.41", HOSTILE, ["allow", "--config=/etc/nakodo/nakodo.toml", `--user=${HOSTILE}`, "--", "192.0.2.41"]],
      [
        "192.0.2.42",
        "--import /x",
        ["allow", "--config=/etc/nakodo/nakodo.toml", "--user=--import /x", "--", "192.0.2.42"],
      ],
    ]) {
      const before = router.commands.length;
      await add(page, address, user);
      await page.locator(NOTICE, { hasText: `allowed ${address.trim()}/32` }).waitFor();
      assert.deepEqual(router.commands[before], [PROGRAM, ...words]);
      await page.locator(`#nakodo-entries td:text-is("${address.trim()}/32")`).waitFor();
    }
    assert.equal(await page.locator("img").count(), 0);
  },

  async "a bad address shows the error"({ open }) {
    const { page, router } = await open("status");
    const before = router.commands.length;
    await add(page, "", "");
    await page.locator(NOTICE, { hasText: "Enter an address." }).waitFor();
    assert.equal(router.commands.length, before);
    await add(page, "300.1.1.1", "");
    await page.locator(NOTICE, { hasText: "`300.1.1.1` is not an IPv4 or IPv6 address; write one such as" }).waitFor();
    assert.equal(await page.locator("#nakodo-count").textContent(), "4 of 4 entries are shown.");
  },

  async "a tracker that is not running"({ open }) {
    const stopped = ({ router }) => (router.isRunning = false);
    const { page, router } = await open("status", { prepare: stopped });
    assert.deepEqual(await cells(page, "#nakodo-figures"), [["State", "not running"]]);
    assert.match(
      await page.locator(WARNING).textContent(),
      /^nakodo is not running\. Start it under System, Startup, or with "service nakodo start"\./,
    );
    router.isRunning = true;
    await page.evaluate(() => window.played.poll(5));
    assert.deepEqual((await cells(page, "#nakodo-figures"))[0], ["State", "running"]);
    const disabled = await open("status", {
      prepare: (scene) => {
        stopped(scene);
        scene.router.uci.main.enabled = "0";
      },
    });
    assert.equal(
      await disabled.page.locator(WARNING).textContent(),
      "nakodo is switched off. Enable it in the options, then save and apply.",
    );
  },

  async "polls keep the rows"({ open }) {
    const { page, router, tracker } = await open("status");
    const button = revokeButton(page, "203.0.113.7/32");
    await button.focus();
    tracker.entries[2].idle_seconds = 100;
    const before = router.commands.length;
    await page.evaluate(() => window.played.poll(4));
    assert.equal(router.commands.length, before);
    await page.evaluate(() => window.played.poll(1));
    assert.deepEqual(router.commands.slice(before), [
      [PROGRAM, "status", "--json"],
      [PROGRAM, "list", "--json"],
    ]);
    assert.equal((await cells(page, "#nakodo-entries"))[3][2], "1m 40s");
    assert.ok(await button.evaluate((node) => node === document.activeElement), "a poll took the focus");
    tracker.entries.splice(2, 1);
    await page.evaluate(() => window.played.poll(5));
    assert.equal(await page.locator("#nakodo-entries tr").count(), 4);
  },

  async "a long list is cut and can be filtered"({ open }) {
    const { page } = await open("status", {
      prepare: ({ tracker }) => {
        const [entry] = tracker.entries;
        tracker.entries = Array.from({ length: 4000 }, (_, index) => ({
          ...entry,
          prefix: `10.0.${index >> 8}.${index & 255}/32`,
          user: `u${index}`,
        }));
      },
    });
    assert.equal(await page.locator("#nakodo-count").textContent(), "200 of 4000 entries are shown.");
    assert.equal(await page.locator("#nakodo-entries tr").count(), 201);
    await page.fill("#nakodo-filter", "u3999");
    assert.equal(await page.locator("#nakodo-count").textContent(), "1 of 4000 entries are shown.");
    assert.equal((await cells(page, "#nakodo-entries"))[1][0], "10.0.15.159/32");
  },

  async "a reader changes nothing"({ open }) {
    const { page } = await open("status", { prepare: ({ router }) => (router.mayWrite = false) });
    assert.equal(await page.locator("#nakodo-entries tr").count(), 5);
    assert.ok(await page.locator(ADD).isDisabled());
    assert.ok(await revokeButton(page, "203.0.113.7/32").isDisabled());
  },

  async "a refused command shows an error"({ open }) {
    const { page, router } = await open("status");
    router.mayWrite = false; // the session's rights ended after the page was loaded
    await add(page, "192.0.2.40", "");
    await page.locator(NOTICE, { hasText: "Permission denied" }).waitFor();
    assert.deepEqual(router.refused.splice(0), [[PROGRAM, "allow", "--", "192.0.2.40"]]);
  },

  async "the page is accessible"({ open, axe }) {
    const { page } = await open("status");
    await page.addScriptTag({ content: axe.source });
    const { violations } = await page.evaluate(() => window.axe.run("#view", { runOnly: ["wcag2a", "wcag2aa"] }));
    assert.deepEqual(
      violations.map(({ id, nodes }) => [id, nodes.map((node) => node.html)]),
      [],
    );
  },
};
