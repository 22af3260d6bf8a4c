/** How a check ended. `failed` holds what a person has to read. */
export type Outcome =
  | { readonly passed: string }
  | { readonly failed: readonly string[] }
  | { readonly skipped: string }
