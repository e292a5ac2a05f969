// Prints the README's Nth fenced block of shell, so that what is promised there is what is run:
//   node scripts/readme-block.js 2
import { readFileSync } from "node:fs";

const wanted = Number(process.argv[2] ?? "1");
const text = readFileSync(new URL("../README.md", import.meta.url), "utf8");
const blocks = [...text.matchAll(/^```(?:sh|bash|shell)\n([\s\S]*?)^```$/gm)].map((match) => match[1].trim());
const block = blocks[wanted - 1];
if (block === undefined) {
  console.error(`README.md has ${blocks.length} fenced blocks of shell, not ${wanted}`);
  process.exit(1);
}
console.log(block);
