// How much JavaScript the first load of a cardholder's dashboard takes, gzip. Fails above the budget.
import { readFile } from "node:fs/promises";
import path from "node:path";
import { gzipSync } from "node:zlib";

const page = "/(portal)/dashboard/page";
const budget = 200_000;

const dir = path.join(import.meta.dirname, "../.next");
const { rootMainFiles } = JSON.parse(await readFile(path.join(dir, "build-manifest.json"), "utf8"));
const manifest = await readFile(path.join(dir, "server/app", page + "_client-reference-manifest.js"), "utf8");
const scope = {};
new Function("globalThis", manifest)(scope);
// Every client module that the page and the layouts around it name: what is loaded is these or fewer.
const modules = Object.values(scope.__RSC_MANIFEST[page].clientModules);
const chunks = new Set([...rootMainFiles, ...modules.flatMap((m) => m.chunks).map((c) => c.replace(/^\/_next\//, ""))].filter((c) => c.endsWith(".js")));
if (modules.length < 10 || chunks.size < 5) throw new Error(`budget: ${page} has only ${modules.length} client modules in ${chunks.size} files; has the build's layout changed?`);

let total = 0;
for (const chunk of chunks) total += gzipSync(await readFile(path.join(dir, chunk))).length;
console.log(`First load of the dashboard: ${(total / 1000).toFixed(1)} kB of JavaScript, gzip, in ${chunks.size} files; the budget is ${budget / 1000} kB.`);
if (total > budget) process.exit(1);
