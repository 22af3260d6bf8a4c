/** docs/commands.md: the help of every command. */

import type { Known } from '../../src/cli/completion/known.ts'
import { helpOf } from '../../src/cli/help.ts'

export function commandsDocument(known: readonly Known[]): string {
  return `# Commands

<!-- Written by scripts/docs.ts from the commands' descriptions in src/cli: change those. -->

What \`diskless COMMAND --help\` prints; as a manual page it is [diskless.1](diskless.1). \`diskless completion bash\` (zsh, fish)
prints what the shell needs to complete all of it.

${known.map(({ name, about }) => `- [${name}](#diskless-${name}): ${about}`).join('\n')}
${known.map(({ name, description }) => `\n## diskless ${name}\n\n\`\`\`text\n${helpOf(description)}\`\`\`\n`).join('')}`
}
