/**
 * Waiting, but not for ever.
 *
 * @module
 */

/** Rejects where something takes longer than anything in a test should. */
export async function soon<T>(what: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error("it hangs")), 20_000);
  });
  try {
    return await Promise.race([what, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Runs steps until one fails. */
export async function untilFailure(
  step: () => Promise<unknown>,
): Promise<Error> {
  for (let i = 0; i < 200; i++) {
    try {
      await step();
    } catch (error) {
      return error as Error;
    }
    await new Promise((r) => setTimeout(r, 1));
  }
  throw new Error("no step failed");
}
