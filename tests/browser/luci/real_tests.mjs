// Test the commands of the page with a running tracker.

import assert from "node:assert/strict";

import { add, cells, HOSTILE, NOTICE, PROGRAM, revokeButton } from "./scene.mjs";

const CONFIG = "--config=/etc/nakodo/nakodo.toml";

export const realTests = {
  // A wildcard of rpcd permits options between the first one and the last --; the tracker refuses
  // those that name files.
  async "the wildcards name no file"({ router, tracker }) {
    for (const [smuggled, message] of [
      [["--config", "/etc/shadow"], "--config is given twice"],
      [["--config=/etc/shadow"], "--config is given twice"],
      [["--import", "/etc/shadow"], "--import takes the entries"],
      [["--import=/etc/shadow"], "--import takes the entries"],
    ]) {
      const words = [PROGRAM, "allow", CONFIG, "--user=x", ...smuggled, "--", "192.0.2.41"];
      const result = await router.run(words);
      assert.equal(result.code, 64, words.join(" "));
      assert.ok(result.stderr.includes(message), result.stderr);
      assert.ok(!result.stderr.includes("shadow"), result.stderr);
    }
    // rpcd joins the words with spaces before it compares them, so their boundaries may move.
    for (const words of [
      ["revoke", "--", "192.0.2.41", "--user", "x"],
      ["revoke", "--", "--user=x"],
      ["revoke", "-- --user=x"],
      ["revoke", "-- x", "--user=x"],
      ["allow", "--", "--import", "/etc/shadow"],
      ["allow", "--", "--config=/etc/shadow"],
      ["allow", "-- x", "--import", "/etc/shadow"],
      ["allow -- x", "--import", "/etc/shadow"],
      ["allow", CONFIG, "--user=x -- y", "--import", "/etc/shadow"],
      ["allow", CONFIG, "--user=x -- y", "--config=/etc/shadow", "192.0.2.41"],
      ["allow", `${CONFIG} --user=x -- y`, "--import", "/etc/shadow"],
      ["allow", `${CONFIG} --user=x`, "--import", "/etc/shadow -- x"],
    ]) {
      const result = await router.run([PROGRAM, ...words]);
      assert.ok([64, 78].includes(result.code), `${words.join(" ")}: ${JSON.stringify(result)}`);
      assert.doesNotMatch(result.stderr, /shadow:/, "the file was read");
    }
    assert.deepEqual(JSON.parse((await tracker.run(["", "list", "--json"])).stdout).entries, []);
  },

  async "the commands of the page"({ open }) {
    const { page } = await open("status");
    assert.deepEqual((await cells(page, "#nakodo-figures"))[0], ["State", "running"]);
    await add(page, "192.0.2.40", HOSTILE);
    await page.locator(NOTICE, { hasText: "allowed 192.0.2.40/32" }).waitFor();
    await revokeButton(page, "192.0.2.40/32").waitFor();
    assert.deepEqual((await cells(page, "#nakodo-entries"))[1].slice(0, 2), ["192.0.2.40/32", HOSTILE]);
    await add(page, "2001:db8:1:2::7", "");
    await page.locator(NOTICE, { hasText: "allowed 2001:db8:1:2::/64" }).waitFor();
    for (const [address, user, message] of [
      ["300.1.1.1", "", "`300.1.1.1` is not an IPv4 or IPv6 address"],
      ["192.0.2.41", "x".repeat(33), "`user` has 33 bytes and may have 32"],
      ["--help", "", "`--help` is not an IPv4"],
      ["192.0.2.41", " ", "--user: found"],
    ]) {
      await add(page, address, user);
      await page.locator(NOTICE, { hasText: message }).waitFor();
    }
    await revokeButton(page, "192.0.2.40/32").click();
    await page.locator("#modal").getByRole("button", { name: "Revoke" }).click();
    await page.locator(NOTICE, { hasText: "removed 1 entry" }).waitFor();
    await page.locator("#modal").waitFor({ state: "detached" });
    assert.equal(await page.locator("#nakodo-entries tr").count(), 2);
  },
};
