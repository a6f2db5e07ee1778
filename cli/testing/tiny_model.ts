/**
 * Commands run on a tiny model that is made for the test.
 *
 * @module
 */
import { withFile } from "../../models/testing/files.ts";
import { tinyChat } from "../../models/testing/tiny_chat.ts";
import { main } from "../main.ts";
import { FakeHost, type FakeSettings } from "./fake_host.ts";

/** What a command line did. */
export interface Outcome {
  readonly status: number;
  readonly host: FakeHost;
}

/** A command line, run where `MODEL` stands for the path of the tiny model. */
export async function quire(
  args: readonly string[],
  settings: FakeSettings & { readonly template?: boolean } = {},
): Promise<Outcome> {
  const host = new FakeHost(settings);
  const { template = true } = settings;
  const status = await withFile(
    tinyChat({ template }),
    (path) => main(args.map((a) => a === "MODEL" ? path : a), host),
  );
  return { status, host };
}
