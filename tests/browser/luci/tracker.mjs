// The tracker behind the pages: played with recorded answers, or a real one.

import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";

const recorded = (name) => readFileSync(path.join(import.meta.dirname, "recorded", name), "utf8");

const ok = (stdout) => ({ code: 0, stdout: `${stdout}\n`, stderr: "" });
const failed = (code, message) => ({ code, stdout: "", stderr: `nakodo: ${message}\n` });

export class PlayedTracker {
  status = JSON.parse(recorded("status.json"));
  entries = JSON.parse(recorded("list.json")).entries;
  failure = null; // the result of every command, if set

  run(words, router) {
    const [, verb, ...rest] = words;
    if (!router.isRunning) {
      const socket = "/var/run/nakodo/nakodo.sock";
      return failed(69, `nakodo is not running: no answer on ${socket}; start it with \`nakodo serve\``);
    }
    if (this.failure) return this.failure;
    const operands = rest.slice(rest.indexOf("--") + 1);
    if (verb === "status")
      return ok(
        JSON.stringify({
          ...this.status,
          whitelist: { entries: this.entries.length, capacity: this.status.whitelist.capacity },
        }),
      );
    if (verb === "list") return ok(JSON.stringify({ entries: this.entries }));
    if (verb === "revoke") return this.revoke(operands[0]);
    return this.allow(operands[0], rest.find((word) => word.startsWith("--user="))?.slice("--user=".length) ?? null);
  }

  revoke(prefix) {
    const left = this.entries.filter((entry) => entry.prefix !== prefix);
    if (left.length === this.entries.length) return failed(65, `${prefix} is not on the whitelist`);
    this.entries = left;
    return ok("removed 1 entry");
  }

  allow(address, user) {
    if (!/^[0-9a-f.:/]+$/.test(address) || /\b[3-9]\d\d\./.test(address))
      return failed(
        64,
        `\`${address}\` is not an IPv4 or IPv6 address; write one such as 192.0.2.7 or 2001:db8:1:2::/64 (host names are not looked up)`,
      );
    const prefix = address.includes("/") ? address : `${address}/32`;
    this.entries.push({ ...this.entries[0], prefix, user, retire_after_seconds: 2592000, until_unix: null });
    return ok(`allowed ${prefix}`);
  }

  stop() {}
}

export class RealTracker {
  constructor(program) {
    this.program = program;
    this.folder = mkdtempSync(path.join(os.tmpdir(), "nakodo-luci-"));
    this.config = path.join(this.folder, "nakodo.toml");
    writeFileSync(this.config, `listen = ["127.0.0.1:0"]\ndata_dir = "${this.folder}/data"\nmemory = "1 MiB"\n`);
    this.tracker = spawn(program, ["serve", "--config", this.config], { stdio: "ignore" });
  }

  async start() {
    for (let tries = 0; tries < 100; tries += 1) {
      if ((await this.run(["", "status", "--json"])).code === 0) return;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    throw new Error("the tracker does not start");
  }

  // Run a command of the page. The test's configuration takes the place of the router's.
  run(words) {
    const [, verb, ...rest] = words;
    const here = rest.map((word) => word.replace(/^--config=\/etc\/nakodo\/nakodo\.toml/, `--config=${this.config}`));
    if (!here.some((word) => word.startsWith("--config="))) here.unshift(`--config=${this.config}`);
    return new Promise((resolve) => {
      execFile(this.program, [verb, ...here], { cwd: this.folder }, (error, stdout, stderr) =>
        resolve({ code: error?.code ?? 0, stdout, stderr }),
      );
    });
  }

  async stop() {
    const ended = once(this.tracker, "exit");
    this.tracker.kill();
    await ended;
    rmSync(this.folder, { recursive: true, force: true });
  }
}
