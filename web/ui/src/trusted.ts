/**
 * The one Trusted Types policy. Everything that the browser would run or parse passes here, and there is little of it: the
 * constant templates that the compiler made of our components, and the addresses of our own scripts.
 */

interface Policy {
  createHTML(html: string): string;
  createScriptURL(url: string): string;
}

interface Factory {
  createPolicy(name: string, rules: Policy): Policy;
}

const factory = (globalThis as { trustedTypes?: Factory }).trustedTypes;

const rules: Policy = {
  createHTML: (html) => html,
  createScriptURL(url) {
    const address = new URL(url, document.baseURI);
    if (address.origin !== location.origin) throw new TypeError("scripts come from this origin only");
    return address.href;
  },
};

const policy = factory?.createPolicy("sotto", rules) ?? rules;

/** For `dom.ts` only: `html` is a constant of the build. */
export function constantTemplate(html: string): string {
  return policy.createHTML(html);
}

/** The address of a script of ours, for `new Worker` and for registering a service worker. */
export function scriptUrl(url: string | URL): string {
  return policy.createScriptURL(String(url));
}
