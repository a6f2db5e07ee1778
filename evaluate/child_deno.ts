/**
 * How this process may start Deno again.
 *
 * @module
 */

/**
 * The command that runs Deno: this very program, or "deno" where only that name
 * is allowed to be run; undefined where neither is.
 */
export function childDeno(): string | undefined {
  const may = (command: string): boolean =>
    Deno.permissions.querySync({ name: "run", command }).state === "granted";
  return [Deno.execPath(), "deno"].find(may);
}
