/**
 * `quire inspect`: what is in a model's file, and whether it will run here.
 *
 * @module
 */
import { ModelError } from "../core/errors.ts";
import { openModel } from "../models/open_model.ts";
import { type Command, onlyModel } from "./command.ts";
import { inspectFile } from "./inspection/inspect_file.ts";
import { inspectionText } from "./inspection/text.ts";
import { COMMON, MODEL, TEMPLATE } from "./options.ts";
import { loadOptionsOf, pullModel } from "./open.ts";

/** Says what a model is without loading its weights. */
export const inspect: Command = {
  name: "inspect",
  operands: "MODEL",
  summary: "say what a model is made of and whether it runs here",
  details:
    "The exit status is 0 for a model that runs here, with the options it names where it names some, " +
    "else 1: what the file says is printed all the same.",
  options: [MODEL, TEMPLATE, ...COMMON],
  async run(options, host, signal) {
    const model = onlyModel("inspect", options);
    const path = await pullModel(model, host, signal);
    const file = await openModel(path, { signal, listUnread: true });
    if (options.template) {
      const template = file.metadata["tokenizer.chat_template"];
      if (typeof template !== "string") {
        throw new ModelError(path, "it has no chat template");
      }
      host.out(template.endsWith("\n") ? template : `${template}\n`);
      return 0;
    }
    const found = await inspectFile(model, file, {
      load: await loadOptionsOf(model, options),
      machine: host.freeMemory(),
    });
    host.out(
      options.json ? `${JSON.stringify(found)}\n` : inspectionText(found),
    );
    if (found.fit.runs) return 0;
    throw new ModelError(path, found.fit.says.replace(/^no: /, ""));
  },
};
