/**
 * What a schema found wrong, as one error that names the field.
 *
 * @module
 */
import type { z } from "npm:zod@4.6.7";
import { ApiError } from "./errors.ts";

type Issue = z.core.$ZodIssue;

/** Most faults that one message tells of. */
const MOST = 3;

/** The first faults, and the field of the first. `raw`: what was checked. */
export function invalid(issues: readonly Issue[], raw: unknown): ApiError {
  const all = issues.flatMap((issue) => faults(issue, raw, []));
  const told = all.slice(0, MOST).map((f) => f.says).join("; ");
  const more = all.length > MOST ? ` and ${all.length - MOST} more` : "";
  const { param, code } = all[0]!;
  return new ApiError(400, `Cannot take the request: ${told}${more}`, {
    param,
    code,
  });
}

interface Fault {
  readonly param: string | null;
  readonly code: string;
  readonly says: string;
}

function faults(
  issue: Issue,
  raw: unknown,
  above: readonly PropertyKey[],
): Fault[] {
  const path = [...above, ...issue.path];
  if (issue.code === "unrecognized_keys") {
    return issue.keys.map((key) => {
      const param = fieldOf([...path, key]);
      const says = `"${param}" is not supported`;
      return { param, code: "unsupported_parameter", says };
    });
  }
  if (issue.code === "invalid_union" && issue.errors.length > 0) {
    const nearest = nearestOf(issue.errors);
    if (nearest !== undefined) {
      return nearest.flatMap((inner) => faults(inner, raw, path));
    }
  }
  const field = fieldOf(path), value = at(raw, path);
  const name = field === "" ? "the body" : `"${field}"`;
  const param = field === "" ? null : field;
  if (value === undefined && field !== "") {
    const says = `${name} is missing`;
    return [{ param, code: "missing_required_parameter", says }];
  }
  const code = issue.code === "invalid_type" ? "invalid_type" : "invalid_value";
  return [{ param, code, says: `${name}: ${saysOf(issue)}` }];
}

function saysOf(issue: Issue): string {
  if (issue.code === "invalid_union" && issue.errors.length > 0) {
    const each = issue.errors.map((errors) => saysOf(errors[0]!));
    return [...new Set(each)].join(", or ");
  }
  const { message } = issue;
  return message.replace(/^Invalid input: /, "").replace(/^Too /, "too ");
}

/** The branch of a union that was meant: the one that fits at its root. */
function nearestOf(
  branches: readonly (readonly Issue[])[],
): readonly Issue[] | undefined {
  const depth = (issues: readonly Issue[]): number =>
    Math.min(...issues.map((i) => rootOf(i) ? 0 : 1 + i.path.length));
  const best = branches.toSorted((a, b) => depth(b) - depth(a))[0];
  return best !== undefined && depth(best) > 0 ? best : undefined;
}

/** Whether the value is of another kind altogether. */
function rootOf({ code, path }: Issue): boolean {
  return path.length === 0 &&
    (code === "invalid_type" || code === "invalid_value");
}

/** `messages[0].content`. */
function fieldOf(path: readonly PropertyKey[]): string {
  return path.reduce<string>(
    (text, key) =>
      typeof key === "number"
        ? `${text}[${key}]`
        : text === ""
        ? String(key)
        : `${text}.${String(key)}`,
    "",
  );
}

function at(raw: unknown, path: readonly PropertyKey[]): unknown {
  let value = raw;
  for (const key of path) {
    if (typeof value !== "object" || value === null) return undefined;
    value = (value as Record<PropertyKey, unknown>)[key];
  }
  return value;
}
