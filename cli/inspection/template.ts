/**
 * What a chat template says of itself. It is looked at as text and never run: one
 * from a broken or a hostile file may not come to an end.
 *
 * @module
 */

/** Whether a conversation may have something. */
export type Support = "yes" | "no" | "refused";

/** A chat template, looked at. */
export interface TemplateFacts {
  readonly characters: number;
  /** A turn of the system's: "refused" where the template says it raises an error. */
  readonly system: Support;
  /** Descriptions of functions. */
  readonly tools: Support;
}

/** Facts of a template. */
export function templateFacts(template: string): TemplateFacts {
  const code = (template.match(/\{[{%][^]*?[%}]\}/g) ?? []).join("\n");
  const raises = /raise_exception\s*\(\s*(['"])(?:(?!\1).)*\bsystem\b/i;
  const names = /(['"])system\1/.test(code);
  // A template that writes whatever role there is takes this one too.
  const any = /\{\{[^{}]*\brole\b[^{}]*\}\}/.test(template);
  return {
    characters: template.length,
    system: raises.test(code) ? "refused" : names || any ? "yes" : "no",
    tools: /\btools\b/.test(code) ? "yes" : "no",
  };
}
