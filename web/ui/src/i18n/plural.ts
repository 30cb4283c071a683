/** Counted things, by the plural rules of a language. */

type Forms = Partial<Record<Intl.LDMLPluralRule, string>> & { other: string };

/** Makes a function of a count from forms that hold `#` where the number stands. */
export function plurals(language: string): (forms: Forms) => (count: number) => string {
  const rules = new Intl.PluralRules(language);
  const number = new Intl.NumberFormat(language);
  return (forms) => (count) => (forms[rules.select(count)] ?? forms.other).replace("#", number.format(count));
}
