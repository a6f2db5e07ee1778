/**
 * The command line: `quire chat | run | pull | inspect | bench | eval | calibrate`.
 *
 * @module
 */
import { main } from "./cli/main.ts";
import { terminal } from "./cli/terminal.ts";

if (import.meta.main) Deno.exit(await main(Deno.args, terminal()));
