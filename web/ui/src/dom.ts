/**
 * Solid's renderer, with one function of its own: templates are made through the Trusted Types policy, which lets the page run
 * under `require-trusted-types-for 'script'`. The build puts this module wherever `solid-js/web` is imported.
 */
import { untrack } from "solid-js";
import { constantTemplate } from "./trusted.ts";

// @ts-expect-error: the file behind `solid-js/web`, named directly so that the alias does not lead back here.
export * from "solid-js/web/dist/web.js";

type Make = (() => Node) & { cloneNode?: () => Node };

export function template(html: string, importNode?: boolean, svg?: boolean): Make {
  let node: Node | undefined;
  const create = (): Node => {
    const holder = document.createElement("template");
    holder.innerHTML = constantTemplate(html);
    const first = holder.content.firstChild;
    const made = svg ? first?.firstChild : first;
    if (!made) throw new Error("an empty template");
    return made;
  };
  const make: Make = importNode
    ? () => untrack(() => document.importNode((node ??= create()), true))
    : () => (node ??= create()).cloneNode(true);
  make.cloneNode = make;
  return make;
}
