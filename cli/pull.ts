/**
 * `quire pull`: fetches a model and says where it is.
 *
 * @module
 */
import { type Command, onlyModel } from "./command.ts";
import { COMMON, MODEL } from "./options.ts";
import { pullModel } from "./open.ts";

/** Fetches what is not on this machine yet. */
export const pull: Command = {
  name: "pull",
  operands: "MODEL",
  summary: "download a model, if it is missing, and print its path",
  options: [MODEL, ...COMMON],
  async run(options, host, signal) {
    const model = onlyModel("pull", options);
    const path = await pullModel(model, host, signal);
    host.out(options.json ? `${JSON.stringify({ path })}\n` : `${path}\n`);
    return 0;
  },
};
