/**
 * Makes a Python environment with OpenAI's client, for the tests of the server. It
 * never fails: without one they are ignored and say so.
 *
 * @module
 */

// deno-lint-ignore-file no-console
import { ROOT } from "./root.ts";

const VERSION = "3.57.0";
const FOLDER = new URL(".tmp/python/", ROOT);
const PYTHON = new URL("bin/python", FOLDER);

/** Runs a program; throws its last line where it fails. */
async function run(
  program: string | URL,
  ...args: readonly string[]
): Promise<void> {
  const { success, stderr } = await new Deno.Command(program, {
    args: [...args],
    stdout: "null",
    stderr: "piped",
  }).output();
  if (success) return;
  const lines = new TextDecoder().decode(stderr).trim().split("\n");
  throw new Error(lines.at(-1));
}

async function has(): Promise<boolean> {
  const check = `import openai; assert openai.__version__ == "${VERSION}"`;
  try {
    await run(PYTHON, "-c", check);
    return true;
  } catch {
    return false;
  }
}

try {
  if (!await has()) {
    await run("python3", "-m", "venv", "--clear", FOLDER.pathname);
    const flags = ["--quiet", "--disable-pip-version-check"];
    await run(PYTHON, "-m", "pip", "install", ...flags, `openai==${VERSION}`);
  }
  console.log(`Python with openai ${VERSION}: ${PYTHON.pathname}`);
} catch (error) {
  const why = error instanceof Error ? error.message : String(error);
  console.warn(
    `Python with openai: not there, the tests that need it will be ignored: ${why}`,
  );
}
