// Counts in English: a function with one real dependency.

import pluralize from "pluralize";

export function handler(event, context) {
  const { name = "world", pods = 1 } = event.data ?? {};
  return `Hello, ${name}! This is ${context["function-name"]}, and you run ${pluralize("pod", pods, true)}.\n`;
}
